"""Pods: made, stopped and removed."""

import contextlib
import json
import os

import engines
import grpc
import host
from berth_testbed import wait_until
from operation import SHARED_PROCESSES, USER_NAMESPACE, Operation, check
from upkeep_operations import command, succeed

# A CNI plugin that takes nothing.
TAKES_NOTHING = """#!/bin/sh
test $CNI_COMMAND != ADD || echo '{"cniVersion": "1.0.0"}'
"""


class RunPodSandbox(Operation):
    """On the host's network."""

    calls = ("RuntimeService/RunPodSandbox",)

    def act(self):
        self.run_pod()

    def finish(self):
        self.have_pod()


class RunPodSandboxWithNetwork(RunPodSandbox):
    """With CNI."""

    linux = {}

    def finish(self):
        self.have_pod()
        status = self.bed.cri.PodSandboxStatus({"pod_sandbox_id": self.pod}).status
        # That of one that was cut off is given back behind the scenes.
        wait_until(lambda: self.bed.network.held_addresses() == [status.network.ip],
                   what="that %s alone is held" % status.network.ip)


class RunPodSandboxWithUserNamespace(RunPodSandboxWithNetwork):
    """With a user namespace, and CNI."""

    linux = USER_NAMESPACE


class RunPodSandboxSharingProcesses(RunPodSandbox):
    """With a PID namespace of the pod, and so an init."""

    linux = SHARED_PROCESSES


class StopPodSandbox(Operation):
    """With CNI and a running container."""

    calls = ("RuntimeService/StopPodSandbox",)
    linux = {}

    def setup(self):
        self.running()
        self.ends = self.end()

    def act(self):
        self.bed.cri.StopPodSandbox({"pod_sandbox_id": self.pod})

    def finish(self):
        self.act()
        check(self.bed.network.held_addresses() == [], "an address is still held")
        status = self.bed.status(self.container)
        check(status.state == self.bed.cri.messages.CONTAINER_EXITED, "the container has not ended")
        self.check_told(self.ends)
        self.check_numbers([line for line in self.lines() if line])


class AbandonNetwork(Operation):
    """Of a pod that cannot be stopped, since a program of its network is gone."""

    calls = ("Admin/AbandonNetwork",)
    linux = {}

    def program(self):
        return os.path.join(self.bed.cni, "gone")

    def put_program(self):
        os.chmod(engines.write(self.program(), TAKES_NOTHING), 0o755)

    def setup(self):
        self.put_program()
        network = json.loads(host.read(self.bed.network.conf_file))
        network["plugins"].insert(0, {"type": "gone"})
        engines.write(self.bed.network.conf_file, json.dumps(network))
        self.running()
        self.close()

    def act(self):
        with contextlib.suppress(grpc.RpcError):
            self.bed.cri.StopPodSandbox({"pod_sandbox_id": self.pod})
        command(self.bed, "network", "abandon", self.pod)

    def settle(self):
        self.bed.await_rest()  # from the network's collection

    def finish(self):
        try:
            self.bed.cri.StopPodSandbox({"pod_sandbox_id": self.pod})
        except grpc.RpcError as error:
            check("CNI plugin gone is not in" in error.details(), error.details())
            succeed(self.bed, "network", "abandon", self.pod)
        check(self.listed_pod().state == self.bed.cri.messages.SANDBOX_NOTREADY,
              "the pod has not ended")
        # The other programs were asked.
        check(self.bed.network.held_addresses() == [], "an address is still held")

    def give_up(self):
        self.put_program()

    def close(self):
        self.bed.network.write()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.program())


class RemovePodSandbox(Operation):
    """Ready, with CNI, with a running container: all in one call."""

    calls = ("RuntimeService/RemovePodSandbox",)
    linux = {}

    def setup(self):
        self.running()

    def act(self):
        self.bed.cri.RemovePodSandbox({"pod_sandbox_id": self.pod})

    def finish(self):
        self.act()
        check(self.listed_pod() is None and self.listed_container() is None,
              "the pod or its container is still listed")


class RemoveStoppedPodSandbox(RemovePodSandbox):
    """As the kubelet does it, with a user namespace."""

    linux = USER_NAMESPACE

    def setup(self):
        self.running()
        self.bed.cri.StopPodSandbox({"pod_sandbox_id": self.pod})

"""Pods: made, stopped and removed."""

from berth_testbed import wait_until
from operation import SHARED_PROCESSES, USER_NAMESPACE, Operation, check


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

    def act(self):
        self.bed.cri.StopPodSandbox({"pod_sandbox_id": self.pod})

    def finish(self):
        self.act()
        check(self.bed.network.held_addresses() == [], "an address is still held")
        status = self.bed.status(self.container)
        check(status.state == self.bed.cri.messages.CONTAINER_EXITED, "the container has not ended")
        self.check_numbers([line for line in self.lines() if line])


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

"""The operations that are cut off at each of their steps, and what a kubelet does afterwards.

Each has a setup, which is not cut off; the operation itself; and `finish`, which carries the work on
against the restarted engine as a kubelet would, and says (by raising) what was lost. All use the
same names again and again: a name that is not free shows at the next point.
"""

import contextlib
import os

import grpc
from berth_testbed import wait_until
from crash_bed import DATA, VOLUMES, gone, layers_folder
from image_set import BUSYBOX, TESTS

HOST_NETWORK = {"security_context": {"namespace_options": {"network": "NODE"}}}
FIRST_ID, LENGTH = 200000, 65536
MAPPING = [{"host_id": FIRST_ID, "container_id": 0, "length": LENGTH}]
USER_NAMESPACE = {"security_context": {"namespace_options": {
    "userns_options": {"mode": "POD", "uids": MAPPING, "gids": MAPPING}}}}
SHARED_PROCESSES = {"security_context": {"namespace_options": {"network": "NODE", "pid": "POD"}}}

# Writes numbered lines; ends by TERM with a last word and a code of its own.
COUNTER = """trap 'echo bye; exit 7' TERM
i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"""
LINES = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; exit 5"
POD = "victim"
LAYERED = TESTS + "layers:1"


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class Operation:
    """See the module. `linux` is the pod's; `network` says whether it has one of its own."""

    linux = HOST_NETWORK
    mounts = ()
    image = BUSYBOX
    command = ("sh", "-c", COUNTER)

    def __init__(self, bed):
        self.bed = bed
        self.pod = self.container = None

    @classmethod
    def title(cls):
        return cls.__name__

    def setup(self):
        pass

    def act(self):
        raise NotImplementedError

    def settle(self):
        """Waits for what goes on behind the answer."""

    def finish(self):
        raise NotImplementedError

    # Parts of them.

    def pod_config(self):
        return self.bed.pod_config(POD, linux=dict(self.linux), labels={"berth.test": "crash"})

    def run_pod(self):
        self.pod = self.bed.run_pod_config(self.pod_config())
        return self.pod

    def container_config(self):
        more = {"linux": self.linux} if self.linux is USER_NAMESPACE else {}
        return self.bed.container_config("c", self.image, command=list(self.command),
                                         mounts=list(self.mounts), **more)

    def create(self):
        self.container = self.bed.cri.CreateContainer({
            "pod_sandbox_id": self.pod, "config": self.container_config(),
            "sandbox_config": self.pod_config()}).container_id
        return self.container

    def start(self):
        self.bed.cri.StartContainer({"container_id": self.container})

    def running(self):
        self.run_pod()
        self.create()
        self.start()
        self.await_lines(2)

    def state(self):
        return self.bed.status(self.container).state

    def state_is(self, name):
        return self.state() == getattr(self.bed.cri.messages, "CONTAINER_" + name)

    def lines(self):
        return [line[3] for line in self.bed.log_lines(POD, "c") if len(line) == 4]

    def await_lines(self, count):
        wait_until(lambda: len(self.lines()) >= count, what="%d lines of the log" % count)

    def check_numbers(self, lines):
        """No line lost, none twice."""
        check(lines == [str(number) for number in range(len(lines))],
              "the log is not 0, 1, 2 ...: %s" % lines[:50])

    def check_goes_on(self):
        before = len(self.lines())
        self.await_lines(before + 1)
        self.check_numbers([line for line in self.lines() if line])

    def listed_pod(self):
        """The pod as a kubelet finds it: ready, not ready, or not at all."""
        items = [item for item in self.bed.cri.ListPodSandbox({}).items
                 if item.metadata.name == POD]
        check(len(items) < 2, "the pod is there twice")
        return items[0] if items else None

    def listed_container(self):
        items = [item for item in self.bed.cri.ListContainers({}).containers
                 if item.metadata.name == "c"]
        check(len(items) < 2, "the container is there twice")
        return items[0] if items else None

    def have_pod(self):
        """Repeats RunPodSandbox unless the pod is there."""
        found = self.listed_pod()
        ready = self.bed.cri.messages.SANDBOX_READY
        if found and found.state == ready:
            self.pod = found.id
        else:
            if found:
                self.bed.remove_pod(found.id)
            self.run_pod()
        check(self.listed_pod().state == ready, "the pod is not ready")

    def have_container(self):
        found = self.listed_container()
        if found:
            self.container = found.id
        else:
            self.create()


class RunPodSandbox(Operation):
    """On the host's network."""

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
        check(self.bed.network.held_addresses() == [status.network.ip],
              "the pod has %s, held are %s" % (status.network.ip, self.bed.network.held_addresses()))


class RunPodSandboxWithUserNamespace(RunPodSandboxWithNetwork):
    """With a user namespace, and CNI."""

    linux = USER_NAMESPACE


class RunPodSandboxSharingProcesses(RunPodSandbox):
    """With a PID namespace of the pod, and so an init."""

    linux = SHARED_PROCESSES


class CreateContainer(Operation):
    """With an image mounted and volumes of the image."""

    image = VOLUMES

    def setup(self):
        self.mounts = ({"container_path": "/mnt/i", "image": {"image": DATA}, "readonly": True},)
        self.run_pod()

    def act(self):
        self.create()

    def finish(self):
        self.have_container()
        check(self.state_is("CREATED"), "the container is not created")
        self.start()
        check(self.bed.exec(self.container, "cat", "/mnt/i/top").stdout == b"top",
              "the mounted image is not there")


class CreateContainerWithUserNamespace(CreateContainer):
    """The same in a user namespace."""

    linux = USER_NAMESPACE


class StartContainer(Operation):
    """A program that goes on."""

    def setup(self):
        self.run_pod()
        self.create()

    def act(self):
        self.start()

    def finish(self):
        # One that was started may still be on its way.
        if self.state_is("CREATED"):
            self.start()
        check(self.state_is("RUNNING"), "the container does not run: %s" % self.status_text())
        self.check_goes_on()

    def status_text(self):
        status = self.bed.status(self.container)
        return "%s %s %s" % (status.state, status.reason, status.message)


class StartShortContainer(StartContainer):
    """A program that writes and ends at once."""

    command = ("sh", "-c", LINES)

    def finish(self):
        if self.state_is("CREATED"):
            self.start()
        status = self.bed.wait_exit(self.container)
        check(status.exit_code == 5, "the exit code is %d: %s" % (status.exit_code,
                                                                  self.status_text()))
        wait_until(lambda: len(self.lines()) >= 200, what="all lines of the log")
        self.check_numbers(self.lines())


class StartContainerWithMappedVolume(StartContainer):
    """In a user namespace, with a volume whose owners are mapped."""

    linux = USER_NAMESPACE

    def setup(self):
        volume = os.path.join(self.bed.folder, "volume")
        os.makedirs(volume, exist_ok=True)
        self.mounts = ({"host_path": volume, "container_path": "/mnt/v", "uidMappings": MAPPING,
                        "gidMappings": MAPPING},)
        super().setup()


class ExecSync(Operation):
    """While a container writes its log."""

    exec_command = ("sh", "-c", "echo from the exec; exit 3")

    def setup(self):
        self.running()

    def act(self):
        self.answer = self.bed.exec(self.container, *self.exec_command)
        check((self.answer.stdout, self.answer.exit_code) == (b"from the exec\n", 3),
              "the answer is %s" % self.answer)

    def finish(self):
        self.act()
        self.check_goes_on()
        # Neither the one that was cut off nor the other is left in the container.
        wait_until(lambda: b"from the exec" not in self.bed.exec(
            self.container, "sh", "-c", "cat /proc/[0-9]*/cmdline | grep -v grep").stdout,
                   what="the end of the exec")


class LongExecSync(ExecSync):
    """One whose process would go on for ever."""

    def act(self):
        try:
            self.bed.exec(self.container, "sh", "-c", ": from the exec; sleep 1000", timeout=1)
        except grpc.RpcError as error:
            if error.code() != grpc.StatusCode.DEADLINE_EXCEEDED:
                raise

    def finish(self):
        self.check_goes_on()
        wait_until(lambda: b"1000" not in self.bed.exec(
            self.container, "sh", "-c", "cat /proc/[0-9]*/cmdline | grep -v cat").stdout,
                   what="the end of the exec")


class UpdateContainerResources(Operation):
    """Of a running container."""

    def setup(self):
        self.running()

    def act(self):
        self.bed.cri.UpdateContainerResources({
            "container_id": self.container, "linux": {"cpu_shares": 512}})

    def finish(self):
        self.act()
        check(self.bed.status(self.container).resources.linux.cpu_shares == 512,
              "the status does not show the change")
        self.check_goes_on()


class StopContainer(Operation):
    """By its stop signal, with a last word and an exit code to be kept."""

    def setup(self):
        self.running()

    def act(self):
        self.bed.cri.StopContainer({"container_id": self.container, "timeout": 20})

    def finish(self):
        self.act()
        status = self.bed.status(self.container)
        check(status.exit_code == 7, "the exit code is %d" % status.exit_code)
        lines = [line for line in self.lines() if line]
        check(lines[-1:] == ["bye"], "the last word is missing: %s" % lines[-3:])
        self.check_numbers(lines[:-1])


class ExitWhileNobodyLooks(Operation):
    """A container ends by itself, which the engine records."""

    def setup(self):
        self.command = ("sh", "-c", COUNTER.replace("while :", "while [ ! -e /tmp/end ]")
                        + "; exit 9")
        self.running()

    def act(self):
        self.bed.exec(self.container, "touch", "/tmp/end")
        wait_until(self.ended_or_dead, what="the exit")

    def ended_or_dead(self):
        """A call to a daemon that dies must not wait for the next one."""
        try:
            status = self.bed.cri.ContainerStatus({"container_id": self.container}, timeout=1).status
        except grpc.RpcError:
            return not self.bed.alive()
        return status.state == self.bed.cri.messages.CONTAINER_EXITED

    def finish(self):
        if not self.state_is("EXITED"):
            with contextlib.suppress(grpc.RpcError):
                self.bed.exec(self.container, "touch", "/tmp/end")
        check(self.bed.wait_exit(self.container).exit_code == 9, "the exit code was lost")


class RemoveContainer(CreateContainer):
    """One with mounts, that has ended."""

    def setup(self):
        super().setup()
        self.create()
        self.start()
        self.bed.cri.StopContainer({"container_id": self.container, "timeout": 0})

    def act(self):
        self.bed.cri.RemoveContainer({"container_id": self.container})

    def finish(self):
        self.act()
        check(self.listed_container() is None, "the container is still listed")
        self.create()  # its name is free, in the same pod


class RemoveRunningContainer(RemoveContainer):
    """One that runs."""

    def setup(self):
        Operation.running(self)


class StopPodSandbox(Operation):
    """With CNI and a running container."""

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


class PullImage(Operation):
    """Five layers of which two are there."""

    reference = LAYERED

    def act(self):
        self.bed.pull(self.reference)

    def finish(self):
        self.bed.pull(self.reference)
        self.image, self.command = self.reference, ("sh", "-c", "cat /lower/kept-file; sleep 1000")
        self.run_pod()
        self.create()
        self.start()
        self.await_lines(0)
        check(self.bed.exec(self.container, "cat", "/lower/kept-file").stdout == b"kept",
              "the image is not whole")
        self.bed.remove_everything()
        self.bed.cri.RemoveImage({"image": {"image": self.reference}})


class RemoveImage(Operation):
    """With layers of its own, which go in the background."""

    reference = LAYERED

    def setup(self):
        self.before = set(os.listdir(layers_folder(self.bed)))
        self.bed.pull(self.reference)

    def act(self):
        self.bed.cri.RemoveImage({"image": {"image": self.reference}})

    def settle(self):
        gone(self.bed, self.before)

    def finish(self):
        self.act()
        check(not self.bed.cri.ImageStatus({"image": {"image": self.reference}}).image.id,
              "the image is still there")
        gone(self.bed, self.before)


class DaemonStart(Operation):
    """The engine is started where it has to see to everything: a pod whose creation was cut off, a
    container that has ended meanwhile, and one that goes on."""

    linux = {}
    half = "half"
    cut_at = None  # the step at which a pod's creation is cut off: its network is being attached

    def setup(self):
        volume = os.path.join(self.bed.folder, "volume")
        os.makedirs(volume, exist_ok=True)
        end = os.path.join(volume, "end")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(end)
        self.mounts = ({"host_path": volume, "container_path": "/mnt/v"},)
        self.command = ("sh", "-c", COUNTER.replace("while :", "while [ ! -e /mnt/v/end ]")
                        + "; echo last; exit 9")
        self.running()
        self.other = self.bed.run(self.pod, "other", command=["sleep", "1000"])
        if DaemonStart.cut_at is None:
            DaemonStart.cut_at = self.find_cut()
        self.bed.daemon.reset(DaemonStart.cut_at)
        with contextlib.suppress(grpc.RpcError):
            self.bed.run_pod(self.half)
        check(self.bed.await_death(), "the daemon did not die")
        with open(end, "w", encoding="utf-8"):
            pass
        wait_until(lambda: "last" in self.lines(), what="the container's last word")

    def find_cut(self):
        self.bed.daemon.reset()
        pod = self.bed.run_pod(self.half)
        steps = self.bed.daemon.steps()
        self.bed.remove_pod(pod)
        return 1 + next(number for number, step in enumerate(steps)
                        if step[0] == "start process" and step[1].endswith("/bridge"))

    def act(self):
        with contextlib.suppress(RuntimeError, TimeoutError, grpc.RpcError):
            self.bed.start_engine()

    def settle(self):
        wait_until(lambda: not self.bed.alive() or not self.half_listed(),
                   what="the undoing of the pod")

    def half_listed(self):
        try:
            return [item for item in self.bed.cri.ListPodSandbox({}).items
                    if item.metadata.name == self.half]
        except grpc.RpcError:
            return []

    def finish(self):
        self.settle()
        check(self.listed_pod().state == self.bed.cri.messages.SANDBOX_READY, "the pod is not ready")
        status = self.bed.status(self.container)
        check((status.exit_code, status.state)
              == (9, self.bed.cri.messages.CONTAINER_EXITED), "the exit code was lost")
        lines = self.lines()
        check(lines[-1] == "last", "the last word is missing")
        self.check_numbers(lines[:-1])
        check(self.bed.exec(self.other, "true").exit_code == 0, "the other container has ended")
        self.bed.run_pod(self.half)


OPERATIONS = [DaemonStart, RunPodSandboxWithNetwork, RunPodSandboxWithUserNamespace, CreateContainer,
              CreateContainerWithUserNamespace, RemovePodSandbox, StopPodSandbox, PullImage,
              RunPodSandboxSharingProcesses, RunPodSandbox, RemoveContainer, RemoveImage,
              StartContainerWithMappedVolume, StartContainer, StartShortContainer,
              RemoveRunningContainer, RemoveStoppedPodSandbox, StopContainer, ExecSync,
              LongExecSync, UpdateContainerResources, ExitWhileNobodyLooks]

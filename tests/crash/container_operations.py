"""Containers: created, started, executed in, changed, stopped and removed."""

import contextlib
import os
import signal

import grpc
from berth_testbed import wait_until
from crash_bed import DATA, VOLUMES
from node_operations import LAYERED
from operation import COUNTER, LINES, MAPPING, USER_NAMESPACE, Operation, check


class CreateContainer(Operation):
    """With an image mounted and volumes of the image."""

    calls = ("RuntimeService/CreateContainer",)
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


class CreateContainerOfLayers(CreateContainer):
    """Of an image with layers whose directories only lower ones describe."""

    image = LAYERED

    def setup(self):
        self.bed.pull(self.image)
        super().setup()

    def finish(self):
        super().finish()
        self.bed.remove_everything()
        self.bed.cri.RemoveImage({"image": {"image": self.image}})


class StartContainer(Operation):
    """A program that goes on."""

    calls = ("RuntimeService/StartContainer",)

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

    def settle(self):
        """Until its end is known, whoever was killed beside it."""
        wait_until(lambda: self.bed.doomed() or self.state_is("EXITED"),
                   what="the container's end")

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

    calls = ("RuntimeService/ExecSync",)
    exec_command = ("sh", "-c", "echo from the exec; exit 3")

    def setup(self):
        self.running()

    def act(self):
        self.answer = self.bed.exec(self.container, *self.exec_command)
        if self.loses_sandbox and self.answer.exit_code == 128 + signal.SIGKILL:
            self.bed.wait_exit(self.container)  # together with which it was killed
            return
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

    calls = ("RuntimeService/UpdateContainerResources",)

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


class UpdateCreatedContainerResources(UpdateContainerResources):
    """Of one that waits for its start."""

    def setup(self):
        self.run_pod()
        self.create()

    def finish(self):
        self.act()
        self.start()
        super().finish()


class StopContainer(Operation):
    """By its stop signal, with a last word and an exit code to be kept."""

    calls = ("RuntimeService/StopContainer",)

    def setup(self):
        self.running()
        self.ends = self.end()

    def act(self):
        self.bed.cri.StopContainer({"container_id": self.container, "timeout": 20})

    def settle(self):
        self.await_record(0)

    def finish(self):
        self.act()
        status = self.bed.status(self.container)
        self.check_told(self.ends)
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
            status = self.bed.cri.ContainerStatus(
                {"container_id": self.container}, timeout=1).status
        except grpc.RpcError:
            return self.bed.doomed()
        return status.state == self.bed.cri.messages.CONTAINER_EXITED

    def finish(self):
        if not self.state_is("EXITED"):
            with contextlib.suppress(grpc.RpcError):
                self.bed.exec(self.container, "touch", "/tmp/end")
        check(self.bed.wait_exit(self.container).exit_code == 9, "the exit code was lost")


class RemoveContainer(CreateContainer):
    """One with mounts, that has ended."""

    calls = ("RuntimeService/RemoveContainer",)

    def setup(self):
        super().setup()
        self.create()
        self.start()
        before = self.records()
        self.bed.cri.StopContainer({"container_id": self.container, "timeout": 0})
        self.await_record(before)

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

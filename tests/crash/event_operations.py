"""What happens to pods without anybody's asking, and those who are told of it."""

import contextlib
import os
import signal

import grpc
from berth_testbed import wait_until
from container_operations import StartContainer
from listener import Listener
from operation import Operation, check
from pod_operations import RemovePodSandbox


class RemoveWhileSomebodyListens(RemovePodSandbox):
    """Whoever listens to events is told of the removal, by this daemon or by the next."""

    calls = (*RemovePodSandbox.calls, "RuntimeService/GetContainerEvents")
    listeners = ()

    def setup(self):
        super().setup()
        self.listeners = []

    def act(self):
        self.listeners.append(Listener(self.bed))
        removal = self.bed.cri.RemovePodSandbox.future({"pod_sandbox_id": self.pod})
        # One that comes after the daemon's death would wait for the next daemon.
        wait_until(lambda: removal.done() or not self.bed.alive(), seconds=60)
        if removal.done():
            removal.result()
        else:
            removal.cancel()

    def settle(self):
        with contextlib.suppress(TimeoutError):
            wait_until(lambda: not self.bed.alive() or (self.all_told() and self.all_erased()),
                       seconds=2)
        self.close()

    def all_told(self):
        told = {identity for each in self.listeners
                for _, identity in set(each.of(self.pod, self.container))
                & {("deleted", self.pod), ("deleted", self.container)}}
        return told == {self.pod, self.container}

    def all_erased(self):
        """The records stay until the removal has been told of."""
        erased = [step for step in self.bed.daemon.steps() if step.startswith("erase record\t")]
        return len(erased) >= 2

    def finish(self):
        self.act()
        wait_until(self.all_told, what="that the removal is told of")
        self.close()

    def close(self):
        for each in self.listeners:
            each.leave()


class StartMissingProgram(StartContainer):
    """A program that is not there."""

    calls = ()
    command = ("/no/such/program",)

    def act(self):
        with contextlib.suppress(grpc.RpcError):
            self.start()

    def finish(self):
        if self.state_is("CREATED"):
            self.act()
        check(self.state_is("EXITED"), "the container has not ended: %s" % self.status_text())


class LoseMonitor(Operation):
    """A pod's monitor is killed while its container runs."""

    linux = {}

    def setup(self):
        self.running()

    def act(self):
        self.bed.kill_program(os.path.basename(self.bed.program(1)))
        wait_until(lambda: self.bed.doomed() or self.has_ended(), what="the report of its end")

    def has_ended(self):
        try:
            ready = self.bed.cri.messages.SANDBOX_READY
            return self.listed_pod().state != ready and self.state_is("EXITED")
        except grpc.RpcError:
            return not self.bed.alive()

    def finish(self):
        wait_until(self.has_ended, what="the pod's end")
        check(self.bed.status(self.container).exit_code == 128 + signal.SIGKILL,
              "the exit code is %d" % self.bed.status(self.container).exit_code)


class RemovePodWithoutMonitor(LoseMonitor):
    """One whose monitor was killed."""

    def setup(self):
        super().setup()
        super().act()

    def act(self):
        self.bed.cri.RemovePodSandbox({"pod_sandbox_id": self.pod})

    def finish(self):
        self.act()
        check(self.listed_pod() is None, "the pod is still listed")

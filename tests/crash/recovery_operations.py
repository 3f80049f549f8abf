"""The engine is started where something was cut off or damaged, or for the first time, and is cut
off again while it sees to that."""

import contextlib
import os
import shutil
import signal
import sqlite3

import grpc
import host
import machine
from checkpoint_operations import CheckpointContainer, CheckpointPod
from container_operations import CreateContainer, RemoveContainer, StopContainer
from crash_bed import VOLUMES
from image_set import TESTS
from node_operations import DaemonStart, PullImage
from operation import Operation, check
from pod_operations import RemovePodSandbox, RunPodSandboxWithNetwork
from upkeep_operations import command

RESTARTED = "the node was restarted"


class StartAfter(Operation):
    """`half` is an operation that was cut off at its first step whose name begins so: `cut`."""

    half = None
    cut = ""
    cut_at = None  # the step's whole name, once it is known

    def setup(self):
        self.inner = self.half(self.bed)
        self.inner.setup()
        cut_at = self.cut_at or self.find_cut()
        self.bed.daemon.reset(cut_at, 1)
        with contextlib.suppress(grpc.RpcError):
            self.inner.act()
            self.inner.settle()
        check(self.bed.await_death(), "the daemon did not die at " + cut_at)

    def find_cut(self):
        """Undisturbed once, which shows the step's whole name."""
        self.bed.daemon.reset()
        self.inner.act()
        self.inner.settle()
        steps = self.bed.daemon.steps()
        self.inner.finish()
        self.bed.remove_everything()
        self.inner.close()
        check(not self.bed.prove_clean(), "something is left without any crash")
        found = next((name for name in steps if name.startswith(self.cut)), None)
        check(found, "no step begins with %r among %s" % (self.cut, steps))
        type(self).cut_at = found
        self.inner = self.half(self.bed)
        self.inner.setup()
        return found

    def act(self):
        with contextlib.suppress(RuntimeError, TimeoutError, grpc.RpcError):
            self.bed.start_engine()

    def settle(self):
        self.bed.await_rest()

    def finish(self):
        self.inner.finish()

    def close(self):
        self.inner.close()


class StartAfterHalfCreate(StartAfter):
    """A container is half made."""

    half = CreateContainer
    cut = "attach mount\t"


class StartAfterHalfStop(StartAfter):
    """A container is half stopped."""

    half = StopContainer
    cut = "ask monitor\t"


class StartAfterHalfRemove(StartAfter):
    """A container is half removed."""

    half = RemoveContainer
    cut = "unmount\t"


class StartAfterHalfPodRemoval(StartAfter):
    """A pod is half removed."""

    half = RemovePodSandbox
    cut = "unmount\t"


class PullOneLayer(PullImage):
    """Of three layers two are there. Where others are unpacked beside it, how far they are when it is
    cut off differs each time."""

    reference = TESTS + "one-layer:1"


class StartAfterHalfPull(StartAfter):
    """A layer is half unpacked."""

    half = PullOneLayer
    cut = "mknod\t(layer)"


class StartAfterHalfCheckpoint(StartAfter):
    """An archive is half written."""

    half = CheckpointContainer
    cut = "create\t/tmp/BED/checkpoints/.berth-checkpoint"


class StartAfterHalfPodCheckpoint(StartAfter):
    """The first of a pod's parts is where it belongs."""

    half = CheckpointPod
    cut = "rename\t/tmp/BED/checkpoints/pod.dump"


class StartAfterHalfWrite(StartAfter):
    """A file of a pod's is written beside the one that it is to replace."""

    half = RunPodSandboxWithNetwork
    cut = "create\t/tmp/BED/root/plugins/network-cni"


class StartAfterReboot(DaemonStart):
    """The machine has been restarted: a pod is not ready any more, its containers have ended, and
    what it had is to be given back; so is what another one had whose creation was cut off."""

    cut_at = None  # a pod's creation is cut off when its network has been attached

    @staticmethod
    def is_cut(step):
        return step.startswith("rename\t") and step.endswith(".result")

    def setup(self):
        self.running()
        self.ended = self.bed.run(self.pod, "ended", command=["sh", "-c", "exit 9"])
        self.bed.wait_exit(self.ended)
        self.leave_half()
        check(len(self.bed.network.held_addresses()) == 2, "the pods have not two addresses")
        self.bed.reboot()

    def left_of_half(self):
        return super().left_of_half() + self.bed.network.held_addresses()

    def settle(self):
        super().settle()
        self.bed.await_rest()  # from the pod's stop

    def finish(self):
        self.settle()
        messages = self.bed.cri.messages
        check(self.listed_pod().state == messages.SANDBOX_NOTREADY, "the pod is ready")
        for container, code, why in ((self.container, 128 + signal.SIGKILL, RESTARTED),
                                     (self.ended, 9, "")):
            status = self.bed.status(container)
            check((status.state, status.exit_code, status.message)
                  == (messages.CONTAINER_EXITED, code, why), "a container's end is %s" % status)
        self.check_numbers([line for line in self.lines() if line])
        # Both names are free once the kubelet has taken the pod away.
        self.bed.remove_pod(self.pod)
        self.running()
        self.bed.run_pod(self.half, self.handler)

    def close(self):
        # What stands over a file of /proc keeps user namespaces from mounting one of their own.
        if not host.mounts(machine.BOOT_ID):
            return
        if self.bed.alive():
            self.bed.kill_engine()
        machine.old_boot()
        self.bed.start_engine()


class FirstStart(Operation):
    """Where the engine has never been."""

    def kept(self):
        return [(path, path + ".kept") for path in (self.bed.engine.root, self.bed.engine.state)]

    def setup(self):
        self.bed.kill_engine()
        for path, kept in self.kept():
            os.rename(path, kept)

    def act(self):
        with contextlib.suppress(RuntimeError, TimeoutError, grpc.RpcError):
            self.bed.start_engine()

    def finish(self):
        self.linux = {}
        self.bed.pull(self.image)
        self.running()
        self.bed.remove_everything()
        self.close()

    def close(self):
        if not os.path.exists(self.kept()[0][1]):
            return
        if self.bed.alive():
            self.bed.kill_engine()
        for path, kept in self.kept():
            shutil.rmtree(path, ignore_errors=True)
            os.rename(kept, path)
        self.bed.start_engine()


class StartWithDamage(Operation):
    """The records of a pod and of its container cannot be read: nobody could manage them. Neither
    can the list of the database's free pages."""

    linux = {}

    def setup(self):
        self.image = VOLUMES
        self.running()
        self.bed.kill_engine()
        with contextlib.closing(sqlite3.connect(self.bed.engine.root + "/berth.db",
                                                timeout=20)) as database:
            changed = database.execute("UPDATE records SET value = 'no record' "
                                       "WHERE kind IN ('pod', 'container')")
            check(changed.rowcount == 2, "%d records are damaged" % changed.rowcount)
            database.commit()
        with open(self.bed.engine.root + "/berth.db", "r+b") as database:
            database.seek(36)
            database.write(b"\x5a" * 4)

    def act(self):
        with contextlib.suppress(RuntimeError, TimeoutError, grpc.RpcError):
            self.bed.start_engine()

    def settle(self):
        self.bed.await_rest()

    def finish(self):
        check(self.listed_pod() is None, "the pod is listed")
        text = command(self.bed, "check", "--storage", "--quick", "--repair").stdout
        check("set aside" in text or "repaired" in text, "it does not tell of the damage: " + text)
        self.running()


HALVES = (StartWithDamage, StartAfterReboot, FirstStart, StartAfterHalfCreate, StartAfterHalfStop,
          StartAfterHalfRemove, StartAfterHalfPodRemoval, StartAfterHalfPull,
          StartAfterHalfCheckpoint, StartAfterHalfPodCheckpoint, StartAfterHalfWrite)

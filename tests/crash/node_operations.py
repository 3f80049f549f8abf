"""Images, and the start of the engine itself."""

import contextlib
import os

import grpc
from berth_testbed import wait_until
from crash_bed import gone, layers_folder
from engine_state import records
from image_set import TESTS
from operation import COUNTER, Operation, check

LAYERED = TESTS + "layers:1"


class PullImage(Operation):
    """Five layers of which two are there."""

    calls = ("ImageService/PullImage",)
    reference = LAYERED

    def act(self):
        self.bed.pull(self.reference)

    def finish(self):
        self.bed.pull(self.reference)
        self.use()

    def use(self):
        """Runs a container of it, and removes all."""
        self.image, self.command = self.reference, ("sh", "-c", "cat /lower/kept-file; sleep 1000")
        self.run_pod()
        self.create()
        self.start()
        self.await_lines(0)
        check(self.bed.exec(self.container, "cat", "/lower/kept-file").stdout == b"kept",
              "the image is not whole")
        self.bed.remove_everything()
        self.give_up()

    def give_up(self):
        self.bed.cri.RemoveImage({"image": {"image": self.reference}})


class RemoveImage(Operation):
    """With layers of its own, which go in the background."""

    calls = ("ImageService/RemoveImage",)
    reference = LAYERED

    def setup(self):
        self.before = set(os.listdir(layers_folder(self.bed)))
        self.bed.pull(self.reference)

    def act(self):
        self.bed.cri.RemoveImage({"image": {"image": self.reference}})

    def settle(self):
        gone(self.bed, self.before)

    def give_up(self):
        self.act()

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
    cut_at = None  # a pod's creation is cut off as its network is being attached

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
        self.leave_half()
        # As a version leaves them that does not note which root and state belong together.
        for folder in (self.bed.engine.root, self.bed.engine.state):
            os.unlink(os.path.join(folder, "identity.json"))
        with open(end, "w", encoding="utf-8"):
            pass
        wait_until(lambda: "last" in self.lines(), what="the container's last word")

    def leave_half(self):
        """Has the engine die in the middle of a pod's creation."""
        if self.cut_at is None:
            type(self).cut_at = self.find_cut()
        self.known = records(self.bed.engine)
        self.bed.daemon.reset(self.cut_at, 1)
        with contextlib.suppress(grpc.RpcError):
            self.bed.run_pod(self.half, self.handler)
        check(self.bed.await_death(), "the daemon did not die")

    def find_cut(self):
        self.bed.daemon.reset()
        pod = self.bed.run_pod(self.half, self.handler)
        steps = self.bed.daemon.steps()
        self.bed.remove_pod(pod)
        return next(filter(self.is_cut, steps))

    @staticmethod
    def is_cut(step):
        return step.startswith("start process\t") and step.endswith("/bridge")

    def act(self):
        with contextlib.suppress(RuntimeError, TimeoutError, grpc.RpcError):
            self.bed.start_engine()

    def settle(self):
        try:
            wait_until(lambda: self.bed.doomed() or not self.left_of_half(), what="the undoing")
        except TimeoutError:
            check(False, "the pod is not undone: %s" % self.left_of_half())

    def left_of_half(self):
        return self.half_listed() + sorted(records(self.bed.engine) - self.known)

    def half_listed(self):
        try:
            return [item for item in self.bed.cri.ListPodSandbox({}).items
                    if item.metadata.name == self.half]
        except grpc.RpcError:
            return []

    def finish(self):
        self.settle()
        ready = self.bed.cri.messages.SANDBOX_READY
        check(self.listed_pod().state == ready, "the pod is not ready")
        status = self.bed.status(self.container)
        check((status.exit_code, status.state)
              == (9, self.bed.cri.messages.CONTAINER_EXITED), "the exit code was lost")
        lines = self.lines()
        check(lines[-1] == "last", "the last word is missing")
        self.check_numbers(lines[:-1])
        check(self.bed.exec(self.other, "true").exit_code == 0, "the other container has ended")
        self.bed.run_pod(self.half)

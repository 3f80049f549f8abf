"""What a worker does: lists the points of a piece of work, cuts the operation off at one of them,
and proves what it must. What a piece and a point are: points.py.
"""

import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import subprocess
import time
import traceback

import engines
import faults
import grpc
import host
import machine
import proof
import shim_faults
import upkeep_operations
from berth_testbed import wait_until
from crash_bed import DATA, VOLUMES, CrashBed, flush_rules
from image_set import BUSYBOX
from operations import OF_OTHERS, OPERATIONS
from points import label, title

BY_NAME = {operation.__name__: operation
           for operation in [*OPERATIONS, *OF_OTHERS, shim_faults.LoseShim]}
# How often a point is tried that depends on which of two threads comes first.
ATTEMPTS = 3
# Within which it is told that a monitor has ended, and its pod with it.
LOSS_SECONDS = 10


class Reporter:
    """Writes results into a pipe, one line each; those of several workers do not mix."""

    def __init__(self, pipe, lock):
        self._stream = os.fdopen(pipe, "w", encoding="utf-8")
        self._lock = lock

    def __call__(self, result):
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        self._stream.write(json.dumps(result) + "\n")
        self._stream.flush()
        fcntl.flock(self._lock, fcntl.LOCK_UN)


class Worker:
    """One bed, used for one point after the other."""

    def __init__(self, build, report):
        self.build = build
        self.report = report  # called with a dictionary for each point
        self.bed = None
        self.places = {}  # of the last operation that went on undisturbed: program → control's

    def open(self):
        self.bed = CrashBed(faults.wrap_runtime, faults.wrap_cni, build=self.build)
        template = upkeep_operations.template(self.bed)
        self.bed.network.settings = "template = " + engines.toml(template)
        self.bed.shim = shim_faults.wrap_shim(self.bed, engines.SHIM)
        self.bed.start()
        self.make_clean()

    def close(self):
        if self.bed:
            self.bed.close()

    def make_clean(self):
        """The images, what the first pod and the first container make for all, and nothing else."""
        for image in (BUSYBOX, DATA, VOLUMES):
            self.bed.pull(image)
        for piece in (("", "CreateContainer", "", ""), ("", "RemovePodSandbox", "", ""),
                      ("", "CheckpointContainer", "", ""),
                      *(("shim", *call) for call in shim_faults.calls()[:1]),
                      *(("shim", *call) for call in shim_faults.calls()[-1:])):
            first = self.operation(piece)
            first.setup()
            first.act()
            self.bed.remove_everything()
            first.close()
        # Once with what a restart makes.
        self.bed.kill_engine()
        self.bed.start_engine()
        self.bed.note_clean()

    def prove(self):
        proof.prove(self.bed, self.report)

    def list_steps(self, piece):
        """Reports the steps of an operation that is not cut off."""
        failures = []
        steps = []
        self.places = {}
        try:
            steps = self.dry_run(piece)
        except Exception:  # what the dry run says is a result as well
            failures.append(traceback.format_exc())
        self.report({"piece": piece, "steps": steps, "failures": failures,
                     "places": self.places,
                     "log": self.bed.log_tail(60) if failures else ""})
        if failures:
            self.start_over()

    def run(self, point):
        """Reports one point, which is tried again as long as it is not met."""
        begun = time.monotonic()
        failures = []
        for attempt in range(1, ATTEMPTS + 1):
            hit, new = self.attempt(point)
            failures += new
            if hit or failures:
                break
        piece = point[0]
        text = title(piece).partition("/")[2]
        self.report({"kind": piece[0], "operation": text, "point": label(point), "spec": point,
                     "failures": failures, "hit": hit, "attempts": attempt,
                     "seconds": time.monotonic() - begun,
                     "log": self.bed.log_tail(60) if failures else ""})
        if failures:
            self.start_over()

    def start_over(self):
        """After a failure: nothing of it may show at the next point."""
        for control in self.bed.controls:
            control.disarm()
        faults.withdraw(self.bed)
        self.bed.kills.withdraw()
        machine.old_boot()
        self.bed.sweep()
        self.bed.start_engine()
        self.make_clean()

    def operation(self, piece):
        kind, name, _, word = piece
        operation = BY_NAME[name](self.bed)
        if kind == "shim" or word == shim_faults.HANDLER:
            operation.handler = word
        return operation

    # One point.

    def attempt(self, point):
        """Whether the point was met, and what went wrong."""
        piece = point[0]
        kind = piece[0]
        self.bed.ignored = faults.lost_rules(point)
        failures = []
        hit = False
        op = self.operation(piece)
        try:
            op.setup()
            op.loses_sandbox = piece[2] == "sandbox"
            self.arm(point)
            with contextlib.suppress(grpc.RpcError):
                op.act()
                op.settle()
            hit = getattr(self, "after_" + kind)(piece)
            if kind != "daemon":
                op.give_up()
                failures += self.bed.remove_everything()
                failures += self.bed.prove_clean()
                # Once more, now in peace.
                op.close()
                op = self.operation(piece)
                op.setup()
                op.act()
            op.finish()
            failures += self.bed.remove_everything()
            failures += self.bed.prove_clean()
        except Exception as error:  # one point's failure must not hide the others
            details = error.details() if isinstance(error, grpc.RpcError) else ""
            failures.append("%s %s" % (traceback.format_exc(), details))
            failures += self.bed.under_way()
        try:
            op.close()
        except Exception:
            failures.append(traceback.format_exc())
        if self.bed.ignored:
            flush_rules()
        self.bed.ignored = ()
        return hit, failures

    def whose(self, kind):
        """The control of the program of the project's own that dies in pieces of this kind."""
        return {"daemon": self.bed.daemon, "reboot": self.bed.daemon, "monitor": self.bed.monitor,
                "keeper": self.bed.keeper}.get(kind)

    def arm(self, point):
        (kind, _, whom, word), what, name, occurrence, _ = point
        if self.whose(kind):
            self.whose(kind).reset(name, occurrence)
        elif kind == "shim":
            self.bed.kills.request(whom, what, name, occurrence)
        else:
            faults.request(self.bed, whom, word, what, name, occurrence)

    def dry_run(self, piece):
        with contextlib.closing(self.operation(piece)) as op:
            return self.steps_of(piece, op)

    def steps_of(self, piece, op):
        kind, _, whom, word = piece
        op.setup()
        if kind == "shim":
            self.bed.kills.request(whom, "list")
        elif whom:
            faults.request(self.bed, whom, word, "list")
        for control in self.bed.controls:
            control.reset()
        op.act()
        op.settle()
        # Those where nobody would be killed are not met.
        self.places = {control.program: control.places()
                       for control in self.bed.controls if control is self.whose(kind)}
        if kind == "shim":
            steps = shim_faults.steps_of(whom, self.bed.kills.withdraw()[0])
        elif whom:
            steps, _ = faults.withdraw(self.bed)
        else:
            steps = self.whose(kind).steps()
        op.finish()
        left = self.bed.remove_everything()
        op.close()
        left += self.bed.prove_clean()
        if left:
            raise AssertionError("left without any crash: " + "; ".join(left))
        if not steps:
            raise AssertionError("no step was taken")
        return steps

    def after_daemon(self, _):
        """The daemon has died, or did not come to its point this time."""
        hit = self.died()
        if not hit:
            self.bed.kill_engine()
        self.bed.start_engine()
        return hit

    def died(self):
        control = self.bed.daemon
        hit = bool(control.killed())
        if hit:
            self.bed.await_death()
        control.disarm()
        return hit

    def after_reboot(self, _):
        hit = self.died()
        if self.bed.alive():
            self.bed.kill_engine()
        # What a machine forgets: processes, mounts, devices, rules, cgroups, and /run.
        bed = self.bed
        host.kill(pid for pid in machine.processes() if pid not in bed.clean["processes"])
        for path in host.mounts(bed.folder) + host.mounts("/run/netns/"):
            host.libc.umount2(path.encode(), host.MNT_DETACH)
        for path in os.listdir("/run/netns"):
            os.unlink("/run/netns/" + path)
        for link in host.links():
            subprocess.run(["ip", "link", "delete", link], check=False, stderr=subprocess.DEVNULL)
        flush_rules()
        bed.remove_cgroups()
        shutil.rmtree(bed.engine.state)
        machine.old_boot()
        machine.new_boot(bed.folder)
        bed.clean["mounts"] = machine.mounts()
        bed.start_engine()
        return hit

    @staticmethod
    def await_kill(killed):
        """What is cut off may take the step a moment after the operation has its answer."""
        with contextlib.suppress(TimeoutError):
            wait_until(killed, seconds=1)

    def after_monitor(self, _):
        self.await_kill(self.bed.monitor.killed)
        hit = bool(self.bed.monitor.killed())
        self.bed.monitor.disarm()
        if hit:
            self.examine_loss()
        return hit

    def examine_loss(self):
        """What is to be seen when a monitor has ended: its pod's end, and each container's as it was
        written down before, if it was."""
        known = {}
        for path in glob.glob(self.bed.engine.state + "/pods/*/runtime/monitor/exits/*"):
            if code := re.search(r"^exit_code=(\d+)$", host.read(path), re.MULTILINE):
                known[os.path.basename(path)] = int(code[1])
        wait_until(lambda: not shim_faults.busy(self.bed), LOSS_SECONDS, "the pod's end")
        for container in self.bed.cri.ListContainers({}).containers:
            code = known.get(container.id)
            told = self.bed.status(container.id).exit_code
            if code not in (None, told):
                raise AssertionError("%s has ended with %d, and %d is told" % (
                    container.id, code, told))

    def after_keeper(self, _):
        """Another one is started, and the pod goes on."""
        hit = bool(self.bed.keeper.killed())
        self.bed.keeper.disarm()
        if hit:
            shim_faults.examine_goes_on(self.bed)
        return hit

    def after_runtime(self, _):
        return faults.withdraw(self.bed)[1]

    def after_shim(self, piece):
        self.await_kill(self.bed.kills.is_met)
        _, killed = self.bed.kills.withdraw()
        if killed:
            shim_faults.examine(self.bed, piece, killed)
        return bool(killed)

    after_cni = after_runtime

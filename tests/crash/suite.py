"""What a worker does: cuts each operation off at each of its points, and proves what it must.

A piece of work is (kind, operation). Kinds:

    daemon    berthd dies after its n-th durable step, and is started again
    reboot    the same, but the whole machine goes down with it
    monitor   berth-monitor dies after its n-th durable step; the daemon goes on
    runtime   the OCI runtime is killed before, during or after its work
    cni       a CNI plugin is killed before or after its work
"""

import contextlib
import os
import re
import shutil
import subprocess
import time
import traceback

import faults
import grpc
import host
import machine
from crash_bed import DATA, VOLUMES, CrashBed, flush_rules
from image_set import BUSYBOX
from operations import OPERATIONS

BY_NAME = {operation.__name__: operation for operation in OPERATIONS}
MONITOR_OPERATIONS = (
    "RunPodSandboxWithUserNamespace", "RunPodSandboxSharingProcesses", "StartContainer",
    "StartShortContainer", "ExecSync", "StopContainer", "RemoveContainer", "StopPodSandbox",
    "RemovePodSandbox")
REBOOT_OPERATIONS = ("RunPodSandboxWithNetwork", "CreateContainer", "StopPodSandbox",
                     "RemovePodSandbox")
MANY = ("(tree)", "(layer)")


def all_work():
    """The longest first."""
    work = [("daemon", operation.__name__) for operation in OPERATIONS]
    work += [("monitor", name) for name in MONITOR_OPERATIONS]
    work += [("reboot", name) for name in REBOOT_OPERATIONS]
    work += [("runtime", name) for name in dict.fromkeys(name for name, _ in faults.RUNTIME_FAULTS)]
    work += [("cni", name) for name in dict.fromkeys(name for name, _ in faults.CNI_FAULTS)]
    return work


def chosen(steps):
    """The steps to be the last, as Control.reset takes them: of many that remove a tree or unpack
    a layer the first, the last, and of each primitive one in the middle among its like, since
    layers are unpacked side by side, in another order each time."""
    points = []
    seen = {}
    begin = 0
    while begin < len(steps):
        end = begin + 1
        if steps[begin][1] in MANY:
            while end < len(steps) and steps[end][1] in MANY:
                end += 1
        points += [(number, "") for number in sorted({begin + 1, end})]
        alike = {}
        for primitive, _ in steps[begin:end]:
            alike[primitive] = alike.get(primitive, 0) + 1
        if end - begin > 2:
            points += [(seen.get(primitive, 0) + (count + 1) // 2, primitive)
                       for primitive, count in sorted(alike.items())]
        for primitive, count in alike.items():
            seen[primitive] = seen.get(primitive, 0) + count
        begin = end
    return points


def name_of(point):
    return "step %d %s" % point if point[1] else "step %d" % point[0]


class Worker:
    """One bed, used for one point after the other."""

    def __init__(self, build, report):
        self.build = build
        self.report = report  # called with a dictionary for each point
        self.bed = None

    def open(self):
        self.bed = CrashBed(faults.wrap_runtime, faults.wrap_cni, build=self.build)
        self.bed.start()
        self.make_clean()

    def close(self):
        if self.bed:
            self.bed.close()

    def make_clean(self):
        """The images, what the first pod and the first container make for all, and nothing else."""
        for image in (BUSYBOX, DATA, VOLUMES):
            self.bed.pull(image)
        for operation in (BY_NAME["CreateContainer"], BY_NAME["RemovePodSandbox"]):
            first = operation(self.bed)
            first.setup()
            first.act()
            self.bed.remove_everything()
        # Once with what a restart makes.
        self.bed.kill_engine()
        self.bed.start_engine()
        self.bed.note_clean()

    def run(self, kind, name):
        try:
            getattr(self, "run_" + kind)(BY_NAME[name])
        except Exception:  # what the dry run says is a result as well
            self.result(kind, name, "dry run", [traceback.format_exc()])
            self.start_over()

    def result(self, kind, name, point, failures, hit=True, begun=None):
        folder = self.bed.folder
        def tidy(text):
            text = text.replace(folder + "/", "")
            text = re.sub(r"\b[0-9a-f]{32,}\b", "ID", text)
            return re.sub(r"\.[0-9a-f]{16}\.tmp", ".tmp", re.sub(r"/[0-9]+/ns", "/PID/ns", text))
        self.report({"kind": kind, "operation": name, "point": tidy(point), "failures": failures,
                     "hit": hit, "seconds": time.monotonic() - (begun or time.monotonic()),
                     "log": self.bed.log_tail(60) if failures else ""})

    def start_over(self):
        """After a failure: nothing of it may show at the next point."""
        self.bed.daemon.disarm()
        self.bed.monitor.disarm()
        faults.withdraw(self.bed)
        machine.old_boot()
        self.bed.sweep()
        self.bed.start_engine()
        self.make_clean()

    # One point.

    def point(self, kind, operation, name, before, after):
        """`before(op)` is done between setup and operation, `after(op)` behind it: it says whether
        the point was met."""
        begun = time.monotonic()
        failures = []
        label = name
        hit = True
        try:
            op = operation(self.bed)
            op.setup()
            before(op)
            with contextlib.suppress(grpc.RpcError):
                op.act()
                op.settle()
            hit, label = after(op)
            failures += self.bed.remove_everything() if kind != "daemon" else []
            if kind != "daemon":
                failures += self.bed.prove_clean()
                # Once more, now in peace.
                op = operation(self.bed)
                op.setup()
                op.act()
            op.finish()
            failures += self.bed.remove_everything()
            failures += self.bed.prove_clean()
        except Exception as error:  # one point's failure must not hide the others
            details = error.details() if isinstance(error, grpc.RpcError) else ""
            failures.append("%s %s" % (traceback.format_exc(), details))
        self.result(kind, operation.__name__, "%s: %s" % (name, label), failures, hit, begun)
        if failures:
            self.start_over()

    def dry_run(self, operation, control):
        op = operation(self.bed)
        op.setup()
        control.reset()
        op.act()
        op.settle()
        steps = control.steps()
        op.finish()
        left = self.bed.remove_everything() + self.bed.prove_clean()
        if left:
            raise AssertionError("left without any crash: " + "; ".join(left))
        return steps

    def run_daemon(self, operation):
        for step in chosen(self.dry_run(operation, self.bed.daemon)):
            self.point("daemon", operation, name_of(step),
                       lambda _, step=step: self.bed.daemon.reset(*step), self.restart)

    def restart(self, _):
        """The daemon has died, or the operation took fewer steps this time."""
        hit = self.died()
        if not hit:
            self.bed.kill_engine()
        self.bed.start_engine()
        return hit, self.bed.daemon.last_step() if hit else "not met"

    def died(self):
        control = self.bed.daemon
        hit = bool(control.killed())
        if hit:
            self.bed.await_death()
        control.disarm()
        return hit

    def run_reboot(self, operation):
        for step in chosen(self.dry_run(operation, self.bed.daemon)):
            self.point("reboot", operation, name_of(step),
                       lambda _, step=step: self.bed.daemon.reset(*step), self.reboot)

    def reboot(self, _):
        hit = self.died()
        if self.bed.alive():
            self.bed.kill_engine()
        label = self.bed.daemon.last_step() if hit else "not met"
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
        host.remove_cgroups(bed._cgroups())
        shutil.rmtree(bed.engine.state)
        machine.old_boot()
        machine.new_boot(bed.folder)
        bed.clean["mounts"] = machine.mounts()
        bed.start_engine()
        return hit, label

    def run_monitor(self, operation):
        for step in chosen(self.dry_run(operation, self.bed.monitor)):
            self.point("monitor", operation, name_of(step),
                       lambda _, step=step: self.bed.monitor.reset(*step), self.bereaved)

    def bereaved(self, _):
        control = self.bed.monitor
        hit = bool(control.killed())
        control.disarm()
        return hit, control.last_step() if hit else "not met"

    def run_runtime(self, operation):
        self.run_faults("runtime", operation, faults.RUNTIME_FAULTS)

    def run_cni(self, operation):
        self.run_faults("cni", operation, faults.CNI_FAULTS)

    def run_faults(self, kind, operation, table):
        for name, words in table:
            if name == operation.__name__:
                lost = words[:2] == faults.RULES_ARE_LOST
                self.bed.ignored = ("packet filter rule",) if lost else ()
                self.point(kind, operation, " ".join(words),
                           lambda _, words=words: faults.request(self.bed, words),
                           lambda _: (faults.withdraw(self.bed), "killed"))
                self.bed.ignored = ()
                if lost:
                    flush_rules()

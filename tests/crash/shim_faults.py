"""Pods through containerd's shim: its program, the shim, the sandbox or the keeper is killed.

The shim runs behind tests/testbed/shims/proxy.py, whose steps these are: each call of the task
service and each run of the program. A pod whose shim or sandbox is gone must be reported as ended
within five seconds; a pod whose keeper is gone goes on."""

import os
import signal
import time

import engines
import grpc
import pace
import shim_pods
from berth_testbed import wait_until
from operation import Operation, check

HANDLER = "shim"
REPORT_SECONDS = 5
REASON_SECONDS = 2  # from then on
BEGINNING = ("RunPodSandboxWithNetwork", "RunPodSandboxSharingProcesses")
RUNNING = ("StartContainer", "StartShortContainer", "ExecSync", "LongExecSync",
           "UpdateContainerResources", "ExitWhileNobodyLooks")
ENDING = ("StopContainer", "RemoveContainer", "RemoveRunningContainer", "StopPodSandbox",
          "RemovePodSandbox")


def is_there():
    return os.access(engines.SHIM, os.X_OK)


def wrap_shim(bed, real):
    """Gives the bed `kills`, and the shim behind the proxy, if there is one."""
    path, bed.kills = shim_pods.proxied(bed.folder, real)
    return path if is_there() else None


def calls():
    """(operation, whom, handler)"""
    if not is_there():
        return []
    return [(operation, whom, HANDLER) for whom, operations in (
        ("shim", (*BEGINNING, *RUNNING, *ENDING)), ("keeper", (*BEGINNING, *RUNNING, *ENDING)),
        ("sandbox", (*RUNNING, *ENDING)), ("program", (*BEGINNING, LoseShim.__name__)))
        for operation in operations]


class LoseShim(Operation):
    """A pod's shim is killed while its container runs."""

    linux = {}

    def setup(self):
        self.running()

    def act(self):
        self.bed.kill_program(os.path.basename(engines.SHIM))
        wait_until(self.ended_or_dead, what="the report of the pod's end")

    def ended_or_dead(self):
        try:
            return not busy(self.bed, 1)
        except grpc.RpcError:
            return not self.bed.alive()

    def finish(self):
        await_report(self.bed, time.time())
        check(self.bed.status(self.container).exit_code == 128 + signal.SIGKILL,
              "the exit code is %d" % self.bed.status(self.container).exit_code)
        self.check_numbers([line for line in self.lines() if line])


def steps_of(whom, steps):
    """Those at which somebody can be killed."""
    if whom == "program":
        return [step for step in steps if step.split()[1] in ("start", "delete")]
    return steps


def busy(bed, patience=pace.PATIENCE):
    """Pods that are ready and containers that run."""
    messages = bed.cri.messages
    return [item.id for item in bed.cri.ListPodSandbox({}, timeout=patience).items
            if item.state == messages.SANDBOX_READY] + [
        item.id for item in bed.cri.ListContainers({}, timeout=patience).containers
        if item.state == messages.CONTAINER_RUNNING]


def await_report(bed, since):
    """That nothing is busy any more, which is to be told in time since then."""
    wait_until(lambda: not busy(bed), pace.PATIENCE, "the report of the pod's end")
    taken = time.time() - since
    check(pace.within(bed, REPORT_SECONDS, taken), "it was reported after %.1f s" % taken)


def goes_on(bed, container):
    """Until another keeper is there, nothing can be executed."""
    try:
        return bed.exec(container, "echo", "on").stdout == b"on\n"
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:
            return False
        # Meanwhile it may have ended by itself.
        code = bed.wait_exit(container).exit_code
        check(code < 128, "the exit code is %d" % code)
        return True


def says_why(bed, container):
    """It may come a little after the end."""
    message = bed.status(container).message
    return "shim" in message or "sandbox" in message


def examine_goes_on(bed):
    """What is to be seen when a keeper has ended."""
    for container in bed.cri.ListContainers({}).containers:
        if container.state == bed.cri.messages.CONTAINER_RUNNING:
            pace.wait_within(bed, REPORT_SECONDS, lambda each=container.id: goes_on(bed, each),
                             "another keeper")


def examine(bed, piece, killed):
    """What is to be seen of a kill."""
    _, name, whom, _ = piece
    if whom == "keeper":
        examine_goes_on(bed)
    if whom not in ("shim", "sandbox"):
        return
    # After an operation that has gone on for longer, it is told at once.
    await_report(bed, max(killed, time.time() + 0.5 - REPORT_SECONDS))
    if name not in RUNNING:
        return
    for container in bed.cri.ListContainers({}).containers:
        if bed.status(container.id).exit_code == 128 + signal.SIGKILL:
            pace.wait_within(bed, REASON_SECONDS, lambda each=container.id: says_why(bed, each),
                             "the reason of the container's end")

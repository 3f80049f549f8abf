"""Runtimes in processes of their own, and pods of theirs that do not answer."""

import contextlib
import os
import signal

import grpc
import pytest
from asking import shell
from berth_testbed import wait_until
from engines import SHIM
from holding import stop
from shim_pods import commands
from test_containers import SLEEP
from test_event_delivery import monitor_of
from test_isolation import back, processes, until

pytestmark = pytest.mark.berth
COMMAND = ["sh", "-c", "sleep 4711 & wait"]
ISOLATED = 'isolation = "process"\n'
THROUGH_SHIM = """[runtimes.shim]
plugin = "runtime-kata"
%s[runtimes.shim.options]
shim = "%s"
isolation = "namespaces"
""" % (ISOLATED, SHIM)


class Node:
    """Two pods of one handler; what stands between the engine and the first one can be stopped."""

    def __init__(self, bed, instance, name, find):
        self.bed, self.instance = bed, instance
        pod = bed.run_pod(name + "-silent", handler=instance)
        self.silent = bed.run(pod, "c", command=SLEEP)
        self.between = find(bed, pod)
        self.other = bed.run(bed.run_pod(name, handler=instance), "c", command=SLEEP)
        self.process = processes(bed)[instance]

    @contextlib.contextmanager
    def silence(self):
        stop(self.between)
        try:
            yield
        finally:
            os.kill(self.between, signal.SIGCONT)

    def descendants(self):
        return [line for line in commands(self.bed, "sleep").values() if "4711" in line]


def shim_of(bed, _):
    (pid,) = commands(bed, os.path.basename(SHIM))
    return pid


@pytest.fixture(params=["runc", "shim"])
def node(own_bed, name, request):
    if request.param == "runc":
        return Node(own_bed(settings="[runtimes.runc]\n" + ISOLATED), "runc", name, monitor_of)
    return Node(own_bed(settings=THROUGH_SHIM), "shim", name, shim_of)


def test_giving_up_a_command_of_a_pod_that_is_silent(node):
    """It ends once the pod answers again, and takes nothing from others until then."""
    bed = node.bed
    call = bed.cri.ExecSync.future(
        {"container_id": node.silent, "cmd": COMMAND, "timeout": 6}, timeout=60)
    wait_until(node.descendants, what="the command")
    with node.silence():
        assert not call.done(), "it was too late for the test"
        assert call.exception(timeout=60).code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert shell(bed, node.other, "echo alive") == "alive"
        assert processes(bed)[node.instance] == node.process
    wait_until(lambda: not node.descendants(), what="the command's end")
    assert shell(bed, node.silent, "echo alive") == "alive"


def test_a_new_process_beside_a_pod_that_is_silent(node):
    """It serves the others at once, and that one when it answers again."""
    bed = node.bed
    with node.silence():
        os.kill(node.process[0], signal.SIGKILL)
        back(bed, node.instance, node.process[0])
        assert shell(bed, node.other, "echo alive") == "alive"

    def answers():
        with contextlib.suppress(grpc.RpcError):
            return shell(bed, node.silent, "echo alive") == "alive"
        return False
    until(answers)
    assert processes(bed)[node.instance][1] == node.process[1] + 1

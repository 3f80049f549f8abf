"""Pods of which the sandbox's process ends, and nothing hangs on it: it is one of this host, and
the containers do not share its PID namespace. For the others see test_shim.py."""

import os
import signal
import time

import pace
import pytest
from asking import out, verbose
from berth_testbed import wait_until
from engines import SHIM
from host import read
from losses import is_ready
from shim_pods import commands, shims

pytestmark = [pytest.mark.berth, pytest.mark.skipif(
    not os.access(SHIM, os.X_OK), reason="SKIPPED: there is no " + SHIM)]
APART = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}
OF_THE_HOST = {"security_context": {"namespace_options": {"pid": "NODE"}}}
SLEEP = ["sleep", "1000"]
SLOW = ["sh", "-c", "trap 'sleep 2; exit 7' TERM; touch /tmp/ready; while :; do sleep 0.05; done"]
NOTICED = "a pod goes on without its sandbox's process"


@pytest.fixture
def bed(shim_bed):
    return shim_bed


def run_slow(bed, pod, linux):
    container = bed.run(pod, "slow", linux=linux, command=SLOW)
    wait_until(lambda: bed.exec(container, "test", "-e", "/tmp/ready").exit_code == 0,
               what="its trap")
    return container


def end_sandbox(bed, number):
    """Returns when the daemon knows of it."""
    (sandbox,) = commands(bed, "pause")
    noticed = read(bed.log_path).count(NOTICED)
    os.kill(sandbox, number)
    wait_until(lambda: sandbox not in commands(bed, "pause"), what="the end of the sandbox")
    wait_until(lambda: read(bed.log_path).count(NOTICED) > noticed, what="that it is noticed")


def test_all_processes_are_asked_to_end(bed, name):
    """As by a node that is shut down: containers take the time that they need."""
    pod = bed.run_pod(name, linux=APART)
    container = run_slow(bed, pod, APART)
    first = verbose(bed.cri.ContainerStatus, {"container_id": container})["pid"]
    end_sandbox(bed, signal.SIGTERM)
    os.kill(first, signal.SIGTERM)
    status = bed.wait_exit(container, pace.PATIENCE)
    assert (status.exit_code, status.reason, status.message) == (7, "Error", "")
    assert is_ready(bed, pod)
    bed.remove_pod(pod)
    wait_until(lambda: not shims(bed), what="the end of the shim")


@pytest.mark.parametrize("linux", [APART, OF_THE_HOST], ids=["apart", "of the host"])
def test_a_killed_sandbox_ends_nothing(bed, name, linux):
    pod = bed.run_pod(name, linux=linux)
    container = bed.run(pod, "c", linux=linux, command=SLEEP)
    slow = run_slow(bed, pod, linux)
    end_sandbox(bed, signal.SIGKILL)
    time.sleep(1)  # a loss would have ended them by now
    assert out(bed, container, "echo", "on") == "on\n"
    assert is_ready(bed, pod)
    # What is asked of a pod is done as before.
    other = bed.run(pod, "d", linux=linux, command=["sh", "-c", "exit 5"])
    assert bed.wait_exit(other).exit_code == 5
    bed.cri.StopContainer({"container_id": slow, "timeout": 30}, timeout=60)
    assert bed.status(slow).exit_code == 7
    # An exit like those of a loss is its own.
    stopped = pace.took(lambda: bed.cri.StopContainer({"container_id": container, "timeout": 0}))
    status = bed.status(container)
    assert (status.exit_code, status.message) == (137, "")
    assert pace.within(bed, 2, stopped)
    bed.remove_pod(pod)
    wait_until(lambda: not shims(bed), what="the end of the shim")


def test_the_sandbox_ends_while_no_daemon_looks(bed, name):
    pod = bed.run_pod(name, linux=APART)
    container = bed.run(pod, "c", linux=APART, command=SLEEP)
    (sandbox,) = commands(bed, "pause")
    bed.kill_engine()
    os.kill(sandbox, signal.SIGTERM)
    wait_until(lambda: sandbox not in commands(bed, "pause"), what="the end of the sandbox")
    for _ in range(2):  # one daemon after the other
        noticed = read(bed.log_path).count(NOTICED)
        bed.start_engine()
        wait_until(lambda before=noticed: read(bed.log_path).count(NOTICED) > before,
                   what="that it is noticed")
        assert is_ready(bed, pod)
        assert out(bed, container, "echo", "on") == "on\n"
        bed.kill_engine()
    bed.start_engine()
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod}, timeout=60)
    status = bed.status(container)
    assert (status.exit_code, is_ready(bed, pod)) == (137, False)
    bed.cri.RemovePodSandbox({"pod_sandbox_id": pod}, timeout=60)
    assert not commands(bed, "berth-keeper")

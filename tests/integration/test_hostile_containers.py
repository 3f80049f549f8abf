"""What a container without any rights may try on its node."""

import contextlib
import os
import resource
import signal
import subprocess
import time

import pytest

import grpc
import host
import pace
from berth_testbed import wait_until
from crictl_at_work import run, started
from image_set import TESTS

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
NOBODY = 65534
# BusyBox's cat splices. Once the loud one has filled the pipe, and its reader has made room, cat
# has the pipe's lock while there is more to read, until its terminal says something: never.
HOLD = "yes & cat /dev/ptmx"


def commands(bed):
    return host.processes(bed.folder, bed.mark)


SPLICING = {"40", "275"}  # sendfile and splice, as x86-64 counts system calls


def state(pid):
    return host.read("/proc/%d/stat" % pid).rpartition(")")[2].split()[:1]


def holds(pid):
    """It waits for its terminal, not for the pipe's lock, which it has therefore."""
    return (state(pid) == ["S"]
            and host.read("/proc/%d/syscall" % pid).partition(" ")[0] in SPLICING)


def await_hold(bed, count=1):
    def holders():
        return [pid for pid, command in commands(bed).items()
                if command.startswith("cat") and "/dev/ptmx" in command]
    wait_until(lambda: len(holders()) == count and all(holds(pid) for pid in holders()),
               what="the hold of the pipe")


def await_no_holder(bed):
    wait_until(lambda: "/dev/ptmx" not in " ".join(commands(bed).values()),
               what="the end of who held the pipe")


def held_probe(bed, container):
    """The call of a command that ends and leaves its output held."""
    probe = bed.cri.ExecSync.future({
        "container_id": container, "timeout": 0,
        "cmd": ["sh", "-c", HOLD + " & while ! test -e /end; do sleep 0.1; done"]}, timeout=120)
    await_hold(bed)
    assert bed.exec(container, "touch", "/end").exit_code == 0
    return probe


def test_the_output_of_a_command_that_is_held(bed, pod):
    """The call ends soon after the command, says why, and nothing of the output is kept."""
    container = bed.run(pod, "c", command=SLEEP)
    probe = held_probe(bed, container)
    begun = time.monotonic()
    error = probe.exception(60)
    assert pace.within(bed, 20, time.monotonic() - begun)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert "holds its output" in error.details()
    assert bed.exec(container, "echo", "on").stdout == b"on\n"
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    await_no_holder(bed)


@pytest.mark.parametrize("grace", [0, 1])
def test_a_monitor_that_its_container_holds(bed, pod, grace):
    container = bed.run(pod, "c", command=["sh", "-c", HOLD])
    await_hold(bed)
    begun = time.monotonic()
    bed.cri.StopContainer({"container_id": container, "timeout": grace}, timeout=60)
    assert pace.within(bed, 25, time.monotonic() - begun)
    assert bed.status(container).exit_code == 137
    assert bed.wait_exit(bed.run(pod, "next", command=["true"])).exit_code == 0


def test_a_pod_whose_monitor_is_held_ends(bed, name):
    pod = bed.run_pod(name)
    bed.run(pod, "c", command=["sh", "-c", HOLD])
    await_hold(bed)
    assert pace.within(bed, 25, pace.took(lambda: bed.remove_pod(pod)))


def test_streams_that_are_held_hold_up_no_others(bed, pod, transport):
    """More of them than the streaming server has threads."""
    held = 3
    container = bed.run(pod, "c", command=SLEEP)
    with contextlib.ExitStack() as clients:
        for _ in range(held):
            clients.enter_context(started(bed, "exec", "-r", transport, container, "sh", "-c", HOLD,
                                          stdout=subprocess.DEVNULL))
        await_hold(bed, held)
        assert run(bed, "exec", "-r", transport, container, "echo", "on").stdout == b"on\n"
    # Their clients are gone, so they are killed.
    await_no_holder(bed)
    assert run(bed, "exec", "-r", transport, container, "echo", "on").stdout == b"on\n"


def is_gone(pid):
    """But for threads that are held."""
    return state(pid) in ([], ["Z"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_daemon_that_a_container_holds_is_replaced(own_bed, number):
    """By what a probe has left behind, and by a stream's command, each with a thread of its own."""
    bed = own_bed()
    pod = bed.run_pod("pod")
    container = bed.run(pod, "c", command=SLEEP)
    assert held_probe(bed, container).exception(60).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    with started(bed, "exec", container, "sh", "-c", HOLD, stdout=subprocess.DEVNULL):
        await_hold(bed, 2)
        before = bed.pid
        os.kill(before, number)
        wait_until(lambda: not host.listens(bed.engine.socket), what="the end of its socket")
        wait_until(lambda: is_gone(before), seconds=60, what="the end of its other threads")
        bed.start_engine()
    assert bed.exec(container, "echo", "on").stdout == b"on\n"
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    await_no_holder(bed)
    bed.remove_pod(pod)


def can(test, path):
    return subprocess.run(["test", test, path], user=NOBODY, group=NOBODY, extra_groups=[],
                          check=False).returncode == 0


def test_nobody_else_of_the_host_gets_at_what_a_container_has(bed, pod):
    """A set-id program of a container's would be the way to root for all who have a process."""
    container = bed.run(pod, "c", image=TESTS + "volumes:1", command=SLEEP,
                        linux={"security_context": {"run_as_user": {"value": 0}}})
    assert bed.exec(container, "sh", "-c", "for to in /su /data/su; do "
                    "cp /bin/busybox $to && chmod 4755 $to || exit 1; done").exit_code == 0
    for above in ("containers", "pods"):
        assert can("-x", os.path.join(bed.engine.state, above))
    volumes = os.path.join(bed.engine.root, "volumes", container)
    programs = [os.path.join(folder, number, "su") for folder, numbers, _ in os.walk(volumes)
                for number in numbers if os.path.exists(os.path.join(folder, number, "su"))]
    assert programs
    for path in [os.path.join(bed.engine.state, "containers", container, "rootfs/su"),
                 os.path.join(bed.engine.state, "pods", pod, "shm"), *programs]:
        assert os.path.exists(path)
        assert not can("-e", path), path


@pytest.mark.alone
@pytest.mark.skipif(os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
                    reason="cgroup v2 kills by itself")
def test_a_container_with_more_processes_than_a_monitor_may_have_descriptors(own_bed):
    """Those that are killed first are not to be all that are killed."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, before[1]))
    try:
        bed = own_bed()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    container = bed.run(bed.run_pod("pod"), "c", command=SLEEP)
    with open("/proc/sys/kernel/ns_last_pid", "w", encoding="ascii") as last:
        last.write("300")
    assert bed.exec(container, "sh", "-c",
                    "for i in $(seq 600); do sleep 1000 & done").exit_code == 0
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    assert bed.status(container).exit_code == 137

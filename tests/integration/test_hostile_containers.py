"""What a container without any rights may try on its node."""

import os
import resource
import subprocess
import time

import pytest

import host
import pace
from berth_testbed import wait_until
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


@pytest.mark.parametrize("grace", [0, 1])
def test_a_monitor_that_its_container_holds(bed, pod, grace):
    container = bed.run(pod, "c", command=["sh", "-c", HOLD])
    await_hold(bed)
    begun = time.monotonic()
    bed.cri.StopContainer({"container_id": container, "timeout": grace}, timeout=60)
    assert pace.within(bed, 25, time.monotonic() - begun)
    # With patience, the stop signal ends it where it has let go for a moment.
    assert bed.status(container).exit_code in ((128 + 15, 128 + 9) if grace else (128 + 9,))
    assert bed.wait_exit(bed.run(pod, "next", command=["true"])).exit_code == 0


def test_a_pod_whose_monitor_is_held_ends(bed, name):
    pod = bed.run_pod(name)
    bed.run(pod, "c", command=["sh", "-c", HOLD])
    await_hold(bed)
    assert pace.within(bed, 25, pace.took(lambda: bed.remove_pod(pod)))


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

"""A daemon that may have no more memory or no more descriptors: clear errors, no damage, recovery."""

import os

import pytest

import grpc
import host
from berth_testbed import wait_until
from image_set import BUSYBOX, NGINX

pytestmark = [pytest.mark.berth, pytest.mark.alone]
SLEEP = ["sleep", "1000"]
HOST_NETWORK = {"security_context": {"namespace_options": {"network": 2}}}
MEBIBYTE = 1 << 20
DESCRIPTORS = 120


class MemoryCgroup:
    """Limits the processes that are started in it."""

    def __init__(self, name):
        parent = host.CGROUP_ROOT + "/memory"
        self._limit, self._events = "memory.limit_in_bytes", "memory.oom_control"
        if not os.path.isdir(parent):
            parent = host.CGROUP_ROOT
            self._limit, self._events = "memory.max", "memory.events"
        self.path = os.path.join(parent, name)
        os.mkdir(self.path)

    def limit(self, size):
        with open(os.path.join(self.path, self._limit), "w", encoding="ascii") as stream:
            stream.write(str(size))

    def kills(self):
        events = host.read(os.path.join(self.path, self._events))
        return next(int(line.split()[1]) for line in events.splitlines()
                    if line.startswith("oom_kill "))

    def wrapper(self):
        return ["sh", "-euc", "echo $$ > %s/cgroup.procs; exec \"$@\"" % self.path, "sh"]

    def remove(self):
        os.rmdir(self.path)


@pytest.fixture
def memory(request):
    cgroup = MemoryCgroup("berth-daemon-%d" % os.getpid())
    request.addfinalizer(cgroup.remove)
    return cgroup


def resident(pid):
    for line in host.read("/proc/%d/status" % pid).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("the daemon has gone")


def test_a_limit_on_the_daemons_memory(memory, own_bed):
    """What it unpacks does not count for long, and pods do not at all."""
    memory.limit(64 * MEBIBYTE)
    bed = own_bed(wrapper=memory.wrapper())
    container = bed.run(bed.run_pod("a"), "c", image=NGINX)
    big = bed.run(bed.run_pod("b"), "c", command=["sh", "-c", "head -c 80m /dev/zero | tail"])
    assert bed.wait_exit(big).exit_code == 0
    assert bed.exec(container, "true").exit_code == 0
    assert memory.kills() == 0


def test_a_daemon_that_the_kernel_kills_for_its_memory(memory, own_bed):
    """Pods are not in its cgroup: they go on, and the next daemon finds all of them."""
    memory.limit(256 * MEBIBYTE)
    bed = own_bed(wrapper=memory.wrapper())
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=SLEEP)
    pods = [bed.run_pod("pod-%d" % number, linux=HOST_NETWORK) for number in range(4)]
    others = [bed.run(one, "c", command=SLEEP) for one in pods]
    started = [bed.status(one).started_at for one in others]
    # Answers of many megabytes, more at once than it may hold.
    memory.limit(resident(bed.pid) + 12 * MEBIBYTE)
    script = ["sh", "-c", "head -c 12m /dev/zero | tr '\\0' x"]
    calls = [bed.cri.ExecSync.future({"container_id": one, "cmd": script, "timeout": 50},
                                     timeout=60) for one in others * 4]
    wait_until(lambda: not bed.alive(), 60, "the end of the daemon")
    for call in calls:
        call.cancel()
    assert memory.kills() >= 1
    memory.limit(256 * MEBIBYTE)
    bed.start_engine()
    assert [bed.status(one).started_at for one in others] == started
    assert all(bed.status(one).state == bed.cri.messages.CONTAINER_RUNNING for one in others)
    assert bed.exec(container, "true").exit_code == 0
    assert bed.run(bed.run_pod("new"), "c", command=SLEEP)
    assert BUSYBOX in {tag for image in bed.cri.ListImages().images for tag in image.repo_tags}


def test_a_daemon_without_descriptors(own_bed):
    bed = own_bed(wrapper=["prlimit", "--nofile=%d:%d" % (DESCRIPTORS, DESCRIPTORS), "--"])
    bed.pull(BUSYBOX)
    first = bed.run(bed.run_pod("first"), "c", command=SLEEP)
    pods = []

    def run_until_refused():
        for number in range(DESCRIPTORS):
            pod = bed.run_pod("pod-%d" % number, linux=HOST_NETWORK)
            pods.append(pod)
            bed.run(pod, "c", command=SLEEP)
        raise AssertionError("there was no limit")
    with pytest.raises(grpc.RpcError) as refused:
        run_until_refused()
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, refused.value.details()
    assert "open files" in refused.value.details()
    # The list and the status need none; what cannot be made leaves nothing.
    ready = [pod.id for pod in bed.cri.ListPodSandbox().items]
    assert set(pods) <= set(ready)
    assert bed.status(first).state == bed.cri.messages.CONTAINER_RUNNING
    # Pods can be removed, and then there is room again.
    for pod in pods[-4:]:
        bed.remove_pod(pod)
    assert bed.exec(first, "true").exit_code == 0
    again = bed.run(bed.run_pod("again", linux=HOST_NETWORK), "c", command=SLEEP)
    assert bed.exec(again, "true").exit_code == 0
    # Nor does a daemon that starts with as many pods as the limit bears lose any.
    bed.kill_engine()
    bed.start_engine()
    assert bed.status(first).state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(again, "true").exit_code == 0
    assert bed.stop_engine() == 0
    bed.start_engine()
    bed.remove_all_pods()

"""The daemon dies; containers do not notice, and nothing is lost."""

import os
import select
import time

import pytest

import grpc
import host
from berth_testbed import wait_until

PODS = 10
TOLD_SECONDS = 10
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


def last_number(bed, pod_name):
    lines = bed.log_lines(pod_name, "count")
    return int(lines[-1][3]) if lines and len(lines[-1]) == 4 and lines[-1][3] else -1


def exit_now(container_pid):
    with open("/proc/%d/root/tmp/end" % container_pid, "w", encoding="utf-8"):
        pass


@pytest.mark.host
def test_kill_nine_with_ten_pods(own_bed):
    bed = own_bed()
    keeps_logs = bed.engine.name == "berth"
    counting, ending, names = {}, {}, ["pod-%d" % number for number in range(PODS)]
    for number, name in enumerate(names):
        pod = bed.run_pod(name, labels={"number": str(number)})
        counting[name] = bed.run(pod, "count", command=["sh", "-c", COUNT])
        script = "while [ ! -e /tmp/end ]; do sleep 0.2; done; exit %d" % (number + 10)
        ending[name] = bed.run(pod, "end", command=["sh", "-c", script])
    pids = {name: pid_of(bed, ending[name]) for name in names}
    addresses = {pod.metadata.name: ip_of(bed, pod.id) for pod in bed.cri.ListPodSandbox().items}
    for name in names:
        wait_until(lambda name=name: last_number(bed, name) >= 0, what="the first line")

    bed.kill_engine()
    before = {name: last_number(bed, name) for name in names}
    handles = [os.pidfd_open(pid) for pid in pids.values()]
    for pid in pids.values():
        exit_now(pid)
    for handle in handles:
        wait_until(lambda handle=handle: ended(handle), what="an exit without the daemon")
        os.close(handle)
    # Logs go on while nobody serves (containerd's are written by the daemon itself).
    for name in names if keeps_logs else []:
        wait_until(lambda name=name: last_number(bed, name) > before[name] + 5, what="log lines")
    bed.start_engine()

    listed = {pod.metadata.name: pod for pod in bed.cri.ListPodSandbox().items}
    assert set(listed) == set(names)
    for number, name in enumerate(names):
        assert listed[name].state == bed.cri.messages.SANDBOX_READY
        assert ip_of(bed, listed[name].id) == addresses[name]
        status = bed.wait_exit(ending[name])
        assert status.exit_code == number + 10
        assert bed.status(counting[name]).state == bed.cri.messages.CONTAINER_RUNNING
        assert bed.exec(counting[name], "echo", "again").stdout == b"again\n"
        now = last_number(bed, name)
        wait_until(lambda name=name, now=now: last_number(bed, name) > now, what="new log lines")
        numbers = [int(line[3]) for line in bed.log_lines(name, "count")[:-1]]
        if keeps_logs:
            assert numbers == list(range(len(numbers))), "a line was lost or written twice"
    # Life goes on: stopping, reopening logs and new pods work as before.
    first = counting[names[0]]
    bed.cri.ReopenContainerLog({"container_id": first})
    bed.cri.StopContainer({"container_id": first, "timeout": 0})
    assert bed.status(first).exit_code == 137
    new = bed.run(bed.run_pod("new"), "c", command=["sleep", "1000"])
    assert bed.exec(new, "true").exit_code == 0


def ended(handle):

    return bool(select.select([handle], [], [], 0)[0])


def ip_of(bed, pod):
    return bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip


def pid_of(bed, container):
    """The container's first process on the host, found by its PID namespace's init."""
    wanted = bed.exec(container, "readlink", "/proc/self/ns/mnt").stdout.decode().strip()
    own = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if os.readlink("/proc/%s/ns/mnt" % name) == wanted:
                inner = host.read("/proc/%s/status" % name)
                parents = [line.split()[1] for line in inner.splitlines()
                           if line.startswith("PPid:")]
                own.append((parents[0], int(name)))
        except (OSError, IndexError):
            continue
    members = {str(pid) for _, pid in own}
    return next(pid for parent, pid in own if parent not in members)


def test_an_orderly_restart_keeps_pods_too(own_bed):
    bed = own_bed()
    pod = bed.run_pod("a", annotations={"kept": "yes"})
    container = bed.run(pod, "c", command=["sleep", "1000"], labels={"also": "kept"})
    assert bed.stop_engine() == 0
    bed.start_engine()
    status = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status
    assert dict(status.annotations) == {"kept": "yes"}
    assert dict(bed.status(container).labels) == {"also": "kept"}
    assert bed.exec(container, "true").exit_code == 0


def test_images_survive(own_bed):
    bed = own_bed()
    identity = bed.pull()
    bed.kill_engine()
    bed.start_engine()
    assert identity in {image.id for image in bed.cri.ListImages().images}
    bed.run(bed.run_pod("a"), "c", command=["sleep", "1000"])


@pytest.mark.host
@pytest.mark.berth
def test_calls_that_were_under_way_leave_nothing(own_bed):
    """Killed in the middle of making pods: what came of them can be removed, and nothing leaks."""
    bed = own_bed()
    bed.pull()
    for attempt in range(3):
        calls = [bed.cri.RunPodSandbox.future(
            {"config": bed.pod_config("pod-%d-%d" % (attempt, number))}, timeout=30)
            for number in range(6)]
        wait_until(lambda: bed.network.held_addresses() or any(call.done() for call in calls),
                   what="the first pod's network")
        bed.kill_engine()
        for call in calls:
            call.cancel()
        bed.start_engine()
        # The kubelet would ask again: the same pods come up under the same names.
        again = [bed.cri.RunPodSandbox({"config": bed.pod_config("pod-%d-%d" % (attempt, number))})
                 for number in range(6)]
        assert len({answer.pod_sandbox_id for answer in again}) == 6
        bed.remove_all_pods()
        # What was half made is not listed, and is undone beside the calls.
        wait_until(lambda: not bed.find_leaks(), what="the end of what was half made")


@pytest.mark.host
@pytest.mark.berth
def test_a_pod_whose_processes_died_is_not_ready(own_bed):
    """The whole pod is killed from outside while the daemon is away."""
    bed = own_bed()
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=["sleep", "1000"])
    bed.kill_engine()
    host.kill(host.processes(bed.folder, bed.mark + "\0never"))
    bed.start_engine()
    assert bed.wait_exit(container).exit_code != 0
    bed.remove_pod(pod)
    with pytest.raises(grpc.RpcError) as caught:
        bed.status(container)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


@pytest.mark.host
@pytest.mark.berth
@pytest.mark.parametrize("handler", ["", "shim"])
def test_a_kill_for_memory_while_nobody_serves(own_bed, handler):
    bed = own_bed(handler=handler)
    script = "while [ ! -e /tmp/end ]; do sleep 0.02; done; exec tail /dev/zero"
    container = bed.run(bed.run_pod("a"), "c", command=["sh", "-c", script], linux={"resources": {
        "memory_limit_in_bytes": 32 << 20, "memory_swap_limit_in_bytes": 32 << 20}})
    pid = pid_of(bed, container)
    handle = os.pidfd_open(pid)
    bed.kill_engine()
    exit_now(pid)
    wait_until(lambda: ended(handle), what="the kill")
    os.close(handle)
    bed.start_engine()
    status = bed.wait_exit(container)
    assert (status.exit_code, status.reason) == (137, "OOMKilled")


@pytest.mark.host
@pytest.mark.berth
@pytest.mark.parametrize("dies", ["nobody", "daemon", "monitor"])
def test_a_stop_is_told_soon_after_the_kill(own_bed, dies):
    bed = own_bed()
    container = bed.run(bed.run_pod("a"), "c", command=[
        "sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.05; done"])
    wait_until(lambda: bed.log_lines("a", "c"), what="readiness")
    handle = os.pidfd_open(pid_of(bed, container))
    request = {"container_id": container, "timeout": 2}
    stop = bed.cri.StopContainer.future(request)
    wait_until(lambda: "by its stop signal" in str(bed.cri.Status({"verbose": True}).info),
               what="the stop")
    if dies == "daemon":
        bed.kill_engine()
        bed.start_engine()
        stop = bed.cri.StopContainer.future(request)
    elif dies == "monitor":
        host.kill(pid for pid, command in host.processes(bed.folder, bed.mark).items()
                  if "berth-monitor" in command)
    wait_until(lambda: ended(handle), what="the kill")
    killed = time.monotonic()
    os.close(handle)
    stop.result()
    assert time.monotonic() - killed < TOLD_SECONDS
    status = bed.status(container)
    assert (status.state, status.exit_code) == (bed.cri.messages.CONTAINER_EXITED, 137)

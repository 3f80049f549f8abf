"""GetContainerEvents: every step in the lives of pods and containers, once and in order."""

import os
import select
import time

import pytest

import grpc
import host
from berth_testbed import wait_until
from listener import Listener, expected, wait_noted

SLEEP = ["sleep", "1000"]
UNTIL_TOLD = "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 7"

pytestmark = pytest.mark.berth


@pytest.fixture
def listener(bed):
    one = Listener(bed)
    yield one
    one.leave()


def test_a_whole_life(bed, name, listener):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "exit 3"])
    bed.wait_exit(container)
    bed.cri.RemoveContainer({"container_id": container})
    bed.remove_pod(pod)
    listener.wait_for("deleted", pod)
    assert listener.of(pod, container) == [
        ("created", pod), ("started", pod), ("created", container), ("started", container),
        ("stopped", container), ("deleted", container), ("stopped", pod), ("deleted", pod)]
    times = [event.created_at for event in listener.events]
    assert times == sorted(set(times))


def test_events_carry_what_the_kubelet_makes_a_pods_status_of(bed, name, listener):
    state = bed.cri.messages
    pod = bed.run_pod(name)
    address = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip
    first = bed.run(pod, "first", command=SLEEP)
    second = bed.run(pod, "second", command=["sh", "-c", "exit 3"])
    bed.wait_exit(second)
    listener.wait_for("stopped", second)
    event = listener.event("stopped", second)
    assert event.pod_sandbox_status.id == pod
    assert event.pod_sandbox_status.metadata.uid == "uid-" + name
    assert event.pod_sandbox_status.state == state.SANDBOX_READY
    assert event.pod_sandbox_status.network.ip == address
    statuses = {status.id: status for status in event.containers_statuses}
    # The kubelet takes the first of a name for the latest.
    assert [status.id for status in event.containers_statuses] == [second, first]
    assert statuses[first].state == state.CONTAINER_RUNNING
    assert (statuses[second].state, statuses[second].exit_code) == (state.CONTAINER_EXITED, 3)
    # The kubelet ignores events without the pod, also the last.
    bed.remove_pod(pod)
    listener.wait_for("deleted", pod)
    last = listener.event("deleted", pod)
    assert last.pod_sandbox_status.metadata.uid == "uid-" + name
    assert last.pod_sandbox_status.state == state.SANDBOX_NOTREADY
    assert not last.containers_statuses


def test_containers_of_a_pods_earlier_sandbox_belong_to_it(bed, name, listener):
    config = bed.pod_config(name)
    earlier = bed.run_pod_config(config)
    old = bed.run(earlier, "c", command=["true"])
    bed.wait_exit(old)
    bed.cri.StopPodSandbox({"pod_sandbox_id": earlier})
    pod = bed.run_pod_config({**config, "metadata": {**config["metadata"], "attempt": 1}})
    new = bed.run(pod, "c", command=SLEEP)
    listener.wait_for("started", new)
    assert [status.id for status in listener.event("started", new).containers_statuses] == [
        new, old]
    asked = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod})
    assert [status.id for status in asked.containers_statuses] == [new, old]
    assert asked.timestamp > listener.event("started", new).created_at


def test_a_program_that_cannot_be_run_stops_without_having_started(bed, pod, listener):
    container = bed.create(pod, "c", command=["/no/such/program"])
    with pytest.raises(grpc.RpcError):
        bed.cri.StartContainer({"container_id": container})
    listener.wait_for("stopped", container)
    assert listener.of(container) == [("created", container), ("stopped", container)]


def test_what_never_came_up_is_not_told(bed, name, listener):
    with pytest.raises(grpc.RpcError):
        bed.run_pod(name, linux={"sysctls": {"net.ipv4.no_such_thing": "1"}})
    marker = bed.run_pod(name + "-next")
    listener.wait_for("started", marker)
    assert {event.container_id for event in listener.events} == {marker}


def test_exits_while_nobody_serves_are_told_to_who_comes_back(own_bed):
    bed = own_bed()
    before, other = Listener(bed), Listener(bed)
    containers = []
    for number in range(4):
        pod = bed.run_pod("pod-%d" % number)
        containers.append(bed.run(pod, "c", command=["sh", "-c", UNTIL_TOLD]))
    stays = bed.run(pod, "stays", command=SLEEP)
    # An event counts as told once both have it.
    for listener in (before, other):
        listener.wait_for("started", stays)
    wait_noted(bed, pod)
    known = before.of(*containers, stays)
    assert len(known) == len(set(known)) == 10
    first_pids = [info_pid(bed, container) for container in containers]

    bed.kill_engine()
    assert before.wait_end().code() == grpc.StatusCode.UNAVAILABLE
    other.wait_end()
    for pid in first_pids:
        end(pid)
    bed.start_engine()
    after = Listener(bed)
    again = Listener(bed)  # there may be several
    for container in containers:
        after.wait_for("stopped", container)
        again.wait_for("stopped", container)
    # Life goes on, and nothing is told twice to either.
    bed.cri.StopContainer({"container_id": stays, "timeout": 0})
    for listener in (after, again):
        listener.wait_for("stopped", stays)
        assert sorted(listener.of(*containers)) == sorted(
            ("stopped", container) for container in containers)
        assert listener.of(stays) == [("stopped", stays)]
        assert listener.event("stopped", containers[0]).containers_statuses[0].exit_code == 7
        listener.leave()


def test_an_orderly_restart_repeats_nothing(own_bed):
    bed = own_bed()
    before = Listener(bed)
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=SLEEP)
    before.wait_for("started", container)
    assert bed.stop_engine() == 0
    ended = before.wait_end()
    assert ended.code() == grpc.StatusCode.UNAVAILABLE
    bed.start_engine()
    after = Listener(bed)
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    after.wait_for("stopped", container)
    assert after.of(pod, container) == [("stopped", container)]
    after.leave()


def test_who_was_not_there_is_not_told_old_news(own_bed):
    """Without a subscriber at its end, a daemon's successor keeps nothing for anyone."""
    bed = own_bed()
    Listener(bed).leave()
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=["sh", "-c", UNTIL_TOLD])
    pid = info_pid(bed, container)
    wait_until(lambda: not expected(bed), what="the listener's end")
    bed.kill_engine()
    end(pid)
    bed.start_engine()
    bed.wait_exit(container)
    late = Listener(bed)
    bed.remove_pod(pod)
    late.wait_for("deleted", pod)
    assert ("stopped", container) not in late.of(container)
    late.leave()


def threads(bed):
    return len(os.listdir("/proc/%d/task" % bed.pid))


def test_many_listeners_and_calls_beside_them(bed, name):
    usual = threads(bed)
    listeners = [Listener(bed) for _ in range(60)]
    begun = time.monotonic()
    for _ in range(50):
        bed.cri.Version(timeout=5)
        bed.cri.ListContainers(timeout=5)
    assert time.monotonic() - begun < 20
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    assert bed.exec(container, "echo", "works").stdout == b"works\n"
    for one in listeners:
        one.wait_for("started", container)
        assert one.of(pod, container) == [("created", pod), ("started", pod),
                                          ("created", container), ("started", container)]
    for one in listeners:
        one.leave()
    # Their threads end with them.
    wait_until(lambda: threads(bed) < usual + 30, what="the end of the listeners' threads")


def test_one_that_does_not_read_disturbs_nobody(bed, name, listener):
    silent = bed.cri.GetContainerEvents(timeout=300)
    silent.initial_metadata()
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["true"])
    listener.wait_for("stopped", container)
    bed.remove_pod(pod)
    listener.wait_for("deleted", pod)
    silent.cancel()


def test_the_end_of_the_daemon_waits_for_no_one(own_bed):
    bed = own_bed()
    listeners = [Listener(bed) for _ in range(50)]
    pod = bed.run_pod("a")
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    stubborn = bed.run(pod, "c", command=["sh", "-c", script])
    wait_until(lambda: bed.log_lines("a", "c"), what="its trap")
    calls = [bed.cri.StopContainer.future({"container_id": stubborn, "timeout": 200}, timeout=300),
             bed.cri.ExecSync.future({"container_id": stubborn, "cmd": ["sleep", "4711"]},
                                     timeout=300)]
    wait_until(lambda: any("sleep 4711" in command
                           for command in host.processes(bed.folder, bed.mark).values()),
               what="the command")
    begun = time.monotonic()
    assert bed.stop_engine() == 0
    assert time.monotonic() - begun < 8
    for one in listeners:
        assert one.wait_end().code() == grpc.StatusCode.UNAVAILABLE
    for call in calls:
        assert call.exception(timeout=10) is not None
    bed.start_engine()
    assert bed.status(stubborn).state == bed.cri.messages.CONTAINER_RUNNING
    assert not any("sleep 4711" in command
                   for command in host.processes(bed.folder, bed.mark).values())


def info_pid(bed, container):
    """The container's first process, on the host."""
    answer = bed.cri.ContainerStatus({"container_id": container, "verbose": True})
    pid = int(answer.info["info"].split('"pid":')[1].split(",")[0])
    assert pid > 0
    return pid


def end(pid):
    """Lets a container of UNTIL_TOLD end, and waits until it has."""
    handle = os.pidfd_open(pid)
    with open("/proc/%d/root/tmp/end" % pid, "w", encoding="utf-8"):
        pass
    assert select.select([handle], [], [], 20)[0], "it has not ended"
    os.close(handle)

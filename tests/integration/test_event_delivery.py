"""GetContainerEvents when something ends: the monitor, the daemon, or a client's patience.

The clients that stop reading are real ones in a process of their own that is suspended: crictl.
"""

import json
import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

import grpc
import host
from berth_testbed import wait_until
from holding import stop
from listener import Listener, records

SLEEP = ["sleep", "1000"]
# With every event go the annotations of its pod: few of them fill what lies between the daemon and
# a client that does not read.
LARGE = {"filler": "x" * (96 << 10)}

pytestmark = pytest.mark.berth


class Suspended:
    """`crictl events`, stopped once it has subscribed; what it has said by its end in `text`."""

    def __init__(self, bed, path):
        self.text = ""
        before = mark(bed)
        self._path = path
        with open(path, "w", encoding="utf-8") as output:
            self._process = subprocess.Popen(
                bed.crictl_command("events", "-o", "json"), stdin=subprocess.DEVNULL,
                stdout=output, stderr=subprocess.STDOUT)
        try:
            wait_until(lambda: mark(bed) != before, what="the subscription")
        except TimeoutError:
            self.close()
            raise
        stop(self._process.pid)

    def go_on(self):
        """Lets it read what it was sent, and end with its stream; returns the steps it was told."""
        os.kill(self._process.pid, signal.SIGCONT)
        self._process.wait(30)
        with open(self._path, encoding="utf-8") as output:
            self.text = output.read()
        steps = []
        decoder = json.JSONDecoder()
        at = self.text.find("{")
        while at >= 0:
            event, end = decoder.raw_decode(self.text, at)
            word = event["containerEventType"].removeprefix("CONTAINER_").removesuffix("_EVENT")
            steps.append((word.lower(), event["containerId"]))
            at = self.text.find("{", end)
        return steps

    def close(self):
        self._process.kill()
        self._process.wait()


@pytest.fixture
def suspended(tmp_path, crictl_binary):
    assert crictl_binary
    made = []

    def make(bed):
        made.append(Suspended(bed, tmp_path / ("events-%d" % len(made))))
        return made[-1]

    yield make
    for one in made:
        one.close()


def mark(bed):
    """What the daemon has noted about those who listen."""
    return records(bed, "events", "value")


def monitor_of(bed, pod):
    """The pod's monitor; its arguments name the pod's folder."""
    return next(pid for pid, command in host.processes(bed.folder, bed.mark).items()
                if command.split()[0].endswith("berth-monitor") and pod in command)


def lives(bed, pod, count):
    """Containers of which each lives its whole life; returns their ids."""
    containers = [bed.run(pod, "c%d" % number, command=["true"]) for number in range(count)]
    for container in containers:
        bed.wait_exit(container)
        bed.cri.RemoveContainer({"container_id": container})
    return containers


def whole_lives(containers):
    return sorted((step, container) for container in containers
                  for step in ("created", "started", "stopped", "deleted"))


def test_the_end_of_a_monitor_is_told_once(bed, name):
    listener = Listener(bed)
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    other = bed.run(pod, "other", command=SLEEP)
    listener.wait_for("started", other)
    os.kill(monitor_of(bed, pod), signal.SIGKILL)
    for each in (container, other, pod):
        listener.wait_for("stopped", each)
    event = listener.event("stopped", other)
    assert event.pod_sandbox_status.state == bed.cri.messages.SANDBOX_NOTREADY
    assert bed.status(container).exit_code == bed.status(other).exit_code == 137
    bed.remove_pod(pod)
    listener.wait_for("deleted", pod)
    for each in (container, other, pod):
        assert listener.of(each) == [("created", each), ("started", each), ("stopped", each),
                                     ("deleted", each)]
    listener.leave()


def test_a_crash_repeats_nothing_because_another_client_is_suspended(own_bed, suspended):
    bed = own_bed()
    listener = Listener(bed)
    suspended(bed)
    pod = bed.run_pod("a", annotations=LARGE)
    containers = lives(bed, pod, 4)
    listener.wait_for("deleted", containers[-1])
    # A record goes once the deletion has been told: the one that is suspended is not waited for.
    wait_until(lambda: not set(containers) & set(records(bed, "container")),
               what="the note that all was told")
    assert sorted(listener.of(*containers)) == whole_lives(containers)

    bed.kill_engine()
    listener.wait_end()
    bed.start_engine()
    back, slow = Listener(bed), Listener(bed)
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    back.wait_for("stopped", pod)
    assert back.of(pod, *containers) == [("stopped", pod)]
    # What was not waited for is lost, and who has lost it is told so.
    assert slow.wait_end().code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert slow.events == []
    again = Listener(bed)
    bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    for one in (back, again):
        one.wait_for("deleted", pod)
        one.leave()
    assert again.of(pod, *containers) == [("deleted", pod)]


@pytest.mark.parametrize("ending", ["orderly", "killed"])
def test_a_client_that_does_not_read_loses_nothing_by_the_daemons_end(own_bed, suspended, ending):
    bed = own_bed()
    slow = suspended(bed)
    pod = bed.run_pod("a", annotations=LARGE)
    containers = lives(bed, pod, 10)
    if ending == "orderly":
        assert bed.stop_engine() == 0
    else:
        bed.kill_engine()
    before = slow.go_on()
    bed.start_engine()
    after = Listener(bed)
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    after.wait_for("stopped", pod)
    rest = after.of(pod, *containers)
    assert rest != [("stopped", pod)], "all was read before the end: nothing was tested"
    assert sorted(before + rest) == sorted(
        whole_lives(containers) + [("created", pod), ("started", pod), ("stopped", pod)])
    wait_until(lambda: records(bed, "container") == [], what="the end of the records")
    after.leave()


def test_one_that_is_too_far_behind_is_cut_off_and_may_come_back(own_bed, suspended):
    bed = own_bed()
    slow = suspended(bed)
    pod = bed.run_pod("a", annotations={"filler": LARGE["filler"][:8192]})

    def create_and_remove(number):
        container = bed.create(pod, "c%d" % number)
        bed.cri.RemoveContainer({"container_id": container})

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(create_and_remove, range(700)))
    read = slow.go_on()
    assert "list pods and containers, and subscribe again" in slow.text
    assert len(read) == len(set(read)) < 400
    again = Listener(bed)
    assert [each.id for each in bed.cri.ListPodSandbox().items] == [pod]
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    again.wait_for("stopped", pod)
    assert again.of(pod) == [("stopped", pod)]
    again.leave()

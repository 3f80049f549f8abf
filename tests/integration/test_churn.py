"""Pods and commands by the thousand: nothing is left of them, and the daemon does not grow.

    BERTH_CHURN_PODS   how many pods (default 2,000)
    BERTH_CHURN_EXECS  how many commands (default 20,000)
"""

import concurrent.futures
import os

import pytest

import host
from berth_testbed import wait_until

pytestmark = [pytest.mark.berth, pytest.mark.churn]
PODS = int(os.environ.get("BERTH_CHURN_PODS", "2000"))
EXECS = int(os.environ.get("BERTH_CHURN_EXECS", "20000"))
AT_ONCE = 8
CONTAINERS = 20
WARM_UP = 0.1  # of all
GROWTH = 1.05


def resident(pid):
    """KiB of memory."""
    for line in host.read("/proc/%d/status" % pid).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("the daemon has gone")


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Growth:
    """What the daemon has when nothing is to be done, after a warm-up and at the end."""

    def __init__(self, bed, tell):
        self.bed = bed
        self.tell = tell
        self.descriptors = self.resident = None

    def note(self):
        self.resident, self.descriptors = resident(self.bed.pid), descriptors(self.bed.pid)

    def check(self, what):
        self.tell("%s: %d KiB and %d descriptors after the warm-up, %d and %d at the end" % (
            what, self.resident, self.descriptors, resident(self.bed.pid),
            descriptors(self.bed.pid)))
        wait_until(lambda: descriptors(self.bed.pid) <= self.descriptors,
                   what="as many descriptors as before")
        assert resident(self.bed.pid) <= self.resident * GROWTH


def side_by_side(work, numbers):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(work, one) for one in numbers]):
            done.result()


def test_pods(own_bed, tell):
    bed = own_bed()
    bed.pull()

    def cycle(number):
        name = "pod-%d" % number
        pod = bed.run_pod(name)
        container = bed.run(pod, "app", command=["sh", "-c", "echo said; exit %d" % (number % 100)])
        status = bed.wait_exit(container, 60)
        assert status.exit_code == number % 100
        assert [line[3] for line in bed.log_lines(name, "app")] == ["said"]
        bed.remove_pod(pod)

    growth = Growth(bed, tell)
    first = int(PODS * WARM_UP)
    side_by_side(cycle, range(first))
    growth.note()
    side_by_side(cycle, range(first, PODS))
    growth.check("%d pods" % PODS)
    leaks = bed.find_leaks()
    tell("%d things left of them" % len(leaks))
    assert leaks == []


def test_commands(own_bed, tell):
    bed = own_bed()
    pod = bed.run_pod("pod")
    containers = [bed.run(pod, "app-%d" % number, command=["sleep", "100000"])
                  for number in range(CONTAINERS)]
    monitor_of = {pid: descriptors(pid) for pid, command in
                  host.processes(bed.folder, bed.mark).items() if "berth-monitor" in command}

    def command(number):
        answer = bed.exec(containers[number % CONTAINERS], "sh", "-c",
                          "echo %d; exit %d" % (number, number % 100), timeout=60)
        assert (answer.stdout, answer.exit_code) == (b"%d\n" % number, number % 100)

    growth = Growth(bed, tell)
    first = int(EXECS * WARM_UP)
    side_by_side(command, range(first))
    growth.note()
    side_by_side(command, range(first, EXECS))
    growth.check("%d commands" % EXECS)
    for pid, before in monitor_of.items():
        wait_until(lambda pid=pid, before=before: descriptors(pid) <= before,
                   what="as many descriptors of the monitor as before")

"""Pods and commands by the thousand: nothing is left of them, and the daemon does not grow.

    BERTH_CHURN_PODS   how many pods (default 2,000)
    BERTH_CHURN_EXECS  how many commands (default 20,000)
"""

import concurrent.futures
import contextlib
import os

import pytest

import host
from berth_testbed import wait_until
from engine_state import EngineState

pytestmark = [pytest.mark.berth, pytest.mark.churn]
PODS = int(os.environ.get("BERTH_CHURN_PODS", "2000"))
EXECS = int(os.environ.get("BERTH_CHURN_EXECS", "20000"))
AT_ONCE = 8
CONTAINERS = 20
WARM_UP = 0.1  # of all
GROWTH = 1.05
# KiB: of a process with less than one MiB, as the monitor, more than GROWTH. Four bytes of each of
# 20,000 commands are more.
FEW_PAGES = 64
SETTLE_SECONDS = 10  # for what is done in the background


def resident(pid):
    """KiB of memory."""
    for line in host.read("/proc/%d/status" % pid).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError("process %d has gone" % pid)


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))


class Growth:
    """What processes have when nothing is to be done, after a warm-up and at the end."""

    def __init__(self, tell, processes):
        """`processes`: name → pid."""
        self.tell = tell
        self.processes = processes
        self.before = {}

    def note(self):
        self.before = {name: (resident(pid), descriptors(pid))
                       for name, pid in self.processes.items()}

    def check(self, what):
        for name, pid in self.processes.items():
            memory, files = self.before[name]
            self.tell("%s: the %s had %d KiB and %d descriptors after the warm-up, %d and %d at "
                      "the end" % (what, name, memory, files, resident(pid), descriptors(pid)))
        for name, pid in self.processes.items():
            memory, files = self.before[name]
            wait_until(lambda pid=pid, files=files: descriptors(pid) <= files,
                       what="as many descriptors of the %s as before" % name)
            assert resident(pid) <= max(memory * GROWTH, memory + FEW_PAGES), name


def side_by_side(work, numbers):
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(work, one) for one in numbers]):
            done.result()


def test_pods(own_bed, tell):
    bed = own_bed()

    def cycle(number):
        name = "pod-%d" % number
        pod = bed.run_pod(name)
        container = bed.run(pod, "app", command=["sh", "-c", "echo said; exit %d" % (number % 100)])
        status = bed.wait_exit(container, 60)
        assert status.exit_code == number % 100
        assert [line[3] for line in bed.log_lines(name, "app")] == ["said"]
        bed.remove_pod(pod)

    growth = Growth(tell, {"daemon": bed.pid})
    cycle(PODS)
    clean = EngineState(bed.engine)  # an image, and folders that the first pod makes
    first = int(PODS * WARM_UP)
    side_by_side(cycle, range(first))
    growth.note()
    side_by_side(cycle, range(first, PODS))
    growth.check("%d pods" % PODS)

    def left():
        return bed.find_leaks() + EngineState(bed.engine).since(clean)
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not left(), SETTLE_SECONDS)
    leaks = left()
    tell("%d things left of them" % len(leaks))
    assert leaks == []


def test_commands(own_bed, tell):
    bed = own_bed()
    pod = bed.run_pod("pod")
    containers = [bed.run(pod, "app-%d" % number, command=["sleep", "100000"])
                  for number in range(CONTAINERS)]
    of_pod = {host.read("/proc/%d/comm" % pid).strip(): pid for pid, line in
              host.processes(bed.folder, bed.mark).items() if "berth-monitor" in line}
    assert set(of_pod) == {"berth-monitor", "berth-pod-init"}

    def command(number):
        answer = bed.exec(containers[number % CONTAINERS], "sh", "-c",
                          "echo %d; exit %d" % (number, number % 100), timeout=60)
        assert (answer.stdout, answer.exit_code) == (b"%d\n" % number, number % 100)

    growth = Growth(tell, {"daemon": bed.pid, **of_pod})
    first = int(EXECS * WARM_UP)
    side_by_side(command, range(first))
    growth.note()
    clean, here = EngineState(bed.engine), bed.find_leaks()
    side_by_side(command, range(first, EXECS))
    growth.check("%d commands" % EXECS)

    def left():
        # To find_leaks, what the pod itself consists of is left too.
        return [one for one in bed.find_leaks() if one not in here] + EngineState(
            bed.engine).since(clean)
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not left(), SETTLE_SECONDS)
    assert left() == []

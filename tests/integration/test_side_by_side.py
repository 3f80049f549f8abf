"""Pods of runc and of a shim in one daemon, which is killed again and again, as are their helpers.

Of each kind some pods have their shim or monitor killed, chosen by a seed that is printed: before,
while or after the daemon is away. They end and say why; the others notice nothing.
"""

import os
import random
import signal
import time

import host
import pytest
from berth_testbed import wait_until
from engines import SHIM
from losses import is_ready, told_end

pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(not os.access(SHIM, os.X_OK), reason="SKIPPED: there is no " + SHIM)]
KINDS = {"runc": "berth-monitor", "shim": os.path.basename(SHIM)}
PODS_OF_A_KIND = 5
RESTARTS = 3
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.1; done"


class CountingPod:
    """A pod with one container that writes numbers, and the helper that both hang on."""

    def __init__(self, bed, kind, name):
        self.kind, self.name, self.bed = kind, name, bed
        self.id = bed.run_pod(name, handler=kind)
        self.helper = helper_of(bed, kind, self.id)
        self.container = bed.run(self.id, "count", command=["sh", "-c", COUNT])

    def numbers(self):
        """Of its log; of a line that is being written nothing."""
        path = os.path.join(self.bed.folder, "logs", self.name, "count.log")
        lines = host.read(path).split("\n")[:-1]
        return [int(line.split(" ", 3)[3]) for line in lines]

    def must_go_on(self):
        assert is_ready(self.bed, self.id), self.name
        status = self.bed.cri.PodSandboxStatus({"pod_sandbox_id": self.id}).status
        assert status.runtime_handler == self.kind
        status = self.bed.status(self.container)
        assert status.state == self.bed.cri.messages.CONTAINER_RUNNING, self.name
        assert self.bed.exec(self.container, "echo", self.name).stdout.decode() == self.name + "\n"
        before = len(self.numbers())
        wait_until(lambda: len(self.numbers()) > before + 2, what="more lines of " + self.name)
        self.must_have_lost_nothing()

    def must_end(self, since, reasons):
        """In time since then, with one of the reasons."""
        status = told_end(self.bed, self.id, self.container, since)
        assert status.exit_code == 137
        assert any(reason in status.message for reason in reasons), \
            "%s ended and said \"%s\"" % (self.name, status.message)
        self.must_have_lost_nothing()

    def must_have_lost_nothing(self):
        numbers = self.numbers()
        assert numbers == list(range(len(numbers))), "a line of %s was lost or is there twice" % \
            self.name


REASONS = {"runc": "the pod's monitor has died", "shim": "the pod's shim has ended"}
AWAY = "the pod's isolation ended while nobody was watching it"


def helper_of(bed, kind, pod):
    return next(pid for pid, line in host.processes(bed.folder, bed.mark).items()
                if line and os.path.basename(line.split()[0]) == KINDS[kind] and pod in line)


def kill(pod):
    os.kill(pod.helper, signal.SIGKILL)


@pytest.mark.parametrize("seed", [None, pytest.param(1, marks=pytest.mark.host)])
def test_kills_of_daemon_shims_and_monitors(own_bed, tell, seed):
    seed = seed or random.SystemRandom().randrange(1 << 32)
    tell("seed %d" % seed)
    print("seed %d" % seed)
    chance = random.Random(seed)
    bed = own_bed(shim=SHIM)
    alive = [CountingPod(bed, kind, "%s-%d" % (kind, number))
             for number in range(PODS_OF_A_KIND) for kind in KINDS]
    for pod in alive:
        wait_until(pod.numbers, what="the first line of " + pod.name)
    for _ in range(RESTARTS):
        # At each restart one of each kind, and there is always one of each kind left.
        victims = [chance.choice([pod for pod in alive if pod.kind == kind]) for kind in KINDS]
        alive = [pod for pod in alive if pod not in victims]
        when = {pod: chance.choice(["before", "while away", "after"]) for pod in victims}
        print("killed: " + ", ".join("%s %s" % (pod.name, when[pod]) for pod in victims))
        for pod in victims:
            if when[pod] == "before":
                kill(pod)
        bed.kill_engine()
        for pod in victims:
            if when[pod] == "while away":
                kill(pod)
        away = {pod: len(pod.numbers()) for pod in alive}
        for pod in alive:
            wait_until(lambda pod=pod: len(pod.numbers()) > away[pod], what="lines without a daemon")
        bed.start_engine()
        for pod in victims:
            if when[pod] == "after":
                kill(pod)
        killed = time.monotonic()
        for pod in victims:
            told = [REASONS[pod.kind]]
            if pod.kind == "runc" and when[pod] != "after":
                told.append(AWAY)
            pod.must_end(killed, told)
        for pod in alive:
            pod.must_go_on()
        for pod in victims:
            bed.remove_pod(pod.id)
    new = [CountingPod(bed, kind, "new-" + kind) for kind in KINDS]
    for pod in alive + new:
        pod.must_go_on()
    for pod in alive + new:
        bed.remove_pod(pod.id)
    assert bed.find_leaks() == []

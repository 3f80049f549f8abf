"""Times that are promised, on a machine that is slow or has much else to do.

A promise is made for a machine at rest. A test of one waits with PATIENCE and then asks within():
what has taken longer than promised is excused by a machine on which, just then, a program of the
same build that does next to nothing takes more than a TIMES-th of it; but never more than MOST
times what is promised.
"""

import os
import subprocess
import time

from berth_testbed import wait_until

PATIENCE = 120  # seconds; what takes longer hangs
TIMES = 40      # at rest the program takes some 12 ms, less than a 40th of any promise
MOST = 5
PROBES = 5      # one alone may be lucky


def took(act):
    """Seconds."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def probe(build):
    """What the program takes, which asks no daemon: one that is slow does not excuse itself. None
    when that cannot be told."""
    program = [os.path.join(build, "bin/berth"), "--version"]

    def run():
        for _ in range(PROBES):
            subprocess.run(program, check=True, stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=PATIENCE)
    try:
        return took(run) / PROBES
    except (OSError, subprocess.SubprocessError):
        return None  # the test's own message says more


def within(bed, seconds, taken):
    if taken < seconds or taken >= MOST * seconds:
        return taken < seconds
    just_now = probe(bed.build)
    return just_now is not None and taken < TIMES * just_now


def wait_within(bed, seconds, condition, what):
    """Waits for what is to come true in that time."""
    taken = took(lambda: wait_until(condition, PATIENCE, what))
    if not within(bed, seconds, taken):
        raise AssertionError("%s took %.1f s" % (what, taken))

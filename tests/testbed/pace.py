"""Times that are promised, on a machine that is slow or has much else to do.

A promise is made for a machine at rest. A test of one waits with PATIENCE and then asks within():
what has taken longer than promised is excused by a machine on which, just then, a command that does
next to nothing takes more than a TIMES-th of it.
"""

import os
import subprocess
import time

from berth_testbed import wait_until

PATIENCE = 120  # seconds; what takes longer hangs
TIMES = 20      # at rest, the command takes less of any promise


def took(act):
    """Seconds."""
    begun = time.monotonic()
    act()
    return time.monotonic() - begun


def within(bed, seconds, taken):
    # The released program and the file as it is: this is to change nothing.
    ops = [os.path.join(bed.build, "bin/berth"), "ops", "--config",
           os.path.join(bed.folder, "berth.toml")]
    return taken < seconds or taken < TIMES * took(lambda: subprocess.run(
        ops, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=PATIENCE))


def wait_within(bed, seconds, condition, what):
    """Waits for what is to come true in that time."""
    taken = took(lambda: wait_until(condition, PATIENCE, what))
    if not within(bed, seconds, taken):
        raise AssertionError("%s took %.1f s" % (what, taken))

"""Pods that have lost what they hang on: their shim, their machine or their monitor."""

import time

import pace
from berth_testbed import wait_until

LOSS_SECONDS = 5  # it is told by then


def is_ready(bed, pod):
    return bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.state == \
        bed.cri.messages.SANDBOX_READY


def told_end(bed, pod, container, since=None):
    """The container's status, once the end of both is told, which is to take no longer than is
    promised: from now on, or since then."""
    begun = since or time.monotonic()
    status = bed.wait_exit(container, pace.PATIENCE)
    wait_until(lambda: not is_ready(bed, pod), pace.PATIENCE, "the end of pod " + pod)
    taken = time.monotonic() - begun
    if not pace.within(bed, LOSS_SECONDS, taken):
        raise AssertionError("the end of pod %s was told after %.1f s" % (pod, taken))
    return status

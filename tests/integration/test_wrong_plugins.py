"""A runtime that answers wrongly: the call fails and names it, and the daemon goes on with everything
else. Each kind's calls are looked at one by one in tests/unit/plugin-host."""

import os
import re

import grpc
import pytest

import host
from asking import refused, shell
from plugin_checker import plugin
from test_containers import SLEEP
from test_isolation import processes

pytestmark = pytest.mark.berth

TAKEN = "plugin odd: handed over what cannot be taken: "
INTERNAL, UNAVAILABLE = grpc.StatusCode.INTERNAL, grpc.StatusCode.UNAVAILABLE
# {the pod's name: what RunPodSandbox says}.
FAULTS = {
    "exception": (INTERNAL, "plugin odd (wrong) let an exception out of a call"),
    "code": (INTERNAL, "plugin odd returned the unknown code 4711"),
    "silence": (UNAVAILABLE, "plugin odd failed without a message"),
    "message": (UNAVAILABLE, "plugin odd failed with what is not UTF-8: \ufffd"),
    "size": (INTERNAL, TAKEN + "a text of 18446744073709551615"),
    "utf8": (INTERNAL, "plugin odd gave a namespace a path that is not UTF-8"),
}
AFTER_STOP = 'the plugin calls emit_event after stop, which it must not: it is not heard" plugin=odd'


@pytest.fixture(params=["none", "process"])
def odd_bed(request, own_bed, faulty):
    """An engine whose pods have the wrong runtime."""
    made = faulty("wrong", real=plugin("runtime-runc"))
    return own_bed(plugin_dirs=[os.path.dirname(made)], handler="odd", settings="""
[runtimes.odd]
plugin = "faulty"
isolation = "%s"
""" % request.param)


def fails(call, request, code, words):
    assert words in refused(call, request, code)


def test_the_plugin_is_blamed_and_the_daemon_goes_on(odd_bed):
    bed = odd_bed
    before = processes(bed)
    container = bed.run(bed.run_pod("good"), "c", command=SLEEP)
    for name, told in FAULTS.items():
        fails(bed.run_pod, name, *told)
        assert shell(bed, container, "echo alive") == "alive"

    created = bed.create(bed.run_pod("state"), "c", command=SLEEP)
    fails(bed.cri.StartContainer, {"container_id": created}, INTERNAL,
          "plugin odd: gave: a container in the unknown state 99")

    null = bed.run_pod("null")
    fails(bed.cri.PodSandboxStats, {"pod_sandbox_id": null}, INTERNAL,
          TAKEN + "a struct that is NULL")
    unread = bed.run(null, "c", command=SLEEP)
    fails(bed.cri.ContainerStats, {"container_id": unread}, INTERNAL,
          TAKEN + "a struct that is NULL")
    listed = {one.attributes.id: one for one in bed.cri.ListContainerStats().stats}
    assert listed[container].HasField("memory") and not listed[unread].HasField("memory")
    others = [bed.run_pod("other"), bed.run_pod("of-runc", handler="")]
    listed = {one.attributes.id for one in bed.cri.ListPodSandboxStats().stats}
    assert listed >= set(others) and null not in listed
    assert re.search(r'the figures of a pod cannot be read" pod=%s error=".*plugin odd: ' % null,
                     host.read(bed.log_path))

    # It was asked all this by one daemon, and in one process of its own.
    assert processes(bed) == before
    assert bed.stop_engine() == 0
    assert AFTER_STOP in host.read(bed.log_path)
    bed.start_engine()
    assert shell(bed, container, "echo alive") == "alive"

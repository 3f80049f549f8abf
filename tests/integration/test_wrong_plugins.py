"""What a plugin hands over and must not: the call fails and names it, and the daemon goes on with
everything else. Each kind's calls are looked at one by one in tests/unit/plugin-host."""

import os
import re

import grpc
import pytest

import host
from conftest import compile_plugin
from plugin_checker import plugin
from test_containers import SLEEP
from test_isolation import processes

pytestmark = pytest.mark.berth

# {the pod's name: what is said}.
FAULTS = {
    "exception": "INTERNAL: plugin odd (wrong) let an exception out of a call",
    "code": "INTERNAL: plugin odd returned the unknown code 4711",
    "message": "UNAVAILABLE: plugin odd failed with what is not UTF-8: \ufffd",
    "silence": "UNAVAILABLE: plugin odd failed without a message",
    "size": "INTERNAL: plugin odd: handed over what cannot be taken: a text of 18446744073709551615",
    "utf8": "INTERNAL: plugin odd gave a namespace a path that is not UTF-8",
}


@pytest.fixture(params=["none", "process"])
def odd_bed(request, own_bed, tmp_path):
    """An engine whose pods have the wrong runtime."""
    made = compile_plugin(tmp_path, "wrong.cpp", real=plugin("runtime-runc"))
    bed = own_bed(plugin_dirs=[os.path.dirname(made)], handler="odd", settings="""
[runtimes.odd]
plugin = "faulty"
isolation = "%s"
""" % request.param)
    yield bed
    if request.param == "process":
        assert processes(bed)["odd"][1] == 0, "its process has ended"


def failure(call):
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return "%s: %s" % (caught.value.code().name, caught.value.details())


def test_the_plugin_is_blamed_and_the_daemon_goes_on(odd_bed):
    bed = odd_bed
    pod = bed.run_pod("good")
    container = bed.run(pod, "c", command=SLEEP)
    for name, told in FAULTS.items():
        said = failure(lambda name=name: bed.run_pod(name))
        code, _, words = told.partition(": ")
        assert said.startswith(code + ": ") and words in said
    null = bed.run_pod("null")
    assert "plugin odd: handed over what cannot be taken: a struct that is NULL" in failure(
        lambda: bed.cri.PodSandboxStats({"pod_sandbox_id": null}))
    other = bed.run_pod("other")
    assert bed.cri.PodSandboxStats({"pod_sandbox_id": other}).stats.linux.cpu.timestamp
    # After stop it is not heard.
    assert bed.stop_engine() == 0
    assert re.search(r"odd\b.*the plugin calls emit_event after stop, which it must not",
                     host.read(bed.log_path))
    bed.start_engine()
    assert bed.exec(container, "true").exit_code == 0

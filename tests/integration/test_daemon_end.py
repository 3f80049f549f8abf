"""The daemon's end has an end, whatever a plugin does."""

import os
import time

import pytest

import grpc
import host
from berth_testbed import wait_until
from test_containers import SLEEP

pytestmark = pytest.mark.berth
PLUGIN_SECONDS = 10  # what berth/plugin.h gives stop
CALLS_SECONDS = 30


@pytest.fixture
def bed(own_bed, faulty):
    """With a network beside the one in use whose plugin hangs in `stop`."""
    plugin = faulty("faulty", "HANGS_IN_STOP")
    return own_bed(settings='[networks.hanging]\nplugin = "faulty"\n',
                   plugin_dirs=[os.path.dirname(plugin)])


def test_a_plugin_that_hangs_in_stop_is_not_waited_for(bed, name):
    container = bed.run(bed.run_pod(name), "app", command=SLEEP)
    begun = time.monotonic()
    assert bed.stop_engine(seconds=60) == 1
    took = time.monotonic() - begun
    assert PLUGIN_SECONDS <= took < 3 * PLUGIN_SECONDS
    last = host.read(bed.log_path).splitlines()[-1]
    assert "network hanging (plugin network-faulty) to stop" in last
    # As after a crash: pods go on, and nothing is left that the next start does not see to.
    bed.start_engine()
    assert bed.exec(container, "true").exit_code == 0


def test_a_call_that_hangs_is_not_waited_for(own_bed, hanging_snapshotter, name):
    bed = own_bed(**hanging_snapshotter.options)
    pod = bed.run_pod(name)
    running = bed.run(pod, "other", command=SLEEP)
    hanging_snapshotter.hold("snapshot_prepare")
    call = bed.cri.CreateContainer.future({
        "pod_sandbox_id": pod, "config": bed.container_config("app", command=SLEEP),
        "sandbox_config": bed.pod_config(name)}, timeout=5)
    wait_until(hanging_snapshotter.holds, what="the call that hangs")
    assert isinstance(call.exception(), grpc.RpcError)
    begun = time.monotonic()
    assert bed.stop_engine(seconds=90) == 1
    assert CALLS_SECONDS <= time.monotonic() - begun < CALLS_SECONDS + PLUGIN_SECONDS
    log = host.read(bed.log_path).splitlines()
    assert "waited_for=calls" in log[-1]
    assert any("an operation does not end" in line and "root filesystem" in line for line in log[-10:])
    bed.start_engine()
    assert bed.exec(running, "true").exit_code == 0
    assert bed.create(pod, "app", command=SLEEP)


def test_a_daemon_whose_plugins_stop_ends_by_itself(own_bed):
    bed = own_bed()
    assert bed.stop_engine(seconds=60) == 0
    assert "crashed" not in host.read(bed.log_path)
    bed.start_engine()

"""The test bed itself: what it takes down when a test has gone wrong."""

import os

import host
import pytest
from berth_testbed import TestBed
from test_containers import SLEEP

pytestmark = pytest.mark.berth


def test_nothing_is_left_of_an_engine_that_has_died():
    with TestBed() as bed:
        folder, bridge = bed.folder, bed.network.bridge
        pod = bed.run_pod("left")
        bed.run(pod, "c", command=SLEEP)
        bed.kill_engine()
        assert [name for name in host.network_namespaces() if pod in name]
    assert bed.leaks == ["the engine was not running at the end"]
    assert not [name for name in host.network_namespaces() if pod in name]
    assert host.processes(folder, bed.mark) == {}
    assert not [path for path in host.cgroups() if pod in path]
    assert bridge not in host.links()
    assert not os.path.exists(folder)

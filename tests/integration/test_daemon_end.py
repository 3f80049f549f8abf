"""The daemon's end has an end, whatever a plugin does."""

import os
import time

import pytest

import host
from test_containers import SLEEP

pytestmark = pytest.mark.berth
PLUGIN_SECONDS = 10  # what berth/plugin.h gives stop


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


def test_a_daemon_whose_plugins_stop_ends_by_itself(own_bed):
    bed = own_bed()
    assert bed.stop_engine(seconds=60) == 0
    assert "crashed" not in host.read(bed.log_path)
    bed.start_engine()

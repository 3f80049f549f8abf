"""A plugin of a new configuration that hangs while that is judged is waited for by few."""

import os
import signal
import subprocess
import time
import tomllib

import host
import pytest

from test_isolation import until

pytestmark = pytest.mark.berth
SECONDS = 25  # of a reload
PLUGIN_SECONDS = 10  # that the daemon's end gives it
WAITED_FOR = "network hanging (plugin faulty) to be loaded and configured"
HANGING = '[networks.hanging]\nplugin = "faulty"\n'
LIVE = "[containers]\npids_limit = 77\n"
REFUSED = "the configuration stays as it was"


@pytest.fixture
def bed(request, own_bed, faulty):
    """Its next configuration has a plugin that hangs."""
    plugin = faulty("faulty", request.param)
    bed = own_bed(plugin_dirs=[os.path.dirname(plugin)])
    configure(bed, HANGING)
    return bed


def configure(bed, settings):
    bed.settings = settings
    berth, *_, config = bed.engine.command()  # writes the file
    bed.berth = lambda *arguments: subprocess.run(
        [berth, *arguments, "--config", config], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60)


def hang_up(bed):
    """Has a signal make it hang."""
    os.kill(bed.pid, signal.SIGHUP)
    until(lambda: WAITED_FOR in bed.berth("ops").stdout)


def shown(bed):
    begun = time.monotonic()
    answer = bed.berth("config", "show")
    assert answer.returncode == 0 and time.monotonic() - begun < SECONDS / 2, answer
    return tomllib.loads(answer.stdout)


def start_without(bed):
    configure(bed, "")
    bed.start_engine()


@pytest.mark.parametrize("bed", ["HANGS_WHEN_LOADED", "HANGS_IN_CONFIGURE"], indirect=True)
def test_the_daemon_answers_and_ends(bed):
    hang_up(bed)
    assert "hanging" not in shown(bed)["networks"]
    begun = time.monotonic()
    assert bed.stop_engine(seconds=60) == 1
    assert PLUGIN_SECONDS <= time.monotonic() - begun < 2 * PLUGIN_SECONDS
    log = host.read(bed.log_path)
    assert WAITED_FOR in log.splitlines()[-1]
    assert "the daemon is ending" in log, "the reload was given up"
    start_without(bed)


@pytest.mark.parametrize("bed", ["HANGS_WHEN_LOADED"], indirect=True)
def test_a_reload_says_what_it_has_waited_for(bed):
    begun = time.monotonic()
    told = bed.berth("reload")
    assert told.returncode == 1 and "waited in vain for " + WAITED_FOR in told.stderr, told
    assert SECONDS <= time.monotonic() - begun < SECONDS + 5
    # Another one finds it still there; what needs no plugin is taken up.
    begun = time.monotonic()
    told = bed.berth("reload")
    assert told.returncode == 1 and "waited in vain for " + WAITED_FOR in told.stderr, told
    assert time.monotonic() - begun < SECONDS / 2
    configure(bed, LIVE)
    told = bed.berth("reload")
    assert told.returncode == 0 and "containers.pids_limit" in told.stdout, told
    assert shown(bed)["containers"]["pids_limit"] == 77
    bed.kill_engine()
    start_without(bed)


# One that hangs in the dynamic linker holds it, and with it new pods.
@pytest.mark.parametrize("bed", ["HANGS_IN_CONFIGURE"], indirect=True)
def test_signals_while_a_reload_is_under_way_are_one_more(bed, name):
    hang_up(bed)
    bed.run_pod(name)
    configure(bed, LIVE)
    for _ in range(3):
        os.kill(bed.pid, signal.SIGHUP)
        shown(bed)  # so that they are three
    assert host.read(bed.log_path).count(REFUSED) == 0
    # The first has its whole time before.
    until(lambda: REFUSED in host.read(bed.log_path))
    until(lambda: shown(bed)["containers"]["pids_limit"] == 77)
    log = host.read(bed.log_path)
    assert log.count(REFUSED) == 1 and log.count("the configuration was read anew") == 1
    bed.kill_engine()
    start_without(bed)
    bed.remove_all_pods()

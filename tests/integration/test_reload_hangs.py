"""A plugin of a new configuration that hangs or crashes while that is tried does no harm."""

import os
import signal
import subprocess
import time
import tomllib

import host
import pytest

from plugin_projects import sanitizer
from test_isolation import until

pytestmark = pytest.mark.berth
SECONDS = 25  # of a reload
WAITED_FOR = "network bad (plugin faulty) to be loaded and configured"
BAD = '[networks.bad]\nplugin = "faulty"\n'
# Where some of the faulty plugins' faults show.
AT_VALUE = BAD + '[networks.bad.options]\npath = "/nonexistent"\n'
LIVE = "[containers]\npids_limit = 77\n"
REFUSED = "the configuration stays as it was"
TRIAL = "config\0check\0"


@pytest.fixture
def bed(request, own_bed, faulty):
    """Its next configuration has a plugin with the fault."""
    plugin = faulty("faulty", request.param)
    bed = own_bed(plugin_dirs=[os.path.dirname(plugin)])
    configure(bed, AT_VALUE if request.param.endswith("AT_VALUE") else BAD)
    return bed


def configure(bed, settings):
    bed.settings = settings
    berth, *_, config = bed.engine.command()  # writes the file
    bed.berth = lambda *arguments: subprocess.run(
        [berth, *arguments, "--config", config], capture_output=True, text=True, check=False,
        stdin=subprocess.DEVNULL, timeout=60)


def trials(bed):
    """Processes in which a start is tried."""
    return [pid for pid in host.processes(bed.folder, bed.mark)
            if TRIAL in host.read("/proc/%d/cmdline" % pid)]


def hang_up(bed):
    """Has a signal make it hang."""
    os.kill(bed.pid, signal.SIGHUP)
    until(lambda: trials(bed) and "tried in a process of its own" in bed.berth("ops").stdout)


def shown(bed):
    begun = time.monotonic()
    answer = bed.berth("config", "show")
    assert answer.returncode == 0 and time.monotonic() - begun < SECONDS / 2, answer
    return tomllib.loads(answer.stdout)


def start_without(bed):
    configure(bed, "")
    bed.start_engine()


@pytest.mark.parametrize("bed", ["HANGS_WHEN_LOADED", "HANGS_IN_CONFIGURE"], indirect=True)
def test_the_daemon_works_and_ends(bed, name):
    hang_up(bed)
    assert "bad" not in shown(bed)["networks"]
    bed.remove_pod(bed.run_pod(name))
    begun = time.monotonic()
    assert bed.stop_engine(seconds=60) == 0
    assert time.monotonic() - begun < SECONDS / 2
    assert not trials(bed)
    start_without(bed)


@pytest.mark.parametrize("bed", ["HANGS_WHEN_LOADED"], indirect=True)
def test_a_trial_ends_with_a_daemon_that_is_killed(bed):
    hang_up(bed)
    bed.kill_engine()
    until(lambda: not trials(bed))
    start_without(bed)


@pytest.mark.parametrize("bed", ["HANGS_WHEN_LOADED"], indirect=True)
def test_a_reload_says_what_it_has_waited_for(bed):
    begun = time.monotonic()
    told = bed.berth("reload")
    assert told.returncode == 1 and "waited in vain for " + WAITED_FOR in told.stderr, told
    assert SECONDS - 2 <= time.monotonic() - begun < SECONDS + 5
    assert not trials(bed)
    configure(bed, LIVE)
    told = bed.berth("reload")
    assert told.returncode == 0 and "containers.pids_limit" in told.stdout, told
    assert shown(bed)["containers"]["pids_limit"] == 77
    configure(bed, "")


@pytest.mark.parametrize("bed, told", [
    pytest.param("CRASHES_AT_VALUE", "it ended with status 139", marks=pytest.mark.skipif(
        sanitizer() is not None, reason="a sanitizer takes the signal, and tells of it")),
    ("EXITS_AT_VALUE", "it ended with status 0"),
], indirect=["bed"])
def test_a_plugin_that_ends_the_trial_is_named(bed, told):
    daemon = bed.pid
    answer = bed.berth("reload")
    assert answer.returncode == 1 and WAITED_FOR in answer.stderr and told in answer.stderr, answer
    assert bed.alive() and bed.pid == daemon
    assert "bad" not in shown(bed)["networks"]
    configure(bed, "")


@pytest.mark.parametrize("bed", ["HANGS_IN_CONFIGURE"], indirect=True)
def test_signals_while_a_reload_is_under_way_are_one_more(bed):
    hang_up(bed)
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


@pytest.mark.parametrize("bed", ["HANGS_IN_CONFIGURE"], indirect=True)
def test_the_command_that_checks_names_what_hangs(bed):
    begun = time.monotonic()
    told = bed.berth("config", "check", "--limit", "2", "--verbose")
    assert told.returncode == 1 and time.monotonic() - begun < SECONDS / 2
    assert told.stderr == "waited in vain for %s\n" % WAITED_FOR
    assert WAITED_FOR in told.stdout.splitlines()
    configure(bed, "")

"""The daemon's start has an end, whatever a plugin does."""

import os
import subprocess
import time

import pytest

import host
from berth_testbed import wait_until
from conftest import compile_plugin
from engines import toml

pytestmark = pytest.mark.berth
SECONDS = 70  # a service manager is asked for more patience
BUILD = os.path.abspath(os.environ.get(
    "BERTH_BUILD", os.path.join(os.path.dirname(__file__), "../../build/release")))
FAULTS = {
    "HANGS_WHEN_LOADED": "network hanging (plugin faulty) to be loaded and configured",
    "HANGS_IN_CONFIGURE": "network hanging (plugin faulty) to be loaded and configured",
    "HANGS_IN_START": "network hanging (plugin network-faulty) to start",
}


@pytest.fixture
def daemons(tmp_path):
    """For each fault a daemon that starts with a plugin that has it, and when it was begun."""
    folders = {fault: tmp_path / fault for fault in FAULTS}
    for fault, folder in folders.items():
        folder.mkdir()
        os.chmod(folder, 0o755)
        compile_plugin(folder, "faulty", fault)
    begun = {}
    try:
        for fault, folder in folders.items():
            begun[fault] = time.monotonic(), start(folder)
        yield begun
    finally:
        for _, process in begun.values():
            process.kill()
            process.wait()


def start(folder):
    """A daemon with everything in the folder, and the plugin that lies there."""
    config = folder / "berth.toml"
    config.write_text("\n".join([
        "root = " + toml(str(folder / "root")),
        "state = " + toml(str(folder / "state")),
        "plugin_dirs = " + toml([os.path.join(BUILD, "lib/berth/plugins"), str(folder)]),
        "[grpc]",
        "socket = " + toml(str(folder / "cri.sock")),
        "[networks.hanging]",
        'plugin = "faulty"',
        ""]))
    with open(folder / "log", "wb") as log:
        return subprocess.Popen(
            [os.path.join(BUILD, "bin/berth"), "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)


def test_a_plugin_that_hangs_at_the_start_is_not_waited_for(daemons, tmp_path):
    for fault, waited_for in FAULTS.items():
        begun, process = daemons[fault]
        status = process.wait(SECONDS + 60)
        log = host.read(str(tmp_path / fault / "log"))
        assert status == 1, log
        assert time.monotonic() - begun >= SECONDS, log
        last = log.splitlines()[-1]
        assert "the daemon ends as if it had crashed" in last and waited_for in last, log
        # Long before.
        [long] = [line for line in log.splitlines() if "start or end takes long" in line]
        assert waited_for in long, log


def test_a_signal_ends_a_start_whatever_hangs_in_it(daemons, tmp_path):
    for fault, waited_for in FAULTS.items():
        _, process = daemons[fault]
        log = str(tmp_path / fault / "log")
        wait_until(lambda: "takes long" in host.read(log), what="the stage that hangs")
        begun = time.monotonic()
        process.terminate()
        assert process.wait(20) == 0, host.read(log)
        assert time.monotonic() - begun < 2
        last = host.read(log).splitlines()[-1]
        assert "ending before anything is served" in last and waited_for in last, host.read(log)

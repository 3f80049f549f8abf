"""The Debian package on a node with systemd: installed, restarted, watched, upgraded and removed with
a pod running. In the virtual machine only, in this order."""

import json
import os
import re

import pytest

from documents import block
from node import (CRICTL, SOCKET, Pod, check_nothing_is_left, crictl, install, package, prepare, purge,
                  run, settings, shown, wait_until)

MANUAL = "docs/troubleshooting.md"


@pytest.fixture(scope="module")
def node():
    prepare()
    yield
    run("apt-get", "-q", "-y", "purge", "berth", check=False)


@pytest.fixture(scope="module")
def pod(node, tmp_path_factory):
    return Pod(tmp_path_factory.mktemp("pod"))


def test_the_daemon_serves_once_it_is_installed(node):
    assert run("systemctl", "is-active", "berth") == "active"
    assert run("systemctl", "is-enabled", "berth") == "enabled"
    assert shown("StatusText") == "serving " + SOCKET
    assert shown("WatchdogUSec") == "1min"
    assert shown("NRestarts") == "0"
    status = os.stat(SOCKET)
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o660, 0, 0)
    assert json.loads(crictl("info"))["status"]["conditions"][0]["status"] is True
    checked = run("berth", "check")
    assert re.search("^ok +cgroup driver +systemd$", checked, re.MULTILINE), checked
    assert re.search("^ok +systemd, runc ", checked, re.MULTILINE), checked


def test_a_pod_runs(pod):
    pod.check()
    assert pod.address.startswith("10.85.")
    # Nothing that speaks to systemd is handed on.
    assert "NOTIFY_SOCKET" not in crictl("exec", pod.container, "env")


@pytest.mark.parametrize("heading, words", [
    ("Troubleshooting, by symptom", ["Version ", "Active: active (running)", "network-cni",
                                     "The configuration is valid", "RuntimeReady"]),
    ("Images or layers are damaged", ["No damage was found"])])
def test_what_the_manual_tells_to_look_at_is_there(pod, heading, words):
    told = run("env", "PATH=%s:%s" % (os.path.dirname(CRICTL), os.environ["PATH"]), "bash", "-ec",
               block(MANUAL, heading, "sh"))
    for each in words:
        assert each in told, told
    pod.check()


def test_systemd_reads_its_units_anew(pod):
    run("systemctl", "daemon-reload")
    pod.check()


def test_a_reload_takes_up_what_can_be(pod):
    with open("/etc/berth/berth.toml.d/log.toml", "w", encoding="utf-8") as stream:
        stream.write("log.level = \"debug\"\n")
    run("systemctl", "reload", "berth")
    assert "level = \"debug\"" in run("berth", "config", "show")
    with open("/etc/berth/berth.toml.d/log.toml", "w", encoding="utf-8") as stream:
        stream.write("log.level = \"loud\"\n")
    assert run("systemctl", "reload", "berth", check=False) != ""
    os.remove("/etc/berth/berth.toml.d/log.toml")
    assert run("systemctl", "is-active", "berth") == "active"
    pod.check()


def test_a_start_that_is_refused_is_not_tried_again(pod):
    with open("/etc/berth/berth.toml.d/log.toml", "w", encoding="utf-8") as stream:
        stream.write("log.level = \"loud\"\n")
    run("systemctl", "restart", "berth", check=False)
    wait_until(lambda: shown("ActiveState") != "activating", "the start does not end")
    assert (shown("SubState"), shown("ExecMainStatus")) == ("failed", "78")
    os.remove("/etc/berth/berth.toml.d/log.toml")
    run("systemctl", "start", "berth")
    pod.check()


def test_a_restart_leaves_the_pod(pod):
    before = shown("MainPID")
    run("systemctl", "restart", "berth")
    assert shown("MainPID") != before
    pod.check()


def test_a_daemon_that_was_killed_comes_back(pod):
    restarts = int(shown("NRestarts"))
    run("systemctl", "kill", "--signal", "KILL", "--kill-who", "main", "berth")
    wait_until(lambda: int(shown("NRestarts")) > restarts and shown("SubState") == "running",
               "the daemon is not started again")
    pod.check()


def test_a_daemon_that_hangs_is_replaced(pod):
    settings("watchdog.conf", "[Service]\nWatchdogSec=20\nTimeoutAbortSec=2\nTimeoutStopSec=2\n")
    run("systemctl", "restart", "berth")
    restarts = int(shown("NRestarts"))
    os.kill(int(shown("MainPID")), 19)  # SIGSTOP
    wait_until(lambda: int(shown("NRestarts")) > restarts and shown("SubState") == "running",
               "the watchdog has not bitten")
    run("rm", "-r", "/etc/systemd/system/berth.service.d")
    run("systemctl", "daemon-reload")
    pod.check()


def test_an_upgrade_leaves_the_pod(pod, tmp_path):
    run("dpkg-deb", "--raw-extract", package(), str(tmp_path / "tree"))
    control = tmp_path / "tree/DEBIAN/control"
    version = run("dpkg-deb", "--field", package(), "Version")
    control.write_text(control.read_text().replace("Version: " + version,
                                                   "Version: %s+1" % version))
    run("dpkg-deb", "--build", "-Znone", str(tmp_path / "tree"), str(tmp_path / "berth.deb"))
    before = shown("MainPID")
    install(str(tmp_path / "berth.deb"))
    assert run("dpkg-query", "--show", "--showformat", "${Version}", "berth") == version + "+1"
    assert run("systemctl", "is-active", "berth") == "active"
    assert shown("MainPID") != before
    pod.check()


def test_removal_leaves_the_pod_and_a_purge_what_it_needs(pod):
    told = run("apt-get", "-q", "-y", "remove", "berth")
    assert "They go on without the engine" in told
    pod.check_running()
    assert "are left" in purge()
    pod.check_running()
    assert os.path.exists("/var/lib/berth/berth.db")


def test_installed_again_it_finds_the_pod(pod):
    install(package())
    pod.check()
    crictl("stopp", pod.id)
    crictl("rmp", pod.id)
    assert not os.path.exists("/proc/%d" % pod.process)


def test_a_pod_with_the_nodes_namespaces_is_seen_too(node, tmp_path):
    """As `kubectl debug node/…` makes one."""
    pod = Pod(tmp_path, "debug", namespaces={"network": 2, "ipc": 2})
    assert "They go on without the engine" in run("apt-get", "-q", "-y", "remove", "berth")
    assert "are left" in purge()
    pod.check_running()
    install(package())
    pod.check()
    crictl("stopp", pod.id)
    crictl("rmp", pod.id)


def test_a_purge_leaves_nothing(pod):
    purge()
    check_nothing_is_left()

"""The node of test_reboot_after.py after an orderly restart of the machine, in this order."""

import json
import os
import time

import pytest

from node import (REMEMBERED, SOCKET, Pod, boot, check_nothing_is_left, containers, crictl, held,
                  purge, run, shown, wait_until)
from restarts import BEGUN, ENDED, ENDED_WELL, PATIENCE, UNSEEN, end_of

# One round of it for units and one for the processes that are left, and time for all the rest.
LIMIT = 2 * PATIENCE + 30


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


@pytest.fixture(scope="module")
def before():
    return json.loads(read(REMEMBERED))


@pytest.fixture(scope="module")
def pods(before):
    return before["pods"]


def test_the_shutdown_does_not_hang(before):
    assert boot() != before["boot"]
    booted = time.time() - float(read("/proc/uptime").split()[0])
    took = booted - float(read(BEGUN))
    print("the shutdown took %d s" % took)
    assert 0 <= took < LIMIT


def test_the_daemon_ended_by_itself():
    assert read(ENDED).split() == ["success", "exited", "0"]
    assert os.path.getmtime(ENDED) - float(read(BEGUN)) < PATIENCE


def test_the_daemon_is_started_with_the_machine():
    wait_until(lambda: shown("SubState") == "running", "the daemon is not started")
    assert shown("StatusText") == "serving " + SOCKET
    assert shown("NRestarts") == "0"


def test_what_ran_is_told_as_ended(pods):
    assert set(crictl("pods", "--quiet", "--no-trunc", "--state", "NotReady").split()) == {
        pod["id"] for pod in pods.values()}
    assert containers("Exited") == {pod["container"] for pod in pods.values()}
    # systemd ends daemon and containers side by side: this one's exit may have been seen.
    assert end_of(pods["polite"]) in (UNSEEN, ENDED_WELL)
    assert end_of(pods["stubborn"]) == UNSEEN
    assert end_of(pods["done"]) == ENDED_WELL
    for pod in pods.values():
        assert os.path.getsize(pod["log"]) > 0


def test_their_addresses_and_names_are_free_once_they_are_removed(pods, tmp_path):
    """Addresses at once: the engine gives back what ended with the machine."""
    wait_until(lambda: held() == set(), "addresses are held: %s" % held())
    for pod in pods.values():
        crictl("stopp", pod["id"])
        crictl("rmp", pod["id"])
    again = Pod(tmp_path, "polite")
    again.check()
    assert held() == {again.address}
    crictl("stopp", again.id)
    crictl("rmp", again.id)
    assert held() == set()
    assert run("systemctl", "list-units", "--all", "--plain", "--no-legend",
               "berth-*.scope") == ""
    mounts = [line.split()[4] for line in read("/proc/self/mountinfo").splitlines()]
    assert [path for path in mounts if "/run/berth/" in path or "/run/netns/berth-" in path] == []


def test_a_purge_leaves_nothing():
    purge()
    check_nothing_is_left()

"""The node of test_reboot_before.py after a restart of the machine, in this order."""

import glob
import json
import os

import pytest

from node import (REMEMBERED, SOCKET, Pod, boot, check_nothing_is_left, crictl, purge, run, shown,
                  wait_until)

ADDRESSES = "/var/lib/cni/networks/berth/10.*"


@pytest.fixture(scope="module")
def before():
    with open(REMEMBERED, encoding="utf-8") as stream:
        return json.load(stream)


def held():
    return {os.path.basename(path) for path in glob.glob(ADDRESSES)}


def containers(state):
    return set(crictl("ps", "--all", "--quiet", "--no-trunc", "--state", state).split())


def test_the_daemon_is_started_with_the_machine(before):
    assert boot() != before["boot"]
    wait_until(lambda: shown("SubState") == "running", "the daemon is not started")
    assert shown("StatusText") == "serving " + SOCKET
    assert shown("NRestarts") == "0"


def test_what_ran_is_told_as_ended(before):
    pods = before["pods"]
    assert set(crictl("pods", "--quiet", "--no-trunc", "--state", "NotReady").split()) == {
        pod["id"] for pod in pods}
    assert containers("Exited") == {pod["container"] for pod in pods}
    # What was known before stays so.
    stopped = json.loads(crictl("inspect", pods[1]["container"]))["status"]
    assert (stopped["exitCode"], stopped["reason"]) == (0, "Completed")
    for pod in pods:
        assert os.path.getsize(pod["log"]) > 0


def test_new_pods_take_their_place(before, tmp_path):
    """As the kubelet makes them: beside the old ones, which it removes afterwards."""
    pods = [Pod(tmp_path, name, attempt=1) for name in ("a", "b")]
    for pod in pods:
        pod.check()
    assert "berth-default (enforce)" in crictl("exec", pods[0].container, "cat",
                                               "/proc/self/attr/current")
    for pod in before["pods"]:
        crictl("stopp", pod["id"])
        crictl("rmp", pod["id"])
    assert held() == {pod.address for pod in pods}
    for pod in pods:
        pod.check()
        crictl("stopp", pod.id)
        crictl("rmp", pod.id)
    assert held() == set()
    assert run("systemctl", "list-units", "--all", "--plain", "--no-legend",
               "berth-*.scope") == ""


def test_a_purge_leaves_nothing():
    purge()
    check_nothing_is_left()

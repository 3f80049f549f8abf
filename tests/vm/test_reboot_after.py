"""The node of test_reboot_before.py after a restart of the machine by force, in this order. At the
end it has pods again, for a restart in order: test_reboot_orderly.py."""

import json
import os

import pytest

from node import (REMEMBERED, SOCKET, Pod, boot, containers, crictl, held, run, settings, shown,
                  wait_until, write)
from restarts import ENDED, ENDED_WELL, PATIENCE, STUBBORN, UNSEEN, end_of


@pytest.fixture(scope="module")
def before():
    with open(REMEMBERED, encoding="utf-8") as stream:
        return json.load(stream)


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
    # All processes are ended at once, the daemon among them: it may have seen this one's exit.
    assert end_of(pods[0]) in (UNSEEN, ENDED_WELL)
    # What was known before stays so.
    assert end_of(pods[1]) == ENDED_WELL
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


def test_pods_run_when_the_machine_is_to_be_restarted_in_order(tmp_path):
    """One ends when it is asked to, one only when it is killed, and one has ended before."""
    # A unit has the limit of when it was begun.
    os.makedirs("/etc/systemd/system.conf.d", exist_ok=True)
    with open("/etc/systemd/system.conf.d/berth-vm.conf", "w", encoding="utf-8") as stream:
        stream.write("[Manager]\nDefaultTimeoutStopSec=%d\n" % PATIENCE)
    settings("ended.conf", "[Service]\nExecStopPost=/bin/sh -c "
             "'echo $SERVICE_RESULT $EXIT_CODE $EXIT_STATUS > %s'\n" % ENDED)
    pods = [Pod(tmp_path, "polite"), Pod(tmp_path, "stubborn", script=STUBBORN),
            Pod(tmp_path, "done")]
    for pod in pods:
        pod.check()
    crictl("stop", "--timeout", "60", pods[2].container)
    assert held() == {pod.address for pod in pods}
    write(REMEMBERED, {"boot": boot(), "pods": {pod.name: vars(pod) for pod in pods}})

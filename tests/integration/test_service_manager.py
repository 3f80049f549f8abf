"""What systemd hears of the daemon, which has its own socket here."""

import os
import queue
import re
import signal
import socket
import threading

import pytest

import host
from asking import verbose
from holding import stop

pytestmark = [pytest.mark.berth, pytest.mark.alone]

PATIENCE = 0.9  # seconds of the watchdog


class Manager:
    """Systemd's end of the socket."""

    def __init__(self, path):
        self._messages = queue.SimpleQueue()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(path)
        # The kernel keeps few messages that nobody takes.
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self):
        while message := self._socket.recv(4096):
            self._messages.put(message.decode())

    def hear(self, seconds=20):
        """The next message; None when none comes."""
        try:
            return self._messages.get(timeout=seconds)
        except queue.Empty:
            return None

    def close(self):
        self._socket.shutdown(socket.SHUT_RD)
        self._thread.join()
        self._socket.close()


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(PATIENCE * 1_000_000)))
    manager = Manager(path)
    yield manager
    manager.close()


def stages_until(systemd, words):
    """What the daemon says that it waits for until it says this; and that message."""
    stages = []
    while words not in (message := systemd.hear()):
        time, stage = re.fullmatch(r"EXTEND_TIMEOUT_USEC=(\d+)\nSTATUS=waits for (.+)",
                                   message).groups()
        assert int(time) > 10_000_000, "longer than the daemon waits itself"
        stages.append(stage)
    return stages, message


def test_start_life_and_end_are_told(systemd, own_bed, name):
    bed = own_bed()
    stages, ready = stages_until(systemd, "READY=1")
    assert ready == "READY=1\nSTATUS=serving %s" % bed.engine.socket
    for what in ("the database to be opened", "network cni (plugin network-cni) to be loaded",
                 "runtime runc (plugin runtime-runc) to start", "pods to be found again"):
        assert any(what in stage for stage in stages), what
    assert [systemd.hear() for _ in range(3)] == ["WATCHDOG=1"] * 3

    # Nothing that the daemon starts can speak in its name.
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sleep", "1000"])
    assert "NOTIFY_SOCKET" not in bed.exec(container, "env").stdout.decode()
    process = verbose(bed.cri.ContainerStatus, {"container_id": container})["pid"]
    monitor = int(host.read("/proc/%d/stat" % process).rpartition(")")[2].split()[1])
    for number in (process, monitor):
        with open("/proc/%d/environ" % number, "rb") as stream:
            variables = {entry.partition(b"=")[0] for entry in stream.read().split(b"\0")}
        assert not variables & {b"NOTIFY_SOCKET", b"WATCHDOG_USEC", b"WATCHDOG_PID"}, number

    # A stopped daemon is silent; one that goes on is heard again.
    stop(bed.pid)
    try:
        while systemd.hear(2 * PATIENCE):
            pass
    finally:
        os.kill(bed.pid, signal.SIGCONT)
    assert systemd.hear() == "WATCHDOG=1"

    assert bed.stop_engine() == 0
    messages = [systemd.hear()]
    while messages[-1] == "WATCHDOG=1":
        messages.append(systemd.hear())
    assert messages[-1] == "STOPPING=1\nSTATUS=ending; pods go on"
    stages, _ = stages_until(systemd, "the database to be closed")
    assert stages[0] == "calls"
    assert "runtime runc (plugin runtime-runc) to stop" in stages
    bed.start_engine()

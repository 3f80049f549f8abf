"""What systemd hears of the daemon, which has its own socket here."""

import os
import signal
import socket

import pytest

import host
from asking import verbose
from holding import stop

pytestmark = [pytest.mark.berth, pytest.mark.alone]

PATIENCE = 0.9  # seconds of the watchdog


class Manager:
    """Systemd's end of the socket."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)

    def hear(self, seconds=20):
        """The next message; None when none comes."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None


@pytest.fixture
def systemd(tmp_path, monkeypatch):
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    monkeypatch.setenv("WATCHDOG_USEC", str(int(PATIENCE * 1_000_000)))
    manager = Manager(path)
    yield manager
    manager.socket.close()


def test_start_life_and_end_are_told(systemd, own_bed, name):
    bed = own_bed()
    assert systemd.hear() == "READY=1\nSTATUS=serving %s" % bed.engine.socket
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
    bed.start_engine()

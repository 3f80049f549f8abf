"""What streams cost: clients that do not read, and very many short commands."""

import collections
import concurrent.futures
import contextlib
import os
import time

import pytest

import host
import streams
from berth_testbed import wait_until

SLEEP = ["sleep", "1000"]
MEBIBYTE = 1 << 20
TRANSPORTS = ("spdy", "websocket")

pytestmark = [pytest.mark.berth, pytest.mark.alone]


def memory(pid):
    """Resident, in bytes."""
    for line in host.read("/proc/%d/status" % pid).splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("process %d is gone" % pid)


def monitors(bed):
    """The processes of the monitor of the only pod."""
    found = [pid for pid, command in host.processes(bed.folder, bed.mark).items()
             if "/berth-monitor " in command]
    assert found
    return found


def memory_of_all(bed):
    return memory(bed.pid), sum(memory(pid) for pid in monitors(bed))


def exec_url(bed, container, command, **more):
    return bed.cri.Exec({"container_id": container, "cmd": command, "stdout": True, **more}).url


def silent_clients(bed, pod, container):
    """One of each kind, each of which is sent all it takes and reads nothing of it."""
    for transport in TRANSPORTS:
        for tty in (False, True):
            yield streams.open(transport, exec_url(bed, container, ["yes"], tty=tty),
                               ("stdout", "resize") if tty else ("stdout",))
        yield streams.open(transport, bed.cri.Attach(
            {"container_id": container, "stdout": True}).url)
    ports = {"pod_sandbox_id": pod, "port": [8123]}
    yield streams.SpdySession(
        bed.cri.PortForward(ports).url, protocol="portforward.k8s.io", headers=[
            {"streamtype": kind, "port": "8123", "requestid": "0"} for kind in ("error", "data")])
    yield streams.WebSocketSession(
        bed.cri.PortForward(ports).url, protocol="v4.channel.k8s.io")


def test_clients_that_do_not_read_cost_little(bed, pod):
    container = bed.run(pod, "c", command=[
        "sh", "-c", "nc -ll -p 8123 -e yes & until [ -e /go ]; do sleep 0.1; done; yes attached"])
    wait_until(lambda: bed.exec(container, "sh", "-c", "echo | nc -w 1 127.0.0.1 8123 | head -n 1")
               .stdout == b"y\n", what="the server")
    clients = []
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            group = [stack.enter_context(client)
                     for client in silent_clients(bed, pod, container)]
            # Of connections that the server has not taken, the kernel keeps as many as it has asked
            # for, here two, and forgets others though they are established for the client.
            wait_until(lambda: all(client.waiting() > 1 << 10 for client in group[-2:]),
                       what="the ports' first bytes")
            clients += group
        bed.exec(container, "touch", "/go")
        before = most = memory_of_all(bed)
        # That it does not grow as long as nobody reads is what is tested.
        end = time.monotonic() + 10
        while time.monotonic() < end:
            most = tuple(map(max, most, memory_of_all(bed)))
            time.sleep(0.1)
        assert all(client.waiting() > 32 << 10 for client in clients)
        # A session has at most a buffer of 256 KiB in the daemon.
        assert most[0] - before[0] < 16 * MEBIBYTE
        assert most[1] - before[1] < 4 * MEBIBYTE
        # Not on into the log once nobody is attached.
        bed.exec(container, "killall", "yes")
    # The container has ended with what it ran.
    bed.wait_exit(container)
    assert memory(bed.pid) - before[0] < 16 * MEBIBYTE


class Footprint(collections.namedtuple("Footprint",
                                       "descriptors threads processes daemon monitor")):
    """What the daemon and the monitor of the only pod have."""

    @classmethod
    def of(cls, bed):
        return cls(sum(len(os.listdir("/proc/%d/fd" % pid)) for pid in (bed.pid, *monitors(bed))),
                   len(os.listdir("/proc/%d/task" % bed.pid)),
                   len(host.processes(bed.folder, bed.mark)), *memory_of_all(bed))


def test_thousands_of_short_commands_leave_nothing(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)

    def run_one(number):
        tty = number % 2 == 1
        transport = TRANSPORTS[number // 2 % 2]
        url = exec_url(bed, container, ["echo", str(number)], tty=tty)
        with streams.open(transport, url, ("stdout", "resize") if tty else ("stdout",)) as session:
            output, status = session.finish()
        assert status == {"metadata": {}, "status": "Success"}
        assert output == b"%d\r\n" % number if tty else b"%d\n" % number

    def run(count):
        with concurrent.futures.ThreadPoolExecutor(16) as clients:
            collections.deque(clients.map(run_one, range(count)), maxlen=0)

    run(200)  # threads, and memory that is kept for the next
    before = Footprint.of(bed)
    # More than may wait for a client: what is used waits no more.
    run(2000)

    def back():
        now = Footprint.of(bed)
        return now if now.descriptors <= before.descriptors + 4 and \
            now.threads <= before.threads and now.processes <= before.processes else None
    after = wait_until(back, what="what the commands had is gone")
    assert after.monitor - before.monitor < MEBIBYTE
    assert after.daemon - before.daemon < 8 * MEBIBYTE

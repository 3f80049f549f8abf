"""Ports of pods as people reach them: crictl, over both of its transports."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys

import pytest

import grpc
from berth_testbed import wait_until
from crictl_at_work import read_until, started

MEBIBYTE = 1 << 20
# Each program gets what it listens on as `server`, and prints its port first.
LISTEN = """
import socket, sys, threading
server = socket.socket(socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET)
server.bind((sys.argv[1], 0))
server.listen(256)
print(server.getsockname()[1], flush=True)
"""
ECHO = LISTEN + """
def serve(client):
    with client:
        while data := client.recv(65536):
            client.sendall(data)
while True:
    threading.Thread(target=serve, args=(server.accept()[0],)).start()
"""
# Answers once it has the whole request, which the end of the client's side tells.
ANSWER = LISTEN + """
while True:
    client, _ = server.accept()
    request = b""
    while data := client.recv(65536):
        request += data
    client.sendall(request[::-1])
    client.close()
"""


def network_of(bed, pod):
    """The path of the pod's own network namespace, if it has one."""
    answer = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod, "verbose": True})
    namespaces = json.loads(answer.info["info"])["runtimeSpec"]["linux"]["namespaces"]
    return next((each["path"] for each in namespaces if each["type"] == "network"), None)


@contextlib.contextmanager
def serving(bed, pod, address="127.0.0.1", program=ECHO):
    """A server on the pod's loopback; gives its port."""
    command = [sys.executable, "-c", program, address]
    path = network_of(bed, pod)
    if path:
        command = ["nsenter", "--net=" + path, *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        yield int(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@contextlib.contextmanager
def forwarded(bed, pod, port, transport):
    """Gives the local port that crictl forwards."""
    with started(bed, "port-forward", "-r", transport, pod, "0:%d" % port,
                 stdout=subprocess.PIPE) as process:
        text = read_until(process.stdout.fileno(), b"-> %d" % port).decode()
        yield int(re.search(r"127\.0\.0\.1:(\d+) ->", text)[1])


def connect(port):
    return socket.create_connection(("127.0.0.1", port), timeout=30)


def receive(client, size):
    got = b""
    while len(got) < size:
        part = client.recv(65536)
        assert part, "the connection ended after %d bytes" % len(got)
        got += part
    return got


def receive_all(client):
    got = b""
    while part := client.recv(65536):
        got += part
    return got


def free_port():
    """Of the tests' own network, where nobody else takes it meanwhile."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def on_host_network():
    return {"security_context": {"namespace_options": {"network": 2}}}


@pytest.mark.parametrize("network,address", [
    ("cni", "127.0.0.1"), ("cni", "::1"), ("host", "127.0.0.1"), ("host", "::1")])
def test_port_forward(bed, name, transport, network, address):
    pod = bed.run_pod(name, linux=on_host_network() if network == "host" else {})
    data = os.urandom(200000)
    with serving(bed, pod, address) as port, forwarded(bed, pod, port, transport) as local:
        for _ in range(3):
            with connect(local) as client:
                client.sendall(data)
                assert receive(client, len(data)) == data


def test_port_forward_to_nothing(bed, pod, transport):
    with serving(bed, pod) as port:
        pass  # now nobody listens there
    with forwarded(bed, pod, port, transport) as local, connect(local) as client:
        with contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""


def test_the_answer_comes_after_the_clients_end(bed, pod, transport):
    """As of nc, or of any protocol whose requests end with the connection's one direction."""
    request = os.urandom(MEBIBYTE)
    with serving(bed, pod, program=ANSWER) as port, \
            forwarded(bed, pod, port, transport) as local:
        for _ in range(3):
            with connect(local) as client:
                client.sendall(request)
                client.shutdown(socket.SHUT_WR)
                assert receive_all(client) == request[::-1]


def test_a_hundred_connections_at_once(bed, pod, transport):
    with serving(bed, pod) as port, forwarded(bed, pod, port, transport) as local, \
            contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connect(local)) for _ in range(100)]
        # All have asked before anybody's answer is read, and all stay.
        for number, client in enumerate(clients):
            client.sendall(b"%06d" % number * 1000)
        for number, client in enumerate(clients):
            assert receive(client, 6000) == b"%06d" % number * 1000
        for number, client in enumerate(clients):
            client.sendall(b"again %d" % number)
            assert receive(client, len(b"again %d" % number)) == b"again %d" % number


@pytest.mark.berth
@pytest.mark.parametrize("network", ["cni", "host"])
def test_the_pod_is_stopped_in_the_middle(bed, name, transport, network):
    pod = bed.run_pod(name, linux=on_host_network() if network == "host" else {})
    port = free_port()
    container = bed.run(pod, "c", command=["nc", "-ll", "-p", str(port), "-e", "yes"],
                        **({"linux": on_host_network()} if network == "host" else {}))
    probe = ["sh", "-c", "echo | nc -w 1 127.0.0.1 %d | head -n 1" % port]
    wait_until(lambda: bed.exec(container, *probe).stdout == b"y\n", what="the server")
    before = len(os.listdir("/proc/%d/fd" % bed.pid))
    with forwarded(bed, pod, port, transport) as local:
        with connect(local) as client:
            assert receive(client, 4 * MEBIBYTE).startswith(b"y\ny\n")
            bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
            # What is on its way still comes, then the end.
            with contextlib.suppress(ConnectionResetError):
                receive_all(client)
        with connect(local) as client, contextlib.suppress(ConnectionResetError):
            assert client.recv(1) == b""
        with pytest.raises(grpc.RpcError) as caught:
            bed.cri.PortForward({"pod_sandbox_id": pod, "port": [port]})
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    wait_until(lambda: len(os.listdir("/proc/%d/fd" % bed.pid)) <= before,
               what="the end of the session's descriptors")

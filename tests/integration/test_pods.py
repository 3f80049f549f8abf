"""Pod sandboxes: life cycle, namespaces, network, lists."""

import http.client
import os
import signal
import socket
import subprocess

import pytest

import grpc
import host
import pace
from asking import shell, verbose
from berth_testbed import wait_until
from image_set import NGINX
from registry import free_port

READY, NOT_READY = 0, 1
HOST_NETWORK = {"security_context": {"namespace_options": {"network": "NODE"}}}


def pod_status(bed, pod):
    return bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status


def address(bed, pod):
    return pod_status(bed, pod).network.ip


def fetch(host_address, port):
    """The status of a GET of /, once somebody listens."""
    def answer():
        try:
            connection = http.client.HTTPConnection(host_address, port, timeout=5)
            connection.request("GET", "/")
            return connection.getresponse().status
        except OSError:
            return None
    return wait_until(answer, what="an answer from %s:%d" % (host_address, port))


def test_attributes_are_preserved(bed, name):
    config = bed.pod_config(name, labels={"app": "web"}, annotations={"note": "x" * 2000})
    config["metadata"]["attempt"] = 7
    pod = bed.run_pod_config(config)
    status = pod_status(bed, pod)
    assert status.id == pod and len(pod) >= 32
    assert status.state == READY
    assert (status.metadata.name, status.metadata.namespace, status.metadata.uid,
            status.metadata.attempt) == (name, "default", "uid-" + name, 7)
    assert dict(status.labels) == {"app": "web"}
    assert dict(status.annotations) == {"note": "x" * 2000}
    assert status.created_at > 1_600_000_000 * 10**9


def test_lists_are_filtered(bed, name):
    pods = {key: bed.run_pod(name + key, labels={"key": key, "all": name}) for key in "ab"}
    bed.cri.StopPodSandbox({"pod_sandbox_id": pods["b"]})

    def listed(**selection):
        return {pod.id for pod in bed.cri.ListPodSandbox({"filter": selection}).items}

    both = {"label_selector": {"all": name}}
    assert listed(**both) == set(pods.values())
    assert listed(label_selector={"key": "a"}) == {pods["a"]}
    assert listed(label_selector={"key": "a", "all": "other"}) == set()
    assert listed(id=pods["a"]) == {pods["a"]}
    assert listed(id="0" * 64) == set()
    assert listed(state={"state": "SANDBOX_READY"}, **both) == {pods["a"]}
    assert listed(state={"state": "SANDBOX_NOTREADY"}, **both) == {pods["b"]}


def test_a_prefix_of_the_id_finds_the_pod(bed, pod):
    assert [found.id for found in bed.cri.ListPodSandbox(
        {"filter": {"id": pod[:13]}}).items] == [pod]
    assert pod_status(bed, pod[:13]).id == pod


def test_stop_and_remove_are_idempotent(bed, pod):
    for _ in range(2):
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
        assert pod_status(bed, pod).state == NOT_READY
    for _ in range(2):
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    with pytest.raises(grpc.RpcError) as caught:
        pod_status(bed, pod)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
    bed.cri.RemovePodSandbox({"pod_sandbox_id": "f" * 64})


@pytest.mark.berth
def test_stopping_an_unknown_pod_is_fine(bed):
    bed.cri.StopPodSandbox({"pod_sandbox_id": "f" * 64})


def test_stopping_ends_the_containers(bed, pod):
    container = bed.run(pod, "c", command=["sleep", "1000"])
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    assert not bed.cri.ListContainers({"filter": {"id": container}}).containers


@pytest.mark.berth
def test_removing_a_running_pod_removes_all_of_it(bed, pod):
    bed.run(pod, "c", command=["sleep", "1000"])
    bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    assert bed.find_leaks() == []


@pytest.mark.berth
def test_the_same_request_again_gives_the_same_pod(bed, name):
    config = bed.pod_config(name)
    assert bed.run_pod_config(config) == bed.run_pod_config(config)
    at_once = [bed.cri.RunPodSandbox.future({"config": bed.pod_config(name + "-race")})
               for _ in range(4)]
    assert len({future.result().pod_sandbox_id for future in at_once}) == 1


def test_the_name_is_free_again_after_removal(bed, name):
    first = bed.run_pod(name)
    bed.remove_pod(first)
    assert bed.run_pod(name) != first


def test_pod_has_an_address_of_its_own(bed, pod, name):
    other = bed.run_pod(name + "-other")
    own, others = address(bed, pod), address(bed, other)
    assert own != others
    assert own.rsplit(".", 1)[0] == bed.network.subnet.rsplit(".", 1)[0]
    container = bed.run(pod, "c", command=["sleep", "1000"])
    interfaces = bed.exec(container, "ip", "-o", "addr").stdout.decode()
    assert own + "/24" in interfaces
    assert "127.0.0.1/8" in interfaces
    bed.run(other, "web", image=NGINX)
    assert fetch(others, 80) == 200
    answer = bed.exec(container, "wget", "-q", "-O", "-", "http://%s/" % others)
    assert b"Welcome to nginx" in answer.stdout


def test_containers_of_a_pod_share_its_network(bed, pod):
    bed.run(pod, "web", image=NGINX)
    assert fetch(address(bed, pod), 80) == 200
    container = bed.run(pod, "c", command=["sleep", "1000"])
    assert b"Welcome" in bed.exec(container, "wget", "-q", "-O", "-", "http://127.0.0.1/").stdout


def test_port_mapping(bed, name):
    port = free_port()
    pod = bed.run_pod(name, port_mappings=[
        {"protocol": "TCP", "container_port": 80, "host_port": port}])
    bed.run(pod, "web", image=NGINX)
    assert fetch("127.0.0.1", port) == 200
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    rules = subprocess.run(["iptables-save"], capture_output=True, text=True, check=True).stdout
    assert "--dport %d" % port not in rules


def test_host_network(bed, name):
    pod = bed.run_pod(name, linux=HOST_NETWORK)
    container = bed.run(pod, "c", command=["sleep", "1000"],
                        linux={"security_context": HOST_NETWORK["security_context"]})
    own = os.readlink("/proc/self/ns/net")
    assert bed.exec(container, "readlink", "/proc/self/ns/net").stdout.decode().strip() == own
    assert bed.network.held_addresses() == []


def test_hostname_and_dns(bed, name):
    pod = bed.run_pod(name, hostname="a-host", dns_config={
        "servers": ["10.9.8.7"], "searches": ["one.test", "two.test"], "options": ["ndots:3"]})
    container = bed.run(pod, "c", command=["sleep", "1000"])
    assert bed.exec(container, "hostname").stdout == b"a-host\n"
    assert bed.exec(container, "cat", "/etc/hostname").stdout == b"a-host\n"
    resolv = bed.exec(container, "cat", "/etc/resolv.conf").stdout.decode().splitlines()
    assert "nameserver 10.9.8.7" in resolv
    assert "search one.test two.test" in resolv
    assert "options ndots:3" in resolv


def test_sysctls(bed, name):
    pod = bed.run_pod(name, linux={"sysctls": {
        "kernel.shm_rmid_forced": "1", "net.ipv4.ip_unprivileged_port_start": "77"}})
    container = bed.run(pod, "c", command=["sleep", "1000"])
    for path, value in (("kernel/shm_rmid_forced", b"1"),
                        ("net/ipv4/ip_unprivileged_port_start", b"77")):
        assert bed.exec(container, "cat", "/proc/sys/" + path).stdout.strip() == value


@pytest.mark.berth
def test_sysctls_of_each_namespace(bed, name):
    pod = bed.run_pod(name, linux={"sysctls": {
        "kernel.domainname": "a.domain", "kernel.msgmax": "4000", "fs.mqueue.msg_max": "7",
        "net/ipv4/conf/lo/forwarding": "1"}})
    container = bed.run(pod, "c", command=["sleep", "1000"])
    for path, value in (("kernel/domainname", b"a.domain"), ("kernel/msgmax", b"4000"),
                        ("fs/mqueue/msg_max", b"7"), ("net/ipv4/conf/lo/forwarding", b"1"),
                        # The configuration's.
                        ("net/ipv4/ip_unprivileged_port_start", b"0"),
                        ("net/ipv4/ping_group_range", b"0\t2147483647")):
        assert bed.exec(container, "cat", "/proc/sys/" + path).stdout.strip() == value


@pytest.mark.berth
def test_default_sysctls_are_configured(own_bed, name):
    bed = own_bed(settings='[containers]\ndefault_sysctls = ["kernel.msgmax=4000"]\n')
    container = bed.run(bed.run_pod(name), "c", command=["sleep", "1000"])
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", "rb") as file:
        kernels = file.read().strip()
    for path, value in (("kernel/msgmax", b"4000"),
                        ("net/ipv4/ip_unprivileged_port_start", kernels)):
        assert bed.exec(container, "cat", "/proc/sys/" + path).stdout.strip() == value


@pytest.mark.parametrize("mode,shared", [("POD", True), ("CONTAINER", False)])
def test_pid_namespace(bed, name, mode, shared):
    options = {"security_context": {"namespace_options": {"pid": mode}}}
    pod = bed.run_pod(name, linux=options)
    containers = [bed.run(pod, key, command=["sleep", "1000"], linux=options) for key in "ab"]
    namespaces = {bed.exec(container, "readlink", "/proc/self/ns/pid").stdout
                  for container in containers}
    assert len(namespaces) == (1 if shared else 2)
    first = bed.exec(containers[0], "cat", "/proc/1/cmdline").stdout
    assert (first == b"sleep\x001000\x00") == (not shared)


@pytest.mark.berth
def test_all_that_are_asked_to_end_take_their_time(bed, name):
    """As a node asks that is shut down: what shares a PID namespace does not end with its first
    process."""
    options = {"security_context": {"namespace_options": {"pid": "POD"}}}
    pod = bed.run_pod(name, linux=options)
    container = bed.run(pod, "c", linux=options, command=[
        "sh", "-c", "trap 'sleep 1; exit 7' TERM; echo ready; while :; do sleep 0.1; done"])
    wait_until(lambda: bed.log_lines(name, "c"), what="its trap")
    process = verbose(bed.cri.ContainerStatus, {"container_id": container})["pid"]
    for one in (host.first_of(process), process):
        os.kill(one, signal.SIGTERM)
    assert bed.wait_exit(container).exit_code == 7


@pytest.mark.parametrize("user", [None, {"mode": "POD", **{kind: [
    {"container_id": 0, "host_id": 200000, "length": 65536}] for kind in ("uids", "gids")}}],
    ids=["host's users", "users of its own"])
def test_nothing_of_the_host_is_behind_a_pods_first_process(bed, name, user):
    """Which the pod's containers see in their PID namespace, and may trace with that capability."""
    options = {"pid": "POD", **({"userns_options": user} if user else {})}
    pod = bed.run_pod(name, linux={"security_context": {"namespace_options": options}})

    def container(key, *capabilities):
        return bed.run(pod, key, command=["sleep", "1000"], linux={"security_context": {
            "namespace_options": options, "capabilities": {"add_capabilities": capabilities}}})

    tracing, other = container("tracing", "SYS_PTRACE"), container("other")
    status = shell(bed, tracing,
                   "grep -E '^(Cap(Inh|Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/1/status")
    assert dict(line.split() for line in status.splitlines()) == {
        "NoNewPrivs:": "1", "Seccomp:": "2",
        **{"Cap%s:" % kind: "0" * 16 for kind in ("Inh", "Prm", "Eff", "Amb")}}
    looks = ["ls -A /proc/1/root/", "ls -A /proc/1/cwd/", "tr -d '\\0' < /proc/1/environ"]
    if user:  # the process was begun outside of the pod's user namespace
        for look in looks:
            assert bed.exec(tracing, "sh", "-c", look).exit_code != 0, look
    else:
        assert [shell(bed, tracing, look) for look in looks] == ["", "", ""]
        assert shell(bed, tracing, "ls /proc/1/fd") == "0"
        made = bed.exec(tracing, "sh", "-c", ": > /proc/1/root/file")
        assert "Read-only file system" in made.stderr.decode()
    for look in looks:
        assert bed.exec(other, "sh", "-c", look).exit_code != 0, look


def test_ipc_namespace_is_shared_in_a_pod(bed, pod):
    containers = [bed.run(pod, key, command=["sleep", "1000"]) for key in "ab"]
    bed.exec(containers[0], "sh", "-c", "echo shared > /dev/shm/file")
    assert bed.exec(containers[1], "cat", "/dev/shm/file").stdout == b"shared\n"


def test_concurrent_pods_do_not_disturb_each_other(bed, name):
    futures = [bed.cri.RunPodSandbox.future({"config": bed.pod_config("%s-%d" % (name, number))})
               for number in range(8)]
    pods = [future.result().pod_sandbox_id for future in futures]
    assert len({address(bed, pod) for pod in pods}) == 8
    stops = [bed.cri.StopPodSandbox.future({"pod_sandbox_id": pod}) for pod in pods]
    for stop in stops:
        stop.result()
    assert bed.network.held_addresses() == []


@pytest.mark.berth
def test_a_failing_network_leaves_nothing(own_bed, name):
    bed = own_bed()
    good = open(bed.network.conf_file, encoding="utf-8").read()
    bad = good.replace('"type": "portmap"', '"type": "no-such-plugin"')
    with open(bed.network.conf_file, "w", encoding="utf-8") as stream:
        stream.write(bad)

    def fails():
        try:
            bed.remove_pod(bed.run_pod(name))
        except grpc.RpcError as error:
            return error
        return None
    error = wait_until(fails, what="the changed network configuration to be noticed")
    assert "no-such-plugin" in error.details()
    assert not bed.cri.ListPodSandbox().items
    assert bed.find_leaks() == []
    with open(bed.network.conf_file, "w", encoding="utf-8") as stream:
        stream.write(good)

    def works():
        try:
            return bed.run_pod(name)
        except grpc.RpcError:
            return None
    assert wait_until(works, what="the repaired network configuration to be noticed")


@pytest.mark.host
@pytest.mark.berth
def test_pod_stats(bed, pod):
    bed.run(pod, "c", command=["sleep", "1000"])
    stats = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats
    assert stats.attributes.id == pod
    assert stats.linux.cpu.timestamp > 0
    assert stats.linux.memory.working_set_bytes.value > 0
    assert stats.linux.process.process_count.value >= 1
    assert stats.linux.network.default_interface.name == "eth0"
    assert [c.attributes.metadata.name for c in stats.linux.containers] == ["c"]
    listed = bed.cri.ListPodSandboxStats({"filter": {"id": pod}}).stats
    assert [entry.attributes.id for entry in listed] == [pod]


def test_status_says_ready(bed):
    conditions = {condition.type: condition.status
                  for condition in bed.cri.Status().status.conditions}
    assert conditions["RuntimeReady"] and conditions["NetworkReady"]


@pytest.mark.berth
def test_network_readiness_follows_the_configuration(own_bed):
    bed = own_bed()

    def network_ready():
        conditions = {c.type: c.status for c in bed.cri.Status().status.conditions}
        return conditions["NetworkReady"]
    assert network_ready()
    moved = bed.network.conf_file + ".away"
    os.rename(bed.network.conf_file, moved)
    pace.wait_within(bed, 5, lambda: not network_ready(), "to notice the missing network")
    os.rename(moved, bed.network.conf_file)
    pace.wait_within(bed, 5, network_ready, "to notice the new network")

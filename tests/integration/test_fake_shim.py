"""What Kata Containers' shims do differently from containerd's own, played by a fake shim.

Of each item the engine's side is tried here, with the fake in the place of a virtual machine; what
it may not do the fake writes down as a complaint, of which no test leaves one.

    how the address is told, both versions of the service ..... test_start_and_versions
    the log's reader is there before the shim ................. complaints; test_the_shims_log
    both families of annotations, sizing, overhead ............ test_what_the_shim_is_told
    configuration as an option of Create ...................... test_what_the_shim_is_told
    readers of FIFOs are there before Create .................. complaints
    the root filesystem is seen in a slave mount namespace .... every test with a container
    CloseIO after the FIFO's close and after Start ............ test_the_end_of_input
    the writing end that the shim keeps for itself ............ test_the_end_of_input (rust)
    standard input is opened when the process runs already .... test_input_for_a_shim_that_is_late
    the exit is told after the output ......................... test_much_output
    each process number is the machine's ...................... test_process_numbers
    times that nobody set ..................................... test_times_that_nobody_set
    both forms of statistics .................................. test_usage
    resources and processes as JSON in an Any ................. test_resources, test_exec
    Shutdown that ends without an answer ...................... test_a_pod_from_start_to_end
    Kill after the exit succeeds .............................. test_stopping_what_has_ended
    kills for want of memory come by events, or are counted ... test_a_kill_for_memory_is_told
    no host network, PID, IPC ................................. test_the_hosts_namespaces_…
    no user namespace, no checkpoint .......................... test_other_refusals
    privileged without the host's devices ..................... test_privileged_containers_…
    ports are those of the pod's address ...................... test_ports
    what fails, hangs and dies; reconnecting .................. test_fake_shim_failures.py
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import termios
import time

import grpc
import host
import pace
import pytest
from berth_testbed import wait_until
from crictl_at_work import attach_to_the_end_of_input, read_until, run, started
from engines import toml
from fake_shims import CONFIGURATION, FakeShims, behaving, texts
from losses import is_ready
from test_metrics import Metrics

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
FLAVOURS = pytest.mark.parametrize("flavour", ["go", "rust"])


@pytest.fixture
def bed(kata_bed):
    return kata_bed


def spec_of(bed, pod, container):
    path = os.path.join(bed.engine.state, "pods", pod, "runtime/bundles", container, "config.json")
    return json.loads(host.read(path))


def sandbox_spec(bed, pod):
    return spec_of(bed, pod, pod)


@pytest.mark.alone
@FLAVOURS
def test_a_pod_from_start_to_end(bed, name, flavour, fakes):
    pod = bed.run_pod(name, annotations=behaving(flavour=flavour))
    assert is_ready(bed, pod)
    container = bed.run(pod, "c", command=["sh", "-c", "echo out; echo bad >&2; exit 7"])
    assert bed.wait_exit(container).exit_code == 7
    assert sorted((line[1], line[3]) for line in bed.log_lines(name, "c")) == [
        ("stderr", "bad"), ("stdout", "out")]
    taken = pace.took(lambda: bed.remove_pod(pod))
    assert pace.within(bed, 2, taken), "the end of the shim was not its answer"
    assert [each["call"] for each in fakes.calls(pod)][-1] == "Shutdown sandbox"
    assert "delete" not in [each["call"] for each in fakes.calls(pod)]


@pytest.mark.parametrize("how", ["bare", "json", "protobuf"])
@pytest.mark.parametrize("version", [2, 3])
def test_start_and_versions(bed, name, how, version):
    if how == "bare" and version == 3:
        pytest.skip("a bare address is one of version 2")
    pod = bed.run_pod(name, annotations=behaving(start=how, version=version))
    container = bed.run(pod, "c", command=["true"])
    assert bed.wait_exit(container).exit_code == 0


def test_the_shims_log(bed, name):
    pod = bed.run_pod(name)
    log = os.path.join(bed.engine.state, "pods", pod, "runtime/shim.log")
    wait_until(lambda: "the fake shim of " + pod in host.read(log), what="the shim's words")


def test_what_the_shim_is_told(bed, name, fakes):
    annotations = {"io.katacontainers.config.hypervisor.default_vcpus": "2", "example.org/x": "y"}
    resources = {"cpu_period": 100000, "cpu_quota": 50000, "cpu_shares": 512,
                 "memory_limit_in_bytes": 64 << 20}
    overhead = {"cpu_period": 100000, "cpu_quota": 25000, "memory_limit_in_bytes": 160 << 20}
    pod = bed.run_pod(name, annotations=annotations,
                      linux={"resources": resources, "overhead": overhead})
    told = sandbox_spec(bed, pod)["annotations"]
    for family in ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType"):
        assert told[family] == "sandbox"
    assert {key.removeprefix("io.kubernetes.cri.sandbox-"): value for key, value in told.items()
            if "sandbox-cpu" in key or "sandbox-memory" in key} == {
        "cpu-period": "100000", "cpu-quota": "50000", "cpu-shares": "512",
        "memory": str(64 << 20)}
    assert json.loads(told["io.kubernetes.cri-o.PodLinuxOverhead"]) == overhead
    assert json.loads(told["io.kubernetes.cri-o.PodLinuxResources"]) == resources
    assert told["io.katacontainers.config.hypervisor.default_vcpus"] == "2"
    assert "example.org/x" not in told
    (create,) = fakes.calls(pod, "Create sandbox")
    assert create["options"] == "runtimeoptions.v1.Options"
    assert create["config"] == CONFIGURATION


@FLAVOURS
def test_the_end_of_input(bed, name, flavour, fakes, crictl_binary):
    assert crictl_binary
    pod = bed.run_pod(name, annotations=behaving(flavour=flavour))
    attach_to_the_end_of_input(bed, pod)
    assert texts(bed, name, "c") == ["hello", "over"]
    assert len(fakes.calls(pod, "CloseIO container")) == 1
    other = bed.run(pod, "d", command=SLEEP)
    text = os.urandom(1 << 20)
    assert run(bed, "exec", "-i", other, "cat", input=text).stdout == text


@pytest.mark.parametrize("text", [b"through\n", b""], ids=["some", "none"])
def test_input_for_a_shim_that_is_late(bed, name, text, crictl_binary):
    """All of the input and its end have come by then."""
    assert crictl_binary
    pod = bed.run_pod(name, annotations=behaving(late=0.5))
    container = bed.run(pod, "c", command=SLEEP)
    assert run(bed, "exec", "-i", container, "sh", "-c", "cat; echo over",
               input=text).stdout == text + b"over\n"


def test_much_output(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "seq 1 20000; exit 3"])
    assert bed.wait_exit(container).exit_code == 3
    assert texts(bed, name, "c") == [str(number) for number in range(1, 20001)]


def test_exec(bed, name, fakes):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    answer = bed.exec(container, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 3)

    def exec_nothing():
        with pytest.raises(grpc.RpcError, match="no program /no/such/program"):
            bed.exec(container, "/no/such/program", timeout=pace.PATIENCE)
    assert pace.within(bed, 3, pace.took(exec_nothing))
    with pytest.raises(grpc.RpcError):
        bed.exec(container, "sleep", "4841", timeout=1)
    wait_until(lambda: not any("sleep 4841" in line for line in
                               host.processes(bed.folder, bed.mark).values()),
               what="the end of what took too long")
    # A shim that is slow is told so after the answer.
    wait_until(lambda: len(fakes.calls(pod, "Delete exec")) == 3, what="the end of all three")
    assert bed.exec(container, "echo", "on").stdout == b"on\n"


class Terminal:
    """One for crictl, of which everything that comes is kept."""

    def __init__(self, rows, columns):
        self.ours, self.theirs = pty.openpty()
        self.resize(rows, columns)
        os.set_blocking(self.ours, False)
        self.text = b""

    def resize(self, rows, columns):
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def asked(self, line, answer):
        """Whether the answer to a line has come, now or within a second."""
        os.write(self.ours, line.encode() + b"\n")
        deadline = time.monotonic() + 1
        while answer.encode() not in self.text and time.monotonic() < deadline:
            if select.select([self.ours], [], [], 0.1)[0]:
                self.text += os.read(self.ours, 4096)
        return answer.encode() in self.text

    def close(self):
        os.close(self.ours)
        os.close(self.theirs)


def test_a_terminal_and_its_size(bed, name, crictl_binary):
    assert crictl_binary
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["cat"], tty=True, stdin=True)
    terminal = Terminal(31, 97)
    with contextlib.closing(terminal), started(
            bed, "exec", "-it", container, "sh", stdin=terminal.theirs, stdout=terminal.theirs,
            stderr=terminal.theirs) as client:
        wait_until(lambda: terminal.asked("stty size", "31 97"), what="the terminal's size")
        wait_until(lambda: terminal.asked("test -t 0 && echo is-$((40 + 2))", "is-42"),
                   what="that it is a terminal")
        terminal.resize(40, 120)
        client.send_signal(signal.SIGWINCH)
        wait_until(lambda: terminal.asked("stty size", "40 120"), what="its new size")
        os.write(terminal.ours, b"exit 0\n")
        assert client.wait(20) == 0


def test_process_numbers(bed, name, fakes):
    pod = bed.run_pod(name)
    script = "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    wait_until(lambda: texts(bed, name, "c") == ["ready"], what="its trap")
    info = json.loads(bed.cri.ContainerStatus({"container_id": container,
                                               "verbose": True}).info["info"])
    assert info["pid"] == 0
    with pytest.raises(grpc.RpcError):
        bed.exec(container, "sleep", "1000", timeout=1)
    bed.cri.StopContainer({"container_id": container, "timeout": 10})
    assert bed.status(container).exit_code == 9
    assert os.path.exists("/proc/%d" % fakes.machine(pod))
    assert is_ready(bed, pod)
    target = {"namespace_options": {"pid": "TARGET", "target_id": bed.run(pod, "d", command=SLEEP)}}
    with pytest.raises(grpc.RpcError) as error:
        bed.create(pod, "e", command=SLEEP, linux={"security_context": target})
    assert "virtual machine" in error.value.details()


def test_times_that_nobody_set(bed, name):
    pod = bed.run_pod(name, annotations=behaving(timeless=True))
    before = time.time_ns()
    container = bed.run(pod, "c", command=["true"])
    assert before < bed.wait_exit(container).finished_at < time.time_ns()


@pytest.mark.parametrize("form", [1, 2])
def test_usage(bed, name, form):
    pod = bed.run_pod(name, annotations=behaving(cgroups=form))
    container = bed.run(pod, "c", command=SLEEP)
    usage = wait_until(lambda: next((each for each in bed.cri.ListContainerStats({}).stats
                                     if each.attributes.id == container
                                     and each.cpu.usage_core_nano_seconds.value > 0), None),
                       what="usage")
    assert usage.cpu.usage_core_nano_seconds.value == 5_000_000
    assert usage.memory.usage_bytes.value == 7 << 20
    metrics = Metrics(bed)
    assert metrics.value(container, "memory_usage_bytes") == 7 << 20
    assert metrics.labels(container)["pod"] == name


def test_resources(bed, name, fakes):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    bed.cri.UpdateContainerResources({"container_id": container,
                                      "linux": {"memory_limit_in_bytes": 64 << 20}})
    (given,) = fakes.calls(pod, "resources")
    assert given["resources"]["memory"]["limit"] == 64 << 20


def test_stopping_what_has_ended(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "exit 4"])
    assert bed.wait_exit(container).exit_code == 4
    bed.cri.StopContainer({"container_id": container, "timeout": 1})
    bed.cri.RemoveContainer({"container_id": container})
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    stubborn = bed.run(pod, "d", command=["sh", "-c", script])
    wait_until(lambda: texts(bed, name, "d") == ["ready"], what="its trap")
    bed.cri.StopContainer({"container_id": stubborn, "timeout": 1})
    assert bed.status(stubborn).exit_code == 137


@pytest.mark.parametrize("oom, cgroups", [("told", 2), ("counted", 1), ("counted", 2)])
def test_a_kill_for_memory_is_told(bed, name, oom, cgroups):
    pod = bed.run_pod(name, annotations=behaving(oom=oom, cgroups=cgroups))
    container = bed.run(pod, "c", command=["sh", "-c", "kill -9 $$"])
    ended = bed.wait_exit(container)
    assert (ended.reason, ended.exit_code) == ("OOMKilled", 137)


def test_a_shim_by_containerds_name_of_it(own_bed, name, monkeypatch):
    fakes = FakeShims({"kata": ""})

    def settings(bed):
        text = fakes.settings(bed)
        monkeypatch.setenv("PATH", bed.folder + ":" + os.environ["PATH"])
        return text.replace(toml(fakes.program), toml("io.containerd.fake.v2"))
    bed = own_bed(settings=settings, handler="kata")
    pod = bed.run_pod(name)
    assert bed.wait_exit(bed.run(pod, "c", command=["sh", "-c", "exit 3"])).exit_code == 3
    assert fakes.calls(pod, "start")


def test_what_the_handler_offers(bed, fakes):
    answer = bed.cri.Status({"verbose": True})
    features = {each.name: each.features for each in answer.runtime_handlers}
    assert set(features) == {"", "runc", "kata", "hasty"}
    assert not features["kata"].user_namespaces
    assert json.loads(answer.info["runtimes"])["kata"]["binary"] == fakes.program


def test_shared_memory_is_the_pods(bed, name):
    """A shim of machines takes the size from it."""
    pod = bed.run_pod(name)
    sources = set()
    for container in ("c", "d"):
        spec = spec_of(bed, pod, bed.run(pod, container, command=SLEEP))
        [mount] = [each for each in spec["mounts"] if each["destination"] == "/dev/shm"]
        assert mount["type"] == "bind" and os.path.ismount(mount["source"])
        sources.add(mount["source"])
    assert len(sources) == 1


def test_the_pods_namespaces_are_told(bed, name):
    pod = bed.run_pod(name, hostname="told", linux={"security_context": {
        "namespace_options": {"pid": "POD"}}})
    spec = sandbox_spec(bed, pod)
    assert spec["hostname"] == "told"
    given = {each["type"]: each.get("path") for each in spec["linux"]["namespaces"]}
    assert set(given) == {"mount", "network", "ipc", "uts", "pid"}
    # Of these alone a path means something to a machine's shim.
    assert [kind for kind, path in given.items() if path] == ["network"]


@pytest.mark.parametrize("kind, word", [("network", "hostNetwork"), ("pid", "hostPID"),
                                        ("ipc", "hostIPC")])
def test_the_hosts_namespaces_are_refused(bed, name, fakes, kind, word):
    """At once: no shim is asked, nothing is made, and the name stays free."""
    calls = os.path.join(fakes.folder, "calls")
    pods = os.path.join(bed.engine.state, "pods")
    before = host.read(calls), os.listdir(pods), bed.new_network_namespaces()
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, linux={"security_context": {"namespace_options": {kind: "NODE"}}})
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert word in error.value.details() and '"kata"' in error.value.details()
    assert (host.read(calls), os.listdir(pods), bed.new_network_namespaces()) == before
    assert not bed.cri.ListPodSandbox({}).items
    bed.run_pod(name)


def test_other_refusals(bed, name, tmp_path):
    mapping = [{"host_id": 200000, "container_id": 0, "length": 65536}]
    users = {"userns_options": {"mode": "POD", "uids": mapping, "gids": mapping}}
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, linux={"security_context": {"namespace_options": users}})
    assert "user namespace" in error.value.details()
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    with pytest.raises(grpc.RpcError) as error:
        bed.cri.CheckpointContainer({"container_id": container,
                                     "location": str(tmp_path / "c.tar")})
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION


def test_privileged_containers_get_no_devices_of_the_host(bed, name):
    """But those that they ask for."""
    privileged = {"security_context": {"privileged": True}}
    pod = bed.run_pod(name, linux=privileged)
    asked = [{"host_path": "/dev/null", "container_path": "/dev/given", "permissions": "rw"}]
    container = bed.run(pod, "c", command=SLEEP, linux=privileged, devices=asked)
    devices = spec_of(bed, pod, container)["linux"]["devices"]
    assert [each["path"] for each in devices] == ["/dev/given"]


def test_ports(bed, name, crictl_binary):
    assert crictl_binary
    pod = bed.run_pod(name)
    listen = "while :; do echo %s | nc -l %s; done"
    for answer, where in (("reached", "-p 8081"), ("hidden", "-s 127.0.0.1 -p 8082")):
        bed.run(pod, answer, command=["sh", "-c", listen % (answer, where)])
    with started(bed, "port-forward", pod, "18081:8081", "18082:8082", stdout=subprocess.PIPE,
                 stderr=subprocess.STDOUT) as client:
        assert read_until(client.stdout.fileno(), b"Forwarding from")

        def ask(port):
            with socket.create_connection(("127.0.0.1", port), 10) as connection:
                connection.settimeout(10)
                return connection.recv(100)
        wait_until(lambda: ask(18081) == b"reached\n", what="an answer of the pod's address")
        assert ask(18082) == b""
        assert read_until(client.stdout.fileno(), b"loopback address alone")

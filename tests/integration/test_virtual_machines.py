"""Pods of virtual machines, as their users see them: through the fake shim always, and through Kata
Containers where it is installed. The end of the run says which."""

import json
import os

import grpc
import pytest
import shared_engine
from berth_testbed import TestBed, wait_until
from crictl_at_work import attach_to_the_end_of_input, run
from fake_shims import FakeShims, shims, texts
from kata import SHIM, Kata
from losses import is_ready

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"


@pytest.fixture(scope="module", params=["fake", "kata"])
def machines(request):
    """A bed whose handler "kata" makes virtual machines."""
    shim = "a fake of its shim"
    if request.param == "fake":
        settings = FakeShims({"kata": ""}).settings
    else:
        kata = Kata()
        if kata.missing:
            pytest.skip("SKIPPED, Kata Containers was NOT tested: " + kata.missing)
        settings, shim = kata.settings, kata.shim
    with TestBed(settings=settings, handler="kata") as bed:
        bed.tested = "Kata Containers: tested with " + shim
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def bed(machines):
    yield from shared_engine.used(machines)
    wait_until(lambda: not shims(machines), what="the end of all shims and machines")


def test_a_pod_from_its_start_to_its_end(bed, name, tell):
    tell(bed.tested)
    pod = bed.run_pod(name)
    assert is_ready(bed, pod)
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip
    first = bed.run(pod, "c", command=["sh", "-c", "echo out; echo bad >&2; exit 7"])
    second = bed.run(pod, "d", command=SLEEP)
    assert bed.wait_exit(first).exit_code == 7
    assert sorted((line[1], line[3]) for line in bed.log_lines(name, "c")) == [
        ("stderr", "bad"), ("stdout", "out")]
    assert bed.status(second).state == bed.cri.messages.CONTAINER_RUNNING
    bed.cri.StopContainer({"container_id": second, "timeout": 0})
    assert bed.status(second).exit_code == 137


def test_exec_and_its_time_limit(bed, name):
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    answer = bed.exec(container, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 3)
    with pytest.raises(grpc.RpcError) as error:
        bed.exec(container, "sleep", "1000", timeout=1)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert bed.exec(container, "echo", "on").stdout == b"on\n"


def test_streams_and_the_end_of_input(bed, name, crictl_binary):
    assert crictl_binary
    pod = bed.run_pod(name)
    attach_to_the_end_of_input(bed, pod)
    assert texts(bed, name, "c") == ["hello", "over"]
    other = bed.run(pod, "d", command=SLEEP)
    text = os.urandom(1 << 20)
    assert run(bed, "exec", "-i", other, "cat", input=text).stdout == text


def test_usage(bed, name):
    container = bed.run(bed.run_pod(name), "c", command=["sh", "-c", COUNT])
    wait_until(lambda: any(each.attributes.id == container
                           and each.cpu.usage_core_nano_seconds.value > 0
                           and each.memory.working_set_bytes.value > 0
                           for each in bed.cri.ListContainerStats({}).stats), what="usage")


def test_processes_are_the_guests(bed, name):
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    status = bed.cri.ContainerStatus({"container_id": container, "verbose": True})
    assert json.loads(status.info["info"])["pid"] == 0


@pytest.mark.parametrize("kind", ["network", "pid", "ipc"])
def test_the_hosts_namespaces_are_refused(bed, name, kind):
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, linux={"security_context": {"namespace_options": {kind: "NODE"}}})
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert not bed.cri.ListPodSandbox({}).items


def test_the_daemon_is_killed(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "count", command=["sh", "-c", COUNT])
    wait_until(lambda: texts(bed, name, "count"), what="lines")
    bed.kill_engine()
    before = len(texts(bed, name, "count"))
    wait_until(lambda: len(texts(bed, name, "count")) > before + 5, what="lines without a daemon")
    bed.start_engine()
    assert is_ready(bed, pod)
    assert bed.exec(container, "echo", "again").stdout == b"again\n"
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    numbers = [int(text) for text in texts(bed, name, "count")]
    assert numbers == list(range(len(numbers)))


def test_what_is_missing_of_kata_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    configuration, kernel, device = tmp_path / "c.toml", tmp_path / "kernel", tmp_path / "kvm"

    def missing():
        return Kata(folders="", configurations=[str(configuration)], devices=[str(device)]).missing
    assert SHIM in missing()
    shim = tmp_path / SHIM
    shim.touch(0o755)
    assert "has no configuration" in missing()
    configuration.write_text("[hypervisor.qemu]\n")
    assert "names no guest" in missing()
    configuration.write_text('[hypervisor.qemu]\nkernel = "%s"\n' % kernel)
    assert missing() == "there is no %s" % kernel
    kernel.touch()
    assert missing() == "there is no %s" % device
    device.touch()
    assert missing() == ""

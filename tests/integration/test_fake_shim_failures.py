"""Fake shims and machines that fail, hang and die; see test_fake_shim.py.

    a sandbox whose Create fails is still shut down ........... test_a_sandbox_that_fails
    a machine larger than the host is refused ................. test_a_machine_that_the_host_…
    time limits of a handler .................................. test_a_boot_that_hangs
    the machine dies .......................................... test_the_machine_is_killed, and on
    the shim dies; clean-up needs neither it nor the guest .... test_the_shim_is_killed
    a shim that does not do its part is killed ................ test_the_shim_hangs
    lists go on without one that does not answer .............. test_figures_beside_a_shim_that_hangs
    the program's `delete` fails .............................. test_clean_up_that_fails
    reconnecting, on every way in ............................. test_the_daemon_is_killed
"""

import os
import signal
import time

import grpc
import host
import pace
import pytest
from asking import refused
from berth_testbed import wait_until
from fake_shims import behaving, shims, texts
from losses import is_ready, told_end

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
SERVING_PATIENCE = 2  # seconds that a daemon's start waits for pods to be reached
LONG = "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 11"
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"


@pytest.fixture
def bed(kata_bed):
    return kata_bed


def shim_of(bed):
    (pid,) = (pid for pid, line in shims(bed).items() if "fake_shim.py" in line)
    return pid


def test_a_sandbox_that_fails(bed, name, fakes):
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, annotations=behaving(fail={"Create sandbox": "no hypervisor"}))
    assert "no hypervisor" in error.value.details()
    assert "the fake shim of" in error.value.details(), "the end of the shim's log is not told"
    wait_until(lambda: not shims(bed), what="the end of the shim")
    assert not any(item.metadata.name == name for item in bed.cri.ListPodSandbox({}).items)
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, annotations=behaving(fail={"start": "no configuration"}))
    assert "no configuration" in error.value.details()


def test_a_machine_that_the_host_has_no_memory_for(bed, name):
    """Before anything is made, and with the numbers."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit, overhead = memory - (64 << 20), 160 << 20
    linux = {"resources": {"memory_limit_in_bytes": limit},
             "overhead": {"memory_limit_in_bytes": overhead}}
    message = refused(bed.cri.RunPodSandbox, {
        "config": bed.pod_config(name, linux=linux), "runtime_handler": bed.handler},
        grpc.StatusCode.FAILED_PRECONDITION)
    for number in (limit, overhead, memory):
        assert "%d MiB" % (number >> 20) in message
    assert not shims(bed)
    linux["overhead"] = {"memory_limit_in_bytes": 32 << 20}
    bed.remove_pod(bed.run_pod(name, linux=linux))


@pytest.mark.parametrize("call", ["start", "Create sandbox", "Connect sandbox", "Start sandbox"])
def test_a_boot_that_hangs(bed, name, call):
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, "hasty", annotations=behaving(hang=[call]))
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 15
    wait_until(lambda: not shims(bed), what="the end of the shim and of its machine")


@pytest.mark.parametrize("call", ["Create container", "Start container"])
def test_a_container_that_hangs(bed, name, call):
    pod = bed.run_pod(name, "hasty", annotations=behaving(hang=[call]))
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as error:
        bed.run(pod, "c", command=SLEEP)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - begun < 15
    # The pod is none the worse, and goes with all that it has.
    assert is_ready(bed, pod)
    bed.remove_pod(pod)
    wait_until(lambda: not shims(bed), what="the end of the shim and of its machine")


LOSS = "the pod's sandbox has ended, exit code 255; its log ends: the fake shim of"


@pytest.mark.parametrize("how", [{}, {"lag": 0.5}, {"hang": ["State container"]}],
                         ids=["at once", "the sandbox's end later", "a shim that hangs"])
def test_the_machine_is_killed(bed, name, fakes, how):
    """The reason is the same when the end of a container is told before that of its sandbox, and
    when the shim does not say how containers have ended."""
    pod = bed.run_pod(name, annotations=behaving(**how))
    container = bed.run(pod, "c", command=SLEEP)
    os.kill(fakes.machine(pod), signal.SIGKILL)
    status = told_end(bed, pod, container)
    assert status.exit_code == 137
    assert LOSS in status.message
    wait_until(lambda: not shims(bed), what="the end of the shim")


def test_the_machine_is_killed_while_no_daemon_looks(bed, name, fakes):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    machine = fakes.machine(pod)
    bed.kill_engine()
    os.kill(machine, signal.SIGKILL)
    wait_until(lambda: not os.path.exists("/proc/%d" % machine), what="the machine's end")
    bed.start_engine()
    assert LOSS in told_end(bed, pod, container).message


@pytest.mark.parametrize("silent", ["Wait container", "Wait container own"])
def test_an_end_that_the_machines_own_overtakes(bed, name, fakes, silent):
    """The shim knows of it, and has not told yet: when the sandbox's end is told, or another end
    before that."""
    pod = bed.run_pod(name, annotations=behaving(hang=[silent]))
    own = bed.run(pod, "own", command=["sh", "-c", "exit 7"])
    other = bed.run(pod, "other", command=SLEEP)
    wait_until(lambda: [each for each in fakes.calls(pod, "ended") if each["id"] == own],
               what="its end")
    os.kill(fakes.machine(pod), signal.SIGKILL)
    status = told_end(bed, pod, own)
    assert (status.exit_code, status.message) == (7, "")
    status = bed.wait_exit(other)
    assert status.exit_code == 137 and LOSS in status.message


def test_ends_that_are_the_containers_own(bed, name):
    """Those that an end of the machine would bring about as well."""
    pod = bed.run_pod(name)
    for code, command in ((255, "exit 255"), (137, "kill -9 $$")):
        status = bed.wait_exit(bed.run(pod, "c%d" % code, command=["sh", "-c", command]))
        assert (status.exit_code, status.message) == (code, "")
    assert is_ready(bed, pod)


def test_the_shim_is_killed(bed, name, fakes):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    ended = bed.run(pod, "d", command=["true"])
    bed.wait_exit(ended)
    os.kill(shim_of(bed), signal.SIGKILL)
    status = told_end(bed, pod, container)
    assert status.exit_code == 137
    assert "the pod's shim has ended" in status.message
    assert not shims(bed), "the machine goes on"
    assert [each["id"] for each in fakes.calls(pod, "delete")][-1] == pod
    assert bed.status(ended).exit_code == 0


def test_the_shim_hangs(bed, name):
    """It is killed when it does not do its part in time."""
    pod = bed.run_pod(name, annotations=behaving(hang=["Kill container", "Kill sandbox",
                                                       "Shutdown sandbox"]))
    bed.run(pod, "c", command=SLEEP)
    bed.remove_pod(pod)
    assert not shims(bed)


def test_figures_beside_a_shim_that_hangs(bed, name):
    """Lists of all pods' figures have those of the others, long before their callers' patience ends;
    a container without figures is listed all the same."""
    hung = bed.run_pod(name + "-hung", annotations=behaving(hang=["Stats container"]))
    silent = bed.run(hung, "c", command=SLEEP)
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)

    def of_containers(listed):
        found = {one.attributes.id: one.HasField("cpu") for one in listed}
        assert (found[container], found[silent]) == (True, False)

    def of_pods(listed):
        found = {one.attributes.id: one.linux.HasField("cpu") for one in listed}
        assert found[pod] and hung not in found

    def of_metrics(listed):
        found = {one.pod_sandbox_id: len(one.metrics) for one in listed}
        assert found[pod] > 0 and hung not in found
    cri = bed.cri
    for call, field, check in (
            (cri.ListContainerStats, "stats", of_containers),
            (cri.ListPodSandboxStats, "stats", of_pods),
            (cri.ListPodSandboxMetrics, "pod_metrics", of_metrics),
            (cri.StreamContainerStats, "container_stats", of_containers),
            (cri.StreamPodSandboxStats, "pod_sandbox_stats", of_pods),
            (cri.StreamPodSandboxMetrics, "pod_sandbox_metrics", of_metrics)):
        begun = time.monotonic()
        answer = call({}, timeout=60)
        messages = answer if call.name.startswith("Stream") else [answer]
        check([one for message in messages for one in getattr(message, field)])
        assert time.monotonic() - begun < 15, call.name
    with pytest.raises(grpc.RpcError) as error:
        cri.ContainerStats({"container_id": silent}, timeout=1)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("how", [{"fail": {"delete": "no sandbox is known"}}, {"hang": ["delete"]}],
                         ids=["fails", "hangs"])
def test_clean_up_that_fails(bed, name, fakes, how):
    """It keeps no pod from being removed; a machine that is in none of its cgroups is not found."""
    pod = bed.run_pod(name, annotations=behaving(**how))
    container = bed.run(pod, "c", command=SLEEP)
    machine = fakes.machine(pod)
    os.kill(shim_of(bed), signal.SIGKILL)
    try:
        told_end(bed, pod, container)
    finally:
        host.kill([machine])
        for file in fakes.left():
            os.unlink(os.path.join(fakes.folder, file))
    bed.remove_pod(pod)


def test_the_daemon_is_killed(bed, name):
    pod = bed.run_pod(name)
    first = bed.run(pod, "c", command=["sh", "-c", LONG])
    second = bed.run(pod, "d", command=["sh", "-c", COUNT])
    wait_until(lambda: texts(bed, name, "d"), what="lines")
    bed.exec(first, "touch", "/tmp/end-not")
    bed.kill_engine()
    before = len(texts(bed, name, "d"))
    wait_until(lambda: len(texts(bed, name, "d")) > before + 5, what="lines without a daemon")
    bed.start_engine()
    assert is_ready(bed, pod)
    bed.exec(first, "touch", "/tmp/end")
    assert bed.wait_exit(first).exit_code == 11
    bed.cri.StopContainer({"container_id": second, "timeout": 0})
    assert texts(bed, name, "d") == [str(number) for number in range(len(texts(bed, name, "d")))]


def test_the_shim_is_killed_while_no_daemon_looks(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    bed.kill_engine()
    shim = shim_of(bed)
    os.kill(shim, signal.SIGKILL)
    wait_until(lambda: shim not in shims(bed), what="the shim's end")
    started = pace.took(bed.start_engine)
    # A daemon that has not lost its patience with a pod knows of its end before it answers.
    if started < SERVING_PATIENCE:
        assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
        assert not is_ready(bed, pod)
    told_end(bed, pod, container)
    assert not shims(bed)

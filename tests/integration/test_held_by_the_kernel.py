"""Processes in uninterruptible I/O, which SIGKILL does not end: calls about them come to an end and
say so, nobody else waits for them, and once the kernel lets them go nothing is left."""

import os
import signal
import time

import pytest

import grpc
import host
from berth_testbed import wait_until
from stuck_volume import LOOKUP, StuckVolume

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
READ = ["cat", "/volume/held"]
OWN_PIDS = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}
SECONDS = 2  # what an impatient client has patience for
TOLERANCE = 8  # of what waits for nothing, beside other tests
KILL_SECONDS = 30  # how long SIGKILL may take before a call says what is to blame
EXEC_SECONDS = 10  # the same for a command that has outlived its time
TOLD_SECONDS = 10
HELD = "the kernel holds it"


@pytest.fixture
def bed(own_bed):
    return own_bed()


@pytest.fixture
def volume(bed, tmp_path):
    with StuckVolume(tmp_path) as made:
        yield made


def run_with(volume, bed, pod, command, **more):
    return bed.run(pod, "app", command=command, mounts=[
        {"container_path": "/volume", "host_path": volume.folder}], **more)


def is_held(pid):
    return host.read("/proc/%d/stat" % pid).rpartition(")")[2].split()[:1] == ["D"]


def await_held(pid):
    """What is killed wakes, and goes back to wait for nothing else than what holds it."""
    wait_until(lambda: is_held(pid), what="the kernel's hold")


def is_gone(pid):
    """But for threads that the kernel holds."""
    return host.read("/proc/%d/stat" % pid).rpartition(")")[2].split()[:1] in ([], ["Z"])


def says(call, seconds):
    """What a call that is under way says when it has not come to its end."""
    error = call.exception(timeout=seconds)
    assert isinstance(error, grpc.RpcError)
    assert error.code() == grpc.StatusCode.DEADLINE_EXCEEDED, error.details()
    return error.details()


def others_go_on(bed):
    """A pod's whole life, beside what is held."""
    begun = time.monotonic()
    other = bed.run_pod("other")
    container = bed.run(other, "app", command=SLEEP)
    assert bed.exec(container, "true").exit_code == 0
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    bed.remove_pod(other)
    assert time.monotonic() - begun < TOLERANCE


def is_told_of(bed, pod, container):
    """Whatever is asked of what is held has an answer; gives the container's state."""
    def ask(call, request=None):
        return getattr(bed.cri, call)(request or {}, timeout=TOLERANCE)
    of_container, of_pod = {"container_id": container}, {"pod_sandbox_id": pod}
    assert container in [one.id for one in ask("ListContainers").containers]
    assert pod in [one.id for one in ask("ListPodSandbox").items]
    assert ask("PodSandboxStatus", {**of_pod, "verbose": True}).status.id == pod
    assert ask("ContainerStats", of_container).stats.attributes.id == container
    assert ask("PodSandboxStats", of_pod).stats.attributes.id == pod
    for call in ("ListContainerStats", "ListPodSandboxStats", "ListPodSandboxMetrics"):
        ask(call)
    return ask("ContainerStatus", {**of_container, "verbose": True}).status.state


def restart(bed, end):
    begun = time.monotonic()
    end()
    bed.start_engine()
    assert time.monotonic() - begun < TOLERANCE


def is_let_go(bed, volume, pod, container):
    """Its end is told in time, and then all of it can be removed."""
    volume.release()
    assert bed.wait_exit(container, TOLD_SECONDS).exit_code == 137
    bed.remove_pod(pod)
    wait_until(lambda: not bed.find_leaks(), what="nothing left of it")


def hang_together(bed, pod, container, calls):
    """The calls, made at once, all say what holds them; meanwhile others go on."""
    begun = time.monotonic()
    patience = KILL_SECONDS + TOLERANCE
    under_way = [getattr(bed.cri, name).future(request, timeout=4 * KILL_SECONDS)
                 for name, request in calls.items()]
    others_go_on(bed)
    is_told_of(bed, pod, container)
    for call in under_way:
        assert HELD in says(call, patience)
    assert begun + KILL_SECONDS - 1 < time.monotonic() < begun + patience


@pytest.mark.parametrize("command, linux", [
    (READ, {}), (["sh", "-c", "cat /volume/held; true"], OWN_PIDS)],
    ids=["the-first-process", "another-of-its-namespace"])
def test_a_container_that_the_kernel_holds(bed, volume, command, linux):
    pod = bed.run_pod("pod", linux=linux)
    container = run_with(volume, bed, pod, command, linux=linux)
    pid = volume.await_reader()
    stop, stop_pod = {"container_id": container, "timeout": 0}, {"pod_sandbox_id": pod}
    if command == READ:
        hang_together(bed, pod, container, {"StopContainer": stop, "StopPodSandbox": stop_pod})
    said = says(bed.cri.StopContainer.future(stop, timeout=SECONDS), 20)
    assert "wait for the container to end by SIGKILL" in said
    said = says(bed.cri.StopPodSandbox.future(stop_pod, timeout=SECONDS), 20)
    assert "end the pod's processes" in said
    for end in (bed.stop_engine, bed.kill_engine):
        restart(bed, end)
        others_go_on(bed)
        assert is_told_of(bed, pod, container) == bed.cri.messages.CONTAINER_RUNNING
        # The daemon goes on with the pod's stop by itself.
        says(bed.cri.StopPodSandbox.future(stop_pod, timeout=SECONDS), 20)
    await_held(pid)
    is_let_go(bed, volume, pod, container)


def test_what_a_container_leaves_to_the_kernel(bed, volume):
    """Its first process ends, and is told to have; with the rest of it, it cannot be removed."""
    pod = bed.run_pod("pod")
    container = run_with(volume, bed, pod, ["sh", "-c", "cat /volume/held; true"])
    pid = volume.await_reader()
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=TOLD_SECONDS)
    assert bed.status(container).exit_code == 137
    await_held(pid)
    restart(bed, bed.stop_engine)
    hang_together(bed, pod, container, {
        "RemoveContainer": {"container_id": container},
        "RemovePodSandbox": {"pod_sandbox_id": pod}})
    await_held(pid)
    is_let_go(bed, volume, pod, container)


@pytest.mark.parametrize("command, restarts", [
    (["dd", "if=/volume/held"], True),
    # It splices, and so holds its output's lock, which an end of the daemon would wait for.
    (READ, False)], ids=["read", "splice"])
def test_a_probe_that_the_kernel_holds(bed, volume, command, restarts):
    pod = bed.run_pod("pod")
    container = run_with(volume, bed, pod, SLEEP)
    probe = {"container_id": container, "cmd": command, "timeout": 1}
    under_way = bed.cri.ExecSync.future(probe)
    pid = volume.await_reader()
    others_go_on(bed)
    says(under_way, 1 + EXEC_SECONDS + TOLERANCE)
    await_held(pid)
    for end in (bed.stop_engine, bed.kill_engine) if restarts else ():
        restart(bed, end)
    others_go_on(bed)
    assert bed.exec(container, "true").exit_code == 0
    assert is_told_of(bed, pod, container) == bed.cri.messages.CONTAINER_RUNNING
    volume.release()
    wait_until(lambda: not host.read("/proc/%d/stat" % pid), what="the end of the probe")
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=TOLD_SECONDS)
    is_let_go(bed, volume, pod, container)


def test_a_volume_that_cannot_be_looked_at(bed, tmp_path):
    """Who creates a container with it is told so, and others go on; both a call that is repeated and
    the pod's end wait for its storage as long as they have patience."""
    pod = bed.run_pod("pod")
    bed.pull()
    with StuckVolume(tmp_path, holds=LOOKUP) as volume:
        config = bed.container_config("app", command=SLEEP, mounts=[
            {"container_path": "/volume", "host_path": volume.file}])

        def create(patience):
            return bed.cri.CreateContainer.future(
                {"pod_sandbox_id": pod, "config": config}, timeout=patience)
        under_way = create(SECONDS)
        volume.await_reader()
        others_go_on(bed)
        assert "look at what it mounts" in says(under_way, SECONDS + TOLERANCE)
        stop = bed.cri.StopPodSandbox.future({"pod_sandbox_id": pod}, timeout=SECONDS)
        assert "wait for the operation before it" in says(stop, SECONDS + TOLERANCE)
        volume.release()
    bed.remove_pod(pod)
    wait_until(lambda: not bed.find_leaks(), what="nothing left of it")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_another_daemon_takes_the_place_of_one_that_the_kernel_holds(bed, tmp_path, number):
    """It looks at a volume whose storage does not answer, and does not end; what it had is free."""
    pod = bed.run_pod("pod")
    other = bed.run_pod("other-pod")
    container = bed.run(other, "app", command=SLEEP)
    with StuckVolume(tmp_path, holds=LOOKUP) as volume:
        config = bed.container_config("app", command=SLEEP, mounts=[
            {"container_path": "/volume", "host_path": volume.file}])
        under_way = bed.cri.CreateContainer.future(
            {"pod_sandbox_id": pod, "config": config}, timeout=60)
        held = volume.await_reader()
        before = bed.pid
        os.kill(before, number)
        wait_until(lambda: not host.listens(bed.engine.socket), what="the end of its socket")
        wait_until(lambda: is_gone(before), seconds=60, what="the end of its other threads")
        bed.start_engine()
        assert isinstance(under_way.exception(), grpc.RpcError)
        others_go_on(bed)
        assert bed.exec(container, "true").exit_code == 0
        bed.remove_pod(pod)
        bed.remove_pod(other)
        wait_until(lambda: not bed.find_leaks(), what="nothing left of it")
        assert is_held(held)
        volume.release()

"""Programs that never answer: calls end in time and say where, others go on, repeated ones join,
and who gives up is left with nothing."""

import os
import re
import signal
import subprocess
import time

import pytest

import engines
import grpc
import host
from berth_testbed import wait_until
from holding import Holding
from image_set import TESTS

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
SECONDS = 2  # what a client has patience for
TOLERANCE = 3  # on a machine with much else to do
NODE_NETWORK = {"security_context": {"namespace_options": {"network": "NODE"}}}


@pytest.fixture
def holding(tmp_path, monkeypatch):
    made = Holding(tmp_path, os.environ.get("BERTH_TEST_RUNTIME", "runc"))
    monkeypatch.setattr(engines, "CNI_BINARIES", made.cni)
    return made


@pytest.fixture
def bed(own_bed, holding):
    return own_bed(runtime=holding.runtime)


def ops(bed):
    """What `berth ops` lists."""
    program, config = bed.engine.command()[0], bed.engine.command()[-1]
    answer = subprocess.run([program, "ops", "--config", config], capture_output=True, text=True,
                            check=True, stdin=subprocess.DEVNULL, timeout=20)
    return answer.stdout.splitlines()[1:]  # below the titles


def runs_out(call, request, seconds=SECONDS, patience=None):
    """Makes a call that has to end in that time, the client's deadline unless its `patience` is
    longer; gives what it says."""
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=patience or seconds)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED, caught.value.details()
    assert time.monotonic() - begun < seconds + TOLERANCE
    return caught.value.details()


def others_go_on(bed, **pod):
    """A pod's whole life, beside what hangs."""
    begun = time.monotonic()
    other = bed.run_pod("other", **pod)
    container = bed.run(other, "app", command=SLEEP)
    assert bed.exec(container, "true").exit_code == 0
    bed.cri.StopPodSandbox({"pod_sandbox_id": other}, timeout=20)
    bed.cri.RemovePodSandbox({"pod_sandbox_id": other}, timeout=20)
    assert container not in [one.id for one in bed.cri.ListContainers().containers]
    assert time.monotonic() - begun < 20


def stage_of(bed, words):
    """The line of `berth ops` about an operation that has passed its client's deadline."""
    lines = [line for line in ops(bed) if words in line]
    assert len(lines) == 1, "a repeated call must join: %s" % ops(bed)
    assert float(lines[0].split()[0]) >= SECONDS - 1
    return lines[0]


def hangs(bed, call, request, stage, subject, **others):
    """The call, which does not come to its end, names its stage, as `berth ops` does of its
    `subject`; others go on; a repeated call joins. Gives another that does and is under way."""
    assert stage in runs_out(call, request)
    assert stage in stage_of(bed, subject)
    others_go_on(bed, **others)
    assert stage in runs_out(call, request)
    assert stage in stage_of(bed, subject)
    return call.future(request, timeout=60)


def test_a_start_that_hangs(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    with holding.held(container):
        joined = hangs(bed, bed.cri.StartContainer, {"container_id": container},
                       "start the container", container)
    joined.result()
    assert holding.times(container) == 1
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING


@pytest.mark.parametrize("call, of, stage", [
    ("RemoveContainer", "container_id", "remove the container"),
    ("StopPodSandbox", "pod_sandbox_id", "remove the pod"),
    ("RemovePodSandbox", "pod_sandbox_id", "remove the pod")])
def test_a_delete_that_hangs(bed, holding, call, of, stage):
    """Of the runtime's own record of a container."""
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=SLEEP)
    subject = {"container_id": container, "pod_sandbox_id": pod}[of]
    with holding.held(container):
        joined = hangs(bed, getattr(bed.cri, call), {of: subject}, stage, subject)
    joined.result()
    assert holding.times(container) == 1
    bed.remove_pod(pod)
    wait_until(lambda: not bed.find_leaks(), what="nothing left of it")


def test_nothing_is_killed_through_the_runtime(bed, holding):
    """What it would hang in cannot keep a container from its end."""
    container = bed.run(bed.run_pod("pod"), "app", command=SLEEP)
    with holding.held("kill"), holding.held(container):
        bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    assert bed.status(container).exit_code == 137
    assert holding.times("kill") == holding.times(container) == 0


@pytest.mark.parametrize("call, more, patience, stage", [
    ("ExecSync", {"cmd": ["true"], "timeout": SECONDS}, 60, "start the process"),
    ("ExecSync", {"cmd": ["true"]}, SECONDS, "start the process"),
    ("UpdateContainerResources", {"linux": {"memory_limit_in_bytes": 64 << 20}}, SECONDS,
     "update the container's resources")],
    ids=["exec", "exec-of-an-impatient-client", "update"])
def test_what_hangs_in_a_running_container(bed, holding, call, more, patience, stage):
    """Each call is one of its own, and ends with its time."""
    container = bed.run(bed.run_pod("pod"), "app", command=SLEEP)
    call, request = getattr(bed.cri, call), {"container_id": container, **more}
    with holding.held(container):
        assert stage in runs_out(call, request, patience=patience)
        wait_until(lambda: not ops(bed), what="the end of what it had begun")
        under_way = call.future(request, timeout=patience)
        wait_until(lambda: any(container in line and stage in line for line in ops(bed)),
                   seconds=SECONDS, what="its stage")
        others_go_on(bed)
        assert under_way.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING
    call(request)
    assert bed.exec(container, "true").exit_code == 0


def test_a_start_that_hangs_is_given_up(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    with holding.held("run"):
        runs_out(bed.cri.StartContainer, {"container_id": container})
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod}, timeout=20)
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod}, timeout=20)
        assert not bed.cri.ListPodSandbox().items
        assert not bed.cri.ListContainers().containers
        wait_until(lambda: not bed.find_leaks(), what="nothing left of it")
        wait_until(lambda: not ops(bed), what="the end of what it had begun")
        # The name is free.
        assert bed.run_pod("pod") != pod


def test_logs_are_reopened_beside_what_hangs(bed, holding):
    """For rotation nothing of a container's life is waited for."""
    pod = bed.run_pod("pod")
    talks = "trap '' TERM; while :; do echo line; sleep 0.02; done"
    container = bed.run(pod, "app", command=["sh", "-c", talks])
    begun = bed.create(pod, "begun", command=SLEEP)
    path = os.path.join(bed.folder, "logs", "pod", "app.log")

    def rotate():
        wait_until(lambda: bed.log_lines("pod", "app"), what="a line")
        os.rename(path, path + ".old")
        bed.cri.ReopenContainerLog({"container_id": container}, timeout=SECONDS)
        wait_until(lambda: bed.log_lines("pod", "app"), what="a line in the new log")

    with holding.held(begun), holding.held(container):
        start = bed.cri.StartContainer.future({"container_id": begun})
        holding.await_first(begun)
        rotate()
        # The one that is beginning has no log yet, and that is told at once.
        with pytest.raises(grpc.RpcError) as caught:
            bed.cri.ReopenContainerLog({"container_id": begun}, timeout=SECONDS)
        assert caught.value.code() == grpc.StatusCode.FAILED_PRECONDITION
        update = bed.cri.UpdateContainerResources.future(
            {"container_id": container, "linux": {"memory_limit_in_bytes": 64 << 20}})
        holding.await_first(container)
        rotate()
    start.result()
    update.result()
    stop = bed.cri.StopContainer.future({"container_id": container, "timeout": 1000})
    wait_until(lambda: any("by its stop signal" in line for line in ops(bed)), what="the stop")
    rotate()
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    stop.result()


@pytest.mark.parametrize("plugin, named", [
    ("bridge", "bridge"), ("portmap", "portmap"), ("host-local", "bridge")])  # which calls it
def test_a_network_that_hangs_when_a_pod_begins(bed, holding, plugin, named):
    config = bed.pod_config("pod", port_mappings=[
        {"protocol": 0, "container_port": 80, "host_port": 18080, "host_ip": "127.0.0.1"}])
    word = plugin + "-ADD"
    with holding.held(word):
        joined = hangs(bed, bed.cri.RunPodSandbox, {"config": config}, "CNI ADD " + named,
                       "RunPodSandbox default/pod/", linux=NODE_NETWORK)
    pod = joined.result().pod_sandbox_id
    assert holding.times(word) == 1
    assert [one.id for one in bed.cri.ListPodSandbox().items] == [pod]
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip


def test_a_network_that_hangs_when_a_pod_ends(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=SLEEP)
    stop = {"pod_sandbox_id": pod}
    with holding.held("bridge-DEL"):
        joined = hangs(bed, bed.cri.StopPodSandbox, stop, "CNI DEL bridge", pod,
                       linux=NODE_NETWORK)
        # What was no matter of the network is done.
        assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    joined.result()
    assert holding.times("bridge-DEL") == 1
    bed.cri.RemovePodSandbox(stop)


@pytest.mark.parametrize("callback", ["snapshot_prepare", "snapshot_mount"])
def test_a_snapshotter_that_hangs_when_a_container_begins(own_bed, hanging_snapshotter, callback):
    bed = own_bed(**hanging_snapshotter.options)
    pod = bed.run_pod("pod")
    bed.pull()
    create = {"pod_sandbox_id": pod, "config": bed.container_config("app", command=SLEEP),
              "sandbox_config": bed.pod_config("pod")}
    hanging_snapshotter.hold(callback)
    joined = hangs(bed, bed.cri.CreateContainer, create, "prepare the root filesystem",
                   pod + "/app")
    assert hanging_snapshotter.holds()
    hanging_snapshotter.release()
    container = joined.result().container_id
    bed.cri.StartContainer({"container_id": container})
    assert bed.exec(container, "true").exit_code == 0


@pytest.mark.parametrize("callback", ["snapshot_unmount", "snapshot_remove"])
def test_a_snapshotter_that_hangs_when_a_container_ends(own_bed, hanging_snapshotter, callback):
    bed = own_bed(**hanging_snapshotter.options)
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=SLEEP)
    hanging_snapshotter.hold(callback)
    joined = hangs(bed, bed.cri.RemoveContainer, {"container_id": container},
                   "release the root filesystem", container)
    assert hanging_snapshotter.holds()
    hanging_snapshotter.release()
    joined.result()
    bed.run(pod, "app", command=SLEEP)


def test_a_snapshotter_that_hangs_when_a_layer_comes(own_bed, hanging_snapshotter):
    bed = own_bed(**hanging_snapshotter.options)
    bed.pull()
    reference = TESTS + "layers:1"
    pull = {"image": {"image": reference}}
    hanging_snapshotter.hold("layer_apply")
    # Layers come side by side: the stage is that of one of them.
    stage = "(fetch|unpack layer) sha256:"
    assert re.search("stage: " + stage, runs_out(bed.cri.PullImage, pull))
    assert hanging_snapshotter.holds()
    # Nor does it answer when it is told that nobody waits any more.
    assert re.search(stage, stage_of(bed, reference))
    others_go_on(bed)
    said = runs_out(bed.cri.PullImage, pull)
    assert re.search("wait for the same pull, which is to (fetch|unpack layer) sha256:", said)
    joined = bed.cri.PullImage.future(pull, timeout=60)
    wait_until(lambda: len(ops(bed)) == 2, what="the repeated call")
    hanging_snapshotter.release()
    assert joined.result().image_ref == bed.registry.config_digest(reference)


def test_a_snapshotter_that_hangs_when_a_layer_goes(own_bed, hanging_snapshotter):
    """Nobody waits for it but who wants that very layer."""
    bed = own_bed(**hanging_snapshotter.options)
    bed.pull()
    image = {"image": {"image": TESTS + "layers:1"}}
    bed.cri.PullImage(image)
    hanging_snapshotter.hold("layer_remove")
    bed.cri.RemoveImage(image, timeout=SECONDS)
    wait_until(hanging_snapshotter.holds, what="the layer's removal")
    assert any("free layer sha256:" in line for line in ops(bed))
    others_go_on(bed)
    said = runs_out(bed.cri.PullImage, image)
    assert "wait for layer sha256:" in said and "removes" in said
    hanging_snapshotter.release()
    bed.cri.PullImage(image)


def test_a_log_is_not_waited_for_as_long_as_the_kubelet_would(bed):
    """It rotates one after the other."""
    container = bed.run(bed.run_pod("pod"), "app", command=SLEEP)
    reopen = {"container_id": container}
    monitor = next(pid for pid, line in host.processes(bed.folder, bed.mark).items()
                   if "berth-monitor" in line)
    os.kill(monitor, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        with pytest.raises(grpc.RpcError) as error:
            bed.cri.ReopenContainerLog(reopen, timeout=120)
        assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        assert time.monotonic() - begun < 60
    finally:
        os.kill(monitor, signal.SIGCONT)
    bed.cri.ReopenContainerLog(reopen)


def test_a_network_that_does_not_say_how_it_is(own_bed, hanging):
    """The node says so, and who asks again does not wait for it once more."""
    network = hanging("hanging_network", "berth-network-cni", "networks.cni")
    bed = own_bed(**network.options)

    def ready():
        """Whether pods can have a network, and why not."""
        conditions = bed.cri.Status({"verbose": True}, timeout=20).status.conditions
        return next((one.status, one.message) for one in conditions if one.type == "NetworkReady")
    assert ready() == (True, "")
    network.hold("status")
    assert ready() == (False, "network cni has not answered in time")
    assert network.holds()
    begun = time.monotonic()
    assert [ready()[0] for _ in range(10)] == [False] * 10
    assert any("ask network cni" in line for line in ops(bed))
    assert time.monotonic() - begun < TOLERANCE
    network.release()
    wait_until(lambda: ready()[0], what="that it is asked again")


def test_a_snapshotter_that_does_not_say_what_it_has(own_bed, hanging):
    """Of two, one is left out, unless it has the node's images."""
    other = hanging("hanging", "berth-snapshotter-overlay", "snapshotters.other",
                    "snapshotter-other")
    bed = own_bed(**other.options)
    info = bed.cri.ImageFsInfo({})
    assert len(info.image_filesystems) == 2
    other.hold("filesystem")
    left = bed.cri.ImageFsInfo({}, timeout=30)
    assert other.holds()
    assert [each.fs_id.mountpoint for each in left.image_filesystems] == [
        info.image_filesystems[0].fs_id.mountpoint]
    others_go_on(bed)
    other.release()
    wait_until(lambda: len(bed.cri.ImageFsInfo({}).image_filesystems) == 2,
               what="that it is asked again")


def test_what_nobody_comes_back_for_is_undone(bed, holding):
    """A minute after the client's deadline, though nothing has answered until then."""
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    ended = bed.run(pod, "ended", command=["true"])
    wait_until(lambda: bed.status(ended).state == bed.cri.messages.CONTAINER_EXITED,
               what="its end")
    with holding.held("run"), holding.held("bridge-ADD"), holding.held("delete"):
        assert "remove the container" in runs_out(bed.cri.RemoveContainer, {"container_id": ended})
        runs_out(bed.cri.StartContainer, {"container_id": container})
        runs_out(bed.cri.RunPodSandbox, {"config": bed.pod_config("forgotten")})
        addresses = bed.network.held_addresses()
        assert holding.processes()
        wait_until(lambda: not ops(bed), seconds=90, what="the end of all")
        assert not holding.processes()
        assert [one.id for one in bed.cri.ListPodSandbox().items] == [pod]
        assert bed.network.held_addresses() == addresses
        assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    # The names are free, and nothing stands in the way.
    bed.cri.RemoveContainer({"container_id": ended})
    bed.cri.RemoveContainer({"container_id": container})
    bed.run(pod, "app", command=SLEEP)
    bed.remove_pod(bed.run_pod("forgotten"))


def test_a_daemon_ends_and_begins_beside_what_hangs(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    running = bed.run(pod, "other", command=SLEEP)
    with holding.held(container):
        runs_out(bed.cri.StartContainer, {"container_id": container})
        begun = time.monotonic()
        bed.stop_engine()
        bed.start_engine()
        assert time.monotonic() - begun < 20
        assert bed.status(running).state == bed.cri.messages.CONTAINER_RUNNING
        others_go_on(bed)
    bed.remove_pod(pod)

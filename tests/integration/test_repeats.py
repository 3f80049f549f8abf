"""Every call made many times at once, with answers that are lost on the way: one effect."""

import os
import random
import time

import pytest

import engines
import grpc
import host
from berth_testbed import wait_until
from checkpoints import StandIn, left_of_checkpoints
from cri import AdminClient
from image_set import BUSYBOX, TESTS
from installed_plugin import NEXT, bed_with_installed
from test_abandoned_network import Programs, stop, without_masquerading
from test_pod_network import rewrite_network
from test_pod_range import with_template
from test_pod_resources import own_cgroup

pytestmark = pytest.mark.berth
TIMES = 8
ROUNDS = 3
APP = "echo one; while ! test -e /go; do sleep 0.1; done; echo two; exec sleep 1000"
HANDLERS = ["", pytest.param("shim", marks=pytest.mark.skipif(
    not os.access(engines.SHIM, os.X_OK), reason="SKIPPED: there is no " + engines.SHIM))]

# What nobody repeats for want of an answer: each call begins something of its own.
ANEW = {"ExecSync", "Exec", "Attach", "PortForward"}
READ_ONLY = {
    "Version", "Status", "RuntimeConfig", "GetContainerEvents", "ListMetricDescriptors",
    "PodSandboxStatus", "ListPodSandbox", "StreamPodSandboxes",
    "ContainerStatus", "ListContainers", "StreamContainers",
    "ContainerStats", "ListContainerStats", "StreamContainerStats",
    "PodSandboxStats", "ListPodSandboxStats", "StreamPodSandboxStats",
    "ListPodSandboxMetrics", "StreamPodSandboxMetrics",
    "ListImages", "StreamImages", "ImageStatus", "ImageFsInfo",
    # Of berth.admin.v1.
    "Configuration", "Timelines", "Export", "Inspect"}
REPEATED = set()


def repeats(*calls):
    """What a test repeats, which the fixture `repeated` sees to."""
    REPEATED.update(calls)
    return pytest.mark.repeats(*calls)


@pytest.fixture
def repeated(request):
    """repeated(call, request, longest) makes a call many times at once; clients of half of them go
    away, at moments within the `longest` seconds it takes. Gives the distinct answers of those who
    stay. `refusals` may be the answers of all but one."""
    made = set()

    def repeat(call, message, longest, refusals=()):
        made.add(call.name)
        moments = random.Random(repr(message))
        calls = [call.future(message, timeout=60) for _ in range(TIMES)]
        for lost in calls[::2]:
            time.sleep(moments.uniform(0, longest / TIMES * 2))
            lost.cancel()
        answers = [answer_of(one) for one in calls[1::2]]
        # Who went away comes back.
        answers.append(wait_until(lambda: unless_aborted(answer_of(call.future(message)))))
        given = [one for one in answers if not isinstance(one, grpc.RpcError)]
        refused = [one for one in answers if isinstance(one, grpc.RpcError)]
        assert given and {one.code() for one in refused} <= set(refusals), refused
        return set(given)

    yield repeat
    marker = request.node.get_closest_marker("repeats")
    assert made == set(marker.args)


def answer_of(call):
    """In a form to compare; an error as it is."""
    try:
        return "answer: %r" % call.result()
    except grpc.RpcError as error:
        return error


def unless_aborted(answer):
    """Not one that asks to be repeated (gRPC, ABORTED)."""
    aborted = isinstance(answer, grpc.RpcError) and answer.code() == grpc.StatusCode.ABORTED
    return None if aborted else answer


def one(answers):
    """They all say the same."""
    assert len(answers) == 1, answers


@pytest.fixture
def admin():
    """admin(bed) is a client of what `berth` asks the daemon."""
    clients = []

    def make(bed):
        clients.append(AdminClient(bed.engine.socket, os.path.join(bed.folder, "python")))
        return clients[-1]
    yield make
    for client in clients:
        client.close()


def test_every_call_is_known(own_bed, admin):
    """A new one is decided on: it is repeated here, or it changes nothing."""
    bed = own_bed()
    kinds = (REPEATED, READ_ONLY, ANEW)
    assert set.union(*kinds) == bed.cri.names() | admin(bed).names()
    assert sum(map(len, kinds)) == len(set.union(*kinds)), "one is of two kinds"


@pytest.mark.parametrize("handler", HANDLERS)
@pytest.mark.parametrize("round_", range(ROUNDS))
@repeats("RunPodSandbox", "CreateContainer", "StartContainer", "UpdateContainerResources",
         "UpdatePodSandboxResources", "ReopenContainerLog", "StopContainer", "RemoveContainer",
         "StopPodSandbox", "RemovePodSandbox")
def test_the_life_of_a_pod(own_bed, repeated, round_, handler):
    bed = own_bed(handler=handler)
    bed.pull()
    rpc = bed.cri
    name = "pod-%d" % round_
    config = bed.pod_config(name, **own_cgroup(bed, name))
    one(repeated(rpc.RunPodSandbox, {"config": config, "runtime_handler": handler}, 0.15))
    pods = [pod.id for pod in rpc.ListPodSandbox().items]
    assert len(pods) == 1
    assert len(bed.network.held_addresses()) == 1
    pod = {"pod_sandbox_id": pods[0]}

    app = bed.container_config("app", command=["sh", "-c", APP])
    create = {**pod, "config": app, "sandbox_config": config}
    one(repeated(rpc.CreateContainer, create, 0.03))
    containers = [container.id for container in rpc.ListContainers().containers]
    assert len(containers) == 1
    container = {"container_id": containers[0]}
    assert len(os.listdir(bed.engine.root + "/plugins/snapshotter-overlay/snapshots")) == 1

    one(repeated(rpc.StartContainer, container, 0.1))
    status = bed.status(containers[0])
    assert status.state == rpc.messages.CONTAINER_RUNNING
    # A start may be answered a moment before the program has taken its process's place.
    wait_until(lambda: bed.log_lines(name, "app"), what="the program")
    assert bed.exec(containers[0], "sh", "-c", "ps | grep -c '[e]cho one'").stdout == b"1\n"

    limits = {**container, "linux": {"memory_limit_in_bytes": 64 << 20}}
    one(repeated(rpc.UpdateContainerResources, limits, 0.05))
    one(repeated(rpc.UpdatePodSandboxResources, {
        **pod, "resources": {"memory_limit_in_bytes": 128 << 20}}, 0.05))
    one(repeated(rpc.ReopenContainerLog, container, 0.01))
    bed.exec(containers[0], "touch", "/go")
    wait_until(lambda: len(bed.log_lines(config["metadata"]["name"], "app")) >= 2, what="the log")
    assert [line[3] for line in bed.log_lines(config["metadata"]["name"], "app")] == ["one", "two"]

    one(repeated(rpc.StopContainer, {**container, "timeout": 1}, 1))
    ended = bed.status(containers[0])
    assert ended.state == rpc.messages.CONTAINER_EXITED
    assert ended.started_at == status.started_at
    one(repeated(rpc.RemoveContainer, container, 0.05))
    assert not rpc.ListContainers().containers

    one(repeated(rpc.StopPodSandbox, pod, 0.1))
    assert bed.network.held_addresses() == []
    one(repeated(rpc.RemovePodSandbox, pod, 0.05))
    assert not rpc.ListPodSandbox().items


def test_pods_begun_and_ended_at_the_same_time(own_bed):
    """The kubelet's retry comes while what it had given up is being taken down."""
    bed = own_bed()
    config = bed.pod_config("pod")
    for number in range(10):
        begun = [bed.cri.RunPodSandbox.future({"config": config}, timeout=60) for _ in range(4)]
        time.sleep(number * 0.02)
        for call in begun[1:]:
            call.cancel()
        pod = {"pod_sandbox_id": begun[0].result().pod_sandbox_id}
        ends = [bed.cri.StopPodSandbox.future(pod, timeout=60),
                bed.cri.RemovePodSandbox.future(pod, timeout=60),
                bed.cri.StopPodSandbox.future(pod, timeout=60)]
        again = bed.cri.RunPodSandbox.future({"config": config}, timeout=60)
        for call in ends:
            call.result()
        # The name is the old pod's, or free: then there is a new one.
        try:
            answer = again.result().pod_sandbox_id
        except grpc.RpcError as error:
            assert error.code() == grpc.StatusCode.ALREADY_EXISTS, error.details()
            answer = bed.cri.RunPodSandbox({"config": config}, timeout=60).pod_sandbox_id
        left = [item.id for item in bed.cri.ListPodSandbox().items]
        assert left == ([] if answer == pod["pod_sandbox_id"] else [answer])
        bed.remove_all_pods()
        assert bed.network.held_addresses() == []


@repeats("PullImage", "RemoveImage")
def test_images(own_bed, repeated):
    bed = own_bed()
    image = {"image": {"image": TESTS + "many-layers:1"}}
    for _ in range(ROUNDS):
        one(repeated(bed.cri.PullImage, image, 0.5))
        assert len(bed.cri.ListImages().images) == 1
        one(repeated(bed.cri.RemoveImage, image, 0.02))
        assert not bed.cri.ListImages().images


def test_an_image_pulled_and_removed_at_the_same_time(own_bed):
    bed = own_bed()
    image = {"image": {"image": BUSYBOX}}
    pod = bed.run_pod("pod")
    for number in range(10):
        pull = bed.cri.PullImage.future(image, timeout=60)
        time.sleep(number * 0.01)
        bed.cri.RemoveImage(image, timeout=60)
        try:
            pull.result()
        except grpc.RpcError as error:
            # Somebody else removed what it was about to give; that is told, and not made up.
            assert error.code() in (grpc.StatusCode.ABORTED, grpc.StatusCode.NOT_FOUND), error.details()
        bed.pull()
        container = bed.run(pod, "app-%d" % number, command=["true"])
        assert bed.wait_exit(container).exit_code == 0
        bed.cri.RemoveContainer({"container_id": container})
        bed.cri.RemoveImage(image)


@repeats("UpdateRuntimeConfig")
def test_the_range_of_pods(own_bed, repeated):
    bed = own_bed()
    bed.stop_engine()
    os.unlink(bed.network.conf_file)
    with_template(bed)
    told = {"runtime_config": {"network_config": {"pod_cidr": "10.203.7.0/24"}}}
    one(repeated(bed.cri.UpdateRuntimeConfig, told, 0.05))
    pod = bed.run_pod("pod")
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip.startswith(
        "10.203.7.")


@repeats("CheckpointContainer", "CheckpointPod", "RestorePod")
def test_checkpoints(own_bed, repeated, tmp_path_factory, tmp_path, monkeypatch):
    stand_in = StandIn(tmp_path_factory.mktemp("stand-in"), monkeypatch)
    bed = own_bed(runtime=stand_in.runtime)
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=["sleep", "1000"])
    archive = {"container_id": container, "location": str(tmp_path / "archive.tar")}
    one(repeated(bed.cri.CheckpointContainer, archive, 0.2))
    assert os.listdir(tmp_path) == ["archive.tar"]
    assert bed.exec(container, "true").exit_code == 0

    folder = tmp_path / "pod"
    folder.mkdir()
    # Who comes back after the end hears that the folder is no longer empty.
    one(repeated(bed.cri.CheckpointPod, {
        "pod_sandbox_id": pod, "output_path": str(folder), "container_ids": [container]}, 0.2,
        refusals=[grpc.StatusCode.FAILED_PRECONDITION]))
    one(repeated(bed.cri.RestorePod, {
        "checkpoint_path": str(folder), "config": bed.pod_config("restored"),
        "container_configs": [bed.container_config("app", command=["sleep", "1000"])]}, 0.3))
    assert len(bed.cri.ListPodSandbox().items) == 2
    [restored] = [item.id for item in bed.cri.ListContainers().containers if item.id != container]
    bed.cri.StartContainer({"container_id": restored})
    assert bed.exec(restored, "true").exit_code == 0
    assert left_of_checkpoints(bed) == []


@repeats("Pull", "Import", "Pin", "CheckStorage")
def test_images_of_operators(own_bed, repeated, admin):
    bed = own_bed()
    ask = admin(bed)
    layered, several = TESTS + "layers:1", TESTS + "many-layers:1"
    repeated(ask.Pull, {"image": several}, 0.5)
    repeated(ask.Import, {"path": bed.registry.layout, "names": [layered]}, 0.2)
    tags = [tag for image in bed.cri.ListImages().images for tag in image.repo_tags]
    assert sorted(tags) == sorted([several, layered])
    one(repeated(ask.Pin, {"image": layered, "pinned": True}, 0.01))
    assert [image.pinned for image in bed.cri.ListImages().images
            if layered in image.repo_tags] == [True]
    # A layer that has lost its files is dropped once, and what is told is that or that it is gone.
    overlay = os.path.join(bed.engine.root, "plugins/snapshotter-overlay/layers")
    [damaged] = [name for name in os.listdir(overlay)
                 if os.path.exists(os.path.join(overlay, name, "fs/lower/kept-file"))]
    os.unlink(os.path.join(overlay, damaged, "fs/lower/kept-file"))
    repeated(ask.CheckStorage, {"repair": True}, 0.2, refusals=[grpc.StatusCode.ABORTED])
    assert host.read(bed.log_path).count("the storage was damaged and is repaired") == 1
    bed.pull(layered)
    container = bed.run(bed.run_pod("pod"), "app", image=layered, command=["sleep", "1000"])
    assert bed.exec(container, "cat", "/lower/kept-file").stdout == b"kept"


@repeats("Reload", "ReloadPlugin")
def test_reloads(own_bed, repeated, admin, tmp_path):
    bed, plugin = bed_with_installed(own_bed, str(tmp_path), "runtimes.runc", "runtime-runc")
    ask = admin(bed)
    bed.settings += "[containers]\npids_limit = 77\n"
    bed.engine.command()  # writes the file
    repeated(ask.Reload, {}, 0.02)
    assert host.read(bed.log_path).count("key=containers.pids_limit") == 1
    assert "pids_limit = 77" in ask.Configuration().toml
    plugin.put(NEXT)
    # While one is under way, others are refused; so are those before which too many stay.
    repeated(ask.ReloadPlugin, {"name": "runc"}, 0.2, refusals=[
        grpc.StatusCode.ABORTED, grpc.StatusCode.RESOURCE_EXHAUSTED])
    container = bed.run(bed.run_pod("pod"), "app", command=["sleep", "1000"])
    assert bed.exec(container, "true").exit_code == 0
    assert "from=0.1.0 to=" + NEXT in host.read(bed.log_path)


@repeats("AbandonNetwork")
def test_a_network_is_abandoned_once(own_bed, repeated, admin, tmp_path, monkeypatch):
    programs = Programs(tmp_path / "cni-bin")
    monkeypatch.setattr(engines, "CNI_BINARIES", programs.folder)
    bed = own_bed()
    rewrite_network(bed, without_masquerading)
    pod = bed.run_pod("web")
    try:
        programs.remove("bridge")
        assert "detach the network" in stop(bed, pod)
        one(repeated(admin(bed).AbandonNetwork, {"pod": pod}, 5))
        assert host.read(bed.log_path).count("a pod's network is abandoned") == 1
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    finally:
        programs.restore()
        programs.remove_by_hand(bed, pod, [])

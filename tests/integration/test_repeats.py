"""Every call made many times at once, with answers that are lost on the way: one effect."""

import os
import random
import time

import pytest

import grpc
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS

pytestmark = pytest.mark.berth
TIMES = 8
ROUNDS = 3
APP = "echo one; while ! test -e /go; do sleep 0.1; done; echo two; exec sleep 1000"


def repeated(call, request, longest):
    """Makes a call many times at once; clients of half of them go away, at moments within the
    `longest` seconds it takes. Gives the distinct answers of those who stay."""
    moments = random.Random(repr(request))
    calls = [call.future(request, timeout=60) for _ in range(TIMES)]
    for lost in calls[::2]:
        time.sleep(moments.uniform(0, longest / TIMES * 2))
        lost.cancel()
    answers = [one.result() for one in calls[1::2]]
    answers.append(call(request, timeout=60))  # who went away comes back
    return {answer.SerializeToString() for answer in answers}


def one(answers):
    """They all say the same."""
    assert len(answers) == 1, answers


@pytest.mark.parametrize("round_", range(ROUNDS))
def test_the_life_of_a_pod(own_bed, round_):
    bed = own_bed()
    bed.pull()
    rpc = bed.cri
    config = bed.pod_config("pod-%d" % round_)
    one(repeated(rpc.RunPodSandbox, {"config": config}, 0.15))
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
    assert bed.exec(containers[0], "sh", "-c", "ps | grep -c '[e]cho one'").stdout == b"1\n"

    limits = {**container, "linux": {"memory_limit_in_bytes": 64 << 20}}
    one(repeated(rpc.UpdateContainerResources, limits, 0.05))
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


def test_images(own_bed):
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

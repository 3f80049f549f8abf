"""Plugins in processes of their own that are killed in the middle of a pull."""

import os
import signal

import grpc
import pytest

from asking import shell
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX
from test_containers import SLEEP
from test_isolation import SETTINGS, back, processes, until

pytestmark = pytest.mark.berth
IMAGE = "stall.berth.test/busybox:1"


@pytest.fixture
def bed(own_bed):
    """One of its registries sends half of each layer and then nothing, as long as it "stalls"."""
    def mirrors(bed):
        bed.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, "stall"))
        return {"stall.berth.test": [
            "http://127.0.0.1:%d/%s" % (bed.front.port, BUSYBOX.partition("/")[0])]}
    return own_bed(settings=SETTINGS, more_mirrors=mirrors)


def asked(bed):
    """How often layers were asked for."""
    return sum(bed.front.layer_requests().values())


def staged(bed):
    """The layers that the snapshotter has begun."""
    return os.listdir(os.path.join(bed.engine.root, "plugins/snapshotter-overlay/staging"))


def half_done(bed):
    """A pull that has asked for layers and unpacks them."""
    pull = bed.cri.PullImage.future({"image": {"image": IMAGE}})
    # The configuration and two layers: until it is asked again, no more come.
    until(lambda: asked(bed) >= 3 and staged(bed))
    assert not pull.done()
    return pull


def kill(bed, plugin):
    pid = processes(bed)[plugin][0]
    os.kill(pid, signal.SIGKILL)
    return pid


def fails(pull, plugin):
    with pytest.raises(grpc.RpcError) as caught:
        pull.result()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE, caught.value.details()
    assert "plugin %s: its process" % plugin in caught.value.details()


def serves(bed, name):
    """That the image works, and of earlier attempts there is nothing."""
    bed.front.mode = "repeat"
    assert bed.pull(IMAGE) == bed.registry.config_digest(BUSYBOX)
    until(lambda: staged(bed) == [])
    # A call may be answered a moment before its operation is gone.
    until(lambda: IMAGE not in bed.cri.Status({"verbose": True}).info["operations"])
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    assert shell(bed, container, "echo here") == "here"
    bed.remove_pod(pod)


def test_a_pull_whose_source_is_killed_is_carried_on(bed, name):
    pull = half_done(bed)
    bed.front.mode = "repeat"
    kill(bed, "registry")
    assert pull.result().image_ref == bed.registry.config_digest(BUSYBOX)
    assert processes(bed)["registry"][1] == 1
    serves(bed, name)


def test_a_source_that_is_killed_again_fails_the_pull(bed, name):
    pull = half_done(bed)
    times = asked(bed)
    before = kill(bed, "registry")
    back(bed, "registry", before)
    until(lambda: asked(bed) > times)
    before = kill(bed, "registry")
    fails(pull, "registry")
    assert not [image for image in bed.cri.ListImages().images if IMAGE in image.repo_tags]
    back(bed, "registry", before)
    serves(bed, name)

"""Names without a registry: what they stand for, where they are looked for, and that they are found
again."""

import json
import subprocess

import pytest

import grpc
from image_set import BUSYBOX
from registry import free_port

pytestmark = pytest.mark.berth
REGISTRY, _, SHORT = BUSYBOX.partition("/")
# One that has nothing, and one that does not answer.
EMPTY, DEAD = "empty.berth.test", "dead.berth.test"


def settings(registries, *aliases):
    return "[images]\nunqualified_search_registries = %s\nshort_names = %s\n" % (
        json.dumps(registries), json.dumps(aliases))


def short_bed(own_bed, registries, *aliases):
    return own_bed(
        settings=lambda _: settings(registries, *aliases),
        more_mirrors=lambda bed: {EMPTY: [bed.registry.mirror(EMPTY)],
                                  DEAD: ["http://127.0.0.1:%d/%s" % (free_port(), DEAD)]})


def status(bed, image):
    return bed.cri.ImageStatus({"image": {"image": image}}).image


def refused(bed, image, code):
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(image)
    assert caught.value.code() == code, caught.value.details()
    return caught.value.details()


def test_short_names_are_found_again(own_bed):
    bed = short_bed(own_bed, [EMPTY, REGISTRY, DEAD], "app=" + BUSYBOX.partition(":")[0])
    for short in (SHORT, "app:1"):
        identity = bed.pull(short)
        assert list(status(bed, short).repo_tags) == [BUSYBOX]
        assert status(bed, short).id == identity == status(bed, BUSYBOX).id
        pod = bed.run_pod("pod-" + short.partition(":")[0].rpartition("/")[2])
        container = bed.run(pod, "c", image=short, command=["sleep", "1000"])
        assert bed.exec(container, "true").exit_code == 0
        bed.remove_all_pods()
        bed.cri.RemoveImage({"image": {"image": short}})
        assert not status(bed, BUSYBOX).id
    tried = refused(bed, "team/never:1", grpc.StatusCode.UNAVAILABLE)
    for registry in (EMPTY, REGISTRY, DEAD):
        assert registry + "/team/never:1" in tried


def test_a_registry_that_fails_is_the_last(own_bed):
    bed = short_bed(own_bed, [EMPTY, DEAD, REGISTRY])
    tried = refused(bed, SHORT, grpc.StatusCode.UNAVAILABLE)
    assert EMPTY in tried and DEAD in tried and REGISTRY not in tried


def test_what_they_mean_changes_with_a_reload(own_bed):
    bed = short_bed(own_bed, [])
    assert "images.unqualified_search_registries" in refused(
        bed, SHORT, grpc.StatusCode.INVALID_ARGUMENT)
    berth, *_, config = bed.engine.command()
    with open(config, encoding="utf-8") as stream:
        text = stream.read()
    with open(config, "w", encoding="utf-8") as stream:
        stream.write(text.replace("unqualified_search_registries = []",
                                  "unqualified_search_registries = [\"%s\"]" % REGISTRY))
    done = subprocess.run([berth, "reload", "--config", config],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    bed.pull(SHORT)
    assert list(status(bed, SHORT).repo_tags) == [BUSYBOX]

"""Handlers whose pods get another platform's images of an index: one name, one image for each."""

import subprocess

import grpc
import pytest

import berth_testbed
import engines
from image_set import OTHER_ARCHITECTURE, TESTS
from test_containers import SLEEP

pytestmark = pytest.mark.berth
IMAGE = TESTS + "platforms:1"
OTHER = "other"  # the handler
PLATFORM = "linux/" + OTHER_ARCHITECTURE
# A file that only the one image has, and the other.
FILES = {"": "own", OTHER: OTHER_ARCHITECTURE}


def settings(bed):
    return "\n".join(["[runtimes.%s]" % OTHER, 'plugin = "runtime-runc"',
                      "platform = " + engines.toml(PLATFORM),
                      "[runtimes.%s.options]" % OTHER, "path = " + engines.toml(bed.runtime), ""])


@pytest.fixture(scope="module")
def module_bed():
    with berth_testbed.TestBed(settings=settings) as bed:
        yield bed
    assert bed.leaks == []


@pytest.fixture
def fresh(module_bed):
    """That engine, without pods and images."""
    yield module_bed
    module_bed.remove_all_pods()
    for image in module_bed.cri.ListImages().images:
        module_bed.cri.RemoveImage({"image": {"image": image.id}})


def spec(handler, image=IMAGE):
    return {"image": {"image": image, "runtime_handler": handler}}


def pull(bed, handler, **more):
    return bed.cri.PullImage({**spec(handler), **more}, timeout=120).image_ref


def status(bed, handler, image=IMAGE):
    return bed.cri.ImageStatus(spec(handler, image)).image.id


def container(bed, pod, image):
    created = bed.cri.CreateContainer({
        "pod_sandbox_id": pod, "config": bed.container_config("c", image=image, command=SLEEP),
        "sandbox_config": {}}).container_id
    bed.cri.StartContainer({"container_id": created})
    return created


def has(bed, created, handler):
    """Whether the container has the files of the handler's image, and of no other."""
    found = {which for which, name in FILES.items()
             if bed.exec(created, "test", "-e", "/" + name).exit_code == 0}
    return found == {handler}


def refusal(call, *arguments):
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments)
    return caught.value


@pytest.mark.parametrize("by", ["name", "id"])
def test_pods_get_the_image_of_their_handlers_platform(fresh, name, by):
    ids = {handler: pull(fresh, handler) for handler in FILES}
    assert ids[""] != ids[OTHER]
    assert pull(fresh, "runc") == ids[""]
    for handler, identity in ids.items():
        pod = fresh.run_pod(name + handler, handler or "runc")
        # Without a handler the pod tells it.
        assert pull(fresh, "", sandbox_config=fresh.pod_config(name + handler)) == identity
        assert has(fresh, container(fresh, pod, IMAGE if by == "name" else identity), handler)


def test_what_a_name_means_outlives_the_daemon(fresh, name):
    ids = {handler: pull(fresh, handler) for handler in FILES}
    digest = fresh.cri.ImageStatus(spec(OTHER)).image.repo_digests[0]
    fresh.kill_engine()
    fresh.start_engine()
    for handler, identity in ids.items():
        assert status(fresh, handler) == identity
        assert status(fresh, handler, digest) == identity
        [listed] = fresh.cri.ListImages({"filter": spec(handler)}).images
        assert (listed.id, list(listed.repo_tags)) == (identity, [IMAGE])
    assert {image.id for image in fresh.cri.ListImages().images} == set(ids.values())
    pod = fresh.run_pod(name, OTHER)
    assert has(fresh, container(fresh, pod, IMAGE), OTHER)


def test_a_handler_lacks_what_is_here_for_another(fresh, name):
    other = pull(fresh, OTHER)
    assert status(fresh, OTHER) == other
    assert status(fresh, "") == "" and status(fresh, "runc") == ""
    assert status(fresh, "", other) == other, "an id is of whatever platform"
    pod = fresh.run_pod(name, "runc")
    for image in (IMAGE, other):
        refused = refusal(container, fresh, pod, image)
        assert refused.code() == grpc.StatusCode.NOT_FOUND
        assert 'pods of the runtime "runc"' in refused.details()
    mount = {"container_path": "/mounted", "readonly": True, "image": {"image": other}}
    own = pull(fresh, "")
    refused = refusal(lambda: fresh.create(pod, "m", image=own, mounts=[mount]))
    assert "not for images.platform" in refused.details()
    other_pod = fresh.run_pod(name + OTHER, OTHER)
    refused = refusal(container, fresh, other_pod, own)
    assert "not for " + PLATFORM in refused.details()


def test_an_image_is_removed_for_its_handler(fresh):
    own = pull(fresh, "")
    pull(fresh, OTHER)
    fresh.cri.RemoveImage(spec(OTHER))
    assert (status(fresh, ""), status(fresh, OTHER)) == (own, "")
    fresh.cri.RemoveImage(spec(OTHER))
    assert status(fresh, "") == own
    other = pull(fresh, OTHER)
    for _ in range(2):
        fresh.cri.RemoveImage(spec(""))
        assert (status(fresh, ""), status(fresh, OTHER)) == ("", other), "repeating it has no effect"
    refused = refusal(status, fresh, "unheard-of")
    assert refused.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_operators_pull_for_a_platform(fresh, name):
    program, *_, config = fresh.engine.command()
    pulled = subprocess.run([program, "image", "pull", IMAGE, "--platform", PLATFORM, "--config",
                             config], capture_output=True, text=True, check=False, timeout=120)
    assert pulled.returncode == 0, pulled.stderr
    assert status(fresh, OTHER) and not status(fresh, "")
    pod = fresh.run_pod(name, OTHER)
    assert has(fresh, container(fresh, pod, IMAGE), OTHER)

"""Registries that want credentials, that are away, and that lie."""

import base64
import json
import os

import pytest

import berth_testbed
import grpc
import pace
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX, NGINX, TESTS
from registry import Registry, free_port

USER, PASSWORD = "berth", "secret"
HOSTS = {"basic": "basic.berth.test/", "bearer": "bearer.berth.test/",
         "corrupt": "corrupt.berth.test/", "short": "short.berth.test/",
         "stall": "stall.berth.test/", "count": "count.berth.test/",
         "dead": "dead.berth.test/", "failing": "failing.berth.test/"}
PATH = "images.berth.test"


@pytest.fixture(scope="module")
def bed_with_registries():
    """An engine whose mirrors have the moods of HOSTS."""
    fronts = {}

    def mirrors(bed):
        guarded = Registry(bed.cache, bed.folder + "/guarded", USER, PASSWORD)
        bed.also.enter_context(guarded)
        for name, mode in (("bearer", "bearer"), ("corrupt", "corrupt"), ("short", "short"),
                           ("stall", "stall"), ("count", "repeat"), ("failing", "fail")):
            fronts[name] = bed.also.enter_context(
                FaultyRegistry(bed.registry.port, mode, USER, PASSWORD))
        urls = {name: "http://127.0.0.1:%d/%s" % (front.port, PATH)
                for name, front in fronts.items()}
        urls["basic"] = guarded.mirror(PATH)
        bed.guarded = {"basic": "127.0.0.1:%d" % guarded.port,
                       "bearer": "127.0.0.1:%d" % fronts["bearer"].port}
        bed.home = bed.folder + "/home"
        helpers = bed.home + "/bin"
        os.makedirs(helpers)
        helper = helpers + "/docker-credential-berth-test"
        with open(helper, "w", encoding="utf-8") as stream:
            stream.write("#!/bin/sh\ngrep -q '^127.0.0.1:' || exit 1\n"
                         "echo '{\"Username\": \"%s\", \"Secret\": \"%s\"}'\n" % (USER, PASSWORD))
        os.chmod(helper, 0o755)
        bed.wrapper = ["env", "HOME=" + bed.home, "PATH=%s:%s" % (helpers, os.environ["PATH"])]
        answer = {HOSTS[name].rstrip("/"): [url] for name, url in urls.items()}
        # The first mirror is away or gives no layers; the second has the image.
        good = bed.registry.mirror(PATH)
        answer["dead.berth.test"] = ["http://127.0.0.1:%d/%s" % (free_port(), PATH), good]
        answer["failing.berth.test"] = [urls["failing"], good]
        return answer

    with berth_testbed.TestBed(more_mirrors=mirrors) as bed:
        bed.fronts = fronts
        yield bed
    assert bed.leaks == []


def pull(bed, kind, auth=None, name="busybox:1"):
    more = {"auth": auth} if auth else {}
    return bed.pull(HOSTS[kind] + name, **more)


def forget(bed):
    for image in bed.cri.ListImages().images:
        if not any("engine-pause" in tag for tag in image.repo_tags):
            bed.cri.RemoveImage({"image": {"image": image.id}})


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials_are_used(bed_with_registries, kind):
    bed = bed_with_registries
    forget(bed)
    identity = pull(bed, kind, {"username": USER, "password": PASSWORD})
    assert identity == bed.registry.config_digest(BUSYBOX)


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_auth_field_is_used(bed_with_registries, kind):
    bed = bed_with_registries
    forget(bed)
    both = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
    assert pull(bed, kind, {"auth": both}) == bed.registry.config_digest(BUSYBOX)


@pytest.mark.parametrize("kind", ["basic", "bearer"])
def test_credentials_of_the_host_are_used(bed_with_registries, kind):
    """From the files and helpers of container tools in $HOME, which the engine inherits."""
    bed = bed_with_registries
    folder = os.path.join(bed.home, ".docker")
    os.makedirs(folder, exist_ok=True)
    front = bed.guarded[kind]
    both = base64.b64encode(("%s:%s" % (USER, PASSWORD)).encode()).decode()
    path = os.path.join(folder, "config.json")
    try:
        for entry in ({"auths": {front: {"auth": both}}},
                      {"auths": {front + "/" + PATH: {"auth": both}, front: {"auth": "d3Jvbmc6eA=="}}},
                      {"auths": {front: {}}, "credsStore": "berth-test"}):
            forget(bed)
            with open(path, "w", encoding="utf-8") as stream:
                json.dump(entry, stream)
            assert pull(bed, kind) == bed.registry.config_digest(BUSYBOX)
            # Tokens are kept as long as the engine lives.
            bed.stop_engine()
            bed.start_engine()
    finally:
        os.remove(path)


@pytest.mark.parametrize("kind", ["basic", "bearer"])
@pytest.mark.parametrize("auth", [None, {"username": USER, "password": "wrong-password"}])
def test_wrong_credentials_are_refused(bed_with_registries, kind, auth):
    bed = bed_with_registries
    forget(bed)
    with pytest.raises(grpc.RpcError) as caught:
        pull(bed, kind, auth)
    if bed.engine.name == "berth":
        assert caught.value.code() in (grpc.StatusCode.UNAUTHENTICATED,
                                       grpc.StatusCode.PERMISSION_DENIED), caught.value.details()
    assert "wrong-password" not in caught.value.details()
    assert not bed.cri.ImageStatus({"image": {"image": HOSTS[kind] + "busybox:1"}}).image.id


def test_passwords_are_not_logged(bed_with_registries):
    bed = bed_with_registries
    forget(bed)
    pull(bed, "basic", {"username": USER, "password": PASSWORD})
    with open(bed.log_path, encoding="utf-8", errors="replace") as log:
        assert PASSWORD not in log.read()


@pytest.mark.berth
def test_damaged_layers_are_refused(bed_with_registries):
    bed = bed_with_registries
    forget(bed)
    with pytest.raises(grpc.RpcError) as caught:
        pull(bed, "corrupt")
    assert not bed.cri.ImageStatus({"image": {"image": HOSTS["corrupt"] + "busybox:1"}}).image.id
    if bed.engine.name == "berth":
        assert caught.value.code() == grpc.StatusCode.DATA_LOSS, caught.value.details()
        # What was fetched wrongly is not kept: the right registry's image is whole.
        assert bed.pull(BUSYBOX) == bed.registry.config_digest(BUSYBOX)


def test_cut_downloads_are_resumed_or_refused(bed_with_registries):
    bed = bed_with_registries
    forget(bed)
    try:
        assert pull(bed, "short") == bed.registry.config_digest(BUSYBOX)
    except grpc.RpcError as error:
        if bed.engine.name == "berth":
            assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS)
    assert bed.pull(BUSYBOX) == bed.registry.config_digest(BUSYBOX)


@pytest.mark.parametrize("kind", ["dead", "failing"])
def test_the_next_mirror_is_asked(bed_with_registries, kind):
    bed = bed_with_registries
    forget(bed)
    assert pull(bed, kind) == bed.registry.config_digest(BUSYBOX)


def test_a_deadline_ends_a_stalled_pull(bed_with_registries):
    bed = bed_with_registries
    forget(bed)
    # Time enough to come to the layers, on this machine.
    soon = 2 + 10 * pace.took(lambda: bed.pull(BUSYBOX))
    front = bed.fronts["stall"]
    front.requests.clear()
    pull = {"image": {"image": HOSTS["stall"] + NGINX.partition("/")[2]}}
    is_berth = bed.engine.name == "berth"

    def runs_out(*stages):
        with pytest.raises(grpc.RpcError) as caught:
            bed.cri.PullImage(pull, timeout=soon)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
        for stage in stages if is_berth else ():
            assert stage in caught.value.details()

    fetches, origin = "fetch sha256:", "127.0.0.1:%d" % front.port
    runs_out(fetches, origin)
    # A call that has more patience is joined by one that has less; others pull and run meanwhile.
    patient = bed.cri.PullImage.future(pull, timeout=6 + 2 * soon)
    berth_testbed.wait_until(lambda: set(front.layer_requests().values()) == {2}, what="the pull")
    runs_out("wait for the same pull, which is to " + fetches, origin)
    bed.pull(TESTS + "layers:1")
    pod = bed.run_pod("beside")
    assert bed.exec(bed.run(pod, "c", command=["sleep", "1000"]), "true").exit_code == 0
    bed.remove_pod(pod)
    assert patient.exception().code() == grpc.StatusCode.DEADLINE_EXCEEDED
    if is_berth:
        assert set(front.layer_requests().values()) == {2}, "who joined fetches nothing"
    # The layer is not blocked for others by the download that stalled.
    assert bed.pull(NGINX) == bed.registry.config_digest(NGINX)


@pytest.mark.berth
def test_concurrent_pulls_fetch_each_layer_once(bed_with_registries):
    bed = bed_with_registries
    forget(bed)
    front = bed.fronts["count"]
    front.requests.clear()
    request = {"image": {"image": HOSTS["count"] + "many-layers:1"}}
    pulls = [bed.cri.PullImage.future(request, timeout=120) for _ in range(10)]
    answers = {pull.result().image_ref for pull in pulls}
    assert answers == {bed.registry.config_digest(TESTS + "many-layers:1")}
    assert set(front.layer_requests().values()) == {1}

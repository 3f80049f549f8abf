"""Images: every form a registry may hold them in, their lists and their removal."""

import os
import subprocess

import pytest

import grpc
from asking import out, verbose
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS

FORMS = ["busybox", "busybox-zstd", "busybox-plain", "busybox-schema2", "busybox-schema2-list",
         "busybox-index", "busybox-estargz", "busybox-zstd-chunked", "busybox-empty-layers"]


def image_status(bed, name):
    return bed.cri.ImageStatus({"image": {"image": name}}).image


def remove(bed, name):
    bed.cri.RemoveImage({"image": {"image": name}})


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_pulled_and_runs(bed, pod, name, form):
    image = TESTS + form + ":1"
    identity = bed.pull(image)
    assert identity == bed.registry.config_digest(image)
    status = image_status(bed, image)
    assert status.id == identity
    assert image in status.repo_tags
    assert TESTS + form + "@" + bed.registry.digest(image) in status.repo_digests
    assert status.size > 0
    container = bed.run(pod, "c", image=image, command=["sh", "-c", "echo runs; sleep 1000"])
    assert bed.exec(container, "cat", "/etc/passwd").stdout.startswith(b"root:")


def test_pull_by_digest_has_no_tag(bed):
    reference = TESTS + "busybox-zstd@" + bed.registry.digest(TESTS + "busybox-zstd:1")
    for known in (TESTS + "busybox-zstd:1", reference):
        remove(bed, known)
    identity = bed.pull(reference)
    status = image_status(bed, identity)
    assert list(status.repo_tags) == []
    assert list(status.repo_digests) == [reference]
    remove(bed, reference)
    assert not image_status(bed, reference).id


def test_no_tag_means_latest(bed):
    bed.pull(TESTS + "busybox")
    assert TESTS + "busybox:latest" in image_status(bed, TESTS + "busybox").repo_tags


def test_two_tags_are_one_image(bed):
    assert bed.pull(TESTS + "busybox:1") == bed.pull(TESTS + "busybox:latest")
    assert {TESTS + "busybox:1", TESTS + "busybox:latest"} <= set(
        image_status(bed, BUSYBOX).repo_tags)


def test_repeated_pull_gives_the_same_id(bed):
    assert bed.pull(BUSYBOX) == bed.pull(BUSYBOX)


@pytest.mark.berth
def test_list_filter(bed):
    bed.pull(BUSYBOX)
    bed.pull(TESTS + "user:1")
    found = bed.cri.ListImages({"filter": {"image": {"image": TESTS + "user:1"}}}).images
    assert [list(image.repo_tags) for image in found] == [[TESTS + "user:1"]]
    assert not bed.cri.ListImages({"filter": {"image": {"image": TESTS + "never:1"}}}).images


def test_list_has_each_image_once(bed):
    ids = {bed.pull(BUSYBOX), bed.pull(TESTS + "user:1")}
    listed = [image.id for image in bed.cri.ListImages().images]
    assert ids <= set(listed)
    assert len(set(listed)) == len(listed)


def test_status_names_the_user(bed):
    bed.pull(TESTS + "user:1")
    assert image_status(bed, TESTS + "user:1").username == "www-data"


def test_unknown_image_has_no_status(bed):
    answer = bed.cri.ImageStatus({"image": {"image": TESTS + "never-pulled:1"}})
    assert not answer.HasField("image")


@pytest.mark.berth
def test_one_of_its_names_removes_an_image(bed):
    names = [TESTS + "busybox:1", TESTS + "busybox:latest"]
    for chosen in names:
        identity = bed.pull(names[0])
        assert bed.pull(names[1]) == identity
        remove(bed, chosen)
        assert not any(image_status(bed, name).id for name in [*names, identity])
        assert identity not in [image.id for image in bed.cri.ListImages().images]


@pytest.mark.berth
def test_pinned_images_are_told(own_bed):
    bed = own_bed(settings='[images]\npinned = ["%sbusybox:*"]\n' % TESTS)
    bed.pull(BUSYBOX)
    bed.pull(TESTS + "user:1")
    assert image_status(bed, BUSYBOX).pinned
    assert not image_status(bed, TESTS + "user:1").pinned
    # CRI, Image.pinned: a recommendation, not a lock.
    remove(bed, BUSYBOX)
    assert not image_status(bed, BUSYBOX).id


def other_snapshotter(bed):
    """Settings of a second runtime, which has a snapshotter of its own."""
    return """
[snapshotters.other]
plugin = "snapshotter-overlay"
[runtimes.second]
plugin = "runtime-runc"
snapshotter = "other"
[runtimes.second.options]
path = "%s"
""" % bed.runtime


@pytest.mark.berth
def test_an_image_is_unpacked_for_the_runtime_that_is_to_run_it(own_bed, name):
    bed = own_bed(settings=other_snapshotter)
    pod = bed.pod_config(name)

    def used():
        return [system.used_bytes.value for system in bed.cri.ImageFsInfo().image_filesystems]

    empty = used()
    bed.run_pod_config(pod, handler="second")
    bed.pull(BUSYBOX, sandbox_config=pod)
    assert used()[0] == empty[0] and used()[1] > empty[1]
    bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
    wait_until(lambda: used() == empty, what="the layers' end")
    bed.cri.PullImage({"image": {"image": BUSYBOX, "runtime_handler": "second"}}, timeout=120)
    assert used()[0] == empty[0] and used()[1] > empty[1]
    bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
    wait_until(lambda: used() == empty, what="the layers' end")
    bed.pull(BUSYBOX, sandbox_config=bed.pod_config("nobody"))
    assert used()[0] > empty[0] and used()[1] == empty[1]


@pytest.mark.berth
@pytest.mark.parametrize("order", [("", "second", ""), ("second", "", "second")],
                         ids=["the default first", "the other first"])
def test_an_image_runs_under_one_snapshotter_after_the_other(own_bed, order):
    bed = own_bed(settings=other_snapshotter)
    bed.cri.PullImage({"image": {"image": BUSYBOX, "runtime_handler": order[0]}}, timeout=120)
    containers = {}
    for number, handler in enumerate(order):
        pod = bed.run_pod("pod-%d" % number, handler=handler)
        container = bed.run(pod, "c", command=["sleep", "1000"])
        info = verbose(bed.cri.ContainerStatus, {"container_id": container})
        assert info["snapshotter"] == ("other" if handler else "overlay")
        containers[container] = pod
    # What one no longer needs, the other still has.
    bed.kill_engine()
    bed.start_engine()
    ended, *others = containers
    bed.remove_pod(containers[ended])
    remove(bed, BUSYBOX)
    for container in others:
        assert out(bed, container, "cat", "/etc/passwd").startswith("root:")
    bed.pull()
    again = bed.run(bed.run_pod("again", handler=order[0]), "c", command=["sleep", "1000"])
    assert out(bed, again, "cat", "/etc/passwd").startswith("root:")


def test_remove_is_idempotent(bed):
    bed.pull(TESTS + "busybox-index:1")
    for _ in range(2):
        remove(bed, TESTS + "busybox-index:1")
        assert not image_status(bed, TESTS + "busybox-index:1").id


def test_removed_image_leaves_its_containers_running(bed, pod):
    image = TESTS + "busybox-plain:1"
    container = bed.run(pod, "c", image=image, command=["sleep", "1000"])
    remove(bed, image)
    assert bed.exec(container, "cat", "/plain").exit_code == 0
    assert bed.exec(container, "ls", "/bin/busybox").exit_code == 0


def test_file_system_usage_is_reported(bed):
    bed.pull(BUSYBOX)

    def used():
        systems = bed.cri.ImageFsInfo().image_filesystems
        return all(system.used_bytes.value > 0 and system.inodes_used.value > 0
                   for system in systems) and systems
    # Usage may be gathered in the background.
    systems = wait_until(used, what="usage of the image file system")
    for system in systems:
        assert os.path.isdir(system.fs_id.mountpoint)
        assert system.timestamp > 0


@pytest.mark.berth
def test_file_system_usage_is_what_du_counts(own_bed):
    bed = own_bed()
    for image in (TESTS + "layers:1", TESTS + "sparse-gnu:1", BUSYBOX):
        bed.pull(image)
    [system] = bed.cri.ImageFsInfo().image_filesystems
    layers = os.path.join(system.fs_id.mountpoint, "layers")

    def counted(*how):
        folders = [os.path.join(layers, name, "fs") for name in os.listdir(layers)]
        lines = subprocess.run(["du", "-s", *how, *folders], check=True, text=True,
                               capture_output=True).stdout.splitlines()
        assert len(lines) == len(folders) > 4
        return sum(int(line.split()[0]) for line in lines)

    assert system.used_bytes.value == counted("--block-size=1")
    assert system.inodes_used.value == counted("--inodes")
    for image in bed.cri.ListImages().images:
        bed.cri.RemoveImage({"image": {"image": image.id}})
    wait_until(lambda: bed.cri.ImageFsInfo().image_filesystems[0].used_bytes.value == 0,
               what="the end of all layers")


@pytest.mark.parametrize("reference", ["UPPER/case:1", "images.berth.test/", "a b", ":::", "",
                                       "images.berth.test/x@sha256:12"])
def test_malformed_reference_is_refused(bed, reference):
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(reference)
    if bed.engine.name == "berth":
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT, caught.value.details()


def test_missing_image_is_not_found(bed):
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(TESTS + "does-not-exist:1")
    if bed.engine.name == "berth":
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND, caught.value.details()
    assert "does-not-exist" in caught.value.details()


def test_image_of_another_platform_is_refused(bed):
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(TESTS + "bad-platform:1")
    if bed.engine.name == "berth":
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND
        assert "s390x" in caught.value.details()
    assert not image_status(bed, TESTS + "bad-platform:1").id


@pytest.mark.parametrize("fault", [
    "diff-id", "config", "tar-cut", "gzip-truncated", "gzip-garbage",
    # Questions on which engines differ.
    *(pytest.param(fault, marks=pytest.mark.berth) for fault in (
        "diff-id-count", "config-type", "hard-link-nowhere", "whiteout-dots", "node-type"))])
def test_damaged_image_is_refused_and_leaves_nothing(bed, fault):
    image = TESTS + "bad-%s:1" % fault
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(image)
    if bed.engine.name == "berth":
        assert caught.value.code() in (grpc.StatusCode.INVALID_ARGUMENT,
                                       grpc.StatusCode.DATA_LOSS,
                                       grpc.StatusCode.FAILED_PRECONDITION), caught.value
        assert "bad-" + fault in caught.value.details()
    assert not image_status(bed, image).id
    # The good layers below are still usable.
    assert bed.pull(BUSYBOX)


@pytest.mark.parametrize("way", ["parent", "link", "hard-link"])
def test_layers_cannot_write_outside_their_root(bed, way):

    try:
        bed.pull(TESTS + "bad-escape-%s:1" % way)
    except grpc.RpcError:
        pass  # refusing is as good as keeping it inside
    for folder in ("/", "/tmp", bed.folder, os.path.dirname(bed.folder)):
        for escaped in ("escaped-by-dots", "escaped-by-link"):
            assert not os.path.lexists(os.path.join(folder, escaped))
    assert os.stat("/etc/passwd").st_nlink == 1

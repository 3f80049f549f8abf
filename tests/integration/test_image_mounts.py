"""Images mounted into containers, whole and in part."""

import os

import pytest

import grpc
from asking import create_refused, out, shell
from berth_testbed import wait_until
from image_set import TESTS
from test_image_volumes import kept

SLEEP = ["sleep", "1000"]
DATA = TESTS + "data:1"

pytestmark = pytest.mark.berth  # containerd of Debian 12 does not know them


@pytest.fixture
def data(bed):
    """The image's reference as the kubelet gives it."""
    return bed.pull(DATA)


def image(reference, target="/mnt/i", **more):
    return {"container_path": target, "image": {"image": reference}, "readonly": True, **more}


def snapshots(bed):
    path = os.path.join(bed.engine.root, "snapshotters/overlay/snapshots")
    found = [folder for folder, _, _ in os.walk(bed.engine.root) if folder.endswith("/snapshots")]
    return os.listdir(found[0] if found else path)


def test_all_layers_are_there(bed, pod, data):
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data)])
    assert out(bed, container, "cat", "/mnt/i/folder/upper") == "upper"
    assert out(bed, container, "cat", "/mnt/i/folder/file") == "in the folder"
    assert bed.exec(container, "ls", "/mnt/i/hidden").exit_code != 0
    assert shell(bed, container, "stat -c '%a %u %g' /mnt/i/owned") == "640 1234 5678"


def test_an_artifact(bed, pod):
    reference = bed.pull(TESTS + "artifact:1")
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(reference)])
    assert out(bed, container, "cat", "/mnt/i/model/weights") == "numbers"


@pytest.mark.parametrize("more", [{}, {"readonly": False}])
def test_it_is_read_only(bed, pod, data, more):
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data, **more)])
    for command in ("touch /mnt/i/new", "echo x >> /mnt/i/top", "rm /mnt/i/top",
                    "chmod 777 /mnt/i/owned"):
        assert b"Read-only" in bed.exec(container, "sh", "-c", command).stderr, command


def test_by_every_name(bed, pod, data):
    names = {DATA, data, data.split(":")[-1][:12]}
    names |= set(bed.cri.ImageStatus({"image": {"image": data}}).image.repo_digests)
    for number, name in enumerate(sorted(names)):
        container = bed.run(pod, "c%d" % number, command=SLEEP, mounts=[image(name)])
        assert out(bed, container, "cat", "/mnt/i/top") == "top"
    assert len(names) == 4


@pytest.mark.parametrize("sub_path,seen", [
    ("folder", "deep file upper"), ("folder/deep", "er"), ("./folder//deep/", "er"),
    ("inner", "er"), ("absolute", "er")])
def test_a_sub_path(bed, pod, data, sub_path, seen):
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data, image_sub_path=sub_path)])
    assert out(bed, container, "ls", "/mnt/i").split() == seen.split()
    assert b"Read-only" in bed.exec(container, "touch", "/mnt/i/new").stderr


def test_a_file_as_sub_path(bed, pod, data):
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        image(data, "/mnt/one-file", image_sub_path="folder/file")])
    assert out(bed, container, "cat", "/mnt/one-file") == "in the folder"


@pytest.mark.parametrize("sub_path,code,words", [
    ("missing", grpc.StatusCode.NOT_FOUND, 'sub path "missing" does not exist'),
    ("folder/file/below", grpc.StatusCode.NOT_FOUND, "does not exist"),
    ("hidden", grpc.StatusCode.NOT_FOUND, "does not exist"),
    ("dangling", grpc.StatusCode.NOT_FOUND, "does not exist"),
    ("outer", grpc.StatusCode.NOT_FOUND, "does not exist"),
    ("to-the-host", grpc.StatusCode.NOT_FOUND, "does not exist"),
    ("/folder", grpc.StatusCode.INVALID_ARGUMENT, "must be relative"),
    ("folder/../../..", grpc.StatusCode.INVALID_ARGUMENT, "must not contain .."),
    ("pipe", grpc.StatusCode.FAILED_PRECONDITION, "neither a directory nor a file")])
def test_sub_paths_that_are_refused(bed, pod, data, sub_path, code, words):
    before = snapshots(bed)
    message = create_refused(bed, pod, "c", code, mounts=[image(data, image_sub_path=sub_path)])
    assert words in message and "ImageVolumeMountFailed" in message
    assert snapshots(bed) == before and not bed.cri.ListContainers().containers


def test_an_image_that_is_not_here(bed, pod):
    message = create_refused(bed, pod, "c", grpc.StatusCode.NOT_FOUND,
                             mounts=[image(TESTS + "never-pulled:1")])
    assert "ImageVolumeMountFailed" in message and "never-pulled" in message
    assert not bed.cri.ListContainers().containers


def test_contradictions_are_refused(bed, pod, data):
    both = {**image(data), "host_path": "/tmp"}
    assert "both" in create_refused(bed, pod, "c", grpc.StatusCode.INVALID_ARGUMENT, mounts=[both])
    alone = {"container_path": "/mnt/i", "host_path": "/tmp", "image_sub_path": "folder"}
    assert "no image" in create_refused(bed, pod, "c", grpc.StatusCode.INVALID_ARGUMENT,
                                        mounts=[alone])


def test_several_at_once_among_other_mounts(bed, pod, data, tmp_path):
    (tmp_path / "file").write_text("host")
    other = bed.pull(TESTS + "layers:1")
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        image(data, "/mnt/a"), {"host_path": str(tmp_path), "container_path": "/mnt/h"},
        image(other, "/mnt/b"), image(data, "/mnt/c", image_sub_path="folder")])
    read = [out(bed, container, "cat", path) for path in
            ("/mnt/a/top", "/mnt/h/file", "/mnt/b/hard/second", "/mnt/c/upper")]
    assert read == ["top", "host", "linked", "upper"]


def test_the_status_names_the_image(bed, pod, data):
    digest = bed.cri.ImageStatus({"image": {"image": data}}).image.repo_digests[0]
    container = bed.create(pod, "c", command=SLEEP, mounts=[
        image(data, image_sub_path="folder")])
    mount, = bed.status(container).mounts
    assert (mount.image.image, mount.image.image_ref, mount.host_path, mount.image_sub_path) == \
        (data, digest, "", "folder")


def test_options_of_the_mount_apply(bed, pod, data):
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data, mount_options=["noexec"])])
    line, = [line for line in out(bed, container, "cat", "/proc/self/mountinfo").splitlines()
             if line.split()[4] == "/mnt/i"]
    assert {"ro", "noexec"} <= set(line.split()[5].split(","))


def test_content_outlives_the_images_removal(bed, pod, data):
    """Removing an image takes its names; what a container uses of it stays as long as that."""
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data)])
    bed.cri.RemoveImage({"image": {"image": data}})
    assert out(bed, container, "cat", "/mnt/i/folder/upper") == "upper"
    assert "ImageVolumeMountFailed" in create_refused(
        bed, pod, "late", grpc.StatusCode.NOT_FOUND, mounts=[image(data)])
    again = bed.pull(DATA)
    later = bed.run(pod, "later", command=SLEEP, mounts=[image(again)])
    for one in (container, later):
        assert out(bed, one, "cat", "/mnt/i/folder/file") == "in the folder"


def test_everything_goes_with_the_container(bed, pod, data):
    before = snapshots(bed)
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data), image(data, "/mnt/j")])
    assert len(snapshots(bed)) == len(before) + 3
    bed.cri.RemoveContainer({"container_id": container})
    assert snapshots(bed) == before
    assert not [mount for mount in mounts() if container in mount]


def mounts():
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:
        return stream.read().splitlines()


def test_a_restart_in_between(own_bed):
    bed = own_bed()
    data = bed.pull(DATA)
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=SLEEP, mounts=[image(data)])
    bed.kill_engine()
    bed.start_engine()
    assert out(bed, container, "cat", "/mnt/i/top") == "top"
    bed.remove_pod(pod)
    assert snapshots(bed) == []


def test_killed_in_the_middle_of_creating(own_bed):
    bed = own_bed()
    data = bed.pull(DATA)
    bed.pull()
    pod = bed.run_pod("a")
    many = [image(data, "/mnt/%d" % number) for number in range(20)]
    for attempt in range(4):
        before = len(snapshots(bed))
        call = bed.cri.CreateContainer.future({
            "pod_sandbox_id": pod, "sandbox_config": bed.pod_config("a"),
            "config": bed.container_config("c%d" % attempt, command=SLEEP, mounts=many)})
        wait_until(lambda: len(snapshots(bed)) > before or call.done(), what="a snapshot")
        bed.kill_engine()
        call.cancel()
        bed.start_engine()
        # One that was finished by then stays.
        wait_until(lambda: len(snapshots(bed)) == kept(bed) * (1 + len(many)), what="the undoing")
    bed.run(pod, "last", command=SLEEP, mounts=many)

"""The volumes that an image declares."""

import os

import pytest

import grpc
from asking import out, shell
from berth_testbed import wait_until
from image_set import TESTS

SLEEP = ["sleep", "1000"]
IMAGE = TESTS + "volumes:1"
OWN = ["/data", "/fresh/folder", "/linked", "/pod/data"]


def mounted(bed, container):
    points = [line.split()[4] for line in
              out(bed, container, "cat", "/proc/self/mountinfo").splitlines()]
    return sorted(point for point in points if point in OWN or point == "/data/deep")


def volumes(bed):
    path = os.path.join(bed.engine.root, "volumes")
    return os.listdir(path) if os.path.isdir(path) else []


def test_they_hold_what_the_image_has(bed, pod):
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    assert out(bed, container, "cat", "/data/file") == "from the image"
    assert shell(bed, container, "stat -c '%a %u %g' /data /data/file").split() == \
        ["2750", "1000", "1001", "640", "1000", "1001"]
    assert shell(bed, container, "readlink /data/link; stat -c %h /data/second").split() == \
        ["file", "2"]
    assert out(bed, container, "cat", "/data/deep/er") == "deeper"
    shell(bed, container, "echo more >> /data/file && touch /data/new")


@pytest.mark.berth
def test_which_paths_are_mounts(bed, pod):
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    # /linked leads to /data/deep: what is mounted there stands there.
    assert mounted(bed, container) == ["/data", "/data/deep", "/fresh/folder", "/pod/data"]
    assert "from the image" in out(bed, container, "cat", "/data/file")
    assert out(bed, container, "cat", "/no-folder") == "a file"
    assert shell(bed, container, "stat -f -c %T /sys/fs/cgroup") in ("cgroup2fs", "tmpfs", "UNKNOWN")
    shell(bed, container, "test -e /sys/fs/cgroup/cgroup.procs || ls /sys/fs/cgroup/*/ >/dev/null")


@pytest.mark.berth
def test_what_the_image_does_not_have_is_the_containers_users(bed, pod):
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    assert shell(bed, container, "stat -c '%u %g %a' /fresh/folder") == "1000 1001 755"
    shell(bed, container, "touch /fresh/folder/file")


def test_they_can_be_written_below_a_read_only_root(bed, pod):
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP, linux={
        "security_context": {"readonly_rootfs": True}})
    shell(bed, container, "touch /data/new")
    assert b"Read-only" in bed.exec(container, "touch", "/tmp/new").stderr


@pytest.mark.berth
def test_mounts_of_the_pod_come_first(bed, pod, tmp_path):
    os.chmod(tmp_path, 0o777)
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP, mounts=[
        {"host_path": str(tmp_path), "container_path": "/pod"},
        {"host_path": str(tmp_path), "container_path": "/fresh/folder/"}])
    assert "/pod/data" not in mounted(bed, container)
    # What is written at /pod/data is the pod's, and not lost with the container.
    shell(bed, container, "mkdir /pod/data && echo kept > /pod/data/file")
    assert (tmp_path / "data/file").read_text() == "kept\n"


def test_each_container_has_its_own(bed, pod):
    first = bed.run(pod, "a", image=IMAGE, command=SLEEP)
    shell(bed, first, "echo changed > /data/file")
    second = bed.run(pod, "b", image=IMAGE, command=SLEEP)
    assert out(bed, second, "cat", "/data/file") == "from the image"


@pytest.mark.berth
def test_they_count_as_the_containers_and_go_with_it(bed, pod):
    before = volumes(bed)
    container = bed.create(pod, "c", image=IMAGE, command=SLEEP)
    assert len(volumes(bed)) == len(before) + 1
    bed.cri.StartContainer({"container_id": container})
    shell(bed, container, "dd if=/dev/zero of=/data/big bs=1M count=8")
    wait_until(lambda: bed.cri.ContainerStats({"container_id": container}).stats
               .writable_layer.used_bytes.value >= 8 << 20, 30, "the volume in the stats")
    bed.cri.RemoveContainer({"container_id": container})
    assert volumes(bed) == before


@pytest.mark.berth
def test_as_folders_of_the_root_filesystem(own_bed):
    bed = own_bed(settings='[containers]\nimage_volumes = "mkdir"\n')
    container = bed.run(bed.run_pod("a"), "c", image=IMAGE, command=SLEEP)
    assert mounted(bed, container) == [] and volumes(bed) == []
    assert shell(bed, container, "stat -c '%u %g' /fresh /fresh/folder /pod/data").split() == \
        ["1000", "1001"] * 3
    assert out(bed, container, "cat", "/data/file") == "from the image"


@pytest.mark.berth
def test_ignored(own_bed):
    bed = own_bed(settings='[containers]\nimage_volumes = "ignore"\n')
    container = bed.run(bed.run_pod("a"), "c", image=IMAGE, command=SLEEP)
    assert mounted(bed, container) == [] and volumes(bed) == []
    assert bed.exec(container, "ls", "/fresh").exit_code != 0


@pytest.mark.berth
def test_killed_in_the_middle_of_creating(own_bed):
    bed = own_bed()
    bed.pull(IMAGE)
    pod = bed.run_pod("a")
    for attempt in range(4):
        call = bed.cri.CreateContainer.future({
            "pod_sandbox_id": pod, "sandbox_config": bed.pod_config("a"),
            "config": bed.container_config("c%d" % attempt, image=IMAGE, command=SLEEP)})
        wait_until(lambda call=call: volumes(bed) or call.done(), what="a volume")
        bed.kill_engine()
        call.cancel()
        bed.start_engine()
        wait_until(lambda: kept(bed) == len(volumes(bed)), what="the undoing")
    bed.remove_pod(pod)
    assert volumes(bed) == []


def kept(bed):
    try:
        return len(bed.cri.ListContainers().containers)
    except grpc.RpcError:
        return -1


@pytest.mark.berth
def test_volumes_of_nobody_are_removed(own_bed):
    """The database was lost: what lies there from an earlier boot is no one's."""
    bed = own_bed()
    assert bed.stop_engine() == 0
    os.makedirs(os.path.join(bed.engine.root, "volumes", "f" * 64, "0"))
    bed.start_engine()
    wait_until(lambda: volumes(bed) == [], what="the removal")

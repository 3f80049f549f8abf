"""A disk that is full, and one without inodes: clear errors, no damage, and a way back."""

import contextlib
import os
import subprocess
import tempfile

import pytest

import grpc
import host
from berth_testbed import TestBed
from image_set import BUSYBOX

MEBIBYTE = 1 << 20
SIZE = 96 * MEBIBYTE
INODES = 4096


@pytest.fixture
def small_disk(monkeypatch):
    """An ext4 file system of its own, on which the test bed lives."""
    folder = tempfile.mkdtemp(prefix="berth-small-", dir="/tmp")
    image, mounted = folder + "/disk", folder + "/d"
    with open(image, "wb") as stream:
        stream.truncate(SIZE)
    # Nothing is held back for root, which is who the daemon is.
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", "-N", str(INODES), image], check=True)
    os.mkdir(mounted)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    monkeypatch.setenv("TMPDIR", mounted)
    monkeypatch.setattr(tempfile, "tempdir", mounted)
    yield mounted
    host.unmount_all(mounted)
    os.unlink(image)
    os.rmdir(mounted)
    os.rmdir(folder)


def fill_blocks(folder):
    with open(os.path.join(folder, "filler"), "ab", buffering=0) as stream:
        for size in (MEBIBYTE, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    stream.write(b"x" * size)
        os.fsync(stream.fileno())


def fill_inodes(folder):
    fillers = os.path.join(folder, "filler")
    os.makedirs(fillers, exist_ok=True)
    with contextlib.suppress(OSError):
        for number in range(len(os.listdir(fillers)), 2 * INODES):
            os.mknod(os.path.join(fillers, str(number)))
    assert len(os.listdir(fillers)) < 2 * INODES, "there are more inodes than expected"


def empty(folder):
    subprocess.run(["rm", "-rf", os.path.join(folder, "filler")], check=True)


@pytest.mark.parametrize("fill", [fill_blocks, fill_inodes])
def test_a_full_disk_has_a_way_back(small_disk, fill):
    bed = TestBed()
    # As /run is: not on the disk that fills.
    os.mkdir(bed.engine.state)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", bed.engine.state], check=True)
    with bed:
        pod = bed.run_pod("before")
        container = bed.run(pod, "app", command=["sleep", "1000"])
        # What needs room fails, and says so; the first may still find what was held in reserve.
        fill(small_disk)
        with contextlib.suppress(grpc.RpcError):
            bed.create(pod, "first", command=["true"])
        fill(small_disk)
        with pytest.raises(grpc.RpcError) as refused:
            bed.create(pod, "second", command=["true"])
        assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, refused.value.details()

        # The daemon starts, and knows everything.
        bed.kill_engine()
        bed.start_engine()
        assert bed.status(container).state == 1
        assert bed.stop_engine() == 0
        bed.start_engine()
        assert bed.status(container).state == 1

        # Room can be made: that is what a kubelet does now. Nothing is free for it.
        fill(small_disk)
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
        bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
        assert not bed.cri.ListImages().images
        assert not bed.cri.ListPodSandbox().items

        empty(small_disk)
        again = bed.run_pod("after")
        assert bed.wait_exit(bed.run(again, "app", command=["true"])).exit_code == 0
    assert [leak for leak in bed.leaks if leak != "mount " + bed.engine.state] == []

"""A disk that is full, and one without inodes: clear errors, no damage, and a way back."""

import contextlib
import errno
import json
import os
import select
import signal
import subprocess
import tempfile

import pytest

import grpc
import host
from berth_testbed import TestBed, wait_until
from image_set import BUSYBOX, NGINX

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
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0755", "tmpfs", bed.engine.state],
                   check=True)
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


@contextlib.contextmanager
def bed_with_state_elsewhere(options="mode=0711"):
    """As /run is: a file system of its own."""
    bed = TestBed()
    os.mkdir(bed.engine.state)
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", bed.engine.state], check=True)
    with bed:
        yield bed
    assert [leak for leak in bed.leaks if leak != "mount " + bed.engine.state] == []


def is_full(folder):
    path = os.path.join(folder, "one-more")
    try:
        with open(path, "wb", buffering=0) as stream:
            stream.write(b"x" * 4096)
            os.fsync(stream.fileno())
    except OSError as error:
        return error.errno == errno.ENOSPC
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
    return False


def end_by_signal(bed, container):
    """Gives what has its program end by itself, for which that needs no room."""
    info = bed.cri.ContainerStatus({"container_id": container, "verbose": True}).info["info"]
    process = os.pidfd_open(json.loads(info)["pid"])

    def end():
        signal.pidfd_send_signal(process, signal.SIGUSR1)
        assert select.select([process], [], [], 20)[0]
        os.close(process)
    return end


@pytest.mark.parametrize("place", [bed_with_state_elsewhere, TestBed])
@pytest.mark.parametrize("fill", [fill_blocks, fill_inodes])
def test_exits_while_the_disk_is_full(small_disk, fill, place):
    """Each is told, at once or by the next daemon, also when only its own record has it."""
    script = "trap 'exit %d' USR1; echo ready; while :; do sleep 0.02; done"
    with place() as bed:
        pod = bed.run_pod("a")
        ends, codes = [], {}
        for code in (5, 6, 7):
            name = "app-%d" % code
            container = bed.run(pod, name, command=["sh", "-c", script % code])
            wait_until(lambda each=name: bed.log_lines("a", each), what="that it waits")
            ends.append(end_by_signal(bed, container))
            codes[container] = code

        def restart():
            if bed.alive():
                bed.kill_engine()
            bed.start_engine()

        def told(count):
            for container, code in list(codes.items())[:count]:
                assert bed.wait_exit(container).exit_code == code

        # The second time what was held in reserve has gone as well.
        for number, end in enumerate(ends[:2], 1):
            fill(small_disk)
            assert is_full(small_disk)
            end()
            told(number)
        fill(small_disk)
        bed.kill_engine()
        ends[2]()
        fill(small_disk)
        restart()
        told(3)
        fill(small_disk)
        # Afterwards no monitor tells of them.
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
        fill(small_disk)
        restart()
        told(3)
        empty(small_disk)
        restart()
        told(3)
        bed.remove_pod(pod)
        again = bed.run(bed.run_pod("b"), "c", command=["sh", "-c", "exit 3"])
        assert bed.wait_exit(again).exit_code == 3
    assert [leak for leak in bed.leaks if leak != "mount " + bed.engine.state] == []


def in_folder(bed, name):
    return os.listdir(os.path.join(bed.engine.root, "plugins/snapshotter-overlay", name))


@pytest.mark.parametrize("fill", [fill_blocks, fill_inodes])
def test_a_pull_on_a_full_disk(small_disk, fill):
    with bed_with_state_elsewhere() as bed:
        container = bed.run(bed.run_pod("a"), "app", command=["sleep", "1000"])
        layers = in_folder(bed, "layers")
        fill(small_disk)
        # What is in reserve is for those who make room.
        for _ in range(2):
            with pytest.raises(grpc.RpcError) as refused:
                bed.pull(NGINX)
            assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, \
                refused.value.details()
            assert NGINX in refused.value.details()
        # Nothing of it is there, and all else is.
        assert not bed.cri.ImageStatus({"image": {"image": NGINX}}).image.id
        wait_until(lambda: in_folder(bed, "staging") == [], what="the end of what was unpacked")
        wait_until(lambda: in_folder(bed, "layers") == layers, what="the layers of before")
        assert bed.exec(container, "true").exit_code == 0
        check = [bed.engine.command()[0], "check", "--storage", "--config",
                 bed.engine.command()[-1]]
        checked = subprocess.run(check, capture_output=True, text=True, check=False, timeout=60)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        empty(small_disk)
        assert bed.pull(NGINX)
        assert bed.run(bed.run_pod("b"), "app", image=NGINX)


def test_commands_with_little_room_for_state():
    """Whoever runs out of it, the daemon, its monitor or the OCI runtime, says so."""
    with bed_with_state_elsewhere("mode=0711,size=16m") as bed:
        container = bed.run(bed.run_pod("a"), "c", command=["sleep", "1000"])
        outcomes = set()
        for pages in range(8):
            fill_blocks(bed.engine.state)
            os.truncate(bed.engine.state + "/filler",
                        os.path.getsize(bed.engine.state + "/filler") - pages * 4096)
            try:
                assert bed.exec(container, "echo", "here").stdout == b"here\n"
                outcomes.add("ok")
            except grpc.RpcError as error:
                told = error.details()
                assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, told
                assert "o space left on device" in told and bed.engine.state in told
                outcomes.add("refused")
            empty(bed.engine.state)
        assert outcomes == {"ok", "refused"}
        assert bed.exec(container, "true").exit_code == 0


def test_a_full_folder_for_state():
    """/run is full: what runs goes on, its exit is told, and what is new is refused."""
    with bed_with_state_elsewhere("mode=0711,size=16m,nr_inodes=2000") as bed:
        state, host_network = bed.engine.state, {"namespace_options": {"network": 2}}
        pod = bed.run_pod("a")
        script = "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 5"
        ending, later = (bed.run(pod, name, command=["sh", "-c", script])
                         for name in ("ending", "later"))
        other = bed.run(pod, "other", command=["sleep", "1000"])
        for fill in (fill_blocks, fill_inodes):
            fill(state)
            for call in (lambda: bed.run_pod("b"), lambda: bed.run(pod, "c", command=["true"]),
                         lambda: bed.run_pod("d", linux={"security_context": host_network}),
                         lambda: bed.exec(other, "true")):
                with pytest.raises(grpc.RpcError) as refused:
                    call()
                assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED, \
                    refused.value.details()
            assert bed.status(other).state == bed.cri.messages.CONTAINER_RUNNING
            assert [one.id for one in bed.cri.ListPodSandbox().items] == [pod]
            empty(state)
            assert bed.exec(other, "true").exit_code == 0
        fill_blocks(state)
        os.mkdir(state + "/more")
        fill_inodes(state + "/more")

        def end(container):
            with open(os.path.join(state, "containers", container, "rootfs/tmp/end"), "wb"):
                pass
        end(ending)
        assert bed.wait_exit(ending).exit_code == 5
        process = os.pidfd_open(json.loads(bed.cri.ContainerStatus(
            {"container_id": later, "verbose": True}).info["info"])["pid"])
        bed.kill_engine()
        # Nothing can be written down: its monitor keeps it in mind.
        end(later)
        assert select.select([process], [], [], 20)[0]
        os.close(process)
        bed.start_engine()
        assert bed.status(ending).exit_code == 5
        assert bed.wait_exit(later).exit_code == 5
        assert bed.status(other).state == bed.cri.messages.CONTAINER_RUNNING
        # Ending needs no room.
        bed.cri.StopContainer({"container_id": other, "timeout": 0})
        empty(state)
        empty(state + "/more")
        again = bed.run(bed.run_pod("b"), "c", command=["sh", "-c", "exit 3"])
        assert bed.wait_exit(again).exit_code == 3

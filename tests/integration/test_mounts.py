"""Mounts of host paths: access, propagation, order, sources of every kind."""

import ctypes
import os
import socket
import stat

import pytest

import grpc
import host
from asking import create_refused, out, refused, shell

SLEEP = ["sleep", "1000"]
MS_BIND, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 12, 1 << 18, 1 << 19, 1 << 20


def mount(source, target, kind=None, flags=0):
    encode = [None if text is None else text.encode() for text in (source, target, kind)]
    if host.libc.mount(*encode, ctypes.c_ulong(flags), None) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), target)


@pytest.fixture
def volume(tmp_path):
    """A host folder that is a mount of its own, and what a test may leave mounted below it."""
    path = str(tmp_path / "volume")
    os.mkdir(path)
    mount(path, path, flags=MS_BIND)
    mount(None, path, flags=MS_PRIVATE)
    yield path
    host.unmount_all(str(tmp_path))


def put(path, text="text"):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def bind(source, target="/mnt/v", **more):
    return {"host_path": source, "container_path": target, **more}


def options(bed, container, target):
    """The options of the topmost mount on a path in the container."""
    lines = [line.split() for line in out(bed, container, "cat", "/proc/self/mountinfo").splitlines()]
    return next(line for line in reversed(lines) if line[4] == target)[5].split(",")


def test_reads_and_writes_go_through(bed, pod, volume):
    put(volume + "/in", "from the host")
    container = bed.run(pod, "c", command=SLEEP, mounts=[bind(volume)])
    assert out(bed, container, "cat", "/mnt/v/in") == "from the host"
    shell(bed, container, "echo container > /mnt/v/out")
    assert host.read(volume + "/out") == "container\n"


def test_read_only_hides_nothing_and_takes_nothing(bed, pod, volume):
    put(volume + "/in")
    container = bed.run(pod, "c", command=SLEEP, mounts=[bind(volume, readonly=True)])
    assert out(bed, container, "cat", "/mnt/v/in") == "text"
    assert b"Read-only" in bed.exec(container, "touch", "/mnt/v/new").stderr


@pytest.mark.parametrize("recursive", [False, True])
def test_read_only_and_what_is_mounted_below(bed, pod, volume, recursive):
    os.mkdir(volume + "/below")
    mount("none", volume + "/below", "tmpfs")
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        bind(volume, readonly=True, recursive_read_only=recursive)])
    written = bed.exec(container, "touch", "/mnt/v/below/new")
    assert (written.exit_code != 0) == recursive
    assert b"Read-only" in bed.exec(container, "touch", "/mnt/v/new").stderr


def test_mount_options_apply(bed, pod, volume):
    put(volume + "/program", "#!/bin/sh\n")
    os.chmod(volume + "/program", 0o755)
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        bind(volume, mount_options=["noexec", "nosuid", "nodev"])])
    assert {"noexec", "nosuid", "nodev"} <= set(options(bed, container, "/mnt/v"))
    message = refused(bed.cri.ExecSync, {"container_id": container, "cmd": ["/mnt/v/program"]},
                      grpc.StatusCode.FAILED_PRECONDITION)
    assert "/mnt/v/program: permission denied" in message


def test_files_and_sockets_are_sources_too(bed, pod, volume):
    file = put(volume + "/file", "a file")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(volume + "/socket")
        container = bed.run(pod, "c", command=SLEEP, mounts=[
            bind(file, "/mnt/new/deep/file"), bind(volume + "/socket", "/run/a.sock")])
        assert out(bed, container, "cat", "/mnt/new/deep/file") == "a file"
        assert shell(bed, container, "stat -c %F /run/a.sock") == "socket"


def test_a_link_is_followed_on_the_host(bed, pod, volume):
    put(volume + "/real/file", "real")
    os.symlink("real", volume + "/link")
    container = bed.run(pod, "c", command=SLEEP, mounts=[bind(volume + "/link")])
    assert out(bed, container, "cat", "/mnt/v/file") == "real"


def test_a_missing_source_becomes_a_folder(bed, pod, volume):
    container = bed.run(pod, "c", command=SLEEP, mounts=[bind(volume + "/new/deep")])
    assert out(bed, container, "ls", "-A", "/mnt/v") == ""
    assert stat.S_IMODE(os.stat(volume + "/new/deep").st_mode) == 0o755


@pytest.mark.berth
def test_a_link_to_nowhere_is_refused(bed, pod, volume):
    os.symlink("nowhere", volume + "/link")
    message = create_refused(bed, pod, "c", grpc.StatusCode.INVALID_ARGUMENT,
                             mounts=[bind(volume + "/link")])
    assert "link to nowhere" in message and not os.path.exists(volume + "/nowhere")


def test_inner_mounts_are_made_after_outer_ones(bed, pod, volume):
    for name in ("a", "b", "c"):
        put(volume + "/%s/name" % name, name)
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        bind(volume + "/c", "/mnt/x/y/z"), bind(volume + "/b", "/mnt/x/y/"),
        bind(volume + "/a", "/mnt//x")])
    read = [out(bed, container, "cat", "/mnt/x%s/name" % inner) for inner in ("", "/y", "/y/z")]
    assert read == ["a", "b", "c"]


def test_of_two_mounts_on_one_path_the_later_is_on_top(bed, pod, volume):
    for name in ("a", "b"):
        put(volume + "/%s/name" % name, name)
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        bind(volume + "/a"), bind(volume + "/b", "/mnt/v/")])
    assert out(bed, container, "cat", "/mnt/v/name") == "b"


def test_mounts_in_a_read_only_root(bed, pod, volume):
    put(volume + "/in", "in")
    container = bed.run(pod, "c", command=SLEEP, linux={
        "security_context": {"readonly_rootfs": True}}, mounts=[
            bind(volume, "/not/in/the/image"), bind(volume, "/mnt/ro", readonly=True)])
    shell(bed, container, "echo written > /not/in/the/image/out && cat /mnt/ro/in")
    assert host.read(volume + "/out") == "written\n"
    for path in ("/new", "/mnt/ro/new", "/not/new", "/etc/hosts"):
        assert b"Read-only" in bed.exec(container, "touch", path).stderr, path
    shell(bed, container, "echo works > /dev/shm/file")


def test_what_the_request_mounts_replaces_what_every_container_has(bed, pod, volume):
    put(volume + "/hosts", "10.0.0.1 mine\n")
    os.mkdir(volume + "/shm")
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        bind(volume + "/hosts", "/etc/hosts"), bind(volume + "/shm", "/dev/shm")])
    assert out(bed, container, "cat", "/etc/hosts") == "10.0.0.1 mine\n"
    shell(bed, container, "touch /dev/shm/file")
    assert os.path.exists(volume + "/shm/file")


def test_the_hosts_devices_as_a_mount(bed, name):
    pod = bed.run_pod(name, linux={"security_context": {"privileged": True}})
    container = bed.run(pod, "c", command=SLEEP, mounts=[bind("/dev", "/dev")], linux={
        "security_context": {"privileged": True}})
    assert shell(bed, container, "stat -c %F /dev/null") == "character special file"
    shell(bed, container, "echo gone > /dev/null")


# Propagation.

def privileged(bed, name):
    return bed.run_pod(name, linux={"security_context": {"privileged": True}})


PRIVILEGED = {"linux": {"security_context": {"privileged": True}}}


@pytest.mark.parametrize("propagation,into,back", [
    ("PROPAGATION_PRIVATE", False, False), ("PROPAGATION_HOST_TO_CONTAINER", True, False),
    ("PROPAGATION_BIDIRECTIONAL", True, True)])
def test_propagation(bed, name, volume, propagation, into, back):
    mount(None, volume, flags=MS_SHARED)
    for folder in ("from-host", "from-container"):
        os.mkdir(os.path.join(volume, folder))
    container = bed.run(privileged(bed, name), "c", command=SLEEP, **PRIVILEGED,
                        mounts=[bind(volume, propagation=propagation)])
    mount("none", volume + "/from-host", "tmpfs")
    put(volume + "/from-host/file")
    assert ("file" in out(bed, container, "ls", "/mnt/v/from-host")) == into
    shell(bed, container, "mount -t tmpfs none /mnt/v/from-container && "
                          "touch /mnt/v/from-container/file")
    assert os.path.exists(volume + "/from-container/file") == back


@pytest.mark.parametrize("propagation,flags,words", [
    ("PROPAGATION_BIDIRECTIONAL", MS_PRIVATE, "not a shared mount"),
    ("PROPAGATION_HOST_TO_CONTAINER", MS_PRIVATE, "not a shared or slave mount")])
def test_propagation_needs_a_fitting_source(bed, pod, volume, propagation, flags, words):
    mount(None, volume, flags=flags)
    os.mkdir(volume + "/folder")
    message = create_refused(bed, pod, "c", grpc.StatusCode.FAILED_PRECONDITION,
                             mounts=[bind(volume + "/folder", propagation=propagation)])
    assert words in message and '"%s"' % volume in message


def test_a_slave_source_propagates_into_the_container(bed, name, volume, tmp_path):
    master = str(tmp_path / "master")
    os.mkdir(master)
    os.mkdir(volume + "/late")
    mount(None, volume, flags=MS_SHARED)
    mount(volume, master, flags=MS_BIND)
    mount(None, volume, flags=MS_SLAVE)
    container = bed.run(privileged(bed, name), "c", command=SLEEP, **PRIVILEGED, mounts=[
        bind(volume, propagation="PROPAGATION_HOST_TO_CONTAINER")])
    mount("none", master + "/late", "tmpfs")
    put(master + "/late/file")
    assert out(bed, container, "ls", "/mnt/v/late") == "file\n"


@pytest.mark.berth
def test_a_container_that_sees_the_engines_folder_does_not_pin_other_pods(own_bed):
    """Privately mounted it would keep the root filesystems of removed containers alive."""
    bed = own_bed()
    mount(bed.folder, bed.folder, flags=MS_BIND)
    mount(None, bed.folder, flags=MS_SHARED)
    watcher = bed.run(privileged(bed, "watcher"), "c", command=SLEEP, **PRIVILEGED,
                      mounts=[bind(bed.folder, readonly=True)])
    other_pod = bed.run_pod("other")
    other = bed.run(other_pod, "c", command=SLEEP)
    assert other in out(bed, watcher, "cat", "/proc/self/mountinfo")
    bed.remove_pod(other_pod)
    assert other not in out(bed, watcher, "cat", "/proc/self/mountinfo")
    bed.remove_all_pods()
    assert host.libc.umount2(bed.folder.encode(), host.MNT_DETACH) == 0

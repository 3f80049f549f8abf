"""Pods with user namespaces: who is who inside and outside, and whose the volumes are."""

import os

import pytest

import grpc
import host
from asking import CRUN, create_refused, out, refused, shell
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS
from plugin_projects import build_small

SLEEP = ["sleep", "1000"]
FIRST_USER, FIRST_GROUP, LENGTH = 200000, 300000, 65536
USERS = [{"host_id": FIRST_USER, "container_id": 0, "length": LENGTH}]
GROUPS = [{"host_id": FIRST_GROUP, "container_id": 0, "length": LENGTH}]
OPTIONS = {"mode": "POD", "uids": USERS, "gids": GROUPS}

pytestmark = pytest.mark.berth  # containerd of Debian 12 knows no user namespaces


def security(user=None, **options):
    return {"security_context": {"namespace_options": {"userns_options": user or OPTIONS, **options}}}


def volume(source, target="/mnt/v", **more):
    return {"host_path": str(source), "container_path": target, "uidMappings": USERS,
            "gidMappings": GROUPS, **more}


@pytest.fixture(params=["runc", CRUN], scope="module")
def mapped(request):
    """An engine, with either OCI runtime."""
    import berth_testbed
    with berth_testbed.TestBed(runtime=request.param) as bed:
        yield bed
    assert bed.leaks == []


@pytest.fixture
def bed(mapped):
    yield mapped
    mapped.remove_all_pods()


@pytest.fixture
def userns_pod(bed, name):
    return bed.run_pod(name, linux=security())


def run(bed, pod, name="c", **more):
    linux = {**security(), **more.pop("linux", {})}
    return bed.run(pod, name, command=more.pop("command", SLEEP), linux=linux, **more)


def owner(path):
    info = os.stat(path)
    return info.st_uid, info.st_gid


def mount_mappable(target, source):
    """Something mounted that all may read: a tmpfs, which kernels map from 6.3 on, or else the
    folder `source`."""
    from test_mounts import MS_BIND, mount
    os.chmod(source, 0o755)
    if tuple(int(part) for part in os.uname().release.split(".")[:2]) >= (6, 3):
        mount("none", str(target), "tmpfs")
    else:
        mount(str(source), str(target), flags=MS_BIND)


def main_process(bed, container):
    """The container's first process on the host."""
    inner = shell(bed, container, "readlink /proc/self/ns/pid")

    def found():
        return next((int(pid) for pid in os.listdir("/proc") if pid.isdigit()
                     and readlink("/proc/%s/ns/pid" % pid) == inner
                     and "sleep" in host.read("/proc/%s/cmdline" % pid)), None)
    return wait_until(found, what="the container's program")


def readlink(path):
    try:
        return os.readlink(path)
    except OSError:
        return None


def test_the_handler_says_so(bed):
    handlers = bed.cri.Status({}).runtime_handlers
    assert handlers and all(handler.features.user_namespaces for handler in handlers)


def test_ids_inside_and_outside(bed, userns_pod):
    container = run(bed, userns_pod)
    assert shell(bed, container, "id -u") == "0"
    assert out(bed, container, "cat", "/proc/self/uid_map").split() == ["0", "200000", "65536"]
    assert out(bed, container, "cat", "/proc/self/gid_map").split() == ["0", "300000", "65536"]
    assert owner("/proc/%d" % main_process(bed, container)) == (FIRST_USER, FIRST_GROUP)


def test_sysctls(bed, name):
    pod = bed.run_pod(name, linux={**security(), "sysctls": {
        "kernel.domainname": "a.domain", "kernel.msgmax": "4000", "net.ipv4.ip_forward": "1"}})
    container = run(bed, pod)
    for path, value in (("kernel/domainname", "a.domain"), ("kernel/msgmax", "4000"),
                        ("net/ipv4/ip_forward", "1"),
                        ("net/ipv4/ip_unprivileged_port_start", "0")):
        assert shell(bed, container, "cat /proc/sys/" + path).strip() == value


def test_containers_of_the_pod_share_the_namespace(bed, userns_pod):
    names = {shell(bed, run(bed, userns_pod, name), "readlink /proc/self/ns/user")
             for name in ("a", "b")}
    assert len(names) == 1 and names != {os.readlink("/proc/self/ns/user")}


def test_another_user(bed, userns_pod):
    container = run(bed, userns_pod, linux={"security_context": {
        **security()["security_context"], "run_as_user": {"value": 1000},
        "run_as_group": {"value": 2000}}})
    assert shell(bed, container, "id -u; id -g").split() == ["1000", "2000"]
    assert owner("/proc/%d" % main_process(bed, container)) == (201000, 302000)


def test_the_root_filesystem_is_the_containers(bed, userns_pod):
    container = run(bed, userns_pod, image=TESTS + "layers:1")
    assert shell(bed, container, "stat -c '%u %g' / /bin/busybox /modes/owned").split() == \
        ["0", "0", "0", "0", "1234", "5678"]
    shell(bed, container, "touch /new && chown 5:6 /new && echo more >> /modes/owned")
    root = "/proc/%d/root" % main_process(bed, container)
    assert owner(root + "/new") == (200005, 300006)


def test_only_the_pods_root_gets_to_its_files(bed, userns_pod):
    container = run(bed, userns_pod, image=TESTS + "volumes:1")
    for folder in (os.path.join(bed.engine.state, "pods", userns_pod),
                   os.path.join(bed.engine.state, "containers", container),
                   os.path.join(bed.engine.root, "volumes", container)):
        info = os.stat(folder)
        assert (info.st_mode & 0o777, info.st_uid, info.st_gid) == (0o710, 0, FIRST_GROUP), folder


def test_files_of_the_pod_can_be_read_and_written(bed, userns_pod):
    container = run(bed, userns_pod)
    for path in ("/etc/hosts", "/etc/hostname", "/etc/resolv.conf"):
        assert shell(bed, container, "stat -c '%u %g' " + path) == "0 0"
        shell(bed, container, "cat %s && echo '# more' >> %s" % (path, path))
    shell(bed, container, "echo shared > /dev/shm/file && test -d /dev/mqueue && ls /sys/class/net")
    assert shell(bed, container, "stat -c '%u %g %a' /dev/shm") == "0 0 1777"
    second = run(bed, userns_pod, "second")
    assert out(bed, second, "cat", "/dev/shm/file") == "shared\n"


def test_volumes_belong_to_the_same_ids_on_both_sides(bed, userns_pod, tmp_path):
    os.chmod(tmp_path, 0o755)
    (tmp_path / "theirs").write_text("in")
    os.chown(tmp_path / "theirs", 1000, 2000)
    container = run(bed, userns_pod, mounts=[volume(tmp_path)])
    assert shell(bed, container, "stat -c '%u %g' /mnt/v/theirs") == "1000 2000"
    shell(bed, container, "touch /mnt/v/mine && chown 7:8 /mnt/v/mine")
    assert owner(tmp_path / "mine") == (7, 8)


def test_files_read_only_volumes_and_what_is_mounted_below(bed, userns_pod, tmp_path,
                                                           tmp_path_factory):
    (tmp_path / "file").write_text("one file")
    (tmp_path / "folder").mkdir()
    mount_mappable(tmp_path / "folder", tmp_path_factory.mktemp("mounted"))
    try:
        (tmp_path / "folder" / "below").write_text("below")
        container = run(bed, userns_pod, mounts=[
            volume(tmp_path / "file", "/mnt/file"),
            volume(tmp_path, "/mnt/ro", readonly=True)])
        assert shell(bed, container, "cat /mnt/file && stat -c '%u' /mnt/file") == "one file0"
        assert out(bed, container, "cat", "/mnt/ro/folder/below") == "below"
        assert shell(bed, container, "stat -c '%u' /mnt/ro/folder/below") == "0"
        assert b"Read-only" in bed.exec(container, "touch", "/mnt/ro/new").stderr
    finally:
        host.unmount_all(str(tmp_path))


def test_what_cannot_be_mapped_below_a_volume_is_nobodys(bed, userns_pod, tmp_path):
    """Hidden it must not be, nor be what keeps the container from its volume."""
    from test_mounts import mount
    os.chmod(tmp_path, 0o755)
    (tmp_path / "folder").mkdir()
    mount("none", str(tmp_path / "folder"), "ramfs")
    try:
        (tmp_path / "folder" / "below").write_text("below")
        (tmp_path / "mapped").write_text("")
        container = run(bed, userns_pod, mounts=[volume(tmp_path)])
        assert shell(bed, container, "cd /mnt/v; stat -c %u mapped folder/below").split() == \
            ["0", "65534"]
        assert out(bed, container, "cat", "/mnt/v/folder/below") == "below"
    finally:
        host.unmount_all(str(tmp_path))


def test_volumes_without_mappings_are_nobodys(bed, userns_pod, tmp_path):
    (tmp_path / "file").write_text("readable")
    os.chmod(tmp_path, 0o755)
    container = run(bed, userns_pod, mounts=[
        {"host_path": str(tmp_path), "container_path": "/mnt/v"}])
    assert shell(bed, container, "cat /mnt/v/file && stat -c ' %u' /mnt/v/file") == "readable 65534"
    assert bed.exec(container, "touch", "/mnt/v/new").exit_code != 0


def test_a_volume_is_not_busy_once_its_container_has_ended(bed, userns_pod, tmp_path,
                                                           tmp_path_factory):
    """The kubelet unmounts volumes before it removes containers."""
    mount_mappable(tmp_path, tmp_path_factory.mktemp("mounted"))
    container = run(bed, userns_pod, mounts=[volume(tmp_path)])
    users = [line for line in host.read("/proc/self/mountinfo").splitlines()
             if container in line and "/mounts/" in line]
    assert users == []
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert host.libc.umount2(str(tmp_path).encode(), 0) == 0


def test_propagation_into_mapped_volumes_leaves_the_hosts_mounts_alone(bed, userns_pod, tmp_path,
                                                                       tmp_path_factory):
    from test_mounts import MS_BIND, MS_SHARED, mount
    path = str(tmp_path)
    mount(path, path, flags=MS_BIND)
    mount(None, path, flags=MS_SHARED)
    try:
        for name in ("early", "late"):
            (tmp_path / name).mkdir()
        mount_mappable(path + "/early", tmp_path_factory.mktemp("mounted"))
        (tmp_path / "early" / "file").write_text("")
        container = run(bed, userns_pod, mounts=[
            volume(tmp_path, propagation="PROPAGATION_HOST_TO_CONTAINER")])
        assert os.path.exists(path + "/early/file"), "the host has lost a mount"
        assert out(bed, container, "stat", "-c", "%u", "/mnt/v/early/file") == "0\n"
        mount_mappable(path + "/late", tmp_path_factory.mktemp("mounted"))
        (tmp_path / "late" / "file").write_text("")
        # A mount comes as it is on the host.
        assert out(bed, container, "stat", "-c", "%u", "/mnt/v/late/file") == "65534\n"
    finally:
        host.unmount_all(path)


def test_images_as_volumes(bed, userns_pod):
    reference = bed.pull(TESTS + "data:1")
    container = run(bed, userns_pod, mounts=[
        {"container_path": "/mnt/i", "image": {"image": reference}, "readonly": True,
         "uidMappings": USERS, "gidMappings": GROUPS}])
    assert shell(bed, container, "stat -c '%u %g' /mnt/i/owned /mnt/i/top").split() == \
        ["1234", "5678", "0", "0"]
    assert shell(bed, container, "touch /mnt/i/new; cat /mnt/i/folder/upper") == "upper"


def test_volumes_that_the_image_declares(bed, userns_pod):
    container = run(bed, userns_pod, image=TESTS + "volumes:1")
    assert shell(bed, container, "stat -c '%u %g' /data /data/file /fresh/folder").split() == \
        ["1000", "1001"] * 3
    shell(bed, container, "touch /data/new /fresh/folder/new")


def test_exec_stats_and_logs(bed, userns_pod, name):
    container = run(bed, userns_pod, command=["sh", "-c", "echo from inside; exec sleep 1000"])
    assert bed.exec(container, "sh", "-c", "echo error >&2; exit 5").exit_code == 5
    wait_until(lambda: "from inside" in str(bed.log_lines(name, "c")), what="the log line")
    stats = bed.cri.ContainerStats({"container_id": container}).stats
    assert stats.memory.usage_bytes.value > 0
    assert bed.cri.PodSandboxStats({"pod_sandbox_id": userns_pod}).stats.linux


def test_capabilities_mean_nothing_outside(bed, userns_pod):
    container = run(bed, userns_pod)
    assert bed.exec(container, "sh", "-c", "echo 1 > /proc/sys/kernel/panic").exit_code != 0
    assert bed.exec(container, "mknod", "/tmp/disk", "b", "8", "0").exit_code != 0


def test_a_shared_pid_namespace(bed, name):
    pod = bed.run_pod(name, linux=security(pid="POD"))
    container = bed.run(pod, "c", command=SLEEP, linux=security(pid="POD"))
    assert out(bed, container, "cat", "/proc/self/uid_map").split() == ["0", "200000", "65536"]
    assert shell(bed, container, "id -u") == "0"


def test_on_the_hosts_network(bed, name):
    assert bed.cri.Status({}).features.user_namespaces_host_network
    mounted = host.mounts("/sys")
    pod = bed.run_pod(name, linux=security(network="NODE"))
    container = bed.run(pod, "c", command=SLEEP, linux=security(network="NODE"))
    assert shell(bed, container, "readlink /proc/self/ns/net") == os.readlink("/proc/self/ns/net")
    assert out(bed, container, "cat", "/proc/self/uid_map").split() == ["0", "200000", "65536"]
    assert "lo" in shell(bed, container, "ls /sys/class/net")
    assert host.mounts("/sys") == mounted, "the container's mounts are the host's too"


def test_sysctls_of_the_pod(bed, name):
    pod = bed.run_pod(name, linux={**security(), "sysctls": {"net.ipv4.ip_forward": "1",
                                                             "kernel.shm_rmid_forced": "1"}})
    container = run(bed, pod)
    assert out(bed, container, "cat", "/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert out(bed, container, "cat", "/proc/sys/kernel/shm_rmid_forced") == "1\n"


def test_a_privileged_pod(bed, name):
    linux = security()
    linux["security_context"]["privileged"] = True
    pod = bed.run_pod(name, linux=linux)
    container = bed.run(pod, "c", command=SLEEP, linux=linux)
    shell(bed, container, "mkdir /tmp/m && mount -t tmpfs none /tmp/m")
    assert bed.exec(container, "sh", "-c", "echo 1 > /proc/sys/kernel/panic").exit_code != 0


def test_mode_node_is_the_hosts(bed, name):
    pod = bed.run_pod(name, linux=security({"mode": "NODE"}))
    container = bed.run(pod, "c", command=SLEEP, linux=security({"mode": "NODE"}))
    assert shell(bed, container, "readlink /proc/self/ns/user") == \
        os.readlink("/proc/self/ns/user")


WIDE = [{"host_id": 1000, "container_id": 0, "length": 1000}]


@pytest.mark.parametrize("options,words", [
    ({"mode": "POD"}, "exactly one mapping"),
    ({"mode": "POD", "uids": WIDE}, "exactly one mapping"),
    ({"mode": "POD", "uids": WIDE * 2, "gids": WIDE}, "exactly one mapping is supported, not 2"),
    ({"mode": "POD", "uids": [{"host_id": 1, "container_id": 1, "length": 9}], "gids": WIDE},
     "must begin at container ID 0"),
    ({"mode": "POD", "uids": WIDE, "gids": [{"host_id": 1, "length": 0}]}, "not a range"),
    ({"mode": "POD", "uids": [{"host_id": 4294967290, "length": 10}], "gids": WIDE},
     "not a range"),
    ({"mode": "NODE", "uids": WIDE, "gids": WIDE}, "mode NODE takes no mappings"),
    ({"mode": "CONTAINER"}, "unsupported mode CONTAINER"),
    ({"mode": "TARGET"}, "unsupported mode TARGET")])
def test_contradictions_are_refused(bed, name, options, words):
    message = refused(bed.cri.RunPodSandbox, {"config": bed.pod_config(name, linux=security(options))},
                      grpc.StatusCode.INVALID_ARGUMENT)
    assert words in message
    assert not bed.cri.ListPodSandbox().items


@pytest.mark.parametrize("namespace", ["pid", "ipc"])
def test_the_hosts_other_namespaces_are_refused(bed, name, namespace):
    config = bed.pod_config(name, linux=security(**{namespace: "NODE"}))
    refused(bed.cri.RunPodSandbox, {"config": config}, grpc.StatusCode.INVALID_ARGUMENT)


def test_a_container_must_want_what_its_pod_has(bed, userns_pod):
    other = {"mode": "POD", "uids": WIDE, "gids": WIDE}
    for options in (other, {"mode": "NODE"}):
        message = create_refused(bed, userns_pod, "c", grpc.StatusCode.INVALID_ARGUMENT,
                                 linux=security(options))
        assert "differ from its pod's" in message


def test_half_a_mapping_of_a_mount_is_refused(bed, userns_pod, tmp_path):
    mount = volume(tmp_path)
    del mount["gidMappings"]
    message = create_refused(bed, userns_pod, "c", grpc.StatusCode.INVALID_ARGUMENT,
                             mounts=[mount], linux=security())
    assert "must be given together" in message


def test_a_source_that_cannot_be_mapped_is_refused_at_once(bed, userns_pod):
    """procfs has no mounts with mapped ids."""
    message = create_refused(bed, userns_pod, "c", grpc.StatusCode.FAILED_PRECONDITION,
                             mounts=[volume("/proc/sys", "/mnt/p")], linux=security())
    assert "map the ids of /proc/sys" in message
    assert not bed.cri.ListContainers().containers


def test_a_snapshotter_that_maps_no_ids_is_told_of_and_nothing_is_made(own_bed, name):
    """Of two handlers with the same runtime, the one with such a snapshotter has none."""
    bed = own_bed(plugin_dirs=[build_small()], settings=lambda bed: """
[snapshotters.small]
plugin = "small-snapshotter"
[runtimes.unmapped]
plugin = "runtime-runc"
snapshotter = "small"
[runtimes.unmapped.options]
path = "%s"
""" % bed.runtime)
    offered = {handler.name: handler.features.user_namespaces
               for handler in bed.cri.Status({}).runtime_handlers}
    assert (offered["runc"], offered["unmapped"]) == (True, False)
    config = bed.pod_config(name, linux=security())
    message = refused(bed.cri.RunPodSandbox, {"config": config, "runtime_handler": "unmapped"},
                      grpc.StatusCode.FAILED_PRECONDITION)
    assert '"unmapped"' in message and "snapshotter" in message
    assert not bed.cri.ListPodSandbox().items
    assert bed.find_leaks() == []
    # The name is free, and the handler good for pods without.
    bed.cri.PullImage({"image": {"image": BUSYBOX, "runtime_handler": "unmapped"}}, timeout=120)
    pod = bed.run_pod(name, handler="unmapped")
    assert out(bed, bed.run(pod, "c", command=SLEEP), "id", "-u") == "0\n"

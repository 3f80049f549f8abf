"""SELinux labels of containers, of their files and of their volumes, as the kernel has them.

The policy may be permissive: then this shows what everything is labelled, not what is refused.
"""

import glob
import os
import re
import subprocess

import pytest

import grpc
from asking import create_refused, refused, shell
from test_containers import SLEEP

BAD = grpc.StatusCode.INVALID_ARGUMENT
# Where tests/vm/image keeps it.
AS_SHIPPED = "/etc/selinux/policy-as-shipped"
PRIVILEGED = {"security_context": {"privileged": True}}

pytestmark = [
    pytest.mark.berth, pytest.mark.host,
    pytest.mark.skipif(not os.path.exists("/sys/fs/selinux/enforce"),
                       reason="SELinux is not this machine's security module")]


def context(user="system_u", role="system_r", kind="container_t", level="s0"):
    return "%s:%s:%s:%s" % (user, role, kind, level)


def file_context(level):
    return context(role="object_r", kind="container_file_t", level=level)


def process_label(bed, container):
    return shell(bed, container, "cat /proc/self/attr/current").strip("\0")


def level_of(label):
    return label.split(":", 3)[3]


def label_of(path):
    return os.getxattr(path, "security.selinux", follow_symlinks=False).decode().strip("\0")


def options(**given):
    return {"security_context": {"selinux_options": given}}


def files_below(folder):
    return [os.path.join(where, name)
            for where, folders, files in os.walk(folder) for name in [".", *folders, *files]]


@pytest.fixture
def volume(tmp_path):
    os.makedirs(tmp_path / "volume/deep/deeper")
    for name in ("a", "deep/b", "deep/deeper/c"):
        (tmp_path / "volume" / name).write_text(name)
    os.symlink("/etc/passwd", tmp_path / "volume/deep/link")
    return str(tmp_path / "volume")


def relabelled(path, **more):
    return {"host_path": path, "container_path": "/volume", "selinux_relabel": True, **more}


def test_a_pod_has_categories_of_its_own_which_its_containers_share(bed, name):
    levels = []
    for number in range(2):
        pod = bed.run_pod(name + str(number))
        labels = {process_label(bed, bed.run(pod, c, command=SLEEP)) for c in ("a", "b")}
        assert len(labels) == 1
        label = labels.pop()
        assert re.fullmatch(re.escape(context(level="s0:")) + r"c\d+,c\d+", label), label
        levels.append(level_of(label))
    assert levels[0] != levels[1]


def test_files_of_a_container_have_its_categories(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    level = level_of(process_label(bed, container))
    rootfs = os.path.join(bed.folder, "state/containers", container, "rootfs")
    shell(bed, container, "echo > /new; echo > /dev/shm/new")
    for path in (rootfs, rootfs + "/bin/busybox", rootfs + "/new"):
        assert label_of(path) == file_context(level), path
    # What the runtime mounts has it too: "%C" of stat is what the kernel tells inside.
    mounts = shell(bed, container, "grep -E ' /(dev|dev/shm) ' /proc/self/mounts").splitlines()
    assert len(mounts) == 2
    assert all('context="%s"' % file_context(level) in line for line in mounts), mounts


def test_a_volume_is_labelled_once(bed, pod, volume):
    outside = label_of("/etc/passwd") if has_label("/etc/passwd") else None
    first = bed.run(pod, "a", command=SLEEP, mounts=[relabelled(volume)])
    expected = file_context(level_of(process_label(bed, first)))
    assert {label_of(path) for path in files_below(volume)} == {expected}
    assert (label_of("/etc/passwd") if has_label("/etc/passwd") else None) == outside

    # Already right: nothing is touched, not even looked at file by file.
    os.setxattr(volume + "/a", "security.selinux", context(kind="spc_t").encode() + b"\0")
    before = {path: os.lstat(path).st_ctime_ns for path in files_below(volume)}
    bed.run(pod, "b", command=SLEEP, mounts=[relabelled(volume)])
    assert {path: os.lstat(path).st_ctime_ns for path in files_below(volume)} == before


def has_label(path):
    try:
        return bool(label_of(path))
    except OSError:
        return False


def test_volumes_that_were_not_asked_for_keep_their_labels(bed, pod, volume):
    before = {path: os.lstat(path).st_ctime_ns for path in files_below(volume)}
    bed.run(pod, "c", command=SLEEP, mounts=[relabelled(volume, selinux_relabel=False)])
    assert {path: os.lstat(path).st_ctime_ns for path in files_below(volume)} == before


def test_labels_that_are_asked_for(bed, name):
    pod = bed.run_pod(name, linux=options(level="s0:c7,c9"))
    assert process_label(bed, bed.run(pod, "c", command=SLEEP)) == context(level="s0:c7,c9")
    other = bed.run(pod, "o", command=SLEEP, linux=options(level="s0:c1,c2", type="spc_t"))
    assert process_label(bed, other) == context(kind="spc_t", level="s0:c1,c2")


def test_the_privileged_and_those_with_the_hosts_processes_are_not_confined(bed, name):
    pod = bed.run_pod(name + "p", linux=PRIVILEGED)
    label = process_label(bed, bed.run(pod, "c", command=SLEEP, linux=PRIVILEGED))
    assert label == context(kind="spc_t")
    shared = {"security_context": {"namespace_options": {"pid": "NODE"}}}
    pod = bed.run_pod(name + "h", linux=shared)
    assert process_label(bed, bed.run(pod, "c", command=SLEEP, linux=shared)) == context(
        kind="spc_t")


def test_what_the_policy_does_not_have_is_refused(bed, pod, name):
    unknown = options(type="no_such_type_t")
    message = create_refused(bed, pod, "c", BAD, command=SLEEP, linux=unknown)
    assert "no_such_type_t" in message and "policy" in message
    message = refused(lambda linux: bed.run_pod(name + "2", linux=linux), unknown, BAD)
    assert "no_such_type_t" in message


def test_folders_that_the_host_needs_are_not_labelled(bed, pod):
    message = create_refused(bed, pod, "c", BAD, command=SLEEP, mounts=[relabelled("/usr")])
    assert "selinux_relabel of /usr" in message


def load_policy(path):
    with open(path, "rb") as policy, open("/sys/fs/selinux/load", "wb", buffering=0) as kernel:
        kernel.write(policy.read())


@pytest.fixture
def policy_without_containers():
    """The machine's policy as Debian ships it: its contexts name types that it does not have."""
    if not os.path.exists(AS_SHIPPED):
        pytest.skip("changes the policy, which only the tests' own machine may lose")
    load_policy(AS_SHIPPED)
    yield
    load_policy(*glob.glob("/etc/selinux/default/policy/policy.*"))


def test_a_policy_that_knows_no_containers_gives_none_a_label(policy_without_containers, own_bed):
    bed = own_bed()
    container = bed.run(bed.run_pod("a"), "c", command=SLEEP)
    assert "container_t" not in process_label(bed, container)
    check = subprocess.run([os.path.join(bed.build, "bin/berth"), "check"], capture_output=True,
                           text=True, check=False).stdout
    row = next(line for line in check.splitlines() if "SELinux" in line)
    assert "knows no containers" in row

"""What unpacked layers look like from inside a container."""

import os

import pytest

from image_set import TESTS


@pytest.fixture
def container(bed, pod):
    return bed.run(pod, "c", image=TESTS + "layers:1", command=["sleep", "1000"])


def shell(bed, container, script):
    answer = bed.exec(container, "sh", "-c", script)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode().strip()


def test_whiteouts_and_opaque_folders_hide(bed, container):
    assert shell(bed, container, "ls -A /lower") == "again\nkept-file"
    assert shell(bed, container, "ls -A /opaque") == "new"
    assert shell(bed, container, "cat /replaced/was-folder") == "now a file"
    assert shell(bed, container, "find / -xdev -name '.wh.*'") == ""


def test_links(bed, container):
    assert shell(bed, container, "stat -c '%h %i' /hard/original") == \
        shell(bed, container, "stat -c '%h %i' /hard/second")
    assert shell(bed, container, "stat -c %h /hard/fresh-link") == "2"
    assert shell(bed, container, "cat /symbolic/absolute") == "kept"
    assert shell(bed, container, "readlink /symbolic/dangling") == "/nowhere"


def test_owners_and_modes(bed, container):
    assert shell(bed, container, "stat -c '%a' /modes/setuid") == "4755"
    assert shell(bed, container, "stat -c '%a %u %g' /modes/owned") == "640 1234 5678"
    assert shell(bed, container, "stat -c '%a' /modes/sticky") == "1777"
    assert shell(bed, container, "stat -c '%Y' /modes/owned") == "0"


def test_device_nodes(bed, container):
    assert shell(bed, container, "stat -c '%F %t %T' /nodes/null") == "character special file 1 3"
    assert shell(bed, container, "stat -c '%F %t %T' /nodes/loop") == "block special file 7 0"
    assert shell(bed, container, "stat -c '%F' /nodes/pipe") == "fifo"


def test_names(bed, container):
    assert shell(bed, container, "cat /names/" + "long-name-" * 20) == "long"
    assert shell(bed, container, "cat '/names/sp ace-ümlaut'") == "odd"


def test_extended_attributes(bed, container):
    pid = process_of(bed, container)
    root = "/proc/%d/root" % pid
    assert os.getxattr(root + "/attributes/user", "user.berth") == b"value"
    assert len(os.getxattr(root + "/attributes/capability", "security.capability")) >= 20


def process_of(bed, container):
    """The container's first process, seen from the host."""
    wanted = shell(bed, container, "readlink /proc/self/ns/mnt")
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                if os.readlink("/proc/%s/ns/mnt" % name) == wanted:
                    return int(name)
            except OSError:
                continue
    raise AssertionError("no process of the container is there")


@pytest.mark.berth
@pytest.mark.parametrize("tar_format", ["gnu", "posix"])
def test_sparse_files_stay_sparse(bed, pod, tar_format):
    container = bed.run(pod, "c", image=TESTS + "sparse-%s:1" % tar_format,
                        command=["sleep", "1000"])
    assert shell(bed, container, "stat -c %s /sparse") == str(64 << 20)
    assert shell(bed, container, "dd if=/sparse bs=4096 skip=8192 count=1 | head -c 6") == "middle"
    assert shell(bed, container, "head -c 4 /sparse") == "head"
    assert int(shell(bed, container, "stat -c %b /sparse")) * 512 < 1 << 20


def test_more_layers_than_a_page_of_mount_options_holds(bed, pod):
    container = bed.run(pod, "c", image=TESTS + "many-layers:1", command=["sleep", "1000"])
    assert shell(bed, container, "cat /top") == "139"
    assert shell(bed, container, "ls /many | wc -l") == "140"

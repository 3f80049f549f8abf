"""The limit of open files: the daemon's own is raised, and what it starts does not notice."""

import json

import pytest

import host

SLEEP = ["sleep", "1000"]


def open_files(pid):
    """Soft and hard limit of a process."""
    for line in host.read("/proc/%d/limits" % pid).splitlines():
        if line.startswith("Max open files"):
            return line.split()[3:5]
    raise AssertionError("no limit of open files")


def parent(pid):
    """The monitor, of a container's first process."""
    return int(host.read("/proc/%d/stat" % pid).rpartition(")")[2].split()[1])


@pytest.mark.berth
def test_only_the_daemons_own_limit_is_raised(own_bed):
    bed = own_bed(wrapper=["prlimit", "--nofile=300:4096", "--"])
    container = bed.run(bed.run_pod("pod"), "c", command=SLEEP)
    answer = bed.cri.ContainerStatus({"container_id": container, "verbose": True})
    first = json.loads(answer.info["info"])["pid"]
    assert open_files(bed.pid) == ["4096", "4096"]
    assert open_files(parent(first)) == ["300", "4096"]
    # A runtime written in Go may raise it once more, for itself.
    assert open_files(first)[1] == "4096"

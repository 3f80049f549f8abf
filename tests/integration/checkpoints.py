"""What the tests of checkpoints share."""

import functools
import os
import shutil
import subprocess
import tarfile

import pytest

import host
from asking import shell
from berth_testbed import SOURCE, wait_until

STAND_IN = os.path.join(SOURCE, "tests/testbed/oci-runtime-with-checkpoints")

# Counts in its memory alone; what it prints is what it has counted.
COUNTER = "i=0; while :; do i=$((i+1)); echo $i; sleep 0.1; done"


@functools.lru_cache(maxsize=None)
def criu_reason():
    """Why CRIU cannot work on this host, in its own words; empty when it can."""
    if not shutil.which("criu"):
        return "criu is not installed"
    made = subprocess.run(["criu", "check"], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    if made.returncode == 0:
        return ""
    errors = [line for line in made.stderr.splitlines() if "Error (" in line]
    return errors[0].rpartition("): ")[2] if errors else "criu check failed"


def needs_criu():
    if criu_reason():
        pytest.skip("SKIPPED, CRIU was NOT tested: " + criu_reason())


class StandIn:
    """A folder with the runtime that tests without CRIU take, and its switches."""

    def __init__(self, folder, monkeypatch):
        self.folder = str(folder)
        self.runtime = os.path.join(self.folder, "runc-with-checkpoints")
        for name in (self.runtime, os.path.join(self.folder, "criu")):
            shutil.copy(STAND_IN, name)
        monkeypatch.setenv("PATH", self.folder + os.pathsep + os.environ["PATH"])

    def _path(self, name):
        return os.path.join(self.folder, name)

    def set(self, name):
        open(self._path(name), "w", encoding="utf-8").close()

    def clear(self, name):
        os.unlink(self._path(name))

    def is_set(self, name):
        return os.path.exists(self._path(name))


def count(bed, pod_name, container_name="c"):
    """The last number that a COUNTER has printed."""
    lines = [line for line in bed.log_lines(pod_name, container_name) if len(line) == 4]
    return int(lines[-1][3]) if lines else 0


def wait_count(bed, pod_name, more_than, container_name="c"):
    wait_until(lambda: count(bed, pod_name, container_name) > more_than, what="a count")


def checkpoint(bed, container, location, timeout=0, deadline=120):
    bed.cri.CheckpointContainer({"container_id": container, "location": location,
                                 "timeout": timeout}, timeout=deadline)


def members(location):
    with tarfile.open(location) as archive:
        return archive.getnames()


def text_of(location, name):
    with tarfile.open(location) as archive:
        return archive.extractfile(name).read().decode()


def create_from(bed, pod, name, location, **more):
    """A container from an archive, as a kubelet makes it: the archive is its image."""
    return bed.cri.CreateContainer({
        "pod_sandbox_id": pod, "sandbox_config": bed._pod_configs[pod],
        "config": bed.container_config(name, image=location, **more)}, timeout=120).container_id


def left_of_checkpoints(bed):
    """Files that a checkpoint needs while it is being made or until it is restored."""
    folder = os.path.join(bed.engine.root, "checkpoints")
    return os.listdir(folder) if os.path.isdir(folder) else []


def freezer_states(bed, container):
    """What the container's cgroups say: THAWED or FROZEN, 0 or 1."""
    found = [os.path.join(path, name) for path in host.cgroups() if container in path
             for name in ("freezer.state", "cgroup.freeze")]
    return {host.read(path).strip() for path in found if os.path.exists(path)}


def must_run(bed, container):
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING
    assert freezer_states(bed, container) <= {"THAWED", "0"}
    assert shell(bed, container, "echo it answers") == "it answers"

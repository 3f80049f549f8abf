"""RuntimeReady, by which the kubelet leaves a node's pods alone: no sooner than what each new pod
needs has been out for half a minute, and no longer than it is."""

import os
import signal
import subprocess
import threading
import time

import grpc
import pytest

import host
import pace
from berth_testbed import wait_until
from test_isolation import processes

pytestmark = [pytest.mark.berth, pytest.mark.alone]
BUILD = os.path.abspath(os.environ.get(
    "BERTH_BUILD", os.path.join(os.path.dirname(__file__), "../../build/release")))
LONG = 30
SOON = 12  # seconds, for an outage's end to be noticed on a machine that is busy


def condition(bed):
    """RuntimeReady, as Status has it."""
    begun = time.monotonic()
    [found] = [one for one in bed.cri.Status({}).status.conditions if one.type == "RuntimeReady"]
    assert pace.within(bed, 1, time.monotonic() - begun), "nobody waits for what is out"
    return found


def watch(bed, begun):
    """Asks as the kubelet does, until the node is not ready, which is to take so long; gives the
    condition."""
    while (found := condition(bed)).status:
        assert (found.reason, found.message) == ("", "")
        assert time.monotonic() - begun < LONG + SOON, "it stays ready"
        time.sleep(0.5)
    assert time.monotonic() - begun >= LONG, "it was not ready at once"
    return found


def logged(bed, words):
    return [line for line in host.read(bed.log_path).splitlines() if words in line]


class Killer:
    """Kills the process of a plugin as soon as there is one, until it is closed."""

    def __init__(self, bed, plugin):
        self._bed, self._plugin, self._end = bed, plugin, threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self._thread.join()

    def _run(self):
        while not self._end.wait(0.2):
            pid, _ = processes(self._bed).get(self._plugin, (0, 0))
            if pid:
                os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("table, plugin, reason", [
    ("runtimes.runc", "runc", "RuntimePluginNotReady"),
    ("snapshotters.overlay", "overlay", "SnapshotterPluginNotReady")])
def test_a_plugin_whose_process_keeps_dying(own_bed, name, table, plugin, reason):
    bed = own_bed(settings='[%s]\nisolation = "process"\n' % table)
    assert condition(bed).status
    begun = time.monotonic()
    with Killer(bed, plugin):
        found = watch(bed, begun)
    assert found.reason == reason
    assert found.message.startswith("no new pod can work: plugin %s: its process " % plugin)
    [line] = logged(bed, "the node is not ready")
    assert reason in line
    # At the latest after the pause that it is started again with, and once it has lasted.
    wait_until(lambda: condition(bed).status, 60 + SOON, "readiness")
    assert len(logged(bed, "the node is ready")) == 1
    bed.run(bed.run_pod(name), "c", command=["sleep", "1000"])


def test_one_death_is_no_reason(own_bed):
    bed = own_bed(settings='[runtimes.runc]\nisolation = "process"\n')
    os.kill(processes(bed)["runc"][0], signal.SIGKILL)
    end = time.monotonic() + LONG + 5
    while time.monotonic() < end:
        assert condition(bed).status
        time.sleep(0.5)
    assert not logged(bed, "the node is not ready")


def test_records_that_cannot_be_written(own_bed, tmp_path, name):
    flag = tmp_path / "broken"
    bed = own_bed(wrapper=[
        "env", "LD_PRELOAD=" + os.path.join(BUILD, "tests/integration/berth-failing-disk.so"),
        "BERTH_FAILING_DISK=" + str(flag)])
    bed.run_pod(name)
    begun = time.monotonic()
    flag.touch()
    try:
        with pytest.raises(grpc.RpcError):
            bed.run_pod(name + "-refused")
        found = watch(bed, begun)
        assert found.reason == "RecordsNotWritable"
        assert "berth.db" in found.message or "I/O" in found.message
    finally:
        flag.unlink()
    # Nobody makes a change meanwhile.
    wait_until(lambda: condition(bed).status, SOON, "readiness")
    bed.run_pod(name + "-taken")


def on_a_disk_of_its_own(bed):
    """Puts the engine's root on an ext4 that becomes read-only once it has an error."""
    image = os.path.join(bed.folder, "disk")
    with open(image, "wb") as file:
        file.truncate(256 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    os.mkdir(bed.engine.root)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro", image, bed.engine.root], check=True)
    return ""


def test_a_disk_with_an_error(own_bed, name):
    """Of the kernel's own doing: what can be written, and what a file system then says of itself,
    differs by version."""
    bed = own_bed(settings=on_a_disk_of_its_own)
    assert condition(bed).status
    [device] = [line.split()[0] for line in host.read("/proc/mounts").splitlines()
                if line.split()[1] == bed.engine.root]
    begun = time.monotonic()
    with open("/sys/fs/ext4/%s/trigger_fs_error" % os.path.basename(device), "w",
              encoding="ascii") as trigger:
        trigger.write("a test\n")
    with pytest.raises(grpc.RpcError):
        bed.run_pod(name)
    assert watch(bed, begun).reason == "RecordsNotWritable"
    # What is left is looked for in a root without a disk.
    bed.kill_engine()
    host.unmount_all(bed.engine.root)
    bed.start_engine()

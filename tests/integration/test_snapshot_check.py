"""`berth check --storage` of snapshots: what is damaged is named and left to who removes its
container, which nothing of that keeps from being removed."""

import json
import os
import shutil

import pytest

import host
from berth_testbed import wait_until
from image_set import BUSYBOX
from test_storage_check import FILE, LAYERED, SLEEP, Node, flip, runs

pytestmark = pytest.mark.berth
GOES = "it goes when its container is removed"


@pytest.fixture
def node(own_bed):
    return Node(own_bed)


@pytest.fixture
def running(node):
    """A container."""
    return node.bed.run(node.bed.run_pod("a"), "c", image=BUSYBOX, command=SLEEP)


def folder_of(bed, snapshot):
    return os.path.join(bed.engine.root, "plugins/snapshotter-overlay/snapshots", snapshot)


def row_of(snapshot):
    return "snapshot %s of overlay" % snapshot


def change_record(bed, snapshot, **members):
    path = os.path.join(folder_of(bed, snapshot), "snapshot.json")
    with open(path, encoding="utf-8") as stream:
        record = json.load(stream)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump({**record, **members}, stream)


def says_the_same(node, mark, snapshot, status):
    """However it is asked: there is nothing that it could repair. Gives the details."""
    told = [node.bad(*arguments) for arguments in ((), ("--quick",), ("--repair",), ())]
    assert told == told[:1] * len(told)
    [(found, what, details)], exit_status = told[0]
    assert (found, what, exit_status) == (mark, row_of(snapshot), status)
    return details


def restart(bed):
    bed.kill_engine()
    bed.start_engine()


def goes(node, container):
    """It runs until it is removed, and nothing of it is left then."""
    bed = node.bed
    assert bed.exec(container, "true").exit_code == 0
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.cri.RemoveContainer({"container_id": container})
    assert not os.path.exists(folder_of(bed, container)) and not host.mounts(container)
    assert node.bad() == ([], 0)
    pod = bed.cri.ListPodSandbox({}).items[0].id
    assert bed.exec(bed.run(pod, "c", image=BUSYBOX, command=SLEEP), "true").exit_code == 0


def garble(path):
    with open(path, "wb") as stream:
        stream.write(b"no record")


@pytest.mark.parametrize("damage, why", [
    (garble, "snapshot.json"), (os.unlink, "No such file"), (os.truncate, "snapshot.json")],
    ids=["garbled", "missing", "empty"])
@pytest.mark.parametrize("restarted", [False, True])
def test_a_record_of_a_snapshot_that_cannot_be_read(node, running, damage, why, restarted):
    found, status = node.storage()
    assert status == 0
    assert "snapshots of overlay: 1 of 1 are what they were" in [what for _, what, _ in found]
    damage(os.path.join(folder_of(node.bed, running), "snapshot.json"),
           *([0] if damage is os.truncate else []))
    details = says_the_same(node, "DAMAGED", running, 1)
    assert why in details[0] and details[1:] == [GOES]
    if restarted:
        # As it is mounted it stays, and nobody else takes it for what it was.
        restart(node.bed)
        [reason] = says_the_same(node, "aside", running, 1)
        assert why in reason
    goes(node, running)


def test_a_record_of_a_snapshot_that_has_changed(node, running):
    change_record(node.bed, running, layers=[])
    assert says_the_same(node, "DAMAGED", running, 1) == ["its record has changed", GOES]
    goes(node, running)


def test_a_record_of_a_snapshot_that_a_newer_version_wrote(node, running):
    """Is no damage."""
    change_record(node.bed, running, version=2)
    [why] = says_the_same(node, "unknown", running, 0)
    assert "of a newer plugin" in why
    restart(node.bed)
    [why] = says_the_same(node, "aside", running, 1)
    assert "of a newer plugin" in why
    goes(node, running)


def test_a_snapshot_whose_files_are_gone(node, running):
    folder = folder_of(node.bed, running)
    shutil.rmtree(folder + "/work")
    assert says_the_same(node, "DAMAGED", running, 1) == ["work is missing", GOES]
    os.rename(folder, node.bed.folder + "/away")
    details = says_the_same(node, "DAMAGED", running, 1)
    assert "No such file" in details[0]
    assert details[1:] == ["upper is missing", "work is missing", GOES]
    goes(node, running)


def test_a_snapshot_that_is_gone_at_a_start(node, running):
    """The snapshotter does not know of it any more, and its container goes all the same."""
    os.rename(folder_of(node.bed, running), node.bed.folder + "/away")
    restart(node.bed)
    assert node.bad() == ([], 0)
    goes(node, running)


def test_a_snapshot_whose_layer_is_dropped(node):
    """One that is mounted goes on with what it has; one that is not can never be again."""
    bed = node.bed
    bed.pull(LAYERED)
    mounted = runs(bed, "mounted", LAYERED)
    other = bed.create(bed.run_pod("other"), "c", image=LAYERED, command=SLEEP)
    host.check(host.libc.umount2(
        os.path.join(bed.engine.state, "containers", other, "rootfs").encode(), 0), "unmount")
    folder, diff_id = node.layer_with(FILE)
    flip(os.path.join(folder, "fs", FILE))
    bad, status = node.bad("--repair")
    snapshots = {what: (mark, details) for mark, what, details in bad
                 if what.startswith("snapshot ")}
    missing = "layer %s is not there (any more)" % diff_id
    assert status == 1 and snapshots == {
        row_of(mounted): ("unknown", [missing + "; as it is mounted it keeps the one that it has"]),
        row_of(other): ("DAMAGED", [missing, GOES])}
    # The image brings it back.
    bed.pull(LAYERED)
    assert not [what for _, what, _ in node.bad()[0] if what.startswith("snapshot ")]
    assert bed.exec(mounted, "true").exit_code == 0
    bed.cri.RemoveContainer({"container_id": other})
    assert not os.path.exists(folder_of(bed, other))
    bed.remove_all_pods()
    restart(bed)
    assert node.bad() == ([], 0)


def test_a_snapshot_of_a_container_that_is_not_known(node, running):
    """The next start removes it; what the snapshotter does not know of meanwhile is not told."""
    bed = node.bed
    unknown = running[::-1]
    bed.kill_engine()
    shutil.copytree(folder_of(bed, running), folder_of(bed, unknown), symlinks=True)
    change_record(bed, unknown, key=unknown)
    bed.start_engine()
    wait_until(lambda: not os.path.exists(folder_of(bed, unknown)), what="its end")
    assert "a snapshot of an unknown container is removed" in host.read(bed.log_path)
    assert node.bad() == ([], 0)
    goes(node, running)

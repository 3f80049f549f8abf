"""`berth check --storage`: what is damaged is named, dropped, and alone fetched again."""

import contextlib
import json
import os
import sqlite3
import subprocess

import grpc
import pytest

from berth_testbed import wait_until
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX, TESTS
from oci_images import read_blob

pytestmark = pytest.mark.berth
LAYERED = TESTS + "layers:1"
FILE = "lower/kept-file"
SLEEP = ["sleep", "1000"]


class Node:
    """A test bed whose registry counts."""

    def __init__(self, own_bed):
        self.front = None
        self.bed = own_bed(more_mirrors=self._prepare)

    def _prepare(self, bed):
        self.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, "repeat"))
        return {"images.berth.test": ["http://127.0.0.1:%d/images.berth.test" % self.front.port]}

    def check(self, *arguments):
        command = [self.bed.engine.command()[0], "check", "--config",
                   self.bed.engine.command()[-1], *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=120)

    def storage(self, *arguments):
        """Findings as (mark, what, details), and the exit status."""
        answer = self.check("--storage", *arguments)
        assert answer.stderr == ""
        found = []
        for line in answer.stdout.splitlines()[:-1]:
            if line.startswith(" "):
                found[-1][2].append(line.strip())
            else:
                found.append((line[:8].strip(), line[9:], []))
        return found, answer.returncode

    def bad(self, *arguments):
        found, status = self.storage(*arguments)
        return [one for one in found if one[0] != "ok"], status

    def listed(self):
        return {tag for image in self.bed.cri.ListImages({}).images for tag in image.repo_tags}

    def fetched(self):
        """Digests of the blobs that were asked for since the last call, and how often."""
        counts = {path.rpartition("/")[2]: times
                  for path, times in self.front.layer_requests().items()}
        self.front.requests.clear()
        return counts

    def manifest(self, image):
        registry = self.bed.registry
        return json.loads(read_blob(registry.layout, registry.digest(image)))

    def layer_with(self, path):
        """The folder of the unpacked layer that has the file, and its diff ID."""
        layers = os.path.join(self.bed.engine.root, "plugins", "snapshotter-overlay", "layers")
        found = [name for name in os.listdir(layers)
                 if os.path.exists(os.path.join(layers, name, "fs", path))]
        assert len(found) == 1
        return os.path.join(layers, found[0]), found[0].replace("-", ":", 1)

    def layer_digest(self, image, diff_id):
        """The compressed layer, whose diff ID it is."""
        manifest = self.manifest(image)
        config = json.loads(read_blob(self.bed.registry.layout, manifest["config"]["digest"]))
        index = config["rootfs"]["diff_ids"].index(diff_id)
        return manifest["layers"][index]["digest"]

    def record(self, kind, identity, change):
        """Changes a record in the database behind the daemon's back."""
        path = self.bed.engine.root + "/berth.db"
        with contextlib.closing(sqlite3.connect(path, timeout=20)) as database:
            where = "WHERE kind = ? AND id = ?"
            [(value,)] = database.execute("SELECT value FROM records " + where, (kind, identity))
            changed = database.execute("UPDATE records SET value = ? " + where,
                                       (change(value), kind, identity))
            assert changed.rowcount == 1
            database.commit()


@pytest.fixture
def node(own_bed):
    return Node(own_bed)


def flip(path):
    """A file of the same size, and other content."""
    with open(path, "r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))


def runs(bed, pod_name, image):
    container = bed.run(bed.run_pod(pod_name), "c", image=image, command=SLEEP)
    assert bed.exec(container, "cat", "/" + FILE).stdout == b"kept"
    return container


def test_a_damaged_file_of_a_layer(node):
    bed = node.bed
    bed.pull(BUSYBOX)
    identity = bed.pull(LAYERED)
    running = runs(bed, "before", LAYERED)
    found, status = node.storage()
    assert status == 0 and {mark for mark, _, _ in found} == {"ok"}, found
    assert "layers of overlay: 5 of 5 are what they were" in [what for _, what, _ in found]

    folder, diff_id = node.layer_with(FILE)
    flip(os.path.join(folder, "fs", FILE))
    assert node.bad("--quick") == ([], 0)
    [(mark, what, details)], status = node.bad()
    assert (mark, what, status) == ("DAMAGED", "layer %s of overlay" % diff_id, 1)
    assert details[0] == FILE + " has another content of the same size"
    assert LAYERED in details[1] and identity in details[1]
    assert node.listed() >= {BUSYBOX, LAYERED}, "looking changes nothing"

    os.unlink(os.path.join(folder, "fs", FILE))
    [(mark, _, details)], status = node.bad("--quick")
    assert (mark, details[0], status) == ("DAMAGED", FILE + " is missing", 1)

    bad, status = node.bad("--repair")
    assert status == 1, "a container goes on with the damaged one: %s" % bad
    assert {(mark, what.split()[0]) for mark, what, _ in bad} >= {("repaired", "layer"),
                                                                  ("to pull", "image")}
    assert LAYERED not in node.listed() and BUSYBOX in node.listed()
    assert bed.status(running).state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(running, "true").exit_code == 0

    node.fetched()
    assert bed.pull(LAYERED) == identity
    layers = {layer["digest"] for layer in node.manifest(LAYERED)["layers"]}
    digest = node.layer_digest(LAYERED, diff_id)
    assert {name: times for name, times in node.fetched().items() if name in layers} == {digest: 1}
    runs(bed, "after", LAYERED)
    # The damaged one stays while the first container may use it.
    bad, status = node.bad()
    assert [mark for mark, _, _ in bad] == ["aside"] and status == 1
    bed.remove_all_pods()
    bed.kill_engine()
    bed.start_engine()
    assert node.bad() == ([], 0)
    runs(bed, "again", LAYERED)


def test_a_damaged_layer_of_an_image_that_nothing_uses(node):
    bed = node.bed
    bed.pull(LAYERED)
    folder, diff_id = node.layer_with(FILE)
    flip(os.path.join(folder, "content"))
    [(mark, what, details)], status = node.bad("--quick")
    assert (mark, status) == ("DAMAGED", 1) and diff_id in what
    assert details[0] == "the list of its files is damaged"
    assert node.bad("--repair")[1] == 0
    assert not os.path.exists(folder)
    # A restart in between changes nothing.
    bed.kill_engine()
    bed.start_engine()
    assert LAYERED not in node.listed()
    node.fetched()
    bed.pull(LAYERED)
    assert node.layer_digest(LAYERED, diff_id) in node.fetched()
    assert node.bad() == ([], 0)


def test_a_damaged_manifest(node):
    """The image is not offered, and its layers are not fetched again."""
    bed = node.bed
    identity = bed.pull(LAYERED)
    bed.kill_engine()
    node.record("image", identity,
                lambda value: value.replace(b'"schemaVersion"', b'"schemaVersioN"', 1))
    bed.start_engine()
    assert LAYERED not in node.listed()
    log = open(bed.log_path, encoding="utf-8").read()
    assert "its manifest does not have the digest" in log and LAYERED in log
    [(mark, what, _)], status = node.bad()
    assert (mark, status) == ("to pull", 0) and LAYERED in what
    node.fetched()
    bed.pull(LAYERED)
    layers = {layer["digest"] for layer in node.manifest(LAYERED)["layers"]}
    assert not layers & set(node.fetched())
    assert node.bad() == ([], 0)
    runs(bed, "a", LAYERED)


def test_a_record_that_is_damaged_while_the_daemon_runs(node):
    bed = node.bed
    identity = bed.pull(BUSYBOX)
    pod = bed.run_pod("a")
    node.record("image", identity, lambda value: b"\xff" * len(value))
    node.record("pod", pod, lambda value: b"\xff")
    bad, status = node.bad()
    assert status == 1
    assert {(mark, what) for mark, what, _ in bad} == {
        ("DAMAGED", "record of image " + identity), ("DAMAGED", "record of pod " + pod)}
    assert BUSYBOX in node.listed(), "looking changes nothing"
    # What the daemon still knows of an image is that it has its layers.
    bad, status = node.bad("--repair")
    assert status == 1
    assert {(mark, what.split(" sha256")[0]) for mark, what, _ in bad} == {
        ("repaired", "record of image"), ("to pull", "image " + BUSYBOX + " (%s)" % identity),
        ("DAMAGED", "record of pod " + pod)}
    bed.remove_all_pods()
    bed.kill_engine()
    bed.start_engine()
    assert BUSYBOX not in node.listed()
    node.fetched()
    assert bed.pull(BUSYBOX) == identity
    layers = {layer["digest"] for layer in node.manifest(BUSYBOX)["layers"]}
    assert not layers & set(node.fetched())
    assert node.bad() == ([], 0)


def test_a_record_that_is_damaged_is_noticed_when_it_is_needed(node):
    """The image is not there any more, so that the kubelet pulls it, and its layers are."""
    bed = node.bed
    identity = bed.pull(BUSYBOX)
    pod = bed.run_pod("a")
    node.record("image", identity, lambda value: b"\xff" * len(value))
    with pytest.raises(grpc.RpcError) as caught:
        bed.create(pod, "c", image=BUSYBOX, command=SLEEP)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND, caught.value.details()
    assert BUSYBOX not in node.listed()
    node.fetched()
    assert bed.pull(BUSYBOX) == identity
    layers = {layer["digest"] for layer in node.manifest(BUSYBOX)["layers"]}
    assert not layers & set(node.fetched())
    bed.run(pod, "c", image=BUSYBOX, command=SLEEP)


def test_what_was_set_aside_is_told(node):
    bed = node.bed
    pod = bed.run_pod("lost")
    assert bed.stop_engine() == 0
    node.record("pod", pod, lambda value: b"\xff\xff")
    bed.start_engine()
    wait_until(lambda: bed.find_leaks() == [], what="the end of the pod without a record")
    told = node.check().stdout
    assert "without  storage" in told and "record of pod %s: it does not parse" % pod in told
    assert ([("aside", "record of pod " + pod, ["it does not parse"])], 1) == node.bad("--quick")

    assert bed.stop_engine() == 0
    with open(bed.engine.root + "/berth.db", "r+b") as database:
        database.write(b"no database" * 100)
    bed.start_engine()
    bad, status = node.bad()
    assert len(bad) == 1, bad
    [(mark, what, _)] = bad
    assert (mark, status) == ("aside", 1)
    aside = what.partition(" ")[2]
    assert os.path.exists(aside) and aside.startswith(bed.engine.root + "/berth.db.damaged-")
    [(mark, _, details)], status = node.bad("--repair")
    assert (mark, details[-1], status) == ("repaired", "removed", 0)
    assert not os.path.exists(aside)
    assert node.bad() == ([], 0)
    assert "storage" not in node.check().stdout


def test_without_a_daemon_nothing_is_looked_at(node):
    bed = node.bed
    assert bed.stop_engine() == 0
    answer = node.check("--storage")
    assert answer.returncode == 1 and answer.stdout == ""
    assert "no daemon answers" in answer.stderr and "start it" in answer.stderr
    assert node.check("--quick").returncode not in (0, 1), "--quick is about the storage"
    bed.start_engine()

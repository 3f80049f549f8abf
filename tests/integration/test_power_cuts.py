"""Power cuts: whatever the disk has lost of what was not synced, images verify or are absent, what
was promised is there, and only what is missing is fetched again."""

import json
import os
import shutil
import uuid

import pytest

import recorded_disk
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX, TESTS
from oci_images import read_blob

pytestmark = pytest.mark.berth
LAYERED = TESTS + "layers:1"
OTHER = TESTS + "busybox-zstd:1"
IMAGES = (BUSYBOX, LAYERED, OTHER)
HOST_NETWORK = {"security_context": {"namespace_options": {"network": 2}}}
# All of a root file system but what the engine puts into it; of hard links one is read.
FIND = "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o "
LIST = (FIND + "-type f ! -path '/etc/host*' ! -path /etc/resolv.conf -print | xargs ls -i | "
        "sort -k1,1n -k2 | awk '!seen[$1]++ { print $2 }' | sort | xargs sha256sum; "
        + FIND + "-print | sort | sha256sum")
# The daemon's own view of the machine's boot: a file in place of the kernel's.
BOOT = "mount --bind \"$1\" /proc/sys/kernel/random/boot_id; shift; exec \"$@\""


class Node:
    """A test bed whose root is a disk of its own, and whose registry counts."""

    def __init__(self, own_bed):
        self.front = None
        self.disk = None
        self.bed = own_bed(more_mirrors=self._prepare)

    def _prepare(self, bed):
        self._boot_id = os.path.join(bed.folder, "boot-id")
        bed.wrapper = ["unshare", "--mount", "sh", "-euc", BOOT, "sh", self._boot_id]
        self._new_boot()
        self.disk = recorded_disk.RecordedDisk(os.path.join(bed.folder, "disk"))
        bed.also.callback(self.disk.close)
        self.disk.mount(bed.engine.root)
        self.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, "repeat"))
        return {"images.berth.test": ["http://127.0.0.1:%d/images.berth.test" % self.front.port]}

    def _new_boot(self):
        with open(self._boot_id, "w", encoding="ascii") as stream:
            stream.write("%s\n" % uuid.uuid4())

    def leave(self):
        """Back to a root without a disk."""
        self.bed.stop_engine()
        recorded_disk.unmount(self.bed.engine.root)
        self.bed.start_engine()

    def content(self, image):
        """What a container of the image finds in it."""
        bed = self.bed
        pod = bed.run_pod("pod-%s" % uuid.uuid4(), linux=HOST_NETWORK)
        container = bed.run(pod, "app", image=image, command=["sh", "-c", LIST])
        assert bed.wait_exit(container, 60).exit_code == 0
        name = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.metadata.name
        lines = [line[3] for line in bed.log_lines(name, "app")]
        bed.remove_pod(pod)
        return lines

    def listed(self):
        tags = {tag for image in self.bed.cri.ListImages({}).images for tag in image.repo_tags}
        return [image for image in IMAGES if image in tags]

    def layers(self, image):
        registry = self.bed.registry
        manifest = json.loads(read_blob(registry.layout, registry.digest(image)))
        return {layer["digest"] for layer in manifest["layers"]}

    def fetched(self):
        """Digests of what was asked for since the last call, and how often."""
        counts = {path.rpartition("/")[2]: times
                  for path, times in self.front.layer_requests().items()}
        self.front.requests.clear()
        return counts

    def boot(self, image):
        """The machine starts anew with this disk."""
        bed = self.bed
        if bed.alive():
            bed.kill_engine()
            recorded_disk.unmount(bed.engine.root)
        shutil.rmtree(bed.engine.state, ignore_errors=True)
        self._new_boot()
        recorded_disk.mount(image, bed.engine.root)
        os.unlink(image)  # it goes with the mount
        bed.start_engine()


def test_images_verify_or_are_absent(own_bed):
    node = Node(own_bed)
    bed, disk = node.bed, node.disk
    # From which entry of the log on an image is certain to be there, and until which.
    since, until = {}, {}
    content = {}
    for image in (BUSYBOX, LAYERED):
        bed.pull(image)
        since[image] = disk.flushed()
        content[image] = node.content(image)
    until[BUSYBOX] = disk.flushed()
    bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
    bed.pull(OTHER)
    since[OTHER] = disk.flushed()
    content[OTHER] = node.content(OTHER)
    bed.stop_engine()
    disk.close()

    cuts = verified = 0
    for image, certain in disk.cuts():
        node.boot(image)
        cuts += 1
        listed = node.listed()
        for name, entry in since.items():
            if entry <= certain and certain <= until.get(name, certain):
                assert name in listed, "pulled, and lost by cut %d" % cuts
        node.fetched()
        for name in listed:
            assert node.content(name) == content[name], "%s after cut %d" % (name, cuts)
            verified += 1
        assert not node.fetched()
        there = set().union(*(node.layers(name) for name in listed))
        for name in IMAGES:
            bed.pull(name)
        again = node.fetched()
        assert not there & set(again), "fetched though it was there, after cut %d" % cuts
        assert set(again.values()) <= {1}
        for name in set(IMAGES) - set(listed):
            assert node.content(name) == content[name], "%s, pulled after cut %d" % (name, cuts)
    node.leave()
    print("%d cuts; %d images verified" % (cuts, verified))
    assert cuts > 20 and verified > 20

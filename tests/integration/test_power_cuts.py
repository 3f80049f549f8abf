"""Power cuts: whatever the disk has lost of what was not synced, images verify or are absent, what
was promised is there, and only what is missing is fetched again."""

import json
import uuid

import pytest

from cut_node import CutNode
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
LIST = (FIND + "-type f ! -path '/etc/host*' ! -path /etc/resolv.conf -print0 | "
        "xargs -0 stat -c '%i %n' | sort -k1,1n -k2 | "
        "awk '!seen[$1]++ { sub(/^[0-9]+ /, \"\"); print }' | sort | "
        "tr '\\n' '\\0' | xargs -0 sha256sum; " + FIND + "-print | sort | sha256sum")


class Node(CutNode):
    """With a registry that counts."""

    def mirrors(self, bed):
        self.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, "repeat"))
        return {"images.berth.test": ["http://127.0.0.1:%d/images.berth.test" % self.front.port]}

    def content(self, *images):
        """What containers of the images find in them, by image."""
        if not images:
            return {}
        bed = self.bed
        name = "pod-%s" % uuid.uuid4()
        pod = bed.run_pod(name, linux=HOST_NETWORK)
        containers = [bed.run(pod, "app-%d" % number, image=image, command=["sh", "-c", LIST])
                      for number, image in enumerate(images)]
        found = {}
        for number, image in enumerate(images):
            assert bed.wait_exit(containers[number], 60).exit_code == 0
            lines = [line[3] for line in bed.log_lines(name, "app-%d" % number)]
            assert not [line for line in lines if line.startswith(("stat: ", "sha256sum: "))], lines
            found[image] = lines
        bed.remove_pod(pod)
        return found

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


def test_images_verify_or_are_absent(own_bed, tell):
    node = Node(own_bed)
    bed, disk = node.bed, node.disk
    # From which entry of the log on an image is certain to be there, and until which.
    since, until = {}, {}
    for image in (BUSYBOX, LAYERED):
        bed.pull(image)
        since[image] = disk.flushed()
    until[BUSYBOX] = disk.flushed()
    bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
    bed.pull(OTHER)
    since[OTHER] = disk.flushed()
    bed.stop_engine()
    disk.close()
    # What is in them, as a disk that was never cut has it.
    bed.start_engine()
    for image in IMAGES:
        bed.pull(image)
    content = node.content(*IMAGES)
    bed.stop_engine()

    cuts = verified = 0
    for image, certain in disk.cuts():
        node.boot(image)
        cuts += 1
        listed = node.listed()
        for name, entry in since.items():
            if entry <= certain and certain <= until.get(name, certain):
                assert name in listed, "pulled, and lost by cut %d" % cuts
        node.fetched()
        for name, lines in node.content(*listed).items():
            assert lines == content[name], "%s after cut %d" % (name, cuts)
            verified += 1
        assert not node.fetched()
        there = set().union(*(node.layers(name) for name in listed))
        for name in IMAGES:
            bed.pull(name)
        again = node.fetched()
        assert not there & set(again), "fetched though it was there, after cut %d" % cuts
        assert set(again.values()) <= {1}
        for name, lines in node.content(*(set(IMAGES) - set(listed))).items():
            assert lines == content[name], "%s, pulled after cut %d" % (name, cuts)
    node.leave()
    tell("%d power cuts, %d images verified" % (cuts, verified))
    assert cuts >= 80 and verified > 20

"""A disk whose syncs take seconds: whoever needs one waits for it, and nobody else."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from cri import AdminClient
from image_set import BUSYBOX, TESTS
from plugin_projects import sanitizer_runtime

pytestmark = pytest.mark.berth
SYNC_SECONDS = 3
TIMES = 10  # so long a sync takes at least, by what calls take that wait for none
PODS = 4
PINNED, REMOVED, PULLED = (TESTS + name for name in ("entrypoint:1", "data:1", "layers:1"))


class SlowDisk:
    """A daemon's, which is to be made slow and quick again."""

    def __init__(self, folder, build):
        self.seconds = SYNC_SECONDS  # of a sync
        self._file = os.path.join(folder, "sync-milliseconds")
        library = os.path.join(build, "tests/integration/berth-slow-sync.so")
        # A sanitizer's runtime is to be the first.
        first = sanitizer_runtime()
        self.wrapper = ["env", "LD_PRELOAD=" + " ".join([*first, library]),
                        "BERTH_SLOW_SYNC=" + self._file]

    def suit(self, neighbours):
        """Makes a sync far longer than their calls are on this machine."""
        neighbours.round()  # what is made only once is made before
        neighbours.longest.clear()
        neighbours.round()
        self.seconds = max(SYNC_SECONDS, TIMES * max(neighbours.longest.values()))
        neighbours.longest.clear()

    def __enter__(self):
        with open(self._file + ".new", "w", encoding="ascii") as stream:
            stream.write("%d" % (self.seconds * 1000))
        os.rename(self._file + ".new", self._file)

    def __exit__(self, *_):
        os.unlink(self._file)


@pytest.fixture
def slow_disk(tmp_path):
    build = os.environ.get("BERTH_BUILD", os.path.join(
        os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
        "build/release"))
    return SlowDisk(tmp_path, build)


def timed(call, *arguments, **more):
    begun = time.monotonic()
    call(*arguments, **more)
    return time.monotonic() - begun


class Neighbours:
    """Calls that need no sync, one after the other until it is closed: name → longest seconds."""

    def __init__(self, bed):
        self.bed = bed
        self.longest = {}
        self.rounds = 0
        pod = bed.run_pod("neighbour")
        self.container = bed.run(pod, "app", command=["sleep", "1000"])

    def take(self, name, call, *arguments, **more):
        self.longest[name] = max(self.longest.get(name, 0), timed(call, *arguments, **more))

    def round(self):
        bed, cri = self.bed, self.bed.cri
        for call in (cri.Version, cri.Status, cri.ListPodSandbox, cri.ListContainers,
                     cri.ListImages, cri.ListContainerStats, cri.ImageFsInfo):
            self.take(call.name, call, {})
        self.take("ImageStatus", cri.ImageStatus, {"image": {"image": BUSYBOX}})
        self.take("ExecSync", bed.exec, self.container, "true")
        self.pods_life()
        self.rounds += 1

    def later_than(self, limit):
        return {name: seconds for name, seconds in self.longest.items() if seconds > limit}

    def pods_life(self):
        bed, cri, name = self.bed, self.bed.cri, "short-%d" % self.rounds
        # In the host's network: what the network plugin notes of an attachment is to survive a power
        # cut, so a pod waits for syncs of its own there.
        config = bed.pod_config(name, labels={"of": name}, linux={
            "security_context": {"namespace_options": {"network": "NODE"}}})
        self.take("RunPodSandbox", bed.run_pod_config, config)
        pod = cri.ListPodSandbox({"filter": {"label_selector": {"of": name}}}).items[0].id
        self.take("CreateContainer", bed.create, pod, "app", command=["sleep", "1000"])
        container = cri.ListContainers({"filter": {"pod_sandbox_id": pod}}).containers[0].id
        for call, request in ((cri.StartContainer, {"container_id": container}),
                              (cri.StopContainer, {"container_id": container}),
                              (cri.RemoveContainer, {"container_id": container}),
                              (cri.StopPodSandbox, {"pod_sandbox_id": pod}),
                              (cri.RemovePodSandbox, {"pod_sandbox_id": pod})):
            self.take(call.name, call, request)


def test_nobody_waits_for_a_sync_of_others(own_bed, slow_disk):
    bed = own_bed(wrapper=slow_disk.wrapper)
    admin = AdminClient(bed.engine.socket, os.path.join(bed.folder, "python"))
    for image in (BUSYBOX, PINNED, REMOVED):
        bed.pull(image)
    neighbours = Neighbours(bed)
    slow_disk.suit(neighbours)
    others = {
        "pull": lambda: bed.pull(PULLED),
        "pull of what is there": lambda: bed.pull(PINNED),
        "pin": lambda: admin.Pin({"image": PINNED, "pinned": True}),
        "repair": lambda: list(admin.CheckStorage({"repair": True})),
    }
    with slow_disk, ThreadPoolExecutor(len(others)) as pool:
        begun = threading.Barrier(len(others) + 1)

        def go(work):
            begun.wait()
            return timed(work)
        under_way = {name: pool.submit(go, work) for name, work in others.items()}
        begun.wait()
        time.sleep(slow_disk.seconds / 10)  # they have come to their syncs
        neighbours.take("RemoveImage", bed.cri.RemoveImage, {"image": {"image": REMOVED}})
        while not under_way["pull"].done() or neighbours.rounds < 4:
            neighbours.round()
        took = {name: work.result() for name, work in under_way.items()}
    assert took["pull"] >= slow_disk.seconds, "the disk was not slow: %r" % took
    late = neighbours.later_than(slow_disk.seconds / 2)
    assert not late, "others' syncs were waited for while %r" % took
    admin.close()


def test_nobody_waits_for_a_sync_of_an_attachment(own_bed, slow_disk):
    """The network plugin's own record of a pod is on the disk before anything is made for it."""
    bed = own_bed(wrapper=slow_disk.wrapper)
    attached = [bed.run_pod("attached-%d" % number) for number in range(PODS)]
    neighbours = Neighbours(bed)
    slow_disk.suit(neighbours)
    with slow_disk, ThreadPoolExecutor(PODS) as pool:
        under_way = [pool.submit(timed, bed.run_pod, "pod-%d" % number) for number in range(PODS)]
        time.sleep(slow_disk.seconds / 10)  # they have come to their syncs
        for pod in attached:
            neighbours.take("StopPodSandbox with a network", bed.cri.StopPodSandbox,
                            {"pod_sandbox_id": pod})
        assert not any(work.done() for work in under_way)
        while not all(work.done() for work in under_way):
            neighbours.round()
        took = [work.result() for work in under_way]
    assert min(took) >= slow_disk.seconds, "the disk was not slow: %r" % took
    # A record's file and its directory are synced, and that of no other pod.
    assert max(took) < 3 * slow_disk.seconds, "pods waited for each other's syncs: %r" % took
    late = neighbours.later_than(slow_disk.seconds / 2)
    assert not late, "others' syncs were waited for while %r" % took

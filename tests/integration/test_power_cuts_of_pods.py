"""Power cuts: what clients were told of pods and containers a moment earlier is still so, nothing
comes back that was removed, and what a cut pod had taken is given back."""

import contextlib
import os
import sqlite3
import subprocess

import pytest

import host
import pace
from berth_testbed import wait_until
from cut_node import CutNode
from image_set import BUSYBOX, TESTS
from noted_syncs import NotedSyncs

pytestmark = pytest.mark.berth
LAYERED = TESTS + "layers:1"
HOST_NETWORK = {"security_context": {"namespace_options": {"network": 2}}}
SLEEP = ["sleep", "1000"]
ON_TERM = ["sh", "-c", "trap 'exit 3' TERM; touch /tmp/ready; while :; do sleep 0.02; done"]
MOMENT = 0.5  # seconds, after which what was told is on the disk
MEMORY = 64 << 20
ROUNDS = 2
LIFE_GOES_ON = 4  # of so many cuts at one a new pod with a network is run
LOST = "the node was restarted"


class Node(CutNode):
    """Its addresses are on the disk too, as they are on a node."""

    def mirrors(self, bed):
        bed.network.addresses = os.path.join(bed.engine.root, "ipam")
        bed.network.write()
        self._syncs = NotedSyncs(os.path.join(bed.folder, "syncs"))
        bed.wrapper += self._syncs.wrapper
        return {}

    def settled(self):
        """From which entry of the log on it holds what a client has been told now."""
        taken = pace.took(lambda: self._syncs.await_sync(pace.PATIENCE))
        assert pace.within(self.bed, MOMENT, taken)
        return self.disk.flushed()

    def found(self):
        """Pods and containers by id, and images, as a kubelet sees them."""
        bed = self.bed
        return {"pods": {pod.id: pod for pod in bed.cri.ListPodSandbox({}).items},
                "containers": {one.id: bed.status(one.id)
                               for one in bed.cri.ListContainers({}).containers},
                "images": {tag for image in bed.cri.ListImages({}).images
                           for tag in image.repo_tags}}

    def damages(self):
        command = [self.bed.engine.command()[0], "check", "--config",
                   self.bed.engine.command()[-1], "--storage"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL, timeout=60)
        assert answer.stderr == ""
        return [line for line in answer.stdout.splitlines()[:-1]
                if line[:8].strip() not in ("ok", "")]

    def addresses(self):
        """Those that are held, with their holders, and what is recorded of attachments."""
        folder = os.path.join(self.bed.network.addresses, self.bed.network.name)
        held = [(name, host.read(os.path.join(folder, name)))
                for name in self.bed.network.held_addresses()]
        return held and [*held, *os.listdir(self.bed.engine.root + "/plugins/network-cni")]

    def left(self):
        """What is there although no pod is."""
        root, state = self.bed.engine.root, self.bed.engine.state
        folders = (state + "/pods", state + "/containers", root + "/volumes",
                   root + "/plugins/network-cni", root + "/plugins/snapshotter-overlay/snapshots")
        found = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder)
                 for name in os.listdir(folder)]
        found += ["address " + name for name in self.bed.network.held_addresses()]
        with contextlib.closing(sqlite3.connect(
                "file:%s/berth.db?mode=ro" % root, uri=True, timeout=10)) as database:
            found += ["%s %s" % row for row in database.execute(
                "SELECT kind, id FROM records WHERE kind IN ('pod', 'container')")]
        return found


def left_of(what):
    """What has not gone in time."""
    with contextlib.suppress(TimeoutError):
        wait_until(lambda: not what(), what="the end of it")
    return what()


class Promises:
    """What a client was told, and at which cuts it must hold."""

    def __init__(self, node):
        self._node = node
        self._all = []  # [what, since, until, holds]

    def add(self, what, holds):
        """`holds(found)`; gives what end() takes."""
        promise = [what, self._node.settled(), None, holds]
        self._all.append(promise)
        return promise

    def end(self, *promises):
        """Before the call that changes it."""
        now = self._node.disk.flushed()
        for promise in promises:
            promise[2] = now

    def broken(self, certain, found):
        return [what for what, since, until, holds in self._all
                if since <= certain and (until is None or certain <= until) and not holds(found)]


class Story:
    """What is done before the power goes: by name, so that what is removed is made again."""

    def __init__(self, node):
        self.node, self.bed = node, node.bed
        self.promises = Promises(node)
        self.removed_pods = []
        self.image(BUSYBOX)
        self.layered = self.image(LAYERED)
        # What images are after a cut is another test's.
        self.begin = node.disk.flushed()

    def pod(self, name, **more):
        pod = self.bed.run_pod(name, **more)
        there = self.promises.add("pod " + name, lambda found: pod in found["pods"])
        return pod, there

    def container(self, pod, name, command):
        one = self.bed.create(pod, name, command=command)
        there = self.promises.add("container " + name, lambda found: one in found["containers"])
        return one, there

    def exited(self, container, code, what):
        assert self.bed.wait_exit(container).exit_code == code
        # A status may be seen just before it is written, which this waits for.
        self.bed.cri.StopContainer({"container_id": container})
        return self.promises.add(
            what, lambda found: container in found["containers"]
            and found["containers"][container].exit_code == code)

    def gone(self, kind, identity, what):
        return self.promises.add(what + " is gone", lambda found: identity not in found[kind])

    def image(self, name):
        self.bed.pull(name)
        return self.promises.add("image " + name, lambda found: name in found["images"])

    def one_round(self, number):
        """Two pods, of which the first stays a while."""
        bed, promises = self.bed, self.promises
        pod, pod_there = self.pod("web-%d" % number)
        main, main_there = self.container(pod, "main", SLEEP)
        bed.cri.StartContainer({"container_id": main})
        lost = promises.add("the end of main", lambda found: (
            main in found["containers"] and found["containers"][main].exit_code == 137
            and found["containers"][main].message == LOST))
        bed.cri.UpdateContainerResources({"container_id": main,
                                          "linux": {"memory_limit_in_bytes": MEMORY}})
        updated = promises.add("the limit of main", lambda found: (
            main in found["containers"] and found["containers"][main].resources.linux
            .memory_limit_in_bytes == MEMORY))
        short, short_there = self.container(pod, "short", ["sh", "-c", "exit 7"])
        bed.cri.StartContainer({"container_id": short})
        seven = self.exited(short, 7, "the exit of short")

        job, job_there = self.pod("job-%d" % number, linux=HOST_NETWORK)
        worker, worker_there = self.container(job, "worker", ON_TERM)
        bed.cri.StartContainer({"container_id": worker})
        wait_until(lambda: bed.exec(worker, "test", "-e", "/tmp/ready").exit_code == 0,
                   what="the trap")
        bed.cri.StopContainer({"container_id": worker, "timeout": 20})
        three = self.exited(worker, 3, "the exit of worker")
        promises.end(worker_there, three)
        bed.cri.RemoveContainer({"container_id": worker})
        self.gone("containers", worker, "worker")
        bed.cri.StopPodSandbox({"pod_sandbox_id": job})
        promises.end(job_there)
        bed.cri.RemovePodSandbox({"pod_sandbox_id": job})
        self.removed_pods.append(("job-%d" % number, self.gone("pods", job, "job")[1]))

        if number == 1:
            promises.end(self.layered)
            bed.cri.RemoveImage({"image": {"image": LAYERED}})
            promises.add("the removal of " + LAYERED, lambda found: LAYERED not in found["images"])
        if number == ROUNDS:
            return
        promises.end(lost)
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
        promises.end(pod_there, main_there, short_there, updated, seven)
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
        self.gone("pods", pod, "web")
        self.gone("containers", main, "main")


def test_what_was_told_of_pods_and_containers_holds(own_bed, tell):
    node = Node(own_bed, 192 << 20)
    bed, disk = node.bed, node.disk
    story = Story(node)
    for number in range(1, ROUNDS + 1):
        story.one_round(number)
    node.lose_power()

    messages = bed.cri.messages
    cuts = pods = containers = 0
    for image, certain in disk.cuts(story.begin):
        node.boot(image)
        cuts += 1
        found = node.found()
        assert story.promises.broken(certain, found) == [], "after cut %d" % cuts
        # Nothing runs, and what did is told to have ended.
        pods += len(found["pods"])
        containers += len(found["containers"])
        assert {pod.state for pod in found["pods"].values()} <= {messages.SANDBOX_NOTREADY}
        for status in found["containers"].values():
            assert status.state in (messages.CONTAINER_EXITED, messages.CONTAINER_CREATED)
            assert status.exit_code in (0, 3, 7, 137), status
        assert node.damages() == [], "after cut %d" % cuts
        assert left_of(node.addresses) == [], "after cut %d" % cuts
        for name in [name for name, since in story.removed_pods if since <= certain][-1:]:
            bed.run_pod(name, linux=HOST_NETWORK)
        if cuts % LIFE_GOES_ON == 0:
            again = bed.run(bed.run_pod("after"), "again", command=SLEEP)
            assert bed.exec(again, "true").exit_code == 0
        bed.remove_all_pods()
        assert left_of(node.left) == [], "after cut %d" % cuts
        for pod in found["pods"]:
            assert not host.mounts(pod)
    node.leave()
    tell("%d power cuts; %d pods, %d containers found again" % (cuts, pods, containers))
    assert cuts >= 120 and pods > 50 and containers > 50

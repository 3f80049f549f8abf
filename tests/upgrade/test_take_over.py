"""Two versions in turn on one node, whose pods go on: tests/upgrade/run says which.

After each change of version everything that the one before has left is as it was, or has become what
happened meanwhile, can be worked with, and is added to; at last one of them removes what both made.
"""

import contextlib
import os
import re
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

import host  # noqa: E402  (needs the path above)

# Before gRPC starts its threads.
host.enter_private_namespaces()

import engines  # noqa: E402
import streams  # noqa: E402
from berth_testbed import TestBed, wait_until  # noqa: E402
from image_set import BUSYBOX  # noqa: E402

OLDER = os.environ["BERTH_OLDER_BUILD"]
NEWER = os.environ["BERTH_BUILD"]
COUNTS = ["sh", "-c", "n=0; while :; do echo line $n; n=$((n + 1)); sleep 0.05; done"]
UNTIL_TOLD = "until [ -e /told/end-%d ]; do sleep 0.02; done; exit %d"


def handlers():
    """"" is runtime-runc's, "shim" runtime-kata's, if both versions have it."""
    both = all(os.path.exists(os.path.join(build, "lib/berth/plugins/berth-runtime-kata.so"))
               for build in (OLDER, NEWER))
    return ["", "shim"] if both and os.path.exists(engines.SHIM) else [""]


class Left:
    """What a version has made: one pod with a container of each kind."""

    def __init__(self, bed, name, handler, round_number):
        self.bed, self.name = bed, name
        told = os.path.join(bed.folder, "told")
        os.makedirs(told, exist_ok=True)
        self.pod = bed.run_pod(name, handler, port_mappings=[
            {"protocol": 0, "container_port": 80, "host_port": 20000 + len(os.listdir(told))}])
        with open(os.path.join(told, name), "wb"):
            pass
        self.round = round_number
        mounts = {"mounts": [{"container_path": "/told", "host_path": told}]}
        self.counts = bed.run(self.pod, "counts", command=COUNTS)
        self.ended = bed.run(self.pod, "ended", command=["sh", "-c", "exit 5"])
        assert bed.wait_exit(self.ended).exit_code == 5
        self.created = bed.create(self.pod, "created", command=["sleep", "1000"])
        self.terminal = bed.run(self.pod, "terminal", command=["sh"], tty=True, stdin=True)
        # One for each change of version: it ends while there is no daemon.
        self.ends = {number: bed.run(self.pod, "ends-%d" % number, command=[
            "sh", "-c", UNTIL_TOLD % (number, 40 + number)], **mounts) for number in range(1, 3)}
        self.before = self.seen()

    def containers(self):
        return [self.counts, self.ended, self.created, self.terminal, *self.ends.values()]

    def seen(self):
        """What must not change: the processes, the address, and what is told of each container."""
        bed = self.bed
        status = bed.cri.PodSandboxStatus({"pod_sandbox_id": self.pod}).status
        told = {}
        for container in self.containers():
            one = bed.status(container)
            if container not in self.ends.values():
                told[container] = (one.state, one.created_at, one.started_at, one.finished_at,
                                   one.exit_code, one.reason, one.image_ref, one.log_path)
        start = bed.exec(self.counts, "cat", "/proc/1/stat").stdout.split()[21]
        return status.state, status.created_at, status.network.ip, start, told

    def check(self, change):
        """After the change of versions with this number."""
        bed = self.bed
        assert self.seen() == self.before
        for number, container in self.ends.items():
            if number <= change:
                assert bed.wait_exit(container).exit_code == 40 + number
            else:
                assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING
        bed.cri.UpdateContainerResources({
            "container_id": self.counts, "linux": {"memory_limit_in_bytes": (64 + change) << 20}})
        assert bed.cri.ContainerStats({"container_id": self.counts}).stats.memory \
            .working_set_bytes.value
        bed.cri.ReopenContainerLog({"container_id": self.counts})
        self.check_terminal()

    def check_terminal(self):
        url = self.bed.cri.Attach({"container_id": self.terminal, "stdin": True, "stdout": True,
                                   "tty": True}).url
        told = b""
        with streams.open("websocket", url, ["stdin", "stdout"]) as session:
            session.send("stdin", b"echo is-$((6 * 7))\n")
            while b"is-42" not in told:
                received = session.receive()
                assert received, told
                told += received[1]

    def start_created(self):
        self.bed.cri.StartContainer({"container_id": self.created})
        self.before = self.seen()

    def check_log(self):
        """No line is lost or there twice."""
        def lines():
            return [text for *_, text in self.bed.log_lines(self.name, "counts")]
        wait_until(lambda: len(lines()) > 20, what="lines of " + self.name)
        numbers = [int(text.split()[1]) for text in lines()]
        assert numbers == list(range(len(numbers)))


def change_version(bed, build, number, ended, graceful):
    """From one daemon to the other; what is to end meanwhile has ended before this one is there."""
    assert bed.stop_engine() == 0 if graceful else bed.kill_engine() is None
    with open(os.path.join(bed.folder, "told/end-%d" % number), "wb"):
        pass
    wait_until(lambda: not any(host.read("/proc/%d/stat" % pid) for pid in ended),
               what="the end of the containers that were told to")
    bed.build = build
    bed.plugin_dirs = [os.path.join(build, "lib/berth/plugins")]
    bed.start_engine()


def processes_until_told(bed, number, count):
    """None when there are not so many yet."""
    start = "sh -c " + UNTIL_TOLD % (number, 40 + number)
    found = [pid for pid, command in host.processes(bed.folder, bed.mark).items()
             if command == start]
    return found if len(found) == count else None


@pytest.mark.parametrize("graceful", [False, True], ids=["killed", "stopped"])
@pytest.mark.parametrize("order", [(OLDER, NEWER, OLDER), (NEWER, OLDER, NEWER)],
                         ids=["older-newer-older", "newer-older-newer"])
def test_pods_go_on(order, graceful):
    with TestBed(build=order[0], shim=engines.SHIM if "shim" in handlers() else None) as bed:
        left = []

        def make(number):
            for handler in handlers():
                left.append(Left(bed, "%s-%d" % (handler or "runc", number), handler, number))
        make(0)
        images = {image.id: image.size for image in bed.cri.ListImages().images}
        for change, build in enumerate(order[1:], 1):
            # The start may be answered before the program takes the runtime's place.
            ended = wait_until(
                lambda: processes_until_told(bed, change, len(left)), what="containers that end")
            change_version(bed, build, change, ended, graceful)
            assert {image.id: image.size for image in bed.cri.ListImages().images} == images
            assert {pod.id for pod in bed.cri.ListPodSandbox().items} == {one.pod for one in left}
            for one in left:
                one.check(change)
                if one.round == change - 1:
                    one.start_created()
            make(change)
        for one in left:
            one.check_log()
        addresses = [one.before[2] for one in left]
        assert len(set(addresses)) == len(addresses)
        # Of what the other version has made, too.
        for one in left:
            bed.cri.StopContainer({"container_id": one.counts, "timeout": 0})
            assert bed.wait_exit(one.counts).exit_code == 137
            bed.cri.RemoveContainer({"container_id": one.counts})
        bed.remove_all_pods()
        complaints = [line for line in host.read(bed.log_path).splitlines()
                      if re.search("level=(error|critical)|damaged", line)]
        assert complaints == []
        assert bed.network.held_addresses() == []
        bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
        with contextlib.suppress(FileNotFoundError):
            assert os.listdir(os.path.join(bed.engine.state, "pods")) == []
    assert bed.leaks == []

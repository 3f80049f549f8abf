"""Files that are damaged while no daemon runs: each is set aside, named in the log and by `berth
check`, and everything else goes on."""

import contextlib
import glob
import os
import re
import socket
import subprocess
import threading

import pytest

import engines
import grpc
import host
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
UNTIL_TOLD = ["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 5"]
JUNK = b"\x00\xff{ no record"
NEEDS_SHIM = pytest.mark.skipif(not os.access(engines.SHIM, os.X_OK),
                                reason="SKIPPED: there is no " + engines.SHIM)


class Node:
    """A pod that things happen to, and one that must not notice."""

    def __init__(self, own_bed, command=None, handler=None):
        self.bed = own_bed(handler=handler)
        self.pod = self.bed.run_pod("victim")
        self.container = self.bed.run(self.pod, "c", command=command or SLEEP)
        other = self.bed.run_pod("other")
        self.other = self.bed.run(other, "c", command=SLEEP)
        self.started = self.start_of_other()

    def start_of_other(self):
        return self.bed.exec(self.other, "cat", "/proc/1/stat").stdout.split()[21]

    def runtime(self, *names):
        return os.path.join(self.bed.engine.state, "pods", self.pod, "runtime", *names)

    def let_end(self):
        root = os.path.join(self.bed.engine.state, "containers", self.container, "rootfs")
        with open(os.path.join(root, "tmp", "end"), "w", encoding="utf-8"):
            pass

    def damage_and_restart(self, *paths, ended=()):
        self.bed.kill_engine()
        host.kill(ended)
        for path in paths:
            assert os.path.isfile(path), path
            with open(path, "wb") as stream:
                stream.write(JUNK)
        self.bed.start_engine()
        assert self.start_of_other() == self.started, "the other pod was disturbed"

    def log(self):
        return host.read(self.bed.log_path)

    def told(self, row="damaged record, \\S+"):
        """What `berth check` says in the rows of that name."""
        command = [self.bed.engine.command()[0], "check", "--config",
                   self.bed.engine.command()[-1]]
        answer = subprocess.run(command, capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL, timeout=60)
        found = [re.match(r"\S+ +%s +(.*)" % row, line)
                 for line in answer.stdout.splitlines()]
        return [match[1] for match in found if match]

    def assert_aside(self, name, logged=None):
        """It is the only one; gives its path. The daemon may serve before it has got to it."""
        [row] = wait_until(self.told, what="what is set aside")
        path = row.split()[0]
        assert path.endswith(name) and os.path.exists(path), row
        with open(path, "rb") as stream:
            assert stream.read() == JUNK
        wait_until(lambda: (logged or path) in self.log(), what="that the log names it")
        return path

    def monitor(self):
        return next(pid for pid, command in host.processes(self.bed.folder, self.bed.mark).items()
                    if "berth-monitor" in command and self.pod in command)


def refusal(call, request, **more):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **more)
    return caught.value.code()


def test_the_record_of_an_exit(own_bed):
    node = Node(own_bed, UNTIL_TOLD)
    bed = node.bed
    path = node.runtime("monitor", "exits", node.container)
    bed.kill_engine()
    node.let_end()
    wait_until(lambda: os.path.exists(path), what="the exit that the monitor keeps")
    node.damage_and_restart(path, ended=[node.monitor()])
    assert bed.wait_exit(node.container).exit_code == 137
    node.assert_aside("exit-" + node.container)


def test_the_record_of_an_exit_that_was_told(own_bed):
    node = Node(own_bed, UNTIL_TOLD)
    bed = node.bed
    node.let_end()
    assert bed.wait_exit(node.container).exit_code == 5
    node.damage_and_restart(node.runtime("monitor", "exits", node.container),
                            ended=[node.monitor()])
    assert bed.status(node.container).exit_code == 5
    node.assert_aside("exit-" + node.container)


@pytest.mark.parametrize("handler", ["", pytest.param("shim", marks=NEEDS_SHIM)])
def test_the_record_of_a_pod(own_bed, handler):
    node = Node(own_bed, handler=handler)
    bed = node.bed
    path = node.runtime("pod.json")
    node.damage_and_restart(path)
    # What the daemon has kept takes its place.
    assert bed.exec(node.container, "true").exit_code == 0
    node.assert_aside(node.pod + "-pod.json")
    before = node.log().count(path)
    bed.kill_engine()
    bed.start_engine()
    assert node.log().count(path) == before, "it is damaged no more"
    assert bed.exec(node.container, "true").exit_code == 0


def test_the_record_of_a_container(own_bed):
    node = Node(own_bed)
    bed = node.bed
    node.damage_and_restart(node.runtime("containers", node.container + ".json"))
    for _ in range(2):
        assert bed.status(node.container).state == bed.cri.messages.CONTAINER_RUNNING
        command = {"container_id": node.container, "cmd": ["true"], "timeout": 5}
        assert refusal(bed.cri.ExecSync, command) == grpc.StatusCode.FAILED_PRECONDITION
        node.assert_aside("container-" + node.container + ".json")
        bed.kill_engine()
        bed.start_engine()
    bed.cri.RemoveContainer({"container_id": node.container})
    again = bed.run(node.pod, "c", command=SLEEP)
    assert bed.exec(again, "true").exit_code == 0


@NEEDS_SHIM
def test_the_record_of_a_shims_container(own_bed):
    """The shim itself knows what became of it."""
    node = Node(own_bed, UNTIL_TOLD, handler="shim")
    bed = node.bed
    node.damage_and_restart(node.runtime("containers", node.container + ".json"))
    assert bed.status(node.container).state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(node.container, "true").exit_code == 0
    node.assert_aside("container-" + node.container + ".json")
    bed.kill_engine()
    bed.start_engine()
    node.let_end()
    assert bed.wait_exit(node.container).exit_code == 5
    bed.cri.RemoveContainer({"container_id": node.container})


def test_what_is_known_of_cgroups(own_bed):
    node = Node(own_bed)
    root = os.path.join(node.bed.engine.state, "plugins")
    [path] = glob.glob(root + "/**/cgroups.json", recursive=True)
    node.damage_and_restart(path)
    assert node.bed.exec(node.container, "true").exit_code == 0
    node.assert_aside("cgroups.json")


@pytest.mark.parametrize("ending", ["attachment", "result"])
def test_what_is_known_of_an_attachment(own_bed, ending):
    node = Node(own_bed)
    bed = node.bed
    [path] = glob.glob("%s/plugins/**/%s@*.%s" % (bed.engine.root, node.pod, ending),
                       recursive=True)
    held = bed.network.held_addresses()
    assert len(held) == 2
    node.damage_and_restart(path)
    assert path in node.log()
    if ending == "attachment":
        [row] = node.told()
        assert row.startswith(path), row
    assert bed.exec(node.container, "true").exit_code == 0
    bed.remove_pod(node.pod)
    assert len(bed.network.held_addresses()) == 1
    [row] = node.told()
    assert os.path.basename(path) in row
    assert not os.path.exists(path) and os.path.exists(row.split()[0])


def test_an_attachment_of_a_pod_without_a_record(own_bed):
    """Its address is given back as the configuration says."""
    node = Node(own_bed)
    bed = node.bed
    bed.kill_engine()
    [path] = glob.glob("%s/plugins/**/%s@*.attachment" % (bed.engine.root, node.pod),
                       recursive=True)
    stray = os.path.join(os.path.dirname(path), "0" * 64 + "@eth0.attachment")
    with open(stray, "wb") as stream:
        stream.write(JUNK)
    bed.start_engine()
    wait_until(lambda: not os.path.exists(stray), what="the end of the attachment")
    node.assert_aside("0" * 64 + "@eth0.attachment", stray)
    assert len(bed.network.held_addresses()) == 2


def serve(path, kind, greeting):
    """A stranger's socket: says `greeting` to each client, and nothing after it."""
    listener = socket.socket(socket.AF_UNIX, kind)
    folder = os.open(os.path.dirname(path), os.O_PATH)
    listener.bind("/proc/self/fd/%d/%s" % (folder, os.path.basename(path)))  # the path is long
    os.close(folder)
    listener.listen()
    clients = []

    def accept():
        with contextlib.suppress(OSError):  # it is closed
            while True:
                client, _ = listener.accept()
                clients.append(client)
                with contextlib.suppress(OSError):
                    client.sendall(greeting)
    threading.Thread(target=accept, daemon=True).start()
    return listener


INSTEAD = pytest.mark.parametrize("instead", ["nothing", "file", "stream", "silence", "noise"])


def replace_socket(path, instead):
    os.unlink(path)
    if instead == "file":
        with open(path, "wb") as stream:
            stream.write(JUNK)
    elif instead == "stream":
        serve(path, socket.SOCK_STREAM, JUNK)
    elif instead != "nothing":
        serve(path, socket.SOCK_SEQPACKET, b"" if instead == "silence" else JUNK)


@NEEDS_SHIM
@INSTEAD
def test_the_socket_of_a_keeper(own_bed, instead):
    """Nobody gets to the keeper any more: another takes its place."""
    node = Node(own_bed, UNTIL_TOLD, handler="shim")
    bed = node.bed
    path = node.runtime("keeper", "keeper.sock")
    bed.kill_engine()
    replace_socket(path, instead)
    bed.start_engine()
    assert node.start_of_other() == node.started
    wait_until(lambda: os.path.dirname(path) in node.log(), what="that the log names it")
    assert bed.exec(node.container, "echo", "heard").stdout == b"heard\n"
    node.let_end()
    assert bed.wait_exit(node.container).exit_code == 5
    bed.remove_pod(node.pod)


@INSTEAD
def test_the_socket_of_a_monitor(own_bed, instead):
    """Nobody gets to the monitor any more: the pod can still be ended."""
    node = Node(own_bed)
    bed = node.bed
    path = node.runtime("monitor", "sock")
    bed.kill_engine()
    replace_socket(path, instead)
    bed.start_engine()
    assert node.start_of_other() == node.started
    assert bed.status(node.container).state == bed.cri.messages.CONTAINER_RUNNING
    [row] = node.told("monitor, \\S+")
    assert node.pod in row
    bed.cri.StopPodSandbox({"pod_sandbox_id": node.pod}, timeout=60)
    assert bed.status(node.container).exit_code == 137
    bed.cri.RemovePodSandbox({"pod_sandbox_id": node.pod}, timeout=60)
    assert path in node.log()
    assert node.told("monitor, \\S+") == []


def test_what_a_killed_runtime_has_left_mounted(own_bed):
    """runc mounts its binary into a container's state for a moment, and may die at that moment."""
    node = Node(own_bed)
    state = os.path.join(node.bed.engine.state, "plugins/runtime-runc/runtime", node.container)
    assert os.path.isdir(state)
    left = os.path.join(state, "runc.left")
    with open(left, "wb"):
        pass
    subprocess.run(["mount", "--bind", "/proc/self/exe", left], check=True)
    node.bed.cri.StopContainer({"container_id": node.container, "timeout": 0})
    node.bed.cri.RemoveContainer({"container_id": node.container})
    assert left not in host.mounts(node.bed.folder) and not os.path.exists(state)


def test_an_image_that_is_half_there(own_bed):
    """What an unpacking leaves that was cut off, and a layer that has lost its record."""
    node = Node(own_bed)
    bed = node.bed
    layered = TESTS + "layers:1"
    bed.pull(layered)
    overlay = os.path.join(bed.engine.root, "plugins", "snapshotter-overlay")
    layers = {name: os.path.join(overlay, "layers", name)
              for name in os.listdir(os.path.join(overlay, "layers"))}
    [lost] = [path for path in layers.values()
              if os.path.exists(os.path.join(path, "fs", "lower", "kept-file"))]
    bed.kill_engine()
    for name in os.listdir(lost):
        if os.path.isfile(os.path.join(lost, name)):
            with open(os.path.join(lost, name), "wb") as stream:
                stream.write(JUNK)
    half = os.path.join(overlay, "staging", "half")
    os.makedirs(os.path.join(half, "fs", "usr"))
    bed.start_engine()
    assert node.start_of_other() == node.started
    tags = {tag for image in bed.cri.ListImages({}).images for tag in image.repo_tags}
    assert BUSYBOX in tags and layered not in tags
    assert layered in node.log()
    assert any(layered in row for row in node.told("storage")), node.told("storage")
    wait_until(lambda: not os.path.exists(half), what="the end of what was half unpacked")
    bed.pull(layered)
    assert node.told("storage") == []
    container = bed.run(node.pod, "again", image=layered, command=SLEEP)
    assert bed.exec(container, "cat", "/lower/kept-file").stdout == b"kept"

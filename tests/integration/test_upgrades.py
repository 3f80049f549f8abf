"""Other versions: a daemon takes over what one of another version has left running, or leaves it
alone and says so."""

import contextlib
import fcntl
import glob
import json
import os
import re
import shutil
import socket
import sqlite3
import threading

import pytest

import engines
import grpc
import host
from berth_testbed import SOURCE
from image_set import BUSYBOX

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
FIXTURES = os.path.join(SOURCE, "tests/fixtures")
VERSIONS = sorted(name for name in os.listdir(FIXTURES)
                  if os.path.exists(os.path.join(FIXTURES, name, "berth.db")))
RECORDS = {"cgroups.json", "container.json", "exit", "frames", "keeper-packets", "layer.json",
           "layer/content", "layer/layer.json", "pod.json", "snapshot.json", "kata/pod.json",
           "kata/running.json", "kata/exited.json"}
# A field of a later version (protobuf, "Encoding"): the number 15000, a varint.
UNKNOWN_FIELD = b"\xc0\xa9\x07\x2a"
KINDS = ("pod", "container", "image")


def start_of(bed, container):
    """Tells its first process from any other."""
    return bed.exec(container, "cat", "/proc/1/stat").stdout.split()[21]


@contextlib.contextmanager
def database(bed):
    with contextlib.closing(sqlite3.connect(bed.engine.root + "/berth.db", timeout=20)) as opened:
        yield opened
        opened.commit()


def records(bed, kind):
    with database(bed) as opened:
        return dict(opened.execute("SELECT id, value FROM records WHERE kind = ?", (kind,)))


def pod_file(bed, pod, *names):
    return os.path.join(bed.engine.state, "pods", pod, "runtime", *names)


def change_json(path, change):
    with open(path, encoding="utf-8") as stream:
        document = json.load(stream)
    change(document)
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(document, stream)


def own_version():
    text = host.read(os.path.join(SOURCE, "CMakeLists.txt"))
    return tuple(map(int, re.search(r"project\(Berth VERSION (\d+)\.(\d+)\.", text).groups()))


def enumerators(path, name):
    """Name → number of a C++ enum's."""
    text = host.read(os.path.join(SOURCE, "plugins", path))
    body = re.search(r"enum class %s\b[^{]*\{(.*?)\};" % name, text, re.S)[1]
    return {name: int(number, 0) for name, number in re.findall(r"\bk(\w+) = (\w+)", body)}


def lines_of(version, name):
    """Name → bytes, as the unit tests read them."""
    with open(os.path.join(FIXTURES, version, name), encoding="ascii") as stream:
        return {name: bytes.fromhex(digits) for name, digits in map(str.split, stream)}


def test_every_minor_version_has_its_fixtures():
    """Up to this one, which records before it is released; in each major version from 1.0 on."""
    major, minor = own_version()
    first = 1 if major == 0 else 0
    assert {"%d.%d" % (major, number) for number in range(first, minor + 1)} <= set(VERSIONS)
    assert "0.1" in VERSIONS, "what was released stays"


@pytest.mark.parametrize("version", VERSIONS)
def test_fixtures_are_of_every_kind(version):
    folder = os.path.join(FIXTURES, version)
    found = {os.path.relpath(os.path.join(path, name), folder)
             for path, _, names in os.walk(folder) for name in names}
    assert RECORDS <= found
    assert {os.path.splitext(name)[1] for name in found if name.startswith("cni/")} == {
        ".attachment", ".result"}
    with contextlib.closing(sqlite3.connect(
            "file:%s/berth.db?mode=ro&immutable=1" % folder, uri=True)) as opened:
        assert {kind for kind, in opened.execute("SELECT DISTINCT kind FROM records")} == set(KINDS)


def test_every_frame_of_the_monitors_has_a_fixture():
    """A type's request and reply, an event's one."""
    types = enumerators("runtime-runc/protocol/wire.hpp", "Type")
    frames = {(int.from_bytes(frame[:2], "little"), frame[2] & 1)
              for frame in lines_of("%d.%d" % own_version(), "frames").values()}
    assert len(types) > 20
    assert frames == {(number, reply) for number in types.values() for reply in (0, 1)
                      if not (reply and number >= types["ContainerExited"])}


def test_every_packet_of_the_keepers_has_a_fixture():
    def names(enum, ending=""):
        found = enumerators("runtime-kata/keeper/protocol.hpp", enum)
        return {re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower() + ending
                for name, number in found.items() if number}
    assert names("Operation") | names("EventKind", "-event") | {"list-reply", "failure-reply"} <= \
        set(lines_of("%d.%d" % own_version(), "keeper-packets"))


def test_fields_of_a_newer_version_are_no_hindrance(own_bed):
    bed = own_bed()
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=SLEEP)
    ended = bed.run(pod, "ended", command=["sh", "-c", "exit 5"])
    assert bed.wait_exit(ended).exit_code == 5
    before = start_of(bed, container)
    bed.kill_engine()
    with database(bed) as opened:
        for kind in KINDS:
            changed = opened.execute("UPDATE records SET value = CAST(value || ? AS BLOB) "
                                     "WHERE kind = ?", (UNKNOWN_FIELD, kind))
            assert changed.rowcount > 0, kind
    files = [path for top in (bed.engine.state, bed.engine.root)
             for pattern in ("pods/*/runtime/pod.json", "pods/*/runtime/containers/*.json",
                             "plugins/*/cgroups.json", "plugins/*/*.attachment",
                             "plugins/*/*.result", "plugins/*/layers/*/layer.json",
                             "plugins/*/snapshots/*/snapshot.json")
             for path in glob.glob(os.path.join(top, pattern))]
    kinds = {path.rpartition(".")[2] for path in files}
    assert kinds == {"json", "attachment", "result"} and len(files) > 7, files
    for path in files:
        change_json(path, lambda document: document.update({"later": {"than": ["this"]}}))
    with open(pod_file(bed, pod, "monitor", "exits", ended), "a", encoding="ascii") as stream:
        stream.write("later=than this\n")
    bed.start_engine()

    assert start_of(bed, container) == before
    assert bed.status(ended).exit_code == 5
    log = host.read(bed.log_path)
    assert "damaged" not in log and "level=error" not in log
    bed.cri.UpdateContainerResources({"container_id": container,
                                      "linux": {"memory_limit_in_bytes": 64 << 20}})
    # What this version does not know it keeps for the next one.
    for kind in KINDS:
        for identity, value in records(bed, kind).items():
            assert UNKNOWN_FIELD in value, "%s %s" % (kind, identity)
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.remove_pod(pod)
    assert bed.network.held_addresses() == []
    assert BUSYBOX in {tag for image in bed.cri.ListImages().images for tag in image.repo_tags}
    assert bed.run(bed.run_pod("a"), "c", command=SLEEP)


def test_a_database_of_a_newer_format_is_left_as_it_is(own_bed):
    bed = own_bed()
    container = bed.run(bed.run_pod("a"), "c", command=SLEEP)
    before = start_of(bed, container)
    assert bed.stop_engine() == 0

    def set_format(number):
        with database(bed) as opened:
            [(old,)] = opened.execute("PRAGMA user_version")
            opened.execute("PRAGMA user_version = %d" % number)
            return old
    known = set_format(99)
    with pytest.raises(RuntimeError, match=r"status 78 (.|\n)*format 99 of a newer berthd"):
        bed.start_engine()
    assert set_format(known) == 99, "it was changed"
    bed.start_engine()
    assert start_of(bed, container) == before


def test_a_pod_of_a_newer_format_is_left_alone(own_bed):
    """The newer daemon finds it as it was."""
    bed = own_bed()
    newer, other = bed.run_pod("newer"), bed.run_pod("other")
    containers = {pod: bed.run(pod, "c", command=SLEEP) for pod in (newer, other)}
    before = {pod: start_of(bed, one) for pod, one in containers.items()}
    path = pod_file(bed, newer, "pod.json")
    bed.kill_engine()
    with open(path, encoding="utf-8") as stream:
        known = json.load(stream)["version"]
    change_json(path, lambda document: document.update(version=known + 1))
    bed.start_engine()
    assert start_of(bed, containers[other]) == before[other]
    assert bed.status(containers[newer]).state == bed.cri.messages.CONTAINER_RUNNING
    with pytest.raises(grpc.RpcError) as refused:
        bed.exec(containers[newer], "true")
    assert refused.value.code() in (grpc.StatusCode.FAILED_PRECONDITION,
                                    grpc.StatusCode.UNAVAILABLE), refused.value.details()
    assert "version %d" % (known + 1) in host.read(bed.log_path)
    bed.kill_engine()
    change_json(path, lambda document: document.update(version=known))
    bed.start_engine()
    assert start_of(bed, containers[newer]) == before[newer]


@contextlib.contextmanager
def keeper_of_version(folder, version):
    """In the place of one that has ended: answers whatever it is asked with its version."""
    held = os.open(folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    path = "/proc/self/fd/%d/keeper.sock" % held
    os.unlink(path)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(path)
    listener.listen()

    def serve():
        with contextlib.suppress(OSError):  # it is shut down
            while True:
                client, _ = listener.accept()
                with client:
                    while client.recv(4096):
                        client.send(bytes([6 << 3, version]))
    served = threading.Thread(target=serve, daemon=True)
    served.start()
    try:
        yield
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        served.join(10)
        listener.close()
        os.close(held)


@pytest.mark.skipif(not os.access(engines.SHIM, os.X_OK),
                    reason="SKIPPED: there is no " + engines.SHIM)
def test_a_pod_with_a_newer_keeper_is_left_alone(own_bed):
    """What is wanted of it is done by the daemon that speaks its version."""
    bed = own_bed(handler="shim")
    newer, other = bed.run_pod("newer"), bed.run_pod("other")
    containers = {pod: bed.run(pod, "c", command=SLEEP) for pod in (newer, other)}

    def running():
        return {pid for pid, line in host.processes(bed.folder, bed.mark).items()
                if line == " ".join(SLEEP)}
    before = running()
    assert len(before) == 2
    bed.kill_engine()
    host.kill([pid for pid, line in host.processes(bed.folder, bed.mark).items()
               if re.search("berth-keeper .*" + newer, line)])
    with keeper_of_version(pod_file(bed, newer, "keeper"), 2):
        bed.start_engine()
        assert bed.exec(containers[other], "true").exit_code == 0
        assert bed.status(containers[newer]).state == bed.cri.messages.CONTAINER_RUNNING
        for call in (lambda: bed.exec(containers[newer], "true"),
                     lambda: bed.cri.StopPodSandbox({"pod_sandbox_id": newer}, timeout=30)):
            with pytest.raises(grpc.RpcError) as refused:
                call()
            assert refused.value.code() in (grpc.StatusCode.FAILED_PRECONDITION,
                                            grpc.StatusCode.UNAVAILABLE), refused.value.details()
        assert "the keeper of pod %s speaks version 2" % newer in host.read(bed.log_path)
        assert running() == before
        bed.kill_engine()
    bed.start_engine()
    assert bed.wait_exit(containers[newer]).exit_code == 137
    assert bed.exec(containers[other], "true").exit_code == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_version_has_recorded(own_bed, version):
    """After a reboot into this one: its pods are told of, and can be removed."""
    def put_in_place(bed):
        os.makedirs(bed.engine.root)
        shutil.copy(os.path.join(FIXTURES, version, "berth.db"), bed.engine.root)
        return {}
    bed = own_bed(more_mirrors=put_in_place)
    pods = bed.cri.ListPodSandbox({}).items
    containers = bed.cri.ListContainers({}).containers
    assert pods and containers
    assert {pod.state for pod in pods} == {bed.cri.messages.SANDBOX_NOTREADY}
    for one in containers:
        assert bed.status(one.id).state != bed.cri.messages.CONTAINER_RUNNING
        bed.cri.RemoveContainer({"container_id": one.id})
    bed.remove_all_pods()
    for kind in ("pod", "container"):
        assert records(bed, kind) == {}
    assert bed.run(bed.run_pod("new"), "c", command=SLEEP)

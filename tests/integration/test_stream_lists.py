"""The streaming lists: the same as the lists, in as many messages as it takes."""

import contextlib
import importlib
import os
import sqlite3
import subprocess
import sys

import pytest

import grpc
from berth_testbed import SOURCE

MANY = 1500
DEAD = 18_000  # containers, as many as a node has had (kubernetes#134750)
# As the daemon's cri/stream_list.hpp has it, with what one item may add.
MESSAGE_BYTES = (256 << 10) + (8 << 10)

KUBELETS_MESSAGE = 16 << 20  # bytes that it takes at most

pytestmark = pytest.mark.berth


def streamed(call, field, request=None):
    """All items of a streaming list; no message may be empty."""
    items = []
    for message in call(request or {}):
        part = getattr(message, field)
        assert len(part) > 0
        items += part
    return items


def by_id(items):
    found = {item.id: item for item in items}
    assert len(found) == len(items), "an item came twice"
    return found


def test_streams_are_what_lists_are(bed, name):
    pods = [bed.run_pod("%s-%d" % (name, number), labels={"number": str(number)})
            for number in range(3)]
    containers = [bed.run(pod, "c", command=["sleep", "1000"]) for pod in pods]
    cri = bed.cri
    assert by_id(streamed(cri.StreamPodSandboxes, "pod_sandboxes")) == by_id(
        cri.ListPodSandbox().items)
    assert by_id(streamed(cri.StreamContainers, "containers")) == by_id(
        cri.ListContainers().containers)
    assert by_id(streamed(cri.StreamImages, "images")) == by_id(cri.ListImages().images)
    stats = streamed(cri.StreamContainerStats, "container_stats")
    assert {one.attributes.id for one in stats} == set(containers)
    assert all(one.memory.working_set_bytes.value > 0 for one in stats)
    stats = streamed(cri.StreamPodSandboxStats, "pod_sandbox_stats")
    assert {one.attributes.id for one in stats} == set(pods)
    # With filters too.
    chosen = {"filter": {"label_selector": {"number": "1"}}}
    assert [pod.id for pod in streamed(cri.StreamPodSandboxes, "pod_sandboxes", chosen)] == [
        pods[1]]
    chosen = {"filter": {"pod_sandbox_id": pods[2]}}
    for call, field in ((cri.StreamContainers, "containers"),
                        (cri.StreamContainerStats, "container_stats")):
        assert len(streamed(call, field, chosen)) == 1
    unknown = {"filter": {"image": {"image": "images.berth.test/never-pulled:1"}}}
    assert streamed(cri.StreamImages, "images", unknown) == []
    assert streamed(cri.StreamContainers, "containers", {"filter": {"id": "f" * 64}}) == []


def records_module(folder):
    """The module of the daemon's records; the CRI's is there already."""
    name = "records_pb2"
    if name not in sys.modules:
        subprocess.run(["protoc", "--proto_path=" + os.path.join(SOURCE, "core/store"),
                        "--proto_path=" + os.path.join(SOURCE, "core/api"),
                        "--python_out=" + folder, "records.proto"], check=True)
        sys.path.insert(0, folder)
        try:
            importlib.import_module(name)
        finally:
            sys.path.remove(folder)
    return sys.modules[name]


def add_stopped_pods(bed, folder, pods=MANY, containers=1):
    """Puts pods with so many containers each into the stopped daemon's records."""
    records = records_module(folder)
    rows = []
    for number in range(pods):
        pod = records.PodRecord(id="%064x" % (1 << 200 | number), state=records.POD_STOPPED,
                                runtime="runc", created_at=number + 1)
        pod.config.metadata.name = "pod-%d" % number
        pod.config.metadata.namespace = "synthetic"
        pod.config.annotations["text"] = "x" * 1000
        rows.append(("pod", pod.id, pod.SerializeToString()))
        for attempt in range(containers):
            container = records.ContainerRecord(
                id="%064x" % (1 << 201 | number * containers + attempt), pod_id=pod.id,
                snapshotter="overlay", state=bed.cri.messages.CONTAINER_EXITED,
                created_at=number + 1, finished_at=number + 2)
            container.config.metadata.name = "c"
            container.config.metadata.attempt = attempt
            container.config.annotations["text"] = "y" * 1000
            rows.append(("container", container.id, container.SerializeToString()))
    with contextlib.closing(sqlite3.connect(os.path.join(bed.engine.root, "berth.db"))) as database:
        with database:
            database.executemany("INSERT INTO records(kind, id, value) VALUES (?, ?, ?)", rows)


def test_many_objects_come_in_several_messages(own_bed, tmp_path):
    bed = own_bed()
    assert bed.stop_engine() == 0
    add_stopped_pods(bed, str(tmp_path))
    bed.start_engine()
    for stream, field, listed in (
            (bed.cri.StreamPodSandboxes, "pod_sandboxes", bed.cri.ListPodSandbox().items),
            (bed.cri.StreamContainers, "containers", bed.cri.ListContainers().containers)):
        messages = list(stream())
        assert len(messages) > 4
        assert all(message.ByteSize() <= MESSAGE_BYTES for message in messages)
        items = [item for message in messages for item in getattr(message, field)]
        assert len(items) == MANY
        assert by_id(items) == by_id(listed)
    # A client that leaves in the middle disturbs nobody.
    stream = bed.cri.StreamContainers()
    next(stream)
    stream.cancel()
    with pytest.raises(grpc.RpcError):
        list(stream)
    assert len(streamed(bed.cri.StreamContainers, "containers")) == MANY


def test_eighteen_thousand_dead_containers_are_listed(own_bed, tmp_path):
    """More than the kubelet takes in one message; and what lives goes on beside them."""
    bed = own_bed()
    pod = bed.run_pod("alive")
    container = bed.run(pod, "c", command=["sleep", "1000"])
    assert bed.stop_engine() == 0
    add_stopped_pods(bed, str(tmp_path), DEAD // 180, 180)
    bed.start_engine()
    messages = list(bed.cri.StreamContainers())
    assert sum(message.ByteSize() for message in messages) > KUBELETS_MESSAGE
    assert all(message.ByteSize() <= MESSAGE_BYTES for message in messages)
    found = by_id([one for message in messages for one in message.containers])
    assert len(found) == DEAD + 1
    assert found[container].state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(container, "true").exit_code == 0
    chosen = {"filter": {"pod_sandbox_id": pod}}
    assert [one.id for one in bed.cri.ListContainers(chosen).containers] == [container]
    # Removing each would take longer than all else.
    assert bed.stop_engine() == 0
    with contextlib.closing(sqlite3.connect(os.path.join(bed.engine.root, "berth.db"))) as database:
        with database:
            database.execute("DELETE FROM records WHERE id LIKE '0000000000%'")
    bed.start_engine()
    assert list(by_id(bed.cri.ListContainers().containers)) == [container]

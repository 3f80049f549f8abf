"""Checkpoints where they cannot be made: hosts without CRIU, and requests that make no sense."""

import os

import pytest
from grpc import StatusCode

from asking import refused
from checkpoints import COUNTER, create_from, criu_reason, left_of_checkpoints, must_run

pytestmark = pytest.mark.berth


@pytest.fixture
def counter(bed, pod):
    return bed.run(pod, "c", command=["sh", "-c", COUNTER])


def needs_no_criu():
    if not criu_reason():
        pytest.skip("SKIPPED: CRIU works on this host")


def test_the_reason_is_crius_own(bed, pod, counter, tmp_path):
    needs_no_criu()
    location = str(tmp_path / "archive.tar")
    message = refused(bed.cri.CheckpointContainer,
                      {"container_id": counter, "location": location},
                      StatusCode.FAILED_PRECONDITION)
    assert criu_reason() in message
    message = refused(bed.cri.CheckpointPod,
                      {"pod_sandbox_id": pod, "output_path": str(tmp_path),
                       "container_ids": [counter]}, StatusCode.FAILED_PRECONDITION)
    assert criu_reason() in message
    assert os.listdir(tmp_path) == []
    assert left_of_checkpoints(bed) == []
    must_run(bed, counter)


def test_restoring_is_refused_for_the_same_reason(bed, pod, name, tmp_path):
    needs_no_criu()
    archive = tmp_path / "archive.tar"
    archive.write_bytes(bytes(1024))
    message = refused(lambda _: create_from(bed, pod, "c", str(archive)), None,
                      StatusCode.FAILED_PRECONDITION)
    assert criu_reason() in message
    request = {"checkpoint_path": str(tmp_path), "config": bed.pod_config(name + "-restored"),
               "container_configs": [bed.container_config("c")]}
    message = refused(bed.cri.RestorePod, request, StatusCode.FAILED_PRECONDITION)
    assert criu_reason() in message
    assert [each.id for each in bed.cri.ListPodSandbox().items] == [pod]


def test_containers_that_cannot_be_meant(bed, pod, counter, tmp_path):
    location = str(tmp_path / "archive.tar")
    refused(bed.cri.CheckpointContainer, {"container_id": "f" * 64, "location": location},
            StatusCode.NOT_FOUND)
    created = bed.create(pod, "created", command=["sleep", "1000"])
    refused(bed.cri.CheckpointContainer, {"container_id": created, "location": location},
            StatusCode.FAILED_PRECONDITION)
    for request, word in (
            ({"location": "archive.tar"}, "absolute"),
            ({"location": ""}, "absolute"),
            ({"location": str(tmp_path / "none/archive.tar")}, "does not exist"),
            ({"location": str(tmp_path)}, "no regular file"),
            ({"location": location, "timeout": -1}, "timeout")):
        message = refused(bed.cri.CheckpointContainer, {"container_id": counter, **request},
                          StatusCode.INVALID_ARGUMENT)
        assert word in message
    assert os.listdir(tmp_path) == []


def test_pods_that_cannot_be_meant(bed, pod, counter, tmp_path):
    whole = {"pod_sandbox_id": pod, "output_path": str(tmp_path), "container_ids": [counter]}
    other = bed.run(bed.run_pod("other-pod"), "o", command=["sleep", "1000"])
    for request, word in (({"container_ids": []}, "container_ids"),
                          ({"container_ids": [counter, counter]}, "twice"),
                          ({"container_ids": [other]}, "not in pod sandbox"),
                          ({"output_path": "folder"}, "absolute"),
                          ({"output_path": str(tmp_path / "none")}, "no folder"),
                          ({"options": {"speed": "high"}}, "speed")):
        message = refused(bed.cri.CheckpointPod, {**whole, **request}, StatusCode.INVALID_ARGUMENT)
        assert word in message
    refused(bed.cri.CheckpointPod, {**whole, "pod_sandbox_id": "f" * 64}, StatusCode.NOT_FOUND)
    refused(bed.cri.CheckpointPod, {**whole, "container_ids": ["f" * 64]}, StatusCode.NOT_FOUND)


def test_restores_that_cannot_be_meant(bed, name, tmp_path):
    whole = {"checkpoint_path": str(tmp_path), "config": bed.pod_config(name),
             "container_configs": [bed.container_config("c")]}
    for request, word in (({"container_configs": []}, "container_configs"),
                          ({"container_configs": 2 * [bed.container_config("c")]}, "twice"),
                          ({"checkpoint_path": "folder"}, "absolute"),
                          ({"config": {}}, "metadata"),
                          ({"options": {"speed": "high"}}, "speed")):
        message = refused(bed.cri.RestorePod, {**whole, **request}, StatusCode.INVALID_ARGUMENT)
        assert word in message
    assert len(bed.cri.ListPodSandbox().items) == 0

"""Checkpoints without CRIU: what the engine does around it, with a runtime that stands in for one
that has checkpoints (tests/testbed/oci-runtime-with-checkpoints)."""

import json
import os
import stat
import tarfile

import pytest
from grpc import StatusCode

import grpc
from asking import refused, shell
from berth_testbed import wait_until
from checkpoints import (COUNTER, StandIn, checkpoint, create_from, freezer_states,
                         left_of_checkpoints, members, must_run, text_of)
from image_set import BUSYBOX

pytestmark = pytest.mark.berth

CHANGES = "echo mine > /tmp/mine; rm /etc/passwd; mkdir /made; "


@pytest.fixture
def stand_in(tmp_path_factory, monkeypatch):
    return StandIn(tmp_path_factory.mktemp("stand-in"), monkeypatch)


@pytest.fixture
def checkpoint_bed(own_bed, stand_in):
    return own_bed(runtime=stand_in.runtime)


def run_changed(bed, pod, name="c"):
    container = bed.run(pod, name, command=["sh", "-c", CHANGES + "touch /ready; " + COUNTER])
    wait_until(lambda: bed.exec(container, "test", "-e", "/ready").exit_code == 0, what="changes")
    return container


def test_an_archive_and_a_container_from_it(checkpoint_bed, tmp_path):
    bed, location = checkpoint_bed, str(tmp_path / "archive.tar")
    container = run_changed(bed, bed.run_pod("a"))
    image = bed.status(container).image_id or bed.status(container).image_ref
    checkpoint(bed, container, location)
    must_run(bed, container)
    assert left_of_checkpoints(bed) == []
    assert os.listdir(tmp_path) == ["archive.tar"]
    assert stat.S_IMODE(os.stat(location).st_mode) == 0o600

    assert {"config.dump", "spec.dump", "status.dump", "bind.mounts", "rootfs-diff.tar",
            "deleted.files", "dump.log", "checkpoint",
            "checkpoint/inventory.img"} <= set(members(location))
    config = json.loads(text_of(location, "config.dump"))
    assert config["id"] == container and config["name"] == "c" and config["runtime"] == "runc"
    assert json.loads(text_of(location, "spec.dump"))["process"]["args"][0] == "sh"
    assert json.loads(text_of(location, "deleted.files")) == ["/etc/passwd"]
    with tarfile.open(location) as archive:
        with tarfile.open(fileobj=archive.extractfile("rootfs-diff.tar")) as changes:
            assert {"tmp/mine", "made"} <= {each.name for each in changes}

    pod = bed.run_pod("b")
    restored = create_from(bed, pod, "again", location)
    os.unlink(location)  # it is not needed any more
    assert len(left_of_checkpoints(bed)) == 1
    bed.cri.StartContainer({"container_id": restored})
    assert left_of_checkpoints(bed) == []
    assert shell(bed, restored, "cat /tmp/mine; ls -d /made") == "mine\n/made"
    status = bed.status(restored)
    assert (status.image_id or status.image_ref) == image


def test_a_checkpoint_of_a_restored_container(checkpoint_bed, tmp_path):
    bed = checkpoint_bed
    first, second = str(tmp_path / "1.tar"), str(tmp_path / "2.tar")
    checkpoint(bed, run_changed(bed, bed.run_pod("a")), first)
    pod = bed.run_pod("b")
    restored = create_from(bed, pod, "c", first)
    bed.cri.StartContainer({"container_id": restored})
    shell(bed, restored, "echo more > /tmp/more")
    checkpoint(bed, restored, second)
    last = create_from(bed, pod, "d", second)
    bed.cri.StartContainer({"container_id": last})
    assert shell(bed, last, "cat /tmp/mine /tmp/more") == "mine\nmore"
    assert json.loads(text_of(second, "config.dump"))["restored"] is True


def test_a_failed_one_says_why_and_leaves_nothing(checkpoint_bed, stand_in, tmp_path):
    bed = checkpoint_bed
    container = run_changed(bed, bed.run_pod("a"))
    stand_in.set("fail")
    message = refused(bed.cri.CheckpointContainer,
                      {"container_id": container, "location": str(tmp_path / "archive.tar")})
    assert "an odd socket" in message
    assert os.listdir(tmp_path) == [] and left_of_checkpoints(bed) == []
    must_run(bed, container)


def test_an_archive_that_is_there_stays_until_the_new_one_is_whole(checkpoint_bed, stand_in,
                                                                   tmp_path):
    bed, archive = checkpoint_bed, tmp_path / "archive.tar"
    container = run_changed(bed, bed.run_pod("a"))
    archive.write_text("old")
    stand_in.set("fail")
    refused(bed.cri.CheckpointContainer, {"container_id": container, "location": str(archive)})
    assert archive.read_text() == "old"
    stand_in.clear("fail")
    checkpoint(bed, container, str(archive))
    assert "config.dump" in members(str(archive))


@pytest.mark.parametrize("limits", [{"timeout": 1}, {"deadline": 2}])
def test_it_ends_in_time(checkpoint_bed, stand_in, tmp_path, limits):
    bed = checkpoint_bed
    container = run_changed(bed, bed.run_pod("a"))
    stand_in.set("hang")
    with pytest.raises(grpc.RpcError) as caught:
        checkpoint(bed, container, str(tmp_path / "archive.tar"), **limits)
    assert caught.value.code() == StatusCode.DEADLINE_EXCEEDED
    wait_until(lambda: left_of_checkpoints(bed) == [], what="the end of the undo")
    assert os.listdir(tmp_path) == []
    stand_in.clear("hang")
    must_run(bed, container)
    checkpoint(bed, container, str(tmp_path / "archive.tar"))


def test_a_container_can_be_removed_meanwhile(checkpoint_bed, stand_in, tmp_path):
    bed = checkpoint_bed
    pod = bed.run_pod("a")
    container = run_changed(bed, pod)
    stand_in.set("hang")
    call = bed.cri.CheckpointContainer.future(
        {"container_id": container, "location": str(tmp_path / "archive.tar"), "timeout": 5},
        timeout=60)
    wait_until(lambda: stand_in.is_set("hanging"), what="the checkpoint")
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    with pytest.raises(grpc.RpcError):
        call.result()
    bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    wait_until(lambda: left_of_checkpoints(bed) == [], what="the end of the undo")
    assert os.listdir(tmp_path) == []


def test_a_stop_does_not_wait_for_it(checkpoint_bed, stand_in, tmp_path):
    bed = checkpoint_bed
    container = run_changed(bed, bed.run_pod("a"))
    stand_in.set("hang")
    call = bed.cri.CheckpointContainer.future(
        {"container_id": container, "location": str(tmp_path / "archive.tar")}, timeout=600)
    wait_until(lambda: stand_in.is_set("hanging"), what="the checkpoint")
    bed.cri.StopContainer({"container_id": container, "timeout": 0}, timeout=20)
    assert bed.status(container).exit_code == 137
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    assert caught.value.code() == StatusCode.CANCELLED
    assert os.listdir(tmp_path) == []


def test_a_killed_daemon_leaves_nothing_and_nobody_paused(checkpoint_bed, stand_in, tmp_path):
    bed, folder = checkpoint_bed, tmp_path / "pod"
    folder.mkdir()
    pods = {name: bed.run_pod(name) for name in ("a", "b")}
    containers = {name: run_changed(bed, pod) for name, pod in pods.items()}
    stand_in.set("hang")
    call = bed.cri.CheckpointContainer.future(
        {"container_id": containers["a"], "location": str(tmp_path / "archive.tar")})
    wait_until(lambda: stand_in.is_set("hanging"), what="the checkpoint")
    stand_in.clear("hanging")
    other = bed.cri.CheckpointPod.future({"pod_sandbox_id": pods["b"], "output_path": str(folder),
                                          "container_ids": [containers["b"]]})
    wait_until(lambda: stand_in.is_set("hanging"), what="the other checkpoint")
    bed.kill_engine()
    for each in (call, other):
        with pytest.raises(grpc.RpcError):
            each.result()
    stand_in.clear("hang")
    bed.start_engine()
    wait_until(lambda: left_of_checkpoints(bed) == [], what="the end of the undo")
    assert os.listdir(tmp_path) == ["pod"] and os.listdir(folder) == []
    for container in containers.values():
        wait_until(lambda container=container: freezer_states(bed, container) <= {"THAWED", "0"},
                   what="the container to go on")
        must_run(bed, container)
    checkpoint(bed, containers["a"], str(tmp_path / "archive.tar"))


def test_archives_that_are_none(checkpoint_bed, tmp_path):
    bed = checkpoint_bed
    pod = bed.run_pod("a")
    whole = str(tmp_path / "whole.tar")
    checkpoint(bed, run_changed(bed, pod), whole)
    cut = tmp_path / "cut.tar"
    cut.write_bytes(open(whole, "rb").read()[:5000])
    (tmp_path / "empty.tar").write_bytes(bytes(1024))
    for name, code in (("cut.tar", StatusCode.INVALID_ARGUMENT),
                       ("empty.tar", StatusCode.INVALID_ARGUMENT),
                       (".", StatusCode.INVALID_ARGUMENT),
                       ("none.tar", StatusCode.NOT_FOUND)):
        refused(lambda _, name=name: create_from(bed, pod, "x", str(tmp_path / name)), None, code)
    message = refused(lambda _: create_from(bed, pod, "x", whole, mounts=[
        {"container_path": "/more", "host_path": str(tmp_path)}]), None,
        StatusCode.FAILED_PRECONDITION)
    assert "/more" in message
    assert left_of_checkpoints(bed) == []
    assert len(bed.cri.ListContainers().containers) == 1


def restore_request(bed, name, folder, *containers):
    return {"checkpoint_path": str(folder), "config": bed.pod_config(name),
            "container_configs": [bed.container_config(container) for container in containers]}


def test_a_pod_and_a_pod_from_it(checkpoint_bed, tmp_path):
    bed = checkpoint_bed
    pod = bed.run_pod("a")
    containers = [run_changed(bed, pod, name) for name in ("one", "two")]
    bed.cri.CheckpointPod({"pod_sandbox_id": pod, "output_path": str(tmp_path),
                           "container_ids": containers})
    for container in containers:
        must_run(bed, container)
    assert left_of_checkpoints(bed) == []
    options = json.loads((tmp_path / "pod.options").read_text())
    assert set(options["containers"]) == {"one", "two"}
    assert set(os.listdir(tmp_path)) == {"pod.options", "pod.dump",
                                         *options["containers"].values()}
    message = refused(bed.cri.CheckpointPod,
                      {"pod_sandbox_id": pod, "output_path": str(tmp_path),
                       "container_ids": containers}, StatusCode.FAILED_PRECONDITION)
    assert "must be empty" in message
    bed.remove_pod(pod)

    request = restore_request(bed, "b", tmp_path, "one", "two")
    answer = bed.cri.RestorePod(request)
    assert bed.cri.RestorePod(request) == answer  # it may be repeated
    restored = {each.name: each.container_id for each in answer.restored_containers}
    assert set(restored) == {"one", "two"}
    for container in restored.values():
        assert bed.status(container).state == bed.cri.messages.CONTAINER_CREATED
        bed.cri.StartContainer({"container_id": container})
        assert shell(bed, container, "cat /tmp/mine") == "mine"
    assert left_of_checkpoints(bed) == []


def test_a_pod_that_cannot_be_restored_leaves_nothing(checkpoint_bed, tmp_path):
    bed = checkpoint_bed
    pod = bed.run_pod("a")
    containers = [run_changed(bed, pod, name) for name in ("one", "two")]
    bed.cri.CheckpointPod({"pod_sandbox_id": pod, "output_path": str(tmp_path),
                           "container_ids": containers})
    for names, word in ((("one",), "two"), (("one", "two", "three"), "three")):
        message = refused(bed.cri.RestorePod, restore_request(bed, "b", tmp_path, *names),
                          StatusCode.INVALID_ARGUMENT)
        assert word in message
    request = restore_request(bed, "b", tmp_path, "one", "two")
    request["container_configs"][1]["command"] = ["sleep", "1000"]
    assert "command" in refused(bed.cri.RestorePod, request, StatusCode.FAILED_PRECONDITION)
    place = json.loads((tmp_path / "pod.options").read_text())["containers"]["two"]
    os.unlink(tmp_path / place / "config.dump")
    refused(bed.cri.RestorePod, restore_request(bed, "b", tmp_path, "one", "two"),
            StatusCode.INVALID_ARGUMENT)
    assert [each.id for each in bed.cri.ListPodSandbox().items] == [pod]
    assert len(bed.cri.ListContainers().containers) == 2
    assert left_of_checkpoints(bed) == []


def test_a_restored_pods_image_is_judged_by_the_name_asked_for_too(own_bed, stand_in, tmp_path):
    policy, folder = tmp_path / "policy.json", tmp_path / "checkpoint"
    folder.mkdir()
    accept = {"default": [{"type": "insecureAcceptAnything"}]}
    policy.write_text(json.dumps(accept))
    bed = own_bed(runtime=stand_in.runtime,
                  settings='[images]\nsignature_policy = "%s"\n' % policy)
    pod = bed.run_pod("a")
    container = run_changed(bed, pod)
    by_digest = bed.cri.ImageStatus({"image": {"image": BUSYBOX}}).image.repo_digests[0]
    bed.cri.CheckpointPod({"pod_sandbox_id": pod, "output_path": str(folder),
                           "container_ids": [container]})
    bed.remove_pod(pod)
    bed.stop_engine()
    policy.write_text(json.dumps(
        {**accept, "transports": {"docker": {by_digest: [{"type": "reject"}]}}}))
    bed.start_engine()
    for image in ({"image": by_digest},
                  {"image": BUSYBOX, "user_specified_image": by_digest}):
        request = restore_request(bed, "b", folder, "c")
        request["container_configs"][0]["image"] = image
        message = refused(bed.cri.RestorePod, request, StatusCode.UNKNOWN)
        assert "SignatureValidationFailed: image %s" % by_digest in message
    assert not bed.cri.ListPodSandbox().items
    assert left_of_checkpoints(bed) == []
    assert bed.cri.RestorePod(restore_request(bed, "b", folder, "c")).restored_containers

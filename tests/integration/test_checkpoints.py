"""Checkpoints by CRIU itself: processes go on where they were."""

import json
import os

import pytest

from asking import shell
from checkpoints import (COUNTER, checkpoint, count, create_from, left_of_checkpoints, members,
                         must_run, needs_criu, text_of, wait_count)

pytestmark = [pytest.mark.berth, pytest.mark.host]


# As a kubelet asks for it. Restored processes have the numbers that they had: in a PID namespace of
# several containers another one's may have taken them.
OWN_PROCESSES = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}


@pytest.fixture(autouse=True)
def criu():
    needs_criu()


def run_counter(bed, pod, pod_name, name="c"):
    container = bed.run(pod, name, command=["sh", "-c", "echo mine > /tmp/mine; " + COUNTER],
                        linux=OWN_PROCESSES)
    wait_count(bed, pod_name, 5, name)
    return container


def test_a_container_goes_on_where_it_was(bed, pod, name, tmp_path):
    location = str(tmp_path / "archive.tar")
    container = run_counter(bed, pod, name)
    checkpoint(bed, container, location)
    at_least = count(bed, name)
    must_run(bed, container)
    wait_count(bed, name, at_least)
    assert {"dump.log", "stats-dump", "checkpoint/inventory.img"} <= set(members(location))
    written = [int(line.split(" ", 3)[3]) for line in
               text_of(location, "container.log").splitlines()]
    bed.remove_pod(pod)

    other = bed.run_pod(name + "-restored")
    restored = create_from(bed, other, "c", location, linux=OWN_PROCESSES)
    bed.cri.StartContainer({"container_id": restored})
    wait_count(bed, name + "-restored", written[-1])
    first = int(bed.log_lines(name + "-restored", "c")[0][3])
    assert first in range(written[-1], written[-1] + 5)  # neither from the start nor from later
    assert shell(bed, restored, "cat /tmp/mine") == "mine"
    assert left_of_checkpoints(bed) == []
    bed.cri.StopContainer({"container_id": restored, "timeout": 0})
    assert bed.wait_exit(restored).exit_code == 137


def test_a_pod_goes_on_where_it_was(bed, pod, name, tmp_path):
    containers = [run_counter(bed, pod, name, each) for each in ("one", "two")]
    bed.cri.CheckpointPod({"pod_sandbox_id": pod, "output_path": str(tmp_path),
                           "container_ids": containers}, timeout=120)
    for container in containers:
        must_run(bed, container)
    assert set(json.loads((tmp_path / "pod.options").read_text())["containers"]) == {"one", "two"}
    bed.remove_pod(pod)
    answer = bed.cri.RestorePod({
        "checkpoint_path": str(tmp_path), "config": bed.pod_config(name + "-restored"),
        "container_configs": [
            bed.container_config(each, linux=OWN_PROCESSES) for each in ("one", "two")]}, timeout=120)
    for each in answer.restored_containers:
        bed.cri.StartContainer({"container_id": each.container_id})
        wait_count(bed, name + "-restored", 5, each.name)
        first = int(bed.log_lines(name + "-restored", each.name)[0][3])
        assert first > 5
    assert left_of_checkpoints(bed) == []


def test_it_survives_the_daemon_between_create_and_start(own_bed, tmp_path):
    bed = own_bed()
    location = str(tmp_path / "archive.tar")
    checkpoint(bed, run_counter(bed, bed.run_pod("a"), "a"), location)
    restored = create_from(bed, bed.run_pod("b"), "c", location, linux=OWN_PROCESSES)
    os.unlink(location)
    bed.kill_engine()
    bed.start_engine()
    bed.cri.StartContainer({"container_id": restored})
    wait_count(bed, "b", 5)
    assert int(bed.log_lines("b", "c")[0][3]) > 5

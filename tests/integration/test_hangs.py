"""Programs that never answer: calls end in time and say where, others go on, repeated ones join,
and who gives up is left with nothing."""

import os
import subprocess
import time

import pytest

import engines
import grpc
from berth_testbed import wait_until
from holding import Holding

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
SECONDS = 2  # what a client has patience for
TOLERANCE = 3  # on a machine with much else to do


@pytest.fixture
def holding(tmp_path, monkeypatch):
    made = Holding(tmp_path, os.environ.get("BERTH_TEST_RUNTIME", "runc"))
    monkeypatch.setattr(engines, "CNI_BINARIES", made.cni)
    return made


@pytest.fixture
def bed(own_bed, holding):
    return own_bed(runtime=holding.runtime)


def ops(bed):
    """What `berth ops` lists."""
    program, config = bed.engine.command()[0], bed.engine.command()[-1]
    answer = subprocess.run([program, "ops", "--config", config], capture_output=True, text=True,
                            check=True, stdin=subprocess.DEVNULL, timeout=20)
    return answer.stdout.splitlines()[1:]  # below the titles


def runs_out(call, request, seconds=SECONDS):
    """Makes a call that has to end at its deadline; gives what it says."""
    begun = time.monotonic()
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=seconds)
    assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED, caught.value.details()
    assert time.monotonic() - begun < seconds + TOLERANCE
    return caught.value.details()


def others_go_on(bed, **pod):
    """A pod's whole life, beside what hangs."""
    begun = time.monotonic()
    other = bed.run_pod("other", **pod)
    container = bed.create(other, "app", command=SLEEP)
    bed.cri.StopPodSandbox({"pod_sandbox_id": other}, timeout=20)
    bed.cri.RemovePodSandbox({"pod_sandbox_id": other}, timeout=20)
    assert container not in [one.id for one in bed.cri.ListContainers().containers]
    assert time.monotonic() - begun < 20


def stage_of(bed, words):
    """The line of `berth ops` about an operation that has passed its client's deadline."""
    lines = [line for line in ops(bed) if words in line]
    assert len(lines) == 1, "a repeated call must join: %s" % ops(bed)
    assert float(lines[0].split()[0]) >= SECONDS - 1
    return lines[0]


def test_a_start_that_hangs(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    start = {"container_id": container}
    with holding.held("run"):
        runs_out(bed.cri.StartContainer, start)
        assert stage_of(bed, container)
        others_go_on(bed)
        runs_out(bed.cri.StartContainer, start)
        assert stage_of(bed, container)
        joined = bed.cri.StartContainer.future(start, timeout=60)
    joined.result()
    assert holding.times("run") == 1
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING


def test_a_start_that_hangs_is_given_up(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    with holding.held("run"):
        runs_out(bed.cri.StartContainer, {"container_id": container})
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod}, timeout=20)
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod}, timeout=20)
        assert not bed.cri.ListPodSandbox().items
        assert not bed.cri.ListContainers().containers
        wait_until(lambda: not bed.find_leaks(), what="nothing left of it")
        assert ops(bed) == []
        # The name is free.
        assert bed.run_pod("pod") != pod


def test_an_exec_that_hangs(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=SLEEP)
    with holding.held("exec"):
        begun = time.monotonic()
        with pytest.raises(grpc.RpcError) as caught:
            bed.exec(container, "true", timeout=1)
        assert caught.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED, caught.value.details()
        assert time.monotonic() - begun < 1 + TOLERANCE
        others_go_on(bed)
        assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(container, "true").exit_code == 0


@pytest.mark.parametrize("plugin, named", [
    ("bridge", "bridge"), ("portmap", "portmap"), ("host-local", "bridge")])  # which calls it
def test_a_network_that_hangs_when_a_pod_begins(bed, holding, plugin, named):
    config = bed.pod_config("pod", port_mappings=[
        {"protocol": 0, "container_port": 80, "host_port": 18080, "host_ip": "127.0.0.1"}])
    word = plugin + "-ADD"
    with holding.held(word):
        said = runs_out(bed.cri.RunPodSandbox, {"config": config})
        assert "CNI ADD " + named in said
        assert "CNI ADD " + named in stage_of(bed, "RunPodSandbox default/pod/")
        others_go_on(bed, linux={"security_context": {"namespace_options": {"network": "NODE"}}})
        joined = bed.cri.RunPodSandbox.future({"config": config}, timeout=60)
        wait_until(lambda: len(ops(bed)) == 1,
                   what="the repeated call to join")
    pod = joined.result().pod_sandbox_id
    assert holding.times(word) == 1
    assert [one.id for one in bed.cri.ListPodSandbox().items] == [pod]
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip


def test_a_network_that_hangs_when_a_pod_ends(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.run(pod, "app", command=SLEEP)
    stop = {"pod_sandbox_id": pod}
    with holding.held("bridge-DEL"):
        said = runs_out(bed.cri.StopPodSandbox, stop)
        assert "CNI DEL bridge" in said
        assert "CNI DEL bridge" in stage_of(bed, pod)
        # What was no matter of the network is done.
        assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
        others_go_on(bed, linux={"security_context": {"namespace_options": {"network": "NODE"}}})
        joined = bed.cri.StopPodSandbox.future(stop, timeout=60)
    joined.result()
    assert holding.times("bridge-DEL") == 1
    bed.cri.RemovePodSandbox(stop)


def test_a_snapshotter_that_hangs(own_bed, hanging_snapshotter):
    bed = own_bed(**hanging_snapshotter.options)
    pod = bed.run_pod("pod")
    bed.pull()
    create = {"pod_sandbox_id": pod, "config": bed.container_config("app", command=SLEEP),
              "sandbox_config": bed.pod_config("pod")}
    hanging_snapshotter.hold()
    assert "prepare the root filesystem" in runs_out(bed.cri.CreateContainer, create)
    assert stage_of(bed, pod + "/app")
    others_go_on(bed)
    runs_out(bed.cri.CreateContainer, create)
    assert stage_of(bed, pod + "/app")
    joined = bed.cri.CreateContainer.future(create, timeout=60)
    hanging_snapshotter.release()
    container = joined.result().container_id
    bed.cri.StartContainer({"container_id": container})
    assert bed.exec(container, "true").exit_code == 0


def test_what_nobody_comes_back_for_is_undone(bed, holding):
    """A minute after the client's deadline, though nothing has answered until then."""
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    with holding.held("run"), holding.held("bridge-ADD"):
        runs_out(bed.cri.StartContainer, {"container_id": container})
        runs_out(bed.cri.RunPodSandbox, {"config": bed.pod_config("forgotten")})
        addresses = bed.network.held_addresses()
        wait_until(lambda: not ops(bed), seconds=90, what="the end of both")
        assert [one.id for one in bed.cri.ListPodSandbox().items] == [pod]
        assert bed.network.held_addresses() == addresses
        assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    # The names are free, and nothing stands in the way.
    bed.cri.RemoveContainer({"container_id": container})
    bed.run(pod, "app", command=SLEEP)
    bed.remove_pod(bed.run_pod("forgotten"))


def test_a_daemon_ends_and_begins_beside_what_hangs(bed, holding):
    pod = bed.run_pod("pod")
    container = bed.create(pod, "app", command=SLEEP)
    running = bed.run(pod, "other", command=SLEEP)
    with holding.held("run"):
        runs_out(bed.cri.StartContainer, {"container_id": container})
        begun = time.monotonic()
        bed.stop_engine()
        bed.start_engine()
        assert time.monotonic() - begun < 20
        assert bed.status(running).state == bed.cri.messages.CONTAINER_RUNNING
        others_go_on(bed)
    bed.remove_pod(pod)

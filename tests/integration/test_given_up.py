"""Calls whose clients never come back, while a plugin hangs in them that nobody can interrupt:
their stage is told as long as that lasts, and once it answers all that they have made is undone."""

import pytest

from berth_testbed import wait_until
from engine_state import EngineState
from test_hangs import NODE_NETWORK, SECONDS, SLEEP, ops, others_go_on, runs_out

pytestmark = pytest.mark.berth
GRACE = 60  # for which a call goes on after its client's deadline


def line_of(bed, subject):
    """Of `berth ops`."""
    [line] = [line for line in ops(bed) if subject in line]
    return line


def give_up(bed, subjects):
    """Waits until nobody can join the calls any more and come by what they make."""
    def are_over():
        return all(float(line_of(bed, subject).split()[0]) > SECONDS + GRACE + 1
                   for subject in subjects)
    wait_until(are_over, seconds=GRACE + 20, what="the end of the calls' time")


def is_undone(bed, before):
    """The plugin has answered."""
    wait_until(lambda: not ops(bed), what="the end of the calls")
    assert EngineState(bed.engine).since(before) == []


def test_a_snapshotter_that_hangs_in_a_container_that_nobody_comes_back_for(
        own_bed, hanging_snapshotter):
    bed = own_bed(**hanging_snapshotter.options)
    pods = {callback: bed.run_pod(callback) for callback in ("snapshot_prepare", "snapshot_mount")}
    containers = {bed.run(pod, "first", command=SLEEP) for pod in pods.values()}
    others_go_on(bed)  # what is made only once is made before
    before = EngineState(bed.engine)

    def listed():
        return {one.id for one in bed.cri.ListContainers().containers}
    for callback, pod in pods.items():
        hanging_snapshotter.hold(callback)
        config = bed.container_config("app", command=SLEEP)
        runs_out(bed.cri.CreateContainer, {"pod_sandbox_id": pod, "config": config,
                                           "sandbox_config": bed.pod_config(callback)})
    give_up(bed, pods.values())
    assert hanging_snapshotter.holds()
    for pod in pods.values():
        assert "CreateContainer %s/app" % pod in line_of(bed, pod)
        assert "prepare the root filesystem" in line_of(bed, pod)
    assert listed() == containers
    others_go_on(bed)
    # One has no snapshot yet, and one is about to be mounted.
    assert EngineState(bed.engine).since(before)
    hanging_snapshotter.release()
    is_undone(bed, before)
    assert listed() == containers
    for pod in pods.values():
        assert bed.exec(bed.run(pod, "app", command=SLEEP), "true").exit_code == 0


def test_a_network_that_hangs_in_a_pod_that_nobody_comes_back_for(own_bed, hanging):
    network = hanging("hanging_network", "berth-network-cni", "networks.cni")
    bed = own_bed(**network.options)
    others_go_on(bed)
    before = EngineState(bed.engine)
    network.hold("attach")
    runs_out(bed.cri.RunPodSandbox, {"config": bed.pod_config("pod")})
    subject = "RunPodSandbox default/pod/"
    give_up(bed, [subject])
    assert network.holds() and len(bed.network.held_addresses()) == 1
    assert "CNI ADD" in line_of(bed, subject)
    assert not bed.cri.ListPodSandbox().items
    others_go_on(bed, linux=NODE_NETWORK)
    network.release()
    is_undone(bed, before)
    assert bed.find_leaks() == [] and not bed.cri.ListPodSandbox().items
    pod = bed.run_pod("pod")
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip

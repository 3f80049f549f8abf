"""UpdatePodSandboxResources: what a pod as a whole may use."""

import glob
import json
import os

import pytest

import grpc
import host
from grpc import StatusCode

MEBIBYTE = 1 << 20

pytestmark = pytest.mark.berth


def own_cgroup(bed, name):
    """As the kubelet names it: the pod's uid is in its last part."""
    return {"linux": {"cgroup_parent": bed.cgroups.own("pod-uid-" + name)}}


def control_file(bed, name, *names):
    """The content of the pod cgroup's file of one of these names: cgroup v1's and v2's differ."""
    for file_name in names:
        path = "%s/%s" % (bed.cgroups.own("pod-uid-" + name), file_name)
        for path in glob.glob(host.CGROUP_ROOT + path) + glob.glob(host.CGROUP_ROOT + "/*" + path):
            return host.read(path).strip()
    raise AssertionError("the pod's cgroup has none of " + ", ".join(names))


def memory_limit(bed, name):
    return control_file(bed, name, "memory.max", "memory.limit_in_bytes")


def update(bed, pod, **request):
    bed.cri.UpdatePodSandboxResources({"pod_sandbox_id": pod, **request})


def recorded(bed, pod):
    answer = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod, "verbose": True})
    info = json.loads(answer.info["info"])
    return [info.get(key, {}).get("linux", {}) for key in ("resources", "overhead")]


@pytest.mark.host
def test_limits_are_set_on_the_pods_cgroup(bed, name):
    pod = bed.run_pod(name, **own_cgroup(bed, name))
    bed.run(pod, "c", command=["sleep", "1000"])
    update(bed, pod, resources={"memory_limit_in_bytes": 96 * MEBIBYTE, "cpu_shares": 512,
                                "cpu_quota": 50000, "cpu_period": 100000},
           overhead={"memory_limit_in_bytes": 32 * MEBIBYTE})
    assert memory_limit(bed, name) == str(128 * MEBIBYTE)
    assert control_file(bed, name, "cpu.max", "cpu.cfs_quota_us") in ("50000 100000", "50000")
    # What is not given stays.
    update(bed, pod, resources={"memory_limit_in_bytes": 64 * MEBIBYTE})
    assert memory_limit(bed, name) == str(64 * MEBIBYTE)
    assert control_file(bed, name, "cpu.max", "cpu.cfs_quota_us") in ("50000 100000", "50000")


def test_they_are_kept_with_the_pod(own_bed):
    bed = own_bed()
    pod = bed.run_pod("a", **own_cgroup(bed, "a"))
    bed.run(pod, "c", command=["sleep", "1000"])
    update(bed, pod, resources={"memory_limit_in_bytes": 96 * MEBIBYTE, "cpu_shares": 512},
           overhead={"cpu_shares": 100})
    update(bed, pod, resources={"cpu_shares": 256})
    bed.kill_engine()
    bed.start_engine()
    resources, overhead = recorded(bed, pod)
    assert int(resources["memory_limit_in_bytes"]) == 96 * MEBIBYTE
    assert int(resources["cpu_shares"]) == 256
    assert int(overhead["cpu_shares"]) == 100


def refused(bed, pod, code, word, resources=None):
    with pytest.raises(grpc.RpcError) as caught:
        update(bed, pod, resources=resources or {"cpu_shares": 100})
    assert caught.value.code() == code, caught.value.details()
    assert word in caught.value.details()


@pytest.mark.host
def test_what_is_refused(bed, name):
    pod = bed.run_pod(name, **own_cgroup(bed, name))
    if bed.cgroups.driver == "cgroupfs":
        # systemd keeps limits of slices that are not there yet.
        refused(bed, pod, StatusCode.FAILED_PRECONDITION, "first container")
    bed.run(pod, "c", command=["sleep", "1000"])
    refused(bed, pod, StatusCode.INVALID_ARGUMENT, "cpu_quota", {"cpu_quota": -7})
    refused(bed, "f" * 64, StatusCode.NOT_FOUND, "f" * 64)
    refused(bed, "", StatusCode.INVALID_ARGUMENT, "id is empty")
    # The bed's own cgroup would hold other pods too.
    shared = bed.run_pod(name + "-shared")
    bed.run(shared, "c", command=["sleep", "1000"])
    refused(bed, shared, StatusCode.FAILED_PRECONDITION, os.path.basename(bed.cgroup_parent))
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    refused(bed, pod, StatusCode.FAILED_PRECONDITION, "not ready")
    assert "memory_limit_in_bytes" not in recorded(bed, pod)[0]

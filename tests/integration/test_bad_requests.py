"""Requests that cannot be right: each gets its code and a message that names what is wrong."""

import pytest

import grpc
from grpc import StatusCode
from image_set import BUSYBOX

UNKNOWN_ID = "f" * 64
SLEEP = ["sleep", "1000"]
BAD = StatusCode.INVALID_ARGUMENT
GONE = StatusCode.NOT_FOUND

pytestmark = pytest.mark.berth


def refuse(call, request, code, *words):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, timeout=30)
    message = caught.value.details()
    assert caught.value.code() == code, message
    for word in words:
        assert word in message


@pytest.mark.parametrize("call,request_", [
    ("PodSandboxStatus", {"pod_sandbox_id": UNKNOWN_ID}),
    ("ContainerStatus", {"container_id": UNKNOWN_ID}),
    ("StartContainer", {"container_id": UNKNOWN_ID}),
    ("ExecSync", {"container_id": UNKNOWN_ID, "cmd": ["true"]}),
    ("Exec", {"container_id": UNKNOWN_ID, "cmd": ["true"], "stdout": True}),
    ("Attach", {"container_id": UNKNOWN_ID, "stdout": True}),
    ("PortForward", {"pod_sandbox_id": UNKNOWN_ID, "port": [80]}),
    ("UpdatePodSandboxResources", {"pod_sandbox_id": UNKNOWN_ID, "resources": {"cpu_shares": 5}}),
    ("ReopenContainerLog", {"container_id": UNKNOWN_ID}),
    ("UpdateContainerResources", {"container_id": UNKNOWN_ID, "linux": {"cpu_shares": 5}}),
    ("ContainerStats", {"container_id": UNKNOWN_ID}),
    ("PodSandboxStats", {"pod_sandbox_id": UNKNOWN_ID})])
def test_unknown_ids(bed, call, request_):
    refuse(getattr(bed.cri, call), request_, GONE, UNKNOWN_ID)


@pytest.mark.parametrize("call", ["PodSandboxStatus", "StopPodSandbox", "RemovePodSandbox",
                                  "ContainerStatus", "StartContainer", "StopContainer",
                                  "RemoveContainer", "ExecSync", "ReopenContainerLog",
                                  "Exec", "Attach", "PortForward", "UpdatePodSandboxResources",
                                  "ContainerStats", "ImageStatus", "PullImage", "RemoveImage",
                                  "RunPodSandbox", "CreateContainer"])
def test_empty_requests(bed, call):
    refuse(getattr(bed.cri, call), {}, BAD)


@pytest.mark.parametrize("change,word", [
    ({"metadata": {"name": "", "namespace": "default", "uid": "u"}}, "name"),
    ({"metadata": {"name": "n", "namespace": "", "uid": "u"}}, "namespace"),
    ({"hostname": "x" * 200}, "hostname"),
    ({"log_directory": "relative/path"}, "log_directory"),
    ({"port_mappings": [{"container_port": 80, "host_port": 70000}]}, "70000"),
    ({"port_mappings": [{"container_port": 80, "host_port": 8080, "host_ip": "nonsense"}]},
     "nonsense"),
    ({"linux": {"sysctls": {"../../etc/passwd": "1"}}}, "../../etc/passwd"),
    ({"linux": {"cgroup_parent": "../outside"}}, "cgroup_parent"),
    ({"linux": {"security_context": {"namespace_options": {"pid": "TARGET"}}}}, "TARGET")])
def test_pod_configurations(bed, name, change, word):
    config = {**bed.pod_config(name), **change}
    refuse(bed.cri.RunPodSandbox, {"config": config}, BAD, word)
    assert not bed.cri.ListPodSandbox().items
    assert bed.find_leaks() == []


@pytest.mark.parametrize("call,change,word", [
    ("Exec", {"cmd": [], "stdout": True}, "cmd"),
    ("Exec", {"cmd": [""], "stdout": True}, "cmd"),
    ("Exec", {"cmd": ["true"]}, ""),
    ("Exec", {"cmd": ["true"], "tty": True, "stdout": True, "stderr": True}, ""),
    ("Attach", {}, ""),
    ("Attach", {"tty": True, "stdout": True, "stderr": True}, "")])
def test_streams_that_cannot_be(bed, pod, call, change, word):
    container = bed.run(pod, "c", command=SLEEP)
    refuse(getattr(bed.cri, call), {"container_id": container, **change}, BAD, word)


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_ports_that_cannot_be(bed, pod, port):
    refuse(bed.cri.PortForward, {"pod_sandbox_id": pod, "port": [port]}, BAD, str(port))


def test_ports_of_a_stopped_pod(bed, pod):
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    refuse(bed.cri.PortForward, {"pod_sandbox_id": pod}, StatusCode.FAILED_PRECONDITION, pod)


@pytest.mark.parametrize("cidr", ["nonsense", "10.0.0.0", "10.0.0.0/33", "10.0.0.0/8,fd00::/129"])
def test_pod_networks_that_cannot_be(bed, cidr):
    refuse(bed.cri.UpdateRuntimeConfig,
           {"runtime_config": {"network_config": {"pod_cidr": cidr}}}, BAD, cidr.split(",")[-1])


def test_unknown_runtime_handler(bed, name):
    refuse(bed.cri.RunPodSandbox, {"config": bed.pod_config(name), "runtime_handler": "no-such"},
           BAD, "no-such")


def test_unknown_runtime_handler_of_an_image(bed):
    refuse(bed.cri.PullImage, {"image": {"image": BUSYBOX, "runtime_handler": "no-such"}}, BAD,
           "no-such")


def test_two_dots_are_only_wrong_as_a_folder(bed, pod, name):
    container = bed.run(pod, "c", command=["echo", "told"], log_path="a..b.log")
    bed.wait_exit(container)
    with open(bed.status(container).log_path, encoding="utf-8") as log:
        assert log.read().endswith(" told\n")


@pytest.mark.parametrize("change,code,word", [
    ({"metadata": {"name": ""}}, BAD, "name"),
    ({"image": {"image": ""}}, BAD, "image"),
    ({"image": {"image": "images.berth.test/never-pulled:1"}}, GONE, "never-pulled"),
    ({"log_path": "../../outside.log"}, BAD, "log_path"),
    ({"working_dir": "relative"}, BAD, "working directory"),
    ({"envs": [{"key": "", "value": "x"}]}, BAD, "env"),
    ({"envs": [{"key": "A=B", "value": "x"}]}, BAD, "A=B"),
    ({"mounts": [{"host_path": "/tmp", "container_path": ""}]}, BAD, "container_path"),
    ({"mounts": [{"host_path": "/tmp", "container_path": "relative"}]}, BAD, "relative"),
    ({"devices": [{"host_path": "/dev/no-such-device", "container_path": "/dev/x",
                   "permissions": "rwm"}]}, BAD, "/dev/no-such-device"),
    ({"linux": {"security_context": {"run_as_group": {"value": 5}}}}, BAD, "user group"),
    ({"linux": {"security_context": {"run_as_username": "no-such-user"}}}, BAD, "no-such-user"),
    ({"linux": {"security_context": {"capabilities": {"add_capabilities": ["NO_SUCH"]}}}}, BAD,
     "NO_SUCH"),
    ({"linux": {"security_context": {"seccomp": {"profile_type": "Localhost",
                                                 "localhost_ref": "/no/such/profile.json"}}}},
     BAD, "/no/such/profile.json"),
    ({"linux": {"resources": {"cpuset_cpus": "nonsense"}}}, BAD, "nonsense")])
def test_container_configurations(bed, name, pod, change, code, word):
    bed.pull()
    config = {**bed.container_config("c", command=SLEEP), **change}
    refuse(bed.cri.CreateContainer, {"pod_sandbox_id": pod, "config": config,
                                     "sandbox_config": bed.pod_config(name)}, code, word)
    assert not bed.cri.ListContainers({"filter": {"pod_sandbox_id": pod}}).containers


def test_container_in_an_unknown_pod(bed, name):
    bed.pull()
    refuse(bed.cri.CreateContainer, {
        "pod_sandbox_id": UNKNOWN_ID, "config": bed.container_config("c", command=SLEEP),
        "sandbox_config": bed.pod_config(name)}, GONE, UNKNOWN_ID)


def test_container_in_a_stopped_pod(bed, name, pod):
    bed.pull()
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    refuse(bed.cri.CreateContainer, {
        "pod_sandbox_id": pod, "config": bed.container_config("c", command=SLEEP),
        "sandbox_config": bed.pod_config(name)}, StatusCode.FAILED_PRECONDITION)


def test_command_that_is_not_there_fails_at_start(bed, pod):
    container = bed.create(pod, "c", command=["/no/such/program"])
    refuse(bed.cri.StartContainer, {"container_id": container}, StatusCode.FAILED_PRECONDITION,
           "/no/such/program")
    status = bed.status(container)
    assert status.state == bed.cri.messages.CONTAINER_EXITED
    assert status.exit_code in (127, 128)
    bed.cri.RemoveContainer({"container_id": container})


def test_exec_without_a_command(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    refuse(bed.cri.ExecSync, {"container_id": container, "cmd": []}, BAD, "cmd")


def test_stop_with_a_negative_grace_period(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    refuse(bed.cri.StopContainer, {"container_id": container, "timeout": -5}, BAD, "timeout")
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING


def test_a_prefix_of_two_ids_is_ambiguous(bed, name):
    pods = [bed.run_pod("%s-%d" % (name, number)) for number in range(20)]
    shared = next(pod[0] for pod in pods if sum(other[0] == pod[0] for other in pods) > 1)
    refuse(bed.cri.PodSandboxStatus, {"pod_sandbox_id": shared}, BAD, shared)

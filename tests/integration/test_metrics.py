"""Metrics and statistics as the kubelet collects them, and what verbose statuses tell."""

import json
import os
import time

import grpc
import pytest

from asking import CRUN, verbose
from berth_testbed import wait_until
from image_set import BUSYBOX

SLEEP = ["sleep", "1000"]
MEBIBYTE = 1 << 20
# Container name, cgroup, image, CRI id, namespace, pod.
BASE_LABELS = ["container", "id", "image", "name", "namespace", "pod"]

pytestmark = pytest.mark.berth


class Metrics:
    """One answer of ListPodSandboxMetrics, looked into by pod or container."""

    def __init__(self, bed, pods=None):
        self.pods = bed.cri.ListPodSandboxMetrics().pod_metrics if pods is None else pods
        self.descriptors = {d.name: d for d in bed.cri.ListMetricDescriptors().descriptors}
        self.subjects = {}
        for pod in self.pods:
            self.subjects[pod.pod_sandbox_id] = pod.metrics
            for container in pod.container_metrics:
                self.subjects[container.container_id] = container.metrics

    def series(self, subject, name):
        """The values of a metric, by the values of its own labels."""
        return {tuple(m.label_values[len(BASE_LABELS):]): m.value.value
                for m in self.subjects[subject] if m.name == name}

    def value(self, subject, name, *labels):
        return self.series(subject, "container_" + name)[labels]

    def labels(self, subject):
        metric = self.subjects[subject][0]
        return dict(zip(self.descriptors[metric.name].label_keys, metric.label_values))


def hierarchies():
    root = "/sys/fs/cgroup"
    if os.path.exists(root + "/cgroup.controllers"):
        return [root]
    return [os.path.join(root, name) for name in os.listdir(root)]


def test_descriptors_are_unique_and_fit_every_metric(bed, pod):
    bed.run(pod, "c", command=SLEEP)
    names = [d.name for d in bed.cri.ListMetricDescriptors().descriptors]
    assert len(names) == len(set(names))
    metrics = Metrics(bed)
    seen = set()
    for subject in metrics.subjects.values():
        for metric in subject:
            descriptor = metrics.descriptors[metric.name]
            assert len(metric.label_values) == len(descriptor.label_keys), metric.name
            assert list(descriptor.label_keys[:len(BASE_LABELS)]) == BASE_LABELS
            assert metric.HasField("value"), metric.name
            series = (metric.name, *metric.label_values)
            assert series not in seen
            seen.add(series)


def test_the_essential_metrics_are_there(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    metrics = Metrics(bed)
    usual = {"container_" + name for name in (
        "last_seen", "start_time_seconds", "cpu_usage_seconds_total", "cpu_user_seconds_total",
        "cpu_system_seconds_total", "memory_usage_bytes", "memory_working_set_bytes", "memory_rss",
        "memory_cache", "memory_failcnt", "memory_failures_total", "oom_events_total", "processes",
        "threads", "threads_max", "file_descriptors", "sockets", "tasks_state",
        "spec_cpu_period", "spec_cpu_shares", "spec_memory_limit_bytes")}
    assert usual <= {m.name for m in metrics.subjects[container]}
    assert usual <= {m.name for m in metrics.subjects[pod]}
    assert {"container_ulimits_soft", "container_fs_limit_bytes"} <= \
        {m.name for m in metrics.subjects[container]}
    # The network is the pod's.
    assert not metrics.series(container, "container_network_receive_bytes_total")
    assert set(metrics.series(pod, "container_network_receive_bytes_total")) == {("eth0",)}


def test_labels_name_the_container_and_its_pod(bed, pod, name):
    container = bed.run(pod, "c", command=SLEEP)
    metrics = Metrics(bed)
    labels = metrics.labels(container)
    cgroup = labels.pop("id")
    assert labels == {"container": "c", "image": BUSYBOX, "name": container,
                      "namespace": "default", "pod": name}
    assert any(os.path.isdir(root + cgroup) for root in hierarchies()), cgroup
    labels = metrics.labels(pod)
    assert labels.pop("id") == bed.cgroup_parent
    assert labels == {"container": "", "image": "", "name": pod, "namespace": "default",
                      "pod": name}


@pytest.mark.host
def test_a_pod_with_a_cgroup_of_its_own(bed, name):
    """As the kubelet makes them: the pod's metrics are those of its cgroup."""
    parent = bed.cgroups.own("poduid-" + name)
    pod = bed.run_pod(name, linux={"cgroup_parent": parent})
    containers = [bed.run(pod, key, command=SLEEP) for key in "ab"]

    def begun():
        metrics = Metrics(bed)
        # Until the programs have taken their places, the runtime's descriptors and threads count.
        found = [(metrics.value(container, "file_descriptors"), metrics.value(container, "threads"))
                 for container in containers]
        return metrics if found == [(3, 1)] * 2 else None
    metrics = wait_until(begun, what="both programs")
    assert metrics.labels(pod)["id"] == parent
    assert metrics.labels(containers[0])["id"] == bed.cgroups.of_container(parent, containers[0])
    for metric in ("processes", "threads", "file_descriptors", "memory_usage_bytes"):
        parts = [metrics.value(container, metric) for container in containers]
        whole = metrics.value(pod, metric)
        assert whole == sum(parts) if metric != "memory_usage_bytes" else whole >= sum(parts) / 2
    assert metrics.value(pod, "memory_max_usage_bytes") > 0
    stats = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux
    assert stats.process.process_count.value == 2


def test_cpu_time_rises_while_a_container_is_busy(bed, pod):
    container = bed.run(pod, "c", command=["sh", "-c", "while :; do :; done"])

    def used(metrics):
        return metrics.value(container, "cpu_usage_seconds_total", "total")
    before = used(Metrics(bed))
    later = wait_until(lambda: (lambda m: m if used(m) >= before + 2 else None)(Metrics(bed)), 60,
                       "two seconds of CPU time")
    assert later.value(pod, "cpu_usage_seconds_total", "total") >= used(later) - 1
    assert later.value(container, "cpu_user_seconds_total") >= 1
    assert later.value(container, "tasks_state", "running") == 1
    assert later.value(container, "cpu_load_average_10s") > 0
    rate = bed.cri.ContainerStats({"container_id": container}).stats.cpu
    time.sleep(1)
    rate = bed.cri.ContainerStats({"container_id": container}).stats.cpu
    assert 0 < rate.usage_nano_cores.value < 1_100_000_000
    pod_rate = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux.cpu
    assert pod_rate.usage_core_nano_seconds.value > 2_000_000_000


@pytest.mark.host
def test_memory_that_is_taken_shows(bed, pod):
    # Each dd waits with its block nearly full; such a block is too small for a huge page.
    script = ("read go; for i in $(seq 30); do (head -c 999000 /dev/zero; exec sleep 1000) | "
              "dd bs=1000000 count=1 iflag=fullblock of=/dev/null & done; wait")
    container = bed.run(pod, "c", command=["sh", "-c", "mkfifo /go; (%s) < /go" % script], linux={
        "resources": {"memory_limit_in_bytes": 256 * MEBIBYTE}})
    before = Metrics(bed).value(container, "memory_rss")
    wait_until(lambda: bed.exec(container, "test", "-p", "/go").exit_code == 0, what="the fifo")
    bed.exec(container, "sh", "-c", "echo > /go")

    def taken():
        metrics = Metrics(bed)
        # The kernel counts faults a moment later than pages (cgroup v2).
        faults = metrics.value(container, "memory_failures_total", "pgfault", "container")
        usage = metrics.value(container, "memory_max_usage_bytes")
        return metrics if usage > before + 29_000_000 and faults > 7000 else None
    metrics = wait_until(taken, what="the memory to be taken")
    assert metrics.value(container, "spec_memory_limit_bytes") == 256 * MEBIBYTE
    memory = bed.cri.ContainerStats({"container_id": container}).stats.memory
    assert memory.available_bytes.value == 256 * MEBIBYTE - memory.working_set_bytes.value
    assert memory.usage_bytes.value >= memory.working_set_bytes.value >= memory.rss_bytes.value / 2
    assert memory.page_faults.value > 7000


@pytest.mark.parametrize("seen", [
    test_descriptors_are_unique_and_fit_every_metric, test_the_essential_metrics_are_there,
    test_cpu_time_rises_while_a_container_is_busy, test_memory_that_is_taken_shows])
@pytest.mark.parametrize("runtime", [CRUN])
def test_containers_of_the_other_runtime(own_bed, name, runtime, seen):
    bed = own_bed(runtime=runtime)
    seen(bed, bed.run_pod(name))


def test_network_traffic_is_counted_on_the_pod(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    gateway = bed.network.subnet.rsplit(".", 1)[0] + ".1"

    def counted(metrics):
        return [metrics.value(pod, "network_%s_total" % what, "eth0")
                for what in ("transmit_bytes", "receive_bytes", "transmit_packets")]
    before = counted(Metrics(bed))
    answer = bed.exec(container, "ping", "-c", "3", "-i", "0.1", "-s", "1000", gateway)
    assert answer.exit_code == 0, answer
    after = counted(Metrics(bed))
    assert after[0] >= before[0] + 3000 and after[1] >= before[1] + 3000
    assert after[2] >= before[2] + 3
    usage = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux.network
    assert usage.timestamp > 0
    assert usage.default_interface.name == "eth0"
    assert usage.default_interface.tx_bytes.value >= after[0]
    # The default one is not listed again, nor the loopback at all.
    assert not usage.interfaces


def test_host_network_pods_have_no_network_metrics(bed, name):
    pod = bed.run_pod(name, linux={"security_context": {"namespace_options": {"network": 2}}})
    metrics = Metrics(bed)
    assert not metrics.series(pod, "container_network_receive_bytes_total")
    assert not bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux.HasField("network")


def test_processes_and_descriptors_are_counted(bed, pod):
    script = "exec 5</etc/passwd 6</etc/passwd; sleep 1000 & sleep 1000 & wait"
    first = bed.run(pod, "a", command=["sh", "-c", script])
    second = bed.run(pod, "b", command=SLEEP)

    def begun():
        metrics = Metrics(bed)
        # A program that takes its place just now has some of the runtime's descriptors for a moment.
        return metrics if (metrics.value(first, "processes") == 3
                           and metrics.value(first, "file_descriptors") == 15
                           and metrics.value(second, "file_descriptors") == 3) else None
    # Three standard streams in each, and two files in those of the first.
    metrics = wait_until(begun, what="three processes and their descriptors")
    assert metrics.value(first, "threads") == 3
    assert metrics.value(pod, "file_descriptors") == 18
    assert metrics.value(pod, "processes") == 4
    assert metrics.value(first, "ulimits_soft", "max_open_files") > 0
    stats = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux
    assert stats.process.process_count.value == 4


def test_the_writable_layer_is_measured_in_the_background(bed, pod):
    container = bed.run(pod, "c", command=["sh", "-c",
                                           "head -c 3000000 /dev/zero > /file; exec sleep 1000"])

    def layer():
        found = bed.cri.ContainerStats({"container_id": container}).stats.writable_layer
        return found if found.used_bytes.value >= 3_000_000 else None
    usage = wait_until(layer, 40, "the written file to be measured")
    assert usage.inodes_used.value >= 1
    assert abs(time.time() - usage.timestamp / 1e9) < 60
    systems = bed.cri.ImageFsInfo()
    assert usage.fs_id.mountpoint == systems.image_filesystems[0].fs_id.mountpoint
    assert [s.fs_id.mountpoint for s in systems.container_filesystems] == \
        [s.fs_id.mountpoint for s in systems.image_filesystems]
    metrics = Metrics(bed)
    used = metrics.series(container, "container_fs_usage_bytes")
    assert len(used) == 1 and list(used.values())[0] >= 3_000_000
    limit = metrics.series(container, "container_fs_limit_bytes")
    assert limit.keys() == used.keys() and list(limit.values())[0] > 3_000_000
    kept = [m for m in metrics.subjects[container] if m.timestamp != 0]
    assert [m.name for m in kept] == ["container_fs_usage_bytes"]


def test_containers_that_do_not_run(bed, pod):
    created = bed.create(pod, "created", command=SLEEP)
    ended = bed.run(pod, "ended", command=["true"])
    bed.wait_exit(ended)
    metrics = Metrics(bed)
    assert pod in metrics.subjects
    assert created not in metrics.subjects and ended not in metrics.subjects
    for container in (created, ended):
        stats = bed.cri.ContainerStats({"container_id": container}).stats
        assert stats.attributes.id == container
        assert not stats.HasField("cpu") and not stats.HasField("memory")
        wait_until(lambda: bed.cri.ContainerStats(
            {"container_id": container}).stats.HasField("writable_layer"), what="its layer")
    listed = bed.cri.ListContainerStats({"filter": {"pod_sandbox_id": pod}}).stats
    assert {s.attributes.id for s in listed} == {created, ended}
    members = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats.linux.containers
    assert {s.attributes.id for s in members} == {created, ended}


def test_stopped_pods_have_no_metrics(bed, name):
    pod = bed.run_pod(name)
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    assert pod not in Metrics(bed).subjects
    stats = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats
    assert stats.attributes.id == pod and not stats.linux.HasField("cpu")


def test_the_stream_has_each_pod_once(bed, name):
    pods = {bed.run_pod("%s-%d" % (name, i)) for i in range(3)}
    answers = list(bed.cri.StreamPodSandboxMetrics())
    streamed = [pod for answer in answers for pod in answer.pod_sandbox_metrics]
    assert all(answer.pod_sandbox_metrics for answer in answers)
    assert sorted(p.pod_sandbox_id for p in streamed) == sorted(pods)
    unary = Metrics(bed)
    stream = Metrics(bed, streamed)
    for pod in pods:
        assert [m.name for m in unary.subjects[pod]] == [m.name for m in stream.subjects[pod]]


def test_an_empty_stream_ends(bed):
    assert list(bed.cri.StreamPodSandboxMetrics()) == []


# What verbose statuses tell.

def test_inspecting_a_container(bed, pod):
    container = bed.create(pod, "c", command=SLEEP, envs=[{"key": "A", "value": "b"}],
                           labels={"app": "shop"})
    info = verbose(bed.cri.ContainerStatus, {"container_id": container})
    assert info["pid"] == 0 and info["sandboxID"] == pod
    bed.cri.StartContainer({"container_id": container})
    info = verbose(bed.cri.ContainerStatus, {"container_id": container})
    assert os.path.exists("/proc/%d" % info["pid"])
    assert info["snapshotKey"] == container and info["snapshotter"] == "overlay"
    assert info["runtimeType"] == "runtime-runc"
    assert info["runtimeOptions"]["path"] == bed.runtime
    assert info["privileged"] is False
    assert info["config"]["metadata"] == {"name": "c"}
    assert info["config"]["labels"] == {"app": "shop"}
    assert info["config"]["envs"] == [{"key": "A", "value": "b"}]
    spec = info["runtimeSpec"]
    assert spec["ociVersion"].startswith("1.")
    assert spec["process"]["args"] == SLEEP and "A=b" in spec["process"]["env"]
    assert os.path.isdir(spec["root"]["path"])
    assert {"pid", "network", "mount"} <= {n["type"] for n in spec["linux"]["namespaces"]}
    assert spec["linux"]["cgroupsPath"].endswith(container)


def test_inspecting_a_pod(bed, name):
    pod = bed.run_pod(name, hostname="web", annotations={"who": "me"})
    info = verbose(bed.cri.PodSandboxStatus, {"pod_sandbox_id": pod})
    assert info["pid"] == 0  # nothing runs in it
    assert info["processStatus"] == "running" and info["netNamespaceClosed"] is False
    assert info["config"]["hostname"] == "web"
    assert info["runtimeType"] == "runtime-runc"
    namespaces = {n["type"]: n["path"] for n in info["runtimeSpec"]["linux"]["namespaces"]}
    assert os.path.exists(namespaces["network"])
    assert info["runtimeSpec"]["annotations"] == {"who": "me"}
    assert info["runtimeSpec"]["linux"]["cgroupsPath"] == bed.cgroup_parent
    addresses = [ip["address"] for ip in info["cniResult"]["ips"]]
    status = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status
    assert status.network.ip + "/24" in addresses
    # By the container's process the namespaces can be entered.
    container = bed.run(pod, "c", command=SLEEP)
    pid = verbose(bed.cri.PodSandboxStatus, {"pod_sandbox_id": pod})["pid"]
    assert pid == verbose(bed.cri.ContainerStatus, {"container_id": container})["pid"]
    assert os.stat("/proc/%d/ns/net" % pid).st_ino == os.stat(namespaces["network"]).st_ino
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    info = verbose(bed.cri.PodSandboxStatus, {"pod_sandbox_id": pod})
    assert (info["pid"], info["processStatus"]) == (0, "deleted")
    assert info["netNamespaceClosed"] is True


def test_inspecting_an_image(bed):
    bed.pull(BUSYBOX)
    answer = bed.cri.ImageStatus({"image": {"image": BUSYBOX}, "verbose": True})
    info = json.loads(answer.info["info"])
    assert info["imageSpec"]["config"]["Cmd"] == ["sh"]
    assert info["imageSpec"]["rootfs"]["type"] == "layers"
    assert info["chainID"].startswith("sha256:") and info["manifestDigest"].startswith("sha256:")
    assert not bed.cri.ImageStatus({"image": {"image": BUSYBOX}}).info


@pytest.mark.host
def test_the_engines_own_status(bed):
    answer = bed.cri.Status({"verbose": True})
    info = {key: json.loads(value) for key, value in answer.info.items()}
    config = info["config"]
    assert config["grpc"]["socket"] == bed.engine.socket
    assert config["rootDir"] == config["root"] == bed.engine.root
    assert config["runtimes"]["runc"]["options"]["path"] == bed.runtime
    assert info["runtimes"]["runc"]["binary"] == bed.runtime
    assert info["lastCNILoadStatus"] == "OK"
    assert info["host"]["cgroupVersion"] in (1, 2)
    handlers = [h.name for h in answer.runtime_handlers]
    assert sorted(handlers) == sorted(set(handlers)) and {"", "runc"} <= set(handlers)
    driver = bed.cri.RuntimeConfig().linux.cgroup_driver
    name = bed.cri.messages.CgroupDriver.Name(driver).lower()
    assert info["host"]["cgroupDriver"] == name
    assert not bed.cri.Status().info


def test_metrics_of_a_pod_that_goes_meanwhile(bed, name):
    """Collecting goes on while pods come and go."""
    pod = bed.run_pod(name)
    bed.run(pod, "c", command=SLEEP)
    calls = [bed.cri.ListPodSandboxMetrics.future() for _ in range(4)]
    bed.remove_pod(pod)
    for call in calls:
        assert call.result() is not None
    with pytest.raises(grpc.RpcError) as caught:
        bed.cri.PodSandboxStats({"pod_sandbox_id": pod})
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND

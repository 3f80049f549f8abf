"""What the daemon tells of its work: metrics, timelines, its status, spans in its log."""

import contextlib
import html.parser
import json
import os
import pathlib
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request

import pytest

import grpc
import streams
from berth_testbed import TestBed, wait_until
from image_set import BUSYBOX, NGINX

pytestmark = pytest.mark.berth
SOURCE = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Node:
    def __init__(self, own_bed, settings="", **more):
        self.port = free_port()
        self.bed = own_bed(settings="[metrics]\nport = %d\n%s" % (self.port, settings), **more)

    def text(self):
        """What a scrape gives."""
        url = "http://127.0.0.1:%d/metrics" % self.port
        with urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    def scrape(self):
        """Series with their values."""
        found = {}
        for line in self.text().splitlines():
            if line and not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                found[series] = float(value)
        return found

    def run(self, *arguments, code=0):
        command = self.bed.engine.command()
        answer = subprocess.run([command[0], *arguments, "--config", command[-1]],
                                capture_output=True, text=True, check=False,
                                stdin=subprocess.DEVNULL, timeout=60)
        assert answer.returncode == code, answer.stderr
        return answer.stdout if code == 0 else answer.stderr


@pytest.fixture
def node(own_bed):
    return Node(own_bed)


def value(series, name, **labels):
    """The sum of the series that have these labels."""
    wanted = ['%s="%s"' % item for item in labels.items()]
    found = [number for one, number in series.items()
             if one.partition("{")[0] == name and all(label in one for label in wanted)]
    assert found, "no %s with %s" % (name, labels)
    return sum(found)


def test_metrics_of_pulls(node):
    names = ("berth_fetched_layers_total", "berth_fetched_layer_bytes_total")
    node.bed.pull(BUSYBOX)
    before = node.scrape()
    node.bed.pull(NGINX)
    known, layers = ({layer["digest"]: layer["size"]
                      for layer in node.bed.registry.manifest(image)["layers"]}
                     for image in (BUSYBOX, NGINX))
    fetched = [size for digest, size in layers.items() if digest not in known]
    after = node.scrape()
    assert [value(after, name) - value(before, name) for name in names] == \
        [len(fetched), sum(fetched)]
    for turn in ("download", "unpack"):
        assert value(after, "berth_waiting_layers", turn=turn) == 0


def test_metrics_of_a_pods_life(node):
    bed = node.bed
    pod = bed.run_pod("web")
    container = bed.run(pod, "app", command=["sleep", "1000"])
    created = bed.create(pod, "later", command=["sleep", "1000"])
    with pytest.raises(grpc.RpcError):
        bed.cri.ContainerStatus({"container_id": "no-such-container"})
    series = node.scrape()
    assert value(series, "berth_pods", state="ready") == 1
    assert value(series, "berth_containers", state="running") == 1
    assert value(series, "berth_containers", state="created") == 1
    assert value(series, "berth_images") == len(bed.cri.ListImages({}).images)
    assert value(series, "berth_calls_total", method="RunPodSandbox", code="OK") == 1
    assert value(series, "berth_calls_total", method="ContainerStatus", code="NOT_FOUND") == 1
    assert value(series, "berth_call_seconds_count", method="CreateContainer") == 2
    assert value(series, "berth_stage_seconds_count", operation="RunPodSandbox",
                 stage="CNI ADD bridge") == 1
    assert value(series, "berth_plugin_calls_total", kind="network", result="ok") >= 1
    took = value(series, "berth_call_seconds_sum", method="RunPodSandbox")
    stages = value(series, "berth_stage_seconds_sum", operation="RunPodSandbox")
    # Nearly all of its time; an operation tidies up after it has answered.
    assert 0.8 * took < stages < 1.1 * took
    assert value(series, "process_resident_memory_bytes") > 1 << 20
    assert value(series, "process_open_fds") > 3
    assert -2 < time.time() - value(series, "process_start_time_seconds") < 120

    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.cri.RemoveContainer({"container_id": created})
    series = node.scrape()
    assert value(series, "berth_containers", state="exited") == 1
    # A state that nothing is in is told too.
    assert value(series, "berth_containers", state="created") == 0
    assert value(series, "berth_containers", state="unknown") == 0
    assert value(series, "berth_pods", state="not_ready") == 0
    assert value(series, "berth_worker_threads", state="busy") >= 0


def test_a_session_is_no_operation_that_hangs(node):
    """An alert on the oldest operation would tell of each `kubectl exec -it`."""
    bed = node.bed
    container = bed.run(bed.run_pod("web"), "app", command=["sleep", "1000"])
    url = bed.cri.Exec({"container_id": container, "cmd": ["cat"], "stdin": True,
                        "stdout": True}).url
    with streams.open("websocket", url, ("stdin", "stdout")):
        def age():
            found = re.search(r"^ *([\d.]+) .*exec in container " + container, node.run("ops"),
                              re.MULTILINE)
            return found and float(found[1]) > 2
        wait_until(age, what="an old session among what is under way")
        series = node.scrape()
        assert value(series, "berth_exec_sessions") == 1
        assert all(number < 2 for one, number in series.items()
                   if one.startswith("berth_oldest_operation_seconds{"))
    wait_until(lambda: value(node.scrape(), "berth_exec_sessions") == 0, what="the session's end")


def test_what_is_under_way_is_told_by_its_kind(node):
    bed = node.bed
    container = bed.run(bed.run_pod("web"), "app", command=["sh", "-c", "trap '' TERM; sleep 1000"])
    stop = bed.cri.StopContainer.future({"container_id": container, "timeout": 4})
    kind = {"operation": "StopContainer"}
    wait_until(lambda: value(node.scrape(), "berth_oldest_operation_seconds", **kind) > 1
               if "berth_operations{operation=\"StopContainer\"}" in node.scrape() else False,
               what="the operation's age")
    series = node.scrape()
    assert value(series, "berth_operations", **kind) == 1
    assert value(series, "berth_oldest_operation_seconds", operation="other") < 1
    stop.result()
    # It stays, so that what is drawn of it has an end.
    wait_until(lambda: value(node.scrape(), "berth_operations", **kind) == 0, what="its end")
    assert value(node.scrape(), "berth_oldest_operation_seconds", **kind) == 0


def documented():
    """{metric: labels} of the table in docs/observing.md."""
    found = {}
    for line in (SOURCE / "docs/observing.md").read_text(encoding="utf-8").splitlines():
        if re.match(r"\| `(berth|process|exposer)_", line):
            names, labels = line.split("|")[1:3]
            for one in re.findall("`([^`]+)`", names):
                assert one not in found, one
                found[one] = set(re.findall("`([^`]+)`", labels))
    return found


def served(text):
    """{metric: (type, labels)}, of which each must have its HELP and its TYPE."""
    helps = dict(re.findall(r"^# HELP (\S+) (.+)$", text, re.MULTILINE))
    types = dict(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    assert sorted(helps) == sorted(types)
    found = {name: (kind, set()) for name, kind in types.items()}
    ends = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("", "_sum", "_count")}
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        name, labels = re.match(r"(\w+)(?:\{(.*)\})? ", line).groups()
        [metric] = [one for one, kind in types.items()
                    if name in [one + end for end in ends.get(kind, ("",))]]
        found[metric][1].update(re.findall(r'(\w+)="', labels or ""))
    return {name: (kind, labels - {"le", "quantile"}) for name, (kind, labels) in found.items()}


def test_what_is_served_is_what_is_documented(node):
    node.bed.run(node.bed.run_pod("web"), "app", command=["sleep", "1000"])
    node.text()  # what counts scrapes has something to tell from the first one on
    metrics = served(node.text())
    assert {name: labels for name, (_, labels) in metrics.items()} == documented()
    for name, (kind, _) in metrics.items():
        assert (kind == "counter") == name.endswith("_total"), name


def test_without_a_port_nobody_listens(own_bed):
    bed = own_bed()
    listening = subprocess.run(["ss", "-Hltnp"], capture_output=True, text=True, check=True).stdout
    ports = re.findall(r":(\d+) .*pid=%d," % bed.pid, listening)
    assert len(ports) == 1, "more than the streaming port: %s" % listening


def test_a_port_that_is_taken_stops_the_start():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with contextlib.closing(TestBed(settings="[metrics]\nport = %d\n" % port)) as bed:
            with pytest.raises(RuntimeError,
                               match=r"metrics\.port: listen on 127\.0\.0\.1 port %d: " % port):
                bed.start()


def explained(node, name, words):
    """What is told of the pod, once there is this in it: a call may be answered a moment before its
    operation has ended."""
    def told():
        text = node.run("explain", "pod", name)
        return text if re.search(words, text, re.MULTILINE) else None
    return wait_until(told, what="what is told of " + words)


def test_where_the_time_of_a_pod_went(node, tmp_path):
    bed = node.bed
    pod = bed.run_pod("web")
    container = bed.run(pod, "app", command=["sleep", "1000"])
    bed.run_pod("other")
    for name in (pod, pod[:12], container, "default/web", "web"):
        text = explained(node, name, "^StartContainer ")
        operations = re.findall(r"^(\w+) ", text, re.MULTILINE)
        assert operations == ["RunPodSandbox", "CreateContainer", "StartContainer"], name
    # Without gaps: the stages of an operation are all of its time.
    for block in text.split("\n\n"):
        whole = float(re.search(r", ([\d.]+) ms$", block, re.MULTILINE)[1])
        stages = [float(ms) for ms in re.findall(r"^ +([\d.]+) ms \|", block, re.MULTILINE)]
        assert abs(sum(stages) - whole) < 0.01 * len(stages)
    assert "| CNI ADD bridge" in text

    page = tmp_path / "pod.html"
    assert node.run("explain", "pod", "web", "--html", str(page)) == ""
    content = page.read_text()
    html.parser.HTMLParser().feed(content)
    assert content.count("<svg") == 4 and "CNI ADD bridge" in content
    # Each chart has an axis from 0 to at most its whole time, in steps that are all the same.
    for chart in re.findall(r"<svg.*?</svg>", content, re.DOTALL):
        labels = re.findall(r"<text [^>]*>([\d.]+)( ms)?</text>", chart)
        ticks = [float(number) for number, _ in labels]
        assert 2 < len(ticks) <= 11 and labels[-1][1] == " ms"
        assert ticks == pytest.approx([ticks[1] * count for count in range(len(ticks))])
    # It needs nothing but itself.
    assert not re.search(r"(src|href)=|url\(|@import", content)

    bed.remove_pod(pod)
    explained(node, pod, "^RemovePodSandbox ")
    assert "nothing is remembered" in node.run("explain", "pod", "nobody", code=1)


def test_the_pulls_of_a_pod(node):
    bed = node.bed
    pod = bed.run_pod("web")
    bed.run_pod("other")
    bed.pull(NGINX)  # nobody has said for whom
    bed.pull(sandbox_config=bed.pod_config("web"))
    bed.pull(sandbox_config=bed.pod_config("web-of-before"))
    text = explained(node, pod, "^PullImage ")
    assert re.findall(r"^(\w+) (?:.*)", text, re.MULTILINE) == ["RunPodSandbox", "PullImage"]
    assert "PullImage %s\n" % BUSYBOX in text
    assert "PullImage" not in node.run("explain", "pod", "other")


def test_pages_go_where_they_are_to(node, tmp_path):
    node.bed.run_pod("web")
    explained(node, "web", "^RunPodSandbox ")

    def write_to(path):
        return node.run("explain", "pod", "web", "--html", str(path))
    # A link that anybody may have put there leads to no other file.
    target, link = tmp_path / "target.html", tmp_path / "link.html"
    target.write_text("somebody's")
    link.symlink_to(target)
    assert write_to(link) == ""
    assert target.read_text() == "somebody's" and not link.is_symlink()
    page = link.read_text()
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>\n")
    assert write_to("-") == page

    # As a device would be: /dev/null is no file to be replaced.
    pipe, to_pipe = tmp_path / "pipe", tmp_path / "to-pipe"
    os.mkfifo(pipe)
    to_pipe.symlink_to(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        try:
            assert write_to(to_pipe) == ""
            assert pipe.is_fifo()
            assert reader.communicate(timeout=20)[0] == page
        finally:
            reader.kill()
    assert "Is a directory" in node.run("explain", "pod", "web", "--html", str(tmp_path), code=1)


def test_a_failure_is_explained(node):
    bed = node.bed
    pod = bed.run_pod("web")
    container = bed.create(pod, "app", command=["/no/such/program"])
    with pytest.raises(grpc.RpcError):
        bed.cri.StartContainer({"container_id": container})
    explained(node, "web", r"failed: .*no/such/program")


def test_the_status_on_one_page(node):
    bed = node.bed
    pod = bed.run_pod("web")
    container = bed.create(pod, "app", command=["/no/such/program"])
    text = node.run("status")
    assert re.search(r"^Pods +1 ready$", text, re.MULTILINE)
    assert re.search(r"^Containers +1 created$", text, re.MULTILINE)
    assert "RuntimeReady: yes" in text and "NetworkReady: yes" in text
    for plugin in ("runtime-runc", "snapshotter-overlay", "registry-v2", "network-cni"):
        assert re.search(r"%s +started" % plugin, text)
    with pytest.raises(grpc.RpcError):
        bed.cri.StartContainer({"container_id": container})
    problems = node.run("status").partition("Last warnings and errors")[2]
    assert "StartContainer " + container in problems and "/no/such/program" in problems


def test_the_status_tells_of_the_engine(node):
    bed = node.bed
    bed.pull()

    def line(text, name):
        return re.search(r"^%s +(.*)$" % name, text, re.MULTILINE)[1]
    text = node.run("status")
    version = re.fullmatch(r"(\S+), process (\d+), for (\d+) s", line(text, "Version"))
    assert version[1] == bed.cri.Version().runtime_version
    assert int(version[2]) == bed.pid and int(version[3]) < 60
    host_facts = json.loads(bed.cri.Status({"verbose": True}).info["host"])
    assert line(text, "Cgroups") == (
        "version %(cgroupVersion)d, driver %(cgroupDriver)s" % host_facts)
    [usage] = bed.cri.ImageFsInfo().image_filesystems
    images = re.fullmatch(r"1, ([\d.]+) MiB in (\S+)", line(text, "Images"))
    assert abs(float(images[1]) - usage.used_bytes.value / (1 << 20)) <= 0.1
    assert images[2] == usage.fs_id.mountpoint
    assert "Waits for the next start\n  nothing\n" in text


def test_the_status_of_a_full_node(node):
    """The lists of pods and containers are larger than gRPC takes unless it is told to."""
    bed = node.bed
    count, large = 12, {"note": "x" * (400 << 10)}
    for number in range(count):
        bed.run_pod("pod-%d" % number, annotations=large,
                    linux={"security_context": {"namespace_options": {"network": 2}}})
    pod = bed.run_pod("web")
    for number in range(count):
        bed.create(pod, "c%d" % number, annotations=large)
    text = node.run("status")
    assert re.search(r"^Pods +%d ready$" % (count + 1), text, re.MULTILINE)
    assert re.search(r"^Containers +%d created$" % count, text, re.MULTILINE)


def test_the_status_while_a_snapshotter_hangs(own_bed, hanging_snapshotter):
    node = Node(own_bed, **hanging_snapshotter.options)
    hanging_snapshotter.hold("filesystem")
    text = node.run("status")
    assert "their disk use is not known: " in text and "Last warnings and errors" in text

"""The SDK's examples at work: built outside of the tree, loaded by an engine, used by pods."""

import functools
import json
import os
import shutil
import signal
import subprocess
import time

import grpc
import pace
import pytest

import test_layers
from asking import shell
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS
from plugin_projects import build_examples
from test_containers import SLEEP
from test_isolation import back, processes
from web_folder import serve_folder

pytestmark = pytest.mark.berth

HOST = "examples.berth.test/"


@pytest.fixture(scope="session")
def examples():
    """A folder with all examples as plugins."""
    return build_examples()


@pytest.fixture
def example_bed(own_bed, examples):
    """own_bed(…), with the examples among the plugins."""
    return functools.partial(own_bed, plugin_dirs=[examples])


def text(value):
    return json.dumps(str(value))


# Snapshotters.

SNAPSHOTTERS = ("snapshotter-native", "snapshotter-reflink")


@pytest.fixture(scope="module", params=SNAPSHOTTERS)
def layer_bed(request, examples):
    """An engine whose pods have the snapshotter."""
    from berth_testbed import TestBed
    settings = """
[snapshotters.example]
plugin = "%s"
[runtimes.example]
plugin = "runtime-runc"
snapshotter = "example"
""" % request.param
    with TestBed(settings=settings, handler="example", plugin_dirs=[examples]) as bed:
        yield bed
    assert bed.leaks == []


@pytest.fixture
def layers(layer_bed, name):
    """A container of the image whose layers have everything in them."""
    pod = layer_bed.run_pod(name)
    yield layer_bed.run(pod, "c", image=TESTS + "layers:1", command=SLEEP)
    layer_bed.remove_pod(pod)


@pytest.mark.parametrize("seen", [
    test_layers.test_whiteouts_and_opaque_folders_hide, test_layers.test_links,
    test_layers.test_owners_and_modes, test_layers.test_device_nodes, test_layers.test_names,
    test_layers.test_extended_attributes], ids=lambda test: test.__name__)
def test_layers_are_as_with_overlayfs(layer_bed, layers, seen):
    seen(layer_bed, layers)


def usage(bed, container, since=0):
    """What it has written, in bytes and files, as it was measured after that time: nanoseconds."""
    def measured():
        layer = bed.cri.ContainerStats({"container_id": container}).stats.writable_layer
        return layer if layer.timestamp > since else None
    layer = wait_until(measured, pace.PATIENCE, "a measurement")
    return layer.used_bytes.value, layer.inodes_used.value


def test_snapshots_are_apart_and_are_measured(layer_bed, name):
    bed = layer_bed
    pod = bed.run_pod(name)
    one = bed.run(pod, "one", command=SLEEP)
    other = bed.run(pod, "other", command=SLEEP)
    writes = "dd if=/dev/zero of=/big-%d bs=1M count=%d 2> /dev/null; sync"
    before = {}
    for container, number in ((one, 3), (other, 1)):
        shell(bed, container, writes % (number, number))
        # Nobody has asked before.
        before[container] = usage(bed, container)
        assert number << 20 <= before[container][0] < (number + 1) << 20
    shell(bed, one, writes % (2, 2) + "; touch /more /and-more; sync")
    written = time.time_ns()
    grown = usage(bed, one, written)
    assert 5 << 20 <= grown[0] < 6 << 20
    assert grown[1] == before[one][1] + 3
    assert usage(bed, other, written) == before[other]
    shell(bed, one, "rm /bin/vi")
    assert shell(bed, other, "test -e /bin/vi -a ! -e /big-3; echo $?") == "0"
    bed.remove_pod(pod)
    root = os.path.join(bed.folder, "root/plugins")
    left = subprocess.run(["find", root, "-path", "*/snapshots/*"], check=True,
                          capture_output=True, text=True)
    assert left.stdout == ""


def test_snapshots_outlive_the_daemon(layer_bed, name):
    bed = layer_bed
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    shell(bed, container, "echo kept > /file")
    bed.kill_engine()
    bed.start_engine()
    assert shell(bed, container, "cat /file") == "kept"
    again = bed.run(pod, "again", command=SLEEP)
    assert shell(bed, again, "ls /file 2>&1 || echo none").endswith("none")
    bed.remove_pod(pod)


# Image sources.


def write_folder(bed, folder):
    """The layout of both sources, with one name."""
    (folder / "blobs").symlink_to(os.path.join(bed.registry.layout, "blobs"))
    ref = folder / "refs" / HOST / "app"
    ref.mkdir(parents=True)
    (ref / "1").write_text(bed.registry.digest(BUSYBOX) + "\n")


@pytest.fixture
def web(tmp_path):
    """The URL of a server that serves the folder `web`, and knows no ranges."""
    folder = tmp_path / "web"
    folder.mkdir()
    with serve_folder(folder) as url:
        yield folder, url


def source_settings(plugin, options):
    return """
[images]
sources = ["example", "registry"]
[sources.example]
plugin = "%s"
[sources.example.options]
prefixes = ["%s"]
%s
""" % (plugin, HOST, options)


def pull_and_run(bed, name, told):
    """The name is nowhere else; the rest comes from the registry."""
    pod = bed.run_pod(name)
    image = HOST + "app:1"
    bed.pull(image)
    container = bed.run(pod, "c", image=image, command=["echo", "hello"])
    assert bed.wait_exit(container).exit_code == 0
    bed.pull(HOST + "app@" + bed.registry.digest(BUSYBOX))
    for missing in (HOST + "app:2", HOST + "app@sha256:" + 64 * "0"):
        told = told if missing.endswith(":2") else told.replace("there is none", "there is no blob")
        with pytest.raises(grpc.RpcError) as failure:
            bed.pull(missing)
        # The registry, which is asked next, is not there.
        assert told in failure.value.details()
    other = bed.run(pod, "other", command=["true"])
    assert bed.wait_exit(other).exit_code == 0


def test_images_come_from_a_folder(example_bed, name, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    bed = example_bed(settings=source_settings("source-directory", "path = " + text(folder)))
    write_folder(bed, folder)
    pull_and_run(bed, name, "there is none")


def test_images_come_from_a_web_server(example_bed, name, web):
    folder, url = web
    bed = example_bed(settings=source_settings("source-http", "url = " + text(url)))
    write_folder(bed, folder)
    pull_and_run(bed, name, "the server answers 404")


# Networks.


def network_settings(plugin, options):
    return {"first_settings": 'network = "example"', "settings": """
[networks.example]
plugin = "%s"
[networks.example.options]
%s
""" % (plugin, options)}


def addresses(bed, pod):
    network = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network
    return [network.ip] + [one.ip for one in network.additional_ips]


def test_pods_have_veth_pairs(example_bed):
    bed = example_bed(**network_settings("network-veth", 'range = "10.61.7.0/29"'))
    pods = [bed.run_pod("pod-%d" % number) for number in range(5)]
    assert [addresses(bed, pod) for pod in pods] == [["10.61.7.%d" % last] for last in range(2, 7)]
    # There are no more, and one that is given back is given out again.
    with pytest.raises(grpc.RpcError) as failure:
        bed.run_pod("too-many")
    assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    bed.remove_pod(pods.pop(2))
    pods.append(bed.run_pod("next"))
    assert addresses(bed, pods[-1]) == ["10.61.7.4"]
    # To the host, and to each other.
    container = bed.run(pods[0], "c", command=SLEEP)
    for target in ("10.61.7.1", "10.61.7.4"):
        assert shell(bed, container, "ping -c 1 -W 5 %s > /dev/null; echo $?" % target) == "0"
    # What was attached is known to a daemon that comes after.
    bed.kill_engine()
    bed.start_engine()
    assert addresses(bed, pods[0]) == ["10.61.7.2"]
    for pod in pods:
        bed.remove_pod(pod)
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True)
    assert "veth" not in links.stdout


def ip(*words):
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@pytest.fixture
def ports():
    """Interfaces of the host that pods may have; one has an address."""
    names = ["berthport0", "berthport1"]
    for number, link in enumerate(names):
        # Not every kernel has interfaces of the type dummy.
        ip("link", "add", link, "type", "veth", "peer", "name", "berthpeer%d" % number)
        ip("address", "add", "192.0.2.%d/25" % (10 + number), "dev", link)
    ip("link", "set", names[0], "up")
    yield names
    for link in names:
        subprocess.run(["ip", "link", "delete", link], check=False, capture_output=True)


def test_pods_have_interfaces_of_the_host(example_bed, ports):
    bed = example_bed(**network_settings(
        "network-host-interface", "interfaces = %s\ngateway = \"192.0.2.1\""
        % json.dumps(ports)))
    first = bed.run_pod("first")
    second = bed.run_pod("second")
    assert addresses(bed, first) == ["192.0.2.10"]
    assert addresses(bed, second) == ["192.0.2.11"]
    container = bed.run(first, "c", command=SLEEP)
    assert "192.0.2.10/25" in shell(bed, container, "ip address show dev berthport0")
    assert "via 192.0.2.1 dev berthport0" in shell(bed, container, "ip route")
    assert "berthport" not in ip("-o", "link")
    with pytest.raises(grpc.RpcError) as failure:
        bed.run_pod("third")
    assert failure.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    # A daemon that comes after knows where they are, and gives them back as they were.
    bed.kill_engine()
    bed.start_engine()
    bed.remove_pod(first)
    assert "192.0.2.10/25" in ip("-o", "address", "show", "dev", "berthport0")
    assert ",UP" in ip("-o", "link", "show", "dev", "berthport0")
    third = bed.run_pod("third")
    assert addresses(bed, third) == ["192.0.2.10"]
    bed.remove_pod(second)
    bed.remove_pod(third)
    assert ",UP" not in ip("-o", "link", "show", "dev", "berthport1")


# Runtimes.


def runtime_settings(build, plugin, options):
    return """
[runtimes.example]
plugin = "%s"
[runtimes.example.options]
plugin = %s
%s
""" % (plugin, text(os.path.join(build, "lib/berth/plugins/berth-runtime-runc.so")), options)


def runtime_bed(example_bed, plugin, options):
    return example_bed(settings=lambda bed: runtime_settings(bed.build, plugin, options),
                       handler="example")


def test_calls_of_a_runtime_are_timed(example_bed, name, tmp_path):
    path = tmp_path / "timings.json"
    bed = runtime_bed(example_bed, "runtime-timings",
                      "file = %s\nslow_ms = 0\n[runtimes.example.options.options]\nargs = []"
                      % text(path))
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    assert shell(bed, container, "echo $((6 * 7))") == "42"
    bed.kill_engine()
    bed.start_engine()
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.wait_exit(container)
    bed.remove_pod(pod)
    taken = json.loads(path.read_text())
    for call in ("features", "pod_recover", "container_kill", "pod_stop", "pod_remove"):
        assert taken[call]["calls"] >= 1, (call, taken)
        assert taken[call]["failures"] == 0
        assert 0 <= taken[call]["longest_ms"] <= taken[call]["total_ms"]
    with open(bed.log_path, encoding="utf-8") as log:
        assert "a call of the runtime was slow" in log.read()


def test_pods_are_refused_before_they_run(example_bed, name):
    bed = runtime_bed(example_bed, "runtime-admission",
                      'namespaces = ["default"]\nannotation = "example.com/reviewed"')
    with pytest.raises(grpc.RpcError) as failure:
        bed.run_pod(name)
    assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "no annotation example.com/reviewed" in failure.value.details()
    reviewed = {"annotations": {"example.com/reviewed": "yes"}}
    config = bed.pod_config(name, **reviewed)
    config["metadata"]["namespace"] = "elsewhere"
    with pytest.raises(grpc.RpcError) as failure:
        bed.run_pod_config(config)
    assert "pods of the namespace elsewhere may not run here" in failure.value.details()
    pod = bed.run_pod(name, **reviewed)
    container = bed.run(pod, "c", command=["sh", "-c", "exit 3"])
    assert bed.wait_exit(container).exit_code == 3
    bed.remove_pod(pod)


@pytest.mark.parametrize("example", ["runtime-admission", "runtime-timings"])
def test_a_runtime_whose_file_was_replaced_finds_the_other(own_bed, examples, name, tmp_path, example):
    plugins = tmp_path / "lib/berth/plugins"
    plugins.mkdir(parents=True)

    def settings(bed):
        (tmp_path / "libexec").symlink_to(os.path.join(bed.build, "libexec"))
        for folder, plugin in ((examples, example), (bed.plugin_dirs[0], "runtime-runc")):
            shutil.copy(os.path.join(folder, "berth-%s.so" % plugin), plugins)
        bed.plugin_dirs.insert(0, str(plugins))
        return """
[runtimes.example]
plugin = "%s"
isolation = "process"
[runtimes.example.options]
plugin = "runtime-runc"
""" % example
    bed = own_bed(settings=settings, handler="example")
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    file = plugins / ("berth-%s.so" % example)
    shutil.copy(file, str(file) + ".new")
    os.replace(str(file) + ".new", file)
    # It is started again from the file that it was started from.
    before = processes(bed)["example"][0]
    os.kill(before, signal.SIGKILL)
    back(bed, "example", before)
    assert shell(bed, container, "echo alive") == "alive"


@pytest.mark.parametrize("example", ["runtime-admission", "runtime-timings"])
def test_options_of_the_other_runtime_are_checked(examples, example, berth, changed_config, bed):
    def checked(more):
        path = changed_config(runtime_settings(bed.build, example, more))
        with open(path, "r+", encoding="utf-8") as stream:
            lines = stream.read().replace("lib/berth/plugins\"]",
                                          "lib/berth/plugins\", %s]" % text(examples))
            stream.seek(0)
            stream.write(lines)
        return berth("config", "check", "--config", path)

    good = checked("[runtimes.example.options.options]\nargs = []")
    assert good.returncode == 0, good.stdout + good.stderr
    bad = checked("[runtimes.example.options.options]\npth = \"/bin/runc\"")
    assert bad.returncode != 0
    assert "runtimes.example.options.options" in bad.stdout + bad.stderr
    assert "know" in bad.stdout + bad.stderr

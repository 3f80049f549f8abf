"""What `berth plugin new` writes, at work in an engine: pods on a new runtime and snapshotter, with
a new network, from images of a new source; and what becomes of them when the plugins crash."""

import concurrent.futures
import os
import re
import signal
import subprocess

import grpc
import pytest

from asking import shell
from holding import stop
from image_set import BUSYBOX
from plugin_projects import NEW, build_new_projects, run_own_tests
from test_containers import SLEEP
from test_isolation import PATIENCE, back, processes
from web_folder import serve_folder

pytestmark = pytest.mark.berth


@pytest.fixture(scope="session")
def plugins():
    return build_new_projects()


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("project", sorted(NEW))
def test_new_projects_pass_their_own_tests(project):
    told = run_own_tests(project)
    assert "100% tests passed, 0 tests failed out of 2" in told
    # The checker has looked at what the kind is for; images are only there where the author names one.
    assert project.startswith("new-image-source") or re.search(
        r"^2: %s\.\S+ +passed" % NEW[project][0], told, re.MULTILINE), told


SETTINGS = """
[images]
sources = ["images", "registry"]
snapshotter = "layers"
[sources.images]
plugin = "new-image-source-%(language)s"
%(more)s
[sources.images.options]
%(source)s
prefixes = ["new.berth.test/"]
[snapshotters.layers]
plugin = "new-snapshotter-%(language)s"
%(more)s
[networks.net]
plugin = "new-network-%(language)s"
%(more)s
[networks.net.options]
%(network)s
[runtimes.new]
plugin = "new-runtime-%(language)s"
snapshotter = "layers"
%(more)s
[runtimes.new.options]
plugin = "%(build)s/lib/berth/plugins/berth-runtime-runc.so"
"""
IMAGE = "new.berth.test/app:1"
PORTS = ("berthnew0", "berthnew1")
LANGUAGES = pytest.mark.parametrize("language", ["c", "cpp"])


@pytest.fixture
def ports():
    """Interfaces for the network that hands them out."""
    for number, port in enumerate(PORTS):
        subprocess.run(["ip", "link", "add", port, "type", "veth", "peer", "name",
                        "berthpeer%d" % number], check=True)
        subprocess.run(["ip", "address", "add", "10.61.8.%d/29" % (2 + number), "dev", port],
                       check=True)
    yield
    # Wherever the other ends are.
    for number in range(len(PORTS)):
        subprocess.run(["ip", "link", "delete", "berthpeer%d" % number], check=True)


@pytest.fixture
def new_bed(own_bed, plugins, ports, tmp_path):
    """new_bed("c"): an engine of which every part is new, and an image of the source."""
    with serve_folder(tmp_path) as url:
        def make(language, more=""):
            options = {
                "c": {"source": 'path = "%s"' % tmp_path,
                      "network": "interfaces = [%s]" % ", ".join('"%s"' % p for p in PORTS)},
                "cpp": {"source": 'url = "%s"' % url, "network": 'range = "10.61.8.0/29"'}}
            bed = own_bed(plugin_dirs=[plugins], first_settings='network = "net"', handler="new",
                          settings=lambda bed: SETTINGS % {
                              **options[language], "language": language, "build": bed.build,
                              "more": more})
            os.symlink(os.path.join(bed.registry.layout, "blobs"), tmp_path / "blobs")
            os.makedirs(tmp_path / "refs/new.berth.test/app")
            (tmp_path / "refs/new.berth.test/app/1").write_text(bed.registry.digest(BUSYBOX))
            return bed
        yield make


def address(bed, pod):
    return bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip


@LANGUAGES
def test_pods_run_on_new_plugins(new_bed, language, name):
    bed = new_bed(language)
    listed = subprocess.run([bed.engine.command()[0], "plugins", "--config",
                             bed.engine.command()[-1]], capture_output=True, text=True,
                            check=True, stdin=subprocess.DEVNULL).stdout
    for plugin in NEW:
        assert (" %s " % plugin in listed) == plugin.endswith("-" + language), listed
    pod = bed.run_pod(name)
    assert address(bed, pod) == "10.61.8.2"
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    assert shell(bed, container, "echo new > /file; cat /file") == "new"
    bed.remove_pod(pod)


def crash(pid, call):
    """Kills the process while the call, which needs it, is under way; gives the call's failure."""
    stop(pid)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        try:
            under_way = pool.submit(call)
            with pytest.raises(concurrent.futures.TimeoutError):
                under_way.result(timeout=1)
        finally:
            os.kill(pid, signal.SIGKILL)
        return under_way.exception(timeout=PATIENCE)


@LANGUAGES
def test_new_plugins_survive_their_own_crash(new_bed, language, name):
    """In processes of their own: what is under way fails at most, and pods go on."""
    bed = new_bed(language, 'isolation = "process"')
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=IMAGE, command=SLEEP)
    assert shell(bed, container, "echo new > /file; cat /file") == "new"
    needing = {
        "images": lambda: bed.pull(IMAGE),
        "layers": lambda: bed.create(pod, "other", image=IMAGE, command=SLEEP),
        "net": lambda: bed.run_pod(name + "-failing"),
        "new": lambda: bed.exec(container, "true"),
    }
    before = processes(bed)
    assert sorted(before) == sorted(needing)
    for instance, call in needing.items():
        pid = before[instance][0]
        failure = crash(pid, call)
        if instance == "images":
            assert failure is None, "a source is asked again"
        else:
            assert failure.code() == grpc.StatusCode.UNAVAILABLE
            assert "plugin %s: its process %d" % (instance, pid) in failure.details()
        assert back(bed, instance, pid)[1] == 1
        assert shell(bed, container, "cat /file") == "new"
    assert {instance: restarts for instance, (_, restarts) in processes(bed).items()} == \
        dict.fromkeys(needing, 1)
    assert address(bed, pod) == "10.61.8.2"
    # Each does again what it did before.
    bed.pull(IMAGE)
    other = bed.run_pod(name + "-other")
    assert address(bed, other) == "10.61.8.3"
    fresh = bed.run(other, "c", image=IMAGE, command=SLEEP)
    assert shell(bed, fresh, "test -e /file; echo $?") == "1"
    bed.remove_pod(other)
    bed.remove_pod(pod)

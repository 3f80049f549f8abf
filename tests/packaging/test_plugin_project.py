"""A stranger's plugin, from `berth plugin new` to a pod, with nothing but the packages: its own
package is built and checked with what they install, and the installed daemon serves a pod with it,
the plugin's crash included.

After test_packages: this system gets compilers, and more is there than the packages ask for."""

import glob
import os
import re
import shutil
import signal
import subprocess
import sys

import pytest

from conftest import SOURCE, run
from test_packages import contents

sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

import cri  # noqa: E402  (needs the path above)
import host  # noqa: E402
import registry  # noqa: E402
from berth_testbed import wait_until  # noqa: E402
from image_set import BUSYBOX  # noqa: E402
from pod_cgroups import CGROUPFS, PodCgroups  # noqa: E402

CACHE = os.environ.get("BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))
# As its debian/control and README say; with busybox the checker has containers to run.
BUILT = """
apt-get -q -y install --no-install-recommends /tmp/*.deb busybox
mkdir /tmp/new; cd /tmp/new
berth plugin new --kind runtime --language c my-runtime
apt-get -q -y build-dep --no-install-recommends ./my-runtime
cd my-runtime
dpkg-buildpackage --build=binary --unsigned-changes --unsigned-buildinfo
apt-get -q -y install /tmp/new/berth-my-runtime_*.deb
"""
# The machine may have a daemon of its own, at the usual place.
SOCKET = "/run/berth/author.sock"
CONFIGURATION = """
[grpc]
socket = "%s"
[images]
sources = ["layout"]
[sources.layout]
plugin = "source-oci-layout"
options.paths = ["/tmp/layout"]
[runtimes.mine]
plugin = "my-runtime"
isolation = "process"
options.plugin = "runtime-runc"
""" % SOCKET
MONITORS = "pidof berth-monitor || true"
REMOVED = """
rm -r /etc/berth/berth.toml.d /tmp/layout
dpkg --purge berth-my-runtime berth libberth-plugin-dev
echo left:
find /etc/berth /run/berth /usr/lib/berth /var/lib/berth 2> /dev/null || true
"""


@pytest.fixture(scope="module")
def author(fresh, packages):
    """The system of somebody who has written a plugin and installed it."""
    for path in packages.values():
        run("cp", path, fresh.path("/tmp"))
    fresh.built = fresh.run(BUILT)
    return fresh


def test_it_becomes_a_package(author):
    [package] = glob.glob(author.path("/tmp/new/berth-my-runtime_*.deb"))
    assert "/usr/lib/berth/plugins/berth-my-runtime.so" in contents(package)


def test_it_passes_the_installed_checker(author):
    assert re.search(r"Test command: /usr/bin/berth-plugin-check .*/berth-my-runtime.so",
                     author.built)
    results = re.findall(r"^\d+: runtime\.\S+ +(\w+) ", author.built, re.MULTILINE)
    assert results and set(results) == {"passed"}, author.built
    assert "100% tests passed, 0 tests failed out of 2" in author.built


class Daemon:
    """The installed one at work in a root."""

    def __init__(self, root, folder):
        self._folder = str(folder)
        self._log = open(folder / "berthd.log", "w+", encoding="utf-8")
        self._process = subprocess.Popen(root.command("exec berthd"), stdin=subprocess.DEVNULL,
                                         stdout=self._log, stderr=self._log)

    def connect(self):
        path = "/proc/%s/root" + SOCKET
        wait_until(lambda: os.path.exists(path % self._pid()), 60, "the daemon's socket")
        return cri.CriClient(path % self._pid(), self._folder)

    def _pid(self):
        assert self._process.poll() is None, host.read(self._log.name)
        return host.read("/proc/%d/task/%d/children" % ((self._process.pid,) * 2)).strip()

    def run(self, script):
        """A shell script beside it."""
        return run("nsenter", "--target", self._pid(), "--mount", "--pid", "--root", "--wd",
                   "sh", "-ec", script)

    def stop(self):
        """Asks it to end; gives its exit status."""
        os.kill(int(self._pid()), signal.SIGTERM)
        return self._process.wait(60)

    def close(self):
        """Whatever it runs ends as well."""
        self._process.kill()
        self._process.wait()
        self._log.close()


@pytest.fixture
def cgroups():
    made = PodCgroups("berth-test-plugin-project", CGROUPFS)
    yield made
    made.remove()


@pytest.fixture
def daemon(author, cgroups, tmp_path):
    with open(author.path("/etc/berth/berth.toml.d/mine.toml"), "w", encoding="utf-8") as stream:
        stream.write(CONFIGURATION)
    shutil.copytree(registry.build_layout(CACHE), author.path("/tmp/layout"))
    made = Daemon(author, tmp_path)
    yield made
    made.close()


def test_the_installed_daemon_serves_a_pod_with_it(author, daemon, cgroups):
    client = daemon.connect()
    assert re.search(r"^ok +runtime mine +/usr/lib/berth/plugins/berth-my-runtime.so$",
                     daemon.run("berth check || true"), re.MULTILINE)
    image = client.PullImage({"image": {"image": BUSYBOX}}).image_ref
    config = {"metadata": {"name": "pod", "namespace": "default", "uid": "1"},
              "linux": {"cgroup_parent": cgroups.parent,
                        "security_context": {"namespace_options": {"network": "NODE"}}}}
    pod = client.RunPodSandbox({"config": config, "runtime_handler": "mine"}).pod_sandbox_id
    container = client.CreateContainer({
        "pod_sandbox_id": pod, "sandbox_config": config,
        "config": {"metadata": {"name": "c"}, "image": {"image": image},
                   "command": ["sleep", "1000"]}}).container_id
    client.StartContainer({"container_id": container})

    def shell(script):
        return client.ExecSync({"container_id": container, "cmd": ["sh", "-c", script],
                                "timeout": 20}).stdout.decode()

    assert shell("echo new > /file; cat /file") == "new\n"
    assert daemon.run(MONITORS) != ""
    daemon.run("kill -KILL $(pidof berth-plugin-host)")
    wait_until(lambda: re.search(r"^mine .* started .*\n.*, started again 1 time$",
                                 daemon.run("berth plugins"), re.MULTILINE),
               60, "the plugin's next process")
    assert shell("cat /file") == "new\n"

    client.StopPodSandbox({"pod_sandbox_id": pod})
    client.RemovePodSandbox({"pod_sandbox_id": pod})
    assert cgroups.left(host.cgroups()) == set()
    assert daemon.run(MONITORS) == ""
    client.close()
    assert daemon.stop() == 0
    assert author.run(REMOVED).endswith("\nleft:\n")

"""What `berth plugin new` writes, built with the developer's package alone: it becomes a package, passes
the installed checker, and serves a pod of the installed daemon, its own crash included."""

import concurrent.futures
import os
import shutil
import sys
import time

import pytest

from conftest import SOURCE, run
from test_packages import contents

sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

import cri  # noqa: E402  (needs the path above)
import registry  # noqa: E402
from image_set import BUSYBOX  # noqa: E402

CACHE = os.environ.get("BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))
PATIENCE = 120


@pytest.fixture(scope="module")
def of_a_new_project(packages, installed, tmp_path_factory):
    """The package of one, made with what is installed and nothing of the tree."""
    tmp_path = tmp_path_factory.mktemp("new")
    made = installed.run("cd /tmp && berth plugin new --kind runtime --language c my-runtime")
    assert "cd my-runtime" in made
    run("dpkg-deb", "--extract", packages["libberth-plugin-dev"], str(tmp_path / "root"))
    project = installed.path("/tmp/my-runtime")
    run("cmake", "-S", project, "-B", str(tmp_path / "build"), "-G", "Ninja",
        "-DCMAKE_PREFIX_PATH=%s/usr" % (tmp_path / "root"))
    run("cmake", "--build", str(tmp_path / "build"))
    run("ctest", "--test-dir", str(tmp_path / "build"), "-R", "load")
    run("cp", "-r", project, str(tmp_path / "project"))
    run("dpkg-buildpackage", "-b", "-d", "-us", "-uc", cwd=tmp_path / "project",
        env={**os.environ, "CMAKE_PREFIX_PATH": "%s/usr" % (tmp_path / "root")})
    return str(next(tmp_path.glob("berth-my-runtime_*.deb")))


def test_it_becomes_a_package(packages, of_a_new_project):
    found = contents(of_a_new_project)
    own = contents(packages["berth"])
    folder = os.path.dirname(next(name for name in own if name.endswith("/berth-runtime-runc.so")))
    assert folder + "/berth-my-runtime.so" in found


# Sockets and marks are in /tmp, which is that of all who look at the root.
CONFIGURATION = """
grpc.socket = "/tmp/cri.sock"
images.sources = ["layout"]
[sources.layout]
plugin = "source-oci-layout"
options.paths = ["/tmp/layout"]
[runtimes.mine]
plugin = "my-runtime"
isolation = "process"
options.plugin = "runtime-runc"
"""
LIFE = """
apt-get -q -y install --no-install-recommends /tmp/berth-my-runtime_*.deb
trap 'dpkg --purge berth-my-runtime' EXIT
mount -t tmpfs tmpfs /etc/berth/berth.toml.d
cp /tmp/mine.toml /etc/berth/berth.toml.d
berth-plugin-check --set plugin=runtime-runc /usr/lib/berth/plugins/berth-my-runtime.so
berthd &
daemon=$!
until_it() {
  for attempt in $(seq 150); do
    if berth plugins 2> /dev/null | grep -A 1 '^mine .* started ' | grep "$1"; then return; fi
    kill -0 $daemon
    sleep 0.2
  done
  return 1
}
until_there() {
  until test -e "$1"; do kill -0 $daemon; sleep 0.1; done
}
until_it 'again 0 times'
touch /tmp/started
until_there /tmp/crash
kill -KILL $(pidof berth-plugin-host)
until_it 'again 1 time'
touch /tmp/back
until_there /tmp/end
kill $daemon
wait $daemon
echo ended
"""


class Life:
    """A run of the script above, and what the daemon says meanwhile."""

    def __init__(self, root, pool):
        self.root = root
        self.running = pool.submit(root.run, LIFE)

    def mark(self, name):
        with open(self.root.path("/tmp/" + name), "wb"):
            pass

    def wait_for(self, name):
        until = time.monotonic() + PATIENCE
        while not os.path.exists(self.root.path("/tmp/" + name)):
            assert not self.running.done(), self.running.result()
            assert time.monotonic() < until, name
            time.sleep(0.05)


@pytest.fixture
def life(installed, of_a_new_project):
    run("cp", of_a_new_project, installed.path("/tmp"))
    with open(installed.path("/tmp/mine.toml"), "w", encoding="utf-8") as stream:
        stream.write(CONFIGURATION)
    shutil.copytree(registry.build_layout(CACHE), installed.path("/tmp/layout"))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        begun = Life(installed, pool)
        yield begun
        # Whatever has become of the test, the script comes to an end.
        for name in ("crash", "end"):
            begun.mark(name)
    shutil.rmtree(installed.path("/tmp/layout"))


POD = {"metadata": {"name": "pod", "namespace": "default", "uid": "1"},
       "linux": {"cgroup_parent": "/berth-of-a-new-project",
                 "security_context": {"namespace_options": {"network": "NODE"}}}}


def test_a_pod_of_the_installed_daemon_survives_its_crash(life, tmp_path):
    life.wait_for("started")
    client = cri.CriClient(life.root.path("/tmp/cri.sock"), str(tmp_path))
    image = client.PullImage({"image": {"image": BUSYBOX}}).image_ref
    pod = client.RunPodSandbox({"config": POD, "runtime_handler": "mine"}).pod_sandbox_id
    container = client.CreateContainer({
        "pod_sandbox_id": pod, "sandbox_config": POD,
        "config": {"metadata": {"name": "c"}, "image": {"image": image},
                   "command": ["sleep", "1000"]}}).container_id
    client.StartContainer({"container_id": container})

    def shell(command):
        return client.ExecSync({"container_id": container, "cmd": ["sh", "-c", command],
                                "timeout": 20}).stdout.decode()
    assert shell("echo new > /file; cat /file") == "new\n"
    life.mark("crash")
    life.wait_for("back")
    assert shell("cat /file") == "new\n"
    client.RemovePodSandbox({"pod_sandbox_id": pod})
    client.RemoveImage({"image": {"image": image}})
    client.close()
    life.mark("end")
    told = life.running.result(PATIENCE)
    assert "\nended\n" in told and " FAILED " not in told
    assert "runtime.life-cycle" in told, told

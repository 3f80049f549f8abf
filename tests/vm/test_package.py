"""The Debian package on a node with systemd: installed, restarted, watched, upgraded and removed with
a pod running. In the virtual machine only, in this order."""

import glob
import json
import os
import subprocess
import time

import pytest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CRICTL = os.path.join(SOURCE, "build/conformance/crictl")
PACKAGES = os.environ["BERTH_PACKAGES"]
SOCKET = "/run/berth/berth.sock"
IMAGE = "images.berth.test/busybox:1"
PATIENCE = 120  # of an emulated processor


def run(*command, check=True, errors=subprocess.STDOUT):
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=errors, text=True, check=False, timeout=300,
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    if check and made.returncode != 0:
        pytest.fail("%s: %s" % (" ".join(command), (made.stderr or made.stdout)[-4000:]),
                    pytrace=False)
    return made.stdout.strip()


def crictl(*arguments):
    # What it warns of is no part of the answer.
    return run(CRICTL, "--timeout", "60s", *arguments, errors=subprocess.PIPE)


def shown(name):
    return run("systemctl", "show", "berth", "--property", name, "--value")


def package():
    return glob.glob(os.path.join(PACKAGES, "berth_*.deb"))[0]


def install(path):
    run("apt-get", "-q", "-y", "install", "--no-install-recommends", path)


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "%s; %s" % (what, run("systemctl", "status", "berth",
                                                             check=False))
        time.sleep(0.2)


def settings(name, text):
    folder = "/etc/systemd/system/berth.service.d"
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w", encoding="utf-8") as stream:
        stream.write(text)
    run("systemctl", "daemon-reload")


class Pod:
    """A pod with one container, by crictl."""

    def __init__(self, folder):
        write(folder / "pod.json", {"metadata": {"name": "a", "namespace": "default", "uid": "a"},
                                    "log_directory": "/var/log/pods/a",
                                    "linux": {"cgroup_parent": "kubepods-a.slice"}})
        write(folder / "container.json", {
            "metadata": {"name": "c"}, "image": {"image": IMAGE}, "log_path": "c.log", "linux": {},
            "command": ["sh", "-c", "while true; do date +%s; sleep 1; done"]})
        os.makedirs("/var/log/pods/a", exist_ok=True)
        crictl("pull", IMAGE)
        self.id = crictl("runp", str(folder / "pod.json"))
        self.container = crictl("create", self.id, str(folder / "container.json"),
                                str(folder / "pod.json"))
        crictl("start", self.container)
        self.process = json.loads(crictl("inspect", self.container))["info"]["pid"]

    def lines(self):
        with open("/var/log/pods/a/c.log", encoding="utf-8") as stream:
            return len(stream.readlines())

    def check(self):
        """It runs, is known, and its log goes on."""
        self.check_running()
        assert crictl("ps", "--quiet", "--state", "Running") == self.container
        assert crictl("exec", self.container, "echo", "hello") == "hello"

    def check_running(self):
        assert os.path.exists("/proc/%d" % self.process)
        before = self.lines()
        wait_until(lambda: self.lines() > before, "the log stands still")


def write(path, value):
    path.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def node():
    for folder in ("/etc/cni/net.d", "/etc/berth/berth.toml.d", "/etc/systemd/system-preset"):
        os.makedirs(folder, exist_ok=True)
    # This machine's own preset enables nothing, unlike Debian's.
    with open("/etc/systemd/system-preset/00-a-node.preset", "w", encoding="utf-8") as stream:
        stream.write("enable berth.service\n")
    examples = os.path.join(SOURCE, "packaging/examples")
    run("cp", os.path.join(examples, "10-berth.conflist"), "/etc/cni/net.d/")
    run("cp", os.path.join(examples, "crictl.yaml"), "/etc/crictl.yaml")
    # There is no registry here.
    with open("/etc/berth/berth.toml.d/images.toml", "w", encoding="utf-8") as stream:
        stream.write("[images]\nsources = [\"layout\"]\n[sources.layout]\n"
                     "plugin = \"source-oci-layout\"\n[sources.layout.options]\npaths = [\"%s\"]\n"
                     % os.environ["BERTH_TEST_IMAGES"])
    install(package())
    yield
    run("apt-get", "-q", "-y", "purge", "berth", check=False)


@pytest.fixture(scope="module")
def pod(node, tmp_path_factory):
    made = Pod(tmp_path_factory.mktemp("pod"))
    yield made


def test_the_daemon_serves_once_it_is_installed(node):
    assert run("systemctl", "is-active", "berth") == "active"
    assert run("systemctl", "is-enabled", "berth") == "enabled"
    assert shown("StatusText") == "serving " + SOCKET
    assert shown("WatchdogUSec") == "1min"
    assert shown("NRestarts") == "0"
    status = os.stat(SOCKET)
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o660, 0, 0)
    assert json.loads(crictl("info"))["status"]["conditions"][0]["status"] is True
    assert "systemd" in run("berth", "check")


def test_a_pod_runs(pod):
    pod.check()
    assert json.loads(crictl("inspectp", pod.id))["status"]["network"]["ip"].startswith("10.85.")
    # Nothing that speaks to systemd is handed on.
    assert "NOTIFY_SOCKET" not in crictl("exec", pod.container, "env")


def test_systemd_reads_its_units_anew(pod):
    run("systemctl", "daemon-reload")
    pod.check()


def test_a_reload_takes_up_what_can_be(pod):
    with open("/etc/berth/berth.toml.d/log.toml", "w", encoding="utf-8") as stream:
        stream.write("log.level = \"debug\"\n")
    run("systemctl", "reload", "berth")
    assert "level = \"debug\"" in run("berth", "config", "show")
    with open("/etc/berth/berth.toml.d/log.toml", "w", encoding="utf-8") as stream:
        stream.write("log.level = \"loud\"\n")
    assert run("systemctl", "reload", "berth", check=False) != ""
    os.remove("/etc/berth/berth.toml.d/log.toml")
    assert run("systemctl", "is-active", "berth") == "active"
    pod.check()


def test_a_restart_leaves_the_pod(pod):
    before = shown("MainPID")
    run("systemctl", "restart", "berth")
    assert shown("MainPID") != before
    pod.check()


def test_a_daemon_that_was_killed_comes_back(pod):
    restarts = int(shown("NRestarts"))
    run("systemctl", "kill", "--signal", "KILL", "--kill-who", "main", "berth")
    wait_until(lambda: int(shown("NRestarts")) > restarts and shown("SubState") == "running",
               "the daemon is not started again")
    pod.check()


def test_a_daemon_that_hangs_is_replaced(pod):
    settings("watchdog.conf", "[Service]\nWatchdogSec=20\nTimeoutAbortSec=2\nTimeoutStopSec=2\n")
    run("systemctl", "restart", "berth")
    restarts = int(shown("NRestarts"))
    os.kill(int(shown("MainPID")), 19)  # SIGSTOP
    wait_until(lambda: int(shown("NRestarts")) > restarts and shown("SubState") == "running",
               "the watchdog has not bitten")
    run("rm", "-r", "/etc/systemd/system/berth.service.d")
    run("systemctl", "daemon-reload")
    pod.check()


def test_an_upgrade_leaves_the_pod(pod, tmp_path):
    run("dpkg-deb", "--raw-extract", package(), str(tmp_path / "tree"))
    control = tmp_path / "tree/DEBIAN/control"
    version = run("dpkg-deb", "--field", package(), "Version")
    control.write_text(control.read_text().replace("Version: " + version,
                                                   "Version: %s+1" % version))
    run("dpkg-deb", "--build", "-Znone", str(tmp_path / "tree"), str(tmp_path / "berth.deb"))
    before = shown("MainPID")
    install(str(tmp_path / "berth.deb"))
    assert run("dpkg-query", "--show", "--showformat", "${Version}", "berth") == version + "+1"
    assert run("systemctl", "is-active", "berth") == "active"
    assert shown("MainPID") != before
    pod.check()


def test_removal_leaves_the_pod_and_a_purge_what_it_needs(pod):
    told = run("apt-get", "-q", "-y", "remove", "berth")
    assert "They go on without the engine" in told
    pod.check_running()
    told = run("apt-get", "-q", "-y", "purge", "berth")
    assert "are left" in told
    pod.check_running()
    assert os.path.exists("/var/lib/berth/berth.db")


def test_installed_again_it_finds_the_pod(pod):
    install(package())
    pod.check()
    crictl("stopp", pod.id)
    crictl("rmp", pod.id)
    assert not os.path.exists("/proc/%d" % pod.process)


def test_a_purge_leaves_nothing(pod):
    run("rm", "/etc/berth/berth.toml.d/images.toml")
    run("apt-get", "-q", "-y", "purge", "berth")
    for path in ("/var/lib/berth", "/run/berth", "/etc/berth"):
        assert not os.path.exists(path), run("find", path)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        assert "berth-" not in "".join(line for line in mounts if "/run/netns" in line)

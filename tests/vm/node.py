"""A node of the virtual machine: the Debian package as a service of systemd, and crictl."""

import glob
import json
import os
import subprocess
import time

import pytest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
# This machine leaves out documents, and so the package's own examples.
EXAMPLES = os.path.join(SOURCE, "packaging/examples")
CRICTL = os.path.join(SOURCE, "build/conformance/crictl")
PACKAGES = os.environ["BERTH_PACKAGES"]
SOCKET = "/run/berth/berth.sock"
DROP_INS = "/etc/berth/berth.toml.d"
IMAGE = "images.berth.test/busybox:1"
PATIENCE = 120  # of an emulated processor
ADDRESSES = "/var/lib/cni/networks/berth/10.*"
# From before a restart of the machine.
REMEMBERED = "/var/berth-vm/remembered.json"
# A container's program that ends when it is asked to.
TALK = "trap 'exit 0' TERM; while true; do date +%s; sleep 1; done"


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
    """A pod with one container, by crictl. `namespaces` is of the CRI's NamespaceOption."""

    def __init__(self, folder, name="a", attempt=0, namespaces=None, script=TALK):
        self.log = "/var/log/pods/%s/%d.log" % (name, attempt)
        security = {"security_context": {"namespace_options": namespaces}} if namespaces else {}
        self.name = name
        pod, container = (str(folder / ("%s-%s.json" % (name, kind)))
                          for kind in ("pod", "container"))
        write(pod, {"metadata": {"name": name, "namespace": "default", "uid": name,
                                 "attempt": attempt},
                    "log_directory": os.path.dirname(self.log),
                    "linux": {"cgroup_parent": "kubepods-%s.slice" % name, **security}})
        write(container, {
            "metadata": {"name": "c", "attempt": attempt}, "image": {"image": IMAGE},
            "linux": security,
            "log_path": os.path.basename(self.log),
            "command": ["sh", "-c", script]})
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        self.id = crictl("runp", pod)
        self.container = crictl("create", self.id, container, pod)
        crictl("start", self.container)
        self.process = json.loads(crictl("inspect", self.container))["info"]["pid"]
        network = json.loads(crictl("inspectp", self.id))["status"]["network"]
        self.address = network["ip"] if network else ""

    def lines(self):
        with open(self.log, encoding="utf-8") as stream:
            return len(stream.readlines())

    def check(self):
        """It runs, is known, and its log goes on."""
        self.check_running()
        assert self.container in crictl("ps", "--quiet", "--no-trunc", "--state", "Running").split()
        assert crictl("exec", self.container, "echo", "hello") == "hello"

    def check_running(self):
        assert os.path.exists("/proc/%d" % self.process)
        before = self.lines()
        wait_until(lambda: self.lines() > before, "the log stands still")


def held():
    """The addresses that pods have."""
    return {os.path.basename(path) for path in glob.glob(ADDRESSES)}


def containers(state):
    return set(crictl("ps", "--all", "--quiet", "--no-trunc", "--state", state).split())


def status_of(container):
    return json.loads(crictl("inspect", container))["status"]


def boot():
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as stream:
        return stream.read().strip()


def write(path, value):
    with open(path, "w", encoding="utf-8") as stream:
        json.dump(value, stream)


def prepare():
    """The package, a CNI network and an image, as a new node has them."""
    for folder in ("/etc/cni/net.d", "/etc/systemd/system-preset"):
        os.makedirs(folder, exist_ok=True)
    # This machine's own preset enables nothing, unlike Debian's.
    with open("/etc/systemd/system-preset/00-a-node.preset", "w", encoding="utf-8") as stream:
        stream.write("enable berth.service\n")
    install(package())
    run("cp", os.path.join(EXAMPLES, "10-berth.conflist"), "/etc/cni/net.d/")
    run("cp", os.path.join(EXAMPLES, "crictl.yaml"), "/etc/crictl.yaml")
    # There is no registry here.
    run("berth", "image", "import", os.environ["BERTH_TEST_IMAGES"], IMAGE)


def purge():
    return run("apt-get", "-q", "-y", "purge", "berth")


def check_nothing_is_left(but=()):
    """Of the package. The drop-ins `but`, which somebody has written, stay: they are removed here."""
    assert set(glob.glob(DROP_INS + "/*")) == set(but)
    for path in but:
        os.remove(path)
    if but:
        os.removedirs(DROP_INS)
    for path in ("/var/lib/berth", "/run/berth", "/etc/berth"):
        assert not os.path.exists(path), run("find", path)
    with open("/proc/self/mountinfo", encoding="utf-8") as mounts:
        assert "berth-" not in "".join(line for line in mounts if "/run/netns" in line)

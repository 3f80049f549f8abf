"""A node of containerd becomes one of Berth as docs/migration.md says, with stand-ins for kubelet
and kubectl. In the virtual machine only, in this order."""

import os
import sys
import tempfile

import pytest

from documents import block
from node import (CRICTL, DROP_INS, EXAMPLES, IMAGE, PACKAGES, SOURCE, Pod, check_nothing_is_left, crictl,
                  held, purge, run, shown)

sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

import registry  # noqa: E402  (needs the path above)
from image_set import ENGINE_PAUSE  # noqa: E402

MANUAL = "docs/migration.md"
OLD = "unix:///run/containerd/containerd.sock"
NEW = "unix:///run/berth/berth.sock"
KUBELET = "/var/lib/kubelet"
CERTIFICATES = "/etc/containerd/certs.d"
REGISTRIES = DROP_INS + "/registries.toml"
CONTAINERD = """\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "%s"
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "%s"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"
[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = true
""" % (ENGINE_PAUSE, CERTIFICATES)
HOSTS = """\
server = "https://%s"
[host."http://%s/v2/%s"]
capabilities = ["pull", "resolve"]
override_path = true
"""


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def read(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read()


def state(unit):
    return run("systemctl", "is-active", unit, check=False)


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder with what the manual calls and this machine does not have."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "kubectl").write_text("#!/bin/sh\necho kubectl \"$@\"\n")
    (folder / "kubectl").chmod(0o755)
    os.symlink(CRICTL, folder / "crictl")
    return folder


@pytest.fixture(scope="module")
def follow(programs):
    """Runs what the manual tells, as a reader who stops at the first failure."""
    def follow(text, folder):
        # This machine leaves out documents, and so the package's own examples.
        text = text.replace("/usr/share/doc/berth/examples", EXAMPLES)
        return run("env", "PATH=%s:%s" % (programs, os.environ["PATH"]), "bash", "-ec",
                   "cd %s\n%s" % (folder, text))
    return follow


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="berth-registry-") as folder:
        with registry.Registry(os.path.join(SOURCE, "build/testbed"), folder) as started:
            yield started


@pytest.fixture(scope="module")
def old(server, tmp_path_factory):
    """A pod of containerd's, on a node where the kubelet knows that one."""
    write("/etc/containerd/config.toml", CONTAINERD)
    for host in server.hosts:
        address, _, path = server.mirror(host).partition("://")[2].partition("/")
        write("%s/%s/hosts.toml" % (CERTIFICATES, host), HOSTS % (host, address, path))
    write("/etc/cni/net.d/10-berth.conflist", read(EXAMPLES + "/10-berth.conflist"))
    write("/etc/crictl.yaml",
          "runtime-endpoint: %s\nimage-endpoint: %s\ntimeout: 60\n" % (OLD, OLD))
    write("/etc/systemd/system/kubelet.service",
          "[Unit]\nAfter=containerd.service\n[Service]\nExecStart=/bin/sleep infinity\n")
    write(KUBELET + "/config.yaml",
          "cgroupDriver: systemd\ncontainerRuntimeEndpoint: \"%s\"\n" % OLD)
    write(KUBELET + "/kubeadm-flags.env", 'ARGS="--container-runtime-endpoint=%s"\n' % OLD)
    # This machine's own preset enables nothing, unlike Debian's.
    write("/etc/systemd/system-preset/00-a-node.preset", "enable berth.service\n")
    run("systemctl", "enable", "--now", "containerd")
    run("systemctl", "start", "kubelet")
    crictl("pull", IMAGE)
    pod = Pod(tmp_path_factory.mktemp("old"), "old")
    pod.check()
    return pod


def test_the_steps_lead_to_the_new_engine(old, follow):
    told = follow(block(MANUAL, "The steps", "sh"), PACKAGES)
    for words in ("kubectl drain NODE", "cgroupDriver: systemd", "After=containerd.service",
                  "kubectl uncordon NODE"):
        assert words in told
    # The old one's pods have ended, and it does not come back.
    assert not os.path.exists("/proc/%d" % old.process)
    assert held() == set()
    assert state("containerd") == "inactive"
    assert run("systemctl", "is-enabled", "containerd", check=False) == "disabled"
    assert shown("SubState") == "running" and state("kubelet") == "active"
    for name in ("config.yaml", "kubeadm-flags.env"):
        text = read(os.path.join(KUBELET, name))
        assert NEW in text and OLD not in text
    assert "berth" in crictl("version")


def test_registries_are_those_of_before(old, server, follow, tmp_path):
    text = block(MANUAL, "Settings", "sh")
    second = text.index("berth config import --from registries.conf")
    follow(text[:second] + text[text.index("berth config check"):], tmp_path)
    run("systemctl", "restart", "berth")
    crictl("pull", IMAGE)
    pod = Pod(tmp_path, "new")
    pod.check()
    crictl("stopp", pod.id)
    crictl("rmp", pod.id)
    crictl("rmi", IMAGE)


def test_images_are_carried_over(old, follow, tmp_path):
    """containerd's; there is no skopeo here."""
    text = block(MANUAL, "Images", "sh").replace("registry.example/base:1.0", IMAGE)
    lines = [line for line in text.splitlines() if "app.tar" not in line]
    assert len(lines) == 2
    run("systemctl", "start", "containerd")
    follow("\n".join(lines), tmp_path)
    run("systemctl", "stop", "containerd")
    assert IMAGE.partition(":")[0] in crictl("images")


def test_a_purge_leaves_what_the_reader_has_written():
    purge()
    check_nothing_is_left(but=[REGISTRIES])

"""Paths that the documents name: ours are where they are said to be, others' are known."""

import fnmatch
import glob
import json
import os
import re
import subprocess

import pytest

from conftest import BUILD, SOURCE, berth, read
from test_examples import DOCUMENTS

PATH = re.compile(r"(?<![\w./*}:-])/(?:etc|run|var|usr|opt)/[\w./@*+-]*[\w*]")
OURS = re.compile(r"/(lib)?berth\b")
# What a reader makes, in examples.
READERS = {"/etc/berth/partner.gpg", "/etc/berth/shop.pub", "/etc/berth/berth.toml.d/*.toml",
           "/var/lib/berth/images"}
# By who has them. What is not here is told: it may be a slip.
OTHERS = {
    "the system": {
        "/etc/fstab", "/etc/selinux/config", "/etc/ssl/certs", "/run/netns", "/usr/bin",
        "/usr/local", "/usr/local/bin", "/var/lib", "/etc/modules-load.d",
        "/etc/modules-load.d/kubernetes.conf", "/etc/sysctl.d/90-kubernetes.conf",
        "/usr/share/containers/selinux/contexts"},
    "the kubelet": {
        "/etc/kubernetes/manifests", "/etc/kubernetes/manifests/hello.yaml", "/usr/bin/kubelet",
        "/etc/systemd/system/kubelet.service.d/20-berth.conf",
        "/etc/systemd/system/kubelet.service.d/30-alone.conf",
        "/var/lib/kubelet", "/var/lib/kubelet/config.d", "/var/lib/kubelet/config.d/alone.conf",
        "/var/lib/kubelet/config.yaml", "/var/lib/kubelet/instance-config.yaml",
        "/var/lib/kubelet/kubeadm-flags.env", "/var/lib/kubelet/seccomp", "/var/log/pods"},
    "crictl": {"/etc/crictl.yaml"},
    "containerd": {
        "/etc/containerd/certs.d", "/etc/containerd/config.toml", "/run/containerd",
        # In a substitution the dots of a pattern are behind backslashes.
        "/run/containerd/containerd", "/run/containerd/containerd.sock", "/var/lib/containerd",
        "/usr/bin/containerd-shim-runc-v2"},
    "CRI-O and its libraries": {
        "/etc/containers/auth.json", "/etc/containers/policy.json",
        "/etc/containers/registries.conf", "/etc/crio/crio.conf", "/run/containers/storage",
        "/run/crio", "/run/crio/crio.sock", "/var/run/crio/crio.sock", "/var/lib/containers",
        "/var/lib/containers/storage"},
    "CNI and CDI": {"/etc/cdi", "/run/cdi", "/var/run/cdi", "/etc/cni/net.d", "/opt/cni/bin",
                    "/usr/lib/cni", "/var/lib/cni/networks"},
    "OCI runtimes": {
        "/opt/kata/bin", "/opt/kata/share/defaults/kata-containers",
        "/opt/kata/share/defaults/kata-containers/configuration.toml", "/usr/bin/crun",
        "/usr/bin/crun-wasm", "/usr/sbin/runc"},
}


def named():
    """{path: the documents that name it}."""
    found = {}
    for name in DOCUMENTS:
        # What is between these is declared with the keys.
        text = re.sub(r"keys begin.*keys end", "", read(name), flags=re.DOTALL)
        for path in PATH.findall(text):
            found.setdefault(path, set()).add(name)
    return found


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The folder in which the build is installed as a package is."""
    folder = tmp_path_factory.mktemp("installed")
    made = subprocess.run(["cmake", "--install", BUILD, "--prefix", "/usr"], capture_output=True,
                          text=True, check=False, env={**os.environ, "DESTDIR": str(folder)})
    assert made.returncode == 0, made.stderr
    return str(folder)


@pytest.fixture(scope="module")
def folders():
    """The defaults of `root` and `state`."""
    declared = json.loads(berth("config", "keys", "--config", "/dev/null").stdout)
    top = next(section for section in declared["sections"] if not section["name"])
    return [key["default"] for key in top["keys"] if key["key"] in ("root", "state")]


def is_installed(path, folder):
    # The tarball has the same below another folder.
    path = re.sub(r"^/opt/berth\b", "/usr", path).replace("NAME", "*")
    package = re.fullmatch(r"/usr/share/doc/([\w-]+)", path)
    if package and os.path.exists(os.path.join(SOURCE, "packaging/debian/%s.docs" % package[1])):
        return True
    return bool(glob.glob(folder + path))


def literals():
    """Those of the sources that are paths, or parts of one."""
    found = set()
    for folder in ("core", "plugins", "sdk"):
        for path in glob.glob(os.path.join(SOURCE, folder, "**/*.[ch]pp"), recursive=True):
            with open(path, encoding="utf-8") as stream:
                found.update(re.findall(r'"(/[^"\\\n]+)"', stream.read()))
    return found


def is_known(path, folders, said):
    def is_said(part):
        return any(one == part or one.startswith(part + "/") for one in said)
    return any(fnmatch.fnmatch(path, mine) for mine in READERS) or is_said(path) or any(
        path == folder or path.startswith(folder + "/") and is_said(path[len(folder):])
        for folder in folders)


def test_paths_of_ours_are_where_they_are_said_to_be(installed, folders):
    said = literals()
    found = {path: names for path, names in named().items() if OURS.search(path)}
    assert len(found) > 20
    assert {path: names for path, names in found.items()
            if not is_installed(path, installed) and not is_known(path, folders, said)} == {}


def test_paths_of_others_are_known():
    known = set().union(*OTHERS.values())
    found = {path: names for path, names in named().items() if not OURS.search(path)}
    assert {path: names for path, names in found.items() if path not in known} == {}
    assert known - set(named()) == set(), "nothing names these any more"

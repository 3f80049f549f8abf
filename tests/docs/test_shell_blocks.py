"""Blocks of shell in the documents: the built command understands its part of them, and those of
the manual for a change of engines are run, in order, where everything else is a stand-in."""

import json
import os
import shlex
import subprocess
import tomllib

import pytest

from conftest import BUILD, PLUGINS, SOURCE, berth
from test_examples import blocks, commands

# From here on an exit status says that the command line is not understood.
NOT_UNDERSTOOD = 100
MANUAL = "docs/migration.md"


@pytest.fixture
def settings(tmp_path):
    """A configuration of nobody's daemon."""
    path = tmp_path / "nobody.toml"
    path.write_text("root = \"%s/root\"\nstate = \"%s/state\"\nplugin_dirs = %s\n"
                    "grpc.socket = \"%s/none\"\n"
                    % (tmp_path, tmp_path, json.dumps([PLUGINS]), tmp_path))
    return path


def lines():
    found = []
    for each in blocks("sh"):
        found += [pytest.param(words[1:], id="%s: %s" % (each.id, shlex.join(words)))
                  for words in commands(each.values[0]) if words[0] == "berth"]
    return found


@pytest.mark.parametrize("words", lines())
def test_a_command_line_is_understood(words, settings, tmp_path):
    """It may well fail: there is no daemon, and no file of that name."""
    made = berth("--config", str(settings), *words, cwd=tmp_path)
    assert 0 <= made.returncode < NOT_UNDERSTOOD, made.stderr


def block_with(words):
    [found] = [each.values[0] for each in blocks("sh")
               if each.id.startswith(MANUAL) and words in each.values[0]]
    return found


class Node:
    """A folder that takes the place of a node's files, and programs that only tell that they were
    called. `berth` is the built one."""

    PROGRAMS = ("kubectl", "systemctl", "crictl", "apt")

    def __init__(self, folder, settings):
        self.folder = folder
        self.programs = folder / "programs"
        self.programs.mkdir()
        (folder / "kubelet").mkdir()
        (folder / "berth.toml.d").mkdir()
        self.calls = folder / "calls"
        for name in self.PROGRAMS:
            self.program(name, "")
        # As a start takes it: the file and those beside it. What this host lacks is not the point.
        self.program("berth", 'cat %s %s/berth.toml.d/* > %s/all.toml 2> /dev/null\n'
                              '%s/bin/berth --config %s/all.toml "$@" || [ "$1" = check ]'
                     % (settings, folder, folder, BUILD, folder))

    def program(self, name, script):
        path = self.programs / name
        path.write_text('#!/bin/sh\necho %s "$@" >> %s\n%s\n' % (name, self.calls, script))
        path.chmod(0o755)

    def run(self, text, *places):
        """As a reader who stops at the first failure."""
        for path, other in (("/var/lib/kubelet", self.folder / "kubelet"),
                            ("/etc/berth/berth.toml.d", self.folder / "berth.toml.d"),
                            ("/etc/crictl.yaml", self.folder / "crictl.yaml"),
                            ("/usr/share/doc/berth", SOURCE + "/packaging"), *places):
            text = text.replace(path, str(other))
        made = subprocess.run(
            ["bash", "-ec", text], cwd=self.folder, stdin=subprocess.DEVNULL, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60,
            env={**os.environ, "PATH": "%s:%s" % (self.programs, os.environ["PATH"])})
        assert made.returncode == 0, made.stdout
        return made.stdout


@pytest.fixture
def node(tmp_path, settings):
    return Node(tmp_path, settings)


@pytest.mark.parametrize("files", [
    pytest.param(("config.yaml", "kubeadm-flags.env"), id="of kubeadm's"),
    pytest.param(("config.yaml",), id="without kubeadm")])
def test_a_node_is_moved_over(node, files):
    """Nothing is asked of an engine that does not run, and no pod begins in between. Files that
    this node does not have are neither missed nor made."""
    old, new = "unix:///run/containerd/containerd.sock", "unix:///run/berth/berth.sock"
    kubelet = node.folder / "kubelet"
    contents = {"config.yaml": "cgroupDriver: systemd\ncontainerRuntimeEndpoint: \"%s\"\n",
                "kubeadm-flags.env": 'A="--container-runtime-endpoint=%s"\n'}
    for name in files:
        (kubelet / name).write_text(contents[name] % old)
    (node.folder / "berth_1_amd64.deb").touch()
    node.program("systemctl", "[ $1 != cat ] || echo After=containerd.service")
    told = node.run(block_with("kubectl drain"))

    calls = node.calls.read_text().splitlines()
    steps = ["kubectl drain NODE ", "systemctl stop kubelet",
             "crictl --runtime-endpoint %s rmp " % old, "systemctl disable --now containerd",
             "apt install ./berth_1_amd64.deb", "berth config check", "systemctl status berth",
             "kubectl annotate node NODE ", "systemctl start kubelet", "kubectl uncordon NODE"]
    at = [[number for number, call in enumerate(calls) if call.startswith(step)] for step in steps]
    assert [len(found) for found in at] == [1] * len(steps), calls
    assert at == sorted(at), calls
    for words in ("cgroupDriver: systemd", "cgroup driver", "After=containerd.service"):
        assert words in told
    assert old not in told and "No such file" not in told
    assert sorted(os.listdir(kubelet)) == sorted(files)
    for name in files:
        assert old not in (kubelet / name).read_text() and new in (kubelet / name).read_text()
    assert new in (node.folder / "crictl.yaml").read_text()


def test_registries_are_taken_over(node):
    """From the one engine, and from the other."""
    hosts = node.folder / "certs.d/registry.example"
    hosts.mkdir(parents=True)
    (hosts / "hosts.toml").write_text(
        'server = "https://registry.example"\n[host."https://mirror.example"]\n'
        'capabilities = ["pull", "resolve"]\n')
    registries = node.folder / "registries.conf"
    registries.write_text('[[registry]]\nlocation = "other.example"\ninsecure = true\n')
    text = block_with("config import")
    first, second = (text.index("berth config import --from " + form)
                     for form in ("hosts.toml", "registries.conf"))
    last = text.index("berth config check")
    for lines_of, name in ((text[first:second], "registry.example"),
                           (text[second:last], "other.example")):
        node.run(lines_of + text[last:], ("/etc/containerd/certs.d", hosts.parent),
                 ("/etc/containers/registries.conf", registries))
        made = tomllib.loads((node.folder / "berth.toml.d/registries.toml").read_text())
        assert name in made["sources"]["registry"]["options"]["registries"]

"""Blocks of code in the documents: configurations are loaded, commands exist, files parse."""

import glob
import json
import os
import re
import shlex
import subprocess

import pytest
import yaml

from conftest import SOURCE, berth, options, read, subcommands

DOCUMENTS = sorted(os.path.relpath(path, SOURCE) for pattern in
                   ("README.md", "docs/*.md", "plugins/*/README.md")
                   for path in glob.glob(os.path.join(SOURCE, pattern)))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language):
    found = []
    for name in DOCUMENTS:
        text = read(name)
        # The lists of keys have a test of their own.
        text = re.sub(r"keys begin.*keys end", "", text, flags=re.DOTALL)
        for at, block in enumerate(BLOCK.finditer(text)):
            if block[1] == language:
                found.append(pytest.param(block[2], id="%s-%d" % (name, at)))
    return found


def test_every_block_says_what_it_is():
    for name in DOCUMENTS:
        for block in BLOCK.finditer(read(name)):
            # What is code has a test of its own, test_plugins.py.
            code = ("c", "cpp", "cmake") if name.startswith("docs/plugin") else ()
            assert block[1] in ("sh", "toml", "yaml", "json", "text", *code), (name, block[2])


@pytest.mark.parametrize("text", blocks("toml"))
def test_configurations_are_loaded(text, loaded):
    loaded(text)


@pytest.mark.parametrize("text", blocks("json"))
def test_json_parses(text):
    json.loads(text)


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_parses(text):
    for document in yaml.safe_load_all(text):
        assert isinstance(document, dict)


def test_operations_that_an_alert_leaves_out_are_called_so():
    [names] = re.findall(r'operation!~"([^"]+)"', read("docs/observing.md"))
    said = sources()
    for name in names.split("|"):
        assert '"%s ' % name in said or '"%s"' % name in said, name


def commands(text):
    """The command lines of a block that call `berth`, without what a shell adds."""
    text = re.sub(r"(^|\s)#.*", "", text.replace("\\\n", " "), flags=re.MULTILINE)
    for line in re.findall(r"(?:^|[|;&(] *|sudo )(berthd? [^|;&<>\n]*)", text, re.MULTILINE):
        yield shlex.split(line)


def check_command(words):
    way = []
    for word in words[1:]:
        if word.startswith("--"):
            assert word.split("=")[0] in options(*way), shlex.join(words)
        elif word in subcommands(*way):
            way.append(word)


@pytest.mark.parametrize("text", blocks("sh"))
def test_commands_exist(text):
    checked = subprocess.run(["bash", "-n"], input=re.sub(r"<[\w ]+>", "X", text), text=True,
                             capture_output=True, check=False)
    assert checked.returncode == 0, checked.stderr
    for words in commands(text):
        if words[0] == "berth":
            assert words[1] in subcommands(), words
            check_command(words)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_the_text_exist(name):
    """`berth …` between backquotes."""
    for quoted in re.findall(r"`(berth [^`]*)`", read(name)):
        words = shlex.split(quoted)
        if words[1] == "…":
            continue
        assert words[1] in subcommands(), quoted
        check_command(words)


def test_files_that_are_named_exist():
    """Paths of this tree in the documents."""
    for name in DOCUMENTS:
        for path in re.findall(r"`((?:core|docs|plugins|sdk|tests|tools|packaging)/[\w./*-]+)`",
                               read(name)):
            assert glob.glob(os.path.join(SOURCE, path.rstrip("/")) + "*"), (name, path)


def test_the_program_answers():
    assert berth("version").returncode == 0


# What makes a document one of Kubernetes' own: its groups and kinds, and the keys they know.
KINDS = {
    ("kubelet.config.k8s.io/v1beta1", "KubeletConfiguration"):
        {"containerRuntimeEndpoint", "cgroupDriver", "runtimeRequestTimeout", "featureGates",
         "staticPodPath", "address", "authentication", "authorization"},
    ("kubeadm.k8s.io/v1beta4", "InitConfiguration"): {"nodeRegistration"},
    ("kubeadm.k8s.io/v1beta4", "JoinConfiguration"): {"nodeRegistration", "discovery"},
    ("kubeadm.k8s.io/v1beta4", "ClusterConfiguration"): {"networking"},
    ("node.k8s.io/v1", "RuntimeClass"): {"metadata", "handler", "overhead", "scheduling"},
    ("v1", "Pod"): {"metadata", "spec"},
}
CRICTL = {"runtime-endpoint", "image-endpoint", "timeout"}


def documents(name):
    for block in BLOCK.finditer(read(name)):
        if block[1] == "yaml":
            yield from yaml.safe_load_all(block[2])


def test_manifests_have_the_keys_of_their_kinds():
    seen = set()
    for document in documents("docs/kubelet.md"):
        if "kind" not in document:
            assert document.keys() <= CRICTL
            continue
        kind = document.pop("apiVersion"), document.pop("kind")
        assert document.keys() <= KINDS[kind], kind
        seen.add(kind)
    assert seen == KINDS.keys()


def test_manifests_name_what_there_is():
    """Sockets are where the engine serves, handlers are tables of the configuration beside them."""
    text = read("docs/kubelet.md")
    shown = json.loads(berth("config", "keys", "--config", "/dev/null").stdout)
    socket = next(key["default"] for section in shown["sections"] if section["name"] == "grpc"
                  for key in section["keys"] if key["key"] == "socket")
    assert set(re.findall(r"unix://(\S+\.sock)", text)) == {socket}
    tables = set(re.findall(r"^\[runtimes\.(\w+)\]$", text, re.MULTILINE))
    classes = [document for document in documents("docs/kubelet.md")
               if document.get("kind") == "RuntimeClass"]
    assert {document["handler"] for document in classes} == tables
    names = {document["metadata"]["name"] for document in classes}
    used = {document["spec"].get("runtimeClassName") for document in documents("docs/kubelet.md")
            if document.get("kind") == "Pod"}
    assert used - {None} and used - {None} <= names


def test_examples_of_the_packages_are_those_of_the_documents():
    text = read("docs/kubelet.md")
    assert read("packaging/examples/10-berth.conflist") in text
    crictl = yaml.safe_load(read("packaging/examples/crictl.yaml"))
    assert crictl in list(documents("docs/kubelet.md"))
    network = json.loads(read("packaging/examples/10-berth.conflist"))
    assert [plugin["type"] for plugin in network["plugins"]] == ["bridge", "portmap"]


def test_settings_that_are_named_exist():
    """Keys of the configuration in tables and sentences, as `section.key`."""
    keys = json.loads(berth("config", "keys", "--config", "/dev/null").stdout)
    sections = {section["name"]: {key["key"] for key in section["keys"]}
                for section in keys["sections"]}
    count = 0
    for name in ("docs/kubelet.md", "docs/migration.md", "docs/troubleshooting.md"):
        text = read(name)
        if name == "docs/migration.md":
            # The first columns of its tables are other engines' keys.
            text = "\n".join(line.split("|")[-2] if line.startswith("|") else line
                             for line in text.splitlines())
        for section, key in re.findall(r"`(\w+)\.(\w+)(?:`| =)", text):
            if section in sections:
                assert key in sections[section], (name, section, key)
                count += 1
    assert count > 20


def migrate(kubelet):
    """Runs lines of the manual that change the kubelet's files, which are in that folder."""
    block = next(found[2] for found in BLOCK.finditer(read("docs/migration.md"))
                 if "kubeadm-flags.env" in found[2])
    lines = block[block.index("for file in"):block.index("kubectl annotate")]
    return subprocess.run(["bash", "-c", lines.replace("/var/lib/kubelet", str(kubelet))],
                          capture_output=True, text=True, check=False)


@pytest.mark.parametrize("names", [["config.yaml"], ["config.yaml", "instance-config.yaml"]])
def test_the_kubelets_files_are_moved_over(tmp_path, names):
    text = "kind: KubeletConfiguration\ncontainerRuntimeEndpoint: %s\ncgroupDriver: systemd\n"
    for name in names:
        (tmp_path / name).write_text(text % '"unix:///run/containerd/containerd.sock"')
    made = migrate(tmp_path)
    assert (made.returncode, made.stderr) == (0, "")
    assert sorted(os.listdir(tmp_path)) == names
    for name in names:
        assert (tmp_path / name).read_text() == text % "unix:///run/berth/berth.sock"


@pytest.mark.parametrize("socket,moved", [
    ("unix:///var/run/containerd/containerd.sock", True),
    ("unix:///run/containerd/containerd.sock", True),
    ("unix:///run/k3s/containerd/containerd.sock", False)])
def test_the_kubelets_flags_are_moved_over_or_told_of(tmp_path, socket, moved):
    flags = tmp_path / "kubeadm-flags.env"
    flags.write_text('KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=%s --node-ip=::"\n'
                     % socket)
    made = migrate(tmp_path)
    assert (made.returncode == 0, made.stderr) == (moved, "")
    assert (made.stdout == "") == moved
    assert ("=unix:///run/berth/berth.sock " in flags.read_text()) == moved


def test_registries_in_examples_are_nobodys():
    """But the one that short names are completed to (RFC 2606)."""
    count = 0
    for name in [*DOCUMENTS, *(os.path.relpath(path, SOURCE)
                               for path in glob.glob(os.path.join(SOURCE, "docs/man/*")))]:
        text = read(name).replace("\\-", "-")
        hosts = re.findall(r"(?<![\w./-])((?:[a-z0-9-]+\.)+[a-z]+)/[a-z0-9._/-]+:[\w.-]+", text)
        hosts += re.findall(r'registries\."([a-z0-9.-]+)', text)
        hosts += re.findall(r'registries = { "([a-z0-9.-]+)', text.replace('""', '"'))
        for host in hosts:
            assert host.endswith(".example") or host == "docker.io", (name, host)
        count += len(hosts)
    assert count > 15


def sources():
    """All string literals of the sources, those that follow each other joined."""
    text = ""
    for folder in ("core", "plugins", "sdk"):
        for path in glob.glob(os.path.join(SOURCE, folder, "**/*.[ch]pp"), recursive=True):
            with open(path, encoding="utf-8") as stream:
                text += stream.read()
    text = re.sub(r'"\s*,?\s*"', "", text)
    return text.replace('\\"', '"')


# What others say.
NOT_OURS = {"timeout", "watchdog", "container runtime is down",
            "container runtime not ready: RuntimeReady=false",
            "misconfiguration: kubelet cgroup driver", "kubectl exec", "kubectl port-forward",
            "OOMKilled"}


def test_messages_that_are_quoted_are_what_is_said():
    said = sources()
    count = 0
    for heading in re.findall(r"^### (.*)$", read("docs/troubleshooting.md"), re.MULTILINE):
        for quoted in re.findall(r"`([^`]+)`", heading):
            if quoted in NOT_OURS:
                continue
            for part in quoted.split("…"):
                assert part.strip() in said, quoted
            count += 1
    assert count > 20
    for quoted in ("the daemon does not answer its own watchdog",
                   "the daemon's start or end takes long",
                   "the node is not ready",
                   "credentials cannot be looked up everywhere",
                   "the kernel's OOM killer ended a process of a container",
                   "the pod's monitor has died; its containers were killed",
                   "a pod's isolation ended by itself"):
        assert quoted in said
        assert quoted in re.sub(r"\s+", " ", read("docs/troubleshooting.md"))

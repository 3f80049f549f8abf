"""Projects of others: the SDK's examples, and what `berth plugin new` writes, built with the
installed SDK alone, and loaded by the built `berth`."""

import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "testbed"))

from plugin_projects import (EXAMPLES, NEW, SOURCE, berth, build_examples,  # noqa: E402
                             build_new_projects, install_sdk)

TABLES = {"runtime": "runtimes", "snapshotter": "snapshotters", "image-source": "sources",
          "network": "networks"}


@pytest.fixture(scope="module")
def sdk(tmp_path_factory):
    prefix = install_sdk(tmp_path_factory.mktemp("sdk"))
    return os.path.join(prefix, "share/berth")


def new(sdk, *arguments, kind="network", language="c", **settings):
    return berth("plugin", "new", "--kind", kind, "--language", language, "--sdk", sdk,
                 *arguments, **settings)


def files(folder):
    return sorted(os.path.relpath(os.path.join(at, name), folder)
                  for at, _, names in os.walk(folder) for name in names)


def test_examples_are_built_in_each_language_and_kind():
    assert len(os.listdir(build_examples())) == len(EXAMPLES) == 8
    facts = [dict(line.split(" ", 1) for line in open(os.path.join(path, "template"),
                                                      encoding="utf-8"))
             for path in EXAMPLES.values()]
    assert sorted((one["kind"].strip(), one["language"].strip()) for one in facts) == sorted(
        NEW.values())


# What each needs to be configured.
OPTIONS = {"image-source-c": 'path = "/"', "image-source-cpp": 'url = "http://127.0.0.1:1"',
           "network-c": 'interfaces = ["lo"]', "network-cpp": 'range = "10.77.0.0/24"',
           "runtime-c": 'plugin = "%s/lib/berth/plugins/berth-runtime-runc.so"',
           "runtime-cpp": 'plugin = "%s/lib/berth/plugins/berth-runtime-runc.so"'}


def test_new_projects_are_built_tested_and_loaded(tmp_path):
    from plugin_projects import BUILD
    plugins = build_new_projects()
    text = 'plugin_dirs = ["%s/lib/berth/plugins", "%s"]\ngrpc.socket = "%s/none"\n' % (
        BUILD, plugins, tmp_path)
    for name, (kind, _) in NEW.items():
        table = "%s.%s" % (TABLES[kind], name)
        options = OPTIONS.get(name[len("new-"):], "")
        text += '[%s]\nplugin = "%s"\n[%s.options]\n%s\n' % (
            table, name, table, options % BUILD if "%s" in options else options)
    (tmp_path / "berth.toml").write_text(text)
    listed = berth("plugins", "--config", tmp_path / "berth.toml")
    assert listed.returncode == 0, listed.stdout + listed.stderr
    for name, (kind, _) in NEW.items():
        assert re.search(r"^%s +%s +%s +1\.0\.0 .* configured " % (
            name, kind.replace("-", "[- ]"), name), listed.stdout, re.MULTILINE), listed.stdout


def test_a_project_is_complete(sdk, tmp_path):
    made = new(sdk, "my-net", cwd=tmp_path, env={**os.environ, "DEBFULLNAME": "A B",
                                                 "DEBEMAIL": "a@example.org"})
    assert made.returncode == 0, made.stderr
    assert "cd my-net" in made.stdout
    needs = ("makes: libberth-plugin-dev. ", "sudo apt-get install cmake gcc\n")
    for needed in needs:
        assert needed in made.stdout and needed in (tmp_path / "my-net/README.md").read_text()
    found = files(tmp_path / "my-net")
    assert set(found) >= {".gitignore", "CMakeLists.txt", "README.md", "plugin.c", "test/load.c",
                          "test/CMakeLists.txt", "debian/control", "debian/rules",
                          "debian/changelog", "debian/copyright", "debian/source/format"}
    assert "template" not in found
    assert os.access(tmp_path / "my-net/debian/rules", os.X_OK)
    for name in found:
        text = (tmp_path / "my-net" / name).read_text()
        assert not re.search(r"@[A-Z]+@", text), name
        assert "network-host-interface" not in text, name
        if name.endswith((".c", ".h")):
            assert not re.search(r"\bports(_|\b)|\bPORTS_", text), name
    control = (tmp_path / "my-net/debian/control").read_text()
    assert "Maintainer: A B <a@example.org>\n" in control
    assert re.search(r"libberth-plugin-dev,\n\nPackage: berth-my-net\n", control)
    assert re.match(r"berth-my-net \(1\.0\.0\) UNRELEASED; ",
                    (tmp_path / "my-net/debian/changelog").read_text())
    parsed = subprocess.run(["dpkg-parsechangelog", "-l", tmp_path / "my-net/debian/changelog"],
                            capture_output=True, text=True, check=True)
    assert "Maintainer: A B <a@example.org>" in parsed.stdout and not parsed.stderr


def test_what_a_project_needs_is_told(sdk, tmp_path):
    """Those that apt finds nowhere are not among those that it is to install."""
    for kind, language, own, needed in (
            ("runtime", "c++", ", berth", "g++"),
            ("snapshotter", "c++", "", "g++ libabsl-dev libboost-json1.81-dev"),
            ("image-source", "c", "", "gcc libssl-dev")):
        made = new(sdk, "p", tmp_path / kind, kind=kind, language=language)
        for words in ("makes: libberth-plugin-dev%s. " % own,
                      "sudo apt-get install cmake %s\n" % needed):
            assert words in made.stdout, made.stdout
            assert words in (tmp_path / kind / "README.md").read_text()


@pytest.mark.parametrize("name", ["", "A", "9a", "-a", "a-", "a_b", "a/b", "../a", "a b", "ä",
                                  "a" * 64])
def test_names_are_checked(sdk, tmp_path, name):
    made = new(sdk, "--", name, tmp_path / "folder")
    assert made.returncode == 1
    assert "is no name for a plugin" in made.stderr
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["a", "int", "main", "a" * 63, "snapshotter-native"])
def test_good_names_make_good_code(sdk, tmp_path, name):
    assert new(sdk, name, tmp_path / "p", kind="snapshotter").returncode == 0
    for path in files(tmp_path / "p"):
        if path.endswith(".c") and "/" not in path:
            run = subprocess.run(["cc", "-std=gnu11", "-D_GNU_SOURCE", "-fsyntax-only", "-Wall",
                                  "-Werror", "-I", os.path.join(SOURCE, "sdk/include"),
                                  tmp_path / "p" / path], capture_output=True, text=True,
                                 check=False)
            assert run.returncode == 0, run.stderr


def test_what_is_there_is_left_alone(sdk, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/mine").write_text("kept")
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("folder", "link"):
        made = new(sdk, "p", tmp_path / name)
        assert made.returncode == 1 and "exists" in made.stderr
    assert sorted(os.listdir(tmp_path)) == ["folder", "link"]
    assert files(tmp_path / "folder") == ["mine"]


def test_nothing_half_written_is_left(sdk, tmp_path):
    # The disk is full after some files.
    (tmp_path / "small").mkdir()
    script = ("mount -t tmpfs -o size=16k tmpfs %s/small && cd %s/small && "
              "! %s plugin new --kind network --sdk %s p && ls -A" % (
                  tmp_path, tmp_path, os.path.join(os.environ["BERTH_BUILD"], "bin/berth"), sdk))
    made = subprocess.run(["unshare", "--mount", "--map-root-user", "sh", "-c", script],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    assert made.returncode == 0, made.stderr
    assert "No space left" in made.stderr
    assert made.stdout == ""


def test_the_sdks_program_writes_the_same(sdk, tmp_path):
    """berth-plugin-new, which needs no engine and knows the SDK that it is a part of."""
    program = os.path.join(os.path.dirname(os.path.dirname(sdk)), "bin/berth-plugin-new")
    words = ["--kind", "snapshotter", "--language", "c", "my-layers"]

    def asked(*more):
        return subprocess.run([program, *words, *more], cwd=tmp_path, capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL)
    made = asked()
    assert made.returncode == 0, made.stderr
    other = new(sdk, "my-layers", tmp_path / "other", kind="snapshotter")
    assert made.stdout == other.stdout.replace(str(tmp_path / "other"), "my-layers")
    assert subprocess.run(["diff", "-r", "-I", "^ -- ", "my-layers", "other"], cwd=tmp_path,
                          check=False).returncode == 0
    again = asked()
    assert (again.returncode, again.stderr) == (1, "berth-plugin-new: my-layers exists\n")
    words[1] = "storage"
    assert asked().returncode == 2


def test_reasons_are_told(sdk, tmp_path):
    missing = new(tmp_path / "none", "p", tmp_path / "p")
    assert missing.returncode == 1
    assert "install libberth-plugin-dev" in missing.stderr
    nowhere = new(sdk, "p", tmp_path / "no/where")
    assert nowhere.returncode == 1
    assert "No such file or directory" in nowhere.stderr
    unknown = berth("plugin", "new", "--kind", "storage", "p", cwd=tmp_path)
    assert unknown.returncode != 0
    assert "runtime" in unknown.stderr + unknown.stdout
    assert os.listdir(tmp_path) == []

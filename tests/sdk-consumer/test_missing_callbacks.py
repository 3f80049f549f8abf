"""Plugins that lack one callback each: all that the headers do not call optional are mandatory, and
whoever lacks one is refused with its file and the callback's name."""

import os
import re
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "testbed"))

from plugin_projects import BUILD, SOURCE, berth  # noqa: E402

HEADERS = os.path.join(SOURCE, "sdk/include/berth")
PLUGINS = os.path.join(BUILD, "lib/berth/plugins")
# kind: (table of the configuration, a plugin of the project)
KINDS = {"runtime": ("runtimes", "runtime-runc"),
         "snapshotter": ("snapshotters", "snapshotter-overlay"),
         "image_source": ("sources", "source-oci-layout"), "network": ("networks", "network-cni")}


def callbacks(header, struct):
    """The names of a struct's functions, in order: (mandatory, optional)."""
    with open(os.path.join(HEADERS, header), encoding="utf-8") as stream:
        text = stream.read()
    body = text.partition("typedef struct %s {" % struct)[2].partition("} %s;" % struct)[0]
    found = re.findall(r"(/\*(?:[^*]|\*(?!/))*\*/)?\s*[^;/]*?\(\*(\w+)\)\([^;]*;", body)
    return ([name for told, name in found if "Optional" not in told],
            [name for told, name in found if "Optional" in told])


LIFE, OPTIONAL = callbacks("plugin.h", "berth_plugin")
TABLES = {kind: callbacks(kind + ".h", "berth_" + kind)[0] for kind in KINDS}


def test_the_headers_are_understood():
    assert LIFE == ["create", "configure", "start", "stop", "destroy"]
    assert OPTIONAL == ["get_extension", "examine"]
    assert {kind: len(names) for kind, names in TABLES.items()} == {
        "runtime": 19, "snapshotter": 12, "image_source": 3, "network": 6}


@pytest.fixture(scope="module")
def lacking(tmp_path_factory):
    """{kind: file}"""
    def members(names):
        return " ".join("M(%s)" % name for name in names)
    made = {}
    for kind, (_, real) in KINDS.items():
        made[kind] = str(tmp_path_factory.mktemp("plugins") / "berth-lacking.so")
        subprocess.run(
            ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
             "-fvisibility=hidden", "-I", os.path.dirname(HEADERS), '-DREAL="%s/berth-%s.so"' % (
                 PLUGINS, real), '-DHEADER="berth/%s.h"' % kind, "-DTABLE=berth_" + kind,
             "-DPLUGIN_MEMBERS=" + members(LIFE + OPTIONAL),
             "-DTABLE_MEMBERS=" + members(TABLES[kind]),
             os.path.join(SOURCE, "tests/fixtures/faulty-plugins/lacking.c"), "-o", made[kind]],
            check=True)
    return made


def load(kind, file, lacks, tmp_path):
    """`berth config check` of a configuration that has the plugin."""
    path = tmp_path / "berth.toml"
    path.write_text('plugin_dirs = ["%s", "%s"]\ngrpc.socket = "%s/none"\n[%s.one]\n'
                    'plugin = "lacking"\n' % (PLUGINS, os.path.dirname(file), tmp_path,
                                              KINDS[kind][0]))
    return berth("config", "check", "--config", path, env={**os.environ, "BERTH_LACKS": lacks})


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_without_the_optional_ones_it_is_taken(lacking, kind, tmp_path):
    for name in ["", *OPTIONAL]:
        taken = load(kind, lacking[kind], name, tmp_path)
        assert taken.returncode == 0, (name, taken.stderr)


@pytest.mark.parametrize("kind,name", [
    pytest.param(kind, name, id="%s-%s" % (kind, name))
    for kind in sorted(KINDS) for name in LIFE + TABLES[kind]])
def test_a_plugin_that_lacks_a_callback_is_refused(lacking, kind, name, tmp_path):
    refused = load(kind, lacking[kind], name, tmp_path)
    assert refused.returncode == 1, refused.stdout + refused.stderr
    struct = "berth_plugin" if name in LIFE else "berth." + kind.replace("_", "-")
    assert re.search(r"%s.*lacks the mandatory callback `%s` of %s" % (
        re.escape(lacking[kind]), name, struct), refused.stderr), refused.stderr
    assert "one" in refused.stderr


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_checker_names_it(lacking, kind):
    for name in (LIFE[0], TABLES[kind][0], TABLES[kind][-1]):
        told = subprocess.run(
            [os.path.join(BUILD, "bin/berth-plugin-check"), "--only", "description.callbacks",
             lacking[kind]], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
            env={**os.environ, "BERTH_LACKS": name})
        assert told.returncode == 1
        assert "lacks the mandatory callback `%s` of " % name in told.stdout, told.stdout

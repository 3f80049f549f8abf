"""The documents, their examples, and the built `berth` to compare them with."""

import json
import os
import re
import subprocess
import sys

import pytest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

from plugin_projects import build_small  # noqa: E402

BUILD = os.environ.get("BERTH_BUILD", os.path.join(SOURCE, "build/release"))
PLUGINS = os.path.join(BUILD, "lib/berth/plugins")


def path_of(name):
    return os.path.join(SOURCE, name)


def read(name):
    with open(path_of(name), encoding="utf-8") as stream:
        return stream.read()


def berth(*arguments, **settings):
    return subprocess.run([os.path.join(BUILD, "bin/berth"), *arguments], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=60, **settings)


def subcommands(*command):
    """{name: what it does} of what may follow `berth command…`."""
    text = berth(*command, "--help").stdout.partition("Subcommands:\n")[2]
    return dict(re.findall(r"^  (\S+) +(.*)$", text, re.MULTILINE))


def options(*command):
    """The long options of `berth command…`."""
    return set(re.findall(r"--[a-z-]+", berth(*command, "--help").stdout.partition("Options:")[2]))


@pytest.fixture
def loaded(tmp_path):
    """Loads a configuration as a start would, plugins included; returns what would run."""
    def load(text, name="example.toml"):
        socket = "" if re.search(r"^(grpc\.)?socket = ", text, re.MULTILINE) else (
            "grpc.socket = \"%s/none.sock\"\n" % tmp_path)
        folders = [PLUGINS, *([build_small()] if '"small-' in text else [])]
        folder = "plugin_dirs = %s\n" % json.dumps(folders)
        if folders[1:]:
            # The folders in the text are the reader's.
            text = re.sub(r"^plugin_dirs = .*\n", "", text, flags=re.MULTILINE)
        elif re.search(r"^plugin_dirs = ", text, re.MULTILINE):
            folder = ""
        path = tmp_path / name
        path.write_text(folder + socket + text)
        made = berth("config", "show", "--config", str(path))
        assert made.returncode == 0, made.stderr + "\n" + path.read_text()
        return made.stdout
    return load

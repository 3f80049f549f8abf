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
            assert block[1] in ("sh", "toml", "yaml", "json", "text"), (name, block[2])


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


def commands(text):
    """The command lines of a block that call `berth`, without what a shell adds."""
    for line in text.replace("\\\n", " ").splitlines():
        for part in re.split(r"[|;&]+|\$\(|\)", re.sub(r"(^|\s)#.*", "", line)):
            words = shlex.split(re.sub(r"[<>].*", "", part))
            while words and (words[0] == "sudo" or "=" in words[0]):
                words = words[1:]
            if words and os.path.basename(words[0]) in ("berth", "berthd"):
                yield words


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
        if os.path.basename(words[0]) == "berth":
            assert words[1] in {*subcommands(), "--help"}, words
            check_command(words)


@pytest.mark.parametrize("name", DOCUMENTS)
def test_commands_in_the_text_exist(name):
    """`berth …` between backquotes."""
    for quoted in re.findall(r"`(berth [^`]*)`", read(name)):
        words = shlex.split(quoted)
        if words[1] in ("…",):
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

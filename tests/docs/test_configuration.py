"""The lists of keys: what they say is what the parser takes, and nothing is missing in them."""

import json
import os
import re
import subprocess
import tomllib

import pytest

from conftest import BUILD, PLUGINS, SOURCE, berth, read

KEY = re.compile(r"^### `(.*)`$")
OPTIONS = re.compile(r"^## `\[(\w+)\.NAME\.options\] with plugin = \"(.*)\"`$")
SECTION = re.compile(r"^## `\[(\w+)(\.NAME)?\]`$")


def test_the_lists_are_what_is_declared():
    made = subprocess.run([os.path.join(SOURCE, "tools/document"), "--check", "--build", BUILD],
                          capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


@pytest.fixture(scope="module")
def declared(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "berth.toml"
    path.write_text("plugin_dirs = [\"%s\"]\n" % PLUGINS)
    return json.loads(berth("config", "keys", "--config", str(path)).stdout)


def documented(examples):
    """{table: {key: (default or None, example)}} of docs/configuration.md, as TOML; tables of
    instances get the names that the examples call them by, options those of their plugins."""
    tables, table = {}, None
    for part in re.split(r"^(?=##)", read("docs/configuration.md").partition("keys begin")[2],
                         flags=re.MULTILINE):
        first = part.split("\n", 1)[0]
        if first.startswith("## At the top"):
            table = ""
        elif found := OPTIONS.match(first):
            table = "%s.%s.options" % found.groups()
        elif found := SECTION.match(first):
            table = found[1] + ("." + examples[found[1]] if found[2] else "")
        elif found := KEY.match(first):
            block = part.partition("```toml\n")[2].partition("\n```")[0].splitlines()
            default = block[0].partition("  # the default")
            key, _, example = block[1].partition(" = ")
            assert key == found[1]
            tables.setdefault(table, {})[key] = (
                default[0].partition(" = ")[2] if default[1] else None, example)
    return tables


@pytest.fixture(scope="module")
def tables(declared):
    return documented({section["name"]: section["instances"]["example"]
                       for section in declared["sections"] if "instances" in section})


def file_of(tables, which):
    """A file with the default of each key (0), or its example (1)."""
    lines = []
    for table, keys in sorted(tables.items()):
        plugin = re.fullmatch(r"(\w+\.(.*))\.options", table)
        if plugin:
            lines += ["[%s]" % plugin[1], "plugin = \"%s\"" % plugin[2]]
        lines += ["[%s]" % table] if table else []
        # A plugin has no default: then the example counts.
        lines += ["%s = %s" % (key, values[which] or values[1]) for key, values in keys.items()]
    return "\n".join(lines).replace("PREFIX/lib/berth/plugins", PLUGINS) + "\n"


def lookup(document, table):
    for name in table.split(".") if table else []:
        document = document[name]
    return document


def test_every_example_is_taken_as_it_stands(tables, loaded):
    text = file_of(tables, 1)
    shown = tomllib.loads(loaded(text))
    wanted = tomllib.loads(text)
    for table, keys in tables.items():
        for key in keys:
            name = json.loads(key) if key.startswith('"') else key
            found, given = lookup(shown, table)[name], lookup(wanted, table)[name]
            if name == "options":
                # Shown with the defaults of the others.
                found = {option: found[option] for option in given}
            assert found == given, (table, key)


def test_every_default_is_what_runs_without_a_file(tables, loaded):
    given = tomllib.loads(loaded(file_of(tables, 0)))
    nothing = tomllib.loads(loaded("", "empty.toml"))
    for table, keys in tables.items():
        if "." in table:
            continue
        for key in keys:
            if (table, key) != ("grpc", "socket"):
                assert lookup(given, table)[key] == lookup(nothing, table)[key], (table, key)


def test_no_key_is_missing(tables, loaded):
    """What is shown of a configuration that names every plugin are the documented keys alone."""
    shown = tomllib.loads(loaded(file_of(tables, 0)))
    seen = 0
    for table, keys in tables.items():
        names = {json.loads(key) if key.startswith('"') else key for key in keys}
        found = lookup(shown, table)
        there = {name for name, value in found.items()
                 if not isinstance(value, dict) or name in names or table.endswith(".options")}
        if not table:
            there = {name for name in there if not isinstance(found[name], dict)}
        assert there - names == set(), table
        seen += len(there)
    assert seen > 70


def test_every_plugin_is_there(tables):
    built = {name[len("berth-"):-len(".so")] for name in os.listdir(PLUGINS)}
    assert {table.split(".")[1] for table in tables if table.endswith(".options")} == built


def test_manuals_of_plugins_name_every_option(tables):
    for table, keys in tables.items():
        if not table.endswith(".options"):
            continue
        manual = read("plugins/%s/README.md" % table.split(".")[1])
        section = manual.partition("\n## Options\n")[2].partition("\n## ")[0]
        named = set(re.findall(r"`(\w+)`", "\n".join(
            line.split("|")[1] for line in section.splitlines() if line.startswith("|"))))
        assert set(keys) - named == set(), table

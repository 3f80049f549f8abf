"""The guide for authors of plugins: its code is that of plugins which other tests build and run."""

import glob
import os
import re
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

from conftest import BUILD, SOURCE, build_small, path_of, read
from test_examples import BLOCK

sys.path.insert(0, path_of("sdk/abi"))

import abi_record  # noqa: E402  (needs the path above)

INDEX = "docs/plugins.md"
PAGES = [INDEX, *sorted(os.path.relpath(path, SOURCE)
                        for path in glob.glob(path_of("docs/plugin-*.md")))]
DOCUMENTS = ["README.md", *sorted(os.path.relpath(path, SOURCE)
                                  for path in glob.glob(path_of("docs/*.md")))]
KINDS = {"network": "network", "image-source": "image_source", "snapshotter": "snapshotter",
         "runtime": "runtime"}
LANGUAGES = ("c", "cpp", "cmake")
CODE = re.compile(r"(?:^<!-- (\S+) -->\n)?^```(c|cpp|cmake)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def functions(header, struct):
    body = read("sdk/include/berth/" + header).partition("typedef struct %s {" % struct)[2]
    return re.findall(r"\(\*(\w+)\)\(", body.partition("} %s;" % struct)[0])


def anchors(page):
    """The headings of a page, as links name them."""
    text = BLOCK.sub("", read(page))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
            for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)}


def snippets():
    return [pytest.param(*found.groups(), id="%s-%d-%s" % (page, at, found[1]))
            for page in PAGES for at, found in enumerate(CODE.finditer(read(page)))]


def test_all_code_is_looked_at():
    for page in PAGES:
        assert sum(1 for block in BLOCK.finditer(read(page)) if block[1] in LANGUAGES) == \
            len(list(CODE.finditer(read(page)))), page


@pytest.mark.parametrize("path,language,code", snippets())
def test_code_is_that_of_a_plugin_that_is_built(path, language, code):
    assert path, "no file is named before the block"
    assert path.startswith("sdk/examples/")
    text = read(path)
    # Whole lines.
    assert "\n" + code in "\n" + text, path
    if language != "cmake":
        # It belongs to what is compiled.
        project = read(os.path.join(os.path.dirname(path), "CMakeLists.txt"))
        assert os.path.basename(path) in project


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_explained_with_a_complete_plugin(kind):
    page = read("docs/plugin-%s.md" % kind)
    whole = [found for found in CODE.finditer(page) if found[3] == read(found[1])]
    assert len(whole) == 1
    assert re.search(r"BERTH_PLUGIN\(|berth_plugin_entry\(", whole[0][3])
    assert "berth/%s.h" % KINDS[kind] in whole[0][3]
    # And with each of its calls.
    table = page.partition("| call |")[2].partition("\n\n")[0]
    told = [name for row in table.splitlines()[2:] for name in
            re.findall(r"`(\w+)`", row.split("|")[1])]
    assert told == functions(KINDS[kind] + ".h", "berth_" + KINDS[kind])


def test_the_small_plugins_are_built_as_the_guide_says():
    assert any(found[2] == "cmake" and found[3] == read(found[1]) == read(
        "sdk/examples/small/CMakeLists.txt") for found in CODE.finditer(read(INDEX)))


def test_the_command_without_cmake_makes_a_plugin(tmp_path):
    command = next(block[2] for block in BLOCK.finditer(read(INDEX)) if "pkg-config" in block[2])
    shutil.copy(path_of("sdk/examples/small/network.cpp"), tmp_path)
    found = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(build_small()))),
                         "share/pkgconfig")
    made = subprocess.run(["sh", "-e"], input=command, cwd=tmp_path, text=True, check=False,
                          capture_output=True, env={**os.environ, "PKG_CONFIG_PATH": found})
    assert made.returncode == 0, made.stderr
    told = subprocess.run([os.path.join(BUILD, "bin/berth-plugin-check"), "--only", "file",
                           tmp_path / "berth-small-network.so"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=60)
    assert told.returncode == 0 and "file.exports" in told.stdout, told.stdout + told.stderr
    assert " warned " not in told.stdout, told.stdout


def test_every_example_is_shown():
    text = read(INDEX)
    examples = {os.path.relpath(os.path.dirname(path), SOURCE)
                for path in glob.glob(path_of("sdk/examples/*/CMakeLists.txt"))}
    table = text.partition("| kind | in C |")[2].partition("\n\n")[0]
    assert {"sdk/examples/" + name for name in re.findall(r"`([\w-]+)`", table)} == \
        examples - {"sdk/examples/small"}
    listed = read("sdk/examples/README.md")
    for example in examples:
        assert "`%s`" % os.path.basename(example) in listed


def test_what_structs_have_got_since_the_first_version_is_explained():
    def members(record):
        return {decl.get("name"): abi_record.members(decl)
                for decl in ElementTree.parse(record).iter("class-decl")}
    first, *later = sorted(glob.glob(path_of("sdk/abi/*.abi")))
    guide = "".join(map(read, PAGES))
    known = members(first)
    added = [name for record in later for struct, names in members(record).items()
             for name in names[len(known.get(struct, names)):] if not name.endswith("_count")]
    assert "examine" in added
    for name in added:
        assert re.search(r"`(\w+\.)?%s`" % name, guide), name


def test_the_drawing_has_every_function_of_the_life():
    rules = read("docs/plugin-rules.md")
    drawing = next(block[2] for block in BLOCK.finditer(rules) if block[1] == "text")
    members = set(functions("plugin.h", "berth_plugin"))
    assert len(members) == 7
    for name in members - {"get_extension"}:
        assert re.search(r"\b%s\b" % name, drawing), name
    table = rules.partition("| call |")[2].partition("\n\n")[0]
    assert members <= set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))


def test_the_index_leads_to_all_pages():
    assert {"docs/" + name for name in re.findall(r"\]\((plugin-[\w-]+\.md)\)", read(INDEX))} == \
        set(PAGES) - {INDEX}


@pytest.mark.parametrize("page", DOCUMENTS)
def test_links_lead_somewhere(page):
    for target, anchor in re.findall(r"\]\(([^)#]*)#?([^)]*)\)", BLOCK.sub("", read(page))):
        if target.startswith("http"):
            continue
        other = os.path.join(os.path.dirname(page), target) if target else page
        assert os.path.exists(path_of(other)), other
        assert not anchor or anchor in anchors(other), (other, anchor)


@pytest.mark.parametrize("page", PAGES)
def test_pages_are_short(page):
    assert read(page).count("\n") < 400


def test_the_manual_refers_to_the_guide():
    assert "plugins.md" in read("docs/man/berth-plugin.7")
    assert "docs/plugins.md" in read("README.md")
    # The package has all of it.
    assert read("packaging/debian/libberth-plugin-dev.docs").split() == [
        "docs/plugins.md", "docs/plugin-*.md"]

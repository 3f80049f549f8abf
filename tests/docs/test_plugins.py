"""The guide for authors of plugins: its code is that of plugins which other tests build and run."""

import glob
import os
import re

import pytest

from conftest import SOURCE, path_of, read
from test_examples import BLOCK

GUIDE = "docs/plugins.md"
# Where code is from: what tests/sdk-consumer builds outside of the tree.
BUILT = ("tests/sdk-consumer/least/", "sdk/examples/")
CODE = re.compile(r"(?:^<!-- (\S+) -->\n)?^```(c|cpp|cmake)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def snippets():
    return [pytest.param(*found.groups(), id="%d-%s" % (at, found[1]))
            for at, found in enumerate(CODE.finditer(read(GUIDE)))]


def test_there_is_code_of_each_kind():
    named = {found[1] for found in CODE.finditer(read(GUIDE))}
    for kind in ("snapshotter", "source", "network", "runtime"):
        assert any("/%s-" % kind in path for path in named), kind
    assert sum(1 for block in BLOCK.finditer(read(GUIDE)) if block[1] in ("c", "cpp", "cmake")) == \
        len(list(CODE.finditer(read(GUIDE))))


@pytest.mark.parametrize("path,language,code", snippets())
def test_code_is_that_of_a_plugin_that_is_built(path, language, code):
    assert path, "no file is named before the block"
    assert path.startswith(BUILT)
    text = read(path)
    # Whole lines.
    assert "\n" + code in "\n" + text, path
    if language != "cmake":
        # It belongs to what is compiled.
        project = read(os.path.join(os.path.dirname(path), "CMakeLists.txt"))
        assert os.path.basename(path) in project


def test_one_plugin_is_complete():
    whole = [found for found in CODE.finditer(read(GUIDE)) if found[3] == read(found[1])]
    assert [found[2] for found in whole] == ["cpp", "cmake"]
    assert len({os.path.dirname(found[1]) for found in whole}) == 1
    assert "BERTH_PLUGIN(" in whole[0][3]


def test_every_example_is_shown():
    text = read(GUIDE)
    examples = {os.path.relpath(os.path.dirname(path), SOURCE)
                for path in glob.glob(path_of("sdk/examples/*/CMakeLists.txt"))}
    table = text.partition("| kind | in C |")[2].partition("\n\n")[0]
    assert {"sdk/examples/" + name for name in re.findall(r"`([\w-]+)`", table)} == examples
    listed = read("sdk/examples/README.md")
    for example in examples:
        assert "`%s`" % os.path.basename(example) in listed


def test_the_drawing_has_every_function_of_the_life():
    drawing = next(block[2] for block in BLOCK.finditer(read(GUIDE)) if block[1] == "text")
    members = re.findall(r"\(\*(\w+)\)\(", read("sdk/include/berth/plugin.h").partition(
        "typedef struct berth_plugin {")[2].partition("} berth_plugin;")[0])
    for name in set(members) - {"get_extension"}:
        assert re.search(r"\b%s\b" % name, drawing), name


def test_the_manual_refers_to_the_guide():
    assert "plugins.md" in read("docs/man/berth-plugin.7")
    assert "docs/plugins.md" in read("README.md")

"""Today's headers against the record of each minor version of the ABI."""

import glob
import os
import platform
import shutil
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "sdk/abi"))

import abi_record  # noqa: E402  (needs the path above)

RECORDS = sorted(path[:-len(".abi")] for path in glob.glob(os.path.join(SOURCE, "sdk/abi/*.abi")))
pytestmark = pytest.mark.skipif(platform.machine() != "x86_64",
                                reason="the record has the layout of x86_64")


@pytest.fixture(scope="module")
def today(tmp_path_factory):
    path = str(tmp_path_factory.mktemp("today") / "today")
    abi_record.dump(abi_record.INCLUDE, path)
    return path


def test_there_is_a_record_of_each_minor_version():
    with open(os.path.join(abi_record.INCLUDE, "berth/types.h"), encoding="utf-8") as stream:
        minor = int(stream.read().partition("#define BERTH_ABI_MINOR ")[2].partition("u")[0])
    assert [os.path.basename(path) for path in RECORDS] == [
        "berth-1.%d" % number for number in range(minor + 1)]


@pytest.mark.parametrize("record", RECORDS, ids=os.path.basename)
def test_plugins_of_this_version_still_fit(record, today):
    assert abi_record.compare(record, today) == ""


def test_the_newest_record_has_all_that_the_headers_have(today):
    assert abi_record.unrecorded(RECORDS[-1], today) == ""


def test_what_is_frozen_is_as_it_was():
    """Records of versions before the newest one, and the plugins of 1.0 with their headers."""
    sums = os.path.join(HERE, "frozen.sha256")
    with open(sums, encoding="ascii") as stream:
        listed = {line.split()[1] for line in stream}
    fixture = os.path.join(SOURCE, "tests/fixtures/abi-1.0/**")
    frozen = [record + ending for record in RECORDS[:-1] for ending in (".abi", ".constants")]
    frozen += [path for path in glob.glob(fixture, recursive=True) if os.path.isfile(path)]
    assert listed == {os.path.relpath(path, SOURCE) for path in frozen}
    checked = subprocess.run(["sha256sum", "--check", "--strict", "--quiet", sums], cwd=SOURCE,
                             capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_first_record_is_that_of_the_frozen_headers(tmp_path):
    frozen = os.path.join(SOURCE, "tests/fixtures/abi-1.0/include")
    abi_record.dump(frozen, str(tmp_path / "frozen"))
    record = os.path.join(SOURCE, "sdk/abi/berth-1.0")
    assert abi_record.compare(record, str(tmp_path / "frozen")) == ""
    assert abi_record.compare(str(tmp_path / "frozen"), record) == ""


def test_the_record_has_no_paths():
    for record in RECORDS:
        for ending in (".abi", ".constants"):
            with open(record + ending, encoding="utf-8") as stream:
                text = stream.read()
            assert "='/" not in text and ".so'" not in text.replace("libc.so.6'", ""), record


USAGE = "  uint64_t bytes; /* on disk, as du(1) counts */\n  uint64_t inodes;\n"
STR = "typedef struct berth_str {\n  const char* data;\n  size_t size;\n}"
STAGE = "  void (*stage)(const struct berth_op* op, berth_str name);\n"
# What is replaced by what, in which header.
BROKEN = {
    "a member in the middle": ("snapshotter.h", USAGE, USAGE.replace(
        "  uint64_t inodes", "  uint64_t more;\n  uint64_t inodes")),
    "a member less": ("snapshotter.h", USAGE, "  uint64_t bytes;\n"),
    "members in another order": ("snapshotter.h", USAGE, "  uint64_t inodes;\n  uint64_t bytes;\n"),
    "another type of the same size": ("snapshotter.h", "  uint64_t inodes;", "  int64_t inodes;"),
    "a smaller type": ("snapshotter.h", "  uint64_t inodes;", "  uint32_t inodes;"),
    "another name": ("snapshotter.h", "  uint64_t inodes;", "  uint64_t files;"),
    "a member at the end beside another type": ("snapshotter.h", USAGE, USAGE.replace(
        "uint64_t bytes", "int64_t bytes") + "  uint64_t more;\n"),
    "a member at the end beside one in the middle": ("snapshotter.h", USAGE, USAGE.replace(
        "  uint64_t inodes", "  uint64_t first;\n  uint64_t inodes") + "  uint64_t more;\n"),
    "a member at the end of a value": ("types.h", STR, STR[:-1] + "  int flags;\n}"),
    "another argument": ("types.h", STAGE, STAGE.replace("berth_str name", "int name")),
    "another result": ("types.h", STAGE, STAGE.replace("  void", "  int")),
    "another number": ("types.h", "BERTH_NOT_FOUND = 5", "BERTH_NOT_FOUND = 55"),
    "a number less": ("plugin.h", "enum { BERTH_EVENT_OOM_KILLED = 1u };", ""),
    "another id": ("network.h", '"berth.network/1"', '"berth.network/2"'),
    "another scalar": ("types.h", "typedef int32_t berth_code", "typedef int64_t berth_code"),
    "another alignment": ("snapshotter.h", USAGE, "  uint64_t bytes;\n"
                          "  __attribute__((aligned(32))) uint64_t inodes;\n"),
}
ADDED = {
    "a member at the end": ("snapshotter.h", USAGE, USAGE + "  uint64_t more;\n"),
    "a callback at the end": ("types.h", "uint64_t done, uint64_t total);\n",
                              "uint64_t done, uint64_t total);\n  void (*more)(int);\n"),
    "members at the end of what others hold": ("snapshotter.h", "  berth_str diff_id;\n",
                                               "  berth_str diff_id;\n  berth_str more;\n"),
    "another struct": ("snapshotter.h", "typedef struct berth_usage",
                       "typedef struct berth_more {\n  size_t size;\n} berth_more;\n"
                       "typedef struct berth_usage"),
    "another number": ("types.h", "BERTH_OK = 0,", "BERTH_OK = 0,\n  BERTH_MORE = 99,"),
    "another id": ("network.h", '#define BERTH_NETWORK_INTERFACE "berth.network/1"',
                   '#define BERTH_NETWORK_INTERFACE "berth.network/1"\n#define BERTH_MORE "more"'),
}
NOTHING_NEW = {
    "the next minor version": ("types.h", "#define BERTH_ABI_MINOR 1u",
                               "#define BERTH_ABI_MINOR 2u"),
    "other names of arguments": ("types.h", STAGE, STAGE.replace(" name", " called")),
}


@pytest.fixture
def changed(tmp_path):
    """changed(header, old, new): the record of headers with this change, None if none compile."""
    def change(header, old, new):
        include = tmp_path / "include"
        shutil.copytree(abi_record.INCLUDE, include)
        path = include / "berth" / header
        text = path.read_text()
        assert text.count(old) == 1, "the change is to be made in one place"
        path.write_text(text.replace(old, new))
        try:
            abi_record.dump(str(include), str(tmp_path / "changed"))
        except subprocess.CalledProcessError:
            # The wrong number of the enumeration is used elsewhere in the headers.
            return None
        return str(tmp_path / "changed")
    return change


@pytest.mark.parametrize("what", BROKEN)
def test_what_breaks_plugins_is_seen(changed, today, what):
    after = changed(*BROKEN[what])
    assert after is not None
    assert abi_record.compare(today, after) != ""


@pytest.mark.parametrize("what", ADDED)
def test_what_only_adds_is_allowed_once_it_is_recorded(changed, today, what):
    after = changed(*ADDED[what])
    assert abi_record.compare(today, after) == ""
    assert "sdk/abi/record" in abi_record.unrecorded(today, after)


@pytest.mark.parametrize("what", NOTHING_NEW)
def test_what_is_nothing_to_plugins_is_allowed(changed, today, what):
    after = changed(*NOTHING_NEW[what])
    assert abi_record.compare(today, after) == ""
    assert abi_record.unrecorded(today, after) == ""

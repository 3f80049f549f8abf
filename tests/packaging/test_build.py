"""What packaging/build does to the folder that it is given. Nothing is compiled: programs stand for
the compiler's and Debian's."""

import os

import pytest

from conftest import SOURCE, run

MADE = ("berth_1.0-1_amd64.deb", "libberth-plugin-dev_1.0-1_amd64.deb")
FOREIGN = ("other_2_amd64.deb", "other_2_amd64.changes", "other_2_amd64.buildinfo",
           "berth-my-runtime_1_amd64.deb")
OF_BEFORE = ("berth_0.0-1_amd64.deb", "berth-dbgsym_0.0-1_amd64.deb",
             "libberth-plugin-dev_0.0-1_amd64.deb", "libberth-plugin-dev-dbgsym_0.0-1_amd64.deb",
             "berth_0.0-1_amd64.changes", "berth_0.0-1_amd64.buildinfo")


@pytest.fixture
def programs(tmp_path):
    """A PATH."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name, script in (("cmake", "exit 0"), ("dpkg-buildpackage", "touch " + " ".join(
            "../" + name for name in MADE))):
        (folder / name).write_text("#!/bin/sh\n%s\n" % script)
        (folder / name).chmod(0o755)
    return "%s:%s" % (folder, os.environ["PATH"])


def test_only_its_own_packages_of_before_are_removed(programs, tmp_path):
    output = tmp_path / "output"
    output.mkdir()
    for name in FOREIGN + OF_BEFORE:
        (output / name).touch()
    told = run(os.path.join(SOURCE, "packaging/build"), "--quick", "--output", str(output),
               env={**os.environ, "PATH": programs, "BERTH_BUILD": str(tmp_path)})
    assert sorted(os.listdir(output)) == sorted(MADE + FOREIGN)
    assert told.splitlines() == [str(output / name) for name in MADE]

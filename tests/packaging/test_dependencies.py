"""What is installed for a build by hand and what Debian's builders are told to install."""

import os
import re

from conftest import SOURCE, run

# Of the one who builds by hand alone: what every builder of Debian has, what makes building again
# fast, what the tests are built with, and what reads and lays out the sources.
BY_HAND = {"build-essential", "ccache", "mold", "libgmock-dev", "libgtest-dev", "clang-format",
           "clang-tidy"}
# Of Debian's builders alone: tools/setup has it among what the tests need, of packages too.
OF_DEBIAN = {"debhelper-compat"}


def build_depends():
    with open(os.path.join(SOURCE, "packaging/debian/control"), encoding="utf-8") as stream:
        field = re.search(r"^Build-Depends:((?:\n? .*)*)", stream.read(), re.MULTILINE)[1]
    return {entry.split()[0] for entry in field.split(",") if entry.strip()}


def test_both_are_the_same_but_for_what_has_a_reason():
    installed = set(run(os.path.join(SOURCE, "tools/setup"), "--build", "--list").split())
    assert installed - build_depends() == BY_HAND
    assert build_depends() - installed == OF_DEBIAN

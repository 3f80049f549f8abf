"""tools/test: what is run only when there is time for it."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import SOURCE

REPORT = '<testsuite><testcase name="boots"/>%s</testsuite>'
FAILURE = '<testcase name="restarts"><failure/></testcase>'


@pytest.fixture
def run(tmp_path):
    """run(PART…, minutes=85, machine="…") runs tools/test where the virtual machine is a script."""
    os.mkdir(tmp_path / "tools")
    os.makedirs(tmp_path / "tests/vm")
    os.makedirs(tmp_path / "tests/testbed")
    (tmp_path / "tests/testbed/machine_state.py").touch()  # nothing is left
    shutil.copy(os.path.join(SOURCE, "tools/test"), tmp_path / "tools/test")
    report = tmp_path / "report.xml"

    def run(*parts, minutes=85, failures="", machine="true"):
        report.write_text(REPORT % failures)
        fake = tmp_path / "tests/vm/run"
        fake.write_text('#!/bin/sh\n%s || exit\nmkdir -p "$2" && cp "%s" "$2/quick.xml"\n'
                        % (machine, report))
        fake.chmod(0o755)
        return subprocess.run(
            [tmp_path / "tools/test", *parts], check=False, capture_output=True, text=True,
            stdin=subprocess.DEVNULL, env={**os.environ, "BERTH_TEST_MINUTES": str(minutes)})
    return run


@pytest.fixture(autouse=True)
def as_root():
    if os.geteuid() != 0:
        pytest.skip("SKIPPED: tools/test demands root for these parts")


def test_a_late_part_counts_like_others(run):
    done = run("vm-quick", "--", "vm-quick")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n2 passed, 0 failed\n")
    assert "NOT RUN" not in done.stdout
    failed = run("vm-quick", "--", "vm-quick", failures=FAILURE)
    assert failed.returncode == 1
    assert failed.stdout.endswith("\n2 passed, 2 failed\n")


@pytest.mark.parametrize("minutes, runs", [(25, True), (20, False), (-1, False)])
def test_a_late_part_begins_only_when_there_is_time_for_it(run, minutes, runs):
    done = run("vm-quick", "--", "vm-quick", "sanitizer", minutes=minutes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n%d passed, 0 failed\n" % (2 if runs else 1))
    assert ("==> vm-quick is NOT RUN\n" in done.stdout) is not runs
    assert "==> sanitizer is NOT RUN\nit may take 35 minutes" in done.stdout
    last = done.stdout[done.stdout.index("==> NOT RUN, for lack of time\n"):]
    assert last.splitlines()[1:-2] == (["sanitizer"] if runs else ["vm-quick", "sanitizer"])


def test_the_sanitizers_take_turns(run, tmp_path, monkeypatch):
    """There is nothing to configure: it fails, and says which."""
    said = []
    real = shutil.which("date")
    programs = tmp_path / "bin"
    os.mkdir(programs)
    monkeypatch.setenv("PATH", "%s:%s" % (programs, os.environ["PATH"]))
    for day in range(3):
        fake = programs / "date"
        fake.write_text("#!/bin/sh\nexec %s -d '2026-01-0%d' \"$@\"\n" % (real, day + 1))
        fake.chmod(0o755)
        done = run("sanitizer")
        assert done.returncode == 1
        said += re.findall(r"^today's sanitizer: (.*)$", done.stdout, re.MULTILINE)
    assert said in (["asan", "tsan", "asan"], ["tsan", "asan", "tsan"])


def test_an_unknown_late_part_is_refused(run):
    assert run("vm-quick", "--", "nothing").returncode == 2

"""tools/test: what is run only when there is time for it."""

import os
import re
import shutil
import subprocess

import pytest

from conftest import SOURCE

REPORT = '<testsuite><testcase name="boots"/>%s</testsuite>'
REAL = {name: shutil.which(name) for name in ("date", "timeout")}
FAILURE = '<testcase name="restarts"><failure/></testcase>'


@pytest.fixture
def run(tmp_path):
    """run(PART…, minutes=85, machine="…") runs tools/test where the virtual machine is a script."""
    os.mkdir(tmp_path / "tools")
    os.makedirs(tmp_path / "tests/vm")
    os.makedirs(tmp_path / "tests/testbed")
    (tmp_path / "tests/testbed/machine_state.py").touch()  # nothing is left
    for name in ("test", "test-parts"):
        shutil.copy(os.path.join(SOURCE, "tools", name), tmp_path / "tools" / name)
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


def test_what_tests_have_counted_is_told_at_the_end(run):
    counted = ('<testcase name="power"><properties><property name="figure" value="3 cuts"/>'
               '</properties></testcase>')
    done = run("vm-quick", failures=counted)
    assert "\n==> Counted\npower: 3 cuts\n" in done.stdout, done.stdout + done.stderr
    assert "==> Counted" not in run("vm-quick").stdout


@pytest.mark.parametrize("minutes, runs", [(25, True), (20, False), (-1, False)])
def test_a_late_part_begins_only_when_there_is_time_for_it(run, minutes, runs):
    done = run("vm-quick", "--", "vm-quick", "tidy", minutes=minutes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("\n%d passed, 0 failed\n" % (2 if runs else 1))
    assert ("==> NOT RUN: vm-quick\nit may take 24 minutes, and" in done.stdout) is not runs
    assert put_off(done) == (["tidy"] if runs else ["vm-quick", "tidy"])


def put_off(done):
    """What the summary names as not run."""
    last = done.stdout.split("\n==> NOT RUN, for lack of time\n")[1]
    return last[:last.index("\n\n")].splitlines()


@pytest.fixture
def program(tmp_path, monkeypatch):
    """program(NAME, SCRIPT) makes a program that is found before others of its name."""
    folder = tmp_path / "bin"
    os.mkdir(folder)
    monkeypatch.setenv("PATH", "%s:%s" % (folder, os.environ["PATH"]))

    def program(name, script):
        (folder / name).write_text("#!/bin/sh\n" + script)
        (folder / name).chmod(0o755)
    return program


@pytest.fixture
def sanitized(tmp_path, program):
    """sanitized(COMMAND…): builds that are there at once, whose tests are the commands."""
    def sanitized(*commands):
        tests = "".join("add_test(test%d %s)\nset_tests_properties(test%d PROPERTIES LABELS unit)\n"
                        % (number, command, number) for number, command in enumerate(commands))
        for preset in "asan", "tsan":
            os.makedirs(tmp_path / "build" / preset)
            (tmp_path / "build" / preset / "CTestTestfile.cmake").write_text(tests)
        program("cmake", "exit 0")
    return sanitized


@pytest.fixture
def soon_over(program):
    """Commands with a limit are cut off after a second."""
    program("timeout", 'shift 2\nexec %s 1 "$@"' % REAL["timeout"])


def test_the_sanitizers_take_turns(run, sanitized, program):
    sanitized("true")
    said = []
    for day in range(3):
        program("date", "exec %s -d '2026-01-0%d' \"$@\"\n" % (REAL["date"], day + 1))
        done = run("sanitizer")
        assert done.stdout.endswith("\n1 passed, 0 failed\n"), done.stdout + done.stderr
        said += re.findall(r"^today's sanitizer: (.*)$", done.stdout, re.MULTILINE)
    assert said in (["asan", "tsan", "asan"], ["tsan", "asan", "tsan"])


def test_a_sanitizers_build_that_is_not_finished_in_time_is_no_failure(run, program, soon_over):
    program("cmake", '[ "$1" != --build ] || exec sleep 60')
    done = run("vm-quick", "--", "asan")
    assert done.returncode == 0, done.stdout + done.stderr
    assert put_off(done) == ["asan, whose build was not finished"]
    assert done.stdout.endswith("\n1 passed, 0 failed\n")


@pytest.mark.parametrize("step", ["--preset", "--build"])
def test_a_sanitizers_build_that_fails_is_a_failure(run, program, step):
    program("cmake", '[ "$1" != %s ] || { echo "what is wrong"; exit 1; }' % step)
    done = run("vm-quick", "--", "asan")
    assert done.returncode == 1
    assert "\nwhat is wrong\n" in done.stdout
    assert "==> NOT RUN" not in done.stdout
    assert done.stdout.endswith("\n1 passed, 1 failed\n")


def test_tests_of_a_sanitizer_begin_only_when_there_is_time_for_them(
        run, sanitized, program, tmp_path):
    sanitized("false")
    program("cmake", '[ "$1" != --build ] || touch %s' % (tmp_path / "built"))
    program("date", '[ ! -e %s ] || set -- -d "10 minutes" "$@"; exec %s "$@"'
            % (tmp_path / "built", REAL["date"]))
    done = run("vm-quick", "--", "asan", minutes=15)
    assert done.returncode == 0, done.stdout + done.stderr
    assert put_off(done) == ["tests of asan"]
    done = run("vm-quick", "--", "asan", minutes=20)
    assert done.stdout.endswith("\n1 passed, 1 failed\n")


@pytest.mark.parametrize("first, verdict", [("true", "2 passed, 0 failed"),
                                            ("false", "1 passed, 1 failed")])
def test_only_what_failed_before_the_end_of_the_time_is_a_failure(
        run, sanitized, soon_over, first, verdict):
    at_once = os.cpu_count() + 1
    sanitized(first, *["sleep 60"] * at_once, "false")
    done = run("vm-quick", "--", "asan")
    assert done.returncode == (first == "false"), done.stdout + done.stderr
    assert put_off(done) == ["the last tests of asan"]
    assert done.stdout.endswith("\n%s\n" % verdict)
    assert ("plugins against their surroundings): test0\n" in done.stdout) is (first == "false")


def test_a_sanitizers_tests_count_like_others(run, sanitized):
    sanitized("true", "false", "true")
    done = run("asan", minutes=-1)  # which concerns only what follows dashes
    assert done.stdout.endswith("\n2 passed, 1 failed\n"), done.stdout + done.stderr


@pytest.fixture
def suite(tmp_path):
    """An integration test that passes with the build of the preset alone."""
    def suite(preset):
        os.makedirs(tmp_path / "tests/integration")
        (tmp_path / "tests/integration/test_build.py").write_text(
            "import os\n\n\ndef test_build():\n    assert os.environ['BERTH_BUILD'] == %r\n"
            % str(tmp_path / "build" / preset))
    return suite


@pytest.mark.parametrize("of, verdict", [("tsan", "1 passed, 0 failed"),
                                         ("release", "0 passed, 1 failed")])
def test_suites_run_with_the_sanitizers_build(run, sanitized, suite, of, verdict):
    sanitized()
    suite(of)
    done = run("tsan-suites")
    assert done.stdout.endswith("\n%s\n" % verdict), done.stdout + done.stderr


@pytest.mark.parametrize("minutes, left", [(59, "asan-suites"), (85, None)])
def test_suites_with_a_sanitizer_begin_only_when_there_is_time(
        run, sanitized, suite, minutes, left):
    sanitized()
    suite("asan")
    done = run("vm-quick", "--", "asan-suites", minutes=minutes)
    assert done.stdout.endswith("\n%d passed, 0 failed\n" % (1 if left else 2)), done.stdout
    assert ("==> NOT RUN: %s\n" % left in done.stdout) is (left is not None)


def test_suites_with_a_sanitizer_end_with_the_time(run, sanitized, suite, soon_over, tmp_path):
    sanitized()
    suite("asan")
    (tmp_path / "tests/integration/test_build.py").write_text(
        "import time\n\n\ndef test_build():\n    time.sleep(60)\n")
    done = run("vm-quick", "--", "asan-suites")
    assert done.returncode == 0, done.stdout + done.stderr
    assert put_off(done) == ["the last suites of asan"]


def test_an_unknown_late_part_is_refused(run):
    assert run("vm-quick", "--", "nothing").returncode == 2


def test_two_parts_at_once_count_like_others(run):
    for second, failure in (("unit", "Unit tests: it ended with status "),
                            ("no-such-part", "no-such-part: it did not come to its end")):
        done = run("vm-quick+" + second, failures=FAILURE)
        assert done.returncode == 1
        assert failure in done.stdout
        assert done.stdout.endswith("\n1 passed, 2 failed\n"), done.stdout

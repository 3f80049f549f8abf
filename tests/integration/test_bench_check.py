"""tests/bench/check: which results of a benchmark keep the promises, and which do not."""

import json
import os
import subprocess

import pytest

CHECK = os.path.join(os.path.dirname(__file__), "../bench/check")


def results(section, row, unit, title="", **medians):
    return {"failures": [], "sections": [{"name": section, "title": title or section, "rows": [
        {"name": row, "unit": unit,
         "results": {name: {"median": median} for name, median in medians.items()}}]}]}


def removal(quiet, removing, left):
    """Of our engine: 99th percentiles, and how many files there were in the end."""
    rows = [("CreateContainer", {"p99": quiet}),
            ("CreateContainer, an image being removed", {"p99": removing}),
            ("files of the image left then", {"min": left})]
    return {"failures": [], "sections": [{"name": "removal", "title": "", "rows": [
        {"name": name, "unit": "", "results": {"berth": {"median": 1, **figures}}}
        for name, figures in rows if None not in figures.values()]}]}


def run_check(folder, given, *suites):
    path = folder / "results.json"
    path.write_text(json.dumps(given))
    return subprocess.run([CHECK, str(path), *suites], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False)


def line_of(done, promise):
    (line,) = [line for line in done.stdout.splitlines() if line.startswith(promise)]
    return line.removeprefix(promise).strip()


@pytest.mark.parametrize("containers, verdict", [(10, 0), (11, 1)])
def test_what_is_promised_is_kept_or_not(tmp_path, containers, verdict):
    given = results("created", "ListContainers", "ms", ", 1000 containers", berth=containers)
    done = run_check(tmp_path, given, "created")
    assert done.returncode == verdict, done.stdout


@pytest.mark.parametrize("berth, shim, kept", [(50, 100, True), (50, 101, False), (51, 100, True)])
def test_pod_to_running_of_both_runtimes(tmp_path, berth, shim, kept):
    given = results("cycle", "pod to running", "ms", containerd=100, berth=berth, shim=shim)
    done = run_check(tmp_path, given)
    line = line_of(done, "shim, cycle: pod to running <= 1 × containerd")
    assert line.startswith("kept" if kept else "NOT KEPT")
    line = line_of(done, "cycle: pod to running <= 0.5 × containerd")
    assert line.startswith("kept" if berth <= 50 else "NOT KEPT")


@pytest.mark.parametrize("milliseconds, pods, word", [
    (200, 60, "kept"), (201, 60, "NOT KEPT"), (100, 20, "MISSING")])
def test_a_restart_counts_with_as_many_pods_as_promised(tmp_path, milliseconds, pods, word):
    given = results("restart", "until ListPodSandbox", "ms", "Restart, %d pods" % pods,
                    berth=milliseconds)
    done = run_check(tmp_path, given, "restart")
    assert line_of(done, "restart: until ListPodSandbox (60 pods) <= 200").startswith(word)
    assert done.returncode == (0 if word == "kept" else 1)


@pytest.mark.parametrize("quiet, removing, left, word", [
    (10, 10.9, 5000, "kept"), (10, 11.1, 5000, "NOT KEPT"), (10, 10, 999, "MISSING"),
    (10, 10, None, "MISSING"), (None, 10, 5000, "MISSING"), (10, None, 5000, "MISSING")])
def test_creating_beside_a_removal(tmp_path, quiet, removing, left, word):
    done = run_check(tmp_path, removal(quiet, removing, left), "removal")
    line = line_of(done, "removal: 99th percentile of CreateContainer < 1.1 × without")
    assert line.startswith(word)
    assert done.returncode == (0 if word == "kept" else 1)


def test_what_is_not_measured_is_not_kept(tmp_path):
    nothing = {"failures": [], "sections": []}
    done = run_check(tmp_path, nothing)
    assert done.returncode == 1
    assert {line.split()[-3] for line in done.stdout.splitlines()} == {"MISSING"}
    one = results("created", "ListContainers", "ms", ", 1000 containers", berth=1)
    assert run_check(tmp_path, one).returncode == 1, "the other suites"
    assert run_check(tmp_path, one, "created", "exec").returncode == 1
    assert run_check(tmp_path, one, "created").returncode == 0
    assert run_check(tmp_path, one, "no-such-suite").returncode == 1


def test_a_run_in_which_something_failed_is_none(tmp_path):
    given = results("created", "ListContainers", "ms", ", 1000 containers", berth=1)
    given["failures"].append("created, berth: no")
    assert run_check(tmp_path, given, "created").returncode == 1

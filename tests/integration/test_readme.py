"""What the README tells people to run: the demonstration, and the benchmark."""

import json
import os
import subprocess

import pytest

import host
import machine_state
from berth_testbed import SOURCE

pytestmark = [pytest.mark.berth, pytest.mark.alone]


def run(*command, minutes=5):
    # As a reader of the README runs it: in a network of its own, not in that of these tests, where
    # devices of their engines stand.
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=minutes * 60,
                          env=host.environment_outside())
    assert made.returncode == 0, made.stdout
    return made.stdout


def test_the_demonstration_runs_twice_and_leaves_nothing():
    before = machine_state.look()
    for _ in range(2):
        told = run("/usr/bin/python3", os.path.join(SOURCE, "tests/testbed/demo"))
        for line in ("log: ", "exec ps: ", "address of the pod: 10.", "Nothing is left"):
            assert line in told
    assert machine_state.left_since(before) == {}


def test_the_benchmark_measures_and_leaves_nothing(tmp_path):
    before = machine_state.look()
    results = tmp_path / "results.json"
    run(os.path.join(SOURCE, "tests/bench/run"), "--without-containerd", "--suites",
        "cycle,parallel", "--rounds", "2", "--warmup", "0", "--parallel-rounds", "1",
        "--parallel-pods", "6", "--parallel-width", "3", "--build", os.environ.get(
            "BERTH_BUILD", os.path.join(SOURCE, "build/release")), "--json", str(results))
    measured = {(section["name"], row["name"]): set(row["results"])
                for section in json.loads(results.read_text())["sections"]
                for row in section["rows"]}
    for figure in (("cycle", "pod to running"), ("parallel", "pods to running"),
                   ("parallel", "stopped and removed")):
        assert measured[figure] == {"berth", "bare"}
    assert machine_state.left_since(before) == {}

"""tests/bench/check: which results of a benchmark keep the promises, and which do not."""

import json
import os
import subprocess

import pytest

CHECK = os.path.join(os.path.dirname(__file__), "../bench/check")


def results(section, row, unit, **medians):
    return {"failures": [], "sections": [{"name": section, "title": section, "rows": [
        {"name": row, "unit": unit,
         "results": {name: {"median": median} for name, median in medians.items()}}]}]}


def run_check(folder, given):
    path = folder / "results.json"
    path.write_text(json.dumps(given))
    return subprocess.run([CHECK, str(path)], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)


@pytest.mark.parametrize("berth, shim, verdict", [(50, 100, 0), (50, 101, 1), (51, 100, 1)])
def test_pod_to_running_of_both_runtimes(tmp_path, berth, shim, verdict):
    given = results("cycle", "pod to running", "ms", containerd=100, berth=berth, shim=shim)
    done = run_check(tmp_path, given)
    assert done.returncode == verdict, done.stdout
    (line,) = [line for line in done.stdout.splitlines()
               if line.startswith("shim, cycle: pod to running <= 1 × containerd")]
    assert line.split()[9:][:1] == (["kept"] if shim <= 100 else ["NOT"])


def test_nothing_measured_is_no_success(tmp_path):
    done = run_check(tmp_path, {"failures": [], "sections": []})
    assert done.returncode == 1
    assert "shim, cycle: pod to running" in done.stdout

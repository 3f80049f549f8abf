"""tests/bench/run, told to end while it makes pods with the bare programs: no engine looks after
those."""

import contextlib
import glob
import os
import signal
import subprocess

import pytest

import host
import machine_state
import pace
from berth_testbed import SOURCE, wait_until

pytestmark = [pytest.mark.berth, pytest.mark.alone]

BUILD = os.environ.get("BERTH_BUILD", os.path.join(SOURCE, "build/release"))
STARTING = "/tmp/berth-bench-*/bare/state/bare-*/pid"
INTERRUPTED = 130


def end(bench):
    """As Ctrl-C does: it tells all that the terminal has in the foreground."""
    with contextlib.suppress(ProcessLookupError):  # it has ended by itself
        os.killpg(bench.pid, signal.SIGINT)
    try:
        bench.wait(pace.PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(bench.pid, signal.SIGKILL)
        bench.wait(pace.PATIENCE)
        raise


def test_an_interrupted_benchmark_leaves_no_bare_pods(tmp_path):
    before = machine_state.look()
    told = tmp_path / "told"
    with open(told, "wb") as stream:
        bench = subprocess.Popen(
            # Who runs tests in the background may ignore the signal, and so would a shell then.
            ["env", "--default-signal=INT",
             os.path.join(SOURCE, "tests/bench/run"), "--without-containerd", "--build", BUILD,
             "--suites", "parallel", "--parallel-pods", "12", "--parallel-width", "4"],
            stdin=subprocess.DEVNULL, stdout=stream, stderr=stream,
            env=host.environment_outside(), start_new_session=True)
    try:
        wait_until(lambda: glob.glob(STARTING) or bench.poll() is not None, pace.PATIENCE,
                   "a bare pod")
    finally:
        end(bench)
    assert bench.returncode == INTERRUPTED, told.read_text()
    assert "the run was interrupted" in told.read_text()
    # Each has gone in order, so that nothing was left for the last resort.
    assert "clean-up" not in told.read_text()
    assert machine_state.left_since(before) == {}

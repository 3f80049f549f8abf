"""The test bed itself: what it takes down when a test has gone wrong."""

import os
import subprocess
import types

import host
import pace
import pytest
import sanitizers
from berth_testbed import TestBed
from test_containers import SLEEP

pytestmark = pytest.mark.berth


def test_nothing_is_left_of_an_engine_that_has_died():
    with TestBed() as bed:
        folder, bridge = bed.folder, bed.network.bridge
        pod = bed.run_pod("left")
        bed.run(pod, "c", command=SLEEP)
        bed.kill_engine()
        assert [name for name in host.network_namespaces() if pod in name]
    assert bed.leaks == ["the engine was not running at the end"]
    assert not [name for name in host.network_namespaces() if pod in name]
    assert host.processes(folder, bed.mark) == {}
    assert not [path for path in host.cgroups() if pod in path]
    assert bridge not in host.links()
    assert not os.path.exists(folder)


WRONG_PROGRAM = """
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char** argv) {
  if (fork() == 0) return argc + 0x7fffffff;
  if (fork() == 0) {
    char* volatile memory = malloc(1);
    free(memory);
    return *memory;
  }
  while (wait(NULL) > 0) {
  }
  return execvp(argv[1], argv + 1);
}
"""


@pytest.mark.parametrize("reports, told", [
    (["WARNING: ThreadSanitizer: thread leak (pid=1)"], []),
    (["WARNING: ThreadSanitizer: thread leak (pid=1)", "WARNING: ThreadSanitizer: data race"], [2]),
    (["==1==ERROR: ThreadSanitizer: SEGV on unknown address"], [1]),
])
def test_threads_are_left_where_the_end_is_by_force(tmp_path, reports, told):
    (tmp_path / "sanitizer.1").write_text("\n".join(reports), encoding="utf-8")
    log = tmp_path / "log"
    log.write_text("", encoding="utf-8")
    assert len(sanitizers.reports(str(tmp_path), str(log))) == 1
    log.write_text("this has not ended in its time waited_for=calls\n", encoding="utf-8")
    after = sanitizers.reports(str(tmp_path), str(log))
    assert [len(report.splitlines()) - 1 for report in after] == told


def test_what_sanitizers_say_is_told_like_a_leak(tmp_path):
    """Of a process that nobody waits for, as those of pods."""
    program = str(tmp_path / "wrong")
    subprocess.run(["cc", "-Wno-use-after-free", "-fsanitize=address,undefined", "-g", "-x", "c", "-",
                    "-o", program], input=WRONG_PROGRAM, text=True, check=True)
    with TestBed(wrapper=[program]) as bed:
        bed.run_pod("right")
    memory, undefined = bed.leaks
    assert memory.startswith("report of a sanitizer:\n")
    assert "AddressSanitizer: heap-use-after-free" in memory
    assert undefined.startswith("report of a sanitizer:\n")
    assert "signed integer overflow" in undefined


def paced(folder, script):
    """A bed with a program that does this when nobody asks it to ask a daemon."""
    program = folder / "bin/berth"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n[ \"$*\" = --version ] || exit 2\n" + script, encoding="utf-8")
    program.chmod(0o755)
    return types.SimpleNamespace(build=str(folder))


# What takes no time takes far less than 1,100 seconds even so; a nap is as long at least.
@pytest.mark.parametrize("nap, promised, taken, kept", [
    (0, 1000, 999, True), (0, 1000, 1100, False), (0.1, 1, 3.9, True), (0.2, 1, 5.1, False)])
def test_a_promise_is_measured_by_the_machine(tmp_path, nap, promised, taken, kept):
    """By a program that takes so long on it; however slow, it excuses only so much."""
    assert pace.within(paced(tmp_path, "sleep %g\n" % nap), promised, taken) == kept


@pytest.mark.parametrize("script", ["sleep 0.1; exit 1\n", None])
def test_what_cannot_be_measured_excuses_nothing(tmp_path, script):
    bed = paced(tmp_path, script) if script else types.SimpleNamespace(build=str(tmp_path))
    assert pace.within(bed, 1, 0.9)
    assert not pace.within(bed, 1, 3.9)

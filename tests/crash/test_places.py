"""A call that makes a durable step and is never come to is found, and no other."""

import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "testbed")]

import control  # noqa: E402  (needs the path above)
import places  # noqa: E402
import rpcs  # noqa: E402
from operations import OPERATIONS  # noqa: E402

PROGRAM = r"""
#include <string>
#include "berth/support/steps.hpp"
#define APART __attribute__((noinline))
using Path = const std::string&;
namespace berth::support {
APART int removePath(Path path) { return steps::unlink(path.c_str()) + 1; }
APART int removeBoth(Path path) { return removePath(path) + steps::rmdir((path + "-").c_str()); }
APART int jump(Path path) { return removePath(path); }
}  // namespace berth::support
namespace berth::engine {
APART int never(Path path) { return support::removePath(path) + 1; }
APART int twice(Path path) {
  return support::removePath(path) + (path == "" ? support::removePath(path) : 0);
}
APART int both(Path path) { return support::removeBoth(path); }
APART int byJump(Path path) { return support::jump(path) + 1; }
APART void told() { support::durableStep("make thing", "x"); }
}  // namespace berth::engine
int main(int count, char** arguments) {
  const std::string path = arguments[0] + std::string("-file");
  const auto make = [&] { close(::open(path.c_str(), O_CREAT | O_WRONLY, 0600)); };
  if (count > 1) berth::engine::never(path);
  make();
  ::mkdir((path + "-").c_str(), 0700);
  berth::engine::both(path);
  make();
  berth::engine::byJump(path);
  make();
  berth::engine::twice(path);
  berth::engine::told();
  return 0;
}
"""
# As the daemon is built, and as the monitor is.
FORMS = {"fast": ["-O2", "-fPIE"],
         "small": ["-Os", "-static", "-no-pie", "-fno-exceptions", "-fno-rtti",
                   "-fno-asynchronous-unwind-tables"]}


def run(folder, form):
    """What is known of the program's places once it has run."""
    source, program = folder / "program.cpp", folder / "program"
    source.write_text(PROGRAM)
    subprocess.run(["c++", "-std=c++20", "-D_GNU_SOURCE", *FORMS[form],
                    "-I" + os.path.join(HERE, "../../sdk/support/include"), str(source),
                    os.path.join(HERE, "hook.cpp"), "-o", str(program)], check=True)
    for name in ("control", "libraries"):
        (folder / name).mkdir()
    steps = control.Control(str(folder / "control"), "program")
    steps.reset()
    subprocess.run([str(program)], check=True,
                   env={"BERTH_CRASH_FOLDER": str(folder / "control")})
    assert [step.partition("\t")[0] for step in steps.steps()] == [
        "unlink", "rmdir", "unlink", "unlink", "make thing"]
    known = places.Places([str(program)], str(folder / "libraries"))
    for place in steps.places():
        known.meet("program", place)
    return known


NEVER = "berth::engine::never → berth::support::removePath"
TWICE = "berth::engine::twice → berth::support::removePath"


@pytest.mark.parametrize("form", FORMS)
def test_a_call_that_is_never_come_to(tmp_path, form):
    known = run(tmp_path, form)
    said = "no operation comes to the durable step "
    assert known.problems(()) == [said + NEVER, said + TWICE]
    assert known.problems([("why", {NEVER: 1, TWICE: 1})]) == []
    assert known.problems([("why", {"berth::engine::": 2})]) == []
    found, = known.problems([("why", {"berth::engine::": 1})])
    assert "1 calls are excused" in found and NEVER in found
    met = "berth::engine::told → "
    assert known.problems([("why", {NEVER: 1, TWICE: 1, met: 1})]) == [
        met + " is excused and was met"]


def test_every_call_of_the_services_is_decided_on():
    assert rpcs.problems() == []


def test_a_call_that_nobody_has_decided_on_is_told(monkeypatch):
    calls = rpcs.all_calls()
    monkeypatch.setattr(rpcs, "all_calls", lambda: calls + ["Admin/New"])
    assert rpcs.problems() == ["Admin/New: no operation cuts it off, and it is not excused"]
    fewer = [each for each in OPERATIONS if "Images/Pin" not in each.calls]
    assert "Images/Pin: no operation cuts it off, and it is not excused" in rpcs.problems(fewer)

"""A runtime that could not start with the daemon comes back while that runs."""

import contextlib
import json
import os
import shutil
import signal
import time
import tomllib

import grpc
import host
import pytest

from asking import shell
from berth_testbed import wait_until
from fake_shims import FakeShims
from image_set import BUSYBOX
from installed_plugin import NOW
from listener import Listener
from test_isolation import command
from test_recovery import SLEEP, UNTIL_TOLD, is_running, process_of, ready_pods, refusal

pytestmark = pytest.mark.berth
FIRST_TRY = 10  # seconds after the start
WITHIN = 45  # the first and the second
BACK = "a runtime is in service again"
STILL_OUT = "a runtime is still out of service"
REFUSED_BY_NOW = "would by now be refused"


class Second:
    """An engine that has the runtime "second" besides, and what that cannot start without."""

    def __init__(self, bed, program):
        self.bed, self.program = bed, program
        self.begun = None  # when the engine was started without it

    def take_away(self):
        os.rename(self.program, self.program + ".away")

    def start_without(self, instead=None):
        """The program is not there, or is that text."""
        assert self.bed.stop_engine() == 0
        self.take_away()
        if instead is not None:
            self.replace(instead)
        self.begun = time.monotonic()
        self.bed.start_engine()
        assert not self.serves()

    def replace(self, text):
        with open(self.program + ".new", "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(self.program + ".new", 0o755)
        os.rename(self.program + ".new", self.program)

    def put_back(self):
        os.rename(self.program + ".away", self.program)

    def serves(self):
        return "second" in [one.name for one in self.bed.cri.Status({}).runtime_handlers]

    def row(self):
        """What `berth plugins` has of it."""
        info = self.bed.cri.Status({"verbose": True}).info
        [row] = [one for one in json.loads(info["plugins"]) if one["name"] == "second"]
        return row

    def logged(self, words):
        return [line for line in host.read(self.bed.log_path).splitlines() if words in line]

    def end(self):
        """Its pods can be removed, whatever the test has come to."""
        if os.path.exists(self.program + ".away"):
            self.put_back()
        if self.bed.alive() and not self.serves():
            self.bed.stop_engine()
            self.bed.start_engine()


@pytest.fixture(params=["runc"])
def second(request, own_bed, tmp_path):
    made = []

    def settings(bed):
        if request.param == "shim":
            fakes = FakeShims({"second": ""})
            text = fakes.settings(bed)
            made.append(fakes.program)
            return text
        made.append(str(tmp_path / "runtime"))
        shutil.copy(bed.runtime, made[0])
        isolation = "process" if request.param == "isolated" else "none"
        return "\n".join(['[runtimes.second]', 'plugin = "runtime-runc"',
                          'isolation = "%s"' % isolation,
                          '[runtimes.second.options]', 'path = "%s"' % made[0], ""])
    one = Second(own_bed(settings=settings), *made)
    yield one
    one.end()


def reached(bed, container):
    """Waits until commands run in it."""
    def ask():
        with contextlib.suppress(grpc.RpcError):
            return shell(bed, container, "echo alive") == "alive"
        return False
    return wait_until(ask, what="the pod to be reached")


@pytest.mark.host
def test_its_pods_are_taken_up_without_a_restart(second):
    bed = second.bed
    pod = bed.run_pod("other", handler="second")
    kept = bed.run(pod, "kept", command=SLEEP)
    ending = bed.run(pod, "ending", command=UNTIL_TOLD)
    mine = bed.run(bed.run_pod("mine"), "c", command=SLEEP)
    before = process_of(bed, kept)
    second.start_without()
    ready = ready_pods(bed)
    # One ends, and there is nobody who could tell.
    root = os.path.join(bed.engine.state, "containers", ending, "rootfs")
    exits = os.path.join(bed.engine.state, "pods", pod, "runtime", "monitor", "exits")
    with open(os.path.join(root, "tmp", "end"), "w", encoding="utf-8"):
        pass
    wait_until(lambda: os.path.exists(os.path.join(exits, ending)),
               what="the exit that the monitor keeps")
    assert is_running(bed, ending)
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    assert refusal(bed.cri.StopContainer, {"container_id": kept}) == precondition
    assert second.row()["state"] == "failed"
    listener = Listener(bed)
    try:
        second.put_back()
        wait_until(second.serves, WITHIN, "the runtime to come back by itself")
        assert bed.wait_exit(ending).exit_code == 5
        listener.wait_for("stopped", ending)
    finally:
        listener.leave()
    assert reached(bed, kept) and process_of(bed, kept) == before
    assert ready_pods(bed) == ready
    row = second.row()
    assert (row["state"], row["pods"]) == ("started", 1)
    assert command(bed, "plugins").returncode == 0
    # The reason was told by the start, and was no other afterwards.
    assert second.logged(STILL_OUT) == []
    [line] = second.logged(BACK)
    assert "level=info" in line and "runtime=second" in line and "pods=1" in line
    bed.cri.StopContainer({"container_id": kept, "timeout": 0})
    assert bed.status(kept).exit_code == 137
    for container in (kept, ending):
        bed.cri.RemoveContainer({"container_id": container})
    bed.remove_pod(pod)
    fresh = bed.run(bed.run_pod("fresh", handler="second"), "c", command=SLEEP)
    assert process_of(bed, fresh) and is_running(bed, mine)


@pytest.mark.parametrize("second", ["runc", "isolated", "shim"], indirect=True)
def test_a_reload_tries_it_at_once(second):
    bed = second.bed
    container = bed.run(bed.run_pod("a", handler="second"), "c", image=BUSYBOX, command=SLEEP)
    before = bed.status(container).started_at
    second.start_without()
    second.put_back()
    told = command(bed, "reload")
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        "Nothing has changed.",
        'The runtime "second" is out of service and is tried again: see `berth plugins`.']
    wait_until(second.serves, FIRST_TRY / 2, "the runtime to come back")
    assert time.monotonic() - second.begun < FIRST_TRY, "it would have come back by itself"
    assert reached(bed, container)
    assert bed.status(container).started_at == before
    assert command(bed, "reload").stdout == "Nothing has changed.\n"


def test_what_it_fails_by_is_told_when_that_changes(second, tmp_path):
    bed = second.bed
    pod = bed.run_pod("a", handler="second")
    container = bed.run(pod, "c", command=SLEEP)
    runs = tmp_path / "runs"

    def failing(code):
        return "#!/bin/sh\necho run >> '%s'\nexit %d\n" % (runs, code)

    def fail_by(code):
        second.replace(failing(code))
        runs.write_text("")
        # The same again and again.
        for tries in range(1, 4):
            assert command(bed, "reload").returncode == 0
            wait_until(lambda tries=tries: len(runs.read_text().splitlines()) >= tries,
                       what="a try")
        wait_until(lambda: "exit code %d" % code in second.row()["error"], what="the reason")
    second.start_without(failing(3))
    fail_by(3)
    assert second.logged(STILL_OUT) == [], "it was told at the start"
    fail_by(4)
    fail_by(5)
    told = second.logged(STILL_OUT)
    assert len(told) == 2 and "exit code 4" in told[0] and "exit code 5" in told[1], told
    assert ready_pods(bed) == {pod} and is_running(bed, container)
    # By a signal as well.
    second.put_back()
    os.kill(bed.pid, signal.SIGHUP)
    wait_until(second.serves, FIRST_TRY / 2, "the runtime to come back")
    assert reached(bed, container)


def test_a_plugin_reload_takes_what_its_table_says_now(second, tmp_path):
    bed = second.bed
    container = bed.run(bed.run_pod("a", handler="second"), "c", command=SLEEP)
    before = process_of(bed, container)
    second.start_without()
    elsewhere = shutil.copy(bed.runtime, tmp_path / "elsewhere")
    told = command(bed, "plugin", "reload", "second")
    assert told.returncode == 1 and second.program in told.stderr, told
    assert second.row()["state"] == "failed"
    bed.settings = bed.settings.replace('"%s"' % second.program, '"%s"' % elsewhere)
    told = command(bed, "plugin", "reload", "runtimes.second")
    assert told.returncode == 0, told.stderr
    assert told.stdout == "runtimes.second: out of service -> %s (%s)\n" % (
        NOW, os.path.join(bed.build, "lib/berth/plugins/berth-runtime-runc.so"))
    assert second.serves()
    assert reached(bed, container) and process_of(bed, container) == before
    assert time.monotonic() - second.begun < FIRST_TRY, "it would have been taken up by itself"
    shown = tomllib.loads(command(bed, "config", "show").stdout)
    assert shown["runtimes"]["second"]["options"]["path"] == str(elsewhere)
    assert len(second.logged(BACK)) == 1
    # What is in service is none the worse for the tries that were to come.
    assert command(bed, "reload").stdout == "Nothing has changed.\n"


def test_what_a_plugin_reload_was_refused_for_is_still_new(second):
    bed = second.bed
    own = bed.settings
    bed.settings = own.replace('"%s"' % second.program, '"%s.nowhere"' % second.program)
    for words in (["plugin", "reload", "second"], ["reload"]):
        told = command(bed, *words)
        assert told.returncode == 1 and second.program + ".nowhere" in told.stderr, told
    assert second.serves()
    bed.settings = own
    assert command(bed, "reload").stdout == "Nothing has changed.\n"


def test_a_live_change_is_not_refused_for_what_waits(second):
    bed = second.bed
    own = bed.settings

    def reload(more):
        bed.settings = own + more
        return command(bed, "reload")

    def limit():
        return tomllib.loads(command(bed, "config", "show").stdout)["containers"]["pids_limit"]
    waiting = "[streaming]\nidle_timeout_seconds = 900\n"
    told = reload(waiting)
    assert told.returncode == 0 and "(with the next start)" in told.stdout, told
    second.take_away()
    told = reload(waiting + "[containers]\npids_limit = 77\n")
    assert told.returncode == 0, told.stderr
    assert "containers.pids_limit: 0 -> 77\n" in told.stdout
    assert REFUSED_BY_NOW in told.stdout and second.program in told.stdout
    assert limit() == 77
    [line] = second.logged("what waits for the next start " + REFUSED_BY_NOW)
    assert "level=warn" in line and second.program in line
    # What is new is judged, and then all of it.
    told = reload(waiting + "max_sessions = 7\n[containers]\npids_limit = 88\n")
    assert told.returncode == 1 and second.program in told.stderr, told
    assert limit() == 77
    second.put_back()
    told = reload(waiting + "[containers]\npids_limit = 88\n")
    assert told.returncode == 0 and limit() == 88, told
    assert REFUSED_BY_NOW not in told.stdout
    bed.settings = own

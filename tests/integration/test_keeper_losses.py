"""What is executed when berth-keeper dies, which has the streams, and what comes after it.

    at each step of a start, with containerd's shim ........... test_a_start_ends_with_the_keeper
    a shim that does not answer meanwhile ..................... test_a_shim_that_is_silent
    what runs already, and writes ............................. test_what_runs_ends_with_the_keeper
    the daemon dies, too ...................................... test_keeper_and_daemon_die
    one that cannot be started at first ....................... test_a_keeper_is_tried_for_again

Containerd's shim opens FIFOs in a start, waits until somebody reads them, and answers nothing else
meanwhile. So does none of the fake shims; that of a virtual machine tells an end only after the
output has been read.
"""

import contextlib
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import host
import pace
import pytest
import shared_engine
from asking import out
from berth_testbed import TestBed, wait_until
from engines import SHIM, toml
from fake_shims import behaving
from shim_pods import commands, proxied, streams_of_execs

pytestmark = pytest.mark.berth
WITH_SHIM = pytest.mark.skipif(not os.access(SHIM, os.X_OK),
                               reason="SKIPPED: there is no " + SHIM)
SLEEP = ["sleep", "1000"]
WRITE = "touch /tmp/begun; while :; do echo 4863 4863 4863 4863; done"
HANDLER = """[runtimes.kept]
plugin = "runtime-kata"
[runtimes.kept.options]
shim = {shim}
isolation = "namespaces"
binary = {binary}
keeper = {keeper}
"""
END_SECONDS = 2      # until a call ends whose streams are gone
KEEPER_SECONDS = 5   # until another keeper is there
PATIENCE = 50        # of commands; a call that waits for nothing lasts as long


@pytest.fixture(scope="module")
def killing_engine():
    """Its handler "shim" has containerd's shim, beside which `kills` kills."""
    def settings(bed):
        bed.shim, bed.kills = proxied(bed.folder)
        return ""
    with TestBed(settings=settings, handler="shim") as bed:
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def bed(killing_engine):
    yield from shared_engine.used(killing_engine)
    killing_engine.kills.withdraw()
    wait_until(lambda: not any("proxy.py" in line for line in host.processes(
        killing_engine.folder, killing_engine.mark).values()), what="the end of the proxies")


@pytest.fixture
def container(bed, name):
    return bed.run(bed.run_pod(name), "c", command=SLEEP)


def kill_keeper(bed):
    """Of the bed's only pod."""
    (keeper,) = commands(bed, "berth-keeper")
    os.kill(keeper, signal.SIGKILL)


def check_cut_off(bed, command):
    """The command's call ends soon, and says of what."""
    def cut_off():
        with pytest.raises(grpc.RpcError) as error:
            command()
        assert error.value.code() == grpc.StatusCode.UNAVAILABLE, error.value.details()
        assert "the pod's keeper" in error.value.details()
    taken = pace.took(cut_off)
    assert pace.within(bed, END_SECONDS, taken), "it took %.1f s" % taken


def works(bed, container):
    try:
        return bed.exec(container, "echo", "on", timeout=PATIENCE).stdout == b"on\n"
    except grpc.RpcError as error:
        assert error.code() == grpc.StatusCode.UNAVAILABLE, error.details()
        return False


def check_goes_on(bed, container, gone):
    """Another keeper is there, and nothing is left of what was executed, whose command line has
    `gone`."""
    pace.wait_within(bed, KEEPER_SECONDS, lambda: works(bed, container), "another keeper")
    wait_until(lambda: not any(gone in line for line in
                               host.processes(bed.folder, bed.mark).values()),
               what="the end of " + gone)
    wait_until(lambda: not streams_of_execs(bed), what="the end of its streams")
    much = bed.exec(container, "sh", "-c", "head -c 1000000 /dev/zero", timeout=PATIENCE)
    assert (len(much.stdout), much.exit_code) == (1000000, 0)


@WITH_SHIM
@pytest.mark.parametrize("step", ["asked Exec exec", "done Exec exec", "asked Start exec",
                                  "done Start exec"])
def test_a_start_ends_with_the_keeper(bed, container, step):
    """It is killed before the shim is asked, or before its answer is passed on."""
    bed.kills.request("keeper", "at", step, 1)
    check_cut_off(bed, lambda: bed.exec(container, "sleep", "4861", timeout=PATIENCE))
    assert bed.kills.is_met()
    check_goes_on(bed, container, "sleep 4861")


@contextlib.contextmanager
def writing(bed, container):
    """The future of an exec that has begun to write."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bed.exec, container, "sh", "-c", WRITE, timeout=PATIENCE)
        wait_until(lambda: bed.exec(container, "test", "-e", "/tmp/begun").exit_code == 0,
                   what="the command's start")
        yield running


def check_what_runs_is_cut_off(bed, container):
    with writing(bed, container) as running:
        kill_keeper(bed)
        check_cut_off(bed, running.result)
    check_goes_on(bed, container, "echo 4863")


@WITH_SHIM
def test_what_runs_ends_with_the_keeper(bed, container):
    check_what_runs_is_cut_off(bed, container)


@WITH_SHIM
def test_keeper_and_daemon_die(bed, container):
    """The next daemon ends what nobody waits for any more."""
    with writing(bed, container) as running:
        bed.kill_engine()
        kill_keeper(bed)
        assert isinstance(running.exception(), grpc.RpcError)
    bed.start_engine()
    check_goes_on(bed, container, "echo 4863")


@pytest.mark.parametrize("call", ["Exec exec", "Start exec"])
def test_a_shim_that_is_silent(kata_bed, name, fakes, call):
    bed = kata_bed
    pod = bed.run_pod(name, annotations=behaving(hang=[call + " c"]))
    silent = bed.run(pod, "c", command=SLEEP)
    other = bed.run(pod, "d", command=SLEEP)
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bed.exec, silent, "sleep", "4864", timeout=PATIENCE)
        wait_until(lambda: fakes.calls(pod, call), what="the call to the shim")
        kill_keeper(bed)
        check_cut_off(bed, running.result)
    assert [each["id"] for each in fakes.calls(pod, "Delete exec")] == [silent]
    # There is nothing to kill: it was not started.
    assert call == "Exec exec" or not fakes.calls(pod, "Kill exec")
    check_goes_on(bed, other, "sleep 4864")


def test_what_runs_in_a_machine_ends_with_the_keeper(kata_bed, name, fakes):
    bed = kata_bed
    pod = bed.run_pod(name)
    check_what_runs_is_cut_off(bed, bed.run(pod, "c", command=SLEEP))


@WITH_SHIM
def test_a_keeper_is_tried_for_again(own_bed, name):
    def settings(bed):
        bed.keeper = shutil.copy(os.path.join(bed.build, "libexec/berth/berth-keeper"), bed.folder)
        return HANDLER.format(shim=toml(SHIM), binary=toml(bed.runtime), keeper=toml(bed.keeper))
    bed = own_bed(settings=settings, handler="kept")
    container = bed.run(bed.run_pod(name), "c", command=[
        "sh", "-c", "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"])
    assert out(bed, container, "echo", "on") == "on\n"
    absence = "nobody reads what a pod's containers write"
    os.rename(bed.keeper, bed.keeper + "-away")
    kill_keeper(bed)
    wait_until(lambda: absence in host.read(bed.log_path), what="a keeper's absence")
    check_cut_off(bed, lambda: bed.exec(container, "echo", "on", timeout=PATIENCE))
    time.sleep(2)  # it is not told each time that one is tried for
    assert host.read(bed.log_path).count(absence) == 1
    os.rename(bed.keeper + "-away", bed.keeper)
    pace.wait_within(bed, KEEPER_SECONDS, lambda: works(bed, container), "another keeper")
    before = len(bed.log_lines(name, "c"))
    wait_until(lambda: len(bed.log_lines(name, "c")) > before + 5, what="more lines")

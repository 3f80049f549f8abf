"""Plugins that are replaced while pods run on them."""

import functools
import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import host
import pytest

from asking import shell
from berth_testbed import wait_until
from fake_shims import FakeShims
from holding import Holding
from image_set import BUSYBOX
from installed_plugin import NEXT, NOW, bed_with_installed, content_of
from test_containers import SLEEP
from test_isolation import command, until

pytestmark = pytest.mark.berth
TICKS = ["sh", "-c", "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.05; done"]


@pytest.fixture
def beds(own_bed, tmp_path):
    """beds("runtimes.runc", "runtime-runc") gives an engine and the plugin's InstalledPlugin."""
    return functools.partial(bed_with_installed, own_bed, str(tmp_path))


def reload(bed, name):
    return command(bed, "plugin", "reload", name)


def listed(bed, name):
    """[(version, state, pods)] of the instances called so, as `berth plugins` says."""
    found, current = [], None
    for line in command(bed, "plugins").stdout.splitlines()[1:]:
        if not line.startswith(" "):
            words = line.split()
            current = words[0]
            if current == name:
                found.append([words[-5], words[-2], None])
        elif current == name and line.startswith("  pods on it: "):
            found[-1][2] = int(line.split()[3].rstrip(","))
    return [tuple(one) for one in found]


def draining(bed, name):
    return [pods for _, state, pods in listed(bed, name) if state == "draining"]


def address(bed, pod):
    return bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip


@pytest.mark.parametrize("isolation", ["none", "process"])
@pytest.mark.parametrize("table,plugin", [("runtimes.runc", "runtime-runc"),
                                          ("networks.cni", "network-cni")])
def test_pods_stay_on_what_they_began_with(beds, name, table, plugin, isolation):
    bed, file = beds(table, plugin, 'isolation = "%s"\n' % isolation)
    instance = table.split(".")[1]
    old = bed.run_pod(name)
    container = bed.run(old, "c", image=BUSYBOX, command=TICKS)
    ending = bed.run(old, "e", image=BUSYBOX, command=["sh", "-c", "until [ -e /end ]; do sleep 0.05; done; exit 7"])
    assert listed(bed, instance) == [(NOW, "started", 1)]
    file.put(NEXT)
    told = reload(bed, table)
    assert told.returncode == 0, told.stderr
    assert told.stdout.splitlines() == [
        "%s: version %s -> %s (%s)" % (table, NOW, NEXT, file.path),
        "  stays with the one before: default/" + name]
    assert listed(bed, instance) == [(NEXT, "started", 0), (NOW, "draining", 1)]
    new = bed.run_pod(name + "-new")
    other = bed.run(new, "c", image=BUSYBOX, command=SLEEP)
    assert listed(bed, instance) == [(NEXT, "started", 1), (NOW, "draining", 1)]
    addresses = {address(bed, pod) for pod in (old, new)}
    assert len(addresses) == 2 and "" not in addresses
    # All that can be done in a pod is done by the one that it is on.
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"
    late = bed.run(old, "late", image=BUSYBOX, command=SLEEP)
    assert shell(bed, late, "echo alive") == "alive"
    shell(bed, ending, "touch /end")
    assert bed.wait_exit(ending).exit_code == 7
    seen = len(bed.log_lines(name, "c"))
    wait_until(lambda: len(bed.log_lines(name, "c")) > seen, what="more of the log")
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert bed.status(container).exit_code == 137
    ticks = [line[3] for line in bed.log_lines(name, "c") if len(line) == 4]
    assert ticks == ["tick %d" % (i + 1) for i in range(len(ticks))]
    # A pod that has been stopped is on nothing any more, be it removed or not.
    bed.cri.StopPodSandbox({"pod_sandbox_id": old}, timeout=60)
    wait_until(lambda: listed(bed, instance) == [(NEXT, "started", 1)],
               what="the old instance to go")
    assert shell(bed, other, "echo alive") == "alive"
    # The next daemon finds what both have left.
    bed.kill_engine()
    bed.start_engine()
    assert listed(bed, instance) == [(NEXT, "started", 1)]
    assert shell(bed, other, "echo alive") == "alive"
    bed.remove_pod(old)


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_pods_of_the_one_before_survive_the_daemon(beds, name, end):
    bed, file = beds("runtimes.runc", "runtime-runc")
    first = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    assert reload(bed, "runc").returncode == 0
    second = bed.run(bed.run_pod(name + "-2"), "c", image=BUSYBOX, command=SLEEP)
    assert draining(bed, "runc") == [1]
    if end == "kill":
        bed.kill_engine()
    else:
        assert bed.stop_engine() == 0
    bed.start_engine()
    assert listed(bed, "runc") == [(NEXT, "started", 2)]
    for container in (first, second):
        assert shell(bed, container, "echo alive") == "alive"
        bed.cri.StopContainer({"container_id": container, "timeout": 0})
        assert bed.status(container).exit_code == 137


def test_what_cannot_serve_leaves_the_one_before(beds, name):
    bed, file = beds("networks.cni", "network-cni")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)

    def refused(*says):
        told = reload(bed, "cni")
        assert told.returncode == 1
        for one in (*says, "networks.cni"):
            assert one in told.stderr, told.stderr
        assert listed(bed, "cni") == [(NOW, "started", 1)]

    file.put_bytes(b"\x7fELF and no more")
    refused(file.path, "cannot be loaded")
    file.put_bytes(content_of(file.real.replace("network-cni", "runtime-runc")))
    refused(file.path, "runtime-runc", "is configured as a network")
    file.put(NEXT)
    right = bed.network.settings
    bed.network.settings = right + "\nno_such = 1"
    refused("no_such")
    bed.network.settings = right
    for unknown in ("networks.cn", "runtimes.cni", "c"):
        told = reload(bed, unknown)
        assert told.returncode == 1 and 'no plugin "%s"' % unknown in told.stderr, told
    # As if nothing had been asked.
    assert shell(bed, container, "echo alive") == "alive"
    bed.run_pod(name + "-2")
    assert reload(bed, "cni").returncode == 0
    assert listed(bed, "cni") == [(NEXT, "started", 0), (NOW, "draining", 2)]


def test_one_that_does_not_start_leaves_the_one_before(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    right = bed.runtime
    bed.runtime = "/nonexistent/no-runc"
    told = reload(bed, "runc")
    assert told.returncode == 1
    for one in (bed.engine.command()[-1], "runtimes.runc.options.path", "/nonexistent/no-runc"):
        assert one in told.stderr
    assert "restart" not in told.stderr, "that would not help"
    bed.runtime = right
    assert listed(bed, "runc") == [(NOW, "started", 1)]
    assert shell(bed, container, "echo alive") == "alive"
    assert reload(bed, "runc").returncode == 0


def test_a_configuration_that_is_read_meanwhile_is_not_forgotten(beds, tmp_path):
    holding = Holding(tmp_path, "runc")
    bed, _ = beds("runtimes.runc", "runtime-runc")
    right, bed.runtime = bed.runtime, holding.runtime
    with ThreadPoolExecutor() as pool:
        with holding.held("features"):
            reloaded = pool.submit(reload, bed, "runc")
            holding.await_first("features")
            bed.runtime = right
            told = command(bed, "reload")
            assert told.returncode == 0, told.stderr
        assert reloaded.result().returncode == 0, reloaded.result().stderr
    shown = command(bed, "config", "show").stdout
    assert holding.runtime in shown
    assert "Waits for the next start: runtimes.runc" in shown


def test_one_that_hangs_in_start_is_given_up(own_bed, faulty, name):
    plugin = faulty("faulty")
    bed = own_bed(settings='[networks.faulty]\nplugin = "faulty"\n',
                  plugin_dirs=[os.path.dirname(plugin)])
    faulty("faulty", "HANGS_IN_START")
    begun = time.monotonic()
    told = reload(bed, "faulty")
    assert told.returncode == 1 and time.monotonic() - begun < 30
    assert "networks.faulty: plugin faulty has not returned in time" in told.stderr
    assert listed(bed, "faulty") == [("1.0.0", "started", 0)]
    assert "another replacement" in reload(bed, "faulty").stderr
    # What begins meanwhile does not wait for it, and the daemon's end only for so long.
    bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    assert bed.stop_engine(seconds=60) == 1
    assert "networks.faulty to be replaced" in host.read(bed.log_path).splitlines()[-1]
    faulty("faulty")
    bed.start_engine()


def test_a_snapshotter_waits_for_the_next_start(beds, name):
    bed, file = beds("snapshotters.overlay", "snapshotter-overlay")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    told = reload(bed, "overlay")
    assert told.returncode == 1
    for one in ("snapshotters.overlay", "a restart of the daemon, through which pods go on"):
        assert one in told.stderr
    assert listed(bed, "overlay") == [(NOW, "started", None)]
    other = bed.run(bed.run_pod(name + "-2"), "c", image=BUSYBOX, command=SLEEP)
    assert bed.stop_engine() == 0
    bed.start_engine()
    assert listed(bed, "overlay") == [(NEXT, "started", None)]
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"


def test_an_image_source_is_replaced_while_it_is_asked(beds, name):
    bed, file = beds("sources.registry", "registry-v2")
    over, failures = threading.Event(), []

    def pull():
        while not over.is_set():
            try:
                bed.pull(BUSYBOX)
                bed.cri.RemoveImage({"image": {"image": BUSYBOX}})
            except Exception as failure:  # pylint: disable=broad-except
                failures.append(failure)

    puller = threading.Thread(target=pull)
    puller.start()
    for version in (NEXT, NOW, NEXT):
        file.put(version)
        told = reload(bed, "registry")
        assert told.returncode == 0, told.stderr
    over.set()
    puller.join()
    assert failures == []
    until(lambda: listed(bed, "registry") == [(NEXT, "started", None)])
    bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)


def test_the_reload_that_would_be_the_fourth_names_the_pods(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc")
    for number in range(3):
        bed.run_pod("%s-%d" % (name, number))
        file.put("0.1.%d" % (number + 1))
        told = reload(bed, "runc")
        assert (told.returncode == 0) == (number < 2), told.stderr
    assert name + "-0" in told.stderr and name + "-1" in told.stderr
    assert name + "-2" not in told.stderr
    assert listed(bed, "runc") == [("0.1.2", "started", 1), (NOW, "draining", 1),
                                   ("0.1.1", "draining", 1)]
    bed.remove_all_pods()
    until(lambda: reload(bed, "runc").returncode == 0)
    until(lambda: listed(bed, "runc") == [("0.1.3", "started", 0)])


def test_each_isolated_one_comes_back_in_its_own_place(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc", 'isolation = "process"\n')

    def pids():
        return {int(line.split("pid ")[1].split(",")[0].split()[0])
                for line in command(bed, "plugins").stdout.splitlines() if ": pid " in line}

    before = pids()
    old = bed.run_pod(name)
    container = bed.run(old, "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    told = reload(bed, "runc")
    assert told.returncode == 0, told.stderr
    assert len(before) == 1 and before < pids() and len(pids()) == 2
    other = bed.run(bed.run_pod(name + "-2"), "c", image=BUSYBOX, command=SLEEP)
    for pid in pids():
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: len(pids() - {gone, 0}) == 2)
    assert listed(bed, "runc") == [(NEXT, "started", 1), (NOW, "draining", 1)]
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"
    bed.remove_pod(old)
    until(lambda: len(pids()) == 1)
    assert shell(bed, other, "echo alive") == "alive"
    # One that is killed with both at work is followed by one that has both.
    container = bed.run(bed.run_pod(name + "-3"), "c", image=BUSYBOX, command=SLEEP)
    assert reload(bed, "runc").returncode == 0
    bed.kill_engine()
    bed.start_engine()
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"
    assert len(pids()) == 1


def test_a_pod_of_a_shim_stays_on_what_it_began_with(beds, name):
    fakes = FakeShims({"fake": ""})

    def settings(bed, given):
        return fakes.settings(bed).replace('[runtimes.fake]\nplugin = "runtime-kata"\n', given)

    bed, file = beds("runtimes.fake", "runtime-kata", settings=settings)
    old = bed.run_pod(name, handler="fake")
    container = bed.run(old, "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    told = reload(bed, "fake")
    assert told.returncode == 0, told.stderr
    new = bed.run_pod(name + "-new", handler="fake")
    other = bed.run(new, "c", image=BUSYBOX, command=["sh", "-c", "exit 3"])
    assert listed(bed, "fake") == [(NEXT, "started", 1), (NOW, "draining", 1)]
    assert bed.wait_exit(other).exit_code == 3
    assert shell(bed, container, "echo alive") == "alive"
    bed.kill_engine()
    bed.start_engine()
    assert shell(bed, container, "echo alive") == "alive"
    bed.remove_pod(old)
    bed.remove_pod(new)
    assert fakes.complaints() == [] and fakes.left() == []


def test_the_daemons_end_does_not_wait_for_one_that_was_replaced(own_bed, faulty, name):
    plugin = faulty("faulty", "HANGS_IN_STOP")
    bed = own_bed(settings='[networks.faulty]\nplugin = "faulty"\n',
                  plugin_dirs=[os.path.dirname(plugin)])
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    faulty("faulty")
    assert reload(bed, "faulty").returncode == 0
    # It begins to stop when the last who has to do with it lets go of it.
    until(lambda: draining(bed, "faulty") == [])
    until(lambda: "stop network faulty (plugin network-faulty)" in command(bed, "ops").stdout)
    assert bed.stop_engine(seconds=60) == 1
    last = host.read(bed.log_path).splitlines()[-1]
    assert "network faulty (plugin network-faulty) to stop" in last
    bed.start_engine()
    assert shell(bed, container, "echo alive") == "alive"
    assert bed.stop_engine() == 0
    bed.start_engine()


def test_nothing_is_lost_while_plugins_come_and_go(beds, name):
    """Under load: pods that begin and end, commands in one that stays, and reloads all the while."""
    bed, file = beds("runtimes.runc", "runtime-runc")
    staying = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    over, failures, done = threading.Event(), [], {"pods": 0, "commands": 0}

    def repeat(what, work):
        while not over.is_set():
            try:
                work(done[what])
                done[what] += 1
            except Exception as failure:  # pylint: disable=broad-except
                failures.append((what, failure))

    def one_pod(number):
        pod = bed.run_pod("%s-%d" % (name, number))
        container = bed.run(pod, "c", image=BUSYBOX, command=["sh", "-c", "exit 5"])
        assert bed.wait_exit(container).exit_code == 5
        bed.remove_pod(pod)

    workers = [threading.Thread(target=repeat, args=work) for work in (
        ("pods", one_pod), ("commands", lambda _: shell(bed, staying, "true")))]
    for worker in workers:
        worker.start()
    reloads = 0
    for number in range(12):
        file.put("0.1.%d" % (number % 10))
        told = reload(bed, "runc")
        reloads += told.returncode == 0
        assert told.returncode == 0 or "no more than 3" in told.stderr
        before = dict(done)
        until(lambda was=before: failures or all(done[what] > was[what] for what in was))
    over.set()
    for worker in workers:
        worker.join()
    assert failures == [] and reloads >= 3, (failures, reloads)
    until(lambda: draining(bed, "runc") == [1])

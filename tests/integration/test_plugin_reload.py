"""Plugins that are replaced while pods run on them."""

import os
import shutil
import signal

import pytest

from asking import shell
from berth_testbed import wait_until
from image_set import BUSYBOX
from test_containers import SLEEP
from test_isolation import command, until

pytestmark = pytest.mark.berth


class Installed:
    """A plugin's file in a folder of its own, as an installation has it."""

    def __init__(self, build, folder, name):
        plugins = os.path.join(folder, "lib/berth/plugins")
        os.makedirs(plugins, exist_ok=True)
        if not os.path.lexists(os.path.join(folder, "libexec")):
            os.symlink(os.path.join(build, "libexec"), os.path.join(folder, "libexec"))
        self.real = os.path.join(build, "lib/berth/plugins/berth-%s.so" % name)
        self.path = os.path.join(plugins, "berth-%s.so" % name)
        self.put()

    def put(self, source=None):
        """What an upgrade does: a new file takes the old one's place."""
        shutil.copyfile(source or self.real, self.path + ".new")
        os.replace(self.path + ".new", self.path)


@pytest.fixture
def beds(own_bed, tmp_path):
    """beds("runtimes.runc", "runtime-runc") gives an engine and the plugin's Installed."""
    def make(table, name, more=""):
        made = []

        def settings(bed):
            made.append(Installed(bed.build, str(tmp_path), name))
            return '[%s]\nplugin = "%s"\n%s' % (table, made[0].path, more)
        return own_bed(settings=settings), made[0]
    return make


def reload(bed, name):
    return command(bed, "plugin", "reload", name)


def draining(bed):
    """The numbers of pods on those that were replaced."""
    return [int(line.rsplit(" ", 1)[1]) for line in command(bed, "plugins").stdout.splitlines()
            if "was replaced; pods still on it" in line]


@pytest.mark.parametrize("table,plugin", [("runtimes.runc", "runtime-runc"),
                                          ("networks.cni", "network-cni")])
def test_pods_stay_on_what_they_began_with(beds, name, table, plugin):
    bed, file = beds(table, plugin)
    old = bed.run_pod(name)
    container = bed.run(old, "c", image=BUSYBOX, command=SLEEP)
    file.put()
    told = reload(bed, table)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(table + ": version ") and file.path in told.stdout
    assert "stays with the one before: " in told.stdout and name in told.stdout
    assert draining(bed) == [1]
    new = bed.run_pod(name + "-new")
    other = bed.run(new, "c", image=BUSYBOX, command=SLEEP)
    addresses = {bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip
                 for pod in (old, new)}
    assert len(addresses) == 2 and "" not in addresses
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"
    # The old one still tells of exits.
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert bed.status(container).exit_code == 137
    bed.remove_pod(old)
    wait_until(lambda: draining(bed) == [], what="the old instance to go")
    assert shell(bed, other, "echo alive") == "alive"
    # The next daemon finds what both have left.
    bed.kill_engine()
    bed.start_engine()
    assert shell(bed, other, "echo alive") == "alive"


def test_pods_of_the_one_before_survive_the_daemon(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    file.put()
    assert reload(bed, "runc").returncode == 0
    assert draining(bed) == [1]
    bed.kill_engine()
    bed.start_engine()
    assert draining(bed) == []
    assert shell(bed, container, "echo alive") == "alive"


def test_what_cannot_serve_leaves_the_one_before(beds, name, tmp_path):
    bed, file = beds("networks.cni", "network-cni")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    broken = tmp_path / "broken.so"
    broken.write_bytes(b"\x7fELF and no more")
    runtime = os.path.join(bed.build, "lib/berth/plugins/berth-runtime-runc.so")
    for wrong, says in ((str(broken), "cannot be loaded"), (runtime, "is configured as a network")):
        file.put(wrong)
        told = reload(bed, "cni")
        assert told.returncode != 0 and says in told.stderr and file.path in told.stderr
        assert draining(bed) == []
    for unknown in ("networks.cn", "runtimes.cni", "c"):
        told = reload(bed, unknown)
        assert told.returncode != 0 and 'no plugin "%s"' % unknown in told.stderr
    assert shell(bed, container, "echo alive") == "alive"
    bed.run_pod(name + "-2")
    file.put()
    assert reload(bed, "cni").returncode == 0


def test_a_snapshotter_that_cannot_work_beside_itself_says_so(beds, name):
    bed, file = beds("snapshotters.overlay", "snapshotter-overlay")
    container = bed.run(bed.run_pod(name), "c", image=BUSYBOX, command=SLEEP)
    file.put()
    told = reload(bed, "overlay")
    assert told.returncode != 0
    assert "another snapshotter uses this root" in told.stderr
    other = bed.run(bed.run_pod(name + "-2"), "c", image=BUSYBOX, command=SLEEP)
    for one in (container, other):
        assert shell(bed, one, "echo alive") == "alive"


def test_the_reload_that_would_be_the_fourth_names_the_pods(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc")
    for number in range(3):
        bed.run_pod("%s-%d" % (name, number))
        file.put()
        told = reload(bed, "runc")
        assert (told.returncode == 0) == (number < 2), told.stderr
    assert name + "-0" in told.stderr and name + "-1" in told.stderr
    assert name + "-2" not in told.stderr
    assert draining(bed) == [1, 1]


def test_an_isolated_one_has_a_process_until_its_last_pod(beds, name):
    bed, file = beds("runtimes.runc", "runtime-runc", 'isolation = "process"\n')

    def pids():
        return {int(line.split("pid ")[1].split(",")[0].split()[0])
                for line in command(bed, "plugins").stdout.splitlines() if ": pid " in line}

    before = pids()
    old = bed.run_pod(name)
    container = bed.run(old, "c", image=BUSYBOX, command=SLEEP)
    file.put()
    told = reload(bed, "runc")
    assert told.returncode == 0, told.stderr
    assert len(before) == 1 and before < pids() and len(pids()) == 2
    other = bed.run(bed.run_pod(name + "-2"), "c", image=BUSYBOX, command=SLEEP)
    # Each comes back in its own place.
    for pid in pids():
        os.kill(pid, signal.SIGKILL)
        until(lambda gone=pid: len(pids() - {gone, 0}) == 2)
    for one in (container, other):
        until(lambda it=one: shell(bed, it, "echo alive") == "alive")
    bed.remove_pod(old)
    until(lambda: len(pids()) == 1)
    assert shell(bed, other, "echo alive") == "alive"

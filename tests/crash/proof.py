"""The proof of the proof: each thing that a crash could leave behind is left on purpose once, and
must be found; once it is taken away, nothing may be."""

import contextlib
import ctypes
import os
import signal
import socket
import sqlite3
import subprocess
import time
import traceback

import host
import pod_cgroups
from berth_testbed import wait_until
from container_operations import StartShortContainer, StopContainer
from crash_bed import layers_folder
from operation import COUNTER

MNT_TMPFS = b"tmpfs"


def _check_mount(result):
    if result != 0:
        raise OSError(ctypes.get_errno(), "mount")


@contextlib.contextmanager
def _process(bed, *command, unshared=0):
    """One that has made namespaces of its own, if it is asked to."""
    child = subprocess.Popen(
        command, preexec_fn=(lambda: host.libc.unshare(unshared)) if unshared else None)
    try:
        yield child.pid
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


@contextlib.contextmanager
def process(bed):
    with _process(bed, "sleep", "1000"):
        yield "process"


@contextlib.contextmanager
def namespace(bed):
    """Held by a process that nobody minds."""
    with _process(bed, "sleep", "1000", unshared=host.CLONE_NEWNET) as pid:
        bed.clean["processes"].add(pid)
        yield "namespaces"
        bed.clean["processes"].discard(pid)


@contextlib.contextmanager
def mount(bed):
    _check_mount(host.libc.mount(MNT_TMPFS, bed.engine.state.encode(), MNT_TMPFS, 0, None))
    try:
        yield "mount"
    finally:
        host.libc.umount2(bed.engine.state.encode(), host.MNT_DETACH)


@contextlib.contextmanager
def named_network(bed):
    """As a pod's network is kept: by a mount."""
    path = "/run/netns/left"
    with open(path, "wb"):
        pass
    _check_mount(host.libc.mount(b"/proc/self/ns/net", path.encode(), None, 4096, None))
    try:
        yield "mount"
    finally:
        host.libc.umount2(path.encode(), host.MNT_DETACH)
        os.unlink(path)


@contextlib.contextmanager
def cgroup(bed):
    path = host.hierarchies()[-1] + bed.cgroup_parent + "/left"
    above = [] if os.path.exists(os.path.dirname(path)) else [os.path.dirname(path)]
    os.makedirs(path)
    try:
        yield "cgroup"
    finally:
        host.remove_cgroups([path, *above])


@contextlib.contextmanager
def veth(bed):
    subprocess.run(["ip", "link", "add", "left0", "type", "veth", "peer", "name", "left1"],
                   check=True)
    try:
        yield "network device"
    finally:
        subprocess.run(["ip", "link", "delete", "left0"], check=True)


@contextlib.contextmanager
def _file(path, kind):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as stream:
        stream.write("left")
    try:
        yield kind
    finally:
        os.unlink(path)


def address(bed):
    return _file(os.path.join(bed.network.addresses, bed.network.name, "10.0.0.99"), "address")


def state_file(bed):
    return _file(os.path.join(bed.engine.state, "left"), "file")


@contextlib.contextmanager
def overlay_directory(bed):
    path = os.path.join(layers_folder(bed), "999999")
    os.mkdir(path)
    try:
        yield "file"
    finally:
        os.rmdir(path)


@contextlib.contextmanager
def missing_directory(bed):
    path = os.path.join(layers_folder(bed), sorted(os.listdir(layers_folder(bed)))[0])
    os.rename(path, bed.folder + "/away")
    try:
        yield "missing"
    finally:
        os.rename(bed.folder + "/away", path)


@contextlib.contextmanager
def unix_socket(bed):
    """One that has no file."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind("\0left")
        left.listen()
        yield "socket"


@contextlib.contextmanager
def record(bed):
    def change(statement):
        with contextlib.closing(sqlite3.connect(
                os.path.join(bed.engine.root, "berth.db"), timeout=10)) as database:
            columns = [row[1] for row in database.execute("PRAGMA table_info(records)")]
            database.execute(statement.format(
                names=", ".join(columns),
                values=", ".join({"kind": "'left'", "id": "'left'"}.get(name, name)
                                 for name in columns)))
            database.commit()
    change("INSERT INTO records ({names}) SELECT {values} FROM records LIMIT 1")
    try:
        yield "record"
    finally:
        change("DELETE FROM records WHERE kind = 'left'")


@contextlib.contextmanager
def filter_rule(bed):
    rule = ["POSTROUTING", "-m", "comment", "--comment", bed.network.name, "-j", "ACCEPT"]
    subprocess.run(["iptables", "-t", "nat", "-A", *rule], check=True)
    try:
        yield "packet filter rule"
    finally:
        subprocess.run(["iptables", "-t", "nat", "-D", *rule], check=True)


@contextlib.contextmanager
def pod(bed):
    left = bed.run_pod("left")
    try:
        yield "listed"
    finally:
        bed.remove_pod(left)


@contextlib.contextmanager
def stray_cgroup(bed):
    """A container's, elsewhere than it should be."""
    path = os.path.join(host.CGROUP_ROOT, "system.slice/berth-%s.scope" % ("0" * 64))
    os.mkdir(path)
    try:
        yield "cgroup"
    finally:
        os.rmdir(path)


@contextlib.contextmanager
def failed_unit(bed):
    """One that nothing is in any more, and that systemd keeps."""
    name = "berth-left.scope"
    subprocess.run(["systemd-run", "--quiet", "--scope", "--unit=" + name,
                    "--slice=" + bed.cgroup_parent[1:], "--property=RuntimeMaxSec=1",
                    "sleep", "1000"], check=False, stdin=subprocess.DEVNULL)
    try:
        wait_until(lambda: not any(path.endswith(name) for path in host.cgroups()),
                   what="the end of its cgroup")
        yield "unit " + name
    finally:
        subprocess.run(["systemctl", "reset-failed", name], check=True)


@contextlib.contextmanager
def slice_of_a_pod(bed):
    name = os.path.basename(bed.cgroups.own("left"))
    subprocess.run(["systemctl", "start", name], check=True)
    try:
        yield "unit " + name
    finally:
        subprocess.run(["systemctl", "stop", name], check=True)


@contextlib.contextmanager
def unit_file(bed):
    path = os.path.join(pod_cgroups.TRANSIENT_UNITS, "berth-left.scope")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="ascii") as stream:
        stream.write("[Scope]\nSlice=%s\n" % bed.cgroup_parent[1:])
    try:
        yield "unit file"
    finally:
        os.unlink(path)


PLANTED = (process, namespace, mount, named_network, cgroup, veth, address, state_file,
           overlay_directory, missing_directory, unix_socket, record, filter_rule, pod)
PLANTED_WITH_SYSTEMD = (stray_cgroup, failed_unit, slice_of_a_pod, unit_file)


def _plant(bed, plant):
    failures = []
    with plant(bed) as kind:
        found = bed.listed() + bed.leftovers()
        if not any(item.startswith(kind) for item in found):
            failures.append("what was left was not found among: %s" % found)
    found = bed.listed() + bed.prove_clean()
    if found:
        failures.append("it was taken away, and found is: %s" % found)
    return failures


# Operations that lose something.

class ExitCodeLost(StopContainer):
    command = ("sh", "-c", COUNTER.replace("exit 7", "exit 0"))
    complaint = "the exit code is 0"


class LastWordLost(StopContainer):
    command = ("sh", "-c", COUNTER.replace("echo bye;", ""))
    complaint = "the last word is missing"


class LineLost(StartShortContainer):
    command = ("sh", "-c", "i=0; while [ $i -lt 201 ]; do [ $i = 7 ] || echo $i; i=$((i+1)); done;"
                           "exit 5")
    complaint = "the log is not 0, 1, 2"


class LineTwice(StartShortContainer):
    command = ("sh", "-c", "echo 0; i=0; while [ $i -lt 199 ]; do echo $i; i=$((i+1)); done;"
                           "exit 5")
    complaint = "the log is not 0, 1, 2"


class NameTaken(StartShortContainer):
    """A pod of that name with another one's container in it."""

    complaint = "twice"

    def finish(self):
        self.bed.run_pod_config({**self.pod_config(), "metadata": {
            "name": "victim", "namespace": "other", "uid": "uid-other"}})
        self.listed_pod()


LOSSES = (ExitCodeLost, LastWordLost, LineLost, LineTwice, NameTaken)


def _lose(bed, operation):
    op = operation(bed)
    op.setup()
    op.act()
    failures = []
    try:
        op.finish()
        failures.append("nobody missed anything")
    except AssertionError as error:
        if operation.complaint not in str(error):
            failures.append("missed is something else: %s" % error)
    return failures + bed.remove_everything() + bed.prove_clean()


def prove(bed, report):
    """Calls `report` with a dictionary for each leak and each loss."""
    systemd = bed.cgroups.driver == pod_cgroups.SYSTEMD
    planted = PLANTED + (PLANTED_WITH_SYSTEMD if systemd else ())
    for check, cases in ((_plant, planted), (_lose, LOSSES)):
        for case in cases:
            begun = time.monotonic()
            try:
                failures = check(bed, case)
            except Exception:  # one failure must not hide the others
                failures = [traceback.format_exc()]
            report({"kind": "proof", "operation": "leaks" if check is _plant else "losses",
                    "point": case.__name__, "failures": failures, "hit": True, "attempts": 1,
                    "seconds": time.monotonic() - begun, "log": ""})

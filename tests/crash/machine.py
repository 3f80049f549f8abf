"""A machine within the machine: namespaces in which a crash test is alone and can restart all."""

import contextlib
import os
import signal
import subprocess
import sys
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "testbed"))

import host  # noqa: E402  (needs the path above)
import pod_cgroups  # noqa: E402

CLONE_NEWPID = 0x20000000
MS_BIND = 4096
MS_PRIVATE = 1 << 18
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
NAMESPACES = ("net", "mnt", "pid", "ipc", "uts", "user", "cgroup")
# Where containerd's shims keep sockets.
SHIMS = "/run/containerd"
BOOT_ID = "/proc/sys/kernel/random/boot_id"

_first = 1  # process of this machine


def _mount(source, target, kind, flags):
    host.check(host.libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags,
                               None), "mount " + target)


def enter():
    """Goes on in a process of a machine of its own; the caller waits for it and ends with its
    status. To be called before threads are started.

    To systemd a process is named by the number that systemd itself has for it. So with its cgroup
    driver there is no PID namespace: the machine's processes are those that descend from its first
    one, which adopts orphans as process 1 does."""
    global _first
    systemd = pod_cgroups.driver_to_test() == pod_cgroups.SYSTEMD
    host.check(host.libc.unshare((0 if systemd else CLONE_NEWPID) | host.CLONE_NEWNS
                                 | host.CLONE_NEWNET | host.CLONE_NEWIPC),
               "make namespaces (the tests need root)")
    init = os.fork()
    if init:
        _end_with(init)
    # The machine goes with whoever asked for it.
    host.libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    host.libc.prctl(PR_SET_CHILD_SUBREAPER, 1)
    _first = os.getpid()
    child = os.fork()
    if child:
        _end_with(child)
    _mount("none", "/", None, host.MS_REC | MS_PRIVATE)
    _mount("proc", "/proc", "proc", 0)
    for path in (host.NAMED_NETWORKS, SHIMS):
        os.makedirs(path, exist_ok=True)
        _mount("none", path, "tmpfs", 0)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    os.environ[host.NETWORK_VARIABLE] = os.readlink("/proc/self/ns/net")


def _end_with(child):
    """Takes what has ended off the table, as process 1 has to, until `child` ends."""
    while True:
        pid, status = os.wait()
        if pid == child:
            os._exit(os.waitstatus_to_exitcode(status) & 255)


def new_boot(folder):
    """From now on the kernel says that it was booted anew."""
    path = os.path.join(folder, "boot-id")
    with open(path, "w", encoding="ascii") as stream:
        stream.write("%s\n" % uuid.uuid4())
    _mount(path, BOOT_ID, None, MS_BIND)


def old_boot():
    """Takes back what new_boot has said."""
    host.libc.umount2(BOOT_ID.encode(), host.MNT_DETACH)


def _table():
    """pid → state and parent of each process that is to be seen."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        fields = host.read("/proc/%s/stat" % name).rpartition(")")[2].split()
        if fields:
            found[int(name)] = fields[0], int(fields[1])
    return found


def _descends(pid, table):
    """From this machine's first process."""
    while pid not in (_first, 0):
        pid = table[pid][1]
    return pid == _first


def processes():
    """Living processes of this machine but its first and this one: pid → command line."""
    table = _table()
    # What has lost its parent meanwhile has another one.
    while not all(parent in table or parent == 0 for _, parent in table.values()):
        table = _table()
    return {pid: host.read("/proc/%d/cmdline" % pid).replace("\0", " ").strip()
            for pid, (state, _) in table.items()
            if state != "Z" and pid not in (_first, os.getpid()) and _descends(pid, table)}


def namespaces():
    """How many of each kind are in use by processes of this machine but this one, or held open by
    them."""
    found = set()
    for pid in processes():
        for folder in ("ns", "fd"):
            with contextlib.suppress(OSError):
                base = "/proc/%d/%s/" % (pid, folder)
                for name in os.listdir(base):
                    with contextlib.suppress(OSError):
                        found.add(os.readlink(base + name))
    counts = {}
    for target in found:
        kind, _, number = target.partition(":")
        if kind in NAMESPACES and number:
            counts[kind] = counts.get(kind, 0) + 1
    return counts


def mounts():
    """Mount point → what is mounted there, one entry for each mount."""
    found = []
    for line in host.read("/proc/self/mountinfo").splitlines():
        fields = line.split()
        found.append("%s on %s" % (line.partition(" - ")[2].split()[0], fields[4]))
    return sorted(found)

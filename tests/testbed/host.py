"""What a test bed changes on the machine: its private network, and what may be left behind."""

import contextlib
import ctypes
import errno
import os
import re
import select
import signal
import socket
import subprocess
import time

CLONE_NEWNS = 0x00020000
CLONE_NEWIPC = 0x08000000
CLONE_NEWNET = 0x40000000
MS_REC = 0x4000
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MNT_DETACH = 2
NAMED_NETWORKS = "/run/netns"
MARK = "BERTH_TESTBED"
NETWORK_VARIABLE = MARK + "_NETWORK"
CGROUP_ROOT = "/sys/fs/cgroup"

libc = ctypes.CDLL("libc.so.6", use_errno=True)


def enter_private_namespaces():
    """Moves this process into network and IPC namespaces of its own, with loopback up.

    Everything it starts from then on (engine, registry, tests) shares them: ports, bridges, packet
    filter rules and shared memory meet nobody else's, and go when the last process ends. To be
    called before threads are started: a namespace belongs to a thread.
    """
    # A polite end unwinds, and so takes test beds down, as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if os.environ.get(NETWORK_VARIABLE) == os.readlink("/proc/self/ns/net"):
        return
    check(libc.unshare(CLONE_NEWNET | CLONE_NEWIPC), "make namespaces (the tests need root)")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Children inherit the variable and stay in the namespaces.
    os.environ[NETWORK_VARIABLE] = os.readlink("/proc/self/ns/net")


def check(result, doing):
    """Raises what a function of libc has failed with."""
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, "cannot %s: %s" % (doing, os.strerror(number)))


def is_shard():
    """Whether this process has a part of the tests, and others run the rest beside it."""
    return "PYTEST_XDIST_WORKER" in os.environ


def enter_shard():
    """Moves this process, one of several that share the tests out, into namespaces that no other
    has: those of enter_private_namespaces, and one of mounts.

    What is mounted here is seen by nobody else, and the names of network namespaces are nobody
    else's, so that a test finds only what it has left itself. As on a machine with systemd, mounts
    are shared with what is made below; what the machine mounts meanwhile still comes in. Cgroups
    are the machine's: there each test bed looks below its own parent alone.
    """
    os.environ.pop(NETWORK_VARIABLE, None)  # of who shares the tests out
    check(libc.unshare(CLONE_NEWNS), "make a mount namespace (the tests need root)")
    for propagation in (MS_SLAVE, MS_SHARED):
        check(libc.mount(None, b"/", None, MS_REC | propagation, None), "change propagation of /")
    os.makedirs(NAMED_NETWORKS, exist_ok=True)
    check(libc.mount(b"tmpfs", NAMED_NETWORKS.encode(), b"tmpfs", 0, b"mode=0755"),
           "mount on " + NAMED_NETWORKS)
    enter_private_namespaces()


def environment_outside():
    """For a program that is to make private namespaces of its own even so."""
    return {name: value for name, value in os.environ.items() if name != NETWORK_VARIABLE}


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as stream:
            return stream.read()
    except OSError:
        return ""


def mounts(text):
    """Mount points with `text` in their path, source or options, the innermost first."""
    found = []
    for line in read("/proc/self/mountinfo").splitlines():
        if text in line:
            found.append(line.split()[4].encode().decode("unicode_escape"))
    return found[::-1]


def _names(pid, folder):
    """Whether the process works in the folder or holds a file of it open."""
    base = "/proc/%s/" % pid
    try:
        links = [base + "cwd", *(base + "fd/" + name for name in os.listdir(base + "fd"))]
    except OSError:
        return False
    for link in links:
        try:
            if os.readlink(link).startswith(folder + "/"):
                return True
        except OSError:
            continue
    return False


def first_of(process):
    """The pid, as the caller sees it, of the first process in the PID namespace of that one."""
    namespace = os.readlink("/proc/%d/ns/pid" % process)
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            is_there = os.readlink("/proc/%s/ns/pid" % entry) == namespace
        except OSError:
            continue
        # The last number is that in the process's own namespace.
        if is_there and re.search(r"^NSpid:.*\t1$", read("/proc/%s/status" % entry), re.MULTILINE):
            return int(entry)
    raise LookupError("nobody is the first of " + namespace)


def processes(folder, mark):
    """Processes that belong to a test bed: pid → command line.

    A process belongs to it when the environment it was started with carries the mark, when its
    command line names the folder, when it works in the folder or holds a file of it open, or when
    it lives on mounts that stand in the folder.
    """
    found = {}
    own = os.readlink("/proc/self/ns/mnt")
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        base = "/proc/" + name
        try:
            namespace = os.readlink(base + "/ns/mnt")
        except OSError:
            continue
        command = read(base + "/cmdline").replace("\0", " ").strip()
        lives_there = namespace != own and folder in read(base + "/mountinfo")
        if lives_there or mark in read(base + "/environ") or folder in command \
                or _names(name, folder):
            if read(base + "/stat").rpartition(")")[2].split()[:1] != ["Z"]:
                found[int(name)] = command
    return found


def listens(path):
    """Whether somebody listens on this Unix socket."""
    with socket.socket(socket.AF_UNIX) as probe, contextlib.suppress(OSError):
        probe.connect(path)
        return True
    return False


def kill(pids, seconds=10):
    """Kills the processes and waits until they are gone."""
    handles = []
    for pid in pids:
        try:
            handles.append(os.pidfd_open(pid))
            signal.pidfd_send_signal(handles[-1], signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + seconds

    for handle in handles:
        select.select([handle], [], [], max(0, deadline - time.monotonic()))
        os.close(handle)


def hierarchies():
    """Folders in which the roots of all hierarchies are."""
    if os.path.exists(CGROUP_ROOT + "/cgroup.controllers"):
        return [CGROUP_ROOT]  # version 2 alone
    return [CGROUP_ROOT, *(entry.path for entry in os.scandir(CGROUP_ROOT) if entry.is_dir())]


def cgroups():
    """All cgroup folders of all hierarchies."""
    found = set()
    for path, folders, _ in os.walk(CGROUP_ROOT):
        found.update(os.path.join(path, name) for name in folders)
    return found


def remove_cgroups(paths):
    """Removes empty cgroups, children first. What is busy stays."""
    for path in sorted(paths, key=len, reverse=True):
        try:
            os.rmdir(path)
        except OSError:
            pass


def network_namespaces():
    """Named network namespaces (ip netns)."""
    try:
        return set(os.listdir(NAMED_NETWORKS))
    except OSError:
        return set()


def remove_network_namespaces(text):
    """Removes the named ones with `text` in their names; processes in them go on."""
    for name in network_namespaces():
        if text in name:
            path = os.path.join(NAMED_NETWORKS, name)
            libc.umount2(path.encode(), MNT_DETACH)
            os.unlink(path)


def links():
    """Network devices of this process's namespace, without loopback."""
    listing = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True)
    names = re.findall(r"^\d+: ([^:@]+)", listing.stdout, re.M)
    # A new namespace may come with the idle fallback devices of tunnels.
    return {name for name in names
            if name != "lo" and not name.startswith(("tunl", "sit", "ip6tnl", "gre", "erspan", "ip6"))}


def sockets():
    """Names of this network namespace's Unix sockets, with an @ in front where it is no file's."""
    lines = read("/proc/net/unix").splitlines()[1:]
    return {fields[7] for fields in map(str.split, lines) if len(fields) > 7}


def filter_rules(text):
    """Packet filter rules that mention `text`."""
    listing = subprocess.run(["iptables-save"], capture_output=True, text=True, check=False)
    return [line for line in listing.stdout.splitlines() if text in line and line.startswith("-A")]


def unmount_all(text):
    """Unmounts everything with `text` in it; says what it found."""
    found = mounts(text)
    for path in found:
        if libc.umount2(path.encode(), MNT_DETACH) != 0:
            number = ctypes.get_errno()
            if number not in (errno.EINVAL, errno.ENOENT):
                raise OSError(number, os.strerror(number), path)
    return found

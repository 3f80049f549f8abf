"""What keeps the daemon from starting: each is refused before anything is touched, with what to do
about it."""

import contextlib
import ctypes
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import tempfile

import pytest

import berth_testbed
from plugin_projects import BUILD

pytestmark = pytest.mark.berth
PLUGINS = os.path.join(BUILD, "lib/berth/plugins")
NOBODY = 65534
# What a start ends with that systemd does not repeat, and what with else: packaging/systemd.
REFUSED, FAILED = 78, 1
# seccomp_init(3), seccomp_rule_add(3).
ALLOW, NO_SUCH_CALL = 0x7FFF0000, 0x00050000 | 38
seccomp = ctypes.CDLL("libseccomp.so.2")
seccomp.seccomp_init.restype = ctypes.c_void_p


class Place:
    """A configuration with a root, a state and a socket of its own, none of which is there yet."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="berth-refusals-")
        os.chmod(self.folder, 0o755)
        self.root, self.state, self.log = (os.path.join(self.folder, name, "berth")
                                           for name in ("lib", "run", "log"))
        self.socket = os.path.join(self.folder, "sock", "berth.sock")
        self.plugins = PLUGINS
        for path in (self.root, self.state, self.log, self.socket):
            os.mkdir(os.path.dirname(path))
        self.config = os.path.join(self.folder, "berth.toml")

    def write(self):
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write('root = "%s"\nstate = "%s"\nplugin_dirs = ["%s"]\n'
                         '[grpc]\nsocket = "%s"\n[log]\nfile = "%s"\n' % (
                             self.root, self.state, self.plugins, self.socket, self.log))

    def run(self, *command, before=(), **settings):
        if not os.path.exists(self.config):
            self.write()
        return subprocess.run([*before, os.path.join(BUILD, "bin/berth"), *command, "--config",
                               self.config], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=60,
                              **settings)

    def refused(self, words, *commands, status=REFUSED, **settings):
        """By a start, which ends with that status, and by the commands that tell of it before."""
        for command in commands or (("serve",), ("config", "check"), ("check",)):
            answer = self.run(*command, **settings)
            ended = status if command == ("serve",) else 1
            assert answer.returncode == ended, (command, answer.stdout)
            assert re.search(words, answer.stdout), (command, answer.stdout)


@pytest.fixture
def place():
    made = Place()
    yield made
    shutil.rmtree(made.folder)


def test_the_unit_does_not_repeat_what_is_refused():
    unit = os.path.join(berth_testbed.SOURCE, "packaging/systemd/berth.service.in")
    with open(unit, encoding="utf-8") as stream:
        assert "\nRestartPreventExitStatus=%d\n" % REFUSED in stream.read()


def test_without_roots_rights(place):
    place.refused("berthd must run as root", ("serve",), ("check",),
                  before=("setpriv", "--reuid=%d" % NOBODY, "--regid=%d" % NOBODY,
                          "--clear-groups"))
    assert not os.path.exists(place.root) and not os.path.exists(place.state)


@pytest.mark.parametrize("calls", [
    ("pidfd_open",), ("openat2",), ("open_tree",), ("close_range",), ("pidfd_open", "clone3")],
    ids=", ".join)
def test_a_kernel_that_is_too_old(place, calls):
    """One that answers ENOSYS."""
    def take_away():
        context = ctypes.c_void_p(seccomp.seccomp_init(ALLOW))
        for call in calls:
            number = seccomp.seccomp_syscall_resolve_name(call.encode())
            assert seccomp.seccomp_rule_add(context, NO_SUCH_CALL, number, 0) == 0
        assert seccomp.seccomp_load(context) == 0
    place.refused(r"the kernel, Linux \d+\.\d+, lacks %s; Linux 5\.9 and newer have them"
                  % ", ".join(calls), ("serve",), ("check",), preexec_fn=take_away)
    assert not os.path.exists(place.root)


@pytest.mark.parametrize("key", ["root", "state", "socket", "log"])
@pytest.mark.parametrize("there", [False, True], ids=["to be made", "there already"])
def test_a_file_system_that_is_read_only(place, key, there):
    path = getattr(place, key)
    folder = os.path.dirname(path)
    if there and key in ("root", "state"):
        os.mkdir(path)
    elif there:
        with open(path, "w", encoding="utf-8"):
            pass
    script = 'mount --bind "$0" "$0"; mount -o remount,bind,ro "$0"; exec "$@"'
    place.refused("%s.*write to %s[^ ]*: Read-only file system; remount it writable, or set another"
                  % ({"socket": "grpc.socket", "log": "log.file"}.get(key, key), folder),
                  status=FAILED, before=("unshare", "--mount", "sh", "-ec", script, folder))


@pytest.mark.parametrize("key", ["root", "state"])
@pytest.mark.parametrize("owner,group,mode,words", [
    (NOBODY, 0, 0o700, "user %d owns PATH: chown root PATH" % NOBODY),
    (0, 0, 0o777, "others than root may write to PATH: chmod go-w PATH, or use another"),
    (0, 0, 0o1777, "others than root may write to PATH"),
    (0, NOBODY, 0o770, "others than root may write to PATH")])
def test_folders_that_others_may_change(place, key, owner, group, mode, words):
    path = getattr(place, key)
    os.mkdir(path)
    os.chown(path, owner, group)
    os.chmod(path, mode)
    # Its file system may have yet to be mounted there, so it is tried again.
    place.refused("%s: %s" % (key, words.replace("PATH", path)), status=FAILED)
    assert os.listdir(path) == []


# Of a file, and what is said; group 0 is root's own.
OTHERS = [
    (NOBODY, 0, 0o644, "user %d owns PATH: chown root PATH" % NOBODY),
    (0, NOBODY, 0o664, "others than root may write to PATH: chmod go-w PATH"),
    (0, 0, 0o646, "others than root may write to PATH: chmod go-w PATH")]
SAID = re.compile("user [0-9]+ owns|others than root may write")


def hand_over(path, owner, group, mode):
    os.chown(path, owner, group)
    os.chmod(path, mode)


@pytest.mark.parametrize("owner,group,mode,words", OTHERS)
def test_plugins_that_others_may_change(place, owner, group, mode, words):
    place.plugins = os.path.join(place.folder, "plugins")
    shutil.copytree(PLUGINS, place.plugins)
    file = os.path.join(place.plugins, "berth-network-cni.so")
    for path, bits in ((place.plugins, mode | 0o111), (place.plugins, mode | 0o1111), (file, mode)):
        hand_over(path, owner, group, bits)
        place.refused(words.replace("PATH", path))
        hand_over(path, 0, 0, 0o775)
    assert not SAID.search(place.run("config", "check").stdout)


@pytest.mark.parametrize("owner,group,mode,words", OTHERS)
def test_a_configuration_that_others_may_change(place, owner, group, mode, words):
    place.write()
    hand_over(place.config, owner, group, mode)
    place.refused("load the configuration: " + words.replace("PATH", place.config))
    hand_over(place.config, 0, 0, 0o664)
    assert not SAID.search(place.run("config", "check").stdout)


@pytest.mark.parametrize("owner,group,mode,words", [
    *((owner, group, mode | 0o111, words) for owner, group, mode, words in OTHERS),
    (0, 0, 0o1777, OTHERS[-1][3])])
def test_drop_ins_that_others_may_add(place, owner, group, mode, words):
    """In /etc/berth, here of a mount namespace's own."""
    etc = os.path.join(place.folder, "etc")
    drop_ins = os.path.join(etc, "berth.toml.d")
    os.makedirs(drop_ins)
    place.config = os.path.join(etc, "berth.toml")
    place.write()
    script = """mount -t tmpfs none "$0"
mkdir "$0/upper" "$0/work"
mount -t overlay none -o "lowerdir=/etc,upperdir=$0/upper,workdir=$0/work" /etc
mkdir -p /etc/berth
mount --bind "$1" /etc/berth
shift
exec "$@"
"""
    scratch = os.path.join(place.folder, "scratch")
    os.mkdir(scratch)

    def said(*command):
        return subprocess.run(
            ["unshare", "--mount", "sh", "-ec", script, scratch, etc,
             os.path.join(BUILD, "bin/berth"), *command], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, timeout=60)
    assert "root = \"%s\"" % place.root in said("config", "show").stdout
    hand_over(drop_ins, owner, group, mode)
    for command in (("serve",), ("config", "check")):
        answer = said(*command)
        assert answer.returncode == (REFUSED if command == ("serve",) else 1), answer.stdout
        assert "load the configuration: " + words.replace(
            "PATH", "/etc/berth/berth.toml.d") in answer.stdout


@pytest.mark.parametrize("key,mark,engine", [
    ("root", "io.containerd.metadata.v1.bolt", "containerd"),
    ("state", "io.containerd.runtime.v2.task", "containerd"),
    ("root", "overlay-layers", "CRI-O or Podman")])
def test_folders_of_another_engine(place, key, mark, engine):
    path = getattr(place, key)
    os.makedirs(os.path.join(path, mark))
    place.refused("%s: %s is a folder of %s .*; set one of Berth's own" % (key, path, engine))
    assert os.listdir(path) == [mark]


def test_a_socket_that_another_engine_serves(place):
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(place.socket)
        other.listen()
        place.refused("another process serves %s; stop it first, or set grpc.socket"
                      % place.socket, ("serve",), status=FAILED)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(place.socket)


def test_a_socket_whose_server_does_not_answer(place):
    """As many wait as may: one more would wait too."""
    with contextlib.ExitStack() as open_until_then:
        other = open_until_then.enter_context(socket.socket(socket.AF_UNIX))
        other.bind(place.socket)
        other.listen(0)
        with pytest.raises(BlockingIOError):
            for _ in range(8):
                client = open_until_then.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(place.socket)
        place.refused("another process serves %s; stop it first" % place.socket, ("serve",),
                      status=FAILED)


@pytest.mark.parametrize("kind", ["file", "link"])
def test_a_socket_that_is_none(place, kind):
    if kind == "file":
        with open(place.socket, "w", encoding="utf-8") as stream:
            stream.write("somebody's")
    else:
        os.symlink(os.path.join(place.folder, "nowhere"), place.socket)
    place.refused("grpc.socket: %s is there, and is no socket; set grpc.socket to another path"
                  % place.socket, status=FAILED)
    assert os.path.lexists(place.socket)
    assert not os.path.exists(place.root)


def test_a_database_of_a_newer_version(place):
    os.mkdir(place.root)
    path = os.path.join(place.root, "berth.db")
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    place.refused("root: the database %s has the format 99 of a newer berthd" % path)
    assert os.listdir(place.root) == ["berth.db"]


def test_a_root_that_overlays_do_not_take(place):
    """On an overlay."""
    script = """mkdir "$0/lower" "$0/upper" "$0/work" "$0/mount"
mount -t overlay none -o "lowerdir=$0/lower,upperdir=$0/upper,workdir=$0/work" "$0/mount"
exec "$@"
"""
    scratch = os.path.join(place.folder, "scratch")

    def overlaid(command):
        shutil.rmtree(scratch, ignore_errors=True)
        os.mkdir(scratch)
        place.root = os.path.join(scratch, "mount", "berth")
        place.write()
        place.refused("overlays cannot be mounted from %s" % os.path.join(scratch, "mount"),
                      command, status=FAILED,
                      before=("unshare", "--mount", "sh", "-ec", script, scratch))
    for command in (("serve",), ("config", "check"), ("check",)):
        overlaid(command)


def test_cgroups_that_are_read_only(place):
    script = """findmnt --noheadings --raw --output TARGET --types cgroup,cgroup2 | tac |
while read -r path; do mount -o remount,bind,ro "$path"; done
exec "$0" "$@"
"""
    place.refused("the cgroups of this host are mounted read-only", ("serve",), ("check",),
                  status=FAILED, before=("unshare", "--mount", "sh", "-ec", script))
    assert not os.path.exists(place.root)


def test_a_cgroup_driver_that_does_not_run(place):
    place.write()
    with open(place.config, "a", encoding="utf-8") as stream:
        stream.write('[cgroup]\ndriver = "systemd"\n')
    # Where it does run, what says so is out of sight.
    hide = '[ ! -d /run/systemd ] || mount -t tmpfs none /run/systemd; exec "$0" "$@"'
    place.refused("cgroup.driver: systemd does not run this host, and so makes no cgroups",
                  status=FAILED, before=("unshare", "--mount", "sh", "-ec", hide))


@pytest.mark.parametrize("shared", ["root", "state"])
def test_folders_that_another_daemon_uses(bed, berth, place, shared):
    """One of them is enough."""
    setattr(place, shared, getattr(bed.engine, shared))
    place.refused("another berthd uses %s; stop it first, or set another root and state"
                  % getattr(bed.engine, shared), ("serve",), status=FAILED)
    berth_testbed.wait_until(lambda: bed.cri.Version().runtime_name, what="the first's answer")

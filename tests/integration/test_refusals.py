"""What keeps the daemon from starting: each is refused before anything is touched, with what to do."""

import ctypes
import os
import re
import shutil
import socket
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
    (0, 0, 0o777, "others than root may write to PATH: chmod go-w PATH, or set another"),
    (0, 0, 0o1777, "others than root may write to PATH"),
    (0, NOBODY, 0o770, "others than root may write to PATH")])
def test_folders_that_others_may_change(place, key, owner, group, mode, words):
    path = getattr(place, key)
    os.mkdir(path)
    os.chown(path, owner, group)
    os.chmod(path, mode)
    place.refused("%s: %s" % (key, words.replace("PATH", path)))
    assert os.listdir(path) == []


def test_plugins_that_others_may_change(place):
    place.plugins = os.path.join(place.folder, "plugins")
    shutil.copytree(PLUGINS, place.plugins)
    os.chmod(place.plugins, 0o777)
    place.refused("anybody may change %s, and so what root does: chmod o-w %s" % (
        (place.plugins,) * 2))
    os.chmod(place.plugins, 0o1777)
    file = os.path.join(place.plugins, "berth-network-cni.so")
    os.chmod(file, 0o666)
    place.refused("anybody may change %s, and so what root does: chmod o-w %s" % (file, file))
    os.chmod(file, 0o644)
    assert "anybody may change" not in place.run("config", "check").stdout


def test_a_configuration_that_others_may_change(place):
    place.write()
    os.chmod(place.config, 0o666)
    place.refused("load the configuration: anybody may change %s, and so what root does: "
                  "chmod o-w %s" % (place.config, place.config))


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


@pytest.mark.parametrize("shared", ["root", "state"])
def test_folders_that_another_daemon_uses(bed, berth, place, shared):
    """One of them is enough."""
    setattr(place, shared, getattr(bed.engine, shared))
    place.refused("another berthd uses %s; stop it first, or set another root and state"
                  % getattr(bed.engine, shared), ("serve",), status=FAILED)
    berth_testbed.wait_until(lambda: bed.cri.Version().runtime_name, what="the first's answer")

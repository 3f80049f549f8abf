"""What the commands say when they do not reach the engine, and when it is the engine that answers."""

import os
import shutil
import socket
import subprocess
import tempfile

import pytest

from plugin_projects import BUILD

COMMANDS = [("config", "show"), ("plugins",), ("ops",), ("status",), ("reload",),
            ("image", "list"), ("image", "pull", "registry.example/app:1"),
            ("explain", "pod", "a"), ("check", "--storage")]
IDS = [" ".join(command) for command in COMMANDS]
# They go on with what the files say.
ALONE = (("config", "show"), ("plugins",))


class Files:
    """A configuration that anybody may read, and the socket that it names."""

    def __init__(self, folder):
        self.socket = os.path.join(folder, "socket")
        self.config = os.path.join(folder, "berth.toml")
        with open(self.config, "w", encoding="utf-8") as stream:
            stream.write('root = "%s/root"\nstate = "%s/state"\nplugin_dirs = ["%s"]\n'
                         '[grpc]\nsocket = "%s"\n' % (
                             folder, folder, os.path.join(BUILD, "lib/berth/plugins"),
                             self.socket))
        os.chmod(self.config, 0o644)

    def run(self, command, *before):
        return subprocess.run([*before, os.path.join(BUILD, "bin/berth"), *command, "--config",
                               self.config], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)


@pytest.fixture
def files():
    folder = tempfile.mkdtemp(prefix="berth-reaching-")
    os.chmod(folder, 0o755)
    yield Files(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_without_rights_the_engine_is_not_denied(files, command):
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(files.socket)
        os.chmod(files.socket, 0o660)
        served.listen()
        made = files.run(command, "setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    assert made.returncode == 1, made.stdout
    assert made.stdout == ""
    assert ("no right to connect to %s: run as root, or be in grpc.socket_group" % files.socket
            in made.stderr)
    assert "no daemon" not in made.stderr.lower()


@pytest.mark.parametrize("left", [False, True], ids=["no socket", "an old socket"])
@pytest.mark.parametrize("command", COMMANDS, ids=IDS)
def test_without_an_engine_it_is_said_how_to_start_it(files, command, left):
    if left:
        with socket.socket(socket.AF_UNIX) as gone:
            gone.bind(files.socket)
    made = files.run(command)
    if command in ALONE:
        assert "o daemon " in made.stdout + made.stderr
        return
    assert made.returncode == 1
    assert "no daemon answers on %s; start it: systemctl start berth" % files.socket in made.stderr
    assert "journalctl -u berth" in made.stderr


@pytest.mark.parametrize("command", [("ops",), ("plugins",)], ids=["ops", "plugins"])
def test_an_engine_that_does_not_answer_is_not_denied_either(files, command):
    with socket.socket(socket.AF_UNIX) as served:
        served.bind(files.socket)
        served.listen()
        made = files.run(command)
    assert (made.returncode, made.stdout) == (1, "")
    assert "the daemon on %s has not answered in time" % files.socket in made.stderr


@pytest.mark.berth
def test_what_the_engine_answers_is_not_turned_round(bed, berth):
    made = berth("image", "pull", "127.0.0.1:9/app:1", "--config", bed.engine.command()[-1])
    assert made.returncode == 1
    assert "no daemon" not in made.stderr
    assert "127.0.0.1:9" in made.stderr and "onnect" in made.stderr

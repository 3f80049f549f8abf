"""Commands find the daemon that runs, whatever has become of the files of its configuration."""

import os
import subprocess

import pytest

from engines import toml, write

pytestmark = pytest.mark.berth
# What only asks the daemon.
ASKING = (("status",), ("ops",), ("plugins",), ("image", "list"), ("config", "show"),
          ("check", "--storage", "--quick"))
ASKED_ALL_THE_SAME = "is asked all the same"


class Node:
    def __init__(self, bed):
        self.bed = bed
        self.program, *_, self.config = bed.engine.command()
        with open(self.config, encoding="utf-8") as stream:
            self.text = stream.read()

    def run(self, *command):
        return subprocess.run([self.program, *command], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)

    def ask(self, *command):
        return self.run(*command, "--config", self.config)

    def change(self, old, new):
        assert old in self.text
        write(self.config, self.text.replace(old, new))


@pytest.fixture
def node(own_bed):
    return Node(own_bed())


@pytest.mark.parametrize("wrong", ["[streaming]\nport = true\n", "no_such_key = 1\n", "[grpc"])
def test_a_file_that_is_being_edited(node, wrong):
    node.change("[grpc]\n", wrong + "\n[grpc]\n")
    for command in ASKING:
        answer = node.ask(*command)
        assert answer.returncode == 0, answer.stderr
        assert node.config in answer.stderr and ASKED_ALL_THE_SAME in answer.stderr
    # What the daemon is to read is another matter.
    answer = node.ask("reload")
    assert answer.returncode == 1 and node.config in answer.stderr
    # Without a daemon there is only the file to go by.
    assert node.bed.stop_engine() == 0
    answer = node.ask("status")
    assert answer.returncode == 1
    assert node.config in answer.stderr and ASKED_ALL_THE_SAME not in answer.stderr
    node.bed.start_engine()


def test_a_socket_that_is_another_one_with_the_next_start(node, tmp_path):
    other = str(tmp_path / "s")
    node.change(toml(node.bed.engine.socket), toml(other))
    change = "grpc.socket: %s -> %s" % (toml(node.bed.engine.socket), toml(other))
    answer = node.ask("reload")
    assert answer.stdout == change + " (with the next start)\n", answer.stderr
    for command in ASKING:
        answer = node.ask(*command)
        assert (answer.returncode, answer.stderr) == (0, ""), command
    waiting = node.ask("status").stdout.partition("Waits for the next start")[2]
    assert waiting.splitlines()[1] == "  " + change
    assert node.bed.stop_engine() == 0
    assert "no daemon answers on %s;" % other in node.ask("status").stderr
    node.bed.start_engine()


def test_a_socket_that_is_named(node, tmp_path):
    broken = write(str(tmp_path / "broken.toml"), "[")
    for command in ASKING:
        answer = node.run(*command, "--socket", node.bed.engine.socket, "--config", broken)
        assert (answer.returncode, answer.stderr) == (0, ""), command
    answer = node.run("status", "--socket", str(tmp_path / "none"))
    assert "no daemon answers on %s;" % (tmp_path / "none") in answer.stderr
    assert node.run("--socket", node.bed.engine.socket, "status").returncode > 100


def test_a_file_that_is_named_and_cannot_be_read(node, tmp_path):
    """Another file might mean another daemon."""
    answer = node.run("status", "--config", str(tmp_path / "none.toml"))
    assert answer.returncode == 1 and "none.toml" in answer.stderr


# The default files of a host on which only root may read the configuration.
AS_A_MEMBER = """
mount -t tmpfs none /etc; mkdir /etc/berth; echo > /etc/berth/berth.toml; chmod 600 /etc/berth/*
mount -t tmpfs none /run; mkdir -m 711 /run/berth; cp "$1" /run/berth/serves
exec setpriv --reuid 65534 --regid %d --clear-groups "$2" status
"""
GROUP = 61234


def test_a_member_of_the_sockets_group_need_not_read_the_files(own_bed):
    bed = own_bed(grpc_settings='socket_group = "%d"' % GROUP)
    told = os.path.join(bed.engine.state, "serves")

    def ask(group):
        return subprocess.run(
            ["unshare", "-m", "sh", "-ec", AS_A_MEMBER % group, "sh", told,
             bed.engine.command()[0]], capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=60)
    answer = ask(GROUP)
    assert (answer.returncode, answer.stderr) == (0, "")
    assert "Serving      %s\n" % bed.engine.socket in answer.stdout
    assert "no right to connect to " + bed.engine.socket in ask(GROUP + 1).stderr

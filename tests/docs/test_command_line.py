"""What the commands say of a command line that they do not understand, and what all of them take."""

import os
import subprocess

import pytest

from conftest import BUILD, PLUGINS, berth


@pytest.mark.parametrize("line,said", [
    ("statsu", 'there is no command "berth statsu"; did you mean "berth status"?'),
    ("frobnicate", 'there is no command "berth frobnicate"; see berth --help'),
    ("help", 'there is no command "berth help"; see berth --help'),
    ("image lst", 'there is no command "berth image lst"; did you mean "berth image list"?'),
    ("config frobnicate", 'there is no command "berth config frobnicate"; '
                          "see berth config --help"),
    ("--config /dev/null plugn new", 'there is no command "berth plugn"; did you mean '
                                     '"berth plugin"?'),
    ("--socket /dev/null statsu", 'there is no command "berth statsu"; did you mean '
                                  '"berth status"?')])
def test_a_wrong_word_is_named_with_the_command_that_is_near(line, said):
    made = berth(*line.split())
    assert made.returncode > 100
    assert made.stderr == "berth: %s\n" % said
    assert made.stdout == ""


def test_the_version_is_an_option_too():
    made = berth("--version")
    assert made.returncode == 0
    assert made.stdout == berth("version").stdout.splitlines()[0] + "\n"


def test_the_configuration_is_named_before_or_after_the_command(tmp_path):
    path = tmp_path / "berth.toml"
    path.write_text('plugin_dirs = ["%s"]\n[grpc]\nsocket = "%s/none"\n' % (PLUGINS, tmp_path))
    for command in (("config", "show"), ("config", "check")):
        before = berth("--config", str(path), *command)
        after = berth(*command, "--config", str(path))
        assert before.returncode == after.returncode == 0, before.stderr
        assert before.stdout == after.stdout
    assert str(tmp_path) in berth("--config=%s" % path, "config", "show").stdout


def checker(*arguments):
    return subprocess.run([os.path.join(BUILD, "bin/berth-plugin-check"), *arguments],
                          capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL,
                          timeout=60)


def test_the_checker_names_what_is_missing():
    made = checker("/nowhere/berth-none.so")
    assert made.returncode == 2
    assert made.stderr == "berth-plugin-check: /nowhere/berth-none.so: No such file or directory\n"


def test_a_list_of_no_checks_is_a_failure():
    made = checker("--list", "--only", "nope")
    assert (made.returncode, made.stdout) == (2, "")
    assert "--only: no check has that name" in made.stderr
    assert "network.attach" in checker("--list", "--only", "network").stdout

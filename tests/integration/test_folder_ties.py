"""Root and state belong together: pods are neither ended nor lost because a key was changed."""

import json
import os
import re
import shutil
import subprocess

import pytest

from berth_testbed import wait_until

pytestmark = pytest.mark.berth
SLEEP = ["sleep", "1000"]
HOST_NETWORK = {"security_context": {"namespace_options": {"network": "NODE"}}}
OF_ANOTHER_ROOT = "root: the pods in STATE are not those of NEW but of what was ROOT when they "
IN_ANOTHER_STATE = "state: the pods of ROOT are in STATE, where nobody would find them: "
REFUSALS = {"root": OF_ANOTHER_ROOT, "state": IN_ANOTHER_STATE}


@pytest.fixture
def running(own_bed):
    """A bed, and a container that runs in it."""
    bed = own_bed()
    container = bed.run(bed.run_pod("a"), "c", command=SLEEP)
    return bed, container


def process_of(bed, container):
    """When the container's first process was started, which tells it from any other."""
    return bed.exec(container, "cat", "/proc/1/stat").stdout.split()[21]


def tie(folder):
    with open(os.path.join(folder, "identity.json"), encoding="utf-8") as file:
        return json.load(file)


def forget(*folders):
    for folder in folders:
        os.unlink(os.path.join(folder, "identity.json"))


def with_another(bed, key):
    """The bed's configuration with another folder for `key`; what is read, and that folder."""
    path = bed.engine.command()[-1]
    new = getattr(bed.engine, key) + "-another"
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text, count = re.subn('^%s = ".*"$' % key, '%s = "%s"' % (key, new), text, flags=re.MULTILINE)
    assert count == 1
    another = os.path.join(bed.folder, "another.toml")
    with open(another, "w", encoding="utf-8") as file:
        file.write(text)
    return another, new


def berth(bed, *command):
    # command() of the engine would write its file anew.
    return subprocess.run([os.path.join(bed.build, "bin/berth"), *command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          check=False, timeout=60, cwd=bed.folder)


def said_to_be_refused(bed, key, new):
    return (REFUSALS[key].replace("NEW", new).replace("ROOT", bed.engine.root)
            .replace("STATE", bed.engine.state))


@pytest.mark.parametrize("key", ["root", "state"])
def test_another_folder_while_there_are_pods(running, key):
    bed, container = running
    before = process_of(bed, container)
    path, new = with_another(bed, key)
    words = said_to_be_refused(bed, key, new)
    assert bed.stop_engine() == 0
    for command in (("serve",), ("config", "check"), ("check",)):
        answer = berth(bed, *command, "--config", path)
        assert answer.returncode == 1 and words in answer.stdout, (command, answer.stdout)
        assert not os.path.exists(new)
    bed.start_engine()
    assert process_of(bed, container) == before
    assert bed.exec(container, "true").exit_code == 0


@pytest.mark.parametrize("key", ["root", "state"])
@pytest.mark.parametrize("pods", [True, False])
def test_a_reload_refuses_another_folder(running, key, pods):
    """Also without pods: there may be some before the next start."""
    bed, container = running
    if not pods:
        bed.remove_all_pods()
    path, _ = with_another(bed, key)
    own = bed.engine.command()[-1]
    shutil.copy(own, own + ".kept")
    shutil.copy(path, own)
    answer = berth(bed, "reload", "--config", own)
    assert answer.returncode == 1, answer.stdout
    assert re.search(r":\d+:\d+: %s: is %s while this daemon runs; " % (
        key, getattr(bed.engine, key)), answer.stdout), answer.stdout
    shutil.copy(own + ".kept", own)
    assert "Nothing has changed" in berth(bed, "reload", "--config", own).stdout
    assert not pods or bed.exec(container, "true").exit_code == 0


@pytest.mark.parametrize("key", ["root", "state"])
def test_another_folder_once_there_are_no_pods(running, key):
    bed, _ = running
    path, _ = with_another(bed, key)
    answer = berth(bed, "config", "check", "--config", path)
    assert answer.returncode == 1
    bed.remove_all_pods()
    answer = berth(bed, "config", "check", "--config", path)
    assert answer.returncode == 0, answer.stdout


def test_a_root_that_is_lost(own_bed):
    """What the message says is true: without the state's file the pods are ended. What networks had
    noted of them is lost, too."""
    bed = own_bed()
    bed.run(bed.run_pod("a", linux=HOST_NETWORK), "c", command=SLEEP)
    assert bed.stop_engine() == 0
    os.rename(bed.engine.root, bed.engine.root + ".lost")
    with pytest.raises(RuntimeError, match="not those of %s .*remove %s/identity.json, and the "
                       "start ends what" % (bed.engine.root, bed.engine.state)):
        bed.start_engine()
    forget(bed.engine.state)
    bed.start_engine()
    assert [*bed.cri.ListPodSandbox({}).items] == []
    wait_until(lambda: bed.find_leaks() == [], what="the end of all that has no record")
    shutil.rmtree(bed.engine.root + ".lost")


@pytest.mark.parametrize("which", ["both", "the state's"])
def test_folders_of_a_version_that_knew_no_such_file(running, which):
    """Also with one file alone, as a daemon leaves them that is killed between the two."""
    bed, container = running
    before = process_of(bed, container)
    known = tie(bed.engine.root)["identity"]
    assert tie(bed.engine.state)["identity"] == known
    assert bed.stop_engine() == 0
    forget(bed.engine.state, *([bed.engine.root] if which == "both" else []))
    bed.start_engine()
    assert process_of(bed, container) == before
    assert (tie(bed.engine.root)["identity"] == known) == (which != "both")
    assert tie(bed.engine.root)["identity"] == tie(bed.engine.state)["identity"]


@pytest.mark.parametrize("key", ["root", "state"])
def test_a_file_that_is_damaged_keeps_nobody_from_starting(running, key):
    bed, container = running
    before = process_of(bed, container)
    known = tie(bed.engine.root)
    assert bed.stop_engine() == 0
    with open(os.path.join(getattr(bed.engine, key), "identity.json"), "w",
              encoding="utf-8") as file:
        file.write("{")
    bed.start_engine()
    assert process_of(bed, container) == before
    assert tie(bed.engine.root) == known
    assert tie(bed.engine.state)["identity"] == known["identity"]

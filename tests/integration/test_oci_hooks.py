"""OCI hooks that files of the configured folders ask for (oci-hooks(5)), in real containers."""

import json
import os
import signal

import pytest

import engines
import grpc
import host
from asking import CRUN, create_refused
from test_containers import SLEEP
from test_recovery import monitor_of

pytestmark = pytest.mark.berth


class Hooks:
    """Two folders of files; each hook keeps a line for each container that it was run for."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.folders = [str(folder / "distribution"), str(folder / "own")]
        self.settings = "[containers]\nhooks_dirs = %s\n" % engines.toml(self.folders)

    def write(self, name, when, stages, place=0):
        """A file with a hook of this name; its path."""
        # The state of the container comes as one line without an end.
        hook = {"path": "/bin/sh",
                "args": ["sh", "-c", '{ cat; echo; } >> "$0"', os.path.join(self.folder, name)]}
        return engines.write(os.path.join(self.folders[place], name + ".json"), json.dumps(
            {"version": "1.0.0", "hook": hook, "when": when, "stages": stages}))

    def told(self, name):
        """(container, its state) of each run of the hook."""
        states = [json.loads(line) for line in host.read(
            os.path.join(self.folder, name)).splitlines() if line]
        return [(state["id"], state["status"]) for state in states]


@pytest.fixture
def hooks(tmp_path):
    return Hooks(tmp_path)


@pytest.mark.parametrize("runtime", ["runc", CRUN])
def test_hooks_are_run_for_the_containers_they_are_meant_for(own_bed, name, hooks, runtime):
    bed = own_bed(runtime=runtime, settings=hooks.settings)
    hooks.write("by-annotation", {"annotations": {"^berth.test/hook$": "^yes$"}},
                ["createRuntime", "poststop"])
    hooks.write("by-command", {"commands": ["^/?(bin/)?sleep$"]}, ["createRuntime"])
    hooks.write("by-mount", {"hasBindMounts": True}, ["createRuntime"])
    pod = bed.run_pod(name)
    chosen = bed.run(pod, "chosen", command=["sh", "-c", "exec sleep 1000"],
                     annotations={"berth.test/hook": "yes"})
    other = bed.run(pod, "other", command=SLEEP, annotations={"berth.test/hook": "no"})
    # crun 1.8 is a step ahead of what the OCI runtime specification calls the state.
    creating = {"runc": "creating", "crun": "created"}[runtime]
    assert hooks.told("by-annotation") == [(chosen, creating)]
    assert hooks.told("by-command") == [(other, creating)]
    assert hooks.told("by-mount") == []
    for container in (chosen, other):
        bed.cri.StopContainer({"container_id": container, "timeout": 0})
        bed.cri.RemoveContainer({"container_id": container})
    assert hooks.told("by-annotation")[1:] == [(chosen, "stopped")]
    assert len(hooks.told("by-command")) == 1


def test_the_last_folders_file_counts_at_once(own_bed, name, hooks):
    bed = own_bed(settings=hooks.settings)
    pod = bed.run_pod(name, annotations={"berth.test/pod": "any"})
    of_pod = {"annotations": {"^berth.test/pod$": "."}}
    hooks.write("tell", of_pod, ["createRuntime"])
    first = bed.run(pod, "first", command=SLEEP)
    replacement = hooks.write("tell", {"always": False}, ["createRuntime"], place=1)
    bed.run(pod, "second", command=SLEEP)
    os.unlink(replacement)
    third = bed.run(pod, "third", command=SLEEP)
    assert [container for container, _ in hooks.told("tell")] == [first, third]


def test_a_file_that_is_of_no_use_refuses_containers(own_bed, name, hooks):
    bed = own_bed(settings=hooks.settings)
    pod = bed.run_pod(name)
    hooks.write("tell", {"always": True}, ["createRuntime"])
    path = hooks.write("broken", {"always": True}, ["someday"])
    message = create_refused(bed, pod, "c", grpc.StatusCode.FAILED_PRECONDITION, command=SLEEP)
    assert path in message and "someday" in message
    assert not bed.cri.ListContainers().containers
    os.unlink(path)
    container = bed.run(pod, "c", command=SLEEP)
    assert hooks.told("tell") == [(container, "creating")]


def test_a_hook_that_fails_refuses_the_start(own_bed, name, hooks):
    bed = own_bed(settings=hooks.settings)
    pod = bed.run_pod(name)
    engines.write(os.path.join(hooks.folders[0], "no.json"), json.dumps({
        "version": "1.0.0", "when": {"always": True}, "stages": ["createRuntime"],
        "hook": {"path": "/bin/sh", "args": ["sh", "-c", "echo no room for it >&2; exit 3"]}}))
    container = bed.create(pod, "c", command=SLEEP)
    with pytest.raises(grpc.RpcError) as caught:
        bed.cri.StartContainer({"container_id": container})
    assert "no room for it" in caught.value.details()
    assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    bed.cri.RemoveContainer({"container_id": container})
    assert not any(container in path for path in host.cgroups())


def test_a_poststop_hook_is_run_also_when_the_monitor_was_killed(own_bed, name, hooks):
    bed = own_bed(settings=hooks.settings)
    hooks.write("after", {"always": True}, ["poststop"])
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    os.kill(monitor_of(bed, pod), signal.SIGKILL)
    bed.wait_exit(container)
    bed.remove_pod(pod)
    assert hooks.told("after") == [(container, "stopped")]

"""Devices of the Container Device Interface, as the files of the configured folders describe them."""

import json
import os

import pytest

import engines
import grpc
from asking import CRUN, create_refused, out, shell
from test_containers import SLEEP

BAD = grpc.StatusCode.INVALID_ARGUMENT
KIND = "berth.test/thing"
OWN_PIDS = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}

pytestmark = pytest.mark.berth


class Files:
    """Two folders of files; of a device in both, the second folder's counts."""

    def __init__(self, folder):
        self.folders = [str(folder / "static"), str(folder / "dynamic")]
        self.settings = "[containers]\ncdi_dirs = %s\n" % engines.toml(self.folders)

    def write(self, place, name, devices, **edits):
        """A file that gives each of `devices` its edits, and all of them `edits`; its path."""
        described = [{"name": key, "containerEdits": value} for key, value in devices.items()]
        return engines.write(os.path.join(self.folders[place], name), json.dumps({
            "cdiVersion": "0.7.0", "kind": KIND, "devices": described, "containerEdits": edits}))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


def wanted(*names):
    return [{"name": "%s=%s" % (KIND, name)} for name in names]


def variable(bed, pod, container, device):
    """WHICH in a new container with the device."""
    created = bed.run(pod, container, command=SLEEP, CDI_devices=wanted(device))
    return shell(bed, created, "echo $WHICH")


@pytest.mark.parametrize("runtime", ["runc", CRUN])
def test_a_container_gets_what_its_devices_ask_for(own_bed, name, files, tmp_path, runtime):
    bed = own_bed(runtime=runtime, settings=files.settings)
    state = str(tmp_path / "state")
    engines.write(str(tmp_path / "shared/word"), "lent")
    # Not one of those that every container may open.
    node = {"path": "/dev/given", "hostPath": "/dev/loop-control", "permissions": "r"}
    files.write(0, "a.json", {
        "field": {"env": ["FIELD=1"], "deviceNodes": [node],
                  "mounts": [{"hostPath": str(tmp_path / "shared"), "containerPath": "/shared",
                              "options": ["bind", "ro"]}]},
        "note": {"env": ["NOTE=2"], "additionalGids": [4242],
                 "hooks": [{"hookName": "createRuntime", "path": "/bin/sh",
                            "args": ["sh", "-c", 'cat > "$0"', state]}]},
        "other": {"env": ["OTHER=3"]}}, env=["EACH=4"])
    pod = bed.run_pod(name, linux=OWN_PIDS)
    container = bed.run(pod, "c", command=SLEEP, linux=OWN_PIDS, CDI_devices=wanted("field"),
                        annotations={"cdi.k8s.io/plugin_1": KIND + "=note"})
    for environment in (out(bed, container, "env"),
                        shell(bed, container, "tr '\\0' '\\n' < /proc/1/environ")):
        assert {"FIELD=1", "NOTE=2", "EACH=4"} <= set(environment.split())
        assert "OTHER" not in environment
    assert "4242" in out(bed, container, "id", "-G").split()
    assert "4242" in shell(bed, container, "grep ^Groups /proc/1/status").split()
    assert out(bed, container, "cat", "/shared/word") == "lent"
    assert b"Read-only" in bed.exec(container, "touch", "/shared/more").stderr
    assert shell(bed, container, ": < /dev/given && echo open") == "open"
    assert b"not permitted" in bed.exec(container, "sh", "-c", ": > /dev/given").stderr
    with open(state, encoding="utf-8") as stream:
        assert json.load(stream)["id"] == container

    plain = bed.run(pod, "plain", command=SLEEP)
    assert "EACH" not in out(bed, plain, "env")
    assert bed.exec(plain, "test", "-e", "/dev/given").exit_code == 1


def test_files_that_change_count_for_the_next_container(own_bed, name, files):
    """Also folders that were not there at the start."""
    bed = own_bed(settings=files.settings)
    pod = bed.run_pod(name)
    assert files.folders[0] in create_refused(bed, pod, "early", BAD, CDI_devices=wanted("one"))
    for number, value in enumerate("123"):
        files.write(0, "a.json", {"one": {"env": ["WHICH=" + value]}})
        assert variable(bed, pod, "c%d" % number, "one") == value
    path = files.write(1, "b.json", {"one": {"env": ["WHICH=second"]}})
    assert variable(bed, pod, "both", "one") == "second"
    os.unlink(path)
    assert variable(bed, pod, "again", "one") == "3"


def test_devices_that_cannot_be_given(own_bed, name, files, tmp_path):
    bed = own_bed(settings=files.settings)
    pod = bed.run_pod(name)
    known = files.write(0, "a.json", {"one": {"env": ["WHICH=1"]}, "twice": {"env": ["WHICH=2"]},
                                      "absent": {"deviceNodes": [{"path": "/dev/never-there"}]}})
    unknown = create_refused(bed, pod, "c", BAD, CDI_devices=wanted("one", "two"))
    assert '"%s=two"' % KIND in unknown and KIND + "=one" in unknown
    assert all(folder in unknown for folder in files.folders)

    again = files.write(0, "b.json", {"twice": {"env": ["WHICH=3"]}})
    ambiguous = create_refused(bed, pod, "c", BAD, CDI_devices=wanted("twice"))
    assert "%s=twice" % KIND in ambiguous and known in ambiguous and again in ambiguous

    nameless = create_refused(bed, pod, "c", BAD, annotations={"cdi.k8s.io/plugin": "thing"})
    assert "cdi.k8s.io/plugin" in nameless
    absent = create_refused(bed, pod, "c", CDI_devices=wanted("absent"))
    assert "/dev/never-there" in absent and known in absent

    # A file that is of no use is named to who may miss it, and is in nobody else's way.
    broken = engines.write(os.path.join(files.folders[1], "c.json"), '{"kind": 1}')
    assert broken in create_refused(bed, pod, "c", BAD, CDI_devices=wanted("two"))
    assert not bed.cri.ListContainers().containers
    assert variable(bed, pod, "c", "one") == "1"

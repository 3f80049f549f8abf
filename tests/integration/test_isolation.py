"""Plugins in processes of their own: an engine of which every part is one, and what becomes of it
when they are killed."""

import json
import os
import signal
import subprocess
import time

import grpc
import host
import pytest

from asking import shell
from fake_shims import FakeShims
from holding import stop
from image_set import BUSYBOX
from installed_plugin import NEXT, bed_with_installed
from test_containers import SLEEP

pytestmark = pytest.mark.berth

KINDS = {"sources": "registry", "snapshotters": "overlay", "networks": "cni", "runtimes": "runc"}
SETTINGS = "".join('[%s.%s]\nisolation = "process"\n' % item for item in KINDS.items())
PATIENCE = 30


@pytest.fixture
def bed(own_bed):
    return own_bed(settings=SETTINGS)


def command(bed, *arguments):
    berth, *_, config = bed.engine.command()
    return subprocess.run([berth, *arguments, "--config", config], capture_output=True, text=True,
                          check=False, stdin=subprocess.DEVNULL)


def processes(bed):
    """{name: (pid, restarts)} as `berth plugins` says."""
    found, name = {}, None
    for line in command(bed, "plugins").stdout.splitlines()[1:]:
        if not line.startswith(" "):
            name = line.split()[0]
        elif "in a process of its own: pid" in line:
            words = line.replace(",", "").split()
            found[name] = int(words[words.index("pid") + 1]), int(words[words.index("again") + 1])
    return found


def until(what):
    end = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def back(bed, name, before):
    """Waits for the next process of the plugin."""
    return until(lambda: (now := processes(bed).get(name)) and now[0] != before and now)


def test_a_pod_runs_on_plugins_in_processes_of_their_own(bed, name):
    there = processes(bed)
    assert sorted(there) == sorted(KINDS.values())
    for pid, restarts in there.values():
        assert os.readlink("/proc/%d/exe" % pid).endswith("/libexec/berth/berth-plugin-host")
        assert restarts == 0
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=BUSYBOX, command=SLEEP)
    assert shell(bed, container, "echo here > /file; cat /file") == "here"
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network.ip
    assert bed.exec(container, "sh", "-c", "exit 7").exit_code == 7
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    status = bed.cri.ContainerStatus({"container_id": container}).status
    assert status.exit_code == 137
    bed.remove_pod(pod)


def test_it_is_confined(bed):
    masks = {}
    for name, (pid, _) in processes(bed).items():
        with open("/proc/%d/status" % pid, encoding="ascii") as file:
            fields = dict(line.rstrip("\n").split(":\t") for line in file if ":\t" in line)
        masks[name] = int(fields["CapBnd"], 16), fields["Seccomp"]
    assert masks["registry"] == (masks["registry"][0] & 0b110, "2"), "DAC_OVERRIDE, DAC_READ_SEARCH"
    assert masks["overlay"][1] == masks["cni"][1] == "2"
    assert masks["overlay"][0] & 1 << 12 == 0, "NET_ADMIN"
    assert masks["runc"][1] == "0", "containers would inherit it"


@pytest.mark.parametrize("plugin", ["cni", "overlay"])
def test_a_killed_one_comes_back_and_pods_go_on(bed, name, plugin):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=BUSYBOX, command=SLEEP)
    before = processes(bed)[plugin][0]
    os.kill(before, signal.SIGKILL)
    pid, restarts = back(bed, plugin, before)
    assert restarts == 1 and pid != before
    assert shell(bed, container, "echo alive") == "alive"
    other = bed.run_pod(name + "-2")
    bed.run(other, "c", image=BUSYBOX, command=SLEEP)
    bed.remove_pod(other)
    bed.remove_pod(pod)


def test_exits_while_the_runtime_was_away_are_not_lost(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=BUSYBOX,
                        command=["sh", "-c", "trap 'exit 5' TERM; while :; do sleep 0.1; done"])
    pid = json.loads(bed.cri.ContainerStatus(
        {"container_id": container, "verbose": True}).info["info"])["pid"]
    before = processes(bed)["runc"][0]
    stop(before)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not os.path.exists("/proc/%d" % pid))
    os.kill(before, signal.SIGKILL)
    back(bed, "runc", before)

    def exited():
        status = bed.cri.ContainerStatus({"container_id": container}).status
        return status.exit_code == 137 and status.finished_at
    until(exited)
    bed.remove_pod(pod)


def test_none_outlives_the_daemon(bed):
    pids = [pid for pid, _ in processes(bed).values()]
    bed.kill_engine()
    until(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in pids))
    bed.start_engine()


def test_check_works_through_it(bed):
    checked = command(bed, "check")
    assert "registry" in checked.stdout and "has ended" not in checked.stdout, checked.stdout


def test_a_runtime_that_dies_during_an_exec(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", image=BUSYBOX, command=SLEEP)
    before = processes(bed)["runc"][0]
    call = bed.cri.ExecSync.future(
        {"container_id": container, "cmd": ["sleep", "4841"], "timeout": 30})
    until(lambda: any("sleep 4841" in command for command in
                      host.processes(bed.folder, bed.mark).values()))
    os.kill(before, signal.SIGKILL)
    with pytest.raises(grpc.RpcError) as caught:
        call.result()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE
    assert "plugin runc" in caught.value.details()
    back(bed, "runc", before)
    assert shell(bed, container, "echo alive") == "alive"
    bed.remove_pod(pod)


@pytest.mark.parametrize("table,plugin", [("runtimes.runc", "runtime-runc"),
                                          ("runtimes.fake", "runtime-kata")])
def test_one_finds_its_programs_after_an_upgrade(own_bed, tmp_path, name, table, plugin):
    """Started again from the file that another one has replaced."""
    fakes = FakeShims({"fake": ""})

    def settings(bed, given):
        return fakes.settings(bed).replace('[runtimes.fake]\nplugin = "runtime-kata"\n', given)

    instance = table.split(".")[1]
    handler = {"handler": "fake"} if instance == "fake" else {}
    bed, file = bed_with_installed(own_bed, str(tmp_path), table, plugin, 'isolation = "process"\n',
                                   **({"settings": settings} if handler else {}))
    container = bed.run(bed.run_pod(name, **handler), "c", image=BUSYBOX, command=SLEEP)
    file.put(NEXT)
    before = processes(bed)[instance][0]
    os.kill(before, signal.SIGKILL)
    back(bed, instance, before)
    assert shell(bed, container, "echo alive") == "alive"
    other = bed.run(bed.run_pod(name + "-2", **handler), "c", image=BUSYBOX, command=SLEEP)
    assert shell(bed, other, "echo alive") == "alive"

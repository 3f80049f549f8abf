"""What a daemon that starts makes of pods that it cannot reach, must not touch, or does not know."""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

import grpc
import host
from berth_testbed import wait_until
from holding import stop

SLEEP = ["sleep", "1000"]
UNTIL_TOLD = ["sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 5"]

pytestmark = pytest.mark.berth


def monitor_of(bed, pod):
    return next(pid for pid, command in host.processes(bed.folder, bed.mark).items()
                if "berth-monitor" in command and pod in command)


def process_of(bed, container):
    """When the container's first process was started, which tells it from any other."""
    return bed.exec(container, "cat", "/proc/1/stat").stdout.split()[21]


def ready_pods(bed):
    return {pod.id for pod in bed.cri.ListPodSandbox().items
            if pod.state == bed.cri.messages.SANDBOX_READY}


def is_running(bed, container):
    return bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING


def refusal(call, request, **more):
    with pytest.raises(grpc.RpcError) as caught:
        call(request, **more)
    return caught.value.code()


@contextlib.contextmanager
def records(bed):
    """The database of a daemon that does not run."""
    with contextlib.closing(sqlite3.connect(bed.engine.root + "/berth.db")) as database:
        yield database
        database.commit()


def spoil(bed, kind, identity):
    with records(bed) as database:
        changed = database.execute("UPDATE records SET value = x'ffff' WHERE kind = ? AND id = ?",
                                   (kind, identity))
        assert changed.rowcount == 1


def processes_of(bed, pod):
    return [pid for pid, command in host.processes(bed.folder, bed.mark).items()
            if pod in command]


def test_a_pod_whose_monitor_does_not_answer_goes_on(own_bed):
    bed = own_bed()
    stuck, other = bed.run_pod("stuck"), bed.run_pod("other")
    containers = {pod: bed.run(pod, "c", command=SLEEP) for pod in (stuck, other)}
    before = {pod: process_of(bed, containers[pod]) for pod in (stuck, other)}
    monitor = monitor_of(bed, stuck)
    stop(monitor)
    try:
        bed.kill_engine()
        bed.start_engine()
        assert ready_pods(bed) == {stuck, other}
        assert is_running(bed, containers[stuck])
        assert process_of(bed, containers[other]) == before[other]
        command = {"container_id": containers[stuck], "cmd": ["true"], "timeout": 5}
        assert refusal(bed.cri.ExecSync, command) == grpc.StatusCode.UNAVAILABLE

        def tried():
            with pytest.raises(grpc.RpcError) as caught:
                bed.cri.ExecSync(command)
            return "not been asked yet" not in caught.value.details()
        wait_until(tried, 30, "the end of the first attempt")
        assert ready_pods(bed) == {stuck, other}
        assert is_running(bed, containers[stuck])
    finally:
        os.kill(monitor, signal.SIGCONT)

    def reached():
        with contextlib.suppress(grpc.RpcError):
            return process_of(bed, containers[stuck])
        return None
    assert wait_until(reached, 60, "the pod to be reached") == before[stuck]
    assert ready_pods(bed) == {stuck, other}
    assert is_running(bed, containers[stuck])


def test_a_runtime_that_is_missing_at_one_start(own_bed):
    bed = own_bed(settings=lambda bed: "\n".join([
        '[runtimes.second]', 'plugin = "runtime-runc"', '[runtimes.second.options]',
        'path = "%s"' % bed.runtime, ""]))
    settings = bed.settings
    pod = bed.run_pod("a", handler="second")
    container = bed.run(pod, "c", command=SLEEP)
    before = process_of(bed, container)
    bed.kill_engine()
    bed.settings = ""
    bed.start_engine()
    assert ready_pods(bed) == {pod}
    assert is_running(bed, container)
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    assert refusal(bed.cri.StopContainer, {"container_id": container}) == precondition
    assert refusal(bed.cri.RemoveContainer, {"container_id": container}) == precondition
    assert refusal(bed.cri.StopPodSandbox, {"pod_sandbox_id": pod}) == precondition
    assert refusal(bed.cri.RemovePodSandbox, {"pod_sandbox_id": pod}) == precondition
    assert bed.stop_engine() == 0
    bed.settings = settings
    bed.start_engine()
    assert ready_pods(bed) == {pod}
    assert process_of(bed, container) == before
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert bed.status(container).exit_code == 137


@pytest.mark.host
def test_a_runtime_whose_program_is_gone(own_bed, tmp_path):
    """The others serve without it, and what is its stays as it is until it is back."""
    program, away = tmp_path / "runtime", tmp_path / "away"

    def settings(bed):
        shutil.copy(bed.runtime, program)
        return "\n".join(['[runtimes.second]', 'plugin = "runtime-runc"',
                          '[runtimes.second.options]', 'path = "%s"' % program, ""])
    bed = own_bed(settings=settings)
    pods = [bed.run_pod(name, handler="second") for name in ("kept", "stopped")]
    containers = [bed.run(pod, "c", command=SLEEP) for pod in pods]
    mine = bed.run(bed.run_pod("mine"), "c", command=SLEEP)
    before = process_of(bed, containers[0])
    addresses = bed.network.held_addresses()
    assert len(addresses) == 3
    assert bed.stop_engine() == 0
    told = len(host.read(bed.log_path))
    program.rename(away)
    bed.start_engine()

    said = [line for line in host.read(bed.log_path)[told:].splitlines() if "level=error" in line]
    assert len([line for line in said if "a runtime is out of service" in line]) == 1
    assert sum("a pod is left as it is" in line and "is out of service" in line
               for line in said) == 2, "one for each pod"
    status = bed.cri.Status({"verbose": True})
    assert "second" not in [one.name for one in status.runtime_handlers]
    [row] = [one for one in json.loads(status.info["plugins"]) if one["name"] == "second"]
    assert row["state"] == "failed"
    assert ": runtimes.second.options.path: " in row["error"] and str(program) in row["error"]
    for command, code, words in (("plugins", 1, row["error"]), ("status", 0, row["error"]),
                                 ("check", 0, "the daemon starts without this runtime")):
        answer = subprocess.run(
            [bed.engine.command()[0], command, "--config", bed.engine.command()[-1]],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
        assert answer.returncode == code, answer.stdout + answer.stderr
        assert words in answer.stdout
    assert bed.cri.ListPodSandboxStats({}).stats
    assert "the figures of a pod cannot be read" not in host.read(bed.log_path)[told:]
    # Nothing of its pods has gone, and nobody says that it has.
    assert is_running(bed, mine) and all(is_running(bed, one) for one in containers)
    assert sorted(bed.network.held_addresses()) == sorted(addresses)
    assert all(processes_of(bed, pod) for pod in pods)
    precondition = grpc.StatusCode.FAILED_PRECONDITION
    for call, request in ((bed.cri.StopContainer, {"container_id": containers[1]}),
                          (bed.cri.ExecSync, {"container_id": containers[0], "cmd": ["true"]}),
                          (bed.cri.StopPodSandbox, {"pod_sandbox_id": pods[1]}),
                          (bed.cri.RemovePodSandbox, {"pod_sandbox_id": pods[1]}),
                          (bed.run_pod, "new")):
        more = {"handler": "second"} if call == bed.run_pod else {}
        with pytest.raises(grpc.RpcError) as caught:
            call(request, **more)
        assert caught.value.code() == precondition, caught.value.details()
        assert "is out of service" in caught.value.details()
        assert str(program) in caught.value.details()
    bed.run(bed.run_pod("new"), "c", command=SLEEP)
    # A pod that has lost its record may be one of them.
    bed.kill_engine()
    spoil(bed, "pod", pods[1])
    bed.start_engine()
    wait_until(lambda: "which has no record" in host.read(bed.log_path)[told:]
               and "it may be a pod of the runtime second" in host.read(bed.log_path)[told:],
               what="the refusal to release a pod that may go on")
    assert processes_of(bed, pods[1])
    assert set(addresses) < set(bed.network.held_addresses())

    assert bed.stop_engine() == 0
    away.rename(program)
    bed.start_engine()
    assert process_of(bed, containers[0]) == before
    bed.cri.StopContainer({"container_id": containers[0], "timeout": 0})
    assert bed.status(containers[0]).exit_code == 137
    wait_until(lambda: not processes_of(bed, pods[1]), what="the end of the other one")
    wait_until(lambda: len(bed.network.held_addresses()) == 3, what="the release of its address")
    bed.run(bed.run_pod("again", handler="second"), "c", command=SLEEP)


@pytest.mark.host
def test_a_pod_whose_record_is_damaged(own_bed):
    """It is ended, and only then is its address free."""
    bed = own_bed()
    lost, kept = bed.run_pod("lost"), bed.run_pod("kept")
    gone = bed.run(lost, "c", command=SLEEP)
    container = bed.run(kept, "c", command=SLEEP)
    address = bed.cri.PodSandboxStatus({"pod_sandbox_id": kept}).status.network.ip
    assert len(bed.network.held_addresses()) == 2
    bed.kill_engine()
    spoil(bed, "pod", lost)
    bed.start_engine()
    assert ready_pods(bed) == {kept}
    assert processes_of(bed, lost) == []
    assert bed.network.held_addresses() == [address]
    assert bed.exec(container, "true").exit_code == 0
    wait_until(lambda: not [path for path in host.mounts(bed.folder) if gone in path],
               what="the end of its container's mounts")
    # The kubelet runs it again, under the same name.
    bed.run(bed.run_pod("lost"), "c", command=SLEEP)
    assert len(bed.network.held_addresses()) == 2


def test_a_container_whose_record_is_damaged(own_bed):
    bed = own_bed()
    pod = bed.run_pod("a")
    lost, kept = bed.run(pod, "lost", command=SLEEP), bed.run(pod, "kept", command=SLEEP)
    bed.kill_engine()
    spoil(bed, "container", lost)
    bed.start_engine()
    assert ready_pods(bed) == {pod}
    assert is_running(bed, kept)
    assert [one.id for one in bed.cri.ListContainers().containers] == [kept]
    wait_until(lambda: not [path for path in host.mounts(bed.folder) if lost in path],
               what="the end of the container's mounts")
    wait_until(lambda: not [path for path in host.cgroups() if lost in path],
               what="the end of the container's cgroup")
    bed.run(pod, "lost", command=SLEEP)


def test_a_database_that_is_damaged(own_bed):
    bed = own_bed()
    pods = [bed.run_pod("pod-%d" % number) for number in range(3)]
    for pod in pods:
        bed.run(pod, "c", command=SLEEP)
    # After a crash the log beside the database would still have all that is in it.
    assert bed.stop_engine() == 0
    with open(bed.engine.root + "/berth.db", "r+b") as database:
        database.write(b"no database" * 100)
    bed.start_engine()
    assert ready_pods(bed) == set()
    assert bed.network.held_addresses() == []
    wait_until(lambda: bed.find_leaks() == [], what="the end of all that has no record")
    container = bed.run(bed.run_pod("pod-0"), "c", command=SLEEP)
    assert bed.exec(container, "true").exit_code == 0


def test_a_database_with_a_bad_page(own_bed):
    """What its other pages have of pods and containers goes on; images are pulled again."""
    bed = own_bed()
    pods = {bed.run_pod("pod-%d" % number) for number in range(2)}
    containers = {bed.run(pod, "c", command=SLEEP): pod for pod in pods}
    before = {container: process_of(bed, container) for container in containers}
    assert bed.stop_engine() == 0
    with records(bed) as database:
        database.executemany("INSERT INTO records VALUES ('image', ?, ?)",
                             [("sha256:%064x" % number, b"x" * 400) for number in range(40)])
    with open(bed.engine.root + "/berth.db", "r+b") as database:
        content = database.read()
        pages = [content[start:start + 4096] for start in range(0, len(content), 4096)]
        # A leaf of the table that has nothing but images, by its number of cells.
        bad = next(number for number, page in enumerate(pages) if page[0] == 10 and page[4] > 0
                   and page[4] == page.count(b"imagesha256:") == page.count(b"x" * 400))
        database.seek(bad * 4096)
        database.write(b"\x5a" * 4096)
    bed.start_engine()
    assert any(name.startswith("berth.db.damaged-") for name in os.listdir(bed.engine.root))
    assert ready_pods(bed) == pods
    assert {container: process_of(bed, container) for container in containers} == before
    log = host.read(bed.log_path)
    assert "2 of kind container, " in log and "2 of kind pod" in log
    bed.run(bed.run_pod("new"), "c", command=SLEEP)


@pytest.mark.host
def test_an_exit_that_outlives_its_monitor(own_bed):
    """The container exits, and then the monitor dies, while no daemon runs."""
    bed = own_bed()
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=UNTIL_TOLD)
    other = bed.run(pod, "other", command=SLEEP)
    monitor = monitor_of(bed, pod)
    bed.exec(container, "true")
    folder = os.path.join(bed.engine.state, "pods", pod, "runtime", "monitor")
    root = os.path.join(bed.engine.state, "containers", container, "rootfs")
    bed.kill_engine()
    with open(os.path.join(root, "tmp", "end"), "w", encoding="utf-8"):
        pass
    wait_until(lambda: os.path.exists(os.path.join(folder, "exits", container)),
               what="the exit that the monitor keeps")
    host.kill([monitor])
    bed.start_engine()
    assert bed.wait_exit(container).exit_code == 5
    assert bed.wait_exit(other).exit_code == 137
    # The pod's end is told after those of its containers.
    wait_until(lambda: ready_pods(bed) == set(), what="the pod's end")


def test_a_stop_before_the_start(own_bed):
    """It ends nothing, and does not make a later stop less patient."""
    bed = own_bed()
    pod = bed.run_pod("a")
    script = "trap 'exit 9' TERM; touch /tmp/ready; while :; do sleep 0.02; done"
    container = bed.create(pod, "c", command=["sh", "-c", script])
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.cri.StartContainer({"container_id": container})
    wait_until(lambda: bed.exec(container, "test", "-e", "/tmp/ready").exit_code == 0,
               what="the trap")
    bed.cri.StopContainer({"container_id": container, "timeout": 20}, timeout=60)
    assert bed.status(container).exit_code == 9


def test_a_second_daemon_with_another_root(own_bed):
    """To it the pods of the first one would be without a record, and so to be ended."""
    bed = own_bed()
    pod = bed.run_pod("a")
    container = bed.run(pod, "c", command=SLEEP)
    before = process_of(bed, container)
    *command, path = bed.engine.command()
    with open(path, encoding="utf-8") as file:
        text = file.read()
    another = os.path.join(bed.folder, "another.toml")
    with open(another, "w", encoding="utf-8") as file:
        file.write(text.replace(bed.engine.root, bed.engine.root + "-of-another")
                   .replace(bed.engine.socket, bed.engine.socket + "-of-another"))
    ended = subprocess.run([*command, another], capture_output=True, text=True, timeout=60,
                           check=False, cwd=bed.folder)
    assert ended.returncode != 0
    assert bed.engine.state in ended.stdout + ended.stderr
    assert ready_pods(bed) == {pod}
    assert process_of(bed, container) == before

"""Pods through a containerd shim v2: runtime-kata with Debian's containerd-shim-runc-v2.

That shim is a true peer of the protocol and has no virtual machine. So this shows nothing of what a
guest hides or lacks: its processes are the host's, it shares the host's mounts, it takes CloseIO at
any time, and its kills may come after the end. Pods of it may use the host's namespaces, which a
virtual machine cannot.
"""

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import host
import pace
import pytest
from asking import verbose
from berth_testbed import wait_until
from crictl_at_work import attach_to_the_end_of_input, run
from engines import SHIM
from holding import Holding
from losses import is_ready, told_end
from shim_pods import commands, shims, streams_of_execs
from test_metrics import Metrics

pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(not os.access(SHIM, os.X_OK), reason="SKIPPED: there is no " + SHIM)]
SLEEP = ["sleep", "1000"]
SHARING = {"security_context": {"namespace_options": {"pid": "POD"}}}
COUNT = "i=0; while :; do echo $i; i=$((i+1)); sleep 0.02; done"


@pytest.fixture
def bed(shim_bed):
    return shim_bed


def texts(bed, pod, container):
    return [line[3] for line in bed.log_lines(pod, container) if len(line) == 4]


def last_number(bed, pod):
    lines = texts(bed, pod, "count")
    return int(lines[-1]) if lines else -1


def test_a_pod_from_its_start_to_its_end(bed, name):
    pod = bed.run_pod(name, hostname="told")
    assert len(shims(bed)) == 1
    status = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status
    assert status.state == bed.cri.messages.SANDBOX_READY
    assert status.network.ip
    container = bed.run(pod, "c", command=["sh", "-c", "hostname; echo bad >&2; exit 7"])
    ended = bed.wait_exit(container)
    assert ended.exit_code == 7
    assert sorted((line[1], line[2], line[3]) for line in bed.log_lines(name, "c")) == [
        ("stderr", "F", "bad"), ("stdout", "F", "told")]
    bed.remove_pod(pod)
    wait_until(lambda: not shims(bed), what="the end of the shim")
    assert not commands(bed, "berth-keeper")


def test_the_containers_of_a_pod_share_its_namespaces(bed, name):
    pod = bed.run_pod(name)
    first = bed.run(pod, "one", command=SLEEP)
    second = bed.run(pod, "two", command=SLEEP)

    def links(container):
        names = ("net", "ipc", "uts", "pid", "mnt")
        answer = bed.exec(container, "sh", "-c", "for n in %s; do readlink /proc/self/ns/$n; done" % " ".join(names))
        return dict(zip(names, answer.stdout.decode().split()))
    one, two = links(first), links(second)
    assert {name for name in one if one[name] == two[name]} == {"net", "ipc", "uts", "pid"}


def test_a_shared_pid_namespace_has_a_first_process_that_reaps(bed, name):
    options = {"namespace_options": {"pid": bed.cri.messages.POD}}
    pod = bed.run_pod(name, linux={"security_context": options})
    container = bed.run(pod, "c", command=SLEEP, linux={"security_context": options})
    seen = bed.exec(container, "ps", "-o", "pid,comm").stdout.decode()
    assert "pause" in seen.splitlines()[1].split()
    bed.exec(container, "sh", "-c", "(sleep 0 &) & wait")

    def zombies():
        return [line for line in bed.exec(container, "ps", "-o", "stat,comm").stdout.decode()
                .splitlines() if line.startswith("Z")]
    wait_until(lambda: not zombies(), what="the end of orphans")


def test_a_first_process_that_is_asked_to_end_waits_for_the_others(bed, name):
    """As a node asks that is shut down; containers take their time."""
    pod = bed.run_pod(name, linux=SHARING)
    container = bed.run(pod, "c", linux=SHARING, command=[
        "sh", "-c", "while [ ! -e /tmp/end ]; do sleep 0.05; done; exit 7"])
    (first,) = commands(bed, "pause")
    assert first == host.first_of(
        verbose(bed.cri.ContainerStatus, {"container_id": container})["pid"])
    os.kill(first, signal.SIGTERM)
    assert bed.exec(container, "sleep", "1").exit_code == 0  # time enough to end
    assert first in commands(bed, "pause") and is_ready(bed, pod)
    bed.exec(container, "touch", "/tmp/end")
    status = bed.wait_exit(container, pace.PATIENCE)
    pace.wait_within(bed, 2, lambda: first not in commands(bed, "pause"),
                     "the end of the first process")
    assert (status.exit_code, status.message) == (7, "")
    wait_until(lambda: not is_ready(bed, pod), what="the pod's end")


def test_containers_do_not_ask_a_first_process_to_end(bed, name):
    pod = bed.run_pod(name, linux=SHARING)
    container = bed.run(pod, "c", linux=SHARING, command=SLEEP)
    assert bed.exec(container, "kill", "1").exit_code == 0
    bed.cri.StopContainer({"container_id": container}, timeout=60)
    time.sleep(1)  # it would look for others ten times
    assert commands(bed, "pause") and is_ready(bed, pod)


def test_a_program_that_is_not_there(bed, name):
    pod = bed.run_pod(name)
    container = bed.create(pod, "c", command=["/no/such/program"])
    with pytest.raises(grpc.RpcError) as error:
        bed.cri.StartContainer({"container_id": container})
    assert "/no/such/program" in error.value.details()
    assert bed.status(container).state == bed.cri.messages.CONTAINER_EXITED
    # The pod does not mind.
    assert bed.wait_exit(bed.run(pod, "d", command=["true"])).exit_code == 0


def test_exec_and_its_time_limit(bed, name):
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    answer = bed.exec(container, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert (answer.stdout, answer.stderr, answer.exit_code) == (b"out\n", b"err\n", 3)
    much = bed.exec(container, "sh", "-c", "head -c 3000000 /dev/zero", timeout=30)
    assert len(much.stdout) == 3000000
    with pytest.raises(grpc.RpcError):
        bed.exec(container, "sleep", "4821", timeout=1)
    wait_until(lambda: not any("sleep 4821" in line for line in
                               host.processes(bed.folder, bed.mark).values()),
               what="the end of what took too long")


def test_many_commands_leave_nothing(bed, name):
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    for number in range(30):
        assert bed.exec(container, "echo", str(number)).stdout == b"%d\n" % number
    wait_until(lambda: not streams_of_execs(bed), what="the end of their streams")


def test_streams_of_an_exec(bed, name, crictl_binary):
    assert crictl_binary
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    done = run(bed, "exec", "-i", container, "sh", "-c", "cat; echo bad >&2; exit 7",
               input=b"through\n")
    assert done.stdout == b"through\n"
    assert b"bad\n" in done.stderr and b"exit code 7" in done.stderr
    text = os.urandom(1 << 20) * 4
    assert run(bed, "exec", "-i", container, "cat", input=text).stdout == text


def test_attach_and_the_end_of_input(bed, name, crictl_binary):
    assert crictl_binary
    pod = bed.run_pod(name)
    attach_to_the_end_of_input(bed, pod)
    assert texts(bed, name, "c") == ["hello", "over"]


def test_logs_are_opened_anew(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "count", command=["sh", "-c", COUNT])
    wait_until(lambda: last_number(bed, name) > 3, what="lines")
    path = os.path.join(bed.folder, "logs", name, "count.log")
    os.rename(path, path + ".1")
    bed.cri.ReopenContainerLog({"container_id": container})
    wait_until(lambda: os.path.exists(path) and last_number(bed, name) > 5, what="more lines")
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    text = host.read(path + ".1") + host.read(path)
    numbers = [int(line.split(" ", 3)[3]) for line in text.splitlines()]
    assert numbers == list(range(len(numbers)))


def test_usage(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "while :; do :; done"])
    usage = wait_until(lambda: next(
        (each for each in bed.cri.ListContainerStats({}).stats
         if each.attributes.id == container and each.cpu.usage_core_nano_seconds.value > 0), None),
        what="usage")
    assert usage.memory.working_set_bytes.value > 0
    of_pod = bed.cri.PodSandboxStats({"pod_sandbox_id": pod}).stats
    assert of_pod.linux.cpu.usage_core_nano_seconds.value > 0
    assert of_pod.linux.network.default_interface.name == "eth0"
    bed.cri.UpdateContainerResources({"container_id": container,
                                      "linux": {"memory_limit_in_bytes": 64 << 20}})
    wait_until(lambda: next(iter(
        each.memory.available_bytes.value for each in bed.cri.ListContainerStats({}).stats
        if each.attributes.id == container), 64 << 20) < 64 << 20, what="the limit")


def test_metrics(bed, name):
    """Those that the kubelet and dashboards go by, as of other handlers' pods."""
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    metrics = Metrics(bed)
    wanted = {"container_" + each for each in (
        "last_seen", "start_time_seconds", "cpu_usage_seconds_total", "cpu_user_seconds_total",
        "cpu_system_seconds_total", "memory_usage_bytes", "memory_working_set_bytes", "memory_rss",
        "memory_cache", "memory_failures_total", "oom_events_total", "processes", "threads",
        "fs_limit_bytes", "spec_cpu_shares", "spec_memory_limit_bytes")}
    assert wanted <= {each.name for each in metrics.subjects[container]}
    assert set(metrics.series(pod, "container_network_receive_bytes_total")) == {("eth0",)}


def test_a_kill_for_memory_is_told(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "tail /dev/zero"],
                        linux={"resources": {"memory_limit_in_bytes": 32 << 20,
                                             "memory_swap_limit_in_bytes": 32 << 20}})
    ended = bed.wait_exit(container)
    assert ended.reason == "OOMKilled"
    assert ended.exit_code == 137


def test_stopping(bed, name):
    pod = bed.run_pod(name)
    script = "trap 'echo bye; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    wait_until(lambda: texts(bed, name, "c") == ["ready"], what="readiness")
    bed.cri.StopContainer({"container_id": container, "timeout": 10})
    assert bed.status(container).exit_code == 9
    assert texts(bed, name, "c") == ["ready", "bye"]
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    stubborn = bed.run(pod, "d", command=["sh", "-c", script])
    wait_until(lambda: texts(bed, name, "d") == ["ready"], what="its trap")
    bed.cri.StopContainer({"container_id": stubborn, "timeout": 1})
    assert bed.status(stubborn).exit_code == 137


def test_the_daemon_is_killed(bed, name):
    pod = bed.run_pod(name)
    counting = bed.run(pod, "count", command=["sh", "-c", COUNT])
    ending = bed.run(pod, "end", command=["sh", "-c",
                                          "while [ ! -e /tmp/end ]; do sleep 0.02; done; exit 11"])
    held = bed.run(pod, "held", command=["cat"], stdin=True)
    wait_until(lambda: last_number(bed, name) > 0, what="lines")
    bed.exec(counting, "true")
    pid = next(pid for pid, line in host.processes(bed.folder, bed.mark).items()
               if "/tmp/end" in line)
    bed.kill_engine()
    before = last_number(bed, name)
    with open("/proc/%d/root/tmp/end" % pid, "w", encoding="utf-8"):
        pass
    wait_until(lambda: last_number(bed, name) > before + 5, what="lines without a daemon")
    wait_until(lambda: not os.path.exists("/proc/%d" % pid), what="an exit without a daemon")
    bed.start_engine()
    assert bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.state == \
        bed.cri.messages.SANDBOX_READY
    assert bed.wait_exit(ending).exit_code == 11
    for container in (counting, held):
        assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING
    assert bed.exec(counting, "echo", "again").stdout == b"again\n"
    bed.cri.StopContainer({"container_id": counting, "timeout": 0})
    numbers = [int(text) for text in texts(bed, name, "count")]
    assert numbers == list(range(len(numbers)))


def test_the_shim_is_killed(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sleep", "4833"])
    (shim,) = shims(bed)
    os.kill(shim, signal.SIGKILL)
    assert told_end(bed, pod, container).exit_code == 137
    assert not any("sleep 4833" in line for line in
                   host.processes(bed.folder, bed.mark).values())
    bed.remove_pod(pod)
    assert not commands(bed, "berth-keeper")


def test_a_pod_takes_over_the_cgroup_that_an_earlier_one_has_made(bed, name):
    parent = bed.cgroups.own("shared-" + name)

    def there():
        return [path for path in host.cgroups() if "shared-" + name in path]
    assert not there()
    pods = [bed.run_pod(each, linux={"cgroup_parent": parent}) for each in (name, name + "-2")]
    bed.remove_pod(pods[0])
    assert there(), "the other one is in it"
    bed.remove_pod(pods[1])
    assert not there()


def test_cgroups_of_a_pod_that_is_being_made_stay(own_bed, tmp_path, name):
    """The last pod in them goes while the next one's containers are about to be put there."""
    holding = Holding(tmp_path, os.environ.get("BERTH_TEST_RUNTIME", "runc"))
    bed = own_bed(shim=SHIM, handler="shim", runtime=holding.runtime)
    parent = bed.cgroups.own("shared-" + name)

    def there():
        return {path for path in host.cgroups() if os.path.basename(path) == "shared-" + name}
    first = bed.run_pod(name, linux={"cgroup_parent": parent})
    made = there()
    assert made
    with ThreadPoolExecutor(1) as pool:
        with holding.held("create"):
            making = pool.submit(bed.run_pod, name + "-2", linux={"cgroup_parent": parent})
            holding.await_first("create")
            bed.remove_pod(first)
            assert there() == made
        bed.remove_pod(making.result())
    assert not there()


def test_cgroups_that_nobody_wrote_down_go_with_a_lost_pod(bed, name):
    """An OCI runtime that is killed with its shim may have made some already."""
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    made = [path + "-half" for path in host.cgroups() if os.path.basename(path) == container]
    assert made
    for path in made:
        os.mkdir(path)
    (shim,) = shims(bed)
    os.kill(shim, signal.SIGKILL)
    assert told_end(bed, pod, container).exit_code == 137
    bed.remove_pod(pod)
    assert not [path for path in made if os.path.exists(path)]


def test_the_shim_is_killed_while_no_daemon_looks(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sleep", "4834"])
    bed.kill_engine()
    (shim,) = shims(bed)
    os.kill(shim, signal.SIGKILL)
    bed.start_engine()
    told_end(bed, pod, container)
    assert not any("sleep 4834" in line for line in
                   host.processes(bed.folder, bed.mark).values())


def test_the_sandbox_is_killed(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=SLEEP)
    (pause,) = commands(bed, "pause")
    os.kill(pause, signal.SIGKILL)
    ended = told_end(bed, pod, container)
    assert ended.exit_code == 137
    # Both are in one PID namespace: the end of the container is told first.
    assert "the pod's sandbox has ended, exit code 137" in ended.message


def test_the_keeper_is_killed(bed, name):
    pod = bed.run_pod(name)
    container = bed.run(pod, "count", command=["sh", "-c", COUNT])
    wait_until(lambda: last_number(bed, name) > 0, what="lines")
    (keeper,) = commands(bed, "berth-keeper")
    os.kill(keeper, signal.SIGKILL)
    wait_until(lambda: commands(bed, "berth-keeper"), what="another keeper")
    before = last_number(bed, name)
    wait_until(lambda: last_number(bed, name) > before + 5, what="more lines")
    assert bed.exec(container, "echo", "on").stdout == b"on\n"


def test_handlers_side_by_side(bed, name):
    pods = {handler: bed.run_pod(name + "-" + handler, handler=handler)
            for handler in ("shim", "runc")}
    containers = {handler: bed.run(pod, "c", command=SLEEP) for handler, pod in pods.items()}
    bed.kill_engine()
    bed.start_engine()
    for handler, pod in pods.items():
        assert bed.cri.PodSandboxStatus(
            {"pod_sandbox_id": pod}).status.runtime_handler == handler
        assert bed.exec(containers[handler], "echo", handler).stdout == handler.encode() + b"\n"
    with pytest.raises(grpc.RpcError) as error:
        bed.run_pod(name, handler="none-such")
    assert "none-such" in error.value.details()


def test_the_hosts_network_is_for_namespaces_alone(bed, name):
    options = {"namespace_options": {"network": bed.cri.messages.NODE}}
    pod = bed.run_pod(name, linux={"security_context": options})
    container = bed.run(pod, "c", command=["readlink", "/proc/self/ns/net"],
                        linux={"security_context": options})
    bed.wait_exit(container)
    assert texts(bed, name, "c") == [os.readlink("/proc/%d/ns/net" % bed.pid)]


def test_no_checkpoints(bed, name, tmp_path):
    container = bed.run(bed.run_pod(name), "c", command=SLEEP)
    with pytest.raises(grpc.RpcError) as error:
        bed.cri.CheckpointContainer({"container_id": container,
                                     "location": str(tmp_path / "c.tar")})
    assert error.value.code() == grpc.StatusCode.FAILED_PRECONDITION

"""Containers: life cycle, what their processes see, exec, exits, resources, stats."""

import os

import pytest

import grpc
from asking import CRUN, out, refused
from berth_testbed import wait_until
from image_set import BUSYBOX, TESTS

SLEEP = ["sleep", "1000"]
MEBIBYTE = 1 << 20


def test_states_times_and_reasons(bed, pod):
    state = bed.cri.messages
    container = bed.create(pod, "c", command=["sh", "-c", "exit 3"])
    created = bed.status(container)
    assert created.state == state.CONTAINER_CREATED and created.created_at > 0
    assert created.started_at == created.finished_at == 0
    bed.cri.StartContainer({"container_id": container})
    ended = bed.wait_exit(container)
    assert (ended.exit_code, ended.reason) == (3, "Error")
    assert created.created_at == ended.created_at <= ended.started_at
    if bed.engine.name == "berth":
        assert ended.started_at <= ended.finished_at


@pytest.mark.parametrize("script,code,reason", [
    ("exit 0", 0, "Completed"), ("exit 255", 255, "Error"),
    ("kill -9 $$", 137, "Error"), ("kill -11 $$", 139, "Error")])
def test_exit_codes(bed, name, script, code, reason):
    # The first process of a PID namespace ignores signals from inside it.
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "sh -c '%s'; exit $?" % script])
    ended = bed.wait_exit(container)
    assert (ended.exit_code, ended.reason) == (code, reason)


@pytest.mark.host
def test_out_of_memory_is_named(bed, pod):
    container = bed.run(pod, "c", command=["dd", "if=/dev/zero", "of=/dev/null", "bs=40M"], linux={
        "resources": {"memory_limit_in_bytes": 16 * MEBIBYTE,
                      "memory_swap_limit_in_bytes": 16 * MEBIBYTE}})
    ended = bed.wait_exit(container)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


@pytest.mark.host
def test_out_of_memory_of_a_child_does_not_end_the_container(bed, pod, name):
    script = "dd if=/dev/zero of=/dev/null bs=40M; echo child $?; exec sleep 1000"
    container = bed.run(pod, "c", command=["sh", "-c", script], linux={"resources": {
        "memory_limit_in_bytes": 16 * MEBIBYTE, "memory_swap_limit_in_bytes": 16 * MEBIBYTE}})
    wait_until(lambda: "child 137" in str(bed.log_lines(name, "c")), what="the child's end")
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING


@pytest.mark.berth
def test_a_command_of_other_letters_that_cannot_be_run(own_bed):
    """What the OCI runtime says of it is longer than what is kept, and is cut inside a letter."""
    bed = own_bed()
    pod = bed.run_pod("a")
    for length in (1100, 1101):
        container = bed.create(pod, "c%d" % length, command=["x" * (length % 2) + "é" * length])
        with pytest.raises(grpc.RpcError) as refused_start:
            bed.cri.StartContainer({"container_id": container})
        assert "é" in refused_start.value.details()
        message = bed.status(container).message
        assert "é" in message
        bed.kill_engine()
        bed.start_engine()
        assert bed.status(container).message == message


def test_start_twice_and_after_the_end(bed, pod):
    container = bed.run(pod, "c", command=["true"])
    bed.wait_exit(container)
    refused(bed.cri.StartContainer, {"container_id": container},
            grpc.StatusCode.FAILED_PRECONDITION)


def test_stop_uses_the_images_signal_and_the_grace_period(bed, pod, name):
    script = "trap 'exit 42' USR1; echo ready; while :; do sleep 0.05; done"
    container = bed.run(pod, "c", image=TESTS + "stop-signal:1", command=["sh", "-c", script])
    wait_until(lambda: bed.log_lines(name, "c"), what="the container's first words")
    bed.cri.StopContainer({"container_id": container, "timeout": 30})
    assert bed.status(container).exit_code == 42


@pytest.mark.host
def test_stop_kills_what_ignores_its_signal(bed, pod, name):
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    wait_until(lambda: bed.log_lines(name, "c"), what="the container's first words")
    bed.cri.StopContainer({"container_id": container, "timeout": 1})
    assert bed.status(container).exit_code == 137


def test_stop_without_grace_kills_at_once(bed, pod):
    container = bed.run(pod, "c", command=["sh", "-c", "trap 'exit 1' TERM; while :; do sleep 1; done"])
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert bed.status(container).exit_code == 137


def test_stop_and_remove_are_idempotent(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    for _ in range(2):
        bed.cri.StopContainer({"container_id": container, "timeout": 0})
    for _ in range(2):
        bed.cri.RemoveContainer({"container_id": container})
    refused(bed.cri.ContainerStatus, {"container_id": container}, grpc.StatusCode.NOT_FOUND)


@pytest.mark.berth
def test_stopping_an_unknown_container_is_fine(bed):
    bed.cri.StopContainer({"container_id": "f" * 64})
    bed.cri.RemoveContainer({"container_id": "f" * 64})


def test_removing_a_running_container_kills_it(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    bed.cri.RemoveContainer({"container_id": container})
    assert not bed.cri.ListContainers({"filter": {"id": container}}).containers


@pytest.mark.berth
def test_the_same_request_again_gives_the_same_container(bed, pod):
    assert bed.create(pod, "c", command=SLEEP) == bed.create(pod, "c", command=SLEEP)


def test_lists_are_filtered(bed, name):
    pods = [bed.run_pod(name + key) for key in "ab"]
    running = bed.run(pods[0], "one", command=SLEEP, labels={"role": "x", "test": name})
    created = bed.create(pods[0], "two", command=SLEEP, labels={"role": "y", "test": name})
    other = bed.create(pods[1], "three", command=SLEEP, labels={"role": "x", "test": name})

    def listed(**selection):
        return {found.id for found in bed.cri.ListContainers({"filter": selection}).containers}

    assert listed(label_selector={"test": name}) == {running, created, other}
    assert listed(pod_sandbox_id=pods[0]) == {running, created}
    assert listed(label_selector={"role": "x"}, pod_sandbox_id=pods[0]) == {running}
    assert listed(id=other) == {other}
    assert listed(id=other, pod_sandbox_id=pods[0]) == set()
    assert listed(state={"state": "CONTAINER_RUNNING"}, pod_sandbox_id=pods[0]) == {running}
    assert listed(state={"state": "CONTAINER_CREATED"}, pod_sandbox_id=pods[0]) == {created}
    assert listed(id="0" * 64) == set()


def test_attributes_are_preserved(bed, pod):
    container = bed.create(pod, "c", command=SLEEP, labels={"a": "b"}, annotations={"c": "d"})
    status = bed.status(container)
    assert (status.metadata.name, dict(status.labels), dict(status.annotations)) == (
        "c", {"a": "b"}, {"c": "d"})
    assert status.image.image and status.image_ref
    assert status.log_path.endswith("/c.log")
    listed = bed.cri.ListContainers({"filter": {"id": container}}).containers[0]
    assert listed.pod_sandbox_id == pod
    assert (dict(listed.labels), dict(listed.annotations)) == ({"a": "b"}, {"c": "d"})


@pytest.mark.berth
def test_image_is_named_the_same_everywhere(bed, pod):
    identity = bed.pull(BUSYBOX)
    container = bed.create(pod, "c", command=SLEEP)
    status = bed.status(container)
    assert status.image_id == identity
    assert bed.cri.ListContainers({"filter": {"id": container}}).containers[0].image_id == identity


@pytest.mark.berth
def test_a_status_has_the_image_s_name_that_the_pod_has(bed, name):
    """The kubelet creates containers from ids, and shows people what the status calls the image."""
    identity = bed.pull(BUSYBOX)
    pod = bed.run_pod(name)
    config = bed.container_config("c", identity)
    config["image"]["user_specified_image"] = BUSYBOX
    container = bed.cri.CreateContainer({
        "pod_sandbox_id": pod, "sandbox_config": bed.pod_config(name),
        "config": config}).container_id
    assert bed.status(container).image.image == BUSYBOX
    assert bed.status(bed.create(pod, "by-id", image=identity)).image.image == identity


def test_command_arguments_and_environment(bed, name):
    pod = bed.run_pod(name)
    image = TESTS + "entrypoint:1"
    cases = {"image": ({}, "entrypoint image-argument"),
             "args": ({"args": ["mine"]}, "entrypoint mine"),
             "command": ({"command": ["echo", "only"]}, "only"),
             "both": ({"command": ["echo", "one"], "args": ["two"]}, "one two")}
    for key, (config, expected) in cases.items():
        container = bed.run(pod, key, image=image, **config)
        bed.wait_exit(container)
        assert [line[3] for line in bed.log_lines(name, key)] == [expected]
    container = bed.run(pod, "env", image=image, command=SLEEP, envs=[
        {"key": "OWN", "value": "a=b c"}, {"key": "PATH", "value": "/bin:/usr/bin"}])
    environment = out(bed, container, "env").splitlines()
    assert {"FROM_IMAGE=yes", "OWN=a=b c", "PATH=/bin:/usr/bin"} <= set(environment)
    assert out(bed, container, "pwd") == "/srv/work\n"


def test_working_directory(bed, pod):
    container = bed.run(pod, "c", command=SLEEP, working_dir="/new/folder")
    assert out(bed, container, "pwd") == "/new/folder\n"


@pytest.mark.parametrize("context,expected", [
    ({}, "0 0"),
    ({"run_as_user": {"value": 1234}}, "1234 0"),
    ({"run_as_username": "www-data"}, "33 33"),
    ({"run_as_user": {"value": 1234}, "run_as_group": {"value": 99}}, "1234 99")])
def test_users(bed, pod, context, expected):
    container = bed.run(pod, "c", command=SLEEP, linux={"security_context": context})
    assert out(bed, container, "sh", "-c", "echo $(id -u) $(id -g)").strip() == expected


def test_user_of_the_image_and_supplemental_groups(bed, pod):
    container = bed.run(pod, "c", image=TESTS + "user:1", command=SLEEP, linux={
        "security_context": {"supplemental_groups": [1500, 1501]}})
    assert out(bed, container, "id", "-u") == "33\n"
    assert {"33", "1500", "1501"} <= set(out(bed, container, "id", "-G").split())


def test_mounts(bed, pod, tmp_path):
    (tmp_path / "file").write_text("from the host")
    folder = str(tmp_path)
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        {"host_path": folder, "container_path": "/data"},
        {"host_path": folder + "/file", "container_path": "/etc/one-file", "readonly": True}])
    assert out(bed, container, "cat", "/data/file") == "from the host"
    out(bed, container, "sh", "-c", "echo back > /data/new")
    assert (tmp_path / "new").read_text() == "back\n"
    answer = bed.exec(container, "sh", "-c", "echo no > /etc/one-file")
    assert answer.exit_code != 0 and b"Read-only" in answer.stderr
    shown = {mount.container_path: mount for mount in bed.status(container).mounts}
    assert shown["/data"].host_path == folder and not shown["/data"].readonly
    assert shown["/etc/one-file"].readonly


def test_read_only_root(bed, pod):
    container = bed.run(pod, "c", command=SLEEP,
                        linux={"security_context": {"readonly_rootfs": True}})
    assert b"Read-only" in bed.exec(container, "touch", "/file").stderr


def test_writable_layers_are_private(bed, pod):
    first, second = (bed.run(pod, key, command=SLEEP) for key in "ab")
    out(bed, first, "sh", "-c", "echo mine > /file; rm /usr/bin/wget")
    assert bed.exec(second, "ls", "/file").exit_code != 0
    assert bed.exec(second, "ls", "/usr/bin/wget").exit_code == 0


@pytest.mark.host
@pytest.mark.parametrize("drop,denied", [([], False), (["CHOWN"], True)])
def test_capabilities(bed, pod, drop, denied):
    container = bed.run(pod, "c", command=SLEEP, linux={"security_context": {
        "capabilities": {"drop_capabilities": drop}}})
    assert (bed.exec(container, "chown", "1:1", "/etc/group").exit_code != 0) == denied


def test_privileged_and_all_capabilities_run_here(bed, name):
    pod = bed.run_pod(name, linux={"security_context": {"privileged": True}})
    for key, context in (("p", {"privileged": True}),
                         ("a", {"capabilities": {"add_capabilities": ["ALL"]}})):
        container = bed.run(pod, key, command=SLEEP, linux={"security_context": context})
        lines = out(bed, container, "cat", "/proc/self/status").splitlines()
        effective = int(next(line for line in lines if line.startswith("CapEff")).split()[1], 16)
        assert effective & (1 << 21), "SYS_ADMIN is missing"


def test_exec(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    answer = bed.exec(container, "sh", "-c", "echo out; echo err >&2; exit 7")
    assert (answer.exit_code, answer.stdout, answer.stderr) == (7, b"out\n", b"err\n")
    big = bed.exec(container, "sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x")
    assert big.stdout == b"x" * 1_000_000


def test_exec_of_what_is_not_there(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    with pytest.raises(grpc.RpcError) as caught:
        bed.exec(container, "no-such-program")
    assert "no-such-program" in caught.value.details()


def test_exec_needs_a_running_container(bed, pod):
    container = bed.create(pod, "c", command=SLEEP)
    refused(bed.cri.ExecSync, {"container_id": container, "cmd": ["true"]},
            grpc.StatusCode.FAILED_PRECONDITION)


def test_exec_timeout_kills_the_process(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    refused(bed.cri.ExecSync, {"container_id": container, "cmd": ["sleep", "77"], "timeout": 1},
            grpc.StatusCode.DEADLINE_EXCEEDED)
    assert bed.exec(container, "pgrep", "-f", "sleep 77").exit_code == 1


@pytest.mark.host
@pytest.mark.berth
def test_exec_timeout_kills_the_whole_tree(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    script = "sleep 77 & (sleep 78 & wait) & wait"
    refused(bed.cri.ExecSync, {"container_id": container, "cmd": ["sh", "-c", script],
                               "timeout": 1}, grpc.StatusCode.DEADLINE_EXCEEDED)
    wait_until(lambda: bed.exec(container, "pgrep", "-f", "sleep 7[78]").exit_code == 1,
               what="the end of the exec's children")
    assert out(bed, container, "echo", "still here") == "still here\n"


@pytest.mark.host
def test_resources_can_be_updated(bed, pod):
    container = bed.run(pod, "c", command=SLEEP, linux={"resources": {
        "cpu_shares": 512, "cpu_quota": 50000, "cpu_period": 100000,
        "memory_limit_in_bytes": 64 * MEBIBYTE}})
    bed.cri.UpdateContainerResources({"container_id": container, "linux": {
        "cpu_quota": 20000, "cpu_period": 100000, "memory_limit_in_bytes": 32 * MEBIBYTE}})
    assert cgroup_value(container, "memory", "memory.limit_in_bytes", "memory.max") == str(
        32 * MEBIBYTE)
    assert cgroup_value(container, "cpu", "cpu.cfs_quota_us", "cpu.max").split()[0] == "20000"


def cgroup_value(container, controller, name_v1, name_v2):
    """What the kernel says about the container's cgroup, on either version."""
    root = "/sys/fs/cgroup"
    v2 = os.path.exists(root + "/cgroup.controllers")
    start, file = (root, name_v2) if v2 else (os.path.join(root, controller), name_v1)
    for folder, _, files in os.walk(start):
        if container in folder and file in files:
            with open(os.path.join(folder, file), encoding="utf-8") as stream:
                return stream.read().strip()
    raise AssertionError("container %s has no cgroup with %s" % (container, file))


@pytest.mark.host
def test_stats(bed, pod):
    container = bed.run(pod, "c", command=["sh", "-c", "head -c 3000000 /dev/zero > /file; exec sleep 1000"],
                        labels={"stats": "yes"})

    def full():
        stats = bed.cri.ContainerStats({"container_id": container}).stats
        return stats if stats.memory.working_set_bytes.value and \
            stats.writable_layer.used_bytes.value >= 3_000_000 else None
    stats = wait_until(full, 30, "stats with the written file in them")
    assert stats.attributes.id == container
    assert stats.cpu.usage_core_nano_seconds.value > 0
    listed = bed.cri.ListContainerStats({"filter": {"label_selector": {"stats": "yes"}}}).stats
    assert [entry.attributes.id for entry in listed] == [container]
    listed = bed.cri.ListContainerStats({"filter": {"pod_sandbox_id": pod}}).stats
    assert [entry.attributes.id for entry in listed] == [container]


@pytest.mark.parametrize("runtime", ["runc", CRUN])
def test_either_oci_runtime(own_bed, name, runtime):
    bed = own_bed(runtime=runtime)
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["sh", "-c", "echo works; exec sleep 1000"])
    assert out(bed, container, "echo", "exec") == "exec\n"
    [line] = wait_until(lambda: bed.log_lines(name, "c"), what="the container's words")
    assert line[3] == "works"
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    assert bed.status(container).exit_code == 137

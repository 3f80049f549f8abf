"""What depends on the kind of host: cgroup version and driver, AppArmor, the daemon's capabilities.

Tests of this file, and others that carry the mark `host`, are run in a virtual machine too, with
each OCI runtime and cgroup driver (tests/vm/suite).
"""

import contextlib
import json
import os
import subprocess

import grpc
import pytest

import host
from asking import out
from berth_testbed import wait_until
from test_containers import MEBIBYTE, SLEEP, cgroup_value

V2 = os.path.exists(host.CGROUP_ROOT + "/cgroup.controllers")
APPARMOR = host.read("/sys/module/apparmor/parameters/enabled").strip() == "Y"
CAP_SYS_RESOURCE = 24
CAPABILITIES = int(host.read("/proc/self/status").partition("CapEff:")[2].split()[0], 16)

pytestmark = [pytest.mark.host, pytest.mark.berth]
needs_v2 = pytest.mark.skipif(not V2, reason="this host does not run cgroup v2 alone")
needs_apparmor = pytest.mark.skipif(not APPARMOR, reason="this host runs without AppArmor")
HAS_SYS_RESOURCE = bool(CAPABILITIES >> CAP_SYS_RESOURCE & 1)
needs_sys_resource = pytest.mark.skipif(not HAS_SYS_RESOURCE,
                                        reason="the tests run without CAP_SYS_RESOURCE")


def pid_of(bed, container):
    """The host's number of the container's first process."""
    answer = bed.cri.ContainerStatus({"container_id": container, "verbose": True})
    return json.loads(answer.info["info"])["pid"]


def limits(mebibytes, **more):
    return {"resources": {"memory_limit_in_bytes": mebibytes * MEBIBYTE,
                          "memory_swap_limit_in_bytes": mebibytes * MEBIBYTE, **more}}


def process_limits(process):
    """Soft and hard limits by name, of a folder of /proc."""
    lines = host.read(process + "limits").splitlines()
    return {line[:26].strip(): line[26:].split()[:2] for line in lines}


def capabilities(process, kind):
    return host.read(process + "status").partition("Cap%s:" % kind)[2].split()[0]


def file_of(container, name):
    return cgroup_value(container, name.partition(".")[0], name, name)


# Cgroups.

def test_the_driver_is_found_out_and_told(own_bed):
    """As the kubelet asks for it."""
    bed = own_bed()
    named = bed.cgroups.driver
    bed.stop_engine()
    bed.cgroups.driver = "auto"  # for the configuration
    try:
        bed.start_engine()
    finally:
        bed.cgroups.driver = named
    messages = bed.cri.messages
    assert bed.cri.RuntimeConfig().linux.cgroup_driver == (
        messages.SYSTEMD if os.path.isdir("/run/systemd/system") else messages.CGROUPFS)


def test_the_driver_says_where_a_container_lies(bed, name):
    parent = bed.cgroups.own("pod-uid-" + name)
    pod = bed.run_pod(name, linux={"cgroup_parent": parent})
    container = bed.run(pod, "c", command=SLEEP)
    lines = host.read("/proc/%d/cgroup" % pid_of(bed, container)).split()
    wanted = bed.cgroups.of_container(parent, container)
    assert any(line.endswith(":" + wanted) for line in lines), lines
    bed.cri.StopContainer({"container_id": container, "timeout": 0})
    bed.cri.RemoveContainer({"container_id": container})
    assert not any(path.endswith(wanted) for path in host.cgroups())


@pytest.mark.skipif(not os.path.isdir("/run/systemd/system"), reason="systemd does not run here")
def test_systemd_forgets_containers_that_are_gone(bed, pod):
    """Whichever end they came to: a unit that failed would be kept for ever."""
    containers = [bed.run(pod, "killed", command=SLEEP),
                  bed.run(pod, "memory", command=["dd", "if=/dev/zero", "of=/dev/null", "bs=40M"],
                          linux=limits(16))]
    bed.cri.StopContainer({"container_id": containers[0], "timeout": 0})
    assert bed.wait_exit(containers[1]).reason == "OOMKilled"
    for container in containers:
        bed.cri.RemoveContainer({"container_id": container})

    def forgotten():
        units = subprocess.run(["systemctl", "list-units", "--all", "--plain", "--no-legend",
                                "berth-*"], check=True, capture_output=True, text=True).stdout
        return not any(container in units for container in containers)
    wait_until(forgotten, what="the end of the containers' units")


@needs_v2
def test_a_container_sees_only_its_own_cgroup(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    assert out(bed, container, "cat", "/proc/self/cgroup") == "0::/\n"
    assert "cgroup.procs" in out(bed, container, "ls", "/sys/fs/cgroup")
    assert bed.exec(container, "mkdir", "/sys/fs/cgroup/own").exit_code != 0


@needs_v2
def test_unified_settings(bed, pod):
    unified = {"memory.high": str(48 * MEBIBYTE), "memory.min": str(4 * MEBIBYTE),
               "pids.max": "77"}
    container = bed.run(pod, "c", command=SLEEP, linux=limits(64, unified=unified))
    assert file_of(container, "memory.max") == str(64 * MEBIBYTE)
    assert file_of(container, "memory.swap.max") == "0"
    for key, value in unified.items():
        assert file_of(container, key) == value
    bed.cri.UpdateContainerResources({"container_id": container, "linux": {
        "unified": {"memory.high": str(32 * MEBIBYTE)}}})
    assert file_of(container, "memory.high") == str(32 * MEBIBYTE)
    assert file_of(container, "memory.max") == str(64 * MEBIBYTE)


@needs_v2
def test_updates_of_a_running_container(bed, pod):
    container = bed.run(pod, "c", command=SLEEP, linux=limits(64, cpu_shares=1024))
    before = int(file_of(container, "cpu.weight"))
    bed.cri.UpdateContainerResources({"container_id": container, "linux": {
        "cpu_shares": 2048, "cpu_quota": 30000, "cpu_period": 100000, "cpuset_cpus": "0",
        "memory_limit_in_bytes": 96 * MEBIBYTE, "memory_swap_limit_in_bytes": 96 * MEBIBYTE}})
    wanted = {"cpu.max": "30000 100000", "cpuset.cpus": "0", "memory.max": str(96 * MEBIBYTE)}
    assert int(file_of(container, "cpu.weight")) > before
    if bed.cgroups.driver == "systemd":
        # It writes down all limits that it knows, which must be the same.
        subprocess.run(["systemctl", "daemon-reload"], check=True)
    assert {key: file_of(container, key) for key in wanted} == wanted


@needs_v2
def test_an_update_leaves_what_systemd_has_no_property_for(bed, pod):
    container = bed.run(pod, "c", command=SLEEP,
                        linux=limits(64, unified={"memory.oom.group": "1"}))
    for mebibytes, group in ((96, None), (80, "0"), (112, None), (72, "1"), (48, None)):
        unified = {} if group is None else {"unified": {"memory.oom.group": group}}
        expected = group or file_of(container, "memory.oom.group")
        bed.cri.UpdateContainerResources({"container_id": container, "linux": {
            "memory_limit_in_bytes": mebibytes * MEBIBYTE,
            "memory_swap_limit_in_bytes": mebibytes * MEBIBYTE, **unified}})
        if bed.cgroups.driver == "systemd":
            # By its answer it has done what it was told before.
            subprocess.run(["systemctl", "show", "--property=Version"], check=True,
                           stdout=subprocess.DEVNULL)
        assert file_of(container, "memory.max") == str(mebibytes * MEBIBYTE)
        assert file_of(container, "memory.oom.group") == expected
    if bed.cgroups.driver == "systemd":
        for _ in range(3):
            subprocess.run(["systemctl", "daemon-reload"], check=True)
            # By its answer it has written what it knows.
            subprocess.run(["systemctl", "show", "--property=Version"], check=True,
                           stdout=subprocess.DEVNULL)
            wait_until(lambda: file_of(container, "memory.oom.group") == expected,
                       what="memory.oom.group as it was asked for")
        # While no daemon runs nothing is written; the next one makes up for it.
        bed.kill_engine()
        subprocess.run(["systemctl", "daemon-reload"], check=True)
        bed.start_engine()
        wait_until(lambda: file_of(container, "memory.oom.group") == expected,
                   what="memory.oom.group as it was asked for, after the daemon's start")


@needs_v2
def test_huge_pages_are_limited(bed, pod):
    def limit(bytes_):
        return {"hugepage_limits": [{"page_size": "2MB", "limit": bytes_}]}
    container = bed.run(pod, "c", command=SLEEP, linux={"resources": limit(4 * MEBIBYTE)})
    assert file_of(container, "hugetlb.2MB.max") == str(4 * MEBIBYTE)
    bed.cri.UpdateContainerResources({"container_id": container, "linux": limit(2 * MEBIBYTE)})
    assert file_of(container, "hugetlb.2MB.max") == str(2 * MEBIBYTE)


@needs_v2
def test_out_of_memory_takes_the_whole_container_where_it_is_one_group(bed, pod):
    """As the kubelet asks for."""
    script = "dd if=/dev/zero of=/dev/null bs=40M; exec sleep 1000"
    container = bed.run(pod, "c", command=["sh", "-c", script],
                        linux=limits(16, unified={"memory.oom.group": "1"}))
    ended = bed.wait_exit(container)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")


def test_out_of_memory_of_the_pod_is_named(bed, name):
    """The pod's limit is below the sum of its containers'."""
    pod = bed.run_pod(name, linux={"cgroup_parent": bed.cgroups.own("pod-uid-" + name)})
    bystander = bed.run(pod, "small", command=SLEEP)
    bed.cri.UpdatePodSandboxResources({"pod_sandbox_id": pod, "resources": {
        "memory_limit_in_bytes": 32 * MEBIBYTE, "memory_swap_limit_in_bytes": 32 * MEBIBYTE}})
    container = bed.run(pod, "c", command=["dd", "if=/dev/zero", "of=/dev/null", "bs=80M"])
    ended = bed.wait_exit(container)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
    assert bed.status(bystander).state == bed.cri.messages.CONTAINER_RUNNING


def test_only_devices_that_were_given(bed, pod):
    """The rule is a program of the kernel's on cgroup v2; systemd makes one anew when it reloads."""
    container = bed.run(pod, "c", command=SLEEP, devices=[
        {"host_path": "/dev/loop-control", "container_path": "/dev/given", "permissions": "rw"}])
    # 1:11 is the kernel's log.
    bed.exec(container, "mknod", "/log", "c", "1", "11")
    for _ in range(2):
        assert out(bed, container, "sh", "-c", ": < /dev/given && echo open") == "open\n"
        assert b"not permitted" in bed.exec(container, "sh", "-c", ": < /log").stderr
        if bed.cgroups.driver == "systemd":
            subprocess.run(["systemctl", "daemon-reload"], check=True)


# Security.

@contextlib.contextmanager
def profile(name, rules):
    """A profile that is loaded meanwhile."""
    text = "profile %s flags=(attach_disconnected,mediate_deleted) {\n%s\n}\n" % (name, rules)

    def parser(action):
        subprocess.run(["apparmor_parser", action, "--skip-cache", "--quiet"], input=text,
                       text=True, check=True)
    parser("--replace")
    try:
        yield name
    finally:
        parser("--remove")


def confined_by(kind, reference=""):
    return {"security_context": {"apparmor": {"profile_type": kind, "localhost_ref": reference}}}


CURRENT = "/proc/self/attr/current"


@needs_apparmor
def test_apparmors_default_profile(bed, pod):
    implied = bed.run(pod, "implied", command=SLEEP)
    asked = bed.run(pod, "asked", command=SLEEP, linux=confined_by("RuntimeDefault"))
    for container in (implied, asked):
        assert out(bed, container, "cat", CURRENT) == "berth-default (enforce)\n"
        main = host.read("/proc/%d/attr/current" % pid_of(bed, container))
        assert main.strip() == "berth-default (enforce)"
    # The container may be asked to end, and may do what containers do.
    assert bed.exec(asked, "sh", "-c", "chown 1 /tmp && mount -t tmpfs none /mnt").exit_code != 0
    bed.cri.StopContainer({"container_id": asked, "timeout": 0})
    free = bed.run(pod, "free", command=SLEEP, linux=confined_by("Unconfined"))
    assert out(bed, free, "cat", CURRENT) == "unconfined\n"


@needs_apparmor
def test_a_host_without_the_program_that_loads_profiles_is_told_so(bed):
    check = "%s check --config %s | grep AppArmor" % (bed.engine.command()[0],
                                                      bed.engine.command()[-1])

    def row(before):
        return subprocess.run(["unshare", "--mount", "sh", "-c", before + check], check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
    assert row("").split() == ["ok", "AppArmor", "enabled"]
    told = row("mount -t tmpfs none /usr/sbin; ")
    assert told.startswith("without") and "apparmor_parser is not installed" in told


@needs_apparmor
def test_the_default_profile_lets_a_container_be_asked_to_end(bed, pod, name):
    script = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    container = bed.run(pod, "c", command=["sh", "-c", script])
    wait_until(lambda: bed.log_lines(name, "c"), what="the container's first words")
    bed.cri.StopContainer({"container_id": container, "timeout": 60})
    assert bed.status(container).exit_code == 5


@needs_apparmor
def test_an_apparmor_profile_of_the_host(bed, pod, name):
    rules = "file,\nsignal,\ncapability,\nnetwork,\ndeny /etc/group r,"
    with profile("berth-test-" + name, rules) as loaded:
        container = bed.run(pod, "c", command=SLEEP, linux=confined_by("Localhost", loaded))
        assert out(bed, container, "cat", CURRENT) == loaded + " (enforce)\n"
        assert out(bed, container, "cat", "/etc/passwd")
        assert b"Permission denied" in bed.exec(container, "cat", "/etc/group").stderr
        bed.cri.StopContainer({"container_id": container, "timeout": 0})
    with pytest.raises(grpc.RpcError) as caught:
        bed.create(pod, "again", linux=confined_by("Localhost", loaded))
    assert loaded in caught.value.details()


@needs_apparmor
def test_another_apparmor_profile_may_be_the_default(own_bed, name):
    with profile("berth-test-" + name, "file,\nsignal,\ncapability,\nnetwork,") as loaded:
        bed = own_bed(settings='[containers]\napparmor_profile = "%s"\n' % loaded)
        container = bed.run(bed.run_pod(name), "c", command=SLEEP)
        assert out(bed, container, "cat", CURRENT) == loaded + " (enforce)\n"
        bed.remove_all_pods()


@needs_sys_resource
def test_oom_scores_below_the_daemons(bed, pod):
    def score(container):
        return int(host.read("/proc/%d/oom_score_adj" % pid_of(bed, container)))
    container = bed.run(pod, "c", command=SLEEP, linux={"resources": {"oom_score_adj": -600}})
    assert score(container) == -600
    bed.cri.UpdateContainerResources({"container_id": container, "linux": {"oom_score_adj": -300}})
    assert score(container) == -300


@needs_sys_resource
def test_limits_above_the_daemons(own_bed, name):
    """The daemon's own hard limits are lower, as a service's may be."""
    bed = own_bed(settings='[containers]\ndefault_ulimits = '
                           '["nofile=200000:300000", "core=0:0", "nproc=3000000:4000000"]\n',
                  wrapper=["prlimit", "--nofile=4096:8192", "--nproc=5000:5000", "--"])
    own_pids = {"security_context": {"namespace_options": {"pid": "CONTAINER"}}}
    container = bed.run(bed.run_pod(name, linux=own_pids), "c", command=SLEEP, linux=own_pids)
    found = process_limits("/proc/%d/" % pid_of(bed, container))
    assert found["Max open files"] == ["200000", "300000"]
    assert found["Max core file size"] == ["0", "0"]
    assert found["Max processes"] == ["3000000", "4000000"]


@pytest.mark.skipif(HAS_SYS_RESOURCE, reason="the tests run with CAP_SYS_RESOURCE")
def test_what_the_daemon_cannot_give_is_clamped_with_one_warning(own_bed, name):
    bed = own_bed(settings='[containers]\ndefault_ulimits = ["nofile=2000000:3000000"]\n')
    daemons = "/proc/%d/" % bed.pid
    most_files = process_limits(daemons)["Max open files"][1]
    pod = bed.run_pod(name)
    for container in ("a", "b"):
        made = bed.run(pod, container, command=SLEEP,
                       linux={"resources": {"oom_score_adj": -998},
                              "security_context": {"capabilities": {"add_capabilities": ["ALL"]}}})
        containers = "/proc/%d/" % pid_of(bed, made)
        assert host.read(containers + "oom_score_adj") == host.read(daemons + "oom_score_adj")
        assert process_limits(containers)["Max open files"][1] == most_files
        assert capabilities(containers, "Bnd") == capabilities(daemons, "Eff")
    warnings = [line for line in host.read(bed.log_path).splitlines() if "level=warn" in line]
    assert len(warnings) == 1 and "CAP_SYS_RESOURCE" in warnings[0], warnings

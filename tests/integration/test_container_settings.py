"""What the configuration sets for all containers, and CRI's stop signal, as containers find them."""

import os

import pytest

import engines
from asking import CRUN, out, shell, verbose
from berth_testbed import wait_until
from test_containers import SLEEP

pytestmark = pytest.mark.berth

USER, GROUP = 1234, 2345
# A node of the host that no container is given unasked.
OF_THE_HOST = "/dev/loop-control"
PRIVILEGED = {"security_context": {"privileged": True}}


def settings(bed):
    """The runtime "plain" is the default one with settings of its own."""
    return "\n".join([
        "[containers]",
        'device_ownership = "security-context"',
        'default_env = ["SITE=here", "PATH=/nowhere", "LEVEL=low"]',
        'default_ulimits = ["fsize=3000000:4000000", "nofile=400:400", "core=0:0"]',
        "[runtimes.plain]",
        'plugin = "runtime-runc"',
        'annotations = ["hooks.berth.test/", "*.whole"]',
        'default_annotations = ["set.berth.test/a=1=2", "hooks.berth.test/pod=unseen"]',
        'privileged_devices = "none"',
        "[runtimes.plain.options]",
        "path = " + engines.toml(bed.runtime),
        ""])


@pytest.mark.parametrize("runtime", ["runc", CRUN])
def test_containers_find_what_the_configuration_sets(own_bed, name, runtime):
    bed = own_bed(runtime=runtime, settings=settings)
    pod = bed.run_pod(name, handler="plain", annotations={
        "hooks.berth.test/pod": "of the pod", "hooks.berth.test/both": "of the pod"})
    container = bed.run(
        pod, "c", command=SLEEP, envs=[{"key": "LEVEL", "value": b"high"}],
        devices=[{"host_path": "/dev/null", "container_path": "/dev/given", "permissions": "rw"}],
        linux={"security_context": {"run_as_user": {"value": USER},
                                    "run_as_group": {"value": GROUP}}},
        annotations={"hooks.berth.test/both": "of the container", "any.whole": "1",
                     "any.whole.not": "2", "other.berth.test/a": "3"})

    # The pod's and the image's own come before those of the configuration.
    environment = shell(bed, container, "env").splitlines()
    assert {"SITE=here", "LEVEL=high"} <= set(environment)
    assert "PATH=/nowhere" not in environment
    # runc before 1.1.13 may lose the soft limit of open files, which Go's runtime changes.
    assert [shell(bed, container, "grep '^Max %s ' /proc/self/limits" % limit).split()[-3:-1]
            for limit in ("file size", "open files", "core file size")] == [
                ["3000000", "4000000"], ["400", "400"], ["0", "0"]]
    owner = shell(bed, container, "ls -ln /dev/given").split()[2:4]
    assert owner == [str(USER), str(GROUP)]
    assert shell(bed, container, "echo kept > /dev/given && wc -c < /dev/given") == "0"

    # As the runtime and its hooks read them.
    given = verbose(bed.cri.ContainerStatus, {"container_id": container})["runtimeSpec"]
    passed = {key: value for key, value in given["annotations"].items()
              if "berth.test" in key or "whole" in key}
    assert passed == {"hooks.berth.test/pod": "of the pod", "any.whole": "1",
                      "hooks.berth.test/both": "of the container", "set.berth.test/a": "1=2"}
    [listed] = bed.cri.ListPodSandbox({"filter": {"id": pod}}).items
    assert "set.berth.test/a" not in listed.annotations


def test_devices_keep_the_hosts_owner_unless_the_configuration_says_otherwise(bed, pod):
    container = bed.run(
        pod, "c", command=SLEEP,
        devices=[{"host_path": "/dev/null", "container_path": "/dev/given", "permissions": "rw"}],
        linux={"security_context": {"run_as_user": {"value": USER},
                                    "run_as_group": {"value": GROUP}}})
    host = os.stat("/dev/null")
    assert shell(bed, container, "ls -ln /dev/given").split()[2:4] == [str(host.st_uid),
                                                                       str(host.st_gid)]


def test_what_a_privileged_container_finds_in_dev(own_bed, name):
    assert os.path.exists(OF_THE_HOST)
    bed = own_bed(settings=settings)

    def found(handler, **more):
        pod = bed.run_pod(name + handler, handler=handler, linux=PRIVILEGED)
        container = bed.run(pod, "c", command=SLEEP, linux=PRIVILEGED, **more)
        return out(bed, container, "ls", "/dev").split()
    asked = [{"host_path": OF_THE_HOST, "container_path": "/dev/asked-for", "permissions": "rw"}]
    all_devices, few = found("runc"), found("plain", devices=asked)
    node = os.path.basename(OF_THE_HOST)
    assert node in all_devices and node not in few
    assert "asked-for" in few and "null" in few


@pytest.mark.host
def test_a_container_is_stopped_by_the_signal_that_it_asks_for(bed, pod, name):
    script = "trap 'exit 9' USR1; trap 'exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    container = bed.run(pod, "c", command=["sh", "-c", script], stop_signal="SIGNAL_SIGUSR1")
    wait_until(lambda: bed.log_lines(name, "c"), what="the container's first words")
    assert bed.status(container).stop_signal == bed.cri.messages.SIGNAL_SIGUSR1
    bed.cri.StopContainer({"container_id": container, "timeout": 30})
    assert bed.status(container).exit_code == 9

"""The whole life of a pod with the real crictl."""

import json

import pytest

from berth_testbed import wait_until
from image_set import BUSYBOX

pytestmark = pytest.mark.host  # the whole of it with each runtime and cgroup version


@pytest.fixture
def crictl(bed, crictl_binary):
    assert crictl_binary
    return lambda *arguments, **more: bed.crictl(*arguments, **more).stdout.strip()


def configuration(bed, tmp_path, name, network):
    pod = bed.pod_config(name)
    if network == "host":
        pod["linux"]["security_context"] = {"namespace_options": {"network": 2}}
    container = bed.container_config("app", command=["sh", "-c", "echo started; exec sleep 1000"])
    if network == "host":
        container["linux"] = {"security_context": {"namespace_options": {"network": 2}}}
    paths = []
    for key, value in (("pod", pod), ("container", container)):
        path = tmp_path / (key + ".json")
        path.write_text(json.dumps(value))
        paths.append(str(path))
    return paths


def test_info_shows_what_is_ready(crictl):
    info = json.loads(crictl("info"))
    conditions = {c["type"]: c["status"] for c in info["status"]["conditions"]}
    assert conditions["RuntimeReady"] is True and conditions["NetworkReady"] is True


def test_version(bed, crictl):
    assert "RuntimeName:  " + bed.engine.name in crictl("version").replace("\t", "  ")


@pytest.mark.parametrize("network", ["cni", "host"])
def test_the_whole_life_of_a_pod(bed, crictl, tmp_path, name, network):
    pod_json, container_json = configuration(bed, tmp_path, name, network)
    crictl("pull", BUSYBOX)
    images = json.loads(crictl("images", "-o", "json"))["images"]
    assert BUSYBOX in [tag for image in images for tag in image["repoTags"]]

    pod = crictl("runp", pod_json)
    container = crictl("create", pod, container_json, pod_json)
    crictl("start", container)
    assert crictl("exec", "-s", container, "echo", "from exec") == "from exec"
    wait_until(lambda: crictl("logs", container) == "started", what="the log line")
    state = json.loads(crictl("inspect", container))["status"]["state"]
    assert state == "CONTAINER_RUNNING"
    status = json.loads(crictl("inspectp", pod))["status"]
    if network == "cni":
        assert status["network"]["ip"].startswith(
            bed.network.subnet.rsplit(".", 1)[0] + ".")
    assert container[:13] in crictl("ps")
    assert name in crictl("pods")
    stats = json.loads(crictl("stats", "-o", "json", container))["stats"]
    assert [entry["attributes"]["id"] for entry in stats] == [container]

    crictl("stop", "--timeout", "0", container)
    assert json.loads(crictl("inspect", container))["status"]["state"] == "CONTAINER_EXITED"
    crictl("rm", container)
    crictl("stopp", pod)
    crictl("rmp", pod)
    assert pod[:13] not in crictl("pods")
    crictl("rmi", BUSYBOX)
    images = json.loads(crictl("images", "-o", "json"))["images"]
    assert BUSYBOX not in [tag for image in images for tag in image["repoTags"]]
    assert bed.find_leaks() == []


def test_an_error_is_shown(bed, crictl):
    failed = bed.crictl("inspectp", "f" * 64, check=False)
    assert failed.returncode != 0
    assert "NotFound" in failed.stderr
    if bed.engine.name == "berth":
        assert "f" * 64 in failed.stderr

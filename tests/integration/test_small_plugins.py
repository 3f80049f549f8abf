"""The guide's small plugins: each passes berth-plugin-check, and together they run a pod."""

import json
import os
import re
import subprocess

import grpc
import pytest

import registry
from asking import shell
from conftest import SOURCE
from image_set import BUSYBOX
from plugin_projects import BUILD, SMALL, build_small
from test_containers import SLEEP

pytestmark = pytest.mark.berth

PREFIX = "layout.berth.test/"
# What they do not offer; and they are not built with a sanitizer.
SKIPPED = {"small-network": {"options.values"},
           "small-snapshotter": {"options.values", "snapshotter.id-mapping", "snapshotter.diff"}}


@pytest.fixture(scope="module")
def plugins():
    return build_small()


@pytest.fixture(scope="module")
def layout():
    return registry.build_layout(os.environ.get("BERTH_TEST_CACHE",
                                                os.path.join(SOURCE, "build/testbed")))


@pytest.mark.parametrize("name", SMALL)
def test_small_plugins_pass_all_checks(plugins, layout, name):
    options = {"small-source": ["--set", "path=" + layout, "--set", "prefix=" + PREFIX,
                                "--reference", PREFIX + BUSYBOX]}.get(name, [])
    told = subprocess.run([os.path.join(BUILD, "bin/berth-plugin-check"), *options,
                           os.path.join(plugins, "berth-%s.so" % name)], capture_output=True,
                          text=True, check=False, stdin=subprocess.DEVNULL, timeout=900)
    results = dict(re.findall(r"^([\w.-]+) +(passed|warned|FAILED|skipped) ", told.stdout,
                              re.MULTILINE))
    assert told.returncode == 0, told.stdout + told.stderr
    assert {check for check in results if results[check] != "passed"} <= \
        SKIPPED.get(name, set()) | {"memory.sanitizer"}, told.stdout
    # Those of its kind were among them.
    assert any(check.startswith(name.partition("-")[2] + ".") for check in results), told.stdout


SETTINGS = """
[images]
sources = ["small", "registry"]
snapshotter = "small"
[sources.small]
plugin = "small-source"
[sources.small.options]
path = %s
prefix = "%s"
[snapshotters.small]
plugin = "small-snapshotter"
[networks.small]
plugin = "small-network"
[runtimes.small]
plugin = "small-runtime"
snapshotter = "small"
"""


def test_pods_run_on_small_plugins(own_bed, plugins, layout, name):
    bed = own_bed(plugin_dirs=[plugins], first_settings='network = "small"', handler="small",
                  settings=SETTINGS % (json.dumps(layout), PREFIX))
    pod = bed.run_pod(name)
    network = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status.network
    assert network.ip.startswith("100.")
    bed.pull(PREFIX + BUSYBOX)
    container = bed.run(pod, "c", image=PREFIX + BUSYBOX, command=SLEEP)
    addresses = shell(bed, container, "ip -o address")
    assert "127.0.0.1/8" in addresses and network.ip in addresses
    shell(bed, container, "echo kept > /file")
    # What was made is known to a daemon that comes after.
    bed.kill_engine()
    bed.start_engine()
    assert shell(bed, container, "cat /file") == "kept"
    # Pods with the host's network are another runtime's.
    config = bed.pod_config("host")
    config["linux"].setdefault("security_context", {})["namespace_options"] = {"network": "NODE"}
    with pytest.raises(grpc.RpcError) as failure:
        bed.run_pod_config(config)
    assert failure.value.code() == grpc.StatusCode.PERMISSION_DENIED
    assert "pod host asks for the host's network" in failure.value.details()
    bed.remove_pod(pod)
    with pytest.raises(grpc.RpcError) as failure:
        bed.pull(PREFIX + "none:1")
    assert "the layout has no " + PREFIX + "none:1" in failure.value.details()

"""What `berth plugin new` writes, at work in an engine: pods on a new runtime and snapshotter, with
a new network, from images of a new source."""

import os
import re
import subprocess

import pytest

from asking import shell
from image_set import BUSYBOX
from plugin_projects import NEW, build_new_projects, run_own_tests
from test_containers import SLEEP

pytestmark = pytest.mark.berth


@pytest.fixture(scope="session")
def plugins():
    return build_new_projects()


@pytest.mark.usefixtures("plugins")
@pytest.mark.parametrize("project", sorted(NEW))
def test_new_projects_pass_their_own_tests(project):
    told = run_own_tests(project)
    assert "100% tests passed, 0 tests failed out of 2" in told
    # The checker has looked at what the kind is for; images are only there where the author names one.
    assert project.startswith("new-image-source") or re.search(
        r"^2: %s\.\S+ +passed" % NEW[project][0], told, re.MULTILINE), told


SETTINGS = """
[images]
sources = ["new", "registry"]
snapshotter = "new"
[sources.new]
plugin = "new-image-source-%(language)s"
[sources.new.options]
%(source)s
[snapshotters.new]
plugin = "new-snapshotter-%(language)s"
[networks.new]
plugin = "new-network-%(language)s"
[networks.new.options]
%(network)s
[runtimes.new]
plugin = "new-runtime-%(language)s"
snapshotter = "new"
[runtimes.new.options]
plugin = "%(build)s/lib/berth/plugins/berth-runtime-runc.so"
"""


@pytest.mark.parametrize("language", ["c", "cpp"])
def test_pods_run_on_new_plugins(own_bed, plugins, language, name, tmp_path):
    options = {"c": {"source": 'path = "%s"' % tmp_path, "network": 'interfaces = ["berthnew"]'},
               "cpp": {"source": 'url = "http://127.0.0.1:9"\nprefixes = ["new.berth.test/"]',
                       "network": 'range = "10.61.8.0/29"'}}[language]
    bed = own_bed(plugin_dirs=[plugins], first_settings='network = "new"', handler="new",
                  settings=lambda bed: SETTINGS % {**options, "language": language,
                                                   "build": bed.build})
    listed = subprocess.run([bed.engine.command()[0], "plugins", "--config",
                             bed.engine.command()[-1]], capture_output=True, text=True,
                            check=True, stdin=subprocess.DEVNULL).stdout
    for plugin in NEW:
        assert (" %s " % plugin in listed) == plugin.endswith("-" + language), listed
    image = BUSYBOX
    if language == "c":
        image = "new.berth.test/app:1"
        os.symlink(os.path.join(bed.registry.layout, "blobs"), tmp_path / "blobs")
        os.makedirs(tmp_path / "refs/new.berth.test/app")
        (tmp_path / "refs/new.berth.test/app/1").write_text(bed.registry.digest(BUSYBOX))
        subprocess.run(["ip", "link", "add", "berthnew", "type", "veth", "peer", "name",
                        "berthpeer"],
                       check=True)
        subprocess.run(["ip", "address", "add", "10.61.8.2/29", "dev", "berthnew"], check=True)
    try:
        pod = bed.run_pod(name)
        status = bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}).status
        assert status.network.ip == "10.61.8.2"
        container = bed.run(pod, "c", image=image, command=SLEEP)
        assert shell(bed, container, "echo new > /file; cat /file") == "new"
        bed.remove_pod(pod)
    finally:
        subprocess.run(["ip", "link", "delete", "berthnew"], check=False, capture_output=True)

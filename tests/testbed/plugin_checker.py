"""berth-plugin-check: the options that plugins of the project need, a run, and what it has told."""

import json
import os
import subprocess
import tempfile
import xml.etree.ElementTree as ElementTree

import registry
from image_set import BUSYBOX
from plugin_projects import BUILD, SOURCE

CHECKER = os.path.join(BUILD, "bin/berth-plugin-check")
CACHE = os.environ.get("BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))


def plugin(name):
    return os.path.join(BUILD, "lib/berth/plugins", "berth-%s.so" % name)


class Checked:
    """What a run of the checker has told."""

    def __init__(self, run, report):
        self.code, self.text = run.returncode, run.stdout + run.stderr
        self.cases = {}
        if os.path.exists(report):
            self.suite = ElementTree.parse(report).getroot().find("testsuite")
            self.cases = {case.get("name"): case for case in self.suite.iter("testcase")}

    def names(self, tag):
        return {name for name, case in self.cases.items() if case.find(tag) is not None}

    def reason(self, name):
        """Of a failure, or of a warning."""
        case = self.cases[name]
        failure = case.find("failure")
        return failure.get("message") if failure is not None else case.findtext("system-out", "")


def check(path, *options, env=None):
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "report.xml")
        done = subprocess.run([CHECKER, "--junit", report, *options, path], check=False, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=900,
                              env={**os.environ, **(env or {})})
        return Checked(done, report)


def only_fails(result, *expected):
    assert result.names("failure") == set(expected), result.text
    assert result.code == 1


def layout_options(folder):
    """Of source-oci-layout that has the test images."""
    path = folder / "options.json"
    path.write_text(json.dumps({"paths": [registry.build_layout(CACHE)]}))
    return ["--config", str(path), "--reference", BUSYBOX]


def cni_options(folder):
    """Of network-cni with a bridge."""
    configurations = folder / "net.d"
    configurations.mkdir()
    (configurations / "10-check.conflist").write_text(json.dumps({
        "cniVersion": "1.0.0", "name": "check", "plugins": [{
            "type": "bridge", "bridge": "check0", "isGateway": True, "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": str(folder / "ipam"),
                     "ranges": [[{"subnet": "10.213.0.0/24"}]]}}]}))
    return ["--set", "conf_dir=%s" % configurations]

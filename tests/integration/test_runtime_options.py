"""What each option of the runtimes does to a pod, where the other tests have it at its default.

    runtime-runc: path, root, monitor, netns_directory, args, no_pivot
    runtime-kata: shim, binary, root, keeper, netns_directory, pod_annotations, debug
                  config_path, create_timeout, isolation: test_fake_shim*.py, test_shim.py
"""

import json
import os
import shutil

import pytest

import berth_testbed
import host
from engines import SHIM, toml, write
from test_containers import SLEEP

pytestmark = pytest.mark.berth
needs_shim = pytest.mark.skipif(not os.access(SHIM, os.X_OK),
                                reason="SKIPPED: there is no " + SHIM)
# Writes down what it is called with.
WRAPPER = '#!/bin/sh\necho "$@" >> "$0.calls"\nexec {program} "$@"\n'


class Handler:
    """Everything that a handler has of its own is in a folder."""

    def __init__(self, bed, name):
        self.name = name
        self.bed = bed
        self.folder = os.path.join(bed.folder, name)
        self.root = os.path.join(self.folder, "root")
        self.namespaces = os.path.join(self.folder, "netns")

    def wrapped(self, program):
        path = write(os.path.join(self.folder, os.path.basename(program)),
                     WRAPPER.format(program=program))
        os.chmod(path, 0o755)
        return path

    def copied(self, program):
        path = os.path.join(self.folder, program)
        shutil.copy(os.path.join(self.bed.build, "libexec/berth", program), path)
        return path

    def calls(self, program, *words):
        """The arguments of the program's calls that have all these words."""
        path = os.path.join(self.folder, os.path.basename(program) + ".calls")
        lines = [line.split() for line in host.read(path).splitlines()]
        return [line for line in lines if set(words) <= set(line)]

    def lines(self, plugin, more, **options):
        options = {"root": self.root, "netns_directory": self.namespaces, **options}
        return ["[runtimes.%s]" % self.name, "plugin = " + toml(plugin), *more,
                "[runtimes.%s.options]" % self.name,
                *("%s = %s" % (key, toml(value)) for key, value in options.items())]

    def runs(self, program):
        """Whether a process of the bed is this very file."""
        path = os.path.join(self.folder, program)
        return any(line.split()[:1] == [path]
                   for line in host.processes(self.folder, self.bed.mark).values())

    def pinned(self):
        return os.listdir(self.namespaces)


def settings(bed):
    bed.runc = Handler(bed, "own-runc")
    bed.shims = Handler(bed, "own-shim")
    lines = bed.runc.lines(
        "runtime-runc", [], path=bed.runc.wrapped(bed.runtime),
        monitor=bed.runc.copied("berth-monitor"), args=["--debug"], no_pivot=True)
    if os.access(SHIM, os.X_OK):
        lines += bed.shims.lines(
            "runtime-kata", ['default_annotations = ["site.berth.test/class=gold"]'],
            shim=bed.shims.wrapped(SHIM), binary=bed.shims.wrapped(bed.runtime),
            isolation="namespaces", keeper=bed.shims.copied("berth-keeper"),
            pod_annotations=["team.berth.test/*"], debug=True)
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def module_bed():
    with berth_testbed.TestBed(settings=settings) as bed:
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def own(module_bed):
    yield module_bed
    module_bed.remove_all_pods()


def test_runc(own, name):
    handler = own.runc
    pod = own.run_pod(name, handler.name)
    container = own.run(pod, "c", command=SLEEP)
    assert own.exec(container, "true").exit_code == 0
    [run] = handler.calls(own.runtime, "run", container)
    options, arguments = run[:run.index("run")], run[run.index("run"):]
    assert "--debug" in options and "--no-pivot" in arguments
    assert options[options.index("--root") + 1].startswith(handler.root + "/")
    assert os.path.lexists(os.path.join(handler.root, "pods", pod))
    assert handler.runs("berth-monitor")
    assert handler.pinned() == ["berth-" + pod]
    own.remove_pod(pod)
    assert handler.pinned() == []


@needs_shim
def test_shims(own, name):
    handler = own.shims
    pod = own.run_pod(name, handler.name)
    container = own.run(pod, "c", command=SLEEP)
    assert own.exec(container, "true").exit_code == 0
    [start] = handler.calls(SHIM, "start", pod)
    assert "-debug" in start
    [create] = handler.calls(own.runtime, "create", container)
    assert create[create.index("--root") + 1].startswith(handler.root + "/")
    assert os.path.lexists(os.path.join(handler.root, "pods", pod))
    assert handler.runs("berth-keeper")
    assert handler.pinned() == ["berth-" + pod]
    own.remove_pod(pod)
    assert handler.pinned() == []


@needs_shim
def test_annotations(own, name):
    """What pods may set reaches the shim, and what the operator sets, whatever pods set."""
    pod = own.run_pod(name, own.shims.name, annotations={
        "team.berth.test/a": "web", "other.berth.test/b": "x", "site.berth.test/class": "silver"})
    container = own.run(pod, "c", command=SLEEP)

    def told(bundle):
        path = os.path.join(own.engine.state, "pods", pod, "runtime/bundles", bundle, "config.json")
        return {key: value for key, value in json.loads(host.read(path))["annotations"].items()
                if "berth.test/" in key}

    assert told(pod) == {"team.berth.test/a": "web", "site.berth.test/class": "gold"}
    assert told(container) == {"site.berth.test/class": "gold"}

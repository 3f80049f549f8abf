"""The fake shim (shims/fake_shim.py) as the shim of handlers of a test bed."""

import hashlib
import json
import os
import stat

import engines
import host

HERE = os.path.dirname(os.path.abspath(__file__))
BEHAVIOUR = "io.katacontainers.fake"
NAME = "containerd-shim-fake-v2"
CONFIGURATION = "/etc/hostname"  # a file that is there
HANDLER = """[runtimes.{name}]
plugin = "runtime-kata"
[runtimes.{name}.options]
shim = {shim}
{options}
"""
WRAPPER = """#!/bin/sh
exec /usr/bin/python3 -B {program} {folder} "$0" "$@"
"""


class FakeShims:
    """TestBed(settings=fakes.settings) has the handlers `handlers`: name → options, in TOML."""

    def __init__(self, handlers):
        self.handlers = handlers
        self.folder = self.program = None

    def settings(self, bed):
        self.folder = os.path.join(bed.folder, "fake")
        os.mkdir(self.folder)
        self.program = engines.write(os.path.join(bed.folder, NAME), WRAPPER.format(
            program=os.path.join(HERE, "shims/fake_shim.py"), folder=self.folder))
        os.chmod(self.program, os.stat(self.program).st_mode | stat.S_IXUSR)
        return "".join(HANDLER.format(name=name, shim=engines.toml(self.program), options=options)
                       for name, options in self.handlers.items())

    def complaints(self):
        """Of what has been done that no engine may."""
        return host.read(os.path.join(self.folder, "complaints")).splitlines()

    def calls(self, pod, call=None):
        """What the pod's shim was asked for, in order."""
        found = [json.loads(line) for line in
                 host.read(os.path.join(self.folder, "calls")).splitlines()]
        return [each for each in found if each["pod"] == pod and call in (None, each["call"])]

    def left(self):
        """Files of shims and machines that are there."""
        return [name for name in os.listdir(self.folder) if name not in ("calls", "complaints")]

    def machine(self, pod):
        """The process of the pod's virtual machine."""
        digest = hashlib.sha256(pod.encode()).hexdigest()[:16]
        return int(host.read(os.path.join(self.folder, "vmm-" + digest)))


def behaving(**how):
    """A pod's annotations."""
    return {BEHAVIOUR: json.dumps(how)}


def shims(bed):
    """Processes of fake shims and machines: pid → command line."""
    return {pid: line for pid, line in host.processes(bed.folder, bed.mark).items()
            if "fake_shim.py" in line or "fake_guest.py" in line}


def texts(bed, pod, container):
    return [line[3] for line in bed.log_lines(pod, container) if len(line) == 4]

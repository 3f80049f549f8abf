"""Kata Containers, where this machine has it: the shim, its configuration, and a guest to boot."""

import os
import shutil
import tomllib

import engines

SHIM = "containerd-shim-kata-v2"
FOLDERS = "/opt/kata/bin"
CONFIGURATIONS = ("/etc/kata-containers/configuration.toml",
                  "/opt/kata/share/defaults/kata-containers/configuration.toml",
                  "/usr/share/defaults/kata-containers/configuration.toml")
DEVICES = ("/dev/kvm",)
HANDLER = """[runtimes.kata]
plugin = "runtime-kata"
[runtimes.kata.options]
shim = {shim}
config_path = {configuration}
"""


class Kata:
    """`missing` says why there is none; empty when there is."""

    def __init__(self, folders=FOLDERS, configurations=CONFIGURATIONS, devices=DEVICES):
        self.shim = shutil.which(SHIM, path=os.environ.get("PATH", "") + ":" + folders)
        self.configuration = next(filter(os.path.exists, configurations), None)
        self.missing = self._missing(devices)

    def _missing(self, devices):
        if not self.shim:
            return "there is no %s in PATH or %s" % (SHIM, FOLDERS)
        if not self.configuration:
            return "%s has no configuration" % self.shim
        with open(self.configuration, "rb") as stream:
            machines = tomllib.load(stream).get("hypervisor", {})
        parts = [one[part] for one in machines.values() for part in ("kernel", "image", "initrd")
                 if one.get(part)]
        if not parts:
            return "%s names no guest" % self.configuration
        lacking = [path for path in (*parts, *devices) if not os.path.exists(path)]
        return "there is no " + lacking[0] if lacking else ""

    @property
    def settings(self):
        return HANDLER.format(shim=engines.toml(self.shim),
                              configuration=engines.toml(self.configuration))

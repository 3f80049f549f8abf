"""The engines a test bed can run: Berth, and Debian's containerd as a peer for comparison."""

import json
import os
import shutil

import pod_cgroups
from image_set import ENGINE_PAUSE

# How the daemon is started, below the build folder: the one place to change. The first program
# that exists is taken; the path of the configuration follows.
BERTH_COMMANDS = (("bin/berth", "serve", "--config"), ("bin/berthd", "--config"))

CNI_BINARIES = "/usr/lib/cni"
# Debian's containerd brings a shim v2 that has no virtual machine: a true peer of the protocol.
SHIM = "/usr/bin/containerd-shim-runc-v2"


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    return path


def toml(value):
    """A string or a list of strings in TOML's notation, which JSON's is a part of."""
    return json.dumps(value)


class Engine:
    """Paths and the start of one engine below a test bed's folder."""

    name = ""

    def __init__(self, bed):
        self.bed = bed
        self.root = os.path.join(bed.folder, "root")
        self.state = os.path.join(bed.folder, "state")
        self.socket = os.path.join(bed.folder, "cri.sock")

    def command(self):
        raise NotImplementedError

    def leftovers(self):
        """Files of the engine that must be gone once all pods are."""
        return []


class Berth(Engine):
    """Berth from a build folder, with everything it writes below the bed's folder."""

    name = "berth"

    def command(self):
        for program, *arguments in BERTH_COMMANDS:
            path = os.path.join(self.bed.build, program)
            if os.access(path, os.X_OK):
                return [path, *arguments, self._write_config()]
        raise RuntimeError("no berth in %s: build it first (cmake --build --preset release), or "
                           "name another build folder in BERTH_BUILD" % self.bed.build)

    def _shim_lines(self):
        """The handler "shim", for those who want one."""
        if not self.bed.shim:
            return []
        return ["[runtimes.shim]",
                'plugin = "runtime-kata"',
                "[runtimes.shim.options]",
                "shim = " + toml(self.bed.shim),
                'isolation = "namespaces"',
                "binary = " + toml(self.bed.runtime)]

    def _write_config(self):
        """Only what differs from the defaults, which are a layer below the file."""
        bed = self.bed
        lines = [
            "root = " + toml(self.root),
            "state = " + toml(self.state),
            "plugin_dirs = " + toml(bed.plugin_dirs),
            bed.first_settings,
            "[grpc]",
            "socket = " + toml(self.socket),
            bed.grpc_settings,
            "[log]",
            'level = "debug"',
            bed.log_settings,
            "[cgroup]",
            "driver = " + toml(bed.cgroups.driver),
            "[runtimes.runc.options]",
            "path = " + toml(bed.runtime),
            *self._shim_lines(),
            "[networks.cni.options]",
            "conf_dir = " + toml(bed.network.conf_folder),
            "bin_dirs = " + toml(bed.network.bin_dirs),
            bed.network.settings,
        ]
        for host, mirrors in bed.mirrors().items():
            lines += ["[sources.registry.options.registries.%s]" % toml(host),
                      "mirrors = " + toml(mirrors),
                      # The names are nobody's: there is no registry behind the mirrors.
                      "fallback = false"]
        return write(os.path.join(bed.folder, "berth.toml"),
                     "\n".join(lines) + "\n" + bed.settings)


class Containerd(Engine):
    """Debian's containerd with its own root, state and socket."""

    name = "containerd"

    def command(self):
        return ["containerd", "--config", self._write_config()]

    def _write_config(self):
        bed = self.bed
        certificates = os.path.join(bed.folder, "certs.d")
        for host, mirrors in bed.mirrors().items():
            text = "server = " + toml("https://" + host) + "\n"
            for mirror in mirrors:
                base, _, prefix = mirror.partition("://")[2].partition("/")
                text += "[host.%s]\n" % toml("http://%s/v2/%s" % (base, prefix))
                text += 'capabilities = ["pull", "resolve"]\noverride_path = true\n'
            write(os.path.join(certificates, host, "hosts.toml"), text)
        cri = 'plugins."io.containerd.grpc.v1.cri"'
        return write(os.path.join(bed.folder, "containerd.toml"), "\n".join([
            "version = 2",
            "root = " + toml(self.root),
            "state = " + toml(self.state),
            "disabled_plugins = " + toml(["io.containerd.internal.v1.opt"]),
            "[grpc]",
            "address = " + toml(self.socket),
            "[%s]" % cri,
            "sandbox_image = " + toml(ENGINE_PAUSE),
            "restrict_oom_score_adj = true",
            "netns_mounts_under_state_dir = true",
            "[%s.cni]" % cri,
            "bin_dir = " + toml(CNI_BINARIES),
            "conf_dir = " + toml(bed.network.conf_folder),
            "[%s.registry]" % cri,
            "config_path = " + toml(certificates),
            "[%s.containerd.runtimes.runc]" % cri,
            'runtime_type = "io.containerd.runc.v2"',
            "[%s.containerd.runtimes.runc.options]" % cri,
            "BinaryName = " + toml(bed.runtime),
            "SystemdCgroup = " + json.dumps(bed.cgroups.driver == pod_cgroups.SYSTEMD),
            ""]))


ENGINES = {"berth": Berth, "containerd": Containerd}


def runtime_binary(name):
    path = shutil.which(name, path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin")
    if not path:
        raise RuntimeError("no %s on this machine: run tools/setup --tests" % name)
    return path

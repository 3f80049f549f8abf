"""A test bed whose programs have crash points, and the proof that nothing is left in it."""

import contextlib
import json
import os
import shutil
import subprocess
import time

import grpc

import engines
import host
import machine
import pod_cgroups
from berth_testbed import TestBed, wait_until
from control import Control
from engine_state import EngineState
from image_set import TESTS
from installed_plugin import InstalledPlugin
from operation import check

PROGRAMS = ("berthd-crash", "berth-monitor-crash", "berth-keeper-crash")
SETTLE_SECONDS = 6
REST_SECONDS = 1
LONGEST_UNREST = 120  # seconds; what goes on for longer goes on for ever
DATA = TESTS + "data:1"
VOLUMES = TESTS + "volumes:1"


class CrashBerth(engines.Berth):
    """Berth with the programs of tests/crash, and a runtime and CNI plugins that can be killed."""

    def command(self):
        program = self.bed.program(0)
        if not os.access(program, os.X_OK):
            raise RuntimeError("no %s: build it first" % program)
        return [program, "serve", "--config", self._write_config()]

    def _write_config(self):
        path = super()._write_config()
        text = host.read(path)
        for table, option, number in (("runc", "monitor", 1), ("shim", "keeper", 2)):
            table = "[runtimes.%s.options]\n" % table
            text = text.replace(table, "%s%s = %s\n" % (
                table, option, engines.toml(self.bed.program(number))))
        text = text.replace(engines.toml([engines.CNI_BINARIES]), engines.toml([self.bed.cni]))
        return engines.write(path, text)


class CrashBed(TestBed):
    """`daemon`, `monitor` and `keeper` are the controls of the three programs; `installed` is the
    runtime's plugin as a file that can be replaced."""

    def __init__(self, wrap_runtime, wrap_cni, **more):
        super().__init__(**more)
        self.engine = CrashBerth(self)
        self.crash_folder = os.path.join(self.folder, "crash")
        os.mkdir(self.crash_folder)
        os.environ["BERTH_CRASH_FOLDER"] = self.crash_folder
        self.controls = [Control(self.crash_folder, name) for name in PROGRAMS]
        self.daemon, self.monitor, self.keeper = self.controls
        self.installed = InstalledPlugin(self.build, os.path.join(self.folder, "installed"),
                                         "runtime-runc")
        self.plugin_dirs.insert(0, os.path.dirname(self.installed.path))
        self.runtime = wrap_runtime(self, self.runtime)
        self.cni = wrap_cni(self, engines.CNI_BINARIES)
        self.clean = None
        self.ignored = ()  # beginnings of leftovers that are nobody's to remove

    def program(self, number):
        return os.path.join(self.build, "tests/crash", PROGRAMS[number])

    @property
    def config_path(self):
        return os.path.join(self.folder, "berth.toml")

    def kill_program(self, name):
        """Kills what runs of this program in the bed."""
        host.kill(pid for pid, line in host.processes(self.folder, self.mark).items()
                  if os.path.basename(line.partition(" ")[0]) == name)

    def doomed(self):
        """Whether the daemon has killed itself: it ends only when its last system calls do, and a
        sync takes seconds behind all that others write."""
        return bool(self.daemon.killed()) or not self.alive()

    def await_rest(self):
        """Returns once the daemon has taken no step for REST_SECONDS, or is doomed."""
        taken = resting = None
        begun = time.monotonic()
        while not self.doomed():
            if taken != (steps := len(self.daemon.steps())):
                taken, resting = steps, time.monotonic()
            if time.monotonic() > resting + REST_SECONDS:
                return
            check(time.monotonic() < begun + LONGEST_UNREST, "it does not come to rest")
            time.sleep(0.02)

    def await_death(self, seconds=60):
        """Waits for the end of a daemon that kills itself; False when it goes on."""
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def reboot(self):
        """Everything goes that a machine forgets: processes, mounts, devices, rules, cgroups, and
        /run. The engine is to be started again."""
        if self.alive():
            self.kill_engine()
        host.kill(pid for pid in machine.processes() if pid not in self.clean["processes"])
        for path in host.mounts(self.folder) + host.mounts("/run/netns/"):
            host.libc.umount2(path.encode(), host.MNT_DETACH)
        for path in os.listdir("/run/netns"):
            os.unlink("/run/netns/" + path)
        for path in os.listdir(machine.SHIMS):
            shutil.rmtree(os.path.join(machine.SHIMS, path))
        for link in host.links():
            subprocess.run(["ip", "link", "delete", link], check=False, stderr=subprocess.DEVNULL)
        flush_rules()
        self.remove_cgroups()
        shutil.rmtree(self.engine.state)
        machine.old_boot()
        machine.new_boot(self.folder)
        self.clean["mounts"] = machine.mounts()

    # What a machine without pods looks like, and whether this one does.

    def note_clean(self):
        """To be called when only images are there."""
        self.clean = {
            "processes": {pid for pid in machine.processes()} - {self.pid},
            "mounts": machine.mounts(), "links": self._links(), "state": self._state(),
            "namespaces": machine.namespaces()}

    def _links(self):
        return host.links() - self.network.bridges

    def _state(self):
        return EngineState(self.engine, machine.SHIMS)

    def _cgroups(self):
        if self.cgroups.driver == pod_cgroups.SYSTEMD:
            now = host.cgroups()
            return sorted(self.cgroups.left(now) | self.cgroups.stray(now))
        found = []
        for top in host.hierarchies():
            own = top + self.cgroup_parent
            if os.path.isdir(own):
                found += [own] + [path for path, _, _ in os.walk(own)]
        return sorted(set(found))

    def leftovers(self):
        """What is there and was not when the machine was clean."""
        now = machine.mounts()
        extra = list(now)
        for mount in self.clean["mounts"]:
            if mount in extra:
                extra.remove(mount)
        found = ["mount " + mount for mount in extra]
        found += ["process %d: %s" % item for item in machine.processes().items()
                  if item[0] not in self.clean["processes"] and item[0] != self.pid]
        found += ["network device " + name for name in self._links() - self.clean["links"]]
        found += ["address " + name for name in self.network.held_addresses()]
        found += self._state().since(self.clean["state"])
        found += ["cgroup " + path for path in self._cgroups()]
        for kind, number in machine.namespaces().items():
            if number > self.clean["namespaces"].get(kind, 0):
                found.append("namespaces of kind %s: %d" % (kind, number))
        if not found:  # the costly ones last
            found += ["packet filter rule " + rule
                      for rule in host.filter_rules(self.network.name)]
            found += ["unit " + name for name in self.cgroups.units()]
        return [item for item in found if not item.startswith(self.ignored)]

    def prove_clean(self, seconds=SETTLE_SECONDS):
        """Leftovers that do not go away by themselves; a background's work has some time."""
        deadline = time.monotonic() + seconds
        pause = 0.002
        while True:
            found = self.leftovers()
            if not found or time.monotonic() > deadline:
                return found
            time.sleep(pause)
            pause = min(pause * 1.5, 0.2)

    def under_way(self):
        """What the engine is at: what a wait that took too long has waited for."""
        with contextlib.suppress(grpc.RpcError):
            info = self.cri.Status({"verbose": True}, timeout=5).info
            return ["under way: %(name)s, %(ageMs)d ms, %(stage)s" % operation
                    for operation in json.loads(info["operations"])]
        return []

    # What a kubelet does.

    def remove_everything(self):
        """Stops and removes all containers and pods, and the logs."""
        for container in self.cri.ListContainers({}, timeout=20).containers:
            self.cri.StopContainer({"container_id": container.id, "timeout": 0}, timeout=60)
            self.cri.RemoveContainer({"container_id": container.id}, timeout=60)
        self.remove_all_pods()
        self.cgroups.remove_own()
        shutil.rmtree(os.path.join(self.folder, "logs"), ignore_errors=True)
        return self.listed()

    def remove_cgroups(self):
        """By force."""
        if self.cgroups.driver == pod_cgroups.SYSTEMD:
            self.cgroups.remove()
        host.remove_cgroups(self._cgroups())

    def listed(self):
        """Containers and pods, as something that is left."""
        left = [*self.cri.ListContainers({}).containers, *self.cri.ListPodSandbox({}).items]
        return ["listed: " + item.id for item in left]

    def sweep(self):
        """Takes away by force what is left, so that the next point begins clean."""
        if self.alive():
            self.kill_engine()
        own = self.clean["processes"] if self.clean else set()
        host.kill(pid for pid in machine.processes() if pid not in own)
        for path in host.mounts(self.folder) + host.mounts("/run/netns/"):
            host.libc.umount2(path.encode(), host.MNT_DETACH)
        for name in self._links():
            subprocess.run(["ip", "link", "delete", name], check=False, stderr=subprocess.DEVNULL)
        for name in os.listdir("/run/netns"):
            with contextlib.suppress(OSError):
                os.unlink("/run/netns/" + name)
        self.remove_cgroups()
        shutil.rmtree(self.network.addresses, ignore_errors=True)
        for folder in (self.engine.root, self.engine.state, os.path.join(self.folder, "logs")):
            shutil.rmtree(folder, ignore_errors=True)
        flush_rules()


def flush_rules():
    subprocess.run(["iptables", "-t", "nat", "-F"], check=False, stderr=subprocess.DEVNULL)


def gone(bed, before):
    """Waits until no layers are there but those from before, in part neither, or the daemon dies."""
    staging = os.path.join(os.path.dirname(layers_folder(bed)), "staging")
    wait_until(lambda: bed.doomed() or (set(os.listdir(layers_folder(bed))) <= before
                                        and not os.listdir(staging)),
               what="the layers' removal")


def layers_folder(bed):
    return os.path.join(bed.engine.root, "plugins/snapshotter-overlay/layers")

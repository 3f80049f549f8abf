"""What a kubelet or an operator changes of pods that run, of the node and of its images."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess

import engines
from berth_testbed import wait_until
from crash_bed import gone, layers_folder
from image_set import BUSYBOX
from installed_plugin import NEXT, NOW
from node_operations import PullImage
from operation import POD, Operation, check


def command(bed, *arguments):
    """`berth …` of the released program, so that only the daemon's steps are counted."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "BERTH_CRASH_FOLDER"}
    return subprocess.run(
        [os.path.join(bed.build, "bin/berth"), *arguments, "--config", bed.config_path],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        timeout=60)


def succeed(bed, *arguments):
    made = command(bed, *arguments)
    check(made.returncode == 0, "berth %s: %s%s" % (" ".join(arguments), made.stdout, made.stderr))
    return made.stdout


class UpdatePodSandboxResources(Operation):
    """Of a pod that runs, in a cgroup of its own."""

    calls = ("RuntimeService/UpdatePodSandboxResources",)

    def pod_config(self):
        config = super().pod_config()
        config["linux"]["cgroup_parent"] = self.bed.cgroups.own("pod-uid-" + POD)
        return config

    def setup(self):
        self.running()

    def act(self):
        self.bed.cri.UpdatePodSandboxResources({
            "pod_sandbox_id": self.pod, "resources": {"cpu_shares": 512}})

    def finish(self):
        self.act()
        info = self.bed.cri.PodSandboxStatus({"pod_sandbox_id": self.pod, "verbose": True}).info
        check(json.loads(info["info"])["resources"]["linux"]["cpu_shares"] == 512,
              "the status does not show the change")
        self.check_goes_on()


class ReopenContainerLog(Operation):
    """After the log was renamed, as a kubelet does it."""

    calls = ("RuntimeService/ReopenContainerLog",)

    def setup(self):
        self.running()
        folder = os.path.join(self.bed.folder, "logs", POD)
        os.rename(os.path.join(folder, "c.log"), os.path.join(folder, "c.1.log"))

    def act(self):
        self.bed.cri.ReopenContainerLog({"container_id": self.container})

    def lines(self):
        return [line[3] for name in ("c.1", "c") for line in self.bed.log_lines(POD, name)
                if len(line) == 4]

    def finish(self):
        self.act()
        wait_until(lambda: self.bed.log_lines(POD, "c"), what="a line in the new log")
        self.check_goes_on()


class UpdateRuntimeConfig(Operation):
    """The first time that the kubelet tells the node's pod range."""

    calls = ("RuntimeService/UpdateRuntimeConfig",)
    linux = {}

    def setup(self):
        os.rename(self.bed.network.conf_folder, self.kept())
        wait_until(lambda: not self.network_ready(), what="that the node has no network")

    def kept(self):
        return self.bed.network.conf_folder + ".kept"

    def network_ready(self):
        return next(each.status for each in self.bed.cri.Status().status.conditions
                    if each.type == "NetworkReady")

    def act(self):
        self.bed.cri.UpdateRuntimeConfig(
            {"runtime_config": {"network_config": {"pod_cidr": self.bed.network.subnet}}})

    def finish(self):
        self.act()
        check(self.network_ready(), "the node has no network")
        self.run_pod()
        check(len(self.bed.network.held_addresses()) == 1, "the pod has no address")

    def close(self):
        if not os.path.exists(self.kept()):
            return
        shutil.rmtree(self.bed.network.conf_folder, ignore_errors=True)
        # The engine must have seen that the other one is gone.
        if self.bed.alive():
            wait_until(lambda: not self.network_ready(), what="that the node has no network")
        os.rename(self.kept(), self.bed.network.conf_folder)
        if self.bed.alive():
            wait_until(self.network_ready, what="the node's network")


class ImportImage(PullImage):
    """From an archive that it was exported to."""

    calls = ("Images/Import",)

    def setup(self):
        self.archive = os.path.join(self.bed.folder, "image.tar")
        if os.path.exists(self.archive):
            return
        before = set(os.listdir(layers_folder(self.bed)))
        self.bed.pull(self.reference)
        succeed(self.bed, "image", "export", self.reference, self.archive)
        self.bed.cri.RemoveImage({"image": {"image": self.reference}})
        gone(self.bed, before)

    def act(self):
        command(self.bed, "image", "import", self.archive)

    def finish(self):
        succeed(self.bed, "image", "import", self.archive)
        check(self.bed.cri.ImageStatus({"image": {"image": self.reference}}).image.id,
              "the image is not there")
        self.use()


class PinImage(Operation):
    """An image that must not be removed."""

    calls = ("Images/Pin",)

    def act(self):
        command(self.bed, "image", "pin", BUSYBOX)

    def finish(self):
        succeed(self.bed, "image", "pin", BUSYBOX)
        check(self.is_pinned(), "it is not pinned")
        self.close()
        check(not self.is_pinned(), "it is still pinned")

    def is_pinned(self):
        return self.bed.cri.ImageStatus({"image": {"image": BUSYBOX}}).image.pinned

    def close(self):
        if self.bed.alive():
            command(self.bed, "image", "unpin", BUSYBOX)


class ReloadPlugin(Operation):
    """The runtime's, on which a pod runs."""

    calls = ("Admin/ReloadPlugin",)
    table = "runtimes.runc"

    def setup(self):
        self.running()
        self.bed.installed.put(NEXT)

    def act(self):
        command(self.bed, "plugin", "reload", self.table)

    def finish(self):
        self.act()
        check(NEXT in command(self.bed, "plugins").stdout, "the new one does not serve")
        self.check_goes_on()
        check(self.bed.exec(self.container, "true").exit_code == 0, "the pod is out of reach")
        self.bed.run_pod("new")

    def close(self):
        self.bed.installed.put(NOW)
        if self.bed.alive():
            command(self.bed, "plugin", "reload", self.table)


class RepairStorage(PullImage):
    """A layer that is damaged is dropped, and its image is pulled again; so is a record that was
    set aside."""

    calls = ("Admin/CheckStorage",)

    def setup(self):
        self.before = set(os.listdir(layers_folder(self.bed)))
        self.bed.pull(self.reference)
        folder = layers_folder(self.bed)
        path, = (path for path in (os.path.join(folder, name, "fs/lower/kept-file")
                                   for name in set(os.listdir(folder)) - self.before)
                 if os.path.exists(path))
        os.unlink(path)
        with contextlib.closing(sqlite3.connect(self.bed.engine.root + "/berth.db",
                                                timeout=20)) as database:
            database.execute("INSERT INTO damaged (kind, id, value, reason, time) "
                             "VALUES ('pod', 'none', 'no record', 'a test', 1)")
            database.commit()

    def act(self):
        command(self.bed, "check", "--storage", "--quick", "--repair")

    def settle(self):
        with contextlib.suppress(TimeoutError):
            wait_until(self.bed.doomed, seconds=0.3)

    def finish(self):
        self.act()
        answer = command(self.bed, "check", "--storage", "--quick")
        check("DAMAGED" not in answer.stdout, "it is still damaged: " + answer.stdout)
        super().finish()
        gone(self.bed, self.before)


def template(bed):
    """What an operator writes who lets the kubelet say where a node's pods are."""
    return engines.write(os.path.join(bed.folder, "template"), json.dumps({
        "cniVersion": "1.0.0", "name": bed.network.name, "plugins": [
            {"type": "bridge", "bridge": bed.network.bridge, "isGateway": True,
             "ipam": {"type": "host-local", "dataDir": bed.network.addresses,
                      "ranges": [[{"subnet": "{{.PodCIDR}}"}]],
                      "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}}]}))

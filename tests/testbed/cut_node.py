"""A node whose root is a recorded disk, and which is booted from what a power cut leaves of it."""

import os
import shlex
import shutil
import subprocess
import uuid

import host
import recorded_disk

# The daemon's own view of the machine's boot: a file in place of the kernel's.
BOOT = "mount --bind \"$1\" /proc/sys/kernel/random/boot_id; shift; exec \"$@\""


class CutNode:
    """`bed` is the test bed, `disk` what is recorded of its root."""

    def __init__(self, own_bed, size=512 << 20):
        self._size = size
        self.disk = None
        self.bed = own_bed(more_mirrors=self._prepare)

    def _prepare(self, bed):
        self._boot_id = os.path.join(bed.folder, "boot-id")
        bed.wrapper = ["unshare", "--mount", "sh", "-euc", BOOT, "sh", self._boot_id]
        self._new_boot()
        # In memory: there a sync, of which booting takes many, costs nothing.
        folder = os.path.join(bed.folder, "disk")
        os.mkdir(folder)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0711", "none", folder], check=True)
        bed.also.callback(host.unmount_all, folder)
        self.disk = recorded_disk.RecordedDisk(folder, self._size)
        bed.also.callback(self.disk.close)
        self.disk.mount(bed.engine.root)
        return self.mirrors(bed)

    def mirrors(self, bed):
        """As TestBed's more_mirrors; the root is mounted, and no engine runs yet."""
        return {}

    def _new_boot(self):
        with open(self._boot_id, "w", encoding="ascii") as stream:
            stream.write("%s\n" % uuid.uuid4())

    def lose_power(self):
        """The end of the recording, in the middle of whatever goes on. Processes, mounts, network
        namespaces and devices, rules and cgroups end with the machine."""
        bed = self.bed
        bed.kill_engine()
        goes_on = (["docker-registry"], ["qemu-storage-daemon"])
        host.kill(pid for pid, command in host.processes(bed.folder, bed.mark).items()
                  if command.split()[:1] not in goes_on)
        for name in bed.new_network_namespaces():
            path = os.path.join(host.NAMED_NETWORKS, name)
            host.libc.umount2(path.encode(), host.MNT_DETACH)
            os.unlink(path)
        for path in host.mounts(bed.folder):
            if path != bed.engine.root and not path.startswith(self.disk.folder):
                host.libc.umount2(path.encode(), host.MNT_DETACH)
        bed.network.remove()
        for rule in host.filter_rules(bed.network.name):
            subprocess.run(["iptables", "-t", "nat", "-D", *shlex.split(rule)[1:]], check=True)
        bed.cgroups.remove()
        self.disk.close()

    def boot(self, image):
        """The machine starts anew with this disk, which goes with its mount."""
        bed = self.bed
        if bed.alive():
            bed.kill_engine()
            recorded_disk.unmount(bed.engine.root)
        shutil.rmtree(bed.engine.state, ignore_errors=True)
        self._new_boot()
        recorded_disk.mount(image, bed.engine.root)
        os.unlink(image)
        bed.start_engine()

    def leave(self):
        """Back to a root without a disk."""
        self.bed.stop_engine()
        recorded_disk.unmount(self.bed.engine.root)
        recorded_disk.unmount(self.disk.folder)
        self.bed.start_engine()

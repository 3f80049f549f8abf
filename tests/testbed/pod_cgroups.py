"""The cgroup below which a test bed's pods lie, named as the cgroup driver wants it."""

import glob
import os
import re
import subprocess

import host

CGROUPFS, SYSTEMD = "cgroupfs", "systemd"
# The daemon's own choice, without systemd.
DEFAULT_PARENT = "/berth"
# Units of containers, and where systemd writes what it was told of a unit that has no file.
SCOPES = "berth-*.scope"
TRANSIENT_UNITS = "/run/systemd/transient"
OF_A_CONTAINER = re.compile("[0-9a-f]{64}")
OF_A_TEST_BED = re.compile("berth[-_]test[-_]")


class PodCgroups:
    """What the kubelet does with its cgroup of pods: names it, and those of single pods below it,
    and stops the slices that systemd keeps for it."""

    def __init__(self, name, driver):
        """`name` is the test bed's, which no other has."""
        self.driver = driver
        # A dash in a slice's name would stand for a level of the hierarchy.
        self._stem = name.replace("-", "_")
        self.parent = "/%s.slice" % self._stem if driver == SYSTEMD else "/" + name

    def own(self, name):
        """The parent for one pod's containers alone; with the pod's uid in `name`, as kubelets
        name it."""
        if self.driver == SYSTEMD:
            return "%s/%s-%s.slice" % (self.parent, self._stem, name.replace("-", "_"))
        return "%s/%s" % (self.parent, name)

    def of_container(self, parent, container):
        """The cgroup of a container, in its hierarchy."""
        pattern = "%s/berth-%s.scope" if self.driver == SYSTEMD else "%s/%s"
        return pattern % (parent, container)

    def left(self, paths):
        """Those of the cgroup folders that no engine should have left below this one. Slices are
        their maker's: systemd made them because a container's scope names them."""
        return {path for path in paths if self.parent + "/" in path
                and not path.endswith(".slice")}

    def stray(self, paths):
        """Those that are a container's and lie where no test bed has its own."""
        return {path for path in paths
                if OF_A_CONTAINER.search(path) and not OF_A_TEST_BED.search(path)}

    def units(self):
        """What systemd still knows of this test bed's pods and containers, or of nobody's: names of
        units, whatever their state is, and of their files."""
        if self.driver != SYSTEMD:
            return []
        # A unit that is gone may leave its file.
        return self._loaded() + sorted(
            "file " + os.path.basename(path) for path in glob.glob(TRANSIENT_UNITS + "/*")
            if self._stem in host.read(path))

    def _loaded(self):
        shown = subprocess.run(
            ["systemctl", "show", "--property=Id,Slice", SCOPES, self._stem + "-*.slice"],
            check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stdout
        units = [dict(line.split("=", 1) for line in unit.splitlines())
                 for unit in shown.strip().split("\n\n") if unit]
        return sorted(unit["Id"] for unit in units if self._stem in unit["Slice"]
                      or not OF_A_TEST_BED.search(unit["Slice"]))

    def remove_own(self):
        """Stops the slices of single pods, as the kubelet does once they are gone."""
        if self.driver == SYSTEMD:
            _systemctl("stop", self._stem + "-*.slice")

    def remove(self, before=None):
        """Safe to repeat; a cgroup with processes stays. With what there was before, also the one of
        pods that name none, when it has come since."""
        if self.driver == SYSTEMD:
            _systemctl("stop", self.parent[1:])
            for unit in self._loaded():
                _systemctl("reset-failed", unit)  # else it is kept
        host.remove_cgroups(path for path in host.cgroups()
                            if path.endswith(self.parent) or self.parent + "/" in path
                            or (before is not None and path not in before
                                and path.endswith(DEFAULT_PARENT)))


def _systemctl(*arguments):
    subprocess.run(["systemctl", "--quiet", *arguments], check=False, stdin=subprocess.DEVNULL,
                   capture_output=True)


def remove_abandoned(name):
    """Of a test bed whose process was killed, whatever its driver was."""
    for driver in (CGROUPFS, SYSTEMD):
        cgroups = PodCgroups(name, driver)
        if driver == CGROUPFS or any(path.endswith(cgroups.parent) for path in host.cgroups()):
            cgroups.remove()


def driver_to_test():
    """What $BERTH_TEST_CGROUP_DRIVER says; not what systemd's presence suggests, so that a run
    does the same on every host."""
    driver = os.environ.get("BERTH_TEST_CGROUP_DRIVER", CGROUPFS)
    if driver not in (CGROUPFS, SYSTEMD):
        raise RuntimeError("BERTH_TEST_CGROUP_DRIVER is %s: it must be cgroupfs or systemd" % driver)
    return driver

"""The cgroup below which a test bed's pods lie, named as the cgroup driver wants it."""

import os
import subprocess

import host

CGROUPFS, SYSTEMD = "cgroupfs", "systemd"
# The daemon's own choice, without systemd.
DEFAULT_PARENT = "/berth"


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

    def remove(self, before=None):
        """Safe to repeat; a cgroup with processes stays. With what there was before, also the one of
        pods that name none, when it has come since."""
        if self.driver == SYSTEMD:
            subprocess.run(["systemctl", "--quiet", "stop", self.parent[1:]], check=False,
                           stdin=subprocess.DEVNULL, capture_output=True)
        host.remove_cgroups(path for path in host.cgroups()
                            if path.endswith(self.parent) or self.parent + "/" in path
                            or (before is not None and path not in before
                                and path.endswith(DEFAULT_PARENT)))


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

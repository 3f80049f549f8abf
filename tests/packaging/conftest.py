"""Debian's packages of this tree, and a Debian 12 in a folder in which they are installed."""

import glob
import os
import subprocess

import pytest

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("BERTH_BUILD", os.path.join(SOURCE, "build/release"))
NAMES = ("berth", "libberth-plugin-dev")


def run(*command, check=True, **settings):
    made = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, **settings)
    assert not check or made.returncode == 0, made.stdout[-4000:]
    return made.stdout


@pytest.fixture(scope="session")
def packages():
    """{name: path}. $BERTH_PACKAGES is a folder that has them already."""
    folder = os.environ.get("BERTH_PACKAGES")
    if not folder:
        folder = os.path.join(SOURCE, "build/packages")
        run(os.path.join(SOURCE, "packaging/build"), "--quick", "--output", folder)
    found = {name: glob.glob(os.path.join(folder, name + "_*.deb")) for name in NAMES}
    assert all(len(paths) == 1 for paths in found.values()), found
    return {name: paths[0] for name, paths in found.items()}


class Root:
    """A system in a folder, entered by chroot(1) in mount and PID namespaces of its own."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, name):
        return os.path.join(self.folder, name.lstrip("/"))

    def command(self, script):
        """A shell script, with /proc and an empty /run of this call, and the machine's /sys."""
        # OCI runtimes leave a root for another one only where it is a mount point.
        begin = ("mount --bind '%(root)s' '%(root)s'; mount -t proc proc '%(root)s/proc'; "
                 "mount -t tmpfs tmpfs '%(root)s/run'; mount --rbind /sys '%(root)s/sys'; "
                 "exec chroot '%(root)s' sh -ec \"$1\"") % {"root": self.folder}
        return ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8", "TMPDIR=/tmp",
                "unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-ec", begin,
                "sh", script]

    def run(self, script, check=True):
        return run(*self.command(script), check=check)


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A Debian 12 with what the packages depend on, but not them; and what reads their files."""
    folder = tmp_path_factory.mktemp("root") / "debian"
    sources = run(os.path.join(SOURCE, "tests/vm/apt-sources"))
    made = subprocess.run(
        ["mmdebstrap", "--mode=root", "--variant=apt", "--format=directory",
         "--skip=check/empty,cleanup/apt/lists",
         "--include=runc,systemd,containernetworking-plugins,logrotate",
         "bookworm", str(folder), "-"], input=sources, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, check=False)
    assert made.returncode == 0, made.stdout[-4000:]
    yield Root(str(folder))
    run("rm", "-rf", "--one-file-system", str(folder))


@pytest.fixture(scope="session")
def installed(fresh, packages):
    for path in packages.values():
        run("cp", path, fresh.path("/tmp"))
    fresh.run("apt-get -q -y install --no-install-recommends /tmp/*.deb")
    return fresh

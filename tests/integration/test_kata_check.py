"""`berth check` on hosts that lack something of Kata Containers, and on one that lacks nothing."""

import os
import subprocess

import pytest

from engines import toml

pytestmark = pytest.mark.berth
# With mounts of its own, private ones to begin with, and a /dev in which are the devices that are
# named, and can be opened.
HOST = """set -e
mount -t tmpfs tmpfs /dev
mknod -m 666 /dev/null c 1 3
for device in $1; do mknod /dev/$device c 1 3; done
mount --make-r$2 /
shift 2
exec "$@"
"""
HANDLER = """
[runtimes.kata]
plugin = "runtime-kata"
[runtimes.kata.options]
shim = {shim}
config_path = {configuration}
root = {root}
"""


class Host:
    """What `berth check` says of Kata on a host; first one that lacks nothing."""

    def __init__(self, bed, changed_config, folder):
        self.devices = {"kvm", "vhost-vsock"}
        self.propagation = "shared"
        self.program = bed.engine.command()[0]
        self.shim = folder / "containerd-shim-kata-v2"
        self.shim.touch(0o755)
        self.configuration = folder / "configuration.toml"
        self.configuration.touch()
        self.config = changed_config(HANDLER.format(
            shim=toml(str(self.shim)), configuration=toml(str(self.configuration)),
            # Short: names of sockets are below it.
            root=toml(bed.folder + "/kata")))

    def told(self):
        """what → (mark, text)"""
        checked = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", HOST, "sh",
             " ".join(sorted(self.devices)), self.propagation, self.program, "check", "--config",
             self.config],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)
        rows = [(row[:8].strip(), *row[9:].partition(", kata ")) for row in
                checked.stdout.splitlines() if ", kata " in row]
        assert rows, checked.stdout + checked.stderr
        return {what: (mark, text.strip()) for mark, what, _, text in rows}

    def lacks(self):
        return {what: told for what, told in self.told().items() if told[0] != "ok"}


@pytest.fixture
def kata_host(bed, changed_config, tmp_path):
    return Host(bed, changed_config, tmp_path)


def test_nothing_is_missing(kata_host):
    told = kata_host.told()
    assert {what for what, (mark, _) in told.items() if mark == "ok"} >= {
        "shim", "berth-keeper"}
    assert kata_host.lacks() == {}


@pytest.mark.parametrize("file, what, told", [
    # The daemon starts without the runtime, and here it starts with it.
    ("shim", "shim", "; the daemon starts without this runtime"),
    ("configuration", "shim's configuration", "does not exist; pods do not start")])
def test_a_file_is_missing(kata_host, file, what, told):
    path = str(getattr(kata_host, file))
    os.unlink(path)
    [(found, (mark, text))] = kata_host.lacks().items()
    assert (found, mark) == (what, "without") and path in text and text.endswith(told)


@pytest.mark.parametrize("device, advice", [("kvm", "kvm_intel"), ("vhost-vsock", "vhost_vsock")])
def test_a_device_is_missing(kata_host, device, advice):
    kata_host.devices.remove(device)
    [(found, (mark, text))] = kata_host.lacks().items()
    assert (found, mark) == ("/dev/" + device, "without") and advice in text


def test_the_root_mount_is_private(kata_host):
    kata_host.propagation = "private"
    [(found, (mark, text))] = kata_host.lacks().items()
    assert (found, mark) == ("shared mounts", "without") and "--make-rshared" in text

"""tools/test tells what a run has left on the machine."""

import os
import subprocess

import pytest

import host
import machine_state

pytestmark = pytest.mark.alone


def say(action, path):
    return subprocess.run(["/usr/bin/python3", "-B", machine_state.__file__, action, path],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60)


def test_everything_is_told_until_it_is_gone(tmp_path, request):
    noted = str(tmp_path / "noted")
    mounted = tmp_path / "berth-mounted"
    mounted.mkdir()
    hierarchy = host.CGROUP_ROOT + "/pids"
    if not os.path.isdir(hierarchy):
        hierarchy = host.CGROUP_ROOT
    cgroup, namespace = hierarchy + "/berth-left", host.NAMED_NETWORKS + "/left"
    os.makedirs(host.NAMED_NETWORKS, exist_ok=True)
    assert say("note", noted).returncode == 0
    assert (say("compare", noted).returncode, say("compare", noted).stdout) == (0, "")

    left = [("mount", "-t", "tmpfs", "none", str(mounted)), ("mkdir", cgroup),
            ("ip", "link", "add", "left", "type", "bridge"), ("touch", namespace),
            ("mkdir", "/run/berth-left")]
    gone = [("umount", str(mounted)), ("rmdir", cgroup), ("ip", "link", "delete", "left"),
            ("rm", "-f", namespace), ("rmdir", "/run/berth-left")]
    for make, remove in zip(left, gone):
        subprocess.run(make, check=True)
        request.addfinalizer(lambda remove=remove: subprocess.run(remove, check=False,
                                                                  capture_output=True))
    process = subprocess.Popen(["sleep", "1000"], env={**os.environ, host.MARK: "berth-left"})
    request.addfinalizer(process.wait)
    request.addfinalizer(process.kill)
    told = say("compare", noted)
    assert told.returncode == 1
    assert told.stdout.splitlines() == [
        "cgroups: " + cgroup, "devices: left", "files: /run/berth-left",
        "mounts: %s" % mounted, "namespaces: left",
        "processes: %d: sleep 1000" % process.pid]

    for remove in gone:
        subprocess.run(remove, check=True)
    process.kill()
    process.wait()
    assert (say("compare", noted).returncode, say("compare", noted).stdout) == (0, "")

#!/usr/bin/python3
"""What is on the machine, to tell what a run has left behind.

    machine_state.py note FILE       writes down what is there
    machine_state.py compare FILE    prints what has come since and has to do with Berth or its
                                     tests, and ends with status 1 if anything has
"""

import json
import os
import re
import sys
import time

import host

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
# Named after Berth, its test beds or a pod.
OURS = re.compile(r"berth|[0-9a-f]{32}")
FOLDERS = ("/run", "/tmp", "/var/lib", "/var/cache", "/etc")
PATIENCE = 10  # seconds: what was told to end is ending


def _is_ours(base, command):
    """Berth's programs, and what test beds have started."""
    try:
        program = os.readlink(base + "/exe")
    except OSError:
        return False
    return os.path.basename(program).startswith("berth") \
        or program.startswith(os.path.join(SOURCE, "build") + "/") \
        or "/berth-" in command or host.MARK + "=" in host.read(base + "/environ")


def _processes():
    found = set()
    for name in os.listdir("/proc"):
        command = host.read("/proc/%s/cmdline" % name).replace("\0", " ").strip()
        if name.isdigit() and int(name) != os.getpid() and _is_ours("/proc/" + name, command):
            found.add("%s: %s" % (name, command))
    return found


def _is_of_shims(path):
    """Containerd's shims make the folders of their sockets, and nobody removes those."""
    return os.path.basename(path) == "containerd" and not any(
        files for _, _, files in os.walk(path))


def look():
    """What a run could leave behind: kind → names."""
    return {"mounts": set(host.mounts("")), "devices": host.links(), "cgroups": host.cgroups(),
            "namespaces": host.network_namespaces(), "processes": _processes(),
            "files": {os.path.join(folder, name) for folder in FOLDERS
                      for name in os.listdir(folder) if name.startswith(("berth", "containerd"))
                      if not _is_of_shims(os.path.join(folder, name))}}


def left_since(before):
    """What has come since `before`, as look() gives it."""
    return {kind: found - set(before[kind]) for kind, found in look().items()
            if found - set(before[kind])}


def _is_parent_of_none(path):
    """The daemon's own parent of pods whose client names none, as critest's, stays without them."""
    return os.path.basename(path) == "berth" and not any(entry.is_dir() for entry in os.scandir(path))


def _ours_left_since(before):
    """The machine goes on meanwhile: services start, others mount things."""
    left = left_since(before)
    for kind in {"mounts", "cgroups"} & left.keys():
        left[kind] = {name for name in left[kind] if OURS.search(name)}
    if "cgroups" in left:
        left["cgroups"] = {path for path in left["cgroups"] if not _is_parent_of_none(path)}
    return ["%s: %s" % (kind, name) for kind in sorted(left) for name in sorted(left[kind])]


def main(action, path):
    if action == "note":
        with open(path, "w", encoding="utf-8") as stream:
            json.dump({kind: sorted(found) for kind, found in look().items()}, stream)
        return 0
    with open(path, encoding="utf-8") as stream:
        before = json.load(stream)
    deadline = time.monotonic() + PATIENCE
    left = _ours_left_since(before)
    while left and time.monotonic() < deadline:
        time.sleep(0.2)
        left = _ours_left_since(before)
    print("\n".join(left), end="\n" if left else "")
    return 1 if left else 0


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("note", "compare"):
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))

"""No durable effect without a crash point: what the sources are searched for.

System calls whose effects outlive a process are made by berth/support/steps.hpp alone, which tells
of each as a durable step; the few others that the tables below name tell of theirs themselves, or
say why there is nothing to tell.
"""

import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
FOLDERS = ("core", "plugins", "sdk/support", "sdk/streams")
STEPS = "sdk/support/include/berth/support/steps.hpp"

CALLS = ("bind|clone|clone3|__clone|execv|execve|execvp|fexecve|fork|fsmount|link|linkat|mkdir"
         "|mkdirat|mkdtemp|mkfifo|mkfifoat|mknod|mknodat|mkostemp|mkstemp|mount|move_mount"
         "|posix_spawn|posix_spawnp|rename|renameat|renameat2|rmdir|sqlite3_exec|sqlite3_step"
         "|symlink|symlinkat|umount|umount2|unlink|unlinkat|vfork")
# A call by its plain name, or of the global or std namespace: neither a method's nor a definition.
CALL = re.compile(r"(?:^\s*|\)\s*|[(!=;,&|]\s*|[?:]\s+|return\s+|std::)"
                  r"(?<![\w>])(?:::)?(?:%s)\(" % CALLS)
NAME = re.compile(r"\b(%s)\(" % CALLS)
RAW = re.compile(r"\bSYS_(?:clone3?|execveat|execve|mount|umount2|mkdirat|renameat2?|unlinkat)\b")
CREATION = re.compile(r"\bO_CREAT\b|\bO_TMPFILE\b|\bofstream\b|\bfopen\(|"
                      r"\bfilesystem::(?:copy|create|remove|rename|resize|permissions)")

# These tell of their steps themselves: file → calls.
TELLING = {
    "core/store/store.cpp": {"sqlite3_exec", "sqlite3_step"},
    "plugins/runtime-runc/monitor/namespaces.cpp": {"fork", "SYS_clone"},
    "plugins/runtime-runc/monitor/process.cpp": {"execve", "vfork"},
    "plugins/runtime-kata/keeper/main.cpp": {"fork"},
    "plugins/runtime-runc/monitor/start.cpp": {"fork"},
    "sdk/streams/src/unix_socket.cpp": {"bind"},
    "sdk/support/src/process.cpp": {"__clone"},
}
# There is nothing to tell: file → (calls, why).
SILENT = {
    "core/main/examine_host.cpp": ({"SYS_clone3"}, "asked for nothing, to see whether it is there"),
    "core/main/layout_writer.cpp": (
        {"mkdirat", "rename", "renameat", "renameat2", "unlinkat"},
        "a command writes a file that no engine knows of"),
    "core/main/plugin_project.cpp": (
        {"SYS_renameat2", "mkdtemp"}, "a command writes a folder that no engine knows of"),
    "core/store/checkpoint.cpp": ({"sqlite3_exec"}, "it only reads"),
    "core/store/verify.cpp": ({"sqlite3_exec"}, "it only reads"),
    "core/streaming/listener.cpp": ({"bind"}, "a port goes with its process"),
    "plugins/runtime-runc/monitor/cgroup_move.cpp": (
        {"fork"}, "the child makes nothing and ends at once, with its parent at the latest"),
    "plugins/runtime-runc/monitor/pod_init.cpp": (
        {"fsmount", "mount", "move_mount", "umount2"}, "its own mount namespace goes with it"),
    "plugins/snapshotter-overlay/named_mount.cpp": (
        {"link", "mkdir", "symlink"},
        "a thread's own mount namespace, whose memory file system goes with the thread"),
    "plugins/snapshotter-overlay/overlay_mount.cpp": (
        {"fsmount", "mount"}, "a mount that is attached nowhere goes with its descriptor"),
    "sdk/support/src/child.cpp": ({"SYS_execve"}, "spawn() tells of the process"),
    "sdk/support/src/mounts.cpp": ({"mount"}, "it changes how a mount that is there propagates"),
    "sdk/support/src/user_namespace.cpp": ({"SYS_clone3"}, "the child ends when its parent does"),
}
# Programs of which the engine knows nothing: folder → why.
OUTSIDE = {
    "core/plugin_check": "it works in a folder and in namespaces of its own",
}
# Opened by functions that tell of what they make.
OPENERS = ("openFile(", "steps::create")

# Primitives that no operation of the suite comes to: name → why.
NOT_MET = {
    "set record aside": "only damaged records are; tests/integration has some",
    "forget damaged records": "likewise",
}


def files():
    for top in FOLDERS:
        for folder, _, names in os.walk(os.path.join(SOURCE, top)):
            if os.path.relpath(folder, SOURCE) in OUTSIDE:
                continue
            for name in sorted(names):
                if name.endswith((".cpp", ".hpp", ".c", ".h")):
                    path = os.path.relpath(os.path.join(folder, name), SOURCE)
                    if path != STEPS:
                        yield path


def code_of(path):
    """Lines without comments and the content of strings."""
    with open(os.path.join(SOURCE, path), encoding="utf-8") as stream:
        for number, line in enumerate(stream, 1):
            line = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
            yield number, line.partition("//")[0]


def direct_calls(path):
    found = []
    previous = ""
    for number, line in code_of(path):
        if CALL.search(line):
            found += [(number, name) for name in NAME.findall(line) if "steps::" + name not in line]
        found += [(number, name) for name in RAW.findall(line)]
        # The name of the function that opens may stand in the line before.
        if not any(opener in previous + line for opener in OPENERS):
            found += [(number, name.rstrip("(")) for name in CREATION.findall(line)]
        previous = line
    return found


def problems():
    """Durable calls that nobody is told of, and permissions that are no longer needed."""
    found = []
    used = set()
    for path in files():
        allowed = TELLING.get(path, set()) | SILENT.get(path, (set(), ""))[0]
        for number, name in direct_calls(path):
            if name in allowed:
                used.add((path, name))
            else:
                found.append("%s:%d: %s() is not told of: use support::steps" % (
                    path, number, name))
        if path in TELLING and not any("durableStep(" in line or "steps::" in line
                                       for _, line in code_of(path)):
            found.append("%s: tells of nothing" % path)
    for path, names in [*TELLING.items(), *((path, names) for path, (names, _) in SILENT.items())]:
        found += ["%s: %s is allowed and not there" % (path, name)
                  for name in sorted(names) if (path, name) not in used]
    return found


def primitives():
    """The names of all durable steps, as the sources have them."""
    names = set()
    for path in [*files(), STEPS]:
        with open(os.path.join(SOURCE, path), encoding="utf-8") as stream:
            text = stream.read()
        names.update(re.findall(r'(?<![\w.>])(?:durableStep|tellStep|tell)\(\s*"([^"]+)"', text))
        if path == STEPS:
            names.update(re.findall(r'\btold\([^;]*?,\s*"([^"]+)",', text))
            names.add("rmdir")  # the other name of unlinkat
    return names


def not_met(met):
    """Primitives at which no process was ended, of all but those in `met`."""
    return sorted(primitives() - set(NOT_MET) - met)

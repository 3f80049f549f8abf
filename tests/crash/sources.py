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

CALLS = ("bind|clone|clone3|__clone|creat|execv|execve|execveat|execvp|fexecve|fork|fremovexattr"
         "|fsetxattr|fsmount|ftruncate|link|linkat|lremovexattr|lsetxattr|mkdir|mkdirat|mkdtemp"
         "|mkfifo|mkfifoat|mknod|mknodat|mkostemp|mkstemp|mount|move_mount|open_tree|pivot_root"
         "|popen|posix_spawn|posix_spawnp|removexattr|rename|renameat|renameat2|rmdir|setxattr"
         "|shm_open|sqlite3_exec|sqlite3_step|symlink|symlinkat|system|truncate|umount|umount2"
         "|unlink|unlinkat|unshare|vfork")
# By its plain name, or of the global or std namespace; what stands before tells a call from a
# method and from a definition.
CALL = re.compile(r"(?<![\w.:~])(?<!->)(?:::|std::(?=rename))?(?P<call>%s)\(" % CALLS)
BEFORE_CALLS = ("return", "else", "do", "case", "throw", "not", "and", "or", "co_return",
                "co_await", "co_yield")
DEFINITION = re.compile(r"(?:\b(?P<word>\w+)\s+|\w[*&]+\s+|\w\s+[*&]+|>\s+)$")
# Its address, for others to call it.
ADDRESS = re.compile(r"(?<![\w>:])(?:::|std::(?=rename))(?P<call>%s)\b(?!\()" % CALLS)
RAW = re.compile(r"\b(?P<call>SYS_(?:%s))\b" % CALLS)
CREATION = re.compile(r"\b(?P<call>O_CREAT|O_TMPFILE|ofstream|fopen\(|freopen\()")
# Of std::filesystem, by whatever name it goes.
TREES = re.compile(
    r"(?<![\w.])(?<!->)(?P<call>(?:\w+::)*(?:copy_file|copy_symlink|create_director(?:y|ies)"
    r"|create_\w*link|remove_all|resize_file)\("
    r"|(?:filesystem|fs)::(?:copy|permissions|remove|rename)\("
    r"|namespace \w+ = (?:::)?(?:std::)?filesystem\b"
    r"|using (?:namespace )?(?:::)?std::filesystem\b)")

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
OF_FILE = "a property of a file that is told of, which counts for nothing before the whole does"
OF_THREAD = "a thread's own, which goes with it; a mount that keeps it is told of"
DETACHED = "a mount that is attached nowhere goes with its descriptor"
# There is nothing to tell: file → (calls, why).
SILENT = {
    "core/common/copy_tree.cpp": ({"ftruncate", "lsetxattr"}, OF_FILE),
    "core/cri/server.cpp": ({"unshare"}, OF_THREAD),
    "core/engine/checkpoint/archive.cpp": ({"ftruncate"}, OF_FILE),
    "core/engine/relabel.cpp": (
        {"lsetxattr", "setxattr"}, "a label of a file of others, which each start sets again"),
    "core/main/examine_host.cpp": (
        {"SYS_clone3", "SYS_open_tree"}, "asked for nothing, to see whether it is there"),
    "core/main/layout_writer.cpp": (
        {"ftruncate", "mkdirat", "rename", "renameat", "renameat2", "unlinkat"},
        "a command writes a file that no engine knows of"),
    "core/main/plugin_project.cpp": (
        {"SYS_renameat2", "mkdtemp"}, "a command writes a folder that no engine knows of"),
    "core/store/checkpoint.cpp": ({"sqlite3_exec"}, "it only reads"),
    "core/store/salvage.cpp": (
        {"sqlite3_exec", "sqlite3_step"},
        "it reads, and writes a file that counts for nothing before it is renamed"),
    "core/store/verify.cpp": ({"sqlite3_exec"}, "it only reads"),
    "core/streaming/listener.cpp": ({"bind"}, "a port goes with its process"),
    "plugins/runtime-kata/keeper/shim_log.cpp": (
        {"ftruncate"}, "a log that begins again, of which nothing more is asked"),
    "plugins/runtime-kata/plugin/host_parts.cpp": ({"unshare"}, OF_THREAD),
    "plugins/runtime-runc/monitor/cgroup_move.cpp": (
        {"fork"}, "the child makes nothing and ends at once, with its parent at the latest"),
    "plugins/runtime-runc/monitor/namespaces.cpp": (
        {"unshare"}, "a helper's own; the monitor tells of them once it holds them"),
    "plugins/runtime-runc/monitor/pod_init.cpp": (
        {"SYS_pivot_root", "fsmount", "mount", "move_mount", "umount2", "unshare"},
        "its own mount namespace goes with it"),
    "plugins/snapshotter-overlay/inherit.cpp": ({"fsetxattr"}, OF_FILE),
    "plugins/snapshotter-overlay/named_mount.cpp": (
        {"link", "mkdir", "open_tree", "symlink", "unshare"},
        "a thread's own mount namespace, whose memory file system goes with the thread"),
    "plugins/snapshotter-overlay/overlay_mount.cpp": ({"fsmount"}, DETACHED),
    "sdk/streams/src/cri_log.cpp": (
        {"ftruncate"}, "it takes back what a write has left of a line; writes are not told of"),
    "sdk/support/src/child.cpp": ({"SYS_execve"}, "spawn() tells of the process"),
    "sdk/support/src/mounts.cpp": (
        {"mount", "open_tree"}, DETACHED + "; how one that is there propagates makes none"),
    "sdk/support/src/user_namespace.cpp": ({"SYS_clone3"}, "the child ends when its parent does"),
    "sdk/support/untar/attributes.cpp": ({"fsetxattr", "lsetxattr"}, OF_FILE),
    "sdk/support/untar/extractor.cpp": ({"fsetxattr", "ftruncate"}, OF_FILE),
}
# Programs of which the engine knows nothing: folder → why.
OUTSIDE = {
    "core/plugin_check": "it works in a folder and in namespaces of its own",
}
# Opened by functions that tell of what they make.
OPENERS = ("openFile(", "steps::create")


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


def code_of(lines):
    """(number, line) without comments and the content of strings."""
    inside = False
    for number, line in enumerate(lines, 1):
        line = re.sub(r"'(?:[^'\\]|\\.)'", "' '", line)
        line = re.sub(r'"(?:[^"\\]|\\.)*"', '""', line)
        if inside:
            _, ends, line = line.partition("*/")
            inside = not ends
        line = re.sub(r"/\*.*?\*/", " ", line).partition("//")[0]
        line, begins, _ = line.partition("/*")
        inside = inside or bool(begins)
        yield number, line


def _is_call(before):
    """Whether a name that stands after `before` in its line is called there."""
    found = DEFINITION.search(before)
    return not found or found["word"] in BEFORE_CALLS


def direct_calls(lines):
    """(number, name) of what changes something that outlives the process."""
    found = []
    previous = ""
    for number, line in code_of(lines):
        found += [(number, match["call"]) for match in CALL.finditer(line)
                  if _is_call(line[:match.start()])]
        for form in (ADDRESS, RAW, TREES):
            found += [(number, match["call"].rstrip("(")) for match in form.finditer(line)]
        # The name of the function that opens may stand in the line before.
        if not any(opener in previous + line for opener in OPENERS):
            found += [(number, match["call"].rstrip("(")) for match in CREATION.finditer(line)]
        previous = line
    return found


def lines_of(path):
    with open(os.path.join(SOURCE, path), encoding="utf-8") as stream:
        return stream.read().splitlines()


def problems():
    """Durable calls that nobody is told of, and permissions that are no longer needed."""
    found = []
    used = set()
    for path in files():
        allowed = TELLING.get(path, set()) | SILENT.get(path, (set(), ""))[0]
        lines = lines_of(path)
        for number, name in direct_calls(lines):
            if name in allowed:
                used.add((path, name))
            else:
                found.append("%s:%d: %s() is not told of: use support::steps" % (
                    path, number, name))
        if path in TELLING and not any("durableStep(" in line or "steps::" in line
                                       for _, line in code_of(lines)):
            found.append("%s: tells of nothing" % path)
    for path, names in [*TELLING.items(), *((path, names) for path, (names, _) in SILENT.items())]:
        found += ["%s: %s is allowed and not there" % (path, name)
                  for name in sorted(names) if (path, name) not in used]
    return found


def primitives():
    """The names of all durable steps, as the sources have them."""
    names = set()
    for path in [*files(), STEPS]:
        text = "\n".join(lines_of(path))
        names.update(re.findall(r'(?<![\w.>])(?:durableStep|tellStep|tell)\(\s*"([^"]+)"', text))
        if path == STEPS:
            names.update(re.findall(r'\btold\([^;]*?,\s*"([^"]+)",', text))
            names.add("rmdir")  # the other name of unlinkat
    return names


def not_met(met):
    """Primitives at which no process was ended, of all but those in `met`."""
    return sorted(primitives() - met)

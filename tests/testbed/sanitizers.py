"""What a sanitizer says of the engine and of its monitors, keepers and hosts of plugins.

Each process writes its reports to a file of its own below a folder, where they stay when the
process's standard error leads nowhere. GCC's UndefinedBehaviorSanitizer, itself, always writes to
that, and where it is it overrules the path of AddressSanitizer.
"""

import glob
import os
import re

import host

OPTIONS = ("ASAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS")
UNDEFINED = re.compile(r":\d+:\d+: runtime error: ")
# A daemon that ends without waiting for what hangs leaves its threads as they are.
THREADS = "ThreadSanitizer: thread leak"
BY_FORCE = "waited_for="
MOST_LINES = 40


def _path(folder):
    return os.path.join(folder, "sanitizer")


def environment(folder):
    """This process's, for one whose reports, and whose children's, go to the folder."""
    own = {name: ":".join(filter(None, (os.environ.get(name), "log_path=" + _path(folder))))
           for name in OPTIONS}
    return {**os.environ, **own}


def reports(folder, log):
    """Of the processes with that environment, and what stands in the engine's log."""
    found = [host.read(path).splitlines() for path in sorted(glob.glob(_path(folder) + ".*"))]
    lines = host.read(log).splitlines()
    if any(BY_FORCE in line for line in lines):
        found = [report for report in found if not _tells_of_threads_alone(report)]
    found += [lines[place:] for place, line in enumerate(lines) if UNDEFINED.search(line)]
    return ["report of a sanitizer:\n" + "\n".join(report[:MOST_LINES]) for report in found]


def _tells_of_threads_alone(report):
    told = [line for line in report if "WARNING: " in line or "ERROR: " in line]
    return bool(told) and all(THREADS in line for line in told)

"""Pods through containerd's shim: what is there of them, and a shim that kills on request."""

import os
import stat
import sys

import engines
import host

SHIMS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "shims")
sys.path.append(SHIMS)

from kills import Kills  # noqa: E402  (needs the path above)

WRAPPER = """#!/bin/sh
exec /usr/bin/python3 -B {proxy} {kills} {real} "$@"
"""


def commands(bed, program):
    """pid → command line of the bed's processes of that name."""
    return {pid: line for pid, line in host.processes(bed.folder, bed.mark).items()
            if line and os.path.basename(line.split()[0]) == program}


def shims(bed):
    return commands(bed, os.path.basename(engines.SHIM))


def streams_of_execs(bed):
    """FIFOs; those of a container's first process have no dot in their names."""
    return [name for folder, _, names in os.walk(os.path.join(bed.engine.state, "pods"))
            if os.path.basename(folder) == "streams" for name in names if "." in name]


def proxied(folder, real=engines.SHIM):
    """(program, kills): the shim behind shims/proxy.py, and the requests to it. The folder's path
    is short, since a socket is put there."""
    kills = Kills(os.path.join(folder, "kills"))
    path = engines.write(os.path.join(folder, os.path.basename(real)), WRAPPER.format(
        proxy=os.path.join(SHIMS, "proxy.py"), kills=kills.path, real=real))
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path, kills

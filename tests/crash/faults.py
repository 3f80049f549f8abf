"""OCI runtime and CNI plugins that are killed on request, at most once for each request.

They run under berth-crash-tracer, whose requests these are (tracer.cpp)."""

import contextlib
import os
import shutil
import stat

import engines

WRAPPER = """#!/bin/sh
[ -e {request} ] || exec {real} "$@"
exec {tracer} {request} {name} {real} "$@"
"""
# Checkpoints are made by a program that needs no CRIU.
CHECKPOINTS = """case " $* " in *" checkpoint "* | *" restore "*) exec {} "$@" ;; esac
"""
STAND_IN = os.path.join(os.path.dirname(os.path.abspath(engines.__file__)),
                        "oci-runtime-with-checkpoints")
PLUGINS = ("bridge", "host-local", "portmap", "loopback")
RUNTIME = "runtime"


def _wrap(bed, path, name, real, first=""):
    text = WRAPPER.format(request=_request_file(bed), name=name, real=real,
                          tracer=os.path.join(bed.build, "tests/crash/berth-crash-tracer"))
    begin, newline, rest = text.partition("\n")
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(begin + newline + first + rest)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
    return path


def _request_file(bed):
    return os.path.join(bed.folder, "fault")


def wrap_runtime(bed, real):
    folder = os.path.join(bed.folder, "criu")
    os.mkdir(folder)
    stand_in = os.path.join(folder, "runc-with-checkpoints")
    for path in (stand_in, os.path.join(folder, "criu")):
        shutil.copy(STAND_IN, path)
    os.environ["PATH"] = folder + os.pathsep + os.environ["PATH"]
    return _wrap(bed, os.path.join(bed.folder, RUNTIME), RUNTIME, real,
                 CHECKPOINTS.format(stand_in))


def wrap_cni(bed, real):
    folder = os.path.join(bed.folder, "cni-bin")
    os.mkdir(folder)
    for name in PLUGINS:
        _wrap(bed, os.path.join(folder, name), name, os.path.join(real, name))
    return folder


def request(bed, name, word, what, step="", occurrence=0):
    """See tracer.cpp."""
    withdraw(bed)
    path = _request_file(bed)
    with open(path + ".new", "w", encoding="utf-8") as stream:
        stream.write("%s\n%s\n%s\n%d\n%s\n" % (name, word, what, occurrence, step))
    os.rename(path + ".new", path)


def withdraw(bed):
    """Takes back what was not met; gives the steps that were listed, and whether something was
    killed."""
    path = _request_file(bed)
    steps = []
    with contextlib.suppress(FileNotFoundError), \
            open(path + ".steps", encoding="utf-8", errors="replace") as stream:
        steps = stream.read().splitlines()
    met = os.path.exists(path + ".met")
    for name in (path, path + ".steps", path + ".met"):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
    return steps, met


# (operation, whom, the word that tells its call)
RUNTIME_CALLS = [(operation, RUNTIME, word) for operation, word in (
    ("StartContainer", "run"), ("StartShortContainer", "run"), ("ExecSync", "exec"),
    ("UpdateContainerResources", "update"), ("RemoveContainer", "delete"),
    ("RemovePodSandbox", "delete"))]
CNI_CALLS = [(operation, plugin, word) for operation, word in (
    ("RunPodSandboxWithNetwork", "ADD"), ("StopPodSandbox", "DEL"), ("RemovePodSandbox", "DEL"))
    for plugin in ("bridge", "host-local", "portmap")]
# The bridge plugin takes its interface away before it has host-local release the address. When it
# ends there, or host-local fails, and it is called again, it finds no interface, and so no address
# to remove its masquerading for: these rules are lost to everyone (CNI plugins 1.1).
RULES_ARE_LOST = (("host-local", "DEL"), ("bridge", "DEL"))
_MASQUERADING = ("packet filter rule -A POSTROUTING -s ",
                 *("packet filter rule -A CNI-" + digit for digit in "0123456789abcdef"))


def lost_rules(point):
    """Beginnings of leftovers of a point that are nobody's to remove."""
    return _MASQUERADING if tuple(point[0][2:]) in RULES_ARE_LOST else ()

"""Pieces of work, the points of each, and which of them a quick run takes.

A piece is (kind, operation, whom, word); the last two are empty but for foreign programs, and for
pods through a shim, whose word is their handler. Kinds:

    daemon    berthd dies at a durable step, and is started again
    reboot    the same, but the whole machine goes down with it
    monitor   berth-monitor dies at a durable step; the daemon goes on
    keeper    the same with berth-keeper, which another one follows
    runtime   the OCI runtime is killed before its work, at a system call, or after it
    cni       the same with a CNI plugin
    shim      a pod's containerd shim is killed, or what is beside it (shim_faults.py)

A point is (piece, what, name, occurrence, count): the `occurrence`-th of the `count` steps of that
name. Names are the same in each run (canonical.hpp), in whatever order threads take their steps.
"""

import hashlib

import faults
import shim_faults
from operations import OPERATIONS

MONITOR_OPERATIONS = (
    "RunPodSandboxWithUserNamespace", "RunPodSandboxSharingProcesses", "CreateContainer",
    "StartContainer", "StartShortContainer", "ExecSync", "StopContainer", "RemoveContainer",
    "StopPodSandbox", "RemovePodSandbox", "ReopenContainerLog", "ExecTerminal",
    "CheckpointContainer", "CheckpointPod", "StartRestoredContainer")
KEEPER_OPERATIONS = ("RunPodSandboxWithNetwork", "CreateContainer", "ReopenContainerLog",
                     "RemovePodSandbox")
# Pods through a shim, where the daemon dies as its plugin for them works.
SHIM_OPERATIONS = ("RunPodSandboxWithNetwork", "CreateContainer", "RemovePodSandbox",
                   "RunPodSandboxSharingProcesses", "StopPodSandbox", "RemoveContainer",
                   "StartContainer", "ExecSync", "UpdateContainerResources", "StopContainer")
REBOOT_OPERATIONS = ("RunPodSandboxWithNetwork", "CreateContainer", "StopPodSandbox",
                     "RemovePodSandbox")
# The same of pods through a shim, as far as they differ from these.
SHIM_REBOOT_OPERATIONS = (*REBOOT_OPERATIONS, "StartContainer", "RemoveContainer")
# As far as they differ from the first ones.
REBOOT_MORE = ("PullImage", "RemoveImage", "StartContainer", "ExecSync", "RemoveContainer",
               "RunPodSandboxWithUserNamespace", "CreateContainerWithUserNamespace")
# Many steps after which much the same is found: one in so many is tried.
ONE_IN = {("daemon", "FirstStart"): 2, ("daemon", "StartWithDamage"): 2, ("reboot", "PullImage"): 2}
# Operations of the daemon that are like others: their names.
LIKE = {
    **dict.fromkeys(("StartAfterHalfCreate", "StartAfterHalfStop", "StartAfterHalfRemove",
                     "StartAfterHalfPodRemoval", "StartAfterHalfPull", "StartAfterHalfCheckpoint",
                     "StartAfterHalfPodCheckpoint", "StartAfterHalfWrite", "StartWithDamage"),
                    ("DaemonStart",)),
    "StartAfterReboot": ("DaemonStart",),
    "CreateContainerFromCheckpoint": ("CreateContainer", "CheckpointContainer"),
    "CreateContainerOfLayers": ("CreateContainer",),
    "StartRestoredContainer": ("StartContainer",),
    "CheckpointPod": ("CheckpointContainer",),
    "RestorePod": ("RunPodSandboxWithNetwork", "CreateContainer", "CreateContainerFromCheckpoint"),
    "ImportImage": ("PullImage",),
    "AbandonNetwork": ("StopPodSandbox",),
    "RemoveWhileSomebodyListens": ("RemovePodSandbox",),
    "RemovePodWithoutMonitor": ("RemovePodSandbox",),
    "StartMissingProgram": ("StartContainer",),
    "ExecTerminal": ("ExecStream",),
    "ExecStream": ("ExecSync",),
}
OWN = ("daemon", "reboot", "monitor", "keeper")
FOREIGN = ("runtime", "cni")
MANY = ("(tree)", "(layer)")
FEW = 6
# Points at which nobody may be killed although they are tried: (pattern for pieces' titles, pattern
# for labels) → why.
MAY_BE_MISSED = {
    ("monitor/StartShortContainer", r"\w+ exits/.*|\w+ \.?state #3 of 3"):
        "an exit is only written down when it comes before whoever takes it",
    (r"runtime/\w+ runtime (?:run|exec)", r"runc:\[N:INIT\] execve /bin/sh"):
        "the runtime may have ended before its program takes that place: nobody is there to kill",
    (r"shim/\w+ \w+ shim", r"asked Wait container"):
        "it is asked beside the start of a container, maybe before the operation begins",
}


def pieces():
    """The longest first."""
    work = [("daemon", operation.__name__, "", "") for operation in OPERATIONS]
    if shim_faults.is_there():
        work += [("daemon", name, "", shim_faults.HANDLER)
                 for name in ("StartAfterReboot", *SHIM_OPERATIONS)]
        work += [("reboot", name, "", shim_faults.HANDLER) for name in SHIM_REBOOT_OPERATIONS]
        work += [("keeper", name, "", shim_faults.HANDLER) for name in KEEPER_OPERATIONS]
    work += [("monitor", name, "", "") for name in MONITOR_OPERATIONS]
    work += [("reboot", name, "", "") for name in (*REBOOT_OPERATIONS, *REBOOT_MORE)]
    work += [("runtime", *call) for call in faults.RUNTIME_CALLS]
    work += [("cni", *call) for call in faults.CNI_CALLS]
    work += [("shim", *call) for call in shim_faults.calls()]
    return work


def title(piece):
    kind, operation, *rest = piece
    return " ".join(filter(None, ("%s/%s" % (kind, operation), *rest)))


def label(point):
    _, what, name, occurrence, count = point
    if what != "at":
        return what
    return name.replace("\t", " ").strip() + (" #%d of %d" % (occurrence, count)
                                              if count > 1 else "")


def step_kind(point):
    """The primitive, of whose steps one must be met by all means."""
    piece, what, name = point[:3]
    program = "daemon" if piece[0] == "reboot" else piece[2] or piece[0]
    if piece[0] == "shim":
        return program, name
    return program, name.split("\t")[0] if what == "at" else what


def _occurrences(name, count):
    if count <= FEW and not name.endswith(MANY):
        return list(range(1, count + 1))
    return sorted({1, min(2, count), (count + 1) // 2, max(1, count - 1), count})


def points_of(piece, steps):
    """The points of a piece whose steps have these names, in the order of their first."""
    piece = tuple(piece)
    counts = {}
    for name in steps:
        counts[name] = counts.get(name, 0) + 1
    found = []
    if piece[0] in FOREIGN:
        found = [(piece, "before", "", 0, 1), (piece, "after", "", 0, 1)]
    return found + [(piece, "at", name, occurrence, count) for name, count in counts.items()
                    for occurrence in _occurrences(name, count)]


def _some(points, one_in):
    """One in so many, and the first of each kind of step."""
    kinds = set()
    some = []
    for number, point in enumerate(points):
        if number % one_in == 0 or step_kind(point) not in kinds:
            kinds.add(step_kind(point))
            some.append(point)
    return some


def leave_out(found):
    """Of pieces that are like another one, only the points remain whose steps the other one has
    not, or not as often: `found` is piece → points."""
    known = {piece: {(point[2], point[4]) for point in each} for piece, each in found.items()}
    for piece, each in found.items():
        same = set().union(*(known.get(other, ()) for other in likes(piece)))
        left = [point for point in each if (point[2], point[4]) not in same]
        found[piece] = _some(left, ONE_IN.get(piece[:2], 1))


def likes(piece):
    """Pieces in which a death at a step of the same name finds the same."""
    kind, name, _, word = piece
    others = ()
    of_shims = {"daemon": SHIM_OPERATIONS, "reboot": SHIM_REBOOT_OPERATIONS}.get(kind, ())
    if word and name in of_shims:
        # Likewise the steps that are not its plugin's.
        return [(kind, name, "", "")] + [
            (kind, other, "", word) for other in of_shims[:of_shims.index(name)]]
    if kind == "daemon":
        others = LIKE.get(name, ())
    elif kind == "reboot" and name in REBOOT_MORE:
        others = (*REBOOT_OPERATIONS, *REBOOT_MORE[:REBOOT_MORE.index(name)])
    return [(kind, other, "", "") for other in others]


def quick(points, wanted, rotation=0):
    """A choice of about `wanted` points in which each piece has one and each kind of step two, if
    it has as many: one may not be met. The rest follows by a digest of the name, so that a step more
    or less somewhere changes nothing elsewhere; `rotation` gives another choice."""
    missing_pieces = {point[0] for point in points}
    missing_kinds = dict.fromkeys(map(step_kind, points), 2)
    chosen = set()

    def digest(number):
        return hashlib.sha256(repr((rotation, *points[number][:4])).encode()).digest()

    # One that serves for both at once before one for either.
    order = sorted(range(len(points)), key=digest)
    for enough in (2, 1):
        for number in order:
            piece, kind = points[number][0], step_kind(points[number])
            if number not in chosen and \
                    (piece in missing_pieces) + (missing_kinds[kind] > 0) >= enough:
                chosen.add(number)
                missing_pieces.discard(piece)
                missing_kinds[kind] -= 1
    rest = [number for number in order if number not in chosen]
    chosen.update(rest[:max(0, wanted - len(chosen))])
    return [points[number] for number in sorted(chosen)]

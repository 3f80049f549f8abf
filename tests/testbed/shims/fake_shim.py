"""A containerd shim v2 that behaves as Kata Containers' do where containerd's own does not.

    fake_shim.py FOLDER NAME ARGUMENT...

In FOLDER are its sockets, `calls` (each call of the task service, a JSON object in a line, and
"ended" of each end of a process) and `complaints` (what no engine may do; tests want none). The pod's annotation
io.katacontainers.fake, a JSON object, says how it behaves:

    start      how the address is told: "bare" (default), "json", "protobuf"
    version    of the task service: 2 (default) or 3
    flavour    "go" (default) or "rust", of the two that Kata has
    cgroups    form of the statistics: 1 or 2 (default)
    oom        how containers that are killed are said to have been so for want of memory: "told"
               by an event before their exit, or "counted" in their statistics alone
    timeless   ends have no time
    late       seconds from a process's start until its standard input is opened, as Go's shims do
               it at some time after the answer
    lag        seconds by which the end of a machine that dies is told of the sandbox after it is
               of the containers
    fail       {call: message}
    hang       [call], or [call and a container's name]: never answered

A call is named as in `calls`: "Create sandbox", "Start exec", "Kill container"; `start` and
`delete` are calls of the program.
"""

import contextlib
import hashlib
import json
import os
import select
import signal
import socket
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import wire  # noqa: E402  (needs the path above)
from fake_guest import CLONE_NEWNS, MS_REC, MS_SLAVE, libc, mount, must  # noqa: E402
from fake_tasks import Tasks  # noqa: E402

BEHAVIOUR = "io.katacontainers.fake"
TYPES = ("io.kubernetes.cri.container-type", "io.kubernetes.cri-o.ContainerType")
SANDBOXES = ("io.kubernetes.cri.sandbox-id", "io.kubernetes.cri-o.SandboxID")


class Place:
    """The folder of all pods of a fake shim."""

    def __init__(self, folder):
        self.folder = folder

    def path(self, kind, pod):
        digest = hashlib.sha256(pod.encode()).hexdigest()[:16]
        return os.path.join(self.folder, "%s-%s" % (kind, digest))

    def note(self, **call):
        self._append("calls", json.dumps(call))

    def complain(self, text):
        self._append("complaints", text)

    def _append(self, name, line):
        with open(os.path.join(self.folder, name), "a", encoding="utf-8") as stream:
            stream.write(line + "\n")


def read_json(path):
    with open(path, encoding="utf-8") as stream:
        return json.load(stream)


def flag(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def check_start(place, bundle, spec):
    """What an engine has to have done before it starts a shim."""
    annotations = spec["annotations"]
    problems = []
    if not flag("-publish-binary"):
        problems.append("no -publish-binary")
    if flag("-namespace") != "default" or flag("-address") != "":
        problems.append("another namespace or address")
    if os.environ.get("MAX_SHIM_VERSION") != "2" or "NAMESPACE" not in os.environ:
        problems.append("the environment is not an engine's")
    if not os.path.exists(os.environ.get("TTRPC_ADDRESS", "")):
        problems.append("nobody takes events")
    if os.read(0, 1):
        problems.append("standard input has something")
    for names in (TYPES, SANDBOXES):
        if len({annotations.get(name) for name in names}) != 1:
            problems.append("%s and %s differ" % names)
    try:
        os.close(os.open(os.path.join(bundle, "log"), os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        problems.append("the log: %s" % error)
    for problem in problems:
        place.complain("start: " + problem)


def start(place, pod, bundle):
    spec = read_json(os.path.join(bundle, "config.json"))
    check_start(place, bundle, spec)
    behaviour = json.loads(spec["annotations"].get(BEHAVIOUR, "{}"))
    place.note(call="start", pod=pod)
    if "start" in behaviour.get("hang", ()):
        signal.pause()
    if "start" in behaviour.get("fail", {}):
        raise SystemExit(behaviour["fail"]["start"])
    path = place.path("s", pod)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)  # fails where a shim before has left its socket
    listener.listen()
    pid = os.fork()
    if pid == 0:
        serve(place, pod, bundle, behaviour, listener)
    for name, text in (("address", "unix://" + path), ("shim.pid", str(pid))):
        with open(os.path.join(bundle, name), "w", encoding="ascii") as stream:
            stream.write(text)
    version = behaviour.get("version", 2)
    said = {"bare": b"unix://" + path.encode(),
            "json": json.dumps({"version": version, "address": "unix://" + path,
                                "protocol": "ttrpc"}).encode(),
            "protobuf": wire.field(1, version) + wire.field(2, "unix://" + path)
                        + wire.field(3, "ttrpc")}[behaviour.get("start", "bare")]
    sys.stdout.buffer.write(said)
    sys.stdout.flush()


def serve(place, pod, bundle, behaviour, listener):
    os.setsid()
    # Mounts that come later are seen if the engine has them under a shared one.
    must(libc.unshare(CLONE_NEWNS), "unshare")
    mount("none", "/", None, MS_REC | MS_SLAVE)
    null = os.open(os.devnull, os.O_RDWR)
    log = null if behaviour.get("flavour") == "rust" else os.open(
        os.path.join(bundle, "log"), os.O_WRONLY)
    for source, target in ((null, 0), (log, 1), (log, 2)):
        os.dup2(source, target)
    print("the fake shim of", pod, file=sys.stderr, flush=True)
    tasks = Tasks(place, pod, bundle, behaviour)
    while True:
        connection = listener.accept()[0]
        threading.Thread(target=answer_all, args=(connection, tasks), daemon=True).start()


def answer_all(connection, tasks):
    lock = threading.Lock()
    last = -1
    while True:
        frame = wire.read_frame(connection)
        if frame is None:
            return
        stream, kind, content = frame
        if kind != wire.REQUEST or stream % 2 == 0 or stream <= last:
            tasks.place.complain("frame %d of kind %d after stream %d" % (stream, kind, last))
        last = stream
        threading.Thread(target=answer, args=(connection, lock, tasks, stream, content),
                         daemon=True).start()


def answer(connection, lock, tasks, stream, content):
    service, method = wire.first(content, 1).decode(), wire.first(content, 2).decode()
    code, message, payload = tasks.call(service, method, wire.first(content, 3))
    reply = wire.field(2, payload) if payload else b""
    if code:
        reply = wire.field(1, wire.field(1, code) + wire.field(2, message))
    # An engine that has died waits for nothing any more.
    with lock, contextlib.suppress(OSError):
        connection.sendall(wire.frame(stream, wire.RESPONSE, reply))


def delete(place, pod, bundle):
    """Needs no shim and no guest."""
    spec = read_json(os.path.join(bundle, "config.json"))
    behaviour = json.loads(spec["annotations"].get(BEHAVIOUR, "{}"))
    sandbox = spec["annotations"][SANDBOXES[0]]
    place.note(call="delete", pod=sandbox, id=pod)
    if os.getcwd() != bundle or flag("-bundle") != bundle:
        place.complain("delete: not in the bundle")
    if "delete" in behaviour.get("hang", ()):
        signal.pause()
    if "delete" in behaviour.get("fail", {}):
        raise SystemExit(behaviour["fail"]["delete"])
    if pod == sandbox:
        end_machine(place.path("vmm", sandbox))
    now = wire.field(1, int(time.time()))
    sys.stdout.buffer.write(wire.field(1, 1) + wire.field(2, 137) + wire.field(3, now))


def end_machine(path):
    """One that has ended by itself is fine."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        with open(path, encoding="ascii") as stream:
            process = os.pidfd_open(int(stream.read()))
        signal.pidfd_send_signal(process, signal.SIGKILL)
        # Readable once it has ended, whoever is to reap it.
        select.select([process], [], [], 5)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def main():
    place = Place(sys.argv[1])
    action, pod, bundle = sys.argv[-1], flag("-id"), os.getcwd()
    {"start": start, "delete": delete}[action](place, pod, bundle)


if __name__ == "__main__":
    main()

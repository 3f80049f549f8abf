"""A containerd shim v2 that has another one do everything, and kills on request (kills.py).

    proxy.py KILLS SHIM ARGUMENT...

Steps are "asked" and "done" of each run of the program and of each call of the task service; "done"
comes before the answer is passed on. Those that can be killed:

    program   this program alone, which somebody has started for `start` or `delete`
    shim      the shim; of its program's `start` and `delete` that program as well
    sandbox   the sandbox's first process, as a virtual machine that dies
    keeper    whoever serves the shim's events
"""

import contextlib
import os
import re
import select
import signal
import socket
import struct
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import wire  # noqa: E402  (needs the path above)
from kills import Kills  # noqa: E402

SCHEME = "unix://"
TASKS = "containerd.task.v2.Task"
SERVE = "serve"


def argument(name):
    return sys.argv[sys.argv.index(name) + 1]


def number_in(path):
    with contextlib.suppress(OSError, ValueError), open(path, encoding="ascii") as stream:
        return int(stream.read())
    return 0


def kill(pid):
    with contextlib.suppress(ProcessLookupError):
        if pid > 1:
            os.kill(pid, signal.SIGKILL)


def keeper():
    """Who listens for events."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
        connection.connect(os.environ["TTRPC_ADDRESS"])
        credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return struct.unpack("iII", credentials)[0]
    return 0


class Pod:
    """The shim of one pod; its program was started in the pod's bundle."""

    def __init__(self, kills, sandbox, bundle):
        self.kills = kills
        self.sandbox = sandbox
        self.bundle = bundle
        self.shim = 0
        self.address = ""  # of the real one
        self.answering = []  # threads that read what the shim says

    def step(self, name, program=False):
        whom = self.kills.step(name)
        if whom == "keeper":
            kill(keeper())
        elif whom == "sandbox":
            kill(number_in(os.path.join(self.bundle, "init.pid")))
        elif whom == "program" and program:
            os.kill(os.getpid(), signal.SIGKILL)
        elif whom == "shim":
            kill(self.shim)
            self.forget()
            os.kill(os.getpid(), signal.SIGKILL)

    def forget(self):
        """A shim that was killed leaves its socket, of which nobody knows but this program."""
        with contextlib.suppress(OSError):
            os.unlink(self.address.removeprefix(SCHEME))

    def name_of(self, request):
        method = wire.first(request, 2).decode()
        payload = wire.first(request, 3)
        # In the others' messages this field is another one.
        if method not in ("Create", "Update", "Shutdown") and wire.first(payload, 2):
            return method + " exec"
        own = wire.first(payload, 1).decode() == self.sandbox
        return method + (" sandbox" if own else " container")

    def pump(self, source, target, on_frame, at_end):
        with contextlib.suppress(OSError):
            while True:
                frame = wire.read_frame(source)
                if frame is None:
                    break
                on_frame(frame)
                target.sendall(wire.frame(*frame))
        at_end()
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def serve(self, client):
        names = {}
        upstream = socket.socket(socket.AF_UNIX)
        try:
            upstream.connect(self.address.removeprefix(SCHEME))
        except OSError:
            client.close()
            return

        def asked(frame):
            names[frame[0]] = self.name_of(frame[2])
            self.step("asked " + names[frame[0]])

        def done(frame):
            self.step("done " + names.pop(frame[0], "nothing"))

        def ended():
            """Some shims end without an answer to Shutdown; that they end is one."""
            for name in [name for name in names.values() if name.startswith("Shutdown ")]:
                self.step("done " + name)
        self.answering.append(threading.Thread(
            target=self.pump, args=(upstream, client, done, ended), daemon=True))
        self.answering[-1].start()
        threading.Thread(target=self.pump, args=(client, upstream, asked, lambda: None),
                         daemon=True).start()

    def listen(self, listener, path):
        """Until the shim ends."""
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        ended = os.pidfd_open(self.shim)
        select.select([ended], [], [])
        for thread in self.answering:  # its last words too
            thread.join(2)
        self.forget()
        with contextlib.suppress(OSError):
            os.unlink(path)
        os._exit(0)

    def _accept(self, listener):
        while True:
            self.serve(listener.accept()[0])


def start(pod, command, kills):
    """The shim's own start; the address is then this program's."""
    pod.step("asked start", program=True)
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    if result.returncode != 0:
        sys.stdout.buffer.write(result.stdout)
        return result.returncode
    pod.address = re.search(rb"unix://[^\s\"]+", result.stdout).group().decode()
    path = os.path.join(os.path.dirname(kills.path), "s-" + pod.sandbox[:16])
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()
    pod.shim = wire.first(wire.call(pod.address, TASKS, "Connect", wire.field(1, pod.sandbox)), 1)
    pod.step("done start", program=True)
    # Under a command line of its own, or it would pass for the pod's shim.
    with open(os.devnull, "r+b") as null:
        subprocess.Popen([sys.executable, "-B", __file__, kills.path, SERVE, pod.sandbox,
                          pod.bundle, pod.address, str(pod.shim), str(listener.fileno()), path],
                         cwd="/", start_new_session=True, pass_fds=[listener.fileno()],
                         stdin=null, stdout=null, stderr=null)
    sys.stdout.write(result.stdout.decode().replace(pod.address, SCHEME + path))
    sys.stdout.flush()
    return 0


def serve(kills, sandbox, bundle, address, shim, listener, path):
    pod = Pod(kills, sandbox, bundle)
    pod.address, pod.shim = address, int(shim)
    pod.listen(socket.socket(fileno=int(listener)), path)


def main():
    kills = Kills(sys.argv[1])
    command = sys.argv[2:]
    if command[0] == SERVE:
        serve(kills, *command[1:])
    pod = Pod(kills, argument("-id"), os.getcwd())
    if command[-1] == "start":
        return start(pod, command, kills)
    pod.step("asked " + command[-1], program=True)
    result = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=False)
    pod.step("done " + command[-1], program=True)
    sys.stdout.buffer.write(result.stdout)
    return result.returncode


sys.exit(main())

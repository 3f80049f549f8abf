"""The task service of the fake shim."""

import contextlib
import fcntl
import json
import os
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

import wire
from fake_process import CREATED, PAUSED, RUNNING, STOPPED, Process

HERE = os.path.dirname(os.path.abspath(__file__))
UNKNOWN, NOT_FOUND, EXISTS, FAILED, UNIMPLEMENTED = 2, 5, 6, 9, 12
ID, EXEC = 1, 2
NOT_OF_EXECS = ("Create", "Update", "Shutdown")  # in their messages the field is another one
PROCESS = "types.containerd.io/opencontainers/runtime-spec/1/Process"
RESOURCES = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources"
NAME = "io.kubernetes.cri.container-name"
OWN_INPUT = -1  # among a process's FIFOs the writing end of its input
EVENTS = "containerd.services.events.ttrpc.v1.Events"


class Failure(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def text(payload, number):
    return wire.first(payload, number).decode()


def any_of(payload, number):
    """(type, value) of an Any."""
    value = wire.first(payload, number)
    return text(value, 1), wire.first(value, 2)


class Tasks:
    def __init__(self, place, pod, bundle, behaviour):
        self.place = place
        self.pod = pod
        self.bundle = bundle
        self.behaviour = behaviour
        self.rust = behaviour.get("flavour") == "rust"
        self.service = "containerd.task.v%d.Task" % behaviour.get("version", 2)
        # As the one of the Go shim: held over whole calls.
        self.lock = threading.Lock()
        self.processes = {}
        self.names = {}  # of containers, by their ids
        self.machine = None
        self.agent = None
        self.started = {}

    # What comes over the connections.

    def call(self, service, method, payload):
        name = "%s %s" % (method, self.kind(method, payload))
        note = {"call": name, "pod": self.pod, "id": text(payload, ID)}
        with contextlib.suppress(UnicodeDecodeError):
            note["options"] = any_of(payload, 10)[0] if method == "Create" else ""
        if method == "Create" and wire.first(payload, 10):
            note["config"] = text(any_of(payload, 10)[1], 2) if "runtimeoptions" in \
                note["options"] else ""
        self.place.note(**note)
        if service != self.service:
            return UNIMPLEMENTED, "there is no service " + service, b""
        if {name, "%s %s" % (name, self.names.get(note["id"]))} & {*self.behaviour.get("hang", ())}:
            threading.Event().wait()
        if name in self.behaviour.get("fail", {}):
            return UNKNOWN, self.behaviour["fail"][name], b""
        work = getattr(self, "on_" + method, None)
        if work is None:
            return UNIMPLEMENTED, "there is no method " + method, b""
        try:
            if method in ("Wait", "Connect"):
                return 0, "", work(payload)
            with self.lock:
                return 0, "", work(payload)
        except Failure as failure:
            return failure.code, str(failure), b""

    def kind(self, method, payload):
        if method not in NOT_OF_EXECS and wire.first(payload, EXEC):
            return "exec"
        return "sandbox" if text(payload, ID) == self.pod else "container"

    def key_of(self, payload):
        return ".".join(filter(None, (text(payload, ID), text(payload, EXEC))))

    def find(self, payload):
        key = self.key_of(payload)
        if key not in self.processes:
            raise Failure(NOT_FOUND, "no process " + key)
        return self.processes[key]

    @property
    def machine_pid(self):
        """Of every process that anybody asks about."""
        return self.machine.pid if self.machine else 0

    # Making.

    def on_Create(self, payload):
        container, bundle = text(payload, ID), text(payload, 2)
        if container in self.processes:
            raise Failure(EXISTS, container)
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as stream:
            spec = json.load(stream)
        if "resources" not in spec["linux"] or "process" not in spec or "root" not in spec:
            raise Failure(UNKNOWN, "the specification is incomplete")
        self.names[container] = spec.get("annotations", {}).get(NAME)
        if container == self.pod:
            self.boot(spec)
        elif self.machine is None:
            raise Failure(UNKNOWN, "there is no sandbox")
        root = spec["root"]["path"]
        if not os.path.isabs(root) or not os.listdir(root):
            raise Failure(UNKNOWN, "the root filesystem %s is not seen by the shim" % root)
        terminal = bool(wire.first(payload, 4, 0))
        streams = [text(payload, number) for number in (5, 6, 7)]
        if terminal and streams[2]:
            self.place.complain("Create: stderr beside a terminal")
        made = Process(container, spec["process"], terminal, streams)
        made.root, made.mounts = root, spec.get("mounts", [])
        self.open(made)
        self.processes[container] = made
        return wire.field(1, self.machine_pid)

    def boot(self, spec):
        network = [each.get("path") for each in spec["linux"]["namespaces"]
                   if each["type"] == "network"]
        if not network or not network[0]:
            raise Failure(UNKNOWN, "the host's network is not for virtual machines")
        agent, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.machine = subprocess.Popen(
            [sys.executable, os.path.join(HERE, "fake_guest.py"), str(theirs.fileno()), network[0]],
            pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self.agent = agent
        with open(self.place.path("vmm", self.pod), "w", encoding="ascii") as stream:
            stream.write(str(self.machine.pid))
        threading.Thread(target=self.hear, daemon=True).start()

    def open(self, process):
        """The FIFOs' other ends must be there already."""
        for number, path in enumerate(process.streams):
            if path and (number > 0 or not self.behaviour.get("late")):
                self.open_one(process, number, os.O_WRONLY if number else os.O_RDONLY)
        if self.rust and process.streams[0]:
            # The end of input is then CloseIO's to bring about.
            self.open_one(process, OWN_INPUT, os.O_WRONLY)

    def open_one(self, process, number, flags):
        path = process.streams[max(number, 0)]
        try:
            process.fifos[number] = os.open(path, flags | os.O_NONBLOCK)
            os.set_blocking(process.fifos[number], True)
        except OSError as error:
            self.place.complain("the FIFO %s: %s" % (path, error))

    def on_Exec(self, payload):
        container = text(payload, ID)
        if container not in self.processes:
            raise Failure(NOT_FOUND, container)
        kind, value = any_of(payload, 7)
        if kind != PROCESS:
            raise Failure(UNKNOWN, "a process of type " + kind)
        made = Process(self.key_of(payload), json.loads(value), bool(wire.first(payload, 3, 0)),
                       [text(payload, number) for number in (4, 5, 6)])
        made.root, made.mounts = None, []
        self.open(made)
        self.processes[made.key] = made
        return b""

    def on_Start(self, payload):
        process = self.find(payload)
        request = {"do": "run", "key": process.key, "root": process.root,
                   "process": process.process, "mounts": process.mounts}
        ends = {}
        if not process.process["terminal"]:
            ends = {number: os.pipe() for number in range(3)}
        answer = self.started[process.key] = [threading.Event(), None, None]
        theirs = [ends[number][0 if number == 0 else 1] for number in ends]
        socket.send_fds(self.agent, [json.dumps(request).encode()], theirs)
        for each in theirs:
            os.close(each)
        if not answer[0].wait(10) or "error" in answer[1]:
            raise Failure(UNKNOWN, answer[1]["error"] if answer[1] else "the agent is silent")
        process.master = answer[2]
        process.status = RUNNING
        self.connect(process, ends)
        process.connected.set()
        return wire.field(1, self.machine_pid)

    def connect(self, process, ends):
        source = {1: process.master} if process.master else {
            number: ends[number][0] for number in (1, 2)}
        for number, end in source.items():
            target = process.fifos.get(number)
            process.copying.append(process.copy(end, target if target is not None else os.open(
                os.devnull, os.O_WRONLY)))
        target = process.master or ends[0][1]

        def end_input():
            if not process.master:
                os.close(target)
            process.input_ended.set()

        def open_late():
            time.sleep(self.behaviour["late"])
            # Waits for a writer, if there is none.
            process.fifos[0] = os.open(process.streams[0], os.O_RDONLY)
            process.copy(process.fifos[0], target, end_input)
        if 0 in process.fifos:
            process.copy(process.fifos[0], target, end_input)
        elif process.streams[0]:
            threading.Thread(target=open_late, daemon=True).start()
        else:
            end_input()

    # Ends.

    def hear(self):
        """What the agent tells; its silence is the machine's end."""
        while True:
            try:
                message, fds, _, _ = socket.recv_fds(self.agent, 1 << 20, 1)
            except OSError:
                message = b""
            if not message:
                break
            told = json.loads(message)
            if "started" in told:
                answer = self.started[told["started"]]
                answer[1], answer[2] = told, fds[0] if fds else None
                answer[0].set()
            elif told["exited"] in self.processes:
                threading.Thread(target=self.end, daemon=True, args=(
                    self.processes[told["exited"]], told["code"])).start()
        self.machine.wait()
        # Whoever waits for something in a machine sees its end, in no order.
        sandbox = self.processes.get(self.pod)
        for process in [each for each in self.processes.values() if each is not sandbox]:
            self.end(process, 255)
        if sandbox:
            time.sleep(self.behaviour.get("lag", 0))
            self.end(sandbox, 255)

    def end(self, process, code):
        if process.key in self.started:
            process.connected.wait(10)
        # Not before everything that it has written is read.
        for thread in process.copying:
            thread.join()
        if process.ended.is_set():
            return
        for fifo in list(process.fifos.values()):
            with contextlib.suppress(OSError):
                os.close(fifo)
        process.code, process.status = code, STOPPED
        if not self.behaviour.get("timeless"):
            process.exited_at = int(time.time())
        container, _, executed = process.key.partition(".")
        if not executed:
            if self.behaviour.get("oom") == "told" and code == 137:
                self.tell("/tasks/oom", "TaskOOM", wire.field(1, container))
            self.tell("/tasks/exit", "TaskExit", wire.field(1, container)
                      + wire.field(2, container) + wire.field(4, code))
        process.ended.set()
        self.place.note(call="ended", pod=self.pod, id=process.key)

    def tell(self, topic, kind, event):
        wrapped = wire.field(1, "containerd.events." + kind) + wire.field(2, event)
        envelope = wire.field(2, "default") + wire.field(3, topic) + wire.field(4, wrapped)
        with contextlib.suppress(OSError):
            wire.call(os.environ["TTRPC_ADDRESS"], EVENTS, "Forward", wire.field(1, envelope))

    def on_Wait(self, payload):
        process = self.find(payload)
        process.ended.wait()
        return wire.field(1, process.code) + wire.field(2, wire.field(1, process.exited_at))

    def on_Kill(self, payload):
        process = self.find(payload)
        container, _, executed = process.key.partition(".")
        everybody = bool(wire.first(payload, 4, 0))
        if executed and everybody:
            self.place.complain("Kill: that of a process with `all` is the container's")
        if process.status == RUNNING:
            self.agent.send(json.dumps({
                "do": "signal", "key": container if everybody else process.key,
                "number": wire.first(payload, 3, 0),
                "everybody": everybody or not executed}).encode())
        return b""

    def on_Delete(self, payload):
        process = self.find(payload)
        if process.status == RUNNING:
            raise Failure(FAILED, process.key + " runs")
        if process.key == self.pod and len(self.processes) > 1:
            self.place.complain("Delete: the sandbox goes before its containers")
        del self.processes[process.key]
        if process.key == self.pod:
            self.machine.kill()
            self.machine.wait()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.place.path("vmm", self.pod))
        return (wire.field(1, self.machine_pid) + wire.field(2, process.code)
                + wire.field(3, wire.field(1, process.exited_at)))

    def on_CloseIO(self, payload):
        process = self.find(payload)
        if process.status == CREATED:
            self.place.complain("CloseIO before Start")
            raise Failure(UNKNOWN, "it has not been started")
        if self.rust:
            if OWN_INPUT in process.fifos:
                os.close(process.fifos.pop(OWN_INPUT))
        elif process.status == RUNNING:
            # With the lock: whoever has not closed the FIFO by now waits for ever.
            process.input_ended.wait()
        return b""

    def on_Shutdown(self, payload):
        if self.rust and text(payload, ID) != self.pod and not wire.first(payload, 2, 0):
            return b""
        if not self.rust and self.processes:
            return b""
        if self.machine:
            self.machine.kill()
            self.machine.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.place.path("s", self.pod))
        os._exit(0)

    # Asking and changing.

    def on_State(self, payload):
        process = self.find(payload)
        streams = b"".join(wire.field(number, path) for number, path in zip(
            (5, 6, 7), process.streams) if path)
        return (wire.field(1, text(payload, ID)) + wire.field(3, self.machine_pid)
                + wire.field(4, process.status) + streams + wire.field(9, process.code)
                + wire.field(10, wire.field(1, process.exited_at)))

    def on_Connect(self, payload):
        if text(payload, ID) not in self.processes:
            raise Failure(NOT_FOUND, text(payload, ID))
        return wire.field(1, os.getpid()) + wire.field(2, self.machine_pid)

    def on_ResizePty(self, payload):
        process = self.find(payload)
        if process.master is None:
            raise Failure(UNKNOWN, "no terminal")
        size = struct.pack("HHHH", wire.first(payload, 4, 0), wire.first(payload, 3, 0), 0, 0)
        fcntl.ioctl(process.master, termios.TIOCSWINSZ, size)
        return b""

    def on_Update(self, payload):
        if text(payload, ID) not in self.processes:
            raise Failure(NOT_FOUND, text(payload, ID))
        kind, value = any_of(payload, 2)
        if kind != RESOURCES:
            raise Failure(UNKNOWN, "resources of type " + kind)
        self.place.note(call="resources", pod=self.pod, resources=json.loads(value))
        return b""

    def on_Pause(self, payload):
        self.find(payload).status = PAUSED
        return b""

    def on_Resume(self, payload):
        self.find(payload).status = RUNNING
        return b""

    def on_Stats(self, payload):
        process = self.find(payload)
        form = self.behaviour.get("cgroups", 2)
        kills = int(self.behaviour.get("oom") == "counted" and process.code == 137)
        if form == 1:
            metrics = (wire.field(2, wire.field(1, 3))
                       + wire.field(3, wire.field(1, wire.field(1, 5_000_000)))
                       + wire.field(4, wire.field(33, wire.field(2, 7 << 20)))
                       + wire.field(9, wire.field(3, kills)))
        else:
            metrics = (wire.field(1, wire.field(1, 3)) + wire.field(2, wire.field(1, 5000))
                       + wire.field(4, wire.field(32, 7 << 20))
                       + wire.field(8, wire.field(5, kills)))
        kind = "io.containerd.cgroups.v%d.Metrics" % form
        return wire.field(1, wire.field(1, kind) + wire.field(2, metrics))

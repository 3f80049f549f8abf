"""What stands for a virtual machine: processes with PID and mount namespaces of their own, in the
network of the pod, that end together when its monitor is killed.

    fake_guest.py SOCKET NETWORK

The first process is the machine's monitor; its child is the agent, which takes requests over the
socket, a descriptor of kind SOCK_SEQPACKET: {"do": "run", "key", "root", "process", "mounts"}, with
the standard streams, or with a terminal none, for which the answer brings one end; and "signal". It
tells {"started", "pid"} and {"exited", "code"}.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import termios

CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWNET = 0x00020000, 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_SLAVE = 4096, 16384, 1 << 19
PR_SET_PDEATHSIG = 1
LONGEST = 1 << 20
libc = ctypes.CDLL("libc.so.6", use_errno=True)


def must(result, doing):
    if result != 0:
        raise OSError(ctypes.get_errno(), doing)


def mount(source, target, kind=None, flags=0):
    must(libc.mount(source.encode(), target.encode(), kind and kind.encode(), flags, None),
         "mount " + target)


class Agent:
    """Process 1 of the machine."""

    def __init__(self, connection):
        self.connection = connection
        self.roots = {}  # container → its root
        self.children = {}  # pid → key

    def serve(self):
        wake, wakeup = os.pipe2(os.O_NONBLOCK)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup)
        while True:
            readable = select.select([self.connection, wake], [], [])[0]
            if wake in readable:
                os.read(wake, 4096)
                self.reap()
            if self.connection in readable:
                text, fds, _, _ = socket.recv_fds(self.connection, LONGEST, 3)
                if not text:
                    # The shim is gone; the machine goes on.
                    signal.pause()
                    continue
                request = json.loads(text)
                getattr(self, request.pop("do"))(fds, **request)

    def say(self, message, fds=()):
        with contextlib.suppress(OSError):
            socket.send_fds(self.connection, [json.dumps(message).encode()], list(fds))

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            key = self.children.pop(pid, None)
            if key is None:
                continue
            code = os.waitstatus_to_exitcode(status)
            if "." not in key:
                # The first process's end is the container's.
                self.kill_all(key, signal.SIGKILL)
            self.say({"exited": key, "code": code if code >= 0 else 128 - code})

    def run(self, fds, key, process, root=None, mounts=()):
        container = key.partition(".")[0]
        if root:
            self.roots[container] = root
            self.prepare(root, mounts)
        ours = theirs = None
        if process.get("terminal"):
            ours, theirs = os.openpty()
            fds = [theirs] * 3
        failure, told = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            try:
                self.become(self.roots[container], process, fds, told)
            except BaseException as error:
                os.write(told, str(error).encode())
            os._exit(127)
        os.close(told)
        for each in {*fds, theirs} - {None}:
            os.close(each)
        said = os.read(failure, 4096).decode()
        os.close(failure)
        if said:
            self.say({"started": key, "error": said})
        else:
            self.children[pid] = key
            self.say({"started": key, "pid": pid}, [ours] if ours is not None else [])
        if ours is not None:
            os.close(ours)

    def prepare(self, root, mounts):
        for path in ("/proc", "/dev"):
            os.makedirs(root + path, exist_ok=True)
        mount("proc", root + "/proc", "proc")
        mount("/dev", root + "/dev", None, MS_BIND | MS_REC)
        for each in mounts:
            if each.get("type") != "bind":
                continue
            target = root + each["destination"]
            if os.path.isdir(each["source"]):
                os.makedirs(target, exist_ok=True)
            else:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                with open(target, "ab"):
                    pass
            mount(each["source"], target, None, MS_BIND | MS_REC)

    def become(self, root, process, fds, told):
        os.setsid()
        for number, each in enumerate(fds):
            os.dup2(each, number)
        os.closerange(3, told)
        os.closerange(told + 1, 256)
        if process.get("terminal"):
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)
        os.chroot(root)
        os.chdir(process.get("cwd") or "/")
        user = process.get("user", {})
        os.setgid(user.get("gid", 0))
        os.setuid(user.get("uid", 0))
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        environment = dict(entry.split("=", 1) for entry in process.get("env", ()))
        arguments = process["args"]
        # Not os.execvpe, which imports modules, and these are outside of the root.
        folders = [""] if "/" in arguments[0] else environment.get("PATH", "/bin").split(":")
        for folder in folders:
            with contextlib.suppress(FileNotFoundError):
                os.execve(os.path.join(folder, arguments[0]), arguments, environment)
        raise FileNotFoundError("no program " + arguments[0])

    def signal(self, _, key, number, everybody=False):
        if everybody:
            return self.kill_all(key, number)
        for pid, other in self.children.items():
            if other == key:
                os.kill(pid, number)
        return None

    def kill_all(self, container, number):
        for name in os.listdir("/proc"):
            with contextlib.suppress(OSError):
                if name.isdigit() and name != "1" and \
                        os.readlink("/proc/%s/root" % name) == self.roots.get(container):
                    os.kill(int(name), number)


def main():
    connection = socket.socket(fileno=int(sys.argv[1]))
    if sys.argv[2]:
        with open(sys.argv[2], "rb") as network:
            must(libc.setns(network.fileno(), CLONE_NEWNET), "join the pod's network")
    must(libc.unshare(CLONE_NEWPID | CLONE_NEWNS), "unshare")
    child = os.fork()
    if child == 0:
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        mount("none", "/", None, MS_REC | MS_SLAVE)
        mount("proc", "/proc", "proc")
        Agent(connection).serve()
    connection.close()
    os.waitpid(child, 0)


if __name__ == "__main__":
    main()

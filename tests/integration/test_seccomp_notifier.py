"""Seccomp profiles that ask somebody else: an agent's socket gets the descriptor of notifications."""

import contextlib
import ctypes
import errno
import fcntl
import json
import os
import platform
import select
import socket
import struct
import threading

import pytest

import engines
import grpc
import host
from asking import create_refused
from berth_testbed import wait_until
from test_containers import SLEEP

# seccomp(2), seccomp_unotify(2).
SECCOMP = {"x86_64": 317, "aarch64": 277}.get(platform.machine())
GET_NOTIF_SIZES = 3
NOTIF_RECV = 0xC0502100
NOTIF_SEND = 0xC0182101
FLAG_CONTINUE = 1
HEADER = struct.Struct("=QII")  # id, pid, flags; the system call follows
ANSWER = struct.Struct("=QqiI")  # id, val, error, flags
LONGEST_STATE = 65536

pytestmark = [
    pytest.mark.berth,
    pytest.mark.skipif(SECCOMP is None, reason="seccomp's number on this machine is not known")]


def sizes():
    """Of a notification and of an answer, as this kernel has them."""
    found = (ctypes.c_uint16 * 3)()
    if host.libc.syscall(SECCOMP, GET_NOTIF_SIZES, 0, found) != 0:
        number = ctypes.get_errno()
        raise OSError(number, "SECCOMP_GET_NOTIF_SIZES: " + os.strerror(number))
    return found[0], found[1]


class Agent:
    """Listens on `path`; answers each system call with the next of `answers`: an error's number, or
    0 to let it happen. What runtimes have sent is in `states`, who was answered in `answered`."""

    def __init__(self, path, answers):
        self.states = []
        self.answered = []
        self.failure = None
        self._answers = list(answers)
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(path)
        self._listening.listen()
        self._end, self._told_to_end = os.pipe()
        self._listeners = []
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        os.close(self._told_to_end)
        self._thread.join()
        # A task that still waits for an answer gets ENOSYS.
        for descriptor in (*self._listeners, self._end):
            os.close(descriptor)
        self._listening.close()
        if self.failure:
            raise self.failure

    def _serve(self):
        poll = select.poll()
        for descriptor in (self._listening.fileno(), self._end):
            poll.register(descriptor, select.POLLIN)
        try:
            while True:
                for descriptor, events in poll.poll():
                    if descriptor == self._end:
                        return
                    if descriptor == self._listening.fileno():
                        poll.register(self._receive(), select.POLLIN)
                    elif events & select.POLLIN:
                        self._answer(descriptor)
                    else:  # nobody has the filter any more
                        poll.unregister(descriptor)
        except Exception as error:  # of a thread: close() tells it
            self.failure = error

    def _receive(self):
        connection, _ = self._listening.accept()
        with connection:
            text, descriptors, _, _ = socket.recv_fds(connection, LONGEST_STATE, 4)
            while more := connection.recv(LONGEST_STATE):
                text += more
        self._listeners += descriptors
        state = json.loads(text)
        assert state["fds"] == ["seccompFd"] and len(descriptors) == 1, (state, descriptors)
        self.states.append(state)
        return descriptors[0]

    def _answer(self, descriptor):
        request_size, answer_size = sizes()
        request = bytearray(request_size)
        fcntl.ioctl(descriptor, NOTIF_RECV, request)
        identity, pid, _ = HEADER.unpack_from(request)
        error = self._answers.pop(0)
        answer = bytearray(answer_size)
        ANSWER.pack_into(answer, 0, identity, 0, -error, 0 if error else FLAG_CONTINUE)
        # Before the one that waits can go on.
        self.answered.append(pid)
        fcntl.ioctl(descriptor, NOTIF_SEND, answer)


@pytest.fixture
def place(bed, tmp_path):
    """Where an agent may listen: a short path."""
    path = os.path.join(bed.folder, "agent")
    yield path
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def asking_for(folder, **more):
    """A container's settings with a profile that asks before a directory is made."""
    path = engines.write(str(folder / "profile.json"), json.dumps({
        "defaultAction": "SCMP_ACT_ALLOW", **more,
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}]}))
    return {"security_context": {"seccomp": {"profile_type": "Localhost", "localhost_ref": path}}}


def test_the_agent_decides(bed, pod, name, place, tmp_path):
    linux = asking_for(tmp_path, listenerPath=place, listenerMetadata="of " + name)
    # The first error is one that making a directory never gives.
    with contextlib.closing(Agent(place, [errno.ENOTBLK, 0, errno.EROFS])) as agent:
        container = bed.run(pod, "c", linux=linux, command=[
            "sh", "-c", "mkdir /refused; mkdir /made; ls -d /refused /made"])
        bed.wait_exit(container)
        lines = [line[3] for line in bed.log_lines(name, "c")]
        assert any("/refused" in line and "Block device required" in line for line in lines), lines
        assert "/made" in lines and "/refused" not in lines
        first, = agent.states
        assert first["metadata"] == "of " + name
        assert first["state"]["id"] == container
        assert len(agent.answered) == 2 and len(set(agent.answered)) == 2

        # A command that is executed has a filter of its own.
        other = bed.run(pod, "other", linux=linux, command=SLEEP)
        assert b"Read-only file system" in bed.exec(other, "mkdir", "/never").stderr
        assert [state["state"]["id"] for state in agent.states] == [container, other, other]
        assert len(agent.answered) == 3


def test_an_agent_that_does_not_listen(bed, pod, place, tmp_path):
    linux = asking_for(tmp_path, listenerPath=place)
    container = bed.create(pod, "c", linux=linux, command=SLEEP)
    with pytest.raises(grpc.RpcError) as caught:
        bed.cri.StartContainer({"container_id": container})
    assert place in caught.value.details()
    status = bed.status(container)
    assert status.state == bed.cri.messages.CONTAINER_EXITED and place in status.message
    assert not any(container in command for command in
                   host.processes(bed.folder, bed.mark).values())
    assert not any(container in path for path in host.cgroups())
    bed.cri.RemoveContainer({"container_id": container})
    # One that comes back is found by the next container.
    with contextlib.closing(Agent(place, [])) as agent:
        again = bed.run(pod, "c", linux=linux, command=["true"])
        assert bed.wait_exit(again).exit_code == 0
        wait_until(lambda: len(agent.states) == 1, what="the container's state")


def test_somebody_must_be_named_who_is_asked(bed, pod, tmp_path):
    message = create_refused(bed, pod, "c", grpc.StatusCode.INVALID_ARGUMENT,
                             linux=asking_for(tmp_path))
    assert "listenerPath" in message and str(tmp_path / "profile.json") in message
    assert not bed.cri.ListContainers().containers

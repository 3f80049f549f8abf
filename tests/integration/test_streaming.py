"""Exec and attach as people use them: crictl, over both of its transports."""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import host
from berth_testbed import wait_until
from crictl_at_work import read_until, run, started

SLEEP = ["sleep", "1000"]
MEBIBYTE = 1 << 20


def test_exec_has_three_streams_and_a_code(bed, pod, transport):
    container = bed.run(pod, "c", command=SLEEP)
    done = run(bed, "exec", "-i", "-r", transport, container, "sh", "-c",
               "cat; echo bad >&2; exit 7", input=b"through\n")
    assert done.stdout == b"through\n"
    assert b"bad\n" in done.stderr
    assert done.returncode != 0 and b"exit code 7" in done.stderr


def test_much_goes_both_ways(bed, pod, transport):
    container = bed.run(pod, "c", command=SLEEP)
    text = os.urandom(MEBIBYTE) * 16
    done = run(bed, "exec", "-i", "-r", transport, container, "cat", input=text)
    assert done.returncode == 0
    assert done.stdout == text


def test_exec_ends_with_its_client(bed, pod, transport):
    container = bed.run(pod, "c", command=SLEEP)

    def commands():
        return " ".join(command for command in host.processes(bed.folder, bed.mark).values()
                        if "crictl" not in command)
    with started(bed, "exec", "-i", "-r", transport, container, "sh", "-c",
                 "sleep 4831 & sleep 4832", stdin=subprocess.PIPE):
        wait_until(lambda: "sleep 4831" in commands() and "sleep 4832" in commands(),
                   what="the command and its child")
    wait_until(lambda: "sleep 483" not in commands(), what="the end of both")


def test_a_program_that_is_not_there(bed, pod, transport):
    container = bed.run(pod, "c", command=SLEEP)
    done = run(bed, "exec", "-r", transport, container, "/no/such/program")
    assert done.returncode != 0
    assert b"/no/such/program" in done.stderr


def set_size(terminal, rows, columns):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


@contextlib.contextmanager
def terminal_of(bed, *arguments):
    """crictl on a terminal of 33 rows and 99 columns: (process, our end)."""
    ours, theirs = pty.openpty()
    set_size(ours, 33, 99)
    try:
        with started(bed, *arguments, stdin=theirs, stdout=theirs, stderr=theirs,
                     start_new_session=True) as process:
            yield process, ours
    finally:
        os.close(ours)
        os.close(theirs)


def ask_size(terminal, wanted):
    """Asks the shell behind the terminal until it gives this size: resizing takes a moment."""
    def asked():
        os.write(terminal, b"echo [$(stty size)]\n")
        return wanted in read_until(terminal, b"]\r\n")
    wait_until(asked, what="the size " + wanted.decode())


def test_exec_with_a_terminal(bed, pod, transport):
    container = bed.run(pod, "c", command=SLEEP)
    with terminal_of(bed, "exec", "-it", "-r", transport, container, "sh") as (process, terminal):
        ask_size(terminal, b"[33 99]")
        set_size(terminal, 44, 111)
        process.send_signal(signal.SIGWINCH)
        ask_size(terminal, b"[44 111]")
        os.write(terminal, b"exit\n")
        assert process.wait(20) == 0


def test_a_suspended_client_of_a_terminal_loses_nothing(bed, pod, crictl_binary):
    """Ctrl-S, Ctrl-Z, a pager: the command waits for its client, however long that takes. A session
    that attaches would be given up after 30 seconds."""
    assert crictl_binary
    container = bed.run(pod, "c", command=SLEEP)
    size = 40 * MEBIBYTE  # more than all buffers on the way hold
    command = "head -c %d /dev/zero | tr '\\0' '\\100'; echo; echo all of it; exit 5\n" % size
    with contextlib.ExitStack() as stack:
        terminals = [stack.enter_context(terminal_of(
            bed, "exec", "-it", "-r", transport, container, "sh"))[1]
            for transport in ("spdy", "websocket")]
        for terminal in terminals:
            os.write(terminal, command.encode())
            read_until(terminal, b"@@@")
        # That nothing is read for so long is what is tested.
        time.sleep(35)
        # Those that came along with the first three were not counted.
        for count in count_at_signs(terminals, b"\nall of it\r\n", seconds=120):
            assert size - 4096 <= count + 3 <= size


def count_at_signs(terminals, last, seconds):
    """How many each gives until its `last` words. They are read side by side: a WebSocket's client
    takes its connection for dead when it could not read for a minute."""
    counts, ends = dict.fromkeys(terminals, 0), dict.fromkeys(terminals, b"")
    deadline = time.monotonic() + seconds
    while pending := [one for one in terminals if last not in ends[one]]:
        ready = select.select(pending, [], [], max(0, deadline - time.monotonic()))[0]
        assert ready, "no more came: %s" % ends
        for terminal in ready:
            part = os.read(terminal, 65536)
            counts[terminal] += part.count(b"@")
            ends[terminal] = ends[terminal][-len(last):] + part
    return counts.values()


def test_attach_to_a_terminal(bed, pod, transport):
    container = bed.run(pod, "c", command=["sh"], tty=True, stdin=True)
    with terminal_of(bed, "attach", "-it", "-r", transport, container) as (process, terminal):
        ask_size(terminal, b"[33 99]")
        set_size(terminal, 44, 111)
        process.send_signal(signal.SIGWINCH)
        ask_size(terminal, b"[44 111]")
        os.write(terminal, b"exit 9\n")
        process.wait(20)
    assert bed.wait_exit(container).exit_code == 9


def test_attach_carries_input_until_its_end(bed, name, transport):
    pod = bed.run_pod(name)
    container = bed.run(pod, "c", command=["cat"], stdin=True, stdin_once=True)
    done = run(bed, "attach", "-i", "-r", transport, container, input=b"one\ntwo\n")
    assert done.stdout == b"one\ntwo\n"
    # Its input ended with the client's, and with it the container.
    assert bed.wait_exit(container).exit_code == 0
    assert [line[3] for line in bed.log_lines(name, "c")] == ["one", "two"]


def test_several_that_attach_see_the_same(bed, pod, transport):
    container = bed.run(pod, "c", stdin=True,
                        command=["sh", "-c", "while read line; do echo $line; done"])
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(started(
            bed, "attach", "-i", "-r", transport, container, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE)) for _ in range(3)]
        # Each is there once its own line has come back.
        for number, client in enumerate(clients):
            os.write(client.stdin.fileno(), b"mark-%d\n" % number)
            read_until(client.stdout.fileno(), b"mark-%d\n" % number)
        os.write(clients[0].stdin.fileno(), b"for all\n")
        for client in clients:
            read_until(client.stdout.fileno(), b"for all\n")
        clients[0].kill()
        os.write(clients[1].stdin.fileno(), b"for the rest\n")
        for client in clients[1:]:
            read_until(client.stdout.fileno(), b"for the rest\n")
    assert bed.status(container).state == bed.cri.messages.CONTAINER_RUNNING

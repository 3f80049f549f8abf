"""The real crictl, as a process that a test speaks with."""

import contextlib
import os
import subprocess


def run(bed, *arguments, **more):
    return subprocess.run(bed.crictl_command(*arguments), capture_output=True, timeout=60,
                          check=False, **more)


@contextlib.contextmanager
def started(bed, *arguments, **more):
    """crictl at work; killed in the end when it still runs."""
    process = subprocess.Popen(bed.crictl_command(*arguments), **more)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe:
                pipe.close()


def read_until(descriptor, text):
    got = b""
    while text not in got:
        part = os.read(descriptor, 4096)
        assert part, "the end came after " + repr(got)
        got += part
    return got


def attach_to_the_end_of_input(bed, pod):
    """A container "c" that gives back its input and says that it is over: the client writes "hello"
    and ends."""
    container = bed.run(pod, "c", command=["sh", "-c", "cat; echo over"], stdin=True,
                        stdin_once=True)
    with started(bed, "attach", "-i", container, stdin=subprocess.PIPE,
                 stdout=subprocess.PIPE) as client:
        client.stdin.write(b"hello\n")
        client.stdin.flush()
        assert read_until(client.stdout.fileno(), b"hello\n")
        client.stdin.close()
        assert bed.wait_exit(container).exit_code == 0

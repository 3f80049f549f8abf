"""Several machines within the machine, each with a bed of its own, that share the work."""

import json
import os
import select
import socket
import sys
import threading
import time
import traceback

import machine
import suite

MESSAGE = 1 << 16
# No point takes that long.
SILENCE_SECONDS = 120


class Crew:
    """Processes that take tasks (a method of suite.Worker and its argument) from one queue."""

    def __init__(self, build, number):
        self._queue, take = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answers, answer = os.pipe()
        self._children = [self._start(build, take, answer) for _ in range(number)]
        take.close()
        os.close(answer)
        self._text = b""
        self._statuses = []
        self._feeder = None

    def _start(self, build, take, answer):
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            self._queue.close()
            machine.enter()
            # Opened anew: a lock belongs to the opening, and results of several must not mix.
            lock = open(__file__, "rb")
            worker = suite.Worker(build, suite.Reporter(answer, lock))
            try:
                worker.open()
                for task in iter(lambda: take.recv(MESSAGE), b""):
                    method, argument = json.loads(task)
                    getattr(worker, method)(*([argument] if argument is not None else []))
                    worker.report({"done": method})
                status = 0
            finally:
                worker.close()
        except BaseException:
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

    def give(self, tasks):
        """Returns at once: the queue holds only some."""
        def feed():
            for task in tasks:
                self._queue.send(json.dumps(task).encode())
        if self._feeder:
            self._feeder.join()
        self._feeder = threading.Thread(target=feed, daemon=True)
        self._feeder.start()

    def results(self, tasks):
        """The results of as many tasks, as they come; fewer when workers have died at them."""
        silent = time.monotonic()
        while tasks > 0:
            line, newline, rest = self._text.partition(b"\n")
            if newline:
                self._text = rest
                result = json.loads(line)
                if "done" in result:
                    tasks -= 1
                else:
                    yield result
                silent = time.monotonic()
            elif select.select([self._answers], [], [], SILENCE_SECONDS)[0]:
                text = os.read(self._answers, MESSAGE)
                if not text:
                    return
                self._text += text
            elif self._ended() and time.monotonic() - silent > SILENCE_SECONDS:
                return  # the others have nothing more to do

    def _ended(self):
        """Whether a worker has; none should before finish()."""
        for child in list(self._children):
            pid, status = os.waitpid(child, os.WNOHANG)
            if pid:
                self._children.remove(child)
                self._statuses.append(status)
        return bool(self._statuses)

    def finish(self):
        """Whether all workers came to a good end."""
        self._queue.close()
        self._statuses += [os.waitpid(child, 0)[1] for child in self._children]
        self._children = []
        return not any(self._statuses)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

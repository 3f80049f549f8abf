"""Several machines within the machine, each with a bed of its own, that share the work."""

import json
import os
import socket
import sys
import threading
import traceback

import machine
import suite

MESSAGE = 1 << 16


class Crew:
    """Processes that take tasks (a method of suite.Worker and its argument) from one queue."""

    def __init__(self, build, number):
        self._queue, take = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._answers, answer = os.pipe()
        self._children = [self._start(build, take, answer) for _ in range(number)]
        take.close()
        os.close(answer)
        self._lines = os.fdopen(self._answers, encoding="utf-8")
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
        """The results of as many tasks, as they come; fewer when all workers have ended."""
        while tasks > 0:
            line = self._lines.readline()
            if not line:
                return
            result = json.loads(line)
            if "done" in result:
                tasks -= 1
            else:
                yield result

    def finish(self):
        """Whether all workers came to a good end."""
        self._queue.close()
        statuses = [os.waitpid(child, 0)[1] for child in self._children]
        self._children = []
        return not any(statuses)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.finish()

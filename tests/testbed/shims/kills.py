"""Where a shim, or what is beside it, is killed: a request of the tests, met once.

The request is a file of JSON: {"whom", "what", "name", "occurrence"}. With "list" nothing is
killed; with "at" `whom` is killed at the n-th step of that name. Everybody who takes a step writes
it into FILE.steps; FILE.met says when somebody was killed.
"""

import contextlib
import fcntl
import json
import os
import time


class Kills:
    """The requests of one file; used by the tests and by all programs that take steps."""

    def __init__(self, path):
        self.path = path

    @contextlib.contextmanager
    def _alone(self):
        with open(self.path + ".lock", "wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def request(self, whom, what, name="", occurrence=0):
        self.withdraw()
        with open(self.path + ".new", "w", encoding="utf-8") as stream:
            json.dump({"whom": whom, "what": what, "name": name, "occurrence": occurrence}, stream)
        os.rename(self.path + ".new", self.path)

    def withdraw(self):
        """Takes back what was not met; gives the steps that were taken, and when somebody was
        killed, 0 for never."""
        with self._alone():
            steps, met = self._read(".steps").splitlines(), self._read(".met")
            for end in ("", ".steps", ".met"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.path + end)
        return steps, float(met or 0)

    def is_met(self):
        return os.path.exists(self.path + ".met")

    def _read(self, end):
        with contextlib.suppress(FileNotFoundError), \
                open(self.path + end, encoding="utf-8") as stream:
            return stream.read()
        return ""

    def step(self, name):
        """Whom to kill now; None nearly always."""
        if not os.path.exists(self.path):
            return None
        with self._alone():
            text = self._read("")
            if not text:
                return None
            request = json.loads(text)
            with open(self.path + ".steps", "a", encoding="utf-8") as stream:
                stream.write(name + "\n")
            if request["what"] != "at" or request["name"] != name or \
                    self._read(".steps").splitlines().count(name) != request["occurrence"]:
                return None
            os.unlink(self.path)
            with open(self.path + ".met", "w", encoding="utf-8") as stream:
                stream.write("%r" % time.time())
            return request["whom"]

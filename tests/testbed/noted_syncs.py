"""When what a daemon has written to its records is on the disk: tests/integration/noted_syncs.c,
which its program preloads, tells."""

import os
import struct

from berth_testbed import wait_until
from plugin_projects import BUILD, sanitizer_runtime

NOTES = struct.Struct("=QQ")  # how many writes there were, and how many of them are durable
LIBRARY = os.path.join(BUILD, "tests/integration/berth-noted-syncs.so")


class NotedSyncs:
    """`wrapper` is that of the daemon whose syncs are noted."""

    def __init__(self, path):
        self._path = path
        with open(path, "wb") as stream:
            stream.write(NOTES.pack(0, 0))
        # A sanitizer's runtime is to be the first.
        self.wrapper = ["env", "LD_PRELOAD=" + " ".join([*sanitizer_runtime(), LIBRARY]),
                        "BERTH_NOTED_SYNCS=" + path]

    def _read(self):
        with open(self._path, "rb") as stream:
            return NOTES.unpack(stream.read())

    def await_sync(self, seconds):
        """Returns once all that has been written by now is on the disk."""
        written, _ = self._read()
        assert written > 0, "nothing is noted"
        wait_until(lambda: self._read()[1] >= written, seconds, "the sync of what was written")

"""A process in the fake shim's machine, with its streams."""

import contextlib
import os
import threading

CREATED, RUNNING, STOPPED, PAUSED = 1, 2, 3, 4
NEVER = (1 << 64) - 62135596800  # Go's zero time, in seconds


class Process:
    """A container's first process, or one that is executed."""

    def __init__(self, key, process, terminal, streams):
        self.key = key
        self.process = dict(process, terminal=terminal)
        self.streams = streams  # paths
        self.status = CREATED
        self.code = 0
        self.exited_at = NEVER
        self.ended = threading.Event()
        self.connected = threading.Event()
        self.input_ended = threading.Event()
        self.master = None
        self.fifos = {}
        self.copying = []

    def copy(self, source, target, done=None):
        def work():
            with contextlib.suppress(OSError):
                while True:
                    data = os.read(source, 65536)
                    if not data:
                        break
                    while data:
                        data = data[os.write(target, data):]
            if done:
                done()
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        return thread

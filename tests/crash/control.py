"""The driver's side of hook.cpp: arms a program's crash point, and reads the trace of its steps."""

import mmap
import os
import struct

TRACE_AT = 64
SIZE = 1 << 20


class Control:
    """The control file of one program, which must be started with BERTH_CRASH_FOLDER=folder."""

    def __init__(self, folder, program):
        self.program = program
        file = os.open(os.path.join(folder, program), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.truncate(file, SIZE)
        self._memory = mmap.mmap(file, SIZE)
        os.close(file)

    def reset(self, countdown=0, primitive=""):
        """Forgets the trace; with `countdown` n the n-th step from now on is the program's last, or
        the n-th of that primitive."""
        self._memory[0:TRACE_AT] = struct.pack("<qQQQ32s", countdown, 0, 0, 0, primitive.encode())

    def disarm(self):
        self._memory[0:8] = struct.pack("<q", 0)

    def killed(self):
        """The process that ended itself since the last reset, or 0."""
        return struct.unpack_from("<Q", self._memory, 16)[0]

    def last_step(self):
        """The step at which a process ended itself."""
        begin = TRACE_AT + struct.unpack_from("<Q", self._memory, 24)[0]
        end = self._memory.find(b"\n", begin)
        return self._memory[begin:end].decode(errors="replace").replace("\t", " ")

    def steps(self):
        """(primitive, subject) of each step since the last reset."""
        used = struct.unpack_from("<Q", self._memory, 8)[0]
        if used > SIZE - TRACE_AT:
            raise RuntimeError("the trace of %s is full" % self.program)
        text = self._memory[TRACE_AT:TRACE_AT + used].decode(errors="replace")
        return [tuple(line.split("\t", 1)) for line in text.split("\n")[:-1]]

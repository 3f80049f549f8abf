"""The driver's side of hook.cpp: arms a program's crash point, and reads the trace of its steps."""

import mmap
import os
import struct

NAME_SIZE = 232
TRACE_AT = 256
SIZE = 16 << 20


class Control:
    """The control file of one program, which must be started with BERTH_CRASH_FOLDER=folder."""

    def __init__(self, folder, program):
        self.program = program
        file = os.open(os.path.join(folder, program), os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        os.truncate(file, SIZE)
        self._memory = mmap.mmap(file, SIZE)
        os.close(file)

    def reset(self, name="", occurrence=0):
        """Forgets the trace; with a name the n-th step of that name from now on is the program's
        last."""
        encoded = name.encode()
        if len(encoded) >= NAME_SIZE:
            raise ValueError("too long for a point's name: " + name)
        self._memory[0:TRACE_AT] = struct.pack("<qQQ%ds" % NAME_SIZE, occurrence, 0, 0, encoded)

    def disarm(self):
        self._memory[0:8] = struct.pack("<q", 0)

    def killed(self):
        """The process that ended itself since the last reset, or 0."""
        return struct.unpack_from("<Q", self._memory, 16)[0]

    def _lines(self):
        used = struct.unpack_from("<Q", self._memory, 8)[0]
        if used > SIZE - TRACE_AT:
            raise RuntimeError("the trace of %s is full" % self.program)
        text = self._memory[TRACE_AT:TRACE_AT + used].decode(errors="replace")
        return [line.split("\t") for line in text.split("\n")[:-1]]

    def steps(self):
        """The name, "PRIMITIVE<tab>SUBJECT", of each step since the last reset."""
        return ["\t".join(fields[:2]) for fields in self._lines()]

    def places(self):
        """Where these steps were told from, as hook.cpp has it, each once."""
        return sorted({fields[2] for fields in self._lines() if len(fields) > 2})

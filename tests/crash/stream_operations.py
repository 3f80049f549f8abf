"""Commands over the streaming server."""

import contextlib
import struct

import streams
from berth_testbed import wait_until
from operation import Operation, check

TRANSPORT = "websocket"
# What a client sees of an engine that dies.
LOST = (OSError, ValueError, struct.error, streams.Refused)


class ExecStream(Operation):
    """A command whose streams a client has."""

    calls = ("RuntimeService/Exec",)
    terminal = False
    answer = None

    def setup(self):
        self.running()

    def act(self):
        self.answer = None
        url = self.bed.cri.Exec({"container_id": self.container, "stdout": True,
                                 "stderr": not self.terminal, "tty": self.terminal,
                                 "cmd": ["sh", "-c", "echo from the exec; exit 3"]}).url
        with contextlib.suppress(LOST), streams.open(TRANSPORT, url) as session:
            self.answer = session.finish()

    def finish(self):
        self.act()
        check(self.answer, "the command has no end")
        output, status = self.answer
        code = status["details"]["causes"][0]["message"]
        check((output.split(b"\r\n" if self.terminal else b"\n"), code)
              == ([b"from the exec", b""], "3"),
              "the answer is %s" % (self.answer,))
        self.check_goes_on()
        wait_until(lambda: b"from the exec" not in self.bed.exec(
            self.container, "sh", "-c", "cat /proc/[0-9]*/cmdline | grep -v grep").stdout,
                   what="the end of the exec")


class ExecTerminal(ExecStream):
    """The same with a terminal."""

    terminal = True

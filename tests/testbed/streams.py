"""Clients of the streaming server, down to the bytes: for what crictl does not show or cannot do.

    with streams.open("spdy", url, ["stdout"]) as session:
        output, status = session.finish()

Both transports look the same: streams have names, the error stream is always there. A client that
does not read is one on which nothing is called. Standard library only.
"""

import base64
import json
import os
import socket
import struct
import urllib.parse
import zlib

PATIENCE = 60
# The numbers of a command's channels.
CHANNELS = ("stdin", "stdout", "stderr", "error", "resize")


class Refused(Exception):
    """The server's answer to a request that it does not serve."""

    def __init__(self, answer):
        super().__init__(answer.splitlines()[0])
        self.status = int(answer.split()[1])


class Session:
    """What both transports share: the socket, and that a session has an end."""

    def __init__(self, url, tls=None):
        parts = urllib.parse.urlsplit(url)
        self.target = parts.path + (parts.query and "?" + parts.query)
        self.socket = socket.create_connection((parts.hostname, parts.port), PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=parts.hostname)
        self._input = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self._input.close()
        self.socket.close()

    def _upgrade(self, method, headers):
        head = ["%s %s HTTP/1.1" % (method, self.target), "Host: node", "Connection: Upgrade",
                *("%s: %s" % header for header in headers.items()), "", ""]
        self.socket.sendall("\r\n".join(head).encode())
        answer = ""
        while not answer.endswith("\r\n\r\n"):
            line = self._input.readline()
            if not line:
                raise ConnectionError("no answer to the request, only " + repr(answer))
            answer += line.decode()
        if " 101 " not in answer.splitlines()[0]:
            raise Refused(answer)

    def waiting(self):
        """How many bytes, up to 64 KiB, the client has not read."""
        return len(self.socket.recv(64 << 10, socket.MSG_PEEK))

    def receive(self):
        """The next (stream's name, bytes); None once the server has said goodbye."""
        raise NotImplementedError

    def finish(self):
        """Everything of a command up to its end: (output, status object)."""
        got = {"stdout": b"", "error": b""}
        while part := self.receive():
            got[part[0]] = got.get(part[0], b"") + part[1]
        return got["stdout"], json.loads(got["error"])


class WebSocketSession(Session):
    """Channels in messages, v5. `streams` is only for the likeness: the request says which."""

    def __init__(self, url, streams=(), tls=None, protocol="v5.channel.k8s.io"):
        super().__init__(url, tls)
        self._upgrade("GET", {
            "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
            "Sec-WebSocket-Protocol": protocol})

    def send(self, stream, data):
        self._frame(0x82, bytes([CHANNELS.index(stream)]) + data)

    def end(self, stream):
        self._frame(0x82, bytes([255, CHANNELS.index(stream)]))

    def receive(self):
        while True:
            first, size = self._input.read(2)
            if size > 125:
                size, = struct.unpack(*((">H", self._input.read(2)) if size == 126 else
                                        (">Q", self._input.read(8))))
            payload = self._input.read(size)
            if first == 0x88:
                self._frame(0x88, payload)
                return None
            if payload[1:]:
                return CHANNELS[payload[0]], payload[1:]

    def _frame(self, first, payload):
        size = len(payload)
        length = bytes([0x80 | size]) if size < 126 else (
            b"\xfe" + struct.pack(">H", size) if size < 65536 else
            b"\xff" + struct.pack(">Q", size))
        # A mask of zeroes changes nothing.
        self.socket.sendall(bytes([first]) + length + bytes(4) + payload)


class SpdySession(Session):
    """SPDY/3.1, with the streams that `headers` lists or, as names of types, `streams`."""

    SYN_STREAM, RST_STREAM, GOAWAY, WINDOW_UPDATE = 1, 3, 7, 9
    END = 1

    def __init__(self, url, streams=(), tls=None, protocol="v4.channel.k8s.io", headers=None):
        super().__init__(url, tls)
        self._upgrade("POST", {"Upgrade": "SPDY/3.1", "X-Stream-Protocol-Version": protocol})
        self._deflate = zlib.compressobj()
        self._names = {}
        for each in headers or [{"streamtype": name} for name in ("error", *streams)]:
            number = 2 * len(self._names) + 1
            self._names[number] = each["streamtype"]
            self._open(number, each)
        self._open_ends = set(self._names)

    def send(self, stream, data):
        self._data(stream, 0, data)

    def end(self, stream):
        self._data(stream, self.END, b"")

    def receive(self):
        while self._open_ends:
            first, size = struct.unpack(">II", self._input.read(8))
            flags, payload = size >> 24, self._input.read(size & 0xffffff)
            if first >> 31:
                kind = first & 0xffff
                if kind == self.GOAWAY:
                    return None
                if kind == self.RST_STREAM:
                    self._open_ends.discard(struct.unpack(">I", payload[:4])[0])
                continue
            if flags & self.END:
                self._open_ends.discard(first)
            if payload:
                for number in (0, first):
                    self._control(self.WINDOW_UPDATE, struct.pack(">II", number, len(payload)))
                return self._names[first], payload
        return None

    def _open(self, number, headers):
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for text in (name.encode(), value.encode()):
                plain += struct.pack(">I", len(text)) + text
        block = self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        self._control(self.SYN_STREAM, struct.pack(">IIH", number, 0, 0) + block)

    def _control(self, kind, payload):
        self.socket.sendall(struct.pack(">HHI", 0x8003, kind, len(payload)) + payload)

    def _data(self, stream, flags, data):
        number = next(key for key, name in self._names.items() if name == stream)
        self.socket.sendall(struct.pack(">II", number, flags << 24 | len(data)) + data)


def open(transport, url, streams=("stdout",), tls=None):  # of the module, as streams.open
    kind = {"spdy": SpdySession, "websocket": WebSocketSession}[transport]
    return kind(url, streams, tls)

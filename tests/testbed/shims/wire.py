"""ttrpc, as far as a peer in a test needs it: frames, and the fields of messages."""

import socket
import struct

HEADER = struct.Struct(">IIBB")
REQUEST, RESPONSE = 1, 2
LONGEST = 4 << 20


def read_exactly(connection, size):
    """That many bytes; None when the connection ends before."""
    found = b""
    while len(found) < size:
        try:
            more = connection.recv(size - len(found))
        except OSError:
            return None
        if not more:
            return None
        found += more
    return found


def read_frame(connection):
    """(stream, kind, content), or None at the end of the connection."""
    header = read_exactly(connection, HEADER.size)
    if header is None:
        return None
    length, stream, kind, _ = HEADER.unpack(header)
    if length > LONGEST:
        raise ValueError("a frame of %d bytes" % length)
    content = read_exactly(connection, length)
    return None if content is None else (stream, kind, content)


def frame(stream, kind, content):
    return HEADER.pack(len(content), stream, kind, 0) + content


# Messages, for those who look at a few fields of them.

def _number(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def fields(data):
    """(number, value) of each field: an integer, or bytes."""
    at = 0
    while at < len(data):
        key, at = _number(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _number(data, at)
        elif kind == 2:
            length, at = _number(data, at)
            value, at = data[at:at + length], at + length
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            value, at = int.from_bytes(data[at:at + size], "little"), at + size
        else:
            raise ValueError("a field of kind %d" % kind)
        yield key >> 3, value


def first(data, number, default=b""):
    return next((value for field, value in fields(data) if field == number), default)


def varint(value):
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])


def field(number, value):
    """Bytes, text or a number as a field."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    encoded = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(encoded)) + encoded


def call(address, service, method, payload, seconds=5):
    """One call over a connection of its own; the answer's payload."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(seconds)
        connection.connect(address.removeprefix("unix://"))
        connection.sendall(frame(1, REQUEST, field(1, service) + field(2, method)
                                 + field(3, payload)))
        answer = read_frame(connection)
    if answer is None:
        raise ConnectionError("%s closed the connection" % address)
    status = first(answer[2], 1)
    if status:
        raise RuntimeError("%s: %s" % (method, first(status, 2).decode()))
    return first(answer[2], 2)

"""Layers that clients may read in part: eStargz and zstd:chunked.

To all others they are ordinary layers. Made as the formats' own documents say: eStargz
(stargz-snapshotter, "eStargz: Standard-Compatible Extension to Container Image Layers"), and what
containers/storage writes as zstd:chunked.
"""

import gzip
import hashlib
import io
import json
import struct
import tarfile

BLOCK = 512
END = bytes(2 * BLOCK)
TABLE = "stargz.index.json"
LANDMARK = ".no.prefetch.landmark"
SKIPPABLE = 0x184D2A50


def entries(data):
    """The archive's entries, each with its header and padding, and its description."""
    found = []
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        begin = 0
        while (member := archive.next()) is not None:
            found.append((begin, member))
            begin = archive.offset
    ends = [at for at, _ in found[1:]] + [begin]
    return [(data[at:end], member) for (at, member), end in zip(found, ends)]


def rest(data):
    """The archive's end, behind its last entry."""
    return data[sum(len(part) for part, _ in entries(data)):]


def entry(name, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o444
        archive.addfile(info, io.BytesIO(content))
    return entries(buffer.getvalue())[0][0]


def described(member, offset):
    kind = "reg" if member.isreg() else "dir" if member.isdir() else "symlink"
    return {"name": member.name, "type": kind, "size": member.size, "offset": offset,
            "mode": member.mode}


def with_table(data):
    """The archive as eStargz has it: with a landmark, and a table of contents as its last file."""
    parts = [entry(LANDMARK, b"\x0f"), *(part for part, _ in entries(data))]
    table, offset = [], 0
    for part in parts:
        with tarfile.open(fileobj=io.BytesIO(part + END)) as archive:
            table.append(described(archive.next(), offset))
        offset += len(gzip.compress(part, mtime=0))
    text = json.dumps({"version": 1, "entries": table}).encode()
    return b"".join(parts) + entry(TABLE, text) + END


def estargz(data):
    """Each entry, the table and the archive's end are gzip members; behind them is a footer."""
    members = [gzip.compress(part, mtime=0) for part, _ in entries(data)]
    table_at = sum(map(len, members[:-1]))
    position = b"%016xSTARGZ" % table_at
    extra = b"SG" + struct.pack("<H", len(position)) + position
    footer = (b"\x1f\x8b\x08\x04" + bytes(4) + b"\x00\xff" + struct.pack("<H", len(extra)) + extra +
              b"\x01\x00\x00\xff\xff" + bytes(8))
    assert len(footer) == 51 and gzip.decompress(footer) == b""
    return b"".join(members) + gzip.compress(rest(data), mtime=0) + footer


def zstd_chunked(data, compress):
    """Each entry is a frame; the manifest and the footer are frames that are skipped."""
    frames, table, at = [], [], 0
    for part, member in entries(data):
        frames.append(compress(part))
        table.append({**described(member, at), "endOffset": at + len(frames[-1])})
        at += len(frames[-1])
    frames.append(compress(rest(data)))
    manifest = json.dumps({"version": 1, "entries": table}).encode()
    packed = compress(manifest)
    place = sum(map(len, frames)) + 8
    footer = struct.pack("<QQQQ", place, len(packed), len(manifest), 1) + b"GNUlInUx"
    return b"".join([*frames, skipped(packed), skipped(footer)])


def skipped(payload):
    return struct.pack("<II", SKIPPABLE, len(payload)) + payload


def annotations(data, compression):
    """What such a layer's descriptor says of it."""
    if compression == "estargz":
        table = [part for part, _ in entries(data)][-1]
        with tarfile.open(fileobj=io.BytesIO(table + END)) as archive:
            text = archive.extractfile(archive.next()).read()
        return {"containerd.io/snapshot/stargz/toc.digest":
                "sha256:" + hashlib.sha256(text).hexdigest()}
    return {"io.github.containers.zstd-chunked.manifest-checksum":
            "sha256:" + hashlib.sha256(data).hexdigest()}

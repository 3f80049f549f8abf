"""A disk whose writes are recorded in their order, and what it holds after a power cut.

QEMU's storage daemon shows the disk as a file (FUSE) and logs each write and flush to it in the
format of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/log-writes.rst). What
a real disk has after a cut is what was written before the last flush, and of what came later any
part.
"""

import itertools
import os
import random
import select
import signal
import struct
import subprocess

SECTOR = 512
SUPER = struct.Struct("<QQQI")   # magic, version, number of entries, sector size
ENTRY = struct.Struct("<QQQQ")   # sector, number of sectors, flags, length of other data
MAGIC = 0x6A736677736872
FLUSH, FUA, DISCARD, MARK = 1, 2, 4, 8
END_SECONDS = 20
LOG_BYTES = 4 << 30              # sparse: more than is ever written


class RecordedDisk:
    """An ext4 file system of `size` bytes; everything is kept below `folder`."""

    def __init__(self, folder, size=512 << 20):
        os.makedirs(folder, exist_ok=True)
        self.folder = folder
        self._base = os.path.join(folder, "base")
        self._data = os.path.join(folder, "data")
        self._log = os.path.join(folder, "log")
        self._shown = os.path.join(folder, "shown")
        self._target = None
        self._pidfd = None
        for path, length in ((self._base, size), (self._log, LOG_BYTES), (self._shown, 0)):
            with open(path, "wb") as stream:
                stream.truncate(length)
        # Nothing is to be written but what somebody has written.
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard",
                        self._base], check=True)
        _copy(self._base, self._data)

    def mount(self, target):
        """Mounts it, and records from here on until close()."""
        os.makedirs(target, exist_ok=True)
        subprocess.run(
            ["qemu-storage-daemon",
             "--blockdev", "driver=file,node-name=data,filename=" + self._data,
             "--blockdev", "driver=file,node-name=log,filename=" + self._log,
             "--blockdev", "driver=blklogwrites,node-name=disk,file=data,log=log",
             "--export", "type=fuse,id=shown,node-name=disk,writable=on,mountpoint=" + self._shown,
             "--daemonize", "--pidfile", self._shown + ".pid"],
            stdin=subprocess.DEVNULL, check=True)
        with open(self._shown + ".pid", encoding="ascii") as stream:
            self._pidfd = os.pidfd_open(int(stream.read()))
        mount(self._shown, target)
        self._target = target

    def close(self):
        """Idempotent. The log stays."""
        if self._target:
            unmount(self._target)
            self._target = None
        if self._pidfd is not None:
            # It unmounts what it shows.
            signal.pidfd_send_signal(self._pidfd, signal.SIGTERM)
            select.select([self._pidfd], [], [], END_SECONDS)
            os.close(self._pidfd)
            self._pidfd = None

    def flushed(self):
        """How many entries the log has up to the last flush: what they wrote is not lost again."""
        with open(self._log, "rb") as stream:
            magic, version, count, sector = SUPER.unpack(stream.read(SUPER.size))
        if (magic, version, sector) != (MAGIC, 1, SECTOR):
            raise RuntimeError("this is no log of writes")
        return count

    def entries(self):
        """(flags, offset, data) of each, in the order in which they were made."""
        with open(self._log, "rb") as stream:
            at = SECTOR
            for _ in range(self.flushed()):
                stream.seek(at)
                sector, sectors, flags, more = ENTRY.unpack(stream.read(ENTRY.size))
                at += SECTOR + -(-more // SECTOR) * SECTOR
                data = b""
                if sectors and not flags & DISCARD:
                    stream.seek(at)
                    data = stream.read(sectors * SECTOR)
                    at += len(data)
                yield flags, sector * SECTOR, data

    def cuts(self, begin=0):
        """For each cut from that entry of the log on: a file with what the disk holds after it, which is the caller's from then
        on, and how many entries of the log are certain. Between two flushes there are two cuts: all
        is lost that was written since the first, or some of it."""
        chance = random.Random(1)
        certain = self._base + "-certain"
        _copy(self._base, certain)
        numbers = itertools.count(1)
        count, since = 0, []

        def cut(extra):
            image = "%s-cut-%d" % (self._base, next(numbers))
            _copy(certain, image)
            _write(image, extra)
            return image, count

        for flags, offset, data in self.entries():
            if flags & FLUSH and since:
                if count >= begin:
                    yield cut([])
                    yield cut([write for write in since if chance.random() < 0.5])
                _write(certain, since)
                since = []
            if data:
                since.append((offset, data))
            count += 1
            if flags & FUA and data:
                _write(certain, [since.pop()])
        _write(certain, since)
        yield cut([])
        os.unlink(certain)


def mount(image, target):
    """A file that is a disk; its loop device goes with the mount."""
    subprocess.run(["mount", "-o", "loop", image, target], check=True)


def unmount(target):
    subprocess.run(["umount", target], check=True)


def _copy(source, target):
    subprocess.run(["cp", "--sparse=always", source, target], check=True)


def _write(image, writes):
    with open(image, "r+b") as stream:
        for offset, data in writes:
            stream.seek(offset)
            stream.write(data)

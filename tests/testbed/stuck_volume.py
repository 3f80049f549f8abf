"""A volume whose file is never read to its end, or not even found: the kernel holds who tries, also
after SIGKILL.

    with StuckVolume(folder) as volume:
        …  # a container reads {volume.file}
        volume.await_reader()
        volume.release()

It is a FUSE file system that is served here. Once its server has taken a request, who has made it
waits uninterruptibly. The end of this process ends the wait in any case, with its descriptor.
"""

import contextlib
import errno
import os
import select
import stat
import struct
import threading

import host
from berth_testbed import wait_until

LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS = 1, 2, 3, 14, 15, 17
RELEASE, FLUSH, INIT, OPENDIR, RELEASEDIR, INTERRUPT, BATCH_FORGET = 18, 25, 26, 27, 29, 36, 42
# <linux/fuse.h>: fuse_in_header, fuse_out_header, fuse_init_out, fuse_entry_out, fuse_attr_out,
# fuse_attr, fuse_open_out.
IN_HEADER = struct.Struct("<IIQQIIIHH")
OUT_HEADER = struct.Struct("<IiQ")
INIT_OUT = struct.Struct("<IIIIHHIIHHII24x")
ENTRY_OUT = struct.Struct("<QQQQII")
ATTR_OUT = struct.Struct("<QII")
ATTR = struct.Struct("<QQQQQQIIIIIIIIII")
OPEN_OUT = struct.Struct("<QII")
STATFS_BYTES = 80
VERSION = (7, 31)
DIRECT_IO = 1
REQUEST_BYTES = 256 << 10
ROOT, FILE = 1, 2
NAME = "held"
KEPT_SECONDS = 3600  # what the kernel knows it does not ask for again


def attributes(node):
    mode, size = (stat.S_IFDIR | 0o755, 0) if node == ROOT else (stat.S_IFREG | 0o644, 4096)
    return ATTR.pack(node, size, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)


class Request:
    """What the kernel asks."""

    def __init__(self, content):
        (_, self.operation, self.unique, self.node, _, _, self.pid, _,
         _) = IN_HEADER.unpack_from(content)
        self.name = content[IN_HEADER.size:].rstrip(b"\0")


class StuckVolume:
    """A folder with one file. See the module's comment; `holds` is what is not answered."""

    def __init__(self, folder, holds=READ):
        self.folder = str(folder)
        self.file = os.path.join(self.folder, NAME)
        self._held = {}
        self._lock = threading.Lock()
        self._holds = holds
        self._end, self._tell = os.pipe()
        self._device = os.open("/dev/fuse", os.O_RDWR | os.O_NONBLOCK)
        options = "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other" % self._device
        host.check(host.libc.mount(b"stuck", self.folder.encode(), b"fuse", 0, options.encode()),
                   "mount on " + self.folder)
        self._server = threading.Thread(target=self._serve)
        self._server.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self._tell)
        self._server.join()
        # Aborts what still waits, so that nothing needs an answer to be unmounted.
        os.close(self._device)
        os.close(self._end)
        host.unmount_all(self.folder)

    def await_reader(self):
        """The process that is held, or its thread."""
        def only():
            with self._lock:
                return list(self._held.values())
        return wait_until(only, what="a process that is held")[0].pid

    def release(self):
        """Answers everybody, from now on at once."""
        with self._lock:
            self._holds = None
            for request in self._held.values():
                self._reply(request)
            self._held.clear()

    def _serve(self):
        while True:
            ready, _, _ = select.select([self._device, self._end], [], [])
            if self._end in ready:
                return
            with contextlib.suppress(BlockingIOError):
                self._take(Request(os.read(self._device, REQUEST_BYTES)))

    def _take(self, request):
        if request.operation in (FORGET, BATCH_FORGET, INTERRUPT):
            return  # these have no answer
        with self._lock:
            if request.operation == self._holds:
                self._held[request.unique] = request
                return
        self._reply(request)

    def _reply(self, request):
        answers = {
            INIT: lambda: INIT_OUT.pack(*VERSION, 0, 0, 16, 12, 65536, 1, 0, 0, 0, 0),
            GETATTR: lambda: ATTR_OUT.pack(KEPT_SECONDS, 0, 0) + attributes(request.node),
            OPEN: lambda: OPEN_OUT.pack(0, DIRECT_IO, 0),
            OPENDIR: lambda: OPEN_OUT.pack(0, 0, 0),
            STATFS: lambda: bytes(STATFS_BYTES),
            READ: bytes, RELEASE: bytes, RELEASEDIR: bytes, FLUSH: bytes}
        if request.operation == LOOKUP and request.name == NAME.encode():
            self._answer(request.unique, ENTRY_OUT.pack(FILE, 0, KEPT_SECONDS, KEPT_SECONDS, 0, 0)
                         + attributes(FILE))
        elif request.operation in answers:
            self._answer(request.unique, answers[request.operation]())
        else:
            self._answer(request.unique,
                         error=errno.ENOENT if request.operation == LOOKUP else errno.ENOSYS)

    def _answer(self, unique, content=b"", error=0):
        # Who asked may have ended meanwhile.
        with contextlib.suppress(FileNotFoundError):
            os.write(self._device, OUT_HEADER.pack(
                OUT_HEADER.size + len(content), -error, unique) + content)

"""Building blocks for container images: layers, configurations, manifests, indexes.

Everything is deterministic: the same inputs give the same bytes, so that digests are stable and
an OCI layout can be kept from one run to the next. Standard library only; zstd goes through the
libzstd that every Debian has.
"""

import ctypes
import dataclasses
import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
import tempfile

import seekable

EPOCH = "1970-01-01T00:00:00Z"

OCI = "application/vnd.oci.image."
DOCKER = "application/vnd.docker."

LAYER_TYPES = {
    ("oci", "gzip"): OCI + "layer.v1.tar+gzip",
    ("oci", "zstd"): OCI + "layer.v1.tar+zstd",
    ("oci", "estargz"): OCI + "layer.v1.tar+gzip",
    ("oci", "zstd:chunked"): OCI + "layer.v1.tar+zstd",
    ("oci", "plain"): OCI + "layer.v1.tar",
    ("docker", "gzip"): DOCKER + "image.rootfs.diff.tar.gzip",
    ("docker", "plain"): DOCKER + "image.rootfs.diff.tar",
}
MANIFEST_TYPES = {
    "oci": OCI + "manifest.v1+json",
    "docker": DOCKER + "distribution.manifest.v2+json",
}
CONFIG_TYPES = {
    "oci": OCI + "config.v1+json",
    "docker": DOCKER + "container.image.v1+json",
}
INDEX_TYPES = {
    "oci": OCI + "index.v1+json",
    "docker": DOCKER + "distribution.manifest.list.v2+json",
}


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def host_architecture():
    """This machine's architecture in the words of the image specification."""
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64le"}.get(machine, machine)


def zstd_compress(data, level=3):
    library = ctypes.CDLL("libzstd.so.1")
    library.ZSTD_compressBound.restype = ctypes.c_size_t
    library.ZSTD_compress.restype = ctypes.c_size_t
    library.ZSTD_isError.argtypes = [ctypes.c_size_t]
    bound = library.ZSTD_compressBound(ctypes.c_size_t(len(data)))
    out = ctypes.create_string_buffer(bound)
    size = library.ZSTD_compress(
        out, ctypes.c_size_t(bound), data, ctypes.c_size_t(len(data)), ctypes.c_int(level))
    if library.ZSTD_isError(size):
        raise RuntimeError("libzstd could not compress a layer")
    return out.raw[:size]


def compress(data, compression):
    if compression == "gzip":
        return gzip.compress(data, compresslevel=6, mtime=0)
    if compression == "zstd":
        return zstd_compress(data)
    if compression == "estargz":
        return seekable.estargz(data)
    if compression == "zstd:chunked":
        return seekable.zstd_chunked(data, zstd_compress)
    return data


class Layer:
    """One layer's tar stream, entry by entry. Entries keep the order in which they were added."""

    def __init__(self):
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(fileobj=self._buffer, mode="w", format=tarfile.PAX_FORMAT)
        self._directories = set()
        self._finished = None

    def _entry(self, path, kind, mode, uid, gid, xattrs=None):
        info = tarfile.TarInfo(path)
        info.type = kind
        info.mode = mode
        info.uid = uid
        info.gid = gid
        info.mtime = 0
        if xattrs:
            info.pax_headers = {
                "SCHILY.xattr." + name: value.decode("utf-8", "surrogateescape")
                for name, value in xattrs.items()
            }
        return info

    def _parents(self, path):
        parts = path.strip("/").split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            parent = "/".join(parts[:depth])
            if parent not in self._directories:
                self.directory(parent)

    def directory(self, path, mode=0o755, uid=0, gid=0, xattrs=None):
        path = path.strip("/")
        self._parents(path)
        self._directories.add(path)
        self._tar.addfile(self._entry(path + "/", tarfile.DIRTYPE, mode, uid, gid, xattrs))
        return self

    def file(self, path, data, mode=0o644, uid=0, gid=0, xattrs=None):
        path = path.lstrip("/")
        self._parents(path)
        data = data.encode() if isinstance(data, str) else data
        info = self._entry(path, tarfile.REGTYPE, mode, uid, gid, xattrs)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def host_file(self, path, source, mode=None):
        """Copies a file of this machine; `source` may be a symbolic link."""
        with open(source, "rb") as stream:
            data = stream.read()
        mode = stat.S_IMODE(os.stat(source).st_mode) if mode is None else mode
        return self.file(path, data, mode)

    def hard_link(self, path, target):
        path = path.lstrip("/")
        self._parents(path)
        info = self._entry(path, tarfile.LNKTYPE, 0o755, 0, 0)
        info.linkname = target.lstrip("/")
        self._tar.addfile(info)
        return self

    def symbolic_link(self, path, target):
        path = path.lstrip("/")
        self._parents(path)
        info = self._entry(path, tarfile.SYMTYPE, 0o777, 0, 0)
        info.linkname = target
        self._tar.addfile(info)
        return self

    def node(self, path, kind, major=0, minor=0, mode=0o600):
        """`kind` is tarfile.CHRTYPE, BLKTYPE or FIFOTYPE."""
        path = path.lstrip("/")
        self._parents(path)
        info = self._entry(path, kind, mode, 0, 0)
        info.devmajor, info.devminor = major, minor
        self._tar.addfile(info)
        return self

    def whiteout(self, path):
        """Hides `path` of the layers below (image specification, layer.md: whiteouts)."""
        head, _, name = path.strip("/").rpartition("/")
        return self.raw_file((head + "/" if head else "") + ".wh." + name)

    def opaque(self, directory):
        """Hides all children of `directory` in the layers below."""
        return self.raw_file(directory.strip("/") + "/.wh..wh..opq")

    def raw_file(self, path, data=b""):
        """A file entry under exactly this name: no parent entries, no clean-up of the name."""
        info = self._entry(path, tarfile.REGTYPE, 0o644, 0, 0)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))
        return self

    def bytes(self):
        if self._finished is None:
            self._tar.close()
            self._finished = self._buffer.getvalue()
        return self._finished


def sparse_layer(name, tar_format, logical_size, pieces):
    """A layer with one sparse file, written by GNU tar in `tar_format` (gnu or posix).

    `pieces` maps offsets to bytes; everything else is a hole.
    """
    with tempfile.TemporaryDirectory(prefix="berth-sparse-") as folder:
        path = os.path.join(folder, name)
        with open(path, "wb") as stream:
            os.truncate(path, logical_size)
            for offset, data in sorted(pieces.items()):
                stream.seek(offset)
                stream.write(data)
        os.chmod(path, 0o644)
        options = ["--sparse", "--format=" + tar_format, "--owner=0", "--group=0",
                   "--numeric-owner", "--mtime=@0", "--sort=name", "-b", "1"]
        if tar_format == "posix":
            options.append("--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime")
        made = subprocess.run(["tar", "-C", folder, "-c", *options, name],
                              check=True, stdout=subprocess.PIPE)
    return made.stdout


@dataclasses.dataclass
class Image:
    """What a manifest is made of. `layers` are pairs of tar bytes and compression."""

    layers: list
    config: dict = dataclasses.field(default_factory=dict)
    schema: str = "oci"
    architecture: str = dataclasses.field(default_factory=host_architecture)
    # Overrides that make broken images for the tests of bad input.
    diff_ids: list = None
    config_bytes: bytes = None
    config_type: str = None


class Layout:
    """An OCI image layout folder that is being written (image-layout.md)."""

    def __init__(self, folder):
        self.folder = folder
        self.entries = []
        self._compressed = {}
        os.makedirs(os.path.join(folder, "blobs/sha256"))
        self._write("oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())

    def _write(self, name, data):
        with open(os.path.join(self.folder, name), "wb") as stream:
            stream.write(data)

    def blob(self, data, media_type, **extra):
        digest = sha256(data)
        self._write("blobs/sha256/" + digest.split(":")[1], data)
        return {"mediaType": media_type, "digest": digest, "size": len(data), **extra}

    def _json_blob(self, value, media_type, **extra):
        return self.blob(json.dumps(value, sort_keys=True).encode(), media_type, **extra)

    def layer(self, data, compression, schema):
        key = (sha256(data), compression)
        if key not in self._compressed:
            self._compressed[key] = compress(data, compression)
        more = {}
        if compression in ("estargz", "zstd:chunked"):
            more["annotations"] = seekable.annotations(data, compression)
        return self.blob(self._compressed[key], LAYER_TYPES[schema, compression], **more)

    def manifest(self, image):
        """Writes the image's blobs and gives the descriptor of its manifest."""
        config = {
            "created": EPOCH,
            "architecture": image.architecture,
            "os": "linux",
            "config": image.config,
            "rootfs": {
                "type": "layers",
                "diff_ids": image.diff_ids or [sha256(data) for data, _ in image.layers],
            },
            "history": [{"created": EPOCH, "created_by": "berth test bed"} for _ in image.layers],
        }
        config_bytes = image.config_bytes or json.dumps(config, sort_keys=True).encode()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPES[image.schema],
            "config": self.blob(config_bytes, image.config_type or CONFIG_TYPES[image.schema]),
            "layers": [self.layer(data, how, image.schema) for data, how in image.layers],
        }
        platform = {"os": "linux", "architecture": image.architecture}
        return self._json_blob(manifest, MANIFEST_TYPES[image.schema], platform=platform)

    def index(self, images, schema="oci"):
        """Writes several platforms' images and gives the descriptor of their index."""
        value = {
            "schemaVersion": 2,
            "mediaType": INDEX_TYPES[schema],
            "manifests": [self.manifest(image) for image in images],
        }
        return self._json_blob(value, INDEX_TYPES[schema])

    def tag(self, reference, descriptor):
        """Names a manifest or index with a whole reference, host and tag included."""
        named = dict(descriptor)
        named["annotations"] = {"org.opencontainers.image.ref.name": reference}
        self.entries.append(named)
        return descriptor["digest"]

    def finish(self):
        index = {"schemaVersion": 2, "mediaType": INDEX_TYPES["oci"], "manifests": self.entries}
        self._write("index.json", json.dumps(index, indent=1, sort_keys=True).encode())


def read_layout(folder):
    """The named descriptors of a finished layout: reference → descriptor."""
    with open(os.path.join(folder, "index.json"), encoding="utf-8") as stream:
        index = json.load(stream)
    return {entry["annotations"]["org.opencontainers.image.ref.name"]: entry
            for entry in index["manifests"]}


def read_blob(folder, digest):
    with open(os.path.join(folder, "blobs", *digest.split(":")), "rb") as stream:
        return stream.read()

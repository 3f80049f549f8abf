"""An image of whole trees of this host, made by umoci, pulled, and compared with what others make
of it, file by file."""

import hashlib
import json
import os
import shutil
import stat
import subprocess

import pytest

from asking import out
from image_set import TESTS
from oci_images import read_blob
from registry import Registry
from test_containers import SLEEP
from test_layers import process_of

pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(shutil.which("umoci") is None, reason="umoci is not installed")]

HOST = "trees.berth.test"
TREES = ["/usr/include", "/usr/lib/gcc"]  # some hundred MiB, and thousands of small files
LEFT_OUT = ["usr/include/boost", "usr/include/node"]  # where they are, more of the same
MOST_MEMORY = 64 << 20
# What lies on the host's own file system, and what overlayfs sets for itself.
NOT_CONTENT = ("security.selinux", "trusted.overlay.")

# On top of the first layer: what goes, what becomes something else, and what is special.
CHANGES = r"""
set -e
rm -r usr/include/linux usr/include/stdio.h
rm -r usr/include/asm-generic && printf 'a file now' > usr/include/asm-generic
rm usr/include/stdlib.h && mkdir usr/include/stdlib.h && printf x > usr/include/stdlib.h/inside
rm -r usr/include/rpc* usr/include/net && mkdir usr/include/net && printf new > usr/include/net/new
chmod 1777 usr/lib/gcc && chown 1234:4000000000 usr/include/math.h && chmod 4711 usr/include/math.h
cp /bin/true capable && setcap cap_net_raw+ep capable && setfattr -n user.note -v hello capable
ln capable linked && ln -s ../../etc/x dangling && mkfifo pipe && mknod null c 1 3
truncate -s 20M holes && printf tail | dd of=holes bs=1 seek=10000000 conv=notrunc status=none
printf x > "$(printf 'b\377d name')"
deep=$(printf 'x%.0s' $(seq 200)); mkdir -p $deep/$deep && printf deep > $deep/$deep/$deep
"""


class Trees:
    """The image as an OCI layout with the tags "first", of one layer, and "second", of two."""

    def __init__(self, folder):
        self.layout = folder / "layout"
        bundle = folder / "bundle"
        self.umoci("init", "--layout", self.layout)
        self.umoci("new", "--image", self._tagged("first"))
        self.umoci("unpack", "--image", self._tagged("first"), bundle)
        for tree in TREES:
            parent = bundle / "rootfs" / os.path.dirname(tree)[1:]
            parent.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", tree, parent], check=True)
        for folder in LEFT_OUT:
            shutil.rmtree(bundle / "rootfs" / folder, ignore_errors=True)
        self.umoci("repack", "--refresh-bundle", "--image", self._tagged("first"), bundle)
        subprocess.run(["sh", "-c", CHANGES], cwd=bundle / "rootfs", check=True)
        self.umoci("repack", "--image", self._tagged("second"), bundle)
        shutil.rmtree(bundle)

    def _tagged(self, tag):
        return "%s:%s" % (self.layout, tag)

    @staticmethod
    def umoci(*arguments):
        made = subprocess.run(["umoci", *map(str, arguments)], check=False, text=True,
                              capture_output=True, timeout=300)
        assert made.returncode == 0, made.stderr

    def unpack(self, tag, folder):
        self.umoci("unpack", "--image", self._tagged(tag), folder)
        return folder / "rootfs"

    def only_layer(self, tag):
        """The path of its blob."""
        index = json.loads((self.layout / "index.json").read_text())
        [entry] = [one for one in index["manifests"]
                   if one["annotations"]["org.opencontainers.image.ref.name"] == tag]
        [layer] = json.loads(read_blob(str(self.layout), entry["digest"]))["layers"]
        assert layer["size"] > 30 << 20
        return self.layout / "blobs" / layer["digest"].replace(":", "/")


class TreeRegistry(Registry):
    """A docker-registry that holds the trees alone."""

    def __init__(self, trees, folder):
        os.makedirs(folder / "storage")
        self.layout, self.storage, self.images = str(trees.layout), str(folder / "storage"), {}
        self._log_folder = str(folder / "log")
        self._user = self._password = self._process = None

    def __enter__(self):
        self.start()
        for tag in ("first", "second"):
            subprocess.run(
                ["skopeo", "--insecure-policy", "copy", "--quiet", "--preserve-digests",
                 "--dest-tls-verify=false", "oci:%s:%s" % (self.layout, tag),
                 "docker://127.0.0.1:%d/%s/tree:%s" % (self.port, HOST, tag)],
                check=True, timeout=300)
        return self


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    yield Trees(folder)
    shutil.rmtree(folder)


def xattrs(path):
    return {name: os.getxattr(path, name, follow_symlinks=False)
            for name in os.listxattr(path, follow_symlinks=False)
            if not name.startswith(NOT_CONTENT)}


def content(path, info):
    if stat.S_ISLNK(info.st_mode):
        return os.readlink(path)
    if not stat.S_ISREG(info.st_mode):
        return info.st_rdev
    digest = hashlib.sha256()
    with open(path, "rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return (info.st_size, digest.hexdigest())


def tree(root):
    """Path → all that must be the same, of what is below `root`."""
    found, firsts = {}, {}
    root = os.fsencode(root)
    for folder, folders, files in os.walk(root):
        for name in sorted(folders + files):
            path = os.path.join(folder, name)
            info = os.lstat(path)
            relative = os.path.relpath(path, root)
            is_folder = stat.S_ISDIR(info.st_mode)
            found[relative] = {
                "mode": oct(info.st_mode), "owner": (info.st_uid, info.st_gid),
                "time": info.st_mtime_ns, "xattrs": xattrs(path),
                "content": None if is_folder else content(path, info),
                "links": None if is_folder else info.st_nlink,
                "first": None if is_folder else firsts.setdefault(info.st_ino, relative)}
    # Names of one file are known by their least.
    least = {}
    for path, one in found.items():
        least[one["first"]] = min(path, least.get(one["first"], path))
    for one in found.values():
        one["first"] = one["first"] and least[one["first"]]
    return found


def same(ours, theirs):
    assert len(theirs) > 1000
    assert sorted(ours.keys() - theirs.keys()) == sorted(theirs.keys() - ours.keys()) == []
    differing = {path: [(key, ours[path][key], value) for key, value in one.items()
                        if ours[path][key] != value]
                 for path, one in theirs.items() if ours[path] != one}
    assert not differing, (len(differing), list(differing.items())[:5])


def memory(pid, name):
    with open("/proc/%d/status" % pid, encoding="ascii") as lines:
        [line] = [line for line in lines if line.startswith(name + ":")]
    return int(line.split()[1]) << 10


def pull_and_measure(bed, reference):
    """How much more memory than before the daemon has had."""
    pid = bed.pid
    with open("/proc/%d/clear_refs" % pid, "w", encoding="ascii") as clear:
        clear.write("5")  # the peak
    before = memory(pid, "VmRSS")
    bed.pull(reference)
    return memory(pid, "VmHWM") - before


def test_whole_trees(own_bed, trees, tmp_path):
    def mirrors(bed):
        registry = bed.also.enter_context(TreeRegistry(trees, tmp_path))
        return {HOST: ["http://127.0.0.1:%d/%s" % (registry.port, HOST)]}

    bed = own_bed(more_mirrors=mirrors)
    pod = bed.run_pod("trees")
    bed.pull()
    used = pull_and_measure(bed, HOST + "/tree:first")
    assert used < MOST_MEMORY, used
    used = pull_and_measure(bed, HOST + "/tree:second")
    assert used < MOST_MEMORY, used
    container = bed.run(pod, "c", command=SLEEP, mounts=[
        {"container_path": "/" + tag, "readonly": True,
         "image": {"image": HOST + "/tree:" + tag}} for tag in ("first", "second")])
    assert out(bed, container, "ls", "/second/usr").split() == ["include", "lib"]
    root = "/proc/%d/root" % process_of(bed, container)

    gnu = tmp_path / "gnu"
    gnu.mkdir()
    # A directory's entries need not stand together.
    subprocess.run(["tar", "-C", gnu, "--xattrs", "--xattrs-include=*", "--numeric-owner",
                    "--delay-directory-restore", "-xpf", trees.only_layer("first")], check=True)
    same(tree(root + "/first"), tree(gnu))
    shutil.rmtree(gnu)
    ours, theirs = tree(root + "/second"), tree(trees.unpack("second", tmp_path / "umoci"))
    # The upper layer only implies it: it has the owner and mode from below, and a time of its own.
    del ours[b"usr"]["time"], theirs[b"usr"]["time"]
    same(ours, theirs)


ONE_BY_ONE = "[images]\nmax_concurrent_downloads = 1\nmax_concurrent_unpacks = 1\n"


def test_layers_that_come_side_by_side_are_those_that_come_one_by_one(own_bed):
    found = {"layers": [], "many-layers": []}
    for settings in (ONE_BY_ONE, ""):
        bed = own_bed(settings=settings)
        pod = bed.run_pod("pod")
        for number, (name, trees) in enumerate(found.items()):
            bed.pull(TESTS + name + ":1")
            container = bed.run(pod, "c%d" % number, command=SLEEP, mounts=[
                {"container_path": "/mnt", "readonly": True,
                 "image": {"image": TESTS + name + ":1"}}])
            trees.append(tree("/proc/%d/root/mnt" % process_of(bed, container)))
            for one in trees[-1].values():
                if one["content"] is None:
                    del one["time"]  # no layer describes some folders: they are as old as the bed
        bed.remove_pod(pod)
    for serial, parallel in found.values():
        assert len(serial) > 100
        assert parallel == serial

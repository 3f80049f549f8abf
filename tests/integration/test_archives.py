"""One image in all the forms that other tools write: whichever is imported, it runs, and its tree is
the one that umoci unpacks."""

import shutil
import subprocess

import pytest

import test_image_commands
from asking import out
from image_set import BUSYBOX
from test_builders import Buildah
from test_containers import SLEEP
from test_layers import process_of
from test_real_trees import tree

TOOLS = ("buildah", "skopeo", "umoci")
pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(not all(map(shutil.which, TOOLS)),
                                 reason="not all of %s are installed" % ", ".join(TOOLS))]

# Fixtures: the engine, the engine without images, and its command.
module_bed = test_image_commands.module_bed
fresh = test_image_commands.fresh
image = test_image_commands.image

NAME = "archives.berth.test/tree"
TAGS = [NAME + ":1", NAME + ":second", NAME + ":third"]
FIRST = r"""
mkdir -p tree/goes/inner tree/stays && echo x > tree/goes/inner/file && echo a > tree/changes
echo b > tree/becomes && ln tree/changes tree/linked
"""
SECOND = r"""
rm -r tree/goes && rm tree/becomes && mkdir tree/becomes && echo c > tree/becomes/inside
chown 1234:4000000000 tree/changes && chmod 4711 tree/changes && chmod 1777 tree/stays
ln -s ../nowhere tree/dangling && mkfifo tree/pipe && mknod tree/null c 1 3
cp /bin/true tree/capable && setcap cap_net_raw+ep tree/capable
setfattr -n user.note -v hello tree/capable && ln tree/capable tree/stays/capable
printf x > "$(printf 'tree/b\377d name')" && touch -d '2001-02-03 04:05:06.789' tree/stays
"""


def run(*command, **more):
    made = subprocess.run(list(map(str, command)), check=False, text=True, capture_output=True,
                          stdin=subprocess.DEVNULL, timeout=120, **more)
    assert made.returncode == 0, (command, made.stderr)
    return made.stdout


class Made:
    """The image as umoci makes it, and whatever else writes it."""

    def __init__(self, folder, registry):
        self.folder = folder
        self.layout = folder / "layout"
        source = registry.mirror(BUSYBOX.partition("/")[0]).replace("http", "docker", 1)
        run("skopeo", "--insecure-policy", "copy", "--src-tls-verify=false", source + "/busybox:1",
            "oci:%s:base" % self.layout)
        run("umoci", "unpack", "--image", "%s:base" % self.layout, folder / "bundle")
        for tag, changes in (("first", FIRST), ("tree", SECOND)):
            run("sh", "-ec", changes, cwd=folder / "bundle/rootfs")
            run("umoci", "repack", "--refresh-bundle", "--image", "%s:%s" % (self.layout, tag),
                folder / "bundle")
        run("umoci", "unpack", "--image", "%s:tree" % self.layout, folder / "unpacked")

    def tree(self):
        return tree(self.folder / "unpacked/rootfs")

    def umoci_layout(self, path):
        shutil.copytree(self.layout, path)
        for tag in ("base", "first"):
            run("umoci", "rm", "--image", "%s:%s" % (path, tag))
        run("umoci", "gc", "--layout", path)

    def skopeo(self, destination, *options):
        run("skopeo", "--insecure-policy", "copy", *options, "oci:%s:tree" % self.layout, destination)

    def buildah_push(self, destination):
        policy = self.folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        buildah = Buildah(self.folder)
        known = buildah("pull", "--signature-policy", policy,
                        "oci:%s:tree" % self.layout).split()[-1]
        try:
            buildah("push", "--signature-policy", policy, known, destination)
        finally:
            buildah("rmi", "--all", "--force")


@pytest.fixture(scope="module")
def made(tmp_path_factory, module_bed):
    folder = tmp_path_factory.mktemp("archives")
    yield Made(folder, module_bed.registry)
    shutil.rmtree(folder)


def more_tags():
    return [option for tag in TAGS[1:] for option in ("--additional-tag", tag)]


# Writes the form at the path; which names it has.
FORMS = {
    "umoci": (lambda made, path: made.umoci_layout(path), []),
    "skopeo-oci-archive":
        (lambda made, path: made.skopeo("oci-archive:%s:%s" % (path, TAGS[0])), TAGS[:1]),
    "skopeo-docker-archive":
        (lambda made, path: made.skopeo("docker-archive:%s:%s" % (path, TAGS[0]), *more_tags()), TAGS),
    "buildah-oci": (lambda made, path: made.buildah_push("oci:%s:%s" % (path, TAGS[0])), TAGS[:1]),
    "buildah-oci-archive":
        (lambda made, path: made.buildah_push("oci-archive:%s:%s" % (path, TAGS[0])), TAGS[:1]),
    "buildah-docker-archive":
        (lambda made, path: made.buildah_push("docker-archive:%s:%s" % (path, TAGS[0])), TAGS[:1]),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_has_the_same_tree(fresh, image, made, tmp_path, name, form):
    write, names = FORMS[form]
    path = tmp_path / "image"
    write(made, path)
    image.run("import", path, *([] if names else TAGS[:1]))
    assert sorted(image.names()) == (names or TAGS[:1])
    assert len(set(image.names().values())) == 1
    container = fresh.run(
        fresh.run_pod(name), "c", image=TAGS[0], command=SLEEP,
        mounts=[{"container_path": "/mnt", "readonly": True, "image": {"image": TAGS[0]}}])
    assert out(fresh, container, "cat", "/tree/becomes/inside") == "c\n"
    ours = tree("/proc/%d/root/mnt" % process_of(fresh, container))
    theirs = made.tree()
    assert b"tree/capable" in theirs and b"tree/goes" not in theirs
    assert ours == theirs

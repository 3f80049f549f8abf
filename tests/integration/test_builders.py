"""Images as buildah makes and writes them: several layers, with settings, with more names than one."""

import shutil
import subprocess

import pytest

import test_image_commands
from asking import out
from image_set import BUSYBOX
from test_containers import SLEEP

pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(shutil.which("buildah") is None, reason="buildah is not installed")]

# Fixtures: the engine, the engine without images, and its command.
module_bed = test_image_commands.module_bed
fresh = test_image_commands.fresh
image = test_image_commands.image

NAME = "localhost/built.berth.test/app"
STEPS = r"""
FROM %s
RUN mkdir -p /data/kept /data/gone && echo first > /data/kept/file && echo x > /data/gone/file
RUN rm -r /data/gone && ln -s kept/file /data/link \
    && chown 1234:5678 /data/kept/file && chmod 4711 /data/kept/file
COPY copied /data/copied
ENV GREETING="from the image" EMPTY=
LABEL maker=buildah
WORKDIR /data
USER 1234:5678
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["echo $GREETING; exec sleep 1000"]
"""


class Buildah:
    """buildah with a store of its own, which needs neither overlay nor a network."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *arguments):
        return subprocess.run(
            ["buildah", "--root", self.folder / "store", "--runroot", self.folder / "run",
             "--storage-driver", "vfs", *map(str, arguments)],
            check=True, text=True, capture_output=True, timeout=120).stdout

    def push(self, name, destination):
        self("push", "--format", "v2s2" if "docker" in destination else "oci", name, destination)


@pytest.fixture(scope="module")
def buildah(tmp_path_factory, module_bed):
    folder = tmp_path_factory.mktemp("buildah")
    policy = folder / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    made = Buildah(folder)
    source = module_bed.registry.mirror(BUSYBOX.partition("/")[0]).partition("://")[2]
    (folder / "Containerfile").write_text(STEPS % (source + "/busybox:1"))
    (folder / "copied").write_text("copied\n")
    try:
        made("bud", "--signature-policy", policy, "--tls-verify=false", "--isolation", "chroot",
             "--layers", "--tag", NAME + ":1", "--tag", NAME + ":two", folder)
        yield made
    finally:
        made("rmi", "--all", "--force")


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_what_buildah_writes_runs(fresh, image, buildah, tmp_path, name, form):
    path = tmp_path / "made"
    buildah.push(NAME + ":1", "%s:%s:%s:1" % (form, path, NAME))
    made = image.run("import", path)
    assert NAME + ":1" in made.stdout

    container = fresh.run(fresh.run_pod(name), "c", image=NAME + ":1", command=[], args=[])
    assert out(fresh, container, "id", "-u") == "1234\n"
    assert out(fresh, container, "pwd") == "/data\n"
    assert out(fresh, container, "sh", "-c", 'echo "$GREETING"') == "from the image\n"
    listed = out(fresh, container, "ls", "-1", "/data")
    assert listed.split() == ["copied", "kept", "link"]
    assert out(fresh, container, "stat", "-c", "%a %u %g", "/data/kept/file") == "4711 1234 5678\n"
    assert out(fresh, container, "cat", "/data/link", "/data/copied") == "first\ncopied\n"
    assert image.inspect(NAME + ":1")["config"]["config"]["Labels"]["maker"] == "buildah"


def test_names_that_were_added_later_are_all_taken_in(fresh, image, buildah, tmp_path, name):
    """Two names of one image, each pushed into the same layout, are one image with two names."""
    for tag in "1", "two":
        buildah.push("%s:%s" % (NAME, tag), "oci:%s:%s:%s" % (tmp_path / "both", NAME, tag))
    image.run("import", tmp_path / "both")
    names = image.names()
    assert names.keys() == {NAME + ":1", NAME + ":two"}
    assert len(set(names.values())) == 1
    container = fresh.run(fresh.run_pod(name), "c", image=NAME + ":two", command=SLEEP)
    assert out(fresh, container, "cat", "/data/copied") == "copied\n"

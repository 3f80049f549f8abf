"""`berth image`: what operators do with the images of a node."""

import fcntl
import json
import os
import pty
import shutil
import signal
import struct
import subprocess
import tarfile
import termios
import time

import pytest

import berth_testbed
import pace
from asking import out
from berth_testbed import wait_until
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX
from oci_images import read_layout
from test_containers import SLEEP
from test_layouts import HOST, write_form
from test_registries import forget

pytestmark = [pytest.mark.berth,
              pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")]
STALLED = "stall.berth.test/busybox:1"
PATIENCE = 10  # seconds, with the registry of another pull of the same layer
CANCEL_SECONDS = 2


@pytest.fixture(scope="module")
def module_bed():
    """An engine, one of whose registries sends half of each layer and then nothing."""
    def mirrors(bed):
        bed.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, "stall"))
        return {"stall.berth.test": [
            "http://127.0.0.1:%d/%s" % (bed.front.port, BUSYBOX.partition("/")[0])]}

    with berth_testbed.TestBed(more_mirrors=mirrors) as bed:
        yield bed
    assert bed.leaks == []


@pytest.fixture
def fresh(module_bed):
    """That engine, without images."""
    forget(module_bed)
    yield module_bed
    module_bed.remove_all_pods()


class Command:
    """`berth image …` of one engine."""

    def __init__(self, bed):
        self.bed = bed

    def line(self, verb, *arguments):
        program, *_, config = self.bed.engine.command()
        return [program, "image", verb, *map(str, arguments), "--config", config]

    def run(self, verb, *arguments, code=0, **more):
        made = subprocess.run(self.line(verb, *arguments), capture_output=True, text=True,
                              check=False, stdin=subprocess.DEVNULL, timeout=120, **more)
        assert made.returncode == code, (verb, arguments, made.stdout, made.stderr)
        return made

    def rows(self):
        return json.loads(self.run("list", "--json").stdout)

    def names(self):
        return {name: row["id"] for row in self.rows() for name in row["names"]}

    def inspect(self, image):
        return json.loads(self.run("inspect", image).stdout)


@pytest.fixture
def image(fresh):
    return Command(fresh)


def runs(bed, name, reference):
    """Whether a container of the image, which is there, runs."""
    assert bed.cri.ImageStatus({"image": {"image": reference}}).image.id
    container = bed.run(bed.run_pod(name), "c", image=reference, command=SLEEP)
    return out(bed, container, "echo", "hello") == "hello\n"


def skopeo(*arguments):
    return subprocess.run(["skopeo", "--insecure-policy", *map(str, arguments)], check=True,
                          text=True, capture_output=True, timeout=60).stdout


def two_names(bed, path):
    """A layout in which one image has two names."""
    source = bed.registry.mirror(BUSYBOX.partition("/")[0]).replace("http", "docker", 1)
    for tag in ("1", "2"):
        skopeo("copy", "--src-tls-verify=false", source + "/busybox:1",
               "oci:%s:%sapp:%s" % (path, HOST, tag))
    return path


@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-archive"])
def test_what_skopeo_writes_is_taken_in(fresh, image, tmp_path, name, form):
    write_form(fresh, form, tmp_path / "image")
    path = tmp_path / ("image" if form == "oci" else "image.tar")
    made = image.run("import", path.name, cwd=tmp_path)
    assert HOST + form + ":1" in made.stdout
    assert list(image.names()) == [HOST + form + ":1"]
    if form == "oci":
        shutil.rmtree(path)
    else:
        path.unlink()
    assert runs(fresh, name, HOST + form + ":1")


def test_all_images_of_a_file_or_those_that_are_named(fresh, image, tmp_path):
    path = two_names(fresh, tmp_path / "both")
    image.run("import", path, HOST + "app:2")
    assert list(image.names()) == [HOST + "app:2"]
    image.run("import", path)
    assert sorted(image.names()) == [HOST + "app:1", HOST + "app:2"]
    # It has one image: a name that is not there is for that.
    image.run("import", path, HOST + "other:3")
    assert sorted(image.names()) == [HOST + "app:1", HOST + "app:2", HOST + "other:3"]


def test_damaged_files_leave_nothing(fresh, image, tmp_path):
    path = two_names(fresh, tmp_path / "both")
    largest = max((path / "blobs/sha256").iterdir(), key=lambda blob: blob.stat().st_size)
    data = bytearray(largest.read_bytes())
    data[-1] ^= 1
    largest.write_bytes(data)
    made = image.run("import", path, code=1)
    assert largest.name in made.stderr
    assert image.rows() == []
    assert "no/such/file" in image.run("import", "no/such/file", code=1).stderr


def test_an_image_without_a_name_must_be_given_one(fresh, image, tmp_path):
    path = two_names(fresh, tmp_path / "both")
    index = json.loads((path / "index.json").read_text())
    del index["manifests"][1:], index["manifests"][0]["annotations"]
    (path / "index.json").write_text(json.dumps(index))
    assert index["manifests"][0]["digest"] in image.run("import", path, code=1).stderr
    image.run("import", path, HOST + "named:1")
    assert list(image.names()) == [HOST + "named:1"]


def test_images_survive_the_daemon_with_their_pins(fresh, image, tmp_path):
    two_names(fresh, tmp_path / "both")
    image.run("import", tmp_path / "both")
    image.run("pin", HOST + "app:1")
    fresh.kill_engine()
    fresh.start_engine()
    assert sorted(image.names()) == [HOST + "app:1", HOST + "app:2"]
    assert image.inspect(HOST + "app:2")["pinned"] is True
    assert fresh.cri.ListImages().images[0].pinned
    table = image.run("list").stdout.splitlines()
    assert table[0].split() == ["NAME", "ID", "SIZE", "PINNED"]
    assert [row.split()[0] + row.split()[-1] for row in table[1:]] == [
        HOST + "app:1yes", HOST + "app:2yes"]
    # A pull of the same image does not take the pin away, nor does anything but unpin.
    image.run("import", tmp_path / "both")
    assert "is pinned" in image.run("remove", HOST + "app:1", code=1).stderr
    assert len(image.names()) == 2
    image.run("unpin", HOST + "app:1")
    assert not fresh.cri.ListImages().images[0].pinned
    fresh.kill_engine()
    fresh.start_engine()
    assert not fresh.cri.ListImages().images[0].pinned
    image.run("remove", HOST + "app:1")
    assert image.rows() == []
    assert "not on this node" in image.run("remove", HOST + "app:1", code=1).stderr
    assert "not on this node" in image.run("pin", HOST + "app:1", code=1).stderr


def test_a_pinned_image_is_removed_when_that_is_insisted_on(fresh, image):
    """As the CRI has it: pinned is a recommendation, and the client decides."""
    for insist in (lambda: image.run("remove", "--force", BUSYBOX),
                   lambda: fresh.cri.RemoveImage({"image": {"image": BUSYBOX}})):
        image.run("pull", BUSYBOX)
        image.run("pin", BUSYBOX)
        insist()
        assert image.rows() == []


def test_all_there_is_to_know_of_an_image(fresh, image):
    image.run("pull", BUSYBOX)
    found = image.inspect(BUSYBOX)
    assert found["id"] == fresh.registry.config_digest(BUSYBOX)
    assert found["names"] == [BUSYBOX]
    assert found["digests"] == [
        BUSYBOX.rpartition(":")[0] + "@" + fresh.registry.digest(BUSYBOX)]
    assert found["config"]["config"]["Cmd"] == ["sh"]
    assert [layer["diffId"] for layer in found["layers"]] == found["config"]["rootfs"]["diff_ids"]
    assert [layer["digest"] for layer in found["layers"]] == [
        layer["digest"] for layer in found["manifest"]["layers"]]
    assert found["source"] == "registry" and found["pinned"] is False
    assert found == image.inspect(found["id"][:19])


# Export.


def unpack(layout, name, folder):
    subprocess.run(["umoci", "unpack", "--image", "%s:%s" % (layout, name), str(folder)],
                   check=True, capture_output=True, timeout=60)
    return folder / "rootfs"


def tree(root):
    """Path → what it is, of all below `root`."""
    found = {}
    for folder, folders, files in os.walk(root):
        for one in folders + files:
            path = os.path.join(folder, one)
            info = os.lstat(path)
            content = os.readlink(path) if os.path.islink(path) else None
            if os.path.isfile(path) and content is None:
                with open(path, "rb") as stream:
                    content = stream.read()
            found[os.path.relpath(path, root)] = (
                info.st_mode, info.st_uid, info.st_gid, int(info.st_mtime), content)
    return found


def test_an_export_has_the_digests_that_the_image_has(fresh, image, tmp_path):
    image.run("pull", BUSYBOX)
    pulled = image.inspect(BUSYBOX)
    for name in ("folder", "archive.tar"):
        made = image.run("export", BUSYBOX, name, cwd=tmp_path)
        assert made.stdout.startswith(pulled["id"]) and made.stderr == ""
    kind = {"folder": "oci:%s", "archive.tar": "oci-archive:%s"}
    for name, transport in kind.items():
        reference = (transport % (tmp_path / name)) + ":" + BUSYBOX
        found = json.loads(skopeo("inspect", "--raw", reference))
        assert found == pulled["manifest"]
        skopeo("copy", reference, "dir:%s" % (tmp_path / (name + "-copy")))
    with tarfile.open(tmp_path / "archive.tar") as archive:
        assert sorted(archive.getnames()) == sorted(
            os.path.relpath(os.path.join(at, one), tmp_path / "folder")
            for at, _, files in os.walk(tmp_path / "folder") for one in files)
    forget(fresh)
    image.run("import", tmp_path / "archive.tar")
    again = image.inspect(BUSYBOX)
    assert again == {**pulled, "source": "layout",
                     "digests": [BUSYBOX.rpartition(":")[0] + "@" + pulled["manifestDigest"]]}


def test_an_export_without_the_registry_has_the_same_content(fresh, image, tmp_path, name):
    image.run("pull", BUSYBOX)
    before = image.inspect(BUSYBOX)
    image.run("export", BUSYBOX, tmp_path / "original")
    made = image.run("export", "--offline", BUSYBOX, tmp_path / "offline")
    assert "the digests and the id are others" in made.stderr
    assert tree(unpack(tmp_path / "offline", BUSYBOX, tmp_path / "a")) == tree(
        unpack(tmp_path / "original", BUSYBOX, tmp_path / "b"))
    forget(fresh)
    image.run("import", tmp_path / "offline")
    after = image.inspect(BUSYBOX)
    assert after["config"]["config"] == before["config"]["config"]
    assert len(after["layers"]) == len(before["layers"])
    assert runs(fresh, name, BUSYBOX)


def test_an_export_finds_out_that_the_registry_is_away(fresh, image, tmp_path):
    path = two_names(fresh, tmp_path / "both")
    image.run("import", path)
    shutil.rmtree(path)
    made = image.run("export", "--original", HOST + "app:1", tmp_path / "no", code=1)
    assert HOST + "app@sha256:" in made.stderr
    assert os.listdir(tmp_path) == []
    made = image.run("export", HOST + "app:1", tmp_path / "app.tar")
    assert "could not be had" in made.stderr and "others" in made.stderr
    assert os.listdir(tmp_path) == ["app.tar"]
    forget(fresh)
    image.run("import", tmp_path / "app.tar")
    assert list(image.names()) == [HOST + "app:1"]


def test_an_export_writes_over_nothing(fresh, image, tmp_path):
    image.run("pull", BUSYBOX)
    (tmp_path / "there").mkdir()
    assert "is there already" in image.run("export", BUSYBOX, tmp_path / "there", code=1).stderr
    assert os.listdir(tmp_path) == ["there"] and os.listdir(tmp_path / "there") == []


def test_an_export_by_id_has_all_names(fresh, image, tmp_path):
    image.run("import", two_names(fresh, tmp_path / "both"))
    image.run("export", image.rows()[0]["id"], tmp_path / "out")
    assert sorted(read_layout(tmp_path / "out")) == [HOST + "app:1", HOST + "app:2"]


# Progress and giving up.


def stall(image, **more):
    """A pull that has got half of what it wants."""
    def asked():
        return sum(image.bed.front.layer_requests().values())
    before = asked()
    command = subprocess.Popen(image.line("pull", STALLED), stdin=subprocess.DEVNULL, **more)
    wait_until(lambda: asked() > before, 20, "the layers' requests")
    return command


def pulls_under_way(bed):
    return [operation for operation in json.loads(
        bed.cri.Status({"verbose": True}).info["operations"]) if STALLED in operation["name"]]


@pytest.mark.alone
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_giving_up_a_command_gives_up_the_pull(fresh, image, number):
    command = stall(image, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert pulls_under_way(fresh)
    began = time.monotonic()
    command.send_signal(number)
    _, errors = command.communicate(timeout=pace.PATIENCE)
    wait_until(lambda: not pulls_under_way(fresh), pace.PATIENCE, "the end of the pull")
    assert pace.within(fresh, CANCEL_SECONDS, time.monotonic() - began)
    assert command.returncode == (1 if number == signal.SIGINT else -number)
    assert ("cancelled" in errors) == (number == signal.SIGINT)
    assert image.rows() == []


def test_progress_is_lines_where_there_is_no_terminal(image):
    made = image.run("pull", BUSYBOX)
    found = image.inspect(BUSYBOX)
    assert made.stdout == "%s  %s\n" % (found["id"], BUSYBOX)
    size = sum(layer["size"] for layer in found["layers"]) / (1 << 20)
    layers = len(found["layers"])
    assert made.stderr.splitlines()[-1] == "%.1f of %.1f MiB, %d of %d layers" % (
        size, size, layers, layers)


def test_progress_is_a_bar_on_a_terminal(image):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    command = stall(image, stdout=subprocess.DEVNULL, stderr=slave)
    os.close(slave)
    text = b""
    while not (b"#" in text and text.endswith(b"\r")):
        text += os.read(master, 4096)
    line = text.split(b"\r")[-2].replace(b"\x1b[K", b"").decode()
    assert line.startswith("[#") and " of " in line and "layers" in line and len(line) < 100
    command.terminate()
    command.wait(20)
    os.close(master)


def test_the_log_tells_of_long_pulls(fresh, image):
    def told():
        with open(fresh.log_path, encoding="utf-8") as log:
            return [line for line in log if "pulling" in line and STALLED in line]
    before = len(told())
    command = stall(image, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(told()) >= before + 2, 30, "two lines of the log")
    assert "MiB" in told()[-1] and "layers" in told()[-1]
    command.terminate()
    command.wait(20)


@pytest.mark.alone
def test_layers_of_a_registry_that_sends_nothing_more_come_from_ones_own(fresh, image):
    layers = fresh.front.layer_requests
    before = layers()
    earliest = time.monotonic()  # since when the first pull may wait for its registry
    command = stall(image, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        # The configuration and two layers.
        wait_until(lambda: sum(layers().values()) >= sum(before.values()) + 3, 20, "the layers")
        began = time.monotonic()
        made = image.run("pull", BUSYBOX)
        ended = time.monotonic()
        assert ended - earliest > PATIENCE and ended - began < PATIENCE + 15
        assert pulls_under_way(fresh)
        # Neither is counted twice.
        size = sum(layer["size"] for layer in image.inspect(BUSYBOX)["layers"]) / (1 << 20)
        assert made.stderr.splitlines()[-1].startswith("%.1f of %.1f MiB" % (size, size))
        assert fresh.exec(fresh.run(fresh.run_pod("own"), "c", command=["sleep", "1000"]),
                          "true").exit_code == 0
    finally:
        command.terminate()
        command.wait()

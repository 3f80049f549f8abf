"""Images that lie on the node, as the tools of others write them."""

import os
import shutil
import subprocess

import grpc
import pytest

from asking import out
from image_set import BUSYBOX
from test_containers import SLEEP

HOST = "local.berth.test/"
# How skopeo names each form; what the forms carry as the image's name is after the path.
FORMS = {"oci": "oci:%s:" + HOST + "oci:1",
         "oci-archive": "oci-archive:%s.tar:" + HOST + "oci-archive:1",
         "docker-archive": "docker-archive:%s.tar:" + HOST + "docker-archive:1"}


def write_form(bed, form, path):
    source = bed.registry.mirror(BUSYBOX.partition("/")[0]).replace("http", "docker", 1)
    subprocess.run(["skopeo", "--insecure-policy", "copy", "--src-tls-verify=false",
                    "%s/busybox:1" % source, FORMS[form] % path],
                   check=True, capture_output=True, timeout=60)


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "images"
    path.mkdir()
    return path


@pytest.fixture
def layout_bed(own_bed, folder):
    """An engine that looks into the folder first."""
    return own_bed(settings="""
[images]
sources = ["layout", "registry"]
[sources.layout]
plugin = "source-oci-layout"
[sources.layout.options]
paths = ["%s"]
""" % folder)


def pull(bed, image):
    return bed.cri.PullImage({"image": {"image": image}}).image_ref


@pytest.mark.berth
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_a_pod_runs_from_each_form(layout_bed, folder, name):
    """No registry has these names."""
    bed = layout_bed
    pod = bed.run_pod(name)
    for form in FORMS:
        image = HOST + form + ":1"
        with pytest.raises(grpc.RpcError):
            pull(bed, image)
        write_form(bed, form, folder / form)
        assert pull(bed, image)
        container = bed.run(pod, form, image=image, command=SLEEP)
        assert out(bed, container, "echo", form) == form + "\n"
    # The registry is still there for everything else.
    assert pull(bed, BUSYBOX)


@pytest.mark.berth
@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_damaged_content_is_not_taken(layout_bed, folder):
    bed = layout_bed
    write_form(bed, "oci", folder / "oci")
    blobs = folder / "oci" / "blobs" / "sha256"
    largest = max(blobs.iterdir(), key=lambda path: path.stat().st_size)
    with open(largest, "r+b") as stream:
        stream.seek(-1, os.SEEK_END)
        last = stream.read(1)
        stream.seek(-1, os.SEEK_END)
        stream.write(bytes([last[0] ^ 1]))
    with pytest.raises(grpc.RpcError) as caught:
        pull(bed, HOST + "oci:1")
    assert largest.name in caught.value.details(), caught.value.details()
    assert not bed.cri.ImageStatus({"image": {"image": HOST + "oci:1"}}).HasField("image")

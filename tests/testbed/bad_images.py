"""Images that are wrong in one way each, for the tests of bad input.

All of them pass a registry's own checks: every blob has the digest its descriptor names.
"""

import gzip
import hashlib
import json
import tarfile

import rootfs
from image_set import TESTS, marker, other_platform
from oci_images import CONFIG_TYPES, LAYER_TYPES, MANIFEST_TYPES, Image, Layer, sha256


def add_bad_images(layout, parts):
    def tag(name, image):
        layout.tag(TESTS + "bad-%s:1" % name, layout.manifest(image))

    tag("diff-id", parts.shell_image(marker("bad"), diff_ids=[
        sha256(parts.busybox), sha256(parts.tools), sha256(b"something else")]))
    tag("diff-id-count", parts.shell_image(diff_ids=[sha256(parts.busybox)]))
    tag("config", parts.shell_image(config_bytes=b"{ this is not JSON"))
    tag("config-type", parts.shell_image(config_bytes=json.dumps({"rootfs": 7}).encode()))
    tag("user", parts.shell_image(config={"User": "no-such-user-in-passwd"}))
    tag("no-command", parts.shell_image(config={"Cmd": []}))
    layout.tag(TESTS + "bad-platform:1", layout.index([other_platform()]))
    for name, layer in bad_layers().items():
        tag(name, parts.shell_image(layer))
    for name, data in (("gzip-truncated", gzip.compress(marker("x") * 9, mtime=0)[:-20]),
                       ("gzip-garbage", b"this is no gzip stream at all" * 40)):
        layout.tag(TESTS + "bad-%s:1" % name, undecodable_image(layout, parts, data))


def bad_layers():
    """Tar streams that try to write outside the root or are cut off."""
    whole = Layer().file("cut", hashlib.sha256(b"cut").digest() * 400).bytes()
    return {
        "escape-parent": Layer().raw_file("../../../escaped-by-dots", b"out").bytes(),
        "escape-link": Layer().symbolic_link("way-out", "/../../../../tmp").raw_file(
            "way-out/escaped-by-link", b"out").bytes(),
        "escape-hard-link": Layer().hard_link("stolen", "../../../../etc/passwd").bytes(),
        "hard-link-nowhere": Layer().hard_link("dangling", "not/in/this/layer").bytes(),
        "tar-cut": whole[:6000],
        "whiteout-dots": Layer().raw_file(".wh...", b"").bytes(),
        "node-type": Layer().node("pipe", tarfile.FIFOTYPE).bytes()[:512] + b"\xff" * 512,
    }


def undecodable_image(layout, parts, compressed):
    """A manifest whose last layer says gzip and is something else."""
    config = {"architecture": Image([]).architecture, "os": "linux",
              "config": {"Env": [rootfs.PATH_VARIABLE], "Cmd": ["sh"]},
              "rootfs": {"type": "layers",
                         "diff_ids": [sha256(parts.busybox), sha256(b"never unpacked")]}}
    base = layout.layer(parts.busybox, "gzip", "oci")
    manifest = {
        "schemaVersion": 2, "mediaType": MANIFEST_TYPES["oci"],
        "config": layout.blob(json.dumps(config).encode(), CONFIG_TYPES["oci"]),
        "layers": [base, layout.blob(compressed, LAYER_TYPES["oci", "gzip"])]}
    return layout.blob(json.dumps(manifest).encode(), MANIFEST_TYPES["oci"])

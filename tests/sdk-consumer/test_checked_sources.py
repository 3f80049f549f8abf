"""The SDK's image sources under berth-plugin-check with an image to serve: without one, what the
checker knows of sources is skipped. Needs no rights."""

import hashlib
import json
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "testbed"))

from plugin_projects import BUILD, EXAMPLES, build_project, install_sdk  # noqa: E402
from web_folder import serve_folder  # noqa: E402

CHECKS = ("resolve", "fetch", "range", "unknown", "sink", "cancellation", "errors", "concurrent",
          "future-structs")
NAME = "checked.berth.test/app"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in the layout of both, with one image of two layers."""
    made = tmp_path_factory.mktemp("images")
    (made / "blobs/sha256").mkdir(parents=True)

    def blob(kind, content):
        digest = hashlib.sha256(content).hexdigest()
        (made / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": "application/vnd.oci.image.%s" % kind, "digest": "sha256:" + digest,
                "size": len(content)}
    manifest = blob("manifest.v1+json", json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": blob("config.v1+json", b'{"architecture":"none","os":"linux"}'),
        "layers": [blob("layer.v1.tar", os.urandom(size << 20)) for size in (1, 8)]}).encode())
    (made / "refs" / NAME).mkdir(parents=True)
    (made / "refs" / NAME / "1").write_text(manifest["digest"] + "\n")
    return made


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    return install_sdk(tmp_path_factory.mktemp("sdk"))


@pytest.mark.parametrize("name", ["source-directory", "source-http"])
def test_sources_pass_all_that_is_known_of_sources(name, folder, prefix, tmp_path):
    plugins = build_project(EXAMPLES[name], prefix, tmp_path / "build")
    with serve_folder(folder) as url:
        told = subprocess.run(
            [os.path.join(BUILD, "bin/berth-plugin-check"), "--only", "source",
             "--set", "path=%s" % folder if name == "source-directory" else "url=" + url,
             "--reference", NAME + ":1", os.path.join(plugins, "berth-%s.so" % name)],
            capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, timeout=600)
    rows = [line.split() for line in told.stdout.splitlines() if line.startswith("source.")]
    assert told.returncode == 0, told.stdout + told.stderr
    assert {row[0]: row[1] for row in rows} == {
        "source." + check: "passed" for check in CHECKS}, told.stdout

"""What images and pods bring along does not steer the terminal of who looks at them."""

import json
import os
import subprocess

import pytest

import engines
from holding import Holding
from oci_images import Image, Layer, Layout

pytestmark = pytest.mark.berth
CLEAR = "\x1b[2J"
SHOWN = "\\x1b[2J"
C1_CLEAR = "\x9b2J"  # the same in one character of Unicode
IMAGE = "local.berth.test/names:1"


def ask(bed, *words, code=0):
    """What the command prints."""
    program, *_, config = bed.engine.command()
    answer = subprocess.run([program, *words, "--config", config], capture_output=True, text=True,
                            check=False, stdin=subprocess.DEVNULL, timeout=60)
    assert answer.returncode == code, answer.stderr
    return answer.stdout


@pytest.fixture
def holding(tmp_path, monkeypatch):
    made = Holding(tmp_path, os.environ.get("BERTH_TEST_RUNTIME", "runc"))
    monkeypatch.setattr(engines, "CNI_BINARIES", made.cni)
    return made


def test_names_of_pods(own_bed, holding):
    bed = own_bed(runtime=holding.runtime)
    config = bed.pod_config("web")
    config["metadata"]["name"] = "web" + CLEAR
    with holding.held("bridge-ADD"):
        running = bed.cri.RunPodSandbox.future({"config": config})
        holding.await_first("bridge-ADD")
        shown = [ask(bed, command) for command in ("ops", "status")]
    bed.remove_pod(running.result().pod_sandbox_id)
    for text in shown:
        assert "RunPodSandbox default/web%s/" % SHOWN in text
        assert "\x1b" not in text


def test_names_of_files_and_labels_of_images(own_bed, tmp_path):
    bed = own_bed()
    layout = Layout(str(tmp_path / "layout"))
    name = "file" + CLEAR
    layout.tag(IMAGE, layout.manifest(Image([(Layer().file(name, b"x").bytes(), "gzip")],
                                            config={"Labels": {"a": C1_CLEAR}})))
    layout.finish()
    ask(bed, "image", "import", layout.folder)

    text = ask(bed, "image", "inspect", IMAGE)
    assert C1_CLEAR[0] not in text
    assert json.loads(text)["config"]["config"]["Labels"] == {"a": C1_CLEAR}

    layers = os.path.join(bed.engine.root, "plugins/snapshotter-overlay/layers")
    [layer] = os.listdir(layers)
    os.unlink(os.path.join(layers, layer, "fs", name))
    text = ask(bed, "check", "--storage", code=1)
    assert "file%s is missing" % SHOWN in text
    assert "\x1b" not in text

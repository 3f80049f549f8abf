"""[images] max_write_bytes_per_second: what pulls write to the disk leaves room for pods."""

import re
import subprocess
import time

import pytest

import grpc
import pace
from berth_testbed import wait_until
from oci_images import Image, Layer, Layout
from test_images import other_snapshotter

# Of pulls, and of probes beside them, times are compared with the limit.
pytestmark = [pytest.mark.berth, pytest.mark.alone]
HOST = "local.berth.test/"
MIB = 1 << 20
LAYER_BYTES = 8 * MIB
IMAGES = 3
LAYERS = 2  # of an image
SLEEP = ["sleep", "1000"]
LATE = 6  # seconds
CREDIT = 0.1  # seconds that a limit makes up for when who writes comes late
CANCEL_SECONDS = 2
PROBE_SECONDS = 1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A layout of images of which no two share a layer."""
    path = tmp_path_factory.mktemp("images")
    layout = Layout(path / "layout")
    for number in range(IMAGES):
        layers = []
        for part in range(LAYERS):
            layer = Layer()
            # Compressed there is next to nothing of it: what counts is what is written.
            layer.file("file-%d-%d" % (number, part), b"%d%d" % (number, part) * (LAYER_BYTES // 2))
            layers.append((layer.bytes(), "gzip"))
        layout.tag(image(number), layout.manifest(Image(layers)))
    layout.finish()
    return path


def image(number):
    return "%slarge:%d" % (HOST, number)


@pytest.fixture
def limited(own_bed, folder):
    """limited(BYTES): an engine that writes so many in a second."""
    def make(rate, more=lambda bed: ""):
        bed = own_bed(settings=lambda bed: """
[images]
sources = ["layout", "registry"]
max_write_bytes_per_second = %d
[sources.layout]
plugin = "source-oci-layout"
[sources.layout.options]
paths = ["%s"]
""" % (rate, folder) + more(bed))
        # This writes the configuration anew each time.
        bed.program, *_, bed.config = bed.engine.command()
        return bed
    return make


def command(bed, *words):
    answer = subprocess.run(
        [bed.program, *words, "--config", bed.config], check=True, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, timeout=20)
    return answer.stdout


def begin(bed, number, seconds=120):
    return bed.cri.PullImage.future({"image": {"image": image(number)}}, timeout=seconds)


def are_pulled(bed, numbers):
    known = [name for one in bed.cri.ListImages().images for name in one.repo_tags]
    return [image(number) in known for number in numbers] == [True] * len(numbers)


def change_limit(bed, rate):
    with open(bed.config, encoding="utf-8") as stream:
        text = stream.read()
    with open(bed.config, "w", encoding="utf-8") as stream:
        stream.write(re.sub("(max_write_bytes_per_second) = .*", r"\1 = %d" % rate, text))
    assert "images.max_write_bytes_per_second" in command(bed, "reload")


def test_a_pull_takes_as_long_as_the_limit_says(limited):
    rate = 6 * MIB
    bed = limited(rate)
    assert "max_write_bytes_per_second = %d\n" % rate in command(bed, "config", "show")
    taken = pace.took(lambda: begin(bed, 0).result())
    least = LAYERS * LAYER_BYTES / rate
    assert least < taken and pace.within(bed, least + LATE, taken)
    # What is there already is not written again.
    assert pace.took(lambda: begin(bed, 0).result()) < least


def test_another_limit_is_for_pulls_that_wait(limited):
    bed = limited(MIB // 64)  # a quarter of an hour for an image
    pulling = begin(bed, 0, seconds=900)
    wait_until(lambda: image(0) in command(bed, "ops"), what="the pull")
    time.sleep(1)
    assert not pulling.done()
    change_limit(bed, 0)
    taken = pace.took(lambda: pulling.result(timeout=pace.PATIENCE))
    assert pace.within(bed, LATE, taken)


@pytest.mark.parametrize("how", ["cancelled", "impatient"])
def test_a_pull_that_waits_is_given_up(limited, how):
    bed = limited(MIB // 64)
    # The impatient has time to be seen at it.
    soon = 3 + 20 * pace.took(lambda: command(bed, "ops"))
    pulling = begin(bed, 0, seconds=900 if how == "cancelled" else soon)
    wait_until(lambda: " fetch sha256:" in command(bed, "ops"), what="a layer on its way")
    if how == "cancelled":
        pulling.cancel()
    else:
        assert pulling.exception(pace.PATIENCE).code() == grpc.StatusCode.DEADLINE_EXCEEDED
    pace.wait_within(bed, CANCEL_SECONDS, lambda: "PullImage" not in command(bed, "ops"),
                     "the pull's end")
    # Nor does the next one wait for what was not written.
    assert not are_pulled(bed, [0])


@pytest.mark.parametrize("call", ["StopPodSandbox", "RemovePodSandbox"])
def test_what_a_container_waits_for_goes_with_its_pod(limited, call):
    """Its image has been pulled for other runtimes' pods, and is fetched for this one's."""
    bed = limited(0, other_snapshotter)
    begin(bed, 0).result()
    pod = bed.run_pod("pod", handler="second")
    change_limit(bed, MIB // 64)
    create = bed.cri.CreateContainer.future({
        "pod_sandbox_id": pod, "sandbox_config": bed.pod_config("pod"),
        "config": bed.container_config("app", image(0), command=SLEEP)}, timeout=900)

    def under_way():
        return [line for line in command(bed, "ops").splitlines() if "CreateContainer" in line]
    wait_until(lambda: any(re.search(" (fetch|unpack layer) sha256:", line)
                           for line in under_way()), what="a layer on its way")
    taken = pace.took(lambda: getattr(bed.cri, call)({"pod_sandbox_id": pod},
                                                     timeout=pace.PATIENCE))
    assert create.exception(pace.PATIENCE).code() == grpc.StatusCode.CANCELLED
    assert pace.within(bed, CANCEL_SECONDS, taken)
    pace.wait_within(bed, CANCEL_SECONDS, lambda: not under_way(), "the creation's end")
    change_limit(bed, 0)


def probe(bed, container):
    assert bed.exec(container, "true", timeout=pace.PATIENCE).exit_code == 0


def test_probes_go_on_beside_a_storm(limited, tell):
    """Every image is pulled by several clients: what they have in common is written once."""
    rate = 12 * MIB
    bed = limited(rate)
    container = bed.run(bed.run_pod("neighbour"), "app", command=SLEEP)
    probes = []
    begun = time.monotonic()
    pulls = [begin(bed, number) for number in list(range(IMAGES)) * 4]
    while not all(pull.done() for pull in pulls):
        probes.append(pace.took(lambda: probe(bed, container)))
    taken = time.monotonic() - begun
    for pull in pulls:
        pull.result()
    least = IMAGES * LAYERS * LAYER_BYTES / rate
    # The neighbour's own image has just been written.
    assert least - CREDIT < taken and pace.within(bed, least + LATE, taken)
    assert are_pulled(bed, range(IMAGES))
    # None is slow, and there are more of them than seconds.
    for seconds in (max(probes), taken / len(probes)):
        assert pace.within(bed, PROBE_SECONDS, seconds)
    tell("%d probes beside %d pulls in %.1f s, the slowest %.0f ms" % (
        len(probes), len(pulls), taken, max(probes) * 1000))

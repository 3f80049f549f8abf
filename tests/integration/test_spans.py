"""Spans in the log: of operations and their stages, in the traces of who asked."""

import json
import re

import pytest

import host
from berth_testbed import wait_until
from image_set import TESTS
from oci_images import read_blob

pytestmark = pytest.mark.berth
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "00f067aa0ba902b7"
ATTEMPTS = 10  # one call may have another thread than the one before


class Spans:
    def __init__(self, bed):
        self.bed = bed

    def all(self):
        lines = [json.loads(line) for line in host.read(self.bed.log_path).splitlines()
                 if line.startswith("{")]
        return [line for line in lines if line["message"] == "span"]

    def of(self, operation):
        """The operation's own, and those of its stages."""
        def found():
            return [span for span in self.all() if span["name"].startswith(operation)]
        wait_until(found, what="the span of " + operation)
        [whole] = found()
        return whole, [span for span in self.all() if span["parent_span_id"] == whole["span_id"]]

    def run_pod(self, name, *headers):
        return self.bed.cri.RunPodSandbox(
            {"config": self.bed.pod_config(name), "runtime_handler": self.bed.handler},
            headers=headers).pod_sandbox_id


@pytest.fixture
def spans(own_bed):
    return Spans(own_bed(log_settings="format = \"json\""))


def test_an_operation_and_its_stages(spans):
    pod = spans.run_pod("web")
    whole, stages = spans.of("RunPodSandbox default/web")
    assert whole["about"] == pod and float(whole["ms"]) > 0 and whole["error"] == ""
    assert re.fullmatch("[0-9a-f]{32}", whole["trace_id"]) and whole["parent_span_id"] == ""
    assert "CNI ADD bridge" in [stage["name"] for stage in stages]
    begins = [stage["begin"] for stage in stages]
    assert begins[0] == whole["begin"] and begins == sorted(begins)
    assert abs(sum(float(stage["ms"]) for stage in stages) - float(whole["ms"])) < 0.1
    assert {stage["trace_id"] for stage in stages} == {whole["trace_id"]}
    ids = [span["span_id"] for span in [whole, *stages]]
    assert len(set(ids)) == len(ids) and all(re.fullmatch("[0-9a-f]{16}", one) for one in ids)


def test_operations_are_in_their_callers_trace(spans):
    traced = ("traceparent", "00-%s-%s-01" % (TRACE, CALLER))
    pod = spans.run_pod("web", traced)
    whole, stages = spans.of("RunPodSandbox default/web")
    assert (whole["trace_id"], whole["parent_span_id"]) == (TRACE, CALLER)
    assert {stage["trace_id"] for stage in stages} == {TRACE}
    # What the call before has said is not the next one's, also of the thread that had both.
    unfit = ("traceparent", "00-%s-%s-01" % ("0" * 32, CALLER))
    for number in range(ATTEMPTS):
        spans.bed.cri.PodSandboxStatus({"pod_sandbox_id": pod}, headers=[traced])
        name = "other-%d" % number
        spans.run_pod(name, *[unfit] * (number % 2))
        whole, _ = spans.of("RunPodSandbox default/" + name)
        assert whole["trace_id"] != TRACE and whole["parent_span_id"] == ""
    spans.bed.cri.StopPodSandbox({"pod_sandbox_id": pod}, headers=[traced])
    assert spans.of("StopPodSandbox")[0]["parent_span_id"] == CALLER


def names(stages):
    return [stage["name"] for stage in stages]


def test_the_stages_of_a_pull(spans):
    """In the trace of who asked: what a name means, and each layer by its digests."""
    bed, reference = spans.bed, TESTS + "layers:1"
    bed.cri.PullImage({"image": {"image": reference}}, timeout=120,
                      headers=[("traceparent", "00-%s-%s-01" % (TRACE, CALLER))])
    whole, stages = spans.of("PullImage " + reference)
    assert (whole["trace_id"], whole["parent_span_id"], whole["error"]) == (TRACE, CALLER, "")
    assert {stage["trace_id"] for stage in stages} == {TRACE}
    registry = bed.registry
    config = json.loads(read_blob(registry.layout, registry.config_digest(reference)))
    layers = {layer["digest"] for layer in registry.manifest(reference)["layers"]}
    unpacked = set(config["rootfs"]["diff_ids"])
    assert len(layers) > 2 and len(unpacked) > 2
    for words in ["resolve " + reference, *("fetch " + digest for digest in layers),
                  *("unpack layer " + digest for digest in unpacked)]:
        assert any(name.startswith(words) for name in names(stages)), words


def test_the_stages_of_a_containers_start(spans):
    bed = spans.bed
    bed.pull()
    pod = spans.run_pod("web")
    container = bed.cri.CreateContainer({
        "pod_sandbox_id": pod, "sandbox_config": bed.pod_config("web"),
        "config": bed.container_config("app", command=["sleep", "1000"])}).container_id
    whole, stages = spans.of("CreateContainer ")
    assert "prepare the root filesystem" in names(stages)
    assert {pod, container} <= set(whole["about"].split())
    bed.cri.StartContainer({"container_id": container})
    whole, stages = spans.of("StartContainer ")
    assert "start the container" in names(stages)
    assert container in whole["about"].split()

"""What tests/conformance/run thinks of a round of critest: nothing is left out in silence."""

import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../conformance"))

import verdict  # noqa: E402  (needs the path above)

REPORT = """<testsuites><testsuite>
<testcase name="[SynchronizedBeforeSuite]" status="passed"/>
<testcase name="[It] [k8s.io] Container starts" status="passed"/>
<testcase name="[It] [k8s.io] Container ends" status="failed"><failure message="it hangs"/></testcase>
<testcase name="[It] [k8s.io] not asked for" status="skipped"><skipped message="skipped"/></testcase>
<testcase name="[It] [k8s.io] not supported" status="skipped">
<skipped message="skipped - %s"/></testcase>
</testsuite></testsuites>"""


def outcome_of(folder, reason):
    path = folder / "junit.xml"
    path.write_text(REPORT % reason)
    return verdict.Outcome(str(path))


def test_each_spec_has_its_outcome(tmp_path):
    outcome = outcome_of(tmp_path, "the runtime lacks it")
    assert outcome.passed == ["[k8s.io] Container starts"]
    assert outcome.failed == ["[k8s.io] Container ends"]
    assert outcome.messages["[k8s.io] Container ends"] == "it hangs"
    assert outcome.declined() == [("[k8s.io] not supported", "the runtime lacks it")]


@pytest.mark.parametrize("reason, handler, known", [
    ("the runtime lacks it", "", False),
    ("no runtime handler found which supports user namespaces", "shim", True),
    ("no runtime handler found which supports user namespaces", "", False)])
def test_a_skip_needs_a_known_reason_that_holds(tmp_path, reason, handler, known):
    found = verdict.unexpected_skips(outcome_of(tmp_path, reason), handler)
    assert found == ([] if known else [("[k8s.io] not supported", reason)])


@pytest.mark.parametrize("enabled", ["Y\n", "N\n", None])
def test_a_reason_must_be_true_of_the_host(tmp_path, monkeypatch, enabled):
    path = tmp_path / "enabled"
    if enabled:
        path.write_text(enabled)
    monkeypatch.setattr(verdict, "APPARMOR", str(path))
    found = verdict.unexpected_skips(outcome_of(tmp_path, "AppArmor is disabled on this host"), "")
    assert bool(found) == (enabled == "Y\n")


def test_all_pods_have_the_wanted_handler():
    assert verdict.handler_complaints({"a": "shim", "b": "shim"}, "shim") == []
    (complaint,) = verdict.handler_complaints({"a": "shim", "b": ""}, "shim")
    assert "1 of 2 pods" in complaint and "''" in complaint
    assert verdict.handler_complaints({}, "shim")

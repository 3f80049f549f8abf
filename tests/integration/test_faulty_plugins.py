"""Each check of berth-plugin-check can fail: for each there is a plugin with a fault that it tells.
What has none of them passes all checks (test_plugin_check)."""

import re
import shutil
import subprocess

import pytest

from conftest import compile_plugin
from plugin_checker import CHECKER, check, cni_options, layout_options, only_fails, plugin

pytestmark = pytest.mark.berth

# Each file of tests/fixtures/faulty-plugins, with its faults: what it is, the check that is to fail
# or to warn, and the words by which it is told.
FAULTS = {
    # Compiled into it; what begins with - is an option for the compiler.
    "faulty": [
        ("-c", "file.format", "is no shared object"),
        ("EXPORTS_MORE", "file.exports", "faulty_helper"),
        ("UNRESOLVED", "file.links", "nobody_has_this"),
        ("-Wl,-z,execstack", "file.memory-rights", "executable stack"),
        ("CHANGING_DESCRIPTION", "description.entry", "another description"),
        ("REQUIRES_MORE", "description.versions", "requires ABI"),
        ("SIZE", "description.sizes", "more than there is of it"),
        ("SHORT_TABLE", "description.sizes", "mandatory"),
        ("LACKS_DETACH", "description.callbacks", "`detach`"),
        ("VERSION", "description.texts", "newest"),
        ("LACKS_DETACH", "description.accepted", "take its function table as berthd does"),
        ("DEFAULT_OF_OTHER_TYPE", "options.declaration", "the default of the option path"),
        ("CRASHES_AT_VALUE", "options.values", "signal 11"),
        ("EXITS_AT_VALUE", "options.values", "ended the process in the step: configure"),
        ("UNNAMED_OPTION", "options.values", "without naming it"),
        ("CONFIGURE_MAKES_FOLDER", "options.reads-only", "mkdir(/tmp/berth-faulty-plugin)"),
        ("EVENT_AFTER_STOP", "life-cycle.order", "emit_event after stop"),
        ("EVENT_BEFORE_START", "life-cycle.unstarted", "emit_event before start"),
        ("HOST_MEMORY", "life-cycle.unstarted", "has not released"),
        ("GONE_AFTER_FAILED_CONFIGURE", "life-cycle.failed-configure", "in the step: destroy"),
        ("GONE_AFTER_FAILED_START", "life-cycle.failed-start", "in the step: destroy"),
        ("CONFIGURES_ONCE", "life-cycle.repeated-steps", "in the step: configure"),
        ("ONE_INSTANCE", "life-cycle.instances", "the same handle"),
        ("REFUSES_LATER_HOSTS", "life-cycle.future-host", "a host of a later version"),
        ("EXAMINES_WRONG", "life-cycle.examine", "says that start fails, and it succeeds"),
        ("LEAKS_CONFIGURATION", "growth.configured", "bytes of memory"),
        ("LEAKS_MEMORY", "growth.started", "bytes of memory"),
        ("LEAKS_DESCRIPTOR", "growth.started", "descriptor"),
        ("LEAKS_THREAD", "growth.started", "threads"),
        ("OFFERS_EVERYTHING", "calls.extensions", "which there is not"),
        ("USE_AFTER_FREE", "memory.life", "Invalid write of size 4, in destroy (faulty.c:"),
    ],
    # Around another plugin; chosen by the environment.
    "snapshotter": [
        ("usage_wrong_code", "snapshotter.layers",
         "layer_usage of an unknown layer: is to fail with NOT_FOUND"),
        ("other_modes", "snapshotter.content", "bin/program has not the mode 755"),
        ("whiteouts_are_files", "snapshotter.whiteouts", "/gone is there and must not be"),
        ("opaque_marks_are_files", "snapshotter.opaque", "/folder/old is there and must not be"),
        ("apply_overlooks", "snapshotter.escapes", "layer_apply of a name with ..: succeeds"),
        ("apply_overlooks", "snapshotter.damaged", "layer_apply of half a tar: succeeds"),
        ("prepare_used_key", "snapshotter.keys", "a used key with other layers: succeeds"),
        ("mount_nothing", "snapshotter.mounts", "snapshot_mount mounts nothing at the target"),
        ("prepare_writable", "snapshotter.read-only", "write into a read-only snapshot: succeeds"),
        ("usage_of_nothing", "snapshotter.usage",
         "after a file of 1 MiB snapshot_usage has gone from 0 bytes and 0 inodes to 0 and 0"),
        ("remove_in_use", "snapshotter.removal", "layer_remove of what is used: succeeds"),
        ("apply_one_at_a_time", "snapshotter.concurrent", "another call is under way"),
        ("apply_parent_first", "snapshotter.any-order", "the parent is not there"),
        ("says_that_it_maps", "snapshotter.id-mapping", "the owner 5:6 of a layer is 5:6 with mappings"),
        ("empty_diffs", "snapshotter.diff", "/made in the mounted snapshot: NOT_FOUND"),
        ("apply_late", "snapshotter.cancellation", "longer than 2 s"),
        ("list_begun", "snapshotter.cancellation", "was cancelled is listed"),
        ("mount_wrong_code", "snapshotter.errors", "is to fail with NOT_FOUND"),
        ("usage_whole", "snapshotter.future-structs", "behind the end of the caller's struct"),
        ("list_from_memory", "snapshotter.restart", "forgotten after stop and start"),
        ("list_from_memory", "snapshotter.crash", "a layer is lost after a crash"),
        ("list_begun", "snapshotter.crash", "half applied is listed after a crash"),
    ],
    "source": [
        ("resolve_without_limit", "source.resolve", "with a limit below the size: succeeds"),
        ("fetch_other_bytes", "source.fetch", "writes what has the digest"),
        ("fetch_from_start", "source.range", "does not write the blob's bytes from there on"),
        ("resolve_unavailable", "source.unknown", "is to fail with NOT_FOUND"),
        ("fetch_stubborn", "source.sink", "was written to 1 times more"),
        ("fetch_late", "source.cancellation", "longer than 2 s"),
        ("resolve_silently", "source.errors", "says nothing"),
        ("resolve_one_at_a_time", "source.concurrent", "another call is under way"),
        ("fetch_of_todays_structs", "source.future-structs", "a descriptor of another size"),
    ],
    "network": [
        ("attach_with_prefix", "network.attach", "/24\" as an address"),
        ("attach_without_address", "network.attach", "attach gives no address"),
        ("detach_nothing", "network.detach", "detach leaves the pod's interface"),
        ("detach_by_state", "network.without-state",
         "detach without the saved state leaves the pod's interface"),
        ("check_nothing", "network.check", "check after detach: succeeds"),
        ("gc_of_nothing", "network.gc", "gc leaves interfaces"),
        ("attach_leaves_bridge", "network.failure", "a failed attach leaves interfaces"),
        ("set_cidr_odd_code", "network.errors", "99, which is no code"),
        ("set_cidr_odd_text", "network.errors", "not UTF-8"),
        ("attach_one_at_a_time", "network.concurrent", "another call is under way"),
        ("attach_late", "network.cancellation", "longer than 2 s"),
        ("gc_of_todays_structs", "network.future-structs", "after gc was to keep it"),
        ("check_from_memory", "network.crash", "not attached by this process"),
    ],
    "runtime": [
        ("features_without_version", "runtime.features", "features has no ociVersion"),
        ("wait_zero", "runtime.life-cycle", "a container that exits with 7 has the exit code 0"),
        ("start_anything", "runtime.exits", "of a program that is not there: succeeds"),
        ("kill_once", "runtime.kill", "container_kill of a container that has exited: NOT_FOUND"),
        ("reopen_nothing", "runtime.logs", "does not make the log anew"),
        ("exec_wait_zero", "runtime.exec", "an exec that exits with 5 has the exit code 0"),
        ("exec_output_late", "runtime.exec-output", "of 400000 that were written"),
        ("stats_of_nothing", "runtime.stats", "pod_stats gives 0 results"),
        ("pauses_nothing", "runtime.pause", "a paused container goes on"),
        ("stop_awaits_resume", "runtime.pause",
         "pod_stop with a paused container: DEADLINE_EXCEEDED: a container is paused"),
        ("create_one_at_a_time", "runtime.concurrent", "another call is under way"),
        ("stop_once", "runtime.repeats", "it was stopped"),
        ("create_silently", "runtime.errors", "says nothing"),
        ("wait_late", "runtime.cancellation", "longer than 2 s"),
        ("start_clears_status", "runtime.future-structs", "writes what it does not know"),
        ("recover_without_containers", "runtime.crash", "pod_recover does not know the container"),
        ("stop_from_memory", "runtime.orphan", "not made by this process"),
    ],
}
REAL = {"snapshotter": "snapshotter-overlay", "source": "source-oci-layout",
        "network": "network-cni", "runtime": "runtime-runc"}


@pytest.fixture(scope="module")
def proxies(tmp_path_factory):
    """{file: plugin}, compiled once."""
    return {name: compile_plugin(tmp_path_factory.mktemp("plugins"), name, real=plugin(real))
            for name, real in REAL.items()}


@pytest.fixture
def checked(proxies, tmp_path):
    """checked("network", "gc_of_nothing", "network.gc", …) runs those checks of that plugin."""
    def run(source, fault, *names):
        options = {"source": layout_options, "network": cni_options}.get(source, lambda _: [])
        arguments = [*options(tmp_path), *(word for name in names for word in ("--only", name))]
        if source in proxies:
            return check(proxies[source], *arguments, env={"BERTH_FAULT": fault})
        how = {"options": [fault]} if fault.startswith("-") else {"fault": fault}
        return check(compile_plugin(tmp_path, source, **how), *arguments)
    return run


# Of what no rule forbids.
WARNINGS = {"file.memory-rights", "life-cycle.repeated-steps"}


@pytest.mark.parametrize("source, fault, name, words", [
    pytest.param(source, *row, id="%s-%s" % (row[1], row[0]))
    for source, rows in FAULTS.items() for row in rows])
def test_a_fault_is_told(checked, source, fault, name, words):
    if name == "memory.life" and shutil.which("valgrind") is None:
        pytest.skip("no valgrind")
    result = checked(source, fault, name)
    assert result.names("failure") == {name} - WARNINGS, result.text
    assert words in result.reason(name), result.text


@pytest.mark.parametrize("source, fault, name", [
    ("faulty", "LEAKS_DESCRIPTOR", "growth.started"),
    ("snapshotter", "prepare_writable", "snapshotter.read-only"),
    ("source", "fetch_from_start", "source.range"), ("network", "gc_of_nothing", "network.gc"),
    ("runtime", "reopen_nothing", "runtime.logs")])
def test_a_fault_fails_nothing_else(checked, source, fault, name):
    general = ("file", "description", "options", "life-cycle", "growth", "calls")
    only_fails(checked(source, fault, *(general if source == "faulty" else [source])), name)


def test_each_check_has_a_fault():
    listed = subprocess.run([CHECKER, "--list"], capture_output=True, text=True, check=True).stdout
    told = {name for rows in FAULTS.values() for _, name, _ in rows}
    # Compiled with a sanitizer in test_plugin_check.
    assert told | {"memory.sanitizer"} == set(re.findall(r"^\S+", listed, re.MULTILINE))

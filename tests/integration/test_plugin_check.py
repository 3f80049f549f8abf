"""berth-plugin-check: the project's own plugins pass it, and each fault fails what it is to fail."""

import json
import os
import re
import shutil
import signal
import subprocess
import xml.etree.ElementTree as ElementTree

import pytest

import registry
from conftest import SOURCE
from image_set import BUSYBOX

pytestmark = pytest.mark.berth

BUILD = os.path.abspath(os.environ.get("BERTH_BUILD", os.path.join(SOURCE, "build/release")))
CHECKER = os.path.join(BUILD, "bin/berth-plugin-check")
GENERAL = ("file", "description", "options", "life-cycle", "growth", "calls")


def plugin(name):
    return os.path.join(BUILD, "lib/berth/plugins", "berth-%s.so" % name)


class Checked:
    """What a run of the checker has told."""

    def __init__(self, run, report):
        self.code, self.text = run.returncode, run.stdout + run.stderr
        self.cases = {}
        if os.path.exists(report):
            self.suite = ElementTree.parse(report).getroot().find("testsuite")
            self.cases = {case.get("name"): case for case in self.suite.iter("testcase")}

    def names(self, tag):
        return {name for name, case in self.cases.items() if case.find(tag) is not None}

    def reason(self, name):
        return next(iter(self.cases[name])).get("message")


@pytest.fixture
def check(tmp_path):
    """check(FILE, OPTION…) gives what was told."""
    def run(path, *options):
        report = str(tmp_path / "report.xml")
        done = subprocess.run([CHECKER, "--junit", report, *options, path], check=False, text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=900)
        return Checked(done, report)
    return run


def passes(result, *skipped):
    """That all checks have passed but those that cannot be made here."""
    assert result.code == 0, result.text
    assert result.names("failure") == set(), result.text
    assert result.names("skipped") <= {"memory.sanitizer", *skipped}, result.text
    assert int(result.suite.get("tests")) == len(result.cases)
    assert all(name in result.text for name in result.cases)


def test_snapshotter_overlay(check):
    result = check(plugin("snapshotter-overlay"))
    passes(result, "snapshotter.id-mapping")
    assert "snapshotter.whiteouts" in result.cases and "runtime.exec" not in result.cases


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    """The options of source-oci-layout that has the test images."""
    cache = os.environ.get("BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))
    path = tmp_path_factory.mktemp("layout") / "options.json"
    path.write_text(json.dumps({"paths": [registry.build_layout(cache)]}))
    return ["--config", str(path), "--reference", BUSYBOX]


def test_source_oci_layout(check, layout):
    passes(check(plugin("source-oci-layout"), *layout))


@pytest.fixture
def served(tmp_path):
    """The options of registry-v2 for a registry that has the test images."""
    cache = os.environ.get("BERTH_TEST_CACHE", os.path.join(SOURCE, "build/testbed"))
    with registry.Registry(cache, str(tmp_path)) as serving:
        host = "127.0.0.1:%d" % serving.port
        path = tmp_path / "options.toml"
        path.write_text("[registries.\"%s\"]\nplain_http = true\n" % host)
        yield ["--config", str(path), "--reference", "%s/%s" % (host, BUSYBOX)]


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry")
def test_registry_v2(check, served):
    passes(check(plugin("registry-v2"), *served))


@pytest.fixture
def cni(tmp_path):
    """The options of network-cni with a bridge."""
    folder = tmp_path / "net.d"
    folder.mkdir()
    (folder / "10-check.conflist").write_text(json.dumps({
        "cniVersion": "1.0.0", "name": "check", "plugins": [{
            "type": "bridge", "bridge": "check0", "isGateway": True, "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": str(tmp_path / "ipam"),
                     "ranges": [[{"subnet": "10.213.0.0/24"}]]}}]}))
    return ["--set", "conf_dir=%s" % folder]


def test_network_cni(check, cni):
    passes(check(plugin("network-cni"), *cni))


def test_interfaces_of_the_host_are_made(check, cni):
    path = [plugin("network-cni"), *cni, "--only", "network.attach", "--host-interface"]
    assert check(*path, "check1").code == 0
    only_fails(check(*path, "a-name-that-is-too-long"), "network.attach")


def test_runtime_runc(check):
    passes(check(plugin("runtime-runc")))


SHIM = ("--set", "shim=containerd-shim-runc-v2", "--set", "isolation=namespaces")


@pytest.mark.skipif(shutil.which("containerd-shim-runc-v2") is None, reason="no shim")
def test_runtime_kata_with_a_shim_of_namespaces(check):
    passes(check(plugin("runtime-kata"), *SHIM))


APART = ("--isolation", "process")
# What they look at is the plugin's process.
WITHIN = ("options.reads-only", "growth.configured", "growth.started", "memory.life")


def test_snapshotter_overlay_in_a_process_of_its_own(check):
    passes(check(plugin("snapshotter-overlay"), *APART), "snapshotter.id-mapping", *WITHIN)


def test_source_oci_layout_in_a_process_of_its_own(check, layout):
    passes(check(plugin("source-oci-layout"), *layout, *APART), *WITHIN)


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry")
def test_registry_v2_in_a_process_of_its_own(check, served):
    passes(check(plugin("registry-v2"), *served, *APART), *WITHIN)


def test_network_cni_in_a_process_of_its_own(check, cni):
    passes(check(plugin("network-cni"), *cni, *APART), *WITHIN)


def test_runtime_runc_in_a_process_of_its_own(check):
    passes(check(plugin("runtime-runc"), *APART), *WITHIN)


@pytest.mark.skipif(shutil.which("containerd-shim-runc-v2") is None, reason="no shim")
def test_runtime_kata_with_a_shim_of_namespaces_in_a_process_of_its_own(check):
    passes(check(plugin("runtime-kata"), *SHIM, *APART), *WITHIN)


def only_fails(result, *expected):
    assert result.names("failure") == set(expected), result.text
    assert result.code == 1


def general():
    return [word for part in GENERAL for word in ("--only", part)]


def test_a_plugin_without_a_fault(check, faulty):
    result = check(faulty("faulty"), *general())
    assert result.code == 0, result.text
    assert result.names("skipped") == {"life-cycle.examine"}, result.text


# Those that start it.
STARTING = ("life-cycle.order", "life-cycle.failed-start", "life-cycle.instances",
            "life-cycle.future-host")


@pytest.mark.parametrize("fault, reason, failing", [
    ("EXPORTS_MORE", "faulty_helper", ["file.exports"]),
    ("REQUIRES_MORE", "requires ABI", ["description.versions"]),
    ("SIZE", "more than there is of it", ["description.sizes"]),
    ("SHORT_TABLE", "mandatory", ["description.sizes"]),
    ("LACKS_DETACH", "`detach`", ["description.callbacks"]),
    ("VERSION", "newest", ["description.texts"]),
    ("CHANGING_DESCRIPTION", "another description", ["description.entry"]),
    ("DEFAULT_OF_OTHER_TYPE", "path", ["options.declaration"]),
    ("CRASHES_AT_VALUE", "signal 11", ["options.values"]),
    ("EXITS_AT_VALUE", "ended the process in the step: configure", ["options.values"]),
    ("UNNAMED_OPTION", "without naming it", ["options.values"]),
    ("CONFIGURE_MAKES_FOLDER", "mkdir(/tmp/berth-faulty-plugin)", ["options.reads-only"]),
    ("EVENT_BEFORE_START", "emit_event before start", ["life-cycle.unstarted"]),
    ("EVENT_AFTER_STOP", "emit_event after stop", STARTING),
    ("HOST_MEMORY", "has not released", ["life-cycle.unstarted"]),
    ("LEAKS_MEMORY", "bytes of memory", ["growth.started"]),
    ("LEAKS_DESCRIPTOR", "descriptor", ["growth.started"]),
    ("LEAKS_THREAD", "threads", ["growth.started"]),
    ("OFFERS_EVERYTHING", "which there is not", ["calls.extensions"]),
])
def test_a_fault_of_any_kind(check, faulty, fault, reason, failing):
    result = check(faulty("faulty", fault), *general())
    # What is wrong in every life is told wherever there is one.
    if fault in ("EVENT_BEFORE_START", "HOST_MEMORY"):
        assert set(failing) <= result.names("failure"), result.text
    else:
        only_fails(result, *failing)
    assert reason in result.reason(failing[0]), result.text


@pytest.mark.parametrize("fault, reason, failing", [
    ("CRASHES_AT_VALUE", "was ended by signal 11", ["options.values"]),
    ("EXITS_AT_VALUE", "exited with code 0", ["options.values"]),
    ("EVENT_AFTER_STOP", "emit_event after stop", STARTING),
    ("READS_THE_CLOCKS_STATE", "adjtimex", ["life-cycle.order"])])
def test_a_fault_of_a_plugin_in_a_process_of_its_own(check, faulty, fault, reason, failing):
    result = check(faulty("faulty", fault), *general(), *APART)
    assert set(failing) <= result.names("failure"), result.text
    assert reason in result.reason(failing[0]), result.text


def test_what_only_a_process_of_its_own_is_refused(check, faulty):
    result = check(faulty("faulty", "READS_THE_CLOCKS_STATE"), *general())
    assert result.code == 0, result.text


def test_an_extension_of_a_vendor(check, faulty):
    path = faulty("faulty", "OFFERS_ITS_OWN")
    only = ("--only", "calls", "--extension")
    result = check(path, *only, "com.example.own")
    assert result.code == 0 and result.names("skipped") == set(), result.text
    only_fails(check(path, *only, "com.example.other"), "calls.extensions")
    result = check(path, *only, "com.example.own", *APART)
    assert result.code == 0, result.text
    assert re.search(r"calls.extensions +warned", result.text), result.text
    assert "com.example.own does not get out of the plugin's process" in result.text
    only_fails(check(path, *only, "berth.runtime.pause", *APART), "calls.extensions")


@pytest.mark.parametrize("step", ["start", "stop"])
def test_a_plugin_that_hangs(check, faulty, step):
    result = check(faulty("faulty", "HANGS_IN_" + step.upper()), "--only", "life-cycle.order",
                   "--time-limit", "2")
    only_fails(result, "life-cycle.order")
    assert "did not end within 2 s; it was killed in the step: " + step in result.text


def test_a_plugin_that_uses_the_hosts_symbols(check, faulty):
    path = faulty("faulty", "UNRESOLVED")
    result = check(path, *general())
    assert "file.links" in result.names("failure"), result.text
    assert "nobody_has_this" in result.text


def test_a_plugin_that_asks_for_an_executable_stack(check, faulty):
    result = check(faulty("faulty", options=["-Wl,-z,execstack"]), *general())
    assert result.code == 0 and "executable stack" in result.text, result.text
    assert re.search(r"file.memory-rights +warned", result.text)


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="no valgrind")
def test_memory_under_valgrind(check, faulty):
    result = check(faulty("faulty", "USE_AFTER_FREE"), "--only", "memory")
    only_fails(result, "memory.life")
    assert "Invalid write" in result.text and "destroy (faulty.c:" in result.text, result.text


def test_memory_under_the_plugins_own_sanitizer(check, faulty):
    flags = ["-fsanitize=address", "-shared-libasan"] if "clang" in subprocess.run(
        ["cc", "--version"], capture_output=True, text=True, check=True).stdout else [
            "-fsanitize=address"]
    result = check(faulty("faulty", "USE_AFTER_FREE", options=flags), "--only", "memory")
    only_fails(result, "memory.sanitizer")
    assert "heap-use-after-free" in result.text, result.text
    result = check(faulty("faulty", options=flags), *general(), "--only", "memory")
    assert result.code == 0, result.text


@pytest.mark.parametrize("fault, failing", [
    ("WRONG_CODE", ["snapshotter.layers"]), ("KEYS", ["snapshotter.keys"]),
    ("READ_ONLY", ["snapshotter.read-only"]), ("REMOVAL", ["snapshotter.removal"]),
    ("CANCELLATION", ["snapshotter.cancellation"]), ("STRUCTS", ["snapshotter.future-structs"])])
def test_a_fault_of_a_snapshotter(check, faulty, fault, failing):
    path = faulty("snapshotter", fault, plugin("snapshotter-overlay"))
    only_fails(check(path, "--only", "snapshotter"), *failing)


@pytest.mark.parametrize("fault, failing", [
    ("RANGE", ["source.range"]), ("UNKNOWN", ["source.unknown"]), ("LIMIT", ["source.resolve"]),
    ("SINK", ["source.sink"])])
def test_a_fault_of_an_image_source(check, faulty, layout, fault, failing):
    path = faulty("source", fault, plugin("source-oci-layout"))
    only_fails(check(path, *layout, "--only", "source"), *failing)


# The host takes nothing for an address that is none, so that no pod is attached at all.
ATTACHING = ["network." + check for check in (
    "attach", "detach", "without-state", "check", "gc", "failure", "concurrent", "future-structs",
    "crash")]


@pytest.mark.parametrize("fault, failing", [
    ("GC", ["network.gc"]), ("ADDRESS", ATTACHING), ("CODE", ["network.errors"]),
    ("TEXT", ["network.errors"])])
def test_a_fault_of_a_network(check, faulty, cni, fault, failing):
    path = faulty("network", fault, plugin("network-cni"))
    only_fails(check(path, *cni, "--only", "network"), *failing)


@pytest.mark.parametrize("fault, failing", [
    ("EXEC", ["runtime.exec"]), ("LOG", ["runtime.logs"]), ("STATS", ["runtime.stats"]),
    ("REPEATS", ["runtime.repeats", "runtime.kill"])])
def test_a_fault_of_a_runtime(check, faulty, fault, failing):
    path = faulty("runtime", fault, plugin("runtime-runc"))
    only_fails(check(path, "--only", "runtime"), *failing)


def test_the_list_names_every_check_with_its_rule(check):
    listed = subprocess.run([CHECKER, "--list"], capture_output=True, text=True, check=True).stdout
    entries = re.findall(r"^(\S+)\n    (\S.*\.)\n    (\S+\.h\b.*)\n", listed, re.MULTILINE)
    assert len(entries) == len(re.findall(r"^\S", listed, re.MULTILINE)) > 50
    names = [name for name, _, _ in entries]
    assert len(set(names)) == len(names)
    assert set(check(plugin("source-oci-layout"), "--only", "file").cases) <= set(names)


@pytest.mark.parametrize("arguments", [
    [], ["/no/such/file.so"], ["--only", "no.such", "PLUGIN"], ["--set", "nothing", "PLUGIN"],
    ["--config", "/no/such/file", "PLUGIN"], ["--time-limit", "0", "PLUGIN"], ["--no-such"]])
def test_wrong_usage(arguments):
    words = [plugin("source-oci-layout") if word == "PLUGIN" else word for word in arguments]
    run = subprocess.run([CHECKER, *words], capture_output=True, text=True, check=False)
    assert run.returncode == 2 and run.stderr, run.stdout


def start(*arguments, folder, **settings):
    """The checker, with its folders in `folder`."""
    return subprocess.Popen([CHECKER, *arguments], env={**os.environ, "TMPDIR": str(folder)},
                            stdin=subprocess.DEVNULL, **settings)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_whoever_interrupts_it_leaves_nothing(number, tmp_path):
    with start(plugin("snapshotter-overlay"), folder=tmp_path, stdout=subprocess.PIPE) as running:
        assert b"passed" in running.stdout.readline()
        [folder] = tmp_path.iterdir()
        assert folder.name.startswith("berth-check-")
        children = ["/proc/%s" % pid for pid in open(
            "/proc/%d/task/%d/children" % (running.pid, running.pid), encoding="ascii")
            .read().split()]
        running.send_signal(number)
        running.stdout.read()
    assert running.returncode == -number
    assert list(tmp_path.iterdir()) == []
    assert not [path for path in children if os.path.exists(path)]


def test_whoever_stops_reading_leaves_nothing(tmp_path):
    reader, writer = os.pipe()
    os.close(reader)
    with start(plugin("snapshotter-overlay"), "--only", "file", folder=tmp_path,
               stdout=writer) as running:
        os.close(writer)
    assert running.returncode == 0
    assert list(tmp_path.iterdir()) == []

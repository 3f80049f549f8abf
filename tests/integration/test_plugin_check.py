"""berth-plugin-check: the project's own plugins pass it, in berthd's process and in their own."""

import glob
import os
import re
import shutil
import signal
import subprocess

import pytest

import host
import registry
from conftest import SOURCE
from image_set import BUSYBOX
from plugin_checker import CACHE, CHECKER, check, cni_options, layout_options, only_fails, plugin

pytestmark = pytest.mark.berth

GENERAL = ("file", "description", "options", "life-cycle", "growth", "calls")


def passes(result, *skipped):
    """That all checks have passed but those that cannot be made here."""
    assert result.code == 0, result.text
    assert result.names("failure") == set(), result.text
    assert result.names("skipped") <= {"memory.sanitizer", *skipped}, result.text
    assert int(result.suite.get("tests")) == len(result.cases)
    assert all(name in result.text for name in result.cases)


def test_snapshotter_overlay():
    result = check(plugin("snapshotter-overlay"))
    passes(result, "snapshotter.id-mapping")
    assert "snapshotter.whiteouts" in result.cases and "runtime.exec" not in result.cases


@pytest.fixture(scope="session")
def layout(tmp_path_factory):
    return layout_options(tmp_path_factory.mktemp("layout"))


def test_source_oci_layout(layout):
    passes(check(plugin("source-oci-layout"), *layout))


@pytest.fixture
def served(tmp_path):
    """The options of registry-v2 for a registry that has the test images."""
    with registry.Registry(CACHE, str(tmp_path)) as serving:
        host = "127.0.0.1:%d" % serving.port
        path = tmp_path / "options.toml"
        path.write_text("[registries.\"%s\"]\nplain_http = true\n" % host)
        yield ["--config", str(path), "--reference", "%s/%s" % (host, BUSYBOX)]


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry")
def test_registry_v2(served):
    passes(check(plugin("registry-v2"), *served))


@pytest.fixture
def cni(tmp_path):
    return cni_options(tmp_path)


def test_network_cni(cni):
    passes(check(plugin("network-cni"), *cni))


def test_interfaces_of_the_host_are_made(cni):
    path = [plugin("network-cni"), *cni, "--only", "network.attach", "--host-interface"]
    assert check(*path, "check1").code == 0
    only_fails(check(*path, "a-name-that-is-too-long"), "network.attach")


def test_runtime_runc():
    passes(check(plugin("runtime-runc")))


def test_runs_side_by_side_leave_no_cgroup():
    runs = [subprocess.Popen([CHECKER, "--only", name, plugin("runtime-runc")],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            for _ in range(2) for name in ("runtime.exits", "runtime.kill", "runtime.exec")]
    assert [run.wait(120) for run in runs] == [0] * len(runs)
    # Others may be at work beside these.
    names = {"berth-plugin-check", *("berth-plugin-check-%d" % run.pid for run in runs)}
    assert [path for path in host.cgroups() if os.path.basename(path) in names] == []


SHIM = ("--set", "shim=containerd-shim-runc-v2", "--set", "isolation=namespaces")


@pytest.mark.skipif(shutil.which("containerd-shim-runc-v2") is None, reason="no shim")
def test_runtime_kata_with_a_shim_of_namespaces():
    passes(check(plugin("runtime-kata"), *SHIM))


APART = ("--isolation", "process")
# What they look at is the plugin's process.
WITHIN = ("options.reads-only", "growth.configured", "growth.started", "memory.life")


def test_snapshotter_overlay_in_a_process_of_its_own():
    passes(check(plugin("snapshotter-overlay"), *APART), "snapshotter.id-mapping", *WITHIN)


def test_source_oci_layout_in_a_process_of_its_own(layout):
    passes(check(plugin("source-oci-layout"), *layout, *APART), *WITHIN)


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no docker-registry")
def test_registry_v2_in_a_process_of_its_own(served):
    passes(check(plugin("registry-v2"), *served, *APART), *WITHIN)


def test_network_cni_in_a_process_of_its_own(cni):
    passes(check(plugin("network-cni"), *cni, *APART), *WITHIN)


def test_runtime_runc_in_a_process_of_its_own():
    passes(check(plugin("runtime-runc"), *APART), *WITHIN)


@pytest.mark.skipif(shutil.which("containerd-shim-runc-v2") is None, reason="no shim")
def test_runtime_kata_with_a_shim_of_namespaces_in_a_process_of_its_own():
    passes(check(plugin("runtime-kata"), *SHIM, *APART), *WITHIN)


def general():
    return [word for part in GENERAL for word in ("--only", part)]


def test_a_plugin_without_a_fault(faulty):
    result = check(faulty("faulty"), *general())
    assert result.code == 0, result.text
    assert result.names("skipped") == {"life-cycle.examine"}, result.text


# Those that start it.
STARTING = ("life-cycle.order", "life-cycle.failed-start", "life-cycle.instances",
            "life-cycle.future-host")


@pytest.mark.parametrize("fault, reason, failing", [
    ("CRASHES_AT_VALUE", "was ended by signal 11", ["options.values"]),
    ("EXITS_AT_VALUE", "exited with code 0", ["options.values"]),
    ("EVENT_AFTER_STOP", "emit_event after stop", STARTING),
    ("READS_THE_CLOCKS_STATE", "adjtimex", ["life-cycle.order"])])
def test_a_fault_of_a_plugin_in_a_process_of_its_own(faulty, fault, reason, failing):
    result = check(faulty("faulty", fault), *general(), *APART)
    assert set(failing) <= result.names("failure"), result.text
    assert reason in result.reason(failing[0]), result.text


def test_what_only_a_process_of_its_own_is_refused(faulty):
    result = check(faulty("faulty", "READS_THE_CLOCKS_STATE"), *general())
    assert result.code == 0, result.text


def test_an_extension_of_a_vendor(faulty):
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
def test_a_plugin_that_hangs(faulty, step):
    result = check(faulty("faulty", "HANGS_IN_" + step.upper()), "--only", "life-cycle.order",
                   "--time-limit", "5")
    only_fails(result, "life-cycle.order")
    assert "did not end within 5 s; it was killed in the step: " + step in result.text


def test_memory_under_the_plugins_own_sanitizer(faulty):
    flags = ["-fsanitize=address", "-shared-libasan"] if "clang" in subprocess.run(
        ["cc", "--version"], capture_output=True, text=True, check=True).stdout else [
            "-fsanitize=address"]
    result = check(faulty("faulty", "USE_AFTER_FREE", options=flags), "--only", "memory")
    only_fails(result, "memory.sanitizer")
    assert "heap-use-after-free" in result.text, result.text
    result = check(faulty("faulty", options=flags), *general(), "--only", "memory")
    assert result.code == 0, result.text


@pytest.mark.parametrize("fault", [None, "resolve_unlocked"])
def test_data_races_under_the_plugins_own_sanitizer(faulty, layout, fault):
    path = faulty("source", real=plugin("source-oci-layout"), options=["-fsanitize=thread"])
    result = check(path, *layout, "--only", "source", *general(),
                   env={"BERTH_FAULT": fault} if fault else None)
    if fault is None:
        assert result.code == 0 and "data race" not in result.text, result.text
        return
    only_fails(result, "source.concurrent")
    assert "in the step: resolve and fetch from several threads" in result.reason(
        "source.concurrent")
    assert re.search(r"ThreadSanitizer: data race(.|\n)*resolve_unlocked", result.text), result.text


def test_a_plugin_without_a_data_race(tmp_path):
    """One for which the host's locks keep calls about an object apart."""
    path = str(tmp_path / "berth-native.so")
    subprocess.run(
        ["cc", "-std=gnu11", "-D_GNU_SOURCE", "-O1", "-g", "-fPIC", "-shared", "-pthread",
         "-fvisibility=hidden", "-fsanitize=thread", "-I", os.path.join(SOURCE, "sdk/include"),
         *glob.glob(os.path.join(SOURCE, "sdk/examples/snapshotter-native/*.c")), "-o", path],
        check=True)
    result = check(path, "--only", "snapshotter", "--only", "life-cycle")
    assert result.code == 0, result.text


def test_the_list_names_every_check_with_its_rule():
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
                            stdin=subprocess.DEVNULL, preexec_fn=heed_interrupts, **settings)


def heed_interrupts():
    """What a shell begins in the background ignores them, and so does all that it begins."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


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

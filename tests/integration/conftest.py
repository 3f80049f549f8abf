"""Fixtures of the integration tests: one engine for the session, and fresh ones on request.

    BERTH_BUILD         Berth's build folder (default build/release)
    BERTH_TEST_ENGINE   berth (default) or containerd, to compare with the peer
    BERTH_TEST_RUNTIME  the OCI runtime: runc (default) or crun
    BERTH_TEST_HANDLER  the handler of pods: empty for the default, or shim, which goes through
                        runtime-kata and Debian's containerd-shim-runc-v2
    BERTH_TEST_CGROUP_DRIVER
                        cgroupfs (default) or systemd
    BERTH_TEST_CACHE    where images are kept between runs (default build/testbed)
    BERTH_CRICTL        crictl; built from the public Go module when unset

Most tests wait more than they compute, so tools/test shares their files out to processes
(pytest-xdist), two for each processor. Each has its own session's engine, and namespaces of its own
for network, IPC and mounts (host.enter_shard): ports, bridges, subnets, packet filter rules, mount
points and named network namespaces do not meet. Folders and cgroups carry the names of test beds.
Whatever is the machine's even so is locked (images, the registry's storage, builds of examples), or
its tests have the mark `alone` and run afterwards, in one process:
  - bounds on time that another test's work beside them could break, and on memory under a load;
  - what is compared before and after for the whole machine.
"""

import functools
import glob
import itertools
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))
sys.dont_write_bytecode = True

import berth_testbed  # noqa: E402  (needs the path above)
import fake_shims  # noqa: E402
import host  # noqa: E402
import shared_engine  # noqa: E402

# Before gRPC starts its threads.
if host.is_shard():
    host.enter_shard()
else:
    host.enter_private_namespaces()

ENGINE = os.environ.get("BERTH_TEST_ENGINE", "berth")
# The longest first, so that no shard waits for the other at the end.
LONG = ("test_power_cuts_of_pods", "test_power_cuts", "test_hangs", "test_given_up",
        "test_readiness", "test_real_trees", "test_plugin_examples", "test_new_plugins",
        "test_plugin_check", "test_faulty_plugins", "test_user_namespaces", "test_daemon_start")
FIGURE = "figure"
numbers = itertools.count(1)


def pytest_configure(config):
    config.addinivalue_line("markers", "berth: a promise of Berth that its peers do not make")
    config.addinivalue_line("markers", "churn: takes long; run apart from the others")
    config.addinivalue_line("markers", "host: depends on the kind of host; run in tests/vm too")
    config.addinivalue_line("markers", "alone: not beside other tests; see above")
    config.addinivalue_line("markers", "repeats(*calls): these many times at once; test_repeats.py")


def pytest_collection_modifyitems(items):
    order = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.stem, len(LONG)))
    if ENGINE == "berth":
        return
    skip = pytest.mark.skip(reason="a promise of Berth; this run tests " + ENGINE)
    for item in items:
        if item.get_closest_marker("berth"):
            item.add_marker(skip)


def pytest_terminal_summary(terminalreporter):
    reports = [report for reports in terminalreporter.stats.values() for report in reports
               if getattr(report, "when", None) == "teardown"]
    figures = ["%s: %s" % (report.nodeid.rpartition("::")[2], text) for report in reports
               for name, text in report.user_properties if name == FIGURE]
    if figures:
        terminalreporter.section("figures")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture
def tell(request):
    """tell("12 cuts"): shown at the end of the run, also when all is well."""
    # With the test's report it comes to the process that shares the tests out, and into JUnit's.
    return lambda text: request.node.user_properties.append((FIGURE, text))


@pytest.fixture(scope="session")
def shared_bed():
    """An engine that lives for the whole session; leaks are reported at its end."""
    with berth_testbed.TestBed() as bed:
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def bed(shared_bed):
    """The session's engine, with no pods; what a test leaves is removed after it."""
    yield from shared_engine.used(shared_bed)


@pytest.fixture
def own_bed():
    """Makes engines for one test alone: own_bed(runtime="crun"). Leaks fail the test."""
    beds = []

    def make(**options):
        bed = berth_testbed.TestBed(**options)
        beds.append(bed)
        return bed.start()

    yield make
    for bed in beds:
        bed.close()
    leaks = [leak for bed in beds for leak in bed.leaks]
    assert leaks == [], "left behind although all pods were removed"


@pytest.fixture
def name():
    """A pod name that no other test uses."""
    return "pod-%d" % next(numbers)


@pytest.fixture
def pod(bed, name):
    """A running pod (its id) called `name`."""
    return bed.run_pod(name)


@pytest.fixture
def berth(bed):
    """Runs `berth ARGUMENTS`; gives the finished process."""
    program = bed.engine.command()[0]

    def run(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)
    return run


@pytest.fixture
def changed_config(bed, tmp_path):
    """Writes the engine's configuration with more text at its end; gives the path."""
    def write(more):
        with open(bed.engine.command()[-1], encoding="utf-8") as stream:
            text = stream.read()
        # Folders of its own: the daemon of the session goes on.
        text = text.replace(bed.folder + "/root", str(tmp_path / "root"))
        text = text.replace(bed.folder + "/state", str(tmp_path / "state"))
        text = text.replace(bed.engine.socket, str(tmp_path / "s"))
        path = tmp_path / "berth.toml"
        path.write_text(text + more)
        return str(path)
    return write


def compile_plugin(folder, source, fault=None, real=None, options=()):
    """Compiles a plugin of tests/fixtures/faulty-plugins; gives its file."""
    path = str(folder / "berth-faulty.so")
    [file] = glob.glob(os.path.join(SOURCE, "tests/fixtures/faulty-plugins", source + ".c*"))
    compiler = ["c++", "-std=c++20"] if file.endswith(".cpp") else ["cc", "-std=gnu11"]
    subprocess.run(
        [*compiler, "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Wno-use-after-free", "-O1",
         "-g", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread",
         "-I", os.path.join(SOURCE, "sdk/include"),
         *(["-DFAULT_" + fault] if fault else []), *(['-DREAL="%s"' % real] if real else []),
         file, "-o", path, *options], check=True)
    return path


@pytest.fixture
def faulty(tmp_path):
    """faulty("faulty", "FAULT") is the file of that plugin."""
    return functools.partial(compile_plugin, tmp_path)


class HangingPlugin:
    """Another plugin, of which the next call of a callback hangs after hold() until release()."""

    def __init__(self, faulty, folder, source, real, table, name=None):
        self.hold_path, self.held_path = str(folder / "hold"), str(folder / "held")
        plugins = os.path.join(os.path.abspath(os.environ.get(
            "BERTH_BUILD", os.path.join(SOURCE, "build/release"))), "lib/berth/plugins")
        plugin = faulty(source, None, os.path.join(plugins, real + ".so"),
                        ['-DHOLD="%s"' % self.hold_path, '-DHELD="%s"' % self.held_path,
                         *(['-DNAME="%s"' % name] if name else [])])
        # Of the test bed.
        self.options = {"settings": '[%s]\nplugin = "faulty"\n' % table,
                        "plugin_dirs": [os.path.dirname(plugin)]}

    def hold(self, callback):
        with open("%s-%s" % (self.hold_path, callback), "wb"):
            pass

    def holds(self):
        return os.path.exists(self.held_path)

    def release(self):
        os.unlink(self.held_path)


@pytest.fixture
def hanging(faulty, tmp_path):
    """hanging(SOURCE, REAL, TABLE) is a HangingPlugin, which is released at the end; with a NAME the
    real one can be loaded beside it."""
    made = []

    def make(*what):
        made.append(HangingPlugin(faulty, tmp_path, *what))
        return made[-1]
    yield make
    for each in made:
        if each.holds():
            each.release()


@pytest.fixture
def hanging_snapshotter(hanging):
    return hanging("hanging", "berth-snapshotter-overlay", "snapshotters.overlay")


@pytest.fixture(scope="session")
def crictl_binary():
    """Builds crictl and names it in the environment; skips, or fails in CI, without Go."""
    if "BERTH_CRICTL" not in os.environ:
        folder = os.path.join(SOURCE, "build/conformance")
        made = subprocess.run(
            [os.path.join(SOURCE, "tests/go-tools/build"), "cri-tools", folder],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if made.returncode != 0:
            if os.environ.get("CI") == "true":
                pytest.fail("crictl cannot be built: " + made.stderr)
            pytest.skip("SKIPPED, crictl was NOT tested: " + made.stderr)
        os.environ["BERTH_CRICTL"] = os.path.join(folder, "crictl")
    return os.environ["BERTH_CRICTL"]


@pytest.fixture(params=["spdy", "websocket"])
def transport(request, crictl_binary):
    """What crictl carries streams with."""
    assert crictl_binary
    return request.param


@pytest.fixture(scope="module")
def fakes():
    return fake_shims.FakeShims({
        "kata": 'config_path = "%s"\n' % fake_shims.CONFIGURATION, "hasty": "create_timeout = 3\n"})


@pytest.fixture(scope="module")
def kata_engine(fakes):
    """One whose handler "kata" has fake shims for virtual machines; "hasty" has little time."""
    with berth_testbed.TestBed(settings=fakes.settings, handler="kata") as bed:
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def kata_bed(kata_engine, fakes):
    """It, with no pods; no shim has anything to complain of."""
    yield from shared_engine.used(kata_engine)
    assert fakes.complaints() == []
    berth_testbed.wait_until(lambda: not fake_shims.shims(kata_engine), what="the end of all shims and machines")
    assert fakes.left() == []


@pytest.fixture(scope="module")
def shim_engine():
    """One whose handler "shim" has containerd's shim."""
    with berth_testbed.TestBed(handler="shim") as bed:
        yield bed
    assert bed.leaks == [], "left behind although all pods were removed"


@pytest.fixture
def shim_bed(shim_engine):
    """It, with no pods."""
    yield from shared_engine.used(shim_engine)

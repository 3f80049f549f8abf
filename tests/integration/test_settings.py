"""What keys of the configuration do that no other file is about."""

import contextlib
import json
import os
import re
import subprocess
import time
import tomllib
import urllib.error
import urllib.request

import grpc
import pytest

import berth_testbed
import engines
import host
import streams
from asking import out
from faulty_registry import FaultyRegistry
from image_set import BUSYBOX, TESTS
from registry import free_port
from test_containers import SLEEP

pytestmark = pytest.mark.berth

CAP_KILL = 1 << 5
TOKEN_SECONDS = 3  # time enough to use one, on a machine with much else to do
# Nobody in there makes folders.
SECCOMP = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
    {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1}]}


def settings(bed):
    bed.ports = free_port(), free_port()
    profile = engines.write(os.path.join(bed.folder, "seccomp.json"), json.dumps(SECCOMP))
    return """
[streaming]
address = "127.0.0.2"
port = %d
idle_timeout_seconds = 4
token_lifetime_seconds = %d
max_sessions = 1
[metrics]
address = "127.0.0.3"
port = %d
[containers]
seccomp_profile = "%s"
seccomp_when_unset = "runtime/default"
default_capabilities = ["CAP_KILL"]
exec_sync_output_bytes = 1024
[runtimes.second]
plugin = "runtime-runc"
[runtimes.second.options]
path = "%s"
root = "%s"
[sources.registry]
isolation = "process"
isolation_capabilities = ["CAP_KILL"]
""" % (bed.ports[0], TOKEN_SECONDS, bed.ports[1], profile, bed.runtime, bed.folder + "/second")


@pytest.fixture(scope="module")
def set_bed():
    with berth_testbed.TestBed(
            settings=settings, first_settings='default_runtime = "second"',
            grpc_settings="max_message_bytes = 65536",
            log_settings='file = "%s"' % os.devnull) as bed:
        yield bed
    assert bed.leaks == []


@pytest.fixture
def container(set_bed, name):
    pod = set_bed.run_pod(name)
    yield set_bed.run(pod, "c", command=SLEEP)
    set_bed.remove_pod(pod)


def test_pods_that_name_no_runtime_have_the_default(set_bed, container):
    assert container  # it runs
    [pod] = set_bed.cri.ListPodSandbox().items
    assert any(pod.id in names for _, names, _ in os.walk(set_bed.folder + "/second"))


def test_what_a_container_gets_that_asks_for_nothing(set_bed, container):
    # The whole file may be longer than what is kept of a command's output here.
    [line] = out(set_bed, container, "grep", "^CapEff:", "/proc/self/status").splitlines()
    assert int(line.partition(":")[2], 16) == CAP_KILL
    answer = set_bed.exec(container, "mkdir", "/folder")
    assert answer.exit_code == 1 and b"Operation not permitted" in answer.stderr


def test_output_of_commands_is_bounded(set_bed, container):
    answer = set_bed.exec(container, "head", "-c", "5000", "/dev/zero")
    assert answer.exit_code == 0 and len(answer.stdout) == 1024


def test_messages_are_bounded(set_bed, name):
    with pytest.raises(grpc.RpcError) as caught:
        set_bed.run_pod(name, annotations={"berth.test/long": "x" * 65536})
    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED


def exec_url(bed, container, *command):
    return bed.cri.Exec({"container_id": container, "cmd": command, "stdout": True}).url


def test_streams_are_served_where_it_says(set_bed, container):
    url = exec_url(set_bed, container, "echo", "here")
    assert url.startswith("http://127.0.0.2:%d/" % set_bed.ports[0])
    with streams.open("spdy", url) as session:
        assert session.finish()[0] == b"here\n"


def test_one_session_at_a_time(set_bed, container):
    with streams.open("spdy", exec_url(set_bed, container, *SLEEP)):
        with pytest.raises(streams.Refused) as refused:
            streams.open("spdy", exec_url(set_bed, container, "true"))
        assert refused.value.status == 503


def test_a_url_gets_old(set_bed, container):
    url = exec_url(set_bed, container, "true")
    time.sleep(TOKEN_SECONDS + 0.5)
    with pytest.raises(streams.Refused) as refused:
        streams.open("spdy", url)
    assert refused.value.status == 404


def test_a_session_that_carries_nothing_is_ended(set_bed, container):
    with streams.open("spdy", exec_url(set_bed, container, *SLEEP)) as session:
        with contextlib.suppress(ConnectionError):
            while session.receive():
                pass


def test_metrics_are_served_where_it_says(set_bed):
    def scrape(address):
        url = "http://%s:%d/metrics" % (address, set_bed.ports[1])
        return urllib.request.urlopen(url, timeout=10).read()
    assert b"process_resident_memory_bytes" in scrape("127.0.0.3")
    with pytest.raises(urllib.error.URLError):
        scrape("127.0.0.1")


def test_a_process_of_a_plugin_keeps_what_it_says(set_bed):
    found = [pid for pid, command in host.processes(set_bed.folder, set_bed.mark).items()
             if command.split()[0].endswith("/berth-plugin-host")]
    assert len(found) == 1
    assert "\nCapBnd:\t%016x\n" % CAP_KILL in host.read("/proc/%d/status" % found[0])


def test_the_log_goes_where_it_says_at_its_level(own_bed, tmp_path):
    log = tmp_path / "berth.log"
    bed = own_bed(log_settings='file = "%s"' % log)
    pod = bed.run_pod("a")
    before = log.read_text()
    assert re.search(r"\blevel=debug\b", before)
    assert host.read(bed.log_path) == ""
    program, *_, config = bed.engine.command()
    text = host.read(config)
    engines.write(config, text.replace('level = "debug"', 'level = "error"'))
    subprocess.run([program, "reload", "--config", config], check=True, capture_output=True,
                   stdin=subprocess.DEVNULL)
    reloaded = len(log.read_text())
    bed.remove_pod(pod)
    assert not re.search(r"\blevel=(debug|info|warn)\b", log.read_text()[reloaded:])


def test_images_of_another_platform_are_taken_when_it_says(own_bed):
    bed = own_bed(settings='[images]\nplatform = "linux/s390x"\n')
    for image in ("busybox-index:1", "bad-platform:1"):
        identity = bed.pull(TESTS + image)
        told = json.loads(bed.cri.ImageStatus(
            {"image": {"image": identity}, "verbose": True}).info["info"])
        assert told["imageSpec"]["architecture"] == "s390x"


def refusal_of_a_pull(bed, image):
    with pytest.raises(grpc.RpcError) as caught:
        bed.pull(image)
    return caught.value


def test_layers_are_bounded(own_bed):
    bed = own_bed(settings="[images]\nmax_layer_bytes = 1048576\n")
    refusal = refusal_of_a_pull(bed, BUSYBOX)
    assert "unpacks to more than 1048576 bytes" in refusal.details()


FRONT = "front.berth.test"


@pytest.fixture
def fronted(own_bed):
    """fronted(MODE, SETTINGS): an engine, and a front before its registry."""
    def make(mode, text):
        def mirrors(bed):
            bed.front = bed.also.enter_context(FaultyRegistry(bed.registry.port, mode))
            return {FRONT: ["http://127.0.0.1:%d/images.berth.test" % bed.front.port]}
        return own_bed(more_mirrors=mirrors, settings="[images]\n" + text)
    return make


def test_manifests_are_bounded(fronted):
    bed = fronted("bulky", "max_manifest_bytes = 65536\n")
    refusal = refusal_of_a_pull(bed, FRONT + "/busybox:1")
    assert refusal.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "65536 bytes" in refusal.details()


def test_a_pull_has_an_end_and_so_many_layers_at_once(fronted):
    """A layer that stalls is all there is until then."""
    bed = fronted("stall", "pull_deadline_seconds = 3\nmax_concurrent_downloads = 1\n")
    refusal = refusal_of_a_pull(bed, FRONT + "/busybox:1")
    assert refusal.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    # The configuration of the image is a blob too.
    assert len(bed.front.layer_requests()) == 2


def test_layers_are_fetched_side_by_side_unless_told_otherwise(fronted):
    """All that are wanted are asked for while the first of them stalls."""
    bed = fronted("stall", "pull_deadline_seconds = 3\n")
    refusal = refusal_of_a_pull(bed, FRONT + "/busybox:1")
    assert refusal.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    layers = {layer["digest"] for layer in bed.registry.manifest(BUSYBOX)["layers"]}
    assert len(layers) > 1
    assert layers <= {path.rpartition("/")[2] for path in bed.front.layer_requests()}


def test_what_is_shown_is_all_that_there_is_to_it(own_bed, tmp_path):
    """A file that has nothing else means the same."""
    bed = own_bed(settings="[containers]\npids_limit = 41\n")
    program, config = bed.engine.command()[0], bed.engine.command()[-1]

    def berth(*arguments):
        return subprocess.run([program, "config", *arguments], capture_output=True, text=True,
                              check=True, stdin=subprocess.DEVNULL, timeout=60).stdout
    runs = berth("show", "--config", config)
    assert runs.startswith("# What the daemon")
    assert tomllib.loads(runs)["containers"]["pids_limit"] == 41
    assert bed.stop_engine() == 0
    alone = tmp_path / "berth.toml"
    alone.write_text(runs)
    again = berth("show", "--config", str(alone))
    assert again.startswith("# No daemon serves")
    assert tomllib.loads(again) == tomllib.loads(runs)
    bed.start_engine()

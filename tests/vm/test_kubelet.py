"""A kubelet drives the engine on a node that was made as README.md and docs/kubelet.md say. There is
no API server: pods are manifests in a folder. In the virtual machine only, in this order."""

import glob
import json
import os
import re
import tempfile

import pytest

import kubelet_pods as manifests
from documents import block, blocks
from kubelet_node import (ADDRESS, MANUAL, Pod, cgroup_of, configure, engine_pods, fetch, figures, get,
                          give_an_address, have_kubelet, install_kubelet, journal, left_of, pods,
                          read, restart_engine, restart_kubelet, serves, shell, wait_for, write)
from node import (CRICTL, DROP_INS, IMAGE, PACKAGES, SOURCE, check_nothing_is_left, crictl, purge, run,
                  shown)

import registry  # noqa: E402  (kubelet_node has put it on the path)

have_kubelet()

PODS = {made["metadata"]["name"]: Pod(made) for made in (
    manifests.host_network(), manifests.web(), manifests.sick(), manifests.crashing(),
    manifests.finished(), manifests.guaranteed(), manifests.burstable(), manifests.hungry(),
    manifests.polite(), manifests.talkative(), manifests.pulled(), manifests.absent(),
    manifests.confined(), manifests.privileged(), manifests.with_sidecar(),
    manifests.together(), manifests.with_image_volume(), manifests.listening())}
# Those that nothing ever ends.
STEADY = ("host", "web", "guaranteed", "burstable", "pulled", "confined", "together")


@pytest.fixture(scope="module")
def server():
    with tempfile.TemporaryDirectory(prefix="berth-registry-") as folder:
        with registry.Registry(os.path.join(SOURCE, "build/testbed"), folder) as started:
            yield started


def test_the_package_is_installed_as_the_readme_says(tmp_path):
    # This machine's own preset enables nothing, unlike Debian's.
    write("/etc/systemd/system-preset/00-a-node.preset", "enable berth.service\n")
    (tmp_path / "build").mkdir()
    os.symlink(PACKAGES, tmp_path / "build/packages")
    steps = block("README.md", "Install", "sh").splitlines()
    assert [line.split()[0] for line in steps] == ["tools/setup", "packaging/build", "apt",
                                                   "systemctl"]
    shell("\n".join(steps[2:]), tmp_path)
    assert shown("SubState") == "running"


def test_the_node_is_prepared_as_documented():
    give_an_address()
    told = shell(block(MANUAL, "The node", "sh"))
    for what in ("IPv4 forwarding", "br_netfilter", "swap turned off"):
        assert re.search("^ok +%s " % what, told, re.MULTILINE), told
    assert read("/proc/sys/net/ipv4/ip_forward") == "1\n"
    assert read("/proc/sys/net/bridge/bridge-nf-call-iptables") == "1\n"


def test_crictl_is_told_where_the_engine_serves():
    os.symlink(CRICTL, "/usr/local/bin/crictl")
    write("/etc/crictl.yaml", block(MANUAL, "crictl", "yaml"))
    assert json.loads(run("crictl", "info"))["status"]["conditions"][0]["status"] is True


def test_the_kubelet_starts_as_documented():
    install_kubelet()
    write("/var/lib/kubelet/config.yaml", block(MANUAL, "The kubelet", "yaml"))
    units = "/etc/systemd/system/kubelet.service.d/"
    write(units + "20-berth.conf", block(MANUAL, "The kubelet", "text"))
    write("/var/lib/kubelet/config.d/alone.conf", block(MANUAL, "Without a cluster", "yaml"))
    write(units + "30-alone.conf", block(MANUAL, "Without a cluster", "text"))
    configure("test", {"containerLogMaxSize": "16Ki", "containerLogMaxFiles": 3,
                       "containerLogMonitorInterval": "3s",
                       "syncFrequency": "10s", "fileCheckFrequency": "5s",
                       "logging": {"verbosity": 1}})  # tells of failed probes
    run("berth", "image", "import", os.environ["BERTH_TEST_IMAGES"], IMAGE)
    shell(block(MANUAL, "Without a cluster", "sh"))
    wait_for(serves, "the kubelet does not serve")
    assert run("systemctl", "show", "kubelet", "--property", "NRestarts", "--value") == "0"


def test_it_asks_the_engine_for_the_cgroup_driver():
    config = json.loads(get("/configz"))["kubeletconfig"]
    assert config["containerRuntimeEndpoint"] == "unix:///run/berth/berth.sock"
    assert config["cgroupDriver"] == "systemd"
    assert 'Using cgroup driver setting received from the CRI runtime" cgroupDriver="systemd"' \
        in journal()


def test_before_there_is_a_network_pods_of_the_host_s_run():
    for name in ("host", "web"):
        PODS[name].begin()
    PODS["host"].ready()
    wait_for(lambda: "NetworkPluginNotReady" in journal(), "the missing network is not told")
    assert all(name.startswith("host-") for name, _ in engine_pods())


def test_pods_start_once_the_network_is_configured(server):
    write("/etc/cni/net.d/10-berth.conflist", block(MANUAL, "The network", "json"))
    PODS["web"].ready()
    # Registries that the network has brought.
    write(DROP_INS + "/registries.toml", "".join(
        '[sources.registry.options.registries."%s"]\nmirrors = ["%s"]\nfallback = false\n'
        % (host, server.mirror(host)) for host in server.hosts))
    restart_engine()
    for name in STEADY:
        if name not in ("host", "web"):
            PODS[name].begin()
    for name in STEADY:
        PODS[name].ready()
    for name in PODS.keys() - {*STEADY}:
        PODS[name].begin()


def test_the_documented_pod_runs():
    text = block(MANUAL, "Without a cluster", "yaml", 1)
    path = "/etc/kubernetes/manifests/hello.yaml"
    assert path in read(os.path.join(SOURCE, MANUAL))
    write(path, text.replace("registry.example/busybox:1.36", IMAGE))
    wait_for(lambda: pods().get("hello", {}).get("status", {}).get("phase") == "Running",
             "the pod does not run")
    wait_for(lambda: [name for name, _ in engine_pods() if name == "hello-" + os.uname().nodename],
             "it has another name")
    os.remove(path)
    wait_for(lambda: "hello" not in pods(), "it is not ended")


def test_addresses_are_those_of_the_networks():
    assert PODS["web"].status["podIP"].startswith("10.85.")
    assert read(manifests.SHARED + "/hostname").strip() == os.uname().nodename
    assert "node0" in read(manifests.SHARED + "/routes")


def test_containers_share_a_network_and_a_volume():
    web = PODS["web"]
    page = "a page for %s\n" % web.full_name
    assert fetch(web.status["podIP"], 8080) == page
    assert fetch(ADDRESS, 18080) == page  # the host's port
    assert "got it" in web.log("client", "?tailLines=3")
    before = web.container("before")["state"]["terminated"]
    assert (before["exitCode"], before["reason"]) == (0, "Completed")


def test_the_environment_and_files_are_the_pod_s():
    web = PODS["web"]
    environment = dict(line.split("=", 1) for line in
                       web.execute("env", container="server")[0].splitlines())
    assert environment["POD_IP"] == web.status["podIP"]
    assert environment["NODE_IP"] == ADDRESS
    assert environment["NAME"] == web.full_name
    assert environment["NODE"] == os.uname().nodename
    assert environment["MEMORY"] == str(64 << 20)
    assert "alias.test" in web.execute("cat", "/etc/hosts", container="client")[0]
    assert web.execute("hostname", container="client")[0].strip() == web.full_name
    resolver = web.execute("cat", "/etc/resolv.conf", container="client")[0].splitlines()
    assert {"nameserver 192.0.2.53", "search pods.test"} <= set(resolver)


def test_commands_are_run_through_the_kubelet():
    web = PODS["web"]
    assert web.execute("sh", "-c", "echo out; exit 7", container="client") == ("out\n", 7)
    output, status = PODS["confined"].execute("id", "-u")
    assert (output, status) == ("1000\n", 0)


def test_input_reaches_a_container_through_attach():
    with PODS["listening"].ready().stream("attach", "main", input=1, output=1) as session:
        session.send("stdin", b"something\n")
        assert session.receive() == ("stdout", b"heard something\n")


def test_a_failed_probe_restarts_the_container():
    status = PODS["sick"].wait(
        lambda status: status.get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1
        and status["containerStatuses"], "is not restarted")[0]
    ended = status["lastState"]["terminated"]
    assert ended["exitCode"] == 0 and ended["reason"] == "Completed"
    assert ended["startedAt"] < ended["finishedAt"]
    assert re.search('"Probe failed" probeType="Liveness" .*containerName="main"', journal())


def test_a_container_that_ends_is_restarted_with_a_back_off():
    crashing = PODS["crashing"]
    for name, code, message in (("main", 3, "it was said why\n"), ("talking", 4, "the last words\n")):
        def backs_off(_):
            status = crashing.container(name)
            waiting = status.get("state", {}).get("waiting", {})
            return (status["restartCount"] >= 2 and waiting.get("reason") == "CrashLoopBackOff"
                    and status)
        ended = crashing.wait(backs_off, "does not back off")["lastState"]["terminated"]
        assert (ended["exitCode"], ended["message"], ended["reason"]) == (code, message, "Error")
    assert crashing.log("talking") == "the last words\n"


def test_a_pod_that_is_done_stays_so():
    status = PODS["finished"].ended("Succeeded").container()
    assert status["state"]["terminated"]["exitCode"] == 0 and status["restartCount"] == 0
    assert PODS["finished"].log() == "done\n"


def test_a_container_without_memory_is_told_as_such():
    ended = PODS["hungry"].ended("Failed").container()["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"]) == ("OOMKilled", 137)


def test_resources_are_what_the_kernel_keeps_to():
    for folder in cgroup_of(PODS["guaranteed"]):
        assert read(folder + "/memory.max") == "%d\n" % (64 << 20)
        assert read(folder + "/cpu.max") == "50000 100000\n"
    folder, inner = cgroup_of(PODS["burstable"], "burstable")
    assert read(inner + "/memory.max") == "%d\n" % (48 << 20)
    assert read(inner + "/cpu.max").startswith("max ")
    assert int(read(inner + "/cpu.weight")) == int(read(folder + "/cpu.weight")) > 1
    folder, inner = cgroup_of(PODS["confined"], "besteffort")
    assert read(inner + "/memory.max") == "max\n"
    assert read(inner + "/cgroup.procs") != ""


def test_images_are_pulled_when_the_pod_says_so(server):
    status = PODS["pulled"].container()
    assert status["image"] == manifests.TESTS + "busybox-zstd:1"
    assert server.digest(status["image"]) in status["imageID"]
    waiting = PODS["absent"].wait(
        lambda status: status.get("containerStatuses", [{}])[0].get("state", {}).get(
            "waiting", {}).get("reason") == "ImagePullBackOff" and status["containerStatuses"],
        "does not tell of its image")[0]["state"]["waiting"]
    assert manifests.TESTS + "absent:1" in waiting["message"]


def test_a_confined_pod_is():
    said = PODS["confined"].log()
    assert "uid=1000 gid=1001" in said and "1002" in said and "1003" in said
    assert re.search(r"CapEff:\s+0+\n", said) and re.search(r"NoNewPrivs:\s+1\n", said)
    assert re.search(r"Seccomp:\s+2\n", said) and "berth-default (enforce)" in said
    assert "touch: /nowhere: Read-only file system" in said
    assert re.search(r"1000 +1002 .* file\n", said)


def test_a_privileged_pod_mounts_on_the_node():
    PODS["privileged"].ready()
    wait_for(lambda: manifests.SHARED + "/storage/mounted" in read("/proc/self/mounts"),
             "the mount does not reach the node")
    assert "/usr/bin/kubelet" in PODS["privileged"].execute("ps")[0]


def test_a_sidecar_lives_as_long_as_it_is_needed():
    status = PODS["assisted"].ended("Succeeded")
    assert status.log() == "yes\n"
    status.wait(lambda _: "terminated" in status.container("sidecar")["state"],
                "has a sidecar that goes on")


def test_containers_share_processes_when_they_are_to():
    seen = PODS["together"].execute("ps")[0]
    assert "sleep 1111111" in seen and "sleep 2222222" in seen


def test_an_image_is_a_volume():
    pod = PODS["with-image"].ready()
    wait_for(lambda: pod.log() == "in the folder\n", "the image's file is not read")


def texts_of_logs(folder):
    """Of the log and of the older ones that are not compressed; None where one goes meanwhile."""
    try:
        return {path: read(path) for path in
                glob.glob(folder + "/0.log.*[0-9]") + [folder + "/0.log"]}
    except FileNotFoundError:
        return None


def test_logs_are_rotated_and_lose_nothing():
    name = PODS["talkative"].ready().container()["containerID"].rpartition("/")[2]
    folder = os.path.dirname(json.loads(crictl("inspect", name))["status"]["logPath"])
    wait_for(lambda: len(glob.glob(folder + "/0.log*")) >= 3, "the log is not rotated")
    for path, text in wait_for(lambda: texts_of_logs(folder), "the logs cannot be read").items():
        numbers = [int(line.split()[3]) for line in text.splitlines()[:-1]]
        first = numbers[0] if numbers else 0
        assert numbers == list(range(first, first + len(numbers))), path
    # The newest file goes on, and is what the kubelet shows.
    wait_for(lambda: "a line that takes" in PODS["talkative"].log(options="?tailLines=2"),
             "the log stands still")


def measured(name):
    """The figures of a pod; what its containers have written is measured beside the calls."""
    of_pod = figures().get(name)
    whole = of_pod and all("usedBytes" in each.get("rootfs", {}) for each in of_pod["containers"])
    return of_pod if whole else None


def check_figures(names):
    for name in names:
        of_pod = wait_for(lambda: measured(name), "no figures of " + name)
        assert {each["name"] for each in of_pod["containers"]} == {
            each["name"] for each in PODS[name].status["containerStatuses"]}
        for each in of_pod["containers"]:
            assert each["memory"]["workingSetBytes"] > 0, (name, each)
            assert each["cpu"]["usageCoreNanoSeconds"] > 0, (name, each)
            assert each["rootfs"]["usedBytes"] > 0 and each["logs"]["usedBytes"] >= 0
        assert of_pod["memory"]["workingSetBytes"] > 0 and of_pod["cpu"]["usageCoreNanoSeconds"] > 0


def test_the_kubelet_has_figures_of_pods():
    check_figures(("web", "guaranteed"))
    node = json.loads(get("/stats/summary"))["node"]
    assert node["runtime"]["imageFs"]["usedBytes"] > 0
    assert 'container_memory_working_set_bytes{container="server"' in get("/metrics/resource")


def check_unchanged(before):
    for name, was in before.items():
        assert PODS[name].state() == was, PODS[name].known_of(was[0])


def test_restarts_of_engine_and_kubelet_are_not_noticed():
    before = {name: PODS[name].state() for name in STEADY}
    restart_engine()
    for name in STEADY:
        PODS[name].ready()
    check_unchanged(before)
    # Both at once, and with settings that the manual names: metrics by the CRI, events.
    settings, = blocks(MANUAL, "Metrics and events", "yaml")
    write("/var/lib/kubelet/config.d/gates.conf", settings)
    configure("verbose", {"logging": {"verbosity": 4}})
    restart_engine()
    restart_kubelet()
    for name in STEADY:
        PODS[name].ready()
    check_unchanged(before)
    assert fetch(PODS["web"].status["podIP"], 8080).startswith("a page")


def test_metrics_of_pods_come_from_the_engine():
    check_figures(("web", "guaranteed"))
    assert figures()["web"]["network"]["rxBytes"] > 0
    told = get("/metrics/cadvisor")
    full_name = PODS["web"].full_name
    for metric in ("container_cpu_usage_seconds_total", "container_memory_working_set_bytes",
                   "container_network_receive_bytes_total"):
        assert re.search(r'^%s\{[^}]*pod="%s"[^}]*\} ' % (metric, full_name), told, re.MULTILINE), \
            metric


def test_an_end_is_noticed_by_its_event():
    pulled = PODS["pulled"]
    before = pulled.container()
    crictl("stop", "--timeout", "0", before["containerID"].rpartition("/")[2])
    pulled.wait(lambda _: pulled.container()["restartCount"] == before["restartCount"] + 1
                and pulled.container()["ready"], "is not restarted")
    told = journal()
    assert "Evented PLEG: Generated pod status from the received event" in told
    assert "Fall back to Generic PLEG" not in told


def test_runtime_classes_are_tables_of_the_configuration(tmp_path):
    write(DROP_INS + "/runtimes.toml", block(MANUAL, "Runtime classes", "toml"))
    run("berth", "config", "check")
    restart_engine()
    for name in STEADY:
        PODS[name].ready()
    # What the kubelet does for a pod of a class, whose name only an API server explains.
    path = tmp_path / "pod.json"
    path.write_text(json.dumps({"metadata": {"name": "of-a-class", "namespace": "default",
                                             "uid": "1", "attempt": 1}, "linux": {}}))
    made = crictl("runp", "--runtime", "crun", str(path))
    assert json.loads(crictl("inspectp", made))["info"]["runtimeHandler"] == "crun"
    crictl("stopp", made)
    crictl("rmp", made)


def test_what_is_no_longer_wanted_goes_wholly():
    gone = {pod.name: (pod.uid, [each.rpartition("/")[2] for each in pod.ids()])
            for pod in PODS.values()}
    mine = {"%s-%s" % (name, os.uname().nodename) for name in gone}
    for pod in PODS.values():
        pod.remove()
    wait_for(lambda: not pods(), lambda: "pods stay: " + " ".join(pods()))
    wait_for(lambda: not any(name in mine for name, _ in engine_pods()),
             lambda: "the engine keeps %s" % engine_pods())
    for name, (uid, identities) in gone.items():
        wait_for(lambda: not left_of(uid, identities),
                 lambda: "of %s is left: %s" % (name, left_of(uid, identities)))
    assert read(manifests.SHARED + "/start") == "started\n"
    assert read(manifests.SHARED + "/end").splitlines() == ["run", "stop", "term"]
    assert manifests.SHARED not in read("/proc/self/mounts")
    assert run("ip", "netns", "list") == ""
    assert glob.glob("/var/lib/cni/networks/berth/10.*") == []


def test_a_purge_leaves_what_the_reader_has_written():
    run("systemctl", "disable", "--now", "kubelet")
    purge()
    check_nothing_is_left(but=["%s/%s.toml" % (DROP_INS, name) for name in (
        "registries", "runtimes")])

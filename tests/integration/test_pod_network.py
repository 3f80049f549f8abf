"""The pod's network as CNI plugins make it, through the engine."""

import json
import os
import shutil
import socket
import subprocess

import pytest

import engines
import host
import pace
from asking import refused, shell, verbose
from berth_testbed import wait_until
from image_set import NGINX
from registry import free_port
from test_pods import HOST_NETWORK, READY, fetch, pod_status

pytestmark = pytest.mark.berth
READY_SECONDS = 5


def rewrite_network(bed, change):
    """Changes the network's configuration, and starts the engine with it."""
    bed.stop_engine()
    with open(bed.network.conf_file, encoding="utf-8") as stream:
        network = json.load(stream)
    change(network)
    engines.write(bed.network.conf_file, json.dumps(network))
    bed.start_engine()


def rates():
    """The devices' limits in bits per second."""
    printed = subprocess.run(["tc", "-json", "qdisc", "show"], capture_output=True, check=True)
    return sorted(8 * queue["options"]["rate"] for queue in json.loads(printed.stdout)
                  if queue["kind"] == "tbf")


def test_bandwidth_comes_from_annotations(own_bed):
    bed = own_bed()
    rewrite_network(bed, lambda network: network["plugins"].append(
        {"type": "bandwidth", "capabilities": {"bandwidth": True}}))
    pod = bed.run_pod("limited", annotations={"kubernetes.io/ingress-bandwidth": "8M",
                                              "kubernetes.io/egress-bandwidth": "4000k"})
    assert rates() == [4_000_000, 8_000_000]
    bed.run_pod("free")
    assert len(rates()) == 2
    bed.remove_pod(pod)
    assert rates() == []


def test_a_host_port_may_be_of_one_address(bed, name):
    port = free_port()
    pod = bed.run_pod(name, port_mappings=[{"protocol": "TCP", "container_port": 80,
                                            "host_port": port, "host_ip": "127.0.0.2"}])
    bed.run(pod, "web", image=NGINX)
    assert fetch("127.0.0.2", port) == 200
    # Nobody but the pod uses the port: whoever asks another address is refused.
    for other in ("127.0.0.1", "127.0.0.3"):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((other, port), timeout=5).close()


def test_a_pod_has_addresses_of_both_families(own_bed):
    bed = own_bed()

    def add_family(network):
        ipam = network["plugins"][0]["ipam"]
        ipam["ranges"].append([{"subnet": "fd00:64::/64"}])
        ipam["routes"].append({"dst": "::/0"})
    rewrite_network(bed, add_family)
    pod = bed.run_pod("both")
    network = pod_status(bed, pod).network
    assert network.ip.count(".") == 3
    second, = network.additional_ips
    assert second.ip.startswith("fd00:64::")
    container = bed.run(pod, "c", command=["sleep", "1000"])
    assert second.ip + "/64" in shell(bed, container, "ip -6 addr show dev eth0")
    assert "%s\t" % second.ip in shell(bed, container, "cat /etc/hosts")
    bed.run(pod, "web", image=NGINX)
    assert fetch(network.ip, 80) == 200
    bed.remove_pod(pod)
    assert not [held for held in os.listdir(os.path.join(bed.network.addresses, bed.network.name))
                if held.startswith("fd00")]


PLUGIN = """#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion": "1.1.0", "supportedVersions": ["1.1.0"]}' ;;
GC) cat > %(folder)s/collected ;;
STATUS) test ! -e %(folder)s/words || { cat %(folder)s/words; exit 1; } ;;
esac
"""


def test_the_node_is_ready_when_its_plugins_are(own_bed, tmp_path):
    bed = own_bed()
    os.chmod(engines.write(str(tmp_path / "uplink"), PLUGIN % {"folder": tmp_path}), 0o755)
    bed.network.bin_dirs = [str(tmp_path)]

    def use_plugin(network):
        network["cniVersion"] = "1.1.0"
        network["plugins"] = [{"type": "uplink"}]
    rewrite_network(bed, use_plugin)
    # The daemon waits for that, but not for long, before it serves.
    collected = json.loads(wait_until(lambda: host.read(tmp_path / "collected"), what="the GC"))
    assert collected["cni.dev/valid-attachments"] == []

    def network_condition():
        return next(c for c in bed.cri.Status().status.conditions if c.type == "NetworkReady")
    assert network_condition().status
    words = tmp_path / "words"
    words.write_text(json.dumps({"cniVersion": "1.1.0", "code": 50, "msg": "the uplink is down"}))
    condition = wait_until(lambda: (lambda c: None if c.status else c)(network_condition()),
                           what="the plugin's answer")
    assert "uplink" in condition.message and "the uplink is down" in condition.message

    # What no plugin should say is no reason for a status that cannot be decoded.
    words.write_bytes(b"x" + 3000 * "é".encode() + b"\xff")
    condition = wait_until(lambda: (lambda c: c if "éé" in c.message else None)(network_condition()),
                           what="the plugin's odd answer")
    assert not condition.status
    words.unlink()
    wait_until(lambda: network_condition().status, what="the plugin's better answer")


def test_the_node_is_ready_soon_after_the_plugins_are_installed(own_bed, tmp_path):
    """An add-on may write its configuration first, and its programs into a folder of its own."""
    bed = own_bed()
    folder = tmp_path / "bin"
    bed.network.bin_dirs = [str(folder)]
    rewrite_network(bed, lambda network: None)

    def condition():
        return next(c for c in bed.cri.Status().status.conditions if c.type == "NetworkReady")
    assert not condition().status
    assert "bridge" in condition().message
    folder.mkdir()
    for program in ("bridge", "host-local", "portmap"):
        shutil.copy(os.path.join(engines.CNI_BINARIES, program), folder)
    pace.wait_within(bed, READY_SECONDS, lambda: condition().status, "to notice the programs")
    pod = bed.run_pod("web")
    assert pod_status(bed, pod).network.ip in bed.network.held_addresses()


BROKEN = """#!/bin/sh
if [ -e %(mark)s ]; then
  [ $CNI_COMMAND != ADD ] || %(real)s > /dev/null
  case $CNI_COMMAND in ADD | DEL)
    echo '{"cniVersion": "1.0.0", "code": 123, "msg": "broken on purpose"}'; exit 1 ;;
  esac
fi
exec %(real)s
"""


@pytest.mark.parametrize("plugin, dies", [
    ("bridge", False), ("host-local", False), ("portmap", False), ("host-local", True)])
def test_what_a_broken_plugin_has_is_given_back_later(own_bed, tmp_path, plugin, dies):
    """It fails once its work is done, and to undo it until it is repaired; nobody asks again."""
    bed = own_bed()
    mark = tmp_path / "broken"
    text = BROKEN % {"mark": mark, "real": os.path.join(engines.CNI_BINARIES, plugin)}
    os.chmod(engines.write(str(tmp_path / plugin), text), 0o755)
    bed.network.bin_dirs = [str(tmp_path), engines.CNI_BINARIES]
    rewrite_network(bed, lambda network: None)
    mark.touch()
    message = refused(bed.cri.RunPodSandbox, {"config": bed.pod_config("web")})
    assert "broken on purpose" in message and not bed.cri.ListPodSandbox().items

    def records():
        return os.listdir(os.path.join(bed.engine.root, "plugins/network-cni"))
    assert records()
    # The bridge asks for the address, and gives it back.
    assert len(bed.network.held_addresses()) == (0 if plugin == "portmap" else 1)
    if dies:
        bed.kill_engine()
        bed.start_engine()
        assert records() and bed.network.held_addresses()
    mark.unlink()
    wait_until(lambda: not records(), pace.PATIENCE, "that the network forgets it")
    assert bed.network.held_addresses() == []
    # The bridge has no address of its own when its first port went before it had one, which the
    # plugin cannot use.
    if bed.network.bridge in host.links():
        subprocess.run(["ip", "link", "delete", bed.network.bridge], check=True)
    bed.remove_pod(bed.run_pod("web"))


def test_what_a_lost_pod_held_is_given_back_at_the_start(own_bed):
    bed = own_bed()
    pod = bed.run_pod("a")
    own = bed.network.held_addresses()
    assert len(own) == 1
    bed.kill_engine()
    # As it would be of a pod that is on no record: an attachment, and an address for it.
    stranger = "f" * len(pod)
    folder = os.path.join(bed.engine.root, "plugins/network-cni")
    record = pod + "@eth0.attachment"
    text = open(os.path.join(folder, record), encoding="utf-8").read()
    engines.write(os.path.join(folder, record.replace(pod, stranger)),
                  text.replace(pod, stranger))
    stale = bed.network.subnet.replace(".0/24", ".200")
    engines.write(os.path.join(bed.network.addresses, bed.network.name, stale),
                  stranger + "\r\neth0")
    bed.start_engine()
    wait_until(lambda: bed.network.held_addresses() == own, what="the address given back")
    wait_until(lambda: not [name for name in os.listdir(folder) if name.startswith(stranger)],
               what="the end of its record")
    assert pod_status(bed, pod).state == READY
    assert pod_status(bed, pod).network.ip == own[0]


def test_a_person_is_told_that_a_pod_lost_its_interface(bed, name):
    pod = bed.run_pod(name)
    asked = {"pod_sandbox_id": pod}
    info = verbose(bed.cri.PodSandboxStatus, asked)
    assert info["networkCheck"] == "OK"
    path = next(namespace["path"] for namespace in info["runtimeSpec"]["linux"]["namespaces"]
                if namespace["type"] == "network")

    def rename(old, new):
        for command in (["down"], ["name", new], ["up"]):
            subprocess.run(["nsenter", "--net=" + path, "ip", "link", "set",
                            new if command == ["up"] else old, *command], check=True)
    rename("eth0", "lost0")
    info = verbose(bed.cri.PodSandboxStatus, asked)
    assert "bridge" in info["networkCheck"] and "eth0" in info["networkCheck"]
    assert pod_status(bed, pod).state == READY
    # The plugin needs it to find what it has to give back.
    rename("lost0", "eth0")
    of_host = bed.run_pod(name + "-host", linux=HOST_NETWORK)
    assert verbose(bed.cri.PodSandboxStatus, {"pod_sandbox_id": of_host})["networkCheck"] is None
    bed.cri.StopPodSandbox(asked)
    assert "networkCheck" not in verbose(bed.cri.PodSandboxStatus, asked)

"""Pods whose CNI programs were removed before them, as those of an add-on that is gone: they end
once an operator abandons their network, who is told what is left to be removed by hand."""

import json
import os
import shutil
import subprocess

import grpc
import pytest

import engines
import host
from asking import refused
from berth_testbed import wait_until
from registry import free_port
from test_containers import SLEEP
from test_pod_network import rewrite_network
from test_pods import NOT_READY, READY, pod_status

pytestmark = pytest.mark.berth
IN_A_PROCESS = '[networks.cni]\nisolation = "process"\n'
PORT = {"protocol": "TCP", "container_port": 80}


class Programs:
    """Links to the CNI programs, in a folder that a test may remove some from."""

    def __init__(self, folder):
        self.folder, self.real = str(folder), engines.CNI_BINARIES
        self.restore()

    def restore(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.mkdir(self.folder)
        for name in os.listdir(self.real):
            os.symlink(os.path.join(self.real, name), os.path.join(self.folder, name))

    def remove(self, *names):
        for name in names:
            os.unlink(os.path.join(self.folder, name))

    def replace(self, name, script):
        path = os.path.join(self.folder, name)
        os.unlink(path)
        os.chmod(engines.write(path, script), 0o755)

    def remove_by_hand(self, bed, pod, ports):
        """What the network has left of a pod: as an operator removes it, or the add-on's tools."""
        folder = os.path.join(bed.network.addresses, bed.network.name)
        for name in bed.network.held_addresses():
            if pod in host.read(os.path.join(folder, name)):
                os.unlink(os.path.join(folder, name))
        config = {"cniVersion": "1.0.0", "name": bed.network.name, "type": "portmap",
                  "runtimeConfig": {"portMappings": [
                      {"hostPort": port, "containerPort": 80, "protocol": "tcp"}
                      for port in ports]}}
        subprocess.run([os.path.join(self.real, "portmap")], input=json.dumps(config), text=True,
                       env={**os.environ, "CNI_COMMAND": "DEL", "CNI_CONTAINERID": pod,
                            "CNI_NETNS": "", "CNI_IFNAME": "eth0", "CNI_PATH": self.real},
                       check=True, stdout=subprocess.DEVNULL)


@pytest.fixture
def programs(tmp_path, monkeypatch):
    made = Programs(tmp_path / "cni-bin")
    monkeypatch.setattr(engines, "CNI_BINARIES", made.folder)
    return made


def abandon(bed, pod):
    program, config = bed.engine.command()[0], bed.engine.command()[-1]
    return subprocess.run([program, "network", "abandon", pod, "--config", config],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60)


def is_refused(bed, pod, *words):
    made = abandon(bed, pod)
    assert (made.returncode, made.stdout) == (1, "")
    for word in words:
        assert word in made.stderr


def records(bed):
    """What the network plugin keeps of attachments."""
    return os.listdir(os.path.join(bed.engine.root, "plugins/network-cni"))


def without_masquerading(network):
    """Its rules are found by no DEL that comes without its pod."""
    network["plugins"][0]["ipMasq"] = False


def stop(bed, pod):
    return refused(bed.cri.StopPodSandbox, {"pod_sandbox_id": pod})


@pytest.mark.parametrize("settings", ["", IN_A_PROCESS], ids=["loaded", "in a process"])
def test_a_pod_whose_programs_are_gone_ends(own_bed, programs, settings):
    bed = own_bed(settings=settings)
    rewrite_network(bed, without_masquerading)
    port = free_port()
    pod = bed.run_pod("web", port_mappings=[{**PORT, "host_port": port}])
    bed.run(pod, "c", command=SLEEP)
    other = bed.run_pod("other")
    address = pod_status(bed, pod).network.ip
    is_refused(bed, pod, "is ready", "crictl stopp " + pod)
    try:
        programs.remove("bridge", "portmap")
        said = stop(bed, pod)
        assert "detach the network" in said
        assert "CNI plugin bridge is not in %s: install it" % programs.folder in said
        assert "CNI plugin portmap is not in" in said
        assert pod_status(bed, pod).network.ip == address

        made = abandon(bed, "default/web")
        assert made.returncode == 0, made.stderr
        for words in ("default/web", pod, "address " + address, "host port %d/TCP" % port):
            assert words in made.stdout
        assert pod_status(bed, pod).state == NOT_READY
        warning, = [line for line in host.read(bed.log_path).splitlines()
                    if "a pod's network is abandoned" in line]
        assert pod in warning and address in warning and "%d/TCP" % port in warning
        wait_until(lambda: not [name for name in records(bed) if pod in name],
                   what="that the plugin forgets it")
        assert pod_status(bed, other).state == READY
        assert [name for name in records(bed) if other in name]
        again = abandon(bed, pod)
        assert (again.returncode, again.stdout) == (0, made.stdout)

        # What it says is left is left, and is found as it says.
        assert address in bed.network.held_addresses()
        assert host.filter_rules(pod)
        filters, = [line for line in made.stdout.splitlines() if "iptables-save" in line]
        found = subprocess.run(filters, shell=True, capture_output=True, text=True, check=True)
        assert bed.network.name in found.stdout
        assert "grep -rl %s /var/lib/cni" % pod in made.stdout

        # For a daemon that has just begun it is as gone.
        bed.kill_engine()
        bed.start_engine()
        assert pod_status(bed, pod).state == NOT_READY
        bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
        assert [item.id for item in bed.cri.ListPodSandbox().items] == [other]
        is_refused(bed, pod, "there is no pod sandbox")
    finally:
        programs.restore()
        programs.remove_by_hand(bed, pod, [port])
    bed.remove_pod(other)
    assert not records(bed)


def test_a_pod_whose_program_hangs_ends(own_bed, programs, tmp_path):
    """The add-on's program waits for an API server that is no more."""
    bed = own_bed()
    rewrite_network(bed, without_masquerading)
    pod = bed.run_pod("web")
    address = pod_status(bed, pod).network.ip
    begun = tmp_path / "begun"
    try:
        programs.replace("bridge", "#!/bin/sh\nexit 1\n")
        assert "CNI plugin bridge DEL" in stop(bed, pod)
        programs.replace("bridge", "#!/bin/sh\n: > %s\nexec sleep 1000\n" % begun)
        stopping = bed.cri.StopPodSandbox.future({"pod_sandbox_id": pod}, timeout=120)
        wait_until(begun.exists, what="a DEL that hangs")
        made = abandon(bed, pod[:16])
        assert made.returncode == 0, made.stderr
        assert address in made.stdout
        assert pod_status(bed, pod).state == NOT_READY
        with pytest.raises(grpc.RpcError):
            stopping.result()
        wait_until(lambda: not records(bed), what="that the plugin forgets it")
        # Others wait neither for that nor for what hung.
        programs.restore()
        bed.run_pod("next")
        bed.cri.RemovePodSandbox({"pod_sandbox_id": pod})
    finally:
        programs.restore()
        programs.remove_by_hand(bed, pod, [])


def test_what_goes_by_itself_is_not_abandoned(bed, name):
    pod = bed.run_pod(name)
    bed.cri.StopPodSandbox({"pod_sandbox_id": pod})
    is_refused(bed, pod, "no network that is to be detached")
    assert bed.network.held_addresses() == []
    is_refused(bed, "default/%s-none" % name, "there is no pod sandbox")

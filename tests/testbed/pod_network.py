"""A pod network of one test bed."""

import json
import os
import secrets
import subprocess

import engines
import host


class PodNetwork:
    """A CNI configuration: a bridge with addresses of its own, and port mapping."""

    bridges = set()  # of all beds of this process, which share its network namespace

    def __init__(self, folder):
        self.name = "berth-test-" + secrets.token_hex(4)
        self.bridge = "bt" + secrets.token_hex(4)
        self.bridges.add(self.bridge)
        self.subnet = "10.%d.%d.0/24" % (64 + secrets.randbelow(128), secrets.randbelow(256))
        self.addresses = os.path.join(folder, "ipam")
        self.bin_dirs = [engines.CNI_BINARIES]
        self.settings = ""  # further options of Berth's plugin, in TOML
        self.conf_folder = os.path.join(folder, "cni")
        os.makedirs(self.conf_folder)
        self.conf_file = os.path.join(self.conf_folder, "10-test.conflist")
        self.write()

    def write(self):
        bridge = {"type": "bridge", "bridge": self.bridge, "isGateway": True, "ipMasq": True,
                  "hairpinMode": True,
                  "ipam": {"type": "host-local", "dataDir": self.addresses,
                           "ranges": [[{"subnet": self.subnet}]],
                           "routes": [{"dst": "0.0.0.0/0"}]}}
        portmap = {"type": "portmap", "capabilities": {"portMappings": True}}
        engines.write(self.conf_file, json.dumps({
            "cniVersion": "1.0.0", "name": self.name, "plugins": [bridge, portmap]}, indent=1))

    def held_addresses(self):
        """Addresses that host-local has given out and not taken back."""
        folder = os.path.join(self.addresses, self.name)
        if not os.path.isdir(folder):
            return []
        return sorted(name for name in os.listdir(folder) if name[0].isdigit())

    def remove(self):
        # Pods that could not be removed have kept their addresses.
        for address in self.held_addresses():
            path = os.path.join(self.addresses, self.name, address)
            host.remove_network_namespaces(host.read(path).split()[0])
        subprocess.run(["ip", "link", "delete", self.bridge], check=False,
                       stderr=subprocess.DEVNULL)

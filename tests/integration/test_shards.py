"""Processes that share the tests out do not meet, and the machine does not notice them."""

import os
import subprocess
import sys

import host

# What is the same in both: each makes it, says so, and looks once the other has made it too.
SHARD = """
import os, socket, subprocess, sys
sys.path.insert(0, sys.argv[1])
import host
folder = sys.argv[2]
host.enter_shard()
assert host.network_namespaces() == set() and host.links() == set()
subprocess.run(["ip", "netns", "add", "same"], check=True)
subprocess.run(["ip", "link", "add", "same", "type", "bridge"], check=True)
subprocess.run(["iptables", "-A", "INPUT", "-m", "comment", "--comment", "same"], check=True)
subprocess.run(["mount", "-t", "tmpfs", "same", folder], check=True)
listener = socket.create_server(("127.0.0.1", 18080))
print("made", flush=True)
sys.stdin.readline()
assert host.network_namespaces() == {"same"} and host.links() == {"same"}
assert host.mounts(folder) == [folder] and len(host.filter_rules("same")) == 1
# As on a machine with systemd.
assert " shared:" in next(line for line in open("/proc/self/mountinfo") if folder in line)
"""


def test_two_shards_do_not_meet(tmp_path):
    before = (host.network_namespaces(), host.links(), host.mounts(""))
    shards = [subprocess.Popen(
        [sys.executable, "-B", "-c", SHARD, os.path.dirname(host.__file__), str(tmp_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTEST_XDIST_WORKER": "gw%d" % number}) for number in range(2)]
    told = [shard.stdout.readline() for shard in shards]
    now = (host.network_namespaces(), host.links(), host.mounts(""))
    for shard in shards:
        shard.communicate("go on\n", timeout=60)
    assert told == ["made\n"] * 2 and [shard.returncode for shard in shards] == [0, 0]
    assert now == before

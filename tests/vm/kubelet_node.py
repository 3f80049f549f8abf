"""A node as docs/kubelet.md says: the engine from its package, and a kubelet without a cluster."""

import glob
import http.client
import json
import os
import shutil
import socket
import ssl
import sys
import time
import urllib.parse

import pytest

from node import SOURCE, crictl, run, shown

sys.path.insert(0, os.path.join(SOURCE, "tests/testbed"))

import streams  # noqa: E402  (needs the path above)

MANUAL = "docs/kubelet.md"
BUILT = os.path.join(SOURCE, "build/kubelet/kubelet")
CGROUPS = "/sys/fs/cgroup"
MANIFESTS = "/etc/kubernetes/manifests"
# What Kubernetes' package has; the rest is in the manual's drop-ins.
UNIT = """\
[Unit]
Description=kubelet: The Kubernetes Node Agent

[Service]
ExecStart=/usr/bin/kubelet
Restart=always
RestartSec=2

[Install]
WantedBy=multi-user.target
"""
ADDRESS = "192.0.2.10"  # of this machine, which has no device of its own
PATIENCE = 600  # of an emulated processor with two dozen pods
PORT = 10250
INSECURE = ssl.create_default_context()
INSECURE.check_hostname = False
INSECURE.verify_mode = ssl.CERT_NONE


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)


def read(path):
    with open(path, encoding="utf-8", errors="replace") as stream:
        return stream.read()


def shell(text, folder="/"):
    """Runs what a document tells, as a reader who stops at the first failure."""
    return run("bash", "-ec", "cd %s\n%s" % (folder, text))


def have_kubelet():
    if os.path.exists(BUILT):
        return
    if os.environ.get("CI") == "true":
        pytest.fail("the kubelet cannot be had, and CI=true needs it")
    pytest.skip("SKIPPED, no kubelet was tested: it cannot be had", allow_module_level=True)


def give_an_address():
    """The kubelet looks for the node's address where the default route begins."""
    run("ip", "link", "add", "node0", "type", "dummy")
    run("ip", "address", "add", ADDRESS + "/24", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    run("ip", "route", "add", "default", "via", "192.0.2.1", "dev", "node0")
    write("/etc/resolv.conf", "nameserver 192.0.2.1\nsearch berth.test\n")


def install_kubelet():
    """As Kubernetes' package does."""
    shutil.copy(BUILT, "/usr/bin/kubelet")
    write("/lib/systemd/system/kubelet.service", UNIT)


def configure(name, settings):
    """Another file in the folder of the kubelet's configuration."""
    kind = {"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration"}
    write("/var/lib/kubelet/config.d/%s.conf" % name, json.dumps({**kind, **settings}))


def journal(unit="kubelet", *options):
    return run("journalctl", "--unit", unit, "--output", "cat", "--no-pager", *options)


def wait_for(condition, what, patience=PATIENCE):
    """Waits until the condition gives something, and gives that; `what` may be called."""
    end = time.monotonic() + patience
    while not (found := condition()):
        if time.monotonic() > end:
            pytest.fail("%s\n%s" % (what() if callable(what) else what,
                                    journal("kubelet", "--lines", "60")))
        time.sleep(0.5)
    return found


def get(path):
    """The body of the kubelet's answer."""
    connection = http.client.HTTPSConnection("127.0.0.1", PORT, timeout=60, context=INSECURE)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace")
        assert answer.status == 200, (path, answer.status, body[-2000:])
        return body
    finally:
        connection.close()


def serves():
    try:
        return get("/healthz") == "ok"
    except (OSError, http.client.HTTPException, AssertionError):
        return False


def restart_kubelet():
    run("systemctl", "restart", "kubelet")
    wait_for(serves, "the kubelet does not serve")


def pods():
    """What the kubelet knows, by the names in the manifests."""
    suffix = "-" + socket.gethostname()
    found = json.loads(get("/pods"))["items"] or []
    return {pod["metadata"]["name"].removesuffix(suffix): pod for pod in found}


class Pod:
    """One that a manifest in the kubelet's folder describes."""

    def __init__(self, manifest):
        self.manifest = manifest
        self.name = manifest["metadata"]["name"]
        self.full_name = "%s-%s" % (self.name, socket.gethostname())
        self.path = os.path.join(MANIFESTS, self.name + ".json")

    def begin(self):
        # The kubelet must not read half of it.
        write("%s/.%s" % (MANIFESTS, self.name), json.dumps(self.manifest))
        os.rename("%s/.%s" % (MANIFESTS, self.name), self.path)
        return self

    def remove(self):
        os.remove(self.path)

    def object(self):
        return pods().get(self.name, {})

    @property
    def status(self):
        return self.object().get("status", {})

    @property
    def uid(self):
        return self.object()["metadata"]["uid"]

    def container(self, name="main"):
        """The status of one of its containers."""
        status = self.status
        for kind in ("containerStatuses", "initContainerStatuses"):
            for each in status.get(kind, []):
                if each["name"] == name:
                    return each
        return {}

    def wait(self, condition, what):
        """Waits for the condition on the pod's status."""
        return wait_for(lambda: condition(self.status), lambda: "%s: %s: %s" % (
            self.name, what, json.dumps(self.status, indent=1)))

    def ready(self):
        """Waits until all its containers run and are ready."""
        self.wait(lambda status: status.get("phase") == "Running" and all(
            each["ready"] for each in status["containerStatuses"]), "is not ready")
        return self

    def ended(self, phase):
        self.wait(lambda status: status.get("phase") == phase, "is not " + phase)
        return self

    def ids(self):
        """Of its containers, but for those that were never made."""
        return sorted(each["containerID"] for each in self.status["containerStatuses"]
                      if "containerID" in each)

    def state(self):
        """Its containers, and how often each has been started again."""
        return self.ids(), [each["restartCount"] for each in self.status["containerStatuses"]]

    def known_of(self, ids):
        """What is told of containers that it had, and what it has now."""
        numbers = [identity.rpartition("/")[2] for identity in ids]
        return "\n".join([json.dumps(self.status["containerStatuses"], indent=1)] + [
            line for unit in ("berth", "kubelet") for line in journal(unit).splitlines()
            if any(number in line for number in numbers)])

    def log(self, container="main", options=""):
        return get("/containerLogs/default/%s/%s%s" % (self.full_name, container, options))

    def stream(self, kind, container, **query):
        """A session of the kubelet's streaming: exec or attach."""
        target = "https://127.0.0.1:%d/%s/default/%s/%s?%s" % (
            PORT, kind, self.full_name, container, urllib.parse.urlencode(query, doseq=True))
        return streams.open("websocket", target, tls=INSECURE)

    def execute(self, *command, container="main"):
        """The output of a command and its exit status."""
        with self.stream("exec", container, command=command, output=1, error=1) as session:
            output, status = session.finish()
        if status["status"] == "Success":
            return output.decode(), 0
        return output.decode(), int(status["details"]["causes"][0]["message"])


def engine_pods():
    """(name, id) of the pods that the engine knows."""
    listed = json.loads(crictl("pods", "--output", "json"))["items"]
    return {(pod["metadata"]["name"], pod["id"]) for pod in listed}


def restart_engine():
    before = shown("MainPID")
    run("systemctl", "restart", "berth")
    assert shown("MainPID") != before


def cgroup_of(pod, quality=""):
    """The cgroups of a pod and of its first container."""
    parent = "kubepods-%s.slice/kubepods-%s-pod" % (quality, quality) if quality else "kubepods-pod"
    folder = "%s/kubepods.slice/%s%s.slice" % (CGROUPS, parent, pod.uid.replace("-", "_"))
    identity = pod.container()["containerID"].rpartition("/")[2]
    inner, = glob.glob("%s/*%s*" % (folder, identity))
    return folder, inner


def left_of(pod_uid, identities):
    """What of a pod is still on the node."""
    names = (pod_uid, pod_uid.replace("-", "_"), *identities)
    found = [line for line in read("/proc/self/mountinfo").splitlines()
             if any(name in line for name in names)]
    found += [path for name in names for path in
              glob.glob("%s/kubepods.slice/**/*%s*" % (CGROUPS, name), recursive=True)]
    for path in glob.glob("/proc/[0-9]*/cgroup"):
        try:
            found += [path for name in names if name in read(path)]
        except OSError:
            pass
    return found + glob.glob("/var/lib/kubelet/pods/" + pod_uid) + glob.glob(
        "/var/log/pods/*" + pod_uid)


def figures():
    return {found["podRef"]["name"].removesuffix("-" + os.uname().nodename): found
            for found in json.loads(get("/stats/summary"))["pods"]}


def fetch(address, port):
    connection = http.client.HTTPConnection(address, port, timeout=60)
    connection.request("GET", "/")
    return connection.getresponse().read().decode()

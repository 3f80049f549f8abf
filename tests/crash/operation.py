"""An operation that is cut off at each of its steps, and the parts that operations are made of.

Each has a setup, which is not cut off; the operation itself; and `finish`, which carries the work
on against the restarted engine as a kubelet would, and says (by raising) what was lost. All use the
same names again and again: a name that is not free shows at the next point.
"""

import json
import os
import select
import threading
import time

import pace
from berth_testbed import wait_until
from image_set import BUSYBOX

HOST_NETWORK = {"security_context": {"namespace_options": {"network": "NODE"}}}
FIRST_ID, LENGTH = 200000, 65536
MAPPING = [{"host_id": FIRST_ID, "container_id": 0, "length": LENGTH}]
USER_NAMESPACE = {"security_context": {"namespace_options": {
    "userns_options": {"mode": "POD", "uids": MAPPING, "gids": MAPPING}}}}
SHARED_PROCESSES = {"security_context": {"namespace_options": {"network": "NODE", "pid": "POD"}}}

# Writes numbered lines; ends by TERM with a last word and a code of its own.
COUNTER = """trap 'echo bye; exit 7' TERM
i=0; while :; do echo $i; i=$((i+1)); sleep 0.01; done"""
LINES = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; exit 5"
POD = "victim"
TOLD_SECONDS = 10  # after a process's end it is told, whoever was killed meanwhile


def check(condition, message):
    if not condition:
        raise AssertionError(message)


class End:
    """Of a process: when it was, noted by a thread that looks at nothing else."""

    def __init__(self, pid):
        self._handle = os.pidfd_open(pid)
        self._at = None
        self._watch = threading.Thread(target=self._note, daemon=True)
        self._watch.start()

    def _note(self):
        select.select([self._handle], [], [])
        self._at = time.monotonic()
        os.close(self._handle)

    def at(self):
        """None if it has not come."""
        self._watch.join(1)
        return self._at


class Operation:
    """See the module. `calls` are those of the engine's services that it cuts off (rpcs.py).
    `linux` is the pod's, and `handler` its runtime. `loses_sandbox`: the pod's sandbox is killed
    while the operation goes on, and its containers end with it."""

    calls = ()
    linux = HOST_NETWORK
    handler = None
    loses_sandbox = False
    mounts = ()
    image = BUSYBOX
    command = ("sh", "-c", COUNTER)

    def __init__(self, bed):
        self.bed = bed
        self.pod = self.container = None

    @classmethod
    def title(cls):
        return cls.__name__

    def setup(self):
        pass

    def act(self):
        raise NotImplementedError

    def settle(self):
        """Waits for what goes on behind the answer."""

    def finish(self):
        raise NotImplementedError

    def give_up(self):
        """Takes away, as a client would, what is neither a pod nor a container."""

    def close(self):
        """Takes back what it has changed of the bed; also after a failure, with or without an
        engine."""

    # Parts of them.

    def pod_config(self):
        # A port gives the port mapping's plugin something to do.
        ports = [] if self.linux == HOST_NETWORK or self.linux == SHARED_PROCESSES else [
            {"container_port": 80, "host_port": 8080}]
        return self.bed.pod_config(POD, linux=dict(self.linux), labels={"berth.test": "crash"},
                                   port_mappings=ports)

    def run_pod(self):
        self.pod = self.bed.run_pod_config(self.pod_config(), self.handler)
        return self.pod

    def container_config(self):
        more = {"linux": self.linux} if self.linux is USER_NAMESPACE else {}
        return self.bed.container_config("c", self.image, command=list(self.command),
                                         mounts=list(self.mounts), **more)

    def create(self):
        self.container = self.bed.cri.CreateContainer({
            "pod_sandbox_id": self.pod, "config": self.container_config(),
            "sandbox_config": self.pod_config()}).container_id
        return self.container

    def start(self):
        self.bed.cri.StartContainer({"container_id": self.container})

    def running(self):
        self.run_pod()
        self.create()
        self.start()
        self.await_lines(2)

    def end(self):
        """The end to come of the container's first process."""
        info = self.bed.cri.ContainerStatus({"container_id": self.container, "verbose": True}).info
        return End(json.loads(info["info"])["pid"])

    def check_told(self, end):
        """Now that the container is said to have ended."""
        told, ended = time.monotonic(), end.at()
        check(ended is not None, "the end is told of what has not ended")
        check(pace.within(self.bed, TOLD_SECONDS, told - ended),
              "the end was told after %.1f s" % (told - ended))

    def state(self):
        return self.bed.status(self.container).state

    def state_is(self, name):
        return self.state() == getattr(self.bed.cri.messages, "CONTAINER_" + name)

    def records(self):
        """How often the daemon has written a container's record since its trace began."""
        return sum(step.startswith("put record\tcontainer") for step in self.bed.daemon.steps())

    def await_record(self, before):
        """Until there are more than `before`: a container's end is written beside the answer to
        who has stopped it."""
        wait_until(lambda: self.bed.doomed() or self.records() > before,
                   what="the record of its end")

    def lines(self):
        return [line[3] for line in self.bed.log_lines(POD, "c") if len(line) == 4]

    def await_lines(self, count):
        wait_until(lambda: len(self.lines()) >= count, what="%d lines of the log" % count)

    def check_numbers(self, lines):
        """No line lost, none twice."""
        check(lines == [str(number) for number in range(len(lines))],
              "the log is not 0, 1, 2 ...: %s" % lines[:50])

    def check_goes_on(self):
        before = len(self.lines())
        self.await_lines(before + 1)
        self.check_numbers([line for line in self.lines() if line])

    def listed_pod(self):
        """The pod as a kubelet finds it: ready, not ready, or not at all."""
        items = [item for item in self.bed.cri.ListPodSandbox({}).items
                 if item.metadata.name == POD]
        check(len(items) < 2, "the pod is there twice")
        return items[0] if items else None

    def listed_container(self):
        items = [item for item in self.bed.cri.ListContainers({}).containers
                 if item.metadata.name == "c"]
        check(len(items) < 2, "the container is there twice")
        return items[0] if items else None

    def have_pod(self):
        """Repeats RunPodSandbox unless the pod is there."""
        found = self.listed_pod()
        ready = self.bed.cri.messages.SANDBOX_READY
        if found and found.state == ready:
            self.pod = found.id
        else:
            if found:
                self.bed.remove_pod(found.id)
            self.run_pod()
        check(self.listed_pod().state == ready, "the pod is not ready")

    def have_container(self):
        found = self.listed_container()
        if found:
            self.container = found.id
        else:
            self.create()

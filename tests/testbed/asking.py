"""Small questions that many tests ask."""

import json
import os

import grpc
import pytest

# The other OCI runtime, for tests of both: it is run where it can be.
CRUN = pytest.param("crun", marks=[
    pytest.mark.host,
    pytest.mark.skipif(not os.path.exists("/sys/fs/cgroup/cgroup.controllers"),
                       reason="this Debian's crun needs cgroup v2")])


def out(bed, container, *command):
    """What a command in the container prints; it must succeed."""
    answer = bed.exec(container, *command)
    assert answer.exit_code == 0, answer.stderr
    return answer.stdout.decode()


def shell(bed, container, script):
    return out(bed, container, "sh", "-c", script).strip()


def verbose(call, request):
    """What a verbose status tells people."""
    return json.loads(call({**request, "verbose": True}).info["info"])


def refused(call, request, *codes):
    """Makes the call, which must fail; gives the message. The code matters for Berth."""
    with pytest.raises(grpc.RpcError) as caught:
        call(request)
    if codes and os.environ.get("BERTH_TEST_ENGINE", "berth") == "berth":
        assert caught.value.code() in codes, caught.value.details()
    return caught.value.details()


def create_refused(bed, pod, name, *codes, **config):
    """The message of a CreateContainer that must fail."""
    return refused(lambda _: bed.create(pod, name, **config), None, *codes)

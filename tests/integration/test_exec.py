"""Commands in running containers: what ends them, and what they leave."""

import os

import pytest

import grpc
import host
from berth_testbed import wait_until

SLEEP = ["sleep", "1000"]

pytestmark = pytest.mark.berth


def commands(bed):
    return " ".join(host.processes(bed.folder, bed.mark).values())


def test_a_command_ends_with_the_client_that_wanted_it(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    call = bed.cri.ExecSync.future(
        {"container_id": container, "cmd": ["sh", "-c", "sleep 4821 & sleep 4822"]}, timeout=300)
    wait_until(lambda: "sleep 4821" in commands(bed) and "sleep 4822" in commands(bed),
               what="the command and its child")
    call.cancel()
    wait_until(lambda: "sleep 482" not in commands(bed), what="the end of both")
    assert bed.exec(container, "echo", "on").stdout == b"on\n"


def test_who_is_left_behind_and_writes_on_holds_nothing_up(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    answer = bed.exec(container, "sh", "-c", "echo first; yes & exit 5", timeout=0)
    assert answer.exit_code == 5
    assert answer.stdout.startswith(b"first\n")
    bed.exec(container, "killall", "yes")


def test_many_short_ones_leave_nothing(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    bed.exec(container, "true")
    before = (descriptors(bed), len(host.processes(bed.folder, bed.mark)))
    calls = [bed.cri.ExecSync.future({"container_id": container, "cmd": ["true"]}, timeout=120)
             for _ in range(100)]
    assert all(call.result().exit_code == 0 for call in calls)
    wait_until(lambda: descriptors(bed) <= before[0] + 4, what="the descriptors' end")
    assert len(host.processes(bed.folder, bed.mark)) <= before[1]


def test_output_that_no_message_holds_is_cut(bed, pod):
    container = bed.run(pod, "c", command=SLEEP)
    loud = "head -c %d /dev/zero | tr '\\0' %s"
    answer = bed.exec(container, "sh", "-c", "%s; (%s) >&2; exit 3" % (
        loud % (17 << 20, "o"), loud % (1 << 20, "e")), timeout=60)
    assert answer.exit_code == 3
    assert answer.stderr == b"e" * (1 << 20)
    assert answer.stdout.strip(b"o") == b""
    assert (14 << 20) < len(answer.stdout) < (15 << 20)
    answer = bed.exec(container, "sh", "-c", loud % (17 << 20, "o"), timeout=60)
    assert (15 << 20) < len(answer.stdout) < (16 << 20)


def descriptors(bed):
    return len(os.listdir("/proc/%d/fd" % bed.pid))


@pytest.mark.parametrize("call,more", [("ExecSync", {"cmd": ["true"]}), ("Exec", {"cmd": ["true"],
                                                                                  "stdout": True}),
                                       ("Attach", {"stdout": True})])
def test_only_running_containers_take_part(bed, pod, call, more):
    created = bed.create(pod, "created", command=SLEEP)
    ended = bed.run(pod, "ended", command=["true"])
    bed.wait_exit(ended)
    for identity, code, word in ((created, grpc.StatusCode.FAILED_PRECONDITION, "does not run"),
                                 (ended, grpc.StatusCode.FAILED_PRECONDITION, "does not run"),
                                 (pod, grpc.StatusCode.NOT_FOUND, "a pod sandbox"),
                                 ("f" * 64, grpc.StatusCode.NOT_FOUND, "does not exist")):
        with pytest.raises(grpc.RpcError) as caught:
            getattr(bed.cri, call)({"container_id": identity, **more})
        assert caught.value.code() == code, caught.value.details()
        assert word in caught.value.details()

"""A node with pods, restarted by force then: what test_reboot_after.py finds again."""

from node import REMEMBERED, Pod, boot, crictl, prepare, status_of, write


def test_pods_run_when_the_machine_is_restarted(tmp_path):
    prepare()
    pods = [Pod(tmp_path, name) for name in ("a", "b")]
    for pod in pods:
        pod.check()
    crictl("stop", "--timeout", "60", pods[1].container)
    assert status_of(pods[1].container)["exitCode"] == 0
    write(REMEMBERED, {"boot": boot(), "pods": [vars(pod) for pod in pods]})

"""A node with pods, which is then restarted: what test_reboot_after.py finds again."""

import json

from node import REMEMBERED, Pod, boot, crictl, prepare, write


def test_pods_run_when_the_machine_is_restarted(tmp_path):
    prepare()
    pods = [Pod(tmp_path, name) for name in ("a", "b")]
    for pod in pods:
        pod.check()
    crictl("stop", "--timeout", "60", pods[1].container)
    ended = json.loads(crictl("inspect", pods[1].container))["status"]
    assert ended["exitCode"] == 0
    write(REMEMBERED, {"boot": boot(), "pods": [vars(pod) for pod in pods]})

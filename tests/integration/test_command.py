"""The command `berth`: its answers, and what stops the daemon's start."""

import concurrent.futures
import os
import subprocess
import tomllib

import pytest

import berth_testbed
from berth_testbed import wait_until

pytestmark = pytest.mark.berth


@pytest.fixture
def berth(bed):
    """Runs `berth ARGUMENTS`; gives the finished process."""
    program = bed.engine.command()[0]

    def run(*arguments):
        return subprocess.run([program, *arguments], capture_output=True, text=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=60)
    return run


@pytest.fixture
def changed_config(bed, tmp_path):
    """Writes the engine's configuration with more text at its end; gives the path."""
    def write(more):
        with open(bed.engine.command()[-1], encoding="utf-8") as stream:
            text = stream.read()
        # Folders of its own: the daemon of the session goes on.
        text = text.replace(bed.folder + "/root", str(tmp_path / "root"))
        text = text.replace(bed.folder + "/state", str(tmp_path / "state"))
        text = text.replace(bed.engine.socket, str(tmp_path / "s"))
        path = tmp_path / "berth.toml"
        path.write_text(text + more)
        return str(path)
    return write


def test_version(bed, berth):
    answer = berth("version")
    assert answer.returncode == 0
    assert bed.cri.Version().runtime_version in answer.stdout


def test_default_configuration_is_toml_and_valid(berth, tmp_path):
    answer = berth("config", "default")
    assert answer.returncode == 0
    tomllib.loads(answer.stdout)
    path = tmp_path / "default.toml"
    path.write_text(answer.stdout)
    checked = berth("config", "check", "--config", str(path))
    assert checked.returncode == 0, checked.stderr


def test_shown_configuration_is_what_runs(bed, berth):
    answer = berth("config", "show", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0, answer.stderr
    shown = tomllib.loads(answer.stdout)
    assert shown["grpc"]["socket"] == bed.engine.socket
    assert shown["runtimes"]["runc"]["plugin"] == "runtime-runc"


def test_plugins_are_listed(bed, berth):
    answer = berth("plugins", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0, answer.stderr
    for plugin in ("runtime-runc", "snapshotter-overlay", "registry-v2", "network-cni"):
        assert plugin in answer.stdout


def test_check_says_what_the_host_offers(bed, berth):
    answer = berth("check", "--config", bed.engine.command()[-1])
    assert "cgroup" in answer.stdout.lower()
    assert "overlay" in answer.stdout.lower()


@pytest.mark.parametrize("text,words", [
    ("[grpd]\nsocket = 1\n", ["grpd", "grpc"]),
    ("[images]\nmax_concurrent_download = 3\n", ["max_concurrent_download",
                                                 "max_concurrent_downloads"]),
    ("[images]\nmax_concurrent_downloads = 'many'\n", ["max_concurrent_downloads"]),
    ("[images\n", ["berth.toml"]),
    ("[containers]\ndefault_sysctls = ['vm.swappiness=1']\n", ["default_sysctls",
                                                                "vm.swappiness"]),
    ("[runtimes.other]\nplugin = \"no-such-plugin\"\n", ["no-such-plugin"]),
    ("[runtimes.other]\nplugin = \"network-cni\"\n", ["network-cni", "runtime"]),
    ("[sources.registry.options]\nno_such_option = 1\n", ["no_such_option"])])
def test_a_wrong_configuration_stops_the_start(berth, changed_config, text, words):
    path = changed_config("\n" + text)
    answer = berth("serve", "--config", path)
    assert answer.returncode != 0
    for word in words:
        assert word in answer.stdout + answer.stderr


def test_a_file_that_is_no_plugin_stops_the_start(bed, berth, changed_config, tmp_path):
    folder = tmp_path / "plugins"
    folder.mkdir()
    own = os.path.join(bed.build, "lib/berth/plugins")
    for name in os.listdir(own):
        (folder / name).symlink_to(os.path.join(own, name))
    (folder / "berth-garbage.so").write_text("this is no shared object")
    path = changed_config("\n[runtimes.bad]\nplugin = \"garbage\"\n")
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text.replace(own, str(folder)))
    answer = berth("serve", "--config", path)
    assert answer.returncode != 0
    assert "berth-garbage.so" in answer.stdout + answer.stderr


def test_a_second_daemon_on_the_same_folders_is_refused(bed, berth):
    answer = berth("serve", "--config", bed.engine.command()[-1])
    assert answer.returncode != 0
    assert bed.alive()
    berth_testbed.wait_until(lambda: bed.cri.Version().runtime_name, what="the first's answer")


def test_operations_are_listed_with_their_stage_and_age(bed, berth):
    pod = bed.run_pod("a-pod-for-ops")
    container = bed.run(pod, "c", command=["sleep", "1000"])
    config = bed.engine.command()[-1]
    with concurrent.futures.ThreadPoolExecutor() as pool:
        slow = pool.submit(bed.exec, container, "sh", "-c", "while ! test -e /end; do sleep 0.1; done")

        def shown():
            lines = berth("ops", "--config", config).stdout.splitlines()
            return next((line for line in lines if "ExecSync in container " + container in line), None)
        line = wait_until(shown, 20, "the operation in the list")
        assert float(line.split()[0]) >= 0
        bed.exec(container, "touch", "/end")
        assert slow.result(30).exit_code == 0
    wait_until(lambda: shown() is None, 20, "an empty list")


def test_operations_need_a_daemon(berth, changed_config):
    answer = berth("ops", "--config", changed_config(""))
    assert answer.returncode != 0
    assert "no daemon answers" in answer.stderr

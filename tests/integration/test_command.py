"""The command `berth`: what it says of the host, the plugins and the daemon's work."""

import concurrent.futures
import os

import pytest

import berth_testbed
from berth_testbed import wait_until

pytestmark = pytest.mark.berth


def test_version(bed, berth):
    answer = berth("version")
    assert answer.returncode == 0
    assert bed.cri.Version().runtime_version in answer.stdout


def row_of(text, name):
    """The cells of the line that starts with `name`, and the line after it."""
    lines = text.splitlines()
    at = next(i for i, line in enumerate(lines) if line.split()[:1] == [name])
    return lines[at].split(), (lines[at + 1:] + [""])[0]


def test_plugins_are_listed(bed, berth):
    answer = berth("plugins", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0, answer.stderr
    assert answer.stderr == ""
    folder = os.path.join(bed.build, "lib/berth/plugins")
    for name, kind, plugin, can in (
            ("runc", ["runtime"], "runtime-runc", "berth.runtime.pause"),
            ("overlay", ["snapshotter"], "snapshotter-overlay", "berth.snapshotter.diff"),
            ("registry", ["image", "source"], "registry-v2", ""),
            ("cni", ["network"], "network-cni", "")):
        cells, after = row_of(answer.stdout, name)
        path = os.path.join(folder, "berth-%s.so" % plugin)
        assert cells == [name, *kind, plugin, "0.1.0", "1.1", "parallel", "started", path]
        assert can in after


def test_a_plugin_that_cannot_be_loaded_is_listed_as_failed(berth, changed_config):
    answer = berth("plugins", "--config",
                   changed_config("\n[runtimes.other]\nplugin = \"network-cni\"\n"))
    assert answer.returncode == 1
    assert "No daemon answers" in answer.stderr
    cells, after = row_of(answer.stdout, "other")
    assert cells[:3] + cells[-2:-1] == ["other", "runtime", "network-cni", "failed"]
    assert "is configured as a runtime" in after
    assert row_of(answer.stdout, "cni")[0][-2] == "configured"


def test_check_says_what_the_host_offers(bed, berth):
    answer = berth("check", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0, answer.stdout
    assert "This host can run Berth" in answer.stdout.splitlines()[-1]
    rows = {line[9:31].strip(): (line[:8].strip(), line[32:]) for line in
            answer.stdout.splitlines()[:-1]}
    assert rows["kernel"][0] == "ok"
    assert rows["overlayfs, overlay"][0] == "ok"
    assert rows["OCI runtime, runc"][0] == "ok" and bed.runtime in rows["OCI runtime, runc"][1]
    assert rows["berth-monitor, runc"][0] == "ok"
    assert rows["CNI network, cni"][0] == "ok"
    for what in ("cgroups", "idmapped mounts", "swap accounting", "criu", "IPv4 forwarding",
                 "br_netfilter", "swap turned off"):
        assert rows[what][0] in ("ok", "without")


def test_check_on_a_host_that_lacks_something(berth, changed_config, bed, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    path = changed_config("\n[runtimes.away]\nplugin = \"runtime-runc\"\n"
                          "[runtimes.away.options]\npath = \"/nonexistent/runtime\"\n")
    with open(path, encoding="utf-8") as stream:
        text = stream.read().replace(bed.network.conf_folder, str(empty))
    (tmp_path / "berth.toml").write_text(text)
    line = text.splitlines().index('path = "/nonexistent/runtime"') + 1
    answer = berth("check", "--config", path)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert "This host can run Berth, without" in answer.stdout
    found = next(row for row in answer.stdout.splitlines() if "OCI runtime, away" in row)
    assert found.startswith("without") and found.endswith("the daemon starts without this runtime")
    assert "%s:%d:1: runtimes.away.options.path: " % (path, line) in found
    network = next(row for row in answer.stdout.splitlines() if "CNI network" in row)
    assert network.startswith("without") and str(empty) in network

    # The default one is another matter.
    (tmp_path / "berth.toml").write_text('default_runtime = "away"\n' + text)
    answer = berth("check", "--config", path)
    assert answer.returncode == 1
    assert "This host cannot run Berth yet" in answer.stdout
    found = next(row for row in answer.stdout.splitlines() if "OCI runtime, away" in row)
    assert found.startswith("MISSING")
    assert "%s:%d:1: runtimes.away.options.path: " % (path, line + 1) in found

    text = text.replace(os.path.join(bed.build, "lib/berth/plugins"), str(empty))
    (tmp_path / "berth.toml").write_text(text)
    answer = berth("check", "--config", path)
    assert answer.returncode == 1
    for plugin in ("runtime runc", "snapshotter overlay", "image source registry", "network cni"):
        assert next(row for row in answer.stdout.splitlines()
                    if row[9:31].strip() == plugin).startswith("MISSING")


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
        slow = pool.submit(bed.exec, container, "sh", "-c",
                           "while ! test -e /end; do sleep 0.1; done")

        def shown():
            lines = berth("ops", "--config", config).stdout.splitlines()
            return next((line for line in lines if "ExecSync in container " + container in line),
                        None)
        line = wait_until(shown, 20, "the operation in the list")
        assert float(line.split()[0]) >= 0
        bed.exec(container, "touch", "/end")
        assert slow.result(30).exit_code == 0
    wait_until(lambda: shown() is None, 20, "an empty list")


def test_operations_need_a_daemon(berth, changed_config):
    answer = berth("ops", "--config", changed_config(""))
    assert answer.returncode != 0
    assert "no daemon answers" in answer.stderr

"""The configuration: what it is, what is wrong with it, and its change while the daemon runs."""

import grp
import itertools
import os
import re
import signal
import socket
import stat
import subprocess
import tomllib

import pytest

import host
from asking import verbose
from berth_testbed import wait_until

pytestmark = pytest.mark.berth


def test_default_configuration_is_toml_and_valid(bed, berth, tmp_path):
    answer = berth("config", "default", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0
    assert answer.stderr == ""
    tomllib.loads(answer.stdout)
    # The plugins' own options are there, explained.
    for line in ('#conf_dir = "/etc/cni/net.d"', "#retries = 3", '#path = "/usr/sbin/runc"',
                 '#mount_api = "auto"'):
        assert "\n" + line + "\n" in answer.stdout
    assert "# The OCI runtime binary; where it is missing" in answer.stdout
    path = tmp_path / "default.toml"
    plugins = os.path.join(bed.build, "lib/berth/plugins")
    path.write_text("plugin_dirs = [\"%s\"]\n%s" % (plugins, answer.stdout))
    checked = berth("config", "check", "--config", str(path))
    assert checked.returncode == 0, checked.stderr


def test_plugins_are_those_beside_the_program(bed, berth, tmp_path):
    """So that a build, and an installation that was moved, need no configuration."""
    nothing = tmp_path / "nothing.toml"
    nothing.touch()
    answer = berth("config", "default", "--config", str(nothing))
    assert answer.returncode == 0 and answer.stderr == ""
    assert '\n#plugin_dirs = ["%s"]\n' % os.path.join(bed.build, "lib/berth/plugins") in answer.stdout
    assert '\n#conf_dir = "/etc/cni/net.d"\n' in answer.stdout


def test_shown_configuration_is_what_runs(bed, berth):
    answer = berth("config", "show", "--config", bed.engine.command()[-1])
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("# What the daemon that serves %s runs with.\n"
                                    % bed.engine.socket)
    shown = tomllib.loads(answer.stdout)
    assert shown["grpc"]["socket"] == bed.engine.socket
    assert shown["runtimes"]["runc"]["plugin"] == "runtime-runc"
    # Also what nobody has written down.
    assert shown["networks"]["cni"]["options"]["interface"] == "eth0"
    assert shown["runtimes"]["runc"]["options"]["path"] == bed.runtime


def test_secrets_are_not_shown(own_bed):
    table = '\n[sources.registry.options.registries."a.example"]\nheaders = {X-Key = "sEcret"}\n'
    bed = own_bed(settings=table)
    program, config = bed.engine.command()[0], bed.engine.command()[-1]

    def berth(*arguments):
        return subprocess.run([program, *arguments, "--config", config], capture_output=True,
                              text=True, check=True, stdin=subprocess.DEVNULL, timeout=60).stdout

    def headers(shown):
        return tomllib.loads(shown)["sources"]["registry"]["options"]["registries"]["a.example"][
            "headers"]
    assert headers(berth("config", "show")) == {"X-Key": "(hidden)"}
    assert "sEcret" not in str(bed.cri.Status({"verbose": True}).info)
    with open(config, encoding="utf-8") as stream:
        text = stream.read()
    with open(config, "w", encoding="utf-8") as stream:
        stream.write(text.replace("sEcret", "sEcret2"))
    # That it has changed is told, and no more.
    told = berth("reload")
    assert "sources.registry.options" in told and "(hidden)" in told
    assert "sEcret" not in told + berth("config", "show") + host.read(bed.log_path)
    bed.stop_engine()
    assert headers(berth("config", "show")) == {"X-Key": "(hidden)"}
    bed.start_engine()


def test_without_a_daemon_what_would_run_is_shown(berth, changed_config):
    answer = berth("config", "show", "--config",
                   changed_config("\n[containers]\npids_limit = 41\n"))
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("# No daemon serves ")
    shown = tomllib.loads(answer.stdout)
    assert shown["containers"]["pids_limit"] == 41
    assert shown["networks"]["cni"]["options"]["interface"] == "eth0"


# What is at the end of the file, and what must be said of which of its lines: all of it by `serve`
# as well as by `config check`.
WRONG = [
    ("[grpd]\nsocket = 1\n", 1, ":2: unknown key grpd; did you mean grpc?"),
    ("[images]\nmax_concurrent_download = 3\n", 2,
     ":1: unknown key images.max_concurrent_download; did you mean "
     "images.max_concurrent_downloads?"),
    ("[images]\nmax_concurrent_downloads = 'many'\n", 2, ":28: images.max_concurrent_downloads: "),
    ("[images\n", None, "not valid TOML"),
    ("[containers]\ndefault_sysctls = ['vm.swappiness=1']\n", 2,
     ":19: containers.default_sysctls: "),
    ("[images]\nsignature_policy = '/nowhere/policy.json'\n", 2, ":20: images.signature_policy: "),
    ("[runtimes.other]\nplugin = \"no-such-plugin\"\n", 1, ":11: runtimes.other: no file "),
    ("[runtimes.other]\nplugin = \"network-cni\"\n", 1, ":11: runtimes.other: plugin file "),
    ("[sources.registry.options]\nno_such_option = 1\n", 2,
     ":1: sources.registry.options.no_such_option: is not known; known here: registries, "),
    ("[sources.registry.options]\nretires = 1\n", 2,
     ":1: sources.registry.options.retires: is not known; did you mean retries?"),
    ("[sources.registry.options]\nretries = 'x'\n", 2,
     ":1: sources.registry.options.retries: must be of type integer, not string"),
    ("[sources.registry.options]\nretries = -1\n", 2,
     ":1: sources.registry.options.retries: must be a whole number from 0 to 100"),
    ("[sources.registry.options.registries.\"a.example\"]\nmirors = []\n", 2,
     ":1: sources.registry.options.registries.\"a.example\".mirors: is not known; did you mean "
     "mirrors?"),
    ("[sources.registry.options.registries.\"a.example\"]\nmirrors = [\"https://x\",\n  \"y\"]\n",
     3,
     ":3: sources.registry.options.registries.\"a.example\".mirrors[1]: "),
    ("[snapshotters.other]\nplugin = \"snapshotter-overlay\"\noptions.mount_api = \"x\"\n", 3,
     ":9: snapshotters.other.options.mount_api: "),
    ("[networks.other]\nplugin = \"network-cni\"\noptions.interface = \"lo\"\n", 3,
     ":9: networks.other.options.interface: "),
]
# Of these, what a later start may find otherwise, as a file that is not there: systemd tries again.
MAY_PASS = (":20: images.signature_policy: ", ":11: runtimes.other: no file ",
            ":11: runtimes.other: plugin file ")


@pytest.mark.parametrize("command", [("serve",), ("config", "check")], ids=["serve", "check"])
@pytest.mark.parametrize("text,line,words", WRONG, ids=[words for _, _, words in WRONG])
def test_a_wrong_configuration_stops_the_start(berth, changed_config, command, text, line, words):
    path = changed_config("")
    with open(path, encoding="utf-8") as stream:
        before = len(stream.read().splitlines())
    path = changed_config("\n" + text)
    answer = berth(*command, "--config", path)
    assert answer.returncode == (78 if command == ("serve",) and words not in MAY_PASS else 1)
    said = answer.stdout + answer.stderr
    assert words in said
    if line is not None:
        assert "%s:%d%s" % (path, before + 1 + line, words) in said.replace("\\\"", "\"")


def test_a_runtime_that_a_start_would_go_on_without_is_told_of(berth, changed_config):
    path = changed_config("\n[runtimes.other]\nplugin = \"runtime-runc\"\n"
                          "options.path = \"/nonexistent/runtime\"\n")
    answer = berth("config", "check", "--config", path)
    assert answer.returncode == 1
    assert re.search(r"^%s:\d+:9: runtimes.other.options.path: " % path, answer.stderr, re.MULTILINE)


# A section with more lines; all that `check` must say, and of that what stops `serve` first.
OUTSIDE = [
    ("[grpc]\nsocket_group = \"no-such-group\"\n",
     ["grpc.socket_group: there is no group no-such-group"]),
    ("[streaming]\naddress = \"192.0.2.1\"\ntls_cert = \"/dev/null/c\"\n"
     "tls_key = \"/dev/null/k\"\n",
     ["streaming.address: listen on 192.0.2.1 ", "streaming.tls_cert: "]),
    ("[streaming]\ntls_cert = \"/dev/null/c\"\ntls_key = \"/dev/null/k\"\n",
     ["streaming.tls_cert: "]),
    ("[log]\nfile = \"/dev/null/log\"\n", ["log.file: write to /dev/null: "]),
    ("[log]\nfile = \"/dev\"\n", ["log.file: /dev is a folder"]),
]


@pytest.mark.parametrize("more,words", OUTSIDE, ids=[words[0] for _, words in OUTSIDE])
def test_what_lies_outside_the_files_is_checked_too(berth, changed_config, tmp_path, more, words):
    path = changed_config("")
    text = (tmp_path / "berth.toml").read_text()
    section, rest = more.split("\n", 1)
    text = (text.replace(section + "\n", section + "\n" + rest) if section in text
            else text + "\n" + more)
    (tmp_path / "berth.toml").write_text(text)
    answer = berth("config", "check", "--config", path)
    assert answer.returncode == 1
    for word in words:
        assert re.search(r"^%s:\d+:\d+: %s" % (path, re.escape(word)), answer.stderr, re.MULTILINE)
    assert not (tmp_path / "root").exists(), "checking makes nothing"
    answer = berth("serve", "--config", path)
    assert answer.returncode == 1
    assert re.search(r"%s:\d+:\d+: %s" % (path, re.escape(words[0])), answer.stderr)


@pytest.mark.parametrize("key,value", [
    ("root", "/dev/null/root"), ("state", "/dev/null"), ("socket", "/dev/null/folder/socket"),
    ("socket", "/dev")])
def test_folders_that_cannot_be_made_are_refused_by_checks_too(berth, changed_config, key, value):
    path = changed_config("")
    with open(path, encoding="utf-8") as stream:
        text = stream.read()
    text, count = re.subn(r"^%s = .*$" % key, '%s = "%s"' % (key, value), text, count=1,
                          flags=re.MULTILINE)
    assert count == 1
    with open(path, "w", encoding="utf-8") as stream:
        stream.write(text)
    line = text[:text.index('"%s"' % value)].count("\n") + 1
    said = "%s:%d:%d: %s%s: " % (path, line, len(key) + 4, "grpc." if key == "socket" else "", key)
    for command in (("config", "check"), ("check",), ("serve",)):
        answer = berth(*command, "--config", path)
        assert answer.returncode == 1, command
        assert said in answer.stdout + answer.stderr, command


@pytest.mark.parametrize("section", ["streaming", "metrics"])
def test_a_port_that_is_taken_is_told_of_with_its_key(berth, changed_config, section):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        path = changed_config("")
        with open(path, encoding="utf-8") as stream:
            text = re.sub(r"^\[%s\]\n((?!\[).*\n)*" % section, "", stream.read(),
                          flags=re.MULTILINE)
        with open(path, "w", encoding="utf-8") as stream:
            stream.write("%s\n[%s]\nport = %d\n" % (text, section, port))
        answer = berth("serve", "--config", path)
    assert answer.returncode == 1
    assert re.search(r"%s:\d+:8: %s\.port: .*listen on 127\.0\.0\.1 port %d: the port is in use "
                     r"\(ss -ltnp names by whom\); set another" % (path, section, port),
                     answer.stderr)


def test_files_in_etc_and_their_drop_ins(bed, tmp_path):
    """Without --config: /etc/berth, here of a mount namespace's own."""
    etc = tmp_path / "etc"
    (etc / "berth.toml.d").mkdir(parents=True)
    (etc / "berth.toml").write_text("""
plugin_dirs = ["%s"]
[grpc]
socket = "%s"
[containers]
pids_limit = 1
default_env = ["A=1"]
""" % (os.path.join(bed.build, "lib/berth/plugins"), tmp_path / "s"))
    (etc / "berth.toml.d/20-later.toml").write_text("containers.pids_limit = 3\n")
    (etc / "berth.toml.d/10-earlier.toml").write_text(
        "containers.pids_limit = 2\ncontainers.default_env = [\"B=2\"]\n")
    (etc / "berth.toml.d/30-not-read.conf").write_text("containers.pids_limit = 4\n")

    def berth(*arguments):
        script = """set -e
mkdir "$1/all"
mount -t tmpfs none "$1/all"
mkdir "$1/all/upper" "$1/all/work"
mount -t overlay none -o "lowerdir=/etc,upperdir=$1/all/upper,workdir=$1/all/work" /etc
mkdir -p /etc/berth
mount --bind "$1/etc" /etc/berth
shift
exec "$@"
"""
        try:
            return subprocess.run(
                ["unshare", "--mount", "sh", "-c", script, "sh", str(tmp_path),
                 bed.engine.command()[0], *arguments], capture_output=True, text=True,
                check=False, stdin=subprocess.DEVNULL, timeout=60)
        finally:
            (tmp_path / "all").rmdir()
    answer = berth("config", "show")
    assert answer.returncode == 0, answer.stderr
    shown = tomllib.loads(answer.stdout)
    assert shown["containers"]["pids_limit"] == 3
    assert shown["containers"]["default_env"] == ["B=2"]

    (etc / "berth.toml.d/20-later.toml").write_text("\n  containers.pid_limit = 3\n")
    answer = berth("config", "check")
    assert answer.returncode == 1
    assert ("/etc/berth/berth.toml.d/20-later.toml:2:14: unknown key containers.pid_limit; did you "
            "mean containers.pids_limit?") in answer.stderr


@pytest.mark.parametrize("group", ["64998", "tty"])
def test_mode_and_group_of_the_socket(own_bed, group):
    wanted = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    bed = own_bed(grpc_settings="socket_mode = \"0620\"\nsocket_group = \"%s\"" % group)
    status = os.stat(bed.engine.socket)
    assert stat.S_ISSOCK(status.st_mode)
    assert stat.S_IMODE(status.st_mode) == 0o620
    assert status.st_gid == wanted
    assert bed.cri.Version().runtime_name
    bed.stop_engine()
    assert not os.path.exists(bed.engine.socket)
    bed.start_engine()


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


def test_reload(own_bed, tmp_path):
    bed = own_bed()
    program, config = bed.engine.command()[0], bed.engine.command()[-1]

    def reload():
        return subprocess.run([program, "reload", "--config", config], capture_output=True,
                              text=True, check=False, stdin=subprocess.DEVNULL, timeout=60)

    def pids_of_new_container():
        container = bed.run(pod, "c%d" % next(numbers), command=["sleep", "1000"])
        info = verbose(bed.cri.ContainerStatus, {"container_id": container})
        return info["runtimeSpec"]["linux"]["resources"].get("pids")

    def rewrite(old, new):
        text = open(config, encoding="utf-8").read()
        assert old in text
        with open(config, "w", encoding="utf-8") as stream:
            stream.write(text.replace(old, new))
    numbers = itertools.count()
    pod = bed.run_pod("a")
    assert pids_of_new_container() is None
    assert reload().stdout == "Nothing has changed.\n"

    with open(config, "a", encoding="utf-8") as stream:
        stream.write("\n[containers]\npids_limit = 77\n")
    rewrite('driver = "cgroupfs"', 'driver = "auto"')
    answer = reload()
    assert answer.returncode == 0, answer.stderr
    assert "containers.pids_limit: 0 -> 77\n" in answer.stdout
    assert 'cgroup.driver: "cgroupfs" -> "auto" (with the next start)\n' in answer.stdout
    assert pids_of_new_container() == {"limit": 77}
    answer = subprocess.run([program, "config", "show", "--config", config], capture_output=True,
                            text=True, check=True, stdin=subprocess.DEVNULL, timeout=60).stdout
    assert '# Waits for the next start: cgroup.driver: "cgroupfs" -> "auto"\n' in answer
    assert tomllib.loads(answer)["cgroup"]["driver"] == "cgroupfs"
    assert tomllib.loads(answer)["containers"]["pids_limit"] == 77

    # All or nothing: the limit is right, but something else is not.
    rewrite("pids_limit = 77", "pids_limit = 88\nno_such_key = 1")
    answer = reload()
    assert answer.returncode != 0 and "no_such_key" in answer.stderr
    logged = host.read(bed.log_path)
    assert "unknown key containers.no_such_key" in logged and "berth/refusal" not in logged
    assert pids_of_new_container() == {"limit": 77}

    # The same by signal.
    rewrite("no_such_key = 1", "")
    os.kill(bed.pid, signal.SIGHUP)
    wait_until(lambda: pids_of_new_container() == {"limit": 88}, what="the new limit")
    refused = "the configuration stays as it was"
    before = host.read(bed.log_path).count(refused)
    rewrite("pids_limit = 88", "pids_limit = 99\nno_such_key = 1")
    os.kill(bed.pid, signal.SIGHUP)
    wait_until(lambda: host.read(bed.log_path).count(refused) > before, what="the refusal")
    told = [line for line in host.read(bed.log_path).splitlines() if refused in line][-1]
    assert config in told and "no_such_key" in told, "the place is named"
    assert pids_of_new_container() == {"limit": 88}
    rewrite("pids_limit = 99\nno_such_key = 1", "pids_limit = 88")

    # What would wait for the next start, and make that fail, is refused now.
    live = "pids_limit = 88", "pids_limit = 99"
    for wrong, words in (('\n[runtimes.other]\nplugin = "no-such-plugin"\n', "no-such-plugin"),
                         ('\n[runtimes.other]\nplugin = "runtime-runc"\n'
                          '[runtimes.other.options]\nno_such_option = 1\n', "no_such_option")):
        rewrite(*live)
        with open(config, "a", encoding="utf-8") as stream:
            stream.write(wrong)
        answer = reload()
        assert answer.returncode != 0 and words in answer.stderr
        assert config in answer.stderr, "the place is named"
        assert pids_of_new_container() == {"limit": 88}
        rewrite(wrong, "")
        rewrite(*reversed(live))
    with open(config, "a", encoding="utf-8") as stream:
        stream.write('\n[runtimes.other]\nplugin = "runtime-runc"\n')
    answer = reload()
    assert answer.returncode == 0 and "runtimes.other" in answer.stdout
    assert "(with the next start)" in answer.stdout
    told = [line for line in open(bed.log_path, encoding="utf-8") if "runtimes.other" in line]
    assert any("waits for the next start" in line for line in told)

"""What is in the packages, and what becomes of a system when they come and go."""

import glob
import os
import re
import tomllib

import pytest

from conftest import SOURCE, run


def contents(path):
    """The files of a package, with links as "NAME -> TARGET"."""
    return {line.split(None, 5)[5][1:] for line in run("dpkg-deb", "--contents", path).splitlines()
            if not line.startswith("d")}


def test_lintian_has_nothing_to_say(packages):
    told = run("lintian", "--fail-on", "error,warning", *packages.values(), check=False)
    assert not re.findall(r"^[EW]: .*", told, re.MULTILINE), told


def test_version_is_that_of_the_sources(packages):
    with open(os.path.join(SOURCE, "CMakeLists.txt"), encoding="utf-8") as stream:
        version = re.search(r"project\(Berth VERSION (\S+)", stream.read())[1]
    for path in packages.values():
        assert run("dpkg-deb", "--field", path, "Version").startswith(version + "-")


def test_everything_is_in_it(packages):
    found = contents(packages["berth"])
    library = next(name for name in found if name.endswith("/berth-runtime-runc.so"))
    folder = os.path.dirname(library)
    plugins = {name for name in os.listdir(os.path.join(SOURCE, "plugins"))
               if os.path.isdir(os.path.join(SOURCE, "plugins", name))}
    assert {"%s/berth-%s.so" % (folder, name) for name in plugins} == {
        name for name in found if name.startswith(folder)}
    assert found >= {
        "/etc/berth/berth.toml", "/lib/systemd/system/berth.service", "/usr/bin/berth",
        "/usr/sbin/berthd -> ../bin/berth", "/usr/libexec/berth/berth-monitor",
        "/usr/libexec/berth/berth-keeper", "/usr/libexec/berth/berth-openpgp",
        "/usr/libexec/berth/berth-plugin-host", "/usr/share/man/man1/berth.1.gz",
        "/usr/share/man/man5/berth.toml.5.gz", "/usr/share/man/man8/berthd.8.gz",
        "/usr/share/bash-completion/completions/berth",
        "/usr/share/zsh/vendor-completions/_berth",
        "/usr/share/fish/vendor_completions.d/berth.fish",
        "/usr/share/doc/berth/examples/10-berth.conflist",
        "/usr/share/doc/berth/examples/berth.logrotate",
        "/usr/share/doc/berth/examples/crictl.yaml", "/usr/share/doc/berth/README.Debian"}
    assert not [name for name in found if name.startswith(("/usr/include", "/usr/local", "/var"))]
    developer = contents(packages["libberth-plugin-dev"])
    for name in ("plugin.h", "runtime.h", "snapshotter.h", "image_source.h",
                 "image_signatures.h", "network.h"):
        assert "/usr/include/berth/" + name in developer
    assert developer >= {
        "/usr/share/man/man7/berth-plugin.7.gz", "/usr/bin/berth-plugin-check",
        "/usr/bin/berth-plugin-new", "/usr/share/man/man1/berth-plugin-new.1.gz",
        "/usr/share/man/man1/berth-plugin-check.1.gz", "/usr/share/berth/templates/debian/control",
        "/usr/share/berth/examples/network-veth/plugin.cpp",
        "/usr/share/berth/examples/network-veth/template"}
    assert developer >= {"/usr/share/doc/libberth-plugin-dev/" + os.path.basename(path) for path in
                         glob.glob(os.path.join(SOURCE, "docs/plugin*.md"))}
    # What the documents refer to.
    assert found >= {"/usr/share/doc/berth/plugins/%s.md" % name for name in plugins}
    assert found >= {"/usr/share/doc/berth/%s.md" % name
                     for name in ("kubelet", "migration", "troubleshooting")}
    assert re.search(r"\bberth\b", run("dpkg-deb", "--field", packages["libberth-plugin-dev"],
                                       "Recommends"))
    # By which systemd's cgroup driver is spoken to.
    assert "dbus-system-bus" in run("dpkg-deb", "--field", packages["berth"], "Recommends")
    assert not found & developer - {"/usr/share/doc"}


def test_configuration_is_a_conffile_and_valid(installed):
    assert "/etc/berth/berth.toml" in installed.run(
        "dpkg-query --show --showformat='${Conffiles}' berth")
    with open(installed.path("/etc/berth/berth.toml"), "rb") as stream:
        assert tomllib.load(stream).keys() <= {
            "grpc", "log", "streaming", "metrics", "cgroup", "images", "containers", "runtimes",
            "snapshotters", "sources", "networks"}
    with open(installed.path("/etc/berth/berth.toml"), encoding="utf-8") as stream:
        text = stream.read()
    # Of a plugin's own, as it declares them.
    assert "#conf_dir = " in text and "#mount_api = " in text
    folder = re.search(r'^#plugin_dirs = \["(.*)"\]$', text, re.MULTILINE)[1]
    assert os.path.exists(installed.path(folder + "/berth-runtime-runc.so"))


def test_programs_find_what_they_need(installed):
    assert installed.run("berth version").startswith("berth ")
    listed = installed.run("berth plugins", check=False)
    for plugin in ("runtime-runc", "snapshotter-overlay", "registry-v2", "network-cni"):
        assert re.search(r"\b%s .* configured +/usr/lib/" % plugin, listed), listed
    assert "OCI runtime, runc" in installed.run("berth check", check=False)
    # The monitor is where the plugin looks for it.
    assert re.search(r"^ok +berth-monitor, runc", installed.run("berth check", check=False),
                     re.MULTILINE)


def test_a_host_without_a_system_bus_is_told_of(installed):
    """Where systemd runs, whose cgroup driver needs it."""
    check = "berth check | grep '^[a-zA-Z]* *systemd, runc' || true"
    told = installed.run("mkdir -p /run/systemd/system; " + check)
    assert re.match("without .*cannot change limits.*: No such file or directory; install dbus$",
                    told), told
    assert installed.run(check) == ""


def test_logrotate_takes_its_example(installed):
    """The file is moved away, and the daemon is asked for another one."""
    told = installed.run("""
        printf '#!/bin/sh\necho systemctl "$@"; ls -l /var/log/berth.log' > /usr/local/bin/systemctl
        chmod +x /usr/local/bin/systemctl
        cp /usr/share/doc/berth/examples/berth.logrotate /etc/logrotate.d/berth
        echo first > /var/log/berth.log
        logrotate --force --state /tmp/rotated /etc/logrotate.d/berth
        cat /var/log/berth.log.1
        rm /usr/local/bin/systemctl /etc/logrotate.d/berth /var/log/berth.log*
    """)
    asked, made, kept = told.splitlines()
    assert (asked, kept) == ("systemctl reload berth", "first")
    assert made.startswith("-rw-r----- 1 root adm 0 ")


def test_systemd_takes_the_unit(installed):
    told = installed.run("systemd-analyze --man=no verify /lib/systemd/system/berth.service; "
                         "systemctl is-enabled berth.service")
    assert told == "enabled\n", told
    with open(installed.path("/lib/systemd/system/berth.service"), encoding="utf-8") as stream:
        unit = stream.read()
    for line in ("Type=notify", "KillMode=process", "Delegate=yes", "ExecStart=/usr/sbin/berthd",
                 "ExecReload=/usr/bin/berth reload", "RestartPreventExitStatus=78",
                 "RequiresMountsFor=/var/lib/berth"):
        assert "\n%s\n" % line in unit
    # It would be removed when the daemon stops, with the sockets of pods.
    assert "RuntimeDirectory" not in unit


def test_plugins_are_built_with_the_developers_package(packages, tmp_path):
    run("dpkg-deb", "--extract", packages["libberth-plugin-dev"], str(tmp_path / "root"))
    project = os.path.join(SOURCE, "tests/sdk-consumer/project")
    run("cmake", "-S", project, "-B", str(tmp_path / "build"), "-G", "Ninja",
        "-DCMAKE_PREFIX_PATH=%s/usr" % (tmp_path / "root"))
    run("cmake", "--build", str(tmp_path / "build"))
    assert (tmp_path / "build/lib/berth/plugins/berth-quiet-c.so").exists()


INSTALL = "apt-get -q -y install --no-install-recommends /tmp/berth_*.deb > /dev/null\n"
STATE = INSTALL + """
mkdir -p /var/lib/berth/images /var/lib/berth/plugins /run/berth/pods/p/shm /etc/berth/berth.toml.d
touch /var/lib/berth/berth.db /var/lib/berth/plugins/x /run/berth/berthd.lock
"""
# By what a pod is seen. One with the node's network and IPC namespace has the last alone.
MOUNTS = {"shared memory": "/run/berth/pods/p/shm", "network namespace": "/run/netns/berth-p",
          "root file system": "/run/berth/containers/c/rootfs"}


@pytest.mark.parametrize("mounted", MOUNTS.values(), ids=MOUNTS)
def test_removal_and_purge_leave_running_pods_alone(installed, mounted):
    told = installed.run(STATE + """
        mkdir -p %(mounted)s
        mount -t tmpfs tmpfs %(mounted)s
        touch %(mounted)s/its
        dpkg --remove berth
        test -e /var/lib/berth/berth.db -a -e %(mounted)s/its -a -e /etc/berth/berth.toml
        dpkg --purge berth
        test -e /var/lib/berth/berth.db -a -e /run/berth/berthd.lock -a -e %(mounted)s/its
        echo kept
    """ % {"mounted": mounted})
    assert "They go on without the engine" in told
    assert "/var/lib/berth and /run/berth are left" in told
    assert told.endswith("kept\n")


def test_a_purge_leaves_what_others_have_put_there(installed):
    told = installed.run(STATE + """
        echo archive > /var/lib/berth/images/mine.tar
        echo '{}' > /etc/berth/auth.json
        mkdir /var/lib/berth/disk; mount -t tmpfs tmpfs /var/lib/berth/disk
        touch /var/lib/berth/disk/foreign
        dpkg --purge berth
        test ! -e /run/berth
        find /var/lib/berth /etc/berth -type f | sort
    """, check=False)
    assert "are left" not in told
    assert told.split("\n")[-4:-1] == ["/etc/berth/auth.json", "/var/lib/berth/disk/foreign",
                                       "/var/lib/berth/images/mine.tar"], told

    # Without anything of others nothing is left at all.
    installed.run("rm -r /var/lib/berth /etc/berth\n" + STATE + """
        dpkg --purge berth libberth-plugin-dev
        test ! -e /var/lib/berth -a ! -e /run/berth -a ! -e /etc/berth
    """)


@pytest.mark.parametrize("made", [
    "mkdir -p /srv/berth; ln -s /srv/berth /var/lib/berth",
    "mkdir -p /var/lib/berth; mount -t tmpfs tmpfs /var/lib/berth"], ids=["link", "mount point"])
def test_a_purge_empties_a_folder_that_is_elsewhere(installed, made):
    """The folder itself is the administrator's."""
    told = installed.run(made + "\n" + STATE + """
        echo begins
        dpkg --purge berth
        echo left:
        find /var/lib/berth/
    """)
    installed.run("rm -rf /var/lib/berth /srv/berth")
    assert told.endswith("left:\n/var/lib/berth/\n")
    assert "is left" not in told.partition("begins\n")[2]

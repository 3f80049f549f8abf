"""The archive for other systems: nothing but glibc is needed; and what `cmake --install` installs."""

import glob
import os
import re
import shutil
import subprocess

import pytest

from conftest import BUILD, SOURCE, run

GLIBC = ("libc.so.6", "libm.so.6", "libresolv.so.2", "libpthread.so.0", "libdl.so.2", "librt.so.1")


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """A root with the archive, the dynamic linker and glibc, and nothing else."""
    folder = tmp_path_factory.mktemp("bare")
    archive = os.environ.get("BERTH_TARBALL") or run(
        os.path.join(SOURCE, "packaging/tarball")).splitlines()[-1]
    run("tar", "--extract", "--file", archive, "--directory", str(folder))
    library = "/lib/%s-linux-gnu" % os.uname().machine
    os.makedirs(str(folder) + library)
    os.makedirs(folder / "lib64")
    for name in GLIBC:
        shutil.copy(os.path.join(library, name), str(folder) + library)
    for linker in glob.glob("/lib64/ld-linux-*") or glob.glob("/lib/ld-linux-*"):
        shutil.copy(linker, str(folder) + linker)
    (folder / "tmp").mkdir()
    (folder / "proc").mkdir()
    (folder / "dev").mkdir()
    yield folder
    shutil.rmtree(folder)


def in_root(folder, *command):
    # The dynamic linker asks /proc where the program is, and OpenPGP wants /dev/urandom.
    enter = ('mount -t proc proc "$0/proc"; mount --bind /dev "$0/dev"; '
             'exec /usr/sbin/chroot "$0" "$@"')
    return subprocess.run(["unshare", "--mount", "sh", "-ec", enter, str(folder), *command],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def test_it_runs_with_glibc_alone(bare):
    made = in_root(bare, "/opt/berth/bin/berth", "version")
    assert made.returncode == 0, made.stderr
    assert made.stdout.startswith("berth ")


def test_its_plugins_are_found_and_loaded(bare):
    (bare / "tmp/berth.toml").write_text(
        '[runtimes.kata]\nplugin = "runtime-kata"\n[sources.layout]\nplugin = "source-oci-layout"\n')
    made = in_root(bare, "/opt/berth/bin/berth", "plugins", "--config", "/tmp/berth.toml")
    listed = {line.split()[0]: line for line in made.stdout.splitlines()
              if "/opt/berth/lib/berth/plugins/" in line}
    assert listed.keys() == {"runc", "kata", "overlay", "registry", "layout", "cni"}, made.stdout
    # They are loaded; of what they need on a node nothing is here.
    assert all(re.search(r" configured ", line) for line in listed.values()), made.stdout


def test_programs_of_plugins_need_nothing(bare):
    for name in ("berth-monitor", "berth-keeper"):
        program = subprocess.run(["readelf", "--dynamic", "--wide",
                                  str(bare / "opt/berth/libexec/berth" / name)],
                                 capture_output=True, text=True, check=False).stdout
        assert "NEEDED" not in program
    assert in_root(bare, "/opt/berth/libexec/berth/berth-monitor", "version").returncode == 0


def test_the_program_for_openpgp_finds_its_libraries(bare):
    """Asked nothing, it says so."""
    asked = in_root(bare, "/opt/berth/libexec/berth/berth-openpgp")
    assert asked.stderr == "the request is malformed"


def test_unit_and_manuals_are_there(bare):
    unit = (bare / "opt/berth/lib/systemd/system/berth.service").read_text()
    assert "\nExecStart=/opt/berth/sbin/berthd\n" in unit
    assert os.readlink(bare / "opt/berth/sbin/berthd") == "../bin/berth"
    for page in ("man1/berth.1", "man5/berth.toml.5", "man7/berth-plugin.7", "man8/berthd.8"):
        assert (bare / "opt/berth/share/man" / page).exists()
    for name in ("README", "kubelet", "troubleshooting"):
        assert (bare / "opt/berth/share/doc/berth" / (name + ".md")).exists()
    # The build does not know that it lies here.
    assert '\n#plugin_dirs = ["/opt/berth/lib/berth/plugins"]\n' in (
        bare / "opt/berth/share/doc/berth/examples/berth.toml").read_text()


def test_install_keeps_to_its_folder(tmp_path):
    """`DESTDIR=… cmake --install`, of the build that the other tests use."""
    run("cmake", "--install", BUILD, env={**os.environ, "DESTDIR": str(tmp_path)})
    prefix = re.search(r"^CMAKE_INSTALL_PREFIX:PATH=(.*)$", open(
        os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8").read(), re.MULTILINE)[1]
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert all(("/" + name).startswith(prefix + "/") for name in found)
    for name in ("bin/berth", "sbin/berthd", "libexec/berth/berth-monitor",
                 "libexec/berth/berth-plugin-host",
                 "lib/systemd/system/berth.service", "share/man/man8/berthd.8",
                 "share/zsh/site-functions/_berth", "include/berth/plugin.h"):
        assert prefix.lstrip("/") + "/" + name in found

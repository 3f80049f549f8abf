"""Projects of plugins outside of the tree, built with the installed SDK and nothing else."""

import fcntl
import functools
import glob
import os
import re
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.dirname(os.path.dirname(HERE))
# What new projects begin with.
EXAMPLES = {os.path.basename(os.path.dirname(path)): os.path.dirname(path)
            for path in glob.glob(os.path.join(SOURCE, "sdk/examples/*/template"))}
# The plugins of the guide, which are one project.
SMALL = ("small-network", "small-runtime", "small-snapshotter", "small-source")
BUILD = os.path.abspath(os.environ.get("BERTH_BUILD", os.path.join(SOURCE, "build/release")))
# Everything that a plugin's author is likely to have on.
WARNINGS = "-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror"


def run(*command, **settings):
    """Gives what it printed; fails with that."""
    made = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
                          timeout=600, **settings)
    assert made.returncode == 0, "%s failed:\n%s" % (command[0], made.stdout[-6000:])
    return made.stdout


def install_sdk(prefix):
    """The component that plugins are built with, alone."""
    run("cmake", "--install", BUILD, "--component", "sdk", "--prefix", prefix)
    return str(prefix)


@functools.cache
def _cached():
    """What CMake knows of the build; nothing where there is only what was built."""
    try:
        with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as stream:
            return dict(re.findall(r"^(\w+):\w+=(.+)$", stream.read(), re.MULTILINE))
    except FileNotFoundError:
        return {}


def sanitizer():
    """That of the build; None if it has none."""
    return _cached().get("BERTH_SANITIZE")


def sanitizer_runtime():
    """What of it every program of the build loads first: a list of at most one."""
    if "address" not in (sanitizer() or ""):
        return []
    return [run(_cached()["CMAKE_CXX_COMPILER"], "-print-file-name=libasan.so").strip()]


def settings():
    """The compilers that the SDK's libraries were built with, through ccache where that is, and
    their sanitizer, if any."""
    flags = WARNINGS
    if sanitizer() is not None:
        flags += " -fsanitize=" + sanitizer()
    return ["-DCMAKE_%s%s" % setting for language in ("C", "CXX") for setting in (
        (language, "_FLAGS=" + flags),
        (language, "_COMPILER=" + _cached()["CMAKE_%s_COMPILER" % language]),
        (language, "_COMPILER_LAUNCHER=" + (shutil.which("ccache") or "")))]


def build_project(source, prefix, build):
    """Builds with warnings as errors, and installs beside the SDK; gives the folder of plugins."""
    run("cmake", "-S", source, "-B", build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo",
        "-DCMAKE_PREFIX_PATH=" + str(prefix), "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF",
        # Of the SDK's prefix the SDK alone is installed.
        "-DBERTH_PLUGIN_DIR=" + os.path.join(BUILD, "lib/berth/plugins"),
        "--no-warn-unused-cli", *settings())
    # Of the same sources in another checkout ccache knows what this makes.
    run("cmake", "--build", build,
        env={**os.environ, "CCACHE_BASEDIR": SOURCE, "CCACHE_NOHASHDIR": "true"})
    run("cmake", "--install", build, "--prefix", prefix)
    installed = glob.glob(os.path.join(prefix, "lib*/**/berth/plugins"), recursive=True)
    assert len(installed) == 1, installed
    return installed[0]


def build_all(folder, projects):
    """Builds {name: source} into a folder below the build folder; gives that of the plugins."""
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = install_sdk(os.path.join(folder, "prefix"))
        for name, source in projects.items():
            plugins = build_project(source, prefix, os.path.join(folder, name))
    return plugins


def build_examples():
    """What new projects begin with; gives the folder with the plugins."""
    plugins = build_all(os.path.join(BUILD, "plugin-examples"), EXAMPLES)
    assert sorted(os.listdir(plugins)) == sorted("berth-%s.so" % name for name in EXAMPLES)
    return plugins


def build_small():
    """The plugins of the guide; gives their folder."""
    plugins = build_all(os.path.join(BUILD, "plugin-small"),
                        {"small": os.path.join(SOURCE, "sdk/examples/small")})
    assert sorted(os.listdir(plugins)) == sorted("berth-%s.so" % name for name in SMALL)
    return plugins


def berth(*arguments, **settings):
    """Runs the built command; gives the finished process."""
    return subprocess.run([os.path.join(BUILD, "bin/berth"), *map(str, arguments)],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          timeout=60, **settings)


KINDS = ("runtime", "snapshotter", "image-source", "network")
LANGUAGES = ("c", "c++")
PROJECTS = os.path.join(BUILD, "plugin-projects")
NEW = {"new-%s-%s" % (kind, language.replace("+", "p")): (kind, language)
       for kind in KINDS for language in LANGUAGES}


def _same(one, other):
    return subprocess.run(["diff", "-r", one, other], check=False,
                          capture_output=True).returncode == 0


def build_new_projects():
    """A project of each kind in each language as `berth plugin new` writes it, built and loaded by
    its own test, below the build folder; gives the folder with the plugins."""
    os.makedirs(PROJECTS, exist_ok=True)
    with open(os.path.join(PROJECTS, "lock"), "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prefix = install_sdk(os.path.join(PROJECTS, "prefix"))
        for name, (kind, language) in NEW.items():
            source, fresh = os.path.join(PROJECTS, name), os.path.join(PROJECTS, name + ".fresh")
            shutil.rmtree(fresh, ignore_errors=True)
            # The SDK's own program, which finds the installation that it is in.
            run(os.path.join(prefix, "bin/berth-plugin-new"), "--kind", kind,
                "--language", language, name, fresh)
            # What has not changed need not be built again.
            if _same(fresh, source):
                shutil.rmtree(fresh)
            else:
                shutil.rmtree(source, ignore_errors=True)
                os.rename(fresh, source)
            plugins = build_project(source, prefix, build_folder(name))
            run("ctest", "--test-dir", build_folder(name), "--output-on-failure", "-R", "load")
    assert sorted(os.listdir(plugins)) == sorted("berth-%s.so" % name for name in NEW)
    return plugins


def build_folder(name):
    return os.path.join(PROJECTS, "build-" + name)


def run_own_tests(name):
    """All that a new project tests of itself, once it is built; some of it needs root. Gives what
    that has printed."""
    return run("ctest", "--test-dir", build_folder(name), "--verbose")

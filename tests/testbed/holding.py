"""Programs that do not answer: stopped processes, and an OCI runtime and CNI plugins that are held
back on request."""

import contextlib
import os
import signal
import stat

import engines
import host
from berth_testbed import wait_until

# Waits as long as {folder}/hold-WORD is there for a word of the command line or the CNI command;
# says in {folder}/begun which words it has been held for, a line for each.
SCRIPT = """#!/bin/sh
# {real}, held back while {folder}/hold-WORD is there.
for word in "$@" "{name}-$CNI_COMMAND"; do
  case $word in */*) continue ;; esac
  [ -e "{folder}/hold-$word" ] || continue
  echo "$word" >> {folder}/begun
  while [ -e "{folder}/hold-$word" ]; do sleep 0.05; done
done
exec {real} "$@"
"""


def stop(pid):
    """Stops the process and returns when all its threads stand still: until one of them has taken the
    signal, which may be long on a busy machine, the others go on."""
    def stands_still(thread):
        state = host.read("/proc/%d/task/%s/stat" % (pid, thread)).rpartition(")")[2].split()[:1]
        return state in (["T"], [])  # the latter has ended meanwhile
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: all(map(stands_still, os.listdir("/proc/%d/task" % pid))),
               what="the stop of process %d" % pid)


class Holding:
    """Wrappers in a folder of a test, to be given to its test bed."""

    def __init__(self, folder, runtime):
        self.folder = str(folder)
        self.runtime = self._wrap("runtime", engines.runtime_binary(runtime))
        self.cni = os.path.join(self.folder, "cni-bin")
        os.mkdir(self.cni)
        for name in os.listdir(engines.CNI_BINARIES):
            self._wrap("cni-bin/" + name, os.path.join(engines.CNI_BINARIES, name))

    def _wrap(self, name, real):
        path = engines.write(os.path.join(self.folder, name), SCRIPT.format(
            real=real, folder=self.folder, name=os.path.basename(name)))
        os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        return path

    @contextlib.contextmanager
    def held(self, word):
        """Whoever is called with the word, a subcommand of the runtime, a container
        that it is about or "PLUGIN-COMMAND", does not answer until the end."""
        gate = os.path.join(self.folder, "hold-" + word)
        with open(gate, "wb"):
            pass
        try:
            yield
        finally:
            os.unlink(gate)

    def times(self, word):
        """How often somebody has been held for it."""
        try:
            with open(os.path.join(self.folder, "begun"), encoding="utf-8") as stream:
                return stream.read().split().count(word)
        except FileNotFoundError:
            return 0

    def processes(self):
        """The command lines of those who are being held."""
        lines = (host.read("/proc/%s/cmdline" % pid).replace("\0", " ")
                 for pid in os.listdir("/proc") if pid.isdigit())
        return [line for line in lines if self.runtime in line or self.cni in line]

    def await_first(self, word):
        wait_until(lambda: self.times(word), what="a call of " + word)

"""Which calls in the programs make a durable step, and which of them an operation has come to.

A place is a call in the machine code: of berth_durable_step itself, which the compiler puts into
the function that has the step in the source, or of a helper that makes one (HELPERS), since one
helper serves many. It is named "FUNCTION → CALLED". Each must be met by some operation, or be
excused (excuses.py); so a new step that no operation comes to is found, wherever in the source it
stands.
"""

import bisect
import os
import re
import subprocess

from excuses import NOT_MET

STEP = "berth_durable_step"
# Functions that make their caller's step: each call of theirs is a place as well.
HELPERS = re.compile(r"berth::(?:support|streams|store|common)::")
# Opens files, and makes one only if it is asked to; the flags are its third argument.
OPENER = "berth::support::openFile"
CREATE = 0o100

_HEADER = re.compile(r"([0-9a-f]+) <(.+)>:$")
_JUMP = re.compile(r" *([0-9a-f]+):\t(call|jmp) +([0-9a-f]+) <")
_FLAGS = re.compile(r"\t(?:mov +\$0x([0-9a-f]+)|xor +%edx),%edx")
_PARAMETERS = re.compile(r"\([^()]*\)(?: const)?|\[abi:\w+\]")
_ARGUMENTS = re.compile(r"(?<!operator)<[^<>]*>")
_LAMBDA = re.compile(r"berth::[\w:~]*\{lambda#\d+\}(?:::\{lambda#\d+\})*")
_STUB = re.compile(r"(?:@plt|\$plt(?:got)?)$")
_CLONE = re.compile(r"(?:\.(?:cold|part|isra|constprop|lto_priv)(?:\.\d+)?)+$")


def _without(pattern, name):
    former = None
    while former != name:
        former, name = name, pattern.sub("", name)
    return name


def plain(name):
    """A demangled name without parameters and template arguments."""
    name = name.replace("(anonymous namespace)::", "").replace("operator()", "operator")
    name = _without(_PARAMETERS, name)
    lambdas = _LAMBDA.findall(name)
    if lambdas and not name.startswith("berth::"):
        return lambdas[-1]  # in a wrapper of the library's
    words = _without(_ARGUMENTS, name).split() or [name]
    return next((word for word in reversed(words) if word.startswith("berth::")), words[-1])


class Module:
    """The calls in a program or a shared object; `calls` has the addresses that they return to."""

    def __init__(self, path):
        self.calls = {}  # address → (function, called)
        self.jumps = {}  # function → called as its last act, so that nothing returns to it
        symbols, calls, jumps = self._read(path)
        names = self._demangle({name for _, name in symbols})
        starts = [address for address, _ in symbols]
        whole = set(starts)

        def function(address):
            at = bisect.bisect(starts, address) - 1
            return names[symbols[at][1]] if at >= 0 else ""

        for at, target, creates in calls:
            called = function(target)
            if called != OPENER or creates:
                self.calls[at] = (function(at - 1), called)
        for at, target in jumps:
            caller, called = function(at), function(target)
            if caller != called and target in whole:
                self.jumps.setdefault(caller, set()).add(called)

    @staticmethod
    def _read(path):
        symbols, calls, jumps = [], [], []
        returns = cold = False
        flags = None
        with subprocess.Popen(["objdump", "-d", "--no-show-raw-insn", path], text=True,
                              stdout=subprocess.PIPE) as objdump:
            for line in objdump.stdout:
                if returns and line[0] == " ":
                    calls[-1][0] = int(line.partition(":")[0], 16)
                returns = False
                if line[0] != " ":
                    if found := _HEADER.match(line):
                        symbols.append((int(found[1], 16), found[2]))
                        # What is cold makes room for an exception.
                        cold = ".cold" in found[2]
                        flags = None
                elif "%edx" in line:
                    found = _FLAGS.search(line)
                    flags = int(found[1] or "0", 16) if found else None
                elif (found := _JUMP.match(line)) and not cold:
                    if found[2] == "call":
                        calls.append([0, int(found[3], 16), flags is None or flags & CREATE != 0])
                        returns = True
                    else:
                        jumps.append((int(found[1], 16), int(found[3], 16)))
        if objdump.returncode:
            raise RuntimeError("objdump cannot read " + path)
        return sorted(symbols), calls, jumps

    @staticmethod
    def _demangle(names):
        names = sorted(names)
        stripped = [_CLONE.sub("", _STUB.sub("", name)) for name in names]
        made = subprocess.run(["c++filt"], input="\n".join(stripped), text=True, check=True,
                              stdout=subprocess.PIPE)
        return {name: plain(text) for name, text in zip(names, made.stdout.splitlines())}


class Places:
    """All places in `programs` and in what they have loaded, and which of them were met. A helper
    that several have is one: places are known as (name, which call of that name)."""

    def __init__(self, programs, libraries):
        """Paths of programs, and a folder of what they load."""
        paths = [*programs, *(os.path.join(libraries, name) for name in os.listdir(libraries))]
        self._modules = {os.path.basename(path): Module(path) for path in paths}
        self._jumps = {}
        for module in self._modules.values():
            for function, called in module.jumps.items():
                self._jumps.setdefault(function, set()).update(called)
        self._told = self._helpers()
        self._known = {}  # (module, address) → place
        self.all = set()
        self.met = set()
        self._number()

    def _helpers(self):
        """The step itself, and the helpers that come to one."""
        callers = {}
        for module in self._modules.values():
            for function, called in module.calls.values():
                callers.setdefault(called, set()).add(function)
        for function, each in self._jumps.items():
            for called in each:
                callers.setdefault(called, set()).add(function)
        told, new = set(), {STEP}
        while new:
            told |= new
            new = {caller for called in new for caller in callers.get(called, ())
                   if HELPERS.match(caller)} - told
        return told

    def _number(self):
        for name, module in self._modules.items():
            counts = {}
            for address, (function, called) in sorted(module.calls.items()):
                if called in self._told and function != called:
                    text = _name(function, called)
                    counts[text] = counts.get(text, 0) + 1
                    self._known[name, address] = (text, counts[text])
        self.all.update(self._known.values())
        self.all.update((_name(function, called), 0) for function, each in self._jumps.items()
                        for called in each & self._told)

    def meet(self, program, traced):
        """A trace's places (hook.cpp): the way from the step up to who is no helper."""
        wanted = STEP
        for place in traced.split():
            name, _, offset = place.rpartition("+")
            key = (name or program, int(offset, 16))
            if key[0] not in self._modules or key[1] not in self._modules[key[0]].calls:
                continue
            function, called = self._modules[key[0]].calls[key[1]]
            if function == _owner(wanted):
                way = ()  # by a std::function
            else:
                way = self._way(called, wanted)
            if way is None:
                continue
            self.met.update(way)
            if key in self._known:
                self.met.add(self._known[key])
            if function not in self._told:
                return
            wanted = function

    def _way(self, called, wanted):
        """The jumps by which `called` ends in `wanted`."""
        seen, ways = {called}, [(called, ())]
        for function, way in ways:
            if function == wanted:
                return way
            for after in self._jumps.get(function, set()) - seen:
                seen.add(after)
                ways.append((after, (*way, (_name(function, after), 0))))
        return None

    def problems(self, excuses=tuple(NOT_MET)):
        """Places that were not met and are not excused, and excuses for what was met."""
        found = ["%s: no call of %s is seen" % (name, STEP)
                 for name, module in self._modules.items()
                 if not any(called == STEP for _, called in module.calls.values())]
        missing = [text for text, _ in self.all - self.met]
        for pattern, most in (item for _, each in excuses for item in each.items()):
            excused = [text for text in missing if re.match(pattern, text)]
            missing = [text for text in missing if text not in excused]
            if not excused:
                found.append("%s is excused and was met" % pattern)
            elif len(excused) > most:
                found.append("%d calls are excused as %s, and %d were not met: %s" % (
                    most, pattern, len(excused), ", ".join(sorted(set(excused)))))
        return found + ["no operation comes to the durable step %s" % text
                        for text in sorted(set(missing))]


def _name(function, called):
    return "%s → %s" % (function, called)


def _owner(function):
    """Of a lambda, the function that it stands in."""
    owner, lambda_, _ = function.partition("::{lambda")
    return owner if lambda_ else None

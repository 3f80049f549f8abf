"""What a round of critest says: of each spec what became of it, and whether that may be."""

import os
import re
import xml.etree.ElementTree as ElementTree

APPARMOR = "/sys/module/apparmor/parameters/enabled"


def _without_apparmor(_):
    try:
        with open(APPARMOR, encoding="ascii") as stream:
            return stream.read().strip() != "Y"
    except OSError:
        return True


def _of_shims(handler):
    return handler == "shim"


# What critest itself may leave out: how its reason begins, and for which handlers that is true on
# this host.
EXPECTED_SKIPS = {
    "AppArmor is disabled on this host": _without_apparmor,
    # runtime-kata offers neither.
    "runtime does not implement recursive readonly mounts": _of_shims,
    "no runtime handler found which supports user namespaces": _of_shims,
}


class Outcome:
    """Spec names that have passed, have failed and were skipped; messages by spec name."""

    def __init__(self, path=None):
        self.passed, self.failed, self.skipped = [], [], []
        self.messages = {}
        if path and os.path.exists(path):
            for case in ElementTree.parse(path).iter("testcase"):
                self._add(case)

    def _add(self, case):
        name = re.sub(r"^\[It\] ", "", case.get("name"))
        # Suite nodes count only when they fail.
        if name.startswith("[") and not name.startswith("[k8s.io]") and \
                case.get("status") != "failed":
            return
        {"passed": self.passed, "skipped": self.skipped, "pending": self.skipped}.get(
            case.get("status"), self.failed).append(name)
        for kind in ("failure", "error", "skipped"):
            found = case.find(kind)
            if found is not None:
                self.messages[name] = found.get("message") or ""

    def declined(self):
        """(spec, reason) of each that critest has left out by itself."""
        return [(spec, re.sub(r"^skipped - ", "", self.messages[spec]).split("\n")[0])
                for spec in sorted(self.skipped)
                if self.messages.get(spec) not in (None, "", "skipped")]


def unexpected_skips(outcome, handler):
    """(spec, reason) of what critest left out for no reason that is known and true."""
    return [(spec, reason) for spec, reason in outcome.declined()
            if not any(reason.startswith(known) and holds(handler)
                       for known, holds in EXPECTED_SKIPS.items())]


def handler_complaints(handlers, wanted):
    """`handlers`: pod id → the handler that it had. What speaks against all having been `wanted`."""
    if not handlers:
        return ["no pod was seen; all should have had the handler %r" % wanted]
    others = {pod: handler for pod, handler in handlers.items() if handler != wanted}
    if not others:
        return []
    return ["%d of %d pods had another handler than %r: %s" % (
        len(others), len(handlers), wanted, ", ".join(sorted(set(map(repr, others.values())))))]

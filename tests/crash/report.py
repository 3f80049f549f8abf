"""What is printed of the results, and written in JUnit's XML.

A result is a dictionary: kind, operation, point, failures, hit (whether something was killed
there), attempts, seconds, log.
"""

import os
import re
import xml.etree.ElementTree as ElementTree

import places
import points
import rpcs
import sources
from crash_bed import PROGRAMS


def show(result):
    mark = "FAILED" if result["failures"] else "ok" if result["hit"] else "not met"
    tries = ", attempt %d" % result["attempts"] if result["attempts"] > 1 else ""
    print("%-7s %s/%s: %s (%.1f s%s)" % (mark, result["kind"], result["operation"],
                                         result["point"], result["seconds"], tries), flush=True)
    for failure in result["failures"]:
        print("    " + failure.replace("\n", "\n    "))
    if result["log"]:
        print("    the engine's log ends:\n      " + result["log"].replace("\n", "\n      "))


def write(path, results):
    suite = ElementTree.Element("testsuite", name="crash")
    properties = ElementTree.SubElement(suite, "properties")
    for total in totals(results):
        # As the integration tests' figures are told.
        ElementTree.SubElement(properties, "property", name="figure", value=total)
    for result in results:
        case = ElementTree.SubElement(
            suite, "testcase", classname="%s.%s" % (result["kind"], result["operation"]),
            name=result["point"], time="%.3f" % result["seconds"])
        if result["failures"]:
            failure = ElementTree.SubElement(case, "failure", message=result["failures"][0][:200])
            text = "\n".join(result["failures"]) + "\n" + result["log"]
            failure.text = re.sub(r"[^\t\n -\uD7FF]", "?", text)
        elif not result["hit"]:
            ElementTree.SubElement(case, "skipped", message="not met in %d attempts" %
                                   result["attempts"])
    ElementTree.ElementTree(suite).write(path, encoding="utf-8")


def _kind_of(result):
    piece, *rest = result["spec"]
    return points.step_kind((tuple(piece), *rest))


def about_kinds(listed, results, complete):
    """Whether every durable step of the sources has its point, and something was killed at a step
    of each kind that was listed; as one more result."""
    failures = sources.problems()
    met = {_kind_of(result) for result in results if result["hit"] and "spec" in result}
    failures += ["nothing was killed at the step \"%s: %s\"" % kind
                 for kind in sorted({points.step_kind(point) for point in listed} - met)]
    if complete:
        own = {kind[1] for kind in met if kind[0] in points.OWN}
        failures += ["no process was ended after the durable step \"%s\"" % name
                     for name in sources.not_met(own)]
        titles = {points.title(point[0]) for point in listed}
        failures += ["%s has no points, of which some may be missed" % title
                     for title, _ in points.MAY_BE_MISSED
                     if not any(re.fullmatch(title, each) for each in titles)]
    return _about("every durable step has a point", failures)


def judge(result):
    """A point that was not met is a failure, unless it may be missed."""
    if not result["hit"] and not result["failures"] and "spec" in result and \
            why_missed(result) is None:
        result["failures"] = ["nobody was killed there in %d attempts" % result["attempts"]]


def why_missed(result):
    """Why a point may be missed, or None."""
    name = "%s/%s" % (result["kind"], result["operation"])
    return next((why for (title, pattern), why in points.MAY_BE_MISSED.items()
                 if re.fullmatch(title, name) and re.fullmatch(pattern, result["point"])), None)


def _about(point, failures):
    return {"kind": "sources", "operation": "all", "hit": True, "failures": failures, "log": "",
            "point": point, "seconds": 0.0, "attempts": 1}


def about_calls():
    return _about("every call is cut off", rpcs.problems())


def about_places(build, told):
    """Whether each place in the programs that makes a durable step was met; `told` are traces'
    places, as (program, place)."""
    known = places.Places([os.path.join(build, "tests/crash", name) for name in PROGRAMS],
                          os.path.join(build, "lib/berth/plugins"))
    for program, place in told:
        known.meet(program, place)
    print("places  %d calls make a durable step, %d were met" % (len(known.all), len(known.met)))
    return _about("every place is met", known.problems())


def summary(listed, results, seconds):
    print("\ncrash points:")
    for kind in dict.fromkeys(point[0][0] for point in listed):
        known = [point for point in listed if point[0][0] == kind]
        own = [result for result in results if result["kind"] == kind and "spec" in result]
        print("  %-8s %4d points listed in %d operations, %d kinds of steps; %4d tried, %4d kills, "
              "%d only when repeated, %d not met, %d failed" % (
                  kind, len(known), len({point[0] for point in known}),
                  len({points.step_kind(point) for point in known}), len(own),
                  sum(result["hit"] for result in own),
                  sum(result["hit"] and result["attempts"] > 1 for result in own),
                  sum(not result["hit"] for result in own),
                  sum(bool(result["failures"]) for result in own)))
    for result in results:
        if not result["hit"]:
            print("  not met in %d attempts: %s/%s: %s" % (
                result["attempts"], result["kind"], result["operation"], result["point"]))
    for total in totals(results):
        print("  " + total)
    print("  in %.0f s" % seconds)


def totals(results):
    planted = [result for result in results if result["kind"] == "proof"]
    tried = [result for result in results if "spec" in result]
    return ["%d planted leaks and losses, %d found" % (
                len(planted), sum(not result["failures"] for result in planted)),
            "%d points, %d kills, %d not met, %d with something left or lost, %d failures" % (
                len(tried), sum(result["hit"] for result in tried),
                sum(not result["hit"] for result in tried),
                sum(bool(result["failures"]) for result in tried),
                sum(bool(result["failures"]) for result in results))]

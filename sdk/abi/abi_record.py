"""The types of the plugin ABI as libabigail's tools see them, and their comparison.

An object that has a variable of each public struct is all that abidw(1) reads; constants, which
debugging information has only where they are used, are listed as text.
"""

import glob
import os
import re
import subprocess
import tempfile
from xml.etree import ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
INCLUDE = os.path.join(os.path.dirname(HERE), "include")


def headers(include):
    """The C headers, whose types are the ABI."""
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(include, "berth/*.h"))
                  if not path.endswith("/helpers.h"))


def text_of(include):
    text = ""
    for name in headers(include):
        with open(os.path.join(include, "berth", name), encoding="utf-8") as stream:
            text += re.sub(r"/\*.*?\*/", "", stream.read(), flags=re.DOTALL)
    return text


def structs(include):
    return sorted(set(re.findall(r"typedef struct (berth_\w+)", text_of(include))))


def scalars(include):
    """Types of one number, and functions' types."""
    text = text_of(include)
    return sorted(set(re.findall(r"typedef u?int\d+_t (berth_\w+);", text)) |
                  set(re.findall(r"typedef [^;]*\(\*(berth_\w+)\)", text)))


def constants(include):
    """Numbers and ids of interfaces and extensions; the minor version is there to grow."""
    text = text_of(include)
    numbers = set(re.findall(r"\b(BERTH_[A-Z0-9_]+) = ", text)) | {"BERTH_ABI_MAJOR"}
    texts = set(re.findall(r"#define (BERTH_\w+) \"", text))
    return sorted(numbers), sorted(texts)


def source(include):
    lines = ["#include <stdio.h>"]
    lines += ["#include <berth/%s>" % name for name in headers(include)]
    lines += ["%s *use_%s;" % (name, name) for name in structs(include) + scalars(include)]
    numbers, texts = constants(include)
    lines += ["void print(void) {"]
    lines += ['  printf("%s = %%lld\\n", (long long)%s);' % (name, name) for name in numbers]
    lines += ['  printf("%s = %%s\\n", %s);' % (name, name) for name in texts]
    return "\n".join(lines + ["}", ""])


def dump(include, path):
    """Writes PATH.abi and PATH.constants of the headers in `include`."""
    with tempfile.TemporaryDirectory() as folder:
        code = os.path.join(folder, "types.c")
        with open(code, "w", encoding="utf-8") as stream:
            stream.write(source(include))
        compile_ = ["cc", "-std=c11", "-Werror", "-I", include]
        library = os.path.join(folder, "types.so")
        subprocess.run([*compile_, "-g", "-O0", "-fPIC", "-shared", "-o", library, code], check=True)
        # Without paths and places: they say nothing of the types.
        subprocess.run(["abidw", "--no-show-locs", "--no-corpus-path", "--no-comp-dir-path",
                        "--out-file", path + ".abi", library], check=True)
        main = os.path.join(folder, "main.c")
        with open(main, "w", encoding="utf-8") as stream:
            stream.write("void print(void);\nint main(void) { print(); return 0; }\n")
        program = os.path.join(folder, "print")
        subprocess.run([*compile_, "-o", program, code, main], check=True)
        with open(path + ".constants", "w", encoding="utf-8") as stream:
            subprocess.run([program], stdout=stream, check=True)
    with open(path + ".abi", encoding="utf-8") as stream:
        text = stream.read()
    # What the compiler calls itself, and its options, are no part of it.
    text = re.sub(r" (producer|comp-dir-path|path)='[^']*'", "", text)
    text = re.sub(r"(<abi-instr [^>]*?) path='[^']*'", r"\1", text)
    with open(path + ".abi", "w", encoding="utf-8") as stream:
        stream.write(text)


def lines_of(path):
    with open(path, encoding="utf-8") as stream:
        return stream.read().splitlines()


def members(decl):
    return [member.find("var-decl").get("name") for member in decl.iter("data-member")]


def without_additions(old, new, path):
    """Writes NEW to `path` with structs that begin with their size as long as they are in OLD, if
    what is longer about them comes last."""
    known = {decl.get("name"): decl for decl in ElementTree.parse(old).iter("class-decl")}
    tree = ElementTree.parse(new)
    for decl in tree.iter("class-decl"):
        before = known.get(decl.get("name"))
        if before is None or members(decl)[:1] != ["size"]:
            continue
        count = len(members(before))
        if members(decl)[:count] == members(before) and len(members(decl)) > count:
            for member in decl.findall("data-member")[count:]:
                decl.remove(member)
            decl.set("size-in-bits", before.get("size-in-bits"))
    tree.write(path)


def compare(old, new):
    """What has changed from OLD to NEW, as text, but members that were added at the end of structs
    that begin with their size, and more constants and types; empty when that is all."""
    with tempfile.TemporaryDirectory() as folder:
        trimmed = os.path.join(folder, "new.abi")
        without_additions(old + ".abi", new + ".abi", trimmed)
        made = subprocess.run(["abidiff", "--harmless", "--no-added-syms", old + ".abi", trimmed],
                              capture_output=True, text=True, check=False)
    found = made.stdout + made.stderr if made.returncode != 0 else ""
    left = set(lines_of(new + ".constants"))
    for line in lines_of(old + ".constants"):
        if line not in left:
            found += "not any more: %s\n" % line
    return found


def unrecorded(record, headers_now):
    """What the headers have and RECORD has not, with what to do about it; empty when that is nothing."""
    found = compare(headers_now, record)
    return found and (
        "the headers have what %s does not have. When that version was not released, record it anew "
        "(sdk/abi/record); otherwise raise BERTH_ABI_MINOR in berth/types.h, and record that.\n%s"
        % (os.path.basename(record), found))

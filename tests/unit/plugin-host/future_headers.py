"""The SDK's headers as a later minor version may have them: every struct that begins with its size
has grown at its end.

    future_headers.py INCLUDE OUTPUT
"""

import os
import re
import sys

STRUCT = re.compile(r"(typedef struct (berth_\w+) \{\n  size_t size;.*?)(\n\} \2;)", re.DOTALL)


def grown(text):
    text, count = STRUCT.subn(r"\1\n  uint64_t of_the_future[2];\3", text)
    minor = re.search(r"#define BERTH_ABI_MINOR (\d+)u", text)
    if minor:
        text = text.replace(minor[0], "#define BERTH_ABI_MINOR %du" % (int(minor[1]) + 1))
    return text, count


def main(include, output):
    os.makedirs(os.path.join(output, "berth"), exist_ok=True)
    total = 0
    for name in sorted(os.listdir(os.path.join(include, "berth"))):
        with open(os.path.join(include, "berth", name), encoding="utf-8") as stream:
            text = stream.read()
        if name.endswith(".h") and name != "helpers.h":
            text, count = grown(text)
            total += count
        with open(os.path.join(output, "berth", name), "w", encoding="utf-8") as stream:
            stream.write(text)
    # All of them, or the expression above has become too old for the headers.
    assert total > 40, total


main(*sys.argv[1:])

"""Blocks of code in the documents: what is tried is what they say."""

import os
import re

SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def section(document, heading):
    """The text between the heading and the next one."""
    with open(os.path.join(SOURCE, document), encoding="utf-8") as stream:
        text = stream.read()
    # A comment of a block of shell is no heading.
    plain = BLOCK.sub(lambda found: re.sub(r"[^\n]", "x", found[0]), text)
    headings = list(HEADING.finditer(plain))
    at = next(number for number, found in enumerate(headings) if found[1] == heading)
    end = headings[at + 1].start() if at + 1 < len(headings) else len(text)
    return text[headings[at].end():end]


def blocks(document, heading, language):
    return [block[2] for block in BLOCK.finditer(section(document, heading))
            if block[1] == language]


def block(document, heading, language, number=0):
    return blocks(document, heading, language)[number]

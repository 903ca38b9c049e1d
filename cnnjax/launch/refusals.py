"""What tyro says in a framed box about wrong words, in one sentence."""

import contextlib
import io
import re
import sys
from typing import Any

import tyro

_FRAME, _RULE, _CORNERS = " │|\t", "─-", "╭╰+"
_MOST_NAMED = 3


def cli(form: Any, program: str, description: str, **settings: Any) -> Any:
    """What `tyro.cli` makes of the arguments.

    Raises:
      ValueError: it refuses a word, in one sentence.
      SystemExit: code 0, help was printed.
    """
    said = io.StringIO()
    try:
        with contextlib.redirect_stderr(said):
            return tyro.cli(form, prog=program, description=description, **settings)
    except SystemExit as left:
        if left.code in (None, 0):
            raise
        raise ValueError(in_one_sentence(said.getvalue(), program)) from None
    finally:
        if sys.exc_info()[0] is None:
            sys.stderr.write(said.getvalue())


def in_one_sentence(box: str, program: str) -> str:
    """The message of a box, and the options that it says are similar."""
    sections: list[list[str]] = [[]]
    title, *lines = box.strip().splitlines() or [""]
    for line in lines:
        inside = line.strip(_FRAME)
        if inside.startswith(tuple(_CORNERS)):
            continue
        if inside and not set(inside) - set(_RULE):
            sections.append([])
        elif inside:
            sections[-1].append(inside)
    first, *others = [section for section in sections if section] or [[box.strip()]]
    message = " ".join(first)
    # The fields of the configuration stand in the second of two unnamed groups.
    message = re.sub(r"^Error parsing (?:[01](?:\.|(?=:)))?([^:\s]*):\s*", r"\1: ", message)
    message = message.removeprefix(": ").rstrip(".")
    similar = [
        line.split()[0].rstrip(",")
        for section in others
        if section[0] != "Argument helptext:"
        for line in section
        if line.startswith("--")
    ]
    form = [section[1] for section in others if section[0] == "Argument helptext:"]
    if similar:
        message += f" (perhaps you meant {' or '.join(similar[:_MOST_NAMED])})"
    if form:
        message += f"; it is {form[0]}"
    if "Value error" not in title:
        message += f"; {program.removesuffix(' [PRESET]')} --help explains every option"
    return f"{message}."

"""Docstrings of cnnjax, taken apart and written as reStructuredText.

A docstring has a summary, paragraphs, formulas (indented), lines with a label (`Symmetry: ...`,
`Source: ...`, `Parameters: ...`), and the sections `Args:`, `Returns:` and `Raises:`. Code stands
in backquotes. This file needs nothing but Python.
"""

import inspect
import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

Link = Callable[[str], str | None]
"""From what stands in backquotes to the full name of a public object, or None."""

SECTIONS = {"Args:": "Arguments", "Returns:": "Returns", "Raises:": "Raises"}
_CODE = re.compile(r"(`+)(?! )(.+?)(?<! )\1")
_LABEL = re.compile(r"(Symmetry[^:.`]*|Source|Parameters|Randomness): +")
_LABEL_IN_SENTENCE = re.compile(r"(?<=\. )(?=Source: )")


@dataclass
class Docstring:
    """The parts of a docstring, as plain text."""

    summary: str
    """First paragraph, on one line."""
    body: list[str | list[str]] = field(default_factory=list)
    """Paragraphs after it, each on one line; a formula is the list of its lines."""
    labels: list[tuple[str, str]] = field(default_factory=list)
    """Labels and texts: ('Symmetry under circular padding', 'every shift by `strides`.')."""
    sections: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """By heading its entries: names and text; text without a name has the name ''."""

    @property
    def formula(self) -> list[str]:
        """Lines of the first formula; [] where there is none."""
        return next((part for part in self.body if isinstance(part, list)), [])

    def label(self, start: str) -> str:
        """The texts whose labels start so, with what the label says beyond it."""
        texts = []
        for label, text in self.labels:
            if label.startswith(start):
                rest = label.removeprefix(start).strip()
                text = f"{rest}: {text}" if rest else text
                texts.append(text[0].upper() + text[1:])
        return " ".join(texts)


def parse(text: str) -> Docstring:
    """The parts of a docstring; of an empty one, empty parts."""
    lines = inspect.cleandoc(text).splitlines()
    starts = [n for n, line in enumerate(lines) if line in SECTIONS]
    head = lines[: starts[0]] if starts else lines
    summary, *paragraphs = [*_paragraphs(head)] or [[""]]
    found = Docstring(_joined(summary))
    for paragraph in paragraphs:
        if paragraph[0].startswith("    "):
            found.body.append(inspect.cleandoc("\n" + "\n".join(paragraph)).splitlines())
        else:
            _sort_lines(paragraph, found)
    for start, end in itertools.pairwise([*starts, len(lines)]):
        found.sections[SECTIONS[lines[start]]] = _entries(lines[start + 1 : end])
    return found


def to_rst(text: str, link: Link = lambda code: None) -> list[str]:
    """The docstring in reStructuredText, line by line."""
    parts = parse(text)
    lines = [inline(parts.summary, link), ""]
    for part in parts.body:
        lines += [inline(part, link), ""] if isinstance(part, str) else [*literal(part), ""]
    for label, content in parts.labels:
        lines += [f"**{label}:** {inline(content, link)}", ""]
    for heading, entries in parts.sections.items():
        lines += [f"**{heading}**", ""]
        for names, content in entries:
            if names:
                lines.append(", ".join(f"``{name}``" for name in names.split(", ")))
            lines += [f"    {inline(content, link)}", ""]
    return lines


def literal(lines: Sequence[str]) -> list[str]:
    """A block that is shown as typed."""
    return [".. code-block:: text", "", *(f"    {line}" for line in lines)]


def inline(text: str, link: Link = lambda code: None) -> str:
    """A paragraph: code in backquotes as code, linked where it names something public."""
    written, end = "", 0
    for code in _CODE.finditer(text):
        target = link(code[2])
        shown = f":py:obj:`{code[2]} <{target}>`" if target else f"``{code[2]}``"
        before, after = text[code.start() - 1 : code.start()], text[code.end() : code.end() + 1]
        # Code ends at a space or at punctuation; this is a space that does not show.
        shown = ("\\ " if before.isalnum() else "") + shown + ("\\ " if after.isalnum() else "")
        written += _escaped(text[end : code.start()]) + shown
        end = code.end()
    return written + _escaped(text[end:])


def _escaped(text: str) -> str:
    return re.sub(r"([\\*|_`])", r"\\\1", text)


def _paragraphs(lines: Sequence[str]) -> Iterator[list[str]]:
    """Runs of lines that are not empty; formulas apart from the text around them."""
    paragraph: list[str] = []
    for line in lines:
        formula = line.startswith("    ")
        if paragraph and (not line.strip() or formula != paragraph[0].startswith("    ")):
            yield paragraph
            paragraph = []
        if line.strip():
            paragraph.append(line)
    if paragraph:
        yield paragraph


def _sort_lines(paragraph: Sequence[str], found: Docstring) -> None:
    """Put the lines of a paragraph under their labels, what stands before them into the body."""
    text: list[str] = []
    labelled: list[tuple[str, list[str]]] = []
    for line in "\n".join(_LABEL_IN_SENTENCE.split("\n".join(paragraph))).splitlines():
        label = _LABEL.match(line)
        if label:
            labelled.append((label[1], [line[label.end() :]]))
        elif labelled:
            labelled[-1][1].append(line)
        else:
            text.append(line)
    if text:
        found.body.append(_joined(text))
    found.labels += [(label, _joined(lines)) for label, lines in labelled]


def _entries(lines: Sequence[str]) -> list[tuple[str, str]]:
    """Entries of a section: `  name, other: text`, continued further in."""
    entries: list[tuple[str, list[str]]] = []
    for line in filter(str.strip, lines):
        named = re.match(r"  ([*\w]+(?:, [*\w]+)*): +", line)
        if named:
            entries.append((named[1], [line[named.end() :]]))
        elif entries and (line.startswith("    ") or not entries[-1][0]):
            entries[-1][1].append(line)
        else:
            entries.append(("", [line]))
    return [(names, _joined(text)) for names, text in entries]


def _joined(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())

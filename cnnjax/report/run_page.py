"""The page of a run: a study's docstring says what was asked and how, its blocks what came out."""

import inspect
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

from cnnjax.report.page import Block, Code, Heading, Paragraph, write_document
from cnnjax.run import hosts
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.metrics import logged_errors
from cnnjax.run.record import Record

with lazy_imports():
    from cnnjax.report import layer_equivariance


def write_page(record: Record, doc: str | None, blocks: Sequence[Block | str]) -> Path:
    """Write report.html, report.md and figures/*.png of a run; the path of report.html.

    After the lead stands what the docstring says of the protocol, at the end what was logged of
    equivariance while the networks trained, the sources, and where the numbers come from.

    Args:
      record: of the run.
      doc: docstring of the study. Its first paragraph is the title. Those up to the commands, the
        indented lines that begin with `python`, are the protocol, in which other indented lines
        stay as they are. Of those after, paragraphs that begin with `Source:` are shown.
      blocks: Heading, Paragraph, Code, Table and Figure; text is a Paragraph, the first the lead.

    Raises:
      ValueError: no docstring, or blocks that make no page, see `write_document`.
    """
    title, protocol, sources = _parts(doc)
    shown = list(blocks)
    lead = next((n for n, block in enumerate(shown) if isinstance(block, str)), None)
    start = 0 if lead is None else lead + 1
    page = [
        Paragraph(block, lead=n == lead) if isinstance(block, str) else block
        for n, block in enumerate(shown)
    ]
    if protocol:
        page[start:start] = [Heading("Protocol"), *protocol]
    errors = logged_errors(record.read_metrics())
    if errors:
        page += layer_equivariance.equivariance_blocks(errors, record)
    if sources:
        page += [Heading("Source"), *map(Paragraph, sources)]
    if hosts.is_first():
        write_document(title, page, record.directory, record.figures)
    return record.report


def _parts(doc: str | None) -> tuple[str, list[Block], list[str]]:
    """Title, protocol and sources of a docstring."""
    if not doc or not doc.strip():
        raise ValueError(f"doc must be the docstring of a study, got {doc!r}.")
    # Docstrings of modules stand at the margin: what is indented is meant to be.
    title, *paragraphs = _paragraphs(doc.strip())
    protocol: list[Block] = []
    in_protocol = True
    for paragraph in paragraphs:
        in_protocol = in_protocol and not _text(paragraph).startswith(("Source:", "Expected"))
        if in_protocol:
            for indented, lines in groupby(paragraph, lambda line: line.startswith(" ")):
                some = list(lines)
                if indented and some[0].strip().startswith("python "):
                    in_protocol = False
                    break
                formula = inspect.cleandoc("\n" + "\n".join(some))
                protocol.append(Code(formula) if indented else Paragraph(_text(some)))
    texts = map(_text, paragraphs)
    sources = [text.removeprefix("Source:").strip() for text in texts if text.startswith("Source:")]
    return _text(title), protocol, sources


def _paragraphs(text: str) -> list[list[str]]:
    """The lines of each paragraph."""
    by_blank = groupby(text.splitlines(), lambda line: bool(line.strip()))
    return [list(lines) for filled, lines in by_blank if filled]


def _text(lines: Sequence[str]) -> str:
    return " ".join(" ".join(lines).split())

"""The page of a run: what its docstring, its blocks and its directory say, each in its place."""

import dataclasses
import re

import pytest

from cnnjax.report import Code, Heading, Paragraph, write_page
from cnnjax.run import hosts
from cnnjax.run.config import StudyConfig
from cnnjax.run.record import Record

DOC = """Which of two,
of all?

One is compared with
the other; the error

    ||f(S x) - S f(x)||
      / ||f(x)||

is measured. Of each seed:
    a = b
And so on.

    python launch.py study          minutes
    python launch.py study smoke    seconds

Time: an hour.

Expected, of both: 3 %.

Source: A, B, On
convolution, 2016.
"""


@pytest.fixture
def record(tmp_path):
    command = ["python", "launch.py", "study", "smoke", "--seeds", "0"]
    opened = Record.open(tmp_path / "run", StudyConfig(), command=command)
    yield opened
    opened.release()


def parts(record, doc, blocks):
    """The page without provenance, as its Markdown's paragraphs."""
    path = write_page(record, doc, blocks)
    assert path == record.directory / "report.html"
    text = (record.directory / "report.md").read_text(encoding="utf-8")
    return text.split("\n\n## Provenance")[0].split("\n\n")


@pytest.mark.fast
def test_every_part_of_the_docstring_stands_in_its_place(record):
    found = parts(record, DOC, ["The answer.", "Then this.", Heading("Numbers"), Code("x")])
    assert found == [
        "# Which of two, of all?",
        "**The answer.**",
        "## Protocol",
        "One is compared with the other; the error",
        "    ||f(S x) - S f(x)||\n      / ||f(x)||",
        "is measured. Of each seed:",
        "    a = b",
        "And so on.",
        "Then this.",
        "## Numbers",
        "    x",
        "## Source",
        "A, B, On convolution, 2016.",
    ]


@pytest.mark.fast
def test_the_first_text_is_the_lead_wherever_it_stands(record):
    found = parts(record, DOC, [Paragraph("Before."), "The answer."])
    assert found[1:4] == ["Before.", "**The answer.**", "## Protocol"]
    assert parts(record, DOC, [Heading("Numbers")])[1] == "## Protocol"


@pytest.mark.fast
def test_a_docstring_may_be_its_question_alone(record):
    assert parts(record, "What?", ["This."]) == ["# What?", "**This.**"]
    # Without commands the protocol ends at what was expected, and is told from sources.
    found = parts(
        record, "What?\n\nHow.\n\nExpected of all: 3.\n\nSource: One.\n\nSource: Two.", []
    )
    assert found == ["# What?", "## Protocol", "How.", "## Source", "One.", "Two."]
    # Commands are no protocol where nothing else follows the question.
    assert parts(record, "What?\n\n    python launch.py study", []) == ["# What?"]
    for doc in (None, " \n"):
        with pytest.raises(ValueError, match="doc must be the docstring of a study, got"):
            write_page(record, doc, ["This."])


@pytest.mark.fast
def test_provenance_says_where_numbers_are_and_how_to_run_again(record):
    (record.directory / "metrics.jsonl").write_text("")
    write_page(record, DOC, [])
    text = (record.directory / "report.md").read_text(encoding="utf-8").split("## Provenance")[1]
    codes = re.findall(r"^ {4}(.*)$", text, re.MULTILINE)
    assert codes == [
        "python launch.py study smoke --seeds 0",
        f"python launch.py study --config {record.directory}/config.json",
    ]
    assert "metrics.jsonl: the log of training." in text
    assert "observations.csv" not in text
    (record.directory / "observations.csv").write_text("seed\n")
    write_page(record, DOC, [])
    text = (record.directory / "report.md").read_text(encoding="utf-8")
    assert "observations.csv: every number of every network; metrics.jsonl" in text


def test_only_the_first_host_writes(record, monkeypatch):
    monkeypatch.setattr(hosts, "is_first", lambda: False)
    assert write_page(record, DOC, []) == record.directory / "report.html"
    assert not (record.directory / "report.html").exists()


def test_a_wrong_block_writes_nothing(record):
    @dataclasses.dataclass
    class Strange:
        text: str

    with pytest.raises(ValueError, match=r"block must be .*Strange"):
        write_page(record, DOC, [Strange("x")])
    assert not (record.directory / "report.html").exists()

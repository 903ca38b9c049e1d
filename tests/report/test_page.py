"""The page: everything escaped, self-contained, written whole or not at all."""

import base64
import html.parser
import os
import re

import pytest
from matplotlib.figure import Figure as Canvas

from cnnjax import report
from cnnjax.report.page import Code, Figure, Heading, Paragraph, Table, write_document

# A PNG of one white pixel, 200 dots an inch are assumed.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAGK7MmgAAAABJRU5ErkJggg=="
)
EVIL = "<script>alert('x')</script><img src=http://evil.example/a.png> & \"quoted\" [l](http://b) |"


class Reader(html.parser.HTMLParser):
    """Collects tags, attributes and the text of each element, in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        if data.strip():
            self.words.append(data.strip())


def evil_blocks():
    return [
        Heading(EVIL),
        Heading(EVIL, level=3),
        Paragraph(EVIL, lead=True),
        Paragraph(EVIL),
        Code(EVIL),
        Table([EVIL], [[EVIL]], caption=EVIL),
        Figure("figure", PIXEL, caption=EVIL, alt=EVIL),
    ]


def test_every_text_is_shown_as_it_is(tmp_path):
    path = write_document(EVIL, evil_blocks(), tmp_path)
    assert path == tmp_path / "report.html"
    reader = Reader(path.read_text(encoding="utf-8"))
    assert "script" not in reader.tags
    assert reader.tags.count("img") == 1
    # Title twice; two headings, two paragraphs, code, heading and cell, two captions.
    assert reader.words.count(EVIL) == 11
    assert ("img", "alt", EVIL) in reader.attributes
    for tag in ("h1", "h2", "h3", "p", "pre", "table", "figure", "figcaption"):
        assert tag in reader.tags


def test_markdown_holds_no_html_and_no_foreign_link(tmp_path):
    write_document(EVIL, evil_blocks(), tmp_path)
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    outside_code = "\n".join(line for line in text.splitlines() if not line.startswith("    "))
    assert "<" not in outside_code
    assert re.findall(r"(?<!\\)\]\(([^)]*)\)", outside_code) == ["figures/figure.png"]


def test_page_needs_nothing_but_itself(tmp_path):
    path = write_document("Title", evil_blocks(), tmp_path)
    text = path.read_text(encoding="utf-8")
    reader = Reader(text)
    sources = [(tag, value) for tag, name, value in reader.attributes if name in ("src", "href")]
    assert len(sources) == 1
    assert sources[0] == ("img", f"data:image/png;base64,{base64.b64encode(PIXEL).decode()}")
    assert not {"script", "link", "iframe", "object"} & set(reader.tags)
    style = text.partition("<style>")[2].partition("</style>")[0]
    assert "font-family" in style
    assert "url(" not in style
    assert "@import" not in style
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)


@pytest.mark.fast
def test_files_beside_the_page(tmp_path):
    source = tmp_path / "elsewhere.png"
    source.write_bytes(PIXEL)
    blocks = [
        Heading("Results"),
        Paragraph("One\n  sentence."),
        Paragraph("Answer.", lead=True),
        Code("python a.py\npython b.py"),
        Table(["n"], [["1"]]),
        Figure("a", PIXEL, "", "A pixel."),
        Figure("b-2", source, "Two.", "Another."),
    ]
    directory = tmp_path / "run" / "new"
    write_document("Title", blocks, directory)
    files = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    assert files == {
        "report.html",
        "report.md",
        "tables.tex",
        "figures/a.png",
        "figures/b-2.png",
    }
    assert (directory / "figures" / "b-2.png").read_bytes() == PIXEL
    assert (directory / "report.md").read_text(encoding="utf-8") == (
        "# Title\n\n## Results\n\nOne sentence.\n\n**Answer.**\n\n"
        "    python a.py\n    python b.py\n\n"
        "|   n |\n| --: |\n|   1 |\n\n"
        "![A pixel.](figures/a.png)\n\n"
        "![Another.](figures/b-2.png)\n\nTwo.\n"
    )


def test_second_write_replaces_and_leaves_nothing_behind(tmp_path):
    write_document("First", [Paragraph("one")], tmp_path)
    write_document("Second", [Paragraph("two")], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.md"]
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "Second" in text
    assert "First" not in text


def test_failed_write_keeps_the_old_page(tmp_path, monkeypatch):
    write_document("First", [Paragraph("one")], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def fail(source, target):
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk is gone"):
        write_document("Second", [Paragraph("two")], tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Heading("x", level=1), "level must be 2, 3 or 4, got 1"),
        (lambda: Figure("../x", PIXEL, "", "alt"), "'../x'"),
        (lambda: Figure("", PIXEL, "", "alt"), "''"),
        (lambda: Figure("x", PIXEL, "", " "), "'x' must have a caption or an alt text"),
    ],
)
def test_wrong_blocks_get_a_sentence(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize(
    ("blocks", "words"),
    [
        (["text"], "got 'text'"),
        ([Figure("x", b"GIF89a", "", "alt")], "PNG.*GIF89a"),
        ([Figure("x", PIXEL, "", "alt"), Figure("X", PIXEL, "", "alt")], "'X' twice"),
    ],
)
def test_wrong_pages_write_nothing(tmp_path, blocks, words):
    with pytest.raises(ValueError, match=words):
        write_document("Title", blocks, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_picture_is_drawn_and_named_by_its_caption(tmp_path):
    canvas = Canvas(figsize=(2, 1))
    canvas.subplots().plot([0, 1])
    write_document("Title", [Figure("line", canvas, "A line.")], tmp_path)
    picture = (tmp_path / "figures" / "line.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    reader = Reader(text)
    assert ("img", "alt", "A line.") in reader.attributes
    assert base64.b64encode(picture).decode() in text
    assert "![A line.](figures/line.png)\n\nA line." in (tmp_path / "report.md").read_text()


def test_a_wide_table_scrolls_and_no_cell_is_cut(tmp_path):
    path = write_document("Title", [Table(["a" * 99] * 40, [["b" * 99] * 40])], tmp_path)
    text = path.read_text(encoding="utf-8")
    assert '<div class="scroll" tabindex="0">\n<table>' in text
    assert ".scroll { overflow-x: auto; }" in text
    assert "overflow: hidden" not in text
    assert "ellipsis" not in text
    assert text.count("b" * 99) == 40


@pytest.mark.fast
def test_tables_are_written_in_latex(tmp_path):
    table = Table(
        ["layer_1", "error, %"], [["a & b", "1.0 ± 0.2"], ["c", "2 × 10⁻⁷"]], caption="50 % {x}"
    )
    write_document("Title", [table, Table(["n"], [["−1"]])], tmp_path)
    assert (tmp_path / "tables.tex").read_text("utf-8") == (
        "\\begin{table}\n\\centering\n\\caption{50 \\% \\{x\\}}\n\\begin{tabular}{lr}\n\\toprule\n"
        "layer\\_1 & error, \\% \\\\\n\\midrule\n"
        "a \\& b & 1.0 $\\pm$ 0.2 \\\\\nc & 2 $\\times$ 10$^{-7}$ \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n\n"
        "\\begin{table}\n\\centering\n\\begin{tabular}{r}\n\\toprule\n"
        "n \\\\\n\\midrule\n$-$1 \\\\\n"
        "\\bottomrule\n\\end{tabular}\n\\end{table}\n"
    )


@pytest.mark.fast
def test_drawn_figures_are_written_in_other_formats_too(tmp_path):
    drawn = report.bars({"a": {"length": 1.0}, "b": {"length": 2.0}})
    blocks = [Figure("drawn", drawn, "Two."), Figure("given", PIXEL, "One.")]
    write_document("Title", blocks, tmp_path, ["pdf", "svg"])
    written = {path.name: path.read_bytes() for path in (tmp_path / "figures").iterdir()}
    assert set(written) == {"drawn.png", "drawn.pdf", "drawn.svg", "given.png"}
    assert written["drawn.pdf"].startswith(b"%PDF-")
    assert b"/FontType 42" in written["drawn.pdf"] or b"/CIDFontType2" in written["drawn.pdf"]
    assert b">length<" in written["drawn.svg"]
    write_document("Title", blocks, tmp_path, ["pdf", "svg"])
    assert {p.name: p.read_bytes() for p in (tmp_path / "figures").iterdir()} == written

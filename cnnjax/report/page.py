"""A page of a few kinds of blocks, written as HTML and as Markdown."""

import base64
import html
import io
import os
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.figure
from PIL import Image

from cnnjax.report.figures.style import Format, rendered
from cnnjax.report.table import Table, escape_markdown, table_html, table_latex, table_markdown
from cnnjax.run import files
from cnnjax.run.config import read_json

# Width of a figure on screen, per inch of its width in print: 7 inches fill the page.
_CSS_PIXELS_PER_INCH = 136


@dataclass(frozen=True)
class Heading:
    """A heading of `level` 2 (sections) to 4; level 1 is the page's title."""

    text: str
    level: int = 2

    def __post_init__(self) -> None:
        if self.level not in (2, 3, 4):
            raise ValueError(f"level must be 2, 3 or 4, got {self.level}.")


@dataclass(frozen=True)
class Paragraph:
    """A paragraph of plain text; `lead` sets it larger, for what the reader must not miss."""

    text: str
    lead: bool = False


@dataclass(frozen=True)
class Code:
    """Text shown as typed, line by line: a command, a configuration."""

    text: str


@dataclass(frozen=True)
class Figure:
    """A picture with its caption, stored beside the page as figures/NAME.png.

    Args:
      name: letters, digits, '_' and '-', beginning with a letter or digit.
      image: a matplotlib Figure, the bytes of a PNG image, or its path.
      caption: printed below it.
      alt: says what it shows to those who cannot see it; by default the caption.

    Raises:
      ValueError: `name` cannot name a file on every system, or there are neither caption nor alt.
    """

    name: str
    image: matplotlib.figure.Figure | bytes | Path
    caption: str
    alt: str = ""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise ValueError(
                "name of a figure must be letters, digits, '_' and '-', and begin with a letter "
                f"or digit, got {self.name!r}."
            )
        if not self.alt.strip():
            object.__setattr__(self, "alt", self.caption)
        if not self.alt.strip():
            raise ValueError(
                f"figure {self.name!r} must have a caption or an alt text, got {self.alt!r}."
            )


Block = Heading | Paragraph | Code | Table | Figure


def write_document(
    title: str,
    blocks: Sequence[Block],
    directory: str | os.PathLike[str],
    formats: Sequence[Format] = (),
) -> Path:
    """Write report.html (self-contained), report.md, figures/*.png and tables.tex to a directory.

    In a run's directory the page ends with where its numbers come from, by environment.json. Each
    file is replaced atomically, report.html last. Every text is shown as it is: nothing in it is
    read as HTML or Markdown.

    Args:
      title: of the page.
      blocks: what it shows, in order.
      directory: made if it is not there.
      formats: what figures that were drawn are written as beside PNG: 'pdf', 'svg'.

    Returns:
      The path of report.html.

    Raises:
      ValueError: two figures of one name, an image that is no PNG, or an object that is no block;
        nothing is written then.
    """
    directory = Path(directory)
    blocks = [*blocks, *_provenance(directory)]
    images = _images(blocks)
    page = _html_page(title, blocks, images).encode()
    markdown = "\n\n".join([f"# {escape_markdown(title)}", *map(_markdown_block, blocks)]) + "\n"
    for name, image in images.items():
        files.write(directory / "figures" / f"{name}.png", image)
    for block in blocks:
        if isinstance(block, Figure) and isinstance(block.image, matplotlib.figure.Figure):
            for kind in formats:
                path = directory / "figures" / f"{block.name}.{kind}"
                files.write(path, rendered(block.image, kind))
    if tables := [table_latex(block) for block in blocks if isinstance(block, Table)]:
        files.write(directory / "tables.tex", "\n".join(tables).encode())
    files.write(directory / "report.md", markdown.encode())
    files.write(directory / "report.html", page)
    return directory / "report.html"


def _provenance(run: Path) -> list[Block]:
    if not (run / "environment.json").is_file():
        return []
    here = read_json(run / "environment.json")
    commit = here.get("commit") or "of no repository"
    changed = ", with changes that are not committed" if here.get("dirty") else ""
    packages = ", ".join(f"{name} {version}" for name, version in here["packages"].items())
    devices = ", ".join(f"{number} {kind}" for kind, number in here["devices"].items())
    contents = {
        "observations.csv": "every number of every network",
        "results.json": "the numbers of this page",
        "metrics.jsonl": "the log of training",
    }
    held = [f"{name}: {what}" for name, what in contents.items() if (run / name).is_file()]
    beside = f" Files beside this page: {'; '.join(held)}." if held else ""
    again = "the same bits" if here.get("deterministic") else "bits that may differ"
    blocks: list[Block] = [
        Heading("Provenance"),
        Code(here["command"]),
        Paragraph(
            f"Started {here['started']}; commit {commit}{changed}; configuration "
            f"{here.get('configuration', '')}; Python {here['python']}, {packages}; "
            f"{here['system']}, {here['platform']}: {devices}. The same command gives {again}, "
            f"measured times apart.{beside}"
        ),
    ]
    command = shlex.split(here["command"])
    if len(command) > 2 and (run / "config.json").is_file():
        # python launch.py NAME, whatever came after.
        repeated = [*command[:3], "--config", str(run / "config.json")]
        blocks += [Paragraph("The same configuration again:"), Code(shlex.join(repeated))]
    return blocks


def _images(blocks: list[Block]) -> dict[str, bytes]:
    images: dict[str, bytes] = {}
    for block in blocks:
        if not isinstance(block, Block):
            raise ValueError(
                f"a block must be a Heading, Paragraph, Code, Table or Figure, got {block!r}."
            )
        if not isinstance(block, Figure):
            continue
        # Names that differ in case alone are one file on some systems.
        if block.name.lower() in {name.lower() for name in images}:
            raise ValueError(f"every figure must have a name of its own, got {block.name!r} twice.")
        if isinstance(block.image, matplotlib.figure.Figure):
            data = rendered(block.image)
        else:
            data = block.image if isinstance(block.image, bytes) else block.image.read_bytes()
        if not data.startswith(b"\x89PNG\r\n\x1a\n"):
            raise ValueError(
                f"figure {block.name!r} must be a PNG image, got data that begins with "
                f"{data[:8]!r}."
            )
        images[block.name] = data
    return images


def _html_page(title: str, blocks: list[Block], images: dict[str, bytes]) -> str:
    body = "\n".join(_html_block(block, images) for block in blocks)
    css = Path(__file__).with_name("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{html.escape(title)}</title>
<style>
{css}</style>
</head>
<body>
<main>
<h1>{html.escape(title)}</h1>
{body}
</main>
</body>
</html>
"""


def _html_block(block: Block, images: dict[str, bytes]) -> str:
    match block:
        case Heading(text, level):
            return f"<h{level}>{html.escape(text)}</h{level}>"
        case Paragraph(text, lead):
            opening = '<p class="lead">' if lead else "<p>"
            return f"{opening}{html.escape(text)}</p>"
        case Code(text):
            return f"<pre><code>{html.escape(text)}</code></pre>"
        case Figure():
            return _html_figure(block, images[block.name])
        case Table():
            box = f'<div class="scroll" tabindex="0">\n{table_html(block)}\n</div>'
            return f"<figure>\n{box}{_html_caption(block.caption)}\n</figure>"


def _html_figure(figure: Figure, data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as image:
        width, dots_per_inch = image.width, image.info.get("dpi", (200, 200))[0]
    pixels = round(width / dots_per_inch * _CSS_PIXELS_PER_INCH)
    source = f"data:image/png;base64,{base64.b64encode(data).decode('ascii')}"
    return (
        f'<figure>\n<img width="{pixels}" alt="{html.escape(figure.alt)}" src="{source}">'
        f"{_html_caption(figure.caption)}\n</figure>"
    )


def _html_caption(text: str) -> str:
    return f"\n<figcaption>{html.escape(text)}</figcaption>" if text else ""


def _markdown_block(block: Block) -> str:
    match block:
        case Heading(text, level):
            return f"{'#' * level} {escape_markdown(text)}"
        case Paragraph(text, lead):
            return f"**{escape_markdown(text)}**" if lead else escape_markdown(text)
        case Code(text):
            return "\n".join(f"    {line}" for line in text.splitlines())
        case Figure(name, _, caption, alt):
            link = f"![{escape_markdown(alt)}](figures/{name}.png)"
            return f"{link}\n\n{escape_markdown(caption)}" if caption else link
        case Table():
            return table_markdown(block)

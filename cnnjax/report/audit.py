"""The page of an audit: what a network keeps, where each symmetry is lost, at which sizes not."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from cnnjax.report.audit_figures import TURNS, layers_figure, sizes_figure
from cnnjax.report.figures import png
from cnnjax.report.page import Block, Figure, Heading, Paragraph, write_page
from cnnjax.report.table import Table, format_number
from cnnjax.run.record import Record

Results = Mapping[str, Any]


def write_report(results: Results, record: Record) -> None:
    """Write report.html, report.md and the figures of an audit.

    Args:
      results: what results.json holds, plain JSON values.
      record: of the run.
    """
    write_page(f"What {results['module']} keeps", blocks(results), record.directory)


def blocks(results: Results) -> list[Block]:
    """The page's content, its answer first."""
    noise = f"{results['size']} x {results['size']} x {results['channels']}"
    return [
        *(Paragraph(sentence, lead=True) for sentence in answers(results)),
        Paragraph(
            f"{results['model']}, {results['weights']}, on Gaussian noise of {noise}. The error of "
            "a transformation g is ||f(g x) - g f(x)|| / ||f(x)||: at most "
            f"{format_number(results['tolerance'])} counts as none, √2 is unrelated. Shifts are "
            "circular. Turns and flips may put channels in another order, as they do on features "
            "of group convolutions, and so may everything in arrays without space; a shift that "
            "falls between the positions of a smaller array may move it to either side."
        ),
        Heading("Where each symmetry is lost"),
        _break_table(results),
        Heading("Layer by layer"),
        Figure(
            "layers",
            png(layers_figure(results)),
            "From the image: does a layer's output follow the image? Alone: does its output follow "
            "its own input? Framed: the first place where a transformation of the image is lost; "
            "between two layers it is the functions between them. For shifts the number is the "
            "smallest exact step, in pixels of the image or of the layer's own input.",
            "Matrix of layers and transformations, coloured by what is kept and what is lost.",
        ),
        *(Paragraph(sentence) for sentence in alone_sentences(results)),
        _stage_table(results),
        Heading("Image sizes"),
        Figure(
            "sizes",
            png(sizes_figure(results)),
            "What the network's output keeps at each image size.",
            "Matrix of image sizes and transformations, coloured by what is kept.",
        ),
        *(Paragraph(sentence) for sentence in size_sentences(results)),
    ]


def answers(results: Results) -> list[str]:
    """What is kept, and what breaks the rest, each a sentence."""
    network = results["stages"][-1]["from_image"]
    down, right = network["lattice"]
    size = results["size"]
    if (down, right) == (1, 1):
        shifts = "every circular shift"
    elif (down, right) == (size, size):
        shifts = "no circular shift"
    else:
        shifts = f"circular shifts by multiples of {down} down and {right} to the right"
    turns = [at["transformation"] for at in results["breaks"] if at["kept"]]
    turns = [name for name in turns if name in TURNS]
    turns = _listed([f"the {name}" for name in turns]) if turns else "no turn or flip"
    kept = f"{results['module']} keeps {shifts}; it keeps {turns}."
    lost: dict[str, list[str]] = {}
    for at in results["breaks"]:
        if not at["kept"]:
            lost.setdefault(_place(at), []).append(at["transformation"])
    return [kept, *(f"{place} {_breaks(names)}." for place, names in lost.items())]


def alone_sentences(results: Results) -> list[str]:
    """For each transformation, the innermost layers that lose it alone, wherever they stand."""
    stages = [stage for stage in results["stages"] if stage["innermost"] and stage["alone"]]
    sentences = []
    for name in ("shift by 1", *TURNS):
        loses = [
            stage["path"] or stage["module"] for stage in stages if not _keeps(stage["alone"], name)
        ]
        few = _listed(loses) if len(loses) <= 8 else f"{', '.join(loses[:7])} and more"
        lost = f"{len(loses)} of {len(stages)} layers: {few}" if loses else "no layer"
        what = _the(name) if name in TURNS else "some shift"
        sentences.append(f"Alone, {what} is lost by {lost}.")
    return sentences


def size_sentences(results: Results) -> list[str]:
    """For each kind of transformation, the sizes at which the network keeps it."""
    sentences = []
    fitting = [row for row in results["sizes"] if row["problem"] is None]
    for name in ("shift by 1", *TURNS):
        sizes = [row["size"] for row in fitting if _keeps(row, name)]
        words = _listed([str(size) for size in sizes]) if sizes else "none"
        sentences.append(f"Sizes at which {_the(name)} is exact: {words}{_progression(sizes)}.")
    refused = [row for row in results["sizes"] if row["problem"] is not None]
    if refused:
        sizes = _listed([str(row["size"]) for row in refused])
        sentences.append(f"It does not take images of size {sizes}: {refused[0]['problem']}")
    return sentences


def _break_table(results: Results) -> Table:
    return Table(
        ["transformation of the image", "lost in", "class", "arguments", "error there"],
        [
            [
                at["transformation"],
                "kept to the end" if at["kept"] else _where(at),
                "" if at["kept"] else at["module"],
                "" if at["kept"] else _arguments(at["attributes"]),
                format_number(None if at["kept"] else at["error"], 2),
            ]
            for at in results["breaks"]
        ],
        caption="Shifts by divisors of the size; every exact shift is a multiple of one of them.",
    )


def _stage_table(results: Results) -> Table:
    stages = [stage for stage in results["stages"] if stage["from_image"]]
    return Table(
        ["layer", "class", "arguments", "input", "output", "exact shifts", "alone"],
        [
            [
                stage["path"] or "network",
                stage["module"],
                _arguments(stage["attributes"]),
                _shape(stage["input_shape"]),
                _shape(stage["output_shape"]),
                _steps(stage["from_image"]),
                _steps(stage["alone"]),
            ]
            for stage in stages
        ],
        caption="All calls of submodules in the order in which they end. Exact shifts: smallest "
        "steps down and to the right, in pixels of the image and, alone, of the layer's own input; "
        "the size of the axis where only the zero shift is left.",
    )


def _place(at: Mapping[str, Any]) -> str:
    """The beginning of a sentence that names a break."""
    if at["functions"]:
        where = _where(at)
        return where[0].upper() + where[1:]
    arguments = _arguments(at["attributes"])
    return f"{at['path'] or 'The network'} ({at['module']}{arguments and ', ' + arguments})"


def _where(at: Mapping[str, Any]) -> str:
    if not at["functions"]:
        return at["path"] or "the network"
    after, before = at["between"]
    place = f"between {after} and {before}" if after and before else ""
    place = place or (f"before {before}" if before else f"after {after}" if after else "")
    module = at["path"] or at["module"]
    return f"what {module} does {place}".rstrip()


def _breaks(names: Sequence[str]) -> str:
    """The end of a sentence: what is broken, shifts of both axes together where they are alike."""
    steps = {
        word: [name.rpartition(" ")[2] for name in names if name.startswith(f"shift {word}")]
        for word in ("down", "right")
    }
    parts = []
    if steps["down"] == steps["right"]:
        if steps["down"]:
            parts.append(f"shifts by {_listed(steps['down'])}")
    else:
        parts += [f"shifts {word} by {_listed(each)}" for word, each in steps.items() if each]
    parts += [f"the {name}" for name in names if name in TURNS]
    return f"breaks {_listed(parts)}"


def _listed(words: Sequence[str]) -> str:
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))


def _the(name: str) -> str:
    return f"the {name}" if name in TURNS else f"every {name.removesuffix(' by 1')}"


def _progression(sizes: Sequence[int]) -> str:
    """The words ` (4 k + 1)` for three or more sizes at one distance above 1."""
    steps = {after - before for before, after in itertools.pairwise(sizes)}
    if len(sizes) < 3 or len(steps) != 1 or steps == {1}:
        return ""
    (step,) = steps
    rest = sizes[0] % step
    return f" ({step} k + {rest})" if rest else f" ({step} k)"


def _arguments(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in attributes.items())


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape[1:]))


def _steps(answer: Mapping[str, Any] | None) -> str:
    return "–" if answer is None else " x ".join(map(str, answer["lattice"]))


def _keeps(answer: Mapping[str, Any], name: str) -> bool:
    if name == "shift by 1":
        return answer["lattice"] == [1, 1]
    return name in answer["kept"]

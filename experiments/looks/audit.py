"""Which translations, 90-degree rotations and flips is a network equivariant to, layer by layer, and which layer, stride, padding or pooling breaks each?

Every submodule of any Flax network is observed while the network is applied to noise and to
transformed copies of it; each is also measured alone, on its own input transformed. The error of a
transformation g is

    ||f(g x) - g f(x)|| / ||f(x)||

0 is exact, sqrt(2) unrelated. Shifts are circular. Rotations and flips may permute the channels, as
they do on features of group convolutions, and any transformation the entries of arrays without
space; a shift that falls between the positions of a smaller array may move it to either side. The
output is also measured at a range of image sizes: strides keep some symmetries at some sizes only.

    python launch.py audit --model ResNet20                   a model of cnnjax, untrained
    python launch.py audit --model ResNet18 --weights FILE    with weights of torchvision's names
    python launch.py audit --model ConvNet --conv tiled       with a convolution of your choice
    python launch.py audit --model my_module:MyNet            your own Flax module, or
    python launch.py audit --model my_module:my_net           one that is made already
    python launch.py audit --model RUN_DIR                    a trained network

Time: seconds to a minute on 2 CPU cores; a network of dozens of layers takes minutes.

Expected of the default, a network of standard convolutions with circular padding and strides 1, 2
and 1: it is equivariant to every shift by 2 at even sizes; shifts by 1 are lost in conv2, which has
the stride; rotations and flips are lost in conv1, at every size.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import CheckedConfig, InputError, Positive, Requirement, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import matplotlib.axes
    import matplotlib.colors
    import matplotlib.figure
    import matplotlib.patches
    import numpy as np

    from cnnjax import report, tasks
    from cnnjax.symmetry import audit

SHIFTS = ("shift down", "shift right")
MOST_ROWS = 60
EXACT, PERMUTED, PARTLY, LOST, UNDEFINED = range(5)
COLOURS = {
    "exact": "#7cc8ab",
    "exact, permuted": "#b9dff0",
    "some shifts exact: smallest step": "#f5dc9c",
    "lost: error": "#f0b9a0",
    "not defined": "#ededed",
}
Results = Mapping[str, Any]


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which network, on which images."""

    model: str = "ConvNet"
    """Network of cnnjax.models, package.module:Class, or the directory of a run."""
    conv: Annotated[
        tuple[Convolution, ...], Requirement(lambda some: len(some) < 2, "at most one convolution")
    ] = ()
    """Convolution in the place of the network's own, by name or import path."""
    weights: str | None = None
    """File of trained weights with torchvision's names, .safetensors or .npz."""
    size: Positive | None = None
    """Height and width of the images; by default those that a run was trained on, or 32."""
    channels: Positive | None = None
    """Channels of the images; by default those that a run was trained on, or 3."""
    classes: Positive | None = None
    """Number of classes, where a model takes one; by default its own, or 10."""
    sizes: Annotated[
        tuple[int, int] | None,
        Requirement(lambda s: s is None or 1 <= s[0] <= s[1], "a first and a last size"),
    ] = None
    """First and last of the image sizes to try; by default from 8 below `size` to 8 above."""
    trust: tuple[str, ...] = ()
    """Import paths that the files of a run name, package.module:Class, whose code may be run."""
    network: str | None = None
    """Name of the network, of a run of several."""
    images: Positive = 2
    """Images of noise; with one alone, an array without a batch axis may pass for one with it."""
    tolerance: Annotated[float, Requirement(lambda t: 0 < t < 1, "between 0 and 1")] = 1e-5
    """Largest relative error that counts as zero: rounding."""
    seed: Seed = 0
    """Seed of the noise, and of the weights of an untrained network."""


PRESETS = {"smoke": Config(size=8, channels=1, sizes=(7, 9))}


def run(config: Config, record: Record) -> None:
    """Audit the network; write results and page."""
    shape = image_shape(config)
    x = audit.noise((config.images, *shape), config.seed)
    model, variables, weights = network(config, x)
    try:
        found = audit.audit(model, variables, x, tolerance=config.tolerance)
    except ValueError as error:
        raise InputError(f"{config.model}: {error}") from error
    first, last = config.sizes or (max(1, shape[0] - 8), shape[0] + 8)
    sizes = audit.over_sizes(
        model,
        variables,
        range(first, last + 1),
        shape[2],
        trained=weights != "untrained",
        images=config.images,
        seed=config.seed,
        tolerance=config.tolerance,
    )
    results = {
        "model": config.model,
        "module": type(model).__name__,
        "weights": weights,
        "image_shape": shape,
        "tolerance": config.tolerance,
        "stages": [_stage(stage) for stage in found.stages],
        "breaks": [
            {"transformation": name, "kept": at is None, **(_place(at) if at else {})}
            for name, at in found.breaks.items()
        ],
        "sizes": [
            {"size": size, "problem": at}
            if isinstance(at, str)
            else {"size": size, "problem": None, **_response(at)}
            for size, at in sizes.items()
        ],
    }
    page(record.results(results), record)


def image_shape(config: Config) -> tuple[int, int, int]:
    """Height, width and channels of the images."""
    known = (32, 32, 3)
    if tasks.is_run(config.model):
        known = tasks.input_shape(Path(config.model), config.network)
        if config.channels not in (None, known[2]):
            raise InputError(
                f"channels of {config.model} must be {known[2]}, got {config.channels}."
            )
    height, width = (config.size or size for size in known[:2])
    return height, width, config.channels or known[2]


def network(config: Config, x: np.ndarray) -> tasks.Trained:
    """The network, its variables, and where these come from."""
    if tasks.is_run(config.model):
        for name in ("conv", "classes", "weights"):
            if getattr(config, name):
                raise InputError(f"{name} of {config.model} must be that of the run: give none.")
        return tasks.load_trained(Path(config.model), x, network=config.network, trust=config.trust)
    conv = config.conv[0] if config.conv else None
    model = tasks.make_model(config.model, conv, classes=config.classes)
    if config.weights:
        return tasks.load_pretrained(model, config.weights, x.shape[1:])
    with tasks.taking_images(type(model).__name__, x.shape[1:]):
        variables = audit.initialise(model, x, config.seed)
    return tasks.Trained(model, audit.generic(variables, config.seed), "untrained")


def page(results: Results, record: Record) -> None:
    """Write the page."""
    shape = " x ".join(map(str, results["image_shape"]))
    report.write_page(
        record,
        __doc__,
        [
            summary(results),
            f"{results['model']}, {results['weights']}, on Gaussian noise of {shape}; errors of at "
            f"most {report.format_number(results['tolerance'], 1)} count as zero.",
            report.Heading("Where each symmetry is lost"),
            break_table(results["breaks"]),
            report.Heading("Layer by layer"),
            report.Figure(
                "layers",
                report.styled(layers_figure)(results),
                "From the image: equivariance of a layer's output to transformations of the image. "
                "Alone: to transformations of its own input. Framed: the first layer that loses a "
                "transformation of the image; where none is framed it is lost between layers. The "
                "number of a shift is the smallest exact step, in pixels of the image or of the "
                "layer's own input.",
            ),
            stage_table(results["stages"]),
            report.Heading("Image sizes"),
            report.Figure(
                "sizes",
                report.styled(sizes_figure)(results),
                "Equivariance of the network's output at each image size.",
            ),
            size_table(results),
        ],
    )


def summary(results: Results) -> str:
    """The transformations to which the network is equivariant, in a sentence."""
    lattice = results["stages"][-1]["from_image"]["lattice"]
    if lattice == [1, 1]:
        shifts = "every circular shift"
    elif lattice == results["image_shape"][:2]:
        shifts = "no circular shift"
    else:
        shifts = f"circular shifts by multiples of {lattice[0]} down and {lattice[1]} to the right"
    kept = [at["transformation"] for at in results["breaks"] if at["kept"]]
    turns = [f"the {name}" for name in turns_of(results) if name in kept]
    turns = _listed(turns) or "no rotation or flip"
    return f"{results['module']} is equivariant to {shifts}, and to {turns}."


def turns_of(results: Results) -> list[str]:
    """Names of the rotations and flips that are defined for the images."""
    names = [at["transformation"] for at in results["breaks"]]
    return [name for name in names if not name.startswith(SHIFTS)]


def break_table(breaks: Sequence[Mapping[str, Any]]) -> report.Table:
    """Places that lose a symmetry, and what is exact to the output, each with its transformations."""
    places: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for at in breaks:
        place = ("(not lost)", "", "")
        if not at["kept"]:
            place = (_where(at), at["module"], _arguments(at["attributes"]))
        places.setdefault(place, []).append(at)
    rows = []
    for place, some in places.items():
        largest = max((at["error"] for at in some if not at["kept"]), default=None)
        names = together([at["transformation"] for at in some])
        rows.append([*place, names, report.format_number(largest, 2)])
    columns = ["lost in", "class", "arguments", "transformations of the image", "largest error"]
    caption = (
        "Shifts by divisors of the image size; every exact shift is a multiple of one of them."
    )
    return report.Table(columns, rows, caption)


def stage_table(stages: Sequence[Mapping[str, Any]]) -> report.Table:
    """Shapes and exact shifts of all calls of submodules."""
    return report.Table(
        ["layer", "class", "arguments", "input", "output", "exact shifts", "alone"],
        [
            [
                stage["path"] or "network",
                stage["module"],
                _arguments(stage["attributes"]),
                " x ".join(map(str, stage["input_shape"][1:])),
                " x ".join(map(str, stage["output_shape"][1:])),
                " x ".join(map(str, stage["from_image"]["lattice"])),
                " x ".join(map(str, (stage["alone"] or {}).get("lattice", [report.MISSING]))),
            ]
            for stage in stages
            if stage["from_image"]
        ],
        caption="All calls of submodules in the order in which they end. Exact shifts: smallest "
        "steps down and to the right, in pixels of the image and, alone, of the layer's own input; "
        "the size of the axis where only the zero shift is exact.",
    )


def size_table(results: Results) -> report.Table:
    """For each kind of transformation, the sizes at which the network is equivariant to it."""
    fitting = [row for row in results["sizes"] if row["problem"] is None]
    rows = []
    for name in ("shift by 1", *turns_of(results)):
        sizes = [row["size"] for row in fitting if _exact(row, name)]
        rows.append([name, (_listed(sizes) or "none") + progression(sizes)])
    problems = [row for row in results["sizes"] if row["problem"] is not None]
    caption = ""
    if problems:
        sizes = _listed(row["size"] for row in problems)
        caption = f"Images of size {sizes} are not accepted: {problems[0]['problem']}"
    columns = ["transformation", "sizes at which it is exact"]
    return report.Table(columns, rows, caption, align=["left"] * 2)


def together(names: Sequence[str]) -> str:
    """Transformations in words, shifts of both axes together where they are alike."""
    steps = {
        kind: [name.rpartition(" ")[2] for name in names if name.startswith(kind)]
        for kind in SHIFTS
    }
    down, right = steps.values()
    if down == right:
        parts = [f"shifts by {_listed(down)}"] if down else []
    else:
        parts = [f"{kind} by {_listed(each)}" for kind, each in steps.items() if each]
    return "; ".join([*parts, *(name for name in names if not name.startswith(SHIFTS))])


def progression(sizes: Sequence[int]) -> str:
    """The words ` (4 k + 1)` for three or more sizes at one distance above 1."""
    steps = {after - before for before, after in itertools.pairwise(sizes)}
    if len(sizes) < 3 or len(steps) != 1 or steps == {1}:
        return ""
    (step,) = steps
    rest = sizes[0] % step
    return f" ({step} k + {rest})" if rest else f" ({step} k)"


def layers_figure(results: Results) -> matplotlib.figure.Figure:
    """Layers by transformations: from the image on the left, alone on the right."""
    stages, columns = shown_stages(results["stages"]), [*SHIFTS, *turns_of(results)]
    canvas = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 1.5 + 0.2 * len(stages)))
    left, right = canvas.subplots(1, 2, sharey=True)
    for axes, kind in ((left, "from_image"), (right, "alone")):
        cells = []
        for stage in stages:
            space = results["image_shape"] if axes is left else stage["input_shape"][1:3]
            cells.append([_cell(stage[kind], space, name) for name in columns])
        _matrix(axes, cells)
        axes.set_xticks(range(len(columns)), columns, rotation=35, ha="right")
    left.set_title("from the image")
    right.set_title("alone, from its own input")
    rows = [stage["path"] or "network" for stage in stages]
    left.set_yticks(range(len(rows)), [r if len(r) <= 34 else f"…{r[-33:]}" for r in rows])
    places = {stage["path"]: row for row, stage in enumerate(stages)}
    for at in results["breaks"]:
        if at["kept"] or at["functions"] or at["path"] not in places:
            continue
        column = next(c for c, name in enumerate(columns) if at["transformation"].startswith(name))
        corner = column - 0.5, places[at["path"]] - 0.5
        left.add_patch(
            matplotlib.patches.Rectangle(
                corner, 1, 1, fill=False, edgecolor=report.BLACK, linewidth=1.3, clip_on=False
            )
        )
    _legend(canvas)
    return canvas


def sizes_figure(results: Results) -> matplotlib.figure.Figure:
    """Transformations by image sizes, for the network's output."""
    rows, names = results["sizes"], [*SHIFTS, *turns_of(results)]
    canvas = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 2.2))
    axes = canvas.subplots()
    found = [(None if row["problem"] else row, (row["size"],) * 2) for row in rows]
    cells = [[_cell(*each, name) for each in found] for name in names]
    _matrix(axes, cells, numbers=len(rows) <= 24)
    axes.set_yticks(range(len(names)), names)
    step = -(-len(rows) // 30)
    axes.set_xticks(range(0, len(rows), step), [row["size"] for row in rows[::step]])
    axes.set_xlabel("height and width of the image (pixels)")
    _legend(canvas)
    return canvas


def shown_stages(stages: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Rows of the figure: all calls, or of many those whose arguments determine their symmetry."""
    stages = [stage for stage in stages if stage["from_image"]]
    if len(stages) <= MOST_ROWS:
        return stages
    chosen = [stage for stage in stages[:-1] if stage["attributes"] and stage["innermost"]]
    return [*chosen[: MOST_ROWS - 1], stages[-1]]


def _cell(found: Any, space: Sequence[int], name: str) -> tuple[int, str]:
    """Colour of a cell, and what is written in it."""
    if found is None:
        return UNDEFINED, ""
    if name in SHIFTS:
        axis = SHIFTS.index(name)
        step = found["lattice"][axis]
        state = EXACT if step == 1 else LOST if step >= space[axis] else PARTLY
        if state != LOST:
            permuted = f"{name} by {step}" in found["reordered"]
            return (PERMUTED if state == EXACT and permuted else state), str(step)
        error = found["errors"].get(f"{name} by 1")
        return state, "" if error is None else _short(error)
    if name not in found["errors"]:
        return UNDEFINED, ""
    if name in found["kept"]:
        return (PERMUTED if name in found["reordered"] else EXACT), ""
    return LOST, _short(found["errors"][name])


def _short(error: float) -> str:
    return f"{error:.1f}" if error >= 0.95 else f"{error:.2f}" if error >= 0.01 else f"{error:.0e}"


def _matrix(
    axes: matplotlib.axes.Axes, cells: list[list[tuple[int, str]]], numbers: bool = True
) -> None:
    states = np.array([[state for state, _ in row] for row in cells])
    colours = matplotlib.colors.ListedColormap(list(COLOURS.values()))
    axes.imshow(states, cmap=colours, vmin=0, vmax=4, aspect="auto")
    for row, column in np.ndindex(*states.shape):
        if numbers:
            axes.text(column, row, cells[row][column][1], ha="center", va="center", fontsize=6)
    axes.set_xticks(np.arange(-0.5, states.shape[1]), minor=True)
    axes.set_yticks(np.arange(-0.5, states.shape[0]), minor=True)
    axes.grid(which="minor", color="white", linewidth=1.2)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_visible(False)


def _legend(canvas: matplotlib.figure.Figure) -> None:
    patch = matplotlib.patches.Patch
    handles = [patch(color=colour, label=label) for label, colour in COLOURS.items()]
    canvas.legend(handles=handles, loc="outside upper center", ncols=5, handlelength=1.2)


def _where(at: Mapping[str, Any]) -> str:
    """Name of the place in which a symmetry is lost."""
    module = at["path"] or "the network"
    if not at["functions"]:
        return module
    after, before = at["between"]
    parts = [f"after {after}" if after else "", f"before {before}" if before else ""]
    return f"{module}, {' and '.join(filter(None, parts))}".removesuffix(", ")


def _exact(found: Mapping[str, Any], name: str) -> bool:
    return found["lattice"] == [1, 1] if name == "shift by 1" else name in found["kept"]


def _listed(words: Iterable[Any]) -> str:
    *first, last = [*map(str, words)] or [""]
    return " and ".join(filter(None, [", ".join(first), last]))


def _arguments(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in attributes.items())


def _stage(stage: audit.Stage) -> dict[str, Any]:
    names = ("path", "module", "innermost", "input_shape", "output_shape")
    return {
        **{name: getattr(stage, name) for name in names},
        "attributes": {name: str(value) for name, value in stage.attributes.items()},
        "from_image": stage.response and _response(stage.response),
        "alone": stage.alone and _response(stage.alone),
    }


def _response(found: audit.Response) -> dict[str, Any]:
    kept = [name for name in found.errors if found.keeps(name)]
    reordered = sorted(found.reordered)
    return {"lattice": found.lattice, "errors": found.errors, "kept": kept, "reordered": reordered}


def _place(at: audit.Break) -> dict[str, Any]:
    attributes = {name: str(value) for name, value in at.attributes.items()}
    return {**dataclasses.asdict(at), "attributes": attributes}

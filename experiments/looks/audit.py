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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import CheckedConfig, InputError, Positive, Requirement, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import numpy as np

    from cnnjax import report, tasks
    from cnnjax.symmetry import audit, audit_results

SHIFTS = ("shift down", "shift right")
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
        **audit_results.audit_results(found, sizes),
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
    shape = _size(results["image_shape"])
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
                report.audit_layers(results),
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
                report.audit_sizes(results),
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
    turns = [f"the {name}" for name in report.rotations_and_flips(results) if name in kept]
    turns = report.listed(turns) or "no rotation or flip"
    return f"{results['module']} is equivariant to {shifts}, and to {turns}."


def break_table(breaks: Sequence[Mapping[str, Any]]) -> report.Table:
    """Places that lose a symmetry, and what is exact to the output, with their transformations."""
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
    return report.rows_table(
        [stage for stage in stages if stage["from_image"]],
        {
            "layer": lambda stage: stage["path"] or "network",
            "class": "module",
            "arguments": lambda stage: _arguments(stage["attributes"]),
            "input": lambda stage: _size(stage["input_shape"][1:]),
            "output": lambda stage: _size(stage["output_shape"][1:]),
            "exact shifts": lambda stage: _size(stage["from_image"]["lattice"]),
            "alone": lambda stage: (
                _size(stage["alone"]["lattice"]) if stage["alone"] else report.MISSING
            ),
        },
        "All calls of submodules in the order in which they end. Exact shifts: smallest steps down "
        "and to the right, in pixels of the image and, alone, of the layer's own input; the size "
        "of the axis where only the zero shift is exact.",
    )


def size_table(results: Results) -> report.Table:
    """For each kind of transformation, the sizes at which the network is equivariant to it."""
    fitting = [row for row in results["sizes"] if row["problem"] is None]
    rows = []
    for name in ("shift by 1", *report.rotations_and_flips(results)):
        sizes = [row["size"] for row in fitting if _exact(row, name)]
        rows.append([name, (report.listed(sizes) or "none") + progression(sizes)])
    problems = [row for row in results["sizes"] if row["problem"] is not None]
    caption = ""
    if problems:
        sizes = report.listed(row["size"] for row in problems)
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
        parts = [f"shifts by {report.listed(down)}"] if down else []
    else:
        parts = [f"{kind} by {report.listed(each)}" for kind, each in steps.items() if each]
    return "; ".join([*parts, *(name for name in names if not name.startswith(SHIFTS))])


def progression(sizes: Sequence[int]) -> str:
    """The words ` (4 k + 1)` for three or more sizes at one distance above 1."""
    steps = {after - before for before, after in itertools.pairwise(sizes)}
    if len(sizes) < 3 or len(steps) != 1 or steps == {1}:
        return ""
    (step,) = steps
    rest = sizes[0] % step
    return f" ({step} k + {rest})" if rest else f" ({step} k)"


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


def _size(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _arguments(attributes: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in attributes.items())

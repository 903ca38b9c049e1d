"""Is the learned range of rotations set by the data, or by where it starts?

Two glyphs, upright or inverted, are four classes; in the data each is rotated by up to a half-angle
a to either side. A network behind random rotations learns their half-width w with its weights: its
loss is cross-entropy - lambda ||widths||, where a width is the whole range 2 w (Augerino). Upright
and inverted glyphs become alike where a + w = 90 degrees: the data allow w up to 90 - a, a line of
slope -1, of which the published task (a = 45) is one point.

A network that knows all angles and is rewarded by lambda for each radian of width goes further:

    w = (90 - a) / sqrt(1 - 4 a lambda)        (a in radians under the root)

Controls: lambda = 0, since nothing but lambda rewards width; a = 90, where any rotation makes some
glyphs alike; a narrow and a wide start; glyphs that are drawn at their angle, of random stroke,
brightness and size, and zero outside of the inscribed circle, so that interpolation tells as little
as possible of the rotation. The learning rate is not tuned; it ends at zero, as widths then must.

    python launch.py augmentation_ranges          3 seeds: 8 minutes, 2 CPU cores
    python launch.py augmentation_ranges smoke    half a minute
    python launch.py augmentation_ranges full     more angles and weights, affine maps; one GPU

Seen, mean of 3 seeds, lambda = 0.05: w is near 90 - a, above for a = 30, 45, 60 by -0.2 +- 5.2, 2.5
+- 0.4, 1.8 +- 1.7 (narrow start) and 2.1 +- 1.7, 2.5 +- 1.7, 2.7 +- 1.4 degrees (wide); slope is
-0.93 +- 0.15 and -0.981 +- 0.013. Wide minus narrow: 2.3 +- 4.1, 0.0 +- 2.1, 0.9 +- 0.9. At lambda
= 0 and a = 45 the start decides: 6 degrees from 10, 41 from 80. At a = 90 (narrow) 1.7 degrees.

Source: Benton, Finzi, Izmailov, Wilson, Learning invariances in neural networks from training data,
2020, and their code: a = 45 degrees and lambda = 0.05 are of `generate_data.py` and
`Mario_rotation_width.ipynb`; there all six affine generators start at softplus(-5).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from cnnjax.run.config import CheckedConfig, Distinct, Positive, Requirement, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import Amount, TrainConfig

with lazy_imports():
    import numpy as np

    from cnnjax import layers, models, ops, report, tasks
    from cnnjax.data import rotated_glyphs

HalfAngle = Annotated[float, Requirement(lambda a: 0 < a < 90, "above 0 and below 90")]
Start = Literal["narrow", "wide"]
STARTS: dict[Start, float] = {"narrow": 10.0, "wide": 80.0}
"""Half-widths before training in degrees; of generators other than rotation, in radians."""
DECIDING = 90.0
"""Half-angle at which upright and inverted glyphs touch already: the angle decides the class."""
FACTORS = ("maps", "regularisation", "start", "half_angle")
NAMES = {"half_angle": "a (degrees)", "regularisation": "λ", "maps": "generators"}
PREFIX = "half_width."
WIDTH = f"{PREFIX}rotation"
"""Observed: half-widths by generator; of rotation, in degrees."""


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which data, rewards and starts to compare, on how many images."""

    half_angles: Distinct[HalfAngle] = (30.0, 45.0, 60.0)
    """Half-angles of the data in degrees; 90, where the angle decides the class, is added."""
    regularisations: Distinct[Amount] = (0.05, 0.0)
    """Lambda: the first at all half-angles, the others at those of `controls_at`."""
    controls_at: Distinct[HalfAngle] = (45.0,)
    """Half-angles of the other lambdas."""
    starts: Distinct[Start] = ("narrow", "wide")
    """Half-width before training: 10 or 80 degrees; at a half-angle of 90 the first alone."""
    affine: bool = False
    """Whether to train networks behind all six generators of affine maps as well, at the first
    lambda and from the first start."""
    train_images: Positive = 4000
    """Glyphs to train on."""
    test_images: Positive = 1000
    """Glyphs to validate on, and to test on."""
    features: tuple[Positive, ...] = (8, 16, 32)
    """Channels of each stage of the network."""
    samples: Positive = 4
    """Maps over which logits are averaged in evaluation."""
    seeds: Distinct[Seed] = (0, 1, 2)
    """Seeds; for each a network is trained in every condition, on glyphs of that seed."""
    train: TrainConfig = TrainConfig(
        steps=600, batch_size=64, learning_rate=2e-2, warmup_steps=20, log_every=100, eval_every=30
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        half_angles=(30.0, 60.0), regularisations=(0.05,), starts=("narrow",), seeds=(0,),
        train_images=400, test_images=100, features=(4,),
        train=TrainConfig(steps=30, batch_size=32, learning_rate=2e-2, log_every=10, eval_every=10),
    ),
    "full": Config(
        half_angles=(15.0, 30.0, 45.0, 60.0, 75.0), regularisations=(0.05, 0.01, 0.1, 0.0),
        controls_at=(15.0, 45.0, 75.0), affine=True, train_images=8000, test_images=4000,
        features=(16, 32, 64), seeds=(0, 1, 2, 3, 4),
        train=TrainConfig(
            steps=1200, batch_size=128, learning_rate=2e-2, warmup_steps=40, eval_every=60
        ),
    ),
}  # fmt: skip


def run(config: Config, record: Record) -> None:
    """Train every network, and read its half-widths."""
    images = {"train": config.train_images, "test": config.test_images}
    glyphs = functools.lru_cache(maxsize=2)(rotated_glyphs.rotated_glyphs)
    pipeline = tasks.standardised(glyphs(DECIDING, **images, seed=config.seeds[0]))
    plain = functools.partial(
        models.PlainNet, classes=pipeline.classes, features=config.features, readout="volume"
    )
    for cell in record.each(condition=conditions(config), seed=config.seeds):
        data, anywhere = (
            glyphs(half_angle, **images, seed=cell["seed"])
            for half_angle in (cell["half_angle"], DECIDING)
        )
        task = pipeline.on(train=data.train, validation=data.validation, test=data.test)
        generators = tuple(ops.GENERATORS) if cell["maps"] == "affine" else ("rotation",)
        model = models.Augerino(plain, generators, cell["regularisation"], samples=config.samples)
        network = started(task.network(model, config.train), cell["start"], cell["seed"])
        widths = functools.partial(half_widths, generators)
        state = network.train(record, cell, evaluate=widths)
        found = widths(state)
        everywhere = task.on(test=anywhere.test).network(model, config.train)
        record.observe(
            cell,
            **found,
            excess=found[WIDTH] - (90 - cell["half_angle"]),
            accuracy=network.accuracy(state),
            accuracy_anywhere=everywhere.accuracy(state),
        )
    page(record.observations(), record)


def conditions(config: Config) -> list[dict[str, Any]]:
    """Factors of each condition, those of one compiled network next to each other."""
    (reward, *others), (start, *_) = config.regularisations, config.starts
    found = [("rotation", reward, s, a) for s in config.starts for a in config.half_angles]
    found.append(("rotation", reward, start, DECIDING))
    for other in others:
        found += [("rotation", other, s, a) for s in config.starts for a in config.controls_at]
    if config.affine:
        found += [("affine", reward, start, a) for a in config.half_angles]
    return [dict(zip(FACTORS, each, strict=True)) for each in found]


def started(network: tasks.Network, start: Start, seed: int) -> tasks.Network:
    """The network with all half-widths at a start, and the weights of a seed."""
    params = network.initial(seed).params
    raw = layers.raw_width(math.radians(STARTS[start]))
    widths = np.full(params["augmentation"]["widths"].shape, raw, np.float32)
    return network.starting_from({"params": {**params, "augmentation": {"widths": widths}}})


def half_widths(generators: Sequence[str], state: Any) -> dict[str, float]:
    """Half-widths of a state by generator: of rotation in degrees, see `layers.RandomAffine`."""
    found = dict(zip(generators, layers.half_widths(state.variables["params"]["augmentation"])))
    found["rotation"] = np.rad2deg(found["rotation"])
    return {f"{PREFIX}{name}": float(value) for name, value in found.items()}


def best(row: dict[str, Any]) -> float | None:
    """Half-width of the best network in a condition; None where this is not one value, known."""
    if row["maps"] == "affine" or row["regularisation"] == 0:
        return None
    # What is rewarded is the whole range, two half-widths.
    return rotated_glyphs.optimal_half_width(row["half_angle"], 2 * row["regularisation"])


def line(group: Observations) -> dict[str, Any]:
    """Slope and intercept of the half-widths over a, by least squares for each seed."""
    fits = [
        np.polyfit([row["half_angle"] for row in one.rows], one.column(WIDTH), 1)
        for one in group.groups("seed").values()
    ]
    slopes, intercepts = np.transpose(fits)
    return {"slope": summarize(slopes), "intercept": summarize(intercepts)}


def listed(found: Observations, number: str) -> str:
    """A number of each start and half-angle over its seeds, in a sentence."""
    said = [
        f"{report.format_summary(summarize(group.column(number)))} ({start} start, a = {angle:g})"
        for (start, angle), group in found.groups("start", "half_angle").items()
    ]
    return ", ".join(said) or report.MISSING


def curves(found: Observations, record: Record) -> tuple[list[int], dict[str, dict[str, Any]]]:
    """Steps, and half-widths of rotation at them by lambda and start and by a: mean over seeds."""
    logged: dict[str, dict[int, float]] = {}
    for each in record.read_metrics():
        if f"eval_{WIDTH}" in each:
            logged.setdefault(each["network"], {})[each["step"]] = each[f"eval_{WIDTH}"]
    panels: dict[str, dict[str, Any]] = {}
    for (_, reward, start, angle), group in found.groups(*FACTORS).items():
        seeds = [[*logged[cell.name].values()] for cell in group.cells]
        panel = panels.setdefault(f"λ = {reward:g}, {start} start", {})
        panel[f"a = {angle:g}°"] = [STARTS[start], *np.mean(seeds, axis=0)]
    return [0, *logged[found.cells[0].name]], panels


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    reward = record.config["regularisations"][0]
    below = found.where(half_angle=tuple(a for a in found.values("half_angle") if a < DECIDING))
    shown = found.where(maps="rotation", regularisation=(reward, 0.0))
    steps, panels = curves(shown, record)
    lines = [
        {**dict(zip(FACTORS, key)), **line(group)}
        for key, group in below.groups(*FACTORS[:-1]).items()
        if len(group.values("half_angle")) > 1
    ]
    results = {"rows": found.results(), "lines": lines, "steps": steps, "half_widths": panels}
    record.results(record.task | results)
    angles = np.linspace(min(found.values("half_angle")), DECIDING, 50)
    most = np.array([best({**shown.rows[0], "half_angle": a}) for a in angles], float)
    slopes = [
        f"{each['start']} start {report.format_summary(each['slope'])}"
        for each in lines
        if (each["maps"], each["regularisation"]) == ("rotation", reward)
    ]
    rewarded = below.where(maps="rotation", regularisation=reward)
    free = found.where(maps="rotation", regularisation=0.0)
    axes: dict[str, Any] = {"y_label": "half-width (degrees)", "limits": (0, DECIDING)}
    learning = "Half-width of the rotations in training, mean over seeds."
    report.write_page(
        record,
        __doc__,
        [
            f"Slope of the learned half-width over the half-angle a of the data, λ = {reward:g}: "
            f"{', '.join(slopes) or report.MISSING} (of 90 − a: −1). Half-width minus 90 − a "
            f"(degrees): {listed(rewarded, 'excess')}. Half-width, λ = 0: {listed(free, WIDTH)}; "
            f"the angle decides the class: {listed(found.where(half_angle=DECIDING), WIDTH)}.",
            report.setting(record, found),
            report.Heading("Learned range against that of the data"),
            report.Figure(
                "half_width",
                report.points_over(
                    {
                        f"λ = {value:g}, {start} start": group.summary(WIDTH, "half_angle")
                        for (value, start), group in shown.groups(*FACTORS[1:3]).items()
                    },
                    "half-angle of the data, a (degrees)",
                    lines={
                        "90 − a": (angles.tolist(), (DECIDING - angles).tolist()),
                        f"best network, λ = {reward:g}": (angles.tolist(), most.tolist()),
                    },
                    **axes,
                ),
                "Half-width of the learned rotations, dots and bars: "
                f"{report.over_seeds(len(found.seeds))}. Dashed: above it some upright and "
                "inverted glyphs look alike; grey: least loss of a network that knows all angles.",
            ),
            report.rows_table(
                lines,
                {NAMES.get(name, name): name for name in FACTORS[:-1]}
                | {"slope": "slope", "intercept (degrees)": "intercept"},
                "Straight lines through the half-widths over a, without a = 90, fitted for each "
                f"seed: {report.over_seeds(len(found.seeds))}. Of 90 − a: −1 and 90.",
            ),
            report.summary_table(
                found,
                {
                    f"half-width, {name.removeprefix(PREFIX)}": name
                    for name in found.numbers
                    if name.startswith(PREFIX)
                }
                | {
                    "minus 90 − a": "excess",
                    "best network": lambda group: report.format_number(best(group.rows[0])),
                    "accuracy (%)": ("accuracy", 100),
                    "accuracy, all angles (%)": ("accuracy_anywhere", 100),
                },
                names=NAMES,
                caption=f"Half-widths in training begin at {STARTS['narrow']:g} (narrow) or "
                f"{STARTS['wide']:g} degrees (wide); of rotation in degrees, of others as in "
                "`layers.RandomAffine`. Best network: knows all angles. Accuracy on "
                f"{record.task['test_examples']:,} test glyphs, rotated as in training, and by up "
                "to 90 degrees.",
            ),
            *(
                [report.difference_table(rewarded, {"half-width": WIDTH}, "start", "narrow")]
                if {*rewarded.values("start")} == {*STARTS}
                else []
            ),
            report.Heading("Learning"),
            report.Figure("learning", report.line_panels(panels, steps, "steps", **axes), learning),
        ],
    )

"""How fast are the layers and the training of cnnjax, beside other libraries and the machine's limits?

Every competitor is a process of its own; they take turns in shuffled order, each with fresh inputs,
and the results are compared before anything is timed. A turn that other processes disturbed is
discarded. Backward means the gradients by input and parameters, in one program with forward.

    python launch.py benchmark                     half an hour and more, on an idle machine
    python launch.py benchmark smoke               a tiny shape, under a minute
    python launch.py benchmark gpu                 larger batches; products in TF32, as in libraries
    python launch.py benchmark full                batches and sides that grow as well
    python launch.py benchmark --against flax torch --layers local "tiled 2" --shapes C --networks

Expected: on CPU local layers faster than those of Flax, and training of the CIFAR-10 tutorial's
network, too; the numbers are this machine's. `flax_untuned` is Flax without cnnjax's settings of
the process, see `cnnjax.run.process`.

Source: Williams, Waterman, Patterson, Roofline: an insightful visual performance model, 2009.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from cnnjax.run.config import CheckedConfig, Distinct, Fraction, Positive, Requirement, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    from cnnjax import report
    from experiments.competitors import comparison, shown

Competitor = Literal["flax", "flax_untuned", "torch", "keras"]
Layer = Literal[
    "local", "tiled 2", "tiled 3", "tiled 4", "low rank", "standard", "depthwise", "grouped",
    "transposed", "group", "LRN", "max pooling", "average pooling",
]  # fmt: skip
Shape = Literal["A", "B", "C", "D", "E", "tiny"]
Network = Literal["CifarTutorial", "LeNet5", "ResNet20", "tiny"]
Amount = Annotated[float, Requirement(lambda x: 0 < x < math.inf, "above 0 and finite")]

SIZES: dict[Shape, tuple[int, int, int, int]] = {
    "A": (28, 1, 8, 5),
    "B": (32, 3, 64, 5),
    "C": (16, 64, 64, 3),
    "D": (8, 128, 128, 3),
    "E": (24, 64, 64, 5),
    "tiny": (6, 8, 8, 3),
}
"""Side of the images, channels, features and kernel size of each shape."""
GROWING: tuple[Layer, ...] = ("local", "tiled 2", "standard")


@dataclasses.dataclass(frozen=True)
class Case:
    """What is prepared and timed: one layer on images of one shape, or one network's training."""

    kind: str
    layer: str
    batch: int
    side: int = 0
    channels: int = 0
    features: int = 0
    kernel: int = 0

    @property
    def shape(self) -> str:
        """Input, features and kernel size: 16x16x64 to 64, k3."""
        volume = f"{self.side}x{self.side}x{self.channels}"
        return f"{volume} to {self.features}, k{self.kernel}" if self.side else "training"

    @property
    def name(self) -> str:
        """How results.json and timings.json call it."""
        return f"{self.layer}, {self.shape}, batch {self.batch}"


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """What is compared with whom, and how often."""

    against: Distinct[Competitor] = ("flax", "torch", "keras")
    """Competitors, each where it is installed."""
    layers: tuple[Layer, ...] = get_args(Layer)
    """Layers."""
    shapes: Distinct[Shape] = ("A", "B", "C", "D", "E")
    """Shapes of the layers: images, channels, kernel size."""
    batch_size: Positive = 32
    """Images in a call of a layer."""
    batches: tuple[Positive, ...] = ()
    """Further batch sizes, for shape C of local, tiled and standard layers."""
    sides: tuple[Positive, ...] = ()
    """Further heights and widths, for the same."""
    networks: tuple[Network, ...] = get_args(Network)
    """Networks to train."""
    train_batch_size: Positive = 128
    """Images in a training step."""
    rounds: Positive = 7
    """Undisturbed turns of each competitor; at most twice as many are taken."""
    turn_seconds: Amount = 0.3
    """Least length of a turn."""
    busy: Fraction = 0.1
    """Share of the machine's CPU time by which other processes disturb a turn."""
    tolerance: Amount = 1e-4
    """Largest relative distance of results that count as equal."""
    product_size: Positive = 2048
    """Size of the square matrices whose product shows the peak rate."""
    sum_entries: Positive = 2**24
    """Entries of the arrays whose sum shows the bandwidth."""
    seed: Seed = 0
    """Seed of the order of turns."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layers and not self.networks:
            raise ValueError("layers or networks must name at least one, got () for both.")

    def cases(self) -> list[Case]:
        """What is timed, each once."""
        sizes: list[tuple[Shape, int, int]] = [
            (shape, self.batch_size, SIZES[shape][0]) for shape in self.shapes
        ]
        growth: list[tuple[Shape, int, int]] = [("C", batch, 16) for batch in self.batches]
        growth += [("C", self.batch_size, side) for side in self.sides]
        found = [
            Case("layer", layer, batch, side, *SIZES[shape][1:])
            for layer in self.layers
            for shape, batch, side in (sizes + growth if layer in GROWING else sizes)
            # Groups of channels need channels.
            if layer not in ("grouped", "group") or SIZES[shape][1] % 4 == 0
        ]
        found += [Case("training", name, self.train_batch_size) for name in self.networks]
        return list(dict.fromkeys(found))


PRESETS = {
    "smoke": Config(
        layers=("local", "tiled 2", "max pooling"), shapes=("tiny",), batch_size=4,
        networks=("tiny",), train_batch_size=8, rounds=1, turn_seconds=0.02, product_size=256,
        sum_entries=2**16,
    ),
    "cpu": Config(),
    "gpu": Config(
        batch_size=256, train_batch_size=512, tolerance=1e-2, product_size=8192, sum_entries=2**28
    ),
    "full": Config(
        against=get_args(Competitor), batches=(1, 8, 32, 128, 512), sides=(8, 16, 32, 64)
    ),
}  # fmt: skip


def run(config: Config, record: Record) -> None:
    """Compare, time, and write the page."""
    work = {}
    size = {"size": config.product_size, "entries": config.sum_entries}
    with comparison.workers_of(config.against) as workers:
        versions = {name: worker.ask(version=True) for name, worker in workers.items()}
        limits = [workers[comparison.OURS].ask(limits=size)]
        for case in config.cases():
            print(case.name, flush=True)
            work[case.name], timed = comparison.measure(
                dataclasses.asdict(case),
                workers,
                tolerance=config.tolerance,
                seconds=config.turn_seconds,
                busy=config.busy,
                rounds=config.rounds,
                seed=config.seed,
            )
            record.timings({case.name: timed})
        limits.append(workers[comparison.OURS].ask(limits=size))
    best = {name: max(each[name] for each in limits) for name in limits[0]}
    missing = [name for name in config.against if name not in versions]
    timings = record.timings({"machine": best, "versions": versions, "missing": missing})
    cases = {
        case.name: {**dataclasses.asdict(case), "shape": case.shape, "work": work[case.name]}
        for case in config.cases()
    }
    page(record.results({"cases": cases, "config": dataclasses.asdict(config)}), timings, record)


def page(results: Mapping[str, Any], timings: Mapping[str, Any], record: Record) -> None:
    """Write the page."""
    cases, machine = results["cases"], timings["machine"]
    kinds = dict.fromkeys(kind for case in cases.values() for kind in case["work"])
    shares = {kind: shown.shares_of_limit(kind, cases, timings) for kind in kinds}
    blocks: list[report.Block | str] = [
        shown.summary(cases, timings),
        f"Limits, measured in the same run: "
        f"{report.format_count(machine['multiply_adds_per_second'])} multiply-adds a second (a "
        f"product of matrices) and {report.format_count(machine['bytes_per_second'])}B/s (a sum of "
        "arrays).",
        shown.disturbed(cases, timings),
    ]
    if kinds:
        blocks += [
            report.Heading("Share of the limit"),
            report.Figure(
                "roofline",
                report.styled(shown.roofline)(cases, shares, machine),
                "Share of the machine's limit that each layer of cnnjax reaches, against its "
                "multiply-adds per byte. Left of the dashed line the limit is the bandwidth, right "
                "of it the rate of multiply-adds.",
            ),
        ]
    for kind in kinds:
        blocks += [
            report.Heading(f"Layers, {kind}"),
            shown.layer_table(kind, shares[kind], timings),
        ]
    trained = [name for name, case in cases.items() if case["kind"] == "training"]
    if trained:
        blocks += [report.Heading("Training"), shown.training_table(trained, cases, timings)]
        blocks += [
            shown.host_overhead(timings[name]) for name in trained if cases[name]["layer"] == "tiny"
        ]
    blocks += [report.Heading("Not timed"), *shown.not_timed(cases, timings)]
    report.write_page(record, __doc__, blocks)

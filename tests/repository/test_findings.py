"""What a study's docstring says was expected and seen: every number in it is in its results."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import summarize

NORMS = ("none", "batch")
RESULTS = Path(__file__).resolve().parents[2] / "results"
STUDIES = sorted(path.parent.name for path in RESULTS.glob("*/observations.csv"))

pytestmark = pytest.mark.fast


def mean(found, number, digits=1, scale=100, **factors):
    """The mean of a number over the rows with these factors, with so many decimals."""
    return f"{scale * found.where(**factors).column(number).mean():.{digits}f}"


def spread(summary, digits=1, scale=100):
    """Mean and half of the 95 % interval, as text."""
    return f"{scale * summary.mean:.{digits}f} +- {scale * summary.half_width():.{digits}f}"


def paired(found, number, factor, one, other, **factors):
    """Summary of a number at one value of a factor minus that at another, paired by seed."""
    rows = found.where(**factors, **{factor: (one, other)})
    (change,) = rows.differences(number, factor, other).values()
    return change


def contains_zero(summary):
    """Whether the 95 % interval does."""
    return abs(summary.mean) < summary.half_width()


def borders(found):
    """The phrases of the docstring that have numbers, made of the observations."""

    def accuracy(border, kind):
        return summarize(found.where(border=border).column(f"accuracy_{kind}"))

    def both(border):
        return " / ".join(spread(accuracy(border, each)) for each in ("similar", "dissimilar"))

    rows = json.loads((RESULTS / "borders" / "results.json").read_text("utf-8"))["rows"]
    bounds = {row["border"]: row["ceiling"] for row in rows}
    scatter = {}
    for border in ("full", "circular"):
        assert accuracy(border, "train").interval()[0] > bounds[border]
        scatter[border] = f"{100 * math.sqrt(bounds[border] * (1 - bounds[border]) / 1000):.1f}"
        rows = found.where(border=border)
        np.testing.assert_array_equal(
            rows.column("accuracy_similar"), rows.column("accuracy_dissimilar")
        )
    test = {border: spread(accuracy(border, "similar")) for border in bounds}
    train = {border: spread(accuracy(border, "train")) for border in bounds}
    return [
        "by 16 rows",
        f"{len(found.seeds)} seeds, mean +- 95 % interval",
        *(f"{border} {both(border)}" for border in ("valid", "same")),
        f"full {test['full']} and circular {test['circular']} on both",
        f"on training images full {train['full']}, circular {train['circular']}",
        f"1,000 images scatter by {scatter['full']} and {scatter['circular']} points",
    ]


def equivariance(found):
    """As `borders`; lattices and errors from results.json."""
    layers = json.loads((RESULTS / "equivariance" / "results.json").read_text("utf-8"))["layers"]
    last = {each["conv"]: each["measured"] for each in layers if each["name"] == "conv3"}
    assert all(each["predicted"] == each["measured"] for each in layers)
    assert max(each["error_on"] for each in layers) <= 1e-5
    first = [
        each["error_off"]
        for each in layers
        if each["name"] == "conv1" and each["conv"].startswith(("tiled", "local"))
    ]
    assert len(first) == 4
    np.testing.assert_allclose(first, math.sqrt(2), rtol=0.05)
    steps = [last["standard"], *(last[f"tiled(tile={tile})"] for tile in (2, 4, 8))]
    assert all(last[conv] == [32, 32] for conv in last if not conv.startswith(("st", "ti")))
    pixels = ", ".join(str(step) for step, _ in steps)
    return [
        f"after three layers {pixels} pixels for tiles of 1, 2, 4, 8",
        "at most 1e-5",
        "about sqrt(2)",
    ]


def augmentation_ranges(found):
    """As `borders`."""
    rewarded = found.where(regularisation=0.05)
    slopes = {}
    for start in ("narrow", "wide"):
        fits = []
        for seed in found.seeds:
            rows = rewarded.where(start=start, seed=seed, half_angle=(30.0, 45.0, 60.0))
            (slope, _) = np.polyfit(
                [row["half_angle"] for row in rows.rows], rows.column("half_width.rotation"), 1
            )
            fits.append(slope)
        slopes[start] = summarize(fits)
    assert abs(slopes["narrow"].mean + 1) < slopes["narrow"].half_width()
    below = rewarded.where(half_angle=(30.0, 45.0, 60.0))
    for _, group in below.groups("half_angle").items():
        (difference,) = group.differences("half_width.rotation", "start", "narrow").values()
        assert abs(difference.mean) < 3

    def width(digits=0, **factors):
        return mean(found, "half_width.rotation", digits, 1, **factors)

    def widths(angle):
        starts = ("narrow", "wide")
        both = [width(regularisation=0.05, half_angle=angle, start=start) for start in starts]
        return dict.fromkeys(both)

    zero = [width(regularisation=0.0, start=start) for start in ("narrow", "wide")]
    return [
        f"mean of {len(found.seeds)} seeds",
        f"{slopes['narrow'].mean:.2f} (narrow start) and {slopes['wide'].mean:.2f} (wide), -1",
        f"{' to '.join(widths(30.0))} degrees for a = 30",
        f"{' to '.join(widths(45.0))} for 45",
        f"{' to '.join(widths(60.0))} for 60",
        "differ by less than 3 degrees",
        "lambda = 0",
        f"{zero[0]} of 10 and {zero[1]} of 80 degrees",
        f"a = 90 {width(1, half_angle=90.0)} degrees",
    ]


def initialisation(found):
    """As `borders`."""

    def gap(optimizer, norm, start, digits=1, right="right"):
        rows = found.where(optimizer=optimizer, norm=norm, layer="local", start=(start, right))
        (difference,) = rows.differences("accuracy", "start", start).values()
        if start == "small":
            assert abs(difference.mean) < difference.half_width()
        return f"{100 * difference.mean:.{digits}f}"

    plain, batch = ([gap(each, norm, "small") for each in ("adam", "sgd")] for norm in NORMS)
    randn = " and ".join(gap(each, "none", "randn") for each in ("adam", "sgd"))
    unlucky = found.where(optimizer="sgd", norm="none", layer="conv", start="small")
    stuck = (unlucky.column("accuracy") < 0.11).sum()
    assert stuck == 1
    return [
        f"mean of {len(found.seeds)} seeds",
        "at 1 and at 1/sqrt(P)",
        f"by {plain[0]} (Adam) and {plain[1]} points (SGD)",
        f"by {batch[0]} and {batch[1]}",
        f"one of {len(unlucky)} convolutions at 1/sqrt(P)",
        "scale of 1/sqrt(P)",
        f"{randn} points",
    ]


def learned_invariance(found):
    """As `borders`."""

    def seen(number, digits, pooling, k, training, scale=100):
        factors = {"pooling": pooling, "k": k, "training": training}
        return mean(found, number, digits, scale, **factors)

    def accuracy(pooling, k):
        return seen("accuracy_rotated", 1, pooling, k, "rotated")

    def firing(k):
        both = (
            seen("firing_logits", 1, "detectors", k, each, 1) for each in ("upright", "rotated")
        )
        return " to ".join(both)

    learned, rotated = found.where(pooling="detectors"), found.where(training="rotated")
    more = paired(learned, "firing_logits", "k", 8, 1, training="rotated")
    assert not contains_zero(more)
    pooled = [
        spread(paired(rotated, "accuracy_rotated", "pooling", "detectors", "hidden", k=k))
        for k in (1, 2, 4, 8)
    ]

    def by_training(number, k):
        return paired(learned, number, "training", "rotated", "upright", k=k)

    for number in ("effective_number", "axis"):
        assert all(contains_zero(by_training(number, k)) for k in (2, 4, 8))
    direction = [spread(by_training("direction", k), 2, 1) for k in (2, 4, 8)]
    copies = rotated.where(pooling="rotations", k=1)
    largest = learned.where(k=8).column("parameters")[0]
    tested = json.loads((RESULTS / "learned_invariance" / "results.json").read_text("utf-8"))
    return [
        f"on {tested['rotated_images']} digits",
        f"mean +- 95 % interval over {len(found.seeds)} seeds",
        f"from {firing(1)} for k = 1",
        f"from {firing(8)} for k = 8",
        f"k = 8 minus 1: {spread(more, scale=1)}",
        f"from {accuracy('detectors', 1)} % (k = 1) to {accuracy('detectors', 8)} % (k = 8)",
        f"is {', '.join(pooled)} points for k = 1, 2, 4, 8",
        f"has {accuracy('rotations', 1)} % with {copies.column('parameters')[0]:,.0f} parameters",
        f"k = 8 has {largest:,.0f}",
        "(k = 2, 4, 8: each interval contains 0)",
        f"in direction {', '.join(direction)}",
    ]


def lie_derivative(found):
    """As `borders`."""

    def both(network, number, digits):
        scale = 100 if number.startswith("contribution") else 1
        return " / ".join(
            mean(found, f"after.{axis}.{number}", digits, scale, network=network)
            for axis in ("down", "right")
        )

    exact = found.where(network="alias_free")
    assert max(exact.column(f"after.{axis}.change").max() for axis in ("down", "right")) < 1e-5
    for network in ("max", "average", "blur", "adaptive", "gelu", "residual"):
        contribution = found.where(network=network).column("after.down.contribution.convolution")
        assert np.abs(contribution).max() < 1e-6
    tiled, local = (both(each, "contribution.convolution", 0) for each in ("tiled", "local"))
    networks = ("max", "strided", "blur", "adaptive")
    return [
        f"mean of {len(found.seeds)} seeds",
        *(f"{both(network, 'change', 1)} ({network})" for network in networks),
        "less than 1e-5",
        f"Convolutions give {tiled} % of it (tiled), {local} % (local)",
    ]


def shift_invariance(found):
    """As `borders`."""
    exact = found.where(downsampling=("adaptive", "learnable"), border="circular")
    for stage in ("before", "after"):
        np.testing.assert_array_equal(exact.column(f"{stage}.circular.consistency"), 1)
    np.testing.assert_array_equal(exact.column("after.circular.kappa"), 1)
    untrained = exact.column("before.circular.kappa")
    assert set(untrained.tolist()) == {0, 1}

    def more(number, one, other, border, readout):
        return paired(found, number, "downsampling", one, other, border=border, readout=readout)

    def extremes(border):
        """Smallest and largest kappa under crops, minus that of max pooling."""
        changes = [
            more("after.crop.kappa", way, "max", border, readout)
            for way in ("adaptive", "learnable")
            for readout in ("max", "mean")
        ]
        assert all(contains_zero(each) == (border == "zero") for each in changes)
        changes.sort(key=lambda each: each.mean)
        return f"{spread(changes[0])} to {spread(changes[-1])}"

    circular, zero = (
        [more("after.circular.kappa", "max", "average", border, each) for each in ("max", "mean")]
        for border in ("circular", "zero")
    )
    assert all(map(contains_zero, zero))
    accuracy = more("accuracy", "max", "average", "circular", "mean")
    results = json.loads((RESULTS / "shift_invariance" / "results.json").read_text("utf-8"))
    return [
        f"on {results['shifted_images']} test images",
        f"mean +- 95 % interval over {len(found.seeds)} seeds",
        "100 % after training",
        f"{(untrained == 0).sum()} of {len(untrained)} give every image one class before",
        f"by {extremes('circular')} points with circular borders",
        f"by {extremes('zero')}, four intervals that all contain 0",
        f"{spread(circular[0])} points with the maximum, {spread(circular[1])} with the mean",
        f"less accurate, too, by {spread(accuracy)} points",
        f"neither difference excludes 0 ({', '.join(map(spread, zero))})",
    ]


def weight_sharing(found):
    """As `borders`; slopes fitted here."""

    def exponent(variant, training):
        tiled = found.where(variant=variant, training=training)
        plain = found.where(variant="plain", training=training, conv="standard")
        slopes = []
        for seed in found.seeds:
            rows = {row["tile"]: row for row in [*plain.rows, *tiled.rows] if row["seed"] == seed}
            assert sorted(rows) == [1, 2, 4]
            needed = [rows[tile]["needed.90"] for tile in (1, 2, 4)]
            slopes.append(np.polyfit(np.log([1, 2, 4]), np.log(needed), 1)[0])
        return summarize(slopes)

    translated, centred, phases = (
        exponent("plain", "translated"),
        exponent("plain", "centred"),
        exponent("phases", "translated"),
    )
    tuned = json.loads((RESULTS / "weight_sharing" / "tuning" / "results.json").read_text("utf-8"))
    rates = list(tuned["learning_rates"].values())
    return [
        f"{len(found.seeds)} seeds",
        "n_90",
        f"exponent {translated.mean:.1f} +- {translated.half_width():.1f} in t",
        f"{centred.mean:.1f} +- {centred.half_width():.1f}",
        f"{phases.mean:.2f} +- {phases.half_width():.2f}",
        f"best of {sum(rate < 0.005 for rate in rates)} of {len(rates)} arms",
    ]


PHRASES = {
    study.__name__: study
    for study in (
        augmentation_ranges,
        borders,
        equivariance,
        initialisation,
        learned_invariance,
        lie_derivative,
        shift_invariance,
        weight_sharing,
    )
}


def told(name):
    """What the docstring says was expected and seen, in one line, without its sources."""
    text = import_experiment(name, EXPERIMENTS).module.__doc__
    paragraphs = [" ".join(each.split()) for each in re.split(r"\n\s*\n", text)]
    chosen = [each for each in paragraphs if re.match(r"(Expected|Seen|Prediction)\b", each)]
    return " ".join(chosen)


@pytest.mark.parametrize("name", STUDIES)
def test_every_number_of_a_docstring_is_in_the_committed_results(name):
    text = told(name)
    assert text
    for phrase in PHRASES[name](Observations.read(RESULTS / name)):
        assert phrase in text, phrase
        text = text.replace(phrase, "")
    assert not re.search(r"\d", text), text

"""What a study's docstring says was expected and seen: every number in it is in its results."""

import itertools
import json
import math
import re
from pathlib import Path

import numpy as np
import pytest

from cnnjax.data import rotated_glyphs
from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from cnnjax.run.observations import Observations
from cnnjax.run.statistics import summarize

NORMS = ("none", "batch")
RESULTS = Path(__file__).resolve().parents[2] / "results"
STUDIES = sorted(path.parent.name for path in RESULTS.glob("*/observations.csv"))

pytestmark = pytest.mark.fast


def results_of(*folders):
    """results.json of a study, or of its tuning."""
    return json.loads(RESULTS.joinpath(*folders, "results.json").read_text("utf-8"))


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


def said(summary, digits=2, scale=1):
    """A mean and half its interval, as docstrings write them."""
    return f"{scale * summary.mean:.{digits}f} +- {scale * summary.half_width():.{digits}f}"


def borders(found):
    """The phrases of the docstring that have numbers, made of the observations."""

    def accuracy(border, kind):
        return summarize(found.where(border=border).column(f"accuracy_{kind}"))

    def both(border):
        return " / ".join(spread(accuracy(border, each)) for each in ("similar", "dissimilar"))

    rows = results_of("borders")["rows"]
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


def data_or_architecture(found):
    """As `borders`; shares of variance from results.json."""
    assert np.nanmax(found.column("exact")) < 1e-5
    found_these = found.where(moved="these")
    results = results_of("data_or_architecture")
    shares = {each["name"].removeprefix("kappa, "): each for each in results["variance"]}

    def explained(factor, reach, classes="moved classes"):
        return [
            f"{100 * shares[f'{kind} {reach}, {classes}'][factor]['share']:.0f}"
            for kind in ("shifts", "rotations")
        ]

    def local(number, training="translated", moved="these"):
        factors = {"architecture": "local", "training": training, "moved": moved}
        summary = summarize(found.where(**factors).column(f"shift.{number}.accuracy"))
        return f"{100 * summary.mean:.1f} +- {100 * summary.half_width():.1f}"

    (data, rotations), architecture = (
        explained(factor, "in range") for factor in ("training", "architecture")
    )
    adaptive = found.where(architecture="adaptive")
    least = min(
        each.mean
        for reach in ("in", "beyond")
        for classes in ("moved", "never")
        for each in adaptive.summary(f"shift.{reach}.{classes}.accuracy", "training").values()
    )
    means = [each.mean for each in found_these.summary("accuracy").values()]
    return [
        "at most 1e-5",
        "shifts by 4 (standard, p4, adaptive) and 8 pixels (tiled, too)",
        "rotations by 90 and 180 degrees (p4)",
        f"mean of {len(found.seeds)} seeds",
        f"data explain {data} % (shifts) and {rotations} % (rotations)",
        f"architecture {' and '.join(architecture)} %",
        f"beyond, data {' and '.join(explained('training', 'beyond'))} %",
        f"{' and '.join(explained('training', 'in range', 'classes never moved'))} %",
        f"accuracy {local('in.moved')} % in range, {local('beyond.moved')} beyond",
        f"{local('in.never')} in range on classes never moved",
        f"{local('in.never', 'centred')} if nothing moved",
        f"{local('in.never', moved='all')} if all classes",
        f"Adaptive has {100 * least:.0f} % or more",
        f"up to {100 * (max(means) - min(means)):.1f} points",
    ]


def equivariance(found):
    """As `borders`; lattices and errors from results.json."""
    layers = results_of("equivariance")["layers"]
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
    # Untrained, each layer alone: all as predicted but where the mixture starts as a convolution.
    mixture = "low_rank(mixing_std=0.0, rank=2)"
    alone = {
        each["conv"]: [] for each in layers if each["alone_predicted"] != each["alone_measured"]
    }
    assert list(alone) == [mixture]
    starts = {(each["conv"], each["name"]): each["alone_measured"] for each in layers}
    for name in ("conv1", "conv2", "conv3"):
        assert starts[mixture, name] == starts["standard", name]

    def altered(conv):
        rows = found.where(conv=conv, training=("centred", "translated"))
        (change,) = rows.differences("change.shift", "training", "centred").values()
        return said(change)

    translated = found.where(training="translated")
    (dead,) = [row for row in translated.rows if row["accuracy_translated"] < 0.11]
    assert dead["conv"] == "low_rank(rank=2)"
    tuned = results_of("equivariance", "tuning")
    tried = {row["learning_rate"] for row in tuned["rows"]}
    rates = list(tuned["learning_rates"].values())
    ends = sum(rate in (min(tried), max(tried)) for rate in rates)
    assert len(tried) == 3
    standard = summarize(translated.where(conv="standard").column("accuracy_translated"))
    tiles = ", ".join(altered(f"tiled(tile={tile})") for tile in (2, 4, 8))
    return [
        f"after three layers {pixels} pixels for tiles of 1, 2, 4, 8",
        "at most 1e-5",
        "about sqrt(2)",
        "mixing_std=0 starts",
        f"{len(found.seeds)} seeds",
        f"by {altered('standard')} (standard), {altered(mixture)} (mixing_std=0)",
        f"{tiles} (tiles 2, 4, 8), {altered('local')} (local)",
        f"right on {said(standard, 0, 100)} %",
        "low_rank(rank=2)",
        f"{ends} of {len(rates)} rates",
    ]


def augmentation(found):
    """As `borders`; intervals over seeds and images from results.json."""
    cue = {pad: mean(found, "accuracy", 0, padding=pad) for pad in found.values("padding")}
    others = [cue[pad] for pad in ("circular", "edge", "reflect")]
    results = results_of("augmentation")
    compared = {each["factors"]["augmentation"]: each for each in results["over_images"]}
    del compared["none"]
    moved, still = (
        {kind: each["differences"][array] for kind, each in compared.items()}
        for array in ("correct_moved.grey", "correct")
    )
    assert all(low < 0 < high for low, high in (each["interval"] for each in still.values()))
    gains = {kind: f"{100 * each['mean']:.0f}" for kind, each in moved.items()}
    certain = [kind for kind, each in moved.items() if each["interval"][0] > 0]
    assert set(certain) == set(gains) - {"cutout", "light", "noise"}
    filled = found.where(augmentation=(*certain, "cutout"))
    grey, zeros = (
        {
            kind: group.differences(f"accuracy_moved.{tested}", "fill", "grey")["zeros"]
            for kind, group in filled.groups("augmentation").items()
        }
        for tested in ("grey", "zeros")
    )
    assert [kind for kind, each in grey.items() if each.mean < -each.half_width()] == ["rescale"]
    gained = [100 * each.mean for each in zeros.values()]
    cost = -100 * min(each.mean for each in grey.values())
    return [
        f"mean of {len(found.seeds)} seeds",
        f"the angle for {cue['zeros']} % of the images if corners are zero, for {cue['grey']} %",
        f"for {min(others)} to {max(others)} % if circular, edge or reflected",
        f"chance {100 / results['tasks']['rotated backgrounds']['classes']} %",
        f"moves gain {gains['moves']} points, "
        + ", ".join(
            f"{kind} {gains[kind]}"
            for kind in ("elastic", "translation", "rescale", "rotation", "shear")
        ),
        "images above 0",
        f"cutout {gains['cutout']}, light {gains['light']} and noise {gains['noise']} points",
        "contain 0",
        f"gains {min(gained):.0f} to {max(gained):.0f} points",
        f"costs at most {cost:.0f} points",
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
    low, high = slopes["wide"].interval()
    exact = [rotated_glyphs.optimal_half_width(a, 0.1) for a in (30.0, 45.0, 60.0)]
    assert low < np.polyfit((30, 45, 60), exact, 1)[0] < high < 0
    assert slopes["narrow"].interval()[0] < -1 < slopes["narrow"].interval()[1]
    angles = (30.0, 45.0, 60.0)

    def rows(reward, start, angle):
        return found.where(regularisation=reward, start=start, half_angle=angle)

    above = {
        start: [summarize(rows(0.05, start, a).column("excess")) for a in angles]
        for start in ("narrow", "wide")
    }
    starts = [
        said(
            summarize(
                np.subtract(
                    *(rows(0.05, s, a).column("half_width.rotation") for s in ("wide", "narrow"))
                )
            ),
            1,
        ).replace("-0.0", "0.0")
        for a in angles
    ]

    def width(digits, *arm):
        return f"{rows(*arm).column('half_width.rotation').mean():.{digits}f}"

    free = [width(0, 0.0, start, 45.0) for start in ("narrow", "wide")]
    excesses = {start: ", ".join(said(each, 1) for each in above[start]) for start in above}
    return [
        f"mean of {len(found.seeds)} seeds",
        "lambda = 0.05: w is near 90 - a",
        f"for a = 30, 45, 60 by {excesses['narrow']} (narrow start)",
        f"and {excesses['wide']} degrees (wide)",
        f"slope is {said(slopes['narrow'])} and {said(slopes['wide'], 3)}",
        f"Wide minus narrow: {', '.join(starts)}",
        f"lambda = 0 and a = 45 the start decides: {free[0]} degrees from 10, {free[1]} from 80",
        f"a = 90 (narrow) {width(1, 0.05, 'narrow', 90.0)} degrees",
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

    def accuracies(layer, start, optimizer):
        return found.where(layer=layer, start=start, norm="none", optimizer=optimizer).column(
            "accuracy"
        )

    def lead_of_local(start, optimizer):
        return accuracies("local", start, optimizer) - accuracies("conv", start, optimizer)

    lost, leads = [], []
    for each in ("adam", "sgd"):
        loss = accuracies("conv", "right", each) - accuracies("conv", "randn", each)
        lost.append(f"{100 * loss.mean():.1f}")
        leads.append(said(summarize(lead_of_local("randn", each)), 1, 100))
    unlearned = 100 * found.where(layer="conv", start="randn").column("accuracy_train")
    unlucky = found.where(optimizer="sgd", norm="none", layer="conv", start="small")
    stuck = (unlucky.column("accuracy") < 0.11).sum()
    assert stuck == 1
    tuned = results_of("initialisation", "tuning")
    adam = {arm: rate for arm, rate in tuned["learning_rates"].items() if arm.endswith("adam")}
    tried = [row["learning_rate"] for row in tuned["rows"] if row["optimizer"] == "adam"]
    highest = [arm for arm, rate in adam.items() if rate == max(tried)]
    assert "conv right none adam" in highest
    won = lead_of_local("right", "adam")
    images = np.rint(360 * won).astype(int)
    np.testing.assert_allclose(images, 360 * won, atol=1e-6)
    return [
        f"mean of {len(found.seeds)} seeds",
        "at 1 and at 1/sqrt(P)",
        f"by {plain[0]} (Adam) and {plain[1]} points (SGD)",
        f"by {batch[0]} and {batch[1]}",
        f"one of {len(unlucky)} convolutions at 1/sqrt(P)",
        "flax's layer at 1/sqrt(P)",
        f"{randn} points, convolutions {' and '.join(lost)}",
        f"by {' and '.join(leads)}",
        f"{unlearned.min():.0f} to {unlearned.max():.0f} %",
        f"best of {len(highest)} of {len(adam)} arms, so of convolutions at 1",
        "local layers at 1",
        f"by {said(summarize(won), 1, 100)} points: {images.min()} or {images.max()} of 360 images",
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
    tested = results_of("learned_invariance")
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

    def share(network):
        names = (f"after.{axis}.contribution.convolution" for axis in ("down", "right"))
        found_of = found.where(network=network)
        return " / ".join(said(summarize(found_of.column(name)), 0, 100) for name in names)

    def minus_max(network):
        changes = []
        for axis in ("down", "right"):
            pair = found.where(network=(network, "max"))
            (change,) = pair.differences(f"after.{axis}.change", "network", "max").values()
            changes.append(said(change, 1))
        return f"{' / '.join(changes)} ({network})"

    rest = found.where(network=tuple(n for n in found.values("network") if n != "alias_free"))

    def means(number):
        return [each.mean for each in rest.summary(number, "network").values()]

    correlations = " / ".join(
        f"{np.corrcoef(means('accuracy'), means(f'after.{axis}.change'))[0, 1]:.2f}"
        for axis in ("down", "right")
    )
    accuracies = [
        f"{network} {mean(found, 'accuracy', network=network)} %"
        for network in ("max", "blur", "average")
    ]
    assert all(len(found.where(network=network)) == 3 for network in found.values("network"))
    networks = ("max", "strided", "blur", "adaptive")
    return [
        f"mean of {len(found.seeds)} seeds",
        *(f"{both(network, 'change', 1)} ({network})" for network in networks),
        "less than 1e-5",
        f"Minus max: {', '.join(map(minus_max, networks[1:]))}",
        f"({', '.join(accuracies)})",
        f"over all but alias-free r = {correlations}",
        f"{share('tiled')} % of the change (tiled), {share('local')} % (local)",
    ]


def partial_symmetry(found):
    """As `borders`; intervals over seeds and images from results.json."""
    exact = found.where(task=("orientation", "quadrant"), network=("p4", "circular"))
    assert len(exact) == 2 * len(found.seeds)
    assert all(row["exact"] for row in exact.rows)
    upright = found.where(task="orientation")
    for network in upright.values("network"):
        expected = 0.5 if network == "p4" else 1
        np.testing.assert_array_equal(upright.where(network=network).column("accuracy"), expected)
    digits = found.where(task="digit")

    def accuracy(network):
        return mean(digits, "accuracy", network=network)

    def error(task, network, digits=1):
        return mean(found, "after.error", digits, 1, task=task, network=network)

    results = results_of("partial_symmetry")
    certain = {}
    for each in itertools.chain(*results["over_images"]):
        if each["factors"]["task"] == "digit" and each["differences"]:
            difference = each["differences"]["correct"]
            if math.prod(difference["interval"]) > 0:
                pair = each["factors"]["network"], each["against"]
                certain[pair] = [difference["mean"], *difference["interval"]]
    assert list(certain) == [("free", "z2")]
    points, low, high = (f"{100 * value:.1f}" for value in certain["free", "z2"])
    images = {each["factors"]["task"]: each["images"] for each in results["over_images"][0]}
    return [
        "p4 50 % upright",
        f"mean of {len(found.seeds)} seeds",
        f"all but p4 100 % ({images['orientation']} sixes)",
        f"right angles ({images['digit']}), p4 {accuracy('p4')}, free {accuracy('free')}",
        f"relaxed {accuracy('relaxed')}, residual {accuracy('residual')}",
        f"Z2 {accuracy('z2')} and {accuracy('z2_wide')} %",
        f"free minus Z2, {points} ({low} to {high})",
        f"{error('orientation', 'relaxed', 2)} and {error('orientation', 'residual')}",
        f"{error('digit', 'relaxed', 2)}, {error('digit', 'residual', 3)}",
        f"weak prior not ({error('digit', 'residual_weak')})",
    ]


def rotation(found):
    """As `borders`."""
    few, many = found.values("train_images")
    assert found.where(network="p4").column("largest_change").max() < 1e-4
    errors = [mean(found, "error", network="p4", train_images=count) for count in (few, many)]

    def lead(network):
        """By how much P4CNN errs less, with few and with many images, and how much that differs."""
        pair = [{"network": each, "train_images": few} for each in (network, "p4")]
        other = [{"network": each, "train_images": many} for each in (network, "p4")]
        more = found.contrast("error", [pair[0], other[1]], [pair[1], other[0]])
        leads = [found.contrast("error", [each[0]], [each[1]]) for each in (pair, other)]
        assert all(each.mean > each.half_width() for each in leads)
        assert (more.mean > more.half_width()) == (network == "z2_wide")
        return " and ".join(f"{100 * e.mean:.1f} +- {100 * e.half_width():.1f}" for e in leads)

    tuned = results_of("rotation", "tuning")
    best = [arm for arm, rate in tuned["learning_rates"].items() if rate == 0.03]
    assert best == ["z2", "z2_wide", "p4"]
    return [
        "90-degree rotation changes the logits of the P4 networks by 1e-4 at most",
        "10,000 or 12,000 training images, 300 epochs of Z2CNN and 100 of P4CNN",
        "errors of 5.03 % (Z2CNN), 3.21 % (P4CNN with rotation pooling) and 2.28 % (P4CNN)",
        f"mean of {len(found.seeds)} seeds after 350 steps, with {few:,} and {many:,} training",
        f"P4CNN {errors[0]} and {errors[1]} %",
        f"than Z2CNN by {lead('z2')} points",
        f"random rotations {lead('z2_rotated')}",
        f"40 channels {lead('z2_wide')}",
        "only over 40 channels",
    ]


def segmentation(found):
    """As `borders`; intervals over seeds and images from results.json."""
    results = results_of("segmentation")
    arms = {each["factors"]["arm"]: each for each in results["over_images"]}
    assert {each["against"] for each in arms.values()} == {"recurrent"}
    overlap = {arm: f"{100 * each['means']['overlap']['mean']:.0f}" for arm, each in arms.items()}
    assert overlap["zeroed"] == overlap["single"]

    def differs(arm):
        difference = arms[arm]["differences"]["overlap"]
        values = sorted(abs(100 * each) for each in difference["interval"])
        if math.prod(difference["interval"]) < 0:
            return None
        return f"{abs(100 * difference['mean']):.0f} ({values[0]:.0f} to {values[1]:.0f})"

    assert differs("untied") is None
    assert differs("zeroed") == differs("single")
    weights = {arm: found.where(arm=arm).column("parameters")[0] for arm in arms}
    config = json.loads((RESULTS / "segmentation" / "config.json").read_text("utf-8"))
    return [
        f"mean of {len(found.seeds)} seeds after {config['train']['steps']} steps",
        f"recurrent {overlap['recurrent']} %",
        f"alike ({overlap['single']} %), by {differs('single')} points",
        f"untied {overlap['untied']} %",
        f"with {weights['deep'] / weights['recurrent']:.1f} times the weights, "
        f"{overlap['deep']} %, {differs('deep')} points more",
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
    results = results_of("shift_invariance")
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
    """As `borders`; exponents of neighbouring tiles computed here."""

    def exponents(variant, training):
        logs = []
        for tile in (1, 2, 4):
            conv = "standard" if tile == 1 else f"tiled(tile={tile})"
            arm = {"conv": conv, "variant": "plain" if tile == 1 else variant}
            rows = found.where(**arm, training=training).rows
            assert [row["seed"] for row in rows] == found.seeds
            logs.append(np.log2([row["needed.90"] for row in rows]))
        return logs[1] - logs[0], logs[2] - logs[1]

    low, high = exponents("plain", "translated")
    assert summarize(high - low).interval()[0] > 0
    # Neither 2 nor 0 is in the interval of the first.
    assert summarize(low).interval()[1] < 2
    (first, second), (shared, more) = (
        [said(summarize(each)) for each in exponents(*arm)]
        for arm in (("plain", "centred"), ("phases", "translated"))
    )
    assert summarize(exponents("plain", "centred")[0]).interval()[1] < 0
    parameters = {}
    for row in found.where(variant="plain", training="translated").rows:
        parameters[row["tile"]] = f"{row['parameters']:,}"
    narrow = {
        (tile, level): sum(
            row.get(f"needed.{level}") is not None
            for row in found.where(conv=f"tiled(tile={tile})", variant="narrow").rows
        )
        for tile in (2, 4)
        for level in (80, 90)
    }
    assert narrow[4, 80] == 0
    least = min(row["parameters"] for row in found.rows if row["variant"] == "narrow")
    assert least > 0.99 * found.where(conv="standard").rows[0]["parameters"]
    tuned = results_of("weight_sharing", "tuning")
    rates = list(tuned["learning_rates"].values())
    tried = {row["learning_rate"] for row in tuned["rows"]}
    assert (len(tried), min(tried)) == (3, min(rates))
    return [
        f"Seen, {len(found.seeds)} seeds",
        "exponent of n_90",
        f"is {said(summarize(low))} from 1 to 2",
        f"{said(summarize(high))} from 2 to 4",
        f"more by {said(summarize(high - low))}",
        f"with phases {shared}, then {more}",
        f"n_90 falls: {first}, {second}",
        ", ".join(parameters[tile] for tile in (1, 2, 4)),
        f"t = 2 reached 90 % in {narrow[2, 90]} of {len(found.seeds)} seeds, t = 4 80 % in none",
        f"in {sum(rate == min(tried) for rate in rates)} of {len(rates)} the lowest of three",
    ]


PHRASES = {
    study.__name__: study
    for study in (
        augmentation,
        augmentation_ranges,
        borders,
        data_or_architecture,
        equivariance,
        initialisation,
        learned_invariance,
        lie_derivative,
        partial_symmetry,
        rotation,
        segmentation,
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

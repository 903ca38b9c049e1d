"""The study of Lie derivatives: what each cell trains and measures, what the page says."""

import contextlib
import functools
import json
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import launch
from cnnjax import models, symmetry
from cnnjax.models.chain_net import Stage
from cnnjax.report import format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import lie_derivative
from experiments.lie_derivative import KINDS, NETWORKS, UNITS, Config, chain_net, derivatives
from tests.experiments import pages
from tests.experiments.fakes import changed

pytestmark = pytest.mark.usefixtures("few_test_images")

WORDS = ["lie_derivative", "smoke", "--actions", "right", "--measured-images", "2"]
WORDS += ["--train.steps", "4", "--train.batch-size", "8"]
DEGREE = 100 * math.pi / 180
"""A degree in percent of a radian."""


@contextlib.contextmanager
def two_halvings():
    """The networks of the study with two convolutions of few channels, not three of many."""
    with pytest.MonkeyPatch.context() as patch:
        small = functools.partial(models.ChainNet, features=(4, 8))
        patch.setattr(models, "ChainNet", small)
        yield


@pytest.fixture(scope="module")
def run_directory(few_test_images, tmp_path_factory):
    run = tmp_path_factory.mktemp("lie") / "run"
    with two_halvings():
        assert launch.main([*WORDS, "--workdir", str(run)]) == 0
    return run


@functools.partial(jax.jit, static_argnums=0)
def moved_down(model, params, images):
    """Size of the derivative of the logits under translation down, relative to the logits."""
    f = lambda x: model.apply({"params": params}, x)
    change = symmetry.lie_derivative(f, images, symmetry.translation(0))
    return jnp.linalg.norm(change) / jnp.linalg.norm(f(images))


def test_every_cell_trains_one_network_and_measures_it_before_and_after(watch, tmp_path):
    config = Config(
        networks=("gelu", "max"),
        actions=("down",),
        measured_images=2,
        seeds=(3, 5),
        train=TrainConfig(steps=7, batch_size=64),
    )
    with two_halvings():
        found = watch.run(lie_derivative, config, tmp_path, page=False)
    cells = [(network, seed) for network in ("gelu", "max") for seed in (3, 5)]
    assert [(row["network"], row["seed"]) for row in found.rows] == cells
    assert [(call.factors["network"], call.factors["seed"]) for call in watch.trained] == cells
    # Once for all seeds: the same network.
    assert len({id(call.network.training) for call in watch.trained}) == 2
    for row, call in zip(found.rows, watch.trained, strict=True):
        assert call.values == {}
        assert call.network.training.config == config.train
        model = call.network.model
        assert (model.activation, model.downsampling) == (
            ("gelu", "max") if row["network"] == "gelu" else ("relu", "max")
        )
        evaluation = watch.evaluation(row["accuracy"])
        assert (evaluation.split, evaluation.repeats, evaluation.values) == ("test", 1, {})
        assert (evaluation.seed, evaluation.trained) == (row["seed"], True)
    changes = {}
    for row, call in zip(found.rows[:2], watch.trained, strict=False):
        task = call.network.task
        images = task.place(task.test.images[:2])
        initial = call.network.initial(row["seed"]).params
        trained = changed(initial)
        for when, params in (("before", initial), ("after", trained)):
            expected = moved_down(call.network.model, params, images)
            changes[row["seed"], when] = row[f"{when}.down.derivative"]
            assert changes[row["seed"], when] == pytest.approx(float(expected), rel=1e-3)
    assert len({round(change, 2) for change in changes.values()}) == 4


@functools.partial(jax.jit, static_argnums=0, static_argnames="actions")
def measured(model, images, *, actions):
    """What the study measures of a network without parameters."""
    return derivatives(model, {"params": {}}, images, actions=actions)


class Chain:
    """A network of these layers, and the mean over all positions."""

    def __init__(self, *layers):
        self.layers = layers

    def chain(self, params):
        del params
        stages = [Stage(kind, kind, layer) for kind, layer in self.layers]
        return [*stages, Stage("mean", "readout", lambda x: x.mean(axis=(1, 2)))]


def waves(axis, size=8):
    """Images and weights that vary along one axis alone, `[images, height, width, channels]`.

    Moved along it by t of its size, the weighted mean of the images is in proportion to cos(2 pi t)
    + sin(2 pi t).
    """
    shape = [1, 1, 1, 1]
    shape[axis + 1] = size
    angles = (2 * np.pi * np.arange(size) / size).reshape(shape)
    zeros = np.zeros((1, size, size, 1))
    images = np.concatenate([np.cos(angles) + zeros, 3 * np.cos(angles) + zeros])
    return np.float32(images), np.float32(np.cos(angles) + np.sin(angles))


@pytest.mark.parametrize(("axis", "moved", "unmoved"), [(0, "down", "right"), (1, "right", "down")])
def test_derivatives_by_hand(axis, moved, unmoved):
    images, weights = waves(axis)
    model = Chain(("convolution", lambda x: weights * x), ("nonlinearity", lambda x: 2 * x))
    found = measured(model, images, actions=("down", "right"))
    # d/dt (cos(2 pi t) + sin(2 pi t)) at 0, relative to its value at 0, which is 1.
    assert found[moved]["derivative"] == pytest.approx(2 * math.pi, rel=1e-5)
    assert found[moved]["terms"] == pytest.approx([2 * math.pi, 0, 0], rel=1e-5, abs=1e-5)
    assert found[moved]["contribution"] == pytest.approx(
        {"convolution": 1, "nonlinearity": 0, "downsampling": 0, "readout": 0}, abs=1e-5
    )
    assert found[moved]["squares"] == pytest.approx(1, rel=1e-5)
    # The logits of the two images are 1/2 and 3/2: their norm is sqrt(10) / 2, their difference 1.
    size = math.sqrt((1 + 9) / 4 / 2)
    assert found[moved]["change"] == pytest.approx(size * 2 * math.pi, rel=1e-5)
    assert found[moved]["remainder"] < 1e-5
    assert found[unmoved]["derivative"] < 1e-5


def test_contributions_sum_to_1_and_are_negative_where_terms_cancel():
    """One logit for each of two images, so that the terms of the two layers are parallel."""
    images, weights = waves(0)
    images, gain = images + 4.0, weights + 2
    model = Chain(
        ("convolution", lambda x: gain * x), ("downsampling", lambda x: x / jnp.cbrt(gain))
    )
    (found,) = measured(model, images, actions=("down",)).values()
    parts = {kind: float(value) for kind, value in found["contribution"].items()}
    assert sum(parts.values()) == pytest.approx(1, rel=1e-4)
    assert parts["nonlinearity"] == 0
    assert abs(parts["readout"]) < 1e-4
    # By float64: the parts of the derivative of the mean of gain^(2/3) x, both through each layer.
    x, g = np.asarray(images, np.float64), np.asarray(gain, np.float64)
    t = 1e-5

    def shifted(values, amount):
        places = 2 * np.pi * np.fft.fftfreq(8, 1 / 8) * amount
        phases = np.exp(-1j * places)[None, :, None, None]
        return np.fft.ifft(np.fft.fft(values, axis=1) * phases, axis=1).real

    def moved(first, second):
        """The two layers, each acting on an image moved by t, and moved back."""
        z = shifted(g * shifted(x, first), -first) if first else g * x
        z = shifted(shifted(z, second) / np.cbrt(g), -second) if second else z / np.cbrt(g)
        return z.mean((1, 2)).ravel()

    still = moved(0, 0)
    terms = [(moved(t, 0) - still) / t, (moved(0, t) - still) / t]
    whole = sum(terms)
    expected = [term @ whole / (whole @ whole) for term in terms]
    assert expected[1] < 0
    assert [parts["convolution"], parts["downsampling"]] == pytest.approx(expected, rel=1e-3)
    squares = sum(term @ term for term in terms) / (whole @ whole)
    assert found["squares"] == pytest.approx(squares, rel=1e-3)
    assert found["products"][0, 2] == pytest.approx(terms[0] @ terms[1] / (whole @ whole), rel=1e-3)


def test_nothing_is_said_relative_to_rounding():
    each = {"derivative": 0.9e-3, "change": 1.0, "contribution": {}, "squares": 2.0, "products": 3}
    found = lie_derivative.above_rounding({"down": each, "right": {**each, "derivative": 2e-3}})
    assert found["down"] == {"derivative": 0.9e-3, "change": 1.0}
    assert found["right"] == {**each, "derivative": 2e-3}


def test_each_action_is_the_motion_of_its_name():
    x = np.float32(np.random.default_rng(0).normal(size=(2, 8, 8, 1)))
    weights = np.float32(np.random.default_rng(1).normal(size=(1, 8, 8, 1)))
    model = Chain(("convolution", lambda x: weights * x))
    found = measured(model, x, actions=tuple(UNITS))
    motions = {
        "down": symmetry.translation(0),
        "right": symmetry.translation(1),
        "rotation": symmetry.rotation,
        "scaling": symmetry.scaling,
        "shearing": symmetry.shearing,
    }
    assert set(found) == set(motions)
    assert list(motions) == list(lie_derivative.UNITS)
    mean = lambda x: x.mean(axis=(1, 2))
    f = lambda x: mean(weights * x)

    @jax.jit
    def expected(x):
        """The whole, and what the mean adds where the feature maps move with the image."""
        return {
            action: (
                symmetry.lie_derivative(f, x, motion),
                symmetry.lie_derivative(mean, weights * x, motion),
            )
            for action, motion in motions.items()
        }

    size = np.linalg.norm((weights * x).mean((1, 2)))
    for action, changes in expected(x).items():
        change, last = (float(np.linalg.norm(each) / size) for each in changes)
        assert found[action]["derivative"] == pytest.approx(change, rel=1e-5)
        assert found[action]["terms"][1] == pytest.approx(last, rel=1e-4, abs=1e-5)
        assert found[action]["remainder"] < 1e-5
    assert len({round(float(each["derivative"]), 3) for each in found.values()}) == len(UNITS)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_network_is_what_its_name_says(network):
    model = chain_net(network, 7)
    activation, downsampling, conv = {
        "alias_free": ("polynomial", "ideal", "Conv"),
        "gelu": ("gelu", "max", "Conv"),
        "tiled": ("relu", "max", "TiledConv"),
        "local": ("relu", "max", "LocalConv"),
        "zero": ("relu", "max", "Conv"),
        "residual": ("relu", "max", "Conv"),
    }.get(network, ("relu", network, "Conv"))
    assert (model.classes, model.readout) == (7, "mean")
    assert (model.activation, model.downsampling) == (activation, downsampling)
    assert model.border == ("zero" if network == "zero" else "circular")
    assert model.residual == (network == "residual")
    made = getattr(model.conv, "func", model.conv).__name__
    assert made == conv
    if network == "tiled":
        assert model.conv.keywords == {"tile": 2}


def test_only_what_aliases_loses_translations(run_directory):
    rows = {row["network"]: row for row in Observations.read(run_directory).rows}
    for when in ("before", "after"):
        assert rows["alias_free"][f"{when}.right.derivative"] < 1e-4
        assert rows["max"][f"{when}.right.derivative"] > 0.1
        assert rows["alias_free"].get(f"{when}.right.squares") is None
        parts = {kind: rows["max"][f"{when}.right.contribution.{kind}"] for kind in KINDS}
        # Circular convolutions and the mean over positions commute with every translation.
        assert abs(parts["convolution"]) + abs(parts["readout"]) < 1e-5
        assert sum(parts.values()) == pytest.approx(1)
        # Sums of a few thousand float32 numbers through ten layers.
        assert rows["max"][f"{when}.right.remainder"] < 1e-3


@pytest.fixture
def made(tmp_path):
    """A run of two networks and three seeds, each number of its own, and its observations."""
    config = Config(
        networks=("max", "tiled"), actions=("rotation", "right", "down"), measured_images=9
    )
    record = Record.open(tmp_path / "made", config)
    record.write_task(
        "digits",
        {"data": "digits", "classes": 10, "test_examples": 21, "image_shape": [24, 24, 1]},
    )
    rng = np.random.default_rng(0)
    for cell in record.each(network=config.networks, seed=config.seeds):
        measured = {
            when: {
                action: {
                    **dict(
                        zip(("change", "derivative", "remainder", "squares"), rng.uniform(size=4))
                    ),
                    "contribution": dict(zip(KINDS, rng.normal(size=4))),
                    "terms": rng.uniform(size=11),
                }
                for action in config.actions
            }
            for when in ("before", "after")
        }
        record.observe(cell, accuracy=rng.uniform(), parameters=7, **measured)
    yield record, record.observations()
    record.release()


UNIT = {"down": 1, "right": 1, "rotation": DEGREE}


def test_the_page_shows_each_number_under_its_heading(made):
    record, found = made
    lie_derivative.page(found, record)
    down, right, before, after, layers = pages.tables(record.directory)

    def mean(network, name, scale):
        return format_summary(summarize(found.where(network=network).column(name)), scale)

    for network, *cells in zip(("max", "tiled"), down, right, before, after, strict=True):
        accuracy = mean(network, "accuracy", 100)
        for action, shown in zip(("down", "right"), cells):
            assert shown == {
                "network": network,
                "accuracy (%)": accuracy,
                **{
                    f"{kind} (%)": mean(network, f"after.{action}.contribution.{kind}", 100)
                    for kind in KINDS
                },
                "sum of squares": mean(network, f"after.{action}.squares", 1),
            }
        for when, shown in zip(("before", "after"), cells[2:]):
            assert shown == {
                "network": network,
                "accuracy after training (%)": accuracy,
                **{a: mean(network, f"{when}.{a}.change", unit) for a, unit in UNIT.items()},
            }
    captions = record.directory.joinpath("report.md").read_text("utf-8")
    places = [
        captions.index(words)
        for words in (
            "After training: accuracy on 21 test images; translation down",
            "After training: accuracy on 21 test images; translation right",
            "Before training: percent",
            "After training: percent",
        )
    ]
    assert places == sorted(places)
    assert "on 9 test images" in captions
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    for network in ("max", "tiled"):
        table = [line for line in layers if line["network"] == network]
        group = found.where(network=network)
        stages = chain_net(network, 10).stages()
        for number, (stage, line) in enumerate(zip(stages, table, strict=True)):
            terms = {
                f"{action}, {when} training": summarize(
                    group.array(f"{when}.{action}.terms")[:, number]
                )
                for action in ("down", "right")
                for when in ("before", "after")
            }
            assert line == {
                "network": network,
                "layer": stage.name,
                "kind": stage.kind,
                **{head: format_summary(each) for head, each in terms.items()},
            }
            kept = results["layers"][network][number]["after.right"]["mean"]
            assert kept == pytest.approx(terms["right, after training"].mean)
    changes = []
    for network in ("max", "tiled"):
        both = (mean(network, f"after.{action}.change", 1) for action in ("down", "right"))
        accuracy = mean(network, "accuracy", 100)
        changes.append(f"{network} {' and '.join(both)} (accuracy {accuracy} %)")
    assert pages.lead(record.directory) == (
        "Translation down by a hundredth of the image and translation right by a hundredth of the "
        "image change the logits of trained networks, in percent of the root mean square "
        f"difference between those of two of 9 test images: {', '.join(changes)}."
    )
    largest = max(found.column(name).max() for name in found.numbers if "remainder" in name)
    assert results["largest_remainder"] == largest
    # A remainder of a derivative of rounding size says nothing.
    for row in found.rows:
        for name in [name for name in row if name.endswith("remainder")]:
            if row[name] == largest:
                row[name.replace("remainder", "derivative")] = 1e-4
    lie_derivative.page(found, record)
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["largest_remainder"] < largest


def test_a_network_of_rounding_has_no_contributions(made):
    record, found = made
    for row in found.rows:
        if row["network"] == "tiled":
            for name in [name for name in row if "contribution" in name or "squares" in name]:
                del row[name]
    lie_derivative.page(found, record)
    for table in pages.tables(record.directory)[:2]:
        first, second = ([row[f"{kind} (%)"] for kind in KINDS] for row in table)
        assert "–" not in first
        assert set(second) == {table[1]["sum of squares"]} == {"–"}


def test_bars_are_divided_by_the_contributions_of_each_kind(made):
    _, found = made
    for row in found.rows:
        for when, change in (("before", 2.0), ("after", 5.0)):
            row[f"{when}.rotation.change"] = change
            row |= {f"{when}.rotation.contribution.{kind}": 0.0 for kind in KINDS}
        row["before.rotation.contribution.convolution"] = 1.0
        row |= {
            "after.rotation.contribution.convolution": -0.5,
            "after.rotation.contribution.nonlinearity": 0.25,
            "after.rotation.contribution.readout": 1.25,
        }
    (axes,) = lie_derivative.stacked_bars(found, "rotation").axes
    widths = [round(bar.get_width() / DEGREE, 6) for bar in axes.patches]
    assert widths == [2, 0, 0, 0, -2.5, 1.25, 0, 6.25] * 2
    starts = [round(bar.get_x() / DEGREE, 6) for bar in axes.patches[4:8]]
    # A bar of negative width begins where it ends on the left, or at zero.
    assert starts[1:] == [0, 1.25, 1.25]
    assert starts[0] in (0, -2.5)
    assert [round(line.get_xdata()[0] / DEGREE, 6) for line in axes.lines] == [2, 5] * 2
    # The axis points down: the bar before training is the upper one.
    assert axes.patches[0].get_y() < axes.patches[4].get_y()
    assert axes.yaxis_inverted()


def test_a_run_that_lost_its_end_makes_the_same_page(run_directory, complete_again):
    with two_halvings():
        assert "network=" not in complete_again(run_directory, WORDS, [])


@pytest.mark.parametrize("field", ["networks", "actions"])
def test_an_unknown_choice_is_refused(field, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["lie_derivative", f"--{field}", "none"])
    assert refused.value.code == 2
    assert "none" in capsys.readouterr().err

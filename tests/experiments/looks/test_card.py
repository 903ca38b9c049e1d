"""The card of a layer: numbers counted by hand, a module of one's own, what the page shows."""

import dataclasses
import functools
import json

import jax.numpy as jnp
import numpy as np
import pytest
from flax import linen as nn

from cnnjax import ops
from cnnjax.layers import ConvolutionLayer
from cnnjax.models.choice import Convolution
from cnnjax.run.record import Record
from experiments.looks import card
from tests.experiments import pages

OWN = '''
from flax import linen as nn


class Squared(nn.Module):
    """The square of a convolution: not affine."""

    features: int
    kernel_size: tuple[int, ...]
    strides: tuple[int, ...] = 1
    padding: str = "SAME"

    @nn.compact
    def __call__(self, x):
        return nn.Conv(self.features, self.kernel_size, self.strides, self.padding)(x) ** 2
'''

TINY = dataclasses.replace(card.PRESETS["smoke"], size=6, rounds=1, batch_size=2)


def made(config, directory):
    record = Record.open(directory, config)
    card.run(config, record)
    files = (directory / "results.json", directory / "timings.json")
    return *(json.loads(file.read_text()) for file in files), record


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    config = dataclasses.replace(TINY, conv=Convolution("tiled", {"tile": 2}))
    return made(config, tmp_path_factory.mktemp("tiled"))


def test_a_tiled_layer_is_described_by_numbers_counted_by_hand(tiled):
    """6x6x4 to 6x6x8, 3x3 kernels, 2x2 of them."""
    results, _, _ = tiled
    assert results["parameters"] == 4 * (9 * 4 * 8 + 8)
    assert results["multiply_adds"] == 36 * 9 * 4 * 8
    assert results["bytes_moved"] == 4 * (results["parameters"] + 36 * 4 + 36 * 8)
    assert results["arithmetic_intensity"] == results["multiply_adds"] / results["bytes_moved"]
    assert results["receptive_field"]["sizes"] == [3, 3]
    assert results["receptive_field"]["by_arithmetic"] == 3
    assert np.count_nonzero(results["receptive_field"]["map"]) == 9
    assert results["lattice"]["predicted"] == results["lattice"]["measured"] == [2, 2]
    assert results["gradients"]["passed"]
    assert results["initial variance"]["passed"]


def test_its_sharing_is_that_of_figure_9_16(tiled):
    """7 units, kernel size 3, zero padding: 19 connections, of two kernels in alternation."""
    connections = tiled[0]["connections"]
    assert (connections["weights"], connections["edges"]) == (6, 19)
    assert connections["rule"] == [0, 1, 0, 1, 0, 1, 0]
    labels = np.array(connections["labels"])
    np.testing.assert_array_equal(labels[2:, 2:], labels[:-2, :-2])
    assert labels[1, 1] != labels[0, 0]


class Mirrored(ConvolutionLayer):
    """Odd positions use the kernel mirrored."""

    @nn.compact
    def __call__(self, x):
        kernel = self.param("kernel", self.kernel_init, self.kernel_shape(x), self.param_dtype)
        tile = (2,) + (1,) * (x.ndim - 3)
        pair = jnp.stack([kernel, jnp.flip(kernel, 0)]).reshape(*tile, *kernel.shape)
        return ops.tiled_conv(x, pair, **self.conv_options(x))


def test_kernels_of_the_same_weights_in_another_order_are_two():
    config = card.Config(units=6)
    found = card.connections(config, functools.partial(Mirrored))
    assert found["weights"] == 3
    assert found["rule"] == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize(
    ("conv", "rule"),
    [("standard", [0, 0, 0]), ("tiled", [0, 1, 0]), ("local", [0, 1, 2])],
)
def test_the_rule_of_a_layer_with_a_stride_is_that_of_its_formula(conv, rule):
    """Rows of its matrix are 2 apart: moved back by 1, those of one kernel would be several."""
    choice = Convolution(conv, {"tile": 2} if conv == "tiled" else {})
    found = card.connections(card.Config(conv=choice, units=6, strides=2), choice.layer())
    assert found["rule"] == rule


def test_times_and_limits_are_there_for_both_directions(tiled):
    times = tiled[1]
    names = {
        f"{who} {what}"
        for who in ("layer", "standard")
        for what in ("forward", "forward and backward")
    }
    assert set(times["median"]) == set(times["limit"]) == names
    assert min(*times["median"].values(), *times["limit"].values()) > 0
    assert times["limit"]["layer forward and backward"] > times["limit"]["layer forward"]


def test_the_page_says_it_all(tiled):
    record = tiled[2]
    page = record.report.read_text()
    for text in ("by 2 x 2, as predicted", "rule(p) = 0 1 0 1 0 1 0", "TiledConv", "1,184"):
        assert text in page
    figures = {path.stem for path in (record.directory / "figures").glob("*.png")}
    assert figures == {"connections", "sharing", "receptive_field", "error_against_shift"}


@pytest.fixture
def distinct(tiled):
    """Results and timings in which every number is another."""
    results = {
        **tiled[0],
        "input": [11, 12, 13],
        "output": [14, 15, 16],
        "parameters": 1017,
        "multiply_adds": 1018,
        "bytes_moved": 1019,
        "arithmetic_intensity": 20.0,
        "connections": {"not_defined": "ValueError: only planes"},
    }
    results["receptive_field"] = {
        **results["receptive_field"],
        "sizes": [21, 22],
        "by_arithmetic": 23,
        "effective_size": 24.0,
    }
    results["lattice"] = {**results["lattice"], "predicted": [1, 3], "measured": [2, 4]}
    timings = {
        "device": "abacus",
        "multiply_adds_per_second": 2e9,
        "bytes_per_second": 3e9,
        "median": {
            "layer forward": 0.004,
            "standard forward": 0.001,
            "layer forward and backward": 0.06,
            "standard forward and backward": 0.02,
        },
        "limit": {"layer forward": 0.0004, "layer forward and backward": 0.003},
    }
    return results, timings


def test_every_number_stands_under_its_name(distinct, tmp_path):
    card.page(*distinct, Record(tmp_path))
    measured, timed = pages.tables(tmp_path)
    assert [list(row.values()) for row in measured] == [
        ["input", "11 x 12 x 13"],
        ["output", "14 x 15 x 16"],
        ["parameters", "1,017"],
        ["multiply-adds for an image", "1,018"],
        ["bytes read and written, at least", "1,019"],
        ["multiply-adds per byte", "20.0"],
        ["receptive field, by gradient", "21 x 22"],
        ["receptive field, by arithmetic", "23 x 23"],
        ["receptive field, effective size", "24.0"],
        ["exact translations, predicted", "1 x 3"],
        ["exact translations, measured", "2 x 4"],
    ]
    forward, backward = timed
    assert forward == {
        "": "forward",
        "layer (ms)": "4.00",
        "standard (ms)": "1.00",
        "ratio": "4.00",
        "limit (ms)": "0.400",
        "limit / layer (%)": "10",
    }
    assert list(backward.values())[1:] == ["60.0", "20.0", "3.00", "3.00", "5.0"]
    lead = pages.lead(tmp_path)
    assert "1.0 k parameters" in lead
    assert "by 2 x 4, not by 1 x 3 as predicted; forward and backward take 3.00 times" in lead


def test_failed_checks_and_missing_connections_are_shown(distinct, tmp_path):
    results, timings = distinct
    results = {**results, "gradients": {"passed": False, "found": "off"}}
    card.page(results, timings, Record(tmp_path))
    page = (tmp_path / "report.md").read_text()
    assert pages.lead(tmp_path).endswith("Failed checks: gradients.")
    assert "Gradients: FAILED: off" in page
    assert "only planes" in page


def test_a_module_of_ones_own_that_is_not_affine(tmp_path, monkeypatch):
    (tmp_path / "squared_module.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    config = dataclasses.replace(TINY, conv=Convolution("squared_module:Squared"))
    results, _, record = made(config, tmp_path / "run")
    assert results["connections"]["not_affine"] > 0.1
    assert results["lattice"] | {"errors": None} == {
        "predicted": None,
        "measured": [1, 1],
        "errors": None,
    }
    page = (record.directory / "report.md").read_text()
    assert "squared\\_module:Squared" in page or "squared_module:Squared" in page
    assert "the layer is not affine in its input" in page
    assert "which the layer does not predict" in page


@pytest.mark.fast
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        (
            {"conv": Convolution("tiled", {"strides": 2})},
            "must not include 'strides', for which there is --strides",
        ),
    ],
)
def test_wrong_configurations_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        card.Config(**changed)

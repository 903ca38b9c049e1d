"""The card of a layer: numbers counted by hand, a module of one's own, diagrams as drawn."""

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
from cnnjax.report.card import connection_diagram, weight_colors, write_report
from cnnjax.run.record import Record
from experiments import card

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
    return json.loads((directory / "results.json").read_text()), record


@pytest.fixture(scope="module")
def tiled(tmp_path_factory):
    config = dataclasses.replace(TINY, conv=Convolution("tiled", {"tile": 2}))
    return made(config, tmp_path_factory.mktemp("tiled"))


def test_a_tiled_layer_is_described_by_numbers_counted_by_hand(tiled):
    """6x6x4 to 6x6x8, 3x3 taps, 2x2 kernels."""
    results, _ = tiled
    assert results["parameters"] == 4 * (9 * 4 * 8 + 8)
    assert results["multiply_adds"] == 36 * 9 * 4 * 8
    assert results["bytes_moved"] == 4 * (results["parameters"] + 36 * 4 + 36 * 8)
    assert results["arithmetic_intensity"] == results["multiply_adds"] / results["bytes_moved"]
    assert results["receptive_field"]["sizes"] == [3, 3]
    assert results["receptive_field"]["of_the_window"] == 3
    assert np.count_nonzero(results["receptive_field"]["map"]) == 9
    assert results["lattice"]["predicted"] == results["lattice"]["measured"] == [2, 2]
    assert results["gradients"]["passed"]
    assert results["initial variance"]["passed"]


def test_its_sharing_is_that_of_figure_9_16(tiled):
    """7 units, 3 taps, zero padding: 19 connections, of two kernels in turns."""
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
    found = card._connections(config, functools.partial(Mirrored))
    assert found["weights"] == 3
    assert found["rule"] == [0, 1, 0, 1, 0, 1]


def test_times_and_limits_are_there_for_both_directions(tiled):
    times = tiled[0]["times"]
    names = {
        f"{who} {what}"
        for who in ("layer", "standard")
        for what in ("forward", "forward and backward")
    }
    assert set(times["median"]) == set(times["limit"]) == names
    assert min(*times["median"].values(), *times["limit"].values()) > 0
    assert times["limit"]["layer forward and backward"] > times["limit"]["layer forward"]


def test_the_page_says_it_all(tiled):
    _, record = tiled
    page = record.report.read_text()
    for text in ("by 2 x 2, as it claims", "rule(p) = 0 1 0 1 0 1 0", "TiledConv", "1,184"):
        assert text in page
    figures = {path.stem for path in (record.directory / "figures").glob("*.png")}
    assert figures == {"connections", "sharing", "receptive_field", "error_against_shift"}


def test_a_false_claim_and_a_failed_check_are_said(tiled, tmp_path):
    results, _ = tiled
    changed = {
        **results,
        "lattice": {**results["lattice"], "predicted": [1, 1]},
        "gradients": {"passed": False, "found": "off"},
        "connections": {"refused": "ValueError: only planes"},
    }
    record = Record.open(tmp_path, TINY)
    write_report(changed, record)
    page = (tmp_path / "report.md").read_text()
    assert "by 2 x 2, not by 1 x 1, as it claims" in page
    assert "It fails on gradients" in page
    assert "FAILED: off" in page
    assert "only planes" in page


def test_a_module_of_ones_own_that_is_not_affine(tmp_path, monkeypatch):
    (tmp_path / "squared_module.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    config = dataclasses.replace(TINY, conv=Convolution("squared_module:Squared"))
    results, record = made(config, tmp_path / "run")
    assert results["connections"]["not_affine"] > 0.1
    assert results["lattice"] | {"errors": None} == {
        "predicted": None,
        "measured": [1, 1],
        "errors": None,
    }
    page = (record.directory / "report.md").read_text()
    assert "squared\\_module:Squared" in page or "squared_module:Squared" in page
    assert "it is not affine in its input" in page
    assert "and claims nothing" in page


@pytest.mark.fast
def test_weights_have_colours_of_their_own():
    for count in (1, 3, 8, 9, 40):
        assert len(set(weight_colors(count))) == count


def test_the_diagram_draws_each_connection_once_and_highlights_one_unit():
    labels = np.array([[0, 1, -1], [2, 0, 1], [-1, 2, 0]])
    figure = connection_diagram(labels)
    every, below, above = figure.axes
    assert [len(ax.lines) for ax in figure.axes] == [7, 7, 7]
    colors = weight_colors(3)
    assert [line.get_color() for line in every.lines] == [colors[i] for i in (0, 1, 2, 0, 1, 2, 0)]
    # Input 1 reaches all outputs by the weights 1, 0, 2; output 1 sees the weights 2, 0, 1.
    for ax, seen in ((below, (1, 0, 2)), (above, (2, 0, 1))):
        bright = [line.get_color() for line in ax.lines if line.get_color() in colors]
        assert bright == [colors[i] for i in seen]


@pytest.mark.fast
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"size": 0}, "size must be at least 1, got 0"),
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        (
            {"conv": Convolution("tiled", {"strides": 2})},
            "Give --strides in place of --conv.strides",
        ),
    ],
)
def test_wrong_configurations_are_refused(changed, message):
    with pytest.raises(ValueError, match=message):
        card.Config(**changed)

"""Equivariance while training on a page, from made metrics: every error under its heading."""

import dataclasses

import numpy as np
import pytest

from cnnjax.report import Heading, Table, write_page
from cnnjax.report.layer_equivariance import equivariance_blocks, transformation_in_words
from cnnjax.run.config import StudyConfig
from cnnjax.run.metrics import logged_errors
from cnnjax.run.record import Record

CONVOLUTIONS = {"tiled": 0.0, "local": 0.25}
STEPS = (0, 5, 10)


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    pass


@pytest.fixture
def record(tmp_path):
    opened = Record.open(tmp_path / "run", Config())
    yield opened
    opened.release()


def error(conv, seed, layer, step):
    """Zero in the first layer of tiled; else a number of its own."""
    if conv == "tiled" and layer == "conv":
        return 0.0
    return CONVOLUTIONS[conv] + 0.5 * seed + 0.01 * step + (0.13 if layer == "" else 0)


def logged(record, seeds=(0, 1), layers=("conv", ""), last=None):
    for cell in record.each(conv=tuple(CONVOLUTIONS), seed=seeds):
        record.write_network(cell.name, {"equivariance": {"images": 8, "split": "validation"}})
        for step in STEPS:
            errors = {layer: error(cell["conv"], cell["seed"], layer, step) for layer in layers}
            if step == 10 and last is not None:
                errors["conv"] = last
            record.metrics(step, network=cell.name, loss=9.0)
            record.metrics(
                step,
                network=cell.name,
                **{f"equivariance.shift4{layer and '.'}{layer}": v for layer, v in errors.items()},
                **{
                    f"equivariance.flip{layer and '.'}{layer}": 1 + v for layer, v in errors.items()
                },
            )
        record.observe(cell, accuracy=0.5)
    return equivariance_blocks(logged_errors(record.read_metrics()), record)


def curves(axes):
    return {
        line.get_label(): list(line.get_ydata())
        for line in axes.lines
        if not line.get_label().startswith("_")
    }


@pytest.mark.fast
def test_each_condition_has_a_panel_for_each_transformation(record):
    heading, tiled, local, _ = logged(record)
    assert heading == Heading("Equivariance while training")
    names = [figure.name for figure in (tiled, local)]
    assert names == ["equivariance_while_training_1", "equivariance_while_training_2"]
    for figure, conv in ((tiled, "tiled"), (local, "local")):
        assert f"of the output of each layer of {conv} against the training step" in figure.caption
        assert "on the first 8 validation images; mean over 2 seeds" in figure.caption
        panels = figure.image.axes
        assert [axes.get_title() for axes in panels] == ["shift by 4 pixels", "left-right flip"]
        for axes, offset in zip(panels, (0, 1), strict=True):
            assert list(curves(axes)) == ["conv", "network output"]
            for label, layer in (("conv", "conv"), ("network output", "")):
                mean = [
                    offset + np.mean([error(conv, s, layer, step) for s in (0, 1)])
                    for step in STEPS
                ]
                np.testing.assert_allclose(curves(axes)[label], mean)
            (line, *_) = axes.lines
            np.testing.assert_array_equal(line.get_xdata(), STEPS)


@pytest.mark.fast
def test_zeros_are_seen(record):
    _, tiled, *_ = logged(record)
    axes = tiled.image.axes[0]
    assert curves(axes)["conv"] == [0, 0, 0]
    assert axes.get_yscale() == "symlog"
    bottom, top = axes.get_ylim()
    assert bottom < 0 < 1.5 < top
    # Well inside of the panel, not on its edge.
    heights = axes.transData.transform([(0, bottom), (0, 0), (0, top)])[:, 1]
    assert 0.01 < (heights[1] - heights[0]) / (heights[2] - heights[0]) < 0.1
    (dashed,) = {line.get_ydata()[0] for line in axes.lines if line.get_label().startswith("_")}
    assert dashed == pytest.approx(np.sqrt(2))


@pytest.mark.fast
def test_the_table_holds_the_errors_before_and_after(record):
    *_, table = logged(record)
    assert isinstance(table, Table)
    assert table.columns == [
        "conv", "layer", "shift by 4 pixels, before", "shift by 4 pixels, after",
        "left-right flip, before", "left-right flip, after",
    ]  # fmt: skip
    # The mean of seeds 0 and 1 is 0.25 above the condition's; 0.1 is of ten steps.
    assert table.rows == [
        ["tiled", "conv", "0", "0", "1.00", "1.00"],
        ["tiled", "network output", "0.380", "0.480", "1.38", "1.48"],
        ["local", "conv", "0.500", "0.600", "1.50", "1.60"],
        ["local", "network output", "0.630", "0.730", "1.63", "1.73"],
    ]
    assert table.caption.endswith("and after: at step 0 and step 10. Mean over 2 seeds.")


@pytest.mark.fast
def test_an_error_that_was_not_finite_is_a_gap(record):
    _, tiled, _, table = logged(record, last=float("nan"))
    assert np.isnan(curves(tiled.image.axes[0])["conv"][-1])
    assert table.rows[0] == ["tiled", "conv", "0", "NaN", "1.00", "NaN"]


@pytest.mark.fast
def test_of_many_layers_those_in_blocks_are_in_the_table_alone(record):
    inner = [f"Block_0/Conv_{number}" for number in range(20)]
    _, tiled, _, table = logged(record, seeds=(0,), layers=("stem", *inner, "Block_0", ""))
    assert list(curves(tiled.image.axes[0])) == ["stem", "Block_0", "network output"]
    assert [row[1] for row in table.rows[:22]] == ["stem", *inner, "Block_0"]
    assert "one seed" in tiled.caption


@pytest.mark.fast
def test_pages_show_it_and_results_hold_it_where_it_was_logged(record):
    logged(record)
    results = record.results({"rows": 1})
    curve = results["equivariance_while_training"]["local seed 1"]["flip"]["conv"]
    assert curve["steps"] == [0, 5, 10]
    assert curve["values"] == pytest.approx([1.75, 1.80, 1.85])
    write_page(record, "A question?\n\nSource: A book.\n", ["The answer."])
    text = (record.directory / "report.md").read_text("utf-8")
    assert text.index("## Equivariance while training") < text.index("## Source")
    assert (record.directory / "figures" / "equivariance_while_training_2.png").exists()


@pytest.mark.fast
def test_a_run_without_a_log_has_no_such_section(record):
    for cell in record.each(seed=(0,)):
        record.metrics(5, network=cell.name, loss=1.0)
        record.observe(cell, accuracy=0.5)
    assert record.results({"rows": 1}) == {"rows": 1}
    write_page(record, "A question?", ["The answer."])
    assert "Equivariance" not in (record.directory / "report.md").read_text("utf-8")


@pytest.mark.fast
def test_names_of_transformations():
    names = ("shift1", "shift12", "rotate90", "rotate180", "flip")
    assert [transformation_in_words(name) for name in names] == [
        "shift by 1 pixel",
        "shift by 12 pixels",
        "90-degree rotation",
        "180-degree rotation",
        "left-right flip",
    ]

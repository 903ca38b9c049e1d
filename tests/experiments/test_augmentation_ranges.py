"""The study of learned ranges: what each cell trains and measures, what the page says."""

import functools
import json
import math

import jax
import numpy as np
import pytest

import launch
from cnnjax import models
from cnnjax.data.rotated_glyphs import optimal_half_width, rotated_glyphs
from cnnjax.report import format_number, format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import augmentation_ranges
from experiments.augmentation_ranges import Config, conditions
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

CONFIG = Config(
    half_angles=(30.0, 60.0),
    regularisations=(0.05, 0.0),
    controls_at=(40.0,),
    affine=True,
    train_images=12,
    test_images=8,
    features=(2,),
    samples=2,
    seeds=(3, 5),
    train=TrainConfig(steps=6, batch_size=8, eval_every=4),
)
CONDITIONS = [
    ("rotation", 0.05, "narrow", 30.0),
    ("rotation", 0.05, "narrow", 60.0),
    ("rotation", 0.05, "wide", 30.0),
    ("rotation", 0.05, "wide", 60.0),
    ("rotation", 0.05, "narrow", 90.0),
    ("rotation", 0.0, "narrow", 40.0),
    ("rotation", 0.0, "wide", 40.0),
    ("affine", 0.05, "narrow", 30.0),
    ("affine", 0.05, "narrow", 60.0),
]
FACTORS = ("maps", "regularisation", "start", "half_angle")
GENERATORS = ("down", "right", "rotation", "scaling", "stretching", "shearing")
STARTS = {"narrow": 10, "wide": 80}


def softplus(raw):
    return np.log1p(np.exp(np.asarray(raw, float)))


def test_every_cell_trains_and_measures_what_its_factors_say(watch, tmp_path):
    found = watch.run(augmentation_ranges, CONFIG, tmp_path / "run", page=False)
    cells = [(*condition, seed) for condition in CONDITIONS for seed in (3, 5)]
    assert [tuple(call.factors.values()) for call in watch.trained] == cells
    assert [tuple(row[name] for name in (*FACTORS, "seed")) for row in found.rows] == cells
    # Compiled once for each of the rewards, and for the affine maps.
    assert len({id(call.network.training) for call in watch.trained}) == 3
    data = functools.cache(lambda angle, seed: rotated_glyphs(angle, 12, 8, seed=seed))
    for row, call in zip(found.rows, watch.trained, strict=True):
        maps, reward, start, angle, seed = call.factors.values()
        model = call.network.model
        names = GENERATORS if maps == "affine" else ("rotation",)
        assert (model.generators, model.regularisation, model.samples) == (names, reward, 2)
        assert model.network.func is models.PlainNet
        assert model.network.keywords == {"classes": 4, "features": (2,), "readout": "volume"}
        assert call.network.training.config == CONFIG.train
        for split in ("train", "validation", "test"):
            images = getattr(call.network.task, split).images
            np.testing.assert_array_equal(images, getattr(data(angle, seed), split).images)
        # The weights of the seed, the widths of the start; learned ones are those after training.
        state = call.network.initial(seed)
        raw = np.asarray(state.params["augmentation"]["widths"])
        np.testing.assert_allclose(softplus(raw) / 2, math.radians(STARTS[start]), rtol=1e-5)
        plain = call.network.training.init(seed, np.zeros((1, 28, 28, 1), np.float32)).params
        jax.tree.map(np.testing.assert_array_equal, state.params["network"], plain["network"])
        half_widths = dict(zip(names, softplus(SCALE * raw + SHIFT) / 2, strict=True))
        half_widths["rotation"] = math.degrees(half_widths["rotation"])
        for name, half_width in half_widths.items():
            assert row[f"half_width.{name}"] == pytest.approx(half_width, rel=1e-5)
        assert row["excess"] == pytest.approx(half_widths["rotation"] - 90 + angle)
        assert call.evaluate(state) == {
            f"half_width.{name}": pytest.approx(
                STARTS[start] if name == "rotation" else math.radians(STARTS[start]), rel=1e-5
            )
            for name in names
        }
        for number, tested in (("accuracy", angle), ("accuracy_anywhere", 90.0)):
            evaluated = watch.evaluation(row[number])
            assert (evaluated.seed, evaluated.trained, evaluated.split) == (seed, True, "test")
            images = evaluated.network.task.test.images
            np.testing.assert_array_equal(images, data(tested, seed).test.images)
            assert evaluated.network.model == model


@pytest.fixture
def made(tmp_path):
    """A run of all conditions and three seeds, each number of its own, and its observations."""
    config = Config(**{**vars(CONFIG), "seeds": (0, 1, 2)})
    record = Record.open(tmp_path / "made", config)
    record.write_task(
        "rotated glyphs", {"data": "rotated glyphs", "test_examples": 8, "image_shape": [28, 28, 1]}
    )
    for number, cell in enumerate(record.each(condition=conditions(config), seed=config.seeds)):
        angle, seed = cell["half_angle"], cell["seed"]
        half_width = 95 + 2 * seed**2 - (1.1 + seed / 100) * angle + (cell["start"] == "wide")
        values = {"half_width.rotation": half_width}
        if cell["maps"] == "affine":
            values |= {f"half_width.{name}": 0.1 * n for n, name in enumerate(GENERATORS)}
            values["half_width.rotation"] = half_width - 7
        for step in (4, 6):
            record.metrics(
                step, network=cell.name, **{"eval_half_width.rotation": half_width / step}
            )
        record.observe(
            cell,
            **values,
            excess=number + seed / 3,
            accuracy=0.5 + number / 100,
            accuracy_anywhere=0.4 + number / 100,
        )
    yield record, record.observations()
    record.release()


def test_the_page_shows_each_number_under_its_heading(made, monkeypatch):
    record, found = made
    points, panels = (pages.calls(monkeypatch, name) for name in ("points_over", "line_panels"))
    augmentation_ranges.page(found, record)
    lines, every, starts = pages.tables(record.directory)
    # By construction -1.1 - seed / 100, and 95 + 2 seed^2, of wide starts 1 more.
    slope = summarize([-1.1, -1.11, -1.12])
    intercepts = {"narrow": summarize([95, 97, 103]), "wide": summarize([96, 98, 104])}
    affine = summarize([88, 90, 96])
    kinds = [("rotation", "narrow"), ("rotation", "wide"), ("affine", "narrow")]
    assert lines == [
        {
            "generators": maps,
            "λ": "0.0500",
            "start": start,
            "slope": format_summary(slope),
            "intercept (degrees)": format_summary(
                affine if maps == "affine" else intercepts[start]
            ),
        }
        for maps, start in kinds
    ]
    columns = {
        "minus 90 − a": ("excess", 1),
        "accuracy (%)": ("accuracy", 100),
        "accuracy, all angles (%)": ("accuracy_anywhere", 100),
    } | {f"half-width, {name}": (f"half_width.{name}", 1) for name in GENERATORS}
    assert len(every) == len(CONDITIONS)
    for row, condition in zip(every, CONDITIONS, strict=True):
        maps, reward, start, angle = condition
        head = [row[name] for name in ("generators", "λ", "start", "a (degrees)")]
        assert head == [maps, str(reward), start, str(angle)]
        group = found.where(**dict(zip(FACTORS, condition, strict=True)))
        for heading, (number, scale) in columns.items():
            expected = "–"
            if number in group.numbers:
                expected = format_summary(summarize(group.column(number)), scale)
            assert row[heading] == expected
        known = maps == "rotation" and reward > 0
        # A width is two half-widths: lambda is paid twice for a radian.
        optimal = format_number(optimal_half_width(angle, 0.1)) if known else "–"
        assert row["best network"] == optimal
    assert [list(row.values()) for row in starts] == [
        ["30.0", "wide", "1.00 ± 0"],
        ["60.0", "wide", "1.00 ± 0"],
    ]
    said = format_summary(slope)

    def listed(number, *arms):
        cells = []
        for arm in arms:
            rows = found.where(maps="rotation", **dict(zip(FACTORS[1:], arm, strict=True)))
            shown = format_summary(summarize(rows.column(number)))
            cells.append(f"{shown} ({arm[1]} start, a = {arm[2]:g})")
        return ", ".join(cells)

    more = [(0.05, start, angle) for start in ("narrow", "wide") for angle in (30.0, 60.0)]
    free = [(0.0, start, 40.0) for start in ("narrow", "wide")]
    width = "half_width.rotation"
    assert pages.lead(record.directory) == (
        "Slope of the learned half-width over the half-angle a of the data, λ = 0.05: narrow start "
        f"{said}, wide start {said} (of 90 − a: −1). Half-width minus 90 − a (degrees): "
        f"{listed('excess', *more)}. Half-width, λ = 0: {listed(width, *free)}; the angle "
        f"decides the class: {listed(width, (0.05, 'narrow', 90.0))}."
    )
    (((series, _), options),) = points
    assert {name: list(each) for name, each in series.items()} == {
        "λ = 0.05, narrow start": [30.0, 60.0, 90.0],
        "λ = 0.05, wide start": [30.0, 60.0],
        "λ = 0, narrow start": [40.0],
        "λ = 0, wide start": [40.0],
    }
    assert series["λ = 0.05, wide start"][60.0].mean == pytest.approx(30 + 2 * 5 / 3 - 0.6)
    x, law = options["lines"]["90 − a"]
    np.testing.assert_allclose(law, 90 - np.asarray(x))
    assert (x[0], x[-1]) == (30, 90)
    x, least = options["lines"]["best network, λ = 0.05"]
    assert least == [optimal_half_width(a, 0.1) for a in x]
    (((drawn, steps, _), _),) = panels
    assert steps == [0, 4, 6]
    assert {title: list(curves) for title, curves in drawn.items()} == {
        "λ = 0.05, narrow start": ["a = 30°", "a = 60°", "a = 90°"],
        "λ = 0.05, wide start": ["a = 30°", "a = 60°"],
        "λ = 0, narrow start": ["a = 40°"],
        "λ = 0, wide start": ["a = 40°"],
    }
    mean = 30 + 2 * 5 / 3 - 0.6
    np.testing.assert_allclose(drawn["λ = 0.05, wide start"]["a = 60°"], [80, mean / 4, mean / 6])
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["lines"][0]["slope"]["mean"] == pytest.approx(-1.11)
    assert results["steps"] == [0, 4, 6]


def test_a_page_of_one_angle_and_start_has_no_line(tmp_path):
    config = Config(half_angles=(45.0,), regularisations=(0.1,), starts=("wide",), seeds=(0,))
    record = Record.open(tmp_path / "run", config)
    record.write_task(
        "rotated glyphs", {"data": "rotated glyphs", "test_examples": 8, "image_shape": [28, 28, 1]}
    )
    for cell in record.each(condition=conditions(config), seed=(0,)):
        record.metrics(3, network=cell.name, **{"eval_half_width.rotation": 40.0})
        record.observe(
            cell, **{"half_width.rotation": 40.0}, excess=-5.0, accuracy=1.0, accuracy_anywhere=1.0
        )
    augmentation_ranges.page(record.observations(), record)
    record.release()
    lead = pages.lead(record.directory)
    assert "λ = 0.1: – (of 90 − a: −1)" in lead
    assert "λ = 0: –; the angle" in lead
    _, every = pages.tables(record.directory)
    assert [row["a (degrees)"] for row in every] == ["45.0", "90.0"]


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ranges") / "run"
    assert launch.main(["augmentation_ranges", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_the_smallest_run_learns_the_classes_and_moves_the_widths(run_directory):
    found = Observations.read(run_directory)
    assert [row["half_angle"] for row in found.rows] == [30.0, 60.0, 90.0]
    assert found.column("accuracy").min() > 0.5
    learned = found.column("half_width.rotation")
    assert np.abs(learned - 10).min() > 0.05
    np.testing.assert_allclose(found.column("excess"), learned - [60, 30, 0])
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    assert results["steps"] == [0, 10, 20, 30]


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, ["augmentation_ranges", "smoke"])
    assert "half_angle=90.0, seed=0" in said
    assert "half_angle=30.0" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--half-angles", "90"], "half_angles[0] must be above 0 and below 90, got 90.0"),
        (["--half-angles", "30", "30"], "at least one, each once"),
        (["--regularisations", "-1"], "regularisations[0] must be at least 0 and finite, got -1.0"),
        (["--starts", "middle"], "invalid choice 'middle'"),
        (["--samples", "0"], "samples must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.main(["augmentation_ranges", *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())

"""The study of downsampling: what each network sees, what the page shows, and its smallest run."""

import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import symmetry, tasks
from cnnjax.report import format_summary
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import shift_invariance
from tests.experiments import pages
from tests.experiments.fakes import changed

CONFIG = shift_invariance.Config(
    downsampling=("max", "adaptive"),
    seeds=(0, 1),
    features=(2,),
    borders=("circular", "zero"),
    readouts=("max", "mean"),
    shifted_images=3,
    train=TrainConfig(steps=1, batch_size=4),
)


def stage_of(params, initial):
    """Whether parameters are those before training, or those that the fake training makes."""
    trained = changed(initial)
    (stage,) = [
        name
        for name, expected in (("before", initial), ("after", trained))
        if all(jax.tree.leaves(jax.tree.map(np.allclose, params, expected)))
    ]
    return stage


def predicted(labels, stage):
    """Classes [2, 2, 3] of three images at four shifts."""
    right, wrong = np.asarray(labels), (np.asarray(labels) + 3) % 10
    classes = np.broadcast_to(right, (2, 2, 3)).copy()
    if stage == "before":  # the class changes with the row: half of all pairs, half of all steps
        classes[1] = wrong
    else:  # always right; wrong at one shift of four; always the same wrong class
        classes[0, 1, 1] = wrong[1]
        classes[:, :, 2] = wrong[2]
    return classes


NUMBERS = {
    ("before", "circular"): {
        "consistency": 0.5, "accuracy": 0.5, "worst_case": 0.0, "flips": 0.5,
    },
    ("after", "circular"): {
        "consistency": (1 + (9 + 1) / 16 + 1) / 3,
        "accuracy": (1 + 3 / 4 + 0) / 3,
        "worst_case": 1 / 3,
        "flips": (0 + 4 / 8 + 0) / 3,
    },
    # Of crops the second row comes twice: 6 shifts, 4 steps down and 3 to the right, none around.
    ("before", "crop"): {
        "consistency": 5 / 9, "accuracy": 1 / 3, "worst_case": 0.0, "flips": 2 / 7,
    },
    ("after", "crop"): {
        "consistency": (1 + (25 + 1) / 36 + 1) / 3,
        "accuracy": (1 + 5 / 6 + 0) / 3,
        "worst_case": 1 / 3,
        "flips": (0 + 2 / 7 + 0) / 3,
    },
}  # fmt: skip


def kappa_of(classes, consistency):
    shares = [float((classes == label).mean()) for label in set(classes.ravel().tolist())]
    chance = sum(share**2 for share in shares)
    return (consistency - chance) / (1 - chance)


def test_each_network_is_measured_before_and_after_its_training(watch, tmp_path, monkeypatch):
    task = tasks.on_canvas("digits", canvas=16)
    labels = task.test.labels[:3]
    given = []

    def stage(variables):
        call = watch.trained[-1]
        initial = call.network.initial(call.factors["seed"])
        return call, stage_of(variables["params"], initial.params)

    def over_shifts(classify, images, shifts, variables):
        call, when = stage(variables)
        given.append((call.factors, "circular", when))
        np.testing.assert_array_equal(images, task.place(task.test.images[:3]))
        assert shifts == 2
        if len(given) == 1:
            expected = jax.jit(call.network.model.apply)(variables, images)
            found = jax.jit(classify)(images, variables)
            np.testing.assert_allclose(found, expected, rtol=1e-5)
        return predicted(labels, when)

    def over_crops(classify, wide, size, variables):
        call, when = stage(variables)
        given.append((call.factors, "crop", when))
        assert tuple(size) == (16, 16)
        # Black around the images, as a canvas of black images is.
        black = np.asarray(task.place(np.zeros((1, 8, 8, 1), np.uint8)))[0, 0, 0, 0]
        images = np.asarray(task.place(task.test.images[:3]))
        assert wide.shape == (3, 17, 17, 1)
        np.testing.assert_allclose(wide[:, :16, :16], images, atol=1e-6)
        np.testing.assert_allclose(wide[:, 16:], black, atol=1e-6)
        np.testing.assert_allclose(wide[:, :, 16:], black, atol=1e-6)
        return predicted(labels, when)[[0, 1, 1]]

    monkeypatch.setattr(symmetry, "classes_over_shifts", over_shifts)
    monkeypatch.setattr(symmetry, "classes_over_crops", over_crops)
    found = watch.run(shift_invariance, CONFIG, tmp_path / "run", page=False)
    expected = [
        {"downsampling": way, "border": border, "readout": readout, "seed": seed}
        for way in ("max", "adaptive")
        for border in ("circular", "zero")
        for readout in ("max", "mean")
        for seed in (0, 1)
    ]
    assert [call.factors for call in watch.trained] == expected
    assert given == [
        (cell, shifts, when)
        for cell in expected
        for when in ("before", "after")
        for shifts in ("circular", "crop")
    ]
    assert watch.evaluated == []
    for call, row in zip(watch.trained, found.rows, strict=True):
        assert call.values == {}
        model = call.network.model
        assert (model.downsampling, model.features) == (row["downsampling"], (2,))
        assert (model.border, model.readout) == (row["border"], row["readout"])
        # Of the same images, unshifted: the third is wrong.
        assert row["accuracy"] == pytest.approx(2 / 3)
        for (when, name), numbers in NUMBERS.items():
            classes = predicted(labels, when)[[0, 1] if name == "circular" else [0, 1, 1]]
            right = {**numbers, "kappa": kappa_of(classes, numbers["consistency"])}
            found_here = {each: row[f"{when}.{name}.{each}"] for each in right}
            assert found_here == pytest.approx(right)


HEADINGS = {
    "accuracy, unshifted (%)": "accuracy",
    "accuracy, shifted (%)": "after.{}.accuracy",
    "correct at every shift (%)": "after.{}.worst_case",
    "consistency before training (%)": "before.{}.consistency",
    "consistency after (%)": "after.{}.consistency",
    "kappa before training (%)": "before.{}.kappa",
    "kappa after (%)": "after.{}.kappa",
    "class changed by one pixel, after (%)": "after.{}.flips",
}


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = Record.open(tmp_path / "run", CONFIG)
    names = sorted(
        {name.format(shifts) for name in HEADINGS.values() for shifts in ("circular", "crop")}
    )
    grid = record.each(
        downsampling=("max", "adaptive"), border=("circular", "zero"), readout=("max", "mean"),
        seed=(0, 1, 2),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for cell in grid:
        record.observe(cell, **dict(zip(names, rng.uniform(size=len(names)), strict=True)))
    record.write_task("digits", tasks.on_canvas("digits").facts())
    found = record.observations()
    shift_invariance.page(found, record)
    circular, crop, by_readout, by_border, by_way, book = pages.tables(record.directory)
    for shifts, table in (("circular", circular), ("crop", crop)):
        for row, (key, group) in zip(table, found.groups().items(), strict=True):
            assert (row["downsampling"], row["border"], row["readout"]) == key
            for heading, number in HEADINGS.items():
                values = group.column(number.format(shifts))
                assert row[heading] == format_summary(summarize(values), 100)
    differences = {
        "accuracy (%)": "accuracy",
        "kappa, circular shifts (%)": "after.circular.kappa",
        "kappa, crop shifts (%)": "after.crop.kappa",
    }
    for factor, table, (against, value) in (
        ("readout", by_readout, ("max", "mean")),
        ("border", by_border, ("circular", "zero")),
        ("downsampling", by_way, ("max", "adaptive")),
    ):
        assert len(table) == 4
        for row in table:
            assert row[factor] == value
            cell = {name: row[name] for name in ("downsampling", "border", "readout")}
            for heading, number in differences.items():
                one, other = (
                    found.where(**{**cell, factor: each}).column(number)
                    for each in (value, against)
                )
                assert row[heading] == format_summary(summarize(one - other), 100)
    lead = []
    for border in ("circular", "zero"):
        ways = []
        for way in ("max", "adaptive"):
            group = found.where(downsampling=way, border=border, readout="max")
            values = [
                format_summary(summarize(group.column(f"after.{shifts}.kappa")), 100)
                for shifts in ("circular", "crop")
            ]
            ways.append(f"{way} {' and '.join(values)} %")
        lead.append("; ".join(ways))
    assert pages.lead(record.directory) == (
        "Kappa of trained networks with readout max, under circular and crop shifts of 3 test "
        f"images. Circular borders: {lead[0]}. Zero borders: {lead[1]}."
    )
    ((((series, _)), _),) = drawn
    assert len(series) == 8
    for words, row in series.items():
        way, border, readout = words.split(", ")
        group = found.where(downsampling=way, border=border, readout=readout)
        for shifts in ("circular", "crop"):
            mean = group.column(f"after.{shifts}.kappa").mean()
            assert row[f"{shifts} shifts"].mean == pytest.approx(mean)
    # Figure 9.8 of the book: every detector changes, half of the maxima do.
    assert [tuple(row.values()) for row in book] == [
        ("as it was", "0.1 1.0 0.2 0.1", "1.0 1.0 1.0 0.2"),
        ("shifted by one", "0.3 0.1 1.0 0.2", "0.3 1.0 1.0 1.0"),
    ]
    page = (record.directory / "report.md").read_text("utf-8")
    assert "The shift changes 4 of 4 detectors and 2 of 4 maxima." in page
    assert "Circular shifts, 2 x 2; all on the same 3 test images." in page
    assert (
        "shifts of 3 test images, by downsampling, border and readout: mean ± 95 % interval over 3 "
        "seeds."
    ) in page
    assert page.count("On 3 test images. Minus") == 3


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shift_invariance") / "run"
    assert launch.main(["shift_invariance", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_adaptive_sampling_is_exactly_consistent_and_max_pooling_is_not(run_directory):
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    rows = {row["downsampling"]: row for row in results["rows"]}
    for stage in ("before", "after"):
        numbers = {
            f"{shifts}.{name}": {way: rows[way][f"{stage}.{shifts}.{name}"]["mean"] for way in rows}
            for shifts in ("circular", "crop")
            for name in ("consistency", "kappa", "flips")
        }
        assert numbers["circular.consistency"]["adaptive"] == 1.0
        assert numbers["circular.flips"]["adaptive"] == 0.0
        assert numbers["circular.consistency"]["max"] < 1.0
        assert numbers["circular.flips"]["max"] > 0.0
        # Under crops no sampling is exact, and chance counts against all.
        assert numbers["crop.consistency"]["adaptive"] < 1.0
        for each in ("circular", "crop"):
            assert numbers[f"{each}.kappa"]["max"] < numbers[f"{each}.consistency"]["max"]
    before, after = results["pooling"]["before"], results["pooling"]["after"]
    assert [round(value, 6) for value in before["pooled"]] == [1.0, 1.0, 1.0, 0.2]
    assert [round(value, 6) for value in after["pooled"]] == [0.3, 1.0, 1.0, 1.0]
    assert (results["shifts"], results["shifted_images"]) == (4, 20)
    assert "<h2>Provenance</h2>" in (run_directory / "report.html").read_text("utf-8")


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, ["shift_invariance", "smoke"])
    assert "downsampling=adaptive, border=circular, readout=max, seed=0" in said
    assert "downsampling=max" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--features", "1", "2", "3", "4"], "features must be of 1 to 3 layers, got (1, 2, 3, 4)"),
        (["--downsampling", "max", "max"], "downsampling must be at least one, each once, got"),
        (["--shifted-images", "0"], "shifted_images must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.main(["shift_invariance", *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())

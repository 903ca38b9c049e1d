"""The study of downsampling: what each network sees, what the page shows, and its smallest run."""

import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import symmetry, tasks
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import shift_invariance
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

WAYS = ("max", "average", "strided", "blur", "adaptive", "learnable")
CONFIG = shift_invariance.Config(
    downsampling=WAYS,
    seeds=(0, 1),
    features=(2,),
    shifted_images=3,
    train=TrainConfig(steps=1, batch_size=4),
)


def stage_of(params, initial):
    """Whether parameters are those before training, or those that the fake training makes."""
    trained = jax.tree.map(lambda leaf: SCALE * leaf + SHIFT, initial)
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
    "before": {"consistency": 0.5, "flips": 0.5, "worst_case": 0.0},
    "after": {
        "consistency": (1 + (9 + 1) / 16 + 1) / 3,
        "flips": (0 + 4 / 8 + 0) / 3,
        "worst_case": 1 / 3,
    },
}


def test_each_network_is_measured_before_and_after_its_training(watch, tmp_path, monkeypatch):
    task = tasks.on_canvas("digits")
    given = []

    def classes_over_shifts(classify, images, shifts, variables):
        call = watch.trained[-1]
        initial = call.network.initial(call.factors["seed"])
        given.append((call.factors, stage_of(variables["params"], initial.params)))
        np.testing.assert_array_equal(images, task.place(task.test.images[:3]))
        assert shifts == 2
        expected = call.network.model.apply(variables, images)
        np.testing.assert_allclose(classify(images, variables), expected, rtol=1e-5)
        return predicted(task.test.labels[:3], given[-1][1])

    monkeypatch.setattr(symmetry, "classes_over_shifts", classes_over_shifts)
    found = watch.run(shift_invariance, CONFIG, tmp_path / "run")
    expected = [{"downsampling": way, "seed": seed} for way in WAYS for seed in (0, 1)]
    assert [call.factors for call in watch.trained] == expected
    assert given == [(cell, stage) for cell in expected for stage in ("before", "after")]
    assert len(watch.evaluated) == len(expected)
    for call, row in zip(watch.trained, found.rows, strict=True):
        assert call.values == {}
        model = call.network.model
        assert (model.downsampling, model.features, model.readout) == (
            row["downsampling"],
            (2,),
            "max",
        )
        evaluated = watch.evaluation(row["accuracy"])
        assert (evaluated.seed, evaluated.trained, evaluated.split) == (row["seed"], True, "test")
        assert evaluated.values == {}
        assert row["accuracy"] == evaluated.accuracy
        for stage, numbers in NUMBERS.items():
            assert {name: row[f"{stage}.{name}"] for name in numbers} == pytest.approx(numbers)


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = Record.open(tmp_path / "run", CONFIG)
    names = ("accuracy", *(f"{stage}.{name}" for stage, each in NUMBERS.items() for name in each))
    numbers = {
        "max": (0.91, 0.82, 0.33, 0.14, 0.75, 0.26, 0.47),
        "adaptive": (0.93, 1.0, 0.01, 0.15, 0.99, 0.02, 0.48),
    }
    for cell in record.each(downsampling=tuple(numbers), seed=(0, 1, 2)):
        # Std 0.01: half of the interval is 4.303 / sqrt(3) times as much, 2 percent.
        spread = (cell["seed"] - 1) * 0.01
        means = dict(zip(names, numbers[cell["downsampling"]], strict=True))
        record.observe(
            cell, **{name: mean + spread * (name == "accuracy") for name, mean in means.items()}
        )
    record.write_task("digits", tasks.on_canvas("digits").facts())
    shift_invariance.page(record.observations(), record)
    assert pages.lead(record.directory) == (
        "Pairs of shifts at which a trained network predicts the same class: "
        "max 75.00 %, adaptive 99.00 %."
    )
    rows, book = pages.tables(record.directory)
    assert rows == [
        {
            "downsampling": way,
            "accuracy (%)": f"{100 * numbers[way][0]:.0f} ± 2",
            "consistency before (%)": f"{before} ± 0",
            "after (%)": f"{after} ± 0",
            "class changed by one pixel, after (%)": f"{flips} ± 0",
            "correct at every shift, after (%)": f"{worst} ± 0",
        }
        for way, before, after, flips, worst in (
            ("max", "82.0", "75.0", "26.0", "47.0"),
            ("adaptive", "100", "99.0", "2.00", "48.0"),
        )
    ]
    ((((series, _)), options),) = drawn
    assert options["limits"] == (pytest.approx(65), 100)
    assert {
        way: {name: round(summary.mean, 9) for name, summary in row.items()}
        for way, row in series.items()
    } == {
        "max": {"before training": 0.82, "after training": 0.75},
        "adaptive": {"before training": 1.0, "after training": 0.99},
    }
    # Figure 9.8 of the book: every detector changes, half of the maxima do.
    assert [tuple(row.values()) for row in book] == [
        ("as it was", "0.1 1.0 0.2 0.1", "1.0 1.0 1.0 0.2"),
        ("shifted by one", "0.3 0.1 1.0 0.2", "0.3 1.0 1.0 1.0"),
    ]
    page = (record.directory / "report.md").read_text("utf-8")
    assert "The shift changes 4 of 4 detectors and 2 of 4 maxima." in page
    assert "all else on 3 of them at 2 x 2 shifts" in page
    assert "ean ± 95 % interval over 3 seeds" in page


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("shift_invariance") / "run"
    assert launch.main(["shift_invariance", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_adaptive_sampling_is_exactly_consistent_and_max_pooling_is_not(run_directory):
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    rows = {row["downsampling"]: row for row in results["rows"]}
    for stage in ("before", "after"):
        assert rows["adaptive"][f"{stage}.consistency"]["mean"] == 1.0
        assert rows["adaptive"][f"{stage}.flips"]["mean"] == 0.0
        assert rows["max"][f"{stage}.consistency"]["mean"] < 1.0
        assert rows["max"][f"{stage}.flips"]["mean"] > 0.0
    before, after = results["pooling"]["before"], results["pooling"]["after"]
    assert [round(value, 6) for value in before["pooled"]] == [1.0, 1.0, 1.0, 0.2]
    assert [round(value, 6) for value in after["pooled"]] == [0.3, 1.0, 1.0, 1.0]
    assert (results["shifts"], results["shifted_images"]) == (4, 20)
    assert "<h2>Provenance</h2>" in (run_directory / "report.html").read_text("utf-8")


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, ["shift_invariance", "smoke"])
    assert "downsampling=adaptive, seed=0" in said
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

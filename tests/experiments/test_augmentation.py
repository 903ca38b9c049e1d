"""The study of augmentation: its data, what each network sees, the page, its smallest run."""

import csv
import dataclasses
import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.data.augmentation import augment
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.rotated_backgrounds import rotated_backgrounds
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import augmentation
from tests.experiments import pages

ANGLES = 8
CONFIG = augmentation.Config(
    kinds=("none", "rotation", "cutout"),
    backgrounds=("flat", "noise"),
    train_digits=20,
    cue_images=16,
    seeds=(0, 1),
    train=TrainConfig(steps=3, batch_size=4),
)


def test_moves_are_all_kinds_that_move_pixels_and_every_kind_changes_its_own():
    assert augmentation.AMOUNTS["moves"] == {
        "rotation": 20.0,
        "translation": 0.1,
        "rescale": 1.2,
        "zoom": 1.1,
        "shear": 15.0,
        "elastic": 1.0,
    }
    nothing = Augmentation()
    for kind, amounts in augmentation.AMOUNTS.items():
        assert (Augmentation(**amounts) == nothing) == (kind == "none")
        assert "fill" not in amounts


def test_a_network_of_the_cue_sees_its_background_and_padding_alone(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "CUE_TEST_IMAGES", 24)
    config = dataclasses.replace(CONFIG, kinds=("none",))
    found = watch.run(augmentation, config, tmp_path / "run").where(part="cue")
    expected = [
        {"part": "cue", "background": background, "padding": padding, "seed": seed}
        for background in ("flat", "noise")
        for padding in ("zeros", "grey", "edge", "reflect", "circular")
        for seed in (0, 1)
    ]
    calls = watch.trained[: len(expected)]
    assert [call.factors for call in calls] == expected
    for call, row in zip(calls, found.rows, strict=True):
        task, network = call.network.task, call.network
        assert call.values == {}
        assert (network.model.classes, network.model.features) == (ANGLES, (16, 32))
        assert network.training is calls[0].network.training
        assert network.training.config == CONFIG.train
        padding = augmentation.PADDINGS[row["padding"]]
        made = rotated_backgrounds(row["background"], 16, 24, **padding)
        for split, expected in ((task.train, made.train), (task.test, made.test)):
            np.testing.assert_array_equal(split.images, expected.images)
            np.testing.assert_array_equal(split.labels, expected.labels)
        evaluated = watch.evaluation(row["accuracy"])
        assert evaluated.network.task is task
        assert (evaluated.seed, evaluated.trained) == (row["seed"], True)
        assert (evaluated.split, evaluated.repeats, evaluated.values) == ("test", 1, {})
        assert "accuracy_moved" not in row
    seen = np.asarray(calls[0].network.task.augment(np.array([[0, 127, 255]], np.uint8), None, {}))
    np.testing.assert_allclose(seen, [[-2.5, (127 / 255 - 0.5) / 0.2, 2.5]], atol=1e-6)


def test_a_network_of_digits_learns_from_its_augmentation_and_fill(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "CUE_TEST_IMAGES", 24)
    config = dataclasses.replace(CONFIG, backgrounds=("flat",))
    found = watch.run(augmentation, config, tmp_path / "run").where(part="digits")
    amounts = {"none": {}, "rotation": {"rotation": 20.0}, "cutout": {"cutout": 6}}
    expected = [
        {"part": "digits", "augmentation": kind, "fill": fill, "seed": seed}
        for kind, fill in (
            ("none", "grey"),
            ("rotation", "grey"),
            ("rotation", "zeros"),
            ("cutout", "grey"),
            ("cutout", "zeros"),
        )
        for seed in (0, 1)
    ]
    calls = watch.trained[-len(expected) :]
    assert [call.factors for call in calls] == expected
    keys = jax.random.split(jax.random.key(0), 4)
    for call, row in zip(calls, found.rows, strict=True):
        task, network = call.network.task, call.network
        assert call.values == {}
        assert (network.model.classes, network.model.features) == (10, (16, 32, 64))
        assert network.training.config == CONFIG.train
        level = {"grey": 0.5, "zeros": 0.0}[row["fill"]]
        images = np.repeat(task.train.images[:1], 4, 0)
        by_hand = augment(
            task.place(images), keys, Augmentation(**amounts[row["augmentation"]], fill=level)
        )
        np.testing.assert_allclose(task.augment(images, keys, {}), by_hand, atol=1e-6)
        (samples,) = found.where(**call.factors).array("samples")
        np.testing.assert_allclose(samples, np.asarray(by_hand)[..., 0], atol=1e-3)
        assert samples.min() == pytest.approx(0 if row["fill"] == "zeros" else 0.5, abs=1e-3)
        assert len(task.train) == 20
        evaluated = [watch.evaluation(row[name]) for name in ("accuracy", "accuracy_moved")]
        assert [each.values for each in evaluated] == [{}, {"moved": 1}]
        for each in evaluated:
            assert each.network.task is task
            assert (each.seed, each.trained) == (row["seed"], True)
            assert (each.split, each.repeats) == ("test", 1)
    trainings = [call.network.training for call in calls]
    assert all(first is second for first, second in zip(trainings[::2], trainings[1::2]))
    assert len({id(training) for training in trainings}) == 5


def made(directory, kinds):
    """A record whose accuracies tell where they are from, three seeds."""
    record = Record.open(directory, augmentation.Config(kinds=kinds, seeds=(0, 1, 2)))
    paddings = tuple(augmentation.PADDINGS)
    cues = record.each(part="cue", background=("flat", "noise"), padding=paddings, seed=(0, 1, 2))
    for cell in cues:
        place = 10 * (cell["background"] == "noise") + paddings.index(cell["padding"])
        record.observe(cell, accuracy=(200 + 30 * place + 10 * (cell["seed"] - 1)) / 1000)
    fills = [
        {"augmentation": kind, "fill": fill}
        for kind in kinds
        for fill in ("grey", "zeros")
        if fill == "grey" or kind != "none"
    ]
    for cell in record.each(part="digits", condition=fills, seed=(0, 1, 2)):
        place = 2 * kinds.index(cell["augmentation"]) + (cell["fill"] == "zeros")
        values = (400 + 50 * place, 300 - 50 * place)
        first, second = (value + 10 * (cell["seed"] - 1) for value in values)
        level = 0.1 * place + 0.05 * cell["seed"]
        record.observe(
            cell,
            accuracy=first / 1000,
            accuracy_moved=second / 1000,
            samples=level + np.arange(4).reshape(4, 1, 1) / 100 * np.ones((4, 2, 2)),
        )
    for task in (
        tasks.standardised(rotated_backgrounds("flat", 4, 4)),
        tasks.digits_on_grey(Augmentation(), Augmentation(), train_digits=20),
    ):
        record.write_task(task.dataset.name, task.facts())
    return record


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = made(tmp_path / "run", ("rotation", "none", "elastic"))
    augmentation.page(record.observations(), record)
    # Half of the interval: 4.303 (Student's t, 2 degrees of freedom) times 1 / sqrt(3).
    assert pages.lead(record.directory) == (
        "Accuracy of the predicted angle (chance 12.5 %), by background and padding: "
        "flat, zeros: 20 ± 2 %; flat, grey: 23 ± 2 %; flat, edge: 26 ± 2 %; "
        "flat, reflect: 29 ± 2 %; flat, circular: 32 ± 2 %; "
        "noise, zeros: 50 ± 2 %; noise, grey: 53 ± 2 %; noise, edge: 56 ± 2 %; "
        "noise, reflect: 59 ± 2 %; noise, circular: 62 ± 2 %. "
        "Accuracy on moved test digits, by augmentation with grey new pixels: "
        "rotation: 30 ± 2 %; none: 20 ± 2 %; elastic: 10 ± 2 %."
    )
    (rows,) = pages.tables(record.directory)
    headings = ("augmentation", "new pixels", "accuracy (%)", "accuracy, moved (%)")
    assert [tuple(row[name] for name in headings) for row in rows] == [
        ("rotation", "grey", "40 ± 2", "30 ± 2"),
        ("rotation", "zeros", "45 ± 2", "25 ± 2"),
        ("none", "grey", "50 ± 2", "20 ± 2"),
        ("elastic", "grey", "60 ± 2", "10 ± 2"),
        ("elastic", "zeros", "65 ± 2", "5 ± 2"),
    ]
    (((series, _), options),) = drawn
    assert options["reference"] == ("chance", 12.5)
    shown = {name: next(iter(row.values())).mean for name, row in series.items()}
    assert shown["flat, zeros"] == pytest.approx(0.2)
    assert shown["noise, circular"] == pytest.approx(0.62)
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert {row["part"] for row in results["rows"]} == {"cue", "digits"}
    assert results["rows"][0]["accuracy"]["mean"] == pytest.approx(0.2)
    assert results["rows"][-1]["accuracy_moved"]["mean"] == pytest.approx(0.05)
    assert results["tasks"]["digits"]["train_examples"] == 20
    lines = (record.directory / "observations.csv").read_text("utf-8").splitlines()
    blank = next(csv.DictReader(lines))
    assert (blank["augmentation"], blank["fill"], blank["accuracy_moved"]) == ("", "", "")


def test_samples_stand_in_the_row_of_their_kind_left_grey_right_zeros(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "image_rows")
    kinds = ("rotation", "none", "elastic")
    record = made(tmp_path / "run", kinds)
    augmentation.page(record.observations(), record)
    (((rows,), options),) = drawn
    assert options == {"limits": (0, 1)}
    assert tuple(rows) == kinds
    for number, (kind, row) in enumerate(rows.items()):
        assert [image is None for image in row] == [False] * 4 + ([True] + [False] * 4) * (
            kind != "none"
        )
        levels = [image[0, 0] for image in row if image is not None]
        expected = 0.2 * number + np.arange(4) / 100
        np.testing.assert_allclose(levels[:4], expected, atol=1e-9)
        np.testing.assert_allclose(levels[4:], (expected + 0.1)[: len(levels) - 4], atol=1e-9)


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("augmentation") / "run"
    assert launch.main(["augmentation", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_the_smallest_run_shows_that_only_zeros_give_the_angle_away(run_directory):
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    rows = results["rows"]
    told = {row["padding"]: row["accuracy"]["mean"] for row in rows if row["part"] == "cue"}
    # All images are alike: one class is guessed, which about one in eight has.
    for padding in ("grey", "edge", "reflect", "circular"):
        assert 0.05 < told[padding] < 0.2
        assert told["zeros"] > told[padding] + 0.05
    assert [(row["augmentation"], row["fill"]) for row in rows if row["part"] == "digits"] == [
        ("none", "grey"),
        ("rotation", "grey"),
        ("rotation", "zeros"),
    ]
    page = (run_directory / "report.html").read_text("utf-8")
    for heading in ("The cue", "What augmentation buys"):
        assert f"<h2>{heading}</h2>" in page
    assert len(list((run_directory / "figures").glob("*.png"))) == 2


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    """The last cell of each grid is gone."""
    said = complete_again(run_directory, ["augmentation", "smoke"], [4, -1])
    assert "padding=circular" in said
    assert "padding=reflect" not in said
    assert "fill=zeros" in said
    assert "augmentation=none" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "rotation", "rotation"], "each once"),
        (["--kinds", "turn"], "turn"),
        (["--backgrounds", "stripes"], "stripes"),
        (["--train-digits", "0"], "train_digits must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["augmentation", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not directory.exists()

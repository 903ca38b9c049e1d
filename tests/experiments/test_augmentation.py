"""The study of augmentation: its data, what each network sees, the page, its smallest run."""

import csv
import dataclasses
import json
import math

import jax
import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.data.augmentation import augment
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.data.rotated_backgrounds import rotated_backgrounds
from cnnjax.report import format_interval, format_summary
from cnnjax.run.record import Record
from cnnjax.run.statistics import bootstrap_interval, summarize
from cnnjax.train.config import TrainConfig
from experiments import augmentation
from tests.experiments import pages

ANGLES = 8
CONFIG = augmentation.Config(
    kinds=("none", "rotation", "cutout"),
    paddings=("zeros", "reflect"),
    train_digits=20,
    cue_images=16,
    seeds=(0, 1),
    train=TrainConfig(steps=3, batch_size=4),
)


def test_every_kind_changes_its_own():
    nothing = Augmentation()
    for kind, amounts in augmentation.AMOUNTS.items():
        assert (Augmentation(**amounts) == nothing) == (kind == "none")
        assert "fill" not in amounts
        if kind in augmentation.MOVES:
            assert list(amounts) == [kind]
    assert tuple(augmentation.AMOUNTS["moves"]) == augmentation.MOVES
    assert tuple(augmentation.TEST_MOVES) == augmentation.MOVES[:-1]


MOVED = {**{move: augmentation.AMOUNTS[move] for move in augmentation.MOVES},
         "moves": augmentation.AMOUNTS["moves"], "test": augmentation.TEST_MOVES}  # fmt: skip


@pytest.mark.parametrize("kind", MOVED)
def test_every_move_moves_the_pixels_of_a_digit_alike(kind):
    """Images of their own coordinates, on a canvas of 24, tell where each pixel comes from."""
    places = np.stack(np.meshgrid(np.arange(24.0), np.arange(24.0), indexing="ij"), -1)
    keys = jax.random.split(jax.random.key(0), 1500)
    images = jax.numpy.broadcast_to(jax.numpy.asarray(places, "float32"), (1500, 24, 24, 2))
    augmentation_of = Augmentation(**MOVED[kind], border="reflect")
    come_from = np.asarray(jax.jit(lambda x: augment(x, keys, augmentation_of))(images))
    distance = ((come_from - places) ** 2).sum(-1)[:, 4:20, 4:20]
    assert np.sqrt(distance.mean()) == pytest.approx(augmentation.PIXELS, rel=0.08)


def test_a_network_of_the_cue_sees_its_background_and_padding_alone(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "CUE_TEST_IMAGES", 24)
    config = dataclasses.replace(CONFIG, kinds=("none",), seeds=(0, 3))
    found = watch.run(augmentation, config, tmp_path / "run").where(part="cue")
    expected = [
        {"part": "cue", "padding": padding, "seed": seed}
        for padding in ("zeros", "reflect")
        for seed in (0, 3)
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
        made = rotated_backgrounds("noise", 16, 24, seed=row["seed"], **padding)
        for split, expected in ((task.train, made.train), (task.test, made.test)):
            np.testing.assert_array_equal(split.images, expected.images)
            np.testing.assert_array_equal(split.labels, expected.labels)
        evaluated = watch.evaluation(row["accuracy"])
        assert evaluated.network.task is task
        assert (evaluated.seed, evaluated.trained) == (row["seed"], True)
        assert (evaluated.split, evaluated.repeats, evaluated.values) == ("test", 1, {})
        assert "accuracy_moved.grey" not in row
    seen = np.asarray(calls[0].network.task.augment(np.array([[0, 127, 255]], np.uint8), None, {}))
    np.testing.assert_allclose(seen, [[-2.5, (127 / 255 - 0.5) / 0.2, 2.5]], atol=1e-6)


def test_a_network_of_digits_learns_from_its_augmentation_and_fill(watch, tmp_path, monkeypatch):
    monkeypatch.setattr(augmentation, "CUE_TEST_IMAGES", 24)
    config = dataclasses.replace(CONFIG, paddings=("zeros",))
    found = watch.run(augmentation, config, tmp_path / "run").where(part="digits")
    amounts = {"none": {}, "cutout": {"cutout": 6}}
    amounts["rotation"] = {"rotation": math.degrees(1.5 * math.sqrt(3) / (16 / math.sqrt(6)))}
    drawn = {}
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
        # Other digits for another seed, the same ones in every condition.
        kept = drawn.setdefault(row["seed"], task.train.images)
        np.testing.assert_array_equal(task.train.images, kept)
        names = ("accuracy", "accuracy_moved.grey", "accuracy_moved.zeros")
        evaluated = [watch.evaluation(row[name]) for name in names]
        assert [each.values for each in evaluated] == [{"moved": number} for number in range(3)]
        own = found.where(**call.factors)
        for name in names:
            (correct,) = own.array(name.replace("accuracy", "correct"))
            assert correct.shape == (360,)
            assert correct.mean() == row[name]
        for each in evaluated:
            assert each.network.task is task
            assert (each.seed, each.trained) == (row["seed"], True)
            assert (each.split, each.repeats) == ("test", 1)
    digits = [{image.tobytes() for image in images} for images in drawn.values()]
    assert len(digits) == 2
    assert len(digits[0] & digits[1]) < 5
    task = calls[0].network.task
    images = task.test.images[:3]
    for moved, level in ((1, 0.5), (2, 0.0)):
        seen = task.augment_test(images, keys[:3], {"moved": jax.numpy.array(moved)})
        ways = Augmentation(**augmentation.TEST_MOVES, fill=level)
        np.testing.assert_allclose(seen, augment(task.place(images), keys[:3], ways), atol=1e-6)
    trainings = [call.network.training for call in calls]
    assert all(first is second for first, second in zip(trainings[::2], trainings[1::2]))
    assert len({id(training) for training in trainings}) == 5


NUMBERS = {
    "as they are (%)": "accuracy",
    "moved, grey (%)": "accuracy_moved.grey",
    "moved, zeros (%)": "accuracy_moved.zeros",
}


IMAGES = {"as they are": "correct", "moved, grey": "correct_moved.grey"}


def with_interval(values):
    return format_interval(values.mean(), bootstrap_interval(values), 100)


def made(directory, kinds):
    """A record of random accuracies, three seeds, and samples that tell where they are from."""
    record = Record.open(directory, augmentation.Config(kinds=kinds, seeds=(0, 1, 2)))
    rng = np.random.default_rng(0)
    for cell in record.each(part="cue", padding=("zeros", "edge"), seed=(0, 1, 2)):
        record.observe(cell, accuracy=rng.uniform())
    fills = [
        {"augmentation": kind, "fill": fill}
        for kind in kinds
        for fill in ("grey", "zeros")
        if fill == "grey" or kind != "none"
    ]
    for cell in record.each(part="digits", condition=fills, seed=(0, 1, 2)):
        place = 2 * kinds.index(cell["augmentation"]) + (cell["fill"] == "zeros")
        level = 0.1 * place + 0.05 * cell["seed"]
        record.observe(
            cell,
            **{name: rng.uniform() for name in NUMBERS.values()},
            **{name: rng.uniform(size=6) for name in IMAGES.values()},
            samples=level + np.arange(4).reshape(4, 1, 1) / 100 * np.ones((4, 2, 2)),
        )
    for task in (
        tasks.standardised(rotated_backgrounds("flat", 4, 4)),
        tasks.digits_on_grey(Augmentation(), (Augmentation(),), train_digits=20),
    ):
        record.write_task(task.dataset.name, task.facts())
    return record


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = made(tmp_path / "run", ("rotation", "none", "elastic"))
    found = record.observations()
    augmentation.page(found, record)

    def mean(number, **where):
        return format_summary(summarize(found.where(**where).column(number)), 100)

    cues = {name: mean("accuracy", part="cue", padding=name) for name in ("zeros", "edge")}
    kinds = [
        f"{kind} {mean('accuracy_moved.grey', augmentation=kind, fill='grey')} and "
        f"{mean('accuracy', augmentation=kind, fill='grey')} %"
        for kind in ("rotation", "none", "elastic")
    ]
    assert pages.lead(record.directory) == (
        "Accuracy of the predicted angle (chance 12.5 %), by padding: "
        + ", ".join(f"{name} {value} %" for name, value in cues.items())
        + ". Accuracy on moved test digits, and on the same as they are, by augmentation with grey "
        f"new pixels: {'; '.join(kinds)}."
    )
    rows, by_kind, by_fill, of_images = pages.tables(record.directory)
    conditions = [("rotation", "grey"), ("rotation", "zeros"), ("none", "grey"),
                  ("elastic", "grey"), ("elastic", "zeros")]  # fmt: skip
    assert [(row["augmentation"], row["new pixels in training"]) for row in rows] == conditions
    for row, (kind, fill) in zip(rows, conditions, strict=True):
        for heading, number in NUMBERS.items():
            assert row[heading] == mean(number, augmentation=kind, fill=fill)

    def difference(number, one, other):
        both = [found.where(**each).column(number) for each in (one, other)]
        return format_summary(summarize(both[0] - both[1]), 100)

    assert [row["augmentation"] for row in by_kind] == ["rotation", "elastic"]
    for row in by_kind:
        one, other = ({"augmentation": k, "fill": "grey"} for k in (row["augmentation"], "none"))
        for heading, number in NUMBERS.items():
            assert row[heading] == difference(number, one, other)
    assert [(row["augmentation"], row["new pixels in training"]) for row in by_fill] == [
        ("rotation", "zeros"),
        ("elastic", "zeros"),
    ]
    for row in by_fill:
        one, other = ({"augmentation": row["augmentation"], "fill": f} for f in ("zeros", "grey"))
        for heading, number in NUMBERS.items():
            assert row[heading] == difference(number, one, other)
    assert [row["augmentation"] for row in of_images] == ["rotation", "none", "elastic"]
    for row in of_images:
        for heading, name in IMAGES.items():
            own, none = (
                found.where(augmentation=kind, fill="grey").array(name)
                for kind in (row["augmentation"], "none")
            )
            assert row[f"{heading} (%)"] == with_interval(own)
            change = "–" if row["augmentation"] == "none" else with_interval(own - none)
            assert row[f"{heading}, minus none (points)"] == change
    (((series, _), options),) = drawn
    assert options["reference"] == ("chance", 12.5)
    for name in ("zeros", "edge"):
        (shown,) = series[name].values()
        assert shown.mean == found.where(padding=name).column("accuracy").mean()
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert {row["part"] for row in results["rows"]} == {"cue", "digits"}
    assert results["tasks"]["digits"]["train_examples"] == 20
    assert [len(each["differences"] or {}) for each in results["over_images"]] == [2, 0, 2]
    lines = (record.directory / "observations.csv").read_text("utf-8").splitlines()
    blank = next(csv.DictReader(lines))
    assert (blank["augmentation"], blank["fill"], blank["accuracy_moved.grey"]) == ("", "", "")


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
    assert list(told) == ["zeros", "circular"]
    assert told["zeros"] > told["circular"] + 0.2
    assert [(row["augmentation"], row["fill"]) for row in rows if row["part"] == "digits"] == [
        ("rotation", "grey"),
        ("rotation", "zeros"),
    ]
    page = (run_directory / "report.html").read_text("utf-8")
    for heading in ("The cue", "What augmentation buys"):
        assert f"<h2>{heading}</h2>" in page
    assert len(list((run_directory / "figures").glob("*.png"))) == 2


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    """The last cell of each grid is gone."""
    said = complete_again(run_directory, ["augmentation", "smoke"], [1, -1])
    assert "padding=circular" in said
    assert "padding=zeros" not in said
    assert "fill=zeros" in said
    assert "fill=grey" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--kinds", "rotation", "rotation"], "each once"),
        (["--kinds", "turn"], "turn"),
        (["--paddings", "stripes"], "stripes"),
        (["--train-digits", "9999"], "train_digits must be at most 1198, got 9999"),
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

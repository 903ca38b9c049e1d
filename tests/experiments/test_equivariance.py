"""The main study: what each cell trains and measures, what the page says, how a run continues."""

import csv
import dataclasses
import json
import shutil

import numpy as np
import pytest

import launch
from cnnjax import symmetry
from cnnjax.models.choice import Convolution
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import equivariance
from experiments.equivariance import Config
from tests.experiments.smallest import LOGIT_IMAGES, SIDE, WORDS

pytestmark = pytest.mark.usefixtures("few_test_images")

SMALL = ["equivariance", "smoke", *WORDS]
SMOKE = dataclasses.replace(equivariance.PRESETS["smoke"], canvas=SIDE, logit_images=LOGIT_IMAGES)


@pytest.fixture(scope="module")
def run_directory(few_test_images, tmp_path_factory):
    directory = tmp_path_factory.mktemp("study") / "run"
    assert launch.main([*SMALL, "--workdir", str(directory)]) == 0
    return directory


def results_of(directory):
    return json.loads((directory / "results.json").read_text("utf-8"))


def rows_of(directory):
    text = (directory / "observations.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))


def test_every_cell_trains_and_evaluates_what_its_factors_say(watch, tmp_path):
    config = Config(
        conv=(Convolution("standard"), Convolution("local")),
        seeds=(3, 5),
        features=(2, 2),
        strides=(1, 2),
        kernel_size=3,
        canvas=SIDE,
        error_images=1,
        logit_images=2,
        translations=3,
        rate_factors={"local": 3},
        train=TrainConfig(steps=7, batch_size=64, learning_rate=0.01),
    )
    found = watch.run(equivariance, config, tmp_path, page=False)
    assert len(found) == 2 * 3 * 2
    trained = [
        (str(call.factors["conv"]), call.factors["training"], call.factors["seed"], call.values)
        for call in watch.trained
    ]
    assert trained == [
        (conv, training, seed, {"translation": positions})
        for conv in ("standard", "local")
        for training, positions in (("centred", 1), ("translated", SIDE))
        for seed in (3, 5)
    ]
    for call in watch.trained:
        rate = {"standard": 0.01, "local": 0.03}[str(call.factors["conv"])]
        assert call.network.training.config == dataclasses.replace(config.train, learning_rate=rate)
        made = call.network.model.conv.func.__name__
        assert made == {"standard": "Conv", "local": "LocalConv"}[str(call.factors["conv"])]
        assert found.where(**call.factors).rows[0]["learning_rate"] == rate
    for row in found.rows:
        centred = watch.evaluation(row["accuracy_centred"])
        translated = watch.evaluation(row["accuracy_translated"])
        assert (centred.repeats, centred.values) == (1, {})
        assert (translated.repeats, translated.values) == (3, {"translation": SIDE})
        for call in (centred, translated):
            assert call.split == "test"
            assert call.seed == row["seed"]
            assert call.trained == (row["training"] != "none")
            name = call.network.model.conv.func.__name__
            assert name == {"standard": "Conv", "local": "LocalConv"}[row["conv"]]


def test_learning_rates_are_chosen_on_translated_validation_images(watch, tmp_path):
    config = dataclasses.replace(SMOKE, tune=True, rate_factors={"standard": 7.0})
    found = watch.run(equivariance, config, tmp_path)
    rates = (0.00333, 0.01, 0.03)
    assert [
        (str(call.factors["conv"]), call.network.training.config.learning_rate, call.values)
        for call in watch.trained
    ] == [
        (conv, rate, {"translation": SIDE})
        for conv in ("standard", "tiled(tile=2)")
        for rate in rates
        for _ in range(2)
    ]
    assert {call.factors["seed"] for call in watch.trained} == {1000, 1001}
    for row, trained in zip(found.rows, watch.trained, strict=True):
        call = watch.evaluation(row["accuracy"])
        assert (call.split, call.repeats, call.values) == ("validation", 4, {"translation": SIDE})
        assert (call.seed, call.trained, call.network) == (row["seed"], True, trained.network)
    # The last network of an arm is the best here, since every call gives more than the one before.
    results = results_of(tmp_path)
    assert results["rate_factors"] == {"standard": 3, "tiled(tile=2)": 3}
    call = watch.trained[-1]
    call.evaluate(call.network.initial(1001))
    assert watch.evaluated[-1].split == "validation"


def test_change_of_the_logits_is_in_units_of_that_between_test_images(watch, tmp_path):
    config = dataclasses.replace(SMOKE, conv=(Convolution("tiled", {"tile": 2}),))
    found = watch.run(equivariance, config, tmp_path, page=False).where(training="none")
    network = watch.trained[0].network
    images = np.asarray(network.task.place(network.task.test.images[:LOGIT_IMAGES]))
    variables = {"params": network.initial(0).params}
    logits = np.asarray(network.logits(variables, images), np.float64)
    moved = np.asarray(network.logits(variables, np.roll(images, 3, 2)), np.float64)
    pairs = ((logits[:, None] - logits) ** 2).sum() / (LOGIT_IMAGES * (LOGIT_IMAGES - 1))
    expected = np.sqrt(((moved - logits) ** 2).sum() / LOGIT_IMAGES / pairs)
    changes = found.array("changes.shift")[0]
    assert changes[3] == pytest.approx(expected, rel=1e-4)
    assert changes[0] == 0
    assert changes[[4, 8, 12]].max() < 1e-4  # the lattice
    (row,) = found.rows
    assert row["change.shift"] == pytest.approx(changes[1:].mean())
    assert row["change.noise"] == pytest.approx(found.array("changes.noise")[0][1:].mean())


def test_errors_are_those_before_and_after_training_on_test_images(watch, tmp_path):
    tiled = Convolution("tiled", {"tile": 2})
    config = dataclasses.replace(SMOKE, conv=(tiled,), seeds=(0, 1))
    found = watch.run(equivariance, config, tmp_path, page=False)
    errors = {
        kind: found.where(training=kind).array("errors.conv1") for kind in equivariance.TRAINING
    }
    assert errors["none"].shape == (2, SIDE, SIDE)
    # Both kinds of training do the same here; seeds differ, and so do before and after.
    np.testing.assert_array_equal(errors["centred"], errors["translated"])
    assert np.abs(errors["none"] - errors["centred"]).max(axis=(1, 2)).min() > 1e-3
    assert np.abs(errors["none"][0] - errors["none"][1]).max() > 1e-3
    network = watch.trained[-1].network
    images = network.task.place(network.task.test.images[:2])
    variables = {"params": network.initial(1).params}
    expected = symmetry.errors_over_shifts(network.function("outputs"), images, variables)
    np.testing.assert_allclose(errors["none"][1], expected["conv1"], rtol=1e-5, atol=1e-6)


def made(values):
    """Observations of two convolutions, three kinds of training and two seeds, of a 4 x 4 canvas.

    `values(conv, training, seed)` gives the error of the layer off the lattice of step 2.
    """
    rows, arrays = [], {}
    for conv in ("standard", "tiled(tile=2)"):
        for training in equivariance.TRAINING:
            for seed in (0, 1):
                error = np.full((4, 4), values(conv, training, seed))
                error[::2, ::2] = 0
                row = {
                    "conv": conv,
                    "training": training,
                    "seed": seed,
                    "error.conv1": error.mean(),
                }
                rows.append(row)
                arrays[conv, training, seed] = error
    return rows, arrays


class Made(Observations):
    """Observations whose arrays are given, not read."""

    def __init__(self, rows, factors, arrays):
        super().__init__(rows, factors)
        self.arrays = arrays

    def where(self, **factors):
        kept = super().where(**factors)
        return Made(kept.rows, kept.factors, self.arrays)

    def array(self, name):
        kind = name.partition(".")[0]
        if kind != "errors":
            step = {"predicted": (2, 2), "alone_predicted": (2, 2), "alone_measured": (1, 1)}[kind]
            return np.array([step] * len(self.rows))
        return np.stack(
            [self.arrays[row["conv"], row["training"], row["seed"]] for row in self.rows]
        )


def test_the_result_of_a_layer_by_hand():
    level = {"none": 1.0, "centred": 0.5, "translated": 0.25}
    rows, arrays = made(lambda conv, training, seed: level[training] + 0.01 * seed)
    found = Made(rows, ("conv", "training", "seed"), arrays).where(conv="tiled(tile=2)")
    result = equivariance.layer_result(found, "conv1")
    assert result["predicted"] == result["measured"] == (2, 2)
    assert result["alone_measured"] == (1, 1)
    assert result["step"] == 2
    assert result["error_on"] == 0
    assert result["error_off"] == pytest.approx(1.005)
    assert result["error_off_translated"] == pytest.approx(0.255)
    shown = result["right"]["trained on translated images"]
    np.testing.assert_allclose(shown, [[0, 0.25, 0, 0.25], [0, 0.26, 0, 0.26]])


def test_a_shift_is_exact_only_where_it_is_so_for_every_seed_and_kind_of_training():
    rows, arrays = made(lambda conv, training, seed: float((training, seed) == ("centred", 1)))
    found = Made(rows, ("conv", "training", "seed"), arrays).where(conv="standard")
    assert equivariance.layer_result(found, "conv1")["measured"] == (2, 2)
    rows, arrays = made(lambda conv, training, seed: 0.0)
    found = Made(rows, ("conv", "training", "seed"), arrays).where(conv="standard")
    result = equivariance.layer_result(found, "conv1")
    assert result["measured"] == (1, 1)


def test_the_page_shows_each_number_under_its_heading(run_directory, tmp_path):
    shutil.copytree(run_directory, tmp_path / "copy")
    record = Record(tmp_path / "copy")
    found = Observations.read(record.directory)
    for number, row in enumerate(found.rows):
        row |= {"accuracy_centred": 0.11 + 0.1 * number, "accuracy_translated": 0.09 + 0.1 * number}
        row |= {"change.shift": 0.123 + number, "change.noise": 0.456 + number}
    equivariance.page(found, record)
    report = record.directory.joinpath("report.md").read_text("utf-8")
    assert "6 of 6 lattices are the predicted ones" in report
    lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in report.splitlines()]
    (heading,) = [line for line in lines if "accuracy, centred images (%)" in line]
    table = [dict(zip(heading, line)) for line in lines if len(line) == len(heading)]
    for number, row in enumerate(found.rows):
        words = equivariance.TRAINING[row["training"]]
        (shown,) = [
            each for each in table if each[heading[0]] == row["conv"] and words in each.values()
        ]
        assert float(shown["accuracy, centred images (%)"]) == pytest.approx(11 + 10 * number)
        assert float(shown["accuracy, translated images (%)"]) == pytest.approx(9 + 10 * number)
        shift, noise = shown["change of the logits by shifts"], shown["by noise of equal norm"]
        assert float(shift) == pytest.approx(0.123 + number, rel=5e-3)
        assert float(noise) == pytest.approx(0.456 + number, rel=5e-3)
        assert shown["learning rate"] == ("–" if row["training"] == "none" else "0.0100")
    (heading,) = [line for line in lines if "alone: predicted" in line]
    last = dict(
        zip(heading, next(line for line in lines if line[:2] == ["tiled(tile=2)", "conv2"]))
    )
    off = [last.pop(name) for name in ("mean off it, before", "after, translated")]
    assert all(float(error) > 0.1 for error in off)
    assert off[0] != off[1]
    assert float(last.pop("largest error on it").split()[0]) < 10
    assert list(last.values()) == ["tiled(tile=2)", "conv2", "4 x 4", "4 x 4", "4 x 4", "4 x 4"]


def test_the_run_leaves_what_it_promises(run_directory):
    names = {path.name for path in run_directory.iterdir()}
    assert names >= {
        "config.json",
        "environment.json",
        "metrics.jsonl",
        "networks",
        "task.json",
        "checkpoints",
        "observations.csv",
        "arrays",
        "results.json",
        "report.html",
        "report.md",
        "figures",
        "done",
    }
    assert len(list((run_directory / "figures").glob("*.png"))) == 3


def test_counts_of_the_smallest_networks_by_hand(run_directory):
    rows = rows_of(run_directory)
    assert [(row["conv"], row["training"]) for row in rows] == [
        (conv, training)
        for conv in ("standard", "tiled(tile=2)")
        for training in ("none", "centred", "translated")
    ]
    # 3x3 windows, 1 -> 4 -> 4 channels with biases, 10 classes; four times the kernels.
    classifier = 4 * 10 + 10
    convolutions = (9 * 1 * 4 + 4) + (9 * 4 * 4 + 4)
    for row in rows:
        kernels = 1 if row["conv"] == "standard" else 4
        assert int(row["parameters"]) == kernels * convolutions + classifier
        assert (
            int(row["multiply_adds"]) == SIDE**2 * 9 * 1 * 4 + (SIDE // 2) ** 2 * 9 * 4 * 4 + 4 * 10
        )


def test_speeds_are_beside_the_results(run_directory):
    timings = json.loads((run_directory / "timings.json").read_text("utf-8"))
    assert set(timings) == {
        f"{conv} {training} seed 0"
        for conv in ("standard", "tiled(tile=2)")
        for training in ("centred", "translated")
    }
    assert all(each["images_per_second"] > 0 for each in timings.values())
    assert "images_per_second" not in (run_directory / "results.json").read_text("utf-8")


def test_lattices_are_the_predicted_ones_and_errors_where_they_belong(run_directory):
    expected = {
        "standard": {"conv1": [1, 1], "conv2": [2, 2], "network": [2, 2]},
        "tiled(tile=2)": {"conv1": [2, 2], "conv2": [4, 4], "network": [4, 4]},
    }
    alone = {"standard": [[1, 1], [2, 2]], "tiled(tile=2)": [[2, 2], [4, 4]]}
    every = results_of(run_directory)["layers"]
    for conv in expected:
        layers = [layer for layer in every if layer["conv"] == conv]
        assert [layer["name"] for layer in layers] == list(expected[conv])
        for layer in layers:
            assert layer["predicted"] == layer["measured"] == expected[conv][layer["name"]]
            assert 0 <= layer["error_on"] <= 1e-5
        found = [layer["alone_measured"] for layer in layers[:-1]]
        assert found == [layer["alone_predicted"] for layer in layers[:-1]] == alone[conv]
        off = layers[0]["error_off"]
        assert off is None if conv == "standard" else off > 0.1


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    """One observation is gone: its training is restored, the others are not done again."""
    rows = [(row["conv"], row["training"]) for row in rows_of(run_directory)]
    lost = rows.index(("tiled(tile=2)", "centred"))
    said = complete_again(run_directory, SMALL, [lost])
    assert "conv=tiled(tile=2), training=centred, seed=0" in said
    assert "conv=standard" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--conv", "tilde"], "perhaps you meant 'tiled'"),
        (["--conv", "tiled", "--conv.tle", "2"], "perhaps you meant 'tile'"),
        (["--conv", "standard", "--conv.features", "3"], "'features'"),
        (["--conv", "standard", "--conv", "standard"], "each once"),
        (["--seeds", "1", "1"], "each once"),
        (["--kernel-size", "0"], "kernel_size must be at least 1, got 0"),
        (["--strides", "1"], "strides"),
        (["--canvas", "8"], "canvas"),
        (["--data", "digitz"], "digits"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["equivariance", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("|", " ").split())
    assert not directory.exists()

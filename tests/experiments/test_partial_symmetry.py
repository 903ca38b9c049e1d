"""The study of partial symmetry: what each cell trains and measures, what the page says."""

import dataclasses
import functools
import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.data.datasets import load
from cnnjax.models import ConvNet, OrientationNet
from cnnjax.report import format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import partial_symmetry
from experiments.partial_symmetry import Config, correct, sensitivity
from tests.experiments import pages

CONFIG = Config(
    networks=("p4", "z2"),
    digit=3,
    size=8,
    features=(2, 2),
    seeds=(3, 5),
    rate_factors={"digit z2": 3},
    train=TrainConfig(steps=7, batch_size=64),
)
CONDITIONS = [
    *((task, network) for task in ("orientation", "digit") for network in ("p4", "z2")),
    ("quadrant", "circular"),
    ("quadrant", "zero"),
]


class Measured:
    """Takes the place of what is measured of networks: nothing is compiled."""

    def __init__(self, monkeypatch):
        self.sensitivities, self.predictions = [], []
        monkeypatch.setattr(partial_symmetry, "sensitivity", self.sensitivity)
        monkeypatch.setattr(tasks, "predictions", self.predicted)

    def sensitivity(self, network, variables, poses):
        self.sensitivities.append((network, jax.device_get(variables), poses))
        return {"error": float(len(self.sensitivities)), "change": 2.0, "noise": 3.0}

    def predicted(self, network, state):
        """Every n-th test image is given the next class, n another one at every call."""
        self.predictions.append((network, state))
        labels = network.task.test.labels
        wrong = np.arange(len(labels)) % (len(self.predictions) + 1) == 0
        return np.eye(network.task.classes)[(labels + wrong) % network.task.classes], labels


def test_every_cell_trains_and_measures_what_its_factors_say(watch, monkeypatch, tmp_path):
    measured = Measured(monkeypatch)
    found = watch.run(partial_symmetry, CONFIG, tmp_path, page=False)
    cells = [(*condition, seed) for condition in CONDITIONS for seed in (3, 5)]
    factors = ("task", "network", "seed")
    assert [tuple(row[name] for name in factors) for row in found.rows] == cells
    assert [tuple(call.factors.values()) for call in watch.trained] == cells
    assert watch.evaluated == []
    digits = load("digits")
    threes = digits.test.images[digits.test.labels == 3]
    sensitivities = iter(enumerate(measured.sensitivities, start=1))
    for number, (row, call, (network, state)) in enumerate(
        zip(found.rows, watch.trained, measured.predictions, strict=True), start=1
    ):
        model, task = network.model, network.task
        assert call.network.model is model
        assert call.values == {}
        assert (int(state.step), int(state.seed)) == (7, row["seed"])
        rate = 3e-3 if (row["task"], row["network"]) == ("digit", "z2") else 1e-3
        assert network.training.config == dataclasses.replace(CONFIG.train, learning_rate=rate)
        assert row["learning_rate"] == rate
        size = sum(leaf.size for leaf in jax.tree.leaves(network.initial(0).params))
        assert row["parameters"] == size
        # Each test image in all poses; each n-th prediction is wrong.
        examples = len(task.test)
        poses, classes = {"orientation": (2, 2), "digit": (4, 10), "quadrant": (4, 40)}[row["task"]]
        upright = threes if row["task"] == "orientation" else digits.test.images
        assert (examples, task.classes) == (poses * len(upright), classes)
        wrong = -(-examples // (number + 1))
        assert row["accuracy"] == pytest.approx(1 - wrong / examples)
        if row["task"] == "quadrant":
            assert isinstance(model, ConvNet)
            assert model.padding == {"circular": "CIRCULAR", "zero": "SAME"}[row["network"]]
            assert task.shape == (16, 16, 1)
            assert "before.error" not in row
            continue
        assert task.shape == (8, 8, 1)
        channels = {"p4": 1, "z2": 2}[row["network"]]
        assert (model.layers, model.features) == (
            {"p4": "group", "z2": "plain"}[row["network"]],
            (2 * channels, 2 * channels),
        )
        np.testing.assert_array_equal(task.test.images[: len(upright)], upright)
        initial = jax.device_get(network.initial(row["seed"]).params)
        for stage, expected in (("before", initial), ("after", state.params)):
            order, (measuring, variables, given) = next(sensitivities)
            assert (measuring.model, given) == (model, poses)
            assert row[f"{stage}.error"] == order
            jax.tree.map(np.testing.assert_array_equal, variables["params"], expected)
    assert next(sensitivities, None) is None


def test_every_network_differs_from_p4_as_its_name_says():
    made = {
        name: partial_symmetry.make_model(Config(), "digit", name, 10)
        for name in partial_symmetry.NETWORKS
    }
    p4 = OrientationNet(10)
    assert made == {
        "p4": p4,
        "free": p4.clone(readout="free"),
        "relaxed": p4.clone(layers="relaxed", banks=2),
        "residual": p4.clone(layers="residual", prior=1.0),
        "residual_weak": p4.clone(layers="residual", prior=0.001),
        "z2": p4.clone(layers="plain", features=(16, 16, 32, 32)),
        "z2_wide": p4.clone(layers="plain", features=(32, 32, 64, 64)),
    }


def test_the_data_of_the_second_task_is_an_option(monkeypatch):
    asked = []
    for name in ("upright_or_rotated", "at_right_angles", "in_quadrants"):
        monkeypatch.setattr(
            tasks, name, lambda *given, name=name, **more: asked.append((name, *given, more))
        )
    config = Config(data="mnist", rotated_data="rotated_mnist", data_dir="there", size=28)
    for name in partial_symmetry.POSES:
        partial_symmetry.make_task(config, name)
    partial_symmetry.make_task(dataclasses.replace(config, rotated_data=None), "digit")
    assert asked == [
        ("upright_or_rotated", "mnist", "there", {"digit": 6, "size": 28}),
        ("at_right_angles", "rotated_mnist", "there", {"size": 28}),
        ("in_quadrants", "mnist", "there", {}),
        ("at_right_angles", "mnist", "there", {"size": 28}),
    ]


def test_learning_rates_are_chosen_on_validation_images_for_both_tasks(watch, tmp_path):
    config = dataclasses.replace(CONFIG, networks=("p4",), tune=True)
    found = watch.run(partial_symmetry, config, tmp_path)
    rates = (0.000333, 0.001, 0.003)
    assert [
        (row["task"], row["network"], row["learning_rate"], row["seed"]) for row in found.rows
    ] == [
        (task, "p4", rate, seed)
        for task in ("orientation", "digit")
        for rate in rates
        for seed in (1000, 1001)
    ]
    for row, trained in zip(found.rows, watch.trained, strict=True):
        call = watch.evaluation(row["accuracy"])
        assert (call.split, call.seed, call.trained) == ("validation", row["seed"], True)
        assert call.network.training is trained.network.training
        assert trained.network.training.config.learning_rate == row["learning_rate"]
        assert trained.network.task.classes == {"orientation": 2, "digit": 10}[row["task"]]
    page = (tmp_path / "report.md").read_text("utf-8")
    threes = len(watch.trained[0].network.task.validation)
    assert f"on 956 and {threes} validation images" in page


@functools.partial(jax.jit, static_argnums=0)
def answers(model, variables, images):
    """Maps and logits."""
    return model.maps(variables, images), model.apply(variables, images)


def test_sensitivity_is_of_upright_test_images_under_all_three_rotations():
    task = tasks.at_right_angles("digits", size=8)
    images = task.place(task.test.images[:64])
    found = {}
    for layers in ("group", "plain"):
        network = task.network(OrientationNet(10, layers, features=(2, 2)), CONFIG.train)
        variables = network.initial(0).variables
        found[layers] = sensitivity(network, variables, 4)
    assert found["group"]["error"] < 1e-5
    assert found["group"]["change"] < 1e-4 < found["group"]["noise"]
    maps, logits = [], []
    for times in range(4):
        seen, answer = answers(network.model, variables, np.rot90(images, times, (1, 2)))
        maps.append(np.rot90(np.asarray(seen, np.float64), -times, (1, 2)))
        logits.append(np.asarray(answer, np.float64))
    errors = [np.linalg.norm(each - maps[0]) / np.linalg.norm(maps[0]) for each in maps[1:]]
    assert found["plain"]["error"] == pytest.approx(np.mean(errors), rel=1e-4)
    between = 2 * logits[0].var(0, ddof=1).sum()
    changes = [np.sqrt(((each - logits[0]) ** 2).sum(1).mean() / between) for each in logits[1:]]
    assert found["plain"]["change"] == pytest.approx(np.mean(changes), rel=1e-4)


def test_what_is_observed_of_predictions_by_hand():
    # Three images, upright and rotated: alike, not alike, alike.
    labels = np.array([0, 0, 0, 1, 1, 1])
    found = correct("orientation", np.array([0, 0, 1, 0, 1, 1]), labels)
    assert found.pop("correct").tolist() == [0.5, 1, 0.5]
    assert found == {
        "accuracy": pytest.approx(4 / 6),
        "consistency": pytest.approx((1 + 0.5 + 1) / 3),
        "exact": False,
    }
    alike = correct("orientation", np.array([0, 0, 1, 0, 0, 1]), labels)
    assert (alike["accuracy"], alike["consistency"], alike["exact"]) == (0.5, 1, True)
    # One image in four quadrants, of digit 2: classes 8 to 11.
    labels = np.arange(8, 12)
    same = correct("quadrant", np.full(4, 9), labels)
    assert same.pop("correct").tolist() == [0.25]
    assert same == {"accuracy": 0.25, "consistency": 1, "accuracy_digit": 1, "exact": True}
    other = correct("quadrant", np.array([8, 9, 3, 3]), labels)
    assert other.pop("correct").tolist() == [0.5]
    assert other == {"accuracy": 0.5, "consistency": 0.375, "accuracy_digit": 0.5, "exact": False}
    at_angles = correct("digit", np.array([1, 1, 2, 2]), np.full(4, 1))
    assert at_angles.pop("correct").tolist() == [0.5]
    assert at_angles == {"accuracy": 0.5, "consistency": 0.5}


WORDS = {
    "orientation": "upright or rotated",
    "digit": "digits at right angles",
    "quadrant": "digit and quadrant",
    "p4": "p4",
    "z2": "Z2, weights of p4",
    "circular": "circular borders",
    "zero": "zeros at the borders",
}
SENSITIVITIES = {
    "equivariance error": "error",
    "change of the logits": "change",
    "by noise": "noise",
}


def shows(text, values):
    """Whether a text begins with the mean in percent, to its last digit."""
    number = text.split(" ")[0].replace("−", "-")
    last = 10.0 ** -len(number.partition(".")[2])
    return abs(float(number) - 100 * values.mean()) <= 0.501 * last


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = Record.open(tmp_path / "run", dataclasses.replace(CONFIG, seeds=(0, 1, 2)))
    conditions = [{"task": task, "network": network} for task, network in CONDITIONS]
    for number, cell in enumerate(record.each(condition=conditions, seed=(0, 1, 2))):
        values = {"accuracy": 0.3 + 0.01 * number + 0.01 * cell["seed"] ** 2, "consistency": 0.9}
        if cell["task"] == "quadrant":
            values |= {"accuracy_digit": 0.2 + 0.03 * number}
        else:
            values["before"] = dict.fromkeys(SENSITIVITIES.values(), number + 0.1)
            values["after"] = {
                name: n * (number + 0.5) for n, name in enumerate(SENSITIVITIES.values(), start=1)
            }
        if cell["task"] != "digit":
            values["exact"] = cell["network"] in ("p4", "circular")
        rate = 0.01 if cell["network"] == "p4" else 0.03
        # No two images alike, no two cells alike, and other images than the accuracy is of.
        values["correct"] = np.linspace(0.4, 0.5, 9) + 0.01 * number + 0.001 * cell["seed"] ** 2
        record.observe(cell, **values, parameters=70, multiply_adds=900, learning_rate=rate)
    facts = {"data": "digits", "image_shape": [8, 8, 1], "classes": 10, "test_examples": 21}
    record.write_task("digits", facts)
    found = record.observations()
    partial_symmetry.page(found, record)
    every, against_p4, against_z2, rotations = pages.tables(record.directory)
    told, expected, shown = [], [], []
    for (task, network), rows in found.groups("task", "network").items():
        (accuracy,) = rows.summary("accuracy", "task").values()
        told.append(f"{WORDS[network]} {100 * accuracy.mean:.2f} %")
        names = {"task": WORDS[task], "network": WORDS[network]}
        digit, exact = "–", "–"
        if task == "quadrant":
            digit = format_summary(summarize(rows.column("accuracy_digit")), 100)
        if task != "digit":
            exact = "yes" if network in ("p4", "circular") else "no"
        expected.append(
            names
            | {
                "accuracy (%)": format_summary(accuracy, 100),
                "of the digit alone (%)": digit,
                "same class in two poses (%)": "90.0 ± 0",
                "exact": exact,
                "learning rate": "0.0100" if network == "p4" else "0.0300",
                "parameters": "70",
                "multiply-adds": "900",
            }
        )
        if task != "quadrant":
            numbers = {
                f"{words}, {stage}": format_summary(summarize(rows.column(f"{stage}.{name}")))
                for words, name in SENSITIVITIES.items()
                for stage in ("before", "after")
            }
            shown.append(names | numbers)
    assert every == expected
    assert rotations == shown
    assert pages.lead(record.directory) == (
        f"Accuracy, upright or rotated: {told[0]}, {told[1]}. Accuracy, digits at right angles: "
        f"{told[2]}, {told[3]}. Accuracy, digit and quadrant: {told[4]}, {told[5]}."
    )
    for table, name, other in ((against_p4, "p4", "z2"), (against_z2, "z2", "p4")):
        of = {
            (task, network): found.where(task=task, network=network).array("correct")
            for task in ("orientation", "digit")
            for network in ("p4", "z2")
        }
        assert len(table) == 4
        for row, ((task, network), each) in zip(table, of.items(), strict=True):
            assert (row["task"], row["network"]) == (WORDS[task], WORDS[network])
            assert shows(row["accuracy (%)"], each)
            change = row[f"accuracy, minus {WORDS[name]} (points)"]
            assert (change == "–") == (network == name)
            if network == other:
                assert shows(change, each - of[task, name])
    (((series, _), _),) = drawn
    assert {name: list(row) for name, row in series.items()} == {
        WORDS[network]: [WORDS["orientation"], WORDS["digit"]] for network in ("p4", "z2")
    }
    at_angles = found.where(task="digit", network="z2").column("accuracy").mean()
    assert series[WORDS["z2"]][WORDS["digit"]].mean == pytest.approx(at_angles)
    record.release()


def test_a_small_run_is_exact_where_it_must_be(tmp_path):
    words = [
        "--networks",
        "p4",
        "--size",
        "8",
        "--features",
        "2",
        "--workdir",
        str(tmp_path / "run"),
    ]
    assert launch.main(["partial_symmetry", "smoke", *words]) == 0
    found = Observations.read(tmp_path / "run")
    rows = {(row["task"], row["network"]): row for row in found.rows}
    p4, circular, zero = (
        rows[key] for key in (("orientation", "p4"), ("quadrant", "circular"), ("quadrant", "zero"))
    )
    assert (p4["accuracy"], p4["consistency"], p4["exact"]) == (0.5, 1, True)
    assert max(p4["before.error"], p4["after.error"]) < 1e-5
    assert (circular["consistency"], circular["exact"]) == (1, True)
    assert circular["accuracy"] == circular["accuracy_digit"] / 4 > 0
    assert zero["consistency"] < 1
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["tasks"]["digits, upright or rotated"]["test_examples"] == 72


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size", "15"], "size must be even, got 15"),
        (["--networks", "p5"], "p5"),
        (["--digit", "10"], "digit must be one of the 10 classes of digits, from 0, got 10"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["partial_symmetry", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("|", " ").split())

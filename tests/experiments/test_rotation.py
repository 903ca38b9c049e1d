"""The study of rotations: what each network sees, what the page shows, and its smallest run."""

import dataclasses
import json
import math

import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.data.datasets import load
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import rotation
from tests.experiments import pages
from tests.experiments.fakes import changed

CONFIG = rotation.Config(
    networks=("z2", "z2_rotated", "z2_wide", "p4_pooled", "p4", "p4_rotated"),
    data="digits",
    train_images=(150, 1198),
    test_images=8,
    dropout_rate=0.2,
    rate_factors={"p4": 3, "z2": 0.5},
    seeds=(0, 1),
    train=TrainConfig(steps=1, batch_size=4, learning_rate=0.01),
)
GROUPS = {"z2_wide": "none", "p4_pooled": "p4_pooled"}


def group_of(name):
    return GROUPS.get(name, "none" if name.startswith("z2") else "p4")


def test_random_rotations_are_for_all_if_the_data_is_not_rotated(watch, tmp_path):
    config = dataclasses.replace(CONFIG, networks=("z2",), random_rotation=True, train_images=(9,))
    watch.run(rotation, config, tmp_path / "run", page=False)
    assert [call.values for call in watch.trained] == 2 * [{"largest_angle": 2 * math.pi}]


def test_each_network_is_what_its_name_says_and_its_error_is_of_the_test_images(watch, tmp_path):
    found = watch.run(rotation, CONFIG, tmp_path / "run", page=False)
    data = tasks.rotated("digits", canvas=28)
    images = np.asarray(data.place(data.test.images[:8]))
    expected = [
        {"network": network, "train_images": count, "seed": seed}
        for network in CONFIG.networks
        for count in (150, 1198)
        for seed in (0, 1)
    ]
    assert [call.factors for call in watch.trained] == expected
    assert len(watch.evaluated) == len(expected)
    for call, row in zip(watch.trained, found.rows, strict=True):
        name, model = row["network"], call.network.model
        assert (model.group, model.dropout_rate) == (group_of(name), 0.2)
        angle = 2 * math.pi if name.endswith("rotated") else 0.0
        assert call.values == {"largest_angle": angle}
        rate = {"p4": 0.03, "z2": 0.005}.get(name, 0.01)
        assert row["learning_rate"] == call.network.training.config.learning_rate == rate
        train = call.network.task.train
        assert len(train) == len(data.train)
        assert len({image.tobytes() for image in train.images}) == row["train_images"]
        evaluated = watch.evaluation(row["error"])
        assert row["error"] == pytest.approx(1 - evaluated.accuracy)
        assert (evaluated.seed, evaluated.trained, evaluated.split) == (row["seed"], True, "test")
        assert (evaluated.repeats, evaluated.values) == (1, {})
        np.testing.assert_array_equal(evaluated.network.task.test.images, data.test.images[:8])
        np.testing.assert_array_equal(evaluated.network.task.test.labels, data.test.labels[:8])
        if row["train_images"] == 150:  # the others are measured in the same way
            continue
        # By hand, on the state that the fake training leaves.
        state = call.network.initial(row["seed"])
        params = changed(state.params)
        variables = {**state.variables, "params": params}
        upright = call.network.logits(variables, images)
        rotated = call.network.logits(variables, np.rot90(images, axes=(1, 2)))
        change, size = (float(np.abs(each).max()) for each in (upright - rotated, upright))
        assert row["largest_change"] == pytest.approx(change, rel=1e-4, abs=1e-5 * size)
        assert (change <= 1e-5 * size) == (group_of(name) != "none")

    # By hand: six 3 x 3 layers and one 4 x 4, batch normalisation, biases.
    def plain(features, pooled=1):
        kernels = 9 * features + 5 * 9 * features**2 + 16 * features * 10
        return kernels + 6 * 3 * features + 10

    group = 9 * 10 + 5 * 9 * 4 * 10 * 10 + 6 * 3 * 10 + 16 * 4 * 10 * 10 + 10
    parameters = found.where(seed=0, train_images=150).column("parameters").tolist()
    assert parameters == [plain(20), plain(20), plain(40), plain(20), group, group]
    # The last layer alone has ten classes, for each rotation where there is a group.
    positions = [26**2, *(size**2 for size in (24, 10, 8, 6, 4))]
    costs = [9 * planes * 40 * area for planes, area in zip((1, *5 * (40,)), positions)]
    rows = found.where(seed=0, train_images=150, network=("z2_wide", "p4")).rows
    assert [row["multiply_adds"] for row in rows] == [
        sum(costs) + 16 * 40 * 10,
        sum(costs) + 16 * 40 * 40,
    ]


def test_training_images_are_drawn_by_the_seed_and_the_fewer_are_among_the_more():
    few, more, other = (
        rotation.subset(50, count, seed).tolist() for count, seed in ((12, 0), (30, 0), (12, 1))
    )
    assert [len(each) for each in (few, more, other)] == [50, 50, 50]
    assert [len(set(each)) for each in (few, more, other)] == [12, 30, 12]
    assert set(few) <= set(more)
    assert set(few) != set(other)
    assert {few.count(index) for index in few} == {4, 5}
    assert sorted(rotation.subset(50, 50, 3)) == list(range(50))


def test_learning_rates_are_chosen_on_validation_images_with_all_training_images(watch, tmp_path):
    config = dataclasses.replace(CONFIG, networks=("z2", "z2_rotated"), tune=True)
    found = watch.run(rotation, config, tmp_path / "run")
    assert [call.network.training.config.learning_rate for call in watch.trained] == 2 * [
        *(0.00333, 0.00333, 0.01, 0.01, 0.03, 0.03)
    ]
    validation = load("digits").validation.images
    for row, trained in zip(found.rows, watch.trained, strict=True):
        call = watch.evaluation(row["accuracy"])
        assert (call.split, call.repeats, call.values) == ("validation", 1, {})
        assert (call.seed, call.trained) == (row["seed"], True)
        assert row["seed"] in (1000, 1001)
        np.testing.assert_array_equal(call.network.task.validation.images, validation)
        assert len({image.tobytes() for image in trained.network.task.train.images}) == 1198
        angle = 2 * math.pi if row["network"] == "z2_rotated" else 0.0
        assert trained.values == {"largest_angle": angle}


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "curve_panels")
    config = dataclasses.replace(CONFIG, networks=("z2", "p4"), seeds=(0, 1, 2))
    record = Record.open(tmp_path / "run", config)
    numbers = {  # errors of three seeds, largest changes of a logit, parameters
        ("z2", 150): ((0.59, 0.6, 0.61), (3.0, 7.0, 5.0), 21_750),
        ("z2", 1198): ((0.39, 0.4, 0.41), (2.0, 1.0, 1.0), 21_750),
        ("p4", 150): ((0.3, 0.3, 0.3), (2e-6, 1e-6, 1e-6), 24_680),
        ("p4", 1198): ((0.2, 0.2, 0.2), (4e-6, 5e-6, 3e-6), 24_680),
    }
    factors = {"network": ("z2", "p4"), "train_images": (150, 1198)}
    for cell in record.each(**factors, seed=(0, 1, 2)):
        error, change, parameters = numbers[cell["network"], cell["train_images"]]
        record.observe(
            cell,
            error=error[cell["seed"]],
            largest_change=change[cell["seed"]],
            learning_rate=0.03 if cell["network"] == "p4" else 0.01,
            parameters=parameters,
            multiply_adds=1000,
        )
        record.metrics(1, network=cell.name, loss=1.0, accuracy=0.5)
    record.write_task("digits", tasks.rotated("digits", canvas=28).facts())
    rotation.page(record.observations(), record)
    assert pages.lead(record.directory) == (
        "Test errors with 1,198 training images: Z2CNN 40.00 %, P4CNN 20.00 %. A 90-degree "
        "rotation of the image changes a logit by at most: Z2CNN 7.0, P4CNN 5.0 × 10⁻⁶."
    )
    rows, differences = pages.tables(record.directory)
    # Half of the interval: 4.303 / sqrt(3) times the std, 0.01.
    assert [tuple(row.values()) for row in rows] == [
        ("Z2CNN", "150", "21.8 k", "1.00 k", "0.0100", "60 ± 2", "7.0"),
        ("Z2CNN", "1198", "21.8 k", "1.00 k", "0.0100", "40 ± 2", "2.0"),
        ("P4CNN", "150", "24.7 k", "1.00 k", "0.0300", "30.0 ± 0", "2.0 × 10⁻⁶"),
        ("P4CNN", "1198", "24.7 k", "1.00 k", "0.0300", "20.0 ± 0", "5.0 × 10⁻⁶"),
    ]
    assert list(rows[0])[2:] == [
        "parameters",
        "multiply-adds",
        "learning rate",
        "test error (%)",
        "largest change of a logit by a 90-degree rotation",
    ]
    assert [tuple(row.values()) for row in differences] == [
        ("150", "Z2CNN", "30 ± 2"),
        ("1198", "Z2CNN", "20 ± 2"),
    ]
    assert list(differences[0])[1:] == ["network", "test error (points)"]
    (([panel], names), _) = drawn[0]
    assert names == ["Z2CNN", "P4CNN"] == [curve.name for curve in panel.curves]
    assert [list(curve.x) for curve in panel.curves] == 2 * [[150, 1198]]
    np.testing.assert_allclose(panel.curves[0].y, [[59, 39], [60, 40], [61, 41]])
    np.testing.assert_allclose(panel.curves[1].y, 3 * [[30, 20]])
    page = (record.directory / "report.md").read_text("utf-8")
    assert "Minus network P4CNN, paired by seed: mean ± 95 % interval over 3 seeds." in page


def test_a_rotation_leaves_the_logits_of_p4_alone_and_a_lost_end_is_completed(
    tmp_path, complete_again
):
    directory, words = tmp_path / "run", ["rotation", "smoke", "--test-images", "8"]
    words += ["--train.steps", "2", "--train.batch-size", "8"]
    assert launch.main([*words, "--workdir", str(directory)]) == 0
    results = json.loads((directory / "results.json").read_text("utf-8"))
    changes = {row["network"]: row["largest_change"]["mean"] for row in results["rows"]}
    assert changes["p4"] <= 1e-4
    assert changes["z2"] > 0.1
    assert "<h2>Provenance</h2>" in (directory / "report.html").read_text("utf-8")
    said = complete_again(directory, words, [0])
    assert "network=z2, train_images=200, seed=0" in said
    assert "network=p4" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dropout-rate", "1"], "dropout_rate must be at least 0 and below 1, got 1.0"),
        (["--networks", "p4", "p4"], "networks must be at least one, each once, got (p4, p4)"),
        (["smoke", "--train-images", "1199"], "train_images must be at most the 1,198 of digits"),
        (["--test-images", "0"], "test_images must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        launch.main(["rotation", *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())

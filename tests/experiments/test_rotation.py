"""The study of rotations: what each network sees, what the page shows, and its smallest run."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import rotation
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

CONFIG = rotation.Config(
    groups=("none", "p4_pooled", "p4"),
    data="digits",
    test_images=20,
    dropout_rate=0.2,
    seeds=(0, 1),
    train=TrainConfig(steps=1, batch_size=4),
)


@pytest.mark.parametrize(("random_rotation", "angle"), [(True, 2 * math.pi), (False, 0)])
def test_training_images_are_rotated_if_the_data_is_not(random_rotation, angle, watch, tmp_path):
    config = dataclasses.replace(CONFIG, groups=("none",), random_rotation=random_rotation)
    watch.run(rotation, config, tmp_path / "run")
    assert [call.values for call in watch.trained] == 2 * [{"largest_angle": angle}]


def test_each_network_has_its_group_and_its_error_is_of_the_test_images(watch, tmp_path):
    found = watch.run(rotation, CONFIG, tmp_path / "run")
    data = tasks.rotated("digits", canvas=28)
    images = np.asarray(data.place(data.test.images[:20]))
    expected = [{"group": group, "seed": seed} for group in CONFIG.groups for seed in (0, 1)]
    assert [call.factors for call in watch.trained] == expected
    assert len(watch.evaluated) == len(expected)
    for call, row in zip(watch.trained, found.rows, strict=True):
        model = call.network.model
        assert (model.group, model.dropout_rate) == (row["group"], 0.2)
        np.testing.assert_array_equal(call.network.task.train.images, data.train.images)
        evaluated = watch.evaluation(row["error"])
        assert row["error"] == pytest.approx(1 - evaluated.accuracy)
        assert (evaluated.seed, evaluated.trained, evaluated.split) == (row["seed"], True, "test")
        assert (evaluated.repeats, evaluated.values) == (1, {})
        np.testing.assert_array_equal(evaluated.network.task.test.images, data.test.images[:20])
        np.testing.assert_array_equal(evaluated.network.task.test.labels, data.test.labels[:20])
        # By hand, on the state that the fake training leaves.
        state = call.network.initial(row["seed"])
        params = jax.tree.map(lambda leaf: SCALE * leaf + SHIFT, state.params)
        variables = {**state.variables, "params": params}
        upright = call.network.logits(variables, images)
        rotated = call.network.logits(variables, np.rot90(images, axes=(1, 2)))
        change, size = (float(np.abs(each).max()) for each in (upright - rotated, upright))
        assert row["largest_change"] == pytest.approx(change, rel=1e-4, abs=1e-5 * size)
        assert (change <= 1e-5 * size) == (row["group"] != "none")
    # By hand: six 3 x 3 layers and one 4 x 4, batch normalisation, biases.
    plain = 9 * 20 + 5 * 9 * 20 * 20 + 6 * 3 * 20 + 16 * 20 * 10 + 10
    group = 9 * 10 + 5 * 9 * 4 * 10 * 10 + 6 * 3 * 10 + 16 * 4 * 10 * 10 + 10
    parameters = [row["parameters"] for row in found.rows]
    assert parameters == [plain, plain, plain, plain, group, group]


def errors(**of_groups):
    """Observations of these errors, for seeds in order."""
    rows = [
        {"group": group, "seed": seed, "error": error}
        for group, each in of_groups.items()
        for seed, error in enumerate(each)
    ]
    return Observations(rows, ("group", "seed"))


def test_the_ratio_is_of_each_seed():
    found = errors(none=(0.2, 0.3, 0.8), p4_pooled=(0.5, 0.5, 0.5), p4=(0.1, 0.3, 0.2))
    ratio = rotation.error_ratio(found)
    assert (ratio.mean, ratio.n) == (pytest.approx((2 + 1 + 4) / 3), 3)
    found.rows.reverse()
    assert rotation.error_ratio(found).mean == pytest.approx(7 / 3)


@pytest.mark.parametrize(
    "of_groups",
    [
        {"none": (0.2, 0.3), "p4": (0.1, 0.1)},  # a comparison takes three seeds
        {"none": (0.2, 0.3, 0.3)},
        {"p4_pooled": (0.2, 0.3, 0.3), "p4": (0.2, 0.3, 0.3)},
        {"none": (0.2, 0.3, 0.3), "p4": (0.2, 0.0, 0.3)},
        {"none": (0.2, 0.3, 0.3, 0.3), "p4": (0.2, 0.1, 0.3)},
    ],
)
def test_without_pairs_of_three_seeds_there_is_no_ratio(of_groups):
    assert rotation.error_ratio(errors(**of_groups)) is None


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = Record.open(tmp_path / "run", CONFIG)
    numbers = {  # errors of three seeds, largest changes of a logit, parameters
        "none": ((0.39, 0.4, 0.41), (3.0, 7.0, 5.0), 21_750),
        "p4_pooled": ((0.3, 0.3, 0.3), (2e-6, 1e-6, 1e-6), 25_000),
        "p4": ((0.2, 0.2, 0.2), (4e-6, 5e-6, 3e-6), 24_680),
    }
    for cell in record.each(group=tuple(numbers), seed=(0, 1, 2)):
        error, change, parameters = numbers[cell["group"]]
        record.observe(
            cell,
            error=error[cell["seed"]],
            largest_change=change[cell["seed"]],
            parameters=parameters,
        )
    record.write_task("digits", tasks.rotated("digits", canvas=28).facts())
    rotation.page(record.observations(), record)
    # Half of the interval: 4.303 / sqrt(3) times the std, 0.01 of errors and 0.05 of ratios.
    assert pages.lead(record.directory) == (
        "Test errors: Z2CNN 40.00 %, P4CNN, rotation pooling 30.00 %, P4CNN 20.00 %; Z2CNN makes "
        "2.00 ± 0.12 times as many as P4CNN. A 90-degree rotation of the image changes a logit by "
        "at most: Z2CNN 7.0, P4CNN, rotation pooling 2.0 × 10⁻⁶, P4CNN 5.0 × 10⁻⁶."
    )
    (rows,) = pages.tables(record.directory)
    assert [tuple(row.values()) for row in rows] == [
        ("Z2CNN", "21.8 k", "40 ± 2", "7.0"),
        ("P4CNN, rotation pooling", "25.0 k", "30.0 ± 0", "2.0 × 10⁻⁶"),
        ("P4CNN", "24.7 k", "20.0 ± 0", "5.0 × 10⁻⁶"),
    ]
    assert list(rows[0]) == [
        "network",
        "parameters",
        "test error (%)",
        "largest change of a logit by a 90-degree rotation",
    ]
    ((((series, _)), _),) = drawn
    assert {name: round(row["test error"].mean, 9) for name, row in series.items()} == {
        "Z2CNN": 0.4,
        "P4CNN, rotation pooling": 0.3,
        "P4CNN": 0.2,
    }
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert [row["largest_change"] for row in results["rows"]] == [7.0, 2e-6, 5e-6]
    assert results["ratio"]["mean"] == pytest.approx(2)
    page = (record.directory / "report.md").read_text("utf-8")
    assert "ean ± 95 % interval over 3 seeds" in page


def test_a_rotation_leaves_the_logits_of_p4_alone_and_a_lost_end_is_completed(
    tmp_path, complete_again
):
    directory, words = tmp_path / "run", ["rotation", "smoke", "--train.steps", "4"]
    assert launch.main([*words, "--workdir", str(directory)]) == 0
    results = json.loads((directory / "results.json").read_text("utf-8"))
    changes = {row["group"]: row["largest_change"] for row in results["rows"]}
    assert changes["p4"] <= 1e-4
    assert changes["none"] > 0.1
    assert results["ratio"] is None
    assert "<h2>Provenance</h2>" in (directory / "report.html").read_text("utf-8")
    said = complete_again(directory, words, [0])
    assert "group=none, seed=0" in said
    assert "group=p4" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--dropout-rate", "1"], "dropout_rate must be at least 0 and below 1, got 1.0"),
        (["--groups", "p4", "p4"], "groups must be at least one, each once, got (p4, p4)"),
        (["--test-images", "0"], "test_images must be at least 1, got 0"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.main(["rotation", *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())

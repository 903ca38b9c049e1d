"""The study of borders: what each network sees, what the page shows, and its smallest run."""

import json

import numpy as np
import pytest

import launch
from cnnjax import tasks
from cnnjax.data import red_green
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import borders
from tests.experiments import pages

CONFIG = borders.Config(
    borders=("valid", "same", "full", "circular", "reflect"),
    seeds=(0, 1),
    train_images=12,
    test_images=12,
    features=(2, 2),
    strides=(2, 4),
    train=TrainConfig(steps=1, batch_size=4),
)
KINDS = ("train", "validation", "similar", "dissimilar")


def test_each_network_has_its_border_and_is_evaluated_on_its_splits(watch, tmp_path):
    found = watch.run(borders, CONFIG, tmp_path / "run", page=False)
    paddings = {
        "valid": "VALID",
        "same": 1,
        "full": "FULL",
        "circular": "CIRCULAR",
        "reflect": "REFLECT",
    }
    expected = [{"border": border, "seed": seed} for border in CONFIG.borders for seed in (0, 1)]
    assert [call.factors for call in watch.trained] == expected
    assert len(watch.evaluated) == 4 * len(expected)
    for call, row in zip(watch.trained, found.rows, strict=True):
        assert call.values == {}
        assert {name: row[name] for name in call.factors} == call.factors
        assert call.network.model.padding == paddings[row["border"]]
        assert "bias" not in call.network.initial(0).params["conv1"]
        evaluated = [watch.evaluation(row[f"accuracy_{kind}"]) for kind in KINDS]
        assert [each.split for each in evaluated] == ["train", "validation", "test", "test"]
        for each in evaluated:
            assert (each.seed, each.trained, each.repeats) == (row["seed"], True, 1)
            assert each.network.model is call.network.model
        # The training images are those that this network was trained on.
        trained_on = evaluated[0].network.task.train.images
        np.testing.assert_array_equal(trained_on, call.network.task.train.images)
    first, second, *_ = watch.trained
    assert first.network.training is second.network.training


def test_seeds_and_splits_share_no_images_and_dissimilar_ones_are_similar_ones_moved(
    watch, tmp_path
):
    found = watch.run(borders, CONFIG, tmp_path / "run", page=False)
    seen = {}
    for call, row in zip(watch.trained, found.rows, strict=True):
        validation, similar, dissimilar = (
            watch.evaluation(row[f"accuracy_{kind}"]).network.task for kind in KINDS[1:]
        )
        seed = row["seed"]
        images = {
            (seed, "train"): call.network.task.train.images,
            (seed, "validation"): validation.validation.images,
            (seed, "test"): similar.test.images,
        }
        for name, each in images.items():
            # Every border on the same images.
            np.testing.assert_array_equal(seen.setdefault(name, each), each)
        np.testing.assert_array_equal(
            dissimilar.test.images, np.roll(similar.test.images, 16, axis=1)
        )
        np.testing.assert_array_equal(dissimilar.test.labels, similar.test.labels)
    assert len(seen) == 6
    assert len({each.tobytes() for each in seen.values()}) == 6
    for (_, split), images in seen.items():
        # Class 0 in the upper half: its squares' rows.
        upper = images[:, :16].any((1, 2, 3))
        np.testing.assert_array_equal(upper, np.arange(12) % 2 == 0, err_msg=split)


def test_images_reach_the_network_in_values_from_0_to_1():
    task = tasks.standardised(red_green.dataset(0, 12, 12))
    images = np.array([[[[0, 51, 255]]]], np.uint8)
    for seen in (task.place(images), task.augment(images, None, {})):
        np.testing.assert_allclose(np.asarray(seen), [[[[0, 0.2, 1]]]], rtol=1e-6)
    assert task.augment_test is task.augment


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = pages.calls(monkeypatch, "dots")
    record = Record.open(tmp_path / "run", borders.Config(borders=("valid", "same", "circular")))
    numbers = {  # of seeds 0, 1, 2
        "valid": ([0.8] * 3, [0.7] * 3, [0.89, 0.9, 0.91], [0.1, 0.1, 0.1]),
        "same": ([0.9] * 3, [0.65] * 3, [0.4, 0.5, 0.6], [0.6, 0.5, 0.4]),
        "circular": ([0.52, 0.53, 0.54], [0.75] * 3, [0.2, 0.3, 0.4], [0.2, 0.3, 0.4]),
    }
    for cell in record.each(border=tuple(numbers), seed=(0, 1, 2)):
        values = [each[cell["seed"]] for each in numbers[cell["border"]]]
        record.observe(cell, **{f"accuracy_{kind}": value for kind, value in zip(KINDS, values)})
    task = tasks.standardised(red_green.dataset(0, 12, 12))
    record.write_task("red_green", task.facts())
    borders.page(record.observations(), record)
    assert pages.lead(record.directory) == (
        "Accuracy on 12 similar / dissimilar test images: valid 90 ± 2 / 10.0 ± 0 %, same 50 ± 20 "
        "/ 50 ± 20 %, circular 30 ± 20 / 30 ± 20 %. Equal for every seed, to the last digit: "
        "circular. Accuracy on training images, and bound of the expected one on new images: "
        "circular 53 ± 2 and 67.0 %."
    )
    # Half of the interval: 4.303 (Student's t, 2 degrees of freedom) times std / sqrt(3).
    heads = ("border", "training (%)", "validation (%)", "test, similar (%)",
             "test, dissimilar (%)", "bound on new images (%)", "training minus similar (points)",
             "equal for every seed")  # fmt: skip
    (rows,) = pages.tables(record.directory)
    assert [tuple(row[head] for head in heads) for row in rows] == [
        ("valid", "80.0 ± 0", "70.0 ± 0", "90 ± 2", "10.0 ± 0", "–", "−10 ± 2", "no"),
        ("same", "90.0 ± 0", "65.0 ± 0", "50 ± 20", "50 ± 20", "–", "40 ± 20", "no"),
        ("circular", "53 ± 2", "75.0 ± 0", "30 ± 20", "30 ± 20", "67.03", "20 ± 20", "yes"),
    ]
    (((series, _), options),) = drawn
    assert options["reference"] == ("chance", 50.0)
    assert {
        border: {name: round(summary.mean, 9) for name, summary in row.items()}
        for border, row in series.items()
    } == {
        "valid": {"training": 0.8, "test, similar": 0.9, "test, dissimilar": 0.1},
        "same": {"training": 0.9, "test, similar": 0.5, "test, dissimilar": 0.5},
        "circular": {"training": 0.53, "test, similar": 0.3, "test, dissimilar": 0.3},
    }
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert [row["equal"] for row in results["rows"]] == [False, False, True]
    assert results["rows"][0]["accuracy_dissimilar"]["mean"] == pytest.approx(0.1)
    assert [row["ceiling"] for row in results["rows"]] == [None, None, pytest.approx(0.67026, 1e-4)]
    page = (record.directory / "report.md").read_text("utf-8")
    assert "ean ± 95 % interval over 3 seeds" in page


def test_only_where_the_half_is_hidden_there_is_a_ceiling():
    """Windows of 17 pixels every 8."""
    found = {border: borders.ceiling(border, (1, 2, 2, 2)) for border in CONFIG.borders}
    hidden = {
        border: red_green.max_pooled_ceiling(17, 8, border) for border in ("circular", "full")
    }
    assert found == {"valid": None, "same": None, "reflect": None, **hidden}


SMALL = ["borders", "smoke", "--test-images", "48"]


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("borders") / "run"
    assert launch.main([*SMALL, "--workdir", str(directory)]) == 0
    return directory


def rows_of(directory):
    results = json.loads((directory / "results.json").read_text("utf-8"))
    return {row["border"]: row for row in results["rows"]}


def test_a_valid_border_gives_the_half_away(run_directory):
    """The negative control: where nothing surrounds the image, the swap is noticed."""
    row = rows_of(run_directory)["valid"]
    assert row["accuracy_similar"]["mean"] >= 0.99
    assert row["accuracy_dissimilar"]["mean"] <= 0.01
    assert row["equal"] is False


def test_a_circular_border_hides_it_to_the_last_digit(run_directory):
    row = rows_of(run_directory)["circular"]
    assert row["accuracy_similar"] == row["accuracy_dissimilar"]
    assert row["equal"] is True


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, SMALL)
    assert "border=circular, seed=0" in said
    assert "border=valid" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strides", "1", "2"], "features and strides must have one entry for each layer, got"),
        (["--strides", "3", "1", "1", "1"], "strides must have a product that divides 16, got"),
        (["--train-images", "0"], "train_images must be at least 1, got 0"),
        (["--seeds", "1", "1"], "seeds must be at least one, each once, got (1, 1)"),
        (["--borders", "zero"], "invalid choice 'zero'"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        launch.main(["borders", *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_a_batch_that_the_devices_cannot_share_is_one_sentence(tmp_path, capsys):
    """The tests run on four virtual devices."""
    with pytest.raises(SystemExit) as stopped:
        launch.main(
            ["borders", "smoke", "--train.batch-size", "50", "--workdir", str(tmp_path / "run")]
        )
    assert stopped.value.code == 2
    assert "train.batch_size must be a multiple of the 4 devices, got 50; 48" in (
        capsys.readouterr().err
    )

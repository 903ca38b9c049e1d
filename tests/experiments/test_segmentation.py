"""The study of segmentation: what each network labels, what the page shows, its smallest run."""

import dataclasses
import functools
import json

import jax
import matplotlib.figure
import numpy as np
import pytest

import launch
from cnnjax.report import format_count, format_interval, format_summary
from cnnjax.run.record import Record
from cnnjax.run.statistics import bootstrap_interval, summarize
from cnnjax.train.config import TrainConfig
from experiments import segmentation
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

CONFIG = segmentation.Config(
    arms=("recurrent", "zeroed", "untied", "deep", "single"),
    iterations=3,
    features=2,
    digits=(4, 7),
    train_images=12,
    test_images=6,
    shown_images=2,
    seeds=(0, 1),
    rate_factors={"deep": 3},
    train=TrainConfig(steps=3, batch_size=4, learning_rate=0.01),
)
NAMES = ("accuracy", "background_iou", "foreground_iou", "mean_iou")


def overlaps(estimate, labels, classes):
    """The four numbers, written out with sets of pixels."""
    iou = [
        ((estimate == each) & (labels == each)).sum()
        / ((estimate == each) | (labels == each)).sum()
        for each in range(classes)
    ]
    return (estimate == labels).mean(), iou[0], np.mean(iou[1:]), np.mean(iou)


@functools.partial(jax.jit, static_argnums=0)
def logits_of(model, params, images):
    """Logits of each estimate, as one program."""
    return model.apply({"params": params}, images, method="estimates")


def estimated(model, params, images):
    """Labels of each estimate."""
    return [np.asarray(logits).argmax(-1) for logits in logits_of(model, params, images)]


def test_every_estimate_of_every_trained_network_is_measured_on_all_test_images(watch, tmp_path):
    found = watch.run(segmentation, CONFIG, tmp_path / "run")
    expected = [{"arm": arm, "seed": seed} for arm in CONFIG.arms for seed in (0, 1)]
    fields = {  # iterations, feedback, tied, depth
        "recurrent": (3, "labels", True, 1),
        "zeroed": (3, "zero", True, 1),
        "untied": (3, "labels", False, 1),
        "deep": (1, "labels", True, 5),
        "single": (1, "labels", True, 1),
    }
    assert [call.factors for call in watch.trained] == expected
    drawn = set()
    for call, row in zip(watch.trained, found.rows, strict=True):
        network = call.network
        model, task = network.model, network.task
        assert call.values == {}
        assert (model.features, model.classes) == (2, 3)
        found_fields = (model.iterations, model.feedback, model.tied, model.depth)
        assert found_fields == fields[row["arm"]]
        iterations = model.iterations
        rate = 0.03 if row["arm"] == "deep" else 0.01
        assert network.training.config == dataclasses.replace(CONFIG.train, learning_rate=rate)
        assert row["learning_rate"] == rate
        assert row["parameters"] == sum(p.size for p in jax.tree.leaves(network.initial(0).params))
        assert (len(task.train), len(task.test)) == (12, 6)
        assert task.dataset.class_names == ("background", "4", "7")
        initial = network.initial(row["seed"])
        params = jax.tree.map(lambda leaf: SCALE * leaf + SHIFT, initial.params)
        estimates = estimated(model, params, task.place(task.test.images))
        for number, estimate in enumerate(estimates, start=1):
            measured = [row[f"after{number}.{name}"] for name in NAMES]
            np.testing.assert_allclose(measured, overlaps(estimate, task.test.labels, 3), atol=1e-3)
        assert f"after{iterations + 1}.accuracy" not in row
        assert [row[f"final.{name}"] for name in NAMES] == measured
        alone = found.where(arm=row["arm"], seed=row["seed"])
        np.testing.assert_array_equal(alone.array("images")[0], task.test.images[:2, ..., 0])
        np.testing.assert_array_equal(alone.array("labels")[0], task.test.labels[:2])
        if row["arm"] == "zeroed":
            for name in NAMES:
                assert row[f"after1.{name}"] == row[f"after2.{name}"] == row[f"after3.{name}"]
        correct = estimates[-1] == task.test.labels
        np.testing.assert_allclose(alone.array("pixels")[0], correct.mean((1, 2)), atol=2e-3)
        ink = (estimates[-1] > 0).sum((1, 2)) + (task.test.labels > 0).sum((1, 2))
        both = (correct & (task.test.labels > 0)).sum((1, 2))
        np.testing.assert_allclose(alone.array("overlap")[0], both / (ink - both), atol=2e-3)
        shown = alone.array("estimates")[0]
        assert shown.shape == (iterations, 2, 32, 32)
        assert (shown == [estimate[:2] for estimate in estimates]).mean() > 0.999
        drawn.add(shown.tobytes())
    assert len(drawn) == 10
    assert watch.trained[0].network.training is watch.trained[1].network.training


def test_learning_rates_are_chosen_on_validation_images(watch, tmp_path):
    config = dataclasses.replace(CONFIG, arms=("recurrent", "deep"), tune=True)
    found = watch.run(segmentation, config, tmp_path)
    rates = (0.00333, 0.01, 0.03)
    assert [tuple(row[name] for name in found.factors) for row in found.rows] == [
        (arm, rate, seed) for arm in config.arms for rate in rates for seed in (1000, 1001)
    ]
    for row, trained in zip(found.rows, watch.trained, strict=True):
        call = watch.evaluation(row["accuracy"])
        assert (call.split, call.seed, call.trained) == ("validation", row["seed"], True)
        assert call.network is trained.network
        assert trained.network.training.config.learning_rate == row["learning_rate"]
        assert trained.network.model.depth == {"recurrent": 1, "deep": 5}[row["arm"]]
    # The last network of an arm is the best here, since every call gives more than the one before.
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["rate_factors"] == {"recurrent": 3, "deep": 3}
    assert "on 6 validation images" in (tmp_path / "report.md").read_text("utf-8")


def made(directory):
    """A record of two arms, of three iterations and of one, with random numbers."""
    config = segmentation.Config(arms=("single", "recurrent"), seeds=(4, 5, 6))
    record = Record.open(directory, config)
    rng = np.random.default_rng(0)
    for cell in record.each(arm=config.arms, seed=config.seeds):
        total = {"recurrent": 3, "single": 1}[cell["arm"]]
        after = {
            f"after{number}": dict(zip(NAMES, rng.uniform(size=4).tolist()))
            for number in range(1, total + 1)
        }
        record.observe(
            cell,
            learning_rate=0.01 * total,
            parameters=1000 + total,
            multiply_adds=5000 * total,
            final=dict(zip(NAMES, rng.uniform(size=4).tolist())),
            pixels=rng.uniform(size=7),
            overlap=rng.uniform(size=7),
            images=np.full((1, 4, 4), 100 + cell["seed"]),
            labels=np.full((1, 4, 4), 2),
            estimates=np.arange(total).reshape(-1, 1, 1, 1) * np.ones((1, 1, 4, 4), int),
            **after,
        )
    facts = segmentation.tasks.textured_digits(train_images=2, test_images=2, digits=(4, 7)).facts()
    record.write_task("digits", facts)
    return record


def with_interval(values):
    return format_interval(values.mean(), bootstrap_interval(values), 100)


HEADINGS = {
    "accuracy of pixels (%)": "accuracy",
    "IoU, background (%)": "background_iou",
    "IoU, digits (%)": "foreground_iou",
    "IoU, all classes (%)": "mean_iou",
}


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        segmentation,
        "estimates_figure",
        lambda *given: drawn.append(given) or matplotlib.figure.Figure(),
    )
    record = made(tmp_path / "run")
    found = record.observations()
    segmentation.page(found, record)

    def mean(arm, number):
        return format_summary(summarize(found.where(arm=arm).column(number)), 100)

    overlaps = [f"{arm} {mean(arm, 'final.foreground_iou')} %" for arm in ("single", "recurrent")]
    assert pages.lead(record.directory) == (
        "Intersection over union of the digits, mean over their classes, last estimate: "
        f"{', '.join(overlaps)}."
    )
    final, differences, of_images, by_iteration = pages.tables(record.directory)
    assert [row["arm"] for row in final] == ["single", "recurrent"]
    for row, total in zip(final, (1, 3), strict=True):
        assert row["learning rate"] == f"{0.01 * total:.4f}"
        assert row["parameters"] == format_count(1000 + total, 3)
        assert row["multiply-adds per image"] == format_count(5000 * total, 3)
        for heading, name in HEADINGS.items():
            assert row[heading] == mean(row["arm"], f"final.{name}")
    (row,) = differences
    assert row["arm"] == "single"
    for heading, name in HEADINGS.items():
        one, other = (
            found.where(arm=arm).column(f"final.{name}") for arm in ("single", "recurrent")
        )
        assert row[heading] == format_summary(summarize(one - other), 100)
    for row in of_images:
        own, other = (found.where(arm=arm) for arm in (row["arm"], "recurrent"))
        for heading, name in (("accuracy of pixels", "pixels"), ("IoU of an image", "overlap")):
            values = own.array(name)
            assert row[f"{heading} (%)"] == with_interval(values)
            change = with_interval(values - other.array(name)) if row["arm"] == "single" else "–"
            assert row[f"{heading}, minus recurrent (points)"] == change
    for row, total in zip(by_iteration, (1, 3), strict=True):
        for number in (1, 2, 3):
            expected = "–"
            if number <= total:
                expected = mean(row["arm"], f"after{number}.foreground_iou")
            assert row[f"after iteration {number} (%)"] == expected
    ((network, names),) = drawn
    assert network.rows == found.where(arm="single", seed=4).rows
    assert names == ["background", "4", "7"]
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["test_examples"] == 2
    assert [each["factors"]["arm"] for each in results["over_images"]] == ["single", "recurrent"]
    assert results["over_images"][0]["differences"]["overlap"]["interval"][0] < 0
    mean_of_two = found.where(arm="recurrent").column("after2.mean_iou").mean()
    assert results["rows"][1]["after2.mean_iou"]["mean"] == pytest.approx(mean_of_two)


def test_the_figure_shows_image_labels_and_estimates_in_order(tmp_path):
    found = made(tmp_path / "run").observations().where(arm="recurrent", seed=4)
    axes = segmentation.estimates_figure(found, ["background", "4", "7"]).axes
    shown = {each.get_title(): each.images[0].get_array() for each in axes}
    assert list(shown) == ["image", "labels", "iteration 1", "iteration 2", "iteration 3"]
    assert [int(image.max()) for image in shown.values()] == [104, 2, 0, 1, 2]
    (legend,) = axes[0].figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["background", "4", "7"]
    look = axes[1].images[0]
    assert [patch.get_facecolor() for patch in legend.get_patches()] == [
        tuple(look.to_rgba(np.array([[number]]))[0, 0]) for number in range(3)
    ]


SMALL = ["segmentation", "smoke", "--train.batch-size", "8"]


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("segmentation") / "run"
    assert launch.main([*SMALL, "--workdir", str(directory)]) == 0
    return directory


def test_the_smallest_run_observes_the_overlap_after_each_iteration(run_directory):
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    assert [row["arm"] for row in results["rows"]] == ["recurrent", "single"]
    for row, iterations in zip(results["rows"], (2, 1), strict=True):
        for number in range(1, iterations + 1):
            found = {name: row[f"after{number}.{name}"]["mean"] for name in NAMES}
            assert 0 <= found["foreground_iou"] <= 1
            assert 0.3 < found["accuracy"] <= 1
            assert found["mean_iou"] < found["background_iou"]
    assert "<h2>Overlap by iteration</h2>" in (run_directory / "report.html").read_text("utf-8")
    assert (run_directory / "figures" / "estimates.png").is_file()


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    assert "arm=recurrent" not in complete_again(run_directory, SMALL)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--digits", "4", "10"], "digits[1] must be at least 0 and below 10, got 10"),
        (["--digits", "4", "4"], "each once"),
        (["--iterations", "0"], "iterations must be at least 1, got 0"),
        (["--arms", "wide"], "wide"),
        (["--seeds", "1", "1"], "each once"),
        (["--seeds", "1000"], "tuning_seeds must be none of seeds, got 1000 in both"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["segmentation", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not directory.exists()

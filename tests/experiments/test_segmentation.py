"""The study of segmentation: what each network labels, what the page shows, its smallest run."""

import json

import jax
import matplotlib.figure
import numpy as np
import pytest

import launch
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from experiments import segmentation
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

CONFIG = segmentation.Config(
    iterations=(1, 3),
    features=2,
    digits=(4, 7),
    train_images=12,
    test_images=6,
    shown_images=2,
    seeds=(0, 1),
    train=TrainConfig(steps=3, batch_size=4),
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


def test_every_estimate_of_every_trained_network_is_measured_on_all_test_images(watch, tmp_path):
    found = watch.run(segmentation, CONFIG, tmp_path / "run")
    expected = [{"iterations": number, "seed": seed} for number in (1, 3) for seed in (0, 1)]
    assert [call.factors for call in watch.trained] == expected
    drawn = set()
    for call, row in zip(watch.trained, found.rows, strict=True):
        network, iterations = call.network, row["iterations"]
        model, task = network.model, network.task
        assert call.values == {}
        assert (model.iterations, model.features, model.classes) == (iterations, 2, 3)
        assert network.training.config == CONFIG.train
        assert row["parameters"] == sum(p.size for p in jax.tree.leaves(network.initial(0).params))
        assert (len(task.train), len(task.test)) == (12, 6)
        assert task.dataset.class_names == ("background", "4", "7")
        initial = network.initial(row["seed"])
        params = jax.tree.map(lambda leaf: SCALE * leaf + SHIFT, initial.params)
        estimates = [
            np.asarray(logits).argmax(-1)
            for logits in model.apply(
                {"params": params}, task.place(task.test.images), method="estimates"
            )
        ]
        for number, estimate in enumerate(estimates, start=1):
            measured = [row[f"after{number}.{name}"] for name in NAMES]
            np.testing.assert_allclose(measured, overlaps(estimate, task.test.labels, 3), atol=1e-3)
        assert f"after{iterations + 1}.accuracy" not in row
        alone = found.where(iterations=iterations, seed=row["seed"])
        np.testing.assert_array_equal(alone.array("images")[0], task.test.images[:2, ..., 0])
        np.testing.assert_array_equal(alone.array("labels")[0], task.test.labels[:2])
        shown = alone.array("estimates")[0]
        assert shown.shape == (iterations, 2, 32, 32)
        assert (shown == [estimate[:2] for estimate in estimates]).mean() > 0.999
        drawn.add(shown.tobytes())
    assert len(drawn) == 4
    assert watch.trained[0].network.training is watch.trained[1].network.training


def made(directory):
    """A record of networks of 3, 1 and 2 iterations, whose numbers tell where they are from."""
    record = Record.open(directory, segmentation.Config(iterations=(3, 1, 2), seeds=(4, 5)))
    for cell in record.each(iterations=(3, 1, 2), seed=(4, 5)):
        total, seed = cell["iterations"], cell["seed"]
        after = {
            f"after{number}": {
                name: (10 * total + 2 * number + 30 * place + seed - 4) / 200
                for place, name in enumerate(NAMES)
            }
            for number in range(1, total + 1)
        }
        record.observe(
            cell,
            parameters=1000 + total,
            images=np.full((1, 4, 4), 100 + seed),
            labels=np.full((1, 4, 4), 2),
            estimates=np.arange(total).reshape(-1, 1, 1, 1) * np.ones((1, 1, 4, 4), int),
            **after,
        )
    facts = segmentation.tasks.textured_digits(train_images=2, test_images=2, digits=(4, 7)).facts()
    record.write_task("digits", facts)
    return record


def mean(total, number, name):
    return (10 * total + 2 * number + 30 * NAMES.index(name) + 0.5) / 2


def test_the_page_shows_each_number_under_its_heading(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        segmentation,
        "estimates_figure",
        lambda *given: drawn.append(given) or matplotlib.figure.Figure(),
    )
    record = made(tmp_path / "run")
    segmentation.page(record.observations(), record)
    assert pages.lead(record.directory) == (
        "Intersection over union of the digits, mean over their classes, after each iteration: "
        "46.2, 47.2, 48.2 % by the network of 3 iterations; 36.2 % by the network of 1 iteration; "
        "41.2, 42.2 % by the network of 2 iterations."
    )
    (rows,) = pages.tables(record.directory)
    assert [(row["iterations"], row["after iteration"]) for row in rows] == [
        (str(total), str(number)) for total in (3, 1, 2) for number in range(1, total + 1)
    ]
    headings = dict(
        zip(
            NAMES,
            (
                "accuracy of pixels (%)",
                "IoU, background (%)",
                "IoU, digits (%)",
                "IoU, all classes (%)",
            ),
            strict=True,
        )
    )
    for row in rows:
        total, number = int(row["iterations"]), int(row["after iteration"])
        assert row["parameters"] == "1.0 k"
        for name, heading in headings.items():
            assert float(row[heading]) == pytest.approx(mean(total, number, name), abs=0.051)
    ((network, names),) = drawn
    assert network.rows == record.observations().where(iterations=3, seed=4).rows
    assert names == ["background", "4", "7"]
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["test_examples"] == 2
    assert results["rows"][0]["iterations"] == 3
    found = results["rows"][0]["after2.mean_iou"]["mean"]
    assert found == pytest.approx(mean(3, 2, "mean_iou") / 100)


def test_the_figure_shows_image_labels_and_estimates_in_order(tmp_path):
    found = made(tmp_path / "run").observations().where(iterations=3, seed=4)
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


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    directory = tmp_path_factory.mktemp("segmentation") / "run"
    assert launch.main(["segmentation", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_the_smallest_run_observes_the_overlap_after_each_iteration(run_directory):
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    assert [row["iterations"] for row in results["rows"]] == [1, 2]
    for row in results["rows"]:
        for number in range(1, row["iterations"] + 1):
            found = {name: row[f"after{number}.{name}"]["mean"] for name in NAMES}
            assert 0 <= found["foreground_iou"] <= 1
            assert 0.3 < found["accuracy"] <= 1
            assert found["mean_iou"] < found["background_iou"]
    assert "<h2>Overlap by iteration</h2>" in (run_directory / "report.html").read_text("utf-8")
    assert (run_directory / "figures" / "estimates.png").is_file()


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    assert "iterations=1" not in complete_again(run_directory, ["segmentation", "smoke"])


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--digits", "4", "10"], "digits[1] must be at least 0 and below 10, got 10"),
        (["--digits", "4", "4"], "each once"),
        (["--iterations", "0"], "iterations[0] must be at least 1, got 0"),
        (["--seeds", "1", "1"], "each once"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["segmentation", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
    assert not directory.exists()

"""The page of a classifier, from made predictions: every number where a reader looks for it."""

import dataclasses

import numpy as np
import pytest
from matplotlib.image import AxesImage

from cnnjax.report import Figure, Heading, Table, classifier_blocks
from cnnjax.run.config import StudyConfig
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig

CLASSES = ("cat", "dog", "owl")
# [seed, true, predicted]: 10, 4 and 5 images of the classes.
COUNTS = np.array(
    [
        [[9, 1, 0], [2, 2, 0], [0, 0, 5]],
        [[8, 2, 0], [2, 2, 0], [0, 1, 4]],
        [[7, 2, 1], [3, 1, 0], [0, 1, 4]],
    ]
)


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    train: TrainConfig = TrainConfig(steps=20, batch_size=8, learning_rate=0.1)


@pytest.fixture
def record(tmp_path):
    opened = Record.open(tmp_path / "run", Config())
    facts = {
        "data": "animals",
        "train_examples": 100,
        "validation_examples": 10,
        "test_examples": 19,
        "image_shape": (4, 4, 1),
        "class_names": CLASSES,
    }
    opened.write_task("animals", facts)
    yield opened
    opened.release()


def observed(record, *, top5=None, errors=True):
    for cell in record.each(seed=(4, 5, 6)):
        number = cell["seed"] - 4
        record.metrics(10, network=cell.name, loss=2.0 + number)
        record.observe(
            cell,
            accuracy=COUNTS[number].trace() / 19,
            loss=0.5,
            top5=top5,
            parameters=123_456,
            multiply_adds=7_890_000,
            confusion=COUNTS[number],
            errors=np.array([[11, 1, 0], [17 - number, 0, 2]] if errors else np.zeros((0, 3)), int),
            first_label=np.array([1]),
            first_top5=np.array([0, 1, 2]),
            first_scores=np.array([0.7, 0.2, 0.1]),
            confidence=np.array([0.97, 0.61] if errors else []),
            error_images=np.stack([image(11), image(17 - number)][: 2 * errors] or [image(0)])[
                : 2 * errors
            ],
        )
        record.timings({cell.name: {"images_per_second": 100.0 * (1 + number)}})
    return record.observations()


def image(index):
    return np.full((4, 4, 1), index, np.uint8)


def of_kind(blocks, kind):
    return [block for block in blocks if isinstance(block, kind)]


@pytest.mark.fast
def test_the_lead_and_the_table_hold_the_numbers(record):
    blocks = classifier_blocks(observed(record), record)
    # Accuracies 16/19, 14/19 and 12/19: mean 73.7, std 10.5, half 4.302653 std / sqrt(3) = 26.
    assert blocks[0] == (
        "Accuracy 70 ± 30 % on 19 test images of animals (mean ± 95 % interval over 3 seeds)."
    )
    assert blocks[1].text.startswith("animals: 100 training, 10 validation and 19 test images")
    first, *_ = of_kind(blocks, Table)
    assert dict(zip(first.columns, first.rows[0], strict=True)) == {
        "accuracy (%)": "70 ± 30",
        "loss": "0.500 ± 0",
        "parameters": "123 k",
        "multiply-adds": "7.89 M",
        "training images/s": "200",
    }
    headings = [heading.text for heading in of_kind(blocks, Heading)]
    assert headings == ["Learning curves", "Confusion matrix", "Most confident errors"]


def test_top5_accuracy_is_named_where_there_are_classes_enough(record):
    blocks = classifier_blocks(observed(record, top5=0.925), record)
    assert blocks[0].startswith("Accuracy 70 ± 30 %, top-5 accuracy 92.50 ± 0 % on 19 test images")
    table, *_ = of_kind(blocks, Table)
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["top-5 accuracy (%)"] == "92.5 ± 0"


@pytest.mark.fast
def test_classes_are_listed_by_accuracy_with_what_they_are_confused_with(record):
    _, table, _ = of_kind(classifier_blocks(observed(record), record), Table)
    assert table.columns == [
        "class", "test images", "accuracy (%)", "most often predicted instead",
    ]  # fmt: skip
    # dog: 2, 2, 1 of 4; 7 of its 12 predictions are cat. cat: 9, 8, 7 of 10. owl: 5, 4, 4 of 5.
    assert table.rows == [
        ["dog", "4", "40 ± 40", "cat (58.3 %)"],
        ["cat", "10", "80 ± 20", "dog (16.7 %)"],
        ["owl", "5", "90 ± 30", "dog (13.3 %)"],
    ]
    assert table.caption == (
        "Classes by accuracy, the lowest first. Mean ± 95 % interval over 3 seeds."
    )


@pytest.mark.fast
def test_figures_show_all_seeds_and_the_errors_of_the_first(record):
    figures = {f.name: f for f in of_kind(classifier_blocks(observed(record), record), Figure)}
    assert list(figures) == ["learning_curves", "confusion", "errors"]
    (matrix,) = figures["confusion"].image.axes[0].images
    np.testing.assert_allclose(matrix.get_array()[1], [100 * 7 / 12, 100 * 5 / 12, 0])
    assert "3 seeds together" in figures["confusion"].caption
    shown = [axes for axes in figures["errors"].image.axes if axes.findobj(AxesImage)]
    assert [axes.get_title() for axes in shown] == ["dog → cat\n97 %", "cat → owl\n61 %"]
    # Of seed 4, by the number of the example: 11 and 17.
    assert [axes.images[0].get_array()[0, 0] for axes in shown] == [11, 17]
    assert figures["errors"].caption.endswith("Seed 4.")
    lines = list(figures["learning_curves"].image.axes[0].lines)
    assert [list(line.get_ydata()) for line in lines] == [[2.0], [3.0], [4.0], [3.0]]


@pytest.mark.fast
def test_the_scores_of_one_image_stand_under_their_class_names(record):
    *_, table = of_kind(classifier_blocks(observed(record), record), Table)
    assert table.rows == [["cat", "70.00"], ["dog (true)", "20.00"], ["owl", "10.00"]]
    assert table.caption == (
        "The most probable classes of the first test image for the network of seed 4, of class dog."
    )


def test_total_loss_and_learning_rate_are_drawn_where_they_are_logged(record):
    found = observed(record)
    for step, total in ((10, 2.5), (20, 1.5)):
        record.metrics(step, network="seed 4", total_loss=total, learning_rate=0.1)
    (_, figure, *_) = of_kind(classifier_blocks(found, record), Figure)
    assert figure.caption.startswith("Total loss, the loss of the batch plus weight_decay / 2 tim")
    left, right = figure.image.axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("total loss", "learning rate")
    assert list(left.lines[0].get_ydata()) == [2.5, 1.5]
    assert list(right.lines[0].get_ydata()) == [0.1, 0.1]


def test_a_classifier_without_errors_and_without_metrics_has_a_page(record):
    found = observed(record, errors=False)
    (record.directory / "metrics.jsonl").unlink()
    blocks = classifier_blocks(found, record)
    assert [heading.text for heading in of_kind(blocks, Heading)] == ["Confusion matrix"]

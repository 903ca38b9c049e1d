"""What a page says of a trained classifier: how accurate it is, and which errors it makes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from cnnjax.report.figures.curves import learning_curves
from cnnjax.report.figures.images import confusion, image_grid
from cnnjax.report.findings import curves_of, images_per_second, over, setting, summary_table
from cnnjax.report.page import Block, Figure, Heading
from cnnjax.report.table import MISSING, Table, counted, format_count, format_summary, over_seeds
from cnnjax.run.cells import SEED
from cnnjax.run.metrics import learning_curves as curves_by_network
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize

_LISTED = 20
"""Classes in the table, those of the lowest accuracy."""


def classifier_results(found: Observations, record: Record) -> dict[str, Any]:
    """Every number of the page of `classifier_blocks`, for results.json; arguments as there."""
    first = found.where(seed=found.seeds[0])
    return {
        **record.task,
        "seeds": found.seeds,
        "observations": found.results(),
        "confusion": found.array("confusion").sum(0),
        "errors": [
            {"example": example, "label": label, "predicted": predicted, "confidence": sure}
            for (example, label, predicted), sure in zip(
                first.array("errors")[0].tolist(), first.array("confidence")[0], strict=True
            )
        ],
        "first_image": {
            "label": int(first.array("first_label")[0][0]),
            "classes": first.array("first_top5")[0],
            "scores": first.array("first_scores")[0],
        },
        "curves": curves_by_network(record.read_metrics()),
    }


def classifier_blocks(found: Observations, record: Record, model: str = "") -> list[Block | str]:
    """The blocks of a page on a classifier trained for every seed, see `tasks.train_classifiers`.

    Args:
      found: accuracy, loss, top5 (if there are more than five classes), parameters and
        multiply_adds of each network, and its arrays `confusion`, `errors`, `confidence`,
        `error_images`, `first_label`, `first_top5` and `first_scores`.
      record: of the run; its metrics are drawn.
      model: name of the network, said first.
    """
    facts = record.task
    names = facts["class_names"]
    matrices = found.array("confusion")
    columns: dict[str, Any] = {"accuracy (%)": ("accuracy", 100)}
    if "validation.accuracy" in found.numbers:
        columns["validation accuracy (%)"] = ("validation.accuracy", 100)
    if "top5" in found.numbers:
        columns["top-5 accuracy (%)"] = ("top5", 100)
    columns |= {
        "loss": "loss",
        "parameters": "parameters",
        "multiply-adds": "multiply_adds",
        "training images/s": lambda group: format_count(images_per_second(record, group), 3),
    }
    blocks: list[Block | str] = [
        _lead(found, facts["data"], int(matrices[0].sum()), model),
        setting(record, found),
        summary_table(found, columns),
    ]
    curves = curves_of(record, found)
    if any(curve for seeds in curves.values() for curve in seeds):
        blocks += [
            Heading("Learning curves"),
            Figure(
                "learning_curves",
                learning_curves(curves),
                "Loss and accuracy of training batches, and of evaluations on validation images "
                "during training: faint lines for each seed, a bold one for their mean.",
            ),
            *_optimisation(curves),
        ]
    blocks += [
        Heading("Confusion matrix"),
        Figure(
            "confusion",
            confusion(matrices.sum(0), names),
            "Test images of each class (rows) by predicted class (columns), percent of the row"
            + (f", {counted(len(matrices), 'seed')} together." if len(matrices) > 1 else "."),
        ),
        _classes(matrices, names),
    ]
    return [*blocks, _first_image(found, names), *_errors(found, names)]


def score_table(
    scores: Sequence[tuple[int, float]], label: int, names: Sequence[str], which: str
) -> Table:
    """The most probable classes of one image by name, and which of them is true.

    Args:
      scores: classes and their probabilities, from `inspect.most_probable`.
      label: the image's class.
      names: of all classes.
      which: the image, said in the caption.
    """
    return Table(
        ["class", "probability (%)"],
        [
            [f"{names[each]} (true)" if each == label else names[each], f"{100 * score:.2f}"]
            for each, score in scores
        ],
        caption=f"The most probable classes of {which}, of class {names[label]}.",
        align=["left", "right"],
    )


def _first_image(found: Observations, names: Sequence[str]) -> Table:
    """The most probable classes of the first test image, for the first seed."""
    first = found.where(seed=found.rows[0][SEED])
    (label,), classes, scores = (
        first.array(kind)[0] for kind in ("first_label", "first_top5", "first_scores")
    )
    which = f"the first test image for the network of seed {first.rows[0][SEED]}"
    return score_table(list(zip(classes, scores, strict=True)), label, names, which)


def _optimisation(curves: Mapping[str, Sequence[Any]]) -> list[Figure]:
    """Learning rate and total loss of training, where they were logged."""
    logged = {quantity for seeds in curves.values() for seed in seeds for quantity in seed}
    caption = {
        "total_loss": "total loss, the loss of the batch plus weight_decay / 2 times the sum of "
        "the squares of all weights that decay",
        "learning_rate": "learning rate",
    }
    shown = [quantity for quantity in caption if quantity in logged]
    if not shown:
        return []
    named = ", and ".join(caption[quantity] for quantity in shown)
    drawn = learning_curves(curves, shown)
    return [Figure("optimisation", drawn, f"{named[0].upper()}{named[1:]} of training steps.")]


def _lead(found: Observations, data: str, test_images: int, model: str) -> str:
    def percent(number: str) -> str:
        summary = over(found, number)
        return MISSING if summary is None else format_summary(summary, 100, digits=4)

    top5 = f", top-5 accuracy {percent('top5')} %" if "top5" in found.numbers else ""
    name = f"{model}: accuracy" if model else "Accuracy"
    return (
        f"{name} {percent('accuracy')} %{top5} on {test_images:,} test images of {data} "
        f"({over_seeds(len(found))})."
    )


def _classes(matrices: np.ndarray, names: Sequence[str]) -> Table:
    """The classes of the lowest accuracy; `matrices` are `[seeds, true, predicted]`."""
    images = matrices[0].sum(1)
    accuracies = matrices.diagonal(axis1=1, axis2=2) / np.maximum(images, 1)
    order = [n for n in np.argsort(accuracies.mean(0), kind="stable") if images[n]]
    return Table(
        ["class", "test images", "accuracy (%)", "most often predicted instead"],
        [
            [
                names[n],
                f"{images[n]:,}",
                format_summary(summarize(accuracies[:, n]), 100),
                _confused(matrices[:, n].sum(0), n, names),
            ]
            for n in order[:_LISTED]
        ],
        caption="Classes by accuracy, the lowest first"
        + (f", {_LISTED} of {len(order)}" if len(order) > _LISTED else "")
        + f". {over_seeds(len(matrices)).capitalize()}.",
        align=["left", "right", "right", "left"],
    )


def _confused(counts: np.ndarray, true: int, names: Sequence[str]) -> str:
    """The class that the images of another are most often taken for, and in percent how often."""
    others = np.where(np.arange(len(counts)) == true, 0, counts)
    if not others.any():
        return MISSING
    return f"{names[int(others.argmax())]} ({100 * others.max() / counts.sum():.1f} %)"


def _errors(found: Observations, names: Sequence[str]) -> list[Block | str]:
    """The most confident errors of the first seed."""
    first = found.where(seed=found.rows[0][SEED])
    kinds = ("errors", "confidence", "error_images")
    errors, confidence, images = (first.array(kind)[0] for kind in kinds)
    if not len(errors):
        return []
    panels = [
        (f"{names[label]} → {names[predicted]}\n{100 * sure:.0f} %", image)
        for (_, label, predicted), sure, image in zip(errors, confidence, images, strict=True)
    ]
    return [
        Heading("Most confident errors"),
        Figure(
            "errors",
            image_grid(panels, columns=6),
            "Misclassified test images of the highest confidence: true class → predicted class, "
            f"and the probability of the predicted class. Seed {first.rows[0][SEED]}.",
        ),
    ]

"""How well classes are predicted, of images and of pixels, and where predictions are wrong."""

from typing import Any

import numpy as np


def most_probable(log_probabilities: np.ndarray, count: int = 5) -> list[tuple[int, float]]:
    """Classes of the highest probability and their probabilities, the highest first.

    Args:
      log_probabilities: `[classes]` of one example.
      count: number of classes, or all where there are fewer.
    """
    order = np.argsort(-log_probabilities, kind="stable")[:count]
    return [(int(each), float(np.exp(log_probabilities[each]))) for each in order]


def classification_metrics(
    log_probabilities: np.ndarray, labels: np.ndarray, errors: int = 12
) -> dict[str, Any]:
    """Accuracy, top-5 accuracy, cross-entropy, confusion matrix, and the most confident errors.

    Returns 'accuracy'; 'loss', the mean cross-entropy; 'top5', the share of examples whose class is
    among the five most probable, None with five classes or fewer; 'confusion', counts
    `[true, predicted]`; 'errors', a list of 'example', 'label', 'predicted' and 'confidence', the
    probability of the predicted class.

    Args:
      log_probabilities: `[examples, classes]`.
      labels: `[examples]`.
      errors: number of errors listed, those with the highest confidence first.

    Raises:
      ValueError: shapes that do not fit.
    """
    if log_probabilities.ndim != 2 or labels.shape != log_probabilities.shape[:1]:
        raise ValueError(
            "log_probabilities and labels must have shapes [examples, classes] and [examples], got "
            f"{log_probabilities.shape} and {labels.shape}."
        )
    classes = log_probabilities.shape[1]
    predicted = log_probabilities.argmax(1)
    wrong = np.flatnonzero(predicted != labels)
    confidence = log_probabilities[np.arange(len(labels)), predicted]
    listed = wrong[np.argsort(-confidence[wrong], kind="stable")][:errors]
    five = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :5]
    return {
        "accuracy": float((predicted == labels).mean()),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "top5": float((five == labels[:, None]).any(1).mean()) if classes > 5 else None,
        "confusion": _confusion(predicted, labels, classes),
        "errors": [
            {
                "example": int(example),
                "label": int(labels[example]),
                "predicted": int(predicted[example]),
                "confidence": float(np.exp(confidence[example])),
            }
            for example in listed
        ],
    }


def intersection_over_union(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """For each class, pixels that are both predicted and true over pixels that are either.

        |P and T| / |P or T|,    over all images together

    Returns `[classes]`, NaN for a class that is neither predicted nor true anywhere. Both arrays
    hold integers.
    Source: Everingham et al., The Pascal visual object classes challenge, 2010, section 4.3.

    Raises:
      ValueError: shapes that differ.
    """
    _require_one_shape(predicted, labels)
    counts = _confusion(np.ravel(predicted), np.ravel(labels), classes)
    both = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def image_overlap(predicted: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Intersection over union of each image, of all classes but the background together.

        sum_c |P_c and T_c| / sum_c |P_c or T_c|,    classes c from 1, over the pixels of the image

    One number an image even where classes are missing there, unlike a mean over classes; 1 where
    there is none but the background, predicted or true.

    Args:
      predicted, labels: integers `[images, height, width]`, 0 the background.

    Returns:
      `[images]`.

    Raises:
      ValueError: shapes that differ.
    """
    _require_one_shape(predicted, labels)
    pixels = tuple(range(1, labels.ndim))
    both = ((predicted == labels) & (labels > 0)).sum(pixels)
    either = (predicted > 0).sum(pixels) + (labels > 0).sum(pixels) - both
    return np.where(either > 0, both / np.maximum(either, 1), 1.0)


def segmentation_metrics(
    predicted: np.ndarray, labels: np.ndarray, classes: int
) -> dict[str, float | None]:
    """Share of pixels with the correct label, and mean intersection over union of classes.

    Returns 'accuracy', of all pixels; 'mean_iou', of all classes; 'background_iou', of class 0;
    'foreground_iou', of all others. Classes that are neither predicted nor true anywhere do not
    count; None where none is left. Arguments as of `intersection_over_union`.

    Raises:
      ValueError: shapes that differ.
    """
    overlap = intersection_over_union(predicted, labels, classes)
    parts = {"mean_iou": overlap, "background_iou": overlap[:1], "foreground_iou": overlap[1:]}
    known = {name: values[~np.isnan(values)] for name, values in parts.items()}
    return {
        "accuracy": float((predicted == labels).mean()),
        **{name: float(values.mean()) if len(values) else None for name, values in known.items()},
    }


def _require_one_shape(predicted: np.ndarray, labels: np.ndarray) -> None:
    if predicted.shape != labels.shape:
        raise ValueError(
            f"`predicted` and `labels` must have one shape, got {predicted.shape} and "
            f"{labels.shape}."
        )


def _confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts `[true, predicted]`."""
    return np.bincount(classes * labels.astype(int) + predicted, minlength=classes**2).reshape(
        -1, classes
    )

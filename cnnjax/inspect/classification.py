"""How well a classifier predicts the class of every example, and where it is wrong."""

from typing import Any

import numpy as np


def most_probable(log_probabilities: np.ndarray, count: int = 5) -> list[tuple[int, float]]:
    """Classes of the highest probability and their probabilities, the highest first.

    Args:
      log_probabilities: `[classes]` of one example.
      count: of the classes, or all where there are fewer.
    """
    order = np.argsort(-log_probabilities, kind="stable")[:count]
    return [(int(each), float(np.exp(log_probabilities[each]))) for each in order]


def classification_metrics(
    log_probabilities: np.ndarray, labels: np.ndarray, errors: int = 12
) -> dict[str, Any]:
    """Accuracy, top-5 accuracy, cross-entropy, confusion matrix, and the most confident errors.

    Args:
      log_probabilities: `[examples, classes]`.
      labels: `[examples]`.
      errors: number of errors listed, those with the highest confidence first.

    Returns:
      'accuracy'; 'loss', the mean cross-entropy; 'top5', the share of examples whose class is among
      the five most probable, None with five classes or fewer; 'confusion', counts
      `[true, predicted]`; 'errors', a list of 'example', 'label', 'predicted' and 'confidence', the
      probability of the predicted class.

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
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, predicted), 1)
    wrong = np.flatnonzero(predicted != labels)
    confidence = log_probabilities[np.arange(len(labels)), predicted]
    listed = wrong[np.argsort(-confidence[wrong], kind="stable")][:errors]
    five = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :5]
    return {
        "accuracy": float((predicted == labels).mean()),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "top5": float((five == labels[:, None]).any(1).mean()) if classes > 5 else None,
        "confusion": confusion,
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

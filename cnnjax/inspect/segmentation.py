"""How well every pixel is labelled."""

import numpy as np


def intersection_over_union(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """For each class, pixels that are both predicted and true over pixels that are either.

        |P and T| / |P or T|,    over all images together

    Source: Everingham et al., The Pascal visual object classes challenge, 2010, section 4.3.

    Args:
      predicted, labels: integers of one shape.
      classes: number of classes.

    Returns:
      `[classes]`; NaN for a class that is neither predicted nor true anywhere.

    Raises:
      ValueError: shapes that differ.
    """
    if predicted.shape != labels.shape:
        raise ValueError(
            f"`predicted` and `labels` must have one shape, got {predicted.shape} and "
            f"{labels.shape}."
        )
    counts = np.bincount(
        classes * np.ravel(labels) + np.ravel(predicted), minlength=classes**2
    ).reshape(classes, classes)
    both = counts.diagonal()
    either = counts.sum(0) + counts.sum(1) - both
    return np.where(either > 0, both / np.maximum(either, 1), np.nan)


def segmentation_metrics(
    predicted: np.ndarray, labels: np.ndarray, classes: int
) -> dict[str, float | None]:
    """Share of pixels with the correct label, and mean intersection over union of classes.

    Args:
      predicted, labels: integers of one shape, 0 for the background.
      classes: number of classes, that of the background included.

    Returns:
      'accuracy', of all pixels; 'mean_iou', of all classes; 'background_iou'; 'foreground_iou', of
      all classes but the background. Classes that are neither predicted nor true anywhere do not
      count; None where none is left.

    Raises:
      ValueError: shapes that differ.
    """
    overlap = intersection_over_union(predicted, labels, classes)
    of_classes = {
        "mean_iou": overlap,
        "background_iou": overlap[:1],
        "foreground_iou": overlap[1:],
    }
    return {
        "accuracy": float((predicted == labels).mean()),
        **{
            name: None if np.isnan(values).all() else float(np.nanmean(values))
            for name, values in of_classes.items()
        },
    }

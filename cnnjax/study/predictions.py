"""What a trained classifier says of every test image, and where it is wrong."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.study.classification import Classification
from cnnjax.train.state import TrainState


def probabilities(
    task: Classification, model: linen.Module, state: TrainState, batch_size: int = 256
) -> np.ndarray:
    """The class probabilities of all test images, `[examples, classes]`.

    With averaged parameters where the state has them.
    """
    params = state.params if state.ema_params is None else state.ema_params
    variables = jax.device_get({"params": params, "batch_stats": state.batch_stats})

    @jax.jit
    def predict(images):
        return jax.nn.softmax(jnp.asarray(model.apply(variables, task.place(images))))

    images = task.dataset.test.images
    padded = np.concatenate([images, images[:1].repeat(-len(images) % batch_size, 0)])
    parts = [
        np.asarray(predict(padded[first : first + batch_size]))
        for first in range(0, len(padded), batch_size)
    ]
    return np.concatenate(parts)[: len(images)]


def judged(predicted: np.ndarray, labels: np.ndarray, worst: int = 12) -> dict[str, Any]:
    """Accuracy, accuracy of the first five, confusions, and the surest mistakes.

    Args:
      predicted: probabilities `[examples, classes]`.
      labels: `[examples]`.
      worst: number of mistakes, those with the highest probability of a wrong class first.

    Returns:
      'accuracy'; 'top5', the share whose class is among the five most probable, None with five
      classes or fewer; 'confusion', counts `[true, predicted]`; 'mistakes', a list of 'example',
      'label', 'predicted' and 'probability'.
    """
    classes = predicted.shape[1]
    chosen = predicted.argmax(1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, chosen), 1)
    wrong = np.flatnonzero(chosen != labels)
    surest = wrong[np.argsort(-predicted[wrong, chosen[wrong]], kind="stable")][:worst]
    five = np.argsort(-predicted, axis=1, kind="stable")[:, :5]
    return {
        "accuracy": float((chosen == labels).mean()),
        "top5": float((five == labels[:, None]).any(1).mean()) if classes > 5 else None,
        "confusion": confusion,
        "mistakes": [
            {
                "example": int(example),
                "label": int(labels[example]),
                "predicted": int(chosen[example]),
                "probability": float(predicted[example, chosen[example]]),
            }
            for example in surest
        ],
    }

"""What a trained classifier says of every test image, and where it is wrong."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.data.batches import evaluation_batches
from cnnjax.study.classification import Classification
from cnnjax.train.state import TrainState


def predictions(
    task: Classification, model: linen.Module, state: TrainState, batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the class probabilities `[examples, classes]` of all test images, and labels.

    With averaged parameters where the state has them.
    """
    variables = jax.device_get(state.variables)

    @jax.jit
    def predict(images):
        return jax.nn.log_softmax(jnp.asarray(model.apply(variables, task.place(images))))

    test = task.dataset.test
    found, labels = [], []
    for indices, weights in evaluation_batches(len(test), batch_size):
        images, classes = test.read(indices)
        real = weights > 0
        found.append(np.asarray(predict(images))[real])
        labels.append(classes[real])
    return np.concatenate(found), np.concatenate(labels)


def judged(log_probabilities: np.ndarray, labels: np.ndarray, worst: int = 12) -> dict[str, Any]:
    """Accuracy, accuracy of the first five, loss, confusions, and the surest mistakes.

    Args:
      log_probabilities: `[examples, classes]`.
      labels: `[examples]`.
      worst: number of mistakes, those with the highest probability of a wrong class first.

    Returns:
      'accuracy'; 'loss', the mean cross-entropy; 'top5', the share whose class is among the five
      most probable, None with five classes or fewer; 'confusion', counts `[true, predicted]`;
      'mistakes', a list of 'example', 'label', 'predicted' and 'probability'.
    """
    classes = log_probabilities.shape[1]
    chosen = log_probabilities.argmax(1)
    confusion = np.zeros((classes, classes), int)
    np.add.at(confusion, (labels, chosen), 1)
    wrong = np.flatnonzero(chosen != labels)
    sureness = log_probabilities[np.arange(len(labels)), chosen]
    surest = wrong[np.argsort(-sureness[wrong], kind="stable")][:worst]
    five = np.argsort(-log_probabilities, axis=1, kind="stable")[:, :5]
    return {
        "accuracy": float((chosen == labels).mean()),
        "loss": float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        "top5": float((five == labels[:, None]).any(1).mean()) if classes > 5 else None,
        "confusion": confusion,
        "mistakes": [
            {
                "example": int(example),
                "label": int(labels[example]),
                "predicted": int(chosen[example]),
                "probability": float(np.exp(sureness[example])),
            }
            for example in surest
        ],
    }

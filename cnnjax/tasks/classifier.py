"""A classifier trained for every seed, and everything that a report shows of it."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.data.batches import evaluation_batches
from cnnjax.inspect import classification_metrics, most_probable
from cnnjax.run.record import Record
from cnnjax.tasks.network import Network
from cnnjax.tasks.task import Task
from cnnjax.train.config import TrainConfig
from cnnjax.train.state import TrainState


def train_classifiers(
    task: Task,
    model: linen.Module,
    train: TrainConfig,
    seeds: Sequence[int],
    record: Record,
    *,
    start: Mapping[str, Any] | None = None,
) -> None:
    """Train a classifier for each seed, and observe its predictions of all test images.

    During training it is evaluated on the task's validation examples; the best checkpoint is the
    best on them. Test images are read once, after the last step.

    Observed are accuracy, loss, those of the validation examples `validation.accuracy` and
    `validation.loss`, top5 (where there are more than five classes), parameters and
    multiply_adds, the confusion matrix [true, predicted], and of the most confident errors their
    `errors` [n, 3] (example, label, predicted class), their `confidence` [n] and their
    `error_images` [n, height, width, channels]; and of the first test image its `first_label` [1],
    the five most probable classes `first_top5` [5] and their `first_scores` [5].

    Args:
      task: the data.
      model: gives logits of the images.
      train: how to train.
      seeds: of the networks.
      record: of the run.
      start: variables from which training starts; by default random ones.

    Raises:
      InputError: the network makes no logits of the images.
    """
    task.check_logits(model)
    network = task.network(model, train).starting_from(start)
    scores = network.scores()
    for cell in record.each(seed=seeds):
        state = network.train(record, cell, evaluate=scores)
        log_probabilities, labels = predictions(network, state)
        found = classification_metrics(log_probabilities, labels)
        classes, scores_of_first = zip(*most_probable(log_probabilities[0]), strict=True)
        errors = found.pop("errors")
        examples = np.array([each["example"] for each in errors], int)
        record.observe(
            cell,
            **found,
            validation=scores(state),
            parameters=network.parameters,
            multiply_adds=network.multiply_adds,
            errors=np.array(
                [[each[key] for key in ("example", "label", "predicted")] for each in errors], int
            ).reshape(-1, 3),
            confidence=np.array([each["confidence"] for each in errors], float),
            first_label=labels[:1],
            first_top5=np.array(classes),
            first_scores=np.array(scores_of_first),
            error_images=task.test.read(examples)[0] if errors else np.zeros((0, *task.shape)),
        )


def predictions(
    network: Network, state: TrainState, batch_size: int = 256
) -> tuple[np.ndarray, np.ndarray]:
    """Logarithms of the class probabilities `[examples, classes]` of all test images, and labels.

    With averaged parameters where the state has them.
    """
    variables = jax.device_get(state.variables)
    test = network.task.test
    found, labels = [], []
    for indices, weights in evaluation_batches(len(test), batch_size):
        images, classes = test.read(indices)
        real = weights > 0
        placed = network.task.place(images)
        found.append(network.compute(_log_probabilities, variables, placed)[real])
        labels.append(classes[real])
    return np.concatenate(found), np.concatenate(labels)


def _log_probabilities(model: linen.Module, variables: Any, images: jax.Array) -> jax.Array:
    return jax.nn.log_softmax(jnp.asarray(model.apply(variables, images)))

"""A network trained while the page is made, and what it has learned to see."""

import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax import tasks
from cnnjax.inspect import (
    classification_metrics,
    intersection_over_union,
    most_probable,
    occlusion_map,
    preferred_inputs,
    smooth_saliency,
)
from cnnjax.models import PlainNet
from cnnjax.report import Block, Code, Figure, Heading, Paragraph, image_grid, score_table
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit

TITLE = "Learning, and seeing inside"

Numbers = Mapping[str, Any]

STEPS = 60


def numbers() -> dict[str, Any]:
    """Accuracy of a small network on digits, preferred inputs, and evidence for its decisions."""
    config = TrainConfig(steps=STEPS, batch_size=128 - 128 % jax.device_count(), learning_rate=5e-3)
    task = tasks.resized("digits", size=16)
    model = PlainNet(10, features=(16, 32))
    network = task.network(model, config)
    batch = functools.partial(task.train_batch, batch_size=config.batch_size)
    begin = network.initial(0)
    state = fit(network.training, begin, batch, task.source("train"), quiet=True).state
    log_probabilities, test_labels = tasks.predictions(network, state)
    found = classification_metrics(log_probabilities, test_labels)
    # The test image with the least certain decision: the others have one class at 100 %.
    unsure = int(log_probabilities.max(-1).argmin())
    variables = jax.device_get(state.variables)
    images, given = task.test.read(np.arange(5))
    x, labels = task.place(images), jnp.asarray(given)

    def score(images: jax.Array) -> jax.Array:
        logits: Any = model.apply(variables, images)
        return logits[jnp.arange(len(images)), labels[: len(images)]]

    def classes(images: jax.Array) -> jax.Array:
        logits: Any = model.apply(variables, images)
        return logits[jnp.arange(10), jnp.arange(10)]

    preferred = preferred_inputs(
        classes, (10, *task.shape), jax.random.key(0), steps=60, norm=float(task.shape[0])
    )
    saliency = smooth_saliency(score, x, jax.random.key(0))
    covered = occlusion_map(score, x, size=4, stride=2, value=float(x.min()))
    textured, classes_of_pixels = tasks.textured_digits(train_images=1, test_images=5).test.read(
        np.arange(5)
    )
    ink, grey = classes_of_pixels > 0, textured[..., 0]
    # The best threshold for these very images.
    overlap = {
        threshold: intersection_over_union((grey > threshold).astype(int), ink.astype(int), 2)[1]
        for threshold in range(0, 256, 5)
    }
    best = max(overlap, key=overlap.__getitem__)
    return {
        "steps": STEPS,
        "batch_size": config.batch_size,
        "accuracy": found["accuracy"],
        "unsure": {
            "image": unsure,
            "label": int(test_labels[unsure]),
            "scores": most_probable(log_probabilities[unsure]),
        },
        "class_names": task.dataset.class_names,
        "preferred": np.asarray(preferred)[..., 0].round(3),
        "images": np.asarray(x)[..., 0].round(3),
        "saliency": np.abs(np.asarray(saliency)[..., 0]).round(4),
        "occlusion": np.asarray(covered).round(3),
        "textured": grey,
        "labels": classes_of_pixels,
        "threshold": best,
        "threshold_iou": overlap[best],
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The pictures, and the commands that go further."""
    shown = {
        f"{name} {number + 1}": numbers[name][number]
        for name in ("images", "saliency", "occlusion")
        for number in range(5)
    }
    segmented = {
        f"{name} {number + 1}": numbers[name][number]
        for name in ("textured", "labels")
        for number in range(5)
    }
    return [
        Paragraph(
            f"A network of two convolutions has an accuracy of {100 * numbers['accuracy']:.1f} % "
            f"on scikit-learn's test digits after {numbers['steps']} steps of "
            f"{numbers['batch_size']} images, trained while this page was made."
        ),
        score_table(
            numbers["unsure"]["scores"],
            numbers["unsure"]["label"],
            numbers["class_names"],
            f"test image {numbers['unsure']['image']}, the least certain of all",
        ),
        Figure(
            "preferred",
            image_grid(
                {str(label): image for label, image in enumerate(numbers["preferred"])},
                columns=10,
                signed=True,
            ),
            "Input that maximises the logit of each digit, by gradient ascent.",
            "Ten images that look faintly like digits.",
        ),
        Figure(
            "decisions",
            image_grid(shown),
            "Test digits; the gradient of the true class's logit by the pixels, smoothed over "
            "noise; the decrease of that logit when a square is covered.",
            "Digits, saliency maps and occlusion maps.",
        ),
        Code(
            "python launch.py train --model LeNet5 --size 32 --workdir runs/lenet\n"
            "python launch.py visualise runs/lenet\n"
            "python launch.py cifar10 --data-dir DIR"
        ),
        Heading("Structured output", 3),
        Paragraph(
            "Every pixel has a label: background, or the digit whose ink it is. A recurrent "
            "convolutional network refines its own estimate again and again with the same weights. "
            f"A threshold of the brightness at {numbers['threshold']}, the best on these images, "
            "finds the ink with an intersection over union of "
            f"{100 * numbers['threshold_iou']:.0f} %."
        ),
        Figure(
            "textured",
            image_grid(segmented),
            "Digits on textured backgrounds, and the labels of their pixels (brighter is a higher "
            "digit).",
            "Textured images and label maps.",
        ),
        Code("python launch.py segmentation"),
    ]

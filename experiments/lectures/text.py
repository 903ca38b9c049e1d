"""Convolution on text: one axis of characters, one channel for each letter."""

import functools
import inspect
from collections.abc import Mapping
from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from cnnjax import inspect as measures, layers, models, ops, symmetry
from cnnjax.report import Block, Heading, Paragraph, Table, format_number
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.training import compile_training

TITLE = "Text"

Numbers = Mapping[str, Any]

LETTERS = " abcdefghijklmnopqrstuvwxyz"
LENGTH = 16
"""Characters of an example."""
STEPS, BATCH = 150, 128
FEATURES, KERNEL_SIZE = 48, 4


class CharacterNet(nn.Module):
    """A convolution over characters, its largest response at any position, and a classifier.

    Source: Collobert et al., Natural language processing (almost) from scratch, 2011; of
    characters: Zhang, Zhao, LeCun, Character-level convolutional networks for text classification,
    2015.
    """

    classes: int
    """Number of classes."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Map one-hot characters `[batch, length, letters]` to logits `[batch, classes]`."""
        x = layers.Conv(FEATURES, KERNEL_SIZE, padding="VALID", name="conv")(x)
        return nn.Dense(self.classes, name="classifier")(nn.relu(x).max(axis=1))


def numbers() -> dict[str, Any]:
    """Accuracy of telling text from text read backwards, and what the kernels look for."""
    training = np.concatenate([_letters(package) for package in (ops, layers, symmetry)])
    test = np.concatenate([_letters(package) for package in (models, measures)])
    images, labels = _examples(test, step=LENGTH)
    params = _trained(*_examples(training, step=1))
    logits = jax.jit(CharacterNet(2).apply)({"params": params}, images)
    predicted = np.asarray(logits).argmax(-1)
    index = np.array([LETTERS.index(letter) for letter in "convolution"])
    table = np.random.default_rng(0).normal(size=(len(LETTERS), 8)).astype(np.float32)
    convolved = ops.conv(jnp.asarray(_one_hot(index)), jnp.asarray(table)[None])
    return {
        "examples": [
            {"text": _words(image), "label": int(label), "predicted": int(found)}
            for image, label, found in zip(
                *(e[_shown(labels)] for e in (images, labels, predicted))
            )
        ],
        "training_letters": len(training),
        "test_examples": len(labels),
        "accuracy": float((predicted == labels).mean()),
        "grams": [_grams(params, test, label) for label in (0, 1)],
        "embedding_difference": float(np.abs(convolved - table[index]).max()),
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The task, the accuracy, and the letters that the kernels respond to."""
    names = ("forwards", "backwards")
    return [
        Paragraph(
            "A text is a signal of one axis with a channel for each letter, one where that letter "
            "stands and zero elsewhere (one-hot). A convolution of kernel size 1 is then an "
            f"embedding, a row of its kernel for each letter (difference "
            f"{format_number(numbers['embedding_difference'], 1)}); a longer kernel responds to "
            "letters that follow each other."
        ),
        Heading("Which way does a text read?", 3),
        Paragraph(
            f"Pieces of {LENGTH} letters of cnnjax's own documentation, "
            f"{numbers['training_letters']:,} letters to train on, as they are or backwards. A "
            f"convolution of {FEATURES} kernels of {KERNEL_SIZE} letters, the largest response of "
            f"each at any position, and a linear classifier reach {100 * numbers['accuracy']:.1f} "
            f"% on {numbers['test_examples']:,} pieces of other pages, half of them backwards, "
            f"after {STEPS} steps of {BATCH} pieces. Where a sequence of letters stands does not "
            "matter, which letters follow each other does:"
        ),
        Table(
            ["a piece", "read", "predicted"],
            [
                [f"“{each['text']}”", names[each["label"]], names[each["predicted"]]]
                for each in numbers["examples"]
            ],
            caption="The first two test pieces as they are, and backwards.",
            align=["left"] * 3,
        ),
        Table(
            ["speaks for", "letters with the largest response, for six kernels"],
            [
                [name, ", ".join(f"“{gram}”" for gram in grams)]
                for name, grams in zip(names, numbers["grams"], strict=True)
            ],
            caption="Of the kernels whose weight in the classifier speaks most for either side: "
            "the letters of the test pages to which they respond most.",
            align=["left", "left"],
        ),
    ]


def _letters(package: ModuleType) -> np.ndarray:
    """The documentation of everything in a package, as numbers of lower-case letters and spaces."""
    found = (inspect.getdoc(getattr(package, name)) for name in package.__all__)
    text = " ".join(text for text in found if text).lower()
    words = "".join(letter if letter in LETTERS else " " for letter in text).split()
    return np.array([LETTERS.index(letter) for letter in " ".join(words)])


def _examples(letters: np.ndarray, step: int) -> tuple[np.ndarray, np.ndarray]:
    """Pieces one-hot, `[examples, LENGTH, letters]`: as they are, labelled 0, and backwards, 1."""
    pieces = np.lib.stride_tricks.sliding_window_view(letters, LENGTH)[::step]
    labels = np.repeat(np.array([0, 1], np.int32), len(pieces))
    return _one_hot(np.concatenate([pieces, pieces[:, ::-1]])), labels


def _one_hot(letters: np.ndarray) -> np.ndarray:
    return np.eye(len(LETTERS), dtype=np.float32)[letters]


def _shown(labels: np.ndarray) -> np.ndarray:
    """The first two examples of either class."""
    return np.concatenate([np.flatnonzero(labels == label)[:2] for label in (0, 1)])


def _words(image: np.ndarray) -> str:
    return "".join(LETTERS[letter] for letter in image.argmax(-1))


def _trained(images: np.ndarray, labels: np.ndarray) -> Any:
    """Parameters after training on examples drawn at random."""
    devices = jax.devices()[:1]
    config = TrainConfig(steps=STEPS, batch_size=BATCH, learning_rate=5e-3)
    training = compile_training(CharacterNet(2), config, devices=devices)

    def batch(seed: int, step: int) -> dict[str, np.ndarray]:
        drawn = np.random.default_rng([seed, step]).integers(0, len(labels), BATCH)
        position = np.arange(BATCH, dtype=np.int32)
        return {"image": images[drawn], "label": labels[drawn], "position": position}

    state = fit(training, training.init(0, images[:1]), batch, quiet=True).state
    return jax.device_get(state.params)


def _grams(params: Any, letters: np.ndarray, label: int) -> list[str]:
    """For the six kernels that speak most for a class, the letters with the largest response."""
    weights = params["classifier"]["kernel"]
    speaks = weights[:, label] - weights[:, 1 - label]
    text = letters if label == 0 else letters[::-1]
    respond = functools.partial(ops.conv, padding="VALID")
    responses = np.asarray(respond(jnp.asarray(_one_hot(text)), params["conv"]["kernel"]))
    return [
        "".join(LETTERS[letter] for letter in text[start : start + KERNEL_SIZE])
        for start in responses.argmax(0)[np.argsort(-speaks)[:6]]
    ]

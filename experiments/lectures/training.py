"""Training as TensorFlow's CIFAR-10 tutorial has it: total loss, learning rate, moving average; and
training on any number of devices."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from matplotlib.figure import Figure as Canvas

from cnnjax import tasks
from cnnjax.models import ConvPoolDense
from cnnjax.report import (
    BLUE,
    DOUBLE_COLUMN,
    GREEN,
    GREY,
    VERMILLION,
    Block,
    Code,
    Figure,
    Heading,
    Paragraph,
    Table,
    format_number,
    styled,
)
from cnnjax.train.config import TrainConfig
from cnnjax.train.loop import fit
from cnnjax.train.optimizer import optimizer
from cnnjax.train.state import create_state
from cnnjax.train.step import moving_average, ramped_average, train_step

TITLE = "Training"

Numbers = Mapping[str, Any]

CONFIG = TrainConfig(
    steps=60,
    batch_size=64,
    optimizer="sgd",
    momentum=0.0,
    learning_rate=0.03,
    schedule="exponential",
    decay_steps=20,
    decay_rate=0.5,
    staircase=True,
    weight_decay=0.05,
    decay_only=("classifier",),
    log_every=1,
)
DECAY, UPDATES = 0.99, 200
SHARES = (1, 2, 4)


def numbers() -> dict[str, Any]:
    """Curves of a short training, two averages of a parameter, and losses on several devices."""
    return {"curves": _curves(), "averages": _averages(), "shares": _shares()}


def blocks(numbers: Numbers) -> list[Block]:
    """The curves, the averages, and the losses side by side."""
    curves, shares = numbers["curves"], numbers["shares"]
    total, loss = (curves[name]["values"] for name in ("total_loss", "loss"))
    one = np.array(shares["losses"][0])
    difference = max(float(np.abs(np.array(each) / one - 1).max()) for each in shares["losses"])
    return [
        Heading("Total loss and learning rate", 3),
        Paragraph(
            f"The total loss is cross-entropy plus the L2 terms, {CONFIG.weight_decay} / 2 times "
            "the squared weights of the dense layer. Logged at every step of "
            f"{CONFIG.steps}, on scikit-learn's digits: it begins at {total[0]:.3f}, of which "
            f"{total[0] - loss[0]:.3f} are L2 terms, and ends at {total[-1]:.3f}, of which "
            f"{total[-1] - loss[-1]:.3f} are. The learning rate is multiplied by "
            f"{CONFIG.decay_rate} every {CONFIG.decay_steps} steps. With weight decay every page "
            "of the commands train and cifar10 draws both."
        ),
        Figure(
            "total_loss",
            _loss_figure(curves),
            "Left: cross-entropy and total loss of each step. Right: its learning rate.",
            "Two falling curves and a staircase.",
        ),
        Heading("Moving average of the parameters", 3),
        Paragraph(
            f"Evaluation takes averaged parameters. A mean with the decay {DECAY} from the first "
            "update on would hold on to the initial parameters; two ways out: the mean of what "
            "came after each update, with weights that sum to 1 (ema_start debiased, the default), "
            f"and TensorFlow's decay min({DECAY}, (1 + n) / (10 + n)) after n updates (ramped, as "
            f"the tutorial has it). After {UPDATES} updates they differ by "
            f"{format_number(numbers['averages']['difference'], 2)} of the parameter's change."
        ),
        Figure(
            "averages",
            _average_figure(numbers["averages"]),
            "A parameter that learns, made from a formula and noise, and its averages.",
            "A noisy curve and three smooth ones.",
        ),
        Heading("On any number of devices", 3),
        Paragraph(
            "A batch is sharded across the devices. Which units dropout leaves out of an example "
            "depends on the example's place in the whole batch, not on its device; so do the "
            "changes of augmentation. A run that is resumed on as many devices as before ends with "
            "the same numbers to the last bit, on another number with the same but for rounding: "
            f"here to {format_number(difference, 1)} of the loss."
        ),
        Table(
            ["shares of a batch", *(f"loss at step {n + 1}" for n in range(len(one)))],
            [
                [str(count), *(f"{loss:.7f}" for loss in losses)]
                for count, losses in zip(shares["shares"], shares["losses"], strict=True)
            ],
            caption="A network with dropout of half its units, trained on random images by the "
            "same step, one batch as so many shares.",
            align=["right"] * (1 + len(one)),
        ),
        Code("python launch.py cifar10 full --data-dir DIR"),
    ]


def _curves() -> dict[str, dict[str, list]]:
    """What training logs, by quantity."""
    task = tasks.resized("digits", size=16)
    batch_size = CONFIG.batch_size - CONFIG.batch_size % jax.device_count()
    config = dataclasses.replace(CONFIG, batch_size=batch_size)
    network = task.network(ConvPoolDense(task.classes), config)
    curves: dict[str, dict[str, list]] = {}

    def write(step: int, values: dict[str, float]) -> None:
        for name in ("loss", "total_loss", "learning_rate"):
            curve = curves.setdefault(name, {"steps": [], "values": []})
            curve["steps"].append(step)
            curve["values"].append(values[name])

    batch = functools.partial(task.train_batch, batch_size=config.batch_size)
    source = task.source("train")
    fit(network.training, network.initial(0), batch, source, write=write, quiet=True)
    return curves


def _averages() -> dict[str, Any]:
    """A parameter from -1 to 1 with noise, and three averages of it."""
    step = np.arange(1, UPDATES + 1)
    noise = 0.15 * np.random.default_rng(0).normal(size=UPDATES)
    values = 1 - 2 * np.exp(-step / 30) + noise
    found: dict[str, list[float]] = {"debiased": [-1.0], "ramped": [-1.0], "neither": [-1.0]}
    updated = {
        name: jax.jit(functools.partial(average, decay=DECAY))
        for name, average in (("debiased", moving_average), ("ramped", ramped_average))
    }
    for n, value in zip(step, values, strict=True):
        for name, average in updated.items():
            found[name].append(float(average(found[name][-1], value, n)))
        found["neither"].append(DECAY * found["neither"][-1] + (1 - DECAY) * value)
    difference = abs(found["debiased"][-1] - found["ramped"][-1]) / 2
    return {"values": [-1.0, *values], "averages": found, "difference": difference}


class _Dropping(nn.Module):
    """A convolution, dropout of half its units, and a classifier."""

    @nn.compact
    def __call__(self, x: jax.Array, train: bool = False) -> jax.Array:
        x = nn.relu(nn.Conv(8, (3, 3), name="conv")(x))
        x = nn.Dropout(0.5, deterministic=not train)(x)
        return nn.Dense(3, name="classifier")(x.reshape(len(x), -1))


def _shares() -> dict[str, Any]:
    """Losses of three steps, with the batch as one share and as several."""
    config = TrainConfig(batch_size=8, optimizer="sgd", learning_rate=0.05)
    draw = np.random.default_rng(0)
    batch = {
        "image": draw.normal(size=(8, 8, 8, 1)).astype(np.float32),
        "label": draw.integers(0, 3, 8).astype(np.int32),
        "position": np.arange(8, dtype=np.int32),
    }
    optimization = optimizer(config)
    step = functools.partial(train_step, model=_Dropping(), optimizer=optimization, config=config)
    # What pmap does on devices, vmap does on one.
    create = jax.jit(functools.partial(create_state, _Dropping(), optimization))
    parallel = jax.jit(jax.vmap(step, in_axes=(None, 0), out_axes=None, axis_name="batch"))
    losses = []
    for shares in SHARES:
        state = create(0, batch["image"])
        sharded = {
            name: each.reshape(shares, 8 // shares, *each.shape[1:]) for name, each in batch.items()
        }
        losses.append([])
        for _ in range(3):
            state, metrics = parallel(state, sharded)
            losses[-1].append(float(metrics["loss"] / metrics["count"]))
    return {"shares": SHARES, "losses": losses}


@styled
def _loss_figure(curves: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.2))
    left, right = canvas.subplots(1, 2)
    for name, label, color in (
        ("loss", "cross-entropy", BLUE), ("total_loss", "total loss", VERMILLION)
    ):  # fmt: skip
        left.plot(curves[name]["steps"], curves[name]["values"], color=color, label=label)
    rate = curves["learning_rate"]
    right.plot(rate["steps"], rate["values"], color=GREEN, drawstyle="steps-mid")
    left.set_ylabel("loss")
    left.legend()
    right.set_ylabel("learning rate")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("steps")
    return canvas


@styled
def _average_figure(averages: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.0))
    axes = canvas.subplots()
    axes.plot(averages["values"], ".", color=GREY, markersize=2, label="parameter")
    for (name, values), color in zip(
        averages["averages"].items(), (BLUE, VERMILLION, GREEN), strict=True
    ):
        axes.plot(values, color=color, linewidth=1.2, label=name)
    axes.set_xlabel("updates")
    axes.legend(loc="lower right", ncols=4)
    return canvas

"""Which frequencies dense and convolutional networks learn first."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn
from matplotlib.figure import Figure as Canvas

from cnnjax.layers import Conv
from cnnjax.report import (
    DOUBLE_COLUMN,
    GREY,
    MISSING,
    Block,
    Figure,
    Paragraph,
    Table,
    color_of,
    format_number,
    styled,
)

TITLE = "Spectral bias"

Numbers = Mapping[str, Any]

POINTS, FREQUENCIES, SEEDS = 64, (1, 2, 4, 8), 3
LEARNING_RATE = 2e-3
DEPTH = 4


class DenseNetwork(nn.Module):
    """A value for each time, from the time alone."""

    @nn.compact
    def __call__(self, time: jax.Array) -> jax.Array:
        """Map times `[points, 1]` to values `[points]`."""
        for _ in range(DEPTH):
            time = nn.relu(nn.Dense(64)(time))
        return nn.Dense(1)(time)[..., 0]


class ConvolutionalNetwork(nn.Module):
    """A signal from fixed noise, whose resolution `doublings` of the layers double."""

    doublings: int = 0
    """Number of layers that double the number of positions."""

    @nn.compact
    def __call__(self, noise: jax.Array) -> jax.Array:
        """Map noise `[points / 2 ** doublings, channels]` to values `[points]`."""
        x = noise[None]
        for number in range(DEPTH):
            x = nn.relu(Conv(32, 5, padding="CIRCULAR")(x))
            if number < self.doublings:
                x = jax.image.resize(x, (1, 2 * x.shape[1], x.shape[2]), "linear")
        return Conv(1, 5, padding="CIRCULAR")(x)[0, :, 0]


NETWORKS: dict[str, tuple[nn.Module, int]] = {
    "dense, of the time": (DenseNetwork(), 1500),
    "convolutional, of noise": (ConvolutionalNetwork(), 100),
    "convolutional, of coarse noise": (ConvolutionalNetwork(doublings=3), 100),
}
"""Networks and the steps that each is trained."""


def numbers() -> dict[str, Any]:
    """Share of each frequency that each network has learned after every step."""
    learned = {name: _learned(*network) for name, network in NETWORKS.items()}
    return {
        "frequencies": FREQUENCIES,
        "learned": {name: shares.mean(0).round(4) for name, shares in learned.items()},
        "half": {name: [_half(shares) for shares in each] for name, each in learned.items()},
    }


def blocks(numbers: Numbers) -> list[Block]:
    """The curves, and the steps until half of each frequency is learned."""
    dense = np.array(numbers["half"]["dense, of the time"], float)
    ordered = bool((np.diff(dense, axis=1) > 0).all())
    ratios = ", ".join(
        f"{format_number(float(np.mean([last / max(1, first) for first, *_, last in half])), 2)} "
        f"({name})"
        for name, half in numbers["half"].items()
        if all(None not in steps for steps in half)
    )
    return [
        Paragraph(
            "Dense networks with ReLU learn low frequencies first (Rahaman, Baratin, Arpit, "
            "Draxler, Lin, Hamprecht, Bengio, Courville, On the spectral bias of neural networks, "
            f"2019). Measured here: the sum of {len(numbers['frequencies'])} sines of one "
            f"amplitude at {POINTS} points, full batches, Adam, {SEEDS} seeds. The dense network "
            "takes the time and gives the value; its frequencies are half learned "
            f"{'' if ordered else 'not '}in their order for every seed. The convolutional networks "
            "make the whole signal from fixed noise: of the same length, which holds all "
            "frequencies, or of an eighth of it, with three layers that double the resolution (as "
            "in Chakrabarty, Maji, The spectral bias of the deep image prior, 2019). Until half of "
            "the highest frequency is learned pass so many times the steps of the lowest, mean "
            f"over seeds: {ratios}."
        ),
        Figure(
            "spectral_bias",
            _figure(numbers),
            "Share of each sine that is learned against the step, mean over seeds; dotted: half.",
            "Rising curves, in the first panel one after the other.",
        ),
        Table(
            ["network", *(f"frequency {each}" for each in numbers["frequencies"])],
            [
                [name, *(_listed(column) for column in zip(*half, strict=True))]
                for name, half in numbers["half"].items()
            ],
            caption="Steps after which half of the sine's amplitude is reached: the least and the "
            "most of all seeds.",
            align=["left", *("right" for _ in numbers["frequencies"])],
        ),
    ]


def _learned(network: nn.Module, steps: int) -> np.ndarray:
    """Shares `[seeds, steps, frequencies]`: projections on each sine, relative to the target's."""
    draw = np.random.default_rng(0)
    time = np.arange(POINTS) / POINTS
    phases = draw.uniform(0, 2 * np.pi, len(FREQUENCIES))
    sines = np.sin(2 * np.pi * np.outer(FREQUENCIES, time) + phases[:, None])
    target = jnp.asarray(sines.sum(0), jnp.float32)
    inputs = 2 * time[:, None] - 1
    if isinstance(network, ConvolutionalNetwork):
        inputs = draw.normal(size=(POINTS // 2**network.doublings, 16))
    x = jnp.asarray(inputs, jnp.float32)
    optimizer = optax.adam(LEARNING_RATE)

    def error(params: Any) -> tuple[jax.Array, jax.Array]:
        z: Any = network.apply(params, x)
        return ((z - target) ** 2).mean(), z

    def step(state: Any, _: None) -> tuple[Any, jax.Array]:
        params, memory = state
        gradient, z = jax.grad(error, has_aux=True)(params)
        updates, memory = optimizer.update(gradient, memory, params)
        shares = 2 / POINTS * (jnp.asarray(sines, jnp.float32) @ z)
        return (optax.apply_updates(params, updates), memory), shares

    @jax.jit
    def trained(key: jax.Array) -> jax.Array:
        params = network.init(key, x)
        return jax.lax.scan(step, (params, optimizer.init(params)), length=steps)[1]

    return np.stack([trained(jax.random.key(seed)) for seed in range(SEEDS)])


def _half(shares: np.ndarray) -> list[int | None]:
    """Updates after which half of each frequency is there; None: never."""
    return [int(np.argmax(each >= 0.5)) if (each >= 0.5).any() else None for each in shares.T]


def _listed(steps: tuple[int | None, ...]) -> str:
    """'23 to 31'; a dash where a seed has not come so far."""
    known = [step for step in steps if step is not None]
    if len(known) < len(steps):
        return MISSING
    return f"{min(known)} to {max(known)}" if min(known) < max(known) else str(known[0])


@styled
def _figure(numbers: Numbers) -> Canvas:
    canvas = Canvas(figsize=(DOUBLE_COLUMN, 2.5))
    panels = canvas.subplots(1, len(numbers["learned"]), sharey=True)
    for axes, (name, shares) in zip(panels, numbers["learned"].items(), strict=True):
        shares = np.asarray(shares)
        for number, frequency in enumerate(numbers["frequencies"]):
            axes.plot(
                np.arange(1, len(shares) + 1), shares[:, number], color=color_of(number),
                label=f"frequency {frequency}",
            )  # fmt: skip
        axes.axhline(0.5, color=GREY, linestyle=":", linewidth=0.8)
        axes.set_xscale("log")
        axes.set_title(name, fontsize=8)
        axes.set_xlabel("steps")
    panels[0].set_ylabel("share learned")
    handles, names = panels[0].get_legend_handles_labels()
    canvas.legend(handles, names, loc="outside upper center", ncols=4)
    return canvas

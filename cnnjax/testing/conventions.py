"""Properties by which a layer fits in with others: each a function from the layer to whether it
holds, and a message."""

import dataclasses
import functools
from typing import Any

import jax
import numpy as np

from cnnjax.layers import Conv, ConvTranspose
from cnnjax.testing.subject import SPACES, Subject, drawn_once, output_shape


def shapes(subject: Subject) -> tuple[bool, str]:
    """The output is `[batch, *out_space, features]`, as of a convolution or a transposed one.

    A layer may raise ValueError for a padding or stride, but not for the simplest case.
    """
    kind, wrong, refused = subject.sizes
    took = ", ".join(f"{axes}-D" for axes in subject.dimensions)
    refusals = f"; raises ValueError for {', '.join(refused)}" if refused else ""
    if not wrong:
        return True, f"shapes of a {kind} in {took}{refusals}"
    return False, f"{wrong[0]}; {len(wrong)} wrong for a {kind} in all{refusals}"


def initial_variance(subject: Subject) -> tuple[bool, str]:
    """The variance of the output at initialisation is that of the standard layer, within 25 %.

    From 16 draws of the fewest weights, 72 of a depthwise layer, the variance is known to
    sqrt(2 / (16 * 72)) = 4 %, and similarly for the standard layer.
    """
    axes, padding = subject.usual, subject.padding
    # An initialiser that is bound to the constructor is used for the standard layer, too.
    given = getattr(subject.constructor, "keywords", {})
    bound = {key: given[key] for key in ("kernel_init", "bias_init", "use_bias") if key in given}
    module = Conv if subject.sizes[0] == "convolution" else ConvTranspose
    standard = functools.partial(module, **bound) if bound else module
    reference = dataclasses.replace(subject, constructor=standard)
    ratios = {
        strides: _variance(subject, axes, strides, padding)
        / _variance_of_standard(reference, axes, strides, padding)
        for strides in (1, 2)
        if subject.refusal(axes, strides, subject.padding) is None
    }
    found = " and ".join(f"{ratio:.2f} (strides {strides})" for strides, ratio in ratios.items())
    within = all(abs(ratio - 1) <= 0.25 for ratio in ratios.values())
    return within, f"{found} times that of the standard layer (0.75 to 1.25)"


def _variance(subject: Subject, axes: int, strides: int, padding: str) -> float:
    x = subject.input(axes, batch=16)
    layer = subject.layer(axes, strides, padding)
    draw = drawn_once(lambda key: layer.init_with_output(key, x)[0].var())
    return float(np.mean([draw(jax.random.key(subject.seed + each)) for each in range(16)]))


# The same for every layer whose initialisers are not bound.
_variance_of_standard = functools.lru_cache(maxsize=32)(_variance)


NONSENSE = {
    "features=0": {"features": 0},
    "features=2.5": {"features": 2.5},
    "kernel_size 0": {"kernel_size": 0},
    "strides 0": {"strides": 0},
    "padding 'NONSENSE'": {"padding": "NONSENSE"},
    "a window larger than the input under 'VALID'": {"kernel_size": 9, "padding": "VALID"},
}
"""Arguments for which every convolution must raise ValueError."""


def bad_input(subject: Subject) -> tuple[bool, str]:
    """Invalid arguments raise ValueError with a sentence."""
    axes, wrong = subject.usual, []
    shape = (2, *SPACES[axes], subject.channels)

    def expect_error(name: str, shape: tuple[int, ...], **arguments: Any) -> None:
        try:
            layer = subject.layer(axes, **arguments)
            output = output_shape(layer, shape)
        except ValueError as error:
            if len(str(error).split()) < 5:
                wrong.append(f"{name} raises ValueError without a sentence: {str(error)!r}")
        except Exception as error:
            wrong.append(f"{name} raises {type(error).__name__}, not ValueError")
        else:
            wrong.append(f"{name} is accepted, and gives shape {output}")

    transposed = subject.sizes[0] == "transposed convolution"
    for name, arguments in NONSENSE.items():
        if transposed and arguments.get("padding") == "VALID":
            continue  # a transposed convolution's window fits every input
        each_axis = {
            key: (value,) * axes if key in ("kernel_size", "strides") else value
            for key, value in arguments.items()
        }
        expect_error(name, shape, **each_axis)
    expect_error("an input without space", (subject.channels,))
    found = f"{len(NONSENSE) + 1} kinds raise a ValueError that says why"
    return not wrong, "; ".join(wrong) or found

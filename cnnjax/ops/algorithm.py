"""Which algorithm is cheapest for a convolution: counted by a model, or measured by the caller."""

import math
from collections.abc import Mapping, Sequence

from cnnjax.ops import geometry
from cnnjax.ops.fourier import fast_length
from cnnjax.ops.window import make_window


def algorithm_costs(
    space: Sequence[int],
    kernel_size: int | Sequence[int],
    in_features: int = 1,
    features: int = 1,
    *,
    batch: int = 1,
    strides: int | Sequence[int] = 1,
    padding: geometry.Padding = "SAME",
    transform_cost: float = 2.5,
) -> dict[str, float]:
    """Real multiply-adds of one convolution of a batch, by algorithm.

        direct     batch out window in features
        fft        c N log2 N (batch (in + features) + in features) + 2 N batch in features
        separable  batch in (sum over axes of what is left of the space times the window)

    with N the padded positions at a length that the transform likes and c `transform_cost`. The
    product of half-complex spectra takes 4 real products for each of N/2 frequencies. 'separable'
    is a filter of each channel by itself, as `separable_conv` does it; it is an alternative only
    for a kernel of one input and one output channel that factors. Returns 'direct', 'fft' and, for
    one input and one output channel, 'separable'.

    Args:
      space: sizes of the input's spatial axes.
      kernel_size, in_features, features, strides, padding: of the convolution.
      batch: images that share one transform of the kernel.
      transform_cost: c, multiply-adds of a real transform for each N log2 N. 2.5 is the count of
        radix 2; take a larger one where transforms run at a lower rate than products.

    Raises:
      ValueError: arguments that do not fit each other, with their values.
    """
    window = make_window(space, kernel_size, strides, padding)
    direct = batch * geometry.multiply_adds(
        window.out_space, window.kernel_size, in_features, features
    )
    padded = [size + low + high for size, (low, high) in zip(window.space, window.padding)]
    entries = math.prod(fast_length(size) for size in padded)
    transforms = batch * (in_features + features) + in_features * features
    fft = transform_cost * entries * math.log2(max(entries, 2)) * transforms
    fft += 2 * entries * batch * in_features * features
    costs = {"direct": float(direct), "fft": fft}
    if in_features == features == 1:
        costs["separable"] = 0.0
        left = list(padded)
        for axis, positions in enumerate(window.out_space):
            left[axis] = positions
            costs["separable"] += float(batch * math.prod(left) * window.kernel_size[axis])
    return costs


def best_algorithm(costs: Mapping[str, float], *, separable: bool = False) -> str:
    """Name of the cheapest algorithm: 'direct', 'fft' or 'separable'; of equal costs the first.

    Args:
      costs: by algorithm, modelled by `algorithm_costs` or measured in seconds.
      separable: whether the kernel factors, see `is_separable`; else 'separable' is not chosen.

    Raises:
      ValueError: no cost to choose from.
    """
    allowed = {name: cost for name, cost in costs.items() if separable or name != "separable"}
    if not allowed:
        raise ValueError(f"best_algorithm needs a cost to choose from, got {dict(costs)!r}.")
    return min(allowed, key=allowed.__getitem__)


def crossover(costs_by_size: Mapping[int, Mapping[str, float]]) -> int | None:
    """The smallest kernel size from which on 'fft' is cheaper than 'direct', None if there is none.

    Takes for each kernel size the costs by algorithm, modelled or measured.
    """
    found = None
    for size in sorted(costs_by_size, reverse=True):
        if costs_by_size[size]["fft"] >= costs_by_size[size]["direct"]:
            break
        found = size
    return found

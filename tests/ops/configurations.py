"""Random configurations of all operators with windows, each known by its number."""

import numpy as np

from tests.ops.configured_convolutions import (
    banked,
    fourier,
    gradient,
    low_rank,
    over_group,
    transposed,
)
from tests.ops.configured_pools import channelwise, polyphase, pool, resampled

MAKERS = (
    *[banked] * 6, *[low_rank] * 3, fourier, transposed, transposed, gradient, channelwise,
    over_group, pool, pool, polyphase, resampled,
)  # fmt: skip
"""By how often each is drawn, of those that fit."""


def draw(number):
    """The configuration of this number, the same on every machine."""
    random = np.random.default_rng(number)
    while True:
        maker = MAKERS[random.integers(len(MAKERS))]
        made = maker(random)
        if made is not None:
            return made

"""Flax linen modules: parameters and one operator. `VARIANTS` names the convolutions.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

import importlib

_ROOMS = {
    "conv": (
        "Conv",
        "ConvTranspose",
        "ConvolutionLayer",
        "DepthwiseConv",
        "DilatedConv",
        "add_bias",
    ),
    "banked": ("LocalConv", "LowRankLocalConv", "TiledConv"),
    "dense": ("FullyConnected",),
    "initializers": ("as_matrix", "per_kernel"),
    "filters": ("FixedFilter", "filter_init"),
    "norm": ("LocalResponseNorm",),
    "pool": (
        "AveragePool",
        "CrossChannelMaxPool",
        "GlobalAveragePool",
        "MaxPool",
        "StochasticPool",
    ),
    "variants": ("VARIANTS",),
    "alias_free": ("IdealDownsample", "PolynomialActivation"),
    "blur_pool": ("BlurPool", "MaxBlurPool"),
    "group_conv": ("GroupConv", "GroupPool", "LiftingConv"),
    "polyphase": ("AdaptivePolyphase", "LearnablePolyphase"),
    "conversion": (
        "dense_to_local",
        "local_to_dense",
        "local_to_tiled",
        "standard_to_tiled",
        "tiled_to_local",
        "tiled_to_standard",
    ),
}

__all__ = sorted(name for names in _ROOMS.values() for name in names)


def __getattr__(name: str):
    for room, names in _ROOMS.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{room}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

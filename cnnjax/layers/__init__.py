"""Flax linen modules: parameters and one operator. `VARIANTS` names the convolutions.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

from cnnjax.run.lazy import lazy_exports

_NAMED = {  # the convolutions, by what `--conv` calls them: submodule and class
    "standard": ("conv", "Conv"),
    "dilated": ("conv", "DilatedConv"),
    "depthwise": ("conv", "DepthwiseConv"),
    "transposed": ("conv", "ConvTranspose"),
    "tiled": ("banked", "TiledConv"),
    "low_rank": ("banked", "LowRankLocalConv"),
    "local": ("banked", "LocalConv"),
    "dense": ("banked", "FullyConnected"),
}
_SUBMODULES = {
    "conv": ("ConvolutionLayer", "add_bias"),
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
for _submodule, _class in _NAMED.values():
    _SUBMODULES[_submodule] = (*_SUBMODULES.get(_submodule, ()), _class)

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)

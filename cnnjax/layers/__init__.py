"""Flax linen modules: parameters and one operator. `VARIANTS` names the convolutions.

Names are loaded when first used, so that a command line can be parsed before jax is imported.
"""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.layers.alias_free import (
        IdealDownsample as IdealDownsample,
        PolynomialActivation as PolynomialActivation,
    )
    from cnnjax.layers.banked import (
        FullyConnected as FullyConnected,
        LocalConv as LocalConv,
        LowRankLocalConv as LowRankLocalConv,
        TiledConv as TiledConv,
    )
    from cnnjax.layers.blur_pool import BlurPool as BlurPool, MaxBlurPool as MaxBlurPool
    from cnnjax.layers.conv import (
        Conv as Conv,
        ConvolutionLayer as ConvolutionLayer,
        ConvTranspose as ConvTranspose,
        DepthwiseConv as DepthwiseConv,
        DilatedConv as DilatedConv,
        add_bias as add_bias,
        as_matrix as as_matrix,
        per_kernel as per_kernel,
    )
    from cnnjax.layers.conversion import (
        dense_to_local as dense_to_local,
        local_to_dense as local_to_dense,
        local_to_tiled as local_to_tiled,
        standard_to_tiled as standard_to_tiled,
        tiled_to_local as tiled_to_local,
        tiled_to_standard as tiled_to_standard,
    )
    from cnnjax.layers.filters import FixedFilter as FixedFilter, filter_init as filter_init
    from cnnjax.layers.group_conv import (
        GroupConv as GroupConv,
        GroupPool as GroupPool,
        LiftingConv as LiftingConv,
    )
    from cnnjax.layers.norm import LocalResponseNorm as LocalResponseNorm
    from cnnjax.layers.polyphase import (
        AdaptivePolyphase as AdaptivePolyphase,
        LearnablePolyphase as LearnablePolyphase,
    )
    from cnnjax.layers.pool import (
        AveragePool as AveragePool,
        CrossChannelMaxPool as CrossChannelMaxPool,
        GlobalAveragePool as GlobalAveragePool,
        MaxPool as MaxPool,
        StochasticPool as StochasticPool,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__, "VARIANTS")


_CLASSES = {
    "standard": "Conv",
    "dilated": "DilatedConv",
    "depthwise": "DepthwiseConv",
    "transposed": "ConvTranspose",
    "tiled": "TiledConv",
    "low_rank": "LowRankLocalConv",
    "local": "LocalConv",
    "dense": "FullyConnected",
}


class _Variants(Mapping[str, Any]):
    """Classes of convolutions, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        return getattr(import_module(__name__), _CLASSES[name])

    def __iter__(self) -> Iterator[str]:
        return iter(_CLASSES)

    def __len__(self) -> int:
        return len(_CLASSES)


VARIANTS = _Variants()
"""The convolutions by name: what `--conv NAME` accepts beside an import path."""

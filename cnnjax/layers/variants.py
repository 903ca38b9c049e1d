"""The convolutions by name: what `--conv NAME` accepts beside an import path."""

from cnnjax.layers.banked import LocalConv, LowRankLocalConv, TiledConv
from cnnjax.layers.conv import Conv, ConvTranspose, DepthwiseConv, DilatedConv
from cnnjax.layers.dense import FullyConnected

VARIANTS = {
    "standard": Conv,
    "dilated": DilatedConv,
    "depthwise": DepthwiseConv,
    "transposed": ConvTranspose,
    "tiled": TiledConv,
    "low_rank": LowRankLocalConv,
    "local": LocalConv,
    "dense": FullyConnected,
}

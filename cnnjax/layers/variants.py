"""The convolutions by name: what `--conv NAME` accepts beside an import path."""

from cnnjax import layers

VARIANTS = {name: getattr(layers, found) for name, (_, found) in layers._NAMED.items()}

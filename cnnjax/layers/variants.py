"""The convolutions by name: what `--conv NAME` accepts beside an import path."""

from collections.abc import Iterator, Mapping
from typing import Any

from cnnjax import layers


class _Variants(Mapping[str, Any]):
    """Classes, each imported when it is asked for."""

    def __getitem__(self, name: str) -> Any:
        _, found = layers._NAMED[name]
        return getattr(layers, found)

    def __iter__(self) -> Iterator[str]:
        return iter(layers._NAMED)

    def __len__(self) -> int:
        return len(layers._NAMED)


VARIANTS = _Variants()

"""What a network or layer refuses is wrong input, said in one sentence."""

import contextlib
from collections.abc import Generator, Sequence

from flax.errors import FlaxError

from cnnjax.run.config import InputError


@contextlib.contextmanager
def taking_images(name: str, shape: Sequence[int]) -> Generator[None]:
    """Turn an error of tracing a network into InputError: it does not take images of this shape."""
    try:
        yield
    except (ValueError, TypeError, FlaxError) as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{name} does not take images of {tuple(shape)}: {first}") from error

"""Random numbers of a device's share of a batch: its part of those of the whole batch."""

import math

import jax
import jax.numpy as jnp
from jax import lax
from jax.extend.random import define_prng_impl, threefry2x32_p

_THREEFRY = "threefry2x32"


def share_key(key: jax.Array, share: jax.Array | int) -> jax.Array:
    """Key from which share number `share` of a batch draws its part of the whole batch's numbers.

        draw(share_key(key, share), [b, ...]) = draw(key, [shares * b, ...])[share * b :][: b]

    for every `draw` of `jax.random` that makes an entry from bits of its own (bernoulli, uniform,
    normal, gumbel, ...), and for keys folded or split from it. A batch thus gets the same masks of
    dropout on any number of devices, each of which computes its own part only, and whole draws of
    different shares are independent of each other. Keys and numbers are those of threefry.

    Args:
      key: random key of the whole batch.
      share: number of the share, from 0; shares are of one size and in the order of the batch.

    Returns:
      A typed random key, for flax's `rngs` as well.
    """
    share = jnp.asarray(share, jnp.uint32)
    # Of another generator's longer keys the first two words are as random.
    words = jnp.concatenate([jax.random.key_data(key).ravel()[:2], share[None]])
    return jax.random.wrap_key_data(words, impl=_SHARES)


def _bits(words: jax.Array, bit_width: int, shape: tuple[int, ...]) -> jax.Array:
    """Block number `words[2]`, of this shape, of the threefry bits that `words[:2]` counts out."""
    size = math.prod(shape)
    high, low = _product(words[2], size)
    place = lax.iota(jnp.uint32, size).reshape(shape) + low
    high = high + (place < low).astype(jnp.uint32)
    first, second = threefry2x32_p.bind(words[0], words[1], high, place)
    dtype = jnp.dtype(f"uint{bit_width}")
    if bit_width == 64:
        return (first.astype(dtype) << 32) | second.astype(dtype)
    return (first ^ second).astype(dtype)


def _product(share: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """`share * size` below 2 ** 64, as its high and low 32 bits, for shares below 2 ** 16."""
    middle = share * jnp.uint32((size >> 16) & 0xFFFF)
    lowest = share * jnp.uint32(size & 0xFFFF)
    low = lowest + (middle << 16)
    carry = (low < lowest).astype(jnp.uint32)
    return share * jnp.uint32(size >> 32) + (middle >> 16) + carry, low


def _like_threefry(derive):
    """Keys derived as threefry does, of the same share."""

    def derived(words: jax.Array, argument) -> jax.Array:
        keys = derive(jax.random.wrap_key_data(words[:2], impl=_THREEFRY), argument)
        share = jnp.broadcast_to(words[2], (*keys.shape, 1))
        return jnp.concatenate([jax.random.key_data(keys), share], axis=-1)

    return derived


def _seed(seed: jax.Array) -> jax.Array:
    words = jax.random.key_data(jax.random.key(seed, impl=_THREEFRY))
    return jnp.concatenate([words, jnp.zeros(1, jnp.uint32)])


_SHARES = define_prng_impl(
    key_shape=(3,),
    seed=_seed,
    split=_like_threefry(jax.random.split),
    random_bits=_bits,
    fold_in=_like_threefry(jax.random.fold_in),
    name="threefry2x32 of a share",
    tag="share",
)

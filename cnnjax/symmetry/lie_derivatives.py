"""Lie derivative of a function: its response to an infinitesimal transformation; and the linear
motions of the input under which a function is invariant.

An action is a function `action(x, t)` that transforms x by the amount t, is the identity at t = 0,
and is differentiable in t there. One acts on the input of a function, another on its output.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from cnnjax.symmetry.equivariance import Function, of_derivatives, one_array
from cnnjax.symmetry.transformations import fourier_shift, rotate, scale, shear

Action = Callable[[jax.Array, jax.Array], jax.Array]


def unchanged(x: jax.Array, t: jax.Array) -> jax.Array:
    """Trivial action, on logits and other outputs that should be invariant."""
    del t
    return x


def translation(axis: int) -> Action:
    """Circular translation by t times the size of a spatial axis, counted from 0; band-limited.

    A fraction of the size, not a number of pixels, so that it means the same for feature maps of
    any size.

    Raises:
      ValueError: when the action is applied to an array without this axis.
    """

    def act(x: jax.Array, t: jax.Array) -> jax.Array:
        space = x.shape[1:-1]
        if axis not in range(len(space)):
            raise ValueError(f"`axis` must be a spatial axis, 0 to {len(space) - 1}, got {axis!r}.")
        return fourier_shift(x, [t * size * (axis == i) for i, size in enumerate(space)])

    return act


def rotation(x: jax.Array, t: jax.Array) -> jax.Array:
    """Rotation of images or feature maps about their centre by t radians, bicubic, zero outside."""
    return rotate(x, t, interpolation="bicubic")


def scaling(x: jax.Array, t: jax.Array) -> jax.Array:
    """Scaling of images or feature maps about their centre by exp(t), bicubic, zero outside."""
    return scale(x, jnp.exp(t), interpolation="bicubic")


def shearing(x: jax.Array, t: jax.Array) -> jax.Array:
    """Shear of images or feature maps: rows move right by t times their height; bicubic."""
    return shear(x, t, interpolation="bicubic")


MOTIONS: Mapping[str, Action] = {
    "down": translation(0),
    "right": translation(1),
    "rotation": rotation,
    "scaling": scaling,
    "shearing": shearing,
}
"""Actions on images by name: translations by the image's size, rotation by a radian, enlargement by
a factor of e, shear by 1."""


@of_derivatives
def lie_derivative(
    f: Function, x: jax.Array, action: Action, action_out: Action = unchanged
) -> jax.Array:
    """Lie derivative of f at x: the rate at which f fails to commute with a transformation.

        L f(x) = d/dt action_out(f(action(x, t)), -t)  at t = 0

    An array of the shape of f(x). Zero everywhere: equivariant under the one-parameter group that
    the action generates.
    Source: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance,
    2022, eq. 2; here by forward-mode differentiation, exact to rounding.

    Args:
      f: from x to an array, of jax operations.
      x: `[batch, *space, channels]`.
      action: action on x.
      action_out: action on f(x); the default is for a function that should be invariant.
    """
    zero = jnp.zeros((), x.dtype)

    def moved(t):
        return _from_rest(action_out, one_array(f(_from_rest(action, x, t))), -t)

    return jax.jvp(moved, (zero,), (jnp.ones_like(zero),))[1]


def local_equivariance_error(
    f: Function, x: jax.Array, action: Action, action_out: Action = unchanged
) -> jax.Array:
    """Local equivariance error: squared norm of the Lie derivative, per output, batch mean.

        mean over the batch of ||L f(x)||^2 / dim f(x)

    Arguments as of `lie_derivative`. Source: Gruver et al., 2022, eq. 4.
    """
    return jnp.mean(lie_derivative(f, x, action, action_out) ** 2)


def layer_terms(
    layers: Sequence[Function], x: jax.Array, actions: Sequence[Action]
) -> list[jax.Array]:
    """Contribution of each layer of a chain to the Lie derivative of the whole.

        L(f_n ... f_1) = sum over i of d(f_n ... f_{i+1}) L f_i,    each at its own input

    Returns a term for each layer, of the shape of the last layer's output.
    Source: Gruver et al., 2022, section 4 and appendix; the terms sum to `lie_derivative` of the
    whole, up to rounding.

    Args:
      layers: f_1 to f_n, applied in this order.
      x: input of the first.
      actions: actions on x and on the output of each layer, one more than layers.

    Raises:
      ValueError: another number of actions.
    """
    _check(layers, actions)
    terms: list[jax.Array] = []
    for index, layer in enumerate(layers):
        local = lie_derivative(layer, x, actions[index], actions[index + 1])
        x, onwards = jax.linearize(layer, x)
        # All terms of the layers below pass through this one together.
        passed = list(jax.vmap(onwards)(jnp.stack(terms))) if terms else []
        terms = [*passed, local]
    return terms


def term_products(terms: Sequence[jax.Array]) -> jax.Array:
    """Inner products of the layers' terms, relative to the squared norm of their sum.

        G[i, j] = <T_i, T_j> / ||T_1 + ... + T_n||^2

    The entries sum to 1. A trace above 1 means that terms cancel, below 1 that they agree, which
    the squared norms of the terms alone would not tell. Returns `[layers, layers]`.

    Args:
      terms: from `layer_terms`, of one shape.

    Raises:
      ValueError: no terms.
    """
    if not terms:
        raise ValueError("`terms` must hold at least one array, got none.")
    flat = jnp.stack([term.ravel() for term in terms])
    return flat @ flat.T / jnp.sum(flat.sum(0) ** 2)


def estimated_layer_errors(
    layers: Sequence[Function],
    x: jax.Array,
    actions: Sequence[Action],
    key: jax.Array,
    samples: int = 16,
) -> jax.Array:
    """Mean of `||term_i||^2` for every layer, estimated by random projections of the output.

        E over v of (v . term_i)^2 = ||term_i||^2,    v standard normal

    One backward pass for each sample gives the projections of all layers, where `layer_terms` needs
    a forward pass for each layer. The relative error falls as sqrt(2 / samples).
    Source: Hutchinson, A stochastic estimator of the trace of the influence matrix, 1989; Gruver et
    al., 2022, section 4.

    Args:
      layers, x, actions: as for `layer_terms`.
      key: random key of the projections.
      samples: projections to average over, at least 1.
    """
    _check(layers, actions)
    if samples < 1:
        raise ValueError(f"`samples` must be at least 1, got {samples!r}.")
    local, pullbacks = [], []
    for index, layer in enumerate(layers):
        local.append(lie_derivative(layer, x, actions[index], actions[index + 1]))
        x, pullback = jax.vjp(layer, x)
        pullbacks.append(pullback)

    def one_sample(key):
        vector, squares = jax.random.normal(key, x.shape, x.dtype), []
        for term, pullback in zip(reversed(local), reversed(pullbacks), strict=True):
            projected = jnp.sum((vector * term).reshape(len(term), -1), axis=1)
            squares.append(jnp.mean(projected**2))
            (vector,) = pullback(vector)
        return jnp.stack(squares[::-1])

    return jax.vmap(one_sample)(jax.random.split(key, samples)).mean(0)


class Generators(NamedTuple):
    """Generators of motions, ordered by how much they change the function, least first."""

    matrices: jax.Array
    """`[d^2, d, d]`, orthonormal."""
    changes: jax.Array
    """`[d^2]`, increasing: root mean square of `gradient . (matrix x)`, the change of the function
    along each; zero for a symmetry."""


def invariant_generators(f: Function, x: jax.Array) -> Generators:
    """Generators A of one-parameter groups exp(t A) that leave a function of vectors unchanged.

        f(exp(t A) x) = f(x) for all t  <=>  grad f(x) . A x = 0 for all x

    which is linear in A: the right singular vectors of the matrix with rows `grad f(x_i) x_i^T`.
    Source: Moskalev, Sepliarskaia, Sosnovik, Smeulders, LieGG: studying learned Lie group
    generators, 2022, section 4 (network polarisation matrix).

    Args:
      f: from vectors `[batch, d]` to `[batch]` or `[batch, outputs]`; every output counts.
      x: `[batch, d]`, at least d^2 samples of the inputs of interest.

    Raises:
      ValueError: x of another rank, or fewer outputs over all examples than generators.
    """
    if x.ndim != 2:
        raise ValueError(f"`x` must be [batch, d], got shape {x.shape}.")
    gradients = _gradients(f, x)
    rows = jnp.einsum("boi,bj->boij", gradients, x).reshape(-1, x.shape[1] ** 2)
    return _least_changing(rows, x.shape[1])


def invariant_plane_motions(f: Function, images: jax.Array) -> Generators:
    """Generators of linear motions of the plane, about the centre, that leave a function unchanged.

        d/dt f(x(exp(-t A) p)) = - sum over p of grad f(x)[p] . grad x(p) . A p

    Image gradients by central differences, one-sided at the border. In (down, right) coordinates
    rotation is [[0, -1], [1, 0]] / sqrt(2), scaling the identity / sqrt(2).
    Source: Moskalev et al., 2022, section 4.2.

    Args:
      f: from `[batch, height, width, channels]` to `[batch]` or `[batch, outputs]`.
      images: smooth images `[batch, height, width, channels]`.

    Raises:
      ValueError: images of another rank, or too few outputs for four generators.
    """
    if images.ndim != 4:
        raise ValueError(
            f"`images` must be [batch, height, width, channels], got shape {images.shape}."
        )
    gradients = _gradients(f, images)
    slopes = jnp.stack(jnp.gradient(images, axis=(1, 2)), -1)
    places = [jnp.arange(size) - (size - 1) / 2 for size in images.shape[1:3]]
    grid = jnp.stack(jnp.meshgrid(*places, indexing="ij"), -1).astype(images.dtype)
    rows = -jnp.einsum("bohwc,bhwci,hwj->boij", gradients, slopes, grid)
    return _least_changing(rows.reshape(-1, 4), 2)


def _from_rest(action: Action, x: jax.Array, t: jax.Array) -> jax.Array:
    """Action near t = 0 that is exactly the identity at t = 0, not up to rounding.

    Rounding would decide between equal entries, as in a maximum over a flat background.
    """
    moved = action(jax.lax.stop_gradient(x), t)
    return x + (moved - jax.lax.stop_gradient(moved))


def _check(layers: Sequence[Function], actions: Sequence[Action]) -> None:
    if len(actions) != len(layers) + 1:
        raise ValueError(
            f"`actions` must be {len(layers) + 1} for {len(layers)} layers, on the input and on "
            f"the output of each, got {len(actions)}."
        )


@of_derivatives
def _gradients(f: Function, x: jax.Array) -> jax.Array:
    """Gradients of every output with respect to its own example, `[batch, outputs,
    *x.shape[1:]]`."""

    def one(example):
        return one_array(f(example[None]))[0].reshape(-1)

    return jax.vmap(jax.jacrev(one))(x)


def _least_changing(rows: jax.Array, size: int) -> Generators:
    if len(rows) < size**2:
        raise ValueError(
            f"outputs over all examples must be at least {size**2}, one for each generator, got "
            f"{len(rows)}."
        )
    _, values, vectors = jnp.linalg.svd(rows, full_matrices=False)
    changes = values / jnp.sqrt(len(rows))
    return Generators(vectors[::-1].reshape(-1, size, size), changes[::-1])

"""Responses of single units: when they fire, how much they vary, and which of several is largest.

Responses are `[transforms, images, units]`: every image at every amount of a transformation, the
first amount the untransformed image.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np


def firing_scores(responses: jax.Array, rate: float = 0.01) -> jax.Array:
    """Rate of firing on transformed copies of images that a unit fires on, relative to any image.

        fires where s response > t,  t the (1 - rate) quantile over all images and transforms
        score = local / global,      global the share of all images and transforms that it fires on,
                                     local that among transformed copies of images it fires on

    `1 / global` is perfect invariance, 1 none. The sign s, 1 or -1, is that of the higher score,
    since low values may carry information too. The untransformed images, selected because the unit
    fires on them, are not among their copies. A unit whose highest value is more frequent than
    `rate` fires at that value; a constant unit has score 1, one that fires on no untransformed
    image 0. Returns `[units]`.
    Source: Goodfellow, Le, Saxe, Lee, Ng, Measuring invariances in deep networks, 2009, section 3.

    Args:
      responses: `[transforms, images, units]`, untransformed first.
      rate: share of all responses that count as firing; 1 % in the paper.

    Raises:
      ValueError: responses of another rank or without transforms, or a rate not between 0 and 1.
    """
    _check(responses)
    if len(responses) < 2:
        raise ValueError(
            f"`responses` must have 2 transforms or more, got shape {responses.shape}."
        )
    if not 0 < rate < 1:
        raise ValueError(f"`rate` must lie between 0 and 1, got {rate!r}.")
    return jnp.maximum(_scores(responses, rate), _scores(-responses, rate))


@functools.partial(jax.jit, static_argnums=1)
def _scores(responses: jax.Array, rate: float) -> jax.Array:
    """Scores of units that fire at high values."""
    threshold = jnp.quantile(responses, 1 - rate, axis=(0, 1), keepdims=True)
    highest = responses.max((0, 1), keepdims=True)
    fires = jnp.where(threshold < highest, responses > threshold, responses == highest)
    chosen = fires[0].sum(0)
    local = (fires[1:].mean(0) * fires[0]).sum(0) / jnp.maximum(chosen, 1)
    return local / fires.mean((0, 1))


def firing_invariance(responses: jax.Array, rate: float = 0.01, top: float = 0.2) -> jax.Array:
    """Mean of the highest `firing_scores` of a layer: the share `top` of its units, at least one.

    The best units only, since a layer need not make all its units invariant.
    Source: Goodfellow et al., 2009, section 3.

    Raises:
      ValueError: as `firing_scores`, or a top that is not above 0 and at most 1.
    """
    if not 0 < top <= 1:
        raise ValueError(f"`top` must be above 0 and at most 1, got {top!r}.")
    scores = jnp.sort(firing_scores(responses, rate))
    return scores[-max(1, round(top * len(scores))) :].mean()


def variance_ratio(responses: jax.Array, labels: jax.Array | None = None) -> jax.Array:
    """Variance of a unit over transformations, relative to that over images.

        mean over images of (variance over transforms) / mean over transforms of (variance over
        images)

    0: invariant; 1: transforming an image changes the response as much as replacing it. Exactly 0
    for a constant unit and infinite for one that varies over transformations alone; for a unit that
    is invariant but for float32 rounding, some (1e-7 mean / std over images)^2. Within each class
    it distinguishes invariance from selectivity for the class, which makes the variance over images
    large. Returns `[units]`.
    Source: Quiroga, Torrents-Barrena, Lanzarini, Puig, Measuring (in)variances in convolutional
    networks, 2019 (normalised variance).

    Args:
      responses: `[transforms, images, units]`.
      labels: `[images]`, for the mean over classes of the ratio within each, not under jit; classes
        with one image have no variance and are left out. None: over all images.

    Raises:
      ValueError: responses of another rank, another number of labels, or no class with two images.
    """
    _check(responses)
    if labels is None:
        # Differences from one of them, which are exactly zero for a constant unit.
        responses = responses - responses[:1, :1]
        by_transform, by_image = responses.var(0).mean(0), responses.var(1).mean(0)
        return jnp.where(by_transform == 0, 0, by_transform / by_image)
    if len(labels) != responses.shape[1]:
        raise ValueError(
            f"`labels` must be one for each of {responses.shape[1]} images, got {len(labels)}."
        )
    classes, counts = jnp.unique(labels, return_counts=True)
    several = classes[counts > 1]
    if not len(several):
        raise ValueError(f"`labels` must name one class twice, got {labels.tolist()}.")
    return jnp.stack([variance_ratio(responses[:, labels == each]) for each in several]).mean(0)


def argmax_shares(responses: jax.Array) -> jax.Array:
    """Share of the images for which each detector has the largest response, `[amounts, detectors]`.

        shares[t, j] = mean over images i of [argmax over k of responses[t, i, k] = j]

    Takes `[amounts, images, detectors]`, responses at each amount of a transformation.

    Raises:
      ValueError: responses of another rank.
    """
    _check(responses, "amounts, images, detectors")
    return jax.nn.one_hot(responses.argmax(-1), responses.shape[-1]).mean(1)


def effective_number(shares: jax.Array) -> jax.Array:
    """Effective number of detectors: the exponential of the entropy of their shares.

        exp(-sum over j of p_j log p_j),    p_j = mean over amounts of shares[:, j]

    with shares `[amounts, detectors]` from `argmax_shares`. 1 if one detector always has the
    largest response, k if k detectors have it equally often. Unchanged by any reordering.
    Source: Hill, Diversity and evenness: a unifying notation and its consequences, 1973 (of order
    1).
    """
    return jnp.exp(jax.scipy.special.entr(shares.mean(0)).sum())


def vector_strength(shares: jax.Array, angles: jax.Array | np.ndarray) -> jax.Array:
    """Concentration of each detector's shares about one direction: the mean resultant length.

        R_j = |sum over angles t of shares[t, j] exp(i t)| / sum over t of shares[t, j]

    From shares `[angles, detectors]` at angles in radians, `[detectors]`. 1: all at one angle; 0:
    the same at all angles, evenly spaced, and for a detector whose shares are all zero.
    Source: Mardia & Jupp, Directional statistics, 2000, section 2.3.
    """
    total = shares.sum(0)
    length = jnp.abs(jnp.tensordot(jnp.exp(1j * angles), shares, 1))
    return jnp.where(total > 0, length / jnp.where(total > 0, total, 1), 0)


def _check(responses: jax.Array, layout: str = "transforms, images, units") -> None:
    if responses.ndim != 3:
        raise ValueError(f"`responses` must be [{layout}], got shape {responses.shape}.")

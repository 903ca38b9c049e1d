"""Invariance of single units: when they fire, and how much their responses vary.

Responses are `[transforms, images, units]`: every image at every amount of a transformation, the
first amount the untransformed image.
"""

import jax
import jax.numpy as jnp


def firing_scores(responses: jax.Array, rate: float = 0.01) -> jax.Array:
    """Rate of firing on transformed copies of images that a unit fires on, relative to any image.

        fires where s response > t,  t the (1 - rate) quantile over all images and transforms
        score = local / global,      global the share of all images and transforms that it fires on,
                                     local that among transformed copies of images it fires on

    `1 / global` is perfect invariance, 1 none. The sign s, 1 or -1, is that of the higher score,
    since low values may carry information too. The untransformed images, selected because the unit
    fires on them, are not among their copies. A unit whose highest value is more frequent than
    `rate` fires at that value; a constant unit has score 1, one that fires on no untransformed
    image 0.
    Source: Goodfellow, Le, Saxe, Lee, Ng, Measuring invariances in deep networks, 2009, section 3.

    Args:
      responses: `[transforms, images, units]`, untransformed first.
      rate: share of all responses that count as firing; 1 % in the paper.

    Returns:
      `[units]`.

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


def _scores(responses: jax.Array, rate: float) -> jax.Array:
    """Scores of units that fire at high values."""
    threshold = jnp.quantile(responses, 1 - rate, axis=(0, 1), keepdims=True)
    highest = responses.max((0, 1), keepdims=True)
    fires = jnp.where(threshold < highest, responses > threshold, responses == highest)
    chosen = fires[0].sum(0)
    local = (fires[1:].mean(0) * fires[0]).sum(0) / jnp.maximum(chosen, 1)
    return local / fires.mean((0, 1))


def firing_invariance(responses: jax.Array, rate: float = 0.01, top: float = 0.2) -> jax.Array:
    """Mean of the highest `firing_scores` of a layer, over the share `top` of its units.

    The best units only, since a layer need not make all its units invariant.
    Source: Goodfellow et al., 2009, section 3.

    Args:
      responses, rate: as for `firing_scores`.
      top: share of the units that count; at least one unit does.

    Raises:
      ValueError: as `firing_scores`, or a top that is not above 0 and at most 1.
    """
    if not 0 < top <= 1:
        raise ValueError(f"`top` must be above 0 and at most 1, got {top!r}.")
    scores = jnp.sort(firing_scores(responses, rate))
    return scores[-max(1, round(top * len(scores))) :].mean()


def variance_ratio(responses: jax.Array) -> jax.Array:
    """Variance of a unit over transformations, relative to that over images.

        mean over images of (variance over transforms) / mean over transforms of (variance over
        images)

    0: invariant; 1: transforming an image changes the response as much as replacing it. Exactly 0
    for a constant unit and infinite for one that varies over transformations alone; of a unit whose
    invariance is true but for float32 rounding some (1e-7 mean / std over images)^2.
    Source: Quiroga, Torrents-Barrena, Lanzarini, Puig, Measuring (in)variances in convolutional
    networks, 2019 (normalised variance).

    Args:
      responses: `[transforms, images, units]`.

    Returns:
      `[units]`.

    Raises:
      ValueError: responses of another rank.
    """
    _check(responses)
    # Differences from one of them, which are exactly zero for a constant unit.
    responses = responses - responses[:1, :1]
    by_transform = responses.var(0).mean(0)
    by_image = responses.var(1).mean(0)
    return jnp.where(by_transform == 0, 0, by_transform / by_image)


def class_conditional_variance_ratio(responses: jax.Array, labels: jax.Array) -> jax.Array:
    """`variance_ratio` within each class, the mean over classes.

    Distinguishes invariance within a class from selectivity for the class, which makes the variance
    over images large. Not under jit.
    Source: as `variance_ratio`.

    Args:
      responses: `[transforms, images, units]`.
      labels: `[images]`; classes with one image have no variance and are left out.

    Returns:
      `[units]`.

    Raises:
      ValueError: responses of another rank, another number of labels, or no class with two images.
    """
    _check(responses)
    if len(labels) != responses.shape[1]:
        raise ValueError(
            f"`labels` must be one for each of {responses.shape[1]} images, got {len(labels)}."
        )
    classes, counts = jnp.unique(labels, return_counts=True)
    several = classes[counts > 1]
    if not len(several):
        raise ValueError(f"`labels` must name one class twice, got {labels.tolist()}.")
    return jnp.stack([variance_ratio(responses[:, labels == each]) for each in several]).mean(0)


def _check(responses: jax.Array) -> None:
    if responses.ndim != 3:
        raise ValueError(
            f"`responses` must be [transforms, images, units], got shape {responses.shape}."
        )

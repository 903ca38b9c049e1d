"""How invariant single units are: when they fire, and how far their responses vary.

Responses are `[transforms, images, units]`: every image at every amount of a transformation, the
first amount the untransformed image.
"""

import jax
import jax.numpy as jnp


def firing_scores(responses: jax.Array, rate: float = 0.01) -> jax.Array:
    """How much more often a unit fires on transformed copies of what it fires at than on anything.

        fires where s response > t,  t the (1 - rate) quantile over all images and transforms
        score = local / global,      global the share of everything that makes it fire,
                                     local that of the transformed copies of images that do

    `1 / global` is perfect invariance, 1 none: what made a unit fire once says nothing. The sign s,
    1 or -1, is the one of the higher score, since a unit may tell something by its low values. The
    images themselves, chosen because they make it fire, are not among their copies. A unit whose
    highest value is more frequent than `rate` fires at that value; one that never varies has 1, one
    that fires at no untransformed image 0.
    Source: Goodfellow, Le, Saxe, Lee, Ng, Measuring invariances in deep networks, 2009, section 3.

    Args:
      responses: `[transforms, images, units]`, untransformed first.
      rate: the share of all responses that is firing, as the paper has it 1 %.

    Returns:
      `[units]`.

    Raises:
      ValueError: another rank, no transform but the first, or a rate that is no share.
    """
    _check(responses)
    if len(responses) < 2:
        raise ValueError(f"responses need 2 transforms or more, got shape {responses.shape}.")
    if not 0 < rate < 1:
        raise ValueError(f"rate must lie between 0 and 1, got {rate!r}.")
    return jnp.maximum(_scores(responses, rate), _scores(-responses, rate))


def _scores(responses: jax.Array, rate: float) -> jax.Array:
    """Of units that fire at high values."""
    threshold = jnp.quantile(responses, 1 - rate, axis=(0, 1), keepdims=True)
    highest = responses.max((0, 1), keepdims=True)
    fires = jnp.where(threshold < highest, responses > threshold, responses == highest)
    chosen = fires[0].sum(0)
    local = (fires[1:].mean(0) * fires[0]).sum(0) / jnp.maximum(chosen, 1)
    return local / fires.mean((0, 1))


def firing_invariance(responses: jax.Array, rate: float = 0.01, top: float = 0.2) -> jax.Array:
    """Mean of the highest `firing_scores` of a layer, of the share `top` of its units.

    The paper takes the best units, since a layer need not make all its units invariant.
    Source: Goodfellow et al., 2009, section 3.

    Args:
      responses, rate: as for `firing_scores`.
      top: share of the units that count, at least one.

    Raises:
      ValueError: as `firing_scores`, and a top that is no share.
    """
    if not 0 < top <= 1:
        raise ValueError(f"top must be above 0 and at most 1, got {top!r}.")
    scores = jnp.sort(firing_scores(responses, rate))
    return scores[-max(1, round(top * len(scores))) :].mean()


def variance_ratio(responses: jax.Array) -> jax.Array:
    """How far a unit varies by transformation, against by image.

        mean over images of (variance over transforms) / mean over transforms of (variance over
        images)

    0: invariant; 1: transforming an image changes the response as much as exchanging it. A unit
    that does not vary at all has 0, one that varies by transformation alone infinity.
    Source: Quiroga, Torrents-Barrena, Lanzarini, Puig, Measuring (in)variances in convolutional
    networks, 2019 (normalised variance).

    Args:
      responses: `[transforms, images, units]`.

    Returns:
      `[units]`.

    Raises:
      ValueError: another rank.
    """
    _check(responses)
    # As distances from one of them, which are zero exactly if the unit does not vary.
    responses = responses - responses[:1, :1]
    by_transform = responses.var(0).mean(0)
    by_image = responses.var(1).mean(0)
    return jnp.where(by_transform == 0, 0, by_transform / by_image)


def class_conditional_variance_ratio(responses: jax.Array, labels: jax.Array) -> jax.Array:
    """`variance_ratio` within each class, the mean over classes.

    Tells invariance to a transformation within a class from answering to the class alone, which
    makes the variance over images large. Not under jit.
    Source: as `variance_ratio`.

    Args:
      responses: `[transforms, images, units]`.
      labels: `[images]`; classes of one image have no variance and are left out.

    Returns:
      `[units]`.

    Raises:
      ValueError: another rank, another number of labels, or no class with two images.
    """
    _check(responses)
    if len(labels) != responses.shape[1]:
        raise ValueError(
            f"labels must be one for each of {responses.shape[1]} images, got {len(labels)}."
        )
    classes, counts = jnp.unique(labels, return_counts=True)
    several = classes[counts > 1]
    if not len(several):
        raise ValueError(f"no class has two images; got labels {labels.tolist()}.")
    return jnp.stack([variance_ratio(responses[:, labels == each]) for each in several]).mean(0)


def _check(responses: jax.Array) -> None:
    if responses.ndim != 3:
        raise ValueError(
            f"responses must be [transforms, images, units], got shape {responses.shape}."
        )

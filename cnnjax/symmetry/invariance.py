"""How far the class a network predicts stays the same when its input is moved."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from cnnjax.symmetry.transformations import shift


def shift_consistency(
    predict: Callable[[jax.Array], jax.Array], x: jax.Array, first: jax.Array, second: jax.Array
) -> jax.Array:
    """How often two circular shifts of an image are given the same class.

        mean over images of [argmax predict(S_first x) == argmax predict(S_second x)]

    Source: Zhang, Making convolutional networks shift-invariant again, 2019, section 4.1.

    Args:
      predict: from images to logits `[batch, classes]`.
      x: `[batch, *space, channels]`.
      first, second: `[batch, axes]` integers, the two shifts of each image.

    Returns:
      A number between 0 and 1.
    """
    move = jax.vmap(shift)
    classes = [predict(move(x, shifts)).argmax(-1) for shifts in (first, second)]
    return jnp.mean(classes[0] == classes[1])


def classes_over_shifts(
    predict: Callable[[jax.Array], jax.Array], x: jax.Array, shifts: Sequence[Sequence[int]]
) -> jax.Array:
    """The predicted classes `[len(shifts), batch]` of all images at all these circular shifts.

    Args:
      predict: from images to logits `[batch, classes]`.
      x: `[batch, *space, channels]`.
      shifts: integers, one a spatial axis.
    """
    moved = jax.jit(lambda each: predict(shift(x, list(each))).argmax(-1))
    return jnp.stack([moved(jnp.asarray(each)) for each in shifts])


def worst_case_accuracy(classes: jax.Array, labels: jax.Array) -> jax.Array:
    """The share of images that are right at every shift.

    Source: Engstrom, Tran, Tsipras, Schmidt, Madry, Exploring the landscape of spatial robustness,
    2019, section 3.

    Args:
      classes: `[shifts, batch]`, from `classes_over_shifts`.
      labels: `[batch]`.
    """
    return jnp.mean(jnp.all(classes == labels[None], axis=0))


def one_pixel_flip_rate(
    predict: Callable[[jax.Array], jax.Array], x: jax.Array, axis: int = 0
) -> jax.Array:
    """How often a circular shift by one pixel along a spatial axis changes the predicted class.

    Source: Azulay & Weiss, Why do deep convolutional networks generalize so poorly to small image
    transformations?, 2019, section 2.

    Args:
      predict: from images to logits `[batch, classes]`.
      x: `[batch, *space, channels]`.
      axis: spatial axis, counted from 0.

    Raises:
      ValueError: x has no such axis.
    """
    if axis not in range(x.ndim - 2):
        raise ValueError(f"axis must be a spatial axis, 0 to {x.ndim - 3}, got {axis!r}.")
    step = [int(axis == i) for i in range(x.ndim - 2)]
    return jnp.mean(predict(x).argmax(-1) != predict(shift(x, step)).argmax(-1))


def area_under_curve(amounts: jax.Array, accuracy: jax.Array) -> jax.Array:
    """The mean of an accuracy over the amounts of a transformation, by trapezes.

    Args:
      amounts: `[points]`, rising: angles, distances, factors.
      accuracy: `[points]`, the accuracy at each.

    Raises:
      ValueError: fewer than two points, or as many amounts as accuracies are not.
    """
    if amounts.shape != accuracy.shape or amounts.ndim != 1 or len(amounts) < 2:
        raise ValueError(
            f"amounts and accuracy must be vectors of one length of at least 2, got shapes "
            f"{amounts.shape} and {accuracy.shape}."
        )
    return jnp.trapezoid(accuracy, amounts) / (amounts[-1] - amounts[0])


def accuracy_curve(
    predict: Callable[[jax.Array], jax.Array],
    transform: Callable[[jax.Array, jax.Array], jax.Array],
    amounts: jax.Array,
    x: jax.Array,
    labels: jax.Array,
) -> jax.Array:
    """Accuracy at each amount of a transformation; its mean over amounts is `area_under_curve`.

    Args:
      predict: from images to logits `[batch, classes]`.
      transform: `transform(x, amount)`, such as `rotate`; compiled once for all amounts.
      amounts: `[points]`.
      x: `[batch, *space, channels]`.
      labels: `[batch]`.

    Returns:
      `[points]`.
    """
    at = jax.jit(lambda amount: jnp.mean(predict(transform(x, amount)).argmax(-1) == labels))
    return jnp.stack([at(amount) for amount in jnp.asarray(amounts)])

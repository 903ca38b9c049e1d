"""Two glyphs, upright or inverted, rotated by up to a half-angle: the angle is in the class."""

import math

import numpy as np

from cnnjax.data.datasets import Dataset, Split

SIDE = 28
"""Height and width of an image."""
CLASSES = ("flag upright", "flag inverted", "hook upright", "hook inverted")
"""Names of the classes: 2 * glyph + inverted."""
GLYPHS = (
    ((-6, -2, 6, -2), (-6, -2, -4, 4), (-1, -2, -4, 4)),
    ((-5, 1, 3, 1), (3, 1, 5, -3), (-5, -3, -5, 4)),
)
"""Strokes of each glyph, from (down, right) to (down, right), in pixels from the centre."""
STROKE = (1.5, 1.8)
"""Smallest and largest standard deviation of a stroke's profile, in pixels."""
BRIGHTNESS = (0.6, 1.0)
SIZE = (0.85, 1.0)
"""Smallest and largest brightness and size of a glyph: neither tells how far it was moved."""

_POINTS = 7
_CHUNK = 250


def rotated_glyphs(half_angle: float, train: int, test: int, *, seed: int = 0) -> Dataset:
    """Glyphs rotated by an angle uniform in `half_angle` to either side of upright or inverted.

    Classes follow each other. Drawn at their angle, not interpolated; strokes are Gaussian, so
    that nothing is sharper than pixels, and of random width, brightness and size. All pixels
    outside of the inscribed circle are 0 at every angle. Images are uint8 `[n, SIDE, SIDE, 1]`.
    Source: Benton, Finzi, Izmailov, Wilson, Learning invariances in neural networks from training
    data, 2020, and `generate_data.py` of their code: two drawings, 45 degrees, the same classes.

    Args:
      half_angle: in degrees, 0 to 90.
      train, test: numbers of images, validation images as many as test images.
      seed: the images are a pure function of it, those of each split and seed other ones.

    Raises:
      ValueError: no image, or another half-angle.
    """
    if train < 1 or test < 1:
        raise ValueError(f"`train` and `test` must be at least 1, got {train} and {test}.")
    if not 0 <= half_angle <= 90:
        raise ValueError(f"`half_angle` must be 0 to 90 degrees, got {half_angle}.")
    train_split, test_split, validation_split = (
        _split(half_angle, count, 3 * seed + number)
        for number, count in enumerate((train, test, test))
    )
    return Dataset(
        name="rotated glyphs",
        version="1.0.0",
        train=train_split,
        validation=validation_split,
        test=test_split,
        num_classes=len(CLASSES),
        class_names=CLASSES,
        citation="",
    )


def _split(half_angle: float, count: int, seed: int) -> Split:
    random = np.random.Generator(np.random.Philox(seed))
    labels = np.arange(count, dtype=np.int32) % len(CLASSES)
    glyphs, inverted = np.divmod(labels, 2)
    angles = 180.0 * inverted + half_angle * random.uniform(-1, 1, count)
    looks = {
        name: random.uniform(*between, count)
        for name, between in (("stroke", STROKE), ("brightness", BRIGHTNESS), ("size", SIZE))
    }
    images = np.concatenate(
        [
            draw(glyphs[n], angles[n], **{name: values[n] for name, values in looks.items()})
            for n in np.split(np.arange(count), range(_CHUNK, count, _CHUNK))
        ]
    )
    return Split((255 * images).round().astype(np.uint8), labels)


def draw(
    glyphs: np.ndarray,
    angles: np.ndarray,
    *,
    stroke: np.ndarray | float = STROKE[0],
    brightness: np.ndarray | float = 1.0,
    size: np.ndarray | float = 1.0,
) -> np.ndarray:
    """Glyphs at angles in degrees, counter-clockwise, as `[n, SIDE, SIDE, 1]` from 0 to 1.

        image(p) = brightness (1 - exp(-sum over points q of exp(-|p - size R q|^2 / 2 stroke^2)))

    with the points q of the glyph's strokes and R the rotation.

    Args:
      glyphs: number of each glyph, 0 or 1, `[n]`.
      angles: `[n]`.
      stroke, brightness, size: of each glyph, `[n]`, or of all.
    """
    along = np.linspace(0, 1, _POINTS)[:, None]
    points = np.stack(
        [
            np.concatenate([(1 - along) * (top, left) + along * (end, right)
                            for top, left, end, right in strokes])
            for strokes in GLYPHS
        ]
    )[glyphs]  # fmt: skip
    cos, sin = np.cos(np.deg2rad(angles)), np.sin(np.deg2rad(angles))
    rotation = np.array([[cos, -sin], [sin, cos]])
    places = np.asarray(size).reshape(-1, 1, 1) * np.einsum("ijn,npj->npi", rotation, points)
    pixels = np.arange(SIDE) - (SIDE - 1) / 2
    # Gaussians are products of one of rows and one of columns.
    bells = np.exp(
        -((pixels - places[..., None]) ** 2) / (2 * np.asarray(stroke).reshape(-1, 1, 1, 1) ** 2)
    )
    ink = np.einsum("nph,npw->nhw", bells[:, :, 0], bells[:, :, 1])
    return (np.asarray(brightness).reshape(-1, 1, 1) * -np.expm1(-ink))[..., None]


def optimal_half_width(half_angle: float, reward: float) -> float | None:
    """Half-width w of random rotations with the least loss of a network that knows all angles.

        w = (90 - a) / sqrt(1 - 2 a reward)        minimises  E(w) - reward w

    of data of half-angle a. Up to w = 90 - a no angle belongs to both classes of a glyph; with
    d = a + w - 90 beyond it the densities of the angles, two trapezoids, cross in bands of 2 d, and
    the cross-entropy of the best network is E = d^2 / (2 a w). (Ours; all in radians but for the
    arguments and what is returned.) None where the reward is so large that the bands cover a
    whole slope of a trapezoid, and the formula ends.

    Args:
      half_angle: a in degrees, above 0, at most 90.
      reward: of a radian of half-width, in the unit of the loss.

    Raises:
      ValueError: a half-angle outside, or a reward below 0.
    """
    if not 0 < half_angle <= 90:
        raise ValueError(f"`half_angle` must be above 0 and at most 90, got {half_angle}.")
    if reward < 0:
        raise ValueError(f"`reward` must be at least 0, got {reward}.")
    a, touching = math.radians(half_angle), math.radians(90 - half_angle)
    steepness = 1 - 2 * a * reward
    if steepness <= 0:
        return None
    width = touching / math.sqrt(steepness)
    return math.degrees(width) if width - touching <= min(a, width) else None

"""Configuration of random augmentation; importing this file imports no jax."""

import dataclasses
import math
from typing import Literal, get_args

Border = Literal["constant", "edge", "reflect", "circular"]
Shear = Literal["rows", "area"]
Move = Literal["rotation", "translation", "rescale", "shear", "elastic"]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """Amounts of random transformations; none by default. Drawn uniformly and symmetrically about
    0."""

    rotation: float = 0.0
    """Largest rotation in degrees, in either direction."""
    translation: float = 0.0
    """Largest translation along each axis, as a fraction of its size."""
    rescale: float = 1.0
    """Largest scale, and the inverse of the smallest; the same on both axes, log-uniform."""
    zoom: float = 1.0
    """Largest scale of each axis independently, and the inverse of the smallest; log-uniform."""
    shear: float = 0.0
    """Largest shear angle in degrees, of rows sliding over each other."""
    shear_keeps: Shear = "area"
    """area: rows keep their distance, which preserves areas; rows: columns keep their length, which
    brings rows closer (a parallelogram of rods)."""
    mirror_columns: bool = False
    """Flip left-right with probability 1/2."""
    mirror_rows: bool = False
    """Flip up-down with probability 1/2."""
    elastic: float = 0.0
    """Root mean square of an elastic deformation, in pixels (Simard et al., 2003)."""
    elastic_smoothness: float = 4.0
    """Standard deviation in pixels of the Gaussian that smooths the deformation."""
    border: Border = "constant"
    """Padding beyond the image: constant (`fill`), edge, reflect or circular."""
    fill: float = 0.0
    """Constant beyond the image. One unlike the background reveals how far an image was moved."""
    brightness: float = 0.0
    """Largest value added to or subtracted from the image, whose values are from 0 to 1."""
    contrast: float = 1.0
    """Largest factor of the distance from the image's mean, and the inverse of the smallest."""
    spot: float = 0.0
    """Largest amplitude, of either sign, of a Gaussian spot anywhere on the image, with a standard
    deviation of a quarter of its size."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to every value."""
    cutout: int = 0
    """Side in pixels of a square, centred anywhere, that becomes `fill` (DeVries, Taylor, 2017)."""

    def __post_init__(self):
        for name in ("rotation", "translation", "shear", "elastic", "brightness", "spot", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"`{name}` must be at least 0, got {getattr(self, name)}.")
        for name in ("rescale", "zoom", "contrast"):
            if not 1 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"`{name}` must be a factor of at least 1 (1 is none), got "
                    f"{getattr(self, name)}."
                )
        if self.shear >= 90 or self.translation > 1:
            raise ValueError(
                f"`shear` must be below 90 degrees and `translation` at most 1, got "
                f"{self.shear} and {self.translation}."
            )
        if self.elastic_smoothness <= 0 or self.cutout < 0:
            raise ValueError(
                f"`elastic_smoothness` must be above 0 and `cutout` at least 0, got "
                f"{self.elastic_smoothness} and {self.cutout}."
            )
        for name, known in (("border", Border), ("shear_keeps", Shear)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"`{name}` must be one of {', '.join(get_args(known))}, got "
                    f"{getattr(self, name)!r}."
                )


def amplitude(move: Move, pixels: float, *, side: int, canvas: int) -> float:
    """Amplitude of a move by which the pixels of a square move so far, root mean square.

    Amplitudes of different moves are compared at equal distances. To first order in a rotation by
    up to a, log s of rescaling and the tangent of the shear, with r^2 = side^2 / 6 the mean square
    distance of the square's pixels from its centre, half of it along each axis, the distance is

        rotation a r / sqrt(3), rescaling log(s) r / sqrt(3),
        shear sqrt(tan(a) / a - 1) r / sqrt(2),
        translation sqrt(2 / 3) of its largest, elastic sqrt(2) of that of an axis

    Args:
      move: field of `Augmentation`.
      pixels: distance that the square's pixels are moved by.
      side: of the square, at the centre of the image.
      canvas: height and width of the image.
    """
    radius = side / math.sqrt(6)
    match move:
        case "rotation":
            return math.degrees(math.sqrt(3) * pixels / radius)
        case "rescale":
            return math.exp(math.sqrt(3) * pixels / radius)
        case "translation":
            return math.sqrt(3 / 2) * pixels / canvas
        case "elastic":
            return pixels / math.sqrt(2)
    mean_square, low, high = 2 * (pixels / radius) ** 2, 1e-3, math.pi / 2 - 1e-9
    for _ in range(60):  # tan(a) / a rises with a
        middle = (low + high) / 2
        low, high = (middle, high) if math.tan(middle) / middle - 1 < mean_square else (low, middle)
    return math.degrees(low)

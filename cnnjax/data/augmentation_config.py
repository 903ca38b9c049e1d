"""How images are changed at random; importing this file imports no jax."""

import dataclasses
import math
from typing import Literal, get_args

Border = Literal["constant", "edge", "reflect", "circular"]
Shear = Literal["rows", "area"]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """How much of what; as it is, nothing changes. Amounts are drawn uniformly, 0 in the middle."""

    rotation: float = 0.0
    """Largest angle in degrees, either way."""
    translation: float = 0.0
    """Largest move along each axis, as a share of its size."""
    rescale: float = 1.0
    """Largest factor of size, and its inverse the smallest; both axes alike, log-uniform."""
    zoom: float = 1.0
    """The same, each axis by a factor of its own."""
    shear: float = 0.0
    """Largest angle in degrees by which rows slide over each other."""
    shear_keeps: Shear = "area"
    """area: rows keep their distance, so that areas stay; rows: columns keep their length, so that
    rows come closer (a parallelogram of rods)."""
    mirror_columns: bool = False
    """Mirror left and right with probability 1/2."""
    mirror_rows: bool = False
    """Mirror up and down with probability 1/2."""
    elastic: float = 0.0
    """Root mean square of a smooth random displacement, in pixels (Simard et al., 2003)."""
    elastic_smoothness: float = 4.0
    """Width sigma in pixels of the Gaussian that smooths it."""
    border: Border = "constant"
    """What lies beyond the image: constant (`fill`), edge, reflect or circular."""
    fill: float = 0.0
    """The constant beyond the image. A fill unlike the background tells how far an image moved."""
    brightness: float = 0.0
    """Largest value added to the whole image, either way; images have values from 0 to 1."""
    contrast: float = 1.0
    """Largest factor of the distance from the image's mean, and its inverse the smallest."""
    spot: float = 0.0
    """Largest height, either way, of a Gaussian spot of light, a quarter of the image wide,
    anywhere on it."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added to every value."""
    cutout: int = 0
    """Side in pixels of a square, centred anywhere, that becomes `fill` (DeVries, Taylor, 2017)."""

    def __post_init__(self):
        for name in ("rotation", "translation", "shear", "elastic", "brightness", "spot", "noise"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")
        for name in ("rescale", "zoom", "contrast"):
            if not 1 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} is a factor of at least 1 (1 is none), got {getattr(self, name)}."
                )
        if self.shear >= 90 or self.translation > 1:
            raise ValueError(
                f"shear must be below 90 degrees and translation at most 1, got {self.shear} and "
                f"{self.translation}."
            )
        if self.elastic_smoothness <= 0 or self.cutout < 0:
            raise ValueError(
                f"elastic_smoothness must be above 0 and cutout at least 0, got "
                f"{self.elastic_smoothness} and {self.cutout}."
            )
        for name, known in (("border", Border), ("shear_keeps", Shear)):
            if getattr(self, name) not in get_args(known):
                raise ValueError(
                    f"{name} must be one of {', '.join(get_args(known))}, got "
                    f"{getattr(self, name)!r}."
                )

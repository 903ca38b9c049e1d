"""What several studies share: a data set on its way into networks, and networks trained on it."""

from cnnjax.study.classification import Classification, on_canvas, train_network
from cnnjax.study.distorted import as_distorted
from cnnjax.study.images import as_images
from cnnjax.study.supervised import train_and_judge
from cnnjax.study.turning import on_turntable

__all__ = [
    "Classification",
    "as_distorted",
    "as_images",
    "on_canvas",
    "on_turntable",
    "train_and_judge",
    "train_network",
]

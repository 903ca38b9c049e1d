"""What several studies share: a data set on its way into networks, and networks trained on it."""

from cnnjax.study.classification import Classification, on_canvas, train_network
from cnnjax.study.turning import on_turntable

__all__ = ["Classification", "on_canvas", "on_turntable", "train_network"]

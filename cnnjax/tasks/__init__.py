"""Data sets on their way into networks, and networks trained on them."""

from cnnjax.run.metrics import learning_curves
from cnnjax.tasks.canvas import on_canvas
from cnnjax.tasks.cifar_tutorial import distorted_crops
from cnnjax.tasks.classifier import predictions, train_classifiers
from cnnjax.tasks.images import resized
from cnnjax.tasks.network import Network
from cnnjax.tasks.rotation import rotated
from cnnjax.tasks.segmentation import textured_digits
from cnnjax.tasks.task import Task, pipeline, taking_images
from cnnjax.tasks.trained import (
    PIPELINES,
    Trained,
    input_shape,
    is_run,
    load_pretrained,
    load_task,
    load_trained,
    make_model,
)

__all__ = [
    "PIPELINES",
    "Network",
    "Task",
    "Trained",
    "distorted_crops",
    "input_shape",
    "is_run",
    "learning_curves",
    "load_pretrained",
    "load_task",
    "load_trained",
    "make_model",
    "on_canvas",
    "pipeline",
    "predictions",
    "resized",
    "rotated",
    "taking_images",
    "textured_digits",
    "train_classifiers",
]

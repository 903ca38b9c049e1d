"""Data sets on their way into networks, and networks trained on them.

Names are loaded when first used.
"""

from cnnjax.run.lazy import lazy_exports

_SUBMODULES = {
    "canvas": ("on_canvas", "rotated"),
    "cifar_tutorial": ("distorted_crops",),
    "classifier": ("predictions", "train_classifiers"),
    "grey_digits": ("digits_on_grey",),
    "images": ("resized",),
    "network": ("Network",),
    "own_images": ("standardised",),
    "segmentation": ("textured_digits",),
    "task": ("Task", "pipeline", "taking_images"),
    "trained": (
        "PIPELINES",
        "Trained",
        "input_shape",
        "is_run",
        "load_pretrained",
        "load_task",
        "load_trained",
        "make_model",
    ),
}

__getattr__, __dir__, __all__ = lazy_exports(__name__, _SUBMODULES)

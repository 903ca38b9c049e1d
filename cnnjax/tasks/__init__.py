"""Data sets on their way into networks, and networks trained on them.

Names are loaded when first used.
"""

from typing import TYPE_CHECKING

from cnnjax.run.lazy import lazy_exports

if TYPE_CHECKING:  # read by `lazy_exports`, too
    from cnnjax.tasks.canvas import on_canvas as on_canvas, rotated as rotated
    from cnnjax.tasks.cifar_tutorial import distorted_crops as distorted_crops
    from cnnjax.tasks.classifier import (
        predictions as predictions,
        train_classifiers as train_classifiers,
    )
    from cnnjax.tasks.grey_digits import digits_on_grey as digits_on_grey
    from cnnjax.tasks.images import resized as resized
    from cnnjax.tasks.moved_classes import moved_by_class as moved_by_class
    from cnnjax.tasks.network import Network as Network
    from cnnjax.tasks.orientation import (
        at_right_angles as at_right_angles,
        in_quadrants as in_quadrants,
        upright_or_rotated as upright_or_rotated,
    )
    from cnnjax.tasks.own_images import standardised as standardised
    from cnnjax.tasks.segmentation import textured_digits as textured_digits
    from cnnjax.tasks.task import Task as Task, pipeline as pipeline, taking_images as taking_images
    from cnnjax.tasks.trained import (
        PIPELINES as PIPELINES,
        Trained as Trained,
        input_shape as input_shape,
        is_run as is_run,
        load_pretrained as load_pretrained,
        load_task as load_task,
        load_trained as load_trained,
        make_model as make_model,
    )
else:
    __getattr__, __dir__, __all__ = lazy_exports(__name__)

"""A labelled data set on its way into a network: its splits, preprocessing and augmentation."""

import contextlib
import dataclasses
import functools
import inspect
import math
import os
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import jax
import numpy as np
from flax import linen
from flax.errors import FlaxError

from cnnjax.data.batches import batch_indices, evaluation_batches
from cnnjax.data.datasets import Dataset, Split
from cnnjax.run.config import InputError, to_json
from cnnjax.tasks.network import Network
from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import Loss
from cnnjax.train.parallel import Augment, Prepare, augmented
from cnnjax.train.step import train_step
from cnnjax.train.training import compile_training

if TYPE_CHECKING:  # most data sets are in memory
    from cnnjax.data.streaming import Stream

SplitName = Literal["train", "validation", "test"]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """A labelled data set, and how its images reach a network inside the compiled steps."""

    dataset: Dataset
    """Its images and labels."""
    augment: Augment
    """Makes the network's input in training: `(uint8 images, keys, source) -> float images`."""
    augment_test: Augment
    """The same in evaluation, where an example's key is the same at every seed and step."""
    place: Callable[[Any], jax.Array]
    """Uint8 images as the network sees them, without randomness."""
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Values of the source where a call does not give others."""
    description: Mapping[str, Any] | None = None
    """The pipeline's name and arguments, by which a run says how its networks saw the data."""
    _compiled: dict[Any, Network] = dataclasses.field(default_factory=dict, repr=False)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.dataset.num_classes

    @property
    def train(self) -> "Split | Stream":
        """Training examples."""
        return self.dataset.train

    @property
    def validation(self) -> "Split | Stream":
        """Examples on which choices are made; neither training nor test examples."""
        return self.dataset.validation

    @property
    def test(self) -> "Split | Stream":
        """Test examples."""
        return self.dataset.test

    @functools.cached_property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of the network's input."""
        images, _ = self.train.read(np.arange(1))
        height, width, channels = jax.eval_shape(self.place, images).shape[1:]
        return height, width, channels

    def split(self, name: SplitName) -> "Split | Stream":
        """The examples of a split.

        Raises:
          ValueError: there is no such split.
        """
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        if name not in splits:
            raise ValueError(
                f"split of {self.dataset.name} must be one of {list(splits)}, got {name!r}."
            )
        return splits[name]

    def on(self, **splits: Split) -> "Task":
        """The same pipeline, compiled once, on other examples: `train`, `validation`, `test`."""
        return dataclasses.replace(self, dataset=dataclasses.replace(self.dataset, **splits))

    def facts(self) -> dict[str, Any]:
        """What a page says of the data: its name, size and classes."""
        return {
            "data": self.dataset.name,
            "version": self.dataset.version,
            "citation": self.dataset.citation,
            "classes": self.classes,
            "class_names": self.dataset.class_names,
            "image_shape": self.shape,
            "train_examples": len(self.train),
            "validation_examples": len(self.validation),
            "test_examples": len(self.test),
        }

    def network(
        self,
        model: linen.Module,
        train: TrainConfig,
        *,
        step: Callable = train_step,
        loss: Loss | None = None,
    ) -> Network:
        """A network for this task, compiled once for all seeds and all values of the source.

        The newest is kept: the same model, configuration, step and loss give the same network.

        Args:
          model: gives logits of the images.
          train: how to train.
          step, loss: as `compile_training` takes them.

        Raises:
          InputError: the devices do not divide the batch size, a batch exceeds the memory of the
            machine, or the network does not take the images.
        """
        _require_memory(train.batch_size, self.shape)
        key = (model, train, step, loss, self.augment, self.augment_test)
        try:
            kept = self._compiled.get(key)
        except TypeError:  # a model whose arguments cannot be compared
            key, kept = id(model), None
        if kept is None:
            self._logits_of_two(model)
            training = compile_training(model, train, *self.prepare(), step=step, loss=loss)
            kept = Network(self, model, training)
            self._compiled.clear()
            self._compiled[key] = kept
        return kept if kept.task is self else dataclasses.replace(kept, task=self)

    def check_logits(self, model: linen.Module) -> None:
        """Raise InputError unless the network makes logits `[batch, classes]` of the images."""
        logits = self._logits_of_two(model)
        found, expected = getattr(logits, "shape", None), (2, self.classes)
        if found != expected:
            raise InputError(
                f"logits of {type(model).__name__} for two images of {self.dataset.name} must have "
                f"shape {expected}, got {type(logits).__name__ if found is None else found}."
            )

    def source(self, split: SplitName, **values: Any) -> dict[str, Any]:
        """What the compiled steps take examples from; `values` reach `augment` with it."""
        examples = self.split(split)
        for name in values:
            if name not in self.defaults:
                raise ValueError(
                    f"value of the source must be one of {sorted(self.defaults)}, got {name!r}."
                )
        if not isinstance(examples, Split):
            raise ValueError(f"{self.dataset.name} must be in memory, got {examples}.")
        return {"images": examples.images, "labels": examples.labels, **self.defaults, **values}

    def train_batch(self, seed: int, step: int, batch_size: int) -> dict[str, np.ndarray]:
        """Examples of a training step, and their places in the batch."""
        index = batch_indices(seed, step, batch_size, len(self.train))
        return {"index": index, "position": np.arange(batch_size, dtype=np.int32)}

    def batches(
        self, split: SplitName, batch_size: int, repeats: int = 1
    ) -> Iterator[dict[str, np.ndarray]]:
        """All examples of a split `repeats` times, each at a position, hence a key, of its own."""
        examples = len(self.split(split))
        for position, weight in evaluation_batches(repeats * examples, batch_size):
            yield {"index": position % examples, "position": position, "weight": weight}

    def prepare(self) -> tuple[Prepare, Prepare]:
        """What makes batches inside the compiled steps, in training and in evaluation."""
        return augmented(self.augment), augmented(self.augment_test, deterministic=True)

    def _logits_of_two(self, model: linen.Module) -> Any:
        images = jax.ShapeDtypeStruct((2, *self.shape), np.float32)
        with taking_images(type(model).__name__, self.shape):
            return jax.eval_shape(model.init_with_output, jax.random.key(0), images)[0]


def _require_memory(batch_size: int, shape: Sequence[int]) -> None:
    """Raise InputError if float32 images of a batch exceed the memory of the hosts.

    Where they do, the system ends the process without a word.
    """
    if not hasattr(os, "sysconf"):  # not on this system
        return
    held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * jax.process_count()
    needed = 4 * batch_size * math.prod(shape)
    if needed > held:
        raise InputError(
            f"train.batch_size must be at most {held // (4 * math.prod(shape)):,}, for {held:,} "
            f"bytes of memory and images of {tuple(shape)}, got {batch_size:,}."
        )


_Arguments = ParamSpec("_Arguments")


def pipeline(build: Callable[_Arguments, Task]) -> Callable[_Arguments, Task]:
    """Make the tasks of a function say which function made them, with which arguments.

    Arguments must be plain values or dataclasses of them: a run writes them to task.json, and the
    task is built from them again.
    """

    @functools.wraps(build)
    def described(*args: _Arguments.args, **kwargs: _Arguments.kwargs) -> Task:
        given = inspect.signature(build).bind(*args, **kwargs).arguments
        description = {
            "pipeline": getattr(build, "__name__", ""),
            "arguments": to_json(given, "arguments"),
        }
        return dataclasses.replace(build(*args, **kwargs), description=description)

    return described


@contextlib.contextmanager
def taking_images(name: str, shape: Sequence[int]) -> Generator[None]:
    """Turn an error of tracing a network into InputError: it does not take images of this shape."""
    try:
        yield
    except (ValueError, TypeError, FlaxError) as error:
        first, *_ = str(error).splitlines() or [type(error).__name__]
        raise InputError(f"{name} does not take images of {tuple(shape)}: {first}") from error

"""A labelled data set on its way into a network, and a network trained on it."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from flax import linen

from cnnjax.data.batches import batch_indices, evaluation_batches
from cnnjax.data.datasets import Dataset, Split, load
from cnnjax.data.preprocess import Fill, Preprocess, preprocess
from cnnjax.models.description import describe_model
from cnnjax.run.config import InputError
from cnnjax.run.record import Record
from cnnjax.study.refused import taking_images
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.evaluation import evaluate
from cnnjax.train.loop import Fit, fit
from cnnjax.train.on_device import Augment, gather
from cnnjax.train.parallel import Prepare
from cnnjax.train.state import TrainState
from cnnjax.train.training import Training, compile_training


@dataclasses.dataclass(frozen=True, eq=False)
class Classification:
    """A labelled data set, and how its images reach a network inside the compiled steps."""

    dataset: Dataset
    """Its images and labels."""
    train: TrainConfig
    """How to train, the same for all networks."""
    augment: Augment
    """Makes the network's input in training: `(uint8 images, keys, source) -> float images`."""
    augment_test: Augment
    """The same in evaluation, where an example's key is the same at every seed and step."""
    place: Callable[[Any], jax.Array]
    """Uint8 images as the network sees them, without randomness."""
    defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Values of the source where a call does not give others."""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels of what the network sees."""
        images, _ = self.dataset.train.read(np.arange(1))
        return jax.eval_shape(self.place, images).shape[1:]

    def source(self, split: Split, **values: Any) -> dict[str, Any]:
        """What the compiled steps take examples from; `values` reach `augment` with it."""
        return {"images": split.images, "labels": split.labels, **self.defaults, **values}

    def train_batch(self, seed: int, step: int) -> dict[str, np.ndarray]:
        """Examples of a training step, and their places in the batch."""
        size = self.train.batch_size
        index = batch_indices(seed, step, size, len(self.dataset.train.images))
        return {"index": index, "position": np.arange(size, dtype=np.int32)}

    def batches(self, split: Split, repeats: int = 1) -> Iterator[dict[str, np.ndarray]]:
        """All examples of a split `repeats` times, each at a position, hence a key, of its own."""
        examples = len(split.images)
        for position, weight in evaluation_batches(repeats * examples, self.train.batch_size):
            yield {"index": position % examples, "position": position, "weight": weight}

    def check(self, model: linen.Module) -> None:
        """Raise InputError unless the network makes logits `[batch, classes]` of the images."""
        logits = self._made_of_two(model)
        found, expected = getattr(logits, "shape", None), (2, self.dataset.num_classes)
        if found != expected:
            raise InputError(
                f"{type(model).__name__} does not classify {self.dataset.name}: of two images it "
                f"should make logits {expected}, and makes "
                f"{type(logits).__name__ if found is None else found}."
            )

    def _made_of_two(self, model: linen.Module) -> Any:
        images = jax.ShapeDtypeStruct((2, *self.shape), np.float32)
        with taking_images(type(model).__name__, self.shape):
            return jax.eval_shape(model.init_with_output, jax.random.key(0), images)[0]

    def compile(self, model: linen.Module) -> Training:
        """The compiled functions of a network, for all seeds and all values of the source.

        Raises:
          InputError: the devices do not divide the batch size, or the network does not take the
            images.
        """
        check_devices(self.train)
        self._made_of_two(model)
        return compile_training(model, self.train, *self._prepare())

    def _prepare(self) -> tuple[Prepare, Prepare]:
        """What makes batches inside the compiled steps, in training and in evaluation."""
        return gather(self.augment), gather(self.augment_test, deterministic=True)

    def initial(self, training: Training, seed: int) -> TrainState:
        """State of a network before training."""
        return training.init(seed, np.zeros((1, *self.shape), np.float32))

    def evaluate(
        self,
        training: Training,
        state: TrainState,
        *,
        split: Split | None = None,
        repeats: int = 1,
        **values: Any,
    ) -> dict[str, float]:
        """Loss and accuracy on the examples of a split, by default the test examples.

        Each of them counts `repeats` times; for `values` see `source`.
        """
        split = self.dataset.test if split is None else split
        return evaluate(training, state, self.batches(split, repeats), self.source(split, **values))


def check_devices(train: TrainConfig) -> None:
    """Raise InputError unless the devices divide the batch size."""
    devices = jax.device_count()
    if train.batch_size % devices:
        raise InputError(
            f"train.batch_size is {train.batch_size}, which {devices} devices cannot share "
            f"evenly; {train.batch_size // devices * devices or devices} would do."
        )


def on_canvas(
    data: str,
    data_dir: str | None,
    train: TrainConfig,
    *,
    canvas: int | None = None,
    margin: int = 4,
    fill: Fill = "circular",
) -> Classification:
    """A data set on a canvas, standardised; the source's `translation` moves it, see `preprocess`.

    Mean and deviation are those of 1,000 training images as the network sees them, the black
    around them included.

    Args:
      data: TFDS name.
      data_dir: where prepared data sets are.
      train: how to train.
      canvas: side in pixels; without it the first multiple of 8 that is at least 24 and `margin`
        more than the image. Images of less than 16 pixels are doubled in size.
      margin: see `canvas`.
      fill: 'circular' or 'zero', see `Preprocess`.

    Raises:
      InputError: the canvas is smaller than the image.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    dataset = load(data, data_dir)
    size = max(dataset.train.images.shape[1:3])
    upsample = 2 if size < 16 else 1
    side = canvas or max(24, -(-(upsample * size + margin) // 8) * 8)
    if side < upsample * size:
        raise InputError(
            f"canvas is {side}, but an image of {data} needs {upsample * size} pixels."
        )
    placement = Preprocess(canvas=side, upsample=upsample, fill=fill)
    jitted = jax.jit(preprocess, static_argnums=2)
    seen = np.asarray(jitted(dataset.train.images[:1000], None, placement))
    mean, deviation = float(seen.mean()), float(seen.std())
    placement = dataclasses.replace(placement, mean=(mean,), std=(deviation,))

    def augment(images, keys, source):
        return preprocess(images, keys, placement, source["translation"])

    def place(images):
        return jitted(images, None, placement)

    return Classification(dataset, train, augment, augment, place, {"translation": 1})


def train_network(
    task: Classification,
    training: Training,
    seed: int,
    name: str,
    record: Record,
    *,
    look: Callable[[TrainState], dict[str, float]] | None = None,
    **values: Any,
) -> Fit:
    """Train a network of a run, or continue its training from its newest checkpoint.

    Checkpoints go to checkpoints/NAME, networks/NAME.json says of what, and the lines of
    metrics.jsonl bear the network's name.

    Args:
      task: the data.
      training: the compiled functions of the network, from `task.compile`.
      seed: of initialisation, order of examples, and augmentation.
      name: the network's, unique in the run.
      record: of the run.
      look: numbers of a state every `eval_every` steps and after the last.
      **values: of the source, see `Classification.source`.

    Raises:
      Diverged: the loss or the gradient is not finite.
    """

    def write(step, numbers):
        record.metrics(step, network=name, **numbers)

    record.write_network(
        name, {"input_shape": task.shape, "description": describe_model(training.model)}
    )
    keep_every = training.config.keep_every
    with Checkpoints(record.checkpoints(name), keep_every=keep_every) as checkpoints:
        state = checkpoints.restore(task.initial(training, seed))
        record.rewind(int(state.step), network=name)
        source = task.source(task.dataset.train, **values)
        return fit(
            training,
            state,
            task.train_batch,
            source,
            evaluate=look,
            write=write,
            checkpoints=checkpoints,
        )

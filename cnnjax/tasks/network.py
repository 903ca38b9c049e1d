"""A network for a task: trained, evaluated and measured."""

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen

from cnnjax.inspect import multiply_adds, parameter_count
from cnnjax.models.description import describe_model
from cnnjax.run.cells import SEED, Cell
from cnnjax.run.config import InputError
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.metrics import EquivarianceLog, column
from cnnjax.run.record import Record
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.loop import fit
from cnnjax.train.state import TrainState
from cnnjax.train.step import correct_labels
from cnnjax.train.training import Training, evaluate

with lazy_imports():
    from cnnjax.symmetry import layerwise

if TYPE_CHECKING:  # a task makes its networks
    from cnnjax.tasks.task import SplitName, Task


@dataclasses.dataclass(frozen=True, eq=False)
class Network:
    """A model and its compiled training, on a task; from `Task.network`."""

    task: "Task"
    """Its data."""
    model: linen.Module
    """The network itself."""
    training: Training
    """Its compiled functions."""
    start: Mapping[str, Any] | None = None
    """Variables before training; None: random ones, by the seed."""
    _functions: dict[Any, Callable] = dataclasses.field(default_factory=dict, repr=False)

    def starting_from(self, variables: Mapping[str, Any] | None) -> "Network":
        """The network with these variables before training."""
        return dataclasses.replace(self, start=variables)

    def initial(self, seed: int) -> TrainState:
        """The state before training."""
        state = self.training.init(seed, np.zeros((1, *self.task.shape), np.float32))
        if self.start is None:
            return state
        params, batch_stats = (
            jax.tree.map(lambda new, old: jnp.asarray(new, old.dtype), self.start[name], old)
            if name in self.start
            else old
            for name, old in (("params", state.params), ("batch_stats", state.batch_stats))
        )
        averaged = None if state.ema_params is None else jax.tree.map(jnp.copy, params)
        return state.replace(params=params, batch_stats=batch_stats, ema_params=averaged)

    def train(
        self,
        record: Record,
        cell: Cell,
        *,
        evaluate: Callable[[TrainState], dict[str, float]] | None = None,
        **values: Any,
    ) -> TrainState:
        """Train the network of a cell, or continue from its newest checkpoint; the final state.

        Checkpoints go to checkpoints/NAME, networks/NAME.json says of what, and the lines of
        metrics.jsonl hold the network's name, which is the cell's. Where `record.equivariance` says
        so, they hold the equivariance error of every layer too, see `layer_errors`.

        Args:
          record: of the run.
          cell: its seed is that of initialisation, order of examples, and augmentation.
          evaluate: numbers of a state every `eval_every` steps and after the last, see `fit`.
          **values: of the source, see `Task.source`.

        Raises:
          Diverged: the loss or the gradient is not finite.
          InputError: the images do not take the transformations of `record.equivariance`.
        """
        log, monitor, logged = record.equivariance, None, {}
        if log.every:
            monitor = self.layer_errors(log)
            images = min(log.images, len(self.task.validation))
            logged["equivariance"] = {"images": images, "split": "validation"}

        def write(step: int, numbers: dict[str, float]) -> None:
            record.metrics(step, network=cell.name, **numbers)

        record.write_task(self.task.dataset.name, self.task.facts())
        record.write_network(
            cell.name,
            {
                "factors": {name: str(value) for name, value in cell.items()},
                "input_shape": self.task.shape,
                "description": describe_model(self.model),
                "task": self.task.description,
                **logged,
            },
        )
        config = self.training.config
        folder = record.checkpoints(cell.name)
        with Checkpoints(folder, keep_every=config.keep_every) as checkpoints:
            state = checkpoints.restore(self.initial(cell[SEED]))
            # Without a checkpoint training begins anew: its line of step 0 goes, too.
            record.rewind(int(state.step) or -1, network=cell.name)
            found = fit(
                self.training,
                state,
                functools.partial(self.task.train_batch, batch_size=config.batch_size),
                self.task.source("train", **values),
                evaluate=evaluate,
                write=write,
                monitor=monitor,
                monitor_every=log.every,
                checkpoints=checkpoints,
            )
        if found.images_per_second is not None:
            record.timings({cell.name: {"images_per_second": found.images_per_second}})
        return found.state

    def evaluate(
        self, state: TrainState, split: "SplitName" = "test", *, repeats: int = 1, **values: Any
    ) -> dict[str, float]:
        """Loss and accuracy on the examples of a split.

        Averaged parameters are taken where the state has them.

        Args:
          state: of the network.
          split: 'train', 'validation' or 'test'.
          repeats: how often each example counts, each time with randomness of its own.
          **values: of the source, see `Task.source`.
        """
        batches = self.task.batches(split, self.training.config.batch_size, repeats)
        return evaluate(self.training, state, batches, self.task.source(split, **values))

    def accuracy(
        self, state: TrainState, split: "SplitName" = "test", *, repeats: int = 1, **values: Any
    ) -> float:
        """Accuracy on the examples of a split, see `evaluate`."""
        return self.evaluate(state, split, repeats=repeats, **values)["accuracy"]

    def correct(self, state: TrainState, split: "SplitName" = "test", **values: Any) -> np.ndarray:
        """Share of correct labels of each example of a split, `[examples]`: 1 or 0 of one label.

        Their mean is the accuracy, see `evaluate`; intervals over images need each of them.

        Args:
          state: of the network.
          split: 'train', 'validation' or 'test'.
          **values: of the source, see `Task.source`.
        """
        if "correct" not in self._functions:
            _, prepare = self.task.prepare()

            def labelled(state: TrainState, source: Any, batch: Any) -> jax.Array:
                batch = prepare(source, batch, state)
                return correct_labels(state, batch, model=self.model, config=self.training.config)

            self._functions["correct"] = jax.jit(labelled)
        function, found = self._functions["correct"], []
        state, source = jax.device_get(state), self.task.source(split, **values)
        for batch in self.task.batches(split, self.training.config.batch_size):
            found.append(np.asarray(function(state, source, batch))[batch["weight"] > 0])
        return np.concatenate(found).astype(np.float64)

    def scores(self, **values: Any) -> Callable[..., dict[str, float]]:
        """Function `(state, split="validation")` to loss and accuracy, as `train` evaluates.

        Args:
          **values: of `evaluate`.
        """

        def evaluated(state: TrainState, split: "SplitName" = "validation") -> dict[str, float]:
            found = self.evaluate(state, split, **values)
            return {name: found[name] for name in ("loss", "accuracy")}

        return evaluated

    def layer_errors(self, log: EquivarianceLog) -> Callable[[TrainState], dict[str, float]]:
        """Function from a state to the equivariance error of each layer, see `column`.

        On the first validation examples, without augmentation and with averaged parameters where
        the state has them. The error is that of `symmetry.layer_errors`, compiled once for this
        network.

        Raises:
          InputError: a shift as long as the images, or rotations by 90 degrees where they are not
            square.
        """
        key = ("layer_errors", log.transformations)
        if key not in self._functions:
            try:
                self._functions[key] = layerwise.layer_errors(
                    self.model, log.transformations, self.task.shape[:2]
                )
            except ValueError as error:
                raise InputError(f"equivariance.transformations: {error}") from error
        measure = self._functions[key]
        examples = self.task.validation
        images, _ = examples.read(np.arange(min(log.images, len(examples))))
        x = np.asarray(self.task.place(images))

        def errors(state: TrainState) -> dict[str, float]:
            found = measure(jax.device_get(state.variables), x)
            return {
                column(transformation, layer): error
                for transformation, layers in found.items()
                for layer, error in layers.items()
            }

        return errors

    def compute(self, function: Callable, variables: Any, *args: Any) -> Any:
        """`function(model, variables, *args)`, compiled once for this network, on the host.

        Args:
          function: pure, defined at the head of a module: the same object at every call.
          variables: of the network, `state.variables`.
          *args: arrays.
        """
        if function not in self._functions:
            self._functions[function] = jax.jit(functools.partial(function, self.model))
        return jax.device_get(self._functions[function](variables, *args))

    def function(self, method: str = "__call__", *args: Any) -> Callable[[Any, Any], Any]:
        """`(images, variables) -> model.METHOD(images, *args)`, the same object at every call.

        What compiles a function given to it, such as `symmetry.errors_over_shifts`, does so once.
        """
        key = (method, *args)
        if key not in self._functions:

            def apply(images: Any, variables: Any) -> Any:
                return self.model.apply(variables, images, *args, method=method)

            self._functions[key] = apply
        return self._functions[key]

    def logits(self, variables: Any, images: Any) -> np.ndarray:
        """Logits of images as the network sees them, see `Task.place`."""
        return self.compute(_apply, variables, images)

    @functools.cached_property
    def parameters(self) -> int:
        """Number of parameters."""
        return parameter_count(self.initial(0).params)

    @functools.cached_property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image."""
        image = jax.ShapeDtypeStruct((1, *self.task.shape), np.float32)
        return multiply_adds(self.model.apply, self.initial(0).variables, image)


def _apply(model: linen.Module, variables: Any, images: Any) -> Any:
    return model.apply(variables, images)

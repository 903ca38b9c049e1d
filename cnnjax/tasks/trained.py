"""Trained networks of a run, and their data, loaded again from the files that the run left."""

import contextlib
import dataclasses
import inspect
import typing
from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import linen

from cnnjax.models.choice import Convolution, model_arguments, resolve_model
from cnnjax.models.description import described_model, import_paths
from cnnjax.models.pretrained import load_weights
from cnnjax.run.config import InputError, from_json, read_json
from cnnjax.tasks.canvas import on_canvas, rotated
from cnnjax.tasks.cifar_tutorial import distorted_crops
from cnnjax.tasks.grey_digits import digits_on_grey
from cnnjax.tasks.images import resized
from cnnjax.tasks.moved_classes import moved_by_class
from cnnjax.tasks.orientation import at_right_angles, in_quadrants, upright_or_rotated
from cnnjax.tasks.segmentation import textured_digits
from cnnjax.tasks.task import Task, taking_images
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.training import compile_training

PIPELINES: dict[str, Callable[..., Task]] = {
    build.__name__: build
    for build in (
        on_canvas,
        at_right_angles,
        digits_on_grey,
        distorted_crops,
        in_quadrants,
        moved_by_class,
        resized,
        rotated,
        textured_digits,
        upright_or_rotated,
    )
}
"""The functions that a run may name as the pipeline of its networks."""


class Trained(NamedTuple):
    """A network with its variables."""

    model: linen.Module
    """The network."""
    variables: Mapping[str, Any]
    """Parameters, averaged where the run averaged them, and statistics."""
    weights: str
    """Where they come from, in words."""


@contextlib.contextmanager
def _input_errors() -> Generator[None]:
    """Turn a ValueError into InputError: what the user named cannot be used."""
    try:
        yield
    except ValueError as error:
        raise InputError(str(error)) from error


@_input_errors()
def is_run(name: str) -> bool:
    """Whether this is the directory of a run, not the name of a model.

    Raises:
      InputError: it is a directory, or a path, but no run.
    """
    found = (Path(name) / "config.json").exists()
    if not found and ("/" in name or Path(name).is_dir()):
        raise ValueError(f"{name} must be the directory of a run, but has no config.json.")
    return found


@_input_errors()
def make_model(
    name: str, convolution: Convolution | None = None, *, classes: int | None = None
) -> linen.Module:
    """The model of this name, with the arguments that it needs.

    Args:
      name: see `resolve_model`.
      convolution: takes the place of the model's own; a model that needs one gets the standard one.
      classes: number of classes, where the model takes one; by default the model's own, or 10 where
        it has none.

    Raises:
      InputError: there is no such model, or it cannot be made with these.
    """
    takes = model_arguments(name)
    given: dict[str, Any] = {}
    if takes.get("classes") or (classes is not None and "classes" in takes):
        given["classes"] = classes or 10
    if takes.get("conv") or convolution is not None:
        given["conv"] = (convolution or Convolution("standard")).layer()
    return resolve_model(name, **given)


@_input_errors()
def input_shape(directory: Path, network: str | None = None) -> tuple[int, int, int]:
    """Height, width and channels of the input of a network of a run.

    Args:
      directory: of the run.
      network: its name, of a run of several networks.

    Raises:
      InputError: there is no such network.
    """
    height, width, channels = read_json(_file(directory, network))["input_shape"]
    return height, width, channels


@_input_errors()
def load_task(directory: Path, network: str | None = None, data_dir: str | None = None) -> Task:
    """The task that a network of a run was trained on, built again from its description.

    Args:
      directory: of the run.
      network: its name, of a run of several networks.
      data_dir: directory of prepared data sets, if not where the run found them.

    Raises:
      InputError: the run does not say which pipeline, or one that is not there any more.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    file = _file(directory, network)
    description = read_json(file).get("task")
    if description is None:
        raise ValueError(
            f"{file} must name a pipeline of cnnjax.tasks, got none: the study makes its own data."
        )
    name, arguments = description["pipeline"], dict(description["arguments"])
    if name not in PIPELINES:
        raise ValueError(f"pipeline in {file} must be one of {list(PIPELINES)}, got {name!r}.")
    if data_dir is not None and "data" in arguments:
        arguments["data_dir"] = data_dir
    hints = typing.get_type_hints(inspect.unwrap(PIPELINES[name]))
    given = {
        key: from_json(hints.get(key, Any), value, f"{file}: {key}")
        for key, value in arguments.items()
    }
    return PIPELINES[name](**given)


@_input_errors()
def load_trained(
    directory: Path,
    x: jax.typing.ArrayLike,
    *,
    network: str | None = None,
    trust: Sequence[str] = (),
) -> Trained:
    """A network of a run, with the weights of its newest checkpoint.

    Args:
      directory: of the run.
      x: images `[batch, *space, channels]` of the size it was trained on.
      network: its name, of a run of several networks.
      trust: import paths outside of cnnjax and flax that the run's files may name.

    Raises:
      InputError: the run has no such network, no checkpoint of it, no longer a class for it, or one
        that is not trusted.
    """
    file = _file(directory, network)
    model = _model(directory, file, trust)
    folder = directory / "checkpoints" / file.stem
    state = _restored(model, read_json(directory / "config.json"), folder, x)
    return Trained(model, state.variables, f"trained, step {int(state.step)} of {folder}")


@_input_errors()
def load_pretrained(model: linen.Module, path: str, image_shape: Sequence[int]) -> Trained:
    """A network with weights of torchvision's names, see `models.pretrained.load_weights`.

    Args:
      model: the network.
      path: `.safetensors` or `.npz` file.
      image_shape: height, width and channels.

    Raises:
      FileNotFoundError: there is no such file.
      InputError: the network does not take the images, or the weights are not those of the network.
    """
    images = jax.ShapeDtypeStruct((1, *image_shape), np.float32)
    with taking_images(type(model).__name__, image_shape):
        variables = jax.eval_shape(model.init, jax.random.key(0), images)
    return Trained(model, load_weights(path, model, variables), f"weights of {path}")


def _file(directory: Path, network: str | None) -> Path:
    """The description of one network of a run."""
    files = {
        read_json(path)["name"]: path for path in sorted((directory / "networks").glob("*.json"))
    }
    if not files:
        raise ValueError(f"{directory} must hold trained networks, but has no networks/.")
    if network not in files if network else len(files) > 1:
        names = ", ".join(map(repr, files))
        raise ValueError(f"--network of {directory} must be one of {names}, got {network!r}.")
    return files[network or next(iter(files))]


def _model(directory: Path, file: Path, trust: Sequence[str]) -> linen.Module:
    """Code is imported because the caller names it, never because a file does."""
    description = read_json(file)["description"]
    # A model that JSON cannot describe is found again where the command line named it.
    name = read_json(directory / "config.json").get("model", "")
    if description is None and not name:
        raise ValueError(f"{file} does not say which model was trained.")
    for path in import_paths(description) if description else [name]:
        ours = ":" not in path or path.startswith(("cnnjax.", "flax.linen."))
        if not ours and path not in trust:
            raise ValueError(
                f"{directory} names {path}, whose code would be imported: give --trust {path} if "
                "you trust it."
            )
    return described_model(description) if description else resolve_model(name)


def _restored(
    model: linen.Module, config: Mapping[str, Any], folder: Path, x: jax.typing.ArrayLike
) -> Any:
    """The newest state of training in a folder."""
    if not folder.is_dir():
        raise ValueError(f"{folder} must hold a checkpoint, but does not exist.")
    train = from_json(TrainConfig, config.get("train"), "train")
    # Only the shape of the state is needed, whatever number of devices is here.
    training = compile_training(model, dataclasses.replace(train, batch_size=jax.device_count()))
    with Checkpoints(folder) as checkpoints:
        if not checkpoints.steps():
            raise ValueError(f"{folder} must hold a checkpoint, got none.")
        return checkpoints.restore(training.init(0, x))

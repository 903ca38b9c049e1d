"""Networks by name, by import path, or as a run left them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import linen

from cnnjax.models.choice import Convolution, model_arguments, resolve_model
from cnnjax.models.description import described_model, import_paths
from cnnjax.run.config import from_json, read_json
from cnnjax.train.checkpoint import Checkpoints
from cnnjax.train.config import TrainConfig
from cnnjax.train.training import compile_training


class Trained(NamedTuple):
    """A network of a run."""

    model: linen.Module
    """The network."""
    variables: dict[str, Any]
    """Parameters, averaged where the run averaged them, and statistics."""
    weights: str
    """In words where they come from."""


def is_run(name: str) -> bool:
    """Whether this is the directory of a run, not the name of a model.

    Raises:
      ValueError: it is a directory, or a path, but no run.
    """
    found = (Path(name) / "config.json").exists()
    if not found and ("/" in name or Path(name).is_dir()):
        raise ValueError(f"There is no run in {name}: it has no config.json.")
    return found


def make_model(
    name: str, convolution: Convolution | None = None, *, classes: int | None = None
) -> linen.Module:
    """The model of this name, with what it must be told.

    Args:
      name: see `resolve_model`.
      convolution: takes the place of the model's own; a model that must be told one is given the
        standard one.
      classes: number of classes, where the model takes one; without it the model's own, or 10 if
        it must be told.

    Raises:
      ValueError: there is no such model, or it cannot be made with these.
    """
    takes = model_arguments(name)
    given: dict[str, Any] = {}
    if takes.get("classes") or (classes is not None and "classes" in takes):
        given["classes"] = classes or 10
    if takes.get("conv") or convolution is not None:
        given["conv"] = (convolution or Convolution("standard")).layer()
    return resolve_model(name, **given)


def input_shape(directory: Path, network: str | None = None) -> tuple[int, int, int]:
    """Height, width and channels of what a network of a run saw.

    Args:
      directory: of the run.
      network: its name, of a run of several networks.

    Raises:
      ValueError: there is no such network.
    """
    height, width, channels = read_json(_file(directory, network))["input_shape"]
    return height, width, channels


def load_trained(
    directory: Path, x: jax.Array, *, network: str | None = None, trust: Sequence[str] = ()
) -> Trained:
    """A network of a run, with the weights of its newest checkpoint.

    Args:
      directory: of the run.
      x: images `[batch, *space, channels]` of the size it was trained on.
      network: its name, of a run of several networks.
      trust: import paths outside of cnnjax and flax that the run's files may name.

    Raises:
      ValueError: the run has no such network, no checkpoint of it, no longer a class for it, or one
        that is not trusted.
    """
    file = _file(directory, network)
    model = _model(directory, file, trust)
    folder = directory / "checkpoints" / file.stem
    state = _restored(model, read_json(directory / "config.json"), folder, x)
    return Trained(model, state.variables, f"trained, step {int(state.step)} of {folder}")


def _file(directory: Path, network: str | None) -> Path:
    """The description of one network of a run."""
    files = {
        read_json(path)["name"]: path for path in sorted((directory / "networks").glob("*.json"))
    }
    if not files:
        raise ValueError(f"{directory} has trained no network: it has no networks/.")
    if network not in files if network else len(files) > 1:
        names = ", ".join(map(repr, files))
        given = "" if network is None else f", not {network!r}"
        raise ValueError(f"{directory} holds the networks {names}{given}: choose one by --network.")
    return files[network or next(iter(files))]


def _model(directory: Path, file: Path, trust: Sequence[str]) -> linen.Module:
    """Code is imported because the caller names it, never because a file does."""
    description = read_json(file)["description"]
    # One that holds more than plain JSON is found again where the run was told to find it.
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


def _restored(model: linen.Module, told: dict[str, Any], folder: Path, x: jax.Array) -> Any:
    """The newest state of training in a folder."""
    if not folder.is_dir():
        raise ValueError(f"There is no checkpoint in {folder}.")
    training = compile_training(model, from_json(TrainConfig, told.get("train"), "train"))
    with Checkpoints(folder) as checkpoints:
        if not checkpoints.steps():
            raise ValueError(f"There is no checkpoint in {folder}.")
        return checkpoints.restore(training.init(0, x))

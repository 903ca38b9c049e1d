"""Networks by name, by import path, or as a run left them."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import linen

from cnnjax.layers.choice import Convolution, resolve
from cnnjax.models.choice import model_arguments, resolve_model
from cnnjax.report.configuration import from_json, read_json
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
    """Whether this is the directory of a run, not the name of a model."""
    return (Path(name) / "config.json").exists()


def make_model(
    name: str,
    convolution: Convolution | None = None,
    *,
    classes: int = 10,
    told: dict[str, Any] | None = None,
) -> linen.Module:
    """The model of this name, with what it must be told and what a run's configuration says.

    Args:
      name: see `resolve_model`.
      convolution: takes the place of the model's own; a model that must be told one is given the
        standard one.
      classes: number of classes of a model that must be told.
      told: the configuration of a run, whose fields a model of the same names takes.

    Raises:
      ValueError: there is no such model, or it cannot be made with these.
    """
    takes = model_arguments(name)
    fields = {key: tuple(v) if isinstance(v, list) else v for key, v in (told or {}).items()}
    given: dict[str, Any] = {key: value for key, value in fields.items() if key in takes}
    given.pop("conv", None)
    if takes.get("classes") or (told is not None and "classes" in takes):
        given["classes"] = fields.get("classes", classes)
    if takes.get("conv") or convolution is not None:
        given["conv"] = resolve(convolution or Convolution("standard"))
    return resolve_model(name, **given)


def load_trained(
    directory: Path,
    x: jax.Array,
    *,
    network: str | None = None,
    model: str | None = None,
    convolution: Convolution | None = None,
    classes: int = 10,
) -> Trained:
    """A network of a run, with the weights of its newest checkpoint.

    Args:
      directory: of the run.
      x: images `[batch, *space, channels]` of the size it was trained on.
      network: of a run of several networks, its folder in checkpoints/.
      model: where the configuration does not say which was trained.
      convolution: where the configuration does not say.
      classes: where the configuration does not say.

    Raises:
      ValueError: the run does not say what it trained, or has no checkpoint of it.
    """
    told = read_json(directory / "config.json")
    if (directory / "results.json").exists():
        found = read_json(directory / "results.json")
        told |= {name: found[name] for name in ("model", "classes") if name in found}
    folder = _checkpoints(directory / "checkpoints", network)
    name, chosen = _choice(directory, told, folder, model, convolution)
    for stored in (name, chosen.name if chosen else ""):
        if ":" in stored:
            print(f"{directory / 'config.json'} names {stored}: its code is imported.", flush=True)
    made = make_model(name, chosen, classes=classes, told=told)
    state = _restored(made, told, folder, x)
    params = state.params if state.ema_params is None else state.ema_params
    variables = {"params": params, "batch_stats": state.batch_stats}
    return Trained(made, variables, f"trained, step {int(state.step)} of {folder}")


def _choice(
    directory: Path,
    told: dict[str, Any],
    folder: Path,
    model: str | None,
    convolution: Convolution | None,
) -> tuple[str, Convolution | None]:
    """The model and the convolution of a network that a run trained."""
    conv = told.get("conv")
    if "model" in told or not isinstance(conv, list):
        name = told.get("model", model)
        if name is None:
            raise ValueError(
                f"{directory / 'config.json'} does not say which model was trained: it has no "
                "'model'."
            )
        one = conv[0] if isinstance(conv, list) and conv else conv
        return name, from_json(Convolution, one) if one else convolution
    # A study of several convolutions names each network's folder after its own.
    named = {re.sub(r"\W+", "_", str(c)): c for c in (from_json(Convolution, c) for c in conv)}
    fitting = [name for name in named if folder.name.startswith(name)]
    if not fitting:
        raise ValueError(f"{folder} is not named after one of the convolutions {list(named)}.")
    return "ConvNet", named[max(fitting, key=len)]


def _checkpoints(folder: Path, network: str | None) -> Path:
    """The folder of the checkpoints of one network of a run."""
    networks = sorted(path.name for path in folder.glob("*") if not path.name[:1].isdigit())
    if network not in networks if network else len(networks) > 1:
        raise ValueError(
            f"{folder} holds {', '.join(networks) or 'one network only'}: choose one by --network."
        )
    return folder / (network or "".join(networks))


def _restored(model: linen.Module, told: dict[str, Any], folder: Path, x: jax.Array) -> Any:
    """The newest state of training in a folder."""
    if not folder.is_dir():
        raise ValueError(f"There is no checkpoint in {folder}.")
    training = compile_training(model, from_json(TrainConfig, told.get("train"), "train"))
    with Checkpoints(folder) as checkpoints:
        if not checkpoints.steps():
            raise ValueError(f"There is no checkpoint in {folder}.")
        return checkpoints.restore(training.init(0, x))

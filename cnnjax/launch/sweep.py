"""The points of a sweep: each a configuration, the command that runs it, and its directory."""

import ast
import contextlib
import dataclasses
import io
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.launch.command_line import Invocation, directory_of, parse
from cnnjax.launch.experiments import Experiment
from cnnjax.launch.options import Options
from cnnjax.models.choice import Convolution
from cnnjax.run.config import from_json, to_json
from cnnjax.run.metrics import EquivarianceLog


@dataclasses.dataclass(frozen=True)
class Point:
    """One run of a sweep."""

    words: tuple[str, ...]
    """Its command line after `launch.py`."""
    directory: Path
    """Where it goes."""
    overwrite: bool
    """Whether it is run again when it is finished."""

    @property
    def state(self) -> str:
        """finished, unfinished or new."""
        if (self.directory / "done").exists():
            return "finished"
        return "unfinished" if (self.directory / "config.json").exists() else "new"

    @property
    def to_run(self) -> bool:
        """Whether there is anything to do."""
        return self.overwrite or self.state != "finished"

    def command(self, entry_point: str) -> str:
        """The command as one types it."""
        return shlex.join(["python", entry_point, *self.words])


def points(
    experiment: Experiment, invocation: Invocation, directory: Path | None = None
) -> list[Point]:
    """The runs of a command line, each configuration once: those of its sweep, or one.

    Args:
      experiment: the experiment.
      invocation: the command line.
      directory: of the one run that goes there in any case.

    Raises:
      ValueError: the experiment has no sweep, or a point of it is no configuration.
    """
    overrides: list[Any] = [{}]
    if invocation.options.sweep:
        if not hasattr(experiment.module, "sweep"):
            raise ValueError(
                f"The experiment {experiment.name!r} has no sweep: define a function sweep() in "
                'its file that yields overrides, such as {"train.learning_rate": 1e-3}.'
            )
        overrides = list(experiment.module.sweep())
        if not overrides:
            raise ValueError(f"The sweep of {experiment.name!r} yields no point.")
    found: dict[Path, Point] = {}
    for index, override in enumerate(overrides):
        where = f"Point {index} of the sweep of {experiment.name!r}"
        config = overridden(invocation.config, override, where)
        point = _point(experiment, invocation, config, where, directory)
        found.setdefault(point.directory, point)
    return list(found.values())


def overridden(config: Any, override: Any, where: str) -> Any:
    """The configuration with other values: `{"train.learning_rate": 1e-3}`.

    Args:
      config: the configuration to start from.
      override: values by dotted field names; a `Convolution` also for a field that takes several.
      where: what to call the override in a sentence about it.

    Raises:
      ValueError: no mapping, an unknown field, a value of another type than its field's, or one
        that the configuration refuses.
    """
    if not isinstance(override, Mapping):
        raise ValueError(f"{where} is {override!r}, and must map names of fields to values.")
    nested: dict[str, Any] = {}
    try:
        for name, value in override.items():
            *parents, last = str(name).split(".")
            inner = nested
            for parent in parents:
                inner = inner.setdefault(parent, {})
                if not isinstance(inner, dict):
                    raise ValueError(f"{parent} must not be given beside {name}, got {inner!r}.")
            if isinstance(value, Convolution) and isinstance(getattr(config, last, None), tuple):
                value = [value]
            inner[last] = to_json(value, str(name))
        return from_json(type(config), nested, "config", config)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _point(
    experiment: Experiment, invocation: Invocation, config: Any, where: str, given: Path | None
) -> Point:
    """The point of this configuration; its command is read back to make sure of it."""
    options = invocation.options
    directory = given or directory_of(experiment, invocation, config)
    words = [*invocation.base, *config_words(config, invocation.start)]
    if _read_back(experiment, words) != config:
        raise ValueError(f"{where} cannot be written as a command line: {shlex.join(words)}.")
    if options.workdir is not None or given is not None:
        words += ["--workdir", str(directory)]
    words += _option_words(options)
    return Point((experiment.name, *words), directory, options.overwrite)


def _read_back(experiment: Experiment, words: list[str]) -> Any:
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            return parse(experiment, words).config
        except (ValueError, SystemExit):
            return None


def _option_words(options: Options) -> list[str]:
    """The options that each run of a sweep is given too."""
    words = ["--overwrite" if options.overwrite else "--resume"]
    if options.devices is not None:
        words += ["--devices", str(options.devices)]
    if options.deterministic:
        words.append("--deterministic")
    if not options.cache:
        words.append("--no-cache")
    if options.track:
        words += ["--track", *options.track]
    if options.figures:
        words += ["--figures", *options.figures]
    if options.style is not None:
        words += ["--style", options.style]
    if options.distributed or (options.slurm and options.job.nodes > 1):
        words.append("--distributed")
    return [*words, *config_words(options.equivariance, EquivarianceLog(), "equivariance.")]


def config_words(config: Any, start: Any, prefix: str = "") -> list[str]:
    """The options that turn the configuration `start` into this one, in the order of the fields.

    Raises:
      ValueError: a value that no option can give.
    """
    words = []
    for field in dataclasses.fields(config):
        value, before = getattr(config, field.name), getattr(start, field.name)
        name = f"{prefix}{field.name}"
        if value == before and type(value) is type(before):
            continue
        if (
            type(value) is type(before)
            and dataclasses.is_dataclass(value)
            and not isinstance(value, Convolution)
        ):
            words += config_words(value, before, f"{name}.")
        else:
            words += _words(name, value)
    return words


def _words(name: str, value: Any) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(value, Mapping):
        value = tuple(item for pair in value.items() for item in pair)
    items = value if isinstance(value, tuple) else (value,)
    if items and all(isinstance(item, Convolution) for item in items):
        return [word for item in items for word in _convolution_words(option, item)]
    if isinstance(value, bool):
        parent, _, last = option.removeprefix("--").rpartition(".")
        return [option if value else f"--{parent}.no-{last}".replace("--.", "--")]
    if not all(item is None or isinstance(item, bool | int | float | str) for item in items):
        raise ValueError(f"No option gives {name} the value {value!r}.")
    return [option, *(str(item) for item in items)]


def _convolution_words(option: str, convolution: Convolution) -> list[str]:
    words = [option, convolution.name]
    for key, value in convolution.arguments.items():
        items = value if isinstance(value, tuple) and len(value) > 1 else (value,)
        words += [f"{option}.{key}", *(_text(item) for item in items)]
    return words


def _text(value: Any) -> str:
    """Text that is read as this value: a string as it is, unless it would be read as another."""
    if not isinstance(value, str):
        return repr(value)
    try:
        ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return value
    return repr(value)

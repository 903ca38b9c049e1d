"""The points of a sweep: each a configuration, the command that runs it, and its directory."""

import contextlib
import dataclasses
import io
import shlex
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cnnjax.launch.command_line import Invocation, parse
from cnnjax.launch.experiments import Experiment
from cnnjax.launch.options import Options
from cnnjax.launch.words import config_words
from cnnjax.models.choice import Convolution
from cnnjax.run.config import configuration_hash, from_json, perhaps_you_meant, to_json
from cnnjax.run.directory import run_directory


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
    for name, value in override.items():
        try:
            config = _replaced(config, str(name).split("."), value, str(name))
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error
    return config


def _replaced(config: Any, path: list[str], value: Any, name: str) -> Any:
    first, *rest = path
    fields = [field.name for field in dataclasses.fields(config)]
    if first not in fields:
        raise ValueError(
            f"there is no field {name!r}{perhaps_you_meant(first, fields)}: there are "
            f"{', '.join(fields)}."
        )
    inner = getattr(config, first)
    if rest:
        if not dataclasses.is_dataclass(inner) or isinstance(inner, Convolution):
            raise ValueError(f"there is no field {name!r}: {first} is {inner}.")
        return dataclasses.replace(config, **{first: _replaced(inner, rest, value, name)})
    annotation = typing.get_type_hints(type(config))[first]
    if isinstance(value, Convolution) and typing.get_origin(annotation) is tuple:
        value = (value,)
    typed = from_json(annotation, to_json(value, name), name, inner)
    return dataclasses.replace(config, **{first: typed})


def _point(
    experiment: Experiment,
    invocation: Invocation,
    config: Any,
    where: str,
    given: Path | None,
) -> Point:
    """The point of this configuration; its command is read back to make sure of it."""
    named = run_directory(experiment.name, invocation.label, configuration_hash(config))
    options = invocation.options
    directory = named if options.workdir is None else Path(options.workdir, named.name)
    if not options.sweep and options.workdir is not None:
        directory = Path(options.workdir)
    directory = given or directory
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
    if options.distributed or (options.slurm and options.job.nodes > 1):
        words.append("--distributed")
    return words

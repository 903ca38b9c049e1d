"""From the words of a command line to options and a configuration, and what is wrong with them."""

import dataclasses
import itertools
import json
import re
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnnjax.launch.experiments import Experiment
from cnnjax.launch.options import NAMES, Options
from cnnjax.models.choice import Convolution, convolution_options, read_options
from cnnjax.run import config as configuration
from cnnjax.run.config import configuration_hash, perhaps_you_meant
from cnnjax.run.directory import run_directory
from cnnjax.run.lazy import lazy_imports

with lazy_imports():
    from cnnjax.run import config_files


@dataclasses.dataclass(frozen=True)
class Invocation:
    """What a command line says."""

    config: Any
    """The configuration."""
    options: Options
    """Beside it."""
    base: tuple[str, ...]
    """The words that choose the configuration from which the others set out."""
    label: str
    """What names the run, beside the hash of its configuration."""
    start: Any
    """The configuration of `base`."""


def parse(experiment: Experiment, arguments: list[str]) -> Invocation:
    """What the arguments after an experiment's name ask for.

    The first word is a preset, or else the value of the field that stands without its name.

    Raises:
      ValueError: unknown preset, option or convolution option, a value that the configuration
        refuses, or a configuration file that is not of this experiment.
      FileNotFoundError: there is no such configuration file.
      SystemExit: code 0, help was printed.
    """
    for field in dataclasses.fields(experiment.config_class):
        if field.name in NAMES:
            raise ValueError(
                f"Rename the field {field.name!r} of Config: it is an option of every run."
            )
    presets, file = experiment.presets, _value_of("--config", arguments)
    base, label, words = (), "default", arguments
    start = presets.get("default")
    if arguments and not arguments[0].startswith("-"):
        first, *rest = arguments
        if first in presets:
            base, label, words, start = (first,), first, rest, presets[first]
            if file is not None:
                raise ValueError(f"Give either the preset {first!r} or --config {file}, not both.")
        elif experiment.named_field is None:
            raise ValueError(
                f"The experiment {experiment.name!r} has no preset {first!r}"
                f"{perhaps_you_meant(first, presets)}: there are {', '.join(presets)}."
            )
        else:
            base, label = (first,), first
            named = {experiment.named_field: first}
            make = experiment.config_class if start is None else partial(dataclasses.replace, start)
            start = make(**named)
    if file is not None:
        base, label = (*base, "--config", file), label if base else "config"
        start = config_files.load(file, experiment.config_class, start)
    if start is None and not {"-h", "--help"} & set(arguments):
        raise ValueError(
            f"The experiment {experiment.name!r} needs a {experiment.named_field}: name it, as in "
            f"launch.py {experiment.name} {(experiment.named_field or 'value').upper()}, or a "
            f"preset: {', '.join(presets) or 'there are none'}."
        )
    if file is not None:
        _require_consent(file, start, arguments)
    words, chosen = _take_convolutions(experiment.config_class, words)
    options, config = _parse_fields(experiment, start, words, chosen)
    return Invocation(config, options, base, label, start)


def directory_of(experiment: Experiment, invocation: Invocation, config: Any) -> Path:
    """Where the run goes: runs/NAME/PRESET-HASH, or --workdir, or of a sweep PRESET-HASH in it."""
    options = invocation.options
    named = run_directory(experiment.name, invocation.label, configuration_hash(config))
    if options.workdir is None:
        return named
    return Path(options.workdir, named.name) if options.sweep else Path(options.workdir)


def _require_consent(file: str, config: Any, arguments: list[str]) -> None:
    """Code is imported because the command line names it, never because a file does."""
    words = [part for word in arguments for part in word.split("=", 1)]
    texts = json.dumps(configuration.to_json(config), ensure_ascii=False)
    for path in re.findall(r'"([A-Za-z_][\w.]*:[A-Za-z_]\w*)"', texts):
        if path not in words:
            raise ValueError(
                f"{file} names {path}, whose code would be imported: give {path} on the command "
                "line as well, as in --conv, if you trust it."
            )


def _take_convolutions(
    config_class: Any, arguments: list[str]
) -> tuple[list[str], list[Convolution]]:
    """The arguments, each convolution in them as its index among those found; and those."""
    fields = {field.name for field in dataclasses.fields(config_class)}
    if "seeds" in fields and "seed" not in fields:
        arguments = [re.sub(r"^--seed(?==|$)", "--seeds", text) for text in arguments]
    chosen: list[Convolution] = []
    for option, many in convolution_options(config_class).items():
        found, arguments = read_options(arguments, option)
        if len(found) > 1 and not many:
            raise ValueError(f"--{option} takes one convolution, not {len(found)}.")
        if found:
            arguments += [f"--{option}", *(str(len(chosen) + i) for i in range(len(found)))]
            chosen += found
    return arguments, chosen


def _parse_fields(
    experiment: Experiment, start: Any, arguments: list[str], chosen: list[Convolution]
) -> tuple[Options, Any]:
    """Options and configuration by tyro; a convolution stands there as its index in `chosen`."""
    registry = tyro.constructors.ConstructorRegistry()

    @registry.primitive_rule
    def _(info: tyro.constructors.PrimitiveTypeInfo):
        if info.type is not Convolution:
            return None
        return tyro.constructors.PrimitiveConstructorSpec(
            nargs=1,
            metavar="NAME|MODULE:CLASS",
            instance_from_str=lambda texts: chosen[int(texts[0])],
            is_instance=lambda value: isinstance(value, Convolution),
            str_from_instance=lambda convolution: [str(convolution)],
        )

    unnamed = tyro.conf.arg(name="")  # --seeds, not --config.seeds
    return tyro.cli(
        tuple[Annotated[Options, unnamed], Annotated[experiment.config_class, unnamed]],
        prog=f"launch.py {experiment.name}",
        description=experiment.explanation(),
        args=arguments,
        default=(Options(), tyro.MISSING_NONPROP if start is None else start),
        registry=registry,
    )


def _value_of(option: str, arguments: list[str]) -> str | None:
    for text, following in itertools.pairwise([*arguments, "--"]):
        if text == option and not following.startswith("--"):
            return following
        if text.startswith(f"{option}="):
            return text.removeprefix(f"{option}=")
    return None

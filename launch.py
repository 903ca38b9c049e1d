"""The one door: lists the experiments, explains one, runs one; prepares data sets.

Arguments are read before jax is imported, so that help is instant and `--devices` can be obeyed.
"""

import ast
import contextlib
import dataclasses
import importlib.util
import re
import sys
import types
from collections.abc import Generator
from pathlib import Path
from typing import Annotated, Any

import tyro

from cnnjax import process
from cnnjax.layers.choice import (
    Convolution,
    convolution_options,
    convolutions,
    perhaps_you_meant,
    read_options,
    resolve,
)
from cnnjax.report import configuration
from cnnjax.report.record import Record, run_directory

EXPERIMENTS = Path(__file__).resolve().parent / "experiments"


@dataclasses.dataclass(frozen=True)
class Options:
    """What every run can be told, beside the fields of its configuration."""

    workdir: str | None = None
    """Directory of the run; without it runs/NAME/PRESET-HASH, by the hash of the configuration."""
    resume: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Continue the unfinished run that is there; begin if there is none."""
    overwrite: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False
    """Replace the run that is there."""
    config: str | None = None
    """Configuration to start from instead of a preset: the config.json of a run."""
    devices: int | None = None
    """Number of virtual CPU devices to run on; without it one. Accelerators are all used anyway."""

    def __post_init__(self):
        if self.devices is not None and self.devices < 1:
            raise ValueError(f"--devices is {self.devices}, and must be 1 or more.")


def main(arguments: list[str] | None = None, folder: Path = EXPERIMENTS) -> int:
    """Do what the command line says; returns the exit code, 0, or 130 if interrupted.

    Args:
      arguments: the command line after `launch.py`; None takes the one of this process.
      folder: where the experiments are.

    Raises:
      SystemExit: 2, wrong input, explained on stderr; 0, help was printed; 130, a run interrupted.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not arguments or arguments[0] in ("-h", "--help"):
            print(overview(folder))
        elif arguments[0] == "prepare":
            prepare(arguments[1:])
        else:
            run(arguments[0], arguments[1:], folder)
    except KeyboardInterrupt:
        print("launch.py: Interrupted.", file=sys.stderr)
        return 130
    return 0


def overview(folder: Path) -> str:
    """The experiments with their questions, found without importing them, and the commands."""
    files = experiment_files(folder)
    width = max((len(path.stem) for path in files), default=0)
    listing = "\n".join(f"  {path.stem:{width}}  {_question(path)}" for path in files)
    return (
        "python launch.py NAME [PRESET] [--field value ...]   run an experiment\n"
        "python launch.py NAME [PRESET] --help                its presets and fields\n"
        "python launch.py prepare DATASET [--data-dir DIR]    download and prepare a data set\n\n"
        f"Experiments:\n{listing or f'  none in {folder}'}"
    )


def experiment_files(folder: Path) -> list[Path]:
    """The experiments: every Python file of the folder whose name does not begin with `_`."""
    return [path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]


def prepare(arguments: list[str]) -> None:
    """Prepare a data set and print where it is."""

    @dataclasses.dataclass(frozen=True)
    class Prepare:
        name: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATASET")]
        """Name of the data set, such as mnist."""
        data_dir: str | None = None
        """Where data sets are kept; without it TFDS_DATA_DIR, or else the folder of TFDS."""

    asked = tyro.cli(
        Prepare,
        args=arguments,
        prog="launch.py prepare",
        description="Download and prepare a data set, unless it is there.",
    )
    with _one_sentence(ValueError, OSError):
        from cnnjax.data import datasets

        print(datasets.prepare(asked.name, asked.data_dir))


def run(name: str, arguments: list[str], folder: Path) -> None:
    """Run the experiment of this name as the arguments after it say."""
    with _one_sentence(ValueError):
        path = _experiment_file(name, folder)
    experiment = _imported(path)
    with _one_sentence(ValueError, FileNotFoundError, FileExistsError):
        preset, options, config = parse(experiment, arguments)
        process.configure(options.devices)
        for convolution in convolutions(config):
            resolve(convolution)
        record = Record.open(
            options.workdir
            or run_directory(path.stem, preset, configuration.configuration_hash(config)),
            config,
            resume=options.resume,
            overwrite=options.overwrite,
            command=["python", "launch.py", name, *arguments],
            source=folder,
        )
    if record.finished:
        print(f"This run is finished: {record.directory}")
        return
    print(f"{'Continuing' if record.resumed else 'Running'} in {record.directory}", flush=True)
    try:
        with _one_sentence(FileNotFoundError, FileExistsError, configuration.InputError):
            experiment.run(config, record)
    except BaseException as error:
        way_on = "" if record.discard() else f"; --resume continues {record.directory}"
        if not isinstance(error, KeyboardInterrupt):
            raise
        print(f"\nlaunch.py: Interrupted{way_on}.", file=sys.stderr)
        raise SystemExit(130) from None
    record.finish()
    print(record.report if record.report.exists() else record.directory)


def parse(experiment: types.ModuleType, arguments: list[str]) -> tuple[str, Options, Any]:
    """Preset, options and configuration that the arguments after an experiment's name ask for.

    Raises:
      ValueError: unknown preset, convolution options out of place, a value that the configuration
        refuses, or a configuration file that is not of this experiment.
      FileNotFoundError: there is no such configuration file.
      SystemExit: tyro explained the fields (code 0), or refused a name or value (code 2).
    """
    name = experiment.__name__.rpartition(".")[2]
    config_class, presets = experiment.Config, _presets(experiment)
    preset, file = "default", _value_of("--config", arguments)
    if arguments and not arguments[0].startswith("-"):
        preset, arguments = arguments[0], arguments[1:]
        if preset not in presets:
            raise ValueError(
                f"The experiment {name!r} has no preset {preset!r}"
                f"{perhaps_you_meant(preset, presets)}: there are {', '.join(presets)}."
            )
        if file is not None:
            raise ValueError(f"Give either the preset {preset!r} or --config {file}, not both.")
    default = presets[preset]
    if file is not None:
        preset, default = "config", configuration.load(file, config_class, default)
    fields = {field.name for field in dataclasses.fields(config_class)}
    if taken := fields & {field.name for field in dataclasses.fields(Options)}:
        raise ValueError(
            f"Rename the field {taken.pop()!r} of Config: it is an option of every run."
        )
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
    options, config = _parse_fields(
        config_class, default, arguments, f"launch.py {name} [PRESET]", _help(experiment), chosen
    )
    return preset, options, config


def _parse_fields(
    config_class: Any,
    default: Any,
    arguments: list[str],
    program: str,
    description: str,
    chosen: list[Convolution],
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
        tuple[Annotated[Options, unnamed], Annotated[config_class, unnamed]],
        args=arguments,
        default=(Options(), default),
        prog=program,
        description=description,
        registry=registry,
    )


def _help(experiment: types.ModuleType) -> str:
    presets = _presets(experiment)
    lines = []
    for name, config in presets.items():
        changed = ", ".join(configuration.differences(presets["default"], config))
        lines.append(f"  {name:{max(map(len, presets))}}  {changed and f'sets {changed}'}".rstrip())
    return f"{(experiment.__doc__ or '').strip()}\n\nPresets:\n" + "\n".join(lines)


def _presets(experiment: types.ModuleType) -> dict[str, Any]:
    return {"default": experiment.Config(), **experiment.PRESETS}


def _question(path: Path) -> str:
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        return f"(line {error.lineno} of {path.name} is not Python)"
    return docstring.splitlines()[0] if docstring else "(no docstring)"


def _experiment_file(name: str, folder: Path) -> Path:
    files = {path.stem: path for path in experiment_files(folder)}
    if name not in files:
        raise ValueError(
            f"There is no experiment {name!r}{perhaps_you_meant(name, [*files, 'prepare'])}: "
            f"{folder} holds {', '.join(files) or 'none'}."
        )
    return files[name]


def _imported(path: Path) -> types.ModuleType:
    """The experiment, imported; its dataclasses need it among the modules."""
    name = f"{path.parent.name}.{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def _value_of(option: str, arguments: list[str]) -> str | None:
    for index, text in enumerate(arguments):
        if text == option:
            return "".join(arguments[index + 1 : index + 2])
        if text.startswith(f"{option}="):
            return text.removeprefix(f"{option}=")
    return None


@contextlib.contextmanager
def _one_sentence(*errors: type[Exception]) -> Generator[None]:
    """Turn these errors into one sentence on stderr and exit code 2."""
    try:
        yield
    except errors as error:
        of_system = isinstance(error, OSError) and error.errno is not None
        said = f"{error.strerror}: {error.filename}." if of_system else " ".join(str(error).split())
        print(f"launch.py: {said}", file=sys.stderr)
        raise SystemExit(2) from None


if __name__ == "__main__":
    sys.exit(main())

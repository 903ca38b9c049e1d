"""The experiments of a folder: found without being imported, then imported one at a time."""

import ast
import dataclasses
import importlib.util
import inspect
import sys
import traceback
import types
import typing
from pathlib import Path
from typing import Any

import tyro

from cnnjax.run.config import differences, perhaps_you_meant

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
LOOKS = "looks"
"""The subfolder of commands that look at layers and networks and never train."""

COMMANDS = ("prepare", "check", "compare")


@dataclasses.dataclass(frozen=True)
class Experiment:
    """An experiment, imported."""

    name: str
    """The file's, without `.py`."""
    module: types.ModuleType
    """What the file defines: Config, run, and perhaps PRESETS and sweep."""
    folder: Path
    """Where the file is."""

    @property
    def config_class(self) -> Any:
        """The frozen dataclass of its configurations."""
        return self.module.Config

    @property
    def presets(self) -> dict[str, Any]:
        """Configurations by name; `default` is missing while a field that has no default is."""
        presets = getattr(self.module, "PRESETS", {})
        for field in dataclasses.fields(self.config_class):
            if field.default is field.default_factory is dataclasses.MISSING:
                return dict(presets)
        return {"default": self.config_class(), **presets}

    @property
    def named_field(self) -> str | None:
        """The field whose value stands without its name: `launch.py architecture VGG16`."""
        hints = typing.get_type_hints(self.config_class, include_extras=True)
        for field in dataclasses.fields(self.config_class):
            if tyro.conf.Positional in getattr(hints[field.name], "__metadata__", ()):
                return field.name
        return None

    @property
    def replaces_earlier_run(self) -> bool:
        """Whether a run replaces the one before in its directory: a command that never trains."""
        return self.folder.name == LOOKS

    @property
    def entry_point(self) -> str:
        """The program that runs it, as one types it here."""
        root = self.folder.parent if self.folder.name == LOOKS else self.folder
        path = root.parent / "launch.py"
        return "launch.py" if path.parent == Path.cwd() else str(path)

    def explanation(self) -> str:
        """Its docstring, and what each preset changes."""
        presets = self.presets
        lines = []
        for name, config in presets.items():
            changed = ", ".join(differences(presets.get("default", config), config))
            lines.append(f"  {name:{max(map(len, presets))}}  {changed and f'sets {changed}'}")
        listing = "\n".join(line.rstrip() for line in lines)
        return f"{(self.module.__doc__ or '').strip()}\n\nPresets:\n{listing}"


def import_experiment(name: str, folder: Path) -> Experiment:
    """The experiment of this name in the folder.

    Raises:
      ValueError: there is none, or its file does not define one.
    """
    files = {path.stem: path for path in experiment_files(folder)}
    if name not in files:
        raise ValueError(
            f"There is no experiment {name!r}{perhaps_you_meant(name, [*files, *COMMANDS])}: "
            f"{folder} holds {', '.join(files) or 'none'}."
        )
    module = _imported(files[name])
    _require_experiment(module, files[name])
    return Experiment(name, module, files[name].parent)


def overview(folder: Path) -> str:
    """The experiments with their questions, found without importing them, and the commands."""
    files = experiment_files(folder)
    width = max((len(path.stem) for path in files), default=0)

    def listing(title: str, looks: bool) -> str:
        lines = [
            f"  {path.stem:{width}}  {question(path)}"
            for path in files
            if (path.parent.name == LOOKS) == looks
        ]
        return "\n".join(["", f"{title}:", *lines]) if lines else ""

    return (
        "python launch.py NAME [PRESET] [--field value ...]   run an experiment\n"
        "python launch.py NAME [PRESET] --help                its presets and fields\n"
        "python launch.py NAME [PRESET] --sweep [--dry-run]   run every point of its sweep\n"
        "python launch.py compare RUN_DIR ...                 runs in one table and figure\n"
        "python launch.py check MODULE:CLASS                  what a convolution must satisfy\n"
        "python launch.py prepare DATASET [--data-dir DIR]    download and prepare a data set\n"
        + (listing("Experiments", False) or f"\nExperiments:\n  none in {folder}")
        + f"\n{listing('Looks at layers and networks, without training', True)}".rstrip()
    )


def experiment_files(folder: Path) -> list[Path]:
    """The experiments: Python files of the folder and its `looks`, but those named `_...`."""
    found = [*sorted(folder.glob("*.py")), *sorted((folder / LOOKS).glob("*.py"))]
    return [path for path in found if not path.stem.startswith("_")]


def question(path: Path) -> str:
    """The first line of an experiment's docstring."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        return f"(line {error.lineno} of {path.name} is not Python)"
    return docstring.splitlines()[0] if docstring else "(no docstring)"


def _require_experiment(module: types.ModuleType, path: Path) -> None:
    config = getattr(module, "Config", None)
    if not (isinstance(config, type) and dataclasses.is_dataclass(config)):
        raise ValueError(f"{path} must define Config, a frozen dataclass, got {config!r}.")
    run = getattr(module, "run", None)
    if not callable(run) or len(inspect.signature(run).parameters) != 2:
        raise ValueError(f"{path} must define run(config, record), got {run!r}.")
    for name, preset in getattr(module, "PRESETS", {}).items():
        if not isinstance(preset, config):
            raise ValueError(f"PRESETS of {path} must hold Configs, got {preset!r} for {name!r}.")


def _imported(path: Path) -> types.ModuleType:
    """The experiment, imported; its dataclasses need it among the modules."""
    parts = path.with_suffix("").parts
    name = ".".join(parts[-3:] if path.parent.name == LOOKS else parts[-2:])
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        raise ValueError(
            f"{path} does not import: {type(error).__name__}: {error} "
            f"({Path(where.filename).name}, line {where.lineno})."
        ) from error
    return module

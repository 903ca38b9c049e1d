"""The experiments of a folder: found without being imported, then imported one at a time."""

import ast
import dataclasses
import importlib.util
import sys
import types
import typing
from pathlib import Path
from typing import Any

import tyro

from cnnjax.run.config import differences, perhaps_you_meant

EXPERIMENTS = Path(__file__).resolve().parents[2] / "experiments"
COMMANDS = ("prepare", "check", "compare")


@dataclasses.dataclass(frozen=True)
class Study:
    """An experiment, imported."""

    name: str
    """The file's, without `.py`."""
    module: types.ModuleType
    """What the file defines: Config, PRESETS, run, and perhaps sweep and OVERWRITE."""
    folder: Path
    """Where the file is."""

    @property
    def config_class(self) -> Any:
        """The frozen dataclass of its configurations."""
        return self.module.Config

    @property
    def presets(self) -> dict[str, Any]:
        """Configurations by name; `default` is missing while a field that has no default is."""
        if any(_is_required(field) for field in dataclasses.fields(self.config_class)):
            return dict(self.module.PRESETS)
        return {"default": self.config_class(), **self.module.PRESETS}

    @property
    def named_field(self) -> str | None:
        """The field whose value stands without its name: `launch.py architecture VGG16`."""
        hints = typing.get_type_hints(self.config_class, include_extras=True)
        for field in dataclasses.fields(self.config_class):
            if tyro.conf.Positional in getattr(hints[field.name], "__metadata__", ()):
                return field.name
        return None

    @property
    def is_look(self) -> bool:
        """Whether each of its runs replaces the one before in its directory."""
        return getattr(self.module, "OVERWRITE", False)

    @property
    def door(self) -> str:
        """The program that runs it, as one types it here."""
        path = self.folder.parent / "launch.py"
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


def import_study(name: str, folder: Path) -> Study:
    """The experiment of this name in the folder; a ValueError if there is none."""
    files = {path.stem: path for path in experiment_files(folder)}
    if name not in files:
        raise ValueError(
            f"There is no experiment {name!r}{perhaps_you_meant(name, [*files, *COMMANDS])}: "
            f"{folder} holds {', '.join(files) or 'none'}."
        )
    return Study(name, _imported(files[name]), folder)


def overview(folder: Path) -> str:
    """The experiments with their questions, found without importing them, and the commands."""
    files = experiment_files(folder)
    width = max((len(path.stem) for path in files), default=0)
    listing = "\n".join(f"  {path.stem:{width}}  {question(path)}" for path in files)
    return (
        "python launch.py NAME [PRESET] [--field value ...]   run an experiment\n"
        "python launch.py NAME [PRESET] --help                its presets and fields\n"
        "python launch.py NAME [PRESET] --sweep [--dry-run]   run every point of its sweep\n"
        "python launch.py compare RUN_DIR ...                 runs in one table and figure\n"
        "python launch.py check MODULE:CLASS                  what a convolution must satisfy\n"
        "python launch.py prepare DATASET [--data-dir DIR]    download and prepare a data set\n\n"
        f"Experiments:\n{listing or f'  none in {folder}'}"
    )


def experiment_files(folder: Path) -> list[Path]:
    """The experiments: every Python file of the folder whose name does not begin with `_`."""
    return [path for path in sorted(folder.glob("*.py")) if not path.stem.startswith("_")]


def question(path: Path) -> str:
    """The first line of an experiment's docstring."""
    try:
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    except SyntaxError as error:
        return f"(line {error.lineno} of {path.name} is not Python)"
    return docstring.splitlines()[0] if docstring else "(no docstring)"


def _is_required(field: dataclasses.Field) -> bool:
    return field.default is field.default_factory is dataclasses.MISSING


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

"""Configurations in files: JSON, as runs write them, or YAML."""

import re
from pathlib import Path
from typing import Any

import yaml

from cnnjax.run.config import InputError, from_json, read_json


def load(file: str | Path, config_class: type, default: Any = None) -> Any:
    """The configuration in a JSON file, such as the `config.json` of a run, or in a YAML file.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: the file is no JSON or YAML, or not of this class.
    """
    file = Path(file)
    if not file.is_file():
        raise FileNotFoundError(f"There is no configuration file {file}.")
    read = read_yaml if file.suffix in (".yaml", ".yml") else read_json
    return from_json(config_class, read(file), str(file), default)


class _Loader(yaml.SafeLoader):
    """Numbers as Python and YAML 1.2 write them: 1e-3, too, which YAML 1.1 takes for text."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"),
    list("-+.0123456789"),
)


def read_yaml(file: Path) -> Any:
    """The value in a YAML file; an InputError that names the file if it is none."""
    try:
        return yaml.load(file.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not YAML: {' '.join(str(error).split())}.") from error

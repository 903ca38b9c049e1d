"""The public names of cnnjax, read from its sources without importing them.

A package lists the names that it exports under `if TYPE_CHECKING:` in its `__init__.py`; of a
module every class and function without a leading underscore is public.
"""

import ast
import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

PACKAGES = ("ops", "layers", "models", "symmetry", "inspect", "tasks", "report", "testing")
"""Packages of cnnjax that export names."""


@dataclass(frozen=True)
class PublicName:
    """A class, function or constant, and where it is defined."""

    place: str
    """What it is imported from: `cnnjax.layers`."""
    name: str
    """`Conv`."""
    module: str
    """The module that defines it: `cnnjax.layers.conv`."""
    kind: str
    """'class', 'function' or 'data'."""
    docstring: str
    """Its docstring; '' where it has none."""
    value: str = ""
    """Source of the value of a constant, or of the bases of a class."""

    @property
    def full(self) -> str:
        """`cnnjax.layers.Conv`."""
        return f"{self.place}.{self.name}"


def source_of(module: str) -> Path:
    """The file of a module or package."""
    path = ROOT / module.replace(".", "/")
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def docstring_of(module: str) -> str:
    """The docstring of a module or package."""
    return ast.get_docstring(ast.parse(source_of(module).read_text("utf-8"))) or ""


def names_of(place: str) -> list[PublicName]:
    """The names that a package exports, in its order, or those of a module.

    Raises:
      ValueError: a package that exports none.
    """
    path = source_of(place)
    tree = ast.parse(path.read_text("utf-8"))
    if path.name != "__init__.py":
        defined = _definitions(place)
        return [_public(place, name, place) for name in defined if not name.startswith("_")]
    exported = [
        (str(statement.module), alias.name)
        for block in tree.body
        if isinstance(block, ast.If)
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    ]
    if not exported:
        raise ValueError(f"`place` must export names or be a module, got {place!r}.")
    own = [(place, name) for name in _exported_here(tree)]
    return [_public(place, name, module) for module, name in [*exported, *own]]


def _exported_here(tree: ast.Module) -> Iterator[str]:
    """Names that the package itself defines: `lazy_exports(__name__, "VARIANTS")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "lazy_exports":
            yield from (str(ast.literal_eval(argument)) for argument in node.args[1:])


def _public(place: str, name: str, module: str) -> PublicName:
    kind, docstring, value = _definitions(module)[name]
    return PublicName(place, name, module, kind, docstring, value)


@functools.cache
def _definitions(module: str) -> dict[str, tuple[str, str, str]]:
    """By name what a module defines: kind, docstring, and source of the value or of the bases."""
    body = ast.parse(source_of(module).read_text("utf-8")).body
    found = {}
    for statement, following in itertools.pairwise([*body, None]):
        match statement:
            case ast.ClassDef(name=name, bases=bases):
                text = ast.get_docstring(statement) or ""
                found[name] = ("class", text, ", ".join(map(ast.unparse, bases)))
            case ast.FunctionDef(name=name):
                found[name] = ("function", ast.get_docstring(statement) or "", "")
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = ("data", _text(following), ast.unparse(value))
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for each, value in zip(names, values, strict=True):
                    found[ast.unparse(each)] = ("data", _text(following), ast.unparse(value))
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value:
                found[name] = ("data", _text(following), ast.unparse(value))
    return found


def _text(statement: ast.stmt | None) -> str:
    """The string that stands under a constant and documents it."""
    match statement:
        case ast.Expr(value=ast.Constant(value=str(text))):
            return text
    return ""

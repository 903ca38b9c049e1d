"""The API reference: tables made of docstrings, and a description of every public name.

A line `.. reference:: cnnjax.layers` of a page stands for everything about a package or module. It
is replaced when the page is read, so that the reference is never older than the sources.
"""

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import docstrings
import public_names
from public_names import PublicName

DIRECTIVE = re.compile(r"(?m)^\.\. reference:: (.+)$")
HIDDEN_FIELDS = {"parent", "name"}
"""Fields that Flax gives every module."""

_ALL = {
    name.full: name
    for package in public_names.PACKAGES
    for name in public_names.names_of(f"cnnjax.{package}")
}


def reference(place: str) -> str:
    """Everything about a package or module, in reStructuredText."""
    names = public_names.names_of(place)
    exported = place.removeprefix("cnnjax.") in public_names.PACKAGES
    if not exported:
        names = [name for name in names if name.docstring]
    link = linker(place)
    text = re.sub(r"Names are loaded when first used[^.]*\.", "", public_names.docstring_of(place))
    intro = docstrings.to_rst(text, link)
    lines = [*intro, f".. py:module:: {place}", "", *table(names)]
    by_module = {}
    for name in names:
        by_module.setdefault(name.module, []).append(name)
    for module, some in by_module.items():
        if exported and module != place:
            title = module.rpartition(".")[2].replace("_", " ").capitalize()
            what = docstrings.parse(public_names.docstring_of(module)).summary
            lines += [title, "-" * len(title), "", docstrings.inline(what, link), ""]
        for name in some:
            lines += [*description(name), ""]
    return "\n".join(lines)


def table(names: Sequence[PublicName]) -> list[str]:
    """A row for each name: what it is, its formula, its symmetry and its source, if any has one."""
    parsed = {name: docstrings.parse(name.docstring) for name in names}
    labels = [
        label for label in ("Symmetry", "Source") if any(p.label(label) for p in parsed.values())
    ]
    widths = {0: "100", 1: "75 25", 2: "56 21 23"}[len(labels)]
    lines = [
        ".. list-table::",
        "    :class: api",
        "    :header-rows: 1",
        f"    :widths: {widths}",
        "",
        "    * - Name and what it is",
        *(f"      - {label}" for label in labels),
    ]
    for name, parts in parsed.items():
        link = linker(name.place)
        cell = [f":py:obj:`{name.name} <{name.full}>`", ""]
        cell += [docstrings.inline(parts.summary, link), ""]
        if parts.formula:
            cell += [*docstrings.literal(parts.formula), ""]
        if name.kind == "data" and len(name.value) < 60:
            cell += [f"``{name.value}``", ""]
        lines += _cell("    * - ", cell)
        for label in labels:
            lines += _cell("      - ", [docstrings.inline(parts.label(label), link)])
    return [*lines, ""]


def description(name: PublicName) -> list[str]:
    """The directive that describes a name in full."""
    if name.kind == "function":
        return [f".. autofunction:: {name.full}"]
    if name.kind == "class":
        return [
            f".. autoclass:: {name.full}",
            "    :members:",
            "    :special-members: __call__",
            "    :member-order: bysource",
            "    :exclude-members: replace",
            *(["    :show-inheritance:"] if name.value else []),
        ]
    value = [f"    :value: {name.value}"] if len(name.value) < 60 else []
    text = docstrings.to_rst(name.docstring, linker(name.place))
    place = f"    :module: {name.place}"
    return [
        f".. py:data:: {name.name}",
        place,
        *value,
        "",
        *(f"    {line}".rstrip() for line in text),
    ]


def linker(place: str, *hidden: str) -> docstrings.Link:
    """From code to the public name that it means, seen from a package; hidden ones mean none."""
    package = ".".join(place.split(".")[:2])

    def link(code: str) -> str | None:
        for full in (code, f"cnnjax.{code}", f"{package}.{code}"):
            if code not in hidden and full in _ALL:
                return full
        return None

    return link


def _cell(start: str, lines: Sequence[str]) -> list[str]:
    """A cell of a list-table."""
    indent = " " * len(start)
    first, *others = lines
    return [f"{start}{first}".rstrip(), *(f"{indent}{line}".rstrip() for line in others)]


def expand(app: Any, docname: str, source: list[str]) -> None:
    """Replace the lines of a page that stand for a package or module."""

    def everything(found: re.Match[str]) -> str:
        modules = {found[1], *(name.module for name in public_names.names_of(found[1]))}
        for file in (Path(__file__), *map(public_names.source_of, modules)):
            app.env.note_dependency(str(file))
        return reference(found[1])

    source[0] = DIRECTIVE.sub(everything, source[0])


def process_docstring(
    app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Write a docstring of cnnjax as reStructuredText."""
    del app, what, options
    place = ".".join(name.split(".")[:2])
    try:
        hidden = tuple(inspect.signature(obj).parameters)
    except (TypeError, ValueError):
        hidden = ()
    lines[:] = docstrings.to_rst("\n".join(lines), linker(place, *hidden))


def process_signature(
    app: Any, what: str, name: str, obj: Any, options: Any, signature: str, returns: str
) -> tuple[str, str] | None:
    """Show the fields of a dataclass or Flax module with their defaults as the source has them."""
    del app, name, options, signature, returns
    if what != "class" or not dataclasses.is_dataclass(obj):
        return None
    defaults = dict(_defaults(obj))
    shown = [
        f"{field.name}={defaults[field.name]}" if field.name in defaults else field.name
        for field in dataclasses.fields(obj)
        if field.init and field.name not in HIDDEN_FIELDS
    ]
    return f"({', '.join(shown)})", ""


def _defaults(cls: type) -> Iterator[tuple[str, str]]:
    """Names of fields and the sources of their defaults, the class's own last."""
    for base in reversed(cls.__mro__):
        if not base.__module__.startswith("cnnjax."):
            continue
        tree = ast.parse(public_names.source_of(base.__module__).read_text("utf-8"))
        for statement in tree.body:
            if isinstance(statement, ast.ClassDef) and statement.name == base.__name__:
                for field in statement.body:
                    match field:
                        case ast.AnnAssign(target=ast.Name(id=name), value=value) if value:
                            yield name, ast.unparse(value)


def setup(app: Any) -> dict[str, bool]:
    """Connect to Sphinx."""
    app.connect("source-read", expand)
    app.connect("autodoc-process-docstring", process_docstring)
    app.connect("autodoc-process-signature", process_signature)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

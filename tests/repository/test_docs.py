"""The documentation: every public name in the reference, every docstring taken apart as written."""

import ast
import importlib
import re
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
sys.path.append(str(DOCS / "_extensions"))

import docstrings
import public_names
import reference

PAGES = {path.stem: path.read_text("utf-8") for path in (DOCS / "reference").glob("*.rst")}
PLACES = {place for page in PAGES.values() for place in reference.DIRECTIVE.findall(page)}


@pytest.mark.fast
@pytest.mark.parametrize("package", public_names.PACKAGES)
def test_every_public_name_is_in_a_table_and_described(package):
    place = f"cnnjax.{package}"
    assert place in PLACES
    names = importlib.import_module(place).__all__
    text = reference.reference(place)
    listed = re.findall(rf"(?m)^    \* - :py:obj:`(\w+) <{place}\.\1>`$", text)
    assert sorted(listed) == sorted(names)
    described = re.findall(rf"(?m)^\.\. auto(?:class|function):: {place}\.(\w+)$", text)
    described += re.findall(rf"(?m)^\.\. py:data:: (\w+)\n    :module: {place}$", text)
    assert sorted(described) == sorted(names)


@pytest.mark.fast
def test_every_package_that_exports_names_has_a_page():
    exporting = {
        path.parent.name
        for path in (DOCS.parent / "cnnjax").glob("*/__init__.py")
        if "__all__" in path.read_text("utf-8")
    }
    assert exporting == set(public_names.PACKAGES)
    (index,) = re.findall(
        r"(?ms)^:caption: API reference\n(.*?)^```", (DOCS / "index.md").read_text()
    )
    assert set(re.findall(r"reference/(\w+)", index)) == set(PAGES)


@pytest.mark.fast
@pytest.mark.parametrize("place", sorted(PLACES))
def test_every_place_of_the_reference_has_names(place):
    names = public_names.names_of(place)
    assert names
    module = importlib.import_module(place)
    for name in names:
        assert getattr(module, name.name) is not None
        assert name.kind == "data" or name.docstring, f"{name.full} has no docstring"


@pytest.mark.fast
def test_a_row_has_formula_symmetry_and_source():
    rows = reference.reference("cnnjax.layers").split("    * - ")
    (row,) = [row for row in rows if row.startswith(":py:obj:`Conv <")]
    what, symmetry, source, *_ = row.split("\n      - ")
    assert "Standard convolution: one kernel for all positions" in what
    assert "            z[p, o] = bias[o]\n" in what
    assert symmetry == "Under circular padding: every shift by ``strides``."
    assert source.startswith("Goodfellow, Bengio, Courville, Deep Learning, 2016")


DOCSTRING = """Sum of `a` and `b`, as `conv`s in the
field: 2 * 3 and f_ are text.

    z = a + b
          + |c|

Shapes are those of `a`.
Symmetry under circular padding: every
shift. Source: Nobody, 1999.

Args:
  a, b: numbers, of which
    two are needed.

Raises:
  ValueError: `a` is missing.
"""


@pytest.mark.fast
def test_a_docstring_is_taken_apart():
    parts = docstrings.parse(DOCSTRING)
    assert parts.summary == "Sum of `a` and `b`, as `conv`s in the field: 2 * 3 and f_ are text."
    assert parts.formula == ["z = a + b", "      + |c|"]
    assert parts.body[1:] == ["Shapes are those of `a`."]
    assert parts.label("Symmetry") == "Under circular padding: every shift."
    assert parts.label("Source") == "Nobody, 1999."
    assert parts.sections == {
        "Arguments": [("a, b", "numbers, of which two are needed.")],
        "Raises": [("ValueError", "`a` is missing.")],
    }


@pytest.mark.fast
def test_a_docstring_is_written_as_restructured_text():
    lines = docstrings.to_rst(DOCSTRING, {"conv": "cnnjax.ops.conv"}.get)
    assert lines[0] == (
        r"Sum of ``a`` and ``b``, as :py:obj:`conv <cnnjax.ops.conv>`\ s in the field: "
        r"2 \* 3 and f\_ are text."
    )
    assert lines[2:6] == [".. code-block:: text", "", "    z = a + b", "          + |c|"]
    assert "**Symmetry under circular padding:** every shift." in lines
    assert lines[lines.index("``a``, ``b``") + 1] == "    numbers, of which two are needed."


@pytest.mark.fast
def test_code_links_to_the_public_name_it_means():
    link = reference.linker("cnnjax.layers", "strides", "Conv")
    assert link("TiledConv") == "cnnjax.layers.TiledConv"
    assert link("ops.conv") == link("cnnjax.ops.conv") == "cnnjax.ops.conv"
    assert link("conv") is link("Conv") is link("x") is None


@pytest.mark.fast
@pytest.mark.parametrize("name", ["first_look", "audit"])
def test_notebooks_are_programs_that_import_what_is_there(name):
    text = (DOCS / "notebooks" / f"{name}.md").read_text("utf-8")
    cells = re.findall(r"(?ms)^```\{code-cell\} ipython3\n(?:---\n.*?^---\n)?(.*?)^```", text)
    assert len(cells) >= 5
    for node in ast.walk(ast.parse("\n".join(cells))):
        if isinstance(node, ast.ImportFrom) and str(node.module).startswith("cnnjax"):
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                assert hasattr(module, alias.name) or importlib.import_module(full)


@pytest.mark.fast
def test_constraints_are_versions_and_nothing_else():
    lines = (DOCS.parent / "constraints.txt").read_text("utf-8").splitlines()
    pinned = [line for line in lines if not line.startswith("#")]
    assert {"jax", "flax", "optax"} <= {line.partition("==")[0] for line in pinned}
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line) for line in pinned)


@pytest.mark.fast
def test_workflow_and_local_integration_build_the_same():
    """Both run the tests by one script, and build the site with warnings as errors."""
    root = DOCS.parent
    workflow = (root / ".github" / "workflows" / "ci.yml").read_text("utf-8")
    script = (root / ".ci" / "run").read_text("utf-8")
    assert "- run: bash .ci/run\n" in workflow
    for text in (workflow, script):
        (command,) = re.findall(r"-m sphinx (.*) -b html docs ", text)
        assert "-W" in command.split()

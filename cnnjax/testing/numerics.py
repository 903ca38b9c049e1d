"""Properties of a layer's values and derivatives: each a function from the layer to whether it
holds, and a message."""

import contextlib
import functools
import logging
from collections.abc import Generator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from cnnjax.inspect import affine_error, check_gradients
from cnnjax.symmetry import EXACT
from cnnjax.testing.subject import Subject, drawn_once

HALF_PRECISION = 0.03
"""Largest relative error of sums of products in bfloat16: 8 times its rounding unit 2^-8."""


def dtypes(subject: Subject) -> tuple[bool, str]:
    """float32 is preserved; `dtype` sets the type of the output, `param_dtype` of the
    parameters."""
    layer, parameters, x = subject.case()
    z = subject.compiled(parameters, x)
    wrong, said = [], []
    if z.dtype != jnp.float32:
        wrong.append(f"float32 gives {z.dtype}")
    made = layer
    if hasattr(layer, "param_dtype"):
        made = subject.layer(subject.usual, param_dtype=jnp.bfloat16)
        if any(leaf.dtype != jnp.bfloat16 for leaf in _drawn(made, x)):
            wrong.append("param_dtype=bfloat16 is not that of all parameters")
    half = jax.tree.map(lambda leaf: np.asarray(leaf).astype(jnp.bfloat16), (parameters, x))
    outputs = {"bfloat16 input and parameters": jax.jit(made.apply)(*half)}
    if hasattr(layer, "dtype"):
        made = subject.layer(subject.usual, dtype=jnp.bfloat16)
        outputs["dtype=bfloat16"] = jax.jit(made.apply)(parameters, x)
        if any(leaf.dtype != jnp.float32 for leaf in _drawn(made, x)):
            wrong.append("dtype=bfloat16 changes the parameters' type")
    for name, output in outputs.items():
        error = _error(np.asarray(output).astype(np.float32), z)
        if output.dtype != jnp.bfloat16 or not error <= HALF_PRECISION:
            wrong.append(f"{name} gives {output.dtype}, off by {error:.2g}")
        said.append(f"{name} off by {error:.1e}")
    lacks = [name for name in ("dtype", "param_dtype") if not hasattr(layer, name)]
    said += [f"has no argument {name}" for name in lacks]
    return not wrong, "; ".join(wrong or ["float32 gives float32", *said])


def transforms(subject: Subject) -> tuple[bool, str]:
    """jit and vmap change nothing, forward and reverse mode agree, as do float32 and float64, and
    every parameter has a gradient.

    <v, J u> = <J^T v, u> for random u and v.
    """
    layer, parameters, x = subject.case()
    z = np.asarray(layer.apply(parameters, x))
    jitted = _error(subject.compiled(parameters, x), z)
    tangent = jax.tree.map(
        lambda leaf: np.sin(np.arange(1.0, 1 + leaf.size), dtype=leaf.dtype).reshape(leaf.shape),
        (parameters, x),
    )
    cotangent = np.random.default_rng(3).normal(size=z.shape).astype(z.dtype)

    def pulled_back(parameters, x, cotangent):
        return jax.vjp(layer.apply, parameters, x)[1](cotangent)

    @jax.jit
    def transformed(parameters, x, reversed_x, tangent, cotangent):
        stacked = jax.vmap(layer.apply, (None, 0))(parameters, jnp.stack([x, reversed_x]))
        moved = jax.jvp(layer.apply, (parameters, x), tangent)[1]
        return stacked, moved, pulled_back(parameters, x, cotangent)

    stacked, moved, gradients = transformed(parameters, x, np.asarray(x)[::-1], tangent, cotangent)
    mapped = _error(stacked, np.stack([z, z[::-1]]))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: np.asarray(leaf, float), (parameters, x))
        dtype = jax.eval_shape(layer.apply, *wide).dtype
        exact = jax.jit(pulled_back)(*wide, cotangent.astype(dtype))
        rounded = max(map(_error, jax.tree.leaves(gradients), jax.tree.leaves(exact)))
    products = jax.tree.map(np.vdot, gradients, tangent)
    forward = np.vdot(cotangent, moved)
    size = np.linalg.norm(cotangent) * np.linalg.norm(np.ravel(moved))
    adjoint = float(abs(forward - sum(jax.tree.leaves(products))) / size)
    still = [
        jax.tree_util.keystr(path)
        for path, leaf in jax.tree_util.tree_leaves_with_path(gradients)
        if _is_trained(path) and not np.any(np.abs(leaf) > 0)
    ]
    found = (
        f"values: jit off by {jitted:.1e}, vmap {mapped:.1e}; derivatives: forward against reverse "
        f"{adjoint:.1e}, float32 against float64 {rounded:.1e}"
    )
    if still:
        found += f"; no gradient at all for {', '.join(still)} (parameters are [0], x is [1])"
    # One by one: the maximum of NaN and a number is either.
    within = all(error <= EXACT for error in (jitted, mapped, adjoint, rounded))
    return within and not still, found


def examples(subject: Subject) -> tuple[bool, str]:
    """Examples of a batch do not interact."""
    _, parameters, x = subject.case()
    apply = functools.partial(subject.compiled, parameters)
    x = np.asarray(x)
    together = np.asarray(apply(x))
    if not np.all(np.isfinite(together)):
        return False, "the output is not finite"
    alone = _error(apply(x[:1]), together[:1])
    others = _error(apply(np.concatenate([x[:1], 2 * x[1:] + 1]))[:1], together[:1])
    found = f"alone off by {alone:.1e}, among others {others:.1e}"
    return alone <= EXACT and others <= EXACT, found


def gradients(subject: Subject) -> tuple[bool, str]:
    """Derivatives by input and parameters agree with finite differences.

    With strides and zero padding, too.
    """
    axes = subject.usual
    cases = {(1, subject.padding): 3, (2, subject.padding): 1, (1, "SAME"): 1}
    found = {}
    for (strides, padding), directions in cases.items():
        if subject.refusal(axes, strides, padding) is None:
            layer, parameters, x = subject.case(2, axes, strides, padding)
            name = f"{padding} strides {strides}"
            found[name] = check_gradients(layer.apply, parameters, x, directions=directions)
    passed = all(checked.passed for checked in found.values())
    name, checked = max(
        found.items(), key=lambda item: (not item[1].passed, max(item[1].errors.values()))
    )
    worst = max(checked.errors, key=lambda path: checked.errors[path])
    said = (
        f"off by at most {checked.errors[worst]:.1e} from finite differences in {checked.dtype} "
        f"(allowed {checked.tolerance:.0e}), for {worst} (parameters are [0], x is [1]) with {name}"
    )
    if checked.dtype == "float32":
        said += "; its values are rounded to float32, whatever the type of x"
    return passed, said


def linearity(subject: Subject) -> tuple[bool, str]:
    """The layer is affine in its input, or claims `is_linear = False`.

    `use_bias=False` removes a parameter.
    """
    layer, parameters, x = subject.case()
    error = affine_error(functools.partial(subject.compiled, parameters), x.shape[1:])
    claim = getattr(layer, "is_linear", None)
    measured = error <= EXACT
    if not np.isfinite(error):
        return False, "the output is not finite"
    kind = "affine: its own explicit matrix and offset" if measured else "not affine"
    said = {None: "claims nothing", True: "claims to be affine", False: "claims not to be"}[claim]
    found = f"{kind}, off by {error:.1e} of the output; {said}"
    if measured and getattr(layer, "use_bias", None) is True:
        plain = subject.layer(subject.usual, use_bias=False)
        if len(_drawn(layer, x)) <= len(_drawn(plain, x)):
            return False, f"{found}; use_bias=False takes no bias away"
    return claim in (None, measured), found


def compilation(subject: Subject) -> tuple[bool, str]:
    """A second call with other values of the same shapes compiles nothing, jitted or not."""
    layer, parameters, x = subject.case()
    others = jax.tree.map(
        lambda leaf: jnp.asarray(2 * np.asarray(leaf) + 1, leaf.dtype), (parameters, x)
    )
    compiled = {}
    for name, apply in {"jitted": subject.compiled, "not jitted": layer.apply}.items():
        apply(parameters, x)
        with _compilations() as compilations:
            apply(*others)
        compiled[name] = len(compilations)
    found = ", ".join(f"{count} {name}" for name, count in compiled.items())
    return not any(compiled.values()), f"compilations of a second call: {found}"


def determinism(subject: Subject) -> tuple[bool, str]:
    """Equal keys give equal parameters, different keys different ones; equal calls equal
    outputs."""
    layer, _, x = subject.case()
    draw = drawn_once(layer.init)
    first, other = (draw(jax.random.key(seed), x) for seed in (0, 1))
    # Traced anew, for a layer may also draw where jax does not see it.
    again = drawn_once(functools.partial(layer.init))(jax.random.key(0), x)
    wrong = []
    if not _identical(first, again):
        wrong.append("one key gives two sets of parameters")
    if jax.tree.leaves(first) and _identical(first, other):
        wrong.append("two keys give the same parameters")
    if not _identical(layer.apply(first, x), layer.apply(first, x)):
        wrong.append("two equal calls give different outputs")
    return not wrong, "; ".join(wrong) or "equal keys and calls give equal bits, other keys others"


def _is_trained(path: Any) -> bool:
    """Whether a leaf of (variables, x) is a parameter or x, rather than a state of the layer."""
    (position, *names) = (getattr(key, "idx", getattr(key, "key", None)) for key in path)
    return position == 1 or names[:1] == ["params"]


def _drawn(layer: Any, x: jax.Array) -> list[Any]:
    """Shapes and types of the parameters that a layer draws."""
    drawn = jax.eval_shape(layer.init, jax.random.key(0), x)
    return jax.tree.leaves(drawn.get("params", {}))


def _error(actual: Any, expected: Any) -> float:
    """Error relative to the norm of the expected values."""
    difference = np.linalg.norm(np.ravel(np.asarray(actual) - np.asarray(expected)))
    return float(difference / np.linalg.norm(np.ravel(expected))) if difference else 0.0


def _identical(one: Any, other: Any) -> bool:
    return jax.tree.all(jax.tree.map(lambda a, b: np.array_equal(a, b, equal_nan=True), one, other))


@contextlib.contextmanager
def _compilations() -> Generator[list[str]]:
    """Log messages of compilations by jax in this context."""
    compiled: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if record.getMessage().startswith("Compiling "):
                compiled.append(record.getMessage())

    logger, handler = logging.getLogger("jax"), Handler()
    propagated, others = logger.propagate, logger.handlers
    logger.propagate, logger.handlers = False, list[logging.Handler]([handler])
    try:
        with jax.log_compiles(True):
            yield compiled
    finally:
        logger.propagate, logger.handlers = propagated, others

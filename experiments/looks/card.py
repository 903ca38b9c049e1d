"""What does this convolution layer connect and share, what symmetry does it have, and what does it cost?

The layer is measured from outside: its explicit linear map and which of its entries are one weight,
drawn as a connection diagram; receptive field, lattice of exact translations, initial variance, and
gradients against finite differences; its time beside that of the standard layer and the limits of
the machine.

    python launch.py card --conv tiled --conv.tile 2     under a minute, 2 CPU cores
    python launch.py card --conv my_module:MyConv        a convolution of your own
    python launch.py card smoke --conv local             a smaller layer, timed less often

Expected: the map of a standard layer of kernel size 3 has 3 different entries, that of a tiled one
of tile 2 has 6, that of a local one as many as connections; the measured lattice is the predicted
one.

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.2 and figure 9.16 (diagrams);
Luo, Li, Urtasun, Zemel, Understanding the effective receptive field in deep convolutional neural
networks, 2016.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from cnnjax.models.choice import Convolution
from cnnjax.run.config import CheckedConfig, InputError, Positive, Seed
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.record import Record

with lazy_imports():
    import inspect as python_inspect

    import flax.linen as nn
    import jax
    import jax.numpy as jnp
    import matplotlib.figure
    import numpy as np

    from cnnjax import inspect, layers, ops, report, symmetry, tasks, testing
    from cnnjax.report.figures import connections as drawn

CHECKS = ("initial variance", "gradients")


@dataclasses.dataclass(frozen=True)
class Config(CheckedConfig):
    """Which layer, and on what it is measured."""

    conv: Convolution = Convolution("standard")
    """Convolution by name or import path: --conv tiled --conv.tile 2."""
    size: Positive = 16
    """Height and width of the images in pixels."""
    channels: Positive = 16
    """Channels of the images."""
    features: Positive = 32
    """Channels of the output."""
    kernel_size: Positive = 3
    """Height and width of the kernel."""
    strides: Positive = 1
    """Stride on each axis."""
    padding: str = "CIRCULAR"
    """Padding of the images; the connection diagrams have zero padding."""
    units: Positive = 7
    """Input units of the connection diagrams."""
    batch_size: Positive = 64
    """Images in a timed call."""
    rounds: Positive = 15
    """Timed calls of each function."""
    seed: Seed = 0
    """Seed of parameters and noise."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("features", "kernel_size", "strides", "padding"):
            if name in self.conv.arguments:
                raise ValueError(
                    f"arguments of conv must not include {name!r}, for which there is "
                    f"--{name.replace('_', '-')}, got {self.conv}."
                )

    def layer(self, constructor: Callable, axes: int = 2, **changed: Any) -> nn.Module:
        """The layer for so many spatial axes, made by the constructor of a convolution."""
        arguments = {
            "features": self.features,
            "kernel_size": (self.kernel_size,) * axes,
            "strides": (self.strides,) * axes,
            "padding": self.padding,
        }
        return constructor(**{**arguments, **changed})


PRESETS = {"smoke": Config(size=8, channels=4, features=8, batch_size=8, rounds=3)}


def run(config: Config, record: Record) -> None:
    """Measure the layer; write results and page."""
    constructor = config.conv.layer()
    shape = (2, config.size, config.size, config.channels)
    image = jax.random.normal(jax.random.key(config.seed), shape)
    with tasks.taking_images(str(config.conv), shape[1:]):
        layer = config.layer(constructor)
        z, _ = jax.jit(layer.init_with_output)(jax.random.key(config.seed), image)
    if not isinstance(z, jax.Array) or not jnp.all(jnp.isfinite(z)):
        found = "numbers that are not finite" if isinstance(z, jax.Array) else type(z).__name__
        raise InputError(
            f"output of {config.conv} must be an array of finite numbers, got {found}."
        )
    subject = testing.Subject(constructor, kernel_size=config.kernel_size, seed=config.seed)
    checks = {}
    for name in CHECKS:
        passed, words = testing.PROPERTIES[name](subject)
        measured_on = f"{subject.channels} to {subject.features} channels, {subject.padding}"
        checks[name] = {"passed": passed, "found": f"{words}; measured on {measured_on}"}
    results = {
        "label": str(config.conv),
        "conv": config.conv.name,
        "class": getattr(constructor.func, "__name__", str(constructor.func)),
        "description": _description(constructor.func),
        "config": dataclasses.asdict(config),
        **checks,
        "connections": connections(config, constructor),
        **on_images(config, layer),
    }
    page(record.results(results), record.timings(times(config, constructor)), record)


def connections(config: Config, constructor: Callable) -> dict[str, Any]:
    """Explicit map of the layer in one dimension, from one channel to one channel."""
    patterns = {}
    shape = (config.units, 1)
    for border in ("SAME", "CIRCULAR"):
        layer: Any = config.layer(constructor, 1, features=1, padding=border)
        try:
            params = jax.jit(layer.init)(jax.random.key(config.seed), jnp.zeros((1, *shape)))
        except Exception as error:  # whatever a layer raises that takes images only
            return {"not_defined": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        error = inspect.affine_error(functools.partial(jax.jit(layer.apply), params), shape)
        if error > 1e-4:
            return {"not_affine": error}
        patterns[border] = inspect.sharing_pattern(
            lambda x, params, layer=layer: layer.apply(params, x), params, shape
        )
    labels = patterns["SAME"]
    return {
        "labels": labels,
        "circular_labels": patterns["CIRCULAR"],
        "rule": inspect.sharing_rule(patterns["CIRCULAR"], config.strides),
        "weights": int(labels.max() + 1),
        "edges": int(np.sum(labels >= 0)),
    }


def on_images(config: Config, layer: nn.Module) -> dict[str, Any]:
    """Cost, receptive field and lattice of exact translations of the layer on images."""
    image = jax.ShapeDtypeStruct((1, config.size, config.size, config.channels), np.float32)
    noise = np.random.default_rng(config.seed).normal(size=(2, *image.shape[1:]))
    noise = noise.astype(np.float32)
    params = jax.jit(layer.init)(jax.random.key(config.seed), noise)

    def outputs(x: Any, params: Any = params) -> Any:
        return layer.apply(params, x)

    field = inspect.receptive_field(outputs, image.shape[1:])
    errors = symmetry.errors_over_shifts(outputs, noise, params)
    dilation = getattr(layer, "kernel_dilation", 1)
    dilation = dilation if isinstance(dilation, int) else dilation[0]
    size, _ = ops.receptive_field([(config.kernel_size, config.strides, dilation)])
    return {
        "input": image.shape[1:],
        "output": jax.eval_shape(layer.apply, params, image).shape[1:],
        "parameters": inspect.parameter_count(params),
        "multiply_adds": inspect.multiply_adds(layer.apply, params, image),
        "bytes_moved": inspect.bytes_moved(layer.apply, params, image),
        "arithmetic_intensity": inspect.arithmetic_intensity(layer.apply, params, image),
        "receptive_field": {
            "position": field.position,
            "sizes": field.sizes,
            "effective_size": field.effective_size,
            "by_arithmetic": size,
            "map": field.squared_gradient,
        },
        "lattice": {
            "predicted": getattr(layer, "predicted_lattice", lambda space: None)(image.shape[1:-1]),
            "measured": symmetry.lattice_of_errors(errors),
            "errors": errors,
        },
    }


def times(config: Config, constructor: Callable) -> dict[str, Any]:
    """Seconds forward, and forward and backward, beside the standard layer and the limits."""
    shape = (config.batch_size, config.size, config.size, config.channels)
    x = jnp.asarray(np.random.default_rng(config.seed).normal(size=shape), jnp.float32)
    calls, least = {}, {}
    limits = inspect.machine_limits()
    for name, made in {"layer": constructor, "standard": layers.Conv}.items():
        layer = config.layer(made)
        params = jax.jit(layer.init)(jax.random.key(config.seed), x)

        def loss(params, x, layer=layer):
            return jnp.sum(jnp.square(jnp.asarray(layer.apply(params, x))))

        for kind, function in {
            "forward": layer.apply,
            "forward and backward": jax.grad(loss, (0, 1)),
        }.items():
            calls[f"{name} {kind}"] = functools.partial(jax.jit(function), params, x)
            cost = (
                inspect.multiply_adds(function, params, x),
                inspect.bytes_moved(function, params, x),
            )
            least[f"{name} {kind}"] = limits.least_seconds(*cost)
    seconds = inspect.interleaved_seconds(calls, rounds=config.rounds)
    return {
        "device": jax.devices()[0].device_kind,
        "multiply_adds_per_second": limits.multiply_adds_per_second,
        "bytes_per_second": limits.bytes_per_second,
        "median": {name: each["median"] for name, each in seconds.items()},
        "limit": least,
    }


def page(results: Mapping[str, Any], timings: Mapping[str, Any], record: Record) -> None:
    """Write the page."""
    field, lattice = results["receptive_field"], results["lattice"]
    step = (lattice["predicted"] or lattice["measured"])[1]
    errors = {"untrained layer": np.array(lattice["errors"])[0]}
    conv = results["conv"] if ":" in results["conv"] else results["class"]
    report.write_page(
        record,
        __doc__,
        [
            summary(results, timings["median"]),
            report.Heading("Layer"),
            report.Code(f"{conv}\n\n{results['description']}"),
            *connection_blocks(results["connections"]),
            report.Heading("Measurements"),
            measurement_table(results),
            # Sentences, too long for a cell.
            *(f"{name.capitalize()}: {_found(results[name])}." for name in CHECKS),
            report.Figure(
                "receptive_field",
                report.styled(receptive_field_map)(np.array(field["map"]), field["position"]),
                "Receptive field of one output position in the middle: root mean squared gradient "
                "over noise and channels. White: no dependence.",
            ),
            report.Heading("Translations"),
            report.Figure(
                "error_against_shift",
                report.error_against_shift(
                    [report.ShiftPanel(results["label"], errors, step)],
                    exact=symmetry.EXACT,
                    independent=symmetry.INDEPENDENT,
                    columns=1,
                ),
                "Equivariance error against horizontal circular shift of the input. Triangles: the "
                "predicted lattice, or the measured one where none is predicted; dots on the zero "
                "line: shifts without error.",
            ),
            report.Heading("Time"),
            time_table(timings, results["config"]),
        ],
    )


def summary(results: Mapping[str, Any], median: Mapping[str, float]) -> str:
    """Cost, exact translations, time and failed checks, in a sentence."""
    lattice = results["lattice"]
    ratio = median["layer forward and backward"] / median["standard forward and backward"]
    if lattice["predicted"] is None:
        prediction = ", which the layer does not predict"
    elif lattice["predicted"] == lattice["measured"]:
        prediction = ", as predicted"
    else:
        prediction = f", not by {_steps(lattice['predicted'])} as predicted"
    failed = [name for name in CHECKS if not results[name]["passed"]]
    return (
        f"{results['label']}: {report.format_count(results['parameters'])} parameters, "
        f"{report.format_count(results['multiply_adds'])} multiply-adds for an image; equivariant "
        f"to shifts by {_steps(lattice['measured'])}{prediction}; forward and backward take "
        f"{ratio:.2f} times the standard layer's time."
        + (f" Failed checks: {' and '.join(failed)}." if failed else "")
    )


def connection_blocks(found: Mapping[str, Any]) -> list[Any]:
    """Diagram and matrix of the connections, or why there are none."""
    if "not_defined" in found:
        return [
            "There is no connection diagram: the layer does not take one axis of one channel "
            f"({found['not_defined']})."
        ]
    if "not_affine" in found:
        error = report.format_number(found["not_affine"], 2)
        return [
            "There is no matrix: the layer is not affine in its input; its relative distance from "
            f"the affine map with the same values at zero and the unit vectors is {error}."
        ]
    labels = np.array(found["labels"])
    return [
        f"Measured on {labels.shape[1]} units in one dimension and one channel: "
        f"{found['weights']} different entries on {found['edges']} connections. Kernels that the "
        "output positions p = 0, 1, 2, ... use, with circular padding:",
        report.Code(f"rule(p) = {' '.join(map(str, found['rule']))}"),
        report.Figure(
            "connections",
            drawn.connection_diagram(labels),
            "Inputs below, outputs above, zero padding. Lines of one colour are one weight: "
            "entries of the matrix that are the same function of the parameters.",
        ),
        report.Figure(
            "sharing",
            drawn.sharing_matrix(labels),
            "The same connections as a matrix: a row for each output, a column for each input.",
        ),
    ]


def measurement_table(results: Mapping[str, Any]) -> report.Table:
    """Shapes, cost, receptive field and lattice."""
    lattice, field = results["lattice"], results["receptive_field"]
    rows = {
        "input": " x ".join(map(str, results["input"])),
        "output": " x ".join(map(str, results["output"])),
        "parameters": f"{results['parameters']:,}",
        "multiply-adds for an image": f"{results['multiply_adds']:,}",
        "bytes read and written, at least": f"{results['bytes_moved']:,}",
        "multiply-adds per byte": report.format_number(results["arithmetic_intensity"]),
        "receptive field, by gradient": _steps(field["sizes"]),
        "receptive field, by arithmetic": " x ".join([str(field["by_arithmetic"])] * 2),
        "receptive field, effective size": report.format_number(field["effective_size"]),
        "exact translations, predicted": _steps(lattice["predicted"]),
        "exact translations, measured": _steps(lattice["measured"]),
    }
    return report.Table(["", results["label"]], list(rows.items()))


def time_table(found: Mapping[str, Any], config: Mapping[str, Any]) -> report.Table:
    """Times of the layer, of the standard layer, and the limit of the machine."""
    rows = []
    for kind in ("forward", "forward and backward"):
        layer, standard = (found["median"][f"{name} {kind}"] for name in ("layer", "standard"))
        limit = found["limit"][f"layer {kind}"]
        numbers = [1e3 * layer, 1e3 * standard, layer / standard, 1e3 * limit]
        share = report.format_number(100 * limit / layer, 2)
        rows.append([kind, *map(report.format_number, numbers), share])
    return report.Table(
        ["", "layer (ms)", "standard (ms)", "ratio", "limit (ms)", "limit / layer (%)"],
        rows,
        caption=f"Medians of {config['rounds']} interleaved calls with {config['batch_size']} "
        f"images on {found['device']}. The limit is the larger of the time of the multiply-adds at "
        f"{report.format_count(found['multiply_adds_per_second'])}/s (a matrix product) and of the "
        f"bytes at {report.format_count(found['bytes_per_second'])}B/s (a sum), both measured just "
        "before.",
    )


def receptive_field_map(gradient: np.ndarray, position: Sequence[int]) -> matplotlib.figure.Figure:
    """Root mean squared gradient of one output by each input position of an image."""
    figure = matplotlib.figure.Figure(figsize=(report.SINGLE_COLUMN, 2.7))
    axes = figure.subplots()
    image = axes.imshow(np.sqrt(gradient / gradient.max()), cmap="Greys", vmin=0, vmax=1)
    figure.colorbar(image, ax=axes).set_label("gradient, relative to the largest")
    axes.set_title(f"output position {tuple(position)}", loc="left")
    axes.set_xlabel("input column")
    axes.set_ylabel("input row")
    return figure


def _description(module: Any) -> str:
    """Docstring of a class, not the signature that dataclasses put in place of a missing one."""
    found = python_inspect.getdoc(module) or ""
    return "" if found.startswith(f"{module.__name__}(") else found


def _found(check: Mapping[str, Any]) -> str:
    return check["found"] if check["passed"] else f"FAILED: {check['found']}"


def _steps(steps: Sequence[int] | None) -> str:
    return "not predicted" if steps is None else " x ".join(map(str, steps))

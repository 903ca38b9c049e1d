"""What is this convolution: what does it connect and share, what symmetry has it, what does it cost?

One layer, measured from outside: its explicit linear map and which of its entries are one weight,
drawn as a connection diagram; receptive field, lattice of exact translations, initial variance,
gradients against finite differences; and its time beside the standard layer's and the machine's
limits.

    python launch.py card --conv tiled --conv.tile 2     under a minute, 2 CPU cores
    python launch.py card --conv my_module:MyConv        a convolution of your own
    python launch.py card smoke --conv local             smaller, and timed less

Expected: a standard layer of 3 taps has 3 different entries in its map, a tiled one of tile 2 has
6, a local one as many as connections; the measured lattice is the predicted one.
"""

import dataclasses
from typing import Any

from cnnjax.models.choice import Convolution

OVERWRITE = True


@dataclasses.dataclass(frozen=True)
class Config:
    """Which layer, and on what it is measured."""

    conv: Convolution = Convolution("standard")
    """The convolution, by name or import path: --conv tiled --conv.tile 2."""
    size: int = 16
    """Side of the images in pixels."""
    channels: int = 16
    """Channels of the images."""
    features: int = 32
    """Channels of the output."""
    kernel_size: int = 3
    """Taps of the window on each axis."""
    strides: int = 1
    """Input positions from one output position to the next, on each axis."""
    padding: str = "CIRCULAR"
    """Of the images; the connection diagrams have zero padding, as in books."""
    units: int = 7
    """Input units of the connection diagrams."""
    batch_size: int = 64
    """Images in a timed call."""
    rounds: int = 15
    """Timed calls of each function."""
    seed: int = 0
    """Of parameters and noise."""

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and field.name != "seed" and value < 1:
                raise ValueError(f"{field.name} must be at least 1, got {value}.")
        taken = {"features", "kernel_size", "strides", "padding"} & set(self.conv.arguments)
        if taken:
            name = taken.pop()
            raise ValueError(f"Give --{name.replace('_', '-')} in place of --conv.{name}.")


PRESETS = {"smoke": Config(size=8, channels=4, features=8, batch_size=8, rounds=3)}


def run(config: Config, record: Any) -> None:
    """Measure the layer, and write results and card."""
    import jax
    import jax.numpy as jnp
    from cnnjax.study.refused import taking_images

    from cnnjax.report.card import write_report
    from cnnjax.run.config import InputError
    from cnnjax.testing import PROPERTIES, Subject

    constructor = config.conv.layer()
    shape = (2, config.size, config.size, config.channels)
    image = jax.random.normal(jax.random.key(config.seed), shape)
    with taking_images(str(config.conv), shape[1:]):
        layer = _layer(config, constructor)
        z, _ = jax.jit(layer.init_with_output)(jax.random.key(config.seed), image)
    if not isinstance(z, jax.Array) or not jnp.all(jnp.isfinite(z)):
        what = "numbers that are not finite" if isinstance(z, jax.Array) else type(z).__name__
        raise InputError(f"{config.conv} makes {what} of images, where an array was expected.")
    subject = Subject(constructor, kernel_size=config.kernel_size, seed=config.seed)
    found = {}
    measured_on = f"{subject.channels} to {subject.features} channels, {subject.padding}"
    for name in ("initial variance", "gradients"):
        passed, words = PROPERTIES[name](subject)
        found[name] = {"passed": passed, "found": f"{words}; measured on {measured_on}"}
    results = {
        "label": str(config.conv),
        "conv": config.conv.name,
        "class": getattr(constructor.func, "__name__", str(constructor.func)),
        "description": _description(constructor.func),
        "config": dataclasses.asdict(config),
        **found,
        "connections": _connections(config, constructor),
        **_network_view(config, constructor),
        "times": _times(config, constructor),
    }
    write_report(record.results(results), record)


def _description(module: Any) -> str:
    """Its docstring, but for the signature that dataclasses put in the place of a missing one."""
    import inspect

    found = inspect.getdoc(module) or ""
    return "" if found.startswith(f"{module.__name__}(") else found


def _layer(config: Config, constructor: Any, axes: int = 2, **changed: Any) -> Any:
    arguments = {
        "features": config.features,
        "kernel_size": (config.kernel_size,) * axes,
        "strides": (config.strides,) * axes,
        "padding": config.padding,
    }
    return constructor(**{**arguments, **changed})


def _connections(config: Config, constructor: Any) -> dict[str, Any]:
    """The explicit map of the layer in one dimension, one channel to one channel."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from cnnjax.inspect import affine_error, sharing_pattern

    patterns = {}
    for border in ("SAME", "CIRCULAR"):
        layer = _layer(config, constructor, 1, features=1, padding=border)
        shape = (config.units, 1)
        try:
            params = jax.jit(layer.init)(jax.random.key(config.seed), jnp.zeros((1, *shape)))
        except Exception as error:
            return {"refused": f"{type(error).__name__}: {str(error).splitlines()[0]}"}
        apply = jax.jit(layer.apply)
        error = affine_error(lambda x, apply=apply, params=params: apply(params, x), shape)
        if error > 1e-4:
            return {"not_affine": error}
        patterns[border] = sharing_pattern(
            lambda x, params, layer=layer: layer.apply(params, x), params, shape
        )
    # Each row as seen from its own position: equal ones are one kernel, tap by tap.
    rows = [
        tuple(np.roll(row, -position * config.strides))
        for position, row in enumerate(patterns["CIRCULAR"])
    ]
    kernels = [sorted(set(rows), key=rows.index).index(row) for row in rows]
    labels = patterns["SAME"]
    return {
        "labels": labels,
        "circular_labels": patterns["CIRCULAR"],
        "rule": kernels,
        "weights": int(labels.max() + 1),
        "edges": int(np.sum(labels >= 0)),
    }


def _network_view(config: Config, constructor: Any) -> dict[str, Any]:
    """Cost, receptive field and lattice of the layer on images."""
    import jax
    import numpy as np

    from cnnjax import inspect, ops
    from cnnjax.symmetry import errors_over_shifts, lattice_of_errors

    layer = _layer(config, constructor)
    image = jax.ShapeDtypeStruct((1, config.size, config.size, config.channels), np.float32)
    key = jax.random.key(config.seed)
    noise = np.random.default_rng(config.seed).normal(size=(2, *image.shape[1:]))
    noise = noise.astype(np.float32)
    params = jax.jit(layer.init)(key, noise)
    field = inspect.receptive_field(lambda x: layer.apply(params, x), image.shape[1:])
    errors = errors_over_shifts(lambda x, params: layer.apply(params, x), noise, params)
    dilation = getattr(layer, "kernel_dilation", 1)
    dilation = dilation if isinstance(dilation, int) else dilation[0]
    size, _ = ops.receptive_field([(config.kernel_size, config.strides, dilation)])
    space = image.shape[1:-1]
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
            "of_the_window": size,
            "map": field.squared_gradient,
        },
        "lattice": {
            "predicted": getattr(layer, "predicted_lattice", lambda space: None)(space),
            "measured": lattice_of_errors(errors),
            "errors": errors,
        },
    }


def _times(config: Config, constructor: Any) -> dict[str, Any]:
    """Seconds forward, and forward and backward, beside the standard layer and the limits."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from cnnjax.inspect import bytes_moved, interleaved_seconds, machine_limits, multiply_adds
    from cnnjax.layers import Conv

    shape = (config.batch_size, config.size, config.size, config.channels)
    x = jnp.asarray(np.random.default_rng(config.seed).normal(size=shape), jnp.float32)
    calls, least = {}, {}
    limits = machine_limits()
    for name, made in {"layer": constructor, "standard": Conv}.items():
        layer = _layer(config, made)
        params = jax.jit(layer.init)(jax.random.key(config.seed), x)

        def loss(params, x, layer=layer):
            return jnp.sum(layer.apply(params, x) ** 2)

        for kind, function in {
            "forward": layer.apply,
            "forward and backward": jax.grad(loss, (0, 1)),
        }.items():
            compiled = jax.jit(function)
            calls[f"{name} {kind}"] = lambda run=compiled, params=params: run(params, x)
            cost = multiply_adds(function, params, x), bytes_moved(function, params, x)
            least[f"{name} {kind}"] = limits.least_seconds(*cost)
    seconds = interleaved_seconds(calls, rounds=config.rounds)
    return {
        "device": jax.devices()[0].device_kind,
        "multiply_adds_per_second": limits.multiply_adds_per_second,
        "bytes_per_second": limits.bytes_per_second,
        "median": {name: times["median"] for name, times in seconds.items()},
        "limit": least,
    }

"""The process of one competitor: it prepares what it is told to, and takes a turn when it is told to.

A request is a line of JSON on standard input, its answer one on standard output. What is printed
otherwise goes to standard error.
"""

from __future__ import annotations

import dataclasses
import functools
import importlib.metadata
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from cnnjax import inspect
from cnnjax.run.lazy import lazy_imports
from experiments.competitors import layers

with lazy_imports():
    import torch  # ty: ignore[import-not-found]

    from experiments.competitors import networks

LAYERS = {
    "cnnjax": layers.cnnjax_layers,
    "flax": layers.flax_layers,
    "flax_untuned": layers.flax_layers,
    "keras": layers.keras_layers,
    "torch": layers.torch_layers,
}
PASSES = ("forward", "forward and backward")
PACKAGES = {"cnnjax": "jax", "flax_untuned": "flax"}
"""The package whose version tells that of a competitor, where it has another name."""


class Prepared(Protocol):
    """A layer or network, compiled, with what it needs to be called."""

    def call(self, kind: str, number: int) -> Callable[[], Any]:
        """A function that does one of `PASSES`, or a training, with the inputs of this number, and
        returns when it is done."""

    def described(self) -> dict[str, Any]:
        """For each pass a sketch of its results, and what it costs."""


class JaxLayer:
    """A layer compiled by XLA."""

    def __init__(self, case: Mapping[str, Any], layer: layers.Layer):
        self.layer, self.shapes = layer, _shapes(case)
        self.parameters = tuple(_drawn(self.shapes[1:], 0, 1, scale=0.1))
        self.own = jax.jit(layer.convert)(*self.parameters)
        x = jax.ShapeDtypeStruct(self.shapes[0], np.float32)
        z = jax.eval_shape(layer.function, x, *self.own)
        self.shapes_of_pass = {PASSES[0]: [x.shape], PASSES[1]: [x.shape, z.shape]}
        self.functions = {PASSES[0]: layer.function, PASSES[1]: self._both}
        self.arguments = {PASSES[0]: (x, *self.own), PASSES[1]: (x, z, *self.own)}
        self.programs = {
            name: inspect.compiled_program(function, *self.arguments[name])
            for name, function in self.functions.items()
        }

    def _both(self, x: Any, cotangent: Any, *own: Any) -> tuple:
        z, back = jax.vjp(self.layer.function, x, *own)
        return z, *back(cotangent)

    def call(self, kind: str, number: int) -> Callable[[], Any]:
        inputs = [jax.device_put(each) for each in _drawn(self.shapes_of_pass[kind], 1, number)]
        jax.block_until_ready(inputs)
        program = self.programs[kind].call
        return lambda: jax.block_until_ready(program(*inputs, *self.own))

    def described(self) -> dict[str, Any]:
        found = {}
        for kind, program in self.programs.items():
            z, *gradients = jax.tree.leaves(self.call(kind, 0)())
            if gradients and self.layer.same and self.parameters:
                back = jax.linear_transpose(self.layer.convert, *self.parameters)
                gradients[1:] = back(tuple(gradients[1:]))
            found[kind] = {
                "sketches": [_sketch(each) for each in (z, *gradients)],
                "compile_seconds": program.compile_seconds,
                "temporary_bytes": program.temporary_bytes,
            }
        return found

    def work(self) -> dict[str, Any]:
        """Multiply-adds and least number of bytes of each pass; backward has twice the products."""
        products = inspect.multiply_adds(self.layer.function, *self.arguments[PASSES[0]])
        return {
            kind: {
                "multiply_adds": products * (1 if kind == PASSES[0] else 3),
                "bytes": inspect.bytes_moved(function, *self.arguments[kind]),
            }
            for kind, function in self.functions.items()
        }


class TorchLayer:
    """A layer in PyTorch's eager mode, on the GPU if there is one."""

    def __init__(self, case: Mapping[str, Any], layer: layers.Layer):
        self.layer, self.shapes = layer, _shapes(case)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        drawn = _drawn(self.shapes[1:], 0, 1, scale=0.1)
        self.parameters = [torch.from_numpy(each).requires_grad_() for each in drawn]
        self.converted = layer.convert(*self.parameters)
        self.own = [self._placed(each.detach()).requires_grad_() for each in self.converted]
        with torch.no_grad():
            self.out_shape = tuple(self._of(self.shapes[0], 0, 0).shape)

    def _placed(self, array: Any) -> Any:
        form = torch.channels_last if array.dim() == 4 else torch.contiguous_format
        return array.to(self.device).contiguous(memory_format=form)

    def _of(self, shape: Sequence[int], *numbers: int) -> Any:
        (drawn,) = _drawn([shape], *numbers)
        x = self._placed(torch.from_numpy(drawn).permute(0, 3, 1, 2))
        return self.layer.function(x, *self.own)

    def call(self, kind: str, number: int) -> Callable[[], Any]:
        (batch, features, height, width), x_shape = self.out_shape, self.shapes[0]
        shapes = [x_shape, (batch, height, width, features)][: 1 + PASSES.index(kind)]
        drawn = [torch.from_numpy(each).permute(0, 3, 1, 2) for each in _drawn(shapes, 1, number)]
        x, *cotangents = map(self._placed, drawn)
        x.requires_grad_(bool(cotangents))

        def once() -> list[Any]:
            with torch.set_grad_enabled(bool(cotangents)):
                z = self.layer.function(x, *self.own)
            found = [z]
            if cotangents:
                found += torch.autograd.grad(z, (x, *self.own), cotangents[0])
            if self.device == "cuda":
                torch.cuda.synchronize()
            return found

        return once

    def described(self) -> dict[str, Any]:
        found = {}
        for kind in PASSES:
            volumes = self.call(kind, 0)()
            gradients = [each.cpu() for each in volumes[2:]]
            if gradients:
                gradients = torch.autograd.grad(
                    self.converted, self.parameters, gradients, retain_graph=True
                )
            arrays = [each.detach().cpu().permute(0, 2, 3, 1) for each in volumes[:2]]
            found[kind] = {"sketches": [_sketch(each.numpy()) for each in (*arrays, *gradients)]}
        return found


class Training:
    """A network's training; its result is the change of the parameters."""

    def __init__(self, case: Mapping[str, Any], updates: Callable):
        self.network, self.size = case["layer"], case["batch"]
        start = time.perf_counter()
        self.updates = updates(self.network, self.size)
        before, after = self.updates(networks.batch_of(self.network, self.size, 0))
        self.first_seconds = time.perf_counter() - start
        flat = [
            np.concatenate([np.ravel(leaf) for leaf in jax.tree.leaves(jax.device_get(tree))])
            for tree in (before, after)
        ]
        self.change = flat[1] - flat[0]

    def call(self, kind: str, number: int) -> Callable[[], Any]:
        del kind
        batch = networks.batch_of(self.network, self.size, number)
        return functools.partial(self.updates, batch)

    def described(self) -> dict[str, Any]:
        steps = networks.STEPS.get(self.network, 4)
        found = {"sketches": [_sketch(self.change)], "compile_seconds": self.first_seconds}
        return {"training": {**found, "steps": steps}}


def prepared(competitor: str, case: Mapping[str, Any]) -> Prepared | None:
    """What a competitor has for the case, compiled; None if it has nothing."""
    if case["kind"] == "training":
        updates = {"cnnjax": "cnnjax_updates", "flax": "flax_updates"}.get(competitor.split("_")[0])
        return Training(case, getattr(networks, updates)) if updates else None
    groups = {"depthwise": case["channels"], "grouped": layers.GROUPS}.get(case["layer"], 1)
    layer = LAYERS[competitor](groups).get(case["layer"])
    if layer is None:
        return None
    return (TorchLayer if competitor == "torch" else JaxLayer)(case, layer)


def answers(competitor: str) -> Callable[[Mapping[str, Any]], Any]:
    """What the competitor answers to a request; it keeps the case that was prepared last."""
    now: Prepared | None = None

    def answer(request: Mapping[str, Any]) -> Any:
        nonlocal now
        if "limits" in request:
            return dataclasses.asdict(inspect.machine_limits(**request["limits"]))
        if "version" in request:
            package = PACKAGES.get(competitor, competitor)
            return f"{package} {importlib.metadata.version(package)}"
        if "prepare" in request:
            now = None  # its memory is free before the next one's is taken
            now = prepared(competitor, request["prepare"])
            if now is None:
                return None
            layer = getattr(now, "layer", None)
            work = now.work() if competitor == "cnnjax" and isinstance(now, JaxLayer) else {}
            same = layer is None or layer.same
            return {"passes": now.described(), "work": work, "same": same}
        if now is None:
            raise ValueError("nothing is prepared")
        call = now.call(request["turn"], request["number"])
        call()  # with these inputs
        return dataclasses.asdict(inspect.timed_turn(call, least_seconds=request["seconds"]))

    return answer


def main(competitor: str) -> None:
    """Answer requests until the input ends."""
    sent = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    answer = answers(competitor)
    for line in sys.stdin:
        try:
            found = {"answer": answer(json.loads(line))}
        except Exception as error:  # whatever a library raises belongs to this request
            found = {"error": f"{type(error).__name__}: {str(error).strip().splitlines()[:1]}"}
        print(json.dumps(found), file=sent, flush=True)


def _shapes(case: Mapping[str, Any]) -> list:
    sizes = ("batch", "side", "channels", "features", "kernel")
    return layers.shapes(case["layer"], **{name: case[name] for name in sizes})


def _drawn(shapes: Sequence[Sequence[int]], *seed: int, scale: float = 1.0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [np.float32(scale) * random.standard_normal(shape, np.float32) for shape in shapes]


def _sketch(array: Any) -> dict[str, Any]:
    sketch = dataclasses.asdict(inspect.array_sketch(array))
    if not math.isfinite(sketch["norm"]):
        raise ValueError("a result is not finite")
    return sketch

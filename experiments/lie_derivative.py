"""Which layers of a network lose its symmetry under small translations, rotations, scalings and shears, before and after training?

Networks of three convolutions differ in how they halve the image, in activation, sharing of
kernels, border and residual connections. Before and after training on centred images, the Lie
derivative of the logits is computed exactly, by forward-mode differentiation, and split by layers:

    L(f_n ... f_1) = sum over i of T_i,    T_i = d(f_n ... f_{i+1}) L f_i

Translations are band-limited and circular, the other actions bicubic with zeros around the image.
The change of the logits by a small amount is relative to the root mean square difference between
the logits of two images. What the layers of a kind contribute is <T_kind, L> / |L|^2, which sums to
1 over the kinds and is negative where they take away what others add; the sum of squares over all
layers, sum of |T_i|^2 / |L|^2, is 1 if the terms are orthogonal, more where they cancel each other
and less where they add up. All networks have one learning rate, which is not tuned.

    python launch.py lie_derivative          3 seeds: about 10 minutes, 2 CPU cores
    python launch.py lie_derivative smoke    under a minute

Expected: circular convolutions that share kernels and visit every position contribute nothing under
translations, and alias-free layers lose nothing but rounding: both are theorems, and tests of this
code. Seen, mean of 3 seeds: a translation down / right by a hundredth of the image changes the
logits of trained networks by 8.7 / 5.4 (max), 6.8 / 7.9 (strided), 3.2 / 1.0 (blur), 8.0 / 3.9
(adaptive) and less than 1e-5 (alias-free) percent of the root mean square difference between those
of two images. Minus max: -1.9 +- 2.6 / 2.5 +- 1.2 (strided), -5.6 +- 4.5 / -4.4 +- 1.3 (blur),
-0.7 +- 1.4 / -1.5 +- 0.5 (adaptive). The less accurate change less (max 94.0 %, blur 85.2 %,
average 82.5 %): over all but alias-free r = 0.73 / 0.79. Terms of convolutions are 465 +- 110 /
450 +- 72 % of the change (tiled), 172 +- 57 / 171 +- 48 % (local); other kinds cancel the rest.

Source: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance,
2022; Michaeli, Michaeli, Soudry, Alias-free convnets, 2023 (alias-free layers).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, get_args

from cnnjax.run.config import Distinct, Positive, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax.numpy as jnp
    import matplotlib.figure
    import matplotlib.patches
    import numpy as np

    from cnnjax import layers, models, report, symmetry, tasks

Network = Literal[
    "max", "average", "strided", "blur", "adaptive", "alias_free", "gelu", "tiled", "local", "zero",
    "residual",
]  # fmt: skip
Action = Literal["down", "right", "rotation", "scaling", "shearing"]
NETWORKS: tuple[Network, ...] = get_args(Network)
TRANSLATIONS: tuple[Action, ...] = ("down", "right")
WHEN = ("before", "after")
KINDS = ("convolution", "nonlinearity", "downsampling", "readout")
UNITS = {
    "down": ("translation down by a hundredth of the image", 1.0),
    "right": ("translation right by a hundredth of the image", 1.0),
    "rotation": ("rotation by a degree", 100 * math.pi / 180),
    "scaling": ("enlargement by a hundredth", 1.0),
    "shearing": ("shear by a hundredth", 1.0),
}
"""A small amount of each action, and that amount in percent of the action's unit."""
ROUNDING = 1e-3
"""A derivative relative to the logits, in the action's unit, below which it may be rounding."""


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """Which networks to measure, on what, trained for how long."""

    networks: Distinct[Network] = NETWORKS
    """Standard convolutions with ReLU and a way of halving (max, average, strided, blur, adaptive);
    polynomials and ideal halving (alias_free); GELU and max (gelu); ReLU and max with tiled (by 2)
    or local convolutions, zeros beyond the border (zero), or residual blocks (residual)."""
    actions: Distinct[Action] = ("down", "right", "rotation", "scaling")
    """Translations by the image's size (down, right), rotation by a radian, enlargement by a factor
    of e (scaling), shear by 1 (shearing)."""
    measured_images: Positive = 64
    """Test images on which derivatives are measured."""
    train: TrainConfig = TrainConfig(
        steps=200, batch_size=64, learning_rate=3e-3, warmup_steps=20, log_every=100
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        networks=("max", "alias_free"), actions=("right",), measured_images=8, seeds=(0,),
        train=TrainConfig(steps=10, batch_size=32, learning_rate=3e-3, log_every=5),
    ),
}  # fmt: skip


def run(config: Config, record: Record) -> None:
    """Train every network, and measure its layers before and after."""
    task = tasks.on_canvas(config.data, config.data_dir)
    images = task.place(task.test.read(np.arange(min(config.measured_images, len(task.test))))[0])
    measure = functools.partial(derivatives, actions=config.actions)  # the same for all seeds
    nets = {name: chain_net(name, task.classes) for name in config.networks}
    for cell in record.each(network=config.networks, seed=config.seeds):
        network = task.network(nets[cell["network"]], config.train)
        before = network.compute(measure, network.initial(cell["seed"]).variables, images)
        state = network.train(record, cell)
        after = network.compute(measure, state.variables, images)
        record.observe(
            cell,
            accuracy=network.accuracy(state),
            parameters=network.parameters,
            before=above_rounding(before),
            after=above_rounding(after),
        )
    page(record.observations(), record)


def chain_net(network: Network, classes: int) -> models.ChainNet:
    """The network of this name."""
    variants: dict[str, dict[str, Any]] = {
        "alias_free": {"activation": "polynomial", "downsampling": "ideal"},
        "gelu": {"activation": "gelu"}, "zero": {"border": "zero"}, "residual": {"residual": True},
        "tiled": {"conv": functools.partial(layers.TiledConv, tile=2)},
        "local": {"conv": layers.LocalConv},
    }  # fmt: skip
    return models.ChainNet(classes, **variants.get(network, {"downsampling": network}))


def derivatives(
    model: models.ChainNet, variables: Any, images: Any, *, actions: tuple[Action, ...]
) -> dict[Action, dict[str, Any]]:
    """The Lie derivative of the logits under each action, and the terms of the layers."""
    stages = model.chain(variables["params"])
    functions, kinds = [stage.layer for stage in stages], np.array([each.kind for each in stages])
    # The output of the mean over all positions has no space to transform.
    spatial = 1 + [stage.name for stage in stages].index("mean")
    found, of_kind = {}, jnp.asarray(kinds[None] == np.array(KINDS)[:, None], jnp.float32)
    logits = functools.reduce(lambda x, layer: layer(x), functions, images)
    # Their size relative to their difference from image to image.
    size = symmetry.normalised_invariance_error(jnp.zeros((1, *logits.shape)), logits)[0]
    for action in actions:
        motions = [symmetry.MOTIONS[action]] * spatial
        motions += [symmetry.unchanged] * (len(stages) + 1 - spatial)
        parts = symmetry.lie_decomposition(functions, images, motions, rounding=ROUNDING)
        products = of_kind @ parts.products @ of_kind.T
        found[action] = {
            "change": size * parts.derivative, "derivative": parts.derivative,
            "remainder": parts.remainder, "contribution": dict(zip(KINDS, products.sum(1))),
            "squares": jnp.trace(parts.products), "products": products, "terms": parts.terms,
        }  # fmt: skip
    return found


def above_rounding(measured: dict[Action, dict[str, Any]]) -> dict[Action, dict[str, Any]]:
    """What is measured, without what is relative to a derivative of rounding size."""
    relative = {"contribution", "squares", "products"}
    left_out = {
        a: relative if each["derivative"] < ROUNDING else () for a, each in measured.items()
    }
    return {
        action: {name: value for name, value in each.items() if name not in left_out[action]}
        for action, each in measured.items()
    }


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    actions = record.config["actions"]
    main = [action for action in TRANSLATIONS if action in actions] or actions[:1]
    images = min(record.config["measured_images"], record.task["test_examples"])
    sizes, remainders = (
        np.array([found.column(f"{when}.{a}.{name}") for when in WHEN for a in actions])
        for name in ("derivative", "remainder")
    )
    remainder = remainders[sizes >= ROUNDING].max(initial=0)
    layers_of = {
        network: layer_results(group, main, chain_net(network, record.task["classes"]).stages())
        for network, group in found.groups("network").items()
    }
    results = {"seeds": found.seeds, "observations": found.results(), "measured_images": images}
    record.results(record.task | results | {"layers": layers_of, "largest_remainder": remainder})
    wanted = [("accuracy", 100), *((f"after.{a}.change", UNITS[a][1]) for a in main)]
    listed = []
    for network, group in found.groups("network").items():
        columns = (summarize(group.column(name)) for name, _ in wanted)
        accuracy, *changes = map(report.format_summary, columns, (by for _, by in wanted))
        listed.append(f"{network} {' and '.join(changes)} (accuracy {accuracy} %)")
    amounts = "; ".join(f"{action}: {UNITS[action][0]}" for action in actions)
    report.write_page(
        record,
        __doc__,
        [
            f"{' and '.join(UNITS[action][0] for action in main).capitalize()} change the logits "
            "of trained networks, in percent of the root mean square difference between those of "
            f"two of {images:,} test images: {', '.join(listed)}.",
            report.setting(record, found),
            report.Heading("Layers that lose symmetry"),
            *(
                report.Figure(
                    f"layers_{action}",
                    report.styled(stacked_bars)(found, action),
                    f"{UNITS[action][0].capitalize()}: change of the logits (black), the sum of "
                    "what each kind of layer contributes; left of zero: taken away. Upper bar: "
                    f"before training; lower: after. Means over seeds, {images:,} test images.",
                )
                for action in actions
            ),
            *(
                report.summary_table(
                    found,
                    contributions(found, action),
                    "network",
                    caption=f"After training: accuracy on {record.task['test_examples']:,} test "
                    f"images; {UNITS[action][0]}: contributions of the layers of each kind, and "
                    "the sum of the squared terms of all layers, relative to the squared whole.",
                )
                for action in main
            ),
            report.Heading("Change of the logits"),
            *(
                report.summary_table(
                    found,
                    {"accuracy after training (%)": ("accuracy", 100)}
                    | {a: (f"{when}.{a}.change", UNITS[a][1]) for a in actions},
                    "network",
                    caption=f"{when.capitalize()} training: percent of the difference between the "
                    f"logits of two images, on {images:,} test images. {amounts}.",
                )
                for when in WHEN
            ),
            report.Heading("Layer by layer"),
            report.rows_table(
                [{"network": name, **layer} for name, each in layers_of.items() for layer in each],
                {"network": "network", "layer": "name", "kind": "kind"}
                | {
                    f"{action}, {when} training": (f"{when}.{action}", UNITS[action][1])
                    for action in main
                    for when in WHEN
                },
                f"Sizes of the layers' terms, percent of the logits' size. {amounts}.",
            ),
            "The terms of all layers sum to the derivative; largest relative remainder, in "
            f"float32, of derivatives above rounding: {report.format_number(remainder, 2)}.",
        ],
    )


def contributions(found: Observations, action: Action) -> dict[str, tuple[str, float]]:
    """Columns of what each kind of layer contributes after training, where it is not rounding."""
    columns = {f"{kind} (%)": (f"after.{action}.contribution.{kind}", 100) for kind in KINDS}
    columns = {"accuracy (%)": ("accuracy", 100), **columns}
    columns["sum of squares"] = (f"after.{action}.squares", 1)
    return {head: column for head, column in columns.items() if column[0] in found.numbers}


def layer_results(
    group: Observations, actions: Sequence[Action], stages: list[Any]
) -> list[dict[str, Any]]:
    """Name, kind and summaries of the terms of each layer of one network."""
    names = [f"{when}.{action}" for when in WHEN for action in actions]
    terms = [group.array(f"{name}.terms").T for name in names]
    return [
        {"name": stage.name, "kind": stage.kind, **dict(zip(names, map(summarize, sizes)))}
        for stage, *sizes in zip(stages, *terms, strict=True)
    ]


def stacked_bars(found: Observations, action: Action) -> matplotlib.figure.Figure:
    """Two stacked bars for each network, before and after training: its change, by kind."""
    words, percent = UNITS[action]
    groups = found.groups("network")
    colors = dict(zip(KINDS, (report.BLUE, report.VERMILLION, report.GREEN, report.GREY)))
    figure = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 0.34 * len(groups) + 0.9))
    axes = figure.subplots()
    for line, group in enumerate(groups.values()):
        for when, place, alpha in zip(WHEN, (line - 0.19, line + 0.19), (0.45, 1.0)):
            change, ends = percent * group.column(f"{when}.{action}.change"), [0.0, 0.0]
            for kind, color in colors.items():
                name = f"{when}.{action}.contribution.{kind}"
                if name in group.numbers:
                    part = np.nanmean(change * group.column(name))
                    side = int(part < 0)
                    axes.barh(place, part, 0.34, ends[side], color=color, alpha=alpha, linewidth=0)
                    ends[side] += part
            axes.plot([change.mean()] * 2, [place - 0.17, place + 0.17], color=report.BLACK)
    axes.set_yticks(range(len(groups)), labels=list(groups))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(f"change of the logits (%) by {words}")
    handles = [matplotlib.patches.Patch(color=color, label=kind) for kind, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure

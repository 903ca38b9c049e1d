"""Which layers of a network lose its symmetry under small translations, rotations, scalings and shears, before and after training?

Networks of three convolutions differ in how they halve the image, in their activation and in how
their convolutions share kernels. Before and after training on centred images, the Lie derivative of
the logits under each action is computed exactly, by forward-mode differentiation, and split into
what each layer adds to it:

    L(f_n ... f_1) = sum over i of T_i,    T_i = d(f_n ... f_{i+1}) L f_i

Translations are band-limited and circular, the other actions bicubic with zeros around the image.
All sizes are Euclidean norms over the measured images, relative to that of the logits. A layer's
share is |T_i|^2 / sum over j of |T_j|^2; the coherence |L| / sqrt(sum over i of |T_i|^2) is 1 if
the terms are orthogonal, and less if they cancel each other.

    python launch.py lie_derivative                          3 seeds: about 8 minutes, 2 CPU cores
    python launch.py lie_derivative smoke                    under a minute
    python launch.py lie_derivative --networks max blur alias_free

Expected, after training, under translation to the right: with shared kernels all of the squared
terms lie in nonlinearities and downsampling (max pooling: 16 and 84 %), none in convolutions unless
they stride; tiled convolutions hold 62 %, local ones 70 %, of terms that cancel each other
(coherence 0.22 and 0.50). A translation by a hundredth of the image changes the logits by 6.8 % of
their size with max pooling, 10.6 % with strides, 1.2 % with blur pooling, less than 1e-5 % with
alias-free layers. Directions differ: down by 12.6, 9.0 and 3.8 %, and less than 1e-5 %.

Source: Gruver, Finzi, Goldblum, Wilson, The Lie derivative for measuring learned equivariance,
2022; Michaeli, Michaeli, Soudry, Alias-free convnets, 2023 (alias-free layers).
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterable
from typing import Any, Literal, get_args

from cnnjax.run.config import Distinct, Positive, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import Summary, summarize
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax.numpy as jnp
    import matplotlib.figure
    import matplotlib.patches
    import numpy as np

    from cnnjax import layers, models, report, symmetry, tasks

Network = Literal[
    "max", "average", "strided", "blur", "adaptive", "alias_free", "gelu", "tiled", "local"
]
Action = Literal["down", "right", "rotation", "scaling", "shearing"]
NETWORKS: tuple[Network, ...] = get_args(Network)
ACTIONS: tuple[Action, ...] = get_args(Action)

WHEN = ("before", "after")
KINDS = ("convolution", "nonlinearity", "downsampling", "readout")
UNITS = {
    "down": ("translation down by a hundredth of the image", 1.0),
    "right": ("translation right by a hundredth of the image", 1.0),
    "rotation": ("rotation by a degree", 100 * math.pi / 180),
    "scaling": ("enlargement by a hundredth", 1.0),
    "shearing": ("shear by a hundredth", 1.0),
}
"""For each action a small amount of it, and that amount in percent of the action's unit."""
ROUNDING = 1e-3
"""A derivative relative to the logits, in the action's unit, below which it may be rounding."""


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """Which networks to measure, on what, trained for how long."""

    networks: Distinct[Network] = NETWORKS
    """Standard convolutions with ReLU and a way of halving (max, average, strided, blur, adaptive);
    polynomials and ideal halving (alias_free); GELU and max (gelu); tiled by 2 or local convolutions
    with ReLU and max (tiled, local)."""
    actions: Distinct[Action] = ACTIONS
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
        networks=("max", "alias_free"),
        actions=("right", "rotation"),
        measured_images=8,
        seeds=(0,),
        train=TrainConfig(steps=10, batch_size=32, learning_rate=3e-3, log_every=5),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train every network, and measure its layers before and after."""
    task = tasks.on_canvas(config.data, config.data_dir)
    images, _ = task.test.read(np.arange(min(config.measured_images, len(task.test))))
    images = task.place(images)
    # The same objects for all seeds: each network is compiled once.
    measure = functools.partial(derivatives, actions=config.actions)
    nets = {name: chain_net(name, task.classes) for name in config.networks}
    for cell in record.each(network=config.networks, seed=config.seeds):
        network = task.network(nets[cell["network"]], config.train)
        before = network.compute(measure, network.initial(cell["seed"]).variables, images)
        state = network.train(record, cell)
        record.observe(
            cell,
            accuracy=network.accuracy(state),
            parameters=network.parameters,
            before=before,
            after=network.compute(measure, state.variables, images),
        )
    page(record.observations(), record)


def chain_net(network: Network, classes: int) -> models.ChainNet:
    """The network of this name."""
    variants: dict[str, dict[str, Any]] = {
        "alias_free": {"activation": "polynomial", "downsampling": "ideal"},
        "gelu": {"activation": "gelu"},
        "tiled": {"conv": functools.partial(layers.TiledConv, tile=2)},
        "local": {"conv": layers.LocalConv},
    }
    return models.ChainNet(classes, **variants.get(network, {"downsampling": network}))


def derivatives(
    model: models.ChainNet, variables: Any, images: Any, *, actions: tuple[Action, ...]
) -> dict[Action, dict[str, Any]]:
    """The Lie derivative of the logits under each action, and the terms of the layers."""
    stages = model.chain(variables["params"])
    functions, kinds = [stage.layer for stage in stages], np.array([each.kind for each in stages])
    # The output of the mean over all positions has no space to transform.
    spatial = 1 + [stage.name for stage in stages].index("mean")
    found = {}
    for action in actions:
        motions = [symmetry.MOTIONS[action]] * spatial
        motions += [symmetry.unchanged] * (len(stages) + 1 - spatial)
        parts = symmetry.lie_decomposition(functions, images, motions, rounding=ROUNDING)
        found[action] = {
            "derivative": parts.derivative,
            "coherence": parts.coherence,
            "remainder": parts.remainder,
            "share": {kind: jnp.sum(parts.shares[kinds == kind]) for kind in KINDS},
            "terms": parts.terms,
        }
    return found


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    actions = record.config["actions"]
    main = "right" if "right" in actions else actions[0]
    words, percent = UNITS[main]
    images = min(record.config["measured_images"], record.task["test_examples"])
    remainder = max(found.column(name).max() for name in found.numbers if "remainder" in name)
    layers_of = {
        network: layer_results(group, main, chain_net(network, record.task["classes"]).stages())
        for network, group in found.groups("network").items()
    }
    results = {"seeds": found.seeds, "observations": found.results(), "measured_images": images}
    results |= {"action": main, "layers": layers_of, "largest_remainder": remainder}
    record.results(record.task | results)
    changes = found.summary(f"after.{main}.derivative", "network")
    convolutions = found.summary(f"after.{main}.share.convolution", "network")
    above = [convolutions[network] for network in changes if changes[network].mean > ROUNDING]
    amounts = "; ".join(f"{action}: {UNITS[action][0]}" for action in actions)
    report.write_page(
        record,
        __doc__,
        [
            f"{words.capitalize()}: the logits of trained networks change by "
            f"{extremes(changes.values(), percent)} % of their size; convolutions hold "
            f"{extremes(above, 100)} % of the squared terms.",
            report.setting(record, found),
            report.Heading("Layers that lose symmetry"),
            *(
                report.Figure(
                    f"layers_{action}",
                    report.styled(stacked_bars)(found, action),
                    f"{UNITS[action][0].capitalize()}: change of the logits, divided by the layers' "
                    "shares. Upper bar of each pair: before training; lower: after. Mean over seeds.",
                )
                for action in actions
            ),
            report.summary_table(
                found,
                {"accuracy (%)": ("accuracy", 100)}
                | {f"{kind} (%)": (f"after.{main}.share.{kind}", 100) for kind in KINDS}
                | {"coherence": f"after.{main}.coherence"},
                "network",
                caption=f"After training: accuracy on {record.task['test_examples']:,} test images; "
                f"{words}: shares of the squared terms, and coherence, which are rounding where the "
                "derivative is.",
            ),
            report.Heading("Change of the logits"),
            *(
                report.summary_table(
                    found,
                    {a: (f"{when}.{a}.derivative", UNITS[a][1]) for a in actions},
                    "network",
                    caption=f"{when.capitalize()} training: percent of the logits' size, on "
                    f"{images:,} test images. {amounts}.",
                )
                for when in WHEN
            ),
            report.Heading("Layer by layer"),
            report.rows_table(
                [{"network": name, **layer} for name, each in layers_of.items() for layer in each],
                {
                    "network": "network",
                    "layer": "name",
                    "kind": "kind",
                    "before training": ("before", percent),
                    "after training": ("after", percent),
                },
                f"Terms of the layers, percent of the logits' size, {words}.",
            ),
            "The terms of all layers sum to the derivative; largest relative remainder, in float32: "
            f"{report.format_number(remainder, 2)}.",
        ],
    )


def layer_results(group: Observations, action: Action, stages: list[Any]) -> list[dict[str, Any]]:
    """Name, kind and summaries of the terms of each layer of one network."""
    terms = [group.array(f"{when}.{action}.terms").T for when in WHEN]
    return [
        {"name": stage.name, "kind": stage.kind, **dict(zip(WHEN, map(summarize, sizes)))}
        for stage, *sizes in zip(stages, *terms, strict=True)
    ]


def extremes(summaries: Iterable[Summary], scale: float) -> str:
    """The smallest and the largest mean."""
    ordered = sorted(summaries, key=lambda summary: summary.mean)
    ends = [report.format_summary(summary, scale) for summary in ordered[:1] + ordered[1:][-1:]]
    return " to ".join(ends) or report.MISSING


def stacked_bars(found: Observations, action: Action) -> matplotlib.figure.Figure:
    """Two stacked bars for each network: its Lie derivative before and after training, by kind."""
    words, percent = UNITS[action]
    groups = found.groups("network")
    colors = dict(zip(KINDS, (report.BLUE, report.VERMILLION, report.GREEN, report.GREY)))
    figure = matplotlib.figure.Figure(figsize=(report.DOUBLE_COLUMN, 0.34 * len(groups) + 0.9))
    axes = figure.subplots()
    for line, group in enumerate(groups.values()):
        for when, place, alpha in zip(WHEN, (line - 0.19, line + 0.19), (0.45, 1.0)):
            change, left = percent * group.column(f"{when}.{action}.derivative"), 0.0
            for kind, color in colors.items():
                part = (change * group.column(f"{when}.{action}.share.{kind}")).mean()
                axes.barh(place, part, 0.34, left, color=color, alpha=alpha, linewidth=0)
                left += part
    axes.set_yticks(range(len(groups)), labels=list(groups))
    axes.invert_yaxis()
    axes.set_xlim(0, 1.04 * axes.get_xlim()[1])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x")
    axes.set_xlabel(f"change of the logits (%) by {words}")
    handles = [matplotlib.patches.Patch(color=color, label=kind) for kind, color in colors.items()]
    figure.legend(handles=handles, loc="outside upper center", ncols=len(handles))
    return figure

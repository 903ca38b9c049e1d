"""Do filters that are learned separately and pooled together become invariant to rotation, as in figure 9.9 of Deep Learning?

The score of every class is the maximum over k filters as large as the image, its detectors, learned
separately (cross-channel max pooling, maxout). Test images are rotated through 360 degrees: which
detector has the largest response? Controls: one filter (k = 1); as many filters in a hidden layer
with a classifier, since the number of parameters grows with k; the same filters in four copies
rotated by 90 degrees (p4, built in); convolutions and a classifier of all positions, and
convolutions and the maximum over all positions. Each network is trained once on upright images and
once on images rotated by any angle: what it shows after upright training as well was not learned
from rotation. All networks have one learning rate, which was not chosen on validation images.

Firing: how much more often a unit fires on rotated copies of images on which it fires than on any
image, mean over the best fifth of the units; 1 over the share of responses that are firing is
perfect invariance, 1 is none. Of the detectors of each class on images of that class, mean over
classes: effective number, the exponential of the entropy of the shares of images for which each has
the largest response; direction, 1 if each has it at one angle alone, 0 if evenly over the circle;
axis, the same where opposite angles count as one; their chance level, what is left of them when
every image starts its rotation at a random angle.

    python launch.py learned_invariance                       5 seeds: 8 minutes, 2 CPU cores
    python launch.py learned_invariance --data mnist --data-dir DIR
    python launch.py learned_invariance smoke                 seconds

Seen on 360 digits, mean +- 95 % interval over 5 seeds: rotated training raises the firing of the
logits from 8.6 to 19.0 for k = 1, which pools nothing, and from 7.8 to 17.6 for k = 8; after it
pooling more filters makes logits less invariant, k = 8 minus 1: -1.4 +- 0.3. Accuracy at any angle
rises from 58.3 % (k = 1) to 81.8 % (k = 8); but pooled minus hidden layer is 4.1 +- 7.5,
1.3 +- 5.4, -4.1 +- 2.5, -7.8 +- 2.9 points for k = 1, 2, 4, 8, and one filter in four copies has
86.8 % with 5,770 parameters, k = 8 has 46,160. Rotated minus upright training: no difference in the
effective number and axis of detectors is seen (k = 2, 4, 8: each interval contains 0), in direction
0.00 +- 0.05, 0.07 +- 0.03, 0.06 +- 0.04.

Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, figure 9.9; Goodfellow, Warde-Farley,
Mirza, Courville, Bengio, Maxout networks, 2013; Goodfellow, Le, Saxe, Lee, Ng, Measuring
invariances in deep networks, 2009 (firing); Cohen, Welling, Group equivariant convolutional
networks, 2016 (rotated copies).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Annotated, Any

from cnnjax.run.config import Distinct, InputError, Positive, Requirement, Seed, StudyConfig
from cnnjax.run.lazy import lazy_imports
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig

with lazy_imports():
    import jax
    import jax.numpy as jnp
    import numpy as np

    from cnnjax import models, report, symmetry, tasks

LARGEST_ANGLE = {"upright": 0.0, "rotated": 2 * math.pi}
"""Training data, and the largest angle by which its images are rotated."""
NAMES = {
    "pooling": "pooled over",
    "detectors": "learned filters",
    "rotations": "rotated copies",
    "hidden": "nothing (hidden layer)",
    "space": "all positions",
    "none": "nothing (convolutions)",
    "training": "trained on",
}
"""Words for factors and their values."""
TOLD = {
    "detectors": "maximum of k learned filters",
    "hidden": "hidden layer of as many",
    "rotations": "maximum of k filters in four rotated copies",
}
"""Networks of the page's first sentence, and the words for them."""
MEASURES = {
    "any angle (%)": ("accuracy_rotated", 100),
    "firing, logits": ("firing_logits", 1),
    "firing, detectors": ("firing_detectors", 1),
    "effective number": ("effective_number", 1),
    "direction": ("direction", 1),
    "axis": ("axis", 1),
}
"""What is compared of networks, and its scale."""


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    """Which networks to train, on what, and what to measure."""

    detectors: Distinct[Positive] = (1, 2, 4, 8)
    """Numbers of separately learned filters for each class, k, pooled and in a hidden layer."""
    rotated_copies: Annotated[
        tuple[Positive, ...], Requirement(lambda k: len(set(k)) == len(k), "each once")
    ] = (1, 2)
    """The same for the p4 networks, each filter in four rotated copies; none: no such network."""
    convolutions: bool = True
    """Whether to train the convolutional networks: maximum over positions, and no pooling."""
    test_images: Positive = 500
    """Test images that are rotated."""
    angles: Annotated[int, Requirement(lambda n: n > 0 and n % 4 == 0, "a multiple of 4")] = 24
    """Angles by which they are rotated, evenly over 360 degrees."""
    firing_rate: Annotated[float, Requirement(lambda r: 0 < r < 1, "between 0 and 1")] = 0.05
    """Share of all responses of a unit that counts as firing."""
    shown_class: int = 5
    """Class whose detectors are drawn."""
    seeds: Distinct[Seed] = (0, 1, 2, 3, 4)
    """Seeds; for each a network is trained in every condition."""
    train: TrainConfig = TrainConfig(
        steps=600, batch_size=64, learning_rate=3e-3, warmup_steps=50, log_every=200
    )
    """How to train, the same for all."""


PRESETS = {
    "smoke": Config(
        detectors=(1, 2),
        rotated_copies=(1,),
        convolutions=False,
        test_images=64,
        angles=8,
        seeds=(0,),
        train=TrainConfig(steps=20, batch_size=32, learning_rate=3e-3, log_every=10),
    ),
}


def run(config: Config, record: Record) -> None:
    """Train every network, and measure its responses to rotated test images."""
    task = tasks.rotated(config.data, config.data_dir)
    images, labels = task.test.read(np.arange(min(config.test_images, len(task.test))))
    if config.shown_class not in labels:
        raise InputError(
            f"shown_class must be one of the classes {np.unique(labels).tolist()} of the first "
            f"{len(labels)} test images, got {config.shown_class}."
        )
    rotate, angles = jax.jit(task.augment_test), np.deg2rad(degrees(config.angles))
    rotated = [rotate(images, None, {"angle": np.float32(angle)}) for angle in angles]
    networks = [{"pooling": "detectors", "k": k} for k in config.detectors]
    networks += [{"pooling": "hidden", "k": k} for k in config.detectors]
    networks += [{"pooling": "rotations", "k": k} for k in config.rotated_copies]
    networks += [{"pooling": "none"}, {"pooling": "space"}] if config.convolutions else []
    for cell in record.each(network=networks, training=tuple(LARGEST_ANGLE), seed=config.seeds):
        model = models.DetectorNet(task.classes, cell["pooling"], cell.get("k", 1))
        network = task.network(model, config.train)
        state = network.train(record, cell, largest_angle=LARGEST_ANGLE[cell["training"]])
        responses = models.DetectorNet.responses
        seen = [network.compute(responses, state.variables, each) for each in rotated]
        found = measures(config, labels, *map(jnp.stack, zip(*seen, strict=True)))
        if "shares" in found:
            found["filters"] = model.class_filters(state.params, config.shown_class)
        record.observe(cell, parameters=network.parameters, **found)
    page(record.observations(), record)


def degrees(count: int) -> np.ndarray:
    """So many angles, evenly over the circle, from 0."""
    return 360 * np.arange(count) / count


def measures(
    config: Config, labels: np.ndarray, logits: jax.Array, detectors: jax.Array | None = None
) -> dict[str, Any]:
    """What is observed of logits `[angles, images, classes]` and, of a network that has any,
    detectors `[angles, images, classes, pieces]`."""
    curve = symmetry.accuracy_curve(np.asarray(logits.argmax(-1)), labels)
    found: dict[str, Any] = {
        "accuracy_upright": curve[0],
        "accuracy_rotated": curve.mean(),
        "accuracy_by_angle": curve,
        "firing_logits": symmetry.firing_invariance(logits, config.firing_rate),
    }
    if detectors is not None:
        units = detectors.reshape(*detectors.shape[:2], -1)
        shares = symmetry.class_shares(detectors, labels)
        angles = np.deg2rad(degrees(len(logits)))
        chance = symmetry.shuffled_specialisation(detectors, labels, angles)
        found["firing_detectors"] = symmetry.firing_invariance(units, config.firing_rate)
        found |= symmetry.specialisation(list(shares.values()), angles)._asdict()
        found["chance"] = {"direction": chance.direction, "axis": chance.axis}
        found["shares"] = shares[config.shown_class]
    return found


def page(found: Observations, record: Record) -> None:
    """Write results.json and the page."""
    config, label = record.config, record.config["shown_class"]
    images, angles = min(config["test_images"], record.task["test_examples"]), config["angles"]
    curves: dict[str, dict[str, np.ndarray]] = {training: {} for training in LARGEST_ANGLE}
    panels = {f"trained on {training} images": {} for training in LARGEST_ANGLE}
    shown: dict[str, dict[str, np.ndarray]] = {"shares": {}, "filters": {}}
    told: dict[str, list[str]] = {pooling: [] for pooling in TOLD}
    for (pooling, k, training), group in found.groups("pooling", "k", "training").items():
        name = f"{NAMES[pooling]}{f', k = {k}' if k else ''}"
        curve = curves[training][name] = group.array("accuracy_by_angle").mean(0)
        panels[f"trained on {training} images"][name] = 100 * np.append(curve, curve[:1])
        if "effective_number" in group.numbers:
            shown["shares"][f"{name}\ntrained {training}"] = group.array("shares")[0]
            if training == "rotated":
                shown["filters"][name] = group.array("filters")[0].round(3)
        if pooling in told and training == "rotated":
            told[pooling].append(
                f"{report.format_summary(summarize(group.column('accuracy_rotated')), 100)} % and "
                f"{report.format_summary(summarize(group.column('firing_logits')))} (k = {k}, "
                f"{group.column('parameters')[0]:,.0f} parameters)"
            )
    results = {"seeds": found.seeds, "observations": found.results(), "rotated_images": images}
    record.results(record.task | results | {"accuracy_by_angle": curves, **shown})
    said = "; ".join(f"{TOLD[pooling]} {', '.join(each)}" for pooling, each in told.items() if each)
    numbers = {head: column for head, column in MEASURES.items() if column[0] in found.numbers}
    paired = found.where(pooling=("detectors", "hidden"))
    evaluated = f"On {images:,} test images."
    both = {head: MEASURES[head] for head in ("any angle (%)", "firing, logits")}
    report.write_page(
        record,
        __doc__,
        [
            "Accuracy at any angle and firing of the logits (1: not invariant, "
            f"{1 / config['firing_rate']:g}: perfectly), trained on rotated images, evaluated on "
            f"{images:,} test images: {said}.{paired_by_seed(found)}",
            report.setting(record, found),
            report.Heading(f"Detector with the largest response as a {label} rotates"),
            report.Figure(
                "largest_response",
                report.polar(shown["shares"], degrees(angles)),
                f"Share of the test images of class {label} for which each detector of that class "
                "has the largest response, at every angle, counter-clockwise; first seed. One "
                "colour for each detector.",
            ),
            report.Heading("Learned filters"),
            report.Figure(
                "filters",
                report.image_rows(shown["filters"], signed=True, framed=True),
                f"Filters of class {label}, trained on rotated images, framed in the colours "
                "above; blue: negative, red: positive weights. First seed.",
            ),
            report.Heading("Accuracy against angle"),
            report.Figure(
                "accuracy_against_angle",
                report.line_panels(
                    panels,
                    [*degrees(angles), 360],
                    "rotation of the test images (degrees)",
                    y_label="accuracy (%)",
                    limits=(0, 102),
                    ticks=range(0, 361, 90),
                    reference=100 / record.task["classes"],
                ),
                f"Accuracy on {images:,} test images rotated by each angle, mean over seeds, by "
                "what is pooled over; dashed: chance.",
            ),
            report.Heading("Numbers"),
            report.summary_table(
                found,
                {
                    "parameters": "parameters",
                    "accuracy, upright (%)": ("accuracy_upright", 100),
                    **numbers,
                    "direction, by chance": "chance.direction",
                    "axis, by chance": "chance.axis",
                },
                names=NAMES,
                caption=f"Accuracy on {images:,} test images, upright and at {angles} angles. "
                f"{100 * config['firing_rate']:g} % of responses are firing. By chance: if every "
                "image starts its rotation at a random angle.",
            ),
            report.Heading("Rotated against upright training"),
            report.difference_table(
                found, numbers, "training", "upright", names=NAMES, caption=evaluated
            ),
            report.Heading("Pooled filters against a hidden layer of as many"),
            report.difference_table(
                paired, both, "pooling", "hidden", names=NAMES, caption=evaluated
            ),
        ],
    )


def paired_by_seed(found: Observations) -> str:
    """What pooling more filters changes, and pooling them at all; nothing of fewer than 3 seeds."""
    if len(found.seeds) < 3:
        return ""
    rotated = found.where(training="rotated")
    learned = rotated.where(pooling="detectors")
    first, *_ = learned.values("k")
    firing = [
        f"{report.format_summary(change)} (k = {k})"
        for k, change in learned.differences("firing_logits", "k", first).items()
    ]
    accuracy = []
    for k, pair in rotated.where(pooling=("detectors", "hidden")).groups("k").items():
        (change,) = pair.differences("accuracy_rotated", "pooling", "hidden").values()
        accuracy.append(f"{report.format_summary(change, 100)} (k = {k})")
    more = f" firing minus that of k = {first}, {', '.join(firing)};" if firing else ""
    return (
        f" Maximum of learned filters, paired by seed:{more} accuracy minus that of the hidden "
        f"layer, {', '.join(accuracy)} points."
    )

"""Which translations does each convolution commute with, what does training on translated data teach those that do not, and what does it cost?

The same network, three layers deep with circular padding, is built from each convolution of the
family, from full sharing (standard) over partial sharing (tiled, low-rank) to none (local), with a
dense network as control. Each is trained once on centred and once on randomly translated images,
for the same number of steps. Before and after, the equivariance error

    ||f(S_m x) - S_m f(x)|| / ||f(x)||

of every layer and of the logits is measured at every circular shift S_m of test images.

    python launch.py equivariance                        digits, 2 seeds: 5 minutes, 2 CPU cores
    python launch.py equivariance smoke                  under a minute
    python launch.py equivariance full --data-dir DIR    MNIST, 5 seeds, for an accelerator
    python launch.py equivariance --conv my_module:Mine  a convolution of your own

Expected: each layer's measured lattice is the predicted one (standard: its stride; tiled: stride
times tile; low-rank, local, dense: the zero shift only), with errors of at most 1e-5 on it and
about sqrt(2) off it for tiled and local layers before training. Training on translated images makes the
logits of the others less sensitive to shifts, but never exactly invariant.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from cnnjax.layers.choice import Convolution, resolve
from cnnjax.report.configuration import InputError
from cnnjax.train.config import TrainConfig

FAMILY = (
    Convolution("standard"),
    Convolution("dilated"),
    Convolution("tiled", {"tile": 2}),
    Convolution("tiled", {"tile": 4}),
    Convolution("low_rank", {"rank": 2}),
    Convolution("local"),
    Convolution("dense"),
)


@dataclasses.dataclass(frozen=True)
class Config:
    """What to compare, on what, for how long."""

    conv: tuple[Convolution, ...] = FAMILY
    """Convolutions to compare, by name or import path: --conv tiled --conv.tile 2 --conv local."""
    data: str = "digits"
    """TFDS name of the data set."""
    data_dir: str | None = None
    """Where prepared data sets are; without it TFDS_DATA_DIR, or else the folder of TFDS."""
    seeds: tuple[int, ...] = (0, 1)
    """One network is trained for each seed, convolution and kind of training data."""
    canvas: int | None = None
    """Side of the canvas in pixels; without it the first multiple of 8 that is at least 24 and 4
    more than the image, which is doubled in size if it is smaller than 16 pixels."""
    features: tuple[int, ...] = (4, 8, 32)
    """Channels of each layer."""
    strides: tuple[int, ...] = (1, 2, 2)
    """Strides of each layer."""
    kernel_size: int = 5
    """Taps of every window on each axis."""
    error_images: int = 8
    """Test images on which the equivariance error is measured."""
    translations: int = 4
    """Random positions at which each test image is classified for the translated accuracy."""
    train: TrainConfig = TrainConfig(
        steps=150, batch_size=64, learning_rate=0.006, warmup_steps=20, log_every=50
    )
    """How to train, the same for all."""

    def __post_init__(self):
        if not self.conv or not self.seeds:
            raise ValueError(
                f"conv {self.conv} and seeds {self.seeds} must each name at least one."
            )
        if len(set(self.conv)) < len(self.conv) or len(set(self.seeds)) < len(self.seeds):
            raise ValueError("conv and seeds must each be named once, else one run hides another.")
        for name in ("kernel_size", "error_images", "translations"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}.")
        if len(self.features) != len(self.strides) or min(*self.features, *self.strides) < 1:
            raise ValueError(
                f"features {self.features} and strides {self.strides} must name the same layers, "
                f"by numbers of at least 1."
            )
        for convolution in self.conv:
            taken = {"features", "kernel_size", "strides", "padding"} & set(convolution.arguments)
            if taken:
                raise ValueError(
                    f"{taken.pop()!r} of {convolution} is the network's to choose: it must be the "
                    f"same for all convolutions."
                )


PRESETS = {
    "smoke": Config(
        conv=(Convolution("standard"), Convolution("tiled", {"tile": 2})),
        seeds=(0,),
        features=(4, 4),
        strides=(1, 2),
        kernel_size=3,
        error_images=2,
        translations=1,
        train=TrainConfig(steps=40, batch_size=64, learning_rate=1e-2, log_every=20),
    ),
    "full": Config(
        data="mnist",
        seeds=(0, 1, 2, 3, 4),
        features=(8, 16, 32),
        error_images=32,
        train=TrainConfig(
            steps=4000,
            batch_size=256,
            learning_rate=2e-3,
            warmup_steps=200,
            log_every=200,
            checkpoint_every=1000,
        ),
    ),
}

TRAIN_DATA = ("centred", "translated")


def run(config: Config, record: Any) -> None:
    """Train and measure every network of the configuration, and write results and report."""
    from cnnjax.report.equivariance import write_report

    task = _task(config)
    rows = []
    for convolution in config.conv:
        family = _family(task, convolution)
        for train_data in TRAIN_DATA:
            networks = [
                {
                    "before": _before(task, family, seed, record),
                    **_network(task, family, seed, train_data, record),
                }
                for seed in config.seeds
            ]
            rows.append(_row(family.description, train_data, config.seeds, networks))
    results = {
        "data": config.data,
        "canvas": task.canvas,
        "train_examples": len(task.dataset.train.images),
        "test_examples": len(task.dataset.test.images),
        "translations": config.translations,
        "error_images": len(task.error_images),
        "classes": task.dataset.num_classes,
        "steps": config.train.steps,
        "batch_size": config.train.batch_size,
        "seeds": config.seeds,
        "rows": rows,
    }
    write_report(record.results(results), record)


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """What all networks of a run are trained and measured on."""

    config: Config
    dataset: Any
    canvas: int
    prepare: Any
    prepare_test: Any
    error_images: Any
    """Standardised test images in the middle of the canvas."""

    def model(self, convolution: Convolution) -> Any:
        """The network made of this convolution."""
        from cnnjax.models import ConvNet

        return ConvNet(
            classes=self.dataset.num_classes,
            conv=resolve(convolution),
            features=self.config.features,
            strides=self.config.strides,
            kernel_size=self.config.kernel_size,
        )

    def source(self, split: Any, kind: str) -> dict[str, Any]:
        """What the compiled steps take examples from."""
        translation = self.canvas if kind == "translated" else 1
        return {"images": split.images, "labels": split.labels, "translation": translation}

    def train_batch(self, seed: int, step: int) -> dict[str, Any]:
        """Examples of a training step, and their places in the batch."""
        import numpy as np

        from cnnjax.data.batches import batch_indices

        size = self.config.train.batch_size
        index = batch_indices(seed, step, size, len(self.dataset.train.images))
        return {"index": index, "position": np.arange(size, dtype=np.int32)}

    def test_batches(self, repeats: int) -> Iterator[dict[str, Any]]:
        """All test examples, `repeats` times, each time at a place of its own."""
        from cnnjax.data.batches import evaluation_batches

        examples = len(self.dataset.test.images)
        batch_size = self.config.train.batch_size
        for position, weight in evaluation_batches(repeats * examples, batch_size):
            yield {"index": position % examples, "position": position, "weight": weight}


def _task(config: Config) -> Task:
    import jax
    import numpy as np

    from cnnjax.data.datasets import load
    from cnnjax.data.preprocess import Preprocess, preprocess
    from cnnjax.train.on_device import gather, gather_alike

    dataset = load(config.data, config.data_dir)
    images = dataset.train.images
    size = max(images.shape[1:3])
    upsample = 2 if size < 16 else 1
    canvas = config.canvas or max(24, -(-(upsample * size + 4) // 8) * 8)
    if canvas < upsample * size:
        raise InputError(
            f"canvas is {canvas}, but an image of {config.data} needs {upsample * size} pixels."
        )
    placement = Preprocess(canvas=canvas, upsample=upsample, fill="circular")
    place = jax.jit(preprocess, static_argnums=2)
    # Of 1,000 images: mean and deviation of what the network sees, black around it included.
    seen = np.asarray(place(images[:1000], None, placement))
    placement = dataclasses.replace(placement, mean=(float(seen.mean()),), std=(float(seen.std()),))

    def augment(images, keys, source):
        return preprocess(images, keys, placement, source["translation"])

    return Task(
        config=config,
        dataset=dataset,
        canvas=canvas,
        prepare=gather(augment),
        prepare_test=gather_alike(augment),
        error_images=place(dataset.test.images[: config.error_images], None, placement),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Family:
    """The networks made of one convolution: what is compiled once for all of them."""

    training: Any
    outputs: Any
    """From images and parameters to what each layer computes; one object, so compiled once."""
    description: dict[str, Any]


def _family(task: Task, convolution: Convolution) -> Family:
    from cnnjax.train.training import compile_training

    model = task.model(convolution)
    training = compile_training(model, task.config.train, task.prepare, task.prepare_test)
    params = training.init(task.config.seeds[0], task.error_images).params

    def outputs(images, params):
        return model.apply({"params": params}, images, method="outputs")

    return Family(training, outputs, _description(task, model, params, convolution))


def _network(task: Task, family: Family, seed: int, train_data: str, record: Any) -> dict[str, Any]:
    """Train one network and measure it, unless an interrupted run did so already."""
    from cnnjax.symmetry import errors_over_shifts
    from cnnjax.train.checkpoint import Checkpoints
    from cnnjax.train.evaluation import evaluate
    from cnnjax.train.loop import fit

    training = family.training
    name = f"{family.description['label']} {train_data} seed {seed}"
    measured = record.part(name)
    if measured is None:
        print(f"\n{name}", flush=True)
        initial = training.init(seed, task.error_images)

        def write(step, values):
            record.metrics(step, network=name, **values)

        with Checkpoints(record.checkpoints(name), keep=1) as checkpoints:
            state = checkpoints.restore(initial)
            record.rewind(int(state.step), network=name)
            source = task.source(task.dataset.train, train_data)
            done = fit(
                training, state, task.train_batch, source, write=write, checkpoints=checkpoints
            )
        accuracy = {
            kind: evaluate(
                training,
                done.state,
                task.test_batches(1 if kind == "centred" else task.config.translations),
                task.source(task.dataset.test, kind),
            )["accuracy"]
            for kind in TRAIN_DATA
        }
        params = done.state.params if done.state.ema_params is None else done.state.ema_params
        measured = {
            "accuracy": accuracy,
            "images_per_second": done.images_per_second,
            "after": errors_over_shifts(family.outputs, task.error_images, params),
        }
        record.write_part(name, measured)
    return measured


def _before(task: Task, family: Family, seed: int, record: Any) -> dict[str, Any]:
    """Errors of the untrained network of a seed, the same for both kinds of training data."""
    from cnnjax.symmetry import errors_over_shifts

    name = f"{family.description['label']} untrained seed {seed}"
    measured = record.part(name)
    if measured is None:
        initial = family.training.init(seed, task.error_images)
        measured = errors_over_shifts(family.outputs, task.error_images, initial.params)
        record.write_part(name, measured)
    return measured


def _description(task: Task, model: Any, params: Any, convolution: Convolution) -> dict[str, Any]:
    """What a network is before any training: its size, its cost, its predicted symmetry."""
    import jax
    import numpy as np

    from cnnjax.inspect import multiply_adds, parameter_count
    from cnnjax.symmetry import errors_over_shifts, lattice_of_errors

    images = task.error_images
    lattices = model.predicted_lattices(images.shape[1:-1])
    shapes = jax.eval_shape(lambda: model.apply({"params": params}, images, method="outputs"))
    inputs = [images.shape, *(shape.shape for shape in shapes.values())]
    alone = {}
    for index, (name, shape) in enumerate(zip(lattices, inputs, strict=False)):
        if name == "network":
            continue

        def layer(x, params, index=index):
            return model.apply({"params": params}, x, index, method="layer")

        noise = np.random.default_rng(index).normal(size=(2, *shape[1:])).astype(np.float32)
        alone[name] = {
            "predicted_lattice": lattices[name]["alone"],
            "measured_lattice": lattice_of_errors(errors_over_shifts(layer, noise, params)),
        }
    one = jax.ShapeDtypeStruct((1, *images.shape[1:]), images.dtype)
    return {
        "conv": convolution.name,
        "arguments": convolution.arguments,
        "tile": getattr(model.conv(**model.layer_arguments()[0], parent=None), "tile", None),
        "label": str(convolution),
        "params": parameter_count(params),
        "multiply_adds": multiply_adds(lambda x: model.apply({"params": params}, x), one),
        "predicted": {name: lattice["network"] for name, lattice in lattices.items()},
        "alone": alone,
    }


def _row(
    description: dict[str, Any], train_data: str, seeds: tuple[int, ...], networks: list[dict]
) -> dict[str, Any]:
    """Numbers over seeds of one convolution and one kind of training data."""
    import numpy as np

    from cnnjax.report.table import summarize
    from cnnjax.symmetry import lattice_of_errors, on_lattice

    layers = []
    for name, predicted in description["predicted"].items():
        before, after = (
            np.array([network[stage][name] for network in networks], np.float64)
            for stage in ("before", "after")
        )
        space = before.shape[1:]
        measured = lattice_of_errors(np.maximum(before, after).max(0))
        exact = on_lattice(space, predicted or measured)
        moved = np.ones(space, bool)
        moved[0, 0] = False
        layers.append(
            {
                "name": name,
                "predicted_lattice": predicted,
                "measured_lattice": measured,
                "error_on_lattice": max(before[:, exact].max(), after[:, exact].max()),
                "error_off_lattice": None if exact.all() else before[:, ~exact].mean(),
                "error_off_lattice_after_training": (
                    None if exact.all() else after[:, ~exact].mean()
                ),
                "error_before_training": before[:, moved].mean(),
                "error_after_training": after[:, moved].mean(),
                "error_before_training_by_seed": before[:, moved].mean(1),
                "error_after_training_by_seed": after[:, moved].mean(1),
                "alone": description["alone"].get(name),
                "horizontal_before_training": _rounded(before[:, 0]),
                "horizontal_after_training": _rounded(after[:, 0]),
                "map_before_training": _rounded(before.mean(0)),
                "map_after_training": _rounded(after.mean(0)),
            }
        )
    speeds = [network["images_per_second"] for network in networks]
    speeds = [speed for speed in speeds if speed is not None]
    shown = ("conv", "arguments", "tile", "label", "params", "multiply_adds")
    return {
        **{key: description[key] for key in shown},
        "train_data": train_data,
        "seeds": seeds,
        **{
            f"accuracy_{kind}": summarize([network["accuracy"][kind] for network in networks])
            for kind in TRAIN_DATA
        },
        "images_per_second": summarize(speeds) if speeds else None,
        "layers": layers,
    }


def _rounded(errors: Any) -> Any:
    """To four significant digits, which keep what is small apart from what is zero."""
    import numpy as np

    return np.vectorize(lambda error: float(f"{error:.4g}"), otypes=[float])(errors)

"""The study of data and architecture: what each cell trains and measures, what the page says."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import symmetry
from cnnjax.report import format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.run.variance import variance_shares
from cnnjax.train.config import TrainConfig
from experiments import data_or_architecture
from experiments.data_or_architecture import CLASSES, TESTS, Config
from tests.experiments import pages
from tests.experiments.fakes import SCALE, SHIFT

SMOKE = ["data_or_architecture", "smoke", "--architecture", "standard", "--controls", "local"]
SMOKE += ["--features", "2", "2", "--train.steps", "10"]
TRAINED = [
    ("centred", "these"),
    *((training, which) for training in ("translated", "rotated")
      for which in ("these", "others", "all")),
]  # fmt: skip
"""How the images of controls move, and of which classes; of others those of these alone."""


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory, few_test_images):
    run = tmp_path_factory.mktemp("shares") / "run"
    assert launch.main([*SMOKE, "--workdir", str(run)]) == 0
    return run


def test_every_cell_trains_and_measures_what_its_factors_say(watch, tmp_path):
    config = Config(
        architecture=("standard", "p4"),
        controls=("standard", "local"),
        seeds=(3,),
        moved_classes=(1, 3, 4),
        translation=2,
        angle=45.0,
        shifts=(3, 1),
        rotations=(90.0, 45.0),
        features=(2, 4),
        test_images=30,
        rate_factors={"p4": 3},
        train=TrainConfig(steps=7, batch_size=64, learning_rate=0.01),
        p4_times=3,
    )
    found = watch.run(data_or_architecture, config, tmp_path)
    cells = [
        (architecture, training, which, 3)
        for architecture in ("standard", "p4")
        for training, which in TRAINED
        if which == "these" or architecture == "standard"
    ]
    factors = ("architecture", "training", "moved", "seed")
    assert [tuple(row[name] for name in factors) for row in found.rows] == cells
    assert [tuple(call.factors[name] for name in factors) for call in watch.trained] == cells
    # A program for each architecture, whatever moves in training.
    assert len({id(call.network.training) for call in watch.trained}) == 2
    these = np.isin(np.arange(10), (1, 3, 4))
    moving = {"these": these, "others": ~these, "all": np.full(10, True)}
    expected = {
        "centred": {}, "translated": {"translation": 2}, "rotated": {"angle": np.pi / 4}
    }  # fmt: skip
    task = watch.trained[0].network.task
    assert task.shape == (32, 32, 1)
    labels = task.test.labels[:30]
    images = np.asarray(task.place(task.test.images[:30]))
    far = [np.roll(images, (3 * y, 3 * x), (1, 2)) for y, x in symmetry.shifts_around([1])]
    turned = [np.rot90(images, turns, (1, 2)) for turns in (1, 3)]
    for row, call in zip(found.rows, watch.trained, strict=True):
        values = dict(expected[row["training"]])
        if values:
            values["moved"] = moving[row["moved"]]
        assert call.values.keys() == values.keys()
        for name, value in values.items():
            np.testing.assert_allclose(call.values[name], value)
        rate, steps = {"standard": (0.01, 7), "p4": (0.03, 21)}[row["architecture"]]
        trained = call.network.training.config
        assert row["learning_rate"] == rate == trained.learning_rate
        assert row["steps"] == steps == trained.steps
        (loss,) = [each for each in watch.evaluated if row["loss"] == 1 + each.accuracy]
        accuracy = watch.evaluation(row["accuracy"])
        assert (loss.split, accuracy.split, accuracy.values) == ("train", "test", {})
        assert loss.values == call.values
        for each in (loss, accuracy):
            assert (each.seed, each.trained, each.network) == (row["seed"], True, call.network)
        params = jax.tree.map(
            lambda leaf: SCALE * leaf + SHIFT, call.network.initial(row["seed"]).params
        )
        assert row["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(params))
        still = call.network.logits({"params": params}, images)
        for test, views in (("shift.beyond", far), ("rotation.beyond", turned)):
            seen = np.stack([call.network.logits({"params": params}, view) for view in views])
            # Where all classes move, "never" are those that else stay.
            of = (~these if row["moved"] == "others" else these)[labels]
            chosen = {"moved": of, "never": ~of, "all": np.full(30, True)}
            for name, some in chosen.items():
                correct = seen[:, some].argmax(-1) == labels[some]
                assert row[f"{test}.{name}.accuracy"] == pytest.approx(correct.mean())
                between = still[some] - still[some].mean(0)
                size = (between**2).sum() / (some.sum() - 1)
                change = np.sqrt(((seen[:, some] - still[some]) ** 2).sum(-1).mean(-1) / (2 * size))
                assert row[f"{test}.{name}.change"] == pytest.approx(change.mean(), abs=1e-5)
            kept = Observations([row], found.factors, tmp_path)
            curve = kept.array(f"{test}.moved.curve")[0]
            assert curve == pytest.approx([row[f"{test}.moved.accuracy"]])
        # Shifts by 4 and 8 leave the logits of both, rotations by 90 degrees only those of p4.
        assert row["exact"] < 1e-5


def test_learning_rates_are_chosen_on_translated_validation_images(watch, tmp_path):
    config = dataclasses.replace(
        data_or_architecture.PRESETS["smoke"],
        features=(2,),
        tune=True,
        tuning_seeds=(1000,),
        rate_factors={"standard": 7.0},
    )
    watch.run(data_or_architecture, config, tmp_path)
    assert [
        (call.factors["architecture"], call.network.training.config.learning_rate)
        for call in watch.trained
    ] == [(each, rate) for each in ("standard", "p4") for rate in (0.00333, 0.01, 0.03)]
    assert len(watch.evaluated) == len(watch.trained)
    for trained, evaluated in zip(watch.trained, watch.evaluated, strict=True):
        assert trained.values["translation"] == evaluated.values["translation"] == 4
        np.testing.assert_array_equal(trained.values["moved"], np.arange(10) < 5)
        assert evaluated.values == trained.values
        assert evaluated.split == "validation"
        assert (evaluated.trained, evaluated.network) == (True, trained.network)
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    assert results["rate_factors"] == {"standard": 3, "p4": 3}


def test_networks_differ_in_one_thing():
    made = {
        name: data_or_architecture.model_of(Config(), name, 10)
        for name in ("standard", "tiled", "local", "adaptive", "p4")
    }
    assert {name: type(model).__name__ for name, model in made.items()} == {
        **dict.fromkeys(("standard", "tiled", "local", "adaptive"), "ChainNet"),
        "p4": "GroupChainNet",
    }
    chains = [name for name in made if name != "p4"]
    assert [made[name].conv.func.__name__ for name in chains] == [
        "Conv", "TiledConv", "LocalConv", "Conv"
    ]  # fmt: skip
    assert made["tiled"].conv.keywords == {"tile": 2}
    assert [made[name].downsampling for name in chains] == ["max", "max", "max", "adaptive"]
    for name in chains:
        model = made[name]
        assert (model.features, model.kernel_size) == ((8, 16, 32), 3)
        assert (model.readout, model.border) == ("max", "circular")
    assert (made["p4"].features, made["p4"].kernel_size, made["p4"].group) == ((8, 8, 16), 3, 4)


def test_movements_are_in_the_range_or_beyond_it():
    moves = data_or_architecture.moves_of(
        Config(shifts=(6, 2, 3, 4), rotations=(45.0, 30.0, 15.0, 180.0))
    )
    amounts = {name: [symmetry.amount_of(each) for each in of] for name, of in moves.items()}
    assert amounts == {
        "shift.in": 8 * [2] + 8 * [3] + 8 * [4],
        "shift.beyond": 8 * [6],
        "rotation.in": [15, 15, 30, 30],
        "rotation.beyond": [45, 45, 180],
        "exact": 8 * [4] + 8 * [8] + [90, 90, 180],
    }


@pytest.mark.parametrize(
    ("architecture", "step"),
    [("standard", 4), ("tiled", 8), ("local", 16), ("adaptive", 1), ("p4", 4)],
)
def test_theory_by_the_networks_themselves(architecture, step):
    """Networks of random weights: the logits stay where theory says so, and move else."""
    config = Config(features=(2, 4, 4))
    model = data_or_architecture.model_of(config, architecture, 3)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 16, 16, 1)).astype(np.float32)
    shapes = jax.eval_shape(model.init, jax.random.key(0), x)
    weights = jax.tree.map(lambda leaf: rng.normal(size=leaf.shape).astype(np.float32), shapes)
    moves = [(1, 0), (0, 2), (4, 0), (-4, 4), (0, -6), (8, 8), (16, 0), 90.0, -90.0, 180.0]
    views = np.concatenate([x, *(symmetry.moved_images(x, move) for move in moves)])
    still, *seen = np.asarray(jax.jit(model.apply)(weights, views)).reshape(-1, 2, 3)
    size = np.linalg.norm(still - still.mean(0))
    for move, logits in zip(moves, seen, strict=True):
        stays = data_or_architecture.stays(config, architecture, move, 16)
        change = np.linalg.norm(logits - still) / size
        assert stays == (change < 1e-4), (move, change)
        if isinstance(move, tuple):
            assert stays == all(distance % step == 0 for distance in move)
    assert not data_or_architecture.stays(config, architecture, 45.0, 16)


@pytest.fixture
def made(tmp_path):
    """A run of two networks, three seeds, one network a control, each number of its own."""
    config = Config(architecture=("tiled", "p4"), shifts=(2, 6), rotations=(30.0, 60.0, 90.0))
    record = Record.open(tmp_path / "made", config)
    facts = {"data": "digits", "classes": 10, "test_examples": 90, "image_shape": [32, 32, 1]}
    record.write_task("digits", facts)
    conditions = [
        {"architecture": architecture, "training": training, "moved": which}
        for architecture in config.architecture
        for training, which in TRAINED
        if which == "these" or architecture == "tiled"
    ]
    rng = np.random.default_rng(0)
    for cell in record.each(condition=conditions, seed=config.seeds):
        values = {}
        for test in TESTS:
            values[test] = {
                which: dict(zip(("accuracy", "kappa", "change", "noise"), rng.uniform(size=4)))
                | {"curve": rng.uniform(size=2 if test == "rotation.beyond" else 1)}
                for which in CLASSES
            }
        values |= dict(zip(("loss", "accuracy", "exact"), rng.uniform(size=3)))
        counts = {"steps": 300, "parameters": 700, "multiply_adds": 900}
        record.observe(cell, learning_rate=0.01, **counts, **values)
    yield record, record.observations()
    record.release()


def test_the_page_shows_each_number_under_its_heading(made, monkeypatch):
    record, every = made
    found = every.where(moved="these")
    lines = pages.calls(monkeypatch, "line_panels")
    data_or_architecture.page(every, record)
    shares, costs, *tests, differences, controls = pages.tables(record.directory)
    names = {f"{TESTS[test]}, {CLASSES[which]}": f"{test}.{which}"
             for test in TESTS for which in CLASSES}  # fmt: skip

    def values(number):
        return found.column(number).reshape(2, 3, 3)

    expected = [
        (f"{word}, {name}", f"{column}.{word}")
        for word in ("kappa", "change")
        for name, column in names.items()
    ]
    assert [row["variance of"] for row in shares] == [name for name, _ in expected]
    heads = ("architecture (%)", "training data (%)", "interaction (%)", "seeds (%)")
    said = []
    for row, (name, number) in zip(shares, expected, strict=True):
        parts = variance_shares(values(number))
        assert [row[head].split(" (")[0] for head in heads] == [f"{100 * x:.0f}" for x in parts]
        assert all(" to " in row[head] for head in heads)
        if name.startswith("kappa"):
            said.append(f"{name[7:]} {parts.second:.0%} and {parts.first:.0%}")
    assert pages.lead(record.directory) == (
        f"Variance of kappa explained by training data and by architecture: {'; '.join(said)}."
    )
    conditions = list(every.groups().items())
    assert len(costs) == len(conditions) == 10
    for row, (condition, group) in zip(costs, conditions, strict=True):
        assert (row["architecture"], row["training"], row["moved"]) == condition
        assert row["training loss"] == format_summary(summarize(group.column("loss")))
        assert row["accuracy (%)"] == format_summary(summarize(group.column("accuracy")), 100)
        assert row[data_or_architecture.EXACT] == format_summary(summarize(group.column("exact")))
        counts = (row["steps"], row["parameters"], row["multiply-adds"])
        assert counts == ("300", "700", "900")
    columns = {
        "accuracy (%)": ("accuracy", 100),
        "kappa (%)": ("kappa", 100),
        "change of the logits": ("change", 1),
        "by noise": ("noise", 1),
    }
    for test, table in zip(TESTS, tests, strict=True):
        for row, (_, group) in zip(table, conditions, strict=True):
            for head, (number, scale) in columns.items():
                for which, words in CLASSES.items():
                    summary = summarize(group.column(f"{test}.{which}.{number}"))
                    assert row[f"{head}, {words}"] == format_summary(summary, scale)
    pairs = [
        (row, {"architecture": architecture, "training": training, "moved": "these"}, "centred")
        for row, (architecture, training) in zip(
            differences,
            [(each, how) for each in ("tiled", "p4") for how in ("translated", "rotated")],
            strict=True,
        )
    ]
    pairs += [
        (row, {"architecture": "tiled", "training": training, "moved": which}, training)
        for row, (training, which) in zip(
            controls,
            [(how, each) for how in ("translated", "rotated") for each in ("others", "all")],
            strict=True,
        )
    ]
    for row, condition, base in pairs:
        assert all(value == condition[name] for name, value in row.items() if name in condition)
        one, other = (
            every.where(**each)
            for each in (condition, condition | {"training": base, "moved": "these"})
        )
        for name, column in names.items():
            change = one.column(f"{column}.accuracy") - other.column(f"{column}.accuracy")
            assert row[f"{name} (points)"] == format_summary(summarize(change), 100)
    for ((panels, x, _), options), (kind, training, amounts) in zip(
        lines,
        (("shift", "translated", [2, 6]), ("rotation", "rotated", [30, 60, 90])),
        strict=True,
    ):
        assert (list(x), options["reference"]) == (amounts, 10)
        for which, words in CLASSES.items():
            assert list(panels[words]) == ["tiled", "p4"]
            for architecture, curve in panels[words].items():
                group = found.where(architecture=architecture, training=training)
                ends = [group.array(f"{kind}.{reach}.{which}.curve") for reach in ("in", "beyond")]
                np.testing.assert_allclose(curve, 100 * np.concatenate(ends, 1).mean(0))
    text = (record.directory / "report.md").read_text("utf-8")
    means = values("accuracy").mean(-1)
    assert f"up to {100 * np.ptp(means):.1f} points apart" in text
    assert "Accuracy on 90 test images, trained on translated images" in text
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    share = results["variance"][0]["training"]["share"]
    assert share == pytest.approx(variance_shares(values("shift.in.moved.kappa")).second)


def test_the_exact_rows_of_a_run(run_directory):
    found = Observations.read(run_directory)
    trained = [(row["training"], row["moved"]) for row in found.rows]
    assert trained == [("centred", "these"), ("translated", "these")]
    for row in found.rows:
        assert 0 <= row["exact"] < 1e-5
    assert len(set(found.column("loss"))) == 2


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, SMOKE)
    assert said.count("architecture=") == 1
    assert "architecture=standard, training=translated, moved=these" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shifts", "5", "6"], "shifts must be in and beyond the range 4, got (5, 6)"),
        (["--rotations", "10", "20"], "rotations must be in and beyond the range 30.0"),
        (["--angle", "190"], "angle must be above 0 and at most 180"),
        (["--moved-classes", "11"], "moved_classes must be some, not all, of [0, 1, 2"),
        (["--moved-classes", *map(str, range(10))], "moved_classes must be some, not all"),
        (["--architecture", "p5"], "p4"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["data_or_architecture", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("|", " ").split())
    assert not directory.exists()

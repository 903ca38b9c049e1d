"""The study of broken symmetry: what each cell trains, what is observed, what the page says."""

import json
import shutil

import jax
import numpy as np
import pytest

import launch
from cnnjax import symmetry
from cnnjax.layers import Conv, TiledConv
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.tasks.network import Network
from cnnjax.train import tuning
from cnnjax.train.config import TrainConfig
from experiments import weight_sharing
from experiments.weight_sharing import STANDARD, TILED, Config
from tests.experiments import pages
from tests.experiments.fakes import changed

pytestmark = pytest.mark.usefixtures("few_test_images")

PHASES = "cnnjax.train.weight_sharing:adam_with_phases"
CONFIG = Config(
    conv=(STANDARD, TILED[0]),
    levels=(0.5, 0.8),
    budget_factors={"tiled(tile=2) plain translated": 2, "tiled(tile=2) narrow translated": 4},
    rate_factors={"tiled(tile=2) tied translated": 3},
    seeds=(3, 5),
    features=(2, 4),
    strides=(1, 2),
    translations=3,
    train=TrainConfig(
        steps=8,
        batch_size=8,
        learning_rate=0.01,
        schedule="constant",
        ema_decay=0.5,
        eval_every=2,
        eval_doubling=True,
    ),
)
ARMS = [
    ("standard", "plain", "translated"),
    ("standard", "plain", "centred"),
    ("tiled(tile=2)", "plain", "translated"),
    ("tiled(tile=2)", "tied", "translated"),
    ("tiled(tile=2)", "narrow", "translated"),
    ("tiled(tile=2)", "phases", "translated"),
    ("tiled(tile=2)", "plain", "centred"),
]


SMALL = ["weight_sharing", "smoke", "--canvas", "16"]


@pytest.fixture(scope="module")
def run_directory(few_test_images, tmp_path_factory):
    directory = tmp_path_factory.mktemp("study") / "run"
    assert launch.main([*SMALL, "--workdir", str(directory)]) == 0
    return directory


@pytest.fixture
def learning(watch, monkeypatch):
    """A `watch` that evaluates while it trains: 10, 70, 80, ... %, and of the seed in thousandths.

    Errors over shifts are those of no function: they tell its output, its parameters and the shift.
    """
    train = Network.train

    def with_curve(self, record, cell, *, evaluate=None, **values):
        state = train(self, record, cell, evaluate=evaluate, **values)
        step = self.training.config.eval_every
        for accuracy in (0.1, 0.7, 0.8, 0.9, 0.95):
            if step <= self.training.config.steps:
                evaluate(state)
                value = accuracy + cell["seed"] / 1000
                record.metrics(step, network=cell.name, eval_accuracy=value)
            step *= 2
        return state

    def errors(function, images, variables):
        assert images.shape == (2, 32, 32, 1)
        shape = jax.eval_shape(function, images, variables).shape
        first = np.asarray(variables["params"]["conv1"]["kernel"]).ravel()[0]
        vertical, horizontal = np.indices((4, 4))
        return shape[1] + first + 10 * vertical + horizontal

    monkeypatch.setattr(Network, "train", with_curve)
    monkeypatch.setattr(symmetry, "errors_over_shifts", errors)
    return watch


def kernels(network, seed):
    return np.asarray(network.initial(seed).params["conv1"]["kernel"])


def test_every_cell_trains_and_evaluates_what_its_factors_say(learning, tmp_path):
    found = learning.run(weight_sharing, CONFIG, tmp_path, page=False)
    trained = [
        tuple(str(call.factors[each]) for each in ("conv", "variant", "training", "seed"))
        for call in learning.trained
    ]
    assert trained == [(*arm, seed) for arm in ARMS for seed in ("3", "5")]
    standard = learning.trained[0].network
    evaluations = iter(learning.evaluated)
    for call, row in zip(learning.trained, found.rows, strict=True):
        conv, variant, training = (row[each] for each in weight_sharing.ARM)
        how, seed = call.network.training.config, row["seed"]
        factor = {"plain": 2, "narrow": 4}.get(variant, 1)
        steps = 8 * (factor if (conv, training) == ("tiled(tile=2)", "translated") else 1)
        assert how.steps == steps
        assert how.learning_rate == row["learning_rate"] == (0.03 if variant == "tied" else 0.01)
        assert how.optimizer == (PHASES if variant == "phases" else "adam")
        assert (how.schedule, how.ema_decay, how.batch_size) == ("constant", 0.5, 8)
        model = call.network.model
        assert model.features == ((1, 2) if variant == "narrow" else (2, 4))
        assert (model.strides, model.kernel_size) == ((1, 2), 3)
        assert model.conv.func is (Conv if conv == "standard" else TiledConv)
        moved = training == "translated"
        assert call.values == {"translation": 32 if moved else 1}
        # Test images alone, placed as in training, once for each point of the curve.
        points = {8: 3, 16: 4, 32: 5}[steps]
        for evaluation in (next(evaluations) for _ in range(points)):
            assert (evaluation.split, evaluation.seed, evaluation.trained) == ("test", seed, True)
            assert evaluation.repeats == (3 if moved else 1)
            assert evaluation.values == call.values
        if variant in ("tied", "phases"):
            shared = np.broadcast_to(kernels(standard, seed), (2, 2, 3, 3, 1, 2))
            np.testing.assert_array_equal(kernels(call.network, seed), shared)
        else:
            assert call.network.start is None
    assert next(evaluations, None) is None
    check_observed(found, learning)


def check_observed(found, learning):
    by_arm = {tuple(call.factors.values()): call.network for call in learning.trained}
    for row, factors in zip(found.rows, by_arm, strict=True):
        network, seed = by_arm[factors], row["seed"]
        tiled = row["conv"] != "standard"
        assert (row["tile"], row["index"]) == ((2, 4) if tiled else (1, 1))
        points = {8: 3, 16: 4, 32: 5}[network.training.config.steps]
        assert row["images"] == 8 * 2**points
        assert row["accuracy"] == (0.1, 0.7, 0.8, 0.9, 0.95)[points - 1] + seed / 1000
        part = (0.5 - 0.1 - seed / 1000) / 0.6
        assert row["needed.50"] == pytest.approx(16 * 2**part)
        part = (0.1 - seed / 1000) / 0.1
        assert row["needed.80"] == pytest.approx(32 * 2**part)
        (curve,) = found.where(**dict(zip(found.factors, row.values()))).array("curve")
        np.testing.assert_array_equal(curve[0], [16, 32, 64, 128, 256][:points])
        assert curve[1, 0] == pytest.approx(0.1 + seed / 1000)
        before = network.initial(seed).params
        (errors,) = found.where(**dict(zip(found.factors, row.values()))).array("errors")
        # Horizontal shifts, of the first layer, before training.
        first = np.asarray(before["conv1"]["kernel"]).ravel()[0]
        np.testing.assert_allclose(errors, 32 + first + np.arange(4), rtol=1e-3)
        if not tiled:
            assert row.get("defect.after.conv1") is None
            continue
        after = changed(before)
        for when, params in (("before", before), ("after", after)):
            expected = symmetry.matched_defects(params)
            for layer in ("conv1", "conv2"):
                assert row[f"defect.{when}.{layer}"] == pytest.approx(expected[layer], abs=1e-9)
        assert (row["defect.before.conv1"] == 0) == (row["variant"] in ("tied", "phases"))
        assert 0.1 < row["defect.anew.conv1"] != row["defect.before.conv1"]
        assert row["multiply_adds"] == network.multiply_adds


def test_learning_rates_are_chosen_on_validation_images_after_half_the_budget(
    learning, tmp_path, monkeypatch
):
    monkeypatch.setattr(tuning, "FACTORS", (1, 3))
    config = Config(
        conv=CONFIG.conv,
        variants=(),
        budget_factors={"tiled(tile=2) plain translated": 4},
        rate_factors={"standard plain translated": 7},
        features=(2, 2),
        strides=(1, 2),
        translations=3,
        tune=True,
        tuning_seeds=(1000,),
        train=CONFIG.train,
    )
    found = learning.run(weight_sharing, config, tmp_path)
    arms = [arm for arm in ARMS if arm[1] == "plain"]
    assert [tuple(map(str, list(call.factors.values())[:3])) for call in learning.trained] == [
        arm for arm in arms for _ in range(2)
    ]
    for call in learning.trained:
        how = call.network.training.config
        assert how.learning_rate == call.factors["learning_rate"]
        grown = tuple(map(str, call.factors.values()))[:3] == ARMS[2]
        assert how.steps == (16 if grown else 8)
    assert {call.split for call in learning.evaluated} == {"validation"}
    for row in found.rows:
        moved = row["training"] == "translated"
        call = learning.evaluation(row["accuracy"])
        assert call.values == {"translation": 32 if moved else 1}
    results = json.loads((tmp_path / "results.json").read_text("utf-8"))
    # The last rate of an arm is the best here, since every call gives more than the one before.
    assert results["rate_factors"] == {" ".join(arm): 3 for arm in arms}


def made(exponent):
    """Observations: 1000 t^a images to 50 %, with a by variant, training and seed."""
    tiles = {"standard": 1, "tiled(tile=2)": 2, "tiled(tile=4)": 4, "local": None}
    rows = []
    for variant, training in (
        ("plain", "translated"),
        ("tied", "translated"),
        ("plain", "centred"),
    ):
        for conv, tile in tiles.items():
            if variant == "plain" or tile in (2, 4):
                for seed in (0, 1, 2):
                    row = {"conv": conv, "variant": variant, "training": training, "seed": seed}
                    needed = 1000 * (tile or 9) ** exponent(variant, training, seed)
                    rows.append({**row, "tile": tile, "needed.50": needed})
    return Observations(rows, (*weight_sharing.ARM, "seed"))


def test_exponents_are_those_of_each_tile_against_the_one_before():
    exact = {("plain", "translated"): 2.0, ("tied", "translated"): 0.5, ("plain", "centred"): 0.0}
    found = made(lambda variant, training, seed: exact[variant, training] + 0.1 * (seed - 1))
    for row in found.rows:  # three times as many at t = 4
        row["needed.50"] *= 3 if row["tile"] == 4 else 1
    rows = weight_sharing.exponents(found, {"50 %": "needed.50"})
    assert [row["t"] for row in rows] == 3 * ["1 to 2", "2 to 4"]
    for row in rows:
        more = np.log2(3) if row["t"] == "2 to 4" else 0
        expected = exact[row["variant"], row["images"]] + more
        assert row["exponent"].mean == pytest.approx(expected)
        assert row["exponent"].std == pytest.approx(0.1)
        assert (row["exponent"].n, row["level"]) == (3, "50 %")
    # What one seed did not reach is left out for all.
    for row in found.rows:
        if row["tile"] == 4 and row["seed"] == 1:
            row["needed.50"] = None
    rows = weight_sharing.exponents(found, {"50 %": "needed.50"})
    assert {row["t"] for row in rows if row["exponent"]} == {"1 to 2"}
    for row in found.rows:
        row["needed.50"] = 700.0 if row["tile"] == 1 else None
    for row in weight_sharing.exponents(found, {"50 %": "needed.50"}):
        assert row["exponent"] is None


def test_the_page_shows_each_number_under_its_heading(run_directory, tmp_path, monkeypatch):
    shutil.copytree(run_directory, tmp_path / "copy")
    record = Record(tmp_path / "copy")
    found = Observations.read(record.directory)
    drawn = pages.calls(monkeypatch, "collapse")
    for number, row in enumerate(found.rows):
        row |= {"needed.15": 1000.5 + 100 * number, "accuracy": 0.11 + 0.1 * number}
        for layer in ("conv1", "conv2") if row["conv"] != "standard" else ():
            for place, when in enumerate(weight_sharing.WHEN):
                defect = 0.01 * (1 + number + 10 * place) + (layer == "conv2")
                row[f"defect.{when}.{layer}"] = defect
    weight_sharing.page(found, record)
    # Rows: standard translated and centred, tiled plain and tied translated, plain centred.
    slopes = [np.log2(1200.5 / 1000.5), np.log2(1400.5 / 1100.5)]
    lead = pages.lead(record.directory)
    for slope, training in zip(slopes, ("translated", "centred"), strict=True):
        assert f"to 15 % on {training} images {slope:.3f} (t = 1 to 2)" in lead
    exponents, needed, more, defects = pages.tables(record.directory)
    assert [row["variant"] for row in exponents] == ["plain", "plain", "tied"]
    assert float(exponents[2]["exponent"]) == pytest.approx(np.log2(1300.5 / 1000.5), abs=1e-3)
    for number, row in enumerate(needed):
        assert float(row["images to 15 %"].replace(",", "")) == pytest.approx(
            1000.5 + 100 * number, abs=1
        )
        assert float(row["accuracy at the end (%)"]) == pytest.approx(11 + 10 * number)
    assert [row["variant"] for row in more] == ["tied start"]
    for number, row in zip((2, 3), defects, strict=True):
        for layer in ("conv1", "conv2"):
            for place, words in enumerate(weight_sharing.WHEN.values()):
                expected = 0.01 * (1 + number + 10 * place) + (layer == "conv2")
                assert float(row[f"{layer}, {words}"]) == pytest.approx(expected)
    (((errors, curves, scales), options),) = drawn
    assert list(errors) == options["ordered"] == ["standard", "tiled(tile=2)"]
    assert scales == {"standard": 1, "tiled(tile=2)": 4}
    assert options["levels"] == [15.0]
    assert [(curve.name, curve.variant) for curve in curves] == [
        ("standard", ""),
        ("tiled(tile=2)", ""),
        ("tiled(tile=2)", "tied start"),
    ]
    (curve,) = found.where(conv="tiled(tile=2)", variant="tied").array("curve")
    np.testing.assert_array_equal(curves[2].x, curve[0])
    np.testing.assert_allclose(curves[2].y, 100 * curve[1:])


def test_the_smallest_run_counts_its_images_and_finds_its_lattices(run_directory):
    found = Observations.read(run_directory)
    assert [tuple(row[each] for each in weight_sharing.ARM) for row in found.rows] == [
        arm for arm in ARMS if arm[1] in ("plain", "tied")
    ]
    # 5, 10, 20 and 40 steps of 32 images; the budget of the plain tiled network is twice the other.
    for row in found.rows:
        factors = {each: row[each] for each in (*weight_sharing.ARM, "seed")}
        (curve,), (errors,) = (found.where(**factors).array(each) for each in ("curve", "errors"))
        long = (row["conv"], row["variant"], row["training"]) == ARMS[2]
        assert curve[0].tolist() == [160, 320, 640, 1280][: 4 if long else 3]
        assert row["accuracy"] == pytest.approx(curve[1, -1], rel=1e-3)
        exact = np.flatnonzero(errors <= symmetry.EXACT)
        step = 2 if row["conv"] != "standard" and row["variant"] != "tied" else 1
        np.testing.assert_array_equal(exact, np.arange(0, 16, step))
    results = json.loads((run_directory / "results.json").read_text("utf-8"))
    assert {"rows", "exponents", "curves", "errors"} <= set(results)
    assert (run_directory / "figures" / "price.png").is_file()


def test_a_run_that_lost_an_observation_finds_its_curve_again(run_directory, complete_again):
    said = complete_again(run_directory, SMALL, [1])
    assert "conv=standard, variant=plain, training=centred" in said
    assert "conv=tiled" not in said


@pytest.mark.fast
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--levels", "1"], "levels[0] must be at least 0 and below 1, got 1"),
        (["--canvas", "18"], "canvas must be a multiple of 4, got 18"),
        (["--conv", "tiled", "--conv.tile", "2"], "conv must have standard and tiled ones"),
        (["--conv", "standard"], "conv must have standard and tiled ones"),
        (["--train.schedule", "cosine"], "train.schedule must be constant, got 'cosine'"),
        (["--variants", "wide"], "wide"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["weight_sharing", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("|", " ").split())
    assert not directory.exists()


@pytest.mark.fast
def test_every_budget_is_that_of_an_arm():
    for config in weight_sharing.PRESETS.values():
        arms = {" ".join(map(str, each.values())) for each in config.networks}
        assert set(config.budget_factors) <= arms
        assert set(config.rate_factors) <= arms

"""The study of learned invariance: what each cell trains and measures, what the page says."""

import functools
import json
import math

import jax
import numpy as np
import pytest

import launch
from cnnjax import symmetry
from cnnjax.report import format_summary
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig
from experiments import learned_invariance
from experiments.learned_invariance import Config, measures
from tests.experiments import pages
from tests.experiments.fakes import changed

SMALL = ["learned_invariance", "smoke", "--test-images", "32", "--train.steps", "4"]
SMALL += ["--train.log-every", "2", "--train.batch-size", "16"]


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    run = tmp_path_factory.mktemp("learned") / "run"
    assert launch.main([*SMALL, "--workdir", str(run)]) == 0
    return run


@functools.partial(jax.jit, static_argnums=0)
def predictions(model, params, views):
    """Classes of the images of each view."""
    return [model.apply({"params": params}, view).argmax(-1) for view in views]


def test_every_cell_trains_and_measures_what_its_factors_say(watch, tmp_path):
    config = Config(
        detectors=(1, 3),
        rotated_copies=(2,),
        test_images=40,
        angles=4,
        seeds=(3, 5),
        train=TrainConfig(steps=7, batch_size=64),
    )
    found = watch.run(learned_invariance, config, tmp_path, page=False)
    networks = [(pooling, k) for pooling in ("detectors", "hidden") for k in (1, 3)]
    networks += [("rotations", 2), ("none", None), ("space", None)]
    cells = [
        (*network, training, seed)
        for network in networks
        for training in ("upright", "rotated")
        for seed in (3, 5)
    ]
    factors = ("pooling", "k", "training", "seed")
    assert [tuple(row.get(name) for name in factors) for row in found.rows] == cells
    trained = [tuple(call.factors.get(name) for name in factors) for call in watch.trained]
    assert trained == cells
    assert len({id(call.network.training) for call in watch.trained}) == len(networks)
    task = watch.trained[0].network.task
    images, labels = task.test.images[:40], task.test.labels[:40]
    views = [np.rot90(task.place(images), turns, (1, 2)) for turns in range(4)]
    for row, call in zip(found.rows, watch.trained, strict=True):
        assert call.values == {
            "largest_angle": {"upright": 0, "rotated": 2 * math.pi}[row["training"]]
        }
        assert call.network.training.config == config.train
        model = call.network.model
        assert (model.pooling, model.classes) == (row["pooling"], 10)
        if "k" in row:
            assert model.detectors == row["k"]
        params = changed(call.network.initial(row["seed"]).params)
        predicted = predictions(model, params, views)
        expected = [float((np.asarray(classes) == labels).mean()) for classes in predicted]
        one = Observations([row], found.factors, tmp_path)
        assert one.array("accuracy_by_angle")[0] == pytest.approx(expected)
        assert row["accuracy_upright"] == pytest.approx(expected[0])
        assert row["parameters"] == sum(leaf.size for leaf in jax.tree.leaves(params))
        if row["pooling"] in ("detectors", "rotations"):
            kept = one.array("filters")[0]
            np.testing.assert_allclose(kept, model.class_filters(params, 5), rtol=1e-6)
    assert watch.evaluated == []


def test_accuracy_and_firing_by_hand():
    labels = np.array([0, 1, 1, 0])
    classes = np.array([[0, 1, 1, 0], [0, 0, 1, 1], [0, 0, 0, 1], [1, 0, 0, 1]])
    logits = 2.0 * np.eye(2)[classes]
    # A third logit, never the highest, fires at one image at every angle and at no other.
    logits = np.concatenate([logits, np.zeros((4, 4, 1))], -1)
    logits[..., 2] = -1
    logits[:, 2, 2] = -0.5
    found = measures(Config(firing_rate=0.25), labels, logits.astype(np.float32))
    assert set(found) == {
        "accuracy_upright",
        "accuracy_rotated",
        "accuracy_by_angle",
        "firing_logits",
    }
    assert found["accuracy_by_angle"] == pytest.approx([1, 0.5, 0.25, 0])
    assert found["accuracy_upright"] == 1
    assert found["accuracy_rotated"] == pytest.approx(1.75 / 4)
    # Perfect invariance, 1 / rate, of the best fifth of three units: of one.
    assert found["firing_logits"] == pytest.approx(4)


def test_specialisation_by_hand():
    """Detectors of class 0 have the largest response along an axis, of 1 in directions; 2: one."""
    labels = np.array([0, 1, 2, 2])
    strongest = {0: [0, 1, 0, 1], 1: [0, 0, 0, 1], 2: [0, 0, 0, 0]}
    detectors = np.zeros((4, 4, 3, 2), np.float32)
    for image, label in enumerate(labels):
        for angle, winner in enumerate(strongest[label]):
            detectors[angle, image, :, 1 - winner] = 1  # of the other classes the other one
            detectors[angle, image, label] = 0
            detectors[angle, image, label, winner] = 1
    logits = detectors.max(-1)
    config = Config(shown_class=1, firing_rate=0.25)
    found = measures(config, labels, logits, detectors)
    entropy = -0.75 * math.log(0.75) - 0.25 * math.log(0.25)
    assert found["effective_number"] == pytest.approx((2 + math.exp(entropy) + 1) / 3)
    # Class 1: three quarters of |1 + i - 1| / 3 and a quarter of 1, at doubled angles too.
    assert found["direction"] == pytest.approx((0 + 0.5 + 0) / 3, abs=1e-6)
    assert found["axis"] == pytest.approx((1 + 0.5 + 0) / 3, abs=1e-6)
    np.testing.assert_array_equal(found["shares"], [[1, 0], [1, 0], [1, 0], [0, 1]])
    # Classes of one image stay as they are; that of two always has the same detector.
    assert found["chance"] == pytest.approx({"direction": 0.5 / 3, "axis": 1.5 / 3}, abs=1e-6)


def test_firing_of_detectors_is_that_of_every_detector_of_every_class():
    labels = np.array([0, 1, 1, 0])
    detectors = np.random.default_rng(0).normal(size=(4, 4, 2, 3)).astype(np.float32)
    # One of six units fires at one image at every angle.
    detectors[..., 1, 2] = -5
    detectors[:, 3, 1, 2] = 5
    logits = np.zeros((4, 4, 2), np.float32)
    found = measures(Config(shown_class=0, firing_rate=0.25), labels, logits, detectors)
    assert found["firing_detectors"] == pytest.approx(4)
    assert found["firing_logits"] == 1  # constant


def test_firing_is_of_the_rate_of_the_configuration():
    labels = np.arange(6) % 2
    detectors = np.random.default_rng(0).normal(size=(8, 6, 2, 3)).astype(np.float32)
    logits = detectors.max(-1)
    for rate in (0.1, 0.3):
        found = measures(Config(shown_class=0, firing_rate=rate), labels, logits, detectors)
        units = detectors.reshape(8, 6, 6)
        assert found["firing_logits"] == symmetry.firing_invariance(logits, rate)
        assert found["firing_detectors"] == symmetry.firing_invariance(units, rate)


@pytest.fixture
def made(tmp_path):
    """A run of three networks and three seeds, each number of its own, and its observations."""
    config = Config(
        detectors=(1, 2), rotated_copies=(1,), test_images=30, angles=4, seeds=(0, 1, 2)
    )
    record = Record.open(tmp_path / "made", config)
    facts = {"data": "digits", "classes": 10, "test_examples": 21, "image_shape": [24, 24, 1]}
    record.write_task("digits", facts)
    networks = [{"pooling": name, "k": k} for name in ("detectors", "hidden") for k in (1, 2)]
    networks += [{"pooling": "rotations", "k": 1}, {"pooling": "space"}]
    grid = record.each(network=networks, training=("upright", "rotated"), seed=config.seeds)
    rng = np.random.default_rng(0)
    for number, cell in enumerate(grid):
        base = 0.2 + number / 100
        values = {name: (1 + n / 10) * base for n, name in enumerate(NUMBERS.values())}
        values["firing_logits"] += 0.01 * cell["seed"] ** 2
        if cell["pooling"] in ("space", "hidden"):
            values = {n: v for n, v in values.items() if n in list(NUMBERS.values())[:3]}
        else:
            values |= {"shares": rng.uniform(size=(4, 2)), "filters": rng.normal(size=(2, 8, 8))}
        record.observe(cell, parameters=700, accuracy_by_angle=base + np.arange(4) / 10, **values)
    yield record, record.observations()
    record.release()


NUMBERS = {
    "accuracy, upright (%)": "accuracy_upright",
    "any angle (%)": "accuracy_rotated",
    "firing, logits": "firing_logits",
    "firing, detectors": "firing_detectors",
    "effective number": "effective_number",
    "direction": "direction",
    "axis": "axis",
    "direction, by chance": "chance.direction",
    "axis, by chance": "chance.axis",
}


def test_the_page_shows_each_number_under_its_heading(made, monkeypatch):
    record, found = made
    polar, rows, lines = (
        pages.calls(monkeypatch, name) for name in ("polar", "image_rows", "line_panels")
    )
    learned_invariance.page(found, record)
    table, trained, pooled = pages.tables(record.directory)
    names = {"detectors": "learned filters", "hidden": "nothing (hidden layer)",
             "rotations": "rotated copies", "space": "all positions"}  # fmt: skip
    expected, shares, filters = [], {}, {}
    curves = {"upright": {}, "rotated": {}}
    told = {"detectors": [], "hidden": [], "rotations": []}
    for (pooling, k, training), group in found.groups().items():
        line = {"pooled over": names[pooling], "k": "–" if k is None else str(k)}
        line |= {"trained on": training, "parameters": "700"}
        for heading, number in NUMBERS.items():
            if number not in group.numbers:
                line[heading] = "–"
                continue
            (summary,) = group.summary(number, "training").values()
            line[heading] = format_summary(summary, 100 if "%" in heading else 1)
        expected.append(line)
        name = names[pooling] if k is None else f"{names[pooling]}, k = {k}"
        curves[training][name] = group.array("accuracy_by_angle").mean(0)
        if pooling in ("detectors", "rotations"):
            shares[f"{name}\ntrained {training}"] = group.array("shares")[0]
        if pooling in ("detectors", "rotations") and training == "rotated":
            filters[name] = group.array("filters")[0].round(3)
        if pooling in told and training == "rotated":
            told[pooling].append(
                f"{line['any angle (%)']} % and {line['firing, logits']} (k = {k}, 700 parameters)"
            )
    assert table == expected

    def difference(number, scale, one, other):
        values = [found.where(**each).column(number) for each in (one, other)]
        return format_summary(summarize(values[0] - values[1]), scale)

    pooled_1, pooled_2, hidden_1, hidden_2 = (
        {"pooling": pooling, "k": k, "training": "rotated"}
        for pooling in ("detectors", "hidden")
        for k in (1, 2)
    )
    assert pages.lead(record.directory) == (
        "Accuracy at any angle and firing of the logits (1: not invariant, 20: perfectly), trained "
        "on rotated images, evaluated on 21 test images: maximum of k learned filters "
        f"{', '.join(told['detectors'])}; hidden layer of as many {', '.join(told['hidden'])}; "
        f"maximum of k filters in four rotated copies {told['rotations'][0]}. Maximum of learned "
        "filters, paired by seed: firing minus that of k = 1, "
        f"{difference('firing_logits', 1, pooled_2, pooled_1)} (k = 2); accuracy minus that of the "
        f"hidden layer, {difference('accuracy_rotated', 100, pooled_1, hidden_1)} (k = 1), "
        f"{difference('accuracy_rotated', 100, pooled_2, hidden_2)} (k = 2) points."
    )

    assert [(row["pooled over"], row["k"], row["trained on"]) for row in trained] == [
        (names[pooling], "–" if k is None else str(k), "rotated")
        for pooling, k in found.groups("pooling", "k")
    ]
    assert [(row["pooled over"], row["k"], row["trained on"]) for row in pooled] == [
        ("learned filters", k, training) for k in "12" for training in ("upright", "rotated")
    ]
    for row, (pooling, k) in zip(trained, found.groups("pooling", "k"), strict=True):
        for heading, number in list(NUMBERS.items())[1:7]:
            one, other = (
                {"pooling": pooling, "k": k, "training": training}
                for training in ("rotated", "upright")
            )
            expected = "–"
            if number in found.where(**one).numbers:
                expected = difference(number, 100 if "%" in heading else 1, one, other)
            assert row[heading] == expected
    for row in pooled:
        for heading, number, scale in (
            ("any angle (%)", "accuracy_rotated", 100),
            ("firing, logits", "firing_logits", 1),
        ):
            one, other = (
                {"pooling": pooling, "k": row["k"], "training": row["trained on"]}
                for pooling in ("detectors", "hidden")
            )
            assert row[heading] == difference(number, scale, one, other)
    ((panels, angles), _) = polar[0]
    np.testing.assert_allclose(angles, [0, 90, 180, 270])
    assert list(panels) == list(shares)
    (((drawn,), options),) = rows
    assert options == {"signed": True, "framed": True}
    assert list(drawn) == list(filters)
    for given, right in ((panels, shares), (drawn, filters)):
        for name, values in right.items():
            np.testing.assert_array_equal(given[name], values)
    (((given, places, _), options),) = lines
    assert options["reference"] == 10
    np.testing.assert_allclose(places, [0, 90, 180, 270, 360])
    assert list(given) == ["trained on upright images", "trained on rotated images"]
    for drawn, each in zip(given.values(), curves.values(), strict=True):
        assert list(drawn) == list(each)
        for name, curve in each.items():
            np.testing.assert_allclose(drawn[name], 100 * curve[[0, 1, 2, 3, 0]])
    text = (record.directory / "report.md").read_text("utf-8")
    assert "Accuracy on 21 test images, upright and at 4 angles. 5 % of responses" in text
    assert text.count("On 21 test images. Minus") == 2
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["rotated_images"] == 21
    np.testing.assert_allclose(results["accuracy_by_angle"]["rotated"]["all positions"], curve)


def test_one_filter_never_specialises_and_rotated_copies_share_alike(run_directory):
    found = Observations.read(run_directory)
    rows = {(row["pooling"], row["k"], row["training"]): row for row in found.rows}
    for training in ("upright", "rotated"):
        one = rows["detectors", 1, training]
        assert one["effective_number"] == 1
        assert one["direction"] == one["axis"] == 0
        assert rows["detectors", 2, training]["effective_number"] > 1.01
        built = rows["rotations", 1, training]
        # Rotated copies win as often as each other, each about its own angle.
        assert built["effective_number"] > 3.9
        assert built["direction"] > 0.2
    for accuracy in found.where(pooling="rotations").array("accuracy_by_angle"):
        np.testing.assert_allclose(accuracy, np.roll(accuracy, 2), atol=1e-6)
    page = (run_directory / "report.html").read_text("utf-8")
    assert "<h2>Detector with the largest response as a 5 rotates</h2>" in page
    shown = json.loads((run_directory / "results.json").read_text("utf-8"))
    assert np.array(shown["filters"]["learned filters, k = 1"]).shape == (1, 24, 24)
    for shares in shown["shares"].values():
        np.testing.assert_allclose(np.array(shares).sum(1), 1, atol=1e-6)


def test_a_run_that_lost_its_end_is_completed_to_the_same_numbers(run_directory, complete_again):
    said = complete_again(run_directory, SMALL, [3])
    assert said.count("pooling=") == 1
    assert "pooling=detectors, k=2, training=rotated" in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--angles", "6"], "angles must be a multiple of 4, got 6"),
        (["--angles", "0"], "angles must be a multiple of 4, got 0"),
        (["--firing-rate", "1.0"], "firing_rate must be between 0 and 1, got 1.0"),
        (["--detectors", "0"], "detectors[0] must be at least 1, got 0"),
        (["--detectors", "2", "2"], "each once"),
        (["--rotated-copies", "2", "2"], "each once"),
        (["--test-images", "0"], "test_images must be at least 1"),
        (["--shown-class", "10"], "shown_class must be one of the classes [0, 1, 2"),
        (["--test-images", "1"], "of the first 1 test images, got 5"),
    ],
)
def test_wrong_input_is_one_sentence(arguments, message, tmp_path, capsys):
    directory = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        launch.main(["learned_invariance", "smoke", "--workdir", str(directory), *arguments])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("|", " ").split())
    assert not directory.exists()

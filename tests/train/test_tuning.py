"""Learning rates chosen for each arm: which are tried, on what, which is taken, what is said."""

import dataclasses
import json
import math

import pytest

from cnnjax import report
from cnnjax.run.cells import Cell
from cnnjax.run.config import InputError, StudyConfig
from cnnjax.run.learning_rates import chosen_rates, rate_factors
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.train.config import TrainConfig
from cnnjax.train.stops import Diverged
from cnnjax.train.tuning import TunedConfig, tune
from tests.experiments import pages


@dataclasses.dataclass(frozen=True)
class Config(TunedConfig, StudyConfig):
    """A study of two kinds of layers, each trained in two ways."""

    train: TrainConfig = TrainConfig(steps=10, batch_size=4, learning_rate=0.01)


ARMS = {"layer": ("one", "two"), "data": ("still", "moved")}
FACTS = {
    "data": "made",
    "train_examples": 50,
    "validation_examples": 10,
    "test_examples": 20,
    "image_shape": (4, 4, 1),
}
SCORES = {  # accuracy and loss of both seeds: at a third of the rate, at the rate, at 3 times it
    "one still": (((0.5, 1), (0.7, 1)), ((0.9, 1), (0.5, 1)), ((0.2, 1), (0.3, 1))),
    "one moved": (((0.5, 1), (0.5, 3)), ((0.5, 1), (0.5, 2)), ((0.5, 2), (0.5, 3))),
    "two still": (((0.1, 1), (0.1, 1)), ((0.2, 1), (0.2, 1)), ((0.3, 1), (0.3, 1))),
    "two moved": (((0.1, 1), (0.1, 1)), ((0.2, 1), (0.2, 1)), ((1.0, 1), None)),
}
CHOSEN = {"one still": 0.01, "one moved": 0.01, "two still": 0.03, "two moved": 0.01}


@pytest.fixture
def tuned(tmp_path):
    """A tuning run of these scores, and what was asked of each network."""
    config, asked = Config(tune=True), []
    record = Record.open(tmp_path / "run", config)

    def train(cell):
        rate = config.train_for(cell, "layer", "data").learning_rate
        score = SCORES[f"{cell['layer']} {cell['data']}"][(0.00333, 0.01, 0.03).index(rate)]
        made = score[(1000, 1001).index(cell["seed"])]
        if made is None:
            raise Diverged("loss is nan")

        def evaluate(split):
            asked.append((*cell.values(), split))
            return {"accuracy": made[0], "loss": made[1], "count": 10.0}

        return evaluate

    record.write_task("made", FACTS)
    tune(config, record, train, **ARMS)
    return record, asked


def test_every_arm_is_trained_with_every_rate_and_validated(tuned):
    record, asked = tuned
    wanted = [
        (layer, data, rate, seed, "validation")
        for layer in ARMS["layer"]
        for data in ARMS["data"]
        for rate in (0.00333, 0.01, 0.03)
        for seed in (1000, 1001)
    ]
    assert asked == wanted[:-1]  # the last one diverged
    found = record.observations()
    assert len(found) == 24
    assert math.isnan(found.column("accuracy")[-1])
    assert found.column("accuracy")[:4].tolist() == [0.5, 0.7, 0.9, 0.5]


def test_the_highest_mean_accuracy_is_chosen_then_the_lowest_loss_of_what_did_not_diverge(tuned):
    record, _ = tuned
    assert chosen_rates(record.observations()) == CHOSEN
    assert chosen_rates(Observations.read(record.directory)) == CHOSEN


def test_an_arm_that_always_diverges_is_an_error():
    rows = [
        {"layer": "one", "learning_rate": rate, "seed": 1000, "accuracy": None, "loss": None}
        for rate in (0.1, 0.3)
    ]
    good = {"layer": "two", "learning_rate": 0.1, "seed": 1000, "accuracy": 0.5, "loss": 1.0}
    found = Observations([*rows, good], ("layer", "learning_rate", "seed"))
    with pytest.raises(InputError, match=r"must be lower: one diverged with each of 0\.1, 0\.3"):
        chosen_rates(found)


def test_the_page_shows_each_rate_under_its_heading_and_which_is_chosen(tuned):
    record, _ = tuned
    report.write_tuning_page(record, "Which layer?\n\nBoth.")
    assert pages.lead(record.directory) == (
        "Learning rate of each arm: one still 0.01, one moved 0.01, two still 0.03 and two moved "
        "0.01."
    )
    (rows,) = pages.tables(record.directory)
    assert [list(row.values()) for row in rows] == [
        ["one still", "60.0", "70.0", "25.0", "0.01"],
        ["one moved", "50.0", "50.0", "50.0", "0.01"],
        ["two still", "10.0", "20.0", "30.0", "0.03"],
        ["two moved", "10.0", "20.0", "–", "0.01"],
    ]
    assert list(rows[0]) == ["arm", "0.00333", "0.01", "0.03", "chosen"]
    text = (record.directory / "report.md").read_text("utf-8")
    assert "on 10 validation images" in text
    assert "a rate may be better still: two still." in text
    assert text.partition("rate_factors={")[2].partition("}")[0].split() == [
        '"two',
        'still":',
        "3,",
    ]
    results = json.loads((record.directory / "results.json").read_text("utf-8"))
    assert results["learning_rates"] == CHOSEN
    assert results["rate_factors"] == {"two still": 3}


def test_the_chosen_rates_are_those_of_the_study_whose_configuration_holds_their_factors():
    for base in (0.006, 0.01, 7e-4):
        config = Config(train=TrainConfig(learning_rate=base))
        chosen = dict(zip(("a", "b", "c"), config.rates, strict=True))
        factors = rate_factors(chosen, base)
        assert factors == {"a": 0.333, "c": 3}
        config = dataclasses.replace(config, rate_factors=factors)
        assert {
            arm: config.train_for({"layer": arm}, "layer").learning_rate for arm in chosen
        } == chosen


def test_a_study_trains_each_arm_with_its_rate():
    config = Config(rate_factors={"one moved": 50, "two moved": 0.2})
    rates = {
        (layer, data): config.train_for(cell, "layer", "data").learning_rate
        for layer in ARMS["layer"]
        for data in ARMS["data"]
        for cell in [Cell({"layer": layer, "images": 3, "data": data, "seed": 0})]
    }
    assert rates == {
        ("one", "still"): 0.01,
        ("one", "moved"): 0.5,
        ("two", "still"): 0.01,
        ("two", "moved"): 0.002,
    }
    # In tuning the cell says it, whatever was chosen before.
    cell = Cell({"layer": "one", "data": "moved", "learning_rate": 0.03, "seed": 0})
    assert config.train_for(cell, "layer", "data").learning_rate == 0.03
    assert dataclasses.replace(config.train_for(cell, "layer"), learning_rate=0.01) == config.train


def test_seeds_of_the_study_do_not_tune():
    with pytest.raises(ValueError, match="tuning_seeds must be none of seeds, got 1000 in both"):
        Config(seeds=(0, 1000))
    with pytest.raises(ValueError, match=r"rate_factors\.one must be positive and finite, got 0"):
        Config(rate_factors={"one": 0.0})

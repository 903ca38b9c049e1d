"""Every number of a table stands under its own heading, over the seeds of its own group."""

import dataclasses

import pytest

from cnnjax.report import (
    costs,
    curves_of,
    images_per_second,
    learning_rate,
    over,
    setting,
    summaries,
    summary_table,
)
from cnnjax.run.config import StudyConfig
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import summarize
from cnnjax.train.config import TrainConfig

NAMES = {"none": "Z2CNN", False: "upright", True: "rotated", "turned": "trained on"}


def made(seeds=(0, 1, 2)):
    """Two networks, upright and rotated: every number differs from every other."""
    rows = []
    for group, size in (("none", 25_000), ("p4", 24_000)):
        for turned in (False, True):
            for seed in seeds:
                rows.append(
                    {
                        "group": group,
                        "turned": turned,
                        "seed": seed,
                        "error": 0.1 * (1 + (group == "p4")) + 0.4 * turned + 0.001 * seed,
                        "loss": 7.0 + (group == "p4") + 0.5 * turned,
                        "parameters": size,
                        "exact": group == "p4" and seed != 1,
                    }
                )
    return Observations(rows, ("group", "turned", "seed"))


@pytest.mark.fast
def test_a_table_has_a_row_for_each_group_and_every_number_under_its_heading():
    table = summary_table(
        made(),
        {
            "error (%)": ("error", 100),
            "loss": "loss",
            "parameters": "parameters",
            "exact": "exact",
            "seeds": lambda group: " ".join(map(str, group.seeds)),
        },
        names=NAMES,
        caption="Of test images.",
    )
    assert table.columns == [
        "group", "trained on", "error (%)", "loss", "parameters", "exact", "seeds",
    ]  # fmt: skip
    # Mean 0.101 and std 0.001 of three seeds: 10.1 ± 4.302653 * 0.1 / sqrt(3).
    assert table.rows == [
        ["Z2CNN", "upright", "10.1 ± 0.2", "7.00 ± 0", "25.0 k", "no", "0 1 2"],
        ["Z2CNN", "rotated", "50.1 ± 0.2", "7.50 ± 0", "25.0 k", "no", "0 1 2"],
        ["p4", "upright", "20.1 ± 0.2", "8.00 ± 0", "24.0 k", "2 of 3", "0 1 2"],
        ["p4", "rotated", "60.1 ± 0.2", "8.50 ± 0", "24.0 k", "2 of 3", "0 1 2"],
    ]
    assert table.caption == "Of test images. Mean ± 95 % interval over 3 seeds."


@pytest.mark.fast
def test_two_seeds_have_no_interval():
    table = summary_table(made((0, 2)).where(turned=False), {"error": "error"}, "group")
    assert table.rows == [["none", "0.101"], ["p4", "0.201"]]
    assert table.caption == "Mean over 2 seeds."
    one = summary_table(made((0,)).where(turned=False), {"error": "error"}, "group")
    assert one.caption == "One seed."


@pytest.mark.fast
def test_a_group_without_a_number_has_a_dash():
    rows = list(made().where(turned=True).rows)
    for row in rows:
        if row["group"] == "none":
            del row["error"]
    rows[-1].pop("loss")
    found = Observations(rows, ("group", "seed"))
    table = summary_table(found, {"error": "error", "loss": "loss"})
    assert table.rows == [["none", "–", "7.50 ± 0"], ["p4", "0.601 ± 0.002", "8.50"]]
    assert table.caption == "Mean ± 95 % interval over 3 seeds (of 2 where one is missing)."
    with pytest.raises(ValueError, match="none must have the number 'error', got none"):
        summaries(found, {"error": "error"})


@pytest.mark.fast
def test_what_differs_within_a_group_must_be_the_seed():
    with pytest.raises(ValueError, match=r"'error' must have one value for each seed.*'turned'"):
        summary_table(made(), {"error": "error"}, "group")
    with pytest.raises(ValueError, match=r"number must be one of .*got 'errors'"):
        summary_table(made(), {"error": "errors"})
    with pytest.raises(ValueError, match=r"factor must be one of .*got 'groups'"):
        summary_table(made(), {"error": "error"}, "groups")
    # A cell that is made by a function may be made of anything.
    table = summary_table(made(), {"n": lambda group: str(len(group))}, "group")
    assert (table.rows, table.caption) == ([["none", "6"], ["p4", "6"]], "")


@pytest.mark.fast
def test_a_study_without_factors_is_one_row():
    found = Observations([{"seed": 0, "loss": 1.5}], ("seed",))
    table = summary_table(found, {"loss": "loss"})
    assert (table.columns, table.rows) == (["loss"], [["1.50"]])
    assert over(found, "accuracy") is None


@pytest.mark.fast
def test_summaries_are_those_of_each_group_by_its_words():
    found = summaries(made(), {"test error": "error", "loss": "loss"}, names=NAMES)
    assert list(found) == ["Z2CNN, upright", "Z2CNN, rotated", "p4, upright", "p4, rotated"]
    assert found["p4, upright"] == {
        "test error": summarize([0.2, 0.201, 0.202]),
        "loss": summarize([8.0, 8.0, 8.0]),
    }


FACTS = {
    "data": "digits",
    "train_examples": 1097,
    "validation_examples": 340,
    "test_examples": 360,
    "image_shape": (8, 9, 1),
}


@dataclasses.dataclass(frozen=True)
class Config(StudyConfig):
    train: TrainConfig = TrainConfig(steps=1500, batch_size=64, learning_rate=3e-3)


@pytest.fixture
def record(tmp_path):
    opened = Record.open(tmp_path / "run", Config())
    yield opened
    opened.release()


@pytest.mark.fast
def test_the_setting_is_one_sentence(record):
    record.write_task("digits", FACTS)
    assert setting(record, made((0, 1))).text == (
        "digits: 1,097 training, 340 validation and 360 test images of 8 x 9 x 1; 1,500 steps of "
        "64 images, learning rate 0.003, 2 seeds."
    )


@pytest.mark.fast
def test_the_setting_names_every_data_set_and_the_rates_that_were_chosen(record):
    record.write_task("b", {**FACTS, "data": "b", "validation_examples": 0})
    record.write_task("a", {**FACTS, "data": "a", "train_examples": 5})
    rows = [{"net": n, "seed": 0, "learning_rate": rate} for n, rate in ((1, 0.1), (2, 0.01))]
    assert setting(record, Observations(rows, ("net", "seed"))).text == (
        "a: 5 training, 340 validation and 360 test images of 8 x 9 x 1; "
        "b: 1,097 training and 360 test images of 8 x 9 x 1; "
        "1,500 steps of 64 images, learning rate 0.01 to 0.1, 1 seed."
    )


@pytest.mark.fast
def test_speeds_and_curves_are_those_of_the_groups_own_networks(record):
    for cell in record.each(group=["none", "p4"], seed=(0, 1)):
        number = 10 * (cell["group"] == "p4") + cell["seed"]
        size = {"none": 250, "p4": 240}[cell["group"]]
        record.observe(cell, error=0.5, parameters=size, multiply_adds=8 * size)
        record.metrics(7, network=cell.name, loss=float(number))
        if number != 11:
            record.timings({cell.name: {"images_per_second": 100 + number}})
    found = record.observations()
    speeds = {key: images_per_second(record, group) for key, group in found.groups().items()}
    assert speeds == {"none": 100.5, "p4": 110.0}
    assert costs(record, found, names=NAMES) == {
        "Z2CNN": {
            "parameters": 250,
            "multiply-adds per image": 2000,
            "training images per second": 100.5,
        },
        "p4": {
            "parameters": 240,
            "multiply-adds per image": 1920,
            "training images per second": 110.0,
        },
    }
    (record.directory / "timings.json").unlink()
    assert images_per_second(record, found) is None
    curves = curves_of(record, found, names=NAMES)
    assert {name: [c["loss"]["values"] for c in some] for name, some in curves.items()} == {
        "Z2CNN": [[0.0], [1.0]],
        "p4": [[10.0], [11.0]],
    }
    assert curves["p4"][0]["loss"]["steps"] == [7]


@pytest.mark.fast
def test_the_learning_rate_of_a_group_is_one_or_none():
    rows = [{"group": "a", "seed": seed, "learning_rate": 0.0333} for seed in (0, 1)]
    assert learning_rate(Observations(rows, ("group", "seed"))) == "0.0333"
    rows[1]["learning_rate"] = None
    with pytest.raises(ValueError, match="must have one learning rate"):
        learning_rate(Observations(rows, ("group", "seed")))
    assert learning_rate(Observations([{"group": "a", "seed": 0}], ("group", "seed"))) == "–"

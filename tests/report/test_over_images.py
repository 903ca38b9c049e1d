"""Means over seeds and images, their differences and intervals, against closed forms."""

import math

import numpy as np
import pytest

from cnnjax import report
from cnnjax.run.observations import Observations
from cnnjax.run.record import Record
from cnnjax.run.statistics import bootstrap_interval, summarize
from cnnjax.train.config import TrainConfig


def observed(directory, values):
    """Observations of an array of each arm, `[seeds, images]`, and of its half."""
    record = Record.open(directory, TrainConfig())
    seeds = tuple(range(len(next(iter(values.values())))))
    for cell in record.each(arm=tuple(values), other="x", seed=seeds):
        each = values[cell["arm"]][cell["seed"]]
        record.observe(cell, accuracy=each.mean(), correct=each, half=each / 2)
    record.release()
    return record.observations()


def half_width(estimate):
    low, high = estimate["interval"]
    return (high - low) / 2


def test_noise_of_images_widens_the_mean_and_cancels_in_a_paired_difference(tmp_path):
    """How hard an image is, all networks share; only the second arm has noise of its seeds."""
    random = np.random.default_rng(0)
    hard = random.normal(size=60)
    seeds = 0.2 * random.normal(size=(40, 1))
    found = observed(tmp_path, {"a": np.tile(hard, (40, 1)), "b": hard + 0.5 + seeds})
    one, other = report.results_over_images(found, ["correct", "half"], "arm", "a")
    noise_of_images = 1.96 * hard.std() / math.sqrt(60)
    noise_of_seeds = summarize(seeds[:, 0]).half_width()
    assert half_width(one["means"]["correct"]) == pytest.approx(noise_of_images, rel=0.06)
    both = math.hypot(noise_of_images, noise_of_seeds)
    assert half_width(other["means"]["correct"]) == pytest.approx(both, rel=0.06)
    # The negative control: the interval over seeds alone knows nothing of the images.
    (over_seeds,) = found.where(arm="b").summary("accuracy", "arm").values()
    assert half_width(other["means"]["correct"]) > 3 * over_seeds.half_width()
    change = other["differences"]["correct"]
    assert change["mean"] == pytest.approx(0.5 + seeds.mean())
    assert half_width(change) == pytest.approx(noise_of_seeds, rel=0.06)
    assert other["differences"]["half"]["mean"] == pytest.approx(change["mean"] / 2)
    assert half_width(other["means"]["half"]) == pytest.approx(both / 2, rel=0.06)
    assert (one["factors"], other["factors"]) == ({"arm": "a"}, {"arm": "b"})
    assert one["differences"] is None
    assert {(each["seeds"], each["images"], each["against"]) for each in (one, other)} == {
        (40, 60, "a")
    }


def small(count=5, images=8):
    random = np.random.default_rng(1)
    return {arm: (random.uniform(size=(count, images)) < 0.7).astype(float) for arm in "pqr"}


def test_pairs_are_those_of_the_same_seed_whatever_the_order_of_the_rows(tmp_path):
    values = small()
    found = observed(tmp_path, values)
    shuffled = Observations(
        [found.rows[number] for number in np.random.default_rng(2).permutation(len(found))],
        found.factors,
        found.directory,
    )
    for each in report.results_over_images(shuffled, ["correct"], "arm", "q"):
        own = values[each["factors"]["arm"]]
        assert each["means"]["correct"]["mean"] == pytest.approx(own.mean())
        assert each["means"]["correct"]["interval"] == pytest.approx(bootstrap_interval(own))
        if each["factors"]["arm"] != "q":
            change = own - values["q"]
            expected = {"mean": change.mean(), "interval": bootstrap_interval(change)}
            for name, value in each["differences"]["correct"].items():
                assert value == pytest.approx(expected[name])


def test_differences_are_within_each_value_of_the_other_factors(tmp_path):
    values = small()
    found = Record.open(tmp_path, TrainConfig())
    for number, other in enumerate("xy"):
        arms = ("p", "q") if other == "x" else ("p", "r")
        for cell in found.each(arm=arms, other=other, side="left", seed=(0, 1, 2)):
            found.observe(cell, correct=values[cell["arm"]][cell["seed"]] + number)
    found.release()
    results = report.results_over_images(found.observations(), ["correct"], "arm", "q")
    assert [each["factors"] for each in results] == [
        {"arm": arm, "other": other} for arm, other in ("px", "qx", "py", "ry")
    ]
    assert [each["differences"] is None for each in results] == [False, True, True, True]
    mean = (values["p"] - values["q"])[:3].mean()
    assert results[0]["differences"]["correct"]["mean"] == pytest.approx(mean)


COLUMNS = {"the half": "half", "correct": "correct"}


def test_the_table_has_each_mean_and_difference_under_its_heading(tmp_path):
    results = report.results_over_images(
        observed(tmp_path, small()), ["correct", "half"], "arm", "p"
    )
    words = {"arm": "network", "p": "first"}
    table = report.table_over_images(results, COLUMNS, names=words, caption="Said.")
    assert table.columns == [
        "network",
        "the half (%)", "the half, minus first (points)",
        "correct (%)", "correct, minus first (points)",
    ]  # fmt: skip

    def text(estimate):
        return report.format_interval(estimate["mean"], estimate["interval"], 100)

    rows = [
        ["first", text(results[0]["means"]["half"]), "–", text(results[0]["means"]["correct"]), "–"]
    ]
    for each in results[1:]:
        cells = [each[of][name] for name in ("half", "correct") for of in ("means", "differences")]
        rows.append([each["factors"]["arm"], *map(text, cells)])
    assert table.rows == rows
    assert len({cell for row in rows for cell in row[1:]}) == 11
    assert table.caption == (
        "Said. Mean over 5 seeds and 8 images, 95 % interval by bootstrap of both, differences "
        "paired by both."
    )


def test_fewer_than_three_seeds_have_no_interval(tmp_path):
    for count, said in (
        (1, "Mean over one seed and 1,200 images, no intervals, differences paired by both."),
        (2, "Mean over 2 seeds and 1,200 images, no intervals, differences paired by both."),
        (3, "Mean over 3 seeds and 1,200 images, 95 % interval by bootstrap of both, differences "
            "paired by both."),
    ):  # fmt: skip
        found = observed(tmp_path / str(count), small(count, 1200))
        results = report.results_over_images(found, ["correct"], "arm", "p")
        table = report.table_over_images(results, {"correct": "correct"})
        assert table.caption == said
        has = [each["means"]["correct"]["interval"] is not None for each in results]
        assert has == [count >= 3] * 3
        assert [row[2] == "–" for row in table.rows] == [True, count < 3, count < 3]
        if count < 3:
            mean = summarize(found.where(arm="p").column("accuracy")).mean
            assert table.rows[0][1] == report.format_number(100 * mean)


def test_without_the_value_compared_with_there_are_no_differences(tmp_path):
    results = report.results_over_images(observed(tmp_path, small()), ["correct"], "arm", "z")
    table = report.table_over_images(results, {"correct": "correct"})
    assert table.columns == ["arm", "correct (%)"]
    assert "differences" not in table.caption


def test_wrong_input_is_one_sentence(tmp_path):
    found = observed(tmp_path, small())
    with pytest.raises(ValueError, match=r"factor must be one of \['arm', 'other'\], got 'arms'"):
        report.results_over_images(found, ["correct"], "arms", "p")
    for rows in (found.rows[1:], [*found.rows, found.rows[0]]):
        with pytest.raises(ValueError, match="must have each seed once, those of arm p, got"):
            report.results_over_images(
                Observations(rows, found.factors, found.directory), ["correct"], "arm", "p"
            )

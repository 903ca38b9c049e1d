"""Grids of cells, observations, and what is computed from them."""

import csv
import itertools
import json
import math

import numpy as np
import pytest

from cnnjax.run.cells import Cell, flat_values, grid, text_of, value_of
from cnnjax.run.observations import Observations
from cnnjax.run.process import Share, ShareObserved
from cnnjax.run.record import Record
from tests.run.test_record import Config

pytestmark = pytest.mark.fast

ROWS = [
    {"group": "none", "size": 1, "seed": 0, "error": 0.30, "steps": 5},
    {"group": "none", "size": 1, "seed": 1, "error": 0.20, "steps": 5},
    {"group": "none", "size": 1, "seed": 2, "error": 0.40, "steps": 5},
    {"group": "p4", "size": 1, "seed": 0, "error": 0.10, "steps": 7},
    {"group": "p4", "size": 1, "seed": 1, "error": 0.05, "steps": 7},
    {"group": "p4", "size": 1, "seed": 2, "error": 0.15, "steps": 7},
]


@pytest.fixture
def found():
    return Observations(ROWS, ["group", "size", "seed"])


def test_a_grid_is_every_combination_with_the_seed_fastest():
    cells = grid({"seed": (3, 4), "group": ("a", "b"), "part": "one"})
    assert [tuple(cell.values()) for cell in cells] == [
        ("a", "one", 3),
        ("a", "one", 4),
        ("b", "one", 3),
        ("b", "one", 4),
    ]
    assert list(cells[0]) == ["group", "part", "seed"]
    assert [cell.name for cell in cells[:2]] == ["a one seed 3", "a one seed 4"]
    assert str(cells[0]) == "group=a, part=one, seed=3"


def test_conditions_that_belong_together_are_one_value():
    conditions = [{"pooling": "max", "k": 1}, {"pooling": "space", "k": 2}]
    cells = grid({"network": conditions, "seed": (0,)})
    assert [dict(cell) for cell in cells] == [
        {"pooling": "max", "k": 1, "seed": 0},
        {"pooling": "space", "k": 2, "seed": 0},
    ]


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"group": ("a",)}, "factors must include 'seed', got"),
        ({"group": (), "seed": (0,)}, "factor 'group' must have at least one value"),
        ({"group": ("a", "a"), "seed": (0,)}, "every cell must differ"),
    ],
)
def test_what_is_no_grid(factors, message):
    with pytest.raises(ValueError, match=message):
        grid(factors)


@pytest.mark.parametrize("value", [True, 3, -1, 0.1, 1e-300, 1 / 3, "tiled(tile=2)", "x 1", 2.0])
def test_text_gives_the_value_back(value):
    back = value_of(text_of(value))
    assert back == value
    assert type(back) is type(value)


def test_numbers_and_arrays_of_nested_values():
    numbers, arrays = flat_values(
        {"a": 1, "b": {"c": np.float32(0.5), "d": {"e": np.arange(3)}}, "f": None, "g": (1, 2)}
    )
    assert numbers == {"a": 1, "b.c": 0.5, "f": None}
    assert set(arrays) == {"b.d.e", "g"}
    assert arrays["b.d.e"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("value", ["text", math.nan, np.float32(np.inf), object(), ["a"]])
def test_what_is_no_observation(value):
    with pytest.raises(ValueError, match=r"observation 'x\.y' must be"):
        flat_values({"x": {"y": value}})


def test_summaries_by_hand(found):
    summary = found.summary("error", "group")
    assert list(summary) == ["none", "p4"]
    assert summary["none"].mean == pytest.approx(0.3)
    assert summary["none"].std == pytest.approx(0.1)
    assert summary["p4"].mean == pytest.approx(0.1)
    assert summary["p4"].n == 3
    # 4.302653 is the 0.975 quantile of Student's t with 2 degrees of freedom.
    assert summary["p4"].half_width() == pytest.approx(4.302653 * 0.05 / math.sqrt(3), rel=1e-6)
    assert list(found.summary("error")) == [("none", 1), ("p4", 1)]


def test_differences_are_paired_by_seed(found):
    (difference,) = found.differences("error", "group", against="none").values()
    # -0.20, -0.15, -0.25
    assert difference.mean == pytest.approx(-0.2)
    assert difference.std == pytest.approx(0.05)
    shuffled = Observations([ROWS[i] for i in (2, 4, 0, 5, 1, 3)], found.factors)
    (again,) = shuffled.differences("error", "group", against="none").values()
    assert (again.mean, again.std) == pytest.approx((difference.mean, difference.std))


def test_differences_need_partners(found):
    with pytest.raises(ValueError, match="must have the same seeds"):
        Observations(ROWS[:-1], found.factors).differences("error", "group", against="none")
    with pytest.raises(ValueError, match=r"against must be one of \['none', 'p4'\], got 'p8'"):
        found.differences("error", "group", against="p8")


def test_selection_columns_and_groups(found):
    p4 = found.where(group="p4", seed=1)
    assert len(p4) == 1
    assert p4.column("error").tolist() == [0.05]
    assert len(found.where(seed=(0, 2))) == 4
    assert found.values("group") == ["none", "p4"]
    assert found.seeds == [0, 1, 2]
    assert {key: len(group) for key, group in found.groups("group", "seed").items()} == {
        (group, seed): 1 for group in ("none", "p4") for seed in (0, 1, 2)
    }
    with pytest.raises(ValueError, match=r"number must be one of \['error', 'steps'\], got 'err'"):
        found.column("err")
    with pytest.raises(ValueError, match=r"number must be one of \['error', 'steps'\], got 'err'"):
        found.summary("err", "group")
    with pytest.raises(ValueError, match="factor must be one of"):
        found.where(grp="p4")


def test_a_missing_number_is_left_out_of_a_summary():
    rows = [{"seed": 0, "a": 1.0}, {"seed": 1, "a": None}, {"seed": 2, "a": 3.0, "b": 1.0}]
    found = Observations(rows, ["seed"])
    assert np.isnan(found.column("b")).tolist() == [True, True, False]
    ((summary),) = found.summary("a").values()
    assert (summary.mean, summary.n) == (2.0, 2)


def test_results_hold_factors_seeds_and_summaries(found):
    first, second = found.results()
    assert {key: first[key] for key in ("group", "size", "seeds")} == {
        "group": "none",
        "size": 1,
        "seeds": [0, 1, 2],
    }
    assert first["error"].mean == pytest.approx(0.3)
    assert second["steps"].mean == 7
    (pooled,) = found.results("size")
    assert pooled["error"].mean == pytest.approx(0.2)


def test_latex_by_hand(found):
    lines = found.to_latex("group").splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert lines[2] == r"group & error & steps \\"
    assert lines[4] == r"none & $0.3 \pm 0.25$ & $5 \pm 0$ \\"
    assert lines[5] == r"p4 & $0.1 \pm 0.12$ & $7 \pm 0$ \\"


def test_cells_are_observed_once_and_numbers_survive_to_the_bit(tmp_path):
    record = Record.open(tmp_path, Config())
    value = 0.1 + 0.2
    seen = []
    for cell in record.each(group=("a", "b"), seed=(0, 1)):
        seen.append(cell.name)
        record.observe(
            cell, error=np.float32(1 / 3), exact=value, maps=np.ones((2, 2)) * cell["seed"]
        )
    assert seen == ["a seed 0", "a seed 1", "b seed 0", "b seed 1"]
    assert list(record.each(group=("a", "b"), seed=(0, 1))) == []
    found = record.observations()
    assert found.factors == ("group", "seed")
    assert found.column("exact").tolist() == [value] * 4
    assert found.column("error").tolist() == [float(np.float32(1 / 3))] * 4
    assert found.array("maps").shape == (4, 2, 2)
    assert found.where(group="b").array("maps")[:, 0, 0].tolist() == [0, 1]
    lines = list(csv.reader((tmp_path / "observations.csv").read_text().splitlines()))
    assert lines[0] == ["group", "seed", "error", "exact"]
    assert len(lines) == 5


def test_only_what_is_missing_is_done_again(tmp_path):
    record = Record.open(tmp_path, Config())
    for cell in record.each(group=("a", "b"), seed=(0, 1)):
        record.observe(cell, error=1.0)
    whole = (tmp_path / "observations.csv").read_bytes()
    lines = whole.decode().splitlines(keepends=True)
    (tmp_path / "observations.csv").write_text("".join([lines[0], lines[1], *lines[3:]]))
    record.release()
    again = Record.open(tmp_path, Config(), resume=True)
    left = []
    for cell in again.each(group=("a", "b"), seed=(0, 1)):
        left.append(cell.name)
        again.observe(cell, error=1.0)
    assert left == ["a seed 1"]
    again.observations()
    assert (tmp_path / "observations.csv").read_bytes() == whole


def test_an_observation_is_appended_and_a_torn_one_made_again(tmp_path):
    table = tmp_path / "observations.csv"
    record = Record.open(tmp_path, Config())
    left, inode = [], None
    for cell in record.each(group=("a", "b"), seed=(0, 1)):
        record.observe(cell, error=0.5, note=cell["seed"])
        left.append(table.read_bytes())
        # The first line makes the file, the others leave it in its place.
        inode = inode or table.stat().st_ino
        assert table.stat().st_ino == inode
        assert left[-1].startswith(left[0])
    record.observations()
    whole = table.read_bytes()
    record.release()
    for torn in (whole[:-1], whole[: whole.rindex(b"\n", 0, -1) + 3], left[1] + b"b"):
        table.write_bytes(torn)
        again = Record.open(tmp_path, Config(), resume=True)
        done = []
        for cell in again.each(group=("a", "b"), seed=(0, 1)):
            done.append(cell.name)
            again.observe(cell, error=0.5, note=cell["seed"])
        missing = 5 - torn.count(b"\n")
        assert done == ["b seed 0", "b seed 1"][2 - missing :]
        again.observations()
        assert table.read_bytes() == whole
        again.release()


def test_a_line_that_a_killed_worker_tore_is_gone_before_the_next(tmp_path):
    record = Record.open(tmp_path, Config())
    cells = list(grid({"group": ("a", "b", "c"), "seed": (0,)}))
    record.observe(cells[0], error=0.5)
    with open(tmp_path / "observations.csv", "a") as file:
        file.write("b,0,0.")
    record.observe(cells[2], error=0.25)
    assert record.observations().values("group") == ["a", "c"]


def test_what_does_not_fit_under_the_header_makes_another(tmp_path):
    record, table = Record.open(tmp_path, Config()), tmp_path / "observations.csv"
    inodes = []
    for cell in record.each(group=("a", "b", "two\nlines", "c"), seed=(0,)):
        more = {"other": 1} if cell["group"] == "c" else {}
        record.observe(cell, error=0.5, **more)
        inodes.append(table.stat().st_ino)
    # Appended was the second alone: half of two lines could not be told from a whole one.
    rewritten = [now != before for before, now in itertools.pairwise(inodes)]
    assert rewritten == [False, True, True]
    found = Observations.read(tmp_path)
    assert found.values("group") == ["a", "b", "two\nlines", "c"]
    assert found.column("other").tolist()[3] == 1


def test_a_cell_that_is_observed_again_is_there_once(tmp_path):
    record = Record.open(tmp_path, Config())
    for cell in record.each(group=("a", "b"), seed=(0,)):
        record.observe(cell, error=0.5)
    record.observe(cell, error=0.75)
    assert Observations.read(tmp_path).column("error").tolist() == [0.5, 0.75]


def test_a_cell_must_be_observed_before_the_next(tmp_path):
    record = Record.open(tmp_path, Config())
    cells = record.each(seed=(0, 1))
    next(cells)
    with pytest.raises(RuntimeError, match="must be called for each cell, got none for seed=0"):
        next(cells)


def test_two_grids_leave_blanks_where_a_factor_is_missing(tmp_path):
    record = Record.open(tmp_path, Config())
    for cell in record.each(part="cue", fill=("grey", "zeros"), seed=(0,)):
        record.observe(cell, accuracy=0.5)
    for cell in record.each(part="digits", kind=("none",), seed=(0,)):
        record.observe(cell, accuracy=0.25, moved=0.75)
    found = record.observations()
    assert found.factors == ("part", "fill", "kind", "seed")
    assert found.where(part="digits").column("moved").tolist() == [0.75]
    assert found.summary("accuracy", "part", "fill")[("cue", "zeros")].mean == 0.5
    assert [row["part"] for row in found.rows] == ["cue", "cue", "digits"]
    record.release()
    again = Record.open(tmp_path, Config(), resume=True)
    assert list(again.each(part="cue", fill=("grey", "zeros"), seed=(0,))) == []
    assert list(again.each(part="digits", kind=("none",), seed=(0,))) == []


def test_grids_may_name_their_factors_in_another_order(tmp_path):
    record = Record.open(tmp_path, Config())
    for cell in record.each(fill=("grey",), kind=("a",), seed=(0,)):
        record.observe(cell, maps=[1.0])
    for cell in record.each(kind=("b",), fill=("grey",), seed=(0,)):
        record.observe(cell, maps=[2.0])
    assert record.observations().array("maps").ravel().tolist() == [1, 2]
    record.release()
    again = Record.open(tmp_path, Config(), resume=True)
    assert list(again.each(kind=("a", "b"), fill=("grey",), seed=(0,))) == []


def test_a_name_cannot_be_a_factor_and_a_number(tmp_path):
    record = Record.open(tmp_path, Config())
    cell = next(record.each(group=("a",), seed=(0,)))
    with pytest.raises(ValueError, match="must not be named as a factor, got 'group'"):
        record.observe(cell, group=1.0)


def test_workers_share_the_cells_and_write_in_the_order_of_the_grid(tmp_path):
    record = Record.open(tmp_path, Config())
    factors = {"group": ("a", "b", "c"), "seed": (0, 1)}
    names = []
    for index in (1, 0):
        worker = Record(tmp_path, True, Share(index, 2))
        for cell in worker.each(**factors):
            names.append(cell.name)
            worker.observe(cell, number=cell["seed"])
        with pytest.raises(ShareObserved):
            worker.observations()
    assert names == ["a seed 1", "b seed 1", "c seed 1", "a seed 0", "b seed 0", "c seed 0"]
    assert list(record.each(**factors)) == []
    rows = record.observations().rows
    assert [(row["group"], row["seed"]) for row in rows] == [
        (group, seed) for group in "abc" for seed in (0, 1)
    ]


def test_what_is_no_table_of_observations(tmp_path):
    with pytest.raises(FileNotFoundError):
        Observations.read(tmp_path)
    file = tmp_path / "observations.csv"
    for text in ("", "group,error\na,1\n", "group,seed,error\na,1\n"):
        file.write_text(text)
        with pytest.raises(ValueError, match=r"observations\.csv must have a column 'seed'"):
            Observations.read(tmp_path)
    file.write_bytes(b"\xff\xfe,seed")
    with pytest.raises(ValueError, match="must be text in UTF-8"):
        Observations.read(tmp_path)


def test_arrays_that_are_not_there_are_named(tmp_path, found):
    with pytest.raises(ValueError, match="must be in a run's directory"):
        found.array("maps")
    record = Record.open(tmp_path, Config())
    for cell in record.each(seed=(0,)):
        record.observe(cell, maps=np.ones(2))
    with pytest.raises(ValueError, match=r"seed.0.*\.npz must hold the array 'map'"):
        record.observations().array("map")


def test_the_facts_of_tasks_are_kept_by_name(tmp_path):
    record = Record.open(tmp_path, Config())
    record.write_task("digits", {"classes": 10})
    assert record.task == {"classes": 10}
    record.write_task("cues", {"classes": 8})
    assert json.loads((tmp_path / "task.json").read_text()) == {
        "cues": {"classes": 8},
        "digits": {"classes": 10},
    }
    with pytest.raises(ValueError, match=r"must have one task, got \['cues', 'digits'\]"):
        _ = record.task


def test_cells_know_what_identifies_them():
    assert Cell({"a": 1, "seed": 0}).key == (("a", "1"), ("seed", "0"))


def test_a_contrast_is_a_sum_of_conditions_minus_others_paired_by_seed():
    levels = {"a": (0.5, 0.6, 0.7), "b": (0.4, 0.6, 0.5), "c": (0.1, 0.2, 0.4), "d": (0, 0, 0.1)}
    rows = [
        {"arm": arm, "seed": seed, "accuracy": value}
        for arm, values in levels.items()
        for seed, value in zip((7, 1, 4), values)
    ]
    found = Observations(rows, ["arm", "seed"])
    arms = {arm: {"arm": arm} for arm in levels}
    difference = found.contrast("accuracy", [arms["a"]], [arms["b"]])
    assert (difference.mean, difference.std, difference.n) == pytest.approx((0.1, 0.1, 3))
    change = found.contrast("accuracy", [arms["a"], arms["d"]], [arms["b"], arms["c"]])
    # 0.5 + 0 - 0.4 - 0.1, 0.6 + 0 - 0.6 - 0.2, 0.7 + 0.1 - 0.5 - 0.4
    assert change.mean == pytest.approx((0 - 0.2 - 0.1) / 3)
    assert change.std == pytest.approx(0.1)
    shuffled = Observations([*rows[3:], *rows[2::-1]], found.factors)
    assert shuffled.contrast("accuracy", [arms["a"]], [arms["b"]]) == difference
    assert found.contrast("accuracy", [arms["a"]], [{"arm": "e"}]) is None
    assert Observations(rows[1:], found.factors).contrast("accuracy", [arms["a"]], []) is None
    with pytest.raises(ValueError, match="must have each seed once, got"):
        found.contrast("accuracy", [{}], [])
    with pytest.raises(ValueError, match="number must be one of"):
        found.contrast("error", [arms["a"]], [])

"""Runs in one table: pooled over seeds, told apart by what differs, in a page and as CSV."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from cnnjax.launch.main import main
from cnnjax.report.compare import compare, pooled, read_runs
from cnnjax.run.statistics import Summary, summarize


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Writes a run directory as a run leaves it."""
    monkeypatch.chdir(tmp_path)

    def write(name, config, results, *, finished=True, experiment="study"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        command = {
            "command": f"python launch.py {experiment} smoke",
            "commit": "abc",
            "dirty": True,
        }
        for file, value in (("config", config), ("results", results), ("environment", command)):
            (folder / f"{file}.json").write_text(json.dumps(value))
        if finished:
            (folder / "done").write_text("")
        return Path(name)

    return write


def rows_of(*directories):
    runs, left_out = read_runs(directories)
    assert left_out == []
    return compare(runs)


@pytest.mark.fast
def test_parts_give_the_mean_and_deviation_of_all_values_together():
    values = np.random.default_rng(0).normal(size=7)
    found = pooled([summarize(values[:1]), summarize(values[1:3]), summarize(values[3:])])
    assert found.n == 7
    assert found.mean == pytest.approx(values.mean(), rel=1e-14)
    assert found.std == pytest.approx(values.std(ddof=1), rel=1e-14)
    assert pooled([Summary(2.0, None, 1)]) == Summary(2.0, None, 1)


@pytest.mark.fast
def test_single_values_of_several_runs_are_pooled_over_seeds(make):
    runs = [
        make(
            f"run{seed}",
            {"seed": seed, "size": 3},
            {"rows": [{"label": "a", "params": 10, "accuracy": accuracy}]},
        )
        for seed, accuracy in ((0, 0.5), (1, 0.6), (2, 0.9))
    ]
    (row,) = rows_of(*runs)
    assert row.names == {"label": "a"}
    assert row.values["params"] == Summary(10.0, 0.0, 3)
    assert row.values["accuracy"].mean == pytest.approx(2 / 3)
    low, high = stats.t.interval(0.95, 2, loc=2 / 3, scale=stats.sem([0.5, 0.6, 0.9]))
    assert row.values["accuracy"].interval() == pytest.approx((low, high))
    assert row.runs == tuple(runs)


@pytest.mark.fast
def test_another_configuration_is_another_row_and_named_by_what_differs(make):
    def results(accuracy):
        return {"rows": [{"label": name, "accuracy": accuracy} for name in ("a", "b")]}

    same = {"canvas": 24, "data_dir": "here"}
    found = rows_of(
        make("one", {"seeds": [0], "train": {"steps": 1, "rate": 0.1}, **same}, results(0.1)),
        make("two", {"seeds": [0], "train": {"steps": 2, "rate": 0.1}, **same}, results(0.2)),
        make(
            "more",
            {"seeds": [1], "train": {"steps": 2, "rate": 0.1}, "canvas": 24, "data_dir": "there"},
            results(0.4),
        ),
    )
    assert [(row.names, row.values["accuracy"].n) for row in found] == [
        ({"train.steps": "1", "label": "a"}, 1),
        ({"train.steps": "1", "label": "b"}, 1),
        ({"train.steps": "2", "label": "a"}, 2),
        ({"train.steps": "2", "label": "b"}, 2),
    ]
    assert found[2].values["accuracy"].mean == pytest.approx(0.3)


@pytest.mark.fast
def test_summaries_of_several_seeds_are_pooled_and_rows_of_numbers_kept_apart(make):
    def rows(first, second):
        return {
            "rows": [
                {"tile": 2, "accuracy": {"mean": first, "std": 0.1, "n": 2}},
                {"tile": 4, "accuracy": {"mean": second, "std": 0.1, "n": 2}},
            ]
        }

    found = rows_of(
        make("a", {"seeds": [0, 1]}, rows(0.2, 0.8)), make("b", {"seeds": [2, 3]}, rows(0.4, 0.6))
    )
    assert [(row.values["tile"].mean, row.values["accuracy"].n) for row in found] == [
        (2, 4),
        (4, 4),
    ]
    # Four values of mean 0.3: 2 (0.1)^2 / 3 within the runs and 4 (0.1)^2 / 3 between them.
    assert found[0].values["accuracy"].std == pytest.approx((0.06 / 3) ** 0.5)


@pytest.mark.fast
def test_rows_of_one_run_that_name_their_seed_are_pooled(make):
    rows = [
        {"label": "a", "size": size, "seed": seed, "error": seed + size}
        for size in (10, 20)
        for seed in (0, 2)
    ]
    small, large = rows_of(make("run", {"seeds": [0, 2]}, {"rows": rows}))
    assert small.values["error"] == summarize([10, 12])
    assert large.values["error"] == summarize([20, 22])
    assert "seed" not in small.values


@pytest.mark.fast
def test_speeds_stand_in_a_file_of_their_own(make):
    run = make(
        "run", {"seeds": [0]}, {"rows": [{"label": "a", "loss": 1}, {"label": "b", "loss": 2}]}
    )
    (run / "timings.json").write_text('{"rows": [{"images_per_second": 5}, {}]}')
    first, second = rows_of(run)
    assert first.values["images_per_second"] == Summary(5.0, None, 1)
    assert list(second.values) == ["loss"]


@pytest.mark.fast
def test_results_without_rows_are_a_row(make):
    (row,) = rows_of(make("run", {}, {"accuracy": 0.5, "figure": [1, 2], "note": "all"}))
    assert (row.names, row.values) == ({"note": "all"}, {"accuracy": Summary(0.5, None, 1)})


@pytest.mark.fast
def test_runs_of_several_experiments_are_told_apart(make):
    first = make("a", {"seeds": [0], "size": 1}, {"rows": [{"loss": 1.0}]})
    second = make("b", {"seeds": [0], "canvas": 1}, {"rows": [{"loss": 2.0}]}, experiment="other")
    assert [row.names for row in rows_of(first, second)] == [
        {"experiment": "study"},
        {"experiment": "other"},
    ]


@pytest.mark.fast
def test_a_seed_never_counts_twice(make):
    first = make("a", {"seeds": [0, 1]}, {"rows": [{"loss": 1.0}]})
    second = make("b", {"seeds": [1, 2]}, {"rows": [{"loss": 1.0}]})
    with pytest.raises(ValueError, match="a and b are runs of one configuration that share seed 1"):
        rows_of(first, second)
    assert len(rows_of(first, first)) == 1  # named twice, read once
    with pytest.raises(ValueError, match="without seeds: give one of them"):
        rows_of(make("c", {}, {"loss": 1.0}), make("d", {}, {"loss": 1.0}))


def test_the_page_and_the_csv_hold_the_same_numbers(make, tmp_path, capsys):
    for seed, accuracy in ((0, 0.5), (1, 0.75)):
        make(
            f"runs/{seed}",
            {"seeds": [seed], "conv": [{"name": "<b>", "arguments": {"tile": 2}}]},
            {
                "rows": [
                    {"label": "<tiled>", "params": 12345, "images_per_second": 100.0 * (seed + 1)},
                    {"label": "local", "params": 5000, "accuracy": accuracy},
                ]
            },
        )
    make("runs/half", {}, {}, finished=False)
    (tmp_path / "runs" / "slurm").mkdir()
    words = [str(path) for path in sorted(Path("runs").iterdir())]
    assert main(["compare", *words, "--workdir", "out"]) == 0
    printed, complaint = capsys.readouterr()
    assert printed == "out/report.html\n"
    assert complaint == (
        "launch.py: Not compared: runs/half is not finished; runs/slurm is no run.\n"
    )
    with open("out/table.csv", newline="") as file:
        tiled, local = csv.DictReader(file)
    assert (tiled["label"], tiled["params mean"], tiled["accuracy mean"]) == (
        "<tiled>",
        "12345.0",
        "",
    )
    assert (float(local["accuracy mean"]), local["accuracy n"]) == (0.625, "2")
    # t = 12.706 with one degree of freedom; std 0.1768, over the root of 2 it is 0.125.
    assert float(local["accuracy low"]) == pytest.approx(0.625 - 12.706 * 0.125, abs=1e-3)
    assert float(local["accuracy high"]) == pytest.approx(0.625 + 12.706 * 0.125, abs=1e-3)
    assert local["runs"] == "runs/0 runs/1"
    page = Path("out/report.html").read_text()
    assert "&lt;tiled&gt;" in page
    assert "<tiled>" not in page
    for part in (
        "0.6 ± 1.6",
        "12 k",
        "5.0 k",
        "abc",
        "runs/half is not finished",
        "data:image/png",
    ):
        assert part in page
    assert main(["compare", *words, "--workdir", "out"]) == 0  # a comparison is made anew


@pytest.mark.fast
@pytest.mark.parametrize(
    ("results", "said"),
    [
        ({"rows": 3}, "results.json has rows of another form"),
        ({"rows": [3]}, "results.json has rows of another form"),
        ([], "holds files of another form"),
        ({"rows": [{"label": "a", "shape": [1, 2], "ok": True}]}, "has no numbers in results.json"),
    ],
)
def test_results_of_another_form_are_left_out_by_name(make, results, said):
    runs, (sentence,) = read_runs([make("odd", {}, results)])
    assert runs == []
    assert sentence.startswith("odd")
    assert said in sentence

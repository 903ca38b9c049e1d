"""Runs in one table: pooled over seeds, named by what differs, in a page and as CSV."""

import csv
import dataclasses
import json
from pathlib import Path

import pytest
from scipy import stats

from cnnjax.launch.main import main
from cnnjax.report.compare import compare, read_runs, shown
from cnnjax.report.compare_page import csv_text, dots_of_rows, lines_of_rows, table
from cnnjax.report.findings import over
from cnnjax.run.statistics import Summary, summarize


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Writes a run directory as a run leaves it; observations are text, or rows of one table."""
    monkeypatch.chdir(tmp_path)

    def write(name, config, observations, *, finished=True, experiment="study"):
        folder = tmp_path / name
        folder.mkdir(parents=True)
        command = {
            "command": f"python launch.py {experiment} smoke",
            "commit": "abc",
            "dirty": True,
        }
        for file, value in (("config", config), ("environment", command)):
            (folder / f"{file}.json").write_text(json.dumps(value))
        if not isinstance(observations, str):
            columns = list(dict.fromkeys(key for row in observations for key in row))
            lines = [",".join(str(row.get(key, "")) for key in columns) for row in observations]
            observations = "\n".join([",".join(columns), *lines]) + "\n"
        (folder / "observations.csv").write_text(observations)
        if finished:
            (folder / "done").write_text("")
        return Path(name)

    return write


def compared(*directories):
    runs, left_out = read_runs(directories)
    assert left_out == []
    return compare(runs)


@dataclasses.dataclass
class Row:
    names: dict
    values: dict
    runs: tuple


def rows_of(made):
    """The rows of a comparison: what tells them apart, their numbers, and where these are from."""
    rows = []
    for group in made.found.groups(*made.found.conditions).values():
        names = {name: group.rows[0].get(name) for name in made.found.conditions}
        values = {number: over(group, number) for number in group.numbers}
        runs = tuple(dict.fromkeys(made.origin[cell.key] for cell in group.cells))
        rows.append(Row({key: v for key, v in names.items() if v is not None}, values, runs))
    return rows


@pytest.mark.fast
def test_runs_that_differ_in_seeds_alone_are_pooled(make):
    runs = [
        make(
            f"run{seed}",
            {"seeds": [seed], "size": 3, "data_dir": f"of {seed}"},
            [{"label": "a", "seed": seed, "parameters": 10, "accuracy": accuracy}],
        )
        for seed, accuracy in ((0, 0.5), (1, 0.6), (2, 0.9))
    ]
    (row,) = rows_of(compared(*runs))
    assert row.names == {"label": "a"}
    assert row.values["parameters"] == Summary(10.0, 0.0, 3)
    assert row.values["accuracy"].mean == pytest.approx(2 / 3)
    low, high = stats.t.interval(0.95, 2, loc=2 / 3, scale=stats.sem([0.5, 0.6, 0.9]))
    assert row.values["accuracy"].interval() == pytest.approx((low, high))
    assert row.runs == tuple(runs)
    assert list(row.values) == ["parameters", "accuracy"]  # the seed is none


@pytest.mark.fast
def test_another_configuration_is_another_row_and_named_by_what_differs(make):
    def observations(accuracy, seed=0):
        return [{"label": name, "seed": seed, "accuracy": accuracy} for name in ("a", "b")]

    same = {"canvas": 24, "data_dir": "here"}
    made = compared(
        make("two", {"seeds": [0], "train": {"steps": 20, "rate": 0.1}, **same}, observations(0.2)),
        make("one", {"seeds": [0], "train": {"steps": 9, "rate": 0.1}, **same}, observations(0.1)),
        make(
            "more",
            {"seeds": [1], "train": {"steps": 20, "rate": 0.1}, "canvas": 24, "data_dir": "there"},
            observations(0.4, 1),
        ),
    )
    found = rows_of(made)
    # In the order of the steps, not of the text or of the command line.
    assert [(row.names, row.values["accuracy"].n) for row in found] == [
        ({"train.steps": 9, "label": "a"}, 1),
        ({"train.steps": 9, "label": "b"}, 1),
        ({"train.steps": 20, "label": "a"}, 2),
        ({"train.steps": 20, "label": "b"}, 2),
    ]
    assert found[2].values["accuracy"].mean == pytest.approx(0.3)
    assert made.swept == "train.steps"


@pytest.mark.fast
def test_factors_of_several_runs_are_pooled_cell_by_cell(make):
    def rows(seeds, first, second):
        return [
            {"tile": tile, "turned": turned, "seed": seed, "error": value + seed + 100 * turned}
            for tile, value in ((2, first), (4, second))
            for turned in (False, True)
            for seed in seeds
        ]

    made = compared(
        make("a", {"seeds": [0, 2]}, rows((0, 2), 10, 20)),
        make("b", {"seeds": [5]}, rows((5,), 11, 21)),
    )
    assert [(row.names, row.values["error"]) for row in rows_of(made)] == [
        ({"tile": 2, "turned": False}, summarize([10, 12, 16])),
        ({"tile": 2, "turned": True}, summarize([110, 112, 116])),
        ({"tile": 4, "turned": False}, summarize([20, 22, 26])),
        ({"tile": 4, "turned": True}, summarize([120, 122, 126])),
    ]
    assert made.swept is None  # two values of a factor are no sweep


@pytest.mark.fast
def test_a_field_that_lists_what_a_factor_names_is_not_named_twice(make):
    def config(tile):
        return {"seeds": [0], "family": [{"name": "tiled", "arguments": {"tile": tile}}]}

    found = compared(
        make("a", config(2), [{"conv": "tiled(tile=2)", "seed": 0, "loss": 1.0}]),
        make("b", config(4), [{"conv": "tiled(tile=4)", "seed": 0, "loss": 2.0}]),
    )
    names = [row.names for row in rows_of(found)]
    assert names == [{"conv": "tiled(tile=2)"}, {"conv": "tiled(tile=4)"}]
    assert shown(config(2)["family"]) == "tiled(tile=2)"
    # A list that alone tells rows apart stays.
    found = compared(
        make("c", {"seeds": [0], "features": [8, 16]}, [{"seed": 0, "loss": 1.0}]),
        make("d", {"seeds": [0], "features": [16, 32]}, [{"seed": 0, "loss": 2.0}]),
    )
    assert [row.names for row in rows_of(found)] == [
        {"features": "[8, 16]"},
        {"features": "[16, 32]"},
    ]
    assert table(found).columns == ["features", "loss", "seeds"]


@pytest.mark.fast
def test_speeds_stand_in_a_file_of_their_own(make):
    run = make(
        "run",
        {"seeds": [0]},
        [{"label": "a", "seed": 0, "loss": 1}, {"label": "b", "seed": 0, "loss": 2}],
    )
    (run / "timings.json").write_text('{"a seed 0": {"images_per_second": 5}, "b": 3}')
    first, second = rows_of(compared(run))
    assert first.values["images_per_second"] == Summary(5.0, None, 1)
    assert list(second.values) == ["loss"]


@pytest.mark.fast
def test_runs_of_several_experiments_are_named_by_them(make):
    first = make("a", {"seeds": [0], "size": 1}, [{"seed": 0, "loss": 1.0}])
    second = make("b", {"seeds": [0], "canvas": 1}, [{"seed": 0, "loss": 2.0}], experiment="other")
    assert [row.names for row in rows_of(compared(first, second))] == [
        {"experiment": "study"},
        {"experiment": "other"},
    ]


@pytest.mark.fast
def test_a_seed_never_counts_twice(make):
    rows = [{"seed": seed, "loss": 1.0} for seed in (0, 1, 2)]
    first = make("a", {"seeds": [0, 1]}, rows[:2])
    second = make("b", {"seeds": [1, 2]}, rows[1:])
    with pytest.raises(ValueError, match="a and b are runs of one configuration that share seed 1"):
        compared(first, second)
    assert len(rows_of(compared(first, first))) == 1  # named twice, read once
    with pytest.raises(ValueError, match=r"c/observations\.csv has seed 1 of one cell twice"):
        compared(make("c", {}, [rows[1], rows[1]]))


def sweep(make, seeds=3):
    """Runs of three rates, given in another order, each with two networks."""
    runs = [
        make(
            f"rate{rate}",
            {"seeds": list(range(seeds)), "train": {"rate": rate}},
            [
                {"net": net, "seed": seed, "error": rate * scale + 0.01 * seed, "params": 7}
                for net, scale in (("big", 1), ("alone", 10))
                for seed in range(seeds)
            ],
        )
        for rate in (0.1, 0.01, 1.0)
    ]
    return compared(*runs)


def test_over_a_number_lines_are_drawn_in_its_order(make):
    rows = sweep(make)
    assert rows.swept == "train.rate"
    (axes,) = lines_of_rows(rows, ["error"], "train.rate").axes
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert list(lines) == ["big", "alone"]
    assert list(lines["alone"].get_xdata()) == [0.01, 0.1, 1.0]
    assert lines["alone"].get_ydata() == pytest.approx([0.11, 1.01, 10.01])
    assert lines["big"].get_ydata() == pytest.approx([0.02, 0.11, 1.01])
    # Standard deviation 0.01 of three seeds; t(0.975, 2) = 4.302653.
    half = 4.302653 * 0.01 / 3**0.5
    whiskers = [line.get_ydata() for line in axes.lines if line.get_marker() == "_"]
    assert len(whiskers) == 6
    assert whiskers[0] == pytest.approx([0.02 - half, 0.02 + half])
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "train.rate"


def test_over_names_dots_are_drawn_and_two_seeds_have_no_interval(make):
    rows = compared(
        make(
            "a",
            {"seeds": [0, 1]},
            [
                {"net": net, "seed": s, "error": e + s}
                for net, e in (("b", 1), ("a", 3))
                for s in (0, 1)
            ],
        )
    )
    assert rows.swept is None
    (axes,) = dots_of_rows(rows, ["error"]).axes
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines] == [
        (1.5, 0),
        (3.5, 1),
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert table(rows).rows == [["b", "1.50", "2"], ["a", "3.50", "2"]]
    (first, _) = csv.DictReader(csv_text(rows).splitlines())
    assert (first["error n"], first["error low"], first["error high"]) == ("2", "", "")


def test_a_numeric_factor_of_three_values_is_a_sweep(make):
    rows = compared(
        make("a", {}, [{"k": k, "seed": 0, "error": 1 / k} for k in (8, 1, 2)]),
    )
    assert rows.swept == "k"
    assert [row.names["k"] for row in rows_of(rows)] == [1, 2, 8]


def test_the_page_and_the_csv_hold_the_same_numbers(make, tmp_path, capsys):
    for seed, accuracy in ((0, 0.5), (1, 0.625), (2, 0.75)):
        make(
            f"runs/{seed}",
            {"seeds": [seed], "size": 2},
            [
                {"label": "<tiled>", "seed": seed, "params": 12345, "speed": 100.0 * (seed + 1)},
                {"label": "local", "seed": seed, "params": 5000, "accuracy": accuracy},
            ],
        )
    make("runs/half", {}, "", finished=False)
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
    assert (float(local["accuracy mean"]), local["accuracy n"]) == (0.625, "3")
    # t = 4.303 with two degrees of freedom; std 0.125.
    half = 4.302653 * 0.125 / 3**0.5
    assert float(local["accuracy low"]) == pytest.approx(0.625 - half, rel=1e-6)
    assert float(local["accuracy high"]) == pytest.approx(0.625 + half, rel=1e-6)
    assert local["runs"] == "runs/0 runs/1 runs/2"
    page = Path("out/report.html").read_text()
    assert "&lt;tiled&gt;" in page
    assert "<tiled>" not in page
    for part in (
        "0.6 ± 0.3",
        "12.3 k",
        "5.00 k",
        "abc",
        "runs/half is not finished",
        "data:image/png",
    ):
        assert part in page
    stale = Path("out/figures/comparison-9.png")
    stale.write_bytes(b"")
    assert main(["compare", *words, "--workdir", "out"]) == 0  # a comparison is made anew
    assert not stale.exists()
    assert Path("out/figures/comparison-1.png").exists()


@pytest.mark.fast
@pytest.mark.parametrize(
    ("observations", "words"),
    [
        ("", "observations.csv must have a column 'seed'"),
        ("label,error\na,1\n", "observations.csv must have a column 'seed'"),
        ("label,seed,error\na,0\n", "lines of equal length"),
        ("label,seed,error\na,,1\n", "observations.csv must have a seed a line, got None"),
        ("label,seed,error\na,x,1\n", "observations.csv must have a seed a line, got 'x'"),
        ("label,seed,error\na,0,much\n", "has 'much' under 'error', which is no number"),
        ("label,seed,error\na,0,nan\n", "has nan under 'error', which is no number"),
        ("label,seed\na,0\n", "has no numbers in observations.csv"),
        ("label,seed,error\n", "has no numbers in observations.csv"),
    ],
)
def test_observations_of_another_form_are_left_out_by_name(make, observations, words):
    runs, (sentence,) = read_runs([make("odd", {}, observations)])
    assert runs == []
    assert sentence.startswith("odd")
    assert words in sentence
    assert not sentence.endswith(".")


@pytest.mark.fast
def test_a_directory_that_is_no_run_of_a_study_is_left_out_by_name(make):
    bytes_of_no_text = make("bytes", {}, "seed\n")
    (bytes_of_no_text / "observations.csv").write_bytes(b"seed,a\n0,\xff\n")
    torn = make("torn", {}, "seed,a\n0,1\n")
    (torn / "config.json").write_text('{"seeds": ')
    look = make("look", {}, "")
    (look / "observations.csv").unlink()
    runs, left_out = read_runs([bytes_of_no_text, torn, look, Path("nowhere")])
    assert runs == []
    assert "bytes/observations.csv must be text in UTF-8" in left_out[0]
    assert "torn/config.json is not JSON" in left_out[1]
    assert left_out[2:] == ["look has no observations.csv", "nowhere is no run"]

"""The page of the lectures: its numbers are those of the lectures, under their headings."""

import functools
import json

import jax
import numpy as np
import pytest

import launch
from cnnjax import ops
from cnnjax.report import format_number, write_document
from cnnjax.run.config import to_json
from experiments import lectures
from experiments.lectures import (
    algorithms,
    augmentation,
    convolution,
    examples,
    filters,
    gradients,
    learning,
    networks,
    pooling,
    receptive_fields,
    sharing,
    signals,
)

OPERATORS = {
    *("conv", "conv_transpose", "conv_kernel_gradient", "conv_input_gradient"),
    *("max_pool", "max_pool_with_argmax", "local_response_normalization"),
    *("box_blur", "gaussian_blur", "filter_channels", "laplacian", "sobel", "sobel_magnitude"),
}


class Compiled:
    """`ops`, with operators that are one program for each shape, not one for each operation."""

    def __getattr__(self, name):
        return compiled(getattr(ops, name)) if name in OPERATORS else getattr(ops, name)


@functools.cache
def compiled(function):
    """Its arrays, which come first, are traced, its other arguments static."""

    @functools.partial(jax.jit, static_argnums=(1, 2))
    def run(arrays, rest, options):
        return function(*arrays, *rest, **dict(options))

    def call(*given, **options):
        count = sum(hasattr(each, "ndim") for each in given)
        return run(given[:count], given[count:], tuple(sorted(options.items())))

    return call


@pytest.fixture(scope="module", autouse=True)
def compiled_operators():
    with pytest.MonkeyPatch.context() as patch:
        for chapter in (convolution, examples, filters, gradients, signals):
            patch.setattr(chapter, "ops", Compiled())
        yield


def test_the_worked_examples_come_out_exactly():
    found = examples.numbers()
    expected = {
        "laplacian": [[6, 15, 9], [14, -36, -4], [-4, 10, 7]],
        "correlation": [[24, 21, 13, 9], [16, 17, 20, 10], [19, 19, 14, 12], [18, 16, 7, 9]],
        "volume": [
            [[2, 3, 3], [3, 7, 3], [8, 10, -3]],
            [[-8, -8, -3], [-3, 1, 0], [-3, -8, -5]],
        ],
        "pooled": [[3, 3, 3], [3, 3, 3], [2, 2, 2]],
        "pooled_densely": [[3, 3, 3], [3, 3, 3], [3, 2, 3]],
        "halved": [[10, 9], [10, 10]],
        # Rows 0, 0, 2, 2 and columns 1, 2, 0, 2 of four.
        "argmax": [[1, 2], [8, 10]],
        "ceil_mode": np.float32([1.0, 0.2, 0.1]),
        "edge_operations": 267_960,
        "dense_operations": 16_006_144_000,
        "stacked_weights": [18, 25],
        "stacked_field": [5, 5],
    }
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, name)
    # 1 / sqrt(1 + 1 + 4), 2 / sqrt(1 + 1 + 4 + 9), 3 / sqrt(1 + 4 + 9)
    np.testing.assert_allclose(found["normalised"], [6**-0.5, 2 * 15**-0.5, 3 * 14**-0.5], 1e-6)
    assert [row["output"] for row in found["shapes"]] == [
        (439, 588, 6),
        (2000, 2000, 16),
        (7, 7, 1),
        (5, 5, 1),
        (4, 4, 1),
        (7, 7, 1),
        (28, 28, 6),
        (4, 21, 17, 32),
        (32, 32, 16),
        (16, 16, 16),
        (112, 112, 64),
    ]
    assert [row["weights"] for row in found["shapes"][:2]] == [450, 1200]
    assert found["shapes"][1]["units"] == 64_000_000
    np.testing.assert_array_equal(
        found["kernels"]["Sobel, transposed"], np.transpose([[1, 2, 1], [0, 0, 0], [-1, -2, -1]])
    )


def test_laws_hold_to_rounding_and_the_false_one_does_not():
    found = convolution.numbers()
    *laws, false = found["laws"]
    # Sums of a few dozen products of Gaussian numbers in float32.
    assert all(law["difference"] < 2e-5 for law in laws)
    assert false["law"].endswith("(false)")
    assert false["difference"] > 0.5
    # A sum of steps is off by an amount that halves with the step.
    coarse, middle, fine = found["box"]["errors"]
    assert 1.8 < coarse / middle < 2.2
    assert 1.8 < middle / fine < 2.2
    assert fine < 0.02


def test_signals_of_every_kind_show_what_was_put_into_them():
    found = signals.numbers()
    np.testing.assert_allclose(found["audio"]["peaks"], [0.25, 0.75], atol=0.01)
    assert found["skeleton"]["fastest"] == found["skeleton"]["moved"]
    assert found["video"]["strongest"] == found["video"]["speed"] == 1
    assert found["volume"]["responding"] > 0
    # Neighbours of a voxel are one voxel away.
    assert found["volume"]["distance"] <= 1
    assert {each["pooled"] for each in found["sizes"]} == {(8,)}


def test_the_sums_are_the_gradients():
    for row in gradients.numbers()["rows"]:
        assert row["kernel"] < 1e-5 * row["largest_kernel"]
        assert row["input"] < 1e-5 * row["largest_input"]


def test_every_pooling_of_the_same_detectors_by_hand():
    found = pooling.numbers()
    by_hand = {
        "max, 3 stride 2 (overlapping)": [1.0, 1.0],
        "max, smaller last region kept": [1.0, 1.0, 0.1],
        "max, 3 stride 1": [1.0, 1.0, 1.0, 0.2],
        "average, 3 stride 2": [1.4 / 3, 1.3 / 3],
        # (0.3^2 + 0.1^2 + 1) / 1.4 and (1 + 0.2^2 + 0.1^2) / 1.3
        "stochastic, evaluation": [1.1 / 1.4, 1.05 / 1.3],
        "global average": [1.7 / 6],
        "global max": [1.0],
        "across channels, 3": [1.0, 0.2],
    }
    for name, values in by_hand.items():
        np.testing.assert_allclose(found["kinds"][name], values, 1e-6, err_msg=name)
    # 4,000 draws of numbers between 0 and 1: five standard errors are below 0.04.
    np.testing.assert_allclose(
        found["kinds"]["stochastic, mean of 4,000 draws"], [1.1 / 1.4, 1.05 / 1.3], atol=0.04
    )
    base, strided, conv_pool, all_cnn = found["all_cnn"][8:]
    assert (base["parameters"], all_cnn["parameters"]) == (954_730, 1_369_738)
    assert strided["multiply_adds"] < base["multiply_adds"] < conv_pool["multiply_adds"]


def test_the_page_has_a_section_for_each_chapter(tmp_path):
    assert launch.main(["lectures", "smoke", "--workdir", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.html").read_text("utf-8")
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    for name in results["chapters"]:
        assert f"<h2>{getattr(lectures, name).TITLE}</h2>" in page
    assert "267,960" in page


@pytest.mark.slow
@pytest.mark.parametrize("chapter", lectures.CHAPTERS, ids=lambda chapter: chapter.TITLE)
def test_a_chapter_is_written_from_plain_numbers(chapter, tmp_path):
    """As they come back from results.json."""
    times = chapter.times() if chapter in (filters, algorithms) else {}
    numbers = json.loads(json.dumps(to_json({**chapter.numbers(), **times}, chapter.TITLE)))
    page = write_document(chapter.TITLE, chapter.blocks(numbers), tmp_path).read_text("utf-8")
    assert len(page) > 3000
    for nothing in (">nan<", ">None<", "Traceback"):
        assert nothing not in page


def test_networks_are_counted_as_published(monkeypatch):
    monkeypatch.setattr(networks, "NETWORKS", ("LeNet5", "VGG16", "ResNet18"))
    rows = {row["network"]: row for row in networks.numbers()["rows"]}
    assert rows["VGG16"]["parameters"] == 138_357_544
    assert rows["ResNet18"]["receptive_field"] == 435
    assert rows["LeNet5"]["receptive_field"] == 32


def test_filters_and_algorithms_agree_with_arithmetic(monkeypatch):
    monkeypatch.setattr(algorithms, "WINDOWS", (3, 45))
    found = algorithms.numbers()
    # Three ways to sum up to 2,025 products of numbers below one, in float32.
    assert found["difference"] < 1e-4
    separable = {name: each["separable"] for name, each in found["kernels"].items()}
    assert separable == {
        "box": True,
        "Gaussian": True,
        "Sobel": True,
        "Laplacian": False,
        "Gabor, 45 degrees": False,
    }
    for name, each in found["kernels"].items():
        assert (each["error"] < 1e-6) == separable[name]
    edges = filters.numbers()["edges"]
    # 79 x 70 outputs: two products and a sum each, or 80 x 70 of both.
    assert edges["convolution_operations"] == 79 * 70 * 3
    assert edges["dense_operations"] == 2 * 80 * 70 * 79 * 70
    # Rows, columns, and four bytes of float32: 32 GB.
    assert edges["large_bytes"] == 319 * 280 * 320 * 280 * 4


def test_two_runs_leave_the_same_results_and_what_the_clock_says_is_beside_them(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(algorithms, "WINDOWS", (3, 5))
    arguments = ["lectures", "--chapters", *lectures.TIMED, "--workdir"]
    directories = [tmp_path / name for name in ("one", "two")]
    for directory in directories:
        assert launch.main([*arguments, str(directory)]) == 0
    one, two = ((directory / "results.json").read_bytes() for directory in directories)
    assert one == two
    assert b"measured" not in one
    assert b"seconds" not in one
    timings = json.loads((directories[0] / "timings.json").read_text("utf-8"))
    assert set(timings) == {"filters", "algorithms"}
    assert [set(each) for each in timings["algorithms"]["measured"]] == 2 * [
        {"direct", "fft", "separable"}
    ]
    ratio = timings["filters"]["dense_seconds"] / timings["filters"]["convolution_seconds"]
    page = (directories[0] / "report.md").read_text("utf-8")
    assert f"{format_number(ratio, 3)} times as long" in page


def test_every_chapter_that_measures_durations_is_named():
    assert {
        each.__name__.rpartition(".")[2] for each in lectures.CHAPTERS if hasattr(each, "times")
    } == set(lectures.TIMED)


def test_another_chapter_is_refused_by_name(capsys):
    with pytest.raises(SystemExit) as error:
        launch.main(["lectures", "--chapters", "poetry"])
    assert error.value.code == 2
    assert "poetry" in capsys.readouterr().err


def test_sharing_is_counted_and_measured():
    found = sharing.numbers()
    weights = {name: layer["weights"] for name, layer in found.items()}
    assert weights == {"standard": 3, "tiled, t = 2": 6, "local": 18, "dense": 36}
    assert {name: layer["lattice"] for name, layer in found.items()} == {
        "standard": 1,
        "tiled, t = 2": 2,
        "local": 6,
        "dense": 6,
    }
    assert found["standard"]["defect"] == 0
    assert found["local"]["defect"] > 0.3


def test_receptive_fields_by_arithmetic_are_those_by_gradient():
    found = receptive_fields.numbers()
    assert [stack["arithmetic"] for stack in found.values()] == [3, 5, 11, 21, 15]
    for stack in found.values():
        assert stack["gradient"] == stack["arithmetic"]
        assert stack["effective"] <= stack["arithmetic"] + 1e-6
    assert found["10 of 3 x 3"]["effective"] < 21


def test_a_photograph_is_changed_by_every_kind(monkeypatch):
    augment = jax.jit(augmentation.augment, static_argnums=2)
    monkeypatch.setattr(augmentation, "augment", augment)
    found = augmentation.numbers()
    plain = found["kinds"].pop("as it is")
    for name, changed in found["kinds"].items():
        assert changed.shape == plain.shape == (53, 53, 3)
        assert not np.array_equal(changed, plain), name


def test_a_network_learns_while_the_page_is_made():
    found = learning.numbers()
    assert found["accuracy"] > 0.8
    assert found["preferred"].shape == (10, 16, 16)
    assert 0 < found["threshold_iou"] < 0.9
    scores = [score for _, score in found["unsure"]["scores"]]
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    assert learning.blocks(found)

"""The benchmark: who is timed at all, ratios and limits by hand, and one small run."""

import dataclasses
import importlib.util
import itertools
import json
import math

import numpy as np
import pytest

import launch
from cnnjax import inspect
from experiments.competitors import comparison, shown, worker
from experiments.looks import benchmark

TINY = {
    "kind": "layer", "batch": 2, "side": 6, "channels": 8, "features": 8, "kernel": 3,
}  # fmt: skip
FORWARD = "forward"
SETTINGS = {"tolerance": 1e-4, "seconds": 0.1, "rounds": 3}


class Fake:
    """A worker that has results, or none, and takes turns of a given length."""

    def __init__(self, results, seconds=1.0, same=True, others=0.0):
        self.results, self.same, self.others = results, same, itertools.cycle(np.ravel(others))
        self.seconds, self.requests = seconds, []

    def ask(self, **request):
        self.requests.append(request)
        if "prepare" not in request:
            return dataclasses.asdict(inspect.Turn(self.seconds, 1, 1.0, float(next(self.others))))
        if isinstance(self.results, Exception):
            raise self.results
        if self.results is None:
            return None
        sketches = [dataclasses.asdict(inspect.array_sketch(each)) for each in self.results]
        return {"passes": {FORWARD: {"sketches": sketches}}, "same": self.same, "work": {"n": 1}}

    @property
    def turns(self):
        return [request["number"] for request in self.requests if "turn" in request]


ARRAY = np.linspace(-1, 1, 200)


@pytest.mark.fast
@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        ([ARRAY * 1.01], "its results differ from ours by"),
        ([ARRAY[::-1]], "its results differ from ours by"),
        ([ARRAY * math.nan], "its results differ from ours by nan"),
        ([ARRAY.reshape(2, 100)], "its results differ from ours by inf"),
        ([ARRAY, ARRAY], "its results differ from ours by inf"),
        (None, "has none"),
        (comparison.CompetitorError("no memory"), "no memory"),
    ],
)
def test_what_is_not_equal_is_left_out_before_it_is_timed(theirs, reason):
    workers = {"cnnjax": Fake([ARRAY]), "flax": Fake([ARRAY * (1 + 1e-6)]), "keras": Fake(theirs)}
    work, found = comparison.measure(TINY, workers, **SETTINGS)
    assert work == {"n": 1}
    assert [*found["left_out"]] == ["keras"]
    assert reason in found["left_out"]["keras"]
    assert workers["keras"].turns == []
    assert workers["cnnjax"].turns == workers["flax"].turns == [0, 1, 2]
    assert set(found["passes"][FORWARD]) == {"cnnjax", "flax"}


@pytest.mark.fast
def test_another_function_of_as_many_operations_is_timed_and_marked():
    workers = {"cnnjax": Fake([ARRAY]), "flax": Fake([ARRAY[:7]], seconds=3.0, same=False)}
    _, found = comparison.measure(TINY, workers, **SETTINGS)
    timed = found["passes"][FORWARD]
    assert timed["flax"]["speedup"].median == 3
    as_json = json.loads(json.dumps(timed, default=dataclasses.asdict))
    assert shown.ratio(as_json["flax"]) == "[3.00 (3.00–3.00)]"
    assert shown.ratio(None) == "–"


@pytest.mark.fast
def test_without_our_results_there_is_nothing_to_compare():
    failing = Fake(comparison.CompetitorError("cnnjax: no memory"))
    with pytest.raises(comparison.CompetitorError, match="cnnjax: no memory"):
        comparison.measure(TINY, {"cnnjax": failing, "flax": Fake([ARRAY])}, **SETTINGS)


@pytest.mark.fast
def test_disturbed_turns_are_taken_again_and_counted():
    workers = {"cnnjax": Fake([ARRAY], others=[0.0, 0.5, 0.0, 0.0]), "flax": Fake([ARRAY])}
    _, found = comparison.measure(TINY, workers, **SETTINGS)
    found = json.loads(json.dumps(found, default=dataclasses.asdict))
    assert len(workers["flax"].turns) == 4
    said = shown.disturbed({"case": {}}, {"case": found})
    assert said == "Of 8 turns 1 were disturbed by other processes and discarded."
    busy = {"cnnjax": Fake([ARRAY], others=0.5)}
    _, found = comparison.measure(TINY, busy, **SETTINGS)
    found = json.loads(json.dumps(found, default=dataclasses.asdict))
    assert "In 1 of 1 measurements every turn was" in shown.disturbed({"c": {}}, {"c": found})
    assert shown.spread(found["passes"][FORWARD]["cnnjax"]["seconds"]).startswith("~1.00")
    found["passes"][FORWARD]["cnnjax"]["turns"][0]["others"] = None
    assert "does not tell" in shown.disturbed({"c": {}}, {"c": found})


@pytest.mark.fast
def test_the_mean_ratio_is_of_undisturbed_turns_of_equal_layers():
    def timed(median, quiet=True, same=True):
        return {"flax": {"speedup": {"median": median, "quiet": quiet}, "same": same}}

    passes = {
        "a": {FORWARD: timed(2.0), "forward and backward": timed(8.0)},
        "b": {FORWARD: timed(100.0, same=False), "forward and backward": timed(50.0, quiet=False)},
        "c": {"training": timed(1000.0)},
    }
    timings = {
        "versions": {"cnnjax": "jax 1", "flax": "flax 2"},
        "missing": ["torch"],
        **{name: {"passes": each} for name, each in passes.items()},
    }
    assert shown.summary(passes, timings) == (
        "Compared are cnnjax (jax 1) and flax (flax 2). Not installed: torch. flax takes 4.00 "
        "times our time for equal layers, the geometric mean of 2."
    )
    passes["a"].clear()
    assert shown.summary(passes, timings).endswith("for equal layers was undisturbed.")


@pytest.mark.fast
def test_limits_and_shares_by_hand():
    """100 multiply-adds and 10 bytes a second: 2 s of products, 5 s of memory."""
    machine = {"multiply_adds_per_second": 100.0, "bytes_per_second": 10.0}
    passes = {FORWARD: {"cnnjax": {"seconds": {"median": 8.0}}}}
    timings = {"machine": machine, "a": {"passes": passes}, "b": {"passes": passes}}
    cases = {
        "a": {"work": {FORWARD: {"multiply_adds": 200, "bytes": 5}}},
        "b": {"work": {FORWARD: {"multiply_adds": 200, "bytes": 50}}},
        "trained": {"work": {}},
    }
    found = shown.shares_of_limit(FORWARD, cases, timings)
    assert found == {"a": (2.0, 0.25), "b": (5.0, 0.625)}


@pytest.mark.fast
def test_operations_and_bytes_by_hand():
    """2 images of 6x6x8, kernel 3, 36 kernels: x and z have 576 entries, the bank 36 * 576."""
    answer = worker.answers("cnnjax")({"prepare": {**TINY, "layer": "local"}})
    products, image, bank = 2 * 36 * 9 * 8 * 8, 4 * 2 * 36 * 8, 4 * 36 * 9 * 8 * 8
    assert answer["work"] == {
        "forward": {"multiply_adds": products, "bytes": 2 * image + bank},
        "forward and backward": {"multiply_adds": 3 * products, "bytes": 4 * image + 2 * bank},
    }


@pytest.mark.parametrize("layer", ["local", "transposed", "depthwise", "LRN"])
def test_results_of_flax_brought_back_to_our_layout_are_ours(layer):
    prepared = {
        name: worker.answers(name)({"prepare": {**TINY, "layer": layer}})
        for name in ("cnnjax", "flax")
    }
    assert comparison.incomparable(prepared, 1e-5) == {}
    assert [len(each["sketches"]) for each in prepared["flax"]["passes"].values()] == (
        [1, 2] if layer == "LRN" else [1, 3]
    )


@pytest.mark.parametrize("layer", sorted({*benchmark.Config().layers} - {"group"}))
def test_results_of_torch_are_ours(layer):
    pytest.importorskip("torch")
    prepared = {
        name: worker.answers(name)({"prepare": {**TINY, "layer": layer}})
        for name in ("cnnjax", "torch")
    }
    assert comparison.incomparable(prepared, 1e-5) == {}


@pytest.mark.parametrize("layer", ["standard", "depthwise", "max pooling", "average pooling"])
def test_results_of_keras_are_ours(layer, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras")
    prepared = {
        name: worker.answers(name)({"prepare": {**TINY, "layer": layer}})
        for name in ("cnnjax", "keras")
    }
    assert comparison.incomparable(prepared, 1e-5) == {}


@pytest.mark.slow
@pytest.mark.parametrize("network", ["CifarTutorial", "LeNet5", "ResNet20"])
def test_networks_as_usually_written_train_as_ours(network):
    prepared = {
        name: worker.answers(name)({"prepare": {"kind": "training", "layer": network, "batch": 4}})
        for name in ("cnnjax", "flax")
    }
    assert comparison.incomparable(prepared, 1e-4) == {}


@pytest.mark.fast
def test_cases_are_each_layer_on_each_shape_that_its_groups_divide():
    names = [case.name for case in benchmark.Config().cases()]
    assert len(names) == len(set(names)) == 11 * 5 + 2 * 3 + 4
    assert "tiled 3, 16x16x64 to 64, k3, batch 32" in names
    assert not [name for name in names if name.startswith("group") and "x1 " in name]
    growing = {case.name for case in benchmark.PRESETS["full"].cases()} - {*names}
    assert "local, 16x16x64 to 64, k3, batch 512" in growing
    assert "standard, 64x64x64 to 64, k3, batch 32" in growing
    assert len(growing) == 3 * (4 + 3)
    with pytest.raises(ValueError, match="layers or networks must name at least one"):
        benchmark.Config(layers=(), networks=())


@pytest.mark.fast
def test_a_process_without_our_settings_keeps_those_of_the_user():
    ours = "--xla_cpu_experimental_ynn_fusion_type=-individual_convolution"
    environment = {"XLA_FLAGS": f"--xla_dump_to=here {ours}", "NPROC": "4", "HOME": "there"}
    untuned = comparison.worker_environment(environment, tuned=False)
    assert untuned["XLA_FLAGS"] == "--xla_dump_to=here"
    assert "NPROC" not in untuned
    tuned = comparison.worker_environment(environment, tuned=True)
    assert tuned["XLA_FLAGS"] == environment["XLA_FLAGS"]
    assert tuned["JAX_ENABLE_COMPILATION_CACHE"] == "false"
    assert tuned["HOME"] == untuned["HOME"] == "there"


def test_a_small_run(tmp_path):
    assert launch.main(["benchmark", "smoke", "--workdir", str(tmp_path / "run")]) == 0
    page = (tmp_path / "run" / "report.md").read_text()
    results, timings = (
        json.loads((tmp_path / "run" / name).read_text())
        for name in ("results.json", "timings.json")
    )
    cases = benchmark.PRESETS["smoke"].cases()
    assert [*results["cases"]] == [case.name for case in cases]
    for case in cases:
        assert case.name in page
        assert "flax" not in timings[case.name]["left_out"]
        for timed in timings[case.name]["passes"].values():
            assert set(timed) >= {"cnnjax", "flax"}
            assert all(each["seconds"]["median"] > 0 for each in timed.values())
    assert "seconds" not in json.dumps(results["cases"])
    installed = {name: importlib.util.find_spec(name) for name in ("torch", "keras")}
    assert timings["missing"] == [name for name, found in installed.items() if found is None]

"""Equivariance errors in metrics.jsonl: names of columns, and what to log."""

import pytest

from cnnjax.run.metrics import (
    EquivarianceLog,
    column,
    logged_errors,
    results_of_log,
)

LINES = [
    {"step": 0, "network": "b", "equivariance.flip.Block_0/Conv_1": 0.5, "equivariance.flip": 1.0},
    {"step": 2, "network": "b", "loss": 2.0, "equivariances": 3.0, "equivariance": 4.0},
    {"step": 2, "network": "b", "equivariance.flip.Block_0/Conv_1": None, "equivariance.flip": 2.0},
    {"step": 0, "network": "a", "equivariance.shift4.a.b": 0.25},
]
FOUND = {
    "b": {
        "flip": {
            "Block_0/Conv_1": {"steps": [0, 2], "values": [0.5, None]},
            "": {"steps": [0, 2], "values": [1.0, 2.0]},
        }
    },
    "a": {"shift4": {"a.b": {"steps": [0], "values": [0.25]}}},
}


@pytest.mark.fast
def test_columns_are_read_as_they_are_named():
    names = [("flip", "Block_0/Conv_1"), ("flip", ""), ("shift4", "a.b")]
    assert [column(*name) for name in names] == [
        "equivariance.flip.Block_0/Conv_1",
        "equivariance.flip",
        "equivariance.shift4.a.b",
    ]
    assert logged_errors(LINES) == FOUND
    assert logged_errors(LINES[1:2]) == {}


@pytest.mark.fast
def test_results_are_in_the_order_of_names_and_empty_without_a_log():
    assert list(results_of_log(LINES)["equivariance_while_training"]) == ["a", "b"]
    assert results_of_log(LINES)["equivariance_while_training"] == FOUND
    assert results_of_log(LINES[1:2]) == {}


@pytest.mark.fast
def test_the_configuration_is_checked():
    assert EquivarianceLog().every == 0
    log = EquivarianceLog(every=3, transformations=("shift12", "rotate90"), images=2)
    assert log.transformations == ("shift12", "rotate90")
    for values, message in (
        ({"every": -1}, "every must be at least 0, got -1"),
        ({"every": 1, "images": 0}, "images must be at least 1, got 0"),
        ({"every": 1, "transformations": ()}, "at least one, each once"),
        ({"every": 1, "transformations": ("shift0",)}, "shift4, rotate90, rotate180 or flip, got"),
        ({"every": 1, "transformations": ("flip", "flip")}, "each once, got"),
        ({"images": 4}, "--equivariance.images is given without --equivariance.every"),
    ):
        with pytest.raises(ValueError, match=message):
            EquivarianceLog(**values)

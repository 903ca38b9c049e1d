"""Configurations survive the way to JSON and back, and what is wrong is named with its place."""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models.choice import Convolution
from cnnjax.run import config as configuration
from cnnjax.run.config_files import load


@dataclasses.dataclass(frozen=True)
class Train:
    steps: int = 10
    learning_rate: float = 0.5
    optimizer: Literal["sgd", "adam"] = "sgd"


@dataclasses.dataclass(frozen=True)
class Config:
    data: str = "digits"
    data_dir: str | None = None
    folder: Path = Path("here")
    seeds: tuple[int, ...] = (0, 1)
    canvas: tuple[int, int] = (24, 24)
    window: int | tuple[int, int] = 3
    flip: bool = False
    conv: tuple[Convolution, ...] = (Convolution("standard"), Convolution("tiled", {"tile": 2}))
    options: dict[str, float] = dataclasses.field(default_factory=dict)
    train: Train = Train()

    def __post_init__(self):
        if self.data == "bad":
            raise ValueError("data is 'bad'; give 'digits'.")


@dataclasses.dataclass(frozen=True)
class Required:
    size: int
    note: Any = None


@pytest.mark.fast
@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(data_dir="/data", seeds=(), window=(3, 5), flip=True, options={"a": 1.5}),
        Config(conv=(Convolution("m:C", {"tile": (2, (3, 4)), "same": None, "rate": 0.5}),)),
        Config(train=Train(steps=3, learning_rate=1e-30, optimizer="adam")),
    ],
)
def test_a_configuration_comes_back_from_a_file_equal_and_of_the_same_types(config, tmp_path):
    file = tmp_path / "config.json"
    file.write_text(json.dumps(configuration.to_json(config)))
    loaded = load(file, Config)
    assert loaded == config
    assert repr(loaded) == repr(config)  # tuples did not become lists


def test_json_of_a_configuration_is_plain():
    assert configuration.to_json(Config(seeds=(3,))) == {
        "data": "digits",
        "data_dir": None,
        "folder": "here",
        "seeds": [3],
        "canvas": [24, 24],
        "window": 3,
        "flip": False,
        "conv": [
            {"name": "standard", "arguments": {}},
            {"name": "tiled", "arguments": {"tile": 2}},
        ],
        "options": {},
        "train": {"steps": 10, "learning_rate": 0.5, "optimizer": "sgd"},
    }


def test_arrays_and_their_scalars_become_numbers():
    values = {
        "a": np.arange(3, dtype=np.int32),
        "b": np.float32(0.5),
        "c": jnp.ones((1, 2), jnp.bfloat16),
        "d": np.float64(0.25),
        "e": np.True_,
    }
    plain = configuration.to_json(values)
    assert plain == {"a": [0, 1, 2], "b": 0.5, "c": [[1.0, 1.0]], "d": 0.25, "e": True}
    assert type(plain["d"]) is float


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"rows": [1.0, math.nan]}, "results.rows[1] must be finite, got nan."),
        ({"rows": [{"mean": np.float32("inf")}]}, "results.rows[0].mean must be finite, got inf."),
        ({"rows": np.array([0.0, np.nan])}, "results.rows[1] must be finite, got nan"),
        ({"f": len}, "results.f is a builtin_function_or_method, which JSON cannot hold"),
        ({"a": {3: 1}}, "results.a has the key 3; keys must be of type str."),
    ],
)
def test_what_json_cannot_hold_is_refused_with_its_place(value, sentence):
    with pytest.raises(ValueError) as refused:
        configuration.to_json(value, "results")
    assert sentence in str(refused.value)


def test_numbers_that_are_not_finite_become_null_on_request():
    values = {"loss": math.nan, "list": [math.inf, 1.0]}
    assert configuration.to_json(values, null_if_not_finite=True) == {
        "loss": None,
        "list": [None, 1.0],
    }


@pytest.mark.fast
@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"train": {"step": 3}},
            "config.train.step is no field (perhaps you meant 'steps'): there are steps, "
            "learning_rate, optimizer.",
        ),
        ({"seeds": [0, "x"]}, "config.seeds[1] must be of type int, got 'x'."),
        ({"seeds": 3}, "config.seeds must be of type tuple[int, ...], got 3."),
        ({"canvas": [1, 2, 3]}, "config.canvas must have 2 entries, got 3."),
        ({"flip": 1}, "config.flip must be of type bool, got 1."),
        ({"train": {"steps": True}}, "config.train.steps must be of type int, got True."),
        ({"train": {"steps": 2.0}}, "config.train.steps must be of type int, got 2.0."),
        (
            {"train": {"optimizer": "sdg"}},
            "config.train.optimizer must be one of 'sgd', 'adam', got 'sdg'.",
        ),
        ({"train": 3}, "config.train must be an object of named fields, got 3."),
        ({"data_dir": 3}, "config.data_dir must be of type str, got 3."),
        ({"window": "x"}, "config.window must be of type int | tuple[int, int], got 'x'."),
        ({"options": {"a": "b"}}, "config.options.a must be of type float, got 'b'."),
        ({"conv": [{"nam": "tiled"}]}, "config.conv[0].nam is no field (perhaps you meant 'name')"),
        ({"conv": [{}]}, "config.conv[0].name is missing."),
        ({"data": "bad"}, "data is 'bad'; give 'digits'."),
    ],
)
def test_wrong_fields_and_types_are_named_with_their_place(values, sentence):
    with pytest.raises(ValueError) as refused:
        configuration.from_json(Config, values)
    assert sentence in str(refused.value)


def test_fields_left_out_come_from_the_default_or_the_class():
    default = Config(data="mnist", train=Train(steps=99, learning_rate=0.25))
    loaded = configuration.from_json(Config, {"train": {"steps": 7}}, default=default)
    assert loaded == Config(data="mnist", train=Train(steps=7, learning_rate=0.25))
    assert configuration.from_json(Config, {"train": {"steps": 7}}) == Config(train=Train(steps=7))
    with pytest.raises(ValueError, match=r"^config\.size is missing\.$"):
        configuration.from_json(Required, {"note": 1})


def test_an_int_stands_for_a_float():
    loaded = configuration.from_json(Train, {"learning_rate": 1})
    assert type(loaded.learning_rate) is float


@pytest.mark.fast
def test_any_sequence_is_a_tuple():
    assert configuration.from_json(Sequence[int], [1, 2]) == (1, 2)
    assert configuration.from_json(Iterable, [1, "x"]) == (1, "x")
    assert configuration.from_json(int | Sequence[int | tuple[int, int]], [1, [0, 2]]) == (
        1,
        (0, 2),
    )
    for value in ("12", 3, [1, "x"], {"a": 1}):
        with pytest.raises(ValueError, match="config"):
            configuration.from_json(Sequence[int], value)


@pytest.mark.fast
def test_a_configuration_in_yaml(tmp_path):
    (tmp_path / "mine.yaml").write_text(
        "data: mnist\nseeds: [3, 4]\ntrain:\n  learning_rate: 1e-3\n  steps: 5  # few\n"
    )
    loaded = load(tmp_path / "mine.yaml", Config)
    assert loaded == Config(data="mnist", seeds=(3, 4), train=Train(5, 0.001))
    (tmp_path / "torn.yml").write_text("train: {steps: 5")
    with pytest.raises(configuration.InputError, match=r"torn.yml is not YAML: while parsing"):
        load(tmp_path / "torn.yml", Config)
    (tmp_path / "code.yaml").write_text("data: !!python/object/apply:os.getcwd []")
    with pytest.raises(configuration.InputError, match="could not determine a constructor"):
        load(tmp_path / "code.yaml", Config)
    (tmp_path / "wrong.yaml").write_text("train: {steps: few}")
    with pytest.raises(ValueError, match=r"wrong.yaml.train.steps must be of type int, got 'few'"):
        load(tmp_path / "wrong.yaml", Config)


def test_files_that_cannot_be_loaded_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"There is no configuration file .*absent\.json\."):
        load(tmp_path / "absent.json", Config)
    (tmp_path / "torn.json").write_text('{"data": ')
    with pytest.raises(ValueError, match=r"torn\.json is not JSON"):
        load(tmp_path / "torn.json", Config)


@pytest.mark.fast
def test_the_hash_is_that_of_the_sorted_json():
    text = '{"learning_rate":0.5,"optimizer":"sgd","steps":10}'
    assert (
        configuration.configuration_hash(Train()) == hashlib.sha256(text.encode()).hexdigest()[:8]
    )


def test_the_hash_names_the_values_and_not_how_they_were_written():
    def digest(**fields):
        return configuration.configuration_hash(Config(**fields))

    assert digest(train=Train(learning_rate=1)) == digest(train=Train(learning_rate=1.0))
    one, other = Convolution("m:C", {"a": 1, "b": [2]}), Convolution("m:C", {"b": (2,), "a": 1})
    assert digest(conv=(one,)) == digest(conv=(other,))
    different = [
        digest(),
        digest(seeds=(1, 0)),
        digest(train=Train(steps=11)),
        digest(conv=(Convolution("tiled", {"tile": 4}),)),
        digest(conv=(Convolution("tiled", {"tile": 2}),)),
        digest(data_dir="None"),
    ]
    assert len(set(different)) == len(different)


def test_differences_name_nested_fields():
    first, second = Config(seeds=(0,)), Config(seeds=(1,), train=Train(steps=20))
    assert configuration.differences(first, second) == {
        "seeds": ([0], [1]),
        "train.steps": (10, 20),
    }
    assert configuration.differences(first, first) == {}
    assert configuration.differences({"old": 1}, {"new": None}) == {
        "old": (1, None),
        "new": (None, None),
    }

"""Convolutions and models chosen by name or import path; every mistake gives one sentence."""

import dataclasses
import functools
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any, Literal

import flax.linen as nn
import pytest
from jax.typing import DTypeLike

from cnnjax import layers
from cnnjax.layers import Conv, TiledConv
from cnnjax.models import ConvNet
from cnnjax.models.choice import (
    Convolution,
    convolution_options,
    convolutions,
    model_arguments,
    read_options,
    resolve_model,
)

OWN = """
from flax import linen

class Mine(linen.Module):
    width: int
    depth: int = 2

ready = Mine(width=3)
number = 3
"""


class Tiled(nn.Module):
    features: int
    tile: int | tuple[int, ...] = 1
    pair: tuple[int, int] = (1, 1)
    sizes: Sequence[int] = ()
    rate: float = 0.0
    same: bool = True
    note: str | None = None
    mode: Literal["zero", "circular"] = "zero"
    padding: str | int | Sequence[int | tuple[int, int]] = "SAME"
    dtype: DTypeLike | None = None
    initializer: Callable[..., Any] = nn.initializers.zeros
    free: Any = None

    def __call__(self, x):
        return x


@pytest.fixture(autouse=True)
def variants(monkeypatch):
    monkeypatch.setattr(layers, "VARIANTS", {"tiled": Tiled, "standard": nn.Conv})
    monkeypatch.setattr(sys, "path", list(sys.path))


def refused(convolution) -> str:
    with pytest.raises(ValueError) as error:
        convolution.layer()
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.fast
def test_a_choice_is_hashable_and_does_not_depend_on_how_it_was_written():
    one = Convolution("m:C", {"a": 1, "b": [2, [3]]})
    other = Convolution("m:C", {"b": (2, (3,)), "a": 1})
    assert one == other
    assert hash(one) == hash(other)
    assert one != Convolution("m:C", {"a": 2, "b": (2, (3,))})
    assert {one: 1}[other] == 1
    assert pickle.loads(pickle.dumps(one)) == one
    assert dataclasses.replace(one, name="n") == Convolution("n", one.arguments)
    assert str(Convolution("tiled", {"tile": (2, 4)})) == "tiled(tile=(2, 4))"
    assert str(Convolution("tiled")) == "tiled"


@pytest.mark.parametrize(
    ("name", "arguments", "sentence"),
    [
        ("", {}, "got ''"),
        (3, {}, "got 3"),
        ("tiled", {"tile": {1}}, "`tile` of a convolution must be None, a bool, a finite number"),
        ("tiled", {"rate": float("nan")}, "got nan."),
    ],
)
def test_a_choice_holds_plain_values_only(name, arguments, sentence):
    with pytest.raises(ValueError) as error:
        Convolution(name, arguments)
    assert sentence in str(error.value)


@pytest.mark.fast
def test_a_name_resolves_to_the_class_with_its_arguments():
    constructor = Convolution("tiled", {"tile": [2, 4], "rate": 1}).layer()
    assert isinstance(constructor, functools.partial)
    module = constructor(features=3)
    assert (type(module), module.features, module.tile, module.rate) == (Tiled, 3, (2, 4), 1)


@pytest.mark.fast
def test_equal_choices_give_the_identical_layer_and_so_equal_networks():
    one, other = (Convolution("tiled", {"sizes": sizes}) for sizes in ([2, 4], (2, 4)))
    assert one.layer() is other.layer()
    networks = [ConvNet(classes=3, conv=conv.layer()) for conv in (one, other)]
    assert networks[0] == networks[1]
    assert hash(networks[0]) == hash(networks[1])
    assert one.layer() is not Convolution("tiled", {"sizes": (2, 5)}).layer()
    # True == 1, but they are different choices where both are taken.
    assert Convolution("tiled", {"free": 1}).layer().keywords["free"] is not True
    assert Convolution("tiled", {"free": True}).layer().keywords["free"] is True


@pytest.mark.fast
def test_choosing_imports_no_jax():
    code = (
        "import sys; from cnnjax.models.choice import Convolution, read_options; "
        "read_options(['--conv', 'tiled'], 'conv'); "
        "assert not {'jax', 'flax', 'numpy'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_import_path_resolves_also_in_the_current_directory(tmp_path, monkeypatch):
    (tmp_path / "cnnjax_test_mine.py").write_text(
        "from __future__ import annotations\n"
        "import flax.linen as nn\n"
        "class MyConv(nn.Module):\n"
        "    features: int\n"
        "    scale: float = 1.0\n"
    )
    monkeypatch.chdir(tmp_path)
    module = Convolution("cnnjax_test_mine:MyConv", {"scale": 0.5}).layer()(features=2)
    assert (type(module).__name__, module.scale) == ("MyConv", 0.5)
    assert "must be float, got 'half'" in refused(
        Convolution("cnnjax_test_mine:MyConv", {"scale": "half"})
    )
    assert Convolution("flax.linen:Conv").layer().func is nn.Conv


@pytest.mark.fast
def test_unknown_names_and_classes_say_what_there_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cnnjax_test_broken.py").write_text("import flax\nraise RuntimeError('oh')\n")
    (tmp_path / "cnnjax_test_needs.py").write_text("import cnnjax_test_absent\n")
    assert refused(Convolution("tilde")) == (
        "There is no convolution 'tilde' (perhaps you meant 'tiled'): there are tiled, standard, "
        "and package.module:Class for one of your own."
    )
    assert refused(Convolution("cnnjax_test_absent.conv:C")) == (
        "There is no module 'cnnjax_test_absent' for the convolution 'cnnjax_test_absent.conv:C', "
        f"neither in {tmp_path} nor among the installed packages."
    )
    assert "There is no module 'flax.absent'" in refused(Convolution("flax.absent:C"))
    assert refused(Convolution("cnnjax_test_broken:C")) == (
        "The module of the convolution 'cnnjax_test_broken:C' does not import: RuntimeError: oh"
    )
    assert "does not import: ModuleNotFoundError: No module named 'cnnjax_test_absent'" in refused(
        Convolution("cnnjax_test_needs:C")
    )
    assert "does not exist (perhaps you meant 'Conv')" in refused(Convolution("flax.linen:conv"))
    assert "is no flax module" in refused(Convolution("flax.linen:relu"))
    assert "is no flax module" in refused(Convolution("collections:Counter"))
    assert "does not import" in refused(Convolution(":C"))


def test_an_unknown_argument_lists_those_there_are():
    said = refused(Convolution("tiled", {"tiles": 2}))
    assert "no argument 'tiles' (perhaps you meant 'tile'): it takes features, tile, pair" in said
    assert "parent" not in said
    assert "has no argument 'name'" in refused(Convolution("tiled", {"name": "x"}))


GOOD = [
    ("tile", 2),
    ("tile", (2, 3, 4)),
    ("pair", (2, 3)),
    ("sizes", (1, 2)),
    ("rate", 1),
    ("rate", 0.5),
    ("same", False),
    ("note", None),
    ("note", "x"),
    ("mode", "circular"),
    ("padding", "VALID"),
    ("padding", (1, (0, 2))),
    ("dtype", "bfloat16"),
    ("free", (1, "x")),
    ("free", 3),
]
BAD = [
    ("tile", "two", "int | tuple[int, ...]"),
    ("tile", 2.0, "int | tuple[int, ...]"),
    ("tile", True, "int | tuple[int, ...]"),
    ("tile", (2, "x"), "int | tuple[int, ...]"),
    ("pair", (1, 2, 3), "tuple[int, int]"),
    ("rate", "fast", "float"),
    ("rate", True, "float"),
    ("same", "no", "bool"),
    ("same", 1, "bool"),
    ("note", 3, "str | None"),
    ("mode", "mirror", "Literal['zero', 'circular']"),
    ("padding", (1, (0, "x")), "str | int | Sequence[int | tuple[int, int]]"),
    ("initializer", "normal", "Callable[..., Any]"),
    ("sizes", "12", "Sequence[int]"),
]


@pytest.mark.parametrize(("key", "value"), GOOD)
def test_values_of_the_annotated_type_are_taken(key, value):
    module = Convolution("tiled", {key: value}).layer()(features=1)
    assert getattr(module, key) == value


@pytest.mark.parametrize(("key", "value", "takes"), BAD)
def test_values_of_another_type_are_refused(key, value, takes):
    assert refused(Convolution("tiled", {key: value})) == (
        f"`{key}` of the convolution 'tiled' must be {takes}, got {value!r}."
    )


def test_one_value_for_a_tuple_is_a_tuple_of_one():
    assert Convolution("tiled", {"sizes": 3}).layer()(features=1).sizes == (3,)
    assert "got 3" in refused(Convolution("tiled", {"pair": 3}))


def test_flax_own_layers_are_checked_by_their_annotations():
    given = {"kernel_size": 3, "padding": "CIRCULAR", "use_bias": False, "dtype": "bfloat16"}
    layer = Convolution("standard", given).layer()(features=2)
    assert (layer.kernel_size, layer.padding, layer.use_bias) == (3, "CIRCULAR", False)
    assert "`use_bias`" in refused(Convolution("standard", {"use_bias": "no"}))


@pytest.mark.fast
@pytest.mark.parametrize(
    ("words", "expected", "rest"),
    [
        ("", [], ""),
        ("--conv tiled --conv.tile 2", [("tiled", {"tile": 2})], ""),
        ("--conv=tiled --conv.tile=2", [("tiled", {"tile": 2})], ""),
        ("--conv tiled --conv.tile 2 4", [("tiled", {"tile": (2, 4)})], ""),
        ("--conv m:C --conv.some-thing -1.5", [("m:C", {"some_thing": -1.5})], ""),
        ("--conv m:C --conv.a None --conv.b False", [("m:C", {"a": None, "b": False})], ""),
        ("--conv m:C --conv.flag --conv.b x", [("m:C", {"flag": True, "b": "x"})], ""),
        (
            "--seeds 0 1 --conv standard tiled --conv.tile 4 --flip --conv m.n:C --conv.b 3",
            [("standard", {}), ("tiled", {"tile": 4}), ("m.n:C", {"b": 3})],
            "--seeds 0 1 --flip",
        ),
        ("smoke --convs tiled --converse.x 1 -h", [], "smoke --convs tiled --converse.x 1 -h"),
    ],
)
def test_the_command_line_is_read(words, expected, rest):
    found, left = read_options(words.split(), "conv")
    assert found == [Convolution(name, arguments) for name, arguments in expected]
    assert left == rest.split()


def test_a_nested_field_is_read_by_its_path():
    words = "--model.conv tiled --model.conv.tile 2 --model.depth 3 --conv x"
    found, left = read_options(words.split(), "model.conv")
    assert found == [Convolution("tiled", {"tile": 2})]
    assert left == ["--model.depth", "3", "--conv", "x"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("--conv", "--conv needs a name, as in --conv tiled."),
        ("--conv --seeds 1", "--conv needs a name"),
        ("--conv.tile 2 --conv tiled", "--conv.tile comes before any --conv"),
    ],
)
def test_options_out_of_place_are_refused(words, sentence):
    with pytest.raises(ValueError) as error:
        read_options(words.split(), "conv")
    assert sentence in str(error.value)


STANDARD = Convolution("standard")


@dataclasses.dataclass(frozen=True)
class Model:
    conv: Convolution = STANDARD
    depth: int = 2


@dataclasses.dataclass(frozen=True)
class Config:
    conv: tuple[Convolution, ...] = (Convolution("tiled"), Convolution("local"))
    model: Model = Model()
    other: Convolution | None = None


def test_the_fields_that_choose_convolutions_are_found():
    assert convolution_options(Config) == {"conv": True, "model.conv": False, "other": False}
    names = [convolution.name for convolution in convolutions(Config())]
    assert names == ["tiled", "local", "standard"]


@pytest.fixture
def own_directory(tmp_path, monkeypatch):
    (tmp_path / "cnnjax_test_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("cnnjax_test_models", None)


def refused_model(name, **arguments) -> str:
    with pytest.raises(ValueError) as error:
        resolve_model(name, **arguments)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.fast
def test_a_name_gives_the_model_with_its_arguments():
    model = resolve_model("ConvNet", classes=7, conv=TiledConv)
    assert isinstance(model, ConvNet)
    assert (model.classes, model.conv, model.kernel_size) == (7, TiledConv, 5)


@pytest.mark.fast
def test_an_import_path_gives_a_class_or_a_module_made_already(own_directory):
    made = resolve_model("cnnjax_test_models:Mine", width=4)
    assert (type(made).__name__, made.width, made.depth) == ("Mine", 4, 2)
    ready = resolve_model("cnnjax_test_models:ready")
    assert ready is sys.modules["cnnjax_test_models"].ready


@pytest.mark.fast
def test_the_arguments_of_a_model_are_known_and_which_are_needed(own_directory):
    assert model_arguments("cnnjax_test_models:Mine") == {"width": True, "depth": False}
    assert model_arguments("cnnjax_test_models:ready") == {}
    takes = model_arguments("ConvNet")
    assert [name for name, needed in takes.items() if needed] == ["classes", "conv"]


@pytest.mark.fast
def test_wrong_input_is_one_sentence(own_directory):
    assert "There is no model 'ConvNit' (perhaps you meant 'ConvNet'): there are" in refused_model(
        "ConvNit"
    )
    assert refused_model("ConvNet", classes=3, conv=Conv, feature=3).startswith(
        "The model 'ConvNet' has no argument 'feature' (perhaps you meant 'features'): it takes "
        "classes, conv, features"
    )
    assert "The model 'ConvNet' needs classes, conv" in refused_model("ConvNet")
    assert "needs width" in refused_model("cnnjax_test_models:Mine")
    assert "has no argument 'width': it takes none" in refused_model(
        "cnnjax_test_models:ready", width=1
    )
    assert "The model 'cnnjax_test_models:number' is no flax module" in refused_model(
        "cnnjax_test_models:number"
    )
    assert "does not exist (perhaps you meant 'Mine')" in refused_model("cnnjax_test_models:Mind")
    assert "There is no module 'cnnjax_test_absent' for the model" in refused_model(
        "cnnjax_test_absent:Net"
    )
    assert isinstance(resolve_model("cnnjax_test_models:ready"), nn.Module)

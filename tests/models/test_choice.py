"""Models chosen by name and import path; every mistake gives one sentence."""

import sys

import pytest
from flax import linen

from cnnjax.layers import Conv, TiledConv
from cnnjax.models import ConvNet
from cnnjax.models.choice import model_arguments, resolve_model

OWN = """
from flax import linen

class Mine(linen.Module):
    width: int
    depth: int = 2

ready = Mine(width=3)
number = 3
"""


@pytest.fixture(autouse=True)
def own_directory(tmp_path, monkeypatch):
    (tmp_path / "cnnjax_test_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("cnnjax_test_models", None)


def refused(name, **arguments) -> str:
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
def test_an_import_path_gives_a_class_or_a_module_made_already():
    made = resolve_model("cnnjax_test_models:Mine", width=4)
    assert (type(made).__name__, made.width, made.depth) == ("Mine", 4, 2)
    ready = resolve_model("cnnjax_test_models:ready")
    assert ready is sys.modules["cnnjax_test_models"].ready


@pytest.mark.fast
def test_the_arguments_of_a_model_are_known_and_which_are_needed():
    assert model_arguments("cnnjax_test_models:Mine") == {"width": True, "depth": False}
    assert model_arguments("cnnjax_test_models:ready") == {}
    takes = model_arguments("ConvNet")
    assert [name for name, needed in takes.items() if needed] == ["classes", "conv"]


@pytest.mark.fast
def test_wrong_input_is_one_sentence():
    assert "There is no model 'ConvNit' (perhaps you meant 'ConvNet'): there are" in refused(
        "ConvNit"
    )
    assert refused("ConvNet", classes=3, conv=Conv, feature=3).startswith(
        "The model 'ConvNet' has no argument 'feature' (perhaps you meant 'features'): it takes "
        "classes, conv, features"
    )
    assert "The model 'ConvNet' needs classes, conv" in refused("ConvNet")
    assert "needs width" in refused("cnnjax_test_models:Mine")
    assert "has no argument 'width': it takes none" in refused("cnnjax_test_models:ready", width=1)
    assert "The model 'cnnjax_test_models:number' is no flax module" in refused(
        "cnnjax_test_models:number"
    )
    assert "does not exist (perhaps you meant 'Mine')" in refused("cnnjax_test_models:Mind")
    assert "There is no module 'cnnjax_test_absent' for the model" in refused(
        "cnnjax_test_absent:Net"
    )
    assert isinstance(resolve_model("cnnjax_test_models:ready"), linen.Module)

"""A model written in plain JSON is made again from it, equal; what cannot be written is not."""

import functools
import json

import jax
import pytest
from flax import linen

from cnnjax import models
from cnnjax.layers import LocalConv, TiledConv
from cnnjax.models.choice import Convolution, model_arguments
from cnnjax.models.description import describe_model, described_model, import_paths


class WithFunction(linen.Module):
    activation: object = linen.relu


def again(model):
    return described_model(json.loads(json.dumps(describe_model(model))))


@pytest.mark.fast
@pytest.mark.parametrize("name", models.__all__)
def test_every_model_is_made_again(name):
    needed = {
        "classes": 3,
        "conv": TiledConv,
        "network": functools.partial(models.LeNet5, classes=3),
    }
    given = {key: needed[key] for key, must in model_arguments(name).items() if must}
    model = getattr(models, name)(**given)
    made = again(model)
    assert type(made) is type(model)
    assert describe_model(made) == describe_model(model)


@pytest.mark.fast
def test_arguments_survive_and_defaults_are_left_out():
    conv = Convolution("tiled", {"tile": (2, 3)}).layer()
    model = models.PlainNet(7, conv=conv, features=(4, 5), normalize=False)
    assert describe_model(model) == {
        "model": "cnnjax.models.plain:PlainNet",
        "arguments": {
            "classes": 7,
            "conv": {"name": "cnnjax.layers.banked:TiledConv", "arguments": {"tile": [2, 3]}},
            "features": [4, 5],
            "normalize": False,
        },
    }
    made = again(model)
    x = jax.numpy.ones((1, 16, 16, 1))
    for each in (model, made):
        params = jax.eval_shape(each.init, jax.random.key(0), x)["params"]
        assert params["conv1"]["kernel"].shape[:2] == (2, 3)
    assert made.features == (4, 5)
    assert made == model
    assert made.conv is Convolution("cnnjax.layers:TiledConv", {"tile": (2, 3)}).layer()
    assert import_paths(describe_model(model))[1] == "cnnjax.layers.banked:TiledConv"


@pytest.mark.fast
@pytest.mark.parametrize(
    "model",
    [
        WithFunction(activation=linen.gelu),
        linen.Sequential([linen.relu]),
        models.PlainNet(conv=functools.partial(LocalConv, kernel_init=linen.initializers.ones)),
        type("Inside", (linen.Module,), {"__qualname__": "test.<locals>.Inside"})(),
    ],
)
def test_what_is_not_plain_has_no_description(model):
    assert describe_model(model) is None


@pytest.mark.fast
def test_a_class_that_changed_is_one_sentence():
    told = describe_model(models.ConvNet(classes=3, conv=TiledConv))
    told["arguments"]["depth"] = 3
    with pytest.raises(ValueError, match=r"cannot be made: .*unexpected keyword argument 'depth'"):
        described_model(told)
    with pytest.raises(ValueError, match="perhaps you meant 'ConvNet'"):
        described_model(told | {"model": "cnnjax.models.conv_net:ConvNot"})

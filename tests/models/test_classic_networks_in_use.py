"""The classic networks take any convolution, train and evaluate, on one device and on several."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import models
from cnnjax.layers import TiledConv


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("LeNet5", (32, 32, 1), {}),
        ("AlexNet", (63, 63, 3), {}),
        ("VGG11", (32, 32, 3), {"hidden": 8}),
        ("GoogLeNet", (32, 32, 3), {"auxiliary": False}),
        ("ResNet20", (8, 8, 3), {}),
        ("DenseNet", (8, 8, 3), {"depths": (2, 2), "growth": 4, "cifar": True}),
        ("AllCNN", (16, 16, 3), {}),
        ("CifarTutorial", (8, 8, 3), {}),
        ("PlainNet", (8, 8, 3), {}),
    ],
)
def test_every_network_takes_its_convolution_as_an_argument(name, shape, arguments):
    """Tiles of 2 make exactly four kernels of every one."""

    def kernels(conv):
        model = getattr(models, name)(classes=3, conv=conv, **arguments)
        x = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
        params = jax.eval_shape(model.init, jax.random.key(0), x)["params"]
        paths = jax.tree_util.tree_flatten_with_path(params)[0]
        return {
            jax.tree_util.keystr(path): leaf.shape
            for path, leaf in paths
            if "kernel" in jax.tree_util.keystr(path) and leaf.ndim > 2
        }

    def tiled(**arguments):
        return TiledConv(tile=2, **arguments)

    standard, banks = kernels(nn.Conv), kernels(tiled)
    assert banks == {path: (2, 2, *kernel) for path, kernel in standard.items()}
    assert standard


@pytest.mark.parametrize(
    ("name", "shape", "arguments"),
    [
        ("ResNet20", (8, 8, 3), {"depths": (1, 1), "features": (4, 8), "axis_name": None}),
        ("DenseNet", (8, 8, 3), {"depths": (1,), "growth": 4, "cifar": True, "axis_name": None}),
        ("VGG", (8, 8, 3), {"depths": (1,), "features": (4,), "hidden": 16}),
    ],
)
def test_training_and_evaluation(name, shape, arguments):
    """Training draws dropout masks or collects statistics; evaluation does neither."""
    model = getattr(models, name)(classes=3, **arguments)
    x = jax.random.normal(jax.random.key(1), (2, *shape))
    variables = jax.jit(model.init)(jax.random.key(0), x)
    evaluate = jax.jit(model.apply)
    logits = evaluate(variables, x)
    assert logits.shape == (2, 3)
    assert jnp.isfinite(logits).all()
    np.testing.assert_allclose(logits[:1], evaluate(variables, x[:1]), rtol=1e-4, atol=1e-5)

    def train(variables, x, key):
        return model.apply(variables, x, train=True, rngs={"dropout": key}, mutable=["batch_stats"])

    trained, updated = jax.jit(train)(variables, x, jax.random.key(2))
    assert not np.allclose(trained, logits, atol=1e-4)
    if "batch_stats" in variables:
        before, after = jax.tree.leaves(variables["batch_stats"]), jax.tree.leaves(updated)
        assert not any(np.array_equal(*pair) for pair in zip(before, after, strict=True))


def test_batch_norm_averages_over_the_devices_in_training_only():
    model = models.PlainNet(classes=3, features=(4,))
    x = jax.random.normal(jax.random.key(1), (4, 2, 4, 4, 1))
    alone = models.PlainNet(classes=3, features=(4,), axis_name=None)
    variables = jax.jit(model.init)(jax.random.key(0), x[0])

    def mean(model, x):
        _, updated = model.apply(variables, x, train=True, mutable=["batch_stats"])
        return updated["batch_stats"]["bn1"]["mean"]

    @jax.jit
    def means(x):
        on_four = jax.vmap(lambda x: mean(model, x), axis_name="batch")(x)
        return on_four, mean(alone, x.reshape(8, 4, 4, 1)), mean(alone, x[0])

    on_four, whole, one = means(x)
    for device in on_four:
        np.testing.assert_allclose(device, whole, rtol=1e-5, atol=1e-7)
    assert not np.allclose(one, whole, atol=1e-3)
    assert jax.eval_shape(model.apply, variables, x[0]).shape == (2, 3)

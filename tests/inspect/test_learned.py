"""What is found in networks whose filters, units and decisions are known."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax import ops
from cnnjax.inspect import (
    Layer,
    convolutions_spread,
    evidence,
    first_filters,
    preferred_classes,
    varied_units,
)

DRAW = np.random.default_rng(0)


def layer(name, *, field=(3, 3), stride=(1, 1), output=(8, 8, 4)):
    return Layer(name, "Conv", (8, 8, 1), output, 0, 0, 0, 0, field, stride)


def variables_of(**kernels):
    """Variables with a kernel for each path, 'block__conv' for 'block/conv'."""
    params = {}
    for path, kernel in kernels.items():
        *above, last = path.split("__")
        inside = params
        for name in above:
            inside = inside.setdefault(name, {})
        inside[last] = {"kernel": kernel}
    return {"params": params}


def test_first_filters_are_those_larger_than_one_pixel():
    kernel = DRAW.normal(size=(5, 5, 3, 20))
    kernel[..., 0] = ops.gabor_kernel(5, beta_x=0.3, beta_y=0.3, frequency=1.0)[..., None]
    variables = variables_of(one=np.ones((1, 1, 3, 4)), dense=np.ones((9, 4)), block__conv=kernel)
    layers = [layer(name) for name in ("relu", "one", "dense", "block/conv")]
    found = first_filters(variables, layers, 6)
    assert found.layer == "block/conv"
    np.testing.assert_allclose(found.kernels, np.moveaxis(kernel[..., :6].mean(2), -1, 0))
    assert (len(found.gabor_fit), len(found.gabor_fit_of_noise)) == (6, 4)
    assert found.gabor_fit[0] > 0.99
    assert max(found.gabor_fit[1:] + found.gabor_fit_of_noise) < 0.95
    assert first_filters(variables, layers[:3]) is None


def test_small_kernels_are_not_fitted():
    found = first_filters(variables_of(conv=DRAW.normal(size=(3, 3, 1, 2))), [layer("conv")])
    assert found.kernels.shape == (2, 3, 3)
    assert found.gabor_fit == found.gabor_fit_of_noise == []


def test_layers_are_spread_over_those_with_kernels_and_space():
    names = [f"conv{number}" for number in range(7)]
    variables = variables_of(**dict.fromkeys([*names, "unknown", "flat"], np.ones((3, 3, 1, 1))))
    layers = [
        *map(layer, names),
        layer("relu"),
        layer("unknown", field=None, stride=None),
        layer("flat", output=(10,)),
    ]
    chosen = [each.name for each in convolutions_spread(variables, layers, 3)]
    assert chosen == ["conv0", "conv3", "conv6"]
    assert len(convolutions_spread(variables, layers, 20)) == 7
    assert convolutions_spread(variables, layers[-3:], 3) == []


KERNEL = np.float32(DRAW.normal(size=(3, 3, 1, 4)) * np.array([1.0, 0.0, 3.0, 2.0]))
X = DRAW.normal(size=(300, 8, 8, 1)).astype(np.float32)


def maps(x):
    return {"conv": ops.conv(x, KERNEL, padding="CIRCULAR")}


def test_units_that_vary_most_come_first_with_their_patches_and_preferred_input():
    found = varied_units(maps, layer("conv"), X, jax.random.key(0), units=3, patches=4, steps=200)
    assert [unit.channel for unit in found] == [2, 3, 0]
    responses = np.asarray(maps(X)["conv"])
    for unit in found:
        best = np.sort(responses[..., unit.channel].max((1, 2)))[::-1][:4]
        np.testing.assert_allclose(unit.responses, best, rtol=1e-5)
        assert unit.patches.shape == (4, 3, 3, 1)
        image = unit.preferred[..., 0]
        np.testing.assert_allclose(np.linalg.norm(image), np.linalg.norm(X[0]), rtol=1e-4)
        closeness = [cosine(image, jittered(channel)) for channel in (0, 2, 3)]
        assert (0, 2, 3)[int(np.argmax(closeness))] == unit.channel
        assert max(closeness) > 0.7


def jittered(channel):
    """The kernel about the middle, pixel (4, 4), mean of all shifts by up to 2 pixels."""
    kernel = np.zeros((8, 8))
    kernel[3:6, 3:6] = KERNEL[..., 0, channel]
    shifts = [(down, right) for down in range(-2, 3) for right in range(-2, 3)]
    return np.mean([np.roll(kernel, shift, (0, 1)) for shift in shifts], 0)


def cosine(a, b):
    return (a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b)


def test_a_layer_without_receptive_field_is_an_error():
    with pytest.raises(ValueError, match="must have a receptive field and a stride, got Layer"):
        varied_units(maps, layer("conv", field=None), X, jax.random.key(0))


class Linear(nn.Module):
    """Logits: sums over the left and over the right half of an image, and minus that of all."""

    @nn.compact
    def __call__(self, x):
        left, right = x[:, :, :6].sum((1, 2, 3)), x[:, :, 6:].sum((1, 2, 3))
        return jnp.stack([left, right, -left - right], -1)


def test_classes_prefer_what_their_logits_sum():
    found = preferred_classes(Linear(), {}, (12, 12, 1), jax.random.key(0), classes=2, steps=200)
    assert found.shape == (2, 12, 12, 1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=(1, 2))[:, 0], 12, rtol=1e-4)
    # The shifts of up to 2 pixels blur the border between the halves.
    assert found[0, :, 1:4].mean() > 0.5 > abs(found[0, :, 8:11]).mean()
    assert found[1, :, 8:11].mean() > 0.5 > abs(found[1, :, 1:4]).mean()


def test_evidence_is_that_for_the_predicted_class():
    x = np.ones((3, 12, 12, 1), np.float32)
    x[0, :, :6], x[1, :, 6:], x[2] = 2, 3, -1
    found = evidence(Linear(), {}, x, jax.random.key(0))
    np.testing.assert_array_equal(found.log_probabilities.argmax(-1), [0, 1, 2])
    np.testing.assert_allclose(np.exp(found.log_probabilities).sum(-1), 1, rtol=1e-6)
    left = np.zeros((12, 12, 1))
    left[:, :6] = 1
    for saliency, expected in zip(
        found.saliency, (left, 1 - left, -np.ones_like(left)), strict=True
    ):
        np.testing.assert_allclose(saliency, expected, atol=1e-6)
    # Squares of 2 x 2 at steps of 1, covered with -1, the darkest value.
    assert found.occlusion.shape == (3, 11, 11)
    np.testing.assert_allclose(found.occlusion[0, :, :5], 4 * (2 + 1), rtol=1e-5)
    np.testing.assert_allclose(found.occlusion[0, :, 6:], 0, atol=1e-5)
    np.testing.assert_allclose(found.occlusion[1, :, 6:], 4 * (3 + 1), rtol=1e-5)
    np.testing.assert_allclose(found.occlusion[2], 0, atol=1e-5)

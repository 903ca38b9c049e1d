"""The network whose classes are scored by the largest of several detectors."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from cnnjax.models import DetectorNet
from cnnjax.symmetry import rotate90


def images(size=9):
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, size, size, 1)), jnp.float32)


@pytest.mark.parametrize("pooling", ["detectors", "rotations", "hidden", "space", "none"])
def test_only_rotated_copies_are_invariant_to_90_degrees(pooling):
    model = DetectorNet(4, pooling, 2)
    x = images()
    variables = model.init(jax.random.key(0), x)
    logits = model.apply({"params": variables["params"]}, x)
    rotated = model.apply({"params": variables["params"]}, rotate90(x))
    assert logits.shape == (3, 4)
    assert (np.abs(rotated - logits).max() < 1e-4) == (pooling == "rotations")


@pytest.mark.parametrize(("pooling", "pieces"), [("detectors", 3), ("rotations", 12)])
def test_a_class_is_its_strongest_detector(pooling, pieces):
    model = DetectorNet(4, pooling, 3)
    x = images()
    params = model.init(jax.random.key(0), x)["params"]
    logits, sown = model.apply({"params": params}, x, mutable="intermediates")
    (detectors,) = sown["intermediates"]["detectors"]
    assert detectors.shape == (3, 4, pieces)
    np.testing.assert_allclose(detectors.max(-1), logits, atol=1e-5)
    # The first piece of class 2 is the image times that class' first filter.
    kernel = params["filters"]["kernel"].reshape(9, 9, 1, 4, 3)[..., 2, 0]
    bias = params["filters"]["bias"].reshape(4, 3)[2, 0]
    np.testing.assert_allclose(
        detectors[:, 2, 0], (x * kernel[None]).sum((1, 2, 3)) + bias, atol=1e-4
    )


@pytest.mark.parametrize("pooling", ["detectors", "rotations"])
def test_the_filters_of_a_class_are_those_of_its_detectors(pooling):
    """Piece by piece, in the order of the detectors."""
    model = DetectorNet(4, pooling, 2)
    x = jnp.asarray(np.random.default_rng(0).normal(size=(3, 8, 8, 2)), jnp.float32)
    params = model.init(jax.random.key(0), x)["params"]
    # The mean over channels is a filter if the channels of the images are alike.
    alike = jnp.concatenate([x[..., :1]] * 2, -1)
    _, detectors = model.responses({"params": params}, alike)
    filters = model.class_filters(params, 2)
    assert filters.shape == ({"detectors": 2, "rotations": 8}[pooling], 8, 8)
    expected = 2 * np.einsum("bhw,dhw->bd", x[..., 0], filters)
    np.testing.assert_allclose(detectors[:, 2], expected, atol=1e-4)


def test_a_hidden_layer_has_the_filters_of_the_detectors_and_a_classifier():
    model = DetectorNet(4, "hidden", 3)
    x = images()
    params = model.init(jax.random.key(0), x)["params"]
    pooled = DetectorNet(4, "detectors", 3).init(jax.random.key(0), x)["params"]
    shapes = [jax.tree.map(np.shape, each["filters"]) for each in (params, pooled)]
    assert shapes[0] == shapes[1]
    z = np.einsum("bhwc,hwcf->bf", x, params["filters"]["kernel"])
    z += np.asarray(params["filters"]["bias"])
    weights = jax.tree.map(np.asarray, params["classifier"])
    expected = np.maximum(z, 0) @ weights["kernel"] + weights["bias"]
    np.testing.assert_allclose(model.apply({"params": params}, x), expected, atol=1e-4)


@pytest.mark.parametrize(("pooling", "has"), [("rotations", True), ("space", False)])
def test_responses_are_logits_and_what_is_pooled_over(pooling, has):
    model = DetectorNet(4, pooling, 2)
    variables = {"params": model.init(jax.random.key(0), images())["params"]}
    logits, *detectors = model.responses(variables, images())
    np.testing.assert_array_equal(logits, model.apply(variables, images()))
    assert [each.shape for each in detectors] == [(3, 4, 8)] * has


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pooling": "time"}, "got 'time'"),
        ({"detectors": 0}, "got 0"),
    ],
)
def test_a_wrong_network_is_named(fields, message):
    with pytest.raises(ValueError, match=message):
        DetectorNet(4, **fields).init(jax.random.key(0), images())

"""The study of learned invariance, in its smallest form, and its network."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import launch
from cnnjax.models import DetectorNet
from cnnjax.symmetry import rotate90


def images(size=9):
    return jnp.asarray(np.random.default_rng(0).normal(size=(3, size, size, 1)), jnp.float32)


@pytest.mark.parametrize("pooling", ["detectors", "turns", "space", "none"])
def test_only_turned_copies_ignore_quarter_turns(pooling):
    model = DetectorNet(4, pooling, 2)
    x = images()
    variables = model.init(jax.random.key(0), x)
    logits = model.apply({"params": variables["params"]}, x)
    turned = model.apply({"params": variables["params"]}, rotate90(x))
    assert logits.shape == (3, 4)
    assert (np.abs(turned - logits).max() < 1e-4) == (pooling == "turns")


@pytest.mark.parametrize(("pooling", "pieces"), [("detectors", 3), ("turns", 12)])
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


def test_one_detector_is_the_flat_control_and_turned_copies_take_turns(tmp_path):
    run = tmp_path / "run"
    assert launch.main(["learned_invariance", "smoke", "--workdir", str(run)]) == 0
    results = json.loads((run / "results.json").read_text("utf-8"))
    rows = {(row["pooling"], row["detectors"], row["train_data"]): row for row in results["rows"]}
    for data in ("upright", "turned"):
        flat = rows["detectors", 1, data]
        assert flat["winners"]["mean"] == 1
        assert flat["direction"]["mean"] == flat["axis"]["mean"] == 0
        assert rows["detectors", 2, data]["winners"]["mean"] > 1.05
        built = rows["turns", 1, data]
        # Turned copies win as often as each other, each about its own angle.
        assert built["winners"]["mean"] > 3.9
        assert built["direction"]["mean"] > 0.2
        accuracy = np.array(built["accuracy_by_angle"])
        # Rounding may decide a digit whose two best logits are nearly equal; there are 64.
        np.testing.assert_allclose(accuracy, np.roll(accuracy, 2), atol=1.5 / 64)
    assert "<h2>Which detector fires as a 5 turns</h2>" in (run / "report.html").read_text("utf-8")
    shown = results["shown"][0]
    assert np.array(shown["filters"]).shape == (1, 24, 24)
    np.testing.assert_allclose(np.array(shown["shares"]).sum(1), 1, atol=1e-6)

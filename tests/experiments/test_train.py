"""The commands train and cifar10, and what they say of a classifier."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from cnnjax.study.distorted import CROP, SIDE, distorted, standardised
from cnnjax.study.predictions import judged

import launch


def test_accuracy_confusion_and_the_surest_mistakes_by_hand():
    predicted = np.array(
        [
            [0.6, 0.1, 0.1, 0.1, 0.05, 0.05],  # right
            [0.9, 0.02, 0.02, 0.02, 0.02, 0.02],  # class 1 taken for 0: the surest mistake
            [0.3, 0.1, 0.2, 0.25, 0.1, 0.05],  # class 5, not among the first five
            [0.1, 0.1, 0.1, 0.5, 0.1, 0.1],  # right
        ]
    )
    found = judged(np.log(predicted), np.array([0, 1, 5, 3]), worst=1)
    assert found["accuracy"] == 0.5
    assert found["top5"] == 0.75
    assert found["confusion"].sum() == 4
    assert found["confusion"][1, 0] == found["confusion"][5, 0] == 1
    assert found["loss"] == pytest.approx(-np.log([0.6, 0.02, 0.05, 0.5]).mean())
    (mistake,) = found["mistakes"]
    assert mistake.pop("probability") == pytest.approx(0.9)
    assert mistake == {"example": 1, "label": 1, "predicted": 0}
    assert judged(np.log(predicted[:, :5]), np.array([0, 1, 2, 3]))["top5"] is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    directory = tmp_path_factory.mktemp("train") / "run"
    assert launch.main(["train", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_a_network_learns_digits_and_the_report_says_what_it_confuses(trained):
    results = json.loads((trained / "results.json").read_text("utf-8"))
    assert results["accuracy"]["mean"] > 0.7
    assert results["top5"]["mean"] >= results["accuracy"]["mean"]
    counts = np.array(results["confusion"])
    assert counts.sum() == results["test_examples"] == 360
    assert counts.trace() / 360 == pytest.approx(results["accuracy"]["mean"])
    # 3 x 3 windows of 1, 32, 64 channels, two numbers a channel of normalisation, a classifier.
    by_hand = 9 * (32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + 128 * 10 + 10
    assert results["params"] == by_hand
    for mistake in results["mistakes"]:
        assert mistake["label"] != mistake["predicted"]
    sure = [mistake["probability"] for mistake in results["mistakes"]]
    assert sure == sorted(sure, reverse=True)
    assert results["curves"]["seed 0"]["eval_accuracy"]["steps"] == [10, 20]
    page = (trained / "report.html").read_text("utf-8")
    for heading in ("Training", "Which class is taken for which", "The surest mistakes"):
        assert f"<h2>{heading}</h2>" in page


def test_a_trained_network_can_be_audited(trained, tmp_path):
    run = str(tmp_path / "audit")
    words = ["audit", "smoke", "--model", str(trained), "--size", "8", "--sizes", "8", "8"]
    assert launch.main([*words, "--workdir", run]) == 0
    results = json.loads((tmp_path / "audit" / "results.json").read_text("utf-8"))
    assert results["module"] == "PlainNet"
    assert "step 20 of" in results["weights"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "AlexNet"], "AlexNet does not take images of (8, 8, 1)"),
        (["--model", "ResNit20"], "perhaps you meant 'ResNet20'"),
        (["--model", "DetectorNet", "--conv", "tiled"], "has no argument 'conv'"),
        (["--size", "0"], "size must be at least 1, got 0"),
        (["--seeds", "1", "1"], "each once, got 1, 1"),
        (
            ["--augmentation.zoom", "0.5"],
            "`zoom` must be a factor of at least 1 (1 is none), got 0.5",
        ),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["train", "smoke", *words, "--workdir", str(tmp_path / "run")])
    assert refused.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())


def test_the_tutorials_network_trains_on_its_distortions(tmp_path):
    assert launch.main(["cifar10", "smoke", "--workdir", str(tmp_path / "run")]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["image_shape"] == [24, 24, 1]
    assert results["model"] == "CifarTutorial"
    assert 0 < results["accuracy"]["mean"] < 1


def test_distortions_stay_within_the_tutorials_limits():
    ramp = jnp.broadcast_to(jnp.arange(float(SIDE))[None, :, None] * 3, (SIDE, SIDE, 1))
    keys = jax.random.split(jax.random.key(0), 300)
    found = np.asarray(jax.vmap(lambda key: distorted(ramp, key))(keys))
    assert found.shape == (300, CROP, CROP, 1)
    steps = np.diff(found, axis=2)
    # One step of the ramp is 3: factors from 0.2 to 1.8, forwards or mirrored.
    assert 0.59 < np.abs(steps).min() < 0.7
    assert 5.2 < np.abs(steps).max() < 5.41
    assert 100 < (steps[:, 0, 0, 0] < 0).sum() < 200
    # Without contrast the middle of a crop lies between 3 * 11.5 and 3 * 19.5.
    middles = found.mean((1, 2, 3))
    assert 34.5 - 63 <= middles.min() < -15
    assert 110 < middles.max() <= 58.5 + 63


def test_standardising_leaves_a_uniform_image_finite():
    x = jnp.full((4, 4, 1), 7.0)
    np.testing.assert_array_equal(standardised(x), jnp.zeros_like(x))
    noise = jnp.asarray(np.random.default_rng(0).normal(3, 5, (8, 8, 1)), jnp.float32)
    np.testing.assert_allclose(standardised(noise).std(), 1, rtol=1e-5)

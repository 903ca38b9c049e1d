"""The commands train and cifar10: what is trained and evaluated, and what the page says of it."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from scipy.special import log_softmax

import launch
from cnnjax import models
from cnnjax.data.augmentation_config import Augmentation
from cnnjax.layers import TiledConv
from cnnjax.models.choice import Convolution
from cnnjax.tasks import Network
from cnnjax.train.config import TrainConfig
from cnnjax.train.losses import l2_terms
from experiments import cifar10, train
from tests.experiments import fakes, pages
from tests.experiments.digits import TEST_IMAGES

pytestmark = pytest.mark.usefixtures("few_test_images")

SHORT = TrainConfig(steps=2, batch_size=4, ema_decay=0.9)


def loss_of(network, seed):
    """Cross-entropy of the test images by what `fakes` takes for the trained network of a seed."""
    state = network.initial(seed)
    params = fakes.changed(state.params)
    variables = {"params": params, "batch_stats": state.batch_stats}
    test = network.task.test
    logits = network.logits(variables, network.task.place(test.images))
    return float(-log_softmax(np.float64(logits), -1)[np.arange(len(test)), test.labels].mean())


def test_train_trains_the_network_of_each_seed_on_the_images_of_its_options(watch, tmp_path):
    config = train.Config(
        model="PlainNet",
        conv=(Convolution("tiled", {"tile": 2}),),
        size=8,
        channels=3,
        augmentation=Augmentation(rotation=10.0),
        seeds=(3, 5),
        train=SHORT,
    )
    found = watch.run(train, config, tmp_path / "run")
    assert [call.factors for call in watch.trained] == [{"seed": 3}, {"seed": 5}]
    assert found.seeds == [3, 5]
    first, second = (call.network for call in watch.trained)
    assert first.training is second.training
    assert first.training.config == SHORT
    assert first.model.conv.func is TiledConv
    assert (first.model.classes, first.task.shape) == (10, (8, 8, 3))
    # Grey images three times over, and random changes of training images alone.
    x = np.asarray(first.task.place(first.task.test.images[:4]))
    np.testing.assert_allclose(x, np.repeat(x[..., :1], 3, -1), atol=1e-5)
    keys = jax.random.split(jax.random.key(0), 4)
    same = jax.jit(first.task.augment_test)(first.task.test.images[:4], keys, {})
    np.testing.assert_allclose(same, x, atol=1e-5)
    changed = jax.jit(first.task.augment)(first.task.test.images[:4], keys, {})
    assert np.abs(changed - x).max() > 0.1
    assert pages.lead(tmp_path / "run").startswith("PlainNet with tiled(tile=2) convolutions: acc")


@pytest.mark.parametrize("study", [train, cifar10])
def test_observations_are_those_of_each_seed_on_test_images(study, watch, tmp_path):
    config = study.Config(data="digits", seeds=(0, 1), train=SHORT)
    found = watch.run(study, config, tmp_path / "run")
    for row, call in zip(found.rows, watch.trained, strict=True):
        assert row["loss"] == pytest.approx(loss_of(call.network, row["seed"]), rel=1e-5)
    assert len({row["loss"] for row in found.rows}) == 2
    matrices = found.array("confusion")
    assert matrices.sum((1, 2)).tolist() == [TEST_IMAGES, TEST_IMAGES]
    np.testing.assert_allclose(matrices.trace(0, 1, 2) / TEST_IMAGES, found.column("accuracy"))
    assert (found.column("top5") > found.column("accuracy")).all()
    # Errors: example, label, predicted class; the images are those examples.
    test = watch.trained[0].network.task.test
    first = found.where(seed=0)
    errors, confidence = first.array("errors")[0], first.array("confidence")[0]
    assert confidence.tolist() == sorted(confidence, reverse=True)
    np.testing.assert_array_equal(first.array("error_images")[0], test.images[errors[:, 0]])
    np.testing.assert_array_equal(test.labels[errors[:, 0]], errors[:, 1])
    assert (errors[:, 1] != errors[:, 2]).all()
    classes, scores = first.array("first_top5")[0], first.array("first_scores")[0]
    assert len(set(classes.tolist())) == 5
    assert scores.tolist() == sorted(scores, reverse=True)
    assert first.array("first_label")[0].tolist() == [test.labels[0]]
    predicted = dict(zip(errors[:, 0].tolist(), errors[:, 2]))
    assert classes[0] == predicted.get(0, classes[0])
    results = json.loads((tmp_path / "run" / "results.json").read_text("utf-8"))
    assert results["confusion"] == matrices.sum(0).tolist()
    assert results["errors"][0]["confidence"] == confidence[0]
    assert list(results["curves"]) == ["seed 0", "seed 1"]


@pytest.mark.parametrize(("given", "held"), [(None, 239), (40, 40)])
def test_evaluations_during_training_are_on_validation_images(
    given, held, watch, tmp_path, monkeypatch
):
    """The fake training evaluates once, as the loop does every `eval_every` steps."""
    train_network = Network.train

    def evaluating(network, record, cell, *, evaluate=None, **values):
        state = train_network(network, record, cell, evaluate=evaluate, **values)
        evaluate(state)
        return state

    monkeypatch.setattr(Network, "train", evaluating)
    found = watch.run(train, train.Config(validation_images=given, train=SHORT), tmp_path / "run")
    assert [call.split for call in watch.evaluated] == ["validation", "validation"]
    (row,) = found.rows
    assert watch.evaluation(row["validation.accuracy"]) is watch.evaluated[1]
    task = watch.trained[0].network.task
    assert (len(task.train) + held, len(task.validation)) == (1437, held)
    # The last evaluation is on test images all the same.
    assert found.array("confusion").sum() == TEST_IMAGES
    page = (tmp_path / "run" / "report.md").read_text("utf-8")
    assert "evaluations on validation images during training" in page


def test_cifar10_is_the_network_of_the_tutorial_on_distorted_crops(watch, tmp_path):
    config = cifar10.Config(data="digits", locally_connected=True, train=SHORT)
    watch.run(cifar10, config, tmp_path / "run")
    (call,) = watch.trained
    assert call.network.model == models.CifarTutorial(10, locally_connected=True)
    assert call.network.task.description["pipeline"] == "distorted_crops"
    assert call.network.task.shape == (24, 24, 1)


def test_published_numbers_of_the_tutorial():
    """cifar10.py: 350 epochs a decay of the learning rate by 0.1, moving average 0.9999."""
    full = cifar10.PRESETS["full"].train
    assert (full.steps, full.batch_size, full.learning_rate) == (100_000, 128, 0.1)
    assert full.decay_steps == 350 * 50_000 // 128
    assert (full.ema_decay, full.weight_decay) == (0.9999, 0.004)
    assert full.decay_only == ("local3", "local4")
    assert full.ema_start == "ramped"
    # What it prints at step 0, 'loss = 4.68': the logarithm of ten classes and the L2 terms.
    start = jax.jit(models.CifarTutorial().init)(jax.random.key(0), np.zeros((1, 24, 24, 3)))
    terms = jax.jit(lambda params: l2_terms(params, full))(start["params"])
    assert np.log(10) + float(terms) == pytest.approx(4.68, abs=0.01)


def test_training_starts_from_weights_with_torchvisions_names(watch, tiny_weights, tmp_path):
    name, file, variables = tiny_weights
    config = train.Config(model=name, weights=file, channels=3, train=SHORT)
    watch.run(train, config, tmp_path / "run")
    network = watch.trained[0].network
    state = network.initial(0)
    for found in (state.params, state.ema_params):
        jax.tree.map(np.testing.assert_array_equal, found, variables["params"])
    jax.tree.map(np.testing.assert_array_equal, state.batch_stats, variables["batch_stats"])
    x = network.task.place(np.full((1, 8, 8, 1), 255, np.uint8))
    np.testing.assert_allclose(
        x[0, 0, 0], (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], 1e-5
    )
    start = dataclasses.replace(network, start=None).initial(0)
    kernels = (each.params["conv1"]["kernel"] for each in (start, state))
    assert np.abs(np.subtract(*kernels)).max() > 0.01


@pytest.fixture(scope="module")
def trained(few_test_images, tmp_path_factory):
    directory = tmp_path_factory.mktemp("train") / "run"
    assert launch.main(["train", "smoke", "--workdir", str(directory)]) == 0
    return directory


def test_a_network_learns_digits_and_the_page_shows_its_errors(trained):
    results = json.loads((trained / "results.json").read_text("utf-8"))
    (row,) = results["observations"]
    assert row["accuracy"]["mean"] > 0.7
    assert row["top5"]["mean"] >= row["accuracy"]["mean"]
    counts = np.array(results["confusion"])
    assert counts.sum() == results["test_examples"] == TEST_IMAGES
    assert counts.trace() / TEST_IMAGES == pytest.approx(row["accuracy"]["mean"])
    # 3 x 3 kernels of 1, 32, 64 channels, two numbers a channel of normalisation, a classifier.
    by_hand = 9 * (32 + 32 * 64 + 64 * 128) + 2 * (32 + 64 + 128) + 128 * 10 + 10
    assert row["parameters"]["mean"] == by_hand
    curve = results["curves"]["seed 0"]["eval_accuracy"]
    assert curve["steps"] == [10, 20]
    assert curve["values"][-1] == pytest.approx(row["validation.accuracy"]["mean"])
    page = (trained / "report.html").read_text("utf-8")
    for heading in ("Learning curves", "Confusion matrix", "Most confident errors"):
        assert f"<h2>{heading}</h2>" in page


def test_a_finished_run_is_left_as_it_is(trained, capsys):
    before = (trained / "observations.csv").read_bytes()
    assert launch.main(["train", "smoke", "--workdir", str(trained), "--resume"]) == 0
    assert "This run is finished" in capsys.readouterr().out
    assert (trained / "observations.csv").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "AlexNet"], "AlexNet does not take images of (8, 8, 1)"),
        (["--model", "ResNit20"], "perhaps you meant 'ResNet20'"),
        (["--model", "DetectorNet", "--conv", "tiled"], "has no argument 'conv'"),
        (["--size", "0"], "size must be at least 1, got 0"),
        (["--seeds", "1", "1"], "seeds must be at least one, each once, got (1, 1)"),
        (["--augmentation.zoom", "0.5"], "zoom"),
        (["--weights", "w.npz"], "channels must be 3 for weights of ImageNet, got 1"),
        (["--weights", "w.npz", "--channels", "3"], "There is no file of weights w.npz"),
    ],
)
def test_what_cannot_be_trained_is_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as error:
        launch.main(["train", "smoke", *words, "--workdir", str(tmp_path / "run")])
    assert error.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())

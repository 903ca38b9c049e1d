"""Examples read from disk by index, of any size, and a training that never holds them all."""

import io
import json

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

import launch
from cnnjax import report, tasks
from cnnjax.data import streaming
from cnnjax.data.datasets import load
from cnnjax.data.streaming import stream
from cnnjax.run.observations import Observations


class Pictures(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """Squares of one colour on wide and tall images of many sizes."""

    name = "pictures"
    VERSION = tfds.core.Version("1.0.0")

    def _info(self):
        features = {
            "image": tfds.features.Image(shape=(None, None, 3), encoding_format="png"),
            "label": tfds.features.ClassLabel(names=["red", "green"]),
        }
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(features),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager):
        return {"train": self._made(40), "validation": self._made(10)}

    def _made(self, count):
        for number in range(count):
            image = np.zeros((12 + number % 5, 30 - number % 7, 3), np.uint8)
            # The middle that is kept, and borders that are not.
            image[..., 2] = 200
            middle = image.shape[1] // 2
            image[:, middle - 5 : middle + 5] = 0
            image[:, middle - 5 : middle + 5, number % 2] = 100 + number
            # As a file: TFDS encodes arrays with TensorFlow.
            file = io.BytesIO()
            Image.fromarray(image).save(file, "png")
            file.seek(0)
            yield number, {"image": file, "label": number % 2}

    def _generate_examples(self):
        raise NotImplementedError


class SecretLabels(Pictures, skip_registration=True):
    """As ImageNet has them: test images without their classes."""

    name = "secret_labels"

    def _split_generators(self, dl_manager):
        secret = ((number, {**each, "label": -1}) for number, each in self._made(6))
        return {"train": self._made(8), "test": secret, "validation": self._made(4)}


def test_a_test_split_without_labels_is_not_tested_on(tmp_path):
    SecretLabels(data_dir=tmp_path, file_format="array_record").download_and_prepare()
    data = stream("secret_labels", 8, tmp_path)
    assert len(data.test) == 4
    assert set(data.test.read(np.arange(4))[1]) == {0, 1}
    shown = SecretLabels(data_dir=tmp_path, file_format="array_record")
    assert shown.info.splits["test"].num_examples == 6


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    where = tmp_path_factory.mktemp("pictures")
    Pictures(data_dir=where, file_format="array_record").download_and_prepare()
    return where


def test_images_of_any_size_become_the_middle_square(folder):
    data = stream("pictures", 8, folder)
    assert (len(data.train), len(data.validation), len(data.test)) == (34, 6, 10)
    assert data.class_names == ("red", "green")
    # At even distances among those ordered by class, 0, 2, ..., 38, 1, 3, ..., 39.
    held = [6, 7, 20, 21, 32, 33]
    kept = [number for number in range(40) if number not in held]
    seen, _ = data.validation.read(np.arange(6))
    assert (seen[:, 4, 4].max(1) - 100).tolist() == held
    images, labels = data.train.read(np.array([kept.index(9), 0, kept.index(38)]))
    assert images.shape == (3, 8, 8, 3)
    assert images.dtype == np.uint8
    np.testing.assert_array_equal(labels, [1, 0, 0])
    # In the middle the colour of the example, by its number; nothing of the blue borders.
    np.testing.assert_array_equal(images[0, 3:5, 3:5], np.full((2, 2, 3), [0, 109, 0]))
    np.testing.assert_array_equal(images[1, 3:5, 3:5], np.full((2, 2, 3), [100, 0, 0]))
    assert images[2, 4, 4, 0] == 138


def test_a_stream_holds_what_memory_holds():
    kept, streamed = load("digits"), stream("digits", 8)
    for name in ("train", "validation", "test"):
        memory, disk = getattr(kept, name), getattr(streamed, name)
        images, labels = disk.read(np.arange(len(disk)))
        np.testing.assert_array_equal(images, memory.images)
        np.testing.assert_array_equal(labels, memory.labels)


def test_of_many_examples_on_disk_no_label_is_read(folder, monkeypatch):
    monkeypatch.setattr(streaming, "LABELS_READ", 39)
    data = stream("pictures", 8, folder)
    seen, _ = data.validation.read(np.arange(6))
    assert (seen[:, 4, 4].max(1) - 100).tolist() == [3, 10, 16, 23, 30, 36]
    assert len(data.train) == 34


def test_batches_from_disk_are_those_from_memory():
    kept = tasks.resized("digits", size=8)
    streamed = tasks.resized("digits", size=8, from_disk=True)
    for step in (0, 1, 5, 2):
        index = kept.train_batch(3, step, 8)["index"]
        batch = streamed.train_batch(3, step, 8)
        np.testing.assert_array_equal(batch["image"], kept.dataset.train.images[index])
        np.testing.assert_array_equal(batch["label"], kept.dataset.train.labels[index])


@pytest.fixture
def no_page(monkeypatch):
    """Observations are compared here: no page is drawn of them."""
    monkeypatch.setattr(report, "classifier_blocks", lambda *given: ["Nothing is drawn."])


def trained(directory, *words):
    """The observations of a training, and its metrics but for the time of the clock."""
    assert launch.main(["train", "smoke", *words, "--workdir", str(directory)]) == 0
    lines = (directory / "metrics.jsonl").read_text("utf-8").splitlines()
    metrics = [{**json.loads(line), "wall_time": None} for line in lines]
    return Observations.read(directory), metrics


@pytest.mark.usefixtures("no_page")
def test_training_from_disk_is_training_from_memory(tmp_path):
    short = (
        "--size",
        "8",
        "--train.steps",
        "4",
        "--train.eval-every",
        "2",
        "--train.log-every",
        "1",
    )
    disk, curves = trained(tmp_path / "disk", "--from-disk", *short)
    memory, expected = trained(tmp_path / "memory", *short)
    assert len(curves) == 4 + 2
    assert curves == expected
    np.testing.assert_array_equal(disk.array("confusion"), memory.array("confusion"))
    assert disk.rows == memory.rows


@pytest.mark.usefixtures("no_page")
def test_pictures_of_many_sizes_are_learned(folder, tmp_path):
    words = ["--data", "pictures", "--data-dir", str(folder), "--from-disk", "--size", "16"]
    found, _ = trained(tmp_path / "run", *words, "--train.batch-size", "8")
    assert json.loads((tmp_path / "run" / "task.json").read_text("utf-8"))["pictures"][
        "image_shape"
    ] == [16, 16, 3]
    assert found.column("accuracy").tolist() == [1.0]
    assert found.rows[0].get("top5") is None


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--from-disk"], "size must be given for images from disk"),
        (["--from-disk", "--size", "8", "--data", "nothing"], "nothing"),
    ],
)
def test_what_cannot_be_streamed_is_one_sentence(words, message, tmp_path, capsys):
    with pytest.raises(SystemExit) as refused:
        launch.main(["train", "smoke", *words, "--workdir", str(tmp_path / "run")])
    assert refused.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())

"""Data sets by name: digits against scikit-learn, and what is said when a data set is not there."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from sklearn.datasets import load_digits

from cnnjax.data import datasets, storage
from cnnjax.data.batches import held_out
from cnnjax.data.builders import digits
from cnnjax.data.datasets import DatasetNotFoundError, load, prepare
from cnnjax.run.config import InputError

REAL = os.environ.get("TFDS_DATA_DIR")


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    def refuse(*arguments):
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("TFDS_DATA_DIR", raising=False)


@pytest.fixture(scope="module")
def digits_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    prepare("digits", folder)
    return folder


@pytest.mark.fast
def test_digits_are_those_of_scikit_learn(digits_dir):
    data = load("digits", digits_dir)
    assert (data.name, data.version, data.num_classes) == ("digits", "1.0.0", 10)
    assert data.class_names == tuple("0123456789")
    for split, number in (
        (data.train, 1198),
        (data.validation, 239),
        (data.test, 360),
    ):
        assert (split.images.shape, split.images.dtype) == ((number, 8, 8, 1), np.uint8)
        assert (split.labels.shape, split.labels.dtype) == ((number,), np.int32)

    # Every original example is there once, in its own split: 0..16 is recovered exactly.
    original, labels = load_digits(return_X_y=True)
    expected = {}
    position = 0
    for label in range(10):
        for index in np.flatnonzero(labels == label):
            expected.setdefault("test" if position % 5 == 0 else "train", []).append(index)
            position += 1
    kept, held = held_out(labels[sorted(expected["train"])], "digits")
    for split, indices in (
        (data.train, np.sort(expected["train"])[kept]),
        (data.validation, np.sort(expected["train"])[held]),
        (data.test, sorted(expected["test"])),
    ):
        values = split.images.reshape(-1, 64) / 255 * 16
        np.testing.assert_array_equal(np.rint(values), original[indices])
        assert np.abs(values - np.rint(values)).max() <= 0.5 * 16 / 255 + 1e-9
        np.testing.assert_array_equal(split.labels, labels[indices])

    splits = (data.train, data.validation, data.test)
    histogram = sum(np.bincount(split.labels) for split in splits)
    np.testing.assert_array_equal(histogram, np.bincount(labels))
    np.testing.assert_allclose(np.bincount(data.test.labels), histogram / 5, atol=1)
    assert data.train.images.max() == 255


def test_names_of_versions_and_the_newest(digits_dir):
    path = prepare("digits", digits_dir)
    assert path == digits_dir / "digits" / "1.0.0" == prepare("digits:1.0.0", digits_dir)
    with pytest.raises(DatasetNotFoundError, match=r"prepares version 1\.0\.0"):
        load("digits:2.0.0", digits_dir)
    for wrong in ("digits:1", "../digits", "", "digits/"):
        with pytest.raises(ValueError, match=r"name of a data set must be like 'mnist', 'mnist:3"):
            load(wrong, digits_dir)


def test_where_data_sets_are_looked_for(monkeypatch, tmp_path):
    assert storage.folders() == (tmp_path / "home" / "tensorflow_datasets",)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "from_environment"))
    assert storage.folders() == (tmp_path / "from_environment",)
    assert storage.folders(tmp_path / "argument") == (tmp_path / "argument",)


def test_a_read_only_folder_is_read_and_left_alone(monkeypatch, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o555)
    data = load("digits", shared)
    assert len(data.train.labels) == 1198
    assert list(shared.iterdir()) == []
    home = tmp_path / "home" / "tensorflow_datasets"
    assert prepare("digits", shared) == home / "digits" / "1.0.0"
    home.chmod(0o555)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    temporary = tmp_path / "temporary" / f"tensorflow_datasets-{os.getuid()}"
    assert storage.folders(shared) == (shared, home, temporary)
    home.chmod(0o755)


def test_what_is_missing_is_said_in_one_sentence(tmp_path):
    with pytest.raises(DatasetNotFoundError) as caught:
        load("mnist", tmp_path / "data")
    message = str(caught.value)
    for part in (
        f"'mnist' is not in {tmp_path / 'data'}",
        "host storage.googleapis.com is unreachable",
        f"`python launch.py prepare mnist --data-dir {tmp_path / 'data'}`",
        f"put train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, "
        f"t10k-labels-idx1-ubyte.gz into {tmp_path / 'data' / 'downloads' / 'mnist'}",
        "`--data digits` needs no download.",
    ):
        assert part in message
    assert "\n" not in message
    assert isinstance(caught.value, FileNotFoundError)
    assert not (tmp_path / "data").exists()
    with pytest.raises(DatasetNotFoundError, match="'mnist' is not in"):
        load("rotated_mnist", tmp_path)


def test_unknown_names(digits_dir):
    with pytest.raises(DatasetNotFoundError, match=r"perhaps you meant 'fashion_mnist'"):
        load("fashon_mnist", digits_dir)
    with pytest.raises(DatasetNotFoundError, match=r"'svhn' .*prepared there are \[digits\]") as e:
        load("svhn", digits_dir)
    assert "perhaps" not in str(e.value)


def pretend_prepared(path, file_format="array_record"):
    path.mkdir(parents=True)
    (path / "dataset_info.json").write_text(json.dumps({"fileFormat": file_format}))


def test_other_formats_configs_and_versions(tmp_path):
    pretend_prepared(tmp_path / "old" / "1.0.0", "tfrecord")
    with pytest.raises(ValueError, match="prepared as tfrecord, which only TensorFlow reads"):
        prepare("old", tmp_path)
    pretend_prepared(tmp_path / "corrupted" / "blur" / "1.0.0")
    pretend_prepared(tmp_path / "corrupted" / "fog" / "1.0.0")
    with pytest.raises(ValueError, match="name one of them: 'corrupted/blur', 'corrupted/fog'"):
        prepare("corrupted", tmp_path)
    assert prepare("corrupted/fog", tmp_path) == tmp_path / "corrupted" / "fog" / "1.0.0"
    for version in ("9.0.0", "10.0.0", "10.0.0.incomplete"):
        pretend_prepared(tmp_path / "many" / version)
    assert prepare("many", tmp_path).name == "10.0.0"
    assert prepare("many:9.0.0", tmp_path).name == "9.0.0"


def test_two_at_once_do_not_disturb_each_other(monkeypatch, tmp_path):
    """A second preparation begins and ends while the first is at work."""
    generators, calls = digits.Builder._split_generators, []

    def interrupted(self, dl_manager):
        calls.append(self)
        if len(calls) == 1:
            prepare("digits", tmp_path)
        return generators(self, dl_manager)

    monkeypatch.setattr(digits.Builder, "_split_generators", interrupted)
    path = prepare("digits", tmp_path)
    assert len(calls) == 2
    assert [child.name for child in path.parent.iterdir()] == ["1.0.0"]
    assert len(load("digits", tmp_path).test.labels) == 360


def test_an_interrupted_preparation_leaves_nothing(monkeypatch, tmp_path):
    def broken(self, images, labels):
        yield from ()
        raise OSError("disk full")

    monkeypatch.setattr(digits.Builder, "_generate_examples", broken)
    with pytest.raises(OSError, match="disk full"):
        prepare("digits", tmp_path)
    assert storage.find(storage.parse("digits"), [tmp_path]) is None
    monkeypatch.undo()
    assert len(load("digits", tmp_path).test.labels) == 360


def write(folder, features, examples, splits=("train", "test")):
    """A data set prepared by plain TFDS, its class not among ours."""

    class Made(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        name = "made"
        VERSION = tfds.core.Version("1.2.3")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(features),
                disable_shuffling=True,
            )

        def _split_generators(self, dl_manager):
            return {split: enumerate(examples) for split in splits}

        def _generate_examples(self):
            raise NotImplementedError

    Made(data_dir=folder, file_format="array_record").download_and_prepare()


def test_plain_arrays_and_labels_without_names(tmp_path):
    pixels = np.arange(96, dtype=np.uint8).reshape(8, 3, 2, 2)
    labels = [0, 4, 2, 2, 1, 4, 1, 0]
    write(
        tmp_path,
        {
            "image": tfds.features.Tensor(shape=(3, 2, 2), dtype=np.uint8),
            "label": tfds.features.Scalar(np.int64),
            "note": tfds.features.Text(),
        },
        [{"image": i, "label": j, "note": "?"} for i, j in zip(pixels, labels, strict=True)],
        splits=("train", "validation"),
    )
    data = load("made", tmp_path)
    assert (data.version, data.num_classes) == ("1.2.3", 5)
    # Ordered by class, the one in the middle is held out: of class 2, the first.
    for split, chosen in (
        (data.train, [0, 1, 3, 4, 5, 6, 7]),
        (data.validation, [2]),
        (data.test, range(8)),
    ):
        np.testing.assert_array_equal(split.images, pixels[list(chosen)])
        np.testing.assert_array_equal(split.labels, np.array(labels)[list(chosen)])


IMAGE_AND_LABEL = {
    "image": tfds.features.Tensor(shape=(2, 2, 1), dtype=np.uint8),
    "label": tfds.features.Scalar(np.int64),
}


def test_a_validation_split_of_the_data_set_is_taken(tmp_path):
    examples = [{"image": np.full((2, 2, 1), n, np.uint8), "label": n % 2} for n in range(6)]
    write(tmp_path, IMAGE_AND_LABEL, examples, splits=("train", "validation", "test"))
    data = load("made", tmp_path)
    assert [len(split) for split in (data.train, data.validation, data.test)] == [6, 6, 6]
    with pytest.raises(InputError, match="'made' must not be given, got 2: it has a split"):
        load("made", tmp_path, validation_images=2)


SIZED, LABEL = tfds.features.Tensor(shape=(2, 2, 1), dtype=np.uint8), tfds.features.Scalar(np.int64)
ZEROS = np.zeros((2, 2, 1))


@pytest.mark.parametrize(
    ("features", "example", "splits", "wrong"),
    [
        (
            {"x": LABEL},
            {"x": 1},
            ("train", "test"),
            r"must have the features 'image' and 'label', got \['x'\]",
        ),
        (
            {"image": tfds.features.Tensor(shape=(2, 2, 1), dtype=np.float32), "label": LABEL},
            {"image": ZEROS.astype(np.float32), "label": 1},
            ("train", "test"),
            r"must be uint8 .* got float32 of shape \(2, 2, 1\)",
        ),
        (
            {"image": tfds.features.Tensor(shape=(None, 2, 1), dtype=np.uint8), "label": LABEL},
            {"image": ZEROS.astype(np.uint8), "label": 1},
            ("train", "test"),
            r"uint8 of shape \(None, 2, 1\)",
        ),
        (
            {"image": SIZED, "label": tfds.features.Scalar(np.float32)},
            {"image": ZEROS.astype(np.uint8), "label": 0.5},
            ("train", "test"),
            "labels of .* must be one integer each, got float32 of shape",
        ),
        (
            {"image": SIZED, "label": tfds.features.Scalar(np.int64)},
            {"image": ZEROS.astype(np.uint8), "label": -1},
            ("train", "test"),
            "labels of .* must be at least 0, got -1: examples without a class",
        ),
        (
            {"image": SIZED, "label": LABEL},
            {"image": ZEROS.astype(np.uint8), "label": 1},
            ("train",),
            r"must have the splits 'train' and 'test' .* got \['train'\]",
        ),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, features, example, splits, wrong):
    write(tmp_path, features, [example], splits)
    with pytest.raises(ValueError, match=wrong):
        load("made", tmp_path)


@pytest.mark.fast
def test_neither_tensorflow_nor_jax_is_imported(digits_dir):
    program = (
        "import sys\n"
        "import cnnjax.data\n"
        "assert not {'jax', 'tensorflow', 'tensorflow_datasets'} & set(sys.modules)\n"
        "from cnnjax.data import batches, datasets\n"
        "assert not {'jax', 'tensorflow', 'tensorflow_datasets'} & set(sys.modules)\n"
        f"assert len(datasets.load('digits', {str(digits_dir)!r}).test.labels) == 360\n"
        "assert 'tensorflow_datasets' in sys.modules\n"
        "assert not {'jax', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.skipif(
    not (REAL and any(Path(REAL).glob("mnist/*/features.json"))),
    reason="mnist is not prepared in TFDS_DATA_DIR",
)
def test_real_mnist():
    data = load("mnist", REAL)
    assert data.train.images.shape == (55000, 28, 28, 1)
    assert data.validation.images.shape == (5000, 28, 28, 1)
    assert data.test.images.shape == (10000, 28, 28, 1)
    # Published: class counts, and mean and deviation of the pixels of the training set.
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    images, labels = (
        np.concatenate([getattr(split, name) for split in (data.train, data.validation)])
        for name in ("images", "labels")
    )
    assert np.bincount(labels).tolist() == counts
    assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert images.std() / 255 == pytest.approx(0.3081, abs=5e-5)


def test_data_sets_cannot_be_changed(digits_dir):
    data = datasets.load("digits", digits_dir)
    with pytest.raises(AttributeError):
        data.train = data.test

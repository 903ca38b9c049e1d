"""Our TFDS builders, prepared from small files in the formats of the original ones."""

import gzip
import hashlib
import io
import struct
import tarfile

import numpy as np
import pytest
import tensorflow_datasets as tfds

from cnnjax.data import builders, datasets
from cnnjax.data.builders import cifar10, cifar100, fashion_mnist, mnist, rotated_mnist
from cnnjax.data.downloads import File

RANDOM = np.random.default_rng(3)


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes(), 1)


def place(monkeypatch, builder, root, contents):
    """Puts files where a person would, and registers their checksums in place of the real ones."""
    folder = root / "downloads" / builder.name
    folder.mkdir(parents=True)
    files = []
    for file, content in zip(builder.FILES, contents, strict=True):
        (folder / file.name).write_bytes(content)
        files.append(File(file.url, len(content), hashlib.sha256(content).hexdigest()))
    monkeypatch.setattr(builder, "FILES", tuple(files))


def place_mnist(monkeypatch, builder, root, train=70, test=30):
    images = RANDOM.integers(0, 256, (train + test, 28, 28), np.uint8)
    labels = RANDOM.integers(0, 10, train + test, np.uint8)
    parts = (images[:train], labels[:train], images[train:], labels[train:])
    place(monkeypatch, builder, root, [idx(part) for part in parts])
    return {"train": parts[:2], "test": parts[2:]}


def pairs(images, labels):
    """What a split holds, whatever its order."""
    flat = images.reshape(len(images), -1)
    return sorted((image.tobytes(), int(label)) for image, label in zip(flat, labels, strict=True))


def training(data):
    """Images and labels of the training split as it is stored, of which some are for validation."""
    splits = data.train, data.validation
    return [
        np.concatenate([getattr(each, kind) for each in splits]) for kind in ("images", "labels")
    ]


@pytest.mark.fast
@pytest.mark.parametrize("builder", [mnist.Builder, fashion_mnist.Builder])
def test_mnist_files(monkeypatch, tmp_path, builder):
    stored = place_mnist(monkeypatch, builder, tmp_path)
    data = datasets.load(builder.name, tmp_path)
    assert (data.name, data.version, data.num_classes) == (builder.name, "3.0.1", 10)
    assert data.class_names[9] == ("Ankle boot" if builder.name == "fashion_mnist" else "9")
    for split, number in ((data.train, 59), (data.validation, 11), (data.test, 30)):
        assert split.images.shape == (number, 28, 28, 1)
        assert (split.images.dtype, split.labels.dtype) == (np.uint8, np.int32)
    assert pairs(*training(data)) == pairs(*stored["train"])
    assert pairs(data.test.images, data.test.labels) == pairs(*stored["test"])


def test_a_wrong_file_is_refused_and_nothing_prepared(monkeypatch, tmp_path):
    place_mnist(monkeypatch, mnist.Builder, tmp_path)
    path = tmp_path / "downloads" / "mnist" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(idx(np.zeros(70, np.uint8)))
    with pytest.raises(ValueError, match=r"train-labels-idx1-ubyte\.gz is not the registered file"):
        datasets.load("mnist", tmp_path)
    assert not (tmp_path / "mnist").exists()


@pytest.mark.parametrize(
    ("content", "wrong"),
    [
        (b"\x89PNG????", "begins with '89504e47' where '000008'"),
        (b"\0\0\x08\x01\0\0\0\x05abcd", r"holds 4 elements, its header promises \(5,\)"),
    ],
)
def test_a_file_that_is_not_idx(tmp_path, content, wrong):
    path = tmp_path / "labels.gz"
    path.write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=wrong):
        mnist.read_idx(path)


def archive(folder, files):
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return output.getvalue()


def cifar_records(images, *labels):
    """Label bytes, then the red, the green and the blue plane, row by row."""
    content = b""
    for image, *own in zip(images, *labels, strict=True):
        content += bytes(own) + b"".join(image[:, :, c].tobytes() for c in range(3))
    return content


def place_cifar(monkeypatch, builder, root, class_counts, names):
    images = RANDOM.integers(0, 256, (12, 32, 32, 3), np.uint8)
    # Two training images of each class that there is, so that one can be for validation.
    labels = [
        np.concatenate([RANDOM.permutation(np.repeat(RANDOM.choice(count, 5, False), 2)), [0, 1]])
        for count in class_counts
    ]
    rows = [slice(2 * i, 2 * i + 2) for i in range(6)]
    if builder.name == "cifar100":
        rows = [slice(0, 10), slice(10, 12)]
    files = {
        name: cifar_records(images[row], *(label[row] for label in labels))
        for name, row in zip((*builder.TRAIN, *builder.TEST), rows, strict=True)
    }
    place(monkeypatch, builder, root, [archive(builder.FOLDER, {**files, **names})])
    return images, labels


def test_cifar10_archive(monkeypatch, tmp_path):
    names = [f"class{i}" for i in range(10)]
    texts = {"batches.meta.txt": "\n".join(names).encode() + b"\n\n", "readme.html": b"hello"}
    images, (labels,) = place_cifar(monkeypatch, cifar10.Builder, tmp_path, [10], texts)
    data = datasets.load("cifar10", tmp_path)
    assert (data.version, data.num_classes, data.class_names) == ("3.0.2", 10, tuple(names))
    assert data.train.images.shape == (9, 32, 32, 3)
    assert pairs(*training(data)) == pairs(images[:10], labels[:10])
    assert pairs(data.test.images, data.test.labels) == pairs(images[10:], labels[10:])
    # The id tells the place in the original files.
    path = datasets.prepare("cifar10", tmp_path)
    for example in tfds.builder_from_directory(path).as_data_source("train"):
        place = int(example["id"].decode().removeprefix("train_"))
        np.testing.assert_array_equal(example["image"], images[place])


def test_cifar100_archive(monkeypatch, tmp_path):
    names = [f"fine{i}" for i in range(100)]
    texts = {
        "coarse_label_names.txt": "\n".join(f"coarse{i}" for i in range(20)).encode(),
        "fine_label_names.txt": "\n".join(names).encode(),
    }
    images, (coarse, fine) = place_cifar(monkeypatch, cifar100.Builder, tmp_path, [20, 100], texts)
    data = datasets.load("cifar100", tmp_path)
    assert (data.num_classes, data.class_names) == (100, tuple(names))
    assert pairs(*training(data)) == pairs(images[:10], fine[:10])
    assert pairs(data.test.images, data.test.labels) == pairs(images[10:], fine[10:])
    assert pairs(images[:10], coarse[:10]) != pairs(images[:10], fine[:10])


def keys_weight(distance):
    """Bicubic weights of Keys (1981), a = -1."""
    d = abs(distance)
    if d < 1:
        return d**3 - 2 * d**2 + 1
    return -(d**3) + 5 * d**2 - 8 * d + 4 if d < 2 else 0.0


def rotated(image, angle):
    """Counter-clockwise about the centre; rows count downwards."""
    size = len(image)
    out = np.zeros((size, size))
    for y in range(size):
        for x in range(size):
            right, up = x + 0.5 - size / 2, size / 2 - y - 0.5
            u = np.cos(angle) * right + np.sin(angle) * up + size / 2
            v = size / 2 - (np.cos(angle) * up - np.sin(angle) * right)
            if 0 <= u < size and 0 <= v < size:
                for i in range(int(np.floor(v - 0.5)) - 1, int(np.floor(v - 0.5)) + 3):
                    for j in range(int(np.floor(u - 0.5)) - 1, int(np.floor(u - 0.5)) + 3):
                        weight = keys_weight(v - 0.5 - i) * keys_weight(u - 0.5 - j)
                        out[y, x] += weight * image[min(max(i, 0), 27), min(max(j, 0), 27)]
    return np.clip(out, 0, 255)


def shrink(monkeypatch, train, test):
    monkeypatch.setattr(rotated_mnist.Builder, "TRAIN_EXAMPLES", train)
    monkeypatch.setattr(rotated_mnist.Builder, "TEST_EXAMPLES", test)


def rotated_records(root, split):
    path = datasets.prepare("rotated_mnist", root)
    return list(tfds.builder_from_directory(path).as_data_source(split))


def test_rotated_mnist_turns_by_the_stated_angle(monkeypatch, tmp_path):
    shrink(monkeypatch, 5, 3)
    # One image a label, so that the label tells which one it was.
    images = RANDOM.integers(0, 256, (10, 28, 28), np.uint8)
    labels = np.arange(10, dtype=np.uint8)
    parts = [images[:6], labels[:6], images[6:], labels[6:]]
    place(monkeypatch, mnist.Builder, tmp_path, map(idx, parts))
    examples = rotated_records(tmp_path, "train") + rotated_records(tmp_path, "test")
    assert len({example["label"] for example in examples}) == 8
    for example in examples:
        turned = example["image"][..., 0].astype(float)
        source, angle = images[example["label"]], float(example["angle"])
        # Pillow cuts the fraction off where the loop above keeps it.
        np.testing.assert_allclose(turned, rotated(source, angle) - 0.5, atol=0.51)
        assert np.median(np.abs(turned - rotated(source, -angle))) > 10


def test_rotated_mnist_draws(monkeypatch, tmp_path):
    shrink(monkeypatch, 400, 200)
    stored = place_mnist(monkeypatch, mnist.Builder, tmp_path / "a", 500, 150)
    data = datasets.load("rotated_mnist", tmp_path / "a")
    assert (len(data.train.labels), len(data.validation.labels)) == (334, 66)
    assert len(data.test.labels) == 200
    examples = [*rotated_records(tmp_path / "a", "train"), *rotated_records(tmp_path / "a", "test")]
    angles = np.array([example["angle"] for example in examples])
    quadrants = np.bincount((angles // (np.pi / 2)).astype(int))
    assert len(quadrants) == 4  # none is 2 pi or more
    assert np.all(np.abs(quadrants - 150) < 5 * np.sqrt(600 * 3 / 16))
    assert len(set(angles.tolist())) == 600

    # The order in which mnist is stored makes no difference, its contents do.
    images, labels = stored["train"]
    for name, train, same in (
        ("reversed", (images[::-1], labels[::-1]), True),
        ("darker", (images // 2, labels), False),
    ):
        monkeypatch.undo()
        shrink(monkeypatch, 400, 200)
        parts = map(idx, (*train, *stored["test"]))
        place(monkeypatch, mnist.Builder, tmp_path / name, parts)
        other = datasets.load("rotated_mnist", tmp_path / name)
        assert np.array_equal(other.train.images, data.train.images) == same


def test_rotated_mnist_needs_all_of_mnist(monkeypatch, tmp_path):
    place_mnist(monkeypatch, mnist.Builder, tmp_path)
    with pytest.raises(ValueError, match=r"needs 62000 examples of mnist, but .* holds 100"):
        datasets.load("rotated_mnist", tmp_path)


def test_features_and_order_are_those_of_the_stock_builders(tmp_path):
    """Both live in one process, though TFDS's registry takes each name once."""
    from tensorflow_datasets.image_classification import cifar, mnist as stock

    for ours, theirs in (
        (mnist.Builder, stock.MNIST),
        (fashion_mnist.Builder, stock.FashionMNIST),
        (cifar10.Builder, cifar.Cifar10),
        (cifar100.Builder, cifar.Cifar100),
    ):
        a, b = ours(data_dir=tmp_path), theirs(data_dir=tmp_path)
        assert a.info.full_name == b.info.full_name
        assert a.info.features.to_json() == b.info.features.to_json()
        assert a.info.supervised_keys == b.info.supervised_keys
        assert a.info.disable_shuffling == b.info.disable_shuffling
        # Size and SHA-256 as TFDS itself has them registered, by URL.
        registered = b.url_infos
        assert {(f.url, f.size, f.sha256) for f in ours.FILES} == {
            (url, info.size, info.checksum) for url, info in registered.items()
        }


def test_every_name_has_a_builder():
    for name in builders.NAMES:
        module = __import__(f"cnnjax.data.builders.{name}", fromlist=["Builder"])
        assert module.Builder.name == name

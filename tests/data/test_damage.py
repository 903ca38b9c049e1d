"""Damaged data sets: one sentence with the file's name and the way out, exit code 2."""

import json
import shutil

import numpy as np
import pytest

import launch
from cnnjax.data import streaming
from cnnjax.data.datasets import load, prepare
from cnnjax.data.streaming import stream
from cnnjax.run.config import InputError


@pytest.fixture(scope="module")
def intact(tmp_path_factory):
    folder = tmp_path_factory.mktemp("intact")
    prepare("digits", folder)
    return folder


@pytest.fixture
def folder(intact, tmp_path):
    """A copy of a prepared data set, to be damaged."""
    shutil.copytree(intact, tmp_path / "data")
    return tmp_path / "data"


def version(folder):
    return folder / "digits" / "1.0.0"


def change(file, changed):
    file.write_bytes(changed(file.read_bytes()))


def flip(content):
    """Invert the bytes of a few records in the middle of the file."""
    middle = len(content) // 4
    inverted = bytes(255 - byte for byte in content[middle : middle + 50])
    return content[:middle] + inverted + content[middle + 50 :]


DAMAGES = {
    "truncated": lambda content: content[: len(content) // 2],
    "empty": lambda content: b"",
    "flipped": flip,
    "zeroed": lambda content: bytes(len(content)),
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
}
SHARD = "digits-train.array_record-00000-of-00001"


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_shard_is_named(folder, damage):
    change(version(folder) / SHARD, DAMAGES[damage])
    with pytest.raises(InputError, match="is damaged") as caught:
        load("digits", folder)
    message = str(caught.value)
    assert message.startswith(f"{version(folder) / SHARD} is damaged (")
    assert message.endswith(
        f"delete the folder {version(folder)} and prepare the data set again, as with "
        "`python launch.py prepare`."
    )


def test_a_missing_shard_is_named(folder):
    (version(folder) / SHARD).unlink()
    for read in (load, lambda name, folder: stream(name, 8, folder)):
        with pytest.raises(InputError, match=rf"{SHARD} is damaged \(it is missing\)"):
            read("digits", folder)


@pytest.mark.parametrize("more", [5, -5])
def test_another_number_of_records_than_described(folder, more):
    def miscounted(content):
        described = json.loads(content)
        (train,) = (each for each in described["splits"] if each["name"] == "train")
        train["shardLengths"] = [str(int(train["shardLengths"][0]) + more)]
        return json.dumps(described).encode()

    change(version(folder) / "dataset_info.json", miscounted)
    with pytest.raises(InputError, match=rf"\(1437 records, and {1437 + more} in dataset_info"):
        load("digits", folder)


@pytest.mark.parametrize("name", ["features.json", "dataset_info.json"])
def test_unreadable_descriptions_are_named(folder, name):
    file = version(folder) / name
    file.write_text("{ x")
    with pytest.raises(InputError, match=name):
        load("digits", folder)
    if name == "features.json":
        file.unlink()
        with pytest.raises(InputError, match=rf"{name} is damaged \(it is missing\)"):
            load("digits", folder)


def test_examples_on_disk_are_read_until_the_damaged_one(folder, monkeypatch):
    change(version(folder) / SHARD, flip)
    damaged = rf"{SHARD} is damaged \(record \d+ of the split: "
    with pytest.raises(InputError, match=damaged):
        stream("digits", 8, folder)
    # Of a large data set the labels are not read beforehand.
    monkeypatch.setattr(streaming, "LABELS_READ", 0)
    train = stream("digits", 8, folder).train
    assert train.read(np.arange(1180, 1190))[0].shape == (10, 8, 8, 1)
    with pytest.raises(InputError, match=damaged):
        train.read(np.arange(len(train)))


def fewer_classes(content):
    described = json.loads(content)
    label = described["featuresDict"]["features"]["label"]["classLabel"]
    assert label["numClasses"] == "10"
    label["numClasses"] = "9"
    return json.dumps(described).encode()


def test_labels_outside_the_classes_are_refused(folder, monkeypatch):
    change(version(folder) / "features.json", fewer_classes)
    for read in (load, lambda *of: stream(of[0], 8, of[1])):
        with pytest.raises(InputError, match=r"digits/1\.0\.0 must be below 9, .* got 9"):
            read("digits", folder)
    monkeypatch.setattr(streaming, "LABELS_READ", 0)
    train = stream("digits", 8, folder).train
    assert train.classes == 9
    with pytest.raises(InputError, match="must be below 9"):
        train.read(np.arange(len(train)))


@pytest.mark.fast
def test_a_file_for_a_folder(tmp_path):
    (tmp_path / "README.md").write_text("")
    with pytest.raises(InputError, match=r"data_dir must be a folder, got the file .*README\.md"):
        load("mnist", tmp_path / "README.md")


def test_a_run_ends_with_one_sentence_and_leaves_nothing(folder, tmp_path, capsys):
    change(version(folder) / SHARD, DAMAGES["truncated"])
    words = ["train", "smoke", "--data-dir", str(folder), "--workdir", str(tmp_path / "run")]
    with pytest.raises(SystemExit) as left:
        launch.main(words)
    assert left.value.code == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith(f"launch.py: {version(folder) / SHARD} is damaged (")
    assert complaint.count("\n") == 1
    assert not (tmp_path / "run").exists()

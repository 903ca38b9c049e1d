"""What TensorBoard and Weights & Biases get: each line of metrics.jsonl, under its network."""

import sys
import types

import pytest
from tensorboardX.proto.event_pb2 import Event

from cnnjax.launch.main import main
from cnnjax.run import trackers
from cnnjax.run.config import InputError
from cnnjax.run.record import Record
from cnnjax.run.trackers import require_packages, tracking
from tests.run.test_record import Config

pytestmark = pytest.mark.fast


def events_of(folder):
    """Tag, step and value of each scalar in the one event file of a folder, in order."""
    (file,) = folder.iterdir()
    data, found = file.read_bytes(), []
    while data:
        # A TFRecord: length, its checksum, the event, its checksum.
        length = int.from_bytes(data[:8], "little")
        event = Event.FromString(data[12 : 12 + length])
        found += [(each.tag, event.step, each.simple_value) for each in event.summary.value]
        data = data[16 + length :]
    return found


def test_tensorboard_has_a_folder_for_each_network(tmp_path):
    record = Record.open(tmp_path / "run", Config())
    with tracking(["tensorboard"], record.directory, {}) as trackers:
        record = Record(record.directory, trackers=trackers)
        record.metrics(1, network="tiled(tile=2) seed 0", loss=0.5, accuracy=0.25)
        record.metrics(2, network="tiled(tile=2) seed 0", loss=0.375)
        record.metrics(1, network="local seed 0", loss=0.75)
    folders = sorted((tmp_path / "run" / "tensorboard").iterdir())
    assert [folder.name.partition("_")[0] for folder in folders] == ["local", "tiled"]
    assert events_of(folders[1]) == [("loss", 1, 0.5), ("accuracy", 1, 0.25), ("loss", 2, 0.375)]
    assert events_of(folders[0]) == [("loss", 1, 0.75)]


def test_weights_and_biases_counts_the_steps_of_each_network_by_themselves(tmp_path, monkeypatch):
    begun, logged, axes, ended = [], [], [], []

    def init(**arguments):
        begun.append(arguments)
        return types.SimpleNamespace(
            define_metric=lambda name, step_metric: axes.append((name, step_metric)),
            log=logged.append,
            finish=lambda: ended.append(len(logged)),
        )

    monkeypatch.setattr(trackers, "wandb", types.SimpleNamespace(init=init))
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    with tracking(["wandb"], tmp_path / "smoke-1f", {"seeds": [0]}) as (write,):
        write(20, "local seed 0", {"loss": 0.5})
        write(20, "", {"loss": 0.25})
        assert not ended
    assert ended == [2]
    assert begun == [
        {
            "project": "cnnjax",
            "name": "smoke-1f",
            "dir": str(tmp_path / "smoke-1f"),
            "config": {"seeds": [0]},
        }
    ]
    assert logged == [
        {"local seed 0/step": 20, "local seed 0/loss": 0.5},
        {"step": 20, "loss": 0.25},
    ]
    assert axes[0] == ("local seed 0/*", "local seed 0/step")
    monkeypatch.setenv("WANDB_PROJECT", "lattices")
    with tracking(["wandb"], tmp_path, {}):
        pass
    assert begun[1]["project"] == "lattices"


def test_a_package_that_is_missing_is_named_before_the_run_begins(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r'wandb, which is not installed: pip .*"\.\[wandb\]"'):
        require_packages(["wandb"])
    run = tmp_path / "run"
    with pytest.raises(SystemExit) as stopped:
        main(["borders", "smoke", "--track", "wandb", "--workdir", str(run)])
    assert stopped.value.code == 2
    assert "pip install" in capsys.readouterr().err
    assert not run.exists()

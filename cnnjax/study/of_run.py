"""The data of a run, as its networks saw it."""

from pathlib import Path

from cnnjax.run.config import from_json, read_json
from cnnjax.study.classification import Classification, on_canvas
from cnnjax.study.distorted import as_distorted
from cnnjax.study.images import as_images
from cnnjax.train.config import TrainConfig


def data_of_run(directory: Path, data_dir: str | None, side: int) -> Classification:
    """The data set that a run trained on, placed as it was there.

    Args:
      directory: of a run of `train`, `cifar10`, or a study on a canvas.
      data_dir: where prepared data sets are, if not where the run found them.
      side: of the network's images, in pixels.

    Raises:
      ValueError: the run does not say what it was trained on.
      FileNotFoundError: the data set is not there and cannot be fetched.
    """
    told = read_json(directory / "config.json")
    if "data" not in told:
        raise ValueError(f"{directory / 'config.json'} does not say which data: it has no 'data'.")
    train = from_json(TrainConfig, told.get("train"), "train")
    where = data_dir or told.get("data_dir")
    if "locally_connected" in told:
        return as_distorted(told["data"], where, train)
    if "augmentation" in told:
        size, channels = told.get("size"), told.get("channels")
        disk = told.get("from_disk", False)
        return as_images(told["data"], where, train, size=size, channels=channels, from_disk=disk)
    return on_canvas(told["data"], where, train, canvas=side)

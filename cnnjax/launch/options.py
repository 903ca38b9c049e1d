"""Options that every run has, beside the fields of its configuration."""

import dataclasses
from typing import Annotated, Literal

import tyro

from cnnjax.run.config import CheckedConfig, Counted, Positive, differences
from cnnjax.run.metrics import EquivarianceLog, TrackerName

_Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff]


@dataclasses.dataclass(frozen=True)
class Slurm(CheckedConfig):
    """The job that --slurm submits."""

    partition: str | None = None
    """Partition; without it that of the cluster."""
    minutes: Positive = 60
    """Time limit of an allocation. A run that reaches it saves, and its job is queued again."""
    gpus: Counted = 0
    """GPUs on each node."""
    cpus: Positive = 4
    """CPU cores on each node."""
    nodes: Positive = 1
    """Nodes of each run: one process on each, which train together."""
    account: str | None = None
    """Account that is charged."""
    at_once: Positive = 64
    """Most runs of the array under way at a time."""
    cluster: Literal["slurm", "local"] = "slurm"
    """local: the same jobs as processes of this machine, to try them without Slurm."""


@dataclasses.dataclass(frozen=True)
class Options(CheckedConfig):
    """Where and how a run goes; its configuration, and so its name, does not depend on these."""

    workdir: str | None = None
    """Directory of the run; without it runs/NAME/PRESET-HASH, by the hash of the configuration.
    Of a sweep: the directory that holds a PRESET-HASH for each of its runs."""
    resume: _Flag = False
    """Continue the unfinished run that is there; begin if there is none."""
    overwrite: _Flag = False
    """Replace the run that is there."""
    config: str | None = None
    """Configuration to start from instead of a preset: the config.json of a run, or a YAML file of
    the fields that differ from the defaults."""
    devices: Positive | None = None
    """Number of virtual CPU devices to run on; without it one. Accelerators are all used anyway."""
    deterministic: _Flag = False
    """The same bits every time on a GPU too, at some cost in speed; a CPU gives them anyway."""
    cache: bool = True
    """Keep compiled programs in the user's cache directory, so that a later run starts faster."""
    distributed: _Flag = False
    """Train together with processes on other hosts, found by Slurm or on a TPU pod by itself."""
    coordinator: str | None = None
    """Address HOST:PORT of process 0, where nothing else says it; with --processes, --process."""
    processes: int | None = None
    """How many processes train together."""
    process: int | None = None
    """Which of them this one is, from 0."""
    sweep: _Flag = False
    """Run every point of the experiment's sweep: skip finished ones, continue unfinished ones."""
    dry_run: _Flag = False
    """With --sweep or --slurm: print the job, commands and directories, and run nothing."""
    workers: Positive | None = None
    """Processes at a time on this machine, which share its cores or GPUs: of a sweep, runs; of one
    run, its cells. By default one."""
    slurm: _Flag = False
    """Submit the run, or every point of the sweep, to Slurm."""
    figures: tuple[Literal["pdf", "svg"], ...] = ()
    """File formats of figures, beside PNG. With --resume a finished run's page is made again."""
    style: str | None = None
    """Style of figures: an .mplstyle file, or a name that matplotlib knows. With --resume a
    finished run's page is made again."""
    track: tuple[TrackerName, ...] = ()
    """Where the numbers of training go, beside metrics.jsonl: tensorboard, to the run's directory;
    wandb, to Weights & Biases."""
    equivariance: EquivarianceLog = EquivarianceLog()
    job: Annotated[Slurm, tyro.conf.arg(name="slurm")] = Slurm()

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("coordinator", "processes", "process"):
            value = getattr(self, name)
            if value is not None and not self.distributed:
                raise ValueError(f"--{name} {value} is given without --distributed.")
        if self.dry_run and not (self.sweep or self.slurm):
            raise ValueError("--dry-run is of --sweep and --slurm: give one of them.")
        if self.workers is not None and (self.slurm or self.distributed):
            raise ValueError(
                f"--workers {self.workers} is of processes on this machine: give neither --slurm "
                "nor --distributed."
            )
        if self.job != Slurm() and not self.slurm:
            name = next(iter(differences(Slurm(), self.job)))
            raise ValueError(f"--slurm.{name.replace('_', '-')} is given without --slurm.")
        if self.resume and self.overwrite:
            raise ValueError("Give either --resume or --overwrite, not both.")
        if self.distributed and self.sweep and not self.slurm:
            raise ValueError(
                "--distributed is of one run, or of --slurm: a sweep on this machine has its runs "
                "in processes of their own."
            )


NAMES = tuple(field.name for field in dataclasses.fields(Options) if field.name != "job")
"""The options' names, which no configuration may take as its fields'."""

"""Slurm: the job that is submitted, what runs in it, and what happens when its time is over."""

import os
import signal
import sys
import time
from pathlib import Path

import pytest

from cnnjax.launch.main import main
from cnnjax.launch.options import Slurm
from cnnjax.launch.slurm import Job, submit
from cnnjax.launch.sweep import Point

# Here, not later: it closes the handlers of logging, which a test would find closed.
pytest.importorskip("submitit")

STUDY = '''"""Is it submitted?"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Config:
    """The study."""

    size: int = 3
    """Pixels."""


PRESETS = {}


def run(config, record):
    raise AssertionError("it was begun here")


def sweep():
    yield {"size": 4}
    yield {"size": 5}
'''
# A program that waits, and saves when it is told to end; USR2 would end it with another code.
WAITS = """\
import pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[2])
def save(*_):
    (folder / "saved").write_text(" ".join(sys.argv[1:]))
    sys.exit(143)
signal.signal(signal.SIGTERM, save)
(folder / "waiting").write_text("")
time.sleep(60)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "sent.py").write_text(STUDY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sbatch(here, monkeypatch):
    """Slurm's programs, of which sbatch keeps the script that it is given."""
    programs = here / "programs"
    programs.mkdir()
    scripts = dict.fromkeys(("srun", "scontrol", "sacct", "squeue", "scancel"), "exit 0")
    scripts["sbatch"] = f'cp "$1" {here}/submitted.sh\necho "Submitted batch job 12"'
    for name, body in scripts.items():
        (programs / name).write_text(f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    return here / "submitted.sh"


def test_a_sweep_is_an_array_that_is_queued_again(here, sbatch, capsys):
    words = (
        "sent --sweep --slurm --slurm.partition big --slurm.minutes 90 --slurm.gpus 8 "
        "--slurm.nodes 2 --slurm.cpus 16 --slurm.account mine --slurm.at-once 1"
    )
    assert main(words.split(), here / "experiments") == 0
    lines = sbatch.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    settings = dict(
        line.removeprefix("#SBATCH --").partition("=")[::2]
        for line in lines
        if line.startswith("#SBATCH --")
    )
    expected = {
        "partition": "big",
        "time": "90",
        "gpus-per-node": "8",
        "nodes": "2",
        "ntasks-per-node": "1",
        "cpus-per-task": "16",
        "account": "mine",
        "array": "0-1%1",
        "requeue": "",
        "signal": "USR2@90",
        "open-mode": "append",
        "job-name": "cnnjax-sent",
    }
    assert {name: settings.get(name) for name in expected} == expected
    (command,) = [line for line in lines if line.startswith("srun ")]
    assert f"{sys.executable} -u -m submitit.core._submit {here}/runs/sent/slurm/%j" in command
    printed = capsys.readouterr().out.splitlines()
    assert [line.partition(": ")[0] for line in printed[:2]] == [
        "Submitted as 12_0",
        "Submitted as 12_1",
    ]
    # The directories of the runs are theirs alone.
    assert [path.name for path in (here / "runs" / "sent").iterdir()] == ["slurm"]


def test_what_is_not_asked_for_is_the_cluster_s_to_choose(here, sbatch):
    assert main(["sent", "--slurm"], here / "experiments") == 0
    text = sbatch.read_text()
    assert "#SBATCH --nodes=1\n" in text
    for absent in ("--partition", "--account", "--array"):
        assert f"#SBATCH {absent}" not in text


@pytest.mark.parametrize(
    "words",
    [
        "sent --slurm",
        "sent --sweep --slurm --slurm.partition big --slurm.minutes 90 --slurm.gpus 8 "
        "--slurm.nodes 2 --slurm.cpus 16 --slurm.account mine --slurm.at-once 1",
    ],
)
def test_a_dry_run_prints_the_job_as_it_is_submitted(here, sbatch, capsys, words):
    assert main([*words.split(), "--dry-run"], here / "experiments") == 0
    assert not sbatch.exists()
    printed = capsys.readouterr().out.splitlines()
    assert main(words.split(), here / "experiments") == 0
    submitted = sbatch.read_text().splitlines()
    # Submitit's own: where it logs, how Slurm warns it, and the key of its database.
    own = ("error", "output", "open-mode", "signal", "wckey")
    asked = [
        line
        for line in submitted
        if line.startswith("#SBATCH") and not line.startswith(tuple(f"#SBATCH --{o}=" for o in own))
    ]
    assert sorted(line for line in printed if line.startswith("#SBATCH")) == sorted(asked)
    assert "#SBATCH --time=90" in printed or len(words.split()) == 2


def test_a_dry_run_needs_no_submitit_and_names_what_is_left(here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    sweep = ["sent", "--sweep", "--slurm", "--dry-run"]
    assert main(sweep, here / "experiments") == 0
    *_, first, _, second, _ = printed = capsys.readouterr().out.splitlines()
    assert "#SBATCH --array=0-1%2" in printed
    for line, left in ((first, 1), (second, 0)):
        directory = Path(line.removeprefix("# new: "))
        directory.mkdir(parents=True)
        (directory / "done").write_text("")
        assert main(sweep, here / "experiments") == 0
        printed = capsys.readouterr().out
        assert "array" not in printed
        assert printed.count("#SBATCH --job-name=cnnjax-sent\n") == left
    local = ["sent", "--slurm", "--slurm.cluster", "local", "--dry-run"]
    assert main(local, here / "experiments") == 0
    assert "#SBATCH" not in capsys.readouterr().out


def test_runs_on_several_nodes_find_each_other(here, sbatch, capsys):
    for nodes, distributed in ((1, False), (2, True)):
        words = f"sent --slurm --slurm.nodes {nodes} --dry-run"
        assert main(words.split(), here / "experiments") == 0
        command = capsys.readouterr().out.splitlines()[-1]
        assert ("--distributed" in command) is distributed


def test_jobs_run_by_the_local_executor(tmp_path, monkeypatch):
    """The same array, run by submitit as processes of this machine."""
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, sys\n"
        "pathlib.Path(sys.argv[1]).write_text(' '.join(sys.argv[2:]))\n"
        "sys.exit(sys.argv[1] == 'bad')\n"
    )
    points = [Point((name, "--resume"), Path(name), False) for name in ("good", "bad")]
    job = Slurm(cluster="local", minutes=1)
    good, bad = submit(points, "two", str(program), tmp_path / "jobs" / "%j", job)
    assert good.result() is None
    assert (tmp_path / "good").read_text() == "--resume"
    said = bad.exception()
    assert "program.py bad --resume ended with exit code 1" in str(said)


def test_before_the_time_is_over_a_run_saves_and_its_command_is_submitted_again(tmp_path):
    program = tmp_path / "waits.py"
    program.write_text(WAITS)
    job = Job((str(program), "--overwrite", str(tmp_path)), str(tmp_path))
    before = signal.signal(signal.SIGALRM, lambda *_: again.append(job.checkpoint()))
    again = []
    try:
        with pytest.raises(RuntimeError, match="ended with exit code 143"):
            _alarm_when(tmp_path / "waiting", job)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert (tmp_path / "saved").read_text() == f"--overwrite {tmp_path}"
    (submission,) = again
    assert submission.function.words == (str(program), "--resume", str(tmp_path))


def _alarm_when(file: Path, job: Job) -> None:
    """Call the job; once the file is there send USR2 to its process, then an alarm to this one."""
    import threading

    def watch():
        end = time.monotonic() + 30
        while not file.exists() and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(job.process.pid, signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGALRM)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        job()
    finally:
        thread.join()


def test_a_job_that_slurm_starts_again_resumes(tmp_path, monkeypatch):
    program = tmp_path / "program.py"
    program.write_text("import sys\nsys.exit(sys.argv[1] == '--overwrite')\n")
    job = Job((str(program), "--overwrite"), str(tmp_path))
    with pytest.raises(RuntimeError):
        job()
    monkeypatch.setenv("SLURM_RESTART_COUNT", "1")
    job()
    assert job.process.returncode == 0


@pytest.mark.fast
def test_without_submitit_it_says_what_to_install(here, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SystemExit, match="2"):
        main(["sent", "--slurm"], here / "experiments")
    assert capsys.readouterr().err == (
        "launch.py: --slurm needs submitit, which `pip install submitit` installs.\n"
    )


def test_without_slurm_it_says_so(here, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(here))
    with pytest.raises(SystemExit, match="2"):
        main(["sent", "--slurm"], here / "experiments")
    said = capsys.readouterr().err
    assert said.startswith("launch.py: Slurm took no job: Could not detect")
    assert said.count("\n") == 1

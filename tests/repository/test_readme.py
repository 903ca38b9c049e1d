"""Every command and program of the README and of the documentation does what it says."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import launch
from cnnjax.launch.command_line import parse
from cnnjax.launch.experiments import EXPERIMENTS, import_experiment
from tests.experiments.smallest import WORDS

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCS = ROOT / "docs"
# The gallery's commands are those of committed results: `test_results` has them.
PAGES = {
    "README.md": README,
    **{
        str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
        for path in sorted([*DOCS.glob("*.md"), *DOCS.glob("guides/*.md")])
    },
    "../CONTRIBUTING.md": (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"),
}
OWN_EXPERIMENT = DOCS / "examples" / "studies"
"""Where the experiment of the guide is, which the reader copies to experiments/."""


def blocks(language: str, text: str) -> list[str]:
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```", text)


# The set-up's two commands are those that continuous integration runs first.
SET_UP, BASH = blocks("bash", README)[:2], blocks("bash", README)[2:]
LINES = {
    line
    for block in [*BASH, *(b for text in list(PAGES.values())[1:] for b in blocks("bash", text))]
    for line in block.splitlines()
}
COMMANDS = sorted(line for line in LINES if line.startswith("python launch.py"))
PROGRAMS = {
    f"{page}, {number}": program
    for page, text in PAGES.items()
    for number, program in enumerate(blocks("python", text))
    if "  # " in program
}
"""Programs that print what their comments say."""


def launch_commands() -> set[str]:
    """The words after `launch.py` that name no experiment."""
    return {"prepare", "check", "compare"}


def arguments_of(command: str) -> list[str]:
    program, script, *arguments = shlex.split(command)
    assert (program, script) == ("python", "launch.py")
    return arguments


@pytest.mark.fast
def test_the_set_up_is_two_commands():
    assert [len(block.splitlines()) for block in SET_UP] == [1, 1]
    assert len(COMMANDS) >= 40


@pytest.mark.fast
def test_the_readme_fits_a_screen_or_two_and_points_to_pages_that_are_there():
    assert len(README.splitlines()) <= 90
    for text, folder in ((README, ROOT), *((PAGES[n], (DOCS / n).parent) for n in PAGES)):
        for target in re.findall(r"\]\(([^)#:]+)[^):]*\)", text):
            assert (folder / target).exists() or (ROOT / target).exists(), target


@pytest.mark.fast
@pytest.mark.parametrize("command", sorted(LINES - {*COMMANDS}))
def test_other_commands_install_or_build_what_is_there(command):
    """Extras, packages and files that they name; what they run is run by continuous integration."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for named in re.findall(r'"\.\[([\w,]+)\]"', command):
        assert {*named.split(",")} <= {*extras["optional-dependencies"]}
    for file in re.findall(r"[\w/.]+\.(?:txt|py)|\bdocs\b(?!/_build|\])", command):
        assert (ROOT / file).exists()
    assert re.match(r"(\S*python3?|\S*pip|ruff|bash) ", command)


@pytest.mark.fast
@pytest.mark.parametrize(
    "command",
    [c for c in COMMANDS if shlex.split(c)[2:3] and shlex.split(c)[2] not in launch_commands()],
)
def test_commands_parse(command):
    name, *words = arguments_of(command)
    own = (OWN_EXPERIMENT / f"{name}.py").exists()
    study = import_experiment(name, OWN_EXPERIMENT if own else EXPERIMENTS)
    if not {"--help", "--sweep"} & {*words}:
        assert isinstance(parse(study, words).config, study.config_class)


@pytest.mark.fast
def test_checked_convolutions_are_there():
    """Those of the examples; `my_conv` is the guide's file."""
    checked = [c.split()[3].split(":") for c in COMMANDS if c.split()[2:3] == ["check"]]
    assert len(checked) == 6
    for module, name in checked:
        if module != "my_conv":
            source = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
            assert f"\nclass {name}(" in source


@pytest.mark.fast
def test_overview_lists_the_experiments(capsys):
    assert launch.main([]) == 0
    assert "equivariance" in capsys.readouterr().out


def run(command: str, folder: Path) -> str:
    """Run a command of the README in a folder of its own, on one device as a user would."""
    environment = {name: value for name, value in os.environ.items() if name != "NPROC"}
    environment["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    done = subprocess.run(
        [sys.executable, str(ROOT / "launch.py"), *arguments_of(command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_help_explains_every_field(tmp_path):
    command = "python launch.py equivariance --help"
    assert command in COMMANDS
    said = run(command, tmp_path)
    for option in ("--conv", "--seeds", "--data-dir", "--train.learning-rate", "--resume"):
        assert option in said
    assert "smoke" in said
    assert "full" in said


@pytest.mark.usefixtures("few_test_images")
def test_a_convolution_of_your_own(tmp_path, monkeypatch, capsys):
    """The guide's file, and the lattice that it claims, measured."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    guide = PAGES["guides/convolution.md"]
    (source,) = re.findall(r"(?ms)^<!-- my_conv.py -->\n```python\n(.*?)^```", guide)
    (tmp_path / "my_conv.py").write_text(source, encoding="utf-8")
    (command,) = [c for c in COMMANDS if "equivariance smoke --conv my_conv" in c]
    assert launch.main([*arguments_of(command), *WORDS]) == 0
    report = Path(capsys.readouterr().out.splitlines()[-1])
    results = json.loads(report.with_name("results.json").read_text("utf-8"))
    first = results["layers"][0]
    assert first["predicted"] == first["measured"] == [1, 2]
    assert first["error_off"] > 0.1
    (command,) = [c for c in COMMANDS if c.endswith("check my_conv:MirrorConv")]
    assert launch.main(arguments_of(command)) == 0
    assert "MirrorConv(): passed, 12 of 12 properties hold" in capsys.readouterr().out


@pytest.mark.usefixtures("few_test_images")
def test_chosen_convolutions_and_resume(tmp_path, monkeypatch, capsys):
    first, second = [c for c in COMMANDS if "equivariance" in c and "runs/mine --seeds" in c]
    assert second == f"{first} --resume"
    monkeypatch.chdir(tmp_path)
    assert launch.main([*arguments_of(first), *WORDS]) == 0
    report = Path("runs/mine/report.md").read_text("utf-8")
    assert "tiled(tile=2)" in report
    assert "local" in report
    assert launch.main([*arguments_of(second), *WORDS]) == 0
    assert "finished" in capsys.readouterr().out


@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_print_what_their_comments_say(name, capsys):
    program = PROGRAMS[name]
    exec(compile(program, name, "exec"), {})
    assert capsys.readouterr().out.strip() == program.rstrip().rpartition("# ")[2]


@pytest.mark.fast
def test_programs_are_found():
    assert len(PROGRAMS) == 6


@pytest.fixture
def with_sweep(tmp_path, monkeypatch):
    """The experiments with the guide's sweep, in a folder of their own."""
    guide = PAGES["guides/runs.md"]
    (sweep,) = re.findall(r"(?ms)^<!-- sweep -->\n```python\n(.*?)^```", guide)
    folder = tmp_path / "experiments"
    folder.mkdir()
    source = (ROOT / "experiments" / "equivariance.py").read_text("utf-8")
    (folder / "equivariance.py").write_text(f"{source}\n\n{sweep}", "utf-8")
    shutil.copy(ROOT / "launch.py", tmp_path)
    door = (tmp_path / "launch.py").read_text().replace("main()", "main(folder=FOLDER)")
    (tmp_path / "launch.py").write_text(
        f"import pathlib, sys\nsys.path.insert(0, {str(ROOT)!r})\n"
        f"FOLDER = pathlib.Path({str(folder)!r})\n{door}"
    )
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.fast
@pytest.mark.parametrize("command", [c for c in COMMANDS if c.endswith("--dry-run")])
def test_what_a_sweep_or_a_cluster_would_run(command, with_sweep, capsys):
    assert launch.main(arguments_of(command), with_sweep) == 0
    printed = capsys.readouterr().out.splitlines()
    lines = [line for line in printed if not line.startswith("#SBATCH ")]
    assert (len(lines) < len(printed)) is ("--slurm" in command)
    rates = ["0.004", "0.008", "0.016"] if "--sweep" in command else [None]
    assert len(lines) == 2 * len(rates)
    study = import_experiment("equivariance", with_sweep)
    for directory, shown, rate in zip(lines[::2], lines[1::2], rates, strict=True):
        assert re.fullmatch(r"# new: runs/equivariance/\w+-[0-9a-f]{8}", directory)
        name, *words = arguments_of(shown)
        asked = parse(study, words)
        assert (name, asked.options.resume) == ("equivariance", True)
        assert rate is None or asked.config.train.learning_rate == float(rate)


@pytest.mark.slow
def test_the_sweep_runs_and_its_runs_are_compared(with_sweep, tmp_path):
    (sweep,) = [c for c in COMMANDS if "equivariance" in c and "--sweep --workers" in c]
    done = subprocess.run([sys.executable, *sweep.split()[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("Finished: ") == 3
    page = run(_with_names(tmp_path), tmp_path)
    assert "train.learning rate" in (tmp_path / page.strip()).with_name("report.md").read_text()


def test_runs_are_compared(tmp_path):
    for name, steps in (("smoke-1", 40), ("full-2", 4000)):
        folder = tmp_path / "runs" / "equivariance" / name
        folder.mkdir(parents=True)
        (folder / "observations.csv").write_text(
            "conv,seed,accuracy\nstandard,0,0.5\nstandard,1,0.75\ntiled(tile=4),0,0.25\n"
        )
        (folder / "config.json").write_text(
            json.dumps({"seeds": [0, 1], "train": {"steps": steps}})
        )
        (folder / "done").touch()
    page = tmp_path / run(_with_names(tmp_path), tmp_path).strip()
    text = page.with_name("report.md").read_text("utf-8")
    assert "train.steps" in text
    assert "tiled(tile=4)" in text
    assert page.with_name("table.csv").exists()


def _with_names(folder: Path) -> str:
    """The guide's `compare`, its pattern replaced by names as a shell does."""
    (command,) = [c for c in COMMANDS if "launch.py compare runs/equivariance" in c]
    *words, pattern = command.split()
    names = sorted(str(path.relative_to(folder)) for path in folder.glob(pattern))
    return shlex.join([*words, *names])


@pytest.mark.parametrize(("code", "queued"), [(0, False), (2, False), (143, True)])
def test_the_job_script_queues_again_what_has_saved(tmp_path, code, queued):
    """Slurm's programs and Python are replaced by ones that write down what they are asked."""
    guide = PAGES["guides/slurm.md"]
    (script,) = re.findall(r"(?ms)^<!-- job.sh -->\n```sh\n(.*?)^```", guide)
    programs = {"srun": 'exec "$@"', "python": f"exit {code}", "scontrol": 'echo "$@" > asked'}
    for name, body in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{body}\n")
        (tmp_path / name).chmod(0o755)
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_ID": "17"}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True)
    asked = tmp_path / "asked"
    assert (asked.read_text() if asked.exists() else None) == ("requeue 17\n" if queued else None)
    (command,) = [line for line in script.splitlines() if line.startswith("srun ")]
    name, *words = arguments_of(command.removeprefix("srun "))
    assert parse(import_experiment(name, EXPERIMENTS), words).options.distributed

"""What is set before jax is imported."""

import os
import subprocess
import sys

import pytest

from cnnjax.run import process


@pytest.mark.fast
def test_deterministic_sets_what_gpus_need_and_keeps_what_the_user_set(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--mine=1")
    process.configure()
    assert "deterministic" not in os.environ["XLA_FLAGS"]
    process.configure(deterministic=True)
    flags = os.environ["XLA_FLAGS"].split()
    assert {"--mine=1", "--xla_gpu_deterministic_ops=true", "--xla_gpu_autotune_level=0"} <= set(
        flags
    )
    monkeypatch.setenv("XLA_FLAGS", "--xla_gpu_deterministic_ops=false")
    process.configure(deterministic=True)
    assert "--xla_gpu_deterministic_ops=true" not in os.environ["XLA_FLAGS"]


COMPILES = """
from cnnjax.run import process

process.configure(cache={cache})
import jax

jax.block_until_ready(jax.jit(lambda x: 2 * x)(1.0))
"""


def compile_once(caches, *, cache: bool = True, **settings: str) -> None:
    """Compile a program in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("JAX_")}
    subprocess.run(
        [sys.executable, "-W", "error", "-c", COMPILES.format(cache=cache)],
        env={**kept, "XDG_CACHE_HOME": str(caches), **settings},
        check=True,
    )


def test_compiled_programs_are_kept_for_later_processes(tmp_path):
    compile_once(tmp_path, cache=False)
    assert not list(tmp_path.iterdir())
    compile_once(tmp_path)
    (folder,) = (tmp_path / "cnnjax").iterdir()
    entries = {path: path.stat().st_mtime_ns for path in folder.glob("*-cache")}
    assert entries
    compile_once(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*-cache")} == entries


@pytest.mark.fast
def test_a_cache_of_the_user_and_one_that_cannot_be_written_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "mine")
    process.configure(cache=True)
    assert os.environ["JAX_COMPILATION_CACHE_DIR"] == "mine"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    process.configure(cache=True)
    assert "JAX_COMPILATION_CACHE_DIR" not in os.environ

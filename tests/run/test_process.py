"""What is set before jax is imported."""

import os

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

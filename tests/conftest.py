"""Strict configuration of every test: four virtual CPU devices, no silent rank promotion."""

import gc
import os
import tempfile
from pathlib import Path

from cnnjax.run import process

# Numbers are tested here, speed never: little of XLA's optimisation, and what is compiled is kept.
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=1 --xla_llvm_disable_expensive_passes=true"
).strip()
os.environ.setdefault(
    "JAX_COMPILATION_CACHE_DIR", str(Path(tempfile.gettempdir()) / "cnnjax-test-compilations")
)
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
process.configure(devices=4)

import hypothesis
import jax

jax.config.update("jax_numpy_rank_promotion", "raise")
# Each example is compiled; thousands of them are tried by `pytest -m slow`.
hypothesis.settings.register_profile("cnnjax", deadline=None, print_blob=True, max_examples=15)
hypothesis.settings.load_profile("cnnjax")


def pytest_collection_finish():
    """Collect garbage less often, and never look at what was imported.

    Tracing and compiling make millions of objects, few of them in cycles.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)

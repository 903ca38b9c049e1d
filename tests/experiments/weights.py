"""Weights with torchvision's names, of a network small enough for a test."""

import sys

import jax
import numpy as np
import pytest

from cnnjax import tasks

TINY = """
from cnnjax.models import ResNet

tiny = ResNet(classes=10, depths=(1, 1), features=(4, 8))
"""


@pytest.fixture
def tiny_weights(tmp_path, monkeypatch):
    """Import path of a network, a file of weights for it, and the variables in the file."""
    (tmp_path / "cnnjax_test_tiny.py").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = tasks.make_model("cnnjax_test_tiny:tiny")
    variables = jax.jit(model.init)(jax.random.key(7), np.zeros((1, 8, 8, 3), np.float32))
    np.savez("weights.npz", **torchvision_arrays(variables))
    return "cnnjax_test_tiny:tiny", "weights.npz", variables


def torchvision_arrays(variables):
    """Arrays with torchvision's names, of variables of a ResNet."""
    leaves = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    parts = {"downsample_conv": "downsample.0", "downsample_bn": "downsample.1"}
    arrays = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(variables):
        _, *modules, kind = (entry.key for entry in path)
        names = [parts.get(module, module.replace("_", ".")) for module in modules]
        array = np.asarray(leaf)
        axes = {4: (3, 2, 0, 1), 2: (1, 0)}.get(array.ndim, range(array.ndim))
        arrays[".".join([*names, leaves.get(kind, kind)])] = array.transpose(axes)
    return arrays

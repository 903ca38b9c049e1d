"""Phases of weight sharing and beta-LASSO, updates worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from cnnjax.train.config import TrainConfig
from cnnjax.train.optimizer import optimizer
from cnnjax.train.weight_sharing import (
    adam_with_phases,
    beta_lasso,
    shared_kernels,
    sharing_phases,
)

pytestmark = pytest.mark.fast


def after(transformation, params, gradients):
    """Parameters after an update by each gradient."""
    state = transformation.init(params)
    found = []
    for gradient in gradients:
        updates, state = transformation.update(gradient, state, params)
        params = optax.apply_updates(params, updates)
        found.append(params)
    return found


def network(*values):
    """A bank of two kernels of one weight, beside a standard layer and a classifier."""
    bank = jnp.array(values, jnp.float32).reshape(1, 2, 1, 1, 1, 1)
    return {
        "tiled": {"kernel": bank, "bias": 10 * bank.reshape(1, 2, 1)},
        "inner": {"conv": {"kernel": jnp.arange(4.0).reshape(1, 1, 2, 2), "bias": jnp.arange(2.0)}},
        "dense": {"kernel": jnp.arange(6.0).reshape(2, 3), "bias": jnp.arange(3.0)},
    }


def test_banks_alone_are_replaced_by_their_mean():
    params = network(1, 5)
    shared = shared_kernels(params)
    np.testing.assert_array_equal(shared["tiled"]["kernel"].ravel(), [3, 3])
    np.testing.assert_array_equal(shared["tiled"]["bias"].ravel(), [30, 30])
    for name in ("inner", "dense"):
        jax.tree.map(np.testing.assert_array_equal, shared[name], params[name])
    # [*bank, *window, in, out] of a low-rank layer, and a one-dimensional bank.
    low_rank = {"kernel": jnp.arange(4.0).reshape(4, 1, 1, 1, 1), "mixing_0": jnp.arange(8.0)}
    assert set(shared_kernels(low_rank)["kernel"].ravel().tolist()) == {1.5}
    np.testing.assert_array_equal(shared_kernels(low_rank)["mixing_0"], np.arange(8.0))
    line = {"kernel": jnp.arange(2.0).reshape(2, 1, 1, 1)}
    assert shared_kernels(line, axes=1)["kernel"].ravel().tolist() == [0.5, 0.5]
    assert shared_kernels(line)["kernel"].ravel().tolist() == [0, 1]


def test_phases_of_sharing_by_hand():
    # Descent by 1 on the first kernel alone: 1 and 5 go to 0, -1 -> shared 2; then 1, 0 -> shared.
    gradient = jax.tree.map(jnp.zeros_like, network(0, 0))
    gradient["tiled"]["kernel"] = gradient["tiled"]["kernel"].at[0, 0].set(1)
    chain = optax.chain(optax.sgd(1.0), sharing_phases(2))
    found = after(chain, network(1, 5), [gradient] * 4)
    kernels = [each["tiled"]["kernel"].ravel().tolist() for each in found]
    assert kernels == [[0, 5], [2, 2], [1, 2], [1, 1]]
    assert [each["tiled"]["bias"].ravel().tolist() for each in found[:2]] == [[10, 50], [30, 30]]
    jax.tree.map(np.testing.assert_array_equal, found[-1]["dense"], network(0, 0)["dense"])


def test_adam_with_phases_is_adam_between_them():
    params = network(1, 5)
    gradients = [jax.tree.map(lambda leaf, n=n: leaf + n, params) for n in range(3)]
    plain = after(optax.adam(0.1), params, gradients)
    phases = after(adam_with_phases(0.1, every=3), params, gradients)
    for one, other in zip(plain[:2], phases[:2]):
        jax.tree.map(np.testing.assert_array_equal, one, other)
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-6),
        phases[2],
        shared_kernels(plain[2]),
    )
    path = "cnnjax.train.weight_sharing:"
    for name in ("adam_with_phases", "beta_lasso"):
        assert optimizer(TrainConfig(optimizer=path + name)).init(params) is not None


def test_beta_lasso_by_hand():
    params = {"w": jnp.array([1.0, -1.0, 0.3, 0.0, 0.0])}
    gradient = {"w": jnp.array([1.0, 0.0, 0.0, 0.0, -3.0])}
    # w - 0.1 (g + 0.5 sign w) is 0.85, -0.95, 0.25, 0, 0.3; below 0.6 * 0.5 = 0.3 it is 0.
    (found,) = after(beta_lasso(0.1, 0.5, 0.6), params, [gradient])
    np.testing.assert_allclose(found["w"], [0.85, -0.95, 0, 0, 0.3], atol=1e-6)
    assert float(found["w"][2]) == float(found["w"][3]) == 0
    # The lasso without a threshold; rates by a schedule of the updates so far.
    (found,) = after(beta_lasso(0.1, 0.5, 0.0), params, [gradient])
    np.testing.assert_allclose(found["w"], [0.85, -0.95, 0.25, 0, 0.3], atol=1e-6)
    zero = {"w": jnp.zeros(5)}
    first, second = after(beta_lasso(lambda step: 0.1 * step, 0.5, 0.0), params, [zero] * 2)
    np.testing.assert_allclose(first["w"], params["w"])
    np.testing.assert_allclose(second["w"], [0.95, -0.95, 0.25, 0, 0], atol=1e-6)


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="`every` must be at least 1, got 0"):
        sharing_phases(0)
    with pytest.raises(ValueError, match=r"`penalty` must be at least 0, got -1"):
        beta_lasso(0.1, -1, 1)
    with pytest.raises(ValueError, match=r"`threshold` must be at least 0, got -2"):
        beta_lasso(0.1, 1, -2)
    for transformation in (sharing_phases(1), beta_lasso(0.1)):
        params = {"kernel": jnp.zeros(1)}
        with pytest.raises(ValueError, match="`params` must be given"):
            transformation.update(params, transformation.init(params))

"""Measures take any function: trees of arrays, NumPy, flax.nnx modules; or say what they take."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from cnnjax.symmetry import (
    assert_equivariant,
    border_errors,
    classes_over_crops,
    classes_over_shifts,
    equivariance_error,
    equivariance_errors,
    equivariance_psnr,
    errors_over_shifts,
    invariant_generators,
    layer_lattices,
    lie_derivative,
    relative_error,
    translation,
    translation_lattice,
)

SHAPE = (2, 4, 4, 3)
X = np.random.default_rng(0).normal(size=SHAPE).astype(np.float32)
UNCHANGED = X.copy()
RAMP = np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)


def turned(x):
    return x[:, ::-1]


class Net(nnx.Module):
    """A network that counts its calls, and draws at random in training."""

    def __init__(self):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(3, 5, (3, 3), padding="CIRCULAR", rngs=rngs)
        self.dropout = nnx.Dropout(0.5, rngs=rngs)
        self.norm = nnx.BatchNorm(5, rngs=rngs)

    def __call__(self, x):
        return self.dropout(self.norm(self.conv(x)))[:, ::2]

    def logits(self, x):
        return self(x).mean((1, 2))


def in_place(x):
    """Halved in place, then every second column: of NumPy, and impossible to trace."""
    x[:] = x / 2
    return np.asarray(x)[:, :, ::2] if float(x[0, 0, 0, 0]) else x


def tree(x):
    return {"all": x, "some": (x[:, ::2], x.sum((1, 2)))}


def test_a_tree_commutes_where_each_of_its_arrays_does():
    assert translation_lattice(tree, SHAPE) == (2, 1)
    assert translation_lattice(lambda x: [tree(x), x[:, :, ::4]], SHAPE) == (2, 4)
    errors = errors_over_shifts(tree, X)
    assert errors["all"].shape == errors["some"][1].shape == (4, 4)
    assert errors["all"].max() == 0


def test_the_error_of_a_tree_is_over_all_its_entries():
    def both(x):
        return {"a": x, "b": 2 * x[:, :2]}

    found = equivariance_error(both, turned, lambda z: {"a": turned(z["a"]), "b": z["b"]}, X)
    x = np.asarray(X, np.float64)
    gap = 2 * x[:, ::-1][:, :2] - 2 * x[:, :2]
    size = np.sqrt((x**2).sum() + 4 * (x[:, :2] ** 2).sum())
    assert float(found) == pytest.approx(np.sqrt((gap**2).sum()) / size, rel=1e-5)
    (of_several,) = equivariance_errors(both, [turned], [lambda z: z], X)
    assert of_several > 0
    assert relative_error(both(X), both(X), both(X)) == 0


def test_functions_of_numpy_are_called():
    assert translation_lattice(in_place, SHAPE) == (1, 2)
    np.testing.assert_allclose(
        errors_over_shifts(lambda x: np.roll(x, 1, 1) ** 2 * RAMP, X),
        errors_over_shifts(lambda x: jnp.roll(x, 1, 1) ** 2 * RAMP, X),
        atol=1e-6,
    )
    assert equivariance_error(lambda x: np.roll(x, 1, 2), turned, turned, X) == 0
    assert layer_lattices([in_place, lambda x: np.asarray(x)[:, ::2]], SHAPE) == [(1, 2), (2, 1)]
    # Not changed by a function that works in place.
    np.testing.assert_array_equal(X, UNCHANGED)


def test_classes_of_numpy_functions_are_those_of_jax():
    weights = np.random.default_rng(0).normal(size=(48, 5)).astype(np.float32)

    def of_numpy(x):
        return np.asarray(x).reshape(len(x), -1)[:, :27] @ weights[:27]

    def of_jax(x):
        return x.reshape(len(x), -1)[:, :27] @ weights[:27]

    for classes, number in ((classes_over_shifts, 4), (classes_over_crops, 3)):
        found = classes(of_numpy, X, number)
        assert len(np.unique(found)) > 1
        np.testing.assert_array_equal(found, classes(of_jax, X, number))


def test_modules_of_nnx_are_called_with_the_state_that_they_have():
    net = Net()
    net.eval()
    assert translation_lattice(net, SHAPE) == (2, 1)
    assert classes_over_shifts(net.logits, X, 2).shape == (2, 2, 2)
    before = errors_over_shifts(net, X)
    shape = net.conv.kernel.shape
    net.conv.kernel[...] = jnp.asarray(np.random.default_rng(1).normal(size=shape), jnp.float32)
    after = errors_over_shifts(net, X)
    assert np.abs(before - after).max() > 1e-3  # nothing of the earlier state was kept
    net.train()
    with pytest.raises(ValueError, match=r"must be zero at the zero shift, .* is random"):
        translation_lattice(net, SHAPE)
    assert border_errors(net.conv, X, [(1, 0)]).shape == (1,)


def test_the_derivative_of_a_module_of_nnx():
    net = Net()
    with pytest.raises(ValueError, match=r"must not change its state .* `graph, state = nnx.split"):
        lie_derivative(net, X, translation(0))
    graph, state = nnx.split(net)
    f = lambda x: nnx.merge(graph, state, copy=True)(x)
    found = jax.eval_shape(lambda x: lie_derivative(f, x, translation(0)), X)
    assert found.shape == (2, 2, 4, 5)


def test_what_cannot_be_differentiated_is_told():
    for measure in (
        lambda: lie_derivative(lambda x: np.roll(x, 1, 1), X, translation(0)),
        lambda: invariant_generators(lambda x: np.roll(x, 1, 1), X.reshape(-1, 3)),
        lambda: invariant_generators(lambda x: x if x.sum() > 0 else -x, X.reshape(-1, 3)),
    ):
        with pytest.raises(ValueError, match=r"`f` must consist of jax operations to be differ"):
            measure()


@pytest.mark.parametrize(
    "measure",
    [
        lambda f: classes_over_shifts(f, X, 2),
        lambda f: classes_over_crops(f, X, 2),
        lambda f: lie_derivative(f, X, translation(0)),
        lambda f: border_errors(f, X, [(1, 0)]),
        lambda f: assert_equivariant(f, turned, lambda z: z, X),
        lambda f: equivariance_psnr(f, turned, lambda z: z, X),
        lambda f: equivariance_errors(f, [turned], [lambda z: z], X, "cosine"),
    ],
)
def test_measures_of_one_array_say_so(measure):
    with pytest.raises(ValueError, match=r"`f` must return one array, got dict: choose an array"):
        measure(lambda x: {"logits": x} if x.ndim else None)


@pytest.mark.parametrize(
    ("f", "said"),
    [
        (lambda x: x.sum(), r"`f` must be \[batch, channels\] or .* got shape \(\) for a batch of"),
        (lambda x: x[:1], r"got shape \(1, 4, 4, 3\) for a batch of 34"),
        (lambda x: "text", "must return an array or a tree of arrays, got 'text'"),
        (lambda x: None, "must return an array or a tree of arrays, got None"),
        (lambda x: np.asarray(x)[0, 0, 0, 0], r"got shape \(\)"),
    ],
)
def test_outputs_that_are_no_batch_are_refused(f, said):
    with pytest.raises(ValueError, match=said):
        translation_lattice(f, SHAPE)


def test_an_error_of_the_function_itself_is_its_own():
    def broken(x):
        return x + {}["missing"]

    with pytest.raises(KeyError, match="missing"):
        errors_over_shifts(broken, X)
    with pytest.raises(TypeError):
        errors_over_shifts(lambda x: x + "text", X)

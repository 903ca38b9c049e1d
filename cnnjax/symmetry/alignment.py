"""Linear equivalence of two representations: a map from one to the other, fitted and tested."""

import jax
import numpy as np
from sklearn.linear_model import Ridge
from sklearn.metrics import r2_score


def fit_linear_map(a: jax.Array, b: jax.Array, ridge: float = 0.0) -> Ridge:
    """Linear map from a to b with the least squared error, in float64.

        min over M, o of sum ||b - a M - o||^2 + ridge n ||M||^2,    n the number of rows

    A full map between vectors `[examples, features]`; between feature maps `[examples, *space,
    channels]` one 1 x 1 convolution for all positions, so that a geometric transformation has to be
    applied first: compare f(g x) with the map of g f(x), or of f(x) where there is no space.
    Returns an estimator of scikit-learn: M is `coef_.T`, o `intercept_`.
    Source: Lenc & Vedaldi, Understanding image representations by measuring their equivariance and
    equivalence, 2015, section 3.

    Args:
      a: `[examples, ..., in]`.
      b: `[examples, ..., out]`, with the same axes but the last.
      ridge: strength of regularisation, at least 0.

    Raises:
      ValueError: shapes that do not match, or a negative ridge.
    """
    if a.shape[:-1] != b.shape[:-1] or a.ndim < 2:
        raise ValueError(
            f"`a` and `b` must agree in all axes but the last, got {a.shape} and {b.shape}."
        )
    if ridge < 0:
        raise ValueError(f"`ridge` must be at least 0, got {ridge!r}.")
    rows = _rows(a)
    return Ridge(alpha=ridge * len(rows), solver="svd").fit(rows, _rows(b))


def linear_equivalence(
    a: jax.Array, b: jax.Array, *, train_share: float = 0.5, ridge: float = 1e-6
) -> float:
    """R^2, on held-out examples, of the best linear map from a to b; see `fit_linear_map`.

        1 - sum ||b - predicted b||^2 / sum ||b - mean b||^2

    1: b is a linear function of a; 0 or below: no better than the mean of b. Not symmetric: what a
    holds and b does not costs nothing. Fitted on the first `train_share` of the examples, tested on
    the others.
    Source: Lenc & Vedaldi, 2015, section 3 (there with the loss of a network on top).

    Raises:
      ValueError: as `fit_linear_map`, and a share that leaves no example on either side.
    """
    count = round(train_share * len(a))
    if not 0 < count < len(a):
        raise ValueError(
            f"`train_share` must leave an example to fit and one to test of {len(a)}, got "
            f"{train_share!r}."
        )
    predicted = fit_linear_map(a[:count], b[:count], ridge).predict(_rows(a[count:]))
    return r2_score(_rows(b[count:]), predicted, multioutput="variance_weighted")


def _rows(array: jax.Array) -> np.ndarray:
    return np.asarray(array, np.float64).reshape(-1, array.shape[-1])

"""Fits of Gabor functions to kernels: which filters of a first layer are edge or bar detectors."""

import itertools
from typing import NamedTuple

import jax
import numpy as np
from scipy.optimize import least_squares


class GaborFit(NamedTuple):
    """The parameters of `cnnjax.ops.gabor_kernel`, and how well it fits."""

    alpha: float
    beta_x: float
    beta_y: float
    frequency: float
    phase: float
    x0: float
    y0: float
    tau: float
    """Direction of the wave, in radians, from 0 to pi."""
    r_squared: float
    """Coefficient of determination: 1 for a Gabor function, low for noise."""


def fit_gabor(kernel: np.ndarray | jax.Array) -> GaborFit:
    """Least-squares fit of a Gabor function to a kernel `[height, width]`, from several starts.

        w(x, y) = alpha exp(-beta_x x'^2 - beta_y y'^2) cos(frequency x' + phase),  see
        cnnjax.ops.gabor_kernel

    With eight parameters any small kernel fits well: compare with the fit of noise of the same
    size.
    Source: Goodfellow, Bengio, Courville, Deep Learning, 2016, section 9.10.

    Raises:
      ValueError: a kernel that is not a matrix of at least 3 x 3.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim != 2 or min(kernel.shape) < 3:
        raise ValueError(f"`kernel` must be a matrix of at least 3 x 3, got shape {kernel.shape}.")
    height, width = kernel.shape
    y, x = np.meshgrid(
        np.arange(height) - (height - 1) / 2, np.arange(width) - (width - 1) / 2, indexing="ij"
    )

    def wave(parameters):
        beta_x, beta_y, frequency, x0, y0, tau = parameters
        along = (x - x0) * np.cos(tau) + (y - y0) * np.sin(tau)
        across = -(x - x0) * np.sin(tau) + (y - y0) * np.cos(tau)
        bell = np.exp(-beta_x * along**2 - beta_y * across**2)
        # alpha cos(f x' + phase) = a cos(f x') - b sin(f x'), which is linear in a and b.
        basis = np.stack([bell * np.cos(frequency * along), -bell * np.sin(frequency * along)], -1)
        flat = basis.reshape(-1, 2)
        weights = np.linalg.lstsq(flat, kernel.ravel(), rcond=None)[0]
        return flat @ weights - kernel.ravel(), weights

    size = min(height, width)
    low = [1e-4, 1e-4, 0.0, -width / 2, -height / 2, -np.pi]
    high = [2.0, 2.0, np.pi, width / 2, height / 2, 2 * np.pi]
    starts = itertools.product((2.0 / size**2,), (0.8, 1.6), np.arange(4) * np.pi / 4)
    fits = [
        least_squares(
            lambda parameters: wave(parameters)[0],
            [beta, beta, frequency, 0.0, 0.0, tau],
            bounds=(low, high),
            max_nfev=100,
        )
        for beta, frequency, tau in starts
    ]
    best = min(fits, key=lambda fit: fit.cost)
    beta_x, beta_y, frequency, x0, y0, tau = map(float, best.x)
    a, b = wave(best.x)[1]
    alpha, phase = float(np.hypot(a, b)), float(np.arctan2(b, a))
    if np.floor(tau / np.pi) % 2:
        # Rotated by 180 degrees, the wave runs backwards.
        phase = -phase
    total = ((kernel - kernel.mean()) ** 2).sum()
    r_squared = 1 - 2 * best.cost / total if total else 1.0
    return GaborFit(alpha, beta_x, beta_y, frequency, phase, x0, y0, tau % np.pi, float(r_squared))


def gabor_features(kernels: np.ndarray | jax.Array) -> list[GaborFit]:
    """Fits by `fit_gabor` of every filter of a kernel `[height, width, in, out]`, mean over inputs.

    Raises:
      ValueError: kernels of another rank.
    """
    if kernels.ndim != 4:
        raise ValueError(f"`kernels` must be [height, width, in, out], got shape {kernels.shape}.")
    means = np.moveaxis(np.asarray(kernels).mean(2), -1, 0)
    return [fit_gabor(kernel) for kernel in means]

"""Maximisation of a function within a ball, from many starting points at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["climb"]

Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Maps points, and the index of the climb of each point, to the values and the gradients at the points."""

ENOUGH = 1e-10
"""A climb has converged when its possible gain is below this fraction of its largest possible gain so far."""
STUCK = 1e-5
"""A climb is stuck at a kink when even a step of this length, in radii, goes down."""
FAR = 1e8
"""Length of the longest step, in radii. It ends on the sphere in the direction of the gradient, wherever it starts."""
SHRINKING = np.geomspace(0.3, 1e-5, 300)
"""Lengths of the steps that continue from a kink, in radii."""


def climb(function: Function, starts: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Maximise f over ||x|| <= radius.

    Where f is smooth, spectral projected gradients converge within about ten evaluations. Where f has kinks, as with
    relu, they stop at the first kink. Subgradient steps of shrinking length continue from there.

    Parameters
    ----------
    function : callable
        See ``Function``.
    starts : ndarray of shape (n_climbs, n_features)
        Points inside the ball.
    radius : float
        Radius of the ball.

    Returns
    -------
    x : ndarray of shape (n_climbs, n_features)
        The highest point of each climb.
    value : ndarray of shape (n_climbs,)
        f at these points.
    """
    x, value, left = _spectral_ascent(function, starts, radius)
    if len(left):
        x[left], value[left] = _subgradient_ascent(lambda x, climbs: function(x, left[climbs]), x[left], radius)
    return _stretched(function, x, value, radius)


def _spectral_ascent(
    function: Function, starts: np.ndarray, radius: float, max_iter: int = 1000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the final points, their values, and the indices of the climbs that have not converged.

    A step goes to P(x + t g), where P projects into the ball. It is taken if f rises enough. The next t is then that of
    Barzilai and Borwein, and otherwise a quarter of the last t. The first step from the centre ends at
    radius * g / ||g||. Linear functions, and increasing functions of them, are highest there.

    Birgin, Martinez and Raydan (2000), "Nonmonotone Spectral Projected Gradient Methods on Convex
    Sets", https://doi.org/10.1137/S1052623497330963
    """
    x, on = starts.copy(), np.arange(len(starts))
    value, gradient = function(x, on)
    length = np.full(len(x), 2 * radius)  # t ||g||
    promised, stuck = np.zeros(len(x)), np.zeros(len(x), dtype=bool)
    for _ in range(max_iter):
        gap = radius * _norms(gradient[on]) - _dots(x[on], gradient[on])
        promised[on] = np.maximum(promised[on], gap)
        on = on[(gap > ENOUGH * promised[on]) & ~stuck[on]]
        if len(on) == 0:
            break
        reached = _into_ball(x[on] + length[on, None] * _unit(gradient[on]), radius)
        new_value, new_gradient = function(reached, on)
        move = reached - x[on]
        rises = new_value >= value[on] + 1e-4 * _dots(move, gradient[on])
        up, down = on[rises], on[~rises]
        stuck[down] = length[down] < STUCK * radius
        length[down] /= 4
        length[up] = _next_length(length[up], move[rises], gradient[up], new_gradient[rises], FAR * radius)
        x[up], value[up], gradient[up] = reached[rises], new_value[rises], new_gradient[rises]
    return x, value, np.union1d(on, np.flatnonzero(stuck))


def _next_length(last: np.ndarray, move: np.ndarray, old: np.ndarray, new: np.ndarray, most: float) -> np.ndarray:
    """Length t ||g|| of the next step, with t = ||s||^2 / <s, g - g_new> for the move s.

    It is four times the last length if the gradient did not fall along s.
    """
    fall = _dots(move, old - new)
    curved = fall > 0
    spectral = _dots(move, move) / np.where(curved, fall, 1.0) * _norms(new)
    return np.clip(np.where(curved, spectral, 4 * last), 0.0, most)


def _subgradient_ascent(function: Function, x: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Take steps along the gradient, of lengths that shrink in any case, and return the highest points."""
    climbs = np.arange(len(x))
    value, gradient = function(x, climbs)
    best, highest = x.copy(), value.copy()
    for length in SHRINKING:
        x = _into_ball(x + length * radius * _unit(gradient), radius)
        value, gradient = function(x, climbs)
        higher = value > highest
        best[higher], highest[higher] = x[higher], value[higher]
    return best, highest


def _stretched(function: Function, x: np.ndarray, value: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Move points to the sphere if that does not lower f, as for a function that saturates on the way."""
    far = radius * _unit(x)
    farther, _ = function(far, np.arange(len(x)))
    keeps = farther >= value
    return np.where(keeps[:, None], far, x), np.where(keeps, farther, value)


def _into_ball(x: np.ndarray, radius: float) -> np.ndarray:
    """The nearest points inside the ball."""
    return x * (radius / np.maximum(_norms(x), radius))[:, None]


def _unit(x: np.ndarray) -> np.ndarray:
    """Rows scaled to length one. Zero stays zero."""
    return x / np.maximum(_norms(x), np.finfo(float).tiny)[:, None]


def _norms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(_dots(x, x))


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", x, y)

"""The highest point of a function within a ball, from many starts at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

__all__ = ["climb"]

Function = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Values and gradients at points, given the points and the numbers of the climbs they belong to."""

ENOUGH = 1e-10
"""A climb has arrived when its gradient promises less than this fraction of the most it ever did."""
STUCK = 1e-5
"""It is stuck, at a kink, when a step of this many radii still goes down."""
FAR = 1e8
"""Radii of the longest step, which ends where the gradient points to, wherever it began."""
SHRINKING = np.geomspace(0.3, 1e-5, 300)
"""Radii of the steps that go on from a kink."""


def climb(function: Function, starts: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Maximise f over ||x|| <= radius.

    Where f is smooth, spectral projected gradients converge within some ten evaluations. Where it
    has kinks, as with relu, they stick to the first one, and steps that shrink go on from there.

    Parameters
    ----------
    function : callable
        See ``Function``.
    starts : ndarray of shape (n_climbs, n_features)
        Points inside of the ball.
    radius : float

    Returns
    -------
    x : ndarray of shape (n_climbs, n_features)
    value : ndarray of shape (n_climbs,)
    """
    x, value, left = _spectral_ascent(function, starts, radius)
    if len(left):
        x[left], value[left] = _subgradient_ascent(lambda x, climbs: function(x, left[climbs]), x[left], radius)
    return _stretched(function, x, value, radius)


def _spectral_ascent(
    function: Function, starts: np.ndarray, radius: float, max_iter: int = 1000
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return ends, their values, and the numbers of the climbs that have not arrived.

    A step goes to P(x + t g), where P brings back into the ball. It is taken if it rises enough; the
    next t is then Barzilai and Borwein's, and a quarter of the last otherwise. The first step from
    the centre ends at radius * g / ||g||, where linear functions, and increasing functions of them,
    are highest.

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
    """Find t ||g|| of t = ||s||^2 / <s, g - g_new>, or four times the last if g did not fall along the move s."""
    fall = _dots(move, old - new)
    curved = fall > 0
    spectral = _dots(move, move) / np.where(curved, fall, 1.0) * _norms(new)
    return np.clip(np.where(curved, spectral, 4 * last), 0.0, most)


def _subgradient_ascent(function: Function, x: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """Steps along the gradient whose lengths shrink whatever the function does; the highest point counts."""
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
    """The same at full length where that costs nothing, as of a function that saturates on the way."""
    far = radius * _unit(x)
    farther, _ = function(far, np.arange(len(x)))
    keeps = farther >= value
    return np.where(keeps[:, None], far, x), np.where(keeps, farther, value)


def _into_ball(x: np.ndarray, radius: float) -> np.ndarray:
    """Nearest points that are no farther from the centre than the radius."""
    return x * (radius / np.maximum(_norms(x), radius))[:, None]


def _unit(x: np.ndarray) -> np.ndarray:
    """Rows at length one; zero stays zero."""
    return x / np.maximum(_norms(x), np.finfo(float).tiny)[:, None]


def _norms(x: np.ndarray) -> np.ndarray:
    return np.sqrt(_dots(x, x))


def _dots(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("ij,ij->i", x, y)

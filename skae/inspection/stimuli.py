"""Inputs that activate a unit of the code most: the best input of a given norm, and the best rows of X."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any, Literal

import numpy as np
from sklearn.decomposition import PCA, IncrementalPCA, TruncatedSVD
from sklearn.neural_network import BernoulliRBM
from sklearn.utils import check_random_state

from ..base.derivatives import UnitDrive, first_layer_weights
from ._ascent import climb

__all__ = ["check_units", "optimal_stimulus", "top_stimuli"]

INCREASING = (PCA, IncrementalPCA, TruncatedSVD, BernoulliRBM)
"""Estimators whose units are increasing functions of w'x, for the weights w of a component, and highest along w."""
CLIMBS = 2**22
"""Number of values of the widest layer that are in memory at a time."""
TIE = 1e-12
"""Relative difference below which activations count as equal. Of equal climbs, the first is returned."""


def optimal_stimulus(
    estimator: Any,
    unit: int | Sequence[int] | None,
    norm: float | Literal["auto"] = "auto",
    *,
    n_starts: int = 8,
    random_state: Any = None,
) -> np.ndarray:
    """Deviation from the mean, of bounded norm, that activates a unit of the code most.

    It is the d that maximises h_j(mean_ + d) over ||d|| <= norm, in units of X. The result is d, not mean_ + d. So its
    picture is a filter: bright pixels raise the activation when they increase, dark pixels when they decrease.

    For a single layer with an increasing activation function, d is norm * w_j / ||w_j||. For a deep encoder, d depends
    on the norm. With a small norm it has the direction of the gradient at the mean. Units that are inactive at the
    mean, as in sparse codes, need a norm as large as the distance of the training rows from the mean. This is the
    default.

    The stimulus is not restricted to the range of X, such as [0, 1]. The result is the highest of ``n_starts`` local
    maxima. For a deep encoder it need not be the global maximum.

    Parameters
    ----------
    estimator : object
        A fitted estimator of this package. PCA, IncrementalPCA, TruncatedSVD and BernoulliRBM work too, by their known
        solutions.
    unit : int, sequence of int or None
        Components of the code. Several are computed at the same time. None stands for all.
    norm : float or "auto", default="auto"
        Largest Euclidean norm of d, in units of X. "auto" is the distance of a typical training row from the mean:
        scale_ * sqrt(n_features), or sqrt(sum(mean_)) for numbers from 0 to 1 and for counts, which are not centred.
        For PCA and its like, where d has the same direction at every norm, it is 1.
    n_starts : int, default=8
        Number of starting points of the gradient ascent. They are the mean, the direction in which the decoder moves
        when the unit rises, and random directions, which are the same for all units.
    random_state : int, RandomState instance or None, default=None
        Seed of the random directions. Global random generators are not used.

    Returns
    -------
    d : ndarray of shape (n_features,) for an int, else (n_units, n_features)
        Zero if no input within the norm activates the unit more than the mean does.

    Raises
    ------
    TypeError
        If the code of the estimator has no derivative.
    ValueError
        If a unit does not exist, or if ``norm`` or ``n_starts`` is not positive.

    References
    ----------
    Ng (2011), "Sparse autoencoder", CS294A lecture notes,
    https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf

    Erhan, Bengio, Courville and Vincent (2009), "Visualizing Higher-Layer Features of a Deep
    Network", technical report 1341, University of Montreal.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.inspection import optimal_stimulus
    >>> X = load_digits().data
    >>> autoencoder = Autoencoder(4, hidden_layer_sizes=(32,), max_iter=5, random_state=0).fit(X)
    >>> d = optimal_stimulus(autoencoder, 0, norm=20.0, random_state=0)
    >>> h_mean, h_most = autoencoder.transform([autoencoder.mean_, autoencoder.mean_ + d])[:, 0]
    >>> bool(h_most > h_mean), round(float(np.linalg.norm(d)), 6)
    (True, 20.0)
    """
    automatic = isinstance(norm, str) and norm == "auto"
    if not automatic and (not isinstance(norm, Real) or not 0 < norm < np.inf):
        raise ValueError(f'norm={norm!r} must be a positive number, in units of X, or "auto".')
    if not isinstance(n_starts, Integral) or n_starts < 1:
        raise ValueError(f"n_starts={n_starts!r} must be a whole number of at least 1.")
    if isinstance(estimator, INCREASING):
        weights = first_layer_weights(estimator)
        units = check_units(unit, len(weights))
        d = _onto_sphere(weights[units], 1.0 if automatic else float(norm))
    else:
        drive = UnitDrive(estimator)
        units = check_units(unit, drive.n_units)
        radius = drive.reach if automatic else float(norm)
        d = _climb_all(drive, units, radius, n_starts, _generator(random_state))
    return d[0] if isinstance(unit, Integral) else d


def top_stimuli(estimator: Any, X: Any, unit: int | Sequence[int] | None, k: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Rows of X that activate a unit of the code most.

    Parameters
    ----------
    estimator : object
        A fitted transformer. PCA and pipelines work too.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Rows that the estimator can transform.
    unit : int, sequence of int or None
        Columns of the code. None stands for all.
    k : int, default=10
        Number of rows to find.

    Returns
    -------
    rows : ndarray of shape (k,) for an int, else (n_units, k)
        Row numbers in descending order of activation. Of equal rows, the earlier comes first.
    activations : ndarray of the same shape
        Activations of the unit in these rows.

    Raises
    ------
    TypeError
        If the estimator has no ``transform``.
    ValueError
        If a unit does not exist, or if X has fewer than k rows.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from skae.inspection import top_stimuli
    >>> X = load_digits().data
    >>> rows, activations = top_stimuli(PCA(2).fit(X), X, unit=0, k=3)
    >>> rows.shape, bool(activations[0] >= activations[1] >= activations[2])
    ((3,), True)
    """
    if not hasattr(estimator, "transform"):
        raise TypeError(f"{type(estimator).__name__} has no transform: pass a transformer, such as PCA.")
    codes = estimator.transform(X)
    codes = codes.toarray() if hasattr(codes, "toarray") else np.asarray(codes)
    units = check_units(unit, codes.shape[1])
    if not isinstance(k, Integral) or not 1 <= k <= len(codes):
        raise ValueError(f"k={k!r} rows cannot be taken from {len(codes)}: pass a whole number from 1 to {len(codes)}.")
    driven = codes[:, units].T
    rows = np.argsort(-driven, axis=1, kind="stable")[:, :k]
    activations = np.take_along_axis(driven, rows, axis=1)
    return (rows[0], activations[0]) if isinstance(unit, Integral) else (rows, activations)


def check_units(unit: int | Sequence[int] | None, n_units: int) -> np.ndarray:
    """The indices of units as an array. None stands for all units."""
    if unit is None:
        return np.arange(n_units)
    units = np.atleast_1d(np.asarray(unit))
    if units.ndim != 1 or units.dtype.kind not in "iu" or not ((units >= 0) & (units < n_units)).all():
        raise ValueError(f"There is no unit {unit!r} among {n_units}: pass whole numbers from 0 to {n_units - 1}.")
    return units.astype(np.int64)


def _climb_all(
    drive: UnitDrive, units: np.ndarray, radius: float, n_starts: int, rng: np.random.Generator
) -> np.ndarray:
    """The highest point that each unit reaches from all starting points."""
    random = _onto_sphere(rng.standard_normal((max(0, n_starts - 2), drive.n_features)), radius)
    size = max(1, CLIMBS // (n_starts * drive.widest))
    parts = [units[first : first + size] for first in range(0, len(units), size)]
    starts = (_starts(drive, part, random, radius)[:, :n_starts] for part in parts)
    return np.concatenate([_highest(drive, part, start, radius) for part, start in zip(parts, starts, strict=True)])


def _starts(drive: UnitDrive, units: np.ndarray, random: np.ndarray, radius: float) -> np.ndarray:
    """Starting points of the climbs of each unit, of shape (n_units, n_starts, n_features)."""
    mean = np.zeros((len(units), 1, drive.n_features))
    atom = _onto_sphere(drive.atoms(units), radius)[:, None]
    shared = np.broadcast_to(random, (len(units), *random.shape))
    return np.concatenate([mean, atom, shared], axis=1)


def _highest(drive: UnitDrive, units: np.ndarray, starts: np.ndarray, radius: float) -> np.ndarray:
    n_units, n_starts, n_features = starts.shape
    climbing = np.repeat(units, n_starts)
    d, activation = climb(lambda d, climbs: drive(d, climbing[climbs]), starts.reshape(-1, n_features), radius)
    activation = activation.reshape(n_units, n_starts)
    highest = activation.max(axis=1, keepdims=True)
    first = (activation >= highest - TIE * np.abs(highest)).argmax(axis=1)
    return d.reshape(starts.shape)[np.arange(n_units), first]


def _onto_sphere(x: np.ndarray, radius: float) -> np.ndarray:
    """Scale the rows of x to the length ``radius``. Zero stays zero."""
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return radius * np.divide(x, norms, out=np.zeros_like(x), where=norms > 0)


def _generator(random_state: Any) -> np.random.Generator:
    """A random generator of our own. numpy's global generator is not used."""
    seed = None if random_state is None else check_random_state(random_state).randint(2**31 - 1)
    return np.random.default_rng(seed)

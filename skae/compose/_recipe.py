"""How missing entries are filled by default: a Gaussian, and networks that improve its guess as far as they can."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice

import numpy as np

from ._factors import Factors, em_of_factors
from ._gaussian import Gaussian, em
from ._refinement import Refinement

__all__ = ["Recipe"]

FACTORS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)
"""How far the covariance may be shrunk to its diagonal."""
USUAL_FACTOR = 0.1
"""How far it is shrunk if too few entries are held out to tell."""
HELD_OUT = 0.15
"""Fraction of the observed entries on which the shrinkage and the trust in the networks are chosen."""
FEWEST = 20
"""Held-out entries from which on something can be chosen by them."""
DOUBT = 1.0
"""Standard errors by which the gain of the networks must exceed zero."""
PATIENCE = 5
"""Iterations of EM without a smaller error of the held-out entries after which it ends."""
RATES = 0.1, 0.5
"""Fraction of the entries of a row that are hidden from the networks in training: it is drawn between these."""
MOST_COLUMNS = 150
"""Number of columns above which the covariance has factors."""
N_FACTORS = 32
MOST_ROWS = 5000
"""Rows to which a Gaussian is fitted, drawn from the others."""
POOL = 12_800
"""Rows with hidden entries that are made for the networks, if X has fewer. They see them several times."""
MOST_ENTRIES = 2**23
"""Largest number of entries of all these rows."""
STEPS = 600, 2400
"""Fewest and most steps of training."""
ROWS_A_STEP = 16
"""Rows of X that are worth a step."""
BATCH = 128


class Recipe:
    """f + a (net - f): a Gaussian's guess f, what networks make of it, and how far a in [0, 1] they are trusted.

    1. Some observed entries are held out. A Gaussian is fitted to the others by EM, which ends where the squared error
       of the held-out entries is least. Where rows are few and columns many, that is long before it settles. The
       covariance is then shrunk to its diagonal by the factor with the least of these errors.
    2. Copies of the rows get more entries hidden. f is the conditional mean of the hidden and the missing entries. The
       networks learn the entries that were hidden.
    3. a minimises the squared error of the held-out entries. It is made smaller if these are few, and 0 if they do not
       tell that the networks help. Then the Gaussian alone fills the gaps.

    The Gaussian is then fitted to all observed entries, in as many iterations.

    Parameters
    ----------
    max_iter : int or "auto"
        Number of epochs: how often the networks see each row, with other entries hidden.
    """

    gaussian: Gaussian | Factors
    shrinkage: float
    networks: Refinement | None = None
    trust: float = 0.0
    n_epochs: int = 1

    def __init__(self, max_iter: int | str) -> None:
        self.max_iter = max_iter

    def fit(self, x: np.ndarray, known: np.ndarray, rng: np.random.RandomState) -> Recipe:
        """Fit to rows with columns of mean 0 and variance 1, whose missing entries hold zeros.

        Parameters
        ----------
        x : ndarray of shape (n, d)
        known : ndarray of shape (n, d), bool
        rng : RandomState

        Returns
        -------
        self : Recipe
        """
        held = np.logical_and(known, rng.random_sample(known.shape) < HELD_OUT)
        held = np.logical_and(held, np.any(known & ~held, axis=1, keepdims=True))
        seen = np.logical_and(known, ~held)
        few = rng.permutation(len(x))[:MOST_ROWS]
        enough = int(held[few].sum()) >= FEWEST and x.shape[1] > 1
        if not enough:
            self.shrinkage = USUAL_FACTOR
            self.gaussian = _last(_em(x[few], known[few])).shrunk(self.shrinkage)
            return self
        first, n_iter = _best(_em(x[few], seen[few]), x[few], seen[few], held[few])
        errors = [_error(first.shrunk(s), x[few], seen[few], held[few]) for s in FACTORS]
        self.shrinkage = FACTORS[int(np.argmin(errors))]
        self._learn(first.shrunk(self.shrinkage), x, seen, held, rng)
        self.gaussian = _last(islice(_em(x[few], known[few]), n_iter)).shrunk(self.shrinkage)
        return self

    def _learn(
        self, guess: Gaussian | Factors, x: np.ndarray, seen: np.ndarray, held: np.ndarray, rng: np.random.RandomState
    ) -> None:
        """Train the networks on the entries that are seen, and measure on held-out ones how far to trust them."""
        n, d = x.shape
        self.n_epochs = _epochs(n) if self.max_iter == "auto" else int(self.max_iter)
        most = max(1, MOST_ENTRIES // d)
        size = min(most, max(POOL, n), n * self.n_epochs)
        rows = np.concatenate([rng.permutation(n) for _ in range(math.ceil(size / n))])[:size]
        there = seen[rows]
        hidden = there & (rng.random_sample(there.shape) < rng.uniform(*RATES, size=(size, 1)))
        f = guess.complete(x[rows], there & ~hidden)
        networks = Refinement(
            batch_size=BATCH,
            max_iter=max(1, round(self.n_epochs * n / size)),
            random_state=int(rng.randint(2**31 - 1)),
        ).set_output(transform="default")
        networks.fit(np.hstack([f, there & ~hidden]), np.hstack([np.where(hidden, x[rows], 0.0), hidden]))
        networks._optimizer.moments = {}  # they are trained only once, and files of imputers need not hold these
        judged = rng.permutation(n)[:most]
        f = guess.complete(x[judged], seen[judged])
        step = (networks.transform(np.hstack([f, seen[judged]])) - f)[held[judged]]
        self.trust = _trust(step, (x[judged] - f)[held[judged]])
        self.networks = networks if self.trust else None

    def complete(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        """The rows with their missing entries filled. A row with nothing observed gets the mean of the Gaussian."""
        f = self.gaussian.complete(x, known)
        if self.networks is None:
            return f
        net = self.networks.transform(np.hstack([f, known]))
        return np.where(known | ~known.any(1, keepdims=True), f, f + self.trust * (net - f))

    def draw(self, x: np.ndarray, known: np.ndarray, rng: np.random.RandomState) -> np.ndarray:
        """The same plus draws from N(0, Cov[x_m | x_o]) of the Gaussian."""
        return self.complete(x, known) + self.gaussian.noise(known, rng)


def _em(x: np.ndarray, known: np.ndarray) -> Iterator[Gaussian | Factors]:
    """A Gaussian after each iteration of EM, with factors if there are many columns."""
    return em(x, known) if x.shape[1] <= MOST_COLUMNS else em_of_factors(x, known, n_factors=N_FACTORS)


def _last(path: Iterator[Gaussian | Factors]) -> Gaussian | Factors:
    *_, found = path
    return found


def _best(
    path: Iterator[Gaussian | Factors], x: np.ndarray, seen: np.ndarray, held: np.ndarray
) -> tuple[Gaussian | Factors, int]:
    """The Gaussian with the least squared error of held-out entries, and after how many iterations that was."""
    best, least, n_best = None, math.inf, 0
    for n_iter, gaussian in enumerate(path, 1):
        error = _error(gaussian, x, seen, held)
        if error < least:
            best, least, n_best = gaussian, error, n_iter
        elif n_iter - n_best >= PATIENCE:
            break
    assert best is not None
    return best, n_best


def _error(gaussian: Gaussian | Factors, x: np.ndarray, seen: np.ndarray, held: np.ndarray) -> float:
    """Mean squared error of held-out entries."""
    return float(np.square((gaussian.complete(x, seen) - x)[held]).mean())


def _trust(step: np.ndarray, error: np.ndarray) -> float:
    """The a in [0, 1] with the least squared error of f + a step, made smaller if few entries tell of it.

    It is (sum of step error - DOUBT times its standard error) / sum of step^2, where error is what f lacks.
    """
    gain = step * error
    certain = gain.sum() - DOUBT * gain.std() * math.sqrt(len(gain))
    return float(np.clip(certain / max(float(step @ step), 1e-12), 0.0, 1.0))


def _epochs(n: int) -> int:
    """How often the networks see each of n rows."""
    n_steps = min(max(STEPS[0], n // ROWS_A_STEP), STEPS[1])
    return math.ceil(n_steps * BATCH / n)

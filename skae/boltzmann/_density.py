"""Density: what a fitted restricted Boltzmann machine can be asked, its partition function among it."""

from __future__ import annotations

import math
from numbers import Integral
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base.transformer import GenerativeTransformer
from ..energy.annealing import (
    Anneal,
    Estimate,
    annealed_importance,
    exact_log_partition,
    has_exact_log_partition,
    reverse_annealed_importance,
)
from ..energy.harmonium import Harmonium
from ..energy.units import Counts

__all__ = ["Density"]

N_CHAINS, N_BETAS = 100, 1000
"""Chains and temperatures of ``log_partition_``, where it is estimated."""
N_LENGTHS = 9
"""Lengths of rows for which the partition function of counts is found; between them it is interpolated."""


class Density(GenerativeTransformer):
    """Likelihood, partition function and samples of a machine that was fitted."""

    # ---------------------------------------------------------------- parameters by scikit-learn's names

    @property
    def components_(self) -> np.ndarray:
        """Weights W, of shape (n_components, n_features)."""
        return self._parameter("weight")

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """Biases b of the hidden units, of shape (n_components,)."""
        return self._parameter("hidden_bias")

    @property
    def intercept_visible_(self) -> np.ndarray:
        """Biases a of the visible units, of shape (n_features,)."""
        return self._parameter("visible_bias")

    def _parameter(self, name: str) -> np.ndarray:
        check_is_fitted(self)
        values: np.ndarray = getattr(self._machine(), name).detach().cpu().numpy().copy()
        return values

    def _machine(self) -> Harmonium:
        """The machine of which this is the density."""
        module: Any = self._ready_module()
        return module

    # ---------------------------------------------------------------- density

    def free_energy(self, X: Any) -> np.ndarray:
        """F(v) = -log sum_h exp(-E(v, h)) of each row, in nats: log p(v) up to its sign and log Z.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        F : ndarray of shape (n_samples,)
            Lower for likelier rows. Of gaussian visible units it is that of the density on the scale
            that the machine sees.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        machine = self._machine()
        parts = ((part, -machine.log_density(x)[:, None]) for part, x in self._finite_chunks(X))
        F: np.ndarray = self._collect(parts, X.shape[0], None)[:, 0]
        return F

    def _log_likelihood(self, x: Tensor) -> Tensor:
        machine = self._machine()
        log_z = self._log_partitions(machine, machine.visible.total(x))
        return machine.log_density(x) - log_z - x.shape[1] * math.log(self.scale_)

    @property
    def log_partition_(self) -> float:
        """Logarithm of Z, in nats; of counts for a row of mean length.

        Exact if one layer has at most 20 binary units (or as many states), or if both are gaussian, else
        an estimate by annealed importance sampling from the data's means (Salakhutdinov and Murray,
        2008), with the standard error ``log_partition_error_``. Computed when it is first asked for.
        """
        check_is_fitted(self)
        return self._partition(self._typical_length(self._machine())).value

    @property
    def log_partition_error_(self) -> float:
        """Standard error of ``log_partition_``; 0 where it is exact."""
        check_is_fitted(self)
        return self._partition(self._typical_length(self._machine())).error

    def log_partition_bounds(
        self, n_chains: int = N_CHAINS, n_betas: int = N_BETAS, n_steps: int = 1000, random_state: Any = None
    ) -> tuple[Estimate, Estimate]:
        """Bracket log Z between annealing from the base and annealing back to it.

        The first is on average below log Z. The second is above it as far as its chains start at the
        model's law: they go on from the chains of the training for ``n_steps`` (Burda, Grosse and
        Salakhutdinov, 2015). A gap between them says that neither should be trusted.

        Parameters
        ----------
        n_chains : int, default=100
        n_betas : int, default=1000
            Temperatures.
        n_steps : int, default=1000
            Gibbs steps before annealing back.
        random_state : int, RandomState instance or None, default=None
            Seed; None is the estimator's.

        Returns
        -------
        lower, upper : Estimate
            Each with ``value`` and its standard error, ``error``.
        """
        check_is_fitted(self)
        _require_positive(n_chains=n_chains, n_betas=n_betas, n_steps=n_steps)
        machine, rng = self._machine(), self._noise(random_state)
        path = Anneal(machine, self._typical_length(machine))
        betas = torch.linspace(0.0, 1.0, n_betas + 1, dtype=torch.float64)
        lower = annealed_importance(path, betas, n_chains, rng)
        with torch.no_grad():
            s = machine.gibbs(self._starts(machine, n_chains, rng), n_steps, rng)
        return lower, reverse_annealed_importance(path, betas, s, rng)

    def _typical_length(self, machine: Harmonium) -> float | None:
        """Draws of a row of counts of mean length."""
        return self._mean_length() if isinstance(machine.visible, Counts) else None

    def _mean_length(self) -> float:
        return float(round(self.mean_.clip(0).sum()))

    def _typical_total(self, machine: Harmonium, like: Tensor) -> Tensor | None:
        """Draws of rows of counts of mean length, as many as there are rows in a tensor."""
        length = self._typical_length(machine)
        return None if length is None else like.new_full((len(like),), length)

    def _partition(self, length: float | None) -> Estimate:
        """Of log Z, for rows of so many draws; found once."""
        key = -1.0 if length is None else length
        if key not in self._partitions:
            self._partitions[key] = self._find_partition(self._machine(), length)
        return self._partitions[key]

    def _find_partition(self, machine: Harmonium, length: float | None) -> Estimate:
        if has_exact_log_partition(machine):
            return Estimate(exact_log_partition(machine, length), 0.0)
        betas = torch.linspace(0.0, 1.0, N_BETAS + 1, dtype=torch.float64)
        return annealed_importance(Anneal(machine, length), betas, N_CHAINS, self._noise())

    def _log_partitions(self, machine: Harmonium, total: Tensor | None) -> Tensor | float:
        """Log Z of each row, which for counts depends on its length."""
        if total is None:
            return self._partition(None).value
        lengths, row = torch.unique(total, return_inverse=True)
        values = [self._partition_of_length(length) for length in lengths.tolist()]
        return torch.tensor(values, dtype=total.dtype, device=total.device)[row]

    def _partition_of_length(self, length: float) -> float:
        """Log Z, a smooth and convex function of the length, interpolated over the lengths of the training rows."""
        low, high = self._lengths
        few = high - low < N_LENGTHS and length == round(length)
        if few or low == high or not low <= length <= high:
            return self._partition(length).value
        nodes = np.unique(np.polynomial.chebyshev.chebpts2(N_LENGTHS) * (high - low) / 2 + (high + low) / 2)
        values = [self._partition(float(node)).value for node in nodes]
        fitted = np.polynomial.Chebyshev.fit(nodes, values, len(nodes) - 1, domain=[low, high])
        return float(fitted(length))

    # ---------------------------------------------------------------- samples

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None) -> np.ndarray:
        """Draw rows from the model by Gibbs sampling.

        The chains go on from where those of the training ended.

        Parameters
        ----------
        n_samples : int, default=1
            Chains; the rows are their last states.
        n_steps : int, default=1000
            Steps of each.
        random_state : int, RandomState instance or None, default=None
            Seed; None is the estimator's.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If a number is below 1.
        """
        check_is_fitted(self)
        _require_positive(n_samples=n_samples, n_steps=n_steps)
        machine, rng = self._machine(), self._noise(random_state)
        with torch.no_grad():
            s = machine.gibbs(self._starts(machine, n_samples, rng), n_steps, rng)
            return self._to_x(machine.unembed(s)).cpu().numpy()

    def gibbs(self, X: Any, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Run the chain that draws hidden and visible units in turn, from the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        n_steps : int, default=1
        random_state : int, RandomState instance or None, default=None
            Seed; None is the estimator's.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The states after so many steps.

        Raises
        ------
        ValueError
            If ``n_steps`` is below 1, or X is not what ``transform`` takes.
        """
        check_is_fitted(self)
        _require_positive(n_steps=n_steps)
        X = self._check_x(X, reset=False, look_through=False)
        rng = self._noise(random_state)
        walks = ((part, self._to_x(self._walked(x, n_steps, rng))) for part, x in self._finite_chunks(X))
        states: np.ndarray = self._collect(walks, X.shape[0], None)
        return states

    def _walked(self, x: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
        """Rows, as the module sees them, after so many steps from the rows x."""
        machine = self._machine()
        return machine.unembed(machine.gibbs(machine.embed(x), n_steps, rng))

    def _starts(self, machine: Harmonium, n: int, rng: torch.Generator) -> Tensor:
        """States of the visible units at which chains of the model go on."""
        raise NotImplementedError


def _require_positive(**numbers: int) -> None:
    wrong = [f"{name}={number!r}" for name, number in numbers.items() if not isinstance(number, Integral) or number < 1]
    if wrong:
        raise ValueError(f"{' and '.join(wrong)} must be a whole number of at least 1.")

"""DeepDensity: bound of the likelihood, and samples, of directed layers under a restricted Boltzmann machine."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..energy.belief import Belief
from ..engine.data import Table
from ._density import _require_positive
from ._label_units import LabelUnits

__all__ = ["DeepDensity"]

N_DRAWS = 32
"""Draws from q for the bound of a row."""


class DeepDensity(LabelUnits):
    """What a fitted deep belief network can be asked."""

    def _conclude(self, data: Table) -> None:
        self._partitions = {}
        self._seed = int(torch.randint(2**62, (), generator=self._rng))

    def free_energy(self, X: Any) -> np.ndarray:
        """Variational free energy of each row, in nats: -log p(x) - log Z at least.

        It is minus ``score_samples`` but for log Z, which is that of the machine at the top, and for
        the scale of gaussian visible units, and needs no log Z.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        F : ndarray of shape (n_samples,)
            Lower for likelier rows.
        """
        check_is_fitted(self)
        X = self._check_x(X, reset=False, look_through=False)
        module: Any = self._ready_module()
        noise = self._quantiles()
        parts = ((part, -module.bound(x, noise)[:, None]) for part, x in self._finite_chunks(X))
        F: np.ndarray = self._collect(parts, X.shape[0], None)[:, 0]
        return F

    def score_samples(self, X: Any) -> np.ndarray:
        """Variational lower bound of log p(x) of each row, in nats; without hidden layers log p(x) itself.

        It is E[log p(x | h_1) + ... - F(h_(n-1)) - log Z] + H, with the expectation over states drawn
        upwards, H their entropy, F the free energy of the top and Z its partition function
        (Salakhutdinov and Murray, 2008). 32 draws estimate it, the same ones in every call, so that a
        row's score depends on that row alone. A label at the top is summed out.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,)
            The lowest rows are the strangest.
        """
        return super().score_samples(X)

    def _log_likelihood(self, x: Tensor) -> Tensor:
        module: Any = self._ready_module()
        total = self._machine().visible.total(x)
        log_z = self._log_partitions(self._machine(), total)
        bound: Tensor = module.bound(x, self._quantiles())
        return bound - log_z - x.shape[1] * math.log(self.scale_)

    def _quantiles(self) -> list[Tensor]:
        """Numbers in (0, 1) for the draws from q, spread evenly (McKay, Beckman and Conover, 1979)."""
        rng = torch.Generator().manual_seed(self._seed)
        found = []
        for width in self._spec["hidden_layer_sizes"]:
            order = torch.rand((N_DRAWS, width), generator=rng).argsort(0)
            u = (order + torch.rand((N_DRAWS, width), generator=rng)) / N_DRAWS
            found.append(u.clamp(1e-6, 1 - 1e-6).to(self._flat.theta))
        return found

    def _totals(self, x: Tensor) -> Tensor:
        """Draws of rows of mean length, which only counts look at."""
        return x.new_full((len(x),), self._mean_length())

    # ---------------------------------------------------------------- samples

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model: by Gibbs sampling at the top, and downwards from there.

        The chains go on from where those of the training ended.

        Parameters
        ----------
        n_samples : int, default=1
            Chains; the rows come from their last states.
        n_steps : int, default=1000
            Steps of each.
        random_state : int, RandomState instance or None, default=None
            Seed; None is the estimator's.
        y : label, array-like of shape (n_samples,), or None, default=None
            Class to draw from, if the network was fitted with ``labels=True``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If a number is below 1, or y is no class.
        """
        check_is_fitted(self)
        _require_positive(n_samples=n_samples, n_steps=n_steps)
        label = None if y is None else self._clamped(y, n_samples)
        machine, rng = self._machine(), self._noise(random_state)
        with torch.no_grad():
            s = self._walk(self._starts(machine, n_samples, rng), label, n_steps, rng)
            return self._to_x(self._dreamt(s, rng, self._totals(s))).cpu().numpy()

    def _walked(self, x: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
        """States are drawn upwards from the rows, the chain runs at the top, and states are drawn downwards."""
        module: Any = self._ready_module()
        s = self._walk(module.beside_guess(module.states_up(x, rng)[-1], rng), None, n_steps, rng)
        return self._dreamt(s, rng, self._lengths_of(module, x))

    def _walk(self, s: Tensor, label: Tensor | None, n_steps: int, rng: torch.Generator) -> Tensor:
        """Visible states of the top after so many steps, with the label held fast."""
        machine = self._machine()
        if label is None:
            return machine.gibbs(s, n_steps, rng)
        for _ in range(n_steps):
            s[:, -label.shape[1] :] = label
            s = machine.gibbs(s, 1, rng)
        return s

    def _dreamt(self, s: Tensor, rng: torch.Generator, total: Tensor | None) -> Tensor:
        """Rows, as the module sees them, drawn downwards from visible states of the top."""
        module: Any = self._ready_module()
        states: list[Tensor] = module.states_down(s, rng, total)
        return states[0]

    def _lengths_of(self, module: Belief, x: Tensor) -> Tensor | None:
        lowest: Any = module.stages[0].down if len(module.stages) else module.top
        total: Tensor | None = lowest.visible.total(x)
        return total

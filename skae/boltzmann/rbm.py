"""RBM: a restricted Boltzmann machine with visible and hidden units of several kinds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from .._data import Array, Batch, Source, Table, chunks
from .._optim import Terms
from .._params import Fraction, NonNegative, Positive, PositiveInt, Sizes, sizes_of
from ..annealing import Anneal, Estimate
from ..autoencoders import Autoencoder
from ..chains import CHAINS
from ..energy import Harmonium, Statistics
from ..functional import average, bernoulli_divergence
from ..pseudo_likelihood import cost_of_row, has_pseudo_likelihood, pseudo_log_likelihood
from ..units import Counts
from ._density import Density
from ._unroll import Level, unroll

__all__ = ["RBM"]

RATES = {
    ("bernoulli", "bernoulli"): 0.1,
    ("bernoulli", "gaussian"): 0.02,
    ("bernoulli", "relu"): 0.03,
    ("gaussian", "bernoulli"): 0.02,
    ("gaussian", "gaussian"): 0.01,
    ("gaussian", "relu"): 0.001,
    ("softmax", "bernoulli"): 0.02,
    ("softmax", "gaussian"): 0.01,
    ("softmax", "relu"): 0.003,
}
"""Learning rates by kinds of visible and hidden units; those of units without an upper end must be low."""
LEAST_DEVIATION = 0.1
"""Standard deviation, over that of all columns, below which a gaussian visible unit is not scaled up."""
OFFSET_RATE = 0.01
"""Rate at which the offsets follow the batches."""
EXAMINED = 2**23
"""Normalisers of hidden units that an epoch's end computes to tell the pseudo-likelihood."""


class RBM(Density):
    """Restricted Boltzmann machine: a density with a layer of hidden units."""

    n_components = 64
    visible: Literal["gaussian", "bernoulli", "softmax"] = "gaussian"
    hidden: Literal["bernoulli", "gaussian", "relu"] = "bernoulli"
    categories: Sizes | None = None
    learn_variances: bool = False
    algorithm: Literal["cd", "pcd", "pt"] = "pcd"
    n_gibbs: PositiveInt = 1
    n_chains: PositiveInt = 100
    n_temperatures: PositiveInt = 10
    centred: bool = True
    sparsity: NonNegative = 0.0
    sparsity_target: Fraction = 0.1
    weight_scale: Positive = 0.01
    solver: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate_init: Positive | Literal["auto"] = "auto"
    batch_size = 100
    max_iter = 50

    _Module: ClassVar[type[nn.Module]] = Harmonium
    _monitor: ClassVar[str | None] = None

    # ---------------------------------------------------------------- the machine

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_chains, n_components = int(self.n_chains), int(self.n_components)
        tempered = (int(self.n_temperatures), n_chains, n_features)
        return {
            "n_features": n_features,
            "n_components": n_components,
            "visible": self.visible,
            "hidden": self.hidden,
            "categories": self._groups(n_features),
            "learnt_scale": self.visible == "gaussian" and bool(self.learn_variances),
            "chain_shape": tempered if self.algorithm == "pt" else (n_chains, n_components),
        }

    def _groups(self, n_features: int) -> tuple[int, ...]:
        if self.visible != "softmax" or self.categories is None:
            return ()
        groups = sizes_of("categories", self.categories)
        if sum(groups) != n_features:
            raise ValueError(f"categories={groups} sum to {sum(groups)}, but X has {n_features} columns.")
        return groups

    def _standardizes(self) -> bool:
        return self.visible == "gaussian"

    def _check_x(self, X: Any, *, reset: bool, look_through: bool = True) -> Array:
        X = super()._check_x(X, reset=reset, look_through=look_through)
        if reset and self.visible != "gaussian":
            counts = self.visible == "softmax" and self.categories is None
            cure = "pass counts" if counts else "scale X with MinMaxScaler(clip=True)"
            self._warn_outside(X, np.inf if counts else 1.0, f"visible={self.visible!r}", f"{cure}, or use 'gaussian'")
        return X

    def _measure(self, X: Array, y: Any, weight: np.ndarray | None) -> None:
        super()._measure(X, y, weight)
        if self.algorithm == "pt" and self.visible == "softmax" and self.categories is None:
            raise ValueError("algorithm='pt' swaps rows of one length, and those of counts differ: use 'pcd' or 'cd'.")

    def _initialise(self, module: Harmonium, data: Table, rng: torch.Generator) -> None:
        mean = torch.from_numpy(np.zeros_like(self.mean_) if self._centred else self.mean_)
        deviation = _root_mean_squares(data, len(self.mean_)).clamp_min(LEAST_DEVIATION)
        module.initialise(mean.to(module.weight), deviation, float(self.weight_scale), rng)
        noise = torch.Generator(module.weight.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        with torch.no_grad():
            s = Anneal(module, self._typical_length(module)).start(module.chain[..., 0].numel(), noise)
            module.chain.copy_(s.view_as(module.chain) if self.algorithm == "pt" else module.sample_hidden(s, noise))

    # ---------------------------------------------------------------- learning

    def _rate(self) -> float:
        if self.learning_rate_init == "auto":
            return RATES[self.visible, self.hidden]
        return float(self.learning_rate_init)

    @torch.no_grad()
    def _step(self, module: Harmonium, batch: Batch, rng: torch.Generator) -> Terms:
        module.restrain(LEAST_DEVIATION / 2)
        s = module.embed(batch.x)
        h = module.hidden_mean(s)
        share = s.new_full((len(s),), 1 / len(s)) if batch.weight is None else batch.weight / len(s)
        model = CHAINS[self.algorithm](module, s, h, share, int(self.n_gibbs), rng)
        terms = {"reconstruction": average(_squared_error(module, batch.x[: len(s) // 16 + 1]))}
        pull = h * share[:, None]
        if self.sparsity:
            terms["sparsity"], slope = self._sparsity(h, share)
            pull = pull - slope
        module.accumulate(Statistics(s, pull, share), model, bool(self.centred))
        if isinstance(module.log_scale, nn.Parameter):
            module.accumulate_scale(s, h, share)
        if self.centred:
            module.follow(s, h, share, OFFSET_RATE)
        return terms

    def _sparsity(self, h: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """KL divergence of the target from each unit's mean activation, and its derivative in the fields."""
        weight = share / share.sum().clamp_min(1e-30)
        value, derivative = bernoulli_divergence(self.sparsity_target, weight @ h)
        return self.sparsity * value.sum(), self.sparsity * derivative * weight[:, None] * h * (1 - h)

    # ---------------------------------------------------------------- progress

    def _loss(self, module: Harmonium, batch: Batch, rng: torch.Generator | None) -> Terms:
        """What ``early_stopping`` watches: minus the pseudo-likelihood, or for counts the reconstruction."""
        if not has_pseudo_likelihood(module):
            return {"reconstruction": average(_squared_error(module, batch.x), batch.weight)}
        return {"pseudo_likelihood": -average(pseudo_log_likelihood(module, module.embed(batch.x)), batch.weight)}

    @torch.no_grad()
    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        module = self.module_
        some = self._some_rows(train)
        found = {}
        if has_pseudo_likelihood(module):
            found["pseudo_likelihood"] = float(pseudo_log_likelihood(module, module.embed(some.x)).mean())
        if held_out is not None:
            watched = self._some_rows(held_out)
            found["validation_loss"] = float(self._loss(module, watched, None).popitem()[1])
            found["free_energy_gap"] = float(module.log_density(some.x).mean() - module.log_density(watched.x).mean())
        return found

    def _some_rows(self, data: Source) -> Batch:
        """Rows spread over the data, as many as are quickly examined."""
        n = max(1, min(len(data), EXAMINED // cost_of_row(self.module_)))
        rows = torch.linspace(0, len(data) - 1, n).long()
        batch: Batch = data[rows.to(getattr(data, "device", rows.device))]
        return batch

    # ---------------------------------------------------------------- using

    def _conclude(self, data: Table) -> None:
        """Keep states to go on from, and what is needed to find log Z when it is asked for."""
        machine: Harmonium = self.module_
        self._partitions: dict[float, Estimate] = {}
        lengths = data.x[slice(None)].sum(1) if isinstance(machine.visible, Counts) else torch.zeros(1)
        self._lengths = float(lengths.min()), float(lengths.max())
        if self.algorithm == "cd":
            self._start_at_data(machine, data)

    @torch.no_grad()
    def _start_at_data(self, machine: Harmonium, data: Table) -> None:
        rows = torch.randint(len(data), (len(machine.chain),), generator=self._rng)
        s = machine.embed(data[rows.to(data.device)].x)
        machine.chain.copy_(machine.sample_hidden(s, self._noise()))

    def _starts(self, machine: Harmonium, n: int, rng: torch.Generator) -> Tensor:
        chain = machine.chain[-1] if machine.chain.ndim == 3 else machine.chain
        state = chain[torch.arange(n, device=chain.device) % len(chain)]
        length = self._typical_length(machine)
        total = None if length is None else state.new_full((n,), length)
        return state if machine.chain.ndim == 3 else machine.sample_visible(state, rng, total)

    def to_autoencoder(self) -> Autoencoder:
        """A fitted ``Autoencoder`` with the same ``transform`` and ``inverse_transform``, which can be trained on.

        ``rbm.to_autoencoder().set_params(warm_start=True, max_iter=50).fit(X)`` fine-tunes it.

        Returns
        -------
        autoencoder : Autoencoder

        Raises
        ------
        ValueError
            If the visible units are counts.
        """
        check_is_fitted(self)
        machine = self._machine()
        return unroll(self, [Level(machine, machine)])

    def _encode(self, module: Harmonium, x: Tensor) -> Tensor:
        return module.hidden.steady_mean(module.hidden_field(module.embed(x)))

    def _decode(self, module: Harmonium, h: Tensor) -> Tensor:
        length = self._typical_length(module)
        total = None if length is None else h.new_full((len(h),), length)
        return module.unembed(module.visible_mean(h, total))


def _squared_error(machine: Harmonium, x: Tensor) -> Tensor:
    """Squared distance of each row to E[x | E[h | x]]."""
    s = machine.embed(x)
    back = machine.visible_mean(machine.hidden_mean(s), machine.visible.total(s))
    return (x - machine.unembed(back)).square().sum(1)


def _root_mean_squares(data: Source, n_features: int) -> Tensor:
    """Of each column, weighted."""
    total = torch.zeros(n_features, dtype=torch.float64)
    for rows in chunks(len(data), n_features):
        batch = data[rows]
        squares = batch.x.square()
        total += (squares.sum(0) if batch.weight is None else batch.weight @ squares).cpu().double()
    return (total / len(data)).sqrt()

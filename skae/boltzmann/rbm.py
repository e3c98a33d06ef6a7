"""RBM: a restricted Boltzmann machine with visible and hidden units of several kinds."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..autoencoders import Autoencoder
from ..base.params import Fraction, NonNegative, Positive, PositiveInt, Sizes, sizes_of
from ..energy.annealing import Anneal, Estimate
from ..energy.chains import CHAINS
from ..energy.harmonium import Harmonium, Statistics
from ..energy.pseudo_likelihood import cost_of_row, has_pseudo_likelihood, pseudo_log_likelihood
from ..energy.units import Counts
from ..engine.data import Array, Batch, Source, Table
from ..engine.optim import Terms, total
from ..functional import average, bernoulli_divergence
from ._density import Density
from ._rows import counting, range_of_lengths, root_mean_squares, shares
from ._unroll import Level, unroll

__all__ = ["RBM"]

RATES = {
    ("bernoulli", "bernoulli"): 0.2,
    ("bernoulli", "gaussian"): 0.1,
    ("bernoulli", "relu"): 0.15,
    ("gaussian", "bernoulli"): 0.1,
    ("gaussian", "gaussian"): 0.05,
    ("gaussian", "relu"): 0.005,
    ("softmax", "bernoulli"): 0.1,
    ("softmax", "gaussian"): 0.05,
    ("softmax", "relu"): 0.015,
}
"""Learning rates by kinds of visible and hidden units; those of units without an upper end must be low."""
COUNTS_RATES = {"bernoulli": 15.0, "gaussian": 3.0, "relu": 1.0}
"""Learning rates of counts times the square of their mean length, by which the curvature grows."""
LEAST_LENGTH = 25.0
"""Mean length below which the learning rate of counts does not grow, for a few draws say little."""
LEAST_DEVIATION = 0.1
"""Standard deviation, over that of all columns, below which a gaussian visible unit is not scaled up."""
OFFSET_RATE = 0.01
"""Rate at which the offsets follow the batches."""
EXAMINED = 2**19
"""Normalisers of hidden units that an epoch's end may compute to tell the pseudo-likelihood of small data."""


class RBM(Density):
    """Restricted Boltzmann machine: a model of the density whose hidden units are the code.

    Visible units v and hidden units h have the energy

        E(v, h) = -a'v - b'h - h'W v,    p(v, h) = exp(-E(v, h)) / Z,

    to which units that are not binary add a term of their own. Given one layer the units of the other are
    independent, so that p(h | v) is known, and is the code: ``transform`` is E[h | v] and
    ``inverse_transform`` E[v | h]. Learning follows the gradient of the log-likelihood, statistics of the
    data minus statistics of the model, for which Markov chains stand in.

    Parameters
    ----------
    n_components : int, default=64
        Hidden units.
    visible : {"gaussian", "bernoulli", "softmax"}, default="gaussian"
        What a row is made of. "gaussian": real numbers, standardised inside; "bernoulli": numbers in
        [0, 1]; "softmax": groups of columns that are one-hot, see ``categories``, or without groups
        counts, such as those of a document's terms (the replicated softmax).
    hidden : {"bernoulli", "gaussian", "relu"}, default="bernoulli"
        "bernoulli": features that are there or not, codes in (0, 1); "gaussian": linear codes; "relu":
        codes >= 0, noisy rectified linear units.
    categories : tuple of int, or None, default=None
        Sizes of the groups of adjacent columns of softmax units, as ``OneHotEncoder`` makes them; None
        means that rows are counts.
    learn_variances : bool, default=False
        Whether the variance of each gaussian visible unit given the code is learnt. If not it is that of
        the column.
    algorithm : {"auto", "cd", "pcd", "pt"}, default="auto"
        Chains that stand for the model. "cd", contrastive divergence: from each row of the batch. "pcd",
        persistent: they go on from batch to batch. "pt", parallel tempering: persistent, at
        ``n_temperatures`` that swap states, for models with modes far apart. "auto" is "cd" for counts,
        whose chains hardly leave a topic, and else "pcd".
    n_gibbs : int, default=1
        Gibbs steps between two updates.
    n_chains : int, default=100
        Persistent chains.
    n_temperatures : int, default=10
        Temperatures of "pt".
    centred : bool or "auto", default="auto"
        Whether the gradient is that of the machine whose units are centred at their means, which learns
        faster and does not depend on whether 0 or 1 codes for ink. "auto" does so but for counts.
    sparsity : float, default=0.0
        Weight of the divergence KL(``sparsity_target`` || mean activation) of each binary hidden unit.
    sparsity_target : float, default=0.1
        Mean activation that ``sparsity`` pulls to.
    weight_scale : float, default=0.01
        Standard deviation of the initial weights.
    solver : {"sgd", "adam", "adamw"}, default="sgd"
        Rule by which gradients move the weights; "sgd" has ``momentum``.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start. "auto" goes by the kinds of units, from 0.2 for binary ones to 0.005
        for rectified ones above gaussian ones; for counts it is 15, 3 or 1
        over their squared mean length, of at least 25.
    momentum : float, default=0.5
        Momentum of "sgd". With more the learning rate must be lower.
    batch_size : int or "auto", default=100
        Rows a step.
    max_iter : int, default=50
        Epochs.
    tol : float, default=0.0001
        With ``early_stopping``, training stops when for ``n_iter_no_change`` epochs in a row none has
        brought the validation loss down by this fraction. Without it all epochs are run.
    early_stopping : bool, default=False
        Watch minus the pseudo-likelihood of held-out rows, or for counts their reconstruction error, and
        tell the free-energy gap.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted machine.
    components_ : ndarray of shape (n_components, n_features)
        Weights W.
    intercept_hidden_, intercept_visible_ : ndarray of shape (n_components,) and (n_features,)
        Biases b and a.
    log_partition_, log_partition_error_ : float
        Log Z in nats and its standard error; found when it is first asked for.
    history_ : dict of str to list of float
        An entry an epoch, of some rows: "reconstruction", the squared error; "pseudo_likelihood" over all
        columns, nats, but for counts; with ``early_stopping`` "validation_loss", and "free_energy_gap", the
        mean free energy of held-out rows minus that of training rows, which grows when the model overfits.
        None of them is the objective, so there is no "loss". With ``sparsity``, "sparsity" is its penalty.
    loss_ : float
        The validation loss of the weights that were kept; NaN without ``early_stopping``.
    n_iter_ : int
        Epochs run.
    mean_, scale_, n_features_in_, feature_names_in_
        As ``Autoencoder``.

    See Also
    --------
    sklearn.neural_network.BernoulliRBM : Binary units, without likelihood and without reconstruction.

    References
    ----------
    Hinton (2002), "Training Products of Experts by Minimizing Contrastive Divergence",
    https://doi.org/10.1162/089976602760128018

    Tieleman (2008), "Training Restricted Boltzmann Machines using Approximations to the Likelihood Gradient",
    https://doi.org/10.1145/1390156.1390290

    Melchior, Fischer and Wiskott (2016), "How to Center Deep Boltzmann Machines",
    https://jmlr.org/papers/v17/14-237.html

    Nair and Hinton (2010), "Rectified Linear Units Improve Restricted Boltzmann Machines",
    https://www.cs.toronto.edu/~hinton/absps/reluICML.pdf

    Salakhutdinov and Hinton (2009), "Replicated Softmax: an Undirected Topic Model",
    https://papers.nips.cc/paper/3856-replicated-softmax-an-undirected-topic-model

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import RBM
    >>> X = load_digits().data / 16
    >>> rbm = RBM(32, visible="bernoulli", max_iter=20, random_state=0).fit(X)
    >>> rbm.transform(X).shape
    (1797, 32)
    >>> rbm.sample(3, random_state=0).shape
    (3, 64)
    >>> bool(rbm.score(X) > -26)  # nats a row
    True
    """

    n_components = 64
    visible: Literal["gaussian", "bernoulli", "softmax"] = "gaussian"
    hidden: Literal["bernoulli", "gaussian", "relu"] = "bernoulli"
    categories: Sizes | None = None
    learn_variances: bool = False
    algorithm: Literal["auto", "cd", "pcd", "pt"] = "auto"
    n_gibbs: PositiveInt = 1
    n_chains: PositiveInt = 100
    n_temperatures: PositiveInt = 10
    centred: bool | Literal["auto"] = "auto"
    sparsity: NonNegative = 0.0
    sparsity_target: Fraction = 0.1
    weight_scale: Positive = 0.01
    solver: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum = 0.5
    learning_rate_init: Positive | Literal["auto"] = "auto"  # type: ignore[assignment]
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
            "chain_shape": tempered if self._algorithm() == "pt" else (n_chains, n_components),
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
            counts = self._sees_counts()
            cure = "pass counts" if counts else "scale X with MinMaxScaler(clip=True)"
            self._warn_outside(X, np.inf if counts else 1.0, f"visible={self.visible!r}", f"{cure}, or use 'gaussian'")
        return X

    def _measure(self, X: Array, y: Any, weight: np.ndarray | None) -> None:
        super()._measure(X, y, weight)
        if self.algorithm == "pt" and self._sees_counts():
            raise ValueError("algorithm='pt' swaps rows of one length, and those of counts differ: use 'pcd' or 'cd'.")
        if self.sparsity and self.hidden != "bernoulli":
            raise ValueError(
                f"sparsity={self.sparsity} needs hidden='bernoulli', whose means are probabilities: set it to 0.0."
            )

    def _initialise(self, module: Harmonium, data: Table, rng: torch.Generator) -> None:
        mean = torch.from_numpy(np.zeros_like(self.mean_) if self._centred else self.mean_)
        deviation = root_mean_squares(data, len(self.mean_)).clamp_min(LEAST_DEVIATION)
        module.initialise(mean.to(module.weight), deviation, float(self.weight_scale), rng)
        noise = torch.Generator(module.weight.device).manual_seed(int(torch.randint(2**62, (), generator=rng)))
        with torch.no_grad():
            s = Anneal(module, self._typical_length(module)).start(module.chain[..., 0].numel(), noise)
            module.chain.copy_(s.view_as(module.chain) if self._algorithm() == "pt" else module.sample_hidden(s, noise))

    # ---------------------------------------------------------------- learning

    def _rate(self) -> float:
        if self.learning_rate_init != "auto":
            return float(self.learning_rate_init)
        if not self._sees_counts():
            return RATES[self.visible, self.hidden]
        return COUNTS_RATES[self.hidden] / max(LEAST_LENGTH, float(self.mean_.sum())) ** 2

    def _sees_counts(self) -> bool:
        return self.visible == "softmax" and self.categories is None

    def _algorithm(self) -> str:
        return self.algorithm if self.algorithm != "auto" else "cd" if self._sees_counts() else "pcd"

    def _is_centred(self) -> bool:
        return not self._sees_counts() if self.centred == "auto" else bool(self.centred)

    @torch.no_grad()
    def _step(self, module: Harmonium, batch: Batch, rng: torch.Generator) -> Terms:
        module.restrain(LEAST_DEVIATION / 2)
        n, weight = len(batch.x), batch.weight
        s, h = CHAINS[self._algorithm()](module, module.embed(batch.x), weight, int(self.n_gibbs), rng)
        share = shares(n, len(s) - n, weight, self._algorithm() == "cd", like=s)
        pull = h * share[:, None]
        terms: Terms = {}
        if self.sparsity:
            terms["sparsity"], slope = self._sparsity(h[:n], -share[:n])
            pull[:n] += slope
        module.accumulate(Statistics(s, pull, share), self._is_centred())
        if isinstance(module.log_scale, nn.Parameter):
            module.accumulate_scale(s[:n], h[:n], -share[:n])
        if self._is_centred():
            module.follow(s[:n], h[:n], -share[:n], OFFSET_RATE)
        return terms

    def _sparsity(self, h: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """KL divergence of the target from each unit's mean activation, and its derivative in the fields."""
        share = share / share.sum().clamp_min(1e-30)
        value, derivative = bernoulli_divergence(self.sparsity_target, share @ h)
        return self.sparsity * value.sum(), self.sparsity * derivative * share[:, None] * h * (1 - h)

    # ---------------------------------------------------------------- progress

    def _loss(self, module: Harmonium, batch: Batch, rng: torch.Generator | None) -> Terms:
        """What ``early_stopping`` watches: minus the pseudo-likelihood, or for counts the reconstruction."""
        s = module.embed(batch.x)
        if has_pseudo_likelihood(module):
            return {"pseudo_likelihood": average(_surprise(module, s), batch.weight)}
        return {"reconstruction": average(_squared_error(module, batch.x, s), batch.weight)}

    @torch.no_grad()
    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        module = self.module_
        x = self._some_rows(train, len(train) // 2000).x
        s = module.embed(x)
        found = {"reconstruction": float(_squared_error(module, x, s).mean())}
        if has_pseudo_likelihood(module):
            found["pseudo_likelihood"] = -float(_surprise(module, s).mean())
        if held_out is not None:
            found["validation_loss"] = float(total(self._loss(module, self._some_rows(held_out, 50), None)))
            ours, theirs = (module.log_density(self._some_rows(rows, 1000).x).mean() for rows in (train, held_out))
            found["free_energy_gap"] = float(ours - theirs)
        return found

    def _some_rows(self, data: Source, least: int) -> Batch:
        """Rows spread over the data, as many as are quickly examined and at least so many."""
        rows = counting(data)
        n = min(len(rows), max(EXAMINED // cost_of_row(self.module_), least, 1))
        batch: Batch = data[rows[torch.linspace(0, len(rows) - 1, n).long().to(rows.device)]]
        return batch

    # ---------------------------------------------------------------- using

    def _conclude(self, data: Table) -> None:
        """Keep states to go on from, and what is needed to find log Z when it is asked for."""
        machine: Harmonium = self.module_
        self._partitions: dict[float, Estimate] = {}
        self._lengths = range_of_lengths(machine, data) if isinstance(machine.visible, Counts) else (0.0, 0.0)
        if self._algorithm() == "cd":
            self._start_at_data(machine, data)

    @torch.no_grad()
    def _start_at_data(self, machine: Harmonium, data: Table) -> None:
        rows = counting(data)
        some = rows[torch.randint(len(rows), (len(machine.chain),), generator=self._rng).to(rows.device)]
        s = machine.embed(data[some].x)
        machine.chain.copy_(machine.sample_hidden(s, self._noise()))

    def _starts(self, machine: Harmonium, n: int, rng: torch.Generator) -> Tensor:
        chain = machine.chain[-1] if machine.chain.ndim == 3 else machine.chain
        state = chain[torch.arange(n, device=chain.device) % len(chain)]
        if machine.chain.ndim == 3:
            return state
        return machine.sample_visible(state, rng, self._typical_total(machine, state))

    def to_autoencoder(self) -> Autoencoder:
        """A fitted ``Autoencoder`` with the same ``transform`` and ``inverse_transform``, which can be trained on.

        ``rbm.to_autoencoder().set_params(warm_start=True, max_iter=50).fit(X)`` fine-tunes it.
        The code of rectified units is softplus there, which is within 0.011 of their mean.

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
        return module.unembed(module.visible_mean(h, self._typical_total(module, h)))


def _surprise(machine: Harmonium, s: Tensor) -> Tensor:
    """Minus the pseudo-likelihood of each row, on the scale of x."""
    return machine.log_scale.sum() - pseudo_log_likelihood(machine, s)


def _squared_error(machine: Harmonium, x: Tensor, s: Tensor) -> Tensor:
    """Squared distance of each row to E[x | E[h | x]]."""
    back = machine.visible_mean(machine.hidden_mean(s), machine.visible.total(s))
    return (x - machine.unembed(back)).square().sum(1)

"""BoltzmannMachine: parameters of all Boltzmann machines, and the questions that a user asks of a fitted one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..autoencoders import Autoencoder
from ..base import damage
from ..base.checks import require_positive
from ..base.damage import Saved
from ..base.params import Fraction, NonNegative, Positive, PositiveInt, Sizes, sizes_of
from ..base.support import warn_outside
from ..base.transformer import Generative, TorchTransformer
from ..energy.annealing import Anneal, Estimate, annealed_importance, reverse_annealed_importance
from ..energy.harmonium import Harmonium, Known
from ..energy.layers import Part
from ..energy.partition import N_BETAS, N_CHAINS, Partition
from ..energy.units import Bernoulli, Counts, Gaussian, Softmax, Units
from ..engine.arrays import Arrays
from ..engine.data import Batch, Source, Table
from ..engine.frame import in_double
from ..engine.modes import plain_torch
from ..functional import Support, support_of
from ._rows import range_of_lengths
from ._unroll import Level, unroll

__all__ = ["BoltzmannMachine", "visible_parts"]

LEAST_CHAINS = 100
"""Persistent chains at least. On small binary pictures, 20 chains cost 8 nats, and 300 gained 0.8."""
VISIBLE: dict[type[Units], str] = {
    Bernoulli: "bernoulli",
    Counts: "softmax",
    Gaussian: "gaussian",
    Softmax: "softmax",
}
"""The value of ``visible`` that leads to these units."""


class BoltzmannMachine(Generative, TorchTransformer):
    """A model of the density that is made of layers of random units.

    A machine contains a harmonium, in which Gibbs chains run, and which has the partition function Z. Where
    there are more layers than its two, states are drawn from the rows up to it, and down to the rows again.

    Parameters
    ----------
    n_components : int, default=64
        Number of hidden units.
    visible : {"gaussian", "bernoulli", "softmax"}, default="gaussian"
        Kind of the columns of X. "gaussian": real numbers, which are standardised inside. "bernoulli": numbers in
        [0, 1]. "softmax" with ``categories``: groups of columns that are one-hot or sum to one. "softmax" without
        ``categories``: counts, such as the word counts of documents (the replicated softmax). Of a row of another kind,
        ``fit`` warns, and ``score_samples`` is -inf.
    hidden : {"bernoulli", "gaussian", "relu"}, default="bernoulli"
        Kind of the hidden units. "bernoulli": features that are present or not, with codes in (0, 1).
        "gaussian": linear codes. "relu": codes >= 0 of noisy rectified linear units.
    categories : tuple of int, or None, default=None
        Sizes of the groups of adjacent one-hot columns of softmax units, as ``OneHotEncoder`` makes them. None
        means that rows are counts.
    learn_variances : bool, default=False
        Whether the variance of each gaussian visible unit, given the code, is learnt. If not, it is the
        variance of the column.
    algorithm : {"auto", "cd", "pcd", "pt"}, default="auto"
        How to run the Markov chains that represent the model in the gradient. "cd" (contrastive divergence) starts
        them at the rows of each batch. "pcd" (persistent contrastive divergence) continues them from batch to batch.
        "pt" (parallel tempering) continues them at ``n_temperatures`` temperatures and swaps their states, which
        suits models whose modes are far apart. "auto" is "cd" for counts, because persistent chains of counts
        hardly ever leave a topic, and otherwise "pcd".
    n_gibbs : int, default=1
        Number of Gibbs steps between two updates of the weights.
    n_chains : int or "auto", default="auto"
        Number of persistent chains. "auto" is 100, or ``batch_size`` if that is a larger number: the gradient of a step
        is a mean over rows minus a mean over chains, and neither should be the noisier one. With few rows in a step it
        is still 100, because the chains also have to visit all modes of the model. On seven data sets of 133 to 3045
        rows, 32, 100 and 300 chains learnt the same to 0.15 nats a row, and 300 took up to 1.6 times as long.
    n_temperatures : int, default=10
        Number of temperatures of "pt".
    centred : bool or "auto", default="auto"
        Whether the gradient is that of the machine whose units are centred at their means. Such learning is
        faster, and does not depend on whether 0 or 1 stands for ink. "auto" is True except for counts.
    sparsity : float, default=0.0
        Weight of the divergence KL(``sparsity_target`` || mean activation), summed over the hidden units,
        which must be binary.
    sparsity_target : float, default=0.1
        The mean activation that ``sparsity`` pulls each hidden unit to.
    weight_scale : float or "auto", default="auto"
        Standard deviation of the initial weights. "auto" is 1 / sqrt(n_features), but at most 0.1, for binary hidden
        units, and 0.01 for counts and for other hidden units.
    solver : {"sgd", "adam", "adamw"}, default="sgd"
        Optimisation algorithm. Only "sgd" uses ``momentum``.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start. "auto" depends on the kinds of units: from 0.2 for binary ones to 0.005 for
        rectified units above gaussian ones. With more than 64 binary columns, 0.2 is multiplied by
        (64 / n_features)^(1/4). For counts it is 15, 3 or 1 (binary, gaussian or rectified
        hidden units) over the squared mean length of the rows, where a mean length below 25 counts as 25.
    learning_rate : {"constant", "cosine", "one_cycle"}, default="cosine"
        Schedule of the learning rate over ``max_iter`` epochs. ``partial_fit`` keeps it constant.
    momentum : float, default=0.5
        Momentum of "sgd". A higher momentum needs a lower learning rate.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as 2 n_samples steps take, but at least 1000 steps, at most 5000
        steps or n_samples / 2 if that is more, and at most 200 epochs. If neither layer has an upper end (gaussian or
        rectified hidden units, and gaussian visible ones or counts), it is as many as n_samples / 2 steps take.
        Longer fits overfit small binary tables: twice the steps gained at most 0.13 nats a row or lost up to 0.3, and
        eight times the steps lost 0.5 to 1.2.
    tol : float, default=0.0001
        With ``early_stopping``, training stops after ``n_iter_no_change`` epochs in a row without improvement. An
        epoch is an improvement if it lowers the validation loss by at least this fraction of the lowest before.
        Without ``early_stopping``, all epochs are run.
    early_stopping : bool, default=False
        Whether to watch minus the pseudo-likelihood of held-out rows, or for counts their reconstruction error. The
        history then also has the free-energy gap.
    """

    n_components = 64
    visible: Literal["gaussian", "bernoulli", "softmax"] = "gaussian"
    hidden: Literal["bernoulli", "gaussian", "relu"] = "bernoulli"
    categories: Sizes | None = None
    learn_variances: bool = False
    algorithm: Literal["auto", "cd", "pcd", "pt"] = "auto"
    n_gibbs: PositiveInt = 1
    n_chains: PositiveInt | Literal["auto"] = "auto"
    n_temperatures: PositiveInt = 10
    centred: bool | Literal["auto"] = "auto"
    sparsity: NonNegative = 0.0
    sparsity_target: Fraction = 0.1
    weight_scale: Positive | Literal["auto"] = "auto"
    solver: Literal["sgd", "adam", "adamw"] = "sgd"
    momentum = 0.5
    learning_rate_init: Positive | Literal["auto"] = "auto"
    learning_rate = "cosine"

    _most_epochs: ClassVar[int] = 200
    _monitor: ClassVar[str | None] = None
    _saved: ClassVar[dict[str, Saved]] = {"_partition": Saved(damage.nothing, cls=Partition)}

    # ---------------------------------------------------------------- hooks of a machine

    def _machine(self, module: Any) -> Harmonium:
        """The harmonium in the module: Gibbs chains run in it, and Z is its partition function."""
        raise NotImplementedError

    def _levels(self, module: Any) -> list[Level]:
        """All layers of hidden units, from the rows up."""
        raise NotImplementedError

    def _log_density(self, module: Any, x: Tensor) -> Tensor:
        """Log p(x) + log Z of each row, or a lower bound of it."""
        raise NotImplementedError

    def _drawn_up(self, module: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states of the harmonium, drawn given rows."""
        raise NotImplementedError

    def _drawn_down(self, module: Any, s: Tensor, rng: torch.Generator, total: Tensor | None) -> Tensor:
        """Rows of so many draws, drawn given visible states of the harmonium."""
        raise NotImplementedError

    # ---------------------------------------------------------------- budget

    def _n_steps(self, n_samples: int) -> int:
        if self.hidden != "bernoulli" and (self.visible == "gaussian" or self._sees_counts()):
            return max(1, n_samples // 2)  # their weights would run away
        return max(1000, min(2 * n_samples, 5000), n_samples // 2)

    def _n_chains(self) -> int:
        """Number of persistent chains."""
        if self.n_chains != "auto":
            return int(self.n_chains)
        return LEAST_CHAINS if self.batch_size == "auto" else max(LEAST_CHAINS, int(self.batch_size))

    # ---------------------------------------------------------------- input

    def _standardizes(self) -> bool:
        return self.visible == "gaussian"

    def _sees_counts(self) -> bool:
        return self.visible == "softmax" and self.categories is None

    def _sizes(self) -> tuple[int, ...]:
        """Columns of each group of one-hot columns."""
        groups = self.categories if self.visible == "softmax" else None
        return () if groups is None else sizes_of("categories", groups)

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data = super()._source(X, y, weight, reset)
        if reset and isinstance(data, Arrays):
            warn_outside(self, Arrays(data.X), self._asked_support(data.width))
        return data

    def _asked_support(self, n_features: int) -> Support | None:
        """The rows of so many columns that the parameters ask for."""
        return support_of("visible", self.visible, self._sizes())

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.algorithm == "pt" and self._sees_counts():
            raise ValueError(
                "algorithm='pt' swaps rows between temperatures, and these must have one length, but rows of counts "
                "differ in length: use 'pcd' or 'cd'."
            )
        if self.sparsity and self.hidden != "bernoulli":
            raise ValueError(
                f"sparsity={self.sparsity} needs hidden='bernoulli', whose means are probabilities: set it to 0.0."
            )

    def _cure(self) -> str:
        more = super()._cure()
        if self.visible != "bernoulli":
            return more
        return f"use visible='gaussian', or binary X (values between 0 and 1 vary less than bernoulli units), or {more}"

    def _conclude(self, data: Table) -> None:
        machine = self._machine(self.module_)
        self._partition = Partition(range_of_lengths(machine, data))

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
        values: np.ndarray = getattr(self._ready_machine(), name).detach().cpu().numpy().copy()
        return values

    def _ready_machine(self) -> Harmonium:
        return self._machine(self._ready_module())

    # ---------------------------------------------------------------- density

    def _support(self) -> Support | None:
        units, _ = self._levels(self.module_)[0].up.visible.kinds()[0]  # a label may be beside them
        return support_of("visible", VISIBLE[type(units)], getattr(units, "sizes", ()))

    def free_energy(self, X: Any) -> np.ndarray:
        """Free energy F(x) of each row, in nats: log p(x) = -F(x) - log Z.

        With one layer it is exact, and where entries are unknown it is estimated for the others, as ``score_samples``
        is. With several layers it is the variational free energy, an upper bound of -log p(x) - log Z. Log Z is not
        computed.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        F : ndarray of shape (n_samples,), float64
            Lower for likelier rows, and inf for rows that the model cannot describe. If the visible units are gaussian,
            p is the density of X after it has been centred and scaled.
        """
        return -self._log_densities(lambda module, batch: self._log_density(module, batch.x), X)

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        machine = self._machine(module)
        log_z = self._partition.of_rows(machine, machine.total(batch.x), self._noise)
        return in_double(self._log_density(module, batch.x)) - log_z - self._frame.log_volumes(~batch.x.isnan())

    @property
    def log_partition_(self) -> float:
        """Logarithm of Z in nats. For counts, it is that of a row of mean length.

        It is exact if a layer of the harmonium has at most 20 binary units (or as many states), or if both are
        gaussian. Otherwise it is estimated by annealed importance sampling from the means of the data
        (Salakhutdinov and Murray, 2008), where chains are drawn anew by their weights when few of these count. It
        then has the standard error ``log_partition_error_``. It is computed when it is first used.
        """
        return self._estimate().value

    @property
    def log_partition_error_(self) -> float:
        """Standard error of ``log_partition_``. It is 0 if ``log_partition_`` is exact."""
        return self._estimate().error

    def _estimate(self) -> Estimate:
        check_is_fitted(self)
        machine = self._ready_machine()
        with plain_torch(grad=False):
            return self._partition.of_length(machine, self._mean_length(), self._noise)

    def log_partition_bounds(
        self, n_chains: int = N_CHAINS, n_betas: int = N_BETAS, n_steps: int = 1000, random_state: Any = None
    ) -> tuple[Estimate, Estimate]:
        """Bracket log Z by annealing from independent units to the model, and back.

        The first estimate is on average below log Z. The second is on average above it, as far as its chains
        start at states of the model: they go on from the chains of the training for ``n_steps`` (Burda,
        Grosse and Salakhutdinov, 2015). If there is a gap between the two, neither should be trusted: more chains and
        more temperatures narrow it.

        Both ways start at, or lead to, independent units with about the means of the data on both layers. When few of
        the chains carry most of the weight, chains are drawn anew by their weights (Del Moral, Doucet and Jasra,
        2006), so that no time is spent on chains that do not count.

        Parameters
        ----------
        n_chains : int, default=100
            Number of chains.
        n_betas : int, default=1000
            Number of temperatures.
        n_steps : int, default=1000
            Number of Gibbs steps before annealing back.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.

        Returns
        -------
        lower, upper : Estimate
            Each with ``value`` and its standard error, ``error``.
        """
        check_is_fitted(self)
        require_positive(n_chains=n_chains, n_betas=n_betas, n_steps=n_steps)
        machine, rng = self._ready_machine(), self._noise(random_state)
        with plain_torch(grad=False):
            path = Anneal(machine, self._mean_length())
            betas = torch.linspace(0.0, 1.0, n_betas + 1, dtype=torch.float64)
            lower = annealed_importance(path, betas, n_chains, rng)
            s = machine.gibbs(self._starts(machine, n_chains, rng), n_steps, rng)
            return lower, reverse_annealed_importance(path, betas, s, rng)

    def _mean_length(self) -> float:
        """Draws of a row of counts of mean length, and 0 for units of other kinds."""
        return float(round(self.mean_.clip(0).sum())) if self._sees_counts() else 0.0

    def _mean_totals(self, like: Tensor) -> Tensor:
        """The mean length for each row of a tensor."""
        return like.new_full((len(like),), self._mean_length())

    # ---------------------------------------------------------------- samples

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None) -> np.ndarray:
        """Draw rows from the model by Gibbs sampling.

        The chains go on from where those of the training ended.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains. The last state of each chain gives a row.
        n_steps : int, default=1000
            Steps of each chain.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If a number is below 1.
        """
        return self._samples(n_samples, n_steps, random_state, None)

    def _samples(self, n_samples: int, n_steps: int, random_state: Any, known: Known | None) -> np.ndarray:
        check_is_fitted(self)
        require_positive(n_samples=n_samples, n_steps=n_steps)
        module, rng = self._ready_module(), self._noise(random_state)
        machine = self._machine(module)
        with plain_torch(grad=False):
            s = machine.gibbs(self._starts(machine, n_samples, rng), n_steps, rng, known)
            rows = self._drawn_down(module, s, rng, self._mean_totals(s))
            return self._frame.undo(rows).cpu().numpy()

    def gibbs(self, X: Any, n_steps: int = 1, random_state: Any = None) -> np.ndarray:
        """Run Gibbs chains from the rows of X: draw the hidden units given the visible ones, and then these.

        In a deep machine states are drawn from the rows up to the harmonium, the chain runs there, and states
        are drawn down to the rows. If a machine takes unknown entries, they begin at their expectations by mean field,
        and all entries are drawn afterwards. ``sample_given`` keeps the known ones.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        n_steps : int, default=1
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows after so many steps.

        Raises
        ------
        ValueError
            If ``n_steps`` is below 1, or X is not what ``transform`` takes.
        """
        check_is_fitted(self)
        require_positive(n_steps=n_steps)
        rng = self._noise(random_state)

        def walk(module: Any, batch: Batch) -> Tensor:
            return self._walked(module, batch.x, n_steps, rng)

        states: np.ndarray = self._map(walk, X, undo=self._frame)
        return states

    def _walked(self, module: Any, x: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
        s = self._machine(module).gibbs(self._drawn_up(module, x, rng), n_steps, rng)
        return self._drawn_down(module, s, rng, module.total(x))

    def _starts(self, machine: Harmonium, n: int, rng: torch.Generator) -> Tensor:
        """Visible states at which n chains of the model go on."""
        chain = machine.chain[-1] if machine.chain.ndim == 3 else machine.chain
        state = chain[torch.arange(n, device=chain.device) % len(chain)]
        if machine.chain.ndim == 3:  # tempered chains keep visible states, the others hidden ones
            return state
        return machine.sample_visible(state, rng, self._mean_totals(state))

    # ---------------------------------------------------------------- unrolling

    def to_autoencoder(self) -> Autoencoder:
        """A fitted ``Autoencoder`` with the same ``transform`` and ``inverse_transform``, which can be trained on.

        ``model.to_autoencoder().set_params(warm_start=True, max_iter=50).fit(X)`` fine-tunes it.
        A code of rectified units becomes softplus, which differs from their mean by at most 0.011.

        Returns
        -------
        autoencoder : Autoencoder

        Raises
        ------
        ValueError
            If no ``Autoencoder`` has these layers: if the visible units are counts, if units between the rows and
            the code are rectified or of several kinds, or if there is a label.
        """
        check_is_fitted(self)
        return unroll(self, self._levels(self._ready_module()))


def visible_parts(kind: str, width: int, categories: Sequence[int], n_labels: int) -> list[Part]:
    """Parts of a harmonium for columns of a kind as ``visible`` names it; the last ``n_labels`` columns are a label."""
    kind = "counts" if kind == "softmax" and not categories else kind
    seen = Part(kind, width - n_labels, tuple(categories), scaled=kind == "gaussian")
    return [seen, Part("softmax", n_labels, (n_labels,))] if n_labels else [seen]

"""RBM: a restricted Boltzmann machine with visible and hidden units of several kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base import damage
from ..base.checks import require_positive
from ..base.damage import Saved
from ..energy.annealing import Anneal
from ..energy.chains import CHAINS, shares
from ..energy.harmonium import Harmonium, Known, Statistics
from ..energy.layers import Part
from ..energy.marginal import log_marginal
from ..energy.pseudo_likelihood import cost_of_row, has_pseudo_likelihood, pseudo_log_likelihood
from ..engine.data import Batch, Source, Table, to_tensor
from ..engine.optim import Terms, total
from ..functional import average, bernoulli_divergence, spawn
from ._filling import mean_of_field
from ._gaps import WITH_GAPS, by_gaps, require_known_groups
from ._learning import follow, mean_activation
from ._modalities import ALL, Modality
from ._rows import counting, root_mean_squares
from ._unroll import Level
from .machine import BoltzmannMachine, visible_parts

__all__ = ["RBM", "rate_of"]

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
"""Learning rates by kinds of visible and hidden units; units without an upper end need low ones."""
COUNTS_RATES = {"bernoulli": 15.0, "gaussian": 3.0, "relu": 1.0}
"""Learning rates of counts, times their squared mean length: the curvature grows with that square."""
WIDE = 64
"""With more binary columns than these the learning rate falls, as their fourth root."""
LEAST_LENGTH = 25.0
"""Below this mean length the learning rate of counts does not grow, since a few draws say little."""
LEAST_DEVIATION = 0.1
"""Least standard deviation of a gaussian visible unit, over the root mean variance of all columns."""
OFFSET_RATE = 0.01
"""Rate at which the offsets of a centred machine follow the means of the batches."""
STEPS_IN_GAPS = 5
"""Gibbs steps that draw unknown entries in a step of training. They start at the means of the units over the data.

For 8 binary columns of which half of the entries are unknown, and 8 hidden units, 5 steps led to as small a divergence
from the truth as exact draws (0.07 nats). 2 steps led to 0.10, 1 step to 0.18, and expectations by mean field to 0.71.
"""
EXAMINED = 2**19
"""How much is spent on the pseudo-likelihood after an epoch, in normalisers of one hidden unit."""


def rate_of(visible: str, hidden: str, n_features: int) -> float:
    """Learning rate for kinds of units. It falls with the width of binary rows, as units with many inputs need it."""
    is_binary = visible == hidden == "bernoulli"
    return RATES[visible, hidden] * (min(1.0, (WIDE / n_features) ** 0.25) if is_binary else 1.0)


class RBM(BoltzmannMachine):
    """Restricted Boltzmann machine: a model of the density whose hidden units are the code.

    Visible units v and hidden units h have the energy

        E(v, h) = -a'v - b'h - h'W v,    p(v, h) = exp(-E(v, h)) / Z,

    and units that are not binary add a term of their own. Given one layer, the units of the other are
    independent. So p(h | v) is known, and is the code: ``transform`` returns E[h | v], and
    ``inverse_transform`` E[v | h]. The gradient of the log-likelihood is a difference of two means, over the
    data and over the model. States of Markov chains stand for the model.

    **Unknown entries** are NaN, in training and later. Their places in the gradient are taken by draws given the known
    entries, from short Gibbs chains. In a code, mean field stands for them: independent units, whose means are updated
    in turn until they settle. ``score_samples`` estimates the log-probability of the known entries by 32 draws, which
    are the same in every call, and are drawn for all rows by the same numbers. On average over the draws it is too low.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted machine.
    components_ : ndarray of shape (n_components, n_features)
        Weights W.
    intercept_hidden_, intercept_visible_ : ndarray of shape (n_components,) and (n_features,)
        Biases b and a.
    log_partition_, log_partition_error_ : float
        Log Z in nats and its standard error, computed when first asked for.
    history_ : dict of str to list of float
        Values after each epoch, measured on some of the rows. "reconstruction": the squared error of the known
        entries. "pseudo_likelihood": its sum over all known columns, in nats; counts have none. For both, unknown
        units are at their means over the data. With ``early_stopping``
        "validation_loss", and "free_energy_gap": the mean free energy of held-out rows minus that of
        training rows, which grows when the model overfits. None of these is the objective of the
        training, so there is no "loss". With ``sparsity`` there is "sparsity", the value of that penalty.
    loss_ : float
        The validation loss of the weights that were kept; NaN without ``early_stopping``.
    n_iter_ : int
        Number of epochs run.
    mean_, scale_, n_features_in_, feature_names_in_
        As ``Autoencoder``.

    See Also
    --------
    DeepBeliefNetwork : Machines of this kind on each other, with labels if asked.
    DeepBoltzmannMachine : Several layers of hidden units that are learnt together.
    FineTunedClassifier : Trains the hidden units on, with labels.
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
    >>> bool(rbm.score(X) > -26)  # nats per row
    True
    """

    _n_labels = 0
    """Columns of a label behind those of X, which a deep belief network joins to its uppermost layer."""
    _has_gaps = False
    """Whether the rows that were learnt last have unknown entries."""
    _saved: ClassVar[dict[str, Saved]] = {
        "_n_labels": Saved(damage.whole(), required=False),
        "_has_gaps": Saved(damage.truth, required=False),
    }
    _x_doc: ClassVar[dict[str, str]] = WITH_GAPS

    # ---------------------------------------------------------------- rows

    @property
    def _takes_gaps(self) -> bool:  # type: ignore[override]
        """Whether entries of X may be unknown. Not among counts, which are only known as a whole."""
        return not self._sees_counts()

    def _modalities_of(self, n_features: int) -> list[Modality]:
        """Which columns are known together, by the parameters."""
        return [Modality(ALL, tuple(range(n_features)), self.visible, self._groups(n_features), ())]

    def _fitted_modalities(self) -> list[Modality]:
        spec = self._spec
        return [Modality(ALL, tuple(range(spec["n_features"])), spec["visible"], spec["categories"], ())]

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data: Any = super()._source(X, y, weight, reset)
        require_known_groups(data.X, self._modalities_of(data.width) if reset else self._fitted_modalities())
        if reset is not None:
            self._has_gaps = data.has_gaps
        return data

    # ---------------------------------------------------------------- the machine

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_chains, n_components = self._n_chains(), int(self.n_components)
        tempered = (int(self.n_temperatures), n_chains, n_features)
        return {
            "n_features": n_features,
            "n_components": n_components,
            "visible": self.visible,
            "hidden": self.hidden,
            "categories": self._groups(n_features - self._n_labels),
            "n_labels": self._n_labels,
            "learnt_scale": self.visible == "gaussian" and bool(self.learn_variances),
            "chain_shape": tempered if self._algorithm() == "pt" else (n_chains, n_components),
        }

    def _groups(self, n_features: int) -> tuple[int, ...]:
        groups = self._sizes()
        if (self.visible == "softmax" and not self._sees_counts()) and sum(groups) != n_features:
            raise ValueError(f"categories={groups} sum to {sum(groups)}, but X has {n_features} columns.")
        return groups

    def _new_module(self) -> Harmonium:
        spec = self._spec
        return Harmonium(
            visible=visible_parts(spec["visible"], spec["n_features"], spec["categories"], spec["n_labels"]),
            hidden=[Part(spec["hidden"], spec["n_components"])],
            learnt_scale=spec["learnt_scale"],
            chain_shape=spec["chain_shape"],
        )

    def _initialise(self, module: Harmonium, data: Table, rng: torch.Generator) -> None:
        mean = torch.from_numpy(self._frame.center)
        deviation = root_mean_squares(data, len(self.mean_)).clamp_min(LEAST_DEVIATION)
        module.initialise(mean.to(module.weight), deviation, self._deviation_of_weights(len(mean)), rng)
        noise = spawn(rng, module.weight.device)
        with torch.no_grad():
            s = Anneal(module, self._mean_length()).start(module.chain[..., 0].numel(), noise)
            module.chain.copy_(s.view_as(module.chain) if self._algorithm() == "pt" else module.sample_hidden(s, noise))

    def _deviation_of_weights(self, n_features: int) -> float:
        if self.weight_scale != "auto":
            return float(self.weight_scale)
        return 0.01 if self.hidden != "bernoulli" or self._sees_counts() else min(0.1, n_features**-0.5)

    # ---------------------------------------------------------------- learning

    def _rate(self, schedule: str) -> float:
        if self.learning_rate_init != "auto":
            return float(self.learning_rate_init)
        if not self._sees_counts():
            return rate_of(self.visible, self.hidden, len(self.mean_))
        return COUNTS_RATES[self.hidden] / max(LEAST_LENGTH, float(self.mean_.sum())) ** 2

    def _algorithm(self) -> str:
        return self.algorithm if self.algorithm != "auto" else "cd" if self._sees_counts() else "pcd"

    def _is_centred(self) -> bool:
        return not self._sees_counts() if self.centred == "auto" else bool(self.centred)

    @torch.no_grad()
    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        return self._step_by(self._algorithm(), module, batch, rng)

    def _step_by(self, algorithm: str, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        """Write the gradient of a batch, with the chains of an algorithm."""
        module.restrain(LEAST_DEVIATION / 2)
        n, weight = len(batch.x), batch.weight
        known = self._known(module, batch, rng)
        s, h = CHAINS[algorithm](module, known.s, weight, int(self.n_gibbs), rng)
        if known.h is not None:
            h[:n] = known.hidden(h[:n])
        share = shares(n, len(s) - n, weight, algorithm == "cd", like=s)
        statistics = Statistics(s, h * share[:, None], share)
        terms: Terms = {}
        if self.sparsity:
            terms["sparsity"], statistics = self._pulled_to_target(module, statistics, h[:n])
        module.accumulate(statistics, self._is_centred())
        if isinstance(module.log_scale, nn.Parameter):
            module.accumulate_scale(s[:n], h[:n], -share[:n])
        if self._is_centred():
            follow(module, s[:n], h[:n], -share[:n], OFFSET_RATE)
        return terms

    def _pulled_to_target(self, module: Any, statistics: Statistics, h: Tensor) -> tuple[Tensor, Statistics]:
        """The sparsity penalty of the data, whose hidden expectations are h, and statistics with its gradient."""
        share = -statistics.share[: len(h)]
        value, slope = self._sparsity(h, share)
        statistics.h[: len(h)] += slope * share[:, None]
        return value, statistics

    def _sparsity(self, h: Tensor, share: Tensor) -> tuple[Tensor, Tensor]:
        """KL divergence of the target from each unit's mean activation, and its slope in the fields of each row."""
        mean, total = mean_activation(h, share)
        value, derivative = bernoulli_divergence(self.sparsity_target, mean)
        return self.sparsity * value.sum(), self.sparsity / total * derivative * h * (1 - h)

    # ---------------------------------------------------------------- progress

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        """What ``early_stopping`` watches: minus the pseudo-likelihood, or for counts the reconstruction error."""
        if has_pseudo_likelihood(module):
            return {"pseudo_likelihood": average(_surprise(module, batch.x), batch.weight)}
        return {"reconstruction": average(_squared_error(module, batch.x), batch.weight)}

    @torch.no_grad()
    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        module = self.module_
        x = self._some_rows(train, len(train) // 2000).x
        found = {"reconstruction": float(_squared_error(module, x).mean())}
        if has_pseudo_likelihood(module):
            found["pseudo_likelihood"] = -float(_surprise(module, x).mean())
        if held_out is not None:
            found["validation_loss"] = float(total(self._loss(module, self._some_rows(held_out, 50), None)))
            some = (self._some_rows(rows, 1000).x for rows in (train, held_out))
            ours, theirs = (self._log_density(module, rows).mean() for rows in some)
            found["free_energy_gap"] = float(ours - theirs)
        return found

    def _some_rows(self, data: Source, least: int) -> Batch:
        """Evenly spaced rows, at least so many, and as many as are quickly examined."""
        rows = counting(data)
        n = min(len(rows), max(EXAMINED // cost_of_row(self.module_), least, 1))
        batch: Batch = data[rows[torch.linspace(0, len(rows) - 1, n).long().to(rows.device)]]
        return batch

    # ---------------------------------------------------------------- using

    def _conclude(self, data: Table) -> None:
        super()._conclude(data)
        if self._algorithm() == "cd":
            self._start_at_data(self.module_, data)

    @torch.no_grad()
    def _start_at_data(self, machine: Harmonium, data: Table) -> None:
        """Let the chains, which "cd" has not moved, start at rows of the data."""
        rows = counting(data)
        some = rows[torch.randint(len(rows), (len(machine.chain),), generator=self._rng).to(rows.device)]
        noise = self._noise()
        machine.chain.copy_(machine.sample_hidden(self._known(machine, data[some], noise).s, noise))

    def sample_given(self, X: Any, n_steps: int = 1000, random_state: Any = None) -> np.ndarray:
        """Draw the unknown entries of rows, given the known ones, by Gibbs sampling.

        Parameters
        ----------
        X : {array-like, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Rows, with NaN where an entry is unknown. If one column of a group of one-hot columns is unknown, all of
            them are. Counts are known or unknown as a whole. A row of unknown counts has the mean length.
        n_steps : int, default=1000
            Steps of each chain. The chains start at states of the model.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, with drawn entries in place of the unknown ones.

        Raises
        ------
        ValueError
            If ``n_steps`` is below 1, or X has infinite entries or another width than in ``fit``.
        """
        check_is_fitted(self)
        require_positive(n_steps=n_steps)
        rng = self._noise(random_state)

        def drawn(module: Any, batch: Batch) -> Tensor:
            x = batch.x
            known = self._in_part(module, x)
            s = module.gibbs(self._starts(self._machine(module), len(x), rng), n_steps, rng, known)
            return self._drawn_down(module, s, rng, known.total)

        return self._filled(X, drawn)

    def _filled(self, X: Any, draw: Callable[[Any, Batch], Tensor]) -> np.ndarray:
        """Rows X with what ``draw(module, batch)`` returns in place of what is unknown."""
        data: Any = super()._source(X)  # nothing need be known of a row
        module: Any = self._ready_module()
        theta = self._flat.theta
        rows = self._collect(draw, data.seen(self._frame, None, theta.dtype, theta.device), undo=self._frame).numpy()
        given = to_tensor(data.X).cpu().double().numpy()
        if np.isinf(given).any():
            row, column = np.argwhere(np.isinf(given))[0]
            raise ValueError(f"Input X contains infinity in row {row}, column {column}: replace it by NaN or a number.")
        known = module.are_known(torch.from_numpy(given).to(theta.device)).cpu().numpy()
        return np.where(known, given, rows)

    def _known(self, module: Any, batch: Batch, rng: torch.Generator) -> Known:
        """States that stand for rows in the gradient: those that are known, and draws or expectations of the others."""
        return Known(module.embed(self._drawn_in_gaps(module, batch, rng)))

    def _drawn_in_gaps(self, module: Any, batch: Batch, rng: torch.Generator) -> Tensor:
        """The rows of a batch, with what is unknown drawn given what is known."""
        if not (self._has_gaps and bool(batch.x.isnan().any())):
            return batch.x
        known = self._in_part(module, batch.x, batch.y)
        rows: Tensor = module.unembed(module.gibbs(known.s, STEPS_IN_GAPS, rng, known))
        return rows

    def _in_part(self, module: Any, x: Tensor, y: Tensor | None = None) -> Known:
        """What is known of rows with gaps."""
        known: Known = module.known_in_part(x, self._mean_totals(x))
        return known

    def _machine(self, module: Harmonium) -> Harmonium:
        return module

    def _levels(self, module: Harmonium) -> list[Level]:
        return [Level(module, module)]

    def _log_density(self, module: Any, x: Tensor) -> Tensor:
        return by_gaps(x, module.log_density, lambda x: log_marginal(module, self._in_part(module, x)))

    def _drawn_up(self, module: Any, x: Tensor, rng: torch.Generator) -> Tensor:
        return module.embed(x)

    def _drawn_down(self, module: Any, s: Tensor, rng: torch.Generator, total: Tensor | None) -> Tensor:
        return module.unembed(s)

    def _walked(self, module: Any, x: Tensor, n_steps: int, rng: torch.Generator) -> Tensor:
        x = by_gaps(x, lambda x: x, lambda x: mean_of_field(module, self._in_part(module, x)))
        return super()._walked(module, x, n_steps, rng)

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        def in_part(x: Tensor) -> Tensor:
            known = self._in_part(module, x)
            return module.hidden_given(module.settled(known), known)

        return by_gaps(batch.x, lambda x: module.hidden.steady_mean(module.hidden_field(module.embed(x))), in_part)

    def _decode(self, module: Any, h: Tensor, batch: Batch) -> Tensor:
        return module.unembed(module.visible_mean(h, self._mean_totals(h)))


def _at_means(machine: Harmonium, x: Tensor) -> Known:
    """What is known of rows x, with unknown units at their means."""
    return machine.known_in_part(x) if bool(x.isnan().any()) else Known(machine.embed(x))


def _surprise(machine: Harmonium, x: Tensor) -> Tensor:
    """Minus the pseudo-likelihood of what is known of each row, on the scale of x, where unknown units are at means."""
    known = _at_means(machine, x)
    log_volume = (known.mask * machine.log_scale).sum(-1) if machine.scaled else 0.0
    return log_volume - pseudo_log_likelihood(machine, known.s, known.s_mask)


def _squared_error(machine: Harmonium, x: Tensor) -> Tensor:
    """Squared distance of what is known of each row to E[x | E[h | x]], where unknown units are at their means."""
    known = _at_means(machine, x)
    back = machine.visible_mean(machine.hidden_mean(known.s), machine.total(known.s))
    return torch.where(known.mask, x - machine.unembed(back), 0.0).square().sum(1)

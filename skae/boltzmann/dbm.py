"""DeepBoltzmannMachine: layers of binary units above the rows, each of which takes from below and from above."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..autoencoders import Autoencoder
from ..base import damage
from ..base.budget import optimizer_of
from ..base.damage import Saved
from ..base.estimator import Run
from ..base.params import NonNegativeInt, PositiveInt, Sizes, sizes_of
from ..energy.annealing import Anneal, annealed_importance
from ..energy.deep import Deep
from ..energy.harmonium import Known, Statistics
from ..energy.marginal import can_sum_out
from ..engine.data import Batch, Source
from ..engine.optim import Terms
from ..functional import Support, average, support_of
from ._deep import Layers, path_layers
from ._files import spec_and_classes
from ._gaps import WITH_GAPS, by_gaps
from ._labels import LabelledMachine
from ._pretraining import pretrain
from ._tuned import MeanFieldTuning
from ._unroll import one_way, unroll
from .machine import VISIBLE
from .rbm import RBM

__all__ = ["DeepBoltzmannMachine"]

MONITOR_CHAINS, MONITOR_BETAS = 50, 200
"""Chains and temperatures of the estimate of log Z after each epoch."""


class DeepBoltzmannMachine(LabelledMachine, RBM):  # type: ignore[misc]  # partial_fit, as in scikit-learn
    """Deep Boltzmann machine: an RBM with further layers of hidden units, all of them undirected.

    With x = h_0 and layers h_1 ... h_L of hidden units, the energy is

        E(x, h_1, ..., h_L) = -a_0'x - sum over l of (a_l'h_l + h_l' W_l h_(l-1)),    p = exp(-E) / Z.

    A unit between two layers takes from both: p(h_1 | x, h_2) = sigmoid(a_1 + W_1 x + W_2' h_2). So what is seen higher
    up decides how ambiguous rows are read, unlike in a ``DeepBeliefNetwork``. The posterior p(h_1, ..., h_L | x) is
    not known. Mean field approximates it by independent units: their means are updated in turn until they settle.

    All layers are learnt together. The gradient is the difference of two means: over the data, where mean field stands
    for the hidden units, and over the model, for which Markov chains stand. Units are centred at their means
    (Montavon and Müller, 2012), which makes greedy pretraining unnecessary.

    ``score_samples`` is the variational lower bound of log p(x). Without hidden layers the machine is an ``RBM``,
    and the bound is log p(x) itself.

    Unknown entries are NaN, in training and later. Each step of training draws them given the known ones. In codes and
    bounds mean field stands for them, as it does for the hidden units. Without hidden layers all is as in ``RBM``.

    Parameters
    ----------
    n_components : int, default=64
        Number of units of the uppermost layer h_L.
    hidden_layer_sizes : tuple of int, or int, default=(64,)
        Numbers of units of the layers between the rows and h_L, from the rows up. () is an RBM.
    code : {"top", "all"}, default="top"
        What ``transform`` returns: the means of h_L, or those of all hidden layers side by side, from the rows up. The
        lower layers hold more of a row than the uppermost one.
    labels : bool, default=False
        Whether ``fit`` joins y to h_L, as a softmax unit above it. Then the machine is a classifier with
        ``classes_``, ``predict`` and ``predict_proba``. ``score`` is its accuracy, and ``sample`` takes a label. If
        False, y is not used. Rows whose label is -1, None or NaN are unlabelled: mean field stands for their label.
    hidden : {"bernoulli", "gaussian", "relu"}, default="bernoulli"
        Kind of the hidden units. With hidden layers only "bernoulli".
    n_mean_field : int, default=1
        Number of updates of all hidden layers by mean field in a step of training. They begin at the means of the
        layers. More updates are hardly ever better, and wide machines may then collapse: mean field ends at the same
        place for all rows, and learning confirms it. After training, mean field always runs until it has settled.
    pretrain_iter : int, default=0
        Number of epochs in which each layer is learnt alone, from the rows up, before all are learnt together. The
        input is doubled where a layer lacks one of its two neighbours (Salakhutdinov and Hinton, 2009). Not used
        without hidden layers, nor by ``partial_fit``.
    early_stopping : bool, default=False
        Whether to watch the bound of log p(x) of held-out rows. After each epoch a short annealing estimates log Z.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted machine.
    components_ : ndarray of shape (n_units_1, n_features)
        Weights W_1.
    coefs_ : list of ndarray
        Weights between neighbours, from the rows up: entry l has the shape (n_units_l, n_units_(l+1)), as in
        ``MLPClassifier``. With ``labels=True`` the last one leads to the label.
    intercepts_ : list of ndarray
        Biases of all layers, those of the rows first.
    intercept_hidden_, intercept_visible_ : ndarray of shape (n_units_1,) and (n_features,)
        Biases of h_1 and of the rows.
    log_partition_, log_partition_error_ : float
        Log Z in nats and its standard error, computed when first asked for.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted, if ``labels``.
    history_ : dict of str to list of float
        Values after each epoch. "reconstruction": the squared error of E[x | h_1], over the known entries of some of
        the rows. With ``early_stopping`` "bound": the bound of log p(x) of held-out rows, in nats, on the scale of X;
        "validation_loss", which is minus the bound on the scale of the machine (of counts, whose Z depends on their
        length, it is the reconstruction error, and there is no "bound"); and "free_energy_gap", as in ``RBM``.
        With ``sparsity`` there is "sparsity", the value of that penalty.
    loss_ : float
        The validation loss of the weights that were kept; NaN without ``early_stopping``.
    n_iter_ : int
        Number of epochs run.
    mean_, scale_, n_features_in_, feature_names_in_
        As ``Autoencoder``.

    See Also
    --------
    RBM : One layer.
    DeepBeliefNetwork : Only the uppermost layer is undirected.

    References
    ----------
    Salakhutdinov and Hinton (2009), "Deep Boltzmann Machines",
    https://proceedings.mlr.press/v5/salakhutdinov09a.html

    Montavon and Müller (2012), "Deep Boltzmann Machines and the Centering Trick",
    https://doi.org/10.1007/978-3-642-35289-8_33

    Melchior, Fischer and Wiskott (2016), "How to Center Deep Boltzmann Machines",
    https://jmlr.org/papers/v17/14-237.html

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepBoltzmannMachine
    >>> X = (load_digits().data > 7).astype(float)
    >>> machine = DeepBoltzmannMachine(32, hidden_layer_sizes=(32,), visible="bernoulli", max_iter=20, random_state=0)
    >>> machine.fit(X).transform(X).shape
    (1797, 32)
    >>> machine.sample(3, random_state=0).shape
    (3, 64)
    >>> bool(machine.score(X) > -25)  # nats per row, a lower bound
    True
    """

    hidden_layer_sizes: Sizes = (64,)
    code: Literal["top", "all"] = "top"
    labels: bool = False
    n_mean_field: PositiveInt = 1
    pretrain_iter: NonNegativeInt = 0

    _saved: ClassVar[dict[str, Saved]] = {
        "_spec": Saved(spec_and_classes),
        "classes_": Saved(damage.classes, required=False),
    }
    _x_doc: ClassVar[dict[str, str]] = WITH_GAPS

    # ---------------------------------------------------------------- the machine

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.hidden != "bernoulli" and self._has_layers_between():
            raise ValueError(
                f"hidden={self.hidden!r} needs hidden_layer_sizes=(), for the layers of a deep machine are binary: use "
                "'bernoulli'."
            )

    def _has_layers_between(self) -> bool:
        """Whether there are layers between the rows and h_L."""
        return len(sizes_of("hidden_layer_sizes", self.hidden_layer_sizes)) > 0

    def _architecture(self, n_features: int) -> dict[str, Any]:
        spec = super()._architecture(n_features)
        (*chains, _) = spec.pop("chain_shape")
        sizes = sizes_of("hidden_layer_sizes", self.hidden_layer_sizes)
        del spec["n_labels"]
        return {**spec, "hidden_layer_sizes": sizes, "labels": self._n_classes(), "chains": tuple(chains)}

    def _layers(self, spec: dict[str, Any]) -> Layers:
        """Units of all layers, and the pairs of neighbours."""
        return path_layers(spec)

    def _new_module(self) -> Deep:
        parts, edges = self._layers(self._spec)
        n_seen = len(parts) - len({upper for _, upper in edges})
        return Deep(
            layers=parts,
            edges=edges,
            n_seen=n_seen,
            n_labels=self._spec["labels"],
            learnt_scale=self._spec["learnt_scale"],
            chains=self._spec["chains"],
        )

    @property
    def _n_features_out(self) -> int:
        module: Deep = self.module_
        layers = module.hidden_layers if self.code == "all" else module.hidden_layers[-1:]
        return sum(len(module.bias(k)) for k in layers)

    # ---------------------------------------------------------------- learning

    def _train(self, data: Source, run: Run) -> None:
        if self.pretrain_iter and len(self.module_.hidden_layers) > 1 and run.train and not (run.resume or run.partial):
            self._pretrain_layers(data)
        super()._train(data, run)

    def _stage_name(self) -> str:
        return "all layers" if self.pretrain_iter and len(self.module_.hidden_layers) > 1 else ""

    def _pretrain_layers(self, data: Any) -> None:
        """Learn the layers one by one, and let the offsets and the chains start at what they say of the rows."""
        module, parts = self.module_, self._layers(self._spec)[0]
        plan = replace(self._plan(len(data), Run()), max_iter=int(self.pretrain_iter))
        pretrain(module, parts, data, plan, optimizer_of(self), self._is_centred(), self._rng)
        with torch.no_grad():
            if self._is_centred():
                batch = self._some_rows(data, 1000)
                same = torch.Generator(module.weight.device).manual_seed(0)
                s = self._known(module, batch, same).s
                share = torch.ones_like(s[:, 0]) if batch.weight is None else batch.weight
                module.follow(s, module.hidden_mean(s), share, 1.0)
            if self._algorithm() != "pt":
                self._start_at_data(module, data)

    def _known(self, module: Deep, batch: Batch, rng: torch.Generator) -> Known:
        x = self._drawn_in_gaps(module, batch, rng)
        return module.filled(module.known(x, batch.y), int(self.n_mean_field))

    def _in_part(self, module: Deep, x: Tensor, y: Tensor | None = None) -> Known:
        return module.known_in_part(x, self._mean_totals(x), y)

    def _pulled_to_target(self, module: Deep, statistics: Statistics, h: Tensor) -> tuple[Tensor, Statistics]:
        """As for one layer. The slope of layers on the visible side is taken off s: rows of data have negative shares.

        That of layers on the hidden side is in rows of its own, since their products are with s as it was.
        """
        if not module.upper.width:
            return super()._pulled_to_target(module, statistics, h)
        n, s, penalty = len(h), statistics.s, h.new_zeros(())
        share = -statistics.share[:n]
        slopes = torch.zeros_like(s), torch.zeros_like(h)
        for k in module.hidden_layers:
            value, slope = self._sparsity(module.layer(k, s[:n], h), share)
            penalty += value
            module.layer(k, slopes[0][:n], slopes[1]).copy_(slope)
        return penalty, Statistics(
            torch.cat([s - slopes[0], s[:n]]),
            torch.cat([statistics.h, slopes[1] * share[:, None]]),
            torch.cat([statistics.share, torch.zeros_like(share)]),
        )

    def _cure(self) -> str:
        if self.labels or self.code == "all" or not self._has_layers_between():
            return super()._cure()
        return f"use code='all' or fewer hidden_layer_sizes, as upper layers may be hardly used, or {super()._cure()}"

    # ---------------------------------------------------------------- progress

    def _loss(self, module: Deep, batch: Batch, rng: torch.Generator | None) -> Terms:
        has_gaps = bool(batch.x.isnan().any())
        known = self._in_part(module, batch.x) if has_gaps else module.known(batch.x)
        s = module.mean_field(known, int(self.n_mean_field))
        back = module.rows_given(module.hidden_given(s, known), known.total)
        error = torch.where(known.mask[..., : module.width], batch.x - back, 0.0)
        return {"reconstruction": average(error.square().sum(1), batch.weight)}

    @torch.no_grad()
    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        module = self.module_
        rows = self._some_rows(train if held_out is None else held_out, 200)
        found = {"reconstruction": float(self._loss(module, rows, None)["reconstruction"])}
        if held_out is None:
            return found
        ours, theirs = (self._log_density(module, some.x).mean() for some in (self._some_rows(train, 200), rows))
        found["free_energy_gap"] = float(ours - theirs)
        if self._sees_counts():  # log Z would depend on the length of a row
            return found | {"validation_loss": found["reconstruction"]}
        betas = torch.linspace(0.0, 1.0, MONITOR_BETAS + 1, dtype=torch.float64)
        same = torch.Generator(module.weight.device).manual_seed(0)  # one noise for all epochs
        log_z = annealed_importance(Anneal(module), betas, MONITOR_CHAINS, same).value
        found["validation_loss"] = log_z - float(theirs)
        return found | {"bound": -found["validation_loss"] - self._frame.log_volume}

    # ---------------------------------------------------------------- parameters

    @property
    def coefs_(self) -> list[np.ndarray]:
        """Weights between neighbours, of shape (units below, units above)."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        return [module.weights(*edge).detach().cpu().numpy().T.copy() for edge in module.edges]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """Biases of all layers, those of the rows first."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        return [module.bias(k).detach().cpu().numpy().copy() for k in range(module.n_layers)]

    @property
    def components_(self) -> np.ndarray:
        """Weights W_1, of shape (n_units_1, n_features)."""
        return np.ascontiguousarray(self.coefs_[0].T)

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """Biases of the first hidden layer."""
        return self.intercepts_[1]

    @property
    def intercept_visible_(self) -> np.ndarray:
        """Biases of the rows."""
        return self.intercepts_[0]

    def _receptive_fields(self) -> list[np.ndarray]:
        """Receptive fields of all hidden layers in x; of gaussian units in their standard deviations. For displays."""
        weights = self.coefs_[: len(self.module_.hidden_layers)]
        return [W.T for W in accumulate(weights, np.matmul)]

    # ---------------------------------------------------------------- using

    def _support(self) -> Support | None:
        units, _ = self.module_.rows.kinds()[0]
        return support_of("visible", VISIBLE[type(units)], getattr(units, "sizes", ()))

    def _log_density(self, module: Deep, x: Tensor) -> Tensor:
        if module.n_labels:
            return self._label_scores(module, x).logsumexp(1)
        if not module.upper.width and can_sum_out(module):
            return super()._log_density(module, x)
        return by_gaps(x, module.log_density, lambda x: module.log_density_in_part(self._in_part(module, x)))

    def _label_scores(self, module: Deep, x: Tensor) -> Tensor:
        return by_gaps(x, module.label_scores, lambda x: module.label_scores_in_part(x, self._mean_totals(x)))

    def _holding(self, labels: Tensor) -> Known:
        module: Deep = self.module_
        return module.known_layers({module.hidden_layers[-1] + 1: labels})

    def _drawn_up(self, module: Deep, x: Tensor, rng: torch.Generator) -> Tensor:
        return module.sample_above(module.settled(module.known(x)), rng)

    def _encode(self, module: Deep, batch: Batch) -> Tensor:
        return by_gaps(
            batch.x,
            lambda x: self._code_of(module, module.known(x)),
            lambda x: self._code_of(module, self._in_part(module, x)),
        )

    def _code_of(self, module: Deep, known: Known) -> Tensor:
        """Means of the hidden layers given what is known of the rows."""
        s = module.settled(known)
        h = module.hidden_given(s, known)
        layers = module.hidden_layers if self.code == "all" else module.hidden_layers[-1:]
        return torch.cat([module.layer(k, s, h) for k in layers], 1)

    def _decode(self, module: Deep, h: Tensor, batch: Batch) -> Tensor:
        layers = list(module.hidden_layers) if self.code == "all" else [module.hidden_layers[-1]]
        pieces = h.split([len(module.bias(k)) for k in layers], 1)
        known = module.known_layers(dict(zip(layers, pieces, strict=True)), self._mean_totals(h))
        return module.rows_given(module.hidden_given(module.settled(known), known), known.total)

    # ---------------------------------------------------------------- deterministic networks

    def _tunable(self) -> Any:
        """With hidden layers or a label, a network that also sees the mean field above each of its layers."""
        module: Deep = self.module_
        return MeanFieldTuning(self) if len(module.edges) > module.n_seen else self

    def to_autoencoder(self) -> Autoencoder:
        """A fitted ``Autoencoder`` that approximates this machine in one pass upwards and one downwards.

        Mean field goes up and down until it settles, and an ``Autoencoder`` goes up and down once. A layer between two
        others then sees one of its two neighbours. It takes twice the weights from that one, as in pretraining. So
        ``transform`` and ``inverse_transform`` differ from those of the machine, except without hidden layers.

        The code explains 0.95 of the variance of that of the machine, for two layers of 64 units and digits in black
        and white; for 500 and 1000 units and MNIST it is 0.82. The rows are decoded poorly from it, with an R2 of -1
        for digits (by mean field -0.5). After ``set_params(warm_start=True, max_iter=50).fit(X)`` it is 0.67.

        Returns
        -------
        autoencoder : Autoencoder

        Raises
        ------
        ValueError
            If no ``Autoencoder`` has such layers: if the visible units are counts, if there is a label, or if the
            code is that of all layers.
        """
        check_is_fitted(self)
        module: Any = self._ready_module()
        if self.code == "all" and len(module.hidden_layers) > 1:
            raise ValueError(
                "code='all' puts layers side by side, but the code of an Autoencoder is its last layer: use code='top'."
            )
        return unroll(self, one_way(module, self._layers(self._spec)[0]))

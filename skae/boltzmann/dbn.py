"""DeepBeliefNetwork: restricted Boltzmann machines stacked into one model of the density."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Annotated, Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from ..base.estimator import Run
from ..base.listening import attended
from ..base.params import NonNegative, NonNegativeInt, Sizes, sizes_of
from ..base.state import new_generator
from ..energy.belief import Belief
from ..energy.harmonium import Harmonium, Known
from ..energy.label import draw_missing
from ..engine.data import Batch, Source, Table, resolve_device
from ..engine.listeners import in_stage
from ..engine.optim import Terms
from ..engine.train import Plan
from ..functional import average
from ._files import SAVED
from ._greedy import beside_labels, codes_for, frame_of, make_layers, require_room_for_labels, settings_of, sides_of
from ._labels import LabelledMachine
from ._unroll import Level
from .machine import BoltzmannMachine
from .rbm import RBM

__all__ = ["DeepBeliefNetwork"]

N_DRAWS = 32
"""Draws from q for the bound of a row."""

Layers: TypeAlias = Annotated[Sequence[Any], list, tuple]


class DeepBeliefNetwork(LabelledMachine, BoltzmannMachine):  # type: ignore[misc]  # partial_fit, as in scikit-learn
    """Deep generative model: an RBM at the top, and directed layers from it down to the data.

    With layers h_1 ... h_n it is the density

        p(x) = sum over h of p(x | h_1) p(h_1 | h_2) ... p(h_(n-1), h_n),

    where the last factor is an RBM's. It is learnt greedily: the first layer is an RBM of the rows, the second
    an RBM of the states of the first, and so on. Rows that are probabilities, such as greys, are drawn as states
    too. This raises a lower bound of log p(x) as long as each layer is a better model of the states below it. Then
    up-down learning may tune all weights together. States drawn upwards from the rows teach the weights that lead
    down. States drawn downwards from the top teach the weights that lead up, which are separate from then on.

    ``score_samples`` is the bound E[log p(x | h_1) + ... - F(h_(n-1)) - log Z] + H. The expectation is over states
    drawn upwards, H is their entropy, F the free energy of the top, and Z its partition function (Salakhutdinov
    and Murray, 2008). 32 draws estimate it. They are the same in every call, so that the score of a row
    depends on that row alone. A label at the top is summed out. ``score`` is the mean of ``score_samples``, or the
    accuracy with ``labels=True``.

    Rows whose label is -1, None or NaN are unlabelled. Of such a row, the top learns the density without the label: in
    each step a label is drawn from p(y | z), where z are the states that the top sees of the row. On average over the
    draws, this is the gradient of log p(z).

    Each layer has the parameters of ``RBM``, in common with the others or by ``layers``. Without hidden layers
    the network is an ``RBM``, and its score is log p(x) itself.

    Parameters
    ----------
    n_components : int, default=64
        Number of units of the code, which is the uppermost layer.
    labels : bool, default=False
        Whether ``fit`` joins y to the layer below the code, as a softmax unit. Then the network is a classifier with
        ``classes_``, ``predict`` and ``predict_proba``. ``score`` is its accuracy, and ``sample`` takes a label. If
        False, y is not used.
    hidden_layer_sizes : tuple of int, or int, default=(128,)
        Numbers of units of the layers between the rows and the code. () is an RBM.
    hidden : {"bernoulli", "gaussian", "relu"}, default="bernoulli"
        Kind of the units of all layers but the rows. The layer above sees binary units as "bernoulli", and
        the others as "gaussian".
    layers : list of dict, or None, default=None
        For each layer, from the rows up to the code, a dictionary of the parameters of RBM in which it
        differs from the others. ``[{}, {"hidden": "gaussian"}]`` has a code of real numbers.
    up_down_iter : int, default=0
        Number of epochs of up-down learning, after the layers have been learnt.
    up_down_rate : float, default=0.001
        Learning rate of up-down learning. ``learning_rate`` is its schedule over the epochs.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs of each layer. "auto" is as in ``RBM``.
    verbose : int, default=0
        0 is silent, 1 shows a progress bar, 2 prints one line per epoch, of each layer and of up-down learning. A
        ``verbose`` in ``layers`` shows its layer alone.
    random_state : int, RandomState instance or None, default=None
        Seed of the first layer, as in ``RBM``. The seeds of the others are drawn from it.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit: with all layers if ``up_down_iter`` is 0, and otherwise
        only with up-down learning.

    Attributes
    ----------
    layers_ : list of RBM
        The layers as they were learnt one by one, each with its ``history_``. Those above the first
        see states of the layer below.
    module_ : torch.nn.Module
        The whole network.
    components_ : ndarray of shape (n_components, n_units)
        Weights W of the top; its visible units are those of the layer below, and the label.
    intercept_hidden_, intercept_visible_ : ndarray of shape (n_components,) and (n_units,)
        Biases b and a of the top.
    log_partition_, log_partition_error_ : float
        Log Z of the top in nats and its standard error, computed when first asked for.
    history_ : dict of str to list of float
        Values after each epoch of the stage that learns last: up-down learning if there is any, and otherwise
        the code's layer.
    loss_ : float
        The loss at the end of that stage.
    n_iter_ : int
        Number of epochs of that stage.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted, if ``labels``.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        What centred X is divided by if the visible units are gaussian, and otherwise 1.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    RBM : One layer.
    StackedAutoencoder : Layers that are fine-tuned to reconstruct.

    References
    ----------
    Hinton, Osindero and Teh (2006), "A Fast Learning Algorithm for Deep Belief Nets",
    https://doi.org/10.1162/neco.2006.18.7.1527

    Salakhutdinov and Murray (2008), "On the Quantitative Analysis of Deep Belief Networks",
    https://doi.org/10.1145/1390156.1390266

    Larochelle, Mandel, Pascanu and Bengio (2012), "Learning Algorithms for the Classification Restricted Boltzmann
    Machine", https://jmlr.org/papers/v13/larochelle12a.html

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DeepBeliefNetwork
    >>> X, y = load_digits(return_X_y=True)
    >>> X = X / 16
    >>> network = DeepBeliefNetwork(
    ...     64, hidden_layer_sizes=(64,), visible="bernoulli", algorithm="cd", max_iter=20, random_state=0
    ... )
    >>> network.fit(X).transform(X).shape
    (1797, 64)
    >>> classifier = network.set_params(labels=True).fit(X, y)
    >>> classifier.sample(5, n_steps=100, y=3).shape
    (5, 64)
    >>> bool((classifier.predict(X) == y).mean() > 0.5)
    True
    """

    labels: bool = False
    hidden_layer_sizes: Sizes = (128,)
    layers: Layers | None = None
    up_down_iter: NonNegativeInt = 0
    up_down_rate: NonNegative = 1e-3

    _saved = SAVED

    # ---------------------------------------------------------------- the network

    def _architecture(self, n_features: int) -> dict[str, Any]:
        layers, widths = self._made_layers(), self._widths()
        below = zip(layers, [n_features, *widths[:-1]], strict=True)
        specs = [layer._architecture(n_in + layer._n_labels) for layer, n_in in below]
        return {
            "n_features": n_features,
            "n_components": widths[-1],
            "hidden_layer_sizes": tuple(widths[:-1]),
            "layers": tuple((s["visible"], s["hidden"], s["learnt_scale"], s["chain_shape"]) for s in specs),
            "categories": specs[0]["categories"],
            "labels": self._n_classes(),
        }

    def _new_module(self) -> Belief:
        *_, learnt_scale, chain_shape = self._spec["layers"][-1]
        return Belief(layers=sides_of(self._spec), learnt_scale=learnt_scale, chain_shape=chain_shape)

    def _widths(self) -> list[int]:
        return [*sizes_of("hidden_layer_sizes", self.hidden_layer_sizes), int(self.n_components)]

    def _check_parameters(self) -> None:
        """Check those of each layer, since a layer may have others than the network."""
        require_room_for_labels(self._new_layers()[-1], self.labels)

    def _new_layers(self) -> list[RBM]:
        """Unfitted layers, without labels; the first has the seed of the whole network."""
        own = {"verbose": 0, "callback": None, "checkpoint": None, "warm_start": False}
        parameters = {name: getattr(self, name) for name in RBM().get_params()} | own
        return make_layers(self.layers, parameters, self._widths())

    def _made_layers(self) -> list[RBM]:
        """Unfitted layers; the last has the labels."""
        layers = self._new_layers()
        layers[-1]._n_labels = self._n_classes()
        return layers

    def _stage_name(self) -> str:
        return "up-down"

    def _initialise(self, module: Belief, data: Any, rng: torch.Generator) -> None:
        self._is_tuned = False
        self._take_layers(module)

    # ---------------------------------------------------------------- learning

    def _pretrain(self, data: Source, run: Run) -> None:
        if run.resume and self.up_down_iter:
            return
        if run.resume and self._is_tuned:
            raise ValueError(
                "up_down_iter=0 goes on with the layers one by one, but up-down learning has tuned them together: "
                "use up_down_iter of at least 1, or call fit with warm_start=False."
            )
        rows = self._learnt(data, run)
        if not run.resume:
            self._measure(rows)
            self._spec = self._architecture(rows.width)
        device, dtype = resolve_device(self.device, self.dtype), getattr(torch, self.dtype)
        belief = self._new_module().to(device, dtype)
        if run.resume:
            belief.load_state_dict(self.module_.state_dict())
        made = self._made_layers()
        self.layers_: list[RBM] = copy.deepcopy(self.layers_) if run.resume else made
        for layer, new in zip(self.layers_, made, strict=True):
            layer.set_params(**settings_of(new))
        self._learn_layers(belief, self._seen(rows, dtype, device, resident=True), run)

    def _learn_layers(self, belief: Belief, data: Any, run: Run) -> None:
        """Learn one layer after the other, or go on with all of them."""
        for k, layer in enumerate(self.layers_):
            codes = codes_for(layer, k, belief, data, self._rng)
            if not run.resume:
                self._prepare(layer, belief, k, codes)
            with in_stage(f"layer {k + 1} of {len(self.layers_)}"), attended(layer):
                layer._learn_seen(codes, run._replace(partial=run.partial and not self.up_down_iter))
            if k < len(belief.stages):
                belief.stages[k].take(layer.module_)

    def _last_stage(self) -> Any:
        return self if self.up_down_iter else self.layers_[-1]

    def _take_layers(self, module: Belief) -> None:
        """Take over the weights and the frames of the layers."""
        above = self.layers_[1:]
        for stage, layer, next_layer in zip(module.stages, self.layers_[:-1], above, strict=True):
            stage.take(layer.module_)
            stage.adopt(next_layer._frame)
        module.top.load_state_dict(self.layers_[-1].module_.state_dict())

    def _train(self, data: Source, run: Run) -> None:
        if self.up_down_iter:
            self.history_, self._is_tuned = self.history_ if self._is_tuned else {}, True
            super()._train(data, run)
            return
        if run.resume:
            self._take_layers(self.module_)
        top = self.layers_[-1]
        self.history_, self.n_iter_, self.loss_ = dict(top.history_), top.n_iter_, top.loss_

    def _prepare(self, layer: RBM, belief: Belief, k: int, codes: Source) -> None:
        """Give a new layer a seed and the frame of the codes that it will learn from."""
        if k:
            layer.random_state = int(torch.randint(2**31 - 1, (), generator=self._rng))
            layer._frame = frame_of(layer, codes)
            belief.stages[k - 1].adopt(layer._frame)
        else:
            layer._frame = beside_labels(self._frame, layer, codes)
        layer.n_features_in_ = len(layer._frame)
        layer._rng = new_generator(layer.random_state)

    def _plan(self, n_samples: int, run: Run) -> Plan:
        plan = super()._plan(n_samples, run)
        return replace(plan, max_iter=min(1, plan.max_iter) if run.partial else int(self.up_down_iter) * run.train)

    def _rate(self, schedule: str) -> float:
        return float(self.up_down_rate)

    @torch.no_grad()
    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        """Take a step of up-down learning.

        Wake: weights that lead down learn from states drawn from q. Top: it learns as an RBM. Sleep: weights
        that lead up, those of q, learn from states drawn downwards from the top.
        """
        x, top = batch.x, self.layers_[-1]
        share = x.new_full((len(x),), 1 / len(x)) if batch.weight is None else batch.weight / len(x)
        awake = module.states_up(x, rng)
        seen = awake[-1]
        if batch.y is not None:
            seen = torch.cat([seen, draw_missing(module.top, seen, batch.y, rng)], 1)
        terms = top._step(module.top, Batch(seen, batch.weight), rng)
        asleep = module.states_down(self._dream(module.top, seen, rng), rng, self._mean_totals(x))
        dreamt = x.new_full((len(asleep[0]),), float(share.sum()) / len(asleep[0]))
        for k, stage in enumerate(module.stages):
            stage.learn_down(awake[k], awake[k + 1], share)
            stage.learn_up(asleep[k], asleep[k + 1], dreamt)
        return {**terms, "reconstruction": self._reconstruction(module, x[: len(x) // 16 + 1])}

    def _dream(self, top: Harmonium, seen: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states of the top to draw downwards from: those of its chains, or of some steps from the rows."""
        layer = self.layers_[-1]
        if layer._algorithm() == "cd":
            return top.gibbs(top.embed(seen), int(layer.n_gibbs), rng)
        return self._starts(top, len(seen), rng)

    def _reconstruction(self, module: Belief, x: Tensor, weight: Tensor | None = None) -> Tensor:
        back = module.mean_down(module.code(x), self._mean_totals(x))
        return average((x - back).square().sum(1), weight)

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        """What ``early_stopping`` watches in up-down learning."""
        return {"reconstruction": self._reconstruction(module, batch.x, batch.weight)}

    def _conclude(self, data: Table) -> None:
        super()._conclude(data)
        self._seed = int(torch.randint(2**62, (), generator=self._rng))
        top = self.layers_[-1]
        if self._is_tuned and top._algorithm() == "cd":
            module = self.module_
            top._start_at_data(module.top, codes_for(self, len(module.stages), module, data, self._rng))

    # ---------------------------------------------------------------- using

    def _holding(self, labels: Tensor) -> Known:
        module: Any = self.module_
        s = torch.cat([labels.new_zeros(len(labels), module.width), labels], 1)
        return Known(s, torch.arange(s.shape[1], device=s.device) >= module.width)

    def _machine(self, module: Belief) -> Harmonium:
        return module.top

    def _levels(self, module: Belief) -> list[Level]:
        seen = [(0.0, 1.0), *((stage.shift, stage.spread) for stage in module.stages)]
        machines = [*((stage.up, stage.down) for stage in module.stages), (module.top, module.top)]
        return [Level(*pair, *frame) for pair, frame in zip(machines, seen, strict=True)]

    def _log_density(self, module: Belief, x: Tensor) -> Tensor:
        """The variational bound, at the draws from q of this fit."""
        return module.bound(x, module.quantiles(N_DRAWS, torch.Generator().manual_seed(self._seed)))

    def _drawn_up(self, module: Belief, x: Tensor, rng: torch.Generator) -> Tensor:
        return module.beside_guess(module.states_up(x, rng)[-1], rng)

    def _drawn_down(self, module: Belief, s: Tensor, rng: torch.Generator, total: Tensor | None) -> Tensor:
        return module.states_down(s, rng, total)[0]

    def _encode(self, module: Belief, batch: Batch) -> Tensor:
        return module.code(batch.x)

    def _decode(self, module: Belief, h: Tensor, batch: Batch) -> Tensor:
        return module.mean_down(h, self._mean_totals(h))

    @torch.no_grad()
    def _receptive_fields(self) -> list[np.ndarray]:
        """Receptive fields of all layers in x; of gaussian units in their standard deviations. For displays."""
        module: Any = self._ready_module()
        first, *above = self._levels(module)
        weights = (first.up.weight[:, : len(self.mean_)], *(level.up.weight / level.sigma for level in above))
        return [W.cpu().numpy() for W in accumulate(weights, lambda below, W: W[:, : len(below)] @ below)]

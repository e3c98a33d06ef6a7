"""DeepBeliefNetwork: restricted Boltzmann machines stacked into one model of the density."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base.checks import require_positive
from ..base.estimator import Run
from ..base.params import NonNegative, NonNegativeInt, Sizes, sizes_of
from ..base.state import new_generator
from ..energy.belief import Belief
from ..energy.harmonium import Harmonium, Held
from ..energy.units import Part
from ..engine.data import Batch, Source, Table, resolve_device
from ..engine.frame import Frame
from ..engine.optim import Terms
from ..engine.train import Plan
from ..functional import average, spawn
from ._greedy import Codes, frame_of, make_layers
from ._labels import classes_of, labels_to_hold, one_hot, read_labels
from ._unroll import Level
from .machine import BoltzmannMachine, visible_parts
from .rbm import RBM

__all__ = ["DeepBeliefNetwork"]

N_DRAWS = 32
"""Draws from q for the bound of a row."""

Layers: TypeAlias = Annotated[Sequence[Any], list, tuple]


def _has_labels(estimator: Any) -> bool:
    """Whether labels are joined; scikit-learn calls this when it looks for the method."""
    if not estimator.labels:
        raise AttributeError("predict needs a label at the top of the network: fit with labels=True, and y.")
    return True


class DeepBeliefNetwork(BoltzmannMachine):
    """Deep generative model: an RBM at the top, and directed layers from it down to the data.

    With layers h_1 ... h_n it is the density

        p(x) = sum over h of p(x | h_1) p(h_1 | h_2) ... p(h_(n-1), h_n),

    where the last factor is an RBM's. It is learnt greedily: the first layer is an RBM of the rows, the second
    an RBM of the states of the first, and so on. This raises a lower bound of log p(x) as long as each layer is
    a better model of the states below it. Then up-down learning may tune all weights together. States drawn
    upwards from the rows teach the weights that lead down. States drawn downwards from the top teach the
    weights that lead up, which are separate from then on.

    ``score_samples`` is the bound E[log p(x | h_1) + ... - F(h_(n-1)) - log Z] + H. The expectation is over states
    drawn upwards, H is their entropy, F the free energy of the top, and Z its partition function (Salakhutdinov
    and Murray, 2008). 32 draws estimate it. They are the same in every call, so that the score of a row
    depends on that row alone. A label at the top is summed out.

    Each layer has the parameters of ``RBM``, in common with the others or by ``layers``. Without hidden layers
    the network is an ``RBM``, and its score is log p(x) itself.

    Parameters
    ----------
    n_components : int, default=64
        Number of units of the code, which is the uppermost layer.
    labels : bool, default=False
        Whether ``fit`` joins y to the layer below the code, as a softmax unit. Then there are
        ``classes_``, ``predict`` and ``predict_proba``, and ``sample`` takes a label. If False, y is not used.
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
    max_iter : int, default=50
        Maximum number of epochs of each layer.
    verbose : int, default=0
        1 shows a progress bar, 2 prints one line per epoch. This applies to the stage that learns last: the layer of
        the code, or up-down learning. For the layers below, set ``verbose`` in ``layers``.
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

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,), default=None
    Labels, one for each row, of at least two classes. Required with ``labels=True``, and ignored without."""
    }

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
            "n_labels": self._n_classes(),
        }

    def _new_module(self) -> Belief:
        spec = self._spec
        widths = [spec["n_features"], *spec["hidden_layer_sizes"], spec["n_components"]]
        sides = []
        for k, (visible, hidden, _, _) in enumerate(spec["layers"]):
            n_labels = spec["n_labels"] if k == len(widths) - 2 else 0
            seen = visible_parts(visible, widths[k] + n_labels, () if k else spec["categories"], n_labels)
            sides.append((seen, [Part(hidden, widths[k + 1])]))
        *_, learnt_scale, chain_shape = spec["layers"][-1]
        return Belief(layers=sides, learnt_scale=learnt_scale, chain_shape=chain_shape)

    def _widths(self) -> list[int]:
        return [*sizes_of("hidden_layer_sizes", self.hidden_layer_sizes), int(self.n_components)]

    def _n_classes(self) -> int:
        return len(self.classes_) if self.labels else 0

    def _made_layers(self) -> list[RBM]:
        """Unfitted layers; the first has the seed of the whole network."""
        own = RBM().get_params()
        shown = {"verbose": 0, "warm_start": False}
        layers = make_layers(
            self.layers, {name: getattr(self, name) for name in own} | shown, self._widths(), self._n_classes()
        )
        if not self.up_down_iter and "verbose" not in (self.layers or [{}])[-1]:
            layers[-1].verbose = self.verbose
        return layers

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray | None:
        if reset:
            self.__dict__.pop("classes_", None)
        if not self.labels:
            return None
        labels = read_labels(y, n_samples)
        if reset:
            self.classes_ = classes_of(labels, weight)
        return one_hot(labels, self.classes_).numpy()

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
            layer.set_params(**_settings(new))
        self._learn_layers(belief, self._seen(rows, dtype, device, resident=True), run)

    def _learn_layers(self, belief: Belief, data: Any, run: Run) -> None:
        """Learn one layer after the other, or go on with all of them."""
        for k, layer in enumerate(self.layers_):
            codes = self._codes(belief, k, data)
            if not run.resume:
                self._prepare(layer, belief, k, codes)
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

    def _codes(self, belief: Belief, k: int, data: Any) -> Any:
        """What layer k learns from."""
        labelled = k == len(belief.stages) and belief.n_labels > 0
        if k == 0 and not labelled:
            return data
        rng = spawn(self._rng, belief.top.weight.device)

        def lift(x: Tensor, y: Tensor | None) -> Tensor:
            x = belief.states_up(x, rng, k)[-1]
            return x if y is None or not labelled else torch.cat([x, y], 1)

        width = [data.width, *self._widths()][k] + (belief.n_labels if labelled else 0)
        return Codes(data, width, lift)

    def _prepare(self, layer: RBM, belief: Belief, k: int, codes: Source) -> None:
        """Give a new layer a seed and the frame of the codes that it will learn from."""
        if k:
            layer.random_state = int(torch.randint(2**31 - 1, (), generator=self._rng))
            layer._frame = frame_of(layer, codes)
            belief.stages[k - 1].adopt(layer._frame)
        else:
            of_labels = frame_of(layer, codes).mean[len(self._frame) :] if isinstance(codes, Codes) else np.empty(0)
            layer._frame = Frame(np.append(self._frame.mean, of_labels), self._frame.scale, self._frame.centred)
        layer.n_features_in_ = len(layer._frame)
        layer._rng = new_generator(layer.random_state)

    def _plan(self, n_samples: int, run: Run) -> Plan:
        plan = super()._plan(n_samples, run)
        return replace(plan, max_iter=min(1, plan.max_iter) if run.partial else int(self.up_down_iter) * run.train)

    def _rate(self) -> float:
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
        seen = awake[-1] if not module.n_labels else torch.cat([awake[-1], batch.y], 1)  # type: ignore[list-item]
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
            top._start_at_data(self.module_.top, self._codes(self.module_, len(self.module_.stages), data))

    # ---------------------------------------------------------------- labels

    @available_if(_has_labels)
    def predict_proba(self, X: Any) -> Any:
        """Probability of each label, given the states that the top of the network sees of a row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        p : ndarray of shape (n_samples, n_classes)
            Each row sums to one. The columns are in the order of ``classes_``.
        """
        return self._map(lambda module, batch: module.label_scores(module.mean_up(batch.x)).softmax(1), X, like=X)

    @available_if(_has_labels)
    def predict(self, X: Any) -> np.ndarray:
        """The most probable label of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
        """
        chosen: np.ndarray = self.classes_[np.asarray(self.predict_proba(X)).argmax(axis=1)]
        return chosen

    def sample(self, n_samples: int = 1, n_steps: int = 1000, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model: by Gibbs sampling at the top, and downwards from there.

        The chains go on from where those of the training ended.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains. The last state of each chain gives a row.
        n_steps : int, default=1000
            Steps of each chain.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.
        y : label, array-like of shape (n_samples,), or None, default=None
            Class to draw from, if the network was fitted with ``labels=True``. None draws from all classes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If a number is below 1, or y is no class.
        """
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        held = None
        if y is not None:
            label = labels_to_hold(y, n_samples, getattr(self, "classes_", None)).to(self._flat.theta)
            width = self.module_.width
            held = Held(slice(width, width + label.shape[1]), label)
        return self._samples(n_samples, n_steps, random_state, held)

    # ---------------------------------------------------------------- using

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


def _settings(layer: RBM) -> dict[str, Any]:
    """Parameters that may change between one call of fit and the next."""
    return {name: value for name, value in layer.get_params().items() if name != "random_state"}

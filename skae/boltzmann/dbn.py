"""DeepBeliefNetwork: restricted Boltzmann machines stacked into one model of the density."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..autoencoders import Autoencoder
from ..base.estimator import TorchEstimator
from ..base.params import NonNegative, NonNegativeInt, Sizes, sizes_of
from ..energy.belief import Belief
from ..energy.harmonium import Harmonium
from ..engine.data import Array, Batch, Source, Table, to_tensor
from ..engine.optim import Terms
from ..engine.train import Plan
from ..functional import average
from ._deep_density import DeepDensity
from ._greedy import Codes, make_layers, prepare
from ._unroll import Level, unroll
from .rbm import RBM

__all__ = ["DeepBeliefNetwork"]

Layers: TypeAlias = Annotated[Sequence[Any], list, tuple]


class DeepBeliefNetwork(DeepDensity):
    """Deep generative model: an RBM at the top, and directed layers from it down to the data.

    With layers h_1 ... h_n it is the density

        p(x) = sum over h of p(x | h_1) p(h_1 | h_2) ... p(h_(n-1), h_n),

    where the last factor is an RBM's. It is learnt greedily: the first layer is an RBM of the rows, the
    second one of the states of the first, and so on, which raises a lower bound of log p(x) as long as
    each is a better model of the states below it. Then up-down learning may tune all weights together:
    states drawn upwards teach the weights that lead down, and states dreamt downwards from the top teach
    those that lead up, which are other ones from then on.

    Each layer has the parameters of ``RBM``, in common or by ``layers``. Without hidden layers it is
    ``RBM``.

    Parameters
    ----------
    n_components : int, default=64
        Units of the code, which is the uppermost layer.
    hidden_layer_sizes : tuple of int, or int, default=(128,)
        Units of the layers between the rows and the code; () is an RBM.
    hidden : {"bernoulli", "gaussian", "relu"}, default="bernoulli"
        Kind of the units of all layers but the rows. It is binary units that the next layer sees as
        "bernoulli", the others as "gaussian".
    layers : list of dict, or None, default=None
        Parameters of RBM in which a layer differs from the rest, from the rows up: a dictionary for
        each layer and one for the code. ``[{}, {"hidden": "gaussian"}]`` has a code of real numbers.
    up_down_iter : int, default=0
        Epochs of up-down learning after the layers have been learnt.
    up_down_rate : float, default=0.001
        Its learning rate; its course over the epochs is ``learning_rate``.
    max_iter : int, default=50
        Epochs of each layer at the most.
    verbose : int, default=0
        1 shows a progress bar, 2 prints a line an epoch, of the stage that learns last: the code's layer
        or up-down learning. Layers below are shown if ``layers`` says so.
    random_state : int, RandomState instance or None, default=None
        Seed of the first layer, as in ``RBM``; that of the others is drawn from it.
    warm_start : bool, default=False
        Whether ``fit`` goes on from the last fit: all layers if ``up_down_iter`` is 0, else only
        up-down learning.

    Attributes
    ----------
    layers_ : list of RBM
        The layers as they were learnt one by one, each with its ``history_``. Those above the first
        see states.
    module_ : torch.nn.Module
        The whole network.
    history_ : dict of str to list of float
        An entry an epoch of the stage that learns last. If that is up-down learning: "reconstruction",
        the squared error of some rows, and with ``early_stopping`` "validation_loss", that of held-out
        rows. If it is the code's layer: what ``RBM`` tells. There is no "loss", as in ``RBM``.
    loss_ : float
        The validation loss of the weights that were kept; NaN without ``early_stopping``.
    n_iter_ : int
        Its epochs.
    classes_ : ndarray of shape (n_classes,)
        Labels, sorted, if ``labels``.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        What centred X is divided by, if the visible units are gaussian; else 1.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had any.

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

    hidden_layer_sizes: Sizes = (128,)
    layers: Layers | None = None
    up_down_iter: NonNegativeInt = 0
    up_down_rate: NonNegative = 1e-3

    _Module: ClassVar[type[nn.Module]] = Belief

    # ---------------------------------------------------------------- the network

    def _architecture(self, n_features: int) -> dict[str, Any]:
        layers, widths = self._made_layers(), self._widths()
        above = zip(layers, [n_features, *widths[:-1]], strict=True)
        specs = [layer._architecture(n_in + getattr(layer, "n_labels", 0)) for layer, n_in in above]
        return {
            "n_features": n_features,
            "n_components": widths[-1],
            "hidden_layer_sizes": tuple(widths[:-1]),
            "layers": tuple((s["visible"], s["hidden"], s["learnt_scale"], s["chain_shape"]) for s in specs),
            "categories": specs[0]["categories"],
            "n_labels": self._n_labels(),
        }

    def _widths(self) -> list[int]:
        return [*sizes_of("hidden_layer_sizes", self.hidden_layer_sizes), int(self.n_components)]

    def _n_labels(self) -> int:
        return len(self.classes_) if self.labels else 0

    def _made_layers(self) -> list[RBM]:
        """Unfitted machines of all layers, the first of which has the seed of the whole."""
        own = RBM().get_params()
        shown = {"verbose": 0, "warm_start": False}
        layers = make_layers(
            self.layers, {name: getattr(self, name) for name in own} | shown, self._widths(), self._n_labels()
        )
        if not self.up_down_iter and "verbose" not in (self.layers or [{}])[-1]:
            layers[-1].verbose = self.verbose
        return layers

    def _table(self, X: Array, y: Any, weight: np.ndarray | None, device: torch.device) -> Table:
        return super()._table(X, None if y is None else self._one_hot(y), weight, device)

    def _build(self, data: Table, device: torch.device) -> None:
        super()._build(data, device)
        self.layers_: list[RBM] = []
        self._is_tuned = False

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        """The weights are those of the layers, which ``_train`` learns one by one."""

    def _require_same_architecture(self, n_features: int) -> None:
        super()._require_same_architecture(n_features)
        if self._is_tuned and not self.up_down_iter:
            raise ValueError(
                "up_down_iter=0 goes on with the layers one by one, but up-down learning has tuned them together: "
                "use up_down_iter of at least 1, or call fit with warm_start=False."
            )

    # ---------------------------------------------------------------- learning

    def _train(self, data: Table, partial: bool) -> None:
        if not (self.layers_ and self.up_down_iter):
            self._train_layers(data, partial and not self.up_down_iter)
        if self.up_down_iter:
            self.history_, self._is_tuned = self.history_ if self._is_tuned else {}, True
            super()._train(data, partial)
        else:
            top = self.layers_[-1]
            self.history_, self.n_iter_, self.loss_ = dict(top.history_), top.n_iter_, top.loss_

    def _train_layers(self, data: Table, partial: bool) -> None:
        """Learn one layer after the other, and take over their weights when all are done."""
        made, before = self._made_layers(), copy.deepcopy(self.layers_)
        belief: Any = self._new_module().to(self._flat.theta)
        belief.load_state_dict(self.module_.state_dict())
        layers: list[RBM] = []
        for k, layer in enumerate(made):
            codes = self._codes(belief, k, data)
            if before:
                layer = before[k].set_params(**_settings(layer))
            else:
                self._prepare(layer, belief, k, codes)
                layer._build(codes, self._flat.theta.device)
            layer._train(codes, partial)
            layer._conclude(codes)
            layers.append(layer)
            if k < len(belief.stages):
                belief.stages[k].take(layer.module_)
        belief.top.load_state_dict(layers[-1].module_.state_dict())
        self.module_.load_state_dict(belief.state_dict())
        self.layers_ = layers

    def _codes(self, belief: Belief, k: int, data: Table) -> Any:
        """What layer k learns from."""
        labelled = k == len(belief.stages) and belief.n_labels > 0
        if k == 0 and not labelled:
            return data
        rng = self._new_noise()

        def lift(x: Tensor, y: Tensor | None) -> Tensor:
            x = belief.states_up(x, rng, k)[-1]
            return x if y is None or not labelled else torch.cat([x, y], 1)

        return Codes(data, lift)

    def _prepare(self, layer: RBM, belief: Any, k: int, codes: Source) -> None:
        """Measure the codes for a new layer, and let it see them centred and scaled if it is to."""
        if k:
            layer.random_state = int(torch.randint(2**31 - 1, (), generator=self._rng))
            shift, spread = prepare(layer, codes, getattr(layer, "n_labels", 0))
            belief.stages[k - 1].shift.copy_(to_tensor(shift))
            belief.stages[k - 1].spread.fill_(spread)
            return
        layer.mean_, layer.n_features_in_ = self.mean_, len(self.mean_)
        if isinstance(codes, Codes):
            prepare(layer, codes, self._n_labels())
            layer.mean_[: len(self.mean_)] = self.mean_
        layer.scale_, layer._centred = self.scale_, self._centred

    def _new_noise(self) -> torch.Generator:
        seed = int(torch.randint(2**62, (), generator=self._rng))
        return torch.Generator(self._flat.theta.device).manual_seed(seed)

    def _plan(self, n_samples: int, partial: bool) -> Plan:
        return replace(super()._plan(n_samples, partial), max_iter=1 if partial else int(self.up_down_iter))

    def _rate(self) -> float:
        return float(self.up_down_rate)

    @torch.no_grad()
    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        """Wake: weights that lead down learn states from q. Top: its own rule. Sleep: q learns what is dreamt."""
        x, top = batch.x, self.layers_[-1]
        share = x.new_full((len(x),), 1 / len(x)) if batch.weight is None else batch.weight / len(x)
        awake = module.states_up(x, rng)
        seen = awake[-1] if not module.n_labels else torch.cat([awake[-1], batch.y], 1)  # type: ignore[list-item]
        terms = top._step(module.top, Batch(seen, batch.weight), rng)
        asleep = module.states_down(self._dream(module.top, seen, rng), rng, self._totals(x))
        dreamt = x.new_full((len(asleep[0]),), float(share.sum()) / len(asleep[0]))
        for k, stage in enumerate(module.stages):
            stage.learn_down(awake[k], awake[k + 1], share)
            stage.learn_up(asleep[k], asleep[k + 1], dreamt)
        return {**terms, "reconstruction": self._reconstruction(module, x[: len(x) // 16 + 1])}

    def _dream(self, top: Harmonium, seen: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states of the top to dream from: its chains, or some steps from the rows."""
        layer = self.layers_[-1]
        if layer._algorithm() == "cd":
            return top.gibbs(top.embed(seen), int(layer.n_gibbs), rng)
        return layer._starts(top, len(seen), rng)

    def _reconstruction(self, module: Belief, x: Tensor, weight: Tensor | None = None) -> Tensor:
        back = module.mean_down(module.code(x), self._totals(x))
        return average((x - back).square().sum(1), weight)

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        """What ``early_stopping`` watches in up-down learning."""
        return {"reconstruction": self._reconstruction(module, batch.x, batch.weight)}

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        return TorchEstimator._examine(self, train, held_out)

    def _conclude(self, data: Table) -> None:
        super()._conclude(data)
        self._lengths, top = self.layers_[0]._lengths, self.layers_[-1]
        if self._is_tuned and top._algorithm() == "cd":
            top._start_at_data(self.module_.top, self._codes(self.module_, len(self.module_.stages), data))

    # ---------------------------------------------------------------- using

    def _machine(self) -> Harmonium:
        module: Any = self._ready_module()
        machine: Harmonium = module.top
        return machine

    def _starts(self, machine: Harmonium, n: int, rng: torch.Generator) -> Tensor:
        return self.layers_[-1]._starts(machine, n, rng)

    def _encode(self, module: Any, x: Tensor) -> Tensor:
        code: Tensor = module.code(x)
        return code

    def _decode(self, module: Any, h: Tensor) -> Tensor:
        mean: Tensor = module.mean_down(h, self._totals(h))
        return mean

    def to_autoencoder(self) -> Autoencoder:
        """A fitted ``Autoencoder`` with the same ``transform`` and ``inverse_transform``, which can be trained on.

        ``network.to_autoencoder().set_params(warm_start=True, max_iter=50).fit(X)`` fine-tunes it.
        The code of rectified units is softplus there, which is within 0.011 of their mean.

        Returns
        -------
        autoencoder : Autoencoder

        Raises
        ------
        ValueError
            If layers that look alike from below and from above cannot express it: rectified units or
            units of several kinds between the rows and the code, counts, or a label at the top.
        """
        check_is_fitted(self)
        if self._spec["n_labels"]:
            raise ValueError("labels=True has a code that sums over labels, which no autoencoder does: use False.")
        return unroll(self, self._levels())

    def _levels(self) -> list[Level]:
        """All layers, from the rows up."""
        module: Any = self._ready_module()
        seen = [(0.0, 1.0), *((stage.shift, stage.spread) for stage in module.stages)]
        machines = [*((stage.up, stage.down) for stage in module.stages), (module.top, module.top)]
        return [Level(*pair, *frame) for pair, frame in zip(machines, seen, strict=True)]

    @torch.no_grad()
    def _receptive_fields(self) -> list[np.ndarray]:
        """Of all layers, for displays: in x, or of gaussian units in their standard deviations."""
        first, *above = self._levels()
        weights = (first.up.weight[:, : len(self.mean_)], *(level.up.weight / level.sigma for level in above))
        return [W.cpu().numpy() for W in accumulate(weights, lambda below, W: W[:, : len(below)] @ below)]


def _settings(layer: RBM) -> dict[str, Any]:
    """What may change between one call of fit and the next."""
    return {name: value for name, value in layer.get_params().items() if name != "random_state"}

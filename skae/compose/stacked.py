"""StackedAutoencoder: layers that are pretrained one by one, and then trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Annotated, Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from typing_extensions import Self

from ..base import damage
from ..base.damage import Saved
from ..base.derivatives import dense_fields
from ..base.description import described
from ..base.estimator import Run
from ..base.mixins import available_if
from ..base.params import PositiveInt
from ..base.state import new_generator
from ..base.transformer import TorchTransformer, is_stochastic
from ..engine.data import Batch, Table
from ..engine.optim import Terms
from ..engine.train import Plan
from ..functional import Support
from ._layers import Unrolled, coder_of, is_width, make_layers, named_layers, pretrain, shorten
from ._logistic import Budget, LogisticTuning, with_rates

__all__ = ["StackedAutoencoder"]

MOST_ROWS = 100
"""Rows per step with batch_size="auto" and logistic units. Smaller steps are too noisy for their high rate."""

Layers: TypeAlias = Annotated[Sequence[Any], list, tuple]


def _fit_together(stack: Any, layers: Any) -> bool:
    """Whether each layer of a loaded stack takes what the layer below it gives."""
    given = [len(stack._frame), *(layer._n_features_out for layer in layers)]
    return given[:-1] == [len(layer._frame) for layer in layers]


class StackedAutoencoder(LogisticTuning, TorchTransformer):
    """Deep autoencoder whose layers are first trained one by one, and then together.

    The first layer learns a code of the rows, the second layer learns a code of these codes, and so on. Then the layers
    are unrolled into one network,

        h = f_n(... f_2(f_1(x))), x_hat = g_1(g_2(... g_n(h))).

    It starts at the weights of the layers. It is trained to minimise the mean of -log p(x | h) over the rows, with the
    likelihood of the first layer. By default this is the squared error ||x - x_hat||^2.

    A layer can be any autoencoder of this package, or a Boltzmann machine, which is unrolled into an encoder and a
    decoder. The layers may be of different kinds. A whole number is the width of a code. It stands for
    ``Autoencoder(width, hidden_layer_sizes=(128,))``, which starts at PCA, with at most 25 epochs.
    Sparsity, corruption and dropout of a layer affect only its pretraining. The joint training minimises the
    reconstruction error alone.

    A layer without hidden layers has a linear decoder, and a stack of such layers cannot be better than PCA. It can if
    the layers above the first reconstruct codes in (0, 1) with ``likelihood="bernoulli"``.

    Parameters
    ----------
    layers : list of int, estimator or (name, int or estimator), default=(64, 16, 2)
        The layers, first layer first. They are cloned. Layers without a name are called "layer1", "layer2", and so on.
        ``set_params(layer1__max_iter=50)`` sets a parameter of a layer, and ``set_params(layer1=32)`` replaces a layer.
        All layers use ``device`` and ``dtype`` of the stack. A layer whose ``image_shape`` is "auto" or None takes the
        shape of the maps of the layer below.
    n_components : int or None, default=None
        Width of the last layer, instead of its width in ``layers``. None uses the width in ``layers``.
    fine_tune : bool, default=True
        Whether the layers are trained together after pretraining. The training parameters of the stack (``max_iter``,
        ``learning_rate_init``, ``early_stopping``, ...) apply to this joint training. Each layer has its own for its
        pretraining.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs of the joint training. "auto" is as many as n_samples / 2 steps take, but at least 300
        steps, at most 4000 steps, and at most 100 epochs. If the units of all layers are logistic, it is as many epochs
        as 4000 steps take, and all of them are run.
    batch_size : int or "auto", default="auto"
        Number of rows per step of the joint training. "auto" is n_samples / 15, but at least 32 and at most 100. If the
        units of all layers are logistic, it is 100. "lbfgs" takes all rows.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.003 under "one_cycle", and 0.001
        otherwise. If the units of all layers are logistic, such as those of ``RBM``, it is 0.06 under "one_cycle", and
        weights of units with more than 64 inputs have a rate that is 64 / n_inputs times as high. Not used by "lbfgs".
    weight_decay : float or "auto", default="auto"
        L2 penalty on the weights, but not on the biases. "adamw" decouples it from the gradient. The other solvers add
        it to the gradient. "auto" is 0.3 for "adamw", or 0.07 if the units of all layers are logistic, and 0 for the
        other solvers.

    Attributes
    ----------
    layers_ : list of estimators
        The pretrained layers, each with its own ``history_``.
    module_ : torch.nn.Module
        The unrolled network, fine-tuned.
    history_ : dict of str to list of float
        Training curves of the fine-tuning, with one value per epoch: "loss", its term "reconstruction", and
        "validation_loss" with ``early_stopping``. Empty without fine-tuning.
    loss_ : float
        Loss of the weights that were kept.
    n_iter_ : int
        Number of epochs of the fine-tuning.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        Scale by which the first layer divides centred X.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    skae.Autoencoder : A deep network that is trained as a whole from the start.
    sklearn.pipeline.Pipeline : Equivalent to a stack without fine-tuning.

    References
    ----------
    Hinton and Salakhutdinov (2006), "Reducing the Dimensionality of Data with Neural Networks",
    https://doi.org/10.1126/science.1127647

    Bengio, Lamblin, Popovici and Larochelle (2007), "Greedy Layer-Wise Training of Deep Networks",
    https://papers.nips.cc/paper/3048-greedy-layer-wise-training-of-deep-networks

    Vincent, Larochelle, Lajoie, Bengio and Manzagol (2010), "Stacked Denoising Autoencoders: Learning
    Useful Representations in a Deep Network with a Local Denoising Criterion",
    https://www.jmlr.org/papers/v11/vincent10a.html

    Masci, Meier, Ciresan and Schmidhuber (2011), "Stacked Convolutional Auto-Encoders for
    Hierarchical Feature Extraction", https://doi.org/10.1007/978-3-642-21735-7_7

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder, StackedAutoencoder
    >>> X = load_digits().data[:500]
    >>> model = StackedAutoencoder([64, 16, 2], max_iter=10, random_state=0).fit(X)
    >>> model.transform(X).shape
    (500, 2)
    >>> [layer.max_iter for layer in model.layers_], len(model.history_["loss"])
    ([19, 19, 19], 10)

    Layers of another kind, and their parameters:

    >>> model = StackedAutoencoder([SparseAutoencoder(100, max_iter=5), 8], max_iter=5, random_state=0)
    >>> model.set_params(layer1__sparsity=0.1).fit(X).layers_[0].sparsity
    0.1
    """

    layers: Layers = field(default=(64, 16, 2), kw_only=False)
    n_components: PositiveInt | None = field(default=None, kw_only=True)  # type: ignore[assignment]
    fine_tune: bool = True

    _budget = Budget(n_steps=4000, rate=0.06, decay=0.07)
    _saved: ClassVar[dict[str, Saved]] = {"layers_": Saved(damage.nested(_fit_together, TorchTransformer))}

    # ---------------------------------------------------------------- parameters of the layers

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters of the stack and of its layers.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include the layers by their names, and the parameters of the layers.

        Returns
        -------
        params : dict
        """
        params: dict[str, Any] = super().get_params(deep=False)
        for name, layer in named_layers(self.layers) if deep else ():
            nested = layer.get_params() if hasattr(layer, "get_params") and not isinstance(layer, type) else {}
            params |= {name: layer, **{f"{name}__{key}": value for key, value in nested.items()}}
        return params

    def set_params(self, **params: Any) -> Self:
        """Set parameters of the stack, replace layers, or set parameters of layers.

        Parameters
        ----------
        **params : dict
            A parameter of the stack by its name, a layer as ``layer1``, or a parameter of a layer as
            ``layer1__max_iter``.

        Returns
        -------
        self : object
            The estimator.
        """
        if "layers" in params:
            self.layers = params.pop("layers")
        own = super().get_params(deep=False)
        for name, _ in named_layers(self.layers):
            if name in params and name not in own:
                self.layers = _replaced(self.layers, name, params.pop(name))
        self._require_parameters(params)
        return super().set_params(**params)

    def _require_parameters(self, params: dict[str, Any]) -> None:
        widths = {name: layer for name, layer in named_layers(self.layers) if is_width(layer)}
        for name in params:
            layer = name.partition("__")[0]
            if layer in widths and layer != name:
                raise ValueError(
                    f"{name} is not a parameter, because {layer} is the width {widths[layer]}: make the layer an "
                    f"estimator, such as Autoencoder({widths[layer]})."
                )

    def _made_layers(self) -> list[tuple[str, Any]]:
        """Names and unfitted clones of the layers, with all parameters that they will be fitted with."""
        made = make_layers(self.layers, set(self._parameter_constraints))
        for _, layer in made:
            layer.set_params(device=self.device, dtype=self.dtype)
        if self.n_components is not None:
            made[-1][1].set_params(n_components=int(self.n_components))
        return made

    # ---------------------------------------------------------------- fitting

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Update the network with one pass of fine-tuning over a chunk of rows, and continue from the last call.

        The first chunk fixes the scale and is used to pretrain the layers as in ``fit``. It should be large and
        typical.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, if ``early_stopping=True``, which needs all rows, and if ``fine_tune=False``.
        AttributeError
            If ``solver="lbfgs"``, which needs all rows.
        """
        if not self.fine_tune:
            raise ValueError("partial_fit continues the fine-tuning, which fine_tune=False leaves out: use fit.")
        return super().partial_fit(X, y, sample_weight)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._made_layers()

    def _pretrain(self, data: Any, run: Run) -> None:
        if not run.resume:
            made = self._made_layers()
            shorten(self.layers, made, len(data))
            self.layers_ = [layer for _, layer in made]
            own = data.own()
            pretrain(made, own.X, own.weight, new_generator(self.random_state), run.train)

    def _last_stage(self) -> Any:
        return self if self.fine_tune else self.layers_[-1]

    def _stage_name(self) -> str:
        return "all layers"

    def _measure(self, data: Any) -> None:
        self._frame = coder_of(self.layers_[0])._frame

    def _architecture(self, n_features: int) -> dict[str, Any]:
        made = self._made_layers()
        width = made[-1][1].n_components
        if width is not None:
            made[-1][1].set_params(
                n_components=1
            )  # its change is reported as n_components, not as a change of the layers
        layers = tuple((name, described(layer, ignore={"device", "dtype"})) for name, layer in made)
        return {"n_features": n_features, "n_components": width, "layers": layers}

    def _pretrained_modules(self) -> list[nn.Module]:
        return [layer.module_ for layer in self.layers_]

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size == "auto" and self.solver != "lbfgs" and self._is_logistic():
            return min(n_samples, MOST_ROWS)
        return super()._batch_size(n_samples)

    def _new_module(self) -> nn.Module:
        return with_rates(Unrolled(self.layers_))

    def _initialise(self, module: Unrolled, data: Table, rng: torch.Generator) -> None:
        module.load_layers()

    def _loss(self, module: Unrolled, batch: Any, rng: torch.Generator | None) -> Terms:
        return {"reconstruction": module.loss(batch.x, batch.weight)}

    def _plan(self, n_samples: int, run: Run) -> Plan:
        plan = super()._plan(n_samples, run)
        return plan if self.fine_tune else replace(plan, max_iter=0)

    def _conclude(self, data: Table) -> None:
        if not self.fine_tune:
            self.n_iter_, self.loss_ = len(self.history_.get("loss", ())), self._mean_loss(data)

    def _cure(self) -> str:
        cures = dict.fromkeys(layer._cure() for layer in self.layers_)
        return f"change the layers ({'; '.join(cures)}), or raise max_iter"

    # ---------------------------------------------------------------- using

    def _support(self) -> Support | None:
        found: Support | None = self.layers_[0]._support()
        return found

    def _encode(self, module: Unrolled, batch: Batch) -> Tensor:
        return module.encode(batch.x)

    def _decode(self, module: Unrolled, h: Tensor, batch: Batch) -> Tensor:
        return module.decode(h)

    def _receptive_fields(self) -> list[np.ndarray]:
        """Receptive fields of the code of each layer, as far as the layers are dense. Displays draw them."""
        fields: list[np.ndarray] = []
        for stage in self.module_.stages:
            own = dense_fields(stage.coder, len(fields[-1]) if fields else len(self.mean_))
            if not own:
                break
            fields.append((own[-1] @ fields[-1] if fields else own[-1] / self.scale_) / stage.scale)
        return fields

    @property
    def _n_features_out(self) -> int:
        return int(self.layers_[-1]._n_features_out)


def _replaced(layers: Sequence[Any], name: str, new: Any) -> list[Any] | tuple[Any, ...]:
    """A copy of the layers in which one of them is replaced."""
    changed = [
        item if found != name else new if item is layer else (name, new)
        for item, (found, layer) in zip(layers, named_layers(layers), strict=True)
    ]
    return tuple(changed) if isinstance(layers, tuple) else changed

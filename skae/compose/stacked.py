"""StackedAutoencoder: layers pretrained one by one, then trained together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import field, replace
from typing import Annotated, Any, TypeAlias

import numpy as np
import torch
from sklearn.utils.metaestimators import available_if
from torch import Tensor, nn
from typing_extensions import Self

from ..base.derivatives import dense_fields
from ..base.estimator import Run
from ..base.params import PositiveInt
from ..base.state import new_generator
from ..base.transformer import TorchTransformer, is_stochastic
from ..engine.data import Batch, Table
from ..engine.optim import Terms
from ..engine.train import Plan
from ._layers import Unrolled, coder_of, described, is_width, make_layers, named_layers, pretrain

__all__ = ["StackedAutoencoder"]

Layers: TypeAlias = Annotated[Sequence[Any], list, tuple]


class StackedAutoencoder(TorchTransformer):
    """A deep autoencoder made of layers that are trained one by one, and then together.

    The first layer learns a code of the rows, the second a code of these codes, and so on. Then the
    layers are unrolled into one network,

        h = f_n(... f_2(f_1(x))), x_hat = g_1(g_2(... g_n(h))),

    which starts where the layers ended, and is trained to minimise the mean over the rows of
    -log p(x | h), with the likelihood of the first layer: by default the squared error ||x - x_hat||^2.

    A layer is any autoencoder of this package, or a Boltzmann machine, which is unrolled into encoder
    and decoder; layers may be of different kinds. A whole number is the width of a code and stands
    for ``Autoencoder(width, hidden_layer_sizes=(128,), learning_rate_init=0.003, max_iter=25)``, whose
    code starts as PCA's. What a layer adds to its reconstruction (sparsity, corruption, dropout) shapes
    its pretraining; training together is plain reconstruction.

    Layers without a hidden layer have linear decoders, and a stack of them cannot beat PCA, unless the
    layers above the first reconstruct codes in (0, 1) with ``likelihood="bernoulli"``.

    Parameters
    ----------
    layers : list of int, estimator or (name, int or estimator), default=(64, 16, 2)
        From the rows up. Layers without a name are called "layer1", "layer2", and so on, and their
        parameters are set as ``set_params(layer1__max_iter=50)``, or replaced as
        ``set_params(layer1=32)``. They are cloned. ``device`` and ``dtype`` are the stack's. A layer
        whose ``image_shape`` is "auto" or None takes that of the maps below it.
    n_components : int or None, default=None
        Width of the last layer, in place of the one it has in ``layers``. None leaves that.
    fine_tune : bool, default=True
        Whether the layers are trained together. The parameters of training (``max_iter``,
        ``learning_rate_init``, ``early_stopping``, ...) are of this stage; each layer has its own.

    Attributes
    ----------
    layers_ : list of estimators
        The layers as they were pretrained, each with its own ``history_``.
    module_ : torch.nn.Module
        The unrolled network, fine-tuned.
    history_ : dict of str to list of float
        An entry an epoch of fine-tuning: "loss", "reconstruction", and "validation_loss" with
        ``early_stopping``. Empty without fine-tuning.
    loss_ : float
        The loss of the weights that were kept.
    n_iter_ : int
        Epochs of fine-tuning.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        What the first layer divides centred X by.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had any.

    See Also
    --------
    skae.Autoencoder : A deep network trained at once.
    sklearn.pipeline.Pipeline : What it is without fine-tuning.

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
    >>> [len(layer.history_["loss"]) for layer in model.layers_], len(model.history_["loss"])
    ([25, 25, 25], 10)

    Layers of other kinds, and their parameters:

    >>> model = StackedAutoencoder([SparseAutoencoder(100, max_iter=5), 8], max_iter=5, random_state=0)
    >>> model.set_params(layer1__sparsity=0.1).fit(X).layers_[0].sparsity
    0.1
    """

    layers: Layers = field(default=(64, 16, 2), kw_only=False)
    n_components: PositiveInt | None = field(default=None, kw_only=True)  # type: ignore[assignment]
    fine_tune: bool = True

    # ---------------------------------------------------------------- parameters of the layers

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Get the parameters.

        Parameters
        ----------
        deep : bool, default=True
            Whether to return the layers by their names too, and their parameters.

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
        """Set parameters: of the stack, a layer as ``layer1``, or a parameter of it as ``layer1__max_iter``.

        Parameters
        ----------
        **params : dict

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
                    f"{name} is no parameter, as {layer} is the width {widths[layer]}: make the layer an estimator, "
                    f"such as Autoencoder({widths[layer]})."
                )

    def _made_layers(self) -> list[tuple[str, Any]]:
        """Names and unfitted clones of the layers, as they will be fitted."""
        made = make_layers(self.layers, set(self._parameter_constraints))
        for _, layer in made:
            layer.set_params(device=self.device, dtype=self.dtype)
        if self.n_components is not None:
            made[-1][1].set_params(n_components=int(self.n_components))
        return made

    # ---------------------------------------------------------------- fitting

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Take one pass of fine-tuning over a chunk of rows, going on from where the last call ended.

        The first chunk fixes the scale, and pretrains the layers as ``fit`` does, so let it be a large
        and typical one.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers.
        y : Ignored
            Present for scikit-learn's pipelines.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights, taken as they are so that chunks can be weighted too.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As ``fit``; and with ``early_stopping=True``, which needs all rows, or ``fine_tune=False``.
        AttributeError
            With ``solver="lbfgs"``, which needs all rows.
        """
        if not self.fine_tune:
            raise ValueError("partial_fit goes on with fine-tuning, which fine_tune=False leaves out: use fit.")
        return super().partial_fit(X, y, sample_weight)

    def _check_parameters(self) -> None:
        super()._check_parameters()
        self._made_layers()

    def _pretrain(self, data: Any, run: Run) -> None:
        if not run.resume:
            rng = new_generator(self.random_state)
            self.layers_ = pretrain(self._made_layers(), data.X, data.weight, rng, run.train)

    def _measure(self, data: Any) -> None:
        self._frame = coder_of(self.layers_[0])._frame

    def _architecture(self, n_features: int) -> dict[str, Any]:
        made = self._made_layers()
        width = made[-1][1].n_components
        if width is not None:
            made[-1][1].set_params(n_components=1)  # told by itself, and not as a change of the layers
        layers = described(made, ignore={"device", "dtype"})
        return {"n_features": n_features, "n_components": width, "layers": layers}

    def _new_module(self) -> nn.Module:
        return Unrolled(self.layers_)

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

    # ---------------------------------------------------------------- using

    def _encode(self, module: Unrolled, batch: Batch) -> Tensor:
        return module.encode(batch.x)

    def _decode(self, module: Unrolled, h: Tensor, batch: Batch) -> Tensor:
        return module.decode(h)

    def _receptive_fields(self) -> list[np.ndarray]:
        """Of the code of each layer, as far as the layers are dense, for displays."""
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
    """A new list of layers like the old one, but for one of them."""
    changed = [
        item if found != name else new if item is layer else (name, new)
        for item, (found, layer) in zip(layers, named_layers(layers), strict=True)
    ]
    return tuple(changed) if isinstance(layers, tuple) else changed

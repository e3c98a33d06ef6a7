"""TopKAutoencoder: a dictionary in which each row uses k atoms."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base.params import NonNegative, PositiveInt, sizes_of
from ..engine.data import Batch, Table
from ..engine.modes import plain_torch
from ..nn.bottleneck import Bottleneck
from ..nn.topk import DictionaryAutoencoder
from ._atoms import peak_of_atoms
from .dense import Activation, Autoencoder

__all__ = ["TopKAutoencoder"]


class TopKAutoencoder(Autoencoder):
    """k-sparse autoencoder: each row is a sum of k atoms of a dictionary.

    For each row only the k largest of the units a(x W' + b) are active. The row is reconstructed as a sum of k atoms:
    h = top_k(a(x W' + b)) and x_hat = h D + c. With the default activation "relu", units are never negative. A row with
    fewer than k positive units then has fewer than k active ones. The number of active units is set directly, so there
    is no penalty to tune, and none that shrinks the code.

    The code of a row is k numbers and the choice of k units. It holds more information than the k numbers of a PCA.
    Dictionaries usually have more atoms than X has columns.

    A unit that is never among the k largest gets no gradient from the reconstruction error. After ``dead_after`` rows
    without being active it is called dead. An auxiliary loss gives dead units a gradient. It is the reconstruction
    error that would remain if some dead units were active too: the strongest ones, in number half the columns of X.
    This loss changes only dead units.

    Parameters
    ----------
    n_components : int, default=128
        Number of units, which is the number of atoms of the dictionary.
    k : int or "auto", default="auto"
        Number of active units per row. "auto" is one in 16 units, but at least 1 and at most 32.
    selection : {"row", "batch"}, default="row"
        "row" keeps the k largest units of each row. "batch" keeps the n k largest units of a training batch of n rows,
        so that some rows get more units than others. After training, "batch" keeps the units above a threshold, so that
        the code of a row depends on that row alone. The threshold is the running mean of the smallest unit that was
        kept in training. Rows then have k active units on average only, and new rows may have more.
    unit_norm : bool, default=True
        Whether all atoms have norm one, so that activations of different units can be compared.
    auxiliary_weight : float, default=1.0
        Weight of the auxiliary loss. 0 leaves dead units as they are.
    dead_after : int, default=5000
        Number of training rows, counted over all epochs, after which a unit that was not active is dead. On average a
        unit is active once in n_components / k rows, and large dictionaries need a multiple of that.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.15 / sqrt(n_features), but at most 0.03,
        under "one_cycle", and a third of that otherwise. With hidden layers it is that of ``Autoencoder``. Not used by
        "lbfgs".
    hidden_layer_sizes : tuple of int, or int, default=()
        Widths of the encoder's hidden layers. The decoder is linear.
    code_activation : {"identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", \
"softplus"}, default="relu"
        Activation function a, applied before the largest units are chosen. Makhzani and Frey use "identity".
    tied_weights : bool, default=False
        Whether the atoms are the rows of W. With ``unit_norm`` each row is divided by its norm. Hidden layers are not
        possible then.
    init : {"auto", "random"}, default="auto"
        "auto" draws random atoms of norm one, and sets W = D. "random" draws random weights as in ``Autoencoder``.
    missing_indicator : bool, default=False
        As in ``Autoencoder``. A single layer of many units has no use for it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The atoms D.
    module_ : torch.nn.Module
        The fitted network.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its terms "reconstruction" and "auxiliary", and
        "validation_loss" with ``early_stopping``. Without ``early_stopping``, training watches "reconstruction".
    loss_ : float
        Reconstruction loss of the weights that were kept, or their validation loss with ``early_stopping``.
    n_iter_ : int
        Number of epochs run.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        Square root of the mean variance of the columns, by which centred X is divided. It is 1 unless the
        likelihood is gaussian.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    skae.metrics.code_statistics : Numbers of active and of dead units.
    sklearn.decomposition.MiniBatchDictionaryLearning : Optimises the code of each row, which is better but slower.

    References
    ----------
    Makhzani and Frey (2013), "k-Sparse Autoencoders", https://arxiv.org/abs/1312.5663

    Gao et al. (2024), "Scaling and evaluating sparse autoencoders", https://arxiv.org/abs/2406.04093

    Bussmann, Leask and Nanda (2024), "BatchTopK Sparse Autoencoders",
    https://arxiv.org/abs/2412.06410

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import TopKAutoencoder
    >>> X = load_digits().data
    >>> model = TopKAutoencoder(n_components=100, k=5, max_iter=20, random_state=0).fit(X)
    >>> H = model.transform(X)
    >>> int((H != 0).sum(axis=1).max())
    5
    >>> model.components_.shape
    (100, 64)
    """

    n_components = 128
    k: PositiveInt | Literal["auto"] = "auto"
    selection: Literal["row", "batch"] = "row"
    unit_norm: bool = True
    auxiliary_weight: NonNegative = 1.0
    dead_after: PositiveInt = 5000
    hidden_layer_sizes = ()
    code_activation: Activation = "relu"
    init: Literal["auto", "random"] = "auto"
    missing_indicator = False

    _Module: ClassVar[type[nn.Module]] = DictionaryAutoencoder
    _monitor: ClassVar[str | None] = "reconstruction"

    @property
    def components_(self) -> np.ndarray:
        """The atoms D, in x_hat = mean_ + scale_ (h D + c)."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        with plain_torch(grad=False):
            atoms: np.ndarray = module.decoder.atoms().cpu().numpy()
        return atoms

    def _receptive_fields(self) -> list[np.ndarray]:
        return [self.components_]

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.tied_weights and sizes_of("hidden_layer_sizes", self.hidden_layer_sizes):
            raise ValueError(
                "tied_weights=True needs an encoder without hidden layers, because the decoder has none: "
                f"use hidden_layer_sizes=(), not {self.hidden_layer_sizes}."
            )
        if self.k != "auto" and self.k > self.n_components:
            raise ValueError(
                f"k={self.k} is larger than n_components={self.n_components}, the number of units: lower k."
            )

    def _architecture(self, n_features: int) -> dict[str, Any]:
        spec = super()._architecture(n_features)
        k = min(32, max(1, int(self.n_components) // 16)) if self.k == "auto" else int(self.k)
        return {**spec, "k": k, "over_batch": self.selection == "batch", "unit_norm": bool(self.unit_norm)}

    def _obstacles_to_pca(self) -> list[str]:
        return ["atoms of a dictionary"]

    def _rows_are_independent(self) -> bool:
        return super()._rows_are_independent() and self.selection == "row"

    def _needs_all_rows(self) -> str | None:
        return super()._needs_all_rows() or "it counts for how many rows each unit has been silent"

    @property
    def _peak(self) -> float:  # type: ignore[override]
        deep = sizes_of("hidden_layer_sizes", self.hidden_layer_sizes)
        return super()._peak if deep else peak_of_atoms(len(self._frame))

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        if self.init == "auto":
            module.start_at_atoms(rng)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if rng is None or self.auxiliary_weight == 0.0:
            return neck
        error = self._error_with_dead
        return neck.by_autograd(lambda h: (h, {"auxiliary": self.auxiliary_weight * error(module, batch, h)}))

    def _error_with_dead(self, module: Any, batch: Batch, h: Tensor) -> Tensor:
        dead = module.encoder.dead(int(self.dead_after))
        if len(dead) == 0:
            return h.new_zeros(())
        eta = module.decode_with_dead(batch.shown, h, dead, batch.told_known)
        return module.likelihood.loss(eta, self._target(batch), batch.entry_weight)

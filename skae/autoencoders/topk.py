"""TopKAutoencoder: a dictionary of which each row uses k atoms."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base.params import NonNegative, PositiveInt, sizes_of
from ..engine.data import Batch, Table
from ..nn.bottleneck import Bottleneck
from ..nn.topk import DictionaryAutoencoder
from .dense import Activation, Autoencoder

__all__ = ["TopKAutoencoder"]


class TopKAutoencoder(Autoencoder):
    """A dictionary of which each row uses k atoms: the k-sparse autoencoder.

    Of the units a(x W' + b) only the k largest of a row speak, and the row is rebuilt as a sum of k
    atoms: h = top_k(a(x W' + b)) and x_hat = h D + c. With the default activation "relu" activations
    are not negative, and a row with fewer than k positive ones has fewer active units. Sparsity is
    set, not tuned, and no penalty shrinks the code.

    A row is told by k numbers and by which k units they belong to, which is more than the k numbers
    of a PCA. Dictionaries usually have more atoms than X has columns.

    A unit that is never among the largest gets no gradient. To those that were silent for
    ``dead_after`` rows an auxiliary loss gives one: the error that would be left if the strongest of
    them, half as many as X has columns, spoke as well. It moves dead units only.

    Parameters
    ----------
    n_components : int, default=128
        Units, the atoms of the dictionary.
    k : int or "auto", default="auto"
        Active units a row; "auto" is one in 16, but at least 1 and at most 32.
    selection : {"row", "batch"}, default="row"
        "row": the k largest of each row. "batch": in training the n k largest of a batch of n rows,
        so that some rows get more units than others; afterwards those above a threshold, the running
        mean of the smallest that was kept, so that a row's code depends on that row alone. Rows then
        have k active units in mean only, and rows that were not trained on may have more.
    unit_norm : bool, default=True
        Whether atoms have norm one, so that activations can be compared.
    auxiliary_weight : float, default=1.0
        Weight of the auxiliary loss; 0 leaves dead units alone.
    dead_after : int, default=5000
        Rows of training, in all epochs together, after which a silent unit is dead. A unit is active
        once in n_components / k rows in mean, and large dictionaries need a multiple of that.
    learning_rate_init : float, default=0.003
        Learning rate at the start, or at the height of "one_cycle". Not used by "lbfgs".
    hidden_layer_sizes : tuple of int, or int, default=()
        Widths of the encoder's hidden layers. The decoder is linear.
    code_activation : {"identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", \
"softplus"}, default="relu"
        The activation a, before the largest are chosen. "identity" is that of Makhzani and Frey.
    tied_weights : bool, default=False
        Whether the atoms are the rows of W, over their norms if ``unit_norm``. Only without hidden
        layers.
    init : {"auto", "random"}, default="auto"
        "auto": random atoms of norm one, and W = D. "random": the textbook network.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        The atoms D.
    module_ : torch.nn.Module
        The fitted network.
    history_ : dict of str to list of float
        An entry an epoch: "loss", its terms ("reconstruction", "auxiliary"), and "validation_loss"
        with ``early_stopping``. The reconstruction is what must fall.
    loss_ : float
        The reconstruction's loss with the weights that were kept.
    n_iter_ : int
        Epochs run.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        Root mean variance of the columns, by which centred X is divided; 1 unless gaussian.
    n_features_in_ : int
        Columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Their names, if X had any.

    See Also
    --------
    skae.metrics.code_statistics : How many units are active, and how many are dead.
    sklearn.decomposition.MiniBatchDictionaryLearning : Codes by an optimisation a row; better, slower.

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
    learning_rate_init = 3e-3
    hidden_layer_sizes = ()
    code_activation: Activation = "relu"
    init: Literal["auto", "random"] = "auto"

    _Module: ClassVar[type[nn.Module]] = DictionaryAutoencoder
    _monitor: ClassVar[str | None] = "reconstruction"

    @property
    def components_(self) -> np.ndarray:
        """The atoms D: x_hat = mean_ + scale_ (h D + c)."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        with torch.no_grad():
            atoms: np.ndarray = module.decoder.atoms().cpu().numpy()
        return atoms

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.tied_weights and sizes_of("hidden_layer_sizes", self.hidden_layer_sizes):
            raise ValueError(
                "tied_weights=True ties a linear decoder to the encoder, which must be linear too: "
                f"use hidden_layer_sizes=(), not {self.hidden_layer_sizes}."
            )
        if self.k != "auto" and self.k > self.n_components:
            raise ValueError(f"k={self.k} of n_components={self.n_components} units cannot be active: lower k.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        spec = super()._architecture(n_features)
        k = min(32, max(1, int(self.n_components) // 16)) if self.k == "auto" else int(self.k)
        return {**spec, "k": k, "over_batch": self.selection == "batch", "unit_norm": bool(self.unit_norm)}

    def _starts_at_pca(self, n_features: int) -> bool:
        return False

    def _rows_are_independent(self) -> bool:
        return super()._rows_are_independent() and self.selection == "row"

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
        eta = module.decode_with_dead(batch.shown, h, dead)
        return module.likelihood.loss(eta, self._target(batch), batch.entry_weight)

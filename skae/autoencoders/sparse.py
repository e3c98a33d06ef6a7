"""SparseAutoencoder: codes in which only a few units are active for each row."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from ..base.params import Fraction, NonNegative, sizes_of
from ..engine.data import Batch, Table
from ..engine.group import ALONE, Group, current
from ..functional import PENALTIES, average, bernoulli_divergence, weighted_average
from ..nn.bottleneck import Bottleneck
from ._atoms import peak_of_atoms
from .dense import Activation, Autoencoder

__all__ = ["SparseAutoencoder"]


class SparseAutoencoder(Autoencoder):
    """Autoencoder with a penalty that makes only a few of its many units active for each row.

    The units form a dictionary of parts, and each row is composed of a few of them. The loss is the reconstruction
    error plus the mean over the rows of a penalty on the code h:

    - "l1": lambda sum_j |h_j|
    - "l2": lambda sum_j h_j^2, which shrinks the code but does not set units to zero
    - "student_t": lambda sum_j log(1 + h_j^2)
    - "log": lambda sum_j log(1 + |h_j|)

    The penalty "kl" instead asks that each unit has the mean activation rho. It is lambda sum_j KL(rho || rho_j), where
    rho_j is the mean of h_j over the batch and KL(rho || r) = rho log(rho / r) + (1 - rho) log((1 - rho) / (1 - r)).

    Codes usually have more units than X has columns. Encoder and decoder share their weights. Otherwise a small code
    with large decoder weights would evade the penalty.

    Parameters
    ----------
    n_components : int, default=64
        Number of units, which is the number of parts.
    sparsity : float, default=0.3
        Weight lambda of the penalty.
    penalty : {"l1", "l2", "student_t", "log", "kl"}, default="l1"
        Kind of penalty, see above. "kl" needs a code in (0, 1), which ``code_activation="logistic"`` gives.
    sparsity_target : float, default=0.05
        Target mean activation rho for "kl". The other penalties do not use it.
    hidden_layer_sizes : tuple of int, or int, default=()
        Widths of the encoder's hidden layers. The decoder has the same widths in reverse order.
    code_activation : {"auto", "identity", "relu", ...}, default="auto"
        Activation function of the code. "auto" is "logistic" for the penalty "kl". For the others it is "relu", which
        sets units to exactly zero.
    tied_weights : bool, default=True
        Whether the decoder uses the encoder's weights, transposed: W_d = W_e'.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.15 / sqrt(n_features), but at most 0.03,
        under "one_cycle", and a third of that otherwise. For "kl" it is twice as large, because the slope of a logistic
        unit is small. With hidden layers it is that of ``Autoencoder``. Not used by "lbfgs".
    weight_decay : float or "auto", default=0.0
        As in ``Autoencoder``. Decay and the penalty on the code would add up.
    missing_indicator : bool, default=False
        As in ``Autoencoder``. A single layer of many units has no use for it.

    Attributes
    ----------
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the term "sparsity", which includes its weight.
    components_ : ndarray of shape (n_components, n_features)
        The parts, in units of X: row j is what one unit of h_j adds to the reconstruction. Only without hidden layers
        and with the gaussian likelihood, otherwise the attribute does not exist.
    module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    skae.TopKAutoencoder : Exactly k active units per row.
    skae.metrics.code_statistics : Number of active units.

    References
    ----------
    Olshausen and Field (1996), "Emergence of Simple-Cell Receptive Field Properties by Learning a
    Sparse Code for Natural Images", https://doi.org/10.1038/381607a0

    Ng (2011), "Sparse autoencoder", CS294A lecture notes,
    https://web.stanford.edu/class/cs294a/sparseAutoencoder.pdf

    Candes, Wakin and Boyd (2008), "Enhancing Sparsity by Reweighted l1 Minimization",
    https://doi.org/10.1007/s00041-008-9045-x

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import SparseAutoencoder
    >>> X = load_digits().data
    >>> model = SparseAutoencoder(100, max_iter=20, random_state=0).fit(X)
    >>> H = model.transform(X)
    >>> bool((H == 0).mean() > 0.5)
    True
    """

    n_components = 64
    sparsity: NonNegative = 0.3
    penalty: Literal["l1", "l2", "student_t", "log", "kl"] = "l1"
    sparsity_target: Fraction = 0.05
    hidden_layer_sizes = ()
    code_activation: Activation | Literal["auto"] = "auto"  # type: ignore[assignment]
    tied_weights = True
    weight_decay = 0.0
    missing_indicator = False

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.penalty == "kl" and self.code_activation not in ("auto", "logistic"):
            raise ValueError(
                f"penalty='kl' needs a code in (0, 1), but code_activation={self.code_activation!r} can leave it: "
                "use code_activation='logistic' or 'auto'."
            )

    def _architecture(self, n_features: int) -> dict[str, Any]:
        automatic = "logistic" if self.penalty == "kl" else "relu"
        chosen = automatic if self.code_activation == "auto" else self.code_activation
        return {**super()._architecture(n_features), "code_activation": chosen}

    @property
    def _peak(self) -> float:  # type: ignore[override]
        if sizes_of("hidden_layer_sizes", self.hidden_layer_sizes):
            return super()._peak
        return peak_of_atoms(len(self._frame)) * (2 if self.penalty == "kl" else 1)

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        if self.penalty == "kl" and self.sparsity > 0.0:
            with torch.no_grad():  # units start near their target
                module.encoder.biases[-1].fill_(math.log(self.sparsity_target / (1 - self.sparsity_target)))

    def _needs_all_rows(self) -> str | None:
        of_held_out = self.penalty == "kl" and self.early_stopping
        return "the mean activation of held-out rows is watched" if of_held_out else super()._needs_all_rows()

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        if self.sparsity == 0.0:
            return neck
        h, weight = neck.h, batch.weight
        if self.penalty == "kl":
            cost, slope = bernoulli_divergence(
                self.sparsity_target, _mean_activation(h, weight, ALONE if rng is None else current())
            )
            cost = average(cost.sum(), weight)  # the batch's weight, as in its reconstruction error
        else:
            of_unit, slope_of_unit = PENALTIES[self.penalty]
            cost, slope = weighted_average(of_unit(h), weight), slope_of_unit(h)
        share = self.sparsity / len(h)
        gradient = slope * (share if weight is None else share * weight[:, None])
        return neck.plus("sparsity", self.sparsity * cost, gradient.expand_as(h))


def _mean_activation(h: Tensor, weight: Tensor | None, group: Group) -> Tensor:
    """Mean of each unit over a batch, which several processes may have divided. The weights may all be zero."""
    if group.size == 1:
        return h.mean(0) if weight is None else weight @ h / weight.sum().clamp_min(1e-12)
    w = torch.ones_like(h[:, 0]) if weight is None else weight
    sums = group.mean_of_batch(torch.cat([w @ h, w.sum()[None]]) / len(h))
    return sums[:-1] / sums[-1].clamp_min(1e-12)

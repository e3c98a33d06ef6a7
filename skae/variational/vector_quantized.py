"""VectorQuantizedAutoencoder: an autoencoder whose code is a short list of whole numbers."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..autoencoders import Coded
from ..base import (
    Batch,
    Bottleneck,
    Generative,
    NonNegative,
    PositiveInt,
    Probability,
    Saved,
    Sizes,
    Source,
    Table,
    damage,
    require_positive,
    sizes_of,
)
from ..base.encoding import judged, widest
from ..engine.data import chunks
from ..engine.frame import in_double
from ..engine.modes import plain_torch
from ..nn.coder import Coder
from ..nn.quantizers import Learning, QuantizedImages, QuantizedRows, balancing_rotation, normal_gains
from ._codebook import checked_indices, counts_of, perplexity, some_codes, start_codebook

__all__ = ["VectorQuantizedAutoencoder"]

LARGEST_CODEBOOK = 256
"""Largest ``codebook_size`` that "auto" stands for."""
ROWS_PER_ENTRY = 8
"""With "auto", there are at least so many rows for each entry of the codebook."""
MOST_LEVELS = 2**16
"""Largest number of combinations of the levels of a vector."""
MOST_CHUNKS = 10
"""Of a stream of chunks, frequencies and variance are running means over about so many."""
COLLAPSED = 1.05
"""A perplexity of the indices at a position up to which they say nothing."""


class VectorQuantizedAutoencoder(Generative, Coded):
    """Autoencoder whose code is a list of indices into a codebook, so that a row takes a few bits.

    An encoder maps a row x to e = f(x), which is cut into ``n_groups`` vectors. Each vector is replaced by the nearest
    of the K entries of one codebook. A decoder maps the quantised code q to the reconstruction. The objective is

        mean of -log p(x | g(q)) + commitment * ||e - q||^2,

    where gradients pass from q to e as if they were equal. The entries are no parameters: they follow the means of the
    vectors that they replace, as in k-means. An entry that is not used any more restarts at a vector of a batch.

    A row is stored as ``n_groups`` whole numbers, log2 K bits each. ``encode_indices`` returns them, ``decode_indices``
    reads them, and ``transform`` returns q.

    Training starts at product quantisation: e is the PCA code, turned so that all groups have the same variances, and
    the codebook is that of k-means. Without hidden layers, with one group and ``init="pca"``, that is k-means on PCA
    codes.

    It is a model of the density too. The prior of an index is how often it occurs in training, pi_jk for entry k at
    place j of the list, and the indices are independent. So with the indices k_j of the row, and for gaussian rows with
    the mean squared error of the training rows as their variance,

        log p(x) = log sum over all lists of indices >= log p(x | g(q)) + sum_j log pi_jk_j,

    the right side of which is ``score_samples``: the evidence lower bound for an encoder without noise.

    Parameters
    ----------
    n_components : int, default=8
        Width of the code. With ``code="map"``, the number of its channels. Training starts at PCA if X has at least as
        many columns.
    quantizer : {"vq", "fsq"}, default="vq"
        "vq" is a learned codebook. "fsq" is finite scalar quantisation: each number of the code is rounded to one of a
        few ``levels`` between -1 and 1. It has no codebook to learn, which could collapse, and no commitment term.
    n_groups : int or "auto", default="auto"
        Number of vectors that the code is cut into. It must divide ``n_components``. With ``code="map"`` it is their
        number at each position. "auto" is vectors of two numbers, or of one where ``n_components`` is odd; one vector
        at each position of a map; and single numbers for "fsq".
    codebook_size : int or "auto", default="auto"
        Number K of entries, for "vq". "auto" is a power of two: one entry for 8 rows, at least 2 and at most 256.
    levels : int, or tuple of int, default=8
        Number of levels of each number, for "fsq". A tuple has the levels of the numbers of one vector.
    commitment : float, default=1.0
        Weight of the term that keeps the encoder close to the codebook, for "vq".
    decay : float, default=0.99
        Decay rate of the moving averages that the entries are, for "vq". With 0 they are the means of a batch.
    dead_below : float, default=0.03
        An entry that replaces less than this fraction of the vectors that an entry replaces in mean is dead and
        restarts, for "vq". 0 lets dead entries be.
    hidden_layer_sizes : tuple of int, or int, default=(256, 128)
        Widths of the encoder's dense hidden layers. They follow the convolutional layers if there are ``channels``. The
        decoder has the same widths in reverse order. With ``code="map"`` there are none: pass ().

    Attributes
    ----------
    codebook_ : ndarray of shape (codebook_size_, n_components / n_groups)
        The entries. For "fsq", all combinations of levels.
    codebook_size_ : int
        Number K of entries.
    perplexity_ : float
        The number of entries that are in use: exp(-sum_k p_k log p_k), where p_k is how often entry k occurs in the
        indices of the training rows. It is 1 if all vectors have one entry, and K if all entries are equally frequent.
    noise_variance_ : float
        Only with the gaussian likelihood: variance of X given the code, which is the mean squared error of the training
        rows.
    module_ : torch.nn.Module
        The fitted network, with the quantiser as ``module_.quantizer``.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its terms "reconstruction" and for "vq" "commitment", the
        "perplexity" of some training rows, and "validation_loss" with ``early_stopping``.
    code_shape_ : tuple of int
        ``(n_components,)``, or channels, height and width of a code that is a map.
    image_shape_ : tuple of int
        Only with ``channels``, as in ``ConvolutionalAutoencoder``.
    loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    sklearn.cluster.KMeans : One index for a row, and a mean in place of a decoder.

    References
    ----------
    van den Oord, Vinyals and Kavukcuoglu (2017), "Neural Discrete Representation Learning",
    https://arxiv.org/abs/1711.00937

    Mentzer, Minnen, Agustsson and Tschannen (2023), "Finite Scalar Quantization: VQ-VAE Made Simple",
    https://arxiv.org/abs/2309.15505

    Jegou, Douze and Schmid (2011), "Product Quantization for Nearest Neighbor Search" (groups),
    https://doi.org/10.1109/TPAMI.2010.57

    Dhariwal et al. (2020), "Jukebox: A Generative Model for Music" (restarts), https://arxiv.org/abs/2005.00341

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import VectorQuantizedAutoencoder
    >>> X = load_digits().data
    >>> model = VectorQuantizedAutoencoder(8, codebook_size=64, max_iter=20, random_state=0).fit(X)
    >>> indices = model.encode_indices(X)
    >>> indices.shape, int(indices.max()) < 64  # four groups of six bits
    ((1797, 4), True)
    >>> X_hat = model.decode_indices(indices)
    >>> bool(((X - X_hat) ** 2).sum() < 0.4 * ((X - X.mean(axis=0)) ** 2).sum())
    True
    >>> model.sample(3, random_state=0).shape
    (3, 64)
    """

    n_components = 8
    quantizer: Literal["vq", "fsq"] = "vq"
    n_groups: PositiveInt | Literal["auto"] = "auto"
    codebook_size: PositiveInt | Literal["auto"] = "auto"
    levels: Sizes = 8
    commitment: NonNegative = 1.0
    decay: Probability = 0.99
    dead_below: Probability = 0.03

    _without_weight = frozenset({*Coded._without_weight, "perplexity"})
    _saved: ClassVar[dict[str, Saved]] = {"codebook_size_": Saved(damage.whole(1))}

    # ---------------------------------------------------------------- parameters and architecture

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.solver == "lbfgs":
            raise ValueError("solver='lbfgs' needs a smooth objective, and a quantised code has none: use 'adamw'.")
        n_groups = self._n_groups()
        if self.n_components % n_groups:
            raise ValueError(
                f"n_groups={n_groups} does not divide n_components={self.n_components}: groups have equal widths."
            )
        if self.quantizer == "fsq":
            self._levels_of_vector()

    def _n_groups(self) -> int:
        if self.n_groups != "auto":
            return int(self.n_groups)
        n = int(self.n_components)
        if self.quantizer == "fsq":
            return n
        return 1 if self.code == "map" else n if n % 2 else n // 2

    def _levels_of_vector(self) -> tuple[int, ...]:
        """Levels of each number of a vector; none for "vq"."""
        if self.quantizer == "vq":
            return ()
        width, levels = int(self.n_components) // self._n_groups(), sizes_of("levels", self.levels)
        found = levels * width if len(levels) == 1 else levels
        if min(found, default=0) < 2 or len(found) != width:
            raise ValueError(f"levels={self.levels} must be at least 2, one number or {width}, the width of a vector.")
        if math.prod(found) > MOST_LEVELS:
            raise ValueError(
                f"levels={self.levels} make {math.prod(found)} combinations for a vector of {width} numbers, more than "
                f"{MOST_LEVELS}: raise n_groups, which makes vectors narrower, or lower levels."
            )
        return found

    def _needs_all_rows(self) -> str | None:
        return "its entries are means of a batch" if self.quantizer == "vq" else super()._needs_all_rows()

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data = super()._source(X, y, weight, reset)
        if reset and self.quantizer == "vq" and self.codebook_size != "auto" and self.codebook_size > len(data):
            raise ValueError(
                f"codebook_size={self.codebook_size} is larger than the number of rows, {len(data)}: lower it, or pass "
                "more rows."
            )
        return data

    def _measure(self, data: Source) -> None:
        super()._measure(data)
        if self.quantizer == "fsq":
            self.codebook_size_ = math.prod(self._levels_of_vector())
        elif self.codebook_size == "auto":
            usual = 2 ** int(math.log2(max(len(data) // ROWS_PER_ENTRY, 2)))
            self.codebook_size_ = min(usual, LARGEST_CODEBOOK, len(data))
        else:
            self.codebook_size_ = int(self.codebook_size)

    def _architecture(self, n_features: int) -> dict[str, Any]:
        known = self.codebook_size == "auto" or self.quantizer == "fsq"
        return {
            **super()._architecture(n_features),
            "variance": "global",
            "n_groups": self._n_groups(),
            "codebook_size": self.codebook_size_ if known else int(self.codebook_size),
            "levels": self._levels_of_vector(),
        }

    def _new_coder(self, spec: dict[str, Any]) -> Coder:
        return QuantizedImages(**spec) if "image_shape" in spec else QuantizedRows(**spec)

    # ---------------------------------------------------------------- start

    def _initialise(self, module: Any, data: Table, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        if self.quantizer == "vq":
            n_vectors = self._batch_size(len(data)) * module.quantizer.n_codes
            start_codebook(module.quantizer, *some_codes(module, data), n_vectors, rng.initial_seed())

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        """Start at PCA, with a code that is turned so that one codebook or one number of levels suits all of it."""
        levels = self._levels_of_vector()
        rotation = balancing_rotation(variances, len(variances) if levels else module.n_groups).to(axes)
        turned = rotation.square() @ variances
        if not levels:
            module.start_at_projection(rotation @ axes, turned)
            return
        gain_in, gain_out, spread = (t.to(axes).repeat(module.n_groups) for t in normal_gains(levels))
        deviation = turned.sqrt().clamp_min(1e-3)
        module.start_at_projection(rotation @ axes, spread, gain_in / deviation, gain_out * deviation)

    # ---------------------------------------------------------------- objective

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = super()._bottleneck(module, batch, e, rng)
        learning = Learning(float(self.commitment), float(self.decay), float(self.dead_below))
        quantised: Bottleneck = module.quantizer.bottleneck(neck, batch.weight, learning, rng)
        return quantised

    @torch.no_grad()
    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        found, batch = super()._examine(train, held_out), judged(self, train)
        if batch is None:
            return found
        counted = counts_of(self.module_.quantizer, self._indices(self.module_, batch), batch.weight)
        return {"perplexity": perplexity(counted.sum(0)), **found}

    @torch.no_grad()
    def _conclude(self, data: Table) -> None:
        super()._conclude(data)
        module, quantizer = self.module_, self.module_.quantizer
        counted: Any = 0.0
        error = n_rows = n_entries = 0.0
        for rows in chunks(len(data), max(data.width, widest(module))):
            batch = data[rows]
            indices = self._indices(module, batch)
            counted = counted + counts_of(quantizer, indices, batch.weight)
            eta, weight = module.decode(quantizer.codes(indices)), batch.weight
            of_rows = float(len(indices) if weight is None else weight.sum())
            n_rows += of_rows
            of_entries = batch.entry_weight
            n_entries += of_rows * data.width if of_entries is None or of_entries.ndim == 1 else float(of_entries.sum())
            error += float(module.likelihood.loss(eta, self._target(batch), of_entries)) * len(indices)
        if n_rows == 0.0:
            return
        share = n_rows / min(float(quantizer.n_counted) + n_rows, MOST_CHUNKS * n_rows)
        quantizer.count(counted, n_rows, share)
        if self._spec["likelihood"] == "gaussian":
            before = float(module.likelihood.variance)
            module.likelihood.start_at_variance(before + share * (error / n_entries - before))

    def _failure(self, data: Any) -> str | None:
        batch, frequency = judged(self, data), self.module_.quantizer.frequency.cpu()
        in_use = max(map(perplexity, frequency))
        rows_differ = batch is not None and bool((batch.x != batch.x[0]).any())
        if in_use > COLLAPSED or frequency.shape[1] == 1 or not rows_differ:
            return super()._failure(data)
        other = "fsq" if self.quantizer == "vq" else "vq"
        return (
            f"The codebook has collapsed, as nearly all rows have the same indices (perplexity {in_use:.2g}): look for "
            f"outliers in X, lower learning_rate_init, or use quantizer={other!r}."
        )

    # ---------------------------------------------------------------- using

    @property
    def codebook_(self) -> np.ndarray:
        """The entries of the codebook, or all combinations of levels."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        with plain_torch(grad=False):
            entries: np.ndarray = module.quantizer.codebook.cpu().numpy().copy()
        return entries

    @property
    def perplexity_(self) -> float:
        """The number of entries that are in use."""
        check_is_fitted(self)
        return perplexity(self.module_.quantizer.frequency.cpu().double().sum(0))

    def _indices(self, module: Any, batch: Batch) -> Tensor:
        indices: Tensor = module.quantizer.indices(module.encode(batch.x, known=batch.told_known))
        return indices

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        return self._bottleneck(module, batch, module.encode(batch.x, known=batch.told_known), None).h

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        indices = self._indices(module, batch)
        eta = module.decode(module.quantizer.codes(indices))
        fit = module.likelihood.log_likelihood(eta, batch.x, batch.known)
        return in_double(fit + module.quantizer.log_prior(indices)) - self._frame.log_volumes(batch.known)

    def score_samples(self, X: Any) -> np.ndarray:
        """A lower bound of the log-likelihood of each row, in nats.

        It is log p(x | g(q)) + sum_j log pi_jk_j with the indices k_j of the row: the evidence lower bound for an
        encoder without noise. The likelihood is a sum over all lists of indices, and the bound has one term of it.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_samples,), float64
            Rows with the lowest scores are the most unusual. Rows that the likelihood cannot describe have -inf, and a
            warning names the first of them.
        """
        return super().score_samples(X)

    def encode_indices(self, X: Any) -> np.ndarray:
        """Encode rows as lists of whole numbers.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        indices : ndarray of shape (n_samples, n_codes), int64
            Numbers from 0 to ``codebook_size_`` - 1, one for each group. If the code is a map of some height and width,
            there is one for each position of each group, which ``indices.reshape(-1, n_groups, height, width)`` shows.
        """
        indices: np.ndarray = self._map(self._indices, X)
        return indices

    def decode_indices(self, indices: Any) -> np.ndarray:
        """Decode what ``encode_indices`` returned.

        Parameters
        ----------
        indices : array-like of shape (n_samples, n_codes)
            Whole numbers from 0 to ``codebook_size_`` - 1.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The mean of a row given its indices, in units of the training data.

        Raises
        ------
        ValueError
            If there are too many or too few columns, or numbers out of range.
        """
        check_is_fitted(self)
        quantizer: Any = self._ready_module().quantizer
        found = checked_indices(indices, quantizer.n_codes, quantizer.size)
        with plain_torch(grad=False):
            codes = quantizer.codes(torch.from_numpy(found).to(self._flat.theta.device)).cpu().numpy()
        rows: np.ndarray = self._decoded(codes)
        return rows

    def sample(self, n_samples: int = 1, random_state: Any = None) -> np.ndarray:
        """Draw rows from the model: indices from their prior, and rows given these.

        The indices of a row are independent in the prior, those of data are not. So with several groups samples mix
        parts that do not belong together. With ``n_groups=1`` they do not.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1.
        """
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        module: Any = self._ready_module()
        rng = self._noise(random_state)
        with plain_torch(grad=False):
            codes = module.quantizer.codes(module.quantizer.draw(int(n_samples), rng))
        return self._rows_of(codes, rng)

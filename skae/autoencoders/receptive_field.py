"""ReceptiveFieldAutoencoder: local filters that differ by position, with sparse pooled responses."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base import damage
from ..base.damage import Saved
from ..base.estimator import Run
from ..base.params import NonNegative, Positive, PositiveInt, Sizes, sizes_of
from ..base.transformer import TorchTransformer
from ..engine.data import Batch, Source, Table, chunks
from ..engine.modes import plain_torch
from ..engine.moments import principal_axes
from ..engine.optim import Terms
from ..functional import average, squared_error
from ..nn.receptive_field import ReceptiveFields, grid_of
from ._atoms import peak_of_atoms

__all__ = ["ReceptiveFieldAutoencoder"]

Ints: TypeAlias = tuple[int, ...]

MOST_WHITENED = 5_000
"""Largest number of columns whose covariance is decomposed. This takes a minute or two."""


def _sums_fault(model: Any, value: Any) -> str | None:
    """Say what is wrong with the sums of responses and codes that were read from a file, or return None."""
    if not isinstance(value, tuple) or len(value) != 2:
        return "is no pair of arrays"
    n, spec = model._spec["n_components"], model._spec
    positions = math.prod(grid_of(spec["image_shape"][1:], spec["field_size"], spec["stride"]))
    shapes = ((positions, n, n + 1), (positions, n + 1, n + 1))
    return next(filter(None, map(damage.fault_of_numbers, value, shapes)), None)


class ReceptiveFieldAutoencoder(TorchTransformer):
    """Local filters of images with sparse pooled responses: edges, and features that tolerate small shifts.

    Each row is an image. A receptive field x_p of ``field_size`` pixels lies at every position p of a grid.
    ``n_components`` linear filters respond to each field: h_pk = w_pk' x_p. Unlike in a convolution, each position
    has its own filters. The responses of one filter number k at neighbouring positions N_j are pooled,

        p_j = sqrt(eps + sum_{i in N_j} h_i^2),

    and the filters minimise the mean over the rows of

        ||x - W' W x||^2 + lambda sum_j p_j,

    where W holds the filters of all positions. The decoder is the transposed encoder, W'. Without pooling, this is
    independent component analysis with a reconstruction cost. With pooling, neighbouring filters become similar.
    Internally X is whitened, so that directions of small variance count as much as those of large variance.
    Reconstructions are returned on the scale of X.

    The code is again an image, of shape ``code_shape_``. The next step of a pipeline can take it as its input:
    ``ReceptiveFieldAutoencoder(8, image_shape=first.code_shape_, field_size=4)``. Without ``image_shape``, the columns
    of a table form a single field.

    Pooling decides what the code is, and how ``inverse_transform`` decodes it:

    - Without pooling (``pool_size=1``) the code is h, and the decoder is W'.
    - With pooling or ``contrast_size`` the code loses signs and lengths, so x cannot be computed from it.
      ``inverse_transform`` first estimates h at each position, by a linear regression on the code around that
      position. Then it decodes the estimate. The regression is fitted after training.

    Parameters
    ----------
    n_components : int, default=16
        Number of filters at each position, which are the channels of the code. The width of the code is the product
        of ``code_shape_``.
    image_shape : (height, width), (channels, height, width) or None, default=None
        Shape of the image in a row of X, in C order and with channels first. None is a table, whose columns have no
        order.
    field_size : int, (height, width) or None, default=None
        Height and width of a receptive field, in pixels. A field covers all channels. None is the whole image.
    stride : int or (height, width), default=1
        Distance between neighbouring fields, in pixels. The fields must reach the border of the image.
    pool_size : int or (height, width), default=1
        Number of neighbouring positions over which responses are pooled. 1 is no pooling.
    pool_stride : int or (height, width), default=1
        Distance between neighbouring pooling windows, in positions. With 1 the windows overlap, with ``pool_size`` they
        do not. The windows must reach the border of the grid.
    contrast_size : int, (height, width) or None, default=None
        Size of the window for contrast normalisation, an odd number. The code is normalised by the mean and the
        contrast of its neighbours in the window, in all channels. None leaves this out. It plays no part in training.
    sparsity : float, default=0.5
        Weight lambda of the pooled responses, as in Le et al. (2012). It is 1 / lambda of RICA (Le et al., 2011).
        Overlapping windows count a response several times, and need a smaller weight.
    eps : float, default=0.01
        Constant under the root of the pooling, in squared units of whitened X.
    whitening : float or None, default=0.1
        X is multiplied by (C + whitening)^(-1/2), where C is the covariance of its columns in units of their mean
        variance. Directions of smaller variance than ``whitening`` are treated as noise. None does not whiten. Use None
        for images of more than a few thousand pixels, because the size of C is the square of their number.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.15 / sqrt(m), where m is the number of
        pixels of a field in all channels, but at most 0.03, under "one_cycle", and a third of that otherwise. Not used
        by "lbfgs".
    weight_decay : float or "auto", default=0.0
        As in ``Autoencoder``. Filters reconstruct whitened rows better without it.

    Attributes
    ----------
    code_shape_ : (int, int, int)
        Channels, height and width of the code. It is available before ``fit``.
    components_ : ndarray of shape (n_units, n_features)
        Filters of all positions before pooling, in units of X: h = (X - mean_) @ components_.T. They are ordered by
        channel, and within a channel by position.
    module_ : torch.nn.Module
        The fitted filters.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its terms "reconstruction" (squared error of whitened X) and
        "sparsity", and "validation_loss" with ``early_stopping``.
    loss_ : float
        Loss of the weights that were kept.
    n_iter_ : int
        Number of epochs run.
    mean_ : ndarray of shape (n_features,)
        Mean of the training data.
    scale_ : float
        Square root of the mean variance of the columns, by which centred X is divided.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    See Also
    --------
    sklearn.decomposition.FastICA : Independent components, at most as many as features.
    skae.SparseAutoencoder : Sparse codes of nonlinear units.

    References
    ----------
    Le, Ranzato, Monga, Devin, Chen, Corrado, Dean and Ng (2012), "Building high-level features using
    large scale unsupervised learning", https://arxiv.org/abs/1112.6209

    Le, Karpenko, Ngiam and Ng (2011), "ICA with Reconstruction Cost for Efficient Overcomplete Feature
    Learning", https://proceedings.neurips.cc/paper_files/paper/2011/hash/233509073ed3432027d48b1a83f5fbd2-Abstract.html

    Jarrett, Kavukcuoglu, Ranzato and LeCun (2009), "What is the best multi-stage architecture for
    object recognition?", https://doi.org/10.1109/ICCV.2009.5459469

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import ReceptiveFieldAutoencoder
    >>> X = load_digits().data
    >>> model = ReceptiveFieldAutoencoder(
    ...     4, image_shape=(8, 8), field_size=4, pool_size=2, max_iter=5, random_state=0
    ... )
    >>> H = model.fit_transform(X)
    >>> model.code_shape_
    (4, 4, 4)
    >>> H.shape
    (1797, 64)
    """

    n_components = 16
    image_shape: Sizes | None = None
    field_size: PositiveInt | Sizes | None = None
    stride: PositiveInt | Sizes = 1
    pool_size: PositiveInt | Sizes = 1
    pool_stride: PositiveInt | Sizes = 1
    contrast_size: PositiveInt | Sizes | None = None
    sparsity: NonNegative = 0.5
    eps: Positive = 0.01
    whitening: Positive | None = 0.1
    weight_decay = 0.0

    _Module: ClassVar[type[nn.Module]] = ReceptiveFields
    _saved: ClassVar[dict[str, Saved]] = {"_sums": Saved(_sums_fault, required=False)}

    @property
    def code_shape_(self) -> tuple[int, int, int]:
        """Channels, height and width of the code. Before ``fit`` it is computed from the parameters."""
        n_features = 1 if self.image_shape is None else int(np.prod(self.image_shape))
        return _code_shape(getattr(self, "_spec", None) or self._architecture(n_features))

    @property
    def components_(self) -> np.ndarray:
        """The filters w, one per row, in units of X. Responses are h = (X - mean_) @ components_.T."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        with plain_torch(grad=False):
            pixels = torch.eye(len(self.mean_)).to(self._flat.theta)
            return self._frame.pull_back(module.responses(pixels).T).cpu().numpy()

    @property
    def _n_features_out(self) -> int:
        return math.prod(_code_shape(self._spec))

    # ---------------------------------------------------------------- hooks

    def _architecture(self, n_features: int) -> dict[str, Any]:
        image_shape = self._shape_of_image(n_features)
        whole = image_shape[1:] if self.field_size is None else self.field_size
        spec = {
            "image_shape": image_shape,
            "n_components": int(self.n_components),
            "field_size": _pair("field_size", whole),
            "stride": _pair("stride", self.stride),
            "pool_size": _pair("pool_size", self.pool_size),
            "pool_stride": _pair("pool_stride", self.pool_stride),
            "contrast_size": None if self.contrast_size is None else _pair("contrast_size", self.contrast_size),
            "eps": float(self.eps),
            "whitened": self.whitening is not None,
        }
        _require_that_fields_fit(spec)
        return spec

    def _shape_of_image(self, n_features: int) -> tuple[int, int, int]:
        if self.image_shape is None:
            return n_features, 1, 1
        sizes = sizes_of("image_shape", self.image_shape)
        if len(sizes) not in (2, 3):
            raise ValueError(
                f"image_shape={self.image_shape!r} is neither (height, width) nor (channels, height, width)."
            )
        if math.prod(sizes) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape!r} has {math.prod(sizes)} pixels, but X has {n_features} columns."
            )
        channels, height, width = (1, *sizes)[-3:]
        return channels, height, width

    def _measure(self, data: Source) -> None:
        if self.whitening is not None:
            _require_few(data.width)  # before the module is built, which holds matrices of that size
        super()._measure(data)

    @property
    def _peak(self) -> float:  # type: ignore[override]
        return peak_of_atoms(self._spec["image_shape"][0] * math.prod(self._spec["field_size"]))

    def _initialise(self, module: ReceptiveFields, data: Table, rng: torch.Generator) -> None:
        module.filters.initialise(rng)
        if self.whitening is not None:
            n_axes = min(len(data), data.width)
            axes, variances = principal_axes(data.x, n_axes, rng, data.weight)
            module.set_whitening(axes, variances, float(self.whitening))

    def _loss(self, module: ReceptiveFields, batch: Batch, rng: torch.Generator | None) -> Terms:
        z = module.whiten(batch.x)
        h = module.filters(z)
        error = squared_error(module.filters.transpose(h), z)
        return {
            "reconstruction": average(error.sum(0), batch.weight),
            "sparsity": self.sparsity * average(module.pool(h).sum((0, 1, 2)), batch.weight),
        }

    def _train(self, data: Any, run: Run) -> None:
        if not (run.partial and run.resume):
            self._sums: tuple[np.ndarray, np.ndarray] | None = None
        super()._train(data, run)

    def _conclude(self, data: Table) -> None:
        if not self.module_.is_linear:
            self._fit_estimate(self.module_, data)

    @torch.no_grad()
    def _fit_estimate(self, module: ReceptiveFields, data: Table) -> None:
        """Regress the responses on the code, for ``inverse_transform``, over all chunks of ``partial_fit``."""
        before = (np.zeros(()), np.zeros(())) if self._sums is None else self._sums
        total = [torch.from_numpy(array) for array in before]
        for rows in chunks(len(data), module.widest):
            batch = data[rows]
            moments = module.moments(batch.x, batch.weight)
            total = [t + m.cpu().double() for t, m in zip(total, moments, strict=True)]
        self._sums = total[0].numpy(), total[1].numpy()
        module.set_estimate(*total)

    def _encode(self, module: ReceptiveFields, batch: Batch) -> Tensor:
        return module.encode(batch.x)

    def _decode(self, module: ReceptiveFields, h: Tensor, batch: Batch) -> Tensor:
        return module.decode(h)


def _code_shape(spec: dict[str, Any]) -> tuple[int, int, int]:
    grid = grid_of(spec["image_shape"][1:], spec["field_size"], spec["stride"])
    height, width = grid_of(grid, spec["pool_size"], spec["pool_stride"])
    return spec["n_components"], height, width


def _pair(name: str, sizes: Sequence[int] | int) -> tuple[int, int]:
    """Height and width, from one number or two."""
    listed = sizes_of(name, sizes)
    if len(listed) > 2:
        raise ValueError(f"{name}={sizes!r} must be one number, or height and width.")
    return listed[0], listed[-1]


def _require_few(n_features: int) -> None:
    if n_features > MOST_WHITENED:
        raise ValueError(
            f"whitening would decompose a covariance of {n_features} x {n_features} numbers: pass whitening=None "
            "and whiten X before, or pass smaller images."
        )


def _require_that_fields_fit(spec: dict[str, Any]) -> None:
    """Raise an error if fields or windows do not fit, or leave a part of the image out."""
    image, field, stride = spec["image_shape"][1:], spec["field_size"], spec["stride"]
    pool, pool_stride, contrast = spec["pool_size"], spec["pool_stride"], spec["contrast_size"]
    _require_cover("field_size", field, "stride", stride, "image", image)
    grid = grid_of(image, field, stride)
    _require_cover("pool_size", pool, "pool_stride", pool_stride, "grid of fields", grid)
    if contrast is not None and any(size % 2 == 0 for size in contrast):
        raise ValueError(f"contrast_size={contrast} must be odd, so that the window has a middle.")
    if contrast is not None and math.prod(_code_shape(spec)) == 1:
        raise ValueError(
            "contrast_size compares units with their neighbours, but the code has only one unit: use None."
        )


def _require_cover(size_name: str, size: Ints, step_name: str, steps: Ints, whole: str, sides: Ints) -> None:
    """Raise an error unless windows of this size and step fit into the sides and cover them."""
    for side, window, step in zip(sides, size, steps, strict=True):
        if window > side:
            raise ValueError(f"{size_name}={size} is larger than the {whole}, {sides}: lower it.")
        if step > window:
            raise ValueError(f"{step_name}={steps} is larger than {size_name}={size} and leaves gaps: lower it.")
        if (side - window) % step:
            raise ValueError(
                f"{step_name}={steps} never reaches the end of the {whole}, {sides}, with {size_name}={size}: choose "
                f"steps that divide {side} - {window}."
            )

"""Autoencoder: a dense encoder and decoder that reconstruct their input through a code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn

from ..base.derivatives import dense_fields
from ..base.mixed import columns_of, frame_of_columns, groups_of_columns, require_width, units_of_columns
from ..base.params import Probability, Sizes, sizes_of
from ..base.support import warn_outside
from ..base.transformer import TorchTransformer
from ..engine.arrays import Arrays
from ..engine.completion import fit_completion
from ..engine.data import Batch, Source, Table, chunks
from ..engine.frame import in_double
from ..engine.modes import plain_torch
from ..engine.moments import principal_axes
from ..engine.optim import Move, Terms
from ..functional import Support, dropout_mask, support_of, support_of_columns
from ..nn.bottleneck import Bottleneck
from ..nn.dense import DenseAutoencoder

__all__ = ["Autoencoder", "has_closed_gradient"]

Kinds: TypeAlias = Annotated[Sequence[tuple[str, int]], list, tuple]
Activation = Literal["identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", "softplus"]


class Autoencoder(TorchTransformer):
    """Nonlinear PCA: neural networks compress each row to a short code and reconstruct the row from it.

    An encoder f maps a row x to a code h = f(x) of ``n_components`` numbers. A decoder g maps the code back.
    Both are trained to minimise the mean of -log p(x | g(h)) over the rows. For the default likelihood this is
    the squared error ||x - g(f(x))||^2.

    By default the networks learn corrections to a PCA with projection P: h = P x + f(x) and x_hat = P' h + g(h).
    f and g are zero at first, so training starts at the error of PCA and improves on it. Internally X is centred
    and divided by one global scale. Reconstructions are returned on the scale of X.

    Entries of X may be missing, which are NaN. Losses and scores are then sums over the observed entries, and the
    encoder is given a guess of each missing one: its mean given the observed entries of its row, in a probabilistic
    PCA of all observed entries. The axes of that PCA are also those of the start.

    Parameters
    ----------
    hidden_layer_sizes : tuple of int, or int, default=(256, 128)
        Widths of the encoder's hidden layers. The decoder has the same widths in reverse order. () means no hidden
        layers: encoder and decoder are then linear, except for ``code_activation``.
    activation : {"identity", "relu", "tanh", "logistic", "gelu", "silu", "elu", "leaky_relu", \
"softplus"}, default="silu"
        Activation function of the hidden layers.
    code_activation : same as ``activation``, default="identity"
        Activation function of the code. "logistic" keeps the code in (0, 1).
    tied_weights : bool, default=False
        Whether the decoder uses the encoder's weights, transposed: W_d = W_e'. With hidden layers, training then
        starts near PCA, not exactly at it, because PCA would be a saddle point.
    dropout : float, default=0.0
        Probability that a hidden unit is set to zero during training.
    input_dropout : float, default=0.0
        Probability that an entry of the input is set to zero during training. Zero is the column mean where X is
        centred. The other entries are divided by 1 - ``input_dropout``.
    batch_norm : bool, default=False
        Whether to apply batch normalisation to the hidden layers, before the activation.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson", "mixed"}, default="gaussian"
        Distribution of X given the code, which sets the loss. "gaussian" is for real numbers and gives the squared
        error. "bernoulli" is for numbers in [0, 1] and gives the cross-entropy. "categorical" is for groups of
        columns that are one-hot or sum to one, see ``categories``. "poisson" is for counts, or means of counts.
        "mixed" is for columns of different kinds, see ``columns``. Of a row that the likelihood cannot describe,
        ``fit`` warns, and ``score_samples`` is -inf.
    categories : tuple of int, or None, default=None
        Sizes of the groups of adjacent columns for the categorical likelihood. For the output of
        ``OneHotEncoder`` they are ``[len(c) for c in encoder.categories_]``.
    columns : tuple of (str, int), or None, default=None
        Kinds and numbers of adjacent columns for the mixed likelihood, in the order of X, such as ``(("gaussian", 3),
        ("categorical", 4), ("poisson", 1), ("bernoulli", 2))``. Each ("categorical", k) is one group of k columns.
        Gaussian columns are standardised one by one. The loss is a sum over the columns and groups in which each has
        the value 1 where nothing but its mean is known: the squared error of a standardised number, or nats over their
        mean in the training rows, at least 0.05. ``score`` is the mean of their R2, and ``score_samples`` the sum of
        their squared errors over their variances. ``TableAutoencoder`` makes such columns of a data frame.
    init : {"auto", "pca", "random"}, default="auto"
        "pca" starts from PCA: the code is h = P x + f(x), the reconstruction is P' h + g(h), and f and g are zero at
        first. It needs a gaussian or mixed likelihood, an identity ``code_activation`` and at most as many components
        as features. For the mixed likelihood it is PCA of standardised numbers and of (x - p) / sqrt(p) of one-hot
        columns with the shares p, which is a factor analysis of mixed data. "random" starts from random weights,
        without the PCA term. "auto" is "pca" where it is defined, and "random" otherwise.
    missing_indicator : bool, default=True
        Whether a dense encoder also sees which entries are missing, in the columns that had gaps in the fit.
        Convolutional encoders see the guesses alone.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted network.
    history_ : dict of str to list of float
        Training curves, with one value per epoch: "loss", its terms (here "reconstruction"), and "validation_loss"
        with ``early_stopping``. Gaussian losses are in units of ``scale_`` squared, the others in nats.
    loss_ : float
        Loss of the weights that were kept.
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
    components_ : ndarray of shape (n_components, n_features)
        Only with a linear decoder, which is one without hidden layers and with the gaussian likelihood. Row j is what
        one unit of component j adds to the reconstruction, in units of X, as in PCA. Other decoders have no such
        directions, and then the attribute does not exist. ``skae.inspection.FilterDisplay`` draws what a unit looks
        for.

    See Also
    --------
    sklearn.decomposition.PCA : The linear special case.

    References
    ----------
    Hinton and Salakhutdinov (2006), "Reducing the Dimensionality of Data with Neural Networks",
    https://doi.org/10.1126/science.1127647

    Nazabal, Olmos, Ghahramani and Valera (2020), "Handling Incomplete Heterogeneous Data Using VAEs" (columns of
    different kinds), https://doi.org/10.1016/j.patcog.2020.107501

    Pages (2014), "Multiple Factor Analysis by Example Using R" (factor analysis of mixed data),
    https://doi.org/10.1201/b17700

    Baldi and Hornik (1989), "Neural Networks and Principal Component Analysis: Learning from
    Examples Without Local Minima", https://doi.org/10.1016/0893-6080(89)90014-2

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from skae import Autoencoder
    >>> train, test = train_test_split(load_digits().data, random_state=0)
    >>> autoencoder = Autoencoder(n_components=8, max_iter=20, random_state=0).fit(train)
    >>> autoencoder.transform(test).shape
    (450, 8)
    >>> autoencoder.inverse_transform(autoencoder.transform(test)).shape
    (450, 64)
    >>> pca = PCA(n_components=8).fit(train)
    >>> lost = ((test - pca.inverse_transform(pca.transform(test))) ** 2).sum(axis=1)
    >>> bool(-autoencoder.score_samples(test).mean() < 0.8 * lost.mean())
    True
    """

    hidden_layer_sizes: Sizes = (256, 128)
    activation: Activation = "silu"
    code_activation: Activation = "identity"
    tied_weights: bool = False
    dropout: Probability = 0.0
    input_dropout: Probability = 0.0
    batch_norm: bool = False
    likelihood: Literal["gaussian", "bernoulli", "categorical", "poisson", "mixed"] = "gaussian"
    categories: Sizes | None = None
    columns: Kinds | None = None
    init: Literal["auto", "pca", "random"] = "auto"
    missing_indicator: bool = True

    _Module: ClassVar[type[nn.Module]] = DenseAutoencoder
    _takes_kinds: ClassVar[bool] = True
    """Whether columns of X may be of different kinds."""
    _may_idle: ClassVar[bool] = False
    """Whether a start at PCA may leave components without an axis, if they are more than the columns."""
    _takes_gaps = True

    # ---------------------------------------------------------------- parameters and architecture

    def _check_parameters(self) -> None:
        super()._check_parameters()
        sizes_of("hidden_layer_sizes", self.hidden_layer_sizes)
        if self.likelihood == "categorical" and self.categories is None:
            raise ValueError(
                "likelihood='categorical' needs the sizes of the groups of columns: pass them as categories."
            )
        if self.likelihood == "mixed":
            columns_of(self.columns)
            if not self._takes_kinds:
                raise ValueError(
                    f"{type(self).__name__} has one unit of noise for all columns, so that likelihood='mixed' is not "
                    "defined: use Autoencoder or VariationalAutoencoder."
                )
        elif self.columns is not None:
            raise ValueError("columns describe X for the mixed likelihood: use likelihood='mixed', or columns=None.")
        if self.init == "pca":
            _require_none(self._obstacles_to_pca())

    def _architecture(self, n_features: int) -> dict[str, Any]:
        if self.likelihood == "mixed" and self._target_frame is not None:
            raise ValueError("likelihood='mixed' reconstructs X itself: leave another target out.")
        return {
            "n_features": n_features,
            "n_components": int(self.n_components),
            "n_outputs": len(self._output_frame),
            "hidden_layer_sizes": sizes_of("hidden_layer_sizes", self.hidden_layer_sizes),
            "activation": self.activation,
            "code_activation": self.code_activation,
            "likelihood": self.likelihood,
            "categories": self._groups(len(self._output_frame)),
            "columns": columns_of(self.columns) if self.likelihood == "mixed" else None,
            "tied_weights": bool(self.tied_weights),
            "projected": self._starts_at_pca(n_features),
            "dropout": float(self.dropout),
            "batch_norm": bool(self.batch_norm),
            "marked": self._marked(),
        }

    def _marked(self) -> tuple[int, ...]:
        """Columns of which the encoder sees whether they are missing."""
        if self._completion is None or not self.missing_indicator:
            return ()
        return tuple(np.flatnonzero(self._completion.has_gaps).tolist())

    def _starts_at_pca(self, n_features: int) -> bool:
        found = self._obstacles_to_pca()
        if self.n_components > n_features and not self._may_idle:
            found.append(f"n_components={self.n_components} and only {n_features} features")
        if len(self._output_frame) != n_features:
            found.append(f"{len(self._output_frame)} targets and {n_features} features")
        if self.init == "pca":
            _require_none(found)
        return self.init != "random" and not found

    def _obstacles_to_pca(self) -> list[str]:
        """List the parameters for which a start at PCA is not defined."""
        obstacles = {
            f"likelihood={self.likelihood!r}": self.likelihood not in ("gaussian", "mixed"),
            f"code_activation={self.code_activation!r}": self.code_activation != "identity",
        }
        return [reason for reason, holds in obstacles.items() if holds]

    def _groups(self, n_outputs: int) -> tuple[int, ...]:
        groups = self._sizes()
        if groups and sum(groups) != n_outputs:
            raise ValueError(f"categories={groups} sum to {sum(groups)}, but X has {n_outputs} columns.")
        return groups

    def _sizes(self) -> tuple[int, ...]:
        if self.likelihood != "categorical":
            return ()
        return sizes_of("categories", () if self.categories is None else self.categories)

    def _standardizes(self) -> bool:
        return self.likelihood == "gaussian"

    @property
    def _norm(self) -> float | None:  # type: ignore[override]
        has_counts = self.likelihood == "mixed" and any(kind == "poisson" for kind, _ in columns_of(self.columns))
        return 1.0 if self.likelihood == "poisson" or has_counts else None

    def _is_noisy(self) -> bool:
        return self.dropout > 0.0 or self.input_dropout > 0.0

    def _rows_are_independent(self) -> bool:
        return not self.batch_norm

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        data = super()._source(X, y, weight, reset)
        if reset and isinstance(data, Arrays):
            columns = columns_of(self.columns) if self.likelihood == "mixed" else None
            if columns is not None:
                require_width(columns, data.width)
            warn_outside(self, Arrays(data.X), _support_of(self.likelihood, self._sizes(), columns))
        return data

    def _batch_size(self, n_samples: int) -> int:
        size = super()._batch_size(n_samples)
        if self.batch_norm and size == 1:
            got = "n_samples = 1" if n_samples == 1 else f"batch_size={self.batch_size}"
            raise ValueError(f"batch_norm=True needs at least 2 rows in a batch; got {got}.")
        return size

    def _initialise(self, module: DenseAutoencoder, data: Table, rng: torch.Generator) -> None:
        center = torch.from_numpy(self._output_frame.center).to(module.decoder.biases[-1])
        batches = (data[rows] for rows in chunks(len(data), data.width))
        module.likelihood.start(center, ((batch.x, self._target(batch), batch.weight) for batch in batches))
        module.initialise(center, rng)
        if module.projection is not None:
            n = int(self.n_components)
            guesses = self._completion
            found = guesses.axes(n) if guesses is not None and guesses.has_gaps.any() else None
            rows = data.x.embedded(module.likelihood.embed) if module.likelihood.embeds else data.x
            axes, variances = principal_axes(rows, n, rng, data.weight) if found is None else found
            self._start_at_axes(module, axes.to(module.projection), variances.to(module.projection))

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        """Start at a linear model with the principal axes of X, which have these variances. Spare ones are zero."""
        module.start_at_projection(axes, variances)

    # ---------------------------------------------------------------- gaps

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        unit = None
        if self.likelihood == "mixed":
            self._frame = frame_of_columns(data.X, data.weight, columns_of(self.columns))
            unit = units_of_columns(self._frame, columns_of(self.columns))
        self._completion = None
        if self._takes_gaps and isinstance(data, Arrays):
            self._completion = fit_completion(data, self._frame, int(self.n_components), self._member(), unit)

    def _member(self, spec: Mapping[str, Any] | None = None) -> Tensor | None:
        """Group of each column of X, if its columns are one-hot. Those of another target are no columns of X."""
        of = vars(self) if spec is None else spec
        likelihood, columns = of["likelihood"], of.get("columns")
        if likelihood == "mixed":
            return torch.from_numpy(groups_of_columns(columns_of(columns)))
        groups = self._sizes() if spec is None else spec.get("categories") or ()
        if sum(groups) != len(self._frame):
            return None
        return torch.arange(len(groups)).repeat_interleave(torch.tensor(groups))

    # ---------------------------------------------------------------- objective

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        """The batch with the corrupted rows that the encoder sees during training."""
        if rng is None or not self.input_dropout:
            return batch
        return batch._replace(corrupted=batch.shown * dropout_mask(batch.shown, self.input_dropout, rng))

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        """Turn the encoder's output e into the code to decode, and into loss terms that depend on the code."""
        return Bottleneck(e)

    def _reconstruction(self, module: Any, eta: Tensor, batch: Batch) -> Tensor:
        """Mean error of the decoder's output eta over the rows of a batch."""
        error: Tensor = module.likelihood.loss(eta, self._target(batch), batch.entry_weight)
        return error

    def _reconstruction_and_slope(self, module: Any, eta: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """``_reconstruction`` and its gradient in eta. That in the likelihood's parameters is added to ``.grad``."""
        found: tuple[Tensor, Tensor] = module.likelihood.loss_and_gradient(eta, self._target(batch), batch.entry_weight)
        return found

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        batch = self._corrupt(module, batch, rng)
        neck = self._bottleneck(module, batch, module.encode(batch.shown, rng, batch.told_known), rng)
        return {"reconstruction": self._reconstruction(module, module.decode(neck.h, rng), batch), **neck.terms}

    _closed_loss: ClassVar[Callable[..., Terms]] = _loss
    """The ``_loss`` whose gradient ``_step`` computes by hand."""

    def _step(self, module: DenseAutoencoder, batch: Batch, rng: torch.Generator) -> Terms | Move:
        """The gradient of ``_loss``, derived by hand.

        Autograd would dominate the time of a step in small networks, because each call has a fixed cost.
        """
        if self.batch_norm or not has_closed_gradient(self, module):
            return super()._step(module, batch, rng)
        with torch.no_grad():
            batch = self._corrupt(module, batch, rng)
            e, encoder_tape = module.encode_forward(batch.shown, rng, batch.told_known)
            neck = self._bottleneck(module, batch, e, rng)
            eta, decoder_tape = module.decode_forward(neck.h, rng)
            reconstruction, slope = self._reconstruction_and_slope(module, eta, batch)
            module.encode_backward(encoder_tape, neck.backward(module.decode_backward(decoder_tape, slope)))
        return {"reconstruction": reconstruction, **neck.terms}

    # ---------------------------------------------------------------- using

    @property
    def components_(self) -> np.ndarray:
        """Rows D, in units of X, of a linear decoder: inverse_transform(h) = h D + inverse_transform(0)."""
        check_is_fitted(self)
        with plain_torch(grad=False):
            directions = getattr(self._ready_module(), "directions", None)
            if directions is None or self._spec["likelihood"] != "gaussian":
                return super().components_
            return in_double(directions).cpu().numpy() * self._output_frame.scale

    def _receptive_fields(self) -> list[np.ndarray]:
        return [field / self.scale_ for field in dense_fields(self.module_, len(self.mean_))]

    def _support(self) -> Support | None:
        return _support_of(self._spec["likelihood"], self._spec["categories"], self._spec.get("columns"))

    def _encode(self, module: DenseAutoencoder, batch: Batch) -> Tensor:
        return module.encode(batch.x, known=batch.told_known)

    def _decode(self, module: DenseAutoencoder, h: Tensor, batch: Batch) -> Tensor:
        return module.likelihood.mean(module.decode(h))


def _support_of(likelihood: str, sizes: Sequence[int], columns: Sequence[tuple[str, int]] | None) -> Any:
    return support_of("likelihood", likelihood, sizes) if columns is None else support_of_columns(columns)


def _require_none(obstacles: list[str]) -> None:
    """Refuse a start at PCA where there are obstacles to it."""
    if obstacles:
        raise ValueError(f"init='pca' is not defined with {' and '.join(obstacles)}: use init='auto' or 'random'.")


def has_closed_gradient(estimator: Autoencoder, module: Any) -> bool:
    """Whether loss and module are those that the gradient by hand was written for."""
    by_hand = isinstance(module, DenseAutoencoder) and all(_is_by_hand(type(module), s) for s in ("encode", "decode"))
    return by_hand and type(estimator)._loss is type(estimator)._closed_loss


def _is_by_hand(cls: type, name: str) -> bool:
    """Whether the class that defines the gradient of a method, or one derived from it, defines the method."""
    owners = [next(base for base in cls.__mro__ if n in vars(base)) for n in (name, f"{name}_forward")]
    return issubclass(owners[1], owners[0])

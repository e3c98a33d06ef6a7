"""SemiSupervisedVariationalAutoencoder: a model of rows and of their classes, few of which are known."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from ..base import (
    Batch,
    Bottleneck,
    ClassPrediction,
    Exported,
    Known,
    NonNegative,
    Run,
    Saved,
    Source,
    Subset,
    Table,
    Terms,
    damage,
    require_positive,
    with_labels_in_every_batch,
)
from ..base.labels import Told
from ..base.mixins import available_if
from ..base.transformer import is_stochastic
from ..engine.data import Rows, chunks, rows_of
from ..engine.frame import in_double
from ..engine.moments import principal_axes
from ..engine.regression import Residuals
from ..nn.heads import DeepHead
from ..nn.latent import Posterior
from ._each_class import with_every_class
from ._stacked import Stacked

__all__ = ["SemiSupervisedVariationalAutoencoder"]


class SemiSupervisedVariationalAutoencoder(ClassPrediction, Stacked):
    """Classifier and density, learnt from few labelled and many unlabelled rows.

    A class y is drawn from p(y), a code h from N(0, I), and a row x from p(x | h, y): a code says what the class leaves
    open, such as the style of a digit. Networks q(h | x, y) and q(y | x) approximate what follows from x. With

        -L(x, y) = E_q[log p(x | h, y)] + log p(y) - beta KL(q(h | x, y) || N(0, I)),
        -U(x)    = sum_y q(y | x) (-L(x, y)) + H(q(y | x)),

    which are lower bounds of log p(x, y) and log p(x), the loss is the mean over the rows of L where y is known and of
    U where it is not, and in addition

        alpha (E_CE + lambda E_cons).

    - E_CE is the mean of -log q(y | x) over the labelled rows.
    - E_cons asks that noise does not change q(y | x) of unlabelled rows, as in ``SemiSupervisedAutoencoder``.

    This is model M2 of Kingma et al. (2014), to which E_cons is added. With an ``encoder`` it is M1+M2: x is then the
    code of another model, and samples, reconstructions and scores are still those of rows of X.

    The logits of q(y | x) are the sum of a linear function of x and a dense network. Training starts at a logistic
    regression that is fitted to the labelled rows, and, with the gaussian likelihood, at probabilistic PCA around the
    means of the classes. The sum over the classes makes a step take up to n_classes times longer.

    Rows whose label is -1, None, NaN, NA, NaT or masked are unlabelled, see ``SemiSupervisedAutoencoder``.

    Parameters
    ----------
    n_components : int, default=4
        Width of the code. The class is not part of it.
    alpha : float, default=1.0
        Weight of the classification term. 0 learns q(y | x) from the two bounds alone.
    consistency : float, default=10.0
        Weight lambda of E_cons. 0 is the model of the paper.
    noise_level : float, default=0.5
        Standard deviation of the noise in E_cons, in units of the square root of the mean variance of the columns.
    missing_indicator : False, default=False
        X has no missing entries here.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.
    class_prior_ : ndarray of shape (n_classes,)
        p(y): the shares of the classes among the labelled rows, with one row more of each class.
    encoder_ : VariationalAutoencoder
        The fitted encoder. It exists only with ``encoder``.
    noise_scale_ : float
        Standard deviation of the noise in E_cons, in units of X.
    history_ : dict of str to list of float
        As in ``VariationalAutoencoder``, with the terms "class_divergence", which is KL(q(y | x) || p(y)), or
        -log p(y) where y is known, "prediction" and "consistency". All terms include their weights.
    kl_per_component_, active_components_, noise_variance_
        As in ``VariationalAutoencoder``, of q(h | x).
    image_shape_, code_shape_, module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``VariationalAutoencoder``. With an ``encoder``, ``noise_scale_`` and ``noise_variance_`` are in units of
        its code.

    See Also
    --------
    SemiSupervisedAutoencoder : A classifier that is faster, and no density.
    VariationalAutoencoder : The density without classes.

    References
    ----------
    Kingma, Rezende, Mohamed and Welling (2014), "Semi-supervised Learning with Deep Generative Models",
    https://arxiv.org/abs/1406.5298

    Laine and Aila (2017), "Temporal Ensembling for Semi-Supervised Learning", https://arxiv.org/abs/1610.02242

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import SemiSupervisedVariationalAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> few = np.where(np.arange(len(y)) < 50, y, -1)  # the other labels are unknown
    >>> model = SemiSupervisedVariationalAutoencoder(hidden_layer_sizes=(32,), max_iter=10, random_state=0).fit(X, few)
    >>> bool(model.score(X[50:], y[50:]) > 0.8)
    True
    >>> model.sample(y=[3, 3, 7], random_state=0).shape  # two threes and a seven
    (3, 64)
    >>> H = model.sample_codes(1, random_state=0)
    >>> model.inverse_transform(H.repeat(10, axis=0), np.arange(10)).shape  # all digits in one style
    (10, 64)
    """

    _without_weight = frozenset({*Stacked._without_weight, "class_divergence"})
    n_components = 4
    alpha: NonNegative = 1.0
    consistency: NonNegative = 10.0
    noise_level: NonNegative = 0.5
    missing_indicator: Literal[False] = False

    _takes_gaps = False
    _takes_kinds = False

    _saved: ClassVar[dict[str, Saved]] = {"noise_scale_": Saved(damage.number(0.0))}
    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,)
    Labels, and -1, None or NaN for rows without a label. At least two classes must occur."""
    }

    # ---------------------------------------------------------------- architecture

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.code == "map":
            raise ValueError("code='map' has no dense layers that could be told a class: use code='vector'.")
        if self.tied_weights:
            raise ValueError("tied_weights=True gives the decoder no weights for the class: use tied_weights=False.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_classes = self._n_predictions()
        return {**super()._architecture(n_features), "n_conditions": n_classes, "n_predictions": n_classes}

    def _new_module(self) -> nn.Module:
        module: Any = super()._new_module()
        n_classes = module.n_copies = module.n_conditions
        hidden = module.hidden_layer_sizes
        module.classifier = DeepHead(module.n_features, hidden, n_classes, module.activation, module.dropout)
        module.register_buffer("log_prior", torch.full((n_classes,), -math.log(n_classes)))
        return module

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        frame = self._output_frame
        self.noise_scale_ = float(self.noise_level) * (frame.scale if frame.centred else data.moments()[1])

    # ---------------------------------------------------------------- start

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        """Start at logistic regression, and at probabilistic PCA around the mean of each class that it predicts."""
        super()._initialise(module, data, rng)
        module.classifier.initialise(rng)
        labelled = torch.nonzero(Known.of(data.y).rows).squeeze(1)
        if len(labelled):
            counts = _counts(data.y[labelled], module.log_prior)
            module.log_prior.copy_((counts + 1).log().log_softmax(0))
            self._fit_linear(module.classifier.linear, module.likelihood.embed, data, labelled, rng)
        if module.projection is not None:
            self._start_at_classes(module, data, rng)

    @torch.no_grad()
    def _start_at_classes(self, module: Any, data: Table, rng: torch.Generator) -> None:
        """Start at probabilistic PCA around the mean of each class. Unlabelled rows are of their likeliest class."""
        c: list[Tensor] = []
        sums: Any = 0.0
        counts: Any = 1e-30
        for rows in chunks(len(data), data.width):
            part = data[rows]
            share = self._shares(module, part)
            c.append(_one_hot(share.argmax(1), share))
            weighted = c[-1] if part.weight is None else c[-1] * part.weight[:, None]
            sums, counts = sums + weighted.t() @ part.x, counts + weighted.sum(0)
        means = sums / counts[:, None]
        left = Residuals(self._drawn(data.x, rng), torch.cat(c), means, torch.zeros(len(data)).to(means))
        axes, variances = principal_axes(left, int(self.n_components), rng, data.weight)
        self._start_at_axes(module, axes.to(means), variances.to(means), left.total(data.weight), means)

    def _split(self, data: Any, run: Run) -> tuple[Source, Subset | None]:
        train, held_out = super()._split(data, run)
        if len(train) <= self._batch_size(len(train)):
            return train, held_out
        return with_labels_in_every_batch(data, rows_of(train)), held_out

    # ---------------------------------------------------------------- rows that are told a class

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        """Rows that are told a class have been corrupted before."""
        return batch if _is_told(batch) else super()._corrupt(module, batch, rng)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        assert batch.y is not None
        return super()._bottleneck(module, batch, e, rng).beside(batch.y)

    def _decode_draws(self, module: Any, h: Tensor, batch: Batch, rng: torch.Generator | None = None) -> Tensor:
        assert batch.y is not None
        told = torch.cat([h, batch.y.expand(len(h), -1, -1)], 2)
        return super()._decode_draws(module, told, batch, rng)

    # ---------------------------------------------------------------- objective

    def _draws_noise(self) -> bool:
        return self.alpha > 0.0 and self.consistency > 0.0 and self.noise_level > 0.0

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Terms:
        batch = self._corrupt(module, batch, rng)
        logits = self._logits(module, batch, rng)
        known, share = Known.of(batch.y).rows[:, None], _share_of_classes(logits, batch)
        weighted = share if batch.weight is None else share * batch.weight[:, None]
        noise = self._noise_of(batch.x, rng)
        told, at = _told(batch._replace(x=batch.x + noise, corrupted=batch.shown + noise), share)
        weight = weighted[at] * (len(told.x) / len(batch.x))
        log_share = torch.where(known, 0.0, logits.log_softmax(1))
        terms = {
            **super()._loss(module, told._replace(weight=weight), rng),
            "class_divergence": (weighted * (log_share - module.log_prior)).sum(1).mean(),
            "prediction": self.alpha * self._misfit(logits, batch.y),
        }
        if rng is None or not self._draws_noise():
            return terms

        def predict(x: Tensor) -> Tensor:
            return self._logits(module, batch._replace(corrupted=x), rng)

        level = float(self.noise_scale_ / self._output_frame.scale)
        inconsistency = self._inconsistency(predict, batch, logits, level, rng)
        return {**terms, "consistency": self.alpha * self.consistency * inconsistency}

    # ---------------------------------------------------------------- using

    def _logits(self, module: Any, batch: Batch, rng: torch.Generator | None = None) -> Tensor:
        """Logits of q(y | x)."""
        logits: Tensor = module.classifier(module.likelihood.embed(batch.shown), rng)
        return logits

    def _output(self, module: Any, batch: Batch) -> Tensor:
        return self._logits(module, batch)

    def _shares(self, module: Any, batch: Batch) -> Tensor:
        """Q(y | x) of each row, of shape (n, n_classes). A class that is known has it all."""
        return _share_of_classes(self._logits(module, batch), batch)

    def _moments_of(self, module: Any, batch: Batch) -> Tensor:
        """Mu and log sigma^2 of q(h | x, y). If y is unknown they are those of the mixture with weights q(y | x)."""
        if _is_told(batch):
            return super()._moments_of(module, batch)
        share = self._shares(module, batch)
        told, (rows, classes) = _told(batch, share)
        mu, log_variance = super()._moments_of(module, told).chunk(2, 1)
        weight = share[rows, classes][:, None]
        mean = _sums(weight * mu, rows, len(share))
        variance = _sums(weight * (log_variance.exp() + (mu - mean[rows]).square()), rows, len(share))
        return torch.cat([mean, variance.log()], 1)

    def _mean_given(self, module: Any, h: Tensor, share: Tensor) -> Tensor:
        """Mean of x given a code for each class, of shape (n, n_classes, n_components), and the shares of classes."""
        rows, classes = torch.nonzero(share, as_tuple=True)
        told = Batch(h[rows, classes], y=_one_hot(classes, share))
        mean = module.likelihood.mean(self._decode_draws(module, told.x[None], told)[0])
        return _sums(share[rows, classes][:, None] * mean, rows, len(share))

    def _decode(self, module: Any, h: Tensor, batch: Batch) -> Tensor:
        """Mean of p(x | h, y). If y is unknown it is that of p(x | h)."""
        share = _share_of_classes(module.log_prior.expand(len(h), -1), batch)
        return self._mean_given(module, h[:, None].expand(-1, share.shape[1], -1), share)

    def _codes_and_shares(self, module: Any, batch: Batch) -> Tensor:
        """Mu of each class, and the shares of the classes, side by side in one row."""
        share = self._shares(module, batch)
        told, _ = _told(batch, torch.ones_like(share))
        mu = super()._moments_of(module, told).chunk(2, 1)[0]
        return torch.cat([mu.reshape(len(share), -1), share], 1)

    def _mean_of(self, module: Any, codes_and_shares: Tensor) -> Tensor:
        n_classes = module.n_conditions
        h, share = codes_and_shares.tensor_split([-n_classes], 1)
        return self._mean_given(module, h.unflatten(1, (n_classes, -1)), share)

    def _restored(self, module: Any, batch: Batch) -> Tensor:
        return self._mean_of(module, self._codes_and_shares(module, batch))

    def _log_weights_given(self, module: Any, batch: Batch, eps: Tensor) -> Tensor:
        """Log sum_y p(x, h_y, y) / q(h_y | x, y) for codes of all classes that are made of the same noise."""
        told, (rows, _) = _told(batch, torch.ones(len(batch.x), module.n_conditions, device=batch.x.device))
        q = Posterior(*super()._moments_of(module, told).chunk(2, 1))
        h = q.drawn(eps if eps.shape[1] == 1 else eps[:, rows])
        of_class = self._log_weights_at(module, told, q, h).unflatten(1, (len(batch.x), -1))
        return (of_class + module.log_prior).logsumexp(2)

    def _exported(self) -> dict[str, Exported]:
        found = super()._exported()
        return {**found, **{name: own for name, own in with_every_class(self).items() if name in found}}

    # ---------------------------------------------------------------- for users

    @property
    def class_prior_(self) -> np.ndarray:
        """The probabilities p(y) of the classes."""
        check_is_fitted(self)
        probabilities: np.ndarray = in_double(self.module_.log_prior).exp().cpu().numpy()
        return probabilities

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:  # type: ignore[override]  # as in scikit-learn
        """Update the model with one pass over a chunk of rows, and continue from the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. The first chunk fixes the scale, the initial weights, p(y), and the ``encoder`` if there is
            one.
        y : array-like of shape (n_samples,)
            Labels, and -1, None or NaN for rows without a label. Later chunks may have no labels at all.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur, for the first call. None takes the classes of the first chunk.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, and if a label is not among the classes, or if ``early_stopping=True``.
        AttributeError
            If ``solver="lbfgs"``, which needs all rows.
        """
        return super().partial_fit(X, Told(y, classes), sample_weight)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Encode rows: the mean of q(h | x), or of q(h | x, y) where the class is known.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            Labels, and -1, None or NaN where they are unknown. Rows without a label have the mean over the classes,
            sum_y q(y | x) mu(x, y).

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            What the class does not say about the row, such as the style of a digit.
        """
        return self._map(self._encode, X, y, like=X)

    def posterior(self, X: Any, y: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the code of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As in ``transform``.

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What ``transform`` returns.
        deviation : ndarray of shape (n_samples, n_components)
            Without a label, that of the mixture sum_y q(y | x) q(h | x, y).
        """
        return self._posterior(X, y)

    def inverse_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Decode codes into rows of asked classes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes.
        y : label, array-like of shape (n_samples,), or None, default=None
            The class of each row, or one class for all. Without a label, a row is the mean over the classes,
            sum_y p(y) E[x | h, y].

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The mean of a row given its code and its class, in units of the training data.

        Raises
        ------
        ValueError
            If y is no class of the fit.
        """
        if y is not None and (isinstance(y, str) or np.ndim(y) == 0):
            y = np.full(X.shape[0] if hasattr(X, "shape") else len(X), y)
        return self._rows_below(self._decoded(X, y))

    def reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        """Encode rows, with their classes, and decode them.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,), default=None
            As in ``transform``.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), float64
            Sum over y of q(y | x) E[x | mu(x, y), y], in units of X. If the class is known, it is the only one.
        """
        check_is_fitted(self)
        return self._rows_below(self._map(self._restored, X, y, undo=self._output_frame))

    def interpolate(self, a: Any, b: Any, n: int = 10) -> np.ndarray:
        """Decode what lies on the straight line from one row to another: their codes and their class probabilities.

        Parameters
        ----------
        a, b : array-like of shape (n_features,) or (1, n_features)
            The two rows.
        n : int, default=10
            Number of rows to return, the two ends included.

        Returns
        -------
        X : ndarray of shape (n, n_features), float64
            In units of the training data. The first row is the reconstruction of a, the last that of b.

        Raises
        ------
        ValueError
            If ``n`` is below 1, or if a or b is not a single row of the right width.
        """
        require_positive(n=n)
        start, end = (self._of_row(self._codes_and_shares, name, row) for name, row in (("a", a), ("b", b)))
        share = np.linspace(0.0, 1.0, n)[:, None]
        between = torch.from_numpy((1 - share) * start + share * end).to(self._flat.theta)
        data = Table(Rows(between, dtype=between.dtype, device=between.device))
        found = self._collect(lambda module, batch: self._mean_of(module, batch.x), data, undo=self._output_frame)
        return self._rows_below(found.numpy())

    def score_samples(self, X: Any) -> np.ndarray:
        """Lower bound of log p(x) of each row in nats: the importance-weighted bounds of all classes, summed.

        It is log sum_y p(y) 1/K sum_k p(x, h_k | y) / q(h_k | x, y), with K = ``n_draws`` codes h_k from q(h | x, y).
        Classes are summed exactly, so q(y | x) plays no part. All rows share the draws. With an ``encoder``, each of
        the K draws is a code of X, and a code of that code for each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            Rows with the lowest values are the most unusual. Rows that the likelihood cannot describe have -inf, and a
            warning names the first of them.
        """
        return super().score_samples(X)

    def elbo(self, X: Any) -> np.ndarray:
        """Lower bound of log p(x) of each row in nats, between -U(x) and that of ``score_samples``.

        It is the mean over ``n_draws`` draws of log sum_y p(x, h_y, y) / q(h_y | x, y), for codes h_y of all classes
        that are made of the same noise.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
        """
        return super().elbo(X)

    def sample(self, n_samples: int | None = None, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model: classes from p(y), codes from p(h), and rows from p(x | h, y).

        ``inverse_transform(sample_codes(n), y)`` are rows without the noise of p(x | h, y). The same codes with another
        y are the same styles in another class.

        Parameters
        ----------
        n_samples : int or None, default=None
            Number of rows. None is one, or as many as y has labels.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``. The codes do not depend on y.
        y : label, array-like of shape (n_samples,), or None, default=None
            Class of all rows, or of each. None draws the classes from p(y).

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, or if y is no class of the fit, or has not one label for each row.
        """
        n = (1 if y is None or isinstance(y, str) else max(1, np.size(y))) if n_samples is None else n_samples
        rng, codes = self._drawn_codes(n, random_state)
        prior = self.module_.log_prior.exp()
        drawn = torch.multinomial(prior, len(codes), True, generator=rng)
        classes = drawn if y is None else torch.from_numpy(self._asked(y, len(codes))).to(prior.device)
        return self._rows_of(codes, rng, _one_hot(classes, codes.new_empty(0, len(prior))))


def _counts(y: Tensor, like: Tensor) -> Tensor:
    """How many of some labelled rows are of each class, with weights whose mean is 1."""
    count, value = Known.of(y)
    weight = (count[:, 0] / count.mean()).to(like)
    return torch.zeros_like(like).index_add(0, value[:, 0].long().to(like.device), weight)


def _one_hot(classes: Tensor, like: Tensor) -> Tensor:
    """Classes as columns of zeros and ones, as many as another table of classes has, in its precision."""
    return F.one_hot(classes, like.shape[1]).to(like)


def _share_of_classes(logits: Tensor, batch: Batch) -> Tensor:
    """The softmax of logits, and 1 for the class of a row that is known."""
    share = logits.softmax(1)
    if batch.y is None:
        return share
    known = Known.of(batch.y)
    return torch.where(known.rows[:, None], _one_hot(known.value[:, 0].long(), share), share)


def _told(batch: Batch, share: Tensor) -> tuple[Batch, tuple[Tensor, Tensor]]:
    """Each row with each class that has a share in it, and the numbers of these rows and classes."""
    rows, classes = torch.nonzero(share.detach(), as_tuple=True)
    c = _one_hot(classes, share).to(batch.x)
    return Batch(batch.x[rows], y=c, corrupted=torch.cat([batch.shown[rows], c], 1)), (rows, classes)


def _is_told(batch: Batch) -> bool:
    """Whether the rows of a batch are told a class, and y is that class."""
    return batch.corrupted is not None and batch.corrupted.shape[1] > batch.x.shape[1]


def _sums(values: Tensor, rows: Tensor, n: int) -> Tensor:
    """Sums of the values that belong to the same row, of shape (n, ...)."""
    return values.new_zeros(n, *values.shape[1:]).index_add(0, rows, values)

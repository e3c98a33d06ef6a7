"""ConditionalVariationalAutoencoder: a model of rows, given what is known about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import Batch, Bottleneck, Saved, require_positive
from ..base.transformer import mean_score, row_by_row
from ..engine.moments import principal_axes
from ..engine.regression import regress
from ..nn.coder import Coder
from ..nn.conditional import ConditionalDense, ConditionalImages
from ._conditions import Conditions, Told, fault_of_conditions
from .vae import VariationalAutoencoder

__all__ = ["ConditionalVariationalAutoencoder"]


class ConditionalVariationalAutoencoder(VariationalAutoencoder):
    """A model of the density p(x | y) of rows x, given classes or numbers y that are known about them.

    A code h is drawn from the prior, and a row from p(x | h, y). So y says what the row is of, and h what y does not
    say: with digits and their classes, h is the handwriting. The encoder is told y too. It is trained, as that of
    ``VariationalAutoencoder``, to maximise a lower bound:

        log p(x | y) >= E_q[log p(x | h, y)] - KL(q(h | x, y) || p(h)).

    ``y`` is one class a row, one number a row, or several columns. Columns of X can be the condition of the others,
    ``fit(X[:, others], X[:, some])``: then ``sample(y=X[:, some])`` completes rows.

    With the gaussian likelihood training starts at the linear regression of X on y and probabilistic PCA of the
    residuals. That is the exact solution if all is linear, and the bound is then the exact log-likelihood.

    Where y holds classes alone, every method but ``fit`` can do without y: it sums over the classes of the training
    rows with their frequencies. Where y holds numbers, y must be passed.

    Parameters
    ----------
    prior : {"mixture", "normal", "vamp", "flow"}, default="normal"
        Distribution of the codes, the same for all y. See ``VariationalAutoencoder``. "normal" is N(0, I), which a
        ``conditional_prior`` that is learned leaves with little to win for a mixture.
    conditions : {"auto", "classes", "numbers"}, default="auto"
        What the columns of y hold. With "auto", text, truth values, dates and categories of pandas are classes, and so
        is a single column of whole numbers. Other numbers are numbers: they are standardised. Classes are told to the
        networks as columns of zeros and ones.
    conditional_prior : {"learned", "standard"}, default="learned"
        Prior of what the networks encode. With "standard" it is ``prior``, whatever y is. With "learned" it is
        ``prior``, moved and scaled for each y: a network learns a mean m(y) and a deviation s(y), and h is encoded
        and decoded as m(y) + s(y) h. So the prior of h does not depend on y, and codes of different y can be compared.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The sorted classes, if y is one column of classes.
    class_prior_ : ndarray of shape (n_classes,)
        Their frequencies among the training rows.
    module_, kl_per_component_, active_components_, noise_variance_, history_, loss_, n_iter_, mean_, scale_
        As in ``VariationalAutoencoder``.
    image_shape_, code_shape_, n_features_in_, feature_names_in_, components_
        As in ``VariationalAutoencoder``.

    See Also
    --------
    VariationalAutoencoder : The same without conditions.

    References
    ----------
    Sohn, Lee and Yan (2015), "Learning Structured Output Representation using Deep Conditional Generative Models",
    https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html

    Kingma, Rezende, Mohamed and Welling (2014), "Semi-Supervised Learning with Deep Generative Models" (p(x | h, y)
    for classes), https://arxiv.org/abs/1406.5298

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skae import ConditionalVariationalAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> model = ConditionalVariationalAutoencoder(2, max_iter=20, random_state=0).fit(X, y)
    >>> threes = model.sample(100, random_state=0, y=3)
    >>> bool((KNeighborsClassifier().fit(X, y).predict(threes) == 3).mean() > 0.9)
    True

    The handwriting of the first row, a zero, in all digits:

    >>> h = model.transform(X[:1], y[:1])
    >>> model.inverse_transform(h.repeat(10, axis=0), range(10)).shape
    (10, 64)

    The lower half of images, given the upper one:

    >>> completion = ConditionalVariationalAutoencoder(2, max_iter=20, random_state=0).fit(X[:, 32:], X[:, :32])
    >>> completion.sample(y=X[:5, :32], random_state=0).shape
    (5, 32)
    """

    prior = "normal"
    conditions: Literal["auto", "classes", "numbers"] = "auto"
    conditional_prior: Literal["learned", "standard"] = "learned"

    __metadata_request__transform: ClassVar[dict[str, None]] = {"y": None}
    __metadata_request__inverse_transform: ClassVar[dict[str, None]] = {"y": None}
    _saved: ClassVar[dict[str, Saved]] = {"_conditions": Saved(fault_of_conditions, cls=Conditions)}
    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns)
    The condition of each row, all of them known. See ``conditions``.""",
        "partial_fit": """y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns)
    The condition of each row. The first chunk must hold all classes.""",
    }

    # ---------------------------------------------------------------- conditions in a batch

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> np.ndarray:
        if isinstance(y, Told):
            return y.table
        if reset:
            self._conditions, table = Conditions.of(y, n_samples, self.conditions, weight)
            return table
        return self._conditions.table(y, n_samples, weight)

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        """The batch with what the encoder is given: rows, which may be corrupted, and their conditions."""
        batch = super()._corrupt(module, batch, rng)
        return batch._replace(corrupted=torch.cat([batch.shown, _given(batch)], 1))

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        return super()._bottleneck(module, batch, e, rng).beside(_given(batch))

    def _decode_draws(self, module: Any, h: Tensor, batch: Batch, rng: torch.Generator | None = None) -> Tensor:
        c = _given(batch).expand(len(h), -1, -1)
        return super()._decode_draws(module, torch.cat([h, c], 2), batch, rng)

    # ---------------------------------------------------------------- architecture and start

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.code == "map":
            raise ValueError("code='map' has no dense layers that could be told conditions: use code='vector'.")
        if self.tied_weights:
            raise ValueError("tied_weights=True gives the decoder no weights for conditions: use tied_weights=False.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        n_conditions = self._conditions.n_conditions
        prior = self.conditional_prior if n_conditions else "standard"
        return {**super()._architecture(n_features), "n_conditions": n_conditions, "conditional_prior": prior}

    def _new_coder(self, spec: dict[str, Any]) -> Coder:
        own = {name: value for name, value in spec.items() if name != "conditional_prior"}
        if spec["conditional_prior"] == "standard":
            return super()._new_coder(own)
        own = {name: value for name, value in own.items() if not name.startswith("prior")}
        return ConditionalImages(**own) if "image_shape" in own else ConditionalDense(**own)

    def _obstacles_to_pca(self) -> list[str]:
        return [*super()._obstacles_to_pca(), *(["likelihood='mixed'"] if self.likelihood == "mixed" else [])]

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        """Start at the regression on the conditions, and probabilistic PCA of what it leaves over."""
        super()._initialise(module, data, rng)
        if module.projection is None or not module.n_conditions:
            return
        slopes, residuals = regress(data.x, data.y, data.weight)
        axes, variances = principal_axes(residuals, int(self.n_components), rng, data.weight)
        axes, variances, slopes = (part.to(module.projection) for part in (axes, variances, slopes))
        self._start_at_axes(module, axes, variances, residuals.total(data.weight), slopes)

    def _failure(self, data: Any) -> str | None:
        found = super()._failure(data)
        if found is None or self.active_components_.any():
            return found
        return f"{found} It may also be that y leaves nothing but noise, and then there is nothing to do."

    # ---------------------------------------------------------------- without conditions

    def _of_each(self, function: Callable[[Any, Batch], Tensor], module: Any, batch: Batch) -> Tensor:
        """``function(module, batch)`` under each condition of the training rows, of shape (n_distinct, n, ...)."""
        rows, _ = self._every_condition(batch.x)
        return torch.stack([function(module, batch._replace(y=row.expand(len(batch.x), -1))) for row in rows])

    def _every_condition(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """All conditions of the training rows, and the logarithms of their frequencies."""
        if not len(self._conditions.rows):
            raise ValueError(
                f"This {type(self).__name__} was fitted to numbers as conditions, which cannot be summed over as "
                "classes can: pass y, a condition for each row."
            )
        return torch.from_numpy(self._conditions.rows).to(like), torch.from_numpy(self._conditions.log_share).to(like)

    def _joint(self, function: Callable[[Any, Batch], Tensor], module: Any, batch: Batch) -> Tensor:
        """Log p(x, y) of each row under each condition, given the function for log p(x | y)."""
        found = self._of_each(function, module, batch)
        return found + self._every_condition(batch.x)[1].to(found)[:, None]

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        if batch.y is not None:
            return super()._log_likelihood(module, batch)
        return self._joint(super()._log_likelihood, module, batch).logsumexp(0)

    def _elbo(self, module: Any, batch: Batch) -> Tensor:
        if batch.y is not None:
            return super()._elbo(module, batch)
        return self._joint(super()._elbo, module, batch).logsumexp(0)

    def _class_given_row(self, module: Any, batch: Batch) -> Tensor:
        """q(y | x), proportional to the bound of p(x, y), of shape (n_distinct, n, 1)."""

        def bound(module: Any, told: Batch) -> Tensor:  # without constants, which would cost digits
            return self._log_weights(module, told).logsumexp(0)

        # The weights can be steep functions of the row, so that its place in a batch would show.
        joint = row_by_row(lambda rows: self._joint(bound, module, rows).T, batch)
        return joint.softmax(1).T[..., None]

    def _moments_of(self, module: Any, batch: Batch) -> Tensor:
        if batch.y is not None:
            return super()._moments_of(module, batch)
        share = self._class_given_row(module, batch)
        mu, log_variance = self._of_each(super()._moments_of, module, batch).chunk(2, 2)
        mean = (share * mu).sum(0)
        variance = (share * (log_variance.exp() + (mu - mean).square())).sum(0)
        return torch.cat([mean, variance.log()], 1)

    def _decode(self, module: Any, h: Tensor, batch: Batch) -> Tensor:
        if batch.y is not None:
            mean: Tensor = module.likelihood.mean(self._decode_draws(module, h[None], batch)[0])
            return mean
        each = self._of_each(lambda module, told: self._decode(module, told.x, told), module, Batch(h))
        return (self._every_condition(h)[1].exp()[:, None, None] * each).sum(0)

    def _restored(self, module: Any, batch: Batch) -> Tensor:
        """Mean of p(x | h, y) at the mean of q(h | x, y)."""
        if batch.y is not None:
            return self._decode(module, self._encode(module, batch), batch)
        return (self._class_given_row(module, batch) * self._of_each(self._restored, module, batch)).sum(0)

    # ---------------------------------------------------------------- for users

    @property
    def classes_(self) -> np.ndarray:
        """The sorted classes, if y is one column of classes."""
        return self._conditions.only_classes

    @property
    def class_prior_(self) -> np.ndarray:
        """Frequency of each class among the training rows."""
        return self._conditions.mean[: len(self.classes_)]

    def fit_transform(self, X: Any, y: Any = None, **fit_params: Any) -> np.ndarray:
        """Fit the model, and encode the rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns)
            The condition of each row.
        **fit_params : dict
            Other arguments of ``fit``.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            ``transform(X)``, without y, where y holds classes alone, so that these codes are like those of rows of
            unknown classes. Where y holds numbers, ``transform(X, y)``.
        """
        self.fit(X, y, **fit_params)
        return self.transform(X) if len(self._conditions.rows) else self.transform(X, y)

    def transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Mean of q(h | x, y): what a row is besides its condition.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, the mean over the classes with the weights q(y | x), which are
            proportional to the bound of p(x, y). A Pipeline passes it on after ``set_transform_request(y=True)``.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        return self._map(self._encode, X, y, like=X)

    def inverse_transform(self, X: Any, y: Any = None) -> np.ndarray:
        """Mean of p(x | h, y).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes h.
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each code. Without it, the mean over the classes with their frequencies.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            In units of the training data.
        """
        return self._decoded(X, y)

    def posterior(self, X: Any, y: Any = None) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of q(h | x, y).

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, q(h | x) is the mixture over the classes with the weights q(y | x).

        Returns
        -------
        mean : ndarray of shape (n_samples, n_components)
            What ``transform`` returns.
        deviation : ndarray of shape (n_samples, n_components)
        """
        return self._posterior(X, y)

    def reconstruct(self, X: Any, y: Any = None) -> np.ndarray:
        """Encode rows and decode their codes, both with their conditions.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, the mean over the classes with the weights q(y | x).

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), float64
            The mean of a row given its code, in units of X.
        """
        check_is_fitted(self)
        rows: np.ndarray = self._map(self._restored, X, y, undo=self._output_frame)
        return rows

    def interpolate(self, a: Any, b: Any, n: int = 10, y: Any = None) -> np.ndarray:
        """Decode codes on the straight line from the code of one row to that of another.

        Parameters
        ----------
        a, b : array-like of shape (n_features,) or (1, n_features)
            The two rows.
        n : int, default=10
            Number of rows to return, the two ends included.
        y : array-like or DataFrame of one or two conditions, default=None
            The condition of both rows, or those of a and of b. From the one to the other the condition changes in a
            straight line too, through what is no class where they are classes. Without y, a row counts as each of
            the classes by its weight q(y | x).

        Returns
        -------
        X : ndarray of shape (n, n_features), float64
            In units of the training data.

        Raises
        ------
        ValueError
            If ``n`` is below 1, if a or b is not a single row of the right width, or if y is not as described.
        """
        check_is_fitted(self)
        require_positive(n=n)
        ends = {"a": a, "b": b}
        if y is None:
            told = np.concatenate([self._of_row(self._expected_condition, *end) for end in ends.items()])
        else:
            told = self._conditions.table(y)
        if len(told) not in (1, 2):
            raise ValueError(f"y has {len(told)} conditions: pass one, or that of a and that of b.")
        told = told[[0, -1]]
        codes = [self._of_row(self._encode, *end, Told(c[None])) for end, c in zip(ends.items(), told, strict=True)]
        share = np.linspace(0.0, 1.0, n)[:, None]
        codes, conditions = (share * ends_of[1] + (1 - share) * ends_of[0] for ends_of in (codes, told))
        rows: np.ndarray = self._decoded(codes, Told(conditions))
        return rows

    def _expected_condition(self, module: Any, batch: Batch) -> Tensor:
        """Mean of the conditions under q(y | x)."""
        rows, _ = self._every_condition(batch.x)
        return (self._class_given_row(module, batch) * rows[:, None]).sum(0)

    def sample(self, n_samples: int | None = None, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model: codes from p(h), and rows from p(x | h, y).

        ``inverse_transform(sample_codes(len(y)), y)`` are rows without the noise of p(x | h, y).

        Parameters
        ----------
        n_samples : int or None, default=None
            Number of rows. None is one for each condition in y, and 1 without y.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.
        y : condition, or array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            One condition, or one for each row. Without it, classes are drawn by their frequencies.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, if y is not as described or has a class that the fit did not see, or if y is
            not passed and the conditions are numbers.
        """
        check_is_fitted(self)
        asked = None if y is None else self._conditions.table(y)
        n = n_samples if n_samples is not None else 1 if asked is None else len(asked)
        if asked is not None and len(asked) not in (1, n):
            raise ValueError(f"y has {len(asked)} conditions: pass one, or one for each of the {n} samples.")
        rng, codes = self._drawn_codes(n, random_state)
        c = self._drawn_conditions(codes, rng) if asked is None else torch.from_numpy(asked).to(codes).expand(n, -1)
        return self._rows_of(codes, rng, c)

    def _drawn_conditions(self, codes: Tensor, rng: torch.Generator) -> Tensor:
        """A condition for each code, drawn by its frequency among the training rows."""
        rows, log_share = self._every_condition(codes)
        if len(rows) == 1:
            return rows.expand(len(codes), -1)
        return rows[torch.multinomial(log_share.exp(), len(codes), True, generator=rng)]

    def score_samples(self, X: Any, y: Any = None) -> np.ndarray:
        """Lower bound of log p(x | y) of each row in nats: the importance-weighted bound of ``n_draws`` codes.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, the bound is that of log p(x), where p(x) is the sum of
            p(x | y) p(y) over the classes.

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
            Rows with the lowest values are the most unusual. Rows that the likelihood cannot describe have -inf, and a
            warning names the first of them.
        """
        return self._log_densities(self._log_likelihood, X, y)

    def elbo(self, X: Any, y: Any = None) -> np.ndarray:
        """Evidence lower bound of log p(x | y) of each row in nats, which is below that of ``score_samples``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, the bound is that of log p(x).

        Returns
        -------
        bound : ndarray of shape (n_samples,), float64
        """
        return self._log_densities(self._elbo, X, y)

    def score(self, X: Any, y: Any = None, sample_weight: Any = None) -> float:
        """Mean of ``score_samples`` over the rows, in nats per row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
        y : array-like or DataFrame of shape (n_samples,) or (n_samples, n_columns), default=None
            The condition of each row. Without it, the score is that of log p(x).
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows.

        Returns
        -------
        score : float
            Higher is better. It is -inf if the model cannot describe a row that counts.
        """
        return mean_score(self.score_samples(X, y), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags


def _given(batch: Batch) -> Tensor:
    """The conditions of a batch."""
    assert batch.y is not None
    return batch.y

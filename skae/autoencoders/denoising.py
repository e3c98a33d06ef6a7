"""DenoisingAutoencoder: reconstructs clean rows from corrupted ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import damage
from ..base.checks import frame_of
from ..base.damage import Saved
from ..base.estimator import Run
from ..base.params import NonNegative, Pair, PositiveInt
from ..engine.arrays import Arrays
from ..engine.data import Batch, Source, Table, to_tensor
from ..engine.modes import plain_torch
from ._chain import joined, tell_of_straying
from ._corruption import Corruption, emphasis_of, limits_fault, limits_of
from ._residuals import Residuals, residuals_fault, residuals_of, root_of
from ._target import read_target, tell_of_ignored
from .dense import Autoencoder

__all__ = ["DenoisingAutoencoder"]

N_RESIDUALS = 500, 5000
"""Smallest and largest number of rows whose residuals are measured. ``sample`` draws noise like these residuals."""
RESIDUALS = 2**19
"""Number of residuals to measure, one per row and column, as far as these bounds allow."""

LEAST_SPLIT = 100
"""Smallest number of rows of which some are held out with early_stopping="auto"."""


class DenoisingAutoencoder(Autoencoder):
    """Autoencoder that learns to undo noise: it reconstructs a row x from a corrupted copy x~.

    An autoencoder that sees only corrupted rows cannot copy them. It has to learn how the entries of a row depend on
    each other. Its reconstruction r(x~) = g(f(x~)) estimates E[x | x~], so it removes noise and fills gaps. It also
    shows where the density of the data rises. Under Gaussian noise of variance sigma^2, (r(x) - x) / sigma^2 is
    approximately the gradient of log p(x).

    The default code of two numbers is for maps. To denoise, give as many components as there are columns.

    With ``target="y"``, ``fit(X, Y)`` reconstructs a second array Y from X. Y can be a clean version of X, another
    noisy version, or different columns for the same rows.

    Parameters
    ----------
    target : {"X", "y"}, default="X"
        What is reconstructed. With "X", y is ignored, as the other autoencoders do it. With "y", ``fit`` and ``score``
        are given a second array as y, of shape (n_samples, n_targets).
    corruption : {"masking", "gaussian", "salt_and_pepper", "swap", "bert"} or callable, default="gaussian"
        Kind of noise. Columns of a one-hot group are corrupted together.

        - "masking" sets entries to zero. With a gaussian likelihood X is centred, and zero is the column mean.
        - "gaussian" adds noise to all entries.
        - "salt_and_pepper" sets entries to the smallest or the largest value of their column.
        - "swap" replaces entries by the value of the same column in another row. It suits tables.
        - "bert" selects entries. It sets 80 % of them to zero, swaps 10 % and keeps 10 %. Only selected entries count
          in the loss.
        - A callable gets (X, rng): rows on the scale of X, and a ``numpy.random.Generator``. It returns a new array.
    corruption_level : float or "auto", default="auto"
        Probability that an entry is corrupted. For "gaussian" it is the standard deviation of the noise, in units of
        ``scale_``. "auto" is 0.3 for "gaussian", 0.15 for "bert" and 0.1 for the others. With ``target="y"`` it is 0,
        because X is then corrupted already. Not used by a callable.
    emphasis : pair of float or "auto", default="auto"
        Weights of the loss on corrupted and on uncorrupted entries, in this order (Vincent et al., 2010). "auto" is
        (1, 0) for "bert" and (1, 1) for the others.
    early_stopping : bool or "auto", default="auto"
        Whether to watch the loss of held-out rows instead of the training loss. "auto" does so with ``target="y"`` and
        at least 100 rows, because Y may be noisy, and the noise in the rows of training can be learnt by heart.
    walkback : int, default=1
        Number of steps of the Markov chain that alternates corruption and reconstruction. The model learns to
        reconstruct x from the corrupted row of each step. 1 is a single corruption. Larger numbers make ``sample``
        better, because the model learns to return when its own chain strays (Bengio et al., 2013).

    Attributes
    ----------
    target_mean_ : ndarray of shape (n_targets,)
        Mean of the array that is reconstructed, which is X or y.
    target_scale_ : float
        Scale of that array, as ``scale_`` is the scale of X.
    sigma_ : float
        Standard deviation of the noise, in units of X. It is 0 unless ``corruption="gaussian"``.
    module_, history_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    References
    ----------
    Vincent, Larochelle, Bengio and Manzagol (2008), "Extracting and Composing Robust Features with
    Denoising Autoencoders", https://doi.org/10.1145/1390156.1390294

    Vincent et al. (2010), "Stacked Denoising Autoencoders: Learning Useful Representations in a
    Deep Network with a Local Denoising Criterion", https://www.jmlr.org/papers/v11/vincent10a.html

    Bengio, Yao, Alain and Vincent (2013), "Generalized Denoising Auto-Encoders as Generative
    Models", https://arxiv.org/abs/1305.6663

    Alain and Bengio (2014), "What Regularized Auto-Encoders Learn from the Data-Generating
    Distribution", https://www.jmlr.org/papers/v15/alain14a.html

    Lehtinen et al. (2018), "Noise2Noise: Learning Image Restoration without Clean Data",
    https://arxiv.org/abs/1803.04189

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import DenoisingAutoencoder
    >>> X = load_digits().data
    >>> model = DenoisingAutoencoder(32, corruption="gaussian", corruption_level=1.0, max_iter=20, random_state=0)
    >>> noisy = model.fit(X).corrupt(X)
    >>> before, after = ((noisy - X) ** 2).mean(), ((model.denoise(noisy) - X) ** 2).mean()
    >>> bool(after < 0.5 * before)
    True
    """

    target: Literal["X", "y"] = "X"
    corruption: Literal["masking", "gaussian", "salt_and_pepper", "swap", "bert"] | Callable[..., Any] = "gaussian"
    corruption_level: NonNegative | Literal["auto"] = "auto"
    emphasis: Pair | Literal["auto"] = "auto"
    early_stopping: bool | Literal["auto"] = "auto"  # type: ignore[assignment]
    walkback: PositiveInt = 1

    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : {array-like, sparse matrix} of shape (n_samples, n_targets), default=None
    Array to reconstruct, with ``target="y"``: a clean version of X, another noisy version, or different
    columns for the same rows. With ``target="X"`` it is ignored.""",
        "score": """y : {array-like, sparse matrix} of shape (n_samples, n_targets), default=None
    Array to compare the reconstruction with, with ``target="y"``. None compares it with X, if X has as many
    columns. With ``target="X"`` y is ignored.""",
    }
    _saved: ClassVar[dict[str, Saved]] = {
        "sigma_": Saved(damage.number(0.0)),
        "_limits": Saved(limits_fault, required=False),
        "_residuals": Saved(residuals_fault, required=False, cls=Residuals),
    }

    # ---------------------------------------------------------------- methods of a fitted model

    def denoise(self, X: Any) -> np.ndarray:
        """Reconstruct clean rows from corrupted ones: r(x) = g(f(x)).

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows that are corrupted like those of the training.

        Returns
        -------
        X_hat : ndarray of shape (n_samples, n_features), or (n_samples, n_targets) with ``target="y"``, float64
            Estimates of the clean rows, in units of the data.
        """
        check_is_fitted(self)
        restored: np.ndarray = self._map(self._restored, X, undo=self._output_frame)
        return restored

    def corrupt(self, X: Any, random_state: Any = None) -> np.ndarray:
        """Corrupt rows in the same way as during training.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        random_state : int, RandomState instance or None, default=None
            Seed of the noise. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Corrupted rows, a new array.
        """
        check_is_fitted(self)
        rng = self._noise(random_state)
        corrupted: np.ndarray = self._map(
            lambda module, batch: self._corruption(module)(batch.x, rng)[0], X, undo=self._frame
        )
        return corrupted

    def score_field(self, X: Any) -> np.ndarray:
        """Estimate the gradient of log p(x) as (r(x) - x) / sigma^2.

        The gradient points to where the data are denser. If r is the optimal denoiser, the estimate is exact for the
        density of the data plus noise (Alain and Bengio, 2014).

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        field : ndarray of shape (n_samples, n_features)
            Gradient at each row, in inverse units of X.

        Raises
        ------
        ValueError
            If the noise was not Gaussian, or if the model reconstructs y.
        """
        check_is_fitted(self)
        self._require_model_of_x("score_field")
        if self.sigma_ == 0.0:
            raise ValueError(
                "score_field needs Gaussian noise: fit with corruption='gaussian' and corruption_level > 0."
            )
        field: np.ndarray = self._map(lambda module, batch: self._restored(module, batch) - batch.x, X)
        return field.astype(np.float64) * (self.scale_ / self.sigma_) / self.sigma_

    def sample(self, n_samples: int = 1, n_steps: int = 100, random_state: Any = None) -> np.ndarray:
        """Draw new rows with the Markov chain that alternates corruption and reconstruction.

        Each chain starts at the mean. A step corrupts x to x~ and then draws x from p(x | x~) (Bengio et al., 2013).
        For the gaussian likelihood this distribution is N(r(x~), S). S is the covariance of the residuals x - r(x~) of
        the training data, over all steps of ``walkback``. After ``partial_fit`` it is the mean over all chunks with the
        same noise, each measured when the model had learnt from it.

        Parameters
        ----------
        n_samples : int, default=1
            Number of chains. The last state of each chain is a row of the result.
        n_steps : int, default=100
            Number of steps of each chain. A chain of a wide code may run away from the data. A warning says so.
        random_state : int, RandomState instance or None, default=None
            Seed of the noise. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)

        Raises
        ------
        ValueError
            If the model reconstructs y, or was fitted without corruption, or if a number is below 1.
        """
        check_is_fitted(self)
        self._require_model_of_x("sample")
        if self._level() == 0.0 or (self._frame.centred and self._residuals is None):
            raise ValueError(
                "sample needs corruption, but the model was fitted without: fit with corruption_level > 0."
            )
        if n_samples < 1 or n_steps < 1:
            raise ValueError(f"n_samples={n_samples} and n_steps={n_steps} must both be at least 1.")
        module: Any = self._ready_module()
        with plain_torch(grad=False):
            rng, theta, corrupt = self._noise(random_state), self._flat.theta, self._corruption(module)
            x = to_tensor(self._frame.center).to(theta).repeat(n_samples, 1)
            root = x[:0] if self._residuals is None else to_tensor(self._residuals.root()).to(theta)
            for _ in range(n_steps):
                x = self._draw(module, module.decode(module.encode(corrupt(x, rng)[0])), root, rng)
            rows: np.ndarray = self._frame.undo(x).cpu().numpy()
        tell_of_straying(self, x, n_steps)
        return rows

    def _require_model_of_x(self, method: str) -> None:
        if self._target_frame is not None:
            raise ValueError(f"{method} needs a model of X, but this one reconstructs y: fit it with target='X'.")

    # ---------------------------------------------------------------- the second array

    @property
    def target_mean_(self) -> np.ndarray:
        """Mean of the array that is reconstructed, which is X or y."""
        return self._output_frame.mean

    @property
    def target_scale_(self) -> float | np.ndarray:
        """Scale of the array that is reconstructed."""
        return self._output_frame.scale

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        source: Any = super()._source(X, y, weight, reset)
        if reset is not None and self.target == "X" and y is not X:
            tell_of_ignored(source.X, y)
        return source

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        asked = self.target == "y" if reset is not None else self._target_frame is not None
        if not asked:
            return super()._targets(y, n_samples, weight, reset)
        target = read_target(y, n_samples)
        if reset is None:
            self._require_same_width(target)
        return target

    def _require_same_width(self, target: Any) -> None:
        if target.shape[1] != len(self._output_frame):
            raise ValueError(
                f"Y has {target.shape[1]} columns, but the model was fitted to a Y of {len(self._output_frame)}."
            )

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        self._limits: np.ndarray | None = None
        self._target_frame = None
        if self.target == "y":
            self._target_frame = frame_of(Arrays(data.y, data.weight), "Y", self._standardizes())
            self._require_possible_target(data.width)

    def _require_possible_target(self, n_features: int) -> None:
        n_targets = len(self._output_frame)
        if self.tied_weights and n_targets != n_features:
            raise ValueError(
                f"tied_weights=True gives the decoder the encoder's weights, but Y has {n_targets} columns and X "
                f"{n_features}: use tied_weights=False."
            )
        if self._emphasis() != (1.0, 1.0) and n_targets != n_features:
            self._refuse_emphasis("Y has columns of its own")
        if self.walkback > 1:
            raise ValueError(f"walkback={self.walkback} needs a model of X: use walkback=1, or target='X'.")

    def _squared_errors(self, X: Any, y: Any) -> np.ndarray:
        check_is_fitted(self)
        if self._target_frame is not None and y is None:
            y = X
            if self.n_features_in_ != len(self._target_frame):
                raise ValueError("The model reconstructs y, not X: pass the array to compare with as y.")
        return super()._squared_errors(X, y)

    # ---------------------------------------------------------------- corruption

    def _check_parameters(self) -> None:
        super()._check_parameters()
        level = 0.0 if callable(self.corruption) or self.corruption_level == "auto" else self.corruption_level
        if self.corruption != "gaussian" and level > 1.0:
            raise ValueError(
                f"corruption_level={level:g} is not a probability, but corruption={self.corruption!r} needs one: "
                "use a number from 0 to 1, or corruption='gaussian'."
            )
        if self._emphasis() != (1.0, 1.0) and self.corruption == "gaussian":
            self._refuse_emphasis("Gaussian noise corrupts every entry")

    def _refuse_emphasis(self, why: str) -> None:
        raise ValueError(f"emphasis={self.emphasis!r} needs uncorrupted entries, but {why}: use emphasis='auto'.")

    def _level(self) -> float:
        if callable(self.corruption):
            return 1.0
        if self.corruption_level != "auto":
            return float(self.corruption_level)
        return 0.0 if self._target_frame is not None else {"bert": 0.15, "gaussian": 0.3}.get(self.corruption, 0.1)

    def _emphasis(self) -> tuple[float, float]:
        if isinstance(self.emphasis, str):
            return (1.0, 0.0) if self.corruption == "bert" and self._target_frame is None else (1.0, 1.0)
        return emphasis_of(self.emphasis)

    def _corruption(self, module: Any) -> Corruption:
        """The noise that is applied to the rows."""
        grouped = len(self._frame) == len(self._output_frame)
        member = getattr(module.likelihood, "member", None) if grouped else None
        return Corruption(self.corruption, self._level(), self._frame, self._limits, member)

    def _holds_out(self, n_samples: int) -> bool:
        if self.early_stopping != "auto":
            return super()._holds_out(n_samples)
        return self.target == "y" and n_samples >= LEAST_SPLIT

    def _is_noisy(self) -> bool:
        return super()._is_noisy() or self._level() > 0.0

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        if self.target == "y":
            tags.target_tags.required = tags.target_tags.multi_output = True
        return tags

    def _rows_are_independent(self) -> bool:
        looks_elsewhere = callable(self.corruption) or self.corruption in ("swap", "bert")
        return super()._rows_are_independent() and not looks_elsewhere

    def _needs_all_rows(self) -> str | None:
        return super()._needs_all_rows() or ("walkback looks at a whole batch" if self.walkback > 1 else None)

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        if self._target_frame is not None:
            batch = batch._replace(told=batch.known, known=None)  # gaps in X say nothing of the error of Y
        batch = super()._corrupt(module, batch, rng)
        return batch if rng is None or self._level() == 0.0 else self._with_noise(module, batch, rng)

    def _with_noise(self, module: Any, batch: Batch, rng: torch.Generator) -> Batch:
        shown, selected = self._corruption(module)(batch.shown, rng)
        batch = batch._replace(corrupted=shown, emphasis=self._entry_weights(selected, batch))
        if self.corruption == "masking" and self._spec["marked"]:
            assert selected is not None
            batch = batch._replace(told=~selected if batch.told_known is None else batch.told_known & ~selected)
        return batch if self.walkback == 1 else self._walked(module, batch, rng)

    def _entry_weights(self, selected: Tensor | None, batch: Batch) -> Tensor | None:
        alpha, beta = self._emphasis()
        if selected is None or alpha == beta == 1.0:
            return batch.emphasis
        return torch.full_like(batch.x, beta).masked_fill_(selected[: len(batch.x)], alpha)

    @torch.no_grad()
    def _walked(self, module: Any, batch: Batch, rng: torch.Generator) -> Batch:
        """The corrupted rows of all steps of the chains that start at x, each with the target x."""
        if len(batch.shown) > len(batch.x):
            raise ValueError(
                f"walkback={self.walkback} starts at rows, and not at pairs of neighbours: use walkback=1."
            )
        steps, corrupt = [batch], self._corruption(module)
        for _ in range(self.walkback - 1):
            eta = module.decode(module.encode(steps[-1].shown, known=steps[-1].told_known))
            x = self._draw(module, eta, root_of(residuals_of(batch, eta), batch.weight), rng)
            shown, selected = corrupt(x, rng)
            steps.append(batch._replace(corrupted=shown, emphasis=self._entry_weights(selected, batch)))
        return Batch(*map(joined, zip(*steps, strict=True)))

    def _draw(self, module: Any, eta: Tensor, root: Tensor, rng: torch.Generator) -> Tensor:
        """Draw rows from p(x | eta). For the gaussian likelihood this is N(eta, R'R), with a root R of S."""
        if not self._frame.centred:
            return module.likelihood.sample(eta, rng)
        z = torch.empty((len(eta), len(root)), dtype=eta.dtype, device=eta.device).normal_(generator=rng)
        return torch.addmm(eta, z, root)

    # ---------------------------------------------------------------- what is measured for the corruption

    def _learnt(self, data: Any, run: Run) -> Source:
        was = "X" if self._target_frame is None else "y"
        if run.resume and was != self.target:
            raise ValueError(
                f"The last fit was with target={was!r}, so training cannot continue with target={self.target!r}: "
                f"use target={was!r}, or call fit with warm_start=False."
            )
        if run.resume and was == "y":
            self._require_same_width(data.y)
        return super()._learnt(data, run)

    def _train(self, data: Any, run: Run) -> None:
        if self.corruption == "salt_and_pepper":
            self._limits = limits_of(data, self._limits)
        if not run.partial or not run.resume:
            self._residuals: Residuals | None = None
        super()._train(data, run)

    def _conclude(self, data: Table) -> None:
        # Not in _measure, because a warm start may continue with other noise.
        self.sigma_ = self._level() * self.scale_ if self.corruption == "gaussian" else 0.0
        if self._target_frame is None and self._frame.centred and self._level() > 0.0:
            self._residuals = self._measure_residuals(data).after(self._residuals)
        else:
            self._residuals = None

    @torch.no_grad()
    def _measure_residuals(self, data: Table) -> Residuals:
        """Measure x - r(x~) on evenly spaced rows of the data, and in all steps of ``walkback``.

        The chain of ``sample`` keeps the covariance of the data only if its noise comes from all pairs (x, x~) that r
        was trained on.
        """
        least, most = N_RESIDUALS
        n_rows = max(least, min(most, RESIDUALS // data.width) // self.walkback)
        batch = data[torch.arange(0, len(data), -(-len(data) // n_rows), device=data.device)]
        rng = torch.Generator(batch.x.device).manual_seed(0)
        batch = self._with_noise(self.module_, batch._replace(corrupted=None), rng)
        errors = residuals_of(batch, self._restored(self.module_, batch._replace(x=batch.shown)))
        total = len(data) if data.weight is None else float(data.weight.sum())
        noise = "callable" if callable(self.corruption) else self.corruption, float(self._level()), int(self.walkback)
        return Residuals.of(errors, batch.weight, float(total), noise)

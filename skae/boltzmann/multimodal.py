"""MultimodalDeepBoltzmannMachine: deep Boltzmann machines of several modalities that meet in one layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from numbers import Number
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.base import OneToOneFeatureMixin
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..autoencoders import Autoencoder
from ..base.checks import require_positive
from ..base.damage import Saved
from ..base.params import Sizes
from ..base.support import warn_of_rows
from ..energy.harmonium import Known
from ..engine.data import Batch, to_tensor
from ..engine.frame import in_double
from ..engine.modes import plain_torch
from ..engine.optim import Terms
from ._deep import Layers, deep_layers, receptive_fields
from ._filling import ascending, course_of_chains, mean_of_chains, mean_of_field, rows_and_no_number
from ._gaps import Arranged, SupportOfEach, arranged_fault, frame_of_modalities
from ._labels import labels_to_hold
from ._learning import allow_for_spread, lacks_a_modality, step_in_parts
from ._modalities import Modality, Setting, modalities_of, settings_of
from .dbm import DeepBoltzmannMachine
from .rbm import COUNTS_RATES, LEAST_LENGTH, rate_of

__all__ = ["MultimodalDeepBoltzmannMachine"]

DEFAULTS = {"visible": "gaussian", "categories": None, "hidden_layer_sizes": ()}
"""What a modality has that is not in the dictionary of a parameter."""
WITH_GAPS = """X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
    Numbers, and NaN where an entry is unknown. At least one entry of each row must be known."""


class MultimodalDeepBoltzmannMachine(DeepBoltzmannMachine):
    """Deep Boltzmann machine of several modalities, of which any may be missing.

    The columns of X are divided into modalities, such as the pixels of an image and the words of its tags. Each
    modality x_m has a pathway of hidden layers of its own, and the last layers of all pathways are joined to one layer
    h:

        E = -sum over m of (energy of pathway m) - sum over m of h' V_m h_m - b'h,    p = exp(-E) / Z.

    What is unknown is NaN: a modality that is missing, or a single entry. ``fit`` learns from such rows too, and
    ``transform`` encodes them. In each step of training, single unknown entries are drawn given the known ones. Rows
    that lack a modality are learnt by contrastive divergence, whatever ``algorithm`` is, and mean field stands for what
    they lack. In codes it stands for all that is unknown, and for the hidden units. ``impute`` fills gaps in, and so
    the machine makes texts from images and images from texts. Codes of rows with different modalities are comparable,
    so a nearest-neighbour index of codes finds texts for an image, or the reverse.

    ``score_samples`` is a lower bound of the log-probability of the known entries. Without counts and without layers
    between, it is an estimate of that by 32 draws, as in ``RBM``.

    Parameters
    ----------
    n_components : int, default=64
        Number of units of the joint layer h.
    modalities : dict, or None, default=None
        Names of the modalities, and their columns: a slice, a list of numbers or of names, a mask, or one number or
        name. Each column must be in one modality. None is one modality of all columns, named "all": with equal
        ``hidden_layer_sizes`` and ``pretrain_iter``, the machine is then a ``DeepBoltzmannMachine`` that takes NaN.
    visible : {"gaussian", "bernoulli", "softmax"} or dict, default="gaussian"
        Kind of the columns of all modalities, or of each by its name. A modality that is not in the dictionary has
        the default. Each gaussian modality is centred, and divided by one scale. At most one modality may be counts.
    categories : tuple of int, dict, or None, default=None
        Sizes of the groups of adjacent one-hot columns of modalities of softmax units, in all or by name. A label is a
        modality of one group. None means that the modality is counts.
    hidden_layer_sizes : tuple of int, int, or dict, default=()
        Numbers of units of the layers between a modality and the joint layer, in all pathways or by name. The numbers
        of layers must be all even or all odd. With () for all, the machine is an ``RBM`` with units of several kinds,
        which was better on all tables that were measured.
    code : {"top", "all"}, default="top"
        What ``transform`` returns: the means of the joint layer, or those of all hidden layers side by side.
    pretrain_iter : int, default=50
        Number of epochs in which each layer is learnt alone, pathway by pathway and then the joint layer, before all
        are learnt together. Not used without layers between, nor by ``partial_fit``.
    output : {"code", "imputed"}, default="code"
        "imputed": ``transform`` returns X with its gaps filled in, as ``impute`` does, so that the machine stands in a
        pipeline as an imputer.

    Attributes
    ----------
    module_ : torch.nn.Module
        The fitted machine. Its rows have the columns of the first modality, then those of the second, and so on.
    components_ : ndarray of shape (n_units_1, n_features)
        Weights between X and the first layers of the pathways, in the order of the modalities, which are zero
        between a layer and the columns of other modalities.
    coefs_ : list of ndarray
        Weights between neighbours, of shape (units below, units above): first those above each modality, in their
        order, then those of the layers above, and at last those from each pathway to the joint layer.
    intercepts_ : list of ndarray
        Biases of all layers: those of each modality, then those of the hidden layers in the same order, then of h.
    intercept_hidden_, intercept_visible_ : ndarray of shape (n_units_1,) and (n_features,)
        Biases of the first layers of all pathways, and of the columns of X.
    mean_, scale_ : ndarray of shape (n_features,)
        Mean of the known entries of each column, and what it is divided by after centring: one number for all columns
        of a gaussian modality. Columns of other modalities stay as they are, and have the scale 1.
    history_, loss_, n_iter_, classes_, log_partition_, log_partition_error_
        As ``DeepBoltzmannMachine``. The reconstruction error is that of the known entries.
    n_features_in_, feature_names_in_
        As ``Autoencoder``.

    See Also
    --------
    DeepBoltzmannMachine : One modality.
    sklearn.impute.KNNImputer : Imputation by similar rows.

    References
    ----------
    Srivastava and Salakhutdinov (2012), "Multimodal Learning with Deep Boltzmann Machines",
    https://papers.nips.cc/paper/4683-multimodal-learning-with-deep-boltzmann-machines

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import MultimodalDeepBoltzmannMachine
    >>> X = (load_digits().data > 7).astype(float)
    >>> halves = {"upper": slice(0, 32), "lower": slice(32, 64)}
    >>> machine = MultimodalDeepBoltzmannMachine(
    ...     32, modalities=halves, visible="bernoulli", max_iter=20, random_state=0
    ... ).fit(X)
    >>> X_lower = X[:5].copy()
    >>> X_lower[:, halves["upper"]] = np.nan
    >>> machine.transform(X_lower).shape
    (5, 32)
    >>> machine.impute(X_lower).shape
    (5, 64)
    >>> machine.sample(X_lower, steps=[50, 100, 150], random_state=0).shape
    (3, 5, 64)
    """

    modalities: Annotated[dict[str, Any], dict] | None = None
    visible: Literal["gaussian", "bernoulli", "softmax"] | Annotated[dict[str, str], dict] = "gaussian"  # type: ignore[assignment]
    categories: Sizes | Annotated[dict[str, Any], dict] | None = None  # type: ignore[assignment]
    hidden_layer_sizes: Sizes | Annotated[dict[str, Any], dict] = ()  # type: ignore[assignment]
    pretrain_iter = 50
    output: Literal["code", "imputed"] = "code"

    _takes_gaps: ClassVar[bool] = True
    _saved: ClassVar[dict[str, Saved]] = {"_frame": Saved(arranged_fault, cls=Arranged)}
    _x_doc: ClassVar[dict[str, str]] = dict.fromkeys(
        ("fit", "partial_fit", "score_samples", "score", "free_energy", "gibbs", "sample_given"), WITH_GAPS
    )

    # ---------------------------------------------------------------- modalities

    def _settings(self) -> dict[str, Setting]:
        return settings_of(self.modalities, vars(self), DEFAULTS)

    def _needs_all_rows(self) -> str | None:
        return "it measures each modality by itself"

    def _modalities_of(self, n_features: int) -> list[Modality]:
        names = getattr(self, "feature_names_in_", None)
        return modalities_of(self.modalities, vars(self), DEFAULTS, n_features, names)

    def _fitted_modalities(self) -> list[Modality]:
        return [Modality(*parts) for parts in self._spec["modalities"]]

    def _kinds(self) -> set[str]:
        return {setting.kind for setting in self._settings().values()}

    def _sees_counts(self) -> bool:
        return any(setting.is_counts for setting in self._settings().values())

    def _has_layers_between(self) -> bool:
        return any(setting.pathway for setting in self._settings().values())

    def _check_parameters(self) -> None:
        self._settings()
        super()._check_parameters()

    # ---------------------------------------------------------------- rows

    def _asked_support(self, n_features: int) -> Any:
        return SupportOfEach.of(self._modalities_of(n_features), arranged=False)

    def _measure(self, data: Any) -> None:
        self._frame = frame_of_modalities(data.X, data.weight, self._modalities_of(data.width))

    @property
    def _arranged(self) -> Arranged:
        """The frame, which knows the order of the columns in the module."""
        assert isinstance(self._frame, Arranged)
        return self._frame

    def _mean_length(self) -> float:
        counts = [c for modality in self._fitted_modalities() if modality.is_counts for c in modality.columns]
        return float(round(self.mean_[counts].clip(0).sum()))

    # ---------------------------------------------------------------- the machine

    def _architecture(self, n_features: int) -> dict[str, Any]:
        tempered = self._algorithm() == "pt"
        return {
            "n_features": n_features,
            "n_components": int(self.n_components),
            "hidden": self.hidden,
            "modalities": tuple(tuple(modality) for modality in self._modalities_of(n_features)),
            "labels": self._n_classes(),
            "learnt_scale": "gaussian" in self._kinds() and bool(self.learn_variances),
            "chains": (int(self.n_temperatures), self._n_chains()) if tempered else (self._n_chains(),),
        }

    def _layers(self, spec: dict[str, Any]) -> Layers:
        seen, pathways = zip(*((m.part, m.pathway) for m in self._fitted_modalities()), strict=True)
        return deep_layers(seen, pathways, spec["hidden"], spec["n_components"], spec["labels"])

    # ---------------------------------------------------------------- learning

    def _n_steps(self, n_samples: int) -> int:
        if self.hidden != "bernoulli" and "gaussian" in self._kinds():
            return max(1, n_samples // 2)  # as an RBM of these units
        return super()._n_steps(n_samples)

    def _rate(self, schedule: str) -> float:
        """The lowest of the rates that the modalities ask for."""
        if self.learning_rate_init != "auto":
            return float(self.learning_rate_init)
        kinds = {modality.kind for modality in self._fitted_modalities() if not modality.is_counts}
        rates = [rate_of(kind, self.hidden, len(self.mean_)) for kind in kinds]
        if self._sees_counts():
            rates.append(COUNTS_RATES[self.hidden] / max(LEAST_LENGTH, self._mean_length()) ** 2)
        return min(rates)

    def _known(self, module: Any, batch: Batch, rng: torch.Generator) -> Known:
        if not self._all_lack_a_modality(module, batch.x):
            return super()._known(module, batch, rng)
        return module.filled(self._in_part(module, batch.x, batch.y), int(self.n_mean_field))

    def _all_lack_a_modality(self, module: Any, x: Tensor) -> bool:
        return self._has_gaps and bool(lacks_a_modality(module, x).all())

    @torch.no_grad()
    def _step(self, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        if not self._has_gaps:
            return super()._step(module, batch, rng)
        return step_in_parts(
            lambda algorithm, part: self._step_by(algorithm, module, part, rng), module, batch, self._algorithm()
        )

    def _step_by(self, algorithm: str, module: Any, batch: Batch, rng: torch.Generator) -> Terms:
        terms = super()._step_by(algorithm, module, batch, rng)
        if isinstance(module.log_scale, torch.nn.Parameter) and self._all_lack_a_modality(module, batch.x):
            allow_for_spread(module, batch.x, batch.weight)
        return terms

    # ---------------------------------------------------------------- density

    def _support(self) -> None:
        """None, because ``_log_densities`` tells rows that cannot be from those that can."""
        return

    def _log_densities(self, function: Callable[[Any, Any], Tensor], X: Any, y: Any = None) -> np.ndarray:
        check_is_fitted(self)
        here, there = (SupportOfEach.of(self._fitted_modalities(), arranged) for arranged in (False, True))
        told = super()._log_densities(lambda module, batch: there.told(function(module, batch), batch.x), X, y)
        warn_of_rows(self, here, lambda: self._source(X), np.flatnonzero(told == -np.inf))
        return told

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        x = batch.x
        log_z = self._partition.of_rows(module, self._in_part(module, x).total, self._noise)
        return in_double(self._log_density(module, x)) - log_z - self._arranged.log_volumes(~x.isnan())

    # ---------------------------------------------------------------- codes

    def transform(self, X: Any) -> np.ndarray:
        """Encode rows, of which modalities and single entries may be missing, or fill them in.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Numbers, and NaN where an entry is unknown.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
            The means of the joint layer given what is known, or of all hidden layers with ``code="all"``, in the
            estimator's ``dtype``. With ``output="imputed"`` it is what ``impute`` returns, of shape
            (n_samples, n_features), in float64. Its noise has the seed ``random_state``, or 0 if that is None.

        Raises
        ------
        ValueError
            If an entry is infinite, or no entry of a row is known.
        """
        return self.impute(X, random_state=self.random_state or 0) if self.output == "imputed" else super().transform(X)

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the columns that ``transform`` returns.

        Parameters
        ----------
        input_features : array-like of str or None, default=None
            Only the names of the columns of X, if any.

        Returns
        -------
        names : ndarray of str
            Those of the columns of X with ``output="imputed"``.
        """
        if self.output == "code":
            return super().get_feature_names_out(input_features)
        return np.asarray(OneToOneFeatureMixin.get_feature_names_out(self, input_features))

    # ---------------------------------------------------------------- filling in

    def impute(
        self,
        X: Any,
        method: Literal["gibbs", "mean_field"] = "gibbs",
        n_steps: int = 200,
        random_state: Any = None,
    ) -> np.ndarray:
        """Fill in what is unknown with its expectation given what is known. ``sample`` draws it instead.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Numbers, and NaN where an entry is unknown. If a column of a group of one-hot columns is unknown, the group
            is. Counts are known or unknown as a whole, and have the mean length if they are unknown.
        method : {"gibbs", "mean_field"}, default="gibbs"
            "gibbs": the mean over the steps of a Markov chain, which has a sampling error. "mean_field": the means of
            independent units that approximate the posterior. It is quick, but where several answers are possible it
            gives one of them and not their mean, so that its squared error is larger.
        n_steps : int, default=200
            Steps of the chains of "gibbs". The first fifth of them do not count.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains of "gibbs". None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64
            The known entries are those of X to the last bit.

        Raises
        ------
        ValueError
            If the method is another one, ``n_steps`` is below 1, an entry is infinite, or no entry of a row is known.
        """
        check_is_fitted(self)
        require_positive(n_steps=n_steps)
        if method not in ("mean_field", "gibbs"):
            raise ValueError(f"method={method!r} is no method of impute: use 'mean_field' or 'gibbs'.")
        if method == "mean_field":
            return self._filled(X, mean_of_field)
        rng = self._noise(random_state)
        return self._filled(X, lambda module, known: mean_of_chains(module, known, n_steps, rng))

    def sample(
        self,
        n_samples: Any = 1,
        n_steps: int = 1000,
        random_state: Any = None,
        y: Any = None,
        steps: Sequence[int] | None = None,
    ) -> np.ndarray:
        """Draw rows by Gibbs sampling: all of their entries, or those that are unknown.

        Parameters
        ----------
        n_samples : int, or array-like of shape (n_samples, n_features), default=1
            Number of rows to draw, or rows with NaN where an entry is unknown: then a chain runs for each of them, in
            which the known entries stay as they are. Chains start at states of the model.
        n_steps : int, default=1000
            Steps of each chain.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.
        y : label, array-like of shape (n_samples,), or None, default=None
            Class to draw from, if the machine was fitted with ``labels=True`` and ``n_samples`` is a number.
        steps : sequence of int, or None, default=None
            In place of ``n_steps``: the numbers of steps after which to look at the chains, in ascending order.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), or (len(steps), n_samples, n_features)
            The rows, or the course of the chains if ``steps`` is given.

        Raises
        ------
        ValueError
            If a number is below 1, ``steps`` does not ascend, y is no class, an entry of the rows is infinite, or no
            entry of a row is known.
        """
        check_is_fitted(self)
        require_positive(n_steps=n_steps)
        looks = [n_steps] if steps is None else ascending(steps)
        if isinstance(n_samples, Number):
            found = self._drawn_whole(n_samples, looks, random_state, y)
        elif y is None:
            rng = self._noise(random_state)
            found = self._filled(
                n_samples,
                lambda module, known: course_of_chains(
                    module, self._starts(module, len(known.s), rng), looks, rng, known
                ),
            )
        else:
            raise ValueError("y is the class of rows that are drawn as a whole: make the label a modality instead.")
        return found[:, 0] if steps is None else np.ascontiguousarray(found.swapaxes(0, 1))

    def _drawn_whole(self, n: Any, looks: Sequence[int], random_state: Any, y: Any) -> np.ndarray:
        """New rows after so many steps, of shape (n, number of looks, n_features)."""
        require_positive(n_samples=n)
        module: Any = self._ready_module()
        rng = self._noise(random_state)
        known = None if y is None else self._holding(labels_to_hold(y, n, self).to(self._flat.theta))
        with plain_torch(grad=False):
            rows = course_of_chains(module, self._starts(module, n, rng), looks, rng, known)
            return self._frame.undo(rows).cpu().numpy()

    def sample_given(self, X: Any, n_steps: int = 1000, random_state: Any = None) -> np.ndarray:
        """Draw the unknown entries of rows, given the known ones: the same as ``sample(X, n_steps)``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            As in ``sample``. At least one entry of each row must be known.
        n_steps : int, default=1000
            Steps of each chain.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            The rows, with drawn entries in place of NaN.

        Raises
        ------
        ValueError
            As ``sample``.
        """
        return self.sample(rows_and_no_number(X), n_steps, random_state)

    def _filled(self, X: Any, draw: Callable[[Any, Any], Tensor]) -> np.ndarray:
        """Rows X with what ``draw(module, known)`` returns in place of what is unknown."""

        def unknown(module: Any, batch: Batch) -> Tensor:
            known = self._in_part(module, batch.x)
            rows, mask = draw(module, known), known.mask[:, : module.width]
            return rows.masked_fill(mask if rows.ndim == 2 else mask[:, None], torch.nan)

        data: Any = self._source(X)
        self._ready_module()
        theta = self._flat.theta
        rows = self._collect(unknown, self._seen(data, theta.dtype, theta.device), undo=self._frame).numpy()
        given = to_tensor(data.X).cpu().double().numpy()
        return np.where(np.isnan(rows), given if rows.ndim == 2 else given[:, None], rows)

    # ---------------------------------------------------------------- weights

    @property
    def components_(self) -> np.ndarray:
        """Weights between X and the first layers, of shape (n_units_1, n_features)."""
        return np.vstack(self._receptive_fields()[: len(self._firsts())])

    @property
    def intercept_hidden_(self) -> np.ndarray:
        """Biases of the first layers."""
        biases = self.intercepts_
        return np.concatenate([biases[k] for k in self._firsts()])

    @property
    def intercept_visible_(self) -> np.ndarray:
        """Biases of the columns of X."""
        biases = np.concatenate(self.intercepts_[: self.module_.n_seen])
        return biases[np.argsort(self._arranged.order)]

    def _firsts(self) -> list[int]:
        """Numbers of the layers that stand on the rows."""
        return sorted({upper for lower, upper in self.module_.edges if lower < self.module_.n_seen})

    def _receptive_fields(self) -> list[np.ndarray]:
        """Receptive fields of all hidden layers in X, with zeros for columns of other modalities. For displays."""
        check_is_fitted(self)
        module: Any = self._ready_module()
        fields = receptive_fields(module, np.eye(len(self._frame))[self._arranged.order])
        return [field.astype(self.dtype) for field in fields]

    def to_autoencoder(self) -> Autoencoder:
        """Not defined for several modalities.

        Raises
        ------
        ValueError
            Always, because no ``Autoencoder`` has several pathways and takes NaN.
        """
        raise ValueError("No Autoencoder has pathways of several modalities: encode rows with transform instead.")

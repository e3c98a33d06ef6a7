"""What fitted imputers and detectors of outliers are like in a file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.impute import SimpleImputer

from ..base import damage
from ..base.damage import DamageError, Saved, fault_of_array, fault_of_numbers
from ..base.estimator import TorchEstimator
from ._errors import ShortAutoencoders
from ._factors import Factors
from ._gaussian import Gaussian
from ._near import Near
from ._recipe import Recipe
from ._refinement import Refinement
from ._restored import Restored, refuse_unsuitable
from .table import TableAutoencoder

__all__ = ["DETECTOR", "IMPUTER"]


def width_of(model: Any) -> int | None:
    """Number of columns that a fitted estimator of this package takes. None of another package's."""
    if isinstance(model, TorchEstimator):
        return len(model._frame) if "_flat" in vars(model) else 0
    return getattr(model, "n_features_in_", 0) if isinstance(model, TableAutoencoder) else None


# ------------------------------------------------------------------ imputers


def _parts_of_plain(plain: SimpleImputer) -> tuple[Any, ...]:
    """What a ``SimpleImputer`` has measured, on which no version of scikit-learn can disagree."""
    had_gaps = None
    if plain.indicator_ is not None:
        had_gaps = np.isin(np.arange(plain.n_features_in_), plain.indicator_.features_)
    return plain.statistics_, had_gaps, plain._fit_dtype.name, bool(plain.keep_empty_features)


def _plain_of(parts: tuple[Any, ...]) -> SimpleImputer:
    """A ``SimpleImputer`` that is fitted to two rows with these means and gaps, so that it knows all that it needs."""
    means, had_gaps, dtype, keep_empty = parts
    found = fault_of_array(means, (None,), *damage.FLOATS) or damage.truth(None, keep_empty)
    if had_gaps is not None:
        found = found or fault_of_array(had_gaps, means.shape, np.bool_)
    if found or dtype not in ("float32", "float64") or np.isinf(means).any() or not len(means):
        raise DamageError(f"initial_imputer_ {found or 'has other columns than it should'}")
    gaps = np.zeros(len(means), bool) if had_gaps is None else had_gaps
    with np.errstate(over="ignore"):
        rows = np.stack([means, np.where(gaps, np.nan, means)]).astype(dtype)
    plain = SimpleImputer(add_indicator=had_gaps is not None, keep_empty_features=bool(keep_empty))
    plain.set_output(transform="default").fit(rows)
    plain.statistics_ = means
    return plain


def _fault_of_plain(imputer: Any, plain: SimpleImputer) -> str | None:
    unknown = np.setdiff1d(np.arange(imputer.n_features_in_), imputer._kept)
    if plain.n_features_in_ != imputer.n_features_in_:
        return "has another number of columns"
    is_empty = np.isnan(plain.statistics_)
    right = not is_empty[imputer._kept].any() and (plain.keep_empty_features or is_empty[unknown].all())
    return None if right else "has no means"


def _fault_of_kept(imputer: Any, kept: Any) -> str | None:
    found = fault_of_array(kept, (None,), np.int64)
    if found:
        return found
    inside = len(kept) == 0 or (kept[0] >= 0 and kept[-1] < imputer.n_features_in_ and (np.diff(kept) > 0).all())
    return None if inside else "has other columns than there are"


def _fault_of_means(imputer: Any, value: Any) -> str | None:
    found = fault_of_array(value, (imputer.n_features_in_,), np.float64)
    return found or (None if np.isfinite(value[imputer._kept]).all() else "has NaN or infinity in it")


def _fault_of_scales(imputer: Any, value: Any) -> str | None:
    found = _fault_of_means(imputer, value)
    return found or (None if (value[imputer._kept] > 0).all() else "has numbers in it that are not positive")


def _parts_of_filler(filler: Recipe | Restored) -> tuple[Any, ...]:
    if isinstance(filler, Restored):
        return "model", filler.estimator, filler.n_draws
    gaussian = tuple(vars(filler.gaussian).values()) if hasattr(filler, "gaussian") else None
    learnt = getattr(filler, "shrinkage", 0.0), filler.trust, filler.networks, filler.n_epochs
    return "recipe", filler.max_iter, gaussian, *learnt


def _filler_of(parts: tuple[Any, ...]) -> Recipe | Restored:
    kind, *rest = parts
    if kind == "model":
        restored = object.__new__(Restored)
        restored.estimator, restored.n_draws = rest
        return restored
    if kind != "recipe":
        raise DamageError("_filler is of no kind")
    max_iter, gaussian, shrinkage, trust, networks, n_epochs = rest
    recipe = Recipe(max_iter)
    recipe.shrinkage, recipe.trust, recipe.networks, recipe.n_epochs = shrinkage, trust, networks, n_epochs
    if gaussian is not None:
        recipe.gaussian = Gaussian(*gaussian) if len(gaussian) == 2 else Factors(*gaussian)
    return recipe


def _fault_of_filler(imputer: Any, filler: Recipe | Restored) -> str | None:
    width = len(imputer._kept)
    if isinstance(filler, Restored):
        return damage.whole(1)(imputer, filler.n_draws) or _fault_of_model(filler.estimator, width)
    found = damage.whole(1)(imputer, filler.n_epochs) or _fault_of_share(filler.shrinkage)
    found = found or _fault_of_share(filler.trust) or _fault_of_networks(filler.networks, width)
    if found or width == 0:
        return found
    return _fault_of_gaussian(filler.gaussian, width) if hasattr(filler, "gaussian") else "has no Gaussian"


def _fault_of_model(model: Any, width: int) -> str | None:
    if not isinstance(model, BaseEstimator):
        return f"is a {type(model).__name__}"
    try:
        refuse_unsuitable(model)
    except ValueError:
        return f"holds a {type(model).__name__}, which takes no gaps"
    complete = all(hasattr(model, name) for name in ("fit", "transform", "inverse_transform"))
    return None if complete and (not width or width_of(model) in (None, width)) else "does not fit to the rest"


def _fault_of_share(value: Any) -> str | None:
    found = damage.number(0.0)(None, value)
    return found or (None if value <= 1.0 else f"is {float(value)}")


def _fault_of_networks(networks: Any, width: int) -> str | None:
    if networks is None:
        return None
    right = isinstance(networks, Refinement) and "_flat" in vars(networks) and networks._n_features_out == width
    return None if right else "has networks that do not fit to the rest"


def _fault_of_gaussian(gaussian: Gaussian | Factors, width: int) -> str | None:
    found = fault_of_numbers(gaussian.mean, (width,), np.float64)
    if isinstance(gaussian, Factors):
        found = found or fault_of_numbers(gaussian.loadings, (width, None), np.float64)
        found = found or fault_of_numbers(gaussian.variance, (width,), np.float64)
        found = found or (None if (gaussian.variance > 0).all() else "has variances that are not positive")
        return found or damage.fault_of_factors(gaussian.loadings, gaussian.variance)
    found = found or fault_of_numbers(gaussian.covariance, (width, width), np.float64)
    if found:
        return found
    try:
        root = np.linalg.cholesky(gaussian._precision())
    except np.linalg.LinAlgError:
        return "has a covariance that is none"
    return None if np.isfinite(root).all() else "has a covariance that is none"


IMPUTER = {
    "_kept": Saved(_fault_of_kept),
    "mean_": Saved(_fault_of_means),
    "scale_": Saved(_fault_of_scales),
    "initial_imputer_": Saved(_fault_of_plain, cls=SimpleImputer, parts=_parts_of_plain, whole=_plain_of),
    "_filler": Saved(_fault_of_filler, cls=(Recipe, Restored), parts=_parts_of_filler, whole=_filler_of),
    "n_iter_": Saved(damage.whole(1)),
}


# ------------------------------------------------------------------ detectors


def _fault_of_judge(detector: Any, model: Any) -> str | None:
    if not isinstance(model, BaseEstimator) or not hasattr(model, "score_samples" if not _is_own(model) else "fit"):
        return f"is a {type(model).__name__}"
    return None if width_of(model) in (None, detector.n_features_in_) else "does not fit to the rest"


def _is_own(model: Any) -> bool:
    return isinstance(model, ShortAutoencoders)


def _fault_of_near(detector: Any, near: Near) -> str | None:
    n = detector.n_features_in_
    found = fault_of_array(near.rows, (None, n), np.float64) or damage.whole(1)(detector, near.size)
    found = found or ("has infinity in it" if np.isinf(near.rows).any() else damage.frame(detector, near.frame))
    if found or len(near.frame) != n:
        return found or "has another number of columns"
    return None if len(near.rows) and len(near.rows) % near.size == 0 else "has samples of different sizes"


def _fault_of_ease(detector: Any, ease: Any) -> str | None:
    return fault_of_numbers(ease, (2,), np.float64)


def _fault_of_offset(detector: Any, offset: Any) -> str | None:
    found = damage.number(finite=False)(detector, offset)
    if found or math.isnan(offset):
        return found or "is NaN"
    lacks = _is_own(detector.estimator_) and any(vars(detector).get(name) is None for name in ("_near", "_ease"))
    return "has no rows to compare others with" if lacks else None


def _fault_of_reference(detector: Any, row: Any) -> str | None:
    model = detector.estimator_
    width = len(model._schema.owner) if isinstance(model, TableAutoencoder) else detector.n_features_in_
    return fault_of_numbers(row, (width,), np.float64)


DETECTOR = {
    "estimator_": Saved(_fault_of_judge),
    "_near": Saved(_fault_of_near, required=False, cls=Near),
    "_ease": Saved(_fault_of_ease, required=False),
    "_seed": Saved(damage.whole(0, 2**32 - 1)),
    "offset_": Saved(_fault_of_offset),
    "reference_": Saved(_fault_of_reference),
}

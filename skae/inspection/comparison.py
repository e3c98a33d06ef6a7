"""ComparisonDisplay: the result of compare() as maps, reconstructions and curves."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import Self

from ..base.abilities import takes_sparse
from ..metrics import reconstruct
from ._matplotlib import literal, pyplot
from ._rows import as_array
from ._shapes import ImageShape, picture_shape
from ._target import MAX_CLASSES
from .latent_space import LatentSpaceDisplay
from .reconstruction import ReconstructionDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

__all__ = ["ComparisonDisplay"]

LONGEST = 24
"""Characters of a name in the figure."""
WIDTH = 11.0
"""Width of the figure in inches."""
BESIDE = 4
"""Largest number of codes beside each other."""
STYLES = ("--", ":")
"""Lines of the scores of all columns, and of a guess."""
CURVES = {
    "r2": ("Reconstruction R2", "R2"),
    "linear": ("Linear model on the code", "linear"),
    "knn": ("5 nearest neighbours", "kNN"),
    "neighbors": ("Neighbours kept", "neighbours kept"),
}
"""Title of the curves of each score, and its name above a map."""
TIMES = ("fit_seconds", "rows_per_second")
"""Columns of a comparison that are not drawn."""
FAR = 4.0
"""A baseline of a scorer that is so many times as large as all scores is not drawn."""
ABOVE = ("r2", "knn", "neighbors")
"""Scores that are written above a map."""


class ComparisonDisplay:
    """Reducers side by side: their codes, their reconstructions of images, and their scores against n_components.

    Parameters
    ----------
    scores : dict of str to dict of str to ndarray of shape (n_sizes, 2)
        For each score and each reducer, pairs of a number of components and the mean score over the folds.
    codes : dict of str to ndarray of shape (n_samples, 1) or (n_samples, 2)
        For each reducer, the first components of its code. They are drawn beside each other.
    y : ndarray of shape (n_samples,), default=None
        Target that colours the codes.
    n_components : int, default=None
        Number of components of these codes. Their scores are written above them. None writes no scores.
    pictures : dict of str to ndarray of shape (n_pictures, n_features), default=None
        Rows, and their reconstructions from the codes of each reducer. None draws no pictures.
    image_shape : tuple of int, default=None
        Height and width of a picture.
    title : str, default=None
        Title of the figure.
    baselines : dict of str to dict of str to float, default=None
        For each score, the values to judge it by, such as those of all columns and of a guess. They are drawn as
        horizontal lines.
    spreads : dict of str to dict of str to ndarray of shape (n_sizes,), default=None
        For each score and each reducer, the standard deviations over the folds, NaN where there is none. They are drawn
        as bands around curves, and as intervals on bars.

    Attributes
    ----------
    axes_ : dict of str to matplotlib Axes
        One for each score, one for the codes of each reducer (such as "codes PCA"), and "pictures".
    figure_ : matplotlib Figure
        Figure with the axes.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from skae import Autoencoder, compare
    >>> from skae.inspection import ComparisonDisplay
    >>> result = compare(*load_iris(return_X_y=True), [Autoencoder(max_iter=2)], [1, 2], cv=2)
    >>> display = ComparisonDisplay.from_comparison(result)
    >>> sorted(display.axes_)
    ['codes Autoencoder', 'codes PCA', 'knn', 'linear', 'neighbors', 'r2']
    """

    def __init__(
        self,
        *,
        scores: dict[str, dict[str, np.ndarray]],
        codes: dict[str, np.ndarray],
        y: np.ndarray | None = None,
        n_components: int | None = None,
        pictures: dict[str, np.ndarray] | None = None,
        image_shape: tuple[int, ...] | None = None,
        title: str | None = None,
        baselines: dict[str, dict[str, float]] | None = None,
        spreads: dict[str, dict[str, np.ndarray]] | None = None,
    ) -> None:
        self.scores = scores
        self.codes = codes
        self.y = y
        self.n_components = n_components
        self.pictures = pictures
        self.image_shape = image_shape
        self.title = title
        self.baselines = baselines
        self.spreads = spreads

    @classmethod
    def from_comparison(
        cls, comparison: Any, *, image_shape: ImageShape = None, n_pictures: int = 12, title: str | None = None
    ) -> Self:
        """Compute codes and reconstructions with the models of the first fold, and draw everything.

        The codes are the narrowest with at least two components. Reducers that cannot encode held-out rows have none.

        Parameters
        ----------
        comparison : Comparison
            The result of ``compare``.
        image_shape : tuple of int, "auto" or None, default=None
            Shape of the picture in a row. None if rows are not pictures.
        n_pictures : int, default=12
            Number of held-out rows to draw as pictures.
        title : str, default=None
            Title of the figure.

        Returns
        -------
        display : ComparisonDisplay
            The display that was drawn.
        """
        shape = picture_shape(image_shape, comparison.X_test.shape[1])
        y = comparison.y_test
        sizes = sorted({k for _, k in comparison.estimators})
        size = next((k for k in sizes if k >= 2), sizes[-1])
        names = [name for name in comparison.columns if name not in TIMES]
        scores = {name: curves for name in names if (curves := _scores(comparison, name))}
        return cls(
            scores=scores,
            codes=_codes(comparison, size),
            y=y if _is_drawable(y) else None,
            n_components=size,
            pictures=None if shape is None else _pictures(comparison, size, n_pictures),
            image_shape=shape,
            title=title,
            baselines={name: levels for name in names if (levels := _baselines(comparison, name))},
            spreads={name: _spreads(comparison, name, list(curves)) for name, curves in scores.items()},
        ).plot()

    def plot(self) -> Self:
        """Draw everything in a new figure.

        Returns
        -------
        self : ComparisonDisplay
            This display.
        """
        n_lines = -(-len(self.codes) // BESIDE)
        n_beside = -(-len(self.codes) // max(n_lines, 1))
        heights = [(WIDTH / max(n_beside, 3) + 0.25) * n_lines + 0.25]
        heights += [0.62 * len(self.pictures) + 0.3] if self.pictures else []
        heights += [self._height() * -(-len(self.scores) // BESIDE)] if self.scores else []
        figure = pyplot().figure(figsize=(WIDTH, sum(heights)), layout="constrained")
        parts = iter(np.atleast_1d(figure.subfigures(len(heights), 1, height_ratios=heights)))
        self.axes_: dict[str, Any] = {}
        maps = next(parts)
        maps.suptitle(self._heading())
        self._draw_codes(maps.subplots(n_lines, n_beside, squeeze=False))
        if self.pictures:
            self._draw_pictures(next(parts).subplots(), self.pictures)
        if self.scores:
            self._draw_scores(next(parts))
        self.figure_: Figure = figure
        return self

    def _draw_pictures(self, ax: Axes, pictures: dict[str, np.ndarray]) -> None:
        rows = dict(zip(_short(list(pictures)), pictures.values(), strict=True))
        ReconstructionDisplay(rows=rows, image_shape=self.image_shape).plot(ax)
        if self.n_components is not None:
            ax.set_title(f"held-out rows, decoded from {_counted(self.n_components)}", fontsize="medium")
        self.axes_["pictures"] = ax

    def _draw_scores(self, figure: SubFigure) -> None:
        n_beside = min(len(self.scores), BESIDE)
        grid = figure.subplots(-(-len(self.scores) // BESIDE), n_beside, squeeze=False)
        axes = grid.ravel()[: len(self.scores)]
        for ax in grid.ravel()[len(self.scores) :]:
            ax.remove()
        reducers = [*self.codes, *chain.from_iterable(self.scores.values())]
        colors = {reducer: f"C{i}" for i, reducer in enumerate(dict.fromkeys(reducers))}
        for ax, (name, curves) in zip(axes, self.scores.items(), strict=True):
            sizes = np.unique(np.concatenate([points[:, 0] for points in curves.values()]))
            spreads = (self.spreads or {}).get(name, {})
            (_draw_curves if len(sizes) > 1 else _draw_bars)(ax, curves, spreads, sizes, colors)
            levels = (self.baselines or {}).get(name, {})
            levels = levels if name in CURVES else _near(levels, curves)
            for (label, level), style in zip(levels.items(), STYLES, strict=False):
                ax.axhline(level, color="0.4", linestyle=style, label=_named(label))
            ax.set_title(CURVES[name][0] if name in CURVES else literal(name, LONGEST))
            self.axes_[name] = ax
        known = {label: handle for ax in axes for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
        reducers_first = sorted(known, key=[*map(_named, colors), *known].index)
        if known:
            handles = [known[label] for label in reducers_first]
            axes[n_beside - 1].legend(handles, reducers_first, loc="upper left", bbox_to_anchor=(1.0, 1.0))

    def _height(self) -> float:
        """Height of the scores in inches, with room for the legend of many reducers."""
        n_reducers = len({reducer for curves in self.scores.values() for reducer in curves})
        return max(2.7, 0.22 * n_reducers + 1.4)

    def _draw_codes(self, axes: np.ndarray) -> None:
        y = None if self.y is None else _labels(self.y)
        right = axes[0, -1]
        for ax, (reducer, codes) in zip(axes.ravel(), self.codes.items(), strict=False):
            display = LatentSpaceDisplay(codes=codes, y=y).plot(ax)
            legend = ax.get_legend()
            if legend is not None and ax is not right:
                legend.remove()
            if codes.shape[1] == 2:  # of a map only the distances mean something
                ax.set(xticks=[], yticks=[], xlabel="", ylabel="")
            n_lines = 1 if axes.shape[1] < BESIDE else 2
            ax.set_title(_named(reducer), fontweight="bold", pad=4 + 14 * n_lines)
            self._write_scores(ax, reducer, n_lines)
            self.axes_[f"codes {reducer}"] = display.ax_
        for ax in axes.ravel()[len(self.codes) :]:
            ax.remove()

    def _heading(self) -> str:
        """The title, and what the maps are."""
        parts = [] if self.title is None else [literal(self.title, 3 * LONGEST)]
        if self.n_components is not None:
            some = "the first 2 of " if self.n_components > 2 else ""
            parts.append(f"held-out rows on {some}{_counted(self.n_components)}")
        return ": ".join(parts)

    def _write_scores(self, ax: Axes, reducer: str, n_lines: int) -> None:
        """Write the scores of a map between its title and its frame. If the map is narrow, the last has a line."""
        known = {name: dict(self.scores.get(name, {}).get(reducer, [])).get(self.n_components) for name in ABOVE}
        parts = [f"{CURVES[name][1]} {score:.2f}" for name, score in known.items() if score is not None]
        text = ", ".join(parts) if n_lines == 1 else "\n".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))
        ax.annotate(text, (0.5, 1.0), (0, 4), "axes fraction", "offset points", ha="center", annotation_clip=False)


Curves = dict[str, np.ndarray]


def _draw_curves(ax: Axes, curves: Curves, spreads: Curves, sizes: np.ndarray, colors: dict[str, str]) -> None:
    for reducer, points in curves.items():
        color = colors[reducer]
        ax.plot(*points.T, "o-", markersize=6 if len(points) > 1 else 9, label=_named(reducer), color=color)
        if reducer in spreads and np.isfinite(spreads[reducer]).any():
            size, score = points.T
            edges = score - spreads[reducer], score + spreads[reducer]
            if len(points) > 1:
                ax.fill_between(size, *edges, color=color, alpha=0.15, lw=0)
            else:  # a band of one point has no width
                ax.vlines(size, *edges, color=color)
    ax.set(xlabel="n_components", xscale="log")
    ax.set_xticks(sizes, [f"{size:.0f}" for size in sizes])
    ax.minorticks_off()
    ax.grid(alpha=0.3)


def _draw_bars(ax: Axes, curves: Curves, spreads: Curves, sizes: np.ndarray, colors: dict[str, str]) -> None:
    """Draw bars instead of curves of one point, which are harder to read."""
    upright = len(curves) > BESIDE
    style: dict[str, Any] = {
        "rotation": 90 if upright else 0,
        "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    }
    for i, (reducer, points) in enumerate(curves.items()):
        spread = spreads[reducer][0] if reducer in spreads else np.nan
        interval: dict[str, Any] = (
            {"yerr": spread, "error_kw": {"ecolor": "0.25", "lw": 1.5}} if np.isfinite(spread) else {}
        )
        bar = ax.bar(i, points[0, 1], color=colors[reducer], label=_named(reducer), **interval)
        ax.bar_label(bar, fmt="%.3f", padding=3, fontsize="small", **style)
    ax.set_xticks([])
    ax.set_xlabel(f"n_components = {sizes[0]:.0f}")
    ax.margins(y=0.35 if upright else 0.15)


def _near(levels: dict[str, float], curves: Curves) -> dict[str, float]:
    """The levels in whose presence curves can still be read. A guess can have any loss."""
    largest = max(np.abs(points[:, 1]).max() for points in curves.values())
    return {label: level for label, level in levels.items() if abs(level) <= FAR * largest}


def _named(reducer: object) -> str:
    return literal(reducer, LONGEST)


def _counted(n_components: int) -> str:
    return f"{n_components} component{'s' if n_components > 1 else ''}"


def _short(names: list[Any]) -> list[str]:
    """The names as they can be drawn. They are numbered if they would otherwise be the same."""
    short = [_named(name) for name in names]
    if len(set(short)) < len(short):
        short = [literal(f"{i}: {name}", LONGEST) for i, name in enumerate(names)]
    return short


def _labels(y: np.ndarray) -> np.ndarray:
    """The targets as they can be drawn."""
    if y.dtype.kind in "fiub":
        return y
    classes, index = np.unique(y, return_inverse=True)
    return np.array(_short(classes.tolist()))[index]


def _baselines(comparison: Any, name: str) -> dict[str, float]:
    return {row["reducer"]: row[name] for row in comparison.baselines if row[name] is not None}


def _points(comparison: Any, name: str) -> dict[str, np.ndarray]:
    """For each reducer, pairs of a number of components and a value, which is NaN where there is none."""
    reducers = dict.fromkeys(row["reducer"] for row in comparison.rows)
    return {
        reducer: np.array(
            [(r["n_components"], r.get(name)) for r in comparison.rows if r["reducer"] == reducer], dtype=float
        )
        for reducer in reducers
    }


def _scores(comparison: Any, name: str) -> dict[str, np.ndarray]:
    return {reducer: pairs for reducer, pairs in _points(comparison, name).items() if np.isfinite(pairs).all()}


def _spreads(comparison: Any, name: str, reducers: list[str]) -> dict[str, np.ndarray]:
    found = _points(comparison, f"{name}_std")
    return {reducer: found[reducer][:, 1] for reducer in reducers}


def _given(model: Any, X: Any) -> Any:
    """Held-out rows as a model takes them: not sparse, unless it says that it takes that."""
    return X if not hasattr(X, "toarray") or takes_sparse(model) else X.toarray()


def _codes(comparison: Any, size: int) -> dict[str, np.ndarray]:
    models = {reducer: model for (reducer, k), model in comparison.estimators.items() if k == size}
    able = {reducer: model for reducer, model in models.items() if hasattr(model, "transform")}
    X = comparison.X_test
    return {reducer: as_array(model.transform(_given(model, X)))[:, :2] for reducer, model in able.items()}


def _is_drawable(y: np.ndarray | None) -> bool:
    """Whether y can be shown by one colour per row: one target, with no more classes than colours."""
    return y is not None and y.ndim == 1 and (y.dtype.kind in "fiu" or len(np.unique(y)) <= MAX_CLASSES)


def _pictures(comparison: Any, size: int, n_pictures: int) -> dict[str, np.ndarray]:
    X = comparison.X_test[:n_pictures]
    models = {
        row["reducer"]: comparison.estimators[row["reducer"], size]
        for row in comparison.rows
        if row["n_components"] == size and row["r2"] is not None
    }
    restored = {reducer: reconstruct(model, _given(model, X)) for reducer, model in models.items()}
    return {"held-out rows": X.toarray() if hasattr(X, "toarray") else X, **restored}

"""TreeDisplay: a tree with its words, and what a model says of each node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ..base.labels import is_missing
from ..trees import Tree
from ._matplotlib import literal, new_axes, pyplot
from ._target import MAX_CLASSES, MISSING
from ._tree_layout import Layout, Words, laid_out, leaf_text, set_words

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.collections import LineCollection, PathCollection
    from matplotlib.text import Text

__all__ = ["TreeDisplay"]

POINTS = 72.0
"""Points of an inch."""
WIDEST = 14.0
"""Largest width of the tree in a new figure, in inches."""
LEGEND = 1.5
"""Width of a legend or a colour bar, in inches."""
LONGEST_WORD = 24
SMALL, LARGE = 110.0, 360.0
"""Area of the circle of a node without a reconstruction error, and of the largest one, in square points."""
DOT = 12.0
"""Area of a node that has neither a colour nor a size."""
PAD = 4.0
"""Room between a leaf and its word, in points."""
BRIGHTNESS = np.array([0.299, 0.587, 0.114])
"""Shares of red, green and blue in how bright a colour is."""


class TreeDisplay:
    """Picture of a tree: leaves in a line with their words below, and each node in the middle above its children.

    Circles have the colour of the node's class, and their area grows with the node's reconstruction error. Without
    classes the colour shows the error. Without errors circles are small. Labels are written on the nodes.

    Parameters
    ----------
    tree : Tree
        The tree, or what :meth:`skae.trees.Tree.of` makes trees of.
    labels : sequence of length n_nodes, default=None
        What is written on the nodes, in post-order. None leaves a node empty. The default are the labels of the tree.
    y : array-like of shape (n_nodes,), default=None
        Class of each node, in post-order. Nodes whose class is None or NaN are grey.
    classes : sequence, default=None
        All classes in the order of their colours. The default are those of y, sorted. If trees are to be compared, give
        all the same.
    errors : array-like of shape (n_nodes,), default=None
        Reconstruction error of each node, in post-order. NaN where there is none, as at leaves.
    target_name : str, default=None
        Name of y, for the legend.

    Attributes
    ----------
    nodes_ : matplotlib PathCollection
        The circles, in post-order.
    edges_ : matplotlib LineCollection
        The lines between nodes.
    words_ : list of matplotlib Text
        What the leaves hold, from left to right.
    ax_ : matplotlib Axes
        Axes with the tree.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    PhraseDisplay : Subtrees that a model takes to be alike.

    Examples
    --------
    >>> from skae.inspection import TreeDisplay
    >>> from skae.trees import Tree
    >>> tree = Tree.from_brackets("(S (NP (DT the) (NN cat)) (VP (VBD sat)))")
    >>> display = TreeDisplay.from_tree(tree)
    >>> [word.get_text() for word in display.words_]
    ['the', 'cat', 'sat']
    """

    def __init__(
        self,
        *,
        tree: Any,
        labels: Sequence[Any] | None = None,
        y: Any = None,
        classes: Sequence[Any] | None = None,
        errors: Any = None,
        target_name: str | None = None,
    ) -> None:
        self.tree = tree
        self.labels = labels
        self.y = y
        self.classes = classes
        self.errors = errors
        self.target_name = target_name

    @classmethod
    def from_tree(
        cls,
        tree: Any,
        *,
        labels: Sequence[Any] | None = None,
        y: Any = None,
        classes: Sequence[Any] | None = None,
        errors: Any = None,
        target_name: str | None = None,
        cmap: str | None = None,
        ax: Axes | None = None,
    ) -> Self:
        """Draw a tree.

        Parameters
        ----------
        tree : Tree
            The tree, or what :meth:`skae.trees.Tree.of` makes trees of.
        labels : sequence of length n_nodes, default=None
            What is written on the nodes, see the class.
        y : array-like of shape (n_nodes,), default=None
            Class of each node, see the class.
        classes : sequence, default=None
            All classes in the order of their colours.
        errors : array-like of shape (n_nodes,), default=None
            Reconstruction error of each node, see the class.
        target_name : str, default=None
            Name of y, for the legend.
        cmap : str, default=None
            Colour map, see ``plot``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : TreeDisplay
            The display that was drawn.

        Raises
        ------
        ValueError
            If the tree is malformed, or if there is not one label, class or error for each node.
        """
        display = cls(tree=tree, labels=labels, y=y, classes=classes, errors=errors, target_name=target_name)
        return display.plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(cls, estimator: Any, tree: Any, *, cmap: str | None = None, ax: Axes | None = None) -> Self:
        """Draw a tree as a recursive autoencoder sees it.

        Parameters
        ----------
        estimator : object
            A fitted RecursiveAutoencoder or RecursiveAutoencoderClassifier. The latter shows classes unless its alpha
            is 1, and errors unless its alpha is 0, since then it has learnt no decoder.
        tree : Tree or sequence
            One tree, or one sequence if the estimator builds the trees. If the tree has labels of its own, they are
            written on the nodes, so that they can be compared with the classes that are predicted.
        cmap : str, default=None
            Colour map, see ``plot``.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : TreeDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is no recursive autoencoder.
        ValueError
            If the estimator does not accept the tree.
        """
        if not hasattr(estimator, "parse"):  # node_errors is missing from a classifier without a decoder, too
            raise TypeError(f"{type(estimator).__name__} has no node_errors: pass a RecursiveAutoencoder.")
        check_is_fitted(estimator)
        alpha = getattr(estimator, "alpha", 1.0)
        predicts = alpha < 1.0
        return cls(
            tree=estimator.parse([tree])[0],
            y=estimator.predict_nodes([tree])[0] if predicts else None,
            classes=estimator.classes_ if predicts else None,
            errors=estimator.node_errors([tree])[0] if alpha > 0.0 else None,
            target_name="predicted",
        ).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str | None = None) -> Self:
        """Draw the tree.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure, as wide as the words need.
        cmap : str, default=None
            Colour map. Give one from light to dark for classes that have an order. By default each class has a colour
            of its own, and errors are drawn in "viridis".

        Returns
        -------
        self : TreeDisplay
            This display.

        Raises
        ------
        ValueError
            If the tree is malformed, if there is not one label, class or error for each node, or if there are more than
            20 classes and no ``cmap``.
        """
        tree = Tree.of(self.tree)
        labels = _of_nodes("labels", tree, tree.labels if self.labels is None else self.labels)
        y, errors = _of_nodes("y", tree, self.y), _of_nodes("errors", tree, self.errors)
        key = {} if y is None else _colors_of_classes(y, self.classes, cmap)
        words = [literal(leaf_text(leaf), LONGEST_WORD) for leaf in tree.leaves]
        beside = 0.0 if y is None and errors is None else LEGEND
        widest = WIDEST if ax is None else max(1.0, _width(ax) - beside)
        setting = set_words(_widths(tree, words, labels), POINTS * widest)
        layout = laid_out(tree, setting.room)
        if ax is None:
            height = float(np.clip(1.2 + 0.42 * tree.height, 2.2, 12.0))
            ax = new_axes(max(3.2, setting.room.sum() / POINTS + 0.4 + beside), height)
        self.edges_ = _draw_edges(ax, layout.edges)
        self.nodes_ = _draw_nodes(ax, layout, y, errors, key, cmap)
        self.words_ = _draw_words(ax, layout.x[layout.y == 0], words, setting)
        if labels is not None:
            _draw_labels(ax, layout, labels, self.nodes_ if beside else None)
        if key:
            _draw_legend(ax, key, errors, self.target_name)
        elif errors is not None:
            ax.figure.colorbar(self.nodes_, ax=ax, label="Reconstruction error")
        ax.set(xlim=(0, setting.room.sum()), ylim=(0, tree.height + 0.4), yticks=[])
        ax.set_frame_on(False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _of_nodes(name: str, tree: Tree, values: Any) -> np.ndarray | None:
    """Values of the nodes, one for each."""
    if values is None:
        return None
    array = np.array(values, dtype=float if name == "errors" else object)
    if array.shape != (tree.n_nodes,):
        raise ValueError(f"{name} has shape {array.shape}, but the tree has {tree.n_nodes} nodes: pass one value each.")
    return array


def _colors_of_classes(y: np.ndarray, classes: Sequence[Any] | None, cmap: str | None) -> dict[Any, Any]:
    """Colour of each class."""
    names = np.unique([name for name in y if not is_missing(name)]) if classes is None else np.asarray(classes)
    if cmap is not None:
        colors = pyplot().get_cmap(cmap)(np.linspace(0, 1, len(names)))
    elif len(names) <= MAX_CLASSES:
        colors = pyplot().get_cmap("tab10" if len(names) <= 10 else "tab20").colors
    else:
        raise ValueError(
            f"There are {len(names)} classes, but only {MAX_CLASSES} colours can be told apart: pass a cmap."
        )
    return dict(zip(names.tolist(), colors, strict=False))


def _areas(errors: np.ndarray) -> np.ndarray:
    """Areas of circles for errors, from zero to the largest one."""
    share = np.nan_to_num(errors / _largest(errors))
    return SMALL + (LARGE - SMALL) * np.clip(share, 0, 1)


def _largest(errors: np.ndarray) -> float:
    return float(np.max(errors, initial=0.0, where=np.isfinite(errors))) or 1.0


def _width(ax: Axes) -> float:
    """Width of axes in inches."""
    return float(ax.get_window_extent().width / ax.figure.dpi)


def _widths(tree: Tree, words: Sequence[str], labels: np.ndarray | None) -> np.ndarray:
    """Widths of the leaves' words or labels, whichever are wider, with a font of size 1."""
    above = [None] * len(words) if labels is None else labels[tree.arity == 0]
    named = ["" if label is None else literal(label, LONGEST_WORD) for label in above]
    return np.array([max(map(_width_of, pair)) for pair in zip(words, named, strict=True)])


def _width_of(text: str) -> float:
    """Width of a text with a font of size 1."""
    pyplot()
    from matplotlib.textpath import TextPath

    size = 10.0
    return float(TextPath((0, 0), text, size=size).get_extents().width / size) if text.strip() else 0.0


def _draw_edges(ax: Axes, edges: list[np.ndarray]) -> LineCollection:
    from matplotlib.collections import LineCollection

    lines = LineCollection(edges, colors="0.65", linewidths=1.0, zorder=1, clip_on=False)
    ax.add_collection(lines)
    return lines


def _draw_nodes(
    ax: Axes, layout: Layout, y: np.ndarray | None, errors: np.ndarray | None, key: dict[Any, Any], cmap: str | None
) -> PathCollection:
    style: dict[str, Any] = {"linewidths": 0.6, "edgecolors": "0.3", "zorder": 2, "clip_on": False}
    style["s"] = _areas(errors) if errors is not None else SMALL if y is not None else DOT
    if y is not None:
        style["c"] = [MISSING if is_missing(name) else key.get(name, MISSING) for name in y]
    elif errors is not None:
        colors = pyplot().get_cmap(cmap or "viridis").with_extremes(bad=MISSING)
        style.update(c=errors, cmap=colors, vmin=0.0, vmax=_largest(errors), plotnonfinite=True)
    else:
        style["c"] = "0.4"
    return ax.scatter(layout.x, layout.y, **style)


def _draw_words(ax: Axes, x: np.ndarray, words: Sequence[str], setting: Words) -> list[Text]:
    """Write words as labels of ticks, so that every layout of a figure leaves room for them."""
    ax.set_xticks(x.tolist(), words, fontsize=setting.size, rotation=setting.rotation)
    drawn = list(ax.get_xticklabels())
    is_level = setting.rotation == 0
    ax.tick_params(axis="x", length=0, pad=SMALL**0.5 / 2 + PAD + is_level * setting.size)
    for word in drawn:
        word.set_verticalalignment("baseline" if is_level else "top")
    return drawn


def _draw_labels(ax: Axes, layout: Layout, labels: np.ndarray, nodes: PathCollection | None) -> None:
    """Write labels on the nodes: in their colours, or in white boxes if they have none."""
    from matplotlib.patheffects import withStroke

    style: dict[str, Any] = {"ha": "center", "va": "center_baseline", "fontsize": 8, "zorder": 3}
    if nodes is None:
        style["bbox"] = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none"}
    else:
        nodes.update_scalarmappable()
        colors = np.broadcast_to(nodes.get_facecolor(), (len(labels), 4))
    for i in [i for i, label in enumerate(labels) if label is not None]:
        if nodes is not None:
            style["color"] = "black" if colors[i, :3] @ BRIGHTNESS > 0.5 else "white"
            style["path_effects"] = [withStroke(linewidth=2, foreground=colors[i])]
        ax.text(layout.x[i], layout.y[i], literal(labels[i], LONGEST_WORD), **style)


def _draw_legend(ax: Axes, key: dict[Any, Any], errors: np.ndarray | None, name: str | None) -> None:
    """Explain the colours of classes and the largest circle."""
    style: dict[str, Any] = {"marker": "o", "linestyle": "none", "markeredgecolor": "0.3", "markeredgewidth": 0.6}
    drawn = [(literal(class_), color, SMALL) for class_, color in key.items()]
    if errors is not None and np.isfinite(errors).any():
        drawn.append((f"error {_largest(errors):.2g}", "white", LARGE))
    handles = [
        pyplot().Line2D([], [], label=label, color=color, markersize=area**0.5, **style) for label, color, area in drawn
    ]
    place: dict[str, Any] = {}
    if ax.figure.get_layout_engine():
        place = {"loc": "upper left", "bbox_to_anchor": (1.0, 1.0)}
    title = None if name is None else literal(name)
    ax.legend(handles=handles, title=title, fontsize="small", title_fontsize="small", labelspacing=0.9, **place)

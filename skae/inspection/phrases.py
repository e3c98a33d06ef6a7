"""PhraseDisplay: the phrases that a recursive autoencoder takes to be most alike a given one."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ..trees import Tree
from ._matplotlib import literal, new_axes
from ._tree_layout import text_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["PhraseDisplay"]

LONGEST = 60
"""Characters of a phrase that are drawn."""


class PhraseDisplay:
    """Bars of the phrases that are nearest to a phrase, by the cosine of their vectors.

    A phrase is a subtree: what the leaves below a node hold. The similarity of two phrases with the vectors u and v is
    u'v / (||u|| ||v||). It is 1 for vectors of one direction.

    Parameters
    ----------
    phrases : sequence of str of length n_phrases
        The phrases to draw, the nearest first.
    similarities : array-like of shape (n_phrases,)
        Their cosines with the phrase that was asked for.
    phrase : str, default=None
        The phrase that was asked for, for the title.

    Attributes
    ----------
    bars_ : matplotlib BarContainer
        The bars, the nearest first.
    ax_ : matplotlib Axes
        Axes with the bars.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    TreeDisplay : Draws a single tree.

    References
    ----------
    Socher, Huang, Pennington, Ng and Manning (2011), "Dynamic Pooling and Unfolding Recursive Autoencoders for
    Paraphrase Detection", https://papers.nips.cc/paper/4204

    Examples
    --------
    >>> from skae import RecursiveAutoencoder
    >>> from skae.inspection import PhraseDisplay
    >>> trees = [(("a", "cat"), "sat"), (("a", "dog"), "sat"), (("a", "cat"), "ran")]
    >>> model = RecursiveAutoencoder(4, max_iter=2, random_state=0).fit(trees)
    >>> display = PhraseDisplay.from_estimator(model, trees, ("a", "cat"), n=4)
    >>> sorted(display.phrases)
    ['a cat ran', 'a cat sat', 'a dog', 'a dog sat']
    """

    def __init__(
        self, *, phrases: Sequence[str], similarities: Sequence[float] | np.ndarray, phrase: str | None = None
    ) -> None:
        self.phrases = phrases
        self.similarities = similarities
        self.phrase = phrase

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: Any, phrase: Any, n: int = 10, *, min_leaves: int = 2, ax: Axes | None = None
    ) -> Self:
        """Search the trees of X for the phrases that are nearest to a phrase, and draw them.

        Parameters
        ----------
        estimator : object
            A fitted RecursiveAutoencoder or RecursiveAutoencoderClassifier.
        X : list of trees
            Trees to search, as in the estimator's ``transform``. All their subtrees are phrases.
        phrase : Tree or sequence
            One tree, or one sequence if the estimator builds the trees.
        n : int, default=10
            Number of phrases. Phrases with the same words are shown once, and the words that are asked for are not
            shown.
        min_leaves : int, default=2
            Smallest number of leaves of the phrases that are shown. 1 shows single words, too.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : PhraseDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator is no recursive autoencoder.
        ValueError
            If the estimator does not accept X or the phrase, if n or ``min_leaves`` is below 1, or if X has no other
            phrase.
        """
        if not hasattr(estimator, "node_vectors"):
            raise TypeError(f"{type(estimator).__name__} has no node_vectors: pass a RecursiveAutoencoder.")
        check_is_fitted(estimator)
        for name, value in (("n", n), ("min_leaves", min_leaves)):
            if not isinstance(value, Integral) or value < 1:
                raise ValueError(f"{name}={value!r} leaves nothing to draw: pass a whole number of at least 1.")
        asked = text_of(estimator.parse([phrase])[0])
        vector = estimator.node_vectors([phrase])[0][-1]
        nodes = [node for tree in estimator.parse(X) for node in tree.nodes()]
        cosines = _cosines(np.concatenate(estimator.node_vectors(X)), vector)
        near = _nearest(nodes, cosines, n, min_leaves, asked)
        return cls(phrases=list(near), similarities=np.array(list(near.values())), phrase=asked).plot(ax)

    def plot(self, ax: Axes | None = None) -> Self:
        """Draw the bars.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        self : PhraseDisplay
            This display.

        Raises
        ------
        ValueError
            If there are no phrases, or if there is not one similarity for each.
        """
        cosines = np.asarray(self.similarities, dtype=float)
        if not len(self.phrases) or cosines.shape != (len(self.phrases),):
            raise ValueError(f"{len(self.phrases)} phrases have {cosines.size} similarities: pass one for each.")
        names = [literal(phrase, LONGEST) for phrase in self.phrases]
        ax = new_axes(7.2, 1.0 + 0.28 * len(names)) if ax is None else ax
        self.bars_ = ax.barh(range(len(names)), cosines, height=0.7, color="tab:blue", alpha=0.6)
        ax.bar_label(self.bars_, [f"{cosine:.3f}" for cosine in cosines], padding=3, fontsize="small")
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0)
        ax.set(xlabel="Cosine similarity", xlim=(min(0.0, cosines.min() - 0.15), 1.12), ylim=(len(names) - 0.4, -0.6))
        ax.spines[["top", "right", "left"]].set_visible(False)
        if self.phrase is not None:
            ax.set_title(f"nearest to: {literal(self.phrase, LONGEST)}", loc="left", fontsize="medium")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _cosines(vectors: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Cosines of rows with a vector. A vector of zeros is like no other: its cosine is 0."""
    products = vectors.astype(np.float64) @ vector.astype(np.float64)
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(vector)
    return np.divide(products, lengths, out=np.zeros(len(vectors)), where=lengths > 0)


def _nearest(nodes: Sequence[Tree], cosines: np.ndarray, n: int, min_leaves: int, asked: str) -> dict[str, float]:
    """The n nearest phrases that differ, with their cosines."""
    found: dict[str, float] = {}
    for i in np.argsort(-cosines, kind="stable"):
        if len(found) == n:
            break
        if nodes[i].n_leaves >= min_leaves and (text := text_of(nodes[i])) != asked:
            found.setdefault(text, float(cosines[i]))
    if not found:
        raise ValueError(f"X has no other phrase of at least {min_leaves} leaves: pass more trees.")
    return found

"""GibbsDisplay: states along Gibbs chains that start at given rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from ..base.arrow import names_of
from ._pictures import draw_pictures
from ._profiles import draw_profiles
from ._rows import as_array, first_rows
from ._shapes import ImageShape, picture_shape, shape_to_draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["GibbsDisplay"]

MOST_SEED = 2**31 - 1


class GibbsDisplay:
    """States along Gibbs chains, with one column per chain and one line of pictures per number of steps.

    The chains of a good model draw states that look like data, however long they run. They do not stay near the row
    where they started.

    Parameters
    ----------
    states : dict of int to array-like of shape (n_chains, n_features)
        States after each number of steps, in ascending order. The states after 0 steps are the starting points. The
        first states set the greys of all pictures. In profiles they are points, and the others are lines.
    image_shape : tuple (height, width), (3, height, width) or (height, width, 3), "auto" or None, default=None
        Shape of the picture in a row of X, in C order. Channels are the axis of length 3. "auto" takes a square grey
        picture if n_features is a square of at least 16, and profiles otherwise. None draws profiles with one panel per
        chain, which suit tables with few columns.
    feature_names : sequence of str, default=None
        Names of the features. They are written below profiles if there are at most 30.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        The axes with data: one with all pictures, or one per chain with its profiles.
    ax_ : matplotlib Axes
        Axes that hold the whole display.
    figure_ : matplotlib Figure
        Figure with the axes.

    See Also
    --------
    skae.RBM.gibbs : Runs the chain.
    skae.RBM.sample : Draws rows from the model.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skae import RBM
    >>> from skae.inspection import GibbsDisplay
    >>> X = load_digits().data[:200] / 16
    >>> rbm = RBM(visible="bernoulli", max_iter=2, random_state=0).fit(X)
    >>> display = GibbsDisplay.from_estimator(rbm, X, n_steps=(0, 1, 10), image_shape=(8, 8))
    >>> {n: states.shape for n, states in display.states.items()}
    {0: (8, 64), 1: (8, 64), 10: (8, 64)}
    """

    def __init__(
        self,
        *,
        states: Mapping[int, np.ndarray],
        image_shape: ImageShape = None,
        feature_names: Sequence[str] | None = None,
    ) -> None:
        self.states = states
        self.image_shape = image_shape
        self.feature_names = feature_names

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any = None,
        *,
        n_steps: Sequence[int] = (0, 1, 10, 100, 1000),
        n_chains: int = 8,
        means: bool = False,
        image_shape: ImageShape = "auto",
        random_state: Any = None,
        cmap: str = "gray",
        ax: Axes | None = None,
    ) -> Self:
        """Run chains from the first rows of X, and draw their states after given numbers of steps.

        Parameters
        ----------
        estimator : object
            A fitted estimator with ``gibbs(X, n_steps, random_state)``, such as RBM.
        X : {array-like, sparse matrix, DataFrame} of shape (n_rows, n_features), default=None
            Rows at which the chains start. None starts at rows that the model's ``sample`` draws.
        n_steps : sequence of int, default=(0, 1, 10, 100, 1000)
            Numbers of steps, ascending. 0 is the starting point.
        n_chains : int, default=8
            Number of chains to draw.
        means : bool, default=False
            Whether to draw the expectation E[x | E[h | state]] instead of the state itself, which is random. The
            pictures of a binary chain are then sharper. Most papers show them.
        image_shape : tuple, "auto" or None, default="auto"
            Shape of the pictures, see the class. "auto" first uses the shape of the images that the estimator reads, if
            it reads images.
        random_state : int, RandomState instance or None, default=None
            Seed of the chains. None uses the estimator's ``random_state``.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.

        Returns
        -------
        display : GibbsDisplay
            The display that was drawn.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If the estimator has no ``gibbs``.
        ValueError
            If ``n_steps`` or ``n_chains`` is not as described, if ``gibbs`` does not accept X, or if ``image_shape``
            does not fit the features or contradicts the estimator.
        """
        if not hasattr(estimator, "gibbs"):
            raise TypeError(f"{type(estimator).__name__} has no gibbs: pass a model with a Gibbs chain, such as RBM.")
        check_is_fitted(estimator)
        _require_choices(n_steps, n_chains)
        states = _run(estimator, X, n_steps, n_chains, means, _seed(estimator, random_state))
        names = names_of(X)
        shape = shape_to_draw(image_shape, estimator, next(iter(states.values())).shape[1])
        return cls(states=states, image_shape=shape, feature_names=names).plot(ax, cmap=cmap)

    def plot(self, ax: Axes | None = None, *, cmap: str = "gray") -> Self:
        """Draw the states.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None makes a new figure.
        cmap : str, default="gray"
            Colour map of pictures with one channel. "gray_r" draws dark on white.

        Returns
        -------
        self : GibbsDisplay
            This display.

        Raises
        ------
        ValueError
            If the states are not finite rows of one shape, or if ``image_shape`` does not fit them.
        """
        rows = {_name_of(n): values for n, values in self._checked_states().items()}
        shape = picture_shape(self.image_shape, next(iter(rows.values())).shape[1])
        if shape is not None:
            self.ax_ = draw_pictures(list(rows), list(rows.values()), shape, cmap, ax)
            self.axes_ = np.array([self.ax_])
        else:
            self.axes_, self.ax_ = draw_profiles(rows, self.feature_names, ax)
        self.figure_ = self.ax_.figure
        return self

    def _checked_states(self) -> dict[int, np.ndarray]:
        states = {n: np.asarray(values, dtype=float) for n, values in self.states.items()}
        shapes = {values.shape for values in states.values()}
        if len(shapes) != 1 or len(min(shapes)) != 2 or 0 in min(shapes):
            raise ValueError(
                f"states of shapes {sorted(shapes)} cannot be drawn: pass arrays of one shape (n_chains, n_features)."
            )
        if not all(np.isfinite(values).all() for values in states.values()):
            raise ValueError("The states contain NaN or infinity: pass finite numbers.")
        return states


def _require_choices(n_steps: Sequence[int], n_chains: int) -> None:
    steps = np.asarray(n_steps)
    if (
        steps.ndim != 1
        or steps.size == 0
        or steps.dtype.kind not in "iu"
        or steps[0] < 0
        or (np.diff(steps) <= 0).any()
    ):
        raise ValueError(f"n_steps={n_steps!r} are not steps of a chain: pass ascending whole numbers of at least 0.")
    if not isinstance(n_chains, Integral) or n_chains < 1:
        raise ValueError(f"n_chains={n_chains!r} leaves nothing to draw: pass a whole number of at least 1.")


def _seed(estimator: Any, random_state: Any) -> int:
    """One seed for all chains, from a generator of our own if the user and the estimator have none."""
    state = getattr(estimator, "random_state", None) if random_state is None else random_state
    generator = np.random.RandomState() if state is None else check_random_state(state)
    return int(state) if isinstance(state, Integral) else int(generator.randint(MOST_SEED))


def _run(
    estimator: Any, X: Any, n_steps: Sequence[int], n_chains: int, means: bool, seed: int
) -> dict[int, np.ndarray]:
    """States after each number of steps, or their expectations if ``means``."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "X does not have valid feature names")  # states of a chain have no names
        start = estimator.sample(n_chains, 1, random_state=seed) if X is None else first_rows(X, n_chains)
        # With one seed all chains take the same steps, so each chain is the beginning of the next longer one.
        chain = {int(n): estimator.gibbs(start, int(n), random_state=seed) if n else as_array(start) for n in n_steps}
        if means:
            chain |= {n: estimator.inverse_transform(estimator.transform(x)) for n, x in chain.items() if n}
    return chain


def _name_of(n: int) -> str:
    return {0: "start", 1: "1 step"}.get(n, f"{n} steps")

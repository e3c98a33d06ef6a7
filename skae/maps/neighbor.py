"""NeighborAutoencoder: a map of the rows that keeps neighbours, and that can be decoded."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import Self

from ..autoencoders import Autoencoder
from ..base import (
    Arrays,
    Batch,
    Bottleneck,
    NonNegative,
    PositiveInt,
    Run,
    Saved,
    Sizes,
    Source,
    Subset,
    average,
    damage,
    spawn,
)
from ..base.budget import SMALL_TABLE
from ..base.compat import Interval
from ..base.graphs import Graph, check_metric, nearest_rows, read_graph, tell_of_pieces
from ..base.labels import read_labels
from ..base.mixins import available_if, fit_context
from ..base.transformer import is_stochastic
from ..base.verdict import lone_row
from ..engine.data import rows_of
from ..engine.optim import Flat, Optimizer
from ..functional import NEIGHBOR_LOSSES, density_correlation, pacmap, pull_back_distances, squared_distances
from ..nn.dense import DenseAutoencoder
from ._pairs import Given, LinkedArrays, Links
from ._span import Span, is_wide

__all__ = ["NeighborAutoencoder"]

N_NEIGHBORS = 15
"""Number of neighbours with n_neighbors="auto"."""
N_CANDIDATES = 6
"""Number of rows of which PaCMAP takes the second nearest as a mid-near row."""
DENSITY_WEIGHT = 0.3
"""Weight of the correlation of the densities on the map and in X."""
CPU = torch.device("cpu")
OF_AXES = "_corrupt", "_bottleneck", "_loss", "_step"
"""Hooks with which a variant may look at single columns."""


class WithGraph(NamedTuple):
    """y, together with a neighbour graph that was passed."""

    y: Any
    neighbors: Any


class NeighborAutoencoder(Autoencoder):
    """A map of the rows that keeps neighbours, takes new rows, and can be decoded.

    UMAP and t-SNE draw similar rows near each other, but have no quick way for new rows, and none back to X. An
    autoencoder has both, but its code keeps distances and not neighbours. This is an autoencoder with an objective of
    both: an encoder f maps a row x to a point h = f(x), a decoder g maps it back, and they minimise the mean of

        l_ij + r ||x_i - g(h_i)||^2 / n_features

    over rows i and their neighbours j, where r is ``reconstruction``. Neighbours are the nearest other rows in X. The
    loss l_ij of two neighbours pulls h_i and h_j together, and pushes h_i away from the points h_v of all other rows
    of the batch. With ``objective="infonce"`` it is

        l_ij = -log(q_ij / sum_v q_iv), where q_iv = 1 / (1 + ||h_i - h_v||^2).

    An epoch pairs each row with one of its neighbours, which is drawn. A batch is a number of pairs, and each row of a
    pair is the neighbour of the other. The encoder sees rows with Gaussian noise, without which held-out rows would
    find their place less well. Training starts at PCA with components of variance 1.

    Near points are similar rows. Distances between groups of points, their sizes and the space between them mean
    little. ``skae.metrics`` measures how far the map can be trusted.

    Parameters
    ----------
    n_components : int, default=2
        Width of the code.
    hidden_layer_sizes : tuple of int, or int, default=(128, 128, 128, 128, 128, 128)
        Widths of the encoder's hidden layers. The decoder has the same widths in reverse order. Deep networks map
        held-out rows better than wide ones.
    n_neighbors : int or "auto", default="auto"
        Number of nearest rows from which the neighbour of a row is drawn. Few make a map of details, many one of the
        whole. "auto" is 15, or all other rows if they are fewer.
    metric : str or callable, default="euclidean"
        Distance by which neighbours are found, one of scikit-learn's, such as "cosine", or "precomputed": then ``fit``
        is passed a graph as ``neighbors``. For many rows and columns pynndescent finds the neighbours, if it is
        installed.
    objective : {"infonce", "umap", "pacmap"}, default="infonce"
        The loss l_ij of two neighbours. "infonce" is the one above. "umap" is the cross-entropy of UMAP. "pacmap" is
        the loss of PaCMAP, which also pulls rows at a medium distance together at first, to keep the whole in shape.
    reconstruction : float, default=1.0
        Weight r of the reconstruction error in what the encoder learns. The decoder learns to reconstruct in any case:
        with 0 the map is one of neighbours alone, and can still be decoded.
    noise_level : float, default=0.8
        Standard deviation of the noise on the encoder's input, in units of the root mean square difference between
        entries of a row and of its neighbour.
    target_weight : float, default=0.0
        Probability that a row is paired with another row of its class, and not with a neighbour. 0 ignores y. Above 0,
        ``fit`` needs labels for some rows, and rows with different labels are no neighbours.
    densities : bool, default=False
        Whether the map also shows where rows are dense: a term rewards the correlation, over the rows of a batch, of
        the logarithms of the distances to neighbours on the map and in X. Otherwise all regions are spread alike.
    solver : {"adam", "adamw", "sgd"}, default="adamw"
        Optimisation algorithm.
    learning_rate_init : float or "auto", default="auto"
        Learning rate at the start, or its peak under "one_cycle". "auto" is 0.006 under "one_cycle", and 0.002
        otherwise.
    weight_decay : float or "auto", default="auto"
        L2 penalty on the weights, but not on the biases. "adamw" decouples it from the gradient. The other solvers add
        it to the gradient. "auto" is 0.
    batch_size : int or "auto", default="auto"
        Number of pairs per step. "auto" is 200, or n_samples if that is less. Each row of a batch is compared with all
        others, so small batches make worse maps. It is at least 2.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs. "auto" is as many as 25 sqrt(n_samples) steps take, but at least 300 steps, and
        at most 500 epochs.
    missing_indicator : False, default=False
        X has no missing entries here.

    Attributes
    ----------
    noise_scale_ : float
        Standard deviation of the noise, in units of X.
    history_ : dict of str to list of float
        As in ``Autoencoder``, with the terms "reconstruction", which is the mean over the columns, "neighbors", the
        mean of l_ij, and "density". "loss" is their sum.
    module_, loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_
        As in ``Autoencoder``.

    See Also
    --------
    skae.metrics.trustworthiness : Whether rows that are near on a map are near in X.
    skae.metrics.continuity : Whether rows that are near in X are near on a map.
    skae.inspection.LatentSpaceDisplay : Draws the map.
    sklearn.manifold.TSNE : Another map, of the training rows alone.

    References
    ----------
    Damrich, Boehm, Hamprecht and Kobak (2023), "From t-SNE to UMAP with Contrastive Learning",
    https://arxiv.org/abs/2206.01816

    Sainburg, McInnes and Gentner (2021), "Parametric UMAP Embeddings for Representation and Semisupervised Learning",
    https://doi.org/10.1162/neco_a_01434

    Wang, Huang, Rudin and Shaposhnik (2021), "Understanding How Dimension Reduction Tools Work: An Empirical Approach
    to Deciphering t-SNE, UMAP, TriMap, and PaCMAP for Data Visualization", https://jmlr.org/papers/v22/20-1061.html

    Narayan, Berger and Cho (2021), "Assessing Single-Cell Transcriptomic Variability through Density-Preserving Data
    Visualization", https://doi.org/10.1038/s41587-020-00801-7

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.model_selection import train_test_split
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from skae import NeighborAutoencoder
    >>> X, X_test, y, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
    >>> neighbors = NeighborAutoencoder(max_iter=20, random_state=0).fit(X)
    >>> pca = PCA(2).fit(X)
    >>> for reducer in neighbors, pca:
    ...     knn = KNeighborsClassifier().fit(reducer.transform(X), y)
    ...     print(knn.score(reducer.transform(X_test), y_test) > 0.9)
    True
    False
    >>> neighbors.inverse_transform(neighbors.transform(X_test)).shape
    (450, 64)
    """

    solver: Literal["adam", "adamw", "sgd"] = "adamw"
    missing_indicator: Literal[False] = False
    hidden_layer_sizes: Sizes = (128,) * 6
    n_neighbors: PositiveInt | Literal["auto"] = "auto"
    metric: str | Callable[..., Any] = "euclidean"
    objective: Literal["infonce", "umap", "pacmap"] = "infonce"
    reconstruction: NonNegative = 1.0
    noise_level: NonNegative = 0.8
    target_weight: Annotated[float, Interval(Real, 0, 1, closed="both")] = 0.0
    densities: bool = False

    _saved: ClassVar[dict[str, Saved]] = {
        "noise_scale_": Saved(damage.number(0.0)),
        "_difference": Saved(damage.number(0.0)),
    }
    _without_weight: ClassVar[frozenset[str]] = Autoencoder._without_weight | {"neighbors", "density"}
    _may_idle = True
    _takes_gaps = False
    _takes_kinds = False
    _most_epochs = 500
    _peak = 6e-3
    _decay = 0.0

    # ---------------------------------------------------------------- rows and their neighbours

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.batch_size == 1:
            raise ValueError("batch_size=1 leaves no other rows to tell a neighbour from: use some hundred, or 'auto'.")
        if self.metric != "precomputed":
            check_metric(self.metric)

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Source:
        y, neighbors = y if isinstance(y, WithGraph) else (y, None)
        data: Any = super()._source(X, y, weight, reset)
        if reset is None:
            return data
        if (neighbors is not None) != (self.metric == "precomputed"):
            raise ValueError(
                "metric='precomputed' needs a graph: pass it as fit(X, neighbors=graph)."
                if neighbors is None
                else f"neighbors was passed, but metric={self.metric!r}: use metric='precomputed'."
            )
        return Given(data, None if neighbors is None else read_graph(neighbors, len(data), self._k(len(data))))

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        """Numbers of the classes, -1 where unknown."""
        if not self.target_weight or reset is None:
            return super()._targets(y, n_samples, weight, reset)
        labels = read_labels(y, f"{type(self).__name__}(target_weight={self.target_weight:g})")
        if len(labels.present) != n_samples:
            raise ValueError(f"y has {len(labels.present)} labels, but X has {n_samples} rows: pass one for each row.")
        classes = labels.distinct(weight)
        numbers = np.full((n_samples, 1), -1.0)
        known = np.isin(labels.values, classes)
        numbers[np.flatnonzero(labels.present)[known], 0] = np.searchsorted(classes, labels.values[known])
        return numbers

    def _k(self, n_samples: int) -> int:
        """Number of neighbours of each of so many rows."""
        if self.n_neighbors == "auto":
            return min(N_NEIGHBORS, n_samples - 1)
        if self.n_neighbors >= n_samples:
            raise ValueError(
                f"n_neighbors={self.n_neighbors} needs more different rows than that; got n_samples = {n_samples}: use "
                f"at most {n_samples - 1}, or n_neighbors='auto'."
            )
        return int(self.n_neighbors)

    def _learnt(self, data: Any, run: Run) -> LinkedArrays:
        n, graph = len(data), data.graph
        counting = np.arange(n) if data.weight is None else np.flatnonzero(data.weight)
        rows = data if len(counting) == n else data.take(counting)
        if not run.partial:
            rows = rows.learnt(merge=graph is None and len(rows) * rows.width <= SMALL_TABLE)
        if len(rows) < 2:
            raise ValueError(
                "All rows of X are equal, so that no row has a neighbour: a map needs at least 2 different rows."
                if len(counting) > 1
                else f"{type(self).__name__} needs at least 2 rows, the neighbours of each other; got n_samples = 1"
                + (", and further rows of weight 0." if n > 1 else ".")
            )
        if graph is None:
            graph = nearest_rows(rows.X, self._k(len(rows)), self.metric)
        else:
            graph = graph.among(counting).nearest(self._k(n))
        return self._linked(rows, graph, run)

    def _linked(self, rows: Arrays, graph: Graph, run: Run) -> LinkedArrays:
        if not run.partial:
            tell_of_pieces(graph)
        peers, told = None, graph.log_radii()[:, None] if self.densities else None
        if rows.y is not None and not self.target_weight:
            raise ValueError(f"{type(self).__name__} has no place for a target y: y can only be labels of neighbours.")
        if rows.y is not None:
            label = rows.y[:, 0].astype(int)
            peers = Links.of_classes(label)
            ends = label[graph.sources], label[graph.indices]
            graph = graph.keep((ends[0] == ends[1]) | (np.minimum(*ends) < 0))
        return LinkedArrays(rows.with_y(told), Links.of_graph(graph), peers, float(self.target_weight))

    def _measure(self, data: Any) -> None:
        super()._measure(data)
        self._difference = data.mean_difference()

    def _train(self, data: Any, run: Run) -> None:
        """Train, in the coordinates of the span of the rows if these are far fewer than the columns."""
        if run.resume or not (self._is_blind_outside_the_span() and is_wide(data)):
            super()._train(data, run)
            return
        wide, span = (self.module_, self._flat, self._optimizer), Span(data.x.X)
        self.module_ = span.narrow(self.module_, self._spec)
        self._flat, self._optimizer = Flat(self.module_), Optimizer()
        try:
            super()._train(span.coordinates(data), run)
        finally:
            narrow = self.module_
            self.module_, self._flat, self._optimizer = wide
            span.widen(narrow, self.module_)

    def _is_blind_outside_the_span(self) -> bool:
        """Whether neither noise nor loss depend on the axes in which rows are given."""
        as_here = all(getattr(type(self), name) is getattr(NeighborAutoencoder, name) for name in OF_AXES)
        is_dense = type(self.module_) is DenseAutoencoder
        return as_here and is_dense and self.likelihood == "gaussian" and not self.input_dropout

    def _split(self, data: Any, run: Run) -> tuple[Source, Subset | None]:
        self.module_.progress = 1.0 if run.partial else 0.0
        self.noise_scale_ = float(self.noise_level) * self._difference  # a warm start may continue with other noise
        train, held_out = super()._split(data, run)
        rng = spawn(self._rng, CPU)
        if held_out is None:
            return data.drawing(rng), None
        rows = rows_of(train)
        return Subset(data.among(rows).drawing(rng), rows), held_out

    def _batch_size(self, n_samples: int) -> int:
        if self.batch_size != "auto":
            return super()._batch_size(n_samples)
        return min(n_samples, 200)

    def _n_steps(self, n_samples: int) -> int:
        return max(300, round(25 * n_samples**0.5))

    def _before_epoch(self, train: Source, progress: float) -> None:
        if progress:  # a chunk of partial_fit has one epoch, which is of the last stage
            self.module_.progress = progress

    def _examine(self, train: Source, held_out: Source | None) -> dict[str, float]:
        if held_out is None:
            return {}
        return {"validation_loss": self._mean_loss(held_out, self._batch_size(len(train)))}

    # ---------------------------------------------------------------- objective

    def _is_noisy(self) -> bool:
        return True

    def _rows_are_independent(self) -> bool:
        return False

    def _start_at_axes(self, module: Any, axes: Tensor, variances: Tensor) -> None:
        module.start_whitened(axes, variances)

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        batch = super()._corrupt(module, batch, rng)
        if rng is None or not self.noise_level:
            return batch
        noise = torch.empty_like(batch.shown).normal_(generator=rng)
        as_long = (len(self.mean_) / noise.shape[1]) ** 0.5  # of coordinates there are fewer than columns
        return batch._replace(corrupted=noise.mul_(self.noise_scale_ / self.scale_ * as_long).add_(batch.shown))

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        """Add the neighbour term to the codes of all rows, and decode those of the first half.

        ``reconstruction`` weighs only what the encoder learns. So the decoder learns as much with any weight.
        """
        neck = super()._bottleneck(module, batch, e, rng)
        h = neck.h.detach()
        squares = squared_distances(h)
        for name, (term, slopes) in self._neighbor_terms(module, batch, squares, rng).items():
            neck = neck.plus(name, term, pull_back_distances(h, slopes))
        n, r = len(batch.x), float(self.reconstruction)
        first = neck.h[:n]
        first = first.detach() + r * (first - first.detach()) if first.requires_grad else first
        return Bottleneck(first, neck.terms, lambda g: neck.backward(F.pad(r * g, (0, 0, 0, len(e) - n))))

    def _neighbor_terms(
        self, module: Any, batch: Batch, squares: Tensor, rng: torch.Generator | None
    ) -> dict[str, tuple[Tensor, Tensor]]:
        """Terms of the squared distances of all codes, with their derivatives in these."""
        if self.objective == "pacmap":
            losses, slopes = pacmap(squares, self._mid_near(batch, rng), getattr(module, "progress", 1.0))
        else:
            losses, slopes = NEIGHBOR_LOSSES[self.objective](squares)
        weight = None if batch.weight is None else batch.weight.repeat(2)
        slopes.mul_(1 / len(slopes) if weight is None else weight[:, None] / len(slopes))
        terms = {"neighbors": (average(losses, weight), slopes)}
        if self.densities and batch.y is not None:
            correlation, slopes = density_correlation(squares, batch.y[:, 0])
            terms["density"] = -DENSITY_WEIGHT * correlation, -DENSITY_WEIGHT * slopes
        return terms

    def _mid_near(self, batch: Batch, rng: torch.Generator | None) -> Tensor | None:
        """For each row, the second nearest of some rows that are drawn from the batch. None without a generator."""
        if rng is None:
            return None
        squares = squared_distances(batch.shown)
        n = len(squares)
        some = torch.randint(n, (n, N_CANDIDATES), generator=rng, device=rng.device)
        second = squares.gather(1, some).topk(2, largest=False).indices[:, 1:]
        return some.gather(1, second)[:, 0]

    def _reconstruction(self, module: Any, eta: Tensor, batch: Batch) -> Tensor:
        return super()._reconstruction(module, eta, batch) / len(self._output_frame)

    def _reconstruction_and_slope(self, module: Any, eta: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        error, slope = super()._reconstruction_and_slope(module, eta, batch)
        return error / len(self._output_frame), slope / len(self._output_frame)

    def _failure(self, data: Any) -> str | None:
        alone = lone_row(data.x.X) if isinstance(data.x.X, Tensor) else None
        return alone or super()._failure(data)

    def _cure_of_reconstruction(self) -> str:
        return f"raise reconstruction (now {self.reconstruction:g}), or {super()._cure_of_reconstruction()}"

    # ---------------------------------------------------------------- for users

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None, neighbors: Any = None) -> Self:
        """Fit the map to the rows of X.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. There must be two different rows.
        y : array-like of shape (n_samples,), default=None
            Labels with ``target_weight`` above 0, and -1, None or NaN for rows without a label. Ignored otherwise.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, and of the pairs that start at them. Only their ratios matter. Rows of
            weight 0 are left out.
        neighbors : sparse matrix of shape (n_samples, n_samples), default=None
            Distances of each row to its neighbours, with ``metric="precomputed"``: what ``KNeighborsTransformer`` or
            ``kneighbors_graph(mode="distance")`` return. Of more than ``n_neighbors`` in a row the nearest count.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If X, y, the graph or a parameter is not as described, if ``n_neighbors`` is not below the number of
            different rows, or if the loss becomes NaN or infinite. The estimator then stays as it was before the call.
        KeyboardInterrupt
            At Ctrl-C. The estimator is then fitted with the best weights so far if an epoch has been finished.
            Otherwise it stays as it was before the call.

        Warns
        -----
        skae.exceptions.DisconnectedGraphWarning
            If the neighbour graph has several pieces.
        """
        return super().fit(X, y if neighbors is None else WithGraph(y, neighbors), sample_weight)

    @available_if(is_stochastic)
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None, neighbors: Any = None) -> Self:
        """Update the map with one pass over a chunk of rows, and continue from the last call.

        The neighbours of a row are found in its chunk, so chunks should be large. The first chunk fixes the scale and
        the initial weights.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. There must be two different rows.
        y : array-like of shape (n_samples,), default=None
            As in ``fit``.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.
        neighbors : sparse matrix of shape (n_samples, n_samples), default=None
            As in ``fit``, for the rows of this chunk.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, and if ``early_stopping=True``, which needs all rows.
        """
        return super().partial_fit(X, y if neighbors is None else WithGraph(y, neighbors), sample_weight)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.target_weight > 0
        return tags

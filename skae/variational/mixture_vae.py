"""MixtureVariationalAutoencoder: clusters of rows, each of which is a cloud of codes."""

from __future__ import annotations

from dataclasses import field
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..base import Batch, Exported, PositiveInt, Run, Saved, Source, require_positive
from ..base.damage import fault_of_array, fault_of_numbers
from ..base.mixins import ClusterMixin
from ..engine.frame import in_double
from ..engine.modes import plain_torch, uninterrupted
from ..nn.coder import Coder
from ..nn.latent import Posterior
from ..nn.priors import Mixture
from ._clusters import fit_clusters
from ._variational import Variational

__all__ = ["MixtureVariationalAutoencoder"]

FIRST_STAGE = 0.75
"""Fraction of the epochs before the clusters are looked for."""


class MixtureVariationalAutoencoder(ClusterMixin, Variational):
    """A model of the density of rows whose codes form clusters, and a clusterer.

    A cluster c is drawn with probability pi_c, then a code h from N(mu_c, S_c), and a row x from p(x | h), whose
    parameter is a neural network of h. The prior is therefore a mixture of normal distributions, with full
    covariances. Network and mixture are trained together to maximise the lower bound

        log p(x) >= E_q[log p(x | h)] - beta KL(q(h | x) || p(h)),    p(h) = sum_c pi_c N(h; mu_c, S_c).

    The result depends on where this training starts. In the first three quarters of the epochs the prior is N(0, I), as
    in ``VariationalAutoencoder``. Then a mixture is fitted to the codes, by expectation maximisation from the clusters
    of Ward's method and of k-means, and all is trained together.

    Parameters
    ----------
    n_components : int, default=4
        Width of the code, which is the number of its components. In two or three, clusters often overlap.
    n_clusters : int, default=8
        Number of clusters. The number for which ``score`` of held-out rows is highest describes the density best.
    max_iter : int or "auto", default="auto"
        Maximum number of epochs, of which the last quarter trains network and clusters together. "auto" is as many as
        n_samples / 2 steps take, but at least 300 steps, at most 4000 steps, and at most 100 epochs. For "lbfgs" it is
        100.

    Attributes
    ----------
    labels_ : ndarray of shape (n_samples,), int32
        Cluster of each row that was passed to ``fit``, or to the last ``partial_fit``.
    cluster_centers_ : ndarray of shape (n_clusters, n_features)
        What the means mu_c of the clusters are decoded to, in units of X.
    means_ : ndarray of shape (n_clusters, n_components)
        The means mu_c, in the code.
    covariances_ : ndarray of shape (n_clusters, n_components, n_components)
        The covariances S_c, in the code.
    weights_ : ndarray of shape (n_clusters,)
        The probabilities pi_c.
    cluster_shares_ : ndarray of shape (n_clusters,)
        Share of the training rows that belong to each cluster. If there are more than 10 000 rows, it is measured on
        10 000 of them or fewer.
    module_ : torch.nn.Module
        The fitted networks, and the prior.
    history_ : dict of str to list of float
        As in ``VariationalAutoencoder``.
    kl_per_component_, active_components_, noise_variance_, image_shape_, code_shape_
        As in ``VariationalAutoencoder`` with the prior "flow".
    loss_, n_iter_, mean_, scale_, n_features_in_, feature_names_in_, components_
        As in ``Autoencoder``.

    See Also
    --------
    VariationalAutoencoder : With ``prior="mixture"`` it has a mixture too, which is fitted after training. Use it if
        only the density is of interest.
    sklearn.mixture.GaussianMixture : Clusters of rows that are normal distributions.

    References
    ----------
    Jiang, Zheng, Tan, Tang and Zhou (2017), "Variational Deep Embedding: An Unsupervised and Generative
    Approach to Clustering", https://arxiv.org/abs/1611.05148

    Ward (1963), "Hierarchical Grouping to Optimize an Objective Function",
    https://doi.org/10.1080/01621459.1963.10500845

    Examples
    --------
    >>> from sklearn.cluster import KMeans
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.metrics import adjusted_rand_score
    >>> from skae import MixtureVariationalAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> options = {"n_components": 16, "max_iter": 15, "random_state": 0}
    >>> model = MixtureVariationalAutoencoder(n_clusters=10, **options).fit(X)
    >>> by_means = KMeans(10, n_init=10, random_state=0).fit(X)
    >>> adjusted_rand_score(y, model.labels_) > adjusted_rand_score(y, by_means.labels_) + 0.05
    True
    >>> model.predict_proba(X).shape, model.sample(3, cluster=0, random_state=0).shape
    ((1797, 10), (3, 64))

    Held-out rows tell how many clusters describe the density best:

    >>> few, many = (MixtureVariationalAutoencoder(n_clusters=k, **options).fit(X[:1000]) for k in (1, 10))
    >>> bool(many.score(X[1000:]) > few.score(X[1000:]) + 2)  # nats per row
    True
    """

    n_components: PositiveInt = field(default=4, kw_only=False)
    n_clusters: PositiveInt = 8

    _saved: ClassVar[dict[str, Saved]] = {
        "labels_": Saved(lambda estimator, value: _fault_of_labels(value, estimator._spec["n_clusters"])),
        "cluster_shares_": Saved(
            lambda estimator, value: fault_of_numbers(value, (estimator._spec["n_clusters"],), np.float64)
        ),
    }

    # ---------------------------------------------------------------- architecture

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "n_clusters": int(self.n_clusters)}

    def _new_prior(self, coder: Coder) -> Mixture:
        return Mixture(coder.code_width, self._spec["n_clusters"])

    # ---------------------------------------------------------------- fitting

    def _learn(self, data: Source, run: Run) -> None:
        if not run.resume:
            self._require_rows(data)
        super()._learn(data, run)

    def _require_rows(self, data: Source) -> None:
        n = len(data) if data.weight is None else int((data.weight > 0).sum())
        if n < self.n_clusters:
            counting = "" if n == len(data) else " with positive weight"
            raise ValueError(
                f"n_clusters={self.n_clusters} needs at least as many rows{counting}; got n_samples = {n}: lower "
                "n_clusters, or pass more rows."
            )

    def _label(self, data: Source) -> None:
        """Set the clusters of the rows that were passed, in their order."""
        seen = self._seen(data, self._flat.theta.dtype, self._flat.theta.device)
        self.labels_ = self._collect(self._cluster, seen).numpy()

    def _before_epoch(self, train: Source, progress: float) -> None:
        prior = self.module_.prior
        if progress >= FIRST_STAGE and not prior.is_known:
            self._find_clusters(train)
        prior.is_started = prior.is_known

    def _conclude(self, data: Any) -> None:
        prior = self.module_.prior
        if not prior.is_known:
            self._find_clusters(data)
        prior.is_started = True
        super()._conclude(data)

    def _find_clusters(self, data: Source) -> None:
        """Fit the mixture to the codes of the training rows."""
        q, share = self._posterior_of_training(data)
        found = fit_clusters(q, share, self._spec["n_clusters"])
        with uninterrupted():
            self.module_.prior.start(found.logits.softmax(0), found.means, found.covariances)

    def _describe(self, q: Posterior, share: Tensor) -> None:
        super()._describe(q, share)
        prior = self._prior_in_double()
        with plain_torch(grad=False):
            nearest = prior.expected_log_joint(*q).argmax(1)
        self.cluster_shares_ = np.bincount(nearest.numpy(), share.numpy(), minlength=prior.n_clusters)

    def _failure(self, data: Any) -> str | None:
        return super()._failure(data) or self._failure_to_fill()

    def _failure_to_fill(self) -> str | None:
        empty = np.flatnonzero(self.cluster_shares_ == 0.0).tolist()
        if not empty:
            return None
        named = f"Cluster {empty[0]} is" if len(empty) == 1 else f"Clusters {', '.join(map(str, empty))} are"
        cure = f"lower n_clusters (now {self.n_clusters}) or beta (now {self.beta:g}), or raise max_iter"
        return f"{named} empty, no training row belongs there: {cure}."

    # ---------------------------------------------------------------- using

    def _prior_in_double(self) -> Mixture:
        """A copy of the prior in float64 on the CPU."""
        with plain_torch(grad=False):
            prior = Mixture(self._n_features_out, self._spec["n_clusters"]).double()
            prior.load_state_dict({name: in_double(part).cpu() for name, part in self._prior.state_dict().items()})
            return prior

    @property
    def _prior(self) -> Mixture:
        check_is_fitted(self)
        prior: Mixture = self.module_.prior
        return prior

    @property
    def weights_(self) -> np.ndarray:
        """Probabilities pi_c of the clusters."""
        return self._prior_in_double().logits.detach().softmax(0).numpy()

    @property
    def means_(self) -> np.ndarray:
        """Means mu_c of the clusters, in the code."""
        return self._prior_in_double().means.detach().numpy()

    @property
    def covariances_(self) -> np.ndarray:
        """Covariances S_c of the clusters, in the code."""
        return self._prior_in_double().covariances.detach().numpy()

    @property
    def cluster_centers_(self) -> np.ndarray:
        """What the means of the clusters are decoded to, in units of X."""
        centers: np.ndarray = self.inverse_transform(self.means_)
        return centers

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each cluster, given a row.

        It is proportional to exp E[log p(h, c)] over h from q(h | x): to pi_c N(mu(x); mu_c, S_c), lowered where the
        code is uncertain across a narrow cluster. Of all q(c | x), this one makes the bound highest (Jiang et al.,
        2017).

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_clusters)
        """
        found: np.ndarray = self._map(self._membership, X, like=X)
        return found

    def predict(self, X: Any) -> np.ndarray:
        """Find the most probable cluster of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,), int32
        """
        found: np.ndarray = self._map(self._cluster, X, like=X)
        return found

    def _exported(self) -> dict[str, Exported]:
        return {**super()._exported(), "predict_proba": Exported(self._membership)}

    def _membership(self, module: Any, batch: Batch) -> Tensor:
        q = Posterior(*self._moments_of(module, batch).chunk(2, 1))
        probability: Tensor = module.prior.expected_log_joint(*q).softmax(1)
        return probability

    def _cluster(self, module: Any, batch: Batch) -> Tensor:
        return self._membership(module, batch).argmax(1).int()

    def sample(self, n_samples: int = 1, random_state: Any = None, cluster: Any = None) -> np.ndarray:
        """Draw rows from the model, or from some of its clusters.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.
        cluster : int, array-like of int of shape (n_samples,), or None, default=None
            Cluster of all rows, or of each. None draws the clusters with the probabilities ``weights_``.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, or if there is no such cluster.
        """
        if cluster is None:
            return super().sample(n_samples, random_state)
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        clusters = self._checked_clusters(cluster, int(n_samples))
        self._ready_module()
        rng = self._noise(random_state)
        with plain_torch(grad=False):
            codes = self._prior.sample_of(clusters.to(self._flat.theta.device), rng)
        return self._rows_of(codes, rng)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags = ClassifierTags()  # a check of scikit-learn asks all that have predict_proba for them
        return tags

    def _checked_clusters(self, cluster: Any, n_samples: int) -> Tensor:
        """The cluster of each row that is to be drawn."""
        given, n_clusters = np.asarray(cluster), self._spec["n_clusters"]
        if given.shape not in ((), (n_samples,)):
            raise ValueError(f"cluster must be one number or {n_samples}, but has the shape {given.shape}.")
        wrong = given.dtype.kind not in "iu" or ((given < 0) | (given >= n_clusters)).any()
        if wrong:
            raise ValueError(f"cluster must be a whole number from 0 to {n_clusters - 1}; got {cluster!r}.")
        return torch.from_numpy(np.broadcast_to(given, n_samples).astype(np.int64))


def _fault_of_labels(value: Any, n_clusters: int) -> str | None:
    """What is wrong with clusters of rows in a file."""
    found = fault_of_array(value, (None,), np.int32)
    if found or (len(value) and value.min() >= 0 and value.max() < n_clusters):
        return found
    return f"has labels that are not in the range from 0 to {n_clusters - 1}"

"""AdversarialAutoencoder: a critic of codes makes their distribution that of a prior."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import Self

from ..base import (
    Batch,
    Bottleneck,
    ClassPrediction,
    Known,
    NonNegative,
    PositiveInt,
    Run,
    Saved,
    Source,
    Subset,
    damage,
    require_positive,
    standard_normal,
    with_labels_in_every_batch,
)
from ..base.labels import UNLABELLED, Labels, Told
from ..base.mixins import available_if
from ..base.transformer import is_stochastic
from ..engine.data import rows_of
from ..engine.modes import plain_torch
from ..functional import aside
from ..nn.coder import Coder
from ..nn.fixed_priors import Modes, Uniform
from ..nn.latent import Posterior, Universal
from ..nn.priors import Prior, StandardNormal
from ._adversarial import Adversarial, Shown

__all__ = ["AdversarialAutoencoder"]

LOG_VARIANCE = -4.0
"""Of a code that is normally distributed given its row, at the start."""
WIDTH = 64
"""Hidden units of the network that moves a code by noise."""
N_DRAWS = 16
"""Draws of noise over which a code is averaged."""
N_PLACED = 5000
"""Largest number of labelled rows by which the modes are turned."""
MOST_MODES = 1000
"""Largest number of modes of a prior. Their places take time and memory as the square of it."""


def has_modes(estimator: Any) -> bool:
    """Whether the prior has modes. scikit-learn calls this when it looks for ``predict``."""
    prior = estimator._spec["prior"] if hasattr(estimator, "_spec") else estimator.prior
    if prior not in ("mixture", "labels"):
        raise AttributeError(f"prior={prior!r} has no clusters or labels to predict: use 'mixture' or 'labels'.")
    return True


def _fault_of_spec(estimator: Any, value: Any) -> str | None:
    """What is wrong with the arguments of the module in a file, or None. It has a mode for each class."""
    found = damage.spec(estimator, value)
    if found or value.get("n_clusters") == len(getattr(estimator, "classes_", ())):
        return found
    return "has another number of modes than classes_"


class AdversarialAutoencoder(ClassPrediction, Adversarial):
    """An autoencoder whose codes have the distribution of a prior, so that codes of the prior are decoded to rows.

    A critic D learns to tell the codes of rows from codes that are drawn from a prior p(h). The encoder learns to
    deceive it, beside keeping what the decoder needs. So the distribution of all codes, q(h) = E[q(h | x)], becomes
    that of the prior. In each step D minimises, for codes h of the batch and codes h' from the prior,

        E[log(1 + exp(-D(h')))] + E[log(1 + exp(D(h)))] + gradient_penalty E[||dD/dh'||^2] / 2,

    and then encoder and decoder minimise

        E[||x - x_hat||^2] + adversarial_weight n_features E[log(1 + exp(-D(h)))].

    No density of q or of the prior is needed, as a variational autoencoder needs them: any distribution that one can
    draw from is a possible prior.

    Parameters
    ----------
    prior : {"normal", "uniform", "mixture", "labels"}, default="normal"
        Distribution of the codes, whose variance is 1 in mean over the components. "normal" is N(0, I). "uniform" is
        uniform in [-sqrt(3), sqrt(3)]. "mixture" is a mixture of ``n_clusters`` round normal distributions of equal
        weight, which are spread on a sphere, so that ``predict`` finds clusters. "labels" is such a mixture with a mode
        for each class of y: the critic is told the label of each row, so that the codes of a class come into its mode.
        Rows without a label come into the mode of the rows they are like, and ``predict`` finds labels.
    n_clusters : int, default=10
        Number of modes of the prior "mixture".
    posterior : {"deterministic", "gaussian", "universal"}, default="deterministic"
        What a code is, given its row. "deterministic" is a function of the row. "gaussian" is N(mu(x), sigma(x)^2) in
        each component. "universal" is a function of the row and of noise eps from N(0, I), h = m(x) + g(e(x), eps),
        which may have any distribution. ``transform`` returns the mean: of "universal", the mean over 16 draws of noise
        that all rows share.
    adversarial_weight : float, default=0.3
        Weight of the adversary, for each column of X. More brings the codes closer to the prior, and the
        reconstructions further from the rows. 0 is a plain autoencoder.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        What ``predict`` returns: the labels, sorted, or the numbers of the clusters. Only with the priors "mixture" and
        "labels".
    module_ : torch.nn.Module
        The fitted networks: encoder, decoder and critic. ``module_.prior`` is the prior.
    history_ : dict of str to list of float
        Training curves, with one value per epoch. "reconstruction" and "adversarial" are what encoder and decoder
        minimise, "critic" and "penalty" what the critic minimises. "accuracy" is the share of pairs of a real code and
        one of a row that the critic ranks rightly; 1/2 is the goal. "mmd" is the squared maximum mean discrepancy
        between samples and rows, and "validation_loss" the reconstruction error of held-out rows with
        ``early_stopping``.
    loss_ : float
        Reconstruction error of the held-out rows with ``early_stopping``, and otherwise NaN: no single number is
        minimised.
    image_shape_, code_shape_
        As in ``ConvolutionalAutoencoder``. The first exists only with ``channels``.
    n_iter_, mean_, scale_, n_features_in_, feature_names_in_, components_
        As in ``Autoencoder``.

    See Also
    --------
    VariationalAutoencoder : A density, with scores in nats. Its codes do not fill their prior evenly.
    MixtureVariationalAutoencoder : Clusters whose places and shapes are learnt.

    References
    ----------
    Makhzani, Shlens, Jaitly, Goodfellow and Frey (2015), "Adversarial Autoencoders", https://arxiv.org/abs/1511.05644

    Goodfellow et al. (2014), "Generative Adversarial Networks", https://arxiv.org/abs/1406.2661

    Mescheder, Geiger and Nowozin (2018), "Which Training Methods for GANs do actually Converge?" (the penalty on the
    critic's slope), https://arxiv.org/abs/1801.04406

    Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter (2017), "GANs Trained by a Two Time-Scale Update Rule Converge
    to a Local Nash Equilibrium" (a learning rate of its own for the critic), https://arxiv.org/abs/1706.08500

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import load_digits
    >>> from skae import AdversarialAutoencoder
    >>> X, y = load_digits(return_X_y=True)
    >>> model = AdversarialAutoencoder(n_components=8, max_iter=20, random_state=0).fit(X)
    >>> model.sample(3, random_state=0).shape
    (3, 64)
    >>> bool(np.abs(np.cov(model.transform(X).T) - np.eye(8)).max() < 0.3)  # the codes are like draws from N(0, I)
    True

    A class is a mode of the prior. Half of the labels are unknown here:

    >>> half = np.where(np.arange(len(y)) % 2, y, -1)
    >>> model = AdversarialAutoencoder(2, prior="labels", max_iter=20, random_state=0).fit(X, half)
    >>> bool((model.predict(X) == y)[half == -1].mean() > 0.8)
    True
    >>> model.sample(y=[3, 3, 7], n_samples=3, random_state=0).shape  # two threes and a seven
    (3, 64)
    """

    prior: Literal["normal", "uniform", "mixture", "labels"] = "normal"
    n_clusters: PositiveInt = 10
    posterior: Literal["deterministic", "gaussian", "universal"] = "deterministic"
    adversarial_weight: NonNegative = 0.3

    _saved: ClassVar[dict[str, Saved]] = {
        "_spec": Saved(_fault_of_spec),
        "classes_": Saved(damage.classes, required=False),
    }
    _y_doc: ClassVar[dict[str, str]] = {
        "fit": """y : array-like of shape (n_samples,), default=None
    Labels, and -1, None or NaN for rows without a label. At least two classes must occur. Required with
    ``prior="labels"``, and ignored otherwise."""
    }

    # ---------------------------------------------------------------- architecture and start

    def _check_parameters(self) -> None:
        super()._check_parameters()
        if self.prior == "mixture":
            self._require_modes(int(self.n_clusters), f"n_clusters={self.n_clusters}", "use prior='normal'")

    def _require_modes(self, n_modes: int, got: str, otherwise: str) -> None:
        """Refuse a prior with a single mode, or with too many."""
        if n_modes < 2:
            raise ValueError(f"prior={self.prior!r} needs at least 2 modes, but got {got}: {otherwise}.")
        if n_modes > MOST_MODES:
            raise ValueError(f"prior={self.prior!r} has at most {MOST_MODES} modes, but got {got}: {otherwise}.")

    def _architecture(self, n_features: int) -> dict[str, Any]:
        spec = super()._architecture(n_features)
        modes = {"labels": len(getattr(self, "classes_", ())), "mixture": int(self.n_clusters)}
        n_moments = 1 if self.posterior == "deterministic" else 2
        own = {"prior": self.prior, "n_clusters": modes.get(self.prior, 0), "posterior": self.posterior}
        return {**spec, **own, "n_moments": n_moments}

    def _new_prior(self, coder: Coder) -> Prior:
        name, width = self._spec["prior"], coder.code_width
        if name in ("mixture", "labels"):
            return Modes(width, self._spec["n_clusters"])
        return Uniform(width) if name == "uniform" else StandardNormal(width)

    def _new_module(self) -> nn.Module:
        module: Any = super()._new_module()
        if self._spec["posterior"] == "universal":
            module.posterior = Universal(module.code_width, WIDTH, self._spec["activation"])
            module.n_copies = N_DRAWS
        return module

    def _n_judged(self, coder: Coder) -> int:
        n_columns = self._spec["n_clusters"] + 1 if self._spec["prior"] == "labels" else 0
        return coder.code_width + n_columns

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        if self._spec["posterior"] == "universal":
            module.posterior.initialise(aside(rng))
        elif self._spec["posterior"] == "gaussian":
            bias = module.encoder.biases[-1]
            with torch.no_grad():
                bias[len(bias) // 2 :] = LOG_VARIANCE
        if self._spec["prior"] == "labels":
            self._turn_modes(module, data)

    @torch.no_grad()
    def _turn_modes(self, module: Any, data: Any) -> None:
        """Turn the modes towards the codes that labelled rows have at the start, so that these need not move far."""
        labelled = torch.nonzero(Known.of(data.y).rows).squeeze(1)
        if not len(labelled):
            return
        batch = data[labelled[:: -(-len(labelled) // N_PLACED)]]
        known = Known.of(batch.y)
        of_class = known.count * F.one_hot(known.value[:, 0].long(), self._spec["n_clusters"])
        means = of_class.t() @ self._encode(module, batch) / of_class.sum(0)[:, None].clamp_min(1e-30)
        module.prior.turn_towards(means.cpu().double().numpy())

    # ---------------------------------------------------------------- labels in a batch

    def _targets(self, y: Any, n_samples: int, weight: np.ndarray | None, reset: bool | None) -> Any:
        if reset:
            self.__dict__.pop("classes_", None)
        if reset and self.prior == "mixture":
            self.classes_ = np.arange(int(self.n_clusters))
        goes_on = reset is False and self._spec["prior"] == "labels"
        if self.prior != "labels" or not (reset or goes_on):  # a fitted model makes no use of labels
            return None
        found = super()._targets(y, n_samples, weight, reset)
        self._require_modes(len(self.classes_), f"y with {len(self.classes_)} classes", "use prior='mixture'")
        return found

    def _read(self, y: Any, n_samples: int) -> Labels:
        if (y.y if isinstance(y, Told) else y) is None:
            raise ValueError(
                f"{type(self).__name__}(prior='labels') requires y to be passed, but the target y is None: pass a "
                f"label for each row ({UNLABELLED} where there is none), or use prior='mixture'."
            )
        return super()._read(y, n_samples)

    def _learnt(self, data: Any, run: Run) -> Any:
        return super()._learnt(data, run) if self.prior == "labels" else Adversarial._learnt(self, data, run)

    def _split(self, data: Any, run: Run) -> tuple[Source, Subset | None]:
        train, held_out = super()._split(data, run)
        if self.prior != "labels" or len(train) <= self._batch_size(len(train)):
            return train, held_out
        return with_labels_in_every_batch(data, rows_of(train)), held_out

    def _modes_of(self, batch: Batch) -> Tensor:
        """Number of the mode of each row, and the number of modes where a row has no label."""
        known = Known.of(batch.y)
        return torch.where(known.rows, known.value[:, 0].long(), self._spec["n_clusters"])

    def _judged(self, h: Tensor, batch: Batch) -> Tensor:
        """What the critic is shown of codes: with labels, h and a column for each label and for none."""
        if self._spec["prior"] != "labels":
            return h
        told = F.one_hot(self._modes_of(batch), self._spec["n_clusters"] + 1)
        return torch.cat([h, told.to(h)], 1)

    def _weight_for_critic(self, batch: Batch) -> Tensor | None:
        """Weights of the rows in the critic's eyes: with labels, labelled rows together count as much as all rows."""
        if self._spec["prior"] != "labels":
            return batch.weight
        known = Known.of(batch.y)
        of_others = ~known.rows if batch.weight is None else batch.weight * ~known.rows
        return of_others + known.count[:, 0]

    # ---------------------------------------------------------------- objective

    def _drawn(self, module: Any, neck: Bottleneck, rng: torch.Generator | None) -> Bottleneck:
        """The codes of a batch, drawn from q(h | x). Without a generator the noise is common to all rows."""
        posterior = self._spec["posterior"]
        if posterior == "deterministic":
            return neck
        eps = standard_normal(neck.h[:, : module.code_width], rng)
        if posterior == "universal":
            return neck.by_autograd(lambda e: (module.posterior.drawn(e, eps), {}))
        return neck.by_autograd(lambda e: (Posterior.of(e).drawn(eps), {}))

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        e: Tensor = module.encode(batch.x, known=batch.told_known)
        if self._spec["posterior"] != "universal":
            return e[:, : module.code_width]
        mean: Tensor = module.posterior.mean(e, N_DRAWS)
        return mean

    def _shown(self, module: Any, batch: Batch, rng: torch.Generator) -> Shown:
        batch = self._corrupt(module, batch, rng)
        e = module.encode(batch.shown, rng, batch.told_known)
        made = self._judged(self._drawn(module, Bottleneck(e), rng).h, batch)
        weight = self._weight_for_critic(batch)
        real = module.prior.sample(len(made), rng)
        if self._spec["prior"] != "labels":
            return Shown(real, made, None, weight)
        modes = self._modes_of(batch)
        labelled = modes < self._spec["n_clusters"]
        real[labelled] = module.prior.sample_of(modes[labelled], rng)
        return Shown(self._judged(real, batch), made, weight, weight)

    def _penalty(self, slopes: Tensor, weight: Tensor | None) -> Tensor:
        """The same of the slopes in the codes. Slopes in the columns of labels are free."""
        return super()._penalty(slopes[:, : self.module_.code_width], weight)

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: torch.Generator | None) -> Bottleneck:
        neck = self._drawn(module, super()._bottleneck(module, batch, e, rng), rng)
        if rng is None:  # held-out rows are judged by their reconstruction
            return neck
        made = self._judged(neck.h.detach(), batch)
        term, slope = self._deceiving(module.critic, made, self._weight_for_critic(batch))
        factor = self.adversarial_weight * module.n_outputs
        return neck.plus("adversarial", factor * term, factor * slope[:, : module.code_width])

    # ---------------------------------------------------------------- for users

    @available_if(is_stochastic)
    def partial_fit(self, X: Any, y: Any = None, classes: Any = None, sample_weight: Any = None) -> Self:  # type: ignore[override]  # as in scikit-learn
        """Update the model with one pass over a chunk of rows, and continue from the last call.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)
            Finite numbers. The first chunk fixes the scale and the initial weights.
        y : array-like of shape (n_samples,), default=None
            As in ``fit``. In later chunks, all rows may be without a label.
        classes : array-like of shape (n_classes,), default=None
            All classes that will occur, for the first call with ``prior="labels"``. None takes those of the first
            chunk.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights. They are not normalised, so chunks can be weighted against each other.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            As for ``fit``, and if a label is not among the classes, or if ``early_stopping=True``.
        """
        if classes is None:
            return super().partial_fit(X, y, sample_weight)
        if self.prior != "labels":
            raise ValueError(
                f"classes are those of prior='labels', but prior={self.prior!r}: pass weights as sample_weight=."
            )
        return super().partial_fit(X, Told(y, classes), sample_weight)

    @available_if(has_modes)
    def predict(self, X: Any) -> np.ndarray:
        """Find the most probable mode of each row: the one that is nearest to its code.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels, or numbers of clusters with ``prior="mixture"``.
        """
        return super().predict(X)

    @available_if(has_modes)
    def predict_proba(self, X: Any) -> np.ndarray:
        """Probability of each mode given the code h of a row, p(k | h) = p(h, k) / p(h) under the prior.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame, memory map, tensor} of shape (n_samples, n_features)

        Returns
        -------
        P : ndarray of shape (n_samples, n_classes)
            Each row sums to one. The columns are in the order of ``classes_``.
        """
        return super().predict_proba(X)

    def _output(self, module: Any, batch: Batch) -> Tensor:
        log_joint: Tensor = module.prior.log_joint(self._encode(module, batch))
        return log_joint

    score = Adversarial.score  # of reconstructions, and not of predictions

    def sample(self, n_samples: int = 1, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw rows from the model: codes from p(h), or from some of its modes, which are decoded.

        With the gaussian likelihood the decoded codes are the rows. With the others rows are drawn from p(x | h), and
        ``inverse_transform(sample_codes(n_samples))`` are rows without this noise.

        Parameters
        ----------
        n_samples : int, default=1
            Number of rows.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.
        y : label, array-like of shape (n_samples,), or None, default=None
            What the rows are to be of: one of ``classes_``, or one for each row. They are labels, or numbers of
            clusters with ``prior="mixture"``. None draws from the whole prior. The other priors have no classes.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features), float64

        Raises
        ------
        ValueError
            If ``n_samples`` is below 1, or if y is not among ``classes_``.
        """
        rng, codes = self._drawn_codes(n_samples, random_state, y)
        return self._rows_of(codes, rng)

    def sample_codes(self, n_samples: int = 1, random_state: Any = None, y: Any = None) -> np.ndarray:
        """Draw codes from the prior p(h), or from some of its modes.

        Parameters
        ----------
        n_samples : int, default=1
            Number of codes.
        random_state : int, RandomState instance or None, default=None
            Seed of the draws. None uses the estimator's ``random_state``.
        y : label, array-like of shape (n_samples,), or None, default=None
            As in ``sample``.

        Returns
        -------
        H : ndarray of shape (n_samples, n_components)
        """
        codes: np.ndarray = self._drawn_codes(n_samples, random_state, y)[1].cpu().numpy()
        return codes

    def _drawn_codes(self, n_samples: int, random_state: Any, y: Any = None) -> tuple[torch.Generator, Tensor]:
        if y is None:
            return super()._drawn_codes(n_samples, random_state)
        check_is_fitted(self)
        require_positive(n_samples=n_samples)
        if not hasattr(self, "classes_"):
            raise ValueError(
                f"y={y!r} asks for a label or a cluster, but prior={self._spec['prior']!r} has none: leave y out, or "
                "fit with prior='mixture' or 'labels'."
            )
        modes = torch.from_numpy(self._asked(y, int(n_samples)))
        self._ready_module()
        rng = self._noise(random_state)
        with plain_torch(grad=False):
            return rng, self.module_.prior.sample_of(modes.to(self._flat.theta.device), rng)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # It stays a transformer. A check of scikit-learn asks all that have predict_proba for the tags of classifiers.
        tags.estimator_type, tags.target_tags.required = None, self.prior == "labels"
        return tags

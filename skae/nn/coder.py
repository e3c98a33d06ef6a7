"""What the modules of all autoencoders share: their arguments, the likelihood, and a linear projection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..functional import ACTIVATIONS
from .likelihoods import likelihood_of
from .mixed import Mixed

__all__ = ["Coder"]


@dataclass(kw_only=True, eq=False, repr=False)
class Coder(nn.Module):
    """Encoder, decoder and likelihood, optionally as a residual around a linear projection.

    The code is h = P x + f(x), and the parameter of the likelihood is eta = E' h + g(h). Encoder f and
    decoder g are those of a subclass. The matrices P and E are there only if ``projected``, and are
    not trained.

    Both may be told conditions c of a row. Then the encoder is given rows [x | c] and the decoder codes
    [h | c], and these stand for x and h in the formulas. P and E have a column or a row more for each condition.

    A subclass is a dataclass as this one is: it names the arguments that only it has as fields, and fills
    the hooks ``_make_layers`` and ``_silence``.

    Parameters
    ----------
    n_features, n_components, n_outputs : int
        Widths of x, of h and of what is reconstructed, which is x unless another target is given.
    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers.
    activation, code_activation : str
        Keys of ``functional.ACTIVATIONS``: of the hidden layers, and of the encoder's last layer.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson", "mixed"}
    categories : sequence of int
        Group sizes of the categorical likelihood.
    tied_weights : bool
        Whether the decoder uses the transposed weights of the encoder.
    projected : bool
    dropout : float
        Probability with which a hidden unit is silenced in training.
    batch_norm : bool
        Whether hidden layers are normalised before their activation.
    n_moments : int, default=1
        How many times as wide as the code the encoder's last layer is. With 2, a row is encoded as a mean
        and as something else, such as a log variance.
    variance : float or {"global", "column"}, default=1.0
        Of the gaussian likelihood, see ``Gaussian``.
    n_conditions : int, default=0
        Width of c.
    columns : sequence of (str, int) or None
        Kinds and numbers of adjacent columns of the mixed likelihood, see ``Mixed``.
    marked : sequence of int, default=()
        Columns of x of which the encoder is told whether they are missing: beside [x | c] it sees a one for each that
        is, and a zero otherwise.

    Attributes
    ----------
    likelihood : Likelihood
        The one that was asked for by its name.
    projection : Tensor of shape (n_components, n_features + n_conditions), or None
        P.
    expansion : Tensor of shape (n_components + n_conditions, n_outputs), or None
        E.
    encoder, decoder : torch.nn.Module
        f and g.
    """

    n_features: int
    n_components: int
    n_outputs: int
    hidden_layer_sizes: Sequence[int]
    activation: str
    code_activation: str
    likelihood: Any
    categories: Sequence[int]
    tied_weights: bool
    projected: bool
    dropout: float
    batch_norm: bool
    n_moments: int = 1
    variance: float | str = 1.0
    n_conditions: int = 0
    columns: Sequence[tuple[str, int]] | None = None
    marked: Sequence[int] = ()
    projection: Tensor | None = field(init=False)
    expansion: Tensor | None = field(init=False)
    encoder: Any = field(init=False)
    decoder: Any = field(init=False)

    def __post_init__(self) -> None:
        super().__init__()
        self._require_possible()
        shapes = {
            "projection": (self.n_components, self.n_features + self.n_conditions),
            "expansion": (self.n_components + self.n_conditions, self.n_outputs),
        }
        for name, shape in shapes.items():
            self.register_buffer(name, torch.zeros(shape) if self.projected else None)
        if self.likelihood == "mixed":
            self.likelihood = Mixed(self.columns or (), self.variance)
        else:
            self.likelihood = likelihood_of(
                self.likelihood, self.n_outputs, self.categories, self.variance, self.n_features
            )
        self._make_layers()

    def _require_possible(self) -> None:
        """Refuse arguments that no estimator passes, but a damaged file may hold."""
        if not {self.activation, self.code_activation} <= ACTIVATIONS.keys():
            raise ValueError(f"{self.activation!r} or {self.code_activation!r} is no activation function.")
        if self.categories and sum(self.categories) != self.n_outputs:
            raise ValueError(f"Groups of {self.categories} columns do not fill {self.n_outputs} columns.")
        if self.likelihood == "mixed" and sum(size for _, size in self.columns or ()) != self.n_outputs:
            raise ValueError(f"{self.columns} do not fill {self.n_outputs} columns.")
        if self.n_conditions and self.tied_weights:
            raise ValueError("A decoder with the weights of its encoder has none for conditions.")
        if not all(0 <= column < self.n_features for column in self.marked):
            raise ValueError(f"Columns {self.marked} are not among {self.n_features} columns.")

    # ---------------------------------------------------------------- hooks of a subclass

    def _make_layers(self) -> None:
        """Set ``encoder``, whose output is ``n_moments`` times as wide as the code, and ``decoder``."""
        raise NotImplementedError

    def _silence(self, deviations: Tensor) -> None:
        """Make f and g zero, and scale the decoder's first layer to codes with these standard deviations."""
        raise NotImplementedError

    def pull_back(self, x: Tensor, v: Tensor, known: Tensor | None = None) -> Tensor:
        """Products v'J of each row, where J = dh/dx is the derivative of the code, or of its mean.

        Conditions and marks are held fixed. Autograd can differentiate the products in the weights.

        Parameters
        ----------
        x : Tensor of shape (n, n_features + n_conditions)
        v : Tensor of shape (n or 1, m, n_components)
        known : Tensor of bool of shape (n, n_features) or None
            See ``encode``.

        Returns
        -------
        Tensor of shape (n, m, n_features)
        """
        raise NotImplementedError

    @property
    def is_deep(self) -> bool:
        """Whether there is more than one layer between x and its code."""
        return True

    @property
    def code_width(self) -> int:
        """Numbers in the code of a row."""
        return self.n_components

    # ---------------------------------------------------------------- forward

    def encode(self, x: Tensor, rng: torch.Generator | None = None, known: Tensor | None = None) -> Tensor:
        """Code of each row; with a generator, as in training.

        Parameters
        ----------
        x : Tensor of shape (n, n_features + n_conditions)
        rng : torch.Generator or None
        known : Tensor of bool of shape (n, n_features) or None
            Mask of the entries of x that were observed. None if all were.

        Returns
        -------
        Tensor of shape (n, n_moments * n_components)
            The first ``n_components`` columns are the mean, to which alone P x is added.
        """
        told = self._told(x, known)
        return self._project(self.encoder(told, rng), told)

    def decode(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Parameter eta of p(x | h); with a generator, as in training.

        Parameters
        ----------
        h : Tensor of shape (n, n_components + n_conditions)
        rng : torch.Generator or None

        Returns
        -------
        Tensor of shape (n, n_outputs)
        """
        return self._expand(self.decoder(h, rng), h)

    def _told(self, x: Tensor, known: Tensor | None) -> Tensor:
        """What the encoder sees: [x | c], where the likelihood embeds x, and the marks of missing entries."""
        seen = self._embed(x)
        if not self.marked:
            return seen
        if known is None:
            return F.pad(seen, (0, len(self.marked)))
        return torch.cat([seen, (~known[:, self.marked]).to(seen)], 1)

    def _embed(self, x: Tensor) -> Tensor:
        """What the encoder sees of [x | c]: the likelihood embeds x alone."""
        if not (self.n_conditions and self.likelihood.embeds):
            embedded: Tensor = self.likelihood.embed(x)
            return embedded
        return torch.cat([self.likelihood.embed(x[:, : self.n_features]), x[:, self.n_features :]], 1)

    def _project(self, f: Tensor, told: Tensor) -> Tensor:
        """The sum f + P x, where the encoder sees of x and its marks what is told."""
        if self.projection is None:
            return f
        x = told[:, : self.projection.shape[1]] if self.marked else told
        if self.n_moments == 1:
            return torch.addmm(f, x, self.projection.t())
        mean, *others = f.chunk(self.n_moments, 1)
        return torch.cat([torch.addmm(mean, x, self.projection.t()), *others], 1)

    def _expand(self, g: Tensor, h: Tensor) -> Tensor:
        return g if self.expansion is None else torch.addmm(g, h, self.expansion)

    def squared_jacobian(self, x: Tensor, h: Tensor, known: Tensor | None = None) -> Tensor:
        """||J||_F^2 of each row, given its code h, or the mean of it. J is that of ``pull_back``."""
        every_unit = torch.eye(h.shape[1], dtype=h.dtype, device=h.device)[None]
        return self.pull_back(x, every_unit, known).square().sum((1, 2))

    # ---------------------------------------------------------------- start

    @torch.no_grad()
    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as the textbook network whose output, at the code zero, is about the mean of x."""
        self.encoder.initialise(rng)
        self.decoder.initialise(rng)
        self.decoder.biases[-1].copy_(self.likelihood.link(mean))

    @torch.no_grad()
    def start_at_projection(
        self,
        axes: Tensor,
        variances: Tensor,
        gain_in: Tensor | None = None,
        gain_out: Tensor | None = None,
        slopes: Tensor | None = None,
    ) -> None:
        """Start as a linear model; f and g then only learn what it leaves over.

        With the axes U, one a row, the code is h = diag(gain_in) U x and the output U' diag(gain_out) h. Without
        gains that is PCA. Let L be the variances along the axes, and s^2 the mean variance along all
        others. Gains L^(-1/2) and L^(1/2) whiten the code. Gains (L - s^2)^(1/2) / L and
        (L - s^2)^(1/2) are probabilistic PCA (Tipping and Bishop, 1999): the code is the mean of p(h | x).

        With the mixed likelihood, U is of what the encoder sees of x, and the output is ``Mixed.natural`` of it.

        With conditions, x - B' c stands for x, and B' c is added to the output. The slopes B are those of a linear
        regression of x on c, both centred, and the axes are those of its residuals.

        Parameters
        ----------
        axes : Tensor of shape (n_components, n_features)
        variances : Tensor of shape (n_components,)
            Of the codes that the decoder will be shown; its first layer is scaled to these.
        gain_in, gain_out : Tensor of shape (n_components,) or None
            None stands for ones.
        slopes : Tensor of shape (n_conditions, n_features) or None
            B. None stands for zeros.

        References
        ----------
        Tipping and Bishop (1999), "Probabilistic Principal Component Analysis",
        https://doi.org/10.1111/1467-9868.00196
        """
        assert self.projection is not None
        assert self.expansion is not None
        inward, outward = (axes if gain is None else axes * gain[:, None] for gain in (gain_in, gain_out))
        B = axes.new_zeros(self.n_conditions, self.n_outputs) if slopes is None else slopes
        self.projection.copy_(torch.cat([inward, -inward @ B.t()], 1))
        self.expansion.copy_(torch.cat([outward, B]))
        level: Tensor | float = 0.0
        if isinstance(self.likelihood, Mixed):
            self.expansion[: self.n_components], level = self.likelihood.natural(outward, variances)
        self._silence(variances.sqrt().clamp_min(1e-3))
        self.decoder.biases[-1].sub_(self.decoder(torch.zeros_like(self.expansion[:, 0])[None])[0]).add_(level)

    def start_whitened(self, axes: Tensor, variances: Tensor) -> None:
        """Start at PCA with components of variance 1. Components without variance start at 0.

        Parameters
        ----------
        axes : Tensor of shape (n_components, n_features)
        variances : Tensor of shape (n_components,)
            Variances along the axes.
        """
        gain_out = variances.sqrt()
        gain_in = torch.where(gain_out > 1e-6, 1 / gain_out.clamp_min(1e-6), 0.0)
        self.start_at_projection(axes, torch.ones_like(variances), gain_in, gain_out)

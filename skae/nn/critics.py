"""Critics: networks that score rows, where a high score stands for a row that looks real."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .convolutional import Encoder, HiddenMap, levels_of
from .dense import Dense

__all__ = ["Critic", "Judgement", "SpectralDense", "fixed"]


class SpectralDense(Dense):
    """Dense layers whose weights are divided by their largest singular value, so that no layer stretches its input.

    The singular value is u' W v. The vectors u and v are those of the last power iteration, see ``iterate``, and have
    no gradient.

    References
    ----------
    Miyato, Kataoka, Koyama and Yoshida (2018), "Spectral Normalization for Generative Adversarial Networks",
    https://arxiv.org/abs/1802.05957
    """

    def _make_parameters(self, sizes: Sequence[int]) -> None:
        super()._make_parameters(sizes)
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            self.register_buffer(f"u_{i}", torch.zeros(n_out))
            self.register_buffer(f"v_{i}", torch.zeros(n_in))

    @property
    def weights(self) -> list[Tensor]:
        return [w / (self._buffers[f"u_{i}"] @ w @ self._buffers[f"v_{i}"]) for i, w in enumerate(super().weights)]  # type: ignore[operator]

    @torch.no_grad()
    def iterate(self) -> None:
        """Take a step of the power iteration for each weight."""
        for i, weight in enumerate(super().weights):
            u, v = self._buffers[f"u_{i}"], self._buffers[f"v_{i}"]
            assert u is not None
            assert v is not None
            F.normalize(weight.t() @ u, dim=0, out=v)
            F.normalize(weight @ v, dim=0, out=u)

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        for i, (weight, bias) in enumerate(zip(super().weights, self.biases, strict=True)):
            weight.copy_(functional.uniform_weights(weight, weight.shape[1], rng))
            bias.zero_()
            left, _, right = torch.linalg.svd(weight.double(), full_matrices=False)
            for name, vector in ((f"u_{i}", left[:, 0]), (f"v_{i}", right[0])):
                buffer = self._buffers[name]
                assert buffer is not None
                buffer.copy_(vector)


class Judgement(NamedTuple):
    """What a critic says of some rows."""

    scores: Tensor
    """Score of each row, of shape (n,)."""
    slopes: Tensor
    """Gradients of the scores of some rows in these rows, of shape (n_sloped, n_inputs)."""
    backward: Callable[[Tensor, Tensor], None]
    """Adds the gradient in the parameters to ``.grad``, given those in the scores and in the slopes."""


@torch.no_grad()
def judged_by_hand(dense: Dense, x: Tensor, sloped: slice) -> Judgement:
    """Scores and slopes of a dense critic, with a way back that autograd does not take part in.

    For layers z_l = W_l x_{l-1} + b_l and x_l = a(z_l), the slope is v = p_1 W_1, where p_l = u_l a'(z_l),
    u_{l-1} = p_l W_l, and u of the last hidden layer is the last weight. ``backward`` follows this recursion from v up,
    and then back-propagates what it found of z_l together with the gradient of the scores.
    """
    scores, tape = dense.propagate(x, None)
    weights, hidden = [weight for weight, *_ in tape], dense.activations[:-1]
    some = [(z[sloped], a[sloped]) for _, _, z, a, _ in tape[:-1]]
    rises = [functional.slope(name, z, a) for name, (z, a) in zip(hidden, some, strict=True)]
    us, ps = [weights[-1].expand(len(x[sloped]), -1)], []
    for weight, rise in zip(reversed(weights[:-1]), reversed(rises), strict=True):
        ps.append(us[-1] * rise)
        us.append(ps[-1].mm(weight))

    @torch.no_grad()
    def backward(of_scores: Tensor, of_slopes: Tensor) -> None:
        into = dense.gradients()
        r, of_z = of_slopes, []
        for i, rise in enumerate(rises):
            p, u = ps[-1 - i], us[-2 - i]
            into[i][0].addmm_(p.t(), r)
            q = r.mm(weights[i].t())
            bend = functional.curvature(hidden[i], *some[i])
            of_z.append(None if bend is None else q * u * bend)
            r = q * rise
        into[-1][0].add_(r.sum(0))
        g = of_scores[:, None]
        into[-1][0].addmm_(g.t(), tape[-1][1])
        into[-1][1].add_(g.sum(0))
        for i in range(len(hidden) - 1, -1, -1):
            _, inward, z, a, _ = tape[i]
            g = functional.SLOPES[hidden[i]](g.mm(weights[i + 1]), z, a)
            bend = of_z[i]
            if bend is not None:
                g[sloped] += bend
            into[i][0].addmm_(g.t(), inward)
            into[i][1].add_(g.sum(0))

    return Judgement(scores[:, 0], us[-1], backward)


class Critic(nn.Module):
    """A network that maps each row to a score.

    Its parameters are the part "critic", with a learning rate of their own and without weight decay.

    Parameters
    ----------
    n_inputs : int
        Columns of a row. Those of an image come first.
    hidden_layer_sizes : sequence of int
        Widths of the dense hidden layers.
    activation : str
        A key of ``functional.ACTIVATIONS``.
    rate : float
        Factor of the learning rate.
    spectral_norm : bool, default=False
        Whether each dense layer is divided by its largest singular value, see ``SpectralDense``.
    image : dict or None, default=None
        ``image_shape``, ``channels``, ``kernel_size``, ``pooling`` and ``channels_last`` of ``ImageAutoencoder``, for
        rows that begin with an image. Convolutional layers then come before the dense layers.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        *,
        rate: float,
        spectral_norm: bool = False,
        image: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()
        layers = SpectralDense if spectral_norm else Dense
        if image is None:
            self.body: Any = layers([n_inputs, *hidden_layer_sizes, 1], activation)
        else:
            shape, channels = image["image_shape"], image["channels"]
            levels = levels_of(shape, channels, image["kernel_size"], image["pooling"])
            n_pixels, n_map = math.prod(shape), math.prod(levels[-1].coarse)
            dense = layers([n_map + n_inputs - n_pixels, *hidden_layer_sizes, 1], activation)
            maps = [HiddenMap(n, activation) for n in channels]
            self.body = Encoder(levels, maps, dense, image["channels_last"])
        for parameter in self.parameters():
            parameter.part, parameter.rate, parameter.decay = "critic", rate, False  # type: ignore[attr-defined]

    def forward(self, x: Tensor) -> Tensor:
        """Score of each row, of shape (n,)."""
        scores: Tensor = self.body(x)
        return scores[:, 0]

    def initialise(self, rng: torch.Generator) -> None:
        """Draw all weights."""
        self.body.initialise(rng)

    def iterate(self) -> None:
        """Estimate the largest singular values anew, after the weights have moved."""
        for part in self.modules():
            if isinstance(part, SpectralDense):
                part.iterate()

    @torch.no_grad()
    def clip(self, limit: float) -> None:
        """Move all parameters into [-limit, limit]."""
        for parameter in self.parameters():
            parameter.clamp_(-limit, limit)

    def slopes(self, x: Tensor) -> Tensor:
        """Gradient of the score of each row in that row, of shape (n, n_inputs).

        Autograd can differentiate it in the weights.
        """
        if isinstance(self.body, Dense):
            return self.body.pull_back(x, x.new_ones(1, 1, 1))[:, 0]
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            (found,) = torch.autograd.grad(self(leaf).sum(), leaf, create_graph=True)
        return found

    def judge(self, x: Tensor, sloped: slice) -> Judgement:
        """Score rows, and find the slopes of some of them.

        Parameters
        ----------
        x : Tensor of shape (n, n_inputs)
        sloped : slice
            Rows whose slopes are asked for.
        """
        if type(self.body) is Dense:
            return judged_by_hand(self.body, x, sloped)
        scores, some = self(x), x[sloped]
        slopes = self.slopes(some) if len(some) else some

        def backward(of_scores: Tensor, of_slopes: Tensor) -> None:
            found, given = ([scores, slopes], [of_scores, of_slopes]) if len(some) else ([scores], [of_scores])
            torch.autograd.backward(found, given, inputs=list(self.parameters()))

        return Judgement(scores.detach(), slopes.detach(), backward)


@contextmanager
def fixed(module: nn.Module) -> Iterator[None]:
    """In the context, autograd takes the parameters of a module for constants."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)

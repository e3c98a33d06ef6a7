"""Dense coders and tied decoders: the modules inside the estimators.

A module is built empty and then initialised from a generator, so that torch's global generator is
never drawn from. A generator handed to ``forward`` means training (noise, batch statistics); none
means inference. Modules have no mode to switch.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .likelihoods import head_of

__all__ = ["BatchNorm", "Coder", "Dense", "DenseAutoencoder", "TransposedDense"]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015) that needs no training mode."""

    mean: Tensor
    variance: Tensor

    def __init__(self, n_features: int, momentum: float = 0.1) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(n_features))
        self.shift = nn.Parameter(torch.zeros(n_features))
        self.register_buffer("mean", torch.zeros(n_features))
        self.register_buffer("variance", torch.ones(n_features))
        self.momentum = momentum

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Normalise by the batch in training and by the running statistics afterwards."""
        if rng is None:
            return functional.batch_norm(x, self.mean, self.variance) * self.gain + self.shift
        variance, mean = torch.var_mean(x, 0, correction=0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return functional.batch_norm(x, mean, variance) * self.gain + self.shift

    @property
    def slope(self) -> Tensor:
        """Derivative of each column of the output in its own input, outside training."""
        return self.gain * torch.rsqrt(self.variance + functional.EPS)


Tape: TypeAlias = list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]]
"""Weight, input, pre-activation, activation and dropout mask of each layer."""


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


class Dense(nn.Module):
    """A stack of dense layers, x -> a(... a(x W_1' + b_1) ...) W_L' + b_L.

    Parameters
    ----------
    sizes : sequence of int
        Width of the input, of each hidden layer and of the output.
    activation, output_activation : str
        Keys of ``functional.ACTIVATIONS``, for the hidden layers and for the last.
    dropout : float
        Probability with which a hidden unit is silenced in training.
    batch_norm : bool
        Normalise each hidden layer before its activation.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        output_activation: str = "identity",
        *,
        dropout: float = 0.0,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.activations = [activation] * (len(sizes) - 2) + [output_activation]
        self.dropout = dropout
        self.norms = nn.ModuleList([BatchNorm(size) for size in sizes[1:-1]] if batch_norm else [])
        self._make_parameters(sizes)

    def _make_parameters(self, sizes: Sequence[int]) -> None:
        for i, (n_in, n_out) in enumerate(pairwise(sizes)):
            self.register_parameter(f"weight_{i}", nn.Parameter(torch.empty(n_out, n_in)))
            self.register_parameter(f"bias_{i}", nn.Parameter(torch.zeros(n_out)))

    # Read anew each time, so that torch.func.functional_call can put other weights in their place.
    @property
    def weights(self) -> list[Tensor]:
        """Weight of each layer, of shape (outputs, inputs)."""
        return [p for name, p in self._parameters.items() if name[0] == "w" and p is not None]

    @property
    def biases(self) -> list[Tensor]:
        """Bias of each layer."""
        return [p for name, p in self._parameters.items() if name[0] == "b" and p is not None]

    def layers(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Weight and bias of each layer, from the input on."""
        return zip(self.weights, self.biases, strict=True)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Propagate a batch; with a generator, as in training."""
        last = len(self.activations) - 1
        for i, (weight, bias) in enumerate(self.layers()):
            x = F.linear(x, weight, bias)
            if self.norms and i < last:
                x = self.norms[i](x, rng)
            x = functional.ACTIVATIONS[self.activations[i]](x)
            if self.dropout and rng is not None and i < last:
                x = x * functional.dropout_mask(x, self.dropout, rng)
        return x

    def propagate(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tape]:
        """``forward`` in training without batch normalisation, and what ``backpropagate`` needs of it."""
        tape: Tape = []
        last = len(self.activations) - 1
        for i, (weight, bias) in enumerate(self.layers()):
            z = F.linear(x, weight, bias)
            a = functional.ACTIVATIONS[self.activations[i]](z)
            mask = functional.dropout_mask(a, self.dropout, rng) if self.dropout and i < last else None
            tape.append((weight, x, z, a, mask))
            x = a if mask is None else a * mask
        return x, tape

    def backpropagate(self, tape: Tape, g: Tensor, to_input: bool = True) -> Tensor | None:
        """Add the gradients of weights and biases to theirs, given that of the output.

        Returns the gradient of the input if asked to. By hand it takes half the time of autograd on
        a small network, where the time goes to calls and not to arithmetic.
        """
        into = self.gradients()
        for i in range(len(tape) - 1, -1, -1):
            weight, x, z, a, mask = tape[i]
            g = functional.SLOPES[self.activations[i]](g if mask is None else g * mask, z, a)
            into[i][0].addmm_(g.t(), x)
            into[i][1].add_(g.sum(0))
            if i or to_input:
                g = g @ weight
        return g if to_input else None

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        """Products v'J of each row, J the derivative of the output without noise; differentiable in the weights.

        Parameters
        ----------
        x : Tensor of shape (n, inputs)
        v : Tensor of shape (n or 1, m, outputs)

        Returns
        -------
        Tensor of shape (n, m, inputs)
        """
        slopes = []
        last = len(self.activations) - 1
        for i, (weight, bias) in enumerate(self.layers()):
            z = F.linear(x, weight, bias)
            norm: Any = self.norms[i] if self.norms and i < last else None
            z = z if norm is None else norm(z)
            x = functional.ACTIVATIONS[self.activations[i]](z)
            slope = functional.slope(self.activations[i], z, x)
            slopes.append(slope if norm is None else slope * norm.slope)
        for weight, slope in zip(reversed(self.weights), reversed(slopes), strict=True):
            v = (v * slope[:, None]) @ weight
        return v

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Where the gradients of each layer go, shaped as ``layers``."""
        return [(_grad(w), _grad(b)) for w, b in zip(self.weights, self.biases, strict=True)]

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights from U(-c, c), c^2 = 1.5 / fan_in, and set the biases to zero."""
        for weight, bias in self.layers():
            c = math.sqrt(1.5 / weight.shape[1])
            weight.copy_(torch.rand(weight.shape, generator=rng, dtype=weight.dtype).mul_(2 * c).sub_(c))
            bias.zero_()


class TransposedDense(Dense):
    """The decoder that shares its encoder's weights, W_d = W_e', and has biases of its own."""

    def __init__(self, encoder: Dense, sizes: Sequence[int], activation: str, **options: Any) -> None:
        super().__init__(sizes, activation, **options)
        self._encoder = (encoder,)  # in a tuple, so that its parameters are not ours as well

    def _make_parameters(self, sizes: Sequence[int]) -> None:
        for i, n_out in enumerate(sizes[1:]):
            self.register_parameter(f"bias_{i}", nn.Parameter(torch.zeros(n_out)))

    @property
    def weights(self) -> list[Tensor]:
        return [weight.t() for weight in reversed(self._encoder[0].weights)]

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        into = [_grad(weight).t() for weight in reversed(self._encoder[0].weights)]
        return [(w, _grad(b)) for w, b in zip(into, self.biases, strict=True)]

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Set the biases to zero; the weights are the encoder's."""
        for bias in self.biases:
            bias.zero_()


class Coder(nn.Module):
    """What autoencoders' modules share: likelihood, projection, and the code's derivative.

    h = f(x) + P x and eta = g(h) + P' h. The projection P is there only if ``projected``, and is not
    trained.

    Parameters
    ----------
    n_features, n_components : int
        Widths of x and of h.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson"}
    categories : sequence of int
        Group sizes of the categorical likelihood.
    projected : bool
    """

    projection: Tensor | None

    def __init__(
        self, n_features: int, n_components: int, likelihood: str, categories: Sequence[int], projected: bool
    ) -> None:
        super().__init__()
        self.register_buffer("projection", torch.zeros(n_components, n_features) if projected else None)
        self.head = head_of(likelihood, categories)

    def _project(self, f: Tensor, x: Tensor) -> Tensor:
        return f if self.projection is None else torch.addmm(f, x, self.projection.t())

    def _expand(self, g: Tensor, h: Tensor) -> Tensor:
        return g if self.projection is None else torch.addmm(g, h, self.projection)

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        """Products v'J of each row, where J = dh/dx is the derivative of the code; differentiable in the weights.

        Parameters
        ----------
        x : Tensor of shape (n, n_features)
        v : Tensor of shape (n or 1, m, n_components)

        Returns
        -------
        Tensor of shape (n, m, n_features)
        """
        raise NotImplementedError

    @property
    def is_deep(self) -> bool:
        """Whether there is more than one layer between x and its code."""
        return True

    def squared_jacobian(self, x: Tensor, h: Tensor) -> Tensor:
        """||J||_F^2 of each row, given the code."""
        every_unit = torch.eye(h.shape[1], dtype=h.dtype, device=h.device)[None]
        return self.pull_back(x, every_unit).square().sum((1, 2))


class DenseAutoencoder(Coder):
    """Encoder, decoder and likelihood, optionally as a residual around a linear projection.

    h = f(x) + P x and eta = g(h) + P' h, where f and g are dense stacks. The projection P is there
    only if ``projected``, and is not trained: W_d = W_e' if ``tied_weights``.

    Parameters
    ----------
    n_features, n_components, n_outputs : int
        Widths of x, of h and of what is reconstructed, which is x unless another target is given.
    hidden_layer_sizes : sequence of int
        Widths of the encoder's hidden layers; the decoder has the same in reverse.
    activation, code_activation : str
        Keys of ``functional.ACTIVATIONS``.
    likelihood : {"gaussian", "bernoulli", "categorical", "poisson"}
    categories : sequence of int
        Group sizes of the categorical likelihood.
    tied_weights, projected, batch_norm : bool
    dropout : float
    """

    def __init__(
        self,
        *,
        n_features: int,
        n_components: int,
        n_outputs: int,
        hidden_layer_sizes: Sequence[int],
        activation: str,
        code_activation: str,
        likelihood: str,
        categories: Sequence[int],
        tied_weights: bool,
        projected: bool,
        dropout: float,
        batch_norm: bool,
    ) -> None:
        super().__init__(n_features, n_components, likelihood, categories, projected)
        sizes = [n_features, *hidden_layer_sizes, n_components]
        outward = [n_components, *hidden_layer_sizes[::-1], n_outputs]
        options: dict[str, Any] = {"dropout": dropout, "batch_norm": batch_norm}
        self.encoder = Dense(sizes, activation, code_activation, **options)
        if tied_weights:
            self.decoder: Dense = TransposedDense(self.encoder, outward, activation, **options)
        else:
            self.decoder = Dense(outward, activation, **options)

    def encode(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Code of each row."""
        return self._project(self.encoder(self.head.embed(x), rng), x)

    def decode(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Parameter eta of p(x | h)."""
        return self._expand(self.decoder(h, rng), h)

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        through = self.head.embed_slope(x, self.encoder.pull_back(self.head.embed(x), v))
        return through if self.projection is None else through + v @ self.projection

    @property
    def is_deep(self) -> bool:
        return len(self.encoder.activations) > 1

    def squared_jacobian(self, x: Tensor, h: Tensor) -> Tensor:
        activation = self.encoder.activations[-1]
        one_layer = not (self.is_deep or self.head.embeds or self.projection is not None)
        if not one_layer or activation not in functional.SLOPE_FROM_OUTPUT:
            return super().squared_jacobian(x, h)
        return functional.slope(activation, h, h).square() @ self.encoder.weights[0].square().sum(1)

    def encode_forward(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tape]:
        """``encode`` in training, and what ``encode_backward`` needs of it."""
        f, tape = self.encoder.propagate(self.head.embed(x), rng)
        return self._project(f, x), tape

    def decode_forward(self, h: Tensor, rng: torch.Generator) -> tuple[Tensor, Tape]:
        """``decode`` in training, and what ``decode_backward`` needs of it."""
        g, tape = self.decoder.propagate(h, rng)
        return self._expand(g, h), tape

    def encode_backward(self, tape: Tape, g: Tensor) -> None:
        """Add the gradients of the encoder, given that of the code."""
        self.encoder.backpropagate(tape, g, to_input=False)

    def decode_backward(self, tape: Tape, g: Tensor) -> Tensor:
        """Add the gradients of the decoder, given that of eta; return that of the code."""
        through: Tensor = self.decoder.backpropagate(tape, g)  # type: ignore[assignment]
        return through if self.projection is None else through.addmm_(g, self.projection.t())

    @torch.no_grad()
    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as the textbook network whose output, at the code zero, is about the mean of x."""
        self.encoder.initialise(rng)
        self.decoder.initialise(rng)
        self.decoder.biases[-1].copy_(self.head.link(mean))

    @torch.no_grad()
    def start_at_projection(self, axes: Tensor, variances: Tensor) -> None:
        """Silence f and g, which then only learn what the projection on the axes leaves over.

        The decoder's first layer is scaled to codes of these variances. Tied weights keep their
        random start if there is a hidden layer: silenced, they would stay at PCA, a saddle point.
        """
        assert self.projection is not None
        self.projection.copy_(axes)
        tied = isinstance(self.decoder, TransposedDense)
        if not tied or len(self.encoder.weights) == 1:
            self.encoder.weights[-1].zero_()
        if not tied:
            self.decoder.weights[0].div_(variances.sqrt().clamp_min(1e-3))
            self.decoder.weights[-1].zero_()
        self.decoder.biases[-1].sub_(self.decoder(torch.zeros_like(self.encoder.biases[-1])[None])[0])

"""Stacks of dense layers, and the autoencoder that is made of two of them.

A module is built with empty weights, which ``initialise`` draws from a generator, so that torch's global
generator stays as it is. Modules have no training mode: ``forward`` with a generator means training, with
dropout and the statistics of the batch, and without one it means inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .coder import Coder

__all__ = ["BatchNorm", "Dense", "DenseAutoencoder", "TransposedDense"]


class BatchNorm(nn.Module):
    """Batch normalisation (Ioffe and Szegedy, 2015): by the batch if there is a generator, by running means if not."""

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
        """Normalise by the batch in training, which moves the running means, and by these afterwards."""
        if rng is None:
            return functional.batch_norm(x, self.mean, self.variance) * self.gain + self.shift
        variance, mean = torch.var_mean(x, 0, correction=0)
        with torch.no_grad():
            self.mean.lerp_(mean, self.momentum)
            self.variance.lerp_(variance, self.momentum)
        return functional.batch_norm(x, mean, variance) * self.gain + self.shift

    @property
    def slope(self) -> Tensor:
        """Derivative of each column of the output in the same column of the input, after training."""
        return self.gain * torch.rsqrt(self.variance + functional.EPS)


Tape: TypeAlias = list[tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None]]
"""Of each layer: its weight, its input, what its units receive, their activations, and the dropout mask."""


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
        Whether each hidden layer is normalised before its activation.
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

    # Looked up in every call, so that torch.func.functional_call can put other weights in their place.
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
        """Output for a batch; with a generator, as in training."""
        for i, (weight, bias) in enumerate(self.layers()):
            x = self._through_units(i, F.linear(x, weight, bias), rng)
        return x

    def _through_units(self, i: int, z: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Output of the units of layer i, given what they receive: normalisation, activation and dropout."""
        is_hidden = i < len(self.activations) - 1
        if self.norms and is_hidden:
            z = self.norms[i](z, rng)
        a = functional.ACTIVATIONS[self.activations[i]](z)
        if self.dropout and rng is not None and is_hidden:
            a = a * functional.dropout_mask(a, self.dropout, rng)
        return a

    def propagate(self, x: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tape]:
        """``forward``, and the tape that ``backpropagate`` needs; without batch normalisation."""
        tape: Tape = []
        last = len(self.activations) - 1
        for i, (weight, bias) in enumerate(self.layers()):
            z = F.linear(x, weight, bias)
            a = functional.ACTIVATIONS[self.activations[i]](z)
            silenced = self.dropout and rng is not None and i < last
            mask = functional.dropout_mask(a, self.dropout, rng) if silenced else None  # type: ignore[arg-type]
            tape.append((weight, x, z, a, mask))
            x = a if mask is None else a * mask
        return x, tape

    def backpropagate(self, tape: Tape, g: Tensor, to_input: bool = True) -> Tensor | None:
        """Back-propagate by hand, in half the time that autograd takes for a small network.

        Parameters
        ----------
        tape : Tape
        g : Tensor of shape (n, outputs)
            Gradient of the loss in the output. The gradients in weights and biases are added to ``.grad``.
        to_input : bool
            Whether the gradient in the input is computed and returned.
        """
        into = self.gradients()
        for i in range(len(tape) - 1, -1, -1):
            weight, x, z, a, mask = tape[i]
            into_weight, into_bias = into[i]
            g = functional.SLOPES[self.activations[i]](g if mask is None else g * mask, z, a)
            into_weight.addmm_(g.t(), x)
            into_bias.add_(g.sum(0))
            if i or to_input:
                g = g.mm(weight)
        return g if to_input else None

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        """Products v'J of each row, where J is the derivative of the output in the input, without dropout.

        Autograd can differentiate them in the weights.

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
        """Gradient of the weight and of the bias of each layer: the tensors that gradients by hand are added to."""
        return [(functional.gradient_of(w), functional.gradient_of(b)) for w, b in self.layers()]

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights from U(-c, c), c^2 = 1.5 / fan_in, and set the biases to zero."""
        for weight, bias in self.layers():
            weight.copy_(functional.uniform_weights(weight, weight.shape[1], rng))
            bias.zero_()


class TransposedDense(Dense):
    """A decoder with the transposed weights of its encoder, W_d = W_e', and biases of its own.

    Where the encoder's last layer is wider than the code, only the first rows of its weight are shared:
    those of the code's mean. Where it sees more columns than are decoded, only the first columns are shared.
    """

    def __init__(self, encoder: Dense, sizes: Sequence[int], activation: str, **options: Any) -> None:
        super().__init__(sizes, activation, **options)
        self._encoder = (encoder,)  # in a tuple, so that its parameters are not ours as well
        self._first_rows = slice(sizes[0]) if sizes[0] < len(encoder.weights[-1]) else None
        self._outputs = slice(sizes[-1]) if sizes[-1] < encoder.weights[0].shape[1] else None

    def _make_parameters(self, sizes: Sequence[int]) -> None:
        for i, n_out in enumerate(sizes[1:]):
            self.register_parameter(f"bias_{i}", nn.Parameter(torch.zeros(n_out)))

    @property
    def weights(self) -> list[Tensor]:
        return self._transposed(self._encoder[0].weights)

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        weights = self._transposed([functional.gradient_of(weight) for weight in self._encoder[0].weights])
        return [(w, functional.gradient_of(b)) for w, b in zip(weights, self.biases, strict=True)]

    def _transposed(self, weights: list[Tensor]) -> list[Tensor]:
        *lower, last = weights
        shared = last if self._first_rows is None else last[self._first_rows]
        transposed = [weight.t() for weight in (shared, *reversed(lower))]
        if self._outputs is not None:
            transposed[-1] = transposed[-1][self._outputs]
        return transposed

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Set the biases to zero; the weights are the encoder's."""
        for bias in self.biases:
            bias.zero_()


class DenseAutoencoder(Coder):
    """Encoder and decoder that are stacks of dense layers. The decoder has the encoder's hidden layers in reverse."""

    encoder: Dense
    decoder: Dense

    def _make_layers(self) -> None:
        hidden = list(self.hidden_layer_sizes)
        options: dict[str, Any] = {"dropout": self.dropout, "batch_norm": self.batch_norm}
        inward = [self.n_features + self.n_conditions + len(self.marked), *hidden, self.n_moments * self.n_components]
        outward = [self.n_components + self.n_conditions, *reversed(hidden), self.n_outputs]
        self.encoder = Dense(inward, self.activation, self.code_activation, **options)
        if self.tied_weights:
            self.decoder = TransposedDense(self.encoder, outward, self.activation, **options)
        else:
            self.decoder = Dense(outward, self.activation, **options)

    @torch.no_grad()
    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """See ``Coder``. The weights of marks are zero, so that they say only what is learnt of them."""
        super().initialise(mean, rng)
        self.encoder.weights[0][:, self.n_features + self.n_conditions :].zero_()

    def pull_back(self, x: Tensor, v: Tensor, known: Tensor | None = None) -> Tensor:
        of_code = v if self.n_moments == 1 else F.pad(v, (0, (self.n_moments - 1) * self.n_components))
        in_row, of_x = self.encoder.pull_back(self._told(x, known), of_code), slice(self.n_features)
        through = in_row[..., of_x] if self.projection is None else in_row[..., of_x] + v @ self.projection[:, of_x]
        in_x: Tensor = self.likelihood.embed_slope(x[:, of_x], through)
        return in_x

    @property
    def is_deep(self) -> bool:
        return len(self.encoder.activations) > 1

    @property
    def directions(self) -> Tensor | None:
        """D of a decoder without hidden layers, eta = h D + b, where b may depend on c, or None for a deep one."""
        if len(self.decoder.activations) > 1:
            return None
        own = self.decoder.weights[0].t()
        return (own if self.expansion is None else own + self.expansion)[: self.n_components]

    def squared_jacobian(self, x: Tensor, h: Tensor, known: Tensor | None = None) -> Tensor:
        activation = self.encoder.activations[-1]
        in_one_layer = not (self.is_deep or self.likelihood.embeds or self.projection is not None)
        if not in_one_layer or self.n_moments > 1 or activation not in functional.SLOPE_FROM_OUTPUT:
            return super().squared_jacobian(x, h, known)
        of_x = self.encoder.weights[0][:, : self.n_features]
        return functional.slope(activation, h, h).square() @ of_x.square().sum(1)

    def encode_forward(self, x: Tensor, rng: torch.Generator, known: Tensor | None = None) -> tuple[Tensor, Tape]:
        """``encode`` in training, and the tape that ``encode_backward`` needs."""
        told = self._told(x, known)
        f, tape = self.encoder.propagate(told, rng)
        return self._project(f, told), tape

    def decode_forward(self, h: Tensor, rng: torch.Generator) -> tuple[Tensor, Tape]:
        """``decode`` in training, and the tape that ``decode_backward`` needs."""
        g, tape = self.decoder.propagate(h, rng)
        return self._expand(g, h), tape

    def encode_backward(self, tape: Tape, g: Tensor) -> None:
        """Add the encoder's gradients to ``.grad``, given the gradient in what ``encode`` returned, all moments."""
        self.encoder.backpropagate(tape, g, to_input=False)

    def decode_backward(self, tape: Tape, g: Tensor) -> Tensor:
        """Add the decoder's gradients to ``.grad``, given that in eta, and return the one in what was decoded."""
        through: Tensor = self.decoder.backpropagate(tape, g)  # type: ignore[assignment]
        return through if self.expansion is None else through.addmm_(g, self.expansion.t())

    def _silence(self, deviations: Tensor) -> None:
        """See ``Coder``. Tied weights above a hidden layer stay random: from zero, training could not leave PCA."""
        code = self.encoder.weights[-1]
        if not self.tied_weights:
            code.zero_()
            self.decoder.weights[0][:, : self.n_components].div_(deviations)
            self.decoder.weights[-1].zero_()
        elif self.is_deep:
            code[self.n_components :].zero_()
        else:
            code.zero_()

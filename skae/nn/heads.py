"""Encoders with a linear head: what predicts a label from the code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .dense import Dense, DenseAutoencoder

__all__ = ["DeepHead", "FineTunedNetwork", "LinearHead", "PredictingAutoencoder"]


DOWNWARDS = {"decoder", "down"}
"""Names of the parts of an encoder's module that lead from a code down to the rows."""


class LinearHead(Dense):
    """A linear layer to the prediction: a logit a class, or a number a target.

    Parameters
    ----------
    n_inputs, n_predictions : int
    """

    def __init__(self, n_inputs: int, n_predictions: int) -> None:
        super().__init__([n_inputs, n_predictions], "identity")

    @torch.no_grad()
    def start_at_zero(self) -> None:
        """Let every prediction be zero."""
        for parameter in self.parameters():
            parameter.zero_()


class DeepHead(nn.Module):
    """The sum of a linear layer and a dense network: the prediction given a row.

    Parameters
    ----------
    n_inputs, n_predictions : int
    hidden_layer_sizes : sequence of int
        Widths of the hidden layers of the network.
    activation : str
        A key of ``functional.ACTIVATIONS``.
    dropout : float
        Probability with which a hidden unit is silenced in training.
    """

    def __init__(
        self, n_inputs: int, hidden_layer_sizes: Sequence[int], n_predictions: int, activation: str, dropout: float
    ) -> None:
        super().__init__()
        self.linear = LinearHead(n_inputs, n_predictions)
        self.network = Dense([n_inputs, *hidden_layer_sizes, n_predictions], activation, dropout=dropout)

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Logits of the classes; with a generator, as in training."""
        logits: Tensor = self.linear(x) + self.network(x, rng)
        return logits

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw the weights of the hidden layers, and let every prediction be zero."""
        self.linear.start_at_zero()
        self.network.initialise(rng)
        self.network.weights[-1].zero_()


@dataclass(kw_only=True, eq=False, repr=False)
class PredictingAutoencoder(DenseAutoencoder):
    """A dense autoencoder with two heads, on the code and on x, whose sum is the prediction.

    The parameters beside this one are those of ``Coder``.

    Parameters
    ----------
    n_predictions : int
        Numbers that are predicted of a row: a logit a class, or a number a target; 0 if nothing is.
    """

    n_predictions: int

    def _make_layers(self) -> None:
        super()._make_layers()
        self.predictor = LinearHead(self.n_components, self.n_predictions)
        self.shortcut = LinearHead(self.n_features, self.n_predictions)

    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as ``DenseAutoencoder``, with every prediction zero."""
        super().initialise(mean, rng)
        self.predictor.start_at_zero()
        self.shortcut.start_at_zero()

    def predict(self, x: Tensor, h: Tensor) -> Tensor:
        """Logits of the classes, or standardised targets, given a row and its code."""
        return self.predictor(h) + self.shortcut(self.likelihood.embed(x))


class FineTunedNetwork(nn.Module):
    """The module of any encoder, and a head on its code.

    Parameters
    ----------
    encoder : torch.nn.Module
        The module of an encoder. If it has a decoder too, that is carried along and not trained.
    n_components : int
        Width of the code.
    n_predictions : int
        A logit a class, or a number a target.
    """

    def __init__(self, encoder: nn.Module, n_components: int, n_predictions: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = LinearHead(n_components, n_predictions)
        for name, parameter in encoder.named_parameters():
            if not DOWNWARDS.isdisjoint(name.split(".")):
                parameter.decay = False  # type: ignore[attr-defined]

    def start(self, encoder: nn.Module) -> None:
        """Take over the weights of an encoder, and predict zero."""
        self.encoder.load_state_dict(encoder.state_dict())
        self.head.start_at_zero()

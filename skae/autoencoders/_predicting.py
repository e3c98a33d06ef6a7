"""The module inside the semi-supervised autoencoders."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..nn.dense import Dense, DenseAutoencoder

__all__ = ["PredictingAutoencoder"]


class PredictingAutoencoder(DenseAutoencoder):
    """A dense autoencoder with two more linear layers, from the code and from x to the prediction.

    Parameters
    ----------
    n_features, n_components, n_outputs, hidden_layer_sizes, activation, code_activation, likelihood, categories, \
tied_weights, projected, dropout, batch_norm
        As ``DenseAutoencoder``.
    n_predictions : int
        Numbers that are predicted of a row: a logit a class, or a number a target; 0 if nothing is.
    """

    def __init__(
        self,
        *,
        n_features: int,
        n_components: int,
        n_outputs: int,
        n_predictions: int,
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
        super().__init__(
            n_features=n_features,
            n_components=n_components,
            n_outputs=n_outputs,
            hidden_layer_sizes=hidden_layer_sizes,
            activation=activation,
            code_activation=code_activation,
            likelihood=likelihood,
            categories=categories,
            tied_weights=tied_weights,
            projected=projected,
            dropout=dropout,
            batch_norm=batch_norm,
        )
        self.predictor = Dense([n_components, n_predictions], "identity")
        self.shortcut = Dense([n_features, n_predictions], "identity")

    @torch.no_grad()
    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        """Start as ``DenseAutoencoder``, with every prediction zero."""
        super().initialise(mean, rng)
        for parameter in (*self.predictor.parameters(), *self.shortcut.parameters()):
            parameter.zero_()

    def predict(self, x: Tensor, h: Tensor) -> Tensor:
        """Logits of the classes, or standardised targets, given a row and its code."""
        return self.predictor(h) + self.shortcut(self.head.embed(x))

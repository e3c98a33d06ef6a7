"""Bottleneck: what lies between an encoder and a decoder, with a gradient by hand or by autograd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
from torch import Tensor

__all__ = ["Bottleneck"]


def _unchanged(g: Tensor) -> Tensor:
    return g


class Bottleneck(NamedTuple):
    """The code that is decoded, the terms that it adds to the objective, and the way back.

    Small networks spend their time in calls, so a step is differentiated by hand, without autograd. What
    is made under ``torch.no_grad`` must tell the way back by ``backward``; where gradients are enabled,
    autograd finds it.
    """

    h: Tensor
    """What is decoded, of shape (n, n_components)."""
    terms: Mapping[str, Tensor] = MappingProxyType({})
    """Named scalars that are added to the reconstruction."""
    backward: Callable[[Tensor], Tensor] = _unchanged
    """The gradient in the encoder's output, given that of the reconstruction in h.

    It includes the gradient of the terms, and adds that of the terms in the weights to ``weight.grad``.
    """

    def plus(self, name: str, term: Tensor, slope: Tensor) -> Bottleneck:
        """Add a term that depends on the code and whose gradient is known, and is not left to autograd.

        Parameters
        ----------
        name : str
            Name of the term.
        term : Tensor of shape ()
        slope : Tensor of shape (n, n_components)
            Gradient of the term in h.

        Returns
        -------
        bottleneck : Bottleneck
        """
        if self.h.requires_grad and not term.requires_grad:
            term = term + (slope * (self.h - self.h.detach())).sum()  # the same value, with this gradient
        return Bottleneck(self.h, {**self.terms, name: term}, lambda g: self.backward(g + slope))

    def beside(self, c: Tensor) -> Bottleneck:
        """Decode the code and further columns behind it, which are given and have no gradient.

        Parameters
        ----------
        c : Tensor of shape (n, n_columns)

        Returns
        -------
        bottleneck : Bottleneck
        """
        width = self.h.shape[1]
        return Bottleneck(torch.cat([self.h, c], 1), self.terms, lambda g: self.backward(g[:, :width]))

    def by_autograd(self, function: Callable[[Tensor], tuple[Tensor, Mapping[str, Tensor]]]) -> Bottleneck:
        """Apply a further function to the code, which autograd differentiates.

        Parameters
        ----------
        function : callable
            Maps h to the next h and named terms.

        Returns
        -------
        bottleneck : Bottleneck
        """
        if torch.is_grad_enabled():
            h, terms = function(self.h)
            return Bottleneck(h, {**self.terms, **terms})
        with torch.enable_grad():
            leaf = self.h.detach().requires_grad_()
            h, terms = function(leaf)
            objective: Any = sum(terms.values())
        penalised = isinstance(objective, Tensor) and objective.requires_grad

        def backward(g: Tensor) -> Tensor:
            if h is not leaf:
                torch.autograd.backward(h, g, retain_graph=penalised)
            if penalised:
                torch.autograd.backward(objective)
            found = leaf.grad
            if h is leaf:
                found = g if found is None else g + found
            return self.backward(torch.zeros_like(leaf) if found is None else found)

        found_terms = {name: term.detach() for name, term in terms.items()}
        return Bottleneck(h.detach(), {**self.terms, **found_terms}, backward)

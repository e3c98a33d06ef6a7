"""The space that a few rows span, in whose coordinates a network of wide rows is trained faster."""

from __future__ import annotations

from copy import deepcopy
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ..base import Table
from ..engine.data import Rows
from ._pairs import Pairs

__all__ = ["Span", "is_wide"]

MOST_ROWS = 2000
"""Largest number of rows whose span is computed, which takes seconds."""
LEAST_COLUMNS = 4
"""Columns for each row from which on the time is worth it."""
LEAST_VARIANCE = 1e-10
"""Smallest squared length of the rows along an axis that counts, in the largest."""


def is_wide(data: Any) -> bool:
    """Whether rows are so many fewer than columns that a fit in coordinates of their span saves time."""
    return len(data) <= min(data.width // LEAST_COLUMNS, MOST_ROWS) and isinstance(data.x.X, Tensor)


class Span:
    """An orthonormal basis V of the space that some rows span, of shape (n_axes, n_features).

    A network with squared errors sees nothing but this space. So it can be trained on coordinates V x. Its first layer
    is then W V and its last V' W' in terms of rows, and rows outside the space are projected into it.

    Parameters
    ----------
    x : Tensor of shape (n, n_features)
        Centred rows.
    """

    def __init__(self, x: Tensor) -> None:
        values, axes = torch.linalg.eigh(x.double() @ x.double().t())
        kept = values > LEAST_VARIANCE * values[-1]
        basis = (axes[:, kept] / values[kept].sqrt()).t() @ x.double()
        self.basis = basis.to(x)

    def coordinates(self, data: Pairs) -> Pairs:
        """The same rows and neighbours, in coordinates."""
        x = data.x.X @ self.basis.t()
        rows = Rows(x, dtype=x.dtype, device=x.device)
        return Pairs(Table(rows, data.weight, data.y), data.neighbors, data.peers, data.share)

    @torch.no_grad()
    def narrow(self, module: Any, spec: dict[str, Any]) -> Any:
        """The same network for coordinates, given the arguments of a module for rows."""
        width = len(self.basis)
        narrow = type(module)(**{**spec, "n_features": width, "n_outputs": width}).to(self.basis)
        self._copy(module, narrow, self.basis.t())
        narrow.widened = partial(self._widened, narrow, module)
        return narrow

    def _widened(self, narrow: Any, module: Any) -> Any:
        """The network for rows that training in coordinates has come to."""
        copy = deepcopy(module)
        self.widen(narrow, copy)
        return copy

    @torch.no_grad()
    def widen(self, narrow: Any, module: Any) -> None:
        """Copy the weights of a network for coordinates into the one for rows."""
        self._copy(narrow, module, self.basis)

    def _copy(self, source: Any, target: Any, change: Tensor) -> None:
        """Copy all tensors. Those with an axis for each column are multiplied along that axis."""
        last = len(source.decoder.biases) - 1
        of_columns = {"projection", "expansion", "encoder.weight_0"}
        of_rows = {f"decoder.weight_{last}", f"decoder.bias_{last}"}
        into = target.state_dict()
        for name, tensor in source.state_dict().items():
            if name in of_columns:
                tensor = tensor @ change
            elif name in of_rows:
                tensor = change.t() @ tensor
            into[name].copy_(tensor)

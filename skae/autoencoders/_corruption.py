"""Corruption: the noise that a denoising autoencoder must undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..base import damage
from ..engine.data import Table, chunks, to_tensor
from ..engine.frame import Frame
from ..engine.group import part_of
from ..functional.corruptions import SELECTIVE, any_of_variable, gaussian, select, uniform_numbers

__all__ = ["Corruption", "emphasis_of", "limits_fault", "limits_of"]


@dataclass(frozen=True)
class Corruption:
    """A kind of noise and its strength, ready to be applied to rows.

    Parameters
    ----------
    kind : str or callable
        A key of ``SELECTIVE``, or "gaussian", or a function that maps (X, numpy.random.Generator) to a corrupted X.
    level : float
        Probability that an entry is corrupted. For "gaussian" it is the standard deviation of the noise, in
        units of the frame's scale. A callable ignores it.
    frame : Frame
        Converts between the scale of the module and the scale of X. A callable gets rows on the scale of X.
    limits : ndarray of shape (2, n_features) or None
        Smallest and largest value of each column.
    member : LongTensor of shape (n_features,) or None
        For each column of one-hot data, the index of its variable. None if the columns are not one-hot.
    """

    kind: str | Callable[..., Any]
    level: float
    frame: Frame
    limits: np.ndarray | None
    member: Tensor | None

    def __call__(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Return a corrupted copy of x, and a mask of the corrupted entries, or None if all were corrupted."""
        if callable(self.kind):
            corrupted, changed = self._by_callable(self.kind, x, rng)
            return corrupted, any_of_variable(changed, self.member)
        if self.kind == "gaussian":
            return gaussian(x, self.level, rng), None
        if self.kind == "salt_and_pepper" and self.limits is None:
            raise ValueError(
                "corruption='salt_and_pepper' needs the range of each column, which fit measures: fit with it first."
            )

        def uniform() -> Tensor:
            return uniform_numbers(x, rng, self.member)

        selected = select(x, self.level, rng, self.member)
        limits = None if self.limits is None else to_tensor(self.limits).to(x)
        return SELECTIVE[self.kind](x, selected, uniform, limits), selected

    def _by_callable(self, function: Callable[..., Any], x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Apply a user's function on the scale of X. Return the corrupted rows and a mask of the changed entries."""
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        X = self.frame.undo(x).cpu().numpy().copy()
        corrupted = np.asarray(function(X.copy(), np.random.default_rng(seed)))
        if corrupted.shape != X.shape or corrupted.dtype.kind not in "biuf":
            got = f"shape {corrupted.shape} and dtype {corrupted.dtype}"
            raise ValueError(f"corruption must return an array of numbers of its input's shape {X.shape}; got {got}.")
        if not np.isfinite(corrupted).all():
            raise ValueError("corruption returned NaN or infinity: it must return finite numbers.")
        changed = to_tensor(corrupted != X).to(x.device)
        seen = self.frame.apply(to_tensor(corrupted.astype(float))).to(x)
        return torch.where(changed, seen, x), changed


def limits_of(data: Table, before: np.ndarray | None) -> np.ndarray:
    """Smallest and largest value of each column, on the scale of the module, with those of the rows before."""
    known = [] if before is None else [to_tensor(before)]
    own, group = part_of(data)
    parts = (own.x[rows] for rows in chunks(len(own), own.width))
    found = [torch.stack(torch.aminmax(x, dim=0)).cpu() for x in parts]
    ends = torch.stack([*known, *(pair for pairs in group.gather(found) for pair in pairs)])
    return torch.stack([ends[:, 0].amin(0), ends[:, 1].amax(0)]).numpy()


def limits_fault(model: Any, value: Any) -> str | None:
    """Say what is wrong with the ranges of the columns that were read from a file, or return None."""
    return damage.fault_of_numbers(value, (2, len(model._frame)))


def emphasis_of(value: Any) -> tuple[float, float]:
    """Weights of corrupted and of uncorrupted entries in the loss."""
    try:
        pair = np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        pair = np.empty(0)
    if pair.shape != (2,) or not (np.isfinite(pair) & (pair >= 0.0)).all() or not pair.any():
        raise ValueError(
            f"emphasis={value!r} must be two numbers of at least 0, not both 0: the weights of corrupted and of "
            "uncorrupted entries."
        )
    return float(pair[0]), float(pair[1])

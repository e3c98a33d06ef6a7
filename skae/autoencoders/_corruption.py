"""Corruption: what the encoder of a denoising autoencoder is shown instead of a row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.data import to_tensor
from ..engine.frame import Frame
from ..functional.corruptions import SELECTIVE, any_of_variable, gaussian, select, uniform_numbers

__all__ = ["Corruption"]


@dataclass(frozen=True)
class Corruption:
    """A kind of noise, and how much of it.

    Parameters
    ----------
    kind : str or callable
        A key of ``SELECTIVE``, "gaussian", or a function from (X, numpy.random.Generator) to X.
    level : float
        Probability that an entry is corrupted, or standard deviation of Gaussian noise over the frame's scale.
    frame : Frame
        In which a function is given the rows.
    limits : ndarray of shape (2, n_features) or None
        Least and greatest value of each column.
    member : LongTensor of shape (n_features,) or None
        The variable to which each column belongs, if they are one-hot groups.
    """

    kind: str | Callable[..., Any]
    level: float
    frame: Frame
    limits: np.ndarray | None
    member: Tensor | None

    def __call__(self, x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """A corrupted copy of x, and which entries were chosen to be corrupted; None if all were."""
        if callable(self.kind):
            corrupted, changed = self._by_callable(self.kind, x, rng)
            return corrupted, any_of_variable(changed, self.member)
        if self.kind == "gaussian":
            return gaussian(x, self.level, rng), None
        if self.kind == "salt_and_pepper" and self.limits is None:
            raise ValueError("corruption='salt_and_pepper' needs the ranges of the columns: fit with it first.")

        def uniform() -> Tensor:
            return uniform_numbers(x, rng, self.member)

        selected = select(x, self.level, rng, self.member)
        limits = None if self.limits is None else to_tensor(self.limits).to(x)
        return SELECTIVE[self.kind](x, selected, uniform, limits), selected

    def _by_callable(self, function: Callable[..., Any], x: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """What a function makes of rows on the scale of X, and which entries it changed."""
        seed = int(torch.randint(2**62, (), generator=rng, device=rng.device))
        X = self.frame.undo(x).cpu().numpy().copy()
        corrupted = np.asarray(function(X.copy(), np.random.default_rng(seed)))
        if corrupted.shape != X.shape or corrupted.dtype.kind not in "biuf":
            got = f"shape {corrupted.shape} and dtype {corrupted.dtype}"
            raise ValueError(f"corruption must return numbers in the shape {X.shape} that it was given; got {got}.")
        if not np.isfinite(corrupted).all():
            raise ValueError("corruption returned NaN or infinity: every entry must stay a finite number.")
        changed = to_tensor(corrupted != X).to(x.device)
        seen = self.frame.apply(to_tensor(corrupted.astype(float))).to(x)
        return torch.where(changed, seen, x), changed

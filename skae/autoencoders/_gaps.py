"""What the guesses of missing entries are like in a file."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..base import damage
from ..engine.completion import Completion

__all__ = ["completion_fault"]


def completion_fault(model: Any, value: Completion) -> str | None:
    """Say what is wrong with the guesses of missing entries that were read from a file, or return None."""
    n = len(model._frame)
    found = damage.fault_of_numbers(value.mean, (n,)) or damage.fault_of_numbers(value.loadings, (n, None))
    found = found or damage.number(0.0)(model, value.variance)
    return found or damage.fault_of_array(value.has_gaps, (n,), np.bool_)

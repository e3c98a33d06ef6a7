"""compare(): reducers side by side on the same folds."""

from .comparing import compare
from .result import Comparison

__all__ = ["Comparison", "compare"]

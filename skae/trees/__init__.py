"""Trees as users pass them: made of tuples, bracketed text or nltk's trees, and printed as brackets."""

from .tree import Tree

__all__ = ["Tree"]

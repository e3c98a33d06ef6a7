"""Maps: two-dimensional pictures of tables that keep neighbours."""

from .neighbor import NeighborAutoencoder

__all__ = ["NeighborAutoencoder"]

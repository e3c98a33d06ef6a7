"""A y that is known of some rows only."""

import numpy as np


def partly(y, unknown, every=3):
    """Y of which every third is known."""
    y = np.array(y)
    y[np.arange(len(y)) % every != 0] = unknown
    return y

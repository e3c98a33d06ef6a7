"""What tests and examples share, those of the documentation among them."""

import sys

import pytest


@pytest.fixture(autouse=True)
def _closed_figures():
    """Examples leave their figures open, and matplotlib warns of too many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")

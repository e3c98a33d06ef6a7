"""What tests and examples share, those of the documentation among them."""

import sys

import pytest

collect_ignore_glob = ["docs/conf.py", "docs/gallery/*", "docs/examples/*", "docs/_build/*"]  # sphinx runs them


@pytest.fixture(autouse=True)
def _closed_figures():
    """Examples leave their figures open, and matplotlib warns of too many."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")

"""The scripts that draw the documentation's pictures run."""

import importlib.util
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from matplotlib.figure import Figure

SCRIPTS = sorted((Path(__file__).parents[1] / "docs/pictures").glob("*.py"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda p: p.stem)
def test_a_picture_is_drawn_and_is_in_the_documentation(path):
    spec = importlib.util.spec_from_file_location(f"pictures_{path.stem}", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    figure = script.draw(max_iter=1)
    assert isinstance(figure, Figure)
    assert all(ax.has_data() or ax.child_axes or not ax.axison for ax in figure.axes)
    plt.close(figure)
    assert path.with_suffix(".png").exists()
    pages = [page.read_text() for page in path.parents[1].glob("*.md")]
    assert any(f"(pictures/{path.stem}.png)" in page for page in pages)

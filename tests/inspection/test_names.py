"""Names from data are drawn as they are, with dollar signs and other characters of formulas."""

import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from skae import RBM, Autoencoder
from skae.inspection import (
    FilterDisplay,
    GibbsDisplay,
    LatentSpaceDisplay,
    PhraseDisplay,
    ReconstructionDisplay,
    TreeDisplay,
)
from skae.trees import Tree

NAMES = ["$x_{$", r"$\frac$", "a $ b", "100%"]


def words(display):
    """All texts of a figure as they are drawn."""
    display.figure_.canvas.draw()  # a formula with a mistake fails here
    panels = [child for ax in display.figure_.axes for child in (ax, *ax.child_axes)]
    texts = [text for ax in panels for text in ax.findobj(match=lambda artist: hasattr(artist, "get_text"))]
    return {text.get_text().replace(r"\$", "$") for text in texts}


@pytest.fixture(scope="module")
def frame(iris):
    return pd.DataFrame(iris, columns=NAMES)


def test_names_of_features(frame):
    model = Autoencoder(2, hidden_layer_sizes=(3,), max_iter=1, random_state=0).fit(frame)
    machine = RBM(2, max_iter=1, random_state=0).fit(frame)
    assert set(NAMES) <= words(ReconstructionDisplay.from_estimator(model, frame, n_samples=2))
    assert set(NAMES) <= words(FilterDisplay.from_estimator(model, kind="weights"))
    assert set(NAMES) <= words(GibbsDisplay.from_estimator(machine, frame, n_steps=(0, 1), n_chains=2))


@pytest.mark.parametrize("target", ["classes", "quantity", None])
@pytest.mark.parametrize("n_components", [1, 2])
def test_names_of_components_targets_and_classes(frame, target, n_components):
    reduced = PCA(2).set_output(transform="pandas").fit(frame)
    y = {"classes": np.array(NAMES)[np.arange(150) % 4], "quantity": np.linspace(0, 1, 150), None: None}[target]
    codes = np.asarray(reduced.transform(frame))[:, :n_components]
    named = NAMES[:n_components]
    drawn = words(LatentSpaceDisplay(codes=codes, y=y, component_names=named, target_name="cost $ $").plot())
    expected = {*named, *(NAMES if target == "classes" else ()), *(["cost $ $"] if target else ())}
    assert expected <= drawn


def test_names_of_leaves_labels_and_phrases():
    tree = Tree(children=[Tree(name, label=f"{name} too") for name in NAMES], label="cost $ $")
    assert {*NAMES, *(f"{name} too" for name in NAMES), "cost $ $"} <= words(TreeDisplay.from_tree(tree))
    classes = words(TreeDisplay.from_tree(tree, labels=[None] * 5, y=[*NAMES, None], target_name="cost $ $"))
    assert {*NAMES, "cost $ $"} <= classes
    display = PhraseDisplay(phrases=NAMES, similarities=[0.5] * 4, phrase="cost $ $").plot()
    assert {*NAMES, "nearest to: cost $ $"} <= words(display)

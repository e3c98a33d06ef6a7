"""What every display promises: it stores arrays, ``plot`` draws them, and nothing is left open where it cannot."""

import importlib
import inspect
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError

import skae
import skae.inspection
from skae import (
    RBM,
    Autoencoder,
    OutlierDetector,
    RecursiveAutoencoder,
    RecursiveAutoencoderClassifier,
    VariationalAutoencoder,
    compare,
)
from skae.inspection import (
    ComparisonDisplay,
    FilterDisplay,
    FreeEnergyDisplay,
    GibbsDisplay,
    JacobianDisplay,
    LatentSpaceDisplay,
    LatentTraversalDisplay,
    LearningCurveDisplay,
    ManifoldDisplay,
    OutlierDisplay,
    PhraseDisplay,
    PosteriorDisplay,
    ReconstructionDisplay,
    SampleDisplay,
    TreeDisplay,
)

AUTOENCODER = Autoencoder(5, hidden_layer_sizes=12, max_iter=3, early_stopping=True, random_state=0)
VARIATIONAL = VariationalAutoencoder(5, hidden_layer_sizes=12, max_iter=3, random_state=0)
MACHINE = RBM(5, visible="bernoulli", max_iter=3, early_stopping=True, random_state=0)
DETECTOR = OutlierDetector(random_state=0)
LABELS = np.arange(40) % 3
RECURSIVE = RecursiveAutoencoder(4, max_iter=3, random_state=0)
CLASSIFIER = RecursiveAutoencoderClassifier(4, alpha=0.5, max_iter=3, random_state=0)
TREES = [(("a", "cat"), "sat"), (("a", "dog"), ("sat", "down")), ("it", "ran"), (("the", "cat"), "ran")]

DRAWINGS = {
    "learning curve": (AUTOENCODER, lambda model, X, **ax: LearningCurveDisplay.from_estimator(model, **ax)),
    "profiles": (AUTOENCODER, lambda model, X, **ax: ReconstructionDisplay.from_estimator(model, X, n_samples=2, **ax)),
    "pictures": (
        AUTOENCODER,
        lambda model, X, **ax: ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8), **ax),
    ),
    "restored": (
        AUTOENCODER,
        lambda model, X, **ax: ReconstructionDisplay.from_estimator(
            model, X, corrupted=X[::-1], image_shape=(8, 8), **ax
        ),
    ),
    "classes": (AUTOENCODER, lambda model, X, **ax: LatentSpaceDisplay.from_estimator(model, X, LABELS, **ax)),
    "quantity": (AUTOENCODER, lambda model, X, **ax: LatentSpaceDisplay.from_estimator(model, X, X.sum(1), **ax)),
    "traversal": (
        AUTOENCODER,
        lambda model, X, **ax: LatentTraversalDisplay.from_estimator(model, X, n_steps=3, image_shape=(8, 8), **ax),
    ),
    "traversal profiles": (
        AUTOENCODER,
        lambda model, X, **ax: LatentTraversalDisplay.from_estimator(model, X, n_steps=3, **ax),
    ),
    "manifold": (
        AUTOENCODER,
        lambda model, X, **ax: ManifoldDisplay.from_estimator(model, X, components=(0, 1), n_steps=3, **ax),
    ),
    "posterior": (VARIATIONAL, lambda model, X, **ax: PosteriorDisplay.from_estimator(model, X, LABELS, **ax)),
    "stimuli": (AUTOENCODER, lambda model, X, **ax: FilterDisplay.from_estimator(model, random_state=0, **ax)),
    "weights": (AUTOENCODER, lambda model, X, **ax: FilterDisplay.from_estimator(model, kind="weights", **ax)),
    "heat map": (
        AUTOENCODER,
        lambda model, X, **ax: FilterDisplay.from_estimator(model, kind="weights", image_shape=None, **ax),
    ),
    "jacobian": (AUTOENCODER, lambda model, X, **ax: JacobianDisplay.from_estimator(model, X, **ax)),
    "free energy": (MACHINE, lambda model, X, **ax: FreeEnergyDisplay.from_estimator(model, X[:30], X[30:], **ax)),
    "gibbs": (MACHINE, lambda model, X, **ax: GibbsDisplay.from_estimator(model, X[:4], n_steps=(0, 2), **ax)),
    "gibbs profiles": (
        MACHINE,
        lambda model, X, **ax: GibbsDisplay.from_estimator(model, X[:4], n_steps=(0, 2), image_shape=None, **ax),
    ),
    "samples": (MACHINE, lambda model, X, **ax: SampleDisplay.from_estimator(model, X, n_samples=3, **ax)),
    "samples profiles": (
        MACHINE,
        lambda model, X, **ax: SampleDisplay.from_estimator(model, X, n_samples=3, image_shape=None, **ax),
    ),
    "outliers": (DETECTOR, lambda model, X, **ax: OutlierDisplay.from_estimator(model, X, n_samples=2, **ax)),
    "outlier pictures": (
        DETECTOR,
        lambda model, X, **ax: OutlierDisplay.from_estimator(model, X, n_samples=2, image_shape=(8, 8), **ax),
    ),
    "tree": (RECURSIVE, lambda model, X, **ax: TreeDisplay.from_estimator(model, TREES[0], **ax)),
    "tree with classes": (CLASSIFIER, lambda model, X, **ax: TreeDisplay.from_estimator(model, TREES[1], **ax)),
    "phrases": (RECURSIVE, lambda model, X, **ax: PhraseDisplay.from_estimator(model, TREES, ("a", "cat"), **ax)),
}
"""What is fitted, and how a display is made of it and of rows."""

LAYOUTS = {
    name: [None, "tight", "constrained"]
    for name in ("profiles", "traversal profiles", "samples profiles", "heat map", "outliers")
}
"""More than one for drawings on axes within the given ones, or with a bar beside them."""


@pytest.fixture(scope="module")
def X(digits):
    return digits[:40] / 16


@pytest.fixture(scope="module")
def fitted(X):
    of_rows = {id(model): clone(model).fit(X) for model in (AUTOENCODER, MACHINE, VARIATIONAL, DETECTOR)}
    return of_rows | {id(model): clone(model).fit(TREES, [0, 1, 0, 1]) for model in (RECURSIVE, CLASSIFIER)}


@pytest.fixture(params=DRAWINGS)
def draw(request, fitted, X):
    """Draw a display; ``draw(model=...)`` of another model."""
    template, make = DRAWINGS[request.param]
    return lambda model=None, **ax: make(fitted[id(template)] if model is None else model, X, **ax)


def test_every_display_is_here():
    made = inspect.getsource(sys.modules[__name__])
    displays = [name for name in skae.inspection.__all__ if name.endswith("Display")]
    assert displays
    assert all(f"{name}.from_" in made for name in displays)


def test_a_new_figure_is_made_where_no_axes_are_given(draw):
    display = draw()
    assert display.figure_ is display.ax_.figure is plt.gcf()
    assert plt.get_fignums() == [display.figure_.number]
    display.figure_.canvas.draw()


@pytest.mark.parametrize(
    ("draw", "layout"),
    [(name, layout) for name in DRAWINGS for layout in LAYOUTS.get(name, ["constrained"])],
    indirect=["draw"],
)
def test_given_axes_are_drawn_on(draw, layout):
    figure, (left, right) = plt.subplots(1, 2, layout=layout)
    display = draw(ax=right)
    assert display.ax_ is right
    assert display.figure_ is figure
    assert plt.get_fignums() == [figure.number]
    assert not left.has_data()
    figure.canvas.draw()


def require_drawn_from_what_it_stores(display):
    """Of what a display stores another one is made, which draws as much; and it draws itself again."""
    names = list(inspect.signature(type(display)).parameters)
    twin = type(display)(**{name: getattr(display, name) for name in names}).plot()
    assert [len(ax.get_children()) for ax in twin.figure_.axes] == [
        len(ax.get_children()) for ax in display.figure_.axes
    ]
    before = display.figure_
    assert display.plot() is display
    assert display.figure_ is not before


def test_a_display_is_drawn_from_what_it_stores(draw):
    require_drawn_from_what_it_stores(draw())


def test_drawing_without_matplotlib_says_how_to_get_it(draw, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        draw()


@pytest.mark.parametrize("name", DRAWINGS)
def test_an_estimator_must_be_fitted(name, X):
    template, make = DRAWINGS[name]
    with pytest.raises(NotFittedError):
        make(clone(template), X)
    assert not plt.get_fignums()


@pytest.mark.parametrize(
    "name", ["profiles", "classes", "traversal", "manifold", "posterior", "jacobian", "free energy", "gibbs"]
)
def test_rows_that_the_model_does_not_take_are_refused(name, fitted, X):
    template, make = DRAWINGS[name]
    for rows, message in ((X[:, :5], "64 features"), (np.full((40, 64), np.nan), "NaN")):
        with pytest.raises(ValueError, match=message):
            make(fitted[id(template)], rows)
        assert not plt.get_fignums()


def test_the_module_is_imported_without_matplotlib(monkeypatch):
    monkeypatch.setattr(skae, "inspection", skae.inspection)  # is put back after the test
    for name in [name for name in sys.modules if name.startswith(("skae.inspection", "matplotlib"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert importlib.import_module("skae.inspection").__all__ == skae.inspection.__all__


# ------------------------------------------------------------------ a comparison, which has a figure of its own


@pytest.fixture(scope="module")
def comparison(iris):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(importlib.import_module("skae.comparison.evaluation"), "TIMED", 0.0)
        return compare(iris, np.arange(150) // 50, [PCA()], [1, 2], cv=2)


def test_a_comparison_is_drawn_from_what_it_stores(comparison):
    display = ComparisonDisplay.from_comparison(comparison)
    assert plt.get_fignums() == [display.figure_.number]
    require_drawn_from_what_it_stores(display)


def test_a_comparison_without_matplotlib_says_how_to_get_it(comparison, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r'pip install "skae\[plot\]"'):
        ComparisonDisplay.from_comparison(comparison)

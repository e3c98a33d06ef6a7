"""What outlier detectors see: regions of the plane, records that were mixed up, and the columns that give them away."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import IsolationForest
from sklearn.metrics import RocCurveDisplay

from skae import Autoencoder, OutlierDetector
from skae.inspection import OutlierDisplay

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_ODD = 25
"""Rows that are outliers."""


def curve() -> tuple[np.ndarray, np.ndarray]:
    """Rows near a bent curve and rows of a small cluster, and a few that are scattered."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-2, 2, 300)
    usual = np.concatenate([np.stack([t, t**2 - 2], 1), rng.normal(size=(60, 2)) * 0.5 + [0, 1.6]])
    usual += 0.12 * rng.normal(size=usual.shape)
    odd = rng.uniform([-2.2, -2.5], [2.2, 2.5], (20 * N_ODD, 2))
    odd = odd[((odd[:, None] - usual) ** 2).sum(2).min(1) > 0.4**2][:N_ODD]
    return np.concatenate([usual, odd]), np.arange(len(usual) + N_ODD) >= len(usual)


def mixed_up() -> tuple[Any, np.ndarray]:
    """Measurements of tumours. In some rows, a third of the columns come from another row."""
    X = load_breast_cancer(as_frame=True).data
    rng = np.random.default_rng(0)
    odd = rng.choice(len(X), N_ODD, replace=False)
    for row in odd:
        columns = rng.choice(X.shape[1], 10, replace=False)
        X.iloc[row, columns] = X.iloc[rng.integers(len(X)), columns]
    return X, np.isin(np.arange(len(X)), odd)


def stained() -> np.ndarray:
    """Digits, with a grey stain of two by two pixels on the first six."""
    X = load_digits().data.copy()
    for k, (top, left) in enumerate([(1, 1), (5, 5), (3, 0), (0, 5), (5, 1), (3, 6)]):
        X[k].reshape(8, 8)[top : top + 2, left : left + 2] = 8.0
    return X


def draw_plane(ax: Axes, detector: Any, X: np.ndarray, is_odd: np.ndarray) -> None:
    """The rows, and where the detector would call a row an outlier if it knew the share of outliers."""
    detector.set_params(contamination=float(is_odd.mean())).fit(X)
    x, y = np.meshgrid(np.linspace(-2.8, 2.8, 90), np.linspace(-3, 3.2, 90))
    z = detector.decision_function(np.stack([x.ravel(), y.ravel()], 1)).reshape(x.shape)
    ax.contourf(x, y, z, levels=[z.min(), 0.0, z.max()], colors=["C3", "C0"], alpha=0.25)
    ax.scatter(*X.T, s=5, c=np.where(is_odd, "C3", "C0"), linewidths=0)
    right = int((detector.predict(X)[is_odd] == -1).sum())
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{type(detector).__name__}\nfinds {right} of {N_ODD}", fontsize=9)


def draw(max_iter: int | str = "auto") -> Figure:
    """The whole picture."""
    figure = plt.figure(figsize=(11, 9.5), layout="constrained")
    top, middle, bottom = figure.subfigures(3, 1, height_ratios=[3.2, 3, 2.4])
    axes = top.subplots(1, 3)
    for ax, detector in zip(axes, (IsolationForest(random_state=0), OutlierDetector(random_state=0)), strict=False):
        draw_plane(ax, detector, *curve())

    X, is_odd = mixed_up()
    ours = OutlierDetector(random_state=0).fit(X)
    detectors: dict[str, Any] = {
        "OutlierDetector": ours,
        "of an Autoencoder": OutlierDetector(Autoencoder(max_iter=max_iter), random_state=0).fit(X),
        "IsolationForest": IsolationForest(random_state=0).fit(X),
    }
    for name, detector in detectors.items():
        RocCurveDisplay.from_predictions(is_odd, -detector.score_samples(X), name=name, ax=axes[2])
    axes[2].set_title("569 tumours, 25 with a third of the\ncolumns from another row", fontsize=9)
    axes[2].legend(fontsize=7, loc="lower right")
    axes[2].set_xlabel("other rows that are ranked above", fontsize=9)
    axes[2].set_ylabel("mixed-up rows that are found", fontsize=9)

    OutlierDisplay.from_estimator(ours, X[is_odd], n_samples=3, ax=middle.subplots())
    stains = stained()
    detector = OutlierDetector(random_state=0).fit(stains)
    display = OutlierDisplay.from_estimator(detector, stains[:6], image_shape=(8, 8), ax=bottom.subplots())
    display.ax_.set_title("digits with a stain of 2 x 2 pixels", fontsize=9)
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)

"""Digits by class, in one handwriting a column, and lower halves of digits that were completed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import train_test_split

from skae import ConditionalVariationalAutoencoder

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

N_STYLES, N_COMPLETED, N_DRAWS = 10, 10, 3


def by_class(X: np.ndarray, y: np.ndarray, max_iter: int | str) -> np.ndarray:
    """Digits of shape (10, N_STYLES, 64): a class a line, a code a column."""
    model = ConditionalVariationalAutoencoder(2, max_iter=max_iter, random_state=0).fit(X, y)
    h = model.sample_codes(N_STYLES, random_state=0)
    h = h[np.argsort(h[:, 0])]
    return np.array([model.inverse_transform(h, np.full(N_STYLES, label)) for label in model.classes_])


def completed(train: np.ndarray, test: np.ndarray, max_iter: int | str) -> dict[str, np.ndarray]:
    """Test digits whose lower half is given by each of several models, given the upper half."""
    (train_upper, train_lower), (upper, lower) = np.hsplit(train, 2), np.hsplit(test, 2)
    model = ConditionalVariationalAutoencoder(4, max_iter=max_iter, random_state=0).fit(train_lower, train_upper)
    codes = [model.sample_codes(len(test), random_state=seed) for seed in range(100)]
    drawn = [model.inverse_transform(h, upper) for h in codes]
    halves = {
        "the digit": lower,
        "given": np.full_like(lower, np.nan),
        "linear regression": LinearRegression().fit(train_upper, train_lower).predict(upper),
        "mean of 100 draws": np.mean(drawn, axis=0),
        **{f"draw {i + 1}": drawn[i] for i in range(N_DRAWS)},
    }
    return {name: np.hstack([upper, half]) for name, half in halves.items()}


def show(ax: Axes, digits: np.ndarray, names: list[str]) -> None:
    """Digits of shape (lines, columns, 64) as one picture, with a name before each line."""
    n_lines, n_columns = digits.shape[:2]
    padded = np.pad(digits.reshape(n_lines, n_columns, 8, 8), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=4)
    mosaic = padded.transpose(0, 2, 1, 3).reshape(10 * n_lines, 10 * n_columns)
    shades = plt.get_cmap("gray_r").with_extremes(bad="lightsteelblue")
    ax.imshow(mosaic, cmap=shades, vmin=0, vmax=16, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks(10 * np.arange(n_lines) + 4.5, names)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


def draw(max_iter: int | str = "auto") -> Figure:
    """Means of p(x given h, y), without the noise of the pixels."""
    X, y = load_digits(return_X_y=True)
    train, test, y_train, _ = train_test_split(X, y, random_state=0)
    figure, axes = plt.subplots(1, 2, figsize=(9.2, 4.2), layout="constrained", width_ratios=(1, 1.25))
    show(axes[0], by_class(train, y_train, max_iter), [str(label) for label in range(10)])
    axes[0].set_title("The class as condition,\na column has one code", fontsize="medium")
    lines = completed(train, test[:N_COMPLETED], max_iter)
    show(axes[1], np.array(list(lines.values())), list(lines))
    axes[1].set_title("The upper half as condition", fontsize="medium")
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=90)

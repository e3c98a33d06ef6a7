"""Noise removed from a photograph by autoencoders that were shown patches of another one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.feature_extraction.image import extract_patches_2d

from skae import ConvolutionalAutoencoder, DenoisingAutoencoder

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SIDE, MARGIN = 24, 4
NOISE = 0.15


class DenoisingConvolutional(DenoisingAutoencoder, ConvolutionalAutoencoder):
    """Both, by inheritance."""


def restored(model: DenoisingAutoencoder, image: np.ndarray) -> np.ndarray:
    """An image whose overlapping patches were restored, the middle of each being kept."""
    step = SIDE - 2 * MARGIN
    height, width = image.shape
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, MARGIN, "reflect"), (SIDE, SIDE))[::step, ::step]
    rows = model.denoise(windows.reshape(-1, SIDE * SIDE)).reshape(-1, SIDE, SIDE)[:, MARGIN:-MARGIN, MARGIN:-MARGIN]
    return rows.reshape(height // step, width // step, step, step).transpose(0, 2, 1, 3).reshape(height, width)


def draw(max_iter: int = 25) -> Figure:
    china, flower = (image.mean(axis=2) / 255 for image in load_sample_images().images)
    X = extract_patches_2d(flower, (SIDE, SIDE), max_patches=1500, random_state=0).reshape(-1, SIDE * SIDE)
    clean = china[96:208, 160:320]
    noisy = clean + np.random.default_rng(0).normal(0, NOISE, clean.shape)
    options = {
        "corruption": "gaussian",
        "corruption_level": NOISE / X.std(axis=0).mean(),
        "batch_size": 50,
        "max_iter": max_iter,
        "random_state": 0,
    }
    dense = DenoisingAutoencoder(64, **options).fit(X)
    convolutional = DenoisingConvolutional(
        16, code="map", pooling=None, channels=(16,), learning_rate_init=0.01, **options
    ).fit(X)
    panels = {"photograph": clean, "with noise": noisy}
    for model, name in [(dense, "dense"), (convolutional, "convolutional")]:
        panels[f"{name}, {model._flat.theta.numel() / 1000:.0f} 000 weights"] = restored(model, noisy)
    figure, axes = plt.subplots(2, 2, figsize=(6.2, 5.2), layout="constrained")
    for ax, (name, image) in zip(axes.flat, panels.items(), strict=True):
        ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        error = np.sqrt(np.mean((image - clean) ** 2))
        ax.set_title(f"{name}\nerror {error:.3f}", fontsize=10)
        ax.set_axis_off()
    return figure


if __name__ == "__main__":
    draw().savefig(Path(__file__).with_suffix(".png"), dpi=80)

"""
Two-dimensional maps beside UMAP
================================

Which map of the digits keeps neighbours, takes new rows and leads back to rows? The pictures show PCA, an
autoencoder, :class:`~skae.NeighborAutoencoder`, t-SNE and, where it is installed, UMAP; and what a map does not
say.
"""

# %%
# A map has two numbers for each row. PCA keeps the variance, and an :class:`~skae.Autoencoder` what is needed to
# restore the row. t-SNE and UMAP keep neighbours: rows that are near in X shall be near on the map.
# NeighborAutoencoder has the objective of UMAP for its encoder, and a decoder beside it:
#
# .. math:: -\sum_{ij} \bigl( p_{ij} \log q_{ij} + (1 - p_{ij}) \log(1 - q_{ij}) \bigr) + \lambda \|x - g(h)\|^2
#
# :math:`p_{ij}` says how near rows i and j are in X, and :math:`q_{ij}` how near they are on the map.
import importlib.util
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, make_blobs
from sklearn.decomposition import PCA
from sklearn.manifold import TSNE
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import Autoencoder, NeighborAutoencoder
from skae.exceptions import DisconnectedGraphWarning
from skae.inspection import ManifoldDisplay
from skae.metrics import neighbors_kept, reconstruction_r2

train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
maps = {
    "PCA": PCA(2),
    "Autoencoder": Autoencoder(2, random_state=0),
    "NeighborAutoencoder": NeighborAutoencoder(random_state=0),
}

# %%
# Four maps
# ---------
# Maps are learnt from training rows, and the pictures show held-out rows. "15 kept" is the share of the 15 nearest
# held-out rows that stay among the 15 nearest on the map. "5-NN" is the accuracy of five nearest neighbours on the
# map. R2 is that of the way back. t-SNE cannot place new rows. So its map is one of the held-out rows themselves,
# which the others have not seen, and it has neither an accuracy on new rows nor a way back.
scores = pd.DataFrame(columns=["15 kept", "5-NN", "R2"], dtype=float)
codes = {}
for name, model in maps.items():
    codes[name] = model.fit(train).transform(test)
    scores.loc[name, "15 kept"] = neighbors_kept(test, codes[name]).mean()
    scores.loc[name, "5-NN"] = KNeighborsClassifier().fit(model.transform(train), y_train).score(codes[name], y_test)
    scores.loc[name, "R2"] = reconstruction_r2(model, test)
codes["t-SNE"] = TSNE(random_state=0).fit_transform(test)
scores.loc["t-SNE", "15 kept"] = neighbors_kept(test, codes["t-SNE"]).mean()


def draw(ax, name):
    """Held-out rows on a map, and its scores."""
    ax.scatter(*codes[name].T, c=y_test, cmap="tab10", s=6, linewidths=0)
    for digit in range(10):
        ax.annotate(str(digit), np.median(codes[name][y_test == digit], axis=0), weight="bold", ha="center")
    told = ", ".join(f"{score} {value:.2f}" for score, value in scores.loc[name].dropna().items())
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{name}\n{told}", fontsize="small")


figure, axes = plt.subplots(1, 5, figsize=(13, 3.1), layout="constrained")
for ax, name in zip(axes, codes, strict=False):
    draw(ax, name)
ManifoldDisplay.from_estimator(maps["NeighborAutoencoder"], train, n_steps=14, cmap="gray_r", ax=axes[4])
axes[4].images[0].set_clim(0, 16)
axes[4].set(xlabel="", ylabel="", xticks=[], yticks=[])
axes[4].set_title("decoded from a grid\non NeighborAutoencoder's map", fontsize="small")
plt.show()
scores.round(3)

# %%
# PCA and the autoencoder lay digits over each other, although the second one restores them well. Maps of neighbours
# keep them apart. t-SNE needs nothing but scikit-learn: take it if no rows are to come.
#
# Neighbours against the way back
# -------------------------------
# The parameter ``reconstruction`` is the weight :math:`\lambda` of the way back. It is 1 by default. With 0, the
# encoder cares for neighbours alone, and the decoder makes the best of it.
figure, axes = plt.subplots(1, 3, figsize=(9, 3.4), layout="constrained")
for ax, reconstruction in zip(axes, (0.0, 1.0, 10.0), strict=True):
    model = maps["NeighborAutoencoder"]
    if reconstruction != 1.0:
        model = NeighborAutoencoder(reconstruction=reconstruction, random_state=0).fit(train)
    code = model.transform(test)
    accuracy = KNeighborsClassifier().fit(model.transform(train), y_train).score(code, y_test)
    ax.scatter(*code.T, c=y_test, cmap="tab10", s=5, linewidths=0)
    ax.set(xticks=[], yticks=[])
    ax.set_title(
        f"reconstruction = {reconstruction:g}\n5-NN {accuracy:.2f}, R2 {model.score(test):.2f}", fontsize="medium"
    )
plt.show()

# %%
# What a map does not say
# -----------------------
# Widths of islands and distances between them mean little, on any map of neighbours. The first two panels show three
# clusters in the plane, whose widths and distances we know, and their map. And a map can show clumps where there are
# none: the last two panels are maps of a normal distribution in ten columns, which has no clusters.
X, y = make_blobs([200] * 3, centers=[[0, 0], [6, 0], [40, 15]], cluster_std=[0.3, 2, 5], random_state=0)
noise = np.random.default_rng(0).normal(size=(300, 10))
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DisconnectedGraphWarning)  # clusters far apart are pieces
    of_clusters = NeighborAutoencoder(random_state=0).fit_transform(X)
    of_noise = NeighborAutoencoder(random_state=0).fit_transform(noise)
    of_clumps = NeighborAutoencoder(n_neighbors=3, noise_level=0.2, reconstruction=0.0, random_state=0).fit_transform(
        noise
    )
panels = {
    "three clusters, as they are": (X, y),
    "their map": (of_clusters, y),
    "N(0, I) in ten columns": (of_noise, None),
    "the same, n_neighbors = 3": (of_clumps, None),
}
figure, axes = plt.subplots(1, 4, figsize=(11, 2.9), layout="constrained")
for ax, (name, (points, colors)) in zip(axes, panels.items(), strict=True):
    ax.scatter(*points.T, s=5, linewidths=0, **({"color": "0.3"} if colors is None else {"c": colors, "cmap": "tab10"}))
    ax.set(xticks=[], yticks=[])
    ax.set_title(name, fontsize="medium")
axes[0].set_aspect("equal", adjustable="datalim")
plt.show()

# %%
# So check what you see: draw the map again with other parameters and another ``random_state``, and with rows that were
# held out. :func:`~skae.metrics.trustworthiness` and its companions measure how far a map can be trusted: 1 is perfect,
# and a map at random has about 0.5. :class:`~skae.inspection.LatentSpaceDisplay` with ``color_by="spread"`` shows where
# it is torn.
#
# Beside UMAP
# -----------
# Where umap-learn is installed, here is its map of the same rows. It keeps neighbours as well. It has a way back too,
# which is a search for each row, and restores less. NeighborAutoencoder decodes, and places a new row, by a forward
# pass.
if importlib.util.find_spec("umap"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap: a seed means one thread
        from umap import UMAP

        model = UMAP(random_state=0, n_jobs=1).fit(train)
        codes["UMAP"] = model.transform(test)
        scores.loc["UMAP", "15 kept"] = neighbors_kept(test, codes["UMAP"]).mean()
        classifier = KNeighborsClassifier().fit(model.transform(train), y_train)
        scores.loc["UMAP", "5-NN"] = classifier.score(codes["UMAP"], y_test)
        scores.loc["UMAP", "R2"] = reconstruction_r2(model, test)

    figure, axes = plt.subplots(1, 2, figsize=(8, 4), layout="constrained")
    draw(axes[0], "NeighborAutoencoder")
    draw(axes[1], "UMAP")
    plt.show()

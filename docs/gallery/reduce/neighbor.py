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
if importlib.util.find_spec("umap"):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of umap and numba about each other
        from umap import UMAP

        maps["UMAP"] = UMAP(random_state=0, n_jobs=1)

# %%
# Five maps
# ---------
# Maps are learnt from training rows, and the pictures show held-out rows. "15 kept" is the share of the 15 nearest
# held-out rows that stay among the 15 nearest on the map. "5-NN" is the accuracy of five nearest neighbours on the
# map. R2 is that of the way back. t-SNE cannot place new rows. So its map is one of the held-out rows themselves,
# which the others have not seen, and it has neither an accuracy on new rows nor a way back. UMAP
# has a way back, but its search takes longer than all the rest of this example, so its R2 is left out.
scores = pd.DataFrame(columns=["15 kept", "5-NN", "R2"], dtype=float)
codes = {}
for name, model in maps.items():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of umap: a seed means one thread; of rows far from all others
        codes[name] = model.fit(train).transform(test)
        classifier = KNeighborsClassifier().fit(model.transform(train), y_train)
        scores.loc[name] = (
            neighbors_kept(test, codes[name]).mean(),
            classifier.score(codes[name], y_test),
            reconstruction_r2(model, test) if name != "UMAP" else np.nan,
        )
codes["t-SNE"] = TSNE(random_state=0).fit_transform(test)
scores.loc["t-SNE", "15 kept"] = neighbors_kept(test, codes["t-SNE"]).mean()

figure, axes = plt.subplots(2, 3, figsize=(10, 7), layout="constrained")
for ax, (name, code) in zip(axes.flat, codes.items(), strict=False):
    ax.scatter(*code.T, c=y_test, cmap="tab10", s=6, linewidths=0)
    for digit in range(10):
        ax.annotate(str(digit), np.median(code[y_test == digit], axis=0), fontsize=12, weight="bold", ha="center")
    told = ", ".join(f"{score} {value:.2f}" for score, value in scores.loc[name].dropna().items())
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{name}\n{told}", fontsize="medium")
ManifoldDisplay.from_estimator(maps["NeighborAutoencoder"], train, n_steps=14, cmap="gray_r", ax=axes[1, 2])
axes[1, 2].images[0].set_clim(0, 16)
axes[1, 2].set(xlabel="", ylabel="", xticks=[], yticks=[])
axes[1, 2].set_title("NeighborAutoencoder,\ndecoded from a grid", fontsize="medium")
for ax in axes.flat[len(codes) : 5]:
    ax.set_axis_off()
plt.show()
scores.round(3)

# %%
# PCA and the autoencoder lay digits over each other, although the second one restores them well. Maps of neighbours
# keep them apart. Of these, NeighborAutoencoder restores most of a row, and it needs no search for a new row: a
# forward pass is enough. UMAP's map is as good, and t-SNE needs nothing but
# scikit-learn. Take them if the way back plays no part, or for t-SNE, if no rows are to come.
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
# held out. :func:`~skae.metrics.trustworthiness` and its companions measure how far a map can be trusted, and
# :class:`~skae.inspection.LatentSpaceDisplay` shows where it is torn.

"""
The latent space of a variational autoencoder
=============================================

A :class:`~skae.VariationalAutoencoder` has a distribution of codes for each row. The pictures show these distributions
as ellipses, what the two terms of the loss do to them, and what is decoded from the space between the rows.
"""

# %%
# The loss of a row has two terms: the reconstruction, and ``beta`` times the divergence of the row's distribution
# :math:`q(h \mid x)` from the prior :math:`N(0, I)`. To see what each of them does, we learn a code of two numbers with
# the first term alone, with the second one alone, and with both. The divergence alone leaves a code that says nothing,
# and a warning tells so. Here that is wanted, and the warning is silenced.
import warnings

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.neighbors import NearestNeighbors

from skae import VariationalAutoencoder
from skae.inspection import ManifoldDisplay, PosteriorDisplay, ReconstructionDisplay

train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
models = {}
for beta in (0.0, 1e4, 1.0):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        models[beta] = VariationalAutoencoder(2, beta=beta, prior="normal", random_state=0).fit(train)

# %%
# Each held-out digit is a point with ellipses of one and two standard deviations, in the colour of its class. Dotted
# circles are those of the prior.
titles = {0.0: "Reconstruction alone, beta=0", 1e4: "Divergence alone, beta=1e4", 1.0: "Both, beta=1"}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.8), layout="constrained")
for ax, (beta, model) in zip(axes, models.items(), strict=True):
    PosteriorDisplay.from_estimator(model, test[:300], y_test[:300], ax=ax)
    ax.get_legend().remove()
    for radius in (1, 2):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle=":", color="0.3"))
    reach = 1.05 * max(map(abs, (*ax.get_xlim(), *ax.get_ylim())))
    ax.set(title=titles[beta], xlabel="", ylabel="", aspect="equal", xlim=(-reach, reach), ylim=(-reach, reach))
plt.show()

# %%
# Reconstruction alone spreads the codes far beyond the prior and shrinks the ellipses to points: that is an ordinary
# autoencoder. The divergence alone makes all ellipses the prior. Both together give ellipses that fill the prior and
# still tell the digits apart.
#
# Between the rows
# ----------------
#
# So what is decoded from any draw of the prior should look like a digit. On the left is a grid of codes that is even in
# probability under the prior, with ``beta=1``. On the right is the same with ``beta=0``: most of its codes lie in a
# small part of the space, and between them nothing was learnt.
figure, axes = plt.subplots(1, 2, figsize=(9, 4.5), layout="constrained")
for ax, beta in zip(axes, (1.0, 0.0), strict=True):
    ManifoldDisplay.from_estimator(models[beta], n_steps=13, cmap="gray_r", ax=ax)
    ax.set(title=f"Decoded from the prior, beta={beta:g}", xlabel="", ylabel="")
plt.show()

# %%
# From one digit to another
# -------------------------
#
# Pixels of two digits can be mixed, and in the middle both are seen at once. PCA does the same, because it is linear.
# Codes can be mixed too: ``interpolate`` decodes the codes between those of two rows. Here the code has eight
# components, so that what is decoded is sharper.
wide = VariationalAutoencoder(8, random_state=0).fit(train)
pca = PCA(8).fit(train)
share = np.linspace(0, 1, 9)
lines = {}
for k, (a, b) in enumerate(((3, 7), (11, 0), (8, 5)), start=1):
    lines[f"pixels {k}"] = np.outer(1 - share, test[a]) + np.outer(share, test[b])
    lines[f"PCA {k}"] = pca.inverse_transform(pca.transform(lines[f"pixels {k}"]))
    lines[f"codes {k}"] = wide.interpolate(test[a], test[b], len(share))
figure, ax = plt.subplots(figsize=(7, 6), layout="constrained")
shown = {name: rows.clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
plt.show()

# %%
# Is the middle of the way like a digit? Here are the squared distances from the middle of 500 pairs of held-out digits
# of different classes to the nearest training digit, and those of the held-out digits themselves. Smooth pictures are
# nearer to everything, so a part of the gain over pixels is owed to smoothness, as the line of PCA shows.
rng = np.random.default_rng(0)
pairs = [(a, b) for a, b in rng.integers(0, len(test), (1000, 2)) if y_test[a] != y_test[b]][:500]
a, b = np.transpose(pairs)
middles = {
    "pixels": (test[a] + test[b]) / 2,
    "PCA": pca.inverse_transform((pca.transform(test[a]) + pca.transform(test[b])) / 2),
    "codes": wide.inverse_transform((wide.transform(test[a]) + wide.transform(test[b])) / 2),
    "held-out digits": test,
}
index = NearestNeighbors(n_neighbors=1).fit(train)
distances = {name: np.square(index.kneighbors(rows)[0]).mean() for name, rows in middles.items()}
pd.Series(distances, name="squared distance to the nearest training digit").to_frame().round(0)

"""
Images by convolution
=====================

What is gained if an autoencoder knows that its rows are images? :class:`~skae.ConvolutionalAutoencoder` looks for
the same small patterns everywhere. The picture shows pages that were struck through, restored by filters, by PCA,
by a dense and by a convolutional autoencoder.
"""

# %%
# A dense layer has a weight for each pair of a pixel and a unit, and has to learn a stroke anew at every place. A
# convolution has a few weights in a small kernel, which slides over the image. Each unit of the next level sees a small
# part of the image, and all of them share their weights.
#
# The task: pages with four digits at random places, which were struck through with four lines. The estimator that we
# need is a denoising autoencoder, which learns to undo a corruption, and its network is convolutional. Two recipes of
# this package combine by inheritance.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy import ndimage
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import ConvolutionalAutoencoder, DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay


class DenoisingConvolutional(DenoisingAutoencoder, ConvolutionalAutoencoder):
    """Both, by inheritance."""


side = 24


def pages(digits, n, rng):
    """Pages of four digits, one at a random place in each quarter."""
    images = np.zeros((n, side, side))
    for page in images:
        for quarter in np.ndindex(2, 2):
            y, x = 12 * np.array(quarter) + rng.integers(5, size=2)
            page[y : y + 8, x : x + 8] = digits[rng.integers(len(digits))].reshape(8, 8) / 16
    return images.reshape(n, -1)


def struck(X, rng):
    """Pages with four lines at random places and angles, one pixel wide."""
    images = np.array(X).reshape(-1, side, side)
    steps = np.arange(-side, side, 0.5)[:, None]
    for page in images:
        for _ in range(4):
            angle = rng.random() * np.pi
            points = np.round(rng.random(2) * side + steps * [np.sin(angle), np.cos(angle)]).astype(int)
            y, x = points[((points >= 0) & (points < side)).all(axis=1)].T
            page[y, x] = 1
    return images.reshape(X.shape)


# %%
# Pages of training digits are learnt from, and pages of other digits are judged. A third set, of training digits again,
# serves to choose the filter and the size of PCA.
rng = np.random.default_rng(0)
train, test = train_test_split(load_digits().data, random_state=0)
X, chosen_on, clean = pages(train, 1000, rng), pages(train, 200, rng), pages(test, 200, rng)
damaged, chosen_on_damaged = struck(clean, rng), struck(chosen_on, rng)

# %%
# Filters and PCA
# ---------------
# What a reader would try first: blurs, median filters and morphological openings; and PCA, from whose few components
# lines cannot be drawn.


def filtered(function, size):
    """How a filter of scipy restores rows."""
    return lambda X: function(X.reshape(-1, side, side), (0, size, size)).reshape(X.shape)


def windowed(function, size):
    """The same for filters whose window is one page deep."""
    return lambda X: function(X.reshape(-1, side, side), (1, size, size)).reshape(X.shape)


def error(truth, restored):
    """Root of the mean squared error of the pixels."""
    return np.sqrt(np.mean((truth - restored) ** 2))


filters = {f"blur {s}": filtered(ndimage.gaussian_filter, s) for s in (0.5, 0.7, 1.0, 1.5)}
filters |= {f"median {s}": windowed(ndimage.median_filter, s) for s in (2, 3, 5)}
filters |= {f"opening {s}": windowed(ndimage.grey_opening, s) for s in (2, 3)}
sizes = {k: PCA(k, random_state=0).fit(X) for k in (10, 30, 60, 100, 200)}

best_filter = min(filters, key=lambda name: error(chosen_on, filters[name](chosen_on_damaged)))
best_pca = min(sizes, key=lambda k: error(chosen_on, sizes[k].inverse_transform(sizes[k].transform(chosen_on_damaged))))

# %%
# Two networks
# ------------
# ``corruption`` takes a function, which strikes the pages anew in every epoch. The convolutional code is a map: 16
# numbers at each place, which say what is there.
options = {"corruption": struck, "batch_size": 50, "max_iter": 20, "random_state": 0}
dense = DenoisingAutoencoder(64, **options).fit(X)
convolutional = DenoisingConvolutional(
    16, code="map", pooling=None, channels=(16,), learning_rate_init=0.01, **options
).fit(X)

ways = {
    "with lines": damaged,
    best_filter: filters[best_filter](damaged),
    f"PCA({best_pca})": sizes[best_pca].inverse_transform(sizes[best_pca].transform(damaged)),
    "dense": dense.denoise(damaged),
    "convolutional": convolutional.denoise(damaged),
}
rows = {"clean": clean[:6]}
rows |= {f"{name}\nerror {error(clean, X_hat):.3f}": X_hat[:6].clip(0, 1) for name, X_hat in ways.items()}

figure, ax = plt.subplots(figsize=(7.6, 5.8), layout="constrained")
ReconstructionDisplay(rows=rows, image_shape=(side, side)).plot(ax, cmap="gray_r")
plt.show()

# %%
# The number of weights explains much of it. Each weight of the convolution saw every place of every page.
table = pd.DataFrame(columns=["weights", "error"])
for name, model in {"dense": dense, "convolutional": convolutional}.items():
    table.loc[name] = sum(w.numel() for w in model.module_.parameters()), error(clean, ways[name])
table.round(3)

# %%
# Where a dense network is enough: if images are small and centred, as single digits are, each pixel has a meaning of
# its own, and there is little to share. And against noise that is independent at each pixel, such as that of a
# camera, a Gaussian blur may be all that is needed.

"""
Noise taken away: a vector field, and images
============================================

A :class:`~skae.DenoisingAutoencoder` is shown a row with noise and restores the clean one. The steps that it takes are
a vector field that leads back to where the data are.
"""

# %%
# Let :math:`\tilde x = x + \sigma \epsilon` with noise :math:`\epsilon` from a normal distribution. The best guess of
# the clean row is its mean given the noisy one, and for this mean there is a formula (Tweedie's, used by Alain and
# Bengio, 2014):
#
# .. math:: r(\tilde x) = E[x \mid \tilde x] = \tilde x + \sigma^2 \nabla \log p(\tilde x).
#
# So an autoencoder that learns to denoise learns the gradient of the log-density of the noisy rows. This gradient is
# also called the score. ``score_field`` returns it: :math:`(r(x) - x) / \sigma^2`.
#
# In the plane we can draw the field. The rows lie along a spiral. Weight decay pulls a model back to PCA, which is no
# help here.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.ndimage import median_filter
from scipy.special import softmax
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay


def spiral(n_samples, seed):
    rng = np.random.default_rng(seed)
    t = np.pi * rng.uniform(1.0, 3.5, n_samples)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) + rng.normal(0, 0.2, (n_samples, 2))


train = spiral(1000, seed=0)
model = DenoisingAutoencoder(
    2, corruption_level=0.1, hidden_layer_sizes=(128, 128), max_iter=200, weight_decay=0.0, random_state=0
).fit(train)
sigma = model.sigma_  # the standard deviation of the noise, in units of X

# %%
# Two fields are known exactly, and stand beside it. That of **one Gaussian** with the mean and the covariance of the
# rows, which is all that PCA knows, is linear: every arrow points to the middle. That of **a Gaussian around each
# row**, a kernel density, is a weighted mean of the training rows minus x. It is what a denoising autoencoder would
# learn if it knew the training rows by heart.
mean, precision = train.mean(axis=0), np.linalg.inv(np.cov(train.T) + sigma**2 * np.eye(2))


def gaussian_field(X):
    return -(X - mean) @ precision


def kernel_field(X):
    distances = np.square(X[:, None] - train).sum(axis=2)
    return (softmax(-distances / (2 * sigma**2), axis=1) @ train - X) / sigma**2


grid = np.stack(np.meshgrid(*[np.linspace(-12.5, 12.5, 22)] * 2), axis=-1).reshape(-1, 2)
near = grid[np.square(grid[:, None] - train).sum(axis=2).min(axis=1) < 3]
fields = {"one Gaussian": gaussian_field, "a Gaussian around each row": kernel_field, "autoencoder": model.score_field}
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained")
for ax, (name, field) in zip(axes, fields.items(), strict=True):
    steps = sigma**2 * field(near)
    ax.plot(*train.T, ".", color="0.75", markersize=2)
    ax.quiver(*near.T, *steps.T, color="C0", width=0.005, angles="xy", scale_units="xy", scale=1)
    ax.set(title=name, aspect="equal", xticks=[], yticks=[], xlim=(-13, 13), ylim=(-13, 13))
figure.suptitle("Steps from noisy rows: the score times the variance of the noise")
plt.show()

# %%
# The autoencoder has learnt nearly the same field as the kernel density, without keeping a row. One step leads back to
# the spiral. Let us measure that on new rows to which noise is added: the mean squared distance of what is restored to
# the clean row. The noise that lies along the spiral cannot be taken away, by any method. In two columns the kernel
# density is as good as the autoencoder or better. In many columns all rows are far apart, and it is of no use.
clean = spiral(1000, seed=1)
noisy = clean + sigma * np.random.default_rng(2).standard_normal(clean.shape)
errors = {"noisy": np.square(noisy - clean).sum(axis=1).mean()}
for name, field in fields.items():
    errors[name] = np.square(noisy + sigma**2 * field(noisy) - clean).sum(axis=1).mean()
pd.Series(errors, name="squared distance to the clean row").to_frame().round(2)

# %%
# Images are rows too
# -------------------
#
# Other noise than the normal one can be learnt as well. Here a fifth of the pixels of each digit becomes black or
# white. Two simple things stand beside the model: a median filter, and PCA, which keeps the directions in which digits
# vary. Their sizes are chosen on a part of the training digits.
train, test = train_test_split(load_digits().data, random_state=0)
denoiser = DenoisingAutoencoder(
    64, corruption="salt_and_pepper", corruption_level=0.2, max_iter=100, random_state=0
).fit(train)


def by_median(X, size):
    return median_filter(X.reshape(-1, 8, 8), (1, size, size)).reshape(X.shape)


def by_pca(X, n_components):
    pca = PCA(n_components).fit(train)
    return pca.inverse_transform(pca.transform(X))


def error(X_hat, X):
    return np.square(X_hat - X).sum(axis=1).mean()


corrupted = denoiser.corrupt(train[:400], random_state=1)
size = min((2, 3), key=lambda s: error(by_median(corrupted, s), train[:400]))
n_components = min(range(4, 41, 4), key=lambda k: error(by_pca(corrupted, k), train[:400]))

corrupted = denoiser.corrupt(test, random_state=0)
ways = {
    "corrupted": corrupted,
    "median filter": by_median(corrupted, size),
    f"PCA({n_components})": by_pca(corrupted, n_components),
    "autoencoder": denoiser.denoise(corrupted),
}
lines = {"clean": test} | {f"{name}\nerror {error(way, test):.0f}": way for name, way in ways.items()}
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
shown = {name: rows[:9].clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("Held-out digits. The error is the mean squared distance over all of them", fontsize="medium")
plt.show()

# %%
# The model knows which strokes belong together, and the filter and PCA do not. A denoising autoencoder is fitted to one
# kind of noise, though: if the noise in use is of another kind, measure again. Here clean digits were at hand. What to
# fit to pairs, or to noisy rows alone, is on the page of the model.

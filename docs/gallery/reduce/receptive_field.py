"""
Receptive fields from photographs
=================================

What do units look for that learn from photographs? :class:`~skae.ReceptiveFieldAutoencoder` finds edges of all
angles, as cells of the visual cortex do. The pictures show its filters beside those of PCA and of FastICA, and how
oriented they are.
"""

# %%
# The model is reconstruction ICA with local fields. Each unit sees one square field of the image. The objective asks
# for sparse answers, and for weights from which the fields can be restored, which keeps units from becoming all
# alike:
#
# .. math:: \lambda \sum_p \sqrt{\epsilon + \sum_{j \in p} (w_j' x)^2} \; + \; \|x - W' W x\|^2
#
# A pool :math:`p` is a group of units next to each other, or a single unit. We cut grey patches out of two photographs
# that come with scikit-learn.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA, FastICA
from sklearn.feature_extraction.image import extract_patches_2d

from skae import ReceptiveFieldAutoencoder
from skae.inspection import FilterDisplay


def grey_patches(side, n):
    """Square patches of both photographs, as rows."""
    photographs = [image.mean(axis=2) for image in load_sample_images().images]
    patches = [extract_patches_2d(image, (side, side), max_patches=n // 2, random_state=0) for image in photographs]
    return np.concatenate(patches).reshape(n, side * side)


# %%
# The first model has 64 units that see the whole patch. The second one has small fields at 6 by 6 positions in a larger
# patch, four units in each. Neighbours overlap, but they share no weights.
X = grey_patches(12, 6_000)
one_field = ReceptiveFieldAutoencoder(
    64, image_shape=(12, 12), sparsity=1.0, batch_size=100, max_iter=40, random_state=0
).fit(X)
local = ReceptiveFieldAutoencoder(
    4,
    image_shape=(18, 18),
    field_size=8,
    stride=2,
    pool_size=2,
    pool_stride=2,
    sparsity=0.5,
    max_iter=40,
    random_state=0,
).fit(grey_patches(18, 6_000))


# %%
# How oriented is a filter?
# -------------------------
# The power spectrum of an edge lies on a line, and that of a blob or of noise lies in all directions. So we take the
# mean of :math:`e^{2 i \theta}` over the spectrum, :math:`\theta` being the angle of a frequency. Its length is 0 for
# noise and 1 for a grating.
def orientation_selectivity(filters):
    """How much of the power spectrum of each filter has the same angle."""
    side = int(np.sqrt(filters.shape[1]))
    power = np.abs(np.fft.fft2(filters.reshape(-1, side, side), s=(32, 32))) ** 2
    power[:, 0, 0] = 0.0
    fy, fx = np.meshgrid(np.fft.fftfreq(32), np.fft.fftfreq(32), indexing="ij")
    return np.abs((power * np.exp(2j * np.arctan2(fy, fx))).sum((1, 2))) / power.sum((1, 2))


pca, ica = PCA(64).fit(X), FastICA(64, tol=0.01, random_state=0).fit(X)
filters = {
    "PCA": pca.components_,
    "FastICA": ica.mixing_.T,
    "One field": one_field.components_,
    "Local fields": local.components_[:36],
}
figure, axes = plt.subplots(2, 2, figsize=(9, 9.4), layout="constrained")
for ax, (name, W) in zip(axes.flat, filters.items(), strict=True):
    FilterDisplay(filters=W, image_shape=(int(np.sqrt(W.shape[1])),) * 2).plot(cmap="gray", ax=ax)
    ax.set_title(f"{name}, median selectivity {np.median(orientation_selectivity(W)):.2f}", fontsize="medium")
plt.show()

# %%
# PCA finds the frequencies of which patches are made. Its components fill the whole patch, and the later ones are
# finer than anything that one sees in a photograph. They explain the variance best, but no single one of them says
# that there is an edge at a place. FastICA is the classical way to edges, and the picture shows what each of its
# units draws. It whitens the patches first, which makes fine noise as large as edges. On so few raw patches it finds
# blobs rather than edges. This model needs no whitening, and has small fields, pools, and as many units as you like.
figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
noise = np.random.default_rng(0).normal(size=(64, 144))
for name, W in (filters | {"random numbers": noise}).items():
    values = np.sort(orientation_selectivity(W))
    ax.plot(values, np.linspace(0, 1, len(values)), label=name, color={"PCA": "0.3", "random numbers": "0.7"}.get(name))
ax.set(xlabel="Orientation selectivity", ylabel="Share of filters below")
ax.legend(fontsize="small")
plt.show()


# %%
# How sparse are the answers? The kurtosis of a normal distribution is 3, and a unit that is silent for most patches and
# strong for few has much more.
def kurtosis(H):
    """Fourth moment of each column in units of its variance, in the median."""
    H = H - H.mean(axis=0)
    return np.median((H**4).mean(axis=0) / (H**2).mean(axis=0) ** 2)


answers = {
    "PCA": pca.transform(X),
    "FastICA": ica.transform(X),
    "One field": (X - X.mean(axis=0)) @ one_field.components_.T,
}
pd.Series({name: kurtosis(H) for name, H in answers.items()}, name="kurtosis").round(1)

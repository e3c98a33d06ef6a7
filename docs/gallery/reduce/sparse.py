"""
Sparse codes and their filters
==============================

How is a digit put together from parts? :class:`~skae.SparseAutoencoder` has more units than a digit has pixels, and
makes few of them active in each digit. The pictures show the parts, what sparsity costs beside PCA, and what the
units of a layer look for.
"""

# %%
# A sparse code has many units, often more than there are columns, and most of them are zero in each row. The code is
# :math:`h = \max(0, W x + b)`, the row comes back as :math:`\hat x = W' h + c`, and the objective adds a penalty to the
# squared error:
#
# .. math:: \|x - \hat x\|^2 + \lambda \sum_j S(h_j)
#
# The penalty ``"l1"`` is :math:`S(h) = |h|`, ``"log"`` is :math:`\log(1 + |h|)`, and ``"student_t"`` is
# :math:`\log(1 + h^2)`. The strength :math:`\lambda` is the parameter ``sparsity``.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder, SparseAutoencoder
from skae.inspection import FilterDisplay
from skae.metrics import code_statistics, reconstruction_r2

train, test = train_test_split(load_digits().data, random_state=0)
parts = SparseAutoencoder(100, penalty="log", sparsity=3.0, random_state=0).fit(train)
active = code_statistics(parts, test).l0
print(f"{active:.1f} of 100 units are active in a held-out digit, on average. R2 is {parts.score(test):.2f}.")

# %%
# What single units draw
# ----------------------
# The decoder is linear, so that a digit is the sum of what its active units draw. To see the part of one unit, make
# it as active as it ever is, and all others silent. Some units draw a stroke, and others a whole digit in one
# handwriting.
H = parts.transform(train)
often = np.argsort(-(H > 0).mean(axis=0))[:28]
alone = np.zeros((len(often), H.shape[1]))
alone[np.arange(len(often)), often] = H.max(axis=0)[often]

figure, axes = plt.subplots(4, 7, figsize=(6.3, 3.8), layout="constrained")
for ax, image in zip(axes.flat, parts.inverse_transform(alone), strict=True):
    ax.imshow(image.reshape(8, 8), cmap="gray_r", vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
figure.suptitle(f"What 28 single units draw. About {active:.0f} of them make up a digit", fontsize="medium")
plt.show()

# %%
# What sparsity costs
# -------------------
# A larger ``sparsity`` leaves fewer active units, and less of the variance. We compare each penalty with PCA of as many
# components as units are active.
points = []
for penalty in ("l1", "log", "student_t"):
    for sparsity in (0.1, 0.3, 1.0, 3.0):
        model = SparseAutoencoder(100, penalty=penalty, sparsity=sparsity, random_state=0).fit(train)
        points.append((penalty, sparsity, code_statistics(model, test).l0, model.score(test)))
scores = pd.DataFrame(points, columns=["penalty", "sparsity", "active units", "R2"]).set_index(["penalty", "sparsity"])

sizes = (1, 2, 4, 8, 16, 32)
figure, ax = plt.subplots(figsize=(6, 3.8), layout="constrained")
for penalty, of_penalty in scores.groupby(level="penalty"):
    ax.plot(of_penalty["active units"], of_penalty["R2"], "o-", label=f"100 units, {penalty}")
ax.plot(sizes, [reconstruction_r2(PCA(k).fit(train), test) for k in sizes], "^--", color="gray", label="PCA")
ax.set(xlabel="Active units a row, or components of PCA", ylabel="Held-out R2", xlim=(0, 55), ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()
scores.unstack("penalty").round(2)

# %%
# With few active units, the sparse code is better than PCA with as many components, because each row chooses its own
# units. With many it is not. And PCA needs no list of the active units, whereas a sparse code does: to compress, take a
# narrow :class:`~skae.Autoencoder`. A sparse code is for parts that can be looked at one by one.
#
# What units look for
# -------------------
# The filter of a unit is the input that drives it. In a single layer, it is the row of the unit in :math:`W`: red
# pixels drive the unit and blue ones silence it. For a deep encoder there is no such row. ``kind="stimuli"`` then
# searches, by gradient ascent, the input of a given norm that drives the unit most. We look at PCA, at 25 units of
# the sparse code above, and at a deep encoder that learnt to remove strong noise.
deep = DenoisingAutoencoder(
    25,
    hidden_layer_sizes=(64,),
    code_activation="logistic",
    corruption="gaussian",
    corruption_level=4.0,
    max_iter=100,
    random_state=0,
).fit(train)

figure, axes = plt.subplots(1, 3, figsize=(10, 4.4), layout="constrained")
FilterDisplay.from_estimator(PCA(25).fit(train), kind="weights", ax=axes[0])
FilterDisplay.from_estimator(parts, kind="weights", units=often[:25], ax=axes[1])
FilterDisplay.from_estimator(deep, kind="stimuli", random_state=0, ax=axes[2])
titles = "PCA: components", "Sparse layer: weights", "Deep denoising encoder: stimuli"
for ax, title in zip(axes, titles, strict=True):
    ax.set_title(title)
plt.show()

# %%
# The first components of PCA are contrasts between large regions, and the later ones checkerboards. No digit is made of
# a few of them. A unit of the sparse code looks for a digit in one handwriting, or for a piece of it. The encoder that
# has to see through noise looks for long strokes at one place, since a stroke is many pixels that outvote the noise.

"""
Reading a latent space
======================

What do the numbers of a code mean, and what does a map hide? The pictures show maps of digits and where they are
wrong, what becomes of a digit if one number of its code moves, what is decoded between the digits, and how sure a
model is.
"""

# %%
# The displays take any reducer, so PCA can be looked at in the same way. All pictures show held-out rows.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import Autoencoder, NeighborAutoencoder, VariationalAutoencoder
from skae.inspection import LatentSpaceDisplay, LatentTraversalDisplay, ManifoldDisplay, PosteriorDisplay
from skae.metrics import reconstruction_r2

train, test, _, y = train_test_split(*load_digits(return_X_y=True), random_state=0)

# %%
# What a map hides
# ----------------
# A map of two numbers cannot keep all of 64. Above the axes stand how many of the 15 nearest neighbours stay
# neighbours, and the R2 of the way back. With ``color_by="spread"``, the colour is the distance on the map from a row
# to its neighbours in X, in units of its median. If it is 5, the neighbours lie in several places, although the row
# stands in one of them. ``color_by="error"`` is the squared error of the decoded row, in units of that of the mean.
model = NeighborAutoencoder(random_state=0).fit(train)
figure, axes = plt.subplots(2, 2, figsize=(10, 8.2), layout="constrained")
LatentSpaceDisplay.from_estimator(PCA(2).fit(train), test, y, ax=axes[0, 0])
LatentSpaceDisplay.from_estimator(model, test, y, ax=axes[0, 1])
LatentSpaceDisplay.from_estimator(model, test, y, color_by="spread", scores=False, ax=axes[1, 0])
LatentSpaceDisplay.from_estimator(model, test, y, color_by="error", scores=False, ax=axes[1, 1])
titles = "PCA", "NeighborAutoencoder", 'color_by="spread"', 'color_by="error"'
for ax, title in zip(axes.flat, titles, strict=True):
    ax.set(title=title, xlabel="Component 0", ylabel="Component 1")
for ax in axes[0]:
    ax.get_legend().remove()  # the names of the classes are enough
plt.show()

# %%
# Dark rows in the panel of spread have neighbours on several islands. The empty space between islands is no distance
# in X. It says that few rows lie there.
#
# What a number of the code means
# -------------------------------
# A traversal takes the code of one row, moves one of its numbers over the values that it has among the rows, and
# decodes. There is one line for each number, and those that change the row most come first.
models = {"PCA": PCA(5).fit(train), "Autoencoder": Autoencoder(5, random_state=0).fit(train)}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained")
figure.get_layout_engine().set(wspace=0.06)
for ax, (name, reducer) in zip(axes, models.items(), strict=True):
    LatentTraversalDisplay.from_estimator(reducer, test, row=0, image_shape=(8, 8), cmap="gray_r", ax=ax)
    ax.set_yticklabels([text.get_text().removeprefix(name.lower()) for text in ax.get_yticklabels()])
    ax.set(ylabel="Component", title=f"{name}, held-out R2 {reconstruction_r2(reducer, test):.2f}")
plt.show()

# %%
# PCA adds the same picture to every row, more or less of it. A deep decoder changes a 2 in another way than a 7, so
# look at several rows. What is decoded far from the values of the row may look like no row, since the numbers of real
# rows go together. PCA's axes are in order and uncorrelated, and those of an autoencoder are neither.
#
# Between the rows
# ----------------
# A grid over a code of two numbers, decoded, shows what lies where. A :class:`~skae.VariationalAutoencoder` also says
# how sure it is of the code of a row: ellipses of one and two standard deviations. Where ellipses of neighbours
# touch, there is no hole between them, and what is decoded there looks like a digit.
variational = VariationalAutoencoder(2, random_state=0).fit(train)
figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), width_ratios=(1.1, 1), layout="constrained")
PosteriorDisplay.from_estimator(variational, test, y, ax=axes[0])
ManifoldDisplay.from_estimator(variational, test, n_steps=12, cmap="gray_r", ax=axes[1])
axes[0].set_title("q(h | x) of held-out digits")
axes[1].set_title("E[x | h] over a grid")
for ax in axes:
    ax.set(xlabel="Component 0", ylabel="Component 1")
plt.show()

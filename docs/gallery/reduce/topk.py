"""
Dictionaries of which each row uses k atoms
===========================================

How much of a digit do eight numbers tell, if each digit may choose its own eight? :class:`~skae.TopKAutoencoder`
keeps the k largest units of each row. The pictures show digits that are put together atom by atom, and the scores
beside PCA and beside a search for the best atoms.
"""

# %%
# The code keeps the k largest units of a row and sets all others to zero, :math:`h = \mathrm{top}_k(\max(0, W x + b))`.
# The decoder is linear, :math:`\hat x = D' h + c`. So a row is the sum of k rows of :math:`D`, which are called atoms.
# There is no penalty, and no strength that has to be tuned until the right number of units is active.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, SparseCoder
from sklearn.model_selection import train_test_split

from skae import TopKAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import reconstruct, reconstruction_r2

train, test = train_test_split(load_digits().data, random_state=0)
models = {k: TopKAutoencoder(128, k=k, random_state=0).fit(train) for k in (1, 2, 4, 8, 16)}

# %%
# Digits atom by atom
# -------------------
# We take the code of a held-out digit, keep its largest entries only, and decode.
model = models[8]
shown = test[:8]
h = model.transform(shown)
rows = {"held out": shown}
for n in (1, 2, 4, 8):
    smallest = np.sort(h, axis=1)[:, -n, None]
    rows["the largest atom" if n == 1 else f"{n} of 8 atoms"] = model.inverse_transform(np.where(h >= smallest, h, 0))
rows["PCA, 8 numbers"] = reconstruct(PCA(8).fit(train), shown)

figure, ax = plt.subplots(figsize=(6.5, 4.8), layout="constrained")
rows = {name: X.clip(0, 16) for name, X in rows.items()}
ReconstructionDisplay(rows=rows, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("Digits put together from 128 atoms, 8 of them each", fontsize="medium")
plt.show()

# %%
# What k numbers are worth
# ------------------------
# An encoder guesses in one product which atoms a row needs. Orthogonal matching pursuit (OMP) searches for them, one
# after the other, which takes longer. :class:`~sklearn.decomposition.SparseCoder` does that with any atoms, so we
# give it those of our model.
scores = pd.DataFrame(index=pd.Index(models, name="k"))
for k, model in models.items():
    atoms = model.components_.astype(float)
    centred = test - model.mean_
    searched = SparseCoder(atoms, transform_algorithm="omp", transform_n_nonzero_coefs=k).fit(centred)
    lost = centred - searched.transform(centred) @ atoms
    scores.loc[k, "PCA, k components"] = reconstruction_r2(PCA(k).fit(train), test)
    scores.loc[k, "128 units, k active"] = model.score(test)
    scores.loc[k, "the same atoms, OMP"] = 1 - np.sum(lost**2) / np.sum((test - train.mean(axis=0)) ** 2)

figure, ax = plt.subplots(figsize=(5.6, 3.8), layout="constrained")
for (name, values), style in zip(scores.items(), ("^--", "o-", "s:"), strict=True):
    ax.plot(scores.index, values, style, label=name, color="gray" if name.startswith("PCA") else None)
ax.set_xscale("log", base=2)
ax.set_xticks(scores.index, scores.index)
ax.set(xlabel="k", ylabel="Held-out R2", ylim=(0, 1))
ax.legend(loc="lower right")
plt.show()
scores.round(3)

# %%
# One atom a digit is already worth more than the first four components of PCA, since there are 128 to choose from.
# With more atoms, OMP finds better combinations of them than the encoder does. So the atoms are good, and what is
# lost is lost by a guess in one product. (With a single atom OMP gains nothing: it starts at the mean, and the
# decoder at an offset that was learnt for these atoms.)
#
# This is no way to save memory. *Which* 8 of 128 atoms are active is information too: about :math:`\log_2
# \binom{128}{8}` bits, which is as much as one or two numbers more. Use such a dictionary where atoms are to be
# looked at and named one by one.

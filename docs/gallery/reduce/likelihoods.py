"""
Losses and likelihoods
======================

Which loss suits which kind of numbers? Squared error belongs to the normal distribution, and suits real numbers.
The picture shows what :class:`~skae.Autoencoder` makes of bits, categories and counts with squared error, and with
the right ``likelihood``.
"""

# %%
# An autoencoder minimises :math:`-\log p(x \mid g(h))`, and the name of p is the parameter ``likelihood``:
#
# ==================  ===================================  =========================================
# ``likelihood``      rows                                 loss of an entry or group
# ==================  ===================================  =========================================
# ``"gaussian"``      real numbers                         :math:`(x - m)^2`
# ``"bernoulli"``     bits, or shares between 0 and 1      :math:`-x \log m - (1 - x) \log(1 - m)`
# ``"categorical"``   groups of one-hot columns            :math:`-\sum_c x_c \log m_c`
# ``"poisson"``       counts                               :math:`m - x \log m + \log x!`
# ==================  ===================================  =========================================
#
# m is what the decoder returns, the mean of :math:`p`. The likelihood decides two things: which values m can have at
# all, and what an error costs. To see both we make data of each kind whose true mean we know: rows that depend on one
# hidden number t, each column in its own smooth way. So we can judge how far a reconstruction is from the truth
# behind the row, and not only from the row, which is noisy.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import expit, softmax

from skae import Autoencoder

rng = np.random.default_rng(0)
t = np.sort(rng.uniform(-1, 1, 1500))
centres = np.linspace(-1, 1, 20)
bumps = np.exp(-(((t[:, None] - centres) / 0.35) ** 2))
logits = np.stack([3 * np.cos(3 * t[:, None] + phase + 2 * centres[:8]) for phase in (0, 2, 4)], axis=2)

means = {
    "gaussian": 3 * bumps,
    "bernoulli": expit(8 * bumps - 5),
    "categorical": softmax(logits, axis=2).reshape(len(t), -1),
    "poisson": np.exp(6 * bumps - 3),
}
chosen = (rng.random((len(t), 8, 1)) > softmax(logits, axis=2).cumsum(axis=2)).sum(axis=2)
rows = {
    "gaussian": rng.normal(means["gaussian"], 1.0),
    "bernoulli": rng.binomial(1, means["bernoulli"]).astype(float),
    "categorical": np.eye(3)[chosen].reshape(len(t), -1),
    "poisson": rng.poisson(means["poisson"]).astype(float),
}
held_out = np.arange(len(t)) % 3 == 0

# %%
# Each kind of rows goes through the same network twice, with squared error and with its own likelihood. The code has
# one number. For counts there is a third way that a reader might try first: take :math:`\log(1 + x)` and squared
# error.
restored = {}
for kind, X in rows.items():
    for likelihood in dict.fromkeys(("gaussian", kind)):
        categories = [3] * 8 if likelihood == "categorical" else None
        model = Autoencoder(1, likelihood=likelihood, categories=categories, random_state=0).fit(X[~held_out])
        restored[kind, "squared error" if likelihood == "gaussian" else "its likelihood"] = model.inverse_transform(
            model.transform(X[held_out])
        )
logs = np.log1p(rows["poisson"])
model = Autoencoder(1, random_state=0).fit(logs[~held_out])
restored["poisson", "log(1 + x), squared error"] = np.expm1(model.inverse_transform(model.transform(logs[held_out])))

# %%
# The picture has one column of each kind: its true mean as a line, and what comes back of held-out rows as dots.
shown = {"bernoulli": 8, "categorical": 0, "poisson": 8}
titles = {"bernoulli": "Bits", "categorical": "One of three categories", "poisson": "Counts"}
figure, axes = plt.subplots(2, 3, figsize=(10, 5.4), layout="constrained", sharex=True, sharey="col")
for column, (kind, j) in zip(axes.T, shown.items(), strict=True):
    for ax, way in zip(column, ("squared error", "its likelihood"), strict=True):
        m = restored[kind, way][:, j]
        possible = m >= 0 if kind == "poisson" else (m >= 0) & (m <= 1)
        ax.plot(t, means[kind][:, j], color="black", linewidth=1, label="true mean")
        ax.scatter(t[held_out], m, s=6, c=np.where(possible, "tab:blue", "tab:red"), linewidths=0)
        if kind == "poisson":
            ax.set_yscale("symlog", linthresh=1)
        ax.set_title(f"{titles[kind]}, {way}", fontsize="medium")
    column[-1].set_xlabel("hidden t")
axes[0, 0].scatter([], [], color="tab:blue", s=12, label="restored")
axes[0, 0].scatter([], [], color="tab:red", s=12, label="restored, impossible")
figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
plt.show()

# %%
# How wrong are they? "Impossible" is the share of entries below zero, or above one where one is the limit. "Error" is
# the mean squared distance to the true mean, over the variance of the true mean. "Relative error" is the same of
# :math:`\log(0.1 + m)`, negative means being cut off at zero: it asks how well small rates are told apart.
table = {}
for (kind, way), m in restored.items():
    truth = means[kind][held_out]
    table[kind, way] = {"error": np.mean((m - truth) ** 2) / np.mean((truth - truth.mean(axis=0)) ** 2)}
    if kind != "gaussian":
        table[kind, way]["impossible"] = np.mean((m < 0) | ((m > 1) & (kind != "poisson")))
        logs, log_truth = np.log(0.1 + m.clip(0)), np.log(0.1 + truth)
        table[kind, way]["relative error"] = np.mean((logs - log_truth) ** 2) / np.mean(
            (log_truth - log_truth.mean(axis=0)) ** 2
        )
pd.DataFrame(table).T.round(3)

# %%
# - **Bits and categories.** Squared error finds the means about as well. But many of them are no probabilities, so no
#   log-likelihood of a row can be computed from them, and no row can be drawn.
# - **Counts.** Here it fails. Large counts have large errors, so they are all that squared error sees, and columns
#   with small rates come back as noise around zero, half of it negative. :math:`\log(1 + x)` mends most of that, and
#   is the right thing to try before a model that has no ``likelihood``. The Poisson likelihood needs no such
#   transformation, and is the nearest to the truth.
# - **Real numbers.** Squared error is their likelihood, as long as the noise is about the same everywhere. Put a
#   :class:`~sklearn.preprocessing.StandardScaler` before it if columns have different units.
#
# A table with columns of several kinds takes ``likelihood="mixed"``, or, as a data frame, a
# :class:`~skae.TableAutoencoder`.

"""
A restricted Boltzmann machine, and its exact likelihood
========================================================

An :class:`~skae.RBM` of black-and-white digits: what its units look for, digits that its chains draw, and how probable
it takes held-out digits to be, beside scikit-learn's :class:`~sklearn.neural_network.BernoulliRBM` and simpler models.
"""

# %%
# The machine has visible units :math:`v`, which hold a row, hidden units :math:`h`, and weights between the two layers:
#
# .. math:: p(v, h) = \frac{1}{Z} \exp(a'v + b'h + h'Wv).
#
# Given one layer, the units of the other are independent. So a Gibbs chain draws a whole layer at a time, :math:`h`
# given :math:`v` and :math:`v` given :math:`h`. Training needs such chains: the gradient of the log-likelihood is
# :math:`\langle h v' \rangle` over the data, minus the same mean over what the model draws.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.special import logsumexp
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import BernoulliRBM

from skae import RBM
from skae.inspection import FilterDisplay, FreeEnergyDisplay, GibbsDisplay

X = (load_digits().data > 8).astype(float)
train, test = train_test_split(X, random_state=0)
rbm = RBM(64, visible="bernoulli", sparsity=0.1, max_iter=100, random_state=0).fit(train)

# %%
# Red pixels drive a unit and blue ones silence it. Most units look for ink in one place and for none beside it. The
# chains at the right start at held-out digits. They keep drawing digits, and not only those at which they began.
strongest = np.argsort(-np.square(rbm.components_).sum(axis=1))[:28]
figure, axes = plt.subplots(1, 2, figsize=(10, 3), width_ratios=(1, 1.6), layout="constrained")
FilterDisplay(filters=rbm.components_[strongest], image_shape=(8, 8), n_columns=7).plot(axes[0])
axes[0].set_title("The 28 largest weight vectors of 64")
GibbsDisplay.from_estimator(rbm, test, n_chains=10, n_steps=(0, 1, 10, 1000), cmap="gray_r", ax=axes[1])
axes[1].set_title("Gibbs chains from held-out digits")
plt.show()

# %%
# Does it know digits, or only its training digits?
# -------------------------------------------------
#
# The free energy :math:`F(v)` is :math:`-\log p(v)` without :math:`\log Z`. If held-out rows have a higher free energy
# than training rows, the machine has begun to learn rows by heart. ``early_stopping=True`` watches for it.
figure, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
FreeEnergyDisplay(train=rbm.free_energy(train), test=rbm.free_energy(test)).plot(ax)
plt.show()

# %%
# The likelihood, exactly
# -----------------------
#
# :math:`Z` is a sum over all states, :math:`2^{64}` of the visible units. But the visible units can be summed out for
# each state of the hidden ones:
#
# .. math:: Z = \sum_h e^{b'h} \prod_i \left(1 + e^{a_i + (W'h)_i}\right).
#
# With 12 hidden units that is a sum of 4096 terms, and we can write it down. So nobody has to be believed: neither
# :class:`~skae.RBM` nor :class:`~sklearn.neural_network.BernoulliRBM`, which has no likelihood at all.
n_hidden = 12
states = (np.arange(2**n_hidden)[:, None] >> np.arange(n_hidden) & 1).astype(float)


def log_likelihood(model):
    W, a, b = model.components_, model.intercept_visible_, model.intercept_hidden_
    log_z = logsumexp(states @ b + np.logaddexp(0, a + states @ W).sum(axis=1))
    return (test @ a + np.logaddexp(0, b + test @ W.T).sum(axis=1)).mean() - log_z


ours = RBM(n_hidden, visible="bernoulli", max_iter=100, random_state=0).fit(train)
theirs = {
    rate: BernoulliRBM(n_hidden, learning_rate=rate, n_iter=100, random_state=0).fit(train) for rate in (0.1, 0.01)
}
pd.Series(
    {
        "RBM": log_likelihood(ours),
        "RBM, by score": ours.score(test),
        **{f"BernoulliRBM, learning_rate={rate}": log_likelihood(model) for rate, model in theirs.items()},
    },
    name="log p of a held-out digit, nats",
).to_frame().round(2)

# %%
# ``score`` agrees with the sum. Both machines are the same model and take as many epochs. The difference is how they
# are trained: :class:`~skae.RBM` subtracts the means of the units (centring) and lets the learning rate fall. For the
# picture below, BernoulliRBM has the better of its two rates, chosen on the held-out digits in its favour.
#
# Simpler models
# --------------
#
# Is a Boltzmann machine needed? Independent pixels are the least that a model can know. A mixture of kinds of digits,
# each with independent pixels, is what :class:`~sklearn.mixture.GaussianMixture` would be for bits. It takes a few
# lines of expectation maximisation, and the number of kinds is chosen on a part of the training rows.


def mixture(train, test, k, n_steps=40):
    share = np.random.default_rng(0).dirichlet(np.ones(k), len(train)).T

    def log_joint(X):
        p = (share @ train + 0.5) / (share.sum(axis=1, keepdims=True) + 1)
        return X @ np.log(p).T + (1 - X) @ np.log1p(-p).T + np.log((share.sum(axis=1) + 1) / (len(train) + k))

    for _ in range(n_steps):
        joint = log_joint(train)
        share = np.exp(joint - logsumexp(joint, axis=1, keepdims=True)).T
    return logsumexp(log_joint(test), axis=1).mean()


inner, watched = train_test_split(train, random_state=0)
k = max((10, 20, 40, 80), key=lambda k: mixture(inner, watched, k))
scores = {
    "independent pixels": mixture(train, test, 1),
    f"mixture of {k} kinds": mixture(train, test, k),
    f"BernoulliRBM, {n_hidden} units": max(map(log_likelihood, theirs.values())),
    f"RBM, {n_hidden} units": log_likelihood(ours),
    "RBM, 64 units": rbm.score(test),
}
figure, ax = plt.subplots(figsize=(7, 2.6), layout="constrained")
bars = ax.barh(list(scores), [-score for score in scores.values()], color=["0.7", "0.7", "C1", "C0", "C0"])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.invert_yaxis()
ax.margins(x=0.12)
ax.set(xlabel="-log p of a held-out digit, nats: less is better")
plt.show()

# %%
# The mixture is better than a machine of 12 units, and the machine of 64 units is better than the mixture. A mixture
# says which kind of digit it saw, and is fitted in a moment: try it first. A machine combines strokes, and its units
# are a code.
#
# The likelihood of the machine with 64 units is estimated by annealed importance sampling, since no layer of it can be
# enumerated. ``log_partition_bounds`` anneals from both sides, and shows whether the estimate can be trusted:
lower, upper = rbm.log_partition_bounds(random_state=0)
print(f"log Z from below {lower.value:.2f}, from above {upper.value:.2f}")

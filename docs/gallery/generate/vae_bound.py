"""
The bound of a variational autoencoder
======================================

A :class:`~skae.VariationalAutoencoder` maximises a lower bound of the log-likelihood. How far below is it, what are its
two terms, and how good is the density that comes out, beside PCA and a mixture of Gaussians?
"""

# %%
# A code :math:`h` is drawn from a prior :math:`p(h)`, and a row from :math:`p(x \mid h)`, whose mean is a network of
# :math:`h`. The likelihood of a row is an integral over all codes. For any distribution :math:`q(h \mid x)` of the
# codes that a row may have come from,
#
# .. math::
#
#    \log p(x) = \log E_q \frac{p(x \mid h)\, p(h)}{q(h \mid x)}
#    \ge \underbrace{E_q \log p(x \mid h)}_{\text{reconstruction}}
#    - \underbrace{KL(q(h \mid x) \,\|\, p(h))}_{\text{divergence}},
#
# because the logarithm is concave. A second network, the encoder, says what :math:`q` is for each row. The gap is
# :math:`KL(q(h \mid x) \| p(h \mid x))`, so it is zero if the encoder is right.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import VariationalAutoencoder

train, test = train_test_split(load_digits().data, random_state=0)
inked = train.std(axis=0) > 1  # the other pixels are nearly constant, and any density of them looks good
train, test = train[:, inked], test[:, inked]

# %%
# Where the answer is known
# -------------------------
#
# Without hidden layers and with the prior :math:`N(0, I)`, the model is probabilistic PCA. Its likelihood has a closed
# form, which ``PCA.score`` returns, and the encoder can be exactly right. So three numbers should agree: the bound
# (``elbo``), the tighter bound of many draws (``score``), and the likelihood of PCA.
linear = VariationalAutoencoder(8, hidden_layer_sizes=(), prior="normal", random_state=0).fit(train)
numbers = {
    "elbo": linear.elbo(test).mean(),
    "score": linear.score(test),
    "PCA.score": PCA(8).fit(train).score(test),
}
pd.Series(numbers, name="nats a held-out row").to_frame().round(2)

# %%
# Where it is not
# ---------------
#
# With networks the integral is unknown. ``score`` takes the logarithm of a mean over several draws of :math:`q`:
#
# .. math:: \log \frac{1}{K} \sum_{k=1}^K \frac{p(x, h_k)}{q(h_k \mid x)}, \qquad h_k \sim q(h \mid x).
#
# It is a lower bound for each :math:`K`, and rises towards :math:`\log p(x)` with it (Burda et al., 2016). Where the
# curve is flat, little of the gap is left.
#
# The right picture is about the two terms. ``beta`` is the weight of the divergence. The divergence is how many nats
# the code says about a row, and minus the reconstruction is how many nats are left to say. The sum of the two is minus
# the bound. It is constant along the dotted lines.
models = {
    beta: VariationalAutoencoder(8, prior="normal", beta=beta, random_state=0).fit(train)
    for beta in (0.1, 0.3, 1.0, 3.0)
}


def terms(model):
    mean, deviation = model.posterior(test)
    divergence = 0.5 * (mean**2 + deviation**2 - 1 - 2 * np.log(deviation)).sum(axis=1).mean()
    return divergence, -model.elbo(test).mean() - divergence


model, n_draws = models[1.0], [1, 4, 16, 64, 256]
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
left.semilogx(n_draws, [model.set_params(n_draws=k).score(test) for k in n_draws], "o-", label="score")
left.axhline(model.elbo(test).mean(), color="0.5", linestyle="--", label="elbo")
left.axhline(linear.score(test), color="C1", linestyle=":", label="PCA.score")
left.set(xlabel="draws for each row, K", ylabel="nats a held-out row", xticks=n_draws, xticklabels=n_draws)
left.minorticks_off()
left.legend()

rates, distortions = np.transpose([terms(model) for model in models.values()])
right.plot(rates, distortions, "o-")
for (beta, fitted), rate, distortion in zip(models.items(), rates, distortions, strict=True):
    text = f"beta={beta:g}\nelbo {fitted.elbo(test).mean():.0f}"
    right.annotate(text, (rate, distortion), (6, 4), textcoords="offset points", fontsize="small")
reach = np.array([0, 40])
for total in range(110, 150, 5):
    right.plot(reach, total - reach, ":", color="0.8", zorder=0)
right.set(xlabel="divergence, nats", ylabel="minus reconstruction, nats", xlim=(0, 37), ylim=(92, 128))
plt.show()

# %%
# With ``beta=1`` the curve touches the lowest of the lines: that is the density. A smaller weight reconstructs better,
# with codes that the prior does not expect. With a larger one the code says less, and fewer components are in use.
#
# How good is the density?
# ------------------------
#
# The default prior is not :math:`N(0, I)`, but a mixture that is fitted to the codes afterwards. Beside the model stand
# PCA with as many components, one Gaussian, and a mixture of Gaussians whose size is chosen on a part of the training
# rows.
inner, watched = train_test_split(train, random_state=0)


def mixture(k, X):
    return GaussianMixture(k, reg_covar=0.1, random_state=0).fit(X)


k = max((1, 2, 5, 10, 20), key=lambda k: mixture(k, inner).score(watched))
scores = {
    "PCA(16)": PCA(16).fit(train).score(test),
    "one Gaussian": mixture(1, train).score(test),
    f"mixture of {k} Gaussians": mixture(k, train).score(test),
    "VariationalAutoencoder(16)": VariationalAutoencoder(16, random_state=0).fit(train).score(test),
}
pd.Series(scores, name="nats a held-out row").to_frame().round(1)

# %%
# On a table like this one a mixture of Gaussians is a strong model, and it is fitted in a moment. If you need a density
# and no code, try it first. Its number of parameters grows with the square of the number of columns, though, and what
# it says about a row is only a cluster. A variational autoencoder has a code of a few numbers, and says how sure it is
# of them.

"""
Clusters that can be drawn from
===============================

A :class:`~skae.MixtureVariationalAutoencoder` finds kinds of digits without a label. Each cluster has a density of its
own. Beside it stand k-means and a mixture of Gaussians.
"""

# %%
# Its prior is a mixture of normal distributions of codes, learnt together with the two networks of a variational
# autoencoder. So a cluster is a distribution of codes, from which digits are decoded. We ask for ten clusters.
#
# To judge them, each cluster is matched with one digit such that most rows agree. The models see no labels.
import matplotlib.pyplot as plt
import pandas as pd
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.metrics import confusion_matrix
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline

from skae import MixtureVariationalAutoencoder
from skae.inspection import ReconstructionDisplay

train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
clusterers = {
    "k-means": KMeans(10, n_init=10, random_state=0),
    "Gaussian mixture": GaussianMixture(10, reg_covar=0.1, n_init=5, random_state=0),
    "Gaussian mixture of PCA(16)": make_pipeline(
        PCA(16, random_state=0), GaussianMixture(10, reg_covar=0.1, n_init=5, random_state=0)
    ),
    "MixtureVariationalAutoencoder": MixtureVariationalAutoencoder(16, n_clusters=10, random_state=0),
}


def matched(y, labels):
    """The cluster of each digit."""
    return linear_sum_assignment(-confusion_matrix(y, labels))[1]


orders, agreement = {}, {}
for name, clusterer in clusterers.items():
    orders[name] = matched(y_train, clusterer.fit(train).predict(train))
    agreement[name] = (orders[name][y_test] == clusterer.predict(test)).mean()
pd.Series(agreement, name="share of held-out digits in the cluster of their class").to_frame().round(3)

# %%
# Means and draws
# ---------------
#
# The centre of k-means is a mean of pixels. The centre of a cluster here is decoded from the mean of its codes, and
# ``sample(n, cluster=c)`` draws more digits of the kind.
model, order = clusterers["MixtureVariationalAutoencoder"], orders["MixtureVariationalAutoencoder"]
lines = {
    "k-means": clusterers["k-means"].cluster_centers_[orders["k-means"]],
    "decoded means": model.cluster_centers_[order],
    **{f"sample {k + 1}": model.sample(10, random_state=k, cluster=order) for k in range(4)},
}
figure, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
shown = {name: rows.clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("The clusters that agree best with the digits 0 to 9", fontsize="medium")
plt.show()

# %%
# How many clusters?
# ------------------
#
# Without labels, the number is chosen by the likelihood of held-out rows, as for a mixture of Gaussians, and never by
# that of the training rows, which nearly always rises. Here ``score`` is a lower bound of the log-likelihood.
sizes = (1, 10, 20)
models = {k: MixtureVariationalAutoencoder(16, n_clusters=k, random_state=0).fit(train) for k in sizes if k != 10}
models[10] = model
figure, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for rows, name in ((train, "training"), (test, "held-out")):
    ax.plot(sizes, [models[k].score(rows) for k in sizes], "o-", label=f"{name} digits")
ax.set(xlabel="n_clusters", ylabel="bound of log p(x), nats", xticks=sizes)
ax.legend()
plt.show()

# %%
# Most is gained by ten clusters. More describe the density slightly better, since a digit is written in more than one
# way. The fit depends on where it starts, as that of every mixture. For clusters alone try the mixture of Gaussians of
# some components of PCA first: it is fitted in a moment, and here it comes second.

"""
Codes with a shape of your choice
=================================

An :class:`~skae.AdversarialAutoencoder` makes its codes follow any distribution that one can draw from: a normal one,
one with clusters, or one with a place for each label. A second network, the critic, sees to it.
"""

# %%
# The critic learns to tell codes of rows from draws of the prior, and the encoder learns to deceive it. Only draws are
# compared, so no density of the prior is needed. A :class:`~skae.VariationalAutoencoder` with the prior :math:`N(0, I)`
# stands beside three priors. With ``prior="labels"`` each digit has its own place, and one label in ten is known.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import AdversarialAutoencoder, VariationalAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import squared_mmd

train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
few = np.where(np.arange(len(train)) % 10 == 0, y_train, -1)
options = {"max_iter": 25, "random_state": 0}
models = {
    "variational autoencoder": VariationalAutoencoder(2, prior="normal", **options).fit(train),
    'prior="normal"': AdversarialAutoencoder(2, **options).fit(train),
    'prior="mixture"': AdversarialAutoencoder(2, prior="mixture", n_clusters=10, **options).fit(train),
    'prior="labels", one in ten known': AdversarialAutoencoder(2, prior="labels", **options).fit(train, few),
}

# %%
# Held-out digits in the colours of their classes, over draws from the prior in grey.
figure, axes = plt.subplots(1, 4, figsize=(11, 3.1), layout="constrained")
for ax, (title, model) in zip(axes, models.items(), strict=True):
    ax.scatter(*model.sample_codes(3000, random_state=0).T, s=6, color="0.85", linewidths=0)
    ax.scatter(*model.transform(test).T, s=6, c=y_test, cmap="tab10", linewidths=0)
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-4, 4), ylim=(-4, 4))
    ax.set_title(title, fontsize="medium")
plt.show()

# %%
# In a variational autoencoder each row pays for itself, and its codes leave empty places in the prior. A critic sees
# all codes at once, and so the adversarial ones fill the prior better. The table has the R2 of the reconstruction, and
# how often five nearest neighbours on the held-out codes tell the class.
neighbors = KNeighborsClassifier(5)
scores = {
    name: [
        1 - np.square(model.reconstruct(test) - test).sum() / np.square(test - train.mean(axis=0)).sum(),
        neighbors.fit(model.transform(train), y_train).score(model.transform(test), y_test),
    ]
    for name, model in models.items()
}
pd.DataFrame(scores, index=["R2", "5 neighbours"]).T.round(3)

# %%
# Samples as training goes on
# ---------------------------
#
# A code of eight numbers makes better digits. None of the losses of the two networks says how good the samples are,
# since each depends on how good the other network is. So the squared maximum mean discrepancy of samples to rows is
# watched. It is in ``history_["mmd"]`` too. Training starts at PCA.
model = AdversarialAutoencoder(8, warm_start=True, learning_rate="constant", random_state=0)
lines, epoch = {"held out": test[:12]}, 0
for n_more in (1, 4, 15, 20):
    epoch += n_more
    model.set_params(max_iter=n_more).fit(train)
    drawn = model.sample(450, random_state=0)
    name = "epoch" if epoch == 1 else "epochs"
    lines[f"{epoch} {name}\nMMD\N{SUPERSCRIPT TWO} {squared_mmd(drawn, test):.4f}"] = drawn[:12]

mixture = GaussianMixture(10, reg_covar=0.1, random_state=0).fit(train)
drawn = np.random.default_rng(0).permutation(mixture.sample(450)[0])
lines[f"mixture of Gaussians\nMMD\N{SUPERSCRIPT TWO} {squared_mmd(drawn, test):.4f}"] = drawn[:12]
figure, ax = plt.subplots(figsize=(10, 4.6), layout="constrained")
ReconstructionDisplay(rows={name: rows.clip(0, 16) for name, rows in lines.items()}, image_shape=(8, 8)).plot(
    ax, cmap="gray_r"
)
plt.show()

# %%
# A mixture of ten Gaussians of the pixels is nearer to the digits, and it is fitted in a moment. Its samples have the
# noise of each pixel, while those of the autoencoder are smooth. What the mixture does not have is a code whose shape
# you choose.

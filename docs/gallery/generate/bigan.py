"""
A generative adversarial network that can encode
================================================

A :class:`~skae.BidirectionalGAN` learns to make rows of draws from :math:`N(0, I)`, and to find the draw from which a
given row could have been made. Clouds on a circle show what it is for, and digits how good it is.
"""

# %%
# A generator :math:`G` makes a row of a code, and an encoder :math:`E` a code of a row. A critic is shown pairs, real
# ones :math:`(x, E(x))` and made ones :math:`(G(z), z)`, and learns to tell them apart. When it no longer can, the made
# rows are distributed as the real ones, and :math:`E` is the inverse of :math:`G`. No density is needed, and no noise
# is added to a row that was made.
#
# Three clouds on a circle are hard for models that add such noise: the rows are thin, and there are gaps between them.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import BidirectionalGAN, VariationalAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import squared_mmd


def clouds(n, seed):
    rng = np.random.default_rng(seed)
    angle = 2 * np.pi * rng.integers(0, 3, n) / 3 + 0.35 * rng.standard_normal(n)
    radius = 1 + 0.08 * rng.standard_normal(n)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


X, X_test = clouds(1000, seed=0), clouds(1000, seed=1)
options = {"hidden_layer_sizes": (64, 64), "max_iter": 120, "random_state": 0}
gan = BidirectionalGAN(2, critic_layer_sizes=(64, 64), **options).fit(X)
vae = VariationalAutoencoder(2, prior="normal", **options).fit(X)
made = {
    "rows": clouds(1000, seed=2),
    "one Gaussian": GaussianMixture(1, random_state=0).fit(X).sample(1000)[0],
    "variational, means": vae.inverse_transform(vae.sample_codes(1000, random_state=0)),
    "bidirectional GAN": gan.sample(1000, random_state=0),
    "mixture of 10 Gaussians": GaussianMixture(10, random_state=0).fit(X).sample(1000)[0],
}
figure, axes = plt.subplots(1, 5, figsize=(11, 2.9), layout="constrained")
for ax, (name, rows) in zip(axes, made.items(), strict=True):
    ax.scatter(*rows.T, s=2, linewidths=0)
    ax.set(xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), xticks=(), yticks=(), aspect="equal")
    ax.set_title(f"{name}\nMMD\N{SUPERSCRIPT TWO} {squared_mmd(rows, X_test):.4f}", fontsize="medium")
plt.show()

# %%
# What is decoded from :math:`N(0, I)` differs: the means of the variational autoencoder fill the circle, and the
# generator leaves it nearly empty, with bridges over the gaps. But a mixture of Gaussians does better, within a moment.
# In two columns there is no need of a game.
#
# Digits
# ------
#
# The same ten codes are decoded by PCA, by a variational autoencoder, and by the generator as training goes on. Above
# them are held-out digits and what comes back of them.
train, test = train_test_split(load_digits().data, random_state=0)
few, gan = (BidirectionalGAN(8, max_iter=n, random_state=0).fit(train) for n in (2, 20))
vae = VariationalAutoencoder(8, prior="normal", random_state=0).fit(train)
pca = PCA(8, whiten=True).fit(train)
codes = gan.sample_codes(450, random_state=3)
made = {
    "made, PCA": pca.inverse_transform(codes),
    "made, VAE": vae.inverse_transform(codes),
    "made, GAN, 2 epochs": few.inverse_transform(codes),
    "made, GAN, 20 epochs": gan.inverse_transform(codes),
}
restored = {"VAE": vae.reconstruct(test), "GAN": gan.reconstruct(test)}
lines = {"held out": test} | {f"restored, {name}": rows for name, rows in restored.items()} | made
figure, ax = plt.subplots(figsize=(11.5, 4.8), layout="constrained")
shown = {name: rows[:12].clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
plt.show()

# %%
# The squared maximum mean discrepancy tells how far the made rows are from held-out ones. Those of the generator are
# the nearest of what is decoded from :math:`N(0, I)`, while the variational autoencoder restores rows better. Both are
# beaten as samplers by models that draw the noise of the pixels too.
mixture = GaussianMixture(10, reg_covar=0.1, random_state=0).fit(train)
made |= {
    "VAE with a fitted prior, with noise": VariationalAutoencoder(8, random_state=0).fit(train).sample(450),
    "mixture of 10 Gaussians": mixture.sample(450)[0],
}
pd.Series({name: squared_mmd(rows, test) for name, rows in made.items()}, name="squared MMD").to_frame().round(4)

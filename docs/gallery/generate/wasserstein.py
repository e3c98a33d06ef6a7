"""
Codes near a normal distribution, without a critic
==================================================

A :class:`~skae.WassersteinAutoencoder` brings its codes to :math:`N(0, I)` by a distance that a kernel measures. How
much of this distance is good for reconstruction and for samples?
"""

# %%
# The loss is the reconstruction error plus a weight times the squared maximum mean discrepancy of the codes to
# :math:`N(0, I)`:
#
# .. math:: \text{MMD}^2(q, p) = E\,k(h, h') - 2 E\,k(h, z) + E\,k(z, z'),
#
# with codes :math:`h, h'` and draws :math:`z, z'` of the prior. The first term keeps codes of different rows apart, and
# the second one pulls them to where the prior is dense. There is one objective and no game of two networks.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import WassersteinAutoencoder
from skae.inspection import ManifoldDisplay, ReconstructionDisplay
from skae.metrics import squared_mmd

train, test, _, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
models = {weight: WassersteinAutoencoder(2, mmd_weight=weight, random_state=0).fit(train) for weight in (0.0, 0.3, 3.0)}

# %%
# Codes of held-out digits, in the colours of their classes. The circles are one, two and three standard deviations of
# :math:`N(0, I)`. Without the distance the codes lie anywhere. With it they fill the prior, at a small price in
# reconstruction, and a grid of codes can be read as a map, without empty places.
figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
for ax, (weight, model) in zip(axes, models.items(), strict=False):
    ax.scatter(*model.transform(test).T, s=6, c=y_test, cmap="tab10", linewidths=0)
    for radius in (1, 2, 3):
        ax.add_patch(plt.Circle((0, 0), radius, fill=False, linestyle=":", color="0.3"))
    ax.set(aspect="equal", xlim=(-6, 6), ylim=(-6, 6))
    ax.set_title(f"mmd_weight={weight:g}, R\N{SUPERSCRIPT TWO} {model.score(test):.2f}", fontsize="medium")
ManifoldDisplay.from_estimator(models[3.0], train, n_steps=11, cmap="gray_r", ax=axes[3])
axes[3].set(xlabel="", ylabel="", xticks=[], yticks=[])
axes[3].set_title("decoded from a grid, weight 3", fontsize="medium")
plt.show()

# %%
# Samples
# -------
#
# With eight components, rows are reconstructed better, and draws of :math:`N(0, I)` are decoded to digits. Digits come
# in kinds, though, and a normal distribution has no gaps between them. So a mixture of Gaussians is fitted to the
# codes, and draws from it are decoded as well. A mixture of the pixels themselves stands beside them.


def mixture(rows, n_components, reg_covar):
    drawn = GaussianMixture(n_components, reg_covar=reg_covar, random_state=0).fit(rows).sample(450)[0]
    return np.random.default_rng(0).permutation(drawn)  # a mixture draws component by component


plain, wide = (WassersteinAutoencoder(8, mmd_weight=weight, random_state=0).fit(train) for weight in (0.0, 1.0))
drawn = {
    "N(0, I), mmd_weight=0": plain.sample(450, random_state=0),
    "N(0, I), mmd_weight=1": wide.sample(450, random_state=0),
    "mixture of its codes": wide.inverse_transform(mixture(wide.transform(train).astype(float), 20, 1e-3)),
    "mixture of pixels": mixture(train, 10, 0.1),
}
lines = {"held out": test, "reconstructed": wide.reconstruct(test)} | drawn
figure, ax = plt.subplots(figsize=(11.5, 4.4), layout="constrained")
shown = {name: rows[:12].clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
plt.show()

# %%
# How far the samples are from held-out digits, as a squared maximum mean discrepancy of rows:
distances = {name: squared_mmd(rows, test) for name, rows in drawn.items()}
pd.Series(distances, name="squared MMD to held-out digits").to_frame().round(4)

# %%
# The mixture of pixels has the smallest distance, with the noise of the pixels, which is seen in the picture. What this
# model adds is the code: a few numbers a row with a known distribution.

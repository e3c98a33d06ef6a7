"""
Denoising draws new rows
========================

A :class:`~skae.DenoisingAutoencoder` that adds noise and takes it away again, many times over, walks among the rows
that it has learnt. Where it is after many steps is a new row. How good are such rows, beside those of a Gaussian?
"""

# %%
# A step of the chain has two halves: corrupt :math:`x` to :math:`\tilde x`, and draw :math:`x` from what the model
# knows of it,
#
# .. math:: \tilde x \sim C(\tilde x \mid x), \qquad x \sim p(x \mid \tilde x) = N(r(\tilde x), S).
#
# If :math:`p(x \mid \tilde x)` is right, the chain draws from the density of the data in the end (Bengio et al., 2013).
# :math:`S` is the covariance of the errors :math:`x - r(\tilde x)`. It is one for all rows, and this is the weak point:
# around a curve, the errors point along the curve, in another direction at each place.
#
# A chain also comes to places where no corrupted row of training was. With ``walkback=3`` the model learns from what
# its own chain looks like after one, two and three steps, so that it finds the way back from there.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split

from skae import DenoisingAutoencoder
from skae.inspection import ReconstructionDisplay
from skae.metrics import squared_mmd


def spiral(n_samples, seed):
    rng = np.random.default_rng(seed)
    t = np.pi * rng.uniform(1.0, 3.5, n_samples)
    return np.stack([t * np.cos(t), t * np.sin(t)], axis=1) + rng.normal(0, 0.2, (n_samples, 2))


train, test = spiral(1000, seed=0), spiral(1000, seed=1)
options = {"corruption_level": 0.1, "hidden_layer_sizes": (128, 128), "batch_size": 100, "weight_decay": 0.0}
chains = [DenoisingAutoencoder(2, walkback=k, max_iter=150, random_state=0, **options).fit(train) for k in (1, 3)]

# %%
# A Gaussian and a mixture of Gaussians stand beside the chains. How far samples are from held-out rows is told by their
# squared maximum mean discrepancy, :func:`~skae.metrics.squared_mmd`: it is about zero for rows of the same
# distribution.
drawn = {
    "held-out rows": spiral(1000, seed=2),
    "one Gaussian": GaussianMixture(1, random_state=0).fit(train).sample(1000)[0],
    "mixture of 10": GaussianMixture(10, random_state=0).fit(train).sample(1000)[0],
    "chain": chains[0].sample(1000, n_steps=300, random_state=0),
    "chain, walkback=3": chains[1].sample(1000, n_steps=300, random_state=0),
}
figure, axes = plt.subplots(1, 5, figsize=(11, 2.8), layout="constrained")
for ax, (name, rows) in zip(axes, drawn.items(), strict=True):
    ax.plot(*rows.T, ".", markersize=2)
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-13, 13), ylim=(-13, 13))
    ax.set_title(f"{name}\nMMD\N{SUPERSCRIPT TWO} {squared_mmd(rows, test):.4f}", fontsize="medium")
plt.show()

# %%
# The chains stay near the spiral, which one Gaussian does not know of. But they are thicker than the spiral, and cover
# it unevenly, since a chain moves slowly from one end to the other. Here the mixture is better and quicker: in two
# columns, with a thousand rows, it is all that one needs.
#
# Digits
# ------
#
# Rows of 64 pixels are harder. All chains start at the mean of the digits, and we look at them as they go. A chain of
# more steps has more time to forget its start. The noise is as strong as the rows themselves, and so the steps are
# long.
train, test = train_test_split(load_digits().data, random_state=0)
model = DenoisingAutoencoder(64, corruption_level=1.0, hidden_layer_sizes=(128,), max_iter=100, random_state=0).fit(
    train
)
drawn = {f"chain, {n}": model.sample(450, n_steps=n, random_state=0) for n in (1, 3, 10, 100)}
for k, name in ((1, "one Gaussian"), (10, "mixture of 10")):
    drawn[name] = GaussianMixture(k, reg_covar=0.1, random_state=0).fit(train).sample(450)[0]
    np.random.default_rng(0).shuffle(drawn[name])  # a mixture draws component by component

lines = {"held out": test}
for name, rows in drawn.items():
    lines[f"{name}\nMMD\N{SUPERSCRIPT TWO} {squared_mmd(rows, test):.4f}"] = rows
figure, ax = plt.subplots(figsize=(9.5, 5), layout="constrained")
shown = {name: rows[:10].clip(0, 16) for name, rows in lines.items()}
ReconstructionDisplay(rows=shown, image_shape=(8, 8)).plot(ax, cmap="gray_r")
plt.show()

# %%
# The rows become like digits within some steps, each with the noise :math:`S` on top. But one Gaussian comes nearer to
# held-out digits, and a mixture of ten nearer still. So the chain shows what a denoising autoencoder knows of the
# density, and is the idea from which diffusion models were made. It is not the first choice to draw rows. For that take
# :class:`~sklearn.mixture.GaussianMixture`, or a :class:`~skae.VariationalAutoencoder`, which needs no chain.

"""
Contraction, and the directions in which data vary
==================================================

In how many directions does a code follow its input? :class:`~skae.ContractiveAutoencoder` pays for each of them,
and keeps those that the reconstruction needs. The pictures show that on a curve, where the right number is known,
and on digits.
"""

# %%
# The objective is the reconstruction error and the size of the code's derivative:
#
# .. math:: \|x - \hat x\|^2 + \lambda \|J(x)\|_F^2 \quad\text{where}\quad J(x) = \frac{\partial h}{\partial x}
#
# The second term alone would make the code constant. The first one needs the code to move where rows differ. Both
# together leave a code that follows the data along the surface near which they lie, and is blind to what leads away
# from it. The singular values of :math:`J(x)` measure that: each is the speed of the code in one direction.
#
# On a curve
# ----------
# Rows near a circle have two columns, but vary in one direction at each place: along the circle. PCA cannot say so. It
# has one pair of directions for all rows, and on the circle both have the same variance.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import ContractiveAutoencoder, DenoisingAutoencoder
from skae.inspection import JacobianDisplay, code_jacobian

rng = np.random.default_rng(0)
angle = rng.uniform(0, 2 * np.pi, 500)
circle = np.c_[np.cos(angle), np.sin(angle)] + 0.05 * rng.normal(size=(500, 2))
print("PCA, share of the variance in its two directions:", PCA(2).fit(circle).explained_variance_ratio_.round(2))

# %%
# We ask each code in which direction it moves fastest at 24 places of the circle, and how fast it moves at right angles
# to that. ``n_probes=None`` takes the exact norm of the derivative, which is affordable for 16 units.
angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
places, tangents = np.c_[np.cos(angle), np.sin(angle)], np.c_[-np.sin(angle), np.cos(angle)]
figure, axes = plt.subplots(1, 2, figsize=(8.5, 4.8), layout="compressed")
for ax, contraction in zip(axes, (0.0, 1.0), strict=True):
    model = ContractiveAutoencoder(
        16,
        hidden_layer_sizes=(64,),
        activation="tanh",
        code_activation="logistic",
        contraction=contraction,
        n_probes=None,
        max_iter=100,
        random_state=0,
    ).fit(circle)
    _, speeds, directions = np.linalg.svd(code_jacobian(model, places), full_matrices=False)
    ax.scatter(*circle.T, s=4, color="0.8", linewidths=0)
    for k, color in enumerate(("tab:blue", "tab:orange")):
        arrows = 0.4 * directions[:, k] * (speeds[:, k] / speeds.max())[:, None]
        arrows *= np.sign((arrows * (tangents, places)[k]).sum(axis=1, keepdims=True))
        ax.quiver(*places.T, *arrows.T, color=color, angles="xy", scale_units="xy", scale=1, width=0.006)
    ax.set(aspect="equal", xticks=[], yticks=[], xlim=(-1.5, 1.5), ylim=(-1.5, 1.5))
    across, along = speeds[:, 1].mean() / speeds[:, 0].mean(), np.abs((directions[:, 0] * tangents).sum(axis=1)).mean()
    title = f"contraction = {contraction:g}, R2 {model.score(circle):.3f}"
    ax.set_title(f"{title}\nspeed across / along: {across:.2f}. Cosine with the circle: {along:.2f}", fontsize="medium")
plt.show()

# %%
# Blue arrows are the fast direction and orange ones the slow one, and their length is the speed. Both codes move
# fastest along the circle. Without contraction, a step off the circle moves the code nearly as much. With it, the
# code hardly notices such a step, and the rows are still restored, since off the circle there is only noise.
#
# On digits
# ---------
# Nobody knows the surface on which digits lie. But the singular values say how many directions a code still follows at
# a digit, on average. Noise in training has a similar effect, for the same reason: a code that moves with the noise
# restores the noise.
train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
options = {"hidden_layer_sizes": (), "code_activation": "logistic", "learning_rate_init": 0.01, "random_state": 0}
models = {f"contraction = {c:g}": ContractiveAutoencoder(64, contraction=c, **options) for c in (0.0, 1.0, 10.0)}
models["denoising"] = DenoisingAutoencoder(
    64, corruption="gaussian", corruption_level=2.0, tied_weights=True, **options
)

figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for name, model in models.items():
    label = f"{name}, held-out R2 {model.fit(train).score(test):.2f}"
    JacobianDisplay.from_estimator(model, test[:200], ax=ax, label=label)
ax.set_title("64 logistic units on the digits", fontsize="medium")
plt.show()

# %%
# The stronger the contraction, the sooner the curve falls: a few directions are kept, and the others are forgotten.
#
# Is that good for a classifier?
# ------------------------------
# A code that does not move with what is irrelevant should need fewer labels. We give a linear classifier few labels,
# drawn ten times, or all of them, and compare with the pixels and with PCA. The codes have seen all training rows
# without labels.
draws = {50: 10, 200: 10, len(train): 1}
scores = pd.DataFrame(columns=pd.Index(draws, name="labels"))
for name, reducer in {"pixels": None, "PCA, 16 components": PCA(16).fit(train), **models}.items():
    codes = [X if reducer is None else reducer.transform(X) for X in (train, test)]
    for n, n_draws in draws.items():
        accuracy = []
        for seed in range(n_draws):
            rows = np.random.default_rng(seed).permutation(len(train))[:n]
            classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
            accuracy.append(classifier.fit(codes[0][rows], y_train[rows]).score(codes[1], y_test))
        scores.loc[name, n] = np.mean(accuracy)
scores.astype(float).round(3)

# %%
# With few labels, all codes are better than the pixels and PCA. But most of that comes from the units, and only a
# little from contraction: the code with ``contraction = 0`` has nearly the same accuracy. With all labels the pixels
# are as good as any code. So contract to see in how many directions data vary, and do not expect much more of a
# classifier.

"""
Layer by layer, with and without
================================

Deep networks were first trained by learning one layer after another. What does that gain today? A
:class:`~skae.StackedAutoencoder` is trained with and without it, on all digits and with few labels.
"""

# %%
# Layers one by one
# -----------------
# The first layer learns a code of the rows, the second a code of these codes, and the third two numbers. Each is an
# autoencoder by itself. Then the three are unrolled into one network, and trained together from there:
#
# .. math:: h = f_3(f_2(f_1(x))), \qquad \hat x = g_1(g_2(g_3(h))).
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier

from skae import Autoencoder, DenoisingAutoencoder, FineTunedClassifier, StackedAutoencoder
from skae.metrics import reconstruction_r2

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

models = {
    "PCA": PCA(2),
    "one by one": StackedAutoencoder([64, 16, 2], fine_tune=False, random_state=0),
    "one by one, then together": StackedAutoencoder([64, 16, 2], random_state=0),
    "together at once": Autoencoder(2, hidden_layer_sizes=(128, 64, 128, 16, 128), random_state=0),
}
figure, axes = plt.subplots(1, 4, figsize=(10, 3.3), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    H, H_test = model.fit(train).transform(train), model.transform(test)
    accuracy = KNeighborsClassifier(5).fit(H, y_train).score(H_test, y_test)
    dots = ax.scatter(*H_test.T, c=y_test, cmap="tab10", vmin=-0.5, vmax=9.5, s=7)
    ax.set_title(f"{name}\nR2 {reconstruction_r2(model, test):.2f}, neighbours {accuracy:.2f}", fontsize=10)
    ax.set(xticks=[], yticks=[])
figure.legend(*dots.legend_elements(num=None), title="digit", loc="outside right center", frameon=False)
plt.show()

# %%
# These are held-out digits. R2 is the share of their variance that two numbers explain, and "neighbours" is how often
# the five nearest codes of training rows name the digit. Layers that are learnt one by one reconstruct the codes below
# them as well as they can, and not the rows. The code becomes good when they are trained together. The last model
# has the same layers, and was trained as a whole from the start. It does about as well: with activations, solvers and
# starts of today the first part is not needed for this.
#
# Logistic units
# --------------
# In 2006 it was needed. Logistic units have small slopes, and the slopes of several layers multiply, so that the error
# hardly reaches the lower layers. Here are two networks of such units, 64-64-32-8 and back. The first starts at layers
# that were learnt one by one for 50 epochs each. The second starts at random weights. A ``callback`` notes the R2 of
# held-out digits while the whole network is trained.
curves = {"layers first": [], "random start": []}


def note(name):
    def callback(epoch):
        if epoch.stage in ("", "all layers") and epoch.number % 5 == 0:
            curves[name].append((epoch.number, epoch.estimator.score(test / 16)))

    return callback


layer = {"hidden_layer_sizes": (), "likelihood": "bernoulli", "learning_rate_init": 0.01, "max_iter": 50}
whole = {"learning_rate_init": 0.01, "max_iter": 100, "tol": 0, "random_state": 0}
layers = [
    Autoencoder(64, code_activation="logistic", **layer),
    Autoencoder(32, code_activation="logistic", **layer),
    Autoencoder(8, **layer),
]
StackedAutoencoder(layers, callback=note("layers first"), **whole).fit(train / 16)
Autoencoder(
    8,
    hidden_layer_sizes=(64, 32),
    activation="logistic",
    likelihood="bernoulli",
    init="random",
    callback=note("random start"),
    **whole,
).fit(train / 16)
modern = Autoencoder(8, random_state=0).fit(train)

figure, ax = plt.subplots(figsize=(6.4, 3.8), layout="constrained")
for name, points in curves.items():
    ax.plot(*zip(*points, strict=True), label=f"logistic units, {name}")
ax.axhline(modern.score(test), color="C2", ls="--", label="Autoencoder(8) with its defaults")
ax.axhline(reconstruction_r2(PCA(8).fit(train), test), color="k", ls=":", label="PCA(8)")
ax.set(xlabel="epochs of the whole network", ylabel="held-out R2", title="8 numbers for a digit")
ax.legend(fontsize=9)
plt.show()

# %%
# From random weights, the network of logistic units ends about where PCA is. With layers first it is far above. The
# defaults of this package do better, without any layers first: units that are linear for large inputs, and a start at
# PCA.
#
# Few labels
# ----------
# What is left is the case of many rows and few labels. Three denoising layers are learnt from all training digits,
# without labels. A :class:`~skae.FineTunedClassifier` puts a softmax on them, and trains all of it on the digits that
# have a label. ``pretrain=False`` is the same network from its random start.
kind = {"hidden_layer_sizes": (), "code_activation": "silu", "init": "random", "max_iter": 40}
stack = StackedAutoencoder([DenoisingAutoencoder(k, **kind) for k in (256, 128, 64)], fine_tune=False, random_state=0)
pretrained = FrozenEstimator(stack.fit(train))

rows = []
for n in (5, 30):
    for seed in range(4):
        rng = np.random.default_rng(seed)
        known = np.concatenate([rng.choice(np.flatnonzero(y_train == c), n, replace=False) for c in range(10)])
        some = np.full(len(y_train), -1)
        some[known] = y_train[known]
        rows.append(
            {
                "labels a class": n,
                "layers first": FineTunedClassifier(pretrained, random_state=seed).fit(train, some).score(test, y_test),
                "random start": FineTunedClassifier(stack, pretrain=False, random_state=seed)
                .fit(train, some)
                .score(test, y_test),
                "LogisticRegression": LogisticRegression(max_iter=5000)
                .fit(train[known] / 16, y_train[known])
                .score(test / 16, y_test),
            }
        )
pd.DataFrame(rows).groupby("labels a class").mean().round(3)

# %%
# These are mean accuracies over four draws of the labels. With few labels, what was learnt without labels is worth some
# per cent over the random start. Logistic regression on the pixels is not far away. With many labels the gain is gone.

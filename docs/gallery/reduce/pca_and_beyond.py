"""
PCA as a linear autoencoder, and beyond
=======================================

What does an autoencoder find without any nonlinearity, and what with one? A linear :class:`~skae.Autoencoder` finds
the subspace of PCA. The pictures show that it does, and what bent data and digits gain when the code may bend too.
"""

# %%
# PCA projects rows on the :math:`k` directions of largest variance, and back. An autoencoder does the same in two steps
# that are learnt: an encoder :math:`h = f(x)` of :math:`k` numbers, and a decoder :math:`\hat x = g(h)`. Both minimise
#
# .. math:: \sum_n \| x_n - g(f(x_n)) \|^2
#
# If f and g are linear, this error has no local minimum but the global one, and there the code spans the subspace of
# PCA (Baldi and Hornik, 1989). The code itself need not be that of PCA: if :math:`h` is a good code, then so is any
# invertible :math:`A h`, whose inverse the decoder applies.
#
# A linear autoencoder
# --------------------
# ``hidden_layer_sizes=()`` leaves one linear layer each way. By default training would start at PCA, where nothing is
# left to learn, so we ask for random weights. The principal angles between the two subspaces tell how far apart they
# are: 0 degrees if they are the same, and 90 if a direction of one is not in the other at all.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from scipy.linalg import subspace_angles
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA, KernelPCA
from sklearn.model_selection import GridSearchCV, train_test_split

from skae import Autoencoder
from skae.metrics import reconstruct, reconstruction_r2

train, test = train_test_split(load_digits().data, random_state=0)
pca = PCA(5).fit(train)


def largest_angle(model):
    """The largest principal angle between PCA's subspace and that of a decoder, in degrees."""
    return np.rad2deg(subspace_angles(pca.components_.T, model.components_.T).max())


options = {"hidden_layer_sizes": (), "init": "random", "weight_decay": 0.0, "dtype": "float64", "random_state": 0}
options |= {"solver": "lbfgs", "max_iter": 1000, "tol": 1e-6}
curves, models = {}, {"PCA": pca}
for name, tied in {"untied weights": False, "tied weights": True}.items():
    curves[name] = []
    models[name] = Autoencoder(
        5,
        tied_weights=tied,
        callback=lambda epoch, angles=curves[name]: angles.append(largest_angle(epoch.estimator)),
        **options,
    ).fit(train)

scores = pd.DataFrame(columns=["held-out R2", "largest angle", "cosine of two axes", "correlation in the code"])
for name, model in models.items():
    axes = model.components_ / np.linalg.norm(model.components_, axis=1, keepdims=True)
    off_diagonal = ~np.eye(5, dtype=bool)
    scores.loc[name] = (
        reconstruction_r2(model, test),
        largest_angle(model),
        np.abs(axes @ axes.T)[off_diagonal].max(),
        np.abs(np.corrcoef(model.transform(train).T))[off_diagonal].max(),
    )

figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for name, angles in curves.items():
    ax.plot(range(1, len(angles) + 1), angles, label=name)
ax.set(xlabel="Epoch", ylabel="Largest angle to PCA's subspace (degrees)", xscale="log", yscale="log")
ax.legend()
plt.show()
scores.round(4)

# %%
# Both networks end in PCA's subspace, with PCA's error. With tied weights the decoder is the transpose of the
# encoder, and the axes are at right angles, as those of PCA are: :math:`W' W x` is a projection only then. Without
# ties, the axes are any basis of the subspace. In neither case are they PCA's own axes, in the order of their
# variance. So do not read single axes of a linear code; read those of PCA.
#
# A code that bends
# -----------------
# Now the same with hidden layers, on rows near a curve in the plane. One number a row should be enough to say where
# on the curve it lies. PCA can only draw a line. :class:`~sklearn.decomposition.KernelPCA` is the classical nonlinear
# rival: its code is linear in a space of kernels. We choose its width and its ridge by cross-validation on the
# training rows.
rng = np.random.default_rng(0)


def near_curve(n):
    angle = rng.uniform(0, 1.5 * np.pi, n)
    return np.c_[np.cos(angle), np.sin(angle)] + 0.08 * rng.normal(size=(n, 2))


curve_train, curve_test = near_curve(500), near_curve(500)
kernel = GridSearchCV(
    KernelPCA(1, kernel="rbf", fit_inverse_transform=True, eigen_solver="dense"),
    {"gamma": (0.1, 0.3, 1.0, 3.0), "alpha": (1e-3, 1e-2, 0.1, 1.0)},
    scoring=reconstruction_r2,
    cv=3,
)
models = {"PCA": PCA(1), "KernelPCA": kernel, "Autoencoder": Autoencoder(1, random_state=0)}
figure, axes = plt.subplots(1, 3, figsize=(9.6, 3.5), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    restored = reconstruct(model.fit(curve_train), curve_test)
    for x, x_hat in zip(curve_test[:80], restored[:80], strict=True):
        ax.plot(*zip(x, x_hat, strict=True), color="0.75", linewidth=0.8, zorder=0)
    ax.scatter(*curve_test.T, s=4, color="0.6", linewidths=0)
    ax.scatter(*restored.T, s=5, c=model.transform(curve_test)[:, 0], linewidths=0)
    ax.set(aspect="equal", xticks=[], yticks=[])
    ax.set_title(f"{name}, held-out R2 {reconstruction_r2(model, curve_test):.3f}", fontsize="medium")
plt.show()

# %%
# The colours are the code. Grey lines lead from held-out rows to where they come back.
#
# Digits
# ------
# Digits have 64 pixels, and nobody has drawn the curve for us. The same three, with 2 to 16 numbers a digit:
sizes = (2, 4, 8, 16)
models = {
    "PCA": PCA(),
    "KernelPCA": GridSearchCV(
        KernelPCA(kernel="rbf", fit_inverse_transform=True, random_state=0, alpha=1e-3, eigen_solver="randomized"),
        {"gamma": (1e-4, 3e-4, 1e-3)},
        scoring=reconstruction_r2,
        cv=3,
    ),
    "Autoencoder": Autoencoder(random_state=0),
}
scores = pd.DataFrame(index=pd.Index(sizes, name="n_components"))
for k in sizes:
    for name, model in models.items():
        getattr(model, "estimator", model).set_params(n_components=k)
        scores.loc[k, name] = reconstruction_r2(model.fit(train), test)
figure, ax = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
for (name, values), style in zip(scores.items(), ("^--", "s:", "o-"), strict=True):
    ax.plot(sizes, values, style, label=name, color="gray" if name == "PCA" else None)
ax.set(xlabel="n_components", ylabel="Held-out R2", ylim=(0, 1), xscale="log")
ax.set_xticks(sizes, sizes)
ax.minorticks_off()
ax.legend(loc="lower right")
plt.show()
scores.round(3)

# %%
# With two numbers a digit, the autoencoder restores about twice as much of the variance as PCA, and with more numbers
# the lead shrinks, since PCA has a direction left for everything that matters. KernelPCA bends the code too, but for
# the way back it has only a regression on the training rows, and here that costs what its code gains.
#
# If both curves are near 1 at the size that you need, take PCA: it is faster, and its components have an order.

"""
Choosing the number of components
=================================

How many numbers should a code have? :class:`~skae.Autoencoder` has no variance ratios to add up as PCA does, so
held-out scores must tell. The pictures show the reconstruction and the accuracy of a classifier on the code,
against the size.
"""

# %%
# PCA is fitted once, and its components come in the order of their variance: one adds up ``explained_variance_ratio_``
# until it is enough. The numbers of a learnt code have no order, so each size is a model of its own. There are three
# ways to choose, for three purposes.
#
# 1. If rows are to be restored: the smallest size with an error that you can bear.
# 2. If there is something to predict: the smallest size with which the prediction is as good as with more.
# 3. If there is nothing but rows: the elbow, after which a further number gains no more than it would on noise.
#
# All scores are those of rows that were not learnt from. On its training rows, a larger code always looks better.
#
# Where the answer is known
# -------------------------
# We bend a square, which needs two numbers, into 15 columns, and add noise. PCA needs as many components as the bent
# square has directions. If the autoencoder finds the square, its curve has an elbow at 2.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits, load_wine
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, compare

rng = np.random.default_rng(0)
square = rng.uniform(-1, 1, (2000, 2))
X = np.sin(square @ rng.normal(size=(2, 15)) + rng.uniform(0, 6, 15)) + 0.1 * rng.normal(size=(2000, 15))
bent = compare(X, None, [Autoencoder(random_state=0)], n_components=[1, 2, 3, 4], cv=2)
without_noise = 1 - 0.1**2 / X.var(axis=0).mean()

figure, ax = plt.subplots(figsize=(5.6, 3.5), layout="constrained")
styles = {
    "PCA": {"marker": "^", "linestyle": "--", "color": "gray"},
    "Autoencoder": {"marker": "o", "color": "tab:blue"},
}
for name, style in styles.items():
    bent.to_frame()["r2"].xs(name, level="reducer").plot(ax=ax, label=name, **style)
ax.axhline(without_noise, color="black", linewidth=0.8, linestyle=":", label="share of the square")
ax.set(xlabel="n_components", ylabel="Held-out R2", ylim=(0, 1.03), xticks=[1, 2, 3, 4])
ax.legend(loc="lower right")
plt.show()

# %%
# The dotted line is the share of the variance that the square has, and the rest is noise. After the elbow, the
# autoencoder gains only a little, because each further number restores some of the noise, here a fifteenth of it. PCA's
# curve rises on. It has no elbow at the true number, which it would have if the square were flat.
#
# Digits, and what they are for
# -----------------------------
# Real rows seldom have so sharp an elbow. :func:`~skae.compare` puts several scores on the same folds: R2, and
# the accuracies of a logistic regression and of five nearest neighbours on the code. The same two on all pixels show
# what there is to lose.
train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
comparison = compare(train, y_train, [Autoencoder(random_state=0)], n_components=[1, 2, 4, 8, 16, 32], cv=2)

scores = comparison.to_frame()
pixels = next(row for row in comparison.baselines if row["reducer"] == "all columns")
columns = {"r2": "R2", "linear": "Accuracy, logistic regression", "knn": "Accuracy, nearest neighbours"}
figure, axes = plt.subplots(1, 3, figsize=(10, 3.5), layout="constrained")
for ax, (column, title) in zip(axes, columns.items(), strict=True):
    for name, style in styles.items():
        values = scores[column].xs(name, level="reducer")
        values.plot(ax=ax, label=name, **style)
    if pixels[column] is not None:
        ax.axhline(pixels[column], color="black", linewidth=0.8, linestyle=":", label="64 pixels")
    ax.set_xscale("log", base=2)
    ax.set_xticks(values.index, values.index)
    ax.set(xlabel="n_components", title=title, ylim=(0, 1.03))
axes[1].legend(loc="lower right")
plt.show()

# %%
# The accuracy is as good as on all pixels at a size where R2 still rises: a class does not need the whole digit. PCA
# catches up with more components. If you can afford 32 numbers, there is little left to gain from an autoencoder.
#
# In a pipeline, before a classifier
# ----------------------------------
# If the code is a step before a classifier, let a :class:`~sklearn.model_selection.GridSearchCV` choose its size, and
# whether it is PCA. Fit the search on training rows only, and judge what it chose on rows that it has not seen. If
# settings of the classifier are searched too, ``Pipeline(steps, memory="cache")`` fits each code once for all of them.
X_train, X_test, y_train, y_test = train_test_split(*load_wine(return_X_y=True), test_size=0.4, random_state=0)
steps = [("scale", StandardScaler()), ("reduce", PCA()), ("classify", LogisticRegression())]
grid = {"reduce": [PCA(), Autoencoder(random_state=0)], "reduce__n_components": [1, 2, 3, 5]}
search = GridSearchCV(Pipeline(steps), grid, cv=5).fit(X_train, y_train)
print(f"chosen: {search.best_params_['reduce']}. Held-out accuracy {search.score(X_test, y_test):.3f}")
alone = Pipeline([steps[0], steps[2]]).fit(X_train, y_train)
print(f"without any reduction: {alone.score(X_test, y_test):.3f}")

# %%
# The search takes PCA, and the classifier is as good on all 13 columns. So nothing has to be reduced here, unless fewer
# numbers are wanted. The table shows the means over the folds and their spread. If several sizes are within the spread,
# take the smallest, and PCA before anything else.
results = pd.DataFrame(search.cv_results_)
results["reducer"] = [type(reducer).__name__ for reducer in results["param_reduce"]]
results = results.pivot(
    index="param_reduce__n_components", columns="reducer", values=["mean_test_score", "std_test_score"]
)
results.round(3)

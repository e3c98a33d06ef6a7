"""
Few labels
==========

Two labels a class, and many rows without: what are the other rows worth? A
:class:`~skae.SemiSupervisedAutoencoder` learns from both, beside models of scikit-learn.
"""

# %%
# Four models
# -----------
# Logistic regression sees the labelled rows and no others. ``SelfTrainingClassifier`` predicts the other labels, takes
# the surest for true, and fits again. ``LabelSpreading`` hands labels on to neighbours.
# :class:`~skae.SemiSupervisedAutoencoder` starts at logistic regression, and has three terms: the cross-entropy of the
# labelled rows, the reconstruction of all rows, and that noise on a row does not change what is predicted.
#
# ``y`` has -1 where the label is not known, as everywhere in scikit-learn.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier

from skae import SemiSupervisedAutoencoder, SemiSupervisedAutoencoderRegressor

logistic = LogisticRegression(max_iter=1000)
models = {
    "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(hidden_layer_sizes=(64,), max_iter=15, random_state=0),
    "LogisticRegression, labelled rows alone": logistic,
    "SelfTrainingClassifier": SelfTrainingClassifier(logistic, threshold=0.9),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7),
}

# %%
# Tumours and digits
# ------------------
# Each model is fitted to three quarters of the rows, of which a few a class have a label, and is judged on the other
# quarter. All have the settings above for both sets, ours a smaller network and fewer epochs than its defaults. Splits
# and labels are drawn four times.
X_tumours, y_tumours = load_breast_cancer(return_X_y=True)
X_digits, y_digits = load_digits(return_X_y=True)
tables = {"breast cancer": (StandardScaler().fit_transform(X_tumours), y_tumours), "digits": (X_digits / 16, y_digits)}
sizes = (2, 5, 20)

scores = []
for table, (X, y) in tables.items():
    for seed in range(4):
        train, test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=seed)
        rng = np.random.default_rng(seed)
        rows = [rng.permutation(np.flatnonzero(y_train == label)) for label in np.unique(y)]
        for n in sizes:
            known = np.concatenate([of_a_class[:n] for of_a_class in rows])
            few = np.full(len(y_train), -1)
            few[known] = y_train[known]
            for name, model in models.items():
                where = known if model is logistic else slice(None)
                with np.errstate(invalid="ignore"):  # LabelSpreading divides 0 by 0 at rows that no label reaches
                    accuracy = model.fit(train[where], few[where]).score(test, y_test)
                scores.append((table, n, name, accuracy))
scores = pd.DataFrame(scores, columns=["table", "labels a class", "model", "accuracy"])
grouped = scores.groupby(["table", "model", "labels a class"])["accuracy"]
mean, deviation = grouped.mean(), grouped.std()

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), layout="constrained")
for ax, table in zip(axes, tables, strict=True):
    for shift, name in zip((0.95, 0.98, 1.02, 1.05), models, strict=True):
        error = deviation[table, name] / np.sqrt(4)
        ax.errorbar(np.array(sizes) * shift, mean[table, name], error, fmt="o-", capsize=3, label=name)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.minorticks_off()
    ax.set(xlabel="labels a class", ylabel="held-out accuracy", title=table)
axes[1].legend(loc="lower right", fontsize=8)
plt.show()

# %%
# Bars are standard errors over the draws. On the measurements of tumours, the other rows are worth nothing: no model is
# better than logistic regression by more than the bars, and ``LabelSpreading`` with few labels is worse. On the digits,
# :class:`~skae.SemiSupervisedAutoencoder` is far above the models that see little or nothing of the other rows, and
# ``LabelSpreading`` is better still: digits are clusters of neighbours, and that is what it is made for. Whether other
# rows help depends on the data, so try both.
#
# ``LabelSpreading`` keeps all rows in memory, and has no code. :class:`~skae.SemiSupervisedAutoencoder` is a network
# that can be saved, takes chunks, and is a transformer too:
X, y = tables["digits"]
model = models["SemiSupervisedAutoencoder"].fit(X, np.where(np.arange(len(y)) < 100, y, -1))
print("codes:", model.transform(X).shape, " probabilities:", model.predict_proba(X).shape)

# %%
# Numbers
# -------
# :class:`~skae.SemiSupervisedAutoencoderRegressor` is the same for numbers, with NaN where the target is not known. It
# starts at ridge regression. Here the course of the disease is known of 20 or of 50 patients.
X, y = load_diabetes(return_X_y=True)
rows = []
for seed in range(4):
    train, test, y_train, y_test = train_test_split(StandardScaler().fit_transform(X), y, random_state=seed)
    for n in (20, 50):
        few = np.where(np.arange(len(train)) < n, y_train, np.nan)
        ours = SemiSupervisedAutoencoderRegressor(max_iter=15, random_state=0).fit(train, few)
        ridge = RidgeCV(np.logspace(-2, 3, 11)).fit(train[:n], y_train[:n])
        rows.append((n, ours.score(test, y_test), ridge.score(test, y_test)))
scores = pd.DataFrame(rows, columns=["targets known", "SemiSupervisedAutoencoderRegressor", "RidgeCV"])
scores.groupby("targets known").agg(["mean", "std"]).round(2)

# %%
# With 20 targets both know next to nothing, and ridge regression may be far worse than a guess. With 50 it is as good.

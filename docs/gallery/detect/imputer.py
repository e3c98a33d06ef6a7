"""
Missing values
==============

What stood in the gaps of a table? :class:`~skae.AutoencoderImputer` fills them in, beside the imputers of scikit-learn,
and is judged by entries that were hidden on purpose.
"""

# %%
# Half of the pixels
# ------------------
# Half of the pixels of these digits are hidden, at random. All imputers learn from 600 digits with as many gaps, and
# never see a whole digit. They then fill in a hundred others.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import AutoencoderImputer

digits = load_digits().data[:700]
rng = np.random.default_rng(0)
gappy = np.where(rng.random(digits.shape) < 0.5, np.nan, digits)
imputers = {
    "SimpleImputer": SimpleImputer(keep_empty_features=True),
    "KNNImputer": KNNImputer(keep_empty_features=True),
    "IterativeImputer": IterativeImputer(max_iter=5, tol=0.1, keep_empty_features=True, random_state=0),
    "AutoencoderImputer": AutoencoderImputer(keep_empty_features=True, random_state=0),
}


def error(filled, whole, gappy):
    return np.sqrt(np.square(filled - whole)[np.isnan(gappy)].mean())


strips = {"with gaps (red)": gappy[600:]}
for name, imputer in imputers.items():
    filled = imputer.fit(gappy[:600]).transform(gappy[600:])
    strips[f"{name}: error {error(filled, digits[600:], gappy[600:]):.2f} of 16 greys"] = filled
strips["as they are"] = digits[600:]

figure, axes = plt.subplots(6, 1, figsize=(7, 6.2), layout="constrained")
colours = plt.get_cmap("gray_r").with_extremes(bad="tab:red")
for ax, (name, rows) in zip(axes, strips.items(), strict=True):
    strip = np.hstack([np.pad(row.reshape(8, 8), 1) for row in rows[:12]])
    ax.imshow(np.ma.masked_invalid(strip), cmap=colours, vmin=0, vmax=16)
    ax.set(xticks=[], yticks=[])
    ax.set_title(name, fontsize=9, loc="left")
plt.show()

# %%
# The mean of a pixel knows nothing of the digit. Neighbours are found by the pixels that both have, which are a quarter
# of all. ``IterativeImputer`` predicts each column linearly from the others, again and again.
# :class:`~skae.AutoencoderImputer` starts at a Gaussian, which says the same for all columns at once, and networks
# improve the guess. ``trust_`` tells how far they are trusted: it is chosen by entries that were held out, and is 0
# where the Gaussian is best alone.
print(f"trust in the networks: {imputers['AutoencoderImputer'].trust_:.2f}")

# %%
# What is not linear
# ------------------
# A picture shows the difference. These points lie near a parabola, and one coordinate of the red ones is missing. A
# third column, which is not drawn, tells roughly how far to the right a point is. A linear guess leaves the curve.
t = rng.uniform(-1, 1, size=500)
whole = np.column_stack([t, t**2, t]) + rng.normal(size=(500, 3)) * [0.03, 0.03, 0.15]
holey = whole.copy()
holey[np.arange(0, 500, 2), rng.integers(0, 2, size=250)] = np.nan
incomplete = np.isnan(holey).any(axis=1)
panels = {"as they are": whole} | {name: imputer.fit_transform(holey) for name, imputer in imputers.items()}

figure, axes = plt.subplots(1, 5, figsize=(9.5, 2.4), sharex=True, sharey=True, layout="constrained")
for ax, (name, rows) in zip(axes, panels.items(), strict=True):
    ax.scatter(*rows[~incomplete, :2].T, s=4, color="0.75", linewidths=0)
    ax.scatter(*rows[incomplete, :2].T, s=7, color="tab:red", linewidths=0)
    ax.set(xticks=[], yticks=[])
    ax.set_title(name if rows is whole else f"{name}\nerror {error(rows, whole, holey):.2f}", fontsize=9)
plt.show()

# %%
# Neighbours do well here too, since two of the three columns are always there, and 500 points fill a curve.
#
# Gaps before a classifier
# ------------------------
# Mostly the entries themselves are not asked for, but a prediction. An imputer is a step of a pipeline. Each fold fits
# it to its training rows alone, and fills in the held-out rows from there. Boosted trees need no imputer.
tumours, is_benign = load_breast_cancer(return_X_y=True, as_frame=True)
whole_texture = tumours["mean texture"]
tumours = tumours.mask(rng.random(tumours.shape) < 0.5)
imputers["AutoencoderImputer"].set_params(max_iter=20)
models = {name: make_pipeline(StandardScaler(), imputer, LogisticRegression()) for name, imputer in imputers.items()}
models["no imputer, boosted trees"] = HistGradientBoostingClassifier(max_iter=50, random_state=0)
accuracy = {name: cross_val_score(model, tumours, is_benign, cv=3) for name, model in models.items()}
pd.DataFrame(accuracy).agg(["mean", "std"]).T.round(3)

# %%
# Imputers that look at several columns are ahead of the mean. The differences among them are about as large as those
# between folds: a better guess of the entries need not be a better prediction.
#
# How sure?
# ---------
# A filled table looks more certain than it is, because guesses vary less than what they stand for. With
# ``sample_posterior=True`` entries are drawn. Transform several times, estimate from each table, and compare the
# estimates. Here this is the standard deviation of the mean texture, estimated from half of its entries.
guess = imputers["AutoencoderImputer"].fit(tumours)
column = tumours.columns.get_loc("mean texture")
spread = {"all entries, which nobody has": whole_texture.std()}
spread["filled in by the mean"] = SimpleImputer().fit_transform(tumours)[:, column].std()
spread["filled in by the best guess"] = guess.transform(tumours)[:, column].std()
guess.set_params(sample_posterior=True)
draws = [guess.set_params(random_state=seed).transform(tumours)[:, column].std() for seed in range(10)]
spread["drawn ten times, mean"] = np.mean(draws)
spread["drawn ten times, smallest"] = np.min(draws)
spread["drawn ten times, largest"] = np.max(draws)
pd.Series(spread, name="standard deviation").to_frame().round(2)

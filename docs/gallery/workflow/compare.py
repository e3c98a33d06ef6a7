"""
A comparison that can be believed
=================================

Which reducer, and how many components? :func:`~skae.compare` cross-validates PCA, autoencoders and reducers of other
packages on the same folds, and :class:`~skae.inspection.ComparisonDisplay` draws the result.
"""

# %%
# One call
# --------
# Wines of three kinds have 13 measurements each, in different units: so all columns are standardised, by the training
# rows of each fold. Any transformer is a reducer, and so is a pipeline. PCA always takes part. Each reducer is fitted
# to the same training rows, and judged by the same held-out rows. With few rows one split says little, so that five
# folds are drawn twice. All reducers have their default settings.
import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.decomposition import KernelPCA

from skae import Autoencoder, compare
from skae.inspection import ComparisonDisplay

X, y = load_wine(return_X_y=True)
reducers = [Autoencoder(), KernelPCA(kernel="rbf", fit_inverse_transform=True)]
sizes = [1, 2, 4]
comparison = compare(X, y, reducers, n_components=sizes, cv=5, n_repeats=2, standardize=True)
print(comparison)

# %%
# R2 is the share of the variance of held-out rows that the code explains, on the scale of the standardised columns.
# "linear" and "kNN" are how often a linear model and five nearest neighbours on the code name the kind of wine. "kept"
# is the share of neighbours that stay neighbours. Stars mark the best, and ± is the standard deviation over the folds.
# Times are those of the machine that built this page.
#
# The lower two lines say what the others are worth: the same models on all columns, and a guess.
#
# The picture
# -----------
# Maps show held-out wines of one fold. Curves are means over all folds, and the shading is one standard deviation.
display = ComparisonDisplay.from_comparison(comparison)
plt.show()

# %%
# Is the difference real?
# -----------------------
# The folds are the same for all reducers. So compare fold by fold: some folds are hard for every reducer,
# and the difference leaves that out. ``comparison.folds`` has the score of each fold.
folds = pd.DataFrame(comparison.folds).pivot(index=["n_components", "fold"], columns="reducer")
gains = {}
for score in ("r2", "linear", "knn"):
    difference = folds[score, "Autoencoder"] - folds[score, "PCA"]
    by_size = difference.groupby("n_components")
    gains[score] = by_size.agg(lambda d: f"{d.mean():+.3f} ± {d.std():.3f}, better in {(d > 0).sum()} of {len(d)}")
pd.DataFrame(gains).rename_axis("Autoencoder less PCA:")

# %%
# With one number for a wine, the autoencoder is better in R2 and for both models, in all folds or nearly all. With two
# it still explains more, but for models that name the kind of wine PCA is as good, and kernel PCA a little better.
# Classes that a linear model tells apart do not need a network. The training rows of folds overlap, so that the spread
# looks smaller than that of new tables would be.
#
# ``scoring`` takes further scorers, each as another column. ``n_jobs=2`` computes fits side by side,
# ``resume="folder"`` lets a long comparison go on after it was killed, and ``python -m skae compare wine
# --standardize`` writes all of this as one page of HTML too.

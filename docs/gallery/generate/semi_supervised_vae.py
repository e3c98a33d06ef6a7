"""
A few labels teach a model to draw each class
=============================================

A :class:`~skae.SemiSupervisedVariationalAutoencoder` learns from many digits, of which five a class have a label. It
classifies the others, and it draws every class in every style.
"""

# %%
# A class :math:`y` and a style :math:`h` are drawn, and a row from :math:`p(x \mid h, y)`. For rows with a label the
# bound of :math:`\log p(x, y)` is learnt, and for the others that of
#
# .. math:: \log p(x) = \log \sum_y p(x, y),
#
# with a classifier :math:`q(y \mid x)` for the unknown class. So rows without a label teach the classifier too.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.semi_supervised import LabelSpreading

from skae import SemiSupervisedAutoencoder, SemiSupervisedVariationalAutoencoder
from skae.inspection import ReconstructionDisplay

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X / 16, y, random_state=0)


def few_labels(n, seed):
    """So many labels of each class, drawn at random, and -1 for the other rows."""
    rng = np.random.default_rng(seed)
    known = np.concatenate([rng.permutation(np.flatnonzero(y_train == label))[:n] for label in range(10)])
    return np.where(np.isin(np.arange(len(y_train)), known), y_train, -1)


# %%
# Accuracy
# --------
#
# Beside it stand a logistic regression of the labels alone, :class:`~skae.SemiSupervisedAutoencoder`, which has no
# density and takes a fraction of the time, and scikit-learn's :class:`~sklearn.semi_supervised.LabelSpreading` on a
# graph of neighbours.
few = few_labels(5, seed=0)
known = few >= 0
generative = SemiSupervisedVariationalAutoencoder(hidden_layer_sizes=(64,), max_iter=25, random_state=0)
models = {
    "SemiSupervisedVariationalAutoencoder": generative.fit(train, few),
    "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(random_state=0).fit(train, few),
    "LabelSpreading": LabelSpreading(kernel="knn", n_neighbors=7).fit(train, few),
    "LogisticRegression, labels alone": LogisticRegression(max_iter=5000).fit(train[known], few[known]),
}
scores = {name: model.score(test, y_test) for name, model in models.items()}
pd.Series(scores, name="accuracy on held-out digits").to_frame().round(3)

# %%
# All that use the other rows are ahead of the logistic regression. If accuracy is all you want, take LabelSpreading or
# :class:`~skae.SemiSupervisedAutoencoder` on such a table: they are better here, and much quicker.
#
# What a classifier cannot do
# ---------------------------
#
# The model of five labels a class draws each class in each style. A line is one style, and a column one class.
styles = generative.sample_codes(6, random_state=0)
lines = {
    f"style {k + 1}": generative.inverse_transform(np.tile(style, (10, 1)), np.arange(10)).clip(0, 1)
    for k, style in enumerate(styles)
}
figure, ax = plt.subplots(figsize=(7, 3.8), layout="constrained")
ReconstructionDisplay(rows=lines, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("Decoded classes 0 to 9, after five labels a class", fontsize="medium")
plt.show()

# %%
# The style of a given digit can be kept, and its class changed. On the left are held-out digits, and to the right of
# each are all classes in its style.
lines = {}
for k, row in enumerate((0, 4, 9)):
    style = generative.transform(test[[row]], y_test[[row]])
    lines[f"a {y_test[row]} ({k + 1})"] = np.vstack(
        [test[[row]], generative.inverse_transform(style.repeat(10, axis=0), np.arange(10)).clip(0, 1)]
    )
figure, ax = plt.subplots(figsize=(7, 2.2), layout="constrained")
ReconstructionDisplay(rows=lines, image_shape=(8, 8)).plot(ax, cmap="gray_r")
plt.show()

"""
Fine-tuning an encoder
======================

An encoder learns from all rows, and is then trained on with the labels that there are. When does that pay? A
:class:`~skae.FineTunedClassifier` is compared with the same network without its past.
"""

# %%
# Three steps
# -----------
# First, an encoder learns from all digits, without labels. Here it is a :class:`~skae.DenoisingAutoencoder` with two
# hidden layers. Second, a softmax on its code learns from the digits that have a label: this alone is logistic
# regression on the code. Third, all layers are trained together on the labelled digits.
#
# The encoder is fitted once. ``FrozenEstimator`` says that it is to be taken as it is, and not to be fitted again. The
# classifier trains a copy.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_diabetes, load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeCV
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import DenoisingAutoencoder, FineTunedClassifier, FineTunedRegressor

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X, y, train_size=1300, stratify=y, random_state=0)
encoder = DenoisingAutoencoder(32, hidden_layer_sizes=(256, 128), init="random", random_state=0).fit(train)
pretrained = FrozenEstimator(encoder)


def few_labels(n, seed):
    order = np.random.default_rng(seed).permutation(len(y_train))
    known = np.concatenate([order[y_train[order] == label][:n] for label in range(10)])
    some = np.full(len(y_train), -1)
    some[known] = y_train[known]
    return known, some


# %%
# What is gained
# --------------
# ``pretrain=False`` leaves the first step out: the same network starts at random weights. "Frozen" leaves the third
# step out. Logistic regression on the pixels leaves all of it out. Labels are drawn three times.
sizes = (2, 5, 10, 30)
names = ("fine-tuned", "frozen encoder", "random start", "LogisticRegression")
scores = np.empty((len(names), len(sizes), 3))
for i, n in enumerate(sizes):
    for seed in range(3):
        known, some = few_labels(n, seed)
        codes = make_pipeline(pretrained, StandardScaler(), LogisticRegression(max_iter=1000))
        models = [
            FineTunedClassifier(pretrained, random_state=seed).fit(train, some),
            codes.fit(train[known], y_train[known]),
            FineTunedClassifier(encoder, pretrain=False, random_state=seed).fit(train, some),
            LogisticRegression(max_iter=5000).fit(train[known], y_train[known]),
        ]
        scores[:, i, seed] = [model.score(test, y_test) for model in models]

figure, ax = plt.subplots(figsize=(6.6, 4), layout="constrained")
for shift, name, values in zip((0.95, 0.98, 1.02, 1.05), names, scores, strict=True):
    mean = values.mean(axis=1)
    reach = np.abs(np.stack([values.min(axis=1), values.max(axis=1)]) - mean)
    ax.errorbar(np.array(sizes) * shift, mean, reach, fmt="o-", capsize=3, label=name)
ax.set_xscale("log")
ax.set_xticks(sizes, [str(n) for n in sizes])
ax.minorticks_off()
ax.set(xlabel="labels a class, of 1300 rows", ylabel="held-out accuracy", title="digits: mean and range of three draws")
ax.legend(loc="lower right")
plt.show()

# %%
# With few labels, the network needs its past: from random weights it does worst of all. But logistic regression on the
# pixels, which has few parameters, is as good as the pretrained network. With many labels, the two networks are ahead
# of what is linear, and the past no longer matters. Training all layers adds little to the frozen encoder until then.
# On digits with few labels, a :class:`~skae.SemiSupervisedAutoencoder`, which uses all rows while it learns the
# labels, does better than any of these.
#
# Numbers
# -------
# :class:`~skae.FineTunedRegressor` is the same for numbers. The disease of 50 patients is known, and the measurements
# of all. Ridge regression sees the 50 alone.
X, y = load_diabetes(return_X_y=True)
rows = []
for seed in range(3):
    train, test, y_train, y_test = train_test_split(X, y, random_state=seed)
    some = np.where(np.arange(len(train)) < 50, y_train, np.nan)
    encoder = DenoisingAutoencoder(8, random_state=seed)
    rows.append(
        {
            "fine-tuned": FineTunedRegressor(encoder, random_state=seed).fit(train, some).score(test, y_test),
            "random start": FineTunedRegressor(encoder.set_params(init="random"), pretrain=False, random_state=seed)
            .fit(train, some)
            .score(test, y_test),
            "RidgeCV": RidgeCV(np.logspace(-3, 3, 13)).fit(train[:50], y_train[:50]).score(test, y_test),
        }
    )
pd.DataFrame(rows).agg(["mean", "min", "max"]).T.round(2)

# %%
# The gain over the random start is large, and it is not enough: the targets are nearly linear in the measurements, and
# 50 of them teach ridge regression more. Pretraining is for deep networks, and for rows in which a linear model sees
# little. ``n_frozen`` and ``max_iter`` say how long the second and the third step last.

"""
A deep belief net
=================

Restricted Boltzmann machines on each other, with labels at the top: a :class:`~skae.DeepBeliefNetwork` classifies, and
draws digits by class.
"""

# %%
# Labels at the top
# -----------------
# The pixels are made black or white. The first layer is a restricted Boltzmann machine of the pixels, the second one
# of the states of the first. With ``labels=True`` the label is a unit of the top machine, beside the layer below. So
# the network has a density of pixels and labels together,
#
# .. math:: p(x, y) = \sum_{z} p(x \mid z)\, p(z, y),
#
# and can be asked for the label given the pixels.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score, train_test_split
from sklearn.naive_bayes import BernoulliNB
from sklearn.neighbors import KNeighborsClassifier

from skae import DeepBeliefNetwork

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split((X > 8).astype(float), y, stratify=y, random_state=0)
options = {"hidden_layer_sizes": (64,), "visible": "bernoulli", "random_state": 0}
network = DeepBeliefNetwork(128, labels=True, **options).fit(train, y_train)
naive = BernoulliNB().fit(train, y_train)
models = {
    "BernoulliNB": naive,
    "DeepBeliefNetwork(labels=True)": network,
    "LogisticRegression": LogisticRegression(max_iter=1000).fit(train, y_train),
}
accuracy = {name: model.score(test, y_test) for name, model in models.items()}
pd.Series(accuracy, name="held-out accuracy").to_frame().round(3)

# %%
# Naive Bayes also has a density of pixels and labels. It takes the pixels of a class for independent. The network does
# not, and is more often right. Logistic regression learns nothing but labels, and is as good at them, in far less time.
# To use the layers for labels alone, a :class:`~skae.FineTunedClassifier` trains them on.
#
# Digits by class
# ---------------
# In return it can draw. ``sample(y=...)`` holds the label fast, and lets the chain of the top machine run. Naive Bayes
# draws each pixel of a class by itself.
n_each = 100
labels = np.repeat(np.arange(10), n_each)
by_network = network.sample(len(labels), n_steps=200, y=labels)
p = np.exp(naive.feature_log_prob_)[labels]
by_pixels = (np.random.default_rng(0).random(p.shape) < p).astype(float)

reader = KNeighborsClassifier(3).fit(test, y_test)
drawn = {"real digits": train, "pixel by pixel": by_pixels, "by the network": by_network}
labels_of = {"real digits": y_train, "pixel by pixel": labels, "by the network": labels}
figure, axes = plt.subplots(1, 3, figsize=(9, 4), layout="constrained")
for ax, (name, rows) in zip(axes, drawn.items(), strict=True):
    shown = np.stack([rows[labels_of[name] == label][:8] for label in range(10)]).reshape(10, 8, 8, 8)
    padded = np.pad(shown, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=0.3)
    ax.imshow(padded.transpose(0, 2, 1, 3).reshape(100, 80), cmap="gray_r", interpolation="nearest")
    ax.set_title(f"{name}\nread as meant: {reader.score(rows, labels_of[name]):.2f}", fontsize=10)
    ax.set(xticks=[], yticks=np.arange(10) * 10 + 4.5, yticklabels=range(10))
    ax.tick_params(length=0)
plt.show()

# %%
# "Read as meant" is how often the three nearest held-out digits are of the class that was asked for. Do the drawn
# digits look real? A random forest tries to tell them from held-out digits, and 0.5 would be chance.
told = {}
for name in ("pixel by pixel", "by the network"):
    some = drawn[name][np.random.default_rng(0).permutation(len(labels))[: len(test)]]
    is_drawn = np.repeat([False, True], len(test))
    forest = RandomForestClassifier(random_state=0)
    told[name] = cross_val_score(forest, np.concatenate([test, some]), is_drawn, cv=5).mean()
pd.Series(told, name="told from real").to_frame().round(2)

# %%
# So the digits of the network are more like real ones, and more of them look like another digit: the class has only a
# few of the units to pull with, and the chain wanders off.
#
# Is deeper better?
# -----------------
# The density of rows that were held out answers that. It can be computed up to a bound. Greedy layers, each learnt on
# the one below, do not have to raise it. Up-down learning trains all layers together. All have few epochs here.
independent = (train.sum(axis=0) + 0.5) / (len(train) + 1)
nats = {"independent pixels": -(test @ np.log(independent) + (1 - test) @ np.log1p(-independent)).mean()}
for name, sizes, n_epochs in (
    ("1 layer, an RBM", (), 0),
    ("2 layers", (64,), 0),
    ("2 layers, then up-down", (64,), 15),
):
    model = DeepBeliefNetwork(
        64, hidden_layer_sizes=sizes, up_down_iter=n_epochs, max_iter=60, visible="bernoulli", random_state=0
    ).fit(train)
    nats[name] = -model.score(test)
figure, ax = plt.subplots(figsize=(6.4, 2.4), layout="constrained")
bars = ax.barh(list(nats), list(nats.values()), color=["0.7", "C0", "C0", "C0"])
ax.bar_label(bars, fmt="%.1f", padding=3)
ax.invert_yaxis()
ax.set(xlim=(0, 1.15 * max(nats.values())), xlabel="nats, less is better")
ax.set_title("-log p(x) of held-out digits, or its bound", fontsize=10)
plt.show()

# %%
# On pictures as small as these, a second layer gains nothing. For a density take a single :class:`~skae.RBM` first.

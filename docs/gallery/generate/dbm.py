"""
A deep Boltzmann machine fills in half of a digit
=================================================

What the two layers of a :class:`~skae.DeepBoltzmannMachine` look for, what it draws beside shallower machines, and how
it completes digits of which the lower half is missing, beside the mean of neighbours.
"""

# %%
# A deep Boltzmann machine is an :class:`~skae.RBM` with further hidden layers on top. All weights are undirected, so
# that a unit between two layers listens to both:
#
# .. math:: p(x, h_1, h_2) = \frac{1}{Z} \exp(a_0'x + a_1'h_1 + a_2'h_2 + h_1'W_1 x + h_2'W_2 h_1).
#
# Three machines learn black-and-white digits. A :class:`~skae.DeepBeliefNetwork` has the same layers, but its lower
# weights are directed downwards.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import KNNImputer
from sklearn.model_selection import cross_val_score, train_test_split

from skae import RBM, DeepBeliefNetwork, DeepBoltzmannMachine
from skae.inspection import FilterDisplay, ReconstructionDisplay

train, test = train_test_split((load_digits().data > 7).astype(float), random_state=0)
options = {"visible": "bernoulli", "max_iter": 60, "random_state": 0}
deep = DeepBoltzmannMachine(64, hidden_layer_sizes=(64,), **options).fit(train)
models = {
    "RBM": RBM(64, **options).fit(train),
    "DeepBeliefNetwork": DeepBeliefNetwork(64, hidden_layer_sizes=(64,), **options).fit(train),
    "DeepBoltzmannMachine": deep,
}

# %%
# A unit of the first layer looks for a stroke or a spot. A unit of the second one looks for a pattern of the first: its
# weights, times those of the first layer, are shown below. They are larger shapes.
first, second = deep.coefs_
layers = {"first layer": first.T, "second layer": second.T @ first.T}
figure, axes = plt.subplots(1, 2, figsize=(9, 2.7), layout="constrained")
for ax, (name, weights) in zip(axes, layers.items(), strict=True):
    strongest = np.argsort(-np.square(weights).sum(axis=1))[:28]
    FilterDisplay(filters=weights[strongest], image_shape=(8, 8), n_columns=7).plot(ax)
    ax.set_title(f"The 28 largest weight vectors of the {name}", fontsize="medium")
plt.show()

# %%
# All three draw digits. Beside them stands the mean log-likelihood of held-out digits, or its lower bound for the two
# deep machines.
drawn = {name: model.sample(14, random_state=0) for name, model in models.items()}
lines = {"real": test[:14]} | {f"{name}\n{models[name].score(test):.1f} nats": rows for name, rows in drawn.items()}
figure, ax = plt.subplots(figsize=(10, 3.1), layout="constrained")
ReconstructionDisplay(rows=lines, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("Drawn digits", fontsize="medium")
plt.show()

# %%
# Depth does not pay on this small table: as a density the plain RBM is as good, and easier to score. What an undirected
# model is for is the next question.
#
# What is missing, given what is there
# ------------------------------------
#
# Of held-out digits the lower half is hidden (NaN). ``sample_given`` runs chains in which the known pixels stay as they
# are, and draws the others. Twenty draws have a mean, which is the machine's best guess of each pixel. The simple thing
# beside it is the mean of the 20 training digits whose upper halves are nearest.
lower = np.arange(64) >= 32
halves = np.where(lower, np.nan, test)
draws = [deep.sample_given(halves, n_steps=40, random_state=k) for k in range(20)]
guesses = {"mean of 20 neighbours": KNNImputer(n_neighbors=20).fit(train).transform(halves)}
guesses["mean of 20 draws"] = np.mean(draws, axis=0)
guesses["one draw"] = draws[0]

lines = {"real": test, "given": np.where(lower, 0.25, test)} | guesses | {"another draw": draws[1]}
figure, ax = plt.subplots(figsize=(10, 4.2), layout="constrained")
ReconstructionDisplay(rows={name: rows[:14] for name, rows in lines.items()}, image_shape=(8, 8)).plot(
    ax, cmap="gray_r"
)
ax.set_title("Lower halves filled in", fontsize="medium")
plt.show()

# %%
# Two measures of the same halves disagree, and both are right. The first is the share of wrong pixels, if each pixel is
# taken to be what is more probable: neighbours are better. The second asks a forest, which has seen others, to tell
# filled-in digits from real ones. It knows most of the means, although they were made black and white, and a draw
# hardly better than by chance (0.5).


def wrong_pixels(guess):
    return ((guess > 0.5) != test)[:, lower].mean()


def told_from_real(guess):
    rows, is_filled = np.concatenate([test, guess > 0.5]), np.repeat([0, 1], len(test))
    return cross_val_score(RandomForestClassifier(50, random_state=0), rows, is_filled, cv=3).mean()


measures = {name: [wrong_pixels(guess), told_from_real(guess)] for name, guess in guesses.items()}
pd.DataFrame(measures, index=["wrong pixels", "told from real by a forest"]).T.round(3)

# %%
# To fill gaps with small error take :class:`~sklearn.impute.KNNImputer`, or :class:`~skae.AutoencoderImputer`. To see
# which whole digits would fit to what is known, draw.

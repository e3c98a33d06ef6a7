"""
Digits of a class, and the other half of a digit
================================================

A :class:`~skae.ConditionalVariationalAutoencoder` learns the density of rows given something that is known: here the
class of a digit, or its upper half. What the condition leaves open is in the code.
"""

# %%
# Both networks are told the condition :math:`y`: :math:`q(h \mid x, y)` finds the code, and :math:`p(x \mid h, y)`
# decodes it. Given the class of a digit, what is left is the handwriting. So if one code is decoded under all ten
# conditions, all ten digits should come out in one handwriting.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LinearRegression
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsRegressor
from sklearn.svm import SVC

from skae import ConditionalVariationalAutoencoder
from skae.inspection import ReconstructionDisplay

train, test, y_train, y_test = train_test_split(*load_digits(return_X_y=True), random_state=0)
model = ConditionalVariationalAutoencoder(2, random_state=0).fit(train, y_train)
codes = model.sample_codes(10, random_state=0)
codes = codes[np.argsort(codes[:, 0])]
lines = {str(label): model.inverse_transform(codes, np.full(10, label)).clip(0, 16) for label in range(10)}
figure, ax = plt.subplots(figsize=(5, 5), layout="constrained")
ReconstructionDisplay(rows=lines, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("A class in each line, a code in each column", fontsize="medium")
plt.show()

# %%
# The simple thing beside it is one Gaussian for each class. Two questions are asked of both: how probable are held-out
# digits of a given class, and how often does a support vector machine, which has learnt to read from the held-out
# digits, read drawn digits as the class that was asked for? The Gaussians have full covariances, with the same small
# number added to all variances.
gaussians = [GaussianMixture(1, reg_covar=0.1, random_state=0).fit(train[y_train == label]) for label in range(10)]
asked = np.repeat(np.arange(10), 50)
drawn = {
    "conditional autoencoder": model.sample(y=asked, random_state=0),
    "a Gaussian for each class": np.concatenate([gaussian.sample(50)[0] for gaussian in gaussians]),
}
reader = SVC().fit(test, y_test)
likelihoods = [model.score(test, y_test)]
likelihoods.append(np.mean([gaussians[label].score_samples([x])[0] for x, label in zip(test, y_test, strict=True)]))
pd.DataFrame(
    {
        "nats a held-out digit": likelihoods,
        "read as asked": [(reader.predict(rows) == asked).mean() for rows in drawn.values()],
    },
    index=list(drawn),
).round(3)

# %%
# With few classes and many rows of each, Gaussians are the better density: digits have pixels that are never inked in
# one class, which a full covariance describes. But they have no handwriting that classes share, and need a class: they
# cannot be asked for the condition below.
#
# The upper half as the condition
# -------------------------------
#
# Now the condition is 32 numbers, the upper half of the digit, and the row is the lower half. Often several endings are
# possible. A regression answers with their mean, which is blurred. Each draw of the model decides for one.
(train_upper, train_lower), (upper, lower) = np.hsplit(train, 2), np.hsplit(test, 2)
completion = ConditionalVariationalAutoencoder(4, random_state=0).fit(train_lower, train_upper)
draws = [
    completion.inverse_transform(completion.sample_codes(len(test), random_state=seed), upper) for seed in range(30)
]
guesses = {
    "linear regression": LinearRegression().fit(train_upper, train_lower).predict(upper),
    "mean of 10 neighbours": KNeighborsRegressor(10).fit(train_upper, train_lower).predict(upper),
    "mean of 30 draws": np.mean(draws, axis=0),
    **{f"draw {k + 1}": draws[k] for k in range(3)},
}
halves = {"the digit": lower, "given": np.full_like(lower, 4.0)} | guesses
lines = {name: np.hstack([upper, half])[:12].clip(0, 16) for name, half in halves.items()}
figure, ax = plt.subplots(figsize=(10, 4.8), layout="constrained")
ReconstructionDisplay(rows=lines, image_shape=(8, 8)).plot(ax, cmap="gray_r")
ax.set_title("The lower half of held-out digits, given the upper half", fontsize="medium")
plt.show()

# %%
# If one guess with a small error is all you need, take neighbours. The error of a single draw is larger by nature,
# since it also holds what nobody can know.
errors = {name: np.square(guess - lower).mean() for name, guess in guesses.items()}
pd.Series(errors, name="squared error of a pixel").to_frame().round(1)

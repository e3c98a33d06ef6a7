"""
Watching a fit
==============

Has the training converged, has it gone too far, or has it learnt nothing at all? What ``history_``, a callback and
early stopping show, and what the warnings say, for :class:`~skae.Autoencoder` and its relatives.
"""

# %%
# A good fit
# ----------
# Every fitted model has a ``history_`` with a list for each term of the loss, one value an epoch.
# :class:`~skae.inspection.LearningCurveDisplay` draws it. By default the learning rate rises and then falls to zero, so
# that the curve is flat at its end.
import warnings

import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skae import Autoencoder, VariationalAutoencoder
from skae.inspection import LearningCurveDisplay

train, test = train_test_split(load_digits().data, random_state=0)
model = Autoencoder(8, random_state=0).fit(train)
print({name: [round(value, 2) for value in values[:4]] for name, values in model.history_.items()}, "...")
display = LearningCurveDisplay.from_estimator(model)
display.figure_.set_size_inches(6, 3)
plt.show()

# %%
# A function of yours
# -------------------
# The loss is that of the training rows, and it is on a scale of its own. A ``callback`` is called after each epoch, and
# can look at what interests you. ``epoch.estimator`` is a fitted copy with the weights of that epoch. Here the callback
# notes the R2 of training and held-out rows, for many rows and for few.
notes = {}


def noting(name, rows):
    notes[name] = []

    def callback(epoch):
        if epoch.number % 5 == 0:
            notes[name].append((epoch.number, epoch.estimator.score(rows), epoch.estimator.score(test)))

    return callback


Autoencoder(8, max_iter=80, random_state=0, callback=noting("1347 rows", train)).fit(train)
Autoencoder(8, max_iter=160, random_state=0, callback=noting("100 rows", train[:100])).fit(train[:100])

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), sharey=True, layout="constrained")
for ax, (name, values) in zip(axes, notes.items(), strict=True):
    epochs, of_train, of_test = zip(*values, strict=True)
    ax.plot(epochs, of_train, label="training rows")
    ax.plot(epochs, of_test, label="held-out rows")
    ax.set(xlabel="epoch", title=f"fitted to {name}")
axes[0].set_ylabel("R2")
axes[1].legend()
plt.show()

# %%
# With few rows the two curves part: the network learns the rows by heart. A callback that returns True ends the
# training, and the best weights so far are kept.
#
# Early stopping
# --------------
# ``early_stopping=True`` puts a tenth of the rows away, scores them after each epoch, keeps the weights of the best
# epoch, and stops when it has not been surpassed for a while. The dashed curve is that of the rows that were put away.
model = Autoencoder(8, early_stopping=True, max_iter=400, random_state=0).fit(train[:300])
display = LearningCurveDisplay.from_estimator(model)
display.figure_.set_size_inches(6, 3)
print(f"{model.n_iter_} of at most 400 epochs, R2 of other rows {model.score(test):.2f}")
plt.show()

# %%
# Bad fits
# --------
# Most fits that have not learnt what they could say so, with the cure. Here are four bad ones. In the first, the
# learning rate stays where it is, and there are too few epochs. In the second, the rate is much too high, and the loss
# jumps. In the third, the weight of the divergence is so large that the code of a variational model says nothing. In
# the last, the rate is higher still, and the loss is no number any more.
bad = {
    "too few epochs": Autoencoder(8, learning_rate="constant", max_iter=15, random_state=0),
    "rate too high": Autoencoder(8, learning_rate_init=1.0, max_iter=40, random_state=0),
    "nothing in the code": VariationalAutoencoder(8, beta=50.0, max_iter=20, random_state=0),
    "rate far too high": Autoencoder(8, solver="sgd", learning_rate_init=10.0, max_grad_norm=None, random_state=0),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 2.8), layout="constrained")
for k, (name, model) in enumerate(bad.items()):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            model.fit(train)
            axes[k].plot(model.history_["loss"], color="k")
            axes[k].set(title=f"{name}\nheld-out score {model.score(test):.2f}", xlabel="epoch")
        except ValueError as error:
            print(f"{name}: {type(error).__name__}\n    {error}\n")
    if not caught and hasattr(model, "history_"):
        print(f"{name}: no warning\n")
    for warning in caught:
        print(f"{name}: {warning.category.__name__}\n    {warning.message}\n")
axes[0].set_ylabel("loss")
axes[1].set_yscale("log")
plt.show()

# %%
# The second model has no warning, because its code says something, and the weights of its best epoch are kept. So look
# at the curve: it jumps. The score of the third model is a bound of the log-likelihood in nats, and the others have
# R2.
#
# To make an error of such a warning, in a script that nobody watches, say
# ``warnings.simplefilter("error", skae.exceptions.NothingLearntWarning)``.

"""
Dropout
=======

Does it help an autoencoder to silence units or inputs by chance while it learns? It depends on the number of rows.
"""

# %%
# ``dropout`` silences hidden units, and ``input_dropout`` entries of the row, each with a given probability, in each
# step of the training anew. Those that are left are scaled up. ``transform`` and ``score`` are free of noise. Here
# :class:`~skae.Autoencoder` learns eight numbers for a digit from few rows and from many. R2 is that of 450 digits that
# were held out.
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import Autoencoder
from skae.metrics import reconstruction_r2

train, test = train_test_split(load_digits().data, random_state=0)
sizes = (40, 80, 160, 320, 640, 1300)
settings = {
    "no dropout": {},
    "dropout=0.1": {"dropout": 0.1},
    "input_dropout=0.1": {"input_dropout": 0.1},
    "weight_decay=2": {"weight_decay": 2.0},
}
known, held_out = {}, {}
for name, options in settings.items():
    models = [Autoencoder(8, random_state=0, **options).fit(train[:n]) for n in sizes]
    known[name] = [model.score(train[:n]) for n, model in zip(sizes, models, strict=True)]
    held_out[name] = [model.score(test) for model in models]
models = [PCA(8).fit(train[:n]) for n in sizes]
known["PCA"] = [reconstruction_r2(model, train[:n]) for n, model in zip(sizes, models, strict=True)]
held_out["PCA"] = [reconstruction_r2(model, test) for model in models]

figure, axes = plt.subplots(1, 2, figsize=(9, 3.8), sharey=True, layout="constrained")
for ax, title, scores in zip(axes, ("training rows", "held-out rows"), (known, held_out), strict=True):
    for name, values in scores.items():
        ax.plot(sizes, values, "k--" if name == "PCA" else "o-", label=name)
    ax.set_xscale("log")
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.minorticks_off()
    ax.set(xlabel="training rows", title=f"R2 of {title}")
axes[1].legend()
plt.show()

# %%
# On the left are the rows that were learnt. With few of them, the network knows them nearly by heart. The sign is the
# large distance to the held-out rows on the right. There both kinds of dropout help, and a strong ``weight_decay``,
# which pulls the model back to PCA, helps less. With the fewest rows, PCA is as good as any of them. With many rows,
# little is learnt by heart, and dropout gains nothing.
#
# So look at both scores before you add noise. More rows are better than any of the cures.

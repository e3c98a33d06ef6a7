"""
100 000 rows
============

How long does it take until an autoencoder has something to show, and must the table fit into memory? Rows come from an
array, a Parquet file and a generator of chunks, and :class:`~skae.Autoencoder` takes them all.
"""

# %%
# Rows that are not linear
# ------------------------
# The table is simulated: 40 columns depend on five hidden numbers, and noise is added. The last 20 000 rows are held
# out.
import pathlib
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA, IncrementalPCA

from skae import Autoencoder
from skae.metrics import reconstruction_r2

rng = np.random.default_rng(0)
hidden = rng.normal(size=(120_000, 5))
columns = np.sin(hidden @ rng.normal(size=(5, 40)) + rng.uniform(0, 6, 40)) + rng.normal(scale=0.1, size=(120_000, 40))
train, test = columns[:100_000].astype("float32"), columns[100_000:].astype("float32")

# %%
# Time to a result
# ----------------
# A fit takes half as many steps as there are rows, but at most 4000. So beyond 8000 rows it takes no longer.
# Rows beyond that are not wasted: each step sees others. The times below are those of the machine that built
# this page.
results, models = [], {}
for n in (300, 1_000, 3_000, 10_000, 100_000):
    for name, model in (
        ("PCA", PCA(5)),
        ("Autoencoder", Autoencoder(5, hidden_layer_sizes=(128, 64), random_state=0)),
    ):
        start = time.process_time()
        models[name, n] = model.fit(train[:n])
        results.append((n, name, time.process_time() - start, reconstruction_r2(model, test)))
results = pd.DataFrame(results, columns=["rows", "model", "seconds", "R2"])

figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for name, of_model in results.groupby("model"):
    style = "k--" if name == "PCA" else "o-"
    axes[0].plot(of_model["rows"], of_model["R2"], style, label=name)
    axes[1].plot(of_model["rows"], of_model["seconds"], style, label=name)
axes[0].set(xscale="log", xlabel="training rows", ylabel="held-out R2", title="five numbers a row")
axes[1].set(xscale="log", yscale="log", xlabel="training rows", ylabel="seconds", title="processor time of a fit")
axes[0].legend()
plt.show()

# %%
# PCA is done at once, and cannot use more rows: what is linear is known after a few hundred. If only a first look is
# wanted, fit a tenth of the rows, drawn at random. ``transform`` of all rows is one pass through the network:
start = time.process_time()
H = models["Autoencoder", 10_000].transform(train)
print(f"{H.shape[0]} rows have been encoded in {time.process_time() - start:.2f} s")

# %%
# From a file
# -----------
# X may be the path of a Parquet file. What is small is read as a whole. A larger file is read a piece at a time, and is
# shuffled in windows, so that it need not fit into memory. Up to eight windows, of 256 MB each, the fit is the same as
# that to an array, to the last bit.
folder = tempfile.TemporaryDirectory()
path = pathlib.Path(folder.name) / "train.parquet"
frame = pd.DataFrame(train, columns=[f"sensor{j}" for j in range(40)])
frame.to_parquet(path, row_group_size=10_000)

settings = {"hidden_layer_sizes": (128, 64), "max_iter": 1, "random_state": 0}
from_file, from_array = Autoencoder(5, **settings).fit(path), Autoencoder(5, **settings).fit(train)
print("the same codes:", np.array_equal(from_file.transform(path), from_array.transform(train)))
print("names of columns:", *from_file.feature_names_in_[:3], "...")

# %%
# In chunks
# ---------
# What comes in pieces is fitted in pieces. ``fit`` takes any iterable of chunks, such as a generator or
# ``pandas.read_csv(..., chunksize=...)``. ``partial_fit`` takes one chunk, so that the model can be looked at in
# between. The first chunk fixes the scale and the start, so it should be a typical one. ``IncrementalPCA`` learns from
# chunks too.
chunks = [train[start : start + 5_000] for start in range(0, len(train), 5_000)]
model, pca = Autoencoder(5, hidden_layer_sizes=(128, 64), random_state=0), IncrementalPCA(5)
scores = {"Autoencoder": [], "IncrementalPCA": []}
for chunk in chunks:
    scores["Autoencoder"].append(model.partial_fit(chunk).score(test))
    scores["IncrementalPCA"].append(reconstruction_r2(pca.partial_fit(chunk), test))
folder.cleanup()

figure, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for name, values in scores.items():
    ax.plot(5 * np.arange(1, len(chunks) + 1), values, "k--" if name == "IncrementalPCA" else "o-", label=name)
ax.set(xlabel="thousand rows seen, each once", ylabel="held-out R2", title="chunk by chunk")
ax.legend()
plt.show()

# %%
# A stream sees each row once, at a learning rate that does not know when the end will come. So it ends below a fit to
# all rows, and is for rows that cannot be kept.

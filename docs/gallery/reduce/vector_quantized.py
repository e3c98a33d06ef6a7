"""
Rows in a few bits
==================

How well can a digit be stored in 24 bits? :class:`~skae.VectorQuantizedAutoencoder` replaces parts of its code by
the nearest entries of a codebook. The pictures show digits that were stored as a few indices, and reconstruction
against bits, beside k-means and quantised PCA.
"""

# %%
# The encoder makes a code, which is cut into groups. Each group is replaced by the nearest of 64 vectors that are
# learnt, the codebook. So a row is stored as one index of 6 bits for each group. k-means does the same to the row as
# a whole: its index is that of the nearest mean. To say more with k-means, one needs more means, and their number
# doubles with each bit.
import matplotlib.pyplot as plt
from sklearn.cluster import KMeans
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from skae import VectorQuantizedAutoencoder
from skae.inspection import ReconstructionDisplay

train, test = train_test_split(load_digits().data, random_state=0)
groups = (1, 2, 4, 8)
vector = {
    6 * g: VectorQuantizedAutoencoder(max(2 * g, 8), n_groups=g, codebook_size=64, random_state=0).fit(train)
    for g in groups
}
model = vector[24]
print("A digit as indices:", model.encode_indices(test[:1])[0])

# %%
# Rounded codes
# -------------
# ``quantizer="fsq"`` has no codebook. It rounds each component of the code to one of 8 levels, which are 3 bits, and
# there is nothing that could stay unused.
rounded = {3 * n: VectorQuantizedAutoencoder(n, quantizer="fsq", random_state=0).fit(train) for n in (2, 4, 8, 16)}

# %%
# What a reader might try first
# -----------------------------
# k-means of all pixels, and product quantisation of PCA: codes in groups of two components, and k-means with 64 means
# in each group.
means = {bits: KMeans(2**bits, n_init=3, random_state=0).fit(train) for bits in (2, 4, 6, 8)}


def quantised_pca(n_groups):
    """Held-out rows from PCA codes of which each pair of components is replaced by the nearest of 64 means."""
    pca = PCA(2 * n_groups).fit(train)
    codes, told = pca.transform(train), pca.transform(test)
    for g in range(n_groups):
        found = KMeans(64, n_init=3, random_state=0).fit(codes[:, g::n_groups])
        told[:, g::n_groups] = found.cluster_centers_[found.predict(told[:, g::n_groups])]
    return pca.inverse_transform(told)


restored = {
    "codebooks": {bits: model.reconstruct(test) for bits, model in vector.items()},
    "rounded codes": {bits: model.reconstruct(test) for bits, model in rounded.items()},
    "quantised PCA": {6 * g: quantised_pca(g) for g in groups},
    "k-means": {bits: model.cluster_centers_[model.predict(test)] for bits, model in means.items()},
}
total = ((test - train.mean(axis=0)) ** 2).sum()
scores = {
    name: {bits: 1 - ((test - X_hat) ** 2).sum() / total for bits, X_hat in of_bits.items()}
    for name, of_bits in restored.items()
}

# %%
rows = {"held out": test[:9], "k-means, 6 bits": restored["k-means"][6][:9]}
for bits, indices in {6: "one index", 24: "four indices", 48: "eight indices"}.items():
    rows[f"{indices}, {bits} bits"] = restored["codebooks"][bits][:9]
rows["quantised PCA, 48 bits"] = restored["quantised PCA"][48][:9]

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), width_ratios=(1.35, 1), layout="constrained")
rows = {name: X_hat.clip(0, 16) for name, X_hat in rows.items()}
ReconstructionDisplay(rows=rows, image_shape=(8, 8)).plot(left, cmap="gray_r")
for (name, of_bits), style in zip(scores.items(), ("o-", "s-", "^--", "x:"), strict=True):
    right.plot(of_bits.keys(), of_bits.values(), style, label=name, color="gray" if "PCA" in name else None)
right.set(xlabel="Bits a row", ylabel="Held-out R2", ylim=(0, 1))
right.legend(loc="lower right")
plt.show()

# %%
# As long as one index is enough, k-means is the best, and much simpler: with 8 bits it restores as much as two
# indices of 6 bits do. But 24 bits would be 16 million means. There the learnt code takes over, and it restores far
# more than PCA with as many bits. Rounded codes are nearly as good as codebooks, but not if there are only two
# numbers to round.

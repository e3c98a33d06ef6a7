"""
Trees as vectors
================

How can a model read rows that are trees, such as JSON documents? :class:`~skae.RecursiveAutoencoder` makes one
vector of each node from those of its children. The pictures show where an odd document is odd, and who else finds
such documents.
"""

# %%
# A tree has no columns. The model composes the vector of a node from the vectors of its two children,
# :math:`h = f(h_1, h_2)`, from the leaves up to the root, with the same weights at each node. The vector of the root is
# the code of the tree. A decoder goes back from a node to its leaves, and its error says how usual the node is.
#
# Documents with structure
# ------------------------
# The documents are orders. Each item has a kind, and a unit that suits the kind. Odd orders have the same words as good
# ones, but at a wrong place.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.metrics import roc_auc_score

from skae import RecursiveAutoencoder
from skae.inspection import TreeDisplay
from skae.trees import Tree

units = {"book": "page", "cable": "metre", "paint": "litre", "flour": "gram", "film": "minute", "seed": "piece"}
odds = ("a customer among the items", "mail outside the customer", "units of two items exchanged")


def order(rng, odd=None):
    """An order as it should be, or an odd one."""
    kinds = rng.permutation(list(units))[: rng.integers(2, 5)].tolist()
    items = [{"kind": kind, "id": 1, "price": 0.5, "unit": units[kind]} for kind in kinds]
    for item in items:
        if rng.random() < 0.3:
            item["tags"] = ["new"] * int(rng.integers(1, 3))
    customer = {"id": 1, "name": "Ada", "mail": "a@b"}
    first, second = rng.permutation(len(items))[:2]
    if odd == odds[0]:
        items[first], customer = customer, items[first]
    if odd == odds[2]:
        items[first]["unit"], items[second]["unit"] = items[second]["unit"], items[first]["unit"]
    outside = {"mail": customer.pop("mail")} if odd == odds[1] else {}
    note = {"note": "soon"} if rng.random() < 0.5 else {}
    return {"id": 1, "customer": customer, "items": items, **outside, **note, "paid": True}


def tree(document):
    """A node for each object, each pair of a name and a value, and each list; a leaf for a word or a type."""
    if isinstance(document, dict):
        return tuple((name, tree(value)) for name, value in document.items())
    if isinstance(document, list):
        return tuple(tree(value) for value in document)
    return document if document in {*units, *units.values()} else type(document).__name__


rng = np.random.default_rng(100)
learnt = [order(rng) for _ in range(300)]
good = [order(rng) for _ in range(100)]
odd = {name: [order(rng, name) for _ in range(100)] for name in odds}

# %%
# Where a document is odd
# -----------------------
# The model has seen good orders only. ``weighted=False`` gives every node the same weight, so that something odd in a
# small part is not drowned by the whole. The circles show the error of each node of an order, whose two items have
# exchanged their units.
model = RecursiveAutoencoder(weighted=False, max_iter=50, random_state=0).fit([tree(document) for document in learnt])


def leaves(document):
    """The words of a document, from left to right."""
    return list(Tree.of(tree(document)).leaves)


shown = tree(min(odd[odds[2]], key=lambda document: len(leaves(document))))
figure, ax = plt.subplots(figsize=(10.5, 5), layout="constrained")
TreeDisplay.from_estimator(model, shown, ax=ax)
ax.set_title("An order whose two items have exchanged their units", fontsize="medium")
plt.show()

# %%
# Who finds odd documents
# -----------------------
# The score of an order is the mean error of its nodes. A reader would try bags first: count the words of a document,
# or its words, pairs and triples, and take the error of PCA of these counts. A third bag counts *paths*, which are
# the names on the way to a word; it knows what JSON is.


def triples(document):
    """Up to three leaves in a row."""
    row = leaves(document)
    return [tuple(row[i : i + n]) for n in (1, 2, 3) for i in range(len(row) - n + 1)]


def paths(document, path=""):
    """Each value with the names of all objects that it is in."""
    if isinstance(document, dict):
        return [found for name, value in document.items() for found in paths(value, f"{path}.{name}")]
    if isinstance(document, list):
        return [found for value in document for found in paths(value, f"{path}[]")]
    return [f"{path}={tree(document)}"]


def bag(parts):
    """Squared error of PCA of how often each part is in a document."""
    counts = CountVectorizer(analyzer=parts).fit(learnt)
    pca = PCA(0.99).fit(counts.transform(learnt).toarray())

    def score(documents):
        X = counts.transform(documents).toarray()
        return ((X - pca.inverse_transform(pca.transform(X))) ** 2).sum(axis=1)

    return score


def of_nodes(documents):
    """Mean error of the nodes of each tree."""
    return [np.nanmean(errors) for errors in model.node_errors([tree(document) for document in documents])]


finders = {
    "bag of words, PCA": bag(leaves),
    "bag of words, pairs and triples, PCA": bag(triples),
    "bag of paths, PCA": bag(paths),
    "RecursiveAutoencoder": of_nodes,
}
is_odd = np.repeat([0, 1], 100)
areas = pd.DataFrame(
    {
        name: {kind: roc_auc_score(is_odd, np.r_[score(good), score(documents)]) for kind, documents in odd.items()}
        for name, score in finders.items()
    }
)
figure, ax = plt.subplots(figsize=(9, 4), layout="constrained")
areas.plot.bar(rot=0, ylim=(0.4, 1.02), color=["0.85", "0.7", "0.55", "tab:blue"], width=0.8, legend=False, ax=ax)
ax.axhline(0.5, color="black", linewidth=0.8, linestyle=":")
ax.set_ylabel("Area under the ROC curve")
figure.legend(loc="outside lower center", ncols=2, frameon=False)
plt.show()
areas.T.round(2)

# %%
# A bag of words is blind to places, and words in a row see what is close together. A bag of paths knows the place of
# each value, and for JSON it is the simple thing to try: it finds what lies at a wrong path at once. But it does not
# know which values are in the same item. The autoencoder composes an item before it composes the order, so it judges
# an item as a whole.

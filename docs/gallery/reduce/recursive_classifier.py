"""
Labels of trees
===============

Can a model learn what "and", "or" and "not" mean from the values of whole expressions?
:class:`~skae.RecursiveAutoencoderClassifier` does. The pictures show its accuracy on expressions that are higher
than any it has seen, beside bags of words, what it takes their parts to be, and which phrases it takes to be alike.
"""

# %%
# The vector of a node is composed from those of its children, as in :class:`~skae.RecursiveAutoencoder`, and the
# classes of a node are :math:`\mathrm{softmax}(S h + c)`. Only the value of the whole expression is given in
# training. What the leaves and the operators mean is to be found out.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import RecursiveAutoencoder, RecursiveAutoencoderClassifier
from skae.inspection import PhraseDisplay, TreeDisplay
from skae.trees import Tree


def expression(rng, height):
    """A random expression with so many operators one above the other."""
    if height == 0:
        return "T" if rng.random() < 0.5 else "F"
    if rng.random() < 0.2:
        return ("not", expression(rng, height - 1))
    parts = [expression(rng, height - 1), expression(rng, int(rng.integers(height)))]
    left, right = parts if rng.random() < 0.5 else parts[::-1]
    return (left, ("and", "or", "xor")[rng.integers(3)], right)


def is_true(expression):
    """The value of an expression."""
    if isinstance(expression, str):
        return expression == "T"
    if len(expression) == 2:
        return not is_true(expression[1])
    left, right = is_true(expression[0]), is_true(expression[2])
    return {"and": left and right, "or": left or right, "xor": left != right}[expression[1]]


def drawn(rng, n, heights):
    """Expressions, of which every second one is true, and their values."""
    X = []
    while len(X) < n:
        height = int(rng.choice(heights))
        found = expression(rng, height)
        while is_true(found) != (len(X) % 2 == 0):
            found = expression(rng, height)
        X.append(found)
    return X, np.array(["true", "false"] * n)[:n]


rng = np.random.default_rng(100)
X, y = drawn(rng, 500, (1, 2, 3, 4))
judged = {height: drawn(rng, 100, (height,)) for height in range(1, 9)}
print(X[0], "is", y[0])

# %%
# Words, codes, trees
# -------------------
# A reader would count words first, or words with their neighbours. A third way learns codes of trees without labels,
# and classifies these.


def words(expression, n=1):
    """Up to n leaves in a row."""
    row = Tree.of(expression).leaves
    return [row[i : i + k] for k in range(1, n + 1) for i in range(len(row) - k + 1)]


def triples(expression):
    """Up to three leaves in a row."""
    return words(expression, 3)


linear = LogisticRegression(max_iter=5000)
model = RecursiveAutoencoderClassifier(random_state=0)
models = {
    "bag of words": make_pipeline(CountVectorizer(analyzer=words), linear),
    "bag of words, pairs, triples": make_pipeline(CountVectorizer(analyzer=triples), linear),
    "RecursiveAutoencoder, linear": make_pipeline(RecursiveAutoencoder(random_state=0), linear),
    "RecursiveAutoencoderClassifier": model,
}
scores = pd.DataFrame(
    {name: {h: each.score(*rows) for h, rows in judged.items()} for name, each in models.items() if each.fit(X, y)}
)
figure, ax = plt.subplots(figsize=(6.4, 4.2), layout="constrained")
for (name, values), style in zip(scores.items(), ("^--", "v--", "s-", "o-"), strict=True):
    ax.plot(values.index, values, style, label=name, color="0.5" if name.startswith("bag") else None)
ax.axvspan(0.7, 4.5, color="0.93", zorder=0)
ax.set(xlabel="Height of the expression (learnt from up to 4)", ylabel="Accuracy", ylim=(0.4, 1.03))
figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
plt.show()
scores.round(2)

# %%
# An operator changes what is below it and nothing else, and a bag does not know what is below. A code that was learnt
# by reconstruction can restore the words, but need not say what they amount to. The classifier learnt the operators,
# so that height does not matter.
#
# What it takes the parts to be
# -----------------------------
# No part had a label. Still the model predicts a class for each. Colours are predictions, and true values are written
# on the nodes.


def values(expression):
    """The values of an expression and its parts, children first, and None for leaves."""
    if isinstance(expression, str):
        return [None]
    return [value for part in expression for value in values(part)] + ["T" if is_true(expression) else "F"]


few = [x for x in judged[6][0] if Tree.of(x).n_leaves <= 20]
shown = max(few, key=lambda x: min(values(x).count("T"), values(x).count("F")))
true = values(shown)
predicted = [None if a is None else b for a, b in zip(true, model.predict_nodes([shown])[0], strict=True)]
right = np.mean([{"T": "true", "F": "false"}[a] == b for a, b in zip(true, predicted, strict=True) if a is not None])

figure, ax = plt.subplots(figsize=(9.5, 4.6), layout="constrained")
TreeDisplay.from_tree(
    shown, y=predicted, classes=model.classes_, labels=true, target_name="predicted", cmap="coolwarm", ax=ax
)
ax.set_title(f"An expression of height 6. {right:.0%} of its parts are predicted right", fontsize="medium")
plt.show()

# %%
# Which phrases are alike
# -----------------------
# The vectors of nodes can be compared. For a model of values, the nearest phrases are those with the same value, and
# not those with the same words.
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
PhraseDisplay.from_estimator(model, judged[3][0], ("T", "and", ("not", "F")), ax=ax)
plt.show()

# %%
# If the label depends on which words there are, and not on how they are put together, take the bag: it is as good, at
# once.

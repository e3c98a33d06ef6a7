"""
Sentences between two sentences
===============================

An :class:`~skae.AdversariallyRegularizedAutoencoder` has a code for a sentence of tokens. What is decoded on the
straight line between the codes of two sentences, and is it still a sentence?
"""

# %%
# The sentences come from a small grammar: determiner, adjective, noun, verb, adverb. Determiner, noun and verb agree,
# so all three are singular or all three plural. To go from a singular to a plural sentence, three words have to change
# at once. A ninth of all sentences is learnt.
from itertools import pairwise, product

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from skae import AdversariallyRegularizedAutoencoder, Autoencoder
from skae.tokens import TokenEncoder

others = [
    ["small", "old", "young", "happy", "wild"],
    ["dog", "cat", "girl", "boy", "bird", "horse"],
    ["sleep", "run", "sing", "eat", "wait"],
    ["now", "here", "often", "alone", "again"],
]
singular = [f"{d} {a} {n} {v}s {w}" for d, a, n, v, w in product(["the", "a", "every"], *others)]
plural = [f"{d} {a} {n}s {v} {w}" for d, a, n, v, w in product(["the", "some", "many"], *others)]
grammatical = {*singular, *plural}
chosen = np.random.default_rng(0).permutation(singular + plural).tolist()
train, test = chosen[:500], chosen[500:900]
print(len(grammatical), "sentences, such as:", *train[:3], sep="\n")

# %%
# :class:`~skae.tokens.TokenEncoder` makes rows of whole numbers from sentences, one for each word. Beside the model
# stands an :class:`~skae.Autoencoder` of the same widths, which sees the same words as columns of zeros and ones.
options = {"hidden_layer_sizes": (128,), "weight_decay": 0.0, "max_iter": 40, "random_state": 0}
tokens = TokenEncoder().fit(chosen)
n_tokens, length = len(tokens.vocabulary_), tokens.length_
regularized = make_pipeline(
    tokens, AdversariallyRegularizedAutoencoder(8, likelihood="tokens", n_tokens=n_tokens, **options)
).fit(train)

one_hot = OneHotEncoder(categories=[np.arange(n_tokens)] * length, sparse_output=False)
plain = make_pipeline(
    tokens, one_hot, Autoencoder(8, likelihood="categorical", categories=(n_tokens,) * length, **options)
).fit(train)
models = {"Autoencoder": plain, "AdversariallyRegularizedAutoencoder": regularized}


def between(model, a, b, n_steps=8):
    """Sentences on the straight line from the code of one to the code of another, the two ends included."""
    start, end = model.transform([a, b])
    return [str(text) for text in model.inverse_transform(np.linspace(start, end, n_steps))]


# %%
# The pairs are held-out sentences, the first singular and the second plural. Words that change are bold, and sentences
# that break the grammar are red.
pairs = [(a, b) for a, b in pairwise(test) if a in set(singular) and b in set(plural)][:3]
figure, axes = plt.subplots(1, 2, figsize=(10, 6.2), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    ax.set_title(name)
    ax.axis("off")
    y = 0.98
    for a, b in pairs:
        ax.text(0, y, f"{a}  \N{RIGHTWARDS ARROW}  {b}", color="0.5", style="italic", fontsize=8)
        previous = []
        for text in between(model, a, b):
            y -= 0.034
            for place, word in enumerate(text.split()):
                weight = "bold" if previous and previous[place : place + 1] != [word] else "normal"
                color = "0.1" if text in grammatical else "tab:red"
                ax.text(place * 0.2, y, word, color=color, weight=weight, fontsize=9)
            previous = text.split()
        y -= 0.052
plt.show()

# %%
# Three lines prove little. So here are the shares over 150 pairs of held-out sentences, of any number: lines whose
# steps are all grammatical, and single steps. The last column is the share of held-out sentences that come back word
# for word.
rng = np.random.default_rng(0)
drawn = [rng.choice(test, 2, replace=False).tolist() for _ in range(150)]
scores = {}
for name, model in models.items():
    steps = np.array([[text in grammatical for text in between(model, a, b)] for a, b in drawn])
    restored = [str(text) for text in model.inverse_transform(model.transform(test))]
    same = [a == b for a, b in zip(test, restored, strict=True)]
    scores[name] = [steps.all(axis=1).mean(), steps.mean(), np.mean(same)]
pd.DataFrame(scores, index=["grammatical lines", "grammatical steps", "sentences restored"]).T.round(2)

# %%
# New sentences
# -------------
#
# The prior of the codes is learnt too: a generator makes codes from noise. What is decoded from them are new sentences.
arae = regularized[-1]
made = tokens.inverse_transform(arae.inverse_transform(arae.sample_codes(1000, random_state=0)))
print(*made[:5], sep="\n")
print(f"{np.mean([text in grammatical for text in made]):.0%} of 1000 are grammatical")

# %%
# More lines of the regularised code are grammatical, while the plain autoencoder restores more sentences and takes a
# small part of the time: try it first, with a code of few numbers. For long texts, take a language model.

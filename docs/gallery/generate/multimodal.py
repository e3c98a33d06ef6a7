"""
Text from an image, and an image from text
==========================================

A :class:`~skae.MultimodalDeepBoltzmannMachine` learns digits together with words that describe them. Then it is given
one and draws the other.
"""

# %%
# Each digit gets some words: its name, and what could be said of it. The words of a digit are a row of zeros and ones,
# one column for each word. So a row of the table is an image of 64 pixels and a text of 17 words, of which three or
# four are there.
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import MultiLabelBinarizer

from skae import MultimodalDeepBoltzmannMachine

TEXTS = [
    "zero even round loop",
    "one odd straight",
    "two even prime open",
    "three odd prime round open",
    "four even straight",
    "five odd prime open",
    "six even round loop",
    "seven odd prime straight",
    "eight even round loop",
    "nine odd round loop",
]
digits = load_digits()
words = MultiLabelBinarizer().fit([text.split() for text in TEXTS])
text = words.transform([TEXTS[digit].split() for digit in digits.target])
table = np.hstack([digits.data > 7, text]).astype(float)
train, test, y_train, y_test = train_test_split(table, digits.target, random_state=0)
vocabulary, n_pixels = list(words.classes_), 64
print(", ".join(vocabulary))

# %%
# Both modalities meet in one hidden layer. What is not known of a row is NaN.
machine = MultimodalDeepBoltzmannMachine(
    100,
    modalities={"image": slice(0, n_pixels), "text": slice(n_pixels, None)},
    visible="bernoulli",
    learning_rate_init=0.05,
    max_iter=200,
    random_state=0,
).fit(train)

# %%
# An image from text
# ------------------
#
# We know some words and nothing else: neither the image nor the other words. ``sample`` runs a chain for each row, in
# which the known entries stay as they are. The machine has to find out which digits the words can mean. "odd, loop" is
# a nine, and "even, straight" a four, while "prime" leaves four digits to choose from.
queries = ["zero", "three", "nine", "odd loop", "even straight", "even prime", "prime", "loop"]
n_drawn = 10
asked = np.full((len(queries), table.shape[1]), np.nan)
for row, query in zip(asked, queries, strict=True):
    row[[n_pixels + vocabulary.index(word) for word in query.split()]] = 1
drawn = machine.sample(asked.repeat(n_drawn, axis=0), n_steps=500, random_state=0)

figure, axes = plt.subplots(len(queries), n_drawn, figsize=(7, 5.2), layout="constrained")
for ax, row in zip(axes.flat, drawn, strict=True):
    ax.imshow(row[:n_pixels].reshape(8, 8), cmap="gray_r", vmin=0, vmax=1)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
for ax, query in zip(axes[:, 0], queries, strict=True):
    ax.set_ylabel(f'"{query}"', rotation=0, ha="right", va="center")
figure.suptitle("Images that were drawn, given some words", fontsize="medium")
plt.show()

# %%
# Are they what was asked for? A logistic regression, which has learnt to read from the held-out digits, reads a larger
# number of such images.
reader = LogisticRegression(max_iter=2000).fit(test[:, :n_pixels], y_test)
many = machine.sample(asked.repeat(100, axis=0), n_steps=500, random_state=1)[:, :n_pixels]
read = reader.predict(many).reshape(len(queries), 100)
fits = [
    [set(query.split()) <= set(TEXTS[digit].split()) for digit in row] for query, row in zip(queries, read, strict=True)
]
pd.Series(np.mean(fits, axis=1), index=queries, name="share of images read as a digit that fits").to_frame().round(2)

# %%
# Text from an image
# ------------------
#
# Now the image is known, and ``impute`` returns the probability of each word. A word in grey is one that the digit's
# text does not have.
asked = test.copy()
asked[:, n_pixels:] = np.nan
p = machine.impute(asked, random_state=0)[:, n_pixels:]

figure, axes = plt.subplots(2, 8, figsize=(10, 4.3), height_ratios=(1, 1.7), layout="constrained")
for k, (image, told) in enumerate(axes.T):
    image.imshow(test[k, :n_pixels].reshape(8, 8), cmap="gray_r")
    image.axis("off")
    best = np.argsort(-p[k])[:5][::-1]
    colors = ["lightskyblue" if test[k, n_pixels + word] else "0.8" for word in best]
    told.barh(range(5), p[k, best], color=colors)
    told.set(xlim=(0, 1), xticks=[0, 1], yticks=[])
    for place, word in enumerate(best):
        told.text(0.04, place, vocabulary[word], va="center", fontsize="small")
figure.suptitle("Held-out images, and the words that are most probable given the image", fontsize="medium")
plt.show()

# %%
# A classifier of each word is the simple thing beside it.
truth = test[:, n_pixels:]
apart = [LogisticRegression(max_iter=2000).fit(train[:, :n_pixels], word) for word in train[:, n_pixels:].T]
p_apart = np.transpose([model.predict_proba(test[:, :n_pixels])[:, 1] for model in apart])
names = [vocabulary.index(TEXTS[digit].split()[0]) for digit in range(10)]
scores = {
    name: [((q > 0.5) == truth).mean(), (q[:, names].argmax(axis=1) == y_test).mean()]
    for name, q in {"machine": p, "logistic regression of each word": p_apart}.items()
}
pd.DataFrame(scores, index=["words that are right", "names that are right"]).T.round(3)

# %%
# Classifiers are as good at names, and simpler. The machine is better at all words together, since it knows which words
# go with which. And it answers more questions with one fit: images from words, words from images, words from words, and
# the rest of an image from a part of it.

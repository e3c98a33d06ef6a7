"""Published figures of deep networks on MNIST and of recursive ones on sentiment, and what this package reaches.

    python benchmarks/published.py --data DIR [--budget small|long|full] [--only NAMES] [--json FILE] [--markdown FILE]

A small budget is some minutes on two cores and tells how far it got, and a long one at most 25. A full one is meant for
a GPU. Each run is added to the JSON file, of which the page shows the latest of each row and budget. DIR holds
``mnist`` (IDX files, gzipped), ``binarized_mnist`` (the fixed binarisation of Larochelle and Murray, 2011, as .mat),
``sst_trees`` (train, dev and test of the Stanford Sentiment Treebank, a bracketed tree a line, gzipped) and
``wikipedia`` (image-text pairs, see ``multimodal.py``).
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from multimodal import SETTINGS as OF_PAIRS
from multimodal import pairs, retrieval
from published_page import page
from scipy.io import loadmat
from scipy.optimize import linear_sum_assignment
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from trees import SETTINGS, sentiment
from variants import mnist

import skae
from skae import (
    RBM,
    AdversarialAutoencoder,
    Autoencoder,
    ConditionalVariationalAutoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    MixtureVariationalAutoencoder,
    SemiSupervisedVariationalAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)

Settings = dict[str, Any]
Figures = dict[str, float]


class Run(NamedTuple):
    """Where the data lie, and what all estimators of a run share."""

    data: Path
    common: dict[str, Any]
    settings: Settings

    def binarized(self) -> tuple[np.ndarray, np.ndarray]:
        """60 000 binary training images (training and validation set) and 10 000 test images."""
        folder = self.data / "binarized_mnist"
        parts = [loadmat(str(folder / f"binarized_mnist_{name}.mat"))["X"] for name in ("train", "valid", "test")]
        return np.vstack(parts[:2]).astype(np.float32), parts[2].astype(np.float32)


class Stopwatch:
    """Seconds a piece of work has taken: of the processor, or of the wall clock if a GPU does it."""

    def __init__(self, device: str) -> None:
        self.clock: Callable[[], float] = time.process_time if device == "cpu" else time.perf_counter
        self.start = self.clock()

    def lap(self) -> float:
        """Seconds since the last lap."""
        before, self.start = self.start, self.clock()
        return self.start - before


def tell(figures: Figures, name: str, value: float) -> None:
    """Keep a figure, and print it at once."""
    figures[name] = round(float(value), 4)
    print(f"  {name}: {value:.4g}", flush=True)


# -------------------------------------------------------------------- reconstruction


def squared_error(model: Any, X: np.ndarray) -> float:
    """Mean over the images of the sum over pixels."""
    return float(np.square(X - model.inverse_transform(model.transform(X))).sum(1).mean())


def hinton2006(run: Run) -> Figures:
    """Deep autoencoder pretrained by RBMs, the same network not pretrained in as many seconds, and PCA."""
    train, test, _, _ = mnist(run.data, full=True)
    settings, figures = run.settings, {}
    tell(figures, "PCA", squared_error(PCA(30, svd_solver="covariance_eigh").fit(train), test))
    *hidden, code = [RBM(width, **settings["rbm"], **run.common) for width in (1000, 500, 250, 30)]
    code.set_params(**settings["code_rbm"])
    stack = StackedAutoencoder([*hidden, code], **settings["training"], **run.common)
    watch = Stopwatch(run.common["device"])
    stack.set_params(fine_tune=False).fit(train)
    tell(figures, "seconds of pretraining", pretraining := watch.lap())
    tell(figures, "pretrained, not fine-tuned", squared_error(stack, test))
    watch.lap()
    stack.set_params(fine_tune=True, warm_start=True).fit(train)
    tell(figures, "seconds of fine-tuning", tuning := watch.lap())
    tell(figures, "pretrained and fine-tuned", squared_error(stack, test))
    plain = Autoencoder(30, **settings["plain"], **{**settings["training"], **run.common})
    plain.max_iter = epochs_in(pretraining + tuning, tuning, stack.max_iter)
    tell(figures, "epochs without pretraining in the same time", plain.max_iter)
    watch.lap()
    plain.fit(train)
    tell(figures, "seconds without pretraining", watch.lap())
    tell(figures, "without pretraining", squared_error(plain, test))
    return figures


def plain2006(run: Run) -> Figures:
    """The same deep autoencoder, not pretrained."""
    train, test, _, _ = mnist(run.data, full=True)
    settings, figures = run.settings, {}
    watch = Stopwatch(run.common["device"])
    plain = Autoencoder(30, **settings["plain"], **{**settings["training"], **run.common}).fit(train)
    tell(figures, "seconds of training", watch.lap())
    tell(figures, "on the training images", squared_error(plain, train[:10_000]))
    tell(figures, "not pretrained", squared_error(plain, test))
    return figures


def epochs_in(seconds: float, seconds_of_some: float, n_some: int) -> int:
    """How many epochs fit into so many seconds, given the seconds of some."""
    return max(1, round(n_some * seconds / seconds_of_some))


# -------------------------------------------------------------------- density


def binarised(X: np.ndarray, n_times: int, seed: int) -> np.ndarray:
    """Black and white copies of grey images, each drawn anew: 1 with the probability that the grey value is."""
    rng = np.random.default_rng(seed)
    return np.vstack([(rng.random(X.shape, dtype=np.float32) < X).astype(np.float32) for _ in range(n_times)])


def vae(run: Run) -> Figures:
    """Variational autoencoders with one stochastic layer, trained on the ELBO and on the importance-weighted bound."""
    grey, grey_test, _, _ = mnist(run.data, full=True)
    settings, figures = run.settings, {}
    train = binarised(grey, settings["copies"], 0)
    test = binarised(grey_test, 1, 1)[: settings["test_rows"]]
    for name in ("ELBO", "IWAE"):
        watch = Stopwatch(run.common["device"])
        options = {**settings["network"], **settings[name], **run.common, "n_draws": settings["n_draws"]}
        model = VariationalAutoencoder(50, **options).fit(train[: settings[f"{name} rows"]])
        tell(figures, f"{name}: seconds of training", watch.lap())
        tell(figures, f"{name}: minus the ELBO", -model.elbo(test).mean())
        scores = model.score_samples(test)
        tell(figures, f"{name}: standard error over the test rows", scores.std() / np.sqrt(len(test)))
        tell(figures, f"trained on the {name}", -scores.mean())
        tell(figures, f"{name}: active components", model.active_components_.sum())
    return figures


def tell_likelihood(figures: Figures, model: Any, run: Run, test: np.ndarray, name: str) -> None:
    """Mean log-likelihood of the test rows (of a deep network a bound), by annealing in both directions."""
    free_energy = model.free_energy(test)
    lower, upper = model.log_partition_bounds(**run.settings["annealing"], random_state=run.common["random_state"])
    tell(figures, "standard error over the test rows", free_energy.std() / np.sqrt(len(test)))
    tell(figures, "log Z by annealing", lower.value)
    tell(figures, "its standard error", lower.error)
    tell(figures, "log Z by annealing back", upper.value)
    tell(figures, "standard error of that", upper.error)
    tell(figures, f"{name}, log Z by annealing back", -free_energy.mean() - upper.value)
    tell(figures, name, -free_energy.mean() - lower.value)


def rbm500(run: Run) -> Figures:
    """One restricted Boltzmann machine."""
    train, test = run.binarized()
    figures: Figures = {}
    watch = Stopwatch(run.common["device"])
    rbm = RBM(500, **run.settings["rbm"], **run.common).fit(train)
    tell(figures, "seconds of training", watch.lap())
    tell_likelihood(figures, rbm, run, test, "log-likelihood")
    return figures


def dbn(run: Run) -> Figures:
    """A deep belief network."""
    train, test = run.binarized()
    figures: Figures = {}
    watch = Stopwatch(run.common["device"])
    network = DeepBeliefNetwork(2000, hidden_layer_sizes=(500,), **run.settings["network"], **run.common).fit(train)
    tell(figures, "seconds of training", watch.lap())
    tell_likelihood(figures, network, run, test, "bound of the log-likelihood")
    return figures


def dbm(run: Run) -> Figures:
    """A deep Boltzmann machine: the bound, and the error of a network that is fine-tuned from it on grey images."""
    train, test = run.binarized()
    figures: Figures = {}
    watch = Stopwatch(run.common["device"])
    machine = DeepBoltzmannMachine(1000, hidden_layer_sizes=(500,), **run.settings["machine"], **run.common).fit(train)
    tell(figures, "seconds of training", watch.lap())
    tell_likelihood(figures, machine, run, test, "bound of the log-likelihood, nats")
    tell(figures, "seconds of annealing and of the bounds", watch.lap())
    grey, grey_test, y_grey, y_test = mnist(run.data, full=True)
    model = FineTunedClassifier(FrozenEstimator(machine), **run.settings["training"], **run.common).fit(grey, y_grey)
    tell(figures, "seconds of fine-tuning", watch.lap())
    tell(figures, "error after fine-tuning, %", 100 * (1 - model.score(grey_test, y_test)))
    return figures


# -------------------------------------------------------------------- completion


def quadrants(n_given: int) -> np.ndarray:
    """Mask of the pixels of an image whose first quadrants are given: lower left, upper left, lower right."""
    given = np.zeros((28, 28), bool)
    for rows, columns in ((slice(14, 28), slice(14)), (slice(14), slice(14)), (slice(14, 28), slice(14, 28)))[:n_given]:
        given[rows, columns] = True
    return given.ravel()


def cvae(run: Run) -> Figures:
    """Conditional variational autoencoders, whose conditions are quadrants of images."""
    train, test = run.binarized()
    test = test[:: len(test) // run.settings["n_test"]]  # they are sorted by class
    figures: Figures = {}
    for n_given in (1, 2, 3):
        given = quadrants(n_given)
        watch = Stopwatch(run.common["device"])
        model = ConditionalVariationalAutoencoder(50, **run.settings["network"], **run.common)
        model.fit(train[:, ~given], train[:, given])
        name = f"{n_given} quadrant{'s' if n_given > 1 else ''} given"
        tell(figures, f"seconds of training, {name}", watch.lap())
        tell(figures, f"by the ELBO, {name}", -model.elbo(test[:, ~given], test[:, given]).mean())
        tell(figures, name, -model.score(test[:, ~given], test[:, given]))
    return figures


# -------------------------------------------------------------------- clusters


def matched(y: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy in percent, after matching the clusters with the classes."""
    counts = confusion_matrix(y, labels)
    return float(100 * counts[linear_sum_assignment(-counts)].sum() / len(y))


def clusters(run: Run) -> Figures:
    """Ten clusters by a mixture prior, and by k-means on principal components."""
    train, test, y_train, y_test = mnist(run.data, full=True)
    figures: Figures = {}
    watch = Stopwatch(run.common["device"])
    model = MixtureVariationalAutoencoder(n_clusters=10, **run.settings["model"], **run.common).fit(train)
    tell(figures, "seconds of training", watch.lap())
    tell(figures, "on the training images", matched(y_train, model.labels_))
    tell(figures, "accuracy", matched(y_test, model.predict(test)))
    seed = run.common["random_state"]
    by_means = make_pipeline(PCA(model.n_components, random_state=seed), KMeans(10, n_init=5, random_state=seed))
    tell(figures, "k-means on PCA", matched(y_test, by_means.fit(train).predict(test)))
    return figures


def named(y: np.ndarray, labels: np.ndarray, y_test: np.ndarray, labels_test: np.ndarray) -> float:
    """Accuracy in percent on the test rows, after naming each cluster after the class of most of its training rows."""
    names = np.array([np.bincount(y[labels == k]).argmax() if (labels == k).any() else -1 for k in range(100)])
    return float(100 * (names[labels_test] == y_test).mean())


def aae(run: Run) -> Figures:
    """Adversarial autoencoders: clusters by modes of the prior, which are named after the digits, and 100 labels."""
    train, test, y_train, y_test = mnist(run.data, full=True)
    settings, figures, seed = run.settings, {}, run.common["random_state"]
    watch = Stopwatch(run.common["device"])
    for k in (16, 30):
        model = AdversarialAutoencoder(prior="mixture", n_clusters=k, **settings["clusters"], **run.common).fit(train)
        tell(figures, f"seconds of training, {k} clusters", watch.lap())
        found = model.predict(train), model.predict(test)
        tell(figures, f"accuracy, {k} clusters, %", named(y_train, found[0], y_test, found[1]))
        by_means = make_pipeline(PCA(32, random_state=seed), KMeans(k, n_init=1, random_state=seed)).fit(train)
        found = by_means.predict(train), by_means.predict(test)
        tell(figures, f"k-means on PCA, {k} clusters, %", named(y_train, found[0], y_test, found[1]))
        watch.lap()
    few = few_labels(y_train, seed)
    plain = LogisticRegression(max_iter=1000).fit(train[few >= 0], few[few >= 0])
    tell(figures, "error of logistic regression, 100 labels, %", 100 * (1 - plain.score(test, y_test)))
    watch.lap()
    model = AdversarialAutoencoder(prior="labels", **settings["labels"], **run.common).fit(train, few)
    tell(figures, "seconds of training, 100 labels", watch.lap())
    tell(figures, "error, 100 labels, %", 100 * (model.predict(test) != y_test).mean())
    return figures


# -------------------------------------------------------------------- classification


def few_labels(y: np.ndarray, seed: int) -> np.ndarray:
    """Labels of ten images of each digit, and -1 for all others."""
    rng = np.random.default_rng(seed)
    labelled = np.concatenate([rng.choice(np.flatnonzero(y == c), 10, replace=False) for c in range(10)])
    few = np.full(len(y), -1)
    few[labelled] = y[labelled]
    return few


def classified(run: Run, encoder: Any, sizes: tuple[int, ...]) -> Figures:
    """Test errors of a network on a pretrained encoder, and of one that was not pretrained, in as many seconds."""
    train, test, y_train, y_test = mnist(run.data, full=True)
    figures: Figures = {}

    def error(model: Any) -> float:
        return 100 * (1 - model.score(test, y_test))

    watch = Stopwatch(run.common["device"])
    encoder.fit(train)
    tell(figures, "seconds of pretraining", pretraining := watch.lap())
    model = FineTunedClassifier(FrozenEstimator(encoder), **run.settings["training"], **run.common).fit(train, y_train)
    tell(figures, "seconds of fine-tuning", tuning := watch.lap())
    tell(figures, "pretrained", error(model))
    network = Autoencoder(sizes[-1], hidden_layer_sizes=sizes[:-1], **run.settings["plain"], **run.common)
    plain = FineTunedClassifier(network, pretrain=False, **run.settings["training"], **run.common)
    plain.n_frozen, plain.max_iter = 0, epochs_in(pretraining + tuning, tuning, model.max_iter)
    tell(figures, "epochs without pretraining in the same time", plain.max_iter)
    watch.lap()
    plain.fit(train, y_train)
    tell(figures, "seconds without pretraining", watch.lap())
    tell(figures, "not pretrained", error(plain))
    return figures


def sda(run: Run) -> Figures:
    """Three stacked denoising autoencoders with tied logistic layers."""
    sizes = run.settings["sizes"]
    layers = [DenoisingAutoencoder(n, **run.settings["layer"], **run.common) for n in sizes]
    return classified(run, StackedAutoencoder(layers, fine_tune=False, **run.common), sizes)


def dbn3(run: Run) -> Figures:
    """A deep belief network of three layers."""
    *hidden, code = sizes = run.settings["sizes"]
    network = DeepBeliefNetwork(code, hidden_layer_sizes=tuple(hidden), **run.settings["network"], **run.common)
    return classified(run, network, sizes)


def m1m2(run: Run) -> Figures:
    """Semi-supervised variational autoencoders of images (M2) and of the codes of another one (M1+M2), 100 labels."""
    train, test, y_train, y_test = mnist(run.data, full=True)
    settings, figures = run.settings, {}
    few = few_labels(y_train, run.common["random_state"])
    labelled = np.flatnonzero(few >= 0)

    def learn(name: str, model: Any, rows: np.ndarray) -> None:
        tell(figures, f"{name}, training images", len(rows))
        model.fit(train[rows], few[rows])
        tell(figures, f"seconds of {name}", watch.lap())
        tell(figures, name, 100 * (1 - model.score(test, y_test)))

    watch = Stopwatch(run.common["device"])
    learn("logistic regression on the labels", LogisticRegression(max_iter=1000), labelled)
    below = VariationalAutoencoder(50, **settings["m1"], **run.common)
    stack = SemiSupervisedVariationalAutoencoder(encoder=below, **settings["above"], **run.common)
    learn("M1+M2", stack, np.arange(len(train)))
    some = np.union1d(labelled, np.arange(settings["n_rows"]))
    learn("M2", SemiSupervisedVariationalAutoencoder(**settings["m2"], **run.common), some)
    return figures


# -------------------------------------------------------------------- trees


def sst(run: Run) -> Figures:
    """Sentiment of sentences by recursive networks and by bags of words, of five classes and of two."""
    return sentiment(run.data, run.settings, run.common)


# -------------------------------------------------------------------- modalities


def multimodal(run: Run) -> Figures:
    """Texts found for images and the reverse."""
    figures: Figures = {}
    for name, value in retrieval(*pairs(run.data), run.settings, run.common).items():
        tell(figures, name, value)
    return figures


# -------------------------------------------------------------------- the table

SALAKHUTDINOV2009 = (
    "Salakhutdinov and Hinton (2009), https://proceedings.mlr.press/v5/salakhutdinov09a.html, and a reimplementation"
)
RASIWASIA2010 = "Rasiwasia et al. (2010), https://doi.org/10.1145/1873951.1873987"
HINTON2006 = "Hinton and Salakhutdinov (2006), https://doi.org/10.1126/science.1127647"
SALAKHUTDINOV2008 = "Salakhutdinov and Murray (2008), https://doi.org/10.1145/1390156.1390266"
BURDA2016 = "Burda, Grosse and Salakhutdinov (2016), table 1, https://arxiv.org/abs/1509.00519"
KINGMA2014 = "Kingma et al. (2014), table 1, https://arxiv.org/abs/1406.5298, and a reimplementation of it"
SOCHER2013 = "Socher et al. (2013), table 1, https://aclanthology.org/D13-1170"
MAKHZANI2015 = "Makhzani et al. (2015), tables 2 and 3, https://arxiv.org/abs/1511.05644"
JIANG2017 = "Jiang et al. (2017), https://arxiv.org/abs/1611.05148"
VINCENT2010 = "Vincent et al. (2010), table 3, https://www.jmlr.org/papers/v11/vincent10a.html"

SOHN2015 = (
    "Sohn, Lee and Yan (2015), https://papers.nips.cc/paper/2015/hash/8d55a249e6baa5c06772297520da2051-Abstract.html"
)

ONE_CYCLE = {"solver": "adamw", "learning_rate": "one_cycle", "batch_size": 200, "tol": 0.0}
CONTRASTIVE = {"visible": "bernoulli", "algorithm": "cd", "learning_rate_init": 0.1, "momentum": 0.5}
PERSISTENT = {**CONTRASTIVE, "algorithm": "pcd"}

# Hinton and Salakhutdinov's machines, but for centring, and for the momentum, which they raised to 0.9 after five
# epochs. They fine-tuned by conjugate gradients on batches of 1000 rows, and we do by AdamW.
RBM_OF_2006 = {**CONTRASTIVE, "learning_rate": "constant", "weight_decay": 2e-4}
CODE_OF_2006 = {"hidden": "gaussian", "learning_rate_init": 0.001, "momentum": 0.9}
RECONSTRUCTION = {**ONE_CYCLE, "learning_rate_init": 2e-3}
SIZES_OF_2006 = {"hidden_layer_sizes": (1000, 500, 250), "likelihood": "bernoulli"}
NETWORK_OF_2016 = {"hidden_layer_sizes": (200, 200), "likelihood": "bernoulli", "prior": "normal", "weight_decay": 0.0}
PLAIN_OF_2006 = {**SIZES_OF_2006, "activation": "silu", "init": "random"}

# CD-25 and 100 annealed chains are Salakhutdinov and Murray's, rates and epochs ours. They had 14 500 temperatures too,
# but closer together near 1.
CD25 = {**CONTRASTIVE, "n_gibbs": 25, "learning_rate_init": 0.05, "max_iter": 250}
ANNEALING_OF_2008 = {"n_chains": 100, "n_betas": 14_500, "n_steps": 10_000}

# Salakhutdinov and Hinton learnt their machine layer by layer for 100 epochs, and then jointly for 300 to 500. Here it
# is learnt jointly from the start. Its rate and scale of weights were chosen by the bound of 1000 validation images, of
# machines that were learnt in 4 epochs from 20 000 others. With the default rate of 0.2 that bound is 50 nats lower.
# With weights of 0.03, annealing finds a mode that no chain of the training has seen: log Z is then 240 nats higher
# than annealing back says. The rate of fine-tuning was chosen by the error of 10 000 training images left out.
DBM = {"visible": "bernoulli", "learning_rate_init": 0.05, "weight_scale": 0.01}
TUNING_OF_DBM = {"learning_rate_init": 0.1, "n_frozen": 20}

# Jiang et al. had a 500-500-2000 network, ten components and diagonal covariances, and saw all 70 000 images. Their
# figure is that of weights shipped with their code; trained anew, others reach 87 to 91.
CLUSTERS = {"n_components": 32, "batch_size": 200}

# Makhzani et al. have a categorical part of the code, with a critic of its own, beside a normal one. Ours
# is one code with modes. They name a cluster after the image that is most surely in it, we after most of its images.
CODE_WITH_MODES = {"n_components": 10, "batch_size": 200, "input_dropout": 0.3, "adversarial_weight": 1.0}
CLUSTERS_AS_MODES = {**CODE_WITH_MODES, "adversarial_weight": 20.0}

# Tied logistic layers of one width and a quarter of the inputs put to zero are of Vincent et al., who chose widths,
# rates and epochs from grids by a validation set; ours are guesses, and of Adam.
CODE_OF_2010 = {"hidden_layer_sizes": (), "code_activation": "logistic", "tied_weights": True, "init": "random"}
NOISE_OF_2010 = {"likelihood": "bernoulli", "corruption": "masking", "corruption_level": 0.25, "tol": 0.0}
DENOISING_OF_2010 = {**CODE_OF_2010, **NOISE_OF_2010}
CLASSIFICATION = {**ONE_CYCLE, "learning_rate_init": 1e-3}
QUICK = {**CLASSIFICATION, "n_frozen": 20, "max_iter": 3}
PLAIN = {"activation": "silu", "code_activation": "silu", "init": "random"}

# Codes of 50 numbers are Kingma et al.'s, the sizes of the networks and the consistency under noise are ours.
M1 = {**ONE_CYCLE, "likelihood": "bernoulli", "prior": "normal", "hidden_layer_sizes": (500, 250)}
M2 = {**ONE_CYCLE, "n_components": 16, "likelihood": "bernoulli", "consistency": 10.0}
ABOVE = {**ONE_CYCLE, "n_components": 16, "consistency": 10.0}


# Sohn et al. draw 100 codes for each test image, as here. Widths, rates and epochs are ours, and so are the fixed
# binarisation and the order of the quadrants.
CVAE = {**ONE_CYCLE, "likelihood": "bernoulli", "learning_rate_init": 2e-3, "n_draws": 100}


class Row(NamedTuple):
    """A published figure, and how to reach it."""

    about: str
    unit: str
    published: dict[str, float]
    beside: str | tuple[str, ...]
    """The figures of ours that those are to be compared with."""
    source: str
    run: Callable[[Run], Figures]
    small: Settings
    full: Settings
    long: Settings | None = None
    """Of a run of at most 25 minutes on two cores, where there is one."""


ROWS: dict[str, Row] = {
    "hinton2006": Row(
        about="Autoencoder 784-1000-500-250-30, pretrained by RBMs and fine-tuned; grey MNIST, 60 000 / 10 000",
        unit="squared error of a test image",
        published={"pretrained and fine-tuned": 3.00, "logistic PCA": 8.01, "PCA": 13.87},
        beside="without pretraining",
        source=HINTON2006,
        run=hinton2006,
        small={
            "rbm": {**RBM_OF_2006, "max_iter": 1},
            "code_rbm": {**CODE_OF_2006, "max_iter": 5},
            "training": {**RECONSTRUCTION, "max_iter": 2},
            "plain": PLAIN_OF_2006,
        },
        full={
            "rbm": {**RBM_OF_2006, "max_iter": 50},
            "code_rbm": {**CODE_OF_2006, "max_iter": 50},
            "training": {**RECONSTRUCTION, "max_iter": 200},
            "plain": PLAIN_OF_2006,
        },
    ),
    "plain2006": Row(
        about="The same autoencoder with SiLU units, not pretrained, beside the published one that was; grey MNIST",
        unit="squared error of a test image",
        published={"not pretrained": 3.00},
        beside="on the training images",
        source=HINTON2006,
        run=plain2006,
        small={"training": {**RECONSTRUCTION, "max_iter": 4}, "plain": PLAIN_OF_2006},
        full={"training": {**RECONSTRUCTION, "max_iter": 30}, "plain": PLAIN_OF_2006},
    ),
    "rbm500": Row(
        about="RBM with 500 hidden units; binarised MNIST, 60 000 / 10 000",
        unit="nats a test image",
        published={"log-likelihood": -86.34},
        beside="log-likelihood, log Z by annealing back",
        source=SALAKHUTDINOV2008,
        run=rbm500,
        small={
            "rbm": {**PERSISTENT, "max_iter": 8},
            "annealing": {"n_chains": 100, "n_betas": 1000, "n_steps": 1000},
        },
        long={
            "rbm": {"visible": "bernoulli", "learning_rate_init": 0.1, "batch_size": 100, "max_iter": 90},
            "annealing": {"n_chains": 100, "n_betas": 5000, "n_steps": 5000},
        },
        full={"rbm": CD25, "annealing": ANNEALING_OF_2008},
    ),
    "dbn": Row(
        about="Deep belief network 784-500-2000; binarised MNIST, 60 000 / 10 000",
        unit="nats a test image",
        published={"bound of the log-likelihood": -86.22},
        beside="bound of the log-likelihood, log Z by annealing back",
        source=SALAKHUTDINOV2008,
        run=dbn,
        small={
            "network": {**PERSISTENT, "layers": [{"max_iter": 4}, {"max_iter": 2}]},
            "annealing": {"n_chains": 100, "n_betas": 500, "n_steps": 200},
        },
        full={"network": CD25, "annealing": ANNEALING_OF_2008},
    ),
    "dbm": Row(
        about="Deep Boltzmann machine 784-500-1000, binarised MNIST; fine-tuned on grey MNIST; 60 000 / 10 000",
        unit="test images",
        published={
            "bound of the log-likelihood, nats": -84.62,
            "error after fine-tuning, %": 0.95,
            "bound, reimplemented, nats": -86.37,
            "error, reimplemented, %": 1.32,
        },
        beside="bound of the log-likelihood, nats, log Z by annealing back",
        source=SALAKHUTDINOV2009,
        run=dbm,
        small={
            "machine": {**DBM, "max_iter": 8},
            "annealing": {"n_chains": 100, "n_betas": 1000, "n_steps": 1000},
            "training": {**TUNING_OF_DBM, "max_iter": 3},
        },
        full={
            "machine": {**DBM, "max_iter": 300},
            "annealing": ANNEALING_OF_2008,
            "training": {**TUNING_OF_DBM, "max_iter": 50},
        },
        long={
            "machine": {**DBM, "max_iter": 30},
            "annealing": {"n_chains": 100, "n_betas": 2000, "n_steps": 2000},
            "training": {**TUNING_OF_DBM, "max_iter": 10},
        },
    ),
    "vae": Row(
        about="Variational autoencoder 784-200-200-50, N(0, I) prior; MNIST in black and white, drawn anew",
        unit="nats a test image, minus the bound",
        published={"trained on the ELBO": 86.76, "trained on the IWAE": 84.78},
        beside="ELBO: minus the ELBO",
        source=BURDA2016,
        run=vae,
        small={
            "copies": 1,
            "test_rows": 2000,
            "n_draws": 500,
            "network": {**NETWORK_OF_2016, **RECONSTRUCTION},
            "ELBO": {"max_iter": 15},
            "ELBO rows": 60_000,
            "IWAE": {"max_iter": 3, "n_importance_samples": 5},
            "IWAE rows": 60_000,
        },
        full={
            "copies": 10,
            "test_rows": 10_000,
            "n_draws": 5000,
            "network": {**NETWORK_OF_2016, **RECONSTRUCTION, "learning_rate_init": 1e-3},
            "ELBO": {"max_iter": 100},
            "ELBO rows": 600_000,
            "IWAE": {"max_iter": 100, "n_importance_samples": 50},
            "IWAE rows": 600_000,
        },
        long={
            "copies": 5,
            "test_rows": 1000,
            "n_draws": 1000,
            "network": {**NETWORK_OF_2016, **RECONSTRUCTION, "learning_rate_init": 1e-3},
            "ELBO": {"max_iter": 20},
            "ELBO rows": 300_000,
            "IWAE": {"max_iter": 5, "n_importance_samples": 5},
            "IWAE rows": 300_000,
        },
    ),
    "cvae": Row(
        about="Conditional variational autoencoder, quadrants of an image given the others; binarised MNIST, 60 000",
        unit="negative conditional log-likelihood of a test image, nats",
        published={"1 quadrant given": 68.62, "2 quadrants given": 45.57, "3 quadrants given": 20.96},
        beside="by the ELBO, 1 quadrant given",
        source=SOHN2015,
        run=cvae,
        small={"network": {**CVAE, "hidden_layer_sizes": (500, 500), "max_iter": 8}, "n_test": 2000},
        full={"network": {**CVAE, "hidden_layer_sizes": (1000, 1000), "max_iter": 100}, "n_test": 10_000},
    ),
    "clusters": Row(
        about="Ten clusters by a mixture prior, matched with the digits; grey MNIST, 60 000 / 10 000",
        unit="% of the test images",
        published={"accuracy": 94.46},
        beside="k-means on PCA",
        source=JIANG2017,
        run=clusters,
        small={"model": {**CLUSTERS, "max_iter": 16}},
        full={"model": {**CLUSTERS, "hidden_layer_sizes": (500, 500), "max_iter": 200}},
        long={"model": {**CLUSTERS, "hidden_layer_sizes": (500, 500), "max_iter": 30}},
    ),
    "aae": Row(
        about="Adversarial autoencoders, clusters as modes of the prior, and 100 labels; grey MNIST, 60 000 / 10 000",
        unit="test images",
        published={
            "accuracy, 16 clusters, %": 90.45,
            "accuracy, 30 clusters, %": 95.90,
            "error, 100 labels, %": 1.90,
        },
        beside=(
            "k-means on PCA, 16 clusters, %",
            "k-means on PCA, 30 clusters, %",
            "error of logistic regression, 100 labels, %",
        ),
        source=MAKHZANI2015,
        run=aae,
        small={"clusters": {**CLUSTERS_AS_MODES, "max_iter": 8}, "labels": {**CODE_WITH_MODES, "max_iter": 8}},
        full={
            "clusters": {**CLUSTERS_AS_MODES, "hidden_layer_sizes": (1000, 1000), "max_iter": 500},
            "labels": {**CODE_WITH_MODES, "hidden_layer_sizes": (1000, 1000), "max_iter": 500},
        },
        long={"clusters": {**CLUSTERS_AS_MODES, "max_iter": 60}, "labels": {**CODE_WITH_MODES, "max_iter": 60}},
    ),
    "sda": Row(
        about="Three stacked denoising autoencoders, fine-tuned; grey MNIST, 60 000 / 10 000",
        unit="test error, %",
        published={"pretrained": 1.28},
        beside="not pretrained",
        source=VINCENT2010,
        run=sda,
        small={
            "sizes": (500, 500, 500),
            "layer": {**DENOISING_OF_2010, "max_iter": 1, "learning_rate_init": 2e-3},
            "training": QUICK,
            "plain": PLAIN,
        },
        full={
            "sizes": (2000, 2000, 2000),
            "layer": {**DENOISING_OF_2010, "max_iter": 100},
            "training": {**CLASSIFICATION, "max_iter": 100},
            "plain": PLAIN,
        },
    ),
    "dbn3": Row(
        about="Deep belief network of three layers, fine-tuned; grey MNIST, 60 000 / 10 000",
        unit="test error, %",
        published={"pretrained": 1.24},
        beside="not pretrained",
        source=VINCENT2010,
        run=dbn3,
        small={
            "sizes": (500, 500, 500),
            "network": {**CONTRASTIVE, "max_iter": 1},
            "training": QUICK,
            "plain": PLAIN,
        },
        full={
            "sizes": (2000, 2000, 2000),
            "network": {**CONTRASTIVE, "max_iter": 100},
            "training": {**CLASSIFICATION, "max_iter": 100},
            "plain": PLAIN,
        },
    ),
    "m1m2": Row(
        about="Semi-supervised variational autoencoders of images (M2) and of codes (M1+M2); grey MNIST, 100 labels",
        unit="test error, %",
        published={"M2": 11.97, "M1+M2": 3.33, "M2, reimplemented": 7.15, "M1+M2, reimplemented": 2.80},
        beside="logistic regression on the labels",
        source=KINGMA2014,
        run=m1m2,
        small={
            "m1": {**M1, "max_iter": 8},
            "above": {**ABOVE, "max_iter": 12},
            "m2": {**M2, "max_iter": 8},
            "n_rows": 20_000,
        },
        full={
            "m1": {**M1, "max_iter": 100},
            "above": {**ABOVE, "max_iter": 100},
            "m2": {**M2, "max_iter": 100},
            "n_rows": 60_000,
        },
    ),
    "sst": Row(
        about="Recursive networks, labels of all phrases, no pretrained vectors; Stanford Sentiment Treebank",
        unit="% of the test sentences",
        published={
            "plain net, fine": 43.2,
            "plain net, binary": 82.4,
            "tensor net, fine": 45.7,
            "tensor net, binary": 85.4,
        },
        beside=("gated net, fine", "gated net, binary", "bag of words, fine", "bag of words, binary"),
        source=SOCHER2013,
        run=sst,
        small={name: SETTINGS[name] for name in ("bag of words", "plain net", "gated net")},
        full=SETTINGS,
        long=SETTINGS,
    ),
    "multimodal": Row(
        about="Multimodal Boltzmann machine, retrieval of texts by images and the reverse; Wikipedia, 2173 / 693 pairs",
        unit="mean average precision",
        published={
            "image query": 0.249,
            "text query": 0.196,
            "with labels, image query": 0.277,
            "with labels, text query": 0.226,
        },
        beside=(
            "with labels, query of both",
            "CCA, image query",
            "CCA, text query",
            "logistic regression, image query",
            "logistic regression, text query",
            "chance",
        ),
        source=RASIWASIA2010,
        run=multimodal,
        small=OF_PAIRS,
        full=OF_PAIRS,
    ),
}


def measured(name: str, data: Path, budget: str, device: str, seed: int) -> dict[str, Any]:
    """Run a row, and tell all there is to know of it."""
    row = ROWS[name]
    settings: Settings | None = getattr(row, budget)
    if settings is None:
        raise ValueError(f"there is no {budget} budget for {name}.")
    run = Run(data, {"device": device, "random_state": seed}, settings)
    start, start_cpu = time.perf_counter(), time.process_time()
    figures = row.run(run)
    return {
        "row": name,
        "about": row.about,
        "unit": row.unit,
        "published": row.published,
        "source": row.source,
        "beside": row.beside,
        "figures": figures,
        "settings": settings,
        "budget": budget,
        "seed": seed,
        "device": device if device == "cpu" else torch.cuda.get_device_name(),
        "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - start, 1),
        "processor_seconds": round(time.process_time() - start_cpu, 1),
        "version": skae.__version__,
        "torch": torch.__version__,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def main() -> None:
    """Run the rows, add them to the file, and make the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the data; without it nothing is run")
    parser.add_argument("--budget", choices=("small", "long", "full"), default="small")
    parser.add_argument("--only", nargs="+", choices=tuple(ROWS), default=tuple(ROWS))
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="add the runs to this file")
    parser.add_argument("--markdown", type=Path, help="write the page of that file here")
    args = parser.parse_args()
    if args.markdown and not args.json:
        parser.error("--markdown makes the page from the file of --json: pass both.")
    warnings.simplefilter("ignore")
    entries = json.loads(args.json.read_text()) if args.json and args.json.exists() else []
    for name in args.only if args.data else ():
        print(f"{name}, {args.budget}: {ROWS[name].about}. Published: {ROWS[name].published}", flush=True)
        try:
            entries.append(measured(name, args.data, args.budget, args.device, args.seed))
        except (ArithmeticError, OSError, ValueError, RuntimeError) as error:
            print(f"  not run: {error}", flush=True)
            continue
        print("  {seconds} s, {processor_seconds} s of the processor".format(**entries[-1]), flush=True)
        if args.json:
            args.json.write_text(json.dumps(entries, indent=1) + "\n")
    if args.markdown:
        args.markdown.write_text(page(entries))


if __name__ == "__main__":
    main()

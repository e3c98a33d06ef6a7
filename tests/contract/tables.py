"""The estimators of the contract: one of each class, and settings with the promises that they can break."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.utils import get_tags

from skae import (
    RBM,
    AdversarialAutoencoder,
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    BidirectionalGAN,
    ConditionalVariationalAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    MixtureVariationalAutoencoder,
    MultimodalDeepBoltzmannMachine,
    NeighborAutoencoder,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
    SemiSupervisedVariationalAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    WassersteinAutoencoder,
)

PROMISES = {
    "shapes": "codes and reconstructions have the shape and the dtype asked for",
    "rows": "any number of rows is fitted: one, fewer than components, a batch and a tail",
    "input": "every kind of table gives the same",
    "randomness": "a seed repeats a fit, and no global generator is drawn from",
    "saving": "a copy is the same and goes on the same, on another device too",
    "scores": "a score is what it is documented to be",
    "use": "using a fitted estimator changes nothing of it",
    "prediction": "y is read in any form, may be known in part, and is predicted",
    "going on": "partial_fit and warm_start go on, early stopping watches held-out rows",
}
"""What every estimator promises. Each has its tests in a file of this folder."""

QUICK = {"max_iter": 3, "batch_size": 200, "random_state": 0}
SMALL = {"hidden_layer_sizes": (8,), "learning_rate": "cosine", **QUICK}
IMAGE = {"image_shape": "row", "channels": (4,), **QUICK}
CHAINS = {"n_chains": 5, **QUICK, "batch_size": 100}
ENCODER = Autoencoder(2, **{**SMALL, "random_state": None})
ARAE = {"critic_layer_sizes": (8,), "generator_layer_sizes": (8,), "n_critic": 2}

CLASSES = {
    "AdversarialAutoencoder": AdversarialAutoencoder(**SMALL),
    "AdversariallyRegularizedAutoencoder": AdversariallyRegularizedAutoencoder(2, **ARAE, **SMALL),
    "Autoencoder": Autoencoder(**SMALL),
    "BidirectionalGAN": BidirectionalGAN(critic_layer_sizes=(8,), **SMALL),
    "ConditionalVariationalAutoencoder": ConditionalVariationalAutoencoder(**SMALL),
    "ContractiveAutoencoder": ContractiveAutoencoder(order=2, **SMALL),
    "ConvolutionalAutoencoder": ConvolutionalAutoencoder(**{**IMAGE, "channels": (3, 4), "init": "random"}),
    "DeepBeliefNetwork": DeepBeliefNetwork(2, hidden_layer_sizes=(4,), **CHAINS),
    "DeepBoltzmannMachine": DeepBoltzmannMachine(2, hidden_layer_sizes=(4,), **CHAINS),
    "DenoisingAutoencoder": DenoisingAutoencoder(**SMALL),
    "FineTunedClassifier": FineTunedClassifier(ENCODER, learning_rate="cosine", **QUICK),
    "FineTunedRegressor": FineTunedRegressor(ENCODER, learning_rate="cosine", **QUICK),
    "MixtureVariationalAutoencoder": MixtureVariationalAutoencoder(2, n_clusters=2, **SMALL),
    "MultimodalDeepBoltzmannMachine": MultimodalDeepBoltzmannMachine(
        2, hidden_layer_sizes=(4,), pretrain_iter=1, **CHAINS
    ),
    "NeighborAutoencoder": NeighborAutoencoder(2, **SMALL),
    "ReceptiveFieldAutoencoder": ReceptiveFieldAutoencoder(2, **QUICK),
    "RBM": RBM(2, **CHAINS),
    "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(2, **SMALL),
    "SemiSupervisedAutoencoderRegressor": SemiSupervisedAutoencoderRegressor(2, **SMALL),
    "SemiSupervisedVariationalAutoencoder": SemiSupervisedVariationalAutoencoder(2, **SMALL),
    "SparseAutoencoder": SparseAutoencoder(2, **QUICK),
    "StackedAutoencoder": StackedAutoencoder(
        [clone(ENCODER).set_params(n_components=4), ("top", SparseAutoencoder(2, max_iter=3))], **QUICK
    ),
    "TopKAutoencoder": TopKAutoencoder(2, k=1, learning_rate_init=1e-3, dead_after=20, **QUICK),
    "VariationalAutoencoder": VariationalAutoencoder(2, **SMALL),
    "VectorQuantizedAutoencoder": VectorQuantizedAutoencoder(2, **{**SMALL, "batch_size": 10}),
    "WassersteinAutoencoder": WassersteinAutoencoder(2, **SMALL),
}
"""One quick instance of each public class: it enters every test."""


class Setting(NamedTuple):
    """An instance, and which of the promises it can break although its class keeps them."""

    estimator: Any
    breaks: tuple[str, ...]


SETTINGS = {
    "AdversarialAutoencoder labels": Setting(
        AdversarialAutoencoder(prior="labels", n_critic=2, **SMALL),
        ("shapes", "input", "randomness", "saving", "use", "going on"),
    ),
    "AdversarialAutoencoder universal": Setting(
        AdversarialAutoencoder(prior="mixture", n_clusters=2, posterior="universal", dropout=0.2, **SMALL),
        ("shapes", "rows", "randomness", "saving", "scores", "use", "going on"),
    ),
    "AdversarialAutoencoder images": Setting(
        AdversarialAutoencoder(prior="uniform", posterior="gaussian", likelihood="bernoulli", **IMAGE),
        ("shapes", "rows", "input", "saving", "use"),
    ),
    "AdversariallyRegularizedAutoencoder tokens": Setting(
        AdversariallyRegularizedAutoencoder(2, likelihood="tokens", n_tokens=6, **ARAE, **SMALL),
        ("rows", "randomness", "saving", "use", "going on"),  # not shapes: what is decoded are whole numbers
    ),
    "AdversariallyRegularizedAutoencoder clipping": Setting(
        AdversariallyRegularizedAutoencoder(
            2, constraint="clipping", spherical=True, code_noise=0.1, n_noise=3, likelihood="bernoulli", **ARAE, **SMALL
        ),
        ("shapes", "input", "randomness", "saving", "scores"),
    ),
    "AdversariallyRegularizedAutoencoder images": Setting(
        AdversariallyRegularizedAutoencoder(2, **ARAE, **IMAGE), ("shapes", "rows", "saving", "use")
    ),
    "Autoencoder float64": Setting(Autoencoder(dtype="float64", **SMALL), ("shapes", "saving")),
    "Autoencoder batch_norm": Setting(Autoencoder(batch_norm=True, **SMALL), ("rows", "saving", "use", "going on")),
    "Autoencoder dropout": Setting(
        Autoencoder(dropout=0.3, **{**SMALL, "hidden_layer_sizes": (8, 8)}), ("randomness", "saving", "use")
    ),
    "Autoencoder input_dropout": Setting(Autoencoder(input_dropout=0.3, **SMALL), ("randomness", "saving", "use")),
    "Autoencoder tied": Setting(Autoencoder(tied_weights=True, **SMALL), ("shapes", "saving", "going on")),
    "Autoencoder bernoulli": Setting(Autoencoder(likelihood="bernoulli", **SMALL), ("shapes", "input", "scores")),
    "Autoencoder poisson": Setting(Autoencoder(likelihood="poisson", **SMALL), ("shapes", "scores")),
    "Autoencoder mixed": Setting(
        Autoencoder(likelihood="mixed", columns=(("gaussian", 2), ("bernoulli", 1), ("poisson", 2)), **SMALL),
        ("input", "saving", "going on"),  # not shapes and rows: some of their tables have other columns
    ),
    "Autoencoder lbfgs": Setting(
        Autoencoder(solver="lbfgs", **SMALL), ("rows", "randomness", "saving", "use", "going on")
    ),
    "BidirectionalGAN wasserstein": Setting(
        BidirectionalGAN(
            2, loss="wasserstein", spectral_norm=True, reconstruction_weight=0.0, n_critic=2, dropout=0.2, **SMALL
        ),
        ("shapes", "rows", "randomness", "saving", "use"),
    ),
    "BidirectionalGAN images": Setting(
        BidirectionalGAN(2, loss="hinge", likelihood="bernoulli", **IMAGE),
        ("shapes", "rows", "input", "saving", "scores", "use"),
    ),
    "ConditionalVariationalAutoencoder standard": Setting(
        ConditionalVariationalAutoencoder(
            2, conditional_prior="standard", prior="mixture", likelihood="bernoulli", **SMALL
        ),
        ("shapes", "scores", "saving"),
    ),
    "ConditionalVariationalAutoencoder images": Setting(
        ConditionalVariationalAutoencoder(2, n_importance_samples=2, **IMAGE), ("shapes", "rows", "saving", "use")
    ),
    "ConvolutionalAutoencoder max": Setting(
        ConvolutionalAutoencoder(pooling="max", tied_weights=True, dropout=0.2, **IMAGE),
        ("shapes", "rows", "randomness", "saving"),
    ),
    "ConvolutionalAutoencoder batch_norm": Setting(
        ConvolutionalAutoencoder(pooling=None, batch_norm=True, hidden_layer_sizes=(6,), **IMAGE),
        ("shapes", "rows", "saving", "use", "going on"),
    ),
    "DeepBeliefNetwork up-down": Setting(
        DeepBeliefNetwork(
            2,
            hidden_layer_sizes=(4, 3),
            layers=[{}, {"hidden": "gaussian"}, {"algorithm": "cd"}],
            visible="bernoulli",
            up_down_iter=3,
            **QUICK,
        ),
        ("shapes", "rows", "randomness", "saving", "scores", "use", "going on"),
    ),
    "DeepBeliefNetwork labels": Setting(
        DeepBeliefNetwork(
            2,
            labels=True,
            hidden_layer_sizes=(4,),
            hidden="gaussian",
            algorithm="cd",
            weight_scale=0.3,
            **{**CHAINS, "batch_size": 200},
        ),
        ("shapes", "input", "randomness", "saving", "use", "prediction", "going on"),
    ),
    "DeepBoltzmannMachine labels": Setting(
        DeepBoltzmannMachine(
            2,
            labels=True,
            hidden_layer_sizes=(4,),
            pretrain_iter=2,
            weight_scale=1.0,
            **{**CHAINS, "batch_size": 200},
        ),
        ("shapes", "input", "randomness", "saving", "use", "prediction", "going on"),
    ),
    "DeepBoltzmannMachine deeper": Setting(
        DeepBoltzmannMachine(2, hidden_layer_sizes=(4, 3), visible="bernoulli", algorithm="pt", sparsity=0.1, **CHAINS),
        ("shapes", "rows", "randomness", "saving", "scores", "use", "going on"),
    ),
    "DenoisingAutoencoder bert": Setting(
        DenoisingAutoencoder(corruption="bert", walkback=2, **SMALL), ("rows", "randomness", "saving", "going on")
    ),
    "FineTunedClassifier float64": Setting(
        FineTunedClassifier(ENCODER, dtype="float64", **QUICK), ("shapes", "saving")
    ),
    "MixtureVariationalAutoencoder joint": Setting(
        MixtureVariationalAutoencoder(2, n_clusters=2, variance=0.01, **{**SMALL, "max_iter": 5}),
        ("shapes", "rows", "randomness", "saving", "scores", "use"),
    ),
    "MixtureVariationalAutoencoder bernoulli": Setting(
        MixtureVariationalAutoencoder(2, n_clusters=2, likelihood="bernoulli", **SMALL), ("shapes", "input", "scores")
    ),
    "MultimodalDeepBoltzmannMachine two": Setting(
        MultimodalDeepBoltzmannMachine(
            2,
            modalities={"numbers": slice(0, None, 2), "bits": slice(1, None, 2)},
            visible={"bits": "bernoulli"},
            hidden_layer_sizes={"numbers": (4, 3, 3), "bits": (3,)},
            learn_variances=True,
            pretrain_iter=0,
            **CHAINS,
        ),
        ("shapes", "input", "randomness", "saving", "scores", "use", "going on"),
    ),
    "MultimodalDeepBoltzmannMachine labels": Setting(
        MultimodalDeepBoltzmannMachine(
            2,
            labels=True,
            hidden_layer_sizes=(),
            hidden="gaussian",
            algorithm="cd",
            weight_scale=0.3,
            **{**CHAINS, "batch_size": 200},
        ),
        ("shapes", "input", "saving", "use", "prediction", "going on"),
    ),
    "NeighborAutoencoder labels": Setting(
        NeighborAutoencoder(2, n_neighbors=4, objective="umap", target_weight=0.5, densities=True, **SMALL),
        ("shapes", "input", "randomness", "saving", "use", "going on"),
    ),
    "NeighborAutoencoder pacmap": Setting(
        NeighborAutoencoder(2, metric="cosine", objective="pacmap", likelihood="bernoulli", dropout=0.2, **SMALL),
        ("shapes", "rows", "input", "saving", "scores", "going on"),
    ),
    "ReceptiveFieldAutoencoder lbfgs": Setting(
        ReceptiveFieldAutoencoder(2, solver="lbfgs", **QUICK), ("rows", "going on")
    ),
    "RBM bernoulli": Setting(
        RBM(2, visible="bernoulli", algorithm="cd", n_gibbs=2, **QUICK),
        ("shapes", "rows", "input", "randomness", "scores"),
    ),
    "RBM tempered": Setting(
        RBM(2, visible="bernoulli", algorithm="pt", **CHAINS), ("rows", "randomness", "saving", "use", "going on")
    ),
    "RBM variances": Setting(RBM(2, learn_variances=True, **CHAINS), ("shapes", "rows", "saving", "scores")),
    "RBM relu": Setting(RBM(2, visible="bernoulli", hidden="relu", **CHAINS), ("shapes", "rows", "scores")),
    "RBM counts": Setting(
        RBM(2, visible="softmax", **CHAINS), ("shapes", "rows", "input", "saving", "scores", "use", "going on")
    ),
    "SemiSupervisedAutoencoder float64": Setting(SemiSupervisedAutoencoder(2, dtype="float64", **SMALL), ("shapes",)),
    "SemiSupervisedAutoencoder dropout": Setting(
        SemiSupervisedAutoencoder(2, dropout=0.3, batch_norm=True, **SMALL), ("rows", "randomness", "saving", "use")
    ),
    "SemiSupervisedAutoencoder bernoulli": Setting(
        SemiSupervisedAutoencoder(2, likelihood="bernoulli", **SMALL), ("shapes", "input")
    ),
    "SemiSupervisedVariationalAutoencoder stacked": Setting(
        SemiSupervisedVariationalAutoencoder(2, encoder=VariationalAutoencoder(3, dtype="float64", **SMALL), **SMALL),
        ("shapes", "input", "randomness", "saving", "use", "prediction", "going on"),
    ),
    "SemiSupervisedVariationalAutoencoder bernoulli": Setting(
        SemiSupervisedVariationalAutoencoder(2, likelihood="bernoulli", n_importance_samples=3, dropout=0.2, **SMALL),
        ("shapes", "input", "rows", "randomness", "saving"),
    ),
    "SparseAutoencoder kl": Setting(SparseAutoencoder(2, penalty="kl", **QUICK), ("shapes", "rows")),
    "StackedAutoencoder bernoulli": Setting(
        StackedAutoencoder(
            [
                Autoencoder(4, hidden_layer_sizes=(), max_iter=3, likelihood="bernoulli", code_activation="logistic"),
                Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3, likelihood="bernoulli"),
            ],
            **QUICK,
        ),
        ("shapes", "input", "scores"),
    ),
    "VariationalAutoencoder flow": Setting(
        VariationalAutoencoder(2, prior="flow", warm_up=0.5, **SMALL),
        ("shapes", "randomness", "saving", "scores", "going on"),
    ),
    "VariationalAutoencoder vamp": Setting(
        VariationalAutoencoder(2, prior="vamp", prior_size=3, n_importance_samples=3, variance="column", **SMALL),
        ("rows", "randomness", "saving", "scores", "use", "going on"),
    ),
    "VariationalAutoencoder bernoulli": Setting(
        VariationalAutoencoder(2, likelihood="bernoulli", free_bits=0.1, **SMALL), ("shapes", "input", "scores")
    ),
    "VariationalAutoencoder mixed": Setting(
        VariationalAutoencoder(
            2, likelihood="mixed", columns=(("bernoulli", 2), ("gaussian", 3)), variance="column", **SMALL
        ),
        ("saving", "scores", "use"),
    ),
    "VariationalAutoencoder images": Setting(
        VariationalAutoencoder(2, prior="normal", total_correlation=1.0, **IMAGE),
        ("shapes", "rows", "randomness", "saving", "scores", "use"),
    ),
    "TopKAutoencoder batch": Setting(
        TopKAutoencoder(2, k=1, selection="batch", **QUICK), ("rows", "randomness", "saving", "use")
    ),
    "VectorQuantizedAutoencoder fsq": Setting(
        VectorQuantizedAutoencoder(2, quantizer="fsq", **SMALL), ("shapes", "rows", "saving", "scores", "use")
    ),
    "VectorQuantizedAutoencoder map": Setting(
        VectorQuantizedAutoencoder(
            2, code="map", hidden_layer_sizes=(), **{**IMAGE, "pooling": "max", "kernel_size": 1, "channels": (3, 3)}
        ),
        ("rows", "saving"),
    ),
    "WassersteinAutoencoder lbfgs": Setting(
        WassersteinAutoencoder(2, kernel="rbf", scales=0.5, likelihood="bernoulli", **{**SMALL, "solver": "lbfgs"}),
        ("rows", "randomness", "saving", "use", "going on"),
    ),
    "WassersteinAutoencoder images": Setting(
        WassersteinAutoencoder(2, batch_norm=True, **IMAGE), ("shapes", "rows", "saving", "use", "going on")
    ),
}
"""A setting enters the tests of the promises that it can break, and no others."""

EVERY = CLASSES | {name: setting.estimator for name, setting in SETTINGS.items()}


def entering(promise: str, among: Callable[[Any], bool] = lambda estimator: True) -> pytest.MarkDecorator:
    """Give a test, as ``estimator``, one instance of each class and of each setting that can break a promise."""
    assert promise in PROMISES
    names = [name for name in EVERY if name in CLASSES or promise in SETTINGS[name].breaks]
    return pytest.mark.parametrize("estimator", [name for name in names if among(EVERY[name])], indirect=True)


def every_class(among: Callable[[Any], bool] = lambda estimator: True) -> pytest.MarkDecorator:
    """Give a test one instance of each class, where no setting makes a difference."""
    return pytest.mark.parametrize("estimator", [name for name in CLASSES if among(EVERY[name])], indirect=True)


def needs_y(estimator: Any) -> bool:
    return bool(get_tags(estimator).target_tags.required)


def predicts(estimator: Any) -> bool:
    return is_classifier(estimator) or is_regressor(estimator)


def predicts_nothing(estimator: Any) -> bool:
    return not predicts(estimator)


def takes_equal_rows(estimator: Any) -> bool:
    """A map refuses a table whose rows are all equal: none of them has a neighbour."""
    return not isinstance(estimator, NeighborAutoencoder)


def rows_for(estimator: Any, rows: np.ndarray) -> np.ndarray:
    """Rows in [0, 1], or whole numbers made of them for a machine of counts and for a model of tokens."""
    is_of_tokens = getattr(estimator, "likelihood", None) == "tokens"
    is_of_counts = getattr(estimator, "visible", None) == "softmax" and estimator.categories is None
    return (5 * rows).round() if is_of_counts or is_of_tokens else rows


def target_of(estimator: Any, n: int) -> Any:
    """Labels or numbers for n rows, a third of them unknown if they may be; None for an estimator that needs none."""
    if not needs_y(estimator):
        return None
    row = np.arange(n)
    if not predicts(estimator):
        return row % 2
    if is_classifier(estimator):
        return np.where(row % 3 == 2, -1, row % 2)
    return np.where(row % 3 == 2, np.nan, np.sin(row))

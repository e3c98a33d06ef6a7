"""At strength zero a variant is its parent to the last bit: weights, codes, history and what follows.

A variant enters by a row: its name, the variant at strength zero, and its parent, both with their
own defaults. What the variant's defaults change is handed to the parent by the test.
"""

import numpy as np
import pytest
import torch
from sklearn.base import clone

from skae import RBM, Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder


class SparseDenoisingAutoencoder(DenoisingAutoencoder, SparseAutoencoder):
    pass


class ContractiveDenoisingAutoencoder(DenoisingAutoencoder, ContractiveAutoencoder):
    pass


class AllAutoencoder(ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder):
    pass


SILENT = {"early_stopping": False, "corruption_level": 0.0}
LIMITS = [
    ("sparse", SparseAutoencoder(sparsity=0.0), Autoencoder()),
    ("sparse kl", SparseAutoencoder(sparsity=0.0, penalty="kl"), Autoencoder()),
    ("denoising", DenoisingAutoencoder(corruption="masking", **SILENT), Autoencoder()),
    ("denoising gaussian", DenoisingAutoencoder(corruption="gaussian", **SILENT), Autoencoder()),
    ("denoising salt", DenoisingAutoencoder(corruption="salt_and_pepper", **SILENT), Autoencoder()),
    ("denoising walkback", DenoisingAutoencoder(corruption="masking", walkback=3, **SILENT), Autoencoder()),
    ("denoising emphasis", DenoisingAutoencoder(corruption="masking", emphasis=(1, 0), **SILENT), Autoencoder()),
    ("contractive", ContractiveAutoencoder(contraction=0.0), Autoencoder()),
    ("contractive order 2", ContractiveAutoencoder(contraction=0.0, order=2, gamma=0.0), Autoencoder()),
    ("sparse denoising", SparseDenoisingAutoencoder(sparsity=0.0, **SILENT), Autoencoder()),
    ("sparse of both", SparseDenoisingAutoencoder(sparsity=0.0), DenoisingAutoencoder()),
    ("denoising of both", SparseDenoisingAutoencoder(**SILENT), SparseAutoencoder()),
    ("contractive of both", ContractiveDenoisingAutoencoder(contraction=0.0), DenoisingAutoencoder()),
    ("contractive denoising", ContractiveDenoisingAutoencoder(contraction=0.0, **SILENT), Autoencoder()),
    ("all three", AllAutoencoder(contraction=0.0, sparsity=0.0, **SILENT), Autoencoder()),
]

MIXED = {name for name, variant, _ in LIMITS if type(variant).__module__ == __name__}
"""Recipes of several variants, which can break what their parts do to each other."""

N = 40
CONFIGURATIONS = {
    "pca": {},
    "pca, one batch": {"batch_size": N},
    "random": {"init": "random"},
    "tied, one batch": {"tied_weights": True, "hidden_layer_sizes": (), "batch_size": N},
    "batch_norm": {"batch_norm": True, "activation": "tanh"},  # back-propagated by autograd
    "noise, one batch": {"dropout": 0.3, "input_dropout": 0.2, "batch_size": N},
    "code": {"code_activation": "logistic", "n_components": 7},
    "poisson float64": {"likelihood": "poisson", "dtype": "float64"},
    "held out": {"early_stopping": True},
    "weighted": {},
    "weighted bernoulli, one batch": {"likelihood": "bernoulli", "batch_size": N},
}
SHARED = ("pca", "noise, one batch", "held out", "weighted")
"""Configurations in which the parts of a recipe meet."""
COMMON = {
    "n_components": 2,
    "hidden_layer_sizes": (6,),
    "tied_weights": False,
    "code_activation": "identity",
    "learning_rate_init": 0.01,
    "batch_size": 16,
    "max_iter": 2,
    "random_state": 0,
}


@pytest.fixture(scope="module")
def X():
    """Rows in [0, 1], of which some are equal."""
    return np.random.default_rng(0).integers(0, 3, (N, 4)) / 2


def pair(variant, parent, **options):
    """Both with the same parameters, as far as the parent has them."""
    variant = clone(variant).set_params(**{**COMMON, **options})
    if "kl" in (getattr(variant, "penalty", ""), getattr(parent, "penalty", "")):
        variant.set_params(code_activation="logistic")
    shared = parent.get_params()
    own = {name: value for name, value in variant.get_params().items() if name in shared}
    return variant, clone(parent).set_params(**own)


def require_the_same(variant, parent, X):
    parameters = [dict(model.module_.state_dict()) for model in (variant, parent)]
    assert parameters[0].keys() == parameters[1].keys()
    for name, tensor in parameters[0].items():
        assert torch.equal(tensor, parameters[1][name]), name
    np.testing.assert_array_equal(variant.transform(X), parent.transform(X))
    assert variant.score(X) == parent.score(X)
    assert variant.history_ == parent.history_
    np.testing.assert_equal(variant.loss_, parent.loss_)  # NaN where there is no objective


@pytest.mark.parametrize(
    ("variant", "parent", "configuration"),
    [
        pytest.param(variant, parent, configuration, id=f"{name}-{configuration}")
        for name, variant, parent in LIMITS
        for configuration in (SHARED if name in MIXED else CONFIGURATIONS)
    ],
)
def test_strength_zero_is_the_parent_to_the_last_bit(variant, parent, configuration, X):
    variant, parent = pair(variant, parent, **CONFIGURATIONS[configuration])
    weight = np.arange(N) % 3 if "weighted" in configuration else None
    for model in (variant, parent):
        model.fit(X, sample_weight=weight)
    require_the_same(variant, parent, X)


@pytest.mark.parametrize(("variant", "parent"), [row[1:] for row in LIMITS], ids=[row[0] for row in LIMITS])
def test_going_on_is_the_parent_s_too(variant, parent, X):
    variant, parent = pair(variant, parent, warm_start=True)
    for model in (variant, parent):
        model.fit(X).fit(X).partial_fit(X)
    require_the_same(variant, parent, X)


def test_the_table_can_fail(X):
    """A strength that is hardly there tells the variant from its parent."""
    for strength in ({"sparsity": 1e-6}, {"corruption_level": 0.01}, {"contraction": 1e-6}):
        silent = AllAutoencoder(corruption="masking", **{"sparsity": 0.0, "contraction": 0.0, **SILENT, **strength})
        variant, parent = pair(silent, Autoencoder(), dtype="float64", n_probes=None)
        assert not np.array_equal(variant.fit(X).transform(X), parent.fit(X).transform(X))


# ------------------------------------------------------------------ other limits


@pytest.mark.parametrize("n_probes", [None, 1])
def test_without_curvature_the_second_order_is_the_first(n_probes, X):
    first, second = (ContractiveAutoencoder(order=order, gamma=0.0, n_probes=n_probes, **COMMON) for order in (1, 2))
    require_the_same(second.fit(X), first.fit(X), X)


def test_a_second_array_that_is_x_is_x_itself(X):
    options = {**COMMON, **SILENT}
    one, two = DenoisingAutoencoder(target="y", **options).fit(X, X), DenoisingAutoencoder(**options).fit(X)
    require_the_same(one, two, X)
    np.testing.assert_array_equal(one.target_mean_, one.mean_)
    assert one.target_scale_ == one.scale_


@pytest.mark.parametrize("corruption", ["masking", "gaussian", "swap"])
def test_one_step_of_walkback_is_ordinary_training(corruption, X):
    options = {**COMMON, "corruption": corruption}
    require_the_same(DenoisingAutoencoder(walkback=1, **options).fit(X), DenoisingAutoencoder(**options).fit(X), X)


@pytest.mark.parametrize("corruption", ["masking", "salt_and_pepper", "swap"])
def test_equal_emphasis_is_none(corruption, X):
    options = {**COMMON, "corruption": corruption}
    require_the_same(DenoisingAutoencoder(emphasis=(1, 1), **options).fit(X), DenoisingAutoencoder(**options).fit(X), X)


def test_tiny_penalties_and_noise_lead_to_the_parent(X):
    """Going to zero, and not only at it: nothing jumps."""
    silent = AllAutoencoder(corruption="gaussian", sparsity=0.0, contraction=0.0, **SILENT)
    variant, parent = pair(silent, Autoencoder(), dtype="float64", init="random")
    expected = parent.fit(X).transform(X)
    for strength in ({"sparsity": 1e-9}, {"corruption_level": 1e-9}, {"contraction": 1e-9}):
        close = clone(variant).set_params(**strength).fit(X).transform(X)
        np.testing.assert_allclose(close, expected, atol=1e-4)
        assert not np.array_equal(close, expected)


RBM_LIMITS = [
    ("no sparsity", {"sparsity": 0.0, "sparsity_target": 0.4}, {}),
    ("variances of binary units", {"learn_variances": True}, {}),
    ("temperatures of one chain", {"n_temperatures": 3}, {}),
    ("not tempered", {"algorithm": "cd", "n_temperatures": 3}, {"algorithm": "cd"}),
    ("groups of binary units", {"categories": (2, 2)}, {}),
    ("no decay", {"weight_decay": 0.0}, {}),
]


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(("variant", "parent"), [row[1:] for row in RBM_LIMITS], ids=[row[0] for row in RBM_LIMITS])
def test_a_machine_at_strength_zero_is_the_plain_one(variant, parent, early_stopping, X):
    common = {"visible": "bernoulli", "n_chains": 5, "batch_size": 16, "max_iter": 2, "random_state": 0}
    models = [RBM(2, early_stopping=early_stopping, **common, **options).fit(X) for options in (variant, parent)]
    require_the_same(*models, X)


def test_the_table_of_machines_can_fail(X):
    common = {"visible": "bernoulli", "n_chains": 5, "max_iter": 2, "random_state": 0, "dtype": "float64"}
    parent = RBM(2, **common).fit(X).transform(X)
    for strength in ({"sparsity": 1e-6}, {"n_gibbs": 2}, {"centred": False}, {"weight_decay": 1e-6}):
        assert not np.array_equal(RBM(2, **common, **strength).fit(X).transform(X), parent)


def test_tiny_sparsity_leads_to_none(X):
    common = {"visible": "bernoulli", "n_chains": 5, "max_iter": 2, "random_state": 0, "dtype": "float64"}
    close = RBM(2, sparsity=1e-9, **common).fit(X).transform(X)
    np.testing.assert_allclose(close, RBM(2, **common).fit(X).transform(X), atol=1e-6)

"""RBM: densities against enumeration and grids, gradients against autograd, fits against scikit-learn's."""

import math
import re
import warnings
from itertools import product

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from energy.machines import grid_of, machine_of, require_law, seeded
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import BernoulliRBM
from sklearn.preprocessing import OneHotEncoder

from skae import RBM, DeepBeliefNetwork
from skae.boltzmann import _rows
from skae.energy import partition
from skae.energy.harmonium import Harmonium
from skae.energy.layers import Part
from skae.energy.pseudo_likelihood import pseudo_log_likelihood
from skae.engine.data import Batch
from skae.functional import bernoulli_divergence

QUICK = {"n_chains": 20, "max_iter": 3, "random_state": 0}
KINDS = {
    "gaussian": {"visible": "gaussian"},
    "bernoulli": {"visible": "bernoulli"},
    "softmax": {"visible": "softmax", "categories": (2, 3, 2)},
    "counts": {"visible": "softmax"},
}
HIDDEN = ("bernoulli", "gaussian", "relu")
ALGORITHMS = [
    (kind, algorithm) for kind in KINDS for algorithm in ("cd", "pcd", "pt") if (kind, algorithm) != ("counts", "pt")
]


@pytest.fixture(autouse=True)
def anneal_quickly(monkeypatch):
    """Fewer temperatures than users get: these machines are tiny."""
    monkeypatch.setattr(partition, "N_BETAS", 300)


every_kind = pytest.mark.parametrize("kind", KINDS)
every_hidden = pytest.mark.parametrize("hidden", HIDDEN)
every_pair = pytest.mark.parametrize(
    ("kind", "hidden"), [(kind, "bernoulli") for kind in KINDS] + [("gaussian", "gaussian"), ("bernoulli", "relu")]
)


def table(kind, n=200, seed=0):
    """Rows whose columns depend on each other."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, 2, (n, 1))
    if kind == "gaussian":
        return rng.normal(size=(n, 3)) + shared * [2.0, -2.0, 1.0]
    if kind == "bernoulli":
        return (rng.random((n, 4)) < 0.15 + 0.7 * (shared == [0, 0, 1, 1])).astype(float)
    if kind == "softmax":
        third = rng.integers(0, 2, (n, 1))
        return OneHotEncoder(sparse_output=False).fit_transform(np.hstack([shared, shared + third, third]))
    return np.array([rng.multinomial(5, [0.6, 0.3, 0.1] if one else [0.1, 0.2, 0.7]) for one in shared[:, 0]], float)


def all_rows(kind):
    """Every row there can be; of counts those of five draws."""
    if kind == "bernoulli":
        return np.array(list(product((0.0, 1.0), repeat=4)))
    if kind == "softmax":
        return np.array([np.concatenate(row) for row in product(np.eye(2), np.eye(3), np.eye(2))])
    return np.array([row for row in product(range(6), repeat=3) if sum(row) == 5], float)


def fitted(kind, **options):
    return RBM(3, **{**KINDS[kind], **QUICK, "dtype": "float64", **options}).fit(table(kind))


def with_machine(machine, X, **options):
    """An estimator with the parameters of another machine in the place of the fitted ones."""
    model = RBM(len(machine.hidden_bias), **{**QUICK, "dtype": "float64", "max_iter": 1, **options}).fit(X)
    with torch.no_grad():
        for name in ("weight", "visible_bias", "hidden_bias", "base"):
            getattr(model.module_, name).copy_(getattr(machine, name))
    return model


# ------------------------------------------------------------------ the density


@every_hidden
@pytest.mark.parametrize("kind", ["bernoulli", "softmax"])
def test_probabilities_sum_to_one(kind, hidden):
    model = fitted(kind, hidden=hidden, max_iter=20)
    assert math.isclose(np.exp(model.score_samples(all_rows(kind))).sum(), 1.0, rel_tol=1e-9)
    assert model.log_partition_error_ == 0.0


@pytest.mark.parametrize(("hidden", "tolerance"), [("bernoulli", 1e-9), ("gaussian", 0.05), ("relu", 0.05)])
def test_probabilities_of_counts_of_one_length_sum_to_one(hidden, tolerance):
    model = fitted("counts", hidden=hidden)
    assert math.isclose(np.exp(model.score_samples(all_rows("counts"))).sum(), 1.0, rel_tol=tolerance)


def test_counts_of_any_length_have_a_partition_function():
    """Between 9 lengths it is interpolated; the probabilities still sum to one at each."""
    X = np.repeat(table("counts", 60), np.arange(60) % 3 + 1, axis=0)
    X[::2] *= 6
    model = RBM(2, visible="softmax", **QUICK).set_params(dtype="float64", max_iter=30).fit(X)
    assert model._partition.lengths == (5.0, 30.0)
    for length in (3, 5, 12, 13, 30, 33):
        rows = np.array([(i, j, length - i - j) for i in range(length + 1) for j in range(length + 1 - i)], float)
        assert math.isclose(np.exp(model.score_samples(rows)).sum(), 1.0, rel_tol=1e-3), length


def test_lengths_are_those_of_all_chunks(monkeypatch):
    monkeypatch.setattr(_rows, "chunks", lambda n, width: [slice(i, i + 5) for i in range(0, n, 5)])
    model = RBM(2, visible="softmax", **QUICK).fit(np.outer(np.arange(3, 33), [1.0, 0.0]))
    assert model._partition.lengths == (3.0, 32.0)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
@pytest.mark.parametrize("factor", [1.0, 1000.0])
def test_the_density_integrates_to_one_on_the_scale_of_x(hidden, factor):
    X = table("gaussian")[:, :2] * factor
    options = {"learn_variances": True, "max_iter": 10, "dtype": "float64", "learning_rate_init": 0.02}
    model = RBM(3, hidden=hidden, **{**QUICK, **options}).fit(X)
    x, log_volume = grid_of(2, reach=25.0 * factor, n=301)
    scores = model.score_samples(x.numpy())
    assert math.isclose(np.exp(scores + log_volume).sum(), 1.0, rel_tol=1e-6)
    assert abs(model.score(X) / 2 + math.log(factor)) < 3


def test_the_density_in_one_dimension_integrates_to_one():
    X = table("gaussian")[:, :1] - 40.0
    x = np.linspace(-70, -10, 4001)[:, None]
    model = RBM(2, **{**QUICK, "dtype": "float64"}).fit(X)
    assert math.isclose(np.exp(model.score_samples(x)).sum() * 60 / 4000, 1.0, rel_tol=1e-6)


def test_the_density_of_rescaled_x_is_rescaled():
    X = table("gaussian")
    one, other = (RBM(3, **QUICK).set_params(dtype="float64").fit(X * factor) for factor in (1.0, 1024.0))
    np.testing.assert_allclose(other.score_samples(X * 1024), one.score_samples(X) - 3 * math.log(1024), rtol=1e-9)


@every_pair
def test_differences_of_free_energy_are_those_of_the_scores(kind, hidden):
    model, X = fitted(kind, hidden=hidden), table(kind)[:6]
    scores, energies = model.score_samples(X), model.free_energy(X)
    np.testing.assert_allclose(scores - scores[0], energies[0] - energies, atol=1e-9)
    assert math.isclose(model.score(X), scores.mean(), rel_tol=1e-12)
    weight = np.arange(6.0)
    assert math.isclose(model.score(X, sample_weight=weight), weight @ scores / 15, rel_tol=1e-12)


def test_parameters_have_scikit_learn_s_shapes():
    model = fitted("bernoulli")
    assert model.components_.shape == (3, 4)
    assert model.intercept_hidden_.shape == (3,)
    assert model.intercept_visible_.shape == (4,)
    X = table("bernoulli")[:5]
    expected = 1 / (1 + np.exp(-(X @ model.components_.T + model.intercept_hidden_)))
    np.testing.assert_allclose(model.transform(X), expected, rtol=1e-12)
    expected = 1 / (1 + np.exp(-(expected @ model.components_ + model.intercept_visible_)))
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), expected, rtol=1e-12)
    model.components_[:] = 0
    assert model.components_.any()


def test_decoded_counts_have_the_mean_length():
    model = fitted("counts")
    np.testing.assert_allclose(model.inverse_transform(model.transform(table("counts"))).sum(1), 5.0)


# ------------------------------------------------------------------ partition functions


def test_twenty_units_are_summed_and_more_are_annealed():
    X = np.random.default_rng(0).integers(0, 2, (30, 21)).astype(float)
    options = {**QUICK, "visible": "bernoulli", "max_iter": 1}
    assert RBM(16, **options).fit(X).log_partition_error_ == 0.0
    annealed = RBM(21, **options).fit(X)
    assert 0.0 < annealed.log_partition_error_ < 0.1
    assert annealed.log_partition_ == annealed.log_partition_


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "counts"])
def test_bounds_bracket_the_partition_function(kind):
    model = fitted(kind, max_iter=10)
    lower, upper = model.log_partition_bounds(n_betas=100, n_steps=100)
    truth = model.log_partition_
    assert lower.value - 3 * lower.error <= truth <= upper.value + 3 * upper.error
    assert abs(upper.value - lower.value) < 0.2
    assert model.log_partition_bounds(n_betas=100, n_steps=100) == (lower, upper)


def test_a_new_fit_has_a_new_partition_function():
    model = fitted("bernoulli")
    before = model.log_partition_
    model.partial_fit(table("bernoulli"))
    fresh = clone(model).set_params(warm_start=False)
    assert model.log_partition_ != before
    assert math.isclose(np.exp(model.score_samples(all_rows("bernoulli"))).sum(), 1.0, rel_tol=1e-9)
    assert fresh.get_params() == model.get_params()


# ------------------------------------------------------------------ fits


@pytest.mark.parametrize(
    ("n_samples", "n_epochs"), [(40, 200), (300, 100), (1000, 125), (1500, 200), (4000, 125), (60_000, 50)]
)
def test_a_fit_takes_two_steps_a_row_within_limits(n_samples, n_epochs):
    """Batches of 32 rows up to 480, and of 100 from 1500; 1000 to 5000 or n / 2 steps, and at most 200 epochs."""
    for model in (RBM(), DeepBeliefNetwork()._new_layers()[0]):
        assert model._n_epochs(n_samples) == n_epochs
    assert RBM(batch_size=10)._n_epochs(1000) == 20
    assert RBM(hidden="relu", visible="bernoulli")._n_epochs(n_samples) == n_epochs
    for visible in ("gaussian", "softmax"):  # weights that may run away take as many steps as 50 epochs of 100 rows
        assert RBM(hidden="gaussian", visible=visible, batch_size=100)._n_epochs(2000) == 50
    assert RBM(max_iter=7)._n_epochs(n_samples) == 7


@pytest.mark.parametrize(
    ("options", "n_features", "expected"),
    [
        ({}, 5, 0.1),
        ({"visible": "bernoulli"}, 400, 0.05),
        ({"visible": "bernoulli", "hidden": "relu"}, 5, 0.01),
        ({"hidden": "gaussian"}, 5, 0.01),
        ({"visible": "softmax"}, 5, 0.01),
        ({"visible": "softmax", "weight_scale": 0.3}, 5, 0.3),
    ],
)
def test_the_deviation_of_initial_weights_is_that_of_the_kinds_of_units(options, n_features, expected):
    X = np.eye(n_features)[np.arange(2 * n_features) % n_features]
    model = RBM(2000, random_state=0, **options)
    model._fit(X, None, None, train=False)
    assert model.components_.std() == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize(
    ("kind", "algorithm", "hidden"),
    [(*pair, "bernoulli") for pair in ALGORITHMS] + [(kind, "pcd", "gaussian") for kind in KINDS],
)
def test_fits_raise_the_exact_likelihood(kind, algorithm, hidden):
    rate = 0.005 if kind == "counts" else 0.05 if kind == "bernoulli" else 0.02
    options = {
        "hidden": hidden,
        "algorithm": algorithm,
        "n_temperatures": 3,
        "learning_rate_init": rate,
        "momentum": 0.9,
    }
    models = [fitted(kind, max_iter=n, weight_scale=0.1, batch_size=50, **options) for n in (1, 40)]
    first, last = (model.score(table(kind)) for model in models)
    assert last > first + 0.03


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_counts_and_unbounded_hidden_units_do_not_run_away(hidden):
    """At the default rate, with rows of 20 draws."""
    X = table("counts") * 4
    model = RBM(3, visible="softmax", hidden=hidden, **{**QUICK, "max_iter": 60, "batch_size": 50}).fit(X)
    assert np.linalg.norm(model.components_, 2) < 50


def awkward(n=60):
    """Raw columns: huge, tiny, constant, of few values."""
    rng = np.random.default_rng(0)
    columns = rng.normal(size=n) * 1e6, rng.normal(size=n) / 1e6, np.full(n, 3.0), rng.integers(0, 2, n), np.zeros(n)
    return np.stack(columns, 1)


@every_hidden
@pytest.mark.parametrize("algorithm", ["cd", "pcd", "pt"])
def test_fits_of_raw_tables_stay_finite(hidden, algorithm, iris):
    for X in (awkward(), iris * 1e-8, np.full((5, 2), 7.0)):
        model = RBM(4, hidden=hidden, algorithm=algorithm, learn_variances=True, **QUICK).fit(X)
        for value in (model.transform(X), model.free_energy(X), model.gibbs(X, 3), model.components_):
            assert np.isfinite(value).all()
    if hidden != "relu":
        assert np.isfinite(model.score(X))


@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_fits_of_digits_stay_finite(kind, algorithm, digits):
    X = digits[:100] / 16 if kind == "bernoulli" else digits[:100]
    options = dict(KINDS[kind])
    if kind == "softmax":
        X = OneHotEncoder(sparse_output=False).fit_transform(digits[:100, [10, 20]] // 6)
        options["categories"] = (3, 3)
    model = RBM(8, algorithm=algorithm, hidden="relu", **options, **QUICK).fit(X)
    for value in (model.transform(X), model.free_energy(X), model.gibbs(X, 2), model.sample(3, 5)):
        assert np.isfinite(value).all()
    assert all(np.isfinite(values).all() for values in model.history_.values())


@every_hidden
def test_long_fits_stay_integrable(hidden):
    """Gaussian visible units with unbounded hidden ones, at rates that would leave the limit."""
    X = table("gaussian") @ np.array([[3.0, 3, 3], [0, 1, 0], [0, 0, 0.1]])
    model = RBM(5, hidden=hidden, learning_rate_init=0.1, **{**QUICK, "max_iter": 15}).fit(X)
    if hidden != "bernoulli":
        assert np.linalg.norm(model.components_, 2) < 1
    assert np.isfinite(model.score(X))


def of_sklearn(model):
    """The same machine as a harmonium."""
    n_components, n_features = model.components_.shape
    machine = Harmonium(visible=[Part("bernoulli", n_features)], hidden=[Part("bernoulli", n_components)]).double()
    with torch.no_grad():
        machine.weight.copy_(torch.from_numpy(model.components_))
        machine.visible_bias.copy_(torch.from_numpy(model.intercept_visible_))
        machine.hidden_bias.copy_(torch.from_numpy(model.intercept_hidden_))
    return machine.requires_grad_(False)


def test_pseudo_likelihood_is_no_worse_than_scikit_learn_s(digits):
    """After as many epochs, of as many units, in batches of as many rows, at the same rate."""
    X = digits / 16
    shared = {"n_components": 24, "batch_size": 40, "random_state": 0}
    theirs = of_sklearn(BernoulliRBM(n_iter=6, learning_rate=0.05, **shared).fit(X))
    plain = {"learning_rate_init": 0.05, "learning_rate": "constant", "momentum": 0.0}
    rows = torch.from_numpy(X)
    peer = float(pseudo_log_likelihood(theirs, rows).mean())
    for options in ({}, plain, {**plain, "algorithm": "cd"}):
        model = RBM(visible="bernoulli", max_iter=6, n_chains=40, dtype="float64", **shared, **options).fit(X)
        ours = float(pseudo_log_likelihood(model.module_, rows).detach().mean())
        assert ours >= peer, options
        np.testing.assert_allclose(theirs.free_energy(rows[:3]), _free_energies(theirs, X[:3]))


def _free_energies(machine, X):
    """By scikit-learn's formula."""
    W, a, b = (t.numpy() for t in (machine.weight, machine.visible_bias, machine.hidden_bias))
    return -X @ a - np.logaddexp(0, X @ W.T + b).sum(1)


# ------------------------------------------------------------------ the gradient of a step


def step_of(model, x, weight=None, seed=0):
    """Gradients that a step leaves, by name."""
    machine = model.module_
    for parameter in machine.parameters():
        parameter.grad = torch.zeros_like(parameter)
    terms = model._step(machine, Batch(x, weight), seeded(seed))
    return terms, {name: parameter.grad.clone() for name, parameter in machine.named_parameters()}


@pytest.mark.parametrize("weight", [None, torch.tensor([2.0, 0.0, 1.0, 1.0, 0.5, 3.0], dtype=torch.float64)])
@pytest.mark.parametrize("kind", ["bernoulli", "softmax", "counts"])
def test_the_sparsity_gradient_is_that_of_the_divergence(kind, weight):
    model = fitted(kind, centred=False, sparsity_target=0.2, weight_scale=0.5)
    x = torch.from_numpy(table(kind)[:6])
    machine, chain = model.module_, model.module_.chain.clone()
    _, without = step_of(model.set_params(sparsity=0.0), x, weight)
    machine.chain.copy_(chain)
    terms, with_it = step_of(model.set_params(sparsity=0.3), x, weight)
    share = torch.ones(6, dtype=torch.float64) if weight is None else weight
    cost = 0.3 * bernoulli_divergence(0.2, (share / share.sum()) @ machine.hidden_mean(x))[0].sum()
    torch.testing.assert_close(terms["sparsity"], cost.detach())
    names = ("weight", "hidden_bias")
    expected = torch.autograd.grad(cost, [getattr(machine, name) for name in names])
    for name, slope in zip(names, expected, strict=True):
        torch.testing.assert_close(with_it[name] - without[name], slope, rtol=1e-9, atol=1e-12)
    assert torch.equal(with_it["visible_bias"], without["visible_bias"])


@pytest.mark.parametrize("target", [0.05, 0.5])
def test_sparsity_moves_activations_towards_the_target(target, digits):
    X, gaps = digits[:200] / 16, []
    for sparsity in (0.0, 10.0):
        options = {**QUICK, "max_iter": 15, "sparsity": sparsity, "sparsity_target": target}
        codes = RBM(16, visible="bernoulli", **options).fit(X).transform(X)
        gaps.append(np.abs(codes.mean(0) - target).mean())
    assert gaps[1] < 0.5 * gaps[0] or gaps[1] < 0.03


def test_learnt_variances_are_those_of_the_residuals():
    """Rows w h + noise of two known deviations."""
    rng = np.random.default_rng(0)
    deviations = np.array([0.5, 1.5, 1.0])
    X = rng.integers(0, 2, (1000, 1)) * [4.0, 4.0, 0.0] + rng.normal(size=(1000, 3)) * deviations
    options = {"learn_variances": True, "max_iter": 100, "learning_rate_init": 0.25, "random_state": 0}
    model = RBM(1, **options).fit(X)
    found = model.module_.log_scale.detach().exp().numpy() * model.scale_
    np.testing.assert_allclose(found, deviations, rtol=0.08)
    assert model.score(X) > RBM(1, **{**options, "learn_variances": False}).fit(X).score(X) + 0.1


def test_variances_that_are_not_learnt_stay_those_of_the_columns():
    X = table("gaussian")
    model = RBM(2, **QUICK).fit(X)
    np.testing.assert_allclose(model.module_.log_scale.exp() * model.scale_, X.std(0), rtol=1e-5)


def test_steps_of_gibbs_are_taken(digits):
    X = digits[:60] / 16
    for algorithm in ("cd", "pcd", "pt"):
        one, two = (
            RBM(4, visible="bernoulli", algorithm=algorithm, n_gibbs=n, **QUICK).fit(X).components_ for n in (1, 2)
        )
        assert not np.array_equal(one, two)


@pytest.mark.parametrize("centred", [True, False])
def test_fits_centred_or_not_find_the_law_of_the_data(centred):
    X = table("bernoulli", 400)
    options = {"max_iter": 150, "learning_rate_init": 0.25, "n_chains": 100, "random_state": 0, "dtype": "float64"}
    model = RBM(6, visible="bernoulli", centred=centred, weight_scale=0.1, **options).fit(X)
    _, counts = np.unique(X, axis=0, return_counts=True)
    entropy = -(counts / 400) @ np.log(counts / 400)
    assert -model.score(X) - entropy < 0.05  # divergence of the model from the data, in nats


def test_offsets_are_followed_only_if_centred():
    for centred in (True, False):
        model = fitted("bernoulli", centred=centred, max_iter=30, batch_size=20)
        start = torch.full((3,), 0.5, dtype=torch.float64)
        assert torch.equal(model.module_.hidden_offset, start) == (not centred)


# ------------------------------------------------------------------ weights of rows


@pytest.mark.parametrize("kind", ["bernoulli", "gaussian"])
def test_a_weight_of_two_is_a_row_twice_and_of_zero_none(kind):
    """In one batch."""
    X = table(kind, 30)
    weight = np.arange(30) % 3
    model = RBM(3, **KINDS[kind], **QUICK, dtype="float64", batch_size=1000)
    weighted = clone(model).fit(X, sample_weight=weight)
    repeated = clone(model).fit(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(weighted.components_, repeated.components_, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(weighted.intercept_visible_, repeated.intercept_visible_, rtol=1e-9, atol=1e-12)


def test_weights_in_batches_weigh_the_gradient():
    model = fitted("bernoulli", algorithm="pcd", learn_variances=False)
    x, chain = torch.from_numpy(table("bernoulli")[:6]), model.module_.chain.clone()
    weight = torch.tensor([2.0, 0.0, 1.0, 1.0, 0.0, 2.0], dtype=torch.float64)
    _, weighted = step_of(model, x, weight)
    model.module_.chain.copy_(chain)
    offsets = model.module_.visible_offset.clone(), model.module_.hidden_offset.clone()
    assert all(offset.isfinite().all() for offset in offsets)
    model = fitted("bernoulli", algorithm="pcd", learn_variances=False)
    _, repeated = step_of(model, x.repeat_interleave(weight.long(), 0))
    for name, gradient in weighted.items():
        torch.testing.assert_close(gradient, repeated[name], rtol=1e-9, atol=1e-12)


# ------------------------------------------------------------------ samples


@pytest.mark.parametrize(("kind", "algorithm"), [pair for pair in ALGORITHMS if pair[0] != "gaussian"])
def test_samples_follow_the_enumerated_law(kind, algorithm):
    model = fitted(kind, algorithm=algorithm, n_temperatures=3, max_iter=10)
    rows = all_rows(kind)
    law = torch.from_numpy(np.exp(model.score_samples(rows)))
    require_law(torch.from_numpy(model.sample(4000, n_steps=40)), torch.from_numpy(rows), law)


@every_pair
def test_samples_are_rows_and_repeat(kind, hidden):
    model, X = fitted(kind, hidden=hidden), table(kind)[:7]
    before, state = dict(vars(model)), {name: t.clone() for name, t in model.module_.state_dict().items()}
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    drawn = model.sample(9, n_steps=3), model.gibbs(X, n_steps=2)
    assert [rows.shape for rows in drawn] == [(9, X.shape[1]), X.shape]
    for again, rows in zip((model.sample(9, n_steps=3), model.gibbs(X, n_steps=2)), drawn, strict=True):
        np.testing.assert_array_equal(again, rows)
    np.testing.assert_array_equal(model.sample(9, 3, random_state=5), model.sample(9, 3, random_state=5))
    if kind != "softmax":
        assert not np.array_equal(model.gibbs(X, 2, random_state=5), model.gibbs(X, 2, random_state=6))
    assert model.sample(1).shape == (1, X.shape[1])
    assert all(vars(model)[name] is value for name, value in before.items())
    assert all(torch.equal(model.module_.state_dict()[name], tensor) for name, tensor in state.items())
    assert torch.equal(torch.get_rng_state(), torch_state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)


def test_samples_go_on_from_the_coldest_of_tempered_chains():
    model = fitted("bernoulli", algorithm="pt", n_temperatures=3)
    machine = model.module_
    with torch.no_grad():  # all units are on or all are off, and chains do not cross
        machine.weight.fill_(6.0)
        machine.visible_bias.fill_(-9.0)
        machine.hidden_bias.fill_(-12.0)
    machine.chain[:-1], machine.chain[-1] = 0.0, 1.0
    assert model.sample(30, 1).mean() > 0.9


def test_samples_after_contrastive_divergence_start_at_rows():
    """Where weights leave no doubt, the hidden states of the chains are those of the two rows."""
    X = np.repeat([[1.0, 1, 0, 0], [0, 0, 1, 1]], 20, axis=0)
    options = {"algorithm": "cd", "weight_scale": 300.0, "learning_rate_init": 1e-9}
    model = RBM(6, visible="bernoulli", **{**QUICK, **options}).fit(X)
    expected, found = np.unique(model.transform(X).round(), axis=0), np.unique(model.module_.chain, axis=0)
    np.testing.assert_array_equal(found, expected)


def test_samples_of_gaussian_units_are_on_the_scale_of_x():
    X = table("gaussian", 500) * 100 + 5000
    drawn = RBM(8, **{**QUICK, "max_iter": 40}).fit(X).sample(2000, n_steps=50)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=40)
    np.testing.assert_allclose(drawn.std(0), X.std(0), rtol=0.25)


def test_rows_of_counts_keep_their_length_under_gibbs():
    model, X = fitted("counts"), np.array([[1.0, 0, 0], [3, 4, 2]])
    np.testing.assert_array_equal(model.gibbs(X, 4).sum(1), [1, 9])
    assert (model.sample(20, 3).sum(1) == 5).all()


# ------------------------------------------------------------------ history


def test_the_history_tells_of_progress():
    assert set(fitted("bernoulli").history_) == {"reconstruction", "pseudo_likelihood"}
    assert set(fitted("counts").history_) == {"reconstruction"}
    penalised = fitted("bernoulli", sparsity=0.1)
    assert set(penalised.history_) == {"sparsity", "reconstruction", "pseudo_likelihood"}
    assert math.isnan(penalised.loss_)
    stopped = fitted("bernoulli", early_stopping=True, max_iter=5).history_
    assert set(stopped) == {"reconstruction", "pseudo_likelihood", "validation_loss", "free_energy_gap"}
    assert all(len(values) == len(stopped["reconstruction"]) for values in stopped.values())


def test_the_history_s_pseudo_likelihood_is_that_of_the_rows():
    model = fitted("bernoulli", max_iter=2)
    rows = torch.from_numpy(table("bernoulli"))
    expected = float(pseudo_log_likelihood(model.module_, rows).detach().mean())
    assert math.isclose(model.history_["pseudo_likelihood"][-1], expected, rel_tol=1e-9)


def test_early_stopping_keeps_the_best_held_out_epoch():
    model = fitted("bernoulli", early_stopping=True, max_iter=60, learning_rate_init=0.5, n_iter_no_change=3)
    history = model.history_["validation_loss"]
    assert len(history) < 60
    assert model.loss_ <= min(history)


@every_kind
def test_fitting_longer_reconstructs_better(kind):
    X, errors = table(kind), []
    for max_iter in (1, 40):
        model = fitted(kind, max_iter=max_iter, batch_size=20, learning_rate_init=0.1, weight_scale=0.1)
        errors.append(np.square(model.inverse_transform(model.transform(X)) - X).sum(1).mean())
    assert errors[1] < 0.95 * errors[0]


def test_the_reconstruction_in_the_history_is_the_squared_error():
    model, X = fitted("gaussian"), table("gaussian")
    back = model.inverse_transform(model.transform(X))
    expected = np.square((X - back) / model.scale_).sum(1).mean()
    assert math.isclose(model.history_["reconstruction"][-1], expected, rel_tol=1e-9)


# ------------------------------------------------------------------ bad input

NUMBERS = {
    "sample": [{"n_samples": 0}, {"n_samples": -1}, {"n_steps": 0}, {"n_samples": 2.5}, {"n_samples": "a"}],
    "log_partition_bounds": [{"n_chains": 0}, {"n_betas": 0}, {"n_betas": 1.5}, {"n_steps": 0}],
}


@pytest.mark.parametrize(("method", "options"), [(name, bad) for name, row in NUMBERS.items() for bad in row])
def test_numbers_below_one_are_refused_by_name(method, options):
    model = fitted("bernoulli")
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        getattr(model, method)(**options)


def test_a_walk_of_no_steps_is_refused():
    with pytest.raises(ValueError, match=r"n_steps=0 must be a whole number of at least 1\."):
        fitted("bernoulli").gibbs(table("bernoulli"), n_steps=0)


@pytest.mark.parametrize(
    "use",
    [
        lambda model: model.sample(),
        lambda model: model.gibbs(table("bernoulli")),
        lambda model: model.free_energy(table("bernoulli")),
        lambda model: model.score_samples(table("bernoulli")),
        lambda model: model.log_partition_,
        lambda model: model.log_partition_error_,
        lambda model: model.log_partition_bounds(),
        lambda model: model.components_,
        lambda model: model.intercept_hidden_,
        lambda model: model.intercept_visible_,
    ],
)
def test_what_is_not_fitted_says_so(use):
    with pytest.raises(NotFittedError, match="not fitted yet"):
        use(RBM())


@pytest.mark.parametrize("method", ["gibbs", "free_energy", "score_samples", "transform"])
def test_rows_of_another_width_or_with_infinity_are_refused(method):
    model = fitted("bernoulli")
    with pytest.raises(ValueError, match="X has 3 features, but RBM is expecting 4 features"):
        getattr(model, method)(np.ones((2, 3)))
    with pytest.raises(ValueError, match="infinity in row 1, column 2"):
        getattr(model, method)(np.array([[0, 0, 0, 0], [0, 0, np.inf, 1]]))


def test_x_with_infinity_is_refused_and_nothing_is_left():
    refuses(RBM(2, **QUICK), "fit", np.array([[0.0, np.inf], [1.0, 1.0]]))


OUTSIDE = {
    "bernoulli": ([-0.5, 7.0], r"row 3, column 2 \(.*MinMaxScaler\(clip=True\), or use visible='gaussian'"),
    "softmax": ([-1.0, 2.0, 0.0], r"row 3, columns 2 to 4 \(the sum is .*OneHotEncoder"),
    "counts": ([-1.0, 0.5], r"row 3, column 2 \(.*pass counts, or use visible='gaussian'"),
}
"""What is put into column 2 of a row, with zeros in the next two columns, and what the warning says."""


def spoilt(kind, value):
    """Rows of a kind, and the same with one row that its units cannot describe."""
    good, bad = table(kind), table(kind)
    bad[3, 2:5] = 0.0
    bad[3, 2] = value
    return good, bad


every_outside = pytest.mark.parametrize(
    ("kind", "value"), [(kind, value) for kind, (values, _) in OUTSIDE.items() for value in values]
)


@every_outside
def test_fit_warns_of_a_row_outside_the_units_with_column_and_cure(kind, value):
    with pytest.warns(UserWarning, match=OUTSIDE[kind][1]):
        RBM(2, **KINDS[kind], **QUICK).fit(spoilt(kind, value)[1])


@every_outside
@pytest.mark.parametrize(
    ("cls", "sizes"), [(RBM, {}), (DeepBeliefNetwork, {"hidden_layer_sizes": ()}), (DeepBeliefNetwork, {})]
)
def test_a_row_outside_the_units_has_the_probability_zero(kind, value, cls, sizes):
    good, bad = spoilt(kind, value)
    model = cls(2, **sizes, **KINDS[kind], **QUICK, batch_size=100).fit(good)
    expected, others = model.score_samples(good), np.arange(len(good)) != 3
    with pytest.warns(UserWarning, match=OUTSIDE[kind][1] + r".*The probability of 1 of \d+ rows is 0"):
        scores = model.score_samples(bad)
    assert scores[3] == -np.inf
    np.testing.assert_allclose(scores[others], expected[others], rtol=1e-5)
    with pytest.warns(UserWarning, match=OUTSIDE[kind][1]):
        assert model.free_energy(bad)[3] == np.inf
    with pytest.warns(UserWarning, match=OUTSIDE[kind][1]):
        assert model.score(bad) == -np.inf
    with pytest.warns(UserWarning, match=OUTSIDE[kind][1]):
        assert model.score(bad, sample_weight=others) == pytest.approx(expected[others].mean(), rel=1e-5)
    assert np.isfinite(model.transform(bad)).all()


@pytest.mark.parametrize("labels", [False, True])
def test_a_label_beside_the_units_does_not_hide_what_is_outside(labels):
    X = table("bernoulli")
    y = np.arange(len(X)) % 2
    model = DeepBeliefNetwork(2, labels=labels, hidden_layer_sizes=(), **KINDS["bernoulli"], **QUICK).fit(X, y)
    with pytest.warns(UserWarning, match="row 0, column 0"):
        assert (model.free_energy(-X - 1) == np.inf).all()


def test_a_named_column_is_named():
    pd = pytest.importorskip("pandas")
    X = pd.DataFrame(table("bernoulli") + 2 * np.eye(4)[1], columns=["a", "b", "c", "d"])
    with pytest.warns(UserWarning, match="column 'b'"):
        model = RBM(2, visible="bernoulli", **QUICK).fit(X)
    with pytest.warns(UserWarning, match="column 'b'"):
        model.score_samples(X)


@every_kind
def test_what_the_units_describe_does_not_warn(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        RBM(2, **KINDS[kind], **QUICK).fit(table(kind))


@pytest.mark.parametrize("categories", [(2, 2), (2, 3, 3), (7, 1)])
def test_categories_that_do_not_sum_are_refused(categories):
    model = RBM(2, visible="softmax", categories=categories, **QUICK)
    with pytest.raises(ValueError, match=rf"sum to {sum(categories)}, but X has 7 columns"):
        model.fit(table("softmax"))
    assert not hasattr(model, "module_")


@pytest.mark.parametrize("categories", [(0, 7), (-1, 8), (), "abc", 3.5])
def test_categories_that_are_no_sizes_are_refused(categories):
    with pytest.raises((ValueError, TypeError), match="categories"):
        RBM(2, visible="softmax", categories=categories, **QUICK).fit(table("softmax"))


def test_tempering_is_refused_for_counts():
    with pytest.raises(ValueError, match=r"(?s)(?=.*pt)(?=.*counts)"):
        RBM(2, visible="softmax", algorithm="pt", **QUICK).fit(table("counts"))


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_a_target_for_units_that_are_no_probabilities_is_refused(hidden):
    with pytest.raises(ValueError, match=r"(?s)(?=.*sparsity)(?=.*bernoulli)"):
        RBM(2, hidden=hidden, sparsity=0.1, **QUICK).fit(table("gaussian"))


def test_rows_without_counts_can_be_fitted_and_sampled():
    X = np.zeros((5, 3))
    model = RBM(2, visible="softmax", **QUICK).fit(X)
    assert not model.gibbs(X).any()
    assert not model.sample(3).any()
    np.testing.assert_allclose(model.score_samples(X), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("visible", "relu"),
        ("hidden", "softmax"),
        ("algorithm", "gibbs"),
        ("n_gibbs", 0),
        ("n_chains", 0),
        ("n_temperatures", 0),
        ("sparsity", -1.0),
        ("sparsity_target", 0.0),
        ("sparsity_target", 1.0),
        ("weight_scale", 0.0),
        ("solver", "lbfgs"),
        ("learning_rate_init", "fast"),
    ],
)
def test_parameters_out_of_their_range_are_refused(name, value):
    with pytest.raises(ValueError, match=re.escape(f"'{name}' parameter of RBM")):
        RBM(2).set_params(**{name: value}).fit(table("gaussian"))


@every_hidden
def test_rates_that_diverge_are_refused_in_a_sentence(hidden):
    with pytest.raises(ValueError, match="lower learning_rate_init"):
        RBM(2, hidden=hidden, solver="sgd", learning_rate_init=1e30, **QUICK).fit(table("gaussian") * 10)


def test_what_is_not_normalisable_says_what_to_do():
    model = fitted("gaussian", hidden="gaussian")
    with torch.no_grad():
        model.module_.weight.fill_(2.0)
    with pytest.raises(ValueError, match=r"cannot be normalised.*raise weight_decay"):
        model.score(table("gaussian"))


@pytest.mark.parametrize(("changed", "value"), [("hidden", "relu"), ("n_chains", 7), ("learn_variances", True)])
def test_going_on_with_another_machine_is_refused(changed, value):
    model = fitted("gaussian", warm_start=True).set_params(**{changed: value})
    with pytest.raises(ValueError, match="changed since the last fit"):
        model.fit(table("gaussian"))


def test_the_oracle_machine_and_the_estimator_agree():
    """Free energies of a machine with given parameters, by the estimator and by the harmonium."""
    machine = machine_of([Part("bernoulli", 4)], n_components=3)
    model = with_machine(machine, table("bernoulli"), visible="bernoulli")
    rows = all_rows("bernoulli")
    np.testing.assert_allclose(model.free_energy(rows), machine.free_energy(torch.from_numpy(rows)))

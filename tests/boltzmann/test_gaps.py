"""Unknown entries, NaN: draws, codes and bounds against enumeration, frames against numpy, and what is refused."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from energy.machines import machine_of, require_law, seeded, states_of
from numpy.testing import assert_allclose, assert_array_equal

from skae import RBM, DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine
from skae.energy.marginal import log_marginal
from skae.energy.pseudo_likelihood import pseudo_log_likelihood
from skae.engine.data import Batch

QUICK = {"n_chains": 20, "max_iter": 3, "random_state": 0, "dtype": "float64"}
KINDS = {
    "gaussian": {"visible": "gaussian", "learn_variances": True},
    "bernoulli": {"visible": "bernoulli"},
    "softmax": {"visible": "softmax", "categories": (2, 3)},
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def table(kind, n=120, seed=0):
    """Rows of five columns that depend on each other."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, 2, n)
    if kind == "softmax":
        return np.hstack([np.eye(2)[shared], np.eye(3)[np.where(rng.random(n) < 0.8, shared, 2)]])
    if kind == "bernoulli":
        return (rng.random((n, 5)) < np.where(shared[:, None] == [0, 0, 1, 1, 1], 0.9, 0.1)).astype(float)
    return 3.0 + 0.5 * (rng.normal(size=(n, 5)) + 4 * shared[:, None] * [1, -1, 1, 0, 1]) * [1, 1, 2, 1, 3]


def gappy(X, share=0.3, seed=1):
    """X without some of its entries. Something is known of each row."""
    rng = np.random.default_rng(seed)
    gaps = rng.random(X.shape) < share
    gaps[np.arange(len(X)), rng.integers(0, X.shape[1], len(X))] = False
    gaps[:, :2] &= ~gaps.all(1, keepdims=True)
    return np.where(gaps, np.nan, X)


def of_groups(X, kind):
    """X, of which the entries of a group are unknown if one is, and the other entries of its row are known."""
    if kind == "softmax":
        X[np.isnan(X[:, :2]).any(1), :2] = np.nan
        X[np.isnan(X[:, 2:]).any(1), 2:] = np.nan
        X[np.isnan(X).all(1), :2] = [0.0, 1.0]
    return X


def fitted(kind, cls=RBM, scale=0.7, **options):
    """A machine of random weights, fitted to rows with gaps."""
    depth = {"hidden_layer_sizes": (3,)} if cls is DeepBoltzmannMachine else {}
    model = cls(3, **{**KINDS[kind], **QUICK, **depth, **options}).fit(of_groups(gappy(table(kind)), kind))
    with torch.no_grad():
        weight = model.module_.weight
        weight.copy_(torch.randn(weight.shape, generator=seeded(), dtype=weight.dtype) * scale * (weight != 0))
    return model


def exact_log_p(model, X):
    """Log p of what is known of rows, by a sum over all states of the binary hidden units of an RBM.

    Given these, the visible units are independent: an unknown one is left out.
    """
    module = model.module_
    h = states_of(module.hidden).numpy()
    W, a, b, log_sigma = (
        t.detach().numpy() for t in (module.weight, module.visible_bias, module.hidden_bias, module.log_scale)
    )
    field, score = a + h @ W, h @ b
    if model.visible == "gaussian":
        sigma = np.exp(log_sigma)
        s = (X - model.mean_) / model.scale_ / sigma
        log_z = field**2 / 2 + np.log(2 * np.pi) / 2
        terms = s[:, None] * field - (s**2 / 2)[:, None] - log_z - np.log(sigma * model.scale_)
    elif model.visible == "bernoulli":
        log_z = np.logaddexp(0, field)
        terms = X[:, None] * field - log_z
    else:
        groups = [slice(0, 2), slice(2, 5)]
        log_z = np.stack([np.logaddexp.reduce(field[:, g], axis=1) for g in groups], 1)
        terms = np.stack([(X[:, None, g] * field[:, g]).sum(2) for g in groups], 2) - log_z
    joint = (score + log_z.sum(1))[None] + np.nansum(terms, 2)
    return np.logaddexp.reduce(joint, axis=1) - np.logaddexp.reduce(score + log_z.sum(1)), joint


def expected_codes(model, X):
    """E[h given what is known of x], by enumeration."""
    _, joint = exact_log_p(model, X)
    h = states_of(model.module_.hidden).numpy()
    return np.exp(joint - np.logaddexp.reduce(joint, axis=1)[:, None]) @ h


# ------------------------------------------------------------------ densities and codes


@every_kind
def test_scores_are_log_probabilities_of_the_known_entries(kind):
    X = of_groups(gappy(table(kind, 60, seed=2)), kind)
    gaps = np.isnan(X).any(1)
    for scale, of_mean, of_row in ((0.0, 1e-9, 1e-9), (0.3, 0.001, 0.03), (0.7, 0.02, 0.2)):
        model = fitted(kind, scale=scale)
        exact, scores = exact_log_p(model, X)[0], model.score_samples(X)
        assert_allclose(scores[~gaps], exact[~gaps], rtol=1e-9)
        assert_allclose(scores, exact, rtol=1e-9, atol=of_row)
        assert abs((scores - exact)[gaps].mean()) < of_mean
    assert_allclose(model.score(X), scores.mean())
    volume = (~np.isnan(X)).sum(1) * np.log(model.scale_) if kind == "gaussian" else 0.0
    assert_allclose(-model.free_energy(X) - model.log_partition_ - volume, scores, rtol=1e-9)


@every_kind
def test_the_bound_by_mean_field_is_below_the_log_probability_and_many_draws_reach_it(kind):
    model = fitted(kind, scale=1.0)
    X = of_groups(gappy(table(kind, 60, seed=2)), kind)
    gaps = np.isnan(X).any(1)
    known = model.module_.known_in_part(model._frame.apply(torch.from_numpy(X)))
    volume = (~np.isnan(X)).sum(1) * np.log(model.scale_) if kind == "gaussian" else 0.0
    exact = exact_log_p(model, X)[0] + model.log_partition_ + volume
    with torch.no_grad():
        bound = model.module_.log_density_in_part(known).numpy()
        estimate = log_marginal(model.module_, known, 500).numpy()
    assert (bound <= exact + 1e-9).all()
    assert (exact - bound)[gaps].mean() > 10 * abs((exact - estimate)[gaps].mean())


@every_kind
def test_codes_are_expectations_given_the_known_entries(kind):
    X = of_groups(gappy(table(kind, 60, seed=2)), kind)
    for scale, tolerance in ((0.0, 1e-9), (0.3, 0.04)):
        model = fitted(kind, scale=scale)
        assert_allclose(model.transform(X), expected_codes(model, X), atol=tolerance)
    strong = fitted(kind)
    exact = expected_codes(strong, X)
    error, of_means = (
        np.abs(strong.transform(rows) - exact).mean() for rows in (X, np.where(np.isnan(X), strong.mean_, X))
    )
    assert error < of_means / 2


@pytest.mark.parametrize("cls", [RBM, DeepBoltzmannMachine])
def test_a_row_is_encoded_and_scored_on_its_own(cls):
    model = cls(4, visible="bernoulli", **QUICK).fit(gappy(table("bernoulli")))
    X = gappy(table("bernoulli", 40, seed=2))
    X[::2] = table("bernoulli", 20)
    for method in ("transform", "score_samples", "free_energy"):
        found = getattr(model, method)(X)
        assert_allclose(np.concatenate([getattr(model, method)(row[None]) for row in X]), found, rtol=1e-9)
        assert_allclose(getattr(model, method)(X[::2]), found[::2], rtol=1e-12)
    assert_allclose(model.transform(np.vstack([X, X]))[40:], model.transform(X), rtol=1e-12)


@every_kind
def test_chains_begin_at_expectations_of_what_is_unknown(kind):
    model = fitted(kind)
    X = of_groups(gappy(table(kind, 60, seed=2)), kind)
    filled = np.where(np.isnan(X), model.inverse_transform(model.transform(X)), X)
    assert_allclose(model.gibbs(X, 2, random_state=0), model.gibbs(filled, 2, random_state=0), rtol=1e-5, atol=1e-5)


# ------------------------------------------------------------------ learning


@pytest.mark.parametrize("kind", ["bernoulli", "softmax"])
@pytest.mark.parametrize("cls", [RBM, DeepBoltzmannMachine])
def test_a_step_of_training_sees_draws_given_the_known_entries(kind, cls):
    model = fitted(kind, cls, scale=1.0)
    known = {"bernoulli": [1.0, np.nan, 0.0, np.nan, np.nan], "softmax": [0.0, 1.0, np.nan, 0.0, np.nan]}[kind]
    x = torch.tensor([known], dtype=torch.float64).repeat(4000, 1)
    drawn = model._drawn_in_gaps(model.module_, Batch(x), seeded())
    states = states_of(model.module_.visible if cls is RBM else model.module_.rows)
    s = states_of(model.module_.visible)
    with torch.no_grad():
        log_p = -model.module_.free_energy(s)
    per_row = torch.stack([log_p[(s[:, :5] == row).all(1)].logsumexp(0) for row in states])
    whole = [0, 1] if kind == "softmax" else [0, 2]
    fits = (states[:, whole] == x[0, whole]).all(1)
    require_law(drawn, states[fits], torch.softmax(per_row[fits], 0))


@pytest.mark.parametrize("weight", [None, np.arange(120.0) % 5])
def test_means_and_scale_are_those_of_the_known_entries(weight):
    X = gappy(table("gaussian"))
    model = RBM(2, **QUICK).fit(X, sample_weight=weight)
    w = np.where(np.isnan(X), 0.0, 1.0 if weight is None else weight[:, None])
    mean = (w * np.nan_to_num(X)).sum(0) / w.sum(0)
    variance = (w * np.nan_to_num(X - mean) ** 2).sum(0) / w.sum(0)
    assert_allclose(model.mean_, mean, rtol=1e-12)
    assert_allclose(model.scale_, np.sqrt(variance.mean()), rtol=1e-12)
    assert_allclose(model.module_.log_scale, np.log(np.sqrt(variance) / model.scale_), rtol=1e-9)


def test_a_group_is_unknown_if_a_column_of_it_is():
    X, more = table("softmax"), table("softmax")
    X[::3, 4], more[::3, 2:] = np.nan, np.nan
    model = RBM(2, **KINDS["softmax"], **QUICK).fit(X)
    for method in ("transform", "score_samples"):
        assert_array_equal(getattr(model, method)(X), getattr(model, method)(more))
    drawn = [model._drawn_in_gaps(model.module_, Batch(torch.from_numpy(rows)), seeded()) for rows in (X, more)]
    assert torch.equal(*drawn)


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "softmax"])
def test_the_pseudo_likelihood_is_a_sum_over_the_known_columns(visible):
    machine = machine_of(visible)
    s = states_of(machine.visible)[:6] if visible != "gaussian" else torch.randn(6, 2, dtype=torch.float64)
    columns = [[0, 1], [2, 3, 4]] if visible == "softmax" else [[i] for i in range(s.shape[1])]
    total = torch.zeros(6, dtype=torch.float64)
    for group in columns:
        known = torch.zeros_like(s, dtype=torch.bool)
        known[:, group] = True
        of_group = pseudo_log_likelihood(machine, s, known)
        if visible == "bernoulli":
            flipped = s.clone()
            flipped[:, group] = 1 - flipped[:, group]
            odds = machine.free_energy(flipped) - machine.free_energy(s)
            assert_allclose(of_group, torch.nn.functional.logsigmoid(odds), rtol=1e-9)
        total += of_group
    assert_allclose(total, pseudo_log_likelihood(machine, s), rtol=1e-9)


def test_the_history_is_of_known_entries_with_unknown_units_at_their_means():
    """Here no weight is learnt, so a column is predicted by its mean, and others tell nothing."""
    X = gappy(table("bernoulli"))
    model = RBM(2, visible="bernoulli", weight_scale=1e-9, learning_rate_init=1e-9, **QUICK).fit(X)
    p = model.mean_
    error = np.nansum((X - p) ** 2, axis=1).mean()
    surprise = np.nansum(X * np.log(p) + (1 - X) * np.log(1 - p), axis=1).mean()
    assert_allclose(model.history_["reconstruction"], error, rtol=1e-6)
    assert_allclose(model.history_["pseudo_likelihood"], surprise, rtol=1e-6)


@pytest.mark.parametrize("cls", [RBM, DeepBoltzmannMachine])
def test_early_stopping_weights_and_chunks_take_gaps(cls):
    X, weight = gappy(table("gaussian")), np.arange(120.0) % 3
    options = {"pretrain_iter": 2} if cls is DeepBoltzmannMachine else {"sparsity": 0.1}
    model = cls(4, early_stopping=True, **options, **QUICK).fit(X, sample_weight=weight)
    assert all(np.isfinite(curve).all() for curve in model.history_.values())
    assert np.isfinite(model.loss_)
    chunked = cls(4, **QUICK).partial_fit(X).partial_fit(X[:9]).partial_fit(np.nan_to_num(X))
    for part in (model, chunked):
        assert np.isfinite(part.transform(X)).all()
        assert np.isfinite(part.sample(5, 5)).all()


def test_hidden_entries_are_learnt_from_rows_with_gaps():
    train, test = gappy(table("bernoulli", 600)), table("bernoulli", 200, seed=5)
    X = gappy(test, seed=6)
    model = RBM(4, visible="bernoulli", random_state=0, max_iter=60).fit(train)
    hidden = np.isnan(X)
    error, of_mean = (
        np.mean((guess - test)[hidden] ** 2)
        for guess in (model.inverse_transform(model.transform(X)), np.broadcast_to(model.mean_, X.shape))
    )
    assert error < 0.6 * of_mean  # were the hidden group of each row known, it would be 0.09 / 0.25


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize("options", [{}, {"algorithm": "pt"}, {"learn_variances": True, "early_stopping": True}])
def test_without_hidden_layers_a_deep_machine_is_an_rbm_to_the_last_bit(options):
    X = gappy(table("gaussian"))
    ours = DeepBoltzmannMachine(3, hidden_layer_sizes=(), **options, **QUICK).fit(X)
    theirs = RBM(3, **options, **QUICK).fit(X)
    assert_array_equal(ours.components_, theirs.components_)
    for use in ("transform", "score_samples", "gibbs"):
        assert_array_equal(getattr(ours, use)(X), getattr(theirs, use)(X))


@pytest.mark.parametrize("kind", ["gaussian", "softmax"])
def test_one_modality_is_a_deep_machine_to_the_last_bit(kind):
    X, y = of_groups(gappy(table(kind)), kind), np.arange(120) % 3
    options = {**KINDS[kind], **QUICK, "labels": True, "hidden_layer_sizes": (3,), "pretrain_iter": 1}
    ours, theirs = (cls(2, **options).fit(X, y) for cls in (MultimodalDeepBoltzmannMachine, DeepBoltzmannMachine))
    for use in ("transform", "predict_proba", "gibbs", "free_energy"):
        assert_array_equal(getattr(ours, use)(X), getattr(theirs, use)(X))
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-12)


# ------------------------------------------------------------------ what is refused


@pytest.mark.parametrize("cls", [RBM, DeepBoltzmannMachine])
def test_rows_without_a_known_entry_are_named_but_may_be_drawn(cls):
    X = gappy(table("gaussian"))
    model = cls(2, **QUICK).fit(X)
    nothing = X.copy()
    nothing[7] = np.nan
    for method in ("partial_fit", "score", "free_energy", "gibbs"):
        assert refuses(model, method, nothing) == "Row 7 of X has no known entry, only NaN: drop the row."
    assert np.isfinite(model.sample_given(nothing, 3)).all()


def test_counts_are_known_as_a_whole():
    X = np.random.default_rng(0).poisson(2.0, (30, 4)) + 1.0
    X[5, 1] = np.nan
    assert "NaN in row 5, column 1: impute it" in refuses(RBM(2, visible="softmax", **QUICK), "fit", X)


def test_a_group_that_is_known_in_part_is_in_the_support_and_a_wrong_one_is_not():
    model = fitted("softmax")
    X = np.array([[1.0, 0.0, np.nan, 1.0, 0.0], [0.7, 0.7, np.nan, np.nan, np.nan]])
    with pytest.warns(UserWarning, match="in row 1, columns 0 to 1"):
        scores = model.score_samples(X)
    assert np.isfinite(scores).tolist() == [True, False]

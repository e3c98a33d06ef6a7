"""Multimodal machines: their parents as limits, enumeration where entries are unknown, and what bad input is told."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from energy.machines import energies_of, require_law, states_of
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine
from skae.boltzmann import _filling
from skae.boltzmann._learning import allow_for_spread, step_in_parts
from skae.energy import partition
from skae.engine.data import Batch

QUICK = {"n_chains": 20, "pretrain_iter": 0, "max_iter": 3, "random_state": 0}
TWO = {"bits": [0, 3], "group": [4, 1, 2]}
"""Two columns that are 0 or 1, and a group of three one-hot columns, interleaved."""


@pytest.fixture(autouse=True)
def anneal_quickly(monkeypatch):
    """Fewer temperatures than users get: these machines are tiny."""
    monkeypatch.setattr(partition, "N_BETAS", 300)


def table(n=200, seed=0):
    """Rows of the columns of ``TWO`` that depend on each other."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, 2, n)
    bits = (rng.random((n, 2)) < 0.15 + 0.7 * shared[:, None]).astype(float)
    group = np.eye(3)[np.where(rng.random(n) < 0.7, shared, 2)]
    X = np.empty((n, 5))
    X[:, TWO["bits"]], X[:, TWO["group"]] = bits, group
    return X


def machine_of(**options):
    """A machine of two modalities."""
    settings = {"visible": {"bits": "bernoulli", "group": "softmax"}, "categories": (3,), "hidden_layer_sizes": (2,)}
    settings |= {"modalities": TWO, "dtype": "float64", **QUICK}
    return MultimodalDeepBoltzmannMachine(2, **{**settings, **options})


def strong(seed=0, scale=1.0, **options):
    """A machine whose weights are as strong as those of one that has learnt for long."""
    model = machine_of(**options).fit(table())
    rng = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for lower, upper in model.module_.edges:
            weights = model.module_.weights(lower, upper)
            weights.copy_(torch.randn(weights.shape, generator=rng, dtype=torch.float64) * scale)
    return model


def hidden(X, *modalities):
    """X without these modalities."""
    X = X.copy()
    for name in modalities:
        X[:, TWO[name]] = np.nan
    return X


def rows_and_law(model):
    """All rows on the scale of X, and log p + log Z of each, by the energies of all states of the machine."""
    module = model.module_
    s = states_of(module.visible)
    with torch.no_grad():
        log_p = torch.logsumexp(-energies_of(module), 1).numpy()
    rows, place = np.unique(model._frame.undo(s[:, : module.width]).numpy(), axis=0, return_inverse=True)
    return rows, np.array([np.logaddexp.reduce(log_p[place == k]) for k in range(len(rows))])


def conditional(model, x):
    """The rows that agree with what is known of x, and log p + log Z of each."""
    rows, log_p = rows_and_law(model)
    fits = (np.isnan(x) | (rows == x)).all(1)
    return rows[fits], log_p[fits]


GAPS = {
    "the group": [1.0, np.nan, np.nan, 0.0, np.nan],
    "the bits": [np.nan, 0.0, 1.0, np.nan, 0.0],
    "one bit": [1.0, 0.0, 1.0, np.nan, 0.0],
    "a bit and the group": [np.nan, np.nan, np.nan, 1.0, np.nan],
}
every_gap = pytest.mark.parametrize("x", GAPS.values(), ids=GAPS)
every_depth = pytest.mark.parametrize("sizes", [(), (2,), (2, 1), {"bits": (2,), "group": (1, 1, 1)}], ids=str)


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize(
    "options",
    [
        {"visible": "bernoulli"},
        {"visible": "gaussian", "learn_variances": True},
        {"visible": "softmax", "categories": (2, 3)},
        {"visible": "bernoulli", "algorithm": "pt", "hidden_layer_sizes": (3, 2), "code": "all"},
        {"visible": "bernoulli", "hidden_layer_sizes": (), "hidden": "relu"},
        {"visible": "bernoulli", "early_stopping": True, "pretrain_iter": 1, "sparsity": 0.1},
    ],
    ids=str,
)
def test_one_modality_is_a_deep_boltzmann_machine_to_the_last_bit(options):
    X = np.hstack([np.eye(2)[np.arange(60) % 2], np.eye(3)[np.arange(60) % 3]])
    X = X if options["visible"] != "gaussian" else X + np.random.default_rng(0).normal(size=X.shape)
    options = {"hidden_layer_sizes": (3,), **QUICK, **options}
    plain, model = (cls(2, **options).fit(X) for cls in (DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine))
    assert model.history_ == plain.history_
    H = plain.transform(X)
    assert_array_equal(model.transform(X), H)
    assert_array_equal(model.inverse_transform(H), plain.inverse_transform(H))
    assert_array_equal(model.sample(4, 5), plain.sample(4, 5))
    assert_array_equal(model.gibbs(X, 2), plain.gibbs(X, 2))
    assert_allclose(model.score_samples(X), plain.score_samples(X), rtol=1e-12)
    for name in ("components_", "intercept_hidden_", "intercept_visible_"):
        assert_array_equal(getattr(model, name), getattr(plain, name))


def test_one_modality_of_counts_is_a_deep_boltzmann_machine(rng):
    X = rng.poisson(2.0, (60, 5)).astype(float)
    options = {"visible": "softmax", "hidden_layer_sizes": (3,), **QUICK}
    plain, model = (cls(2, **options).fit(X) for cls in (DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine))
    assert_array_equal(model.transform(X), plain.transform(X))
    assert_allclose(model.score_samples(X), plain.score_samples(X), rtol=1e-6)


def test_labels_at_the_top_are_those_of_the_parent(rng):
    X, y = table(60), np.arange(60) % 3
    options = {"visible": "bernoulli", "labels": True, "hidden_layer_sizes": (3,), **QUICK}
    plain, model = (cls(2, **options).fit(X, y) for cls in (DeepBoltzmannMachine, MultimodalDeepBoltzmannMachine))
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))
    assert_array_equal(model.sample(4, 5, y=2), plain.sample(4, 5, y=2))
    X[:30, 0] = np.nan
    P = model.predict_proba(X)
    assert_array_equal(P[30:], plain.predict_proba(X[30:]))
    assert_allclose(P.sum(1), 1, rtol=1e-6)


def test_the_order_of_the_columns_makes_no_difference():
    X = table(60)
    order = [*TWO["bits"], *TWO["group"]]
    adjacent = clone(machine_of()).set_params(modalities={"bits": slice(0, 2), "group": slice(2, 5)}).fit(X[:, order])
    model = machine_of().fit(X)
    Y = hidden(X, "group")
    assert_array_equal(model.transform(Y), adjacent.transform(Y[:, order]))
    for method in ("impute", "sample", "gibbs", "sample_given"):
        found, expected = (getattr(m, method)(rows, n_steps=10) for m, rows in ((model, Y), (adjacent, Y[:, order])))
        assert_array_equal(found[:, order], expected, err_msg=method)
    H = model.transform(X)
    assert_array_equal(model.inverse_transform(H)[:, order], adjacent.inverse_transform(H))
    for name in ("components_", "intercept_visible_", "mean_", "scale_"):
        assert_array_equal(getattr(model, name)[..., order], getattr(adjacent, name), err_msg=name)
    assert_array_equal(model.score_samples(Y), adjacent.score_samples(Y[:, order]))


# ------------------------------------------------------------------ enumeration


@every_depth
@every_gap
def test_the_score_of_known_entries_is_a_lower_bound_of_their_probability(x, sizes):
    """Without layers between it is an estimate that is close to it."""
    model = strong(hidden_layer_sizes=sizes)
    _, log_p = conditional(model, np.array(x))
    _, everything = rows_and_law(model)
    assert model.log_partition_ == pytest.approx(np.logaddexp.reduce(everything), abs=1e-9)
    exact = np.logaddexp.reduce(log_p) - np.logaddexp.reduce(everything)
    score = float(model.score_samples([x])[0])
    assert (abs(exact - score) < 0.05) if sizes == () else (exact - 1.0 < score <= exact + 1e-9)
    assert model.free_energy([x])[0] == pytest.approx(-score - model.log_partition_)


def test_the_bound_is_the_probability_if_what_is_unknown_is_independent():
    model = strong(scale=0.0)
    for x in GAPS.values():
        _, log_p = conditional(model, np.array(x))
        assert -model.free_energy([x])[0] == pytest.approx(np.logaddexp.reduce(log_p), abs=1e-9)
        assert_allclose(
            model.impute([x], "mean_field")[0], np.average(conditional(model, x)[0], axis=0, weights=np.exp(log_p))
        )


@every_depth
@every_gap
def test_drawn_entries_have_the_law_given_the_known_ones(x, sizes):
    model = strong(hidden_layer_sizes=sizes)
    rows, log_p = conditional(model, np.array(x))
    found = model.sample(np.tile(x, (4000, 1)), n_steps=40, random_state=1)
    law = np.exp(log_p - np.logaddexp.reduce(log_p))
    require_law(torch.from_numpy(found), torch.from_numpy(rows), torch.from_numpy(law))


@every_gap
def test_gibbs_imputes_the_expectation_given_the_known_entries(x):
    model = strong()
    rows, log_p = conditional(model, np.array(x))
    expected = np.exp(log_p - np.logaddexp.reduce(log_p)) @ rows
    found = model.impute(np.tile(x, (500, 1)), method="gibbs", n_steps=100, random_state=1)
    assert_allclose(found.mean(0), expected, atol=4 * found.std(0).max() / np.sqrt(500) + 1e-12)


def test_a_chain_is_seen_as_it_goes():
    model, X = strong(), hidden(table(7), "group")
    course = model.sample(X, steps=[1, 4, 20], random_state=1)
    assert course.shape == (3, 7, 5)
    for steps, rows in zip([1, 4, 20], course, strict=True):
        assert_array_equal(model.sample(X, steps, random_state=1), rows)
        assert_array_equal(model.sample_given(X, steps, random_state=1), rows)
    new = model.sample(6, steps=[2, 5], random_state=1)
    assert_array_equal(new[1], model.sample(6, 5, random_state=1))
    assert new.shape == (2, 6, 5)


# ------------------------------------------------------------------ what is known


@pytest.mark.parametrize("kinds", [{"group": "softmax"}, {"bits": "bernoulli", "group": "softmax"}, "gaussian"])
def test_known_entries_stay_as_they_are_to_the_bit(kinds):
    X = table(40)
    X[:, TWO["bits"]] = 0.1 + 0.7 * X[:, TWO["bits"]]
    model = machine_of(visible=kinds, dtype="float32").fit(X)
    X[:20, 0], X[10:30, 3], X[30:, TWO["group"]] = np.nan, np.nan, np.nan
    known = ~np.isnan(X)
    for found in (
        model.impute(X, n_steps=5),
        model.impute(X, "mean_field"),
        model.sample(X, 3),
        model.sample_given(X, 3),
    ):
        assert_array_equal(found[known], X[known])
        assert np.isfinite(found).all()


def test_a_group_is_unknown_as_a_whole():
    model, X = strong(), table(6)
    whole, single = hidden(X, "group"), X.copy()
    single[:, TWO["group"][1]] = np.nan
    assert_array_equal(model.transform(single), model.transform(whole))
    assert_array_equal(model.impute(single, "mean_field"), model.impute(whole, "mean_field"))
    assert_allclose(model.impute(single)[:, TWO["group"]].sum(1), 1)
    assert set(model.sample(single, 5)[:, TWO["group"]].sum(1)) == {1.0}


def counting_machine(rng, **options):
    X = np.hstack([rng.poisson(2.0, (60, 4)), rng.normal(size=(60, 2))])
    kinds = {"words": "softmax"}
    model = MultimodalDeepBoltzmannMachine(
        2, modalities={"words": slice(0, 4), "rest": [4, 5]}, visible=kinds, hidden_layer_sizes=(3,), **QUICK, **options
    )
    return model, X


def test_unknown_counts_have_the_mean_length(rng):
    model, X = counting_machine(rng)
    length = round(model.fit(X).mean_[:4].sum())
    X[:, 2] = np.nan
    assert_allclose(model.impute(X)[:, :4].sum(1), length, rtol=1e-5)
    assert set(model.sample(X, 3)[:, :4].sum(1)) == {length}
    assert np.isfinite(model.score_samples(X)).all()
    X = np.hstack([rng.poisson(2.0, (60, 4)), rng.normal(size=(60, 2))])
    X[:30, :4], X[30:, 4:] = np.nan, np.nan
    assert np.isfinite(model.fit(X).transform(X)).all()


def test_a_row_depends_on_its_own_gaps_alone():
    model, X = strong(), table(12)
    X[::2] = hidden(X[::2], "bits")
    X[::3, 3] = np.nan
    for question in (model.transform, lambda X: model.impute(X, "mean_field"), model.score_samples, model.free_energy):
        assert_allclose(question(X), np.concatenate([question(X[[i]]) for i in range(len(X))]), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("c", [2.0**-300, 2.0**300])
def test_units_change_the_density_of_the_known_gaussian_entries_alone(c, rng):
    X = rng.normal(size=(40, 5))
    X[:, 3:] = X[:, 3:] > 0
    units = np.array([c, c, c, 1.0, 1.0])
    options = {"modalities": {"a": slice(0, 3), "b": slice(3, 5)}, "visible": {"b": "bernoulli"}, **QUICK}
    one, other = (
        MultimodalDeepBoltzmannMachine(2, hidden_layer_sizes=(3,), **options).fit(X * u) for u in (1.0, units)
    )
    X[0, 0], X[1, :3], X[2, 3:] = np.nan, np.nan, np.nan
    assert_array_equal(other.transform(X * units), one.transform(X))
    n_known = (~np.isnan(X[:, :3])).sum(1)
    assert_allclose(other.score_samples(X * units), one.score_samples(X) - n_known * np.log(c), rtol=1e-9)
    assert_array_equal(other.impute(X * units), units * one.impute(X))


# ------------------------------------------------------------------ learning


def paired(n=400, seed=0):
    """Two modalities of four bits, each of which tells the class of the row."""
    y = np.arange(n) % 2
    noise = np.random.default_rng(seed).random((n, 8)) < 0.05
    return np.abs(np.tile(y[:, None], 8) ^ [0, 1, 0, 1, 1, 1, 0, 0] ^ noise).astype(float), y


@pytest.mark.parametrize("share", [0.0, 0.6])
def test_one_modality_tells_the_other_although_many_rows_lack_one(share):
    X, y = paired(200)
    rng = np.random.default_rng(1)
    lacking = rng.random(len(X))
    X_gaps = X.copy()
    X_gaps[lacking < share / 2, :4] = np.nan
    X_gaps[(share / 2 <= lacking) & (lacking < share), 4:] = np.nan
    model = MultimodalDeepBoltzmannMachine(
        8,
        modalities={"a": slice(0, 4), "b": slice(4, 8)},
        visible="bernoulli",
        hidden_layer_sizes=(),
        max_iter=100,
        random_state=0,
    ).fit(X_gaps)
    test, y = paired(seed=2)
    expected = np.array([[0, 0, 0, 0, 1, 1, 0, 0]]) ^ (y[:, None] * np.ones((1, 8), int))
    half = test.copy()
    half[:, 4:] = np.nan
    assert np.mean((model.impute(half)[:, 4:] > 0.5) == expected[:, 4:]) > 0.95
    half[:, :4], half[:, 4:] = np.nan, test[:, 4:]
    known = [0, 1, 0, 1]
    assert np.mean((model.impute(half)[:, :4] > 0.5) == (y[:, None] ^ known)) > 0.95


def test_the_gradient_of_variances_allows_for_the_spread_of_unknown_entries(rng):
    X = rng.normal(size=(50, 3))
    model = MultimodalDeepBoltzmannMachine(2, hidden_layer_sizes=(), learn_variances=True, dtype="float64", **QUICK)
    module = model.fit(X).module_
    x = torch.from_numpy(X)
    x[::2, 1] = torch.nan
    known = module.known_in_part(x)
    s = module.settled(known)
    share = torch.full((50,), 0.02, dtype=torch.float64)
    with torch.no_grad():
        module.log_scale.grad = torch.zeros_like(module.log_scale)
        module.accumulate_scale(s, module.hidden_mean(s), share)
        allow_for_spread(module, x, None)
        found = module.log_scale.grad.clone()
        module.log_scale.grad.zero_()
        noise = torch.Generator().manual_seed(0)
        for _ in range(2000):
            drawn = known.visible(s + torch.empty_like(s).normal_(generator=noise))
            module.accumulate_scale(drawn, module.hidden_mean(s), share)
    assert_allclose(found, module.log_scale.grad / 2000, atol=0.02)


@pytest.mark.parametrize("lacking", [[], [1, 3], [0, 1, 2, 3]], ids=str)
def test_rows_that_lack_a_modality_add_their_share_by_contrastive_divergence(lacking):
    module = strong().module_
    x = torch.tensor([[1.0, 2, 1, 0, 0], [2.0, 2, 1, 0, 0], [4.0, 2, 1, 0, 0], [8.0, 2, 1, 0, 0]], dtype=torch.float64)
    x[lacking, 2:], x[2, 1] = torch.nan, torch.nan
    rest = [i for i in range(4) if i not in lacking]
    calls = {}

    def step(algorithm, batch):
        calls[algorithm] = batch.x[:, 0].tolist()
        weight = torch.ones(len(batch.x)) if batch.weight is None else batch.weight
        module.weight.grad += float((batch.x[:, 0] * weight).mean())
        return {}

    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)  # as momentum leaves it
    step_in_parts(step, module, Batch(x), "pcd")
    assert calls == {how: x[rows, 0].tolist() for how, rows in (("pcd", rest), ("cd", lacking)) if rows}
    share = len(lacking) / 4
    expected = sum(f * float(x[rows, 0].mean()) for f, rows in ((1.0, rest), (share, lacking)) if rows)
    assert_allclose(module.weight.grad, 1 + expected)


def test_what_a_row_lacks_stands_at_its_mean_field_and_single_entries_are_drawn(rng):
    model = strong(hidden_layer_sizes=())
    module, x = model.module_, torch.tensor([[1.0, np.nan, 1, 0, 0], [1.0, 0, np.nan, np.nan, np.nan]])
    single, lacking = (x[[k]].double() for k in (0, 1))
    model._has_gaps = True
    drawn = model._known(module, Batch(single), torch.Generator().manual_seed(0)).s
    assert set(drawn[0, :2].tolist()) <= {0.0, 1.0}
    filled = module.filled(module.known_in_part(lacking), model.n_mean_field)
    assert torch.equal(model._known(module, Batch(lacking), torch.Generator()).s, filled.s)


@pytest.mark.parametrize(
    "options", [{"pretrain_iter": 2}, {"early_stopping": True}, {"algorithm": "cd"}, {"algorithm": "pt"}], ids=str
)
def test_ways_to_learn_from_rows_with_gaps(options):
    X = table(60)
    X[::2, TWO["bits"]] = np.nan
    X[1::4, TWO["group"][0]] = np.nan
    model = machine_of(**options).fit(X, sample_weight=np.arange(60) % 3)
    assert np.isfinite(model.transform(X)).all()
    assert np.isfinite(model.score(X))
    assert all(np.isfinite(curve).all() for curve in model.history_.values())
    assert np.isfinite(model.set_params(early_stopping=False).partial_fit(X[:20]).transform(X)).all()


def test_the_reconstruction_error_is_that_of_known_entries():
    X = table(60)
    model = strong(scale=0.0)
    module, x = model.module_.requires_grad_(False), model._frame.apply(torch.from_numpy(hidden(X, "bits")))
    mean = module.rows_given(torch.zeros(1, module.hidden.width, dtype=torch.float64))[0, 2:]
    expected = (x[:, 2:] - mean).square().sum(1).mean()
    assert float(model._loss(module, Batch(x), None)["reconstruction"]) == pytest.approx(float(expected))


# ------------------------------------------------------------------ an imputer in a pipeline


def test_it_is_an_imputer_in_a_pipeline():
    X, y = paired(100)
    X[::2, :4] = np.nan
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    model = MultimodalDeepBoltzmannMachine(
        4, modalities={"a": list("abcd"), "b": list("efgh")}, visible="bernoulli", output="imputed", **QUICK
    )
    filled = clone(model).set_output(transform="pandas").fit_transform(frame)
    assert list(filled.columns) == list("abcdefgh")
    assert_array_equal(filled.to_numpy()[1::2], X[1::2])
    assert_array_equal(filled, model.fit(frame).impute(frame))
    assert model.inverse_transform(np.full((3, 4), 0.5)).shape == (3, 8)
    assert model.get_feature_names_out().tolist() == list("abcdefgh")
    pipe = make_pipeline(model, LogisticRegression()).fit(frame, y)
    assert pipe.score(frame, y) > 0.9
    one = clone(model).set_params(modalities=None).fit(X)
    assert one.get_feature_names_out().tolist() == [f"x{i}" for i in range(8)]


# ------------------------------------------------------------------ bad input

BIT = {"bits": "bernoulli", "group": "softmax"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"modalities": {"bits": [0, 3], "group": []}}, "modality 'group' has no columns"),
        ({"modalities": {"bits": [0, 3], "group": [1, 2, 5]}}, "modality 'group' has a column 5, but X has 5 columns"),
        ({"modalities": {"bits": [0, 3], "group": [1, 2, 3]}}, "Column 3 is in 'bits' and 'group'"),
        ({"modalities": {"bits": [0], "group": [1, 2, 4]}}, "Column 3 is in no modality"),
        ({"modalities": {"bits": ["a"], "group": [1, 2, 4]}}, "the columns of X have no names"),
        ({"modalities": {}}, "modalities={} names no modality"),
        ({"modalities": [0, 1]}, "'modalities' parameter of MultimodalDeepBoltzmannMachine must be"),
        ({"visible": {"bit": "bernoulli"}}, "visible has an entry for 'bit', which is no modality: use 'bits'."),
        ({"visible": {"bits": "binary"}}, "is no kind of units: use 'bernoulli'."),
        ({"visible": "binary"}, "'visible' parameter"),
        ({"hidden_layer_sizes": {"bits": (3,)}}, "the numbers of layers must be all even or all odd"),
        ({"hidden_layer_sizes": {"bits": "many"}}, "every size must be a whole number"),
        ({"hidden": "relu"}, "hidden='relu' needs hidden_layer_sizes=()"),
        ({"categories": (2,)}, "categories=(2,) sum to 2, but modality 'group' has 3 columns."),
        ({"visible": "softmax", "categories": None}, "The modalities 'bits' and 'group' are counts"),
        ({"visible": {"group": "softmax"}, "categories": None, "algorithm": "pt"}, "algorithm='pt' swaps rows"),
        ({"output": "rows"}, "'output' parameter"),
    ],
)
def test_parameters_that_cannot_be(options, sentence):
    assert sentence in refuses(machine_of(**options), "fit", table(20))


@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "impute", "sample", "score_samples", "gibbs"])
def test_a_row_that_lacks_every_modality_is_named(method):
    model, X = machine_of().fit(table(20)), table(20)
    X[7] = np.nan
    assert "Row 7 of X has no known entry" in refuses(model, method, X)
    X = table(20)
    X[3, 4] = np.inf
    assert refuses(model, method, X) == "Input X contains infinity in row 3, column 4: replace it or drop the row."


def test_a_column_of_which_nothing_is_known_is_named():
    X = table(20)
    X[:, 3] = np.nan
    assert "Column 3 of X has no known entry to learn from" in refuses(machine_of(), "fit", X)


@pytest.mark.parametrize(
    ("question", "options", "sentence"),
    [
        ("impute", {"method": "knn"}, "method='knn' is no method of impute: use 'mean_field' or 'gibbs'."),
        ("impute", {"n_steps": 0}, "n_steps=0 must be a whole number of at least 1."),
        ("sample", {"n_steps": 0}, "n_steps=0"),
        ("sample", {"steps": [3, 2]}, "steps=[3, 2] must be whole numbers of at least 1 in ascending order."),
        ("sample", {"steps": []}, "steps=[] must be"),
        ("sample", {"steps": [0, 2]}, "steps=[0, 2] must be"),
        ("sample", {"steps": [1.5]}, "steps=[1.5] must be"),
        ("sample", {"y": 1}, "y is the class of rows that are drawn as a whole"),
    ],
)
def test_questions_that_cannot_be_asked(question, options, sentence):
    model = machine_of().fit(table(20))
    with pytest.raises(ValueError, match=re.escape(sentence)):
        getattr(model, question)(table(3), **options)


def test_samples_need_a_positive_number():
    assert "n_samples=0" in refuses(machine_of().fit(table(20)), "sample", 0)
    with pytest.raises(ValueError, match="No Autoencoder has pathways of several modalities"):
        machine_of().fit(table(20)).to_autoencoder()


def test_modalities_cannot_change_from_fit_to_fit():
    model = machine_of(warm_start=True).fit(table(20)).set_params(hidden_layer_sizes=(3,))
    assert "modalities changed since the last fit" in refuses(model, "fit", table(20))
    swapped = machine_of().fit(table(20)).set_params(modalities={"bits": [3, 0], "group": [4, 1, 2]})
    assert "modalities changed" in refuses(swapped, "partial_fit", table(20))


def test_names_of_columns_must_be_those_of_the_fit():
    frame = pd.DataFrame(table(20), columns=list("abcde"))
    model = machine_of(modalities={"bits": ["a", "d"], "group": list("ebc")}).fit(frame)
    assert_array_equal(model.transform(frame), machine_of().fit(table(20)).transform(table(20)))
    assert "feature names" in refuses(model, "transform", frame[list("abced")])
    assert "modality 'bits' has a column 'D', which X does not have: use 'd'." in refuses(
        machine_of(modalities={"bits": ["a", "D"], "group": list("ebc")}), "fit", frame
    )


@pytest.mark.parametrize("names", [None, list("abcde")])
def test_rows_outside_are_told_by_the_column_and_its_kind(names):
    X = table(20)
    frame = X if names is None else pd.DataFrame(X, columns=names)
    model = machine_of().fit(frame)
    wrong = X.copy()
    wrong[4, 3], wrong[6, TWO["group"]], wrong[5, 0] = 3.0, [0.9, 0.9, 0.9], np.nan
    wrong = wrong if names is None else pd.DataFrame(wrong, columns=names)
    column = "3" if names is None else "'d'"
    told = f"X has values outside [0, 1] in row 4, column {column} (3), which visible='bernoulli' cannot describe"
    with pytest.warns(UserWarning, match=re.escape(told)):
        scores = model.score_samples(wrong)
    assert (scores == -np.inf).nonzero()[0].tolist() == [4, 6]
    with pytest.warns(UserWarning, match=re.escape(told)):
        machine_of().fit(wrong)
    group = wrong[5:] if names is None else wrong.iloc[5:]
    with pytest.warns(UserWarning, match=r"outside \[0, 1\] with the sum 1 in row 1, column .* visible='softmax'"):
        model.score_samples(group)


def test_a_forged_order_of_columns_is_refused():
    model = machine_of().fit(table(20))
    state = model.__getstate__()
    *rest, order = state["_frame"]
    for wrong in (order * 0, order[:3], order.astype(float), order + 1):
        with pytest.raises(ValueError, match="is damaged: _frame"):
            clone(model).__setstate__({**state, "_frame": (*rest, wrong)})


def test_the_first_steps_of_a_chain_do_not_count_in_its_mean(monkeypatch):
    """With all steps counted, a chain of one step is still the mean of that step."""
    model, X = strong(), hidden(table(5), "bits")
    assert np.isfinite(model.impute(X, "gibbs", 1)).all()
    late = model.impute(X, "gibbs", 10, random_state=0)
    monkeypatch.setattr(_filling, "BURN_IN", 0.0)
    assert not np.array_equal(model.impute(X, "gibbs", 10, random_state=0), late)


@pytest.mark.parametrize("kind", ["softmax", "counts"])
def test_one_gap_in_units_that_are_known_together_is_a_gap_in_all_of_them(kind):
    rng = np.random.default_rng(0)
    labels = np.eye(3)[rng.integers(3, size=60)]
    X = np.c_[rng.normal(size=(60, 2)), labels if kind == "softmax" else np.full((60, 3), 4.0)]
    one, all_of_them = X.copy(), X.copy()
    one[::2, 3], all_of_them[::2, 2:] = np.nan, np.nan
    sizes = {"b": (3,)} if kind == "softmax" else None
    options = {"modalities": {"a": [0, 1], "b": [2, 3, 4]}, "visible": {"b": "softmax"}, "categories": sizes}
    fitted = [MultimodalDeepBoltzmannMachine(2, **options, **QUICK).fit(Z) for Z in (one, all_of_them)]
    assert_array_equal(fitted[0].transform(one), fitted[1].transform(all_of_them))
    nothing = np.vstack([[np.nan, np.nan, 1.0, np.nan, 0.0], X])
    for use in (fitted[0].transform, fitted[0].impute, fitted[0].fit):
        with pytest.raises(ValueError, match=r"Row 0 of X has no known entry"):
            use(nothing)


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda m: m.sample(3, steps=50), "use n_steps"),
        (lambda m: m.sample(2.5), "n_samples=2.5 must be a whole number"),
        (lambda m: m.sample_given(5), "use sample"),
        (lambda m: m.set_params(output="imputed").get_feature_names_out(["a"]), "length equal to number of features"),
    ],
)
def test_what_is_asked_in_a_wrong_way_is_told(ask, told):
    with pytest.raises(ValueError, match=told):
        ask(MultimodalDeepBoltzmannMachine(2, **QUICK).fit(np.random.default_rng(0).normal(size=(20, 3))))


def test_settings_of_one_modality_are_told_by_its_name():
    X = np.random.default_rng(0).normal(size=(20, 4))
    modalities = {"a": [0, 1], "b": [2, 3]}
    for name, wrong in (
        ("categories has an entry for 'a'", {"categories": {"a": (2,)}}),
        ("hidden_layer_sizes of modality 'b'", {"hidden_layer_sizes": {"b": -3}}),
    ):
        with pytest.raises(ValueError, match=name):
            MultimodalDeepBoltzmannMachine(2, modalities=modalities, **wrong).fit(X)

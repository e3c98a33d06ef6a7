"""The verdict on a fit: what is told, on both sides of each line, and that it changes nothing."""

import copy
import warnings

import numpy as np
import pytest
import torch
from seen import seen
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import MinMaxScaler

from skae import (
    RBM,
    Autoencoder,
    DeepBeliefNetwork,
    FineTunedClassifier,
    FineTunedRegressor,
    SemiSupervisedAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
)
from skae.base import verdict
from skae.engine.arrays import Arrays

SMALL = {"visible": "bernoulli", "weight_scale": 0.01, "batch_size": 100, "max_iter": 60, "random_state": 0}
LOGISTIC = RBM(4, n_chains=5, **SMALL)
QUICK = {"hidden_layer_sizes": (6,), "random_state": 0}


@pytest.fixture
def unit(iris):
    return MinMaxScaler().fit_transform(iris)


def told(estimator, *data, **options):
    """The verdicts on a fit."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        estimator.fit(*data, **options)
    assert {w.filename for w in found} <= {__file__}
    return [str(w.message) for w in found if issubclass(w.category, ConvergenceWarning)]


# ------------------------------------------------------------------ the lines


def test_spread_is_that_of_repeated_rows(rng):
    x, times = rng.standard_normal((12, 3)) + np.array([2.0, 0.0, -1.0]), rng.integers(0, 4, 12)
    rows = x.repeat(times, axis=0)
    expected = np.sqrt(rows.var(axis=0).sum() / np.square(rows).mean(axis=0).sum())
    found = verdict.relative_spread(torch.from_numpy(x), torch.from_numpy(times))
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert verdict.relative_spread(torch.from_numpy(x - x.mean(0)), None) == pytest.approx(1.0)
    assert verdict.relative_spread(torch.zeros(3, 2), None) == 0.0
    assert verdict.relative_spread(torch.ones(3, 2), None) == 0.0


def wave(level, deviation):
    """Two columns of a mean and a standard deviation."""
    return torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(5, 1) * deviation + level


@pytest.mark.parametrize("of_rows", [1.0, 0.1])
@pytest.mark.parametrize("share", [0.9, 1.1])
def test_a_code_must_vary_a_hundredth_as_much_as_the_rows(of_rows, share):
    """Spread is the deviation over the root mean square, so small codes, and a large offset of X, are no failure."""
    x = wave(np.sqrt(1 / of_rows**2 - 1), 1.0)
    spread = 0.01 * share * of_rows
    for size in (1.0, 1e-20, 1e20):
        sentence = verdict.constant_code(size * wave(np.sqrt(1 - spread**2), spread), x, None, "do this")
        assert (sentence is None) == (share > 1)
    if share < 1:
        assert sentence.endswith(f"(its standard deviation is {spread:.1g} of its size): do this.")


def test_rows_that_are_all_equal_have_one_code():
    assert verdict.constant_code(torch.full((5, 2), 0.5), torch.zeros(5, 3), None, "") is None
    assert verdict.constant_code(torch.full((5, 2), 0.5), torch.full((5, 3), 7.0), None, "") is None
    assert "same for all rows" in verdict.constant_code(torch.full((5, 2), 0.5), ["trees"] * 5, None, "")


@pytest.mark.parametrize("at", [[0.0, 0.0], [0.0, 1.0], [-1.0, 1.0]])
def test_dead_and_saturated_units_need_a_lower_rate(at):
    sentence = verdict.constant_code(torch.tensor([at] * 5), torch.eye(5), None, "raise learning_rate_init")
    assert "dead or saturated: lower learning_rate_init" in sentence


def test_a_reconstruction_must_be_better_than_the_mean():
    assert verdict.poor_reconstruction(9.99, 10.0, "") is None
    assert verdict.poor_reconstruction(0.0, 0.0, "") is None
    assert "(R2 -0.5): do this" in verdict.poor_reconstruction(15.0, 10.0, "do this")


@pytest.mark.parametrize(("others", "fails"), [(0.09, False), (0.11, True)])
def test_one_class_for_all_is_a_failure_where_others_are_not_rare(others, fails):
    label = torch.tensor([1, 1, 0, 0])
    count = torch.tensor([1 - others, 1 - others, others, others])
    classes = np.array(["a", "b"])
    sentence = verdict.one_class(torch.ones(4).long(), label, count, classes, "do this")
    assert (sentence is not None) == fails
    assert sentence is None or "of class 'b', but 11% are not: do this" in sentence
    assert verdict.one_class(torch.tensor([1, 1, 1, 0]), label, count, classes, "") is None


def test_predictions_must_vary_a_hundredth_as_much_as_y():
    y = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 5.0]])
    count = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]])  # the deviation of the first column is 1
    for scale, fails in ((0.009, True), (0.011, False)):
        sentence = verdict.constant_prediction(3 + scale * y[:, :1], y[:, :1], count[:, :1], "do this")
        assert (sentence is not None) == fails
    assert verdict.constant_prediction(y * 0.0, y, count, "") is None  # nothing is known of the second column
    assert verdict.constant_prediction(y * 0.0, y * 0.0, count + 1.0, "") is None


def test_rows_are_spread_evenly_over_those_that_count(monkeypatch, iris):
    monkeypatch.setattr(verdict, "N_ROWS", 3)
    weight = (np.arange(150) % 3 > 0) * 1.0
    data = Arrays(iris, weight).seen(None, None, torch.float64, torch.device("cpu"))
    for among, expected in ((None, [1, 74, 149]), (torch.arange(9), [1, 4, 8])):
        np.testing.assert_array_equal(verdict.some_rows(data, 10, among).x, iris[expected])
    assert verdict.some_rows(data, 10, torch.tensor([0, 1, 3])) is None


# ------------------------------------------------------------------ fits


def test_bernoulli_units_learn_where_rows_vary_more_than_they_do(unit):
    """Near zero weights they grow only if the covariance minus the variances of the units has a positive eigenvalue."""
    for X, learns in ((unit, False), ((unit > 0.5) * 1.0, True)):
        mean = X.mean(axis=0)
        growth = np.linalg.eigvalsh(np.cov(X.T, bias=True) - np.diag(mean * (1 - mean)))[-1]
        assert (growth > 0) == learns
        sentences = told(clone(LOGISTIC).set_params(max_iter=100), X)
        assert [("visible='gaussian', or binary X" in sentence) for sentence in sentences] == [True] * (not learns)


def test_the_whole_is_told_of_and_not_its_parts(unit, few):
    for model in (
        StackedAutoencoder([clone(LOGISTIC), clone(LOGISTIC)], learning_rate_init=1e-9, max_iter=60),
        StackedAutoencoder([clone(LOGISTIC), clone(LOGISTIC)], fine_tune=False),
        DeepBeliefNetwork(4, hidden_layer_sizes=(), **SMALL),
        FineTunedClassifier(clone(LOGISTIC), learning_rate_init=1e-9, n_frozen=2, max_iter=60, random_state=0),
    ):
        (sentence,) = told(model, unit, few) if hasattr(model, "predict") else told(model, unit)
        assert sentence.startswith("The code is nearly the same for all rows")
        assert "use visible='gaussian'" in sentence
        assert ("change the" in sentence) == (not isinstance(model, DeepBeliefNetwork))
    assert told(model.set_params(encoder__visible="gaussian", encoder__max_iter=60), unit, few) == []


def test_a_head_that_predicts_one_class_is_told(iris):
    """A fifth of the rows are of a class that X says nothing about."""
    encoder, y = Autoencoder(2, max_iter=5, **QUICK), np.where(np.arange(150) % 5, "usual", "rare")
    model = FineTunedClassifier(encoder, learning_rate_init=1e-9, max_iter=60, random_state=0)
    (sentence,) = told(model, iris, y)
    assert sentence.startswith("All rows are predicted to be of class 'usual', but 20% are not: change the encoder")
    assert told(model, iris, y, sample_weight=np.where(y == "rare", 0.3, 1.0)) == []  # less than a tenth of the weight
    assert told(model, iris, np.where(iris[:, 2] < 2.0, "rare", "usual")) == []


def test_labels_of_a_network_that_predicts_one_are_told(iris):
    """Again of a fifth of the rows X says nothing. Of rows without a label nothing is missed."""
    y = np.where(np.arange(150) % 5, 1, 0)
    model = DeepBeliefNetwork(8, hidden_layer_sizes=(), labels=True, max_iter=40, random_state=0)
    (sentence,) = told(model, iris, y)
    assert sentence.startswith("All rows are predicted to be of class 1, but 20% are not: raise max_iter")
    assert told(model.set_params(batch_size=10), iris, np.where(y == 0, -1, iris[:, 2] < 2.0)) == []
    assert told(model.set_params(labels=False), iris) == []


def test_a_prediction_that_is_one_number_is_told(iris, widths):
    encoder = Autoencoder(2, max_iter=5, **QUICK)
    model = FineTunedRegressor(encoder, n_frozen=0, learning_rate_init=1e-9, max_iter=60, random_state=0)
    (sentence,) = told(model, iris, widths)
    assert sentence.startswith("The prediction is nearly the same for all rows: change the encoder")
    assert told(model, iris, np.where(np.isnan(widths), np.nan, 3.0)) == []
    assert told(model.set_params(n_frozen=50), iris, widths) == []


def test_a_fit_that_is_no_better_than_the_mean_is_told(iris):
    """So is a random start, at which a rate of nearly zero stays."""
    model = Autoencoder(2, init="random", learning_rate_init=1e-9, max_iter=60, **{**QUICK, "random_state": 5})
    for patience, cure in (
        (10, "training stopped early, so lower batch_size"),
        (60, "raise max_iter or learning_rate"),
    ):
        (sentence,) = told(model.set_params(n_iter_no_change=patience), iris)
        assert model.score(iris) < 0.0
        assert f"no better than their mean (R2 {model.score(iris):.1g}): {cure}" in sentence
    assert told(model.set_params(learning_rate_init=0.01), iris) == []


@torch.no_grad()
def test_penalties_are_named_as_a_cause(iris, monkeypatch):
    for model, cure in (
        (SparseAutoencoder(3, max_iter=2), "lower the weight of the term 'sparsity', or raise max_iter"),
        (Autoencoder(3, max_iter=2, **QUICK), "raise max_iter"),
    ):
        data = seen(model.fit(iris), iris)
        assert model._failure(data) is None
        monkeypatch.setattr(model, "_error_and_variation", lambda module, batch: torch.ones(len(batch.x), 2))
        assert f"than their mean (R2 0): {cure}" in model._failure(data)


@pytest.mark.parametrize("options", [{"alpha": 1.0}, {"alpha": 0.0}])
def test_what_was_not_to_be_learnt_is_not_missed(iris, few, options):
    assert told(SemiSupervisedAutoencoder(2, init="random", max_iter=60, **options, **QUICK), iris, few) == []


def test_there_is_no_verdict_on_a_start_on_a_trial_and_on_a_chunk(unit):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        clone(LOGISTIC)._fit(unit, None, None, train=False)
        clone(LOGISTIC).set_params(max_iter=9).fit(unit)
        StackedAutoencoder([clone(LOGISTIC).set_params(max_iter=9)], fine_tune=False).fit(unit)
        model = clone(LOGISTIC)
        for _ in range(60):
            model.partial_fit(unit)


def test_a_verdict_changes_nothing(unit, monkeypatch):
    one = clone(LOGISTIC)
    assert len(told(one, unit)) == 1
    monkeypatch.setattr("skae.base.estimator.tell", lambda estimator, data, run: None)
    two = clone(LOGISTIC).fit(unit)
    np.testing.assert_array_equal(one.transform(unit), two.transform(unit))
    assert torch.equal(one._rng.get_state(), two._rng.get_state())
    assert vars(one).keys() == vars(two).keys()


def test_a_verdict_that_is_an_error_leaves_the_estimator_as_it_was(unit, iris):
    model = clone(LOGISTIC).set_params(visible="gaussian").fit(iris)
    before = copy.copy(vars(model))
    with pytest.raises(ConvergenceWarning):
        model.set_params(visible="bernoulli").fit(unit)
    assert all(vars(model)[name] is before[name] for name in before if name != "visible")

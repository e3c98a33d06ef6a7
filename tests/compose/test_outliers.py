"""Outliers: the two parts of the score, where the line is drawn, what a column contributes, and what is refused."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.covariance import EmpiricalCovariance
from sklearn.datasets import load_wine
from sklearn.decomposition import PCA
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from skae import RBM, Autoencoder, OutlierDetector, TableAutoencoder
from skae.compose._blame import contributions
from skae.compose._errors import ShortAutoencoders
from skae.compose._near import Near, standard_frame, weight_of
from skae.exceptions import NothingLearntWarning
from skae.inspection import OutlierDisplay
from skae.nn.stacked_dense import StackedDense


class Mahalanobis(EmpiricalCovariance):
    """A score that is known in closed form: minus the squared Mahalanobis distance."""

    def score_samples(self, X):
        return -self.mahalanobis(X)


class FirstColumn(BaseEstimator):
    """The first column is the score. It remembers the weights that it was fitted with."""

    def fit(self, X, y=None, sample_weight=None):
        self.weight_ = sample_weight
        return self

    def score_samples(self, X):
        return X[:, 0]


@pytest.fixture(scope="module")
def rows():
    """Three columns that are nearly functions of one number, and noise; the last five rows break this."""
    rng = np.random.default_rng(0)
    t = rng.uniform(-1, 1, 200)
    X = np.stack([t, t**2, 5.0 - 3.0 * t, rng.normal(size=200)], 1) + 0.02 * rng.normal(size=(200, 4))
    X[195:, 0] = -X[195:, 0] + np.sign(X[195:, 0]) * -0.3
    return X


@pytest.fixture(scope="module")
def detector(rows):
    return OutlierDetector(random_state=0).fit(rows)


# -------------------------------------------------------------------- the score


def test_the_score_is_made_of_errors_and_distances(detector, rows):
    parts = detector.estimator_.log_deviation(rows), detector._near.log_distance(rows)
    np.testing.assert_allclose(detector.score_samples(rows), -(parts[0] + parts[1]) / 2, rtol=1e-12)
    is_odd = np.arange(200) >= 195
    assert roc_auc_score(is_odd, -detector.score_samples(rows)) > 0.95


def test_a_deviation_is_one_of_errors_and_of_codes_in_their_own_units(rows):
    weight = np.arange(200.0)
    model = ShortAutoencoders(n_components=2, n_networks=3, n_steps=5, random_state=0).fit(rows, sample_weight=weight)
    x = (rows - model.mean_) / model.scale_
    with torch.no_grad():
        h = model.module_.encoder(torch.tensor(x, dtype=torch.float32))
        square = (model.module_.decoder(h).double().numpy() - x) ** 2
    expected = np.zeros(200)
    for one, code in zip(square, h.double().numpy(), strict=True):
        variance = np.average(one, axis=0, weights=weight) + 1e-4
        precision = np.linalg.inv(np.cov(code.T, aweights=weight, ddof=0))
        centred = code - np.average(code, axis=0, weights=weight)
        distance = np.einsum("ni,ij,nj->n", centred, precision, centred)
        expected += np.log(((one / variance).sum(1) + distance) / (4 + 2)) / 2 / 3
    np.testing.assert_allclose(model.log_deviation(rows), expected, atol=1e-3)
    np.testing.assert_allclose(model.mean_, rows.mean(0))
    np.testing.assert_allclose(model.scale_, rows.std(0))


def test_stacked_networks_are_networks_side_by_side():
    module = StackedDense(3, [4, 6, 2], ["silu", "identity"]).double()
    module.initialise(torch.Generator().manual_seed(0))
    module.biases[0].data.normal_(generator=torch.Generator().manual_seed(1))
    x = torch.linspace(-1, 1, 20, dtype=torch.float64).view(5, 4)
    for k, y in enumerate(module(x)):
        h = torch.nn.functional.silu(x @ module.weights[0][k] + module.biases[0][k])
        torch.testing.assert_close(y, h @ module.weights[1][k] + module.biases[1][k])
    torch.testing.assert_close(module(x.expand(3, 5, 4)), module(x))


def nearest(near, frame, row):
    """The mean logarithm of the distance from the nearest row that differs, by a plain loop."""
    z = (row - frame.mean) / frame.scale
    logs = []
    for sample in near.rows.reshape(-1, near.size, len(row)):
        square = [np.nanmean((z - other) ** 2) for other in sample if np.isfinite(z - other).any()]
        square = [value for value in square if value > 1e-9]
        logs += [0.5 * np.log(min(square))] if square else []
    return np.mean(logs)


@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_a_distance_is_that_from_the_nearest_row_in_small_samples(rows, gaps):
    X = np.where(np.random.default_rng(1).random(rows.shape) < gaps, np.nan, rows)
    frame = standard_frame(X)
    np.testing.assert_allclose(frame.mean, np.nanmean(X, axis=0))
    np.testing.assert_allclose(frame.scale, np.nanstd(X, axis=0))
    near = Near(X, frame, np.random.RandomState(0))
    found = near.log_distance(X)
    np.testing.assert_allclose(found[:40], [nearest(near, frame, row) for row in X[:40]], rtol=1e-6)


def test_copies_of_a_row_do_not_vouch_for_it():
    X = np.repeat(np.eye(4)[[0, 1]], 50, axis=0)
    near = Near(X, standard_frame(X), np.random.RandomState(0))
    np.testing.assert_allclose(near.log_distance(X), np.log(2 / np.sqrt(2)))  # two of four columns differ by 2 scales


def test_rows_far_away_count_less(rows):
    model = OutlierDetector(FirstColumn(), random_state=0).fit(np.vstack([rows, rows[:1] + 100.0]))
    log_distance = model._near.log_distance(np.vstack([rows, rows[:1] + 100.0]))
    ratio = np.exp(log_distance - np.median(log_distance))
    np.testing.assert_allclose(model.estimator_.weight_, np.minimum(1.0, ratio**-4.0))
    np.testing.assert_allclose(weight_of(np.log([1.0, 1.0, 2.0])), [1.0, 1.0, 1 / 16])
    assert model.estimator_.weight_[-1] < 1e-4


def test_only_so_many_rows_are_learnt_from_as_the_steps_take(rows):
    model = ShortAutoencoders(n_steps=2, random_state=0).fit(rows)
    assert len(model.history_["loss"]) == 1
    assert model._learnt(model._source(rows, None, None, reset=True), None).X.shape == (128, 4)


# -------------------------------------------------------------------- the line


def test_the_line_is_that_of_a_box_plot_or_that_of_a_share():
    X = np.r_[np.arange(100.0), -60.0, -40.0][:, None]
    model = OutlierDetector(FirstColumn()).fit(X)
    lower, upper = np.percentile(X, [25, 75])
    assert model.offset_ == lower - 1.5 * (upper - lower)
    np.testing.assert_array_equal(np.flatnonzero(model.predict(X) == -1), [100])
    for share in (0.01, 0.1, 0.5):
        model = OutlierDetector(FirstColumn(), contamination=share).fit(X)
        assert model.offset_ == np.percentile(X, 100 * share)
        assert abs((model.predict(X) == -1).sum() - share * len(X)) <= 1
    np.testing.assert_array_equal(model.decision_function(X), X[:, 0] - model.offset_)


# -------------------------------------------------------------------- contributions


def test_contributions_to_a_mahalanobis_distance_are_known(rows):
    """Those of the reference r to (x-m)'P(x-m): (x-r)_j (P(x+r-2m))_j. Both orders of a pair make this exact."""
    model = OutlierDetector(Mahalanobis(), random_state=0).fit(rows)
    P, m, r = model.estimator_.precision_, model.estimator_.location_, np.median(rows, axis=0)
    np.testing.assert_array_equal(model.reference_, r)
    np.testing.assert_allclose(model.explain(rows), (rows - r) * ((rows + r - 2 * m) @ P), rtol=1e-6, atol=1e-8)


def test_contributions_sum_to_the_score_and_point_at_what_was_planted(detector, rows):
    X = rows[:6].copy()
    columns = np.arange(6) % 4
    X[np.arange(6), columns] += 30.0
    found = detector.explain(X)
    reference = detector.score_samples(detector.reference_[None])
    np.testing.assert_allclose(found.sum(1), reference - detector.score_samples(X), rtol=1e-10)
    np.testing.assert_array_equal(found.argmax(1), columns)
    np.testing.assert_array_equal(detector.explain(X[2:4]), found[2:4])


def test_contributions_are_shapley_values():
    """Those of a function of three columns, against all six orders, in the mean over many random ones."""
    rng, x, r = np.random.RandomState(0), np.array([[2.0, 3.0, 5.0]]), np.ones(3)
    found = np.mean([contributions(lambda X: -X.prod(1), x, r, rng)[0] for _ in range(200)], axis=0)
    exact = np.zeros(3)
    for order in ([0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]):
        state = r.copy()
        for j in order:
            before = state.prod()
            state[j] = x[0, j]
            exact[j] += (state.prod() - before) / 6
    np.testing.assert_allclose(found, exact, rtol=0.05)


# -------------------------------------------------------------------- gaps


def test_missing_entries_are_neither_strange_nor_explained(rows):
    X = np.where(np.random.default_rng(0).random(rows.shape) < 0.1, np.nan, rows)
    X[:, 3], X[7] = rows[:, 3], [np.nan, np.nan, 40.0, 0.0]
    detector = OutlierDetector(random_state=0).fit(X)
    scores = detector.score_samples(X)
    assert scores[:195].argmin() == 7
    found = detector.explain(X[7:8])[0]
    assert found.argmax() == 2
    np.testing.assert_array_equal(found[:2], 0.0)
    gaps = np.isnan(X).sum(1)
    whole, broken = scores[:195][gaps[:195] == 0], scores[:195][gaps[:195] > 0]
    assert abs(np.median(whole) - np.median(broken)) < whole.std()


def test_rows_with_gaps_may_come_later(detector, rows):
    X = rows[:2].copy()
    X[:, 0], X[1, 2] = np.nan, 40.0
    scores = detector.score_samples(X)
    assert np.isfinite(scores).all()
    assert scores[1] < detector.offset_ < scores[0]


def test_an_estimator_says_whether_it_takes_gaps(rows):
    X = rows.copy()
    X[3, 1] = np.nan
    OutlierDetector(Autoencoder(2, max_iter=1), random_state=0).fit(X).score_samples(X)
    assert "row 3, column 1" in refuses(OutlierDetector(PCA(2)), "fit", X)
    X[:, 1] = np.nan
    assert "Column 1" in refuses(OutlierDetector(), "fit", X)
    X[:, 1] = 0.0
    X[5] = np.nan
    assert "Row 5" in refuses(OutlierDetector(), "fit", X)


# -------------------------------------------------------------------- a user's day


@pytest.mark.parametrize("check", ["check_dataframe_column_names_consistency", "check_param_validation"])
def test_checks_that_scikit_learn_does_not_yield(check):
    getattr(estimator_checks, check)("OutlierDetector", OutlierDetector(random_state=0))


def test_every_kind_of_table_gives_the_same(detector, rows):
    expected = detector.score_samples(rows)
    for X in (sparse.csr_array(rows), torch.tensor(rows), np.asfortranarray(rows)):
        model = OutlierDetector(random_state=0).fit(X)
        np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-6)
        np.testing.assert_allclose(detector.explain(X[:2]), detector.explain(rows[:2]), rtol=1e-6)
    frame = pd.DataFrame(rows, columns=list("abcd"))
    model = OutlierDetector(random_state=0).fit(frame)
    scores = model.score_samples(frame)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)
    assert list(model.feature_names_in_) == list("abcd")
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.score_samples(frame), scores)
    np.testing.assert_array_equal(copy.explain(frame[:1]), model.explain(frame[:1]))


def test_it_is_a_step_of_a_pipeline_and_of_a_search(rows):
    is_odd = np.where(np.arange(200) >= 195, -1, 1)[::-1]
    pipe = make_pipeline(StandardScaler(), OutlierDetector(RBM(4, max_iter=1), random_state=0))
    grid = {"outlierdetector__estimator__n_components": [2, 3], "outlierdetector__contamination": [0.1]}
    search = GridSearchCV(pipe, grid, scoring="accuracy", cv=2, error_score="raise").fit(rows[::-1], is_odd)
    assert set(search.predict(rows)) <= {-1, 1}
    assert clone(search.best_estimator_)[-1].estimator.n_components in (2, 3)


def test_the_seed_of_the_estimator_comes_from_the_detector(rows):
    one, two, other = (OutlierDetector(RBM(2, max_iter=1), random_state=seed).fit(rows) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one.score_samples(rows), two.score_samples(rows))
    assert one.estimator_.random_state == two.estimator_.random_state != other.estimator_.random_state
    assert one.estimator.random_state is None


@pytest.mark.parametrize("X", [np.arange(30.0)[:, None], np.c_[np.arange(30.0), np.ones(30)], np.eye(2)])
def test_few_columns_and_constant_ones_are_no_obstacle(X):
    model = OutlierDetector(random_state=0).fit(X)
    far = X.max(0) + 1000.0
    assert np.isfinite(model.score_samples(X)).all()
    assert model.predict(far[None])[0] == -1


def test_equal_rows_have_no_outliers():
    X = np.ones((20, 3))
    with pytest.warns(NothingLearntWarning, match="the same score"):
        model = OutlierDetector(random_state=0).fit(X)
    assert (model.predict(X) == 1).all()
    assert model.predict(X[:1] + 1.0)[0] == -1


def test_what_is_wrong_is_told(detector, rows):
    assert "n_samples = 1" in refuses(OutlierDetector(), "fit", rows[:1])
    assert "score_samples" in refuses(OutlierDetector(StandardScaler()), "fit", rows)
    assert "rescale X" in refuses(OutlierDetector(), "fit", rows * 1e200)
    for wrong in (0.0, 0.6, -1.0, "much"):
        assert "contamination" in refuses(OutlierDetector(contamination=wrong), "fit", rows)
    for method in ("predict", "explain"):
        assert "4 features" in refuses(detector, method, rows[:, :3])
    assert "infinity in row 1, column 2" in refuses(detector, "predict", [[0, 0, 0, 0], [0, 0, np.inf, 0]])


def test_rows_with_gaps_are_not_more_usual_for_that():
    X = load_wine().data
    rng = np.random.RandomState(1)
    hidden = np.zeros(X.shape, dtype=bool)
    for row, count in zip(hidden, rng.randint(0, 11, len(X)), strict=True):
        row[rng.permutation(13)[:count]] = True
    gaps = np.where(hidden, np.nan, X)
    for rows in (X, gaps):
        detector = OutlierDetector(random_state=0).fit(rows)
        scores = detector.score_samples(gaps)
        assert abs(np.corrcoef(hidden.sum(1), scores)[0, 1]) < 0.25
        assert abs(np.corrcoef(hidden.sum(1), detector._raw(gaps))[0, 1]) > 0.4
    whole = OutlierDetector(random_state=0).fit(X)
    np.testing.assert_array_equal(whole.score_samples(X), whole._raw(X))


# ------------------------------------------------------------------ frames


@pytest.fixture(scope="module")
def customers():
    """A frame of 200 rows, in which the plan follows from the age, but for row 3. Row 9 has a gap."""
    rng = np.random.default_rng(0)
    age = rng.normal(50, 10, 200).round()
    plan = np.where(age > 50, "gold", "basic")
    plan[3] = "basic" if plan[3] == "gold" else "gold"
    age[3] = 75.0 if plan[3] == "basic" else 25.0
    frame = pd.DataFrame(
        {"age": age, "plan": pd.Categorical(plan), "n": rng.poisson(2, 200), "noise": rng.normal(size=200)}
    )
    frame.loc[9, ["age", "plan", "noise"]] = None
    return frame


def test_a_table_with_categories_is_judged_by_a_table_autoencoder(customers):
    detector = OutlierDetector(TableAutoencoder(1, random_state=0), contamination=0.05, random_state=0).fit(customers)
    scores = detector.score_samples(customers)
    np.testing.assert_array_equal(scores, detector.estimator_.score_samples(customers))
    assert scores.argsort().argsort()[3] < 10
    assert (detector.predict(customers) == -1).sum() == 10
    assert detector.feature_names_in_.tolist() == list(customers)
    with pytest.raises(ValueError, match="at least 2"):
        clone(detector).fit(customers[:1])


def test_contributions_of_a_table_are_those_of_its_columns(customers):
    detector = OutlierDetector(TableAutoencoder(1, random_state=0), random_state=0).fit(customers)
    found = detector.explain(customers[:12])
    assert found.shape == (12, 4)
    assert set(found[3].argsort()[-2:]) <= {0, 1, 3}
    inside = detector.estimator_.estimator_
    base = np.repeat(detector.reference_[None], 12, axis=0)
    encoded = detector.estimator_.encode(customers[:12])
    base[np.isnan(encoded)] = np.nan
    expected = inside.score_samples(base) - inside.score_samples(encoded)
    np.testing.assert_allclose(found.sum(axis=1), expected, rtol=1e-6, atol=1e-8)
    assert (found[9, [0, 1, 3]] == 0.0).all()
    display = OutlierDisplay.from_estimator(detector, customers, n_samples=2)
    assert any("plan = " in label.get_text() for label in display.axes_[0].get_yticklabels())

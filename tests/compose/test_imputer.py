"""AutoencoderImputer: the recipe, imputers' conventions, models with gaps, and bad input."""

import pickle

import numpy as np
import pandas as pd
import pytest
from contract.requirements import refuses
from scipy import sparse
from sklearn.base import clone
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks

from skae import RBM, Autoencoder, AutoencoderImputer, FineTunedClassifier, TableAutoencoder, VariationalAutoencoder
from skae.compose import _recipe

QUICK = {"max_iter": 3, "random_state": 0}
MODEL = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture(scope="module")
def X():
    """80 rows of 5 columns of other units, with gaps, one row without any entry and one without gaps."""
    rng = np.random.default_rng(0)
    h = rng.normal(size=(80, 2))
    X = np.column_stack([h, h.sum(1), h[:, 0] ** 2, h[:, 1] * 3]) + 0.1 * rng.normal(size=(80, 5))
    X = X * [1.0, 100.0, 1.0, 1e-3, 1.0] + [0.0, 1e4, 1.0, 0.0, -5.0]
    X[rng.random(X.shape) < 0.3] = np.nan
    X[3], X[4] = np.nan, [1.0, 1e4, 2.0, 3e-3, -4.0]
    return X


@pytest.fixture(scope="module")
def circle():
    """Points of a circle and a third column that is no linear function of the two: an imputer, with gaps, without."""
    rng = np.random.default_rng(0)
    angle = rng.random(400) * 2 * np.pi
    whole = np.column_stack([np.cos(angle), np.sin(angle), np.cos(2 * angle)])
    X = np.where(rng.random(whole.shape) < 0.25, np.nan, whole)
    return AutoencoderImputer(max_iter=100, random_state=0).fit(X), X, whole


@pytest.fixture(scope="module")
def fitted(X):
    return AutoencoderImputer(**QUICK).fit(X)


# ---------------------------------------------------------------- the recipe


def test_observed_entries_are_untouched_and_missing_ones_are_filled(fitted, X):
    before, filled = X.copy(), fitted.transform(X)
    known = ~np.isnan(X)
    np.testing.assert_array_equal(filled[known], X[known])
    assert np.isfinite(filled).all()
    np.testing.assert_array_equal(X, before)
    single = fitted.transform(X.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_array_equal(single[known], X[known].astype(np.float32))


def test_without_trust_it_is_the_gaussian(fitted, X):
    known = ~np.isnan(X)
    x = np.where(known, (X - fitted.mean_) / fitted.scale_, 0.0)
    gaussian = fitted.mean_ + fitted.scale_ * fitted._filler.gaussian.complete(x, known)
    doubtful = pickle.loads(pickle.dumps(fitted))
    doubtful._filler.trust, doubtful._filler.networks = 0.0, None
    np.testing.assert_allclose(doubtful.transform(X), gaussian)
    np.testing.assert_allclose(fitted.transform(X)[3], gaussian[3])  # of a row with nothing observed


def test_trust_mixes_the_gaussian_and_the_networks(circle):
    imputer, X, _ = circle
    recipe, known = imputer._filler, ~np.isnan(X)
    assert 0 < imputer.trust_ <= 1
    x = np.where(known, (X - imputer.mean_) / imputer.scale_, 0.0)
    f = recipe.gaussian.complete(x, known)
    net = recipe.networks.transform(np.hstack([f, known]))
    mixed = np.where(known | ~known.any(1)[:, None], f, f + imputer.trust_ * (net - f))
    np.testing.assert_allclose(recipe.complete(x, known), mixed)


def test_trust_is_the_least_squares_factor_within_its_limits_and_falls_with_doubt(rng, monkeypatch):
    step = rng.normal(size=400)
    error = 0.6 * step + 0.1 * rng.normal(size=400)
    with monkeypatch.context() as patch:
        patch.setattr(_recipe, "DOUBT", 0.0)
        assert _recipe._trust(step, error) == pytest.approx(np.linalg.lstsq(step[:, None], error)[0].item())
        assert (_recipe._trust(step, -error), _recipe._trust(step, 9 * error)) == (0.0, 1.0)
    assert _recipe._trust(step[:20], error[:20]) < _recipe._trust(step, error) < 0.6
    assert _recipe._trust(np.zeros(5), np.zeros(5)) == 0.0


def test_networks_find_what_a_gaussian_cannot(circle):
    imputer, X, whole = circle
    gone = np.isnan(X)
    wrong = np.square(imputer.transform(X) - whole)[gone]
    doubtful = pickle.loads(pickle.dumps(imputer))
    doubtful._filler.networks = None
    assert wrong.mean() < 0.8 * np.square(doubtful.transform(X) - whole)[gone].mean()


def test_many_columns_have_factors(X, monkeypatch):
    monkeypatch.setattr(_recipe, "MOST_COLUMNS", 3)
    monkeypatch.setattr(_recipe, "N_FACTORS", 2)
    filled = AutoencoderImputer(**QUICK).fit_transform(X)
    gone = np.isnan(X)
    errors = (filled - IterativeImputer(random_state=0).fit_transform(X)) / np.nanstd(X, 0)
    assert np.square(errors[gone]).mean() < 0.5


def test_a_row_is_filled_by_itself_and_a_seed_repeats_it(fitted, X):
    filled = fitted.transform(X)
    np.testing.assert_allclose(fitted.transform(X[10:13]), filled[10:13], rtol=1e-6)
    np.testing.assert_array_equal(clone(fitted).fit_transform(X), filled)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(fitted)).transform(X), filled)
    assert not np.array_equal(clone(fitted).set_params(random_state=1).fit_transform(X), filled)


def test_gaps_that_were_made_with_the_same_seed_do_no_harm(circle):
    whole = circle[2]
    X = np.where(np.random.RandomState(0).random_sample(whole.shape) < 0.3, np.nan, whole)
    assert AutoencoderImputer(max_iter=30, random_state=0).fit(X).trust_ > 0


def test_draws_lie_around_the_filled_values(fitted, X):
    drawing = pickle.loads(pickle.dumps(fitted)).set_params(sample_posterior=True)
    draws = np.array([drawing.set_params(random_state=seed).transform(X) for seed in range(200)])
    known, filled = ~np.isnan(X), fitted.transform(X)
    assert (draws[:, known] == X[known]).all()
    deviation = draws.std(0)
    assert (np.abs(draws.mean(0) - filled)[~known] < 0.4 * deviation[~known]).all()
    one = np.flatnonzero((~known).sum(1) == 1)[0]
    j = np.flatnonzero(~known[one])[0]
    K = np.linalg.inv(fitted._filler.gaussian.covariance)
    np.testing.assert_allclose(deviation[one, j], fitted.scale_[j] / np.sqrt(K[j, j]), rtol=0.2)
    np.testing.assert_allclose(drawing.transform(X[:9]), draws[-1][:9], rtol=1e-5)


# ---------------------------------------------------------------- conventions of imputers


@pytest.mark.filterwarnings("ignore:Skipping features")
@pytest.mark.parametrize("options", [{}, {"keep_empty_features": True}, {"add_indicator": True}])
def test_columns_are_those_of_iterative_imputer(X, options):
    empty = X.copy()
    empty[:, 2], empty[:, 4] = np.nan, 7.0
    frame = pd.DataFrame(empty, columns=list("abcde"))
    ours = AutoencoderImputer(**QUICK, **options).set_output(transform="pandas").fit(frame)
    theirs = IterativeImputer(random_state=0, **options).fit(empty.copy())
    filled, names = ours.transform(frame), list(theirs.get_feature_names_out(list("abcde")))
    expected = pd.DataFrame(theirs.transform(empty.copy()), columns=names)
    assert list(filled.columns) == names == list(ours.get_feature_names_out())
    fixed = [name for name in names if name not in set("abd")]
    np.testing.assert_array_equal(filled[fixed], expected[fixed])
    other = frame.fillna({"c": 1.0})
    np.testing.assert_array_equal(ours.transform(other)["d"], filled["d"])


def test_a_number_may_stand_for_missing_entries(fitted, X):
    marked = np.where(np.isnan(X), -1.0, X)
    imputer = AutoencoderImputer(missing_values=-1, **QUICK).fit(marked)
    np.testing.assert_array_equal(imputer.transform(marked), fitted.transform(X))
    assert "NaN in row 1" in refuses(imputer, "transform", X)


def test_nullable_columns_have_gaps(fitted, X):
    frame = pd.DataFrame(X).convert_dtypes()
    filled = AutoencoderImputer(missing_values=pd.NA, **QUICK).fit_transform(frame.to_numpy(na_value=np.nan))
    np.testing.assert_array_equal(filled, fitted.transform(X))


@pytest.mark.filterwarnings("ignore:Skipping features")
def test_tables_in_which_there_is_little_to_learn(rng, X):
    def filled(X):
        return AutoencoderImputer(**QUICK).fit_transform(X)

    whole = rng.normal(size=(30, 3))
    np.testing.assert_array_equal(filled(whole), whole)
    np.testing.assert_allclose(filled(np.array([[1.0], [np.nan], [3.0]])), [[1.0], [2.0], [3.0]])
    np.testing.assert_allclose(
        filled(np.array([[0.1, np.nan], [0.1, 2.0], [np.nan, 4.0]])), [[0.1, 3], [0.1, 2], [0.1, 4]]
    )
    assert filled(np.full((3, 2), np.nan)).shape == (3, 0)
    assert np.isfinite(filled(X[:10])).all()
    assert np.isfinite(filled(rng.normal(size=(10, 30)) * (rng.random((10, 30)) > 0.3) / 1.0)).all()
    few = np.where(rng.random((10, 30)) < 0.4, np.nan, rng.normal(size=(10, 30)))
    assert np.isfinite(filled(few)).all()


def test_it_is_a_step_of_a_search(X):
    frame, y = pd.DataFrame(X, columns=list("abcde")), np.arange(80) % 2
    pipe = make_pipeline(AutoencoderImputer(**QUICK), StandardScaler(), LogisticRegression())
    search = GridSearchCV(pipe, {"autoencoderimputer__add_indicator": [False, True]}, cv=2, error_score="raise")
    assert search.fit(frame, y).predict(frame[:1]).shape == (1,)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "check",
    [
        "check_dataframe_column_names_consistency",
        "check_global_output_transform_pandas",
        "check_param_validation",
        "check_transformer_get_feature_names_out",
        "check_transformer_get_feature_names_out_pandas",
    ],
)
def test_checks_that_are_not_yielded(check):
    getattr(estimator_checks, check)("AutoencoderImputer", AutoencoderImputer(max_iter=1))


# ---------------------------------------------------------------- models with gaps


def test_a_model_fills_gaps_with_its_reconstruction(X):
    imputer = AutoencoderImputer(Autoencoder(2, **MODEL)).fit(X)
    x = (X - imputer.mean_) / imputer.scale_
    some = ~np.isnan(X).all(1)
    by_hand = Autoencoder(2, **MODEL).fit(x[some])
    restored = imputer.mean_ + imputer.scale_ * by_hand.inverse_transform(by_hand.transform(x[some]))
    filled = imputer.transform(X)
    np.testing.assert_allclose(filled[some], np.where(np.isnan(X[some]), restored, X[some]))
    np.testing.assert_allclose(filled[3], imputer.mean_)
    assert imputer.n_iter_ == imputer.estimator_.n_iter_
    assert not hasattr(imputer.estimator, "module_")


def test_importance_weights_find_the_conditional_mean_of_a_linear_model(rng):
    whole = rng.normal(size=(300, 1)) @ [[1.0, -1.0, 0.5]] + 0.3 * rng.normal(size=(300, 3))
    X = np.where(rng.random(whole.shape) < 0.2, np.nan, whole)
    linear = {"hidden_layer_sizes": (), "activation": "identity", "random_state": 0, "max_iter": 30}
    model = VariationalAutoencoder(1, variance="column", missing_indicator=False, **linear)
    imputer = AutoencoderImputer(model, n_draws=500).fit(X)
    module = imputer.estimator_.module_
    W = module.decode(np_tensor([[1.0]])) - module.decode(np_tensor([[0.0]]))
    offset, W = (t.detach().double().numpy() for t in (module.decode(np_tensor([[0.0]]))[0], W[0]))
    variance = module.likelihood.variance.detach().double().numpy()
    frame = imputer.estimator_._frame
    x = (X - imputer.mean_) / imputer.scale_
    for i in range(20):
        o = ~np.isnan(X[i])
        if o.all() or not o.any():
            continue
        z = ((x[i] - frame.mean) / frame.scale - offset)[o]
        h = (W[o] / variance[o] @ z) / (1 + (W[o] ** 2 / variance[o]).sum())
        expected = imputer.mean_ + imputer.scale_ * (frame.mean + frame.scale * (offset + W * h))
        np.testing.assert_allclose(imputer.transform(X[i : i + 1])[0, ~o], expected[~o], atol=0.05)


def np_tensor(rows):
    import torch

    return torch.tensor(rows)


def test_draws_of_a_model_vary_about_its_mean(X):
    imputer = AutoencoderImputer(VariationalAutoencoder(2, **MODEL), random_state=0).fit(X)
    filled, gone = imputer.transform(X), np.isnan(X) & ~np.isnan(X).all(1)[:, None]
    imputer.set_params(sample_posterior=True)
    draws = np.array([imputer.set_params(random_state=seed).transform(X) for seed in range(100)])
    assert (draws[:, ~np.isnan(X)] == X[~np.isnan(X)]).all()
    deviation = draws.std(0)[gone]
    assert (deviation > 0).all()
    assert np.mean(np.abs(draws.mean(0) - filled)[gone] / deviation) < 0.2
    np.testing.assert_array_equal(imputer.transform(X), draws[-1])


def test_a_model_of_bits_sees_bits(rng):
    bits = (rng.random((60, 4)) < 0.5).astype(float)
    bits[:, 3] = bits[:, 0]
    X = np.where(rng.random(bits.shape) < 0.2, np.nan, bits)
    filled = AutoencoderImputer(VariationalAutoencoder(2, likelihood="bernoulli", **MODEL)).fit_transform(X)
    assert ((filled >= 0) & (filled <= 1)).all()
    table = TableAutoencoder(2, estimator=Autoencoder(**MODEL), columns=dict.fromkeys(range(4), "bernoulli"))
    for model in (RBM(3, visible="bernoulli", **QUICK), table):
        some = ~np.isnan(X).all(1)
        direct = clone(model).fit(X[some])
        restored = direct.inverse_transform(direct.transform(X[some]))
        filled = AutoencoderImputer(model).fit_transform(X)[some]
        np.testing.assert_allclose(filled, np.where(np.isnan(X[some]), restored, X[some]), rtol=1e-6)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("estimator", "options", "expected"),
    [
        (FineTunedClassifier(Autoencoder(2)), {}, "HasMethods|inverse_transform"),
        (Autoencoder(2), {"sample_posterior": True}, "VariationalAutoencoder"),
        (RBM(2, visible="softmax"), {}, "missing entries"),
        (3, {}, "estimator"),
        (Autoencoder, {}, "an instance"),
        (None, {"max_iter": 0}, "max_iter"),
        (None, {"missing_values": "?"}, "missing_values"),
    ],
)
def test_parameters_that_are_refused(X, estimator, options, expected):
    message = refuses(AutoencoderImputer(estimator, **options), "fit", X)
    assert any(part in message for part in expected.split("|"))


def test_tables_that_are_refused(fitted, X):
    assert "sparse" in refuses(AutoencoderImputer(), "fit", sparse.csr_array(np.nan_to_num(X)))
    assert "sparse" in refuses(fitted, "transform", sparse.csr_array(np.nan_to_num(X)))
    assert "4 features" in refuses(fitted, "transform", X[:, :4])
    assert "row 2, column 1" in refuses(fitted, "transform", np.where(np.arange(400).reshape(80, 5) == 11, np.inf, X))
    assert "Column 0" in refuses(AutoencoderImputer(), "fit", [[1e300, 1.0], [-1e300, 2.0]])

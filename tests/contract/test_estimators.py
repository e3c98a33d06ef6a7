"""What every estimator promises: scikit-learn's checks, and what those leave out."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import skops.io
import torch
from contract.tables import CHECKED, SMALL
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks, get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from skae.base.encoding import Generative

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs

BY_HAND = [
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_get_feature_names_out_error",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
    "check_estimators_partial_fit_n_features",
    "check_all_zero_sample_weights_error",
]
"""Checks that scikit-learn runs on its own estimators but does not yield for others."""


NEED_NO_TARGET = [name for name, estimator in SMALL.items() if not get_tags(estimator).target_tags.required]
"""Those that are fitted to X alone; the others have the same tests, with labels, in files of their own."""


DENSITIES = [name for name in NEED_NO_TARGET if isinstance(SMALL[name], Generative)]
"""Those that score rows by their log-likelihood."""


@pytest.fixture(params=NEED_NO_TARGET, name="estimator")
def _estimator(request):
    return clone(SMALL[request.param])


@pytest.fixture
def X(rng):
    """30 rows of 5 columns in [0, 1], which suits every likelihood."""
    return rng.random((30, 5))


@parametrize_with_checks(CHECKED)
def test_scikit_learn_checks(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        check(estimator)


@pytest.mark.parametrize(
    ("name", "check"),
    [
        (n, c)
        for n, e in SMALL.items()
        for c in BY_HAND
        if hasattr(estimator_checks, c) and not ("partial_fit" in c and e.solver == "lbfgs")
    ],
)
def test_checks_that_are_not_yielded(name, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        getattr(estimator_checks, check)(type(SMALL[name]).__name__, clone(SMALL[name]))


def test_every_public_class_has_a_row():
    import skae

    public = {name for name in skae.__all__ if isinstance(getattr(skae, name), type)}
    assert public == {type(e).__name__ for e in SMALL.values()} == {type(e).__name__ for e in CHECKED}


# ------------------------------------------------------------------ shapes and types


def test_codes_and_reconstructions_have_the_dtype_and_shape_asked_for(estimator, X):
    H = estimator.fit(X).transform(X)
    X_hat = estimator.inverse_transform(H)
    assert H.shape == (30, 2)
    assert X_hat.shape == X.shape
    assert H.dtype == X_hat.dtype == estimator.score_samples(X).dtype == estimator.dtype
    assert isinstance(estimator.score(X), float)


def test_more_components_than_features_or_rows(estimator, X):
    assert estimator.set_params(n_components=7).fit(X[:4]).transform(X).shape == (30, 7)


@pytest.mark.parametrize("shape", [(1, 5), (30, 1), (1, 1)])
def test_one_row_or_one_column_works_or_says_why(estimator, rng, shape):
    X = rng.random(shape)
    try:
        estimator.fit(X)
    except ValueError as error:
        assert "n_samples = 1" in str(error)  # noqa: PT017
        assert shape[0] == 1
    else:
        assert np.isfinite(estimator.transform(X)).all()
        assert np.isfinite(estimator.score(X))


@pytest.mark.parametrize("n", [3, 8, 9, 16, 17])
def test_any_tail_of_a_batch(estimator, rng, n):
    """Fewer rows than a batch, whole batches, and a tail of one, which batch statistics cannot bear."""
    X = rng.random((n, 5))
    assert np.isfinite(estimator.set_params(batch_size=8).fit(X).transform(X)).all()


def test_constant_columns(estimator):
    X = np.ones((20, 4))
    estimator.fit(X)
    np.testing.assert_allclose(estimator.inverse_transform(estimator.transform(X)), X, atol=0.3)


def test_fit_does_not_change_x(estimator, X):
    before = X.copy()
    estimator.fit(X).score(X)
    np.testing.assert_array_equal(X, before)


def as_torch(X):
    return torch.from_numpy(X).requires_grad_()


@pytest.mark.parametrize(
    "convert",
    [
        np.asfortranarray,
        lambda X: pd.DataFrame(X, columns=list("abcde")),
        lambda X: pl.DataFrame(X, schema=list("abcde")),
        sparse.csr_matrix,
        sparse.csr_array,
        sparse.coo_array,
        as_torch,
        lambda X: X[:, ::-1][:, ::-1],
        lambda X: X.astype(">f8"),
        lambda X: X.tolist(),
    ],
)
def test_all_kinds_of_input_give_the_same(estimator, X, convert):
    X = X.copy()
    expected = clone(estimator).fit(X)
    other = convert(X)
    fitted = estimator.fit(other)
    np.testing.assert_allclose(fitted.transform(other), expected.transform(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(fitted.score(other), expected.score(X), rtol=1e-5)


def test_float32_and_float64_input_agree(estimator, X):
    X = X.astype(np.float32)
    one, two = clone(estimator).fit(X), clone(estimator).fit(X.astype(float))
    np.testing.assert_allclose(one.transform(X), two.transform(X), rtol=2e-3, atol=2e-3)


def test_tensors_come_back_as_tensors_if_array_api_dispatch_asks(estimator, X):
    from sklearn import config_context

    tensor = torch.from_numpy(X)
    expected = estimator.fit(X).transform(X)
    assert isinstance(estimator.transform(tensor), np.ndarray)
    with config_context(array_api_dispatch=True):
        H = estimator.transform(tensor)
        assert isinstance(H, torch.Tensor)
        assert isinstance(estimator.inverse_transform(H), torch.Tensor)
    np.testing.assert_array_equal(H.numpy(), expected)


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps(estimator, X, tmp_path, mode):
    np.save(tmp_path / "X.npy", X.astype(np.float32))
    mapped = np.load(tmp_path / "X.npy", mmap_mode=mode)
    expected = clone(estimator).fit(X.astype(np.float32))
    np.testing.assert_allclose(
        estimator.fit(mapped).transform(mapped), expected.transform(mapped), rtol=1e-4, atol=1e-4
    )
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X.astype(np.float32))


# ------------------------------------------------------------------ randomness


def test_an_int_seed_repeats_to_the_last_bit(estimator, X):
    one, two = clone(estimator).fit(X), clone(estimator).fit(X)
    np.testing.assert_array_equal(one.transform(X), two.transform(X))
    assert one.history_ == two.history_


def test_without_a_seed_fits_differ(estimator, X):
    estimator.set_params(random_state=None, batch_size=7)
    one, two = clone(estimator).fit(X), clone(estimator).fit(X)
    assert not np.array_equal(one.transform(X), two.transform(X))


@pytest.mark.parametrize("seed", [None, 0])
def test_global_generators_are_untouched(estimator, X, seed):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    estimator.set_params(random_state=seed, early_stopping=estimator.solver != "lbfgs")
    estimator.fit(X).score(X)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


def test_process_globals_are_restored_also_when_fit_raises(estimator, X):
    before = (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled())
    estimator.fit(X)
    with pytest.raises(ValueError, match="NaN"):
        estimator.fit(np.full((5, 5), np.nan))
    assert (torch.get_num_threads(), torch.get_default_dtype(), torch.is_grad_enabled()) == before


def test_one_and_two_jobs_agree_to_the_last_bit(X):
    y = np.arange(len(X)) % 2
    pipe = make_pipeline(StandardScaler(), clone(SMALL["Autoencoder"]).set_params(batch_size=7), LogisticRegression())
    grid = {"autoencoder__n_components": [1, 2], "autoencoder__activation": ["relu", "silu"]}
    one, two = (GridSearchCV(pipe, grid, cv=2, n_jobs=n).fit(X, y) for n in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    np.testing.assert_array_equal(one.best_estimator_[:-1].transform(X), two.best_estimator_[:-1].transform(X))


def test_a_single_batch_is_blind_to_the_order_of_rows(X):
    for name in ("Autoencoder", "Autoencoder lbfgs", "Autoencoder bernoulli"):
        one, two = clone(SMALL[name]).fit(X), clone(SMALL[name]).fit(X[::-1])
        np.testing.assert_array_equal(one.transform(X), two.transform(X))


# ------------------------------------------------------------------ saving


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


def through_skops(estimator):
    dumped = skops.io.dumps(estimator)
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert all(name.startswith("skae.") for name in unknown), "only estimators of the package may need trust"
    return skops.io.loads(dumped, trusted=unknown)


@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), through_joblib, copy.deepcopy, through_skops]
)
def test_saving_keeps_everything(estimator, X, copied):
    estimator.fit(X)
    other = copied(estimator)
    np.testing.assert_array_equal(other.transform(X), estimator.transform(X))
    assert other.score(X) == estimator.score(X)
    assert other.history_ == estimator.history_
    if estimator.solver != "lbfgs":  # optimizer and generator go on where they were
        np.testing.assert_array_equal(other.partial_fit(X).transform(X), estimator.partial_fit(X).transform(X))


def test_a_copy_shares_nothing(estimator, X):
    before = estimator.fit(X).transform(X)
    copy.deepcopy(estimator).set_params(max_iter=5, warm_start=True).fit(X)
    np.testing.assert_array_equal(estimator.transform(X), before)


def test_parameters_changed_after_fit_do_not_break_the_fitted_model(estimator, X):
    before = estimator.fit(X).transform(X)
    others = {"n_components": 3, "hidden_layer_sizes": (2, 2), "dtype": "float64", "activation": "relu"}
    estimator.set_params(**{name: value for name, value in others.items() if name in estimator.get_params()})
    np.testing.assert_array_equal(estimator.transform(X), before)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(estimator)).transform(X), before)


def test_another_version_warns(X):
    state = clone(SMALL["Autoencoder"]).fit(X).__getstate__()
    with pytest.warns(UserWarning, match=r"saved by skae 0\.0\.0"):
        SMALL["Autoencoder"].__class__().__setstate__({**state, "_skae_version": "0.0.0"})


def test_the_pickle_holds_no_tensor(X):
    state = clone(SMALL["Autoencoder"]).fit(X).__getstate__()

    def leaves(value):
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, (list, tuple)):
            return [leaf for v in value for leaf in leaves(v)]
        return [value]

    assert not any(isinstance(leaf, (torch.Tensor, torch.nn.Module)) for leaf in leaves(state))


# ------------------------------------------------------------------ using


def test_unfitted_estimators_say_so(estimator, X):
    for method in (estimator.transform, estimator.inverse_transform, estimator.score, estimator.score_samples):
        with pytest.raises(NotFittedError):
            method(X)


def test_transform_and_score_change_no_attribute(estimator, X):
    before = {name: id(value) for name, value in vars(estimator.fit(X)).items()}
    estimator.inverse_transform(estimator.transform(X))
    estimator.score(X)
    assert {name: id(value) for name, value in vars(estimator).items()} == before


@pytest.mark.parametrize("name", [name for name in NEED_NO_TARGET if name not in DENSITIES])
def test_score_is_r2_against_the_training_mean(name, X):
    estimator = clone(SMALL[name])
    test = X[:7] + 0.1
    test = test.clip(0, 1)
    X_hat = estimator.fit(X).inverse_transform(estimator.transform(test))
    weight = np.arange(7.0)
    errors, totals = ((test - X_hat) ** 2).sum(1), ((test - X.mean(0)) ** 2).sum(1)
    np.testing.assert_allclose(estimator.score(test), 1 - errors.sum() / totals.sum(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        estimator.score(test, sample_weight=weight), 1 - (weight @ errors) / (weight @ totals), rtol=1e-4, atol=1e-5
    )
    np.testing.assert_allclose(estimator.score_samples(test), -errors, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", DENSITIES)
def test_score_is_the_mean_log_likelihood(name, X):
    estimator = clone(SMALL[name]).fit(X)
    scores, weight = estimator.score_samples(X), np.arange(30.0)
    np.testing.assert_allclose(estimator.score(X), scores.mean(), rtol=1e-5)
    np.testing.assert_allclose(estimator.score(X, sample_weight=weight), weight @ scores / weight.sum(), rtol=1e-5)


def test_cross_val_score_and_pipeline_inverse(estimator, X):
    pipe = make_pipeline(StandardScaler(with_mean=False), estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scaled columns leave [0, 1]
        assert cross_val_score(pipe, X, cv=2).shape == (2,)
        pipe.fit(X)
    X_hat = pipe.inverse_transform(pipe.transform(X))
    assert X_hat.shape == X.shape


def test_feature_names(estimator, X):
    frame = pd.DataFrame(X, columns=list("abcde"))
    estimator.set_output(transform="pandas").fit(frame)
    prefix = type(estimator).__name__.lower()
    assert list(estimator.transform(frame).columns) == [f"{prefix}0", f"{prefix}1"]
    np.testing.assert_array_equal(estimator.feature_names_in_, list("abcde"))
    assert estimator.inverse_transform(estimator.transform(frame)).shape == X.shape


# ------------------------------------------------------------------ going on


def test_partial_fit_goes_on(estimator, X):
    if estimator.solver == "lbfgs":
        assert not hasattr(estimator, "partial_fit")
        return
    assert estimator.partial_fit(X) is estimator
    first = estimator.transform(X)
    estimator.partial_fit(X, sample_weight=np.ones(30))
    assert estimator.n_iter_ == 2
    assert not np.array_equal(estimator.transform(X), first)
    with pytest.raises(ValueError, match="does not support early_stopping"):
        estimator.set_params(early_stopping=True).partial_fit(X)


def test_warm_start_goes_on_and_fit_starts_anew(estimator, X):
    fresh = clone(estimator).fit(X)
    warm = clone(estimator).set_params(warm_start=True).fit(X)
    np.testing.assert_array_equal(warm.transform(X), fresh.transform(X))
    warm.fit(X)
    assert warm.n_iter_ > fresh.n_iter_
    assert not np.array_equal(warm.transform(X), fresh.transform(X))
    np.testing.assert_array_equal(warm.set_params(warm_start=False).fit(X).transform(X), fresh.transform(X))


def test_warm_start_refuses_another_architecture(estimator, X):
    estimator.set_params(warm_start=True).fit(X)
    with pytest.raises(ValueError, match="n_components changed since the last fit"):
        estimator.set_params(n_components=3).fit(X)


def test_early_stopping_watches_held_out_rows(estimator, X):
    estimator.set_params(early_stopping=True, max_iter=5, tol=1e9, n_iter_no_change=2).fit(X)
    assert estimator.n_iter_ == 2
    assert len(estimator.history_["validation_loss"]) == 2
    with pytest.raises(ValueError, match="n_samples = 1"):
        estimator.fit(X[:1])


def test_sample_weights_repeat_rows(X):
    """Also where rows do not fit into one batch, a weight of zero removes and weights only count by ratio."""
    for name in ("Autoencoder float64", "Autoencoder lbfgs", "Autoencoder bernoulli"):
        weight = np.arange(len(X)) % 3
        one = clone(SMALL[name]).fit(X, sample_weight=weight)
        two = clone(SMALL[name]).fit(X.repeat(weight, axis=0))
        three = clone(SMALL[name]).fit(X, sample_weight=5 * weight)
        np.testing.assert_array_equal(one.transform(X), two.transform(X))
        np.testing.assert_allclose(one.transform(X), three.transform(X), rtol=1e-4, atol=1e-6)


def test_convergence_warning_only_where_it_helps(X):
    constant = clone(SMALL["Autoencoder"]).set_params(learning_rate="constant", max_iter=5)
    with pytest.warns(ConvergenceWarning, match="still falling after max_iter=5"):
        constant.fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        constant.set_params(tol=1e9, n_iter_no_change=2).fit(X)  # converged
        clone(SMALL["Autoencoder"]).fit(X)  # a cosine schedule settles


def test_verbose(estimator, X, capsys):
    estimator.set_params(verbose=2).fit(X)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == estimator.n_iter_
    assert lines[0].startswith("epoch 1/3")
    estimator.set_params(verbose=1, early_stopping=True).fit(X)
    shown = capsys.readouterr().err
    assert "validation_loss" in shown
    assert "reconstruction" in shown

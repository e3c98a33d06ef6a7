"""Fine-tuning: where it starts, what it trains, what it leaves alone, and what a classifier and a regressor promise."""

import copy
import io
import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
import torch
from scipy import sparse
from sklearn import datasets
from sklearn.base import clone, is_classifier, is_regressor
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    RBM,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
)

SPECIES = datasets.load_iris().target
ENCODER = Autoencoder(2, hidden_layer_sizes=(6,), max_iter=3)
CLASSIFIER = FineTunedClassifier(ENCODER, max_iter=4, random_state=0)
REGRESSOR = FineTunedRegressor(ENCODER, max_iter=4, random_state=0)
STILL = {"learning_rate_init": 1e-12, "max_iter": 1, "dtype": "float64"}
"""What leaves the weights where training starts."""


def partly(y, unknown, every=3):
    """Y of which every third is known."""
    y = np.array(y)
    y[np.arange(len(y)) % every != 0] = unknown
    return y


@pytest.fixture
def few():
    return partly(SPECIES, -1)


@pytest.fixture
def widths(iris):
    return partly(iris[:, 3], np.nan)


@pytest.fixture(params=["classifier", "classifier float64", "regressor"], name="labelled")
def _labelled(request, iris, few, widths):
    """An estimator, rows and what is known of y."""
    kind, *dtype = request.param.split()
    model, y = (REGRESSOR, widths) if kind == "regressor" else (CLASSIFIER, few)
    return clone(model).set_params(**({"dtype": dtype[0]} if dtype else {})), iris[::2].copy(), y[::2]


def weights(module):
    return [p.detach().clone() for p in module.parameters()]


# ------------------------------------------------------------------ where training starts


def test_the_classifier_starts_at_logistic_regression_on_the_code(iris, few):
    model = clone(CLASSIFIER).set_params(**STILL, n_frozen=500).fit(iris, few)
    H, known = model.encoder_.transform(iris).astype(float), few != -1
    expected = LogisticRegression(tol=1e-10, max_iter=1000).fit(H[known], few[known]).predict_proba(H)
    np.testing.assert_allclose(model.predict_proba(iris), expected, atol=2e-3)
    np.testing.assert_allclose(model.transform(iris), H, atol=1e-5)


def test_the_regressor_starts_at_ridge_regression_on_the_code(iris, widths):
    model = clone(REGRESSOR).set_params(**STILL).fit(iris[:, :3], widths)
    H, known = model.encoder_.transform(iris[:, :3]).astype(float), ~np.isnan(widths)
    expected = Ridge(alpha=0.5).fit(H[known], widths[known]).predict(H)  # 1/2 ||w||^2 beside the squared error
    np.testing.assert_allclose(model.predict(iris[:, :3]), expected, atol=2e-3)


def test_without_frozen_steps_all_classes_are_equally_likely_at_first(iris, few):
    model = clone(CLASSIFIER).set_params(**STILL, n_frozen=0).fit(iris, few)
    np.testing.assert_allclose(model.predict_proba(iris), 1 / 3, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_pretrained_encoder_is_the_one_alone_and_is_left_alone(iris, few, weighted, rng):
    weight = rng.random(150) if weighted else None
    encoder = clone(ENCODER).set_params(random_state=3)
    alone = clone(encoder).fit(iris, sample_weight=weight)
    model = FineTunedClassifier(encoder, max_iter=4).fit(iris, few, sample_weight=weight)
    np.testing.assert_allclose(model.encoder_.transform(iris), alone.transform(iris), rtol=1e-5, atol=1e-6)
    assert not hasattr(encoder, "module_")
    tuned = model.module_.encoder.encoder.weights
    for layer, before in zip(tuned, model.encoder_.module_.encoder.weights, strict=True):
        assert not torch.equal(layer, before)  # trained through to the first layer
    for one, two in zip(weights(model.module_.encoder.decoder), weights(model.encoder_.module_.decoder), strict=True):
        assert torch.equal(one, two)


def test_rows_without_a_label_shape_the_encoder_only(iris, few):
    """Once the encoder is there, the rows without a label play no part."""
    encoder = FrozenEstimator(clone(ENCODER).set_params(random_state=0).fit(iris))
    known = few != -1
    one = clone(CLASSIFIER).set_params(encoder=encoder).fit(iris, few)
    two = clone(CLASSIFIER).set_params(encoder=encoder).fit(iris[known], few[known])
    np.testing.assert_array_equal(one.predict_proba(iris), two.predict_proba(iris))
    with_others = clone(CLASSIFIER).fit(iris, few).transform(iris)
    assert not np.allclose(with_others, clone(CLASSIFIER).fit(iris[known], few[known]).transform(iris), atol=1e-3)


def test_a_fitted_encoder_is_taken_as_it_is(iris, few):
    fitted = clone(ENCODER).fit(iris)
    before = weights(fitted.module_)
    model = clone(CLASSIFIER).set_params(encoder=FrozenEstimator(fitted)).fit(iris[:60], few[:60])
    assert model.encoder_.estimator is fitted
    assert all(torch.equal(one, two) for one, two in zip(weights(fitted.module_), before, strict=True))
    assert not np.array_equal(model.transform(iris), fitted.transform(iris))
    np.testing.assert_array_equal(model.mean_, fitted.mean_)
    assert clone(model).encoder.estimator is fitted


@pytest.mark.parametrize("init", ["auto", "random"])
def test_a_random_start_is_where_the_encoders_own_fit_starts(iris, few, init):
    encoder = clone(ENCODER).set_params(init=init, random_state=0)
    model = FineTunedClassifier(encoder, pretrain=False, **STILL).fit(iris, few)
    start = clone(encoder).set_params(learning_rate_init=1e-12, max_iter=1).fit(iris)
    np.testing.assert_allclose(model.transform(iris), start.transform(iris), atol=1e-5)
    assert model.encoder_.history_ == {}
    assert model.encoder_.get_params() == encoder.get_params()


def test_a_random_start_does_not_warn_that_training_was_short(iris, few):
    encoder = clone(ENCODER).set_params(learning_rate="constant")
    clone(CLASSIFIER).set_params(encoder=encoder, pretrain=False).fit(iris, few)


# ------------------------------------------------------------------ the loss


def test_the_loss_is_its_formula(iris, few, widths, rng):
    weight = rng.random(150)
    weight[:20] = 0.0
    for model, y in ((clone(CLASSIFIER), few), (clone(REGRESSOR), widths)):
        model.set_params(dtype="float64").fit(iris, y, sample_weight=weight)
        data = model._table(iris, model._targets(y, 150), weight * (150 / weight.sum()), torch.device("cpu"))
        with torch.no_grad():
            found = model._loss(model.module_, data[slice(None)], None)["prediction"]
        known = ((few != -1) if is_classifier(model) else ~np.isnan(y)) & (weight > 0)
        if is_classifier(model):
            losses = -model.predict_log_proba(iris)[known, few[known]]
        else:
            losses = ((widths - model.predict(iris)) / model.y_scale_)[known] ** 2
        np.testing.assert_allclose(found, np.average(losses, weights=weight[known]), rtol=1e-12)


@pytest.mark.parametrize("batch_size", [20, 200])
def test_fine_tuning_lowers_the_loss_on_labelled_rows(iris, few, batch_size):
    model = clone(CLASSIFIER).set_params(max_iter=20, batch_size=batch_size).fit(iris, few)
    assert set(model.history_) == {"loss", "prediction"}
    assert model.history_["loss"][-1] < model.history_["loss"][0]
    assert model.n_iter_ == 20


def test_weights_repeat_rows(iris, few, widths, rng):
    weight = rng.integers(0, 4, 75)
    for model, y in ((clone(CLASSIFIER), few[::2]), (clone(REGRESSOR), widths[::2])):
        X = iris[::2]
        one = clone(model).fit(X, y, sample_weight=weight)
        two = clone(model).fit(X.repeat(weight, axis=0), y.repeat(weight))
        three = clone(model).fit(X, y, sample_weight=5 * weight)
        np.testing.assert_allclose(one.predict(X), two.predict(X), atol=1e-4)
        np.testing.assert_allclose(one.predict(X), three.predict(X), atol=1e-4)


def test_pretraining_beats_a_random_start_on_digits():
    """5 labels a class, mean over two draws; benchmarks/fine_tuned.py has ten."""
    X, y = datasets.load_digits(return_X_y=True)
    train, test, y_train, y_test = train_test_split(X, y, train_size=1300, stratify=y, random_state=0)
    encoder = Autoencoder(32, hidden_layer_sizes=(128, 128, 64), init="random", max_iter=20, learning_rate_init=3e-3)
    gains = []
    for seed in range(2):
        order = np.random.default_rng(seed).permutation(1300)
        rows = np.concatenate([order[y_train[order] == label][:5] for label in range(10)])
        few = np.full(1300, -1)
        few[rows] = y_train[rows]
        model = FineTunedClassifier(encoder, random_state=seed)
        start = clone(model).set_params(pretrain=False).fit(train, few).score(test, y_test)
        gains.append(model.fit(train, few).score(test, y_test) - start)
    assert np.mean(gains) > 0.01


# ------------------------------------------------------------------ encoders


@pytest.mark.parametrize(
    "encoder",
    [
        Autoencoder(2, hidden_layer_sizes=(6,), batch_norm=True, dropout=0.2),
        Autoencoder(2, hidden_layer_sizes=(6,), tied_weights=True, likelihood="bernoulli"),
        Autoencoder(2, hidden_layer_sizes=(6,), dtype="float64"),
        ContractiveAutoencoder(2, hidden_layer_sizes=(6,)),
        ConvolutionalAutoencoder(2, image_shape=(2, 2), channels=(3,)),
        DenoisingAutoencoder(2, hidden_layer_sizes=(6,)),
        ReceptiveFieldAutoencoder(2),
        RBM(3),
        SparseAutoencoder(5),
        StackedAutoencoder([Autoencoder(4, hidden_layer_sizes=(6,), max_iter=2), 2]),
        TopKAutoencoder(4, k=2),
    ],
    ids=lambda encoder: type(encoder).__name__,
)
def test_every_encoder_is_trained_on(iris, few, encoder):
    X = iris / 8
    model = FineTunedClassifier(encoder.set_params(max_iter=2), max_iter=3, random_state=0).fit(X, few)
    H = model.transform(X)
    assert H.shape == (150, model.encoder_._n_features_out)
    assert H.dtype == "float32"
    assert not np.array_equal(H, model.encoder_.transform(X))
    assert model.score(X, few) > 0.3
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    assert model.jacobian_singular_values(X[:3]).shape[0] == 3


def test_a_semi_supervised_encoder_comes_fitted(iris, few):
    fitted = SemiSupervisedAutoencoder(2, hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(iris, few)
    assert FineTunedClassifier(FrozenEstimator(fitted), max_iter=3).fit(iris, few).score(iris, few) > 0.5


# ------------------------------------------------------------------ what is predicted


@pytest.mark.parametrize("convert", [list, lambda y: np.where(y == -1, np.nan, y), lambda y: torch.from_numpy(y)])
def test_unlabelled_rows_are_told_in_many_ways(iris, few, convert):
    expected = clone(CLASSIFIER).fit(iris, few)
    model = clone(CLASSIFIER).fit(iris, convert(few))
    np.testing.assert_array_equal(model.predict_proba(iris), expected.predict_proba(iris))


def test_names_of_classes_come_back(iris, few):
    names = np.array(["setosa", "versicolor", "virginica"])
    model = clone(CLASSIFIER).fit(iris, np.where(few == -1, None, names[few]))
    np.testing.assert_array_equal(model.classes_, names)
    expected = clone(CLASSIFIER).fit(iris, few).predict(iris)
    np.testing.assert_array_equal(model.predict(iris), names[expected])


def test_minus_one_and_one_alone_are_two_classes(iris):
    with pytest.warns(UserWarning, match="taken for two classes"):
        model = clone(CLASSIFIER).fit(iris, np.where(SPECIES == 0, -1, 1))
    np.testing.assert_array_equal(model.classes_, [-1, 1])


def test_probabilities_and_their_logarithms(iris, few, monkeypatch):
    model = clone(CLASSIFIER).set_params(dtype="float64").fit(iris, few)
    p = model.predict_proba(iris)
    np.testing.assert_allclose(p.sum(axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.predict_log_proba(iris), np.log(p), rtol=1e-9)
    np.testing.assert_array_equal(model.predict(iris), p.argmax(axis=1))
    monkeypatch.setattr("skae.base.encoding.CHUNK_BYTES", 200)
    np.testing.assert_allclose(model.predict_proba(iris), p, rtol=1e-12)


def test_scores_leave_out_what_is_unknown(iris, few, widths, rng):
    weight = rng.random(150)
    model, known = clone(CLASSIFIER).fit(iris, few), few != -1
    expected = accuracy_score(few[known], model.predict(iris)[known], sample_weight=weight[known])
    np.testing.assert_allclose(model.score(iris, few, sample_weight=weight), expected)
    model, known = clone(REGRESSOR).fit(iris, widths), ~np.isnan(widths)
    expected = r2_score(widths[known], model.predict(iris)[known], sample_weight=weight[known])
    np.testing.assert_allclose(model.score(iris, widths, sample_weight=weight), expected)


def test_targets_may_have_several_columns_each_with_gaps(iris, rng):
    Y = iris[:, 2:].copy()
    Y[rng.random(Y.shape) < 0.5] = np.nan
    model = clone(REGRESSOR).set_params(max_iter=100).fit(iris[:, :2], Y)
    assert model.predict(iris[:, :2]).shape == (150, 2)
    np.testing.assert_allclose(model.y_mean_, np.nanmean(Y, axis=0))
    assert model.score(iris[:, :2], Y) > 0.7


def test_the_scale_of_y_plays_no_part(iris, widths):
    model = clone(REGRESSOR).set_params(dtype="float64")
    one, two = clone(model).fit(iris, widths), model.fit(iris, 1e6 + 1000 * widths)
    np.testing.assert_allclose(two.predict(iris), 1e6 + 1000 * one.predict(iris), rtol=1e-9)


# ------------------------------------------------------------------ scikit-learn


def test_they_are_a_classifier_and_a_regressor():
    assert is_classifier(CLASSIFIER)
    assert is_regressor(REGRESSOR)
    for model in (CLASSIFIER, REGRESSOR):
        assert model.__sklearn_tags__().target_tags.required
        assert not hasattr(model, "partial_fit")


def test_search_over_the_encoder_in_a_pipeline_with_two_jobs(iris, few):
    pipe = make_pipeline(StandardScaler(), clone(CLASSIFIER).set_params(max_iter=30))
    grid = {"finetunedclassifier__encoder__n_components": [1, 3]}
    one, two = (GridSearchCV(pipe, grid, cv=3, n_jobs=n).fit(iris, few) for n in (1, 2))
    np.testing.assert_array_equal(one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"])
    assert one.best_score_ > 0.8
    assert one.best_estimator_[-1].encoder_.n_components == one.best_params_[next(iter(grid))]


def test_parameters_of_the_encoder_are_nested_and_cloned():
    model = clone(CLASSIFIER).set_params(encoder__n_components=7)
    assert model.get_params()["encoder__n_components"] == 7
    assert clone(model).encoder is not model.encoder
    assert ENCODER.n_components == 2


def test_codes_have_the_dtype_and_shape_asked_for(labelled):
    model, X, y = labelled
    H = model.fit(X, y).transform(X)
    assert H.shape == (75, 2)
    assert H.dtype == model.dtype
    np.testing.assert_array_equal(clone(model).fit_transform(X, y), H)


@pytest.mark.parametrize("convert", [sparse.csr_array, torch.from_numpy, np.asfortranarray, np.ndarray.tolist])
def test_every_kind_of_x_gives_the_same(labelled, convert):
    model, X, y = labelled
    expected = clone(model).fit(X, y).predict(X)
    np.testing.assert_allclose(model.fit(convert(X), y).predict(convert(X)), expected, rtol=1e-5)


@pytest.mark.filterwarnings("error")
def test_data_frames_name_the_columns_of_both(labelled):
    model, X, y = labelled
    frame = pd.DataFrame(X, columns=list("abcd"))
    model.set_output(transform="pandas").fit(frame, pd.Series(y))
    assert list(model.transform(frame).columns) == [f"{type(model).__name__.lower()}{i}" for i in range(2)]
    assert model.encoder_.transform(frame).shape == (75, 2)
    np.testing.assert_array_equal(model.encoder_.feature_names_in_, list("abcd"))


def test_memory_maps(labelled, tmp_path):
    model, X, y = labelled
    np.save(tmp_path / "X.npy", X)
    mapped = np.load(tmp_path / "X.npy", mmap_mode="r")
    expected = clone(model).fit(X, y).predict(X)
    np.testing.assert_array_equal(model.fit(mapped, y).predict(mapped), expected)


@pytest.mark.parametrize("n", [16, 17, 24, 25])
def test_any_tail_of_a_batch(labelled, n):
    model, X, y = labelled
    assert np.isfinite(model.set_params(batch_size=8).fit(X[::3][:n], y[::3][:n]).transform(X)).all()


def test_constant_columns_one_column_and_one_row(rng):
    y = np.arange(20) % 2
    for X in (np.ones((20, 4)), np.arange(20.0)[:, None]):
        for model in (clone(CLASSIFIER), clone(REGRESSOR)):
            assert np.isfinite(model.fit(X, y).predict(X)).all()
    X = rng.random((1, 3))
    np.testing.assert_allclose(clone(REGRESSOR).fit(X, [5.0]).predict(X), 5.0, atol=1e-3)


def test_an_int_seed_repeats_and_no_global_generator_is_drawn_from(labelled):
    model, X, y = labelled
    model.set_params(batch_size=20)
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.get_rng_state()
    one, two = clone(model).fit(X, y), clone(model).fit(X, y)
    np.testing.assert_array_equal(one.predict(X), two.predict(X))
    assert not np.array_equal(one.transform(X), clone(model).set_params(random_state=1).fit(X, y).transform(X))
    clone(model).set_params(random_state=None).fit(X, y)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_before)
    assert torch.equal(torch.get_rng_state(), torch_before)


def through_joblib(estimator):
    file = io.BytesIO()
    joblib.dump(estimator, file)
    return joblib.load(file)


def through_skops(estimator):
    dumped = skops.io.dumps(estimator)
    unknown = skops.io.get_untrusted_types(data=dumped)
    assert set(unknown) <= {f"{type(e).__module__}.{type(e).__name__}" for e in (estimator, estimator.encoder)}
    return skops.io.loads(dumped, trusted=unknown)


@pytest.mark.parametrize(
    "copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.deepcopy, through_joblib, through_skops]
)
def test_saving_keeps_everything_and_goes_on_the_same(labelled, copied):
    model, X, y = labelled
    model.set_params(warm_start=True, batch_size=20).fit(X, y)
    other, before = copied(model), model.predict(X)
    np.testing.assert_array_equal(other.predict(X), before)
    np.testing.assert_array_equal(other.encoder_.transform(X), model.encoder_.transform(X))
    assert other.history_ == model.history_
    np.testing.assert_array_equal(other.fit(X, y).predict(X), model.fit(X, y).predict(X))
    assert model.n_iter_ == 8


def test_warm_start_keeps_the_encoder_and_refuses_another(labelled):
    model, X, y = labelled
    fresh, warm = clone(model).fit(X, y), model.set_params(warm_start=True).fit(X, y)
    np.testing.assert_array_equal(warm.predict(X), fresh.predict(X))
    encoder, before = warm.encoder_, warm.transform(X)
    assert warm.fit(X, y).encoder_ is encoder
    assert not np.array_equal(warm.transform(X), before)
    before = warm.predict(X)
    warm.set_params(encoder__learning_rate_init=0.5)
    np.testing.assert_array_equal(warm.predict(X), before)
    assert "encoder changed since the last fit" in refuses(warm, "fit", X, y)
    warm.set_params(encoder__learning_rate_init=ENCODER.learning_rate_init, pretrain=False)
    assert "pretrain changed since the last fit" in refuses(warm, "fit", X, y)


def test_using_changes_no_attribute_and_no_data(labelled):
    model, X, y = labelled
    data = X.copy(), y.copy()
    before = {name: id(value) for name, value in vars(model.fit(X, y)).items()}
    model.predict(X)
    model.score(X, y)
    model.transform(X)
    assert {name: id(value) for name, value in vars(model).items()} == before
    np.testing.assert_array_equal(X, data[0])
    np.testing.assert_array_equal(y, data[1])


def test_early_stopping_holds_out_labelled_rows(labelled):
    model, X, y = labelled
    model.set_params(early_stopping=True, tol=1e9, n_iter_no_change=2).fit(X, y)
    assert len(model.history_["validation_loss"]) == 2
    train, held_out = model._split(model._table(X, model._targets(y, 75), None, torch.device("cpu")))
    assert (len(train), len(held_out)) == (23, 2)


def test_lbfgs(labelled):
    model, X, y = labelled
    before = clone(model).set_params(**{**STILL, "dtype": model.dtype}).fit(X, y).loss_
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert model.set_params(solver="lbfgs", max_iter=20).fit(X, y).loss_ < 0.9 * before


# ------------------------------------------------------------------ bad input


def refuses(estimator, method, *args):
    """The sentence with which a method refuses, having changed nothing."""
    before = dict(vars(estimator))
    with pytest.raises((ValueError, TypeError)) as caught:
        getattr(estimator, method)(*args)
    assert vars(estimator).keys() == before.keys()
    assert all(vars(estimator)[name] is before[name] for name in before)
    assert len(str(caught.value).split()) >= 4, f"no sentence: {caught.value}"
    return str(caught.value)


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (None, "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (PCA(2), "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (Autoencoder, "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (Autoencoder(n_components=0), "The 'n_components' parameter of Autoencoder must be an int"),
        (Autoencoder(7, init="pca"), "init='pca' is not defined with n_components=7 of 4 features"),
        (SemiSupervisedAutoencoder(), "learns from y itself: use it alone, or fit it and pass FrozenEstimator"),
        (FrozenEstimator(Autoencoder()), "not fitted yet"),
        (FrozenEstimator(PCA(2).fit(np.eye(4))), "has no layers to train"),
    ],
)
@pytest.mark.parametrize("pretrain", [True, False])
def test_encoders_that_do_not_fit_are_refused(iris, few, encoder, sentence, pretrain):
    assert sentence in refuses(FineTunedClassifier(encoder, pretrain=pretrain), "fit", iris, few)


def test_a_fitted_encoder_must_fit_x_and_cannot_be_left_untrained(iris, few):
    frozen = FrozenEstimator(clone(ENCODER).fit(iris[:, :3]))
    model = clone(CLASSIFIER).set_params(encoder=frozen)
    assert "X has 4 features, but the encoder was fitted to 3" in refuses(model, "fit", iris, few)
    model.set_params(pretrain=False)
    assert "pretrain=False is for an encoder that is not fitted" in refuses(model, "fit", iris[:, :3], few)


@pytest.mark.parametrize(
    ("model", "y", "sentence"),
    [
        (CLASSIFIER, None, "requires y to be passed, but the target y is None"),
        (CLASSIFIER, np.full(150, -1), "labels of 0 classes, but at least 2 classes are needed"),
        (CLASSIFIER, np.where(np.arange(150) < 5, 3, -1), "labels of 1 class (3)"),
        (CLASSIFIER, np.linspace(0, 1, 150), "Unknown label type: continuous"),
        (CLASSIFIER, SPECIES[:149], "y has 149 labels, but X has 150 rows"),
        (CLASSIFIER, np.stack([SPECIES, SPECIES], 1), "y should be a 1d array"),
        (REGRESSOR, None, "requires y to be passed, but the target y is None"),
        (REGRESSOR, np.full(150, np.nan), "y has no number in column 0"),
        (REGRESSOR, np.full(150, "a"), "y must hold numbers, with NaN where they are unknown"),
        (REGRESSOR, SPECIES[:149], "y has 149 numbers, but X has 150 rows"),
        (REGRESSOR, np.where(np.arange(150) < 5, np.inf, 0.0), "Input y contains infinity"),
    ],
)
def test_bad_labels_are_refused(iris, model, y, sentence):
    assert sentence in refuses(clone(model), "fit", iris, y)
    fitted = clone(model).fit(iris, SPECIES)
    expected = fitted.predict(iris)
    assert sentence in refuses(fitted, "fit", iris, y)
    np.testing.assert_array_equal(fitted.predict(iris), expected)


def test_other_classes_and_columns_are_refused_where_training_goes_on(iris, few, widths):
    model = clone(CLASSIFIER).set_params(warm_start=True).fit(iris, few)
    sentence = refuses(model, "fit", iris, SPECIES + 1)
    assert "which is not among the classes [0, 1, 2] of the first fit: fit anew" in sentence
    model = clone(REGRESSOR).set_params(warm_start=True).fit(iris, widths)
    assert "y has 2 columns, but 1 were fitted" in refuses(model, "fit", iris, iris[:, :2])


def test_a_score_needs_a_label(iris, few):
    model = clone(CLASSIFIER).fit(iris, few)
    assert "y has no label to compare with" in refuses(model, "score", iris, np.full(150, -1))


@pytest.mark.parametrize("method", ["fit", "predict", "predict_proba", "predict_log_proba", "transform"])
def test_bad_rows_are_refused(iris, few, method):
    y = (few,) if method == "fit" else ()
    if method != "fit":
        with pytest.raises(NotFittedError):
            getattr(CLASSIFIER, method)(iris)
    model = clone(CLASSIFIER).fit(iris, few)
    spoilt = iris.copy()
    spoilt[3, 2] = np.nan
    assert "NaN in row 3, column 2" in refuses(model, method, spoilt, *y)
    if method != "fit":
        assert "3 features" in refuses(model, method, iris[:, :3])


@pytest.mark.parametrize(
    "options", [{"n_frozen": -1}, {"n_frozen": 1.5}, {"pretrain": "yes"}, {"max_iter": 0}, {"dtype": "half"}]
)
def test_bad_parameters_are_named(iris, few, options):
    name = next(iter(options))
    assert f"The '{name}' parameter of FineTunedClassifier" in refuses(
        clone(CLASSIFIER).set_params(**options), "fit", iris, few
    )


def test_early_stopping_needs_two_labelled_rows(iris):
    y = np.full(150, np.nan)
    y[0] = 1.0
    assert "early_stopping=True holds out rows" in refuses(
        clone(REGRESSOR).set_params(early_stopping=True), "fit", iris, y
    )


def test_partial_fit_says_why_there_is_none():
    with pytest.raises(AttributeError, match="partial_fit") as caught:
        CLASSIFIER.partial_fit  # noqa: B018
    assert "the encoder learns from all rows" in str(caught.value.__cause__)

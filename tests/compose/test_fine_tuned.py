"""Fine-tuning: where it starts, what it trains, what it leaves alone, and which encoders it takes."""

import contextlib
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from scipy.special import expit
from seen import seen
from sklearn import datasets
from sklearn.base import clone, is_classifier
from sklearn.decomposition import PCA
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    RBM,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    MultimodalDeepBoltzmannMachine,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
)
from skae.base import Run
from skae.inspection import FilterDisplay, code_jacobian

SPECIES = datasets.load_iris().target
ENCODER = Autoencoder(2, hidden_layer_sizes=(6,), max_iter=3)
CLASSIFIER = FineTunedClassifier(ENCODER, max_iter=4, random_state=0)
REGRESSOR = FineTunedRegressor(ENCODER, max_iter=4, random_state=0)
STILL = {"learning_rate_init": 1e-12, "max_iter": 1, "dtype": "float64"}
"""What leaves the weights where training starts."""


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
    assert all(torch.equal(one, two) for one, two in zip(weights(fitted.module_), before, strict=True))
    np.testing.assert_array_equal(model.encoder_.transform(iris), fitted.transform(iris))
    assert not np.array_equal(model.transform(iris), fitted.transform(iris))
    np.testing.assert_array_equal(model.mean_, fitted.mean_)
    assert clone(model).encoder.estimator is fitted


@pytest.mark.parametrize("wrap", [FrozenEstimator, lambda fitted: FrozenEstimator(FrozenEstimator(fitted))])
@pytest.mark.parametrize(
    "change",
    [
        lambda fitted, X: fitted.set_params(n_components=3, hidden_layer_sizes=(5, 4)).fit(X[:, :2]),
        lambda fitted, X: fitted.set_params(k=1, device="nowhere"),
        lambda fitted, X: [p.data.zero_() for p in fitted.module_.parameters()],
        lambda fitted, X: fitted.mean_.fill(100.0),
        lambda fitted, X: vars(fitted).clear(),
    ],
)
def test_what_becomes_of_a_fitted_encoder_later_makes_no_difference(iris, few, change, wrap):
    fitted = TopKAutoencoder(4, k=2, max_iter=2, random_state=0).fit(iris)
    params = fitted.get_params()
    model = FineTunedClassifier(wrap(fitted), max_iter=3, random_state=0).fit(iris, few)
    expected, H = model.predict_proba(iris), model.encoder_.transform(iris)
    with contextlib.suppress(ValueError):
        change(fitted, iris)
    for found in (model, pickle.loads(pickle.dumps(model)) if vars(fitted) else model):
        np.testing.assert_array_equal(found.predict_proba(iris), expected)
        np.testing.assert_array_equal(found.encoder_.transform(iris), H)
        assert found.encoder_.get_params()["estimator"].get_params() == params or wrap is not FrozenEstimator


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ("dcba", "Feature names must be in the same order as they were in fit"),
        ("abcz", "Feature names unseen at fit time:\n- z"),
        ("abc", "Feature names seen at fit time, yet now missing:\n- d"),
        ("abcde", "Feature names unseen at fit time:\n- e"),
    ],
)
def test_a_fitted_encoder_asks_for_its_own_columns(iris, few, columns, message):
    rows = pd.DataFrame(np.c_[iris, iris[:, 0], iris[:, 1]], columns=list("abcdez"))
    fitted = clone(ENCODER).fit(rows[list("abcd")])
    for encoder in (FrozenEstimator(fitted), FrozenEstimator(FrozenEstimator(fitted))):
        model = clone(CLASSIFIER).set_params(encoder=encoder)
        told = refuses(model, "fit", rows[list(columns)], few)
        assert message in told
        assert told == refuses(fitted, "transform", rows[list(columns)])
        model.fit(rows[list("abcd")], few)


def test_names_that_one_side_lacks_are_told_as_by_transform(iris, few):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    for rows, others, sentence in (
        (frame, iris, "X does not have valid feature names, but Autoencoder was fitted with feature names"),
        (iris, frame, "X has feature names, but Autoencoder was fitted without feature names"),
    ):
        model = clone(CLASSIFIER).set_params(encoder=FrozenEstimator(clone(ENCODER).fit(rows)))
        with pytest.warns(UserWarning, match=sentence) as told:
            model.fit(others, few)
        assert len(told) == 1


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
        data = seen(model, iris, y, weight)
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
        DeepBoltzmannMachine(3, hidden_layer_sizes=(4,)),
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
    np.testing.assert_array_equal(again.encoder_.transform(X), model.encoder_.transform(X))
    assert model.jacobian_singular_values(X[:3]).shape[0] == 3


def test_a_semi_supervised_encoder_comes_fitted(iris, few):
    fitted = SemiSupervisedAutoencoder(2, hidden_layer_sizes=(6,), max_iter=3, random_state=0).fit(iris, few)
    assert FineTunedClassifier(FrozenEstimator(fitted), max_iter=3).fit(iris, few).score(iris, few) > 0.5


# ------------------------------------------------------------------ deep Boltzmann machines

MACHINE = DeepBoltzmannMachine(3, hidden_layer_sizes=(5,), dtype="float64", weight_scale=1.0, max_iter=3, n_chains=5)
"""With weights that are not small, so that mean field has something to settle."""
DEEPER = clone(MACHINE).set_params(hidden_layer_sizes=(5, 4))


def as_seen(X, visible):
    """Irises as a kind of visible units takes them."""
    if visible == "gaussian":
        return X
    return (np.median(X, axis=0) < X).astype(float) if visible == "bernoulli" else np.round(X)


@pytest.mark.parametrize("code", ["top", "all"])
@pytest.mark.parametrize("visible", ["gaussian", "bernoulli", "softmax"])
@pytest.mark.parametrize("machine", [MACHINE, DEEPER], ids=["two layers", "three layers"])
def test_the_network_of_a_deep_boltzmann_machine_starts_at_its_mean_field(iris, few, machine, visible, code):
    X = as_seen(iris, visible)
    options = {"learn_variances": True} if visible == "gaussian" else {}
    machine = clone(machine).set_params(visible=visible, code=code, random_state=0, **options).fit(X)
    model = FineTunedClassifier(FrozenEstimator(machine), **STILL).fit(X, few)
    np.testing.assert_allclose(model.transform(X), machine.transform(X), atol=1e-8)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))


@pytest.mark.parametrize("sizes", [(), (4, 3), {"petal": (3,), "sepal": (4, 3, 2)}], ids=str)
def test_the_network_of_several_modalities_starts_at_their_mean_field(iris, few, sizes):
    """The layers are a tree: the joint layer sees the last one of each pathway."""
    options = {**MACHINE.get_params(), "hidden_layer_sizes": sizes, "random_state": 0}
    machine = MultimodalDeepBoltzmannMachine(modalities={"sepal": [0, 1], "petal": [3, 2]}, **options).fit(iris)
    model = FineTunedClassifier(FrozenEstimator(machine), **STILL).fit(iris, few)
    np.testing.assert_allclose(model.transform(iris), machine.transform(iris), atol=1e-8)


def test_the_layers_of_the_network_are_those_of_the_paper(iris, few):
    """h_1 sees the row and the mean field of h_2, which is fixed: it is that of the machine as it was fitted."""
    X = as_seen(iris, "bernoulli")
    machine = clone(MACHINE).set_params(visible="bernoulli", random_state=0).fit(X)
    model = FineTunedClassifier(FrozenEstimator(machine), max_iter=30, dtype="float64", random_state=0).fit(X, few)
    module = model.module_.encoder
    W1, b1, W2, b2 = (getattr(module, name).detach().numpy() for name in ("weight_1", "bias_1", "weight_2", "bias_2"))
    h1 = expit(np.c_[X, machine.transform(X)] @ W1.T + b1)
    np.testing.assert_allclose(model.transform(X), expit(h1 @ W2.T + b2), atol=1e-8)
    for weights, start in ((W1[:, :4], machine.coefs_[0].T), (W1[:, 4:], machine.coefs_[1]), (W2, machine.coefs_[1].T)):
        assert not np.allclose(weights, start, atol=1e-4)  # all three have been trained


def test_nothing_is_propagated_back_through_the_mean_field(iris, few):
    """Trained with the mean field of all rows at hand, and with that of each batch computed anew."""
    X = as_seen(iris, "bernoulli")
    encoder = FrozenEstimator(clone(DEEPER).set_params(visible="bernoulli", random_state=0).fit(X))
    model = FineTunedClassifier(encoder, max_iter=5, dtype="float64", random_state=0)
    kept = clone(model).fit(X, few).predict_proba(X)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("skae.boltzmann._tuned.RESIDENT_BYTES", 0)
        anew = clone(model).fit(X, few).predict_proba(X)
    np.testing.assert_allclose(anew, kept, atol=1e-8)


@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian", "relu"])
def test_without_hidden_layers_it_is_that_of_an_rbm(iris, few, hidden):
    options = {"hidden": hidden, "max_iter": 3, "random_state": 0}
    one = FineTunedClassifier(DeepBoltzmannMachine(3, hidden_layer_sizes=(), **options), max_iter=5, random_state=0)
    two = FineTunedClassifier(RBM(3, **options), max_iter=5, random_state=0)
    np.testing.assert_array_equal(one.fit(iris, few).predict_proba(iris), two.fit(iris, few).predict_proba(iris))
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))
    with pytest.raises(TypeError, match="FineTunedClassifier has no components_ and no dense first layer"):
        FilterDisplay.from_estimator(one, kind="weights")


def test_the_derivative_of_the_code_includes_that_of_the_mean_field(iris, few):
    model = FineTunedClassifier(clone(DEEPER), max_iter=5, dtype="float64", random_state=0).fit(iris, few)
    J, step = code_jacobian(model, iris[:3]), 1e-5
    for i in range(4):
        shift = step * np.eye(4)[i]
        found = (model.transform(iris[:3] + shift) - model.transform(iris[:3] - shift)) / (2 * step)
        np.testing.assert_allclose(J[:, :, i], found, atol=1e-6)


def test_a_labelled_machine_comes_fitted_and_its_label_is_above_the_code(iris, few):
    for sizes in ((), (5,)):
        machine = clone(MACHINE).set_params(hidden_layer_sizes=sizes, labels=True, random_state=0)
        assert "learns from y itself" in refuses(FineTunedClassifier(machine), "fit", iris, few)
        model = FineTunedClassifier(FrozenEstimator(machine.fit(iris, few)), **STILL).fit(iris, few)
        np.testing.assert_allclose(model.transform(iris), machine.transform(iris), atol=1e-8)
        assert model._is_logistic()


def test_a_search_over_the_layers_of_a_deep_boltzmann_machine(iris, few):
    grid = {"encoder__hidden_layer_sizes": [(), (3,), (3, 4)]}
    search = GridSearchCV(FineTunedClassifier(MACHINE, max_iter=2, random_state=0), grid, cv=2).fit(iris, few)
    chosen = search.best_estimator_
    assert len(chosen.encoder_.coefs_) == len(search.best_params_["encoder__hidden_layer_sizes"]) + 1


def test_a_fit_from_a_deep_boltzmann_machine_goes_on(iris, few, widths):
    for model, y in ((FineTunedClassifier(clone(MACHINE)), few), (FineTunedRegressor(clone(MACHINE)), widths)):
        model.set_params(max_iter=2, warm_start=True, random_state=0).fit(iris, y)
        again = pickle.loads(pickle.dumps(model)).fit(iris, y)
        assert len(again.history_["loss"]) == 4
        np.testing.assert_array_equal(model.fit(iris, y).predict(iris), again.predict(iris))


# ------------------------------------------------------------------ parameters, names and going on


def test_a_search_over_the_encoder(iris, few):
    pipe = make_pipeline(StandardScaler(), clone(CLASSIFIER).set_params(max_iter=30))
    search = GridSearchCV(pipe, {"finetunedclassifier__encoder__n_components": [1, 3]}, cv=3).fit(iris, few)
    assert search.best_score_ > 0.8
    (chosen,) = search.best_params_.values()
    assert search.best_estimator_[-1].encoder_.n_components == chosen


def test_parameters_of_the_encoder_are_nested_and_cloned():
    model = clone(CLASSIFIER).set_params(encoder__n_components=7)
    assert model.get_params()["encoder__n_components"] == 7
    assert clone(model).encoder is not model.encoder
    assert ENCODER.n_components == 2


def test_data_frames_name_the_columns_of_both(iris, few):
    frame = pd.DataFrame(iris, columns=list("abcd"))
    model = clone(CLASSIFIER).fit(frame, few)
    assert model.encoder_.transform(frame).shape == (150, 2)
    np.testing.assert_array_equal(model.encoder_.feature_names_in_, list("abcd"))


def test_warm_start_keeps_the_encoder_and_refuses_another(iris, few):
    model = clone(CLASSIFIER).set_params(warm_start=True).fit(iris, few)
    encoder = model.encoder_
    assert model.fit(iris, few).encoder_ is encoder
    model.set_params(encoder__learning_rate_init=0.5)
    assert "encoder changed since the last fit" in refuses(model, "fit", iris, few)
    model.set_params(encoder__learning_rate_init=ENCODER.learning_rate_init, pretrain=False)
    assert "pretrain changed since the last fit" in refuses(model, "fit", iris, few)


def blanked(X, rng):
    return np.where(rng.random(X.shape) < 0.2, 0.0, X)


class Blank:
    """A corruption that remembers something."""

    def __init__(self, share):
        self.share = share

    def __call__(self, X, rng):
        return np.where(rng.random(X.shape) < self.share, 0.0, X)


@pytest.mark.parametrize("corruption", [blanked, Blank(0.2)])
def test_training_goes_on_after_a_pickle_with_a_callable(iris, few, corruption):
    encoder = DenoisingAutoencoder(2, hidden_layer_sizes=(6,), max_iter=2, corruption=corruption)
    model = FineTunedClassifier(encoder, max_iter=2, warm_start=True, random_state=0).fit(iris, few)
    again = pickle.loads(pickle.dumps(model)).fit(iris, few)
    assert len(again.history_["loss"]) == 4
    np.testing.assert_array_equal(model.fit(iris, few).predict_proba(iris), again.predict_proba(iris))


def test_another_callable_is_another_encoder(iris, few):
    encoder = DenoisingAutoencoder(2, hidden_layer_sizes=(6,), max_iter=2, corruption=Blank(0.2))
    model = FineTunedClassifier(encoder, max_iter=2, warm_start=True, random_state=0).fit(iris, few)
    for other in (Blank(0.3), blanked):
        model.set_params(encoder__corruption=other)
        assert "encoder changed since the last fit" in refuses(model, "fit", iris, few)
    model.set_params(encoder__corruption=Blank(0.2)).fit(iris, few)


def test_early_stopping_holds_out_labelled_rows(iris, few):
    model = clone(CLASSIFIER).set_params(early_stopping=True).fit(iris, few)
    train, held_out = model._split(seen(model, iris, few), Run())
    assert (len(train), len(held_out)) == (45, 5)


def test_lbfgs(iris, few, widths):
    for model, y in ((clone(CLASSIFIER), few), (clone(REGRESSOR), widths)):
        before = clone(model).set_params(**{**STILL, "dtype": model.dtype}).fit(iris, y).loss_
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert model.set_params(solver="lbfgs", max_iter=20).fit(iris, y).loss_ < 0.9 * before


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("encoder", "sentence"),
    [
        (None, "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (PCA(2), "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (Autoencoder, "The 'encoder' parameter of FineTunedClassifier must be an instance of"),
        (Autoencoder(n_components=0), "The 'n_components' parameter of Autoencoder must be an int"),
        (Autoencoder(7, init="pca"), "init='pca' is not defined with n_components=7 and only 4 features"),
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
    assert "X has 4 features, but Autoencoder is expecting 3 features" in refuses(model, "fit", iris, few)
    model.set_params(pretrain=False)
    assert "pretrain=False needs an encoder that is not fitted" in refuses(model, "fit", iris[:, :3], few)


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


@pytest.mark.parametrize("model", [CLASSIFIER, REGRESSOR])
def test_there_is_no_partial_fit_as_the_encoder_learns_from_all_rows(model):
    assert not hasattr(model, "partial_fit")

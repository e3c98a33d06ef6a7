"""Autoencoder: what it learns, against PCA and against closed forms, and its two kinds of dropout."""

import inspect
import warnings

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from nn.test_dense import N, fitted, require_same_gradient, seeded
from scipy import stats
from scipy.linalg import subspace_angles
from seen import seen
from sklearn import datasets
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import OneHotEncoder

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, SparseAutoencoder
from skae.engine.data import Batch
from skae.engine.optim import Optimizer
from skae.engine.train import NonFiniteLossError

BUNDLED = {
    name: np.asarray(getattr(datasets, f"load_{name}")().data, dtype=float)
    for name in ("digits", "wine", "breast_cancer", "iris", "diabetes", "linnerud")
}
QUICK = Autoencoder(hidden_layer_sizes=(8,), max_iter=5, random_state=0)


def pca_r2(pca, X, mean):
    X_hat = pca.inverse_transform(pca.transform(X))
    return 1 - ((X - X_hat) ** 2).sum() / ((X - mean) ** 2).sum()


# ------------------------------------------------------------------ PCA as the limit case


@pytest.mark.parametrize(("name", "tied"), [("iris", False), ("iris", True), ("digits", True)])
def test_linear_autoencoder_spans_the_subspace_of_pca(name, tied):
    """Baldi and Hornik (1989): the squared error of linear layers has no other minimum."""
    X = BUNDLED[name][:300]
    model = Autoencoder(
        2,
        hidden_layer_sizes=(),
        activation="identity",
        init="random",
        solver="lbfgs",
        tied_weights=tied,
        dtype="float64",
        max_iter=100,
        tol=0.0,
        n_iter_no_change=100,
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
    pca = PCA(2).fit(X)
    directions = model.inverse_transform(np.eye(2)) - model.inverse_transform(np.zeros((2, 2)))
    assert subspace_angles(directions.T, pca.components_.T).max() < 1e-3
    assert model.score(X) == pytest.approx(pca.explained_variance_ratio_.sum(), abs=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"activation": "logistic"}, {"hidden_layer_sizes": ()}, {"hidden_layer_sizes": (), "tied_weights": True}],
)
def test_training_starts_at_pca(options):
    X = BUNDLED["breast_cancer"]
    model = Autoencoder(3, max_iter=1, learning_rate_init=1e-30, random_state=0, dtype="float64")
    model.set_params(**options).fit(X)
    pca = PCA(3).fit(X)
    np.testing.assert_allclose(model.transform(X) * model.scale_, pca.transform(X), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(model.inverse_transform(model.transform(X)), pca.inverse_transform(pca.transform(X)))
    np.testing.assert_allclose(model.mean_, pca.mean_)


def test_tied_weights_start_near_pca_and_leave_it():
    """Exactly there they would stay: PCA is a saddle point of smooth tied networks."""
    X = BUNDLED["digits"][:500]
    pca = PCA(8).fit(X).explained_variance_ratio_.sum()
    start, end = (
        Autoencoder(8, tied_weights=True, random_state=0, **options).fit(X).score(X)
        for options in ({"max_iter": 1, "learning_rate_init": 1e-30}, {})
    )
    assert start == pytest.approx(pca, abs=0.02)
    assert end > pca + 0.05


@pytest.mark.parametrize("name", BUNDLED)
def test_training_only_improves_on_pca(name):
    X = BUNDLED[name][:200]
    model = Autoencoder(2, max_iter=20, random_state=0).fit(X)
    assert model.score(X) >= pca_r2(PCA(2).fit(X), X, X.mean(0)) - 1e-5


def test_defaults_on_digits():
    """PCA reaches 0.66 on the same split."""
    train, test = train_test_split(BUNDLED["digits"], random_state=0)
    assert Autoencoder(8, random_state=0).fit(train).score(test) >= 0.83


@pytest.mark.parametrize(("name", "k"), [("wine", 2), ("diabetes", 5), ("iris", 1), ("linnerud", 2)])
def test_defaults_do_not_overfit_small_data(name, k):
    X = BUNDLED[name]
    losses = []
    for seed in range(5):
        train, test = train_test_split(X, random_state=seed)
        ours = Autoencoder(k, random_state=0).fit(train).score(test)
        losses.append(pca_r2(PCA(k).fit(train), test, train.mean(0)) - ours)
    assert np.median(losses) <= 0.01


# ------------------------------------------------------------------ scale


@pytest.mark.parametrize(("factor", "shift"), [(1e-6, 0.0), (1e6, 0.0), (1.0, 1e6), (1e-3, -1e3)])
def test_units_of_x_do_not_matter(factor, shift):
    X = BUNDLED["iris"]
    plain, other = (clone(QUICK).set_params(max_iter=20).fit(x) for x in (X, factor * X + shift))
    assert other.score(factor * X + shift) == pytest.approx(plain.score(X), abs=1e-3)
    assert other.scale_ == pytest.approx(factor * plain.scale_)
    X_hat = other.inverse_transform(other.transform(factor * X + shift)).astype(float)
    resolution = np.finfo(np.float32).eps * max(abs(shift), factor)
    expected = factor * plain.inverse_transform(plain.transform(X)) + shift
    np.testing.assert_allclose(X_hat, expected, atol=0.05 * factor + resolution)


def test_scale_is_the_root_mean_variance():
    X = BUNDLED["wine"]
    assert clone(QUICK).fit(X).scale_ == pytest.approx(np.sqrt(X.var(axis=0).mean()))


# ------------------------------------------------------------------ likelihoods


def test_bernoulli_reconstructs_probabilities(rng):
    bits = (rng.random((300, 2)) < 0.5).astype(float)
    X = bits.repeat(4, axis=1)  # eight columns that two bits explain
    model = Autoencoder(2, likelihood="bernoulli", hidden_layer_sizes=(16,), max_iter=300, random_state=0).fit(X)
    X_hat = model.inverse_transform(model.transform(X))
    assert X_hat.min() >= 0
    assert X_hat.max() <= 1
    np.testing.assert_array_equal(X_hat.round(), X)


def test_categorical_reconstructs_distributions(rng):
    labels = rng.integers(0, 3, size=(300, 1))
    table = np.hstack([labels, (labels + 1) % 3, labels > 0])
    encoder = OneHotEncoder(sparse_output=False).fit(table)
    X, groups = encoder.transform(table), [len(c) for c in encoder.categories_]
    model = Autoencoder(
        2, likelihood="categorical", categories=groups, hidden_layer_sizes=(16,), max_iter=300, random_state=0
    ).fit(X)
    X_hat = model.inverse_transform(model.transform(X))
    for group in np.split(X_hat, np.cumsum(groups)[:-1], axis=1):
        np.testing.assert_allclose(group.sum(1), 1, rtol=1e-5)
    np.testing.assert_array_equal(encoder.inverse_transform(X_hat), table)


def test_poisson_beats_the_mean_in_nats_and_stays_positive(rng):
    rate = np.exp(rng.normal(size=(500, 1)) @ rng.normal(size=(1, 10)) + 1)
    X = rng.poisson(rate)
    model = Autoencoder(1, likelihood="poisson", random_state=0).fit(X)
    assert (model.inverse_transform(model.transform(X)) > 0).all()
    assert model.score(X) > pca_r2(PCA(1).fit(X), X, X.mean(0))
    mean = X.mean(axis=0)
    nats_of_the_mean = -stats.poisson(mean).logpmf(X).sum(1).mean()
    assert model.history_["reconstruction"][-1] < 0.8 * nats_of_the_mean


@pytest.mark.parametrize("level", [10.0, 1e3, 1e5, 1e7])
def test_poisson_learns_counts_of_any_size_from_few_rows(level, rng):
    rate = level * np.exp(0.2 * rng.normal(size=(100, 1)) @ rng.normal(size=(1, 5)))
    X = rng.poisson(rate)
    options = {"hidden_layer_sizes": (32,), "learning_rate_init": 0.01, "random_state": 0}
    model = Autoencoder(1, likelihood="poisson", **options).fit(X)
    assert model.score(X) > pca_r2(PCA(1).fit(X), X, X.mean(0)) - 0.02


@pytest.mark.parametrize("likelihood", ["bernoulli", "poisson"])
def test_the_untrained_decoder_says_the_mean(likelihood, rng):
    X = rng.random((50, 4)) ** np.arange(1, 5)
    model = clone(QUICK).set_params(likelihood=likelihood, max_iter=1, learning_rate_init=1e-30).fit(X)
    np.testing.assert_allclose(model.inverse_transform(np.zeros((1, 2)))[0], X.mean(0), rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "most"),
    [
        ({"likelihood": "bernoulli"}, 1),
        ({"likelihood": "categorical", "categories": (1, 2)}, 1),
        ({"likelihood": "poisson"}, "inf"),
    ],
)
def test_values_outside_the_support_warn_with_the_column_and_the_cure(options, most, rng):
    import pandas as pd

    X = pd.DataFrame(rng.random((20, 3)), columns=["a", "b", "c"])
    X["a"], X["c"] = 1.0, 1.0 - X["b"]
    model = clone(QUICK).set_params(**options).fit(X)  # silent
    expected, r2 = model.score_samples(X), model.score(X)
    X.loc[3, ["b", "c"]] = [-2.0, 3.0]
    told = rf"outside \[0, {most}\].* in row 3, column.* 'b'.* \(.*, or use likelihood='gaussian'"
    with pytest.warns(UserWarning, match=told):
        scores = model.score_samples(X)
    assert np.flatnonzero(scores == -np.inf).tolist() == [3]
    np.testing.assert_allclose(np.delete(scores, 3), np.delete(expected, 3), rtol=1e-6)
    assert model.score(X) < r2  # a ratio of distances, in which every row counts
    with pytest.warns(UserWarning, match=told):
        model = clone(QUICK).set_params(**options).fit(X)
    assert np.isfinite(model.transform(X)).all()


def test_unseen_categories_are_outside_a_categorical_likelihood():
    X = np.eye(3)[np.arange(30) % 3]
    model = clone(QUICK).set_params(likelihood="categorical", categories=(3,)).fit(X)
    with pytest.warns(UserWarning, match=r"row 1, columns 0 to 2 \(the sum is 0\)"):
        assert model.score_samples(np.array([[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [0.2, 0.3, 0.5]])).tolist()[1] == -np.inf


# ------------------------------------------------------------------ architecture


@pytest.mark.parametrize(
    ("sizes", "expected"), [((), []), (7, [7]), ((9, 5), [9, 5]), ([9, 5], [9, 5]), (np.array([4]), [4])]
)
def test_layers_are_the_ones_asked_for(sizes, expected, iris):
    module = clone(QUICK).set_params(hidden_layer_sizes=sizes).fit(iris).module_
    widths = [4, *expected, 2]
    shapes = [tuple(weight.shape) for weight, _ in module.encoder.layers()]
    assert shapes == list(zip(widths[1:], widths, strict=False))
    shapes = [tuple(weight.shape) for weight, _ in module.decoder.layers()]
    assert shapes == list(zip(widths[::-1][1:], widths[::-1], strict=False))


def test_logistic_codes_lie_between_zero_and_one(iris):
    codes = clone(QUICK).set_params(code_activation="logistic", n_components=6).fit(iris).transform(iris)
    assert codes.min() > 0
    assert codes.max() < 1


@pytest.mark.parametrize("options", [{"likelihood": "bernoulli"}, {"code_activation": "relu"}, {"n_components": 5}])
def test_init_auto_is_random_where_pca_is_not_defined(options, iris):
    X = iris / 10
    auto = clone(QUICK).set_params(**options).fit(X)
    textbook = clone(QUICK).set_params(**options, init="random").fit(X)
    np.testing.assert_array_equal(auto.transform(X), textbook.transform(X))
    with pytest.raises(ValueError, match=r"init='pca' is not defined with .*: use init='auto' or 'random'"):
        clone(QUICK).set_params(**options, init="pca").fit(X)


def test_weight_decay_shrinks_weights_and_not_biases_or_the_projection(digits):
    small, large = (
        clone(QUICK).set_params(weight_decay=w, solver="adamw", max_iter=30).fit(digits).module_ for w in (0.0, 10.0)
    )
    norms = [sum(float(w.detach().norm()) for w, _ in m.encoder.layers()) for m in (small, large)]
    assert norms[1] < 0.8 * norms[0]
    assert small.projection.equal(large.projection)


@pytest.mark.parametrize(
    ("solver", "rate", "max_iter"), [("adam", 1e-3, 15), ("adamw", 1e-3, 15), ("sgd", 3e-3, 40), ("lbfgs", 1.0, 15)]
)
def test_every_solver_learns(solver, rate, max_iter, digits):
    model = Autoencoder(4, solver=solver, learning_rate_init=rate, max_iter=max_iter, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(digits)
    assert model.history_["loss"][-1] < 0.95 * model.history_["loss"][0]


@pytest.mark.parametrize("schedule", ["constant", "cosine", "one_cycle"])
def test_every_schedule_learns(schedule, digits):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = Autoencoder(4, learning_rate=schedule, max_iter=30, random_state=0).fit(digits)
    assert model.history_["loss"][-1] < 0.8 * model.history_["loss"][0]


def test_early_stopping_keeps_the_best_validation_loss(digits):
    model = Autoencoder(8, early_stopping=True, learning_rate_init=0.01, max_iter=60, random_state=0).fit(digits[:100])
    assert model.n_iter_ < 60
    assert model.loss_ <= min(model.history_["validation_loss"])


def test_a_diverging_fit_names_epoch_term_and_cure(digits):
    model = Autoencoder(solver="sgd", learning_rate_init=1e6, max_iter=5, random_state=0)
    with pytest.raises(
        ValueError, match=r"term 'reconstruction' became (nan|inf) in epoch \d: lower learning_rate_init"
    ):
        model.fit(digits)
    assert not hasattr(model, "module_")


def test_a_diverging_fit_of_lbfgs_names_parameters_that_it_uses(digits, monkeypatch):
    monkeypatch.setattr(Optimizer, "_lbfgs", lambda self, flat, evaluate: {"reconstruction": torch.tensor(np.nan)})
    with pytest.raises(NonFiniteLossError, match="in epoch 1: use dtype='float64' or another solver") as caught:
        Autoencoder(solver="lbfgs", max_iter=2).fit(digits)
    assert "learning_rate" not in str(caught.value)
    assert "max_grad_norm" not in str(caught.value)


def test_help_tells_every_parameter_once():
    doc = inspect.getdoc(Autoencoder)
    for name in inspect.signature(Autoencoder).parameters:
        assert doc.count(f"\n{name} : ") == 1, name


# ------------------------------------------------------------------ found by a review


def test_a_large_constant_column_in_float32_does_no_harm(rng):
    """x - offset is exact there, while x / scale - offset / scale leaves a rounding error."""
    X = np.c_[rng.normal(size=(300, 5)), np.full(300, 123456789.0)].astype(np.float32)
    with_it = clone(QUICK).fit(X)
    assert with_it.scale_ == pytest.approx(np.sqrt(X[:, :5].var(axis=0).sum() / 6), rel=1e-5)
    doubles = clone(QUICK).fit(X.astype(float))
    assert with_it.score(X) == pytest.approx(doubles.score(X.astype(float)), abs=0.01)


def test_one_huge_constant_column_does_not_hide_small_ones(rng):
    X = np.c_[1e-3 * rng.normal(size=(50, 2)), np.full(50, 1.7e18)]
    assert clone(QUICK).fit(X).scale_ == pytest.approx(np.sqrt(X[:, :2].var(axis=0).sum() / 3))


@pytest.mark.parametrize("factor", [1e-25, 1e25])
def test_float32_whose_squares_leave_its_range(factor, rng):
    X = (factor * rng.normal(size=(300, 3))).astype(np.float32)
    assert clone(QUICK).fit(X).scale_ == pytest.approx(X.astype(float).std(), rel=0.1)


def test_held_out_rows_have_weight():
    X, weight = BUNDLED["wine"], np.zeros(178)
    weight[::9] = 1
    for seed in range(5):
        model = clone(QUICK).set_params(early_stopping=True, validation_fraction=0.01, random_state=seed)
        assert model.fit(X, sample_weight=weight).loss_ > 0


def test_a_module_of_a_variant_is_trained_by_its_own_gradient(iris):
    from skae.base.transformer import TorchTransformer
    from skae.nn.dense import DenseAutoencoder

    class Squashed(DenseAutoencoder):
        def encode(self, x, rng=None, known=None):
            return torch.tanh(super().encode(x, rng, known))

    class Variant(Autoencoder):
        _Module = Squashed

    model = Variant(2, hidden_layer_sizes=(8,), dtype="float64", max_iter=2, random_state=0).fit(iris)
    batch = Batch(torch.from_numpy((iris - model.mean_) / model.scale_))
    gradients = []
    for step in (model._step, lambda *args: TorchTransformer._step(model, *args)):
        model._flat.grad.zero_()
        step(model.module_, batch, torch.Generator())
        gradients.append(model._flat.grad.clone())
    assert torch.equal(*gradients)


def test_a_change_of_dtype_between_fits_is_refused(iris):
    model = clone(QUICK).set_params(warm_start=True).fit(iris)
    with pytest.raises(ValueError, match="dtype changed since the last fit"):
        model.set_params(dtype="float64").fit(iris)


def test_numbers_too_large_for_the_precision_are_refused_after_fitting(iris):
    model = clone(QUICK).fit(iris)
    huge = iris.copy()
    huge[3, 1] = 1e300
    for method in (model.transform, model.score, model.score_samples):
        with pytest.raises(ValueError, match="too large for dtype='float32': rescale X, or fit with dtype='float64'"):
            method(huge)


def test_short_wide_tables_start_at_pca(rng):
    X = rng.normal(size=(40, 600)) * np.linspace(3, 0.1, 600)
    model = clone(QUICK).set_params(n_components=30, max_iter=1, learning_rate_init=1e-30).fit(X)
    assert model.score(X) == pytest.approx(PCA(30).fit(X).explained_variance_ratio_.sum(), abs=1e-5)
    more = clone(QUICK).set_params(n_components=60, max_iter=1, learning_rate_init=1e-30).fit(X)
    assert more.score(X) == pytest.approx(1.0, abs=1e-5)


def test_batches_of_one_row_cannot_be_normalised(iris):
    with pytest.raises(ValueError, match="needs at least 2 rows in a batch; got batch_size=1"):
        clone(QUICK).set_params(batch_norm=True, batch_size=1).fit(iris)


def test_codes_given_as_tensors_are_looked_through_and_may_be_trained_on(iris):
    from sklearn import config_context

    model = clone(QUICK).fit(iris)
    for bad in (torch.zeros(0, 2), torch.full((3, 2), torch.nan), torch.zeros(3, 3), torch.zeros(2)):
        with pytest.raises(ValueError, match=r"\w+ \w+ \w+"):
            model.inverse_transform(bad)
    with config_context(array_api_dispatch=True):
        H = model.transform(torch.from_numpy(iris.copy()))
    torch.nn.Linear(2, 1)(H).sum().backward()


# ------------------------------------------------------------------ dropout of hidden units and of the input

NOISY = {"hidden_layer_sizes": (6,), "batch_size": 50, "max_iter": 3, "random_state": 0}
WEIGHT = torch.tensor([2.0, 0.0, 1.0, 0.5, 3.0, 1.0, 0.0, 0.5, 1.0], dtype=torch.float64)  # its mean is 1


class Settled(Autoencoder):
    """Keeps its last weights, and not those of the epoch whose noise was kindest."""

    _monitor = None


def require_mean(draws, expected):
    """Draws along the first axis whose mean is what is expected, within its standard error."""
    error = draws.std(0) / len(draws) ** 0.5
    assert error.min() > 0
    assert ((draws.mean(0) - expected).abs() / error).max() < 4.5


@pytest.mark.parametrize("p", [0.2, 0.6])
def test_input_dropout_shows_masked_entries_whose_mean_is_x(p):
    model, batch = fitted(input_dropout=p)
    n = 5000
    many = Batch(batch.x.repeat(n, 1))
    shown = model._corrupt(model.module_, many, seeded(1))
    assert torch.equal(shown.x, many.x)  # x itself is what is to come back
    draws = shown.shown.reshape(n, N, -1)
    require_mean(draws, batch.x)
    torch.testing.assert_close(draws.var(0), batch.x.square() * p / (1 - p), rtol=0.15, atol=0.0)
    assert torch.equal(model._corrupt(model.module_, many, seeded(1)).shown, shown.shown)
    assert not torch.equal(model._corrupt(model.module_, many, seeded(2)).shown, shown.shown)


@pytest.mark.parametrize("p", [0.2, 0.5])
def test_a_linear_model_under_input_dropout_is_a_ridge_regression(p):
    """S (S + p / (1 - p) diag(S))^-1: the noise is a penalty of each column's weights by its variance."""
    mixing = np.array([[1.2, 0.0, 0.3], [0.5, 0.8, 0.0], [-0.4, 0.5, 0.9]])
    X = np.random.default_rng(0).standard_normal((3000, 3)) @ mixing.T + [1.0, 20.0, -3.0]
    model = Settled(3, hidden_layer_sizes=(), input_dropout=p, dtype="float64", weight_decay=0.0, random_state=0)
    model.set_params(batch_size=200, max_iter=40, learning_rate_init=0.02).fit(X)
    S, mean = np.cov(X.T, bias=True), X.mean(0)
    expected = S @ np.linalg.inv(S + p / (1 - p) * np.diag(np.diag(S)))
    ends = model.inverse_transform(model.transform(np.vstack([mean, mean + np.eye(3)])))
    found = (ends[1:] - ends[0]).T
    assert np.linalg.norm(found - expected) < 0.04 * np.linalg.norm(expected)
    assert np.linalg.norm(np.eye(3) - expected) > 0.3 * np.linalg.norm(expected)


def test_silenced_entries_are_the_mean_of_their_column(iris):
    model = Autoencoder(2, input_dropout=0.4, dtype="float64", **NOISY).fit(iris + 100)
    x = seen(model, iris + 100)[:].x
    shown = model._corrupt(model.module_, Batch(x), seeded()).shown
    silenced = (shown == 0).numpy()
    X_shown = shown.numpy() * model.scale_ + model.mean_
    np.testing.assert_allclose(X_shown[silenced], np.broadcast_to(model.mean_, iris.shape)[silenced], rtol=1e-12)
    torch.testing.assert_close(shown[~silenced], x[~silenced] / 0.6)


def test_without_a_hidden_layer_dropout_is_nothing(iris):
    options = {**NOISY, "hidden_layer_sizes": ()}
    one, two = Autoencoder(2, dropout=0.5, **options).fit(iris), Autoencoder(2, **options).fit(iris)
    np.testing.assert_array_equal(one.transform(iris), two.transform(iris))
    assert one.history_ == two.history_


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson", "categorical"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("noise", [{"input_dropout": 0.4}, {"dropout": 0.3, "input_dropout": 0.4}], ids=str)
def test_the_gradient_of_a_step_is_that_of_autograd(noise, tied, likelihood):
    for init in ("random", "pca") if likelihood == "gaussian" else ("random",):
        model, batch = fitted(likelihood=likelihood, tied_weights=tied, init=init, **noise)
        for weight in (None, WEIGHT):
            require_same_gradient(model, batch._replace(weight=weight))


@pytest.mark.parametrize("noise", ["dropout", "input_dropout"])
def test_a_step_moves_with_its_generator(noise):
    """The gradient is that of one draw of the noise: another seed gives another one."""
    model, batch = fitted(**{noise: 0.4})
    gradients = []
    for seed in (1, 1, 2):
        model._flat.grad.zero_()
        model._step(model.module_, batch, seeded(seed))
        gradients.append(model._flat.grad.clone())
    assert torch.equal(gradients[0], gradients[1])
    assert not torch.equal(gradients[0], gradients[2])


@pytest.mark.parametrize("noise", [{"dropout": 0.4}, {"input_dropout": 0.4}], ids=str)
def test_a_fitted_model_is_free_of_noise(noise, iris):
    model = Autoencoder(2, **noise, **NOISY).fit(iris)
    silent = Autoencoder(2, **NOISY).fit(iris)  # the same architecture, and then the same weights
    silent.module_.load_state_dict(model.module_.state_dict())
    np.testing.assert_array_equal(silent.transform(iris), model.transform(iris))


@pytest.mark.parametrize("noise", [{"dropout": 0.4}, {"input_dropout": 0.4}], ids=str)
def test_held_out_rows_are_free_of_noise(noise, iris):
    """At a learning rate that moves nothing their loss stays, while that in training does not."""
    still = {**NOISY, "init": "random", "learning_rate_init": 1e-300, "early_stopping": True, "n_iter_no_change": 9}
    model, plain = Autoencoder(2, **noise, **still).fit(iris), Autoencoder(2, **still).fit(iris)
    assert model.history_["validation_loss"] == plain.history_["validation_loss"]
    assert len(set(model.history_["validation_loss"])) == 1
    assert len(set(model.history_["reconstruction"])) == 3


def test_a_code_that_was_trained_under_noise_bears_it_better(digits):
    options = {**NOISY, "hidden_layer_sizes": (64,), "learning_rate_init": 3e-3, "max_iter": 25}
    rng = np.random.default_rng(1)
    mean = digits.mean(0)
    gone = np.where(rng.random(digits.shape) < 0.3, mean, mean + (digits - mean) / 0.7)
    errors = []
    for p in (0.0, 0.3):
        model = Autoencoder(24, input_dropout=p, **options).fit(digits)
        errors.append(((model.inverse_transform(model.transform(gone)) - digits) ** 2).mean())
    assert errors[1] < 0.95 * errors[0]


@pytest.mark.parametrize("cls", [SparseAutoencoder, ContractiveAutoencoder])
def test_penalties_are_those_of_what_the_encoder_is_shown(cls):
    model, batch = fitted(cls, input_dropout=0.4, hidden_layer_sizes=(), code_activation="tanh")
    rng = seeded(1)
    shown = model._corrupt(model.module_, batch, rng)
    found = model._loss(model.module_, batch, seeded(1))
    expected = model._bottleneck(model.module_, shown, model.module_.encode(shown.shown), rng).terms
    assert expected
    for name, term in expected.items():
        torch.testing.assert_close(found[name], term, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("name", ["dropout", "input_dropout"])
@pytest.mark.parametrize("value", [1.0, -0.1, "some"])
def test_bad_probabilities_are_named(name, value, iris):
    assert f"'{name}' parameter of Autoencoder" in refuses(Autoencoder(2, **{name: value}), "fit", iris)


# ---------------------------------------------------------------- components_


LINEAR = {"hidden_layer_sizes": (), "max_iter": 2, "random_state": 0, "dtype": "float64"}


@pytest.mark.parametrize(
    "model",
    [
        Autoencoder(2, **LINEAR),
        Autoencoder(2, tied_weights=True, init="random", **LINEAR),
        DenoisingAutoencoder(3, **LINEAR),
        SparseAutoencoder(6, **LINEAR),
        SparseAutoencoder(6, penalty="kl", tied_weights=False, **LINEAR),
    ],
    ids=repr,
)
def test_components_are_what_a_linear_decoder_adds_for_a_unit(iris, model):
    model.fit(iris)
    H = model.transform(iris)
    rest = model.inverse_transform(np.zeros((1, H.shape[1])))
    assert model.components_.shape == (H.shape[1], 4)
    np.testing.assert_allclose(H @ model.components_ + rest, model.inverse_transform(H), rtol=1e-12)


def test_components_before_training_are_those_of_pca(iris):
    model = Autoencoder(2, **{**LINEAR, "learning_rate_init": 1e-12}).fit(iris)
    D, axes = model.components_, PCA(2).fit(iris).components_
    assert subspace_angles(D.T, axes.T).max() < 1e-6
    np.testing.assert_allclose(D @ D.T, np.diag(np.diag(D @ D.T)), atol=1e-9 * (D @ D.T).max())


@pytest.mark.parametrize("options", [{"hidden_layer_sizes": (3,)}, {"likelihood": "bernoulli"}], ids=repr)
def test_a_decoder_that_is_not_linear_has_no_components(options):
    X = np.random.default_rng(0).random((12, 4))
    model = Autoencoder(2, **{**LINEAR, **options}).fit(X)
    assert not hasattr(model, "components_")
    with pytest.raises(AttributeError, match=r"skae\.inspection\.FilterDisplay, or read the weights in module_\.$"):
        model.components_  # noqa: B018


def test_components_of_targets_have_their_width(iris):
    model = DenoisingAutoencoder(2, target="y", **LINEAR).fit(iris[:, :3], iris)
    assert model.components_.shape == (2, 4)

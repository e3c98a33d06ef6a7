"""ConditionalVariationalAutoencoder: exact likelihoods, limits, sums over classes, samples, routing and messages."""

import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from contract.requirements import refuses
from seen import seen
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, ConditionalVariationalAutoencoder, VariationalAutoencoder
from skae.autoencoders.dense import has_closed_gradient
from skae.base.derivatives import receptive_fields

QUICK = {"hidden_layer_sizes": (8,), "batch_size": 50, "max_iter": 3, "random_state": 0}
AT_THE_START = {**QUICK, "learning_rate_init": 1e-30, "weight_decay": 0.0, "max_iter": 1}
LINEAR = {**QUICK, "hidden_layer_sizes": (), "weight_decay": 0.0, "learning_rate_init": 0.02, "max_iter": 100}
METHODS = ["fit", "partial_fit", "transform", "score_samples", "score", "posterior", "reconstruct"]


@pytest.fixture(scope="module")
def numbers():
    """Rows of a linear Gaussian model given three numbers in different units, and these numbers."""
    rng = np.random.default_rng(0)
    c = rng.normal(size=(1000, 3)) * [1, 50, 0.1] + [0, 7, 7]
    X = (c - [0, 7, 7]) / [1, 50, 0.1] @ rng.normal(size=(3, 6)) + rng.normal(size=(1000, 2)) @ rng.normal(size=(2, 6))
    return 5 * X + 3 * rng.normal(size=(1000, 6)) + 40, c


@pytest.fixture(scope="module")
def classes():
    """Rows of three classes whose means differ, and their names."""
    rng = np.random.default_rng(1)
    y = rng.choice(3, 300, p=[0.5, 0.3, 0.2])
    X = rng.normal(size=(300, 2)) @ rng.normal(size=(2, 5)) + 2 * rng.normal(size=(3, 5))[y]
    return X + 0.3 * rng.normal(size=(300, 5)), np.array(["one", "two", "three"])[y]


def exact(X, c, k):
    """Log-likelihood of each row: that of probabilistic PCA for the residuals of a linear regression."""
    residuals = X - LinearRegression().fit(c, X).predict(c)
    return PCA(k).fit(residuals).score_samples(residuals)


# ------------------------------------------------------------------ linear models, and one condition


@pytest.mark.parametrize("conditional_prior", ["learned", "standard"])
@pytest.mark.parametrize("options", [{}, {"channels": (3,), "image_shape": (2, 3)}])
def test_training_starts_at_the_regression_and_probabilistic_pca(options, conditional_prior, numbers):
    options = {**AT_THE_START, "dtype": "float64", "conditional_prior": conditional_prior, **options}
    model = ConditionalVariationalAutoencoder(2, **options).fit(*numbers)
    np.testing.assert_allclose(model.elbo(*numbers), model.score_samples(*numbers), rtol=1e-9)  # q is exact
    # Residuals of fits without the row are larger than those of the fit by 3 / 1000 in mean.
    np.testing.assert_allclose(model.score(*numbers), exact(*numbers, 2).mean(), rtol=1e-4)
    np.testing.assert_allclose(model.score_samples(*numbers), exact(*numbers, 2), rtol=0.01)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_a_linear_model_reaches_the_exact_conditional_likelihood(init, numbers):
    model = ConditionalVariationalAutoencoder(2, init=init, conditional_prior="standard", **LINEAR).fit(*numbers)
    assert model.score(*numbers) == pytest.approx(exact(*numbers, 2).mean(), abs=0.01 * 6)


def test_classes_are_a_regression_on_their_means(classes):
    X, y = classes
    model = ConditionalVariationalAutoencoder(2, dtype="float64", **AT_THE_START).fit(X, y)
    np.testing.assert_allclose(model.score(X, y), exact(X, np.array(pd.get_dummies(y), float), 2).mean(), rtol=1e-3)
    at_zero = model.inverse_transform(np.zeros((3, 2)), model.classes_)
    means = [X[y == name].mean(0) for name in model.classes_]
    np.testing.assert_allclose(at_zero, means, atol=0.1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prior": "normal", "init": "random"},
        {"n_importance_samples": 3},
        {"prior": "vamp", "prior_size": 3, "likelihood": "bernoulli"},
        {"channels": (3,), "image_shape": "row"},
    ],
)
@pytest.mark.parametrize("conditions", ["classes", "numbers"])
def test_with_one_condition_it_is_the_plain_model_to_the_bit(options, conditions):
    X = np.random.default_rng(0).random((120, 5))
    y = np.full(120, 7.0)
    options = {**QUICK, "prior": "mixture", **options}
    plain = VariationalAutoencoder(2, **options).fit(X)
    model = ConditionalVariationalAutoencoder(2, conditions=conditions, **options).fit(X, y)
    assert model.history_ == plain.history_
    for given in ((), (y,)):
        np.testing.assert_array_equal(model.score_samples(X, *given), plain.score_samples(X))
        np.testing.assert_array_equal(model.transform(X, *given), plain.transform(X))
        np.testing.assert_array_equal(model.reconstruct(X, *given), plain.reconstruct(X))
    np.testing.assert_array_equal(model.sample(5, random_state=1), plain.sample(5, random_state=1))
    np.testing.assert_array_equal(model.sample(5, 1, y=7), plain.sample(5, random_state=1))


# ------------------------------------------------------------------ sums over the classes


@pytest.fixture(scope="module", params=[{}, {"prior": "mixture", "conditional_prior": "standard"}])
def model(request, classes):
    return ConditionalVariationalAutoencoder(2, dtype="float64", **QUICK, **request.param).fit(*classes)


def of_each(model, method, X):
    """What a method returns under each of the classes."""
    return np.array([getattr(model, method)(X, np.full(len(X), name)) for name in model.classes_])


def test_without_y_the_density_is_the_sum_over_the_classes(model, classes):
    X, y = classes
    share = np.array([(y == name).mean() for name in model.classes_])
    np.testing.assert_allclose(model.class_prior_, share)
    for method in ("score_samples", "elbo"):
        joint = of_each(model, method, X) + np.log(share)[:, None]
        np.testing.assert_allclose(getattr(model, method)(X), np.logaddexp.reduce(joint), rtol=1e-9)
    assert model.score(X) == pytest.approx(model.score_samples(X).mean())
    assert model.score(X, y) == pytest.approx(model.score_samples(X, y).mean())
    weight = np.arange(300.0)
    assert model.score(X, y, weight) == pytest.approx(np.average(model.score_samples(X, y), weights=weight))


def test_without_y_codes_are_means_over_the_classes(model, classes):
    X, _ = classes
    joint = np.exp(of_each(model, "score_samples", X)) * model.class_prior_[:, None]
    of_class = (joint / joint.sum(0))[..., None]
    each = of_each(model, "posterior", X)
    mean = (of_class * each[:, 0]).sum(0)
    variance = (of_class * (each[:, 1] ** 2 + each[:, 0] ** 2)).sum(0) - mean**2
    np.testing.assert_allclose(model.transform(X), mean, atol=1e-9)
    np.testing.assert_allclose(model.posterior(X), [mean, np.sqrt(variance)], atol=1e-9)
    np.testing.assert_allclose(model.reconstruct(X), (of_class * of_each(model, "reconstruct", X)).sum(0), atol=1e-9)
    each = of_each(model, "inverse_transform", mean)
    np.testing.assert_allclose(model.inverse_transform(mean), np.tensordot(model.class_prior_, each, 1), atol=1e-9)


def test_given_y_a_row_is_decoded_from_its_code(model, classes):
    X, y = classes
    np.testing.assert_allclose(model.reconstruct(X, y), model.inverse_transform(model.transform(X, y), y))
    np.testing.assert_array_equal(model.posterior(X, y)[0], model.transform(X, y))
    assert not np.allclose(model.transform(X, y), model.transform(X, y[::-1]))


def test_several_columns_of_classes_are_summed_over_as_they_occur(iris):
    y = pd.DataFrame({"long": iris[:, 2] > 4, "wide": iris[:, 1] > 3})
    model = ConditionalVariationalAutoencoder(1, dtype="float64", **QUICK).fit(iris, y)
    occurring = y.value_counts(normalize=True)
    each = [model.score_samples(iris, pd.DataFrame([row] * 150, columns=y.columns)) for row in occurring.index]
    joint = np.array(each) + np.log(occurring.to_numpy())[:, None]
    np.testing.assert_allclose(model.score_samples(iris), np.logaddexp.reduce(joint), rtol=1e-9)
    assert not hasattr(model, "classes_")


# ------------------------------------------------------------------ samples


def test_samples_are_of_the_class_that_is_asked_for(digits):
    y = sklearn.datasets.load_digits().target[:400]
    model = ConditionalVariationalAutoencoder(2, max_iter=10, random_state=0).fit(digits, y)
    judge, asked = KNeighborsClassifier(3).fit(digits, y), np.repeat(np.arange(10), 20)
    assert (judge.predict(model.sample(y=asked)) == asked).mean() > 0.95
    h = model.sample_codes(20).repeat(10, axis=0)  # the same codes for all classes
    asked = np.tile(np.arange(10), 20)
    assert (judge.predict(model.inverse_transform(h, asked)) == asked).mean() > 0.95


def test_samples_have_the_moments_of_the_conditional_model(numbers):
    X, c = numbers
    model = ConditionalVariationalAutoencoder(2, **AT_THE_START).fit(X, c)
    regression = LinearRegression().fit(c, X)
    drawn = model.sample(40_000, random_state=0, y=c[:1])
    np.testing.assert_allclose(drawn.mean(0), regression.predict(c[:1])[0], atol=0.3)
    expected = PCA(2).fit(X - regression.predict(c)).get_covariance()
    np.testing.assert_allclose(np.cov(drawn.T), expected, atol=0.03 * expected.max())


def test_without_y_classes_are_drawn_by_their_frequency(classes):
    X, y = classes
    model = ConditionalVariationalAutoencoder(2, **AT_THE_START).fit(X, y)
    drawn = model.sample(20_000, random_state=0)
    np.testing.assert_allclose(drawn.mean(0), X.mean(0), atol=0.1)
    np.testing.assert_allclose(np.cov(drawn.T), np.cov(X.T), atol=0.3)
    assert model.sample().shape == (1, 5)


def test_one_condition_or_one_a_row(model):
    assert model.sample(y="one").shape == (1, 5)
    assert model.sample(4, y="one").shape == (4, 5)
    assert model.sample(y=["one", "two"]).shape == (2, 5)
    np.testing.assert_array_equal(model.sample(2, 0, y="two"), model.sample(random_state=0, y=["two", "two"]))
    assert not np.allclose(model.sample(2, 0, y="two"), model.sample(2, 0, y="one"))
    assert "y has 3 conditions: pass one, or one for each of the 4 samples" in refuses(
        model, "sample", 4, y=["one"] * 3
    )


# ------------------------------------------------------------------ the way from one row to another


def test_a_way_leads_from_one_reconstruction_to_the_other(model, classes):
    X, y = classes
    way = model.interpolate(X[0], X[1], 5, y=y[:2])
    np.testing.assert_allclose(way[[0, -1]], model.reconstruct(X[:2], y[:2]))
    middle = model.transform(X[:2], np.repeat("two", 2)).mean(0, keepdims=True)
    halfway = model.interpolate(X[:1], X[1:2], 3, y="two")[1]
    np.testing.assert_allclose(halfway, model.inverse_transform(middle, ["two"])[0])
    assert np.isfinite(model.interpolate(X[0], X[1])).all()
    assert "y has 3 conditions: pass one, or that of a and that of b" in refuses(
        model, "interpolate", X[0], X[1], y=y[:3]
    )


# ------------------------------------------------------------------ numbers


def test_numbers_cannot_be_summed_over(numbers):
    X, c = numbers
    model = ConditionalVariationalAutoencoder(2, **QUICK).fit(X, c)
    calls = [(name, X) for name in ("transform", "score_samples", "elbo", "score", "posterior", "reconstruct")]
    for method, *arguments in [*calls, ("inverse_transform", X[:, :2]), ("sample", 3), ("interpolate", X[0], X[1])]:
        assert refuses(model, method, *arguments) == (
            "This ConditionalVariationalAutoencoder was fitted to numbers as conditions, which cannot be summed over "
            "as classes can: pass y, a condition for each row."
        )


def test_other_columns_complete_rows(digits):
    """Better than a linear regression with probabilistic PCA of the residuals, on other rows."""
    c, X = digits[:, :32], digits[:, 32:]
    model = ConditionalVariationalAutoencoder(2, max_iter=20, random_state=0).fit(X[:300], c[:300])
    regression = LinearRegression().fit(c[:300], X[:300])
    linear = PCA(2).fit(X[:300] - regression.predict(c[:300])).score(X[300:] - regression.predict(c[300:]))
    assert model.score(X[300:], c[300:]) > linear + 2  # nats per row
    assert model.sample(y=c[300:]).shape == (100, 32)


def test_receptive_fields_and_components_are_in_x(numbers):
    X, c = numbers
    options = {**AT_THE_START, "dtype": "float64", "conditional_prior": "standard", "hidden_layer_sizes": ()}
    model = ConditionalVariationalAutoencoder(2, **options).fit(X, c)
    moved = model.transform(X[:1] + np.eye(6), np.repeat(c[:1], 6, axis=0)) - model.transform(X[:1], c[:1])
    np.testing.assert_allclose(receptive_fields(model), moved.T)
    raised = model.inverse_transform(np.eye(2), c[:2]) - model.inverse_transform(np.zeros((2, 2)), c[:2])
    np.testing.assert_allclose(model.components_, raised)
    located = model.set_params(conditional_prior="learned").fit(X, c)
    assert not hasattr(located, "components_")


# ------------------------------------------------------------------ scikit-learn


def test_a_pipeline_passes_y_on_where_it_is_asked_to(classes):
    X, y = classes
    with sklearn.config_context(enable_metadata_routing=True):
        step = ConditionalVariationalAutoencoder(2, **QUICK).set_transform_request(y=True)
        pipe = make_pipeline(StandardScaler(), step.set_inverse_transform_request(y=True)).fit(X, y)
        scaled = pipe[0].transform(X)
        np.testing.assert_array_equal(pipe.transform(X, y=y), pipe[1].transform(scaled, y))
        np.testing.assert_array_equal(pipe.transform(X), pipe[1].transform(scaled))
        restored = pipe.inverse_transform(pipe.transform(X, y=y), y=y)
    np.testing.assert_allclose(restored, pipe[0].inverse_transform(pipe[1].reconstruct(scaled, y)))


def test_a_search_scores_rows_given_their_conditions(classes):
    X, y = classes
    search = GridSearchCV(ConditionalVariationalAutoencoder(**QUICK), {"n_components": [1, 2]}, cv=3).fit(X, y)
    assert search.best_params_ == {"n_components": 2}
    assert search.score(X, y) == search.best_estimator_.score(X, y)


def test_going_on_keeps_the_conditions_of_the_first_fit(classes):
    X, y = classes
    model = ConditionalVariationalAutoencoder(2, warm_start=True, **QUICK).fit(X, y)
    model.fit(X[y != "two"], y[y != "two"]).partial_fit(X[:50], y[:50])
    assert model.classes_.tolist() == ["one", "three", "two"]
    assert "which the fit did not see" in refuses(model, "fit", X, np.where(y == "two", "four", y))
    assert refuses(model, "partial_fit", X, np.repeat("four", 300)).startswith("y has the class 'four' in row 0")


def test_rows_of_weight_zero_bring_no_condition(classes):
    X, y = classes
    weight = (y != "two").astype(float)
    model = ConditionalVariationalAutoencoder(2, **QUICK).fit(X, y, sample_weight=weight)
    assert model.classes_.tolist() == ["one", "three"]
    np.testing.assert_allclose(model.class_prior_, [(y[y != "two"] == name).mean() for name in ("one", "three")])


# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"channels": (3,), "image_shape": "row", "code": "map", "hidden_layer_sizes": ()}, "use code='vector'"),
        ({"tied_weights": True}, "use tied_weights=False"),
        ({"conditions": "labels"}, "'conditions' parameter"),
        ({"conditional_prior": "flow"}, "'conditional_prior' parameter"),
    ],
)
def test_bad_parameters_are_told_in_a_sentence(options, words, classes):
    assert words in refuses(ConditionalVariationalAutoencoder(**{**QUICK, **options}), "fit", *classes)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda y: y[:-1], "y holds conditions of 299 rows, but X has 300 rows: pass one condition for each row."),
        (lambda y: np.where(y == "one", None, y), "y has no class in row"),
        (lambda y: np.column_stack([y, y]), "y has 2 columns, but the fitted y had 1: pass the same columns"),
        (
            lambda y: np.where(np.arange(300) == 7, "four", y),
            "y has the class 'four' in row 7, which the fit did",
        ),
        (lambda y: y[:, None, None], "y must have one or two dimensions, but its shape is (300, 1, 1)."),
    ],
)
def test_bad_conditions_change_nothing(method, spoil, words, classes):
    X, y = classes
    fresh = ConditionalVariationalAutoencoder(2, warm_start=True, **QUICK)
    fitted = clone(fresh).fit(X, y)
    before = fitted.transform(X, y)
    assert words in refuses(fitted, method, X, spoil(y))
    np.testing.assert_array_equal(fitted.transform(X, y), before)


def test_a_model_that_needs_y_says_so(classes):
    message = refuses(ConditionalVariationalAutoencoder(**QUICK), "fit", classes[0])
    assert "requires y to be passed, but the target y is None" in message


def test_codes_of_the_training_rows_need_y_where_it_holds_numbers(numbers, classes):
    model = ConditionalVariationalAutoencoder(2, **QUICK)
    weight = np.arange(len(numbers[0])) % 2
    H = model.fit_transform(*numbers, sample_weight=weight)
    np.testing.assert_array_equal(H, model.transform(*numbers))
    np.testing.assert_array_equal(H, clone(model).fit(*numbers, sample_weight=weight).transform(*numbers))
    np.testing.assert_array_equal(model.fit_transform(*classes), model.transform(classes[0]))
    frame = model.set_output(transform="pandas").fit_transform(*numbers)
    assert list(frame) == list(model.get_feature_names_out())


def test_a_way_needs_a_fit(classes):
    X, y = classes
    with pytest.raises(NotFittedError):
        ConditionalVariationalAutoencoder(**QUICK).interpolate(X[0], X[1], y=y[:2])


def test_a_parameter_that_changed_is_told_by_its_name(classes):
    model = ConditionalVariationalAutoencoder(2, warm_start=True, **QUICK).fit(*classes)
    model.set_params(conditional_prior="standard")
    assert refuses(model, "fit", *classes).startswith("conditional_prior changed since the last fit")


def test_conditions_that_leave_nothing_but_noise_are_told(classes):
    X, y = classes
    means = np.array([X[y == name].mean(0) for name in np.unique(y)])
    X = means[np.unique(y, return_inverse=True)[1]] + np.random.default_rng(0).normal(size=X.shape)
    model = ConditionalVariationalAutoencoder(2, **{**QUICK, "beta": 50.0, "max_iter": 30})
    with pytest.warns(UserWarning, match=r"no component says anything about the row.*y leaves nothing but noise"):
        model.fit(X, y)


# ------------------------------------------------------------------ the objective


@pytest.mark.parametrize("weight", [None, np.arange(300) % 3])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"conditional_prior": "standard"},
        {"init": "random", "beta": 3.0, "free_bits": 0.8},
        {"prior": "flow", "input_dropout": 0.2},
    ],
)
def test_the_step_by_hand_is_that_of_autograd(options, weight, classes):
    X, y = classes
    model = ConditionalVariationalAutoencoder(2, dtype="float64", **QUICK, **options).fit(X, y)
    batch, found = seen(model, X, y, weight)[slice(0, 30)], []
    for step in (model._step, lambda *arguments: super(Autoencoder, model)._step(*arguments)):
        model._flat.grad.zero_()
        terms = step(model.module_, batch, torch.Generator().manual_seed(3))
        found.append((model._flat.grad.clone(), {name: float(term.detach()) for name, term in terms.items()}))
    torch.testing.assert_close(found[0][0], found[1][0])
    assert found[0][1] == pytest.approx(found[1][1])
    assert has_closed_gradient(model, model.module_)

"""M2: the bounds of labelled and unlabelled rows, the start, samples by class, and the stack upon another model."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from seen import seen
from sklearn import datasets
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from skae import (
    Autoencoder,
    ConditionalVariationalAutoencoder,
    SemiSupervisedVariationalAutoencoder,
    VariationalAutoencoder,
)
from skae.base import Known
from skae.base.encoding import widest

QUICK = {"n_components": 2, "hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}
MODEL = SemiSupervisedVariationalAutoencoder(**QUICK)
BELOW = VariationalAutoencoder(3, hidden_layer_sizes=(6,), max_iter=4, random_state=0)
STACK = clone(MODEL).set_params(encoder=BELOW)
SPECIES = datasets.load_iris().target
WORDS = np.array(["setosa", "versicolor", "virginica"])
STILL = {"max_iter": 1, "learning_rate_init": 1e-12, "dtype": "float64", "random_state": 0}


# ------------------------------------------------------------------ the bounds


def recursion(model, batch, rng):
    """The objective in nats, one row and one class at a time."""
    module, n = model.module_, len(batch.x)
    count, value = Known.of(batch.y)
    weight = torch.ones(n) if batch.weight is None else batch.weight
    told = [(i, c) for i in range(n) for c in range(3) if count[i, 0] == 0 or int(value[i, 0]) == c]
    noise = torch.empty(len(told), 2, dtype=torch.float64).normal_(generator=rng)
    log_q = module.classifier(batch.x).log_softmax(1)
    total = 0.0
    for (i, c), eps in zip(told, noise, strict=True):
        told_class = torch.eye(3, dtype=torch.float64)[c]
        mu, log_variance = module.encode(torch.cat([batch.x[i], told_class])[None])[0].chunk(2)
        h = mu + (log_variance / 2).exp() * eps
        eta = module.decode(torch.cat([h, told_class])[None])[0]
        variance = module.likelihood.log_variance.exp() + 1e-4
        fit = -0.5 * ((batch.x[i] - eta).square() / variance + (2 * math.pi * variance).log()).sum()
        divergence = 0.5 * (mu.square() + log_variance.exp() - 1 - log_variance).sum()
        bound = fit + module.log_prior[c] - divergence
        known = count[i, 0] > 0
        q = 1.0 if known else log_q[i, c].exp()
        total = total - weight[i] * q * (bound - (0.0 if known else log_q[i, c])) / n
        if known:
            total = total - model.alpha * count[i, 0] * log_q[i, c] / n
    perturbed = batch.x + model.noise_level * torch.empty_like(batch.x).normal_(generator=rng)
    moved = (module.classifier(perturbed).softmax(1) - log_q.exp().detach()).square().sum(1)
    lost = (moved * (count[:, 0] == 0) * weight).mean()
    return total + model.alpha * model.consistency * lost


@pytest.mark.parametrize("weighted", [False, True])
def test_the_objective_and_its_gradient_are_those_of_a_plain_recursion(iris, few, weighted, rng):
    model = clone(MODEL).set_params(dtype="float64", alpha=0.7, consistency=2.0, batch_size=40).fit(iris, few)
    data = seen(model, iris, few, rng.random(150) if weighted else None)
    batch, module = data[torch.arange(0, 150, 7)], model.module_
    model._flat.grad.zero_()
    terms = model._step(module, batch, torch.Generator().manual_seed(1))
    assert set(terms) == {"reconstruction", "divergence", "class_divergence", "prediction", "consistency"}
    expected = recursion(model, batch, torch.Generator().manual_seed(1))
    torch.testing.assert_close(sum(terms.values()), expected.detach(), rtol=1e-10, atol=0)
    parameters = list(module.parameters())
    for parameter, gradient in zip(parameters, torch.autograd.grad(expected, parameters), strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-8, atol=1e-12)


@pytest.fixture
def linear(iris):
    """A model that is still a linear Gaussian one, with exact posteriors, and its classes' log p(x, y)."""
    model = SemiSupervisedVariationalAutoencoder(2, hidden_layer_sizes=(4,), **STILL).fit(iris, SPECIES)
    module, Z = model.module_, (iris - model.mean_) / model.scale_
    E, means = module.expansion.numpy()[:2], module.expansion.numpy()[2:]
    C = E.T @ E + float(module.likelihood.variance.detach()) * np.eye(4)
    slopes = np.linalg.solve(C, means.T).T
    with torch.no_grad():
        module.classifier.linear.weights[0].copy_(torch.from_numpy(slopes))
        offsets = -0.5 * (slopes * means).sum(1) + module.log_prior.numpy()
        module.classifier.linear.biases[0].copy_(torch.from_numpy(offsets))
    log_p = np.column_stack([multivariate_normal(mean, C).logpdf(Z) for mean in means]) + module.log_prior.numpy()
    return model, log_p


def terms_of(model, X, y):
    with torch.no_grad():
        return {k: float(v) for k, v in model._loss(model.module_, seen(model, X, y)[slice(None)], None).items()}


def test_with_exact_posteriors_both_bounds_are_exact(linear, iris, few):
    """-U(x) is log p(x) and -L(x, y) is log p(x, y): 16 common draws integrate a quadratic exactly."""
    model, log_p = linear
    own = log_p[np.arange(150), SPECIES]
    for y, expected in (
        (SPECIES, own),
        (few, np.where(few == -1, logsumexp(log_p, axis=1), own)),
    ):
        terms = terms_of(model, iris, y)
        bound = -(terms["reconstruction"] + terms["divergence"] + terms["class_divergence"])
        np.testing.assert_allclose(bound, expected.mean(), rtol=1e-6)
    densities = logsumexp(log_p, axis=1) - 4 * np.log(model.scale_)
    np.testing.assert_allclose(model.score_samples(iris), densities, rtol=1e-6)
    np.testing.assert_allclose(model.elbo(iris), densities, rtol=1e-6)
    np.testing.assert_allclose(model.predict_proba(iris), np.exp(log_p - logsumexp(log_p, axis=1)[:, None]), atol=1e-8)


def test_the_bounds_are_in_order(iris, few):
    """-U(x) <= elbo <= score_samples, where the classifier and the posteriors are not exact."""
    model = clone(MODEL).set_params(dtype="float64", consistency=0.0, max_iter=30, n_draws=256).fit(iris, few)
    score, elbo = model.score_samples(iris).mean(), model.elbo(iris).mean()
    nothing = model._source(iris, few, None, reset=False).with_y(np.zeros((150, 2)))
    batch = model._seen(nothing, torch.float64, torch.device("cpu"))[slice(None)]
    with torch.no_grad():
        terms = model._loss(model.module_, batch, None)
    unlabelled = -float(terms["reconstruction"] + terms["divergence"] + terms["class_divergence"])
    assert unlabelled - 4 * np.log(model.scale_) < elbo < score


def test_all_labels_known_and_alpha_0_leave_the_classifier_alone(iris):
    model = clone(MODEL).set_params(alpha=0.0, weight_decay=0.0, batch_size=30, dtype="float64")
    before = clone(model).set_params(**STILL).fit(iris, SPECIES).predict_proba(iris)
    np.testing.assert_allclose(model.fit(iris, SPECIES).predict_proba(iris), before, atol=1e-10)
    assert set(model.history_["prediction"]) == {0.0}


def test_alpha_0_learns_classes_from_rows_without_labels(iris, few):
    model = clone(MODEL).set_params(alpha=0.0, weight_decay=0.0, batch_size=30)
    before = clone(model).set_params(**STILL).fit(iris, few).predict_proba(iris)
    assert np.abs(model.fit(iris, few).predict_proba(iris) - before).max() > 1e-3


@pytest.mark.parametrize("off", [{"consistency": 0.0}, {"noise_level": 0.0}, {"alpha": 0.0}])
def test_without_noise_there_is_no_consistency(iris, few, off):
    assert "consistency" not in clone(MODEL).set_params(**off).fit(iris, few).history_


def test_terms_of_the_family_work_within_classes(iris, few):
    """Importance samples, free bits and warm-up, which the parent adds to rows that are told a class."""
    many = clone(MODEL).set_params(n_importance_samples=5, dtype="float64").fit(iris, few)
    one = clone(MODEL).set_params(dtype="float64").fit(iris, few)
    one.module_.load_state_dict(many.module_.state_dict())
    batch = seen(many, iris, few)[slice(None)]
    with torch.no_grad():
        many.set_params(n_importance_samples=64)
        tight, loose = (float(sum(m._loss(m.module_, batch, None).values())) for m in (many, one))
    assert loose - 1.0 < tight < loose
    free = clone(MODEL).set_params(free_bits=50.0, max_iter=1).fit(iris, few)
    np.testing.assert_allclose(free.history_["divergence"], 100.0, rtol=1e-5)
    rising = clone(MODEL).set_params(warm_up=0.9, max_iter=2).fit(iris, few).history_["divergence"]
    assert rising[0] < rising[1]


def test_chunks_are_cut_by_all_classes_of_a_row(iris, few, monkeypatch):
    """And are the same as all rows at once."""
    model = clone(MODEL).set_params(dtype="float64").fit(iris, few)
    assert widest(model.module_) == 3 * 6
    whole = model.score_samples(iris), model.reconstruct(iris), model.transform(iris)
    monkeypatch.setattr("skae.base.encoding.CHUNK_BYTES", 8 * 18 * 7)
    monkeypatch.setattr("skae.variational._stacked.N_DECODED", 50)
    chunked = model.score_samples(iris), model.reconstruct(iris), model.transform(iris)
    for one, two in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9)


# ------------------------------------------------------------------ the start


def test_it_starts_at_logistic_regression_and_at_the_means_of_classes(iris, few):
    Z = (iris - iris.mean(0)) / np.sqrt(iris.var(0).mean())
    known = few != -1
    logistic = LogisticRegression(tol=1e-10, max_iter=1000).fit(Z[known], few[known])
    model = clone(MODEL).set_params(**STILL).fit(iris, few)
    np.testing.assert_allclose(model.predict_proba(iris), logistic.predict_proba(Z), atol=2e-3)
    likely = np.where(known, few, model.predict(iris))
    means = [iris[likely == c].mean(0) for c in range(3)]
    np.testing.assert_allclose(model.inverse_transform(np.zeros((3, 2)), [0, 1, 2]), means, rtol=1e-6)


def test_the_prior_of_the_classes_is_their_share_of_the_labels(iris):
    y = np.where(np.arange(150) < 60, SPECIES, -1)  # 50 of the first, 10 of the second
    y[-2:] = 2
    model = clone(MODEL).fit(iris, y)
    np.testing.assert_allclose(model.class_prior_, np.array([51, 11, 3]) / 65, rtol=1e-6)
    np.testing.assert_allclose(clone(MODEL).partial_fit(iris, y * 0 - 1, classes=[4, 5]).class_prior_, 0.5, rtol=1e-6)


# ------------------------------------------------------------------ codes


def test_the_code_is_the_mean_over_classes_or_that_of_a_class(iris, few):
    """And the deviation is that of a mixture of normal distributions."""
    model = clone(MODEL).set_params(dtype="float64").fit(iris, few)
    mu, sigma = (
        np.stack(part) for part in zip(*(model.posterior(iris, np.full(150, c)) for c in range(3)), strict=True)
    )
    q = model.predict_proba(iris).T[..., None]
    mean = (q * mu).sum(0)
    np.testing.assert_allclose(model.transform(iris), mean, rtol=1e-9, atol=1e-12)
    deviation = np.sqrt((q * (sigma**2 + mu**2)).sum(0) - mean**2)
    np.testing.assert_allclose(model.posterior(iris)[1], deviation, rtol=1e-6)
    partly = model.transform(iris, few)
    np.testing.assert_allclose(partly[few == 1], mu[1][few == 1], rtol=1e-9)
    np.testing.assert_allclose(partly[few == -1], mean[few == -1], rtol=1e-9, atol=1e-12)


def test_decoding_without_a_class_is_the_mean_over_classes(iris, few):
    model = clone(MODEL).set_params(dtype="float64").fit(iris, few)
    H = model.transform(iris)
    of_class = np.stack([model.inverse_transform(H, c) for c in range(3)])
    np.testing.assert_allclose(model.inverse_transform(H), np.tensordot(model.class_prior_, of_class, 1), rtol=1e-9)
    np.testing.assert_allclose(model.inverse_transform(H, few)[few == 2], of_class[2][few == 2], rtol=1e-9)


@pytest.mark.parametrize("model", [MODEL, STACK], ids=["m2", "m1m2"])
def test_ends_of_an_interpolation_are_reconstructions(model, iris, few):
    model = clone(model).set_params(dtype="float64", max_iter=20).fit(iris, few)
    between = model.interpolate(iris[0], iris[[140]], 5)
    assert between.shape == (5, 4)
    np.testing.assert_allclose(between[[0, -1]], model.reconstruct(iris[[0, 140]]), rtol=1e-6)
    told = model.reconstruct(iris, SPECIES)
    np.testing.assert_allclose(told, model.inverse_transform(model.transform(iris, SPECIES), SPECIES), rtol=1e-6)
    assert ((model.reconstruct(iris) - iris) ** 2).mean() < 0.3 * iris.var(0).mean()


# ------------------------------------------------------------------ samples


@pytest.fixture
def clouds(rng):
    """Three clouds far apart, around 10 times a unit vector each, of 20, 40 and 60 rows."""
    y = np.repeat([0, 1, 2], [20, 40, 60])
    return 10 * np.eye(4)[y] + rng.standard_normal((120, 4)), y


@pytest.mark.parametrize("model", [MODEL, STACK], ids=["m2", "m1m2"])
def test_samples_are_of_the_class_that_is_asked_for(model, clouds):
    X, y = clouds
    model = clone(model).set_params(max_iter=20, batch_size=30).fit(X, np.where(np.arange(120) % 4, WORDS[y], None))
    for c, word in enumerate(WORDS):
        rows = model.sample(200, random_state=0, y=word)
        assert (rows.argmax(1) == c).mean() > 0.95
        np.testing.assert_allclose(rows.mean(0), X[y == c].mean(0), atol=1.0)
    rows = model.sample(random_state=0, y=WORDS[y])
    assert (rows.argmax(1) == y).mean() > 0.95
    np.testing.assert_array_equal(rows, model.sample(random_state=0, y=WORDS[y]))
    drawn = np.bincount(model.sample(2000, random_state=0).argmax(1), minlength=3)[:3] / 2000
    np.testing.assert_allclose(drawn, model.class_prior_, atol=0.05)
    np.testing.assert_allclose(model.class_prior_, np.array([16, 31, 46]) / 93, atol=1e-6)


def test_the_codes_of_samples_do_not_depend_on_the_class(iris, few):
    """So the style is kept where the class changes."""
    model = clone(MODEL).fit(iris, few)
    noise = [
        model.sample(4, random_state=1, y=c) - model.inverse_transform(model.sample_codes(4, 1), c) for c in (0, 2)
    ]
    np.testing.assert_allclose(noise[0], noise[1], atol=1e-5)


# ------------------------------------------------------------------ a stack


def test_the_score_of_a_stack_is_a_bound_of_a_density_of_x(iris):
    """That of two linear Gaussian models is a mixture of normal distributions. Many draws reach its log-density."""
    below = VariationalAutoencoder(2, prior="normal", hidden_layer_sizes=(4,), **STILL).fit(iris)
    stack = SemiSupervisedVariationalAutoencoder(
        1, encoder=FrozenEstimator(below), hidden_layer_sizes=(4,), n_draws=2048, **STILL
    ).fit(iris, SPECIES)
    W, s = below.module_.expansion.numpy() * below.scale_, below.noise_variance_
    frame = stack._output_frame
    E, means = stack.module_.expansion.numpy()[:1] * frame.scale, stack.module_.expansion.numpy()[1:] * frame.scale
    A = E.T @ E + stack.noise_variance_ * np.eye(2)
    C = W.T @ A @ W + s * np.eye(4)
    log_p = [multivariate_normal((m + frame.center) @ W + iris.mean(0), C).logpdf(iris) for m in means]
    exact = logsumexp(np.array(log_p) + stack.module_.log_prior.numpy()[:, None], axis=0)
    found = stack.score_samples(iris)
    np.testing.assert_allclose(found, exact, atol=0.01)
    assert stack.elbo(iris).mean() < found.mean()


def test_an_encoder_is_fitted_or_comes_fitted(iris, few):
    fresh = clone(STACK).fit(iris, few)
    known = clone(BELOW).fit(iris)
    frozen = clone(STACK).set_params(encoder=FrozenEstimator(known)).fit(iris, few)
    np.testing.assert_array_equal(fresh.predict_proba(iris), frozen.predict_proba(iris))
    np.testing.assert_array_equal(fresh.encoder_.transform(iris), known.transform(iris))
    assert not hasattr(BELOW, "module_")
    assert frozen.encoder_ is not known
    assert frozen.transform(iris).shape == (150, 2)
    assert "expecting 4 features" in refuses(frozen, "fit", iris[:, :3], few)
    assert not hasattr(frozen.set_params(encoder=None).fit(iris, few), "encoder_")


def test_a_stack_goes_on_with_its_encoder(iris, few):
    model = clone(STACK).set_params(warm_start=True).fit(iris, few)
    below = model.encoder_
    assert model.fit(iris, few).encoder_ is below
    assert model.partial_fit(iris, few).n_iter_ == 9
    assert "encoder changed since the last fit" in refuses(model.set_params(encoder=None), "fit", iris, few)


def test_the_code_of_a_stack_has_no_jacobian(iris, few):
    with pytest.raises(TypeError, match="has no Jacobian"):
        clone(STACK).fit(iris, few).jacobian_singular_values(iris)
    assert clone(MODEL).fit(iris, few).jacobian_singular_values(iris).shape == (150, 2)


# ------------------------------------------------------------------ images, other likelihoods


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
def test_images_and_other_likelihoods(digits, likelihood):
    X, y = (digits / 16).reshape(-1, 8, 8)[:120].reshape(120, 64), datasets.load_digits().target[:120]
    few = np.where(np.arange(120) < 60, y, -1)
    options = {**QUICK, "channels": (3,), "kernel_size": 3, "max_iter": 2}
    model = SemiSupervisedVariationalAutoencoder(likelihood=likelihood, **options).fit(X, few)
    assert model.score(X, y) > 0.8
    assert np.isfinite(model.score_samples(X)).all()
    rows = model.sample(y=[3, 4], random_state=0)
    assert rows.shape == (2, 64)
    assert likelihood != "bernoulli" or set(np.unique(rows)) == {0.0, 1.0}


# ------------------------------------------------------------------ as a user


@pytest.mark.parametrize("model", [MODEL, STACK], ids=["m2", "m1m2"])
def test_a_pipeline_a_search_and_a_pickle(model, iris, few):
    pipe = make_pipeline(MinMaxScaler(), clone(model))
    search = GridSearchCV(pipe, {"semisupervisedvariationalautoencoder__alpha": [0.1, 1.0]}, cv=2).fit(iris, few)
    again = pickle.loads(pickle.dumps(search.best_estimator_))
    np.testing.assert_array_equal(again.predict_proba(iris), search.predict_proba(iris))
    np.testing.assert_array_equal(again[-1].sample(3, 0, y=1), search.best_estimator_[-1].sample(3, 0, y=1))
    assert pipe.fit(iris, few).inverse_transform(pipe.transform(iris)).shape == iris.shape


def test_frames_sparse_rows_and_one_row(iris, few):
    expected = clone(MODEL).fit(iris, few)
    frame = pd.DataFrame(iris, columns=list("abcd"))
    framed = clone(STACK).set_output(transform="pandas").fit(frame, few)
    assert framed.transform(frame).shape == (150, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert framed.score_samples(frame).shape == framed.reconstruct(frame)[:, 0].shape
    thin = clone(MODEL).fit(sparse.csr_array(iris), few)
    np.testing.assert_allclose(thin.predict_proba(iris), expected.predict_proba(iris), atol=1e-5)
    np.testing.assert_allclose(expected.predict_proba(iris[:1]), expected.predict_proba(iris)[:1], atol=1e-6)


@pytest.mark.parametrize("model", [MODEL, STACK], ids=["m2", "m1m2"])
def test_rows_that_cannot_be_read_are_named(model, iris, few):
    model = clone(model).fit(iris, few)
    spoilt = iris.copy()
    spoilt[3, 2] = np.nan
    for method in ("transform", "reconstruct", "score_samples", "elbo", "predict"):
        assert "NaN in row 3, column 2" in refuses(model, method, spoilt)
        assert "3 features" in refuses(model, method, iris[:, :3])
    assert "3" in refuses(model, "inverse_transform", np.ones((4, 3)))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"alpha": -0.1}, "'alpha' parameter of SemiSupervisedVariationalAutoencoder must be a float in the range"),
        ({"consistency": -1.0}, "'consistency' parameter"),
        ({"encoder": Autoencoder()}, "'encoder' parameter"),
        ({"encoder": FrozenEstimator(Autoencoder(2, max_iter=1).fit(np.eye(4)))}, "must be a VariationalAutoencoder"),
        ({"encoder": BELOW, "likelihood": "bernoulli"}, "set likelihood and channels of the encoder"),
        ({"encoder": clone(BELOW).set_params(n_components=0)}, "'n_components' parameter of VariationalAutoencoder"),
        ({"tied_weights": True}, "tied_weights=True gives the decoder no weights for the class"),
        (
            {"channels": (2,), "image_shape": (2, 2), "code": "map", "hidden_layer_sizes": ()},
            "code='map' has no dense layers",
        ),
    ],
)
def test_bad_parameters_are_named(iris, few, options, sentence):
    assert sentence in refuses(clone(MODEL).set_params(**options), "fit", iris, few)


@pytest.mark.filterwarnings("ignore:X has values outside")
def test_a_cure_names_terms_that_have_a_weight(iris):
    with pytest.warns(ConvergenceWarning, match="lower the weight of the term") as told:
        clone(MODEL).set_params(likelihood="bernoulli", max_iter=30).fit(iris, SPECIES)
    assert not any("class_divergence" in str(one.message) for one in told)


def test_an_encoder_of_rows_and_conditions_is_refused(iris, few):
    below = ConditionalVariationalAutoencoder(2, hidden_layer_sizes=(6,), max_iter=2, random_state=0)
    for encoder in (below, FrozenEstimator(clone(below).fit(iris, SPECIES))):
        model = clone(MODEL).set_params(encoder=encoder)
        assert "must be a VariationalAutoencoder, which needs no y." in refuses(model, "fit", iris, few)


def test_classes_that_were_not_seen_are_refused(iris, few):
    model = clone(MODEL).fit(iris, few)
    assert refuses(model, "sample", 2, y=7) == "y has 7, but the classes are [0, 1, 2]."
    assert "y must be one label, or one for each of the 3 samples: got 2." in refuses(model, "sample", 3, y=[0, 1])
    assert "which is not among the classes [0, 1, 2]" in refuses(model, "transform", iris, np.full(150, 9))
    assert "n_samples" in refuses(model, "sample", 0)
    assert refuses(model, "sample", y=[]) == "y must be one label, or one for each of the 1 samples: got 0."
    assert "got the shape (1, 3)." in refuses(model, "sample", 3, y=[[0, 1, 2]])


def test_a_column_of_labels_is_a_label_for_each_sample(iris, few):
    model = clone(MODEL).fit(iris, few)
    np.testing.assert_array_equal(model.sample(y=SPECIES[:3, None]), model.sample(y=SPECIES[:3]))
    np.testing.assert_array_equal(model.sample(y=pd.DataFrame({"y": [2, 1]})), model.sample(y=[2, 1]))


def test_sparse_codes_are_refused_in_a_sentence(iris, few):
    model = clone(MODEL).fit(iris, few)
    assert "dense data is required" in refuses(model, "inverse_transform", sparse.csr_array(np.eye(2)), 1)

"""VectorQuantizedAutoencoder: against k-means, product quantisation, Autoencoder, enumeration and closed forms."""

import itertools
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from scipy.special import logsumexp
from scipy.stats import norm
from sklearn.base import clone
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, VectorQuantizedAutoencoder
from skae.engine.data import Batch
from skae.exceptions import NothingLearntWarning
from skae.metrics import reconstruction_r2
from skae.nn.quantizers import FiniteScalarQuantizer, VectorQuantizer
from skae.variational import _codebook
from skae.variational._codebook import start_codebook

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "batch_size": 20, "random_state": 0}
STILL = {**QUICK, "max_iter": 1, "learning_rate_init": 1e-12, "weight_decay": 0.0}
"""Hardly any step: what is measured is the start."""
IMAGE = {"channels": (4,), "hidden_layer_sizes": (), "max_iter": 2, "random_state": 0}


@pytest.fixture
def X(rng):
    return rng.random((60, 7)) * np.arange(1, 8)


def fsq(*args, **options):
    return VectorQuantizedAutoencoder(*args, quantizer="fsq", **options)


# ------------------------------------------------------------------ limits


@pytest.mark.parametrize("options", [{}, {"init": "random"}, {"dropout": 0.3}, {"likelihood": "poisson"}])
def test_without_quantisation_it_is_an_autoencoder_to_the_last_bit(options, X, monkeypatch):
    def nothing(quantizer, neck, *rest):
        return neck

    monkeypatch.setattr(VectorQuantizer, "bottleneck", nothing)
    monkeypatch.setattr("skae.variational.vector_quantized.balancing_rotation", lambda v, n: torch.eye(len(v)))
    model = VectorQuantizedAutoencoder(4, **QUICK, **options).fit(X)
    plain = Autoencoder(4, **QUICK, **options).fit(X)
    np.testing.assert_array_equal(model.transform(X), plain.transform(X))
    np.testing.assert_array_equal(model.reconstruct(X), plain.inverse_transform(plain.transform(X)))
    assert model.history_["loss"] == plain.history_["loss"]


@pytest.mark.parametrize("n_groups", [1, 3])
def test_it_starts_at_k_means_of_pca_codes(n_groups, digits):
    """With one group, or with groups of turned codes that share a codebook."""
    model = VectorQuantizedAutoencoder(6, n_groups=n_groups, codebook_size=20, decay=0.999, **STILL).fit(digits)
    pca = PCA(6).fit(digits)
    turned = model.module_.projection.double().numpy()
    np.testing.assert_allclose(turned @ turned.T, np.eye(6), atol=1e-6)  # of the same subspace as PCA:
    np.testing.assert_allclose(turned.T @ turned, pca.components_.T @ pca.components_, atol=1e-4)
    z = ((digits - pca.mean_) @ turned.T).reshape(-1, 6 // n_groups) / model.scale_
    means = KMeans(20, init=model.codebook_, n_init=1).fit(z)
    np.testing.assert_allclose(model.codebook_, means.cluster_centers_, atol=0.15)  # a fixed point of k-means
    q = model.codebook_[model.encode_indices(digits)].reshape(len(digits), -1)
    np.testing.assert_array_equal(model.transform(digits), q)
    np.testing.assert_allclose(model.reconstruct(digits), pca.mean_ + model.scale_ * q @ turned, atol=1e-3)


def test_an_index_is_that_of_the_nearest_entry(X):
    model = VectorQuantizedAutoencoder(4, codebook_size=9, **QUICK).fit(X)
    seen = torch.from_numpy((X - model.mean_) / model.scale_).float()
    e = model.module_.encode(seen).detach().numpy().reshape(60, 2, 1, 2)
    nearest = ((e - model.codebook_) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(model.encode_indices(X), nearest)
    assert model.encode_indices(X).dtype == np.int64


@pytest.mark.parametrize("make", [VectorQuantizedAutoencoder, fsq])
def test_a_step_by_hand_is_that_of_autograd(make, X):
    model = make(4, dtype="float64", **QUICK).fit(X)
    module, batch = model.module_, Batch(torch.from_numpy(X[:20]), torch.arange(20.0).double())
    gradients = []
    for step in (model._step, super(Autoencoder, model)._step):
        state = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        for parameter in module.parameters():
            parameter.grad.zero_()
        step(module, batch, torch.Generator().manual_seed(0))
        gradients.append([parameter.grad.clone() for parameter in module.parameters()])
        module.load_state_dict(state)
    for by_hand, automatic in zip(*gradients, strict=True):
        torch.testing.assert_close(by_hand, automatic)
    assert any(gradient.any() for gradient in gradients[0])


@pytest.mark.parametrize("make", [VectorQuantizedAutoencoder, fsq])
def test_training_improves_on_the_start(make, digits):
    train, test = digits[:300], digits[300:]
    start = make(8, **{**STILL, "hidden_layer_sizes": (64,)}).fit(train)
    trained = make(8, hidden_layer_sizes=(64,), max_iter=40, random_state=0).fit(train)
    assert reconstruction_r2(trained, test) > reconstruction_r2(start, test) + 0.03


# ------------------------------------------------------------------ indices and codes


@pytest.mark.parametrize("options", [{}, {"quantizer": "fsq"}, {"n_groups": 1}, {"quantizer": "fsq", "n_groups": 2}])
def test_indices_codes_and_rows_say_the_same(options, X):
    model = VectorQuantizedAutoencoder(4, levels=5, **QUICK, **options).fit(X)
    indices = model.encode_indices(X)
    assert indices.shape == (60, model.module_.quantizer.n_codes)
    np.testing.assert_array_equal(model.decode_indices(indices), model.reconstruct(X))
    np.testing.assert_array_equal(model.inverse_transform(model.transform(X)), model.reconstruct(X))
    np.testing.assert_array_equal(model.codebook_[indices].reshape(60, -1), model.transform(X))
    assert model.codebook_.shape == (model.codebook_size_, 4 // indices.shape[1])
    assert indices.min() >= 0
    assert indices.max() < model.codebook_size_
    np.testing.assert_array_equal(model.decode_indices(indices.astype(float).tolist()), model.reconstruct(X))


@pytest.mark.parametrize("quantizer", ["vq", "fsq"])
def test_a_map_has_an_index_at_each_position(quantizer, digits):
    model = VectorQuantizedAutoencoder(3, quantizer=quantizer, code="map", **IMAGE).fit(digits[:60])
    assert model.code_shape_ == (3, 2, 2)
    assert model.transform(digits).shape == (400, 12)
    indices = model.encode_indices(digits)
    per_position = 1 if quantizer == "vq" else 3
    assert indices.shape == (400, 4 * per_position)
    np.testing.assert_array_equal(model.decode_indices(indices), model.reconstruct(digits))
    maps = model.transform(digits).reshape(400, per_position, -1, 2, 2)
    by_position = model.codebook_[indices.reshape(400, per_position, 2, 2)]
    np.testing.assert_array_equal(np.moveaxis(by_position, -1, 2), maps)
    assert np.isfinite(model.score_samples(digits)).all()


def test_convolutional_layers_and_a_code_that_is_a_vector(digits):
    model = VectorQuantizedAutoencoder(4, **IMAGE).fit(digits[:60])
    assert model.image_shape_ == (1, 8, 8)
    assert model.encode_indices(digits).shape == (400, 2)
    assert model.score(digits) > fsq(4, **STILL).fit(digits[:60]).score(digits) - 100
    assert model.sample(2, random_state=0).shape == (2, 64)


@pytest.mark.parametrize(
    ("n_components", "options", "n_codes", "size"),
    [
        (6, {}, 3, 4),
        (5, {}, 5, 4),
        (6, {"quantizer": "fsq", "levels": 3}, 6, 3),
        (6, {"quantizer": "fsq", "n_groups": 2, "levels": (2, 3, 4)}, 2, 24),
        (6, {"n_groups": 2, "codebook_size": 60}, 2, 60),
    ],
)
def test_groups_and_sizes(n_components, options, n_codes, size, X):
    model = VectorQuantizedAutoencoder(n_components, **QUICK, **options).fit(X)
    assert model.encode_indices(X).shape == (60, n_codes)
    assert model.codebook_size_ == size


@pytest.mark.parametrize(("n", "size"), [(1, 1), (2, 2), (31, 2), (32, 4), (511, 32), (2100, 256)])
def test_the_automatic_codebook_has_an_entry_for_eight_rows(n, size, rng):
    model = VectorQuantizedAutoencoder(2, **{**STILL, "batch_size": 1000}).fit(rng.random((n, 3)))
    assert model.codebook_size_ == size


# ------------------------------------------------------------------ density


@pytest.mark.parametrize("quantizer", ["vq", "fsq"])
def test_the_score_is_the_formula_and_a_bound(quantizer, X):
    """Against the sum over all lists of indices, which is the likelihood."""
    sizes = {"codebook_size": 4, "levels": 4, "n_groups": 2}
    model = VectorQuantizedAutoencoder(2, quantizer=quantizer, dtype="float64", **sizes, **QUICK).fit(X)
    frequency = np.stack([np.bincount(column, minlength=4) for column in model.encode_indices(X).T])
    log_prior = np.log((frequency + 0.25) / 61)
    lists = np.array(list(itertools.product(range(4), range(4))))
    rows, deviation = model.decode_indices(lists), np.sqrt(model.noise_variance_)
    joint = norm.logpdf(X[:, None], rows, deviation).sum(2) + log_prior[[0, 1], lists].sum(1)
    own = model.encode_indices(X) @ [4, 1]
    np.testing.assert_allclose(model.score_samples(X), joint[np.arange(60), own], rtol=1e-9)
    assert (model.score_samples(X) < logsumexp(joint, axis=1)).all()
    np.testing.assert_allclose(deviation**2, np.mean((X - model.reconstruct(X)) ** 2))


def test_the_bound_of_counts_and_bits_is_their_own(rng):
    X = rng.integers(0, 2, (60, 6)).astype(float)
    model = VectorQuantizedAutoencoder(2, likelihood="bernoulli", **QUICK).fit(X)
    p = model.reconstruct(X)
    fit = (X * np.log(p) + (1 - X) * np.log(1 - p)).sum(1)
    frequency = np.bincount(model.encode_indices(X)[:, 0], minlength=4)
    log_prior = np.log((frequency + 0.25) / 61)[model.encode_indices(X)[:, 0]]
    np.testing.assert_allclose(model.score_samples(X), fit + log_prior, rtol=1e-4)
    assert set(np.unique(model.sample(30, random_state=0))) == {0.0, 1.0}
    with pytest.raises(AttributeError, match="gaussian"):
        model.noise_variance_  # noqa: B018


def test_weights_count_as_rows_do(X):
    weight = np.arange(60) % 3
    model = VectorQuantizedAutoencoder(4, **QUICK).fit(X, sample_weight=weight)
    repeated = X.repeat(weight, axis=0)
    counts = [np.bincount(column, minlength=model.codebook_size_) for column in model.encode_indices(repeated).T]
    np.testing.assert_allclose(model.module_.quantizer.frequency, np.divide(counts, len(repeated)), atol=1e-6)
    lost = np.mean((repeated - model.reconstruct(repeated)) ** 2)
    assert model.noise_variance_ == pytest.approx(lost, rel=1e-4)


def test_the_start_is_weighted():
    quantizer, weight = VectorQuantizer(1, 2, 1, 1), torch.tensor([1.0, 2.0, 0.0])
    start_codebook(quantizer, torch.tensor([[1.0, 3.0], [4.0, 8.0], [99.0, 99.0]]), weight, 40.0, seed=0)
    assert quantizer.codebook.item() == pytest.approx((1 + 3 + 2 * 4 + 2 * 8) / 6)
    assert quantizer.counts.item() == pytest.approx(40)


def test_one_row_that_counts_is_enough_for_any_codebook(X, monkeypatch):
    monkeypatch.setattr(_codebook, "MOST_VECTORS", 4)  # as if there were too many rows to look at all
    weight = np.arange(60) == 7
    for size in (2, 30):
        model = VectorQuantizedAutoencoder(2, codebook_size=size, **QUICK).fit(X, sample_weight=weight)
        np.testing.assert_allclose(model.reconstruct(X[7:8]), X[7:8], atol=0.1)


def test_samples_have_the_frequencies_and_the_noise_of_the_model(X):
    model = VectorQuantizedAutoencoder(2, codebook_size=3, **QUICK).fit(X)
    rows = model.sample(4000, random_state=0)
    prior = model.module_.quantizer.prior[0].numpy()
    means = model.decode_indices(np.arange(3)[:, None])
    expected = prior @ means
    np.testing.assert_allclose(rows.mean(0), expected, atol=5 * rows.std(0).max() / np.sqrt(4000))
    variance = prior @ (means - expected) ** 2 + model.noise_variance_
    np.testing.assert_allclose(rows.var(0), variance, rtol=0.15)
    np.testing.assert_array_equal(model.sample(5, random_state=1), model.sample(5, random_state=1))
    assert not np.array_equal(model.sample(5, random_state=1), model.sample(5, random_state=2))


def test_chunks_blend_frequencies_and_variance(X):
    model = VectorQuantizedAutoencoder(2, codebook_size=4, **QUICK)
    model.partial_fit(X)
    before, variance = model.module_.quantizer.frequency.clone(), model.noise_variance_
    model.partial_fit(X[:30])
    of_chunk = np.bincount(model.encode_indices(X[:30])[:, 0], minlength=4) / 30
    np.testing.assert_allclose(model.module_.quantizer.frequency[0], (2 * before[0].numpy() + of_chunk) / 3, atol=1e-6)
    lost = np.mean((X[:30] - model.reconstruct(X[:30])) ** 2)
    assert model.noise_variance_ == pytest.approx((2 * variance + lost) / 3, rel=1e-3)


# ------------------------------------------------------------------ perplexity


def test_perplexity_is_that_of_the_frequencies(X):
    model = VectorQuantizedAutoencoder(4, codebook_size=8, **QUICK).fit(X)
    share = np.bincount(model.encode_indices(X).ravel(), minlength=8) / 120
    share = share[share > 0]
    assert model.perplexity_ == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-5)
    assert len(model.history_["perplexity"]) == model.n_iter_
    assert all(1 <= value <= 8 for value in model.history_["perplexity"])


def test_equal_frequencies_have_the_perplexity_of_their_number(X):
    clouds = 100 * np.repeat(np.eye(4), 10, axis=0) + 0.01 * X[:40, :4]
    model = VectorQuantizedAutoencoder(3, n_groups=1, codebook_size=4, **QUICK).fit(clouds)
    assert model.perplexity_ == pytest.approx(4.0)
    assert sorted(np.bincount(model.encode_indices(clouds)[:, 0])) == [10, 10, 10, 10]


@pytest.mark.parametrize(("quantizer", "other"), [("vq", "fsq"), ("fsq", "vq")])
def test_a_collapsed_codebook_is_told_with_its_cure(quantizer, other, rng):
    """By a single outlier, which takes an entry of its own."""
    X = np.append(rng.random((200, 4)), [[1e4] * 4], axis=0)
    model = VectorQuantizedAutoencoder(2, quantizer=quantizer, n_groups=1, codebook_size=2, levels=2, max_iter=30)
    with pytest.warns(NothingLearntWarning, match=f"codebook has collapsed.*outliers in X.*quantizer='{other}'"):
        model.set_params(hidden_layer_sizes=(), random_state=0).fit(X)
    assert model.perplexity_ < 1.05


def test_neither_a_codebook_in_use_nor_equal_rows_are_told(digits):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        VectorQuantizedAutoencoder(2, hidden_layer_sizes=(), batch_size=5, max_iter=20, random_state=0).fit(
            np.ones((20, 3))
        )
        VectorQuantizedAutoencoder(4, **{**QUICK, "max_iter": 5}).fit(digits)


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"n_groups": 3}, "n_groups=3 does not divide n_components=4"),
        ({"codebook_size": 61}, "codebook_size=61 is larger than the number of rows, 60"),
        ({"quantizer": "fsq", "levels": 1}, "levels=1 must be at least 2"),
        ({"quantizer": "fsq", "levels": (2, 3)}, "one number or 1, the width of a vector"),
        ({"quantizer": "fsq", "levels": 300, "n_groups": 1}, "raise n_groups"),
        ({"solver": "lbfgs"}, "solver='lbfgs' needs a smooth objective"),
        ({"code": "map"}, "set hidden_layer_sizes="),
        ({"code": "map", "hidden_layer_sizes": ()}, "code='map' needs convolutional layers"),
        ({"codebook_size": 0}, "codebook_size"),
        ({"quantizer": "rq"}, "quantizer"),
        ({"decay": 1.0}, "decay"),
        ({"commitment": -1.0}, "commitment"),
    ],
)
def test_parameters_that_are_wrong_or_do_not_go_together(options, sentence, X):
    model = VectorQuantizedAutoencoder(4, **{**QUICK, **options})
    with pytest.raises(ValueError, match=sentence.replace("(", r"\(")):
        model.fit(X)
    assert not hasattr(model, "module_")
    assert not hasattr(model, "codebook_size_")


@pytest.mark.parametrize(
    ("indices", "sentence"),
    [
        ([[0, 1, 2]], r"must have the shape \(n_samples, 2\), but theirs is \(1, 3\)"),
        ([0, 1], r"theirs is \(2,\)"),
        (np.zeros((0, 2)), r"theirs is \(0, 2\)"),
        ([[0, 1], [0, 9]], r"has 9 in row 1, column 1, but an index is a whole number from 0 to 8"),
        ([[0, -1]], r"has -1 in row 0, column 1"),
        ([[0.5, 1]], r"has 0.5 in row 0, column 0"),
        ([[0, np.nan]], r"has nan in row 0, column 1"),
        ([["a", "b"]], r"are no numbers"),
        ([[0, 1], [0]], r"are no numbers"),
    ],
)
def test_indices_that_are_none(indices, sentence, X):
    model = VectorQuantizedAutoencoder(4, codebook_size=9, **QUICK).fit(X)
    with pytest.raises(ValueError, match=sentence):
        model.decode_indices(indices)


def test_other_bad_input(X):
    model = VectorQuantizedAutoencoder(4, **QUICK)
    for call in (model.encode_indices, model.decode_indices, model.sample, model.reconstruct):
        with pytest.raises(NotFittedError):
            call() if call == model.sample else call(X)
    model.fit(X)
    with pytest.raises(ValueError, match="n_samples=0"):
        model.sample(0)
    with pytest.raises(ValueError, match="3 features"):
        model.encode_indices(X[:, :3])
    with pytest.raises(ValueError, match="infinity in row 2, column 1"):
        model.encode_indices(np.where(np.arange(420).reshape(60, 7) == 15, np.inf, X))
    warm = clone(model).set_params(warm_start=True, codebook_size=8).fit(X)
    with pytest.raises(ValueError, match="codebook_size changed since the last fit"):
        warm.set_params(codebook_size=4).fit(X)


# ------------------------------------------------------------------ a new user


def test_a_pipeline_is_searched(digits):
    pipe = make_pipeline(StandardScaler(with_std=False), VectorQuantizedAutoencoder(4, **QUICK))
    grid = {"vectorquantizedautoencoder__quantizer": ["vq", "fsq"]}
    search = GridSearchCV(pipe, grid, cv=2, error_score="raise").fit(digits[:100])
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.transform(digits[:3]).shape == (3, 4)


def test_every_kind_of_table_gives_the_same(X):
    X = X.astype(np.float32).round(2)
    model = VectorQuantizedAutoencoder(4, codebook_size=8, **QUICK).fit(X)
    expected = model.encode_indices(X)
    frame = pd.DataFrame(X, columns=list("abcdefg"))
    named = clone(model).fit(frame)
    np.testing.assert_array_equal(named.encode_indices(frame), expected)
    assert named.set_output(transform="pandas").transform(frame).columns[0] == "vectorquantizedautoencoder0"
    way = named.interpolate(frame.iloc[0], frame.iloc[1], 3)
    np.testing.assert_array_equal(way, named.interpolate(X[0], X[1], 3))
    np.testing.assert_allclose(way[[0, 2]], named.reconstruct(frame[:2]), rtol=1e-5)
    for table in (sparse.csr_matrix(X), torch.from_numpy(X), X.tolist()):
        np.testing.assert_array_equal(model.encode_indices(table), expected)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.decode_indices(expected), model.decode_indices(expected))
    np.testing.assert_array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))
    assert again.perplexity_ == model.perplexity_
    np.testing.assert_array_equal(again.partial_fit(X).transform(X), model.partial_fit(X).transform(X))


def test_quantisers_are_of_the_kind_asked_for(X):
    assert isinstance(VectorQuantizedAutoencoder(2, **QUICK).fit(X).module_.quantizer, VectorQuantizer)
    assert isinstance(fsq(2, **QUICK).fit(X).module_.quantizer, FiniteScalarQuantizer)


def test_one_row_is_reconstructed(X):
    for make in (VectorQuantizedAutoencoder, fsq):
        model = make(4, **QUICK).fit(X[:1])
        np.testing.assert_allclose(model.reconstruct(X[:1]), X[:1], atol=1e-2)
        assert model.encode_indices(X[:1]).shape[0] == 1

"""BidirectionalGAN: each player against its formula, the limits, and equilibria that are known."""

import math
import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import Autoencoder, BidirectionalGAN
from skae.engine.data import Batch
from skae.exceptions import CriticWinsWarning
from skae.functional import OPPOSITIONS
from skae.nn.critics import Critic

QUICK = {"hidden_layer_sizes": (6,), "critic_layer_sizes": (5, 4), "max_iter": 2, "batch_size": 20, "random_state": 0}
IMAGE = {"channels": (3,), "hidden_layer_sizes": (), "critic_layer_sizes": (5,), "max_iter": 1, "random_state": 0}
LOSSES = ("logistic", "wasserstein", "hinge")
every_loss = pytest.mark.parametrize("loss", LOSSES)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def X(rng):
    return rng.random((60, 7)) * np.arange(1, 8)


def ready(X, **options):
    """A model in float64 whose networks are no longer at the start, and a batch of weighted rows."""
    model = BidirectionalGAN(2, dtype="float64", **{**QUICK, "learning_rate_init": 0.03, **options}).fit(X)
    rows = torch.from_numpy(X[:20])
    seen = (rows - torch.from_numpy(model.mean_)) / model.scale_ if model.likelihood == "gaussian" else rows
    model._flat.grad.zero_()
    return model, Batch(seen, torch.rand(20, generator=seeded(5)).double())


def gradients(parameters, objective=None):
    """Those in ``grad``, or those of an objective."""
    parameters = list(parameters)
    if objective is None:
        return [p.grad.clone() for p in parameters]
    return list(torch.autograd.grad(objective, parameters, allow_unused=True, materialize_grads=True))


# ------------------------------------------------------------------ each player

# of the critic for a real and for a made pair, and of the others
FORMULAS = {
    "logistic": (
        lambda real: -torch.log(torch.sigmoid(real)),
        lambda made: -torch.log(1 - torch.sigmoid(made)),
        lambda s: -torch.log(torch.sigmoid(s)),
    ),
    "wasserstein": (lambda real: -real, lambda made: made, lambda s: -s),
    "hinge": (lambda real: (1 - real).clamp_min(0), lambda made: (1 + made).clamp_min(0), lambda s: -s),
}


def pairs_of(model, module, batch, rng):
    """Real pairs (x, E(x)), and made ones (G(z), z), by the formulas."""
    h = module.encode(batch.x)
    z = torch.empty(20, 2, dtype=torch.float64).normal_(generator=rng)
    made = module.decode(z)
    if model.likelihood == "bernoulli":
        made = torch.sigmoid(made)
    return torch.cat([batch.x, h], 1), torch.cat([made, z], 1)


@every_loss
@pytest.mark.parametrize("options", [{}, {"likelihood": "bernoulli"}, {"spectral_norm": True}], ids=str)
def test_the_critic_descends_its_formula(loss, options, X):
    model, batch = ready(X / X.max(), loss=loss, gradient_penalty=0.7, **options)
    module, critic = model.module_, model.module_.critic
    terms, parts, _ = model._step(module, batch, seeded(3))
    rng = seeded(3)
    real, made = (pair.detach() for pair in pairs_of(model, module, batch, rng))
    of_real, of_made = critic(real), critic(made)
    a, b, _ = FORMULAS[loss]
    expected = (batch.weight * a(of_real)).mean() + batch.weight.mean() * b(of_made).mean()
    at = real
    if loss == "wasserstein":
        share = torch.empty(20, 1, dtype=torch.float64).uniform_(generator=rng)
        at = share * real + (1 - share) * made
    leaf = at.clone().requires_grad_()
    (slope,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    if loss == "wasserstein":
        penalty = 0.7 * (batch.weight * (math.sqrt(7) * slope.norm(dim=1) - 1) ** 2).mean()
    else:
        penalty = 0.7 * 7 * (batch.weight * slope.square().sum(1)).mean() / 2
    assert parts == "critic"
    assert float(terms["critic"].detach()) == pytest.approx(float(expected.detach()))
    assert float(terms["penalty"].detach()) == pytest.approx(float(penalty.detach()))
    assert float(terms["accuracy"]) == pytest.approx(float((of_real > of_made).double().mean()))
    found = gradients(critic.parameters())
    torch.testing.assert_close(found, gradients(critic.parameters(), expected + penalty), rtol=1e-8, atol=1e-10)
    assert not any(p.grad.any() for name, p in module.named_parameters() if not name.startswith("critic"))


@every_loss
@pytest.mark.parametrize("weight", [0.0, 0.4])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_generator_and_encoder_descend_their_formulas(loss, weight, likelihood, X):
    model, batch = ready(X / X.max(), loss=loss, reconstruction_weight=weight, likelihood=likelihood)
    module = model.module_
    terms, parts, then = model._others_move(module, batch, seeded(3))
    assert parts == "main"
    assert then is None
    real, made = pairs_of(model, module, batch, seeded(3))
    maker = FORMULAS[loss][2]
    generator = batch.weight.mean() * maker(module.critic(made)).mean()
    encoder = (batch.weight * maker(-module.critic(real))).mean()
    eta = module.decode(module.encode(batch.x))
    if likelihood == "gaussian":
        error = (eta - batch.x).square().sum(1)
    else:
        error = torch.nn.functional.binary_cross_entropy_with_logits(eta, batch.x, reduction="none").sum(1)
    reconstruction = (batch.weight * error).mean()
    assert set(terms) == {"generator", "encoder"} | ({"reconstruction"} if weight else set())
    for name, expected in {"generator": generator, "encoder": encoder, "reconstruction": reconstruction}.items():
        if name in terms:
            assert float(terms[name].detach()) == pytest.approx(float(expected.detach()))
    main = [p for name, p in module.named_parameters() if not name.startswith("critic")]
    found = gradients(main)
    expected = gradients(main, 7 * generator + 7 * encoder + weight * reconstruction)
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-10)
    assert all(gradient.any() for gradient in found)
    assert not any(p.grad.any() for p in module.critic.parameters())


def test_the_generator_alone_feels_its_term_and_the_encoder_its_own(X):
    """Without a reconstruction, each term has a gradient in one network."""
    model, batch = ready(X, reconstruction_weight=0.0)
    module = model.module_
    real, made = pairs_of(model, module, batch, seeded(3))
    for pair, feels, feels_not in ((made, module.decoder, module.encoder), (real, module.encoder, module.decoder)):
        assert all(g.any() for g in gradients(feels.parameters(), module.critic(pair).sum()))
        assert not any(g.any() for g in gradients(feels_not.parameters(), module.critic(pair).sum()))


@pytest.mark.parametrize("n_critic", [1, 3])
def test_a_step_moves_the_critic_and_then_the_others(n_critic, X):
    model, batch = ready(X, n_critic=n_critic)
    module = model.module_
    move, seen = model._step(module, batch, rng := seeded(1)), []
    while move is not None:
        seen.append((move.parts, rng.get_state()))
        module.zero_grad(set_to_none=False)
        move = None if move.then is None else move.then()
    assert [parts for parts, _ in seen] == ["critic"] * n_critic + ["main"]
    states = [state for _, state in seen]
    assert not any(torch.equal(a, b) for a, b in zip(states[1:], states, strict=False))  # each has new codes


def test_history_and_parameters_of_a_fit(X):
    model = BidirectionalGAN(2, **QUICK).fit(X)
    terms = {"critic", "penalty", "accuracy", "generator", "encoder", "reconstruction", "mmd"}
    assert set(model.history_) == terms
    assert all(len(curve) == 2 for curve in model.history_.values())
    assert math.isnan(model.loss_)
    plain = BidirectionalGAN(2, reconstruction_weight=0.0, gradient_penalty=0.0, **QUICK).fit(X)
    assert set(plain.history_) == terms - {"reconstruction", "penalty"}
    assert model.module_.critic.body.weight_0.shape == (5, 9)
    assert [g.part for g in model._flat.groups] == ["main", "critic"]


# ------------------------------------------------------------------ limits


def test_it_starts_at_pca_with_codes_of_variance_one(digits):
    start = BidirectionalGAN(6, hidden_layer_sizes=(8,), learning_rate_init=1e-12, max_iter=1, random_state=0).fit(
        digits
    )
    pca = PCA(6, whiten=True).fit(digits)
    codes, expected = start.transform(digits), pca.transform(digits)
    np.testing.assert_allclose(np.abs((codes * expected).mean(0)), 1.0, atol=2e-2)
    np.testing.assert_allclose(start.reconstruct(digits), pca.inverse_transform(expected), atol=2e-2)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
def test_with_a_critic_that_says_nothing_it_is_the_autoencoder(likelihood, X, monkeypatch):
    monkeypatch.setattr(Critic, "forward", lambda critic, x: 0 * x.sum(1))
    options = {**QUICK, "solver": "sgd", "learning_rate_init": 1e-3, "dtype": "float64", "init": "random"}
    options |= {"likelihood": likelihood, "max_iter": 5}
    del options["critic_layer_sizes"]
    rows = X / X.max()
    model, plain = BidirectionalGAN(2, **options).fit(rows), Autoencoder(2, **options).fit(rows)
    np.testing.assert_allclose(model.transform(rows), plain.transform(rows), rtol=1e-9)
    np.testing.assert_allclose(model.history_["reconstruction"], plain.history_["reconstruction"], rtol=1e-9)
    halved = BidirectionalGAN(2, reconstruction_weight=0.5, **{**options, "learning_rate_init": 2e-3}).fit(rows)
    np.testing.assert_allclose(halved.transform(rows), model.transform(rows), rtol=1e-9)
    still = BidirectionalGAN(2, reconstruction_weight=0.0, **{**options, "max_iter": 1}).fit(rows)
    np.testing.assert_array_equal(still.module_.encoder.biases[0].detach(), 0.0)  # nothing has moved


def test_no_penalty_is_a_penalty_of_weight_zero(X):
    """To the bit, up to the numbers that "wasserstein" draws."""
    plain = BidirectionalGAN(2, gradient_penalty=0.0, **QUICK).fit(X)
    tiny = BidirectionalGAN(2, gradient_penalty=1e-30, **QUICK).fit(X)
    np.testing.assert_array_equal(plain.transform(X), tiny.transform(X))


def test_the_penalty_does_not_depend_on_repeated_columns(X):
    """A critic of x / sqrt(d): that of all columns twice, with half the weights, has the same penalty."""
    losses = []
    for rows in (X, np.hstack([X, X])):
        for loss in ("logistic", "wasserstein"):
            model, batch = ready(rows, loss=loss, hidden_layer_sizes=(), critic_layer_sizes=(), max_iter=1)
            d = rows.shape[1]
            with torch.no_grad():
                model.module_.critic.body.weight_0.fill_(1 / d)
                model.module_.critic.body.weight_0[:, d:] = 0.0
            losses.append(float(model._step(model.module_, batch, seeded())[0]["penalty"].detach()))
    assert losses[:2] == pytest.approx(losses[2:])


def test_the_penalty_of_images_counts_ten_times_as_much(digits):
    """Of a critic whose convolution is the identity, it is ten times that of the same dense critic."""
    penalties = []
    for options in ({}, {"channels": (1,), "pooling": None, "kernel_size": 1, "activation": "identity"}):
        fitted = BidirectionalGAN(2, **{**QUICK, "critic_layer_sizes": (), "hidden_layer_sizes": (), **options})
        fitted.fit(digits[:40])
        body = fitted.module_.critic.body
        dense = body.dense if options else body
        with torch.no_grad():
            dense.weight_0.copy_(torch.linspace(0, 1, 66)[None])
            if options:
                body.convolutions[0].weight.fill_(1.0)
        terms = fitted._step(fitted.module_, Batch(torch.tensor(digits[:40]).float()), seeded())[0]
        penalties.append(float(terms["penalty"].detach()))
    assert penalties[1] == pytest.approx(10 * penalties[0])


# ------------------------------------------------------------------ equilibria


def test_linear_networks_of_normal_rows_find_their_covariance_and_invert_each_other(rng):
    """At the equilibrium G G' = S and E G = I, for rows from N(mean, S) and codes as wide as the rows."""
    root = np.array([[1.5, 0.0], [0.9, 0.5]])
    X = rng.standard_normal((1000, 2)) @ root.T + [3.0, -1.0]
    options = {"hidden_layer_sizes": (), "critic_layer_sizes": (16, 16), "init": "random", "random_state": 0}
    options |= {"reconstruction_weight": 0.0, "max_iter": 50, "learning_rate_init": 0.02}
    model = BidirectionalGAN(2, **options).fit(X)
    G = model.components_.T
    np.testing.assert_allclose(G @ G.T, np.cov(X.T), atol=0.35)
    np.testing.assert_allclose(model.inverse_transform(np.zeros((1, 2)))[0], X.mean(0), atol=0.25)
    codes = rng.standard_normal((500, 2))
    np.testing.assert_allclose(model.transform(model.inverse_transform(codes)), codes, atol=0.5)


def test_pca_codes_are_the_equilibrium_of_normal_rows_and_nothing_is_gained_by_leaving(rng):
    """The best critic of the true distributions is 0 everywhere, and so has no slope: nobody moves."""
    X = rng.standard_normal((4000, 3)) * [2.0, 1.0, 0.5]
    options = {"hidden_layer_sizes": (), "critic_layer_sizes": (16,), "random_state": 0, "max_iter": 5}
    model = BidirectionalGAN(3, **options).fit(X)
    np.testing.assert_allclose(np.cov(model.sample(4000, random_state=0).T), np.cov(X.T), atol=0.5)
    assert np.mean(model.history_["accuracy"]) == pytest.approx(0.5, abs=0.03)
    assert np.mean(model.history_["critic"]) == pytest.approx(2 * np.log(2), abs=0.03)
    assert np.mean(model.history_["generator"]) == pytest.approx(np.log(2), abs=0.05)
    assert np.mean(model.history_["encoder"]) == pytest.approx(np.log(2), abs=0.05)


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_training_brings_samples_nearer_and_keeps_reconstructions(likelihood, digits):
    rows = digits / 16 if likelihood == "bernoulli" else digits
    options = {"hidden_layer_sizes": (48,), "critic_layer_sizes": (48, 48), "max_iter": 25, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("error", CriticWinsWarning)
        model = BidirectionalGAN(6, likelihood=likelihood, **options).fit(rows)
    mmd = model.history_["mmd"]
    assert np.mean(mmd[-3:]) < 0.6 * mmd[0]
    assert model.score(rows) > 0.45


# ------------------------------------------------------------------ critics


def test_critics_of_images_have_convolutional_layers_which_the_code_does_not_enter(digits):
    model = BidirectionalGAN(3, image_shape=(8, 8), **IMAGE).fit(digits[:60])
    critic = model.module_.critic
    assert [tuple(c.weight.shape) for c in critic.body.convolutions] == [(3, 1, 3, 3)]
    assert critic.body.dense.weight_0.shape == (5, 3 * 16 + 3)
    x = torch.randn(4, 67, generator=seeded())
    moved = x.clone()
    moved[:, 66] += 1.0
    assert (critic(x) != critic(moved)).all()


def test_channels_last_is_a_matter_of_order(rng):
    """Up to rounding: pixels of two channels, in either order."""
    images = rng.random((40, 2, 6, 6))
    first = BidirectionalGAN(2, image_shape=(2, 6, 6), init="random", dtype="float64", **IMAGE)
    last = clone(first).set_params(image_shape=(6, 6, 2), channel_axis="last")
    one = first.fit(images.reshape(40, -1))
    other = last.fit(images.transpose(0, 2, 3, 1).reshape(40, -1))
    assert one.history_["critic"] == pytest.approx(other.history_["critic"])
    np.testing.assert_allclose(
        one.transform(images.reshape(40, -1)), other.transform(images.transpose(0, 2, 3, 1).reshape(40, -1)), rtol=1e-6
    )


def test_a_code_that_is_a_map_is_judged_too(digits):
    model = BidirectionalGAN(2, code="map", **IMAGE).fit(digits[:40])
    width = math.prod(model.code_shape_)
    assert model.module_.critic.body.dense.weight_0.shape[1] == 3 * 16 + width
    assert model.sample_codes(3).shape == (3, width)
    assert model.sample(3).shape == (3, 64)


def test_spectral_normalisation_takes_an_iteration_a_move(X, monkeypatch):
    counted = []
    iterate = Critic.iterate
    monkeypatch.setattr(Critic, "iterate", lambda critic: (counted.append(critic), iterate(critic)))
    model = BidirectionalGAN(2, spectral_norm=True, n_critic=2, **QUICK).fit(X)
    assert len(counted) == 2 * 2 * 3  # epochs, moves and batches
    largest = [float(torch.linalg.matrix_norm(w.detach(), 2)) for w in model.module_.critic.body.weights]
    np.testing.assert_allclose(largest, 1.0, atol=0.05)


# ------------------------------------------------------------------ warnings


@pytest.mark.parametrize(
    ("loss", "critic", "accuracy", "told"),
    [
        ("logistic", 0.1, 0.99, True),
        ("logistic", 1.0, 0.99, False),
        ("logistic", 0.1, 0.9, False),
        ("hinge", 0.3, 0.99, True),
        ("hinge", 1.0, 1.0, False),
        ("wasserstein", -9.0, 1.0, False),
    ],
)
def test_a_critic_wins_if_it_is_right_and_sure(loss, critic, accuracy, told):
    model = BidirectionalGAN(loss=loss)
    model.history_ = {"critic": [2.0] * 3 + [critic], "accuracy": [0.5] * 3 + [accuracy]}
    found = model._failure_to_deceive()
    assert (found is not None) == told
    if told:
        assert "gradient_penalty (now 0.1)" in str(found)


def test_poor_reconstructions_are_told_with_their_cure_if_they_have_a_weight(digits):
    options = {"max_iter": 1, "hidden_layer_sizes": (8,), "init": "random", "random_state": 0}
    for weight, told in ((1e-3, True), (0.0, False)):
        model = BidirectionalGAN(2, reconstruction_weight=weight, **options).fit(digits[:50])
        data = model._seen(model._source(digits[:50]), torch.float32, torch.device("cpu"))
        with torch.no_grad():
            found = model._failure_to_reconstruct(data)
        assert (found is not None) == told
        assert not told or "raise reconstruction_weight (now 0.001)" in str(found)


# ------------------------------------------------------------------ for users


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
def test_a_sample_is_a_decoded_code(likelihood, X):
    model = BidirectionalGAN(2, likelihood=likelihood, **QUICK).fit(X / X.max())
    np.testing.assert_array_equal(
        model.sample(5, random_state=3), model.inverse_transform(model.sample_codes(5, random_state=3))
    )
    assert not np.array_equal(model.sample(5, random_state=3), model.sample(5, random_state=4))


def test_early_stopping_watches_samples(X):
    model = BidirectionalGAN(2, early_stopping=True, **{**QUICK, "max_iter": 6}).fit(X)
    assert model.history_["validation_loss"] == model.history_["mmd"]
    assert model.loss_ <= min(model.history_["mmd"])  # the start is watched too


def test_early_stopping_on_two_rows_watches_the_reconstruction(X):
    """The distance needs two held-out rows."""
    model = BidirectionalGAN(2, early_stopping=True, **QUICK).fit(X[:4])
    assert "mmd" not in model.history_
    assert np.isfinite(model.history_["validation_loss"]).all()


def test_weights_of_rows_count(X):
    """Rows of weight zero are as if they were not there, for the critic too."""
    weight = np.r_[np.ones(40), np.zeros(20)]
    outside = np.r_[X[:40], X[40:] + 100]
    model = BidirectionalGAN(2, **{**QUICK, "batch_size": 60}).fit(outside, sample_weight=weight)
    other = np.r_[X[:40], X[40:] - 50]
    again = BidirectionalGAN(2, **{**QUICK, "batch_size": 60}).fit(other, sample_weight=weight)
    np.testing.assert_allclose(model.sample(5, random_state=0), again.sample(5, random_state=0))
    assert model.history_["critic"] == pytest.approx(again.history_["critic"])


def test_pipelines_grids_frames_sparse_rows_and_pickles(X):
    frame = pd.DataFrame(X, columns=list("abcdefg"))
    pipeline = make_pipeline(StandardScaler(), BidirectionalGAN(2, **QUICK))
    search = GridSearchCV(pipeline, {"bidirectionalgan__reconstruction_weight": [0.5, 1.0]}, cv=2).fit(frame)
    assert search.best_estimator_.transform(frame).shape == (60, 2)
    model = BidirectionalGAN(2, **QUICK).fit(frame)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.sample(3, random_state=0), model.sample(3, random_state=0))
    np.testing.assert_allclose(
        BidirectionalGAN(2, **QUICK).fit(sparse.csr_matrix(X)).transform(X),
        model.transform(frame),
        rtol=1e-5,
        atol=1e-6,
    )


def test_one_row_chunks_and_going_on(X):
    assert BidirectionalGAN(2, **QUICK).fit(X[:1]).sample(2).shape == (2, 7)
    model = BidirectionalGAN(2, **QUICK)
    for chunk in (X[:30], X[30:]):
        model.partial_fit(chunk)
    assert len(model.history_["critic"]) == 2
    warm = BidirectionalGAN(2, warm_start=True, **QUICK).fit(X).fit(X)
    assert len(warm.history_["generator"]) == 4
    with pytest.raises(ValueError, match="spectral_norm changed"):
        warm.set_params(spectral_norm=True).fit(X)


def test_bad_input_is_told(X):
    with pytest.raises(ValueError, match="NaN"):
        BidirectionalGAN(2, **QUICK).fit(np.where(X > 6, np.nan, X))
    with pytest.raises(ValueError, match="'loss' parameter"):
        BidirectionalGAN(2, loss="mse").fit(X)
    with pytest.raises(ValueError, match="'solver' parameter"):
        BidirectionalGAN(2, solver="lbfgs").fit(X)
    assert set(LOSSES) == set(OPPOSITIONS)

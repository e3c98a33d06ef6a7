"""AdversariallyRegularizedAutoencoder: moves, the critic's constraint, gradients in float64, tokens, and messages."""

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse, stats
from seen import seen
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skae import AdversariallyRegularizedAutoencoder, Autoencoder, FineTunedClassifier
from skae.adversarial._adversarial import Shown
from skae.engine.optim import Flat
from skae.nn.critics import Critic
from skae.nn.generators import Generator, on_sphere
from skae.tokens import TokenEncoder

NETS = {"hidden_layer_sizes": (8,), "critic_layer_sizes": (8,), "generator_layer_sizes": (8,)}
QUICK = {**NETS, "batch_size": 20, "max_iter": 2, "random_state": 0}


def model_of(*args, **options):
    return AdversariallyRegularizedAutoencoder(*args, **{**QUICK, **options})


@pytest.fixture
def X(rng):
    return rng.normal(size=(60, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(60, 5))


@pytest.fixture
def ids(rng):
    """60 rows of 4 tokens, of which the last two depend on the first."""
    first = rng.integers(0, 3, size=(60, 2))
    return np.hstack([first, (first[:, :1] + 1) % 3, first[:, :1]])


def on_batch(model, X, weight=None):
    """All rows as a batch."""
    return seen(model, X, weight=weight)[slice(0, len(X))]


def moves_of(model, X):
    """Take a step, one move after the other: the parts, and the parameters and moments before and after."""
    flat, optimizer = model._flat, model._optimizer
    rng = torch.Generator().manual_seed(1)
    following = lambda: model._step(model.module_, on_batch(model, X), rng)  # noqa: E731
    optimizer.rule, optimizer.beta1 = "adamw", 0.5
    while following is not None:
        found = []

        def alone(following=following, found=found):
            found.append(following())
            return found[0]._replace(then=None)

        before = [flat.theta.clone(), *(m.clone() for m in optimizer.moments.values())]
        optimizer.step(flat, alone, 1e-2)
        yield found[0].parts, before, [flat.theta, *optimizer.moments.values()]
        following = found[0].then


# ------------------------------------------------------------------ moves


@pytest.mark.parametrize("options", [{}, {"channels": (3,), "image_shape": "row"}, {"batch_norm": True}])
def test_a_move_leaves_the_weights_and_moments_of_the_others(options, X):
    model = model_of(2, n_critic=3, **options).fit(X)
    groups = {group.part: (group.span, i) for i, group in enumerate(model._flat.groups)}
    assert set(groups) == {"main", "generator", "critic"}
    parts = []
    for moved, before, after in moves_of(model, X):
        parts.append(moved)
        for part, (span, i) in groups.items():
            of_part = [slice(i, i + 1) if len(old) == len(groups) else span for old in before]
            same = [torch.equal(old[where], new[where]) for old, new, where in zip(before, after, of_part, strict=True)]
            assert not any(same) if part in moved else all(same), (part, moved)
    assert parts == ["critic"] * 3 + [("main", "generator")]


def test_without_weight_the_encoder_learns_as_in_an_autoencoder(X):
    """And the generator learns all the same."""
    options = {"hidden_layer_sizes": (8,), "init": "random", "solver": "sgd", "learning_rate_init": 1e-3}
    common = {**options, "batch_size": 20, "max_iter": 5, "random_state": 0, "dtype": "float64"}
    plain = Autoencoder(2, **common, weight_decay=0.0).fit(X)
    model = model_of(2, adversarial_weight=0.0, **common).fit(X)
    np.testing.assert_allclose(model.transform(X), plain.transform(X), rtol=1e-10)
    assert not np.allclose(model.sample_codes(20), model_of(2, **{**common, "max_iter": 1}).fit(X).sample_codes(20))
    pulled = model_of(2, adversarial_weight=1.0, **common).fit(X)
    assert not np.allclose(pulled.transform(X), plain.transform(X), rtol=1e-3)


# ------------------------------------------------------------------ gradients by autograd of the formula


def spherical(h):
    return h / torch.sqrt((h**2).sum(1, keepdim=True)) * h.shape[1] ** 0.5


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"spherical": True, "code_noise": 0.4},
        {"batch_norm": True},
        {"channels": (3,), "image_shape": "row", "spherical": True},
        {"likelihood": "tokens"},
        {"likelihood": "tokens", "channels": (3,), "code_noise": 0.0},
    ],
)
def test_gradients_are_those_of_the_formula(options, weighted, X, ids, rng):
    rows = ids if "likelihood" in options else X
    weight = rng.random(len(rows)) if weighted else None
    model = model_of(3, adversarial_weight=0.7, dtype="float64", **options).fit(rows, sample_weight=weight)
    module, batch = model.module_, on_batch(model, rows, weight)
    model._flat.grad.zero_()
    terms = model._others_move(module, batch, torch.Generator().manual_seed(3)).terms
    names = {p: name for name, p in module.named_parameters()}
    found = {name: p.grad.clone() for p, name in names.items()}

    draws = torch.Generator().manual_seed(3)
    s = torch.empty(len(rows), 3, dtype=torch.float64).normal_(generator=draws)
    e = module.encoder(batch.x, draws) if options.get("batch_norm") else module.encoder(batch.x)
    e = e if module.projection is None else e + batch.x @ module.projection.T
    made = s @ module.prior.linear.T + module.prior.residual(s)
    is_spherical = options.get("spherical", "likelihood" in options)
    h, made = (spherical(e), spherical(made)) if is_spherical else (e, made)
    noise = options.get("code_noise", 0.5 if "likelihood" in options else 0.0)
    noisy = h + noise * torch.empty(len(rows), 3, dtype=torch.float64).normal_(generator=draws) if noise else h
    eta = module.decoder(noisy, draws) if options.get("batch_norm") else module.decoder(noisy)
    eta = eta if module.expansion is None else eta + noisy @ module.expansion
    if "likelihood" in options:
        losses = -(eta.unflatten(1, (4, 3)).log_softmax(2).flatten(1) * batch.x).sum(1)
    else:
        losses = ((eta - batch.x) ** 2).sum(1)
    w = torch.ones(len(rows), dtype=torch.float64) if weight is None else torch.from_numpy(weight / weight.mean())
    apart = (w * module.critic(h)).mean() - module.critic(made).mean()
    reconstruction, adversarial = (w * losses).mean(), 0.7 * rows.shape[1] * apart
    expected = dict(
        zip(
            names.values(),
            torch.autograd.grad(reconstruction + adversarial, list(names), allow_unused=True, retain_graph=True),
            strict=True,
        )
    )
    of_generator = [p for p in names if names[p].startswith("prior.")]
    expected |= {names[p]: g for p, g in zip(of_generator, torch.autograd.grad(apart, of_generator), strict=True)}
    for name, gradient in found.items():
        if name.startswith("critic."):
            assert not gradient.any()
        else:
            torch.testing.assert_close(gradient, expected[name], rtol=1e-9, atol=1e-12, msg=name)
    assert terms["reconstruction"].item() == pytest.approx(reconstruction.item())
    assert terms["adversarial"].item() == pytest.approx(adversarial.item())
    assert terms["generator"].item() == pytest.approx(apart.item())


# ------------------------------------------------------------------ the critic


def critic_of(sizes, width=3, seed=0):
    critic = Critic(width, sizes, "tanh", rate=1.0).double()
    critic.initialise(torch.Generator().manual_seed(seed))
    return critic


@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_penalty_against_a_loop_over_rows(weighted, rng):
    critic, model = critic_of((4,)), model_of(gradient_penalty=7.0)
    real, made = (torch.from_numpy(rng.normal(size=(6, 3))) for _ in range(2))
    weight = torch.from_numpy(rng.random(6)) if weighted else torch.ones(6, dtype=torch.float64)
    shown = Shown(real, made, weight if weighted else None)
    flat = Flat(critic)
    terms = model._critic_terms(critic, shown, torch.Generator().manual_seed(2))
    found = [p.grad.clone() for p in critic.parameters()]
    u = torch.empty(6, 1, dtype=torch.float64).uniform_(generator=torch.Generator().manual_seed(2))
    loss = torch.zeros((), dtype=torch.float64)
    for i in range(6):
        x = (u[i] * real[i] + (1 - u[i]) * made[i]).requires_grad_()
        (slope,) = torch.autograd.grad(critic(x[None])[0], x, create_graph=True)
        penalty = 7.0 * (slope.norm() - 1) ** 2
        loss = loss + (weight[i] * (penalty - critic(real[i : i + 1])[0]) + critic(made[i : i + 1])[0]) / 6
    torch.testing.assert_close(terms["critic"] + terms["penalty"], loss)
    assert len(flat.theta) == sum(map(torch.numel, found))
    expected = torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)
    for one, two in zip(found, expected, strict=True):
        torch.testing.assert_close(one, torch.zeros_like(one) if two is None else two, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("constraint", "size"), [("gradient_penalty", 1 + 2.0 / (2 * 3.0)), ("clipping", 0.3)])
def test_a_linear_critic_reaches_its_optimum(constraint, size):
    """Codes of one number, whose mean is 2 below that of made ones: the slope is -1 - 2 / (2 lambda), or -clip."""
    model, critic = model_of(constraint=constraint, gradient_penalty=3.0, clip=0.3), critic_of((), 1)
    with torch.no_grad():
        critic.body.weights[0].fill_(0.5)  # of the wrong sign
    made = torch.linspace(-1, 1, 9, dtype=torch.float64)[:, None]
    shown, rng = Shown(made - 2, made), torch.Generator().manual_seed(0)
    flat = Flat(critic)
    for _ in range(400):
        flat.grad.zero_()
        model._critic_terms(critic, shown, rng)
        flat.theta.sub_(0.05 * flat.grad)
        model._bound(critic)
    assert critic.body.weights[0].item() == pytest.approx(-size, rel=1e-6)


def test_clipping_against_a_plain_recursion(X):
    options = {"solver": "sgd", "momentum": 0.0, "learning_rate": "constant", "learning_rate_init": 0.5}
    model = model_of(2, constraint="clipping", clip=0.05, n_critic=4, dtype="float64", critic_rate=2.0, **options)
    model.fit(X)
    module, rng = model.module_, torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in module.critic.parameters():
            p.normal_(0, 0.1, generator=torch.Generator().manual_seed(5))
    weights = [p.detach().clone() for p in module.critic.parameters()]
    batch, critic, draws = on_batch(model, X), critic_of((8,), 2), torch.Generator().manual_seed(4)
    critic.body.activations[0] = module.critic.body.activations[0]
    for _ in range(4):
        with torch.no_grad():
            for p, value in zip(critic.parameters(), weights, strict=True):
                p.copy_(value.clamp(-0.05, 0.05))
            codes, made = module.encode(batch.x), module.prior.sample(len(X), draws)
        loss = critic(made).mean() - critic(codes).mean()
        slopes = torch.autograd.grad(loss, list(critic.parameters()), allow_unused=True)
        weights = [p.detach() - (0 if g is None else g) for p, g in zip(critic.parameters(), slopes, strict=True)]
    theta = {name: p.detach().clone() for name, p in module.named_parameters() if "critic" not in name}
    model._optimizer.momentum = 0.0
    terms = model._optimizer.step(model._flat, lambda: model._step(module, batch, rng), 0.5)
    for p, value in zip(module.critic.parameters(), weights, strict=True):
        torch.testing.assert_close(p.detach(), value.clamp(-0.05, 0.05), rtol=1e-9, atol=1e-12)
    assert max(float(p.detach().abs().max()) for p in module.critic.parameters()) == 0.05
    assert not any(
        torch.equal(p, theta[name]) for name, p in module.named_parameters() if "weight_0" in name and name in theta
    )
    assert "penalty" not in terms
    assert "penalty" not in model.history_


# ------------------------------------------------------------------ the generator


@pytest.mark.parametrize(("n_noise", "is_spherical"), [(3, False), (7, False), (2, False), (5, True)])
def test_a_new_generator_makes_codes_with_the_moments_of_the_start(n_noise, is_spherical):
    generator = Generator(3, n_noise, (8,), "silu", spherical=is_spherical)
    generator.initialise(torch.Generator().manual_seed(0))
    made = generator.sample(50_000, torch.Generator().manual_seed(1)).numpy()
    np.testing.assert_allclose(made.mean(0), 0, atol=0.02)
    assert np.square(made).sum(1).mean() == pytest.approx(3, rel=0.02)
    if n_noise >= 3 and not is_spherical:
        np.testing.assert_allclose(np.cov(made.T), np.eye(3), atol=0.02)
    if is_spherical:
        np.testing.assert_allclose(np.square(made).sum(1), 3, rtol=1e-5)
    assert {p.part for p in generator.parameters()} == {"generator"}


def test_a_code_without_length_stays_where_it_is():
    h = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    torch.testing.assert_close(on_sphere(h), torch.tensor([[0.0, 0.0], [0.6 * 2**0.5, 0.8 * 2**0.5]]))


def test_the_generator_comes_near_the_distribution_of_the_codes(rng):
    """From N(0, 1), and although the encoder does not come towards it."""
    X = (rng.random((300, 6)) < rng.random((300, 1))).astype(float)
    options = {"generator_layer_sizes": (16,), "critic_layer_sizes": (16,), "batch_size": 100, "max_iter": 30}
    model = model_of(2, likelihood="bernoulli", adversarial_weight=0.0, learning_rate_init=0.02, **options).fit(X)
    codes, made, start = model.transform(X), model.sample_codes(3000, random_state=0), rng.normal(size=(3000, 2))
    for of_rows, of_generator, normal in zip(codes.T, made.T, start.T, strict=True):
        distance = stats.wasserstein_distance(of_rows, of_generator)
        assert distance < 0.7 * stats.wasserstein_distance(of_rows, normal)


# ------------------------------------------------------------------ codes on a sphere


def test_codes_lie_on_the_sphere_and_are_decoded_from_there(ids):
    model = model_of(3, likelihood="tokens").fit(ids)
    H = model.transform(ids)
    np.testing.assert_allclose(np.square(H).sum(1), 3, rtol=1e-5)
    np.testing.assert_array_equal(model.inverse_transform(0.1 * H), model.inverse_transform(H))
    free = model_of(3, likelihood="tokens", spherical=False).fit(ids).transform(ids)
    assert np.square(free).sum(1).std() > 0.01
    assert np.square(model_of(1, likelihood="tokens").fit(ids).transform(ids)).std() > 0  # one number has no sphere
    assert "raise n_components" in refuses(model_of(1, spherical=True), "fit", ids)


# ------------------------------------------------------------------ tokens


def one_hot(ids, n_tokens):
    return np.eye(n_tokens)[ids].reshape(len(ids), -1)


@pytest.mark.parametrize("channels", [(), (4,)])
def test_tokens_are_the_categorical_likelihood_of_one_hot_rows(channels, ids):
    """The weight counts for each column of X: four of tokens, twelve of ones and zeros."""
    common = {"dtype": "float64", "channels": channels}
    model = model_of(2, likelihood="tokens", adversarial_weight=0.3, **common).fit(ids)
    of_columns = {"image_shape": (1, 4, 3), "channel_axis": "last", "spherical": True, "code_noise": 0.5}
    other = model_of(
        2, likelihood="categorical", categories=(3,) * 4, adversarial_weight=0.1, **common, **of_columns
    ).fit(one_hot(ids, 3))
    np.testing.assert_allclose(model.transform(ids), other.transform(one_hot(ids, 3)), rtol=1e-9)
    H = model.sample_codes(30, 0)
    np.testing.assert_array_equal(model.inverse_transform(H), other.inverse_transform(H).reshape(30, 4, 3).argmax(2))
    np.testing.assert_array_equal(model.sample(30, 2), other.sample(30, 2).reshape(30, 4, 3).argmax(2))
    assert (model.n_features_in_, other.n_features_in_) == (4, 12)
    np.testing.assert_allclose(model.mean_, one_hot(ids, 3).mean(0))


def test_scores_and_decoding_against_enumeration():
    """All nine rows of two tokens out of three."""
    every = np.array(list(itertools.product(range(3), repeat=2)))
    ids = every[[0, 0, 0, 4, 4, 8, 5, 2]]
    model = model_of(2, likelihood="tokens", dtype="float64").fit(ids)
    module = model.module_
    for row, code, score in zip(ids, model.transform(ids), model.score_samples(ids), strict=True):
        eta = module.decode(torch.from_numpy(code)[None]).detach().numpy().reshape(2, 3)
        p = np.exp(eta) / np.exp(eta).sum(1, keepdims=True)
        of_every = p[0, every[:, 0]] * p[1, every[:, 1]]
        assert of_every.sum() == pytest.approx(1)
        np.testing.assert_array_equal(model.inverse_transform(code[None])[0], every[of_every.argmax()])
        assert score == pytest.approx(np.log(of_every[(every == row).all(1)][0]))
    found, weight = model.reconstruct(ids), np.arange(8.0)
    assert found.dtype == model.sample(2).dtype == np.int64
    assert model.score(ids) == pytest.approx((found == ids).mean())
    assert model.score(ids, sample_weight=weight) == pytest.approx(weight @ (found == ids).mean(1) / weight.sum())


def test_few_sentences_are_learnt_by_heart_and_lie_at_the_ends_of_a_line(rng):
    ids = rng.integers(0, 5, size=(12, 3))
    model = model_of(8, likelihood="tokens", **{**NETS, "max_iter": 200, "hidden_layer_sizes": (32,)}, batch_size=12)
    model.fit(ids)
    assert model.score(ids) > 0.9
    line = model.interpolate(ids[0], ids[1], 7)
    assert line.shape == (7, 3)
    np.testing.assert_array_equal(line[[0, -1]], model.reconstruct(ids[:2]))
    np.testing.assert_array_equal(model.interpolate(ids[:1], ids[1:2], 7), line)


def test_tables_of_ids_of_every_kind(ids):
    model = model_of(2, likelihood="tokens").fit(ids)
    expected = model.transform(ids)
    for other in (ids.tolist(), ids.astype(float), sparse.csr_array(ids), torch.from_numpy(ids), pd.DataFrame(ids)):
        np.testing.assert_allclose(model_of(2, likelihood="tokens").fit(other).transform(other), expected, rtol=1e-6)
    np.testing.assert_allclose(model.transform(ids[:1]), expected[:1], rtol=1e-5)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.sample(5, 0), model.sample(5, 0))


@pytest.mark.parametrize(
    ("place", "value", "sentence"),
    [
        ((7, 2), -1, "X has -1 in row 7, column 2, which is no token id: pass whole numbers from 0 on"),
        ((7, 2), 0.5, "X has 0.5 in row 7, column 2, which is no token id"),
        ((7, 2), 1e9, "X has 1e+09 in row 7, column 2, but token ids are below 1000000: number the tokens 0, 1, 2"),
        ((7, 2), 1e30, "X has 1e+30 in row 7, column 2, but token ids are below 1000000"),
        ((0, 3), np.nan, "Input X contains NaN in row 0, column 3"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "partial_fit", "transform", "score"])
def test_what_is_no_token_id_is_refused(method, place, value, sentence, ids):
    model, wrong = model_of(2, likelihood="tokens").fit(ids), ids.astype(float)
    wrong[place] = value
    assert sentence in refuses(model, method, wrong)


def test_ids_outside_the_vocabulary_are_refused(ids):
    wrong = ids.copy()
    wrong[5, 1] = 9
    told = "X has the token id 9 in row 5, column 1, but the ids of the vocabulary are 0 to 2: drop the row, or fit "
    model = model_of(2, likelihood="tokens").fit(ids)
    for method in ("transform", "score", "score_samples", "partial_fit"):
        assert told + "with n_tokens=10 or more." in refuses(model, method, wrong)
    assert "ids of the vocabulary are 0 to 1" in refuses(model_of(likelihood="tokens", n_tokens=2), "fit", ids)
    assert "n_tokens=10000000 is above the largest number of tokens, 1000000." in refuses(
        model_of(likelihood="tokens", n_tokens=10**7), "fit", ids
    )
    wide = model_of(2, likelihood="tokens", n_tokens=10).fit(ids)
    assert wide.transform(wrong).shape == (60, 2)
    assert "n_tokens" in refuses(wide.set_params(n_tokens=11), "partial_fit", ids)
    assert wide.set_params(n_tokens="auto").partial_fit(wrong).n_iter_ == 3


def test_other_bad_input_for_tokens(ids):
    model = model_of(2, likelihood="tokens").fit(ids)
    assert "X has 3 features" in refuses(model, "transform", ids[:, :3])
    assert "TokenEncoder" in refuses(model, "fit", ["dogs eat", "cats sleep"])
    assert "TokenEncoder" in refuses(model, "transform", [["dogs", "eat"]])
    assert "TokenEncoder" in refuses(model, "transform", np.array([["dogs", "eat"]]))
    assert "set n_tokens instead" in refuses(model_of(likelihood="tokens", categories=(3, 3)), "fit", ids)
    assert "cannot be fine-tuned" in refuses(FineTunedClassifier(model, max_iter=1), "fit", ids, ids[:, 0])
    assert "init='pca' is not defined" in refuses(model_of(likelihood="tokens", init="pca"), "fit", ids)


def test_a_fitted_model_of_tokens_keeps_to_them(ids):
    model = model_of(2, likelihood="tokens").fit(ids)
    expected = model.reconstruct(ids)
    np.testing.assert_array_equal(model.set_params(likelihood="gaussian", n_tokens=7).reconstruct(ids), expected)
    assert model.fit(ids).reconstruct(ids).dtype == np.float64


# ------------------------------------------------------------------ as a user


@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli", "poisson"])
@pytest.mark.parametrize("channels", [(), (4,)])
def test_likelihoods_and_coders(likelihood, channels, digits):
    X = digits[:80] / (16 if likelihood == "bernoulli" else 1)
    model = model_of(3, likelihood=likelihood, channels=channels).fit(X)
    assert model.sample(4, 0).shape == (4, 64)
    assert set(model.history_) == {"reconstruction", "adversarial", "generator", "critic", "penalty", "accuracy", "mmd"}
    assert np.isfinite(model.score(X))


def test_sentences_in_a_search():
    nouns, verbs, adverbs = ("dogs", "cats", "birds"), ("eat", "sleep", "run"), ("", " now", " here")
    sentences = [noun + " " + verb + adverb for noun in nouns for verb in verbs for adverb in adverbs]
    sentences = [sentences[i] for i in np.random.default_rng(0).permutation(27)]  # so that all folds have all words
    pipe = make_pipeline(TokenEncoder(length=3), model_of(likelihood="tokens"))
    grid = {"adversariallyregularizedautoencoder__n_components": [2, 3]}
    search = GridSearchCV(pipe, grid, cv=3, error_score="raise").fit(sentences)
    best = search.best_estimator_
    assert best.score(sentences) <= 1
    restored = best.inverse_transform(best.transform(sentences[:2]))
    assert all(isinstance(sentence, str) for sentence in restored)
    stopped = model_of(2, likelihood="tokens", early_stopping=True).fit(best[0].transform(sentences))
    assert "validation_loss" in stopped.history_

"""AdversarialAutoencoder: its limits, steps against autograd, the critic, priors with labels, and messages."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from contract.requirements import refuses
from scipy import sparse, special, stats
from sklearn.base import clone, is_classifier, is_clusterer
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch.nn import functional as F

from skae import (
    AdversarialAutoencoder,
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    BidirectionalGAN,
    FineTunedClassifier,
    WassersteinAutoencoder,
)
from skae.base import Run
from skae.engine.optim import Flat
from skae.exceptions import CriticWinsWarning, ModeCollapseWarning
from skae.nn.critics import Critic
from skae.nn.latent import Universal

QUICK = {"hidden_layer_sizes": (8,), "critic_layer_sizes": (6,), "max_iter": 3, "batch_size": 50, "random_state": 0}
CENTERS = np.array([[4.0, 0.0, 0.0, 0.0, 0.0], [-4.0, 2.0, 0.0, 0.0, 0.0], [0.0, -4.0, 3.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def clouds():
    """Rows of three clusters, and their labels."""
    rng = np.random.default_rng(0)
    y = rng.permutation(np.repeat([0, 1, 2], 100))
    return CENTERS[y] + 0.4 * rng.normal(size=(300, 5)), y


@pytest.fixture(scope="module")
def labelled(clouds):
    """A model of the clouds by two fifths of their labels, and these labels."""
    X, y = clouds
    some = np.where(np.arange(300) % 5 < 2, np.array(["a", "b", "c"], dtype=object)[y], None)
    model = AdversarialAutoencoder(2, prior="labels", **{**QUICK, "max_iter": 60, "batch_size": 30})
    return model.fit(X, some), some


# ------------------------------------------------------------------ limits


class Plain(Autoencoder):
    """What is left of an adversarial autoencoder without its critic."""

    _monitor, _betas, _decay = None, (0.5, 0.999), 0.0
    _may_idle = True
    _start_at_axes = AdversarialAutoencoder._start_at_axes

    def _is_noisy(self):
        return True


@pytest.mark.parametrize("prior", ["normal", "uniform", "mixture", "labels"])
@pytest.mark.parametrize("options", [{}, {"init": "random"}, {"solver": "adam", "learning_rate_init": 0.01}], ids=str)
def test_without_weight_it_is_an_autoencoder_to_the_last_bit(iris, prior, options):
    y = np.repeat([0, 1, 2], 50)
    options = {**QUICK, **options}
    small = {name: value for name, value in options.items() if not name.startswith("critic")}
    model = AdversarialAutoencoder(2, prior=prior, adversarial_weight=0.0, n_critic=2, **options).fit(iris, y)
    plain = Plain(2, **small).fit(iris)
    np.testing.assert_array_equal(model.transform(iris), plain.transform(iris))
    np.testing.assert_array_equal(model.reconstruct(iris), plain.inverse_transform(plain.transform(iris)))
    np.testing.assert_allclose(model.history_["reconstruction"], plain.history_["reconstruction"], rtol=1e-6)


def test_a_universal_posterior_whose_noise_has_no_weight_is_deterministic(iris):
    """At the start it has none, and the mean over the noise is then the code itself."""
    universal, plain = (
        AdversarialAutoencoder(2, posterior=posterior, dtype="float64", **QUICK)
        for posterior in ("universal", "deterministic")
    )
    for model in (universal, plain):
        model._fit(iris, None, None, train=False)
    np.testing.assert_allclose(universal.transform(iris), plain.transform(iris), atol=1e-12)
    e = universal.module_.encode(torch.tensor(iris))
    drawn = universal.module_.posterior.drawn(e, torch.randn(150, 2, dtype=torch.float64))
    assert drawn.equal(e[:, :2])


def test_the_code_of_a_universal_posterior_is_its_mean_over_noise(iris):
    model = AdversarialAutoencoder(2, posterior="universal", dtype="float64", **QUICK).fit(iris)
    model.module_.posterior.network.weights[-1].data.normal_(generator=torch.Generator().manual_seed(0))
    x = torch.from_numpy((iris - model.mean_) / model.scale_)
    e = model.module_.encode(x)
    eps = torch.randn((20_000, 1, 2), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        draws = model.module_.posterior.drawn(e[:3], eps.expand(-1, 3, -1))
    error = draws.std(0) / np.sqrt(16)
    assert (draws.std(0) > 0.1).all()
    assert ((draws.mean(0) - torch.from_numpy(model.transform(iris)[:3])).abs() < error).all()


def test_a_universal_posterior_can_draw_what_is_not_normal():
    """Of a row that says nothing, the codes can be two points, which no mean and variance describe."""
    module = Universal(1, 32, "silu").double()
    rng = torch.Generator().manual_seed(0)
    module.initialise(rng)
    optimizer = torch.optim.Adam(module.parameters(), lr=0.05)
    points = torch.tensor([-1.0, 1.0]).double().repeat_interleave(50)
    for _ in range(200):
        h = module.drawn(torch.zeros(100, 2).double(), torch.randn((100, 1), generator=rng, dtype=torch.float64))
        optimizer.zero_grad()
        (h[:, 0].sort().values - points).square().mean().backward()
        optimizer.step()
    h = module.drawn(torch.zeros(2000, 2).double(), torch.randn((2000, 1), generator=rng, dtype=torch.float64)).detach()
    assert stats.kurtosis(h[:, 0], fisher=False) < 1.7  # it is 1 of two points, 1.8 if uniform, and 3 if normal


def test_a_gaussian_posterior_starts_with_little_noise(iris):
    model = AdversarialAutoencoder(2, posterior="gaussian", init="random", **QUICK)
    model._fit(iris, None, None, train=False)
    log_variance = model.module_.encode(torch.tensor(iris).float())[:, 2:]
    assert (log_variance - -4.0).abs().max() < 3
    assert model.module_.encoder.biases[-1].tolist() == [0.0, 0.0, -4.0, -4.0]


# ------------------------------------------------------------------ a step


def started(X, y=None, **options):
    """A model in float64 with random weights, that may be asked for steps, and a batch with weights."""
    options = {**QUICK, "dtype": "float64", **options}
    model = AdversarialAutoencoder(2, n_clusters=3, adversarial_weight=0.7, **options)
    weight = np.linspace(0.5, 1.5, len(X))
    model.fit(X, y, weight)
    rng = torch.Generator().manual_seed(1)
    for parameter in model.module_.parameters():
        parameter.data.add_(0.3 * torch.randn(parameter.shape, generator=rng, dtype=parameter.dtype))
    return model, seen(model, X, y, weight)[torch.arange(20)]


def seen(model, X, y=None, weight=None):
    """The rows of a fit as the module sees them."""
    data = model._learnt(model._source(X, y, weight, reset=False), Run())
    return model._seen(data, model._flat.theta.dtype, torch.device("cpu"))


def plain_terms(model, batch, rng):
    """What critic and others minimise, written out, with the noise of the generator in the order of a step."""
    module, n = model.module_, len(batch.x)
    K = model._spec["n_clusters"]
    told, weight = torch.zeros(n, 0).double(), batch.weight
    if model.prior == "labels":
        count, value = batch.y[:, 0], batch.y[:, 1].long()
        told = F.one_hot(torch.where(count > 0, value, K), K + 1).double()
        weight = torch.where(count > 0, count, weight)

    def made():
        e = module.encode(batch.x)
        if model.posterior == "deterministic":
            return e
        eps = torch.empty(n, 2).double().normal_(generator=rng)
        if model.posterior == "gaussian":
            return e[:, :2] + (e[:, 2:] / 2).exp() * eps
        seen = torch.cat([e, eps], 1)
        first, second = module.posterior.network.layers()
        return e[:, :2] + F.linear(F.silu(F.linear(seen, *first)), *second)

    h = made().detach()
    real = module.prior.sample(n, rng)
    if model.prior == "labels":
        known = count > 0
        real[known] = module.prior.sample_of(value[known], rng)
    real, h = torch.cat([real, told], 1).requires_grad_(), torch.cat([h, told], 1)
    of_real = weight if model.prior == "labels" else weight.mean().expand(n)
    s = module.critic(real)
    (slope,) = torch.autograd.grad(s.sum(), real, create_graph=True)
    critic = {
        "critic": (of_real * F.softplus(-s)).mean() + (weight * F.softplus(module.critic(h))).mean(),
        "penalty": model.gradient_penalty * (of_real * slope[:, :2].square().sum(1)).mean() / 2,
    }
    h = made()
    x_hat = module.decode(h)
    others = {
        "reconstruction": (batch.weight * (x_hat - batch.x).square().sum(1)).mean(),
        "adversarial": 0.7 * 5 * (weight * F.softplus(-module.critic(torch.cat([h, told], 1)))).mean(),
    }
    return critic, others


def gradients(module):
    return {name: p.grad.clone() for name, p in module.named_parameters()}


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "universal"])
@pytest.mark.parametrize("prior", ["normal", "mixture", "labels"])
def test_the_moves_by_hand_have_the_gradients_of_autograd(clouds, prior, posterior):
    X, y = clouds
    y = np.where(np.arange(300) % 3, y, -1)
    model, batch = started(X, y, prior=prior, posterior=posterior)
    module, rng = model.module_, torch.Generator().manual_seed(3)
    flat = Flat(module)
    move = model._step(module, batch, rng)
    of_critic = gradients(module)
    flat.grad.zero_()
    after = move.then()
    of_others = gradients(module)
    assert (move.parts, after.parts, after.then) == ("critic", "main", None)

    critic, others = plain_terms(model, batch, torch.Generator().manual_seed(3))
    for name, term in {**critic, **others}.items():
        assert {**move.terms, **after.terms}[name].item() == pytest.approx(term.item(), rel=1e-10), name
    for terms, found, judges in ((critic, of_critic, True), (others, of_others, False)):
        named = {name: p for name, p in module.named_parameters() if name.startswith("critic") == judges}
        expected = torch.autograd.grad(sum(terms.values()), named.values())
        for name, gradient in zip(named, expected, strict=True):
            torch.testing.assert_close(found[name], gradient, rtol=1e-8, atol=1e-12, msg=name)
        rest = [found[name] for name in found if name not in named]
        assert all((gradient == 0).all() for gradient in rest)


def test_a_move_leaves_the_others_and_their_moments_as_they_are(iris):
    """To the last bit: of the critic those of the autoencoder, and of these the critic's."""
    model = AdversarialAutoencoder(2, n_critic=3, **QUICK).fit(iris)
    flat, optimizer = model._flat, model._optimizer
    of = {part: [group.span for group in flat.groups if group.part == part] for part in ("critic", "main")}

    def state(part):
        tensors = (flat.theta, optimizer.moments["mean"], optimizer.moments["square"])
        return torch.cat([tensor[span] for tensor in tensors for span in of[part]]).clone()

    batch = seen(model, iris)[torch.arange(50)]
    rng = torch.Generator().manual_seed(0)
    found = []

    def watched(move):
        """The state of both parts before each move, and which moves next."""
        found.append((move.parts, state("critic"), state("main")))
        return move if move.then is None else move._replace(then=lambda: watched(move.then()))

    optimizer.step(flat, lambda: watched(model._step(model.module_, batch, rng)), 0.01)
    found.append((None, state("critic"), state("main")))
    assert [parts for parts, *_ in found] == ["critic", "critic", "critic", "main", None]
    for (parts, critic, main), (_, critic_after, main_after) in pairwise(found):
        assert critic.equal(critic_after) == (parts != "critic")
        assert main.equal(main_after) == (parts != "main")


def test_each_move_of_the_critic_has_noise_of_its_own(iris):
    model = AdversarialAutoencoder(2, n_critic=2, **QUICK).fit(iris)
    batch = seen(model, iris)[torch.arange(50)]
    move = model._step(model.module_, batch, torch.Generator().manual_seed(0))
    assert move.terms["critic"] != move.then().terms["critic"]


@pytest.mark.parametrize("hidden", [(), (7,), (7, 5)])
def test_the_slopes_of_a_critic_and_their_penalty_are_those_of_autograd(hidden):
    critic = Critic(4, hidden, "silu", rate=1.0).double()
    critic.initialise(torch.Generator().manual_seed(0))
    x = torch.randn((9, 4), generator=torch.Generator().manual_seed(1), dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    torch.testing.assert_close(critic.slopes(x), slopes)
    weights = list(critic.body.weights)
    found, expected = (torch.autograd.grad(s.square().sum(), weights) for s in (critic.slopes(x.detach()), slopes))
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


# ------------------------------------------------------------------ one dimension, where all is known


def test_codes_of_one_component_get_the_distribution_of_the_prior():
    """Rows on a line have the prior's quantiles as their codes, rising or falling, whatever their distribution."""
    rng = np.random.default_rng(0)
    z = rng.exponential(size=300) - 1
    X = z[:, None] * [[1.0, -2.0, 0.5]]
    options = {"hidden_layer_sizes": (32,), "critic_layer_sizes": (32,), "max_iter": 60, "random_state": 0}
    for prior, law in (("normal", stats.norm()), ("uniform", stats.uniform(-np.sqrt(3), 2 * np.sqrt(3)))):
        model = AdversarialAutoencoder(1, prior=prior, **options).fit(X)
        h = model.transform(X)[:, 0]
        assert stats.kstest(h, law.cdf).statistic < stats.kstest(z / np.std(z), law.cdf).statistic / 2  # that of PCA
        assert abs(stats.spearmanr(h, z).statistic) > 0.999
        assert model.score(X) > 0.97


# ------------------------------------------------------------------ labels


def test_each_label_has_a_mode_and_rows_without_a_label_come_into_them(labelled, clouds):
    model, some = labelled
    X, y = clouds
    names = np.array(["a", "b", "c"])[y]
    assert model.classes_.tolist() == ["a", "b", "c"]
    unknown = np.array([label is None for label in some])
    assert (model.predict(X)[~unknown] == names[~unknown]).mean() > 0.97
    assert (model.predict(X)[unknown] == names[unknown]).mean() > 0.95
    means = np.array([model.transform(X)[y == k].mean(0) for k in range(3)])
    np.testing.assert_allclose(means, model.module_.prior.means, atol=0.5)


def test_the_modes_of_labels_are_at_their_classes_from_the_start(clouds):
    """Whatever the order of the labels. A class of weight zero, or of no rows, is nowhere."""
    X, y = clouds
    for names in ([0, 1, 2], [2, 0, 1]):
        labels = np.where(np.arange(300) % 2, np.array(names)[y], -1)
        model = AdversarialAutoencoder(2, prior="labels", **QUICK)
        model._fit(X, labels, None, train=False)
        assert (model.predict(X)[labels == -1] == np.array(names)[y][labels == -1]).mean() > 0.95
    model = AdversarialAutoencoder(2, prior="labels", **QUICK)
    assert model.partial_fit(X, np.full(300, -1), classes=[0, 1, 2]).predict(X).shape == (300,)


def test_the_probability_of_a_mode_is_that_of_bayes(labelled, clouds):
    model, _ = labelled
    H, prior = model.transform(clouds[0]).astype(float), model.module_.prior
    z = (H[:, None] - prior.means.numpy()) / float(prior.deviation)
    np.testing.assert_allclose(model.predict_proba(clouds[0]), special.softmax(-(z**2).sum(2) / 2, axis=1), atol=1e-4)


def test_samples_of_a_label_are_rows_of_it(labelled):
    model, _ = labelled
    for k, name in enumerate("abc"):
        nearest = np.linalg.norm(model.sample(200, 0, name)[:, None] - CENTERS, axis=2).argmin(1)
        assert (nearest == k).mean() > 0.9
    asked = np.array(["a", "c", "b"] * 20)
    codes = model.sample_codes(60, random_state=1, y=asked)
    np.testing.assert_array_equal(model.sample(60, random_state=1, y=asked), model.inverse_transform(codes))
    np.testing.assert_array_equal(model.module_.prior.log_joint(torch.from_numpy(codes)).argmax(1) - 0, [0, 2, 1] * 20)
    assert model.sample(300, random_state=0).shape == (300, 5)


def test_the_critic_is_told_labels_and_draws_from_their_modes(labelled, clouds):
    model, some = labelled
    batch = seen(model, clouds[0], some)[torch.arange(300)]
    with torch.no_grad():
        shown = model._shown(model.module_, batch, torch.Generator().manual_seed(0))
    expected = np.array([[label == name for name in "abc"] + [label is None] for label in some])
    np.testing.assert_array_equal(shown.real[:, 2:], expected)
    np.testing.assert_array_equal(shown.made[:, 2:], expected)
    np.testing.assert_allclose(shown.made[:, :2], model.transform(clouds[0]), rtol=1e-5, atol=1e-6)
    mode = model.module_.prior.log_joint(shown.real[:, :2]).argmax(1).numpy()
    known = expected[:, 3] == 0
    np.testing.assert_array_equal(mode[known], expected[known, :3].argmax(1))
    np.testing.assert_allclose(np.bincount(mode[~known]) / (~known).sum(), 1 / 3, atol=0.12)
    np.testing.assert_allclose(shown.real_weight, np.where(known, 300 / known.sum(), 1), rtol=1e-6)
    assert shown.made_weight is shown.real_weight


def test_few_labels_are_in_every_batch(clouds):
    """Two rows of each class: the copies count little in the reconstruction, and as much as all rows for the critic."""
    X, y = clouds
    first = np.concatenate([np.flatnonzero(y == k)[:2] for k in range(3)])
    few = np.where(np.isin(np.arange(300), first), y, -1)
    model = AdversarialAutoencoder(2, prior="labels", **{**QUICK, "max_iter": 60, "batch_size": 30}).fit(X, few)
    assert (model.predict(X) == y).mean() > 0.9
    train, _ = model._split(seen(model, X, few), Run())
    batch = train[torch.arange(len(train))]
    assert len(train) > 380
    assert batch.weight.mean() == pytest.approx(1, rel=1e-5)
    assert model._weight_for_critic(batch).mean() == pytest.approx(2 - 6 / 300, rel=1e-5)


@pytest.mark.parametrize("missing", [-1, None, np.nan, pd.NA], ids=str)
def test_marks_of_no_label_are_the_same(clouds, missing):
    X, y = clouds
    marked = np.array([label if i % 2 else missing for i, label in enumerate(y)], dtype=object)
    model, other = (AdversarialAutoencoder(2, prior="labels", **QUICK) for _ in range(2))
    other.fit(X, np.where(np.arange(300) % 2, y, -1))
    np.testing.assert_array_equal(model.fit(X, marked).transform(X), other.transform(X))


def test_other_priors_take_no_notice_of_y(clouds):
    X, y = clouds
    for prior in ("normal", "uniform", "mixture"):
        model, other = (AdversarialAutoencoder(2, prior=prior, n_clusters=3, **QUICK) for _ in range(2))
        np.testing.assert_array_equal(model.fit(X, y).transform(X), other.fit(X).transform(X))
        assert hasattr(model, "predict") == hasattr(model, "classes_") == (prior == "mixture")


def test_chunks_know_all_classes(clouds):
    X, y = clouds
    model = AdversarialAutoencoder(2, prior="labels", **QUICK)
    model.partial_fit(X[y < 2], y[y < 2], classes=[0, 1, 2]).partial_fit(X[y == 2], y[y == 2])
    model.partial_fit(X, np.full(300, -1))
    assert model.classes_.tolist() == [0, 1, 2]
    assert model.predict_proba(X).shape == (300, 3)
    other = AdversarialAutoencoder(2, prior="labels", **QUICK).partial_fit(X[y < 2], y[y < 2])
    assert "not among the classes [0, 1]" in refuses(other, "partial_fit", X, y)


# ------------------------------------------------------------------ clusters


def test_clusters_are_modes_of_the_prior(clouds):
    X, y = clouds
    model = AdversarialAutoencoder(2, prior="mixture", n_clusters=3, **{**QUICK, "max_iter": 60, "batch_size": 30})
    labels = model.fit(X).predict(X)
    assert model.classes_.tolist() == [0, 1, 2]
    assert sum(np.bincount(y[labels == k]).max() for k in range(3)) > 285
    for k in range(3):
        of_cluster = model.sample(100, random_state=0, y=k)
        assert (model.predict(of_cluster) == k).mean() > 0.9


# ------------------------------------------------------------------ for users


def test_it_stays_a_transformer_for_scikit_learn():
    for prior in ("normal", "mixture", "labels"):
        model = AdversarialAutoencoder(prior=prior)
        assert not is_classifier(model)
        assert not is_clusterer(model)
        assert model.__sklearn_tags__().target_tags.required == (prior == "labels")


def test_a_search_and_a_pipeline_take_it(clouds):
    X, y = clouds
    pipe = make_pipeline(StandardScaler(), AdversarialAutoencoder(2, prior="labels", **QUICK))
    search = GridSearchCV(pipe, {"adversarialautoencoder__adversarial_weight": [0.1, 1.0]}, cv=2).fit(X, y)
    assert search.predict(X).shape == (300,)
    assert 0 < search.best_score_ < 1  # the reconstruction


@pytest.mark.parametrize("prior", ["uniform", "mixture", "labels"])
def test_a_copy_samples_and_predicts_the_same(clouds, prior):
    X, y = clouds
    model = AdversarialAutoencoder(2, prior=prior, posterior="universal", n_clusters=4, **QUICK).fit(X, y)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copy.sample(5, random_state=0), model.sample(5, random_state=0))
    if prior != "uniform":
        np.testing.assert_array_equal(copy.predict(X), model.predict(X))
    assert clone(copy).get_params() == model.get_params()


def test_frames_sparse_tables_and_single_rows_are_rows(iris):
    model = AdversarialAutoencoder(2, **QUICK)
    expected = model.fit(iris).transform(iris)
    np.testing.assert_array_equal(model.fit(pd.DataFrame(iris)).transform(pd.DataFrame(iris)), expected)
    np.testing.assert_allclose(model.fit(sparse.csr_array(iris)).transform(iris[:1]), expected[:1], atol=1e-3)


@pytest.mark.parametrize("code", ["vector", "map"])
@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "universal"])
def test_images_have_codes_too(digits, posterior, code):
    options = {**QUICK, "hidden_layer_sizes": () if code == "map" else (8,)}
    model = AdversarialAutoencoder(2, channels=(4,), code=code, posterior=posterior, prior="mixture", **options)
    H = model.fit(digits).transform(digits)
    assert H.shape == (400, 2 * (1 if code == "vector" else 4))
    assert model.sample(3, random_state=0, y=[0, 1, 9]).shape == (3, 64)
    assert model.predict(digits).max() < 10


def test_early_stopping_watches_the_reconstruction(iris):
    model = AdversarialAutoencoder(2, early_stopping=True, posterior="gaussian", **{**QUICK, "max_iter": 8}).fit(iris)
    assert model.loss_ == min(model.history_["validation_loss"])
    assert set(model.history_) == {
        *("critic", "penalty", "accuracy", "reconstruction", "adversarial", "mmd", "validation_loss")
    }


def test_fine_tuning_leaves_the_critic_behind(clouds):
    X, y = clouds
    for posterior in ("deterministic", "universal"):
        encoder = AdversarialAutoencoder(2, posterior=posterior, **QUICK).fit(X)
        model = FineTunedClassifier(FrozenEstimator(encoder), max_iter=2, random_state=0).fit(X, y)
        names = {name.split(".")[1] for name, _ in model.module_.named_parameters() if name.startswith("encoder")}
        assert names == {"encoder", "decoder"} | ({"posterior"} if posterior == "universal" else set())
        assert model.score(X, y) > 0.95
        assert hasattr(encoder.module_, "critic")
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), model.predict(X))
    encoder = AdversarialAutoencoder(2, prior="labels", **QUICK)
    assert "learns from y itself" in refuses(FineTunedClassifier(encoder), "fit", X, y)


# ------------------------------------------------------------------ messages


@pytest.mark.parametrize(
    ("options", "y", "sentence"),
    [
        (
            {"prior": "mixture", "n_clusters": 1},
            None,
            "needs at least 2 modes, but got n_clusters=1: use prior='normal'",
        ),
        ({"prior": "mixture", "n_clusters": 1001}, None, "at most 1000 modes, but got n_clusters=1001"),
        ({"prior": "labels"}, None, "requires y to be passed, but the target y is None: pass a label for each row"),
        ({"prior": "labels"}, [1] * 150, "at least 2 classes"),
        ({"prior": "labels"}, [-1] * 150, "0 classes"),
        ({"prior": "labels"}, [0, 1], "y has 2 labels, but X has 150 rows"),
        ({"prior": "labels"}, np.linspace(0, 1, 150), "Unknown label type"),
        ({"code": "map", "hidden_layer_sizes": ()}, None, "needs convolutional layers"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_a_sentence(iris, options, y, sentence):
    assert sentence in refuses(AdversarialAutoencoder(2, **{**QUICK, **options}), "fit", iris, y)


def test_too_many_classes_are_refused(rng):
    X, y = rng.random((2400, 3)), np.arange(2400) % 1200
    sentence = refuses(AdversarialAutoencoder(2, prior="labels", **QUICK), "fit", X, y)
    assert sentence == "prior='labels' has at most 1000 modes, but got y with 1200 classes: use prior='mixture'."


def test_what_was_not_fitted_cannot_be_drawn(labelled, iris):
    model, _ = labelled
    assert "y has 'd', but the classes are ['a', 'b', 'c']" in refuses(model, "sample", 3, None, "d")
    assert "one for each of the 3 samples" in refuses(model, "sample", 3, None, ["a", "b"])
    assert "n_samples" in refuses(model, "sample", 0, None, "a")
    plain = AdversarialAutoencoder(2, **QUICK).fit(iris)
    assert "prior='normal' has none: leave y out" in refuses(plain, "sample_codes", 3, None, 1)
    with pytest.raises(AttributeError) as caught:
        plain.predict(iris)
    assert "prior='normal' has no clusters or labels to predict: use 'mixture' or 'labels'" in str(
        caught.value.__cause__
    )
    assert "prior='normal': pass weights as sample_weight" in refuses(plain, "partial_fit", iris, None, [0, 1])
    mixture = AdversarialAutoencoder(2, prior="mixture", n_clusters=3, **QUICK).fit(iris)
    assert "y has 3, but the classes are [0, 1, 2]" in refuses(mixture, "sample", 2, None, 3)


def test_a_fit_goes_on_with_the_same_prior_alone(clouds):
    X, y = clouds
    model = AdversarialAutoencoder(2, warm_start=True, **QUICK).fit(X)
    assert "prior changed" in refuses(model.set_params(prior="labels"), "fit", X, y)
    model.set_params(prior="mixture", warm_start=False).fit(X).set_params(warm_start=True, n_clusters=4)
    assert "n_clusters changed" in refuses(model, "fit", X)
    model.set_params(n_clusters=10, posterior="gaussian")
    assert "posterior" in refuses(model, "fit", X)
    assert model.set_params(posterior="deterministic").fit(X).n_iter_ == 6


def test_a_critic_that_always_wins_is_told(clouds):
    """Nobody deceives it, and the codes of three points are easily told from N(0, I)."""
    X = CENTERS[clouds[1]]
    options = {**QUICK, "critic_layer_sizes": (64,), "max_iter": 30, "n_critic": 5, "gradient_penalty": 0.0}
    model = AdversarialAutoencoder(8, adversarial_weight=0.0, critic_rate=10.0, **options)
    with pytest.warns(CriticWinsWarning, match=r"The critic tells .* lower critic_rate"):
        model.fit(X)
    assert model.history_["accuracy"][-1] > 0.98


@pytest.mark.parametrize(
    ("estimator", "cure"),
    [
        (AdversarialAutoencoder, "raise gradient_penalty"),
        (AdversariallyRegularizedAutoencoder, "raise n_critic"),
        (WassersteinAutoencoder, "raise mmd_weight"),
        (BidirectionalGAN, "raise gradient_penalty"),
    ],
)
def test_samples_that_are_alike_are_told(estimator, cure):
    """Codes are far from the prior, whose draws are then all decoded to the mean. Reconstructions are as they were."""
    X = load_digits().data[:250]
    model = estimator(2, hidden_layer_sizes=(8,), init="pca", random_state=0)
    model._fit(X, None, None, train=False)
    rows = seen(model, X)
    with torch.no_grad():
        assert model._failure_to_sample(rows) is None  # two components of PCA cannot be as diverse as the rows
        module, score = model.module_, model.score(X)
        module.projection *= 1000
        module.expansion /= 1000
        found = model._failure_to_sample(rows)
    assert model.score(X) == pytest.approx(score, rel=1e-3)
    assert isinstance(found, ModeCollapseWarning)
    assert "200 of them are as diverse as 1 distinct rows" in str(found)
    assert "restored from 2 components" in str(found)
    assert cure in str(found)


def test_a_generator_that_makes_one_row_is_told():
    """What is restored is alike too then."""
    X = load_digits().data[:250]
    model = BidirectionalGAN(2, hidden_layer_sizes=(8,), reconstruction_weight=0.0, random_state=0)
    model._fit(X, None, None, train=False)
    with torch.no_grad():
        model.module_.expansion.zero_()
        model.module_.decoder.weights[-1].zero_()
        found = model._failure_to_sample(seen(model, X))
    assert isinstance(found, ModeCollapseWarning)


@pytest.mark.parametrize(
    ("estimator", "options"),
    [
        (AdversarialAutoencoder, {}),
        (AdversariallyRegularizedAutoencoder, {}),
        (BidirectionalGAN, {}),
        (BidirectionalGAN, {"loss": "wasserstein"}),
    ],
)
def test_weights_of_a_chunk_count_for_both_sides_of_the_game(estimator, options, clouds):
    """A critic whose sides differ in weight would add a constant to all scores, without end."""
    terms = []
    for weight in (1.0, 3.0):
        model = estimator(2, hidden_layer_sizes=(8,), solver="adam", random_state=0, **options)
        for _ in range(20):
            model.partial_fit(clouds[0], sample_weight=np.full(300, weight))
        terms.append(model.history_["critic"][0])
        assert abs(model.history_["critic"][-1]) < 10 * weight
    assert terms[1] == pytest.approx(3 * terms[0], rel=1e-3)

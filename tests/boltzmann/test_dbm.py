"""DeepBoltzmannMachine: against RBM where there is one layer, and against sums over all states where there are more."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from energy.machines import require_law, seeded
from energy.plain_deep import TOTAL, PlainDeep, all_states, cut, log_probability, mean_of, packed, plan_of, unpacked
from sklearn.datasets import load_digits

from skae import RBM, DeepBoltzmannMachine
from skae.boltzmann import _pretraining, dbm
from skae.boltzmann._deep import deep_layers
from skae.boltzmann.rbm import OFFSET_RATE
from skae.energy import partition
from skae.energy.deep import Deep
from skae.energy.layers import Part
from skae.engine.data import Batch
from skae.functional import bernoulli_divergence

QUICK = {"n_chains": 20, "max_iter": 3, "random_state": 0, "dtype": "float64"}
PARTS = {
    "gaussian": Part("gaussian", 2, scaled=True),
    "bernoulli": Part("bernoulli", 3),
    "softmax": Part("softmax", 5, (2, 3)),
    "counts": Part("counts", 3),
}
KINDS = {
    "gaussian": {"visible": "gaussian"},
    "bernoulli": {"visible": "bernoulli"},
    "softmax": {"visible": "softmax", "categories": (2, 3)},
    "counts": {"visible": "softmax"},
}
every_kind = pytest.mark.parametrize("kind", KINDS)
every_depth = pytest.mark.parametrize("n_between", [1, 2])
DEPTHS = [(n_between, label) for n_between in (0, 1, 2) for label in (0, 3)]
every_depth_and_label = pytest.mark.parametrize(("n_between", "label"), DEPTHS)


@pytest.fixture(autouse=True)
def anneal_quickly(monkeypatch):
    """Fewer temperatures than users get: these machines are tiny."""
    monkeypatch.setattr(partition, "N_BETAS", 300)


def table(kind, n=120, seed=0):
    """Rows whose columns depend on each other; of counts with three draws."""
    rng = np.random.default_rng(seed)
    shared = rng.integers(0, 2, (n, 1))
    if kind == "gaussian":
        return 3.0 * rng.normal(size=(n, 2)) + shared * [6.0, -6.0] + [1.0, 5.0]
    if kind == "bernoulli":
        return (rng.random((n, 3)) < 0.1 + 0.8 * (shared == [0, 0, 1])).astype(float)
    if kind == "softmax":
        return np.hstack([np.eye(2)[shared[:, 0]], np.eye(3)[shared[:, 0] + rng.integers(0, 2, n)]])
    return np.array([rng.multinomial(3, [0.7, 0.2, 0.1] if one else [0.1, 0.2, 0.7]) for one in shared[:, 0]], float)


def fitted(kind, n_between=1, **options):
    return DeepBoltzmannMachine(2, hidden_layer_sizes=(2,) * n_between, **{**KINDS[kind], **QUICK, **options}).fit(
        table(kind)
    )


def strong(kind, n_between=1, label=0, **options):
    """A fitted machine with weights that are not small."""
    y = np.arange(120) % label if label else None
    options = {**KINDS[kind], **QUICK, "max_iter": 1, "labels": bool(label), **options}
    model = DeepBoltzmannMachine(2, hidden_layer_sizes=(2,) * n_between, **options).fit(table(kind), y)
    module, rng = model.module_, seeded(4)
    with torch.no_grad():
        for tensor in (module.weight, module.visible_bias, module.hidden_bias):
            tensor.copy_(0.8 * torch.randn(tensor.shape, generator=rng, dtype=torch.float64))
        cut(module, module.weight)
    return model


def plain_of(model, kind, n_between=1, label=0):
    """The fitted machine, written plainly."""
    return PlainDeep.of(plan_of([PARTS[kind]], (n_between,), label), model.module_)


def states_of_rows(model, X):
    """States of the visible units for rows, by scikit-learn's scaling and the deviations of the module."""
    scaled = (X - model.mean_) / model.scale_ if model.visible == "gaussian" else X
    sigma = model.module_.log_scale.exp().numpy()[: X.shape[1]] if model.visible == "gaussian" else 1.0
    return torch.from_numpy(scaled / sigma)


def log_volume(model, kind):
    """Log of the volume that a unit of volume of the states has on the scale of X."""
    if kind != "gaussian":
        return 0.0
    return float(model.module_.log_scale[:2].sum()) + 2 * math.log(model.scale_)


def exact_scores(model, kind, X, n_between=1):
    """Log p(x) of rows, all layers summed out."""
    plain = plain_of(model, kind, n_between)
    log_z = plain.log_partition() + log_volume(model, kind)
    return np.array([float(plain.log_sum(plain.known(s)) - log_z) for s in states_of_rows(model, X)])


# ------------------------------------------------------------------ one layer is an RBM

SINGLE = [
    (kind, hidden, algorithm)
    for kind, hidden, algorithm in product(KINDS, ("bernoulli", "gaussian", "relu"), ("cd", "pcd", "pt"))
    if (kind, algorithm) != ("counts", "pt")
]


@pytest.mark.parametrize(("kind", "hidden", "algorithm"), SINGLE)
def test_without_layers_between_it_is_an_rbm_bit_for_bit(kind, hidden, algorithm, monkeypatch):
    monkeypatch.setattr(partition, "N_BETAS", 20)
    X = table(kind)
    options = {**KINDS[kind], **QUICK, "hidden": hidden, "algorithm": algorithm, "n_temperatures": 3}
    ours = DeepBoltzmannMachine(3, hidden_layer_sizes=(), **options).fit(X)
    theirs = RBM(3, **options).fit(X)
    for use in (
        lambda model: model.components_,
        lambda model: model.transform(X),
        lambda model: model.inverse_transform(model.transform(X)),
        lambda model: model.score_samples(X),
        lambda model: model.free_energy(X),
        lambda model: model.sample(5, n_steps=3, random_state=1),
        lambda model: model.gibbs(X, 2, random_state=1),
        lambda model: model.sample_given(_without_some(X), 2, random_state=1),
        lambda model: model.log_partition_,
        lambda model: model.log_partition_bounds(10, 20, 5),
    ):
        np.testing.assert_array_equal(use(ours), use(theirs))


def _without_some(X):
    """Rows with an unknown entry in every second one."""
    X = X.copy()
    X[::2, 1] = np.nan
    return X


# ------------------------------------------------------------------ the density


@every_kind
@every_depth
def test_log_z_is_the_sum_over_all_states(kind, n_between):
    model = strong(kind, n_between)
    assert math.isclose(model.log_partition_, float(plain_of(model, kind, n_between).log_partition()), rel_tol=1e-10)
    assert model.log_partition_error_ == 0.0


@every_kind
@every_depth
def test_scores_are_a_bound_below_the_exact_log_likelihood(kind, n_between):
    model, X = strong(kind, n_between), table(kind)[:12]
    exact, scores = exact_scores(model, kind, X, n_between), model.score_samples(X)
    assert (scores <= exact + 1e-9).all()
    assert 1e-6 < (exact - scores).mean() < 0.5
    assert math.isclose(model.score(X), scores.mean(), rel_tol=1e-9)


@every_kind
def test_free_energies_are_the_bound_without_log_z(kind):
    model, X = strong(kind), table(kind)[:12]
    volume = 2 * math.log(model.scale_) if kind == "gaussian" else 0.0
    np.testing.assert_allclose(-model.free_energy(X) - model.log_partition_ - volume, model.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("n_between", [1, 2])
def test_bounds_of_log_z_bracket_it(n_between):
    model = strong("bernoulli", n_between)
    lower, upper = model.log_partition_bounds(n_chains=500, n_betas=100, n_steps=50)
    for found in (lower, upper):
        assert abs(found.value - model.log_partition_) < 4 * found.error < 0.3


@every_depth_and_label
def test_parameters_are_those_of_the_layers(n_between, label):
    model = strong("bernoulli", n_between, label)
    plain = plain_of(model, "bernoulli", n_between, label)
    for edge, found in zip(plain.plan.edges, model.coefs_, strict=True):
        np.testing.assert_array_equal(found.T, plain.weights[edge])
    for bias, found in zip(plain.biases, model.intercepts_, strict=True):
        np.testing.assert_array_equal(found, bias)
    np.testing.assert_array_equal(model.components_, plain.weights[0, 1])
    np.testing.assert_array_equal(model.intercept_visible_, plain.biases[0])
    np.testing.assert_array_equal(model.intercept_hidden_, plain.biases[1])


# ------------------------------------------------------------------ samples


@pytest.mark.parametrize("kind", ["bernoulli", "softmax", "counts"])
@every_depth
def test_samples_follow_the_enumerated_law(kind, n_between):
    model = strong(kind, n_between)
    rows = all_states(PARTS[kind])
    law = torch.from_numpy(np.exp(exact_scores(model, kind, rows.numpy(), n_between)))
    assert math.isclose(float(law.sum()), 1.0, rel_tol=1e-9)
    require_law(torch.from_numpy(model.sample(4000, n_steps=40)), rows, law)


@pytest.mark.parametrize("kind", ["bernoulli", "softmax", "counts"])
@pytest.mark.parametrize("n_between", [0, 1, 2])
def test_unknown_entries_are_drawn_given_the_known_ones(kind, n_between):
    model, n = strong(kind, n_between), 3000
    known = {"bernoulli": [1.0, np.nan, np.nan], "softmax": [0.0, 1, 0, np.nan, 0], "counts": [2.0, np.nan, 0.0]}
    row = torch.tensor(known[kind], dtype=torch.float64)
    plain = plain_of(model, kind, n_between)
    states, scores = plain.table(plain.known(row))
    rows, place = torch.unique(states[0], dim=0, return_inverse=True)
    law = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, place, torch.softmax(scores, 0))
    assert len(rows) > 2
    drawn = model.sample_given(row.expand(n, -1).numpy(), n_steps=40, random_state=0)
    require_law(torch.from_numpy(drawn), rows, law)


def test_unknown_reals_are_drawn_on_the_scale_of_x():
    model = strong("gaussian")
    X = np.tile([table("gaussian")[0, 0], np.nan], (4000, 1))
    drawn = model.sample_given(X, n_steps=30, random_state=0)
    np.testing.assert_allclose(drawn[:, 0], X[:, 0], rtol=1e-12)
    plain = plain_of(model, "gaussian")
    (s,) = states_of_rows(model, X[:1])
    states, scores = plain.table(plain.known(s))
    q, sigma = torch.softmax(scores, 0), float(model.module_.log_scale[1].exp()) * float(model.scale_)
    mean = float(q @ states[0][:, 1])
    deviation = float((q @ (1 + states[0][:, 1].square()) - mean**2).sqrt()) * sigma
    mean = mean * sigma + float(model.mean_[1])
    assert abs(drawn[:, 1].mean() - mean) < 5 * deviation / 4000**0.5
    assert abs(drawn[:, 1].std() / deviation - 1) < 0.06


def test_rows_of_which_all_is_known_stay():
    model, X = strong("bernoulli"), table("bernoulli")
    np.testing.assert_array_equal(model.sample_given(X, n_steps=3, random_state=0), X)


@pytest.mark.parametrize("kind", ["bernoulli", "softmax"])
def test_chains_from_rows_start_at_states_drawn_by_mean_field(kind):
    """Sum over h_2 of q(h_2) p(h_1 | x, h_2) p(x' | h_1), where q is that of settled mean field."""
    model = strong(kind)
    plain, rows, h = plain_of(model, kind), all_states(PARTS[kind]), all_states(Part("bernoulli", 2))
    x = rows[1]
    top = swept(model, plain, plain.known(x))[2]
    q = log_probability(Part("bernoulli", 2), top, h, torch.ones(2, dtype=torch.bool)).exp()
    up = torch.softmax(plain.field(1, [x.expand(4, -1), h, h]) @ h.T, 1)
    down = torch.softmax(plain.field(0, [rows[:4], h, h]) @ rows.T, 1)
    drawn = model.gibbs(x.expand(20_000, -1).numpy(), 1, random_state=0)
    require_law(torch.from_numpy(drawn), rows, q @ up @ down)


# ------------------------------------------------------------------ mean field


def swept(model, plain, known, n_sweeps=400):
    """Means of all layers after so many sweeps from the offsets."""
    offsets = unpacked(plain.plan, model.module_.visible_offset, model.module_.hidden_offset)
    if plain.is_replicated:  # there the offset is that of one draw
        offsets[0] = offsets[0] * TOTAL
    means = [torch.where(k.isnan(), offset, k) for k, offset in zip(known, offsets, strict=True)]
    for _ in range(n_sweeps):
        before, means = torch.cat(means), plain.sweep(means, known)
        if (torch.cat(means) - before).abs().max() < 1e-12:
            break
    return means


@every_kind
@every_depth_and_label
def test_codes_are_the_layers_of_settled_mean_field(kind, n_between, label):
    model, X = strong(kind, n_between, label), table(kind)[:6]
    plain = plain_of(model, kind, n_between, label)
    layers = model.set_params(code="all").transform(X)
    assert layers.shape == (6, 2 * (n_between + 1))
    np.testing.assert_array_equal(model.set_params(code="top").transform(X), layers[:, -2:])
    for s, found in zip(states_of_rows(model, X), layers, strict=True):
        means = swept(model, plain, plain.known(s))
        np.testing.assert_allclose(found, torch.cat(means[1 : n_between + 2]).numpy(), atol=1e-8)


@every_kind
@every_depth_and_label
def test_decoded_rows_are_means_given_the_code(kind, n_between, label):
    """With the whole code the layer above the rows is known; given the top alone, mean field finds the others."""
    model, rng = strong(kind, n_between, label), seeded(6)
    plain = plain_of(model, kind, n_between, label)
    codes = torch.rand((4, 2 * (n_between + 1)), generator=rng, dtype=torch.float64)
    scale = np.exp(model.module_.log_scale[:2].numpy()) * model.scale_ if kind == "gaussian" else 1.0
    for code, first in (("all", 1), ("top", n_between + 1)):
        given = codes if code == "all" else codes[:, -2:]
        found = model.set_params(code=code).inverse_transform(given.numpy())
        for i, row in enumerate(given):
            known = plain.nothing()
            known[first : n_between + 2] = row.split(2)
            mean = swept(model, plain, known)[0].numpy()
            if kind == "gaussian":
                mean = mean * scale + model.mean_
            np.testing.assert_allclose(found[i], mean, rtol=1e-6, atol=1e-8)


@every_kind
def test_the_reconstruction_in_the_history_is_the_squared_error_by_mean_field(kind):
    model, X = fitted(kind, n_mean_field=2, weight_scale=1.5), table(kind)
    plain, errors = plain_of(model, kind), []
    for s in states_of_rows(model, X):
        means = swept(model, plain, plain.known(s), 2)
        means = plain.sweep(means, plain.known(s))  # the hidden side of this sweep is that of the means above
        back = mean_of(PARTS[kind], plain.field(0, [m[None] for m in means])[0])
        sigma = model.module_.log_scale.exp()[:2].detach() if kind == "gaussian" else 1.0
        errors.append(float(((s - back) * sigma).square().sum()))
    assert math.isclose(model.history_["reconstruction"][-1], np.mean(errors), rel_tol=1e-6)


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli"])
def test_the_bound_in_the_history_is_that_of_held_out_rows(kind, monkeypatch):
    some_rows, seen = RBM._some_rows, []

    def watched(self, data, least):
        seen.append(some_rows(self, data, least).x)
        return some_rows(self, data, least)

    monkeypatch.setattr(RBM, "_some_rows", watched)
    model = fitted(kind, early_stopping=True, max_iter=4, validation_fraction=0.3)
    held_out = min(seen[-2:], key=len)
    assert len(held_out) == 36
    X = held_out.numpy() * model.scale_ + model.mean_ * (kind == "gaussian")
    assert set(model.history_) == {"reconstruction", "bound", "validation_loss", "free_energy_gap"}
    bounds = model.history_["bound"]
    best = bounds[int(np.argmin(model.history_["validation_loss"]))]
    assert abs(best - model.score_samples(X).mean()) < 0.01
    volume = 2 * math.log(model.scale_) if kind == "gaussian" else 0.0
    np.testing.assert_allclose(np.add(bounds, volume), -np.array(model.history_["validation_loss"]))


# ------------------------------------------------------------------ labels


def label_bounds(model, plain, s):
    """The bound of log p(x, y) + log Z for each label y."""
    rows = [plain.known(s, y) for y in torch.eye(3).double()]
    return torch.stack([plain.elbo(swept(model, plain, known), known) for known in rows])


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "softmax"])
def test_labels_of_one_layer_have_their_enumerated_probabilities(kind):
    model, X = strong(kind, 0, label=3), table(kind)[:12]
    plain = plain_of(model, kind, 0, label=3)
    scores = [plain.log_sum(plain.known(s, y)) for s in states_of_rows(model, X) for y in torch.eye(3).double()]
    expected = torch.softmax(torch.stack(scores).view(-1, 3), 1).numpy()
    np.testing.assert_allclose(model.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_array_equal(model.predict(X), expected.argmax(1))


@every_kind
@every_depth
def test_labels_of_more_layers_are_as_likely_as_their_bounds_say(kind, n_between):
    model, X = strong(kind, n_between, label=3), table(kind)[:6]
    plain = plain_of(model, kind, n_between, 3)
    bounds = torch.stack([label_bounds(model, plain, s) for s in states_of_rows(model, X)])
    np.testing.assert_allclose(model.predict_proba(X), torch.softmax(bounds, 1).numpy(), rtol=1e-7)
    exact = torch.stack([plain.log_sum(plain.known(s)) for s in states_of_rows(model, X)])
    log_z = plain.log_partition() + log_volume(model, kind)
    scores = model.score_samples(X)
    np.testing.assert_allclose(scores, (bounds.logsumexp(1) - log_z).numpy(), rtol=1e-7)
    assert (scores < (exact - log_z).numpy()).all()


@pytest.mark.parametrize("kind", ["bernoulli", "softmax"])
@pytest.mark.parametrize("n_between", [0, 1, 2])
def test_samples_of_a_class_follow_the_enumerated_law(kind, n_between):
    model = strong(kind, n_between, label=3)
    plain = plain_of(model, kind, n_between, 3)
    for y in (0, 2):
        states, scores = plain.table([*plain.nothing()[:-1], torch.eye(3).double()[y]])
        rows, place = torch.unique(states[0], dim=0, return_inverse=True)
        law = torch.zeros(len(rows), dtype=torch.float64).index_add_(0, place, torch.softmax(scores, 0))
        require_law(torch.from_numpy(model.sample(3000, n_steps=40, y=y)), rows, law)


def test_labels_are_learnt_from_the_rows_that_have_one():
    X = table("bernoulli")
    y = np.where(np.arange(120) % 3, X[:, 2], -1)
    options = {**QUICK, "labels": True, "max_iter": 200, "n_chains": 100}
    model = DeepBoltzmannMachine(4, hidden_layer_sizes=(4,), visible="bernoulli", **options).fit(X, y)
    assert model.score(X[y != -1], y[y != -1]) > 0.9


# ------------------------------------------------------------------ a step of learning


def rows_for_a_step(model, kind, label):
    """Rows on the scale of the machine, and labels of which some are unknown."""
    x = torch.from_numpy((table(kind)[:6] - model.mean_ * (kind == "gaussian")) / model.scale_)
    y = torch.eye(3).double()[[0, 2, 1, 1, 0, 2]] if label else None
    if label:
        y[::2] = 0.0
    return x, y


def step_of(model, x, y=None, weight=None):
    """Gradients that a step leaves; the chains and the noise are the same each time."""
    module = model.module_
    chain, offsets = module.chain.clone(), [module.visible_offset.clone(), module.hidden_offset.clone()]
    for parameter in module.parameters():
        parameter.grad = torch.zeros_like(parameter)
    terms = model._step(module, Batch(x, weight, y), seeded(0))
    moved = module.visible_offset.clone(), module.hidden_offset.clone()
    module.chain.copy_(chain)
    module.visible_offset.copy_(offsets[0])
    module.hidden_offset.copy_(offsets[1])
    return {name: parameter.grad.clone() for name, parameter in module.named_parameters()}, terms, moved


def means_of_rows(model, plain, x, y, n_sweeps):
    """The mean field of each row after so many sweeps from the offsets, as states of the two sides."""
    rows = []
    for i, s in enumerate(model.module_.embed(x)):
        known = plain.known(s, None if y is None else y[i])
        means = swept(model, plain, known, n_sweeps)
        (s, _), (_, h) = packed(plain.plan, means), packed(plain.plan, plain.sweep(means, known))
        rows.append((s, h))
    return tuple(torch.stack(side) for side in zip(*rows, strict=True))


@pytest.mark.parametrize("kind", ["gaussian", "bernoulli", "softmax"])
@every_depth_and_label
def test_the_data_of_a_step_are_means_of_so_many_sweeps(kind, n_between, label):
    """The difference of two gradients with the same chains is that of the products of means of their rows."""
    model = strong(kind, n_between, label, n_mean_field=3, centred=False)
    plain, (x, y) = plain_of(model, kind, n_between, label), rows_for_a_step(model, kind, label)
    weight = torch.tensor([2.0, 0, 1, 1, 0.5, 1.5], dtype=torch.float64)
    one, other = step_of(model, x, y, weight)[0], step_of(model, x[[0] * 6], None if y is None else y[[0] * 6])[0]
    s, h = means_of_rows(model, plain, x, y, 3)
    share = weight / 6
    d_weight = cut(model.module_, (h.T * share) @ s - torch.outer(h[0], s[0]))
    torch.testing.assert_close(other["weight"] - one["weight"], d_weight)
    torch.testing.assert_close(other["visible_bias"] - one["visible_bias"], share @ s - s[0])
    torch.testing.assert_close(other["hidden_bias"] - one["hidden_bias"], share @ h - h[0])


@pytest.mark.parametrize("n_between", [0, 1, 2])
def test_the_gradient_of_sparsity_is_that_of_the_fields_given_the_neighbours(n_between):
    model = strong("bernoulli", n_between, sparsity_target=0.2, centred=False, n_mean_field=200)
    module, plan = model.module_, plan_of([PARTS["bernoulli"]], (n_between,))
    x, _ = rows_for_a_step(model, "bernoulli", 0)
    without = step_of(model.set_params(sparsity=0.0), x)[0]
    with_it, terms, _ = step_of(model.set_params(sparsity=3.0), x)
    s, h = means_of_rows(model, plain_of(model, "bernoulli", n_between), x, None, 200)
    names = ("weight", "visible_bias", "hidden_bias")
    parameters = [getattr(module, name).detach().clone().requires_grad_() for name in names]
    W, a, b = parameters
    means = unpacked(plan, torch.sigmoid(a + h @ W), torch.sigmoid(b + s @ W.T))
    cost = sum(3.0 * bernoulli_divergence(0.2, mean.mean(0))[0].sum() for mean in means[1:])
    torch.testing.assert_close(terms["sparsity"], cost.detach())
    slopes = torch.autograd.grad(cost, parameters, materialize_grads=True)
    cut(module, slopes[0])
    for name, slope in zip(names, slopes, strict=True):
        torch.testing.assert_close(with_it[name] - without[name], slope, rtol=1e-9, atol=1e-12)


@every_depth
def test_the_gradient_of_the_scale_is_that_of_the_bound(n_between):
    """The means of the layers are held, since the bound is highest in them."""
    model = strong("gaussian", n_between, learn_variances=True, centred=False, learning_rate_init=0.02)
    module, plain = model.module_, plain_of(model, "gaussian", n_between)
    with torch.no_grad():
        module.log_scale[:2] = torch.tensor([-0.3, 0.4])
    x, _ = rows_for_a_step(model, "gaussian", 0)
    s, h = means_of_rows(model, plain, x, None, model.n_mean_field)
    log_scale, bounds = module.log_scale.detach().clone().requires_grad_(), []
    for i, row in enumerate(x):
        means = unpacked(plain.plan, s[i], h[i])
        means[0] = row * torch.exp(-log_scale[:2])
        bounds.append(plain.elbo(means, plain.known(means[0])) - log_scale[:2].sum())
    (expected,) = torch.autograd.grad(-torch.stack(bounds).mean(), log_scale)
    torch.testing.assert_close(step_of(model, x)[0]["log_scale"], expected)


@pytest.mark.parametrize("n_between", [0, 1, 2])
def test_offsets_follow_the_means_and_not_the_target(n_between):
    model = strong("bernoulli", n_between, sparsity_target=0.2)
    x, _ = rows_for_a_step(model, "bernoulli", 0)
    (*_, without), (*_, with_it) = (step_of(model.set_params(sparsity=value), x) for value in (0.0, 3.0))
    s, h = means_of_rows(model, plain_of(model, "bernoulli", n_between), x, None, model.n_mean_field)
    module = model.module_
    for found, offset, mean in zip(with_it, (module.visible_offset, module.hidden_offset), (s, h), strict=True):
        torch.testing.assert_close(found, offset + OFFSET_RATE * (mean.mean(0) - offset))
    assert all(torch.equal(one, other) for one, other in zip(without, with_it, strict=True))


# ------------------------------------------------------------------ learning

ALGORITHMS = [
    (kind, algorithm) for kind in KINDS for algorithm in ("cd", "pcd", "pt") if (kind, algorithm) != ("counts", "pt")
]


@pytest.mark.filterwarnings("ignore:The code is nearly the same")
@pytest.mark.parametrize(("kind", "algorithm"), ALGORITHMS)
def test_fits_raise_the_exact_likelihood(kind, algorithm):
    X = table(kind)
    rate = {"learning_rate_init": 0.02 if kind == "counts" else 0.1, "momentum": 0.9, "weight_scale": 0.3}
    scores = []
    for max_iter in (1, 60):
        options = {"algorithm": algorithm, "n_temperatures": 3, "batch_size": 40, "max_iter": max_iter, **rate}
        scores.append(exact_scores(fitted(kind, **options), kind, X).mean())
    assert scores[1] > scores[0] + 0.03


# ------------------------------------------------------------------ pretraining

TREES = {
    "path of 2": [(2,)],
    "path of 3": [(2, 2)],
    "tree": [(2, 2), (2, 2)],
    "unequal tree": [(2,), (2, 2, 2)],
    "rows below the top": [(2, 2), ()],
    "rows below the top, before": [(), (2, 2)],
}


def deep_of(pathways, seed=5):
    """A deep machine with random weights, its parts, and rows of its width."""
    parts, edges = deep_layers([Part("bernoulli", 3), Part("counts", 2)][: len(pathways)], pathways, "bernoulli", 2, 0)
    deep, rng = Deep(layers=parts, edges=edges, n_seen=len(pathways)).double(), seeded(seed)
    with torch.no_grad():
        for tensor in (deep.weight, deep.visible_bias, deep.hidden_bias, deep.visible_offset, deep.hidden_offset):
            tensor.copy_(torch.rand(tensor.shape, generator=rng, dtype=torch.float64))
        cut(deep, deep.weight)
    rows = torch.tensor([[1.0, 0, 1, 2, 1], [0, 1, 1, 0, 3]], dtype=torch.float64)
    return deep, parts, rows[:, : deep.width]


def pretrained(deep, parts, learn, monkeypatch):
    """Pretrain with a function of the layer in place of its learning. Return all layers by number."""
    found = {}

    def replaced(layer, layers, *_):
        learn(layer)
        found.update(layers)

    monkeypatch.setattr(_pretraining, "_learn", replaced)
    _pretraining.pretrain(deep, parts, None, None, None, True, seeded(0))
    return found


def randomise(layer):
    rng = seeded(layer.upper)
    for name in ("weight", "visible_bias", "hidden_bias"):
        tensor = getattr(layer.machine, name)
        tensor.copy_(torch.randn(tensor.shape, generator=rng, dtype=torch.float64))


@pytest.mark.parametrize("name", TREES)
def test_pretrained_layers_give_their_weights_and_the_means_of_their_biases(name, monkeypatch):
    """Weights between two layers that are neither the first nor the last ones learnt are halved."""
    deep, parts, _ = deep_of(TREES[name])
    layers, given = pretrained(deep, parts, randomise, monkeypatch), {}
    top = deep.hidden_layers[-1]
    for upper, layer in layers.items():
        given.setdefault(upper, []).append(layer.machine.hidden_bias)
        first = 0
        for lower in [below for below, above in deep.edges if above == upper]:
            last = first + parts[lower].width
            block = layer.machine.weight[:, first:last]
            is_between = lower >= deep.n_seen and upper != top
            torch.testing.assert_close(deep.weights(lower, upper).detach(), block.detach() / (2 if is_between else 1))
            given.setdefault(lower, []).append(layer.machine.visible_bias[first:last])
            first = last
    for k in range(len(parts)):
        assert len(given[k]) == (1 if k < deep.n_seen or k == top else 2)
        torch.testing.assert_close(deep.bias(k).detach(), torch.stack(given[k]).mean(0).detach())


@pytest.mark.parametrize("name", TREES)
def test_layers_are_pretrained_from_the_whole_on_states_drawn_upwards(name, monkeypatch):
    """The lowest layers see their rows twice, and layers between are what is above of what the layer below draws."""
    deep, parts, x = deep_of(TREES[name])
    weights = {edge: deep.weights(*edge).detach().clone() for edge in deep.edges}
    layers = pretrained(deep, parts, lambda layer: None, monkeypatch)
    n, top, places = 4000, deep.hidden_layers[-1], [deep.place(k)[1] for k in range(deep.n_seen)]
    for upper, layer in layers.items():
        lower = [below for below, above in deep.edges if above == upper]
        torch.testing.assert_close(layer.machine.weight.detach(), torch.cat([weights[k, upper] for k in lower], 1))
        seen = layer.seen(x.repeat(n, 1), layers, seeded(1)).view(n, 2, -1)
        times = 2 if max(lower) < deep.n_seen else 1
        offsets = torch.cat([deep.layer(k, deep.visible_offset, deep.hidden_offset) for k in lower])
        torch.testing.assert_close(layer.machine.visible_offset, times * offsets)
        offset = deep.layer(upper, deep.visible_offset, deep.hidden_offset)
        torch.testing.assert_close(layer.machine.hidden_offset, offset * (2 if upper == top else 1))
        mean = layer.machine.hidden_mean(seen[0]).detach()
        field = torch.nn.functional.linear(seen[0], layer.machine.weight, layer.machine.hidden_bias)
        torch.testing.assert_close(mean, torch.sigmoid(field).detach() * (2 if upper == top else 1))
        for k, piece in zip(lower, seen.split([parts[k].width for k in lower], 2), strict=True):
            if k < deep.n_seen:
                assert torch.equal(piece, (times * x[:, places[k]]).expand(n, -1, -1))
                continue
            below = layers[k]
            assert ((piece == 0) | (piece == 1)).all()
            again = below.machine.hidden_mean(below.seen(x.repeat(n, 1), layers, seeded(2))).view(n, 2, -1).mean(0)
            torch.testing.assert_close(piece.mean(0), again.detach(), rtol=0, atol=0.05)


@pytest.mark.parametrize("kind", ["bernoulli", "softmax", "counts"])
@every_depth
def test_pretraining_raises_the_exact_likelihood(kind, n_between):
    options = {"max_iter": 1, "weight_scale": 0.3, "learning_rate_init": 0.1 if kind == "counts" else 0.2}
    scores = [
        exact_scores(fitted(kind, n_between, pretrain_iter=n, **options), kind, table(kind), n_between).mean()
        for n in (0, 60)
    ]
    assert scores[1] > scores[0] + 0.1


def test_offsets_start_at_the_means_of_the_pretrained_layers():
    """Here nothing is learnt, and a single step moves the offsets by a hundredth of the way."""
    options = {"pretrain_iter": 1, "max_iter": 1, "learning_rate_init": 1e-12, "weight_scale": 1.5, "batch_size": 120}
    options["n_mean_field"] = 5
    before = fitted("bernoulli", **{**options, "pretrain_iter": 0, "centred": False})
    model, plain = fitted("bernoulli", **options), plain_of(before, "bernoulli")
    s, h = means_of_rows(before, plain, torch.from_numpy(table("bernoulli")), None, model.n_mean_field)
    assert (s.mean(0) - before.module_.visible_offset).abs().max() > 0.05
    torch.testing.assert_close(model.module_.visible_offset, s.mean(0), rtol=0, atol=2e-3)
    torch.testing.assert_close(model.module_.hidden_offset, h.mean(0), rtol=0, atol=2e-3)


@pytest.mark.parametrize(("algorithm", "n_starts"), [("pcd", 1), ("pt", 0)])
def test_pretraining_comes_once_and_chains_start_at_what_it_learnt(algorithm, n_starts, monkeypatch):
    """Chains at several temperatures keep their start, since the hotter ones are not at the data."""
    seen = []
    monkeypatch.setattr(dbm, "pretrain", lambda *_: seen.append("pretrain"))
    monkeypatch.setattr(RBM, "_start_at_data", lambda *_: seen.append("start"))
    model = fitted("bernoulli", pretrain_iter=1, algorithm=algorithm, warm_start=True)
    assert seen == ["pretrain"] + ["start"] * n_starts
    model.fit(table("bernoulli")).partial_fit(table("bernoulli"))
    fitted("bernoulli", pretrain_iter=0, algorithm=algorithm)
    fitted("bernoulli", n_between=0, pretrain_iter=1, algorithm=algorithm)
    assert len(seen) == 1 + n_starts


def test_a_top_that_says_nothing_is_told_with_the_code_that_says_more():
    X = (load_digits().data > 7).astype(float)
    machine = DeepBoltzmannMachine(16, hidden_layer_sizes=(16, 16), visible="bernoulli", max_iter=5, random_state=0)
    with pytest.warns(UserWarning, match="use code='all' or fewer hidden_layer_sizes"):
        machine.fit(X)

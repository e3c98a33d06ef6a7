"""DeepBeliefNetwork: an RBM where it has one layer, an enumerated density where it has two."""

import copy

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skae import RBM, DeepBeliefNetwork
from skae.boltzmann._greedy import codes_for
from skae.energy.belief import Stage
from skae.energy.layers import Part
from skae.energy.partition import Partition
from skae.engine.arrays import Arrays

SHORT = {"max_iter": 2, "n_chains": 5, "random_state": 0}


@pytest.fixture
def X(rng):
    return (rng.random((40, 6)) < 0.3 + 0.4 * (np.arange(40) % 2)[:, None]).astype(float)


@pytest.fixture
def y():
    return np.array(["even", "odd", "none", "odd"] * 10)


def tiny(X, y=None, **options):
    """A network in double precision of layers that can be enumerated, with weights that are not small."""
    options = {
        "visible": "bernoulli",
        "hidden_layer_sizes": (3,),
        "weight_scale": 1.0,
        "labels": y is not None,
    } | options
    return DeepBeliefNetwork(2, dtype="float64", **options, **SHORT).fit(X, y)


def states(n):
    """All states of n binary units."""
    return torch.tensor([[(i >> j) & 1 for j in range(n)] for i in range(2**n)], dtype=torch.float64)


@torch.no_grad()
def log_joint(network, X):
    """Log p(v, h_1) of two layers, one row a v and one column an h_1, and log q(h_1 | v)."""
    v, h = torch.from_numpy(X), states(3)
    stage, top, g = network.module_.stages[0], network.module_.top, states(2)
    prior = torch.stack([torch.logsumexp(-top.energy(x.expand(len(g), -1), g), 0) for x in h])
    prior = prior - torch.logsumexp(prior, 0)
    p = torch.sigmoid(h @ stage.down.weight + stage.down.visible_bias)
    q = torch.sigmoid(v @ stage.up.weight.T + stage.up.hidden_bias)
    return v @ p.log().T + (1 - v) @ (1 - p).log().T + prior, q.log() @ h.T + (1 - q).log() @ (1 - h).T


# ------------------------------------------------------------------ one layer


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"visible": "bernoulli", "algorithm": "cd", "hidden": "relu"},
        {"visible": "bernoulli", "algorithm": "pt", "sparsity": 0.1},
        {"visible": "softmax"},
        {"learn_variances": True, "early_stopping": True},
    ],
)
def test_without_hidden_layers_it_is_an_rbm_to_the_last_bit(X, options):
    rbm = RBM(3, **options, **SHORT).fit(X, sample_weight=np.arange(40))
    network = DeepBeliefNetwork(3, hidden_layer_sizes=(), **options, **SHORT).fit(X, sample_weight=np.arange(40))
    for function in ("transform", "score_samples", "free_energy", "gibbs"):
        np.testing.assert_array_equal(getattr(network, function)(X), getattr(rbm, function)(X))
    np.testing.assert_array_equal(network.components_, rbm.components_)
    np.testing.assert_array_equal(network.sample(4, 3), rbm.sample(4, 3))
    np.testing.assert_array_equal(network.inverse_transform(np.eye(3)), rbm.inverse_transform(np.eye(3)))
    assert network.history_ == rbm.history_
    assert (network.log_partition_, network.n_iter_, network.loss_) == (rbm.log_partition_, rbm.n_iter_, rbm.loss_)
    for model in (network, rbm):
        model.set_params(early_stopping=False).partial_fit(X)
    np.testing.assert_array_equal(network.transform(X), rbm.transform(X))


def test_the_first_layer_of_a_deep_one_is_an_rbm_too(X):
    rbm = RBM(3, **SHORT).fit(X)
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), **SHORT).fit(X)
    np.testing.assert_array_equal(network.layers_[0].components_, rbm.components_)
    np.testing.assert_array_equal(network.layers_[0].transform(X), rbm.transform(X))
    assert network.layers_[1].visible == "bernoulli"


def test_greys_are_learnt_as_probabilities_of_binary_rows():
    """Rows of two greys are a mixture of two kinds of binary rows, though they vary less than binary units do."""
    X = np.repeat([[0.2] * 3, [0.8] * 3], 50, axis=0)
    options = {"visible": "bernoulli", "max_iter": 100, "learning_rate_init": 0.5, "dtype": "float64"}
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(2,), random_state=0, **options).fit(X)
    ones = states(3).numpy().sum(1)
    expected = (0.2**ones * 0.8 ** (3 - ones) + 0.8**ones * 0.2 ** (3 - ones)) / 2
    np.testing.assert_allclose(np.exp(network.layers_[0].score_samples(states(3).numpy())), expected, atol=0.025)


@pytest.mark.parametrize(("visible", "categories"), [("bernoulli", None), ("softmax", (2, 4))])
def test_the_first_layer_learns_from_states_drawn_from_probabilities(visible, categories):
    probability = np.array([[0.3, 0.7, 0.1, 0.2, 0.3, 0.4]])
    options = {"visible": visible, "categories": categories, "hidden_layer_sizes": (3,), "dtype": "float64"}
    network = DeepBeliefNetwork(2, **options, **SHORT).fit(np.eye(6)[[0, 1]] + np.eye(6)[[2, 3]])
    learner, belief, rng = network.layers_[0], network.module_, torch.Generator().manual_seed(0)
    drawn = codes_for(learner, 0, belief, Arrays(probability.repeat(20000, 0)), rng)[:].x.numpy()
    assert set(np.unique(drawn)) == {0.0, 1.0}
    np.testing.assert_allclose(drawn.mean(0), probability[0], atol=5 * (0.25 / 20000) ** 0.5)
    assert categories is None or (drawn[:, :2].sum(1) == 1).all()
    states_already = Arrays(drawn)
    assert codes_for(learner, 0, belief, states_already, rng) is states_already


# ------------------------------------------------------------------ the bound


def estimates(network, X):
    """Mean and standard error of the bound over 40 sets of draws."""
    scores = []
    for network._seed in range(40):
        scores.append(network.score_samples(X))
    return np.mean(scores, 0), np.std(scores, 0) / np.sqrt(40)


def test_the_bound_is_that_of_enumeration_and_below_the_likelihood(X):
    network = tiny(X)
    joint, q = log_joint(network, X)
    exact, bound = torch.logsumexp(joint, 1).numpy(), (q.exp() * (joint - q)).sum(1).numpy()
    found, error = estimates(network, X)
    assert (bound < exact).all()
    assert (np.abs(found - bound) < 5 * error).all()
    assert np.abs(found - bound).max() < 0.1


def test_the_bound_is_tight_where_q_is_the_posterior(X):
    network = tiny(X)
    with torch.no_grad():
        for machine in (network.module_.stages[0].up, network.module_.stages[0].down, network.module_.top):
            machine.weight.zero_()
        network.module_.stages[0].up.hidden_bias.zero_()
        network.module_.top.visible_bias.zero_()
    network._partition = Partition()  # that of the weights before
    exact = torch.logsumexp(log_joint(network, X)[0], 1)
    np.testing.assert_allclose(network.score_samples(X), exact, rtol=1e-12)


@pytest.mark.parametrize("hidden", ["gaussian", "relu"])
def test_the_bound_of_real_codes_lies_below_the_integral_by_the_divergence_of_q(rng, hidden):
    X = (rng.random((50, 2)) < 0.4).astype(float)
    layers = [{"hidden": hidden}, {}]
    network = tiny(X, hidden_layer_sizes=(1,), layers=layers, weight_scale=0.3)
    stage, top = network.module_.stages[0], network.module_.top
    v = torch.from_numpy(np.unique(X, axis=0))
    with torch.no_grad():
        z = torch.linspace(-40, 40, 40001, dtype=torch.float64)[:, None]
        width = float(z[1] - z[0])
        prior = top.log_density(z)
        np.testing.assert_allclose(float(torch.logsumexp(prior, 0)) + np.log(width), network.log_partition_, rtol=1e-9)
        h = z * stage.spread + stage.shift
        p = torch.sigmoid(h @ stage.down.weight + stage.down.visible_bias)
        joint = v @ p.log().T + (1 - v) @ (1 - p).log().T + prior - network.log_partition_
        field = v @ stage.up.weight.T + stage.up.hidden_bias
        mean, deviation = (
            (field, torch.ones_like(field))
            if hidden == "gaussian"
            else (torch.nn.functional.softplus(field), torch.sigmoid(field).sqrt())
        )
        q = torch.distributions.Normal(mean, deviation).log_prob(h.T) + stage.spread.log()
        bound = (q.exp() * (joint - q)).sum(1).numpy() * width
        exact = (torch.logsumexp(joint, 1) + np.log(width)).numpy()
    assert (bound < exact).all()
    found, error = estimates(network, v.numpy())
    assert (np.abs(found - bound) < 5 * error).all()
    assert error.max() < 0.02


def test_a_score_depends_on_its_row_alone_and_is_the_same_each_time(X):
    network = DeepBeliefNetwork(3, hidden_layer_sizes=(5, 4), max_iter=2).fit(X)  # without a seed
    scores = network.score_samples(X)
    np.testing.assert_array_equal(network.score_samples(X), scores)
    np.testing.assert_allclose(network.score_samples(X[7:9]), scores[7:9], rtol=1e-5)


# ------------------------------------------------------------------ samples


def matches(drawn, p):
    """Chi-square test of binary rows against their probabilities, which fails one time in a thousand."""
    number = (drawn @ 2 ** np.arange(drawn.shape[1])).astype(int)
    observed = np.bincount(number, minlength=len(p))
    return stats.chisquare(observed, p * len(drawn)).pvalue > 1e-3


def test_samples_have_the_density_of_the_model(rng):
    network = tiny((rng.random((40, 4)) < 0.4).astype(float))
    p = torch.logsumexp(log_joint(network, states(4).numpy())[0], 1).exp().numpy()
    np.testing.assert_allclose(p.sum(), 1.0)
    assert matches(network.sample(4000, 30), p)


def test_samples_of_a_class_have_its_density(X, y):
    X = X[:, :4]
    network = tiny(X, y, hidden_layer_sizes=())
    v, h, top = states(4), states(2), network.module_.top
    for k, label in enumerate(network.classes_):
        s = torch.cat([v, torch.eye(3, dtype=v.dtype)[k].expand(len(v), -1)], 1)
        p = torch.stack([-top.energy(s, g.expand(len(s), -1)) for g in h]).logsumexp(0).softmax(0).detach().numpy()
        assert matches(network.sample(2000, 30, y=label), p)
    assert network.sample(3, 1, y=["odd", "even", "odd"]).shape == (3, 4)


def test_gibbs_starts_at_the_rows_and_ends_at_the_model(rng):
    network = tiny((rng.random((40, 4)) < 0.4).astype(float))
    p = torch.logsumexp(log_joint(network, states(4).numpy())[0], 1).exp().numpy()
    assert matches(network.gibbs(np.zeros((4000, 4)), 30), p)


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize("sizes", [(), (3,)])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_probabilities_of_labels_are_those_of_enumeration(X, y, sizes, hidden):
    settings = [{"hidden": hidden}] * len(sizes) + [{}]
    network = tiny(X, y, hidden_layer_sizes=sizes, layers=settings, weight_scale=0.3)
    module = network.module_
    with torch.no_grad():
        z = module.mean_up(torch.from_numpy(X))
        scores = []
        for label in torch.eye(3, dtype=z.dtype):
            s = module.top.embed(torch.cat([z, label.expand(len(z), -1)], 1))
            scores.append(torch.stack([-module.top.energy(s, g.expand(len(s), -1)) for g in states(2)]).logsumexp(0))
        expected = torch.stack(scores, 1).softmax(1).numpy()
    np.testing.assert_allclose(network.predict_proba(X), expected, rtol=1e-9)
    np.testing.assert_array_equal(network.predict(X), np.array(["even", "none", "odd"])[expected.argmax(1)])


def test_a_label_is_summed_out_of_code_and_density(X, y):
    network = tiny(X, y, hidden_layer_sizes=())
    top, eye = network.module_.top, torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        rows = [torch.cat([torch.from_numpy(X), label.expand(len(X), -1)], 1) for label in eye]
        log_p = torch.stack([-top.free_energy(s) for s in rows], 1)
        code = torch.stack([p[:, None] * top.hidden_mean(s) for p, s in zip(log_p.softmax(1).T, rows, strict=True)])
    np.testing.assert_allclose(network.score_samples(X), log_p.logsumexp(1) - network.log_partition_, rtol=1e-9)
    np.testing.assert_allclose(network.transform(X), code.sum(0), rtol=1e-9)
    every = states(6).numpy()
    np.testing.assert_allclose(np.exp(network.score_samples(every)).sum(), 1.0)


def test_a_label_beside_real_codes_is_not_centred(X, y):
    network = tiny(X, y, layers=[{"hidden": "gaussian"}, {}])
    top = network.layers_[-1]
    assert top.mean_[:3].all()
    assert not top.mean_[3:].any()
    assert not network.module_.top.log_scale[3:].any()


def test_classes_are_learnt(X):
    y = X[:, 0] + X[:, 1]
    options = {"visible": "bernoulli", "algorithm": "cd", "batch_size": 10, "max_iter": 200, "random_state": 0}
    network = DeepBeliefNetwork(16, hidden_layer_sizes=(), labels=True, momentum=0.9, **options).fit(X, y)
    assert network.score(X, y) == 1.0


def test_y_of_a_pipeline_is_no_label(X, y):
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), **SHORT)
    make_pipeline(network, LogisticRegression()).fit(X, y)
    np.testing.assert_array_equal(network.transform(X), clone(network).fit(X).transform(X))
    assert not hasattr(network, "predict")
    assert not hasattr(network, "classes_")


# ------------------------------------------------------------------ learning


@pytest.mark.parametrize("visible", ["bernoulli", "gaussian", "softmax"])
@pytest.mark.parametrize("hidden", ["bernoulli", "gaussian"])
def test_gradients_of_wake_and_sleep_are_those_of_autograd(rng, visible, hidden):
    seen = Part("counts" if visible == "softmax" else visible, 4, scaled=visible == "gaussian")
    stage = Stage(seen, Part(hidden, 3)).double()
    noise = torch.Generator().manual_seed(0)
    for parameter in stage.parameters():
        parameter.data.normal_(generator=noise)
        parameter.grad = torch.zeros_like(parameter)
    stage.shift.normal_(generator=noise)
    stage.spread.fill_(1.7)
    v = torch.from_numpy(rng.integers(0, 2, (8, 4)).astype(float))
    h = (torch.from_numpy(rng.integers(0, 2, (8, 3)).astype(float)) - stage.shift) / stage.spread
    share = torch.from_numpy(rng.random(8))
    stage.learn_down(v, h, share)
    stage.learn_up(v, h, share)
    learnt = [stage.down.weight, stage.down.visible_bias, stage.up.weight, stage.up.hidden_bias]
    by_hand = [parameter.grad.clone() for parameter in learnt]
    field, state = stage.field(v), h * stage.spread + stage.shift
    log_q = (state * field).sum(1) + stage.up.hidden.log_base(state) - stage.up.hidden.log_normaliser(field)
    loss = -(share * (stage.log_likelihood(v, h) + log_q)).sum()
    wanted = torch.autograd.grad(loss, learnt)
    for found, expected in zip(by_hand, wanted, strict=True):
        torch.testing.assert_close(found, expected)


def test_up_down_learning_at_rate_zero_changes_nothing(X):
    plain = tiny(X)
    tuned = tiny(X, up_down_iter=2, up_down_rate=0.0)
    for name, parameter in plain.module_.named_parameters():
        torch.testing.assert_close(dict(tuned.module_.named_parameters())[name], parameter, rtol=0, atol=0)
    assert set(tuned.history_) == {"reconstruction"}  # and no loss, as the error is no objective
    assert len(tuned.history_["reconstruction"]) == 2
    assert np.isnan(tuned.loss_)


def test_up_down_learning_unties_the_weights_and_goes_on_by_itself(X):
    network = tiny(X)
    stage, before = network.module_.stages[0], network.layers_[0].components_
    assert torch.equal(stage.up.weight, stage.down.weight)
    network.set_params(warm_start=True, up_down_iter=2).fit(X)
    assert not torch.equal(stage.up.weight, stage.down.weight)
    np.testing.assert_array_equal(network.layers_[0].components_, before)
    assert network.fit(X).n_iter_ == 4
    with pytest.raises(ValueError, match="up_down_iter=0 goes on with the layers one by one"):
        network.set_params(up_down_iter=0).fit(X)


def test_up_down_learning_raises_the_bound_of_a_network_that_is_far_off(X):
    options = {"visible": "bernoulli", "random_state": 0, "max_iter": 1, "weight_scale": 1.0}
    plain = DeepBeliefNetwork(4, hidden_layer_sizes=(4,), **options).fit(X)
    tuned = DeepBeliefNetwork(4, hidden_layer_sizes=(4,), up_down_iter=200, up_down_rate=0.02, **options).fit(X)
    assert tuned.score(X) > plain.score(X) + 0.5


def test_a_chunk_is_one_pass_of_every_layer(X):
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), **SHORT).partial_fit(X).partial_fit(X)
    assert [layer.n_iter_ for layer in network.layers_] == [2, 2]
    tuned = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), up_down_iter=5, **SHORT).partial_fit(X).partial_fit(X)
    assert ([layer.n_iter_ for layer in tuned.layers_], tuned.n_iter_) == ([2, 2], 2)


def test_an_error_in_a_layer_leaves_all_layers_as_they_were(X, monkeypatch):
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), **SHORT).partial_fit(X)
    twin = copy.deepcopy(network)
    train = RBM._train

    def fails_above(self, data, partial):
        train(self, data, partial)
        if self.n_components == 2:
            raise ValueError("on purpose")

    with monkeypatch.context() as patch:
        patch.setattr(RBM, "_train", fails_above)
        with pytest.raises(ValueError, match="on purpose"):
            network.partial_fit(X)
    np.testing.assert_array_equal(network.transform(X), twin.transform(X))
    np.testing.assert_array_equal(network.partial_fit(X).transform(X), twin.partial_fit(X).transform(X))


def test_settings_of_layers(X):
    settings = [{"max_iter": 1, "hidden": "gaussian"}, {"learning_rate_init": 0.3, "hidden": "relu"}]
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), layers=settings, **SHORT).fit(X)
    first, second = network.layers_
    assert (first.n_iter_, second.n_iter_) == (1, 2)
    assert (first.hidden, second.visible, second.hidden, second.learning_rate_init) == (
        "gaussian",
        "gaussian",
        "relu",
        0.3,
    )
    assert float(network.module_.stages[0].spread) == pytest.approx(second.scale_)
    np.testing.assert_allclose(network.module_.stages[0].shift, second.mean_, rtol=1e-6)


def test_counts_below_and_a_label_above(rng, y):
    X = rng.poisson(2.0, (40, 5)).astype(float)
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), visible="softmax", labels=True, up_down_iter=1, **SHORT)
    network.fit(X, y)
    np.testing.assert_array_equal(network.sample(6, 5, y="odd").sum(1), np.round(X.sum(1).mean()))
    np.testing.assert_array_equal(network.gibbs(X).sum(1), X.sum(1))
    assert np.isfinite(network.score_samples(X)).all()


# ------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": [{}]}, "layers has 1 dictionaries, but there are 2 layers"),
        ({"layers": [{}, 3]}, r"layers\[1\] is 3: every layer has a dictionary"),
        ({"layers": [{"rate": 1}, {}]}, r"layers\[0\] has 'rate', which is no parameter of RBM"),
        ({"layers": [{}, {"visible": "gaussian"}]}, r"layers\[1\] has 'visible', which is a parameter of the whole"),
        ({"layers": [{}, {"hidden": "sigmoid"}]}, r"layers\[1\]: The 'hidden' parameter of RBM must be"),
        ({"layers": [{}, {"max_iter": 0}]}, r"layers\[1\]: The 'max_iter' parameter of RBM must be"),
        ({"hidden_layer_sizes": (3, 0)}, "has 0 in it"),
        (
            {"labels": True},
            "requires y to be passed, but the target y is None: pass a label for each row",
        ),
        ({"layers": [{"algorithm": "pt"}, {}], "visible": "softmax"}, r"layers\[0\]: algorithm='pt' swaps rows"),
        ({"layers": [{}, {"hidden": "relu", "sparsity": 0.1}]}, r"layers\[1\]: sparsity=0.1 needs hidden='bernoulli'"),
        ({"hidden": "relu", "sparsity": 0.1}, r"^sparsity=0.1 needs hidden='bernoulli'"),
        ({"up_down_iter": -1}, "The 'up_down_iter' parameter of DeepBeliefNetwork must be"),
    ],
)
def test_bad_parameters_are_told_before_anything_is_trained(X, options, message, monkeypatch):
    monkeypatch.setattr(RBM, "_train", None)
    network = DeepBeliefNetwork(2, **({"hidden_layer_sizes": (3,)} | options), **SHORT)
    with pytest.raises(ValueError, match=message):
        network.fit(X)
    assert not [name for name in vars(network) if name.endswith("_") and name not in ("n_features_in_",)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"visible": "softmax"}, "cannot join a label to counts"),
        ({"learn_variances": True}, "whose variance cannot be learnt"),
    ],
)
def test_a_label_that_cannot_be_joined_is_told(X, y, options, message):
    with pytest.raises(ValueError, match=message):
        DeepBeliefNetwork(2, labels=True, hidden_layer_sizes=(), **options, **SHORT).fit(X, y)


def test_parameters_of_the_network_that_no_layer_has_are_not_checked(X):
    """Counts have no parallel tempering, and rectified units no sparsity; but these layers have other values."""
    own = [{"algorithm": "cd", "hidden": "bernoulli"}, {"sparsity": 0.0}]
    options = {"visible": "softmax", "algorithm": "pt", "hidden": "relu", "sparsity": 0.1}
    network = DeepBeliefNetwork(2, hidden_layer_sizes=(3,), layers=own, **options, **SHORT).fit(X)
    assert [layer.algorithm for layer in network.layers_] == ["cd", "pt"]

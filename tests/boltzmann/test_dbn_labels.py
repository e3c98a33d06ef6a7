"""Labels of a DeepBeliefNetwork: a classifier among scikit-learn's, and rows whose label is missing."""

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from sklearn.base import clone, is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import StackingClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline

from skae import RBM, DeepBeliefNetwork, FineTunedClassifier
from skae.energy.label import draw_missing, label_scores

SHORT = {"max_iter": 2, "n_chains": 5, "random_state": 0}
WORDS = np.array(["even", "none", "odd"])


@pytest.fixture
def X(rng):
    return (rng.random((40, 6)) < 0.3 + 0.4 * (np.arange(40) % 2)[:, None]).astype(float)


@pytest.fixture
def y():
    return np.array(["even", "odd", "none", "odd"] * 10, dtype=object)


@pytest.fixture
def some(y):
    """Labels of all rows but each third."""
    return np.where(np.arange(40) % 3 == 2, -1, y)


def small(**options):
    options = {"visible": "bernoulli", "hidden_layer_sizes": (3,), "labels": True} | options
    return DeepBeliefNetwork(2, **{**SHORT, **options})


def enumerable(X, y):
    """A machine with labels and weights that are not small, in double precision."""
    return small(hidden_layer_sizes=(), weight_scale=1.0, dtype="float64").fit(X, y).module_.top


# ------------------------------------------------------------------ a missing label


def test_missing_labels_are_drawn_given_the_rest_of_the_row_and_known_ones_stay(X, y):
    machine, n = enumerable(X, y), 20000
    z = torch.from_numpy(X[:2]).repeat(n, 1)
    known = torch.zeros(len(z), 3, dtype=z.dtype)
    known[::7, 1] = 1.0
    drawn = draw_missing(machine, z, known, torch.Generator().manual_seed(0))
    assert (drawn.sum(1) == 1).all()
    assert torch.equal(drawn[::7], known[::7])
    free = ~known.any(1)
    for k in (0, 1):
        found = drawn[k::2][free[k::2]].mean(0)
        energies = [machine.free_energy(torch.cat([z[k], label])[None]) for label in torch.eye(3, dtype=z.dtype)]
        expected = -torch.cat(energies)
        torch.testing.assert_close(found, expected.softmax(0), atol=5 * (0.25 / n) ** 0.5, rtol=0)


def test_the_gradient_of_a_row_without_a_label_is_that_of_its_marginal_density(X, y):
    """Averaged over the draws, the pull of (z, y) is that of z, in which the label is summed out."""
    machine = enumerable(X, y)
    z = torch.from_numpy(X[:3])
    marginal = torch.autograd.grad(-label_scores(machine, z).logsumexp(1).mean(), list(machine.parameters()))
    z = z.repeat(20000, 1)
    drawn = draw_missing(machine, z, torch.zeros(len(z), 3, dtype=z.dtype), torch.Generator().manual_seed(0))
    found = torch.autograd.grad(machine.free_energy(torch.cat([z, drawn], 1)).mean(), list(machine.parameters()))
    for one, other in zip(found, marginal, strict=True):
        torch.testing.assert_close(one, other, atol=0.01, rtol=0)


@pytest.mark.parametrize("stage", [{"max_iter": 100}, {"max_iter": 1, "up_down_iter": 100, "up_down_rate": 0.0}])
def test_both_stages_learn_from_drawn_labels(X, y, some, stage, monkeypatch):
    """Weights stay as they are, so that all draws of a row are from one distribution."""
    step, seen = RBM._step, []

    def watched(self, module, batch, rng):
        seen.append(batch.x[:, -3:].clone())
        return step(self, module, batch, rng)

    monkeypatch.setattr(RBM, "_step", watched)
    options = {"hidden_layer_sizes": (), "weight_scale": 1.0, "learning_rate_init": 1e-12, "solver": "sgd"}
    network = small(**options, **stage, batch_size=20, shuffle=False, algorithm="cd", dtype="float64").fit(X, some)
    labels = torch.cat(seen[-200:]).view(100, 40, 3)
    known = some != -1
    expected = np.where(known[:, None], y[:, None] == WORDS, network.predict_proba(X))
    np.testing.assert_array_equal(labels[:, known].mean(0), expected[known])
    np.testing.assert_allclose(labels[:, ~known].mean(0), expected[~known], atol=4 * (0.25 / 100) ** 0.5)
    np.testing.assert_allclose(labels[:, ~known].mean((0, 1)), expected[~known].mean(0), atol=4 * (0.25 / 1300) ** 0.5)


def test_labels_start_at_their_shares_among_the_labelled_rows(X, some):
    weight = np.arange(40.0)
    for sizes in ((), (3,)):
        top = small(hidden_layer_sizes=sizes).fit(X, some, sample_weight=weight).layers_[-1]
        shares = [weight[some == word].sum() / weight[some != -1].sum() for word in WORDS]
        np.testing.assert_allclose(top.mean_[-3:], shares, rtol=1e-6)


@pytest.mark.filterwarnings("ignore:The code is nearly the same", "ignore:All rows are predicted")
def test_rows_without_a_label_count_in_the_density(X, y):
    """The label says nothing here, and half of the rows are at 1, nearly all of them without a label."""
    X = np.repeat([0.0, 1.0], 50)[:, None]
    y = np.where(np.arange(100) < 52, np.arange(100) % 2, -1)
    network = small(hidden_layer_sizes=(), max_iter=100, n_chains=500).fit(X, y)
    np.testing.assert_allclose(np.exp(network.score_samples([[0.0], [1.0]])), 0.5, atol=0.05)


def test_chunks_may_have_no_labels(X, some):
    network = small().partial_fit(X, np.full(40, -1), classes=WORDS)
    np.testing.assert_array_equal(network.classes_, WORDS)
    assert network.partial_fit(X, some).partial_fit(X, np.full(40, np.nan)).n_iter_ == 3
    assert np.isfinite(network.predict_proba(X)).all()


# ------------------------------------------------------------------ among classifiers


@pytest.fixture
def blobs(rng):
    """Two classes far apart, sorted, so that folds in order hold one class each."""
    y = np.repeat(["a", "b"], 30)
    return rng.normal(size=(60, 3)) + 3.0 * (y == "b")[:, None], y


QUICK = DeepBeliefNetwork(
    8,
    hidden_layer_sizes=(),
    labels=True,
    algorithm="cd",
    learning_rate_init=0.3,
    momentum=0.9,
    batch_size=10,
    max_iter=20,
    random_state=0,
)


def test_it_is_scored_on_stratified_folds(blobs):
    X, y = blobs
    found = cross_validate(QUICK, X, y, cv=3, scoring=["accuracy", "roc_auc"], error_score="raise")
    for i, (train, test) in enumerate(StratifiedKFold(3).split(X, y)):
        network = clone(QUICK).fit(X[train], y[train])
        assert found["test_accuracy"][i] == network.score(X[test], y[test])
        assert found["test_roc_auc"][i] == roc_auc_score(y[test], network.predict_proba(X[test])[:, 1])
    np.testing.assert_array_equal(cross_val_score(QUICK, X, y, cv=3), found["test_accuracy"])
    assert found["test_accuracy"].mean() > 0.9


@pytest.mark.parametrize(
    "around",
    [
        lambda network: CalibratedClassifierCV(network, cv=2),
        lambda network: CalibratedClassifierCV(FrozenEstimator(network), cv=2),
        lambda network: GridSearchCV(network, {"max_iter": [1, 20]}, cv=3, error_score="raise"),
        lambda network: VotingClassifier([("network", network), ("line", LogisticRegression())], voting="soft"),
        lambda network: StackingClassifier([("network", network)], LogisticRegression(), cv=2),
        lambda network: make_pipeline(network, LogisticRegression()),
    ],
)
def test_classifiers_of_classifiers_take_it(blobs, around):
    X, y = blobs
    assert around(clone(QUICK).fit(X, y)).fit(X, y).score(X, y) > 0.9


def test_score_is_the_accuracy_and_score_samples_the_bound(X, y):
    network = small().fit(X, y)
    assert network.score(X, y) == accuracy_score(y.astype(str), network.predict(X))
    assert network.set_params(labels=False).score(X) == pytest.approx(network.score_samples(X).mean())


# ------------------------------------------------------------------ with and without


def test_labels_decide(X, y):
    with_labels, without = small(), small(labels=False)
    assert (is_classifier(with_labels), is_classifier(without)) == (True, False)
    assert hasattr(with_labels, "predict_proba")
    assert not hasattr(without, "predict_proba")
    tags = without.__sklearn_tags__()
    assert (tags.estimator_type, tags.classifier_tags, tags.target_tags.required) == (None, None, False)
    np.testing.assert_array_equal(
        without.fit(X, ["anything", None]).transform(X), small(labels=False).fit(X).transform(X)
    )


@pytest.mark.parametrize("algorithm", ["pcd", "pt"])
@pytest.mark.parametrize("up_down_iter", [0, 1])
def test_labels_are_not_switched_on_or_off_in_between(X, y, algorithm, up_down_iter):
    options = {"algorithm": algorithm, "up_down_iter": up_down_iter, "warm_start": True}
    on, off = small(**options).fit(X, y), small(labels=False, **options).fit(X)
    for method in ("fit", "partial_fit"):
        assert "changed since the last fit" in refuses(on.set_params(labels=False), method, X, y)
        assert "labels=True was set after the last fit, which learnt no labels: set it to False again" in refuses(
            off.set_params(labels=True), method, X, y
        )
    for method, *args in (("predict", X), ("predict_proba", X), ("score", X, y)):
        assert "labels=True was set after the last fit, which learnt no labels: fit again" in refuses(
            off, method, *args
        )
    np.testing.assert_array_equal(off.set_params(warm_start=False).fit(X, y).classes_, WORDS)
    assert not hasattr(on.set_params(warm_start=False).fit(X), "classes_")


def test_classes_need_labels(X):
    assert "labels is False: pass weights as sample_weight=" in refuses(
        small(labels=False), "partial_fit", X, None, np.ones(40)
    )


def test_labels_to_sample_are_classes(X, y):
    network = small().fit(X, y)
    assert network.sample(2, 1, y=["odd", "none"]).shape == (2, 6)
    for bad in ("new", 3, ["odd", None], -1, np.nan):
        assert "but the classes are ['even', 'none', 'odd']" in refuses(network, "sample", 2, y=bad)
    assert "one for each of the 2 samples: got 3" in refuses(network, "sample", 2, y=["odd"] * 3)
    assert "n_steps=0 must be" in refuses(network, "sample", 2, n_steps=0)
    assert "n_samples=2.5 must be" in refuses(network, "sample", 2.5, y="odd")
    off = small(labels=False).fit(X, y)
    assert "asks for a class, but the network has none" in refuses(off, "sample", 2, y="odd")


def test_what_takes_no_label_says_so(X, y):
    network = small().fit(X, y)
    assert "labels=True has a code that sums over labels" in refuses(network, "to_autoencoder")
    assert "labels" in refuses(FineTunedClassifier(small()), "fit", X, y)

"""scikit-learn's callbacks: what they see of a fit, what they may do to it, and that it is the same with them."""

import pickle

import numpy as np
import pytest
import sklearn
from contract.requirements import require_same
from contract.tables import every_class
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.model_selection import GridSearchCV, KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skae import (
    Autoencoder,
    AutoencoderImputer,
    Checkpoint,
    DeepBeliefNetwork,
    NeighborAutoencoder,
    OutlierDetector,
    StackedAutoencoder,
    TableAutoencoder,
    VariationalAutoencoder,
    load,
)
from skae.base.compat import WithoutCallbacks

TINY = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}


def test_older_versions_of_scikit_learn_tell_what_there_is_instead():
    assert not hasattr(WithoutCallbacks(), "set_callbacks")
    with pytest.raises(AttributeError, match=r"needs scikit-learn 1\.9 .*: use the parameter callback instead"):
        WithoutCallbacks().set_callbacks(None)
    assert hasattr(Autoencoder(), "set_callbacks") == (tuple(map(int, sklearn.__version__.split(".")[:2])) >= (1, 9))


callback = pytest.importorskip("sklearn.callback")
ScoringMonitor = callback.ScoringMonitor


class Blind:
    """Records the tasks, and stops after so many epochs. It asks for nothing."""

    def __init__(self, stop=None):
        self.stop, self.tasks, self.told = stop, [], []

    def setup(self, estimator, context):
        self.told.append("setup")

    def teardown(self, estimator, context):
        self.told.append("teardown")

    def on_fit_task_begin(self, estimator, context):
        self.tasks.append(("begin", *path(context)))

    def on_fit_task_end(self, estimator, context):
        self.tasks.append(("end", *path(context)))
        return context.task_name == "epoch" and context.task_id + 1 == self.stop


class Seeing(Blind):
    """Keeps what it is given, by the path of the task."""

    def __init__(self):
        super().__init__()
        self.given, self.fitted = {}, {}

    def on_fit_task_end(self, estimator, context, *, X=None, y=None, metadata=None, fitted_estimator=None):
        self.given[path(context)] = (X, y, metadata)
        if fitted_estimator is not None:
            self.fitted[path(context)] = fitted_estimator


def path(context):
    """Names of the tasks from the fit to this one, with the number of an epoch."""
    name = f"epoch {context.task_id}" if context.task_name == "epoch" else context.task_name
    return (*(() if context.parent is None else path(context.parent)), name)


def content(estimator, folder):
    """All that a file holds of a fitted estimator: weights, moments, random numbers, history, estimators inside."""
    estimator.save(folder / "model.skae")
    return (folder / "model.skae").read_bytes()


def scores():
    """A monitor of ``score``. scikit-learn 1.9's takes no scoring=None, and no function where there are weights."""
    return ScoringMonitor(scoring={"r2": check_scoring(Autoencoder())})


# ------------------------------------------------------------------ what is seen


@every_class()
def test_a_fit_is_the_same_with_callbacks_which_see_what_it_would_leave(estimator, X, y, tmp_path):
    """The oracle of a model in the middle of a fit is another fit that is really stopped there."""
    plain, seeing = clone(estimator).fit(X, y), Seeing()
    seen = clone(estimator).set_callbacks(seeing).fit(X, y)
    assert content(seen, tmp_path) == content(plain, tmp_path)
    assert vars(seen).keys() - vars(plain).keys() == {"_skl_callbacks"}
    require_same(plain, seeing.fitted["fit",], X)
    second = [key for key in seeing.fitted if key[-1] == "epoch 1"]
    assert len(second) == (not isinstance(estimator, DeepBeliefNetwork))  # whose layers are estimators of their own
    for fit, stage, _ in second:
        stops = lambda epoch: (epoch.stage or "training") == stage and epoch.number == 2  # noqa: B023, E731
        stopped, found = clone(estimator).set_params(callback=stops).fit(X, y), seeing.fitted[fit, stage, "epoch 1"]
        require_same(stopped, found, X)
        assert str(found.history_) == str(stopped.history_)
        if hasattr(stopped, "score_samples"):
            np.testing.assert_array_equal(found.score_samples(X), stopped.score_samples(X))
        require_same(found, pickle.loads(pickle.dumps(found)), X)


RISING = {"hidden_layer_sizes": (4,), "max_iter": 6, "random_state": 0, "learning_rate_init": 0.3}


@pytest.mark.parametrize(
    "estimator",
    [
        Autoencoder(early_stopping=True, dropout=0.2, **RISING),  # whose last weights are not the best
        VariationalAutoencoder(2, early_stopping=True, **TINY),  # which measures all rows at its end
        NeighborAutoencoder(2, n_neighbors=3, **TINY),  # which trains wide rows in fewer coordinates
        DeepBeliefNetwork(2, hidden_layer_sizes=(3,), algorithm="cd", up_down_iter=3, max_iter=1, random_state=0),
    ],
)
def test_what_is_seen_is_what_a_stopped_fit_leaves_in_other_cases(estimator, rng, tmp_path):
    X, seeing = rng.random((12, 50)), Seeing()
    plain, seen = clone(estimator).fit(X), clone(estimator).set_callbacks(seeing).fit(X)
    assert content(seen, tmp_path) == content(plain, tmp_path)
    for key in [key for key in seeing.fitted if key[-1] in ("epoch 0", "epoch 2")]:
        number = int(key[-1][-1]) + 1
        stops = lambda epoch: (epoch.stage or "training") == key[1] and epoch.number == number  # noqa: B023, E731
        stopped = clone(estimator).set_params(callback=stops).fit(X)
        require_same(stopped, seeing.fitted[key], X)
        measured = [getattr(model, "kl_per_component_", None) for model in (stopped, seeing.fitted[key])]
        np.testing.assert_array_equal(*measured)


def test_stages_and_epochs_are_tasks_that_begin_and_end_in_order(X):
    stack = StackedAutoencoder([("low", clone(Autoencoder(4, **TINY))), 2], max_iter=2, random_state=0)
    blind = Blind()
    stack.set_callbacks(blind).fit(X)
    n_epochs = {"low": 3, "layer2": len(stack.layers_[1].history_["loss"]), "all layers": stack.n_iter_}
    expected = [("begin", "fit")]
    for stage, n in n_epochs.items():
        epochs = [(what, "fit", stage, f"epoch {i}") for i in range(n) for what in ("begin", "end")]
        expected += [("begin", "fit", stage), *epochs, ("end", "fit", stage)]
    assert blind.tasks == [*expected, ("end", "fit")]
    assert blind.told == ["setup", "teardown"]


def test_nothing_is_made_for_callbacks_that_do_not_ask(X, monkeypatch):
    for place in ("midway", "callbacks"):
        monkeypatch.setattr(f"skae.base.{place}.copy_of", lambda estimator: 1 / 0)
    Autoencoder(**TINY).set_callbacks(Blind()).fit(X)
    with pytest.raises(ZeroDivisionError):
        Autoencoder(**TINY).set_callbacks(Seeing()).fit(X)


def test_callbacks_are_given_the_rows_and_their_weights(X):
    seeing, y, weight = Seeing(), np.arange(len(X)) % 2, np.ones(len(X))
    Autoencoder(**TINY).set_callbacks(seeing).fit(X, y, sample_weight=weight)
    assert all(given[0] is X and given[1] is y for given in seeing.given.values())
    assert all(given[2]["sample_weight"] is weight for given in seeing.given.values())
    Autoencoder(**TINY).set_callbacks(seeing).fit(X)
    assert all(given[1] is X and given[2] == {} for given in seeing.given.values())


@pytest.mark.parametrize(
    "estimator",
    [
        TableAutoencoder(estimator=Autoencoder(**TINY)),
        OutlierDetector(Autoencoder(**TINY), random_state=0),
        AutoencoderImputer(estimator=Autoencoder(**TINY)),
    ],
)
def test_estimators_of_estimators_show_the_stages_inside(estimator, X):
    blind, seeing = Blind(), Seeing()
    plain = clone(estimator).fit(X)
    seen = estimator.set_callbacks(blind, seeing).fit(X)
    epochs = [(what, "fit", "training", f"epoch {i}") for i in range(3) for what in ("begin", "end")]
    inner = [("begin", "fit", "training"), *epochs, ("end", "fit", "training")]
    assert blind.tasks == [("begin", "fit"), *inner, ("end", "fit")]
    method = "score_samples" if hasattr(plain, "score_samples") else "transform"
    expected = getattr(plain, method)(X)
    loaded = pickle.loads(pickle.dumps(seen))
    for model in (seen, seeing.fitted["fit",], loaded):
        np.testing.assert_array_equal(getattr(model, method)(X), expected)
    assert "_skl_callbacks" not in vars(loaded)
    assert blind.told == ["setup", "teardown"]


# ------------------------------------------------------------------ what callbacks may do


def test_a_callback_stops_a_training_which_keeps_its_best_weights(X):
    stopped = Autoencoder(**TINY).set_callbacks(Blind(stop=2)).fit(X)
    assert stopped.n_iter_ == 2
    require_same(Autoencoder(**TINY, callback=lambda epoch: epoch.number == 2).fit(X), stopped, X)


@pytest.mark.parametrize("error", [RuntimeError("no room"), KeyboardInterrupt()])
def test_an_error_in_a_callback_ends_a_fit_as_any_error_does(error, X):
    class Failing(Blind):
        def on_fit_task_end(self, estimator, context):
            raise error

    failing = Failing()
    estimator = Autoencoder(**TINY).fit(X)
    before = pickle.dumps(estimator)
    with pytest.raises(type(error)):
        estimator.set_params(max_iter=4).set_callbacks(failing).fit(X)
    assert failing.told == ["setup", "teardown"]
    after = estimator.set_callbacks().set_params(max_iter=3)
    if isinstance(error, KeyboardInterrupt):
        assert estimator.n_iter_ == 1
    else:
        assert pickle.dumps(after) == before
    assert not [name for name in vars(estimator) if "callback" in name and name != "callback"]


def test_partial_fit_and_streams_are_one_fit_a_chunk(X):
    blind = Blind()
    estimator = Autoencoder(**TINY).set_callbacks(blind).partial_fit(X)
    expected = [("begin", "fit"), ("begin", "fit", "training"), ("begin", "fit", "training", "epoch 0")]
    expected += [("end", *task) for _, *task in reversed(expected)]
    assert blind.tasks == expected
    estimator.fit(iter([X, X]))
    assert blind.tasks == 3 * expected
    assert blind.told == 3 * ["setup", "teardown"]


def test_a_fit_that_goes_on_from_a_checkpoint_shows_the_epochs_that_are_left(X, tmp_path):
    def fails(epoch):
        if epoch.number == 2:
            raise RuntimeError

    estimator = Autoencoder(**TINY, checkpoint=Checkpoint(tmp_path / "run.skae", every_epochs=1), callback=fails)
    with pytest.raises(RuntimeError):
        estimator.fit(X)
    seeing = Seeing()
    estimator.set_params(callback=None).set_callbacks(seeing).fit(X)
    assert [key[-1] for key in seeing.given] == ["epoch 0", "epoch 1", "training", "fit"]
    require_same(Autoencoder(**TINY).fit(X), estimator, X)
    require_same(seeing.fitted["fit", "training", "epoch 1"], estimator, X)


# ------------------------------------------------------------------ copies


def test_clones_keep_callbacks_and_files_of_fitted_models_do_not(X, tmp_path):
    blind = Blind()
    estimator = Autoencoder(**TINY).set_callbacks(blind)
    estimator.save(tmp_path / "model.skae")
    assert "_skl_callbacks" not in vars(load(tmp_path / "model.skae"))
    assert clone(estimator)._skl_callbacks == [blind]
    assert len(pickle.loads(pickle.dumps(estimator))._skl_callbacks) == 1  # searches send such to other processes
    loaded = pickle.loads(pickle.dumps(estimator.fit(X)))
    assert "_skl_callbacks" not in vars(loaded)
    require_same(estimator, loaded, X)
    assert clone(estimator)._skl_callbacks == [blind]


# ------------------------------------------------------------------ the callbacks of scikit-learn


def test_the_scoring_monitor_logs_the_score_of_each_epoch(X):
    monitor, weight = scores(), np.linspace(0, 1, len(X))
    estimator = Autoencoder(**TINY).set_callbacks(monitor).fit(X, sample_weight=weight)
    logged = [row["r2"] for row in monitor.get_logs().data if row["task_name"] == "epoch"]
    stopped = [
        Autoencoder(**TINY, callback=lambda epoch, n=n: epoch.number == n).fit(X, sample_weight=weight)
        for n in (1, 2, 3)
    ]
    assert logged == [model.score(X, sample_weight=weight) for model in stopped]
    assert monitor.get_logs().data[0]["r2"] == estimator.score(X, sample_weight=weight)


def test_searches_of_pipelines_in_two_processes_log_as_in_one_and_show_all_stages(X, capsys):
    pytest.importorskip("rich")
    logs = []
    for n_jobs in (1, 2):
        monitor = scores()
        stack = StackedAutoencoder([4, 2], max_iter=2, random_state=0).set_callbacks(monitor)
        pipeline = make_pipeline(StandardScaler(), stack)
        search = GridSearchCV(pipeline, {"stackedautoencoder__n_components": [1, 2]}, cv=KFold(2), n_jobs=n_jobs)
        search.set_callbacks(callback.ProgressBar(max_propagation_depth=None)).fit(X)
        rows = monitor.get_logs().data
        logs.append([(row["task_id_path"], row["task_name"], row["r2"]) for row in rows])
        shown = " ".join(capsys.readouterr().out.split())
        assert "StackedAutoencoder - layer1 #0" in shown
        assert "StackedAutoencoder - all layers #2" in shown
        assert "epoch" not in shown
        assert search.best_estimator_[-1]._skl_callbacks == [monitor]
    assert len(logs[0]) == 5 * 4  # two epochs, the stage and the fit, of four folds and the fit to all rows
    assert logs[0] == logs[1]

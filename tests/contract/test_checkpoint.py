"""Checkpoints: a fit that was killed goes on, and ends at the model of an unbroken fit, to the bit.

An exception that a listener raises stands for the kill, since nothing of the fit is left then but its file.
"""

import copy
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from contract.requirements import refuses, require_equal
from contract.tables import CLASSES, EVERY, every_class
from scipy import sparse
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skae
from skae import (
    Autoencoder,
    Checkpoint,
    DeepBeliefNetwork,
    FineTunedClassifier,
    MixtureVariationalAutoencoder,
    RecursiveAutoencoder,
    StackedAutoencoder,
    VariationalAutoencoder,
)
from skae.base import checkpoint as checkpoints
from skae.base import fingerprint as fingerprints
from skae.engine.listeners import Listener, attending
from skae.exceptions import FileError
from skae.trees import Tree

pytestmark = pytest.mark.filterwarnings("ignore:The loss was still falling")  # lbfgs in three epochs

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 4, "random_state": 0}


class KilledError(BaseException):
    """The end of a process, after which nothing is done."""


class Epochs(Listener):
    """Counts the epochs that are trained, and kills the process after one of them."""

    def __init__(self, last=None):
        self.stages, self.last = [], last

    def begins_epoch(self, training):
        self.ends(training)
        self.stages.append(training.stage)

    def ends(self, training):
        if len(self.stages) == self.last:
            raise KilledError


SMALL = Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3)


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """A disk that keeps what it is given without being asked to."""
    monkeypatch.setattr(os, "fsync", lambda number: None)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run.skae"


def epochs_of(estimator, *data):
    """The stage of each epoch that a fit trains."""
    with attending(seen := Epochs()):
        estimator.fit(*data)
    return seen.stages


def kill(estimator, epoch, *data):
    """Kill a fit after so many epochs of all stages together."""
    with attending(Epochs(epoch)), pytest.raises(KilledError):
        clone(estimator).fit(*data)


def require_same_model(one, two):
    """All that two fits have left is the same, but for where their checkpoints are."""
    one, two = (copy.copy(model).set_params(checkpoint=None) for model in (one, two))
    require_equal(one, two)


# ------------------------------------------------------------------ to the bit

OTHERS = {
    "RecursiveAutoencoder": RecursiveAutoencoder(2, structure="greedy", max_iter=3, random_state=0),
    "MixtureVariationalAutoencoder with clusters": MixtureVariationalAutoencoder(
        2, n_clusters=2, **{**QUICK, "max_iter": 10}
    ),
    "StackedAutoencoder of machines": StackedAutoencoder(
        [CLASSES["RBM"], CLASSES["DeepBeliefNetwork"]], max_iter=2, random_state=0
    ),
}


@pytest.mark.parametrize("estimator", [*EVERY], indirect=True)
def test_a_fit_that_was_killed_goes_on_to_the_bit(estimator, X, y, path):
    require_that_it_goes_on(estimator, path, X, y)


@pytest.mark.parametrize("name", OTHERS)
def test_models_of_trees_and_stacks_of_machines_go_on(name, path, rng):
    X = rng.random((30, 5))
    trees = [Tree.of(tuple(row.tolist())) for row in X]
    require_that_it_goes_on(OTHERS[name], path, trees if "Recursive" in name else X)


def require_that_it_goes_on(estimator, path, *data):
    """Killed in its last stage, and one of several stages then killed in its first one."""
    whole = clone(estimator)
    stages = epochs_of(whole, *data)
    estimator = clone(estimator).set_params(checkpoint=Checkpoint(path, every_epochs=1))
    for epoch in [len(stages) - 1, 2] if stages[0] != stages[-1] else [len(stages) - 1]:
        path.unlink(missing_ok=True)
        kill(estimator, epoch, *data)
        resumed = clone(estimator)
        assert epochs_of(resumed, *data) == stages[epoch:]
        require_same_model(whole, resumed)


@every_class()
def test_a_finished_fit_is_not_trained_again(estimator, X, y, path):
    estimator.set_params(checkpoint=path).fit(X, y)
    again = clone(estimator)
    assert epochs_of(again, X, y) == []
    require_same_model(estimator, again)


def test_a_resumed_fit_can_be_killed_again(iris, path):
    estimator = StackedAutoencoder([SMALL, SMALL], max_iter=3, random_state=0)
    estimator.set_params(checkpoint=Checkpoint(path, every_epochs=1))
    stages = epochs_of(whole := clone(estimator).set_params(checkpoint=None), iris)
    for epoch in range(len(stages)):
        with attending(Epochs(1)), pytest.raises(KilledError):
            clone(estimator).fit(iris)
        assert path.exists(), epoch
    require_same_model(whole, estimator.fit(iris))


@pytest.mark.parametrize(
    "estimator",
    [
        StackedAutoencoder([SMALL, SMALL], max_iter=3),
        DeepBeliefNetwork(2, hidden_layer_sizes=(3,), max_iter=3, up_down_iter=2),
        FineTunedClassifier(SMALL, n_frozen=3, max_iter=3),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_seeds_that_nobody_gave_are_kept(estimator, iris, few, path, tmp_path):
    estimator.set_params(checkpoint=Checkpoint(path, every_epochs=1))
    kill(estimator, 4, iris, few)
    shutil.copy(path, tmp_path / "copy.skae")
    one = clone(estimator).fit(iris, few)
    shutil.copy(tmp_path / "copy.skae", path)
    require_same_model(one, clone(estimator).fit(iris, few))
    require_same_model(one, clone(estimator).fit(iris, few))  # from the file of the finished fit
    path.unlink()
    assert not np.array_equal(clone(estimator).fit(iris, few).transform(iris), one.transform(iris))


def test_a_callback_that_stops_a_stage_is_not_asked_again(iris, path):
    estimator = Autoencoder(2, callback=lambda epoch: epoch.number == 2, **QUICK)
    whole = clone(estimator).fit(iris)
    estimator.set_params(checkpoint=Checkpoint(path, every_epochs=1))
    kill(estimator, 2, iris)
    assert epochs_of(estimator, iris) == []
    require_same_model(whole, estimator)


def test_a_model_that_a_callback_fits_is_none_of_the_fit(iris, path):
    model = clone(SMALL).set_params(max_iter=4, random_state=0, checkpoint=Checkpoint(path, every_epochs=1))

    def compare(epoch):
        if epoch.number == 3:
            raise RuntimeError
        clone(SMALL).set_params(max_iter=2, random_state=1).fit(iris)

    with pytest.raises(RuntimeError):
        clone(model).set_params(callback=compare).fit(iris)
    require_same_model(clone(model).fit(iris), clone(model).set_params(checkpoint=None).fit(iris))


def test_a_stage_that_is_finished_shows_no_bar(iris, path, capsys):
    layers = [clone(SMALL).set_params(max_iter=2), clone(SMALL).set_params(max_iter=3, n_components=1)]
    model = StackedAutoencoder(layers, max_iter=1, random_state=0, checkpoint=Checkpoint(path, every_epochs=1))

    def fail(epoch):
        if (epoch.stage, epoch.number) == ("layer2", 2):
            raise RuntimeError

    with pytest.raises(RuntimeError):
        clone(model).set_params(callback=fail).fit(iris)
    clone(model).set_params(verbose=1).fit(iris)
    shown = capsys.readouterr().err
    assert "layer1" not in shown
    assert "layer2" in shown
    assert "1/3" in shown
    assert "0/3" not in shown


def test_ctrl_c_keeps_the_file(iris, path):
    whole = Autoencoder(2, **QUICK).fit(iris)
    estimator = Autoencoder(2, checkpoint=Checkpoint(path, every_epochs=1), **QUICK)

    class CtrlC(Listener):
        def begins_epoch(self, training):
            if training.epoch == 1:
                raise KeyboardInterrupt

    with attending(CtrlC()), pytest.raises(KeyboardInterrupt):
        estimator.fit(iris)
    assert estimator.n_iter_ == 1
    assert len(epochs_of(estimator, iris)) == 3
    require_same_model(whole, estimator)


def test_a_fit_that_would_fail_again_leaves_no_file(iris, path):
    """Else it would go on to the same NaN for ever."""
    there = []

    def poison(epoch):
        there.append(path.exists())
        if epoch.number == 2:
            estimator._flat.theta.fill_(np.nan)

    estimator = Autoencoder(2, checkpoint=Checkpoint(path, every_epochs=1), callback=poison, **QUICK)
    assert "became nan in epoch 3" in refuses(estimator, "fit", iris)
    assert there == [False, True]
    assert not path.exists()
    estimator.set_params(callback=None, max_iter=2).fit(iris)


# ------------------------------------------------------------------ which fit a file is of


@pytest.fixture
def kept(iris, path):
    """An estimator, whose fit to the irises is in the file."""
    return Autoencoder(2, checkpoint=path, **QUICK).fit(iris)


def test_another_fit_is_refused(kept, iris, path):
    before = path.read_bytes()
    other = iris.copy()
    other[3, 1] += 1e-9
    told = refuses(clone(kept), "fit", other)
    assert told == (
        f"The checkpoint {str(path)!r} is of a fit with another X: pass another path, a folder such as 'runs/' if "
        "there are several fits, or delete the file to start anew."
    )
    told = refuses(clone(kept), "fit", iris[:, :3], np.arange(150), np.ones(150))
    assert "another X (float64 of shape (150, 4) there, float64 of shape (150, 3) here) and another y (" in told
    assert "another sample_weight (None there, float64 of shape (150,) here):" in told
    assert "another X (float64 of shape (150, 4) there, list here):" in refuses(clone(kept), "fit", iris.tolist())
    longer = clone(kept).set_params(max_iter=5, dtype="float64")
    told = refuses(longer, "fit", iris)
    assert "another dtype ('float32' there, 'float64' here) and another max_iter (4 there, 5 here):" in told
    own = clone(kept).set_params(hidden_layer_sizes=(8, *range(1, 90)))
    assert "another hidden_layer_sizes:" in refuses(own, "fit", iris)
    assert "is of a fit of Autoencoder:" in refuses(VariationalAutoencoder(2, checkpoint=path, **QUICK), "fit", iris)
    assert path.read_bytes() == before


def test_what_makes_no_difference_is_no_other_fit(kept, iris, path, capsys):
    estimator = clone(kept).set_params(verbose=2, callback=lambda epoch: None, checkpoint=Checkpoint(path, None, 3))
    read_only = np.asfortranarray(iris)
    assert epochs_of(estimator, read_only) == []
    assert epochs_of(estimator.set_params(hidden_layer_sizes=[8]), torch.from_numpy(iris.copy())) == []


@pytest.mark.parametrize("name", ["skae", "torch"])
def test_another_version_is_refused(kept, iris, path, name, monkeypatch):
    module = fingerprints if name == "skae" else torch
    monkeypatch.setattr(module, "__version__", "99.0")
    told = refuses(clone(kept), "fit", iris)
    assert f"was written with {name} " in told
    assert told.endswith(
        f"go on with {name} 99.0: use that version, pass another path, or delete the file to start anew."
    )


def test_random_states_and_frozen_encoders_are_told_apart(iris, few, path):
    one, two = (VariationalAutoencoder(2, **QUICK).fit(rows) for rows in (iris, iris[::-1]))
    estimator = FineTunedClassifier(FrozenEstimator(one), max_iter=2, checkpoint=path, random_state=0).fit(iris, few)
    assert epochs_of(clone(estimator), iris, few) == []
    assert "another encoder" in refuses(clone(estimator).set_params(encoder=FrozenEstimator(two)), "fit", iris, few)
    path.unlink()
    estimator = Autoencoder(2, checkpoint=path, **{**QUICK, "random_state": np.random.RandomState(0)})
    clone(estimator).fit(iris)
    assert epochs_of(clone(estimator), iris) == []
    estimator.set_params(random_state=np.random.RandomState(1))
    assert "another random_state" in refuses(estimator, "fit", iris)


def test_tables_are_told_apart_by_what_they_hold(kept, iris, path, tmp_path):
    np.save(tmp_path / "X.npy", iris)
    assert epochs_of(clone(kept), np.load(tmp_path / "X.npy", mmap_mode="r")) == []
    pd = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    path.unlink()
    pd.DataFrame(iris, columns=list("abcd")).to_parquet(tmp_path / "X.parquet")
    one = clone(kept).fit(str(tmp_path / "X.parquet"))
    shutil.move(tmp_path / "X.parquet", tmp_path / "Y.parquet")
    two = clone(kept)
    assert epochs_of(two, tmp_path / "Y.parquet") == []
    require_same_model(one, two)
    pd.DataFrame(iris, columns=list("abce")).to_parquet(tmp_path / "X.parquet")
    assert "another X:" in refuses(clone(kept), "fit", str(tmp_path / "X.parquet"))


def test_a_sparse_matrix_is_told_by_its_entries(iris, path):
    X = sparse.csr_matrix(iris)
    estimator = Autoencoder(2, checkpoint=path, **QUICK)
    clone(estimator).fit(X)
    assert X.has_canonical_format, "which the matrix remembers"
    assert epochs_of(clone(estimator), X) == []
    assert epochs_of(clone(estimator), X.tocsc()) == []
    told = refuses(clone(estimator), "fit", iris)
    assert "another X (sparse float64 of shape (150, 4) there, float64 of shape (150, 4) here):" in told
    X.data[7] += 1
    assert "another X:" in refuses(clone(estimator), "fit", X)


def test_what_cannot_be_told_apart_is_refused(iris, path):
    class Odd:
        def __reduce__(self):
            raise TypeError

    y = np.array([Odd() for _ in iris], dtype=object)
    assert "y, of type ndarray, cannot be pickled (" in refuses(Autoencoder(2, checkpoint=path), "fit", iris, y)


# ------------------------------------------------------------------ files


def test_a_damaged_file_is_refused(kept, iris, path):
    content = path.read_bytes()
    for damaged in (content[:-1], content[:-9] + b"x" + content[-8:]):
        path.write_bytes(damaged)
        told = refuses(clone(kept), "fit", iris)
        assert told.startswith(f"The checkpoint {str(path)!r} is damaged")
        assert told.endswith(": pass another path, or delete the file to start anew.")


def test_nobody_is_told_to_delete_a_file_of_something_else(kept, iris, path):
    content = path.read_bytes()
    for other in (content[:100], b"", b"a,b\n1,2\n"):
        path.write_bytes(other)
        told = refuses(clone(kept), "fit", iris)
        assert told.startswith(f"The checkpoint {str(path)!r} is ")
        assert told.endswith(": pass another path.")


@pytest.mark.parametrize("content", [3, {}, {"fingerprint": 1, "journal": {"seeds": [], "finished": [], "running": 0}}])
def test_a_file_without_what_a_checkpoint_holds_is_refused(kept, iris, path, content):
    checkpoints.save(path, checkpoints.KIND, content)
    assert "is damaged: it does not hold what a checkpoint does" in refuses(clone(kept), "fit", iris)


def test_a_class_that_has_another_parameter_since_is_another_fit(iris, path):
    def versions():
        class Mine(Autoencoder):
            """One version of it."""

        yield Mine

        class Mine(Mine):
            """The next."""

            strength: float = 1.0

        yield Mine

    one, two = versions()
    two.__qualname__, two.__module__ = one.__qualname__, one.__module__
    one(2, checkpoint=path, **QUICK).fit(iris)
    assert "another strength (none there, 1.0 here):" in refuses(two(2, checkpoint=path, **QUICK), "fit", iris)


@pytest.mark.parametrize("part", ["weights", "optimizer", "generators", "watch", "outcome"])
def test_a_file_of_other_contents_is_refused(iris, path, part, monkeypatch):
    """One whose checksum is right, such as of somebody who edited it."""
    estimator = Autoencoder(2, checkpoint=Checkpoint(path, every_epochs=1), **QUICK)
    kill(estimator, 2, iris)
    _, told = checkpoints.load(path, checkpoints.KIND)
    told["journal"]["running"][part] = {"moments": {"mean": torch.zeros(2)}, "curvature": None, "epochs": 9}
    checkpoints.save(path, checkpoints.KIND, told)
    assert "is damaged" in refuses(estimator, "fit", iris)
    del told["journal"]["running"][part]
    checkpoints.save(path, checkpoints.KIND, told)
    assert "is damaged" in refuses(estimator, "fit", iris)


def test_a_fit_whose_file_cannot_be_written_goes_on_and_warns_once(iris, tmp_path):
    folder = tmp_path / "gone"
    folder.mkdir()
    estimator = Autoencoder(2, checkpoint=Checkpoint(folder / "run.skae", every_epochs=1), **QUICK)
    estimator.callback = lambda epoch: shutil.rmtree(folder, ignore_errors=True)
    with pytest.warns(UserWarning, match="cannot be written .*: this fit goes on") as caught:
        estimator.fit(iris)
    assert len(caught) == 1
    require_equal(estimator.transform(iris), Autoencoder(2, **QUICK).fit(iris).transform(iris))


def test_a_path_that_becomes_a_folder_does_not_end_the_fit(iris, path):
    estimator = Autoencoder(2, checkpoint=Checkpoint(path, every_epochs=np.int64(1)), **QUICK)
    estimator.callback = lambda epoch: path.mkdir() if epoch.number == 1 else None
    with pytest.warns(UserWarning, match="is no file but a folder.*: this fit goes on") as caught:
        estimator.fit(iris)
    assert len(caught) == 1


def test_a_full_disk_leaves_the_file_as_it_was(iris, path, monkeypatch):
    estimator = Autoencoder(2, checkpoint=Checkpoint(path, every_epochs=1), **QUICK)
    kill(estimator, 1, iris)
    before = path.read_bytes()

    def fsync(number):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.warns(UserWarning, match=r"run.skae' cannot be written \(No space left on device\)"):
        whole = clone(estimator).fit(iris)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]
    monkeypatch.undo()
    require_same_model(whole, clone(estimator).fit(iris))


def test_a_search_goes_on_with_the_first_candidate_that_was_not_finished(iris, tmp_path):
    folder = tmp_path / "search"
    model = Autoencoder(2, checkpoint=f"{folder}/", **QUICK)
    search = GridSearchCV(make_pipeline(StandardScaler(), model), {"autoencoder__n_components": [1, 2]}, cv=2)
    whole = clone(search).fit(iris)
    assert len([*folder.iterdir()]) == 5  # two candidates of two folds, and the best of all rows
    assert epochs_of(search, iris) == []
    assert search.best_score_ == whole.best_score_
    shutil.rmtree(folder)
    kill(search, 10, iris)
    assert len([*folder.glob("Autoencoder-*.skae")]) == 2
    assert len(epochs_of(search, iris)) == 20 - 8  # those of the third fit were too few for a file
    np.testing.assert_array_equal(search.cv_results_["mean_test_score"], whole.cv_results_["mean_test_score"])


# ------------------------------------------------------------------ when a file is written


def writes_of(asked, iris, monkeypatch, seconds, cost=0.0):
    """After how many epochs the file is written, if each of four takes so long, and if writing costs so much."""
    clock, n_epochs, found = [0.0], [0], []

    def tick(epoch):
        clock[0] += seconds
        n_epochs[0] += 1

    def save(*args):
        found.append(n_epochs[0])
        clock[0] += cost

    monkeypatch.setattr(checkpoints, "save", save)
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])
    Autoencoder(2, callback=tick, checkpoint=asked, **QUICK).fit(iris)
    return found


def test_a_file_is_written_as_often_as_asked_and_takes_little_time(iris, path, monkeypatch):
    def written(*when, **times):
        return writes_of(Checkpoint(path, *when), iris, monkeypatch, **times)

    assert written(seconds=0.1) == [4]
    assert written(seconds=10.0) == [3, 4]
    assert written(20.0, seconds=10.0) == [2, 4, 4]
    assert written(None, seconds=1e9) == [4]
    assert written(None, 2, seconds=0.1) == [2, 4, 4]
    assert written(0.0, seconds=1.0) == [1, 2, 3, 4, 4]
    assert written(0.0, seconds=1.0, cost=0.09) == [1, 3, 4]
    assert written(1e9, seconds=1e8, cost=1e9) == [4]


def test_a_stage_that_took_a_second_is_kept_at_its_end(iris, path, monkeypatch):
    clock, found = [0.0], []
    monkeypatch.setattr(checkpoints, "save", lambda *args: found.append(clock[0]))
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: clock[0])
    model = StackedAutoencoder([Autoencoder(3, **QUICK), Autoencoder(2, **QUICK)], max_iter=2, checkpoint=path)
    model.callback = lambda epoch: clock.__setitem__(0, clock[0] + {"layer1": 0.2, "layer2": 0.1}.get(epoch.stage, 5.0))
    model.fit(iris)
    assert found == pytest.approx([1.2, 11.2])


# ------------------------------------------------------------------ where there can be none


def test_chunks_have_no_checkpoint(iris, path):
    estimator = Autoencoder(2, checkpoint=path, **QUICK)
    assert refuses(estimator, "partial_fit", iris).startswith("partial_fit takes one pass over a chunk, so that check")
    assert refuses(estimator, "fit", iter([iris])).startswith("X gives one chunk at a time, so that checkpoint=")


def test_processes_that_share_a_fit_have_no_checkpoint(iris, path, monkeypatch):
    monkeypatch.setattr(checkpoints, "is_offered", lambda: True)
    told = refuses(Autoencoder(2, checkpoint=path, **QUICK), "fit", iris)
    assert told.startswith(
        "Several processes share this fit, and their files would not be in step, so that checkpoint="
    )


def test_a_model_that_is_saved_has_none(kept, path, tmp_path):
    kept.set_params(checkpoint=Checkpoint(path)).save(tmp_path / "model.skae")
    assert kept.checkpoint == Checkpoint(path)
    assert skae.load(tmp_path / "model.skae").checkpoint is None
    with pytest.raises(FileError, match="is a checkpoint of a fit: pass its path as checkpoint to an estimator with"):
        skae.load(path)
    told = refuses(clone(kept).set_params(checkpoint=tmp_path / "model.skae"), "fit", np.eye(4))
    assert told.endswith("is a model that was saved: pass another path.")


def test_a_warm_start_from_another_model_has_no_checkpoint(iris, path):
    estimator = Autoencoder(2, checkpoint=path, warm_start=True, **QUICK).fit(iris)
    assert "no file of a fit knows" in refuses(estimator, "fit", iris)
    path.unlink()
    kill(estimator.set_params(checkpoint=Checkpoint(path, every_epochs=1)), 2, iris)
    require_same_model(clone(estimator).fit(iris), estimator)
    estimator.set_params(checkpoint=None).fit(iris)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_a_part_has_no_checkpoint_of_its_own(iris, path, method):
    part = Autoencoder(2, checkpoint=path, **QUICK)
    told = refuses(StackedAutoencoder([SMALL, ("top", part)]), method, iris)
    assert told.startswith("top has checkpoint=")
    assert told.endswith("set checkpoint of the whole, whose file holds all parts.")


def test_a_part_that_is_fitted_already_may_have_one(iris, few, path):
    part = VariationalAutoencoder(2, checkpoint=path, **QUICK)
    assert refuses(FineTunedClassifier(part), "fit", iris, few).startswith("encoder has checkpoint=")
    FineTunedClassifier(FrozenEstimator(part.fit(iris)), max_iter=1).fit(iris, few)


# ------------------------------------------------------------------ the parameter


def test_a_checkpoint_is_a_value(path):
    asked = Checkpoint(path, every_seconds=5, every_epochs=2)
    estimator = Autoencoder(2, checkpoint=asked)
    for copied in (clone(estimator), pickle.loads(pickle.dumps(estimator))):
        assert copied.checkpoint == asked
    assert repr(Checkpoint("a", 1.5)) == "Checkpoint(path='a', every_seconds=1.5, every_epochs=None)"
    assert "checkpoint='a.skae'" in repr(Autoencoder(2, checkpoint="a.skae"))
    assert skae.Checkpoint is Checkpoint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"path": ""}, "path='' is no path"),
        ({"path": "a\0"}, "is no path"),
        ({"path": "a", "every_seconds": -1}, "every_seconds=-1 must be"),
        ({"path": "a", "every_seconds": "5"}, "every_seconds='5' must be"),
        ({"path": "a", "every_epochs": 0}, "every_epochs=0 must be"),
        ({"path": "a", "every_epochs": 1.5}, "every_epochs=1.5 must be"),
        ({"path": "a", "every_epochs": True}, "every_epochs=True must be"),
    ],
)
def test_a_checkpoint_says_what_is_wrong_with_it(options, message):
    with pytest.raises(ValueError, match=message):
        Checkpoint(**options)


def test_a_checkpoint_has_a_path(iris, tmp_path):
    with pytest.raises(TypeError, match="path"):
        Checkpoint(3)
    told = refuses(Autoencoder(2, checkpoint=3), "fit", iris)
    assert "The 'checkpoint' parameter of Autoencoder must be" in told
    assert "is in a folder that does not exist: make" in refuses(
        Autoencoder(2, checkpoint=tmp_path / "no" / "run.skae"), "fit", iris
    )
    assert not (tmp_path / "no").exists()
    file = tmp_path / "file"
    file.write_text("")
    told = refuses(Autoencoder(2, checkpoint=f"{file}/"), "fit", iris)
    assert told == f"The folder of checkpoint='{file}/' cannot be made (File exists): pass another path."
    assert "cannot be read (File name too long)" in refuses(Autoencoder(2, checkpoint="a" * 999), "fit", iris)
    Autoencoder(2, checkpoint=str(tmp_path / "made") + "/", **QUICK).fit(iris)
    Autoencoder(2, checkpoint=Path(tmp_path, "made"), **QUICK).fit(iris)
    assert len([*Path(tmp_path, "made").iterdir()]) == 1

"""compare(n_jobs=2): the figures, warnings and errors of one process, and kept fits."""

import json
import warnings

import joblib
import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import FunctionTransformer

from skae import Autoencoder, compare
from skae.engine.notices import warn
from skae.exceptions import NothingLearntWarning

X, Y = load_iris(return_X_y=True)
TIMES = ("fit_seconds", "rows_per_second")
TINY = Autoencoder(hidden_layer_sizes=(4,), max_iter=3)


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)


def without_times(rows):
    return [{name: value for name, value in row.items() if not name.startswith(TIMES)} for row in rows]


def reducer(action="nothing"):
    """One whose class is sent to other processes as it is, because they cannot import it."""

    class Columns(TransformerMixin, BaseEstimator):
        def __init__(self, n_components=2, action="nothing"):
            self.n_components, self.action = n_components, action

        def fit(self, X, y=None):
            if self.action == "warn":
                warn("it learnt nothing", NothingLearntWarning)
                warnings.warn("it did not converge", ConvergenceWarning, stacklevel=1)
            self.is_fitted_ = True
            return self

        def transform(self, X):
            return X[:, : self.n_components]

    return Columns(action=action)


def run(n_jobs, *reducers, **given):
    given = {"n_components": [1, 2], "cv": 2, "scoring": {"size": lambda model, X, y: float(len(X))}, **given}
    return compare(X, Y, reducers, n_jobs=n_jobs, **given)


def test_two_processes_have_the_figures_of_one_to_the_bit(capfd):
    weight = np.arange(1.0, 151.0)
    reducers = [TINY, FunctionTransformer(lambda X: X * 1.0, check_inverse=False)]
    one, two = (run(n, *reducers, params={"sample_weight": weight}, verbose=n - 1) for n in (1, 2))
    for name in ("rows", "folds", "baselines"):
        assert without_times(getattr(one, name)) == without_times(getattr(two, name))
    assert list(two.estimators) == list(one.estimators)
    for key, model in one.estimators.items():
        np.testing.assert_array_equal(model.transform(X), two.estimators[key].transform(X))
    assert "14/14" in capfd.readouterr().err
    assert all(row["fit_seconds"] > 0 for row in two.rows)


def told(n_jobs, *reducers, **given):
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        run(n_jobs, *reducers, n_components=[2], **given)
    return sorted((one.category.__name__, str(one.message), one.filename) for one in record)


def test_warnings_of_other_processes_reach_the_user_as_those_of_one():
    found, expected = (told(n_jobs, reducer("warn")) for n_jobs in (2, 1))
    assert [one[:2] for one in found] == [one[:2] for one in expected]
    learnt = ("NothingLearntWarning", "Columns with n_components=2: it learnt nothing", __file__)
    assert found.count(learnt) == expected.count(learnt) == 2


def test_fits_of_several_processes_are_kept_and_found(tmp_path):
    """A run with two processes goes on with one, and the other way round."""
    whole = run(1, TINY, reducer())
    first = run(2, TINY, resume=tmp_path)
    kept = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert len(kept) == 1 + (4 + 2) + 4 + 2  # settings; rows of the reducers, models of ours, and baselines
    later = run(1, TINY, reducer(), resume=tmp_path)
    assert later.baselines == first.baselines
    assert without_times(later.folds) == without_times(whole.folds)
    for path in tmp_path.glob("*-0.json"):
        path.unlink()
    again = run(2, TINY, reducer(), resume=tmp_path)
    assert without_times(again.folds) == without_times(whole.folds)
    assert all((tmp_path / name).exists() for name in kept)
    assert again.estimators.keys() == whole.estimators.keys()


def test_kept_warnings_of_other_processes_are_issued_again(tmp_path):
    first = told(2, reducer("warn"), resume=tmp_path)
    assert told(1, reducer("warn"), resume=tmp_path) != []
    rows = [json.loads(path.read_text()) for path in tmp_path.glob("Columns-*.json")]
    assert sorted(category for row in rows for category, _ in row["warnings"]) == [
        "ConvergenceWarning", "ConvergenceWarning", "NothingLearntWarning", "NothingLearntWarning",
    ]  # fmt: skip
    assert len(first) == 4


def test_threads_may_be_asked_for():
    with joblib.parallel_config("threading", n_jobs=2):
        found = run(None, reducer())
    assert without_times(found.folds) == without_times(run(1, reducer()).folds)


def test_what_fails_in_another_process_is_named():
    """The last test of this file, because joblib starts new processes after a failure."""
    with pytest.raises(ValueError, match=r"^Columns with n_components=[12] failed in fold [12] of 2: Columns wi"):
        run(2, reducer("warn"))

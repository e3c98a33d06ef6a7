"""compare(resume=...): a comparison that was killed goes on from its finished fits, and ends as an unbroken one."""

import json
import os
import resource
import signal
import subprocess
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skae
from skae import Autoencoder
from skae.__main__ import main
from skae.comparison import compare
from skae.engine.notices import warn
from skae.exceptions import NothingLearntWarning
from skae.inspection import ComparisonDisplay

X, Y = load_iris(return_X_y=True)
TIMES = {"fit_seconds", "rows_per_second"}
TINY = {"hidden_layer_sizes": (4,), "max_iter": 2}


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)


class Columns(TransformerMixin, BaseEstimator):
    """Keeps columns, and counts its fits. Its fit number ``stops`` is interrupted."""

    counted: list = []  # noqa: RUF012 -- clones share it
    stops = None

    def __init__(self, n_components=2, extra=0):
        self.n_components, self.extra = n_components, extra

    def fit(self, X, y=None):
        if len(self.counted) == self.stops:
            raise KeyboardInterrupt
        self.counted.append(len(X))
        self.mean_ = X.mean(axis=0)
        return self

    def transform(self, X):
        return X[:, : self.n_components] - self.mean_[: self.n_components]


class Complaining(Columns):
    def fit(self, X, y=None):
        warn("it learnt nothing", NothingLearntWarning)
        warnings.warn("it did not converge", ConvergenceWarning, stacklevel=1)
        return super().fit(X)


@pytest.fixture(autouse=True)
def _uncounted():
    Columns.counted.clear()


def run(folder, *others, k=(1, 2), **settings):
    arguments = {"X": X, "y": Y, "n_components": k, "cv": 3, "resume": folder, **settings}
    return compare(reducers=[Columns(), *others], **arguments)


def without_times(rows):
    return [{name: value for name, value in row.items() if name.removesuffix("_std") not in TIMES} for row in rows]


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# ------------------------------------------------------------------ going on


@pytest.mark.parametrize("stop", [1, 4])
def test_an_interrupted_run_goes_on_to_the_table_of_an_unbroken_one(stop, tmp_path, monkeypatch):
    unbroken = run(None, Autoencoder(**TINY))
    Columns.counted.clear()
    monkeypatch.setattr(Columns, "stops", stop)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, Autoencoder(**TINY))
    monkeypatch.setattr(Columns, "stops", None)
    kept = files(tmp_path)
    times = [json.loads(kept[name])["rows"][0] for name in kept if "-" in name and name.endswith(".json")]
    resumed = run(tmp_path, Autoencoder(**TINY))
    first_folds = 1 + (stop > 3)
    assert len(Columns.counted) == 6 + first_folds  # those of the pictures were fitted again, and no others
    for name in ("rows", "folds", "baselines"):
        assert without_times(getattr(resumed, name)) == without_times(getattr(unbroken, name))
    assert all(row in resumed.folds for row in times)
    assert {name: content for name, content in files(tmp_path).items() if name in kept} == kept
    for key, model in resumed.estimators.items():
        np.testing.assert_array_equal(
            model.transform(resumed.X_test), unbroken.estimators[key].transform(unbroken.X_test)
        )


class Mine(Autoencoder):
    """A user's own variant."""


@pytest.mark.parametrize("cls", [Autoencoder, Mine])
def test_kept_models_of_this_package_are_loaded_and_fitted_again_only_if_they_are_damaged(cls, tmp_path, monkeypatch):
    before = run(tmp_path, cls(**TINY), k=[2]).estimators[cls.__name__, 2]
    with monkeypatch.context() as context:
        context.setattr(Autoencoder, "_fit", lambda *_, **__: 1 / 0)
        result = run(tmp_path, cls(**TINY), k=[2])
    found = result.estimators[cls.__name__, 2]
    assert type(found) is cls
    np.testing.assert_array_equal(found.transform(X), before.transform(X))
    file = next(tmp_path.glob("*.skae"))
    whole = file.read_bytes()
    for content in (b"", whole[:-5], None):
        file.unlink()
        if content is not None:
            file.write_bytes(content)
        again = run(tmp_path, cls(**TINY), k=[2]).estimators[cls.__name__, 2]
        np.testing.assert_array_equal(again.transform(X), before.transform(X))


KILLED = """
import os, signal
from sklearn.decomposition import FastICA

class Killed(FastICA):
    def fit(self, X, y=None):
        if os.path.exists("deadly") and len(os.listdir("run")) == 6:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X)
"""


def test_a_killed_process_goes_on_to_the_figures_of_an_unbroken_one(tmp_path, monkeypatch):
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "deadly").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("skae.report._draw", lambda *_: "no picture")
    command = ["compare", "iris", "--reducers", "killed.Killed", "--n-components", "2", "3", "--cv", "3"]
    root = str(Path(skae.__file__).parents[1])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, str(tmp_path)])}
    quick = "import sys; from skae.comparison import evaluation; evaluation.TIMED = 0; "
    quick += "from skae.__main__ import main; main(sys.argv[1:])"
    done = subprocess.run([sys.executable, "-c", quick, *command, "--resume", "run"], env=environment)
    assert done.returncode == -signal.SIGKILL
    before = files(tmp_path / "run")
    assert len(before) == 6
    assert not (tmp_path / "compare").exists() or not any((tmp_path / "compare").iterdir())
    (tmp_path / "deadly").unlink()
    assert main([*command, "--resume", "run", "--output", "resumed"]) == 0
    assert main([*command, "--output", "unbroken"]) == 0
    resumed, unbroken = (json.loads((tmp_path / name / "compare.json").read_text()) for name in ("resumed", "unbroken"))
    for name in ("rows", "folds", "baselines"):
        assert without_times(resumed[name]) == without_times(unbroken[name])
    after = files(tmp_path / "run")
    assert all(after[name] == content for name, content in before.items())
    sys.modules.pop("killed")


def test_a_finished_run_is_drawn_as_the_first_time(tmp_path):
    pictures = [ComparisonDisplay.from_comparison(run(tmp_path, Autoencoder(**TINY))) for _ in range(2)]
    for name, codes in pictures[0].codes.items():
        np.testing.assert_array_equal(pictures[1].codes[name], codes)
    assert pictures[0].scores.keys() == pictures[1].scores.keys()
    for name, curves in pictures[0].scores.items():
        for reducer, points in curves.items():
            np.testing.assert_array_equal(pictures[1].scores[name][reducer], points)


def test_warnings_of_finished_fits_are_issued_again(tmp_path):
    told = []
    for _ in range(2):
        with warnings.catch_warnings(record=True) as record:
            warnings.simplefilter("always")
            run(tmp_path, Complaining(), k=[2])
        told.append([(one.category, str(one.message)) for one in record])
    assert told[0] == told[1]
    assert told[0].count((NothingLearntWarning, "Complaining with n_components=2: it learnt nothing")) == 3
    assert told[0].count((ConvergenceWarning, "it did not converge")) == 3


def test_warnings_that_are_errors_end_a_run(tmp_path):
    with pytest.raises(ValueError, match=r"Complaining with n_components=2 failed in fold 1 of 3: .*it learnt nothing"):
        run(tmp_path, Complaining(), k=[2])


def test_reducers_numbers_of_components_and_what_does_not_matter_may_change(tmp_path):
    run(tmp_path, Autoencoder(**TINY), k=[1])
    Columns.counted.clear()
    more = run(tmp_path, PCA(), k=[2, 1])
    assert len(Columns.counted) == 3 + 1
    assert [(row["n_components"], row["reducer"]) for row in more.rows][:2] == [(2, "Columns"), (2, "PCA")]
    again = run(tmp_path, Autoencoder(**TINY, verbose=1), k=[1])
    assert len(Columns.counted) == 4 + 1
    assert len(again.folds) == 9


# ------------------------------------------------------------------ other fits


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"X": X + 1}, "to another X than this one: pass that X, or pass another folder."),
        ({"X": X[:-3], "y": Y[:-3]}, "to another X than this one"),
        ({"y": Y[::-1]}, "to another y than this one"),
        ({"y": None}, "to another y than this one"),
        ({"cv": 2}, "to other folds than these: pass the same cv,"),
        ({"cv": KFold(3)}, "to other folds than these"),
        ({"random_state": 1}, "with random_state=0 instead of 1"),
        ({"standardize": True}, "with standardize=False instead of True"),
        ({"scoring": ["f1_macro"]}, "with other scorers than these: pass the same scoring, or pass another folder"),
        ({"others": [Autoencoder(**{**TINY, "max_iter": 3})]}, "of 'Autoencoder' with max_iter=2 instead of 3"),
        ({"others": [make_pipeline(FunctionTransformer(np.sqrt), PCA(whiten=True))]}, "pca__whiten=False instead of T"),
        (
            {"others": [make_pipeline(FunctionTransformer(np.cbrt), PCA())]},
            "of 'Pipeline' with functiontransformer__fu",
        ),
    ],
)
def test_another_comparison_is_refused_with_what_differs(changed, sentence, tmp_path):
    usual = {"others": [Autoencoder(**TINY), make_pipeline(FunctionTransformer(np.sqrt), PCA())], "k": [2], "y": Y}
    others = usual.pop("others")
    run(tmp_path, *others, **usual)
    before = files(tmp_path)
    Columns.counted.clear()
    changed = {**usual, **changed}
    with pytest.raises(ValueError, match="holds fits") as error:
        run(tmp_path, *changed.pop("others", others), **changed)
    assert str(error.value).startswith(f"resume={str(tmp_path)!r} holds fits ")
    assert sentence in str(error.value)
    assert not Columns.counted
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("skae", f"by skae 0.1 instead of {skae.__version__}: use that version of skae, or pass another folder."),
        ("sklearn", "by sklearn 0.1 instead of "),
        ("layout", "that another version of skae kept in another layout"),
        ("reducers", "of what nobody can read: remove it, or pass another folder."),
    ],
)
def test_fits_of_another_version_are_refused(name, sentence, tmp_path):
    run(tmp_path, k=[1])
    settings = json.loads((tmp_path / "comparison.json").read_text())
    (tmp_path / "comparison.json").write_text(json.dumps({**settings, name: "0.1"}))
    with pytest.raises(ValueError, match="holds fits") as error:
        run(tmp_path, k=[1])
    assert sentence in str(error.value)


def test_fits_whose_settings_are_lost_are_not_taken_for_those_of_another_comparison(tmp_path):
    whole = run(tmp_path, Autoencoder(**TINY), k=[2])
    (tmp_path / "comparison.json").unlink()
    Columns.counted.clear()
    assert run(tmp_path, Autoencoder(**TINY), k=[2]).folds == whole.folds
    assert len(Columns.counted) == 1  # that of the first fold, for its picture
    Columns.counted.clear()
    (tmp_path / "comparison.json").write_text("{")
    other = run(tmp_path, Autoencoder(**TINY), k=[2], standardize=True)
    assert len(Columns.counted) == 3
    unkept = compare(X, Y, [Columns(), Autoencoder(**TINY)], [2], 3, standardize=True)
    assert without_times(other.folds) == without_times(unkept.folds)


def test_a_reducer_of_another_package_may_be_added_and_is_told_by_its_version(tmp_path, monkeypatch):
    compare(X, Y, {"pca": PCA()}, [1], 2, resume=tmp_path)
    both = {"pca": PCA(), "mine": Columns()}
    compare(X, Y, both, [1], 2, resume=tmp_path)
    monkeypatch.setattr(sys.modules[Columns.__module__.partition(".")[0]], "__version__", "99", raising=False)
    with pytest.raises(ValueError, match=r"of 'mine' by \w+ None instead of 99: use that version of \w+, or pass ano"):
        compare(X, Y, both, [1], 2, resume=tmp_path)
    compare(X, Y, {"pca": PCA()}, [1], 2, resume=tmp_path)


def test_another_class_under_a_name_is_told_first(tmp_path):
    compare(X, Y, {"one": PCA()}, [1], 2, resume=tmp_path)
    with pytest.raises(ValueError, match=r"of 'one' as PCA instead of Columns: give the reducer another name, or"):
        compare(X, Y, {"one": Columns()}, [1], 2, resume=tmp_path)


@pytest.mark.parametrize("resume", ["", 3])
def test_what_is_no_path_is_refused(resume):
    with pytest.raises(TypeError, match=f"resume={resume!r} must be the path of a folder, or None"):
        run(resume)


def test_folds_that_no_later_run_could_find_again_are_refused(tmp_path):
    with pytest.raises(ValueError, match="resume needs the same folds and models in the next run: pass a number"):
        run(tmp_path, random_state=None)
    assert not Columns.counted


# ------------------------------------------------------------------ folders and disks


@pytest.mark.parametrize(
    "content", ["", "{", "[1]", '{"rows": []}', "NaN", None, ('"fold": 0', '"fold": 1'), ('"r2": null', '"r2": NaN')]
)
def test_a_file_that_is_damaged_is_fitted_again(content, tmp_path):
    whole = run(tmp_path, k=[2])
    damaged = next(tmp_path.glob("Columns-*-2-0.json"))
    before = damaged.read_text()
    damaged.write_text(before.replace(*content) if isinstance(content, tuple) else content or before[:-20])
    Columns.counted.clear()
    mended = run(tmp_path, k=[2])
    assert len(Columns.counted) == 1
    assert without_times(mended.folds) == without_times(whole.folds)
    assert without_times(json.loads(damaged.read_text())["rows"]) == without_times(json.loads(before)["rows"])


@contextmanager
def largest_file(size):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_told_once_and_the_run_goes_on(tmp_path):
    expected = without_times(run(None).folds)
    with (
        largest_file(100),
        pytest.warns(UserWarning, match=r"Finished fits cannot be kept in .*File too large") as told,
    ):
        result = run(tmp_path)
    assert len(told) == 1
    assert without_times(result.folds) == expected
    assert files(tmp_path) == {}
    assert without_times(run(tmp_path).folds) == expected
    assert len(files(tmp_path)) == 16


def test_a_folder_that_cannot_be_used_is_told_before_anything_is_computed(tmp_path):
    (tmp_path / "file").touch()
    for folder in (tmp_path / "file", tmp_path / "file" / "folder", "nul\0"):
        with pytest.raises(ValueError, match=r"Fits cannot be kept in resume=.*: pass a folder that can be written to"):
            run(folder)
    assert not Columns.counted


def test_names_of_reducers_stay_in_the_folder(tmp_path):
    names = ["../../out", "a/b", "a b", "a_b", "..", "ü" * 300]
    compare(X, Y, {name: Columns() for name in names}, [1], 2, resume=tmp_path / "run")
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
    assert len(files(tmp_path / "run")) == 2 * (len(names) + 2) + 1

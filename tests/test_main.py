"""The command line: what it prints and writes, and one line for every mistake."""

import base64
import errno
import io
import json
import os
import re
import signal
import struct
import subprocess
import sys
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import scipy
from matplotlib.image import imread
from sklearn.datasets import load_iris
from sklearn.decomposition import FastICA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import Isomap

import skae
from skae.__main__ import Interrupts, main

QUICK = ["--cv", "2", "--max-iter", "1", "--n-components", "2", "--hidden-layer-sizes", "4"]
ESCAPE = "\033"


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Time one call, not many, and write to a folder of the test."""
    monkeypatch.setattr("skae.comparison.evaluation.TIMED", 0.0)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _undrawn(monkeypatch):
    """Draw no picture, where none is looked at."""
    monkeypatch.setattr("skae.report._draw", lambda *_: "no picture")


@pytest.fixture
def table(tmp_path):
    """A csv of 40 rows: two columns of numbers, one of texts and one of classes."""
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{b:.3f},{'red' if a > 0 else 'blue'},{'yes' if b > 0 else 'no'}" for a, b in rng.normal(size=(40, 2))
    ]
    (tmp_path / "table.csv").write_text("a,b,colour,bought\n" + "\n".join(rows) + "\n")
    return "table.csv"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A module with reducers of the user's own."""
    (tmp_path / "reducers_of_mine.py").write_text(MINE)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("reducers_of_mine", None)


MINE = """
from sklearn.base import BaseEstimator, TransformerMixin

class Plain(TransformerMixin, BaseEstimator):
    def __init__(self, n_components=2):
        self.n_components = n_components

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return X[:, : self.n_components]

class PCA(Plain): pass

class FastICA(Plain): pass

class Failing(Plain):
    def fit(self, X, y=None):
        raise RuntimeError("no luck")

class Interrupted(Plain):
    def fit(self, X, y=None):
        raise KeyboardInterrupt

def function(): pass
"""


def run(*arguments):
    return main(["compare", *map(str, arguments)])


def strict(path):
    """JSON without the NaN and Infinity that Python alone understands."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def environment():
    """That of a process which imports this package."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(skae.__file__).parents[1])}


def without_bar(text):
    """What is left of stderr without the progress bar."""
    return [line for line in re.split(r"[\r\n]+", text) if line and not re.match(r"compare: +\d+%", line)]


# -------------------------------------------------------------------- what is written


def test_a_process_writes_figures_and_a_picture(tmp_path):
    command = [sys.executable, "-m", "skae", "compare", "iris", "--cv", "2", "--max-iter", "1", "--output", "out/here"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert done.returncode == 0
    assert without_bar(done.stderr) == []
    assert done.stdout.startswith("iris: 150 rows, 4 columns, 3 classes\n")
    written = [os.path.join("out", "here", f"compare.{kind}") for kind in ("json", "png", "html")]  # noqa: PTH118
    assert done.stdout.splitlines()[-3:] == written
    assert ESCAPE not in done.stdout
    content = strict(tmp_path / "out/here/compare.json")
    assert [(row["reducer"], row["n_components"]) for row in content["rows"]] == [
        (name, 2) for name in ("PCA", "Autoencoder", "NeighborAutoencoder")
    ]
    picture = (tmp_path / "out/here/compare.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert imread(tmp_path / "out/here/compare.png").shape == (height, width, 4)
    page = (tmp_path / "out/here/compare.html").read_text(encoding="utf-8")
    assert base64.b64encode(picture).decode() in page
    assert "iris: 150 rows, 4 columns, 3 classes" in page


@pytest.mark.usefixtures("_undrawn")
def test_the_json_holds_rows_folds_and_settings(tmp_path, table):
    assert run(table, "--target", "bought", *QUICK, "--seed", "3", "--standardize") == 0
    content = strict(tmp_path / "compare" / "compare.json")
    assert content["skae"] == skae.__version__
    assert content["data"] == "table"
    assert content["shape"] == [40, 4]
    columns = {"reducer", "n_components", "r2", "linear", "knn", "neighbors", "fit_seconds", "rows_per_second"}
    with_spreads = columns | {f"{column}_std" for column in columns - {"reducer", "n_components"}}
    assert [set(row) for row in content["rows"]] == [with_spreads] * 4
    assert [set(fold) for fold in content["folds"]] == [columns | {"fold"}] * 8
    assert content["settings"] == {
        "command": "compare",
        "data": "table.csv",
        "target": "bought",
        "drop": [],
        "impute": False,
        "separator": None,
        "decimal": None,
        "encoding": None,
        "dates": "numbers",
        "reducers": None,
        "n_components": [2],
        "hidden_layer_sizes": [4],
        "max_iter": 1,
        "cv": 2,
        "repeats": 1,
        "groups": None,
        "scoring": None,
        "n_jobs": None,
        "standardize": True,
        "device": "auto",
        "seed": 3,
        "output": "compare",
        "resume": None,
    }


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.filterwarnings("ignore::skae.exceptions.DisconnectedGraphWarning")
def test_the_figures_are_those_of_compare(tmp_path):
    assert run("iris", *QUICK, "--standardize", "--seed", "4") == 0
    X, y = load_iris(return_X_y=True)
    reducers = [cls(hidden_layer_sizes=(4,), max_iter=1) for cls in (skae.Autoencoder, skae.NeighborAutoencoder)]
    expected = skae.compare(X, y, reducers, [2], cv=2, standardize=True, random_state=4)
    for found, row in zip(strict(tmp_path / "compare/compare.json")["rows"], expected.rows, strict=True):
        for column in ("r2", "linear", "knn", "neighbors"):
            assert found[column] == row[column]


@pytest.mark.usefixtures("_undrawn")
def test_the_table_is_printed_with_what_its_columns_mean(table, capsys):
    assert run(table, "--target", "bought", *QUICK) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "table: 40 rows, 4 columns, 2 classes"
    assert out[1].split() == ["n_components", "reducer", "R2", "linear", "kNN", "kept", "fit", "s", "rows/s"]
    names = ["Autoencoder", "NeighborAutoencoder", "TableAutoencoder"]
    assert [line.split()[0] for line in out[2:8]] == ["2", *names, "4", "0"]
    assert out[8:12] == [
        "Means ± standard deviations over 2 folds, on held-out rows. The best reducer of each size is marked.",
        "R2: reconstruction; linear, kNN: accuracy of a linear model and of 5 nearest neighbours on the code",
        "kept: share of each row's 2 nearest held-out rows that are its 2 nearest on the code too",
        "all columns: the same on the columns themselves; majority class: a guess",
    ]


@pytest.mark.usefixtures("_undrawn")
def test_the_json_holds_what_all_columns_and_a_guess_get(tmp_path, table):
    assert run(table, "--target", "bought", *QUICK) == 0
    everything, guess = strict(tmp_path / "compare" / "compare.json")["baselines"]
    assert (everything["reducer"], everything["n_components"]) == ("all columns", 4)
    assert (guess["reducer"], guess["n_components"]) == ("majority class", 0)
    assert 0.5 <= guess["linear"] == guess["knn"] < everything["linear"] <= 1


@pytest.mark.parametrize(
    ("data", "target"), [("linnerud", "3 targets of real numbers"), ("diabetes", "a target of real numbers")]
)
def test_targets_of_real_numbers_are_told(data, target, tmp_path, capsys):
    assert run(data, *QUICK) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith(target)
    assert "linear, kNN: R2 of a linear model" in out
    assert all(row["linear"] < 1 for row in strict(tmp_path / "compare/compare.json")["rows"])


@pytest.mark.usefixtures("_undrawn")
def test_groups_are_a_column_that_no_fold_divides(tmp_path, capsys):
    rows = np.random.default_rng(0).normal(size=(40, 3)).round(2)
    person = np.repeat([f"p{i}" for i in range(10)], 4)
    frame = pd.DataFrame(rows, columns=["a", "b", "c"]).assign(person=person, ill=(person > "p5").astype(int))
    frame.to_csv("ill.csv", index=False)
    options = ["--target", "ill", "--groups", "person", "--cv", "3", "--repeats", "2"]
    scoring = ["f1", "trustworthiness"]
    assert run("ill.csv", *options, "--scoring", *scoring, "--n-components", "2", "--reducers", "pca") == 0
    out = capsys.readouterr().out
    assert "40 rows, 3 columns, 2 classes" in out
    assert "over 6 folds" in out
    assert "is better: f1 of the linear model on the code, trustworthiness of the reducer" in out
    expected = skae.compare(rows, frame["ill"], [], [2], cv=3, groups=person, n_repeats=2, scoring=scoring)
    (found,) = strict(tmp_path / "compare/compare.json")["rows"]
    for column in ("r2", "linear", "f1", "trustworthiness", "f1_std"):
        assert found[column] == pytest.approx(expected.rows[0][column])


@pytest.mark.filterwarnings("ignore:The least populated class")
@pytest.mark.usefixtures("_undrawn")
def test_scorers_that_fail_are_told(capsys):
    scoring = ["reconstruction_r2", "neg_reconstruction_mse"]
    assert run("iris", *QUICK, "--reducers", "sklearn.decomposition.KernelPCA", "--scoring", *scoring) == 0
    out = capsys.readouterr().out
    for name in scoring:
        assert out.count(f"KernelPCA with n_components=2: The scorer {name!r} failed (") == 1


def test_a_file_without_a_target_is_compared(table, tmp_path, capsys):
    assert run(table, *QUICK) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0] == "table: 40 rows, 6 columns, no target"
    assert "kNN" not in out
    assert {row["knn"] for row in strict(tmp_path / "compare/compare.json")["rows"]} == {None}


@pytest.mark.usefixtures("_undrawn")
def test_scores_that_do_not_exist_are_null_in_the_json(tmp_path):
    assert run("linnerud", *QUICK, "--cv", "20") == 0  # R2 of a single row
    assert {row["linear"] for row in strict(tmp_path / "compare/compare.json")["rows"]} == {None}


def test_a_target_of_more_classes_than_colours_is_drawn(tmp_path):
    rows = "".join(f"{i % 7},{i % 11},c{i % 26}\n" for i in range(78))
    (tmp_path / "letters.csv").write_text("a,b,letter\n" + rows)
    assert run("letters.csv", "--target", "letter", *QUICK) == 0
    assert imread("compare/compare.png").ndim == 3


def test_pictures_are_drawn_where_rows_are_pictures(tmp_path):
    pictures = np.random.default_rng(0).normal(size=(30, 4, 6))
    np.savez("faces.npz", images=pictures)
    np.save("flat.npy", pictures.reshape(30, 24))
    assert run("faces.npz", *QUICK, "--output", "faces") == run("flat.npy", *QUICK, "--output", "flat") == 0
    assert len(imread("faces/compare.png")) > len(imread("flat/compare.png"))


@pytest.mark.usefixtures("_undrawn")
def test_the_folder_may_be_there(tmp_path, table):
    for seed in ("0", "1"):
        assert run(table, *QUICK, "--seed", seed) == 0
        assert strict(tmp_path / "compare/compare.json")["settings"]["seed"] == int(seed)


@pytest.mark.usefixtures("_undrawn")
def test_every_estimator_is_a_reducer(tmp_path):
    names = [name for family in (skae.autoencoders, skae.maps, skae.boltzmann) for name in family.__all__]
    names = [name for name in names if "Regress" not in name and "Recursive" not in name]
    asked = ",".join(name.removesuffix("Autoencoder").lower() or "autoencoder" for name in names)
    assert run("digits", "--n-components", "2", "--cv", "2", "--max-iter", "1", "--reducers", asked) == 0
    rows = strict(tmp_path / "compare/compare.json")["rows"]
    assert [row["reducer"] for row in rows] == ["PCA", *names]
    assert all(isinstance(row[column], float) for row in rows for column in ("r2", "linear", "knn"))


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["pca"], ["PCA"]),
        (["autoencoder"], ["PCA", "Autoencoder"]),
        ([" Autoencoder , PCA "], ["Autoencoder", "PCA"]),
        (["Autoencoder", "pca"], ["Autoencoder", "PCA"]),
        (["pca,pca", "PCA"], ["PCA"]),
        (["skae.Autoencoder", "autoencoder", "sklearn.decomposition.PCA"], ["Autoencoder", "PCA"]),
        (["sklearn.decomposition.FastICA", "reducers_of_mine.Plain"], ["PCA", "FastICA", "Plain"]),
        (["reducers_of_mine.PCA", "pca"], ["reducers_of_mine.PCA", "PCA"]),
        (
            ["reducers_of_mine.FastICA", "sklearn.decomposition.FastICA"],
            ["PCA", "FastICA", "sklearn.decomposition.FastICA"],
        ),
    ],
)
def test_reducers_are_chosen_by_name(names, expected, table, tmp_path, mine):
    assert run(table, *QUICK, "--reducers", *names) == 0
    assert [row["reducer"] for row in strict(tmp_path / "compare/compare.json")["rows"]] == expected


def test_a_reducer_by_its_dotted_name_has_the_figures_of_compare(tmp_path):
    assert run("iris", *QUICK, "--reducers", "sklearn.decomposition.FastICA") == 0
    X, y = load_iris(return_X_y=True)
    with pytest.warns(ConvergenceWarning):
        expected = skae.compare(X, y, [FastICA(max_iter=1)], [2], cv=2)
    for found, row in zip(strict(tmp_path / "compare/compare.json")["rows"], expected.rows, strict=True):
        assert {k: found[k] for k in ("r2", "linear", "knn")} == {k: row[k] for k in ("r2", "linear", "knn")}


def test_a_reducer_that_cannot_reconstruct_has_the_other_figures(tmp_path, mine, capsys):
    assert run("iris", *QUICK, "--reducers", "reducers_of_mine.Plain", "sklearn.manifold.Isomap") == 0
    _, *others = strict(tmp_path / "compare/compare.json")["rows"]
    assert [row["r2"] for row in others] == [None, None]
    assert all(0 < row["linear"] <= 1 for row in others)
    assert "No R2, because it cannot reconstruct rows: Plain, Isomap" in capsys.readouterr().out.splitlines()


def test_maps_of_other_packages_have_short_names(tmp_path, monkeypatch, capsys):
    """t-SNE takes no --max-iter: its steps are no epochs, and cannot be fewer than 250."""
    monkeypatch.setitem(sys.modules, "umap", SimpleNamespace(UMAP=Isomap))
    assert run("iris", "--cv", "2", "--max-iter", "1", "--reducers", "pca", "UMAP,tSNE") == 0
    rows = strict(tmp_path / "compare/compare.json")["rows"]
    assert [row["reducer"] for row in rows] == ["PCA", "Isomap", "TSNE"]
    known = {name.removesuffix("_std") for name, value in rows[2].items() if value is not None}
    assert known == {"reducer", "n_components", "fit_seconds"}
    out = capsys.readouterr().out.splitlines()
    assert "No R2, because it cannot reconstruct rows: Isomap" in out
    assert (
        "No scores, because it cannot encode held-out rows, and a map that is fitted to training and held-out rows "
        "together is not comparable: TSNE" in out
    )


@pytest.mark.parametrize(("name", "package"), [("umap", "umap-learn"), ("PaCMAP", "pacmap")])
def test_a_package_that_is_not_installed_is_told_with_its_command(name, package, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, name.lower(), None)
    assert run("iris", *QUICK, "--reducers", name) == 2
    said = f"skae compare: --reducers {name.lower()} needs the package {package}: python -m pip install {package} ("
    assert capsys.readouterr().err.startswith(said)


def test_a_sparse_code_is_compared_and_drawn(tmp_path):
    assert run("iris", *QUICK, "--reducers", "sklearn.preprocessing.KBinsDiscretizer") == 0
    assert (tmp_path / "compare/compare.png").exists()


@pytest.mark.usefixtures("_undrawn")
def test_a_reducer_that_is_a_predictor_learns_from_the_target(tmp_path):
    assert run("diabetes", *QUICK, "--reducers", "sklearn.cross_decomposition.PLSRegression") == 0
    pca, pls = strict(tmp_path / "compare/compare.json")["rows"]
    assert pls["linear"] > pca["linear"]


def test_no_hidden_layers_may_be_asked_for(table, monkeypatch):
    seen = []
    monkeypatch.setattr("skae.__main__.compare", lambda X, y, models, *_, **__: seen.append(models) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(table, "--hidden-layer-sizes")
    assert seen[0]["Autoencoder"].hidden_layer_sizes == ()


def test_without_options_the_estimators_keep_their_defaults(table, monkeypatch):
    seen = []
    monkeypatch.setattr("skae.__main__.compare", lambda *given, **named: seen.append((given, named)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(table)
    (_, y, models, n_components, cv), named = seen[0]
    assert models["Autoencoder"].get_params() == skae.Autoencoder().get_params()
    assert (y, n_components, cv) == (None, None, 5)
    unset = dict.fromkeys(["groups", "scoring", "n_jobs", "resume"])
    assert named == {"standardize": False, "random_state": 0, "verbose": 1, "n_repeats": 1, **unset}


# -------------------------------------------------------------------- the terminal


@pytest.mark.usefixtures("_undrawn")
def test_a_terminal_shows_the_best_in_bold(table, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(table, *QUICK) == 0
    out = capsys.readouterr().out
    assert re.search(r"\033\[1;32m[\d.]+\033\[0m", out)
    assert "*" not in out
    assert out.count("\033[1;32m") == out.count("\033[0m") >= 3


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(("terminal", "no_color", "colours"), [(True, "1", 0), (True, "", 1), (False, None, 0)])
def test_escape_codes_are_for_terminals_that_want_them(terminal, no_color, colours, table, capsys, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    if no_color is not None:
        monkeypatch.setenv("NO_COLOR", no_color)
    assert run(table, *QUICK) == 0
    out = capsys.readouterr().out
    assert (ESCAPE in out, "*" in out) == ((True, False) if colours else (False, True))


def test_the_version_is_printed(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["--version"])
    assert stopped.value.code == 0
    assert capsys.readouterr().out == f"skae {skae.__version__}\n"


def test_help_tells_every_option(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["compare", "--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    for option in ("DATA", "--target", "--reducers", "--n-components", "--hidden-layer-sizes", "--max-iter", "--cv"):
        assert option in out


def test_without_matplotlib_the_figures_are_written_all_the_same(table, tmp_path, capsys, monkeypatch):
    for name in [name for name in sys.modules if name.split(".")[0] == "matplotlib"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert run(table, *QUICK) == 0
    assert capsys.readouterr().out.splitlines()[-2] == (
        'compare.png was not drawn, because it needs matplotlib: pip install "skae[plot]"'
    )
    assert "<img" not in (tmp_path / "compare/compare.html").read_text()
    assert strict(tmp_path / "compare/compare.json")["rows"]
    assert not (tmp_path / "compare/compare.png").exists()


def test_the_picture_needs_no_display(table, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run(table, *QUICK) == 0
    assert mpl.get_backend().lower() == "agg"


def test_an_interrupt_writes_nothing(mine, tmp_path, capsys):
    assert run("iris", *QUICK, "--reducers", "reducers_of_mine.Interrupted", "--output", "new/folder") == 130
    captured = capsys.readouterr()
    assert captured.err.endswith("\n\nskae compare: interrupted\n")
    assert "R2" not in captured.out
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("where", ["_json", "_draw", "_html"])
def test_an_interrupt_while_files_are_written_leaves_the_old_ones(where, tmp_path, monkeypatch):
    assert run("iris", *QUICK) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "compare").iterdir()}
    assert set(before) == {"compare.json", "compare.png", "compare.html"}

    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"skae.report.{where}", interrupt)
    assert run("iris", *QUICK, "--seed", "7") == 130
    assert {path.name: path.read_bytes() for path in (tmp_path / "compare").iterdir()} == before


def test_ctrl_c_pressed_again_does_not_disturb_the_end(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("skae.__main__.time.monotonic", lambda: now[0])
    pressed = Interrupts()
    for time, raises in [(0.0, True), (0.5, False), (1.9, False), (5.0, True), (5.1, False)]:
        now[0] = time
        with pytest.raises(KeyboardInterrupt) if raises else nullcontext():
            pressed(signal.SIGINT, None)


SLOW = """
import time

def fit(self, X, y=None):
    print("fitting", flush=True)
    for _ in range(1000):
        time.sleep(0.01)

Plain.fit = fit
"""


@pytest.mark.skipif(sys.platform == "win32", reason="signals")
def test_ctrl_c_ends_a_process(tmp_path):
    (tmp_path / "slow.py").write_text(MINE + SLOW)
    command = [sys.executable, "-m", "skae", "compare", "iris", "--reducers", "slow.Plain", "--n-components", "2"]
    listen = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell lets jobs in the background ignore Ctrl-C
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=tmp_path, env=environment(), preexec_fn=listen, **pipes) as process:
        assert "fitting\n" in iter(process.stdout.readline, "")
        for _ in range(3):
            process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert without_bar(err) == ["skae compare: interrupted"]
    assert not (tmp_path / "compare").exists()


@pytest.mark.usefixtures("_undrawn")
def test_a_reducer_that_has_learnt_nothing_is_told(monkeypatch, capsys):
    """Once for each size, although the fits of both folds have learnt nothing."""
    monkeypatch.setattr(skae.Autoencoder, "_failure", lambda self, data: "The code is the same for all rows: do this.")
    assert run("iris", *QUICK, "--n-components", "1", "2", "--max-iter", "60", "--reducers", "autoencoder") == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "do this" in line]
    assert lines == [f"Autoencoder with n_components={k}: The code is the same for all rows: do this." for k in (1, 2)]


# -------------------------------------------------------------------- files and streams that fail


@contextmanager
def largest_file(n_bytes):
    """A disk that is full, as far as a file can tell."""
    resource = pytest.importorskip("resource")
    _, hard = before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_old_files(tmp_path, capsys):
    assert run("iris", *QUICK) == 0
    before = {path.name: path.read_bytes() for path in (tmp_path / "compare").iterdir()}
    capsys.readouterr()
    with largest_file(100):
        assert run("iris", *QUICK, "--seed", "7") == 1
    line = without_bar(capsys.readouterr().err)[-1]
    assert line == f"skae compare: Cannot write {os.path.join('compare', 'compare.json')!r}: File too large."  # noqa: PTH118
    assert {path.name: path.read_bytes() for path in (tmp_path / "compare").iterdir()} == before


def test_a_disk_that_is_full_for_the_picture_has_the_figures(tmp_path, capsys):
    with largest_file(8000):
        assert run("iris", *QUICK) == 1
    line = without_bar(capsys.readouterr().err)[-1]
    assert line == f"skae compare: Cannot write {os.path.join('compare', 'compare.png')!r}: File too large."  # noqa: PTH118
    assert [path.name for path in (tmp_path / "compare").iterdir()] == ["compare.json"]
    assert strict(tmp_path / "compare/compare.json")["rows"]


def test_a_picture_that_cannot_be_drawn_does_not_lose_the_figures(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("skae.report._draw", lambda *_: 1 / 0)
    assert run("iris", *QUICK) == 1
    name = os.path.join("compare", "compare.png")  # noqa: PTH118
    assert without_bar(capsys.readouterr().err)[-1] == f"skae compare: {name!r} was not drawn: division by zero"
    assert strict(tmp_path / "compare/compare.json")["rows"]


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (BrokenPipeError(errno.EPIPE, "Broken pipe"), 141, []),
        (OSError(errno.ENOSPC, "No space left on device"), 1, ["No space left on device."]),
    ],
)
@pytest.mark.parametrize("method", ["write", "flush"])
def test_an_output_that_is_lost_does_not_lose_the_files(method, error, status, said, tmp_path, monkeypatch, capsys):
    class Lost(io.StringIO):
        pass

    def fail(*_):
        raise error

    setattr(Lost, method, fail)
    monkeypatch.setattr(sys, "stdout", Lost())
    assert run("iris", *QUICK) == status
    expected = [f"skae compare: Cannot write to the standard output: {text}" for text in said]
    assert without_bar(capsys.readouterr().err) == expected
    assert strict(tmp_path / "compare/compare.json")["rows"]


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize("name", ["stdout", "stderr"])
def test_a_stream_may_be_closed(name, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(sys, name, None)
    assert run("iris", *QUICK) == 0
    assert strict(tmp_path / "compare/compare.json")["rows"]
    assert run("nowhere.csv") == 2
    captured = capsys.readouterr()
    assert (captured.out if name == "stdout" else captured.err) == ""


@pytest.mark.usefixtures("_undrawn")
def test_a_terminal_that_lacks_letters_gets_escapes(tmp_path, monkeypatch):
    (tmp_path / "straße.csv").write_text("a,b\n" + "".join(f"{i % 7},{i % 5}\n" for i in range(30)))
    shown = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    assert run("straße.csv", *QUICK) == 0
    shown.seek(0)
    assert shown.readline() == "stra\\xdfe: 30 rows, 2 columns, no target\n"


@pytest.mark.skipif(sys.platform == "win32", reason="needs a shell")
def test_a_reader_that_has_gone_does_not_lose_the_files(tmp_path):
    command = f"{sys.executable} -m skae compare iris {' '.join(QUICK)} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, env=environment())
    assert (done.returncode, done.stdout, without_bar(done.stderr)) == (
        141,
        "iris: 150 rows, 4 columns, 3 classes\n",
        [],
    )
    assert {path.name for path in (tmp_path / "compare").iterdir()} == {"compare.json", "compare.png", "compare.html"}


# -------------------------------------------------------------------- what is said of a table


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("scales", "standardize", "expected"),
    [
        ([1, 1, 1], [], None),
        ([1, 30, 1], [], "1 of 3 columns ('b') has 99.8% of the variance"),
        ([1e-140, 30e-140, 1e-140], [], "1 of 3 columns ('b') has 99.8% of the variance"),
        ([1, 4, 1], [], None),  # 8/9
        ([1, 30, 1], ["--standardize"], None),
        ([30, *[1] * 18, 30], [], "2 of 20 columns ('a', 't') have 99.0% of the variance"),
        ([30, 30, *[1] * 17, 30], [], None),
        ([0, 0, 0], [], None),
        ([0, 1, 0], [], "1 of 3 columns ('b') has 100.0% of the variance"),
    ],
)
def test_few_columns_with_nearly_all_the_variance_get_a_hint(scales, standardize, expected, capsys):
    signs = scipy.linalg.hadamard(32)[:, 1 : 1 + len(scales)]  # every column has mean 0 and variance 1
    np.savetxt(
        "t.csv", signs * scales, delimiter=",", header=",".join("abcdefghijklmnopqrst"[: len(scales)]), comments=""
    )
    assert run("t.csv", *QUICK, "--n-components", "1", "--reducers", "pca", *standardize) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if "variance" in line]
    end = ", so R2 hardly depends on the others: --standardize gives all columns the same weight."
    assert lines == ([] if expected is None else [expected + end])


@pytest.mark.usefixtures("_undrawn")
def test_the_table_is_read_with_the_options_that_were_given(monkeypatch):
    seen = []
    monkeypatch.setattr("skae.__main__.load", lambda *given, **named: seen.append((given, named)) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(
            *["t.csv", "--target", "y", "--drop", "a", "--drop", "-1", "--impute", "--separator", ";"],
            *["--decimal", ",", "--encoding", "latin-1", "--dates", "numbers"],
        )
    options = {"drop": ["a", "-1"], "impute": True, "separator": ";", "decimal": ",", "encoding": "latin-1"}
    assert seen == [(("t.csv",), {"target": "y", **options, "dates": "numbers"})]


def test_control_characters_of_names_are_not_printed(tmp_path, capsys):
    rows = "".join(f"{i % 7},{i % 11},c{ESCAPE}[31m{i % 2}\n" for i in range(30))
    (tmp_path / f"a{ESCAPE}[31m.csv").write_text(f"a{ESCAPE}[31m,b,y\n" + rows)
    assert run(f"a{ESCAPE}[31m.csv", "--target", "y", *QUICK, "--output", f"out{ESCAPE}[31m") == 0  # and is drawn
    captured = capsys.readouterr()
    assert captured.out.startswith(r"a\x1b[31m: 30 rows, 2 columns, 2 classes")
    assert run(f"none{ESCAPE}[31m.csv") == 2
    assert ESCAPE not in captured.out + captured.err + capsys.readouterr().err


# -------------------------------------------------------------------- mistakes


def spoil(tmp_path):
    """Files with something wrong in them."""
    (tmp_path / "gaps.csv").write_text("a,b\n1,2\n3,\n5,\n7,8\n9,1\n")
    (tmp_path / "few.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.parquet").write_text("neither this nor that")
    (tmp_path / "broken.npz").write_text("neither this nor that")
    (tmp_path / "sheet.xlsx").write_text("")
    (tmp_path / "constant.csv").write_text("a,b,y\n" + "".join(f"{i % 3},{i % 5},same\n" for i in range(30)))
    (tmp_path / "exits.py").write_text("raise SystemExit(3)")
    (tmp_path / "taken/compare.json").mkdir(parents=True)
    np.savez(tmp_path / "uneven.npz", X=np.eye(6), y=np.arange(5))


MISTAKES = [
    (["nowhere.csv"], "There is no file 'nowhere.csv', and no bundled data set of that name: breast_cancer"),
    (["."], "There is no file '.'"),
    (["sheet.xlsx"], "Cannot read 'sheet.xlsx': its ending is none of .csv"),
    (["empty.csv"], "'empty.csv'"),
    (["broken.parquet"], "Cannot read 'broken.parquet' as a table: "),
    (["broken.npz"], "Cannot read 'broken.npz' as arrays of numbers: "),
    (["uneven.npz"], "has 5 rows"),
    (["few.csv"], "Found array with 3 sample(s)"),
    (["table.csv", "--target", "price"], "There is no column 'price' in 'table', which has a, b, colour, bought."),
    (["iris", "--target", "0"], "The bundled set 'iris' has its own target: leave --target out."),
    (["gaps.csv", "--target", "b"], "Column 'b' has missing values"),
    (["gaps.csv", "--drop", "c"], "There is no column 'c' in 'gaps', which has a, b."),
    (["gaps.csv", "--encoding", "morse"], "There is no encoding 'morse'"),
    (
        ["iris", "--n-components", "5"],
        "n_components=5 is not a whole number from 1 to 4, the smaller of the numbers of columns and",
    ),
    (["iris", "--n-components", "0"], "n_components=0 is not a whole number from 1 to 4"),
    (["iris", "--reducers", "pca,mds"], "There is no reducer 'mds': choose from pca, autoencoder, "),
    (["iris", "--reducers", "no_package.UMAP"], "'no_package.UMAP' cannot be imported: No module named 'no_package'."),
    (["iris", "--reducers", "sklearn.decomposition.No"], "module 'sklearn.decomposition' has no attribute 'No'."),
    (["iris", "--reducers", "..PCA"], "The reducer '..PCA' cannot be imported: "),
    (["iris", "--reducers", "os.getcwd"], "'os.getcwd' is not a reducer: it is not a class."),
    (["iris", "--reducers", "sklearn.svm.SVC"], "'sklearn.svm.SVC' is not a reducer: it has no transform."),
    (["iris", "--reducers", "sklearn.decomposition.SparseCoder"], "cannot be made without arguments: "),
    (["iris", "--reducers", "pca", "table.csv"], "--reducers takes every name behind it: write 'table.csv' before it."),
    (["iris", "--reducers", "pca", "wine"], "--reducers takes every name behind it: write 'wine' before it."),
    (["iris", "--reducers", "exits.PCA"], "The reducer 'exits.PCA' cannot be imported: 3."),
    (["iris", "--reducers", "reducers_of_mine.Failing"], "Failing with n_components=2 failed in fold 1 of 2: no luck"),
    (
        ["table.csv", "--reducers", "semisupervised"],
        "it learns from a target, and there is none: pass one.",
    ),
    (["constant.csv", "--target", "y"], "y is 'same' in every row, so there is nothing to predict from X."),
    (["iris", "--reducers", ""], "--reducers is empty: choose from pca, autoencoder, "),
    (["iris", "--reducers", " , "], "--reducers is empty: choose from pca, autoencoder, "),
    (["iris", "--cv", "1"], "cv=1 is not a number of folds from 2 to 150, the number of rows."),
    (["iris", "--cv", "151"], "cv=151 is not a number of folds from 2 to 150"),
    (["iris", "--output", "table.csv"], "Cannot write to 'table.csv': File exists."),
    (["iris", "--output", "table.csv/below"], "Cannot write to 'table.csv/below': Not a directory."),
    (["iris", "--device", "gpu"], "device='gpu' is not a device: use 'cuda'."),
    (["iris", "--output", "taken"], f"Cannot write to {os.path.join('taken', 'compare.json')!r}: Is a directory."),  # noqa: PTH118
    (["iris", "--output", "a\0b"], r"Cannot write to 'a\x00b': "),
    (["iris", "--output", "x" * 300], "File name too long."),
    (["iris", "--hidden-layer-sizes", "4", "0"], "--hidden-layer-sizes takes whole numbers from 1 to 1000000."),
    (["iris", "--max-iter", "0"], "--max-iter takes whole numbers from 1 to 1000000000."),
    (["iris", "--max-iter", "9" * 4000], "--max-iter takes whole numbers from 1 to 1000000000."),
    (["iris", "--n-jobs", "0"], "--n-jobs takes a number of processes, or -1 for one for each core."),
    (["iris", "--repeats", "0"], "--repeats takes whole numbers from 1 to 1000000."),
    (["iris", "--groups", "x"], "--groups is for files: the bundled set 'iris' has no column of groups."),
    (["iris", "--scoring", "r3"], "There is no scorer 'r3': pass one of sklearn.metrics.get_scorer_names()"),
    (["iris", "--seed", "-1"], "--seed takes whole numbers from 0 to 4294967295."),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
@pytest.mark.usefixtures("mine", "table")
def test_a_mistake_gets_one_line_and_exit_status_2(arguments, sentence, tmp_path, capsys):
    spoil(tmp_path)
    quick = [] if "--n-components" in arguments else ["--n-components", "2"]
    assert run(*arguments, *(["--cv", "2"] if "--cv" not in arguments else []), *quick) == 2
    captured = capsys.readouterr()
    (line,) = without_bar(captured.err)
    assert line.startswith("skae compare: ")
    assert sentence in line
    assert captured.err.endswith(line + "\n")
    assert "Traceback" not in captured.err + captured.out
    assert not (tmp_path / "compare").exists()


def test_a_folder_that_cannot_be_written_to_is_found_before_anything_is_computed(table, monkeypatch, capsys):
    monkeypatch.setattr("skae.__main__.compare", lambda *_, **__: pytest.fail("was computed"))
    assert run(table, "--output", table) == 2
    assert capsys.readouterr().err == "skae compare: Cannot write to 'table.csv': File exists.\n"


@pytest.mark.parametrize("arguments", [[], ["compute"], ["compare", "iris", "--cv", "two"], ["compare", "--colour"]])
def test_a_command_line_that_makes_no_sense_shows_its_usage(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m skae")


def test_a_file_with_gaps_dates_and_categories_is_compared_as_it_is(tmp_path, capsys):
    days = [f"2020-01-{1 + i % 28:02d}" for i in range(60)]
    rows = [f"{i % 7 if i % 5 else ''},{days[i]},{'abc'[i % 3] if i % 4 else ''},{i % 2}\n" for i in range(60)]
    (tmp_path / "messy.csv").write_text("n,day,letter,y\n" + "".join(rows))
    options = ["--target", "y", "--cv", "2", "--n-components", "2", "--max-iter", "3", "--standardize"]
    names = ["PCA", "Autoencoder", "NeighborAutoencoder", "TableAutoencoder"]
    assert run("messy.csv", *options) == 0
    first, dates, gaps, around, *_ = capsys.readouterr().out.splitlines()
    assert first == "messy: 60 rows, 5 columns, 2 classes"
    assert dates == "Dates are read as days since 1970: 'day'."
    assert gaps == "27 missing values (empty) in 'n', 'letter'."
    assert around == (
        "Around missing values learn: Autoencoder, TableAutoencoder. Given means of the training rows in their place: "
        "PCA, NeighborAutoencoder. R2 is that of the values that are there. "
        "--impute fills them first, for all reducers."
    )
    rows = strict(tmp_path / "compare/compare.json")["rows"]
    assert [row["reducer"] for row in rows] == names
    assert run("messy.csv", *options, "--reducers", "pca", "table") == 0
    some = strict(tmp_path / "compare/compare.json")["rows"]
    assert "Around missing values learn: TableAutoencoder. Given" in capsys.readouterr().out
    assert run("messy.csv", *options, "--reducers", "neighbor") == 0  # beside PCA
    assert "\nGiven means of the training rows in their place: PCA, NeighborAutoencoder. R2" in capsys.readouterr().out
    assert [row["r2"] for row in some] == [rows[0]["r2"], rows[3]["r2"]]
    assert run("messy.csv", *options, "--impute") == 0
    out = capsys.readouterr().out
    assert "27 missing values (empty) filled in 'n', 'letter'." in out
    assert "Around missing values" not in out
    assert [row["reducer"] for row in strict(tmp_path / "compare/compare.json")["rows"]] == names


def test_the_table_tells_which_reducers_are_the_default(tmp_path, capsys):
    usual = ["PCA", "Autoencoder", "NeighborAutoencoder"]
    cells = {"plain": "{0}.5,{1}", "gaps": "{0}.5,", "texts": "{0}.5,{2}"}
    for name, form in cells.items():
        rows = [form.format(i % 7, i % 5, "abc"[i % 3]) if i % 3 else f"{i}.5,{2 * i % 5}" for i in range(40)]
        rows = [form.format(i % 7, i % 5, "abc"[i % 3]) for i in range(40)] if name == "texts" else rows
        (tmp_path / f"{name}.csv").write_text("a,b\n" + "\n".join(rows) + "\n")
    for arguments, expected in [
        (["plain.csv"], usual),
        (["gaps.csv", "--impute"], usual),
        (["gaps.csv"], [*usual, "TableAutoencoder"]),
        (["texts.csv"], [*usual, "TableAutoencoder"]),
        (["texts.csv", "--reducers", "pca"], ["PCA"]),
    ]:
        assert run(*arguments, *QUICK) == 0
        assert [row["reducer"] for row in strict(tmp_path / "compare/compare.json")["rows"]] == expected
        assert capsys.readouterr().out.count("Around missing values") == (arguments == ["gaps.csv"])

"""The command line: what it prints and writes, and one line for every mistake."""

import importlib
import json
import os
import re
import struct
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread
from sklearn.datasets import load_iris

import skae
from skae.__main__ import main

QUICK = ["--cv", "2", "--max-iter", "1", "--n-components", "2", "--hidden-layer-sizes", "4"]
ESCAPE = "\033"


@pytest.fixture(autouse=True)
def _quick(monkeypatch, tmp_path):
    """Time one call, not many, and write to a folder of the test."""
    monkeypatch.setattr(importlib.import_module("skae.evaluation"), "TIMED", 0.0)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def _undrawn(monkeypatch):
    """Draw no picture, where none is looked at."""
    monkeypatch.setattr("skae.__main__.write_picture", lambda *_: "no picture")


@pytest.fixture
def table(tmp_path):
    """A csv of 40 rows: two columns of numbers, one of texts and one of classes."""
    rng = np.random.default_rng(0)
    rows = [
        f"{a:.3f},{b:.3f},{'red' if a > 0 else 'blue'},{'yes' if b > 0 else 'no'}" for a, b in rng.normal(size=(40, 2))
    ]
    (tmp_path / "table.csv").write_text("a,b,colour,bought\n" + "\n".join(rows) + "\n")
    return "table.csv"


def run(*arguments):
    return main(["compare", *map(str, arguments)])


def strict(path):
    """JSON without the NaN and Infinity that Python alone understands."""

    def refuse(name):
        raise AssertionError(f"{name} is not JSON")

    return json.loads(path.read_text(), parse_constant=refuse)


def without_bar(text):
    """What is left of stderr without the progress bar."""
    return [line for line in re.split(r"[\r\n]+", text) if line and not re.match(r"compare: +\d+%", line)]


# -------------------------------------------------------------------- what is written


def test_a_process_writes_figures_and_a_picture(tmp_path):
    command = [sys.executable, "-m", "skae", "compare", "iris", "--cv", "2", "--max-iter", "1", "--output", "out/here"]
    here = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(skae.__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=here)
    assert done.returncode == 0
    assert without_bar(done.stderr) == []
    assert done.stdout.startswith("iris: 150 rows, 4 columns, 3 classes\n")
    assert done.stdout.splitlines()[-2:] == [os.path.join("out", "here", f"compare.{kind}") for kind in ("json", "png")]  # noqa: PTH118
    assert ESCAPE not in done.stdout
    content = strict(tmp_path / "out/here/compare.json")
    assert [(row["reducer"], row["n_components"]) for row in content["rows"]] == [("PCA", 2), ("Autoencoder", 2)]
    picture = (tmp_path / "out/here/compare.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", picture[16:24])
    assert imread(tmp_path / "out/here/compare.png").shape == (height, width, 4)


@pytest.mark.usefixtures("_undrawn")
def test_the_json_holds_rows_folds_and_settings(tmp_path, table):
    assert run(table, "--target", "bought", *QUICK, "--seed", "3", "--standardize") == 0
    content = strict(tmp_path / "compare" / "compare.json")
    assert content["skae"] == skae.__version__
    assert content["data"] == "table"
    assert content["shape"] == [40, 4]
    columns = {"reducer", "n_components", "r2", "linear", "knn", "fit_seconds", "rows_per_second"}
    assert [set(row) for row in content["rows"]] == [columns] * 2
    assert [set(fold) for fold in content["folds"]] == [columns | {"fold"}] * 4
    assert content["settings"] == {
        "command": "compare",
        "data": "table.csv",
        "target": "bought",
        "reducers": "pca,autoencoder",
        "n_components": [2],
        "hidden_layer_sizes": [4],
        "max_iter": 1,
        "cv": 2,
        "standardize": True,
        "device": "auto",
        "seed": 3,
        "output": "compare",
    }


@pytest.mark.usefixtures("_undrawn")
def test_the_figures_are_those_of_compare(tmp_path):
    assert run("iris", *QUICK, "--standardize", "--seed", "4") == 0
    X, y = load_iris(return_X_y=True)
    reducer = skae.Autoencoder(hidden_layer_sizes=(4,), max_iter=1)
    expected = skae.compare(X, y, [reducer], [2], cv=2, standardize=True, random_state=4)
    for found, row in zip(strict(tmp_path / "compare/compare.json")["rows"], expected.rows, strict=True):
        assert {k: found[k] for k in ("r2", "linear", "knn")} == {k: row[k] for k in ("r2", "linear", "knn")}


@pytest.mark.usefixtures("_undrawn")
def test_the_table_is_printed_with_what_its_columns_mean(table, capsys):
    assert run(table, "--target", "bought", *QUICK) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "table: 40 rows, 4 columns, 2 classes"
    assert out[1].split() == ["n_components", "reducer", "R2", "linear", "kNN", "fit", "s", "rows/s"]
    assert [line.split()[0] for line in out[2:4]] == ["2", "Autoencoder"]
    assert (
        out[5] == "R2: reconstruction; linear, kNN: accuracy of a linear model and of 5 nearest neighbours on the code"
    )


@pytest.mark.parametrize(
    ("data", "target"), [("linnerud", "3 targets of real numbers"), ("diabetes", "a target of real numbers")]
)
def test_targets_of_real_numbers_are_told(data, target, tmp_path, capsys):
    assert run(data, *QUICK) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[0].endswith(target)
    assert "linear, kNN: R2 of a linear model" in out
    assert all(row["linear"] < 1 for row in strict(tmp_path / "compare/compare.json")["rows"])


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
    names = [name for family in (skae.autoencoders, skae.boltzmann) for name in family.__all__ if "Regress" not in name]
    asked = ",".join(name.removesuffix("Autoencoder").lower() or "autoencoder" for name in names)
    assert run("digits", "--n-components", "2", "--cv", "2", "--max-iter", "1", "--reducers", asked) == 0
    rows = strict(tmp_path / "compare/compare.json")["rows"]
    assert [row["reducer"] for row in rows] == ["PCA", *names]
    assert all(isinstance(row[column], float) for row in rows for column in ("r2", "linear", "knn"))


@pytest.mark.usefixtures("_undrawn")
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ("pca", ["PCA"]),
        ("autoencoder", ["PCA", "Autoencoder"]),
        (" Autoencoder , PCA ", ["Autoencoder", "PCA"]),
        ("pca,pca", ["PCA"]),
    ],
)
def test_reducers_are_chosen_by_name(names, expected, table, tmp_path):
    assert run(table, *QUICK, "--reducers", names) == 0
    assert [row["reducer"] for row in strict(tmp_path / "compare/compare.json")["rows"]] == expected


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
    assert named == {"standardize": False, "random_state": 0, "verbose": 1}


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
    assert capsys.readouterr().out.splitlines()[-1] == (
        'compare.png was not drawn, because it needs matplotlib: pip install "skae[plot]"'
    )
    assert strict(tmp_path / "compare/compare.json")["rows"]
    assert not (tmp_path / "compare/compare.png").exists()


def test_the_picture_needs_no_display(table, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    assert run(table, *QUICK) == 0
    assert mpl.get_backend().lower() == "agg"


def test_an_interruption_ends_quietly(table, capsys, monkeypatch):
    def interrupt(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("skae.__main__.compare", interrupt)
    assert run(table) == 130
    assert capsys.readouterr().err == "\nskae compare: interrupted\n"


# -------------------------------------------------------------------- mistakes


def spoil(tmp_path):
    """Files with something wrong in them."""
    (tmp_path / "gaps.csv").write_text("a,b\n1,2\n3,\n5,\n7,8\n9,1\n")
    (tmp_path / "free.csv").write_text("a,note\n" + "".join(f"{i},note {i}\n" for i in range(60)))
    (tmp_path / "few.csv").write_text("a,b\n1,2\n3,4\n5,6\n")
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "broken.parquet").write_text("neither this nor that")
    (tmp_path / "broken.npz").write_text("neither this nor that")
    (tmp_path / "sheet.xlsx").write_text("")
    np.savez(tmp_path / "uneven.npz", X=np.eye(6), y=np.arange(5))


MISTAKES = [
    (["nowhere.csv"], "There is no file 'nowhere.csv', and no bundled data set of that name: breast_cancer"),
    (["."], "There is no file '.'"),
    (["sheet.xlsx"], "Cannot read 'sheet.xlsx': its ending is none of .csv"),
    (["empty.csv"], "Cannot read 'empty.csv' as a table: No columns to parse from file"),
    (["broken.parquet"], "Cannot read 'broken.parquet' as a table: "),
    (["broken.npz"], "Cannot read 'broken.npz' as arrays of numbers: "),
    (["uneven.npz"], "y has 5 rows, but X has 6."),
    (["few.csv"], "Found array with 3 sample(s)"),
    (["table.csv", "--target", "price"], "There is no column 'price' in 'table', which has a, b, colour, bought."),
    (["iris", "--target", "0"], "The bundled set 'iris' has its own target: leave --target out."),
    (["free.csv"], "Column 'note' can be read neither as numbers nor as categories (60 different texts in 60 rows"),
    (["gaps.csv"], "Column 'b' has 2 missing values: impute or drop them."),
    (["gaps.csv", "--target", "b"], "Column 'b' has 2 missing values: impute or drop them."),
    (
        ["iris", "--n-components", "5"],
        "n_components=5 is not a whole number from 1 to 4, the smaller of the numbers of columns and",
    ),
    (["iris", "--n-components", "0"], "n_components=0 is not a whole number from 1 to 4"),
    (["iris", "--reducers", "pca,umap"], "There is no reducer 'umap': choose from pca, autoencoder, "),
    (["iris", "--reducers", ""], "--reducers is empty: choose from pca, autoencoder, "),
    (["iris", "--reducers", " , "], "--reducers is empty: choose from pca, autoencoder, "),
    (["iris", "--cv", "1"], "k-fold cross-validation requires at least one train/test split"),
    (["iris", "--cv", "151"], "Cannot have number of splits n_splits=151 greater than the number of samples"),
    (["iris", "--output", "table.csv"], "Cannot write to 'table.csv': File exists."),
    (["iris", "--output", "table.csv/below"], "Cannot write to 'table.csv/below': Not a directory."),
    (["iris", "--device", "gpu"], "device='gpu' is not a device: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'."),
    (["iris", "--hidden-layer-sizes", "0"], "hidden_layer_sizes"),
    (["iris", "--max-iter", "0"], "The 'max_iter' parameter of Autoencoder must be"),
    (["iris", "--seed", "-1"], "Seed must be between 0 and"),
]


@pytest.mark.parametrize(("arguments", "sentence"), MISTAKES)
def test_a_mistake_gets_one_line_and_exit_status_2(arguments, sentence, table, tmp_path, capsys):
    spoil(tmp_path)
    quick = [] if "--n-components" in arguments else ["--n-components", "2"]
    assert run(*arguments, *(["--cv", "2"] if "--cv" not in arguments else []), *quick) == 2
    captured = capsys.readouterr()
    (line,) = without_bar(captured.err)
    assert line.startswith("skae compare: ")
    assert sentence in line
    assert captured.err.endswith(line + "\n")
    assert "Traceback" not in captured.err + captured.out
    assert not (tmp_path / "compare" / "compare.json").exists()


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

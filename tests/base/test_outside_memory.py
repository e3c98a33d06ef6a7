"""Tables outside memory: Parquet files, Arrow tables and chunks give what the same rows in an array give."""

import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
import torch
from contract.requirements import refuses
from contract.tables import CLASSES, rows_for, target_of
from sklearn.base import clone
from torch.utils.data import DataLoader, TensorDataset

from skae import (
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    FineTunedClassifier,
    NeighborAutoencoder,
    RecursiveAutoencoder,
    SemiSupervisedAutoencoder,
)
from skae.base.arrow import outside
from skae.engine import data
from skae.engine.data import Rows, Subset, Table, shuffled
from skae.engine.outside import InOrder, Outside
from skae.engine.train import held_rows

NAMES = ["a", "b", "c", "d"]
MODEL = Autoencoder(2, hidden_layer_sizes=(5,), max_iter=2, batch_size=30, random_state=0)


@pytest.fixture
def frame(iris, rng):
    return pd.DataFrame(rng.permutation(iris).astype(np.float32), columns=NAMES)


@pytest.fixture
def file(frame, tmp_path):
    """The frame as a file of four row groups."""
    return written(frame, tmp_path / "table.parquet")


def written(frame, path):
    frame.to_parquet(path, row_group_size=40)
    return path


def array(frame):
    """The rows of a frame in the order in memory that files are read in: sums of another order round otherwise."""
    return np.ascontiguousarray(frame)


@pytest.fixture
def never_whole(monkeypatch):
    """As if a table of some rows were larger than what is held: it is read in windows of 30 rows of float64."""
    monkeypatch.setattr(data, "RESIDENT_BYTES", 0)
    monkeypatch.setattr(Outside, "in_memory", lambda self: self)
    monkeypatch.setattr("skae.engine.outside.WINDOW_BYTES", 30 * 4 * 8)
    monkeypatch.setattr("skae.engine.outside.BLOCK", 4 * 64)


@pytest.fixture
def openings(monkeypatch):
    """How often a part of a file was read from its start on: a list with the row of each time."""
    found, block_of = [], Outside._block_of

    def counting(self, row):
        before = self._place
        block = block_of(self, row)
        found.extend([row] * (self._place is not before))
        return block

    monkeypatch.setattr(Outside, "_block_of", counting)
    return found


# ------------------------------------------------------------------ what X may be

OPENED = {
    "path": lambda file: file,
    "text": str,
    "file": pq.ParquetFile,
    "folder": lambda file: file.parent,
    "data set": lambda file: pyarrow.dataset.dataset(file),
    "filtered": lambda file: pyarrow.dataset.dataset(file).filter(pyarrow.dataset.field("a") > 0),
    "table": pq.read_table,
    "batch": lambda file: pq.read_table(file).combine_chunks().to_batches()[0],
}


@pytest.mark.parametrize("kind", OPENED)
def test_a_fit_equals_that_to_the_same_rows_in_an_array(frame, file, kind):
    X = OPENED[kind](file)
    rows = array(frame)
    one, two = clone(MODEL).fit(rows), clone(MODEL).fit(X)
    np.testing.assert_array_equal(two.transform(X), one.transform(rows))
    assert two.score(X) == one.score(rows)
    np.testing.assert_array_equal(two.feature_names_in_, NAMES)
    np.testing.assert_allclose(two.transform(frame), one.transform(rows), rtol=1e-4)


@pytest.mark.filterwarnings("ignore::skae.exceptions.DisconnectedGraphWarning")
@pytest.mark.parametrize("name", CLASSES)
def test_windows_change_nothing(name, iris, rng, tmp_path, never_whole):
    """Up to eight windows an epoch is shuffled as a whole. Five of them hold these rows."""
    estimator = clone(CLASSES[name])
    rows = rows_for(estimator, rng.permutation(iris) / iris.max())
    file, y = written(pd.DataFrame(rows, columns=NAMES), tmp_path / "table.parquet"), target_of(estimator, len(rows))
    weight = np.arange(len(rows)) % 3 + 1.0
    quick = estimator.set_params(max_iter=1, batch_size=min(estimator.batch_size, 60))
    one, two = (clone(quick).fit(X, y, sample_weight=weight) for X in (rows, file))
    np.testing.assert_array_equal(two.transform(file), one.transform(rows))


def test_codes_of_a_file_may_be_a_frame(file):
    H = clone(MODEL).set_output(transform="pandas").fit_transform(file)
    assert H.shape == (150, 2)
    assert list(H.columns) == ["autoencoder0", "autoencoder1"]


def test_held_out_rows_are_the_same_in_the_order_of_the_file(frame, file, never_whole, openings):
    model = clone(MODEL).set_params(early_stopping=True, validation_fraction=0.5)
    one, two = clone(model).fit(array(frame)), clone(model).fit(file)
    assert two.history_["validation_loss"] == pytest.approx(one.history_["validation_loss"], rel=1e-5)
    x = Table(Rows(outside(file), dtype=torch.float32, device=torch.device("cpu")))
    openings.clear()
    held = Subset(x, held_rows(x, torch.randperm(150)))
    _ = held[:75], held[75:]
    assert len(openings) == 4


def test_a_pass_reads_each_part_once(file, never_whole, openings):
    model = clone(MODEL).fit(file)
    for method in (model.transform, model.score_samples):
        openings.clear()
        method(file)
        assert openings == [0, 40, 80, 120]


# ------------------------------------------------------------------ columns


@pytest.mark.parametrize("order", ["dcba", "abc", "abce"])
def test_other_columns_are_refused_as_of_frames(frame, file, tmp_path, order):
    other = pd.DataFrame(np.ones((5, len(order)), np.float32), columns=list(order))
    other_file = written(other, tmp_path / "other.parquet")
    sentence = refuses(clone(MODEL).fit(frame), "transform", other)
    assert refuses(clone(MODEL).fit(file), "transform", other) == sentence
    assert refuses(clone(MODEL).fit(file), "transform", other_file) == sentence


def test_the_index_of_a_frame_is_no_column_and_numbers_are_no_names(frame, tmp_path):
    index = frame.set_index(pd.Index(np.arange(150) * 2, name="id"))
    assert outside(written(index, tmp_path / "index.parquet")).shape == (150, 4)
    numbers = pd.DataFrame(frame.to_numpy())
    assert not hasattr(clone(MODEL).fit(written(numbers, tmp_path / "numbers.parquet")), "feature_names_in_")


@pytest.mark.parametrize(
    ("columns", "dtype"),
    [
        ([pa.array([1, None, 0], pa.float32())], "float32"),
        ([pa.array([1, None, 0], pa.float32()), pa.array([True, None, False])], "float32"),
        ([pa.array([1, None, 0], pa.float32()), pa.array([1, None, 0], pa.int64())], "float64"),
        ([pa.array([1, None, 0], pa.int8())], "float64"),
        ([pa.array([1, None, 0], pa.decimal128(9, 2))], "float64"),
    ],
)
def test_numbers_of_every_type(columns, dtype):
    table = pa.table([*columns, pa.nulls(3)], [str(k) for k in range(len(columns) + 1)])
    rows = outside(table)[:]
    assert rows.dtype == dtype
    expected = np.full((3, len(columns) + 1), np.nan)
    expected[0, :-1], expected[2, :-1] = 1, 0
    np.testing.assert_array_equal(rows, expected)


def test_folders_tell_a_column_and_a_file_may_lack_one(tmp_path):
    for year, names in ((2020, ["a", "b"]), (2021, ["a"])):
        (tmp_path / f"year={year}").mkdir()
        written(pd.DataFrame(np.ones((3, len(names))), columns=names), tmp_path / f"year={year}" / "rows.parquet")
    rows = outside(tmp_path)[:]
    np.testing.assert_array_equal(rows, [[1, 1, 2020]] * 3 + [[1, np.nan, 2021]] * 3)


# ------------------------------------------------------------------ missing entries


@pytest.mark.parametrize("windows", [False, True])
def test_missing_entries_are_gaps(frame, tmp_path, windows, request):
    gaps = frame.mask(np.arange(600).reshape(150, 4) % 7 == 0)
    file = written(gaps, tmp_path / "gaps.parquet")
    if windows:
        request.getfixturevalue("never_whole")
    assert pq.read_table(file)["a"].null_count > 10
    one, two = clone(MODEL).fit(array(gaps)), clone(MODEL).fit(file)
    np.testing.assert_array_equal(two.transform(file), one.transform(array(gaps)))
    sentence = "Input X contains NaN in row 0, column 'a'"
    assert sentence in refuses(AdversariallyRegularizedAutoencoder(2, max_iter=1), "fit", file)
    assert sentence in refuses(AdversariallyRegularizedAutoencoder(2, max_iter=1).fit(frame), "transform", file)


# ------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    ("table", "sentence"),
    [
        ({"age": [1.0], "city": ["Rome"]}, "Column 'city' of X is of type string and not of numbers: encode it, drop"),
        ({"city": pa.array(["Rome"]).dictionary_encode()}, "'city' of X is of type dictionary<values=string"),
        ({"ages": [[1.0, 2.0]]}, "Column 'ages' of X is of type list<"),
        ({"a": pa.array([], pa.float32())}, "Found array with 0 sample(s) (shape=(0, 1)) while a minimum of 1"),
        ({}, "Found array with 0 feature(s) (shape=(0, 0)) while a minimum of 1"),
        (pa.table([[1.0], [2.0]], ["a", "a"]), "X has several columns named 'a': rename or drop them."),
    ],
)
def test_the_sentence(table, sentence):
    assert sentence in refuses(MODEL, "fit", table if isinstance(table, pa.Table) else pa.table(table))


def test_what_is_no_file_of_parquet(tmp_path):
    (tmp_path / "table.csv").write_text("a,b\n1,2\n")
    for path in (tmp_path / "table.csv", str(tmp_path / "table.csv")):
        told = refuses(MODEL, "fit", path)
        assert "table.csv', which cannot be read as Parquet: " in told
        assert told.endswith(". Read other files first, for example with pandas.read_csv.")
    for missing in (tmp_path / "nothing", str(tmp_path / "nothing.parquet")):
        with pytest.raises(FileNotFoundError, match=r"X is the path '.*nothing.*', but there is no such file"):
            clone(MODEL).fit(missing)
    assert "X is of type str" in refuses(MODEL, "fit", "some text")


def test_without_pyarrow_a_sentence_says_what_to_install(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ImportError, match=r'needs pyarrow to be read: pip install "skae\[tables\]"'):
        clone(MODEL).fit(file)


def test_what_needs_all_rows_at_once_refuses_many(file, frame, never_whole, monkeypatch):
    monkeypatch.setattr("skae.engine.outside.HELD_BYTES", 100 * 4 * 4)
    sentence = "X is outside memory, with 150 rows of 4 columns, but 150 of them are needed at once"
    assert sentence in refuses(NeighborAutoencoder(2, max_iter=1), "fit", file)
    assert sentence in refuses(Autoencoder(2, max_iter=1, solver="lbfgs"), "fit", file)
    with pytest.raises(TypeError, match="pass a list of trees"):
        RecursiveAutoencoder(2).fit(file)


# ------------------------------------------------------------------ rows in any order


@pytest.fixture
def large(rng, tmp_path):
    """A file of 1600 rows in 50 row groups, and its rows."""
    rows = rng.random((1600, 2), dtype=np.float32)
    pq.write_table(pa.table(list(rows.T.copy()), ["a", "b"]), tmp_path / "large.parquet", row_group_size=32)
    return outside(tmp_path / "large.parquet"), rows


INDICES = [
    slice(None),
    slice(15, 45),
    slice(1590, 5, -7),
    np.array([1599, 3, 3, 500, 0]),
    np.arange(1600) % 3 == 0,
    np.array([], dtype=int),
]


def test_a_table_is_indexed_like_an_array(large):
    X, rows = large
    for index in INDICES * 2:
        np.testing.assert_array_equal(X[index], rows[index])
    np.testing.assert_array_equal(X[:, [1]], rows[:, [1]])
    np.testing.assert_array_equal(np.asarray(X, dtype=float), rows.astype(float))
    for wrong in ([1600], [-1]):
        with pytest.raises(IndexError, match="are not among the rows 0 to 1599"):
            X[wrong]


def test_slices_of_rows_in_another_order(large, rng, monkeypatch):
    monkeypatch.setattr("skae.engine.outside.WINDOW_BYTES", 300 * 8)
    X, rows = large
    order = rng.integers(0, 1600, 700)
    ordered = InOrder(X, order)
    for index in (slice(0, 250), slice(250, 650), slice(650, 700), slice(0, 10), slice(0, 700, 9), np.array([5, 1])):
        np.testing.assert_array_equal(ordered[index], rows[order[index]])


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_an_epoch_reads_each_part_eight_times_and_mixes_all_of_them(large, monkeypatch, openings, share):
    """Forty windows hold the file. One pass over all parts for each of them would open 2000 parts."""
    monkeypatch.setattr("skae.engine.outside.WINDOW_BYTES", 40 * 8)
    X, rows = large
    rng = torch.Generator().manual_seed(0)
    source = Table(Rows(X, dtype=torch.float32, device=torch.device("cpu")))
    source = source if share == 1.0 else Subset(source, torch.randperm(1600, generator=rng)[:960])
    n = len(source)
    order = torch.randperm(n, generator=rng)
    epoch = shuffled(source, order)
    seen = torch.cat([epoch[start : start + 10].x for start in range(0, n, 10)]).numpy()
    assert sorted(seen[:, 0]) == sorted(source[:].x[:, 0].numpy())
    assert len(openings) - 50 <= 1.5 * 8 * 50
    part = {value: row // 32 for row, value in enumerate(rows[:, 0].tolist())}
    parts = np.array([part[value] for value in seen[:, 0].tolist()])
    eighths = np.array_split(parts, 8)
    assert all(len(np.unique(some)) >= 0.8 * 50 for some in eighths)
    window = parts[:40]
    assert len(np.unique(window)) < 22
    assert not (np.diff(window) >= 0).all()


def test_few_windows_and_rows_that_are_not_shuffled_stay_as_they_are(large, monkeypatch):
    X, _ = large
    monkeypatch.setattr("skae.engine.outside.WINDOW_BYTES", 200 * 8)
    assert X.sequence(np.random.default_rng(0).permutation(1600)) is None
    monkeypatch.setattr("skae.engine.outside.WINDOW_BYTES", 199 * 8)
    assert X.sequence(np.random.default_rng(0).permutation(1600)) is not None
    assert X.sequence(np.arange(1600)) is None


# ------------------------------------------------------------------ chunks

CUTS = [slice(0, 60), slice(60, 100), slice(100, 150)]


def in_chunks(kind, frame):
    """An iterable of the chunks of a frame."""
    if kind == "generator":
        return (frame[cut] for cut in CUTS)
    if kind == "loader":
        return DataLoader(TensorDataset(torch.tensor(array(frame)), torch.arange(150)), batch_size=50)
    return pa.RecordBatchReader.from_batches(
        pa.Schema.from_pandas(frame), [pa.RecordBatch.from_pandas(frame[cut]) for cut in CUTS]
    )


@pytest.mark.parametrize("kind", ["generator", "loader", "reader"])
def test_one_pass_over_chunks_is_a_loop_of_partial_fit(frame, kind):
    cuts = [slice(start, start + 50) for start in (0, 50, 100)] if kind == "loader" else CUTS
    rows = array(frame) if kind == "loader" else frame
    loop = clone(MODEL)
    for cut in cuts:
        loop.partial_fit(rows[cut])
    for model in (clone(MODEL), clone(MODEL).fit(frame)):  # a second fit starts anew
        model.fit(in_chunks(kind, frame))
        np.testing.assert_array_equal(model.transform(rows), loop.transform(rows))
        assert model.history_ == loop.history_
        assert model.n_iter_ == 3


def test_warm_start_goes_on_with_chunks(frame):
    loop = clone(MODEL).partial_fit(frame).partial_fit(frame[:50])
    model = clone(MODEL).set_params(warm_start=True).fit(iter([frame])).fit(iter([frame[:50]]))
    np.testing.assert_array_equal(model.transform(frame), loop.transform(frame))


def test_chunks_may_bring_their_labels(frame):
    few = np.arange(150) % 4 - 1
    model = SemiSupervisedAutoencoder(2, hidden_layer_sizes=(4,), max_iter=1, random_state=0)
    loop = clone(model)
    for cut in (slice(0, 90), slice(90, 150)):
        loop.partial_fit(frame[cut], few[cut])
    model.fit([rows, y] for rows, y in ((frame[:90], few[:90]), (frame[90:], few[90:])))
    np.testing.assert_array_equal(model.predict(frame), loop.predict(frame))


def test_chunks_that_are_refused(frame):
    missing = frame.copy()
    missing.iloc[3, 2] = np.inf
    fitted = clone(MODEL).fit(frame)
    assert "In chunk 1 of X: Input X contains infinity in row 3, column 'c'" in refuses(
        fitted, "fit", iter([frame, missing])
    )
    assert "list_iterator, gives no chunk" in refuses(fitted, "fit", iter([]))
    assert "let each chunk be a pair (X, y)" in refuses(MODEL, "fit", iter([frame]), np.ones(150))
    assert "sample_weight cannot be cut" in refuses(MODEL, "fit", iter([frame]), sample_weight=np.ones(150))
    assert "Chunk 0 of X has 3 parts" in refuses(MODEL, "fit", iter([(frame, None, None)]))
    assert "FineTunedClassifier needs all rows at once" in refuses(FineTunedClassifier(MODEL), "fit", iter([frame]))
    for method in ("transform", "partial_fit"):
        assert "list_iterator and gives chunks, which only fit takes" in refuses(fitted, method, iter([frame]))
    assert "X is of type set" in refuses(MODEL, "fit", {1.0, 2.0})


def test_a_list_of_rows_is_a_table(frame):
    rows = frame.to_numpy().astype(float)
    expected = clone(MODEL).fit(rows).transform(rows)
    np.testing.assert_array_equal(clone(MODEL).fit(rows.tolist()).transform(rows), expected)
    np.testing.assert_array_equal(clone(MODEL).fit(list(rows)).transform(rows), expected)

"""Sources: the same rows from whatever holds them, and nothing changed on the way."""

import mmap

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from skae.engine import data as _data
from skae.engine.data import (
    Batch,
    Rows,
    Subset,
    Table,
    chunks,
    resolve_device,
    to_tensor,
)
from skae.engine.finite import find_nonfinite
from skae.engine.frame import Frame

CPU = torch.device("cpu")
N, D = 23, 5


def table(seed=0):
    """Numbers that float32 holds exactly, some of them zero."""
    return np.random.default_rng(seed).integers(-8, 9, (N, D)) / 4.0


def mapped(X, path, mode):
    written = np.memmap(path / "x.bin", X.dtype, "w+", shape=X.shape)
    written[:] = X
    written.flush()
    return np.memmap(path / "x.bin", X.dtype, mode, shape=X.shape)


def read_only(X):
    X = X.copy()
    X.flags.writeable = False
    return X


def packed(X):
    """A field of records of 41 bytes: strides that are no multiple of a float."""
    records = np.zeros(N, dtype=[("key", "i1"), ("x", "f8", (D,))])
    records["x"] = X
    return records["x"]


KINDS = {
    "float64": lambda X, path: X,
    "float32": lambda X, path: X.astype(np.float32),
    "columns first": lambda X, path: np.asfortranarray(X),
    "read-only": lambda X, path: read_only(X),
    "backwards": lambda X, path: X[::-1, ::-1].copy()[::-1, ::-1],
    "every second column": lambda X, path: np.repeat(X, 2, axis=1)[:, ::2],
    "byte-swapped": lambda X, path: X.astype(X.dtype.newbyteorder()),
    "packed records": lambda X, path: packed(X),
    "CSR matrix": lambda X, path: sparse.csr_matrix(X),
    "CSR array, float32": lambda X, path: sparse.csr_array(X.astype(np.float32)),
    "memory map, r": lambda X, path: mapped(X, path, "r"),
    "memory map, r+": lambda X, path: mapped(X, path, "r+"),
    "memory map, c": lambda X, path: mapped(X, path, "c"),
    "memory map seen as an array, float32": lambda X, path: np.asarray(mapped(X.astype(np.float32), path, "r")),
    "tensor": lambda X, path: torch.from_numpy(X.copy()),
    "tensor, float32": lambda X, path: torch.from_numpy(X).float(),
    "tensor, columns first": lambda X, path: torch.from_numpy(X.T.copy()).t(),
}
INDICES = {
    "all": slice(None),
    "slice": slice(3, 11),
    "empty slice": slice(4, 4),
    "index": torch.tensor([5, 0, 22, 5]),
    "empty index": torch.tensor([], dtype=torch.long),
}


def dense(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


@pytest.mark.parametrize("resident", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_rows_are_the_same_whatever_holds_them(kind, resident, tmp_path):
    X, offset = table(), np.linspace(-1, 1, D)
    held = KINDS[kind](X, tmp_path)
    for dtype in (torch.float32, torch.float64):
        for shift, scale in ((None, 1.0), (offset, 4.0), (offset, np.arange(1.0, D + 1))):
            frame = None if shift is None else Frame(shift, scale)
            rows = Rows(held, frame, dtype=dtype, device=CPU, resident=resident)
            assert len(rows) == N
            expected = torch.from_numpy(X if shift is None else (X - offset) / scale)
            rounding = 1e-6 if dtype == torch.float32 or "float32" in kind else 1e-15
            for index in INDICES.values():
                x = rows[index]
                assert (x.dtype, x.device, rows.device) == (dtype, CPU, CPU)
                tolerance = 0.0 if shift is None else rounding
                torch.testing.assert_close(x.double(), expected[index], rtol=0.0, atol=tolerance)
    assert np.array_equal(dense(held), X)


@pytest.mark.parametrize("kind", ["float64", "float32", "CSR matrix", "tensor", "memory map, c"])
def test_resident_rows_are_a_copy_and_equal_lazy_ones(kind, tmp_path, monkeypatch):
    held = KINDS[kind](table(), tmp_path)
    options = {"frame": Frame(np.ones(D), 3.0), "dtype": torch.float64, "device": CPU}
    resident = Rows(held, **options, resident=True)
    monkeypatch.setattr(_data, "RESIDENT_BYTES", N * D * 8 - 1)
    lazy = Rows(held, **options, resident=True)
    assert isinstance(resident.X, torch.Tensor)
    assert lazy.X is held
    for index in INDICES.values():
        assert torch.equal(resident[index], lazy[index])
    before = lazy[:]
    resident.X.zero_()
    assert torch.equal(lazy[:], before)


def test_centring_comes_before_the_cast_to_float32():
    small = table()
    rows = Rows(1e9 + small, Frame(np.full(D, 1e9)), dtype=torch.float32, device=CPU)
    np.testing.assert_allclose(rows[:], small, atol=1e-6)
    np.testing.assert_allclose(rows[torch.arange(N)], small, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_changes_to_a_copy_on_write_map_survive_reading(dtype, tmp_path):
    X = mapped(table(), tmp_path, "c")
    X[2] = 77.0
    rows = Rows(X, dtype=dtype, device=CPU)
    for index in (slice(None), torch.arange(N)):
        rows[index]
        assert (rows[index][2] == 77.0).all()
    assert find_nonfinite(X) is None
    assert (X[2] == 77.0).all()


def test_changes_to_a_shared_map_survive_reading(tmp_path):
    X = mapped(table(), tmp_path, "r+")
    X[2] = 77.0
    rows = Rows(X, dtype=torch.float64, device=CPU)
    rows[:]
    assert (rows[torch.tensor([2])] == 77.0).all()
    assert (np.fromfile(tmp_path / "x.bin").reshape(N, D)[2] == 77.0).all()


def test_anonymous_memory_is_no_memory_map_to_give_back():
    X = np.frombuffer(mmap.mmap(-1, N * D * 8)).reshape(N, D)
    X[:] = table()
    assert find_nonfinite(X) is None
    assert np.array_equal(Rows(X, dtype=torch.float64, device=CPU)[:], table())
    assert np.array_equal(X, table())


@pytest.mark.parametrize("kind", ["float64", "columns first", "tensor"])
def test_a_tensor_shares_memory_where_that_is_safe(kind, tmp_path):
    held = KINDS[kind](table(), tmp_path)
    tensor = to_tensor(held)
    held[1, 2] = 55.0
    assert tensor[1, 2] == 55.0


# ---------------------------------------------------------------- tables and subsets


def test_a_table_hands_out_weights_and_targets_with_rows():
    X, w, y = torch.from_numpy(table()), torch.arange(N), torch.arange(N) * 10
    source = Table(Rows(X, dtype=torch.float64, device=CPU), w, y)
    assert len(source) == N
    for index in INDICES.values():
        batch = source[index]
        assert isinstance(batch, Batch)
        assert all(map(torch.equal, batch, (X[index], w[index], y[index])))
    bare = Table(Rows(X, dtype=torch.float64, device=CPU))[:]
    assert bare.weight is None
    assert bare.y is None


@pytest.mark.parametrize("emphasis", [None, 1.0 + np.arange(6).reshape(3, 2)])
@pytest.mark.parametrize("weight", [None, np.array([2.0, 0.0, 0.5])])
def test_an_entry_counts_as_its_row_does_times_its_emphasis(weight, emphasis):
    given = [None if array is None else torch.from_numpy(array) for array in (weight, emphasis)]
    found = Batch(torch.zeros(3, 2), weight=given[0], emphasis=given[1]).entry_weight
    if weight is None and emphasis is None:
        assert found is None
    elif emphasis is None:
        assert np.array_equal(found, weight)
    else:
        assert np.array_equal(found, emphasis * (1.0 if weight is None else weight[:, None]))


def test_a_subset_has_its_rows_in_its_order():
    X = torch.from_numpy(table())
    picked = torch.tensor([7, 3, 3, 20])
    subset = Subset(Table(Rows(X, dtype=torch.float64, device=CPU), torch.arange(N)), picked)
    assert len(subset) == 4
    assert torch.equal(subset[:].x, X[picked])
    assert torch.equal(subset[1:3].weight, picked[1:3])
    assert torch.equal(subset[torch.tensor([3, 0])].x, X[[20, 7]])
    nested = Subset(subset, torch.tensor([2, 0]))
    assert torch.equal(nested[:].weight, torch.tensor([3, 7]))
    assert torch.equal(subset.weight, picked)
    assert torch.equal(nested.weight, torch.tensor([3, 7]))
    assert Subset(Table(Rows(X, dtype=torch.float64, device=CPU)), picked).weight is None


@pytest.mark.parametrize("weight", [None, torch.arange(N)], ids=["plain", "weights"])
@pytest.mark.parametrize("size", [0, 2**24], ids=["in place", "copied"])
def test_rows_in_another_order_are_those_that_the_order_names(size, weight, monkeypatch):
    monkeypatch.setattr(_data, "SMALL_BYTES", size)
    X = torch.from_numpy(table())
    whole = Table(Rows(X, dtype=torch.float64, device=CPU), weight, y=2 * X)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    some = Subset(whole, torch.arange(0, N, 2))
    for source, rows in ((whole, order), (some, 2 * order[order < len(some)])):
        found = source.in_order(order[order < len(source)])[3:8]
        assert torch.equal(found.x, X[rows[3:8]])
        assert torch.equal(found.y, 2 * X[rows[3:8]])
        assert found.weight is None if weight is None else torch.equal(found.weight, rows[3:8])
    assert isinstance(whole.in_order(order), Subset) == (size == 0)


@settings(max_examples=50, deadline=None)
@given(n=st.integers(0, 50), d=st.integers(0, 12), elements=st.integers(1, 60))
def test_chunks_cover_the_rows_once_and_stay_small(n, d, elements):
    parts = list(chunks(n, d, elements))
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(n))
    for part in parts:
        assert part.stop - part.start == 1 or (part.stop - part.start) * d <= elements


# ---------------------------------------------------------------- values that are no numbers


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "packed records"])
def test_the_first_value_that_is_not_finite_is_found(kind, value, tmp_path, monkeypatch):
    monkeypatch.setattr(_data.chunks, "__defaults__", (2 * D,))  # two rows at a time
    X = table()
    assert find_nonfinite(KINDS[kind](X, tmp_path)) is None
    X[17, 3] = value
    X[19, 0] = np.nan
    row, column, found = find_nonfinite(KINDS[kind](X, tmp_path))
    assert (row, column) == (17, 3)
    np.testing.assert_equal(found, value)


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_matrix, torch.from_numpy], ids=["array", "CSR", "tensor"])
def test_a_sum_that_overflows_is_not_mistaken(hold):
    assert find_nonfinite(hold(np.full((N, D), 3e38, np.float32))) is None
    assert find_nonfinite(hold(np.full((N, D), 1e308))) is None


@pytest.mark.parametrize("hold", [np.asarray, sparse.csr_matrix, torch.from_numpy], ids=["array", "CSR", "tensor"])
def test_infinities_of_both_signs_do_not_cancel(hold):
    X = table()
    X[4, 1], X[4, 2] = np.inf, -np.inf
    assert find_nonfinite(hold(X)) == (4, 1, np.inf)


# ---------------------------------------------------------------- devices


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_a_machine_without_accelerator_computes_on_its_processor(name, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert resolve_device(name, "float32") == CPU


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("banana", "is not a device: use"),
        ("", "is not a device: use"),
        ("cuda:x", "is not a device: use"),
        ("meta", "is not supported: use"),
        ("cuda", "this machine has none: use"),
        ("cuda:3", "this machine has none: use"),
        ("cuda:1000", "use"),
        ("mps", "this machine has none: use"),
    ],
)
def test_a_device_that_is_not_there_is_told_with_its_cure(name, sentence, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(ValueError, match=f"device='{name}' .*{sentence}"):
        resolve_device(name, "float32")


def test_accelerators_are_preferred_and_those_without_float64_refuse_it(monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert resolve_device("auto", "float32") == torch.device("mps")
    assert resolve_device("auto", "float64") == CPU
    with pytest.raises(ValueError, match="device='mps' has no float64: use"):
        resolve_device("mps", "float64")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("auto", "float64") == torch.device("cuda")
    assert resolve_device("cuda:1", "float64") == torch.device("cuda:1")

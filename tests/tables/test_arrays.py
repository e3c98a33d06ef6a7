"""Tables in .npy and .npz files, and headers that promise what the file does not hold."""

import contextlib
import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from skae.tables import load

ROWS = [[1.5, 2.0, 3.0], [4.0, 5.5, 6.0], [7.0, 8.0, 9.5]]


def test_an_npy_of_two_dimensions_is_a_table(save):
    data = load(save("a.npy", np.array(ROWS)))
    np.testing.assert_array_equal(data.X, ROWS)
    assert (data.y, data.name, data.feature_names, data.image_shape) == (None, "a", ["0", "1", "2"], None)


@pytest.mark.parametrize("dtype", [np.uint8, bool, np.float32])
def test_an_npy_of_three_dimensions_is_of_pictures(dtype, save):
    pictures = np.random.default_rng(0).integers(0, 2, (4, 3, 5)).astype(dtype)
    data = load(save("a.npy", pictures))
    assert data.image_shape == (3, 5)
    assert data.X.dtype == float
    np.testing.assert_array_equal(data.X.reshape(4, 3, 5), pictures)


def test_pictures_without_one_pixel_are_no_pictures(save):
    data = load(save("a.npy", np.arange(60.0).reshape(4, 3, 5)), "0")
    assert data.image_shape is None
    assert data.X.shape == (4, 14)


def test_a_column_of_an_npy_may_be_the_target(save):
    data = load(save("a.npy", np.array(ROWS)), "-1")
    np.testing.assert_array_equal(data.y, [3.0, 6.0, 9.5])
    np.testing.assert_array_equal(data.X, np.array(ROWS)[:, :2])
    assert data.feature_names == ["0", "1"]


@pytest.mark.parametrize("table", ["X", "data", "images", "anything"])
@pytest.mark.parametrize("target", ["y", "target", "labels"])
def test_the_arrays_of_an_npz_go_by_their_names(table, target, save):
    data = load(save("a.npz", **{target: np.array([0, 1, 0]), table: np.array(ROWS)}))
    np.testing.assert_array_equal(data.X, ROWS)
    np.testing.assert_array_equal(data.y, [0, 1, 0])


def test_the_best_known_name_is_the_table(save):
    data = load(save("a.npz", other=np.zeros((3, 2)), X=np.array(ROWS)))
    np.testing.assert_array_equal(data.X, ROWS)


def test_a_target_may_be_another_array_or_a_column(save):
    path = save("a.npz", X=np.array(ROWS), sex=np.array(["f", "m", "f"]), y=np.array([1, 2, 3]))
    assert load(path, "sex").y.tolist() == ["f", "m", "f"]
    assert load(path).y.tolist() == [1, 2, 3]
    data = load(path, "0")
    assert data.y.tolist() == [1.5, 4.0, 7.0]
    assert data.X.shape == (3, 2)


def test_a_target_of_one_column_becomes_flat(save):
    assert load(save("a.npz", X=np.array(ROWS), y=np.array([[1], [2], [1]]))).y.tolist() == [1, 2, 1]


def test_an_npz_without_a_target_has_none(save):
    assert load(save("a.npz", images=np.zeros((4, 2, 3)))).y is None


def test_missing_values_of_arrays_stay_and_are_told(save):
    X = np.array([[1.0, np.nan], [2.0, np.nan], [3.0, 1.0]])
    data = load(save("a.npy", X))
    np.testing.assert_array_equal(data.X, X)
    assert data.notes == ["2 missing values in '1'."]


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.arange(3.0), r"has shape \(3,\), and no rows and columns"),
        (np.float64(1), r"has shape \(\), and no rows and columns"),
        (np.zeros((0, 3)), r"has shape \(0, 3\), so it is empty"),
        (np.array([["a", "b"]] * 3), "holds <U1, not numbers"),
        (np.ones((3, 2), complex), "holds complex128, not numbers"),
        (np.array([["2020-01-01"]] * 3, dtype="M8[D]"), r"holds datetime64\[D\], not numbers"),
        (np.zeros((3, 2), [("a", float)]), r"holds \[\('a', '<f8'\)\], not numbers"),
        (np.array([[1, None]] * 3), "it holds Python objects, which are not opened"),
    ],
)
def test_arrays_that_are_no_tables_are_refused(array, reason, save):
    with pytest.raises(ValueError, match=rf"^Cannot read '.*a.npy' as arrays of numbers: .*{reason}\.$"):
        load(save("a.npy", array))
    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npz' as arrays of numbers: .*\.$"):
        load(save("a.npz", X=array))


def test_a_target_that_is_not_there_lists_the_columns_of_an_npz(save):
    with pytest.raises(ValueError, match=r"^There is no column 'sex' in 'a', which has 0, 1, 2\.$"):
        load(save("a.npz", X=np.array(ROWS)), "sex")


@pytest.mark.parametrize(
    ("y", "sentence"),
    [
        (np.array([1, 2]), r"^The target 'y' has 2 rows, and the table has 3\.$"),
        (np.zeros((3, 2, 2)), r"^The target 'y' has shape \(3, 2, 2\), and not one or more numbers a row\.$"),
        (
            np.array([1.0, np.nan, 2]),
            r"^Column 'y' has missing values in the target \(1 of 3: the first in row 2\): delete",
        ),
        (np.array([[1.0, 2], [1, 2], [np.nan, 2]]), r"^Column 'y' has missing values in the target \(1 of 3"),
        (np.array([1.0, np.inf, 2]), r"^Column 'y' has infinite values \(inf in row 2\)"),
        (np.array([1j, 2, 3]), r"^Cannot read .*array 'y' holds complex128, not numbers"),
    ],
)
@pytest.mark.parametrize("impute", [False, True])
def test_a_target_that_does_not_fit_is_refused(y, sentence, impute, save):
    with pytest.raises(ValueError, match=sentence):
        load(save("a.npz", X=np.array(ROWS), y=y), impute=impute)


def test_a_target_of_bytes_is_of_texts(save):
    assert load(save("a.npz", X=np.array(ROWS), y=np.array([b"no", b"yes", b"no"]))).y.tolist() == ["no", "yes", "no"]


def test_missing_values_of_arrays_are_filled_with_the_median(save):
    X = np.array([[1.0, np.nan], [2.0, 5.0], [np.nan, 6.0], [4.0, 10.0]])
    data = load(save("a.npy", X), impute=True)
    np.testing.assert_array_equal(data.X, [[1, 6], [2, 5], [2, 6], [4, 10]])
    assert data.notes == ["2 missing values filled in '0', '1'."]
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match=r"^Column '1' has no value \(in any row\): leave the column out with --drop"):
        load(save("a.npy", X), impute=True)
    np.testing.assert_array_equal(load(save("a.npy", X), drop=["1"], impute=True).X, [[1], [2], [2], [4]])


def test_columns_of_arrays_are_dropped_by_number(save):
    pictures = np.arange(24.0).reshape(4, 2, 3)
    data = load(save("a.npz", X=pictures, y=np.arange(4)), drop=["0", "-1"])
    np.testing.assert_array_equal(data.X, pictures.reshape(4, 6)[:, 1:5])
    assert data.feature_names == ["1", "2", "3", "4"]
    assert data.image_shape is None
    assert data.y.tolist() == [0, 1, 2, 3]


# -------------------------------------------------------------------- forged files


def npy(shape="(3, 4)", dtype="'<f8'", content=bytes(96), version=(1, 0), after=""):
    """An .npy file with a header of any content."""
    header = f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}{after}".encode()
    return (
        b"\x93NUMPY" + bytes(version) + struct.pack("<H" if version == (1, 0) else "<I", len(header)) + header + content
    )


def archive(compression=zipfile.ZIP_STORED, **members):
    """An .npz file with members of any content."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", compression) as file:
        for name, member in members.items():
            file.writestr(f"{name}.npy", member)
    return content.getvalue()


def entry(content):
    """Where the last entry of an archive's directory begins."""
    return content.rfind(b"PK\x01\x02")


FORGED = {
    "800 TB": npy("(1000000000, 100000)"),
    "more than an index holds": npy("(99999999999999999999, 4)"),
    "nothing, of endless rows": npy("(0, 99999999999999999999)"),
    "a negative length": npy("(-1, 4)"),
    "two negative lengths": npy("(-3, -4)"),
    "truth values": npy("(True, 4)"),
    "half a row": npy("(3, 4.5)"),
    "100 dimensions": npy(f"({'1, ' * 100})"),
    "no tuple": npy("'x'"),
    "an open bracket": npy("(3, 4"),
    "many brackets": npy("(" * 500),
    "objects": npy(dtype="'|O'"),
    "words of no length": npy(dtype="'<U0'"),
    "bytes of no length": npy(dtype="'|V0'"),
    "words without end": npy(dtype="'<U999999999999'"),
    "an unknown type": npy(dtype="'nonsense'"),
    "one byte too few": npy(content=bytes(95)),
    "version 3": npy(version=(3, 0)),
    "version 9": npy(version=(9, 0)),
    "a long header": npy(version=(2, 0), after=" " * 60000),
    "an endless header": b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b"{",
}


@pytest.mark.parametrize("content", FORGED.values(), ids=FORGED)
def test_a_forged_header_is_refused_in_one_sentence(content, write):
    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npy' as arrays of numbers: [^\n]+\.$"):
        load(write("a.npy", content))
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        with pytest.raises(ValueError, match=r"^Cannot read '.*a.npz' as arrays of numbers: [^\n]+\.$"):
            load(write("a.npz", archive(compression, X=content)))


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_header_that_holds_its_promise_is_read(compression, write):
    content = npy(content=np.arange(12.0).tobytes(), version=(2, 0))
    np.testing.assert_array_equal(load(write("a.npy", content)).X, np.arange(12.0).reshape(3, 4))
    np.testing.assert_array_equal(
        load(write("a.npz", archive(compression, X=content))).X, np.arange(12.0).reshape(3, 4)
    )


def test_arrays_that_nobody_asked_for_are_not_loaded(write):
    others = dict(zip("abcdefghijklmnopqrstuvw", FORGED.values(), strict=False))
    assert load(write("a.npz", archive(**others, X=npy()))).X.shape == (3, 4)
    assert load(write("a.npz", archive(anything=npy(), **others))).X.shape == (3, 4)


@pytest.mark.parametrize("field", ["<I20", "<I24"])
@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_size_in_the_directory_that_the_file_cannot_hold_is_refused(field, compression, write):
    content = bytearray(archive(compression, X=npy("(23170, 23170)")))
    at = entry(content) + int(field[2:])
    content[at : at + 4] = struct.pack("<I", 2**32 - 2)
    with pytest.raises(
        ValueError, match=r"array 'X.npy' is said to have|the header of array 'X' promises 4294790|Overlapped"
    ):
        load(write("a.npz", bytes(content)))


def test_an_encrypted_array_is_named(write):
    content = bytearray(archive(X=npy(), y=npy("(3,)", content=bytes(24))))
    content[entry(content) + 8] |= 1
    with pytest.raises(ValueError, match=r"as arrays of numbers: array 'y.npy' is encrypted\.$"):
        load(write("a.npz", bytes(content)))
    assert load(write("a.npz", bytes(content)), "0").X.shape == (3, 3)


@pytest.mark.parametrize("seed", range(50))
@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_damaged_files_raise_value_errors_only(kind, seed, write):
    rng = np.random.default_rng(seed)
    y = npy("(3,)", content=bytes(24))
    content = bytearray(npy() if kind == "npy" else archive(zipfile.ZIP_DEFLATED, X=npy(), y=y))
    for at in rng.integers(len(content), size=3):
        content[at] = rng.integers(256)
    with contextlib.suppress(ValueError):
        assert load(write("a.npz", bytes(content))).X.size <= 12


def test_a_pickle_is_not_opened(write):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("was opened",))

    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npy' as arrays of numbers"):
        load(write("a.npy", pickle.dumps(Trap())))


def test_an_archive_cut_short_is_refused(save, write):
    path = save("whole.npz", X=np.random.default_rng(0).normal(size=(50, 20)))
    with open(path, "rb") as file:  # noqa: PTH123
        content = file.read()
    with pytest.raises(ValueError, match=r"^Cannot read '.*a.npz' as arrays of numbers"):
        load(write("a.npz", content[: len(content) // 2]))
    damaged = bytearray(content)
    damaged[2000:2100] = bytes(100)
    with pytest.raises(ValueError, match=r"^Cannot read '.*b.npz' as arrays of numbers"):
        load(write("b.npz", bytes(damaged)))

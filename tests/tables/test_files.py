"""Files: what is unpacked and decoded, and what is said of those that cannot be read."""

import bz2
import csv
import gzip
import io
import lzma
import sys
import zipfile

import numpy as np
import pytest

from skae.tables import load, printable

TABLE = "größe,b\n1,2\n3,5\n"


def zipped(**members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        for name, text in members.items():
            file.writestr(name.replace("SLASH", "/").replace("DOT", "."), text)
    return content.getvalue()


def encrypted(content):
    """The archive, whose directory says that its member is encrypted."""
    at = content.rfind(b"PK\x01\x02") + 8
    return content[:at] + b"\x01" + content[at + 1 :]


def check(data):
    assert data.name == "a"
    assert data.feature_names == ["größe", "b"]
    np.testing.assert_array_equal(data.X, [[1, 2], [3, 5]])


# -------------------------------------------------------------------- packed files


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv.gz", gzip.compress(TABLE.encode())),
        ("a.data.gz", gzip.compress(TABLE.encode("utf-16"))),
        ("a.gz", gzip.compress(TABLE.encode())),
        ("a.csv.bz2", bz2.compress(TABLE.encode())),
        ("a.csv.xz", lzma.compress(TABLE.encode())),
        ("a.zip", zipped(anyDOTcsv=TABLE)),
        ("a.csv.ZIP", zipped(folderSLASHanyDOTcsv=TABLE, __MACOSXSLASHanyDOTcsv="notes")),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # bytes hold the time, and each worker has its own
)
def test_packed_files_are_unpacked(name, content, write):
    check(load(write(name, content)))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            zipped(aDOTcsv=TABLE, bDOTcsv=TABLE),
            r"the archive holds 2 files: 'a.csv', 'b.csv'. Unpack the one that is meant\.",
        ),
        (zipped(), r"the archive holds no file. Unpack the one that is meant\."),
        (zipped(aDOTcsv=TABLE)[:60], "File is not a zip file"),
        (TABLE.encode(), "File is not a zip file"),
        (encrypted(zipped(aDOTcsv=TABLE)), ".*is encrypted.*"),
    ],
    ids=["two", "none", "cut", "text", "encrypted"],
)
def test_archives_without_one_file_are_refused(content, reason, write):
    with pytest.raises(ValueError, match=rf"^Cannot read '.*a.zip': {reason}$"):
        load(write("a.zip", content))


@pytest.mark.parametrize(("ending", "pack"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_damaged_packed_files_are_refused(ending, pack, write):
    whole = pack((TABLE * 50).encode())
    for content in (whole[: len(whole) // 2], TABLE.encode()):
        with pytest.raises(ValueError, match=rf"^Cannot read '.*a.csv.{ending}': [^\n]+$"):
            load(write(f"a.csv.{ending}", content))


# -------------------------------------------------------------------- encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_encodings_are_told_by_their_mark(encoding, write):
    check(load(write("a.csv", TABLE.encode(encoding))))


def test_a_mark_goes_with_the_encoding_that_is_told(write):
    check(load(write("a.csv", TABLE.encode("utf-8-sig")), encoding="utf-8"))
    check(load(write("a.csv", TABLE.encode("utf-16-le")), encoding="utf-16-le"))
    check(load(write("a.csv", TABLE.encode("latin-1")), encoding="latin-1"))


@pytest.mark.parametrize(
    ("content", "encoding", "reason"),
    [
        (TABLE.encode("latin-1"), None, r"utf-8: byte 0xf6 in line 1 is not text. Try --encoding latin-1\."),
        (b"a,b\n1,\xff\xfe\n", None, r"utf-8: byte 0xff in line 2 is not text. Try --encoding latin-1\."),
        (TABLE.encode("latin-1"), "ascii", r"ascii: byte 0xf6 in line 1 is not text. Try --encoding latin-1\."),
        (TABLE.encode("utf-16-le"), None, r"utf-8: it holds NUL bytes. Try --encoding utf-16-le\."),
        (b"a,b\n1,2\n".decode().encode("utf-16-be"), None, r"utf-8: it holds NUL bytes. Try --encoding utf-16-be\."),
        (bytes(range(256)) * 4, None, r"utf-8: it holds NUL bytes, so it is no file of text\."),
        (bytes(range(256)) * 4, "latin-1", r"latin-1: it holds NUL bytes, so it is no file of text\."),
    ],
)
def test_an_encoding_that_does_not_fit_is_refused_with_the_cure(content, encoding, reason, write):
    with pytest.raises(ValueError, match=rf"^Cannot read '.*a.csv' as text in the encoding {reason}$"):
        load(write("a.csv", content), encoding=encoding)


@pytest.mark.parametrize("encoding", ["klingon", "hex", "rot13", "utf 9\x1b"])
def test_an_unknown_encoding_is_refused(encoding, write):
    with pytest.raises(ValueError, match=r"^There is no encoding '.*': take utf-8, utf-16 or latin-1, say\.$"):
        load(write("a.csv", TABLE), encoding=encoding)


# -------------------------------------------------------------------- control characters


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Größe (µm)", "Größe (µm)"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\u202egpj.exe\u2028\x9b", "\\u202egpj.exe\\u2028\\x9b"),
        ("a\udcff", "a\\udcff"),
        (3, "3"),
    ],
)
def test_control_characters_are_escaped(text, shown):
    assert printable(text) == shown
    assert printable(text).isprintable()


ESCAPED = "\x1b]0;title\x07"


@pytest.fixture
def escaping(write):
    """A file whose name, column names and cells have control characters."""
    header = ",".join(name + ESCAPED for name in ("when", "number", "gap", "text"))
    rows = "".join(f"2020-01-0{i},{i},{i},k{ESCAPED}{i % 3}\n" for i in range(1, 10))
    return write(f"a{ESCAPED}.csv", f"{header}\n{rows}2020-01-01,x{ESCAPED},,k\n")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target": f"nowhere{ESCAPED}"},
        {"drop": [f"nowhere{ESCAPED}"]},
        {"separator": ESCAPED},
        {"decimal": ESCAPED},
        {"encoding": ESCAPED},
        {"dates": ESCAPED},
    ],
)
def test_no_message_has_control_characters(options, escaping):
    with pytest.raises(ValueError, match=r"\\x1b]0;title\\x07") as raised:
        load(escaping, **options)
    assert all(line.isprintable() for line in str(raised.value).split("\n"))


def test_no_name_has_control_characters(escaping):
    data = load(escaping, drop=[f"number{ESCAPED}"], dates="numbers", impute=True)
    shown = "\\x1b]0;title\\x07"
    texts = [f"text{shown}_{text}" for text in ("k", f"k{shown}0", f"k{shown}1", f"k{shown}2")]
    assert data.feature_names == [f"when{shown}", f"gap{shown}", *texts]
    assert data.name == f"a{shown}"
    assert data.notes == [
        f"Dates are read as days since 1970: 'when{shown}'.",
        f"1 missing value (empty) filled in 'gap{shown}'.",
    ]


def test_a_column_is_found_by_its_escaped_name_and_by_its_own(write):
    path = write("a.csv", f"a{ESCAPED},b\n1,2\n3,5\n")
    for target in (f"a{ESCAPED}", printable(f"a{ESCAPED}"), "0"):
        assert load(path, target).y.tolist() == [1, 3]


# -------------------------------------------------------------------- files that are no tables


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"neither this nor that", b"PK\x03\x04 half an archive", b"\x93NUMPY\x01\x00v"]
)
def test_corrupt_files_are_refused(name, content, write):
    with pytest.raises(ValueError, match=rf"^Cannot read '.*{name}' as (a table|arrays of numbers): [^\n]+$"):
        load(write(name, content))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", r"^Cannot read '.*a.csv' as a table: it is empty\.$"),
        (b"\n \n\t\n", r"^Cannot read '.*a.csv' as a table: it is empty\.$"),
        (b"\xef\xbb\xbf", r"^Cannot read '.*a.csv' as a table: it is empty\.$"),
        (b"a,b\n", r"^'.*a.csv' holds no rows\.$"),
        (b"a,b\n,\n", r"^'.*a.csv' holds no rows\.$"),
        (b"sep=;\n", r"^'.*a.csv' holds no rows\.$"),
        (b"# a\n", r"^'.*a.csv' holds no rows\.$"),
    ],
)
def test_texts_without_rows_are_refused(content, sentence, write):
    with pytest.raises(ValueError, match=sentence) as raised:
        load(write("a.csv", content))
    assert "\n" not in str(raised.value)


def test_a_cell_may_be_longer_than_the_limit_of_csv(write):
    limit = csv.field_size_limit()
    text = "x" * (limit + 1)
    data = load(write("a.csv", f'a,b\n1,"{text}"\n2,y\n3,y\n'), "b")
    assert data.y.tolist() == [text, "y", "y"]
    assert csv.field_size_limit() == limit
    with pytest.raises(ValueError, match="line 3 has 3 cells"):
        load(write("a.csv", f"a,b\n1,{text}\n2,y,y\n"))
    assert csv.field_size_limit() == limit
    assert len(load(write("a.csv", f"a,b\n1,{text}\n2,y\n3,y\n")).feature_names[1]) < 100


@pytest.mark.parametrize("name", ["nowhere.csv", "", ".", "Iris"])
def test_a_file_that_is_not_there_lists_the_bundled_sets(name, tmp_path):
    source = str(tmp_path / name) if name else str(tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"^There is no file '.*', and no bundled data .*: breast_cancer, .*, wine\.$"
    ):
        load(source)


@pytest.mark.parametrize("name", ["a.xlsx", "a.json", "a", "a.csv.rar", "iris"])
def test_another_ending_lists_those_that_can_be_read(name, write):
    known = ".csv, .tsv, .tab, .txt, .data, .dat, .gz, .bz2, .xz, .zip, .npy, .npz, .parquet"
    with pytest.raises(ValueError, match=rf"^Cannot read '.*': its ending is none of {known}\.$"):
        load(write(name, "x"))


def test_only_parquet_needs_pandas(write, save, monkeypatch):
    table, array, parquet = write("a.csv", TABLE), save("a.npy", np.eye(2)), write("a.parquet", "")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ImportError, match=r'^Reading .parquet files needs pandas and pyarrow: pip install "skae\[plot,ta'
    ):
        load(parquet)
    check(load(table))
    np.testing.assert_array_equal(load(array).X, np.eye(2))
    assert load("iris").X.shape == (150, 4)

"""Files of arrays and of what is told about them: the safetensors library reads and writes the same ones."""

import errno
import json
import os
import pickle
import stat
from pathlib import Path

import numpy as np
import pytest
import safetensors
import safetensors.numpy

from skae import __version__
from skae.engine import container
from skae.engine.container import read, write
from skae.exceptions import FileError

ARRAYS = {
    "weights": np.arange(6, dtype=np.float32).reshape(2, 3) / 7,
    "none": np.zeros((0, 3)),
    "one": np.array(2.5),
    "bits": np.array([True, False, True]),
    **{code: np.array([0, 1, 100], dtype) for code, dtype in container.DTYPES.items() if code != "BOOL"},
}
CONTENT = {"a": [1, 2.5, None, True, "\u00e9\ud800"], "b": {}}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.skae"


def sentence(path, kind="model"):
    """What is said of a file that cannot be read."""
    with pytest.raises(FileError) as caught:
        read(path, kind)
    text = str(caught.value)
    assert text.startswith(repr(os.fspath(path)))
    assert text.endswith(".")
    assert "\n" not in text
    return text


def test_what_is_written_is_read(path):
    write(path, "model", CONTENT, ARRAYS)
    held = read(path, "model")
    assert held.content == CONTENT
    assert held.version == __version__
    assert held.arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert held.arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(held.arrays[name], array, strict=True)


def test_the_library_reads_what_is_written(path):
    write(path, "model", CONTENT, ARRAYS)
    for name, array in safetensors.numpy.load_file(path).items():
        np.testing.assert_array_equal(array, ARRAYS[name], strict=True)
    with safetensors.safe_open(path, framework="np") as file:
        assert json.loads(file.metadata()["skae"])["content"] == CONTENT


def test_what_the_library_writes_is_read(path):
    """In another order, and with another layout of the header."""
    write(path, "model", CONTENT, ARRAYS)
    with safetensors.safe_open(path, framework="np") as file:
        about = file.metadata()
    safetensors.numpy.save_file(dict(sorted(ARRAYS.items())), path, about)
    assert read(path, "model").content == CONTENT


def test_arrays_in_any_order_of_memory(path):
    rows = np.arange(12.0).reshape(3, 4)
    write(path, "model", None, {"turned": rows.T, "some": rows[:, ::2], "swapped": rows.astype(">f4")})
    held = read(path, "model").arrays
    np.testing.assert_array_equal(held["turned"], rows.T)
    np.testing.assert_array_equal(held["some"], rows[:, ::2])
    np.testing.assert_array_equal(held["swapped"], rows.astype(np.float32), strict=True)


@pytest.mark.parametrize("content", [np.nan, {"a": object()}, (lambda deep: [deep.append(deep), deep][1])([])])
def test_what_json_cannot_tell_is_refused(path, content):
    with pytest.raises(FileError, match="cannot be told in JSON"):
        write(path, "model", content, {})
    with pytest.raises(FileError, match="dtype complex128"):
        write(path, "model", None, {"a": np.zeros(2, complex)})
    assert not [*path.parent.iterdir()]


# ------------------------------------------------------------------ whole or not at all


def test_a_file_stays_as_it_was_if_the_disk_is_full(path, monkeypatch):
    write(path, "model", 1, ARRAYS)
    before = path.read_bytes()

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(path, "model", 2, ARRAYS)
    assert path.read_bytes() == before
    assert [*path.parent.iterdir()] == [path]


def test_numbers_are_on_the_disk_before_the_file_has_its_name(path, monkeypatch):
    done = []
    replace, fsync = Path.replace, os.fsync
    monkeypatch.setattr(os, "fsync", lambda number: (done.append("fsync"), fsync(number)))
    monkeypatch.setattr(Path, "replace", lambda *names: (done.append("replace"), replace(*names)))
    write(path, "model", None, ARRAYS)
    assert done[:2] == ["fsync", "replace"]


@pytest.mark.skipif(os.name != "posix", reason="permissions are those of POSIX")
def test_permissions_are_those_of_open(path):
    other = path.with_name("plain")
    other.write_bytes(b"")
    write(path, "model", None, {})
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(other.stat().st_mode)
    path.chmod(0o640)
    write(path, "model", None, {})
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_link_stays_a_link(path, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(path)
    write(link, "model", 7, {})
    assert link.is_symlink()
    assert read(path, "model").content == 7


def test_wrong_places(path, tmp_path):
    with pytest.raises(FileError, match="is no file but a folder"):
        write(tmp_path, "model", None, {})
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        write(tmp_path / "none" / "m.skae", "model", None, {})
    with pytest.raises(FileNotFoundError):
        read(path, "model")
    assert "is no file but a folder" in sentence(tmp_path)
    assert "a device or a pipe" in sentence(os.devnull)


# ------------------------------------------------------------------ files of strangers


def made(path, header, numbers=b""):
    """Write a file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + numbers)
    return path


def told(path, content, **other):
    """Write a file that tells something, with the right checksum."""
    parts = {"format": container.FORMAT, "kind": "model", "skae": __version__, "content": 0}
    text = content if isinstance(content, str) else json.dumps({**parts, **content})
    return made(path, {"__metadata__": {"skae": text, "sha256": container._checksum(text, {})}, **other})


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"", "is empty"),
        (b"abc", "or the beginning of one"),
        (pickle.dumps({"a": np.zeros(9)}), "is a pickle"),
        (b"PK\x03\x04" + bytes(100), "is a zip archive"),
        (b"\x1f\x8b" + bytes(100), "is a compressed file"),
        (b"\x93NUMPY" + bytes(100), "an array of numpy"),
        (bytes(100), "or the beginning of one"),
        (b"\xff" * 100, "or the beginning of one"),
        (b'{"a": 1}' * 20, "or the beginning of one"),
    ],
)
def test_other_files_are_called_by_their_names(path, start, expected):
    path.write_bytes(start)
    assert expected in sentence(path)


def test_a_file_of_another_program(path):
    safetensors.numpy.save_file(ARRAYS, path, {"a": "b"})
    assert "of another program" in sentence(path)


def test_a_file_of_another_kind_says_what_to_do(path):
    write(path, "checkpoint", None, {})
    assert "pass its path as checkpoint" in sentence(path)
    write(path, "model", None, {})
    assert "load it with skae.load" in sentence(path, "checkpoint")


def test_a_file_of_another_format_says_which_version_to_take(path):
    told(path, {"format": 99, "skae": "9.1.0"})
    assert "was written by skae 9.1.0" in sentence(path)


@pytest.mark.parametrize("version", ["\x1b[31m", 3, None, "", "9" * 50, "\u0661"])
def test_a_version_is_not_printed_unless_it_is_one(path, version):
    assert "which version of skae wrote it" in sentence(told(path, {"skae": version}))


@pytest.mark.parametrize("kind", [None, [], "Model", {}])
def test_a_kind_that_is_none(path, kind):
    assert "does not say what it is" in sentence(told(path, {"kind": kind}))


ENTRY = {"dtype": "F64", "shape": [2], "data_offsets": [0, 16]}


@pytest.mark.parametrize(
    "change",
    [
        *({"dtype": other} for other in ("F16", "I8", "BF16", 3, None, [], "complex128")),
        *(
            {"shape": other}
            for other in ([3], [2, 2], [-2], [-1, -2], [2.0], [True, 2], "2", None, [2**70], [0, 2**63])
        ),
        *(
            {"data_offsets": other}
            for other in ([0, 8], [8, 24], [16, 0], [-16, 0], [0], [0.0, 16.0], None, [0, 2**80])
        ),
        {"more": 1},
    ],
)
def test_what_is_said_of_an_array_must_be_true(path, change):
    about = {"skae": "{}", "sha256": ""}
    assert "array" in sentence(made(path, {"__metadata__": about, "a": {**ENTRY, **change}}, bytes(16)))


def test_arrays_neither_overlap_nor_leave_gaps(path):
    about, numbers = {"skae": "{}", "sha256": ""}, bytes(32)
    for one, two in (([0, 16], [0, 16]), ([0, 16], [8, 24]), ([0, 16], [16, 32, 3]), ([16, 32], [16, 32])):
        entries = {"a": {**ENTRY, "data_offsets": one}, "b": {**ENTRY, "data_offsets": two}}
        assert "array" in sentence(made(path, {"__metadata__": about, **entries}, numbers))
    assert "do not take the 32 bytes" in sentence(made(path, {"__metadata__": about, "a": ENTRY}, numbers))


@pytest.mark.parametrize(
    "text",
    [
        b"[" * 5000,
        b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}",
        b'{"a":' + b"9" * 5000 + b"}",
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":1,"a":2}',
        b'{"a":"\xff\xfe"}',
        b"{,}",
    ],
)
def test_json_of_strangers(path, text):
    """A deep value is refused by some versions of Python, and by others is a value that says nothing."""
    sentence(made(path, text))
    sentence(told(path, text.decode("latin1")))


def test_a_header_cannot_take_much_more_memory_than_its_file(path):
    assert "more parts than a file of this size" in sentence(made(path, b'{"a":[' + b"[]," * 200_000 + b"[]]}"))


def test_every_byte_counts(path):
    """Whichever byte is another one, the file is refused: but for the spaces after the header."""
    write(path, "model", {"a": 1}, {"a": np.arange(3.0), "b": np.array([True, False])})
    whole = path.read_bytes()
    for i in range(len(whole)):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        if whole[i : i + 1] != b" ":
            sentence(path)
        path.write_bytes(whole[:i])
        sentence(path)

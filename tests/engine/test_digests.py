"""Digests of tables: equal for equal contents, however they lie in memory, and different otherwise."""

import numpy as np
import pytest

from skae.engine import data
from skae.engine.digests import digest_of_rows


def test_the_same_contents_have_the_same_digest(tmp_path, monkeypatch):
    X = np.arange(60.0).reshape(20, 3)
    np.save(tmp_path / "X.npy", X)
    read_only = X.copy()
    read_only.flags.writeable = False
    forms = [X.copy(), np.asfortranarray(X), np.repeat(X, 2, 1)[:, ::2], X[::-1][::-1], read_only]
    forms += [np.load(tmp_path / "X.npy", mmap_mode=mode) for mode in ("r", "c", "r+")]
    assert {digest_of_rows(form) for form in forms} == {digest_of_rows(X)}
    np.testing.assert_array_equal(np.load(tmp_path / "X.npy"), X)
    whole = digest_of_rows(X, ["a", "b", "c"])
    monkeypatch.setattr(data.chunks, "__defaults__", (6,))
    assert digest_of_rows(X, ["a", "b", "c"]) == whole


@pytest.mark.parametrize(
    "other",
    [
        np.arange(12.0).reshape(4, 3),
        np.arange(12.0),
        np.arange(12.0, dtype=np.float32).reshape(3, 4),
        np.arange(12).reshape(3, 4),
        np.where(np.arange(12.0) == 11, np.nan, np.arange(12.0)).reshape(3, 4),
        np.where(np.arange(12.0) == 0, -0.0, np.arange(12.0)).reshape(3, 4),
        np.empty((0, 4)),
        np.array(3.0),
        np.array(list("abcabcabcabc")).reshape(3, 4),
    ],
)
def test_other_contents_have_another_digest(other):
    X = np.arange(12.0).reshape(3, 4)
    assert digest_of_rows(X) != digest_of_rows(other)
    assert digest_of_rows(X, "abcd") != digest_of_rows(X, "abce")

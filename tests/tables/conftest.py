"""Files that the tests write."""

import numpy as np
import pytest


@pytest.fixture
def write(tmp_path):
    """Write a text or bytes to a file, and return its name."""

    def to_file(name, text):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return str(path)

    return to_file


@pytest.fixture
def save(tmp_path):
    """Save one array as .npy or named arrays as .npz, and return the name of the file."""

    def to_file(name, *arrays, **named):
        path = tmp_path / name
        np.savez(path, **named) if path.suffix == ".npz" else np.save(path, *arrays)
        return str(path)

    return to_file

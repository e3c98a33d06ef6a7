"""Fits of several processes, each of which has some of the rows, by ``torch.distributed``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch.distributed as dist

from .group import Team, offered

__all__ = ["data_parallel", "shard"]

_numbers: dict[str, int] = {}
"""How many times each process group was used, by its name."""


@contextmanager
def data_parallel(group: Any = None) -> Iterator[None]:
    """Let all processes of a group fit one model together, each with its own rows.

    In the context, the rows that a process passes to ``fit`` or ``partial_fit`` are its shard of one data set, whose
    rows are those of rank 0, then those of rank 1, and so on. The fit is that of one process with all rows, but for
    rounding and for noise. All processes end with the same model, to the last bit.

    All other methods, such as ``transform`` and ``score``, work on the rows that they are given, in each process by
    itself. Without this context, a process group changes nothing.

    Parameters
    ----------
    group : ProcessGroup or None, default=None
        Some of the processes. None is all of them.

    Raises
    ------
    RuntimeError
        If ``torch.distributed.init_process_group`` was not called.
    ValueError
        If this process is not in the group.

    See Also
    --------
    shard : A process's rows of a common array.

    References
    ----------
    Li et al. (2020), "PyTorch Distributed: Experiences on Accelerating Data Parallel Training",
    https://doi.org/10.14778/3415478.3415530

    Examples
    --------
    One process is a group too:

    >>> import tempfile
    >>> import torch.distributed as dist
    >>> from sklearn.datasets import load_digits
    >>> from skae import Autoencoder
    >>> from skae.distributed import data_parallel, shard
    >>> X = load_digits().data
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    ...     with data_parallel():
    ...         model = Autoencoder(8, max_iter=5, random_state=0).fit(shard(X))
    ...     dist.destroy_process_group()
    >>> model.transform(X).shape
    (1797, 8)
    """
    _require_processes()
    handle: Any = dist.group.WORLD if group is None else group
    if dist.get_rank(handle) < 0:
        raise ValueError("This process is not in the group that was passed: enter data_parallel in its members only.")
    number = _numbers[handle.group_name] = _numbers.get(handle.group_name, -1) + 1
    team = Team(handle, number)
    with offered(team if team.size > 1 else None):
        yield


def shard(X: Any, group: Any = None) -> Any:
    """Take a process's rows of an array that all processes can see, such as a memory map.

    Parameters
    ----------
    X : array-like, sparse matrix, DataFrame, memory map or tensor of shape (n_samples, n_features), or None
        X, y or weights. Shards of several arrays of the same length belong together.
    group : ProcessGroup or None, default=None
        As for ``data_parallel``.

    Returns
    -------
    X : same type as X, of shape (n_own, n_features)
        Consecutive rows. The shards of two processes differ by at most one row in length. Those of an array, a memory
        map, a tensor or a DataFrame are views, and no rows are copied.

    Raises
    ------
    RuntimeError
        If ``torch.distributed.init_process_group`` was not called.
    ValueError
        If there are fewer rows than processes.

    Examples
    --------
    Rank 1 of 4 has the rows 2 to 4 of 10 rows. Alone, a process has all of them:

    >>> import tempfile
    >>> import numpy as np
    >>> import torch.distributed as dist
    >>> from skae.distributed import shard
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=0, world_size=1)
    ...     print(shard(np.arange(10)))
    ...     dist.destroy_process_group()
    [0 1 2 3 4 5 6 7 8 9]
    """
    _require_processes()
    if X is None:
        return None
    rank, size = dist.get_rank(group), dist.get_world_size(group)
    n = X.shape[0] if hasattr(X, "shape") else len(X)
    if n < size:
        raise ValueError(f"X has {n} rows for {size} processes, each of which needs one: start fewer processes.")
    rows = slice(rank * n // size, (rank + 1) * n // size)
    return X.iloc[rows] if hasattr(X, "iloc") else X[rows]


def _require_processes() -> None:
    if not (dist.is_available() and dist.is_initialized()):
        raise RuntimeError(
            "There is no process group: call torch.distributed.init_process_group first, in a program that was started "
            "by torchrun, Slurm or the like."
        )

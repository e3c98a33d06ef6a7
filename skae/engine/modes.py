"""The settings of a process that our computations do not depend on, and moments that Ctrl-C must not cut in two."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from threadpoolctl import ThreadpoolController

__all__ = ["one_thread", "plain_torch", "uninterrupted"]

_process = os.getpid()


@contextmanager
def plain_torch(grad: bool = True) -> Iterator[None]:
    """Compute as in a fresh process, whatever modes of torch the caller has switched on.

    Inference mode, ``no_grad``, autocast, and another default device or dtype do not reach into the context. A default
    dtype belongs to the whole process, so other threads see it change too.

    Parameters
    ----------
    grad : bool, default=True
        Whether gradients are recorded.
    """
    _require_no_threads_after_fork()
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.set_grad_enabled(grad))
        for device_type in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device_type):
                stack.enter_context(torch.autocast(device_type, enabled=False))
        if torch.empty(0).device.type != "cpu":
            stack.enter_context(torch.device("cpu"))
        if (dtype := torch.get_default_dtype()) != torch.float32:
            torch.set_default_dtype(torch.float32)
            stack.callback(torch.set_default_dtype, dtype)
        yield


def one_thread() -> Any:
    """A context in which torch computes in one thread."""
    return _pools().limit(limits=1, user_api="openmp")


@cache
def _pools() -> ThreadpoolController:
    """The pools of threads of this process. It takes milliseconds to find them."""
    return ThreadpoolController()


def _require_no_threads_after_fork() -> None:
    """Compute in one thread from now on if this process was forked: OpenMP's other threads stayed in its parent."""
    global _process
    if os.getpid() != _process:
        torch.set_num_threads(1)
        _process = os.getpid()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the context ends."""
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is None:
        yield  # Python runs signal handlers in the main thread only
        return
    waiting: list[Any] = []
    signal.signal(signal.SIGINT, lambda *signal_and_frame: waiting.append(signal_and_frame))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)
        if waiting:
            signal.raise_signal(signal.SIGINT)

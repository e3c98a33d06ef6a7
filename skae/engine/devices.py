"""Devices and dtypes by their names."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from .suggestions import suggest

__all__ = ["is_on", "name_of", "resolve_device"]


def resolve_device(name: str, dtype: str) -> torch.device:
    """Return the device of a name. "auto" is an accelerator if there is one, and otherwise the CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
        if name == "cpu" and torch.backends.mps.is_available() and dtype != "float64":
            name = "mps"
    try:
        device = torch.device(name)
    except RuntimeError:
        meant = suggest(name, ("auto", "cpu", "cuda", "mps"))
        use = "'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'" if meant is None else repr(meant)
        raise ValueError(f"device={name!r} is not a device: use {use}.") from None
    available: dict[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "cuda": lambda: 0 <= (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in available:
        raise ValueError(f"device={name!r} is not supported: use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.")
    if not available[device.type]():
        raise ValueError(f"device={name!r} was asked for, but this machine has none: use device='auto' or 'cpu'.")
    if device.type == "mps" and dtype == "float64":
        raise ValueError("device='mps' has no float64: use dtype='float32' or device='cpu'.")
    return torch.device("cpu") if device.type == "cpu" else device


def is_on(tensor: Tensor, device: torch.device) -> bool:
    """Whether a tensor is on a device. "cuda" without a number stands for any CUDA device."""
    return tensor.device.type == device.type and device.index in (None, tensor.device.index)


def name_of(dtype: torch.dtype) -> str:
    """Name of a dtype as in numpy, such as "float32" for torch.float32."""
    return str(dtype).removeprefix("torch.")

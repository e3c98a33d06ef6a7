"""Rows that are divided among processes. Each process holds some, and all of them together answer what is asked.

What is shared has the length of the whole. An index of it is answered by all processes at once, and each gets the same
rows. That is meant for some rows, such as those of which a verdict is formed. What goes through all rows asks for
those that a process holds (``held``), and sums over the processes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from .arrays import Arrays
from .data import Array, Batch, Index, Rows, Source, Table, to_tensor
from .group import Group, Team, current

__all__ = ["share"]

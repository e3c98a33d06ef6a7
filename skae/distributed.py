"""Fits of several processes, each of which has some of the rows, by ``torch.distributed``."""

from .engine.group import OtherProcessError
from .engine.parallel import data_parallel, shard

__all__ = ["OtherProcessError", "data_parallel", "shard"]

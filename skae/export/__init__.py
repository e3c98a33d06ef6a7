"""Functions of torch as graphs of ONNX: the operations that a function takes are recorded, and written as nodes."""

from . import reductions, shaping  # they enter their operations into the table

__all__ = ["reductions", "shaping"]

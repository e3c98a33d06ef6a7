"""Functions of torch as graphs of ONNX: the operations that a function takes are recorded, and written as nodes."""

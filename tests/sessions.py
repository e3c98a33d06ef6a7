"""Graphs of ONNX in onnxruntime. Tests that import this are left out where it is not installed."""

import pytest

onnxruntime = pytest.importorskip("onnxruntime")


def session_of(model):
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

"""Methods of fitted estimators as graphs: names, precision, files, and what cannot be exported."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sessions import session_of
from sklearn.exceptions import NotFittedError

from skae import (
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    ConditionalVariationalAutoencoder,
    DenoisingAutoencoder,
    RecursiveAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
)

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

QUICK = {"hidden_layer_sizes": (8,), "max_iter": 3, "random_state": 0}


@pytest.fixture
def model(iris):
    return Autoencoder(2, **QUICK).fit(iris)


# ------------------------------------------------------------------ what is in a model


def test_a_model_says_what_it_is(iris):
    frame = pd.DataFrame(iris, columns=["a", "b", "c", "d"])
    classes = np.array(["x", "y"])
    model = (
        SemiSupervisedAutoencoder(2, **QUICK).fit(frame, classes[np.arange(150) % 2]).to_onnx(method="predict_proba")
    )
    notes = {note.key: note.value for note in model.metadata_props}
    assert notes.pop("version") == model.producer_version
    assert json.loads(notes.pop("feature_names")) == ["a", "b", "c", "d"]
    assert json.loads(notes.pop("classes")) == ["x", "y"]
    assert notes == {"class": "SemiSupervisedAutoencoder", "method": "predict_proba"}
    assert [opset.version for opset in model.opset_import] == [17]
    assert model.ir_version == 8


@pytest.mark.parametrize(
    ("method", "source", "output", "shape", "dtype"),
    [
        ("transform", "X", "H", ["n_rows", 2], "tensor(float)"),
        ("inverse_transform", "H", "X_hat", ["n_rows", 4], "tensor(double)"),
        ("score_samples", "X", "scores", ["n_rows"], "tensor(double)"),
        ("predict", "X", "y", ["n_rows"], "tensor(double)"),
    ],
)
def test_names_and_shapes(iris, method, source, output, shape, dtype):
    estimator = SemiSupervisedAutoencoderRegressor(2, **QUICK).fit(iris, iris[:, 0])
    session = session_of(estimator.to_onnx(method=method))
    (given,), (found,) = session.get_inputs(), session.get_outputs()
    assert (given.name, given.type, given.shape[0]) == (source, "tensor(float)", "n_rows")
    assert (found.name, found.type, found.shape) == (output, dtype, shape)


def test_several_targets_are_several_columns(iris):
    estimator = SemiSupervisedAutoencoderRegressor(2, **QUICK).fit(iris, iris[:, :2])
    (found,) = session_of(estimator.to_onnx(method="predict")).run(None, {"X": iris.astype("f4")})
    np.testing.assert_allclose(found, estimator.predict(iris.astype("f4")), rtol=1e-5)


def test_weights_are_held_once(iris):
    """A graph of a large layer is as large as the layer."""
    estimator = Autoencoder(2, hidden_layer_sizes=(500, 500), max_iter=1, random_state=0).fit(iris)
    n_bytes = 4 * sum(p.numel() for p in estimator.module_.encoder.parameters())
    assert n_bytes < len(estimator.to_onnx().SerializeToString()) < 1.01 * n_bytes + 4000


# ------------------------------------------------------------------ precision


@pytest.mark.parametrize("shift", [0.0, 1e3, 1e7])
def test_rows_far_from_zero_are_taken_in_float64(iris, shift):
    X = iris + shift
    estimator = Autoencoder(2, **QUICK).fit(X)
    session = session_of(estimator.to_onnx())
    wanted_type = "tensor(float)" if shift == 0.0 else "tensor(double)"
    assert session.get_inputs()[0].type == wanted_type
    (found,) = session.run(None, {"X": X.astype("f4" if shift == 0.0 else "f8")})
    np.testing.assert_allclose(found, estimator.transform(X), rtol=1e-5, atol=1e-5)


def test_scales_that_float32_does_not_hold(iris):
    X = iris * 1e-35
    estimator = Autoencoder(2, **QUICK).fit(X)
    for method, rows in (("transform", X), ("inverse_transform", estimator.transform(X)), ("score_samples", X)):
        session = session_of(estimator.to_onnx(method=method))
        (source,) = session.get_inputs()
        (found,) = session.run(None, {source.name: rows})
        np.testing.assert_allclose(found, getattr(estimator, method)(rows), rtol=1e-5)


# ------------------------------------------------------------------ files


def test_a_file_holds_the_model(model, iris, tmp_path):
    path = tmp_path / "model.onnx"
    returned = model.to_onnx(path)
    assert path.read_bytes() == returned.SerializeToString()
    assert model.to_onnx(str(path)) == returned
    (found,) = onnxruntime.InferenceSession(path).run(None, {"X": iris.astype("f4")})
    np.testing.assert_allclose(found, model.transform(iris), atol=1e-6)


def test_a_folder_that_is_not_there(model, tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        model.to_onnx(tmp_path / "no" / "model.onnx")


def test_a_file_is_there_whole_or_as_it_was(model, tmp_path, monkeypatch):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        model.to_onnx(path)
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]
    assert path.read_bytes() == b"old"


def test_exporting_changes_nothing(model, iris):
    before, codes, state = vars(model).copy(), model.transform(iris), torch.random.get_rng_state()
    model.to_onnx(method="score_samples")
    assert vars(model) == before
    assert np.array_equal(model.transform(iris), codes)
    assert torch.equal(torch.random.get_rng_state(), state)


# ------------------------------------------------------------------ rows


def test_a_model_that_was_fitted_to_gaps_takes_complete_rows(iris):
    X = iris.copy()
    X[::3, 1] = np.nan
    estimator = Autoencoder(2, **QUICK).fit(X)
    for method in ("transform", "score_samples"):
        (found,) = session_of(estimator.to_onnx(method=method)).run(None, {"X": iris.astype("f4")})
        np.testing.assert_allclose(found, getattr(estimator, method)(iris.astype("f4")), rtol=1e-5, atol=1e-6)


def test_rows_outside_the_support_have_no_probability(iris):
    X = iris / iris.max(axis=0)
    estimator = Autoencoder(2, likelihood="bernoulli", **QUICK).fit(X)
    X[::2, 0] += 0.5
    (found,) = session_of(estimator.to_onnx(method="score_samples")).run(None, {"X": X.astype("f4")})
    assert np.array_equal(found == -np.inf, X[:, 0] > 1)


# ------------------------------------------------------------------ classes of the user's


class Doubled(Autoencoder):
    def _encode(self, module, batch):
        return 2 * super()._encode(module, batch)


class Replaced(Autoencoder):
    def transform(self, X):
        return super().transform(X) + 1


class Clipped(Autoencoder):
    def transform(self, X):
        return super().transform(X).clip(-1e6, 1e6)  # which no row shows on which it is tried


class Outside(Autoencoder):
    def _encode(self, module, batch):
        return super()._encode(module, batch) + float(batch.x.numpy().max())


def test_what_is_not_computed_with_torch_is_refused(iris):
    with pytest.raises(ValueError, match="it draws noise, or computes with something else than torch"):
        Outside(2, **QUICK).fit(iris).to_onnx()


def test_a_class_of_ones_own_is_exported_as_it_computes(iris):
    estimator = Doubled(2, **QUICK).fit(iris)
    (found,) = session_of(estimator.to_onnx()).run(None, {"X": iris.astype("f4")})
    np.testing.assert_allclose(found, estimator.transform(iris), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("cls", [Replaced, Clipped])
def test_a_method_that_was_replaced_is_refused(cls, iris):
    with pytest.raises(ValueError, match=f"transform of {cls.__name__} does more than the hooks of its class"):
        cls(2, **QUICK).fit(iris).to_onnx()


def test_an_estimator_that_returns_data_frames_is_exported(iris):
    estimator = Autoencoder(2, **QUICK).set_output(transform="pandas").fit(iris)
    (found,) = session_of(estimator.to_onnx()).run(None, {"X": iris.astype("f4")})
    np.testing.assert_allclose(found, estimator.transform(iris), rtol=1e-5, atol=1e-6)


# ------------------------------------------------------------------ what cannot be exported


def test_what_is_refused_says_why(model, iris):
    with pytest.raises(NotFittedError):
        Autoencoder().to_onnx()
    with pytest.raises(ValueError, match="method='fit' of Autoencoder cannot be exported: it must be one of"):
        model.to_onnx(method="fit")
    with pytest.raises(ValueError, match="method='predict_proba' of Autoencoder"):
        model.to_onnx(method="predict_proba")


def test_rows_that_are_no_numbers_are_refused():
    tokens = AdversariallyRegularizedAutoencoder(2, likelihood="tokens", **QUICK).fit(np.arange(60).reshape(20, 3) % 5)
    with pytest.raises(ValueError, match="has no graph of ONNX: its rows are tokens, not numbers"):
        tokens.to_onnx()
    trees = [([1.0, 0.0], [0.0, float(k)]) for k in range(8)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parser = RecursiveAutoencoder(2, max_iter=1, random_state=0).fit(trees)
    with pytest.raises(ValueError, match="has no graph of ONNX: its rows are trees"):
        parser.to_onnx()


def test_methods_that_need_y_are_refused(iris):
    conditional = ConditionalVariationalAutoencoder(2, **QUICK).fit(iris[:, :3], iris[:, 3])
    with pytest.raises(ValueError, match="pass y, a condition for each row"):
        conditional.to_onnx()
    translator = DenoisingAutoencoder(2, target="y", **QUICK).fit(iris[:, :3], iris[:, 2:])
    translator.to_onnx()
    with pytest.raises(ValueError, match="pass the array to compare with as y"):
        translator.to_onnx(method="score_samples")

"""Pipelines that skl2onnx writes: they give what the pipelines of scikit-learn give."""

import ast
import sys
from pathlib import Path

import numpy as np
import pytest
from sessions import session_of
from sklearn.compose import ColumnTransformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

import skae.onnx
from skae import (
    RBM,
    Autoencoder,
    FineTunedClassifier,
    MixtureVariationalAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
    VariationalAutoencoder,
)

skl2onnx = pytest.importorskip("skl2onnx")

QUICK = {"max_iter": 3, "random_state": 0}
KINDS = np.array(["one", "two", "three"], dtype=object)


class Tripled(Autoencoder):
    def _encode(self, module, batch):
        return 3 * super()._encode(module, batch)


@pytest.fixture(autouse=True)
def registered():
    skae.onnx.register()


def run(pipeline, X, **options):
    model = skl2onnx.to_onnx(pipeline, X[:1], **options)
    session = session_of(model)
    return session.run(None, {"X": X})


@pytest.fixture(params=["f4", "f8"])
def X(iris, request):
    return iris.astype(request.param)


@pytest.fixture
def y(iris):
    return np.arange(len(iris)) // 50


@pytest.mark.parametrize(
    "steps",
    [
        [StandardScaler(), Autoencoder(2, **QUICK), LogisticRegression()],
        [
            MinMaxScaler(),
            RBM(3, visible="bernoulli", **QUICK),
            VariationalAutoencoder(2, **QUICK),
            LogisticRegression(),
        ],
        [Autoencoder(2, dtype="float64", **QUICK), Tripled(2, **QUICK), LogisticRegression()],
        [StandardScaler(), SemiSupervisedAutoencoder(2, **QUICK)],
        [StandardScaler(), FineTunedClassifier(Autoencoder(2, **QUICK), random_state=0, max_iter=3)],
    ],
)
@pytest.mark.filterwarnings("ignore:X has values outside")
def test_a_pipeline_that_ends_in_a_classifier(X, y, steps):
    pipeline = make_pipeline(*steps).fit(X, y)
    labels, p = run(pipeline, X, options={"zipmap": False})
    assert np.array_equal(labels, pipeline.predict(X))
    np.testing.assert_allclose(p, pipeline.predict_proba(X), atol=1e-5)


def test_a_pipeline_that_ends_in_a_code(X):
    pipeline = make_pipeline(StandardScaler(), MixtureVariationalAutoencoder(2, n_clusters=2, **QUICK)).fit(X)
    (found,) = run(pipeline, X)
    np.testing.assert_allclose(found, pipeline.transform(X), atol=1e-5)


def test_some_columns_and_an_old_version_of_the_operators(X):
    parts = [("a", Autoencoder(1, **QUICK), [0, 1]), ("b", RBM(2, **QUICK), [2, 3])]
    pipeline = make_pipeline(ColumnTransformer(parts), Autoencoder(2, **QUICK)).fit(X)
    (found,) = run(pipeline, X, target_opset=13)
    np.testing.assert_allclose(found, pipeline.transform(X), rtol=1e-5, atol=1e-5)


def test_a_regressor_gives_a_column(X):
    pipeline = make_pipeline(StandardScaler(), SemiSupervisedAutoencoderRegressor(2, **QUICK)).fit(X, X[:, 0])
    (found,) = run(pipeline, X)
    assert found.shape == (150, 1)
    np.testing.assert_allclose(found[:, 0], pipeline.predict(X), rtol=1e-5)


def test_a_step_that_is_not_fitted(iris):
    with pytest.raises(NotFittedError, match="Autoencoder"):
        run(make_pipeline(Autoencoder(2)), iris)


def test_labels_that_are_text_and_the_options_of_skl2onnx(iris, y):
    X = iris.astype("f4")
    model = SemiSupervisedAutoencoder(2, **QUICK).fit(X, KINDS[y])
    labels, maps = run(model, X)
    assert labels.tolist() == model.predict(X).tolist()
    np.testing.assert_allclose([[row[k] for k in model.classes_] for row in maps], model.predict_proba(X), atol=1e-5)
    _, *columns = run(model, X, options={"zipmap": "columns"})
    np.testing.assert_allclose(np.stack(columns, 1), model.predict_proba(X), atol=1e-5)


def test_labels_that_are_neither_whole_numbers_nor_text(iris, y):
    model = SemiSupervisedAutoencoder(2, **QUICK).fit(iris, np.array(["2020", "2021", "2022"], "M8[Y]")[y])
    with pytest.raises(ValueError, match=r"Labels in a graph are whole numbers or text, and not datetime64\[Y\]"):
        run(model, iris, options={"zipmap": False})


def test_columns_that_come_one_by_one(iris):
    X = iris.astype("f4")
    model = Autoencoder(2, **QUICK).fit(X)
    kinds = [(name, skl2onnx.common.data_types.FloatTensorType([None, 1])) for name in "abcd"]
    graph = skl2onnx.to_onnx(model, initial_types=kinds)
    session = session_of(graph)
    (found,) = session.run(None, {name: X[:, [k]] for k, name in enumerate("abcd")})
    np.testing.assert_allclose(found, model.transform(X), atol=1e-6)


def test_nothing_is_imported_before_it_is_needed():
    for path in Path(skae.__file__).parent.rglob("*.py"):
        for node in ast.parse(path.read_text()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and not node.level else []
            assert not {name.split(".")[0] for name in names} & {"onnx", "skl2onnx"}, path


def test_without_skl2onnx_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "skl2onnx", None)
    with pytest.raises(ImportError, match=r"needs the package skl2onnx: pip install 'skae\[onnx\]'\."):
        skae.onnx.register()

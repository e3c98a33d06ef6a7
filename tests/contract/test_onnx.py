"""A graph of ONNX computes what the estimator does, or the estimator says in one sentence why it has none."""

import re

import numpy as np
import pytest
from contract.tables import CLASSES, target_of
from sessions import session_of

onnx = pytest.importorskip("onnx")

METHODS = "transform", "inverse_transform", "score_samples", "predict_proba", "predict"
VALUES = "it takes steps that depend on the values in the rows."
REFUSED = {
    ("DeepBoltzmannMachine", "transform"): VALUES,  # mean field settles in as many sweeps as it needs
    ("DeepBoltzmannMachine", "inverse_transform"): VALUES,
    ("DeepBoltzmannMachine", "score_samples"): VALUES,
    ("MultimodalDeepBoltzmannMachine", "transform"): VALUES,
    ("MultimodalDeepBoltzmannMachine", "inverse_transform"): VALUES,
    ("MultimodalDeepBoltzmannMachine", "score_samples"): VALUES,
    ("SemiSupervisedVariationalAutoencoder stacked", "inverse_transform"): "one of ['transform', 'predict_proba']",
    ("SemiSupervisedVariationalAutoencoder stacked", "score_samples"): "one of ['transform', 'predict_proba']",
    ("RBM counts", "score_samples"): "it draws noise, or computes with something else",  # log Z of each length
}
SETTINGS = [
    "AdversarialAutoencoder labels",
    "AdversarialAutoencoder universal",
    "AdversariallyRegularizedAutoencoder clipping",
    "Autoencoder float64",
    "Autoencoder batch_norm",
    "Autoencoder tied",
    "Autoencoder bernoulli",
    "Autoencoder poisson",
    "Autoencoder mixed",
    "ConditionalVariationalAutoencoder images",
    "ConvolutionalAutoencoder max",
    "ConvolutionalAutoencoder batch_norm",
    "DeepBeliefNetwork up-down",
    "DeepBeliefNetwork labels",
    "NeighborAutoencoder labels",
    "RBM bernoulli",
    "RBM relu",
    "RBM variances",
    "RBM counts",
    "SemiSupervisedVariationalAutoencoder stacked",
    "VariationalAutoencoder flow",
    "VariationalAutoencoder vamp",
    "VariationalAutoencoder bernoulli",
    "VariationalAutoencoder mixed",
    "VariationalAutoencoder images",
    "TopKAutoencoder batch",
    "VectorQuantizedAutoencoder fsq",
    "VectorQuantizedAutoencoder map",
]
"""Settings whose graphs have other operators than those of their class."""


def run(model, X):
    """The result of a graph, in onnxruntime."""
    session = session_of(model)
    (source,) = session.get_inputs()
    return session.run(None, {source.name: X.astype({"tensor(float)": "f4", "tensor(double)": "f8"}[source.type])})[0]


@pytest.mark.filterwarnings("ignore:X has values outside")
@pytest.mark.parametrize("estimator", [*CLASSES, *SETTINGS], indirect=True)
def test_a_graph_computes_what_the_estimator_does(estimator, X, y, request):
    name = request.node.callspec.params["estimator"]
    if name == "Autoencoder mixed":
        X[:, 3:] = (5 * X[:, 3:]).round()
    X = X.astype("f4")
    estimator.fit(X, target_of(estimator, len(X)))
    for method in METHODS:
        if not hasattr(estimator, method) or (method == "predict" and not hasattr(estimator, "y_mean_")):
            continue
        if (name, method) in REFUSED:
            with pytest.raises(ValueError, match=re.escape(REFUSED[name, method])):
                estimator.to_onnx(method=method)
            continue
        rows = estimator.transform(X) if method == "inverse_transform" else X
        wanted = getattr(estimator, method)(rows)
        model = estimator.to_onnx(method=method)
        for some in (slice(None), slice(3, 4)):
            found = run(model, rows[some])
            assert found.dtype == wanted.dtype
            np.testing.assert_allclose(
                found, wanted[some], rtol=1e-5, atol=1e-5 * np.abs(wanted[np.isfinite(wanted)]).max()
            )

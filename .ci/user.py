"""A user's program. ``.ci/package`` checks its types with ``mypy --strict`` and runs it, with the installed package.

What a type checker must refuse is marked to be ignored, and a mark that is not needed is an error too.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from typing_extensions import assert_type

import skae
from skae import (
    RBM,
    Autoencoder,
    AutoencoderImputer,
    Checkpoint,
    ConditionalVariationalAutoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    NeighborAutoencoder,
    OutlierDetector,
    RecursiveAutoencoder,
    RecursiveAutoencoderClassifier,
    SemiSupervisedAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TableAutoencoder,
    TopKAutoencoder,
    VariationalAutoencoder,
    compare,
    load,
)
from skae.base import Epoch, Positive
from skae.comparison import Comparison
from skae.inspection import (
    FilterDisplay,
    LatentSpaceDisplay,
    LearningCurveDisplay,
    ManifoldDisplay,
    ReconstructionDisplay,
    SampleDisplay,
)
from skae.metrics import code_statistics, neighbors_kept, reconstruction_r2, trustworthiness
from skae.tokens import TokenEncoder
from skae.trees import Tree

mpl.use("agg")

Array = NDArray[Any]
X: NDArray[np.float64] = load_digits().data[:200]
y: NDArray[np.int64] = load_digits().target[:200]
bits = X > 8
folder = Path(tempfile.mkdtemp())


def one_estimator() -> Autoencoder:
    """The first parameter by position, the others by name. A fit gives the class itself, and a code is an array."""
    Autoencoder(n_components=8, likelihood="bernoulli", solver="lbfgs", learning_rate_init=0.01, early_stopping=True)
    Autoencoder(2, random_state=np.random.RandomState(0), batch_size=32, max_iter="auto", max_grad_norm=None)
    Autoencoder(2, hidden_layer_sizes=32, likelihood="categorical", categories=[2, 2])
    Autoencoder(2, checkpoint=folder / "run.skae")
    Autoencoder(2, checkpoint=Checkpoint("run.skae"))
    model = Autoencoder(8, hidden_layer_sizes=(32,), max_iter=2, dropout=0.1, random_state=0)
    assert_type(model.fit(X), Autoencoder)
    assert_type(model.fit(X, y), Autoencoder)
    assert_type(model.fit(pd.DataFrame(X).add_prefix("pixel"), sample_weight=np.ones(len(X))), Autoencoder)
    assert_type(model.fit(X).partial_fit(X[:100]), Autoencoder)
    assert_type(model.transform(X), Array)
    assert_type(model.fit(X).transform(X), Array)
    assert_type(model.fit_transform(X), Array)
    assert_type(model.inverse_transform(model.transform(X)), Array)
    assert_type(model.score(X), float)
    assert_type(model.score_samples(X), Array)
    assert_type(model.n_iter_, int)
    assert_type(model.loss_, float)
    assert_type(model.history_, dict[str, list[float]])
    assert_type(model.n_features_in_, int)
    assert_type(model.mean_, Array)
    assert_type(model.get_feature_names_out(), Array)
    assert_type(model.get_params(), dict[str, Any])
    assert_type(model.set_params(max_iter=3), Autoencoder)
    return model


def what_is_refused() -> None:
    """It is not called."""
    Autoencoder("two")  # type: ignore[arg-type]
    Autoencoder(2, likelihood="gausian")  # type: ignore[arg-type]
    Autoencoder(2, n_layers=3)  # type: ignore[call-arg]
    Autoencoder(2, (32,))  # type: ignore[call-arg, arg-type]
    Autoencoder().fit(X).trasform(X)  # type: ignore[attr-defined]
    Autoencoder().fit()  # type: ignore[call-arg]
    Autoencoder().fit(X).n_iter_ + "epochs"  # type: ignore[operator]
    Variant(2, kind="l3")  # type: ignore[arg-type]
    compare(X, y, cv=3, n_component=[1])  # type: ignore[call-arg]


def all_kinds() -> None:
    """One of each family, and what it alone has."""
    assert_type(SparseAutoencoder(16, penalty="kl", sparsity=0.1, max_iter=2).fit(X), SparseAutoencoder)
    assert_type(SparseAutoencoder(max_iter=2).fit(X).components_, Array)
    assert_type(TopKAutoencoder(32, k=4, max_iter=2).fit(X), TopKAutoencoder)
    denoising = DenoisingAutoencoder(4, corruption="masking", corruption_level=0.3, max_iter=2)
    assert_type(denoising.fit(X), DenoisingAutoencoder)
    assert_type(ConvolutionalAutoencoder(4, image_shape=(8, 8), max_iter=2).fit(X), ConvolutionalAutoencoder)
    assert_type(NeighborAutoencoder(2, max_iter=2).fit(X), NeighborAutoencoder)
    assert_type(VariationalAutoencoder(2, max_iter=2).fit(X).sample(5), Array)
    assert_type(ConditionalVariationalAutoencoder(2, max_iter=2).fit(X, y).sample(2, y=[3, 4]), Array)
    classifier = SemiSupervisedAutoencoder(8, max_iter=2).fit(X, y)
    assert_type(classifier, SemiSupervisedAutoencoder)
    assert_type(classifier.predict(X), Array)
    assert_type(classifier.predict_proba(X), Array)
    assert_type(classifier.classes_, Array)
    assert_type(FineTunedClassifier(Autoencoder(8, max_iter=2), max_iter=2).fit(X, y).predict(X), Array)
    assert_type(OutlierDetector(Autoencoder(8, max_iter=2)).fit(X).explain(X), Array)
    assert_type(RBM(16, max_iter=2).fit(bits), RBM)
    assert_type(RBM(16, max_iter=2).fit(bits).sample(3), Array)
    assert_type(RBM(16, max_iter=2).fit(bits).log_partition_, float)
    assert_type(DeepBeliefNetwork(hidden_layer_sizes=(16, 8), max_iter=2).fit(bits), DeepBeliefNetwork)
    assert_type(DeepBoltzmannMachine(hidden_layer_sizes=(16, 8), max_iter=2).fit(bits), DeepBoltzmannMachine)
    stack = StackedAutoencoder([Autoencoder(16, max_iter=2), Autoencoder(4, max_iter=2)], max_iter=2)
    assert_type(stack.fit(X), StackedAutoencoder)
    assert_type(stack.transform(X), Array)
    frame = pd.DataFrame({"size": [1.0, 2.0, 3.0, 4.0] * 9, "colour": ["red", "blue", "red"] * 12})
    assert_type(TableAutoencoder(1).fit(frame), TableAutoencoder)
    assert_type(TableAutoencoder(1).fit(frame).transform(frame), Array)
    assert_type(AutoencoderImputer().fit(X).transform(X), Array)
    trees = [Tree.from_brackets("(1 (0 a) (1 b))"), Tree.of(("a", ("b", "c")))] * 9
    assert_type(RecursiveAutoencoder(4, max_iter=2).fit(trees).transform(trees), Array)
    classified = RecursiveAutoencoderClassifier(4, max_iter=2).fit(trees, [0, 1] * 9)
    assert_type(classified.predict(trees), Array)
    TokenEncoder().fit_transform([["the", "cat"], ["a", "dog"]])


def with_scikit_learn(model: Autoencoder) -> None:
    """Pipelines, searches, scores and comparisons."""
    pipeline = make_pipeline(Autoencoder(4, max_iter=2), PCA(2))
    GridSearchCV(pipeline, {"autoencoder__n_components": [2, 4]}, cv=2).fit(X)
    assert_type(reconstruction_r2(model, X), float)
    assert_type(trustworthiness(model, X), float)
    assert_type(neighbors_kept(X, model.transform(X)), Array)
    code_statistics(model, X)
    compared = compare(X, y, [Autoencoder(max_iter=2)], n_components=[1, 2], cv=2, random_state=0)
    assert_type(compared, Comparison)
    assert len(compared.rows) > 2


def pictures(model: Autoencoder) -> None:
    """Displays are made by ``from_estimator``, which gives the class itself."""
    assert_type(LearningCurveDisplay.from_estimator(model), LearningCurveDisplay)
    assert_type(LatentSpaceDisplay.from_estimator(model, X, y), LatentSpaceDisplay)
    assert_type(LatentSpaceDisplay.from_estimator(model, X).plot(), LatentSpaceDisplay)
    assert_type(ReconstructionDisplay.from_estimator(model, X, image_shape=(8, 8)), ReconstructionDisplay)
    FilterDisplay.from_estimator(SparseAutoencoder(max_iter=2).fit(X), image_shape=(8, 8))
    ManifoldDisplay.from_estimator(Autoencoder(2, max_iter=2).fit(X), X, image_shape=(8, 8))
    SampleDisplay.from_estimator(VariationalAutoencoder(2, max_iter=2).fit(X), image_shape=(8, 8))


def watch(epoch: Epoch) -> bool:
    """A callback."""
    assert_type(epoch.number, int)
    assert_type(epoch.terms, dict[str, float])
    return epoch.terms["loss"] < 0.1


class Variant(Autoencoder):
    """An autoencoder with another default, and two parameters more.

    Parameters
    ----------
    n_components : int, default=4
        As in ``Autoencoder``.
    strength : float, default=0.1
        Weight of the penalty.
    kind : {"l1", "l2"}, default="l1"
        Kind of the penalty.
    """

    n_components = 4
    strength: Positive = 0.1
    kind: Literal["l1", "l2"] = "l1"

    def _loss(self, module: Any, batch: Any, rng: Any) -> Any:
        h = self._encode(module, batch)
        penalty = (h.abs() if self.kind == "l1" else h.square()).mean()
        return super()._loss(module, batch, rng) | {"penalty": self.strength * penalty}


def files(model: Autoencoder) -> None:
    """Any estimator may be in a file, so ``load`` gives Any."""
    model.save(folder / "model.skae")
    again: Autoencoder = load(str(folder / "model.skae"))
    assert np.array_equal(again.transform(X), model.transform(X))
    variant = Variant(3, strength=0.2, kind="l2", max_iter=2, callback=watch).fit(X)
    assert_type(variant, Variant)
    assert_type(variant.strength, float)
    variant.save(folder / "variant.skae")
    assert load(folder / "variant.skae", classes=[Variant]).kind == "l2"
    assert_type(skae.trusted_types(), list[str])


if __name__ == "__main__":
    fitted = one_estimator()
    all_kinds()
    with_scikit_learn(fitted)
    pictures(fitted)
    files(fitted)

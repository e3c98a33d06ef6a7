"""scikit-learn's own checks, on each class once."""

import warnings

import pytest
from contract.tables import CLASSES, every_class
from sklearn.base import clone
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import skae
from skae import (
    RBM,
    AdversarialAutoencoder,
    AdversariallyRegularizedAutoencoder,
    Autoencoder,
    AutoencoderImputer,
    BidirectionalGAN,
    ConditionalVariationalAutoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    MixtureVariationalAutoencoder,
    MultimodalDeepBoltzmannMachine,
    NeighborAutoencoder,
    OutlierDetector,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
    SemiSupervisedVariationalAutoencoder,
    SparseAutoencoder,
    StackedAutoencoder,
    TableAutoencoder,
    TopKAutoencoder,
    VariationalAutoencoder,
    VectorQuantizedAutoencoder,
    WassersteinAutoencoder,
)

SHORT = {"max_iter": 5}
ENCODER = Autoencoder(8, hidden_layer_sizes=(32,), **SHORT)
CHECKED = [
    AdversariallyRegularizedAutoencoder(**SHORT),
    Autoencoder(),
    AutoencoderImputer(**SHORT),
    AdversarialAutoencoder(**SHORT),
    BidirectionalGAN(**SHORT),
    ConditionalVariationalAutoencoder(**SHORT),
    ContractiveAutoencoder(**SHORT),
    ConvolutionalAutoencoder(image_shape="row", **SHORT),
    DeepBeliefNetwork(4, hidden_layer_sizes=(6,), **SHORT),
    DeepBeliefNetwork(
        16, labels=True, hidden_layer_sizes=(), algorithm="cd", learning_rate_init=0.3, momentum=0.9, max_iter=20
    ),
    DeepBoltzmannMachine(4, hidden_layer_sizes=(6,), **SHORT),
    DeepBoltzmannMachine(
        16, labels=True, hidden_layer_sizes=(), algorithm="cd", learning_rate_init=0.3, momentum=0.9, max_iter=20
    ),
    DenoisingAutoencoder(**SHORT),
    FineTunedClassifier(ENCODER, n_frozen=20, **SHORT),
    FineTunedRegressor(ENCODER, n_frozen=20, **SHORT),
    MixtureVariationalAutoencoder(2, n_clusters=4, max_iter=20),  # a check asks for four columns of predict_proba
    MultimodalDeepBoltzmannMachine(4, hidden_layer_sizes=(6,), pretrain_iter=1, **SHORT),
    NeighborAutoencoder(**SHORT),
    OutlierDetector(),
    RBM(8, **SHORT),
    ReceptiveFieldAutoencoder(**SHORT),
    SemiSupervisedAutoencoder(**SHORT),
    SemiSupervisedAutoencoderRegressor(**SHORT),
    SemiSupervisedVariationalAutoencoder(**SHORT),
    SparseAutoencoder(**SHORT),
    StackedAutoencoder([Autoencoder(k, hidden_layer_sizes=(8,), max_iter=5) for k in (4, 2)], **SHORT),
    TableAutoencoder(estimator=VariationalAutoencoder(**SHORT)),
    TopKAutoencoder(**SHORT),
    VariationalAutoencoder(**SHORT),
    VectorQuantizedAutoencoder(**SHORT),
    WassersteinAutoencoder(**SHORT),
]
"""The first as it is, the others after few epochs. Only of labels that are learnt slowly, more epochs are asked for."""

OF_TREES = {"RecursiveAutoencoder", "RecursiveAutoencoderClassifier"}
"""Classes that take no tables. ``test_trees`` has the checks of them."""

WITHOUT_CODES = {"AutoencoderImputer", "OutlierDetector", "TableAutoencoder"}
"""Classes that promise other things than the contract. Their own tests have the checks that are not yielded."""

BY_HAND = [
    "check_dataframe_column_names_consistency",
    "check_transformer_get_feature_names_out",
    "check_transformer_get_feature_names_out_pandas",
    "check_param_validation",
    "check_set_output_transform",
    "check_set_output_transform_pandas",
    "check_estimators_partial_fit_n_features",
]
"""Checks that scikit-learn runs on its own estimators but does not yield for others."""

OUTPUT = [
    "check_set_output_transform_polars",
    "check_global_output_transform_pandas",
    "check_global_set_output_transform_polars",
]
"""More of them, of what its own wrapper around ``transform`` does once the names of the columns are right."""


def test_every_public_class_is_here():
    public = {name for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")} - OF_TREES
    assert public == {type(estimator).__name__ for estimator in CHECKED}
    assert public - WITHOUT_CODES == set(CLASSES)
    assert all(type(estimator).__name__ == name for name, estimator in CLASSES.items())


@pytest.mark.filterwarnings("ignore")
@parametrize_with_checks(CHECKED)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", BY_HAND)
@every_class()
def test_checks_that_are_not_yielded(estimator, check):
    getattr(estimator_checks, check)(type(estimator).__name__, estimator)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("check", OUTPUT)
def test_checks_of_the_output(check):
    getattr(estimator_checks, check)("Autoencoder", clone(CLASSES["Autoencoder"]))


@every_class()
def test_an_estimator_is_a_step_of_a_pipeline(estimator, X, y):
    """A search clones it and fits it to folds; the pipeline goes back through it where it can."""
    pipe = make_pipeline(StandardScaler(with_mean=False), estimator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # scaled columns leave [0, 1]
        assert cross_val_score(pipe, X, y, cv=2, error_score="raise").shape == (2,)
        H = pipe.fit(X, y).transform(X)
    if hasattr(estimator, "inverse_transform"):
        assert pipe.inverse_transform(H).shape == X.shape

"""Every public estimator enters the shared tests by a row here."""

from skae import (
    RBM,
    Autoencoder,
    ContractiveAutoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    DenoisingAutoencoder,
    FineTunedClassifier,
    FineTunedRegressor,
    ReceptiveFieldAutoencoder,
    SemiSupervisedAutoencoder,
    SemiSupervisedAutoencoderRegressor,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
)

CHECKED = [
    RBM(8, max_iter=10),
    Autoencoder(),
    Autoencoder(dtype="float64"),
    ContractiveAutoencoder(),
    ConvolutionalAutoencoder(image_shape="row"),
    DeepBeliefNetwork(4, hidden_layer_sizes=(6,), max_iter=5),
    DenoisingAutoencoder(),
    FineTunedClassifier(Autoencoder(8, hidden_layer_sizes=(32,), max_iter=10)),
    FineTunedRegressor(Autoencoder(8, hidden_layer_sizes=(32,), max_iter=10)),
    ReceptiveFieldAutoencoder(),
    SemiSupervisedAutoencoder(),
    SemiSupervisedAutoencoderRegressor(),
    SparseAutoencoder(),
    StackedAutoencoder([Autoencoder(k, hidden_layer_sizes=(8,), max_iter=5) for k in (4, 2)], max_iter=10),
    TopKAutoencoder(),
]
"""Instances that pass all of scikit-learn's checks, as they are."""

SMALL = {
    "Autoencoder": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "Autoencoder float64": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, dtype="float64"),
    "Autoencoder batch_norm": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, batch_norm=True),
    "Autoencoder dropout": Autoencoder(hidden_layer_sizes=(8, 8), max_iter=3, random_state=0, dropout=0.3),
    "Autoencoder tied": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, tied_weights=True),
    "Autoencoder bernoulli": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, likelihood="bernoulli"),
    "Autoencoder poisson": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, likelihood="poisson"),
    "Autoencoder lbfgs": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, solver="lbfgs"),
    "Autoencoder input_dropout": Autoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, input_dropout=0.3),
    "ContractiveAutoencoder": ContractiveAutoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0, order=2),
    "ConvolutionalAutoencoder": ConvolutionalAutoencoder(
        image_shape="row", channels=(3, 4), init="random", max_iter=3, random_state=0
    ),
    "ConvolutionalAutoencoder max": ConvolutionalAutoencoder(
        image_shape="row", channels=(4,), pooling="max", tied_weights=True, dropout=0.2, max_iter=3, random_state=0
    ),
    "ConvolutionalAutoencoder batch_norm": ConvolutionalAutoencoder(
        image_shape="row",
        channels=(4,),
        pooling=None,
        batch_norm=True,
        hidden_layer_sizes=(6,),
        max_iter=3,
        random_state=0,
    ),
    "DeepBeliefNetwork": DeepBeliefNetwork(2, hidden_layer_sizes=(4,), n_chains=5, max_iter=3, random_state=0),
    "DeepBeliefNetwork up-down": DeepBeliefNetwork(
        2,
        hidden_layer_sizes=(4, 3),
        layers=[{}, {"hidden": "gaussian"}, {"algorithm": "cd"}],
        visible="bernoulli",
        up_down_iter=3,
        max_iter=3,
        random_state=0,
    ),
    "DenoisingAutoencoder": DenoisingAutoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "DenoisingAutoencoder bert": DenoisingAutoencoder(
        hidden_layer_sizes=(8,), max_iter=3, random_state=0, corruption="bert", walkback=2
    ),
    "FineTunedClassifier": FineTunedClassifier(
        Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3), max_iter=3, random_state=0
    ),
    "FineTunedRegressor": FineTunedRegressor(
        Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3), max_iter=3, random_state=0
    ),
    "ReceptiveFieldAutoencoder": ReceptiveFieldAutoencoder(max_iter=3, random_state=0),
    "ReceptiveFieldAutoencoder lbfgs": ReceptiveFieldAutoencoder(max_iter=3, random_state=0, solver="lbfgs"),
    "RBM": RBM(2, n_chains=5, max_iter=3, random_state=0),
    "RBM bernoulli": RBM(2, visible="bernoulli", algorithm="cd", n_gibbs=2, max_iter=3, random_state=0),
    "RBM tempered": RBM(2, visible="bernoulli", algorithm="pt", n_chains=5, max_iter=3, random_state=0),
    "RBM variances": RBM(2, learn_variances=True, n_chains=5, max_iter=3, random_state=0),
    "RBM relu": RBM(2, visible="bernoulli", hidden="relu", n_chains=5, max_iter=3, random_state=0),
    "RBM counts": RBM(2, visible="softmax", n_chains=5, max_iter=3, random_state=0),
    "SemiSupervisedAutoencoder": SemiSupervisedAutoencoder(2, hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "SemiSupervisedAutoencoderRegressor": SemiSupervisedAutoencoderRegressor(
        2, hidden_layer_sizes=(8,), max_iter=3, random_state=0
    ),
    "SparseAutoencoder": SparseAutoencoder(max_iter=3, random_state=0),
    "SparseAutoencoder kl": SparseAutoencoder(max_iter=3, random_state=0, penalty="kl"),
    "StackedAutoencoder": StackedAutoencoder(
        [Autoencoder(4, hidden_layer_sizes=(8,), max_iter=3), ("top", SparseAutoencoder(2, max_iter=3))],
        max_iter=3,
        random_state=0,
    ),
    "StackedAutoencoder bernoulli": StackedAutoencoder(
        [
            Autoencoder(4, hidden_layer_sizes=(), max_iter=3, likelihood="bernoulli", code_activation="logistic"),
            Autoencoder(2, hidden_layer_sizes=(8,), max_iter=3, likelihood="bernoulli"),
        ],
        max_iter=3,
        random_state=0,
    ),
    "TopKAutoencoder": TopKAutoencoder(2, k=1, max_iter=3, random_state=0, learning_rate_init=1e-3, dead_after=20),
    "TopKAutoencoder batch": TopKAutoencoder(2, k=1, max_iter=3, random_state=0, selection="batch"),
}
"""Quick instances for the properties that every estimator has."""

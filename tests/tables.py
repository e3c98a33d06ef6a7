"""Every public estimator enters the shared tests by a row here."""

from skae import Autoencoder, ContractiveAutoencoder, DenoisingAutoencoder, ReceptiveFieldAutoencoder, SparseAutoencoder

CHECKED = [
    Autoencoder(),
    Autoencoder(dtype="float64"),
    ContractiveAutoencoder(),
    DenoisingAutoencoder(),
    ReceptiveFieldAutoencoder(),
    SparseAutoencoder(),
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
    "DenoisingAutoencoder": DenoisingAutoencoder(hidden_layer_sizes=(8,), max_iter=3, random_state=0),
    "DenoisingAutoencoder bert": DenoisingAutoencoder(
        hidden_layer_sizes=(8,), max_iter=3, random_state=0, corruption="bert", walkback=2
    ),
    "ReceptiveFieldAutoencoder": ReceptiveFieldAutoencoder(max_iter=3, random_state=0),
    "ReceptiveFieldAutoencoder lbfgs": ReceptiveFieldAutoencoder(max_iter=3, random_state=0, solver="lbfgs"),
    "SparseAutoencoder": SparseAutoencoder(max_iter=3, random_state=0),
    "SparseAutoencoder kl": SparseAutoencoder(max_iter=3, random_state=0, penalty="kl"),
}
"""Quick instances for the properties that every estimator has."""

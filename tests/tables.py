"""Every public estimator enters the shared tests by a row here."""

from skae import Autoencoder

CHECKED = [Autoencoder(), Autoencoder(dtype="float64")]
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
}
"""Quick instances for the properties that every estimator has."""

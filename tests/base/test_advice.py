"""The error about a parameter says what to write instead, in names that a user can import."""

import inspect
import re

import numpy as np
import pytest
import torch
from contract.requirements import refuses
from sklearn.decomposition import PCA

import skae
from skae import (
    RBM,
    Autoencoder,
    ConvolutionalAutoencoder,
    DenoisingAutoencoder,
    FineTunedClassifier,
    SparseAutoencoder,
    StackedAutoencoder,
)
from skae.engine.suggestions import ELSEWHERE, suggest

X = np.random.default_rng(0).random((12, 4))
ESTIMATORS = [getattr(skae, name) for name in skae.__all__ if hasattr(getattr(skae, name), "get_params")]
BY_VARIANCE = (
    "PCA then chooses by the variance, but components that are learnt together are not ordered by it: choose a whole "
    "number, the smallest whose held-out score is enough, for example with skae.compare."
)
ALL = (
    "PCA then keeps all components; here choose a whole number, the smallest whose held-out score is enough, for "
    "example with skae.compare."
)


@pytest.mark.parametrize(
    ("estimator", "advice"),
    [
        (Autoencoder(activation="sigmoid"), "Use 'logistic'."),
        (Autoencoder(activation="linear"), "Use 'identity'."),
        (Autoencoder(activation=None), "Use 'identity'."),
        (Autoencoder(activation="ReLU"), "Use 'relu'."),
        (Autoencoder(activation="leaky-relu"), "Use 'leaky_relu'."),
        (Autoencoder(activation="swish"), "Use 'silu'."),
        (Autoencoder(activation=torch.nn.Sigmoid), "Use 'logistic'."),
        (Autoencoder(activation=torch.nn.LeakyReLU()), "Use 'leaky_relu'."),
        (Autoencoder(activation=torch.nn.functional.gelu), "Use 'gelu'."),
        (Autoencoder(activation="tanhh"), "Use 'tanh'."),
        (SparseAutoencoder(code_activation="sigmoid"), "Use 'logistic'."),
        (SparseAutoencoder(code_activation=None), "Use 'auto'."),
        (Autoencoder(likelihood="mse"), "Use 'gaussian'."),
        (Autoencoder(likelihood="bce"), "Use 'bernoulli'."),
        (Autoencoder(likelihood="binary"), "Use 'bernoulli'."),
        (Autoencoder(likelihood="softmax"), "Use 'categorical'."),
        (RBM(visible="categorical"), "Use 'softmax'."),
        (RBM(visible="counts"), "Use 'softmax'."),
        (RBM(algorithm="contrastive divergence"), "Use 'cd'."),
        (RBM(solver="L-BFGS"), None),
        (Autoencoder(solver="L-BFGS"), "Use 'lbfgs'."),
        (Autoencoder(solver=torch.optim.Adam), "Use 'adam'."),
        (Autoencoder(solver="newton"), None),
        (Autoencoder(dtype=np.float64), "Use 'float64'."),
        (Autoencoder(dtype=torch.float32), "Use 'float32'."),
        (Autoencoder(dtype="float16"), "Use 'float32'."),
        (Autoencoder(batch_size=None), "Use 'auto'."),
        (DenoisingAutoencoder(corruption="mask"), "Use 'masking'."),
        (ConvolutionalAutoencoder(pooling="mean"), "Use 'average'."),
        (Autoencoder(0.95), BY_VARIANCE),
        (Autoencoder("mle"), BY_VARIANCE),
        (RBM(None), ALL),
        (
            Autoencoder([8, 4]),
            "It is the width of the code alone. The widths of other layers are in hidden_layer_sizes.",
        ),
        (Autoencoder(np.array([8, 4])), None),
        (Autoencoder(4.0), "Use the whole number 4."),
        (Autoencoder(max_iter=1e3), "Use the whole number 1000."),
        (Autoencoder(2.5), None),
        (Autoencoder(learning_rate=0.1), "The rate itself is learning_rate_init."),
        (Autoencoder(hidden_layer_sizes=None), "Use () for no hidden layers."),
        (Autoencoder(random_state=np.random.default_rng(0)), "Use an int or a numpy.random.RandomState"),
        (Autoencoder(device=torch.device("cpu")), "Use its name, such as 'cpu' or 'cuda:1'."),
        (FineTunedClassifier(PCA()), "Use an estimator of skae, such as Autoencoder(16)."),
    ],
    ids=lambda value: repr(value).partition(" at 0x")[0],
)
def test_what_to_write_instead(estimator, advice):
    sentence = refuses(estimator, "fit", X)
    got, _, told = sentence.partition(" instead.")
    assert re.match(r"The '\w+' parameter of \w+ must be ", got)
    assert (told == "") if advice is None else told.startswith(f" {advice}")


def test_the_name_of_a_device():
    assert refuses(Autoencoder(device="gpu"), "fit", X) == "device='gpu' is not a device: use 'cuda'."
    assert refuses(Autoencoder(device="tpu0"), "fit", X).endswith("use 'auto', 'cpu', 'cuda', 'cuda:1' or 'mps'.")


def test_each_word_from_elsewhere_leads_to_its_option():
    choices = [
        {option for c in allowed for option in getattr(c, "options", ()) if isinstance(option, str)}
        for cls in ESTIMATORS
        for allowed in cls._parameter_constraints.values()
    ]
    choices.append({"auto", "cpu", "cuda", "mps"})
    for option, words in ELSEWHERE.items():
        groups = [group for group in choices if option in group]
        assert groups, f"{option} is no option of any parameter"
        for word in words.split():
            assert any(suggest(word.upper(), group) == option for group in groups), word


PRIVATE = re.compile(r"\._|\b_[a-z]|mtrand|\bskae\.(?!base\.)\w+\.\w|\bskae\.base\.\w+\.\w")
WRONG = [object(), "sigmoid", -1, 0.95, None, [1, "a"], {"a": 1}, int, Autoencoder]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_no_message_shows_a_private_name(cls):
    """A value of the user's own is not ours to rename."""
    first = {"encoder": Autoencoder(2)} if "encoder" in inspect.signature(cls).parameters else {}
    seen, names = 0, list(inspect.signature(cls).parameters)
    for name in names:
        for value in WRONG:
            estimator = cls(**{**first, name: value})
            try:
                estimator._validate_params()
                estimator._check_parameters()
            except (ValueError, TypeError) as error:
                seen += 1
                message = str(error).replace(repr(value), "").replace(str(value), "")
                assert not PRIVATE.search(message), message
    assert seen > 3 * len(names)


def test_classes_are_named_by_the_modules_from_which_users_import_them():
    assert "'skae.base.TorchEstimator' or an instance of 'sklearn.frozen.FrozenEstimator'" in refuses(
        FineTunedClassifier(PCA()), "fit", X
    )
    assert "an instance of 'numpy.random.RandomState' or None" in refuses(Autoencoder(random_state="seed"), "fit", X)


def test_layers_that_are_none_are_told_with_public_names():
    for layers in ([PCA(2)], [0.95], ["wide"], 3):
        assert not PRIVATE.search(refuses(StackedAutoencoder(layers), "fit", X))

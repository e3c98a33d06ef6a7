"""Encoders with a linear head: how they start, and what they predict."""

import pytest
import torch
from torch import nn

from skae.nn.dense import Dense
from skae.nn.heads import DeepHead, FineTunedNetwork, PredictingAutoencoder


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def predicting(likelihood="gaussian", n_predictions=3):
    module = PredictingAutoencoder(
        n_features=6,
        n_components=2,
        n_outputs=6,
        hidden_layer_sizes=(4,),
        activation="tanh",
        code_activation="identity",
        likelihood=likelihood,
        categories=(),
        tied_weights=False,
        projected=False,
        dropout=0.0,
        batch_norm=False,
        n_predictions=n_predictions,
    )
    module.initialise(torch.full((6,), 0.5), seeded())
    return module


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson"])
def test_a_prediction_is_the_sum_of_a_head_on_the_code_and_one_on_what_the_encoder_sees(likelihood):
    module, x = predicting(likelihood), torch.rand(5, 6, generator=seeded(1))
    h = module.encode(x)
    assert torch.equal(module.predict(x, h), torch.zeros(5, 3))
    with torch.no_grad():
        for parameter in (*module.predictor.parameters(), *module.shortcut.parameters()):
            parameter.normal_(generator=seeded(parameter.numel()))
    (v, a), (w, b) = (next(iter(head.layers())) for head in (module.predictor, module.shortcut))
    seen = x if likelihood == "gaussian" else torch.log1p(x)
    torch.testing.assert_close(module.predict(x, h), h @ v.t() + a + seen @ w.t() + b)


def test_nothing_may_be_predicted():
    assert predicting(n_predictions=0).predict(torch.ones(5, 6), torch.ones(5, 2)).shape == (5, 0)


def test_a_fine_tuned_network_starts_with_the_weights_of_its_encoder_and_predicts_zero():
    pretrained = Dense([6, 4, 2], "tanh")
    pretrained.initialise(seeded(1))
    network = FineTunedNetwork(Dense([6, 4, 2], "tanh"), 2, 3)
    for parameter in network.parameters():
        nn.init.constant_(parameter, 9.0)
    network.start(pretrained)
    x = torch.rand(5, 6, generator=seeded(2))
    assert torch.equal(network.encoder(x), pretrained(x))
    assert torch.equal(network.head(network.encoder(x)), torch.zeros(5, 3))
    with torch.no_grad():
        network.encoder.weights[0].zero_()
    assert pretrained.weights[0].any()


def test_a_deep_head_starts_at_zero_and_is_the_sum_of_its_parts():
    head, x = DeepHead(6, (5,), 3, "tanh", 0.5), torch.rand(4, 6, generator=seeded(1))
    head.initialise(seeded())
    assert torch.equal(head(x), torch.zeros(4, 3))
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(generator=seeded(2))
    assert torch.equal(head(x), head.linear(x) + head.network(x))
    noisy = head(x, seeded(3))
    assert torch.equal(noisy, head.linear(x) + head.network(x, seeded(3)))
    assert not torch.equal(noisy, head(x))

"""Networks in one batched computation: each is a plain network, and training starts at the guess."""

import numpy as np
import pytest
import torch

from skae.compose._refinement import Refinement, RefiningNetworks
from skae.nn.stacked_dense import _silencing


@pytest.fixture
def networks():
    rng = torch.Generator().manual_seed(0)
    module = RefiningNetworks(3, n_networks=2, width=5, depth=2, dropout=0.5)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(generator=rng)
    return module


def test_each_network_is_a_plain_one(networks):
    x = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
    found = networks(x)
    for i in range(2):
        a = x
        for weight, bias in zip(networks.weights, networks.biases, strict=True):
            z = a @ weight[i] + bias[i]
            a = z * torch.sigmoid(z)
        torch.testing.assert_close(found[i], x[:, :3] + z)
    assert not torch.allclose(networks(x, torch.Generator().manual_seed(0)), found)  # dropout


def test_dropout_keeps_the_mean():
    mask = _silencing(torch.empty(3, 400, 501), 0.1, torch.Generator().manual_seed(0))
    values, counts = mask.unique(return_counts=True)
    assert values.tolist() == [0.0, pytest.approx(256 / 230)]
    assert counts[0].item() / mask.numel() == pytest.approx(26 / 256, abs=2e-3)
    assert mask.mean().item() == pytest.approx(1.0, abs=3e-3)


def test_only_entries_that_count_are_learnt_from_the_guess_on(rng):
    f, known, x = rng.normal(size=(40, 3)), np.ones((40, 3)), rng.normal(size=(40, 3))
    counted = np.zeros((40, 3))
    X = np.hstack([f, known])
    same = Refinement(max_iter=2, random_state=0).fit(X, np.hstack([x, counted]))
    np.testing.assert_allclose(same.transform(X), f, rtol=1e-5)
    counted[:, 1] = 1.0
    learnt = Refinement(max_iter=40, batch_size=40, dropout=0.0, random_state=0).fit(X, np.hstack([x, counted]))
    error, before = (learnt.transform(X) - x)[:, 1], (f - x)[:, 1]
    assert np.square(error).mean() < 0.5 * np.square(before).mean()
    assert learnt.history_["loss"][0] == pytest.approx(np.square(before).mean(), rel=1e-4)

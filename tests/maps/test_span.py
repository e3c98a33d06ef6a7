"""Rows with more columns than rows are trained in coordinates of the space that they span."""

import numpy as np
import pytest
import torch

from skae import NeighborAutoencoder
from skae.base import Table
from skae.engine.data import Rows
from skae.maps._pairs import Links, Pairs
from skae.maps._span import Span, is_wide
from skae.nn.dense import DenseAutoencoder

FEW = {"hidden_layer_sizes": (8, 5), "max_iter": 4, "random_state": 0, "dtype": "float64"}


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(12, 4)) @ rng.normal(size=(4, 50)) + rng.normal(size=50)


def table(x):
    x = torch.as_tensor(x)
    return Pairs(Table(Rows(x, dtype=x.dtype, device=x.device)), Links(*torch.zeros(3, len(x), dtype=torch.long)))


def test_the_basis_is_that_of_the_rows(rows):
    x = torch.tensor(rows - rows.mean(0))
    basis = Span(x).basis
    assert basis.shape == (4, 50)
    torch.testing.assert_close(basis @ basis.t(), torch.eye(4, dtype=x.dtype))
    torch.testing.assert_close(x @ basis.t() @ basis, x)
    torch.testing.assert_close(Span(x).coordinates(table(x)).x.X, x @ basis.t())


def test_few_rows_of_many_columns_are_wide():
    assert is_wide(table(np.zeros((3, 12))))
    assert not is_wide(table(np.zeros((3, 11))))
    assert not is_wide(table(np.zeros((2001, 8004), dtype=np.float32)))


@pytest.mark.parametrize("tied", [False, True])
def test_a_network_of_coordinates_is_that_of_the_rows(rows, tied):
    """Narrowed and widened, codes and reconstructions of rows stay as they are."""
    x = torch.tensor(rows - rows.mean(0))
    model = NeighborAutoencoder(init="random", tied_weights=tied, **FEW).fit(rows)
    module, spec, span = model.module_, model._spec, Span(x)
    narrow = span.narrow(module, spec)
    z = x @ span.basis.t()
    with torch.no_grad():
        torch.testing.assert_close(narrow.encode(z), module.encode(x))
        torch.testing.assert_close(narrow.decode(narrow.encode(z)) @ span.basis, module.decode(module.encode(x)))
        again = DenseAutoencoder(**spec).double()
        span.widen(narrow, again)
        torch.testing.assert_close(again.encode(x), module.encode(x))


def test_a_fit_leaves_nothing_outside_the_space_of_the_rows(rows):
    basis = Span(torch.tensor(rows - rows.mean(0))).basis.numpy()
    model = NeighborAutoencoder(**FEW).fit(rows)
    W = model.module_.encoder.weight_0.detach().numpy()
    np.testing.assert_allclose(W @ basis.T @ basis, W, atol=1e-12)
    restored = model.inverse_transform(model.transform(rows)) - model.mean_
    np.testing.assert_allclose(restored @ basis.T @ basis, restored, atol=1e-8)


def test_warm_start_and_chunks_go_on_with_the_network_of_the_rows(rows):
    model = NeighborAutoencoder(warm_start=True, **FEW).fit(rows)
    before = model.transform(rows)
    n = len(model.history_["loss"])
    model.set_params(learning_rate_init=1e-9).fit(rows).partial_fit(rows)
    np.testing.assert_allclose(model.transform(rows), before, atol=1e-4)
    assert len(model.history_["loss"]) == 2 * n + 1


@pytest.mark.parametrize("own", [True, False])
def test_a_variant_that_may_look_at_columns_is_trained_on_rows(rows, own):
    widths = set()

    class Variant(NeighborAutoencoder):
        def _reconstruction_and_slope(self, module, eta, batch):
            widths.add(batch.x.shape[1])
            return super()._reconstruction_and_slope(module, eta, batch)

        if own:

            def _corrupt(self, module, batch, rng):
                return super()._corrupt(module, batch, rng)

    Variant(**FEW).fit(rows)
    assert widths == ({50} if own else {4})

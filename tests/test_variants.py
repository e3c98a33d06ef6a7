"""The template holds the families that will be poured into it: a toy of each is fitted here."""

import pickle
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skae import Autoencoder
from skae.base.params import NonNegative, Probability
from skae.base.transformer import TorchTransformer
from skae.engine.data import Batch
from skae.functional import average

QUICK = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}


class Lasso(Autoencoder):
    """Codes with an L1 penalty."""

    sparsity: NonNegative = 0.1

    def _penalties(self, module: Any, batch: Batch, h: Tensor, rng: Any) -> dict[str, Tensor]:
        return {
            **super()._penalties(module, batch, h, rng),
            "sparsity": self.sparsity * average(h.abs().sum(1), batch.weight),
        }


class Masking(Autoencoder):
    """Inputs set to zero at random in training."""

    level: Probability = 0.2

    def _corrupt(self, module: Any, batch: Batch, rng: torch.Generator | None) -> Batch:
        batch = super()._corrupt(module, batch, rng)
        if rng is None:
            return batch
        kept = torch.empty_like(batch.x).bernoulli_(1 - self.level, generator=rng)
        return batch._replace(corrupted=batch.shown * kept)


class SparseMasking(Masking, Lasso):
    """Both, by inheritance."""


def test_recipes_combine_by_inheritance(iris):
    model = SparseMasking(2, sparsity=0.5, level=0.1, **QUICK).fit(iris)
    assert set(model.history_) == {"loss", "reconstruction", "sparsity"}
    assert model.get_params()["level"] == 0.1
    np.testing.assert_array_equal(model.transform(iris), clone(model).fit(iris).transform(iris))


@pytest.mark.parametrize("variant", [Lasso(sparsity=0.0), Masking(level=0.0), SparseMasking(sparsity=0.0, level=0.0)])
@pytest.mark.parametrize("batch_size", [20, 150])
def test_strength_zero_is_the_parent_to_the_last_bit(variant, batch_size, iris):
    options = {"batch_size": batch_size, **QUICK}
    plain = Autoencoder(**options).fit(iris)
    np.testing.assert_array_equal(variant.set_params(**options).fit(iris).transform(iris), plain.transform(iris))


# ------------------------------------------------------------------ a step without back-propagation


class Machine(nn.Module):
    chain: Tensor

    def __init__(self, n_features: int, n_components: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(n_components, n_features))
        self.register_buffer("chain", torch.zeros(10, n_features))

    def hidden(self, v: Tensor) -> Tensor:
        return torch.sigmoid(v @ self.weight.t())

    def visible(self, h: Tensor) -> Tensor:
        return torch.sigmoid(h @ self.weight)


class ToyBoltzmann(TorchTransformer):
    """Persistent contrastive divergence: statistics under the data minus statistics under the model."""

    _Module: ClassVar[type[nn.Module]] = Machine
    _monitor: ClassVar[str | None] = None

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {"n_features": n_features, "n_components": int(self.n_components)}

    def _initialise(self, module: Machine, data: Any, rng: torch.Generator) -> None:
        with torch.no_grad():
            module.weight.normal_(0, 0.1, generator=rng)

    def _standardizes(self) -> bool:
        return False

    def _step(self, module: Machine, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        with torch.no_grad():
            h = module.hidden(batch.x)
            up = torch.bernoulli(module.hidden(module.chain), generator=rng)
            module.chain.copy_(torch.bernoulli(module.visible(up), generator=rng))
            model = module.hidden(module.chain)
            module.weight.grad.add_(model.t() @ module.chain / len(model) - h.t() @ batch.x / len(h))
            return {"reconstruction": (module.visible(h) - batch.x).square().sum(1).mean()}

    def _encode(self, module: Machine, x: Tensor) -> Tensor:
        return module.hidden(x)

    def _decode(self, module: Machine, h: Tensor) -> Tensor:
        return module.visible(h)


def test_a_machine_writes_its_own_gradient_and_keeps_its_chain(digits):
    X = (digits > 8).astype(float)
    model = ToyBoltzmann(16, learning_rate_init=0.01, batch_size=50, max_iter=20, random_state=0).fit(X)
    assert model.history_["reconstruction"][-1] < 0.9 * model.history_["reconstruction"][0]
    chain = pickle.loads(pickle.dumps(model)).module_.chain
    assert chain.any()
    assert torch.equal(chain, model.module_.chain)
    assert model.transform(X).shape == (400, 16)
    assert model.partial_fit(X).n_iter_ == 21


# ------------------------------------------------------------------ X that is no table


class Forest:
    """Nested tuples of vectors; a batch is packed by a gather of its leaves' sums."""

    def __init__(self, trees: Sequence[Any], width: int) -> None:
        self.trees, self.shape = trees, (len(trees), width)

    def __len__(self) -> int:
        return len(self.trees)

    def __getitem__(self, index: Any) -> Batch:
        trees = self.trees[index] if isinstance(index, slice) else [self.trees[i] for i in index.tolist()]
        return torch.from_numpy(np.array([self.total(tree) for tree in trees], dtype=np.float32))

    def total(self, tree: Any) -> np.ndarray:
        return sum(map(self.total, tree)) if isinstance(tree, tuple) else np.asarray(tree, float)


class ToyTrees(Autoencoder):
    """Reconstructs the sum of a tree's leaves."""

    def _check_x(self, X: Any, *, reset: bool, look_through: bool = True) -> Forest:
        if not isinstance(X, list):
            raise TypeError("X must be a list of trees.")
        forest = Forest(X, 3)
        if reset:
            self.n_features_in_ = 3
        return forest

    def _measure(self, X: Forest, y: Any, weight: Any) -> None:
        self.mean_, self.scale_, self._centred = np.zeros(3), 1.0, False

    def _rows(self, X: Forest, dtype: Any, device: Any, resident: bool = False) -> Any:
        return X

    def _rows_are_independent(self) -> bool:
        return False  # there are no equal rows to look for

    def _table(self, X: Forest, y: Any, weight: Any, device: Any) -> Any:
        return Trees(X)


class Trees:
    def __init__(self, forest: Forest) -> None:
        self.x, self.weight = forest, None

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, index: Any) -> Batch:
        return Batch(self.x[index])


def test_x_may_be_a_list_of_trees(rng):
    trees = [((rng.random(3), rng.random(3)), rng.random(3)) if i % 2 else rng.random(3) for i in range(40)]
    model = ToyTrees(2, init="random", batch_size=7, **QUICK).fit(trees)
    assert model.transform(trees).shape == (40, 2)
    with pytest.raises(TypeError, match="a list of trees"):
        model.fit(np.ones((3, 3)))


# ------------------------------------------------------------------ batches of (X, y), some rows unlabelled


class ToySemiSupervised(Autoencoder):
    """A code that also predicts a number where it is known."""

    def _targets(self, y: Any, n_samples: int) -> Tensor:
        return torch.as_tensor(np.asarray(y), dtype=torch.float32)

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        known = ~torch.isnan(batch.y)
        h = module.encode(batch.x, rng)
        error = torch.where(known, h[:, 0] - torch.nan_to_num(batch.y), 0.0).square().mean()
        return {**super()._loss(module, batch, rng), "prediction": 10 * error}


def test_a_loss_may_use_y_of_which_some_is_unknown(iris):
    X, y = iris[:, :3], iris[:, 3].copy()
    y[::3] = np.nan
    model = ToySemiSupervised(2, hidden_layer_sizes=(16,), max_iter=60, random_state=0, early_stopping=True).fit(X, y)
    assert set(model.history_) == {"loss", "reconstruction", "prediction", "validation_loss"}
    assert np.corrcoef(model.transform(X)[::3, 0], iris[::3, 3])[0, 1] > 0.9


# ------------------------------------------------------------------ several modules in turn


class Duel(nn.Module):
    def __init__(self, n_features: int, n_components: int) -> None:
        super().__init__()
        self.encoder = nn.Parameter(torch.zeros(n_features, n_components))
        self.decoder = nn.Parameter(torch.zeros(n_components, n_features))
        self.critic = nn.Parameter(torch.zeros(n_components, 1))


class ToyAdversarial(TorchTransformer):
    """Each group of parameters gets its gradient from its own loss, in one step."""

    _Module: ClassVar[type[nn.Module]] = Duel
    _monitor: ClassVar[str | None] = None

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {"n_features": n_features, "n_components": int(self.n_components)}

    def _initialise(self, module: Duel, data: Any, rng: torch.Generator) -> None:
        with torch.no_grad():
            for parameter in module.parameters():
                parameter.normal_(0, 0.1, generator=rng)

    def _step(self, module: Duel, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        h = batch.x @ module.encoder
        prior = torch.empty_like(h).normal_(generator=rng)
        reconstruction = (h @ module.decoder - batch.x).square().sum(1).mean()
        fooling = (h @ module.critic).mean()
        telling = (prior @ module.critic).mean() - (h.detach() @ module.critic).mean()
        groups = [([module.encoder, module.decoder], reconstruction + fooling), ([module.critic], telling)]
        for parameters, loss in groups:
            for parameter, gradient in zip(
                parameters, torch.autograd.grad(loss, parameters, retain_graph=True), strict=True
            ):
                parameter.grad.add_(gradient)
        return {"reconstruction": reconstruction, "fooling": fooling, "telling": telling}

    def _encode(self, module: Duel, x: Tensor) -> Tensor:
        return x @ module.encoder

    def _decode(self, module: Duel, h: Tensor) -> Tensor:
        return h @ module.decoder


def test_modules_trained_in_turn_share_one_step(iris):
    model = ToyAdversarial(2, learning_rate_init=0.01, max_iter=100, batch_size=30, random_state=0).fit(iris)
    assert model.history_["reconstruction"][-1] < 0.5 * model.history_["reconstruction"][0]
    assert model.history_["telling"][-1] != 0


# ------------------------------------------------------------------ pretraining layer by layer


class ToyStacked(Autoencoder):
    """Its first layer is that of a shallow autoencoder, fitted before."""

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        first = Autoencoder(
            module.encoder.weights[0].shape[0],
            hidden_layer_sizes=(),
            code_activation=self.activation,
            max_iter=3,
            random_state=int(torch.randint(2**31 - 1, (), generator=rng)),
        )
        first.fit(data.x[slice(None)])
        with torch.no_grad():
            module.encoder.weights[0].copy_(first.module_.encoder.weights[0])


def test_pretraining_is_a_matter_of_the_start(iris):
    options = {**QUICK, "init": "random"}
    stacked, plain = ToyStacked(2, **options).fit(iris), Autoencoder(2, **options).fit(iris)
    assert not np.array_equal(stacked.transform(iris), plain.transform(iris))
    np.testing.assert_array_equal(stacked.transform(iris), clone(stacked).fit(iris).transform(iris))

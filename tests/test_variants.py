"""The template holds the families that will be poured into it: a toy of each is fitted here.

No toy overrides more than three hooks; ``test_toys_override_three_hooks_at_most`` counts them.
"""

import pickle
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from sklearn.base import clone
from torch import Tensor, nn

from skae import RBM, Autoencoder
from skae.base import (
    Arrays,
    Batch,
    Bottleneck,
    Frame,
    Generative,
    Move,
    NonNegative,
    Probability,
    Run,
    Source,
    TorchEstimator,
    TorchTransformer,
    average,
    backward,
    standard_normal,
)
from skae.energy.harmonium import Harmonium
from skae.energy.layers import Part
from skae.engine.optim import Flat, Optimizer
from skae.engine.train import Plan, minimise
from skae.nn.dense import Dense, DenseAutoencoder

QUICK = {"hidden_layer_sizes": (6,), "max_iter": 4, "random_state": 0}


class Lasso(Autoencoder):
    """Codes with an L1 penalty, whose gradient autograd finds."""

    sparsity: NonNegative = 0.1

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: Any) -> Bottleneck:
        def penalised(h: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            return h, {"sparsity": self.sparsity * average(h.abs().sum(1), batch.weight)}

        return super()._bottleneck(module, batch, e, rng).by_autograd(penalised)


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


def steps_of(model, X, y=None):
    """Gradients and terms of the estimator's own step and of autograd through ``_loss``, with the same noise."""
    model.fit(X, y)
    data = model._seen(model._source(X, y), model._flat.theta.dtype, model._flat.theta.device)
    batch, found = data[slice(0, len(X))], []
    for step in (model._step, lambda *arguments: TorchEstimator._step(model, *arguments)):
        model._flat.grad.zero_()
        terms = step(model.module_, batch, torch.Generator().manual_seed(1))
        found.append((model._flat.grad.clone(), terms))
    return found


def require_same_step(model, X, y=None):
    (by_hand, terms), (by_autograd, expected) = steps_of(model, X, y)
    torch.testing.assert_close(by_hand, by_autograd)
    assert list(terms) == list(expected)
    for name, term in terms.items():
        torch.testing.assert_close(term.detach(), expected[name].detach())


def test_the_step_of_a_penalty_is_that_of_autograd(iris):
    require_same_step(Lasso(2, sparsity=0.5, dtype="float64", init="random", **QUICK), iris)


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
    """Persistent contrastive divergence: statistics under the data minus statistics under the model.

    It has a module of its own, and so the hooks that every module needs beside the one of its step.
    """

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

    def _encode(self, module: Machine, batch: Batch) -> Tensor:
        return module.hidden(batch.x)

    def _decode(self, module: Machine, h: Tensor, batch: Batch) -> Tensor:
        return module.visible(h)


def test_a_machine_writes_its_own_gradient_and_keeps_its_chain(digits):
    X = (digits > 8).astype(float)
    model = ToyBoltzmann(16, learning_rate_init=0.01, batch_size=50, max_iter=20, random_state=0).fit(X)
    assert list(model.history_) == ["reconstruction"]  # which is no objective, so that there is no loss
    assert model.history_["reconstruction"][-1] < 0.9 * model.history_["reconstruction"][0]
    chain = pickle.loads(pickle.dumps(model)).module_.chain
    assert chain.any()
    assert torch.equal(chain, model.module_.chain)
    assert model.transform(X).shape == (400, 16)
    assert model.partial_fit(X).n_iter_ == 21


# ------------------------------------------------------------------ X that is no table


class Forest(Source):
    """Nested tuples of vectors; a row is the sum of a tree's leaves."""

    width = 3

    def __init__(self, trees: list[Any]) -> None:
        self.trees = trees

    def __len__(self) -> int:
        return len(self.trees)

    def __getitem__(self, index: Any) -> Batch:
        trees = self.trees[index] if isinstance(index, slice) else [self.trees[i] for i in index.tolist()]
        return Batch(torch.from_numpy(np.array([self.total(tree) for tree in trees], dtype=np.float32)))

    def total(self, tree: Any) -> np.ndarray:
        return sum(map(self.total, tree)) if isinstance(tree, tuple) else np.asarray(tree, float)


class ToyTrees(Autoencoder):
    """Reconstructs the sum of a tree's leaves."""

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Forest:
        if not isinstance(X, list):
            raise TypeError("X must be a list of trees.")
        return Forest(X)


def test_x_may_be_a_list_of_trees(rng):
    trees = [((rng.random(3), rng.random(3)), rng.random(3)) if i % 2 else rng.random(3) for i in range(40)]
    model = ToyTrees(2, init="random", batch_size=7, **QUICK).fit(trees)
    sums = np.array([Forest(trees).total(tree) for tree in trees])
    codes = model.transform(trees)
    with torch.no_grad():
        expected = model.module_.encode(torch.from_numpy(sums).float())
    np.testing.assert_allclose(codes, expected, rtol=1e-5, atol=1e-6)
    errors = ((model.inverse_transform(codes) - sums) ** 2).sum(1)
    np.testing.assert_allclose(model.score_samples(trees), -errors, rtol=1e-4)
    watched = clone(model).set_params(early_stopping=True).fit(trees)
    assert len(watched.history_["validation_loss"]) == 4
    assert model.partial_fit(trees[:9]).n_iter_ == 5
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).transform(trees), model.transform(trees))
    with pytest.raises(TypeError, match="a list of trees"):
        model.fit(np.ones((3, 3)))


# ------------------------------------------------------------------ a condition, or a partly known y, in the batch


class ToyConditional(Autoencoder):
    """The first components of the code are the condition itself."""

    def _targets(self, y: Any, n_samples: int, weight: Any, reset: bool | None) -> np.ndarray:
        return np.eye(3)[np.asarray(y)]

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: Any) -> Bottleneck:
        def told(h: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
            return torch.cat([batch.y, h[:, 3:]], 1), {}

        return super()._bottleneck(module, batch, e, rng).by_autograd(told)

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        return torch.cat([batch.y, module.encode(batch.x)[:, 3:]], 1)

    def transform(self, X: Any, y: Any = None) -> Any:
        return self._map(self._encode, X, y, like=X)


def test_a_condition_is_in_the_batch(iris):
    y = np.repeat([0, 1, 2], 50)
    options = {"init": "random", "hidden_layer_sizes": (16,), "learning_rate_init": 0.01, "max_iter": 60}
    model = ToyConditional(4, batch_size=30, random_state=0, **options).fit(iris, y)
    codes = model.transform(iris, y)
    np.testing.assert_array_equal(codes[:, :3], np.eye(3)[y])
    other = model.transform(iris, 2 - y)
    np.testing.assert_array_equal(other[:, 3:], codes[:, 3:])
    errors = ((model.inverse_transform(codes) - iris) ** 2).sum()
    assert model.score(iris, y) == pytest.approx(1 - errors / ((iris - iris.mean(axis=0)) ** 2).sum())
    assert model.score(iris, y) > 0.9 > model.score(iris, 2 - y)


def test_the_step_of_a_condition_is_that_of_autograd(iris):
    model = ToyConditional(4, init="random", dtype="float64", **QUICK)
    require_same_step(model, iris, np.repeat([0, 1, 2], 50))


class ToySemiSupervised(Autoencoder):
    """A code that also predicts a number where it is known."""

    def _targets(self, y: Any, n_samples: int, weight: Any, reset: bool | None) -> np.ndarray:
        return np.asarray(y)[:, None]

    def _loss(self, module: Any, batch: Batch, rng: torch.Generator | None) -> dict[str, Tensor]:
        known = ~torch.isnan(batch.y)
        h = module.encode(batch.x, rng)
        error = torch.where(known, h[:, :1] - torch.nan_to_num(batch.y), 0.0).square().mean()
        return {**super()._loss(module, batch, rng), "prediction": 10 * error}


def test_a_loss_may_use_y_of_which_some_is_unknown(iris):
    X, y = iris[:, :3], iris[:, 3].copy()
    y[::3] = np.nan
    model = ToySemiSupervised(2, hidden_layer_sizes=(16,), max_iter=60, random_state=0, early_stopping=True).fit(X, y)
    assert set(model.history_) == {"loss", "reconstruction", "prediction", "validation_loss"}
    assert np.corrcoef(model.transform(X)[::3, 0], iris[::3, 3])[0, 1] > 0.9


# ------------------------------------------------------------------ adversaries that move in turn


class CriticisedAutoencoder(DenseAutoencoder):
    """An autoencoder, a critic of its codes that learns twice as fast, and a count of their steps."""

    n_steps: Tensor

    def _make_layers(self) -> None:
        super()._make_layers()
        self.critic = Dense([self.n_components, 8, 1], "relu")
        for parameter in self.critic.parameters():
            parameter.part, parameter.rate = "critic", 2.0
        self.register_buffer("n_steps", torch.zeros((), dtype=torch.long))

    def initialise(self, mean: Tensor, rng: torch.Generator) -> None:
        super().initialise(mean, rng)
        self.critic.initialise(rng)


class ToyAdversarial(Autoencoder):
    """Codes that a critic cannot tell from a normal prior; it moves five times for each move of the autoencoder."""

    _Module: ClassVar[type[nn.Module]] = CriticisedAutoencoder
    _monitor: ClassVar[str | None] = None
    _betas: ClassVar[tuple[float, float]] = (0.5, 0.999)

    def _step(self, module: CriticisedAutoencoder, batch: Batch, rng: torch.Generator) -> Move:
        module.n_steps += 1
        h = module.encode(batch.x, rng)
        judged = module.critic(h).mean()
        if module.n_steps % 6:
            prior = module.critic(torch.empty_like(h).normal_(generator=rng)).mean()
            return Move(backward({"telling": judged - prior}, module.critic.parameters()), ("critic",))
        own = [p for p in module.parameters() if getattr(p, "part", "main") == "main"]
        reconstruction = module.likelihood.loss(module.decode(h, rng), batch.x)
        return Move(backward({"reconstruction": reconstruction, "fooling": -judged}, own), ("main",))


def test_a_critic_moves_five_times_for_each_move_of_its_generator(iris, monkeypatch):
    moves = []
    step = ToyAdversarial._step

    def watched(self, module, batch, rng):
        before = self._flat.theta.clone()
        moves.append((step(self, module, batch, rng), before, self._flat))
        return moves[-1][0]

    monkeypatch.setattr(ToyAdversarial, "_step", watched)
    model = ToyAdversarial(2, batch_size=15, max_iter=6, random_state=0, **{"hidden_layer_sizes": (6,)}).fit(iris)
    assert [move.parts for move, *_ in moves] == ([("critic",)] * 5 + [("main",)]) * 10
    of_critic, of_main = (model._flat.groups_of([part])[0].span for part in ("critic", "main"))
    after = [before for _, before, _ in moves[1:]]
    for (move, before, _), later in zip(moves, after, strict=False):
        still, moved = (of_main, of_critic) if move.parts == ("critic",) else (of_critic, of_main)
        assert torch.equal(before[still], later[still])
        assert not torch.equal(before[moved], later[moved])
    assert "loss" not in model.history_
    assert np.isfinite(model.transform(iris)).all()
    assert model._optimizer.beta1 == 0.5


# ------------------------------------------------------------------ noise in a bottleneck by hand


class ToyVariational(Generative, Autoencoder):
    """h = mu + sigma eps, with the Gaussian divergence in closed form, and a gradient by hand."""

    def _architecture(self, n_features: int) -> dict[str, Any]:
        return {**super()._architecture(n_features), "n_moments": 2}

    def _bottleneck(self, module: Any, batch: Batch, e: Tensor, rng: Any) -> Bottleneck:
        mu, log_variance = e.chunk(2, 1)
        sigma, eps, n = (log_variance / 2).exp(), standard_normal(mu, rng), len(e)
        kl = 0.5 * (mu.square() + sigma.square() - 1 - log_variance).sum(1)

        def backward_by_hand(g: Tensor) -> Tensor:
            return torch.cat([g + mu / n, g * eps * sigma / 2 + (sigma.square() - 1) / (2 * n)], 1)

        return Bottleneck(mu + sigma * eps, {"divergence": kl.mean()}, backward_by_hand)

    def _encode(self, module: Any, batch: Batch) -> Tensor:
        return module.encode(batch.x)[:, : int(self.n_components)]

    def _log_likelihood(self, module: Any, batch: Batch) -> Tensor:
        h = self._bottleneck(module, batch, module.encode(batch.x), None).h
        return module.likelihood.log_likelihood(module.decode(h), batch.x)


@pytest.mark.parametrize("init", ["pca", "random"])
def test_the_step_of_a_noisy_bottleneck_is_that_of_autograd(init, iris):
    require_same_step(ToyVariational(2, init=init, dtype="float64", **QUICK), iris)


def test_without_a_generator_all_rows_and_calls_have_the_same_noise(iris):
    options = {"max_iter": 20, "early_stopping": True, "init": "random", "random_state": 0}
    model = ToyVariational(2, hidden_layer_sizes=(16,), **options).fit(iris)
    assert model.history_["validation_loss"][-1] < model.history_["validation_loss"][0]
    scores = model.score_samples(iris)
    np.testing.assert_array_equal(scores, model.score_samples(iris))
    np.testing.assert_allclose(model.score_samples(iris[[140, 3]]), scores[[140, 3]], rtol=1e-4)
    assert model.transform(iris).shape == (150, 2)
    assert model.score(iris) == pytest.approx(scores.mean())


# ------------------------------------------------------------------ two modalities, of which one may be missing


class Modalities(Arrays):
    """A table whose missing entries count nothing; each column has a scale of its own."""

    def __init__(self, X: np.ndarray) -> None:
        super().__init__(np.nan_to_num(X))
        self.known = ~np.isnan(X)
        self.raw = X

    def moments(self) -> Any:
        return np.nanmean(self.raw, axis=0), np.nanstd(self.raw, axis=0)

    def seen(self, frame: Frame, *placing: Any) -> Source:
        return Masked(super().seen(frame, *placing), self.known)


class Masked(Source):
    def __init__(self, table: Any, known: np.ndarray) -> None:
        self.table, self.known, self.width, self.x = table, torch.from_numpy(known).float(), table.width, table.x

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: Any) -> Batch:
        batch, known = self.table[index], self.known[index]
        return batch._replace(x=batch.x * known, emphasis=known)


class ToyModalities(Autoencoder):
    """Reconstructs what is known of each row."""

    def _source(self, X: Any, y: Any = None, weight: Any = None, reset: bool | None = None) -> Modalities:
        return Modalities(np.asarray(X, dtype=float))


def test_a_modality_may_be_missing_and_columns_have_scales_of_their_own(iris):
    X = iris * [1.0, 1.0, 100.0, 100.0]
    X[::2, 2:] = np.nan  # every second row lacks the second modality
    options = {"init": "random", "hidden_layer_sizes": (16,), "learning_rate_init": 0.01, "max_iter": 60}
    model = ToyModalities(2, batch_size=50, random_state=0, **options).fit(X)
    np.testing.assert_allclose(model.scale_, np.nanstd(X, axis=0))
    restored = model.inverse_transform(model.transform(X))
    errors = (restored - X) / model.scale_
    assert np.isfinite(restored).all()
    assert np.nanmean(errors**2) < 0.1  # of one, which the means would leave
    data = model._seen(model._source(X), torch.float32, torch.device("cpu"))
    loss = model._mean_loss(data)
    assert loss == pytest.approx(np.nansum(errors**2) / len(X), rel=1e-4)  # what is missing costs nothing


# ------------------------------------------------------------------ a machine of two layers


class ToyDeepMachine(RBM):
    """A deep Boltzmann machine x - h1 - h2: a harmonium with x and h2 on one side, and h1 on the other."""

    def _new_module(self) -> Harmonium:
        spec = self._spec
        visible = [Part("bernoulli", spec["n_features"]), Part("bernoulli", 2), Part("bernoulli", 2)]
        hidden = [Part("bernoulli", spec["n_components"] - 2), Part("bernoulli", 2)]
        return Harmonium(visible=visible, hidden=hidden, absent=[(1, 0), (1, 1)], chain_shape=spec["chain_shape"])

    def _initialise(self, module: Harmonium, data: Any, rng: torch.Generator) -> None:
        mean = torch.full((module.visible.width,), 0.5)
        module.initialise(mean, torch.ones(module.visible.width), 0.1, rng)

    def _step(self, module: Harmonium, batch: Batch, rng: torch.Generator) -> dict[str, Tensor]:
        with torch.no_grad():  # states of the layers above, given the rows
            above = torch.full((len(batch.x), 4), 0.5)
            for _ in range(3):
                s = torch.cat([batch.x, above], 1)
                above = module.visible_mean(module.hidden_mean(s))[:, -4:]
        return super()._step(module, Batch(torch.cat([batch.x, above], 1), batch.weight), rng)


def test_a_machine_of_several_layers_is_a_masked_harmonium(digits):
    X = (digits[:, 18:26] > 8).astype(float)
    model = ToyDeepMachine(6, visible="bernoulli", early_stopping=False, max_iter=5, random_state=0)
    model._examine = lambda train, held_out: {}
    data = model._source(X, reset=True)
    model._rng = torch.Generator().manual_seed(0)
    model._measure(data)
    model._conclude = model._failure = lambda data: None
    model._learn_seen(model._seen(data, torch.float32, torch.device("cpu"), resident=True), Run())
    weight = model.module_.weight
    assert weight.shape == (6, 12)
    assert weight[4:, :10].abs().max() == 0.0  # h3 sees neither x nor h2's neighbours
    assert weight[:4].abs().min() > 0.0


# ------------------------------------------------------------------ layers that are learnt before the whole


class ToyStacked(Autoencoder):
    """Its first layer is that of a shallow autoencoder, fitted before."""

    def _pretrain(self, data: Any, run: Run) -> None:
        if not run.resume:
            seed = int(torch.randint(2**31 - 1, (), generator=self._rng))
            layer = Autoencoder(6, hidden_layer_sizes=(), code_activation="silu", max_iter=3, random_state=seed)
            self.first_ = layer.fit(data.X, sample_weight=data.weight)

    def _initialise(self, module: Any, data: Any, rng: torch.Generator) -> None:
        super()._initialise(module, data, rng)
        with torch.no_grad():
            module.encoder.weights[0].copy_(self.first_.module_.encoder.weights[0])


def test_layers_are_learnt_before_the_whole(iris):
    options = {**QUICK, "init": "random", "max_iter": 1, "learning_rate_init": 1e-12}
    stacked = ToyStacked(2, **options).fit(iris)
    first = stacked.first_.module_.encoder.weights[0]
    torch.testing.assert_close(stacked.module_.encoder.weights[0], first, rtol=0.0, atol=1e-6)
    np.testing.assert_array_equal(stacked.transform(iris), clone(stacked).fit(iris).transform(iris))


# ------------------------------------------------------------------ the loop


def test_the_loop_trains_on_a_plain_list_of_batches():
    module = Dense([2, 1], "identity")
    module.initialise(torch.Generator().manual_seed(0))
    flat, rng = Flat(module), torch.Generator().manual_seed(0)
    x = torch.randn(6, 5, 2, generator=rng)
    batches = [(part, part @ torch.tensor([[2.0], [-1.0]])) for part in x]

    def step(batch):
        return backward({"error": (module(batch[0]) - batch[1]).square().mean()})

    outcome = minimise(step, batches, flat, Optimizer("sgd"), Plan(batch_size=1, max_iter=60, rate=0.03), rng)
    assert outcome.loss < 1e-3 * outcome.history["loss"][0]


HOOKS = {name for name in dir(Autoencoder) if name.startswith("_") and not name.startswith("__")}


@pytest.mark.parametrize(
    "toy",
    [Lasso, Masking, ToyTrees, ToyConditional, ToyAdversarial, ToyModalities, ToyDeepMachine, ToyStacked],
)
def test_toys_override_three_hooks_at_most(toy):
    functions = {name for name, value in vars(toy).items() if callable(value)}
    assert len(functions & HOOKS) <= 3

"""minimise(): its contract, its optimizers beside torch's, and how it ends."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from sklearn.linear_model import LinearRegression, Ridge
from torch import nn

from skae import Autoencoder
from skae.engine.train import (
    SCHEDULES,
    Flat,
    NonFiniteLossError,
    Optimizer,
    Plan,
    backward,
    batches,
    hold_out,
    minimise,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def scalar(value):
    return torch.tensor(float(value), dtype=torch.float64)


class Counter(nn.Module):
    """One number that ``count`` raises by one a step, and a buffer that goes along."""

    def __init__(self):
        super().__init__()
        self.theta = nn.Parameter(scalar(0))
        self.register_buffer("steps", scalar(0))

    def count(self, **terms):
        self.theta.grad.sub_(1)
        self.steps.add_(1)
        return terms


COUNT = Optimizer("sgd", momentum=0.0)  # with a rate of one


def count_up(term, max_iter=10, data=range(6), batch_size=6, validate=None, **options):
    """Train a Counter whose step returns ``term(theta before the step)``."""
    module = Counter()
    flat = Flat(module)
    data = data if isinstance(data, Bag) else Bag(data)
    if validate is not None:
        options["monitor"] = "validation_loss"
    plan = Plan(batch_size=batch_size, max_iter=max_iter, rate=1.0, **options)
    examine = dict if validate is None else lambda: {"validation_loss": float(validate(module.theta.item()))}
    outcome = minimise(
        lambda batch: module.count(**term(module.theta.item())),
        data,
        flat,
        Optimizer("sgd", momentum=0.0),
        plan,
        seeded(),
        examine,
    )
    return module, outcome


class Bag:
    """Any Python objects as a source."""

    def __init__(self, items):
        self.items = list(items)
        self.asked = []

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        self.asked.append(index.tolist())
        return [self.items[i] for i in index.tolist()]


# ---------------------------------------------------------------- the contract


def tree_sum(tree):
    return tree if not isinstance(tree, tuple) else sum(map(tree_sum, tree))


def test_data_may_be_python_objects_and_steps_may_do_without_autograd():
    trees = Bag([1.0, (2.0, 3.0), ((4.0, 5.0), 6.0), (7.0, (8.0, 9.0)), 10.0])
    flat = Flat(module := Counter())

    def step(batch):
        residual = module.theta.detach() - torch.tensor([tree_sum(tree) for tree in batch], dtype=torch.float64)
        module.theta.grad.add_(residual.mean())
        return {"half square": residual.square().mean() / 2}

    plan = Plan(batch_size=5, max_iter=200, rate=0.5, tol=0.0)
    outcome = minimise(step, trees, flat, Optimizer("sgd", momentum=0.0), plan, seeded())
    sums = [1, 5, 15, 24, 10]
    np.testing.assert_allclose(module.theta.item(), np.mean(sums), rtol=1e-7)
    np.testing.assert_allclose(outcome.loss, np.var(sums) / 2, rtol=1e-12)
    assert list(outcome.history) == ["loss", "half square"]


def test_history_holds_the_mean_of_each_term_over_rows():
    values = np.random.default_rng(0).random(11)
    flat = Flat(module := Counter())
    outcome = minimise(
        lambda batch: module.count(first=scalar(np.mean(batch)), second=scalar(2.0)),
        Bag(values), flat, COUNT, Plan(batch_size=4, max_iter=3, monitor="first"), seeded(),
    )  # fmt: skip
    assert outcome.history["second"] == pytest.approx([2.0] * 3)
    assert outcome.history["first"] == pytest.approx([values.mean()] * 3)
    assert outcome.history["loss"] == pytest.approx([values.mean() + 2] * 3)
    assert outcome.loss == pytest.approx(values.mean())


def test_backward_differentiates_the_sum_of_the_terms():
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    terms = {"a": x.square().sum(), "b": 3 * x.sum()}
    assert backward(terms) is terms
    assert x.grad.tolist() == [5.0, 7.0]


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 40), size=st.integers(1, 45))
def test_batches_hold_every_row_once_and_none_is_left_alone(n, size):
    order = torch.randperm(n, generator=seeded())
    parts = list(batches(n, size, order))
    assert torch.equal(torch.cat(parts), order)
    lengths = [len(part) for part in parts]
    tail = n % size
    if n > size > 1 and tail == 1:
        assert lengths == [size] * (n // size - 1) + [size + 1]
    else:
        assert lengths == [size] * (n // size) + [tail] * (tail > 0)


@pytest.mark.parametrize(("n", "size"), [(7, 3), (3, 10), (9, 4), (1, 1), (4, 4)])
def test_an_epoch_takes_every_row_once_in_an_order_of_its_own(n, size):
    before = torch.get_rng_state()
    asked = []
    for _ in range(2):
        count_up(lambda theta: {"a": scalar(0)}, 3, data := Bag(range(n)), size)
        asked.append(data.asked)
    assert torch.equal(before, torch.get_rng_state())
    assert asked[0] == asked[1]
    # Rows that are one batch are asked for once more, to know the loss of the last weights.
    rows = np.concatenate(asked[0])[: 3 * n].reshape(3, n)
    assert (np.sort(rows, axis=1) == np.arange(n)).all()
    if n > 6:
        assert all((a != b).any() for a, b in pairwise(rows))


def test_rows_keep_their_order_without_shuffling():
    count_up(lambda theta: {"a": scalar(0)}, 2, data := Bag(range(5)), 2, shuffle=False)
    assert data.asked == [[0, 1], [2, 3, 4]] * 2


@pytest.mark.parametrize("fraction", [1e-9, 0.1, 0.25, 0.5, 0.999])
@pytest.mark.parametrize("n", [2, 3, 10, 101])
def test_hold_out_splits_the_rows_in_two(n, fraction):
    train, held = hold_out(Bag(range(n)), fraction, seeded())
    rows = [part[torch.arange(len(part))] for part in (train, held)]
    assert sorted(rows[0] + rows[1]) == list(range(n))
    assert len(held) == np.clip(round(fraction * n), 1, n - 1)


# ---------------------------------------------------------------- rates and rules


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("constant", {0: 1, 0.5: 1, 1: 1}),
        ("cosine", {0: 1, 0.25: (2 + 2**0.5) / 4, 0.5: 0.5, 1: 0}),
        ("one_cycle", {0: 0.04, 0.15: 0.52, 0.3: 1, 0.65: 0.5, 1: 0}),
    ],
)
def test_schedules_go_through_their_landmarks(schedule, rates):
    for t, rate in rates.items():
        np.testing.assert_allclose(SCHEDULES[schedule](t), rate, atol=1e-12)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_the_rate_follows_its_schedule_from_step_to_step(schedule):
    module = count_up(lambda theta: {"a": scalar(0)}, 3, range(8), 2, schedule=schedule, monitor=None)[0]
    np.testing.assert_allclose(module.theta.item(), sum(SCHEDULES[schedule](k / 12) for k in range(12)), rtol=1e-12)


def network():
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=seeded(p.numel()), dtype=torch.float64))
    return module


def residual(module):
    x = torch.randn(6, 4, generator=seeded(1), dtype=torch.float64)
    return {"error": (module(x) - 1).square().sum(1).mean()}


RULES = {
    "adam": (Optimizer("adam"), lambda groups: torch.optim.Adam(groups, lr=0.02)),
    "adam, decay": (Optimizer("adam", weight_decay=0.3), lambda groups: torch.optim.Adam(groups, lr=0.02)),
    "adamw": (Optimizer("adamw"), lambda groups: torch.optim.AdamW(groups, lr=0.02)),
    "adamw, decay": (Optimizer("adamw", weight_decay=0.3), lambda groups: torch.optim.AdamW(groups, lr=0.02)),
    "sgd": (Optimizer("sgd", momentum=0.0), lambda groups: torch.optim.SGD(groups, lr=0.02)),
    "sgd, momentum": (Optimizer("sgd"), lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9)),
    "sgd, momentum, decay": (
        Optimizer("sgd", weight_decay=0.3, momentum=0.5),
        lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.5),
    ),
    "adam, clipped": (Optimizer("adam", max_grad_norm=0.7), lambda groups: torch.optim.Adam(groups, lr=0.02)),
    "sgd, clipped": (
        Optimizer("sgd", max_grad_norm=0.7),
        lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9),
    ),
    "adamw, clipped, decay": (
        Optimizer("adamw", max_grad_norm=0.7, weight_decay=0.3),
        lambda groups: torch.optim.AdamW(groups, lr=0.02),
    ),
}


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
@pytest.mark.parametrize(("ours", "theirs"), RULES.values(), ids=RULES)
def test_twenty_steps_are_those_of_torch(ours, theirs, schedule):
    module, reference = network(), network()
    ours = Optimizer(ours.rule, ours.weight_decay, ours.momentum, ours.max_grad_norm)  # the table stays fresh
    plan = Plan(batch_size=6, max_iter=20, rate=0.02, schedule=schedule, monitor=None)
    outcome = minimise(lambda batch: backward(residual(module)), Bag(range(6)), Flat(module), ours, plan, seeded())
    matrices = {"params": [p for p in reference.parameters() if p.ndim > 1], "weight_decay": ours.weight_decay}
    vectors = {"params": [p for p in reference.parameters() if p.ndim == 1], "weight_decay": 0.0}
    optimizer = theirs([matrices, vectors])
    losses = []
    for k in range(20):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (0.5 * (1 + math.cos(math.pi * k / 20)) if schedule == "cosine" else 1)
        optimizer.zero_grad()
        loss = residual(reference)["error"]
        loss.backward()
        losses.append(loss.item())
        if ours.max_grad_norm is not None:
            nn.utils.clip_grad_norm_(reference.parameters(), ours.max_grad_norm)
        optimizer.step()
    tolerance = 1e-10 if ours.max_grad_norm is None else 1e-5  # torch adds 1e-6 to the norm
    for p, q in zip(module.parameters(), reference.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(outcome.history["error"], losses, rtol=tolerance)


@pytest.mark.parametrize("start", ["zero", "least squares"])
@pytest.mark.parametrize("weight_decay", [0.0, 0.8])
def test_lbfgs_finds_least_squares_and_ridge(weight_decay, start, rng):
    X, y = rng.standard_normal((30, 3)) * [1, 2, 3], 1e4 * (rng.standard_normal(30) + 5)
    x, target = torch.from_numpy(X), torch.from_numpy(y)
    flat = Flat(module := nn.Linear(3, 1).double())
    flat.theta.zero_()
    ordinary = LinearRegression().fit(X, y)
    if start != "zero":
        flat.theta.copy_(torch.tensor([*ordinary.coef_, ordinary.intercept_]))
    minimise(
        lambda batch: backward({"error": (module(x)[:, 0] - target).square().mean()}),
        Bag(range(30)), flat, Optimizer("lbfgs", weight_decay), Plan(30, 200, tol=0.0), seeded(),
    )  # fmt: skip
    # mean square + decay |w|^2 / 2 is scikit-learn's objective over n
    peer = Ridge(alpha=30 * weight_decay / 2, tol=1e-12).fit(X, y) if weight_decay else ordinary
    np.testing.assert_allclose(module.weight.detach()[0], peer.coef_, rtol=1e-6)
    np.testing.assert_allclose(module.bias.detach(), peer.intercept_, rtol=1e-6)


# ---------------------------------------------------------------- the flat buffers


def test_parameters_and_gradients_are_views_of_two_buffers():
    module = network()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    flat = Flat(module)
    assert flat.theta.numel() == flat.grad.numel() == sum(p.numel() for p in before.values())
    assert flat.n_decayed == 4 * 5 + 5 * 3
    for name, p in module.named_parameters():
        assert torch.equal(p, before[name])
        assert p.untyped_storage().data_ptr() == flat.theta.untyped_storage().data_ptr()
        assert p.grad.untyped_storage().data_ptr() == flat.grad.untyped_storage().data_ptr()
    flat.theta.zero_()
    flat.grad.fill_(2)
    assert not any(p.any() for p in module.parameters())
    assert all((p.grad == 2).all() for p in module.parameters())
    backward(residual(module))
    gradient = torch.autograd.grad(residual(module)["error"], list(module.parameters()))
    torch.testing.assert_close([p.grad - 2 for p in module.parameters()], list(gradient))


def test_a_shared_parameter_is_there_once_and_one_may_be_spared_from_decay():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    module[1].weight = module[0].weight
    module[2].weight.decay = False
    flat = Flat(module)
    assert flat.theta.numel() == 9 + 3 + 3 + 6 + 2
    assert flat.n_decayed == 9
    assert module[1].weight is module[0].weight
    flat.theta[:9] = 7.0
    assert (module[1].weight == 7).all()


def test_what_is_saved_can_be_loaded():
    module = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    flat = Flat(module)
    expected = {name: t.clone() for name, t in module.state_dict().items()}
    saved = flat.save()
    flat.theta.add_(1)
    module(torch.randn(5, 3, generator=seeded()))
    flat.load(saved)
    for name, t in module.state_dict().items():
        assert torch.equal(t, expected[name]), name


# ---------------------------------------------------------------- how it ends


def test_the_weights_of_the_best_validation_win():
    module, outcome = count_up(lambda t: {"a": scalar(-t)}, 8, validate=lambda theta: (theta - 3) ** 2)
    assert module.theta.item() == module.steps.item() == 3
    assert outcome.loss == 0
    assert outcome.history["validation_loss"] == [4, 1, 0, 1, 4, 9, 16, 25]
    assert [len(values) for values in outcome.history.values()] == [8] * 3


def test_the_start_wins_if_nothing_is_better():
    module, outcome = count_up(lambda t: {"a": scalar(-t)}, 4, validate=lambda theta: theta)
    assert module.theta.item() == module.steps.item() == 0
    assert outcome.loss == 0


def test_the_weights_of_the_best_epoch_win_without_validation():
    module, outcome = count_up(lambda t: {"a": scalar((t - 9.5) ** 2), "b": scalar(1)}, 6, batch_size=2)
    # Weights stand for the worse of the epochs before and after them, as training may have left the best.
    losses = np.array(outcome.history["loss"])
    worse = np.maximum(losses[:-1], losses[1:])
    best = int(np.argmin(worse))
    assert 0 < best < 4
    assert outcome.loss == worse[best]
    assert module.theta.item() == 3 * (best + 1)


@pytest.mark.parametrize("minimum", [0, 3, 20])
def test_the_loss_of_one_batch_is_that_of_the_weights_that_are_kept(minimum):
    module, outcome = count_up(lambda t: {"a": scalar((t - minimum) ** 2)}, 8)
    assert outcome.loss == (module.theta.item() - minimum) ** 2


@pytest.mark.parametrize("rate", [0.001, 0.3])
def test_training_in_one_batch_is_never_worse_than_its_start(rate):
    X = load_iris().data
    estimator = Autoencoder(1, hidden_layer_sizes=(16,), learning_rate_init=rate, max_iter=20, random_state=0).fit(X)
    start = estimator.history_["loss"][0]
    squares = -estimator.score_samples(X).mean() / estimator.scale_**2
    assert squares <= start * (1 + 1e-5)


def test_a_term_can_be_monitored_instead_of_the_sum():
    def terms(theta):
        return {"falls then rises": scalar((theta - 9.5) ** 2), "falls": scalar(-1000 * theta)}

    module, outcome = count_up(terms, 6, batch_size=2, monitor="falls then rises")
    values = np.array(outcome.history["falls then rises"])
    best = int(np.argmin(np.maximum(values[:-1], values[1:])))
    assert 0 < best < 4
    assert module.theta.item() == 3 * (best + 1)


def test_the_last_weights_stand_where_nothing_is_monitored():
    module, outcome = count_up(lambda t: {"a": scalar(t)}, 5, monitor=None, n_iter_no_change=1)
    assert module.theta.item() == 5
    assert outcome.history["loss"] == [0, 1, 2, 3, 4]
    assert outcome.loss == 4
    assert not outcome.still_falling


@pytest.mark.parametrize(
    ("validate", "tol", "patience", "epochs"),
    [
        (lambda t: 1.0, 1e-4, 3, 3),  # a plateau
        (lambda t: 0.9**t, 1e-4, 3, 20),
        (lambda t: 0.9**t, 0.2, 4, 4),  # falls by a tenth, but a fifth is asked for
        (lambda t: (1 - 1e-6) ** t, 1e-4, 5, 5),
        (lambda t: -(1.1**t), 1e-4, 2, 20),  # falls below zero
        (lambda t: -float(t), 1e-4, 2, 20),
        (lambda t: 10 - min(t, 6), 1e-4, 3, 9),
        (lambda t: 10 - 2 * (t // 3), 1e-4, 3, 20),  # falls in every third epoch
        (lambda t: t, 1e-4, 1, 1),
    ],
)
def test_training_stops_when_the_loss_does_not_fall_any_more(validate, tol, patience, epochs):
    _, outcome = count_up(lambda t: {"a": scalar(0)}, 20, tol=tol, n_iter_no_change=patience, validate=validate)
    assert len(outcome.history["loss"]) == epochs
    assert outcome.loss == min(validate(t) for t in range(epochs + 1))


@pytest.mark.parametrize(
    ("term", "schedule", "falling"),
    [(lambda t: -t, "constant", True), (lambda t: -t, "cosine", False), (lambda t: t, "constant", False)],
)
def test_a_loss_that_was_still_falling_is_told_at_a_constant_rate(term, schedule, falling):
    _, outcome = count_up(lambda t: {"a": scalar(term(t))}, 5, schedule=schedule)
    assert outcome.still_falling is falling


def test_an_interrupt_warns_and_leaves_the_best_weights():
    def interrupted(theta):
        if theta == 5:
            raise KeyboardInterrupt
        return {"a": scalar(0)}

    with pytest.warns(UserWarning, match="interrupted in epoch 6; the best weights so far are kept"):
        module, outcome = count_up(interrupted, 9, validate=lambda theta: abs(theta - 2))
    assert module.theta.item() == module.steps.item() == 2
    assert len(outcome.history["a"]) == 5
    assert outcome.loss == 0


def test_an_interrupt_of_the_first_epoch_leaves_the_start():
    def interrupted(theta):
        if theta == 2:
            raise KeyboardInterrupt
        return {"a": scalar(0)}

    with pytest.warns(UserWarning, match="interrupted in epoch 1;"):
        module, outcome = count_up(interrupted, 9, batch_size=2)
    assert module.theta.item() == module.steps.item() == 0
    assert outcome.history == {}


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("validated", [False, True])
def test_a_loss_that_is_no_number_tells_its_epoch_term_and_cure_and_leaves_the_start(value, validated):
    module, flat = Counter(), None
    flat = Flat(module)

    def step(batch):
        return module.count(good=scalar(1), sparsity=scalar(value if module.theta >= 2 and not validated else 0))

    examine = (lambda: {"validation_loss": value if module.theta >= 3 else 1.0}) if validated else dict
    name, monitor = ("validation_loss", "validation_loss") if validated else ("sparsity", "loss")
    with pytest.raises(
        NonFiniteLossError, match=rf"'{name}' became {value} in epoch 3: lower .*\(now 1\).*max_grad_norm"
    ):
        minimise(step, Bag(range(3)), flat, COUNT, Plan(3, 9, 1.0, monitor=monitor), seeded(), examine)
    assert module.theta.item() == module.steps.item() == 0


def test_any_error_of_a_step_leaves_the_start():
    def broken(theta):
        return {"a": scalar(1 / (3 - theta))}

    flat = Flat(module := Counter())
    with pytest.raises(ZeroDivisionError):
        minimise(
            lambda b: module.count(**broken(module.theta.item())), Bag([0]), flat, COUNT, Plan(1, 9, 1.0), seeded()
        )
    assert module.theta.item() == module.steps.item() == 0


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_estimator_can_be_trained_on_after_an_error_as_if_it_had_not_been(method):
    X = load_iris().data
    options = {"hidden_layer_sizes": (4,), "max_iter": 2, "batch_size": 20, "warm_start": True, "random_state": 0}
    disturbed, calm = (Autoencoder(2, **options).fit(X) for _ in range(2))
    disturbed.set_params(learning_rate_init=1e30)
    with pytest.raises(NonFiniteLossError), warnings.catch_warnings():
        getattr(disturbed, method)(X)
    disturbed.set_params(learning_rate_init=1e-3)
    for estimator in (disturbed, calm):
        getattr(estimator, method)(X)
    assert np.array_equal(disturbed.transform(X), calm.transform(X))


# ---------------------------------------------------------------- what is shown


@pytest.mark.parametrize("verbose", [0, 1, 2])
def test_progress_is_nothing_a_bar_or_a_line_an_epoch(verbose, capsys):
    count_up(lambda t: {"reconstruction": scalar(2), "sparsity": scalar(0.5)}, 3, verbose=verbose)
    out, err = capsys.readouterr()
    assert (out != "", err != "") == (verbose == 2, verbose == 1)
    if verbose == 1:
        assert "3/3" in err
        assert "loss=2.5, reconstruction=2, sparsity=0.5" in err
    if verbose == 2:
        assert out.splitlines() == [f"epoch {i}/3  loss 2.5  reconstruction 2  sparsity 0.5" for i in (1, 2, 3)]

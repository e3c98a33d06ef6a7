"""minimise(): its contract, its rates, and how it ends."""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_iris
from torch import nn

from skae import Autoencoder
from skae.engine.course import batches
from skae.engine.listeners import attending
from skae.engine.plan import SCHEDULES
from skae.engine.progress import Bars, Lines
from skae.engine.train import (
    Flat,
    Interrupted,
    Move,
    NonFiniteLossError,
    Optimizer,
    Plan,
    backward,
    hold_out,
    minimise,
)
from skae.engine.watch import Watch


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


def test_backward_adds_to_the_gradient_of_some_parameters_only():
    flat = Flat(module := nn.Linear(2, 1))
    flat.grad.fill_(1.0)
    terms = {"a": 3 * module.weight.sum() + module.bias.sum()}
    backward(terms, (p for p in [module.bias]))
    assert module.weight.grad.tolist() == [[1.0, 1.0]]
    assert module.bias.grad.tolist() == [2.0]
    assert flat.grad.tolist() == [1.0, 1.0, 2.0]


def descend(batches, rows):
    """Least squares by steps of gradient descent, a batch a step."""
    theta = 0.0
    for row in rows:
        theta -= 0.1 * (theta - batches[row]).mean().item()
    return theta


@pytest.mark.parametrize("n_batches", [1, 3])
@pytest.mark.parametrize("held_out", [False, True])
def test_data_may_be_a_list_of_batches(n_batches, held_out):
    data = [torch.arange(k + 1, dtype=torch.float64) + k + 1 for k in range(n_batches + held_out)]
    train, held = hold_out(data, 0.2, seeded(5)) if held_out else (data, None)
    rows = train.rows.tolist() if held_out else range(n_batches)
    flat = Flat(module := Counter())

    def step(batch):
        module.theta.grad.add_((module.theta.detach() - batch).mean())
        return {"half square": (module.theta.detach() - batch).square().mean() / 2}

    plan = Plan(batch_size=1, max_iter=2, rate=0.1, shuffle=False, monitor=None)
    outcome = minimise(step, train, flat, Optimizer("sgd", momentum=0.0), plan, seeded())
    assert len(train) == n_batches
    assert module.theta.item() == pytest.approx(descend(data, [*rows, *rows]), rel=1e-12)
    assert outcome.history["loss"][0] > outcome.history["loss"][1]
    assert held is None or held[torch.tensor([0])] is data[(set(range(len(data))) - set(rows)).pop()]


def test_one_batch_of_a_list_is_taken_once_more_to_know_the_loss_of_the_last_weights():
    _, outcome = count_up(lambda theta: {"a": scalar((theta - 4) ** 2)}, 4, Bag([[1.0, 2.0]]), 1)
    assert outcome.loss == 0
    assert outcome.history["loss"] == [16, 9, 4, 1]


@settings(max_examples=100, deadline=None)
@given(n=st.integers(1, 40), size=st.integers(1, 45))
def test_batches_hold_every_row_once_and_none_is_left_alone(n, size):
    parts = list(batches(n, size))
    assert [row for part in parts for row in range(n)[part]] == list(range(n))
    lengths = [part.stop - part.start for part in parts]
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


# ---------------------------------------------------------------- rates


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


def test_terms_that_are_no_objective_have_no_sum():
    def terms(theta):
        return {"a": scalar(theta), "b": scalar(1)}

    module, outcome = count_up(terms, 3, monitor=None, objective=False)
    assert outcome.history == {"a": [0, 1, 2], "b": [1, 1, 1]}
    assert math.isnan(outcome.loss)
    assert module.theta.item() == 3
    module, outcome = count_up(terms, 3, validate=lambda theta: abs(theta - 1), objective=False)
    assert set(outcome.history) == {"a", "b", "validation_loss"}
    assert outcome.loss == 0
    with pytest.raises(ValueError, match="monitor='loss' needs terms whose sum is the objective"):
        Plan(1, 1, objective=False)


def test_a_term_of_some_steps_is_the_mean_over_their_rows_and_nan_in_epochs_without_them():
    calls = iter(range(9))

    def terms(theta):
        k = next(calls)
        return {"critic": scalar(k)} if k not in (5, 8) else {"generator": scalar(k)}

    _, outcome = count_up(terms, 3, range(7), 3, monitor=None, objective=False, shuffle=False)  # batches of 3 and 4
    np.testing.assert_allclose(outcome.history["critic"], [(3 * 0 + 4 * 1) / 7, (3 * 2 + 4 * 3) / 7, 4])
    np.testing.assert_allclose(outcome.history["generator"], [math.nan, math.nan, 5])


def test_a_step_may_move_a_part():
    module = nn.ModuleDict({"generator": Counter(), "critic": Counter()})
    module["critic"].theta.part = "critic"
    flat = Flat(module)
    calls = iter(range(12))

    def step(batch):
        flat.grad.fill_(-1.0)
        return Move({"a": scalar(0)}, "critic" if next(calls) % 6 else "main")

    minimise(step, Bag(range(6)), flat, Optimizer("sgd", momentum=0.0), Plan(2, 4, 1.0, monitor=None), seeded())
    assert module["critic"].theta.item() == 10
    assert module["generator"].theta.item() == 2


@pytest.mark.parametrize(
    ("validate", "tol", "patience", "epochs"),
    [
        (lambda t: 1.0, 1e-4, 3, 3),  # a plateau
        (lambda t: 0.9**t, 1e-4, 3, 20),
        (lambda t: 0.9**t, 0.2, 4, 4),  # falls by a tenth, but a fifth is asked for
        (lambda t: (1 - 1e-6) ** t, 1e-4, 5, 5),
        (lambda t: -(1.1**t), 1e-4, 2, 20),  # falls below zero
        (lambda t: -1.0, 1e-4, 3, 3),  # a plateau below zero
        (lambda t: -((1 + 1e-6) ** t), 1e-4, 5, 5),
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


@pytest.mark.parametrize(("schedule", "epochs"), [("constant", 3), ("cosine", 3), ("one_cycle", 68)])
def test_a_plateau_counts_once_the_rate_of_a_cycle_has_fallen_below_half_its_peak(schedule, epochs):
    """That is at 0.65 of the epochs, and three of them are waited for."""
    options = {"schedule": schedule, "n_iter_no_change": 3, "validate": lambda t: 1.0}
    _, outcome = count_up(lambda t: {"a": scalar(0)}, 100, **options)
    assert len(outcome.history["loss"]) == epochs


@pytest.mark.parametrize(
    ("term", "schedule", "falling"),
    [(lambda t: -t, "constant", True), (lambda t: -t, "cosine", False), (lambda t: t, "constant", False)],
)
def test_a_loss_that_was_still_falling_is_told_at_a_constant_rate(term, schedule, falling):
    _, outcome = count_up(lambda t: {"a": scalar(term(t))}, 5, schedule=schedule)
    assert outcome.still_falling is falling


def test_an_interrupt_goes_up_with_the_best_weights():
    module = Counter()
    flat = Flat(module)

    def step(batch):
        if module.theta == 5:
            raise KeyboardInterrupt
        return module.count(a=scalar(0))

    examine = lambda: {"validation_loss": abs(module.theta.item() - 2)}  # noqa: E731
    plan = Plan(1, 9, 1.0, monitor="validation_loss")
    with pytest.raises(Interrupted, match="as it was before") as caught:
        minimise(step, Bag([0]), flat, COUNT, plan, seeded(), examine)
    assert module.theta.item() == module.steps.item() == 2
    assert len(caught.value.outcome.history["a"]) == 5
    assert caught.value.outcome.loss == 0


@pytest.mark.parametrize("broken", ["record", "_compare"])
def test_an_interrupt_between_two_steps_keeps_curves_of_equal_length(broken, monkeypatch):
    real, calls = getattr(Watch, broken), []

    def interrupted(self, *args):
        calls.append(args)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, *args)

    monkeypatch.setattr(Watch, broken, interrupted)
    with pytest.raises(Interrupted) as caught:
        count_up(lambda theta: {"a": scalar(0), "b": scalar(1)}, 9)
    assert {len(curve) for curve in caught.value.outcome.history.values()} == {3 if broken == "_compare" else 2}


def test_an_interrupt_of_the_first_epoch_is_a_plain_one():
    def interrupted(theta):
        if theta == 2:
            raise KeyboardInterrupt
        return {"a": scalar(0)}

    with pytest.raises(KeyboardInterrupt) as caught:
        count_up(interrupted, 9, batch_size=2)
    assert not isinstance(caught.value, Interrupted)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("validated", [False, True])
def test_a_loss_that_is_no_number_tells_its_epoch_term_and_cure(value, validated):
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


def test_weights_that_are_no_numbers_at_the_end_are_an_error():
    """The loss of a step is that of the weights before it, so it does not show them."""
    module = Counter()
    flat = Flat(module)

    def step(batch):
        module.theta.grad.sub_(math.inf if module.theta == 2 else 1)
        return {"a": scalar(0)}

    with pytest.raises(NonFiniteLossError, match=r"weights became NaN or infinite in epoch 3: lower .*\(now 1\)"):
        minimise(step, Bag([0]), flat, Optimizer("sgd", momentum=0.0), Plan(1, 3, 1.0, monitor=None), seeded())


def test_an_interrupt_that_finds_weights_that_are_no_numbers_is_a_plain_one():
    module = Counter()
    flat = Flat(module)

    def step(batch):
        if torch.isinf(module.theta):
            raise KeyboardInterrupt
        module.theta.grad.sub_(math.inf)
        return {"a": scalar(0)}

    with pytest.raises(KeyboardInterrupt) as caught:
        minimise(step, Bag([0]), flat, Optimizer("sgd", momentum=0.0), Plan(1, 3, 1.0, monitor=None), seeded())
    assert not isinstance(caught.value, Interrupted)


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_an_estimator_can_be_trained_on_after_an_error_as_if_it_had_not_been(method):
    X = load_iris().data
    options = {"hidden_layer_sizes": (4,), "max_iter": 2, "batch_size": 20, "warm_start": True, "random_state": 0}
    options["learning_rate_init"] = 1e-3
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
    shown = {1: [Bars()], 2: [Lines()]}.get(verbose, [])
    with attending(*shown):
        count_up(lambda t: {"reconstruction": scalar(2), "sparsity": scalar(0.5)}, 3)
    out, err = capsys.readouterr()
    assert (out != "", err != "") == (verbose == 2, verbose == 1)
    if verbose == 1:
        assert "3/3" in err
        assert "loss=2.5, reconstruction=2, sparsity=0.5" in err
    if verbose == 2:
        assert out.splitlines() == [f"epoch {i}/3  loss 2.5  reconstruction 2  sparsity 0.5" for i in (1, 2, 3)]


def test_what_is_prepared_before_an_epoch_is_there_in_its_steps_and_may_be_interrupted():
    module, seen, plan = Counter(), [], Plan(3, 5, 1.0, monitor=None)
    flat = Flat(module)

    def prepare(epoch):
        seen.append((epoch, module.theta.item()))
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted) as caught:
        minimise(lambda batch: module.count(), Bag(range(3)), flat, COUNT, plan, seeded(), dict, prepare)
    assert seen == [(0, 0.0), (1, 1.0), (2, 2.0)]
    assert caught.value.outcome.still_falling is False
    assert module.theta.item() == 2.0

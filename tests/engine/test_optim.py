"""The optimizer beside torch's, the parts of the parameters, and the flat buffers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.linear_model import LinearRegression, Ridge
from torch import nn

from skae.engine.optim import Flat, Move, Optimizer
from skae.engine.train import Plan, backward, minimise


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Rows:
    """Rows that a step has no need of."""

    def __init__(self, n):
        self.n = n

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        return index


def network(head_rate=None):
    """A small network; with a rate its last layer is a part of its own."""
    module = nn.Sequential(nn.Linear(4, 5), nn.Tanh(), nn.Linear(5, 3)).double()
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=seeded(p.numel()), dtype=torch.float64)
    for p in module[2].parameters() if head_rate is not None else ():
        p.part, p.rate = "head", head_rate
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
    "adam, other betas": (
        Optimizer("adam", beta1=0.5, beta2=0.9),
        lambda groups: torch.optim.Adam(groups, lr=0.02, betas=(0.5, 0.9)),
    ),
    "adam, clipped": (Optimizer("adam", max_grad_norm=0.7), lambda groups: torch.optim.Adam(groups, lr=0.02)),
    "sgd, clipped": (
        Optimizer("sgd", max_grad_norm=0.7),
        lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9),
    ),
    "sgd, clipped while it is steep": (
        Optimizer("sgd", max_grad_norm=5.0),
        lambda groups: torch.optim.SGD(groups, lr=0.02, momentum=0.9),
    ),
    "adamw, clipped, decay": (
        Optimizer("adamw", max_grad_norm=0.7, weight_decay=0.3),
        lambda groups: torch.optim.AdamW(groups, lr=0.02),
    ),
}


@pytest.mark.parametrize(("head_rate", "schedule"), [(None, "constant"), (None, "cosine"), (0.3, "cosine")])
@pytest.mark.parametrize(("ours", "theirs"), RULES.values(), ids=RULES)
@pytest.mark.parametrize("fused", [True, False])
def test_twenty_steps_are_those_of_torch(ours, theirs, fused, head_rate, schedule):
    module, reference = network(head_rate), network()
    flat = Flat(module)
    flat.has_fused_adam = fused
    ours = replace(ours, moments={})  # the table stays fresh
    plan = Plan(batch_size=6, max_iter=20, rate=0.02, schedule=schedule, monitor=None)
    outcome = minimise(lambda batch: backward(residual(module)), Rows(6), flat, ours, plan, seeded())
    optimizer = theirs(
        [
            {"params": [p], "weight_decay": ours.weight_decay if p.ndim > 1 else 0.0, "multiple": multiple}
            for layer, multiple in ((reference[0], 1.0), (reference[2], head_rate or 1.0))
            for p in layer.parameters()
        ]
    )
    losses = []
    for k in range(20):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (0.5 * (1 + math.cos(math.pi * k / 20)) if schedule == "cosine" else 1)
            group["lr"] *= group["multiple"]
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
        Rows(30), flat, Optimizer("lbfgs", weight_decay), Plan(30, 200, tol=0.0), seeded(),
    )  # fmt: skip
    # mean square + decay |w|^2 / 2 is scikit-learn's objective over n
    peer = Ridge(alpha=30 * weight_decay / 2, tol=1e-12).fit(X, y) if weight_decay else ordinary
    np.testing.assert_allclose(module.weight.detach()[0], peer.coef_, rtol=1e-6)
    np.testing.assert_allclose(module.bias.detach(), peer.intercept_, rtol=1e-6)


# ---------------------------------------------------------------- parts


class Duel(nn.Module):
    """A generator and a critic of two rates; parameters of the one stand between those of the other."""

    def __init__(self):
        super().__init__()
        self.critic = nn.ParameterList(real(shape) for shape in [(3, 2), (2,)])
        self.generator = nn.ParameterList(real(shape) for shape in [(2,), (4, 2)])
        self.critic.append(real((2, 2)))
        for p in self.critic:
            p.part, p.rate = "critic", 2.0
        self.critic[1].rate = 0.5

    def terms(self):
        squares = [p.square().sum() for p in self.parameters()]
        return {"product": torch.stack(squares).log().sum()}


def real(shape):
    return nn.Parameter(torch.randn(shape, generator=seeded(len(shape)), dtype=torch.float64))


def test_parameters_of_one_part_and_one_rate_lie_side_by_side():
    module = Duel()
    values = [p.detach().clone() for p in module.parameters()]
    flat = Flat(module)
    assert [(g.part, g.rate, g.span, g.n_decayed) for g in flat.groups] == [
        ("critic", 2.0, slice(0, 10), 10),
        ("critic", 0.5, slice(10, 12), 0),
        ("main", 1.0, slice(12, 22), 8),
    ]
    first, second, third, bias, matrix = values
    expected = [first, third, second, matrix, bias]
    torch.testing.assert_close(flat.theta, torch.cat([p.reshape(-1) for p in expected]), rtol=0, atol=0)
    torch.testing.assert_close(list(module.parameters()), values, rtol=0, atol=0, check_stride=False)


@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
def test_what_a_step_leaves_out_stays_to_the_bit_and_the_rest_moves_as_by_itself(rule):
    """Five steps of the critic to one of the generator, as by two optimizers that know of one part each."""
    options = {"rule": rule, "weight_decay": 0.1, "max_grad_norm": 0.3}
    duel, apart = Duel(), Duel()
    flat, optimizer = Flat(duel), Optimizer(**options)
    alone = {"critic": Flat(apart.critic), "main": Flat(apart.generator)}
    optimizers = {part: Optimizer(**options) for part in alone}
    for k in range(24):
        part = "main" if k % 6 == 5 else "critic"
        before = [own.clone() for own in left_out(flat, optimizer, part)]
        terms = optimizer.step(flat, lambda part=part: Move(backward(duel.terms()), {part}), 0.05)
        expected = optimizers[part].step(alone[part], lambda: backward(apart.terms()), 0.05)
        assert all(map(torch.equal, before, left_out(flat, optimizer, part)))
        torch.testing.assert_close(terms, expected)  # the weight decay of what moves is a term
    torch.testing.assert_close(list(duel.parameters()), list(apart.parameters()), rtol=1e-12, atol=1e-12)
    assert not torch.equal(flat.theta, Flat(Duel()).theta)
    before = flat.theta.clone()
    assert set(optimizer.step(flat, lambda: Move(backward(duel.terms()), ()), 0.05)) == {"product"}
    assert torch.equal(flat.theta, before)


@pytest.mark.parametrize("disturb", ["gradient", "load", "other buffers"])
def test_the_velocity_outlasts_what_happens_between_steps(disturb):
    """The buffer of the gradient holds it, where the module is one group."""
    module, peer = network(), network()
    flat, optimizer = Flat(module), Optimizer("sgd", momentum=0.9)
    reference = torch.optim.SGD(peer.parameters(), lr=0.05, momentum=0.9)
    assert len(flat.groups) == 1
    for _ in range(4):
        optimizer.step(flat, lambda: backward(residual(module)), 0.05)
        if disturb == "gradient":
            optimizer.gradient(flat, lambda: backward(residual(module)))
            expected = torch.autograd.grad(residual(module)["error"], list(module.parameters()))
            for parameter, gradient in zip(module.parameters(), expected, strict=True):
                torch.testing.assert_close(parameter.grad, gradient)
        elif disturb == "load":
            saved = optimizer.save(flat)
            optimizer.step(flat, lambda: backward(residual(module)), 0.0)
            optimizer.load(saved, flat)
        else:
            flat = Flat(module)
        reference.zero_grad()
        residual(peer)["error"].backward()
        reference.step()
    torch.testing.assert_close(list(module.parameters()), list(peer.parameters()), rtol=1e-12, atol=1e-12)


def left_out(flat, optimizer, part):
    """Weights and moments of all but one part."""
    others = [(i, group) for i, group in enumerate(flat.groups) if group.part != part]
    yield from (group.theta for _, group in others)
    for name, moment in optimizer.moments.items():
        yield from (moment[i if name == "step" else group.span] for i, group in others)


@pytest.mark.parametrize("rule", ["adam", "sgd"])
@pytest.mark.parametrize("module", [Duel, network])
def test_saved_moments_go_on_as_if_they_had_not_been_saved(module, rule):
    def train(flat, optimizer, module):
        for parts in (None, {flat.groups[0].part}, None):
            terms = module.terms if isinstance(module, Duel) else lambda: residual(module)
            optimizer.step(flat, lambda parts=parts, terms=terms: Move(backward(terms()), parts), 0.05)

    flat, optimizer = Flat(original := module()), Optimizer(rule)
    train(flat, optimizer, original)
    copy = module()
    copy.load_state_dict(original.state_dict())
    copied = Flat(copy)
    saved = {name: moment.clone() for name, moment in optimizer.moments.items()}
    if module is network and rule == "adam":
        saved["step"] = saved["step"].squeeze(0)  # as pickles hold it that know no parts
    resumed = Optimizer(rule, moments=saved)
    for pair in ((flat, optimizer, original), (copied, resumed, copy)):
        train(*pair)
    assert torch.equal(flat.theta, copied.theta)
    optimizer.moments = {name: torch.zeros_like(moment) for name, moment in optimizer.moments.items()}
    fresh = Optimizer(rule)
    for pair in ((flat, optimizer, original), (copied, fresh, copy)):
        train(*pair)
    assert torch.equal(flat.theta, copied.theta)


def test_a_part_that_is_not_there_is_told():
    flat = Flat(Duel())
    with pytest.raises(ValueError, match=r"moves the part 'actor', .*: the parts are \['critic', 'main'\]"):
        Optimizer().step(flat, lambda: Move({}, ["critic", "actor"]), 0.1)


def test_lbfgs_moves_everything():
    module = Duel()
    with pytest.raises(ValueError, match="'lbfgs' moves all parameters at once"):
        Optimizer("lbfgs").step(Flat(module), lambda: Move(backward(module.terms()), {"critic"}), 0.1)


# ---------------------------------------------------------------- moves in turn on one batch


class Turns:
    """Two moves of the critic and one of the generator, and what each of them finds at its start."""

    def __init__(self, duel, flat):
        self.duel, self.flat, self.starts, self.thetas = duel, flat, [], []

    def move(self, parts=("critic", "critic", "main")):
        first, *others = parts
        self.starts.append(self.flat.grad.clone())
        self.thetas.append(self.flat.theta.clone())
        terms = {f"{first} {len(others)}": self.duel.terms()["product"], "last": self.duel.terms()["product"]}
        return Move(backward(terms), first, (lambda: self.move(others)) if others else None)


@pytest.mark.parametrize("decay", [0.0, 0.2])
@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("rule", ["adam", "adamw", "sgd"])
def test_moves_in_turn_are_steps_of_their_own(rule, clip, decay):
    """As three steps that name their parts, each with a gradient that starts at zero."""
    options = {"rule": rule, "weight_decay": decay, "max_grad_norm": clip}
    flat, optimizer = Flat(duel := Duel()), Optimizer(**options)
    other, separate = Flat(apart := Duel()), Optimizer(**options)
    for _ in range(4):
        turns, one_by_one = Turns(duel, flat), Turns(apart, other)
        terms = optimizer.step(flat, turns.move, 0.05)
        expected = {}
        for k, part in enumerate(("critic", "critic", "main")):
            before = [own.clone() for own in left_out(other, separate, part)]
            one = separate.step(other, lambda part=part, turns=one_by_one: turns.move((part,)), 0.05)
            assert all(map(torch.equal, before, left_out(other, separate, part)))
            expected |= {name.replace("0", str(2 - k)): term for name, term in one.items()}
        assert all((start == 0).all() for start in turns.starts)
        assert torch.equal(torch.stack(turns.thetas), torch.stack(one_by_one.thetas))
        assert torch.equal(flat.theta, other.theta)
        assert list(terms) == list(expected)
        torch.testing.assert_close(terms, expected, rtol=0, atol=0)
        for name, moment in optimizer.moments.items():
            assert torch.equal(moment, separate.moments[name])


def test_a_move_leaves_what_it_does_not_name_to_the_bit_while_others_follow():
    flat = Flat(duel := Duel())
    turns = Turns(duel, flat)
    before = flat.theta.clone()
    Optimizer("adam").step(flat, turns.move, 0.05)
    (critic, rest) = slice(0, 12), slice(12, None)
    first, second, third, after = *turns.thetas, flat.theta
    assert torch.equal(first, before)
    assert not torch.equal(first[critic], second[critic])
    assert not torch.equal(second[critic], third[critic])
    assert torch.equal(third[critic], after[critic])
    assert torch.equal(first[rest], third[rest])
    assert not torch.equal(third[rest], after[rest])


def test_moves_of_all_parameters_follow_one_another_too():
    """With momentum in the buffer of the gradient: two moves are two steps."""
    module, peer = network(), network()
    flat, other = Flat(module), Flat(peer)
    optimizer, separate = Optimizer("sgd"), Optimizer("sgd")
    for _ in range(3):
        optimizer.step(
            flat, lambda: Move(backward(residual(module)), None, lambda: Move(backward(residual(module)))), 0.05
        )
        for _ in range(2):
            separate.step(other, lambda: backward(residual(peer)), 0.05)
    assert torch.equal(flat.theta, other.theta)


def test_the_gradient_of_several_moves_has_the_terms_of_all_and_moves_nothing():
    flat = Flat(duel := Duel())
    before = flat.theta.clone()
    terms = Optimizer().gradient(flat, (turns := Turns(duel, flat)).move)
    assert list(terms) == ["critic 2", "last", "critic 1", "main 0"]
    assert torch.equal(flat.theta, before)
    assert not turns.starts[-1].any()
    expected = torch.autograd.grad(2 * duel.terms()["product"], list(duel.parameters()))
    torch.testing.assert_close([p.grad for p in duel.parameters()], list(expected))


def test_lbfgs_refuses_moves_in_turn():
    flat = Flat(module := network())
    with pytest.raises(ValueError, match=r"'lbfgs' moves all parameters at once, .*or has several moves"):
        Optimizer("lbfgs").step(flat, lambda: Move(backward(residual(module)), None, lambda: Move({})), 0.1)


# ---------------------------------------------------------------- the flat buffers


def test_parameters_and_gradients_are_views_of_two_buffers():
    module = network()
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    flat = Flat(module)
    assert flat.theta.numel() == flat.grad.numel() == sum(p.numel() for p in before.values())
    assert [(g.part, g.rate, g.span, g.n_decayed) for g in flat.groups] == [("main", 1.0, slice(0, 43), 4 * 5 + 5 * 3)]
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
    assert flat.groups[0].n_decayed == 9
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

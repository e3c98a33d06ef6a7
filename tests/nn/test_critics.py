"""Critics: slopes and their gradients against autograd, and spectral normalisation against singular values."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from skae.engine.optim import Flat
from skae.functional import ACTIVATIONS, average
from skae.nn.critics import Critic, SpectralDense, fixed

IMAGE = {"image_shape": (2, 5, 4), "channels": (3, 2), "kernel_size": 3, "pooling": "average", "channels_last": False}
N_PIXELS = 40


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def critic_of(kind="dense", activation="silu"):
    """A critic in float64 with biases that are not zero, and rows for it."""
    options = {
        "dense": (6, {}),
        "linear": (6, {}),
        "spectral": (6, {"spectral_norm": True}),
        "images": (N_PIXELS, {"image": IMAGE}),
        "images and codes": (N_PIXELS + 3, {"image": {**IMAGE, "channels_last": True}}),
        "spectral images": (N_PIXELS + 3, {"image": {**IMAGE, "pooling": "stride"}, "spectral_norm": True}),
    }
    width, given = options[kind]
    critic = Critic(width, () if kind == "linear" else (5, 4), activation, rate=2.0, **given).double()
    critic.initialise(seeded())
    with torch.no_grad():
        for i, (name, parameter) in enumerate(critic.named_parameters()):
            if "bias" in name:
                parameter.copy_(real(parameter.shape, i))
    return critic, real((7, width), 9)


KINDS = ["dense", "linear", "spectral", "images", "images and codes", "spectral images"]
every_kind = pytest.mark.parametrize("kind", KINDS)


# ------------------------------------------------------------------ scores and slopes


@every_kind
def test_a_row_has_a_score_that_depends_on_it_alone(kind):
    critic, x = critic_of(kind)
    scores = critic(x)
    assert scores.shape == (7,)
    torch.testing.assert_close(critic(x[[3, 1]]), scores[[3, 1]])
    for column in (0, x.shape[1] - 1):  # the first pixel, and the last column of the code
        moved = x.clone()
        moved[:, column] += 1
        assert (critic(moved) != scores).all()


@every_kind
def test_slopes_are_gradients_of_the_score(kind):
    critic, x = critic_of(kind)
    expected = torch.func.vmap(torch.func.grad(lambda row: critic(row[None])[0]))(x)
    torch.testing.assert_close(critic.slopes(x), expected, rtol=1e-10, atol=1e-12)
    with torch.no_grad():
        torch.testing.assert_close(critic.slopes(x), expected, rtol=1e-10, atol=1e-12)


@every_kind
@pytest.mark.parametrize("activation", ["silu", "tanh", "relu", "gelu", "softplus"])
def test_the_gradient_of_a_penalty_on_slopes_is_that_of_double_back_propagation(kind, activation):
    critic, x = critic_of(kind, activation)
    weight, parameters = real((7,), 4).abs(), list(critic.parameters())
    found = torch.autograd.grad(
        average(critic.slopes(x).square().sum(1), weight), parameters, allow_unused=True, materialize_grads=True
    )
    leaf = x.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(critic(leaf).sum(), leaf, create_graph=True)
    objective = (weight * slopes.square().sum(1)).mean()
    expected = torch.autograd.grad(objective, parameters, allow_unused=True, materialize_grads=True)
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)
    assert any(gradient.any() for gradient in found)


def test_channels_last_is_a_matter_of_order():
    critic, x = critic_of("images")
    other = Critic(N_PIXELS, (5, 4), "silu", rate=1.0, image={**IMAGE, "channels_last": True}).double()
    other.load_state_dict(critic.state_dict())
    turned = x.view(7, 2, 20).transpose(1, 2).reshape(7, N_PIXELS)
    torch.testing.assert_close(other(turned), critic(x))


# ------------------------------------------------------------------ parameters


@every_kind
def test_all_parameters_are_the_part_of_the_critic_without_decay(kind):
    critic, _ = critic_of(kind)
    assert [(g.part, g.rate, g.n_decayed) for g in Flat(critic).groups] == [("critic", 2.0, 0)]


@every_kind
def test_initialise_repeats_with_a_seed_and_draws_all_weights(kind):
    critic, _ = critic_of(kind)
    again = critic_of(kind)[0]
    drawn = [{n: p.clone() for n, p in c.named_parameters() if "weight" in n} for c in (critic, again)]
    torch.testing.assert_close(*drawn, rtol=0, atol=0)
    assert all(weight.std() > 0 or weight.numel() == 1 for weight in drawn[0].values())
    before = torch.get_rng_state()
    again.initialise(seeded(1))
    assert torch.equal(before, torch.get_rng_state())
    assert not any(torch.equal(p, drawn[0][n]) for n, p in again.named_parameters() if n in drawn[0])
    assert not any(p.any() for n, p in again.named_parameters() if "bias" in n)


def test_clip_moves_what_is_outside_alone():
    critic, _ = critic_of()
    before = [p.detach().clone() for p in critic.parameters()]
    critic.clip(0.3)
    for p, old in zip(critic.parameters(), before, strict=True):
        assert torch.equal(p, torch.from_numpy(np.clip(old.numpy(), -0.3, 0.3)))


# ------------------------------------------------------------------ a critic that is fixed


def test_a_fixed_critic_gets_no_gradient_and_passes_one_on():
    critic, x = critic_of()
    x.requires_grad_()
    with fixed(critic):
        objective = critic(x).sum()
    objective.backward()
    assert all(p.grad is None for p in critic.parameters())
    torch.testing.assert_close(x.grad, critic.slopes(x.detach()))
    assert all(p.requires_grad for p in critic.parameters())


def test_flags_are_as_before_after_an_error_too():
    critic, _ = critic_of()
    first, *others = critic.parameters()
    first.requires_grad_(False)

    def fail():
        with fixed(critic):
            assert not any(p.requires_grad for p in critic.parameters())
            raise RuntimeError("in between")

    with pytest.raises(RuntimeError, match="in between"):
        fail()
    assert not first.requires_grad
    assert all(p.requires_grad for p in others)


# ------------------------------------------------------------------ spectral normalisation


def spectral(sizes=(6, 5, 4, 1)):
    layers = SpectralDense(sizes, "silu").double()
    layers.initialise(seeded())
    return layers


def singular_values(layers):
    return [float(torch.linalg.matrix_norm(weight.detach(), 2)) for weight in layers.weights]


def test_the_largest_singular_value_is_one_at_the_start():
    np.testing.assert_allclose(singular_values(spectral()), 1.0, rtol=1e-12)


def test_it_is_one_again_after_a_few_iterations():
    layers = spectral()
    with torch.no_grad():
        for i, parameter in enumerate(layers.parameters()):
            parameter.add_(real(parameter.shape, i))
    assert max(singular_values(layers)) > 1.1
    for _ in range(200):
        layers.iterate()
    np.testing.assert_allclose(singular_values(layers), 1.0, rtol=1e-6)


def test_an_iteration_is_that_of_the_paper():
    layers = spectral((3, 2))
    weight = layers.weight_0.detach().numpy().copy()
    layers.u_0.copy_(torch.tensor([0.6, 0.8]))
    layers.iterate()
    v = weight.T @ [0.6, 0.8]
    v /= np.linalg.norm(v)
    u = weight @ v / np.linalg.norm(weight @ v)
    np.testing.assert_allclose(layers.v_0, v)
    np.testing.assert_allclose(layers.u_0, u)
    np.testing.assert_allclose(layers.weights[0].detach(), weight / (u @ weight @ v))


def test_the_gradient_takes_the_singular_vectors_for_constants():
    layers, x = spectral(), real((7, 6), 3)
    parameters = list(layers.parameters())
    found = torch.autograd.grad(layers(x).square().sum(), parameters)
    vectors = dict(layers.named_buffers())

    def output(x):
        for i in range(3):
            weight, bias = getattr(layers, f"weight_{i}"), getattr(layers, f"bias_{i}")
            sigma = torch.einsum("i,ij,j", vectors[f"u_{i}"], weight, vectors[f"v_{i}"])
            x = F.linear(x, weight / sigma, bias)
            x = x if i == 2 else F.silu(x)
        return x

    torch.testing.assert_close(found, torch.autograd.grad(output(x).square().sum(), parameters))


def test_iterate_of_a_critic_reaches_its_dense_layers_and_leaves_weights():
    for kind in ("spectral", "spectral images"):
        critic, _ = critic_of(kind)
        with torch.no_grad():
            for i, parameter in enumerate(critic.parameters()):
                parameter.add_(real(parameter.shape, i))
        parameters = [p.detach().clone() for p in critic.parameters()]
        buffers = [b.clone() for b in critic.buffers()]
        critic.iterate()
        assert all(map(torch.equal, parameters, critic.parameters()))
        assert not any(map(torch.equal, buffers[:4], critic.buffers()))
    critic, _ = critic_of("dense")
    critic.iterate()  # nothing to do


def test_a_normalised_critic_stretches_nothing_by_much():
    """Its slope is at most the product of the largest slopes of the activations, 1.1 for silu."""
    critic, x = critic_of("spectral")
    assert float(critic.slopes(x).detach().norm(dim=1).max()) <= 1.1**2


# ------------------------------------------------------------------ a judgement


@every_kind
@pytest.mark.parametrize("sloped", [slice(0), slice(3), slice(2, 6), slice(None)], ids=["none", "first", "some", "all"])
def test_a_judgement_has_scores_and_slopes_and_their_gradient(kind, sloped):
    critic, x = critic_of(kind)
    flat = Flat(critic)
    judgement = critic.judge(x, sloped)
    given = real(7, 1), real(x[sloped].shape, 2)
    judgement.backward(*given)
    scores, slopes = critic(x), critic.slopes(x) if len(x[sloped]) else x
    torch.testing.assert_close(judgement.scores, scores)
    torch.testing.assert_close(judgement.slopes, slopes[sloped])
    assert not judgement.scores.requires_grad
    expected = torch.autograd.grad(
        (scores * given[0]).sum() + (slopes[sloped] * given[1]).sum(),
        list(critic.parameters()),
        allow_unused=True,
        materialize_grads=True,
    )
    for parameter, gradient in zip(critic.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-10, atol=1e-12)
    assert flat.grad.abs().sum() > 0


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("sizes", [(5,), (5, 4)])
def test_the_gradient_by_hand_is_that_of_double_back_propagation(activation, sizes):
    critic = Critic(3, sizes, activation, rate=1.0).double()
    critic.initialise(seeded())
    Flat(critic)
    with torch.no_grad():
        for i, parameter in enumerate(critic.parameters()):
            parameter.copy_(real(parameter.shape, i))
    x, of_scores, of_slopes = real((7, 3), 9), real(7, 1), real((4, 3), 2)
    critic.judge(x, slice(1, 5)).backward(of_scores, of_slopes)
    leaf = x.clone().requires_grad_()
    scores = critic(leaf)
    (slopes,) = torch.autograd.grad(scores.sum(), leaf, create_graph=True)
    objective = (scores * of_scores).sum() + (slopes[1:5] * of_slopes).sum()
    for parameter, gradient in zip(
        critic.parameters(), torch.autograd.grad(objective, list(critic.parameters())), strict=True
    ):
        torch.testing.assert_close(parameter.grad, gradient, rtol=1e-8, atol=1e-10)

"""The packed network against plain recursion over one tree at a time, and against a dense autoencoder of pairs."""

from contextlib import contextmanager

import numpy as np
import pytest
import torch
from autoencoders.plain_trees import Recursion, binary, bushy, caterpillar, leaves, numbered, packed, woods
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from skae.engine.modes import plain_torch
from skae.functional.activations import ACTIVATIONS
from skae.nn import recursive
from skae.nn.compositions import COMPOSITIONS
from skae.nn.dense import DenseAutoencoder
from skae.nn.recursive import RecursiveNetwork

EVERYTHING = slice(None)
LOSSES = [{"weighted": weighted, "unfolding": unfolding} for weighted in (True, False) for unfolding in (False, True)]


def forest(height=40, seed=0):
    """Trees of all kinds, whose leaves are numbered, with a class at some nodes."""
    rng = np.random.default_rng(seed)
    return numbered(woods(rng, lambda: 0, lambda: int(rng.integers(-1, 3)), height))


def count(trees):
    return sum(len(leaves(tree)) for tree in trees)


def network(composition="plain", n_layers=1, activation="tanh", unit_length=True, d=3, seed=0, **more):
    """A network whose weights are all random."""
    options = {"leaf_width": d, "n_tokens": 0, "tuned": True, "n_predictions": 3, **more}
    module = RecursiveNetwork(
        d, composition=composition, n_layers=n_layers, activation=activation, unit_length=unit_length, **options
    ).double()
    rng = torch.Generator().manual_seed(seed)
    for value in (*module.parameters(), *module.buffers()):
        value.data.normal_(0, (2 * d) ** -0.5, generator=rng)
    return module


def normal(*shape, seed=1):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def losses_of(module, batch, raw, kinds):
    """Vectors, errors of nodes for each kind of loss, and logits, of the packed forest in post-order."""
    vectors = module.vectors(batch, raw)
    errors = [F.pad(module.node_errors(vectors, batch, **kind), (batch.levels[1], 0)) for kind in kinds]
    found = [vectors.h, vectors.target, *(error[:, None] for error in errors), module.predict(vectors.h)]
    return torch.cat(found, 1)[batch.place]


def plain_losses(module, trees, raw, kinds):
    """The same by plain recursion."""
    each = [Recursion.of(module, **kind) for kind in kinds]
    found = []
    for tree in trees:
        for node in each[0].run(binary(tree), lambda i: raw[i]).nodes():
            errors = [one.error(node) if node.children else node.h.new_zeros(()) for one in each]
            found.append(torch.cat([node.h, node.target, torch.stack(errors), each[0].logits(node)]))
    return torch.stack(found)


def require_same(module, trees, kinds, scale=1.0):
    """Equal values, and equal gradients of a random sum of them in all parameters and in the leaves."""
    raw = (scale * normal(count(trees), 3)).requires_grad_()
    found = losses_of(module, packed(trees, raw.detach())[EVERYTHING], raw, kinds)
    expected = plain_losses(module, trees, raw, kinds)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    weight, sources = normal(*found.shape, seed=5), [raw, *module.parameters()]
    gradients = (torch.autograd.grad((weight * of).sum(), sources, materialize_grads=True) for of in (found, expected))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10 * float(b.abs().max()))


# ------------------------------------------------------------------ against recursion


@pytest.mark.parametrize("n_layers", [1, 2, 3])
@pytest.mark.parametrize("composition", ["plain", "tensor", "gated"])
def test_vectors_losses_and_gradients_are_those_of_the_recursion(composition, n_layers):
    module = network(composition, n_layers, unit_length=n_layers != 2)
    require_same(module, forest(height=40 if n_layers == 1 else 10), LOSSES[:3])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation(activation):
    """Without unit length, which a vector of zeros does not have."""
    composition = {"gelu": "tensor", "silu": "gated"}.get(activation, "plain")
    require_same(network(composition, 2, activation, unit_length=False), forest(height=3), LOSSES)


@pytest.mark.parametrize("composition", ["plain", "gated"])
def test_trees_of_one_leaf_only(composition):
    require_same(network(composition, 2), numbered([(0, 0), (None, 0), (2, [(1, 0)])]), LOSSES)


@pytest.mark.parametrize("composition", ["plain", "gated"])
def test_vectors_of_zeros_stay_and_their_gradient_is_finite(composition):
    """They have no direction. Nodes are zero at the start of a fit if all tokens below them are unknown."""
    module = network(composition, 2)
    for bias in (*module.biases, module.e):
        bias.data.zero_()
    require_same(module, forest(height=3), LOSSES, scale=0.0)


# ------------------------------------------------------------------ a tree does not know its batch


def seen_alone(module, data, index):
    """All that is computed without a gradient for some trees, by node, tree and leaf."""
    batch = data[index]
    h = module.vectors(batch).h
    return h[batch.place], module.predict(h)[batch.place], module.unfold(h[batch.root], batch)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("composition", "d", "threads"),
    [
        ("plain", 1, 1),
        ("tensor", 3, 1),
        ("gated", 8, 1),
        ("plain", 30, 1),
        ("tensor", 30, 1),
        ("gated", 30, 2),
        ("plain", 101, 2),
        ("plain", 200, 1),
    ],
)
def test_other_trees_of_a_batch_change_no_bit(composition, d, threads, dtype):
    """Products of matrices are rounded in another way if they have other numbers of rows, or many columns."""
    rng = np.random.default_rng(0)
    trees = numbered([*forest(height=6), *(bushy(rng, 14, lambda: 0) for _ in range(32))])
    module = network(composition, 2, d=d, leaf_width=2 * d + 1).to(dtype)
    data = packed(trees, normal(count(trees), 2 * d + 1).to(dtype), dtype=dtype)
    with plain_torch(grad=False), torch_threads(threads):
        alone = {i: seen_alone(module, data, slice(i, i + 1)) for i in range(0, len(trees), 3 if threads == 1 else 15)}
        for index in (torch.arange(len(trees)), torch.tensor([3, 12, 0])):
            every = seen_alone(module, data, index)
            start = [0, 0, 0]
            for i in index.tolist():
                for k, of_all in enumerate(every):
                    n = len(leaves(trees[i])) if k == 2 else 2 * len(leaves(trees[i])) - 1
                    assert i not in alone or torch.equal(of_all[start[k] : start[k] + n], alone[i][k])
                    start[k] += n


@contextmanager
def torch_threads(n):
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)


# ------------------------------------------------------------------ leaves, and what is compared with them


@pytest.mark.parametrize("tuned", [True, False])
@pytest.mark.parametrize("composition", ["plain", "gated"])
def test_tokens_are_looked_up_and_mapped(composition, tuned):
    trees = forest(height=5)
    module = network(composition, 2, leaf_width=4, n_tokens=5, tuned=tuned)
    tokens = torch.arange(count(trees)) % 6
    batch = packed(trees, tokens.numpy())[EVERYTHING]
    found = module.vectors(batch)
    recursion = Recursion.of(module)
    roots = [recursion.run(binary(tree), lambda i: module.entry @ module.table[tokens[i]]) for tree in trees]
    each = [node for root in roots for node in root.nodes()]
    expected = torch.stack([node.h for node in each]), torch.stack([node.target for node in each])
    torch.testing.assert_close((found.h[batch.place], found.target[batch.place]), expected, rtol=1e-10, atol=1e-12)
    assert {"table", "entry"} & set(dict(module.named_parameters())) == ({"table", "entry"} if tuned else set())
    if tuned:
        weight = normal(*found.h.shape)
        gradients = (
            torch.autograd.grad((weight * h).sum(), [module.table, module.entry])
            for h in (found.h[batch.place], expected[0])
        )
        for a, b in zip(*gradients, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def test_vectors_are_mapped_back_by_the_pseudo_inverse():
    module = network(leaf_width=5)
    x = normal(4, 3)
    torch.testing.assert_close(module.enter(module.leave(x)), x, rtol=1e-10, atol=1e-12)
    assert network().leave(x) is x


@pytest.mark.filterwarnings("ignore:.*autocast:FutureWarning")  # of torch 2.4, about itself
@pytest.mark.parametrize("most", [30, 500])
def test_unfolding_part_by_part_is_the_same(monkeypatch, most):
    trees = forest(height=12)
    module, raw = network(), normal(count(trees), 3).requires_grad_()
    batch = packed(trees, raw.detach())[EVERYTHING]
    weight = normal(len(batch.children))

    def errors():
        found = module.node_errors(module.vectors(batch, raw), batch, weighted=False, unfolding=True)
        return found, torch.autograd.grad((weight * found).sum(), [raw, *module.parameters()], materialize_grads=True)

    expected = errors()
    monkeypatch.setattr(recursive, "MOST_VALUES", most)
    torch.testing.assert_close(errors(), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("composition", ["plain", "tensor", "gated"])
@pytest.mark.parametrize("n_layers", [1, 2])
def test_node_by_node_is_the_same_as_level_by_level(composition, n_layers):
    """As a search does it, which keeps the states of all layers and the target in a row."""
    module = network(composition, n_layers, leaf_width=4)
    tree = forest()[1]
    raw = normal(count(forest()), 4)
    batch = packed([tree], raw)[EVERYTHING]
    with torch.no_grad():
        rows = list(module.grown_leaf(batch.leaf).split(1))
        for left, right in batch.children.tolist():
            rows.append(module.grown(rows[left], rows[right]))
        vectors = module.vectors(batch)
    torch.testing.assert_close(torch.cat(rows)[:, -module.d :], vectors.target, rtol=1e-12, atol=1e-12)


def test_unfolding_roots_is_that_of_the_recursion():
    trees = forest(height=40)
    module, raw = network(), normal(count(trees), 3)
    batch = packed(trees, raw)[EVERYTHING]
    recursion = Recursion.of(module)
    roots = [recursion.run(binary(tree), lambda i: raw[i]) for tree in trees]
    expected = torch.stack([x for root in roots for x in recursion.unfold(root.h, root)])
    found = module.unfold(module.vectors(batch).h[batch.root], batch)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("activation", ["tanh", "identity"])
def test_pairs_are_the_rows_of_a_dense_autoencoder(activation):
    """Two leaves side by side are a row, and there is nothing to decode but leaves."""
    d, n = 4, 20
    module = network(activation=activation, unit_length=False, d=d)
    dense = DenseAutoencoder(
        n_features=2 * d,
        n_components=d,
        n_outputs=2 * d,
        hidden_layer_sizes=(),
        activation="tanh",
        code_activation=activation,
        likelihood="gaussian",
        categories=None,
        tied_weights=False,
        projected=False,
        dropout=0.0,
        batch_norm=False,
    ).double()
    encoder, decoder = dense.encoder, dense.decoder
    with torch.no_grad():
        for own, other in zip(
            [encoder.weights[0], encoder.biases[0], decoder.weights[0], decoder.biases[0]],
            [module.cells[0].W, module.biases[0], module.D, module.e],
            strict=True,
        ):
            own.copy_(other)
    x = normal(n, 2 * d)
    batch = packed(numbered([(None, [(None, 0), (None, 0)])] * n), x.view(2 * n, d))[EVERYTHING]
    vectors = module.vectors(batch)
    h = dense.encode(x)
    torch.testing.assert_close(vectors.h[batch.root], h, rtol=1e-12, atol=1e-12)
    expected = (x - dense.decode(h)).square().sum(1)
    for kind in LOSSES:
        found = module.node_errors(vectors, batch, **kind)
        torch.testing.assert_close(found, expected / 2, rtol=1e-12, atol=1e-12)


# ------------------------------------------------------------------ cost


def cost(module, trees):
    """Operations in matrix products, and calls, of a loss and its gradient."""
    raw = torch.zeros(count(trees), module.d, dtype=torch.float64, requires_grad=True)
    batch = packed(trees, raw.detach())[EVERYTHING]
    calls = Calls()
    with FlopCounterMode(display=False) as counter, calls:
        module.node_errors(module.vectors(batch, raw), batch, weighted=True, unfolding=False).sum().backward()
    return counter.get_total_flops(), calls.n


class Calls(TorchDispatchMode):
    n = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        self.n += 1
        return function(*arguments, **(options or {}))


def test_the_cost_is_linear_in_nodes_whatever_their_trees():
    """12 d^2 operations forward and twice as many backward take composition and decoder, of each inner node."""
    rng = np.random.default_rng(0)
    module = network(d=5)
    for trees in (
        [caterpillar(rng, 60, lambda: 0)],
        [bushy(rng, 300, lambda: 0)],
        [bushy(rng, n, lambda: 0) for n in range(1, 40)],
    ):
        n_inner = sum(len(leaves(tree)) - 1 for tree in trees)
        assert cost(module, numbered(trees))[0] == 24 * 5**2 * n_inner


@pytest.mark.parametrize("composition", ["plain", "tensor", "gated"])
def test_the_number_of_calls_is_that_of_levels_and_not_of_nodes(composition):
    """Of the products of a tensor composition, as many are made at once as memory allows."""
    rng = np.random.default_rng(0)
    module = network(composition)
    tree, low = bushy(rng, 30, lambda: 0), caterpillar(rng, 3, lambda: 0)
    once, often = (cost(module, numbered(trees)) for trees in ([tree], [*[tree] * 9, *[low] * 9]))
    assert often[1] <= once[1]
    assert often[0] > 9 * once[0]


class Drawn(TorchFunctionMode):
    """Addresses of the tensors that random numbers are drawn into."""

    def __init__(self):
        super().__init__()
        self.places = []

    def __torch_function__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        if "generator" in (kwargs or {}):
            self.places.append(result.data_ptr())
        return result


@pytest.mark.parametrize("composition", COMPOSITIONS)
def test_weights_are_drawn_where_the_generator_is(composition):
    """A generator on the CPU cannot fill a parameter that is on another device."""
    network = RecursiveNetwork(3, 3, 5, composition, 2, "tanh", True, True)
    with Drawn() as drawn:
        network.initialise(torch.Generator().manual_seed(0))
    assert len(drawn.places) >= 3
    assert not {parameter.data_ptr() for parameter in network.parameters()} & set(drawn.places)

"""Trees over sequences against a plain search, and their order against recursion."""

from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from skae.nn import parsing
from skae.nn.parsing import greedy, post_order

WIDTH = 3
LENGTHS = [1, 40, 2, 7, 1, 1, 13, 28, 3, 7, 40, 1]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def real(*shape, seed=0):
    return torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


W, D = real(WIDTH, 2 * WIDTH, seed=1), real(2 * WIDTH, WIDTH, seed=2)


def compose(one, other):
    """The paper's parent, of unit length."""
    return F.normalize(torch.tanh(torch.cat([one, other], 1) @ W.T), dim=1)


def errors(parent, one, other, is_inner_one, is_inner_other, n_one, n_other):
    """The paper's error, weighted by leaves. Inner children are decoded through tanh."""
    decoded = (parent @ D.T).unflatten(1, (2, WIDTH))
    is_inner = torch.stack([is_inner_one, is_inner_other], 1)
    decoded = torch.where(is_inner[:, :, None], decoded.tanh(), decoded)
    weight = torch.stack([n_one, n_other], 1) / (n_one + n_other)[:, None]
    return (weight * (decoded - torch.stack([one, other], 1)).square().sum(2)).sum(1)


def search(leaves, first, compose, errors):
    """The paper's search in one sequence: a name, the state and the number of leaves of each node that it makes.

    The name of a leaf is its number, that of an inner node is the pair of its children's names.
    """
    line = [(first + i, leaf[None], 1) for i, leaf in enumerate(leaves)]
    made = []
    while len(line) > 1:
        candidates = []
        for (a, x, n), (b, y, m) in pairwise(line):
            p = compose(x, y)
            error = errors(p, x, y, *torch.tensor([[n > 1], [m > 1]]), *leaves.new_tensor([[n], [m]]))
            candidates.append((float(error), ((a, b), p, n + m)))
        best = min(range(len(candidates)), key=lambda i: candidates[i][0])
        made.append(candidates[best][1])
        line[best : best + 2] = made[-1:]
    return made


def searched(leaves, lengths, compose, errors):
    """What ``search`` makes of all sequences."""
    first, made = 0, []
    for part in leaves.split(lengths):
        made += search(part, first, compose, errors)
        first += len(part)
    return made


def names(children, n_leaves):
    """Names of the inner nodes, as ``search`` gives them."""
    nodes = list(range(n_leaves))
    for one, other in children.tolist():
        nodes.append((nodes[one], nodes[other]))
    return nodes[n_leaves:]


@pytest.mark.parametrize("most_entries", [1, 300, parsing.MOST_ENTRIES])
def test_greedy_is_the_search_of_the_paper(most_entries, monkeypatch):
    monkeypatch.setattr(parsing, "MOST_ENTRIES", most_entries)
    leaves = real(sum(LENGTHS), WIDTH)
    parse = greedy(leaves, LENGTHS, compose, errors)
    made = searched(leaves, LENGTHS, compose, errors)
    assert names(parse.children, len(leaves)) == [name for name, *_ in made]
    assert torch.equal(parse.states[: len(leaves)], leaves)
    torch.testing.assert_close(parse.states[len(leaves) :], torch.cat([p for _, p, _ in made]), rtol=0, atol=1e-12)
    assert parse.tree.tolist() == [i for i, n in enumerate(LENGTHS) for _ in range(n - 1)]


def test_the_first_of_equal_errors_wins():
    """Errors are small whole numbers, so that most of them have equals."""
    leaves = torch.randint(3, (sum(LENGTHS), 1), generator=seeded()).double()
    problem = (lambda one, other: (one + other).remainder(3), lambda parent, *_: parent.sum(1))
    parse = greedy(leaves, LENGTHS, *problem)
    assert names(parse.children, len(leaves)) == [name for name, *_ in searched(leaves, LENGTHS, *problem)]


@pytest.mark.parametrize("error", [0.0, torch.inf, torch.nan])
def test_errors_that_are_all_the_same_merge_from_left_to_right(error):
    leaves = real(sum(LENGTHS), WIDTH)
    parse = greedy(leaves, LENGTHS, compose, lambda parent, *_: torch.full_like(parent[:, 0], error))
    first = torch.tensor([0, *LENGTHS]).cumsum(0).tolist()
    inner = [node for start, n in zip(first, LENGTHS, strict=False) for node in in_post_order(chain(start, n))]
    assert names(parse.children, len(leaves)) == [name for name in inner if isinstance(name, tuple)]


def test_a_sequence_is_parsed_as_if_it_were_alone():
    leaves = real(sum(LENGTHS), WIDTH).float()
    problem = (
        lambda one, other: torch.tanh(torch.cat([one, other], 1) @ W.T.float()),
        lambda parent, one, other, *_: (parent @ D.T.float() - torch.cat([one, other], 1)).square().sum(1),
    )
    together = greedy(leaves, LENGTHS, *problem)
    states = together.states[len(leaves) :]
    for i, part in enumerate(leaves.split(LENGTHS)):
        alone = greedy(part, [len(part)], *problem)
        assert torch.equal(alone.states[len(part) :], states[together.tree == i])


def test_a_composition_is_made_for_each_new_pair_alone():
    rows = []

    def counted(one, other):
        rows.append(len(one))
        return compose(one, other)

    n, length = 64, 20
    greedy(real(n * length, WIDTH), [length] * n, counted, errors)
    assert rows == [n * (length - 1)] + [2 * n] * (length - 2)


def test_a_parse_has_no_gradient_and_leaves_the_states_alone():
    leaves = real(6, WIDTH).requires_grad_()
    before = leaves.detach().clone()
    parse = greedy(leaves, torch.tensor([4, 2]), compose, errors)
    assert not parse.states.requires_grad
    assert torch.equal(leaves, before)


def chain(first, n):
    """The name of a tree from left to right."""
    return (chain(first, n - 1), first + n - 1) if n > 1 else first


def in_post_order(name):
    """The names in a tree: first those in its left child, then those in its right child, then its own."""
    return [*in_post_order(name[0]), *in_post_order(name[1]), name] if isinstance(name, tuple) else [name]


def drawn_trees(seed=0):
    """Children in trees with every kind of branch, and the number of leaves."""
    leaves = real(sum(LENGTHS), WIDTH, seed=seed)
    return greedy(leaves, LENGTHS, compose, lambda parent, *_: parent[:, 0]).children, len(leaves)


def test_post_order_is_that_of_a_recursion():
    children, n_leaves = drawn_trees()
    nodes = [*range(n_leaves), *names(children, n_leaves)]
    place = post_order(children, n_leaves).tolist()
    inside = {child for name in nodes if isinstance(name, tuple) for child in name}
    roots = sorted((name for name in nodes if name not in inside), key=lambda name: in_post_order(name)[0])
    expected = [name for root in roots for name in in_post_order(root)]
    assert [nodes[place.index(i)] for i in range(len(nodes))] == expected


def test_empty_sequences_are_refused():
    with pytest.raises(ValueError, match="sequence 1 has the length 0: pass no empty sequences"):
        greedy(real(3, WIDTH), [3, 0], compose, errors)


def test_leaves_alone_need_no_search():
    parse = greedy(real(2, WIDTH), [1, 1], compose, errors)
    assert parse.children.shape == (0, 2)
    assert post_order(parse.children, 2).tolist() == [0, 1]


def test_lengths_must_fit_the_states():
    with pytest.raises(ValueError, match="the lengths add up to 5, but there are 4 leaves: both must agree"):
        greedy(real(4, WIDTH), [3, 2], compose, errors)

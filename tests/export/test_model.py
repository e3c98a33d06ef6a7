"""Functions of torch as graphs: the oracle is torch itself, on numbers of rows that were not recorded."""

import numpy as np
import pytest
import torch
from sessions import session_of
from torch.nn import functional as F

from skae import functional
from skae.export.model import UnrecordableError, import_onnx, model_of, nodes_of

pytest.importorskip("onnx")

WIDTH = 6
W = torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
MEMBER = torch.tensor([0, 1, 1, 0, 2, 1])
ORDER = torch.tensor([4, 0, 0])


def rows(n, dtype=torch.float32):
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(n)).to(dtype)


def session(function, dtype=torch.float32, opset=17):
    found = nodes_of(function, lambda n: rows(n, dtype), "X", opset)
    notes = {"class": "function", "version": "0"}
    model = model_of(found, "X", WIDTH, dtype, "Y", notes, opset)
    return session_of(model)


def require_same(function, dtype=torch.float32, opset=17):
    """A graph gives what torch gives, for one row and for many."""
    run = session(function, dtype, opset)
    for n in (1, 5, 40):
        wanted = function(rows(n, dtype)).numpy()
        (found,) = run.run(None, {"X": rows(n, dtype).numpy()})
        assert found.dtype == wanted.dtype
        assert found.shape == wanted.shape
        np.testing.assert_allclose(found, wanted, rtol=2e-6, atol=2e-6)


def like(x):
    return W.to(x)


# ------------------------------------------------------------------ operators


FUNCTIONS = {
    **{f"activation {name}": activation for name, activation in functional.ACTIVATIONS.items()},
    "products": lambda x: torch.addmm(x, x @ like(x), like(x), alpha=2.0, beta=0.5) + (x @ like(x)[0])[:, None],
    "batched products": lambda x: torch.baddbmm(x[:, None, :1], x[:, None], like(x).expand(len(x), -1, -1)).sum(2),
    "factors": lambda x: torch.sub(x, x.abs().round(), alpha=3) + torch.rsub(x, 2.0, alpha=2),
    "quotients": lambda x: torch.div(x, 0.3, rounding_mode="floor") + torch.div(x, 0.3, rounding_mode="trunc") + x / 3,
    "remainders": lambda x: torch.remainder(x, 0.7) + torch.remainder((10 * x).long(), 3),
    "whole quotients": lambda x: torch.div((10 * x).long(), 3, rounding_mode="floor").double(),
    "powers": lambda x: x.abs() ** 1.5 + x**2 + x.abs() ** 0.5 + x.abs().add(1).rsqrt() + x.abs().add(1).reciprocal(),
    "logarithms": lambda x: x.abs().log1p() + x.expm1() + F.logsigmoid(x) + torch.logaddexp(x, 2 * x),
    "gamma": lambda x: torch.lgamma(x.abs() * 20 + 1),
    "cross-entropy": lambda x: F.binary_cross_entropy_with_logits(x, x.abs(), reduction="none"),
    "products of columns": lambda x: torch.addcmul(x, x, x, value=2.0) + torch.addcdiv(x, x, x.abs() + 1),
    "bounds": lambda x: x.clamp(-0.5, 0.7) + x.clamp_min(0.1) + x.clamp_max(0.2) + torch.maximum(x, -x),
    "comparisons": lambda x: torch.where((x > 0.5) | (x <= -1) & (x != 0) | ~(x >= -2), x, 2.0),
    "marks": lambda x: x.masked_fill(x < 0, 3.0) + (x > 0.0).any(1, keepdim=True),
    "sums": lambda x: torch.stack([x.sum(1), x.mean(1), x.amax(1), x.amin(1), x.logsumexp(1)], 1),
    "norms": lambda x: torch.linalg.vector_norm(x, dim=-1, dtype=torch.float64),
    "nothing is possible": lambda x: torch.where(x > -99, -torch.inf, x).logsumexp(1) + x[:, 0],
    "softmax": lambda x: x.softmax(1) + x.log_softmax(1) + x.cumsum(1),
    "places": lambda x: (x.argmax(1) + x.argmin(1) + x.max(1).indices + x.min(1, keepdim=True).indices[:, 0]).double(),
    "pieces": lambda x: torch.cat([*reversed(x.chunk(3, 1)), *x.split([1, 5], 1), x.unbind(1)[2][:, None]], 1),
    "shapes": lambda x: (
        x.view(-1, 2, 3).permute(0, 2, 1).flatten(1) + x.reshape(-1, 3).T.reshape(3, -1, 2)[0].repeat(1, 3)
    ),
    "padding": lambda x: F.pad(x, (1, 2), value=4.0) + F.pad(x, (0, 3)),
    "columns": lambda x: torch.cat([x[:, ORDER], x.index_select(1, ORDER), x[:, 1:5:2], x[:, -1:], x.flip(1)], 1),
    "repeated": lambda x: x.repeat(1, 2) + x[:, :1].expand(-1, 12),
    "largest": lambda x: torch.zeros_like(x).scatter(1, x.topk(2, 1).indices, x.topk(2, 1).values),
    "gathered": lambda x: x.gather(1, x.topk(3, 1).indices),
    "group sums": lambda x: functional.group_sum(x, MEMBER, 3),
    "group softmax of draws": lambda x: functional.group_log_softmax(torch.stack([x, 2 * x]), MEMBER, 3).sum(0),
    "group softmax": lambda x: functional.group_log_softmax(x, MEMBER, 3),
    "bags": lambda x: F.embedding_bag(torch.tensor([0, 3, 3, 5]), x.T.contiguous(), torch.tensor([0, 1]), mode="sum").T,
    "convolution": lambda x: F.conv2d(x.view(-1, 1, 2, 3), like(x)[:2, :3].view(2, 1, 1, 3), None, 1, (0, 1)).flatten(
        1
    ),
    "transposed": lambda x: F.conv_transpose2d(
        x.view(-1, 1, 2, 3), like(x)[:1, None, None, :3], like(x)[0, :1], 2, (0, 1), (1, 1)
    ).flatten(1),
    "maximum of windows": lambda x: F.max_pool2d(x.view(-1, 1, 2, 3), 2, ceil_mode=True).flatten(1),
    "mean of windows": lambda x: F.avg_pool2d(x.view(-1, 1, 2, 3), 2, ceil_mode=True).flatten(1),
    "precision": lambda x: x.double().sum(1).float() + x.sum(1),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_graph_computes_what_torch_does(name, dtype):
    require_same(FUNCTIONS[name], dtype)


@pytest.mark.parametrize("opset", [13, 18])
@pytest.mark.parametrize("name", ["sums", "group softmax", "gathered", "padding"])
def test_other_versions_of_the_operators(name, opset):
    require_same(FUNCTIONS[name], opset=opset)


def test_a_version_that_is_too_old_is_refused():
    with pytest.raises(UnrecordableError, match="version 13 or later, not 12"):
        nodes_of(torch.exp, rows, "X", 12)


# ------------------------------------------------------------------ changes in place


def in_place(x):
    y = x * 2
    y.mul_(3).add_(x)
    return y


def through_views(x):
    y = x * 2
    left, right = y[:, :2], y[:, 2:]
    flat = y.view(-1)
    left.mul_(3)  # and so y and flat
    y.add_(1)  # and so left, right and flat
    return torch.cat([left, right.square(), flat.view_as(y)], 1)


def into_constants(x):
    y = torch.empty(len(x), 8, dtype=x.dtype)
    y[:, 0] = 1.0
    y[:, 1:7] = x
    y[:, [7]] = x[:, :1].exp()
    view = y[:, 3:5]
    view[:, 1].zero_()
    return y.add_(view.sum(1, keepdim=True))


def with_out(x):
    out = torch.empty_like(x)
    torch.add(x, x.square(), alpha=2, out=out)
    return out


@pytest.mark.parametrize("function", [in_place, through_views, into_constants, with_out])
def test_changes_in_place_are_seen_through_every_view(function):
    require_same(function)


# ------------------------------------------------------------------ what is recorded


def test_what_depends_on_weights_alone_is_computed_once():
    found = nodes_of(lambda x: x @ (like(x).exp().T + 1).rsqrt().nan_to_num(), rows, "X")
    assert [node.op_type for node in found.nodes] == ["MatMul"]
    assert len(found.constants) == 1


def test_what_is_not_used_is_left_out():
    def function(x):
        x.std().exp().sum()
        len(x) * x
        return x.chunk(2, 1)[1]

    assert [node.op_type for node in nodes_of(function, rows, "X").nodes] == ["Slice"]


def test_equal_constants_are_kept_once():
    found = nodes_of(lambda x: torch.exp(x @ like(x)) @ like(x).clone(), rows, "X")
    assert len(found.constants) == 1


def test_constants_with_as_many_rows_as_the_batch_are_spread():
    require_same(lambda x: torch.cat([x, torch.full((len(x), 2), 3.0)], 1) + x.new_ones(len(x))[:, None])


def test_functions_of_whole_blocks_of_rows():
    def function(x):
        n = len(x)
        return x.exp() if n % 32 == 0 else torch.cat([x, x[torch.arange(-n % 32) % n]]).exp()[:n]

    require_same(function)


def test_complete_rows_take_the_way_of_complete_rows():
    require_same(lambda x: x.cos() if bool(x.isnan().any()) else x.exp())


CHANGED = torch.zeros(WIDTH)


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (lambda x: x if bool(x.sum() > 0) else -x, "steps that depend on the values in the rows"),
        (lambda x: x * len(x), "computes with the number of rows"),
        (lambda x: x.T.topk(len(x) // 3, 1).values[:, :1], "computes with the number of rows"),
        (lambda x: x + torch.arange(len(x))[:, None], "has a constant for each row"),
        (lambda x: x + torch.rand(WIDTH), "draws noise"),
        (lambda x: torch.cat([x.square()] * len(x), 1), "other steps for other numbers of rows"),
        (lambda x: x - x.mean(0), "takes a mean over the rows"),
        (lambda x: x[2:], "computes with the number of rows"),
        (lambda x: x[x[:, 0] > 0], "computes with the number of rows"),
        (lambda x: torch.linalg.svdvals(x), "needs '_linalg_svd' of torch, which has no counterpart"),
        (lambda x: x.new_zeros(3), "does not depend on the rows"),
        (lambda x: torch.linalg.vector_norm(x, 1, dim=1), "another norm than the euclidean one"),
        (lambda x: x + CHANGED + CHANGED.add_(1), "changes a constant after it was used"),
        (lambda x: F.gelu(x, approximate="tanh"), "an approximate 'gelu'"),
    ],
)
def test_what_has_no_graph_says_why(function, why):
    with pytest.raises(UnrecordableError, match=why):
        nodes_of(function, rows, "X")


def test_without_onnx_a_sentence_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ImportError, match=r"needs the package onnx: pip install 'skae\[onnx\]'\."):
        import_onnx()


def test_more_weights_than_a_file_holds_are_refused(monkeypatch):
    monkeypatch.setattr("skae.export.model.MOST_BYTES", 100)
    with pytest.raises(ValueError, match="at most 2 GB, but the weights of this model take 0"):
        session(lambda x: x @ like(x))

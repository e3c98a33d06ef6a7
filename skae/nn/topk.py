"""Top-k codes and the dictionary that decodes them: the module inside ``TopKAutoencoder``.

Where few of many units are active, products with the code gather the rows of those units, which spares
the multiplications by zero. ``benchmarks/topk.py`` measures from where on that is faster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .. import functional
from .coder import Coder
from .dense import Dense, DenseAutoencoder, Tape

__all__ = ["Dictionary", "DictionaryAutoencoder", "Entries", "TopKEncoder", "keep_largest"]

GATHERED_SIZE = 2**17
"""Gathering is faster than a dense product where a dictionary has at least so many entries, ..."""
GATHERED_RATIO = 16
"""... and at least so many units for each active one."""
MOMENTUM = 0.1
"""Weight of the newest batch in the running mean of the threshold."""
LEAST_NORM = 1e-12
"""Least number that an atom is divided by where it is given norm one."""


def keep_largest(a: Tensor, k: int) -> Tensor:
    """Set all but the k largest entries of each row to zero. Ties are broken, so that no more than k stay."""
    values, columns = a.topk(k, 1, sorted=False)
    return torch.zeros_like(a).scatter_(1, columns, values)


class Entries:
    """A sparse matrix S as a list of its nonzero entries, row by row, and the products that training needs.

    Parameters
    ----------
    place : LongTensor of shape (n_entries,)
        Position of each entry, row * n_columns + column, ascending.
    value : Tensor of shape (n_entries,)
    shape : tuple of int
        Rows and columns of S.
    """

    def __init__(self, place: Tensor, value: Tensor, shape: Sequence[int]) -> None:
        self.place, self.value, self.shape = place, value, tuple(shape)
        self.row = place.div(shape[1], rounding_mode="floor")
        self.column = place - self.row * shape[1]

    @classmethod
    def of(cls, matrix: Tensor) -> Entries:
        """The nonzero entries of a dense matrix."""
        place = matrix.reshape(-1).nonzero().squeeze(1)
        return cls(place, matrix.take(place), matrix.shape)

    def like(self, value: Tensor) -> Entries:
        """A matrix with these values in the same places."""
        return Entries(self.place, value, self.shape)

    def dense(self) -> Tensor:
        """S as a dense matrix."""
        zeros = self.value.new_zeros(self.shape)
        zeros.view(-1).scatter_(0, self.place, self.value)
        return zeros

    def column_sums(self) -> Tensor:
        """Sum of each column of S."""
        return self.value.new_zeros(self.shape[1]).index_add_(0, self.column, self.value)

    def product(self, matrix: Tensor) -> Tensor:
        """S M."""
        starts = torch.searchsorted(self.row, torch.arange(self.shape[0], device=self.row.device))
        return F.embedding_bag(self.column, matrix, starts, per_sample_weights=self.value, mode="sum")

    def transposed_product(self, matrix: Tensor) -> tuple[Tensor, Tensor]:
        """S' M without its zero rows: the indices of the others, and the others."""
        order = self.column.argsort(stable=True)
        columns, counts = torch.unique_consecutive(self.column[order], return_counts=True)
        starts = counts.cumsum(0) - counts
        sums = F.embedding_bag(self.row[order], matrix, starts, per_sample_weights=self.value[order], mode="sum")
        return columns, sums

    def inner_products(self, left: Tensor, right: Tensor) -> Tensor:
        """The entries of A B' in the places where S is not zero.

        They are the gradient of sum(A * (S B)) in the values of S, for which torch has a fast kernel.
        """
        with torch.enable_grad():
            ones = torch.ones_like(self.value).requires_grad_()
            product = self.like(ones).product(right.detach().requires_grad_())  # torch 2.4 asks for it
        return torch.autograd.grad(product, ones, left)[0]


class TopKEncoder(Dense):
    """A dense encoder that keeps the largest activations of its last layer and sets the others to zero.

    Parameters
    ----------
    sizes, activation, output_activation, options
        As in ``Dense``.
    k : int
        Active units a row.
    over_batch : bool
        In training, keep the n k largest activations of a batch of n rows instead of the k largest of each
        row. After training, keep those above a threshold: the running mean of the smallest that were kept.
    gathered : bool
        Whether the backward pass gathers the rows of active units.

    Attributes
    ----------
    idle : LongTensor of shape (n_components,)
        Rows of training since each unit was last active.
    threshold : Tensor of shape ()
        NaN before training.
    """

    idle: Tensor
    threshold: Tensor

    def __init__(
        self,
        sizes: Sequence[int],
        activation: str,
        output_activation: str,
        *,
        k: int,
        over_batch: bool,
        gathered: bool,
        **options: Any,
    ) -> None:
        super().__init__(sizes, activation, output_activation, **options)
        if not 1 <= k <= sizes[-1]:
            raise ValueError(f"{k} of {sizes[-1]} units cannot be active.")
        self.k, self.over_batch, self.gathered = int(k), over_batch and k < sizes[-1], gathered
        self.register_buffer("idle", torch.zeros(sizes[-1], dtype=torch.long))
        self.register_buffer("threshold", torch.tensor(torch.nan))

    def forward(self, x: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Code of each row; with a generator, as in training."""
        a = super().forward(x, rng)
        return self._select(a) if rng is None else self._select_in_training(a)

    def _select(self, a: Tensor) -> Tensor:
        if self.over_batch:
            return a * (a > self.threshold)
        return a if self.k == a.shape[1] else keep_largest(a, self.k)

    def _select_in_training(self, a: Tensor) -> Tensor:
        h = self._select_over_batch(a) if self.over_batch else self._select(a)
        with torch.no_grad():
            self.idle.add_(len(h)).masked_fill_(h.any(0), 0)
        return h

    def _select_over_batch(self, a: Tensor) -> Tensor:
        h = keep_largest(a.reshape(1, -1), self.k * len(a)).view_as(a)
        with torch.no_grad():
            smallest = torch.where(h == 0, torch.inf, h).min()
            before = torch.where(self.threshold.isnan(), smallest, self.threshold)
            self.threshold.copy_(torch.where(smallest.isinf(), self.threshold, before.lerp(smallest, MOMENTUM)))
        return h

    def propagate(self, x: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tape]:
        """``forward`` in training, and the tape that ``backpropagate`` needs."""
        a, tape = super().propagate(x, rng)
        h = self._select_in_training(a)
        tape[-1] = (*tape[-1][:4], h if self.gathered else (h != 0).to(h))
        return h, tape

    def backpropagate(self, tape: Tape, g: Tensor, to_input: bool = True) -> Tensor | None:
        """See ``Dense``; g is the gradient in the code."""
        if not self.gathered:
            return super().backpropagate(tape, g, to_input)
        *earlier, (weight, x, z, a, h) = tape
        assert h is not None
        code = Entries.of(h)
        code = code.like(functional.SLOPES[self.activations[-1]](*(t.take(code.place) for t in (g, z, a))))
        into_weight, into_bias = self.gradients()[-1]
        into_weight.index_add_(0, *code.transposed_product(x))
        into_bias.add_(code.column_sums())
        if not (earlier or to_input):
            return None
        return super().backpropagate(earlier, code.product(weight), to_input)

    def pull_back(self, x: Tensor, v: Tensor) -> Tensor:
        """See ``Dense``; the derivative of silent units is zero."""
        return super().pull_back(x, v * (self(x) != 0)[:, None])

    def dead(self, n_rows: int) -> Tensor:
        """Indices of the units that were silent for more than so many rows of training."""
        return (self.idle > n_rows).nonzero().squeeze(1)

    def activate(self, x: Tensor, units: Tensor) -> Tensor:
        """Activations of some units before the selection. Autograd sees the last layer's weights alone."""
        *hidden, (weight, bias) = self.layers()
        with torch.no_grad():
            for i, (w, b) in enumerate(hidden):
                x = self._through_units(i, F.linear(x, w, b))
        return self._through_units(len(hidden), F.linear(x, weight[units], bias[units]))


class Dictionary(Dense):
    """A linear decoder eta = h D + b. The rows of D are called atoms, and may have norm one.

    An atom of norm one is a weight divided by its norm, d = w / |w|. The division is part of the function,
    h D = (h / |w|) W, so that atoms have norm one whatever an optimizer does to the weights.

    Parameters
    ----------
    n_components, n_outputs : int
    unit_norm : bool
    gathered : bool
        Whether the atoms of active units are gathered, in place of a dense product. In memory the numbers of
        an atom then follow each other.
    encoder : Dense or None
        If weights are tied, the one-layer encoder whose weight is W.
    """

    def __init__(
        self, n_components: int, n_outputs: int, *, unit_norm: bool, gathered: bool, encoder: Dense | None = None
    ) -> None:
        super().__init__([n_components, n_outputs], "identity")
        self.unit_norm, self.gathered = unit_norm, gathered
        self._encoder = (encoder,)  # in a tuple, so that its parameters are not ours as well
        self._outputs = slice(n_outputs)  # an encoder may see more columns than these
        if encoder is None:
            shape = (n_components, n_outputs) if gathered else (n_outputs, n_components)
            self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(n_outputs))

    def _make_parameters(self, sizes: Sequence[int]) -> None:
        """Do nothing: the constructor makes them, in the order in memory that it needs."""

    @property
    def _weight(self) -> Tensor:
        encoder = self._encoder[0]
        return self.weight if encoder is None else encoder.weights[0][:, self._outputs]

    def _by_rows(self, weight: Tensor) -> Tensor:
        return weight if self.gathered or self._encoder[0] is not None else weight.t()

    @property
    def rows(self) -> Tensor:
        """W, of shape (n_components, n_outputs)."""
        return self._by_rows(self._weight)

    @property
    def weights(self) -> list[Tensor]:
        """W', not divided by norms."""
        return [self.rows.t()]

    def gradients(self) -> list[tuple[Tensor, Tensor]]:
        """Gradients of W' and b, see ``Dense``."""
        encoder = self._encoder[0]
        whole = functional.gradient_of(self.weight if encoder is None else encoder.weights[0])
        into_weight = whole if encoder is None else whole[:, self._outputs]
        return [(self._by_rows(into_weight).t(), functional.gradient_of(self.bias))]

    @torch.no_grad()
    def initialise(self, rng: torch.Generator) -> None:
        """Draw weights as ``Dense`` does, unless they are the encoder's."""
        if self._encoder[0] is None:
            super().initialise(rng)
        else:
            self.bias.zero_()

    def atoms(self, units: Tensor | slice = slice(None)) -> Tensor:
        """D, or some of its rows."""
        rows = self.rows[units]
        return F.normalize(rows, dim=1, eps=LEAST_NORM) if self.unit_norm else rows

    def _inverse_norms(self) -> Tensor:
        return torch.linalg.vector_norm(self.rows, dim=1).clamp_min(LEAST_NORM).reciprocal()

    def forward(self, h: Tensor, rng: torch.Generator | None = None) -> Tensor:
        """Eta of each row. Where autograd is on the product is dense, as silent units have a derivative too."""
        u = h * self._inverse_norms() if self.unit_norm else h
        if self.gathered and not torch.is_grad_enabled():
            return Entries.of(u).product(self.rows) + self.bias
        return super().forward(u)

    def propagate(self, h: Tensor, rng: torch.Generator | None) -> tuple[Tensor, Tape]:
        """``forward``, and the tape: W', u = s h, the places of its entries, eta, and s = 1 / |w|."""
        s = self._inverse_norms() if self.unit_norm else None
        u = h if s is None else h * s
        if not self.gathered:
            eta = super().forward(u)
            return eta, [(self.rows.t(), u, eta, eta, s)]
        code = Entries.of(u)
        eta = code.product(self.rows) + self.bias
        return eta, [(self.rows.t(), u, code.place, eta, s)]

    def backpropagate(self, tape: Tape, g: Tensor, to_input: bool = True) -> Tensor:
        """Add the gradients in W and b to ``.grad``, and return the gradient in h.

        With s = 1 / |w| and u = s h, the gradient in u is v = g W', and the one in h is s v. The gradient in W
        is u' g minus s^2 (sum_i u_i v_i) W, the part along the weights themselves, as norms have no effect.
        """
        weight, u, place, eta, s = tape[0]
        if self.gathered:
            return self._gathered_gradient(weight, Entries(place, u.take(place), u.shape), s, g)
        v: Tensor = super().backpropagate([(weight, u, eta, eta, None)], g)  # type: ignore[assignment]
        if s is None:
            return v
        self.gradients()[0][0].addcmul_(weight, (u * v).sum(0).mul_(s * s), value=-1)
        return v.mul_(s)

    def _gathered_gradient(self, weight: Tensor, code: Entries, s: Tensor | None, g: Tensor) -> Tensor:
        v = code.inner_products(g, weight.t())
        units, sums = code.transposed_product(g)
        if s is not None:
            radial = code.like(code.value * v).column_sums().mul_(s * s)
            sums.addcmul_(weight.t()[units], radial[units, None], value=-1)
            v.mul_(s[code.column])
        into_weight, into_bias = self.gradients()[0]
        into_weight.t().index_add_(0, units, sums)
        into_bias.add_(g.sum(0))
        return code.like(v).dense()


@dataclass(kw_only=True, eq=False, repr=False)
class DictionaryAutoencoder(DenseAutoencoder):
    """Top-k encoder, and a dictionary as decoder.

    The parameters beside these are those of ``Coder``. There is no projection, and the code has one moment.
    As the decoder is linear, ``tied_weights`` asks for an encoder without hidden layers.

    Parameters
    ----------
    k : int
    over_batch, unit_norm : bool
        See ``TopKEncoder`` and ``Dictionary``.
    """

    k: int
    over_batch: bool
    unit_norm: bool
    encoder: TopKEncoder = field(init=False)
    decoder: Dictionary = field(init=False)

    def _make_layers(self) -> None:
        n_components, n_outputs = self.n_components, self.n_outputs
        gathered = n_components * n_outputs >= GATHERED_SIZE and n_components >= GATHERED_RATIO * self.k
        self.encoder = TopKEncoder(
            [self.n_features + len(self.marked), *self.hidden_layer_sizes, n_components],
            self.activation,
            self.code_activation,
            k=self.k,
            over_batch=self.over_batch,
            gathered=gathered,
            dropout=self.dropout,
            batch_norm=self.batch_norm,
        )
        tied = self.encoder if self.tied_weights else None
        self.decoder = Dictionary(n_components, n_outputs, unit_norm=self.unit_norm, gathered=gathered, encoder=tied)

    def squared_jacobian(self, x: Tensor, h: Tensor, known: Tensor | None = None) -> Tensor:
        """See ``Coder``; silent units add nothing."""
        zero_has_no_slope = self.encoder.activations[-1] == "relu"
        return super().squared_jacobian(x, h, known) if zero_has_no_slope else Coder.squared_jacobian(self, x, h, known)

    @torch.no_grad()
    def start_at_atoms(self, rng: torch.Generator) -> None:
        """Draw atoms of norm one. A one-layer encoder starts with the same weights as the decoder."""
        rows = self.decoder.rows
        rows.copy_(F.normalize(torch.randn(rows.shape, generator=rng, dtype=rows.dtype), dim=1))
        first = self.encoder.weights[0][:, : self.n_features]
        if first.shape == rows.shape:
            first.copy_(rows)

    def decode_with_dead(self, x: Tensor, h: Tensor, dead: Tensor, known: Tensor | None = None) -> Tensor:
        """Eta if the strongest of the dead units were active too. Autograd sees the weights of dead units alone.

        They are half as many as outputs (Gao et al., 2024, appendix A.2).
        """
        with torch.no_grad():
            eta = self.decode(h)
        a = self.encoder.activate(self._told(x, known), dead)
        strongest = keep_largest(a, min(len(dead), max(1, eta.shape[1] // 2)))
        return eta + strongest @ self.decoder.atoms(dead)

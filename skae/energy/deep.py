"""Deep: a Boltzmann machine of several layers, whose even and odd layers are the two sides of a harmonium.

    E(h_0, h_1, ..., h_L) = -sum over l of a_l'h_l - sum over l of h_l' W_l h_(l-1),    h_0 = x

(Salakhutdinov and Hinton, 2009). The layers may also be a tree: several modalities, each with a pathway of layers of
its own, meet in one layer (Srivastava and Salakhutdinov, 2012).

The posterior of the layers above x is not known. Mean field approximates it by independent units, and gives a lower
bound of log p(x).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .harmonium import Harmonium, Known
from .layers import Part, columns_of, layer_of
from .units import Units

__all__ = ["Deep"]


class Deep(Harmonium):
    """A Boltzmann machine whose layers form a path or a tree, as a harmonium.

    The layers at an even distance from the rows are its visible side, and the others its hidden side. The first
    columns of the visible side, as many as ``width``, are the rows.

    Parameters
    ----------
    layers : sequence of Part
        Units of all layers. Those of the rows come first, in the order of the columns.
    edges : sequence of (int, int)
        Pairs of neighbours by the numbers of the layers, the lower layer first.
    n_seen : int
        Number of layers that are the rows.
    n_labels : int
        If it is not 0, the last layer is a label with so many classes.
    learnt_scale : bool
        Whether the standard deviations of scaled units are parameters.
    chains : sequence of int
        Number of the Markov chains that are kept. They keep hidden states, or visible ones if there are two numbers,
        those of temperatures and of chains.

    Raises
    ------
    ValueError
        If the rows would be on both sides.
    """

    def __init__(
        self,
        *,
        layers: Sequence[Part],
        edges: Sequence[tuple[int, int]],
        n_seen: int = 1,
        n_labels: int = 0,
        learnt_scale: bool = False,
        chains: Sequence[int] = (1,),
    ) -> None:
        sides = _sides(len(layers), edges)
        if not all(sides[:n_seen]):
            raise ValueError("The rows have pathways of even and of odd numbers of layers: make all even, or all odd.")
        below, above = ([k for k, side in enumerate(sides) if side is here] for here in (True, False))
        joined = {frozenset(edge) for edge in edges}
        super().__init__(
            visible=[layers[k] for k in below],
            hidden=[layers[k] for k in above],
            absent=[
                (j, i) for j, a in enumerate(above) for i, b in enumerate(below) if frozenset((a, b)) not in joined
            ],
            learnt_scale=learnt_scale,
            chain_shape=(*chains, sum(layers[k].width for k in (above if len(chains) == 1 else below))),
        )
        self.edges, self.n_seen, self.n_labels = list(edges), n_seen, n_labels
        self.n_layers = len(layers)
        self.hidden_layers = range(n_seen, len(layers) - (n_labels > 0))
        self._places: dict[int, tuple[bool, slice]] = {}
        for side, numbers in ((True, below), (False, above)):
            columns = columns_of([layers[k].width for k in numbers])
            self._places |= {k: (side, c) for k, c in zip(numbers, columns, strict=True)}
        self.rows: Units = layer_of(layers[:n_seen])
        self.width = self.rows.width
        self.upper: Units = layer_of([layers[k] for k in below[n_seen:]])
        self.register_buffer("rows_mask", torch.arange(self.visible.width) < self.width, persistent=False)

    rows_mask: Tensor

    def place(self, k: int) -> tuple[bool, slice]:
        """Whether a layer is on the visible side, and its columns there."""
        return self._places[k]

    def layer(self, k: int, s: Tensor, h: Tensor) -> Tensor:
        """One layer of the states of the two sides."""
        on_visible_side, columns = self._places[k]
        return (s if on_visible_side else h)[..., columns]

    def weights(self, lower: int, upper: int) -> Tensor:
        """Weights between two neighbours, of shape (units of the upper layer, units of the lower layer)."""
        (side, columns), (_, others) = self._places[lower], self._places[upper]
        return self.weight[others, columns] if side else self.weight[columns, others].t()

    def bias(self, k: int) -> Tensor:
        """Biases of a layer."""
        return self.layer(k, self.visible_bias, self.hidden_bias)

    # ---------------------------------------------------------------- rows

    def embed(self, x: Tensor) -> Tensor:
        """States of the units of rows x, or of all visible units."""
        units = self.rows if x.shape[-1] == self.width else self.visible
        x = units.admit(x)
        return x * torch.exp(-self.log_scale[: x.shape[-1]]) if self.scaled else x

    def unembed(self, s: Tensor) -> Tensor:
        """Rows x for states of their units, or of all visible units."""
        s = s[..., : self.width]
        return s * torch.exp(self.log_scale[: self.width]) if self.scaled else s

    def total(self, s: Tensor) -> Tensor | None:
        """Number of draws in each row, or in each state of the visible side; None where there are no counts."""
        return self.rows.total(s[..., : self.width])

    @torch.no_grad()
    def initialise(self, mean: Tensor, deviation: Tensor, scale: float, rng: torch.Generator) -> None:
        """As for a harmonium, given the means and deviations of the rows. The layers above start at field zero."""
        field = torch.zeros_like(self.visible_offset[self.width :])
        upper = self.upper.mean(field[None])[0] if self.upper.width else field
        super().initialise(torch.cat([mean, upper]), torch.cat([deviation, torch.ones_like(upper)]), scale, rng)

    # ---------------------------------------------------------------- what is known

    def known(self, x: Tensor, y: Tensor | None = None) -> Known:
        """All entries of rows x are known, and labels y where they are not zero."""
        s = torch.cat([self.embed(x), self.visible_offset[self.width :].expand(len(x), -1)], 1)
        return self._with_label(Known(s, self.rows_mask, total=self.total(s), n_leading=self.width), y)

    def are_known(self, x: Tensor) -> Tensor:
        """As for a harmonium, for rows x of shape (n, width)."""
        return self.rows.whole(~x.isnan())

    def known_in_part(self, x: Tensor, total: Tensor | None = None, y: Tensor | None = None) -> Known:
        """As for a harmonium, for rows x of shape (n, width). Labels y are known where they are not zero."""
        rest = x.new_full((len(x), self.upper.width), math.nan)
        return self._with_label(super().known_in_part(torch.cat([x, rest], 1), total), y)

    def known_layers(self, states: dict[int, Tensor], total: Tensor | None = None) -> Known:
        """The states of some layers are known, by the numbers of the layers."""
        n = len(next(iter(states.values())))
        sides = [offset.repeat(n, 1) for offset in (self.visible_offset, self.hidden_offset)]
        masks = [torch.zeros_like(side, dtype=torch.bool) for side in sides]
        for k, state in states.items():
            on_visible_side, columns = self._places[k]
            number = 0 if on_visible_side else 1
            sides[number][:, columns], masks[number][:, columns] = state, True
        return Known(sides[0], masks[0], sides[1], masks[1], total)

    def _with_label(self, known: Known, y: Tensor | None) -> Known:
        if y is None or not self.n_labels:
            return known
        on_visible_side, columns = self._places[max(self._places)]
        told = y.any(1, keepdim=True)
        if on_visible_side:
            s, mask = known.s.clone(), known.mask.expand(len(y), -1).clone()
            s[:, columns], mask[:, columns] = torch.where(told, y, s[:, columns]), told
            return known._replace(s=s, s_mask=mask)
        h = y.new_zeros(len(y), self.hidden.width)
        mask = torch.zeros_like(h, dtype=torch.bool)
        h[:, columns], mask[:, columns] = y, told
        return known._replace(h=h, h_mask=mask)

    # ---------------------------------------------------------------- expectations

    def _units_behind(self, n: int) -> Units:
        return self.upper if n else self.visible

    def rows_given(self, h: Tensor, total: Tensor | None = None) -> Tensor:
        """E[x | h] for states of the hidden side."""
        return self.unembed(self.visible_mean(h, total))

    # ---------------------------------------------------------------- bounds

    def log_density(self, x: Tensor) -> Tensor:
        """Lower bound of log p(x) + log Z of each row x, of shape (n,). A label is summed out."""
        if self.n_labels:
            return self.label_scores(x).logsumexp(1)
        if not self.upper.width:
            return super().log_density(x)
        known = self.known(x)
        return self.bound(known, self.settled(known)) - self.log_scale.sum()

    def label_scores(self, x: Tensor) -> Tensor:
        """Lower bound of log p(x, y) + log Z for each label y, of shape (n, n_labels)."""
        each = torch.eye(self.n_labels, dtype=x.dtype, device=x.device)
        known = self.known(x.repeat_interleave(self.n_labels, 0), each.repeat(len(x), 1))
        return (self.bound(known, self.settled(known)) - self.log_scale.sum()).view(len(x), -1)

    def label_scores_in_part(self, x: Tensor, total: Tensor | None = None) -> Tensor:
        """As ``label_scores``, for rows x that are NaN where an entry is unknown."""
        each = torch.eye(self.n_labels, dtype=x.dtype, device=x.device)
        draws = None if total is None else total.repeat_interleave(self.n_labels)
        known = self.known_in_part(x.repeat_interleave(self.n_labels, 0), draws, each.repeat(len(x), 1))
        return self.log_density_in_part(known).view(len(x), -1)

    def sample_above(self, s: Tensor, rng: torch.Generator) -> Tensor:
        """Visible states, with states drawn in place of expectations above the rows."""
        if not self.upper.width:
            return s
        return torch.cat([s[:, : self.width], self.upper.draw(s[:, self.width :], rng)], 1)


def _sides(n: int, edges: Sequence[tuple[int, int]]) -> list[bool]:
    """Whether each of n layers of a tree is at an even distance from layer 0."""
    sides = {0: True}
    while len(sides) < n:
        for one, two in edges:
            if one in sides:
                sides[two] = not sides[one]
            elif two in sides:
                sides[one] = not sides[two]
    return [sides[k] for k in range(n)]

"""Course: the steps of an epoch, whether one process takes them alone or several divide each batch.

A batch is some rows of the whole, in an order that all processes know. If the rows are divided, each process computes
the mean gradient over those of the batch that it holds, which may be none. Weighted by their numbers and summed, these
are the gradient of the batch. So the steps are those of one process with all rows, within rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from .data import Held, Source, shuffled
from .group import Team, current
from .optim import Flat, Move, Terms

__all__ = ["Course", "batches", "course_of"]

Step = Callable[[Any], "Terms | Move"]
Evaluate = Callable[[], "Terms | Move"]


def batches(n: int, size: int) -> Iterator[slice]:
    """Split rows into batches. If the last batch would have a single row, it joins the one before."""
    starts = [*range(0, n, size)]
    if len(starts) > 1 and n % size == 1 and size > 1:
        del starts[-1]
    for start, stop in pairwise([*starts, n]):
        yield slice(start, stop)


class Course:
    """The steps of a process that has all rows.

    Parameters
    ----------
    step : callable
        As for ``minimise``.
    data : Source
    flat : Flat
    """

    def __init__(self, step: Step, data: Source, flat: Flat) -> None:
        self.step, self.data, self.flat = step, data, flat

    def steps(self, order: Tensor, size: int) -> Iterator[tuple[slice, Evaluate]]:
        """Yield the places of the rows of each batch, and what evaluates them.

        Parameters
        ----------
        order : LongTensor of shape (n_rows,)
            Row numbers in the order of the epoch.
        size : int
            Rows of a batch.
        """
        ordered = shuffled(self.data, order.to(self.flat.theta.device))
        for rows in batches(len(order), size):
            batch = ordered[rows]
            yield rows, lambda: self.step(batch)  # noqa: B023

    def whole(self) -> Evaluate:
        """What evaluates all rows as one batch."""
        everything = self.data[torch.arange(len(self.data), device=self.flat.theta.device)]
        return lambda: self.step(everything)

    def close(self, ended: bool) -> None:
        """Leave the module as that of one process. ``ended`` says whether training came to its end."""


def course_of(step: Step, data: Source, flat: Flat) -> Course:
    """The steps of a training. All processes start at the weights of the first one."""
    group = current()
    if group.size == 1:
        return Course(step, data, flat)
    group.spread([flat.theta, *flat.buffers])
    held = data.held() if isinstance(data, Source) else None
    if held is not None:
        assert isinstance(group, Team)
        return _Divided(step, data, flat, held, group)
    group.share = 1 / group.size  # each process takes the same steps, with the same rows
    return Course(step, data, flat)


class _Divided(Course):
    """The steps of one of several processes, each of which holds some rows."""

    def __init__(self, step: Step, data: Source, flat: Flat, held: Held, team: Team) -> None:
        super().__init__(step, data, flat)
        self.held, self.team = held.data, team
        self.index = torch.full((len(data),), -1)
        """Number of each row among those that this process holds, and -1 for the others."""
        self.index[held.places] = torch.arange(len(held.places))
        self.stand_in = data[torch.zeros(1, dtype=torch.long, device=flat.theta.device)]
        """A row for steps of which this process holds none. It counts nothing."""
        self.sums = _Sums(flat, team)
        self.chains = _Chains(flat, team)

    def steps(self, order: Tensor, size: int) -> Iterator[tuple[slice, Evaluate]]:
        """See ``Course``."""
        index = self.index[order]
        mine = index >= 0
        ends = F.pad(mine.cumsum(0), (1, 0))
        ordered = shuffled(self.held, index[mine].to(self.flat.theta.device))
        places = list(batches(len(order), size))
        self.sums.watch_names()

        def fetched(k: int) -> tuple[Any, float]:
            rows = places[k]
            start, stop = int(ends[rows.start]), int(ends[rows.stop])
            batch = ordered[start:stop] if stop > start else self.stand_in
            return batch, (stop - start) / (rows.stop - rows.start)

        following = fetched(0)

        def fetch(k: int) -> None:
            nonlocal following
            following = fetched(k) if k < len(places) else following

        for k, rows in enumerate(places):
            batch, share = following
            yield rows, lambda: self._evaluated(batch, share, lambda: fetch(k + 1))  # noqa: B023
        self.team.settle()

    def whole(self) -> Evaluate:
        """See ``Course``."""
        n = int((self.index >= 0).sum())
        batch = self.held[torch.arange(n, device=self.flat.theta.device)] if n else self.stand_in
        return lambda: self._evaluated(batch, n / len(self.index), lambda: None)

    def _evaluated(self, batch: Any, share: float, meanwhile: Callable[[], None]) -> Terms | Move:
        self.team.share = share
        return self._summed(self.step(batch), share, meanwhile)

    def _summed(self, found: Terms | Move, share: float, meanwhile: Callable[[], None]) -> Terms | Move:
        if not isinstance(found, Move):
            return self.sums.of(found, share, meanwhile)
        then = found.then
        follow = None if then is None else lambda: self._summed(then(), share, lambda: None)
        return Move(self.sums.of(found.terms, share, meanwhile), found.parts, follow)  # type: ignore[arg-type]

    def close(self, ended: bool) -> None:
        """See ``Course``."""
        self.chains.join(ended)


class _Sums:
    """The gradient and the terms of a step, summed over the processes in one buffer.

    It holds the gradient, whether a process has a term that the others do not know of, whether one was interrupted,
    and for each term its value and whether a process has it.
    """

    def __init__(self, flat: Flat, team: Team) -> None:
        self.flat, self.team = flat, team
        self.names: list[str] = []
        self.buffer = flat.grad.new_empty(len(flat.grad) + 2)
        self.is_watching = True

    def watch_names(self) -> None:
        """Look at the next step for terms that are new. Reading numbers from a device takes time."""
        self.is_watching = True

    def of(self, terms: Terms, share: float, meanwhile: Callable[[], None]) -> Terms:
        """Sum the gradient and the terms over the processes.

        Parameters
        ----------
        terms : dict of str to Tensor
            Those of the rows that this process holds.
        share : float
            The fraction of the batch that these are.
        meanwhile : callable
            What is to be done while the sums are on their way.
        """
        n, team = len(self.flat.grad), self.team
        gradient, flags, values, present = self.buffer.split([n, 2, len(self.names), len(self.names)])
        if share:
            torch.mul(self.flat.grad, share, out=gradient)
        else:
            gradient.zero_()
        known = [terms.get(name) for name in self.names]
        missing = [name for name in terms if name not in self.names]
        flags[0], flags[1] = float(bool(missing)), float(team.is_interrupted)
        for k, term in enumerate(known):
            present[k] = float(term is not None)
            values[k] = 0.0 if term is None or not share else term.detach() * share
        pending = team.start(self.buffer)
        meanwhile()
        pending.finish(at_once=self.is_watching)
        self.flat.grad.copy_(gradient)
        if self.is_watching:
            self.is_watching = gradient.device.type == "cpu"
            is_new, is_interrupted, *is_present = torch.cat([flags, present]).tolist()
            if is_interrupted:
                raise KeyboardInterrupt
            if is_new:
                self._learn_names(terms)
                return self._terms_alone(terms, share)
        else:
            is_present = [1.0] * len(self.names)
        return {name: value for name, value, p in zip(self.names, values.clone(), is_present, strict=True) if p}

    def _learn_names(self, terms: Terms) -> None:
        self.names = list(dict.fromkeys([*self.names, *(name for part in self.team.gather([*terms]) for name in part)]))
        self.buffer = self.buffer.new_empty(len(self.flat.grad) + 2 + 2 * len(self.names))

    def _terms_alone(self, terms: Terms, share: float) -> Terms:
        """The terms of a step whose gradient has been summed."""
        zero = self.flat.grad.new_zeros(())
        own = [terms[name].detach() * share if share and name in terms else zero for name in self.names]
        has = [zero + float(name in terms) for name in self.names]
        values, present = self.team.sum(torch.stack([*own, *has])).split(len(self.names))
        return {name: value for name, value, p in zip(self.names, values, present.tolist(), strict=True) if p}


class _Chains:
    """Buffers of which each process has a share in training, such as Markov chains.

    A module says which they are, and along which axis they are divided, by ``apart``.
    """

    def __init__(self, flat: Flat, team: Team) -> None:
        self.flat, self.team, self.before = flat, team, flat.buffers
        self.wholes = [(owner, name, axis, getattr(owner, name)) for owner, name, axis in flat.apart]
        for owner, name, axis, whole in self.wholes:
            if whole.shape[axis] < team.size:
                raise ValueError(
                    f"n_chains={whole.shape[axis]} are fewer than the {team.size} processes, each of which needs one: "
                    "raise n_chains."
                )
            setattr(owner, name, whole.tensor_split(team.size, axis)[team.rank].clone())
        if self.wholes:
            flat.find_buffers()

    def join(self, ended: bool) -> None:
        """Let each process have all of them again, as they are now if training has come to its end."""
        for owner, name, axis, whole in self.wholes:
            own = getattr(owner, name)
            setattr(owner, name, whole)
            if ended:
                whole.zero_()
                whole.tensor_split(self.team.size, axis)[self.team.rank].copy_(own)
                whole.copy_(self.team.sum(whole))
        self.wholes = []
        self.flat.buffers = self.before

"""Group: the processes that fit one model together, and what they tell one another.

Each process holds some of the rows and runs the same program. What depends on all rows is a sum over the processes, so
that all of them compute with the same numbers and end with the same model. One process alone is a group too, in which
every sum is the number itself.

An error in one process ends the others: while a process waits for the others, it looks every second into the store of
the process group, where a process that fails leaves its sentence.
"""

from __future__ import annotations

import pickle
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

__all__ = [
    "ALONE",
    "Group",
    "OtherProcessError",
    "Team",
    "alone",
    "current",
    "is_offered",
    "offered",
    "part_of",
    "together",
]

PATIENCE = timedelta(seconds=1)
"""How long a process waits for the others before it looks whether one of them has failed."""
ROLL_CALL = 8.0
"""Seconds that processes have to answer when one of them is lost."""


class OtherProcessError(RuntimeError):
    """Another process of the group has failed. The message begins with its rank and has its sentence."""


class Group:
    """One process, which holds all rows."""

    rank = 0
    """Number of this process."""
    size = 1
    """Number of processes."""
    share = 1.0
    """Fraction of the rows of the current batch that this process holds."""

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum of a tensor over the processes. All have the same result, to the last bit.

        Parameters
        ----------
        tensor : Tensor
            Of the same shape and dtype in each process.
        """
        return tensor

    def any(self, mask: Any) -> Any:
        """Whether something holds in any process, for a bool or an array of bool."""
        return mask

    def gather(self, thing: Any) -> list[Any]:
        """What each process passes, in the order of the ranks. It should be small."""
        return [thing]

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""

    def own(self, noise: torch.Generator) -> torch.Generator:
        """Make of a generator that all processes share one whose numbers are independent of those of the others."""
        return noise

    def mean_of_batch(self, mean: Tensor) -> Tensor:
        """Mean over the rows of a batch, given the mean over those of them that this process holds."""
        return mean


class Pending:
    """A sum over the processes that is being computed.

    Parameters
    ----------
    team : Team
    tensor : Tensor
        It is overwritten by the sum.
    """

    def __init__(self, team: Team, tensor: Tensor) -> None:
        self.team, self.tensor = team, tensor
        self.place = team.place(tensor)
        self.work = team.begin(dist.all_reduce, self.place)

    def finish(self, at_once: bool = True) -> Tensor:
        """Wait for the sum, or let only the device wait for it if not ``at_once``."""
        self.team.wait(self.work, at_once)
        if self.place is not self.tensor:
            self.tensor.copy_(self.place)
        return self.tensor


class Team(Group):
    """Several processes, connected by ``torch.distributed``.

    Parameters
    ----------
    handle : ProcessGroup
    number : int
        How many teams of this process group there were before. It is the same in all processes.
    """

    def __init__(self, handle: Any, number: int) -> None:
        self.handle = handle
        self.rank, self.size = dist.get_rank(handle), dist.get_world_size(handle)
        self.is_broken = False
        """Whether the processes are out of step after an error, so that no sum can be computed any more."""
        inside: Any = dist.distributed_c10d  # torch has no public name for the store of a process group
        self._store = inside.PrefixStore(f"skae/{handle.group_name}/{number}", inside._get_default_store())
        self._n_fits, self._has_answered = 0, False
        self._trailing: list[Any] = []
        self.is_interrupted = False
        """Whether Ctrl-C asks to stop. All processes then stop at the same step."""
        self._is_nccl = dist.get_backend(handle) == "nccl"

    # ---------------------------------------------------------------- sums

    def place(self, tensor: Tensor) -> Tensor:
        """The tensor, or a copy of it on a device that the processes can exchange."""
        if self._is_nccl and tensor.device.type != "cuda":
            return tensor.cuda()
        return tensor if tensor.is_contiguous() else tensor.contiguous()

    def begin(self, operation: Any, tensor: Tensor, **options: Any) -> Any:
        """Start an operation of all processes on a tensor."""
        try:
            return operation(tensor, group=self.handle, async_op=True, **options)
        except RuntimeError as error:
            raise self._lost() from error

    def wait(self, work: Any, at_once: bool = True) -> None:
        """Wait for an operation, as long as no process has failed.

        If not ``at_once``, a device that computes by itself waits, and this process goes on. It is then at most two
        steps ahead.
        """
        self._trailing.append(work)
        if self._is_nccl:
            work.wait()
        self.settle(0 if at_once or not self._is_nccl else 2)

    def settle(self, ahead: int = 0) -> None:
        """Wait for all operations but the last few."""
        while len(self._trailing) > ahead:
            work = self._trailing[0]
            try:
                while not self._is_over(work):
                    self._listen()
            except OtherProcessError:
                raise
            except RuntimeError as error:
                raise self._lost() from error
            del self._trailing[0]

    def _is_over(self, work: Any) -> bool:
        """Wait for an operation for some time. Returns whether it has succeeded; an error says that it has failed."""
        if self._is_nccl:  # its own waiting returns before it is over
            end = time.monotonic() + PATIENCE.total_seconds()
            while not work.is_completed() and time.monotonic() < end:
                time.sleep(1e-4)
            return bool(work.is_completed())
        try:
            work.wait(PATIENCE)
        except RuntimeError:
            if not work.is_completed():
                return False
            work.wait()  # it may have ended since, well or badly
        return True

    def start(self, tensor: Tensor) -> Pending:
        """Start to sum a tensor over the processes."""
        return Pending(self, tensor)

    def sum(self, tensor: Tensor) -> Tensor:
        """See ``Group``."""
        return self.start(tensor.detach().clone(memory_format=torch.contiguous_format)).finish()

    def any(self, mask: Any) -> Any:
        """See ``Group``."""
        counts = self.sum(torch.as_tensor(mask).to(torch.int32)) > 0
        return bool(counts) if isinstance(mask, bool) else counts.numpy() if not isinstance(mask, Tensor) else counts

    def gather(self, thing: Any) -> list[Any]:
        """See ``Group``."""
        data = torch.frombuffer(bytearray(pickle.dumps(thing)), dtype=torch.uint8)
        sizes = torch.zeros(self.size, dtype=torch.int64)
        sizes[self.rank] = len(data)
        ends = self.sum(sizes).cumsum(0).tolist()
        whole = torch.zeros(ends[-1], dtype=torch.uint8)
        whole[ends[self.rank] - len(data) : ends[self.rank]] = data
        pieces = self.sum(whole).split([stop - start for start, stop in zip([0, *ends], ends)])  # noqa: B905
        return [pickle.loads(piece.numpy().tobytes()) for piece in pieces]

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """See ``Group``."""
        first = dist.get_global_rank(self.handle, 0)
        for tensor in tensors:
            place = self.place(tensor)
            self.wait(self.begin(dist.broadcast, place, src=first))
            if place is not tensor:
                tensor.copy_(place)

    def own(self, noise: torch.Generator) -> torch.Generator:
        """See ``Group``."""
        seed = int(torch.randint(2**62, (), generator=noise, device=noise.device))
        return torch.Generator(noise.device).manual_seed((seed + self.rank * 0x9E3779B97F4A7C15) % 2**63)

    def mean_of_batch(self, mean: Tensor) -> Tensor:
        """See ``Group``."""
        return self.sum(mean * self.share)

    # ---------------------------------------------------------------- failures

    @contextmanager
    def fitting(self) -> Iterator[None]:
        """A fit of all processes. If one fails, all do."""
        if self.is_broken:
            raise RuntimeError(
                "An error has left the processes out of step: end them and start again, or pass another group to "
                "data_parallel."
            )
        self._n_fits, self._has_answered = self._n_fits + 1, False
        self._trailing.clear()
        try:
            with self._interruptible():
                yield
        except BaseException as error:
            self._tell(error)
            raise

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """Let the first Ctrl-C wait for the end of a step, at which all processes stop."""
        self.is_interrupted = False
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or handler is None:
            yield
            return

        def interrupt(*signal_and_frame: Any) -> None:
            if self.is_interrupted:
                raise KeyboardInterrupt
            self.is_interrupted = True

        signal.signal(signal.SIGINT, interrupt)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)

    def _key(self, name: str) -> str:
        return f"{self._n_fits}/{name}"

    def _tell(self, error: BaseException) -> None:
        """Leave a sentence for the others, and find out whether the processes are still in step."""
        self.is_broken = True
        with suppress(RuntimeError):  # the store is gone, with the process that kept it
            if not isinstance(error, OtherProcessError):
                kind = "" if isinstance(error, ValueError) and str(error) else f"{type(error).__name__}: "
                self._publish(f"rank {self.rank}: {kind}{str(error) or 'it was stopped'}")
            self._store.add(self._key("waiting"), len(self._trailing))
            self._store.add(self._key("fallen"), 1)
            if self._all_answer("fallen"):
                self.is_broken = self._store.add(self._key("waiting"), 0) > 0

    def _publish(self, sentence: str) -> None:
        """Leave the sentence of a failure, if it is the first."""
        if self._store.add(self._key("failures"), 1) == 1:
            self._store.set(self._key("sentence"), sentence)

    def _listen(self) -> None:
        """Raise the error of another process, if one has failed. Answer if one looks for those who are there."""
        try:
            failed = self._store.add(self._key("failures"), 0) > 0
            sentence = self._store.get(self._key("sentence")).decode() if failed else None
            if self._store.add(self._key("here"), 0) > 0:
                self._answer()
        except RuntimeError as error:
            raise OtherProcessError("The process that keeps the store of the process group has ended.") from error
        if sentence is not None:
            raise OtherProcessError(sentence)

    def _answer(self) -> None:
        if not self._has_answered:
            self._has_answered = True
            self._store.set(self._key(f"here/{self.rank}"), "")
            self._store.add(self._key("here"), 1)

    def _lost(self) -> OtherProcessError:
        """The error after a connection to another process broke."""
        try:
            self._listen()
            self._answer()
            self._all_answer("here")
            self._listen()
            lost = [rank for rank in range(self.size) if not self._store.check([self._key(f"here/{rank}")])]
            who = f"rank {', '.join(map(str, lost))}" if lost else "a process"
            self._publish(f"{who}: ended without a word; it was killed, ran out of memory, or is cut off.")
            self._listen()
        except OtherProcessError as error:
            return error
        return OtherProcessError("The process that keeps the store of the process group has ended.")

    def _all_answer(self, name: str) -> bool:
        """Wait until each process has added itself to a count, or some time is over."""
        end = time.monotonic() + ROLL_CALL
        while self._store.add(self._key(name), 0) < self.size:
            if time.monotonic() > end:
                return False
            time.sleep(0.02)
        return True


ALONE = Group()
"""The group of one process."""

_offered: ContextVar[Team | None] = ContextVar("_offered", default=None)
"""The processes that share the fits in a context."""
_current: ContextVar[Group] = ContextVar("_current", default=ALONE)
"""The processes that share the fit that is going on."""


def current() -> Group:
    """The processes that share the fit that is going on."""
    return _current.get()


@contextmanager
def offered(team: Team | None) -> Iterator[None]:
    """Let the fits in the context be those of a team."""
    token = _offered.set(team)
    try:
        yield
    finally:
        _offered.reset(token)


@contextmanager
def alone() -> Iterator[None]:
    """What this process does without the others, also in the middle of a fit that they share."""
    tokens = _current.set(ALONE), _offered.set(None)
    try:
        yield
    finally:
        _current.reset(tokens[0])
        _offered.reset(tokens[1])


def part_of(data: Any) -> tuple[Any, Group]:
    """The rows of a source that this process holds, and the group over which to sum what is summed over them.

    If each process has all rows, these are all of them, and the group is that of one process.
    """
    held = data.held()
    return (data, ALONE) if held is None else (held.data, current())


def is_offered() -> bool:
    """Whether several processes share the fits here."""
    return _offered.get() is not None


@contextmanager
def together() -> Iterator[Group]:
    """A fit, of all processes if they share it. Fits in this one are parts of it."""
    team = _offered.get()
    if team is None or _current.get() is not ALONE:
        yield _current.get()
        return
    token = _current.set(team)
    try:
        with team.fitting():
            yield team
    finally:
        _current.reset(token)

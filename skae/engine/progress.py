"""Progress: a bar or a line an epoch for each training of a fit."""

from __future__ import annotations

from typing import Any

from .listeners import Listener

__all__ = ["Bars", "Lines"]


class Bars(Listener):
    """A progress bar for each training."""

    bar: Any = None

    def begins(self, training: Any) -> None:
        """See ``Listener``."""
        from tqdm.auto import tqdm

        self.close()
        if training.plan.max_iter and training.outcome is None:  # a checkpoint may hold all of it already
            total, done = training.plan.max_iter, training.epoch
            self.bar = tqdm(desc=training.stage or None, total=total, initial=done, unit="epoch")

    def ends_epoch(self, training: Any) -> None:
        """See ``Listener``."""
        self.bar.set_postfix({name: f"{value:.4g}" for name, value in training.row.items()}, refresh=False)
        self.bar.update()

    def ends(self, training: Any) -> None:
        """See ``Listener``."""
        self.close()

    def close(self) -> None:
        """Leave the bar as it is."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class Lines(Listener):
    """A line for each epoch, with the name of the stage if there are several."""

    def ends_epoch(self, training: Any) -> None:
        """See ``Listener``."""
        stage = f"{training.stage}: " if training.stage else ""
        terms = (f"{name} {value:.6g}" for name, value in training.row.items())
        print(f"{stage}epoch {training.epoch}/{training.plan.max_iter}", *terms, sep="  ")

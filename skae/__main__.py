"""``python -m skae compare``: compare PCA with the estimators of this package, on a table of the user's."""

from __future__ import annotations

import argparse
import io
import math
import os
import signal
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from typing import Any

from sklearn.exceptions import UndefinedMetricWarning

from .comparison import compare
from .exceptions import DisconnectedGraphWarning, NothingLearntWarning
from .options import check, groups_of, parser, reducers, standardized, table_options
from .report import NotWrittenError, describe, legend, output_folder, scale_hint, told_around, write
from .tables import load, printable

BOLD = "\033[1;32m{}\033[0m"
MISTAKE, FAILURE, INTERRUPTED, READER_GONE = 2, 1, 130, 141
"""Exit statuses. The last two are those of programs that end at Ctrl-C, and at the end of `head`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Returns
    -------
    status : int
        0 for success, 1 if a result could not be written, 2 for a mistake in the input, 130 for an interruption, and
        141 if the reader of the output has gone, as after ``| head -1``. The files are then written all the same.
    """
    options = parser().parse_args(arguments)
    out, err = Stream(sys.stdout), Stream(sys.stderr)
    with redirect_stdout(out), redirect_stderr(err):
        status = attempt(options)
        out.flush()
        if status == 0 and out.error is not None and not isinstance(out.error, BrokenPipeError):
            return complain(options, f"Cannot write to the standard output: {out.error.strerror}.", FAILURE)
    return READER_GONE if status == 0 and out.error is not None else status


def attempt(options: argparse.Namespace) -> int:
    """Run the command. Every mistake is told in one line."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run(options)
    except NotWrittenError as error:
        return complain(options, error, FAILURE)
    except (ValueError, TypeError, OSError, ImportError, MemoryError, OverflowError, RuntimeError) as error:
        return complain(options, error, MISTAKE)
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return complain(options, "interrupted", INTERRUPTED)
    return 0


def complain(options: argparse.Namespace, what: object, status: int) -> int:
    """Print one line to stderr, and return the status."""
    text = " ".join(str(what).split()) or type(what).__name__
    print(f"skae {options.command}: {printable(text)}", file=sys.stderr)
    return status


def run(options: argparse.Namespace) -> None:
    """Load a table, compare the reducers, and write the result to the terminal and to files."""
    check(options)
    data = load(options.data, **table_options(options))
    groups = groups_of(options, len(data.X))
    models = reducers(options, data)
    with output_folder(options.output):
        hint = None if options.standardize else scale_hint(data)
        around = told_around(models, data)
        print("\n".join(line for line in (describe(data), *data.notes, around, hint) if line), flush=True)
        with warnings.catch_warnings(record=True) as warned:
            for category in (NothingLearntWarning, DisconnectedGraphWarning, UndefinedMetricWarning):
                warnings.simplefilter("always", category)
            result = compare(
                data.X,
                data.y,
                models,
                options.n_components,
                options.cv,
                standardize=standardized(options, data),
                random_state=options.seed,
                verbose=1,
                groups=groups,
                n_repeats=options.repeats,
                scoring=options.scoring,
                n_jobs=options.n_jobs,
                resume=options.resume,
            )
        print(result.table(BOLD if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else "{}*"))
        print(legend(result, data), flush=True)
        print("".join(f"{printable(text)}\n" for text in _each_once(warned)), end="")
        print("\n".join(write(result, data, options)))


def _each_once(warned: Sequence[warnings.WarningMessage]) -> list[str]:
    """One warning of each reducer and size, whatever the folds, and all that differ of scorers."""
    texts = [(str(told.message), told.category) for told in warned]
    found = {
        (text.partition(":")[0], category, text if category is UndefinedMetricWarning else ""): text
        for text, category in texts
    }
    return list(found.values())


class Stream:
    """A standard stream whose loss does not end the run.

    It may have been closed before the start, its reader may go, or its disk may be full. What is written after that is
    dropped.

    Parameters
    ----------
    stream : file of text, or None
        None is a stream that was closed before the start.

    Attributes
    ----------
    error : OSError or None
        What happened to it.
    """

    def __init__(self, stream: Any) -> None:
        self.stream = io.StringIO() if stream is None else stream
        self.error: OSError | None = None

    def write(self, text: str) -> int:
        """Write text, if the stream is still there."""
        if self.error is None:
            try:
                self.stream.write(text)
            except UnicodeEncodeError:
                self.stream.write(text.encode("ascii", "backslashreplace").decode())
            except OSError as error:
                self._lose(error)
        return len(text)

    def flush(self) -> None:
        """Empty the buffer, if the stream is still there."""
        if self.error is None:
            try:
                self.stream.flush()
            except OSError as error:
                self._lose(error)

    def _lose(self, error: OSError) -> None:
        """Keep the error, and let what is still in the buffer go nowhere when the interpreter ends."""
        self.error = error
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.stream.fileno())
            os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


class Interrupts:
    """Ctrl-C for a process of its own: pressed again within two seconds, it does not disturb the tidying up."""

    GRACE = 2.0

    def __init__(self) -> None:
        self.last = -math.inf

    def __call__(self, *_: object) -> None:
        """Raise KeyboardInterrupt, unless one was raised a moment ago."""
        before, self.last = self.last, time.monotonic()
        if self.last - before > self.GRACE:
            raise KeyboardInterrupt


def occupy_standard_files() -> None:
    """Open those of the first three files that were closed, so that no file of ours becomes one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    occupy_standard_files()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, Interrupts())
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # while the interpreter ends
    sys.exit(status)

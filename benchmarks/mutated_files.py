"""Mutated files: a sentence or a model, and never a crash, a hang, or memory far beyond the size of the file.

    python benchmarks/mutated_files.py [--n 100000] [--seed 0] [--traced 20]

Files of all estimators are mutated (``tests/mutations.py``), loaded and, if they load, used. A file fails if loading
ends in another error than a ``FileError``, if the model cannot be used and does not say why, or if either takes longer
than ``--seconds`` of processor time. The address space of the process is limited. Of each twentieth file, the memory
that Python and numpy hold while it is loaded is traced: at most ten times the size of the file, beside what the
original file takes.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import tracemalloc
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from files.write import cases, newest
from mutations import File, mutated, write

import skae
from skae.exceptions import FileError

TIMES, ROOM = 10, 2**29
"""Memory that a file may take, in sizes of the file, and address space of the process beside what it has."""


class Slow(BaseException):
    """A file takes too long."""


def too_slow(*_: Any) -> None:
    """What the timer does."""
    raise Slow


def outcome(path: Path, X: Any) -> str:
    """What a file ends in: "refused", "used", "refuses the rows", or what is wrong."""
    found: list[Any] = []
    wrong = failure(lambda: found.append(skae.load(path)), FileError, "refused")
    if wrong is not None:
        return wrong
    (model,) = found
    use = model.transform if hasattr(model, "transform") else model.predict
    return failure(lambda: use(X), ValueError, "refuses the rows") or "used"


def failure(act: Callable[[], Any], refusal: type[Exception], refused: str) -> str | None:
    """How an act fails, or None. A refusal by a sentence is ``refused``."""
    try:
        act()
    except refusal as error:
        return refused if len(str(error).split()) > 4 else f"no sentence: {error}"
    except Slow:
        return "takes too long"
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    return None


def traced(path: Path) -> int:
    """Bytes that loading takes at its peak."""
    tracemalloc.start()
    try:
        skae.load(path)
    except FileError:
        pass
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak


def main() -> int:
    """Mutate, load, use, and tell."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--traced", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    folder, rng, rows = newest(), np.random.default_rng(options.seed), cases()
    files = {path.stem: File.of(path) for path in sorted(folder.glob("*.skae"))}
    usual = {}
    for name in files:
        outcome(folder / f"{name}.skae", rows[name][1])
        usual[name] = traced(folder / f"{name}.skae")
    signal.signal(signal.SIGVTALRM, too_slow)
    stop: list[int] = []
    signal.signal(signal.SIGINT, lambda number, frame: stop.append(number))  # tell what was found until then
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + ROOM, now + ROOM))
    ends: Counter[str] = Counter()
    worst, slowest, start = 0.0, 0.0, time.process_time()
    with tempfile.TemporaryDirectory() as place:
        path = Path(place, "m.skae")
        for i in range(options.n):
            if stop:
                break
            name = [*files][i % len(files)]
            made, way = mutated(files[name], rng)
            write(path, made)
            before = time.process_time()
            signal.setitimer(signal.ITIMER_VIRTUAL, options.seconds)
            end = outcome(path, rows[name][1])
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)
            slowest = max(slowest, time.process_time() - before)
            if end not in ("refused", "used", "refuses the rows"):
                print(f"file {i}, {name}, {way}: {end[:200]}", flush=True)
                end = "wrong"
            ends[end] += 1
            if i % options.traced == 0 and end != "wrong":
                share = (traced(path) - usual[name]) / max(path.stat().st_size, 1)
                worst = max(worst, share)
                ends["too much memory"] += share > TIMES
    seconds = time.process_time() - start
    print(", ".join(f"{count} {end}" for end, count in ends.most_common()))
    print(f"memory beside that of the original: at most {worst:.1f} sizes of the file; slowest {slowest:.2f} s")
    print(f"{seconds:.0f} s of processor time")
    return int(bool(ends["wrong"] + ends["too much memory"]))


if __name__ == "__main__":
    raise SystemExit(main())

"""A crew of processes for tests: they start once, and each check is a function that some of them run together."""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import tempfile
import traceback
from pathlib import Path

import torch
import torch.distributed as dist

PATIENCE = float(os.environ.get("SKAE_TEST_PATIENCE", "300"))
"""Seconds that a check may take, on a busy machine too."""


class Crew:
    """Processes with a process group of gloo.

    Parameters
    ----------
    size : int
    """

    def __init__(self, size):
        spawned = multiprocessing.get_context("spawn")
        self.folder = tempfile.TemporaryDirectory()
        self.pipes, self.processes, self.number = [], [], 0
        for rank in range(size):
            ours, theirs = spawned.Pipe()
            place = str(Path(self.folder.name) / "store")
            process = spawned.Process(target=_serve, args=(theirs, place, rank, size), daemon=True)
            process.start()
            self.pipes.append(ours)
            self.processes.append(process)
        for pipe in self.pipes:
            assert pipe.poll(PATIENCE)
            assert pipe.recv() == "ready"

    def run(self, function, *arguments, ranks=(0, 1)):
        """Call ``function(group, rank, *arguments)`` in processes, with a new group of them, and return the results.

        What a function raises is a result, as text: "ValueError: ...".
        """
        self.number += 1
        for pipe in self.pipes:  # a new group needs all processes
            pipe.send((self.number, function, ranks, arguments))
        answers = list(map(self.answer_of, self.pipes))
        return [answers[rank] for rank in ranks]

    def answer_of(self, pipe):
        """The answer to the last question, in case one before was not waited for."""
        while pipe.poll(PATIENCE):
            number, answer = pipe.recv()
            if number == self.number:
                return answer
        return "no answer"

    def close(self):
        """End all processes."""
        for process in self.processes:
            process.kill()
            process.join()
        self.folder.cleanup()


def _serve(pipe, place, rank, size):
    torch.set_num_threads(1)
    importlib.import_module("tests.test_distributed")  # it takes seconds, which are none of the first check's
    dist.init_process_group("gloo", init_method=f"file://{place}", rank=rank, world_size=size)
    pipe.send("ready")
    with contextlib.suppress(EOFError):
        while True:
            number, function, ranks, arguments = pipe.recv()
            group = dist.new_group(list(ranks))
            answer = None
            if rank in ranks:
                try:
                    answer = function(group, ranks.index(rank), *arguments)
                except BaseException as error:  # Ctrl-C is one of the things that are tested
                    answer = f"{type(error).__name__}: {error}"
                    if os.environ.get("SKAE_TEST_TRACES"):
                        traceback.print_exc()
            pipe.send((number, answer))
    os._exit(0)  # pending operations of groups that failed would be waited for

"""Modes of torch that do not reach into a computation, and moments that Ctrl-C waits for."""

import os
import signal
import subprocess
import sys
import threading

import pytest
import torch

from skae.engine import modes
from skae.engine.modes import one_thread, plain_torch, uninterrupted


@pytest.fixture
def handler():
    """Python's handler of Ctrl-C, even if the tests run in the background of a shell, where it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_waits_for_the_end_of_the_context(handler):
    done = []

    def work():
        with uninterrupted():
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)
            done.append(1)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_without_an_interrupt_and_in_another_thread_nothing_happens(handler):
    handlers = []

    def work():
        with uninterrupted():
            handlers.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    with uninterrupted():
        pass
    assert handlers == [handler]
    assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("grad", [False, True])
def test_modes_end_at_the_context_and_come_back_after_it(grad):
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16), torch.device("meta"):
        with plain_torch(grad):
            x = torch.ones(2, 2, requires_grad=grad)
            assert x.device.type == "cpu"
            assert not x.is_inference()
            assert (x @ x).dtype == torch.float32
            assert (x @ x).requires_grad is grad
        x = torch.ones(2, 2, device="cpu")
        assert x.is_inference()
        assert (x @ x).dtype == torch.bfloat16
        assert torch.empty(0).device.type == "meta"


def test_a_forked_process_computes_in_one_thread(monkeypatch):
    asked = []
    monkeypatch.setattr(torch, "set_num_threads", asked.append)
    with plain_torch():
        assert asked == []
    monkeypatch.setattr(modes, "_process", os.getpid() + 1)
    for _ in range(2):
        with plain_torch():
            assert asked == [1]


FORK = """
import multiprocessing, numpy as np, torch
from skae import Autoencoder
torch.set_num_threads(2)
X = np.random.default_rng(0).normal(size=(300, 20))
def fit(seed): return Autoencoder(8, max_iter=2, random_state=seed).fit(X).transform(X).shape
fit(0)
with multiprocessing.get_context("fork").Pool(1) as pool:
    print(pool.map_async(fit, [1]).get(timeout=30))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fit_in_a_forked_process_ends():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", FORK], capture_output=True, text=True, timeout=60)
    assert done.stdout == "[(300, 8)]\n", done.stderr


def test_one_thread_is_for_the_context_only():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)

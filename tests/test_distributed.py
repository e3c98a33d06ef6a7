"""Fits of several processes. The peer of a group is one process with all rows, and each process is that of the others.

The processes start once for the whole file. Each check has a process group of its own, because an error may leave a
group out of step.
"""

import functools
import operator
import os
import pickle
import signal
import time
import warnings

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import load_digits

from skae import (
    RBM,
    Autoencoder,
    ConvolutionalAutoencoder,
    DeepBeliefNetwork,
    DeepBoltzmannMachine,
    DenoisingAutoencoder,
    FineTunedClassifier,
    OutlierDetector,
    SparseAutoencoder,
    StackedAutoencoder,
    TopKAutoencoder,
    VariationalAutoencoder,
)
from skae.distributed import data_parallel, shard
from skae.engine import group as group_module
from tests.crew import Crew

X = load_digits().data[:101] / 16
Y = load_digits().target[:101] % 2
WEIGHT = np.where(np.arange(101) % 3 == 0, 0.0, np.linspace(1, 3, 101))
GAPPY = np.where(np.random.RandomState(0).rand(*X.shape) < 0.1, np.nan, X)
GAPPY[:60, 5] = np.nan
CUTS = {2: [0, 37, 101], 4: [0, 30, 31, 90, 101]}
"""Where the rows are cut. One of four processes has a single row, so that most batches have none of its rows."""

QUICK = {"max_iter": 3, "batch_size": 20, "random_state": 0, "dtype": "float64"}
SMALL = {"hidden_layer_sizes": (8,), **QUICK}
LINEAR = Autoencoder(5, hidden_layer_sizes=(), solver="lbfgs", **QUICK)
COUNTS = (("gaussian", 2), ("categorical", 2), ("poisson", 1))
KINDS = np.column_stack([X[:, 20:22], Y, 1 - Y, (5 * X[:, 30]).round()])


@pytest.fixture(scope="module")
def crew():
    crew = Crew(4)
    yield crew
    crew.close()


def cut(rows, rank, size):
    return None if rows is None else rows[CUTS[size][rank] : CUTS[size][rank + 1]]


def fitted(group, rank, estimator, X, y=None, weight=None, size=2):
    """The estimator, fitted to the rows of this process, as bytes, and the warnings."""
    own = [cut(rows, rank, size) for rows in (X, y, weight)]
    options = {} if own[2] is None else {"sample_weight": own[2]}
    with data_parallel(group), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pickle.dumps(clone(estimator).fit(own[0], own[1], **options))


def one_process(estimator, X, y=None, weight=None):
    options = {} if weight is None else {"sample_weight": weight}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return clone(estimator).fit(X, y, **options)


def of_group(crew, estimator, *data, size=2):
    """The model of a group, after a check that all of its processes have the same one, to the last bit."""
    answers = crew.run(fitted, estimator, *data, *([None] * (3 - len(data))), size, ranks=tuple(range(size)))
    assert [answer for answer in answers if not isinstance(answer, bytes)] == []
    first, *others = map(pickle.loads, answers)
    for other in others:
        assert other.history_ == first.history_
        for name, value in first.module_.state_dict().items():
            assert torch.equal(value, other.module_.state_dict()[name]), name
        assert torch.equal(first._rng.get_state(), other._rng.get_state())
    return first


def assert_same(ours, theirs, rows):
    """Curves and codes are equal within rounding, which Adam enlarges: it divides small gradients by their size."""
    within = 1e-9 if theirs.solver in ("sgd", "lbfgs") else 1e-5
    assert ours.history_.keys() == theirs.history_.keys()
    for name, values in theirs.history_.items():
        np.testing.assert_allclose(ours.history_[name], values, rtol=within, atol=1e-12, err_msg=name)
    codes = theirs.transform(rows)
    np.testing.assert_allclose(ours.transform(rows), codes, rtol=0, atol=100 * within * np.abs(codes).max())


# ------------------------------------------------------------------ as one process

WITHOUT_NOISE = {
    "batches and a tail": (Autoencoder(3, **SMALL), X),
    "one row in the last batch": (Autoencoder(3, **{**SMALL, "batch_size": 25}), X),
    "tied": (Autoencoder(3, tied_weights=True, **SMALL), X),
    "lbfgs": (Autoencoder(3, solver="lbfgs", **SMALL), X),
    "momentum": (Autoencoder(3, solver="sgd", learning_rate_init=0.01, **SMALL), X),
    "clipped": (Autoencoder(3, max_grad_norm=0.01, solver="adam", weight_decay=0.1, **SMALL), X),
    "all rows in a batch, some equal": (Autoencoder(3, **{**SMALL, "batch_size": 200}), np.vstack([X[:60], X[:41]])),
    "weights": (Autoencoder(3, **SMALL), X, None, WEIGHT),
    "weights of one process are zero": (Autoencoder(3, **SMALL), X, None, np.where(np.arange(101) < 37, 0.0, 2.0)),
    "held-out rows": (Autoencoder(3, early_stopping=True, **SMALL), X),
    "a budget by the number of rows": (Autoencoder(3, hidden_layer_sizes=(4,), dtype="float64", random_state=0), X),
    "gaps": (Autoencoder(3, **SMALL), GAPPY),
    "sparse matrix": (Autoencoder(3, **SMALL), sparse.csr_matrix(X)),
    "kinds of columns": (Autoencoder(2, likelihood="mixed", columns=COUNTS, **SMALL), KINDS),
    "counts": (Autoencoder(3, likelihood="poisson", **SMALL), (5 * X).round()),
    "images": (ConvolutionalAutoencoder(3, channels=(2,), **QUICK), X),
    "penalty": (SparseAutoencoder(9, **QUICK), X),
    "mean activation": (SparseAutoencoder(9, penalty="kl", **QUICK), X, None, WEIGHT + 0.1),
    "layers": (StackedAutoencoder([LINEAR, clone(LINEAR).set_params(n_components=2)], solver="lbfgs", **QUICK), X),
    "labels": (FineTunedClassifier(Autoencoder(3, **SMALL), **QUICK), X, np.where(np.arange(101) < 40, Y, -1)),
}


@pytest.mark.parametrize("name", WITHOUT_NOISE)
def test_the_fit_is_that_of_one_process_with_all_rows(crew, name):
    estimator, *data = WITHOUT_NOISE[name]
    theirs = one_process(estimator, *data)
    rows = data[0]
    assert_same(of_group(crew, estimator, *data), theirs, rows)


@pytest.mark.parametrize("name", ["batches and a tail", "gaps", "weights", "all rows in a batch, some equal"])
def test_four_processes_of_which_one_has_a_single_row(crew, name):
    estimator, *data = WITHOUT_NOISE[name]
    assert_same(of_group(crew, estimator, *data, size=4), one_process(estimator, *data), data[0])


WITH_NOISE = {
    "denoising": DenoisingAutoencoder(3, **SMALL),
    "variational": VariationalAutoencoder(3, **SMALL),
    "dropout": Autoencoder(3, dropout=0.2, **SMALL),
    "RBM": RBM(4, visible="bernoulli", n_chains=7, **QUICK),
    "contrastive": RBM(4, visible="bernoulli", algorithm="cd", sparsity=0.1, **QUICK),
    "tempered": RBM(4, visible="bernoulli", algorithm="pt", n_chains=7, early_stopping=True, **QUICK),
    "deep": DeepBoltzmannMachine(3, visible="bernoulli", hidden_layer_sizes=(4,), pretrain_iter=2, n_chains=7, **QUICK),
    "belief": DeepBeliefNetwork(3, visible="bernoulli", hidden_layer_sizes=(4,), up_down_iter=1, n_chains=7, **QUICK),
}


@pytest.mark.parametrize("name", WITH_NOISE)
def test_with_noise_the_fit_is_close_to_that_of_one_process(crew, name):
    """The noise of a step is another, its mean is the same. So the curves are near, and not equal."""
    ours, theirs = of_group(crew, WITH_NOISE[name], X), one_process(WITH_NOISE[name], X)
    watched = "reconstruction"
    np.testing.assert_allclose(ours.history_[watched], theirs.history_[watched], rtol=0.1)
    assert ours.history_[watched] != theirs.history_[watched]


def chains_of(group, rank):
    model = pickle.loads(fitted(group, rank, WITH_NOISE["RBM"], X))
    return model.module_.chain.numpy()


def test_each_process_moves_some_of_the_chains_with_noise_of_its_own(crew):
    first, second = crew.run(chains_of)
    assert first.shape == (7, 4)
    np.testing.assert_array_equal(first, second)
    start = one_process(RBM(4, visible="bernoulli", n_chains=7, **{**QUICK, "max_iter": 1}), X)
    assert len(np.unique(first, axis=0)) > 2
    assert start.module_.chain.shape == first.shape


class Counting(Autoencoder):
    """Counts the rows of its steps."""

    counted = ()

    def _step(self, module, batch, rng):
        Counting.counted = (*Counting.counted, len(batch.x))
        return super()._step(module, batch, rng)


def counts_of(group, rank):
    Counting.counted = ()
    fitted(group, rank, Counting(3, **SMALL), X)
    return Counting.counted


def test_each_process_computes_with_its_own_rows_alone(crew):
    first, second = crew.run(counts_of)
    assert len(first) == len(second) == 3 * 5
    assert sum(first) == 3 * 37
    assert sum(second) == 3 * 64
    assert [a + b for a, b in zip(first, second, strict=True)] == 3 * [20, 20, 20, 20, 21]


def going_on(group, rank):
    model = clone(WITH_NOISE["RBM"]).set_params(max_iter=2)
    plain = Autoencoder(3, warm_start=True, **SMALL)
    with data_parallel(group):
        for _ in range(2):
            model.partial_fit(cut(X, rank, 2))
            plain.fit(cut(X, rank, 2))
    alone = clone(plain).fit(cut(X, rank, 2))
    return pickle.dumps((model, plain, alone))


def test_fits_go_on_together_and_outside_of_the_context_each_is_alone(crew):
    (machine, ours, first), (machine_too, ours_too, second) = map(pickle.loads, crew.run(going_on))
    theirs = Autoencoder(3, warm_start=True, **SMALL).fit(X).fit(X)
    assert_same(ours, theirs, X)
    assert ours.history_ == ours_too.history_
    assert machine.history_ == machine_too.history_
    np.testing.assert_array_equal(machine.module_.chain.numpy(), machine_too.module_.chain.numpy())
    for model, rows in ((first, X[:37]), (second, X[37:])):  # nothing of another process is in it
        assert model.history_ == clone(theirs).fit(rows).history_


def without_seed(group, rank):
    return fitted(group, rank, clone(WITH_NOISE["variational"]).set_params(random_state=None), X)


def test_without_a_seed_all_have_that_of_the_first(crew):
    first, second = map(pickle.loads, crew.run(without_seed))
    assert first.history_ == second.history_


# ------------------------------------------------------------------ what does not go together


class Apart(Autoencoder):
    """Learns something that no sum has made equal."""

    def _conclude(self, data):
        self._flat.theta.add_(torch.distributed.get_rank())


def with_parameters(group, rank, estimators, rows):
    with data_parallel(group):
        clone(estimators[rank]).fit(rows[rank])


MODEL = Autoencoder(3, **SMALL)


@pytest.mark.parametrize(
    ("estimators", "rows", "message"),
    [
        (
            (MODEL, clone(MODEL).set_params(max_iter=4)),
            (X, X),
            "rank 1 has max_iter 4, but rank 0 has max_iter 3: pass the same in all processes",
        ),
        ((MODEL, RBM(3)), (X, X), "rank 1 has class RBM, but rank 0 has class Autoencoder"),
        (
            (MODEL, MODEL),
            (X, X[:, :5]),
            "rank 1 has number of columns of X 5, but rank 0 has number of columns of X 64",
        ),
        ((MODEL, MODEL), (X, X.astype("f4")), "rank 1 has dtype of X float32, but rank 0 has dtype of X float64"),
        (
            (TopKAutoencoder(9),) * 2,
            (X, X),
            "TopKAutoencoder cannot be fitted by several processes, because it counts for how many rows",
        ),
        (
            (Autoencoder(3, batch_norm=True),) * 2,
            (X, X),
            "because with these parameters its loss looks at several rows at once: fit it outside data_parallel",
        ),
        ((OutlierDetector(),) * 2, (X, X), "OutlierDetector cannot be fitted by several processes"),
        ((Autoencoder(3, checkpoint="run.skae"),) * 2, (X, X), "Several processes share this fit, and their files"),
        ((Apart(3, **SMALL),) * 2, (X, X), "fit it in one process, and let _needs_all_rows of Apart say why its steps"),
        ((RBM(3, n_chains=1),) * 2, (X, X), "n_chains=1 are fewer than the 2 processes"),
    ],
)
def test_what_does_not_go_together_is_told_in_all_processes(crew, estimators, rows, message):
    first, second = crew.run(with_parameters, estimators, rows)
    assert message in first
    assert message in second


def after_an_error(group, rank, rows):
    """What is raised for rows that rank 1 alone finds bad, and a fit that follows in the same group."""
    model, told = clone(MODEL), []
    with data_parallel(group):
        model.fit(cut(X, rank, 2))
        before = pickle.dumps(model)
        for bad in (rows, X):
            try:
                model.set_params(warm_start=True).fit(bad if rank else cut(X, rank, 2))
                told.append("fitted")
            except (ValueError, RuntimeError) as error:
                told.append(f"{type(error).__name__}: {error}")
                assert pickle.dumps(model.set_params(warm_start=False)) == before
    return told


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (np.where(np.arange(64 * 64).reshape(64, 64) == 5 * 64 + 3, np.inf, X[37:]), "infinity in row 5, column 3"),
        (X[:0], "Found array with 0 sample(s)"),
    ],
)
def test_a_bad_row_in_one_process_ends_all_with_its_sentence(crew, rows, message):
    (first, then), (second, too) = crew.run(after_an_error, rows)
    assert first.startswith("OtherProcessError: rank 1: ")
    assert message in first
    assert second.startswith("ValueError: ")
    assert message in second
    # The others were waiting for the sums of rank 1, which will never come.
    assert "out of step" in then
    assert "out of step" in too


def diverging(group, rank):
    told = []
    with data_parallel(group):
        for rate in (1e12, 1e-3):
            model = Autoencoder(3, solver="sgd", learning_rate_init=rate, **SMALL)
            try:
                model.fit(cut(X, rank, 2))
                told.append(model.loss_)
            except ValueError as error:
                told.append(str(error))
                assert not hasattr(model, "module_")
    return told


def test_an_error_of_all_processes_leaves_the_group_as_it_is(crew):
    first, second = crew.run(diverging)
    assert first == second
    assert "lower learning_rate_init" in first[0]
    assert first[1] > 0


def failing(group, rank, error):
    def callback(epoch):
        if rank and epoch.number == 2:
            raise error

    started = time.monotonic()
    with data_parallel(group):
        try:
            clone(MODEL).set_params(callback=callback).fit(cut(X, rank, 2))
        except BaseException as found:
            return f"{type(found).__name__}: {found}", time.monotonic() - started


def test_a_process_that_fails_in_training_ends_the_others(crew):
    (first, waited), (second, _) = crew.run(failing, MemoryError("no memory is left"))
    assert first == "OtherProcessError: rank 1: MemoryError: no memory is left"
    assert second == "MemoryError: no memory is left"
    assert waited < 30


def interrupted(group, rank):
    def callback(epoch):
        if rank and epoch.number == 3:
            os.kill(os.getpid(), signal.SIGINT)

    model = Autoencoder(3, **{**SMALL, "max_iter": 50}, callback=callback)
    handler = signal.getsignal(signal.SIGINT)
    with data_parallel(group):
        try:
            model.fit(cut(X, rank, 2))
        except KeyboardInterrupt as error:
            assert signal.getsignal(signal.SIGINT) is handler
            return str(error), pickle.dumps(model.set_params(callback=None))


def test_ctrl_c_in_one_process_stops_all_at_the_same_step(crew):
    (first, model), (second, other) = crew.run(interrupted)
    assert first == second == "Training was interrupted: this Autoencoder keeps the best weights so far."
    model, other = pickle.loads(model), pickle.loads(other)
    assert model.n_iter_ == other.n_iter_ == 3
    np.testing.assert_array_equal(model.transform(X), other.transform(X))


def stopped(group, rank):
    model = Autoencoder(3, **SMALL, callback=lambda epoch: rank == 1 and epoch.number == 2)
    with data_parallel(group):
        return model.fit(cut(X, rank, 2)).n_iter_


def test_a_callback_of_one_process_stops_all(crew):
    assert crew.run(stopped) == [2, 2]


def looking(group, rank):
    seen = []

    def callback(epoch):
        if rank:
            seen.append(epoch.estimator.transform(X))

    model = VariationalAutoencoder(2, **SMALL, callback=callback)
    with data_parallel(group):
        model.fit(cut(X, rank, 2))
    return seen, model.transform(X)


def test_a_callback_of_one_process_looks_at_the_model_without_the_others(crew):
    (nothing, _), (seen, codes) = crew.run(looking)
    assert nothing == []
    assert any(np.array_equal(codes, each) for each in seen)


# ------------------------------------------------------------------ shards


def shards(group, rank):
    X = np.arange(20.0).reshape(10, 2)
    own = shard(X, group)
    assert np.shares_memory(own, X)
    with pytest.raises(ValueError, match="X has 1 rows for 4 processes"):
        shard(X[:1], group)
    return own[:, 0].tolist()


def test_shards_are_views_that_cover_all_rows(crew):
    found = crew.run(shards, ranks=(0, 1, 2, 3))
    assert [len(own) for own in found] == [2, 3, 2, 3]
    assert functools.reduce(operator.iadd, found, []) == np.arange(0.0, 20.0, 2).tolist()


def test_without_a_process_group():
    with pytest.raises(RuntimeError, match="init_process_group"), data_parallel():
        pass
    with pytest.raises(RuntimeError, match="init_process_group"):
        shard(X)


# ------------------------------------------------------------------ the end of a process, which ends the crew


def killed(group, rank):
    group_module.ROLL_CALL = 3.0  # of three processes that have nothing else to do

    def callback(epoch):
        if rank == 2 and epoch.number == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    started = time.monotonic()
    with data_parallel(group):
        try:
            clone(MODEL).set_params(callback=callback).fit(cut(X, rank, 4))
        except RuntimeError as error:
            return str(error), time.monotonic() - started


def test_a_killed_process_ends_the_others():
    crew = Crew(3)
    for pipe in crew.pipes:
        pipe.send((0, killed, (0, 1, 2), ()))
    told = [crew.answer_of(crew.pipes[rank]) for rank in (0, 1)]
    crew.close()
    for sentence, waited in told:
        assert sentence.startswith("rank 2: ended without a word")
        assert waited < 30
